/* SPDX-License-Identifier: Apache-2.0 */
/* The three messages between service registries. A BEAM registry that gets
 * anything else dies and takes its application along, so what goes to that
 * name is built here and nowhere else. */
#ifndef TN_X3M_REGISTRY_MESSAGE_H
#define TN_X3M_REGISTRY_MESSAGE_H

#include <stddef.h>

#include <tenon/x3m.h>

#define TN_REGISTRY_NAME "Elixir.X3m.System.ServiceRegistry"

enum tn_registry_kind {
    TN_REGISTRY_INTRODUCE,  /* {introduce_local_services, node} */
    TN_REGISTRY_REGISTER,   /* {register_remote_services, {node, services}} */
    TN_REGISTRY_UNREGISTER, /* {unregister_node_services, node} */
};

/* A service and the router's module; atoms' texts. */
struct tn_announced {
    const char *service;
    const char *module;
};

/* Appends one message.
 *
 * node      borrowed; the own node's name.
 * services  borrowed; of REGISTER only: `count` of them, each service once.
 * Errors: INVAL (a text is no atom's, or the node's is no node name, or a
 * service is there twice: nothing is appended), those of the builder. */
TENON_CHECK enum tenon_err
tn_registry_build(tenon_builder *out,
                  enum tn_registry_kind kind,
                  const char *node,
                  const struct tn_announced *services,
                  size_t count);

/* A message as it came. */
struct tn_registry_message {
    enum tn_registry_kind kind;
    tenon_atom node;
    tenon_term services; /* of REGISTER: map or proper list; borrowed */
};

/* Reads one. Errors: BADTERM (none of the three). */
TENON_CHECK enum tenon_err
tn_registry_read(tenon_term term, struct tn_registry_message *message);

#endif
