/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about processes: which there are, and what each of them does. */
#include <string.h>

#include "node/link.h"
#include "otp/info.h"
#include "term/view.h"

/* ---- which there are --------------------------------------------------- */

void tn_info_build_processes(tenon_node *node, tenon_builder *out)
{
    tn_lock(node);
    const struct tn_processes *all = &node->processes;

    tenon_build_list(out, all->count);
    for (uint32_t i = 0, left = all->count; left > 0 && i < TN_PID_ID_MAX;
         i++) {
        if (all->slots[i].process != NULL) {
            tenon_build_term(out, tn_process_pid(all->slots[i].process));
            left--;
        }
    }
    tenon_build_nil(out);
    tn_unlock(node);
}

static void processes(struct tn_question *question)
{
    tn_info_build_processes(question->node, question->out);
}

static void registered(struct tn_question *question)
{
    tenon_node *node = question->node;
    tenon_process *process, *next;
    size_t seen = 0;

    tn_lock(node);
    HASH_ITER(by_name, node->processes.names, process, next)
    {
        seen += process->unseen ? 0 : 1;
    }
    tenon_build_list(question->out, seen);
    HASH_ITER(by_name, node->processes.names, process, next)
    {
        if (!process->unseen) {
            tenon_build_atom(question->out, process->name);
        }
    }
    tenon_build_nil(question->out);
    tn_unlock(node);
}

static void answer_whereis(struct tn_question *question, const char *none)
{
    tenon_atom name;

    if (tenon_term_atom(tn_question_arg(question, 0), &name) != TENON_OK) {
        question->badarg = true;
        return;
    }
    tenon_process *process = tenon_whereis(question->node, name.text);

    if (process == NULL) {
        tenon_build_atom(question->out, none);
    } else {
        tenon_build_term(question->out, tn_process_pid(process));
        tenon_process_release(process);
    }
}

static void whereis(struct tn_question *question)
{
    answer_whereis(question, "undefined");
}

static void elixir_whereis(struct tn_question *question)
{
    answer_whereis(question, "nil");
}

/* True for a pid of this node, also of an earlier life of it. */
static bool is_own_pid(const tenon_node *node, tenon_term pid)
{
    struct tn_id_view view;

    return tn_pid_view(pid, &view) &&
           tn_atom_view_is(&view.node, node->name.full,
                           strlen(node->name.full));
}

static void is_process_alive(struct tn_question *question)
{
    tenon_term pid = tn_question_arg(question, 0);

    if (!is_own_pid(question->node, pid)) {
        question->badarg = true;
        return;
    }
    tn_lock(question->node);
    bool alive = tn_process_find_locked(question->node, pid) != NULL;

    tn_unlock(question->node);
    tenon_build_bool(question->out, alive);
}

/* ---- process_info ------------------------------------------------------ */

/* Each appends the value of one item. With the lock held. */
typedef void (*item_fn)(tenon_builder *out, const tenon_process *process);

uint64_t tn_info_process_bytes(const tenon_process *process)
{
    return sizeof *process + process->pid.len + process->mailbox_bytes +
           process->mailbox_count * sizeof(struct tn_message);
}

void tn_info_build_mfa(tenon_builder *out, const tenon_process *process)
{
    struct tn_mfa mfa;

    tenon_build_tuple(out, 3);
    if (tn_spawned_mfa_locked(process, &mfa)) {
        tenon_build_term(out, mfa.module);
        tenon_build_term(out, mfa.name);
        tenon_build_uint(out, mfa.arity);
    } else {
        const char *kind = process->class->kind;

        tenon_build_atom(out, "tenon");
        tenon_build_atom(out, kind != NULL ? kind : "process");
        tenon_build_int(out, 0);
    }
}

static void build_registered_name(tenon_builder *out,
                                  const tenon_process *process)
{
    if (process->name != NULL && !process->unseen) {
        tenon_build_atom(out, process->name);
    } else {
        tenon_build_nil(out);
    }
}

/* {M, F, A, Location} */
static void build_current_location(tenon_builder *out,
                                   const tenon_process *process)
{
    struct tenon_builder mfa;
    tenon_term term, part;

    tn_builder_init(&mfa, TENON_TERM_MAX_BYTES);
    tn_info_build_mfa(&mfa, process);
    tenon_build_tuple(out, 4);
    for (size_t i = 0; i < 3; i++) {
        if (tenon_builder_term(&mfa, &term) == TENON_OK &&
            tenon_tuple_get(term, i, &part) == TENON_OK) {
            tenon_build_term(out, part);
        }
    }
    tenon_build_nil(out);
    tn_builder_fini(&mfa);
}

static void build_current_stacktrace(tenon_builder *out,
                                     const tenon_process *process)
{
    tenon_build_list(out, 1);
    build_current_location(out, process);
    tenon_build_nil(out);
}

static void build_status(tenon_builder *out, const tenon_process *process)
{
    static const char *const words[] = {
        [TN_RUN_IDLE] = "waiting",
        [TN_RUN_QUEUED] = "runnable",
        [TN_RUN_NOW] = "running",
    };

    tenon_build_atom(out, words[process->run]);
}

static void build_message_queue_len(tenon_builder *out,
                                    const tenon_process *process)
{
    tenon_build_uint(out, process->mailbox_count);
}

static void build_messages(tenon_builder *out, const tenon_process *process)
{
    const struct tn_message *message;

    tenon_build_list(out, process->mailbox_count);
    STAILQ_FOREACH(message, &process->mailbox, next)
    {
        tenon_build_term(out, message->term);
    }
    tenon_build_nil(out);
}

static void build_links(tenon_builder *out, const tenon_process *process)
{
    const struct tn_link *link;
    size_t count = 0;

    LIST_FOREACH(link, &process->links, of_process)
    {
        count += link->active ? 1 : 0;
    }
    tenon_build_list(out, count);
    LIST_FOREACH(link, &process->links, of_process)
    {
        if (link->active) {
            tenon_build_term(out, link->other);
        }
    }
    tenon_build_nil(out);
}

/* {process, Pid} or {process, {Name, Node}} */
static void build_monitor(tenon_builder *out, const struct tn_monitor *monitor)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "process");
    if (tenon_term_type(monitor->target) == TENON_TYPE_PID) {
        tenon_build_term(out, monitor->target);
    } else {
        tenon_build_tuple(out, 2);
        tenon_build_term(out, monitor->target);
        tenon_build_atom(out, monitor->peer != NULL
                                  ? monitor->peer->name
                                  : monitor->watcher->node->name.full);
    }
}

static void build_monitors(tenon_builder *out, const tenon_process *process)
{
    const struct tn_monitor *monitor;
    size_t count = 0;

    LIST_FOREACH(monitor, &process->monitoring, of_watcher)
    {
        count++;
    }
    tenon_build_list(out, count);
    LIST_FOREACH(monitor, &process->monitoring, of_watcher)
    {
        build_monitor(out, monitor);
    }
    tenon_build_nil(out);
}

static void build_monitored_by(tenon_builder *out, const tenon_process *process)
{
    const struct tn_monitor *monitor;
    size_t count = 0;

    LIST_FOREACH(monitor, &process->monitored, of_target)
    {
        count++;
    }
    tenon_build_list(out, count);
    LIST_FOREACH(monitor, &process->monitored, of_target)
    {
        tenon_build_term(out, monitor->ours ? tn_process_pid(monitor->watcher)
                                            : monitor->remote);
    }
    tenon_build_nil(out);
}

static void build_trap_exit(tenon_builder *out, const tenon_process *process)
{
    tenon_build_bool(out, process->trap_exit);
}

static void build_memory(tenon_builder *out, const tenon_process *process)
{
    tenon_build_uint(out, tn_info_process_bytes(process));
}

static void build_reductions(tenon_builder *out, const tenon_process *process)
{
    tenon_build_uint(out, process->handled);
}

static void build_group_leader(tenon_builder *out, const tenon_process *process)
{
    tenon_build_term(out, tn_process_pid(process->node->group_leader));
}

static void build_none(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_nil(out);
}

static void build_zero(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_int(out, 0);
}

static void build_false(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_bool(out, false);
}

static void build_undefined(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_atom(out, "undefined");
}

static void build_priority(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_atom(out, "normal");
}

static void build_error_handler(tenon_builder *out,
                                const tenon_process *process)
{
    (void)process;
    tenon_build_atom(out, "error_handler");
}

static void build_on_heap(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_atom(out, "on_heap");
}

static void build_backtrace(tenon_builder *out, const tenon_process *process)
{
    (void)process;
    tenon_build_string(out, "");
}

/* No heap has a limit: 0. */
#define MAX_HEAP_SIZE "%{error_logger: true, kill: true, size: 0}"

static void build_max_heap_size(tenon_builder *out,
                                const tenon_process *process)
{
    (void)process;
    tenon_format(out, MAX_HEAP_SIZE);
}

static void build_garbage_collection(tenon_builder *out,
                                     const tenon_process *process)
{
    (void)process;
    tenon_format(out, "[max_heap_size: " MAX_HEAP_SIZE
                      ", min_bin_vheap_size: 0, min_heap_size: 0, "
                      "fullsweep_after: 0, minor_gcs: 0]");
}

static void build_garbage_collection_info(tenon_builder *out,
                                          const tenon_process *process)
{
    (void)process;
    tenon_format(out,
                 "[old_heap_block_size: 0, heap_block_size: 0, mbuf_size: 0, "
                 "recent_size: 0, stack_size: 0, old_heap_size: 0, "
                 "heap_size: 0, bin_vheap_size: 0, bin_vheap_block_size: 0, "
                 "bin_old_vheap_size: 0, bin_old_vheap_block_size: 0]");
}

static const struct item {
    const char *name;
    item_fn build;
} items[] = {
    { "registered_name", build_registered_name },
    { "current_function", tn_info_build_mfa },
    { "initial_call", tn_info_build_mfa },
    { "status", build_status },
    { "message_queue_len", build_message_queue_len },
    { "links", build_links },
    { "dictionary", build_none },
    { "trap_exit", build_trap_exit },
    { "error_handler", build_error_handler },
    { "priority", build_priority },
    { "group_leader", build_group_leader },
    { "total_heap_size", build_zero },
    { "heap_size", build_zero },
    { "stack_size", build_zero },
    { "reductions", build_reductions },
    { "garbage_collection", build_garbage_collection },
    { "suspending", build_none },
/* process_info/1 gives those above. */
#define DEFAULT_ITEMS 17u
    { "async_dist", build_false },
    { "backtrace", build_backtrace },
    { "binary", build_none },
    { "catchlevel", build_zero },
    { "current_location", build_current_location },
    { "current_stacktrace", build_current_stacktrace },
    { "fullsweep_after", build_zero },
    { "garbage_collection_info", build_garbage_collection_info },
    { "label", build_undefined },
    { "last_calls", build_false },
    { "max_heap_size", build_max_heap_size },
    { "memory", build_memory },
    { "message_queue_data", build_on_heap },
    { "messages", build_messages },
    { "min_bin_vheap_size", build_zero },
    { "min_heap_size", build_zero },
    { "monitored_by", build_monitored_by },
    { "monitors", build_monitors },
    { "parent", build_undefined },
    { "sequential_trace_token", build_none },
    { "trace", build_zero },
};
#define ITEMS (sizeof items / sizeof items[0])

static const struct item *find_item(tenon_term name)
{
    for (size_t i = 0; i < ITEMS; i++) {
        if (tenon_term_is_atom(name, items[i].name)) {
            return &items[i];
        }
    }
    return NULL;
}

static void build_item(tenon_builder *out,
                       const tenon_process *process,
                       const struct item *item)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, item->name);
    item->build(out, process);
}

/* Most that are asked for at once, three times as many as there are: each may
 * list all links and monitors of the process. */
#define ITEMS_ASKED_MAX 100u

static bool are_items(tenon_term list)
{
    tenon_cursor at;
    tenon_term name;

    if (!tenon_term_is_proper_list(list) ||
        tenon_term_count(list) > ITEMS_ASKED_MAX) {
        return false;
    }
    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &name)) {
        if (find_item(name) == NULL) {
            return false;
        }
    }
    return true;
}

static void
build_items(tenon_builder *out, const tenon_process *process, tenon_term names)
{
    tenon_cursor at;
    tenon_term name;

    tenon_build_list(out, tenon_term_count(names));
    tenon_cursor_init(&at, names);
    while (tenon_cursor_next(&at, &name)) {
        build_item(out, process, find_item(name));
    }
    tenon_build_nil(out);
}

/* An unregistered process has no item registered_name when asked for alone,
 * but for Elixir. */
static void build_one_item(tenon_builder *out,
                           const tenon_process *process,
                           const struct item *item,
                           bool elixir)
{
    if (!elixir && item->build == build_registered_name &&
        (process->name == NULL || process->unseen)) {
        tenon_build_nil(out);
    } else {
        build_item(out, process, item);
    }
}

static void build_default_items(tenon_builder *out,
                                const tenon_process *process)
{
    size_t first = process->name == NULL || process->unseen ? 1 : 0;

    tenon_build_list(out, DEFAULT_ITEMS - first);
    for (size_t i = first; i < DEFAULT_ITEMS; i++) {
        build_item(out, process, &items[i]);
    }
    tenon_build_nil(out);
}

/* which: an item, a list of them, or the null view for the usual ones. A
 * process that is no more is nil for Elixir, undefined for Erlang. */
static void
answer_process_info(struct tn_question *question, tenon_term which, bool elixir)
{
    tenon_node *node = question->node;
    tenon_term pid = tn_question_arg(question, 0);
    const struct item *item = which.bytes == NULL ? NULL : find_item(which);

    if (!is_own_pid(node, pid) ||
        (which.bytes != NULL && item == NULL && !are_items(which))) {
        question->badarg = true;
        return;
    }
    tn_lock(node);
    const tenon_process *process = tn_process_find_locked(node, pid);

    if (process == NULL) {
        tenon_build_atom(question->out, elixir ? "nil" : "undefined");
    } else if (which.bytes == NULL) {
        build_default_items(question->out, process);
    } else if (item != NULL) {
        build_one_item(question->out, process, item, elixir);
    } else {
        build_items(question->out, process, which);
    }
    tn_unlock(node);
}

static void process_info_1(struct tn_question *question)
{
    answer_process_info(question, (tenon_term){ NULL, 0 }, false);
}

static void process_info_2(struct tn_question *question)
{
    answer_process_info(question, tn_question_arg(question, 1), false);
}

static void elixir_info_1(struct tn_question *question)
{
    answer_process_info(question, (tenon_term){ NULL, 0 }, true);
}

static void elixir_info_2(struct tn_question *question)
{
    answer_process_info(question, tn_question_arg(question, 1), true);
}

/* ---- small ones -------------------------------------------------------- */

static void self(struct tn_question *question)
{
    tenon_build_term(question->out,
                     tn_process_pid(tenon_call_self(question->call)));
}

static void yes(struct tn_question *question)
{
    tenon_build_bool(question->out, true);
}

/* What proc_lib says of a process that it has not started. */
static void translate_initial_call(struct tn_question *question)
{
    tenon_format(question->out, "{:proc_lib, :init_p, 5}");
}

const struct tn_info_function tn_info_process_functions[] = {
    { "erlang", "processes", 0, processes, false },
    { "erlang", "registered", 0, registered, false },
    { "erlang", "whereis", 1, whereis, false },
    { "erlang", "is_process_alive", 1, is_process_alive, false },
    { "erlang", "process_info", 1, process_info_1, false },
    { "erlang", "process_info", 2, process_info_2, false },
    { "erlang", "self", 0, self, false },
    { "erlang", "garbage_collect", 0, yes, false },
    { "erlang", "garbage_collect", 1, yes, false },
    { "proc_lib", "translate_initial_call", 1, translate_initial_call, false },
    { "Elixir.Process", "list", 0, processes, false },
    { "Elixir.Process", "registered", 0, registered, false },
    { "Elixir.Process", "whereis", 1, elixir_whereis, false },
    { "Elixir.Process", "alive?", 1, is_process_alive, false },
    { "Elixir.Process", "info", 1, elixir_info_1, false },
    { "Elixir.Process", "info", 2, elixir_info_2, false },
    { NULL, NULL, 0, NULL, false },
};
