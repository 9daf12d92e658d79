/* SPDX-License-Identifier: Apache-2.0 */
/* The alarms in memory: a table by message id, and a timer each. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node/node.h"
#include "x3m/alarm_time.h"
#include "x3m/message.h"
#include "x3m/scheduler.h"

struct tn_alarm *
tn_alarm_find(tenon_scheduler *scheduler, const void *id, size_t id_len)
{
    struct tn_alarm *alarm = NULL;

    TN_HASH_FIND(hh, scheduler->alarms, &scheduler->node->hash_key, id, id_len,
                 alarm);
    return alarm;
}

/* ---- timers ------------------------------------------------------------- */

static uint64_t remaining_ms(const struct tn_alarm *alarm)
{
    if (alarm->by_clock) {
        int64_t now_us = tn_wall_us();

        return alarm->at_us <= now_us
                   ? 0
                   : (uint64_t)(alarm->at_us - now_us + 999) / 1000;
    }
    uint64_t now_ms = tn_now_ms();

    return alarm->due_ms <= now_ms ? 0 : alarm->due_ms - now_ms;
}

static void free_alarm(struct tn_alarm *alarm)
{
    tenon_value_free(alarm->message);
    free(alarm);
}

/* The loop thread. One whose wall clock was set back meanwhile waits on. */
static void on_timer(struct tn_timer *timer, void *user)
{
    struct tn_alarm *alarm = user;
    tenon_scheduler *scheduler = alarm->scheduler;

    tn_scheduler_lock(scheduler);
    /* It may have been armed again since it ran out. */
    tn_timer_stop(scheduler->node, timer);
    alarm->armed = false;
    if (alarm->state == TN_ALARM_GONE) {
        free_alarm(alarm);
    } else if (alarm->state == TN_ALARM_WAITING && scheduler->running) {
        if (remaining_ms(alarm) > 0) {
            tn_alarm_arm(alarm);
        } else {
            tn_alarm_deliver(alarm);
        }
    }
    tn_scheduler_unlock(scheduler);
}

static void note_clock(tenon_scheduler *scheduler)
{
    int64_t offset_us = tn_clock_offset_us();

    if (offset_us < scheduler->clock_offset_us) {
        scheduler->clock_offset_us = offset_us;
    }
}

void tn_alarm_arm(struct tn_alarm *alarm)
{
    tenon_scheduler *scheduler = alarm->scheduler;

    alarm->state = TN_ALARM_WAITING;
    if (!scheduler->running) {
        return;
    }
    if (alarm->by_clock) {
        note_clock(scheduler);
    }
    if (tn_timer_start(scheduler->node, &alarm->timer, remaining_ms(alarm),
                       on_timer, alarm) == TENON_OK) {
        alarm->armed = true;
    } else {
        scheduler->some_unarmed = true;
    }
    tn_scheduler_tick(scheduler);
}

static void disarm(struct tn_alarm *alarm)
{
    if (tn_timer_stop(alarm->scheduler->node, &alarm->timer)) {
        alarm->armed = false;
    }
}

void tn_alarm_hold(struct tn_alarm *alarm)
{
    if (alarm->state == TN_ALARM_DUE) {
        STAILQ_REMOVE(&alarm->scheduler->due, alarm, tn_alarm, next_due);
    }
    disarm(alarm);
    alarm->state = TN_ALARM_HELD;
}

void tn_alarms_rearm(tenon_scheduler *scheduler, bool all_by_clock)
{
    struct tn_alarm *alarm, *next;

    scheduler->some_unarmed = false;
    HASH_ITER(hh, scheduler->alarms, alarm, next)
    {
        if (alarm->state == TN_ALARM_WAITING &&
            (!alarm->armed || (all_by_clock && alarm->by_clock))) {
            tn_alarm_arm(alarm);
        }
    }
}

/* ---- the table ---------------------------------------------------------- */

static size_t message_bytes(const struct tn_alarm *alarm)
{
    return tenon_value_term(alarm->message).len;
}

static void set_message(struct tn_alarm *alarm, tenon_value *message)
{
    alarm->scheduler->bytes -= message_bytes(alarm);
    tenon_value_free(alarm->message);
    alarm->message = message;
    alarm->scheduler->bytes += message_bytes(alarm);
}

/* Not before that time is over, as tn_now_ms will tell, which rounds down. */
static uint64_t due_ms_in(int64_t left_us)
{
    return left_us <= 0
               ? tn_now_ms()
               : (tn_now_ns() + (uint64_t)left_us * 1000 + 999999) / 1000000;
}

void tn_alarm_wait(struct tn_alarm *alarm,
                   tenon_value *message,
                   const struct tn_alarm_time *time)
{
    int64_t left_us = time->at_us - tn_wall_us();

    if (message != NULL) {
        set_message(alarm, message);
    }
    alarm->at_us = time->at_us;
    alarm->due_ms = due_ms_in(left_us);
    alarm->by_clock = time->by_clock;
    alarm->late = time->late;
    alarm->cancelled = false;
    tn_alarm_arm(alarm);
}

/* One alarm may always come in, so that a large one is not locked out. */
static bool has_room(const tenon_scheduler *scheduler, size_t bytes)
{
    return scheduler->alarms == NULL ||
           (HASH_COUNT(scheduler->alarms) < scheduler->max &&
            scheduler->bytes <= scheduler->max_bytes &&
            bytes <= scheduler->max_bytes - scheduler->bytes);
}

static struct tn_alarm *
new_alarm(tenon_scheduler *scheduler, const void *id, size_t id_len)
{
    struct tn_alarm *alarm = calloc(1, sizeof *alarm + id_len + 1);

    if (alarm == NULL) {
        return NULL;
    }
    alarm->scheduler = scheduler;
    alarm->state = TN_ALARM_HELD;
    alarm->id_len = id_len;
    memcpy(alarm->id, id, id_len);
    TN_HASH_ADD(hh, scheduler->alarms, &scheduler->node->hash_key, alarm->id,
                id_len, alarm);
    if (!TN_HASH_HAS(hh, alarm)) {
        free(alarm);
        return NULL;
    }
    return alarm;
}

enum tenon_err tn_alarm_put(tenon_scheduler *scheduler,
                            const tenon_message *message,
                            const struct tn_alarm_time *time)
{
    const void *id;
    size_t id_len;
    tenon_term term = tenon_message_term(message);
    enum tenon_err rc =
        tenon_term_binary(tn_message_field(message, TN_FIELD_ID), &id, &id_len);

    if (rc < 0) {
        return rc;
    }
    struct tn_alarm *alarm = tn_alarm_find(scheduler, id, id_len);

    if (alarm == NULL && !has_room(scheduler, term.len)) {
        return TENON_E_LIMIT;
    }
    tenon_value *value = tenon_value_new(term);

    if (value != NULL && alarm == NULL) {
        alarm = new_alarm(scheduler, id, id_len);
    }
    if (value == NULL || alarm == NULL) {
        tenon_value_free(value);
        return TENON_E_NOMEM;
    }
    tn_alarm_wait(alarm, value, time);
    return TENON_OK;
}

void tn_alarm_remove(struct tn_alarm *alarm)
{
    tenon_scheduler *scheduler = alarm->scheduler;

    if (alarm->state == TN_ALARM_DUE) {
        STAILQ_REMOVE(&scheduler->due, alarm, tn_alarm, next_due);
    }
    disarm(alarm);
    HASH_DELETE(hh, scheduler->alarms, alarm);
    scheduler->bytes -= message_bytes(alarm);
    alarm->state = TN_ALARM_GONE;
    if (!alarm->armed) {
        free_alarm(alarm);
    }
}

void tn_alarms_fini(tenon_scheduler *scheduler)
{
    struct tn_alarm *alarm, *next;

    HASH_ITER(hh, scheduler->alarms, alarm, next)
    {
        HASH_DELETE(hh, scheduler->alarms, alarm);
        free_alarm(alarm);
    }
}
