/* SPDX-License-Identifier: Apache-2.0 */
/* The file of alarms by itself: changes of several threads at a time share a
 * transaction, and a change that fails takes no other with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "unit/x3m/alarms.h"
#include "x3m/alarm_file.h"

#define THREADS 8
#define CHANGES 40

static struct test {
    struct folder folder;
    tenon_node *node;
    struct tn_alarm_file *file;
} test;

static int start(void **state)
{
    tenon_error err = { 0 };

    (void)state;
    folder_make(&test.folder);
    test.node = own_node_start();
    test.file = tn_alarm_file_open(test.node, test.folder.file, &err);
    if (test.file == NULL) {
        fail_msg("%s", err.text);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tn_alarm_file_close(test.file);
    tenon_node_stop(test.node);
    folder_remove(&test.folder);
    return 0;
}

static enum tenon_err change(enum tn_alarm_change_kind kind,
                             const char *id,
                             int64_t due_us,
                             const char *message,
                             int *changed)
{
    const struct tn_alarm_change change = {
        .kind = kind,
        .id = id,
        .id_len = strlen(id),
        .due_us = due_us,
        .message = message,
        .message_len = message == NULL ? 0 : strlen(message),
    };

    return tn_alarm_file_change(test.file, &change, changed, NULL);
}

/* The rows as "message@due " each. */
static bool add_row(void *user, const void *message, size_t len, int64_t due_us)
{
    char *text = user;
    size_t used = strlen(text);

    snprintf(text + used, 200 - used, "%.*s@%d ", (int)len,
             (const char *)message, (int)due_us);
    return len != 4 || memcmp(message, "stop", 4) != 0;
}

static void assert_rows(int64_t from_us, int64_t until_us, const char *expected)
{
    char text[200] = "";

    OK(tn_alarm_file_read(test.file, from_us, until_us, add_row, text, NULL));
    assert_string_equal(text, expected);
}

static void rows_are_read_by_their_times(void **state)
{
    int changed = -1;

    (void)state;
    OK(change(TN_ALARM_SAVE, "b", 20, "two", &changed));
    OK(change(TN_ALARM_SAVE, "a", 30, "three", &changed));
    OK(change(TN_ALARM_SAVE, "c", 10, "one", &changed));
    assert_int_equal(changed, 1);
    assert_rows(INT64_MIN, INT64_MAX, "one@10 two@20 three@30 ");
    assert_rows(10, 30, "one@10 two@20 ");
    assert_rows(11, 20, "");
    OK(change(TN_ALARM_UPDATE, "b", 5, NULL, &changed));
    OK(change(TN_ALARM_UPDATE, "c", 15, "stop", &changed));
    assert_rows(0, 40, "two@5 stop@15 ");
    OK(change(TN_ALARM_SAVE, "c", 16, "more", &changed));
    OK(change(TN_ALARM_DELETE, "b", 0, NULL, &changed));
    assert_int_equal(changed, 1);
    OK(change(TN_ALARM_DELETE, "b", 0, NULL, &changed));
    assert_int_equal(changed, 0);
    OK(change(TN_ALARM_UPDATE, "b", 5, "back?", &changed));
    assert_int_equal(changed, 0);
    assert_rows(0, 40, "more@16 three@30 ");
}

static void *make_changes(void *user)
{
    char id[32];
    int changed;

    for (unsigned i = 0; i < CHANGES; i++) {
        bool bad = i % 10 == 9; /* an alarm must have a message */

        snprintf(id, sizeof id, "%u-%u", *(unsigned *)user, i);
        MUST(change(TN_ALARM_SAVE, id, i, bad ? NULL : "m", &changed) ==
             (bad ? TENON_E_SYSTEM : TENON_OK));
        if (i % 2 == 0) {
            MUST(change(TN_ALARM_DELETE, id, 0, NULL, &changed) == TENON_OK);
            MUST(changed == 1);
        }
    }
    return NULL;
}

static bool
count_row(void *user, const void *message, size_t len, int64_t due_us)
{
    (void)message;
    assert_int_equal(len, 1);
    assert_true(due_us % 2 == 1 && due_us % 10 != 9);
    ++*(unsigned *)user;
    return true;
}

static void a_change_that_fails_takes_no_other_with_it(void **state)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    unsigned rows = 0;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(
            pthread_create(&threads[i], NULL, make_changes, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    OK(tn_alarm_file_read(test.file, 0, INT64_MAX, count_row, &rows, NULL));
    assert_int_equal(rows, THREADS * (CHANGES / 2 - CHANGES / 10));
}

#define WITH_FILE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(rows_are_read_by_their_times),
        WITH_FILE(a_change_that_fails_takes_no_other_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
