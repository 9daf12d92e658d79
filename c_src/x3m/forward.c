/* SPDX-License-Identifier: Apache-2.0 */
/* Forwarding: the choice of the node, the cast to it, and what becomes of one
 * that fails. The reply itself does not come by here. */
#include "x3m/forward.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "node/node.h"
#include "node/quota.h"
#include "node/request.h"
#include "term/build.h"
#include "x3m/message.h"
#include "x3m/outcome.h"
#include "x3m/router.h"
#include "x3m/serve.h"

/* ---- choosing --------------------------------------------------------- */

static enum tn_place read_choice(const tenon_node *node,
                                 const tenon_builder *built,
                                 tenon_atom *chosen)
{
    const uint8_t *bytes;
    size_t len;
    tenon_term term;

    if (tn_builder_bytes(built, &bytes, &len) == TENON_OK && len == 0) {
        return TN_PLACE_HERE;
    }
    if (tenon_builder_term(built, &term) < 0 ||
        tenon_term_atom(term, chosen) < 0) {
        return TN_PLACE_NONE;
    }
    return strcmp(chosen->text, "local") == 0 ||
                   strcmp(chosen->text, node->name.full) == 0
               ? TN_PLACE_HERE
               : TN_PLACE_THERE;
}

enum tn_place tn_choose_node(const struct tn_service *service,
                             const tenon_message *message,
                             tenon_atom *node)
{
    tenon_router *router = service->router;
    tenon_builder builder;

    tn_x3m_lock(router->x3m);
    tenon_choose_node_fn choose_node = router->choose_node;
    void *user = router->choose_node_user;

    tn_x3m_unlock(router->x3m);
    if (choose_node == NULL) {
        return TN_PLACE_HERE;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    choose_node(message, &builder, user);
    enum tn_place place = read_choice(router->x3m->node, &builder, node);

    tn_builder_fini(&builder);
    return place;
}

/* ---- the end ---------------------------------------------------------- */

struct forward {
    const struct tn_service *service;
    tenon_message *message;  /* owned */
    struct tn_charge charge; /* on the account of who sent it */
    char node[];
};

static void free_forward(struct forward *forward)
{
    if (forward != NULL) {
        tenon_message_free(forward->message);
        tn_charge_drop(&forward->charge);
        free(forward);
    }
}

static enum tenon_err reply_failure(tenon_message *message, tenon_term badrpc)
{
    tenon_value *response =
        tenon_value_format("{:error, {:badrpc, ~t}}", badrpc);
    enum tenon_err rc =
        response == NULL
            ? TENON_E_NOMEM
            : tn_message_respond(message, tenon_value_term(response));

    tenon_value_free(response);
    return rc < 0 ? rc : tn_serve_send(message, (tenon_term){ NULL, 0 });
}

/* badrpc: holds the reason. */
static void fail(struct forward *forward, const tenon_builder *badrpc)
{
    const struct tn_service *service = forward->service;
    tenon_term reason = { NULL, 0 };
    char text[128] = "";
    enum tenon_err rc = tenon_builder_term(badrpc, &reason);

    if (rc == TENON_OK) {
        tenon_term_print(reason, text, sizeof text);
        rc = reply_failure(forward->message, reason);
    }
    tn_log(&service->router->x3m->node->log, TN_WARN, "x3m_forward_failed",
           "router", service->router->module, "service", service->name, "node",
           forward->node, "reason", text, "error",
           rc < 0 ? tenon_err_text(rc) : NULL, NULL);
}

/* What a BEAM's erpc makes of an error in a cast, {{exception, {Reason,
 * Stack}}, OwnStack}, is again {Reason, Stack}; all else stays as it is. */
static tenon_term unwrap(tenon_term reason)
{
    tenon_term tagged, tag, inner;
    bool wrapped = tenon_term_type(reason) == TENON_TYPE_TUPLE &&
                   tenon_term_count(reason) == 2 &&
                   tenon_tuple_get(reason, 0, &tagged) == TENON_OK &&
                   tenon_term_type(tagged) == TENON_TYPE_TUPLE &&
                   tenon_term_count(tagged) == 2 &&
                   tenon_tuple_get(tagged, 0, &tag) == TENON_OK &&
                   tenon_term_is_atom(tag, "exception") &&
                   tenon_tuple_get(tagged, 1, &inner) == TENON_OK;

    return wrapped ? inner : reason;
}

/* False: the process that ran the function there has replied itself, or
 * will. */
static bool
build_failure(tenon_builder *badrpc, enum tn_request_end end, tenon_term term)
{
    switch (end) {
    case TN_END_DOWN:
        if (tenon_term_is_atom(term, "normal")) {
            return false;
        }
        tn_badrpc_exited(badrpc, unwrap(term));
        return true;
    case TN_END_REFUSED:
        tn_badrpc_refused(badrpc, term);
        return true;
    case TN_END_NODEDOWN:
        tenon_build_atom(badrpc, "nodedown");
        return true;
    case TN_END_REPLY:
    case TN_END_TIMEOUT:
    case TN_END_STOPPED:
        return false;
    }
    return false;
}

static void on_end(void *user, enum tn_request_end end, tenon_term term)
{
    struct forward *forward = user;
    tenon_builder badrpc;

    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    if (build_failure(&badrpc, end, term)) {
        fail(forward, &badrpc);
    }
    tn_builder_fini(&badrpc);
    free_forward(forward);
}

/* It could not even be sent. forward: taken. */
static void fail_start(struct forward *forward, enum tenon_err rc)
{
    tenon_builder badrpc;

    tn_builder_init(&badrpc, TENON_TERM_MAX_BYTES);
    if (rc == TENON_E_INVAL) {
        tenon_build_atom(&badrpc, "nodedown"); /* no node can have that name */
    } else {
        tenon_build_tuple(&badrpc, 2);
        tenon_build_atom(&badrpc, "EXIT");
        tenon_build_atom(&badrpc, "system_limit");
    }
    fail(forward, &badrpc);
    tn_builder_fini(&badrpc);
    free_forward(forward);
}

/* ---- the cast --------------------------------------------------------- */

static struct forward *new_forward(const struct tn_service *service,
                                   const tenon_message *message,
                                   const char *node)
{
    size_t bytes = strlen(node) + 1;
    struct forward *forward = calloc(1, sizeof *forward + bytes);

    if (forward == NULL) {
        return NULL;
    }
    forward->service = service;
    memcpy(forward->node, node, bytes);
    forward->message = tn_message_copy(message);
    if (forward->message == NULL) {
        free_forward(forward);
        return NULL;
    }
    return forward;
}

/* [Router, _invoke, [local, Handler, Function, Message]] */
static void build_cast(tenon_builder *out,
                       const struct tn_service *service,
                       const tenon_message *message)
{
    tenon_build_list(out, 3);
    tenon_build_atom(out, service->router->module);
    tenon_build_atom(out, TN_INVOKE_FUNCTION);
    tenon_build_list(out, 4);
    tenon_build_atom(out, "local");
    tenon_build_atom(out, service->handler);
    tenon_build_atom(out, service->function);
    tn_message_build(message, out);
    tenon_build_nil(out);
    tenon_build_nil(out);
}

void tn_forward(const struct tn_service *service,
                const tenon_message *message,
                const char *node,
                tn_account *account)
{
    tenon_node *own = service->router->x3m->node;
    struct forward *forward = new_forward(service, message, node);
    tenon_builder args;
    tenon_term term;

    if (forward == NULL) {
        tn_log(&own->log, TN_WARN, "x3m_forward_failed", "router",
               service->router->module, "service", service->name, "node", node,
               "error", tenon_err_text(TENON_E_NOMEM), NULL);
        return;
    }
    if (!tn_charge_take(&forward->charge, account,
                        tenon_message_term(forward->message).len,
                        "messages passed on")) {
        fail_start(forward, TENON_E_LIMIT);
        return;
    }
    tn_builder_init(&args, TENON_TERM_MAX_BYTES);
    build_cast(&args, service, message);
    enum tenon_err rc = tenon_builder_term(&args, &term);

    if (rc == TENON_OK) {
        rc = tn_request_spawn(own, node, "erpc", "execute_cast", term,
                              TENON_NO_TIMEOUT, on_end, forward, NULL);
    }
    tn_builder_fini(&args);
    if (rc < 0) {
        fail_start(forward, rc);
    }
}
