/* SPDX-License-Identifier: Apache-2.0 */
/* The golden terms of test/wire/term, and terms written in hex. */
#ifndef TN_TEST_TERMS_H
#define TN_TEST_TERMS_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

/* A line of a file: its bytes, and what stands behind the tab. */
struct golden {
    uint8_t *bytes; /* exactly `len` bytes of memory of their own */
    size_t len;
    char *text; /* NULL when there is no tab */
    size_t line;
};

struct goldens {
    struct golden *all;
    size_t count;
};

/* Reads test/wire/term/<name>; several terms on a line (separated by spaces)
 * become several entries of that line. Aborts when it cannot. */
struct goldens goldens_load(const char *name);
void goldens_free(struct goldens *goldens);

/* The bytes of a text in hex, freed by the caller. Aborts on other text. */
uint8_t *from_hex(const char *hex, size_t hex_len, size_t *len);

/* A term built from a pattern; the memory is given back at exit. */
tenon_term term_of(const char *pattern, ...);
/* The term in hex (no version byte); the memory is given back at exit. Aborts
 * when the scan refuses it. */
tenon_term term_of_hex(const char *hex);
/* The printed text; the memory is given back at exit. */
const char *text_of(tenon_term term);

#endif
