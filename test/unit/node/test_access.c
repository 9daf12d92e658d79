/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes in one program, of which one has rules: what its peer may do, what
 * is counted and logged, rules and cookies that change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>

#include "nodes.h"

/* The ruled one, its peer, and the file of rules. */
static tenon_node *ruled, *peer;
static char path[] = "/tmp/tn-access-XXXXXX";

/* Lines that the ruled node has logged. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[65536]; /* guarded by log_lock */

static void
keep_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    pthread_mutex_lock(&log_lock);
    size_t used = strlen(logged);

    if (len + 2 < sizeof logged - used) {
        memcpy(logged + used, line, len);
        memcpy(logged + used + len, "\n", 2);
    }
    pthread_mutex_unlock(&log_lock);
}

static bool has_logged(const char *text)
{
    pthread_mutex_lock(&log_lock);
    bool has = strstr(logged, text) != NULL;

    pthread_mutex_unlock(&log_lock);
    return has;
}

static unsigned count_logged(const char *text)
{
    unsigned count = 0;

    pthread_mutex_lock(&log_lock);
    for (const char *at = logged; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    pthread_mutex_unlock(&log_lock);
    return count;
}

/* ---- set-up -------------------------------------------------------------- */

static void write_rules(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static tenon_node_config ruled_config(const char *name, tenon_error *err)
{
    tenon_node_config config = config_of(name, err);

    config.no_global = true;
    config.no_connect_all = true;
    config.log = keep_line;
    return config;
}

static void answer_one(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply(call, "1");
}

/* What the first rule says of everybody. */
static void start_with(const char *rules)
{
    tenon_error err = { 0 };
    char name[64];

    write_rules(rules);
    pthread_mutex_lock(&log_lock);
    logged[0] = '\0';
    pthread_mutex_unlock(&log_lock);
    new_name(name, "ruled");
    tenon_node_config config = ruled_config(name, &err);

    config.rules_file = path;
    ruled = tenon_node_start(&config);
    if (ruled == NULL) {
        fail_msg("%s", err.text);
    }
    peer = known_node(NULL);
    OK(tenon_function(ruled, "m", "one", 0, answer_one, NULL, 0));
    OK(tenon_function(ruled, "m", "other", 0, answer_one, NULL, 0));
}

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(path);
}

static int stop(void **state)
{
    (void)state;
    tenon_node_stop(peer);
    tenon_node_stop(ruled);
    peer = ruled = NULL;
    return 0;
}

static enum tenon_err connect_peer(tenon_error *err)
{
    return tenon_node_connect(peer, tenon_node_name(ruled), DEADLINE_MS, err);
}

static enum tenon_err call_function(const char *name, char text[200])
{
    tenon_value *args = tenon_value_format("[]");
    tenon_value *value = NULL;
    tenon_error err = { 0 };
    enum tenon_err rc =
        tenon_rpc(peer, tenon_node_name(ruled), "m", name,
                  tenon_value_term(args), DEADLINE_MS, &value, &err);

    tenon_term_print(tenon_value_term(value), text, 200);
    tenon_value_free(value);
    tenon_value_free(args);
    return rc;
}

static void reload(void)
{
    tenon_error err = { 0 };

    if (tenon_node_reload_rules(ruled, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
}

/* ---- what is allowed ------------------------------------------------------ */

static void a_refused_peer_is_told_and_counted(void **state)
{
    tenon_error err = { 0 };

    (void)state;
    start_with("{peer, '*', none}.");
    assert_int_equal(connect_peer(&err), TENON_E_NODEDOWN);
    assert_non_null(strstr(err.text, "not_allowed"));
    assert_int_equal(stats_of(ruled).connections_refused, 1);
    WAIT_FOR(has_logged("event=handshake_refused"));
}

static void a_refused_peer_is_not_called(void **state)
{
    tenon_error err = { 0 };

    (void)state;
    start_with("{peer, '*', none}.");
    assert_int_equal(
        tenon_node_connect(ruled, tenon_node_name(peer), DEADLINE_MS, &err),
        TENON_E_NODEDOWN);
    assert_non_null(strstr(err.text, "the rules of this node do not allow it"));
    assert_int_equal(stats_of(peer).peers, 0);
}

/* One of a node that is not connected would have this one call it. */
static void an_answer_goes_to_nodes_that_are_connected(void **state)
{
    (void)state;
    start_with("{peer, '*', []}.");
    connect_nodes(peer, ruled);
    tn_access *access = tn_peer_access(ruled, tenon_node_name(peer));

    assert_non_null(access);
    for (int i = 0; i < 3; i++) {
        tenon_pid pid = { .id = 1, .creation = 1 };

        snprintf(pid.node, sizeof pid.node, "%s",
                 i == 0 ? "third@127.0.0.9"
                        : tenon_node_name(i == 1 ? ruled : peer));
        tenon_value *to = must_format_pid(&pid);

        assert_int_equal(
            tn_may_answer(ruled, access, tenon_value_term(to), true), i == 2);
        assert_int_equal(
            tn_may_answer(ruled, access, tenon_value_term(to), false), i == 2);
        tenon_value_free(to);
    }
    assert_int_equal(stats_of(ruled).names_refused, 4);
    tn_access_unref(access);
}

static void a_function_that_is_not_granted_raises_not_allowed(void **state)
{
    char text[200];

    (void)state;
    start_with("{peer, '*', [{functions, [{m, one, 0}]}]}.");
    connect_nodes(peer, ruled);
    assert_int_equal(call_function("one", text), TENON_OK);
    assert_string_equal(text, "1");
    assert_int_equal(call_function("other", text), TENON_E_REMOTE_ERROR);
    assert_non_null(strstr(text, ":not_allowed"));
    assert_int_equal(call_function("none", text), TENON_E_REMOTE_ERROR);
    assert_non_null(strstr(text, ":not_allowed"));
    assert_int_equal(stats_of(ruled).functions_refused, 2);
}

static void refusals_are_logged_once_in_a_while(void **state)
{
    char text[200];

    (void)state;
    start_with("{peer, '*', []}.");
    connect_nodes(peer, ruled);
    uint64_t began = tn_now_ms();

    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(call_function("one", text), TENON_E_REMOTE_ERROR);
    }
    uint64_t lines_max = 10 + (tn_now_ms() - began) / 1000;

    WAIT_FOR(has_logged("event=refused peer=known"));
    WAIT_FOR(has_logged("function=m:one/0"));
    assert_in_range(count_logged("event=refused"), 1, lines_max);
    assert_int_equal(stats_of(ruled).functions_refused, 200);
    WAIT_FOR(call_function("one", text) == TENON_E_REMOTE_ERROR &&
             has_logged("event=refused suppressed="));
    assert_true(stats_of(ruled).log_lines_suppressed > 0);
}

static void a_name_that_is_not_granted_is_nobody(void **state)
{
    tenon_ref ref;

    (void)state;
    start_with("{peer, '*', [{names, [open]}]}.");
    connect_nodes(peer, ruled);
    tenon_process *shut = new_box(ruled, "shut");
    tenon_process *open = new_box(ruled, "open");
    tenon_process *unnamed = new_box(ruled, NULL);
    tenon_process *watcher = new_box(peer, NULL);
    tenon_pid shut_pid = pid_of(shut), unnamed_pid = pid_of(unnamed);
    const tenon_dest by_name = { .name = "shut",
                                 .node = tenon_node_name(ruled) };
    const tenon_dest by_pid = { .pid = &shut_pid };
    const tenon_dest to_open = { .name = "open",
                                 .node = tenon_node_name(ruled) };
    const tenon_dest to_unnamed = { .pid = &unnamed_pid };
    tenon_value *hello = tenon_value_format(":hello");
    tenon_term message = tenon_value_term(hello);

    OK(tenon_monitor(watcher, &by_name, &ref));
    assert_next_down(watcher, &ref, ":noproc");
    OK(tenon_monitor(watcher, &by_pid, &ref));
    assert_next_down(watcher, &ref, ":noproc");
    OK(tenon_send(peer, &by_name, message, NULL));
    OK(tenon_send(peer, &by_pid, message, NULL));
    OK(tenon_exit_signal(watcher, &shut_pid, tn_atom_kill));
    OK(tenon_send(peer, &to_open, message, NULL));
    OK(tenon_send(peer, &to_unnamed, message, NULL));
    assert_next(open, ":hello");
    assert_next(unnamed, ":hello");
    /* In order: what was lost came before. */
    assert_int_equal(stats_of(ruled).names_refused, 5);
    tenon_value *none = NULL;

    assert_int_equal(tenon_receive(shut, 0, &none), TENON_E_TIMEOUT);
    tenon_value_free(hello);
    end_box(watcher);
    end_box(unnamed);
    end_box(open);
    end_box(shut);
}

/* ---- what changes --------------------------------------------------------- */

static void new_rules_hold_for_connections_that_are_there(void **state)
{
    char text[200];

    (void)state;
    start_with("{peer, '*', all}.");
    connect_nodes(peer, ruled);
    assert_int_equal(call_function("other", text), TENON_OK);
    write_rules("{peer, '*', [{functions, [{m, one, 0}]}]}.");
    reload();
    assert_int_equal(call_function("other", text), TENON_E_REMOTE_ERROR);
    assert_int_equal(call_function("one", text), TENON_OK);
    assert_int_equal(stats_of(ruled).connections_refused, 0);
    write_rules("{peer, '*', none}.");
    reload();
    WAIT_FOR(stats_of(ruled).peers == 0);
    assert_int_equal(stats_of(ruled).connections_refused, 1);
}

static void bad_rules_leave_the_old_ones_in_force(void **state)
{
    tenon_error err = { 0 };
    char text[200];

    (void)state;
    start_with("{peer, '*', [{functions, [{m, one, 0}]}]}.");
    connect_nodes(peer, ruled);
    write_rules("{peer, '*', all}.\n{peer, '*', some}.");
    assert_int_equal(tenon_node_reload_rules(ruled, &err), TENON_E_INVAL);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "rule in line 2"));
    assert_int_equal(call_function("other", text), TENON_E_REMOTE_ERROR);
    assert_int_equal(call_function("one", text), TENON_OK);
    write_rules("{cookie, 'a@h', {file, \"/no/such\"}}.");
    assert_int_equal(tenon_node_reload_rules(ruled, &err), TENON_E_COOKIE);
    assert_non_null(strstr(err.text, "/no/such"));
    assert_int_equal(call_function("other", text), TENON_E_REMOTE_ERROR);
}

static void cookies_of_rules_go_with_them(void **state)
{
    tenon_error err = { 0 };
    char rules[200];

    (void)state;
    setenv("TN_ACCESS_COOKIE", "another", 1);
    start_with("{peer, '*', all}.");
    snprintf(rules, sizeof rules,
             "{cookie, '%s', {env, \"TN_ACCESS_COOKIE\"}}.",
             tenon_node_name(peer));
    write_rules(rules);
    reload();
    assert_int_equal(connect_peer(&err), TENON_E_NODEDOWN);
    OK(tenon_node_set_cookie(peer, tenon_node_name(ruled), "another"));
    OK(connect_peer(&err));
    WAIT_FOR(stats_of(ruled).peers == 1);
    OK(tenon_node_disconnect(peer, tenon_node_name(ruled)));
    WAIT_FOR(has_logged("event=peer_down"));
    assert_int_equal(count_logged("event=connection_closed"), 0);
    WAIT_FOR(stats_of(ruled).peers == 0 && stats_of(peer).peers == 0);
    write_rules("");
    reload();
    assert_int_equal(connect_peer(&err), TENON_E_NODEDOWN);
    /* One that is set comes before that of the rules. */
    OK(tenon_node_set_cookie(ruled, tenon_node_name(peer), "another"));
    OK(connect_peer(&err));
}

static void a_cookie_is_checked(void **state)
{
    char long_one[300];

    (void)state;
    start_with("");
    memset(long_one, 'c', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    assert_int_equal(tenon_node_set_cookie(ruled, "a@h", long_one),
                     TENON_E_COOKIE);
    assert_int_equal(tenon_node_set_cookie(ruled, "a@h", ""), TENON_E_COOKIE);
    assert_int_equal(tenon_node_set_cookie(ruled, "a", "c"), TENON_E_INVAL);
    assert_int_equal(tenon_node_set_cookie(ruled, NULL, "c"), TENON_E_INVAL);
    assert_int_equal(tenon_node_set_cookie(NULL, "a@h", "c"), TENON_E_INVAL);
    OK(tenon_node_set_cookie(ruled, "a@h", "c"));
    OK(tenon_node_set_cookie(ruled, "a@h", NULL));
}

/* ---- the start ------------------------------------------------------------ */

static void
start_fails(const tenon_node_config *with, enum tenon_err code, const char *why)
{
    tenon_error err = { 0 };
    char name[64];

    new_name(name, "ruled");
    tenon_node_config config = ruled_config(name, &err);

    config.rules = with->rules;
    config.rules_file = with->rules_file;
    config.peer_cookies = with->peer_cookies;
    assert_null(tenon_node_start(&config));
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.text, why));
}

static void a_node_does_not_start_with_what_it_cannot_keep_to(void **state)
{
    static const char *const bad_cookies[] = { "a", "c", NULL };
    static const char *const empty_cookies[] = { "a@h", "", NULL };
    size_t len = TENON_RULES_MAX_BYTES + 1;
    char *large = malloc(len + 1);

    (void)state;
    assert_non_null(large);
    memset(large, '\n', len);
    large[len] = '\0';
    write_rules(large);
    start_fails(&(tenon_node_config){ .rules_file = path }, TENON_E_LIMIT,
                "at most 1048576 bytes");
    start_fails(&(tenon_node_config){ .rules = large }, TENON_E_LIMIT,
                "at most 1048576 bytes");
    large[len - 1] = '\0';
    write_rules(large);
    start_with(large);
    (void)stop(NULL);
    free(large);
    write_rules("");
    start_fails(&(tenon_node_config){ .rules = "", .rules_file = path },
                TENON_E_INVAL, "got both");
    start_fails(&(tenon_node_config){ .rules = "{peer}." }, TENON_E_INVAL,
                "rule in line 1");
    start_fails(&(tenon_node_config){ .rules_file = "/no/such" },
                TENON_E_SYSTEM, "/no/such");
    start_fails(&(tenon_node_config){ .peer_cookies = bad_cookies },
                TENON_E_INVAL, "cookie of node \"a\"");
    start_fails(&(tenon_node_config){ .peer_cookies = empty_cookies },
                TENON_E_COOKIE, "cookie of node \"a@h\"");
}

static void a_node_without_a_file_has_none_to_read_again(void **state)
{
    tenon_error err = { 0 };

    (void)state;
    peer = known_node(NULL);
    assert_int_equal(tenon_node_reload_rules(peer, &err), TENON_E_INVAL);
    assert_int_equal(tenon_node_reload_rules(NULL, &err), TENON_E_INVAL);
}

int main(void)
{
#define RULED_TEST(test) cmocka_unit_test_teardown(test, stop)
    const struct CMUnitTest tests[] = {
        RULED_TEST(a_refused_peer_is_told_and_counted),
        RULED_TEST(a_refused_peer_is_not_called),
        RULED_TEST(an_answer_goes_to_nodes_that_are_connected),
        RULED_TEST(a_function_that_is_not_granted_raises_not_allowed),
        RULED_TEST(refusals_are_logged_once_in_a_while),
        RULED_TEST(a_name_that_is_not_granted_is_nobody),
        RULED_TEST(new_rules_hold_for_connections_that_are_there),
        RULED_TEST(bad_rules_leave_the_old_ones_in_force),
        RULED_TEST(cookies_of_rules_go_with_them),
        RULED_TEST(a_cookie_is_checked),
        RULED_TEST(a_node_does_not_start_with_what_it_cannot_keep_to),
        RULED_TEST(a_node_without_a_file_has_none_to_read_again),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
