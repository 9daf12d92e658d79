/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what is measured here says something about the code as it is.
 * Sanitizers and valgrind slow down some of it more than the rest, and their
 * allocators take new pages for every large piece. */
#ifndef TN_TEST_MEASURED_H
#define TN_TEST_MEASURED_H

#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
    defined(TN_HOSTILE) || !defined(__OPTIMIZE__)
#define AS_IT_IS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AS_IT_IS false
#endif
#endif
#ifndef AS_IT_IS
#define AS_IT_IS true
#endif

static inline bool is_as_it_is(void)
{
    return AS_IT_IS && getenv("TN_RUNNER") == NULL;
}

#endif
