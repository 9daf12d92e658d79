/* SPDX-License-Identifier: Apache-2.0 */
#include "otp/global_serial.h"

bool tn_gserial_init(struct tn_gserial *serial)
{
    *serial = (struct tn_gserial){ 0 };
    STAILQ_INIT(&serial->events);
    if (pthread_mutex_init(&serial->lock, NULL) != 0) {
        return false;
    }
    if (pthread_cond_init(&serial->left, NULL) != 0) {
        pthread_mutex_destroy(&serial->lock);
        return false;
    }
    return true;
}

void tn_gserial_fini(struct tn_gserial *serial)
{
    pthread_cond_destroy(&serial->left);
    pthread_mutex_destroy(&serial->lock);
}

static bool is_in_locked(const struct tn_gserial *serial)
{
    return serial->depth > 0 && pthread_equal(serial->holder, pthread_self());
}

static void come_in_locked(struct tn_gserial *serial)
{
    serial->depth++;
    serial->holder = pthread_self();
}

/* An inline handler that the core sends something may ask the name server
 * something before the core goes on: so the same thread may come in again. */
void tn_gserial_enter(struct tn_gserial *serial)
{
    pthread_mutex_lock(&serial->lock);
    while (serial->depth > 0 && !is_in_locked(serial)) {
        pthread_cond_wait(&serial->left, &serial->lock);
    }
    come_in_locked(serial);
    pthread_mutex_unlock(&serial->lock);
}

void tn_gserial_leave(struct tn_gserial *serial)
{
    struct tn_gevent *event;
    pthread_mutex_lock(&serial->lock);
    while (serial->depth == 1 &&
           (event = STAILQ_FIRST(&serial->events)) != NULL) {
        STAILQ_REMOVE_HEAD(&serial->events, next);
        pthread_mutex_unlock(&serial->lock);
        event->fn(event);
        pthread_mutex_lock(&serial->lock);
    }
    if (--serial->depth == 0) {
        pthread_cond_signal(&serial->left);
    }
    pthread_mutex_unlock(&serial->lock);
}

/* Comes in if nobody is in there. */
static bool try_enter_locked(struct tn_gserial *serial)
{
    bool is_free = serial->depth == 0;
    if (is_free) {
        come_in_locked(serial);
    }
    return is_free;
}

void tn_gserial_post(struct tn_gserial *serial, struct tn_gevent *event)
{
    pthread_mutex_lock(&serial->lock);
    bool is_in = try_enter_locked(serial);
    if (!is_in) {
        STAILQ_INSERT_TAIL(&serial->events, event, next);
    }
    pthread_mutex_unlock(&serial->lock);
    if (is_in) {
        event->fn(event);
        tn_gserial_leave(serial);
    }
}

bool tn_gserial_try_enter(struct tn_gserial *serial)
{
    pthread_mutex_lock(&serial->lock);
    bool is_in = try_enter_locked(serial);
    pthread_mutex_unlock(&serial->lock);
    return is_in;
}
