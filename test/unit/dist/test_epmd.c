/* SPDX-License-Identifier: Apache-2.0 */
/* epmd: the bytes that are exchanged with it, and a real one on a port of the
 * test's own: started, asked, lost, found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "dist/epmd.h"
#include "dist/epmd_ask.h"
#include "dist/sock.h"
#include "unit/support/deadline.h"
#include "unit/support/ends.h"
#include "unit/support/wire.h"

extern char **environ;

static uv_loop_t loop;
static struct end node; /* its dist, and where epmd's log lines go */
static tn_epmd *epmd;
static pid_t epmd_pid; /* the one that the test started, or 0 */
static char own_port_text[8];

/* ---- bytes --------------------------------------------------------------- */

static void requests_are_as_captured(void **state)
{
    struct wire_files files = wire_load("test/wire/otp/handshake", ".req");
    const struct wire_file *lookup =
        wire_find(&files, "test/wire/otp/handshake/epmd_port2.req");
    struct tn_buf out;

    (void)state;
    assert_non_null(lookup);
    tn_buf_init(&out, 1024);
    assert_int_equal(tn_epmd_put_lookup(&out, "cnode", NULL), TENON_OK);
    assert_int_equal(out.len, lookup->len);
    assert_memory_equal(out.bytes, lookup->bytes, out.len);
    tn_buf_reset(&out);
    assert_int_equal(tn_epmd_put_names(&out, NULL), TENON_OK);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.bytes, "\0\1n", 3);
    tn_buf_fini(&out);
    wire_free(&files);
}

static void captured_answers_are_read_cut_anywhere(void **state)
{
    struct wire_files files = wire_load("test/wire/otp/handshake", ".resp");
    const struct wire_file *there =
        wire_find(&files, "test/wire/otp/handshake/epmd_port2.resp");
    const struct wire_file *none =
        wire_find(&files, "test/wire/otp/handshake/epmd_port2_none.resp");
    uint16_t port = 0;

    (void)state;
    assert_non_null(there);
    assert_non_null(none);
    for (size_t len = 0; len < 4; len++) {
        assert_int_equal(tn_epmd_get_lookup(there->bytes, len, &port, NULL), 0);
    }
    assert_int_equal(tn_epmd_get_lookup(there->bytes, there->len, &port, NULL),
                     1);
    assert_int_equal(port, 40000);
    assert_int_equal(tn_epmd_get_lookup(none->bytes, none->len, &port, NULL),
                     TENON_E_NOT_FOUND);
    assert_int_equal(tn_epmd_get_lookup((const uint8_t *)"v", 1, &port, NULL),
                     TENON_E_EPMD);
    assert_int_equal(
        tn_epmd_get_lookup((const uint8_t *)"w\0\0\0", 4, &port, NULL),
        TENON_E_EPMD);
    wire_free(&files);
}

static void names_are_read_line_by_line(void **state)
{
    static const char answer[] = "\0\0\x11\x11"
                                 "name one at port 1\n"
                                 "nonsense\n"
                                 "name at port 5\n"
                                 "name x at port 70000\n"
                                 "name two at port 65535";
    const uint8_t *bytes = (const uint8_t *)answer;
    struct tn_epmd_name name;
    size_t at = 0;

    (void)state;
    assert_true(tn_epmd_next_name(bytes, sizeof answer - 1, &at, &name));
    assert_int_equal(name.name_len, 3);
    assert_memory_equal(name.name, "one", 3);
    assert_int_equal(name.port, 1);
    assert_true(tn_epmd_next_name(bytes, sizeof answer - 1, &at, &name));
    assert_memory_equal(name.name, "two", 3);
    assert_int_equal(name.port, 65535);
    assert_false(tn_epmd_next_name(bytes, sizeof answer - 1, &at, &name));
    at = 0;
    assert_false(tn_epmd_next_name(bytes, 3, &at, &name));
}

static void the_port_comes_from_the_environment(void **state)
{
    (void)state;
    setenv("ERL_EPMD_PORT", "4000", 1);
    assert_int_equal(tn_epmd_port(), 4000);
    setenv("ERL_EPMD_PORT", "4000x", 1);
    assert_int_equal(tn_epmd_port(), 4369);
    setenv("ERL_EPMD_PORT", "65536", 1);
    assert_int_equal(tn_epmd_port(), 4369);
    unsetenv("ERL_EPMD_PORT");
    assert_int_equal(tn_epmd_port(), 4369);
}

static void creations_are_never_the_reserved_ones(void **state)
{
    uint32_t one, other;

    (void)state;
    assert_int_equal(tn_epmd_creation(&one, NULL), TENON_OK);
    assert_int_equal(tn_epmd_creation(&other, NULL), TENON_OK);
    assert_true(one > 3 && other > 3 && one != other);
}

/* ---- a real one ---------------------------------------------------------- */

static uint64_t soon(void)
{
    return tn_now_ms() + DEADLINE_MS;
}

/* A port that was free a moment ago, for these tests' epmd alone. One for all
 * of them: ei looks into the environment once in a process. Any of those that
 * no system gives to a socket by itself, or another program would have it
 * while none of these tests' epmds runs. */
static int choose_port(void **state)
{
    int fd = -EADDRINUSE;

    (void)state;
    while (fd == -EADDRINUSE) {
        struct tn_address at = tn_address_all(AF_INET);
        uint16_t random;

        if (tn_random_bytes(&random, sizeof random) != TENON_OK) {
            return -1;
        }
        uint16_t port = (uint16_t)(10000 + random % 20000);

        tn_address_set_port(&at, port);
        snprintf(own_port_text, sizeof own_port_text, "%u", port);
        fd = tn_sock_listen(&at);
    }
    if (fd < 0) {
        return -1;
    }
    close(fd);
    return 0;
}

static int own_port(void **state)
{
    (void)state;
    setenv("ERL_EPMD_PORT", own_port_text, 1);
    epmd = NULL;
    epmd_pid = 0;
    uv_loop_init(&loop);
    end_open(&node, &loop, "epmd-test@127.0.0.1", NULL);
    return 0;
}

/* Not as a daemon, so that its pid is known. */
static void start_epmd(void)
{
    char *argv[] = { (char *)"epmd", NULL };

    assert_int_equal(posix_spawnp(&epmd_pid, "epmd", NULL, NULL, argv, environ),
                     0);
    uint64_t deadline = soon();

    while (!tn_epmd_is_running(deadline) && tn_now_ms() < deadline) {
    }
    assert_true(tn_epmd_is_running(deadline));
}

static void stop_epmd(void)
{
    kill(epmd_pid, SIGKILL);
    waitpid(epmd_pid, NULL, 0);
    epmd_pid = 0;
}

static int leave_port(void **state)
{
    (void)state;
    tn_epmd_free(epmd);
    end_close(&node);
    uv_run(&loop, UV_RUN_DEFAULT);
    if (epmd_pid != 0) {
        stop_epmd();
    }
    unsetenv("ERL_EPMD_PORT");
    return uv_loop_close(&loop);
}

static enum tenon_err register_as(const char *full, tenon_error *err)
{
    struct tn_name name;

    assert_int_equal(tn_name_split(full, &name, NULL), TENON_OK);
    return tn_epmd_register(&loop, &name, "cookie", 1234, node.port,
                            DEADLINE_MS, &node.log_to, &epmd, err);
}

/* The port under which epmd has a name; 0 when it has not. */
static uint16_t port_of(const char *alive)
{
    struct tn_buf names;
    struct tn_epmd_name name;
    size_t at = 0;
    uint16_t port = 0;

    tn_buf_init(&names, 1 << 20);
    if (tn_epmd_names(NULL, DEADLINE_MS, &names, NULL) == TENON_OK) {
        while (tn_epmd_next_name(names.bytes, names.len, &at, &name)) {
            if (name.name_len == strlen(alive) &&
                memcmp(name.name, alive, name.name_len) == 0) {
                port = name.port;
            }
        }
    }
    tn_buf_fini(&names);
    return port;
}

static void epmd_is_started_when_none_runs(void **state)
{
    tenon_error err = { .text = "" };

    (void)state;
    if (register_as("fresh@127.0.0.1", &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(port_of("fresh"), node.port);
    tn_epmd_free(epmd);
    epmd = NULL;
    RUN_UNTIL(&loop, port_of("fresh") == 0);
    /* It lets itself be ended when it has no nodes, and says so before. */
    assert_int_equal(system("epmd -kill >/dev/null"), 0);
    RUN_UNTIL(&loop, !tn_epmd_is_running(soon()));
}

static void an_epmd_that_cannot_be_started_is_said(void **state)
{
    tenon_error err;

    (void)state;
    setenv("TENON_EPMD", "/nonexistent/epmd", 1);
    assert_int_equal(register_as("x@127.0.0.1", &err), TENON_E_EPMD);
    unsetenv("TENON_EPMD");
    assert_non_null(strstr(err.text, "set TENON_EPMD"));
}

static void a_taken_name_is_told_from_other_failures(void **state)
{
    tenon_error err;

    (void)state;
    start_epmd();
    assert_int_equal(register_as("twice@127.0.0.1", &err), TENON_OK);
    tn_epmd *first = epmd;

    assert_int_equal(register_as("twice@127.0.0.1", &err), TENON_E_NAME_TAKEN);
    assert_non_null(strstr(err.text, "another node of this machine is "
                                     "registered as \"twice\""));
    epmd = first;
}

static void the_name_is_registered_again_when_epmd_comes_back(void **state)
{
    tenon_error err;

    (void)state;
    start_epmd();
    assert_int_equal(register_as("back@127.0.0.1", &err), TENON_OK);
    stop_epmd();
    RUN_UNTIL(&loop, strstr(node.log, "event=epmd_lost") != NULL);
    start_epmd();
    assert_int_equal(port_of("back"), 0);
    RUN_UNTIL(&loop, strstr(node.log, "event=epmd_registered") != NULL);
    assert_int_equal(port_of("back"), node.port);
}

static void a_node_is_found_by_its_name(void **state)
{
    struct end other;
    tenon_error err;

    (void)state;
    start_epmd();
    assert_int_equal(register_as(node.name, &err), TENON_OK);
    end_open(&other, &loop, "other@127.0.0.1", NULL);
    assert_int_equal(tn_conn_connect(other.dist, node.name, &other.own, &err),
                     TENON_OK);
    RUN_UNTIL(&loop, other.ups == 1 && node.ups == 1);
    end_close(&other);
}

static void a_name_that_epmd_does_not_know_is_said(void **state)
{
    tenon_error err;

    (void)state;
    start_epmd();
    assert_int_equal(
        tn_conn_connect(node.dist, "nobody@127.0.0.1", &node.own, &err),
        TENON_OK);
    RUN_UNTIL(&loop, node.downs == 1);
    assert_int_equal(node.why.code, TENON_E_NOT_FOUND);
    assert_string_equal(node.why.text,
                        "could not connect to node \"nobody@127.0.0.1\": epmd "
                        "knows no node of that name");
}

static void a_host_without_epmd_is_said(void **state)
{
    tenon_error err;
    struct tn_buf names;

    (void)state;
    assert_int_equal(
        tn_conn_connect(node.dist, "nobody@127.0.0.1", &node.own, &err),
        TENON_OK);
    RUN_UNTIL(&loop, node.downs == 1);
    assert_int_equal(node.why.code, TENON_E_EPMD);
    assert_non_null(strstr(node.why.text, "the epmd of host \"127.0.0.1\""));
    tn_buf_init(&names, 1 << 20);
    assert_int_equal(tn_epmd_names("127.0.0.1", DEADLINE_MS, &names, &err),
                     TENON_E_EPMD);
    assert_non_null(strstr(err.text, "Connection refused"));
    tn_buf_fini(&names);
}

int main(void)
{
#define EPMD_TEST(test)                                                        \
    cmocka_unit_test_setup_teardown(test, own_port, leave_port)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_as_captured),
        cmocka_unit_test(captured_answers_are_read_cut_anywhere),
        cmocka_unit_test(names_are_read_line_by_line),
        cmocka_unit_test(the_port_comes_from_the_environment),
        cmocka_unit_test(creations_are_never_the_reserved_ones),
        EPMD_TEST(epmd_is_started_when_none_runs),
        EPMD_TEST(an_epmd_that_cannot_be_started_is_said),
        EPMD_TEST(a_taken_name_is_told_from_other_failures),
        EPMD_TEST(the_name_is_registered_again_when_epmd_comes_back),
        EPMD_TEST(a_node_is_found_by_its_name),
        EPMD_TEST(a_name_that_epmd_does_not_know_is_said),
        EPMD_TEST(a_host_without_epmd_is_said),
    };

    return cmocka_run_group_tests(tests, choose_port, NULL);
}
