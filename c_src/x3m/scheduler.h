/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a scheduler: the alarms in memory, each with a timer of the
 * node, and the deliveries under way. scheduler.c has the public functions,
 * alarm.c the alarms in memory, alarm_delivery.c what happens when one is due,
 * scheduler_load.c how they come from where they are saved. */
#ifndef TN_X3M_SCHEDULER_H
#define TN_X3M_SCHEDULER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <tenon/scheduler.h>

#include "base/hash.h"
#include "node/timer.h"
#include "node/worker.h"
#include "x3m/alarm_store.h"

/* The wall clock is looked at this often, and loads that are due are begun. */
#define TN_SCHEDULER_TICK_MS 1000u
/* After something that failed for lack of memory or room. */
#define TN_SCHEDULER_AGAIN_MS 1000u
/* The wall clock was set when it is so far ahead of what it was. */
#define TN_CLOCK_STEP_US 100000

enum tn_alarm_state {
    TN_ALARM_WAITING,    /* its timer tells */
    TN_ALARM_HELD,       /* it is being replaced or cancelled */
    TN_ALARM_DUE,        /* in the queue: too many deliveries are under way */
    TN_ALARM_DELIVERING, /* belongs to its delivery */
    TN_ALARM_GONE,       /* in no table; the timer, about to run, frees it */
};

/* Guarded by its scheduler's lock; `message` of one that is being delivered
 * does not change. */
struct tn_alarm {
    UT_hash_handle hh; /* by id */
    struct tn_timer timer;
    struct tn_job job;
    STAILQ_ENTRY(tn_alarm) next_due;
    tenon_scheduler *scheduler;
    tenon_value *message;
    enum tn_alarm_state state;
    int64_t at_us;   /* by the wall clock, when by_clock */
    uint64_t due_ms; /* by the other, else */
    bool by_clock;
    bool armed; /* the timer is, or its function is about to run */
    bool late;
    bool cancelled; /* while it was being delivered */
    size_t id_len;
    char id[]; /* with a NUL behind, for the log */
};

/* When an alarm is due. */
struct tn_alarm_time {
    int64_t at_us;
    bool by_clock; /* else after the time from now until at_us */
    bool late;
};

/* The callbacks, of the program or of the embedded store. */
struct tn_alarm_callbacks {
    tenon_save_alarm_fn save;
    tenon_load_alarms_fn load;
    tenon_cancel_alarm_fn cancel;
    tenon_service_responded_fn responded;
    void *state;
};

/* Lock order: saving, lock, the node's lock. */
struct tenon_scheduler {
    SLIST_ENTRY(tenon_scheduler) next;
    /* constant */
    tenon_node *node;
    struct tn_alarm_callbacks callbacks;
    struct tn_alarm_store *store; /* NULL: the program's callbacks */
    tenon_dispatch_timeout_fn dispatch_timeout;
    void *state;
    uint32_t interval_ms;
    uint32_t max;
    size_t max_bytes;

    /* Held while alarms are saved, loaded or cancelled, and while a delivery
     * ends: what is in memory and what is saved change together. Not taken by
     * the loop. Guards loaded_until_us. */
    pthread_mutex_t saving;
    int64_t loaded_until_us; /* what is due before is in memory */

    pthread_mutex_t lock; /* guards all below; taken by the loop */
    struct tn_alarm *alarms;
    size_t bytes; /* of the messages */
    STAILQ_HEAD(, tn_alarm) due;
    unsigned delivering;
    uint64_t delivered;
    uint64_t retried;
    int64_t clock_offset_us; /* least with which a timer was started */
    uint64_t next_load_ms;
    bool load_queued;
    bool behind;       /* not all that is due soon had room in memory */
    bool some_unarmed; /* a timer could not be started: the tick does */
    bool ticks;
    bool running; /* after the first load, until the stop */
    struct tn_timer tick;
    struct tn_job load_job;
    char *name; /* NULL: none; constant */
};

static inline void tn_scheduler_lock(tenon_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
}

static inline void tn_scheduler_unlock(tenon_scheduler *scheduler)
{
    pthread_mutex_unlock(&scheduler->lock);
}

/* ---- alarm.c: all with the lock held ----------------------------------- */

/* NULL: there is none with that id. */
struct tn_alarm *
tn_alarm_find(tenon_scheduler *scheduler, const void *id, size_t id_len);
/* Puts an alarm into memory, in the place of a held one with its id, and arms
 * its timer. Errors: LIMIT, NOMEM (a held one stays held). */
TENON_CHECK enum tenon_err tn_alarm_put(tenon_scheduler *scheduler,
                                        const tenon_message *message,
                                        const struct tn_alarm_time *time);
/* Gives an alarm another message (taken; NULL: the same) and waits again. */
void tn_alarm_wait(struct tn_alarm *alarm,
                   tenon_value *message,
                   const struct tn_alarm_time *time);
/* Stops one that is not being delivered; tn_alarm_wait or tn_alarm_arm lets
 * it go on. */
void tn_alarm_hold(struct tn_alarm *alarm);
/* Starts its timer anew; without memory the tick tries again. */
void tn_alarm_arm(struct tn_alarm *alarm);
/* Frees it, whatever its state. */
void tn_alarm_remove(struct tn_alarm *alarm);
/* Of all that follow the wall clock, and of those without a timer. */
void tn_alarms_rearm(tenon_scheduler *scheduler, bool all_by_clock);
/* All of them, when no thread is left. */
void tn_alarms_fini(tenon_scheduler *scheduler);

/* ---- alarm_delivery.c --------------------------------------------------- */

/* Takes an alarm that is due, with the lock held. */
void tn_alarm_deliver(struct tn_alarm *alarm);

/* ---- scheduler_load.c --------------------------------------------------- */

/* Loads what is due by the end of the next window. Takes saving.
 * Errors: those of the callback. */
TENON_CHECK enum tenon_err tn_scheduler_load(tenon_scheduler *scheduler,
                                             tenon_error *err);
/* What is due from then on could not be kept in memory: it is loaded later.
 * With saving held. */
void tn_scheduler_rewind(tenon_scheduler *scheduler, int64_t at_us);
/* There is more room than before. With the lock held. */
void tn_scheduler_has_room(tenon_scheduler *scheduler);
/* Starts the tick, when it does not run. With the lock held. */
void tn_scheduler_tick(tenon_scheduler *scheduler);

#endif
