/* SPDX-License-Identifier: Apache-2.0 */
/* Running a registered function right here, for its result. */
#include "otp/apply.h"

#include <stdlib.h>

#include "node/atoms.h"
#include "node/node.h"

/* Where the answer goes. The call holds it, and whoever waits; guarded by the
 * node's lock. */
struct slot {
    tenon_node *node;
    unsigned holders;
    bool closed; /* nobody looks any more */
    bool answered;
    struct tn_applied applied;
};

static void release(void *user)
{
    struct slot *slot = user;
    tn_lock(slot->node);
    bool last = --slot->holders == 0;
    tn_unlock(slot->node);
    if (last) {
        tn_applied_fini(&slot->applied);
        free(slot);
    }
}

static enum tenon_err
keep_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    struct slot *slot = call->extra;
    tenon_value *copy = tenon_value_new(value);
    bool made = copy != NULL;
    tn_lock(slot->node);
    if (!slot->closed) {
        slot->answered = true;
        slot->applied = (struct tn_applied){ outcome, copy };
        copy = NULL;
    }
    tn_unlock(slot->node);
    tenon_value_free(copy);
    return made ? TENON_OK : TENON_E_NOMEM;
}

static const struct tn_call_ops apply_ops = { .answer = keep_answer,
                                              .free_extra = release };

static enum tenon_err take(struct slot *slot, struct tn_applied *applied)
{
    tn_lock(slot->node);
    slot->closed = true;
    bool answered = slot->answered;
    if (answered) {
        *applied = slot->applied;
        slot->applied.value = NULL;
    }
    tn_unlock(slot->node);
    if (!answered) {
        *applied =
            (struct tn_applied){ TN_OUT_RETURN, tenon_value_new(tn_atom_nil) };
    }
    return applied->value == NULL ? TENON_E_NOMEM : TENON_OK;
}

enum tenon_err tn_apply(tenon_process *self,
                        const struct tn_target *target,
                        const tenon_term name[2],
                        tenon_term args,
                        struct tn_applied *applied)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        return TENON_E_NOMEM;
    }
    slot->node = self->node;
    slot->holders = 2;
    tenon_call call;
    tn_call_init(&call, &apply_ops, self);
    call.request = args;
    call.from = tn_process_pid(self);
    call.module = name[0];
    call.name = name[1];
    call.extra = slot;
    call.origin = tn_process_origin(self);
    call.account = tn_process_account(self);
    target->fn(&call, target->user);
    enum tenon_err rc = take(slot, applied);
    tn_call_finish(&call);
    release(slot);
    return rc;
}

void tn_applied_fini(struct tn_applied *applied)
{
    tenon_value_free(applied->value);
    applied->value = NULL;
}
