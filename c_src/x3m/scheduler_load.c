/* SPDX-License-Identifier: Apache-2.0 */
/* Loading alarms window by window, and the tick that does so and watches the
 * wall clock. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/node.h"
#include "x3m/alarm_time.h"
#include "x3m/message.h"
#include "x3m/scheduler.h"

/* A load that failed is tried again after this time. */
#define LOAD_AGAIN_MS 10000u

struct tenon_alarms {
    tenon_scheduler *scheduler;
    int64_t now_us;
    int64_t refused_us; /* the earliest that did not fit; INT64_MAX: none */
};

/* ---- one load ----------------------------------------------------------- */

/* What is in memory already is ignored. */
static enum tenon_err
keep(tenon_alarms *alarms, const tenon_message *message, int64_t at_us)
{
    tenon_scheduler *scheduler = alarms->scheduler;
    const void *id = NULL;
    size_t id_len = 0;
    enum tenon_err rc =
        tenon_term_binary(tn_message_field(message, TN_FIELD_ID), &id, &id_len);

    if (rc < 0) {
        return rc;
    }
    tn_scheduler_lock(scheduler);
    if (tn_alarm_find(scheduler, id, id_len) == NULL) {
        rc = tn_alarm_put(scheduler, message,
                          &(struct tn_alarm_time){
                              .at_us = at_us,
                              .by_clock = true,
                              .late = at_us < alarms->now_us,
                          });
    }
    tn_scheduler_unlock(scheduler);
    return rc;
}

enum tenon_err
tenon_alarms_add(tenon_alarms *alarms, tenon_term term, int64_t at_us)
{
    tenon_message message;
    tenon_error why = { 0 };

    if (alarms == NULL || at_us < 0 || at_us > TENON_ALARM_AT_MAX_US) {
        return TENON_E_INVAL;
    }
    tenon_scheduler *scheduler = alarms->scheduler;

    if (tn_message_init(&message, scheduler->node, term, &why) < 0) {
        tn_log(&scheduler->node->log, TN_ERROR, "alarm_unreadable", "why",
               why.text, NULL);
        return TENON_E_BADTERM;
    }
    enum tenon_err rc = keep(alarms, &message, at_us);

    tn_message_fini(&message);
    if (rc < 0 && at_us < alarms->refused_us) {
        alarms->refused_us = at_us;
    }
    return rc;
}

/* Without a window that lies ahead there is nothing to do: the wall clock was
 * set back. */
static enum tenon_err load_window(tenon_scheduler *scheduler, tenon_error *err)
{
    int64_t now_us = tn_wall_us();
    int64_t until_us =
        tn_us_after(now_us, (uint64_t)scheduler->interval_ms * 2);
    tenon_alarms alarms = { scheduler, now_us, INT64_MAX };

    if (until_us <= scheduler->loaded_until_us) {
        return TENON_OK;
    }
    enum tenon_err rc =
        scheduler->callbacks.load(scheduler->loaded_until_us, until_us, &alarms,
                                  scheduler->callbacks.state, err);

    if (rc == TENON_OK) {
        scheduler->loaded_until_us = until_us;
        if (alarms.refused_us < until_us) {
            tn_scheduler_rewind(scheduler, alarms.refused_us);
        }
    }
    return rc;
}

/* With the lock held. */
static void load_again_in(tenon_scheduler *scheduler, uint64_t ms)
{
    uint64_t at_ms = tn_now_ms() + ms;

    if (scheduler->next_load_ms > at_ms) {
        scheduler->next_load_ms = at_ms;
        scheduler->ticks = false;
        tn_scheduler_tick(scheduler);
    }
}

void tn_scheduler_rewind(tenon_scheduler *scheduler, int64_t at_us)
{
    if (at_us < scheduler->loaded_until_us) {
        scheduler->loaded_until_us = at_us;
    }
    tn_scheduler_lock(scheduler);
    scheduler->behind = true;
    load_again_in(scheduler, TN_SCHEDULER_AGAIN_MS);
    tn_scheduler_unlock(scheduler);
}

void tn_scheduler_has_room(tenon_scheduler *scheduler)
{
    if (scheduler->behind &&
        HASH_COUNT(scheduler->alarms) <= scheduler->max / 2 &&
        scheduler->bytes <= scheduler->max_bytes / 2) {
        scheduler->behind = false;
        load_again_in(scheduler, 0);
    }
}

enum tenon_err tn_scheduler_load(tenon_scheduler *scheduler, tenon_error *err)
{
    pthread_mutex_lock(&scheduler->saving);
    tn_scheduler_lock(scheduler);
    scheduler->next_load_ms = tn_now_ms() + scheduler->interval_ms;
    scheduler->behind = false;
    tn_scheduler_unlock(scheduler);
    enum tenon_err rc = load_window(scheduler, err);

    if (rc < 0) {
        tn_scheduler_lock(scheduler);
        load_again_in(scheduler, LOAD_AGAIN_MS);
        tn_scheduler_unlock(scheduler);
    }
    pthread_mutex_unlock(&scheduler->saving);
    return rc;
}

/* ---- the tick ----------------------------------------------------------- */

static void run_load(struct tn_job *job)
{
    tenon_error why = { 0 };
    tenon_scheduler *scheduler =
        (tenon_scheduler *)((char *)job - offsetof(tenon_scheduler, load_job));

    tn_scheduler_lock(scheduler);
    bool running = scheduler->running;

    tn_scheduler_unlock(scheduler);
    if (running && tn_scheduler_load(scheduler, &why) < 0) {
        tn_log(&scheduler->node->log, TN_ERROR, "alarms_not_loaded", "why",
               why.text, NULL);
    }
    tn_scheduler_lock(scheduler);
    scheduler->load_queued = false;
    scheduler->ticks = false;
    tn_scheduler_tick(scheduler);
    tn_scheduler_unlock(scheduler);
}

/* The timers of alarms that follow the wall clock were started with it at
 * clock_offset_us or later: what is due earlier than they tell is so by a step
 * forward. Later is seen when they run out. With the lock held. */
static bool was_clock_advanced(tenon_scheduler *scheduler)
{
    int64_t offset_us = tn_clock_offset_us();
    bool advanced = offset_us - scheduler->clock_offset_us > TN_CLOCK_STEP_US;

    if (advanced) {
        scheduler->clock_offset_us = offset_us;
    }
    return advanced;
}

static void on_tick(struct tn_timer *timer, void *user)
{
    tenon_scheduler *scheduler = user;

    (void)timer;
    tn_scheduler_lock(scheduler);
    bool advanced = was_clock_advanced(scheduler);

    scheduler->ticks = false;
    if (advanced || scheduler->some_unarmed) {
        tn_alarms_rearm(scheduler, advanced);
    }
    if (scheduler->running && !scheduler->load_queued &&
        (advanced || tn_now_ms() >= scheduler->next_load_ms)) {
        scheduler->load_queued = true;
        scheduler->load_job.fn = run_load;
        tn_node_push_job(scheduler->node, &scheduler->load_job);
    }
    tn_scheduler_tick(scheduler);
    tn_scheduler_unlock(scheduler);
}

/* How long until there is something to do. A load that is queued sets the time
 * of the next one when it runs. */
static uint64_t tick_ms(const tenon_scheduler *scheduler)
{
    uint64_t now_ms = tn_now_ms();

    if (scheduler->load_queued ||
        scheduler->next_load_ms >= now_ms + TN_SCHEDULER_TICK_MS) {
        return TN_SCHEDULER_TICK_MS;
    }
    return scheduler->next_load_ms <= now_ms ? 0
                                             : scheduler->next_load_ms - now_ms;
}

void tn_scheduler_tick(tenon_scheduler *scheduler)
{
    if (!scheduler->ticks && scheduler->running &&
        tn_timer_start(scheduler->node, &scheduler->tick, tick_ms(scheduler),
                       on_tick, scheduler) == TENON_OK) {
        scheduler->ticks = true;
    }
}
