/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to processes of the same node: each ends once, in its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "one_node.h"

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

static void ask(tenon_process *server, uint32_t timeout_ms, struct ended *ended)
{
    tenon_pid pid = pid_of(server);
    memset(ended, 0, sizeof *ended);
    OK(tn_request_server(server->node, &(tenon_dest){ .pid = &pid }, tn_atom_ok,
                         timeout_ms, note_end, ended, NULL));
}

/* The next call that came: its tag as an owned value. */
static tenon_value *next_tag(tenon_process *box)
{
    tenon_value *message = next_message(box);
    tenon_term tag;
    assert_true(tenon_match(tenon_value_term(message),
                            "{:\"$gen_call\", {_, ~t}, :ok}", &tag));
    tenon_value *copy = tenon_value_new(tag);
    tenon_value_free(message);
    return copy;
}

static void answer(tenon_value *tag, const char *what)
{
    tenon_pid client = pid_of(node->client);
    OK(tenon_send_format(node, &(tenon_dest){ .pid = &client }, "{~t, ~s}",
                         tenon_value_term(tag), what));
}

static void wait_end(struct ended *ended, enum tn_request_end end)
{
    WAIT_FOR(atomic_load(&ended->count) > 0);
    (void)stats_of(node); /* whatever the loop still had to say */
    assert_int_equal(ended->count, 1);
    assert_int_equal(ended->end, end);
}

static void a_reply_ends_a_request_once(void **state)
{
    (void)state;
    struct ended ended;
    tenon_process *box = new_box(node, NULL);
    ask(box, TENON_NO_TIMEOUT, &ended);
    assert_int_equal(stats_of(node).pending_calls, 1);
    tenon_value *tag = next_tag(box);
    answer(tag, "first");
    answer(tag, "second");
    wait_end(&ended, TN_END_REPLY);
    assert_string_equal(ended.term, "\"first\"");
    assert_int_equal(stats_of(node).monitors, 0);
    tenon_value_free(tag);
    end_box(box);
}

static void the_end_of_the_server_ends_a_request(void **state)
{
    (void)state;
    struct ended ended;
    tenon_process *box = new_box(node, NULL);
    ask(box, TENON_NO_TIMEOUT, &ended);
    OK(tenon_process_exit(box, ":crashed"));
    wait_end(&ended, TN_END_DOWN);
    assert_string_equal(ended.term, ":crashed");
    ask(box, 0, &ended);
    wait_end(&ended, TN_END_DOWN);
    assert_string_equal(ended.term, ":noproc");
    tenon_process_release(box);
}

static void time_ends_a_request_and_a_late_reply_is_dropped(void **state)
{
    (void)state;
    struct ended ended;
    tenon_process *box = new_box(node, NULL);
    ask(box, 1, &ended);
    wait_end(&ended, TN_END_TIMEOUT);
    assert_int_equal(stats_of(node).monitors, 0);
    tenon_value *tag = next_tag(box);
    answer(tag, "late");
    wait_end(&ended, TN_END_TIMEOUT);
    tenon_value_free(tag);
    end_box(box);
}

static void what_only_looks_like_a_reply_ends_nothing(void **state)
{
    (void)state;
    struct ended ended;
    tenon_pid client = pid_of(node->client);
    tenon_dest to = { .pid = &client };
    tenon_process *box = new_box(node, NULL);
    tenon_ref ref;
    ask(box, TENON_NO_TIMEOUT, &ended);
    tenon_value *tag = next_tag(box);
    tenon_make_ref(node, &ref);
    OK(tenon_send_format(node, &to, "{[:alias | ~r], 1}", &ref));
    OK(tenon_send_format(node, &to, "{~t, 1, 2}", tenon_value_term(tag)));
    OK(tenon_send_format(node, &to, "{[:other, ~t], 1}",
                         tenon_value_term(tag)));
    OK(tenon_send_format(node, &to, "{:DOWN, ~r, 1, 2, 3}", &ref));
    OK(tenon_send_format(node, &to, "{:DOWN, 1, 2, 3, 4}"));
    OK(tenon_send_format(node, &to, "{}"));
    OK(tenon_send_format(node, &to, "[]"));
    (void)stats_of(node);
    assert_int_equal(ended.count, 0);
    answer(tag, "real");
    wait_end(&ended, TN_END_REPLY);
    assert_string_equal(ended.term, "\"real\"");
    tenon_value_free(tag);
    end_box(box);
}

static void a_full_mailbox_refuses_a_request(void **state)
{
    (void)state;
    tenon_node_config limits = { .mailbox_max_messages = 1 };
    tenon_node *small = lone_node(&limits);
    tenon_process *box = new_box(small, NULL);
    tenon_pid pid = pid_of(box);
    struct ended ended = { 0 };
    OK(send_number(box, 1));
    assert_int_equal(tn_request_server(small, &(tenon_dest){ .pid = &pid },
                                       tn_atom_ok, 0, note_end, &ended, NULL),
                     TENON_E_LIMIT);
    assert_int_equal(stats_of(small).pending_calls, 0);
    assert_int_equal(stats_of(small).monitors, 0);
    end_box(box);
    tenon_node_stop(small);
    assert_int_equal(ended.count, 0);
}

static void there_are_only_so_many_requests(void **state)
{
    (void)state;
    static struct ended ended;
    tenon_process *box = new_box(node, NULL);
    tenon_pid pid = pid_of(box);
    tenon_dest to = { .pid = &pid };
    enum tenon_err rc = TENON_OK;
    unsigned asked = 0;
    memset(&ended, 0, sizeof ended);
    while (rc == TENON_OK) {
        rc = tn_request_server(node, &to, tn_atom_ok, TENON_NO_TIMEOUT,
                               note_end, &ended, NULL);
        asked += rc == TENON_OK;
    }
    assert_int_equal(rc, TENON_E_LIMIT);
    assert_int_equal(asked, TENON_PENDING_CALLS_MAX);
    end_box(box);
    WAIT_FOR(ended.count == TENON_PENDING_CALLS_MAX);
    assert_int_equal(ended.end, TN_END_DOWN);
}

static void bad_questions_are_refused(void **state)
{
    (void)state;
    tenon_error err = { 0 };
    struct ended ended = { 0 };
    assert_int_equal(tn_request_server(node, &(tenon_dest){ 0 }, tn_atom_ok, 0,
                                       note_end, &ended, &err),
                     TENON_E_INVAL);
    assert_int_equal(tn_request_server(node, &(tenon_dest){ .name = "a" },
                                       (tenon_term){ NULL, 0 }, 0, note_end,
                                       &ended, &err),
                     TENON_E_INVAL);
    assert_int_equal(tn_request_spawn(node, "x@localhost", "m", "f", tn_atom_ok,
                                      0, note_end, &ended, &err),
                     TENON_E_INVAL);
    assert_int_equal(ended.count, 0);
}

static void a_stop_ends_what_is_asked(void **state)
{
    (void)state;
    struct ended ended[10];
    tenon_node *other = lone_node(NULL);
    tenon_process *box = new_box(other, NULL);
    for (size_t i = 0; i < 10; i++) {
        ask(box, TENON_NO_TIMEOUT, &ended[i]);
    }
    tenon_process_release(box);
    tenon_node_stop(other);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(ended[i].count, 1);
    }
}

/* ---- waiting ------------------------------------------------------------ */

struct blocked_call {
    tenon_process *server;
    enum tn_request_end end;
    enum tenon_err rc;
};

static void wake(void *user, enum tn_request_end end, tenon_term term)
{
    (void)term;
    tn_wait_end(user, end, NULL);
}

static void *call_and_wait(void *user)
{
    struct blocked_call *blocked = user;
    struct tn_wait wait;
    tenon_pid pid = pid_of(blocked->server);
    blocked->rc = tn_wait_init(&wait, node, NULL);
    if (blocked->rc == TENON_OK) {
        blocked->rc =
            tn_request_server(node, &(tenon_dest){ .pid = &pid }, tn_atom_ok,
                              DEADLINE_MS, wake, &wait, NULL);
    }
    if (blocked->rc == TENON_OK) {
        tn_wait_for(&wait);
        blocked->end = wait.end;
    }
    tn_wait_fini(&wait);
    return NULL;
}

static void many_threads_may_wait(void **state)
{
    (void)state;
    struct blocked_call calls[16];
    pthread_t threads[16];
    tenon_process *box = new_box(node, NULL);
    for (size_t i = 0; i < 16; i++) {
        calls[i] = (struct blocked_call){ .server = box };
        threads[i] = start_thread(call_and_wait, &calls[i]);
    }
    for (size_t i = 0; i < 16; i++) {
        tenon_value *tag = next_tag(box);
        answer(tag, "yes");
        tenon_value_free(tag);
    }
    for (size_t i = 0; i < 16; i++) {
        pthread_join(threads[i], NULL);
        OK(calls[i].rc);
        assert_int_equal(calls[i].end, TN_END_REPLY);
    }
    end_box(box);
}

static void try_to_wait(tenon_node *on, void *user)
{
    struct tn_wait wait;
    *(enum tenon_err *)user = tn_wait_init(&wait, on, NULL);
}

static void the_loop_may_not_wait(void **state)
{
    (void)state;
    enum tenon_err rc = TENON_OK;
    OK(tn_node_call_on_loop(node, try_to_wait, &rc));
    assert_int_equal(rc, TENON_E_NOT_ALLOWED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_ends_a_request_once),
        cmocka_unit_test(the_end_of_the_server_ends_a_request),
        cmocka_unit_test(time_ends_a_request_and_a_late_reply_is_dropped),
        cmocka_unit_test(what_only_looks_like_a_reply_ends_nothing),
        cmocka_unit_test(a_full_mailbox_refuses_a_request),
        cmocka_unit_test(there_are_only_so_many_requests),
        cmocka_unit_test(bad_questions_are_refused),
        cmocka_unit_test(a_stop_ends_what_is_asked),
        cmocka_unit_test(many_threads_may_wait),
        cmocka_unit_test(the_loop_may_not_wait),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
