/* SPDX-License-Identifier: Apache-2.0 */
/* The system messages with which sys looks into a server: what is done and
 * answered, by the rules of gen_server. Starts nothing. */
#ifndef TN_OTP_SYS_H
#define TN_OTP_SYS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <tenon/process.h>

#include "node/quota.h"
#include "otp/gen.h"

/* Events that sys:log keeps of one server at the most, and of how many bytes a
 * message is kept. */
#define TN_SYS_LOG_MAX 100u
#define TN_SYS_EVENT_MAX_BYTES 4096u

/* What a kind of server does for sys; `server` is what it gave. */
struct tn_sys_ops {
    /* Appends the state as one term. */
    void (*build_state)(void *server, tenon_builder *out);
    /* Takes a new state; false: it is none. NULL: it cannot be replaced. */
    bool (*put_state)(void *server, tenon_term state);
    /* Ends the server with that reason. NULL: it is neither ended by sys nor
     * suspended. */
    void (*terminate)(tenon_process *self, void *server, tenon_term reason);
};

/* A message that sys:log keeps. */
struct tn_sys_event {
    tenon_value *message;    /* NULL: it was too large */
    struct tn_charge charge; /* on the account of who sent it */
};

/* What sys has asked of one server; its own process alone touches it. Zeroed
 * before its first use. */
struct tn_sys {
    bool suspended;
    bool trace;
    bool counts;
    time_t since; /* while counts, as the next two */
    uint64_t in, out;
    uint32_t log_max; /* 0: no log is kept */
    uint32_t log_first, log_count;
    struct tn_sys_event *log; /* a ring of TN_SYS_LOG_MAX; NULL until a log is
                                 kept */
};

/* Handles one system message.
 *
 * parent  the pid that get_status shows.
 * gen     of TN_GEN_SYSTEM.
 * Threads: the handler of `self`. */
void tn_sys_handle(tenon_process *self,
                   struct tn_sys *sys,
                   const struct tn_sys_ops *ops,
                   void *server,
                   tenon_term parent,
                   const struct tn_gen *gen);

/* Notes a message that the server is given, and a reply of it. */
void tn_sys_note_in(tenon_process *self,
                    struct tn_sys *sys,
                    tenon_term message);
static inline void tn_sys_note_out(struct tn_sys *sys)
{
    sys->out++;
}

void tn_sys_fini(struct tn_sys *sys);

/* Room for a server as inspect shows what Process.info(self, :registered_name)
 * has, else its pid. */
#define TN_SERVER_TEXT_BYTES (TENON_ATOM_MAX_BYTES + 4)
void tn_server_describe(tenon_process *self, char text[TN_SERVER_TEXT_BYTES]);

#endif
