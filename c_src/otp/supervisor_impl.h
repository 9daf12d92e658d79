/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a supervisor share: supervisor_children.c (their start and
 * end), supervisor_calls.c (what it is asked), supervisor.c. */
#ifndef TN_OTP_SUPERVISOR_IMPL_H
#define TN_OTP_SUPERVISOR_IMPL_H

#include <tenon/supervisor.h>

#include "otp/child.h"
#include "otp/restart.h"

/* The state of a supervisor's process, which alone touches it. */
struct tn_supervisor {
    enum tenon_strategy strategy;
    struct tn_restarts restarts; /* lie in `times` */
    uint32_t max_children;
    struct tn_children children;
    uint32_t count;
    uint64_t last_number;
    uint64_t times[];
};

static inline bool tn_is_dynamic(const struct tn_supervisor *sup)
{
    return sup->strategy == TENON_DYNAMIC;
}

/* ---- the list of children ----------------------------------------------- */

/* NULL: there is none. */
struct tn_child *tn_children_find_pid(struct tn_supervisor *sup,
                                      tenon_term pid);
struct tn_child *tn_children_find_id(struct tn_supervisor *sup, tenon_term id);
struct tn_child *tn_children_find_number(struct tn_supervisor *sup,
                                         uint64_t number);
/* child: taken. */
void tn_children_add(struct tn_supervisor *sup, struct tn_child *child);
void tn_children_forget(struct tn_supervisor *sup, struct tn_child *child);
/* What is left of a child that is not to be restarted. */
void tn_children_lay_down(struct tn_supervisor *sup, struct tn_child *child);
void tn_child_clear_pid(struct tn_child *child);
/* Appends the list of which_children. */
void tn_children_build(tenon_builder *out, struct tn_supervisor *sup);

/* ---- their start and end ------------------------------------------------ */

/* How a start ended. */
enum tn_child_start {
    TN_CHILD_STARTED, /* the child has its pid */
    TN_CHILD_IGNORED,
    TN_CHILD_FAILED,
};

/* detail  owned; set to the info of {:ok, pid, info} or the reason of a
 *         failure, NULL when there is none. */
enum tn_child_start tn_child_start(tenon_process *self,
                                   const struct tn_supervisor *sup,
                                   struct tn_child *child,
                                   tenon_value **detail);
/* Waits for its end, as long as the child's shutdown says. */
void tn_child_end(tenon_process *self,
                  struct tn_supervisor *sup,
                  struct tn_child *child);
/* One after the other, the last one first, down to and with `first`. The
 * temporary ones are forgotten. */
void tn_children_end_from(tenon_process *self,
                          struct tn_supervisor *sup,
                          struct tn_child *first);
/* All are forgotten. */
void tn_children_end_all(tenon_process *self, struct tn_supervisor *sup);

/* ---- its calls ---------------------------------------------------------- */

/* on_call of the process; state: the supervisor. */
void tn_supervisor_on_call(tenon_call *call, void *state);

#endif
