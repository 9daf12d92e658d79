/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that may connect and nothing else, and what others were asked: it
 * answers for nobody but itself, even if it knows the reference. Who may do
 * everything answers also what a third was asked, and has passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adversary.h"

#define OTHER "other@127.0.0.1"
#define NOBODY "victim@127.0.0.9"

static struct adversary evil, other;
static tenon_process *asked; /* of the peer that may do everything */
static tenon_process *own;   /* of the ruled node, without a name */

/* How a request has ended. */
struct ended {
    atomic_uint count;
    enum tn_request_end end;
    char term[100];
};

static void note_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct ended *ended = user;
    ended->end = end;
    tenon_term_print(term, ended->term, sizeof ended->term);
    atomic_fetch_add(&ended->count, 1);
}

static int start(void **state)
{
    (void)state;
    start_nodes("{peer, 'evil@*', []}. {peer, 'other@*', all}.");
    asked = new_box(good, NULL);
    own = new_box(ruled, NULL);
    join_as(&evil, EVIL);
    join_as(&other, OTHER);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    end_box(asked);
    end_box(own);
    end_close(&evil.end);
    end_close(&other.end);
    forget_question(&evil);
    forget_question(&other);
    stop_nodes();
    return 0;
}

/* message: taken. */
static void send_to(struct adversary *by, tenon_term to, tenon_value *message)
{
    assert_non_null(message);
    send_signal(by, (struct tn_signal){ .kind = TN_SIG_SEND,
                                        .from = by->pid,
                                        .to = to,
                                        .payload = tenon_value_term(message) });
    tenon_value_free(message);
}

static tenon_term client(void)
{
    return tn_process_pid(ruled->client);
}

/* ---- calls ---------------------------------------------------------------- */

static void must_not_end(struct adversary *by, const struct ended *ended)
{
    settle(by);
    assert_int_equal(atomic_load(&ended->count), 0);
}

static void must_end(const struct ended *ended, const char *term)
{
    WAIT_FOR(atomic_load(&ended->count) > 0);
    assert_int_equal(ended->end, TN_END_REPLY);
    assert_string_equal(ended->term, term);
}

/* A call of a process of `good`; its tag, to be freed. */
static tenon_value *call_good(struct ended *ended)
{
    tenon_pid to = pid_of(asked);
    tenon_term tag;
    OK(tn_request_server(ruled, &(tenon_dest){ .pid = &to }, tn_atom_ok,
                         TENON_NO_TIMEOUT, note_end, ended, NULL));
    tenon_value *message = next_message(asked);
    assert_true(tenon_match(tenon_value_term(message),
                            "{:\"$gen_call\", {_, ~t}, :ok}", &tag));
    tenon_value *copy = tenon_value_new(tag);
    tenon_value_free(message);
    return copy;
}

static void a_call_of_another_is_not_answered(void **state)
{
    struct ended ended = { 0 };
    tenon_value *tag = call_good(&ended);
    tenon_value *forged =
        tenon_value_format("{~t, :forged}", tenon_value_term(tag));
    tenon_cursor at;
    tenon_term ref;
    (void)state;
    send_to(&evil, client(), tenon_value_new(tenon_value_term(forged)));
    must_not_end(&evil, &ended);
    assert_int_equal(claims(), 1);
    WAIT_FOR(has_logged("event=refused peer=" EVIL " claim=\"answer of "));
    tenon_cursor_init(&at, tenon_value_term(tag));
    assert_true(tenon_cursor_next(&at, &ref));
    assert_int_equal(tenon_cursor_tail(&at, &ref), TENON_OK);
    send_signal(&evil,
                (struct tn_signal){ .kind = TN_SIG_SEND_ALIAS,
                                    .from = evil.pid,
                                    .to = ref,
                                    .payload = tenon_value_term(forged) });
    must_not_end(&evil, &ended);
    /* That its process has ended is told by a signal of its node. */
    send_to(&other, client(),
            tenon_value_format("{:DOWN, ~t, :process, ~t, :killed}", ref,
                               tn_process_pid(asked)));
    must_not_end(&other, &ended);
    send_to(&other, client(),
            tenon_value_format("{~t, :passed_on}", tenon_value_term(tag)));
    must_end(&ended, ":passed_on");
    tenon_value_free(forged);
    tenon_value_free(tag);
}

static void an_output_of_another_is_not_acknowledged(void **state)
{
    struct ended ended = { 0 };
    tenon_pid to = pid_of(asked);
    tenon_ref ref;
    (void)state;
    OK(tn_request_io(ruled, &(tenon_dest){ .pid = &to }, tn_atom_ok,
                     TENON_NO_TIMEOUT, note_end, &ended, NULL));
    tenon_value *message = next_message(asked);
    assert_true(tenon_match(tenon_value_term(message),
                            "{:io_request, _, ~r, :ok}", &ref));
    tenon_value_free(message);
    send_to(&evil, client(),
            tenon_value_format("{:io_reply, ~r, :forged}", &ref));
    must_not_end(&evil, &ended);
    assert_int_equal(claims(), 1);
    send_to(&other, client(),
            tenon_value_format("{:io_reply, ~r, :passed_on}", &ref));
    must_end(&ended, ":passed_on");
}

static void what_it_is_asked_itself_it_answers(void **state)
{
    struct ended ended = { 0 };
    struct tn_request *request;
    (void)state;
    OK(tn_request_server(ruled, &(tenon_dest){ .name = "s", .node = EVIL },
                         tn_atom_ok, TENON_NO_TIMEOUT, note_end, &ended, NULL));
    RUN_UNTIL(&loop, evil.of[TN_SIG_SEND_NAME] == 1);
    tn_lock(ruled);
    struct tn_peer *peer = tn_peer_find_locked(ruled, EVIL, strlen(EVIL));
    request = LIST_FIRST(&peer->requests);
    tenon_value *ref = tenon_value_new(request->ref);
    tn_unlock(ruled);
    send_to(
        &evil, client(),
        tenon_value_format("{[:alias | ~t], :mine}", tenon_value_term(ref)));
    settle(&evil);
    must_end(&ended, ":mine");
    assert_int_equal(claims(), 0);
    tenon_value_free(ref);
}

static void the_end_of_a_server_here_is_not_told(void **state)
{
    struct ended ended = { 0 };
    tenon_pid to = pid_of(own);
    tenon_term tag, ref;
    tenon_cursor at;
    (void)state;
    OK(tn_request_server(ruled, &(tenon_dest){ .pid = &to }, tn_atom_ok,
                         TENON_NO_TIMEOUT, note_end, &ended, NULL));
    tenon_value *message = next_message(own);
    assert_true(tenon_match(tenon_value_term(message),
                            "{:\"$gen_call\", {_, ~t}, :ok}", &tag));
    tenon_cursor_init(&at, tag);
    assert_true(tenon_cursor_next(&at, &ref));
    assert_int_equal(tenon_cursor_tail(&at, &ref), TENON_OK);
    send_to(&evil, client(),
            tenon_value_format("{:DOWN, ~t, :process, ~p, :killed}", ref, &to));
    must_not_end(&evil, &ended);
    send_to(&evil, client(), tenon_value_format("{~t, :forged}", tag));
    must_not_end(&evil, &ended);
    assert_int_equal(claims(), 2);
    send_to(&other, client(), tenon_value_format("{~t, :passed_on}", tag));
    must_end(&ended, ":passed_on");
    tenon_value_free(message);
}

/* ---- ends ----------------------------------------------------------------- */

static void ends_are_not_told_by_plain_messages(void **state)
{
    tenon_pid pid = pid_of(asked);
    tenon_ref ref;
    (void)state;
    tenon_make_ref(ruled, &ref);
    send_to(&evil, tn_process_pid(own),
            tenon_value_format("{:EXIT, ~p, :forged}", &pid));
    send_to(
        &evil, tn_process_pid(own),
        tenon_value_format("{:DOWN, ~r, :process, ~p, :forged}", &ref, &pid));
    OK(tenon_alias(own, TENON_ALIAS_EXPLICIT, &ref));
    tenon_value *alias = tenon_value_format("~r", &ref);
    tenon_value *forged = tenon_value_format("{:EXIT, ~p, :forged}", &pid);
    send_signal(&evil,
                (struct tn_signal){ .kind = TN_SIG_SEND_ALIAS,
                                    .from = evil.pid,
                                    .to = tenon_value_term(alias),
                                    .payload = tenon_value_term(forged) });
    send_to(&evil, tn_process_pid(own), tenon_value_format("{:EXIT, 1}"));
    assert_next(own, "{:EXIT, 1}");
    assert_int_equal(claims(), 3);
    tenon_value_free(forged);
    tenon_value_free(alias);
    send_to(&other, tn_process_pid(own),
            tenon_value_format("{:EXIT, 1, :passed_on}"));
    assert_next(own, "{:EXIT, 1, :passed_on}");
}

/* ---- tasks and stops ------------------------------------------------------ */

/* The process without a name that watches one of `good`, and its monitor. */
static tenon_process *find_watcher(tenon_ref *ref)
{
    tenon_process *found = NULL;
    struct tn_monitor *monitor;
    struct tn_peer *peer, *next;
    tn_lock(ruled);
    HASH_ITER(hh, ruled->peers.table, peer, next)
    {
        LIST_FOREACH(monitor, &peer->monitors, of_peer)
        {
            if (monitor->ours && monitor->watcher != ruled->client &&
                monitor->watcher->name == NULL) {
                found = tenon_process_keep(monitor->watcher);
                assert_int_equal(tenon_term_ref(monitor->ref, ref), TENON_OK);
            }
        }
    }
    tn_unlock(ruled);
    return found;
}

static uv_sem_t may_return;

static void return_late(tenon_call *call, void *user)
{
    (void)user;
    uv_sem_wait(&may_return);
    tenon_reply(call, ":done");
}

static void a_task_of_another_is_not_answered(void **state)
{
    tenon_error err = { 0 };
    tenon_value *args = tenon_value_format("[]"), *value = NULL;
    tenon_ref ref;
    tenon_process *owner = NULL;
    (void)state;
    assert_int_equal(uv_sem_init(&may_return, 0), 0);
    OK(tenon_function(good, "m", "late", 0, return_late, NULL, 0));
    tenon_process *tasks = tenon_task_supervisor_start(
        good, &(tenon_task_supervisor_config){ .name = "tasks" });
    tenon_task *task = tenon_task_async(
        ruled, &(tenon_dest){ .name = "tasks", .node = tenon_node_name(good) },
        "m", "late", tenon_value_term(args), &(tenon_task_options){ 0 }, &err);
    assert_non_null(task);
    WAIT_FOR((owner = find_watcher(&ref)) != NULL);
    send_to(&evil, tn_process_pid(owner),
            tenon_value_format("{~r, :forged}", &ref));
    settle(&evil);
    assert_int_equal(claims(), 1);
    uv_sem_post(&may_return);
    OK(tenon_task_await(task, TENON_NO_TIMEOUT, &value, &err));
    assert_true(tenon_term_is_atom(tenon_value_term(value), "done"));
    tenon_value_free(value);
    tenon_value_free(args);
    tenon_task_release(task);
    tenon_process_release(owner);
    tenon_process_exit(tasks, ":normal");
    tenon_process_release(tasks);
    uv_sem_destroy(&may_return);
}

/* A task of the supervisor at that peer, which says that this is its process.
 * pid: taken. */
static tenon_task *start_task_at(struct adversary *peer, tenon_value *pid)
{
    tenon_error err = { 0 };
    tenon_value *args = tenon_value_format("[]");
    tenon_term from, tag;
    forget_question(peer);
    tenon_task *task = tenon_task_async(
        ruled, &(tenon_dest){ .name = "tasks", .node = peer->end.name }, "m",
        "f", tenon_value_term(args), &(tenon_task_options){ 0 }, &err);
    assert_non_null(task);
    RUN_UNTIL(&loop, peer->called != NULL);
    assert_true(
        tenon_match(tenon_value_term(peer->called), "{~t, ~t}", &from, &tag));
    send_to(peer, from,
            tenon_value_format("{~t, {:ok, ~t}}", tag, tenon_value_term(pid)));
    tenon_value_free(args);
    tenon_value_free(pid);
    return task;
}

static void a_task_it_starts_is_its_own(void **state)
{
    tenon_pid elsewhere = pid_of(asked);
    tenon_error err = { 0 };
    (void)state;
    tenon_task *task = start_task_at(&evil, pid_at(NOBODY, 1));
    assert_int_equal(tenon_task_await(task, TENON_NO_TIMEOUT, NULL, &err),
                     TENON_E_BADTERM);
    tenon_task_release(task);
    task = start_task_at(&evil, must_format_pid(&elsewhere));
    assert_int_equal(tenon_task_await(task, TENON_NO_TIMEOUT, NULL, &err),
                     TENON_E_BADTERM);
    tenon_task_release(task);
    assert_false(is_peer(ruled, NOBODY));
    assert_no_message(asked);
    assert_int_equal(claims(), 2);
    task = start_task_at(&evil, tenon_value_new(evil.pid));
    RUN_UNTIL(&loop, evil.of[TN_SIG_SEND] > 0); /* what it is to do */
    tenon_task_release(task);
    /* Who may do everything may have it done by others. */
    task = start_task_at(&other, must_format_pid(&elsewhere));
    tenon_value_free(next_message(asked));
    tenon_task_release(task);
    assert_int_equal(claims(), 2);
}

static void *stop_asked(void *user)
{
    tenon_pid to = pid_of(asked);
    enum tenon_err *rc = user;
    tenon_value *reason = tenon_value_format(":normal");
    *rc = tenon_server_stop(ruled, &(tenon_dest){ .pid = &to },
                            tenon_value_term(reason), TENON_NO_TIMEOUT, NULL);
    tenon_value_free(reason);
    return NULL;
}

/* Whoever may do everything knows the process that waits, but not its monitor:
 * the end of another says nothing about this one. */
static void a_stop_ends_with_its_own_monitor(void **state)
{
    enum tenon_err rc = TENON_E_SYSTEM;
    tenon_pid pid = pid_of(asked);
    tenon_process *box = NULL;
    pthread_t thread;
    tenon_ref ref;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, stop_asked, &rc), 0);
    WAIT_FOR((box = find_watcher(&ref)) != NULL);
    tenon_make_ref(ruled, &ref);
    send_to(
        &other, tn_process_pid(box),
        tenon_value_format("{:DOWN, ~r, :process, ~p, :killed}", &ref, &pid));
    settle(&other);
    /* What asks it to end comes after the monitor. */
    tenon_value_free(next_message(asked));
    OK(tenon_process_exit(asked, ":normal"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rc, TENON_OK);
    tenon_process_release(box);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_of_another_is_not_answered),
        TEST(an_output_of_another_is_not_acknowledged),
        TEST(what_it_is_asked_itself_it_answers),
        TEST(the_end_of_a_server_here_is_not_told),
        TEST(ends_are_not_told_by_plain_messages),
        TEST(a_task_of_another_is_not_answered),
        TEST(a_task_it_starts_is_its_own),
        TEST(a_stop_ends_with_its_own_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
