/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the system that the node is, and what it does not have. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "otp/info.h"

/* What a peer must be at least. */
#define OLDEST_PEER "23"

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
    tn_info_undefined(question);
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
    { "cpu_topology", tn_info_undefined },
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
    { "modified_timing_level", tn_info_undefined },
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

/* {ok, Name} of this machine, without its domain. */
static void gethostname_0(struct tn_question *question)
{
    struct utsname name;
    bool known = uname(&name) == 0;

    if (known) {
        name.nodename[strcspn(name.nodename, ".")] = '\0';
    }
    tenon_build_tuple(question->out, 2);
    tenon_build_atom(question->out, "ok");
    tn_info_build_chars(question->out, known ? name.nodename : "localhost");
}

static void elixir_otp_release(struct tn_question *question)
{
    tenon_build_string(question->out, OLDEST_PEER);
}

static void os_pid(struct tn_question *question)
{
    char text[24];

    snprintf(text, sizeof text, "%ld", (long)getpid());
    tn_info_build_chars(question->out, text);
}

const struct tn_info_function tn_info_system_functions[] = {
    { "erlang", "is_alive", 0, yes, false },
    { "erlang", "system_info", 1, system_info, false },
    { "erlang", "ports", 0, empty, false },
    { "erlang", "port_info", 1, tn_info_undefined, false },
    { "erlang", "port_info", 2, tn_info_undefined, false },
    { "ets", "all", 0, empty, false },
    { "ets", "info", 1, tn_info_undefined, false },
    { "ets", "info", 2, tn_info_undefined, false },
    { "inet", "gethostname", 0, gethostname_0, false },
    { "init", "get_argument", 1, init_argument, false },
    { "init", "get_arguments", 0, empty, false },
    { "init", "get_plain_arguments", 0, empty, false },
    { "init", "get_status", 0, init_status, false },
    { "os", "getpid", 0, os_pid, false },
    { "os", "type", 0, os_type, false },
    { "Elixir.Node", "alive?", 0, yes, false },
    { "Elixir.System", "otp_release", 0, elixir_otp_release, false },
    { "Elixir.System", "schedulers", 0, one, false },
    { "Elixir.System", "schedulers_online", 0, one, false },
    { NULL, NULL, 0, NULL, false },
};
