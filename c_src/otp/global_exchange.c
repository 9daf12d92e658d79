/* SPDX-License-Identifier: Apache-2.0 */
/* Two partitions, both locked, make one set of names of their two. */
#include <stdlib.h>
#include <string.h>

#include "otp/gen.h"
#include "otp/global_core.h"
#include "term/build.h"
#include "term/tags.h"
#include "term/view.h"

static const tenon_term null_term = { NULL, 0 };

/* ---- lists that grow --------------------------------------------------- */

/* Whole terms one behind the other, and how many. */
struct growing {
    struct tenon_builder out;
    size_t count;
};

static void growing_init(struct growing *list)
{
    tn_builder_init(&list->out, TENON_TERM_MAX_BYTES);
    list->count = 0;
}

/* owned. NULL: out of memory. Ends the builder. */
static tenon_value *value_of(struct tenon_builder *out)
{
    tenon_term term;
    tenon_value *value = tenon_builder_term(out, &term) == TENON_OK
                             ? tenon_value_new(term)
                             : NULL;

    tn_builder_fini(out);
    return value;
}

/* What was appended, as a list. NULL: out of memory. */
static tenon_value *growing_list(const struct growing *list)
{
    struct tenon_builder out;
    const uint8_t *at = NULL;
    size_t len = 0;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (tn_builder_bytes(&list->out, &at, &len) < 0) {
        return NULL;
    }
    tenon_build_list(&out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        tenon_term element = tn_term_at(at);

        tenon_build_term(&out, element);
        at += element.len;
    }
    tenon_build_nil(&out);
    return value_of(&out);
}

static void build_elements(tenon_builder *out, tenon_term list)
{
    tenon_cursor at;
    tenon_term element;

    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        tenon_build_term(out, element);
    }
}

/* a ++ b. NULL: out of memory. */
static tenon_value *joined(tenon_term a, tenon_term b)
{
    struct tenon_builder out;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tenon_build_list(&out, tenon_term_count(a) + tenon_term_count(b));
    build_elements(&out, a);
    build_elements(&out, b);
    tenon_build_nil(&out);
    return value_of(&out);
}

/* {'$gen_cast', {Verb, Own, ...}}: the elements from the third on follow. */
static void begin_cast(struct tenon_builder *out,
                       size_t arity,
                       const char *verb,
                       const char *own)
{
    tn_builder_init(out, TENON_TERM_MAX_BYTES);
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "$gen_cast");
    tenon_build_tuple(out, arity);
    tenon_build_atom(out, verb);
    tenon_build_atom(out, own);
}

/* ---- resolving --------------------------------------------------------- */

/* Walks the peer's names; stops while another node resolves a clash. */
struct tn_gresolver {
    struct tn_gcall call;  /* first */
    struct tn_gpeer *peer; /* NULL: nobody wants the result any more */
    tenon_value *names;
    tenon_cursor at;
    tenon_term now[3];    /* name, pid, method of his */
    tenon_value *our_pid; /* of the name that clashes */
    tenon_value *our_method;
    struct growing ops;      /* what this node is to change */
    struct growing resolved; /* what the peer's side is to change */
    bool asking;
    char node[TENON_NODE_NAME_MAX_BYTES + 1];
};

static void free_resolver(struct tn_gresolver *resolver)
{
    tn_builder_fini(&resolver->ops.out);
    tn_builder_fini(&resolver->resolved.out);
    tenon_value_free(resolver->names);
    tenon_value_free(resolver->our_pid);
    tenon_value_free(resolver->our_method);
    free(resolver);
}

void tn_gexchange_drop(struct tn_gpeer *peer)
{
    struct tn_gresolver *resolver = peer->resolver;

    peer->resolver = NULL;
    if (resolver == NULL) {
        return;
    }
    if (resolver->asking) {
        resolver->peer = NULL; /* freed when the answer comes */
    } else {
        free_resolver(resolver);
    }
}

static void add_insert(struct growing *list,
                       tenon_term name,
                       tenon_term pid,
                       tenon_term method)
{
    tenon_format(&list->out, "{:insert, {~t, ~t, ~t}}", name, pid, method);
    list->count++;
}

static void add_delete(struct growing *list, tenon_term name)
{
    tenon_format(&list->out, "{:delete, ~t}", name);
    list->count++;
}

static bool is_pid_of(tenon_term term, tenon_term pid)
{
    return tenon_term_type(term) == TENON_TYPE_PID &&
           tenon_term_equal(term, pid);
}

static void forget_ours(struct tn_gresolver *resolver)
{
    tenon_value_free(resolver->our_pid);
    tenon_value_free(resolver->our_method);
    resolver->our_pid = resolver->our_method = NULL;
}

/* result: the pid that stays; the null view when nobody could be asked: the
 * other side's stays. All else: neither. */
static void take_result(struct tn_gresolver *resolver, tenon_term result)
{
    const tenon_term *his = resolver->now;
    tenon_term ours = tenon_value_term(resolver->our_pid);

    if (result.bytes == NULL || is_pid_of(result, his[1])) {
        add_insert(&resolver->ops, his[0], his[1], his[2]);
    } else if (is_pid_of(result, ours)) {
        add_insert(&resolver->resolved, his[0], ours,
                   tenon_value_term(resolver->our_method));
    } else {
        add_delete(&resolver->ops, his[0]);
        add_delete(&resolver->resolved, his[0]);
    }
    forget_ours(resolver);
}

static void resolve_here(struct tn_global *global,
                         struct tn_gresolver *resolver)
{
    struct tenon_builder out;
    tenon_term result = null_term;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (tn_gresolve(global->io, global->io_user,
                    tenon_value_term(resolver->our_method), resolver->now[0],
                    resolver->now[1], tenon_value_term(resolver->our_pid),
                    &out) < 0 ||
        tenon_builder_term(&out, &result) < 0) {
        result = null_term;
    }
    take_result(resolver, result);
    tn_builder_fini(&out);
}

static void resolve_on(struct tn_global *global,
                       struct tn_gresolver *resolver,
                       const char *node)
{
    tenon_value *args = tenon_value_format(
        "[~t, ~t, ~t, ~t]", tenon_value_term(resolver->our_method),
        resolver->now[0], resolver->now[1],
        tenon_value_term(resolver->our_pid));

    if (args == NULL) {
        take_result(resolver, null_term);
        return;
    }
    memcpy(resolver->node, node, strlen(node) + 1);
    resolver->asking = true;
    global->io->resolve(global->io_user, resolver->node, tenon_value_term(args),
                        &resolver->call);
    tenon_value_free(args);
}

/* The method is not asked: it might end our process. */
static void keep_ours(struct tn_gresolver *resolver)
{
    tenon_term ours = tenon_value_term(resolver->our_pid);

    if (ours.bytes != NULL && resolver->our_method != NULL) {
        add_insert(&resolver->resolved, resolver->now[0], ours,
                   tenon_value_term(resolver->our_method));
    }
    forget_ours(resolver);
}

/* Both sides have the name for different processes: the side with the smaller
 * node name resolves it, the other leaves it to that. */
static void take_clash(struct tn_global *global,
                       struct tn_gresolver *resolver,
                       const struct tn_gname *name,
                       bool may_win)
{
    if (strcmp(global->own, resolver->peer->name) > 0) {
        return;
    }
    resolver->our_pid = tenon_value_format("~p", &name->pid);
    resolver->our_method = tenon_value_new(name->method);
    if (!may_win) {
        keep_ours(resolver);
    } else if (resolver->our_pid == NULL || resolver->our_method == NULL) {
        take_result(resolver, null_term);
    } else if (strcmp(name->pid.node, global->own) == 0) {
        resolve_here(global, resolver);
    } else if (tn_gclaim_limit(global, name->pid.node) != NULL) {
        take_result(resolver, null_term); /* its answer would not count */
    } else {
        resolve_on(global, resolver, name->pid.node);
    }
}

static void take_entry(struct tn_global *global,
                       struct tn_gresolver *resolver,
                       tenon_term entry)
{
    const char *by = tn_gclaim_limit(global, resolver->peer->name);
    tenon_pid pid;

    if (!tn_tuple_views(entry, resolver->now, 3) ||
        tenon_term_pid(resolver->now[1], &pid) < 0 ||
        !tn_gclaim_about(global, by, "global name", pid.node)) {
        return;
    }
    struct tn_gname *name = tn_gname_find(global, resolver->now[0]);

    if (name == NULL) {
        add_insert(&resolver->ops, resolver->now[0], resolver->now[1],
                   resolver->now[2]);
    } else if (!tenon_pid_equal(&name->pid, &pid)) {
        take_clash(global, resolver, name,
                   tn_gclaim_about(global, by, "global name", name->pid.node));
    }
}

static void finish_if_resolved(struct tn_global *global, struct tn_gpeer *peer);

static void names_are_compared(struct tn_global *global,
                               struct tn_gresolver *resolver)
{
    struct tn_gpeer *peer = resolver->peer;
    tenon_value *resolved = growing_list(&resolver->resolved);
    struct tenon_builder out;

    peer->resolver = NULL;
    peer->ops = growing_list(&resolver->ops);
    free_resolver(resolver);
    begin_cast(&out, 7, "resolved", global->own);
    tenon_build_term(&out, tenon_value_term(resolved));
    tn_global_build_known(global, &out, tn_gpeer_version(peer));
    tenon_build_atom(&out, "unused");
    tenon_build_nil(&out);
    tenon_build_term(&out, tenon_value_term(peer->his_tag.value));
    tenon_value *message = value_of(&out);

    tenon_value_free(resolved);
    if (peer->ops == NULL) {
        tenon_value_free(message);
        message = NULL;
    }
    tn_global_send(global, peer->name, message);
    finish_if_resolved(global, peer);
}

static void go_on(struct tn_global *global, struct tn_gresolver *resolver)
{
    tenon_term entry;

    while (!resolver->asking && tenon_cursor_next(&resolver->at, &entry)) {
        take_entry(global, resolver, entry);
    }
    if (!resolver->asking) {
        names_are_compared(global, resolver);
    }
}

static void go_on_comparing(struct tn_global *global, struct tn_gpeer *peer)
{
    go_on(global, peer->resolver);
}

static void other_has_resolved(struct tn_global *global,
                               struct tn_gcall *call,
                               tenon_term reply)
{
    struct tn_gresolver *resolver = (struct tn_gresolver *)call;

    resolver->asking = false;
    if (resolver->peer == NULL) {
        free_resolver(resolver);
        return;
    }
    take_result(resolver, reply);
    tn_glong_do(global, resolver->peer, tenon_value_term(resolver->names).len,
                go_on_comparing);
}

static void start_resolver(struct tn_global *global, struct tn_gpeer *peer)
{
    struct tn_gresolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL) {
        global->io->disconnect(global->io_user, peer->name);
        return;
    }
    resolver->call.global = global;
    resolver->call.ended = other_has_resolved;
    resolver->call.node = resolver->node;
    resolver->peer = peer;
    resolver->names = peer->names.value;
    peer->names.value = NULL;
    growing_init(&resolver->ops);
    growing_init(&resolver->resolved);
    tenon_cursor_init(&resolver->at, tenon_value_term(resolver->names));
    peer->resolver = resolver;
    go_on(global, resolver);
}

/* ---- exchange ---------------------------------------------------------- */

static tenon_value *make_exchange(struct tn_global *global,
                                  const struct tn_gpeer *peer)
{
    struct tenon_builder out;

    begin_cast(&out, 5, "exchange", global->own);
    tenon_build_list(&out, HASH_COUNT(global->names));
    for (struct tn_gname *name = global->names; name != NULL;
         name = name->hh.next) {
        tenon_format(&out, "{~t, ~p, ~t}", name->key, &name->pid, name->method);
    }
    tenon_build_nil(&out);
    tenon_build_nil(&out);
    tenon_build_term(&out, tenon_value_term(peer->his_tag.value));
    return value_of(&out);
}

static void exchange(struct tn_global *global, struct tn_gpeer *peer)
{
    tn_global_send(global, peer->name, make_exchange(global, peer));
    if (peer->names.value != NULL) {
        start_resolver(global, peer);
    }
}

void tn_gexchange_begin(struct tn_global *global, struct tn_gpeer *peer)
{
    tn_glong_do(global, peer,
                global->name_bytes + tenon_value_term(peer->names.value).len,
                exchange);
}

/* The session that a message belongs to; NULL: it is an old one's. */
static struct tn_gpeer *
session_of(struct tn_global *global, tenon_term node, tenon_term tag)
{
    tenon_atom name;
    int64_t value;

    if (tenon_term_atom(node, &name) < 0 || tenon_term_int64(tag, &value) < 0) {
        return NULL;
    }
    struct tn_gpeer *peer = tn_gpeer_find(global, name.text);

    return peer != NULL && peer->session && peer->my_tag == value ? peer : NULL;
}

/* {exchange, Node, Names, _, OurTag}. */
void tn_gexchange_on_names(struct tn_global *global, const tenon_term part[5])
{
    struct tn_gpeer *peer = session_of(global, part[1], part[4]);

    if (peer == NULL || peer->resolver != NULL || peer->names.value != NULL ||
        peer->ops != NULL || !tenon_term_is_proper_list(part[2])) {
        return;
    }
    if (!tn_gheld_set(global, &peer->names, part[2])) {
        global->io->disconnect(global->io_user, peer->name);
    } else if (peer->locked == TN_G_BOTH && peer->due == NULL) {
        start_resolver(global, peer);
    }
}

/* {resolved, Node, Ops, Known, unused, NamesExt, OurTag}. */
void tn_gexchange_on_resolved(struct tn_global *global,
                              const tenon_term part[7],
                              tenon_term message)
{
    struct tn_gpeer *peer = session_of(global, part[1], part[6]);

    if (peer == NULL || peer->resolved.value != NULL) {
        return;
    }
    if (!tn_gheld_set(global, &peer->resolved, message)) {
        global->io->disconnect(global->io_user, peer->name);
        return;
    }
    finish_if_resolved(global, peer);
}

/* ---- changing names ---------------------------------------------------- */

static void do_insert(struct tn_global *global, tenon_term entry, bool lock_set)
{
    tenon_term part[3];

    if (tn_tuple_views(entry, part, 3) &&
        tn_gname_insert(global, part[0], part[1], part[2], lock_set) ==
            TENON_E_NOMEM) {
        global->io->warn(global->io_user, "global_name_lost", NULL);
    }
}

/* [{insert, {Name, Pid, Method}} | {delete, Name}]: insertions first. */
static void do_ops(struct tn_global *global, tenon_term ops, tenon_term lock_id)
{
    tenon_cursor at;
    tenon_term op, part[2];
    bool lock_set = tn_glock_still_set(global, null_term, lock_id);

    tenon_cursor_init(&at, ops);
    while (tenon_cursor_next(&at, &op)) {
        if (tn_tuple_views(op, part, 2) &&
            tenon_term_is_atom(part[0], "insert")) {
            do_insert(global, part[1], lock_set);
        }
    }
    tenon_cursor_init(&at, ops);
    while (tenon_cursor_next(&at, &op)) {
        struct tn_gname *name;

        if (tn_tuple_views(op, part, 2) &&
            tenon_term_is_atom(part[0], "delete") &&
            (name = tn_gname_find(global, part[1])) != NULL) {
            tn_gname_delete(global, name);
        }
    }
}

/* An element of a list of nodes: Node, or {Node, Version}. */
static bool read_node(tenon_term element, tenon_atom *name, int64_t *version)
{
    tenon_term part[2];

    *version = 0;
    if (tn_tuple_views(element, part, 2)) {
        return tenon_term_atom(part[0], name) == TENON_OK &&
               tenon_term_int64(part[1], version) == TENON_OK;
    }
    return tenon_term_atom(element, name) == TENON_OK;
}

/* True: it was not known before. */
static bool
add_known(struct tn_global *global, const char *name, int64_t version)
{
    struct tn_gpeer *peer = tn_gpeer_get(global, name);

    if (peer == NULL) {
        if (strcmp(name, global->own) != 0) {
            global->io->warn(global->io_user, "global_nodes_full", name);
        }
        return false;
    }
    if (peer->known) {
        if (peer->version == 0) {
            peer->version = version;
        }
        return false;
    }
    peer->known = true;
    peer->removing = false; /* its loss is that of a member again */
    peer->version = version;
    return true;
}

/* {new_nodes, Node, Ops, NamesExt, Nodes, ExtraInfo}: a member of ours has
 * joined others. */
void tn_gexchange_on_new_nodes(struct tn_global *global,
                               const tenon_term part[6])
{
    tenon_cursor at;
    tenon_term element, lock_id = null_term;
    tenon_atom name;
    int64_t version;

    tenon_cursor_init(&at, part[5]);
    while (tenon_cursor_next(&at, &element)) {
        tenon_term pair[2];

        if (tn_tuple_views(element, pair, 2) &&
            tenon_term_is_atom(pair[0], "lock")) {
            lock_id = pair[1];
        }
    }
    tenon_cursor_init(&at, part[4]);
    while (tenon_cursor_next(&at, &element)) {
        if (read_node(element, &name, &version) &&
            tn_gclaim_about(global, global->by, "new_nodes", name.text) &&
            add_known(global, name.text, version)) {
            tn_gsync_other(global, name.text);
        }
    }
    tenon_value *ops = tn_gclaim_ops(global, global->by, part[2]);

    if (ops == NULL) {
        global->io->warn(global->io_user, "global_name_lost", NULL);
    }
    do_ops(global, tenon_value_term(ops), lock_id);
    tenon_value_free(ops);
}

/* ---- both have resolved ------------------------------------------------ */

static void build_node(struct tenon_builder *out,
                       const char *name,
                       int64_t version,
                       bool versions)
{
    if (versions) {
        tenon_format(out, "{~a, ~i}", name, version);
    } else {
        tenon_build_atom(out, name);
    }
}

/* The peer and all that he knows. */
static void build_new_known(struct tenon_builder *out,
                            const struct tn_gpeer *peer,
                            tenon_term his_known,
                            bool versions)
{
    tenon_cursor at;
    tenon_term element;
    tenon_atom name;
    int64_t version;
    size_t count = 1;

    tenon_cursor_init(&at, his_known);
    while (tenon_cursor_next(&at, &element)) {
        count += read_node(element, &name, &version);
    }
    tenon_build_list(out, count);
    build_node(out, peer->name, peer->his_version, versions);
    tenon_cursor_init(&at, his_known);
    while (tenon_cursor_next(&at, &element)) {
        if (read_node(element, &name, &version)) {
            build_node(out, name.text, version, versions);
        }
    }
    tenon_build_nil(out);
}

/* {new_nodes, Own, Ops, NamesExt, Nodes, ExtraInfo}; resolved: the peer's
 * message. */
static tenon_value *make_new_nodes(struct tn_global *global,
                                   struct tn_gpeer *peer,
                                   tenon_term ops,
                                   const tenon_term resolved[7],
                                   bool versions)
{
    struct tenon_builder out;

    begin_cast(&out, 6, "new_nodes", global->own);
    tenon_build_term(&out, ops);
    tenon_build_term(&out, resolved[5]);
    build_new_known(&out, peer, resolved[3], versions);
    tenon_format(&out, "[{:vsn, ~i}, {:lock, ~t}]", tn_gpeer_version(peer),
                 tenon_value_term(peer->lock_id));
    return value_of(&out);
}

static void tell_members(struct tn_global *global,
                         struct tn_gpeer *peer,
                         tenon_term ops,
                         const tenon_term resolved[7])
{
    tenon_value *message[2] = { NULL, NULL };

    for (struct tn_gpeer *member = global->peers; member != NULL;
         member = member->hh.next) {
        bool versions = member->version >= TN_GLOBAL_PARTITION_VERSION;

        if (!member->known) {
            continue;
        }
        if (message[versions] == NULL) {
            message[versions] =
                make_new_nodes(global, peer, ops, resolved, versions);
        }
        if (message[versions] == NULL) {
            global->io->disconnect(global->io_user, member->name);
        } else {
            global->io->send(global->io_user, member->name,
                             tenon_value_term(message[versions]));
        }
    }
    tenon_value_free(message[0]);
    tenon_value_free(message[1]);
}

/* His members become ours; sessions with them end, since the names are one
 * set now. */
static void take_his_known(struct tn_global *global, tenon_term his_known)
{
    tenon_cursor at;
    tenon_term element;
    tenon_atom name;
    int64_t version;

    tenon_cursor_init(&at, his_known);
    while (tenon_cursor_next(&at, &element)) {
        struct tn_gpeer *other;

        if (!read_node(element, &name, &version)) {
            continue;
        }
        if ((other = tn_gpeer_find(global, name.text)) != NULL) {
            tn_gsession_end(global, other);
        }
        (void)add_known(global, name.text, version);
        tn_gsync_other(global, name.text);
    }
}

/* Both sides do the same from here on. ops: what both have decided; resolved:
 * the peer's message, which the end of the session must not take along. */
static void become_one(struct tn_global *global,
                       struct tn_gpeer *peer,
                       tenon_term ops,
                       const tenon_term resolved[7])
{
    int64_t version = peer->his_version;

    do_ops(global, ops, tenon_value_term(peer->lock_id));
    tell_members(global, peer, ops, resolved);
    tn_gsession_end(global, peer);
    (void)add_known(global, peer->name, version);
    peer->synced = true;
    take_his_known(global, resolved[3]);
    tn_gsync_told(global, peer->name);
    global->just_synced = true;
    tn_gsession_wake_locker(global);
}

/* A limited peer decides nothing but what is its own, and makes nobody known:
 * what is passed on from here is said in this node's name. part: of `resolved`.
 * ops: what is left of his changes. */
static void take_what_counts(struct tn_global *global,
                             const struct tn_gpeer *peer,
                             tenon_term part[7],
                             tenon_value **ops)
{
    static const uint8_t nil[] = { TN_NIL };
    const char *by = tn_gclaim_limit(global, peer->name);
    tenon_cursor at;
    tenon_term element;
    tenon_atom name;
    int64_t version;

    *ops = tn_gclaim_ops(global, by, part[2]);
    part[2] = tenon_value_term(*ops);
    if (by == NULL) {
        return;
    }
    tenon_cursor_init(&at, part[3]);
    while (tenon_cursor_next(&at, &element)) {
        if (read_node(element, &name, &version)) {
            (void)tn_gclaim_about(global, by, "known nodes", name.text);
        }
    }
    part[3] = part[5] = (tenon_term){ nil, sizeof nil };
}

/* The names are the peer's, whoever's message or answer has let them be
 * entered. */
static void become_one_by(struct tn_global *global,
                          struct tn_gpeer *peer,
                          tn_account *account,
                          tenon_term ops,
                          const tenon_term resolved[7])
{
    const char *by = global->by;
    tn_account *before = global->account;

    global->by = tn_gclaim_limit(global, peer->name);
    global->account = account;
    become_one(global, peer, ops, resolved);
    global->by = by;
    global->account = before;
}

static void finish(struct tn_global *global, struct tn_gpeer *peer)
{
    tenon_term part[7];
    tenon_value *his_ops;

    if (!tn_tuple_views(tenon_value_term(peer->resolved.value), part, 7)) {
        return;
    }
    struct tn_gheld resolved = peer->resolved;

    take_what_counts(global, peer, part, &his_ops);
    tenon_value *ops =
        his_ops == NULL ? NULL : joined(tenon_value_term(peer->ops), part[2]);

    peer->resolved = (struct tn_gheld){ 0 };
    if (ops == NULL) {
        global->io->disconnect(global->io_user, peer->name);
    } else {
        become_one_by(global, peer, resolved.kept.account,
                      tenon_value_term(ops), part);
    }
    tenon_value_free(ops);
    tenon_value_free(his_ops);
    tn_gheld_drop(&resolved);
}

static void finish_if_resolved(struct tn_global *global, struct tn_gpeer *peer)
{
    if (peer->ops != NULL && peer->resolved.value != NULL) {
        tn_glong_do(global, peer,
                    tenon_value_term(peer->ops).len +
                        tenon_value_term(peer->resolved.value).len,
                    finish);
    }
}
