/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the node's name and its peers. */
#include <stdio.h>
#include <string.h>

#include "otp/gen.h"
#include "otp/info.h"
#include "otp/io.h"
#include "term/view.h"

/* Of a host's name, with the byte that ends it. */
#define HOST_MAX_BYTES 256u

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

/* Most kinds that are asked for at once: each may name all nodes. */
#define KINDS_ASKED_MAX 16u

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
        known = tenon_term_count(kinds) <= KINDS_ASKED_MAX;
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

/* ---- other nodes -------------------------------------------------------- */

static bool is_up(tenon_node *node, const char *name)
{
    tn_lock(node);
    const struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

/* Connects to the node that is the first argument; for a limited peer, which
 * would choose whom this node proves its cookie to, only looks. */
static bool reach(struct tn_question *question)
{
    tn_access *origin = question->call->origin;
    tenon_atom name;

    if (tenon_term_atom(tn_question_arg(question, 0), &name) != TENON_OK) {
        question->badarg = true;
        return false;
    }
    if (strcmp(name.text, tenon_node_name(question->node)) == 0 ||
        is_up(question->node, name.text)) {
        return true;
    }
    return tn_may_claim(question->node, origin, "connection", name.text,
                        strlen(name.text)) &&
           tenon_node_connect(question->node, name.text, 0, NULL) == TENON_OK;
}

static void ping(struct tn_question *question)
{
    tenon_build_atom(question->out, reach(question) ? "pong" : "pang");
}

static void connect_node(struct tn_question *question)
{
    tenon_build_bool(question->out, reach(question));
}

/* {ok, [{Name, Port}]} of names that are binaries. */
static void build_registered(tenon_builder *out, tenon_term names)
{
    tenon_cursor at;
    tenon_term entry, part[2];
    tenon_atom name;

    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "ok");
    tenon_build_list(out, tenon_term_count(names));
    tenon_cursor_init(&at, names);
    while (tenon_cursor_next(&at, &entry)) {
        const void *bytes;
        size_t len;

        if (!tn_tuple_views(entry, part, 2) ||
            tenon_term_binary(part[0], &bytes, &len) != TENON_OK) {
            tn_builder_fail(out, TENON_E_TERM_TYPE);
            return;
        }
        snprintf(name.text, sizeof name.text, "%.*s", (int)len,
                 (const char *)bytes);
        tenon_build_tuple(out, 2);
        tn_info_build_chars(out, name.text);
        tenon_build_term(out, part[1]);
    }
    tenon_build_nil(out);
}

/* What the epmd of a host says; NULL: this machine's. */
static void build_names_of(struct tn_question *question, const char *host)
{
    tenon_builder list;
    tenon_term names;

    tn_builder_init(&list, TENON_TERM_MAX_BYTES);
    if (tenon_epmd_names(host, 0, &list, NULL) != TENON_OK) {
        tenon_format(question->out, "{:error, :address}");
    } else if (tenon_builder_term(&list, &names) == TENON_OK) {
        build_registered(question->out, names);
    } else {
        tn_builder_fail(question->out, TENON_E_NOMEM);
    }
    tn_builder_fini(&list);
}

static void names_0(struct tn_question *question)
{
    build_names_of(question, NULL);
}

/* The host is an atom, or a string of characters. */
static void names_1(struct tn_question *question)
{
    tenon_term host = tn_question_arg(question, 0);
    tenon_atom atom;
    struct tn_buf text;

    if (tenon_term_atom(host, &atom) == TENON_OK) {
        build_names_of(question, atom.text);
        return;
    }
    tn_buf_init(&text, HOST_MAX_BYTES);
    if (tenon_term_is_proper_list(host) &&
        tn_io_text(&text, TENON_IO_LATIN1, host) == TENON_OK &&
        tn_buf_append(&text, "", 1) == TENON_OK &&
        strlen((const char *)text.bytes) + 1 == text.len) {
        build_names_of(question, (const char *)text.bytes);
    } else {
        question->badarg = true;
    }
    tn_buf_fini(&text);
}

const struct tn_info_function tn_info_nodes_functions[] = {
    { "erlang", "node", 0, node_name, false },
    { "erlang", "node", 1, node_of, false },
    { "erlang", "nodes", 0, nodes_0, false },
    { "erlang", "nodes", 1, nodes_1, false },
    { "net_adm", "localhost", 0, localhost, false },
    { "net_adm", "names", 0, names_0, true },
    { "net_adm", "names", 1, names_1, true },
    { "net_adm", "ping", 1, ping, true },
    { "net_kernel", "connect_node", 1, connect_node, true },
    { "net_kernel", "get_net_ticktime", 0, ticktime, false },
    { "Elixir.Node", "connect", 1, connect_node, true },
    { "Elixir.Node", "list", 0, nodes_0, false },
    { "Elixir.Node", "list", 1, nodes_1, false },
    { "Elixir.Node", "ping", 1, ping, true },
    { "Elixir.Node", "self", 0, node_name, false },
    { NULL, NULL, 0, NULL, false },
};
