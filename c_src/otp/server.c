/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: processes that take gen_server's messages and give them to the
 * callbacks of a tenon_server_config. */
#include <stdio.h>
#include <stdlib.h>

#include <tenon/process.h>

#include "base/error.h"
#include "base/log.h"
#include "node/atoms.h"
#include "node/call.h"
#include "node/node.h"
#include "otp/atoms.h"
#include "otp/gen.h"

/* The state of one server; its own process alone touches it. */
struct server {
    struct tenon_server_config config; /* name and err are not looked at */
    bool told;                         /* of a message nobody wants */
};

/* ---- how a call ends --------------------------------------------------- */

/* Ends the server with {first, second}. */
static enum tenon_err
end_with_pair(tenon_process *self, tenon_term first, tenon_term second)
{
    struct tn_pair reason;
    enum tenon_err rc = tn_pair_init(&reason, first, second);
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
    return tn_gen_reply(call->node, tn_process_pid(call->self), call->from,
                        call->tag, value);
}

static const struct tn_call_ops server_ops = { .answer = server_answer };

/* ---- messages ---------------------------------------------------------- */

static const struct tn_log *log_of(tenon_process *self)
{
    return &tenon_process_node(self)->log;
}

#define SERVER_TEXT_BYTES (TENON_ATOM_MAX_BYTES + 4)

/* The server as inspect shows what Process.info(self, :registered_name) has,
 * else its pid. */
static void describe(tenon_process *self, char text[SERVER_TEXT_BYTES])
{
    tenon_node *node = tenon_process_node(self);
    tenon_term_print(tn_process_pid(self), text, SERVER_TEXT_BYTES);
    tn_lock(node);
    if (self->name != NULL) {
        snprintf(text, SERVER_TEXT_BYTES, ":%s", self->name);
    }
    tn_unlock(node);
}

/* The first message that a server has no callback for is worth a warning; a
 * sender that goes on must not fill the log. */
static void
log_unwanted(tenon_process *self, struct server *server, const char *kind)
{
    char text[SERVER_TEXT_BYTES];
    describe(self, text);
    tn_log(log_of(self), server->told ? TN_DEBUG : TN_WARN, "message_dropped",
           "why", "no callback", "kind", kind, "server", text, NULL);
    server->told = true;
}

/* What `use GenServer` does for a call without a clause. */
static void refuse_call(tenon_call *call)
{
    char name[SERVER_TEXT_BYTES];
    char text[SERVER_TEXT_BYTES + 80];
    describe(call->self, name);
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
    if (server->config.on_call != NULL) {
        server->config.on_call(&call, server->config.state);
    } else {
        refuse_call(&call);
    }
    tn_call_finish(&call);
}

/* Of the requests of sys only the one of gen_server:stop is served; the
 * others time out at the caller, as the sys documentation warns. */
static void on_system(tenon_process *self, const struct tn_gen *gen)
{
    tenon_term part[2];
    if (!tn_tuple_views(gen->request, part, 2) ||
        !tenon_term_is_atom(part[0], "terminate")) {
        tn_log(log_of(self), TN_DEBUG, "system_message_ignored", NULL);
        return;
    }
    (void)tn_gen_reply(tenon_process_node(self), tn_process_pid(self),
                       gen->from, gen->tag, tn_atom_ok);
    (void)tn_process_end(self, part[1]);
}

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

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);
    switch (gen.kind) {
    case TN_GEN_CALL:
        on_call(self, state, &gen);
        return;
    case TN_GEN_CAST:
        on_cast(self, state, gen.request);
        return;
    case TN_GEN_SYSTEM:
        on_system(self, &gen);
        return;
    case TN_GEN_INFO:
        on_info(self, state, gen.request);
        return;
    }
}

static void on_end(tenon_process *self, void *state, tenon_term reason)
{
    struct server *server = state;
    if (server->config.on_terminate != NULL) {
        server->config.on_terminate(self, reason, server->config.state);
    }
    free(server);
}

static const struct tn_process_class server_class = {
    .on_message = on_message,
    .on_exit = on_end,
};

/* ---- start ------------------------------------------------------------- */

static tenon_process *start(tenon_node *node, const tenon_server_config *config)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        tn_error(config->err, TENON_E_NOMEM, "start of a server");
        return NULL;
    }
    server->config = *config;
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
        free(server);
    }
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
    return start(node, &own);
}
