/* SPDX-License-Identifier: Apache-2.0 */
/* Makes every allocation of a scenario fail in turn, also those inside ei.
 * For test programs named *_nomem, whose allocator is wrapped at link time. */
#ifndef TEST_NOMEM_H
#define TEST_NOMEM_H

#include <stddef.h>

/* One run of what is tested; it must cope with any allocation failing and
 * leave nothing behind. */
typedef void (*nomem_scenario)(void *user);

/* Runs the scenario once undisturbed, counting its allocations, and then once
 * for each of them with that one failing, and once with that one and all
 * later ones failing. What leaks is the sanitizer's to find.
 *
 * Returns the number of allocations of the undisturbed run, so that a test
 * can see that there was one.
 * Threads: one; what other threads allocate meanwhile is counted as well. */
size_t nomem_fail_each(nomem_scenario scenario, void *user);

/* Whether the run at hand is one in which an allocation has failed. */
int nomem_failed(void);

#endif
