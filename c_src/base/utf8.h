/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: validating, decoding and encoding one character. Strict: no
 * surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef TN_BASE_UTF8_H
#define TN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the character at `p`; `n` bytes are there.
 * Returns its length in bytes (1 to 4), 0 when n is 0 or it is not valid. */
size_t tn_utf8_get(const uint8_t *p, size_t n, uint32_t *codepoint);

/* Writes a character to `out` (4 bytes of room).
 * Returns its length in bytes, 0 for a surrogate or above U+10FFFF. */
size_t tn_utf8_put(uint32_t codepoint, uint8_t *out);

/* True when all `n` bytes are whole valid characters.
 * characters  may be NULL; set on success. */
bool tn_utf8_valid(const uint8_t *p, size_t n, size_t *characters);

#endif
