/* SPDX-License-Identifier: Apache-2.0 */
/* The questions that tools ask a node by rpc, answered as a BEAM node answers
 * them: tables of functions, one for each kind of question.
 *
 * Where a BEAM has what C has not, the answer keeps the shape and says so:
 *
 *   atoms, ets tables, ports    none: counts of 0, empty lists; limits of 1
 *                               where tools divide by them
 *   memory                      total is the resident memory, code the text
 *                               segment, processes the mailboxes and records;
 *                               atom, binary, ets are 0
 *   heaps, stacks, garbage      sizes of 0; true for a collection
 *   reductions                  messages that were taken
 *   schedulers                  1, the loop thread; its wall time is the time
 *                               it ran. Workers are dirty_io_schedulers
 *   otp_release                 the oldest release a peer may have: what later
 *                               ones added is not there. version is Tenon's
 *   current_function,           what was spawned, else {tenon, Kind, 0}
 *   initial_call
 *   modules                     those with registered functions, `preloaded`
 *   applications                tenon; net_kernel is on top of its processes
 */
#ifndef TN_OTP_INFO_H
#define TN_OTP_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/process.h>

#include "node/node.h"
#include "term/build.h"

/* One question on its way. */
struct tn_question {
    tenon_call *call;
    tenon_node *node;
    tenon_builder *out; /* the answer goes here */
    bool answered;      /* or the function has answered by itself */
    bool badarg;        /* or it cannot be answered */
};

struct tn_info_function {
    const char *module; /* NULL ends a table */
    const char *name;
    unsigned arity;
    void (*fn)(struct tn_question *question);
    bool blocks; /* runs on a worker */
};

extern const struct tn_info_function tn_info_applications_functions[];
extern const struct tn_info_function tn_info_appmon_functions[];
extern const struct tn_info_function tn_info_code_functions[];
extern const struct tn_info_function tn_info_dashboard_functions[];
extern const struct tn_info_function tn_info_global_functions[];
extern const struct tn_info_function tn_info_memory_functions[];
extern const struct tn_info_function tn_info_nodes_functions[];
extern const struct tn_info_function tn_info_observer_functions[];
extern const struct tn_info_function tn_info_process_functions[];
extern const struct tn_info_function tn_info_statistics_functions[];
extern const struct tn_info_function tn_info_system_functions[];
extern const struct tn_info_function tn_info_time_functions[];
/* All of these; NULL ends it. */
extern const struct tn_info_function *const tn_info_tables[];

/* Registers them all. Errors: EXISTS, LIMIT, NOMEM. */
TENON_CHECK enum tenon_err tn_info_start(tenon_node *node, tenon_error *err);

static inline tenon_term tn_question_arg(const struct tn_question *question,
                                         size_t index)
{
    return tenon_call_arg(question->call, index);
}

/* Whether what is asked for may be sent to that process: a limited peer has it
 * sent to processes of its own. to: any term. */
static inline bool tn_question_may_tell(const struct tn_question *question,
                                        tenon_term to)
{
    return tenon_term_type(to) == TENON_TYPE_PID &&
           tn_may_answer(question->node, question->call->origin, to, false);
}

/* ---- parts of answers that several questions share --------------------- */

static inline void tn_info_undefined(struct tn_question *question)
{
    tenon_build_atom(question->out, "undefined");
}

/* Appends the list of all pids. */
void tn_info_build_processes(tenon_node *node, tenon_builder *out);
/* Appends a list of characters, as BEAM's strings are. */
void tn_info_build_chars(tenon_builder *out, const char *text);
/* In bytes; code is a part of what is not processes. */
struct tn_info_memory {
    uint64_t total;
    uint64_t processes;
    uint64_t code;
};
void tn_info_measure_memory(tenon_node *node, struct tn_info_memory *memory);
/* Appends erlang:memory(), as the pairs alone: TN_INFO_MEMORY_PAIRS. */
#define TN_INFO_MEMORY_PAIRS 9u
void tn_info_build_memory(tenon_node *node, tenon_builder *out);
/* Appends erlang:statistics(io), likewise (scheduler_wall_time). */
void tn_info_build_io(tenon_node *node, tenon_builder *out);
void tn_info_build_wall_time(tenon_node *node, tenon_builder *out);
/* The one application, and its process on top. */
#define TN_INFO_APPLICATION "tenon"
#define TN_INFO_MASTER "net_kernel"
/* Appends {Name, Description, Version} of it. */
void tn_info_build_application(tenon_builder *out);
/* Appends the tree of its processes, {Top, [{Pid, Label}], [{LabelOfParent,
 * Label}], []}, as appmon_info has it; without `skip`. */
void tn_info_build_tree(tenon_node *node,
                        const tenon_process *skip,
                        tenon_builder *out);
/* Milliseconds since the node's start. */
int64_t tn_info_uptime_ms(tenon_node *node);
/* Jobs that wait for a thread. */
int64_t tn_info_run_queue(tenon_node *node);
/* The bytes that a process takes. With the lock held. */
uint64_t tn_info_process_bytes(const tenon_process *process);
/* Appends {module, function, arity}. With the lock held. */
void tn_info_build_mfa(tenon_builder *out, const tenon_process *process);
/* What erlang:system_info/1 says to `item`; false: it knows no such item. */
bool tn_info_build_system(struct tn_question *question, tenon_term item);

/* Finds Module:module_info/0,1 of every module. For tn_function_add_fallback,
 * user: the node. */
bool tn_info_find_function(void *user,
                           tenon_term module,
                           tenon_term name,
                           size_t arity,
                           struct tn_target *target);

/* When the node has been asked last, for answers of the form {Total,
 * SinceLastCall}; attached to the node. */
struct tn_info {
    uint64_t started_ns;
    atomic_int_fast64_t last_wall_ms;
    atomic_int_fast64_t last_cpu_ms;
    atomic_int_fast64_t last_handled;
};
struct tn_info *tn_info_of(tenon_node *node);

#endif
