/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks: for waiting, for telling the time, for what a thread costs. */
#ifndef TN_BASE_CLOCK_H
#define TN_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Messages and alarms have times up to the year 2262. */
_Static_assert(sizeof(time_t) >= sizeof(int64_t),
               "time_t needs 64 bits: with glibc, -D_TIME_BITS=64 and "
               "-D_FILE_OFFSET_BITS=64");

/* Time since an unstated moment; never goes back. For deadlines.
 * Threads: any. Blocks: no. */
uint64_t tn_now_ns(void);
uint64_t tn_now_ms(void);

/* Nanoseconds since 1970-01-01 UTC; may jump. For logs and messages.
 * Threads: any. Blocks: no. */
int64_t tn_wall_ns(void);

/* CPU time that the calling thread has taken. Threads: any. Blocks: no. */
uint64_t tn_thread_cpu_ns(void);

/* Lets the calling thread rest for so long, or less when a signal handler
 * runs. Threads: any. Blocks: yes. */
void tn_rest_ns(uint64_t ns);
/* The calling thread's rests end on time from here on, where the system
 * would make them some 50 microseconds longer (Linux: timer slack). */
void tn_clock_rest_finely(void);

#endif
