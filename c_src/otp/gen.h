/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of gen_server's callers: taking calls, casts and system
 * requests apart, and answering them. Starts no process. */
#ifndef TN_OTP_GEN_H
#define TN_OTP_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/node.h>
#include <tenon/process.h>
#include <tenon/term.h>

enum tn_gen_kind {
    TN_GEN_INFO,   /* none of the others; request is the message itself */
    TN_GEN_CALL,   /* {'$gen_call', {from, tag}, request} */
    TN_GEN_CAST,   /* {'$gen_cast', request} */
    TN_GEN_SYSTEM, /* {system, {from, tag}, request} */
};

/* A message taken apart; the views are borrowed from it. */
struct tn_gen {
    enum tn_gen_kind kind;
    tenon_term from; /* a pid; calls and system requests */
    tenon_term tag;
    tenon_term request;
};

/* Takes a message apart. What only looks like a call (no pid to answer) is
 * TN_GEN_INFO, as in gen_server. Threads: any. Blocks: no. */
struct tn_gen tn_gen_parse(tenon_term message);

/* Whether the call or system request that a handler has taken apart may be
 * answered at the address in it: see tn_may_answer. What is no such is no
 * question. Threads: the handler's. */
bool tn_gen_may_answer(const tenon_process *self, const struct tn_gen *gen);

/* The elements of a tuple of exactly `n` elements, or of a proper list of `n`
 * elements that is not written as a string (whose elements have no bytes of
 * their own). False otherwise. out: `n` views, set on success. */
bool tn_tuple_views(tenon_term tuple, tenon_term *out, size_t n);
bool tn_list_views(tenon_term list, tenon_term *out, size_t n);

/* The alias that a tag asks to be answered at: X of [alias | X] and of
 * [[alias | X] | _]. False for every other tag. alias: set on success. */
bool tn_gen_alias(tenon_term tag, tenon_term *alias);

/* Answers a call: {tag, value} to the alias in the tag or, when there is none
 * or the caller's node has no aliases, to the pid.
 *
 * from   who answers; may be the null view.
 * pid    who asked.
 * Errors: those of tn_send_answer. Threads: any, without the lock. Blocks: no.
 * Source: gen:reply/2. */
enum tenon_err tn_gen_reply(tenon_node *node,
                            tenon_term from,
                            tenon_term pid,
                            tenon_term tag,
                            tenon_term value);

/* A two-tuple of copied terms; embedded by the caller, small ones without an
 * allocation. */
struct tn_pair {
    tenon_term term;
    uint8_t *heap; /* NULL: lies in room */
    uint8_t room[512];
};

/* Errors: INVAL (a null view), TERM_BIG, NOMEM; nothing to release then. */
TENON_CHECK enum tenon_err
tn_pair_init(struct tn_pair *pair, tenon_term first, tenon_term second);
void tn_pair_fini(struct tn_pair *pair);

#endif
