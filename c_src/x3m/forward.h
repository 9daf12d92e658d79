/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that a router's choose_node sends to another node. */
#ifndef TN_X3M_FORWARD_H
#define TN_X3M_FORWARD_H

#include <tenon/x3m.h>

#include "x3m/services.h"

enum tn_place {
    TN_PLACE_HERE,
    TN_PLACE_THERE,
    TN_PLACE_NONE, /* what was chosen is no atom */
};

/* Asks the service's router. node: set when THERE. Any thread, without
 * locks. */
enum tn_place tn_choose_node(const struct tn_service *service,
                             const tenon_message *message,
                             tenon_atom *node);

/* Has `node` run the service's function: an rpc cast of Router:'_invoke'/4,
 * but watched, so that a node that is gone does not cost the caller its whole
 * timeout. What fails is told to the message's reply_to, and logged. message:
 * copied; kept on that account until the service has returned. Any thread, without
 * locks. */
void tn_forward(const struct tn_service *service,
                const tenon_message *message,
                const char *node,
                tn_account *account);

#endif
