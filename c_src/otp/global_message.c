/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that a global name server gets: what each is. */
#include "otp/gen.h"
#include "otp/global_core.h"

#define PARTS_MAX 8u

/* A tuple whose first element is an atom. */
struct said {
    tenon_term part[PARTS_MAX];
    size_t count;
};

static bool read_tuple(tenon_term term, struct said *said)
{
    said->count = tenon_term_count(term);
    return said->count > 0 && said->count <= PARTS_MAX &&
           tn_tuple_views(term, said->part, said->count);
}

static bool is_said(const struct said *said, const char *verb, size_t count)
{
    return said->count == count && tenon_term_is_atom(said->part[0], verb);
}

/* ---- calls ------------------------------------------------------------- */

/* Without memory the asker, who would wait, loses the connection. */
static void answer_term(struct tn_global *global,
                        const struct tn_gen *gen,
                        tenon_term value)
{
    tenon_pid asker;

    if (value.bytes != NULL) {
        global->io->reply(global->io_user, gen->from, gen->tag, value);
    } else if (tenon_term_pid(gen->from, &asker) == TENON_OK) {
        global->io->disconnect(global->io_user, asker.node);
    }
}

static void
answer(struct tn_global *global, const struct tn_gen *gen, tenon_value *value)
{
    answer_term(global, gen, tenon_value_term(value));
    tenon_value_free(value);
}

/* SMALL_ATOM_UTF8_EXT: 119, length, text. */
#define ATOM(name, text)                                                       \
    static const tenon_term name = { (const uint8_t *)"w" text,                \
                                     sizeof("w" text) - 1 }
ATOM(atom_true, "\x04true");
ATOM(atom_false,
     "\x05"
     "false");
ATOM(atom_yes, "\x03yes");
ATOM(atom_ok, "\x02ok");

static void on_register(struct tn_global *global,
                        const struct tn_gen *gen,
                        const struct said *said)
{
    bool lock_set =
        tn_glock_still_set(global, gen->from, (tenon_term){ NULL, 0 });

    if (tn_gclaim_entry(global, global->by, said->part[1], said->part[2]) &&
        tn_gname_insert(global, said->part[1], said->part[2], said->part[3],
                        lock_set) == TENON_E_NOMEM) {
        global->io->warn(global->io_user, "global_name_lost", NULL);
    }
    answer_term(global, gen, atom_yes);
}

static void on_unregister(struct tn_global *global,
                          const struct tn_gen *gen,
                          const struct said *said)
{
    struct tn_gname *name = tn_gname_find(global, said->part[1]);

    if (name != NULL && tn_gclaim_name(global, global->by, said->part[1])) {
        tn_gname_delete(global, name);
    }
    answer_term(global, gen, atom_ok);
}

static void on_request(struct tn_global *global,
                       const struct tn_gen *gen,
                       const struct said *said)
{
    if (is_said(said, "set_lock", 2)) {
        bool set = said->part[1].len <= TENON_GLOBAL_KEY_MAX_BYTES &&
                   tn_gclaim_lock(global, global->by, said->part[1]) &&
                   tn_glock_set(global, said->part[1], gen->from);

        answer_term(global, gen, set ? atom_true : atom_false);
    } else if (is_said(said, "del_lock", 2)) {
        tn_glock_delete(global, said->part[1], gen->from);
        answer_term(global, gen, atom_true);
    } else if (is_said(said, "register", 4) ||
               is_said(said, "register_ext", 5)) {
        on_register(global, gen, said);
    } else if (is_said(said, "unregister", 2)) {
        on_unregister(global, gen, said);
    } else if (is_said(said, "sync", 2)) {
        tn_gsync_on_call(global, said->part[1], gen->from, gen->tag);
    }
}

static void
answer_nodes(struct tn_global *global, const struct tn_gen *gen, bool synced)
{
    tenon_builder *out = tenon_builder_new();
    size_t count = 0;
    tenon_term list = { NULL, 0 };

    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        count += synced ? peer->synced : peer->known;
    }
    tenon_build_list(out, count);
    for (struct tn_gpeer *peer = global->peers; peer != NULL;
         peer = peer->hh.next) {
        if (synced ? peer->synced : peer->known) {
            tenon_build_atom(out, peer->name);
        }
    }
    tenon_build_nil(out);
    if (out != NULL) {
        (void)!tenon_builder_term(out, &list);
    }
    answer_term(global, gen, list);
    tenon_builder_free(out);
}

static void on_call(struct tn_global *global, const struct tn_gen *gen)
{
    struct said said;

    if (read_tuple(gen->request, &said)) {
        on_request(global, gen, &said);
    } else if (tenon_term_is_atom(gen->request, "get_known")) {
        answer_nodes(global, gen, false);
    } else if (tenon_term_is_atom(gen->request, "get_synced")) {
        answer_nodes(global, gen, true);
    } else if (tenon_term_is_atom(gen->request, "get_names_ext")) {
        answer(global, gen, tenon_value_format("[]"));
    } else if (tenon_term_is_atom(gen->request, "get_protocol_version")) {
        answer(global, gen,
               tenon_value_format("~i", (int64_t)TN_GLOBAL_VERSION));
    }
}

/* ---- casts and messages ------------------------------------------------ */

/* {in_sync, Node, IsMember}: the node knows us by way of another, which tells
 * us so before or after this; or, with false, it is no member of anything. */
static void
on_in_sync(struct tn_global *global, tenon_term node, tenon_term is_member)
{
    tenon_atom name;
    struct tn_gpeer *peer = tenon_term_atom(node, &name) == TENON_OK
                                ? tn_gpeer_find(global, name.text)
                                : NULL;

    if (peer == NULL || !peer->up) {
        return;
    }
    peer->synced = true;
    peer->apart = tenon_term_is_atom(is_member, "false");
    tn_gsession_end(global, peer);
    tn_gpartition_watch_astray(global);
    tn_gsync_told(global, peer->name);
    tn_gsession_wake_locker(global);
}

static void on_cast(struct tn_global *global, tenon_term request)
{
    struct said said;

    if (!read_tuple(request, &said) ||
        !tn_gclaim_message(global, global->by, said.part, said.count)) {
        return;
    }
    if (is_said(&said, "init_connect", 4)) {
        tn_gsession_on_init_connect(global, request);
    } else if (is_said(&said, "lock_set", 5) || is_said(&said, "lock_set", 4)) {
        tn_gsession_on_lock_set(global, said.part, said.count);
    } else if (is_said(&said, "exchange", 5)) {
        tn_gexchange_on_names(global, said.part);
    } else if (is_said(&said, "resolved", 7)) {
        tn_gexchange_on_resolved(global, said.part, request);
    } else if (is_said(&said, "new_nodes", 6)) {
        tn_gexchange_on_new_nodes(global, said.part);
    } else if (is_said(&said, "in_sync", 3)) {
        on_in_sync(global, said.part[1], said.part[2]);
    }
}

/* {whereis, Name, {Pid, Tag}}. */
static void on_whereis(struct tn_global *global, const struct said *said)
{
    tenon_term from[2];

    if (tn_tuple_views(said->part[2], from, 2) &&
        tenon_term_type(from[0]) == TENON_TYPE_PID) {
        tn_global_answer_whereis(global, said->part[1], from[0], from[1]);
    }
}

static void on_info(struct tn_global *global, tenon_term message)
{
    struct said said;

    if (!read_tuple(message, &said) ||
        !tn_gclaim_message(global, global->by, said.part, said.count)) {
        return;
    }
    if (is_said(&said, "whereis", 3)) {
        on_whereis(global, &said);
    } else if (is_said(&said, "lock_set", 4)) {
        tn_gsession_on_lock_set(global, said.part, said.count);
    } else if (is_said(&said, "init_connect_ack", 4)) {
        tn_gsession_on_ack(global, said.part);
    } else if (is_said(&said, "cancel_connect", 3)) {
        tn_gsession_on_cancel(global, said.part);
    } else if (is_said(&said, "lost_connection", 5)) {
        tn_gpartition_on_lost(global, said.part, message);
    } else if (is_said(&said, "remove_connection", 2)) {
        tn_gpartition_on_remove(global, said.part[1]);
    }
}

void tn_global_message(struct tn_global *global, tenon_term message)
{
    struct tn_gen gen = tn_gen_parse(message);

    switch (gen.kind) {
    case TN_GEN_CALL:
        on_call(global, &gen);
        break;
    case TN_GEN_CAST:
        on_cast(global, gen.request);
        break;
    case TN_GEN_INFO:
        on_info(global, message);
        break;
    case TN_GEN_SYSTEM:
        break;
    }
}

void tn_global_message_by(struct tn_global *global,
                          const char *by,
                          tn_account *account,
                          tenon_term message)
{
    global->by = by;
    global->account = account;
    tn_global_message(global, message);
    global->by = NULL;
    global->account = NULL;
}
