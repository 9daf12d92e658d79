/* SPDX-License-Identifier: Apache-2.0 */
/* What the examples share: a check that ends the program, and nodes under
 * names that nobody else has. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tenon.h>

/* How long an example waits for what must come. */
#define SOON_MS 60000

#define CHECK(condition)                                                       \
    ((condition) ? (void)0                                                     \
                 : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__,         \
                            __LINE__, #condition),                             \
                    exit(1)))

/* Starts a node of this machine; `alive` is the begin of its name. */
static inline tenon_node *start_node(const char *alive)
{
    char name[64];
    tenon_error err = { 0 };

    snprintf(name, sizeof name, "%s_%ld@localhost", alive, (long)getpid());
    tenon_node *node = tenon_node_start(&(tenon_node_config){
        .sname = name,
        .cookie = "example",
        .log_level = TENON_LOG_ERROR,
        .err = &err,
    });

    if (node == NULL) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        exit(1);
    }
    return node;
}

#endif
