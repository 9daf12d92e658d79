/* SPDX-License-Identifier: Apache-2.0 */
/* What answers to the name global_name_server on a node that is no member:
 * not a name server. */
#include "otp/global.h"

#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/gen.h"
#include "otp/own.h"

#define NAME "global_name_server"

/* Only a connected node is answered: a name in a message must not make this
 * node connect somewhere. */
static bool is_up(tenon_node *node, const char *name)
{
    tn_lock(node);
    struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

/* {init_connect, {Vsn, Tag}, Node, ...}, with more elements in future. */
static bool is_init_connect(tenon_term request, tenon_atom *peer)
{
    tenon_term verb, version, name;
    return tenon_tuple_get(request, 0, &verb) == TENON_OK &&
           tenon_term_is_atom(verb, "init_connect") &&
           tenon_tuple_get(request, 1, &version) == TENON_OK &&
           tenon_term_type(version) == TENON_TYPE_TUPLE &&
           tenon_tuple_get(request, 2, &name) == TENON_OK &&
           tenon_term_atom(name, peer) == TENON_OK;
}

static void on_message(tenon_process *self, tenon_term message)
{
    tenon_node *node = tenon_process_node(self);
    struct tn_gen gen = tn_gen_parse(message);
    tenon_atom peer;
    if (gen.kind != TN_GEN_CAST || !is_init_connect(gen.request, &peer) ||
        !tn_may_claim(node, tn_process_origin(self), "init_connect", peer.text,
                      strlen(peer.text)) ||
        !is_up(node, peer.text)) {
        return;
    }
    tenon_value *in_sync = tenon_value_format(
        "{:\"$gen_cast\", {:in_sync, ~a, false}}", tenon_node_name(node));
    (void)tn_send_name(node, tn_process_pid(self), NAME, peer.text,
                       tenon_value_term(in_sync));
    tenon_value_free(in_sync);
}

static void build_state(tenon_node *node, tenon_builder *out)
{
    (void)node;
    tenon_build_atom(out, "no_member");
}

enum tenon_err tn_global_quiet_start(tenon_node *node, tenon_error *err)
{
    static const struct tn_own quiet = {
        .name = NAME,
        .title = NAME,
        .unseen = true,
        .on_message = on_message,
        .build_state = build_state,
        .start = tn_global_quiet_start,
    };
    return tn_own_start(node, &quiet, NULL, err);
}
