/* SPDX-License-Identifier: Apache-2.0 */
/* One delivery: the dispatch of an alarm's message on a worker, and what
 * follows from the response. */
#include "base/clock.h"
#include "base/error.h"
#include "node/node.h"
#include "x3m/alarm_retry.h"
#include "x3m/alarm_time.h"
#include "x3m/message.h"
#include "x3m/scheduler.h"

/* ---- the queue ---------------------------------------------------------- */

static void run_delivery(struct tn_job *job);

static void start_delivery(struct tn_alarm *alarm)
{
    tenon_scheduler *scheduler = alarm->scheduler;

    alarm->state = TN_ALARM_DELIVERING;
    scheduler->delivering++;
    alarm->job.fn = run_delivery;
    tn_node_push_job(scheduler->node, &alarm->job);
}

void tn_alarm_deliver(struct tn_alarm *alarm)
{
    tenon_scheduler *scheduler = alarm->scheduler;

    if (scheduler->delivering < TENON_ALARM_DELIVERIES_MAX) {
        start_delivery(alarm);
    } else {
        alarm->state = TN_ALARM_DUE;
        STAILQ_INSERT_TAIL(&scheduler->due, alarm, next_due);
    }
}

/* A delivery has ended: there is room for the next. With the lock held. */
static void end_delivery(tenon_scheduler *scheduler)
{
    struct tn_alarm *next = STAILQ_FIRST(&scheduler->due);

    scheduler->delivering--;
    if (next != NULL && scheduler->running) {
        STAILQ_REMOVE_HEAD(&scheduler->due, next_due);
        start_delivery(next);
    }
    tn_scheduler_has_room(scheduler);
}

/* ---- the end ------------------------------------------------------------ */

/* It goes again, as `message` (taken; NULL: as before). */
static void
deliver_again(struct tn_alarm *alarm, tenon_value *message, uint64_t in_ms)
{
    tn_alarm_wait(alarm, message,
                  &(struct tn_alarm_time){
                      .at_us = tn_us_after(tn_wall_us(), in_ms),
                      .late = message == NULL && alarm->late,
                  });
}

/* There was no response: the node is short of something, or stops. */
static void fail(struct tn_alarm *alarm, enum tenon_err code)
{
    tenon_scheduler *scheduler = alarm->scheduler;

    if (code != TENON_E_STOPPED) {
        tn_log(&scheduler->node->log, TN_WARN, "alarm_not_delivered", "id",
               alarm->id, "why", tenon_err_text(code), NULL);
    }
    pthread_mutex_lock(&scheduler->saving);
    tn_scheduler_lock(scheduler);
    if (alarm->cancelled) {
        tn_alarm_remove(alarm);
    } else {
        deliver_again(alarm, NULL, TN_SCHEDULER_AGAIN_MS);
    }
    end_delivery(scheduler);
    tn_scheduler_unlock(scheduler);
    pthread_mutex_unlock(&scheduler->saving);
}

/* A callback that keeps alarms may have brought back what was cancelled while
 * it was being delivered. With saving held, without the lock. */
static void forget_again(struct tn_alarm *alarm)
{
    tenon_error why = { 0 };
    tenon_scheduler *scheduler = alarm->scheduler;
    enum tenon_err rc = scheduler->callbacks.cancel(
        alarm->id, alarm->id_len, scheduler->callbacks.state, &why);

    if (rc < 0 && rc != TENON_E_NOT_FOUND) {
        tn_log(&scheduler->node->log, TN_ERROR, "alarm_not_recorded", "id",
               alarm->id, "why", why.text, NULL);
    }
}

static void settle(struct tn_alarm *alarm,
                   enum tenon_alarm_next next,
                   tenon_message *reply,
                   uint64_t in_ms)
{
    tenon_scheduler *scheduler = alarm->scheduler;
    tenon_value *again = NULL;

    if (next == TENON_ALARM_RETRY && tn_alarm_renew(reply) == TENON_OK) {
        again = tenon_value_new(tenon_message_term(reply));
    }
    pthread_mutex_lock(&scheduler->saving);
    if (next == TENON_ALARM_RETRY && alarm->cancelled) {
        forget_again(alarm);
        next = TENON_ALARM_DONE;
        tenon_value_free(again);
    }
    tn_scheduler_lock(scheduler);
    if (next == TENON_ALARM_RETRY) {
        scheduler->retried++;
        deliver_again(alarm, again, in_ms);
    } else {
        scheduler->delivered++;
        tn_alarm_remove(alarm);
    }
    end_delivery(scheduler);
    tn_scheduler_unlock(scheduler);
    pthread_mutex_unlock(&scheduler->saving);
}

/* A tenon_dispatch_fn. */
static void on_result(void *user, enum tenon_err code, tenon_message *reply)
{
    struct tn_alarm *alarm = user;
    const struct tn_alarm_callbacks *callbacks = &alarm->scheduler->callbacks;
    uint64_t in_ms = 0;

    if (code < 0) {
        fail(alarm, code);
        return;
    }
    enum tenon_alarm_next next =
        callbacks->responded(reply, &in_ms, callbacks->state);

    settle(alarm, next, reply, in_ms);
    tenon_message_free(reply);
}

/* ---- the start ---------------------------------------------------------- */

static enum tenon_err
assign(tenon_message *message, const char *key, tenon_value *value)
{
    enum tenon_err rc =
        value == NULL
            ? TENON_E_NOMEM
            : tenon_message_assign(message, key, tenon_value_term(value));

    tenon_value_free(value);
    return rc;
}

static enum tenon_err prepare(struct tn_alarm *alarm, tenon_message *message)
{
    uint64_t attempts = tn_alarm_attempts(message);
    enum tenon_err rc = TENON_OK;

    if (alarm->late) {
        rc = assign(message, "late?", tenon_value_format("true"));
    }
    return rc < 0 ? rc
                  : assign(message, "dispatch_attempts",
                           tenon_value_format("~u", attempts + 1));
}

static enum tenon_err dispatch(struct tn_alarm *alarm)
{
    tenon_scheduler *scheduler = alarm->scheduler;
    tenon_message *message = tenon_message_from_term(
        scheduler->node, tenon_value_term(alarm->message), NULL);
    enum tenon_err rc =
        message == NULL ? TENON_E_NOMEM : prepare(alarm, message);

    if (rc == TENON_OK) {
        uint32_t timeout_ms =
            scheduler->dispatch_timeout == NULL
                ? 0
                : scheduler->dispatch_timeout(message, scheduler->state);

        rc = tenon_dispatch_async(scheduler->node, message, timeout_ms,
                                  on_result, alarm);
    }
    tenon_message_free(message);
    return rc;
}

static void run_delivery(struct tn_job *job)
{
    struct tn_alarm *alarm =
        (struct tn_alarm *)((char *)job - offsetof(struct tn_alarm, job));
    enum tenon_err rc = dispatch(alarm);

    if (rc < 0) {
        fail(alarm, rc);
    }
}
