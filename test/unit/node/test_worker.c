/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of workers alone: when it grows, how far, how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nodes.h"

#define JOBS 12u

/* Jobs that wait until the test opens the gate. */
struct gate {
    struct tn_workers pool;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
    bool block; /* they say that they block */
    atomic_uint running, most, done;
};

struct held {
    struct tn_job job;
    struct gate *gate;
};

static void wait_at_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!gate->open) {
        pthread_cond_wait(&gate->opened, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void run_held(struct tn_job *job)
{
    struct gate *gate = ((struct held *)job)->gate;
    unsigned now = atomic_fetch_add(&gate->running, 1) + 1;
    unsigned most = atomic_load(&gate->most);
    while (now > most &&
           !atomic_compare_exchange_weak(&gate->most, &most, now)) {
    }
    if (gate->block) {
        tn_workers_block(&gate->pool);
    }
    wait_at_gate(gate);
    if (gate->block) {
        tn_workers_unblock(&gate->pool);
    }
    atomic_fetch_sub(&gate->running, 1);
    atomic_fetch_add(&gate->done, 1);
}

static void gate_init(struct gate *gate, uint32_t max, bool block)
{
    memset(gate, 0, sizeof *gate);
    gate->block = block;
    OK(tn_workers_init(&gate->pool, max, NULL));
    assert_int_equal(pthread_mutex_init(&gate->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&gate->opened, NULL), 0);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

static void close_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = false;
    pthread_mutex_unlock(&gate->lock);
}

static void gate_fini(struct gate *gate)
{
    assert_true(tn_workers_stop(&gate->pool, DEADLINE_MS));
    tn_workers_fini(&gate->pool);
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->lock);
}

static void push_held(struct gate *gate, struct held *jobs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        jobs[i] = (struct held){ .job = { .fn = run_held }, .gate = gate };
        tn_workers_push(&gate->pool, &jobs[i].job);
    }
}

static uint32_t total_of(struct gate *gate)
{
    pthread_mutex_lock(&gate->pool.lock);
    uint32_t total = gate->pool.total;
    pthread_mutex_unlock(&gate->pool.lock);
    return total;
}

static void blocked_workers_are_made_up_for(void **state)
{
    (void)state;
    struct gate gate;
    struct held jobs[JOBS];
    gate_init(&gate, JOBS, true);
    push_held(&gate, jobs, JOBS);
    /* More than would run if none of them had said that it blocks. */
    WAIT_FOR(atomic_load(&gate.running) == JOBS);
    open_gate(&gate);
    gate_fini(&gate);
    assert_int_equal(gate.done, JOBS);
}

static void busy_workers_are_joined_by_more_only_when_work_stalls(void **state)
{
    (void)state;
    struct gate gate;
    struct held jobs[JOBS];
    uint64_t seen = UINT64_MAX;
    gate_init(&gate, JOBS, false);
    push_held(&gate, jobs, TN_WORKERS_BUSY + 1);
    WAIT_FOR(atomic_load(&gate.running) == TN_WORKERS_BUSY);
    assert_int_equal(total_of(&gate), TN_WORKERS_BUSY);
    assert_true(tn_workers_check_stall(&gate.pool, &seen));
    assert_int_equal(total_of(&gate), TN_WORKERS_BUSY);
    assert_true(tn_workers_check_stall(&gate.pool, &seen));
    WAIT_FOR(atomic_load(&gate.running) == TN_WORKERS_BUSY + 1);
    assert_false(tn_workers_check_stall(&gate.pool, &seen));
    open_gate(&gate);
    gate_fini(&gate);
}

static void the_pool_never_passes_its_limit(void **state)
{
    (void)state;
    struct gate gate;
    struct held jobs[JOBS];
    uint64_t seen = UINT64_MAX;
    gate_init(&gate, 3, true);
    push_held(&gate, jobs, JOBS);
    WAIT_FOR(atomic_load(&gate.running) == 3);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(tn_workers_check_stall(&gate.pool, &seen));
    }
    assert_int_equal(total_of(&gate), 3);
    open_gate(&gate);
    gate_fini(&gate);
    assert_int_equal(gate.most, 3);
    assert_int_equal(gate.done, JOBS);
}

static void a_stop_runs_what_is_queued(void **state)
{
    (void)state;
    struct gate gate;
    struct held jobs[JOBS];
    gate_init(&gate, 1, false);
    open_gate(&gate);
    push_held(&gate, jobs, JOBS);
    gate_fini(&gate);
    assert_int_equal(gate.done, JOBS);
}

static void a_stop_gives_up_on_a_job_that_goes_on(void **state)
{
    (void)state;
    struct gate gate;
    struct held job[1];
    gate_init(&gate, 4, false);
    push_held(&gate, job, 1);
    WAIT_FOR(atomic_load(&gate.running) == 1);
    assert_false(tn_workers_stop(&gate.pool, 1));
    open_gate(&gate);
    gate_fini(&gate);
    assert_int_equal(gate.done, 1);
}

static void what_comes_after_the_stop_runs_in_its_end(void **state)
{
    (void)state;
    struct gate gate;
    struct held jobs[JOBS];
    gate_init(&gate, 4, false);
    open_gate(&gate);
    assert_true(tn_workers_stop(&gate.pool, DEADLINE_MS));
    push_held(&gate, jobs, JOBS);
    assert_int_equal(gate.done, 0);
    assert_int_equal(total_of(&gate), 0);
    gate_fini(&gate);
    assert_int_equal(gate.done, JOBS);
}

/* Jobs that come one at a time find a worker that waits. */
static void an_idle_worker_takes_the_next_job(void **state)
{
    (void)state;
    struct gate gate;
    struct held job[1];
    gate_init(&gate, 4, false);
    open_gate(&gate);
    for (unsigned i = 1; i <= 200; i++) {
        push_held(&gate, job, 1);
        WAIT_FOR(atomic_load(&gate.done) == i);
    }
    assert_true(total_of(&gate) <= TN_WORKERS_BUSY);
    gate_fini(&gate);
}

static uint32_t idle_of(struct gate *gate)
{
    pthread_mutex_lock(&gate->pool.lock);
    uint32_t idle = gate->pool.idle;
    pthread_mutex_unlock(&gate->pool.lock);
    return idle;
}

/* Work does not wait for an idle worker that nobody wakes. */
static bool somebody_comes(struct gate *gate)
{
    const struct tn_workers *pool = &gate->pool;
    pthread_mutex_lock(&gate->pool.lock);
    bool comes = pool->waiting == 0 || pool->idle == 0 || pool->is_waking;
    pthread_mutex_unlock(&gate->pool.lock);
    return comes;
}

static void idle_workers_all_come_when_there_is_work_for_all(void **state)
{
    (void)state;
    struct gate gate;
    struct held jobs[TN_WORKERS_BUSY];
    gate_init(&gate, TN_WORKERS_BUSY, false);
    for (unsigned round = 0; round < 20; round++) {
        push_held(&gate, jobs, TN_WORKERS_BUSY);
        while (atomic_load(&gate.running) < TN_WORKERS_BUSY) {
            assert_true(somebody_comes(&gate));
        }
        open_gate(&gate);
        WAIT_FOR(idle_of(&gate) == TN_WORKERS_BUSY);
        close_gate(&gate);
    }
    gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_workers_are_made_up_for),
        cmocka_unit_test(busy_workers_are_joined_by_more_only_when_work_stalls),
        cmocka_unit_test(the_pool_never_passes_its_limit),
        cmocka_unit_test(a_stop_runs_what_is_queued),
        cmocka_unit_test(a_stop_gives_up_on_a_job_that_goes_on),
        cmocka_unit_test(what_comes_after_the_stop_runs_in_its_end),
        cmocka_unit_test(an_idle_worker_takes_the_next_job),
        cmocka_unit_test(idle_workers_all_come_when_there_is_work_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
