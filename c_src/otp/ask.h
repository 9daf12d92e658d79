/* SPDX-License-Identifier: Apache-2.0 */
/* Asking another process and getting a tenon_result: the part that calls of
 * servers and of functions share, in a blocking and a calling-back form. */
#ifndef TN_OTP_ASK_H
#define TN_OTP_ASK_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/rpc.h>

#include "node/request.h"

/* What the end of a request means. */
struct tn_answer {
    enum tenon_err code;
    tenon_term value;  /* borrowed from the request's term, unless made */
    tenon_value *made; /* owned; NULL, or then value is its term */
};

/* One question. */
struct tn_ask {
    tenon_node *node;
    uint32_t timeout_ms; /* as the public functions take it */
    /* Sends it: exactly one call of fn follows when this returns TENON_OK.
     * context: the asker's. `ask` may be gone once it has been sent. */
    enum tenon_err (*start)(const struct tn_ask *ask,
                            const void *context,
                            tn_request_fn fn,
                            void *user,
                            tenon_error *err);
    const void *context;
    /* Reads its end. Any thread, without the lock; must not block. */
    struct tn_answer (*decode)(const struct tn_ask *ask,
                               enum tn_request_end end,
                               tenon_term term);
    /* What was asked, for the error text: "call of ...". The asker's thread. */
    void (*describe)(const struct tn_ask *ask, char *text, size_t cap);
    /* For decode: what was asked. Strings are borrowed; copied when the
     * question outlives its asker. */
    tenon_ref ref;
    const char *module;
    const char *function;
    size_t arity;
};

/* The ends that need no decoding: NODEDOWN, TIMEOUT, STOPPED. */
struct tn_answer tn_answer_of_end(enum tn_request_end end);

/* Asks and waits. value: as tenon_server_call, may be NULL; err says what was
 * asked and how it went. */
enum tenon_err
tn_ask_wait(const struct tn_ask *ask, tenon_value **value, tenon_error *err);

/* Asks and returns; fn is called on a worker. */
enum tenon_err
tn_ask_async(const struct tn_ask *ask, tenon_result_fn fn, void *user);

#endif
