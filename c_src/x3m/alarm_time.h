/* SPDX-License-Identifier: Apache-2.0 */
/* Moments of the wall clock in microseconds, and as DateTime structs. */
#ifndef TN_X3M_ALARM_TIME_H
#define TN_X3M_ALARM_TIME_H

#include <stdint.h>

#include <tenon/scheduler.h>

int64_t tn_wall_us(void);

/* How far the wall clock is ahead of the one that never goes back. */
int64_t tn_clock_offset_us(void);

/* The moment `ms` after another; no later than TENON_ALARM_AT_MAX_US. */
int64_t tn_us_after(int64_t from_us, uint64_t ms);

/* Reads a DateTime of the ISO calendar, in any zone.
 * Errors: TERM_TYPE; TERM_RANGE (before 1970, after
 * TENON_ALARM_AT_MAX_US, or no time). */
TENON_CHECK enum tenon_err tn_read_datetime(tenon_term term, int64_t *us);

#endif
