/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the node: its peers, memory, clocks, counters, limits. */
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "otp/info.h"
#include "term/view.h"

/* What a peer must be at least. */
#define OLDEST_PEER "23"

/* ---- nodes ------------------------------------------------------------- */

static void node_name(struct tn_question *question)
{
    tenon_build_atom(question->out, question->node->name.full);
}

/* erlang:node/1 of a pid, reference or port. */
static void node_of(struct tn_question *question)
{
    tenon_term term = tn_question_arg(question, 0);
    struct tn_id_view view;
    uint8_t text[TENON_ATOM_MAX_BYTES + 1];

    if (!tn_pid_view(term, &view) && !tn_ref_view(term, &view) &&
        !tn_port_view(term, &view)) {
        question->badarg = true;
        return;
    }
    text[tn_atom_utf8(&view.node, text)] = '\0';
    tenon_build_atom(question->out, (const char *)text);
}

static void build_peers(struct tn_question *question, enum tenon_peers which)
{
    if (tenon_node_list(question->node, which, question->out) != TENON_OK) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
    }
}

static void nodes_0(struct tn_question *question)
{
    build_peers(question, TENON_PEERS_VISIBLE);
}

static const struct {
    const char *word;
    bool this_node;
    bool peers;
    enum tenon_peers which;
} node_kinds[] = {
    { "visible", false, true, TENON_PEERS_VISIBLE },
    { "hidden", false, true, TENON_PEERS_HIDDEN },
    { "connected", false, true, TENON_PEERS_CONNECTED },
    { "this", true, false, TENON_PEERS_VISIBLE },
    { "known", true, true, TENON_PEERS_CONNECTED },
};

/* One kind's nodes behind those that are there; false: no kind. */
static bool add_nodes(struct tn_question *question,
                      tenon_term kind,
                      struct tn_buf *names,
                      size_t *count)
{
    tenon_builder list;
    tenon_cursor at;
    tenon_term nodes, name;

    for (size_t i = 0; i < sizeof node_kinds / sizeof node_kinds[0]; i++) {
        if (!tenon_term_is_atom(kind, node_kinds[i].word)) {
            continue;
        }
        tn_builder_init(&list, TENON_TERM_MAX_BYTES);
        if (node_kinds[i].this_node) {
            tenon_build_list(&list, 1);
            tenon_build_atom(&list, question->node->name.full);
        }
        if (!node_kinds[i].peers) {
            tenon_build_nil(&list);
        } else if (tenon_node_list(question->node, node_kinds[i].which,
                                   &list) != TENON_OK) {
            tn_builder_fail(question->out, TENON_E_NOMEM);
        }
        if (tenon_builder_term(&list, &nodes) == TENON_OK) {
            tenon_cursor_init(&at, nodes);
            while (tenon_cursor_next(&at, &name)) {
                if (tn_buf_append(names, name.bytes, name.len) != TENON_OK) {
                    tn_builder_fail(question->out, TENON_E_NOMEM);
                    break;
                }
                ++*count;
            }
        }
        tn_builder_fini(&list);
        return true;
    }
    return false;
}

static void build_names(tenon_builder *out, struct tn_buf *names, size_t count)
{
    const uint8_t *p = names->bytes;

    tenon_build_list(out, count);
    for (size_t i = 0; i < count; i++) {
        tenon_term name = tn_term_at(p);

        tenon_build_term(out, name);
        p += name.len;
    }
    tenon_build_nil(out);
}

/* nodes(Kind), nodes([Kind, ...]) */
static void nodes_1(struct tn_question *question)
{
    tenon_term kinds = tn_question_arg(question, 0);
    tenon_term kind;
    tenon_cursor at;
    struct tn_buf names;
    size_t count = 0;
    bool known = true;

    tn_buf_init(&names, TENON_TERM_MAX_BYTES);
    if (tenon_term_is_proper_list(kinds)) {
        tenon_cursor_init(&at, kinds);
        while (known && tenon_cursor_next(&at, &kind)) {
            known = add_nodes(question, kind, &names, &count);
        }
    } else {
        known = add_nodes(question, kinds, &names, &count);
    }
    if (known) {
        build_names(question->out, &names, count);
    } else {
        question->badarg = true;
    }
    tn_buf_fini(&names);
}

static void ticktime(struct tn_question *question)
{
    tenon_build_uint(question->out, (question->node->ticktime_ms + 999) / 1000);
}

static void localhost(struct tn_question *question)
{
    tn_info_build_chars(question->out,
                        strchr(question->node->name.full, '@') + 1);
}

/* ---- memory ------------------------------------------------------------ */

static uint64_t all_process_bytes(tenon_node *node)
{
    uint64_t bytes = 0;

    tn_lock(node);
    const struct tn_processes *all = &node->processes;

    for (uint32_t i = 0; i < TN_PID_ID_MAX; i++) {
        if (all->slots[i].process != NULL) {
            bytes += tn_info_process_bytes(all->slots[i].process);
        }
    }
    tn_unlock(node);
    return bytes;
}

/* Resident, in bytes; 0 where the system does not tell. */
static uint64_t resident_bytes(void)
{
    size_t bytes = 0;

    return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

/* The text segments of the program, in bytes; 0 where the system does not
 * tell: fourth number of /proc/self/statm. */
static uint64_t code_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %*u %*u %lu", &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void tn_info_measure_memory(tenon_node *node, struct tn_info_memory *memory)
{
    *memory = (struct tn_info_memory){ .total = resident_bytes(),
                                       .processes = all_process_bytes(node),
                                       .code = code_bytes() };
    if (memory->total < memory->processes) {
        memory->total = memory->processes; /* swapped out, or not told */
    }
    if (memory->code > memory->total - memory->processes) {
        memory->code = memory->total - memory->processes;
    }
}

/* In erlang:memory/0's order. */
static void measure(tenon_node *node, uint64_t figures[TN_INFO_MEMORY_PAIRS])
{
    struct tn_info_memory memory;

    tn_info_measure_memory(node, &memory);
    figures[0] = memory.total;
    figures[1] = memory.processes;
    figures[2] = memory.processes;
    figures[3] = memory.total - memory.processes;
    figures[4] = 0;
    figures[5] = 0;
    figures[6] = 0;
    figures[7] = memory.code;
    figures[8] = 0;
}

static const char *const memory_words[TN_INFO_MEMORY_PAIRS] = {
    "total",     "processes", "processes_used", "system", "atom",
    "atom_used", "binary",    "code",           "ets",
};

static void build_pair(tenon_builder *out, const char *word, uint64_t value)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, word);
    tenon_build_uint(out, value);
}

void tn_info_build_memory(tenon_node *node, tenon_builder *out)
{
    uint64_t figures[TN_INFO_MEMORY_PAIRS];

    measure(node, figures);
    for (size_t i = 0; i < TN_INFO_MEMORY_PAIRS; i++) {
        build_pair(out, memory_words[i], figures[i]);
    }
}

static void memory_0(struct tn_question *question)
{
    tenon_build_list(question->out, TN_INFO_MEMORY_PAIRS);
    tn_info_build_memory(question->node, question->out);
    tenon_build_nil(question->out);
}

/* The figure of that name; TN_INFO_MEMORY_PAIRS: there is none. */
static size_t find_memory(tenon_term word)
{
    size_t i = 0;

    while (i < TN_INFO_MEMORY_PAIRS &&
           !tenon_term_is_atom(word, memory_words[i])) {
        i++;
    }
    return i;
}

static void build_some_memory(struct tn_question *question,
                              tenon_term words,
                              const uint64_t figures[TN_INFO_MEMORY_PAIRS])
{
    tenon_cursor at;
    tenon_term word;

    tenon_build_list(question->out, tenon_term_count(words));
    tenon_cursor_init(&at, words);
    while (tenon_cursor_next(&at, &word)) {
        size_t i = find_memory(word);

        if (i == TN_INFO_MEMORY_PAIRS) {
            question->badarg = true;
            return;
        }
        build_pair(question->out, memory_words[i], figures[i]);
    }
    tenon_build_nil(question->out);
}

static void memory_1(struct tn_question *question)
{
    tenon_term which = tn_question_arg(question, 0);
    uint64_t figures[TN_INFO_MEMORY_PAIRS];
    size_t i = find_memory(which);

    measure(question->node, figures);
    if (i < TN_INFO_MEMORY_PAIRS) {
        tenon_build_uint(question->out, figures[i]);
    } else if (tenon_term_is_proper_list(which)) {
        build_some_memory(question, which, figures);
    } else {
        question->badarg = true;
    }
}

/* ---- statistics -------------------------------------------------------- */

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

static void undefined(struct tn_question *question)
{
    tenon_build_atom(question->out, "undefined");
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
    { "microstate_accounting", undefined },
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

/* ---- time -------------------------------------------------------------- */

/* A unit's parts of a second; 0: no unit. */
static int64_t parts_of(tenon_term unit)
{
    static const struct {
        const char *word;
        int64_t parts;
    } units[] = {
        { "second", 1 },
        { "seconds", 1 },
        { "millisecond", 1000 },
        { "milli_seconds", 1000 },
        { "microsecond", 1000000 },
        { "micro_seconds", 1000000 },
        { "nanosecond", 1000000000 },
        { "nano_seconds", 1000000000 },
        { "native", 1000000000 },
        { "perf_counter", 1000000000 },
    };
    int64_t parts;

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (tenon_term_is_atom(unit, units[i].word)) {
            return units[i].parts;
        }
    }
    return tenon_term_int64(unit, &parts) == TENON_OK && parts > 0 ? parts : 0;
}

/* Rounded down, as erlang:convert_time_unit/3 does. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static void build_time(struct tn_question *question, int64_t ns, bool in_unit)
{
    int64_t parts = 1000000000;

    if (in_unit) {
        parts = parts_of(tn_question_arg(question, 0));
    }
    if (parts == 0 || parts > 1000000000) {
        question->badarg = true;
    } else if (1000000000 % parts == 0) {
        tenon_build_int(question->out, floor_div(ns, 1000000000 / parts));
    } else {
        int64_t s = floor_div(ns, 1000000000);

        tenon_build_int(question->out,
                        s * parts + (ns - s * 1000000000) * parts / 1000000000);
    }
}

static void system_time_0(struct tn_question *question)
{
    build_time(question, tn_wall_ns(), false);
}

static void system_time_1(struct tn_question *question)
{
    build_time(question, tn_wall_ns(), true);
}

static void monotonic_time_0(struct tn_question *question)
{
    build_time(question, (int64_t)tn_now_ns(), false);
}

static void monotonic_time_1(struct tn_question *question)
{
    build_time(question, (int64_t)tn_now_ns(), true);
}

static void time_offset_0(struct tn_question *question)
{
    build_time(question, tn_wall_ns() - (int64_t)tn_now_ns(), false);
}

static void time_offset_1(struct tn_question *question)
{
    build_time(question, tn_wall_ns() - (int64_t)tn_now_ns(), true);
}

static void timestamp(struct tn_question *question)
{
    int64_t us = tn_wall_ns() / 1000;

    tenon_format(question->out, "{~i, ~i, ~i}", us / 1000000000000,
                 us / 1000000 % 1000000, us % 1000000);
}

static void build_date(struct tn_question *question, bool local)
{
    time_t now = (time_t)(tn_wall_ns() / 1000000000);
    struct tm tm = { 0 };

    if (local) {
        (void)localtime_r(&now, &tm);
    } else {
        (void)gmtime_r(&now, &tm);
    }
    tenon_format(question->out, "{{~i, ~i, ~i}, {~i, ~i, ~i}}",
                 (int64_t)tm.tm_year + 1900, (int64_t)tm.tm_mon + 1,
                 (int64_t)tm.tm_mday, (int64_t)tm.tm_hour, (int64_t)tm.tm_min,
                 (int64_t)tm.tm_sec);
}

static void localtime_0(struct tn_question *question)
{
    build_date(question, true);
}

static void universaltime_0(struct tn_question *question)
{
    build_date(question, false);
}

/* ---- system_info ------------------------------------------------------- */

typedef void (*system_fn)(struct tn_question *question);

static void version(struct tn_question *question)
{
    tn_info_build_chars(question->out, TENON_VERSION_STRING);
}

static void otp_release(struct tn_question *question)
{
    tn_info_build_chars(question->out, OLDEST_PEER);
}

static void system_version(struct tn_question *question)
{
    tn_info_build_chars(question->out,
                        "Tenon " TENON_VERSION_STRING " [C node]\n");
}

static void machine(struct tn_question *question)
{
    tn_info_build_chars(question->out, "TENON");
}

static void system_architecture(struct tn_question *question)
{
    struct utsname name;
    char text[sizeof name.machine + sizeof name.sysname + 1] = "unknown";

    if (uname(&name) == 0) {
        snprintf(text, sizeof text, "%s-%s", name.machine, name.sysname);
    }
    tn_info_build_chars(question->out, text);
}

static void wordsize(struct tn_question *question)
{
    tenon_build_uint(question->out, sizeof(void *));
}

static void processors(struct tn_question *question)
{
    tenon_build_int(question->out, sysconf(_SC_NPROCESSORS_CONF));
}

static void processors_online(struct tn_question *question)
{
    tenon_build_int(question->out, sysconf(_SC_NPROCESSORS_ONLN));
}

static void process_count(struct tn_question *question)
{
    tn_lock(question->node);
    uint64_t count = question->node->processes.count;

    tn_unlock(question->node);
    tenon_build_uint(question->out, count);
}

static void process_limit(struct tn_question *question)
{
    tenon_build_int(question->out, TENON_PROCESSES_MAX);
}

static void worker_count(struct tn_question *question)
{
    struct tn_workers *workers = &question->node->workers;

    pthread_mutex_lock(&workers->lock);
    uint64_t total = workers->total;

    pthread_mutex_unlock(&workers->lock);
    tenon_build_uint(question->out, total);
}

static void worker_max(struct tn_question *question)
{
    tenon_build_uint(question->out, question->node->workers.max);
}

static void creation(struct tn_question *question)
{
    tenon_build_uint(question->out, question->node->creation);
}

static void busy_limit(struct tn_question *question)
{
    tenon_build_uint(question->out, question->node->output_max_bytes);
}

static void start_time(struct tn_question *question)
{
    tenon_build_uint(question->out, tn_info_of(question->node)->started_ns);
}

static void compiler(struct tn_question *question)
{
#ifdef __GNUC__
    tenon_format(question->out, "{:gnuc, {~i, ~i, ~i}}", (int64_t)__GNUC__,
                 (int64_t)__GNUC_MINOR__, (int64_t)__GNUC_PATCHLEVEL__);
#else
    undefined(question);
#endif
}

static void zero(struct tn_question *question)
{
    tenon_build_int(question->out, 0);
}

static void one(struct tn_question *question)
{
    tenon_build_int(question->out, 1);
}

static void empty(struct tn_question *question)
{
    tenon_build_nil(question->out);
}

static void yes(struct tn_question *question)
{
    tenon_build_bool(question->out, true);
}

static void no(struct tn_question *question)
{
    tenon_build_bool(question->out, false);
}

static void enabled(struct tn_question *question)
{
    tenon_build_atom(question->out, "enabled");
}

static void none(struct tn_question *question)
{
    tenon_build_atom(question->out, "none");
}

static void final(struct tn_question *question)
{
    tenon_build_atom(question->out, "final");
}

static void unbound(struct tn_question *question)
{
    tenon_build_atom(question->out, "unbound");
}

static void allocator(struct tn_question *question)
{
    tenon_format(question->out, "{:undefined, [], [], []}");
}

static void compat_rel(struct tn_question *question)
{
    tenon_build_int(question->out, 23);
}

static const struct {
    const char *name;
    system_fn fn;
} system_items[] = {
    { "alloc_util_allocators", empty },
    { "allocated_areas", empty },
    { "allocator", allocator },
    { "atom_count", zero },
    { "atom_limit", one },
    { "c_compiler_used", compiler },
    { "check_io", empty },
    { "compat_rel", compat_rel },
    { "cpu_topology", undefined },
    { "creation", creation },
    { "delayed_node_table_gc", zero },
    { "dirty_cpu_schedulers", zero },
    { "dirty_cpu_schedulers_online", zero },
    { "dirty_io_schedulers", worker_count },
    { "dist_buf_busy_limit", busy_limit },
    { "dist_ctrl", empty },
    { "dynamic_trace", none },
    { "ets_count", zero },
    { "ets_limit", one },
    { "kernel_poll", yes },
    { "logical_processors", processors },
    { "logical_processors_available", processors_online },
    { "logical_processors_online", processors_online },
    { "machine", machine },
    { "modified_timing_level", undefined },
    { "multi_scheduling", enabled },
    { "multi_scheduling_blockers", empty },
    { "otp_release", otp_release },
    { "port_count", zero },
    { "port_limit", one },
    { "port_parallelism", no },
    { "process_count", process_count },
    { "process_limit", process_limit },
    { "scheduler_bind_type", unbound },
    { "scheduler_id", one },
    { "schedulers", one },
    { "schedulers_online", one },
    { "smp_support", yes },
    { "start_time", start_time },
    { "system_architecture", system_architecture },
    { "system_version", system_version },
    { "thread_pool_size", worker_max },
    { "threads", yes },
    { "time_correction", yes },
    { "time_offset", final },
    { "tolerant_timeofday", enabled },
    { "trace_control_word", zero },
    { "version", version },
    { "wordsize", wordsize },
};

bool tn_info_build_system(struct tn_question *question, tenon_term item)
{
    tenon_term part;

    for (size_t i = 0; i < sizeof system_items / sizeof system_items[0]; i++) {
        if (tenon_term_is_atom(item, system_items[i].name)) {
            system_items[i].fn(question);
            return true;
        }
    }
    if (tenon_match(item, "{:wordsize, ~t}", &part)) {
        wordsize(question);
        return true;
    }
    if (tenon_match(item, "{:allocator_sizes, _}") ||
        tenon_match(item, "{:allocator, _}")) {
        empty(question);
        return true;
    }
    return false;
}

static void system_info(struct tn_question *question)
{
    question->badarg =
        !tn_info_build_system(question, tn_question_arg(question, 0));
}

/* ---- small ones -------------------------------------------------------- */

static void init_status(struct tn_question *question)
{
    tenon_format(question->out, "{:started, :started}");
}

static void init_argument(struct tn_question *question)
{
    tenon_build_atom(question->out, "error");
}

/* {family, name} of the system, as os:type/0. */
static void os_type(struct tn_question *question)
{
    struct utsname name;

    if (uname(&name) != 0) {
        tenon_format(question->out, "{:unix, :unknown}");
        return;
    }
    for (char *p = name.sysname; *p != '\0'; p++) {
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    }
    tenon_format(question->out, "{:unix, ~a}", name.sysname);
}

static void os_pid(struct tn_question *question)
{
    char text[24];

    snprintf(text, sizeof text, "%ld", (long)getpid());
    tn_info_build_chars(question->out, text);
}

const struct tn_info_function tn_info_system_functions[] = {
    { "erlang", "node", 0, node_name, false },
    { "erlang", "node", 1, node_of, false },
    { "erlang", "nodes", 0, nodes_0, false },
    { "erlang", "nodes", 1, nodes_1, false },
    { "erlang", "is_alive", 0, yes, false },
    { "erlang", "memory", 0, memory_0, false },
    { "erlang", "memory", 1, memory_1, false },
    { "erlang", "statistics", 1, statistics, false },
    { "erlang", "system_flag", 2, system_flag, false },
    { "erlang", "system_info", 1, system_info, false },
    { "erlang", "system_time", 0, system_time_0, false },
    { "erlang", "system_time", 1, system_time_1, false },
    { "erlang", "monotonic_time", 0, monotonic_time_0, false },
    { "erlang", "monotonic_time", 1, monotonic_time_1, false },
    { "erlang", "time_offset", 0, time_offset_0, false },
    { "erlang", "time_offset", 1, time_offset_1, false },
    { "erlang", "timestamp", 0, timestamp, false },
    { "erlang", "localtime", 0, localtime_0, false },
    { "erlang", "universaltime", 0, universaltime_0, false },
    { "erlang", "ports", 0, empty, false },
    { "erlang", "port_info", 1, undefined, false },
    { "erlang", "port_info", 2, undefined, false },
    { "ets", "all", 0, empty, false },
    { "ets", "info", 1, undefined, false },
    { "ets", "info", 2, undefined, false },
    { "init", "get_argument", 1, init_argument, false },
    { "init", "get_arguments", 0, empty, false },
    { "init", "get_plain_arguments", 0, empty, false },
    { "init", "get_status", 0, init_status, false },
    { "net_adm", "localhost", 0, localhost, false },
    { "net_kernel", "get_net_ticktime", 0, ticktime, false },
    { "os", "getpid", 0, os_pid, false },
    { "os", "system_time", 0, system_time_0, false },
    { "os", "system_time", 1, system_time_1, false },
    { "os", "timestamp", 0, timestamp, false },
    { "os", "type", 0, os_type, false },
    { "Elixir.Node", "alive?", 0, yes, false },
    { "Elixir.Node", "list", 0, nodes_0, false },
    { "Elixir.Node", "list", 1, nodes_1, false },
    { "Elixir.Node", "self", 0, node_name, false },
    { "Elixir.System", "monotonic_time", 0, monotonic_time_0, false },
    { "Elixir.System", "monotonic_time", 1, monotonic_time_1, false },
    { "Elixir.System", "system_time", 0, system_time_0, false },
    { "Elixir.System", "system_time", 1, system_time_1, false },
    { NULL, NULL, 0, NULL, false },
};
