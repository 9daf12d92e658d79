/* SPDX-License-Identifier: Apache-2.0 */
/* A handler library that is loaded: see <tenon/handlers.h>. */
#ifndef CLI_LIBRARY_H
#define CLI_LIBRARY_H

#include <tenon.h>

/* Embedded by the owner; zero when nothing is loaded. */
struct cli_library {
    const tenon_handlers_table *table;
    void *state;
};

/* Opens the library and lets it register what it serves.
 *
 * path  borrowed; a file name, taken as it is (not searched for).
 * Errors: NOT_FOUND (cannot be opened, or has no table), NOTSUP (made for
 * another version), and what its own load returns. */
TENON_CHECK enum tenon_err cli_library_load(struct cli_library *library,
                                            tenon_node *node,
                                            const char *path,
                                            tenon_error *err);

/* Calls the library's unload, if it was loaded. The file stays mapped: its
 * threads and destructors may still be there. */
void cli_library_unload(struct cli_library *library);

#endif
