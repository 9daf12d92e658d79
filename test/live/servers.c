/* SPDX-License-Identifier: Apache-2.0 */
/* A handler library for the ExUnit suite: the module :servers, by whose
 * functions a test starts servers and supervisors that do what it says.
 * elixir_harness has the same as a BEAM module. */
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

#define MODULE "servers"

/* ---- the server --------------------------------------------------------- */

struct counter {
    int64_t n;
    bool is_watched;
    tenon_pid watcher; /* gets every message that is no call and no cast */
};

static void send_to(tenon_node *node, const tenon_pid *to, tenon_term message)
{
    tenon_send(node, &(tenon_dest){ .pid = to }, message, NULL);
}

static bool read_mode(tenon_term term, enum tenon_alias_mode *mode)
{
    *mode = tenon_term_is_atom(term, "reply") ? TENON_ALIAS_REPLY
                                              : TENON_ALIAS_EXPLICIT;
    return *mode == TENON_ALIAS_REPLY || tenon_term_is_atom(term, "explicit");
}

static void make_alias(tenon_call *call, tenon_term how)
{
    enum tenon_alias_mode mode;
    tenon_ref alias;

    if (read_mode(how, &mode) &&
        tenon_alias(tenon_call_self(call), mode, &alias) == TENON_OK) {
        tenon_reply(call, "~r", &alias);
    } else {
        tenon_raise(call, ":badarg");
    }
}

/* Tells a process what GenServer.reply needs to answer this call. */
static void hand_on(tenon_call *call, const tenon_pid *to)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term from;

    if (tenon_call_build_from(call, out) == TENON_OK &&
        tenon_builder_term(out, &from) == TENON_OK) {
        tenon_send_format(tenon_call_node(call), &(tenon_dest){ .pid = to },
                          "{:from, ~t}", from);
    }
    tenon_builder_free(out);
}

static void counter_call(tenon_call *call, void *state)
{
    struct counter *counter = state;
    tenon_process *self = tenon_call_self(call);
    tenon_term request = tenon_call_request(call);
    tenon_term term;
    tenon_pid pid;
    tenon_ref ref;
    int64_t by;

    if (tenon_match(request, ":get")) {
        tenon_reply(call, "~i", counter->n);
    } else if (tenon_match(request, "{:add, ~i}", &by)) {
        tenon_reply(call, "~i", counter->n += by);
    } else if (tenon_match(request, "{:watch, ~p}", &counter->watcher)) {
        counter->is_watched = true;
        tenon_reply(call, ":ok");
    } else if (tenon_match(request, "{:trap_exit, ~t}", &term)) {
        tenon_process_trap_exit(self, tenon_term_is_atom(term, "true"));
        tenon_reply(call, ":ok");
    } else if (tenon_match(request, "{:link, ~p}", &pid)) {
        tenon_reply(call, tenon_link(self, &pid) == TENON_OK ? ":ok" : ":no");
    } else if (tenon_match(request, "{:continue, ~t}", &term)) {
        tenon_server_continue(self, "~t", term);
        tenon_reply(call, ":first");
    } else if (tenon_match(request, "{:hand_on, ~p}", &pid)) {
        hand_on(call, &pid);
    } else if (tenon_match(request, "{:alias, ~t}", &term)) {
        make_alias(call, term);
    } else if (tenon_match(request, "{:unalias, ~r}", &ref)) {
        tenon_reply(call, tenon_unalias(self, &ref) ? "true" : "false");
    } else if (tenon_match(request, "{:exit, ~t}", &term)) {
        tenon_exit(call, "~t", term);
    } else {
        tenon_raise(call, ":badarg");
    }
}

/* Calls a server as gen does, with the reference of a monitor as the alias; the
 * answer comes to the watcher. */
static void
call_by_alias(tenon_process *self, const tenon_pid *server, tenon_term request)
{
    tenon_dest to = { .pid = server };
    tenon_pid pid;
    tenon_ref ref;

    tenon_process_pid(self, &pid);
    if (tenon_monitor_alias(self, &to, TENON_ALIAS_REPLY, &ref) == TENON_OK) {
        tenon_send_format(tenon_process_node(self), &to,
                          "{:\"$gen_call\", {~p, [:alias | ~r]}, ~t}", &pid,
                          &ref, request);
    }
}

static void counter_cast(tenon_process *self, tenon_term request, void *state)
{
    struct counter *counter = state;
    tenon_node *node = tenon_process_node(self);
    tenon_term term, from;
    tenon_pid pid;
    tenon_ref ref;
    uint64_t ms;
    int64_t by;

    if (tenon_match(request, "{:add, ~i}", &by)) {
        counter->n += by;
    } else if (tenon_match(request, "{:timeout, ~u}", &ms)) {
        tenon_server_timeout(self, (uint32_t)ms);
    } else if (tenon_match(request, "{:reply, ~t, ~t}", &from, &term)) {
        tenon_server_reply(node, from, term);
    } else if (tenon_match(request, "{:exit, ~p, ~t}", &pid, &term)) {
        tenon_exit_signal(self, &pid, term);
    } else if (tenon_match(request, "{:send, ~r, ~t}", &ref, &term)) {
        tenon_send_alias(node, &ref, term, NULL);
    } else if (tenon_match(request, "{:call, ~p, ~t}", &pid, &term)) {
        call_by_alias(self, &pid, term);
    } else if (tenon_match(request, "{:stop, ~t}", &term)) {
        tenon_process_exit(self, "~t", term);
    }
}

static void counter_info(tenon_process *self, tenon_term message, void *state)
{
    const struct counter *counter = state;

    if (counter->is_watched) {
        send_to(tenon_process_node(self), &counter->watcher, message);
    }
}

static void counter_continue(tenon_process *self, tenon_term what, void *state)
{
    const struct counter *counter = state;

    if (counter->is_watched) {
        tenon_send_format(tenon_process_node(self),
                          &(tenon_dest){ .pid = &counter->watcher },
                          "{:continued, ~t}", what);
    }
}

static void counter_state(tenon_builder *out, void *state)
{
    const struct counter *counter = state;

    tenon_build_int(out, counter->n);
}

static bool counter_set_state(tenon_term term, void *state)
{
    struct counter *counter = state;

    return tenon_term_int64(term, &counter->n) == TENON_OK;
}

static void
counter_terminate(tenon_process *self, tenon_term reason, void *state)
{
    (void)self;
    (void)reason;
    free(state);
}

/* ---- the module :servers ------------------------------------------------ */

/* name: nil for none. parent: NULL for none. */
static void start_counter(tenon_call *call,
                          const tenon_pid *parent,
                          tenon_term name,
                          tenon_term n)
{
    tenon_atom text;
    tenon_pid pid;
    tenon_error err = { 0 };
    struct counter *counter = calloc(1, sizeof *counter);

    if (counter == NULL || tenon_term_atom(name, &text) != TENON_OK ||
        tenon_term_int64(n, &counter->n) != TENON_OK) {
        free(counter);
        tenon_raise(call, ":badarg");
        return;
    }
    tenon_process *server = tenon_server_start(
        tenon_call_node(call),
        &(tenon_server_config){
            .name = strcmp(text.text, "nil") != 0 ? text.text : NULL,
            .on_call = counter_call,
            .on_cast = counter_cast,
            .on_info = counter_info,
            .on_continue = counter_continue,
            .on_get_state = counter_state,
            .on_replace_state = counter_set_state,
            .on_terminate = counter_terminate,
            .state = counter,
            .parent = parent,
            .err = &err,
        });

    if (server == NULL) {
        free(counter);
        tenon_reply_error(call, "~s", err.text);
        return;
    }
    tenon_process_pid(server, &pid);
    tenon_process_release(server);
    tenon_reply_ok(call, "~p", &pid);
}

/* start(name, n) */
static void start(tenon_call *call, void *user)
{
    (void)user;
    start_counter(call, NULL, tenon_call_arg(call, 0), tenon_call_arg(call, 1));
}

/* start_link(name, n): linked to who calls, a supervisor here or there. */
static void start_link(tenon_call *call, void *user)
{
    tenon_pid parent;

    (void)user;
    if (tenon_call_from(call, &parent) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    start_counter(call, &parent, tenon_call_arg(call, 0),
                  tenon_call_arg(call, 1));
}

/* start_link(parent, name, n) */
static void start_link_to(tenon_call *call, void *user)
{
    tenon_pid parent;

    (void)user;
    if (tenon_term_pid(tenon_call_arg(call, 0), &parent) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    start_counter(call, &parent, tenon_call_arg(call, 1),
                  tenon_call_arg(call, 2));
}

/* double(n), for :sys.replace_state */
static void twice(tenon_call *call, void *user)
{
    int64_t n;

    (void)user;
    if (tenon_term_int64(tenon_call_arg(call, 0), &n) == TENON_OK) {
        tenon_reply(call, "~i", 2 * n);
    } else {
        tenon_raise(call, ":badarg");
    }
}

static const struct {
    const char *name;
    enum tenon_strategy strategy;
} strategies[] = {
    { "one_for_one", TENON_ONE_FOR_ONE },
    { "one_for_all", TENON_ONE_FOR_ALL },
    { "rest_for_one", TENON_REST_FOR_ONE },
    { "dynamic", TENON_DYNAMIC },
};

static void supervise(tenon_call *call, const tenon_pid *parent)
{
    tenon_atom name, strategy;
    int64_t restarts;
    tenon_pid pid;
    tenon_error err = { 0 };
    tenon_supervisor_config config = { .parent = parent, .err = &err };

    if (!tenon_match(tenon_call_request(call), "[~a, ~a, ~i]", &name, &strategy,
                     &restarts)) {
        tenon_raise(call, ":badarg");
        return;
    }
    config.name = name.text;
    config.max_restarts = (uint32_t)restarts;
    config.max_seconds = 60;
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        if (strcmp(strategy.text, strategies[i].name) == 0) {
            config.strategy = strategies[i].strategy;
        }
    }
    tenon_process *supervisor =
        tenon_supervisor_start(tenon_call_node(call), &config);

    if (supervisor == NULL) {
        tenon_reply_error(call, "~s", err.text);
        return;
    }
    tenon_process_pid(supervisor, &pid);
    tenon_process_release(supervisor);
    tenon_reply_ok(call, "~p", &pid);
}

/* start_supervisor(name, strategy, max_restarts) */
static void start_supervisor(tenon_call *call, void *user)
{
    (void)user;
    supervise(call, NULL);
}

/* start_supervisor_link(name, strategy, max_restarts) */
static void start_supervisor_link(tenon_call *call, void *user)
{
    tenon_pid parent;

    (void)user;
    if (tenon_call_from(call, &parent) == TENON_OK) {
        supervise(call, &parent);
    }
}

/* stop(pid, reason): as GenServer.stop(pid, reason, 5_000) */
static void stop(tenon_call *call, void *user)
{
    tenon_pid pid;

    (void)user;
    if (tenon_term_pid(tenon_call_arg(call, 0), &pid) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    switch (tenon_server_stop(tenon_call_node(call),
                              &(tenon_dest){ .pid = &pid },
                              tenon_call_arg(call, 1), 5000, NULL)) {
    case TENON_OK:
        tenon_reply(call, ":ok");
        break;
    case TENON_E_NOPROC:
        tenon_exit(call, "{:noproc, :stop}");
        break;
    default:
        tenon_exit(call, "{:failed, :stop}");
    }
}

/* mailbox(pid): tells it {:mailbox, pid} and returns what that gets, one
 * message, or :ended. It traps exits. */
static void mailbox(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    tenon_process *box = tenon_mailbox_new(node, NULL, NULL);
    tenon_value *message = NULL;
    tenon_pid to, pid;

    (void)user;
    if (box == NULL ||
        tenon_term_pid(tenon_call_arg(call, 0), &to) != TENON_OK) {
        tenon_process_release(box);
        tenon_raise(call, ":badarg");
        return;
    }
    tenon_process_trap_exit(box, true);
    tenon_process_pid(box, &pid);
    tenon_send_format(node, &(tenon_dest){ .pid = &to }, "{:mailbox, ~p}",
                      &pid);
    if (tenon_receive(box, 10000, &message) == TENON_OK) {
        tenon_reply_term(call, tenon_value_term(message));
    } else {
        tenon_reply(call, ":ended");
    }
    tenon_value_free(message);
    tenon_process_exit(box, ":normal");
    tenon_process_release(box);
}

/* refuse(reason): a start function that fails */
static void refuse(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_error(call, "~t", tenon_call_arg(call, 0));
}

static void ignore(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, ":ignore");
}

static const struct handler functions[] = {
    { "start", 2, start },
    { "start_link", 2, start_link },
    { "start_link", 3, start_link_to },
    { "double", 1, twice },
    { "start_supervisor", 3, start_supervisor },
    { "start_supervisor_link", 3, start_supervisor_link },
    { "stop", 2, stop },
    { "mailbox", 1, mailbox },
    { "refuse", 1, refuse },
    { "ignore", 0, ignore },
};

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    (void)state;
    (void)err;
    return add_handlers(node, MODULE, functions,
                        sizeof functions / sizeof *functions);
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, "servers", load, NULL };
