/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_rate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The peers' table: as a processor's cache, since a peer that is pushed out
 * loses nothing but the memory of its last lines. */
#define WAYS 4u
#define SETS (TN_LOG_RATE_PEERS / WAYS)

/* More than there are events in this program; the last one takes what may be
 * beyond. */
#define EVENTS 128u

/* The first `burst` lines at once, then one each `interval_ms`. */
struct pace {
    uint64_t burst, interval_ms;
};

struct bucket {
    uint64_t key;     /* 0: free */
    uint64_t full_ms; /* when it holds its whole burst again */
    uint64_t left_out;
    struct bucket *event; /* of a peer's bucket */
};

struct tn_log_rate {
    struct tn_sip_key secret; /* constant */
    pthread_mutex_t lock;     /* guards all below; taken last */
    uint64_t left_out;
    struct bucket events[EVENTS];
    struct bucket peers[SETS][WAYS];
};

/* Of one event: one peer, whatever has no peer, and all together, where a
 * cluster of some hundred nodes that comes or goes at once is fully told. */
struct paces {
    struct pace peer, nobody, all;
};
static const struct paces ours = { .peer = { 10, 1000 },
                                   .nobody = { 100, 50 },
                                   .all = { 1000, 50 } };
/* What the processes of other nodes log for a caller of this one. */
static const struct paces theirs = { .peer = { 100, 50 },
                                     .nobody = { 100, 50 },
                                     .all = { 1000, 5 } };

static const struct paces *paces_of(const char *event)
{
    return strcmp(event, "remote_log") == 0 ? &theirs : &ours;
}

tn_log_rate *tn_log_rate_new(const struct tn_sip_key *secret)
{
    tn_log_rate *rate = calloc(1, sizeof *rate);
    if (rate == NULL) {
        return NULL;
    }
    rate->secret = *secret;
    if (pthread_mutex_init(&rate->lock, NULL) != 0) {
        free(rate);
        return NULL;
    }
    return rate;
}

void tn_log_rate_free(tn_log_rate *rate)
{
    if (rate != NULL) {
        pthread_mutex_destroy(&rate->lock);
        free(rate);
    }
}

/* ---- buckets ------------------------------------------------------------- */

/* Never 0. */
static uint64_t
key_of(const tn_log_rate *rate, uint64_t seed, const void *p, size_t n)
{
    struct tn_sip_key secret = rate->secret;
    secret.k1 ^= seed;
    uint64_t key = tn_siphash13(&secret, p, n);
    return key != 0 ? key : 1;
}

/* An address has a port, which each connection has another of; a name, which
 * may have colons too, has an @. */
static size_t peer_len(const char *peer)
{
    const char *colon = strchr(peer, '@') == NULL ? strrchr(peer, ':') : NULL;
    return colon != NULL ? (size_t)(colon - peer) : strlen(peer);
}

static struct bucket *event_locked(tn_log_rate *rate, uint64_t key)
{
    for (size_t i = 0; i < EVENTS; i++) {
        struct bucket *bucket = &rate->events[(key + i) % EVENTS];
        if (bucket->key == 0) {
            bucket->key = key;
        }
        if (bucket->key == key) {
            return bucket;
        }
    }
    return &rate->events[EVENTS - 1];
}

/* What a bucket that makes way has left out is said with its event's next
 * line. */
static struct bucket *
peer_locked(tn_log_rate *rate, struct bucket *event, uint64_t key)
{
    struct bucket *set = rate->peers[key % SETS];
    struct bucket *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        if (set[i].full_ms < oldest->full_ms) {
            oldest = &set[i];
        }
    }
    if (oldest->event != NULL) {
        oldest->event->left_out += oldest->left_out;
    }
    *oldest = (struct bucket){ .key = key, .event = event };
    return oldest;
}

static bool
has_token(const struct bucket *bucket, const struct pace *pace, uint64_t now_ms)
{
    return bucket->full_ms <= now_ms + (pace->burst - 1) * pace->interval_ms;
}

static void
take_token(struct bucket *bucket, const struct pace *pace, uint64_t now_ms)
{
    uint64_t from = bucket->full_ms > now_ms ? bucket->full_ms : now_ms;
    bucket->full_ms = from + pace->interval_ms;
}

static uint64_t take_left_out(struct bucket *bucket)
{
    uint64_t left_out = bucket->left_out;
    bucket->left_out = 0;
    return left_out;
}

static bool take_locked(tn_log_rate *rate,
                        const char *event_name,
                        const char *peer_name,
                        uint64_t now_ms,
                        uint64_t *left_out)
{
    const struct paces *paces = paces_of(event_name);
    const char *who = peer_name != NULL ? peer_name : "";
    const struct pace *pace = peer_name != NULL ? &paces->peer : &paces->nobody;
    uint64_t event_key = key_of(rate, 0, event_name, strlen(event_name));
    struct bucket *event = event_locked(rate, event_key);
    struct bucket *peer =
        peer_locked(rate, event, key_of(rate, event_key, who, peer_len(who)));
    if (!has_token(peer, pace, now_ms)) {
        peer->left_out++;
        return false;
    }
    if (!has_token(event, &paces->all, now_ms)) {
        event->left_out++;
        return false;
    }
    take_token(peer, pace, now_ms);
    take_token(event, &paces->all, now_ms);
    *left_out = take_left_out(peer) + take_left_out(event);
    return true;
}

bool tn_log_rate_take(tn_log_rate *rate,
                      const char *event,
                      const char *peer,
                      uint64_t now_ms,
                      uint64_t *left_out)
{
    pthread_mutex_lock(&rate->lock);
    bool may = take_locked(rate, event, peer, now_ms, left_out);
    rate->left_out += may ? 0 : 1;
    pthread_mutex_unlock(&rate->lock);
    return may;
}

uint64_t tn_log_rate_left_out(tn_log_rate *rate)
{
    pthread_mutex_lock(&rate->lock);
    uint64_t left_out = rate->left_out;
    pthread_mutex_unlock(&rate->lock);
    return left_out;
}
