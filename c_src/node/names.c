/* SPDX-License-Identifier: Apache-2.0 */
/* The table of processes: finding them by pid and by registered name. */
#include "node/process.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "node/text.h"

/* ---- the table --------------------------------------------------------- */

enum tenon_err tn_processes_init(struct tn_processes *processes,
                                 uint32_t message_max,
                                 size_t bytes_max,
                                 tenon_error *err)
{
    *processes = (struct tn_processes){ .message_max = message_max,
                                        .bytes_max = bytes_max };
    STAILQ_INIT(&processes->spare);
    processes->slots = malloc(TN_PID_ID_MAX * sizeof(*processes->slots));
    if (processes->slots == NULL) {
        return tn_error(err, TENON_E_NOMEM, "out of memory for the processes");
    }
    for (uint32_t i = 0; i < TN_PID_ID_MAX; i++) {
        processes->slots[i] = (struct tn_slot){
            .next_free = (uint16_t)(i + 1 < TN_PID_ID_MAX ? i + 2 : 0)
        };
    }
    processes->free_first = 1;
    processes->free_last = TN_PID_ID_MAX;
    return TENON_OK;
}

void tn_processes_fini(struct tn_processes *processes)
{
    while (!STAILQ_EMPTY(&processes->spare)) {
        struct tn_message *message = STAILQ_FIRST(&processes->spare);
        STAILQ_REMOVE_HEAD(&processes->spare, next);
        free(message);
    }
    free(processes->slots);
    *processes = (struct tn_processes){ 0 };
}

static struct tn_slot *slot_of(struct tn_processes *processes, uint32_t id)
{
    return &processes->slots[id - 1];
}

void tn_process_enter_table_locked(tenon_process *process)
{
    struct tn_processes *all = &process->node->processes;
    process->id = all->free_first;
    struct tn_slot *slot = slot_of(all, process->id);
    all->free_first = slot->next_free;
    if (all->free_first == 0) {
        all->free_last = 0;
    }
    process->serial = slot->serial;
    slot->process = process;
    all->count++;
}

void tn_process_leave_table_locked(tenon_process *process)
{
    struct tn_processes *all = &process->node->processes;
    struct tn_slot *slot = slot_of(all, process->id);
    slot->process = NULL;
    slot->serial = (uint16_t)((slot->serial + 1) & TN_PID_SERIAL_MAX);
    slot->next_free = 0;
    if (all->free_last == 0) {
        all->free_first = (uint16_t)process->id;
    } else {
        slot_of(all, all->free_last)->next_free = (uint16_t)process->id;
    }
    all->free_last = (uint16_t)process->id;
    all->count--;
}

tenon_process *tn_process_find_locked(tenon_node *node, tenon_term pid)
{
    struct tn_id_view view;
    if (!tn_pid_view(pid, &view) || view.words[0] == 0 ||
        view.words[0] > TN_PID_ID_MAX || view.creation != node->creation ||
        !tn_atom_view_is(&view.node, node->name.full,
                         strlen(node->name.full))) {
        return NULL;
    }
    struct tn_slot *slot = slot_of(&node->processes, view.words[0]);
    if (slot->process == NULL || slot->process->unborn ||
        slot->serial != view.words[1]) {
        return NULL;
    }
    return slot->process;
}

tenon_process *
tn_process_named_locked(tenon_node *node, const char *name, size_t len)
{
    tenon_process *process = NULL;
    TN_HASH_FIND(by_name, node->processes.names, &node->hash_key, name, len,
                 process);
    return process;
}

tenon_process *tn_process_target_locked(tenon_node *node, tenon_term target)
{
    struct tn_text name;
    if (tn_text_of_atom(target, &name)) {
        return tn_process_named_locked(node, name.text, name.len);
    }
    return tn_process_find_locked(node, target);
}

tenon_process *tn_process_seen_locked(tenon_node *node, tenon_term target)
{
    tenon_process *process = tn_process_target_locked(node, target);
    return process != NULL && process->unseen ? NULL : process;
}

/* ---- names ------------------------------------------------------------- */

static const char *const own_names[] = { "rex", "net_kernel",
                                         "global_name_server", "logger_proxy" };

static bool name_is_free_to_use(const char *name, bool own_name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 255 || strcmp(name, "undefined") == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++) {
        if (strcmp(name, own_names[i]) == 0) {
            return own_name;
        }
    }
    return true;
}

enum tenon_err tn_process_register_locked(tenon_process *process,
                                          const char *name,
                                          bool own_name)
{
    if (!name_is_free_to_use(name, own_name) || process->name != NULL) {
        return TENON_E_INVAL;
    }
    tenon_node *node = process->node;
    size_t len = strlen(name);
    if (tn_process_named_locked(node, name, len) != NULL) {
        return TENON_E_EXISTS;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return TENON_E_NOMEM;
    }
    process->name = copy;
    TN_HASH_ADD(by_name, node->processes.names, &node->hash_key, process->name,
                len, process);
    if (!TN_HASH_HAS(by_name, process)) {
        process->name = NULL;
        free(copy);
        return TENON_E_NOMEM;
    }
    return TENON_OK;
}

void tn_process_unregister_locked(tenon_process *process)
{
    if (process->name == NULL) {
        return;
    }
    HASH_DELETE(by_name, process->node->processes.names, process);
    free(process->name);
    process->name = NULL;
}

enum tenon_err tenon_register(tenon_process *process, const char *name)
{
    if (process == NULL || name == NULL) {
        return TENON_E_INVAL;
    }
    tn_lock(process->node);
    enum tenon_err rc = process->exited
                            ? TENON_E_NOPROC
                            : tn_process_register_locked(process, name, false);
    tn_unlock(process->node);
    return rc;
}

enum tenon_err tenon_unregister(tenon_node *node, const char *name)
{
    if (node == NULL || name == NULL || !name_is_free_to_use(name, false)) {
        return TENON_E_INVAL;
    }
    tn_lock(node);
    tenon_process *process = tn_process_named_locked(node, name, strlen(name));
    if (process != NULL) {
        tn_process_unregister_locked(process);
    }
    tn_unlock(node);
    return process == NULL ? TENON_E_NOT_FOUND : TENON_OK;
}

tenon_process *tenon_whereis(tenon_node *node, const char *name)
{
    if (node == NULL || name == NULL) {
        return NULL;
    }
    tn_lock(node);
    tenon_process *process = tn_process_named_locked(node, name, strlen(name));
    if (process != NULL && process->unseen) {
        process = NULL;
    }
    if (process != NULL) {
        atomic_fetch_add(&process->refs, 1);
    }
    tn_unlock(node);
    return process;
}
