/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of gen_server's callers, taken apart and answered. */
#include "otp/gen.h"

#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "term/scan.h"

/* Tags of the external term format that are written or told apart here. */
#define SMALL_TUPLE 104
#define STRING 107

static bool take_views(tenon_cursor *at, tenon_term *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!tenon_cursor_next(at, &out[i])) {
            return false;
        }
    }
    return true;
}

/* The last element is found without being read: it may be large. */
bool tn_tuple_views(tenon_term tuple, tenon_term *out, size_t n)
{
    tenon_cursor at;
    tenon_cursor_init(&at, tuple);
    return n > 0 && tenon_term_type(tuple) == TENON_TYPE_TUPLE &&
           tenon_term_count(tuple) == n && take_views(&at, out, n - 1) &&
           tenon_tuple_get(tuple, n - 1, &out[n - 1]) == TENON_OK;
}

bool tn_list_views(tenon_term list, tenon_term *out, size_t n)
{
    tenon_cursor at;
    tenon_term more;
    if (tenon_term_type(list) != TENON_TYPE_LIST || list.bytes[0] == STRING) {
        return false;
    }
    tenon_cursor_init(&at, list);
    return take_views(&at, out, n) && !tenon_cursor_next(&at, &more) &&
           tenon_cursor_tail(&at, &more) == TENON_OK &&
           tenon_term_type(more) == TENON_TYPE_LIST;
}

/* {from, tag} of a call. */
static bool parse_from(tenon_term term, struct tn_gen *gen)
{
    tenon_term pair[2];
    if (!tn_tuple_views(term, pair, 2) ||
        tenon_term_type(pair[0]) != TENON_TYPE_PID) {
        return false;
    }
    gen->from = pair[0];
    gen->tag = pair[1];
    return true;
}

static bool parse_call(tenon_term message, struct tn_gen *gen)
{
    tenon_term part[3];
    if (!tn_tuple_views(message, part, 3)) {
        return false;
    }
    if (tenon_term_is_atom(part[0], "$gen_call")) {
        gen->kind = TN_GEN_CALL;
    } else if (tenon_term_is_atom(part[0], "system")) {
        gen->kind = TN_GEN_SYSTEM;
    } else {
        return false;
    }
    gen->request = part[2];
    return parse_from(part[1], gen);
}

static bool parse_cast(tenon_term message, struct tn_gen *gen)
{
    tenon_term part[2];
    if (!tn_tuple_views(message, part, 2) ||
        !tenon_term_is_atom(part[0], "$gen_cast")) {
        return false;
    }
    gen->kind = TN_GEN_CAST;
    gen->request = part[1];
    return true;
}

struct tn_gen tn_gen_parse(tenon_term message)
{
    struct tn_gen gen = { 0 };
    if (parse_call(message, &gen) || parse_cast(message, &gen)) {
        return gen;
    }
    return (struct tn_gen){ .kind = TN_GEN_INFO, .request = message };
}

/* The only element before the tail of an improper list [head | tail]. */
static bool cons_views(tenon_term list, tenon_term *head, tenon_term *tail)
{
    tenon_cursor at;
    if (tenon_term_type(list) != TENON_TYPE_LIST ||
        tenon_term_count(list) != 1 || list.bytes[0] == STRING) {
        return false;
    }
    tenon_cursor_init(&at, list);
    return tenon_cursor_next(&at, head) &&
           tenon_cursor_tail(&at, tail) == TENON_OK;
}

static bool alias_views(tenon_term list, tenon_term *alias)
{
    tenon_term head, tail;
    if (!cons_views(list, &head, &tail) || !tenon_term_is_atom(head, "alias") ||
        tenon_term_type(tail) != TENON_TYPE_REF) {
        return false;
    }
    *alias = tail;
    return true;
}

bool tn_gen_alias(tenon_term tag, tenon_term *alias)
{
    tenon_cursor at;
    tenon_term head;
    if (tenon_term_type(tag) != TENON_TYPE_LIST || tag.bytes[0] == STRING) {
        return false;
    }
    if (alias_views(tag, alias)) {
        return true;
    }
    /* [[alias | X] | anything]: multi_call of OTP 27 and later. */
    tenon_cursor_init(&at, tag);
    return tenon_cursor_next(&at, &head) && alias_views(head, alias);
}

bool tn_gen_may_answer(const tenon_process *self, const struct tn_gen *gen)
{
    tn_access *origin = tn_process_origin(self);
    tenon_term alias;
    if (origin == NULL || gen->from.bytes == NULL) {
        return true;
    }
    return tn_may_answer(self->node, origin, gen->from, false) &&
           (!tn_gen_alias(gen->tag, &alias) ||
            tn_may_answer(self->node, origin, alias, false));
}

enum tenon_err tn_gen_reply(tenon_node *node,
                            tenon_term from,
                            tenon_term pid,
                            tenon_term tag,
                            tenon_term value)
{
    struct tn_pair reply;
    tenon_term alias;
    enum tenon_err rc = tn_pair_init(&reply, tag, value);
    if (rc < 0) {
        return rc;
    }
    rc = TENON_E_NOTSUP;
    if (tn_gen_alias(tag, &alias)) {
        rc = tn_send_alias(node, from, alias, reply.term);
    }
    if (rc == TENON_E_NOTSUP) {
        rc = tn_send_answer(node, from, pid, reply.term);
    }
    tn_pair_fini(&reply);
    return rc;
}

enum tenon_err
tn_pair_init(struct tn_pair *pair, tenon_term first, tenon_term second)
{
    uint8_t *at = pair->room;
    pair->heap = NULL;
    if (first.bytes == NULL || second.bytes == NULL) {
        return TENON_E_INVAL;
    }
    if (first.len > TENON_TERM_MAX_BYTES - 2 ||
        second.len > TENON_TERM_MAX_BYTES - 2 - first.len) {
        return TENON_E_TERM_BIG;
    }
    if (!tn_fits_below(first, 1) || !tn_fits_below(second, 1)) {
        return TENON_E_TERM_DEEP;
    }
    size_t len = 2 + first.len + second.len;
    if (len > sizeof pair->room) {
        pair->heap = at = malloc(len);
        if (at == NULL) {
            return TENON_E_NOMEM;
        }
    }
    pair->term = (tenon_term){ .bytes = at, .len = len };
    at[0] = SMALL_TUPLE;
    at[1] = 2;
    memcpy(at + 2, first.bytes, first.len);
    memcpy(at + 2 + first.len, second.bytes, second.len);
    return TENON_OK;
}

void tn_pair_fini(struct tn_pair *pair)
{
    free(pair->heap);
    pair->heap = NULL;
}
