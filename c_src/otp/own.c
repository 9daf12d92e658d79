/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the processes that serve the node itself. */
#include "otp/own.h"

#include "base/error.h"
#include "base/log.h"
#include "node/node.h"

enum tenon_err tn_own_start(tenon_node *node,
                            const struct tn_process_class *class,
                            const char *name,
                            bool unseen,
                            tenon_pid *pid,
                            tenon_error *err)
{
    struct tn_process_spec spec = {
        .class = class,
        .name = name,
        .own_name = true,
        .run_inline = true,
        .trap_exit = true,
        .unseen = unseen,
    };
    tenon_error own = { .code = TENON_E_NOMEM };
    tenon_process *self = tn_process_start(node, &spec, &own);
    if (self == NULL) {
        return tn_error(err, own.code, "start of process \"%s\": %s",
                        name != NULL ? name : "local rpc", own.text);
    }
    if (pid != NULL) {
        tenon_process_pid(self, pid);
    }
    tenon_process_release(self);
    return TENON_OK;
}

void tn_own_restart(tenon_process *ended,
                    tenon_term reason,
                    const char *name,
                    enum tenon_err (*start)(tenon_node *, tenon_error *))
{
    tenon_node *node = tenon_process_node(ended);
    tenon_error err = { 0 };
    char text[200];
    if (tn_is_stopping(node)) {
        return;
    }
    tenon_term_print(reason, text, sizeof text);
    tn_log(&node->log, TN_WARN, "own_process_restarted", "name", name, "reason",
           text, NULL);
    if (start(node, &err) < 0 && !tn_is_stopping(node)) {
        tn_log(&node->log, TN_ERROR, "own_process_lost", "name", name, "why",
               err.text, NULL);
    }
}
