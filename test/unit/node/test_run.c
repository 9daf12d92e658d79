/* SPDX-License-Identifier: Apache-2.0 */
/* A node in the foreground, and what ends it: also when a handler never
 * returns. Such a node is never freed, so it runs in a process of its own, whose
 * log is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nodes.h"

static void a_run_ends_when_it_is_asked_to(void **state)
{
    (void)state;
    tenon_node *node = lone_node(NULL);
    tenon_node_request_stop(node);
    tenon_node_request_stop(NULL);
    assert_int_equal(tenon_node_run(node), 0);
    assert_int_equal(tenon_node_run(NULL), 1);
}

static void a_signal_before_the_run_ends_it_in_order(void **state)
{
    sigset_t blocked, before;
    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    for (size_t i = 0; i < 2; i++) {
        tenon_node *node = lone_node(NULL);
        assert_int_equal(kill(getpid(), i == 0 ? SIGTERM : SIGINT), 0);
        assert_int_equal(tenon_node_run(node), 0);
        sigset_t after;
        pthread_sigmask(SIG_SETMASK, NULL, &after);
        assert_true(sigismember(&after, SIGTERM) == 1);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- handlers that do not return ---------------------------------------- */

static void never_return(tenon_process *self, tenon_term message, void *user)
{
    (void)self;
    (void)message;
    sem_post(user);
    for (;;) {
        pause();
    }
}

/* Blocked before the node's start, the signal comes to the run. */
static void send_sigterm(void)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    (void)kill(getpid(), SIGTERM);
}

static void
write_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)level;
    (void)!write(*(const int *)user, line, len);
}

static tenon_node *logging_node(int *log)
{
    tenon_error err = { 0 };
    char name[64];
    new_name(name, "run");
    tenon_node_config config = config_of(name, &err);
    config.log_level = TENON_LOG_INFO;
    config.log = write_line;
    config.log_user = log;
    tenon_node *node = tn_node_start(&config);
    if (node == NULL || tn_loop_start(node, &err) != TENON_OK) {
        _exit(100);
    }
    return node;
}

/* Runs a node whose handler does not return, and ends with the run's status. */
static void run_stuck(int log, bool is_inline)
{
    sem_t entered;
    tenon_error err = { 0 };
    (void)alarm(DEADLINE_MS / 1000); /* as the parent's failure */
    (void)sem_init(&entered, 0, 0);
    send_sigterm();
    tenon_node *node = logging_node(&log);
    node->stop_max_ms = is_inline ? 50 : DEADLINE_MS;
    node->stop_workers_ms = is_inline ? DEADLINE_MS : 50;
    tenon_process *server = tenon_server_start(
        node, &(tenon_server_config){ .name = "endless",
                                      .on_info = never_return,
                                      .state = &entered,
                                      .run_inline = is_inline,
                                      .err = &err });
    tenon_dest to = { .name = "endless" };
    if (server == NULL || tenon_send(node, &to, tn_atom_ok, &err) != TENON_OK) {
        _exit(100);
    }
    while (sem_wait(&entered) != 0) {
    }
    _exit(tenon_node_run(node));
}

/* Returns the status; log: what the process has written, as text. */
static int status_of_stuck(bool is_inline, char *log, size_t cap)
{
    int ends[2], status;
    size_t len = 0;
    ssize_t n;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_stuck(ends[1], is_inline);
    }
    close(ends[1]);
    while (len < cap - 1 && (n = read(ends[0], log + len, cap - 1 - len)) > 0) {
        len += (size_t)n;
    }
    log[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_run_ends_though_an_inline_handler_does_not_return(void **state)
{
    char log[4096];
    (void)state;
    assert_int_equal(status_of_stuck(true, log, sizeof log), TENON_RUN_STUCK);
    assert_non_null(strstr(log, "event=stop_timeout"));
    assert_non_null(strstr(log, "waiting_for=\"inline handler\""));
    assert_non_null(strstr(log, "kind=server"));
}

static void a_run_ends_though_a_worker_s_handler_does_not_return(void **state)
{
    char log[4096];
    (void)state;
    assert_int_equal(status_of_stuck(false, log, sizeof log), 0);
    assert_non_null(strstr(log, "handlers=\"still running\""));
    assert_null(strstr(log, "event=stop_timeout"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_when_it_is_asked_to),
        cmocka_unit_test(a_signal_before_the_run_ends_it_in_order),
        cmocka_unit_test(a_run_ends_though_an_inline_handler_does_not_return),
        cmocka_unit_test(a_run_ends_though_a_worker_s_handler_does_not_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
