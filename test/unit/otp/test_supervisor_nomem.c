/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that sys looks into, and supervisors, with every allocation failing
 * in turn: nothing hangs, nothing is left, and the node works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "own_node.h"
#include "unit/support/functions.h"
#include "unit/support/nomem.h"

/* An answer that could not be made is waited for this long. */
#define SHORT_MS 10u

struct fixture {
    tenon_node *node;
    tenon_process *box;
    uint32_t processes; /* before a scenario */
};

static uint32_t processes_of(tenon_node *node)
{
    tenon_node_stats stats;
    tenon_node_get_stats(node, &stats, sizeof stats);
    return stats.processes;
}

/* When no allocation has failed the answer is on its way, however slow the
 * machine is: then it is asked for again, with all the time there is. */
static bool only_slow(enum tenon_err code)
{
    return code == TENON_E_TIMEOUT && !nomem_failed();
}

/* ---- servers ---------------------------------------------------------------- */

static void give_one(tenon_builder *out, void *state)
{
    (void)state;
    tenon_build_int(out, 1);
}

static bool take_any(tenon_term term, void *state)
{
    (void)state;
    return term.len > 0;
}

static void continue_once(tenon_process *self, tenon_term what, void *state)
{
    (void)state;
    if (tenon_match(what, ":begin")) {
        (void)tenon_server_continue(self, "{:more, ~i}", (int64_t)1);
        (void)tenon_server_timeout(self, 3600000);
    }
}

/* False: the answer was lost, and nothing more is asked. */
static bool ask(struct fixture *f, const char *what)
{
    tenon_pid pid;
    tenon_value *answer = NULL;
    tenon_process_pid(f->box, &pid);
    tenon_value *request = tenon_value_format(what);
    enum tenon_err rc = request == NULL
                            ? TENON_E_NOMEM
                            : tenon_send_format(f->node, TO("counter"),
                                                "{:system, {~p, 1}, ~t}", &pid,
                                                tenon_value_term(request));
    tenon_value_free(request);
    if (rc == TENON_OK) {
        rc = tenon_receive(f->box, SHORT_MS, &answer);
        if (only_slow(rc)) {
            rc = tenon_receive(f->box, DEADLINE_MS, &answer);
        }
        tenon_value_free(answer);
    }
    if (rc != TENON_OK) {
        assert_true(nomem_failed());
    }
    return rc == TENON_OK;
}

static void look_into_a_server(void *user)
{
    static const char *const requests[] = {
        ":get_state",
        "{:replace_state, &:m.back/1}",
        ":get_status",
        "{:debug, {:log, true}}",
        ":suspend",
        ":resume",
        "{:debug, {:log, :get}}",
    };
    struct fixture *f = user;
    tenon_pid parent;
    tenon_value *begin = tenon_value_format(":begin");
    tenon_process_pid(f->box, &parent);
    tenon_process *server = tenon_server_start(
        f->node,
        &(tenon_server_config){ .name = "counter",
                                .on_get_state = give_one,
                                .on_replace_state = take_any,
                                .on_continue = continue_once,
                                .continue_with = tenon_value_term(begin),
                                .trap_exit = true });
    tenon_value_free(begin);
    if (server == NULL) {
        assert_true(nomem_failed());
        return;
    }
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (!ask(f, requests[i])) {
            break;
        }
    }
    (void)tn_process_end(server, tn_process_pid(server));
    tenon_process_release(server);
}

/* ---- supervisors -------------------------------------------------------------- */

static void end_at_once(tenon_process *self, tenon_term request, void *state)
{
    (void)request;
    (void)state;
    (void)tn_process_end(self, tn_process_pid(self));
}

static void start_link(tenon_call *call, void *user)
{
    tenon_pid parent, pid;
    (void)user;
    if (tenon_call_from(call, &parent) != TENON_OK) {
        return;
    }
    tenon_process *server = tenon_server_start(
        tenon_call_node(call),
        &(tenon_server_config){ .on_cast = end_at_once, .parent = &parent });
    if (server == NULL) {
        tenon_reply_error(call, ":no_memory");
        return;
    }
    tenon_process_pid(server, &pid);
    tenon_process_release(server);
    tenon_reply_ok(call, "~p", &pid);
}

static void supervise(void *user)
{
    struct fixture *f = user;
    tenon_pid pid;
    tenon_process *sup = tenon_supervisor_start(
        f->node, &(tenon_supervisor_config){ .strategy = TENON_ONE_FOR_ALL });
    if (sup == NULL) {
        assert_true(nomem_failed());
        return;
    }
    tenon_child child = { .id = "a", .module = "m", .function = "start_link" };
    enum tenon_err rc = tenon_supervisor_add(sup, &child, SHORT_MS, &pid, NULL);
    if (only_slow(rc)) { /* it has started meanwhile, or does now */
        rc = tenon_supervisor_add(sup, &child, DEADLINE_MS, &pid, NULL);
    } else if (rc == TENON_OK) {
        (void)tenon_send_format(f->node, &(tenon_dest){ .pid = &pid },
                                "{:\"$gen_cast\", 1}");
    } else {
        assert_true(nomem_failed());
    }
    tenon_process_pid(sup, &pid);
    (void)!tenon_server_stop(f->node, &(tenon_dest){ .pid = &pid },
                             tn_process_pid(sup), SHORT_MS, NULL);
    (void)tn_process_end(sup, tn_process_pid(sup));
    tenon_process_release(sup);
}

/* ---- the node ------------------------------------------------------------------- */

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->node = own_node_start();
    f->box = tenon_mailbox_new(f->node, NULL, NULL);
    OK(tenon_function(f->node, "m", "back", 1, give_back, NULL, 0));
    OK(tenon_function(f->node, "m", "start_link", 0, start_link, NULL, 0));
    f->processes = processes_of(f->node);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    tenon_process_release(f->box);
    tenon_node_stop(f->node);
    free(f);
    return 0;
}

static void empty(tenon_process *box)
{
    tenon_value *message = NULL;
    while (tenon_receive(box, 0, &message) == TENON_OK) {
        tenon_value_free(message);
    }
}

static void works_after_every_failure(void **state, nomem_scenario scenario)
{
    struct fixture *f = *state;
    assert_true(nomem_fail_each(scenario, f) > 0);
    empty(f->box);
    scenario(f);
    for (uint64_t until = tn_now_ms() + DEADLINE_MS;
         processes_of(f->node) != f->processes && tn_now_ms() < until;) {
        OK(tenon_sleep(f->node, 1));
    }
    assert_int_equal(processes_of(f->node), f->processes);
}

static void sys_survives_any_failed_allocation(void **state)
{
    works_after_every_failure(state, look_into_a_server);
}

static void supervisors_survive_any_failed_allocation(void **state)
{
    works_after_every_failure(state, supervise);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sys_survives_any_failed_allocation),
        cmocka_unit_test(supervisors_survive_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("otp/supervisor_nomem", tests, start,
                                       stop);
}
