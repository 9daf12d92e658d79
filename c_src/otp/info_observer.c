/* SPDX-License-Identifier: Apache-2.0 */
/* The module observer_backend, which observer and etop ask. */
#include <string.h>

#include "base/clock.h"
#include "otp/info.h"

/* How often a process that sends figures looks whether it is to stop. */
#define LOOK_MS 1000u

static void vsn(struct tn_question *question)
{
    tenon_build_tuple(question->out, 2);
    tenon_build_atom(question->out, "ok");
    tn_info_build_chars(question->out, TENON_VERSION_STRING);
}

/* ---- sys_info ---------------------------------------------------------- */

/* Items of erlang:system_info/1 in the order of observer_backend's list, with
 * another name there where they have one. */
static const struct {
    const char *name;
    const char *item;
} sys_items[] = {
    { "logical_processors", NULL },
    { "logical_processors_online", NULL },
    { "logical_processors_available", NULL },
    { "schedulers", NULL },
    { "schedulers_online", NULL },
    { "schedulers_available", "schedulers_online" },
    { "otp_release", NULL },
    { "version", NULL },
    { "system_architecture", NULL },
    { "kernel_poll", NULL },
    { "smp_support", NULL },
    { "threads", NULL },
    { "thread_pool_size", NULL },
    { "wordsize_internal", "wordsize" },
    { "wordsize_external", "wordsize" },
    { "alloc_info", "alloc_util_allocators" },
    { "process_count", NULL },
    { "atom_limit", NULL },
    { "atom_count", NULL },
    { "process_limit", NULL },
    { "process_count", NULL },
    { "port_limit", NULL },
    { "port_count", NULL },
    { "ets_limit", NULL },
    { "ets_count", NULL },
    { "dist_buf_busy_limit", NULL },
};
#define SYS_ITEMS (sizeof sys_items / sizeof sys_items[0])
/* uptime, run_queue, io_input, io_output */
#define COUNTERS 4u

static void build_sys_item(struct tn_question *question, size_t i)
{
    const char *item =
        sys_items[i].item != NULL ? sys_items[i].item : sys_items[i].name;
    tenon_value *term = tenon_value_format("~a", item);

    tenon_build_tuple(question->out, 2);
    tenon_build_atom(question->out, sys_items[i].name);
    if (term == NULL ||
        !tn_info_build_system(question, tenon_value_term(term))) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
    }
    tenon_value_free(term);
}

static void sys_info(struct tn_question *question)
{
    tenon_node_stats stats;

    tenon_node_get_stats(question->node, &stats, sizeof stats);
    tenon_build_list(question->out,
                     COUNTERS + SYS_ITEMS + TN_INFO_MEMORY_PAIRS);
    tenon_format(question->out, "{:uptime, ~i}",
                 tn_info_uptime_ms(question->node));
    tenon_format(question->out, "{:run_queue, ~i}",
                 tn_info_run_queue(question->node));
    tenon_format(question->out, "{:io_input, ~u}", stats.bytes_in);
    tenon_format(question->out, "{:io_output, ~u}", stats.bytes_out);
    for (size_t i = 0; i < SYS_ITEMS; i++) {
        build_sys_item(question, i);
    }
    tn_info_build_memory(question->node, question->out);
    tenon_build_nil(question->out);
}

/* ---- processes --------------------------------------------------------- */

/* #etop_proc_info{pid, mem, reds, name, runtime, cf, mq}. With the lock. */
static void build_process(tenon_builder *out, const tenon_process *process)
{
    tenon_build_tuple(out, 8);
    tenon_build_atom(out, "etop_proc_info");
    tenon_build_term(out, tn_process_pid(process));
    tenon_build_uint(out, tn_info_process_bytes(process));
    tenon_build_uint(out, process->handled);
    if (process->name != NULL && !process->unseen) {
        tenon_build_atom(out, process->name);
    } else {
        tn_info_build_mfa(out, process);
    }
    tenon_build_int(out, 0);
    tn_info_build_mfa(out, process);
    tenon_build_uint(out, process->mailbox_count);
}

/* All but the one that asks. */
static size_t
build_all(tenon_builder *out, tenon_node *node, const tenon_process *asker)
{
    tn_lock(node);
    const struct tn_processes *all = &node->processes;
    size_t count = all->count - (asker->exited ? 0 : 1);

    tenon_build_list(out, count);
    for (uint32_t i = 0; i < TN_PID_ID_MAX; i++) {
        const tenon_process *process = all->slots[i].process;

        if (process != NULL && process != asker) {
            build_process(out, process);
        }
    }
    tenon_build_nil(out);
    tn_unlock(node);
    return count;
}

/* Sends what has been built to the collector and answers ok. */
static void
send_to(struct tn_question *question, tenon_term to, tenon_builder *message)
{
    tenon_term term;

    if (tenon_builder_term(message, &term) == TENON_OK &&
        tn_question_may_tell(question, to)) {
        (void)tn_send_pid(question->node,
                          tn_process_pid(tenon_call_self(question->call)), to,
                          term);
        tenon_build_atom(question->out, "ok");
    } else {
        question->badarg = true;
    }
}

/* {procs_info, Self, [#etop_proc_info{}]} */
static void procs_info(struct tn_question *question)
{
    tenon_builder message;
    tenon_process *self = tenon_call_self(question->call);

    tn_builder_init(&message, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&message, 3);
    tenon_build_atom(&message, "procs_info");
    tenon_build_term(&message, tn_process_pid(self));
    build_all(&message, question->node, self);
    send_to(question, tn_question_arg(question, 0), &message);
    tn_builder_fini(&message);
}

static void build_etop_memory(tenon_node *node, tenon_builder *out)
{
    tenon_build_list(out, TN_INFO_MEMORY_PAIRS);
    tn_info_build_memory(node, out);
    tenon_build_nil(out);
}

/* {Self, #etop_info{now, n_procs, wall_clock, runtime, run_queue, alloc_areas,
 * memi, procinfo}} */
static void etop_collect(struct tn_question *question)
{
    tenon_builder processes, message;
    tenon_process *self = tenon_call_self(question->call);
    tenon_term list = { NULL, 0 };
    int64_t us = tn_wall_ns() / 1000;

    tn_builder_init(&processes, TENON_TERM_MAX_BYTES);
    tn_builder_init(&message, TENON_TERM_MAX_BYTES);
    size_t count = build_all(&processes, question->node, self);

    if (tenon_builder_term(&processes, &list) != TENON_OK) {
        tn_builder_fail(&message, TENON_E_NOMEM);
    }
    tenon_build_tuple(&message, 2);
    tenon_build_term(&message, tn_process_pid(self));
    tenon_build_tuple(&message, 9);
    tenon_build_atom(&message, "etop_info");
    tenon_format(&message, "{~i, ~i, ~i}", us / 1000000000000,
                 us / 1000000 % 1000000, us % 1000000);
    tenon_build_uint(&message, count);
    tenon_build_atom(&message, "undefined");
    tn_info_build_wall_time(question->node, &message);
    tenon_build_int(&message, tn_info_run_queue(question->node));
    tenon_build_nil(&message);
    build_etop_memory(question->node, &message);
    tenon_build_term(&message, list);
    send_to(question, tn_question_arg(question, 0), &message);
    tn_builder_fini(&message);
    tn_builder_fini(&processes);
}

/* ---- tables, ports, sockets -------------------------------------------- */

static void empty(struct tn_question *question)
{
    tenon_build_nil(question->out);
}

static void table_list(struct tn_question *question)
{
    char text[TENON_NODE_NAME_MAX_BYTES + 40];
    tenon_term kind = tn_question_arg(question, 0);

    if (tenon_term_is_atom(kind, "ets")) {
        tenon_build_nil(question->out);
    } else if (tenon_term_is_atom(kind, "mnesia")) {
        tenon_builder why;
        tenon_term term;

        snprintf(text, sizeof text, "Mnesia is not running on: %s",
                 question->node->name.full);
        tn_builder_init(&why, TENON_TERM_MAX_BYTES);
        tenon_build_tuple(&why, 2);
        tenon_build_atom(&why, "error");
        tn_info_build_chars(&why, text);
        question->answered = tenon_builder_term(&why, &term) == TENON_OK;
        if (question->answered) {
            tenon_throw(question->call, "~t", term);
        }
        tn_builder_fini(&why);
    } else {
        question->badarg = true;
    }
}

/* The process that is to send a table's rows: there are none. */
static void get_table(struct tn_question *question)
{
    tenon_builder message;
    tenon_term self = tn_process_pid(tenon_call_self(question->call));
    tenon_term end, to = tn_question_arg(question, 0);

    tn_builder_init(&message, TENON_TERM_MAX_BYTES);
    tenon_format(&message, "{~t, :\"$end_of_table\"}", self);
    if (tenon_builder_term(&message, &end) == TENON_OK &&
        tn_question_may_tell(question, to)) {
        (void)tn_send_pid(question->node, self, to, end);
        tenon_build_term(question->out, self);
    } else {
        question->badarg = true;
    }
    tn_builder_fini(&message);
}

static void socket_info(struct tn_question *question)
{
    tenon_format(question->out, "[iov_max: 0, num_monitors: 0]");
}

/* ---- fetch_stats ------------------------------------------------------- */

/* The process has been told to stop, by a message or an end. */
static bool is_to_stop(const tenon_process *self)
{
    tn_lock(self->node);
    bool stop = self->exited || self->mailbox_count > 0;

    tn_unlock(self->node);
    return stop;
}

/* {stats, 1, SchedulerWallTime, Io, Memory} */
static enum tenon_err send_stats(struct tn_question *question, tenon_term to)
{
    tenon_builder out;
    tenon_term term;
    enum tenon_err rc;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 5);
    tenon_build_atom(&out, "stats");
    tenon_build_int(&out, 1);
    tn_info_build_wall_time(question->node, &out);
    tn_info_build_io(question->node, &out);
    build_etop_memory(question->node, &out);
    rc = tenon_builder_term(&out, &term);
    if (rc == TENON_OK) {
        rc = tn_send_pid(question->node,
                         tn_process_pid(tenon_call_self(question->call)), to,
                         term);
    }
    tn_builder_fini(&out);
    return rc;
}

/* Waits so long, or until the process is to stop. */
static bool wait_for(struct tn_question *question, uint64_t ms)
{
    const tenon_process *self = tenon_call_self(question->call);

    while (ms > 0 && !is_to_stop(self)) {
        uint32_t step = ms < LOOK_MS ? (uint32_t)ms : LOOK_MS;

        if (tenon_sleep(question->node, step) != TENON_OK) {
            return false;
        }
        ms -= step;
    }
    return !is_to_stop(self);
}

static void fetch_stats(struct tn_question *question)
{
    tenon_term to = tn_question_arg(question, 0);
    uint64_t every_ms;

    if (!tn_question_may_tell(question, to) ||
        tenon_term_uint64(tn_question_arg(question, 1), &every_ms) !=
            TENON_OK ||
        every_ms == 0) {
        question->badarg = true;
        return;
    }
    while (wait_for(question, every_ms) &&
           send_stats(question, to) == TENON_OK) {
    }
    tenon_build_atom(question->out, "ok");
}

const struct tn_info_function tn_info_observer_functions[] = {
    { "observer_backend", "etop_collect", 1, etop_collect, false },
    { "observer_backend", "fetch_stats", 2, fetch_stats, true },
    { "observer_backend", "get_port_list", 0, empty, false },
    { "observer_backend", "get_socket_list", 0, empty, false },
    { "observer_backend", "get_table", 3, get_table, false },
    { "observer_backend", "get_table_list", 2, table_list, false },
    { "observer_backend", "procs_info", 1, procs_info, false },
    { "observer_backend", "socket_info", 0, socket_info, false },
    { "observer_backend", "sys_info", 0, sys_info, false },
    { "observer_backend", "vsn", 0, vsn, false },
    { NULL, NULL, 0, NULL, false },
};
