/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks, from POSIX. */
#include "base/clock.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <time.h>

#define NS_PER_S 1000000000

/* clock_gettime fails only for a clock that does not exist; these do. */
uint64_t tn_now_ns(void)
{
    struct timespec now = { 0 };

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t tn_now_ms(void)
{
    return tn_now_ns() / 1000000;
}

int64_t tn_wall_ns(void)
{
    struct timespec now = { 0 };

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t tn_thread_cpu_ns(void)
{
    struct timespec now = { 0 };

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void tn_rest_ns(uint64_t ns)
{
    struct timespec rest = { .tv_sec = (time_t)(ns / NS_PER_S),
                             .tv_nsec = (long)(ns % NS_PER_S) };

    (void)nanosleep(&rest, NULL);
}

void tn_clock_rest_finely(void)
{
#ifdef __linux__
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
#endif
}
