/* SPDX-License-Identifier: Apache-2.0 */
/* Links: between processes of this node, and with the peers' by the unlink
 * protocol of OTP 23.3 and later (ids and acknowledgements). */
#include "node/link.h"

#include <stdlib.h>
#include <string.h>

#include "dist/flags.h"
#include "node/atoms.h"
#include "node/exit.h"
#include "node/node.h"
#include "node/text.h"

/* ---- records ----------------------------------------------------------- */

static bool make_key(struct tn_link_key *key,
                     const tenon_process *local,
                     const struct tn_peer *peer,
                     tenon_term other)
{
    struct tn_id_view pid;
    if (!tn_pid_view(other, &pid)) {
        return false;
    }
    memset(key, 0, sizeof(*key));
    key->local = local;
    key->peer = peer;
    key->id = pid.words[0];
    key->serial = pid.words[1];
    key->creation = pid.creation;
    return true;
}

static struct tn_link *
find(tenon_process *local, const struct tn_peer *peer, tenon_term other)
{
    struct tn_link *link = NULL;
    struct tn_link_key key;
    if (make_key(&key, local, peer, other)) {
        TN_HASH_FIND_SHARDED(hh, local->node->monitors.links,
                             &local->node->hash_key, &key, sizeof(key), link);
    }
    return link;
}

static struct tn_link *
add(tenon_process *local, struct tn_peer *peer, tenon_term other)
{
    struct tn_monitors *all = &local->node->monitors;
    struct tn_link_key key;
    if (!make_key(&key, local, peer, other) ||
        all->link_count >= TN_LINKS_MAX) {
        return NULL;
    }
    struct tn_link *link = calloc(1, sizeof(*link) + other.len);
    if (link == NULL) {
        return NULL;
    }
    link->key = key;
    link->local = local;
    link->peer = peer;
    link->active = true;
    memcpy(link->bytes, other.bytes, other.len);
    link->other = (tenon_term){ link->bytes, other.len };
    TN_HASH_ADD_SHARDED(hh, all->links, &local->node->hash_key, &link->key,
                        sizeof(link->key), link);
    if (!TN_HASH_HAS(hh, link)) {
        free(link);
        return NULL;
    }
    LIST_INSERT_HEAD(&local->links, link, of_process);
    if (peer != NULL) {
        LIST_INSERT_HEAD(&peer->links, link, of_peer);
    }
    all->link_count++;
    return link;
}

static void drop(struct tn_link *link)
{
    TN_HASH_DELETE_SHARDED(hh, link->local->node->monitors.links, link);
    LIST_REMOVE(link, of_process);
    if (link->peer != NULL) {
        LIST_REMOVE(link, of_peer);
    }
    link->local->node->monitors.link_count--;
    if (link->account != NULL) {
        tn_quota_give_back(link->account, TN_QUOTA_LINKS,
                           sizeof *link + link->other.len);
        tn_account_unref(link->account);
    }
    free(link);
}

enum tenon_err tn_link_remote_locked(tenon_process *local,
                                     struct tn_peer *peer,
                                     tenon_term other)
{
    /* One that waits for its acknowledgement stays as it is: our unlink came
     * after this link of the peer's. */
    if (find(local, peer, other) != NULL) {
        return TENON_OK;
    }
    tn_account *account = tn_peer_account(peer);
    size_t bytes = sizeof(struct tn_link) + other.len;
    if (!tn_quota_take(account, TN_QUOTA_LINKS, TN_PEER_LINKS_MAX, bytes,
                       "links")) {
        return TENON_E_LIMIT;
    }
    struct tn_link *link = add(local, peer, other);
    if (link == NULL) {
        tn_quota_give_back(account, TN_QUOTA_LINKS, bytes);
        return TENON_E_LIMIT;
    }
    link->account = tn_account_ref(account);
    return TENON_OK;
}

/* ---- exits ------------------------------------------------------------- */

static void send_exit_locked(tenon_node *node,
                             struct tn_peer *peer,
                             tenon_term from,
                             tenon_term to,
                             tenon_term reason)
{
    struct tn_signal signal = {
        .kind = TN_SIG_EXIT, .from = from, .to = to, .payload = reason
    };
    (void)tn_peer_send_locked(node, peer, &signal);
}

/* The local end of a link between two processes of this node. */
static void break_local(tenon_process *ended,
                        const struct tn_link *link,
                        tenon_term reason,
                        bool *wake)
{
    tenon_process *other = tn_process_find_locked(ended->node, link->other);
    if (other == NULL) {
        return;
    }
    struct tn_link *back = find(other, NULL, ended->pid);
    if (back != NULL) {
        drop(back);
        tn_exit_from_link_locked(other, ended->pid, reason, NULL, wake);
    }
}

void tn_links_break_locked(tenon_process *ended,
                           tenon_term reason,
                           unsigned *max,
                           bool *wake)
{
    struct tn_link *link;
    for (; *max > 0 && (link = LIST_FIRST(&ended->links)) != NULL; --*max) {
        if (link->peer == NULL) {
            break_local(ended, link, reason, wake);
        } else if (link->active) {
            send_exit_locked(ended->node, link->peer, ended->pid, link->other,
                             reason);
        }
        drop(link);
    }
}

void tn_links_peer_gone_locked(struct tn_peer *peer, unsigned *max, bool *wake)
{
    struct tn_link *link;
    for (; *max > 0 && (link = LIST_FIRST(&peer->links)) != NULL; --*max) {
        tenon_process *local = link->local;
        if (link->active) {
            tn_exit_from_link_locked(local, link->other, tn_atom_noconnection,
                                     NULL, wake);
        }
        drop(link);
    }
}

void tn_links_forget_unlinked_locked(struct tn_peer *peer)
{
    struct tn_link *link = LIST_FIRST(&peer->links);
    while (link != NULL) {
        struct tn_link *next = LIST_NEXT(link, of_peer);
        if (!link->active) {
            drop(link);
        }
        link = next;
    }
}

/* ---- signals ----------------------------------------------------------- */

static void
on_link(tenon_node *node, struct tn_peer *peer, const struct tn_signal *signal)
{
    tenon_process *local = tn_process_seen_locked(node, signal->to);
    if (local == NULL) {
        send_exit_locked(node, peer, signal->to, signal->from, tn_atom_noproc);
    } else if (tn_link_remote_locked(local, peer, signal->from) != TENON_OK) {
        send_exit_locked(node, peer, signal->to, signal->from,
                         tn_atom_system_limit);
    }
}

static void on_unlink(tenon_node *node,
                      struct tn_peer *peer,
                      const struct tn_signal *signal)
{
    tenon_process *local = tn_process_find_locked(node, signal->to);
    struct tn_link *link =
        local == NULL ? NULL : find(local, peer, signal->from);
    if (link != NULL && link->active) {
        drop(link);
    }
    if (signal->id == 0) {
        return; /* the old form has no acknowledgement */
    }
    struct tn_signal ack = { .kind = TN_SIG_UNLINK_ACK,
                             .from = signal->to,
                             .to = signal->from,
                             .id = signal->id };
    (void)tn_peer_send_locked(node, peer, &ack);
}

static void on_unlink_ack(tenon_node *node,
                          struct tn_peer *peer,
                          const struct tn_signal *signal)
{
    tenon_process *local = tn_process_find_locked(node, signal->to);
    struct tn_link *link =
        local == NULL ? NULL : find(local, peer, signal->from);
    if (link != NULL && !link->active && link->unlink_id == signal->id) {
        drop(link);
    }
}

static void on_exit_of_link(tenon_node *node,
                            struct tn_peer *peer,
                            const struct tn_signal *signal,
                            bool *wake)
{
    tenon_process *local = tn_process_find_locked(node, signal->to);
    struct tn_link *link =
        local == NULL ? NULL : find(local, peer, signal->from);
    if (link == NULL || !link->active) {
        return;
    }
    drop(link);
    tn_exit_from_link_locked(local, signal->from, signal->payload,
                             tn_peer_account(peer), wake);
}

void tn_link_signal_locked(tenon_node *node,
                           struct tn_peer *peer,
                           const struct tn_signal *signal,
                           bool *wake)
{
    switch (signal->kind) {
    case TN_SIG_LINK:
        on_link(node, peer, signal);
        break;
    case TN_SIG_UNLINK:
        on_unlink(node, peer, signal);
        break;
    case TN_SIG_UNLINK_ACK:
        on_unlink_ack(node, peer, signal);
        break;
    case TN_SIG_EXIT:
        on_exit_of_link(node, peer, signal, wake);
        break;
    default:
        break;
    }
}

/* ---- the public face --------------------------------------------------- */

static enum tenon_err
link_local(tenon_process *self, tenon_term other, bool *wake)
{
    tenon_process *process = tn_process_seen_locked(self->node, other);
    if (process == NULL) {
        tn_exit_from_link_locked(self, other, tn_atom_noproc, NULL, wake);
        tn_processes_end_doomed_locked(self->node, wake);
        return TENON_OK;
    }
    if (process == self || find(self, NULL, other) != NULL) {
        return TENON_OK;
    }
    struct tn_link *there = add(process, NULL, self->pid);
    struct tn_link *here = there == NULL ? NULL : add(self, NULL, other);
    if (here == NULL) {
        if (there != NULL) {
            drop(there);
        }
        return TENON_E_LIMIT;
    }
    return TENON_OK;
}

static enum tenon_err
link_remote(tenon_process *self, const char *name, tenon_term other, bool *wake)
{
    tenon_node *node = self->node;
    struct tn_peer *peer = tn_peer_get_locked(node, name, strlen(name), wake);
    if (peer == NULL) {
        return node->stopping ? TENON_E_STOPPED : TENON_E_NOMEM;
    }
    struct tn_link *link = find(self, peer, other);
    if (link != NULL && link->active) {
        return TENON_OK;
    }
    if (link == NULL) {
        link = add(self, peer, other);
    }
    if (link == NULL) {
        return TENON_E_LIMIT;
    }
    link->active = true;
    link->unlink_id = 0;
    struct tn_signal signal = { .kind = TN_SIG_LINK,
                                .from = self->pid,
                                .to = link->other };
    enum tenon_err rc = tn_peer_send_locked(node, peer, &signal);
    if (rc != TENON_OK && rc != TENON_E_NODEDOWN) {
        drop(link);
        return rc;
    }
    return TENON_OK; /* what is down by now is told by its loss */
}

enum tenon_err tenon_link(tenon_process *self, const tenon_pid *other)
{
    if (self == NULL || other == NULL) {
        return TENON_E_INVAL;
    }
    tenon_node *node = self->node;
    tenon_value *pid = tenon_value_format("~p", other);
    if (pid == NULL) {
        return TENON_E_INVAL;
    }
    bool wake = false;
    bool local = strcmp(other->node, node->name.full) == 0;
    enum tenon_err rc = TENON_E_NOPROC;
    tn_lock(node);
    if (!self->exited) {
        rc = local
                 ? link_local(self, tenon_value_term(pid), &wake)
                 : link_remote(self, other->node, tenon_value_term(pid), &wake);
    }
    tn_leave(node, wake);
    tenon_value_free(pid);
    return rc;
}

static void unlink_local(tenon_process *self, struct tn_link *link)
{
    tenon_process *other = tn_process_find_locked(self->node, link->other);
    struct tn_link *back = other == NULL ? NULL : find(other, NULL, self->pid);
    if (back != NULL) {
        drop(back);
    }
    drop(link);
}

static void unlink_remote(tenon_process *self, struct tn_link *link)
{
    tenon_node *node = self->node;
    struct tn_peer *peer = link->peer;
    if (!link->active) {
        return;
    }
    link->active = false;
    link->unlink_id = ++node->monitors.last_unlink_id;
    struct tn_signal signal = { .kind = TN_SIG_UNLINK,
                                .from = self->pid,
                                .to = link->other,
                                .id = link->unlink_id };
    (void)tn_peer_send_locked(node, peer, &signal);
    if (peer->state == TN_PEER_UP &&
        (tn_conn_flags(peer->conn) & TN_FLAG(UNLINK_ID)) == 0) {
        drop(link); /* such a peer acknowledges nothing */
    }
}

void tenon_unlink(tenon_process *self, const tenon_pid *other)
{
    if (self == NULL || other == NULL) {
        return;
    }
    tenon_node *node = self->node;
    tenon_value *pid = tenon_value_format("~p", other);
    if (pid == NULL) {
        return;
    }
    tn_lock(node);
    bool local = strcmp(other->node, node->name.full) == 0;
    struct tn_peer *peer =
        local ? NULL
              : tn_peer_find_locked(node, other->node, strlen(other->node));
    struct tn_link *link = NULL;
    if (local || peer != NULL) {
        link = find(self, peer, tenon_value_term(pid));
    }
    if (link != NULL && local) {
        unlink_local(self, link);
    } else if (link != NULL) {
        unlink_remote(self, link);
    }
    tn_leave(node, false);
    tenon_value_free(pid);
}
