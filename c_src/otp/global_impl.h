/* SPDX-License-Identifier: Apache-2.0 */
/* The global name server of a node, between its files: what the core is given
 * to act by. */
#ifndef TN_OTP_GLOBAL_IMPL_H
#define TN_OTP_GLOBAL_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tenon/node.h>
#include <tenon/term.h>

#include "node/process.h"
#include "otp/global_core.h"
#include "otp/global_serial.h"
#include "otp/sys.h"

#define TN_GLOBAL_NAME "global_name_server"

/* A node has come or gone. */
struct tn_gchange {
    STAILQ_ENTRY(tn_gchange) next;
    bool up;
    char name[];
};

struct tn_gtimed;

/* Kept with the node. */
struct tn_gserver {
    tenon_node *node;
    struct tn_gserial serial; /* who is in there has the core and the timers */
    struct tn_global *global;
    tenon_process *process; /* borrowed: it lives as long as the node */
    struct tn_sys sys;      /* of the process */
    /* Guarded by the node's lock: one for each poke that the process has still
     * to read. */
    STAILQ_HEAD(, tn_gchange) changes;
    LIST_HEAD(, tn_gtimed) timers; /* that are armed, or have just been due */
};

/* As in struct tn_global_io, with a server as io. */
void tn_gserver_disconnect(void *io, const char *node);
void tn_gserver_call(void *io,
                     const char *node,
                     tenon_term request,
                     struct tn_gcall *call);
void tn_gserver_resolve(void *io,
                        const char *node,
                        tenon_term args,
                        struct tn_gcall *call);
bool tn_gserver_timer_start(void *io, struct tn_gtimer *timer, uint32_t ms);
void tn_gserver_timer_stop(void *io, struct tn_gtimer *timer);
/* When none is due any more. */
void tn_gserver_timers_fini(struct tn_gserver *server);

/* Of a member; NULL when the node is none. Threads: any. */
struct tn_gserial *tn_global_serial_of(tenon_node *node);

#endif
