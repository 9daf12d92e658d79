/* SPDX-License-Identifier: Apache-2.0 */
/* Printing what of a term fits into a buffer. */
#ifndef TN_TERM_PRINT_H
#define TN_TERM_PRINT_H

#include <stddef.h>

#include <tenon/term.h>

/* As tenon_term_print, but stops when the buffer is full: a line of the log
 * shows a few bytes of a message that may have millions. */
void tn_term_show(tenon_term term, char *buf, size_t cap);

#endif
