/* SPDX-License-Identifier: Apache-2.0 */
/* The wrapped allocator of nomem.h. Counts; keeps no list of what is live. */
#include "unit/support/nomem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static atomic_size_t seen;
/* The first allocation to fail; none by default. */
static atomic_size_t fail_from = SIZE_MAX;
static atomic_size_t fail_until = SIZE_MAX;
static atomic_bool failed;

static bool refuse(void)
{
    size_t n = atomic_fetch_add(&seen, 1);
    if (n < fail_from || n >= fail_until) {
        return false;
    }
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuse() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return refuse() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

static size_t
run(nomem_scenario scenario, void *user, size_t from, size_t until)
{
    failed = false;
    seen = 0;
    fail_until = until;
    fail_from = from;
    scenario(user);
    fail_from = SIZE_MAX;
    return seen;
}

size_t nomem_fail_each(nomem_scenario scenario, void *user)
{
    size_t count = run(scenario, user, SIZE_MAX, SIZE_MAX);
    for (size_t n = 0; n < count; n++) {
        run(scenario, user, n, n + 1);
        run(scenario, user, n, SIZE_MAX);
    }
    return count;
}

int nomem_failed(void)
{
    return failed;
}
