/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler library exports, for `tenon run --load handlers.so`. */
#ifndef TENON_HANDLERS_H
#define TENON_HANDLERS_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>
#include <tenon/node.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_HANDLERS_ABI 1

/* The one exported object of a handler library, called `tenon_handlers`:
 *
 *     TENON_HANDLERS = { TENON_HANDLERS_ABI, "calc", load, NULL };
 *
 * load    registers functions, servers and services on the node; anything but
 *         TENON_OK stops the start. Called once, after the node has started
 *         and before it connects to anyone.
 * unload  may be NULL; called after the node's processes have ended. */
typedef struct tenon_handlers_table {
    uint32_t abi;
    const char *name;
    enum tenon_err (*load)(tenon_node *node, void **state, tenon_error *err);
    void (*unload)(void *state);
} tenon_handlers_table;

#ifdef __cplusplus
#define TENON_HANDLERS                                                         \
    extern "C" TENON_API const tenon_handlers_table tenon_handlers;            \
    const tenon_handlers_table tenon_handlers
#else
#define TENON_HANDLERS TENON_API const tenon_handlers_table tenon_handlers
#endif

#ifdef __cplusplus
}
#endif

#endif
