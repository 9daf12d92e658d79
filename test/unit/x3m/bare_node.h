/* SPDX-License-Identifier: Apache-2.0 */
/* A node that has a name and a pid and nothing else: enough for messages. */
#ifndef TN_TEST_X3M_BARE_NODE_H
#define TN_TEST_X3M_BARE_NODE_H

#include <stdlib.h>
#include <string.h>

#include "node/node.h"

struct bare_node {
    tenon_node *node;
    tenon_value *pid;
};

static inline void bare_node_start(struct bare_node *bare)
{
    const tenon_pid pid = { .id = 1, .creation = 7, .node = "c@localhost" };

    bare->node = calloc(1, sizeof *bare->node);
    strcpy(bare->node->name.full, pid.node);
    pthread_mutex_init(&bare->node->lock, NULL);
    SLIST_INIT(&bare->node->parts);
    bare->pid = tenon_value_format("~p", &pid);
    bare->node->client = calloc(1, sizeof *bare->node->client);
    bare->node->client->pid = tenon_value_term(bare->pid);
}

static inline void bare_node_stop(struct bare_node *bare)
{
    while (!SLIST_EMPTY(&bare->node->parts)) {
        struct tn_part *part = SLIST_FIRST(&bare->node->parts);

        SLIST_REMOVE_HEAD(&bare->node->parts, next);
        part->free(part->part);
        free(part);
    }
    pthread_mutex_destroy(&bare->node->lock);
    tenon_value_free(bare->pid);
    free(bare->node->client);
    free(bare->node);
}

#endif
