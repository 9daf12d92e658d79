/* SPDX-License-Identifier: Apache-2.0 */
/* The golden bytes under test/wire: listing and reading them. */
#ifndef TN_TEST_WIRE_H
#define TN_TEST_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire_file {
    char path[160]; /* from the root of the tree */
    uint8_t *bytes;
    size_t len;
};

struct wire_files {
    struct wire_file *files; /* in the order of their paths */
    size_t count;
};

/* All files below `dir` whose name ends in `suffix`. Aborts the test program
 * when something cannot be read. */
struct wire_files wire_load(const char *dir, const char *suffix);
void wire_free(struct wire_files *files);

/* The file of that path, or NULL. */
const struct wire_file *wire_find(const struct wire_files *files,
                                  const char *path);

/* A whole text file, NUL-terminated; freed by the caller. */
char *wire_text(const char *path);

#endif
