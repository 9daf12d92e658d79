/* SPDX-License-Identifier: Apache-2.0 */
/* A small file in one piece; the standard descriptors. */
#ifndef TN_BASE_FILE_H
#define TN_BASE_FILE_H

#include <stddef.h>

#include <tenon/error.h>

/* Reads a whole file.
 *
 * max   most bytes that it may have.
 * text  owned: free; a NUL stands behind it. Set on success.
 * err   borrowed, may be NULL; says which file.
 * Errors: SYSTEM, LIMIT, NOMEM. Blocks: on the file, not on a pipe's other
 * end. */
TENON_CHECK enum tenon_err tn_file_read(
    const char *path, size_t max, char **text, size_t *len, tenon_error *err);

/* Opens those of the descriptors 0 to 2 that are closed, on /dev/null: the next
 * socket or file would be one of them, and what is printed would go into it.
 * Threads: any. Blocks: no. */
void tn_open_standard_descriptors(void);

#endif
