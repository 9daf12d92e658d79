/* SPDX-License-Identifier: Apache-2.0 */
/* Names and locks of the cluster by the hundred thousand: no node's loop works
 * long at a time for them, and what comes meanwhile waits in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>

#include "otp/global.h"
#include "otp/global_core.h"
#include "otp/global_impl.h"
#include "unit/node/nodes.h"
#include "unit/node/turns.h"

#define LOCKS 10000u

static tenon_node *start_member(void)
{
    tenon_error err = { 0 };
    char name[64];
    new_name(name, "global");
    tenon_node_config config = config_of(name, &err);
    config.mailbox_max_messages = 1000000;
    config.worker_max = 1;
    config.output_max_bytes = (size_t)1 << 30;
    tenon_node *node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    node->stop_workers_ms = DEADLINE_MS;
    return node;
}

/* ---- what the nodes have ------------------------------------------------ */

static void
add_names(struct tn_global *global, const tenon_pid *of, size_t count)
{
    tenon_value *pid = tenon_value_format("~p", of);
    tenon_value *method = tenon_value_format("&:global.random_exit_name/3");
    for (size_t i = 0; i < count; i++) {
        tenon_value *name =
            tenon_value_format("{:name, ~i, ~p}", (int64_t)i, of);
        OK(tn_gname_insert(global, tenon_value_term(name),
                           tenon_value_term(pid), tenon_value_term(method),
                           true));
        tenon_value_free(name);
    }
    tenon_value_free(pid);
    tenon_value_free(method);
}

static void
add_locks(struct tn_global *global, const tenon_pid *of, size_t count)
{
    tenon_value *holder = tenon_value_format("~p", of);
    for (size_t i = 0; i < count; i++) {
        tenon_value *id =
            tenon_value_format("{{:lock, ~i}, ~p}", (int64_t)i, of);
        assert_true(tn_glock_set(global, tenon_value_term(id),
                                 tenon_value_term(holder)));
        tenon_value_free(id);
    }
    tenon_value_free(holder);
}

/* From this thread: no turn of the loop is to be measured for it. */
static void fill(tenon_node *node,
                 void (*add)(struct tn_global *, const tenon_pid *, size_t),
                 const tenon_pid *pid,
                 size_t count)
{
    struct tn_gserial *serial = tn_global_serial_of(node);
    tn_gserial_enter(serial);
    add(tn_global_of(node), pid, count);
    tn_gserial_leave(serial);
}

struct counted {
    struct tn_global *global;
    size_t names, locks, members;
};

static void count_all(tenon_node *node, void *user)
{
    struct counted *counted = user;
    (void)node;
    counted->names = HASH_COUNT(counted->global->names);
    counted->locks = HASH_COUNT(counted->global->locks);
    counted->members = 0;
    for (struct tn_gpeer *peer = counted->global->peers; peer != NULL;
         peer = peer->hh.next) {
        counted->members += peer->known;
    }
}

static struct counted count_in(tenon_node *node)
{
    struct counted counted = { .global = tn_global_of(node) };
    OK(tn_global_call(node, count_all, &counted));
    return counted;
}

static void lose(tenon_node *node, tenon_node *other)
{
    tenon_node_stop(other);
    WAIT_FOR(stats_of(node).peers == 0);
}

/* ---- names -------------------------------------------------------------- */

static void an_exchange_of_many_names_is_for_workers(void **state)
{
    size_t count = sized(100000, 2000);
    tenon_node *one = start_member(), *two = start_member();
    tenon_process *box = new_box(one, NULL), *other = new_box(two, NULL);
    tenon_pid pid = pid_of(box), other_pid = pid_of(other);
    (void)state;
    fill(one, add_names, &pid, count);
    fill(two, add_names, &other_pid, 1);
    connect_nodes(two, one);
    WAIT_FOR(count_in(two).names == count + 1);
    WAIT_FOR(count_in(one).names == count + 1);
    WAIT_FOR(count_in(one).members == 1 && count_in(two).members == 1);
    assert_turns_of_were_short(two);
    /* All of them go with their node. */
    end_box(box);
    lose(two, one);
    WAIT_FOR(count_in(two).names == 1);
    assert_turns_of_were_short(two);
    end_box(other);
    tenon_node_stop(two);
}

static void pass(tenon_node *node, void *user)
{
    sem_t *gates = user;
    (void)node;
    sem_post(&gates[0]);
    while (sem_wait(&gates[1]) != 0) {
    }
    sem_post(&gates[2]);
}

static bool waits_for_worker(tenon_node *node)
{
    tn_lock(node);
    tenon_process *process =
        tn_process_named_locked(node, TN_GLOBAL_NAME, strlen(TN_GLOBAL_NAME));
    const struct tn_message *first = STAILQ_FIRST(&process->mailbox);
    bool waits = first != NULL && tn_is_turn_on_worker(first->term);
    tn_unlock(node);
    return waits;
}

/* The lock of both is an answer, or a small message: what it begins is long. */
static void names_are_written_by_a_worker_before_all_that_comes(void **state)
{
    size_t count = 2000;
    tenon_node *one = start_member(), *two = start_member();
    tenon_process *box = new_box(one, NULL), *other = new_box(two, NULL);
    tenon_pid pid = pid_of(box);
    sem_t gates[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        sem_init(&gates[i], 0, 0);
    }
    fill(one, add_names, &pid, count);
    OK(tn_node_run_on_worker(one, pass, gates));
    while (sem_wait(&gates[0]) != 0) {
    }
    connect_nodes(two, one);
    WAIT_FOR(waits_for_worker(one));
    /* The loop goes on for others. */
    tenon_pid to = pid_of(other);
    OK(tenon_send_format(one, &(tenon_dest){ .pid = &to }, ":hello"));
    assert_next(other, ":hello");
    assert_int_equal(count_in(two).names, 0);
    sem_post(&gates[1]);
    while (sem_wait(&gates[2]) != 0) {
    }
    WAIT_FOR(count_in(two).names == count);
    WAIT_FOR(count_in(one).members == 1 && count_in(two).members == 1);
    end_box(box);
    end_box(other);
    tenon_node_stop(one);
    tenon_node_stop(two);
}

/* ---- locks -------------------------------------------------------------- */

static void the_end_of_a_node_with_many_locks_is_shared_out(void **state)
{
    size_t count = sized(LOCKS, 1000);
    tenon_node *one = start_member(), *two = start_member();
    tenon_process *box = new_box(one, NULL);
    tenon_pid pid = pid_of(box);
    (void)state;
    connect_nodes(two, one);
    WAIT_FOR(count_in(one).members == 1 && count_in(two).members == 1);
    fill(two, add_locks, &pid, count);
    assert_true(count_in(two).locks >= count);
    end_box(box);
    lose(two, one);
    WAIT_FOR(count_in(two).locks == 0);
    assert_turns_of_were_short(two);
    tenon_node_stop(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_of_many_names_is_for_workers),
        cmocka_unit_test(names_are_written_by_a_worker_before_all_that_comes),
        cmocka_unit_test(the_end_of_a_node_with_many_locks_is_shared_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
