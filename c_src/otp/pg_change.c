/* SPDX-License-Identifier: Apache-2.0 */
/* Memberships that come and go, and the telling of it to who watches. */
#include "otp/pg_impl.h"
#include "term/bytes.h"
#include "term/tags.h"

/* LIST_EXT and the number of elements; the nil behind them. */
#define LIST_HEAD_BYTES 5

void tn_pg_change_init(struct tn_pg_change *change)
{
    *change = (struct tn_pg_change){ 0 };
    tn_buf_init(&change->list, TENON_TERM_MAX_BYTES);
}

static void change_append(struct tn_pg_change *change, const void *p, size_t n)
{
    if (!change->failed && tn_buf_append(&change->list, p, n) != TENON_OK) {
        change->failed = true;
    }
}

void tn_pg_change_add(const struct tn_pg_scope *scope,
                      struct tn_pg_change *change,
                      const struct tn_pg_member *member,
                      uint32_t times)
{
    static const uint8_t head[LIST_HEAD_BYTES] = { TN_LIST };

    if (!scope->watched) {
        return;
    }
    for (; times > 0; times--) {
        if (change->count++ == 0) {
            change_append(change, head, sizeof head);
        }
        change_append(change, member->pid, member->len);
    }
}

void tn_pg_change_tell(const struct tn_pg_scope *scope,
                       struct tn_pg_change *change,
                       bool joined,
                       tenon_term group)
{
    static const uint8_t nil = TN_NIL;

    if (change->count > 0) {
        tenon_term pids = { NULL, 0 };

        change_append(change, &nil, 1);
        if (!change->failed) {
            tn_put32(change->list.bytes + 1, change->count);
            pids = (tenon_term){ change->list.bytes, change->list.len };
        }
        scope->ops->changed(scope->user, joined, group, pids);
    }
    tn_buf_reset(&change->list);
    change->count = 0;
    change->failed = false;
}

void tn_pg_change_fini(struct tn_pg_change *change)
{
    tn_buf_fini(&change->list);
}

void tn_pg_drop_member(struct tn_pg_scope *scope,
                       struct tn_pg_change *left,
                       struct tn_pg_member *member)
{
    tn_pg_change_add(scope, left, member, member->count);
    (void)tn_pg_member_set(&scope->groups, member, 0);
    tn_pg_member_tidy(member);
}

void tn_pg_drop_entry(struct tn_pg_scope *scope,
                      struct tn_pg_change *left,
                      struct tn_pg_entry *entry)
{
    struct tn_pg_member *member, *next;

    HASH_ITER(hh, entry->members, member, next)
    {
        tn_pg_drop_member(scope, left, member);
    }
    tn_pg_change_tell(scope, left, false, tn_pg_group_name(entry->group));
    tn_pg_entry_tidy(&scope->groups, entry);
}

enum tenon_err tn_pg_add_member(struct tn_pg_scope *scope,
                                struct tn_pg_entry *entry,
                                const struct tn_pg_pid *pid,
                                struct tn_pg_member **member)
{
    enum tenon_err rc = tn_pg_member_get(entry, pid, member);

    if (rc == TENON_OK && (*member)->count == UINT32_MAX) {
        return TENON_E_LIMIT;
    }
    if (rc == TENON_OK) {
        rc = tn_pg_member_set(&scope->groups, *member, (*member)->count + 1);
        if (rc != TENON_OK) {
            tn_pg_member_tidy(*member);
        }
    }
    return rc;
}
