/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

static char last[TN_LOG_LINE_BYTES + 1];
static size_t last_len;
static int lines;

static void keep(void *user, int level, const char *line, size_t len)
{
    (void)level;
    assert_ptr_equal(user, &lines);
    assert_true(len <= TN_LOG_LINE_BYTES);
    memcpy(last, line, len);
    last[len] = '\0';
    last_len = len;
    lines++;
}

static const struct tn_log log_all = { .write = keep, .user = &lines };

/* What stands behind the time. */
static const char *body(void)
{
    assert_memory_equal(last, "time=20", 7);
    return strchr(last, ' ') + 1;
}

static void a_line_is_made_of_pairs(void **state)
{
    (void)state;
    tn_log(&log_all, TN_INFO, "ready", "node", "calc@host", "port",
           TN_UINT(4711), "delta", TN_INT(-5), "flags", TN_HEX(0xD075F5FBD),
           "none", (const char *)NULL, NULL);
    assert_string_equal(body(),
                        "level=info event=ready node=calc@host port=4711 "
                        "delta=-5 flags=0xd075f5fbd\n");
    int year, month, day, hour, minute, second, ms;
    char z;

    assert_int_equal(sscanf(last, "time=%4d-%2d-%2dT%2d:%2d:%2d.%3d%c ", &year,
                            &month, &day, &hour, &minute, &second, &ms, &z),
                     8);
    assert_int_equal(z, 'Z');
    assert_int_equal(strchr(last, ' ') - last, 29);
}

static void events_below_the_level_are_dropped(void **state)
{
    struct tn_log warn = { TN_WARN, keep, &lines, NULL };
    struct tn_log silent = { TN_SILENT, keep, &lines, NULL };
    int before = lines;

    (void)state;
    tn_log(&warn, TN_INFO, "x", NULL);
    tn_log(&silent, TN_ERROR, "x", NULL);
    tn_log(NULL, TN_ERROR, "x", NULL);
    assert_int_equal(lines, before);
    tn_log(&warn, TN_WARN, "x", NULL);
    assert_int_equal(lines, before + 1);
    assert_string_equal(tn_level_name(TN_ERROR), "error");
}

static void quoted(const char *value, const char *expected)
{
    char line[128];

    tn_log(&log_all, TN_WARN, "e", "k", value, NULL);
    snprintf(line, sizeof line, "level=warn event=e k=%s\n", expected);
    assert_string_equal(body(), line);
}

static void values_cannot_break_the_line_or_forge_keys(void **state)
{
    (void)state;
    quoted("plain", "plain");
    quoted("", "\"\"");
    quoted("two words", "\"two words\"");
    quoted("a=b", "\"a=b\"");
    quoted("say \"hi\"", "\"say \\\"hi\\\"\"");
    quoted("back\\slash", "\"back\\\\slash\"");
    quoted("x\nlevel=error event=fake", "\"x\\nlevel=error event=fake\"");
    quoted("\t\r\x1b[2J\x7f", "\"\\t\\x0D\\x1B[2J\\x7F\"");
    quoted("ž日", "ž日");
    quoted("\xff\xc5", "\"\\xFF\\xC5\"");
    /* U+0085 and U+2028 end lines as well. */
    quoted("a\xc2\x85"
           "b",
           "\"a\\xC2\\x85b\"");
    quoted("a\xe2\x80\xa8", "\"a\\xE2\\x80\\xA8\"");
}

static void long_lines_are_cut_visibly(void **state)
{
    char value[3000];

    (void)state;
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    tn_log(&log_all, TN_INFO, "e", "k", value, "after", "x", NULL);
    assert_true(last_len <= TN_LOG_LINE_BYTES);
    assert_string_equal(last + last_len - 5, "...\"\n");
    assert_null(strstr(last, "after"));

    /* In steps of one byte over the edge, with characters of two bytes. */
    for (size_t n = 900; n < 1100; n++) {
        memset(value, 'v', n);
        memcpy(value + n - 20, "žžžžžžžžžž", 20);
        value[n] = '\0';
        tn_log(&log_all, TN_INFO, "e", "k", value, "after", "value", NULL);
        assert_true(last_len <= TN_LOG_LINE_BYTES);
        assert_int_equal(last[last_len - 1], '\n');
        assert_true(tn_utf8_valid((const uint8_t *)last, last_len, NULL));
        assert_true(strstr(last, " after=value\n") != NULL ||
                    strstr(last, "...") != NULL);
    }
}

static void many_pairs_are_cut_between_pairs(void **state)
{
    char key[900];

    (void)state;
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    tn_log(&log_all, TN_INFO, "e", key, "1", key, "2", "z", "3", NULL);
    assert_string_equal(last + last_len - 5, " ...\n");
}

static void without_a_writer_lines_go_to_stderr_whole(void **state)
{
    struct tn_log plain = { .min = TN_INFO };
    int ends[2];
    char text[256] = { 0 };
    int saved = dup(STDERR_FILENO);

    (void)state;
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    tn_log(&plain, TN_INFO, "ready", "port", TN_UINT(1), NULL);
    dup2(saved, STDERR_FILENO);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "Z level=info event=ready port=1\n"));
    close(ends[0]);
    close(ends[1]);
    close(saved);
}

/* ---- rates ---------------------------------------------------------------- */

static unsigned refuse(const struct tn_log *log,
                       unsigned times,
                       const char *peer,
                       const char *address)
{
    int before = lines;

    for (unsigned i = 0; i < times; i++) {
        tn_log(log, TN_WARN, "refused", "node", "me@here", "peer", peer,
               "address", address, NULL);
    }
    return (unsigned)(lines - before);
}

static void lines_above_the_rate_are_left_out_and_said(void **state)
{
    const struct tn_sip_key secret = { 3, 4 };
    struct tn_log log = { .write = keep, .user = &lines };

    (void)state;
    log.rate = tn_log_rate_new(&secret);
    assert_non_null(log.rate);
    assert_in_range(refuse(&log, 1000, "a@h", NULL), 10, 100);
    assert_in_range(refuse(&log, 1000, "b@h", NULL), 10, 100);
    /* A stranger's name is what it likes. */
    assert_in_range(refuse(&log, 500, "c@h", "10.0.0.1:1"), 10, 100);
    assert_in_range(refuse(&log, 500, "d@h", "10.0.0.1:2"), 0, 60);
    assert_true(tn_log_rate_left_out(log.rate) > 0);
    while (refuse(&log, 1, "a@h", NULL) == 0) {
        tn_rest_ns(10000000);
    }
    assert_non_null(strstr(body(), "event=refused suppressed="));
    tn_log_rate_free(log.rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_made_of_pairs),
        cmocka_unit_test(events_below_the_level_are_dropped),
        cmocka_unit_test(values_cannot_break_the_line_or_forge_keys),
        cmocka_unit_test(long_lines_are_cut_visibly),
        cmocka_unit_test(many_pairs_are_cut_between_pairs),
        cmocka_unit_test(without_a_writer_lines_go_to_stderr_whole),
        cmocka_unit_test(lines_above_the_rate_are_left_out_and_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
