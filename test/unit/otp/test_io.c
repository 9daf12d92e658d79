/* SPDX-License-Identifier: Apache-2.0 */
/* The IO protocol: what goes to a group leader and what its answers become, and
 * what the node's own group leader answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "otp/io.h"
#include "own_node.h"

static int start(void **state)
{
    tenon_node *node = own_node_start();
    OK(tn_io_start(node, NULL));
    *state = node;
    return 0;
}

/* ---- asking a group leader ------------------------------------------------ */

/* Tells the test's process {code, value}. */
static void tell(void *user, const tenon_result *result)
{
    struct me *me = user;
    const tenon_dest to = { .pid = &me->pid };
    tenon_value *none = tenon_value_format(":none");
    tenon_term value =
        result->value.bytes == NULL ? tenon_value_term(none) : result->value;
    OK(tenon_send_format(me->node, &to, "{~s, ~t}",
                         tenon_err_name(result->code), value));
    tenon_value_free(none);
}

/* The group leader takes a request and gives this reply; NULL: it ends. */
static void
serve(struct me *leader, const char *expected_request, const char *reply)
{
    tenon_pid from;
    tenon_term ref, request;
    tenon_value *message = next_message(leader);
    if (!tenon_match(tenon_value_term(message), "{:io_request, ~p, ~t, ~t}",
                     &from, &ref, &request)) {
        fail_msg("no io request: %s", text_of(tenon_value_term(message)));
    }
    assert_string_equal(text_of(request), expected_request);
    if (reply == NULL) {
        OK(tenon_process_exit(leader->box, ":gone"));
    } else {
        tenon_value *term = tenon_value_format(reply);
        assert_non_null(term);
        OK(tenon_send_format(leader->node, &(tenon_dest){ .pid = &from },
                             "{:io_reply, ~t, ~t}", ref,
                             tenon_value_term(term)));
        tenon_value_free(term);
    }
    tenon_value_free(message);
}

static void write_answered(tenon_node *node,
                           enum tenon_io_encoding encoding,
                           const char *text,
                           const char *request,
                           const char *reply,
                           const char *told)
{
    struct me me = me_new(node), leader = me_new(node);
    OK(tenon_io_put_chars_async(node, &(tenon_dest){ .pid = &leader.pid },
                                encoding, text, strlen(text), DEADLINE_MS, tell,
                                &me));
    serve(&leader, request, reply);
    assert_next(&me, told);
    if (reply == NULL) {
        tenon_process_release(leader.box);
    } else {
        me_free(&leader);
    }
    me_free(&me);
}

static void a_text_is_written_in_its_encoding(void **state)
{
    write_answered(*state, TENON_IO_UNICODE, "gr\xc3\xbc\xc3\x9f\x65\n",
                   "{:put_chars, :unicode, \"gr\xc3\xbc\xc3\x9f\x65\\n\"}",
                   ":ok", "{\"OK\", :none}");
    write_answered(*state, TENON_IO_LATIN1, "gr\xfc",
                   "{:put_chars, :latin1, <<103, 114, 252>>}", ":ok",
                   "{\"OK\", :none}");
}

static void a_write_that_is_refused_tells_the_reason(void **state)
{
    write_answered(*state, TENON_IO_UNICODE, "x",
                   "{:put_chars, :unicode, \"x\"}", "{:error, :enotsup}",
                   "{\"NOTSUP\", :enotsup}");
    write_answered(*state, TENON_IO_UNICODE, "x",
                   "{:put_chars, :unicode, \"x\"}", "{:what, 1}",
                   "{\"BADTERM\", :none}");
}

static void a_group_leader_that_ends_fails_the_write_at_once(void **state)
{
    write_answered(*state, TENON_IO_UNICODE, "x",
                   "{:put_chars, :unicode, \"x\"}", NULL,
                   "{\"NOPROC\", :none}");
}

static void a_dead_group_leader_fails_the_write_at_once(void **state)
{
    tenon_node *node = *state;
    struct me leader = me_new(node);
    const tenon_dest to = { .pid = &leader.pid };
    tenon_error err = { 0 };
    tenon_value *line = NULL;
    me_free(&leader);
    assert_int_equal(tenon_io_put_chars(node, &to, TENON_IO_UNICODE, "x", 1,
                                        TENON_NO_TIMEOUT, &err),
                     TENON_E_NOPROC);
    assert_non_null(strstr(err.text, "write: group leader #PID<" OWN_NAME));
    assert_int_equal(
        tenon_io_get_line(node, &to, NULL, TENON_NO_TIMEOUT, &line, &err),
        TENON_E_NOPROC);
    assert_null(line);
}

static void line_answered(tenon_node *node, const char *reply, const char *told)
{
    struct me me = me_new(node), leader = me_new(node);
    OK(tenon_io_get_line_async(node, &(tenon_dest){ .pid = &leader.pid },
                               "name? ", DEADLINE_MS, tell, &me));
    serve(&leader, "{:get_line, :unicode, \"name? \"}", reply);
    assert_next(&me, told);
    me_free(&leader);
    me_free(&me);
}

static void a_line_comes_as_a_binary_whatever_its_form(void **state)
{
    line_answered(*state, "\"Jos\xc3\xa9\\n\"", "{\"OK\", \"Jos\xc3\xa9\\n\"}");
    line_answered(*state, "[74, 111, 115, 233, 10]",
                  "{\"OK\", \"Jos\xc3\xa9\\n\"}");
    line_answered(*state, "[\"a\", [98 | \"c\"]]", "{\"OK\", \"abc\"}");
    line_answered(*state, ":eof", "{\"OK\", :eof}");
}

static void what_is_no_line_is_an_error(void **state)
{
    line_answered(*state, "{:error, :interrupted}",
                  "{\"NOTSUP\", :interrupted}");
    line_answered(*state, "<<255, 254>>", "{\"BADTERM\", :none}");
    line_answered(*state, ":other", "{\"BADTERM\", :none}");
    line_answered(*state, "[1114112]", "{\"BADTERM\", :none}");
}

static void no_answer_in_time_is_a_timeout(void **state)
{
    tenon_node *node = *state;
    struct me leader = me_new(node);
    tenon_value *line = NULL;
    assert_int_equal(tenon_io_get_line(node,
                                       &(tenon_dest){ .pid = &leader.pid },
                                       NULL, 1, &line, NULL),
                     TENON_E_TIMEOUT);
    me_free(&leader);
}

static void a_forgotten_write_needs_no_answer(void **state)
{
    tenon_node *node = *state;
    struct me leader = me_new(node);
    const tenon_dest to = { .pid = &leader.pid };
    for (int i = 0; i < 2; i++) {
        OK(tenon_io_put_chars_async(node, &to, TENON_IO_UNICODE, "x", 1, 0,
                                    NULL, NULL));
        serve(&leader, "{:put_chars, :unicode, \"x\"}", ":ok");
    }
    me_free(&leader);
    /* And goes nowhere when nobody is there. */
    OK(tenon_io_put_chars_async(node, &to, TENON_IO_UNICODE, "x", 1, 0, NULL,
                                NULL));
}

static void what_cannot_be_asked_is_refused(void **state)
{
    tenon_node *node = *state;
    const tenon_dest user = { .name = "user" };
    tenon_value *line = NULL;
    assert_int_equal(
        tenon_io_put_chars(NULL, &user, TENON_IO_UNICODE, "x", 1, 0, NULL),
        TENON_E_INVAL);
    assert_int_equal(
        tenon_io_put_chars(node, NULL, TENON_IO_UNICODE, "x", 1, 0, NULL),
        TENON_E_INVAL);
    assert_int_equal(tenon_io_put_chars(node, &(tenon_dest){ .name = NULL },
                                        TENON_IO_UNICODE, "x", 1, 0, NULL),
                     TENON_E_INVAL);
    assert_int_equal(
        tenon_io_put_chars(node, &user, TENON_IO_UNICODE, NULL, 0, 0, NULL),
        TENON_E_INVAL);
    assert_int_equal(
        tenon_io_put_chars(node, &user, TENON_IO_UNICODE, "\xff", 1, 0, NULL),
        TENON_E_INVAL);
    assert_int_equal(tenon_io_put_chars(node, &user, (enum tenon_io_encoding)7,
                                        "x", 1, 0, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_io_get_line(node, &user, "\xff", 0, &line, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_io_get_line(node, &user, NULL, 0, NULL, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_io_get_line_async(node, &user, NULL, 0, NULL, NULL),
                     TENON_E_INVAL);
}

/* ---- the group leader of a call ------------------------------------------ */

static void give_leader(tenon_call *call, void *user)
{
    tenon_pid leader;
    tenon_call *kept = tenon_call_keep(call);
    (void)user;
    assert_non_null(kept);
    tenon_call_group_leader(kept, &leader);
    tenon_reply(kept, "~p", &leader);
    tenon_call_release(kept);
}

static void ask_rex(struct me *me, const char *leader)
{
    tenon_value *request = tenon_value_format(
        "{~p, {:call, :m, :leader, [], ~p}}", &me->pid, &me->pid);
    if (leader != NULL) {
        tenon_value_free(request);
        tenon_value *term = tenon_value_format(leader);
        request = tenon_value_format("{~p, {:call, :m, :leader, [], ~t}}",
                                     &me->pid, tenon_value_term(term));
        tenon_value_free(term);
    }
    OK(tenon_send(me->node, TO("rex"), tenon_value_term(request), NULL));
    tenon_value_free(request);
}

static void a_call_has_the_group_leader_that_came_with_it(void **state)
{
    tenon_node *node = *state;
    struct me me = me_new(node);
    char expected[200];
    tenon_pid own;
    OK(tenon_function(node, "m", "leader", 0, give_leader, NULL, 0));
    ask_rex(&me, NULL);
    tenon_value *pid = tenon_value_format("{:rex, ~p}", &me.pid);
    tenon_term_print(tenon_value_term(pid), expected, sizeof expected);
    tenon_value_free(pid);
    assert_next(&me, expected);
    /* What is no pid counts as none. */
    ask_rex(&me, ":init");
    tenon_process_pid(node->group_leader, &own);
    pid = tenon_value_format("{:rex, ~p}", &own);
    tenon_term_print(tenon_value_term(pid), expected, sizeof expected);
    tenon_value_free(pid);
    assert_next(&me, expected);
    me_free(&me);
}

/* ---- the node's own group leader ------------------------------------------ */

static void
own_leader_answers(struct me *me, const char *request, const char *answer)
{
    tenon_pid own;
    char expected[200];
    tenon_value *term = tenon_value_format(request);
    assert_non_null(term);
    tenon_process_pid(me->node->group_leader, &own);
    OK(tenon_send_format(me->node, &(tenon_dest){ .pid = &own },
                         "{:io_request, ~p, 7, ~t}", &me->pid,
                         tenon_value_term(term)));
    tenon_value_free(term);
    snprintf(expected, sizeof expected, "{:io_reply, 7, %s}", answer);
    assert_next(me, expected);
}

static void the_own_group_leader_has_no_input(void **state)
{
    struct me me = me_new(*state);
    own_leader_answers(&me, "{:get_line, :unicode, \"\"}", ":eof");
    own_leader_answers(&me, "{:get_line, \"\"}", ":eof");
    own_leader_answers(&me, "{:get_chars, :unicode, \"\", 1}", ":eof");
    own_leader_answers(
        &me, "{:get_until, :unicode, \"\", :io_lib, :collect_line, []}",
        ":eof");
    own_leader_answers(&me, "{:get_password, :unicode}", "{:error, :enotsup}");
    own_leader_answers(&me, "{:get_geometry, :columns}", "{:error, :enotsup}");
    own_leader_answers(&me, "{:setopts, []}", "{:error, :enotsup}");
    own_leader_answers(&me, ":getopts", "[binary: false, encoding: :unicode]");
    own_leader_answers(&me, "{:other, 1}", "{:error, :request}");
    own_leader_answers(&me, ":other", "{:error, :request}");
    me_free(&me);
}

static void the_own_group_leader_takes_text_in_its_encoding(void **state)
{
    struct me me = me_new(*state);
    own_leader_answers(&me, "{:put_chars, :unicode, \"\"}", ":ok");
    own_leader_answers(&me, "{:put_chars, :unicode, <<255>>}",
                       "{:error, :badarg}");
    own_leader_answers(&me, "{:put_chars, :unicode, :atom}",
                       "{:error, :badarg}");
    me_free(&me);
}

/* ---- standard output that is not read -------------------------------------- */

/* Standard output is a pipe from here on. */
struct piped {
    int before, reads, writes;
};

static struct piped pipe_stdout(void)
{
    int ends[2];
    (void)fflush(stdout);
    assert_int_equal(pipe(ends), 0);
    struct piped piped = { dup(STDOUT_FILENO), ends[0], ends[1] };
    assert_int_equal(dup2(piped.writes, STDOUT_FILENO), STDOUT_FILENO);
    return piped;
}

static void restore_stdout(const struct piped *piped)
{
    assert_int_equal(dup2(piped->before, STDOUT_FILENO), STDOUT_FILENO);
    close(piped->before);
    close(piped->reads);
    close(piped->writes);
}

/* How long this node's printers wait for a reader; 0: for ever. */
static void replace_writer(tenon_node *node, uint32_t wait_ms)
{
    tn_writer_close(node->stdout_writer, 0);
    tn_writer_wait(node->stdout_writer);
    tn_writer_unref(node->stdout_writer);
    node->stdout_writer = tn_writer_new(&(struct tn_writer_config){
        .max_bytes = TENON_PRINT_WAITING_MAX_BYTES,
        .fd = STDOUT_FILENO,
        .wait_ms = wait_ms,
    });
    assert_non_null(node->stdout_writer);
}

#define PRINTERS 20
#define PRINTED_BYTES (TENON_PRINT_WAITING_MAX_BYTES / 10)

static void print_large(struct me *me)
{
    static char text[PRINTED_BYTES];
    tenon_pid leader;
    tenon_process_pid(me->node->group_leader, &leader);
    memset(text, 'x', sizeof text);
    OK(tenon_send_format(me->node, &(tenon_dest){ .pid = &leader },
                         "{:io_request, ~p, 1, {:put_chars, :unicode, ~b}}",
                         &me->pid, text, sizeof text));
}

static void read_out(int fd, size_t len)
{
    static char text[65536];
    while (len > 0) {
        ssize_t n = read(fd, text, len < sizeof text ? len : sizeof text);
        assert_true(n > 0);
        len -= (size_t)n;
    }
}

static void who_prints_waits_for_the_reader_or_is_refused(void **state)
{
    struct me me = me_new(*state);
    struct piped piped = pipe_stdout();
    tenon_node_stats stats;
    replace_writer(me.node, 0);
    /* Not read: nothing is answered but what there is no room for. */
    for (unsigned i = 0; i < PRINTERS; i++) {
        print_large(&me);
    }
    do {
        tenon_node_get_stats(me.node, &stats, sizeof stats);
    } while (stats.prints_refused < PRINTERS - 9);
    for (unsigned i = 0; i < PRINTERS - 9; i++) {
        assert_next(&me, "{:io_reply, 1, {:error, :enospc}}");
    }
    read_out(piped.reads, 9 * PRINTED_BYTES);
    for (unsigned i = 0; i < 9; i++) {
        assert_next(&me, "{:io_reply, 1, :ok}");
    }
    restore_stdout(&piped);
    me_free(&me);
}

static void a_reader_that_never_comes_fails_the_prints(void **state)
{
    struct me me = me_new(*state);
    struct piped piped = pipe_stdout();
    replace_writer(me.node, 1);
    for (unsigned i = 0; i < 3; i++) {
        print_large(&me);
        assert_next(&me, "{:io_reply, 1, {:error, :etimedout}}");
    }
    char text[4096];
    assert_int_equal(fcntl(piped.reads, F_SETFL, O_NONBLOCK), 0);
    while (read(piped.reads, text, sizeof text) > 0) {
    }
    own_leader_answers(&me, "{:put_chars, :unicode, \"x\"}", ":ok");
    restore_stdout(&piped);
    me_free(&me);
}

static void what_cannot_be_printed_tells_why(void **state)
{
    struct me me = me_new(*state);
    struct piped piped = pipe_stdout();
    int full = open("/dev/full", O_WRONLY);
    if (full >= 0) {
        assert_int_equal(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
        close(full);
        own_leader_answers(&me, "{:put_chars, :unicode, \"x\"}",
                           "{:error, :enospc}");
    }
    close(piped.reads);
    assert_int_equal(dup2(piped.writes, STDOUT_FILENO), STDOUT_FILENO);
    own_leader_answers(&me, "{:put_chars, :unicode, \"x\"}",
                       "{:error, :epipe}");
    piped.reads = dup(piped.before);
    restore_stdout(&piped);
    me_free(&me);
}

static void all_of_a_request_is_printed_in_its_order(void **state)
{
    struct me me = me_new(*state);
    struct piped piped = pipe_stdout();
    char text[8];
    own_leader_answers(&me,
                       "{:requests, [{:put_chars, :unicode, \"ab\"}, "
                       "{:put_chars, :unicode, [99]}, :getopts]}",
                       "[binary: false, encoding: :unicode]");
    assert_int_equal(read(piped.reads, text, sizeof text), 3);
    assert_memory_equal(text, "abc", 3);
    own_leader_answers(&me,
                       "{:requests, [{:put_chars, :unicode, \"de\"}, "
                       "{:put_chars, :unicode, [102 | :no]}, :getopts]}",
                       "{:error, :badarg}");
    assert_int_equal(read(piped.reads, text, sizeof text), 2);
    assert_memory_equal(text, "de", 2);
    restore_stdout(&piped);
    me_free(&me);
}

static void latin1_becomes_utf8(void **state)
{
    struct tn_buf text;
    tenon_value *chars = tenon_value_format("[<<228, 65>>, 252]");
    (void)state;
    tn_buf_init(&text, 100);
    OK(tn_io_text(&text, TENON_IO_LATIN1, tenon_value_term(chars)));
    assert_int_equal(text.len, 5);
    assert_memory_equal(text.bytes, "\xc3\xa4\x41\xc3\xbc", 5);
    assert_int_equal(
        tn_io_text(&text, TENON_IO_UNICODE, tenon_value_term(chars)),
        TENON_E_TERM_TYPE);
    tn_buf_fini(&text);
    tenon_value_free(chars);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_written_in_its_encoding),
        cmocka_unit_test(a_write_that_is_refused_tells_the_reason),
        cmocka_unit_test(a_group_leader_that_ends_fails_the_write_at_once),
        cmocka_unit_test(a_dead_group_leader_fails_the_write_at_once),
        cmocka_unit_test(a_line_comes_as_a_binary_whatever_its_form),
        cmocka_unit_test(what_is_no_line_is_an_error),
        cmocka_unit_test(no_answer_in_time_is_a_timeout),
        cmocka_unit_test(a_forgotten_write_needs_no_answer),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
        cmocka_unit_test(a_call_has_the_group_leader_that_came_with_it),
        cmocka_unit_test(the_own_group_leader_has_no_input),
        cmocka_unit_test(the_own_group_leader_takes_text_in_its_encoding),
        cmocka_unit_test(who_prints_waits_for_the_reader_or_is_refused),
        cmocka_unit_test(a_reader_that_never_comes_fails_the_prints),
        cmocka_unit_test(what_cannot_be_printed_tells_why),
        cmocka_unit_test(all_of_a_request_is_printed_in_its_order),
        cmocka_unit_test(latin1_becomes_utf8),
    };
    return cmocka_run_group_tests(tests, start, own_node_stop);
}
