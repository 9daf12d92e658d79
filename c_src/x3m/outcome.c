/* SPDX-License-Identifier: Apache-2.0 */
/* Exit reasons of called functions, told as badrpc reasons. */
#include "x3m/outcome.h"

#include "node/atoms.h"
#include "term/canonical.h"

tenon_term tn_badrpc_told(tenon_term value)
{
    return tn_leaves_levels(value) ? value : tn_atom_system_limit;
}

/* {Tag, Value} */
static void tagged(tenon_builder *out, const char *tag, tenon_term value)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, tag);
    tenon_build_term(out, tn_badrpc_told(value));
}

void tn_badrpc_returned(tenon_builder *badrpc, tenon_term value)
{
    tagged(badrpc, "bad_return", value);
}

void tn_badrpc_threw(tenon_builder *badrpc, tenon_term value)
{
    tagged(badrpc, "throw", value);
}

void tn_badrpc_exited(tenon_builder *badrpc, tenon_term reason)
{
    tagged(badrpc, "EXIT", reason);
}

void tn_badrpc_raised(tenon_builder *badrpc,
                      tenon_term reason,
                      tenon_term stack)
{
    tenon_build_tuple(badrpc, 2);
    tenon_build_atom(badrpc, "EXIT");
    tenon_build_tuple(badrpc, 2);
    tenon_build_term(badrpc, tn_badrpc_told(reason));
    tenon_build_term(badrpc, tn_badrpc_told(stack));
}

void tn_badrpc_refused(tenon_builder *badrpc, tenon_term why)
{
    if (tenon_term_is_atom(why, "notsup") ||
        tenon_term_is_atom(why, "timeout")) {
        tenon_build_term(badrpc, tn_badrpc_told(why));
    } else if (tenon_term_is_atom(why, "noconnection")) {
        tenon_build_atom(badrpc, "nodedown");
    } else {
        tn_badrpc_exited(badrpc, why);
    }
}

/* Elements of {Res, Tag, Value} or {Res, Tag, Value, Stack} made by this very
 * call. */
struct erpc_exit {
    tenon_term tag;
    tenon_term value;
    tenon_term stack; /* null view: there is none */
};

static bool
read_exit(tenon_term reason, const tenon_ref *res, struct erpc_exit *exit)
{
    size_t arity = tenon_term_count(reason);
    tenon_term ref;
    tenon_ref got;

    exit->stack = (tenon_term){ NULL, 0 };
    return tenon_term_type(reason) == TENON_TYPE_TUPLE &&
           (arity == 3 || arity == 4) &&
           tenon_tuple_get(reason, 0, &ref) == TENON_OK &&
           tenon_term_ref(ref, &got) == TENON_OK &&
           tenon_ref_equal(&got, res) &&
           tenon_tuple_get(reason, 1, &exit->tag) == TENON_OK &&
           tenon_tuple_get(reason, 2, &exit->value) == TENON_OK &&
           (arity == 3 || tenon_tuple_get(reason, 3, &exit->stack) == TENON_OK);
}

/* {Res, error, {erpc, Why}}: erpc itself could not run it. */
static bool is_erpc_error(const struct erpc_exit *exit, tenon_term *why)
{
    tenon_term tag;

    return exit->stack.bytes == NULL &&
           tenon_term_is_atom(exit->tag, "error") &&
           tenon_term_count(exit->value) == 2 &&
           tenon_tuple_get(exit->value, 0, &tag) == TENON_OK &&
           tenon_term_is_atom(tag, "erpc") &&
           tenon_tuple_get(exit->value, 1, why) == TENON_OK;
}

bool tn_outcome_returned(tenon_term reason,
                         const tenon_ref *res,
                         tenon_term *value,
                         tenon_builder *badrpc)
{
    struct erpc_exit exit;
    tenon_term why;

    if (!read_exit(reason, res, &exit)) {
        if (tenon_term_is_atom(reason, "noconnection")) {
            tenon_build_atom(badrpc, "nodedown");
        } else {
            tn_badrpc_exited(badrpc, reason);
        }
        return false;
    }
    bool has_stack = exit.stack.bytes != NULL;

    if (!has_stack && tenon_term_is_atom(exit.tag, "return")) {
        *value = exit.value;
        return true;
    }
    if (!has_stack && tenon_term_is_atom(exit.tag, "throw")) {
        tn_badrpc_threw(badrpc, exit.value);
    } else if (!has_stack && tenon_term_is_atom(exit.tag, "exit")) {
        tn_badrpc_exited(badrpc, exit.value);
    } else if (has_stack && tenon_term_is_atom(exit.tag, "error")) {
        tn_badrpc_raised(badrpc, exit.value, exit.stack);
    } else if (is_erpc_error(&exit, &why)) {
        tn_badrpc_refused(badrpc, why);
    } else {
        tn_badrpc_exited(badrpc, reason);
    }
    return false;
}
