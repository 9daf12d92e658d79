/* SPDX-License-Identifier: Apache-2.0 */
/* Pending requests: made here, ended by replies, exits, losses, deadlines. */
#include "node/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/atoms.h"
#include "node/loop.h"
#include "node/node.h"
#include "node/text.h"
#include "term/build.h"
#include "term/view.h"

/* How many requests end under one hold of the lock when the node stops. */
#define STOPPED_AT_A_TIME 64u

/* From here on a term is read and copied by the waiter, not by the loop. */
#define HOLD_BYTES (64u << 10)

static const tenon_term no_term = { NULL, 0 };

/* Requests end on the loop thread only: signals, deadlines, losses and the stop
 * all happen there. So none is freed between a timer's turn and its function.
 * (One that cannot be sent is taken back by its maker under the same hold of
 * the lock that entered it.) */

/* ---- the table --------------------------------------------------------- */

/* maker NULL: references of requests are ours. */
static struct tn_request *find_locked(tenon_node *node, tenon_term ref)
{
    struct tn_ref_key key;
    struct tn_request *request = NULL;
    if (tn_ref_key(&key, ref, NULL)) {
        TN_HASH_FIND(hh, node->requests.table, &node->hash_key, &key,
                     sizeof(key), request);
    }
    return request;
}

static void take_place_locked(struct tn_request *request)
{
    struct tn_requests *requests = &request->node->requests;
    bool *place = memchr(requests->is_taken, false, TN_REQUEST_PLACES);
    request->place = TN_REQUEST_PLACES;
    if (place != NULL) {
        *place = true;
        request->place = (unsigned)(place - requests->is_taken);
    }
}

static void leave_place_locked(const struct tn_request *request)
{
    if (request->place < TN_REQUEST_PLACES) {
        request->node->requests.is_taken[request->place] = false;
    }
}

static void take_out_locked(struct tn_request *request)
{
    tenon_node *node = request->node;
    HASH_DELETE(hh, node->requests.table, request);
    node->requests.count--;
    leave_place_locked(request);
    if (request->peer != NULL) {
        LIST_REMOVE(request, of_peer);
    }
    (void)tn_timer_stop_locked(node, &request->deadline);
}

/* The monitor is not needed any more. */
static void demonitor_locked(struct tn_request *request)
{
    tenon_node *node = request->node;
    if (request->monitored == NULL) {
        return;
    }
    if (request->peer == NULL) {
        (void)tn_demonitor_locked(node->client, request->ref);
        return;
    }
    struct tn_signal signal = { .kind = TN_SIG_DEMONITOR,
                                .from = node->client->pid,
                                .to = tenon_value_term(request->monitored),
                                .ref = request->ref };
    (void)tn_peer_send_locked(node, request->peer, &signal);
}

/* The one who was asked has answered, or ended. */
static void answered_locked(struct tn_request *request, enum tn_request_end end)
{
    if (request->peer != NULL && request->place < TN_REQUEST_PLACES) {
        tn_crowd_note_id(&request->node->requests.crowd, request->place,
                         tn_now_ns());
    }
    take_out_locked(request);
    if (end == TN_END_REPLY) {
        demonitor_locked(request);
    }
}

static void
finish(struct tn_request *request, enum tn_request_end end, tenon_term term)
{
    request->fn(request->user, end, term);
    tenon_value_free(request->monitored);
    free(request);
}

/* Ends a request that is in the table; with DOWN only a local one, because of
 * others' no message tells. Without the lock. */
static void end_by_ref(tenon_node *node,
                       tenon_term ref,
                       enum tn_request_end end,
                       tenon_term term)
{
    tn_lock(node);
    struct tn_request *request = find_locked(node, ref);
    if (request != NULL && end == TN_END_DOWN && request->peer != NULL) {
        request = NULL;
    }
    if (request != NULL) {
        answered_locked(request, end);
    }
    tn_leave(node, false);
    if (request != NULL) {
        finish(request, end, term);
    }
}

/* Who may do everything may also have been given the question by the process
 * that was asked: a service's owner, a server that replies later. */
static bool may_end(tenon_node *node, tenon_term ref, tn_access *origin)
{
    char asked[TENON_NODE_NAME_MAX_BYTES + 1];
    if (origin == NULL) {
        return true;
    }
    tn_lock(node);
    const struct tn_request *request = find_locked(node, ref);
    if (request != NULL) {
        snprintf(asked, sizeof asked, "%s",
                 request->peer == NULL ? node->name.full : request->peer->name);
    }
    tn_unlock(node);
    return request == NULL ||
           tn_may_claim(node, origin, "answer", asked, strlen(asked));
}

static void on_deadline(struct tn_timer *timer, void *user)
{
    struct tn_request *request = user;
    tenon_node *node = request->node;
    (void)timer;
    tn_lock(node);
    take_out_locked(request);
    demonitor_locked(request);
    tn_leave(node, false);
    finish(request, TN_END_TIMEOUT, no_term);
}

bool tn_requests_peer_lost_locked(struct tn_peer *peer,
                                  unsigned max,
                                  struct tn_request_list *ended)
{
    struct tn_request *request;
    LIST_INIT(ended);
    for (; max > 0 && (request = LIST_FIRST(&peer->requests)) != NULL; max--) {
        take_out_locked(request);
        request->peer = NULL;
        LIST_INSERT_HEAD(ended, request, of_peer);
    }
    return !LIST_EMPTY(&peer->requests);
}

void tn_requests_refused_locked(tenon_node *node,
                                const struct tn_signal *signal,
                                struct tn_request_list *ended)
{
    struct tn_request *request = find_locked(node, signal->ref);
    if (request != NULL) {
        take_out_locked(request);
        request->peer = NULL;
        LIST_INSERT_HEAD(ended, request, of_peer);
    }
}

void tn_requests_end(struct tn_request_list *ended,
                     enum tn_request_end end,
                     tenon_term term)
{
    struct tn_request *request;
    while ((request = LIST_FIRST(ended)) != NULL) {
        LIST_REMOVE(request, of_peer);
        finish(request, end, term);
    }
}

/* False: none is left. */
static bool stop_some(tenon_node *node)
{
    struct tn_request_list ended;
    struct tn_request *request;
    LIST_INIT(&ended);
    tn_lock(node);
    for (unsigned n = 0;
         n < STOPPED_AT_A_TIME && (request = node->requests.table) != NULL;
         n++) {
        take_out_locked(request);
        request->peer = NULL;
        LIST_INSERT_HEAD(&ended, request, of_peer);
    }
    bool left = node->requests.table != NULL;
    tn_unlock(node);
    tn_requests_end(&ended, TN_END_STOPPED, no_term);
    return left;
}

static void stop_for_a_turn(tenon_node *node, void *user)
{
    bool *left = user;
    do {
        *left = stop_some(node);
    } while (*left && !tn_loop_is_spent(node));
}

void tn_requests_stop(tenon_node *node)
{
    bool left = true;
    while (left &&
           tn_node_call_on_loop(node, stop_for_a_turn, &left) == TENON_OK) {
    }
}

/* ---- what ends a request ----------------------------------------------- */

/* The process that a request has spawned: what a demonitor has to name. A
 * second one, which no peer sends, changes nothing. */
static void keep_spawned(struct tn_request *request, tenon_term pid)
{
    if (request->monitored == NULL) {
        request->monitored = tenon_value_new(pid);
    }
}

/* Reads what ends `request` out of a signal. False: nothing. */
static bool read_end(struct tn_request *request,
                     const struct tn_signal *signal,
                     enum tn_request_end *end,
                     tenon_term *term)
{
    *term = signal->payload;
    switch (signal->kind) {
    case TN_SIG_SPAWN_REPLY:
        *end = TN_END_REFUSED;
        if (tenon_term_type(*term) == TENON_TYPE_PID) {
            keep_spawned(request, *term);
            return false;
        }
        return true;
    case TN_SIG_SEND_ALIAS:
        *end = TN_END_REPLY;
        return tenon_term_type(signal->payload) == TENON_TYPE_TUPLE &&
               tenon_term_count(signal->payload) == 2 &&
               tenon_tuple_get(signal->payload, 1, term) == TENON_OK;
    default:
        *end = TN_END_DOWN;
        if (tenon_term_is_atom(*term, "noconnection")) {
            *end = TN_END_NODEDOWN;
            *term = no_term;
        }
        return true;
    }
}

/* An alias is for whoever has it: a server may have left its reply to a process
 * of another node. What a peer says of its own processes counts for requests
 * to that peer only, and so does all that a limited peer says. */
static struct tn_request *find_for_locked(tenon_node *node,
                                          const struct tn_peer *peer,
                                          const struct tn_signal *signal)
{
    bool is_alias = signal->kind == TN_SIG_SEND_ALIAS;
    struct tn_request *request =
        find_locked(node, is_alias ? signal->to : signal->ref);
    if (is_alias && peer->access == NULL) {
        return request;
    }
    return request != NULL && request->peer == peer ? request : NULL;
}

/* A process that was spawned for a request which had been given up meanwhile:
 * nobody asks for its end, which the peer would else watch for. */
static void forget_spawned_locked(tenon_node *node,
                                  struct tn_peer *peer,
                                  const struct tn_signal *reply)
{
    if ((reply->flags & TN_SPAWN_MONITOR) == 0 ||
        tenon_term_type(reply->payload) != TENON_TYPE_PID ||
        find_locked(node, reply->ref) != NULL) {
        return;
    }
    struct tn_signal signal = { .kind = TN_SIG_DEMONITOR,
                                .from = node->client->pid,
                                .to = reply->payload,
                                .ref = reply->ref };
    (void)tn_peer_send_locked(node, peer, &signal);
}

bool tn_requests_on_signal(tenon_node *node,
                           tn_conn *conn,
                           const struct tn_signal *signal)
{
    enum tn_request_end end;
    tenon_term term;
    struct tn_peer *peer = tn_conn_user(conn);
    tn_lock(node);
    struct tn_request *request = find_for_locked(node, peer, signal);
    if (request == NULL && signal->kind == TN_SIG_SPAWN_REPLY) {
        forget_spawned_locked(node, peer, signal);
    }
    bool ends = request != NULL && read_end(request, signal, &end, &term);
    if (ends) {
        answered_locked(request, end);
    }
    tn_leave(node, false);
    if (ends) {
        finish(request, end, term);
    }
    return request != NULL;
}

/* The reference in a tag of ours, [alias | ref]. */
static bool ref_of_tag(tenon_term tag, tenon_term *ref)
{
    tenon_cursor at;
    tenon_term head;
    tenon_cursor_init(&at, tag);
    return tenon_term_type(tag) == TENON_TYPE_LIST &&
           tenon_cursor_next(&at, &head) && tenon_term_is_atom(head, "alias") &&
           !tenon_cursor_next(&at, &head) &&
           tenon_cursor_tail(&at, ref) == TENON_OK;
}

/* What comes before the answer itself in each of its forms, with some to spare.
 * A message whose first elements are large is none, and the loop does not walk
 * along them. */
#define ANSWER_HEAD_TERMS 32u

void tn_requests_on_message(tenon_node *node,
                            tn_access *origin,
                            tenon_term message)
{
    tenon_term first;
    tenon_term second;
    tenon_term ref;
    tenon_term reply;
    if (!tn_tuple_begins_short(message, ANSWER_HEAD_TERMS) ||
        tenon_tuple_get(message, 0, &first) != TENON_OK ||
        tenon_tuple_get(message, 1, &second) != TENON_OK) {
        return;
    }
    size_t arity = tenon_term_count(message);
    if (arity == 2 && ref_of_tag(first, &ref) && may_end(node, ref, origin)) {
        end_by_ref(node, ref, TN_END_REPLY, second);
    } else if (arity == 3 && tenon_term_is_atom(first, "io_reply") &&
               tenon_tuple_get(message, 2, &reply) == TENON_OK &&
               may_end(node, second, origin)) {
        end_by_ref(node, second, TN_END_REPLY, reply);
    } else if (arity == 5 && tenon_term_is_atom(first, "DOWN")) {
        tenon_term reason;
        if (tenon_tuple_get(message, 4, &reason) == TENON_OK) {
            end_by_ref(node, second, TN_END_DOWN, reason);
        }
    }
}

/* ---- making requests --------------------------------------------------- */

static struct tn_request *
request_new(tenon_node *node, tenon_term ref, tn_request_fn fn, void *user)
{
    struct tn_request *request = calloc(1, sizeof(*request) + ref.len);
    if (request == NULL) {
        return NULL;
    }
    request->node = node;
    request->fn = fn;
    request->user = user;
    memcpy(request->bytes, ref.bytes, ref.len);
    request->ref = (tenon_term){ request->bytes, ref.len };
    (void)tn_ref_key(&request->key, ref, NULL);
    return request;
}

static enum tenon_err enter_locked(struct tn_request *request,
                                   struct tn_peer *peer,
                                   uint32_t timeout_ms,
                                   bool *wake)
{
    tenon_node *node = request->node;
    if (node->stopping) {
        return TENON_E_STOPPED;
    }
    if (node->requests.count >= TENON_PENDING_CALLS_MAX) {
        return TENON_E_LIMIT;
    }
    if (timeout_ms != TENON_NO_TIMEOUT) {
        uint64_t ms = timeout_ms == 0 ? TENON_CALL_TIMEOUT_MS : timeout_ms;
        enum tenon_err rc = tn_timer_start_locked(node, &request->deadline, ms,
                                                  on_deadline, request, wake);
        if (rc != TENON_OK) {
            return rc;
        }
    }
    TN_HASH_ADD(hh, node->requests.table, &node->hash_key, &request->key,
                sizeof(request->key), request);
    if (!TN_HASH_HAS(hh, request)) {
        (void)tn_timer_stop_locked(node, &request->deadline);
        return TENON_E_NOMEM;
    }
    node->requests.count++;
    take_place_locked(request);
    request->peer = peer;
    if (peer != NULL) {
        LIST_INSERT_HEAD(&peer->requests, request, of_peer);
    }
    return TENON_OK;
}

/* Appends what is sent to whom is asked. */
typedef void (*build_fn)(tenon_builder *out,
                         const tenon_node *node,
                         tenon_term ref,
                         tenon_term request);

/* {io_request, client, ref, request} */
static void build_io_request(tenon_builder *out,
                             const tenon_node *node,
                             tenon_term ref,
                             tenon_term request)
{
    tenon_build_tuple(out, 4);
    tenon_build_atom(out, "io_request");
    tenon_build_term(out, node->client->pid);
    tenon_build_term(out, ref);
    tenon_build_term(out, request);
}

/* {'$gen_call', {client, [alias | ref]}, request} */
static void build_gen_call(tenon_builder *out,
                           const tenon_node *node,
                           tenon_term ref,
                           tenon_term request)
{
    tenon_build_tuple(out, 3);
    tenon_build_atom(out, "$gen_call");
    tenon_build_tuple(out, 2);
    tenon_build_term(out, node->client->pid);
    tenon_build_list(out, 1);
    tenon_build_atom(out, "alias");
    tenon_build_term(out, ref);
    tenon_build_term(out, request);
}

/* Monitor first, so that a missing server is known at once, then the call. A
 * peer that knows no monitors is called all the same. */
static enum tenon_err call_there_locked(struct tn_request *request,
                                        const char *on,
                                        tenon_term to,
                                        tenon_term call,
                                        uint32_t timeout_ms,
                                        bool *wake)
{
    tenon_node *node = request->node;
    bool by_name = tenon_term_type(to) == TENON_TYPE_ATOM;
    if (by_name && tn_is_reserved_locked(node, to)) {
        return TENON_E_INVAL;
    }
    struct tn_peer *peer = tn_peer_get_locked(node, on, strlen(on), wake);
    if (peer == NULL) {
        return node->stopping ? TENON_E_STOPPED : TENON_E_INVAL;
    }
    enum tenon_err rc = enter_locked(request, peer, timeout_ms, wake);
    if (rc != TENON_OK) {
        return rc;
    }
    struct tn_signal monitor = { .kind = TN_SIG_MONITOR,
                                 .from = node->client->pid,
                                 .to = to,
                                 .ref = request->ref };
    struct tn_signal message = { .kind =
                                     by_name ? TN_SIG_SEND_NAME : TN_SIG_SEND,
                                 .from = node->client->pid,
                                 .to = to,
                                 .payload = call };
    rc = tn_peer_send_locked(node, peer, &monitor);
    if (rc == TENON_OK || rc == TENON_E_NOTSUP) {
        rc = tn_peer_send_locked(node, peer, &message);
    }
    if (rc != TENON_OK && rc != TENON_E_NODEDOWN) {
        demonitor_locked(request);
        take_out_locked(request);
        return rc;
    }
    return TENON_OK; /* what is down by now is told by its loss */
}

static enum tenon_err call_here_locked(struct tn_request *request,
                                       tenon_term to,
                                       tenon_term call,
                                       uint32_t timeout_ms,
                                       bool *wake)
{
    tenon_node *node = request->node;
    enum tenon_err rc = enter_locked(request, NULL, timeout_ms, wake);
    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_monitor_locked(node->client, to, NULL, request->ref, wake);
    tenon_process *process = tn_process_seen_locked(node, to);
    if (rc == TENON_OK && process != NULL) {
        rc = tn_process_deliver_locked(process, call, NULL, false, wake);
    }
    if (rc != TENON_OK) {
        (void)tn_demonitor_locked(node->client, request->ref);
        take_out_locked(request);
    }
    return rc;
}

static enum tenon_err
explain(tenon_error *err, enum tenon_err code, const char *what, const char *on)
{
    if (code == TENON_OK) {
        return code;
    }
    return tn_error(err, code, "could not ask %s on node \"%s\": %s", what, on,
                    tenon_err_text(code));
}

static enum tenon_err send_call(struct tn_request *request,
                                build_fn build,
                                const char *on,
                                tenon_term term,
                                uint32_t timeout_ms)
{
    tenon_node *node = request->node;
    struct tenon_builder out;
    tenon_term call;
    bool wake = false;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    build(&out, node, request->ref, term);
    enum tenon_err rc = tenon_builder_term(&out, &call);
    if (rc == TENON_OK) {
        tenon_term to = tenon_value_term(request->monitored);
        bool here = on == NULL || strcmp(on, node->name.full) == 0;
        tn_lock(node);
        rc = here ? call_here_locked(request, to, call, timeout_ms, &wake)
                  : call_there_locked(request, on, to, call, timeout_ms, &wake);
        tn_leave(node, wake);
    }
    tn_builder_fini(&out);
    return rc;
}

static tenon_value *new_ref(tenon_node *node)
{
    tenon_ref ref;
    tn_node_make_ref(node, &ref);
    return tenon_value_format("~r", &ref);
}

static void request_free(struct tn_request *request)
{
    if (request != NULL) {
        tenon_value_free(request->monitored);
        free(request);
    }
}

static enum tenon_err ask_process(tenon_node *node,
                                  build_fn build,
                                  const tenon_dest *to,
                                  tenon_term term,
                                  uint32_t timeout_ms,
                                  tn_request_fn fn,
                                  void *user,
                                  tenon_error *err)
{
    const char *on = to->pid != NULL ? to->pid->node : to->node;
    const char *name = to->name != NULL ? to->name : "a process";
    if (term.bytes == NULL || (to->pid == NULL && to->name == NULL)) {
        return explain(err, TENON_E_INVAL, name, on == NULL ? "" : on);
    }
    tenon_value *ref = new_ref(node);
    struct tn_request *request =
        ref == NULL ? NULL : request_new(node, tenon_value_term(ref), fn, user);
    tenon_value_free(ref);
    enum tenon_err rc = TENON_E_NOMEM;
    if (request != NULL) {
        request->monitored = to->pid != NULL
                                 ? tenon_value_format("~p", to->pid)
                                 : tenon_value_format("~a", to->name);
        rc = request->monitored == NULL
                 ? TENON_E_INVAL
                 : send_call(request, build, on, term, timeout_ms);
    }
    if (rc != TENON_OK) {
        request_free(request);
    }
    return explain(err, rc, name, on == NULL ? node->name.full : on);
}

enum tenon_err tn_request_server(tenon_node *node,
                                 const tenon_dest *to,
                                 tenon_term term,
                                 uint32_t timeout_ms,
                                 tn_request_fn fn,
                                 void *user,
                                 tenon_error *err)
{
    return ask_process(node, build_gen_call, to, term, timeout_ms, fn, user,
                       err);
}

enum tenon_err tn_request_io(tenon_node *node,
                             const tenon_dest *to,
                             tenon_term term,
                             uint32_t timeout_ms,
                             tn_request_fn fn,
                             void *user,
                             tenon_error *err)
{
    return ask_process(node, build_io_request, to, term, timeout_ms, fn, user,
                       err);
}

/* ---- spawns ------------------------------------------------------------ */

struct spawn_terms {
    tenon_value *ref;
    tenon_value *mfa;
};

/* Options: [monitor], []. */
static const uint8_t monitored[] = { 108, 0,   0,   0,   1,   119, 7,  'm',
                                     'o', 'n', 'i', 't', 'o', 'r', 106 };
static const uint8_t unwatched[] = { 106 };

static void spawn_terms_free(struct spawn_terms *terms)
{
    tenon_value_free(terms->ref);
    tenon_value_free(terms->mfa);
}

static tenon_value *new_mfa(const char *module, const char *name, size_t arity)
{
    struct tenon_builder mfa;
    tenon_term term;
    tenon_value *value = NULL;
    tn_builder_init(&mfa, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&mfa, 3);
    tenon_build_atom(&mfa, module);
    tenon_build_atom(&mfa, name);
    tenon_build_uint(&mfa, arity);
    if (tenon_builder_term(&mfa, &term) == TENON_OK) {
        value = tenon_value_new(term);
    }
    tn_builder_fini(&mfa);
    return value;
}

/* False: out of memory, and nothing is left to free. */
static bool spawn_terms_make(struct spawn_terms *terms,
                             tenon_node *node,
                             const char *module,
                             const char *name,
                             size_t arity)
{
    terms->ref = new_ref(node);
    terms->mfa = new_mfa(module, name, arity);
    if (terms->ref != NULL && terms->mfa != NULL) {
        return true;
    }
    spawn_terms_free(terms);
    return false;
}

static struct tn_signal spawn_signal(const tenon_node *node,
                                     const struct spawn_terms *terms,
                                     tenon_term opts,
                                     tenon_term args)
{
    return (struct tn_signal){
        .kind = TN_SIG_SPAWN_REQUEST,
        .from = node->client->pid,
        .ref = tenon_value_term(terms->ref),
        .group_leader = node->group_leader->pid,
        .mfa = tenon_value_term(terms->mfa),
        .opts = opts,
        .payload = args,
    };
}

static enum tenon_err spawn_locked(struct tn_request *request,
                                   const char *on,
                                   const struct tn_signal *signal,
                                   uint32_t timeout_ms,
                                   bool *wake)
{
    tenon_node *node = request->node;
    struct tn_peer *peer = tn_peer_get_locked(node, on, strlen(on), wake);
    if (peer == NULL) {
        return node->stopping ? TENON_E_STOPPED : TENON_E_INVAL;
    }
    enum tenon_err rc = enter_locked(request, peer, timeout_ms, wake);
    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_peer_send_locked(node, peer, signal);
    if (rc != TENON_OK && rc != TENON_E_NODEDOWN) {
        take_out_locked(request);
        return rc;
    }
    return TENON_OK;
}

enum tenon_err tn_request_spawn(tenon_node *node,
                                const char *on,
                                const char *module,
                                const char *name,
                                tenon_term args,
                                uint32_t timeout_ms,
                                tn_request_fn fn,
                                void *user,
                                tenon_error *err)
{
    struct spawn_terms terms;
    struct tn_request *request = NULL;
    enum tenon_err rc = TENON_E_NOMEM;
    size_t arity;
    if (!tn_list_length(args, &arity)) {
        rc = TENON_E_INVAL;
    } else if (spawn_terms_make(&terms, node, module, name, arity)) {
        request = request_new(node, tenon_value_term(terms.ref), fn, user);
        if (request != NULL) {
            bool wake = false;
            const tenon_term opts = { monitored, sizeof monitored };
            struct tn_signal signal = spawn_signal(node, &terms, opts, args);
            tn_lock(node);
            rc = spawn_locked(request, on, &signal, timeout_ms, &wake);
            tn_leave(node, wake);
        }
        spawn_terms_free(&terms);
    }
    if (rc != TENON_OK) {
        request_free(request);
    }
    return explain(err, rc, name, on);
}

enum tenon_err tn_spawn_cast(tenon_node *node,
                             const char *on,
                             const char *module,
                             const char *name,
                             tenon_term args,
                             tenon_error *err)
{
    struct spawn_terms terms;
    enum tenon_err rc = TENON_E_NOMEM;
    size_t arity;
    if (!tn_list_length(args, &arity)) {
        rc = TENON_E_INVAL;
    } else if (spawn_terms_make(&terms, node, module, name, arity)) {
        bool wake = false;
        const tenon_term opts = { unwatched, sizeof unwatched };
        struct tn_signal signal = spawn_signal(node, &terms, opts, args);
        tn_lock(node);
        struct tn_peer *peer = tn_peer_get_locked(node, on, strlen(on), &wake);
        rc = peer == NULL ? (node->stopping ? TENON_E_STOPPED : TENON_E_INVAL)
                          : tn_peer_send_locked(node, peer, &signal);
        tn_leave(node, wake);
        spawn_terms_free(&terms);
    }
    return explain(err, rc == TENON_E_NODEDOWN ? TENON_OK : rc, name, on);
}

/* ---- waiting ----------------------------------------------------------- */

enum tenon_err
tn_wait_init(struct tn_wait *wait, tenon_node *node, tenon_error *err)
{
    *wait = (struct tn_wait){ .node = node };
    if (tn_on_loop(node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "could not wait for an answer on the loop thread");
    }
    if (uv_sem_init(&wait->ended, 0) != 0) {
        return tn_error(err, TENON_E_SYSTEM, "could not make a semaphore");
    }
    return TENON_OK;
}

void tn_wait_fini(struct tn_wait *wait)
{
    tenon_value_free(wait->value);
    uv_sem_destroy(&wait->ended);
}

tn_block *tn_request_hold(tenon_node *node, tenon_term term)
{
    return term.len >= HOLD_BYTES && tn_on_loop(node) &&
                   node->signalling != NULL
               ? tn_conn_hold(node->signalling, term)
               : NULL;
}

void tn_wait_end(struct tn_wait *wait,
                 enum tn_request_end end,
                 tenon_value *value)
{
    wait->end = end;
    wait->value = value;
    uv_sem_post(&wait->ended);
}

void tn_wait_for(struct tn_wait *wait)
{
    tenon_node *node = wait->node;
    tn_workers_block(&node->workers);
    uv_sem_wait(&wait->ended);
    tn_workers_unblock(&node->workers);
}
