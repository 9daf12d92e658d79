/* SPDX-License-Identifier: Apache-2.0 */
/* What threads of the library begin with, whatever the process has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "base/thread.h"

/* Deeper than `ulimit -s 128` lets a thread be that takes what it is given. */
static unsigned dig(unsigned levels)
{
    volatile uint8_t deep[256 << 10];
    for (size_t i = 0; i < sizeof deep; i += 4096) {
        deep[i] = 1;
    }
    return levels == 0 ? 1 : dig(levels - 1) + deep[4096];
}

static void *dig_deep(void *arg)
{
    return dig(15) == 16 ? arg : NULL;
}

static void the_stack_does_not_depend_on_the_process_s_limit(void **state)
{
    struct rlimit before;
    pthread_t thread;
    void *result = NULL;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    struct rlimit small = { 128 * 1024, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
    int rc = tn_thread_start(&thread, dig_deep, state);
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, state);
}

static void *see_signals(void *arg)
{
    pthread_sigmask(SIG_BLOCK, NULL, arg);
    return NULL;
}

static void signals_stay_with_the_program(void **state)
{
    sigset_t seen, before, after;
    pthread_t thread;
    (void)state;
    sigemptyset(&seen);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(tn_thread_start(&thread, see_signals, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(sigismember(&seen, SIGTERM));
    assert_true(sigismember(&seen, SIGCHLD));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM),
                     sigismember(&before, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stack_does_not_depend_on_the_process_s_limit),
        cmocka_unit_test(signals_stay_with_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
