/* SPDX-License-Identifier: Apache-2.0 */
/* Connects to all that one's peers are connected with: BEAM nodes do not
 * introduce to one another a node that is no member of global, nor members
 * that they do not know as such yet. */
#include "otp/mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/rpc.h>

#include "base/error.h"
#include "base/log.h"
#include "node/node.h"
#include "otp/atoms.h"

/* nodes() holds visible nodes only. The connects are started here and go on by
 * themselves: who is not there is found when it comes. */
static void connect_all(tenon_node *node, tenon_term names)
{
    tenon_cursor at;
    tenon_term element;
    tenon_atom name;
    bool wake = false;
    tn_lock(node);
    tenon_cursor_init(&at, names);
    while (tenon_cursor_next(&at, &element)) {
        if (tenon_term_atom(element, &name) == TENON_OK &&
            strcmp(name.text, node->name.full) != 0 &&
            tn_peer_get_locked(node, name.text, strlen(name.text), &wake) ==
                NULL) {
            break; /* no memory, no name, or the node stops */
        }
    }
    tn_leave(node, wake);
}

struct question {
    tenon_node *node;
    char peer[TENON_NODE_NAME_MAX_BYTES + 1];
};

/* A limited peer would choose whom this node calls, and proves its cookie to.
 * Of its list the first name stands for all in what is counted and logged. */
static void ignore_all(const struct question *question, tenon_term names)
{
    tenon_node *node = question->node;
    tn_access *access = tn_peer_access(node, question->peer);
    tenon_cursor at;
    tenon_term element;
    tenon_atom name;
    bool claimed = false;
    tenon_cursor_init(&at, names);
    while (!claimed && tenon_cursor_next(&at, &element)) {
        claimed = tenon_term_atom(element, &name) == TENON_OK &&
                  strcmp(name.text, node->name.full) != 0;
    }
    if (claimed) {
        (void)tn_may_claim(node, access, "nodes()", name.text,
                           strlen(name.text));
    }
    tn_access_unref(access);
}

/* A C node may have no such function: it has nobody to introduce. The rules of
 * now count, not those of the question. */
static void on_nodes(void *user, const tenon_result *result)
{
    struct question *question = user;
    if (result->code != TENON_OK) {
        free(question);
        return;
    }
    if (tn_peer_is_unlimited(question->node, question->peer)) {
        connect_all(question->node, result->value);
    } else {
        ignore_all(question, result->value);
    }
    free(question);
}

static enum tenon_err ask(tenon_node *node, const char *name)
{
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        return TENON_E_NOMEM;
    }
    question->node = node;
    snprintf(question->peer, sizeof question->peer, "%s", name);
    enum tenon_err rc = tenon_rpc_async(node, name, "erlang", "nodes",
                                        tn_empty_list, 0, on_nodes, question);
    if (rc < 0) {
        free(question);
    }
    return rc;
}

static void on_peer(void *user, const char *name, bool up, bool visible)
{
    tenon_node *node = user;
    if (!up || !visible) {
        return;
    }
    enum tenon_err rc = ask(node, name);
    if (rc < 0 && rc != TENON_E_STOPPED) {
        tn_log(&node->log, TN_WARN, "mesh_not_asked", "node", name, "why",
               tenon_err_text(rc), NULL);
    }
}

enum tenon_err tn_mesh_start(tenon_node *node, tenon_error *err)
{
    if (node->hidden || node->no_connect_all) {
        return TENON_OK;
    }
    enum tenon_err rc = tenon_node_watch_peers(node, on_peer, node);
    return rc < 0 ? tn_error(err, rc, "watch of peers: %s", tenon_err_text(rc))
                  : rc;
}
