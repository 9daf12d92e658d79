/* SPDX-License-Identifier: Apache-2.0 */
/* The global name server of a node: the core's messages, monitors and timers
 * in terms of the runtime. */
#include "otp/global.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "node/call.h"
#include "node/link.h"
#include "node/node.h"
#include "node/quota.h"
#include "otp/gen.h"
#include "otp/global_core.h"
#include "otp/global_impl.h"
#include "otp/own.h"
#include "term/build.h"

#define PART "otp/global"

/* ---- sending ----------------------------------------------------------- */

static bool is_up(tenon_node *node, const char *name)
{
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

static void warn(void *io, const char *event, const char *node)
{
    struct tn_gserver *server = io;
    tn_log(&server->node->log, TN_WARN, event, "node", node, NULL);
}

static bool take(void *io,
                 tn_account *account,
                 enum tn_quota kind,
                 uint32_t max,
                 size_t bytes,
                 const char *what)
{
    (void)io;
    return tn_quota_take(account, kind, max, bytes, what);
}

static bool is_limited(void *io, const char *node)
{
    struct tn_gserver *server = io;
    return !tn_peer_is_unlimited(server->node, node);
}

/* Counted and logged as what is refused. */
static void
ignored(void *io, const char *by, const char *what, const char *about)
{
    struct tn_gserver *server = io;
    tn_access *access = tn_peer_access(server->node, by);
    (void)tn_may_claim(server->node, access, what, about, strlen(about));
    tn_access_unref(access);
}

void tn_gserver_disconnect(void *io, const char *node)
{
    struct tn_gserver *server = io;
    (void)tenon_node_disconnect(server->node, node);
}

/* A message that is not sent would be missed for good. */
static void send_from(struct tn_gserver *server,
                      tenon_term from,
                      const char *node,
                      tenon_term message)
{
    if (!is_up(server->node, node)) {
        return;
    }
    enum tenon_err rc =
        tn_send_name(server->node, from, TN_GLOBAL_NAME, node, message);
    if (rc != TENON_OK && rc != TENON_E_NODEDOWN && rc != TENON_E_STOPPED) {
        warn(server, "global_not_sent", node);
        tn_gserver_disconnect(server, node);
    }
}

static void send_name(void *io, const char *node, tenon_term message)
{
    struct tn_gserver *server = io;
    send_from(server, tn_process_pid(server->process), node, message);
}

static void send_pid(void *io, tenon_term pid, tenon_term message)
{
    struct tn_gserver *server = io;
    (void)tn_send_pid(server->node, tn_process_pid(server->process), pid,
                      message);
}

static void reply(void *io, tenon_term from, tenon_term tag, tenon_term value)
{
    struct tn_gserver *server = io;
    tenon_pid to;
    enum tenon_err rc = tn_gen_reply(
        server->node, tn_process_pid(server->process), from, tag, value);
    if (rc == TENON_E_NOMEM && tenon_term_pid(from, &to) == TENON_OK) {
        tn_gserver_disconnect(server, to.node); /* it would wait for ever */
    }
}

/* The holder of locks is the client, from which calls come. */
static void tell(void *io, const char *node, tenon_term request)
{
    struct tn_gserver *server = io;
    tenon_term holder = tn_process_pid(server->node->client);
    tenon_ref ref;
    tn_node_make_ref(server->node, &ref);
    tenon_value *message = tenon_value_format("{:\"$gen_call\", {~t, ~r}, ~t}",
                                              holder, &ref, request);
    if (message == NULL) {
        tn_gserver_disconnect(server, node);
        return;
    }
    send_from(server, holder, node, tenon_value_term(message));
    tenon_value_free(message);
}

/* ---- connecting and watching ------------------------------------------- */

/* A monitor connects, and its end says that this has failed. */
static void connect_node(void *io, const char *node)
{
    struct tn_gserver *server = io;
    const tenon_dest to = { .name = TN_GLOBAL_NAME, .node = node };
    tenon_ref ref;
    if (tenon_monitor(server->process, &to, &ref) < 0) {
        tn_global_connect_failed(server->global, node);
    }
}

static enum tenon_err monitor(void *io, const tenon_pid *pid, tenon_ref *ref)
{
    struct tn_gserver *server = io;
    return tenon_monitor(server->process, &(tenon_dest){ .pid = pid }, ref);
}

static void demonitor(void *io, const tenon_ref *ref)
{
    struct tn_gserver *server = io;
    tn_demonitor(server->process, ref);
}

/* Without memory it is taken to live: its monitor will tell. */
static bool is_alive(void *io, const tenon_pid *pid)
{
    struct tn_gserver *server = io;
    tenon_value *term = tenon_value_format("~p", pid);
    if (term == NULL) {
        return true;
    }
    tn_lock(server->node);
    bool alive =
        tn_process_find_locked(server->node, tenon_value_term(term)) != NULL;
    tn_unlock(server->node);
    tenon_value_free(term);
    return alive;
}

static void kill_process(void *io, const tenon_pid *pid)
{
    static const uint8_t kill[] = { 119, 4, 'k', 'i', 'l', 'l' };
    struct tn_gserver *server = io;
    (void)tenon_exit_signal(server->process, pid,
                            (tenon_term){ kill, sizeof kill });
}

/* ---- time and place ---------------------------------------------------- */

static uint64_t now_ms(void *io)
{
    (void)io;
    return tn_now_ms();
}

/* Without memory for that it is done at once. */
static bool leave_to_worker(void *io)
{
    struct tn_gserver *server = io;
    return tn_on_loop(server->node) &&
           tn_process_turn_on_worker(server->process) == TENON_OK;
}

/* ---- events ------------------------------------------------------------ */

static const struct tn_global_io io_of_node = {
    .send = send_name,
    .send_pid = send_pid,
    .reply = reply,
    .call = tn_gserver_call,
    .tell = tell,
    .resolve = tn_gserver_resolve,
    .connect = connect_node,
    .disconnect = tn_gserver_disconnect,
    .monitor = monitor,
    .demonitor = demonitor,
    .is_alive = is_alive,
    .timer_start = tn_gserver_timer_start,
    .timer_stop = tn_gserver_timer_stop,
    .now_ms = now_ms,
    .leave_to_worker = leave_to_worker,
    .kill = kill_process,
    .warn = warn,
    .take = take,
    .is_limited = is_limited,
    .ignored = ignored,
};

/* {'DOWN', Ref, process, Pid or {Name, Node}, Reason}. True: it was one. */
static bool take_down(struct tn_gserver *server, tenon_term message)
{
    tenon_term part[5], name[2];
    tenon_ref ref;
    tenon_atom node;
    if (!tn_tuple_views(message, part, 5) ||
        !tenon_term_is_atom(part[0], "DOWN") ||
        tenon_term_ref(part[1], &ref) < 0) {
        return false;
    }
    if (tn_tuple_views(part[3], name, 2)) {
        if (tenon_term_is_atom(part[4], "noconnection") &&
            tenon_term_atom(name[1], &node) == TENON_OK) {
            tn_global_connect_failed(server->global, node.text);
        }
    } else {
        tn_global_down(server->global, &ref);
    }
    return true;
}

static void build_state(void *state, tenon_builder *out)
{
    const struct tn_gserver *server = state;
    tenon_build_map(out, 2);
    tenon_build_atom(out, "known");
    tn_global_build_known(server->global, out, 0); /* names alone */
    tenon_build_atom(out, "names");
    if (tn_global_list(server->global, out) != TENON_OK) {
        tn_builder_fail(out, TENON_E_NOMEM);
    }
}

static void tell_core(struct tn_gserver *server, const char *name, bool up)
{
    tn_gserial_enter(&server->serial);
    if (up) {
        tn_global_peer_up(server->global, name);
    } else {
        tn_global_peer_down(server->global, name);
    }
    tn_gserial_leave(&server->serial);
}

static struct tn_gchange *first_change(struct tn_gserver *server)
{
    tn_lock(server->node);
    struct tn_gchange *change = STAILQ_FIRST(&server->changes);
    if (change != NULL) {
        STAILQ_REMOVE_HEAD(&server->changes, next);
    }
    tn_unlock(server->node);
    return change;
}

static void take_change(struct tn_gserver *server)
{
    struct tn_gchange *change = first_change(server);
    if (change == NULL) {
        return;
    }
    tell_core(server, change->name, change->up);
    free(change);
}

/* {whereis, Name, {Pid, Tag}} is answered like a call. */
static bool may_answer(const tenon_process *self,
                       const struct tn_gen *gen,
                       tenon_term message)
{
    tenon_term part[3], from[2];
    if (gen->kind == TN_GEN_INFO && tn_tuple_views(message, part, 3) &&
        tenon_term_is_atom(part[0], "whereis") &&
        tn_tuple_views(part[2], from, 2)) {
        const struct tn_gen asked = { .from = from[0], .tag = from[1] };
        return tn_gen_may_answer(self, &asked);
    }
    return tn_gen_may_answer(self, gen);
}

static void
take_message(struct tn_gserver *server, tenon_process *self, tenon_term message)
{
    if (tn_is_poke(message)) {
        take_change(server);
        return;
    }
    if (tn_is_turn_on_worker(message)) {
        tn_global_go_on(server->global);
        return;
    }
    const struct tn_gen gen = tn_gen_parse(message);
    const char *by = tn_access_peer(tn_process_origin(self));
    if (may_answer(self, &gen, message) &&
        !tn_own_system(self, &server->sys, build_state, server, message) &&
        !take_down(server, message)) {
        tn_global_message_by(server->global, by, tn_process_account(self),
                             message);
    }
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    struct tn_gserver *server = state;
    tn_gserial_enter(&server->serial);
    take_message(server, self, message);
    tn_gserial_leave(&server->serial);
}

/* In order with the messages of the process: behind what the node has sent and
 * behind the ends of the monitors of its processes, whose names would
 * otherwise be taken for known once more. Without memory at once, for which the
 * loop may have to wait for a worker. */
static void on_peer(void *user, const char *name, bool up, bool visible)
{
    struct tn_gserver *server = user;
    if (!visible) {
        return;
    }
    struct tn_gchange *change = malloc(sizeof *change + strlen(name) + 1);
    if (change == NULL) {
        tell_core(server, name, up);
        return;
    }
    change->up = up;
    strcpy(change->name, name);
    tn_lock(server->node);
    STAILQ_INSERT_TAIL(&server->changes, change, next);
    tn_unlock(server->node);
    if (tn_process_poke(server->process) < 0) {
        tn_lock(server->node);
        STAILQ_REMOVE(&server->changes, change, tn_gchange, next);
        tn_unlock(server->node);
        tell_core(server, name, up);
        free(change);
    }
}

/* global:resolve_it(Method, Name, HisPid, OurPid), asked by a member that has
 * found two processes with one name. */
static void resolve_it(tenon_call *call, void *user)
{
    struct tn_gserver *server = user;
    tenon_builder *out = tenon_builder_new();
    tenon_term result;
    tenon_pid ours;
    /* The method ends one of two processes: not for a peer that has neither to
     * give. */
    if (call->origin != NULL) {
        if (tenon_term_pid(tenon_call_arg(call, 3), &ours) == TENON_OK) {
            (void)tn_may_claim(call->node, call->origin, "global name",
                               ours.node, strlen(ours.node));
        }
        tenon_reply_term(call, tenon_call_arg(call, 3));
    } else if (out != NULL &&
               tn_gresolve(&io_of_node, server, tenon_call_arg(call, 0),
                           tenon_call_arg(call, 1), tenon_call_arg(call, 2),
                           tenon_call_arg(call, 3), out) == TENON_OK &&
               tenon_builder_term(out, &result) == TENON_OK) {
        tenon_reply_term(call, result);
    } else {
        tenon_raise(call, ":system_limit");
    }
    tenon_builder_free(out);
}

/* ---- life -------------------------------------------------------------- */

static void stop_core(tenon_node *node, void *user)
{
    (void)node;
    tn_global_stop(user);
}

static void stop(tenon_node *node, void *part)
{
    struct tn_gserver *server = part;
    (void)!tn_global_call(node, stop_core, server->global);
}

static void free_server(void *part)
{
    struct tn_gserver *server = part;
    while (!STAILQ_EMPTY(&server->changes)) {
        struct tn_gchange *change = STAILQ_FIRST(&server->changes);
        STAILQ_REMOVE_HEAD(&server->changes, next);
        free(change);
    }
    tn_global_free(server->global);
    tn_gserver_timers_fini(server);
    tn_sys_fini(&server->sys);
    tenon_process_release(server->process);
    tn_gserial_fini(&server->serial);
    free(server);
}

/* Reading it, or changing the names that it brings, takes long. */
static bool is_long(tenon_term message)
{
    return message.len >= TN_GLOBAL_LONG_BYTES;
}

static enum tenon_err start_process(struct tn_gserver *server, tenon_error *err)
{
    static const struct tn_process_class class = { .on_message = on_message,
                                                   .large_on_worker = true,
                                                   .is_long = is_long };
    server->process = tn_process_start(server->node,
                                       &(struct tn_process_spec){
                                           .class = &class,
                                           .state = server,
                                           .name = TN_GLOBAL_NAME,
                                           .own_name = true,
                                           .is_open = true,
                                           .run_inline = true,
                                           .trap_exit = true,
                                           .immortal = true,
                                       },
                                       err);
    return server->process != NULL ? TENON_OK : TENON_E_NOMEM;
}

static enum tenon_err start_core(struct tn_gserver *server)
{
    tenon_pid own, client;
    int64_t incarnation = 0;
    tenon_process_pid(server->process, &own);
    tenon_process_pid(server->node->client, &client);
    server->global =
        tn_global_new(&io_of_node, server, tenon_node_name(server->node),
                      &server->node->hash_key, &own, &client);
    if (server->global == NULL) {
        return TENON_E_NOMEM;
    }
    /* Not the same as that of an earlier life of this node; what BEAM nodes
     * hold for a small integer. */
    (void)!tn_random_bytes(&incarnation, 7);
    server->global->incarnation = incarnation >> 1;
    return TENON_OK;
}

static enum tenon_err start_member(tenon_node *node, tenon_error *err)
{
    struct tn_gserver *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return tn_error(err, TENON_E_NOMEM, "start of global");
    }
    if (!tn_gserial_init(&server->serial)) {
        free(server);
        return tn_error(err, TENON_E_SYSTEM, "start of global: no lock");
    }
    server->node = node;
    STAILQ_INIT(&server->changes);
    LIST_INIT(&server->timers);
    enum tenon_err rc = start_process(server, err);
    if (rc == TENON_OK) {
        rc = start_core(server);
    }
    if (rc == TENON_OK) {
        rc = tn_node_attach(node, PART, server, stop, free_server);
    }
    if (rc < 0) {
        free_server(server);
        return tn_error(err, rc, "start of global: %s", tenon_err_text(rc));
    }
    rc = tenon_function(node, "global", "resolve_it", 4, resolve_it, server,
                        TENON_INLINE);
    if (rc == TENON_OK) {
        rc = tenon_node_watch_peers(node, on_peer, server);
    }
    return rc == TENON_OK
               ? TENON_OK
               : tn_error(err, rc, "start of global: %s", tenon_err_text(rc));
}

enum tenon_err tn_global_start(tenon_node *node, tenon_error *err)
{
    return node->hidden || node->no_global ? tn_global_quiet_start(node, err)
                                           : start_member(node, err);
}

struct tn_gserial *tn_global_serial_of(tenon_node *node)
{
    struct tn_gserver *server = tn_node_part(node, PART);
    return server != NULL ? &server->serial : NULL;
}

struct tn_global *tn_global_of(tenon_node *node)
{
    struct tn_gserver *server = tn_node_part(node, PART);
    return server != NULL ? server->global : NULL;
}
