/* SPDX-License-Identifier: Apache-2.0 */
/* A pg scope that is told anything by anybody, while its own processes join and
 * leave. What it counts is right, it monitors whom it knows, and a peer that
 * keeps to the protocol knows what this scope's own members are, as long as
 * this scope knows that peer.
 *
 *   each step   kind of event, then what belongs to it */
#include "fuzz/input.h"
#include "otp/pg_impl.h"
#include "term/canonical.h"
#include "unit/support/hash_key.h"

#define STEPS_MAX 48
#define SENT_MAX 1024
#define REFS_MAX 4096u

static const char *const atoms[] = { "g",    "h",    "discover",
                                     "sync", "join", "leave" };
static const char *const nodes[] = { "b@h", "c@h", "d@h", "e@h" };
static const char *const shapes[] = {
    "{:discover, #PID<b@h.9.0>}",
    "{:discover, ~t}",
    "{:discover, ~t, 1}",
    "{:\"$gen_cast\", {:sync, ~t, ~t}}",
    "{:\"$gen_cast\", {:sync, #PID<d@h.9.0>, [{~t, ~t}, {~t, [~t, ~t]}]}}",
    "{:\"$gen_cast\", {:sync, #PID<b@h.9.0>, [{:g, [~t, ~t | ~t]} | ~t]}}",
    "{:join, #PID<d@h.9.0>, ~t, ~t}",
    "{:join, ~t, ~t, [~t, ~t]}",
    "{:leave, #PID<d@h.9.0>, ~t, [~t]}",
    "{:leave, ~t, [~t, ~t], [~t, ~t]}",
    "{:DOWN, ~t, :process, ~t, ~t}",
    "[#PID<d@h.5.0>, #PID<d@h.5.0>, #PID<e@h.5.0>]",
    "#PID<c@h.1.0>",
    "%{1 => ~t, 2 => ~t}",
};
static const struct words words = WORDS(atoms, nodes, shapes);

/* A scope and the monitors that it has asked for. */
struct side {
    struct tn_pg_scope scope;
    struct world *world;
    tenon_value *self;
    uint32_t refs; /* the last one */
    bool watches[REFS_MAX];
    tenon_value *watched[REFS_MAX];
};

struct letter {
    struct side *to;
    tenon_value *message;
};

struct world {
    struct side tested, honest;
    struct letter sent[SENT_MAX]; /* between the two; others lose theirs */
    size_t sent_first, sent_last;
};

static void on_send(void *user, tenon_term to, tenon_term message)
{
    struct side *from = user;
    struct world *world = from->world;
    struct side *other =
        from == &world->tested ? &world->honest : &world->tested;

    MUST(message.bytes != NULL);
    if (tenon_term_equal(to, other->scope.self)) {
        MUST(world->sent_last < SENT_MAX);
        world->sent[world->sent_last++] =
            (struct letter){ other, tenon_value_new(message) };
    }
}

static enum tenon_err on_monitor(void *user, tenon_term pid, tenon_ref *ref)
{
    struct side *side = user;
    tenon_pid who;

    MUST(tenon_term_pid(pid, &who) == TENON_OK);
    if (side->refs + 1 == REFS_MAX || who.id == 255) {
        return TENON_E_NOPROC;
    }
    *ref = (tenon_ref){
        .creation = 1, .word_count = 1, .words = { ++side->refs }, .node = "c@h"
    };
    side->watches[side->refs] = true;
    side->watched[side->refs] = tenon_value_new(pid);
    return TENON_OK;
}

static void on_demonitor(void *user, const tenon_ref *ref)
{
    struct side *side = user;

    MUST(ref->words[0] > 0 && ref->words[0] <= side->refs);
    MUST(side->watches[ref->words[0]]);
    side->watches[ref->words[0]] = false;
}

static void
on_changed(void *user, bool joined, tenon_term group, tenon_term pids)
{
    (void)user;
    (void)joined;
    MUST(group.bytes != NULL && tenon_term_is_proper_list(pids));
    MUST(tenon_term_count(pids) > 0);
}

static const struct tn_pg_ops ops = {
    .send = on_send,
    .monitor = on_monitor,
    .demonitor = on_demonitor,
    .changed = on_changed,
};

static void side_init(struct side *side, struct world *world, const char *self)
{
    side->world = world;
    side->self = tenon_value_format(self);
    tn_pg_scope_init(&side->scope, &ops, side, &test_hash_key,
                     tenon_value_term(side->self));
    side->scope.watched = true;
}

static void side_fini(struct side *side)
{
    tn_pg_scope_fini(&side->scope);
    MUST(side->scope.groups.memberships == 0);
    MUST(side->scope.groups.name_bytes == 0);
    MUST(side->scope.groups.table == NULL);
    for (uint32_t i = 1; i <= side->refs; i++) {
        tenon_value_free(side->watched[i]);
    }
    tenon_value_free(side->self);
}

static void deliver(struct world *world)
{
    while (world->sent_first < world->sent_last) {
        struct letter letter = world->sent[world->sent_first++];

        MUST(letter.message != NULL);
        enum tenon_err rc = tn_pg_scope_feed(&letter.to->scope,
                                             tenon_value_term(letter.message));

        MUST(letter.to == &world->tested || rc != TENON_E_TERM_SHAPE);
        tenon_value_free(letter.message);
    }
    world->sent_first = world->sent_last = 0;
}

/* ---- what must hold ---------------------------------------------------- */

static size_t count_watched(const struct side *side)
{
    size_t count = 0;

    for (uint32_t i = 1; i <= side->refs; i++) {
        count += side->watches[i];
    }
    return count;
}

static void must_count(const struct side *side)
{
    const struct tn_pg_scope *scope = &side->scope;
    const struct tn_pg_group *group;
    const struct tn_pg_entry *entry;
    size_t memberships = 0, name_bytes = 0;

    for (group = scope->groups.table; group != NULL; group = group->hh.next) {
        MUST(!LIST_EMPTY(&group->entries));
        name_bytes += group->len;
        LIST_FOREACH(entry, &group->entries, of_group)
        {
            MUST(tn_pg_entry_size(entry) > 0);
            memberships += tn_pg_entry_size(entry);
        }
    }
    MUST(memberships == scope->groups.memberships);
    MUST(name_bytes == scope->groups.name_bytes);
    MUST(count_watched(side) ==
         HASH_COUNT(scope->peers) + HASH_COUNT(scope->processes));
}

static const struct tn_pg_owner *find_owner(const struct side *side,
                                            const struct side *other)
{
    const struct tn_pg_owner *peer;

    for (peer = side->scope.peers; peer != NULL; peer = peer->hh.next) {
        if (tenon_term_equal(tn_pg_pid_term(&peer->pid), other->scope.self)) {
            return peer;
        }
    }
    return NULL;
}

/* Nobody tells the honest scope of our members but ourselves. */
static void must_agree(const struct world *world)
{
    const struct tn_pg_scope *ours = &world->tested.scope;
    const struct tn_pg_owner *known =
        find_owner(&world->tested, &world->honest);
    const struct tn_pg_owner *us = find_owner(&world->honest, &world->tested);
    const struct tn_pg_entry *entry;

    if (known == NULL || !known->told) {
        return;
    }
    MUST(us != NULL);
    MUST(HASH_COUNT(us->entries) == HASH_COUNT(ours->local.entries));
    for (entry = ours->local.entries; entry != NULL; entry = entry->hh.next) {
        const struct tn_pg_entry *theirs = tn_pg_entry_find(
            &world->honest.scope.groups, us, tn_pg_group_name(entry->group));

        MUST(theirs != NULL);
        MUST(tn_pg_entry_size(theirs) == tn_pg_entry_size(entry));
    }
}

/* ---- events ------------------------------------------------------------ */

static void own_process(struct world *world, struct input *in, bool joins)
{
    tenon_pid pid = { .id = 5 + input_byte(in) % 3u, .node = "c@h" };
    tenon_value *process = tenon_value_format("~p", &pid);
    tenon_value *group = input_value(in, 0);
    tenon_builder *name = tenon_builder_new();
    tenon_term canonical;

    MUST(process != NULL && name != NULL);
    if (group != NULL && tn_leaves_levels(tenon_value_term(group)) &&
        tn_build_canonical(name, tenon_value_term(group)) == TENON_OK) {
        MUST(tenon_builder_term(name, &canonical) == TENON_OK);
        enum tenon_err rc =
            joins ? tn_pg_scope_join(&world->tested.scope, canonical,
                                     tenon_value_term(process))
                  : tn_pg_scope_leave(&world->tested.scope, canonical,
                                      tenon_value_term(process));

        MUST(rc == TENON_OK || rc == TENON_E_NOT_FOUND ||
             rc == TENON_E_NOPROC || rc == TENON_E_LIMIT);
    }
    tenon_builder_free(name);
    tenon_value_free(group);
    tenon_value_free(process);
}

/* The end of somebody who is monitored, or was. */
static void end_watched(struct side *side, struct input *in)
{
    uint32_t number = 1 + input_byte(in) % (side->refs + 1);
    tenon_ref ref = {
        .creation = 1, .word_count = 1, .words = { number }, .node = "c@h"
    };

    if (number > side->refs) {
        return;
    }
    tenon_value *down =
        tenon_value_format("{:DOWN, ~r, :process, ~t, :why}", &ref,
                           tenon_value_term(side->watched[number]));

    MUST(down != NULL);
    enum tenon_err rc = tn_pg_scope_feed(&side->scope, tenon_value_term(down));

    MUST(rc == (side->watches[number] ? TENON_OK : TENON_E_NOT_FOUND));
    side->watches[number] = false;
    tenon_value_free(down);
}

static void read_all(const struct tn_pg_scope *scope)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    MUST(out != NULL);
    MUST(tn_pg_scope_all(scope, out) == TENON_OK);
    MUST(tenon_builder_term(out, &term) == TENON_OK);
    MUST(tenon_term_count(term) == HASH_COUNT(scope->groups.table));
    tenon_builder_free(out);
}

static void step(struct world *world, struct input *in)
{
    tenon_value *value;
    unsigned kind = input_byte(in) % 16u;

    if (kind == 0) {
        tn_pg_scope_node_down(&world->tested.scope, input_node(in));
    } else if (kind <= 3) {
        own_process(world, in, kind <= 2);
    } else if (kind == 4) {
        end_watched(&world->tested, in);
    } else if (kind == 5) {
        read_all(&world->tested.scope);
    } else {
        value = input_value(in, 0);
        if (value != NULL) {
            (void)tn_pg_scope_feed(&world->tested.scope,
                                   tenon_value_term(value));
        }
        tenon_value_free(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world *world = calloc(1, sizeof *world);
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 16 * 1024
    };

    MUST(world != NULL);
    side_init(&world->tested, world, "#PID<c@h.1.0>");
    side_init(&world->honest, world, "#PID<b@h.9.0>");
    for (int i = 0; i < STEPS_MAX && in.at < in.end; i++) {
        step(world, &in);
        deliver(world);
        must_count(&world->tested);
        must_count(&world->honest);
        must_agree(world);
    }
    side_fini(&world->tested);
    side_fini(&world->honest);
    free(world);
    return 0;
}
