/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: answered once, kept beyond their handler, released unanswered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/call.h"
#include "nodes.h"

static tenon_node *node;
static tenon_process *self;

static int start_node(void **state)
{
    (void)state;
    node = lone_node(NULL);
    self = new_box(node, NULL);
    return 0;
}

static int stop_node(void **state)
{
    (void)state;
    end_box(self);
    tenon_node_stop(node);
    return 0;
}

/* What the kind of call was told; also its `extra`. */
static struct heard {
    atomic_uint answers, unanswered, freed;
    enum tn_outcome outcome;
    char value[200];
} heard;

static enum tenon_err
hear_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    (void)call;
    heard.outcome = outcome;
    tenon_term_print(value, heard.value, sizeof heard.value);
    atomic_fetch_add(&heard.answers, 1);
    return TENON_OK;
}

static void hear_unanswered(tenon_call *call)
{
    (void)call;
    atomic_fetch_add(&heard.unanswered, 1);
}

static void hear_free(void *extra)
{
    assert_ptr_equal(extra, &heard);
    atomic_fetch_add(&heard.freed, 1);
}

static const struct tn_call_ops ops = { .answer = hear_answer,
                                        .unanswered = hear_unanswered,
                                        .free_extra = hear_free };

static const uint8_t list_bytes[] = { 108, 0, 0, 0, 2, 97, 7, 97, 200, 106 };

static void begin(tenon_call *call)
{
    memset(&heard, 0, sizeof heard);
    tn_call_init(call, &ops, self);
    call->request = (tenon_term){ list_bytes, sizeof list_bytes };
    call->from = tn_process_pid(self);
    call->tag = tn_atom_ok;
    call->module = tn_atom_undef;
    call->name = tn_atom_nil;
    call->extra = &heard;
}

static void assert_heard(unsigned answers, unsigned unanswered)
{
    assert_int_equal(heard.answers, answers);
    assert_int_equal(heard.unanswered, unanswered);
    assert_int_equal(heard.freed, 1);
}

static void a_call_is_answered_once(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    OK(tenon_reply_ok(&call, "~i", (int64_t)1));
    assert_int_equal(tenon_reply(&call, "2"), TENON_E_INVAL);
    assert_int_equal(tenon_raise(&call, "3"), TENON_E_INVAL);
    tn_call_finish(&call);
    assert_heard(1, 0);
    assert_string_equal(heard.value, "{:ok, 1}");
    assert_int_equal(heard.outcome, TN_OUT_RETURN);
}

static void each_answer_has_its_outcome(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    OK(tenon_reply_error(&call, ":a"));
    assert_string_equal(heard.value, "{:error, :a}");
    assert_int_equal(heard.outcome, TN_OUT_RETURN);
    begin(&call);
    OK(tenon_raise(&call, ":b"));
    assert_string_equal(heard.value, ":b");
    assert_int_equal(heard.outcome, TN_OUT_ERROR);
    begin(&call);
    OK(tenon_throw(&call, ":c"));
    assert_int_equal(heard.outcome, TN_OUT_THROW);
    begin(&call);
    OK(tenon_exit(&call, ":d"));
    assert_int_equal(heard.outcome, TN_OUT_EXIT);
    begin(&call);
    OK(tenon_reply_term(&call, call.request));
    assert_string_equal(heard.value, "[7, 200]");
}

static void what_cannot_be_built_is_badarg_for_the_caller(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    assert_int_equal(tenon_reply(&call, "{1, "), TENON_E_INVAL);
    assert_int_equal(tenon_reply(&call, "1"), TENON_E_INVAL);
    tn_call_finish(&call);
    assert_heard(1, 0);
    assert_string_equal(heard.value, ":badarg");
    assert_int_equal(heard.outcome, TN_OUT_ERROR);
}

static void one_that_is_left_unanswered_says_so(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    tn_call_finish(&call);
    assert_heard(0, 1);
}

static void arguments_are_found_by_their_index(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    assert_int_equal(number_of(tenon_call_arg(&call, 0)), 7);
    assert_int_equal(number_of(tenon_call_arg(&call, 1)), 200);
    assert_null(tenon_call_arg(&call, 2).bytes);
    tn_call_finish(&call);
}

static void a_kept_call_has_its_own_terms_and_answers_alone(void **state)
{
    (void)state;
    uint8_t bytes[sizeof list_bytes];
    tenon_call call;
    begin(&call);
    memcpy(bytes, list_bytes, sizeof bytes);
    call.request.bytes = bytes;
    tenon_call *kept = tenon_call_keep(&call);
    assert_non_null(kept);
    assert_null(tenon_call_keep(&call));
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(tenon_reply(&call, "1"), TENON_E_INVAL);
    tn_call_finish(&call);
    assert_int_equal(heard.freed, 0);
    assert_int_equal(number_of(tenon_call_arg(kept, 1)), 200);
    tenon_pid from;
    OK(tenon_call_from(kept, &from));
    assert_int_equal(from.id, pid_of(self).id);
    OK(tenon_reply(kept, "~i", (int64_t)5));
    tenon_call_release(kept);
    assert_heard(1, 0);
    assert_string_equal(heard.value, "5");
}

static void a_kept_call_that_is_released_unanswered_says_so(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    tenon_call *kept = tenon_call_keep(&call);
    tn_call_finish(&call);
    assert_int_equal(heard.unanswered, 0);
    tenon_call_release(kept);
    assert_heard(0, 1);
    tenon_call_release(NULL);
}

static void an_answered_call_cannot_be_kept(void **state)
{
    (void)state;
    tenon_call call;
    begin(&call);
    OK(tenon_reply(&call, "1"));
    assert_null(tenon_call_keep(&call));
    tn_call_finish(&call);
    assert_heard(1, 0);
}

static void *answer_it(void *user)
{
    return (void *)(intptr_t)tenon_reply_term(user, tn_atom_ok);
}

static void of_answers_on_many_threads_one_counts(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        tenon_call call;
        pthread_t threads[3];
        unsigned won = 0;
        begin(&call);
        tenon_call *kept = tenon_call_keep(&call);
        tn_call_finish(&call);
        for (unsigned i = 0; i < 3; i++) {
            threads[i] = start_thread(answer_it, kept);
        }
        for (unsigned i = 0; i < 3; i++) {
            void *rc;
            pthread_join(threads[i], &rc);
            won += (intptr_t)rc == TENON_OK;
        }
        assert_int_equal(won, 1);
        tenon_call_release(kept);
        assert_heard(1, 0);
    }
}

static void a_kept_call_keeps_its_process(void **state)
{
    (void)state;
    tenon_process *process = new_box(node, NULL);
    tenon_call call;
    begin(&call);
    call.self = process;
    tenon_call *kept = tenon_call_keep(&call);
    tn_call_finish(&call);
    end_box(process);
    assert_ptr_equal(tenon_call_self(kept), process);
    assert_ptr_equal(tenon_process_node(tenon_call_self(kept)), node);
    tenon_call_release(kept);
    assert_heard(0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered_once),
        cmocka_unit_test(each_answer_has_its_outcome),
        cmocka_unit_test(what_cannot_be_built_is_badarg_for_the_caller),
        cmocka_unit_test(one_that_is_left_unanswered_says_so),
        cmocka_unit_test(arguments_are_found_by_their_index),
        cmocka_unit_test(a_kept_call_has_its_own_terms_and_answers_alone),
        cmocka_unit_test(a_kept_call_that_is_released_unanswered_says_so),
        cmocka_unit_test(an_answered_call_cannot_be_kept),
        cmocka_unit_test(of_answers_on_many_threads_one_counts),
        cmocka_unit_test(a_kept_call_keeps_its_process),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
