/* SPDX-License-Identifier: Apache-2.0 */
/* Answers with a server's state, in the shape that the caller's sys takes. */
#include "otp/state_reply.h"

#include <stdlib.h>
#include <string.h>

#include <tenon/rpc.h>

#include "dist/flags.h"
#include "node/node.h"
#include "term/scan.h"

/* From this version of stdlib on {ok, state} is expected. */
#define NEW_MAJOR 5
#define NEW_MINOR 1

enum shape {
    BARE,
    WITH_OK,
    UNKNOWN,
};

/* An answer that waits for the caller's release. */
struct waiting {
    tenon_process *self;     /* kept */
    tenon_value *from;       /* {pid, tag} */
    tenon_value *reply;      /* {ok, state} */
    struct tn_charge charge; /* on the account of the caller's node */
};

static void waiting_free(struct waiting *waiting)
{
    tenon_process_release(waiting->self);
    tenon_value_free(waiting->from);
    tenon_value_free(waiting->reply);
    tn_charge_drop(&waiting->charge);
    free(waiting);
}

/* Aliases came with OTP 24, the other flag with 28. A caller of this node
 * expects what new ones do. */
static enum shape shape_of_flags(uint64_t flags)
{
    if ((flags & TN_FLAG(ALTACT_SIG)) != 0) {
        return WITH_OK;
    }
    return (flags & TN_FLAG(ALIAS)) == 0 ? BARE : UNKNOWN;
}

static enum shape shape_for(tenon_node *node, const tenon_pid *caller)
{
    enum shape shape = WITH_OK;
    tn_lock(node);
    struct tn_peer *peer =
        tn_peer_find_locked(node, caller->node, strlen(caller->node));
    if (peer != NULL && peer->state == TN_PEER_UP) {
        shape = shape_of_flags(tn_conn_flags(peer->conn));
    }
    tn_unlock(node);
    return shape;
}

static void answer(const struct waiting *waiting, enum shape shape)
{
    tenon_term part[2];
    tenon_term reply = tenon_value_term(waiting->reply);
    if (shape == BARE && tn_tuple_views(reply, part, 2)) {
        reply = part[1];
    }
    (void)tn_tuple_views(tenon_value_term(waiting->from), part, 2);
    (void)tn_gen_reply(tenon_process_node(waiting->self),
                       tn_process_pid(waiting->self), part[0], part[1], reply);
}

/* Reads "5.1.2" as far as the second number. */
static bool read_version(tenon_term text, int64_t *major, int64_t *minor)
{
    tenon_cursor at;
    tenon_term element;
    int64_t character;
    int64_t *number = major;
    *major = *minor = 0;
    tenon_cursor_init(&at, text);
    while (tenon_cursor_next(&at, &element)) {
        if (tenon_term_int64(element, &character) != TENON_OK) {
            return false;
        }
        if (character == '.') {
            if (number == minor) {
                break;
            }
            number = minor;
        } else if (character < '0' || character > '9' || *number > 1000) {
            return false;
        } else {
            *number = *number * 10 + character - '0';
        }
    }
    return number == minor;
}

/* {ok, Version}, what application:get_key(stdlib, vsn) returns. */
static enum shape shape_of_version(const tenon_result *result)
{
    tenon_term text;
    int64_t major, minor;
    if (result->code != TENON_OK ||
        !tenon_match(result->value, "{:ok, ~t}", &text) ||
        !read_version(text, &major, &minor)) {
        return WITH_OK;
    }
    return major < NEW_MAJOR || (major == NEW_MAJOR && minor < NEW_MINOR)
               ? BARE
               : WITH_OK;
}

static void on_version(void *user, const tenon_result *result)
{
    answer(user, shape_of_version(result));
    waiting_free(user);
}

static enum tenon_err ask(struct waiting *waiting, const tenon_pid *caller)
{
    tenon_value *args = tenon_value_format("[:stdlib, :vsn]");
    enum tenon_err rc = TENON_E_NOMEM;
    if (args != NULL) {
        rc = tenon_rpc_async(tenon_process_node(waiting->self), caller->node,
                             "application", "get_key", tenon_value_term(args),
                             0, on_version, waiting);
    }
    tenon_value_free(args);
    return rc;
}

enum tenon_err
tn_state_reply(tenon_process *self, const struct tn_gen *gen, tenon_term state)
{
    tenon_pid caller;
    /* {tag, {ok, state}} */
    if (!tn_fits_below(state, 2)) {
        return TENON_E_TERM_DEEP;
    }
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (waiting == NULL) {
        return TENON_E_NOMEM;
    }
    waiting->self = tenon_process_keep(self);
    waiting->from = tenon_value_format("{~t, ~t}", gen->from, gen->tag);
    waiting->reply = tenon_value_format("{:ok, ~t}", state);
    if (waiting->from == NULL || waiting->reply == NULL ||
        tenon_term_pid(gen->from, &caller) != TENON_OK ||
        !tn_charge_take(&waiting->charge, tn_process_account(self),
                        sizeof *waiting + state.len, "answers of sys")) {
        waiting_free(waiting);
        return TENON_E_NOMEM;
    }
    enum shape shape = shape_for(tenon_process_node(self), &caller);
    if (shape == UNKNOWN && ask(waiting, &caller) == TENON_OK) {
        return TENON_OK; /* on_version answers */
    }
    answer(waiting, shape);
    waiting_free(waiting);
    return TENON_OK;
}
