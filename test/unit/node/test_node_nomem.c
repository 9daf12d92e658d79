/* SPDX-License-Identifier: Apache-2.0 */
/* One node with every allocation failing in turn: what was accepted is
 * answered, nothing is left behind, and the node works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "one_node.h"
#include "unit/support/nomem.h"

static void fail_each(nomem_scenario scenario)
{
    assert_true(nomem_fail_each(scenario, NULL) > 0);
    assert_int_equal(stats_of(node).monitors, 0);
    assert_int_equal(stats_of(node).links, 0);
    assert_int_equal(stats_of(node).pending_calls, 0);
    WAIT_FOR(stats_of(node).processes == 1);
}

/* What was undisturbed must have worked. */
static bool worked(enum tenon_err rc)
{
    if (rc != TENON_OK && !nomem_failed()) {
        fail_msg("%s without a failed allocation", tenon_err_name(rc));
    }
    return rc == TENON_OK;
}

static void end_if_any(tenon_process *process)
{
    if (process != NULL) {
        (void)tenon_process_exit(process, ":normal");
        (void)tn_process_end(process, tn_atom_normal);
        tenon_process_release(process);
    }
}

/* A message, or the end of the process that could not get one. */
static void assert_told(tenon_process *process)
{
    tenon_value *message = NULL;
    enum tenon_err rc = tenon_receive(process, 0, &message);
    if (rc != TENON_OK && rc != TENON_E_NOMEM && rc != TENON_E_NOPROC) {
        fail_msg("nothing was told: %s", tenon_err_name(rc));
    }
    if (rc != TENON_OK) {
        assert_true(nomem_failed());
    }
    tenon_value_free(message);
}

static void monitor_and_end(void *user)
{
    (void)user;
    tenon_process *watcher = tenon_mailbox_new(node, NULL, NULL);
    tenon_process *target = tenon_mailbox_new(node, "target", NULL);
    tenon_ref ref;
    if (watcher != NULL && target != NULL) {
        tenon_pid pid = pid_of(target);
        bool one =
            worked(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref));
        bool two = worked(
            tenon_monitor(watcher, &(tenon_dest){ .name = "target" }, &ref));
        (void)tn_process_end(target, tn_atom_badarg);
        if (one) {
            assert_told(watcher);
        }
        if (two) {
            assert_told(watcher);
        }
        if (tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref) ==
            TENON_OK) {
            assert_told(watcher);
        }
    }
    end_if_any(target);
    end_if_any(watcher);
}

static void each_monitor_is_answered(void **state)
{
    (void)state;
    fail_each(monitor_and_end);
}

static void link_and_end(void *user)
{
    (void)user;
    tenon_process *one = tenon_mailbox_new(node, NULL, NULL);
    tenon_process *other = tenon_mailbox_new(node, NULL, NULL);
    if (one != NULL && other != NULL) {
        tenon_pid pid = pid_of(other);
        tenon_process_trap_exit(one, true);
        bool linked = worked(tenon_link(one, &pid));
        tenon_unlink(one, &pid);
        bool again = worked(tenon_link(one, &pid));
        (void)tn_process_end(other, tn_atom_badarg);
        if (again || (linked && !nomem_failed())) {
            assert_told(one);
        }
    }
    end_if_any(other);
    end_if_any(one);
}

static void each_link_is_answered(void **state)
{
    (void)state;
    fail_each(link_and_end);
}

static void chain_and_end(void *user)
{
    (void)user;
    tenon_process *chain[5];
    bool linked[5] = { false };
    for (size_t i = 0; i < 5; i++) {
        chain[i] = tenon_mailbox_new(node, NULL, NULL);
        if (i > 0 && chain[i] != NULL && chain[i - 1] != NULL) {
            tenon_pid pid = pid_of(chain[i - 1]);
            linked[i] = tenon_link(chain[i], &pid) == TENON_OK;
        }
    }
    if (chain[0] != NULL) {
        (void)tn_process_end(chain[0], tn_atom_badarg);
    }
    for (size_t i = 1; i < 5 && linked[i]; i++) {
        tenon_value *message;
        assert_int_equal(tenon_receive(chain[i], 0, &message), TENON_E_NOPROC);
    }
    for (size_t i = 0; i < 5; i++) {
        end_if_any(chain[i]);
    }
}

static void a_chain_of_links_always_ends(void **state)
{
    (void)state;
    fail_each(chain_and_end);
}

static void send_to_aliases(void *user)
{
    (void)user;
    tenon_process *owner = tenon_mailbox_new(node, NULL, NULL);
    tenon_process *target = tenon_mailbox_new(node, "target", NULL);
    tenon_ref ref;
    if (owner != NULL && target != NULL) {
        if (worked(tenon_alias(owner, TENON_ALIAS_EXPLICIT, &ref))) {
            (void)worked(tenon_send_alias(node, &ref, tn_atom_ok, NULL));
            assert_true(tenon_unalias(owner, &ref) || nomem_failed());
        }
        if (worked(tenon_monitor_alias(owner, &(tenon_dest){ .name = "target" },
                                       TENON_ALIAS_REPLY, &ref))) {
            (void)worked(tenon_send_alias(node, &ref, tn_atom_ok, NULL));
        }
    }
    end_if_any(target);
    end_if_any(owner);
    tn_lock(node);
    assert_null(node->aliases.table);
    tn_unlock(node);
}

static void aliases_leave_nothing(void **state)
{
    (void)state;
    fail_each(send_to_aliases);
}

/* ---- requests ----------------------------------------------------------- */

/* {'$gen_call', {from, tag}, request}: sends {tag, request} to from. */
static void reply_at_once(tenon_process *self, void *state, tenon_term message)
{
    tenon_pid from;
    tenon_term tag;
    tenon_term request;
    (void)state;
    if (tenon_match(message, "{_, {~p, ~t}, ~t}", &from, &tag, &request)) {
        (void)tenon_send_format(self->node, &(tenon_dest){ .pid = &from },
                                "{~t, ~t}", tag, request);
    }
}

static const struct tn_process_class server = { .on_message = reply_at_once };

static void note_end(void *user, enum tn_request_end end, tenon_term term)
{
    (void)end;
    (void)term;
    atomic_fetch_add((atomic_uint *)user, 1);
}

static void ask(void *user)
{
    (void)user;
    atomic_uint ended = 0;
    unsigned asked = 0;
    tenon_process *process = tn_process_start(
        node, &(struct tn_process_spec){ .class = &server }, NULL);
    if (process != NULL) {
        tenon_pid pid = pid_of(process);
        if (worked(tn_request_server(node, &(tenon_dest){ .pid = &pid },
                                     tn_atom_ok, 30, note_end, &ended, NULL))) {
            asked++;
            WAIT_FOR(atomic_load(&ended) == asked);
        }
        (void)tn_process_end(process, tn_atom_normal);
        if (tn_request_server(node, &(tenon_dest){ .pid = &pid }, tn_atom_ok,
                              30, note_end, &ended, NULL) == TENON_OK) {
            asked++;
        }
        WAIT_FOR(atomic_load(&ended) == asked);
        (void)stats_of(node);
        tenon_process_release(process);
    }
    WAIT_FOR(stats_of(node).pending_calls == 0);
}

static void each_request_ends(void **state)
{
    (void)state;
    fail_each(ask);
}

/* ---- functions ---------------------------------------------------------- */

static atomic_uint freed;

static void free_extra(void *extra)
{
    (void)extra;
    atomic_fetch_add(&freed, 1);
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
                                        .free_extra = free_extra };

static void keep_and_answer(tenon_call *call, void *user)
{
    (void)user;
    tenon_call *kept = tenon_call_keep(call);
    if (kept != NULL) {
        (void)tenon_reply(kept, "{~i, \"text\"}", (int64_t)1);
        tenon_call_release(kept);
    }
}

static void run_one(void *user)
{
    (void)user;
    static const uint8_t args[] = { 106 };
    const struct tn_run run = {
        .target = { .fn = keep_and_answer },
        .module = tn_atom_ok,
        .name = tn_atom_nil,
        .args = { args, sizeof args },
        .ops = &ops,
    };
    int extra;
    freed = 0;
    if (worked(tn_spawn_local(node, &run, (tenon_term){ NULL, 0 }, &extra))) {
        WAIT_FOR(atomic_load(&freed) == 1);
    }
    WAIT_FOR(stats_of(node).processes == 1);
    assert_true(atomic_load(&freed) <= 1);
}

static void each_run_frees_what_it_was_given(void **state)
{
    (void)state;
    fail_each(run_one);
}

/* ---- starts ------------------------------------------------------------- */

static void do_nothing(tenon_node *other, void *user)
{
    (void)other;
    (void)user;
}

static void start_and_stop(void *user)
{
    (void)user;
    tenon_error err = { 0 };
    tenon_node_config config = config_of("nomem@localhost", &err);
    tenon_node *other = tn_node_start(&config);
    if (!worked(other == NULL ? TENON_E_NOMEM : TENON_OK)) {
        return;
    }
    (void)!tn_loop_start(other, &err);
    struct tn_timer timer = { 0 };
    (void)!tn_timer_start(other, &timer, 60000, NULL, NULL);
    (void)!tn_node_run_on_loop(other, do_nothing, NULL);
    tenon_node_stop(other);
}

static void a_start_without_memory_leaves_nothing(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(start_and_stop, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_monitor_is_answered),
        cmocka_unit_test(each_link_is_answered),
        cmocka_unit_test(aliases_leave_nothing),
        cmocka_unit_test(a_chain_of_links_always_ends),
        cmocka_unit_test(each_request_ends),
        cmocka_unit_test(each_run_frees_what_it_was_given),
        cmocka_unit_test(a_start_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
