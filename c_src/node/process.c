/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a process: its start, its end, who holds it. */
#include "node/process.h"

#include <stdlib.h>
#include <string.h>

#include "base/condition.h"
#include "base/error.h"
#include "node/alias.h"
#include "node/atoms.h"
#include "node/link.h"
#include "node/loop.h"
#include "node/node.h"
#include "term/build.h"
#include "term/bytes.h"
#include "term/format.h"
#include "term/tags.h"

/* Links, monitors and aliases of an ended process, and processes that links
 * end, under the lock at a time. */
#define TELL_AT_A_TIME 256u
#define END_AT_A_TIME 16u

/* NEW_PID_EXT with the node's name as SMALL_ATOM_UTF8_EXT. */
#define PID_BYTES(name_len) (15u + (name_len))

/* ---- start and end ----------------------------------------------------- */

static tenon_process *allocate(tenon_node *node,
                               const struct tn_process_spec *spec)
{
    tenon_process *process =
        calloc(1, sizeof(*process) + PID_BYTES(strlen(node->name.full)));
    if (process == NULL) {
        return NULL;
    }
    atomic_init(&process->refs, 2); /* the table's and the caller's */
    process->node = node;
    process->class = spec->class;
    process->state = spec->state;
    process->run_inline = spec->run_inline;
    process->unseen = spec->unseen;
    process->unborn = spec->unborn;
    process->immortal = spec->immortal;
    process->is_open = spec->is_open;
    process->trap_exit = spec->trap_exit;
    process->job.fn = tn_process_run_job;
    STAILQ_INIT(&process->mailbox);
    LIST_INIT(&process->links);
    LIST_INIT(&process->aliases);
    LIST_INIT(&process->monitoring);
    LIST_INIT(&process->monitored);
    return process;
}

/* A mailbox: its messages are waited for. */
static bool make_condition(tenon_process *process)
{
    if (process->class->on_message != NULL) {
        return true;
    }
    process->arrived = malloc(sizeof(*process->arrived));
    if (process->arrived == NULL) {
        return false;
    }
    if (!tn_condition_init(process->arrived)) {
        free(process->arrived);
        process->arrived = NULL;
        return false;
    }
    return true;
}

static void destroy(tenon_process *process)
{
    if (process->arrived != NULL) {
        pthread_cond_destroy(process->arrived);
        free(process->arrived);
    }
    tenon_value_free(process->exit_reason);
    tenon_value_free(process->doom_reason);
    tn_account_discharge(process->doom_account, process->doom_bytes);
    tn_account_unref(process->doom_account);
    tn_account_discharge(process->spawner, process->spawned_bytes);
    tn_account_unref(process->spawner);
    free(process->name);
    free(process);
}

static void encode_pid(tenon_process *process)
{
    const char *name = process->node->name.full;
    size_t len = strlen(name);
    uint8_t *p = process->pid_bytes;
    p[0] = TN_NEW_PID;
    p[1] = TN_SMALL_ATOM_UTF8;
    p[2] = (uint8_t)len;
    memcpy(p + 3, name, len);
    tn_put32(p + 3 + len, process->id);
    tn_put32(p + 7 + len, process->serial);
    tn_put32(p + 11 + len, process->node->creation);
    process->pid = (tenon_term){ p, PID_BYTES(len) };
}

static bool count_for_locked(tenon_process *process,
                             tn_account *account,
                             size_t state_bytes)
{
    if (account == NULL) {
        return true;
    }
    size_t bytes = sizeof *process + state_bytes;
    if (!tn_quota_take(account, TN_QUOTA_PROCESSES, TN_PEER_PROCESSES_MAX,
                       bytes, "processes")) {
        return false;
    }
    process->spawner = tn_account_ref(account);
    process->spawned_bytes = bytes;
    return true;
}

/* Its bytes are there until its last handler has returned. */
static void count_no_more_locked(tenon_process *process)
{
    tn_account_give_back(process->spawner, TN_QUOTA_PROCESSES);
}

bool tn_process_count_for(tenon_node *node, tenon_term pid, tn_account *account)
{
    tn_lock(node);
    tenon_process *process = tn_process_find_locked(node, pid);
    bool counts = process == NULL || process->spawner != NULL ||
                  count_for_locked(process, account, 0);
    tn_unlock(node);
    return counts;
}

static enum tenon_err enter_locked(tenon_process *process,
                                   const struct tn_process_spec *spec)
{
    tenon_node *node = process->node;
    if (node->stopping) {
        return TENON_E_STOPPED;
    }
    if (node->processes.free_first == 0 ||
        !count_for_locked(process, spec->account, spec->state_bytes)) {
        return TENON_E_LIMIT;
    }
    if (spec->name != NULL) {
        enum tenon_err rc =
            tn_process_register_locked(process, spec->name, spec->own_name);
        if (rc != TENON_OK) {
            count_no_more_locked(process);
            return rc;
        }
    }
    tn_process_enter_table_locked(process);
    encode_pid(process);
    return TENON_OK;
}

static void explain_start(tenon_error *err,
                          enum tenon_err code,
                          const struct tn_process_spec *spec)
{
    if (spec->name != NULL && code == TENON_E_EXISTS) {
        tn_error(err, code,
                 "could not start process: name '%s' is registered already",
                 spec->name);
    } else if (spec->name != NULL && code == TENON_E_INVAL) {
        tn_error(err, code,
                 "could not start process: '%s' cannot be registered",
                 spec->name);
    } else if (code == TENON_E_LIMIT) {
        tn_error(err, code, "could not start process: %d are running already",
                 TENON_PROCESSES_MAX);
    } else {
        tn_error(err, code, "could not start process: %s",
                 tenon_err_text(code));
    }
}

tenon_process *tn_process_start(tenon_node *node,
                                const struct tn_process_spec *spec,
                                tenon_error *err)
{
    tenon_process *process = allocate(node, spec);
    if (process == NULL || !make_condition(process)) {
        free(process);
        explain_start(err, TENON_E_NOMEM, spec);
        return NULL;
    }
    tn_lock(node);
    enum tenon_err rc = enter_locked(process, spec);
    tn_unlock(node);
    if (rc != TENON_OK) {
        destroy(process);
        explain_start(err, rc, spec);
        return NULL;
    }
    return process;
}

/* How much is done at a time under the lock: without limit where no loop goes
 * on with the rest. */
static unsigned at_a_time(const tenon_node *node, unsigned max)
{
    return node->loop_started && !atomic_load(&node->loop_closed) ? max
                                                                  : UINT_MAX;
}

/* False: nobody is left to be told. */
static bool tell_some_locked(tenon_process *process, bool *wake)
{
    unsigned max = at_a_time(process->node, TELL_AT_A_TIME);
    tenon_term reason = process->exit_reason == NULL
                            ? tn_atom_killed
                            : tenon_value_term(process->exit_reason);
    tn_links_process_ended(process, reason, &max, wake);
    tn_aliases_process_ended(process, &max);
    return max == 0;
}

/* Ends one process; those that its links take along are only noted. */
static void
end_this_locked(tenon_process *process, tenon_term reason, bool *wake)
{
    if (reason.bytes == NULL) {
        reason = tn_atom_killed;
    }
    process->exited = true;
    tn_process_unregister_locked(process);
    tn_process_leave_table_locked(process);
    count_no_more_locked(process);
    tenon_value_free(process->exit_reason);
    process->exit_reason = tenon_value_new(reason);
    if (tell_some_locked(process, wake)) {
        (void)tenon_process_keep(process);
        STAILQ_INSERT_TAIL(&process->node->ending, process, ending_next);
        *wake = true;
    }
    if (process->class->on_exit == NULL) {
        process->on_exit_done = true;
        tn_process_drop_messages_locked(process);
    }
    tn_process_schedule_locked(process, wake);
    /* The table's reference; whoever calls this holds another. */
    tenon_process_release(process);
}

void tn_process_doom_locked(tenon_process *process,
                            tenon_term reason,
                            tn_account *account)
{
    if (process->exited || process->doomed || process->immortal) {
        return;
    }
    process->doomed = true;
    /* It is kept twice, and until the last handler has returned. */
    size_t bytes = 2 * reason.len;
    if (!tn_quota_charge(account, bytes, "reasons")) {
        reason = tn_atom_killed;
    } else if (account != NULL) {
        process->doom_account = tn_account_ref(account);
        process->doom_bytes = bytes;
    }
    process->doom_reason = tenon_value_new(reason);
    (void)tenon_process_keep(process);
    STAILQ_INSERT_TAIL(&process->node->doomed, process, doomed_next);
}

void tn_processes_end_doomed_locked(tenon_node *node, bool *wake)
{
    tenon_process *process;
    unsigned max = at_a_time(node, END_AT_A_TIME);
    for (; max > 0 && (process = STAILQ_FIRST(&node->doomed)) != NULL; max--) {
        STAILQ_REMOVE_HEAD(&node->doomed, doomed_next);
        if (!process->exited) {
            end_this_locked(process, tenon_value_term(process->doom_reason),
                            wake);
        }
        tenon_process_release(process);
    }
    *wake |= !STAILQ_EMPTY(&node->doomed);
}

static bool go_on_locked(tenon_node *node, bool *wake)
{
    tn_processes_end_doomed_locked(node, wake);
    tenon_process *process = STAILQ_FIRST(&node->ending);
    if (process != NULL && !tell_some_locked(process, wake)) {
        STAILQ_REMOVE_HEAD(&node->ending, ending_next);
        tenon_process_release(process);
    }
    return !STAILQ_EMPTY(&node->doomed) || !STAILQ_EMPTY(&node->ending);
}

void tn_processes_go_on_ending(tenon_node *node)
{
    bool left;
    do {
        bool wake = false;
        tn_lock(node);
        left = go_on_locked(node, &wake);
        tn_leave(node, wake);
    } while (left && !tn_loop_is_spent(node));
}

enum tenon_err
tn_process_end_locked(tenon_process *process, tenon_term reason, bool *wake)
{
    if (process->exited) {
        return TENON_E_NOPROC;
    }
    tenon_node *node = process->node;
    tenon_process_keep(process);
    end_this_locked(process, reason, wake);
    tn_processes_end_doomed_locked(node, wake);
    tenon_process_release(process);
    return TENON_OK;
}

enum tenon_err tn_process_end(tenon_process *process, tenon_term reason)
{
    tenon_node *node = process->node;
    bool wake = false;
    tn_lock(node);
    enum tenon_err rc = tn_process_end_locked(process, reason, &wake);
    tn_leave(node, wake);
    return rc;
}

bool tn_process_begin_end(tenon_process *self)
{
    tn_lock(self->node);
    bool alive = !self->exited;
    self->immortal = true;
    tn_unlock(self->node);
    return alive;
}

static void end_one_locked(tenon_process *process)
{
    bool wake = false;
    (void)tn_process_end_locked(process, tn_atom_shutdown, &wake);
}

void tn_processes_end_all(tenon_node *node)
{
    struct tn_processes *all = &node->processes;
    for (uint32_t id = 1; id <= TN_PID_ID_MAX; id++) {
        tn_lock(node);
        tenon_process *process = all->slots[id - 1].process;
        if (process != NULL) {
            end_one_locked(process);
        }
        tn_leave(node, process != NULL);
    }
}

tenon_process *tenon_process_keep(tenon_process *process)
{
    if (process != NULL) {
        atomic_fetch_add(&process->refs, 1);
    }
    return process;
}

void tenon_process_release(tenon_process *process)
{
    if (process != NULL && atomic_fetch_sub(&process->refs, 1) == 1) {
        destroy(process);
    }
}

/* ---- the rest of the public face --------------------------------------- */

void tenon_process_pid(const tenon_process *process, tenon_pid *pid)
{
    if (tenon_term_pid(process->pid, pid) != TENON_OK) {
        *pid = (tenon_pid){ 0 };
    }
}

tenon_node *tenon_process_node(const tenon_process *process)
{
    return process->node;
}

void tenon_process_trap_exit(tenon_process *process, bool trap)
{
    tn_lock(process->node);
    process->trap_exit = trap;
    tn_unlock(process->node);
}

/* Its own handler asks: ends when that returns. */
static bool ask_end_locked(tenon_process *process, tenon_value **reason)
{
    if (process->run != TN_RUN_NOW ||
        !pthread_equal(process->runner, pthread_self())) {
        return false;
    }
    if (!process->exit_at_end) {
        process->exit_at_end = true;
        process->exit_reason = *reason;
        *reason = NULL;
    }
    return true;
}

enum tenon_err tn_process_exit_value(tenon_process *process,
                                     tenon_value *reason)
{
    tenon_node *node = process->node;
    bool wake = false;
    enum tenon_err rc = TENON_OK;
    tn_lock(node);
    if (process->exited) {
        rc = TENON_E_NOPROC;
    } else if (!ask_end_locked(process, &reason)) {
        rc = tn_process_end_locked(process, tenon_value_term(reason), &wake);
    }
    tn_leave(node, wake);
    tenon_value_free(reason);
    return rc;
}

enum tenon_err
tenon_process_exit(tenon_process *process, const char *pattern, ...)
{
    if (process == NULL || pattern == NULL) {
        return TENON_E_INVAL;
    }
    va_list args;
    struct tenon_builder out;
    tenon_term term;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    va_start(args, pattern);
    (void)tn_format_va(&out, pattern, &args);
    va_end(args);
    enum tenon_err rc = TENON_E_INVAL;
    if (tenon_builder_term(&out, &term) == TENON_OK) {
        rc = tn_process_exit_value(process, tenon_value_new(term));
    }
    tn_builder_fini(&out);
    return rc;
}

tenon_process *
tenon_mailbox_new(tenon_node *node, const char *name, tenon_error *err)
{
    static const struct tn_process_class mailbox = { .kind = "mailbox" };
    if (node == NULL) {
        tn_error(err, TENON_E_INVAL, "could not start mailbox: no node");
        return NULL;
    }
    return tn_process_start(
        node, &(struct tn_process_spec){ .class = &mailbox, .name = name },
        err);
}
