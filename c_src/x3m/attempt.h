/* SPDX-License-Identifier: Apache-2.0 */
/* One try of one provider: the call of the service's function, the wait for
 * its reply, and exactly one end. Or the question whether its router would
 * authorize the message, which ends with what is returned. Each call has a process of its own as
 * reply_to, so that a late reply, also one with the same message id, finds
 * nobody. */
#ifndef TN_X3M_ATTEMPT_H
#define TN_X3M_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/x3m.h>

#include "x3m/x3m.h"

enum tn_attempt_ended {
    TN_ATTEMPT_REPLY,
    TN_ATTEMPT_ANSWER, /* of a question */
    TN_ATTEMPT_BADRPC,
    TN_ATTEMPT_TIMEOUT,
    TN_ATTEMPT_STOPPED,
    TN_ATTEMPT_NOMEM,
};

struct tn_attempt_end {
    enum tn_attempt_ended how;
    tenon_message *reply; /* of REPLY; owned by the callback */
    tenon_term term;      /* of BADRPC the reason, of ANSWER what was
                             returned; borrowed until the return */
};

/* Called once, on any thread; must not block. */
typedef void (*tn_attempt_fn)(void *user, const struct tn_attempt_end *end);

struct tn_attempt_spec {
    /* Gets reply_to set. Borrowed until the start returns. */
    tenon_message *message;
    struct tn_service *service; /* of this node; NULL: a remote one */
    const char *node;           /* remote: borrowed */
    const char *module;         /* remote: borrowed */
    bool ask;                   /* authorized?, instead of the call */
    uint32_t timeout_ms;        /* TENON_NO_TIMEOUT: none */
    tn_attempt_fn fn;
    void *user;
};

/* Errors: LIMIT, QUEUE_FULL, NOMEM, STOPPED, and of the builder; fn is then
 * not called. Threads: any, without locks. Blocks: no. */
TENON_CHECK enum tenon_err tn_attempt_start(struct tn_x3m *x3m,
                                            const struct tn_attempt_spec *spec,
                                            tenon_error *err);

/* A node is lost: tries whose call there has returned, and that wait for the
 * reply, end with nodedown; the others hear of it by their monitors. */
void tn_attempts_node_down(struct tn_x3m *x3m, const char *node);

#endif
