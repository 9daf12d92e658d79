/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of groups, and of who is in them. */
#include "otp/pg_groups.h"

#include <stdlib.h>
#include <string.h>

#include "node/quota.h"
#include "node/text.h"
#include "term/bytes.h"
#include "term/tags.h"

bool tn_pg_pid_of(struct tn_pg_pid *pid, tenon_term term)
{
    struct tn_id_view view;
    struct tn_text node;

    if (!tn_pid_view(term, &view)) {
        return false;
    }
    (void)tn_text_of_view(&view.node, &node);
    if (node.len > TENON_NODE_NAME_MAX_BYTES) {
        return false;
    }
    uint8_t *p = pid->bytes;

    *p++ = TN_NEW_PID;
    *p++ = TN_SMALL_ATOM_UTF8;
    *p++ = (uint8_t)node.len;
    memcpy(p, node.text, node.len);
    p += node.len;
    tn_put32(p, view.words[0]);
    tn_put32(p + 4, view.words[1]);
    tn_put32(p + 8, view.creation);
    pid->len = 15 + node.len;
    return true;
}

/* ---- groups ------------------------------------------------------------ */

struct tn_pg_group *tn_pg_group_find(const struct tn_pg_groups *groups,
                                     tenon_term name)
{
    struct tn_pg_group *group = NULL;

    TN_HASH_FIND(hh, groups->table, groups->hash_key, name.bytes, name.len,
                 group);
    return group;
}

static enum tenon_err group_get(struct tn_pg_groups *groups,
                                tenon_term name,
                                struct tn_pg_group **found)
{
    struct tn_pg_group *group = tn_pg_group_find(groups, name);

    *found = group;
    if (group != NULL) {
        return TENON_OK;
    }
    if (name.len > groups->bytes_max - groups->name_bytes) {
        return TENON_E_LIMIT;
    }
    group = calloc(1, sizeof *group + name.len);
    if (group == NULL) {
        return TENON_E_NOMEM;
    }
    LIST_INIT(&group->entries);
    group->len = name.len;
    memcpy(group->name, name.bytes, name.len);
    TN_HASH_ADD(hh, groups->table, groups->hash_key, group->name, group->len,
                group);
    if (!TN_HASH_HAS(hh, group)) {
        free(group);
        return TENON_E_NOMEM;
    }
    groups->name_bytes += name.len;
    *found = group;
    return TENON_OK;
}

static void group_tidy(struct tn_pg_groups *groups, struct tn_pg_group *group)
{
    if (LIST_EMPTY(&group->entries)) {
        groups->name_bytes -= group->len;
        HASH_DELETE(hh, groups->table, group);
        free(group);
    }
}

/* ---- entries ----------------------------------------------------------- */

static struct tn_pg_entry *entry_of(const struct tn_pg_owner *owner,
                                    const struct tn_pg_group *group)
{
    struct tn_pg_entry *entry = NULL;

    TN_HASH_FIND(hh, owner->entries, owner->hash_key, &group, sizeof group,
                 entry);
    return entry;
}

struct tn_pg_entry *tn_pg_entry_find(const struct tn_pg_groups *groups,
                                     const struct tn_pg_owner *owner,
                                     tenon_term name)
{
    const struct tn_pg_group *group = tn_pg_group_find(groups, name);

    return group == NULL ? NULL : entry_of(owner, group);
}

/* What a refusal is of, in the log. */
static const char name_kind[] = "names of process groups";

/* The name counts for each of its owners. */
static bool pay_name(const struct tn_pg_owner *owner, size_t len)
{
    if (!tn_account_take_many(owner->account, TN_QUOTA_GROUP_BYTES,
                              (uint32_t)len, TN_PG_PEER_GROUPS_MAX_BYTES)) {
        tn_account_note_refused(owner->account, name_kind);
        return false;
    }
    if (!tn_account_charge(owner->account, sizeof(struct tn_pg_entry) + len)) {
        tn_account_give_back_many(owner->account, TN_QUOTA_GROUP_BYTES,
                                  (uint32_t)len);
        tn_account_note_refused(owner->account, name_kind);
        return false;
    }
    return true;
}

static void pay_name_back(const struct tn_pg_owner *owner, size_t len)
{
    tn_account_give_back_many(owner->account, TN_QUOTA_GROUP_BYTES,
                              (uint32_t)len);
    tn_account_discharge(owner->account, sizeof(struct tn_pg_entry) + len);
}

static struct tn_pg_entry *entry_new(struct tn_pg_owner *owner,
                                     struct tn_pg_group *group)
{
    struct tn_pg_entry *entry = calloc(1, sizeof *entry);

    if (entry == NULL) {
        return NULL;
    }
    entry->owner = owner;
    entry->group = group;
    TN_HASH_ADD(hh, owner->entries, owner->hash_key, &entry->group,
                sizeof entry->group, entry);
    if (!TN_HASH_HAS(hh, entry)) {
        free(entry);
        return NULL;
    }
    LIST_INSERT_HEAD(&group->entries, entry, of_group);
    return entry;
}

enum tenon_err tn_pg_entry_get(struct tn_pg_groups *groups,
                               struct tn_pg_owner *owner,
                               tenon_term name,
                               struct tn_pg_entry **entry)
{
    struct tn_pg_group *group;

    enum tenon_err rc = group_get(groups, name, &group);

    if (rc != TENON_OK) {
        return rc;
    }
    *entry = entry_of(owner, group);
    if (*entry != NULL) {
        return TENON_OK;
    }
    if (!pay_name(owner, group->len)) {
        group_tidy(groups, group);
        return TENON_E_LIMIT;
    }
    *entry = entry_new(owner, group);
    if (*entry == NULL) {
        pay_name_back(owner, group->len);
        group_tidy(groups, group);
        return TENON_E_NOMEM;
    }
    return TENON_OK;
}

void tn_pg_entry_tidy(struct tn_pg_groups *groups, struct tn_pg_entry *entry)
{
    struct tn_pg_group *group = entry->group;

    if (entry->members != NULL) {
        return;
    }
    HASH_DEL(entry->owner->entries, entry);
    LIST_REMOVE(entry, of_group);
    pay_name_back(entry->owner, group->len);
    free(entry);
    group_tidy(groups, group);
}

/* ---- members ----------------------------------------------------------- */

struct tn_pg_member *tn_pg_member_find(const struct tn_pg_entry *entry,
                                       const struct tn_pg_pid *pid)
{
    struct tn_pg_member *member = NULL;

    TN_HASH_FIND(hh, entry->members, entry->owner->hash_key, pid->bytes,
                 pid->len, member);
    return member;
}

static bool pay(const struct tn_pg_owner *owner, size_t pid_bytes)
{
    return tn_quota_take(
        owner->account, TN_QUOTA_MEMBERS, TN_PG_PEER_MEMBERS_MAX,
        sizeof(struct tn_pg_member) + pid_bytes, "members of process groups");
}

static void pay_back(const struct tn_pg_owner *owner, size_t pid_bytes)
{
    tn_quota_give_back(owner->account, TN_QUOTA_MEMBERS,
                       sizeof(struct tn_pg_member) + pid_bytes);
}

enum tenon_err tn_pg_member_get(struct tn_pg_entry *entry,
                                const struct tn_pg_pid *pid,
                                struct tn_pg_member **found)
{
    struct tn_pg_member *member = tn_pg_member_find(entry, pid);

    if (member == NULL) {
        if (!pay(entry->owner, pid->len)) {
            return TENON_E_LIMIT;
        }
        member = calloc(1, sizeof *member + pid->len);
        if (member == NULL) {
            pay_back(entry->owner, pid->len);
            return TENON_E_NOMEM;
        }
        member->entry = entry;
        member->len = pid->len;
        memcpy(member->pid, pid->bytes, pid->len);
        TN_HASH_ADD(hh, entry->members, entry->owner->hash_key, member->pid,
                    member->len, member);
        if (!TN_HASH_HAS(hh, member)) {
            pay_back(entry->owner, pid->len);
            free(member);
            return TENON_E_NOMEM;
        }
    }
    *found = member;
    return TENON_OK;
}

enum tenon_err tn_pg_member_set(struct tn_pg_groups *groups,
                                struct tn_pg_member *member,
                                uint32_t count)
{
    size_t others = groups->memberships - member->count;

    if (count > member->count && count > groups->members_max - others) {
        return TENON_E_LIMIT;
    }
    groups->memberships = others + count;
    member->count = count;
    return TENON_OK;
}

void tn_pg_member_tidy(struct tn_pg_member *member)
{
    if (member->count == 0) {
        HASH_DEL(member->entry->members, member);
        pay_back(member->entry->owner, member->len);
        free(member);
    }
}
