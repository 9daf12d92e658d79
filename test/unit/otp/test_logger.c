/* SPDX-License-Identifier: Apache-2.0 */
/* What BEAM nodes send to logger_proxy, and the lines that it becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "otp/logger.h"
#include "own_node.h"

/* The last line, and how many there were. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char line[1200];
    unsigned count;
} logged = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", 0 };

static void
catch_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    pthread_mutex_lock(&logged.lock);
    snprintf(logged.line, sizeof logged.line, "%.*s", (int)len, line);
    logged.count++;
    pthread_cond_signal(&logged.changed);
    pthread_mutex_unlock(&logged.lock);
}

static int start(void **state)
{
    tenon_node *node = own_node_start_logging(catch_line);
    OK(tn_logger_start(node, NULL));
    *state = node;
    return 0;
}

static bool is_last_locked(const char *expected)
{
    const char *at = strstr(logged.line, "level=");
    return at != NULL && strcmp(at, expected) == 0;
}

/* Sends an Elixir term and waits for the line that it becomes, from its level
 * on. */
static void becomes(tenon_node *node, const char *event, const char *expected)
{
    struct timespec deadline;
    int rc = 0;
    tenon_value *message = tenon_value_format(event);
    assert_non_null(message);
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_MS / 1000;
    OK(tenon_send(node, TO("logger_proxy"), tenon_value_term(message), NULL));
    tenon_value_free(message);
    pthread_mutex_lock(&logged.lock);
    while (!is_last_locked(expected) && rc == 0) {
        rc = pthread_cond_timedwait(&logged.changed, &logged.lock, &deadline);
    }
    pthread_mutex_unlock(&logged.lock);
    if (rc != 0) {
        fail_msg("%s became: %s", event, logged.line);
    }
}

static void a_text_a_format_and_a_report_become_lines(void **state)
{
    becomes(*state, "{:log, :info, \"Jos\xc3\xa9\", %{}}",
            "level=info event=remote_log text=Jos\xc3\xa9");
    becomes(*state, "{:log, :error, [\"a\", [32 | \"b\"]], %{pid: 7}}",
            "level=error event=remote_log by=7 text=\"a b\"");
    becomes(*state,
            "{:log, :warning, [126, 112, 32, 126, 116, 115], [{:x, 1}, \"y\"], "
            "%{}}",
            "level=warn event=remote_log text=\"{:x, 1} y\"");
    becomes(*state, "{:log, :notice, %{what: :report}, %{}}",
            "level=info event=remote_log text=\"%{what: :report}\"");
    becomes(*state, "{:log, :emergency, [what: \"l\"], :no_map}",
            "level=error event=remote_log text=\"[what: \\\"l\\\"]\"");
    /* A format whose arguments do not fit it. */
    becomes(*state, "{:log, :error, \"~p\", [], %{}}",
            "level=error event=remote_log text=[]");
}

static void what_is_no_event_is_dropped(void **state)
{
    tenon_node *node = *state;
    static const char *const others[] = {
        ":log",
        "{:log, :error}",
        "{:other, :error, \"text\", %{}}",
        "{:log, :debug, \"below the node's level\", %{}}",
    };
    unsigned before = logged.count;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tenon_value *message = tenon_value_format(others[i]);
        OK(tenon_send(node, TO("logger_proxy"), tenon_value_term(message),
                      NULL));
        tenon_value_free(message);
    }
    becomes(node, "{:log, :info, \"last\", %{}}",
            "level=info event=remote_log text=last");
    assert_int_equal(logged.count, before + 1);
}

static void a_long_text_is_cut_with_its_line(void **state)
{
    tenon_node *node = *state;
    static char text[2000000];
    memset(text, 'x', sizeof text);
    tenon_value *long_one = tenon_value_format("{:log, :info, ~b, %{}}",
                                               (const void *)text, sizeof text);
    OK(tenon_send(node, TO("logger_proxy"), tenon_value_term(long_one), NULL));
    tenon_value_free(long_one);
    becomes(node, "{:log, :info, \"after it\", %{}}",
            "level=info event=remote_log text=\"after it\"");
}

static void a_flood_is_left_out_and_counted(void **state)
{
    tenon_node *node = *state;
    tenon_node_stats stats;
    unsigned before = logged.count;
    tenon_value *message = tenon_value_format("{:log, :error, \"much\", %{}}");
    for (unsigned i = 0; i < 3000; i++) {
        OK(tenon_send(node, TO("logger_proxy"), tenon_value_term(message),
                      NULL));
    }
    tenon_value_free(message);
    do {
        tenon_node_get_stats(node, &stats, sizeof stats);
    } while (stats.log_lines_suppressed + stats.log_lines_lost < 2000);
    assert_int_equal(stats.log_lines_lost, 0);
    pthread_mutex_lock(&logged.lock);
    unsigned written = logged.count - before;
    pthread_mutex_unlock(&logged.lock);
    assert_in_range(written, 0, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_a_format_and_a_report_become_lines),
        cmocka_unit_test(what_is_no_event_is_dropped),
        cmocka_unit_test(a_long_text_is_cut_with_its_line),
        cmocka_unit_test(a_flood_is_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, start, own_node_stop);
}
