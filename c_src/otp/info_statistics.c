/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about what the node has done so far: its counters. */
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "otp/info.h"

int64_t tn_info_uptime_ms(tenon_node *node)
{
    return (int64_t)((tn_now_ns() - tn_info_of(node)->started_ns) / 1000000u);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec at = { 0 };

    (void)clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* {Total, SinceLastCall} */
static void
build_since(tenon_builder *out, atomic_int_fast64_t *last, int64_t total)
{
    int64_t before = atomic_exchange(last, total);

    tenon_format(out, "{~i, ~i}", total, total - before);
}

static void wall_clock(struct tn_question *question)
{
    build_since(question->out, &tn_info_of(question->node)->last_wall_ms,
                tn_info_uptime_ms(question->node));
}

static void runtime(struct tn_question *question)
{
    build_since(question->out, &tn_info_of(question->node)->last_cpu_ms,
                clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000000);
}

static void reductions(struct tn_question *question)
{
    tn_lock(question->node);
    int64_t handled = (int64_t)question->node->processes.handled;

    tn_unlock(question->node);
    build_since(question->out, &tn_info_of(question->node)->last_handled,
                handled);
}

void tn_info_build_io(tenon_node *node, tenon_builder *out)
{
    tenon_node_stats stats;

    tenon_node_get_stats(node, &stats, sizeof stats);
    tenon_format(out, "{{:input, ~u}, {:output, ~u}}", stats.bytes_in,
                 stats.bytes_out);
}

static void io(struct tn_question *question)
{
    tn_info_build_io(question->node, question->out);
}

/* On the loop thread: the time that it has run. */
static void read_loop_time(tenon_node *node, void *user)
{
    int64_t *ns = user;

    (void)node;
    *ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void tn_info_build_wall_time(tenon_node *node, tenon_builder *out)
{
    int64_t ran = 0;

    (void)tn_node_call_on_loop(node, read_loop_time, &ran);
    tenon_format(out, "[{1, ~i, ~i}]", ran,
                 (int64_t)(tn_now_ns() - tn_info_of(node)->started_ns));
}

static void scheduler_wall_time(struct tn_question *question)
{
    tn_info_build_wall_time(question->node, question->out);
}

int64_t tn_info_run_queue(tenon_node *node)
{
    const tenon_process *process;
    int64_t jobs = 0;

    tn_lock(node);
    STAILQ_FOREACH(process, &node->inline_queue, inline_next)
    {
        jobs++;
    }
    tn_unlock(node);
    pthread_mutex_lock(&node->workers.lock);
    jobs += node->workers.waiting;
    pthread_mutex_unlock(&node->workers.lock);
    return jobs;
}

static void run_queue(struct tn_question *question)
{
    tenon_build_int(question->out, tn_info_run_queue(question->node));
}

static void run_queues(struct tn_question *question)
{
    tenon_format(question->out, "[~i]", tn_info_run_queue(question->node));
}

static void context_switches(struct tn_question *question)
{
    struct rusage usage = { 0 };

    (void)getrusage(RUSAGE_SELF, &usage);
    tenon_format(question->out, "{~i, 0}",
                 (int64_t)usage.ru_nvcsw + (int64_t)usage.ru_nivcsw);
}

static void garbage_collection(struct tn_question *question)
{
    tenon_format(question->out, "{0, 0, 0}");
}

static const struct {
    const char *name;
    void (*fn)(struct tn_question *question);
} statistics_items[] = {
    { "active_tasks", run_queues },
    { "active_tasks_all", run_queues },
    { "context_switches", context_switches },
    { "exact_reductions", reductions },
    { "garbage_collection", garbage_collection },
    { "io", io },
    { "microstate_accounting", tn_info_undefined },
    { "reductions", reductions },
    { "run_queue", run_queue },
    { "run_queue_lengths", run_queues },
    { "run_queue_lengths_all", run_queues },
    { "runtime", runtime },
    { "scheduler_wall_time", scheduler_wall_time },
    { "scheduler_wall_time_all", scheduler_wall_time },
    { "total_active_tasks", run_queue },
    { "total_active_tasks_all", run_queue },
    { "total_run_queue_lengths", run_queue },
    { "total_run_queue_lengths_all", run_queue },
    { "wall_clock", wall_clock },
};

static void statistics(struct tn_question *question)
{
    tenon_term item = tn_question_arg(question, 0);

    for (size_t i = 0; i < sizeof statistics_items / sizeof statistics_items[0];
         i++) {
        if (tenon_term_is_atom(item, statistics_items[i].name)) {
            statistics_items[i].fn(question);
            return;
        }
    }
    question->badarg = true;
}

/* erlang:system_flag(scheduler_wall_time, _): it is always measured. */
static void system_flag(struct tn_question *question)
{
    if (tenon_term_is_atom(tn_question_arg(question, 0),
                           "scheduler_wall_time")) {
        tenon_build_bool(question->out, true);
    } else {
        question->badarg = true;
    }
}

const struct tn_info_function tn_info_statistics_functions[] = {
    { "erlang", "statistics", 1, statistics, false },
    { "erlang", "system_flag", 2, system_flag, false },
    { NULL, NULL, 0, NULL, false },
};
