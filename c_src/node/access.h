/* SPDX-License-Identifier: Apache-2.0 */
/* What one connected peer may use, by the rules that were in force when it
 * connected or when they were read again; asking, and what a refusal does
 * beside its answer: it is counted and logged. */
#ifndef TN_NODE_ACCESS_H
#define TN_NODE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/node.h>
#include <tenon/term.h>

#include "dist/conn.h"

/* Counted references. NULL everywhere: everything is allowed, which is so for
 * the node itself and for peers that no rule limits. */
typedef struct tn_access tn_access;

/* Finds what the peer of a connection may use. Loop thread.
 *
 * access  owned: tn_access_unref. Set on success.
 * Errors: REFUSED (it may not connect: counted), NOMEM. */
TENON_CHECK enum tenon_err
tn_access_judge(tenon_node *node, tn_conn *conn, tn_access **access);

/* access: NULL is fine, and is given back. */
tn_access *tn_access_ref(tn_access *access);
void tn_access_unref(tn_access *access);

/* The name of the peer; NULL when access is. Borrowed. */
const char *tn_access_peer(const tn_access *access);

/* Whether the peer may use it. What is refused is counted and logged, so that
 * each use is to be asked for once. Any thread, without the lock.
 *
 * module, name  atoms. */
bool tn_may_run(tenon_node *node,
                tn_access *access,
                tenon_term module,
                tenon_term name,
                size_t arity);
bool tn_may_serve(tenon_node *node,
                  tn_access *access,
                  const char *router,
                  const char *service);

/* Whether what a peer asked may be answered at the address that it gave: a
 * process or alias of its own. Answers are messages of this node, which else
 * would carry what the peer wants to whom it may not reach.
 *
 * to      a pid or a reference.
 * others  those of other nodes that are connected are fine too, as in messages
 *         that are passed on with their first sender's address. */
bool tn_may_answer(tenon_node *node,
                   tn_access *access,
                   tenon_term to,
                   bool others);

/* Whether what a peer says about a node counts: about itself always, about
 * others when no rule limits it.
 *
 * about  name of a node, `len` bytes. */
bool tn_may_claim(tenon_node *node,
                  tn_access *access,
                  const char *what,
                  const char *about,
                  size_t len);

/* Whether a message may come by a plain send. One of the form in which exits and
 * downs reach a process here tells the end of somebody, which only a signal
 * of that one's node can tell. Processes rely on that: whatever carries a peer's
 * message to one of them asks this. */
bool tn_may_say(tenon_node *node, tn_access *access, tenon_term message);

/* Whether the peer may reach a process: one with a registered name by the rule
 * for that name, also by its pid; one without, and a target that is nobody,
 * always. What serves every node of the cluster (rex, the scopes of pg) or runs
 * this node's own calls may be reached by all, and ended by none.
 *
 * target  a pid or an atom.
 * ends    an exit signal. */
bool tn_may_reach(tenon_node *node,
                  tn_access *access,
                  tenon_term target,
                  bool ends);

#endif
