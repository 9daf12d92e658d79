/* SPDX-License-Identifier: Apache-2.0 */
/* Answering calls, and keeping them beyond their handler. */
#include "node/call.h"

#include <stdlib.h>
#include <string.h>

#include "node/atoms.h"
#include "node/node.h"
#include "term/build.h"
#include "term/format.h"
#include "term/view.h"

void tn_call_init(tenon_call *call,
                  const struct tn_call_ops *ops,
                  tenon_process *self)
{
    memset(call, 0, sizeof(*call));
    call->ops = ops;
    call->self = self;
    call->node = self->node;
    atomic_init(&call->answered, false);
}

static void free_extra(tenon_call *call)
{
    if (call->extra != NULL && call->ops->free_extra != NULL) {
        call->ops->free_extra(call->extra);
    }
    call->extra = NULL;
}

void tn_call_finish(tenon_call *call)
{
    if (call->moved) {
        return;
    }
    if (!atomic_load(&call->answered) && call->ops->unanswered != NULL) {
        call->ops->unanswered(call);
    }
    free_extra(call);
}

tenon_term tenon_call_request(const tenon_call *call)
{
    return call->request;
}

tenon_term tenon_call_arg(const tenon_call *call, size_t index)
{
    tenon_cursor at;
    tenon_term arg;
    tenon_cursor_init(&at, call->request);
    for (size_t i = 0; tenon_cursor_next(&at, &arg); i++) {
        if (i == index) {
            return arg;
        }
    }
    return (tenon_term){ NULL, 0 };
}

enum tenon_err tenon_call_from(const tenon_call *call, tenon_pid *from)
{
    return tenon_term_pid(call->from, from);
}

void tenon_call_group_leader(const tenon_call *call, tenon_pid *leader)
{
    if (tenon_term_pid(call->group_leader, leader) != TENON_OK) {
        tenon_process_pid(call->node->group_leader, leader);
    }
}

tenon_node *tenon_call_node(const tenon_call *call)
{
    return call->node;
}

tenon_process *tenon_call_self(const tenon_call *call)
{
    return call->self;
}

tenon_call *tenon_call_keep(tenon_call *call)
{
    if (call == NULL || call->moved || atomic_load(&call->answered)) {
        return NULL;
    }
    size_t bytes = call->request.len + call->from.len + call->tag.len +
                   call->module.len + call->name.len + call->group_leader.len;
    tenon_call *kept = malloc(sizeof(*kept) + bytes);
    if (kept == NULL) {
        return NULL;
    }
    *kept = *call;
    atomic_init(&kept->answered, false);
    uint8_t *to = (uint8_t *)(kept + 1);
    kept->request = tn_term_copy_to(&to, call->request);
    kept->from = tn_term_copy_to(&to, call->from);
    kept->tag = tn_term_copy_to(&to, call->tag);
    kept->module = tn_term_copy_to(&to, call->module);
    kept->name = tn_term_copy_to(&to, call->name);
    kept->group_leader = tn_term_copy_to(&to, call->group_leader);
    kept->origin = tn_access_ref(call->origin);
    kept->account = tn_account_ref(call->account);
    kept->kept_bytes = sizeof *kept + bytes;
    tn_account_charge_always(kept->account, kept->kept_bytes);
    tenon_process_keep(kept->self);
    call->moved = true;
    call->extra = NULL;
    return kept;
}

void tenon_call_release(tenon_call *call)
{
    if (call == NULL) {
        return;
    }
    tn_call_finish(call);
    tenon_process_release(call->self);
    tn_access_unref(call->origin);
    tn_account_discharge(call->account, call->kept_bytes);
    tn_account_unref(call->account);
    free(call);
}

enum tenon_err
tn_call_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    if (call == NULL || call->moved || value.bytes == NULL ||
        atomic_exchange(&call->answered, true)) {
        return TENON_E_INVAL;
    }
    return call->ops->answer(call, outcome, value);
}

/* What could not be built is the handler's mistake: its caller is told as if
 * it had raised badarg. */
static enum tenon_err answer_badarg(tenon_call *call)
{
    (void)tn_call_answer(call, TN_OUT_ERROR, tn_atom_badarg);
    return TENON_E_INVAL;
}

static enum tenon_err
answer_unbuilt(tenon_call *call, enum tn_outcome outcome, enum tenon_err why)
{
    if (why != TENON_E_TERM_DEEP || outcome != TN_OUT_RETURN ||
        call->ops->too_deep == NULL) {
        return answer_badarg(call);
    }
    if (call->moved || atomic_exchange(&call->answered, true)) {
        return TENON_E_INVAL;
    }
    call->ops->too_deep(call);
    return TENON_E_TERM_DEEP;
}

enum tenon_err tn_call_answer_va(tenon_call *call,
                                 enum tn_outcome outcome,
                                 const char *wrap,
                                 const char *pattern,
                                 va_list args)
{
    if (call == NULL || pattern == NULL) {
        return TENON_E_INVAL;
    }
    struct tenon_builder out;
    tenon_term value;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (wrap != NULL) {
        tenon_build_tuple(&out, 2);
        tenon_build_atom(&out, wrap);
    }
    va_list copy;
    va_copy(copy, args);
    (void)tn_format_va(&out, pattern, &copy);
    va_end(copy);
    enum tenon_err rc = tenon_builder_term(&out, &value);
    rc = rc == TENON_OK ? tn_call_answer(call, outcome, value)
                        : answer_unbuilt(call, outcome, rc);
    tn_builder_fini(&out);
    return rc;
}

#define ANSWER(call, outcome, wrap, pattern)                                   \
    va_list args;                                                              \
    va_start(args, pattern);                                                   \
    enum tenon_err rc = tn_call_answer_va(call, outcome, wrap, pattern, args); \
    va_end(args);                                                              \
    return rc

enum tenon_err tenon_reply(tenon_call *call, const char *pattern, ...)
{
    ANSWER(call, TN_OUT_RETURN, NULL, pattern);
}

enum tenon_err tenon_reply_term(tenon_call *call, tenon_term value)
{
    return tn_call_answer(call, TN_OUT_RETURN, value);
}

enum tenon_err tenon_reply_ok(tenon_call *call, const char *pattern, ...)
{
    ANSWER(call, TN_OUT_RETURN, "ok", pattern);
}

enum tenon_err tenon_reply_error(tenon_call *call, const char *pattern, ...)
{
    ANSWER(call, TN_OUT_RETURN, "error", pattern);
}

enum tenon_err tenon_raise(tenon_call *call, const char *pattern, ...)
{
    ANSWER(call, TN_OUT_ERROR, NULL, pattern);
}

enum tenon_err tenon_throw(tenon_call *call, const char *pattern, ...)
{
    ANSWER(call, TN_OUT_THROW, NULL, pattern);
}

enum tenon_err tenon_exit(tenon_call *call, const char *pattern, ...)
{
    ANSWER(call, TN_OUT_EXIT, NULL, pattern);
}
