/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a tenon_call: one request, answered once, by rules that the
 * layer above gives it. */
#ifndef TN_NODE_CALL_H
#define TN_NODE_CALL_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tenon/process.h>

#include "node/access.h"

enum tn_outcome {
    TN_OUT_RETURN, /* value */
    TN_OUT_ERROR,  /* value is the reason */
    TN_OUT_EXIT,
    TN_OUT_THROW,
};

/* What a kind of call does. */
struct tn_call_ops {
    /* Sends the answer. Called once at the most, on any thread, without the
     * node's lock. */
    enum tenon_err (*answer)(tenon_call *call,
                             enum tn_outcome outcome,
                             tenon_term value);
    /* A return value is nested too deeply to be built. May be NULL: then the
     * call is answered as if it had raised badarg. */
    void (*too_deep)(tenon_call *call);
    /* The handler has returned and the call is neither answered nor kept. May
     * be NULL: then nothing happens. */
    void (*unanswered)(tenon_call *call);
    /* Frees `extra`. May be NULL. */
    void (*free_extra)(void *extra);
};

/* Embedded in the runner's stack frame by tn_call_init, or, when kept, on the
 * heap with copies of its terms behind it. */
struct tenon_call {
    const struct tn_call_ops *ops;
    tenon_node *node;
    tenon_process *self; /* borrowed; kept when the call is */
    tenon_term request;
    tenon_term from;   /* pid, or the null view */
    tenon_term tag;    /* what the kind needs to answer: a tag, a reference */
    tenon_term module; /* functions: atoms, for stacks */
    tenon_term name;
    tenon_term group_leader; /* a pid; otherwise the node's own counts */
    tn_access *origin;   /* what the peer may use that has made it; borrowed,
                                or kept by a kept call */
    tn_account *account; /* what that peer makes this node keep; likewise */
    size_t kept_bytes;   /* of a kept call, on that account */
    void *extra;         /* of the kind; taken by the kept call */
    atomic_bool answered;
    bool moved; /* kept: this object answers no more */
};

/* Prepares a call on the stack; the rest of the fields is the caller's to
 * set. */
void tn_call_init(tenon_call *call,
                  const struct tn_call_ops *ops,
                  tenon_process *self);
/* After the handler: tells `unanswered` when due, frees `extra`. */
void tn_call_finish(tenon_call *call);

/* Answers; the base of tenon_reply and the others. INVAL when answered. */
enum tenon_err
tn_call_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value);
enum tenon_err tn_call_answer_va(tenon_call *call,
                                 enum tn_outcome outcome,
                                 const char *wrap,
                                 const char *pattern,
                                 va_list args);

#endif
