/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of global names and locks: from any thread into the core
 * and back. */
#include <stdlib.h>
#include <string.h>

#include <tenon/global.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "node/node.h"
#include "otp/global.h"
#include "otp/global_core.h"
#include "term/build.h"
#include "term/canonical.h"

/* Between two attempts to set a lock: up to 1/4 s, then up to twice as long
 * each time. */
#define LOCK_AGAIN_MS 250u
#define LOCK_DOUBLINGS_MAX 5u

/* ---- waiting for the core ---------------------------------------------- */

/* One question on its asker's stack; guarded by the node's lock. */
struct waiting {
    tenon_node *node;
    struct tn_global *global;
    pthread_cond_t cond;
    bool ended;
    enum tenon_err rc;
};

static enum tenon_err
waiting_init(struct waiting *waiting, tenon_node *node, tenon_error *err)
{
    if (node == NULL) {
        return tn_error(err, TENON_E_INVAL, "global: no node");
    }
    *waiting = (struct waiting){ .node = node, .global = tn_global_of(node) };
    if (waiting->global == NULL) {
        return tn_error(err, TENON_E_NOTSUP,
                        "global: node \"%s\" is hidden or has no_global",
                        tenon_node_name(node));
    }
    if (tn_on_loop(node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "global: expected a thread that may wait, got the "
                        "loop's");
    }
    if (!tn_condition_init(&waiting->cond)) {
        return tn_error(err, TENON_E_SYSTEM, "global: no condition variable");
    }
    return TENON_OK;
}

static void waiting_fini(struct waiting *waiting)
{
    pthread_cond_destroy(&waiting->cond);
}

static void wake(void *user, enum tenon_err rc)
{
    struct waiting *waiting = user;
    tn_lock(waiting->node);
    waiting->rc = rc;
    waiting->ended = true;
    pthread_cond_signal(&waiting->cond);
    tn_unlock(waiting->node);
}

/* False: it has not ended in time. */
static bool wait_until(struct waiting *waiting, const struct timespec *deadline)
{
    bool in_time = true;
    tn_workers_block(&waiting->node->workers);
    tn_lock(waiting->node);
    while (!waiting->ended && in_time) {
        in_time =
            tn_condition_wait(&waiting->cond, &waiting->node->lock, deadline);
    }
    bool ended = waiting->ended;
    tn_unlock(waiting->node);
    tn_workers_unblock(&waiting->node->workers);
    return ended;
}

static uint32_t or_default(uint32_t timeout_ms)
{
    return timeout_ms != 0 ? timeout_ms : TENON_GLOBAL_TIMEOUT_MS;
}

/* Runs `start` in the core, waits for its end, and runs `give_up` there when
 * that does not come in time; after that nobody knows the waiting one. */
static enum tenon_err ask(struct waiting *waiting,
                          uint32_t timeout_ms,
                          void (*start)(tenon_node *, void *),
                          void (*give_up)(tenon_node *, void *))
{
    struct timespec deadline;
    bool forever = timeout_ms == TENON_NO_TIMEOUT;
    tn_deadline(or_default(timeout_ms), &deadline);
    enum tenon_err rc = tn_global_call(waiting->node, start, waiting);
    if (rc < 0) {
        return rc;
    }
    if (!wait_until(waiting, forever ? NULL : &deadline)) {
        rc = tn_global_call(waiting->node, give_up, waiting);
        if (rc < 0) {
            /* The loop takes no more jobs: its end has ended all. */
            (void)wait_until(waiting, NULL);
        }
    }
    return waiting->ended ? waiting->rc : TENON_E_TIMEOUT;
}

/* ---- names ------------------------------------------------------------- */

struct changing {
    struct waiting waiting; /* first */
    enum tn_gop_kind kind;
    tenon_term name;
    const tenon_pid *pid;
    tenon_term method;
    struct tn_gop *op;
};

static void start_change(tenon_node *node, void *user)
{
    struct changing *changing = user;
    struct tn_global *global = changing->waiting.global;
    (void)node;
    if (global->stopping) {
        wake(changing, TENON_E_STOPPED);
        return;
    }
    changing->op =
        tn_global_change(global, changing->kind, changing->name, changing->pid,
                         changing->method, wake, changing);
    if (changing->op == NULL) {
        wake(changing, global->op_count >= TN_GLOBAL_WAITING_MAX
                           ? TENON_E_LIMIT
                           : TENON_E_NOMEM);
        return;
    }
    tn_global_change_begin(global);
}

static void give_up_change(tenon_node *node, void *user)
{
    struct changing *changing = user;
    (void)node;
    if (changing->waiting.ended) {
        return;
    }
    if (changing->op->acting) {
        tn_global_change_forget(changing->op);
    } else {
        tn_global_change_cancel(changing->waiting.global, changing->op);
    }
}

static enum tenon_err change(tenon_node *node,
                             struct changing *changing,
                             uint32_t timeout_ms,
                             tenon_error *err)
{
    char text[120];
    if (changing->name.bytes == NULL) {
        return tn_error(err, TENON_E_INVAL, "global: no name");
    }
    if (!tn_leaves_levels(changing->name)) {
        return tn_error(err, TENON_E_TERM_DEEP, "global: name: %s",
                        tenon_err_text(TENON_E_TERM_DEEP));
    }
    enum tenon_err rc = waiting_init(&changing->waiting, node, err);
    if (rc < 0) {
        return rc;
    }
    rc = ask(&changing->waiting, timeout_ms, start_change, give_up_change);
    waiting_fini(&changing->waiting);
    if (rc < 0) {
        tenon_term_print(changing->name, text, sizeof text);
        tn_error(err, rc, "global name %s: %s", text, tenon_err_text(rc));
    }
    return rc;
}

/* The method as BEAM nodes can call it. */
static enum tenon_err build_method(tenon_builder *out,
                                   enum tenon_global_resolve resolve)
{
    static const char *const names[] = {
        [TENON_GLOBAL_RANDOM_EXIT] = "random_exit_name",
        [TENON_GLOBAL_RANDOM_NOTIFY] = "random_notify_name",
        [TENON_GLOBAL_NOTIFY_ALL] = "notify_all_name",
    };
    if ((unsigned)resolve >= sizeof names / sizeof names[0]) {
        return tn_builder_fail(out, TENON_E_INVAL);
    }
    return tn_build_export(out, "global", 6, names[resolve],
                           strlen(names[resolve]), 3);
}

static enum tenon_err set_name(tenon_node *node,
                               enum tn_gop_kind kind,
                               tenon_term name,
                               const tenon_pid *pid,
                               enum tenon_global_resolve resolve,
                               uint32_t timeout_ms,
                               tenon_error *err)
{
    struct changing changing = { .kind = kind, .name = name, .pid = pid };
    struct tenon_builder method;
    if (pid == NULL) {
        return tn_error(err, TENON_E_INVAL, "global: no pid");
    }
    tn_builder_init(&method, TENON_TERM_MAX_BYTES);
    enum tenon_err rc = build_method(&method, resolve);
    if (rc == TENON_OK) {
        rc = tenon_builder_term(&method, &changing.method);
    }
    rc = rc < 0 ? tn_error(err, rc, "global: resolve method %d: %s",
                           (int)resolve, tenon_err_text(rc))
                : change(node, &changing, timeout_ms, err);
    tn_builder_fini(&method);
    return rc;
}

enum tenon_err tenon_global_register(tenon_node *node,
                                     tenon_term name,
                                     const tenon_pid *pid,
                                     enum tenon_global_resolve resolve,
                                     uint32_t timeout_ms,
                                     tenon_error *err)
{
    return set_name(node, TN_G_REGISTER, name, pid, resolve, timeout_ms, err);
}

enum tenon_err tenon_global_reregister(tenon_node *node,
                                       tenon_term name,
                                       const tenon_pid *pid,
                                       enum tenon_global_resolve resolve,
                                       uint32_t timeout_ms,
                                       tenon_error *err)
{
    return set_name(node, TN_G_REREGISTER, name, pid, resolve, timeout_ms, err);
}

enum tenon_err tenon_global_unregister(tenon_node *node,
                                       tenon_term name,
                                       uint32_t timeout_ms,
                                       tenon_error *err)
{
    struct changing changing = { .kind = TN_G_UNREGISTER, .name = name };
    return change(node, &changing, timeout_ms, err);
}

enum tenon_err
tenon_global_whereis(tenon_node *node, tenon_term name, tenon_pid *pid)
{
    struct tn_global *global = node != NULL ? tn_global_of(node) : NULL;
    tenon_pid found;
    if (node == NULL || pid == NULL || name.bytes == NULL) {
        return TENON_E_INVAL;
    }
    if (global == NULL) {
        return TENON_E_NOTSUP;
    }
    enum tenon_err rc = tn_global_find(global, name, &found);
    if (rc == TENON_OK) {
        *pid = found;
    }
    return rc;
}

enum tenon_err tenon_global_names(tenon_node *node, tenon_builder *out)
{
    struct tn_global *global = node != NULL ? tn_global_of(node) : NULL;
    if (node == NULL || out == NULL) {
        return TENON_E_INVAL;
    }
    return global == NULL ? tn_builder_fail(out, TENON_E_NOTSUP)
                          : tn_global_list(global, out);
}

/* ---- sync -------------------------------------------------------------- */

static void start_sync(tenon_node *node, void *user)
{
    struct waiting *waiting = user;
    (void)node;
    enum tenon_err rc = waiting->global->stopping
                            ? TENON_E_STOPPED
                            : tn_global_sync(waiting->global, wake, waiting);
    if (rc < 0) {
        wake(waiting, rc);
    }
}

static void give_up_sync(tenon_node *node, void *user)
{
    struct waiting *waiting = user;
    (void)node;
    tn_global_sync_forget(waiting->global, waiting);
}

enum tenon_err
tenon_global_sync(tenon_node *node, uint32_t timeout_ms, tenon_error *err)
{
    struct waiting waiting;
    enum tenon_err rc = waiting_init(&waiting, node, err);
    if (rc < 0) {
        return rc;
    }
    rc = ask(&waiting, timeout_ms, start_sync, give_up_sync);
    waiting_fini(&waiting);
    return rc < 0 ? tn_error(err, rc, "sync of global names: %s",
                             tenon_err_text(rc))
                  : rc;
}

/* ---- locks ------------------------------------------------------------- */

/* A lock as it is set: the id and the nodes of a tenon_global_lock. */
struct locked {
    tenon_value *id;
    struct tn_gnodes nodes;
    uint32_t timeout_ms;
};

static void locked_fini(struct locked *locked)
{
    tenon_value_free(locked->id);
    tn_gnodes_fini(&locked->nodes);
}

static bool add_visible(tenon_node *node, struct tn_gnodes *nodes)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list, element;
    tenon_cursor at;
    tenon_atom name;
    bool ok = tn_gnodes_add(nodes, tenon_node_name(node)) && out != NULL &&
              tenon_node_list(node, TENON_PEERS_VISIBLE, out) == TENON_OK &&
              tenon_builder_term(out, &list) == TENON_OK;
    if (ok) {
        tenon_cursor_init(&at, list);
    }
    while (ok && tenon_cursor_next(&at, &element)) {
        ok = tenon_term_atom(element, &name) == TENON_OK &&
             tn_gnodes_add(nodes, name.text);
    }
    tenon_builder_free(out);
    return ok;
}

static bool fill_nodes(tenon_node *node,
                       const tenon_global_lock *lock,
                       struct tn_gnodes *nodes)
{
    bool ok = lock->nodes != NULL || add_visible(node, nodes);
    for (size_t i = 0; ok && lock->nodes != NULL && i < lock->node_count; i++) {
        ok = tn_gnodes_add(nodes, lock->nodes[i]);
    }
    return ok;
}

static enum tenon_err locked_init(tenon_node *node,
                                  const tenon_global_lock *given,
                                  size_t size,
                                  struct locked *locked)
{
    tenon_global_lock lock;
    *locked = (struct locked){ 0 };
    if (given == NULL || tn_sized_copy(&lock, sizeof lock, given, size) < 0 ||
        lock.resource.bytes == NULL ||
        (lock.nodes == NULL && lock.node_count != 0)) {
        return TENON_E_INVAL;
    }
    locked->timeout_ms = or_default(lock.timeout_ms);
    locked->id = tenon_value_format("{~t, ~t}", lock.resource,
                                    lock.requester.bytes != NULL
                                        ? lock.requester
                                        : tn_process_pid(node->client));
    if (locked->id == NULL || !fill_nodes(node, &lock, &locked->nodes)) {
        locked_fini(locked);
        return TENON_E_NOMEM;
    }
    return TENON_OK;
}

/* One attempt. On the heap: a peer may answer it when the asker has given up;
 * what it then gets is given back. */
struct attempt {
    struct waiting *waiting; /* NULL: given up */
    struct locked locked;
};

struct attempting {
    struct waiting waiting; /* first */
    struct locked *locked;
    struct attempt *attempt;
};

static void free_attempt(struct attempt *attempt)
{
    locked_fini(&attempt->locked);
    free(attempt);
}

static void attempted(struct tn_global *global, void *user, bool ok)
{
    struct attempt *attempt = user;
    if (attempt->waiting != NULL) {
        wake(attempt->waiting, ok ? TENON_OK : TENON_E_EXISTS);
    } else if (ok) {
        tn_global_unlock(global, tenon_value_term(attempt->locked.id),
                         &attempt->locked.nodes);
    }
    free_attempt(attempt);
}

static struct attempt *new_attempt(struct attempting *attempting)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    const struct tn_gnodes *nodes = &attempting->locked->nodes;
    if (attempt == NULL) {
        return NULL;
    }
    attempt->waiting = &attempting->waiting;
    attempt->locked.id =
        tenon_value_new(tenon_value_term(attempting->locked->id));
    bool ok = attempt->locked.id != NULL;
    for (size_t i = 0; ok && i < nodes->count; i++) {
        ok = tn_gnodes_add(&attempt->locked.nodes, nodes->at[i]);
    }
    if (!ok) {
        free_attempt(attempt);
        return NULL;
    }
    return attempt;
}

static void start_attempt(tenon_node *node, void *user)
{
    struct attempting *attempting = user;
    struct tn_global *global = attempting->waiting.global;
    (void)node;
    attempting->attempt = global->stopping ? NULL : new_attempt(attempting);
    if (attempting->attempt == NULL) {
        wake(attempting, global->stopping ? TENON_E_STOPPED : TENON_E_NOMEM);
    } else if (tn_global_try_lock(
                   global, tenon_value_term(attempting->attempt->locked.id),
                   &attempting->attempt->locked.nodes, attempted,
                   attempting->attempt) < 0) {
        free_attempt(attempting->attempt);
        wake(attempting, TENON_E_NOMEM);
    }
}

static void give_up_attempt(tenon_node *node, void *user)
{
    struct attempting *attempting = user;
    (void)node;
    if (!attempting->waiting.ended) {
        attempting->attempt->waiting = NULL;
    }
}

/* EXISTS: somebody else has it. */
static enum tenon_err attempt(tenon_node *node,
                              struct locked *locked,
                              uint32_t timeout_ms,
                              tenon_error *err)
{
    struct attempting attempting = { .locked = locked };
    enum tenon_err rc = waiting_init(&attempting.waiting, node, err);
    if (rc < 0) {
        return rc;
    }
    rc = ask(&attempting.waiting, timeout_ms, start_attempt, give_up_attempt);
    waiting_fini(&attempting.waiting);
    return rc;
}

static enum tenon_err
set_lock(tenon_node *node, struct locked *locked, tenon_error *err)
{
    uint64_t deadline = tn_now_ms() + locked->timeout_ms;
    bool forever = locked->timeout_ms == TENON_NO_TIMEOUT;
    uint64_t now = tn_now_ms();
    enum tenon_err rc = TENON_E_TIMEOUT;
    for (unsigned times = 0; forever || now < deadline; times++) {
        uint32_t left = forever ? TENON_NO_TIMEOUT : (uint32_t)(deadline - now);
        unsigned doublings =
            times < LOCK_DOUBLINGS_MAX ? times : LOCK_DOUBLINGS_MAX;
        rc = attempt(node, locked, left, err);
        if (rc != TENON_E_EXISTS) {
            break;
        }
        rc = TENON_E_TIMEOUT;
        uint32_t pause = 1 + tn_global_random(LOCK_AGAIN_MS << doublings);
        enum tenon_err slept = tenon_sleep(node, pause < left ? pause : left);
        if (slept < 0) {
            rc = slept;
            break;
        }
        now = tn_now_ms();
    }
    if (rc < 0) {
        char text[120];
        tenon_term_print(tenon_value_term(locked->id), text, sizeof text);
        tn_error(err, rc, "global lock %s: %s", text, tenon_err_text(rc));
    }
    return rc;
}

struct releasing {
    struct waiting waiting; /* first */
    struct locked *locked;
    struct tn_gunlocking *unlocking;
};

static void start_release(tenon_node *node, void *user)
{
    struct releasing *releasing = user;
    (void)node;
    releasing->unlocking = tn_global_unlock_all(
        releasing->waiting.global, tenon_value_term(releasing->locked->id),
        &releasing->locked->nodes, wake, releasing);
    if (releasing->unlocking == NULL) {
        wake(releasing, TENON_E_NOMEM);
    }
}

static void give_up_release(tenon_node *node, void *user)
{
    struct releasing *releasing = user;
    (void)node;
    if (!releasing->waiting.ended) {
        tn_global_unlock_forget(releasing->unlocking);
    }
}

static enum tenon_err
del_lock(tenon_node *node, struct locked *locked, tenon_error *err)
{
    struct releasing releasing = { .locked = locked };
    enum tenon_err rc = waiting_init(&releasing.waiting, node, err);
    if (rc < 0) {
        return rc;
    }
    rc = ask(&releasing.waiting, locked->timeout_ms, start_release,
             give_up_release);
    waiting_fini(&releasing.waiting);
    return rc < 0 ? tn_error(err, rc, "global lock: deleting it: %s",
                             tenon_err_text(rc))
                  : rc;
}

/* What all three check. */
static enum tenon_err open_lock(tenon_node *node,
                                const tenon_global_lock *lock,
                                size_t size,
                                struct locked *locked,
                                tenon_error *err)
{
    if (node == NULL) {
        return tn_error(err, TENON_E_INVAL, "global lock: no node");
    }
    if (tn_global_of(node) == NULL) {
        return tn_error(err, TENON_E_NOTSUP,
                        "global lock: node \"%s\" is hidden or has no_global",
                        tenon_node_name(node));
    }
    enum tenon_err rc = locked_init(node, lock, size, locked);
    return rc < 0 ? tn_error(err, rc, "global lock: %s", tenon_err_text(rc))
                  : rc;
}

enum tenon_err tenon_global_set_lock_sized(tenon_node *node,
                                           const tenon_global_lock *lock,
                                           size_t size,
                                           tenon_error *err)
{
    struct locked locked;
    enum tenon_err rc = open_lock(node, lock, size, &locked, err);
    if (rc == TENON_OK) {
        rc = set_lock(node, &locked, err);
        locked_fini(&locked);
    }
    return rc;
}

enum tenon_err tenon_global_del_lock_sized(tenon_node *node,
                                           const tenon_global_lock *lock,
                                           size_t size,
                                           tenon_error *err)
{
    struct locked locked;
    enum tenon_err rc = open_lock(node, lock, size, &locked, err);
    if (rc == TENON_OK) {
        rc = del_lock(node, &locked, err);
        locked_fini(&locked);
    }
    return rc;
}

/* Two threads that name no requester must not share the lock. */
static enum tenon_err own_requester(tenon_node *node, struct locked *locked)
{
    tenon_term part;
    tenon_ref ref;
    enum tenon_err rc = tenon_tuple_get(tenon_value_term(locked->id), 0, &part);
    if (rc < 0) {
        return rc;
    }
    tenon_make_ref(node, &ref);
    tenon_value *id = tenon_value_format("{~t, ~r}", part, &ref);
    if (id == NULL) {
        return TENON_E_NOMEM;
    }
    tenon_value_free(locked->id);
    locked->id = id;
    return TENON_OK;
}

enum tenon_err tenon_global_trans_sized(tenon_node *node,
                                        const tenon_global_lock *lock,
                                        size_t size,
                                        void (*fn)(void *user),
                                        void *user,
                                        tenon_error *err)
{
    struct locked locked;
    if (fn == NULL) {
        return tn_error(err, TENON_E_INVAL, "global lock: no function");
    }
    enum tenon_err rc = open_lock(node, lock, size, &locked, err);
    if (rc < 0) {
        return rc;
    }
    if (lock->requester.bytes == NULL) {
        rc = own_requester(node, &locked);
    }
    if (rc == TENON_OK) {
        rc = set_lock(node, &locked, err);
    }
    if (rc == TENON_OK) {
        fn(user);
        rc = del_lock(node, &locked, err);
    }
    locked_fini(&locked);
    return rc;
}
