/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a term in the making: what is printed without walking into other
 * terms. */
#ifndef TN_TERM_OUT_H
#define TN_TERM_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

struct tn_atom_view;

struct tn_out {
    char *text;
    size_t cap;           /* bytes that may be written, without the NUL */
    size_t kept;          /* bytes that were written, whole characters */
    size_t len;           /* length of the whole text */
    uint32_t digits_left; /* see put_integer */
    bool stops;           /* when the buffer is full */
};

/* text: borrowed, `cap` bytes with the NUL, which the caller writes. stops:
 * nothing needs to be counted that is not kept. */
void tn_out_init(struct tn_out *out, char *text, size_t cap, bool stops);
/* Nothing that follows would be kept, nor counted. */
bool tn_out_is_done(const struct tn_out *out);

/* ASCII text of any length, or one other character. */
void tn_out_put(struct tn_out *out, const char *text, size_t n);
void tn_out_text(struct tn_out *out, const char *text);
void tn_out_uint(struct tn_out *out, uint64_t value);
/* One character between quotes; `after` is the one that follows. */
void tn_out_escaped(struct tn_out *out, uint32_t c, uint32_t after);
/* An atom before its value: `key: `. */
void tn_out_key(struct tn_out *out, const uint8_t *key);
/* A term that holds no others. */
void tn_out_scalar(struct tn_out *out, tenon_term term);

/* Whether an atom is printed as the alias of a module. */
bool tn_out_is_alias(const struct tn_atom_view *view);

#endif
