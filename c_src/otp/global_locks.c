/* SPDX-License-Identifier: Apache-2.0 */
/* The locks that are set on this node. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "otp/gen.h"
#include "otp/global_core.h"

/* What of a pid's struct is its own; the numbers stand before the name. */
static size_t pid_key_bytes(const tenon_pid *pid)
{
    return offsetof(tenon_pid, node) + strlen(pid->node);
}

static struct tn_gholder *find_holder(const struct tn_global *global,
                                      const struct tn_glock *lock,
                                      const tenon_pid *pid)
{
    struct tn_gholder *holder;

    TN_HASH_FIND(hh, lock->holders, global->hash_key, pid, pid_key_bytes(pid),
                 holder);
    return holder;
}

/* The name server of a node that has lost a lock must not take a name that
 * was meant to be registered under it. */
bool tn_glock_still_set(struct tn_global *global,
                        tenon_term holder,
                        tenon_term lock_id)
{
    static const uint8_t resource[] = { 119, 6, 'g', 'l', 'o', 'b', 'a', 'l' };
    struct tn_glock *lock = NULL;
    tenon_term part[2];
    tenon_pid pid;

    TN_HASH_FIND(hh, global->locks, global->hash_key, resource, sizeof resource,
                 lock);
    if (lock == NULL) {
        return !global->lock_down;
    }
    if (holder.bytes == NULL) {
        return tn_tuple_views(lock_id, part, 2) &&
               tenon_term_is_atom(part[0], "global") &&
               tenon_term_equal(part[1], tenon_value_term(lock->requester));
    }
    if (tenon_term_pid(holder, &pid) < 0) {
        return false;
    }
    return find_holder(global, lock, &pid) != NULL;
}

/* Without memory more slowly: a lock must be free when it is given back. */
static struct tn_glock *find_lock(struct tn_global *global, tenon_term resource)
{
    struct tn_glock *lock = NULL;
    tenon_value *key = tn_global_canonical(resource);

    if (key != NULL) {
        tenon_term term = tenon_value_term(key);

        TN_HASH_FIND(hh, global->locks, global->hash_key, term.bytes, term.len,
                     lock);
        tenon_value_free(key);
        return lock;
    }
    for (lock = global->locks; lock != NULL; lock = lock->hh.next) {
        if (tenon_term_equal(tenon_value_term(lock->key), resource)) {
            return lock;
        }
    }
    return NULL;
}

bool tn_glock_names_locked(struct tn_global *global)
{
    static const uint8_t resource[] = { 119, 6, 'g', 'l', 'o', 'b', 'a', 'l' };
    struct tn_glock *lock = NULL;

    TN_HASH_FIND(hh, global->locks, global->hash_key, resource, sizeof resource,
                 lock);
    return lock != NULL;
}

bool tn_glock_could_set(struct tn_global *global, tenon_term id)
{
    tenon_term part[2];

    if (!tn_tuple_views(id, part, 2)) {
        return false;
    }
    struct tn_glock *lock = find_lock(global, part[0]);

    return lock == NULL ||
           tenon_term_equal(tenon_value_term(lock->requester), part[1]);
}

const char *
tn_glock_other_holder(struct tn_global *global, tenon_term id, const char *node)
{
    const struct tn_gholder *one;
    tenon_term part[2];

    if (!tn_tuple_views(id, part, 2)) {
        return NULL;
    }
    struct tn_glock *lock = find_lock(global, part[0]);

    if (lock == NULL ||
        !tenon_term_equal(tenon_value_term(lock->requester), part[1])) {
        return NULL;
    }
    /* Mostly all are of one node, of which the first one tells. */
    for (one = lock->holders; one != NULL; one = one->hh.next) {
        if (strcmp(one->pid.node, node) != 0) {
            return one->pid.node;
        }
        if (!lock->is_mixed) {
            break;
        }
    }
    return NULL;
}

static void free_lock(struct tn_global *global, struct tn_glock *lock)
{
    HASH_DELETE(hh, global->locks, lock);
    tn_gkept_give_back(&lock->kept);
    tenon_value_free(lock->key);
    tenon_value_free(lock->requester);
    free(lock);
}

/* id: a pair. NULL: out of memory, or too many. */
static struct tn_glock *new_lock(struct tn_global *global,
                                 const tenon_term id[2])
{
    if (HASH_COUNT(global->locks) >= TENON_GLOBAL_LOCKS_MAX) {
        global->io->warn(global->io_user, "global_locks_full", NULL);
        return NULL;
    }
    struct tn_glock *lock = calloc(1, sizeof *lock);

    if (lock == NULL || !tn_gkept_take(global, &lock->kept, TN_QUOTA_LOCKS,
                                       TN_GLOBAL_PEER_LOCKS_MAX,
                                       sizeof *lock + id[0].len + id[1].len)) {
        free(lock);
        return NULL;
    }
    lock->key = tn_global_canonical(id[0]);
    lock->requester = tenon_value_new(id[1]);
    if (lock->key != NULL && lock->requester != NULL) {
        tenon_term key = tenon_value_term(lock->key);

        TN_HASH_ADD(hh, global->locks, global->hash_key, key.bytes, key.len,
                    lock);
        if (TN_HASH_HAS(hh, lock)) {
            return lock;
        }
    }
    tn_gkept_give_back(&lock->kept);
    tenon_value_free(lock->key);
    tenon_value_free(lock->requester);
    free(lock);
    return NULL;
}

static bool add_holder(struct tn_global *global,
                       struct tn_glock *lock,
                       const tenon_pid *pid)
{
    struct tn_gholder *holder = calloc(1, sizeof *holder);

    if (holder == NULL ||
        !tn_gkept_take(global, &holder->kept, TN_QUOTA_WATCHES,
                       TN_GLOBAL_PEER_LOCKS_MAX, sizeof *holder)) {
        free(holder);
        return false;
    }
    holder->lock = lock;
    holder->pid = *pid;
    holder->watch.owner = holder;
    if (!tenon_pid_equal(pid, &global->holder_pid) &&
        !tn_gwatch_start(global, &holder->watch, pid)) {
        tn_gkept_give_back(&holder->kept);
        free(holder);
        return false;
    }
    if (lock->holders != NULL &&
        strcmp(lock->holders->pid.node, pid->node) != 0) {
        lock->is_mixed = true;
    }
    TN_HASH_ADD(hh, lock->holders, global->hash_key, &holder->pid,
                pid_key_bytes(pid), holder);
    if (!TN_HASH_HAS(hh, holder)) {
        tn_gwatch_stop(global, &holder->watch);
        tn_gkept_give_back(&holder->kept);
        free(holder);
        return false;
    }
    return true;
}

bool tn_glock_set(struct tn_global *global, tenon_term id, tenon_term holder)
{
    tenon_term part[2];
    tenon_pid pid;

    if (!tn_tuple_views(id, part, 2) || tenon_term_pid(holder, &pid) < 0) {
        return false;
    }
    struct tn_glock *lock = find_lock(global, part[0]);

    if (lock == NULL) {
        lock = new_lock(global, part);
        if (lock == NULL) {
            return false;
        }
    } else if (!tenon_term_equal(tenon_value_term(lock->requester), part[1])) {
        return false;
    }
    if (find_holder(global, lock, &pid) != NULL) {
        return true;
    }
    if (!add_holder(global, lock, &pid)) {
        if (lock->holders == NULL) {
            free_lock(global, lock);
        }
        return false;
    }
    return true;
}

static void
drop_holder(struct tn_global *global, struct tn_gholder *holder, bool down)
{
    struct tn_glock *lock = holder->lock;

    tn_gwatch_stop(global, &holder->watch);
    HASH_DELETE(hh, lock->holders, holder);
    tn_gkept_give_back(&holder->kept);
    free(holder);
    if (lock->holders != NULL) {
        return;
    }
    bool of_names = tenon_term_is_atom(tenon_value_term(lock->key), "global");

    free_lock(global, lock);
    if (of_names) {
        global->lock_down = down;
        tn_global_answer_questions(global);
    }
}

void tn_glock_delete(struct tn_global *global, tenon_term id, tenon_term holder)
{
    tenon_term part[2];
    tenon_pid pid;

    if (!tn_tuple_views(id, part, 2) || tenon_term_pid(holder, &pid) < 0) {
        return;
    }
    struct tn_glock *lock = find_lock(global, part[0]);

    if (lock == NULL ||
        !tenon_term_equal(tenon_value_term(lock->requester), part[1])) {
        return;
    }
    struct tn_gholder *one = find_holder(global, lock, &pid);

    if (one != NULL) {
        drop_holder(global, one, false);
    }
}

void tn_glock_holder_ended(struct tn_global *global, struct tn_gholder *holder)
{
    drop_holder(global, holder, true);
}

void tn_glocks_node_lost(struct tn_global *global, const char *node)
{
    struct tn_glock *lock, *next;
    struct tn_gholder *holder, *other;

    HASH_ITER(hh, global->locks, lock, next)
    {
        HASH_ITER(hh, lock->holders, holder, other)
        {
            if (strcmp(holder->pid.node, node) == 0) {
                drop_holder(global, holder, true);
            }
        }
    }
}

void tn_glocks_fini(struct tn_global *global)
{
    struct tn_gholder *holder;

    while (global->locks != NULL) {
        struct tn_glock *lock = global->locks;

        while ((holder = lock->holders) != NULL) {
            HASH_DELETE(hh, lock->holders, holder);
            tn_gkept_give_back(&holder->kept);
            free(holder);
        }
        free_lock(global, lock);
    }
}
