/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that come, go and lose each other: a node that has lost one member is
 * given up by all, so that no two partitions overlap. */
#include <stdlib.h>
#include <string.h>

#include "otp/global_core.h"

/* ---- who is told ------------------------------------------------------- */

static int64_t member_version(const struct tn_gpeer *peer)
{
    return peer->known ? peer->version : peer->his_version;
}

/* To all members that know of partitions, but for one. */
static void
tell_members(struct tn_global *global, const char *but, tenon_term message)
{
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (tn_gpeer_is_member(peer) && peer->up &&
            member_version(peer) >= TN_GLOBAL_PARTITION_VERSION &&
            strcmp(peer->name, but) != 0) {
            global->io->send(global->io_user, peer->name, message);
        }
    }
}

static void tell_lost(struct tn_global *global, const char *node)
{
    if (global->stopping) {
        return;
    }
    tenon_value *message =
        tenon_value_format("{:lost_connection, ~a, ~i, ~i, ~a}", global->own,
                           global->incarnation, ++global->last_op, node);

    if (message == NULL) {
        global->io->warn(global->io_user, "global_no_memory", node);
        return;
    }
    tell_members(global, node, tenon_value_term(message));
    tenon_value_free(message);
}

/* ---- who is connected, and no member ------------------------------------ */

/* Neither a member nor about to become one: it has given us up while we gave
 * it up, or believes that another has made it known here. What would mend that
 * may be on its way; after that nothing but a new connection does. */
static bool is_astray(const struct tn_gpeer *peer)
{
    return peer->up && !peer->known && !peer->session && !peer->apart;
}

static void look_for_astray(struct tn_global *global, void *user)
{
    bool again = false;

    (void)user;
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        bool still = peer->astray && is_astray(peer);

        peer->astray = !still && is_astray(peer);
        again = again || peer->astray;
        if (still) {
            global->io->warn(global->io_user, "global_astray", peer->name);
            global->io->disconnect(global->io_user, peer->name);
        }
    }
    if (again) {
        tn_gpartition_watch_astray(global);
    }
}

void tn_gpartition_watch_astray(struct tn_global *global)
{
    if (global->astray_timer.armed || global->stopping) {
        return;
    }
    global->astray_timer.global = global;
    global->astray_timer.fn = look_for_astray;
    global->io->timer_start(global->io_user, &global->astray_timer,
                            TN_GLOBAL_ASTRAY_MS);
}

/* ---- coming and going -------------------------------------------------- */

/* A member is one no more. Closing connections are told nobody of. */
static void
forget(struct tn_global *global, struct tn_gpeer *peer, bool is_removed)
{
    bool tell = !is_removed && !peer->removing;

    peer->removing = is_removed && peer->up;
    tn_gsession_end(global, peer);
    if (tell) {
        tell_lost(global, peer->name);
    }
    peer->known = false;
    peer->synced = false;
    peer->wanted = false;
    peer->apart = false;
    peer->astray = false;
    if (peer->up) {
        tn_gpartition_watch_astray(global);
    }
}

void tn_global_peer_up(struct tn_global *global, const char *name)
{
    struct tn_gpeer *peer = tn_gpeer_get(global, name);

    if (peer == NULL) {
        global->io->warn(global->io_user, "global_nodes_full", name);
        return;
    }
    peer->up = true;
    peer->removing = false;
    if (peer->wanted) {
        peer->wanted = false;
        tn_gsync_other(global, name);
    }
    tn_gsession_start(global, peer);
}

void tn_global_peer_down(struct tn_global *global, const char *name)
{
    struct tn_gpeer *peer = tn_gpeer_find(global, name);

    if (peer == NULL) {
        return;
    }
    peer->up = false;
    tn_glocks_node_lost(global, name);
    forget(global, peer, false);
    tn_gsync_told(global, name);
    tn_gsyncs_node_lost(global, name);
    tn_gquestions_node_lost(global, name);
    tn_gsession_wake_locker(global);
    tn_gpeer_release(global, peer);
}

/* A member that cannot be reached has been lost. */
void tn_global_connect_failed(struct tn_global *global, const char *name)
{
    struct tn_gpeer *peer = tn_gpeer_find(global, name);

    if (peer == NULL || peer->up || !peer->wanted) {
        return;
    }
    global->io->warn(global->io_user, "global_cannot_connect", name);
    tn_global_peer_down(global, name);
}

void tn_global_stop(struct tn_global *global)
{
    global->stopping = true;
    tn_gops_stop(global);
    tn_gsyncs_fini(global);
}

/* ---- what others have lost --------------------------------------------- */

static void drop_lost(struct tn_global *global, struct tn_glost *lost)
{
    HASH_DELETE(hh, global->lost, lost);
    free(lost);
}

/* The table is in order of age. */
static void drop_old(struct tn_global *global, uint64_t now)
{
    while (global->lost != NULL &&
           (global->lost->until_ms <= now ||
            HASH_COUNT(global->lost) >= TN_GLOBAL_LOST_MAX)) {
        drop_lost(global, global->lost);
    }
}

/* False: it has been seen. Without memory it is taken for new, at the worst
 * once too often. */
static bool remember(struct tn_global *global,
                     const char *by,
                     const char *node,
                     int64_t incarnation,
                     int64_t op)
{
    struct tn_glost *lost = NULL;
    size_t by_len = strlen(by) + 1, len = by_len + strlen(node);
    char key[2 * TENON_ATOM_MAX_BYTES + 2];

    memcpy(key, by, by_len);
    memcpy(key + by_len, node, len - by_len);
    TN_HASH_FIND(hh, global->lost, global->hash_key, key, len, lost);
    if (lost != NULL && lost->incarnation == incarnation && op <= lost->op) {
        return false;
    }
    if (lost != NULL) {
        drop_lost(global, lost);
    }
    drop_old(global, global->io->now_ms(global->io_user));
    lost = calloc(1, sizeof *lost + len);
    if (lost == NULL) {
        return true;
    }
    lost->incarnation = incarnation;
    lost->op = op;
    lost->until_ms = global->io->now_ms(global->io_user) + TN_GLOBAL_LOST_MS;
    memcpy(lost->key, key, len);
    TN_HASH_ADD(hh, global->lost, global->hash_key, lost->key, len, lost);
    if (!TN_HASH_HAS(hh, lost)) {
        free(lost);
    }
    return true;
}

static void give_up(struct tn_global *global, struct tn_gpeer *peer)
{
    if (member_version(peer) < TN_GLOBAL_PARTITION_VERSION) {
        global->io->disconnect(global->io_user, peer->name);
    } else {
        tn_global_send(
            global, peer->name,
            tenon_value_format("{:remove_connection, ~a}", global->own));
    }
    global->io->warn(global->io_user, "global_gives_up", peer->name);
    forget(global, peer, true);
}

/* {lost_connection, A, Incarnation, Op, B}: A has lost B. */
void tn_gpartition_on_lost(struct tn_global *global,
                           const tenon_term part[5],
                           tenon_term message)
{
    tenon_atom by, node;
    int64_t incarnation, op;

    if (tenon_term_atom(part[1], &by) < 0 ||
        tenon_term_int64(part[2], &incarnation) < 0 ||
        tenon_term_int64(part[3], &op) < 0 ||
        tenon_term_atom(part[4], &node) < 0 || global->stopping ||
        !remember(global, by.text, node.text, incarnation, op)) {
        return;
    }
    tell_members(global, by.text, message);
    struct tn_gpeer *peer = tn_gpeer_find(
        global, strcmp(node.text, global->own) == 0 ? by.text : node.text);

    if (tn_gpeer_is_member(peer)) {
        give_up(global, peer);
    }
}

/* {remove_connection, Node}: it has given us up, and waits for the end of the
 * connection, whether we have given it up as well or not. */
void tn_gpartition_on_remove(struct tn_global *global, tenon_term node)
{
    tenon_atom name;

    if (tenon_term_atom(node, &name) < 0) {
        return;
    }
    struct tn_gpeer *peer = tn_gpeer_find(global, name.text);

    if (peer == NULL || (!peer->up && !tn_gpeer_is_member(peer))) {
        return;
    }
    global->io->warn(global->io_user, "global_given_up", peer->name);
    global->io->disconnect(global->io_user, peer->name);
    forget(global, peer, true);
    tn_gsync_told(global, name.text);
}

void tn_gpartition_fini(struct tn_global *global)
{
    while (global->lost != NULL) {
        drop_lost(global, global->lost);
    }
}
