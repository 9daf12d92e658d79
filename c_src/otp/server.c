/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: processes that take gen_server's messages and give them to the
 * callbacks of a tenon_server_config. */
#include "otp/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "node/atoms.h"
#include "node/call.h"
#include "node/node.h"
#include "otp/atoms.h"
#include "otp/gen.h"
#include "otp/sys.h"
#include "term/build.h"
#include "term/format.h"

/* The state of one server; its own process alone touches it, but for `waits`
 * and `idle`. */
struct server {
    struct tenon_server_config config;   /* name, parent, continue_with and err
                                          are not looked at */
    const struct tn_server_hooks *hooks; /* NULL: none */
    tenon_value *parent;                 /* its pid; constant; NULL: none */
    struct tn_sys sys;
    tenon_value *next; /* to be continued with; NULL: nothing */
    bool told;         /* of a message nobody wants */
    bool wants_idle;   /* the last handler has set idle_ms */
    uint32_t idle_ms;
    bool armed; /* `waits` has been set since the last message */
    /* Guarded by the node's lock. */
    bool waits; /* a timeout is due when nothing comes */
    struct tn_timer idle;
};

/* ---- how a call ends --------------------------------------------------- */

/* Ends the server with {first, second}. */
static enum tenon_err
end_with_pair(tenon_process *self, tenon_term first, tenon_term second)
{
    struct tn_pair reason;
    enum tenon_err rc = tn_pair_init(&reason, first, second);
    if (rc == TENON_E_TERM_DEEP) {
        return tn_process_end(self, tn_atom_system_limit);
    }
    if (rc < 0) {
        return rc;
    }
    rc = tn_process_end(self, reason.term);
    tn_pair_fini(&reason);
    return rc;
}

static enum tenon_err end_with_error(tenon_process *self, tenon_term reason)
{
    return end_with_pair(self, reason, tn_empty_list);
}

/* gen_server takes what handle_call throws for its return value. */
static enum tenon_err end_with_throw(tenon_process *self, tenon_term thrown)
{
    return end_with_pair(self, tn_atom_bad_return_value, thrown);
}

/* How deep a reply is, the caller may have chosen: that must not end the
 * server. */
static void server_reply_too_deep(tenon_call *call)
{
    tn_monitor_call_failed(call->self, call->from, call->tag);
}

static enum tenon_err
server_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    switch (outcome) {
    case TN_OUT_ERROR:
        return end_with_error(call->self, value);
    case TN_OUT_EXIT:
        return tn_process_end(call->self, value);
    case TN_OUT_THROW:
        return end_with_throw(call->self, value);
    case TN_OUT_RETURN:
        break;
    }
    enum tenon_err rc = tn_gen_reply(call->node, tn_process_pid(call->self),
                                     call->from, call->tag, value);
    if (rc == TENON_E_TERM_DEEP) {
        server_reply_too_deep(call);
    }
    return rc;
}

static const struct tn_call_ops server_ops = {
    .answer = server_answer,
    .too_deep = server_reply_too_deep,
};

/* ---- messages ---------------------------------------------------------- */

static const struct tn_log *log_of(tenon_process *self)
{
    return &tenon_process_node(self)->log;
}

/* The first message that a server has no callback for is worth a warning; a
 * sender that goes on must not fill the log. */
static void
log_unwanted(tenon_process *self, struct server *server, const char *kind)
{
    char text[TN_SERVER_TEXT_BYTES];
    tn_server_describe(self, text);
    tn_log(log_of(self), server->told ? TN_DEBUG : TN_WARN, "message_dropped",
           "why", "no callback", "kind", kind, "server", text, NULL);
    server->told = true;
}

/* What `use GenServer` does for a call without a clause. */
static void refuse_call(tenon_call *call)
{
    char name[TN_SERVER_TEXT_BYTES];
    char text[TN_SERVER_TEXT_BYTES + 80];
    tn_server_describe(call->self, name);
    snprintf(text, sizeof text,
             "attempted to call GenServer %s but no handle_call/3 clause was "
             "provided",
             name);
    tenon_raise(call, "%RuntimeError{__exception__: true, message: ~s}", text);
}

static void
on_call(tenon_process *self, struct server *server, const struct tn_gen *gen)
{
    tenon_call call;
    tn_call_init(&call, &server_ops, self);
    call.request = gen->request;
    call.from = gen->from;
    call.tag = gen->tag;
    call.origin = tn_process_origin(self);
    call.account = tn_process_account(self);
    if (server->config.on_call != NULL) {
        server->config.on_call(&call, server->config.state);
    } else {
        refuse_call(&call);
    }
    if (!call.moved && atomic_load(&call.answered)) {
        tn_sys_note_out(&server->sys);
    }
    tn_call_finish(&call);
}

/* Ends it as somebody has asked: its parent, or sys. */
static void
end_as_asked(tenon_process *self, struct server *server, tenon_term reason)
{
    if (server->hooks != NULL) {
        server->hooks->before_end(self, server->config.state, reason);
    }
    (void)tn_process_end(self, reason);
}

/* ---- what sys asks ----------------------------------------------------- */

static void build_state(void *state, tenon_builder *out)
{
    struct server *server = state;
    if (server->config.on_get_state != NULL) {
        server->config.on_get_state(out, server->config.state);
    } else {
        tenon_build_atom(out, "opaque");
    }
}

static bool put_state(void *state, tenon_term term)
{
    struct server *server = state;
    return server->config.on_replace_state(term, server->config.state);
}

static void terminate(tenon_process *self, void *state, tenon_term reason)
{
    end_as_asked(self, state, reason);
}

static void
on_system(tenon_process *self, struct server *server, const struct tn_gen *gen)
{
    static const struct tn_sys_ops open = { build_state, put_state, terminate };
    static const struct tn_sys_ops fixed = { build_state, NULL, terminate };
    tn_sys_handle(self, &server->sys,
                  server->config.on_replace_state != NULL ? &open : &fixed,
                  server,
                  server->parent != NULL ? tenon_value_term(server->parent)
                                         : tn_process_pid(self),
                  gen);
}

/* ---- casts, messages, what continues ------------------------------------ */

static void
on_cast(tenon_process *self, struct server *server, tenon_term request)
{
    if (server->config.on_cast != NULL) {
        server->config.on_cast(self, request, server->config.state);
    } else {
        log_unwanted(self, server, "cast");
    }
}

static void
on_info(tenon_process *self, struct server *server, tenon_term message)
{
    if (server->config.on_info != NULL) {
        server->config.on_info(self, message, server->config.state);
    } else {
        log_unwanted(self, server, "info");
    }
}

/* {'EXIT', parent, reason} */
static bool is_exit_of_parent(const struct server *server,
                              tenon_term message,
                              tenon_term *reason)
{
    tenon_term part[3];
    if (server->parent == NULL || !tn_tuple_views(message, part, 3) ||
        !tenon_term_is_atom(part[0], "EXIT") ||
        !tenon_term_equal(part[1], tenon_value_term(server->parent))) {
        return false;
    }
    *reason = part[2];
    return true;
}

/* What a suspended server takes all the same. */
static bool is_urgent(const void *state, tenon_term message)
{
    tenon_term reason;
    return !tn_is_poke(message) &&
           (tn_gen_parse(message).kind == TN_GEN_SYSTEM ||
            is_exit_of_parent(state, message, &reason));
}

static void give(tenon_process *self,
                 struct server *server,
                 const struct tn_gen *gen,
                 tenon_term message)
{
    tn_sys_note_in(self, &server->sys, message);
    server->wants_idle = false;
    switch (gen->kind) {
    case TN_GEN_CALL:
        on_call(self, server, gen);
        break;
    case TN_GEN_CAST:
        on_cast(self, server, gen->request);
        break;
    default:
        on_info(self, server, gen->request);
        break;
    }
}

static void
handle(tenon_process *self, struct server *server, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);
    tenon_term reason;
    if (!tn_gen_may_answer(self, &gen)) {
        return;
    }
    if (gen.kind == TN_GEN_SYSTEM) {
        on_system(self, server, &gen);
    } else if (is_exit_of_parent(server, message, &reason)) {
        end_as_asked(self, server, reason);
    } else {
        give(self, server, &gen, message);
    }
}

static bool is_ending(tenon_process *self)
{
    tn_lock(self->node);
    bool ending = self->exited || self->exit_at_end;
    tn_unlock(self->node);
    return ending;
}

/* Before any other message, as often as a handler asks for more. */
static void run_continues(tenon_process *self, struct server *server)
{
    while (server->next != NULL && !is_ending(self)) {
        tenon_value *what = server->next;
        server->next = NULL;
        server->wants_idle = false;
        if (server->config.on_continue != NULL) {
            server->config.on_continue(self, tenon_value_term(what),
                                       server->config.state);
        } else {
            log_unwanted(self, server, "continue");
        }
        tenon_value_free(what);
    }
}

/* ---- idle -------------------------------------------------------------- */

/* Loop thread. A message that has come meanwhile makes the timeout void. */
static void idle_over(struct tn_timer *timer, void *user)
{
    (void)timer;
    static const tenon_term timeout = { (const uint8_t *)"w\7timeout", 9 };
    tenon_process *self = user;
    tenon_node *node = tenon_process_node(self);
    bool wake = false;
    tn_lock(node);
    struct server *server = self->exited ? NULL : self->state;
    if (server != NULL && server->waits && server->idle.slot == 0 &&
        tn_process_is_idle_locked(self)) {
        server->waits = false;
        if (tn_process_deliver_locked(self, timeout, NULL, true, &wake) !=
            TENON_OK) {
            tn_process_doom_locked(self, tn_atom_killed, NULL);
            tn_processes_end_doomed_locked(node, &wake);
        }
    }
    tn_leave(node, wake);
    tenon_process_release(self);
}

static void stop_waiting(tenon_process *self, struct server *server)
{
    if (!server->armed) {
        return;
    }
    server->armed = false;
    tn_lock(self->node);
    server->waits = false;
    bool stopped = tn_timer_stop_locked(self->node, &server->idle);
    tn_unlock(self->node);
    if (stopped) {
        tenon_process_release(self);
    }
}

/* Until a message comes, for as long as the last handler has said. */
static void wait_idle(tenon_process *self, struct server *server)
{
    bool wake = false;
    if (!server->wants_idle || server->sys.suspended || is_ending(self)) {
        return;
    }
    tenon_process_keep(self);
    server->armed = true;
    tn_lock(self->node);
    server->waits = true;
    enum tenon_err rc = tn_timer_start_locked(
        self->node, &server->idle, server->idle_ms, idle_over, self, &wake);
    if (rc != TENON_OK) {
        server->waits = false;
        tn_process_doom_locked(self, tn_atom_killed, NULL);
        tn_processes_end_doomed_locked(self->node, &wake);
    }
    tn_leave(self->node, wake);
    if (rc != TENON_OK) {
        tenon_process_release(self);
    }
}

/* A message that comes first when the server is continued at its start must
 * not reach one that has thereby ended. */
static bool ended_by_continue(tenon_process *self, bool continued)
{
    return continued && is_ending(self);
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    struct server *server = state;
    bool continued = server->next != NULL;
    stop_waiting(self, server);
    run_continues(self, server);
    if (!tn_is_poke(message) && !ended_by_continue(self, continued)) {
        handle(self, server, message);
        run_continues(self, server);
    }
    wait_idle(self, server);
}

static void on_end(tenon_process *self, void *state, tenon_term reason)
{
    struct server *server = state;
    stop_waiting(self, server);
    if (server->config.on_terminate != NULL) {
        server->config.on_terminate(self, reason, server->config.state);
    }
    tn_sys_fini(&server->sys);
    tenon_value_free(server->next);
    tenon_value_free(server->parent);
    free(server);
}

static const struct tn_process_class server_class = {
    .on_message = on_message,
    .on_exit = on_end,
    .is_urgent = is_urgent,
    .kind = "server",
    .large_on_worker = true,
};

/* ---- what handlers ask for ---------------------------------------------- */

static struct server *server_of(tenon_process *self)
{
    return self != NULL && self->class == &server_class &&
                   tn_process_is_self(self)
               ? self->state
               : NULL;
}

enum tenon_err
tenon_server_continue(tenon_process *self, const char *pattern, ...)
{
    struct server *server = server_of(self);
    struct tenon_builder out;
    tenon_term term;
    va_list args;
    if (server == NULL || pattern == NULL) {
        return TENON_E_INVAL;
    }
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    va_start(args, pattern);
    (void)tn_format_va(&out, pattern, &args);
    va_end(args);
    enum tenon_err rc = TENON_E_INVAL;
    if (tenon_builder_term(&out, &term) == TENON_OK) {
        tenon_value *what = tenon_value_new(term);
        rc = what == NULL ? TENON_E_NOMEM : TENON_OK;
        if (what != NULL) {
            tenon_value_free(server->next);
            server->next = what;
        }
    }
    tn_builder_fini(&out);
    return rc;
}

enum tenon_err tenon_server_timeout(tenon_process *self, uint32_t ms)
{
    struct server *server = server_of(self);
    if (server == NULL) {
        return TENON_E_INVAL;
    }
    server->wants_idle = ms != TENON_NO_TIMEOUT;
    server->idle_ms = ms;
    return TENON_OK;
}

/* ---- replies by others --------------------------------------------------- */

enum tenon_err tenon_call_build_from(const tenon_call *call, tenon_builder *out)
{
    if (call == NULL || call->tag.bytes == NULL ||
        tenon_term_type(call->from) != TENON_TYPE_PID) {
        return TENON_E_INVAL;
    }
    tenon_build_tuple(out, 2);
    tenon_build_term(out, call->from);
    return tenon_build_term(out, call->tag);
}

enum tenon_err
tenon_server_reply(tenon_node *node, tenon_term from, tenon_term value)
{
    tenon_term part[2];
    if (node == NULL || value.bytes == NULL || !tn_tuple_views(from, part, 2) ||
        tenon_term_type(part[0]) != TENON_TYPE_PID) {
        return TENON_E_INVAL;
    }
    return tn_gen_reply(node, (tenon_term){ NULL, 0 }, part[0], part[1], value);
}

/* ---- start ------------------------------------------------------------- */

static void free_server(struct server *server)
{
    if (server != NULL) {
        tenon_value_free(server->next);
        tenon_value_free(server->parent);
        free(server);
    }
}

/* NULL: no memory. */
static struct server *server_new(const tenon_server_config *config,
                                 const struct tn_server_hooks *hooks)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return NULL;
    }
    server->config = *config;
    server->hooks = hooks;
    if (config->parent != NULL) {
        server->parent = tenon_value_format("~p", config->parent);
    }
    if (config->continue_with.bytes != NULL) {
        server->next = tenon_value_new(config->continue_with);
    }
    if ((config->parent != NULL && server->parent == NULL) ||
        (config->continue_with.bytes != NULL && server->next == NULL)) {
        free_server(server);
        return NULL;
    }
    return server;
}

/* The link, and the turn in which it continues. It runs already: what fails
 * here ends it, as its parent's end would. */
static void begin(tenon_process *self, const tenon_server_config *config)
{
    enum tenon_err rc = TENON_OK;
    if (config->parent != NULL) {
        rc = tenon_link(self, config->parent);
    }
    if (rc == TENON_OK && config->continue_with.bytes != NULL) {
        rc = tn_process_poke(self);
    }
    if (rc != TENON_OK) {
        (void)tn_process_end(self, tn_atom_killed);
    }
}

tenon_process *tn_server_start(tenon_node *node,
                               const tenon_server_config *config,
                               const struct tn_server_hooks *hooks)
{
    struct server *server = server_new(config, hooks);
    if (server == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a server");
        return NULL;
    }
    tenon_process *self = tn_process_start(node,
                                           &(struct tn_process_spec){
                                               .class = &server_class,
                                               .state = server,
                                               .name = config->name,
                                               .run_inline = config->run_inline,
                                               .trap_exit = config->trap_exit,
                                           },
                                           config->err);
    if (self == NULL) {
        free_server(server);
        return NULL;
    }
    begin(self, config);
    return self;
}

tenon_process *tenon_server_start_sized(tenon_node *node,
                                        const tenon_server_config *config,
                                        size_t size)
{
    tenon_server_config own;
    if (config == NULL) {
        return NULL;
    }
    if (tn_sized_copy(&own, sizeof own, config, size) < 0) {
        tn_error(size > sizeof own ? config->err : NULL, TENON_E_INVAL,
                 "start of a server: the configuration sets fields that this "
                 "library does not know");
        return NULL;
    }
    if (node == NULL) {
        tn_error(own.err, TENON_E_INVAL, "start of a server: no node");
        return NULL;
    }
    return tn_server_start(node, &own, NULL);
}
