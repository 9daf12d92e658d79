/* SPDX-License-Identifier: Apache-2.0 */
/* `rex`, and its nameless twin for the node's own calls: messages that ask for
 * a run of a function. */
#include "otp/rex.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/atoms.h"
#include "otp/erpc.h"
#include "otp/gen.h"
#include "otp/own.h"
#include "otp/result.h"
#include "term/build.h"

/* ---- runs that are answered by a gen reply ----------------------------- */

/* Appends what the caller gets. */
typedef enum tenon_err (*build_fn)(tenon_builder *out,
                                   tenon_term tag,
                                   const struct tn_ending *ending);

static enum tenon_err answer_with(tenon_call *call,
                                  enum tn_outcome outcome,
                                  tenon_term value,
                                  build_fn build)
{
    struct tn_ending ending = tn_ending_of(call, outcome, value);
    struct tenon_builder out;
    tenon_value *reason;
    tenon_term result;
    tn_run_end(call, &ending, &reason);
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    (void)build(&out, call->tag, &ending);
    enum tenon_err rc = tenon_builder_term(&out, &result);
    if (rc < 0) {
        /* Nobody must wait for an answer that cannot be built. */
        result = tn_badrpc_system_limit;
    }
    enum tenon_err sent = tn_gen_reply(call->node, tn_process_pid(call->self),
                                       call->from, call->tag, result);
    if (sent == TENON_E_TERM_DEEP) {
        (void)tn_gen_reply(call->node, tn_process_pid(call->self), call->from,
                           call->tag, tn_badrpc_system_limit);
    }
    tn_builder_fini(&out);
    tenon_value_free(reason);
    return rc < 0 ? rc : sent;
}

static enum tenon_err build_for_rex(tenon_builder *out,
                                    tenon_term tag,
                                    const struct tn_ending *ending)
{
    (void)tag;
    return tn_build_rpc_result(out, ending);
}

static enum tenon_err
rex_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    return answer_with(call, outcome, value, build_for_rex);
}

static enum tenon_err
local_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    return answer_with(call, outcome, value, tn_build_erpc_result);
}

static const struct tn_call_ops rex_ops = {
    .answer = rex_answer,
    .unanswered = tn_run_unanswered,
};

static const struct tn_call_ops local_ops = {
    .answer = local_answer,
    .unanswered = tn_run_unanswered,
};

/* Who asked, how it is answered: {tag, result} to `from`. */
struct asker {
    const struct tn_call_ops *ops;
    tenon_term from;
    tenon_term tag;
    tenon_term group_leader;
};

/* mfa: module, name, arguments; any terms. */
static void start_run(tenon_process *self,
                      const struct asker *asker,
                      const tenon_term mfa[3])
{
    tenon_node *node = tenon_process_node(self);
    struct tn_run run = {
        .module = mfa[0],
        .name = mfa[1],
        .args = mfa[2],
        .tag = asker->tag,
        .group_leader = asker->group_leader,
        .ops = asker->ops,
        .origin = tn_process_origin(self),
        .account = tn_process_account(self),
    };
    tn_run_resolve(node, &run);
    if (tn_spawn_local(node, &run, asker->from, NULL) == TENON_OK ||
        asker->ops == &tn_spawn_ops) {
        return;
    }
    tenon_value *made =
        asker->ops == &local_ops
            ? tenon_value_format("{~t, :error, {:erpc, :system_limit}}",
                                 asker->tag)
            : NULL;
    tenon_term refusal =
        made != NULL ? tenon_value_term(made) : tn_badrpc_system_limit;
    (void)tn_gen_reply(node, tn_process_pid(self), asker->from, asker->tag,
                       refusal);
    tenon_value_free(made);
}

/* What runs has its caller with it: nothing is kept here. The map is that of an
 * idle rex on BEAM. */
static void build_no_state(tenon_node *node, tenon_builder *out)
{
    (void)node;
    tenon_build_map(out, 0);
}

/* ---- rex --------------------------------------------------------------- */

/* {Verb, Module, Function, Args, GroupLeader}. */
static bool
is_run_request(tenon_term request, const char *verb, tenon_term part[5])
{
    return tn_tuple_views(request, part, 5) &&
           tenon_term_is_atom(part[0], verb);
}

static void on_call(tenon_process *self, const struct tn_gen *gen)
{
    tenon_term part[5];
    /* block_call is to keep rex from serving others meanwhile; that is not
     * wanted here. */
    if (is_run_request(gen->request, "call", part) ||
        is_run_request(gen->request, "block_call", part)) {
        struct asker asker = { &rex_ops, gen->from, gen->tag, part[4] };
        start_run(self, &asker, &part[1]);
    }
}

static void on_cast(tenon_process *self, tenon_term request)
{
    tenon_term part[5];
    if (is_run_request(request, "cast", part)) {
        struct asker nobody = { .ops = &tn_spawn_ops, .group_leader = part[4] };
        start_run(self, &nobody, &part[1]);
    }
}

static void send_value(tenon_process *self, tenon_term to, tenon_value *message)
{
    (void)tn_send_answer(tenon_process_node(self), tn_process_pid(self), to,
                         tenon_value_term(message));
    tenon_value_free(message);
}

/* Gives a message to a process of that name, as if the peer had sent it. False:
 * there is none, for the peer that asks. */
static bool relay(tenon_process *self, tenon_term name, tenon_term message)
{
    tenon_node *node = tenon_process_node(self);
    tenon_atom text;
    if (tenon_term_atom(name, &text) < 0) {
        return false;
    }
    tn_access *origin = tn_process_origin(self);
    tenon_process *target = tenon_whereis(node, text.text);
    bool may = target != NULL && tn_may_reach(node, origin, name, false) &&
               tn_may_say(node, origin, message);
    if (may) {
        struct tn_sender sender = { origin, tn_process_account(self) };
        (void)tn_process_give_for(target, &sender, message);
    }
    tenon_process_release(target);
    return may;
}

static void
tell_nonexisting(tenon_process *self, tenon_term from, tenon_term name)
{
    send_value(self, from,
               tenon_value_format("{:rex, ~a, {:nonexisting_name, ~t}}",
                                  tenon_node_name(tenon_process_node(self)),
                                  name));
}

/* {sbcast, Name, Message}. */
static void
on_sbcast(tenon_process *self, tenon_term from, const tenon_term part[3])
{
    const char *own = tenon_node_name(tenon_process_node(self));
    if (relay(self, part[1], part[2])) {
        send_value(self, from, tenon_value_format("{:rex, ~a, ~a}", own, own));
    } else {
        tell_nonexisting(self, from, part[1]);
    }
}

/* {send, Name, Message}: the named process answers by itself. */
static void
on_send(tenon_process *self, tenon_term from, const tenon_term part[3])
{
    struct tn_pair message;
    if (tn_pair_init(&message, from, part[2]) < 0) {
        return;
    }
    if (!relay(self, part[1], message.term)) {
        tell_nonexisting(self, from, part[1]);
    }
    tn_pair_fini(&message);
}

static void on_features_request(tenon_process *self, tenon_term from)
{
    send_value(self, from,
               tenon_value_format("{:features_reply, ~a, [:erpc]}",
                                  tenon_node_name(tenon_process_node(self))));
}

/* {From, Request} of those that do not use gen_server. */
static void on_plain(tenon_process *self, tenon_term from, tenon_term request)
{
    tenon_term part[5];
    if (tenon_term_is_atom(request, "features_request")) {
        on_features_request(self, from);
    } else if (is_run_request(request, "call", part)) {
        struct asker asker = { &rex_ops, from, tn_atom_rex, part[4] };
        start_run(self, &asker, &part[1]);
    } else if (!tn_tuple_views(request, part, 3)) {
        return;
    } else if (tenon_term_is_atom(part[0], "sbcast")) {
        on_sbcast(self, from, part);
    } else if (tenon_term_is_atom(part[0], "send")) {
        on_send(self, from, part);
    }
}

static void rex_on_message(tenon_process *self, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);
    tenon_term part[2];
    if (!tn_gen_may_answer(self, &gen)) {
        return;
    }
    if (gen.kind == TN_GEN_CALL) {
        on_call(self, &gen);
    } else if (gen.kind == TN_GEN_CAST) {
        on_cast(self, gen.request);
    } else if (tn_tuple_views(message, part, 2) &&
               tenon_term_type(part[0]) == TENON_TYPE_PID &&
               tn_may_answer(tenon_process_node(self), tn_process_origin(self),
                             part[0], false)) {
        on_plain(self, part[0], part[1]);
    }
}

/* ---- the node's own calls ---------------------------------------------- */

static void local_on_message(tenon_process *self, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);
    tenon_term part[4];
    if (gen.kind == TN_GEN_CALL && tn_gen_may_answer(self, &gen) &&
        tn_list_views(gen.request, part, 4)) {
        struct asker asker = { &local_ops, gen.from, gen.tag, { NULL, 0 } };
        start_run(self, &asker, &part[1]);
    }
}

/* The pid changes when the process is killed; guarded by the node's lock. */
#define PART "otp/local_rpc"

static enum tenon_err restart_local(tenon_node *node, tenon_error *err)
{
    static const struct tn_own local_rpc = {
        .title = "local rpc",
        .on_message = local_on_message,
        .build_state = build_no_state,
        .start = restart_local,
    };
    tenon_pid fresh;
    enum tenon_err rc = tn_own_start(node, &local_rpc, &fresh, err);
    tenon_pid *pid = tn_node_part(node, PART);
    if (rc < 0 || pid == NULL) {
        return rc;
    }
    tn_lock(node);
    *pid = fresh;
    tn_unlock(node);
    return TENON_OK;
}

enum tenon_err tn_local_rpc_start(tenon_node *node, tenon_error *err)
{
    tenon_pid *pid = calloc(1, sizeof *pid);
    if (pid == NULL) {
        return tn_error(err, TENON_E_NOMEM, "start of the local rpc process");
    }
    enum tenon_err rc = tn_node_attach(node, PART, pid, NULL, free);
    if (rc < 0) {
        free(pid);
        return tn_error(err, rc, "start of the local rpc process");
    }
    return restart_local(node, err);
}

void tn_local_rpc_pid(tenon_node *node, tenon_pid *pid)
{
    const tenon_pid *part = tn_node_part(node, PART);
    memset(pid, 0, sizeof *pid);
    if (part == NULL) {
        return;
    }
    tn_lock(node);
    *pid = *part;
    tn_unlock(node);
}

/* ---- start of rex ------------------------------------------------------ */

enum tenon_err tn_rex_start(tenon_node *node, tenon_error *err)
{
    static const struct tn_own rex = {
        .name = "rex",
        .title = "rex",
        .on_message = rex_on_message,
        .build_state = build_no_state,
        .start = tn_rex_start,
    };
    return tn_own_start(node, &rex, NULL, err);
}
