/* SPDX-License-Identifier: Apache-2.0 */
/* Sending messages to processes of this node and of others. */
#include <string.h>

#include "base/error.h"
#include "dist/flags.h"
#include "node/node.h"
#include "node/text.h"
#include "term/build.h"
#include "term/format.h"

/* ---- reserved names ---------------------------------------------------- */

enum tenon_err tn_reserve_name(tenon_node *node, const char *name)
{
    size_t i = 0;
    tn_lock(node);
    while (i < TN_RESERVED_MAX && node->reserved[i] != NULL &&
           strcmp(node->reserved[i], name) != 0) {
        i++;
    }
    if (i < TN_RESERVED_MAX) {
        node->reserved[i] = name;
    }
    tn_unlock(node);
    return i < TN_RESERVED_MAX ? TENON_OK : TENON_E_LIMIT;
}

bool tn_is_reserved_locked(const tenon_node *node, tenon_term name)
{
    for (size_t i = 0; i < TN_RESERVED_MAX && node->reserved[i] != NULL; i++) {
        if (tenon_term_is_atom(name, node->reserved[i])) {
            return true;
        }
    }
    return false;
}

/* ---- sending ----------------------------------------------------------- */

/* A message of at least this size is encoded without the node's lock. */
#define LARGE_BYTES 65536u

static enum tenon_err
deliver_here(tenon_node *node, tenon_term target, tenon_term message)
{
    bool wake = false;
    enum tenon_err rc = TENON_OK;
    tn_lock(node);
    tenon_process *process = tn_process_target_locked(node, target);
    if (process == NULL) {
        node->counts.messages_to_nobody++;
    } else {
        rc = tn_process_deliver_locked(process, message, NULL, false, &wake);
    }
    tn_leave(node, wake);
    return rc == TENON_E_NOPROC ? TENON_OK : rc;
}

/* The connection of a peer that is up, kept; NULL: not up. */
static tn_conn *conn_locked(const struct tn_peer *peer)
{
    return peer != NULL && peer->state == TN_PEER_UP ? tn_conn_ref(peer->conn)
                                                     : NULL;
}

static enum tenon_err
send_large(tenon_node *node, tn_conn *conn, const struct tn_signal *signal)
{
    enum tenon_err rc = tn_conn_send(conn, signal, NULL);
    if (rc == TENON_OK) {
        tn_conn_flush(conn);
    } else if (rc == TENON_E_QUEUE_FULL) {
        tn_lock(node);
        node->counts.sends_refused++;
        tn_unlock(node);
    }
    tn_conn_unref(conn);
    return rc;
}

/* Messages to it are for the next connection, as when it has closed: the loop
 * only has still to end what is over the old one. */
static bool is_closing_locked(const struct tn_peer *peer)
{
    return peer->state == TN_PEER_UP && !tn_conn_is_up(peer->conn);
}

/* What becomes of a signal to a node that is not connected. */
enum unconnected { CONNECT, LOSE };

static enum tenon_err send_there(tenon_node *node,
                                 const char *name,
                                 size_t len,
                                 const struct tn_signal *signal,
                                 enum unconnected unconnected)
{
    bool wake = false;
    tn_conn *large = NULL;
    enum tenon_err rc = TENON_OK;
    tn_lock(node);
    struct tn_peer *peer = unconnected == CONNECT
                               ? tn_peer_get_locked(node, name, len, &wake)
                               : tn_peer_find_locked(node, name, len);
    if (peer == NULL && unconnected == LOSE) {
        rc = TENON_E_NODEDOWN;
    } else if (peer == NULL) {
        rc = node->stopping ? TENON_E_STOPPED : TENON_E_INVAL;
    } else if (unconnected == CONNECT && is_closing_locked(peer)) {
        rc = tn_peer_keep_locked(node, peer, signal);
    } else if (signal->payload.len >= LARGE_BYTES &&
               peer->state == TN_PEER_UP) {
        large = conn_locked(peer);
    } else {
        rc = tn_peer_send_locked(node, peer, signal);
    }
    tn_leave(node, wake);
    if (large != NULL) {
        rc = send_large(node, large, signal);
    }
    return rc == TENON_E_NODEDOWN ? TENON_OK : rc;
}

static tenon_term sender(const tenon_node *node, tenon_term from)
{
    return from.bytes != NULL ? from : node->client->pid;
}

static enum tenon_err send_pid(tenon_node *node,
                               tenon_term from,
                               tenon_term to,
                               tenon_term message,
                               bool awaited,
                               enum unconnected unconnected)
{
    struct tn_id_view pid;
    struct tn_text name;
    if (message.bytes == NULL || !tn_pid_view(to, &pid)) {
        return TENON_E_INVAL;
    }
    (void)tn_text_of_view(&pid.node, &name);
    if (name.len == strlen(node->name.full) &&
        memcmp(name.text, node->name.full, name.len) == 0) {
        return deliver_here(node, to, message);
    }
    struct tn_signal signal = { .kind = TN_SIG_SEND,
                                .from = sender(node, from),
                                .to = to,
                                .payload = message,
                                .awaited = awaited };
    return send_there(node, name.text, name.len, &signal, unconnected);
}

enum tenon_err tn_send_pid(tenon_node *node,
                           tenon_term from,
                           tenon_term to,
                           tenon_term message)
{
    return send_pid(node, from, to, message, false, CONNECT);
}

enum tenon_err tn_send_answer(tenon_node *node,
                              tenon_term from,
                              tenon_term to,
                              tenon_term message)
{
    return send_pid(node, from, to, message, true, CONNECT);
}

enum tenon_err tn_send_connected(tenon_node *node,
                                 tenon_term from,
                                 tenon_term to,
                                 tenon_term message)
{
    return send_pid(node, from, to, message, true, LOSE);
}

static bool is_reserved(tenon_node *node, tenon_term name)
{
    tn_lock(node);
    bool is = tn_is_reserved_locked(node, name);
    tn_unlock(node);
    return is;
}

static bool is_own(const tenon_node *node, const char *on)
{
    return on == NULL || strcmp(on, node->name.full) == 0;
}

static enum tenon_err send_name(tenon_node *node,
                                tenon_term from,
                                const char *name,
                                const char *on,
                                tenon_term message,
                                bool may_be_reserved)
{
    struct tenon_builder atom;
    tenon_term to;
    tn_builder_init(&atom, TENON_ATOM_MAX_BYTES + 3);
    tenon_build_atom(&atom, name);
    enum tenon_err rc = tenon_builder_term(&atom, &to);
    if (rc != TENON_OK || message.bytes == NULL) {
        rc = TENON_E_INVAL;
    } else if (is_own(node, on)) {
        rc = deliver_here(node, to, message);
    } else if (!may_be_reserved && is_reserved(node, to)) {
        rc = TENON_E_INVAL;
    } else {
        struct tn_signal signal = { .kind = TN_SIG_SEND_NAME,
                                    .from = sender(node, from),
                                    .to = to,
                                    .payload = message };
        rc = send_there(node, on, strlen(on), &signal,
                        may_be_reserved ? LOSE : CONNECT);
    }
    tn_builder_fini(&atom);
    return rc;
}

/* The reference of a request leads to the client. */
static enum tenon_err
alias_here(tenon_node *node, tenon_term ref, tenon_term message)
{
    bool wake = false;
    tn_lock(node);
    enum tenon_err rc =
        tn_alias_deliver_locked(node, ref, message, NULL, &wake);
    if (rc == TENON_E_NOT_FOUND) {
        rc = tn_process_deliver_locked(node->client, message, NULL, false,
                                       &wake);
    }
    tn_leave(node, wake);
    return rc == TENON_E_NOPROC ? TENON_OK : rc;
}

enum tenon_err tn_send_name(tenon_node *node,
                            tenon_term from,
                            const char *name,
                            const char *on,
                            tenon_term message)
{
    return send_name(node, from, name, on, message, true);
}

enum tenon_err tn_send_alias(tenon_node *node,
                             tenon_term from,
                             tenon_term ref,
                             tenon_term message)
{
    struct tn_id_view view;
    struct tn_text name;
    if (message.bytes == NULL || !tn_ref_view(ref, &view)) {
        return TENON_E_INVAL;
    }
    (void)tn_text_of_view(&view.node, &name);
    if (name.len == strlen(node->name.full) &&
        memcmp(name.text, node->name.full, name.len) == 0) {
        return alias_here(node, ref, message);
    }
    struct tn_signal signal = { .kind = TN_SIG_SEND_ALIAS,
                                .from = sender(node, from),
                                .to = ref,
                                .payload = message,
                                .awaited = true };
    tn_conn *large = NULL;
    enum tenon_err rc = TENON_E_NOTSUP;
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name.text, name.len);
    if (peer != NULL && peer->state == TN_PEER_UP) {
        if (message.len >= LARGE_BYTES) {
            large = conn_locked(peer);
        } else {
            rc = tn_peer_send_locked(node, peer, &signal);
        }
    }
    tn_leave(node, false);
    if (large != NULL) {
        rc = send_large(node, large, &signal);
    }
    return rc;
}

/* ---- the public face --------------------------------------------------- */

enum tenon_err tn_send_dest(tenon_node *node,
                            tenon_term from,
                            const tenon_dest *to,
                            tenon_term message,
                            tenon_error *err)
{
    enum tenon_err rc = TENON_E_INVAL;
    if (to->pid != NULL) {
        tenon_value *pid = tenon_value_format("~p", to->pid);
        if (pid != NULL) {
            rc = tn_send_pid(node, from, tenon_value_term(pid), message);
        }
        tenon_value_free(pid);
    } else if (to->name != NULL) {
        rc = send_name(node, from, to->name, to->node, message, false);
    }
    if (rc != TENON_OK) {
        tn_error(err, rc, "could not send to %s%s%s: %s",
                 to->pid != NULL ? "a process of " : "'",
                 to->pid != NULL    ? to->pid->node
                 : to->name != NULL ? to->name
                                    : "",
                 to->pid != NULL ? "" : "'", tenon_err_text(rc));
    }
    return rc;
}

enum tenon_err tenon_send(tenon_node *node,
                          const tenon_dest *to,
                          tenon_term message,
                          tenon_error *err)
{
    if (node == NULL || to == NULL) {
        return tn_error(err, TENON_E_INVAL, "could not send: no node or dest");
    }
    return tn_send_dest(node, (tenon_term){ NULL, 0 }, to, message, err);
}

enum tenon_err tenon_send_alias(tenon_node *node,
                                const tenon_ref *alias,
                                tenon_term message,
                                tenon_error *err)
{
    if (node == NULL || alias == NULL || message.bytes == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "could not send: no node, alias or message");
    }
    tenon_value *ref = tenon_value_format("~r", alias);
    if (ref == NULL) {
        return tn_error(err, TENON_E_NOMEM, "could not send to an alias of %s",
                        alias->node);
    }
    enum tenon_err rc = tn_send_alias(node, (tenon_term){ NULL, 0 },
                                      tenon_value_term(ref), message);
    tenon_value_free(ref);
    return rc == TENON_OK
               ? rc
               : tn_error(err, rc, "could not send to an alias of %s: %s",
                          alias->node, tenon_err_text(rc));
}

enum tenon_err tenon_send_format(tenon_node *node,
                                 const tenon_dest *to,
                                 const char *pattern,
                                 ...)
{
    if (node == NULL || to == NULL || pattern == NULL) {
        return TENON_E_INVAL;
    }
    va_list args;
    struct tenon_builder out;
    tenon_term message;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    va_start(args, pattern);
    (void)tn_format_va(&out, pattern, &args);
    va_end(args);
    enum tenon_err rc = TENON_E_INVAL;
    if (tenon_builder_term(&out, &message) == TENON_OK) {
        rc = tn_send_dest(node, (tenon_term){ NULL, 0 }, to, message, NULL);
    }
    tn_builder_fini(&out);
    return rc;
}
