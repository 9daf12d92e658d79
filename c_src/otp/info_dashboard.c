/* SPDX-License-Identifier: Apache-2.0 */
/* What Phoenix LiveDashboard asks a node that was chosen in its node picker:
 * on a BEAM node it loads its module SystemInfo and runs that, here the module
 * is there already. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "otp/info.h"
#include "term/view.h"

#define MODULE "Elixir.Phoenix.LiveDashboard.SystemInfo"

/* "dashboard_running?" keeps the dashboard from replacing the module. */
static void capabilities(struct tn_question *question)
{
    tenon_format(question->out,
                 "%{system_info: \"\", dashboard_running?: true, "
                 "applications: [], modules: [], processes: []}");
}

/* ---- the home page ----------------------------------------------------- */

static void build_pair(tenon_builder *out, const char *key, uint64_t value)
{
    tenon_build_atom(out, key);
    tenon_build_uint(out, value);
}

/* erlang:memory() under the names of the dashboard, and the rest as other. */
static void build_memory(struct tn_question *question)
{
    tenon_builder *out = question->out;
    struct tn_info_memory memory;

    tn_info_measure_memory(question->node, &memory);
    tenon_build_map(out, 7);
    build_pair(out, "total", memory.total);
    build_pair(out, "process", memory.processes);
    build_pair(out, "atom", 0);
    build_pair(out, "binary", 0);
    build_pair(out, "code", memory.code);
    build_pair(out, "ets", 0);
    build_pair(out, "other", memory.total - memory.processes - memory.code);
}

static uint64_t process_count(tenon_node *node)
{
    tn_lock(node);
    uint64_t count = node->processes.count;

    tn_unlock(node);
    return count;
}

static void usage(struct tn_question *question)
{
    tenon_builder *out = question->out;
    tenon_node_stats stats;
    uint64_t waiting = (uint64_t)tn_info_run_queue(question->node);

    tenon_node_get_stats(question->node, &stats, sizeof stats);
    tenon_build_map(out, 8);
    build_pair(out, "atoms", 0);
    build_pair(out, "ports", 0);
    build_pair(out, "processes", process_count(question->node));
    tenon_build_atom(out, "io");
    tenon_format(out, "{~u, ~u}", stats.bytes_in, stats.bytes_out);
    build_pair(out, "uptime", (uint64_t)tn_info_uptime_ms(question->node));
    tenon_build_atom(out, "memory");
    build_memory(question);
    build_pair(out, "total_run_queue", waiting);
    build_pair(out, "cpu_run_queue", waiting);
}

static void build_system_item(struct tn_question *question,
                              const char *key,
                              const char *item)
{
    tenon_value *name = tenon_value_format("~a", item);

    tenon_build_atom(question->out, key);
    if (name == NULL ||
        !tn_info_build_system(question, tenon_value_term(name))) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
    }
    tenon_value_free(name);
}

/* The values of a C program's environment are not told. */
static void build_environment(struct tn_question *question, tenon_term keys)
{
    tenon_cursor at;
    tenon_term key;

    if (!tenon_term_is_proper_list(keys)) {
        tenon_build_atom(question->out, "nil");
        return;
    }
    tenon_build_list(question->out, tenon_term_count(keys));
    tenon_cursor_init(&at, keys);
    while (tenon_cursor_next(&at, &key)) {
        tenon_format(question->out, "{~t, nil}", key);
    }
    tenon_build_nil(question->out);
}

static void info(struct tn_question *question)
{
    tenon_builder *out = question->out;

    tenon_build_map(out, 4);
    tenon_build_atom(out, "system_info");
    tenon_build_map(out, 5);
    build_system_item(question, "banner", "system_version");
    build_system_item(question, "system_architecture", "system_architecture");
    tenon_build_atom(out, "elixir_version");
    tenon_build_string(out, "None");
    tenon_build_atom(out, "phoenix_version");
    tenon_build_string(out, "None");
    tenon_build_atom(out, "app_version");
    tenon_build_string(out, "None");
    tenon_build_atom(out, "system_limits");
    tenon_build_map(out, 3);
    build_system_item(question, "atoms", "atom_limit");
    build_system_item(question, "ports", "port_limit");
    build_system_item(question, "processes", "process_limit");
    tenon_build_atom(out, "system_usage");
    usage(question);
    tenon_build_atom(out, "environment");
    build_environment(question, tn_question_arg(question, 0));
}

/* ---- processes --------------------------------------------------------- */

struct row {
    tenon_process *process; /* kept */
    uint64_t memory;
    uint64_t reductions;
    uint64_t grown; /* reductions since the dashboard looked last */
    uint64_t waiting;
    int64_t order;     /* what they are sorted by */
    uint32_t id;       /* of the pid */
    tenon_value *runs; /* owned; what it runs */
    char name[160];
};

/* What a process runs, as a term. owned: tenon_value_free; NULL without memory.
 * With the lock. */
static tenon_value *copy_mfa(const tenon_process *process)
{
    tenon_builder out;
    tenon_term mfa;
    tenon_value *copy = NULL;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tn_info_build_mfa(&out, process);
    if (tenon_builder_term(&out, &mfa) == TENON_OK) {
        copy = tenon_value_new(mfa);
    }
    tn_builder_fini(&out);
    return copy;
}

/* As Exception.format_mfa/3. */
static void write_mfa(char *text, size_t cap, tenon_term mfa)
{
    tenon_term module, name, arity;
    char part[3][70];

    if (tenon_match(mfa, "{~t, ~t, ~t}", &module, &name, &arity)) {
        tenon_term_print(module, part[0], sizeof part[0]);
        tenon_term_print(name, part[1], sizeof part[1]);
        tenon_term_print(arity, part[2], sizeof part[2]);
        snprintf(text, cap, "%s.%s/%s", part[0],
                 part[1] + (part[1][0] == ':' ? 1 : 0), part[2]);
    }
}

/* As inspect/1 shows the atom of a name. */
static void write_atom(char *text, size_t cap, const char *name)
{
    tenon_value *atom = tenon_value_format("~a", name);

    tenon_term_print(tenon_value_term(atom), text, cap);
    tenon_value_free(atom);
}

/* With the lock. */
static void write_name(struct row *row, const tenon_process *process)
{
    if (process->name != NULL && !process->unseen) {
        write_atom(row->name, sizeof row->name, process->name);
    } else {
        write_mfa(row->name, sizeof row->name, tenon_value_term(row->runs));
    }
}

/* All processes. owned: free_rows. */
static struct row *take_rows(tenon_node *node, size_t *count)
{
    size_t n = 0;

    tn_lock(node);
    const struct tn_processes *all = &node->processes;
    struct row *rows = calloc((size_t)all->count + 1, sizeof *rows);

    for (uint32_t i = 0; rows != NULL && i < TN_PID_ID_MAX; i++) {
        tenon_process *process = all->slots[i].process;

        if (process == NULL) {
            continue;
        }
        rows[n] = (struct row){
            .process = tenon_process_keep(process),
            .memory = tn_info_process_bytes(process),
            .reductions = process->handled,
            .waiting = process->mailbox_count,
            .runs = copy_mfa(process),
        };
        struct tn_id_view pid;

        if (tn_pid_view(tn_process_pid(process), &pid)) {
            rows[n].id = pid.words[0];
        }
        write_name(&rows[n], process);
        n++;
    }
    tn_unlock(node);
    *count = n;
    return rows;
}

static void drop_row(struct row *row)
{
    tenon_process_release(row->process);
    tenon_value_free(row->runs);
}

static void free_rows(struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        drop_row(&rows[i]);
    }
    free(rows);
}

/* Whether the text, in small letters, is in the row's name or pid. */
static bool is_searched(const struct row *row, const char *search, size_t len)
{
    char text[480];
    size_t used = strlen(row->name);

    memcpy(text, row->name, used);
    tenon_term_print(tn_process_pid(row->process), text + used,
                     sizeof text - used);
    for (char *p = text; *p != '\0'; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return memmem(text, strlen(text), search, len) != NULL;
}

static void drop_unsearched(struct row *rows, size_t *count, tenon_term search)
{
    const void *text;
    size_t len, kept = 0;

    if (tenon_term_binary(search, &text, &len) != TENON_OK) {
        return;
    }
    for (size_t i = 0; i < *count; i++) {
        if (is_searched(&rows[i], text, len)) {
            rows[kept++] = rows[i];
        } else {
            drop_row(&rows[i]);
        }
    }
    *count = kept;
}

static int by_order(const void *a, const void *b)
{
    const struct row *one = a;
    const struct row *two = b;

    if (one->order != two->order) {
        return one->order < two->order ? -1 : 1;
    }
    return one->process->id < two->process->id ? -1 : 1;
}

static int by_id(const void *a, const void *b)
{
    const struct row *one = a;
    const struct row *two = b;

    return (one->id > two->id) - (one->id < two->id);
}

/* The row of a process; NULL: there is none. rows: by id, as they are taken. */
static struct row *find_row(struct row *rows, size_t count, tenon_term pid)
{
    struct tn_id_view view;

    if (!tn_pid_view(pid, &view)) {
        return NULL;
    }
    struct row *row = bsearch(&(struct row){ .id = view.words[0] }, rows, count,
                              sizeof *rows, by_id);

    return row != NULL && tenon_term_equal(tn_process_pid(row->process), pid)
               ? row
               : NULL;
}

/* before: %{pid => reductions}, as this node answered the last time. Walked
 * once: looking up each process in it would take its size times their number.
 */
static void set_grown(struct row *rows, size_t count, tenon_term before)
{
    tenon_cursor at;
    tenon_term pid, value;

    for (size_t i = 0; i < count; i++) {
        rows[i].grown = rows[i].reductions;
    }
    tenon_cursor_init(&at, before);
    while (tenon_cursor_next_pair(&at, &pid, &value)) {
        struct row *row = find_row(rows, count, pid);
        uint64_t seen;

        if (row != NULL && tenon_term_uint64(value, &seen) == TENON_OK) {
            row->grown = row->reductions - seen;
        }
    }
}

static void
sort_rows(struct row *rows, size_t count, tenon_term by, bool descending)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t key = tenon_term_is_atom(by, "memory") ? rows[i].memory
                       : tenon_term_is_atom(by, "message_queue_len")
                           ? rows[i].waiting
                           : rows[i].grown;

        rows[i].order = descending ? -(int64_t)key : (int64_t)key;
    }
    qsort(rows, count, sizeof *rows, by_order);
}

static void build_row(tenon_builder *out, const struct row *row)
{
    tenon_format(out,
                 "[pid: ~t, name_or_initial_call: ~s, reductions_diff: ~u, "
                 "memory: ~u, reductions: ~u, message_queue_len: ~u, "
                 "current_function: ~t]",
                 tn_process_pid(row->process), row->name, row->grown,
                 row->memory, row->reductions, row->waiting,
                 tenon_value_term(row->runs));
}

/* {Rows, Count, Reductions of all} */
static void processes(struct tn_question *question)
{
    tenon_builder *out = question->out;
    size_t count;
    uint64_t limit = 0;
    struct row *rows = take_rows(question->node, &count);

    if (rows == NULL) {
        tn_builder_fail(out, TENON_E_NOMEM);
        return;
    }
    (void)!tenon_term_uint64(tn_question_arg(question, 3), &limit);
    drop_unsearched(rows, &count, tn_question_arg(question, 0));
    set_grown(rows, count, tn_question_arg(question, 4));
    sort_rows(rows, count, tn_question_arg(question, 1),
              tenon_term_is_atom(tn_question_arg(question, 2), "desc"));
    size_t shown = limit < count ? (size_t)limit : count;

    tenon_build_tuple(out, 3);
    tenon_build_list(out, shown);
    for (size_t i = 0; i < shown; i++) {
        build_row(out, &rows[i]);
    }
    tenon_build_nil(out);
    tenon_build_uint(out, count);
    tenon_build_map(out, count);
    for (size_t i = 0; i < count; i++) {
        tenon_build_term(out, tn_process_pid(rows[i].process));
        tenon_build_uint(out, rows[i].reductions);
    }
    free_rows(rows, count);
}

/* ---- what there is none of --------------------------------------------- */

static void none(struct tn_question *question)
{
    tenon_format(question->out, "{[], 0}");
}

static void applications(struct tn_question *question)
{
    tenon_format(question->out,
                 "{[[name: :tenon, description: \"A C process as a node\", "
                 "version: ~s, state: :started, tree?: false]], 1}",
                 TENON_VERSION_STRING);
}

static void gone(struct tn_question *question)
{
    tenon_build_atom(question->out, "error");
}

const struct tn_info_function tn_info_dashboard_functions[] = {
    { MODULE, "app_tree_callback", 1, gone, false },
    { MODULE, "applications_info_callback", 4, applications, false },
    { MODULE, "capabilities_callback", 1, capabilities, false },
    { MODULE, "ets_callback", 4, none, false },
    { MODULE, "info_callback", 2, info, false },
    { MODULE, "ports_callback", 4, none, false },
    { MODULE, "processes_callback", 5, processes, false },
    { MODULE, "sockets_callback", 4, none, false },
    { MODULE, "usage_callback", 0, usage, false },
    { NULL, NULL, 0, NULL, false },
};
