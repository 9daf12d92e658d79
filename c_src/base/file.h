/* SPDX-License-Identifier: Apache-2.0 */
/* A small file in one piece. */
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

#endif
