/* SPDX-License-Identifier: Apache-2.0 */
/* What the system processes make of a peer's term takes time in proportion to
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <tenon/term.h>

#include "otp/gen.h"
#include "otp/global_core.h"
#include "otp/io.h"
#include "otp/pg_scope.h"
#include "unit/support/growth.h"
#include "unit/support/hash_key.h"

struct terms {
    tenon_value *all[GROWTH_SIZES];
};

static void make_terms(struct terms *terms, enum growth_shape shape)
{
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        terms->all[size] = growth_term(shape, size, 65);
    }
}

static void free_terms(struct terms *terms)
{
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(terms->all[size]);
    }
}

static void read_chardata(void *user, unsigned size)
{
    const struct terms *terms = user;
    struct tn_buf text;

    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    assert_int_equal(
        tn_io_text(&text, TENON_IO_UNICODE, tenon_value_term(terms->all[size])),
        TENON_OK);
    assert_true(text.len > 0);
    tn_buf_fini(&text);
}

static void chardata_of_any_depth_is_read_in_linear_time(void **state)
{
    static const enum growth_shape shapes[] = { GROWTH_LISTS, GROWTH_CELLS };
    struct terms terms;

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        make_terms(&terms, shapes[i]);
        assert_growth("chardata", read_chardata, &terms);
        free_terms(&terms);
    }
}

/* "~p ~s" with a term of any shape: printed, or refused as chardata. */
static void read_format(void *user, unsigned size)
{
    const struct terms *terms = user;
    tenon_term term = tenon_value_term(terms->all[size]);
    tenon_value *args = tenon_value_format("[~t, ~t]", term, term);
    tenon_value *format = tenon_value_format("~s", "~p ~999999999s");
    struct tn_buf text;

    assert_true(args != NULL && format != NULL);
    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    enum tenon_err rc =
        tn_io_format(&text, tenon_value_term(format), tenon_value_term(args));

    assert_true(rc == TENON_OK || rc == TENON_E_TERM_TYPE);
    tn_buf_fini(&text);
    tenon_value_free(format);
    tenon_value_free(args);
}

static void formats_take_linear_time(void **state)
{
    struct terms terms;

    (void)state;
    for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
        make_terms(&terms, shape);
        assert_growth(growth_name(shape), read_format, &terms);
        free_terms(&terms);
    }
}

/* ---- messages of gen --------------------------------------------------- */

static void read_gen(void *user, unsigned size)
{
    const struct terms *terms = user;
    tenon_term term = tenon_value_term(terms->all[size]);
    struct tn_gen gen = tn_gen_parse(term);
    tenon_term alias;

    assert_int_equal(gen.kind, TN_GEN_INFO);
    assert_false(tn_gen_alias(term, &alias));
}

static void calls_are_told_from_others_in_linear_time(void **state)
{
    struct terms terms;

    (void)state;
    for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
        make_terms(&terms, shape);
        assert_growth(growth_name(shape), read_gen, &terms);
        free_terms(&terms);
    }
}

/* ---- pg ---------------------------------------------------------------- */

static enum tenon_err pg_monitor(void *user, tenon_term pid, tenon_ref *ref)
{
    (void)user;
    (void)pid;
    *ref = (tenon_ref){ .word_count = 3, .node = "c@h" };
    return TENON_OK;
}

static void pg_demonitor(void *user, const tenon_ref *ref)
{
    (void)user;
    (void)ref;
}

static void pg_send(void *user, tenon_term to, tenon_term message)
{
    (void)user;
    (void)to;
    (void)message;
}

static const struct tn_pg_ops pg_ops = {
    .monitor = pg_monitor,
    .demonitor = pg_demonitor,
    .send = pg_send,
};

struct pg {
    struct tn_pg_scope scope;
    tenon_value *self;
    tenon_value *join[GROWTH_SIZES];
    tenon_value *leave[GROWTH_SIZES]; /* of others, from that group, often */
    tenon_value *sync[GROWTH_SIZES];
};

static const tenon_pid pg_peer = { .node = "b@h", .id = 9 };

static void build_pids(tenon_builder *out, uint32_t first, uint32_t count)
{
    tenon_build_list(out, count);
    for (uint32_t i = 0; i < count; i++) {
        tenon_build_pid(out, &(tenon_pid){ .node = "b@h", .id = first + i });
    }
    tenon_build_nil(out);
}

static tenon_value *pg_message(const char *verb, uint32_t count)
{
    tenon_builder *out = tenon_builder_new();
    bool joins = verb[0] == 'j';
    tenon_term term;

    tenon_build_tuple(out, 4);
    tenon_build_atom(out, verb);
    tenon_build_pid(out, &pg_peer);
    if (joins) {
        tenon_build_atom(out, "group");
        build_pids(out, 1000000, count);
    } else {
        build_pids(out, 1, count);
        tenon_build_list(out, count);
        for (uint32_t i = 0; i < count; i++) {
            tenon_build_atom(out, "group");
        }
        tenon_build_nil(out);
    }
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

/* Half of them the same group, with other members each time. */
static tenon_value *pg_sync(uint32_t count)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "$gen_cast");
    tenon_build_tuple(out, 3);
    tenon_build_atom(out, "sync");
    tenon_build_pid(out, &pg_peer);
    tenon_build_list(out, count);
    for (uint32_t i = 0; i < count; i++) {
        tenon_build_tuple(out, 2);
        tenon_build_int(out, i % 2 == 0 ? 0 : i);
        build_pids(out, i, 3);
    }
    tenon_build_nil(out);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

static void feed_pg(void *user, unsigned size)
{
    struct pg *pg = user;
    tenon_value *const messages[] = { pg->sync[size], pg->join[size],
                                      pg->leave[size] };

    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(
            tn_pg_scope_feed(&pg->scope, tenon_value_term(messages[i])),
            TENON_OK);
    }
}

static void pg_reads_lists_of_pids_and_groups_in_linear_time(void **state)
{
    struct pg pg;

    (void)state;
    pg.self = tenon_value_format(
        "~p", &(tenon_pid){ .node = "c@h", .id = 1, .creation = 1 });
    assert_non_null(pg.self);
    tn_pg_scope_init(&pg.scope, &pg_ops, NULL, &test_hash_key,
                     tenon_value_term(pg.self));
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        pg.join[size] = pg_message("join", 50 * growth_scale(size));
        pg.leave[size] = pg_message("leave", 50 * growth_scale(size));
        pg.sync[size] = pg_sync(50 * growth_scale(size));
    }
    assert_growth("pg", feed_pg, &pg);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(pg.join[size]);
        tenon_value_free(pg.leave[size]);
        tenon_value_free(pg.sync[size]);
    }
    tn_pg_scope_fini(&pg.scope);
    tenon_value_free(pg.self);
}

/* ---- global ------------------------------------------------------------ */

static enum tenon_err
global_monitor(void *user, const tenon_pid *pid, tenon_ref *ref)
{
    uint32_t *count = user;

    (void)pid;
    *ref = (tenon_ref){ .word_count = 3, .node = "c@h" };
    ref->words[0] = ++*count;
    return TENON_OK;
}

static void global_demonitor(void *user, const tenon_ref *ref)
{
    (void)user;
    (void)ref;
}

static void global_warn(void *user, const char *event, const char *node)
{
    (void)user;
    (void)node;
    fail_msg("%s", event);
}

static const struct tn_global_io global_io = {
    .monitor = global_monitor,
    .demonitor = global_demonitor,
    .warn = global_warn,
};

struct mesh {
    struct tn_global *global;
    tenon_value *id[GROWTH_SIZES]; /* {global, a list} */
    tenon_value *ops[GROWTH_SIZES];
    tenon_value *extra[GROWTH_SIZES]; /* [{lock, id}] */
    struct terms terms;
};

static void start_global(struct mesh *mesh, uint32_t *count)
{
    const tenon_pid own = { .node = "c@h", .id = 1, .creation = 1 };

    *count = 0;
    mesh->global =
        tn_global_new(&global_io, count, "c@h", &test_hash_key, &own, &own);
    assert_non_null(mesh->global);
}

/* A lock of a name of any shape, set and given back. */
static void lock_name(void *user, unsigned size)
{
    struct mesh *mesh = user;
    tenon_term term = tenon_value_term(mesh->terms.all[size]);
    tenon_value *id = tenon_value_format("{~t, ~t}", term, term);
    tenon_term holder = tenon_value_term(mesh->global->holder);

    assert_non_null(id);
    assert_true(tn_glock_set(mesh->global, tenon_value_term(id), holder));
    assert_true(tn_glock_set(mesh->global, tenon_value_term(id), holder));
    tn_glock_delete(mesh->global, tenon_value_term(id), holder);
    tenon_value_free(id);
}

static void locks_of_any_name_take_linear_time(void **state)
{
    struct mesh mesh;
    uint32_t count;

    (void)state;
    start_global(&mesh, &count);
    for (enum growth_shape shape = 0; shape < GROWTH_SHAPES; shape++) {
        make_terms(&mesh.terms, shape);
        assert_growth(growth_name(shape), lock_name, &mesh);
        free_terms(&mesh.terms);
    }
    tn_global_free(mesh.global);
}

/* One lock that many processes hold. */
static void hold_lock(void *user, unsigned size)
{
    struct mesh *mesh = user;
    tenon_value *id = tenon_value_format("{:many, 1}");

    for (int set = 1; set >= 0; set--) {
        for (uint32_t i = 0; i < 100 * growth_scale(size); i++) {
            tenon_value *pid = tenon_value_format(
                "~p", &(tenon_pid){ .node = "b@h", .id = i });

            if (set) {
                assert_true(tn_glock_set(mesh->global, tenon_value_term(id),
                                         tenon_value_term(pid)));
            } else {
                tn_glock_delete(mesh->global, tenon_value_term(id),
                                tenon_value_term(pid));
            }
            tenon_value_free(pid);
        }
    }
    tenon_value_free(id);
}

static void a_lock_with_many_holders_takes_linear_time(void **state)
{
    struct mesh mesh;
    uint32_t count;

    (void)state;
    start_global(&mesh, &count);
    assert_growth("holders", hold_lock, &mesh);
    tn_global_free(mesh.global);
}

/* Says yes to all that the members are asked. */
static void
agree(void *user, const char *node, tenon_term request, struct tn_gcall *call)
{
    static const uint8_t yes[] = { 119, 4, 't', 'r', 'u', 'e' };

    (void)user;
    (void)node;
    (void)request;
    tn_gcall_end(call, (tenon_term){ yes, sizeof yes });
}

static void say_nothing(void *user, const char *node, tenon_term request)
{
    (void)user;
    (void)node;
    (void)request;
}

static void name_is_there(void *user, enum tenon_err rc)
{
    enum tenon_err *ended = user;

    *ended = rc;
}

static const struct tn_global_io agreeing_io = {
    .monitor = global_monitor,
    .demonitor = global_demonitor,
    .warn = global_warn,
    .call = agree,
    .tell = say_nothing,
};

/* All members are locked, told and unlocked. */
static void register_name(void *user, unsigned size)
{
    struct mesh *mesh = user;
    const tenon_pid pid = { .node = "c@h", .id = 1, .creation = 1 };
    tenon_value *name = tenon_value_format(":name");
    enum tenon_err rc = TENON_E_TIMEOUT;
    uint32_t count;
    char node[32];

    start_global(mesh, &count);
    mesh->global->io = &agreeing_io;
    for (uint32_t i = 0; i < 200 * growth_scale(size); i++) {
        snprintf(node, sizeof node, "member%u@host", i);
        struct tn_gpeer *peer = tn_gpeer_get(mesh->global, node);

        assert_non_null(peer);
        peer->known = true;
    }
    assert_non_null(
        tn_global_change(mesh->global, TN_G_REREGISTER, tenon_value_term(name),
                         &pid, tenon_value_term(name), name_is_there, &rc));
    tn_global_change_begin(mesh->global);
    assert_int_equal(rc, TENON_OK);
    tenon_value_free(name);
    tn_global_free(mesh->global);
}

static void a_change_of_a_name_takes_linear_time_in_members(void **state)
{
    struct mesh mesh;

    (void)state;
    assert_growth("members", register_name, &mesh);
}

static tenon_value *make_ops(uint32_t count)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    tenon_build_list(out, count);
    for (uint32_t i = 0; i < count; i++) {
        tenon_format(out, "{:insert, {~u, ~p, :m}}", (uint64_t)i,
                     &(tenon_pid){ .node = "b@h", .id = i });
    }
    tenon_build_nil(out);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

/* Many names under a lock whose requester is as long as their list. */
static void change_names(void *user, unsigned size)
{
    struct mesh *mesh = user;
    tenon_term id = tenon_value_term(mesh->id[size]);
    tenon_term holder = tenon_value_term(mesh->global->holder);
    tenon_term part[6] = {
        [2] = tenon_value_term(mesh->ops[size]),
        [5] = tenon_value_term(mesh->extra[size]),
    };

    assert_true(tn_glock_set(mesh->global, id, holder));
    tn_gexchange_on_new_nodes(mesh->global, part);
    tn_glock_delete(mesh->global, id, holder);
}

static void names_under_a_long_lock_take_linear_time(void **state)
{
    struct mesh mesh;
    uint32_t count;

    (void)state;
    start_global(&mesh, &count);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value *requester = growth_term(GROWTH_NAMES, size, 1);

        mesh.id[size] =
            tenon_value_format("{:global, ~t}", tenon_value_term(requester));
        mesh.extra[size] = tenon_value_format("[{:lock, ~t}]",
                                              tenon_value_term(mesh.id[size]));
        mesh.ops[size] = make_ops(100 * growth_scale(size));
        tenon_value_free(requester);
    }
    assert_growth("names", change_names, &mesh);
    assert_int_equal(HASH_COUNT(mesh.global->names), 1600);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(mesh.id[size]);
        tenon_value_free(mesh.extra[size]);
        tenon_value_free(mesh.ops[size]);
    }
    tn_global_free(mesh.global);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chardata_of_any_depth_is_read_in_linear_time),
        cmocka_unit_test(formats_take_linear_time),
        cmocka_unit_test(calls_are_told_from_others_in_linear_time),
        cmocka_unit_test(pg_reads_lists_of_pids_and_groups_in_linear_time),
        cmocka_unit_test(locks_of_any_name_take_linear_time),
        cmocka_unit_test(a_lock_with_many_holders_takes_linear_time),
        cmocka_unit_test(names_under_a_long_lock_take_linear_time),
        cmocka_unit_test(a_change_of_a_name_takes_linear_time_in_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
