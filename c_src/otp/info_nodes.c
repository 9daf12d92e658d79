/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the node's name and its peers. */
#include <string.h>

#include "otp/info.h"
#include "term/view.h"

static void node_name(struct tn_question *question)
{
    tenon_build_atom(question->out, question->node->name.full);
}

/* erlang:node/1 of a pid, reference or port. */
static void node_of(struct tn_question *question)
{
    tenon_term term = tn_question_arg(question, 0);
    struct tn_id_view view;
    uint8_t text[TENON_ATOM_MAX_BYTES + 1];

    if (!tn_pid_view(term, &view) && !tn_ref_view(term, &view) &&
        !tn_port_view(term, &view)) {
        question->badarg = true;
        return;
    }
    text[tn_atom_utf8(&view.node, text)] = '\0';
    tenon_build_atom(question->out, (const char *)text);
}

static void build_peers(struct tn_question *question, enum tenon_peers which)
{
    if (tenon_node_list(question->node, which, question->out) != TENON_OK) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
    }
}

static void nodes_0(struct tn_question *question)
{
    build_peers(question, TENON_PEERS_VISIBLE);
}

static const struct {
    const char *word;
    bool this_node;
    bool peers;
    enum tenon_peers which;
} node_kinds[] = {
    { "visible", false, true, TENON_PEERS_VISIBLE },
    { "hidden", false, true, TENON_PEERS_HIDDEN },
    { "connected", false, true, TENON_PEERS_CONNECTED },
    { "this", true, false, TENON_PEERS_VISIBLE },
    { "known", true, true, TENON_PEERS_CONNECTED },
};

/* One kind's nodes behind those that are there; false: no kind. */
static bool add_nodes(struct tn_question *question,
                      tenon_term kind,
                      struct tn_buf *names,
                      size_t *count)
{
    tenon_builder list;
    tenon_cursor at;
    tenon_term nodes, name;

    for (size_t i = 0; i < sizeof node_kinds / sizeof node_kinds[0]; i++) {
        if (!tenon_term_is_atom(kind, node_kinds[i].word)) {
            continue;
        }
        tn_builder_init(&list, TENON_TERM_MAX_BYTES);
        if (node_kinds[i].this_node) {
            tenon_build_list(&list, 1);
            tenon_build_atom(&list, question->node->name.full);
        }
        if (!node_kinds[i].peers) {
            tenon_build_nil(&list);
        } else if (tenon_node_list(question->node, node_kinds[i].which,
                                   &list) != TENON_OK) {
            tn_builder_fail(question->out, TENON_E_NOMEM);
        }
        if (tenon_builder_term(&list, &nodes) == TENON_OK) {
            tenon_cursor_init(&at, nodes);
            while (tenon_cursor_next(&at, &name)) {
                if (tn_buf_append(names, name.bytes, name.len) != TENON_OK) {
                    tn_builder_fail(question->out, TENON_E_NOMEM);
                    break;
                }
                ++*count;
            }
        }
        tn_builder_fini(&list);
        return true;
    }
    return false;
}

static void build_names(tenon_builder *out, struct tn_buf *names, size_t count)
{
    const uint8_t *p = names->bytes;

    tenon_build_list(out, count);
    for (size_t i = 0; i < count; i++) {
        tenon_term name = tn_term_at(p);

        tenon_build_term(out, name);
        p += name.len;
    }
    tenon_build_nil(out);
}

/* nodes(Kind), nodes([Kind, ...]) */
static void nodes_1(struct tn_question *question)
{
    tenon_term kinds = tn_question_arg(question, 0);
    tenon_term kind;
    tenon_cursor at;
    struct tn_buf names;
    size_t count = 0;
    bool known = true;

    tn_buf_init(&names, TENON_TERM_MAX_BYTES);
    if (tenon_term_is_proper_list(kinds)) {
        tenon_cursor_init(&at, kinds);
        while (known && tenon_cursor_next(&at, &kind)) {
            known = add_nodes(question, kind, &names, &count);
        }
    } else {
        known = add_nodes(question, kinds, &names, &count);
    }
    if (known) {
        build_names(question->out, &names, count);
    } else {
        question->badarg = true;
    }
    tn_buf_fini(&names);
}

static void ticktime(struct tn_question *question)
{
    tenon_build_uint(question->out, tn_ticktime_s(question->node));
}

static void localhost(struct tn_question *question)
{
    tn_info_build_chars(question->out,
                        strchr(question->node->name.full, '@') + 1);
}

const struct tn_info_function tn_info_nodes_functions[] = {
    { "erlang", "node", 0, node_name, false },
    { "erlang", "node", 1, node_of, false },
    { "erlang", "nodes", 0, nodes_0, false },
    { "erlang", "nodes", 1, nodes_1, false },
    { "net_adm", "localhost", 0, localhost, false },
    { "net_kernel", "get_net_ticktime", 0, ticktime, false },
    { "Elixir.Node", "list", 0, nodes_0, false },
    { "Elixir.Node", "list", 1, nodes_1, false },
    { "Elixir.Node", "self", 0, node_name, false },
    { NULL, NULL, 0, NULL, false },
};
