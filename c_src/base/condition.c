/* SPDX-License-Identifier: Apache-2.0 */
/* Condition variables that no change of the wall clock disturbs. */
#include "base/condition.h"

#include <errno.h>

bool tn_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(condition, &attr);
    pthread_condattr_destroy(&attr);
    return rc == 0;
}

void tn_deadline(uint32_t ms, struct timespec *until)
{
    clock_gettime(CLOCK_MONOTONIC, until);
    until->tv_sec += (time_t)(ms / 1000);
    until->tv_nsec += (long)(ms % 1000) * 1000000L;
    if (until->tv_nsec >= 1000000000L) {
        until->tv_nsec -= 1000000000L;
        until->tv_sec++;
    }
}

bool tn_condition_wait(pthread_cond_t *condition,
                       pthread_mutex_t *lock,
                       const struct timespec *until)
{
    if (until == NULL) {
        pthread_cond_wait(condition, lock);
        return true;
    }
    return pthread_cond_timedwait(condition, lock, until) != ETIMEDOUT;
}
