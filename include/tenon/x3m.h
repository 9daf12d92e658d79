/* SPDX-License-Identifier: Apache-2.0 */
/* X3m.System services: serving them from C, and dispatching to C or Elixir.
 *
 * The words are X3m.System's. Both generations of its protocol are spoken in
 * both directions: 0.9.0 (rpc) and those that dispatch by erpc. The service
 * registry of the node starts with its first router or dispatch.
 *
 * A BEAM node's registry dies of any message but the library's own, and its
 * application with it. From that start on tenon_send, tenon_server_call
 * and their like refuse, with INVAL, the registered name
 * Elixir.X3m.System.ServiceRegistry of other nodes. */
#ifndef TENON_X3M_H
#define TENON_X3M_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>
#include <tenon/process.h>
#include <tenon/term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- messages --------------------------------------------------------- */

/* An X3m.System.Message: immutable but by the functions below. */
typedef struct tenon_message tenon_message;

enum tenon_dry_run {
    TENON_DRY_RUN_NO,
    TENON_DRY_RUN_YES,
    TENON_DRY_RUN_VERBOSE,
};

/* What a new message may be given; zero means default. Terms are copied;
 * null views mean the default. */
typedef struct tenon_message_options {
    tenon_term raw_request;     /* nil */
    tenon_term assigns;         /* %{} */
    tenon_term logger_metadata; /* [] */
    const char *id;             /* generated */
    const char *correlation_id; /* the id */
    const char *causation_id;   /* the correlation_id */
    enum tenon_dry_run dry_run;
    const tenon_pid *reply_to; /* a process of the node; a dispatch sets it */
} tenon_message_options;

/* Makes a message for a service.
 *
 * service  copied; an atom's text, "open_account".
 * options  borrowed, may be NULL.
 * size     sizeof the caller's options (see tenon_node_start_sized).
 * owned: tenon_message_free. NULL: INVAL, NOMEM or TERM_DEEP.
 * Threads: any. Blocks: no. Source: X3m.System.Message.new/2. */
TENON_API TENON_CHECK tenon_message *
tenon_message_new_sized(tenon_node *node,
                        const char *service,
                        const tenon_message_options *options,
                        size_t size);

static inline tenon_message *tenon_message_new(
    tenon_node *node, const char *service, const tenon_message_options *options)
{
    return tenon_message_new_sized(node, service, options, sizeof *options);
}

/* Makes a message caused by another: new id, the parent's correlation_id, the
 * parent's id as causation_id, its logger_metadata (in Elixir that of the
 * process, which has it of the message that it serves); raw_request is given,
 * the rest is new.
 * Source: X3m.System.Message.new_caused_by/3. */
TENON_API TENON_CHECK tenon_message *
tenon_message_new_caused_by(tenon_node *node,
                            const char *service,
                            const tenon_message *parent,
                            tenon_term raw_request);

/* Reads a message from a term %X3m.System.Message{}. NULL: not one (fields
 * missing or of wrong types; err says which), or NOMEM. owned. */
TENON_API TENON_CHECK tenon_message *
tenon_message_from_term(tenon_node *node, tenon_term term, tenon_error *err);

/* message: taken; NULL is fine. */
TENON_API void tenon_message_free(tenon_message *message);

/* Whether a response was set: halted? is true. NULL: false. Threads: one. */
TENON_API bool tenon_message_is_halted(const tenon_message *message);

/* A field by its name in Elixir ("id", "raw_request", "valid?", "response",
 * ...; also fields that C knows nothing of). The null view when there is none.
 * Borrowed until the message is changed or freed. Threads: one. */
TENON_API tenon_term tenon_message_get(const tenon_message *message,
                                       const char *field);
/* The whole message as a term. Borrowed likewise. The null view: the message is
 * NULL, or there is no memory. */
TENON_API tenon_term tenon_message_term(const tenon_message *message);

/* Changes; the names and meanings are X3m.System.Message's. Terms and texts
 * are copied. tenon_message_return sets the response, halts, and reverses the
 * events; of tenon_message_ok the pattern may be NULL: the response is :ok then.
 * Errors: INVAL, NOMEM, TERM_DEEP (the message would be nested deeper than
 * TENON_TERM_MAX_DEPTH; it is as before). Threads: one. Blocks: no. */
TENON_API enum tenon_err tenon_message_to_service(tenon_message *message,
                                                  const char *service);
TENON_API enum tenon_err
tenon_message_assign(tenon_message *message, const char *key, tenon_term value);
TENON_API enum tenon_err tenon_message_put_in_raw_request(
    tenon_message *message, tenon_term key, tenon_term value);
TENON_API enum tenon_err tenon_message_set_dry_run(tenon_message *message,
                                                   enum tenon_dry_run dry_run);
TENON_API enum tenon_err tenon_message_add_event(tenon_message *message,
                                                 tenon_term event);
/* One key of aggregate_meta, such as "version". */
TENON_API enum tenon_err tenon_message_put_aggregate_meta(
    tenon_message *message, const char *key, tenon_term value);
/* Sets the validated request. A map with valid?: false makes the message
 * invalid, with the response {:validation_error, request}. request: a map. */
TENON_API enum tenon_err tenon_message_put_request(tenon_message *message,
                                                   tenon_term request);
/* Copies the aggregate's id, raw_request[id_field], to aggregate_meta.id. When
 * there is none: with `generate` a new UUID is put in both, otherwise the
 * response is {:missing_id, id_field} and the message halted; both are OK.
 * INVAL also when raw_request is neither a map nor nil. */
TENON_API enum tenon_err tenon_message_prepare_aggregate_id(
    tenon_message *message, tenon_term id_field, bool generate);
TENON_API enum tenon_err
tenon_message_return(tenon_message *message, const char *pattern, ...);
TENON_API enum tenon_err
tenon_message_ok(tenon_message *message, const char *pattern, ...);
TENON_API enum tenon_err
tenon_message_created(tenon_message *message, const char *pattern, ...);
TENON_API enum tenon_err
tenon_message_error(tenon_message *message, const char *pattern, ...);

/* ---- serving ---------------------------------------------------------- */

/* Most services of one node, of all its routers. */
#define TENON_SERVICES_MAX 1024
/* Most dispatches of one node at a time. */
#define TENON_DISPATCHES_MAX 16384

typedef struct tenon_router tenon_router;

/* Handles one call of a service. Answers by tenon_reply, tenon_reply_ok,
 * tenon_reply_error, tenon_reply_created, or fails by tenon_raise and its
 * like; or keeps the call. tenon_call_request is the raw_request. Called on a
 * worker, or on the loop thread when inline. */
typedef void (*tenon_service_fn)(tenon_call *call, void *user);

/* Decides about one call, or one authorized? question, before its handler.
 * Build into `verdict` the atom ok to allow, or any other term to refuse: the
 * caller then gets {:error, that}; left empty it allows. Called as the
 * service's handler is. */
typedef void (*tenon_authorize_fn)(const tenon_message *message,
                                   tenon_builder *verdict,
                                   void *user);

/* Makes a router, known to peers under a module's name.
 *
 * module  copied; "Elixir.Calc.Router".
 * It belongs to the node and lives until the node stops.
 * NULL: INVAL, EXISTS, NOMEM, or node NULL.
 * Threads: any. Blocks: no. Source: X3m.System.Router. */
TENON_API TENON_CHECK tenon_router *tenon_router_new(tenon_node *node,
                                                     const char *module);

/* Chooses the node that handles one call, after authorize has allowed it. Build
 * into `node` the atom of a node; left empty, local, or the own node's name
 * mean this node. The other node runs the function that the service was added
 * with, for the router of the same module there, and does not authorize again;
 * the reply goes from there straight to the caller. A node that cannot be
 * reached, is lost or fails the call gives the caller {:error, {:badrpc,
 * reason}}; until the call has ended there it counts among
 * TENON_PENDING_CALLS_MAX. What is no atom fails the call. Called as the
 * handler is.
 * Source: X3m.System.Router.choose_node/1. */
typedef void (*tenon_choose_node_fn)(const tenon_message *message,
                                     tenon_builder *node,
                                     void *user);

/* Told how one call of a handler that has effects has ended, before the reply
 * is sent; `message` has the response, and may be given another one. Called on
 * the thread that answers. */
typedef void (*tenon_settle_fn)(tenon_message *message, void *user);

/* What a service may be added with; zero means default. Texts are copied. */
typedef struct tenon_service_options {
    void *user;     /* handed to fn and the settle functions */
    unsigned flags; /* 0 or TENON_INLINE */
    bool is_private;
    /* The module and the function that forwarded calls name; an Elixir router
     * of the same module has them as the second and third argument of its
     * `service`. Calls that come forwarded are found by the function alone. */
    const char *handler;  /* the router's module */
    const char *function; /* the service's name */
    /* Each run of the handler is followed by one of the two, if it is set:
     * on_commit when it answered :ok, {:ok, ...} or {:created, ...} and dry_run
     * is false; on_rollback for a dry run, any other answer, a failure, and
     * when nobody answers (the message has then no response). */
    tenon_settle_fn on_commit;
    tenon_settle_fn on_rollback;
} tenon_service_options;

/* Adds a public or private service. Without an authorize function everything
 * is allowed (the library's default forbids; a C node's services are named one
 * by one by whoever starts it).
 *
 * service  copied.
 * Errors: INVAL (also router NULL, and the names authorized?,
 * registered_services and _invoke, which every router has), EXISTS, LIMIT
 * (TENON_SERVICES_MAX), NOMEM. Threads: any. */
TENON_API enum tenon_err tenon_service(tenon_router *router,
                                       const char *service,
                                       tenon_service_fn fn,
                                       void *user);
TENON_API enum tenon_err tenon_servicep(tenon_router *router,
                                        const char *service,
                                        tenon_service_fn fn,
                                        void *user);
/* The same with options; borrowed, may be NULL.
 * size: sizeof the caller's options (see tenon_node_start_sized). */
TENON_API enum tenon_err
tenon_service_add_sized(tenon_router *router,
                        const char *service,
                        tenon_service_fn fn,
                        const tenon_service_options *options,
                        size_t size);

static inline enum tenon_err
tenon_service_add(tenon_router *router,
                  const char *service,
                  tenon_service_fn fn,
                  const tenon_service_options *options)
{
    return tenon_service_add_sized(router, service, fn, options,
                                   sizeof *options);
}

/* Sets the router's callbacks. Errors: INVAL. Threads: any. */
TENON_API enum tenon_err
tenon_router_authorize(tenon_router *router, tenon_authorize_fn fn, void *user);
TENON_API enum tenon_err tenon_router_choose_node(tenon_router *router,
                                                  tenon_choose_node_fn fn,
                                                  void *user);

enum tenon_visibility {
    TENON_SERVICES_ALL, /* private ones first */
    TENON_SERVICES_PUBLIC,
    TENON_SERVICES_PRIVATE,
};

/* Appends the services that were added to a router, announced or not, as
 * [name: 1] in the order of adding. Peers may ask for the same:
 * :rpc.call(node, module, :registered_services, [:public]).
 * Errors: INVAL, those of the builder. Threads: any. Blocks: no.
 * Source: X3m.System.Router.registered_services/1. */
TENON_API enum tenon_err tenon_registered_services(
    tenon_router *router, enum tenon_visibility visibility, tenon_builder *out);

/* Announces the router's services to all nodes, now and to each that comes.
 * May be called again after services were added: these are announced at once.
 * Errors: INVAL, NOMEM, EXISTS (a service of that name is registered by another
 * router), LIMIT.
 * Threads: any. Blocks: no. Source: Router.register_services/0. */
TENON_API enum tenon_err tenon_register_services(tenon_router *router);

/* The message of a service call, to read and change (assigns, events,
 * aggregate_meta); the reply is made from it. Borrowed as the call's request
 * is; NULL when the call is not a service's. */
TENON_API tenon_message *tenon_call_message(tenon_call *call);

/* Answers a service call with {:created, id}. As tenon_reply. */
TENON_API enum tenon_err
tenon_reply_created(tenon_call *call, const char *pattern, ...);
/* Answers a service call with its message as it is, with the response that
 * tenon_message_return or its like has set. Errors: INVAL (answered already,
 * or no service's call), QUEUE_FULL, NOMEM, NODEDOWN. Threads: as tenon_reply.
 * Source: the {:reply, message} of a message handler. */
TENON_API enum tenon_err tenon_reply_message(tenon_call *call);

/* Whether the log lines of the router's handlers stay on this node's log, as
 * they do by default, or go to the group leader of each call, so that whoever
 * calls from iex sees them there. Errors: INVAL. Threads: any.
 * Source: option ensure_local_logging? of X3m.System.Router; there an event goes
 * to the logger of the group leader's node, here its text to the group leader. */
TENON_API enum tenon_err tenon_router_ensure_local_logging(tenon_router *router,
                                                           bool ensure);

/* Most pairs of a line of its own, and of its message's logger_metadata; those
 * above are left out. */
#define TENON_LOG_PAIRS_MAX 16
/* A value of the metadata is cut to this, with its NUL; one whose term has more
 * than 16 KiB is shown as "...". */
#define TENON_LOG_VALUE_MAX_BYTES 256

/* Writes a log line of a handler, with the logger_metadata of its message, the
 * values as inspect prints them:
 *
 *     tenon_log(call, TENON_LOG_INFO, "balance too low", "account", id, NULL);
 *     time=... level=info event=log service=pay text="balance too low"
 *         account=a-1 meta.request_id="\"r-1\""         on the node's log
 *     14:07:31.123 request_id="r-1" account=a-1 [info] balance too low
 *                                                   at the group leader, in UTC
 *
 * The second when the router does not ensure local logging and the caller's
 * group leader is not the node's own; it is not waited for, and goes on the
 * node's log when it cannot be sent.
 *
 * call   borrowed; of a service, also a kept one. Of any other call the line is
 *        written without metadata. NULL logs nothing.
 * level  TENON_LOG_DEBUG to TENON_LOG_ERROR; below the node's it is dropped.
 * text   borrowed; UTF-8.
 * ...    pairs of const char * key (a word of the program) and const char *
 *        value (borrowed; NULL drops the pair), then NULL.
 * Threads: as the call's. Blocks: as the node's log function does. */
TENON_API TENON_NULL_LAST void
tenon_log(tenon_call *call, enum tenon_log_level level, const char *text, ...);

/* ---- calling ---------------------------------------------------------- */

/* Dispatches a message to a service of this node or another one and waits for
 * its reply: local providers first, else in random order, the next one when
 * one answers {:error, {:try_another_node, reason}}. That one gets the message
 * as new: not halted, without response.
 *
 * message     borrowed; sent with reply_to and invoked_at set anew. One that
 *             is halted is given back as it is when timeout_ms is 0 (the
 *             library's dispatch/1), and sent when it is not (dispatch/2).
 * timeout_ms  0: 5000; TENON_NO_TIMEOUT; for each provider that is tried.
 * reply       owned: tenon_message_free. Set on success: the message with its
 *             response, which is {:service_unavailable, service},
 *             {:service_timeout, service, id, timeout} or {:error, {:badrpc,
 *             reason}} when no provider answered, and {:error,
 *             {:no_nodes_available, [{node, reason}]}}, latest first, when all
 *             asked for another: these are no errors here.
 * err         borrowed, may be NULL.
 * Errors: INVAL, LIMIT (TENON_DISPATCHES_MAX), NOMEM, STOPPED, NOT_ALLOWED
 * (loop thread), TERM_DEEP (with what is sent around it, or with the response
 * that is made here, the message is nested deeper than TENON_TERM_MAX_DEPTH).
 * Threads: any but the loop. Blocks: up to timeout_ms per provider.
 * Source: X3m.System.Dispatcher.dispatch/2. */
TENON_API TENON_CHECK enum tenon_err
tenon_dispatch(tenon_node *node,
               const tenon_message *message,
               uint32_t timeout_ms,
               tenon_message **reply,
               tenon_error *err);

/* Called once, on a worker thread; may block. reply: owned by the callback
 * (tenon_message_free); NULL with code NOMEM or STOPPED. */
typedef void (*tenon_dispatch_fn)(void *user,
                                  enum tenon_err code,
                                  tenon_message *reply);

/* The same, calling back. With an error fn is not called. */
TENON_API TENON_CHECK enum tenon_err
tenon_dispatch_async(tenon_node *node,
                     const tenon_message *message,
                     uint32_t timeout_ms,
                     tenon_dispatch_fn fn,
                     void *user);

/* Dispatches a message as a dry run: dry_run false is sent as true, verbose
 * stays. Otherwise as tenon_dispatch and tenon_dispatch_async.
 * Source: X3m.System.Dispatcher.validate/1. */
TENON_API TENON_CHECK enum tenon_err
tenon_validate(tenon_node *node,
               const tenon_message *message,
               uint32_t timeout_ms,
               tenon_message **reply,
               tenon_error *err);
TENON_API TENON_CHECK enum tenon_err
tenon_validate_async(tenon_node *node,
                     const tenon_message *message,
                     uint32_t timeout_ms,
                     tenon_dispatch_fn fn,
                     void *user);

/* Asks a provider of the message's service whether it would authorize the
 * message; the service is not called. A provider of this node is asked, else
 * the other nodes in the order of their names until one answers.
 *
 * message     borrowed.
 * timeout_ms  0: 5000; TENON_NO_TIMEOUT; for each provider that is asked.
 * answer      owned: tenon_value_free. Set on success: true or false (what a
 *             router returns), :service_unavailable, or when none could be
 *             asked {:error, {:badrpc, reason}} of the last.
 * err         borrowed, may be NULL.
 * Errors, threads and blocking as tenon_dispatch.
 * Source: X3m.System.Dispatcher.authorized?/2. */
TENON_API TENON_CHECK enum tenon_err
tenon_authorized(tenon_node *node,
                 const tenon_message *message,
                 uint32_t timeout_ms,
                 tenon_value **answer,
                 tenon_error *err);

/* Called once, on a worker thread; may block. answer: owned by the callback
 * (tenon_value_free); NULL with code NOMEM or STOPPED. */
typedef void (*tenon_authorized_fn)(void *user,
                                    enum tenon_err code,
                                    tenon_value *answer);

/* The same, calling back. With an error fn is not called. */
TENON_API TENON_CHECK enum tenon_err
tenon_authorized_async(tenon_node *node,
                       const tenon_message *message,
                       uint32_t timeout_ms,
                       tenon_authorized_fn fn,
                       void *user);

/* Appends what this node knows of services, as a map
 * %{service => [{node, module}]}, own ones (public and private) under the own
 * node's name. Errors: those of the builder. Threads: any. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err tenon_services(tenon_node *node,
                                                    tenon_builder *out);

#ifdef __cplusplus
}
#endif

#endif
