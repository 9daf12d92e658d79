/* SPDX-License-Identifier: Apache-2.0 */
/* What two nodes that do not know each other say until both have locked the
 * names of all that they know. */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "otp/gen.h"
#include "otp/global_core.h"

/* The first attempt to lock: soon, but not by both sides at once. Later ones
 * as BEAM nodes wait, so that nobody is kept from registering names. */
#define FIRST_MS 20u
#define AGAIN_MS 200u
#define LONGEST_MS 3000u

uint32_t tn_global_random(uint32_t below)
{
    uint32_t bytes = 0;

    /* Without randomness all wait equally long, which is no error. */
    (void)!tn_random_bytes(&bytes, sizeof bytes);
    return below == 0 ? 0 : bytes % below;
}

void tn_global_send(struct tn_global *global,
                    const char *node,
                    tenon_value *message)
{
    if (message == NULL) {
        global->io->warn(global->io_user, "global_no_memory", node);
        global->io->disconnect(global->io_user, node);
        return;
    }
    global->io->send(global->io_user, node, tenon_value_term(message));
    tenon_value_free(message);
}

static void replace(tenon_value **kept, tenon_value *value)
{
    tenon_value_free(*kept);
    *kept = value;
}

/* ---- begin and end ----------------------------------------------------- */

/* What it says has come before its session, and is still its sender's. */
static void take_early(struct tn_global *global, struct tn_gheld *early)
{
    tn_account *before = global->account;

    global->account = early->kept.account;
    tn_gsession_on_init_connect(global, tenon_value_term(early->value));
    global->account = before;
    tn_gheld_drop(early);
}

void tn_gsession_start(struct tn_global *global, struct tn_gpeer *peer)
{
    if (peer->known || peer->session) {
        return;
    }
    struct tn_gheld early = peer->early;

    peer->early = (struct tn_gheld){ 0 };
    peer->session = true;
    peer->my_tag = ++global->last_tag;
    tn_global_send(
        global, peer->name,
        tenon_value_format("{:\"$gen_cast\", {:init_connect, {~i, ~i}, ~a, "
                           "{:locker, :no_longer_a_pid, [], ~t}}}",
                           (int64_t)TN_GLOBAL_VERSION, peer->my_tag,
                           global->own, tenon_value_term(global->locker)));
    if (early.value != NULL) {
        take_early(global, &early);
    }
}

/* What the locks of this session hold is free again. */
static void give_lock_back(struct tn_global *global, struct tn_gpeer *peer)
{
    if (peer->locking != NULL) {
        tn_glocking_drop(peer->locking);
        peer->locking = NULL;
    }
    if (peer->locked >= TN_G_LOCKED) {
        tn_global_unlock_known(global, tenon_value_term(peer->lock_id),
                               &peer->locked_nodes);
    }
    peer->locked = TN_G_UNLOCKED;
    peer->his_lock = false;
    replace(&peer->lock_id, NULL);
    tn_gnodes_fini(&peer->locked_nodes);
}

void tn_gsession_end(struct tn_global *global, struct tn_gpeer *peer)
{
    if (global->attempt == peer) {
        global->attempt = NULL;
    }
    give_lock_back(global, peer);
    peer->due = NULL;
    tn_gexchange_drop(peer);
    tn_gheld_drop(&peer->his_tag);
    tn_gheld_drop(&peer->early);
    tn_gheld_drop(&peer->names);
    tn_gheld_drop(&peer->resolved);
    replace(&peer->his_locker, NULL);
    replace(&peer->ops, NULL);
    peer->session = false;
    peer->pending = false;
    peer->failures = 0;
}

static void
send_cancel(struct tn_global *global, struct tn_gpeer *peer, tenon_term his_tag)
{
    tn_global_send(
        global, peer->name,
        tenon_value_format("{:cancel_connect, ~a, ~t}", global->own, his_tag));
}

/* Begins anew, which the peer is told when it may believe in the old one. */
static void restart(struct tn_global *global, struct tn_gpeer *peer)
{
    bool had_session = peer->session;

    if (peer->pending && peer->his_version >= TN_GLOBAL_VERIFY_VERSION) {
        send_cancel(global, peer, tenon_value_term(peer->his_tag.value));
    }
    tn_gsession_end(global, peer);
    if (had_session) {
        tn_gsession_start(global, peer);
    }
}

/* ---- introductions ----------------------------------------------------- */

static struct tn_gpeer *connected_peer(struct tn_global *global,
                                       tenon_term name)
{
    tenon_atom text;

    if (tenon_term_atom(name, &text) < 0) {
        return NULL;
    }
    struct tn_gpeer *peer = tn_gpeer_find(global, text.text);

    return peer != NULL && peer->up ? peer : NULL;
}

static void send_ack(struct tn_global *global, struct tn_gpeer *peer)
{
    if (peer->his_version >= TN_GLOBAL_VERIFY_VERSION) {
        tn_global_send(global, peer->name,
                       tenon_value_format("{:init_connect_ack, ~a, ~t, ~i}",
                                          global->own,
                                          tenon_value_term(peer->his_tag.value),
                                          peer->my_tag));
    }
}

/* The second introduction of one session: something was lost on the way.
 * False: it is not to be gone on with. */
static bool is_out_of_step(struct tn_global *global,
                           struct tn_gpeer *peer,
                           int64_t version,
                           tenon_term tag)
{
    if (version < TN_GLOBAL_VERIFY_VERSION) {
        global->io->warn(global->io_user, "global_out_of_step", peer->name);
        global->io->disconnect(global->io_user, peer->name);
        return true;
    }
    send_cancel(global, peer, tag);
    restart(global, peer);
    return false;
}

/* part: version, tag, the peer's locker. */
static void take_introduction(struct tn_global *global,
                              struct tn_gpeer *peer,
                              int64_t version,
                              tenon_term tag,
                              tenon_term locker)
{
    peer->his_version = version;
    replace(&peer->his_locker, tenon_value_new(locker));
    if (!tn_gheld_set(global, &peer->his_tag, tag) ||
        peer->his_locker == NULL) {
        global->io->disconnect(global->io_user, peer->name);
        return;
    }
    send_ack(global, peer);
    peer->pending = true;
    tn_gsession_wake_locker(global);
}

/* {init_connect, {Version, Tag, ...}, Node, {locker, _, _, Locker}}. */
void tn_gsession_on_init_connect(struct tn_global *global, tenon_term message)
{
    tenon_term part[4], init[4], version_term, tag;
    int64_t version;

    if (!tn_tuple_views(message, part, 4) ||
        tenon_tuple_get(part[1], 0, &version_term) < 0 ||
        tenon_tuple_get(part[1], 1, &tag) < 0 ||
        tenon_term_int64(version_term, &version) < 0 ||
        !tn_tuple_views(part[3], init, 4) ||
        tenon_term_type(init[3]) != TENON_TYPE_PID) {
        return;
    }
    struct tn_gpeer *peer = connected_peer(global, part[2]);

    if (peer == NULL ||
        (peer->pending && is_out_of_step(global, peer, version, tag))) {
        return;
    }
    if (peer->session) {
        take_introduction(global, peer, version, tag, init[3]);
    } else {
        if (!tn_gheld_set(global, &peer->early, message)) {
            global->io->disconnect(global->io_user, peer->name);
        }
    }
}

static bool is_tag(tenon_term term, int64_t tag)
{
    int64_t value;

    return tenon_term_int64(term, &value) == TENON_OK && value == tag;
}

/* {init_connect_ack, Node, OurTag, HisTag}. */
void tn_gsession_on_ack(struct tn_global *global, const tenon_term part[4])
{
    struct tn_gpeer *peer = connected_peer(global, part[1]);

    if (peer == NULL ||
        (peer->session && is_tag(part[2], peer->my_tag) &&
         tenon_term_equal(tenon_value_term(peer->his_tag.value), part[3]))) {
        return;
    }
    send_cancel(global, peer, part[3]);
    restart(global, peer);
}

/* {cancel_connect, Node, OurTag}. */
void tn_gsession_on_cancel(struct tn_global *global, const tenon_term part[3])
{
    struct tn_gpeer *peer = connected_peer(global, part[1]);

    if (peer != NULL && peer->session && is_tag(part[2], peer->my_tag)) {
        restart(global, peer);
    }
}

/* ---- locking both sides ------------------------------------------------ */

/* {global, [Locker, Locker]}, the same on both sides. */
static tenon_value *make_lock_id(struct tn_global *global,
                                 const struct tn_gpeer *peer)
{
    tenon_term ours = tenon_value_term(global->locker);
    tenon_term his = tenon_value_term(peer->his_locker);
    bool first = tenon_term_compare(ours, his) < 0;

    return tenon_value_format("{:global, [~t, ~t]}", first ? ours : his,
                              first ? his : ours);
}

int64_t tn_gpeer_version(const struct tn_gpeer *peer)
{
    return peer->his_version < TN_GLOBAL_VERSION ? peer->his_version
                                                 : TN_GLOBAL_VERSION;
}

static void
send_lock_set(struct tn_global *global, struct tn_gpeer *peer, bool set)
{
    int64_t version = tn_gpeer_version(peer);
    tenon_value *message;

    /* What we know is not looked at; the place for it stays. */
    if (version >= TN_GLOBAL_VERIFY_VERSION) {
        message = tenon_value_format(
            "{:\"$gen_cast\", {:lock_set, ~t, ~a, [], ~t}}",
            tenon_value_term(global->locker), set ? "true" : "false",
            tenon_value_term(peer->his_tag.value));
    } else {
        message = tenon_value_format(
            version >= TN_GLOBAL_CAST_VERSION
                ? "{:\"$gen_cast\", {:lock_set, ~t, ~a, []}}"
                : "{:lock_set, ~t, ~a, []}",
            tenon_value_term(global->locker), set ? "true" : "false");
    }
    if (version >= TN_GLOBAL_CAST_VERSION || message == NULL) {
        tn_global_send(global, peer->name, message);
        return;
    }
    global->io->send_pid(global->io_user, tenon_value_term(peer->his_locker),
                         tenon_value_term(message));
    tenon_value_free(message);
}

static void both_are_locked(struct tn_global *global, struct tn_gpeer *peer)
{
    peer->locked = TN_G_BOTH;
    tn_gexchange_begin(global, peer);
}

static void on_locked(struct tn_global *global, void *user, bool ok)
{
    struct tn_gpeer *peer = user;

    peer->locking = NULL;
    if (!ok) {
        bool asked = peer->his_lock;

        give_lock_back(global, peer);
        peer->failures++;
        if (global->attempt == peer) {
            global->attempt = NULL;
        }
        if (asked) {
            send_lock_set(global, peer, false);
        }
        tn_gsession_wake_locker(global);
        return;
    }
    peer->locked = TN_G_LOCKED;
    send_lock_set(global, peer, true);
    if (peer->his_lock) {
        both_are_locked(global, peer);
    }
}

/* The boss first, then this node and maybe the peer, then the others. */
static bool fill_stages(struct tn_global *global,
                        struct tn_gpeer *peer,
                        struct tn_glocking *locking,
                        bool with_peer)
{
    struct tn_gnodes known = { 0 };
    bool ok = tn_global_known(global, true, &known) &&
              tn_glocking_add(locking, 0, tn_gnodes_boss(&known)) &&
              tn_glocking_add(locking, 1, global->own) &&
              (!with_peer || tn_glocking_add(locking, 1, peer->name));

    for (size_t i = 0; ok && i < known.count; i++) {
        ok = tn_glocking_add(locking, 2, known.at[i]);
    }
    if (ok && with_peer) {
        ok = tn_gnodes_add(&known, peer->name);
    }
    if (ok) {
        tn_gnodes_fini(&peer->locked_nodes);
        peer->locked_nodes = known;
    } else {
        tn_gnodes_fini(&known);
    }
    return ok;
}

/* with_peer: it has not locked its side for this, so it is asked too. */
static void
lock_nodes(struct tn_global *global, struct tn_gpeer *peer, bool with_peer)
{
    tenon_value *id = make_lock_id(global, peer);
    struct tn_glocking *locking =
        id != NULL
            ? tn_glocking_new(global, tenon_value_term(id), on_locked, peer)
            : NULL;

    replace(&peer->lock_id, id);
    peer->locked = TN_G_LOCKING;
    if (locking == NULL || !fill_stages(global, peer, locking, with_peer)) {
        if (locking != NULL) {
            tn_glocking_free(locking);
        }
        on_locked(global, peer, false);
        return;
    }
    peer->locking = locking;
    tn_glocking_start(locking);
}

static void his_side_is_locked(struct tn_global *global, struct tn_gpeer *peer)
{
    switch (peer->locked) {
    case TN_G_UNLOCKED:
        peer->his_lock = true;
        lock_nodes(global, peer, false);
        break;
    case TN_G_LOCKING:
        peer->his_lock = true;
        break;
    case TN_G_LOCKED:
        both_are_locked(global, peer);
        break;
    case TN_G_BOTH:
        break;
    }
}

/* {lock_set, Locker, Bool, Known, OurTag}, before version 8 without tag. */
void tn_gsession_on_lock_set(struct tn_global *global,
                             const tenon_term *part,
                             size_t count)
{
    tenon_pid locker;

    if (tenon_term_pid(part[1], &locker) < 0) {
        return;
    }
    struct tn_gpeer *peer = tn_gpeer_find(global, locker.node);

    if (peer == NULL || !peer->pending ||
        (count == 5 && !is_tag(part[4], peer->my_tag))) {
        return;
    }
    if (tenon_term_is_atom(part[2], "true")) {
        his_side_is_locked(global, peer);
    } else if (peer->locked == TN_G_LOCKED) {
        give_lock_back(global, peer);
        peer->failures++;
        if (global->attempt == peer) {
            global->attempt = NULL;
        }
        tn_gsession_wake_locker(global);
    }
}

/* ---- our own locker ---------------------------------------------------- */

static bool is_candidate(const struct tn_gpeer *peer)
{
    return peer->session && peer->pending && !peer->known &&
           peer->locked == TN_G_UNLOCKED;
}

static uint32_t count_members(struct tn_global *global, uint32_t *candidates)
{
    uint32_t known = 0;

    *candidates = 0;
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        known += peer->known;
        *candidates += is_candidate(peer);
    }
    return known;
}

static struct tn_gpeer *nth_candidate(struct tn_global *global, uint32_t n)
{
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (is_candidate(peer) && n-- == 0) {
            return peer;
        }
    }
    return NULL;
}

static void attempt(struct tn_global *global, void *user)
{
    uint32_t candidates;

    (void)user;
    (void)count_members(global, &candidates);
    if (global->attempt != NULL || candidates == 0) {
        return;
    }
    if (tn_glock_names_locked(global)) {
        global->just_synced = false;
        tn_gsession_wake_locker(global);
        return;
    }
    struct tn_gpeer *peer = nth_candidate(global, tn_global_random(candidates));

    global->attempt = peer;
    lock_nodes(global, peer, true);
}

static uint32_t attempt_delay(struct tn_global *global, uint32_t known)
{
    uint32_t failures = 0;

    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (is_candidate(peer) && peer->failures > failures) {
            failures = peer->failures;
        }
    }
    if (global->just_synced) {
        global->just_synced = false;
        return 1;
    }
    if (failures == 0) {
        return FIRST_MS + tn_global_random(3 * FIRST_MS);
    }
    uint32_t longest = 1000 + 100 * known;

    return AGAIN_MS +
           tn_global_random(longest < LONGEST_MS ? longest : LONGEST_MS);
}

void tn_gsession_wake_locker(struct tn_global *global)
{
    uint32_t candidates;
    uint32_t known = count_members(global, &candidates);

    if (candidates == 0 || global->attempt != NULL ||
        global->locker_timer.armed) {
        return;
    }
    global->locker_timer.global = global;
    global->locker_timer.fn = attempt;
    global->io->timer_start(global->io_user, &global->locker_timer,
                            attempt_delay(global, known));
}
