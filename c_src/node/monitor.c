/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors in both directions, and the signals that end links and monitors. */
#include <stdlib.h>
#include <string.h>

#include "node/alias.h"
#include "node/atoms.h"
#include "node/exit.h"
#include "node/link.h"
#include "node/node.h"
#include "node/text.h"
#include "term/build.h"

/* ---- records ----------------------------------------------------------- */

bool tn_ref_key(struct tn_ref_key *key,
                tenon_term ref,
                const struct tn_peer *maker)
{
    struct tn_id_view view;
    memset(key, 0, sizeof(*key));
    if (!tn_ref_view(ref, &view)) {
        return false;
    }
    key->creation = view.creation;
    key->count = view.word_count;
    memcpy(key->words, view.words, view.word_count * sizeof(view.words[0]));
    key->maker = maker;
    return true;
}

static struct tn_monitor *find(tenon_node *node, const struct tn_ref_key *key)
{
    struct tn_monitor *monitor = NULL;
    TN_HASH_FIND_SHARDED(hh, node->monitors.table, &node->hash_key, key,
                         sizeof(*key), monitor);
    return monitor;
}

/* Whether a monitor of ours with that reference waits for its end. */
static bool is_set(tenon_node *node, tenon_term ref)
{
    struct tn_ref_key key;
    return tn_ref_key(&key, ref, NULL) && find(node, &key) != NULL;
}

/* remote: the watcher's pid when it is remote, else the null view. NULL: the
 * limit, or no memory. */
static struct tn_monitor *make(tenon_node *node,
                               const struct tn_ref_key *key,
                               tenon_term ref,
                               tenon_term target,
                               tenon_term remote)
{
    struct tn_monitors *all = &node->monitors;
    if (all->monitor_count >= TN_MONITORS_MAX) {
        return NULL;
    }
    struct tn_monitor *monitor =
        calloc(1, sizeof(*monitor) + ref.len + target.len + remote.len);
    if (monitor == NULL) {
        return NULL;
    }
    uint8_t *to = monitor->bytes;
    monitor->key = *key;
    monitor->ref = tn_term_copy_to(&to, ref);
    monitor->target = tn_term_copy_to(&to, target);
    monitor->remote = tn_term_copy_to(&to, remote);
    TN_HASH_ADD_SHARDED(hh, all->table, &node->hash_key, &monitor->key,
                        sizeof(monitor->key), monitor);
    if (!TN_HASH_HAS(hh, monitor)) {
        free(monitor);
        return NULL;
    }
    all->monitor_count++;
    return monitor;
}

static void attach(struct tn_monitor *monitor,
                   tenon_process *watcher,
                   tenon_process *process,
                   struct tn_peer *peer)
{
    monitor->ours = watcher != NULL;
    monitor->watcher = watcher;
    monitor->process = process;
    monitor->peer = peer;
    if (watcher != NULL) {
        LIST_INSERT_HEAD(&watcher->monitoring, monitor, of_watcher);
    }
    if (process != NULL) {
        LIST_INSERT_HEAD(&process->monitored, monitor, of_target);
    }
    if (peer != NULL) {
        LIST_INSERT_HEAD(&peer->monitors, monitor, of_peer);
    }
}

static size_t size_of(const struct tn_monitor *monitor)
{
    return sizeof *monitor + monitor->ref.len + monitor->target.len +
           monitor->remote.len;
}

static void drop(tenon_node *node, struct tn_monitor *monitor)
{
    TN_HASH_DELETE_SHARDED(hh, node->monitors.table, monitor);
    if (monitor->watcher != NULL) {
        LIST_REMOVE(monitor, of_watcher);
    }
    if (monitor->process != NULL) {
        LIST_REMOVE(monitor, of_target);
    }
    if (monitor->peer != NULL) {
        LIST_REMOVE(monitor, of_peer);
    }
    if (monitor->ours) {
        tn_alias_monitor_gone_locked(node, &monitor->key);
    }
    node->monitors.monitor_count--;
    if (monitor->account != NULL) {
        tn_quota_give_back(monitor->account, TN_QUOTA_MONITORS,
                           size_of(monitor));
        tn_account_unref(monitor->account);
    }
    free(monitor);
}

enum tenon_err tn_monitor_remote_locked(tenon_process *local,
                                        struct tn_peer *peer,
                                        tenon_term watcher,
                                        tenon_term target,
                                        tenon_term ref)
{
    struct tn_ref_key key;
    if (!tn_ref_key(&key, ref, peer)) {
        return TENON_E_INVAL;
    }
    if (find(local->node, &key) != NULL) {
        return TENON_OK; /* a reference is answered once */
    }
    struct tn_monitor *monitor = make(local->node, &key, ref, target, watcher);
    if (monitor == NULL) {
        return TENON_E_LIMIT;
    }
    attach(monitor, NULL, local, peer);
    if (!tn_quota_take(tn_peer_account(peer), TN_QUOTA_MONITORS,
                       TN_PEER_MONITORS_MAX, size_of(monitor), "monitors")) {
        drop(local->node, monitor);
        return TENON_E_LIMIT;
    }
    monitor->account = tn_account_ref(tn_peer_account(peer));
    return TENON_OK;
}

/* ---- telling the end --------------------------------------------------- */

/* {'DOWN', ref, process, pid or {name, node}, reason} */
static enum tenon_err deliver_down(tenon_process *watcher,
                                   tenon_term ref,
                                   tenon_term target,
                                   const char *on,
                                   tenon_term reason,
                                   tn_account *account,
                                   bool *wake)
{
    struct tenon_builder out;
    tenon_term message;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 5);
    tenon_build_atom(&out, "DOWN");
    tenon_build_term(&out, ref);
    tenon_build_atom(&out, "process");
    if (tenon_term_type(target) == TENON_TYPE_ATOM) {
        tenon_build_tuple(&out, 2);
        tenon_build_term(&out, target);
        tenon_build_atom(&out, on);
    } else {
        tenon_build_term(&out, target);
    }
    tenon_build_term(&out, reason);
    enum tenon_err rc = tenon_builder_term(&out, &message);
    if (rc == TENON_OK) {
        rc = tn_process_deliver_for_locked(watcher, message, account,
                                           tn_signal_is_small(reason), wake);
    }
    tn_builder_fini(&out);
    return rc;
}

static void send_down(tenon_node *node,
                      struct tn_peer *peer,
                      tenon_term target,
                      tenon_term watcher,
                      tenon_term ref,
                      tenon_term reason)
{
    struct tn_signal signal = { .kind = TN_SIG_DOWN,
                                .from = target,
                                .to = watcher,
                                .ref = ref,
                                .payload = reason };
    (void)tn_peer_send_locked(node, peer, &signal);
}

/* Tells the watcher, whoever it is, and forgets the monitor. One that cannot be
 * told would wait for ever: it ends. (The client lasts; the requests that wait
 * there have deadlines.) */
static void fire(tenon_node *node,
                 struct tn_monitor *monitor,
                 tenon_term reason,
                 bool *wake)
{
    if (monitor->ours) {
        const char *on =
            monitor->peer == NULL ? node->name.full : monitor->peer->name;
        tn_account *account =
            monitor->peer == NULL ? NULL : tn_peer_account(monitor->peer);
        enum tenon_err rc =
            deliver_down(monitor->watcher, monitor->ref, monitor->target, on,
                         reason, account, wake);
        /* Of the deepest reasons, too, only that they were too much is told. */
        if (rc == TENON_E_LIMIT || rc == TENON_E_TERM_DEEP) {
            rc = deliver_down(monitor->watcher, monitor->ref, monitor->target,
                              on, tn_atom_system_limit, account, wake);
        }
        if (rc != TENON_OK) {
            tn_process_doom_locked(monitor->watcher, tn_atom_killed, NULL);
        }
    } else {
        send_down(node, monitor->peer, monitor->target, monitor->remote,
                  monitor->ref, reason);
    }
    drop(node, monitor);
}

/* A watcher ends, or wants no more: the remote side forgets it too. */
static void withdraw(tenon_node *node, struct tn_monitor *monitor)
{
    if (monitor->ours && monitor->peer != NULL) {
        struct tn_signal signal = { .kind = TN_SIG_DEMONITOR,
                                    .from = monitor->watcher->pid,
                                    .to = monitor->target,
                                    .ref = monitor->ref };
        (void)tn_peer_send_locked(node, monitor->peer, &signal);
    }
    drop(node, monitor);
}

void tn_links_process_ended(tenon_process *process,
                            tenon_term reason,
                            unsigned *max,
                            bool *wake)
{
    struct tn_monitor *monitor;
    tn_links_break_locked(process, reason, max, wake);
    for (; *max > 0 && (monitor = LIST_FIRST(&process->monitored)) != NULL;
         --*max) {
        fire(process->node, monitor, reason, wake);
    }
    for (; *max > 0 && (monitor = LIST_FIRST(&process->monitoring)) != NULL;
         --*max) {
        withdraw(process->node, monitor);
    }
}

bool tn_links_peer_lost_locked(tenon_node *node,
                               struct tn_peer *peer,
                               unsigned max,
                               bool *wake)
{
    struct tn_monitor *monitor;
    tn_links_peer_gone_locked(peer, &max, wake);
    for (; max > 0 && (monitor = LIST_FIRST(&peer->monitors)) != NULL; max--) {
        if (monitor->ours) {
            fire(node, monitor, tn_atom_noconnection, wake);
        } else {
            drop(node, monitor);
        }
    }
    tn_processes_end_doomed_locked(node, wake);
    return !LIST_EMPTY(&peer->links) || !LIST_EMPTY(&peer->monitors);
}

/* ---- calls that cannot be answered ------------------------------------- */

/* The reference of the caller's monitor: the tag itself, or since OTP 24 the X
 * of [alias | X]. */
static bool ref_of_tag(tenon_term tag, tenon_term *ref)
{
    if (!tenon_match(tag, "[:alias | ~t]", ref)) {
        *ref = tag;
    }
    return tenon_term_type(*ref) == TENON_TYPE_REF;
}

/* In {'$gen_call', {pid, tag}, request}. */
static bool monitor_of_call(tenon_term message, tenon_term *ref)
{
    tenon_term from, tag, request, pid;
    return tenon_match(message, "{:\"$gen_call\", ~t, ~t}", &from, &request) &&
           tenon_match(from, "{~t, ~t}", &pid, &tag) && ref_of_tag(tag, ref);
}

void tn_monitor_call_failed(tenon_process *process,
                            tenon_term from,
                            tenon_term tag)
{
    tenon_node *node = process->node;
    struct tn_ref_key key;
    tenon_term ref;
    tenon_pid caller;
    bool wake = false;
    if (!ref_of_tag(tag, &ref) || tenon_term_pid(from, &caller) != TENON_OK) {
        return;
    }
    tn_lock(node);
    struct tn_peer *peer =
        tn_peer_find_locked(node, caller.node, strlen(caller.node));
    struct tn_monitor *monitor =
        tn_ref_key(&key, ref, peer) ? find(node, &key) : NULL;
    if (monitor != NULL && monitor->process == process) {
        fire(node, monitor, tn_atom_system_limit, &wake);
    }
    tn_processes_end_doomed_locked(node, &wake);
    tn_leave(node, wake);
}

void tn_monitor_call_shed_locked(tenon_process *process,
                                 const struct tn_peer *peer,
                                 tenon_term message,
                                 bool *wake)
{
    struct tn_ref_key key;
    tenon_term ref;
    if (!monitor_of_call(message, &ref) || !tn_ref_key(&key, ref, peer)) {
        return;
    }
    struct tn_monitor *monitor = find(process->node, &key);
    if (monitor != NULL && !monitor->ours && monitor->process == process) {
        fire(process->node, monitor, tn_atom_system_limit, wake);
    }
}

/* ---- signals ----------------------------------------------------------- */

static void on_monitor(tenon_node *node,
                       struct tn_peer *peer,
                       const struct tn_signal *signal)
{
    tenon_process *process = tn_process_seen_locked(node, signal->to);
    tenon_term reason = tn_atom_noproc;
    if (process != NULL) {
        if (tn_monitor_remote_locked(process, peer, signal->from, signal->to,
                                     signal->ref) == TENON_OK) {
            return;
        }
        reason = tn_atom_system_limit;
    }
    send_down(node, peer, signal->to, signal->from, signal->ref, reason);
}

static void on_demonitor(tenon_node *node,
                         struct tn_peer *peer,
                         const struct tn_signal *signal)
{
    struct tn_ref_key key;
    if (!tn_ref_key(&key, signal->ref, peer)) {
        return;
    }
    struct tn_monitor *monitor = find(node, &key);
    if (monitor != NULL && !monitor->ours) {
        drop(node, monitor);
    }
}

static void on_down(tenon_node *node,
                    struct tn_peer *peer,
                    const struct tn_signal *signal,
                    bool *wake)
{
    struct tn_ref_key key;
    if (!tn_ref_key(&key, signal->ref, NULL)) {
        return;
    }
    struct tn_monitor *monitor = find(node, &key);
    if (monitor != NULL && monitor->peer == peer) {
        fire(node, monitor, signal->payload, wake);
    }
}

static void on_exit2(tenon_node *node,
                     const struct tn_peer *peer,
                     const struct tn_signal *signal,
                     bool *wake)
{
    tenon_process *process = tn_process_seen_locked(node, signal->to);
    if (process != NULL) {
        tn_exit_signal_locked(process, signal->from, signal->payload,
                              tn_peer_account(peer), wake);
    }
}

void tn_links_on_signal(tenon_node *node,
                        tn_conn *conn,
                        const struct tn_signal *signal)
{
    struct tn_peer *peer = tn_conn_user(conn);
    bool wake = false;
    tn_lock(node);
    switch (signal->kind) {
    case TN_SIG_MONITOR:
        on_monitor(node, peer, signal);
        break;
    case TN_SIG_DEMONITOR:
        on_demonitor(node, peer, signal);
        break;
    case TN_SIG_DOWN:
        on_down(node, peer, signal, &wake);
        break;
    case TN_SIG_EXIT2:
        on_exit2(node, peer, signal, &wake);
        break;
    default:
        tn_link_signal_locked(node, peer, signal, &wake);
        break;
    }
    tn_processes_end_doomed_locked(node, &wake);
    tn_leave(node, wake);
}

void tn_links_refuse(tenon_node *node,
                     tn_conn *conn,
                     const struct tn_signal *signal)
{
    struct tn_signal noproc = { .kind = TN_SIG_EXIT,
                                .from = signal->to,
                                .to = signal->from,
                                .payload = tn_atom_noproc };
    if (signal->kind == TN_SIG_MONITOR) {
        noproc.kind = TN_SIG_DOWN;
        noproc.ref = signal->ref;
    } else if (signal->kind != TN_SIG_LINK) {
        return;
    }
    tn_lock(node);
    (void)tn_peer_send_locked(node, tn_conn_user(conn), &noproc);
    tn_leave(node, false);
}

/* ---- monitors of ours -------------------------------------------------- */

static enum tenon_err monitor_here(tenon_process *watcher,
                                   tenon_term target,
                                   const struct tn_ref_key *key,
                                   tenon_term ref,
                                   bool *wake)
{
    tenon_node *node = watcher->node;
    tenon_process *process = tn_process_seen_locked(node, target);
    if (process == NULL) {
        return deliver_down(watcher, ref, target, node->name.full,
                            tn_atom_noproc, NULL, wake);
    }
    struct tn_monitor *monitor =
        make(node, key, ref, target, (tenon_term){ NULL, 0 });
    if (monitor == NULL) {
        return TENON_E_LIMIT;
    }
    attach(monitor, watcher, process, NULL);
    return TENON_OK;
}

static enum tenon_err monitor_there(tenon_process *watcher,
                                    tenon_term target,
                                    const char *on,
                                    const struct tn_ref_key *key,
                                    tenon_term ref,
                                    bool *wake)
{
    tenon_node *node = watcher->node;
    struct tn_peer *peer = tn_peer_get_locked(node, on, strlen(on), wake);
    if (peer == NULL) {
        return node->stopping ? TENON_E_STOPPED : TENON_E_NOMEM;
    }
    struct tn_monitor *monitor =
        make(node, key, ref, target, (tenon_term){ NULL, 0 });
    if (monitor == NULL) {
        return TENON_E_LIMIT;
    }
    attach(monitor, watcher, NULL, peer);
    struct tn_signal signal = {
        .kind = TN_SIG_MONITOR, .from = watcher->pid, .to = target, .ref = ref
    };
    enum tenon_err rc = tn_peer_send_locked(node, peer, &signal);
    /* What is down by now is told by its loss; so is the end of a process on a
     * node that knows no monitors. */
    if (rc != TENON_OK && rc != TENON_E_NODEDOWN && rc != TENON_E_NOTSUP) {
        drop(node, monitor);
        return rc;
    }
    return TENON_OK;
}

enum tenon_err tn_monitor_locked(tenon_process *watcher,
                                 tenon_term target,
                                 const char *on,
                                 tenon_term ref,
                                 bool *wake)
{
    struct tn_ref_key key;
    if (!tn_ref_key(&key, ref, NULL)) {
        return TENON_E_INVAL;
    }
    if (on == NULL || strcmp(on, watcher->node->name.full) == 0) {
        return monitor_here(watcher, target, &key, ref, wake);
    }
    return monitor_there(watcher, target, on, &key, ref, wake);
}

bool tn_demonitor_locked(tenon_process *watcher, tenon_term ref)
{
    tenon_node *node = watcher->node;
    struct tn_ref_key key;
    if (!tn_ref_key(&key, ref, NULL)) {
        return false;
    }
    struct tn_monitor *monitor = find(node, &key);
    if (monitor == NULL || monitor->watcher != watcher) {
        return false;
    }
    withdraw(node, monitor);
    return true;
}

/* ---- the public face --------------------------------------------------- */

/* The target as the term of a signal: a pid, or a name's atom. */
static tenon_value *target_term(const tenon_dest *target, const char **on)
{
    if (target->pid != NULL) {
        *on = target->pid->node;
        return tenon_value_format("~p", target->pid);
    }
    *on = target->node;
    return target->name == NULL ? NULL : tenon_value_format("~a", target->name);
}

/* mode: NULL for a plain monitor, else that of an alias with its reference. */
static enum tenon_err set_locked(tenon_process *self,
                                 tenon_term target,
                                 const char *on,
                                 tenon_term ref,
                                 const enum tenon_alias_mode *mode,
                                 bool *wake)
{
    if (self->exited) {
        return TENON_E_NOPROC;
    }
    enum tenon_err rc =
        mode == NULL ? TENON_OK : tn_alias_add_locked(self, ref, *mode);
    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_monitor_locked(self, target, on, ref, wake);
    if (mode != NULL && (rc != TENON_OK || !is_set(self->node, ref))) {
        /* Not set, or it has told the end at once. */
        tn_alias_monitor_over_locked(self, ref, rc != TENON_OK);
    }
    return rc;
}

static enum tenon_err monitor_with(tenon_process *self,
                                   const tenon_dest *target,
                                   const enum tenon_alias_mode *mode,
                                   tenon_ref *ref)
{
    const char *on;
    if (self == NULL || target == NULL || ref == NULL) {
        return TENON_E_INVAL;
    }
    tenon_node *node = self->node;
    tenon_ref made;
    tn_node_make_ref(node, &made);
    tenon_value *ref_term = tenon_value_format("~r", &made);
    tenon_value *to = target_term(target, &on);
    enum tenon_err rc = TENON_E_INVAL;
    if (ref_term != NULL && to != NULL) {
        bool wake = false;
        tn_lock(node);
        rc = set_locked(self, tenon_value_term(to), on,
                        tenon_value_term(ref_term), mode, &wake);
        tn_leave(node, wake);
    }
    if (rc == TENON_OK) {
        *ref = made;
    }
    tenon_value_free(ref_term);
    tenon_value_free(to);
    return rc;
}

enum tenon_err
tenon_monitor(tenon_process *self, const tenon_dest *target, tenon_ref *ref)
{
    return monitor_with(self, target, NULL, ref);
}

enum tenon_err tenon_monitor_alias(tenon_process *self,
                                   const tenon_dest *target,
                                   enum tenon_alias_mode mode,
                                   tenon_ref *ref)
{
    return monitor_with(self, target, &mode, ref);
}

static bool is_down_of(tenon_term message, tenon_term ref)
{
    tenon_term field;
    return tenon_term_type(message) == TENON_TYPE_TUPLE &&
           tenon_term_count(message) == 5 &&
           tenon_tuple_get(message, 0, &field) == TENON_OK &&
           tenon_term_is_atom(field, "DOWN") &&
           tenon_tuple_get(message, 1, &field) == TENON_OK &&
           tenon_term_equal(field, ref);
}

/* The monitor has fired already: its message is taken out of the mailbox. */
static void flush_down(tenon_process *self, tenon_term ref)
{
    struct tn_message *message;
    STAILQ_FOREACH(message, &self->mailbox, next)
    {
        if (is_down_of(message->term, ref)) {
            tn_process_discard_locked(self, message);
            return;
        }
    }
}

static void demonitor(tenon_process *self, const tenon_ref *ref, bool flush)
{
    tenon_value *term = tenon_value_format("~r", ref);
    if (term == NULL) {
        return;
    }
    tn_lock(self->node);
    if (!tn_demonitor_locked(self, tenon_value_term(term)) && flush) {
        flush_down(self, tenon_value_term(term));
    }
    tn_leave(self->node, false);
    tenon_value_free(term);
}

void tenon_demonitor(tenon_process *self, const tenon_ref *ref)
{
    if (self != NULL && ref != NULL) {
        demonitor(self, ref, true);
    }
}

void tn_demonitor(tenon_process *self, const tenon_ref *ref)
{
    demonitor(self, ref, false);
}
