/* SPDX-License-Identifier: Apache-2.0 */
/* How Elixir spells atoms: which text is an identifier, an operator, an
 * alias, and which characters are printed as they are. */
#ifndef TN_TERM_SPELLING_H
#define TN_TERM_SPELLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes at `p` are an identifier such as `foo_1?`, `Foo`, `a@b`;
 * 0 when none begins there. Letters outside ASCII: Latin, Greek, Cyrillic and
 * the CJK scripts, not mixed with each other. */
size_t tn_identifier_bytes(const uint8_t *p, size_t n);

#define TN_OPERATOR_MAX_BYTES 4

/* The longest operator at `p` that is an atom without quotes, such as `+` or
 * `..//`; 0 when there is none. */
size_t tn_operator_bytes(const uint8_t *p, size_t n);

/* The longest alias at `p`, such as `Foo.Bar`; 0 when there is none. */
size_t tn_alias_bytes(const uint8_t *p, size_t n);

/* True when Elixir prints the character in a string without an escape. */
bool tn_is_printable(uint32_t codepoint);

#endif
