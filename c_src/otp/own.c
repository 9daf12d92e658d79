/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the processes that serve the node itself, and showing them. */
#include "otp/own.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "node/node.h"

/* The state of such a process. */
struct running {
    const struct tn_own *own;
    tenon_node *node;
    struct tn_sys sys;
};

bool tn_own_system(tenon_process *self,
                   struct tn_sys *sys,
                   void (*build_state)(void *state, tenon_builder *out),
                   void *state,
                   tenon_term message)
{
    const struct tn_sys_ops ops = { .build_state = build_state };
    struct tn_gen gen = tn_gen_parse(message);
    if (gen.kind != TN_GEN_SYSTEM) {
        tn_sys_note_in(self, sys, message);
        return false;
    }
    /* Who may not end it may not look into it, nor stop it for a while. */
    if (tn_may_reach(tenon_process_node(self), tn_process_origin(self),
                     tn_process_pid(self), true)) {
        tn_sys_handle(self, sys, &ops, state, tn_process_pid(self), &gen);
    }
    return true;
}

static void build_state(void *state, tenon_builder *out)
{
    const struct running *running = state;
    running->own->build_state(running->node, out);
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    struct running *running = state;
    if (!tn_own_system(self, &running->sys, build_state, running, message)) {
        running->own->on_message(self, message);
    }
}

static void restart(tenon_node *node, const struct tn_own *own, const char *why)
{
    tenon_error err = { 0 };
    tn_log(&node->log, TN_WARN, "own_process_restarted", "name", own->title,
           "reason", why, NULL);
    if (own->start(node, &err) < 0 && !tn_is_stopping(node)) {
        tn_log(&node->log, TN_ERROR, "own_process_lost", "name", own->title,
               "why", err.text, NULL);
    }
}

static void on_exit_of(tenon_process *self, void *state, tenon_term reason)
{
    struct running *running = state;
    const struct tn_own *own = running->own;
    char why[200];
    tn_sys_fini(&running->sys);
    free(running);
    if (!tn_is_stopping(tenon_process_node(self))) {
        tenon_term_print(reason, why, sizeof why);
        restart(tenon_process_node(self), own, why);
    }
}

static const struct tn_process_class own_class = {
    .on_message = on_message,
    .on_exit = on_exit_of,
    .large_on_worker = true,
};

enum tenon_err tn_own_start(tenon_node *node,
                            const struct tn_own *own,
                            tenon_pid *pid,
                            tenon_error *err)
{
    tenon_error why = { .code = TENON_E_NOMEM };
    struct running *running = calloc(1, sizeof *running);
    struct tn_process_spec spec = {
        .class = &own_class,
        .state = running,
        .name = own->name,
        .own_name = true,
        .is_open = true,
        .run_inline = true,
        .trap_exit = true,
        .unseen = own->unseen,
    };
    tenon_process *self = NULL;
    if (running != NULL) {
        running->own = own;
        running->node = node;
        self = tn_process_start(node, &spec, &why);
    }
    if (self == NULL) {
        free(running);
        return tn_error(err, why.code, "start of process \"%s\": %s",
                        own->title, why.text);
    }
    if (pid != NULL) {
        tenon_process_pid(self, pid);
    }
    tenon_process_release(self);
    return TENON_OK;
}
