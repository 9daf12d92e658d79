/* SPDX-License-Identifier: Apache-2.0 */
/* A scheduler with every allocation failing in turn: what it has taken on is
 * delivered all the same, once; what it has refused is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/support/nomem.h"
#include "unit/x3m/alarms.h"

static struct test {
    struct folder folder;
    tenon_node *node;
    tenon_scheduler *scheduler;
    unsigned accepted;
} test;

static int start(void **state)
{
    (void)state;
    folder_make(&test.folder);
    test.node = own_node_start();
    serve_notes(test.node);
    test.scheduler = tenon_scheduler_start(
        test.node, &(tenon_scheduler_config){ .file = test.folder.file });
    assert_non_null(test.scheduler);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tenon_node_stop(test.node);
    folder_remove(&test.folder);
    return 0;
}

static void schedule_and_cancel(void *user)
{
    tenon_message *message = tenon_message_new(
        test.node, "note", &(tenon_message_options){ .id = "x" });

    (void)user;
    if (message == NULL) {
        assert_true(nomem_failed());
        return;
    }
    enum tenon_err rc = tenon_scheduler_dispatch_in(test.scheduler, message,
                                                    "a", HOUR_MS, NULL);

    if (rc < 0) {
        assert_int_equal(rc, TENON_E_NOMEM);
        assert_true(nomem_failed());
    }
    enum tenon_err cancelled =
        tenon_scheduler_cancel(test.scheduler, "x", NULL);

    /* An alarm that was saved can be cancelled, whether or not it had room in
     * memory. */
    assert_int_equal(cancelled, rc == TENON_OK ? TENON_OK : TENON_E_NOT_FOUND);
    tenon_message_free(message);
}

static void what_is_saved_can_be_cancelled_whatever_failed(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(schedule_and_cancel, NULL) >= 10);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
}

/* The delivery happens on other threads, whose allocations fail as well: what
 * is lost is tried again. */
static void schedule_at_once(void *user)
{
    char id[32];

    (void)user;
    snprintf(id, sizeof id, "x%u", test.accepted);
    tenon_message *message = tenon_message_new(
        test.node, "note", &(tenon_message_options){ .id = id });

    if (message != NULL && tenon_scheduler_dispatch_in(test.scheduler, message,
                                                       NULL, 0, NULL) == 0) {
        test.accepted++;
        /* Until its allocations have failed, or it is over. */
        (void)tenon_sleep(test.node, 3);
    }
    tenon_message_free(message);
}

static void what_is_accepted_is_delivered_whatever_failed(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(schedule_at_once, NULL) >= 10);
    WAIT_STATS(test.node, test.scheduler, in_memory == 0);
    WAIT_STATS(test.node, test.scheduler, delivered >= test.accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_can_be_cancelled_whatever_failed),
        cmocka_unit_test(what_is_accepted_is_delivered_whatever_failed),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
