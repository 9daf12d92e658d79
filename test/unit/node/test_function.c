/* SPDX-License-Identifier: Apache-2.0 */
/* The table of functions, and processes that run one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "one_node.h"

static void do_nothing(tenon_call *call, void *user)
{
    (void)call;
    (void)user;
}

/* owned terms, so that names of any kind can be asked for. */
static struct tn_target find(const char *module, const char *name, size_t arity)
{
    tenon_value *m = tenon_value_format("~a", module);
    tenon_value *f = tenon_value_format("~a", name);
    struct tn_target target = tn_function_find(node, NULL, tenon_value_term(m),
                                               tenon_value_term(f), arity);
    tenon_value_free(m);
    tenon_value_free(f);
    return target;
}

static void a_function_is_found_by_module_name_and_arity(void **state)
{
    (void)state;
    int user;
    OK(tenon_function(node, "Elixir.M", "f", 2, do_nothing, &user,
                      TENON_INLINE));
    struct tn_target target = find("Elixir.M", "f", 2);
    assert_true(target.fn == do_nothing);
    assert_ptr_equal(target.user, &user);
    assert_int_equal(target.flags, TENON_INLINE);
    assert_true(find("Elixir.M", "f", 1).fn == NULL);
    assert_true(find("Elixir.M", "g", 2).fn == NULL);
    assert_true(find("M", "f", 2).fn == NULL);
    assert_true(
        tn_function_find(node, NULL, (tenon_term){ NULL, 0 }, tn_atom_ok, 2)
            .fn == NULL);
}

static void some_functions_cannot_be_registered(void **state)
{
    (void)state;
    OK(tenon_function(node, "m", "once", 0, do_nothing, NULL, 0));
    assert_int_equal(tenon_function(node, "m", "once", 0, do_nothing, NULL, 0),
                     TENON_E_EXISTS);
    OK(tenon_function(node, "m", "once", 255, do_nothing, NULL, 0));
    assert_int_equal(tenon_function(node, "m", "f", 256, do_nothing, NULL, 0),
                     TENON_E_INVAL);
    assert_int_equal(tenon_function(node, "", "f", 0, do_nothing, NULL, 0),
                     TENON_E_INVAL);
    assert_int_equal(tenon_function(node, "m", "", 0, do_nothing, NULL, 0),
                     TENON_E_INVAL);
    assert_int_equal(tenon_function(node, "m", "f", 0, NULL, NULL, 0),
                     TENON_E_INVAL);
    assert_int_equal(tenon_function(node, "m", "f", 0, do_nothing, NULL, 2),
                     TENON_E_INVAL);
    char *long_name = malloc(TENON_ATOM_MAX_BYTES + 2);
    assert_non_null(long_name);
    memset(long_name, 'f', TENON_ATOM_MAX_BYTES + 1);
    long_name[TENON_ATOM_MAX_BYTES + 1] = '\0';
    assert_int_equal(
        tenon_function(node, "m", long_name, 0, do_nothing, NULL, 0),
        TENON_E_INVAL);
    free(long_name);
}

static bool fall_back(void *user,
                      tenon_term module,
                      tenon_term name,
                      size_t arity,
                      struct tn_target *target)
{
    (void)module;
    if (!tenon_term_is_atom(name, "fallen") || arity != 3) {
        return false;
    }
    target->fn = do_nothing;
    target->user = user;
    return true;
}

static void what_is_registered_nowhere_is_asked_for(void **state)
{
    (void)state;
    int user;
    OK(tn_function_add_fallback(node, fall_back, &user));
    assert_ptr_equal(find("any", "fallen", 3).user, &user);
    assert_true(find("any", "fallen", 2).fn == NULL);
    OK(tenon_function(node, "any", "fallen", 3, do_nothing, NULL, 0));
    assert_null(find("any", "fallen", 3).user);
}

static void there_are_only_so_many_fallbacks(void **state)
{
    (void)state;
    enum tenon_err rc = TENON_OK;
    unsigned added = 1;
    while (rc == TENON_OK) {
        rc = tn_function_add_fallback(node, fall_back, NULL);
        added += rc == TENON_OK;
    }
    assert_int_equal(rc, TENON_E_LIMIT);
    assert_int_equal(added, TN_FALLBACKS_MAX);
}

/* ---- local runs --------------------------------------------------------- */

static const uint8_t one_bytes[] = { 108, 0, 0, 0, 1, 97, 200, 106 };
static const tenon_term one_argument = { one_bytes, sizeof one_bytes };

struct seen {
    atomic_uint runs, freed, nested, deepest;
    atomic_llong sum;
    unsigned left;
};

static void add_argument(tenon_call *call, void *user)
{
    struct seen *seen = user;
    atomic_fetch_add(&seen->sum, number_of(tenon_call_arg(call, 0)));
    atomic_fetch_add(&seen->runs, 1);
}

static void free_seen(void *extra)
{
    atomic_fetch_add(&((struct seen *)extra)->freed, 1);
}

static enum tenon_err
end_normal(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    (void)outcome;
    (void)value;
    return tn_process_end(call->self, tn_atom_normal);
}

static const struct tn_call_ops ops = { .answer = end_normal,
                                        .unanswered = tn_spawn_unanswered,
                                        .free_extra = free_seen };

static enum tenon_err run_with(tenon_function_fn fn,
                               struct seen *seen,
                               unsigned flags,
                               tenon_term args)
{
    const struct tn_run run = {
        .target = { .fn = fn, .user = seen, .flags = flags },
        .module = tn_atom_ok,
        .name = tn_atom_nil,
        .args = args,
        .ops = &ops,
    };
    return tn_spawn_local(node, &run, (tenon_term){ NULL, 0 }, seen);
}

static enum tenon_err
run_here(tenon_function_fn fn, struct seen *seen, unsigned flags)
{
    return run_with(fn, seen, flags, one_argument);
}

static void a_local_run_runs_once_and_leaves_nothing(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    uint32_t before = stats_of(node).processes;
    for (unsigned i = 0; i < 1000; i++) {
        OK(run_here(add_argument, &seen, i % 2 == 0 ? 0 : TENON_INLINE));
    }
    WAIT_FOR(seen.freed == 1000);
    assert_int_equal(seen.runs, 1000);
    assert_int_equal(seen.sum, 200000);
    WAIT_FOR(stats_of(node).processes == before);
}

static void run_again(tenon_call *call, void *user)
{
    struct seen *seen = user;
    (void)call;
    unsigned depth = atomic_fetch_add(&seen->nested, 1) + 1;
    if (depth > seen->deepest) {
        seen->deepest = depth;
    }
    if (seen->left-- > 0) {
        OK(run_here(run_again, seen, TENON_INLINE));
    }
    atomic_fetch_sub(&seen->nested, 1);
    atomic_fetch_add(&seen->runs, 1);
}

static void start_first(tenon_node *on, void *user)
{
    (void)on;
    OK(run_here(run_again, user, TENON_INLINE));
}

static void inline_runs_that_start_inline_runs_do_not_pile_up(void **state)
{
    (void)state;
    struct seen seen = { .left = 20000 };
    OK(tn_node_call_on_loop(node, start_first, &seen));
    WAIT_FOR(seen.freed == 20001);
    assert_int_equal(seen.runs, 20001);
    assert_true(seen.deepest > 1);
    assert_true(seen.deepest < 10);
}

static void note_where(tenon_call *call, void *user)
{
    struct seen *seen = user;
    seen->left = tn_on_loop(tenon_call_node(call));
}

static void large_arguments_are_for_a_worker(void **state)
{
    static const uint8_t bytes[TN_LARGE_MESSAGE_BYTES];
    tenon_builder *built = tenon_builder_new();
    struct seen seen = { 0 };
    tenon_term args;
    (void)state;
    OK(run_here(note_where, &seen, TENON_INLINE));
    WAIT_FOR(seen.freed == 1);
    assert_true(seen.left);
    tenon_build_list(built, 1);
    tenon_build_binary(built, bytes, sizeof bytes);
    tenon_build_nil(built);
    OK(tenon_builder_term(built, &args));
    OK(run_with(note_where, &seen, TENON_INLINE, args));
    WAIT_FOR(seen.freed == 2);
    assert_false(seen.left);
    tenon_builder_free(built);
}

static void exits_with(tenon_call *call, void *user)
{
    (void)user;
    OK(tenon_process_exit(tenon_call_self(call), ":own"));
}

static void a_function_may_end_its_process_itself(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    OK(run_here(exits_with, &seen, 0));
    WAIT_FOR(seen.freed == 1);
}

/* Keeps its call, and counts how often it is run. */
struct kept {
    atomic_uint runs;
    tenon_call *_Atomic call;
};

static void keep(tenon_call *call, void *user)
{
    struct kept *kept = user;
    tenon_call *copy = tenon_call_keep(call);
    if (atomic_fetch_add(&kept->runs, 1) == 0) {
        atomic_store(&kept->call, copy);
    } else {
        tenon_call_release(copy);
    }
}

static bool has_nothing_to_do(tenon_process *process)
{
    tn_lock(node);
    bool idle = STAILQ_EMPTY(&process->mailbox) && process->run == TN_RUN_IDLE;
    tn_unlock(node);
    return idle;
}

static void
a_process_that_runs_a_function_takes_no_message_for_its_arguments(void **state)
{
    struct kept kept = { 0 };
    tenon_value *terms = tenon_value_format("{:m, :keep, [1]}");
    struct tn_run run = { .ops = &tn_spawn_ops };
    tenon_ref ref;
    tenon_value *down = NULL;
    (void)state;
    OK(tenon_function(node, "m", "keep", 1, keep, &kept, 0));
    OK(tenon_tuple_get(tenon_value_term(terms), 0, &run.module));
    OK(tenon_tuple_get(tenon_value_term(terms), 1, &run.name));
    OK(tenon_tuple_get(tenon_value_term(terms), 2, &run.args));
    run.target = tn_function_find(node, NULL, run.module, run.name, 1);
    OK(tn_spawn_local(node, &run, (tenon_term){ NULL, 0 }, NULL));
    WAIT_FOR(atomic_load(&kept.call) != NULL);

    tenon_process *box = tenon_mailbox_new(node, NULL, NULL);
    tenon_process *self = tenon_call_self(atomic_load(&kept.call));
    tenon_pid pid;
    tenon_process_pid(self, &pid);
    const tenon_dest to = { .pid = &pid };
    OK(tenon_send_format(node, &to, "[2]"));
    OK(tenon_send_format(node, &to, ":noise"));
    OK(tenon_monitor(box, &to, &ref));
    WAIT_FOR(has_nothing_to_do(self));
    assert_int_equal(atomic_load(&kept.runs), 1);
    OK(tenon_reply(atomic_load(&kept.call), ":done"));
    OK(tenon_receive(box, 20000, &down));
    tenon_call_release(atomic_load(&kept.call));
    tenon_value_free(down);
    tenon_value_free(terms);
    OK(tenon_process_exit(box, ":normal"));
    tenon_process_release(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_is_found_by_module_name_and_arity),
        cmocka_unit_test(some_functions_cannot_be_registered),
        cmocka_unit_test(what_is_registered_nowhere_is_asked_for),
        cmocka_unit_test(there_are_only_so_many_fallbacks),
        cmocka_unit_test(a_local_run_runs_once_and_leaves_nothing),
        cmocka_unit_test(inline_runs_that_start_inline_runs_do_not_pile_up),
        cmocka_unit_test(large_arguments_are_for_a_worker),
        cmocka_unit_test(a_function_may_end_its_process_itself),
        cmocka_unit_test(
            a_process_that_runs_a_function_takes_no_message_for_its_arguments),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
