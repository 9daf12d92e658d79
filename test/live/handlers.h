/* SPDX-License-Identifier: Apache-2.0 */
/* What the handler libraries of the ExUnit suite share: a table of functions,
 * and how it is added to a node. */
#ifndef LIVE_HANDLERS_H
#define LIVE_HANDLERS_H

#include <tenon.h>

struct handler {
    const char *name;
    unsigned arity;
    tenon_function_fn fn;
};

/* Errors: those of tenon_function. */
static inline enum tenon_err add_handlers(tenon_node *node,
                                          const char *module,
                                          const struct handler *handlers,
                                          size_t count)
{
    enum tenon_err rc = TENON_OK;

    for (size_t i = 0; i < count && rc == TENON_OK; i++) {
        rc = tenon_function(node, module, handlers[i].name, handlers[i].arity,
                            handlers[i].fn, NULL, 0);
    }
    return rc;
}

#endif
