/* SPDX-License-Identifier: Apache-2.0 */
/* How exit reasons of called functions are told: those that real nodes sent,
 * and those of the library's own table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dist/signal.h"
#include "unit/support/wire.h"
#include "x3m/outcome.h"

#define ROOT "test/wire/x3m"

/* What is told of a reason, as text; what was returned behind "returned". */
static void
tell(tenon_term reason, const tenon_ref *res, char *text, size_t cap)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    if (tn_outcome_returned(reason, res, &term, out)) {
        strcpy(text, "returned ");
        tenon_term_print(term, text + strlen(text), cap - strlen(text));
    } else {
        assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
        tenon_term_print(term, text, cap);
    }
    tenon_builder_free(out);
}

static void assert_frame(const char *path, const char *expected)
{
    struct wire_files frames = wire_load(ROOT, ".bin");
    const struct wire_file *file = wire_find(&frames, path);
    struct tn_signal signal;
    tenon_term first;
    tenon_ref res;
    char text[1024];

    assert_non_null(file);
    assert_int_equal(tn_signal_parse(file->bytes, file->len, &signal, NULL),
                     TENON_OK);
    assert_int_equal(tenon_tuple_get(signal.payload, 0, &first), TENON_OK);
    assert_int_equal(tenon_term_ref(first, &res), TENON_OK);
    tell(signal.payload, &res, text, sizeof text);
    if (strncmp(text, expected, strlen(expected)) != 0) {
        fail_msg("%s: expected %s, got %s", path, expected, text);
    }
    wire_free(&frames);
}

static void ends_that_beam_nodes_sent_are_told(void **state)
{
    (void)state;
    assert_frame(ROOT "/wire/recv_monitor_p_exit_return.bin", "returned :ok");
    assert_frame(ROOT "/wire/recv_monitor_p_exit_exit.bin",
                 "{:EXIT, :handler_exited}");
    assert_frame(ROOT "/wire/recv_monitor_p_exit_throw.bin",
                 "{:throw, :handler_threw}");
    assert_frame(ROOT "/wire/recv_monitor_p_exit_error.bin",
                 "{:EXIT, {%RuntimeError{__exception__: true, message: "
                 "\"handler failed\"}, [{Probe.Handler, :e_raise, 1, [");
    assert_frame(ROOT "/wire/sent_monitor_p_exit_error.bin",
                 "{:EXIT, {:c_raised, [{C1.Router, :c_fail, 1, []}]}}");
}

static const tenon_ref own = {
    .creation = 1, .word_count = 3, .words = { 1, 2, 3 }, .node = "a@h"
};

/* pattern: holds the own reference as its one hole. */
static void assert_told(const char *pattern, const char *expected)
{
    tenon_value *reason = tenon_value_format(pattern, &own);
    char text[256];

    assert_non_null(reason);
    tell(tenon_value_term(reason), &own, text, sizeof text);
    assert_string_equal(text, expected);
    tenon_value_free(reason);
}

static void each_end_has_the_librarys_badrpc(void **state)
{
    (void)state;
    assert_told("{~r, :return, :ok}", "returned :ok");
    assert_told("{~r, :return, :done}", "returned :done");
    assert_told("{~r, :error, :boom, [1]}", "{:EXIT, {:boom, [1]}}");
    assert_told("{~r, :error, {:erpc, :notsup}}", ":notsup");
    assert_told("{~r, :error, {:erpc, :timeout}}", ":timeout");
    assert_told("{~r, :error, {:erpc, :noconnection}}", ":nodedown");
    assert_told("{~r, :error, {:erpc, :badarg}}", "{:EXIT, :badarg}");
    assert_told("{~r, :exit, :bye}", "{:EXIT, :bye}");
    assert_told("{~r, :throw, :ball}", "{:throw, :ball}");
}

static void any_other_reason_is_an_exit(void **state)
{
    static const tenon_ref other = {
        .creation = 1, .word_count = 3, .words = { 9, 9, 9 }, .node = "a@h"
    };
    tenon_value *foreign = tenon_value_format("{~r, :return, :ok}", &other);
    tenon_value *killed = tenon_value_format(":killed");
    tenon_value *lost = tenon_value_format(":noconnection");
    char text[256];

    (void)state;
    tell(tenon_value_term(killed), &own, text, sizeof text);
    assert_string_equal(text, "{:EXIT, :killed}");
    tell(tenon_value_term(lost), &own, text, sizeof text);
    assert_string_equal(text, ":nodedown");
    /* Made with the reference of another call. */
    tell(tenon_value_term(foreign), &own, text, sizeof text);
    assert_string_not_equal(text, "returned :ok");
    tenon_value_free(lost);
    tenon_value_free(killed);
    tenon_value_free(foreign);
}

static void refusals_of_a_spawn_are_told(void **state)
{
    static const struct {
        const char *why, *expected;
    } cases[] = {
        { "notsup", ":notsup" },
        { "system_limit", "{:EXIT, :system_limit}" },
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        tenon_value *why = tenon_value_format("~a", cases[i].why);
        tenon_builder *out = tenon_builder_new();
        tenon_term term;
        char text[64];

        tn_badrpc_refused(out, tenon_value_term(why));
        assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
        tenon_term_print(term, text, sizeof text);
        assert_string_equal(text, cases[i].expected);
        tenon_builder_free(out);
        tenon_value_free(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_that_beam_nodes_sent_are_told),
        cmocka_unit_test(each_end_has_the_librarys_badrpc),
        cmocka_unit_test(any_other_reason_is_an_exit),
        cmocka_unit_test(refusals_of_a_spawn_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
