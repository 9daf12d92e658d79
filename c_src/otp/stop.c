/* SPDX-License-Identifier: Apache-2.0 */
/* Ending a server by a system message, and waiting for its end. */
#include <tenon/rpc.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/atoms.h"
#include "node/node.h"
#include "otp/gen.h"

/* {system, {box, alias tag}, {terminate, reason}}: the answer goes where a
 * reply that nobody waits for vanishes. */
static enum tenon_err
ask(tenon_process *box, const tenon_dest *to, tenon_term reason)
{
    tenon_pid self;
    tenon_ref tag;
    tenon_process_pid(box, &self);
    tenon_make_ref(box->node, &tag);
    return tenon_send_format(box->node, to,
                             "{:system, {~p, ~r}, {:terminate, ~t}}", &self,
                             &tag, reason);
}

/* What a :DOWN says about the stop. */
static enum tenon_err judge(tenon_term why, tenon_term reason)
{
    if (tenon_term_equal(why, reason)) {
        return TENON_OK;
    }
    if (tenon_term_is_atom(why, "noproc")) {
        return TENON_E_NOPROC;
    }
    return tenon_term_is_atom(why, "noconnection") ? TENON_E_NODEDOWN
                                                   : TENON_E_REMOTE_EXIT;
}

/* The next message: the answer, or the end. False: not the end yet. */
static bool read_end(tenon_term message,
                     const tenon_ref *monitor,
                     tenon_term reason,
                     enum tenon_err *rc)
{
    tenon_term part[5];
    tenon_ref ref;
    if (!tn_tuple_views(message, part, 5) ||
        !tenon_term_is_atom(part[0], "DOWN") ||
        tenon_term_ref(part[1], &ref) != TENON_OK ||
        !tenon_ref_equal(&ref, monitor)) {
        return false;
    }
    *rc = judge(part[4], reason);
    return true;
}

static enum tenon_err await_end(tenon_process *box,
                                const tenon_ref *monitor,
                                tenon_term reason,
                                uint32_t timeout_ms)
{
    uint64_t until = tn_now_ms() + timeout_ms;
    for (;;) {
        tenon_value *message = NULL;
        uint64_t now = tn_now_ms();
        uint32_t left = timeout_ms == TENON_NO_TIMEOUT ? TENON_NO_TIMEOUT
                        : now < until                  ? (uint32_t)(until - now)
                                                       : 0;
        enum tenon_err rc = tenon_receive(box, left, &message);
        if (rc != TENON_OK) {
            return rc == TENON_E_NOPROC ? TENON_E_STOPPED : rc;
        }
        bool ended = read_end(tenon_value_term(message), monitor, reason, &rc);
        tenon_value_free(message);
        if (ended) {
            return rc;
        }
    }
}

static enum tenon_err stop(tenon_process *box,
                           const tenon_dest *to,
                           tenon_term reason,
                           uint32_t timeout_ms)
{
    tenon_ref ref;
    enum tenon_err rc = tenon_monitor(box, to, &ref);
    if (rc < 0) {
        return rc;
    }
    rc = ask(box, to, reason);
    /* How one has ended meanwhile, its monitor tells. */
    return rc == TENON_OK || rc == TENON_E_NOPROC
               ? await_end(box, &ref, reason, timeout_ms)
               : rc;
}

enum tenon_err tenon_server_stop(tenon_node *node,
                                 const tenon_dest *to,
                                 tenon_term reason,
                                 uint32_t timeout_ms,
                                 tenon_error *err)
{
    if (node == NULL || to == NULL || reason.bytes == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "stop of a server: no node, server or reason");
    }
    if (tn_on_loop(node)) {
        return tn_error(err, TENON_E_NOT_ALLOWED, "stop of a server: %s",
                        tenon_err_text(TENON_E_NOT_ALLOWED));
    }
    tenon_error why = { .code = TENON_E_NOMEM };
    tenon_process *box = tenon_mailbox_new(node, NULL, &why);
    enum tenon_err rc = why.code;
    if (box != NULL) {
        rc = stop(box, to, reason,
                  timeout_ms == 0 ? TENON_NO_TIMEOUT : timeout_ms);
        (void)tn_process_end(box, tn_atom_normal); /* needs no memory */
        tenon_process_release(box);
    }
    return rc == TENON_OK
               ? rc
               : tn_error(err, rc, "stop of a server: %s", tenon_err_text(rc));
}
