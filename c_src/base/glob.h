/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns in which a star stands for any characters, also for none. */
#ifndef TN_BASE_GLOB_H
#define TN_BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the whole text fits.
 *
 * fold  letters of ASCII fit in either case, as in names of hosts.
 * Takes at most the product of both lengths, and no memory. */
bool tn_glob_fits(const char *pattern, const char *text, size_t len, bool fold);

#endif
