/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of schedulers: a service that notes what is delivered to it, a
 * folder for files, and messages with an id. */
#ifndef TN_TEST_X3M_ALARMS_H
#define TN_TEST_X3M_ALARMS_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/otp/own_node.h"
#include "x3m/scheduler.h"

#define HOUR_MS 3600000u

/* For other threads than the test's. */
#define MUST(condition)                                                        \
    ((condition) ? (void)0                                                     \
                 : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__,         \
                            __LINE__, #condition),                             \
                    abort()))

/* ---- what was delivered -------------------------------------------------- */

struct note {
    char id[32];
    int64_t attempts;
    bool late;
    int64_t dispatch_at_us;
};

#define NOTES_MAX 4096
static struct notes {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct note notes[NOTES_MAX];
    unsigned count;
    bool hold; /* calls are kept and not answered */
    tenon_call *kept[NOTES_MAX];
    unsigned kept_count;
    const char *answer; /* pattern; NULL: {:ok, nil} */
} notes = { .lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER };

static inline void notes_clear(void)
{
    pthread_mutex_lock(&notes.lock);
    notes.count = 0;
    notes.hold = false;
    notes.answer = NULL;
    pthread_mutex_unlock(&notes.lock);
}

/* answer: a pattern, or NULL. */
static inline void answer_with(const char *answer)
{
    pthread_mutex_lock(&notes.lock);
    notes.answer = answer;
    pthread_mutex_unlock(&notes.lock);
}

static inline void keep_calls(void)
{
    pthread_mutex_lock(&notes.lock);
    notes.hold = true;
    pthread_mutex_unlock(&notes.lock);
}

static inline void read_note(const tenon_message *message, struct note *note)
{
    tenon_term assigns = tenon_message_get(message, "assigns");
    tenon_term late;
    const char *id;
    size_t len;

    MUST(tenon_match(tenon_message_get(message, "id"), "~s", &id, &len));
    snprintf(note->id, sizeof note->id, "%.*s", (int)len, id);
    MUST(tenon_match(assigns, "%{dispatch_attempts: ~i}", &note->attempts));
    MUST(tenon_alarm_at(message, &note->dispatch_at_us) == TENON_OK);
    note->late = tenon_map_get_atom(assigns, "late?", &late) == TENON_OK &&
                 tenon_term_is_atom(late, "true");
}

/* The service. */
static inline void take_note(tenon_call *call, void *user)
{
    (void)user;
    pthread_mutex_lock(&notes.lock);
    MUST(notes.count < NOTES_MAX);
    read_note(tenon_call_message(call), &notes.notes[notes.count++]);
    bool hold = notes.hold;
    const char *answer = notes.answer;

    if (hold) {
        notes.kept[notes.kept_count++] = tenon_call_keep(call);
    }
    pthread_cond_broadcast(&notes.changed);
    pthread_mutex_unlock(&notes.lock);
    if (!hold) {
        tenon_reply(call, answer == NULL ? "{:ok, nil}" : answer);
    }
}

/* The n-th delivery, from 0. */
static inline struct note wait_note(unsigned n)
{
    pthread_mutex_lock(&notes.lock);
    while (notes.count <= n) {
        pthread_cond_wait(&notes.changed, &notes.lock);
    }
    struct note note = notes.notes[n];

    pthread_mutex_unlock(&notes.lock);
    return note;
}

/* Answers what was kept. */
static inline void answer_kept(const char *pattern)
{
    pthread_mutex_lock(&notes.lock);
    notes.hold = false;
    while (notes.kept_count > 0) {
        tenon_call *kept = notes.kept[--notes.kept_count];

        MUST(tenon_reply(kept, pattern) == TENON_OK);
        tenon_call_release(kept);
    }
    pthread_mutex_unlock(&notes.lock);
}

static inline unsigned notes_count(void)
{
    pthread_mutex_lock(&notes.lock);
    unsigned count = notes.count;

    pthread_mutex_unlock(&notes.lock);
    return count;
}

static inline void serve_notes(tenon_node *node)
{
    tenon_router *router = tenon_router_new(node, "Elixir.Notes.Router");

    OK(tenon_service(router, "note", take_note, NULL));
    OK(tenon_register_services(router));
}

/* ---- schedulers ---------------------------------------------------------- */

static inline tenon_scheduler_stats stats_of(tenon_scheduler *scheduler)
{
    tenon_scheduler_stats stats;

    tenon_scheduler_get_stats(scheduler, &stats, sizeof stats);
    return stats;
}

/* Waits until a number of the stats is so: "delivered >= 1". One that goes on
 * changing may have passed any value before it is looked at. */
#define WAIT_STATS(node, scheduler, condition)                                 \
    do {                                                                       \
        unsigned wait_left = DEADLINE_MS / 10;                                 \
        while (!(stats_of(scheduler).condition)) {                             \
            assert_true(wait_left-- > 0);                                      \
            (void)tenon_sleep((node), 10);                                     \
        }                                                                      \
    } while (0)

static inline tenon_message *alarm_message(tenon_node *node, const char *id)
{
    tenon_message *message =
        tenon_message_new(node, "note", &(tenon_message_options){ .id = id });

    assert_non_null(message);
    return message;
}

static inline enum tenon_err schedule_in(tenon_node *node,
                                         tenon_scheduler *scheduler,
                                         const char *id,
                                         uint64_t in_ms)
{
    tenon_message *message = alarm_message(node, id);
    enum tenon_err rc =
        tenon_scheduler_dispatch_in(scheduler, message, "agg-1", in_ms, NULL);

    tenon_message_free(message);
    return rc;
}

static inline enum tenon_err schedule_at(tenon_node *node,
                                         tenon_scheduler *scheduler,
                                         const char *id,
                                         int64_t at_us)
{
    tenon_message *message = alarm_message(node, id);
    enum tenon_err rc =
        tenon_scheduler_dispatch_at(scheduler, message, NULL, at_us, NULL);

    tenon_message_free(message);
    return rc;
}

/* ---- files --------------------------------------------------------------- */

struct folder {
    char dir[64];
    char file[96]; /* in it */
};

static inline void folder_make(struct folder *folder)
{
    strcpy(folder->dir, "/tmp/tenon-alarms-XXXXXX");
    assert_non_null(mkdtemp(folder->dir));
    snprintf(folder->file, sizeof folder->file, "%s/alarms.db", folder->dir);
}

static inline void folder_remove(struct folder *folder)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    char path[128];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", folder->file, ends[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder->dir), 0);
}

#endif
