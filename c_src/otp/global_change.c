/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of global names by this node, one after the other: all members are
 * locked, all are told, all are unlocked. */
#include <stdlib.h>
#include <string.h>

#include "otp/global_core.h"

/* After each failed attempt to lock the wait doubles, from 1/8 s on. */
#define AGAIN_MS 125u
#define LONGEST_MS 8000u
#define DOUBLINGS_MAX 6u

static const tenon_term null_term = { NULL, 0 };

/* The question to one node; `call` first. */
struct telling {
    struct tn_gcall call;
    char node[TENON_NODE_NAME_MAX_BYTES + 1];
};

static void begin(struct tn_global *global, struct tn_gop *op);

static void free_op(struct tn_gop *op)
{
    tn_gnodes_fini(&op->nodes);
    tenon_value_free(op->id);
    tenon_value_free(op->name);
    tenon_value_free(op->method);
    free(op);
}

/* Begins the first one, and those behind it that end at once. */
static void run(struct tn_global *global)
{
    struct tn_gop *op;

    if (global->ops_running) {
        return;
    }
    global->ops_running = true;
    while ((op = STAILQ_FIRST(&global->ops)) != NULL && !op->begun) {
        op->begun = true;
        begin(global, op);
    }
    global->ops_running = false;
}

static void end(struct tn_global *global, struct tn_gop *op, enum tenon_err rc)
{
    STAILQ_REMOVE(&global->ops, op, tn_gop, next);
    global->op_count--;
    op->done(op->user, rc);
    free_op(op);
    run(global);
}

/* ---- telling all ------------------------------------------------------- */

static void all_told(struct tn_global *global, struct tn_gop *op)
{
    tn_global_unlock_known(global, tenon_value_term(op->id), &op->nodes);
    end(global, op, op->rc);
}

static void one_told(struct tn_global *global, struct tn_gop *op)
{
    if (--op->waiting == 0) {
        all_told(global, op);
    }
}

static void
has_told(struct tn_global *global, struct tn_gcall *call, tenon_term reply)
{
    struct tn_gop *op = call->user;

    (void)reply; /* it is gone, or has done it */
    free(call);
    one_told(global, op);
}

static void tell(struct tn_global *global,
                 struct tn_gop *op,
                 const char *node,
                 tenon_term request)
{
    struct telling *telling = calloc(1, sizeof *telling);

    if (telling == NULL) {
        /* Without this change it must not be a member. */
        global->io->disconnect(global->io_user, node);
        return;
    }
    strncpy(telling->node, node, sizeof telling->node - 1);
    telling->call = (struct tn_gcall){
        .global = global, .ended = has_told, .user = op, .node = telling->node
    };
    op->waiting++;
    global->io->call(global->io_user, node, request, &telling->call);
}

static enum tenon_err change_here(struct tn_global *global, struct tn_gop *op)
{
    tenon_term name = tenon_value_term(op->name);
    tenon_value *pid = NULL;
    enum tenon_err rc = TENON_OK;

    if (op->kind == TN_G_UNREGISTER) {
        struct tn_gname *entry = tn_gname_find(global, name);

        if (entry != NULL) {
            tn_gname_delete(global, entry);
        }
        return TENON_OK;
    }
    pid = tenon_value_format("~p", &op->pid);
    rc = pid == NULL
             ? TENON_E_NOMEM
             : tn_gname_insert(
                   global, name, tenon_value_term(pid),
                   tenon_value_term(op->method),
                   tn_glock_still_set(global, tenon_value_term(global->holder),
                                      null_term));
    tenon_value_free(pid);
    return rc;
}

static tenon_value *make_request(const struct tn_gop *op)
{
    return op->kind == TN_G_UNREGISTER
               ? tenon_value_format("{:unregister, ~t}",
                                    tenon_value_term(op->name))
               : tenon_value_format("{:register, ~t, ~p, ~t}",
                                    tenon_value_term(op->name), &op->pid,
                                    tenon_value_term(op->method));
}

static enum tenon_err may_change(struct tn_global *global, struct tn_gop *op)
{
    tenon_pid taken;

    if (op->kind == TN_G_REGISTER &&
        tn_global_find(global, tenon_value_term(op->name), &taken) ==
            TENON_OK) {
        return TENON_E_EXISTS;
    }
    return TENON_OK;
}

static void act(struct tn_global *global, struct tn_gop *op)
{
    tenon_value *request = make_request(op);

    op->acting = true;
    op->waiting = 1;
    op->rc = request == NULL ? TENON_E_NOMEM : may_change(global, op);
    if (op->rc == TENON_OK) {
        op->rc = change_here(global, op);
    }
    for (size_t i = 0; op->rc == TENON_OK && i < op->nodes.count; i++) {
        if (strcmp(op->nodes.at[i], global->own) != 0) {
            tell(global, op, op->nodes.at[i], tenon_value_term(request));
        }
    }
    tenon_value_free(request);
    one_told(global, op);
}

/* ---- locking all ------------------------------------------------------- */

static void again(struct tn_global *global, void *user)
{
    struct tn_gop *op = user;

    (void)global;
    begin(global, op);
}

static void retry(struct tn_global *global, struct tn_gop *op)
{
    uint32_t times = op->times < DOUBLINGS_MAX ? op->times : DOUBLINGS_MAX;

    op->times++;
    op->again.global = global;
    op->again.fn = again;
    op->again.user = op;
    if (!global->io->timer_start(global->io_user, &op->again,
                                 1 + tn_global_random(AGAIN_MS << times))) {
        end(global, op, TENON_E_NOMEM);
    }
}

/* Somebody may have come to be known while the others were being locked; and
 * somebody may have gone, so that to count them is not enough. */
static bool has_all(struct tn_global *global, const struct tn_gop *op)
{
    uint64_t round = ++global->list_round;

    for (size_t i = 0; i < op->nodes.count; i++) {
        struct tn_gpeer *peer = tn_gpeer_find(global, op->nodes.at[i]);

        if (peer != NULL) {
            peer->list_round = round;
        }
    }
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (peer->known && peer->list_round != round) {
            return false;
        }
    }
    return true;
}

static void on_locked(struct tn_global *global, void *user, bool ok)
{
    struct tn_gop *op = user;

    op->locking = NULL;
    if (ok && has_all(global, op)) {
        act(global, op);
        return;
    }
    if (ok) {
        tn_global_unlock_known(global, tenon_value_term(op->id), &op->nodes);
    }
    retry(global, op);
}

static bool fill_stages(struct tn_global *global, struct tn_gop *op)
{
    tn_gnodes_fini(&op->nodes);
    bool ok = tn_global_known(global, true, &op->nodes) &&
              tn_glocking_add(op->locking, 0, tn_gnodes_boss(&op->nodes));

    for (size_t i = 0; ok && i < op->nodes.count; i++) {
        ok = tn_glocking_add(op->locking, 1, op->nodes.at[i]);
    }
    return ok;
}

static void begin(struct tn_global *global, struct tn_gop *op)
{
    op->locking =
        tn_glocking_new(global, tenon_value_term(op->id), on_locked, op);
    if (op->locking != NULL && fill_stages(global, op)) {
        tn_glocking_start(op->locking);
        return;
    }
    if (op->locking != NULL) {
        tn_glocking_free(op->locking);
        op->locking = NULL;
    }
    end(global, op, TENON_E_NOMEM);
}

/* ---- requests ---------------------------------------------------------- */

struct tn_gop *tn_global_change(struct tn_global *global,
                                enum tn_gop_kind kind,
                                tenon_term name,
                                const tenon_pid *pid,
                                tenon_term method,
                                void (*done)(void *, enum tenon_err),
                                void *user)
{
    struct tn_gop *op = global->op_count >= TN_GLOBAL_WAITING_MAX
                            ? NULL
                            : calloc(1, sizeof *op);

    if (op == NULL) {
        return NULL;
    }
    op->kind = kind;
    op->done = done;
    op->user = user;
    op->id =
        tenon_value_format("{:global, ~t}", tenon_value_term(global->holder));
    op->name = tn_global_canonical(name);
    op->method = method.bytes != NULL ? tenon_value_new(method) : NULL;
    if (pid != NULL) {
        op->pid = *pid;
    }
    if (op->id == NULL || op->name == NULL ||
        (method.bytes != NULL && op->method == NULL)) {
        free_op(op);
        return NULL;
    }
    STAILQ_INSERT_TAIL(&global->ops, op, next);
    global->op_count++;
    return op;
}

void tn_global_change_begin(struct tn_global *global)
{
    run(global);
}

void tn_global_change_cancel(struct tn_global *global, struct tn_gop *op)
{
    if (op->acting) {
        return;
    }
    if (op->locking != NULL) {
        tn_glocking_drop(op->locking);
        op->locking = NULL;
    }
    global->io->timer_stop(global->io_user, &op->again);
    end(global, op, TENON_E_TIMEOUT);
}

static void ignore(void *user, enum tenon_err rc)
{
    (void)user;
    (void)rc;
}

void tn_global_change_forget(struct tn_gop *op)
{
    op->done = ignore;
}

/* One that is being told to the others is kept until their answers, or the
 * ends of their connections, have come. */
void tn_gops_stop(struct tn_global *global)
{
    struct tn_gop *op, *following;

    global->ops_running = true; /* no other is begun */
    for (op = STAILQ_FIRST(&global->ops); op != NULL; op = following) {
        following = STAILQ_NEXT(op, next);
        op->done(op->user, TENON_E_STOPPED);
        op->done = ignore;
        if (!op->acting) {
            tn_global_change_cancel(global, op);
        }
    }
}

void tn_gops_fini(struct tn_global *global)
{
    struct tn_gop *op;

    while ((op = STAILQ_FIRST(&global->ops)) != NULL) {
        STAILQ_REMOVE_HEAD(&global->ops, next);
        free_op(op);
    }
}
