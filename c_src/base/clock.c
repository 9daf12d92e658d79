/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks, from POSIX. */
#include "base/clock.h"

#include <time.h>

#define NS_PER_S 1000000000

/* clock_gettime fails only for a clock that does not exist; these two do. */
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
