/* SPDX-License-Identifier: Apache-2.0 */
/* Children of supervisors: their specifications, read and shown. Starts
 * nothing. */
#ifndef TN_OTP_CHILD_H
#define TN_OTP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/supervisor.h>

#include "node/quota.h"

/* One child; its supervisor's process alone touches it. */
struct tn_child {
    TAILQ_ENTRY(tn_child) next; /* in the order of their start */
    tenon_value *id;            /* NULL: of a dynamic supervisor */
    tenon_value *start;         /* {module, function, arguments} */
    tenon_value *modules;       /* a list, or the atom dynamic */
    enum tenon_restart restart;
    uint32_t shutdown_ms;
    bool is_supervisor;
    tenon_value *pid;        /* NULL: it does not run */
    bool restarting;         /* a restart has failed and is tried again */
    uint64_t number;         /* told apart by, from 1 */
    struct tn_charge charge; /* on the account of who has it started */
    bool is_awaited;         /* while it is ended */
    uint64_t kill_at;        /* likewise, tn_now_ms; UINT64_MAX: never */
};
TAILQ_HEAD(tn_children, tn_child);

/* Reads the specification of a child that has an id: a map, or the tuple {id,
 * start, restart, shutdown, type, modules}.
 *
 * problem  what is wrong with it, as supervisor says it; owned. NULL on
 *          success and out of memory.
 * owned: tn_child_free. NULL: see problem. */
TENON_CHECK struct tn_child *tn_child_read(tenon_term spec,
                                           tenon_value **problem);
/* The same of a dynamic supervisor's: {start, restart, shutdown, type,
 * modules}. */
TENON_CHECK struct tn_child *tn_child_read_dynamic(tenon_term spec,
                                                   tenon_value **problem);
/* The child counts for a peer from now on, until it is freed. False: there is
 * no room for it. */
TENON_CHECK bool tn_child_count_for(struct tn_child *child,
                                    tn_account *account);
/* child: taken; NULL is fine. */
void tn_child_free(struct tn_child *child);

/* Appends what which_children, get_childspec, and an error of start_child have
 * of a child. */
void tn_child_build_info(tenon_builder *out, const struct tn_child *child);
void tn_child_build_spec(tenon_builder *out, const struct tn_child *child);
void tn_child_build_record(tenon_builder *out, const struct tn_child *child);

#endif
