/* SPDX-License-Identifier: Apache-2.0 */
/* The order of terms that hold no others. */
#ifndef TN_TERM_SCALAR_H
#define TN_TERM_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

/* The kinds of terms in Erlang's order. */
enum tn_rank {
    TN_RANK_NUMBER,
    TN_RANK_ATOM,
    TN_RANK_REF,
    TN_RANK_CLOSURE,
    TN_RANK_EXPORT,
    TN_RANK_PORT,
    TN_RANK_PID,
    TN_RANK_TUPLE,
    TN_RANK_MAP,
    TN_RANK_NIL,
    TN_RANK_LIST,
    TN_RANK_BITS,
};

/* Of the validated term at `p`. */
enum tn_rank tn_rank(const uint8_t *p);

#define TN_ORDER(x, y) (((x) > (y)) - ((x) < (y)))

/* Compares two validated terms of one rank that hold no others; of a closure,
 * all but the terms that it holds, which are as many in both when the result
 * is 0.
 *
 * exact  integers before floats and signs of zero told apart, as keys of maps
 *        are ordered; otherwise 1 == 1.0, as Erlang's == and < have it. */
int tn_scalar_compare(const uint8_t *a,
                      const uint8_t *b,
                      enum tn_rank rank,
                      bool exact);

#endif
