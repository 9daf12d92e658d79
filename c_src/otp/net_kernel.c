/* SPDX-License-Identifier: Apache-2.0 */
/* The process registered as net_kernel. Connects nobody. */
#include "otp/net_kernel.h"

#include <stdlib.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/atoms.h"
#include "otp/erpc.h"
#include "otp/gen.h"
#include "otp/own.h"
#include "term/build.h"

/* What the new process does before it runs its function; the call's extra. */
struct birth {
    struct tn_target target;
    bool link;
};

static enum tenon_err
spawned_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    return tn_spawn_ops.answer(call, outcome, value);
}

static const struct tn_call_ops spawned_ops = {
    .answer = spawned_answer,
    .unanswered = tn_spawn_unanswered,
    .free_extra = free,
};

/* The link goes first: a caller that has the pid is linked. */
static void give_birth(tenon_call *call, void *user)
{
    (void)user;
    const struct birth *birth = call->extra;
    struct tn_target target = birth->target;
    tenon_pid parent;
    if (birth->link && tenon_term_pid(call->from, &parent) == TENON_OK) {
        (void)!tenon_link(call->self, &parent);
    }
    tenon_term pid = tn_process_pid(call->self);
    (void)tn_gen_reply(call->node, pid, call->from, call->tag, pid);
    if (target.fn == NULL) {
        tenon_raise(call, ":undef");
    } else {
        target.fn(call, target.user);
    }
}

/* mfa: module, name, arguments; any terms. */
static void spawn_for(tenon_process *self,
                      const struct tn_gen *gen,
                      const tenon_term mfa[3],
                      bool link)
{
    tenon_node *node = tenon_process_node(self);
    struct birth *birth = malloc(sizeof *birth);
    struct tn_run run = {
        .module = mfa[0],
        .name = mfa[1],
        .args = mfa[2],
        .tag = gen->tag,
        .ops = &spawned_ops,
        .origin = tn_process_origin(self),
        .account = tn_process_account(self),
    };
    tn_run_resolve(node, &run);
    if (birth != NULL) {
        *birth = (struct birth){ .target = run.target, .link = link };
        run.target.fn = give_birth;
        if (birth->target.fn == NULL) {
            run.target.flags = TENON_INLINE;
        }
        if (tn_spawn_local(node, &run, gen->from, birth) == TENON_OK) {
            return;
        }
    }
    free(birth);
    tenon_value *refusal = tenon_value_format("{:EXIT, {:system_limit, []}}");
    (void)tn_gen_reply(node, tn_process_pid(self), gen->from, gen->tag,
                       tenon_value_term(refusal));
    tenon_value_free(refusal);
}

static void on_call(tenon_process *self, const struct tn_gen *gen)
{
    tenon_term part[7];
    if (tn_tuple_views(gen->request, part, 2)) {
        if (tenon_term_is_atom(part[0], "is_auth")) {
            (void)tn_gen_reply(tenon_process_node(self), tn_process_pid(self),
                               gen->from, gen->tag, tn_atom_yes);
        }
    } else if (tn_tuple_views(gen->request, part, 5)) {
        if (tenon_term_is_atom(part[0], "spawn")) {
            spawn_for(self, gen, &part[1], false);
        } else if (tenon_term_is_atom(part[0], "spawn_link")) {
            spawn_for(self, gen, &part[1], true);
        }
    } else if (tn_tuple_views(gen->request, part, 7) &&
               tenon_term_is_atom(part[0], "spawn_opt")) {
        spawn_for(self, gen, &part[1], tenon_term_is_atom(part[5], "link"));
    }
}

static void on_message(tenon_process *self, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);
    if (gen.kind == TN_GEN_CALL && tn_gen_may_answer(self, &gen)) {
        on_call(self, &gen);
    }
}

static void build_state(tenon_node *node, tenon_builder *out)
{
    tenon_build_map(out, 3);
    tenon_build_atom(out, "node");
    tenon_build_atom(out, tenon_node_name(node));
    tenon_build_atom(out, "net_ticktime");
    tenon_build_uint(out, tn_ticktime_s(node));
    tenon_build_atom(out, "connected");
    if (tenon_node_list(node, TENON_PEERS_CONNECTED, out) != TENON_OK) {
        tn_builder_fail(out, TENON_E_NOMEM);
    }
}

enum tenon_err tn_net_kernel_start(tenon_node *node, tenon_error *err)
{
    static const struct tn_own net_kernel = {
        .name = "net_kernel",
        .title = "net_kernel",
        .on_message = on_message,
        .build_state = build_state,
        .start = tn_net_kernel_start,
    };
    return tn_own_start(node, &net_kernel, NULL, err);
}
