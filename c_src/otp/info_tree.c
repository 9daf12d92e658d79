/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the node as the tree that observer draws of an application:
 * net_kernel on top, below it what is linked to nothing older. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/link.h"
#include "otp/info.h"

/* "<0.ID.SERIAL>", or a registered name. */
#define LABEL_BYTES (TENON_ATOM_MAX_BYTES + 1)

struct tree {
    const tenon_process *skip;
    uint32_t parent[TN_PID_ID_MAX + 1]; /* by id; 0: not in the tree */
    uint32_t order[TN_PID_ID_MAX];      /* ids, each behind its parent's */
    uint32_t count;
    uint32_t followed; /* of these the links have been looked at */
};

static void write_label(const tenon_process *process, char text[LABEL_BYTES])
{
    if (process->name != NULL && !process->unseen) {
        snprintf(text, LABEL_BYTES, "%s", process->name);
    } else {
        snprintf(text, LABEL_BYTES, "<0.%u.%u>", process->id, process->serial);
    }
}

static void
add(struct tree *tree, const tenon_process *process, uint32_t parent)
{
    if (process != tree->skip && tree->parent[process->id] == 0) {
        tree->parent[process->id] = parent;
        tree->order[tree->count++] = process->id;
    }
}

static void add_linked(struct tree *tree, const tenon_process *process)
{
    const struct tn_link *link;

    LIST_FOREACH(link, &process->links, of_process)
    {
        const tenon_process *other =
            link->active && link->peer == NULL
                ? tn_process_find_locked(process->node, link->other)
                : NULL;

        if (other != NULL) {
            add(tree, other, process->id);
        }
    }
}

static const tenon_process *process_of(tenon_node *node, uint32_t id)
{
    return node->processes.slots[id - 1].process;
}

static void follow_links(struct tree *tree, tenon_node *node)
{
    while (tree->followed < tree->count) {
        add_linked(tree, process_of(node, tree->order[tree->followed++]));
    }
}

static void grow(struct tree *tree, tenon_node *node, const tenon_process *top)
{
    add(tree, top, top->id);
    follow_links(tree, node);
    for (uint32_t id = 1; id <= TN_PID_ID_MAX; id++) {
        if (process_of(node, id) != NULL) {
            add(tree, process_of(node, id), top->id);
            follow_links(tree, node);
        }
    }
}

static void build_label(tenon_builder *out, const tenon_process *process)
{
    char text[LABEL_BYTES];

    write_label(process, text);
    tn_info_build_chars(out, text);
}

/* {Top, [{Pid, Label}], [{LabelOfParent, Label}], []} */
static void build(const struct tree *tree, tenon_node *node, tenon_builder *out)
{
    tenon_build_tuple(out, 4);
    build_label(out, process_of(node, tree->order[0]));
    tenon_build_list(out, tree->count);
    for (uint32_t i = 0; i < tree->count; i++) {
        const tenon_process *process = process_of(node, tree->order[i]);

        tenon_build_tuple(out, 2);
        tenon_build_term(out, tn_process_pid(process));
        build_label(out, process);
    }
    tenon_build_nil(out);
    tenon_build_list(out, tree->count - 1);
    for (uint32_t i = 1; i < tree->count; i++) {
        uint32_t id = tree->order[i];

        tenon_build_tuple(out, 2);
        build_label(out, process_of(node, tree->parent[id]));
        build_label(out, process_of(node, id));
    }
    tenon_build_nil(out);
    tenon_build_nil(out);
}

void tn_info_build_tree(tenon_node *node,
                        const tenon_process *skip,
                        tenon_builder *out)
{
    struct tree *tree = calloc(1, sizeof *tree);

    if (tree == NULL) {
        tn_builder_fail(out, TENON_E_NOMEM);
        return;
    }
    tree->skip = skip;
    tn_lock(node);
    const tenon_process *top =
        tn_process_named_locked(node, TN_INFO_MASTER, strlen(TN_INFO_MASTER));

    if (top != NULL) {
        grow(tree, node, top);
        build(tree, node, out);
    } else {
        tenon_format(out, "{[], [], [], []}");
    }
    tn_unlock(node);
    free(tree);
}
