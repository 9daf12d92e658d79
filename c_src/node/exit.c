/* SPDX-License-Identifier: Apache-2.0 */
/* Exit signals at their destination, and sending them. */
#include "node/exit.h"

#include <string.h>

#include "base/error.h"
#include "node/atoms.h"
#include "node/node.h"
#include "term/build.h"

static enum tenon_err deliver_exit(tenon_process *process,
                                   tenon_term from,
                                   tenon_term reason,
                                   tn_account *account,
                                   bool forced,
                                   bool *wake)
{
    struct tenon_builder out;
    tenon_term message;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(&out, 3);
    tenon_build_atom(&out, "EXIT");
    tenon_build_term(&out, from);
    tenon_build_term(&out, reason);
    enum tenon_err rc = tenon_builder_term(&out, &message);
    if (rc == TENON_OK) {
        rc = tn_process_deliver_for_locked(process, message, account, forced,
                                           wake);
    }
    tn_builder_fini(&out);
    return rc;
}

static void trap_exit(tenon_process *process,
                      tenon_term from,
                      tenon_term reason,
                      tn_account *account,
                      bool *wake)
{
    enum tenon_err rc = deliver_exit(process, from, reason, account,
                                     tn_signal_is_small(reason), wake);
    if (rc == TENON_E_LIMIT || rc == TENON_E_TERM_DEEP) {
        rc = deliver_exit(process, from, tn_atom_system_limit, account, true,
                          wake);
    }
    if (rc != TENON_OK && rc != TENON_E_NOPROC) {
        /* One that waits for this message would wait for ever. */
        tn_process_doom_locked(process, tn_atom_killed, NULL);
    }
}

void tn_exit_from_link_locked(tenon_process *process,
                              tenon_term from,
                              tenon_term reason,
                              tn_account *account,
                              bool *wake)
{
    if (process->trap_exit) {
        trap_exit(process, from, reason, account, wake);
    } else if (!tenon_term_is_atom(reason, "normal")) {
        tn_process_doom_locked(process, reason, account);
    }
}

void tn_exit_signal_locked(tenon_process *process,
                           tenon_term from,
                           tenon_term reason,
                           tn_account *account,
                           bool *wake)
{
    if (tenon_term_is_atom(reason, "kill")) {
        tn_process_doom_locked(process, tn_atom_killed, NULL);
    } else if (!process->trap_exit && tenon_term_equal(from, process->pid)) {
        tn_process_doom_locked(process, reason, account);
    } else if (process->trap_exit && account != NULL) {
        (void)deliver_exit(process, from, reason, account, false, wake);
    } else {
        tn_exit_from_link_locked(process, from, reason, account, wake);
    }
}

/* With the lock. */
static enum tenon_err send_locked(tenon_process *from,
                                  const tenon_pid *to,
                                  tenon_term to_term,
                                  tenon_term reason,
                                  bool *wake)
{
    tenon_node *node = from->node;
    if (strcmp(to->node, node->name.full) == 0) {
        tenon_process *process = tn_process_find_locked(node, to_term);
        if (process != NULL) {
            tn_exit_signal_locked(process, from->pid, reason, NULL, wake);
            tn_processes_end_doomed_locked(node, wake);
        }
        return TENON_OK;
    }
    struct tn_peer *peer =
        tn_peer_get_locked(node, to->node, strlen(to->node), wake);
    if (peer == NULL) {
        return node->stopping ? TENON_E_STOPPED : TENON_E_NOMEM;
    }
    struct tn_signal signal = { .kind = TN_SIG_EXIT2,
                                .from = from->pid,
                                .to = to_term,
                                .payload = reason };
    enum tenon_err rc = tn_peer_send_locked(node, peer, &signal);
    return rc == TENON_E_NODEDOWN ? TENON_OK : rc;
}

enum tenon_err
tenon_exit_signal(tenon_process *from, const tenon_pid *to, tenon_term reason)
{
    if (from == NULL || to == NULL || reason.bytes == NULL) {
        return TENON_E_INVAL;
    }
    tenon_value *pid = tenon_value_format("~p", to);
    if (pid == NULL) {
        return TENON_E_INVAL;
    }
    bool wake = false;
    tn_lock(from->node);
    enum tenon_err rc =
        send_locked(from, to, tenon_value_term(pid), reason, &wake);
    tn_leave(from->node, wake);
    tenon_value_free(pid);
    return rc;
}
