/* SPDX-License-Identifier: Apache-2.0 */
/* Condition variables with deadlines on the monotonic clock. */
#ifndef TN_BASE_CONDITION_H
#define TN_BASE_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* False when the system has no room for one. */
bool tn_condition_init(pthread_cond_t *condition);

/* The moment `ms` milliseconds from now. */
void tn_deadline(uint32_t ms, struct timespec *until);

/* Waits once, as pthread_cond_wait: the caller checks what it waits for.
 * until  NULL: no deadline.
 * False when the deadline has passed. */
bool tn_condition_wait(pthread_cond_t *condition,
                       pthread_mutex_t *lock,
                       const struct timespec *until);

#endif
