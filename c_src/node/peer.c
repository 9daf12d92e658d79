/* SPDX-License-Identifier: Apache-2.0 */
/* The table of peers, and what happens when connections come and go. */
#include "node/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "dist/flags.h"
#include "dist/frame.h"
#include "node/atoms.h"
#include "node/link.h"
#include "node/loop.h"
#include "node/lost.h"
#include "node/node.h"
#include "node/quota.h"

/* How long the peer's own attempt is waited for after it said nok. */
static uint64_t awaited_ms(const tenon_node *node)
{
    return node->connect_timeout_ms;
}

/* ---- the table --------------------------------------------------------- */

struct tn_peer *
tn_peer_find_locked(tenon_node *node, const char *name, size_t len)
{
    struct tn_peer *peer = NULL;
    TN_HASH_FIND(hh, node->peers.table, &node->hash_key, name, len, peer);
    return peer;
}

/* "alive@host", both parts not empty. */
static bool is_node_name(const char *name, size_t len)
{
    const char *at = memchr(name, '@', len);
    return len <= TENON_NODE_NAME_MAX_BYTES && at != NULL && at != name &&
           at != name + len - 1;
}

static struct tn_peer *add_peer(tenon_node *node,
                                const char *name,
                                size_t len,
                                enum tn_peer_state state)
{
    if (!is_node_name(name, len) || node->stopping) {
        return NULL;
    }
    struct tn_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    memcpy(peer->name, name, len);
    peer->state = state;
    tn_pending_init(&peer->pending);
    LIST_INIT(&peer->links);
    LIST_INIT(&peer->monitors);
    LIST_INIT(&peer->requests);
    TN_HASH_ADD(hh, node->peers.table, &node->hash_key, peer->name, len, peer);
    if (!TN_HASH_HAS(hh, peer)) {
        free(peer);
        return NULL;
    }
    return peer;
}

struct tn_peer *
tn_peer_get_locked(tenon_node *node, const char *name, size_t len, bool *wake)
{
    struct tn_peer *peer = tn_peer_find_locked(node, name, len);
    if (peer == NULL) {
        peer = add_peer(node, name, len, TN_PEER_WANTED);
        if (peer != NULL) {
            node->peers.wanted = true;
            *wake = true;
        }
    }
    return peer;
}

bool tn_peer_is_unlimited(tenon_node *node, const char *name)
{
    tn_lock(node);
    const struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool is = peer != NULL && peer->state == TN_PEER_UP && peer->access == NULL;
    tn_unlock(node);
    return is;
}

tn_access *tn_peer_access(tenon_node *node, const char *name)
{
    tn_lock(node);
    const struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    tn_access *access = peer == NULL ? NULL : tn_access_ref(peer->access);
    tn_unlock(node);
    return access;
}

static void count_conn(tenon_node *node, tn_conn *conn)
{
    struct tn_conn_counters counters;
    tn_conn_counters(conn, &counters);
    node->counts.frames_in += counters.frames_in;
    node->counts.frames_out += counters.frames_out;
    node->counts.bytes_in += counters.bytes_in;
    node->counts.bytes_out += counters.bytes_out;
    node->counts.unknown_signals += counters.unknown_ops;
    node->counts.reads_paused += counters.reads_paused;
}

void tn_peer_free(struct tn_peer *peer)
{
    tn_pending_fini(&peer->pending);
    tn_conn_unref(peer->conn);
    tn_conn_unref(peer->next);
    tn_access_unref(peer->access);
    free(peer);
}

/* ---- sending ----------------------------------------------------------- */

static void mark_dirty(tenon_node *node, tn_conn *conn)
{
    struct tn_dirty *dirty = &node->dirty;
    for (size_t i = dirty->count; i > 0; i--) {
        if (dirty->conns[i - 1] == conn) {
            return;
        }
    }
    if (dirty->count == dirty->cap) {
        size_t cap = dirty->cap == 0 ? 8 : dirty->cap * 2;
        tn_conn **conns = realloc(dirty->conns, cap * sizeof(tn_conn *));
        if (conns == NULL) {
            tn_conn_flush(conn); /* costs a system call under the lock */
            return;
        }
        dirty->conns = conns;
        dirty->cap = cap;
    }
    dirty->conns[dirty->count++] = tn_conn_ref(conn);
}

void tn_peers_flush_dirty(tenon_node *node)
{
    for (;;) {
        tn_conn *conn = NULL;
        tn_lock(node);
        if (node->dirty.count > 0) {
            conn = node->dirty.conns[--node->dirty.count];
        }
        tn_unlock(node);
        if (conn == NULL) {
            return;
        }
        tn_conn_flush(conn);
        tn_conn_unref(conn);
    }
}

enum tenon_err tn_peer_keep_locked(tenon_node *node,
                                   struct tn_peer *peer,
                                   const struct tn_signal *signal)
{
    return tn_pending_add(&peer->pending, node->budget, signal,
                          node->output_max_bytes);
}

enum tenon_err tn_peer_send_locked(tenon_node *node,
                                   struct tn_peer *peer,
                                   const struct tn_signal *signal)
{
    if (peer == NULL || peer->state == TN_PEER_LOST) {
        return TENON_E_NODEDOWN;
    }
    bool is_up = peer->state == TN_PEER_UP;
    enum tenon_err rc = is_up ? tn_conn_send(peer->conn, signal, NULL)
                              : tn_peer_keep_locked(node, peer, signal);
    if (rc == TENON_OK && is_up) {
        mark_dirty(node, peer->conn);
    } else if (rc == TENON_E_QUEUE_FULL) {
        node->counts.sends_refused++;
    }
    return rc;
}

/* What was sent during the handshake is in full form: it is read again and
 * encoded for the peer that it turned out to be. refused: gets the spawns that
 * such a peer cannot be asked for. */
static void send_pending_locked(tenon_node *node,
                                struct tn_peer *peer,
                                struct tn_request_list *refused)
{
    struct tn_signal signal;
    struct tn_frame frame;
    const uint8_t *at = peer->pending.frames.bytes;
    size_t left = peer->pending.frames.len;
    while (tn_frame_next(at, left, peer->pending.frames.max, &frame, NULL) ==
               TENON_OK &&
           frame.kind == TN_FRAME_BODY) {
        if (tn_signal_parse(frame.body, frame.len, &signal, NULL) == TENON_OK &&
            tn_peer_send_locked(node, peer, &signal) == TENON_E_NOTSUP &&
            signal.kind == TN_SIG_SPAWN_REQUEST) {
            tn_requests_refused_locked(node, &signal, refused);
        }
        at += frame.whole;
        left -= frame.whole;
    }
    tn_pending_fini(&peer->pending);
}

/* ---- losing ------------------------------------------------------------ */

/* A connection of ours to the same peer that gives way. */
static void give_up(tn_conn *conn, const char *text)
{
    tenon_error why = { 0 };
    tn_error(&why, TENON_E_DUPLICATE, "%s", text);
    tn_conn_set_user(conn, NULL);
    tn_conn_close(conn, &why);
}

void tn_peers_tell_watches(tenon_node *node,
                           const struct tn_peer *peer,
                           bool up)
{
    struct tn_peer_watch *watch;
    SLIST_FOREACH(watch, &node->peers.watches, next)
    {
        watch->fn(watch->user, peer->name, up, peer->visible);
    }
}

static void
note_why_locked(tenon_node *node, const struct tn_peer *peer, const char *why)
{
    struct tn_peers *peers = &node->peers;
    snprintf(peers->lost_name, sizeof peers->lost_name, "%s", peer->name);
    snprintf(peers->lost_why, sizeof peers->lost_why, "%s", why);
}

/* What was sent when the connection was closing is for the next one. */
static void carry_over(struct tn_peer *from, struct tn_peer *to)
{
    to->pending = from->pending;
    tn_pending_init(&from->pending);
}

/* The peer has been taken out of the table. */
static void want_for_kept_locked(tenon_node *node, struct tn_peer *peer)
{
    if (peer->state != TN_PEER_UP || peer->pending.frames.len == 0) {
        return;
    }
    struct tn_peer *fresh =
        add_peer(node, peer->name, strlen(peer->name), TN_PEER_WANTED);
    if (fresh != NULL) {
        carry_over(peer, fresh);
        node->peers.wanted = true;
    }
}

/* Takes the peer out: everything over it ends. */
static void remove_peer(tenon_node *node,
                        struct tn_peer *peer,
                        bool was_up,
                        const char *why)
{
    tn_lock(node);
    note_why_locked(node, peer, why);
    (void)tn_timer_stop_locked(node, &peer->deadline);
    HASH_DELETE(hh, node->peers.table, peer);
    want_for_kept_locked(node, peer);
    pthread_cond_broadcast(&node->peer_changed);
    tn_unlock(node);
    tn_lost_add(node, peer, was_up);
}

/* The old connection of a restarted peer is gone; the new one takes over, with
 * an entry of its own. */
static void promote_next(tenon_node *node, struct tn_peer *peer, bool was_up)
{
    tn_conn *conn = peer->next;
    tn_lock(node);
    peer->next = NULL;
    HASH_DELETE(hh, node->peers.table, peer);
    struct tn_peer *fresh =
        add_peer(node, peer->name, strlen(peer->name), TN_PEER_TAKING);
    if (fresh != NULL) {
        fresh->conn = conn;
        carry_over(peer, fresh);
        tn_conn_set_user(conn, fresh);
    }
    tn_unlock(node);
    if (fresh == NULL) {
        give_up(conn, "there was no memory for another connection");
        tn_conn_unref(conn);
    }
    tn_lost_add(node, peer, was_up);
}

static void awaited_is_over(struct tn_timer *timer, void *user)
{
    tenon_node *node = user;
    struct tn_peer *peer =
        (struct tn_peer *)((char *)timer - offsetof(struct tn_peer, deadline));
    remove_peer(node, peer, false,
                "it refused the connection in favour of its own, which did "
                "not come");
}

/* The peer refused our attempt because its own has precedence. */
static bool wait_for_theirs(tenon_node *node, struct tn_peer *peer)
{
    bool wake = false;
    tn_lock(node);
    tn_conn_unref(peer->conn);
    peer->conn = NULL;
    peer->state = TN_PEER_AWAITED;
    enum tenon_err rc = tn_timer_start_locked(
        node, &peer->deadline, awaited_ms(node), awaited_is_over, node, &wake);
    tn_leave(node, wake);
    return rc == TENON_OK;
}

/* An attempt that has waited for the one that failed. */
static void take_next(tenon_node *node, struct tn_peer *peer)
{
    tn_lock(node);
    tn_conn_unref(peer->conn);
    peer->conn = peer->next;
    peer->next = NULL;
    peer->state = TN_PEER_TAKING;
    tn_unlock(node);
}

/* Whether there is another way to a peer when an attempt has failed. */
static bool goes_on_otherwise(tenon_node *node,
                              struct tn_peer *peer,
                              const tenon_error *why)
{
    if (peer->next != NULL) {
        take_next(node, peer);
        return true;
    }
    return peer->state == TN_PEER_CALLING && why->code == TENON_E_DUPLICATE &&
           wait_for_theirs(node, peer);
}

static void
on_down(void *user, tn_conn *conn, const tenon_error *why, bool was_up)
{
    tenon_node *node = user;
    struct tn_peer *peer = tn_conn_user(conn);
    if (peer == NULL) {
        return; /* replaced, or never accepted */
    }
    tn_conn_set_user(conn, NULL);
    tn_lock(node);
    count_conn(node, conn);
    tn_unlock(node);
    if (peer->next == conn) {
        tn_lock(node);
        peer->next = NULL;
        tn_unlock(node);
        tn_conn_unref(conn);
        return;
    }
    const char *text =
        why->text[0] != '\0' ? why->text : tenon_err_text(why->code);
    tn_quota_report(node, tn_conn_account(conn), true);
    if (!was_up && goes_on_otherwise(node, peer, why)) {
        return;
    }
    if (was_up) {
        tn_log(&node->log, TN_INFO, "peer_down", "node", peer->name, "error",
               tenon_err_name(why->code), "reason", text, NULL);
    }
    if (peer->next != NULL) {
        promote_next(node, peer, was_up);
    } else {
        remove_peer(node, peer, was_up, text);
    }
}

/* ---- coming ------------------------------------------------------------ */

/* Whether the rules let the peer connect; what it may use is looked at when it
 * is up. */
static bool may_connect(tenon_node *node, tn_conn *conn)
{
    tn_access *access = NULL;
    enum tenon_err rc = tn_access_judge(node, conn, &access);
    tn_access_unref(access);
    return rc == TENON_OK;
}

static bool on_stream(void *user, tn_conn *conn, tenon_error *why)
{
    tenon_node *node = user;
    if (!may_connect(node, conn)) {
        tn_error(why, TENON_E_REFUSED,
                 "could not connect to node \"%s\": the rules of this node do "
                 "not allow it",
                 tn_conn_name(conn));
        return false;
    }
    return true;
}

/* Who comes is not authenticated yet: nothing that is under way changes for it.
 * Of two attempts that cross, that of the node with the greater name remains:
 * if it is the peer's, ours ends once the peer has proved the cookie. BEAM
 * nodes end theirs at once; to them it is the same, since the greater node
 * refuses ours. */
static enum tn_status on_hello(void *user, tn_conn *conn, const char *name)
{
    tenon_node *node = user;
    if (strcmp(name, node->name.full) == 0 || !may_connect(node, conn)) {
        return TN_STATUS_NOT_ALLOWED;
    }
    tn_lock(node);
    const struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    enum tn_peer_state state = peer == NULL ? TN_PEER_TAKING : peer->state;
    tn_unlock(node);
    switch (state) {
    case TN_PEER_CALLING:
        return strcmp(node->name.full, name) > 0 ? TN_STATUS_NOK
                                                 : TN_STATUS_OK_SIMULTANEOUS;
    case TN_PEER_UP:
        return TN_STATUS_ALIVE;
    default:
        return TN_STATUS_OK;
    }
}

static bool on_alive(void *user, tn_conn *conn)
{
    (void)user;
    (void)conn;
    return true; /* we would not call if we had a connection */
}

/* Behind the one that the peer has: until that one has ended. */
static void put_next(tenon_node *node, struct tn_peer *peer, tn_conn *conn)
{
    tn_conn *before = peer->next;
    if (before != NULL) {
        give_up(before, "the peer has started another attempt");
    }
    tn_lock(node);
    peer->next = tn_conn_ref(conn);
    tn_unlock(node);
    tn_conn_unref(before);
    tn_conn_set_user(conn, peer);
}

/* False: no memory. */
static bool take(tenon_node *node, struct tn_peer *peer, tn_conn *conn)
{
    const char *name = tn_conn_name(conn);
    tn_lock(node);
    if (peer == NULL) {
        /* Meanwhile another thread may have begun to want that node. */
        peer = tn_peer_find_locked(node, name, strlen(name));
    }
    if (peer == NULL) {
        peer = add_peer(node, name, strlen(name), TN_PEER_TAKING);
    }
    if (peer != NULL) {
        (void)tn_timer_stop_locked(node, &peer->deadline);
        tn_conn_unref(peer->conn);
        peer->conn = tn_conn_ref(conn);
        peer->state = TN_PEER_TAKING;
        tn_conn_set_user(conn, peer);
    }
    tn_unlock(node);
    return peer != NULL;
}

/* The node with the lesser name ends its own attempt when it hears the name of
 * the other, and hears it on the first packet of the handshake. */
static bool ours_remains(const tenon_node *node, const struct tn_peer *peer)
{
    return strcmp(node->name.full, peer->name) > 0 &&
           tn_conn_is_shaking_hands(peer->conn);
}

static void on_authenticated(void *user, tn_conn *conn)
{
    tenon_node *node = user;
    const char *name = tn_conn_name(conn);
    tenon_error why = { 0 };
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    enum tn_peer_state state = peer == NULL ? TN_PEER_TAKING : peer->state;
    tn_unlock(node);
    if (state == TN_PEER_UP) {
        put_next(node, peer, conn);
        tn_error(&why, TENON_E_DUPLICATE,
                 "the peer has connected again: it lost this connection");
        tn_conn_close(peer->conn, &why);
        return;
    }
    if (state == TN_PEER_CALLING && ours_remains(node, peer)) {
        put_next(node, peer, conn);
        return;
    }
    if (peer != NULL && peer->conn != NULL) {
        give_up(peer->conn, state == TN_PEER_CALLING
                                ? "the peer's attempt to connect has precedence"
                                : "the peer has started another attempt");
    }
    if (!take(node, peer, conn)) {
        tn_error(&why, TENON_E_NOMEM,
                 "there was no memory for another connection");
        tn_conn_close(conn, &why);
    }
}

/* Once it is the peer's only one. */
static bool may_come_up(void *user, tn_conn *conn)
{
    tenon_node *node = user;
    const struct tn_peer *peer = tn_conn_user(conn);
    tn_lock(node);
    bool may = peer != NULL && peer->conn == conn &&
               !tn_lost_has_locked(node, peer->name);
    tn_unlock(node);
    return may;
}

/* Gives the peer what the rules of now say. False: they do not allow its
 * connection, which is closed. */
static bool judge(tenon_node *node, struct tn_peer *peer, tn_conn *conn)
{
    tn_access *access = NULL;
    enum tenon_err rc = tn_access_judge(node, conn, &access);
    if (rc != TENON_OK) {
        tenon_error why = { 0 };
        tn_error(&why, rc, "node \"%s\": %s", peer->name,
                 rc == TENON_E_REFUSED
                     ? "the rules of this node do not allow it"
                     : tenon_err_text(rc));
        tn_conn_close(conn, &why);
        return false;
    }
    tn_lock(node);
    tn_access *before = peer->access;
    peer->access = access;
    tn_unlock(node);
    tn_access_unref(before);
    return true;
}

/* Those that came under the peer's name before it was up: a peer that lost
 * this connection says its name again. */
static void end_other_attempts(tenon_node *node, struct tn_peer *peer)
{
    tenon_error why = { 0 };
    tn_conn *next = peer->next;
    if (next != NULL) {
        give_up(next, "this node's own attempt has precedence");
        tn_lock(node);
        peer->next = NULL;
        tn_unlock(node);
        tn_conn_unref(next);
    }
    tn_error(&why, TENON_E_DUPLICATE, "another connection to it is up");
    tn_dist_close_handshakes(node->dist, peer->name, &why);
}

static void on_up(void *user, tn_conn *conn)
{
    tenon_node *node = user;
    struct tn_peer *peer = tn_conn_user(conn);
    if (peer == NULL) {
        return;
    }
    end_other_attempts(node, peer);
    if (!judge(node, peer, conn)) {
        return;
    }
    uint64_t flags = tn_conn_flags(conn);
    struct tn_request_list refused;
    tn_lock(node);
    peer->state = TN_PEER_UP;
    peer->visible = (flags & TN_FLAG(PUBLISHED)) != 0;
    bool broken = peer->pending.broken;
    LIST_INIT(&refused);
    send_pending_locked(node, peer, &refused);
    if ((flags & TN_FLAG(UNLINK_ID)) == 0) {
        tn_links_forget_unlinked_locked(peer);
    }
    pthread_cond_broadcast(&node->peer_changed);
    tn_unlock(node);
    tn_log(&node->log, TN_INFO, "peer_up", "node", peer->name, "flags",
           TN_HEX(flags), "visible", peer->visible ? "true" : "false", NULL);
    tn_requests_end(&refused, TN_END_REFUSED, tn_atom_notsup);
    tn_peers_tell_watches(node, peer, true);
    if (broken) {
        tenon_error why = { 0 };
        tn_error(&why, TENON_E_QUEUE_FULL,
                 "too much waited for the handshake: expected at most %u bytes",
                 2 * TN_PENDING_MAX_BYTES);
        tn_conn_close(conn, &why);
    }
}

/* ---- signals ----------------------------------------------------------- */

/* A signal to a process that the peer may not reach: as if there were none.
 * Those that end what is there already (unlink, demonitor) always come
 * through, and answers of requests have a look of their own. */
static bool is_refused(tenon_node *node,
                       const struct tn_peer *peer,
                       const struct tn_signal *signal)
{
    if (peer->access == NULL) {
        return false;
    }
    switch (signal->kind) {
    case TN_SIG_SEND:
    case TN_SIG_SEND_NAME:
        return !tn_may_reach(node, peer->access, signal->to, false) ||
               !tn_may_say(node, peer->access, signal->payload);
    case TN_SIG_SEND_ALIAS:
        return !tn_may_say(node, peer->access, signal->payload);
    case TN_SIG_MONITOR:
    case TN_SIG_LINK:
        return !tn_may_reach(node, peer->access, signal->to, false);
    case TN_SIG_EXIT2:
        return !tn_may_reach(node, peer->access, signal->to, true);
    default:
        return false;
    }
}

static void on_signal(void *user, tn_conn *conn, const struct tn_signal *signal)
{
    tenon_node *node = user;
    const struct tn_peer *peer = tn_conn_user(conn);
    if (peer == NULL) {
        return;
    }
    if (is_refused(node, peer, signal)) {
        tn_links_refuse(node, conn, signal);
        return;
    }
    tn_loop_gather(node);
    node->signalling = conn;
    switch (signal->kind) {
    case TN_SIG_SEND:
    case TN_SIG_SEND_NAME:
        tn_process_deliver_from(node, conn, signal->to, signal->payload);
        break;
    case TN_SIG_SEND_ALIAS:
        if (!tn_requests_on_signal(node, conn, signal)) {
            tn_alias_deliver_from(node, conn, signal);
        }
        break;
    case TN_SIG_SPAWN_REPLY:
        (void)tn_requests_on_signal(node, conn, signal);
        break;
    case TN_SIG_DOWN:
        if (!tn_requests_on_signal(node, conn, signal)) {
            tn_links_on_signal(node, conn, signal);
        }
        break;
    case TN_SIG_SPAWN_REQUEST:
        tn_spawn_request(node, conn, signal);
        break;
    case TN_SIG_GROUP_LEADER:
        break; /* processes of ours have no output of their own to redirect */
    default:
        tn_links_on_signal(node, conn, signal);
        break;
    }
    node->signalling = NULL;
}

static bool callers_are_crowd(tenon_node *node)
{
    uint64_t now_ns = tn_now_ns();
    tn_lock(node);
    bool are = tn_crowd_is_there(&node->requests.crowd, now_ns);
    tn_unlock(node);
    return are;
}

static void on_batch_end(void *user, tn_conn *conn)
{
    tenon_node *node = user;
    tn_processes_run_inline(node);
    tn_peers_flush_dirty(node);
    tn_quota_report(node, tn_conn_account(conn), false);
    node->has_crowd |= tn_conn_is_crowded(conn) || callers_are_crowd(node);
}

static void on_closed(void *user)
{
    tenon_node *node = user;
    tn_lock(node);
    node->dist_closed = true;
    node->dist = NULL;
    pthread_cond_broadcast(&node->stop_cond);
    tn_unlock(node);
}

const struct tn_conn_events tn_peer_events = {
    .on_stream = on_stream,
    .on_hello = on_hello,
    .on_alive = on_alive,
    .on_authenticated = on_authenticated,
    .may_come_up = may_come_up,
    .on_up = on_up,
    .on_signal = on_signal,
    .on_batch_end = on_batch_end,
    .on_down = on_down,
    .on_closed = on_closed,
};

/* ---- connecting -------------------------------------------------------- */

static struct tn_peer *next_wanted_locked(tenon_node *node)
{
    struct tn_peer *peer;
    struct tn_peer *next;
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        /* What was over the last connection ends before the next begins. */
        if (peer->state == TN_PEER_WANTED &&
            !tn_lost_has_locked(node, peer->name)) {
            return peer;
        }
    }
    node->peers.wanted = false;
    return NULL;
}

static void connect_wanted(tenon_node *node, struct tn_peer *peer)
{
    tn_conn *conn = NULL;
    tenon_error err = { 0 };
    if (tn_conn_connect(node->dist, peer->name, &conn, &err) != TENON_OK) {
        tn_log(&node->log, TN_WARN, "connect_failed", "node", peer->name,
               "reason", err.text, NULL);
        remove_peer(node, peer, false, err.text);
        return;
    }
    tn_conn_set_user(conn, peer);
    tn_lock(node);
    peer->conn = conn;
    peer->state = TN_PEER_CALLING;
    tn_unlock(node);
}

void tn_peers_connect_wanted(tenon_node *node)
{
    for (;;) {
        tn_lock(node);
        struct tn_peer *peer =
            node->peers.wanted ? next_wanted_locked(node) : NULL;
        tn_unlock(node);
        if (peer == NULL) {
            return;
        }
        connect_wanted(node, peer);
        if (tn_loop_is_spent(node)) {
            return;
        }
    }
}

void tn_peers_fini(tenon_node *node)
{
    struct tn_peer *peer;
    struct tn_peer *next;
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        HASH_DELETE(hh, node->peers.table, peer);
        tn_peer_free(peer);
    }
    while ((peer = STAILQ_FIRST(&node->peers.lost)) != NULL) {
        STAILQ_REMOVE_HEAD(&node->peers.lost, lost_next);
        tn_peer_free(peer);
    }
    struct tn_peer_watch *watch;
    while ((watch = SLIST_FIRST(&node->peers.watches)) != NULL) {
        SLIST_REMOVE_HEAD(&node->peers.watches, next);
        free(watch);
    }
    for (size_t i = 0; i < node->dirty.count; i++) {
        tn_conn_unref(node->dirty.conns[i]);
    }
    free(node->dirty.conns);
}

size_t tn_peers_output_waiting(tenon_node *node)
{
    struct tn_peer *peer;
    struct tn_peer *next;
    struct tn_conn_counters counters;
    size_t waiting = 0;
    tn_lock(node);
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        if (peer->state == TN_PEER_UP) {
            tn_conn_counters(peer->conn, &counters);
            waiting += counters.out_waiting;
        }
    }
    tn_unlock(node);
    return waiting;
}

void tn_peers_count(tenon_node *node, tenon_node_stats *stats)
{
    struct tn_peer *peer;
    struct tn_peer *next;
    tn_lock(node);
    tenon_node_stats closed = node->counts;
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        if (peer->state == TN_PEER_UP) {
            count_conn(node, peer->conn);
            node->counts.peers++;
        }
    }
    *stats = node->counts;
    node->counts = closed;
    tn_unlock(node);
}

/* ---- the public face --------------------------------------------------- */

/* With the lock. */
static enum tenon_err
explain_loss(tenon_node *node, const char *name, tenon_error *err)
{
    const struct tn_peers *peers = &node->peers;
    if (node->stopping) {
        return tn_error(err, TENON_E_STOPPED, "node \"%s\": this node stops",
                        name);
    }
    if (strcmp(peers->lost_name, name) != 0) {
        return tn_error(err, TENON_E_NODEDOWN,
                        "could not connect to node \"%s\"", name);
    }
    return tn_error(err, TENON_E_NODEDOWN, "%s", peers->lost_why);
}

/* With the lock, which the wait releases. */
static enum tenon_err wait_until_up(tenon_node *node,
                                    const char *name,
                                    const struct timespec *until,
                                    tenon_error *err)
{
    for (;;) {
        struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
        if (peer == NULL) {
            return explain_loss(node, name, err);
        }
        if (peer->state == TN_PEER_UP) {
            return TENON_OK;
        }
        if (!tn_condition_wait(&node->peer_changed, &node->lock, until)) {
            return tn_error(err, TENON_E_TIMEOUT,
                            "could not connect to node \"%s\" in time", name);
        }
    }
}

enum tenon_err tenon_node_connect(tenon_node *node,
                                  const char *name,
                                  uint32_t timeout_ms,
                                  tenon_error *err)
{
    if (node == NULL || name == NULL || strcmp(name, node->name.full) == 0) {
        return tn_error(err, TENON_E_INVAL,
                        "could not connect: expected the name of another "
                        "node, got \"%s\"",
                        name == NULL ? "" : name);
    }
    struct tn_name split;
    if (tn_name_split(name, &split, err) != TENON_OK) {
        return TENON_E_INVAL;
    }
    if (tn_on_loop(node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED,
                        "could not wait for node \"%s\" on the loop thread",
                        name);
    }
    struct timespec until;
    bool wake = false;
    tn_deadline(timeout_ms == 0 ? node->connect_timeout_ms : timeout_ms,
                &until);
    tn_workers_block(&node->workers);
    tn_lock(node);
    (void)tn_peer_get_locked(node, name, strlen(name), &wake);
    if (wake) {
        tn_node_wake(node);
    }
    enum tenon_err rc = wait_until_up(
        node, name, timeout_ms == TENON_NO_TIMEOUT ? NULL : &until, err);
    tn_unlock(node);
    tn_workers_unblock(&node->workers);
    return rc;
}

static void disconnect_on_loop(tenon_node *node, void *user)
{
    char *name = user;
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    tn_conn *conn = peer == NULL ? NULL : peer->conn;
    tn_unlock(node);
    if (conn != NULL) {
        tenon_error why = { 0 };
        tn_error(&why, TENON_E_CLOSED, "disconnected by this node");
        tn_conn_close(conn, &why);
    }
    free(name);
}

enum tenon_err tenon_node_disconnect(tenon_node *node, const char *name)
{
    if (node == NULL || name == NULL) {
        return TENON_E_INVAL;
    }
    tn_lock(node);
    bool known = tn_peer_find_locked(node, name, strlen(name)) != NULL;
    tn_unlock(node);
    if (!known) {
        return TENON_E_NOT_FOUND;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return TENON_E_NOMEM;
    }
    enum tenon_err rc = tn_node_run_on_loop(node, disconnect_on_loop, copy);
    if (rc != TENON_OK) {
        free(copy);
    }
    return rc;
}

static bool is_listed(const struct tn_peer *peer, enum tenon_peers which)
{
    if (peer->state != TN_PEER_UP) {
        return false;
    }
    return which == TENON_PEERS_CONNECTED ||
           peer->visible == (which == TENON_PEERS_VISIBLE);
}

enum tenon_err
tenon_node_list(tenon_node *node, enum tenon_peers which, tenon_builder *out)
{
    struct tn_peer *peer;
    struct tn_peer *next;
    size_t count = 0;
    if (node == NULL || out == NULL) {
        return TENON_E_INVAL;
    }
    tn_lock(node);
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        count += is_listed(peer, which) ? 1 : 0;
    }
    if (count > 0) {
        tenon_build_list(out, count);
    }
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        if (is_listed(peer, which)) {
            tenon_build_atom(out, peer->name);
        }
    }
    tenon_build_nil(out);
    tn_unlock(node);
    return tenon_builder_error(out);
}

/* The entering of a watch, on the loop. */
struct entering {
    struct tn_peer_watch *watch;
    enum tenon_err rc;
};

/* The peers that are up, in an array that the caller frees; NULL: no memory.
 * They only go on the loop thread, but others may add some to the table. */
static struct tn_peer **peers_up(tenon_node *node, size_t *count)
{
    struct tn_peer *peer;
    struct tn_peer *next;
    *count = 0;
    tn_lock(node);
    size_t room = HASH_COUNT(node->peers.table) + 1;
    struct tn_peer **up = calloc(room, sizeof(struct tn_peer *));
    HASH_ITER(hh, node->peers.table, peer, next)
    {
        if (up != NULL && peer->state == TN_PEER_UP) {
            up[(*count)++] = peer;
        }
    }
    tn_unlock(node);
    return up;
}

/* The connections that are judged again, over several turns. */
struct judging {
    tn_conn **conns; /* kept until they have been judged */
    size_t count, next;
    void (*change)(tenon_node *node, void *user);
    void *user;
};

static void begin_judging(tenon_node *node, void *user)
{
    struct judging *judging = user;
    size_t count;
    struct tn_peer **up = peers_up(node, &count);
    judging->conns = up != NULL ? calloc(count + 1, sizeof(tn_conn *)) : NULL;
    if (judging->conns != NULL) {
        for (size_t i = 0; i < count; i++) {
            judging->conns[i] = tn_conn_ref(up[i]->conn);
        }
        judging->count = count;
        judging->change(node, judging->user);
    }
    free(up);
}

/* The connection may have ended since. One that has come was judged by the new
 * rules. */
static void judge_next(tenon_node *node, struct judging *judging)
{
    tn_conn *conn = judging->conns[judging->next++];
    struct tn_peer *peer = tn_conn_user(conn);
    if (peer != NULL && peer->conn == conn && peer->state == TN_PEER_UP) {
        (void)judge(node, peer, conn);
    }
    tn_conn_unref(conn);
}

/* At least one: on the loop thread itself its turn goes on. */
static void judge_some(tenon_node *node, void *user)
{
    struct judging *judging = user;
    do {
        judge_next(node, judging);
    } while (judging->next < judging->count && !tn_loop_is_spent(node));
}

enum tenon_err tn_peers_judge_again(tenon_node *node,
                                    void (*change)(tenon_node *, void *),
                                    void *user)
{
    struct judging judging = { .change = change, .user = user };
    enum tenon_err rc = tn_node_call_on_loop(node, begin_judging, &judging);
    if (rc == TENON_OK && judging.conns == NULL) {
        rc = TENON_E_NOMEM;
    }
    while (rc == TENON_OK && judging.next < judging.count) {
        rc = tn_node_call_on_loop(node, judge_some, &judging);
    }
    while (judging.next < judging.count) {
        tn_conn_unref(judging.conns[judging.next++]);
    }
    free(judging.conns);
    return rc;
}

/* The watches belong to the loop thread. */
static void enter_watch(tenon_node *node, void *user)
{
    struct entering *entering = user;
    struct tn_peer_watch *watch = entering->watch;
    size_t count;
    struct tn_peer **up = peers_up(node, &count);
    if (up == NULL) {
        entering->rc = TENON_E_NOMEM;
        return;
    }
    SLIST_INSERT_HEAD(&node->peers.watches, watch, next);
    for (size_t i = 0; i < count; i++) {
        watch->fn(watch->user, up[i]->name, true, up[i]->visible);
    }
    free(up);
}

enum tenon_err
tenon_node_watch_peers(tenon_node *node, tenon_peer_fn fn, void *user)
{
    if (node == NULL || fn == NULL) {
        return TENON_E_INVAL;
    }
    struct tn_peer_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return TENON_E_NOMEM;
    }
    watch->fn = fn;
    watch->user = user;
    struct entering entering = { .watch = watch };
    enum tenon_err rc = tn_node_call_on_loop(node, enter_watch, &entering);
    rc = rc == TENON_OK ? entering.rc : rc;
    if (rc != TENON_OK) {
        free(watch);
    }
    return rc;
}
