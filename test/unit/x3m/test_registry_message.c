/* SPDX-License-Identifier: Apache-2.0 */
/* What registries say to each other, and what is kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/support/hash_key.h"
#include "unit/support/wire.h"
#include "x3m/registry_message.h"
#include "x3m/services.h"

#define ROOT "test/wire/x3m"
#define NODE "x3ma@localhost"

static struct wire_files etf;

static int start(void **state)
{
    (void)state;
    etf = wire_load(ROOT, ".etf");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    wire_free(&etf);
    return 0;
}

static tenon_term vector(const char *path)
{
    const struct wire_file *file = wire_find(&etf, path);
    tenon_term term;

    if (file == NULL) {
        fail_msg("no vector %s", path);
    }
    assert_int_equal(tenon_term_scan(file->bytes, file->len, &term, NULL),
                     TENON_OK);
    return term;
}

/* ---- building --------------------------------------------------------- */

static void assert_builds(enum tn_registry_kind kind,
                          const struct tn_announced *services,
                          size_t count,
                          const char *path)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term = { 0 };

    assert_int_equal(tn_registry_build(out, kind, NODE, services, count),
                     TENON_OK);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    assert_true(tenon_term_equal(term, vector(path)));
    tenon_builder_free(out);
}

static void the_three_messages_are_those_of_the_library(void **state)
{
    static const struct tn_announced services[] = {
        { "deposit", "Elixir.MyApp.Router" },
        { "get_account", "Elixir.MyApp.Router" },
        { "open_account", "Elixir.MyApp.Router" },
    };

    (void)state;
    assert_builds(TN_REGISTRY_INTRODUCE, NULL, 0,
                  ROOT "/otp25/reg_introduce.etf");
    assert_builds(TN_REGISTRY_UNREGISTER, NULL, 0,
                  ROOT "/otp25/reg_unregister.etf");
    assert_builds(TN_REGISTRY_REGISTER, NULL, 0,
                  ROOT "/otp25/reg_register_empty.etf");
    assert_builds(TN_REGISTRY_REGISTER, services, 3,
                  ROOT "/otp25/reg_register_map.etf");
}

static void assert_not_built(enum tn_registry_kind kind,
                             const char *node,
                             const struct tn_announced *services,
                             size_t count)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term = { 0 };

    assert_int_equal(tn_registry_build(out, kind, node, services, count),
                     TENON_E_INVAL);
    assert_int_equal(tenon_builder_term(out, &term), TENON_E_TERM_SHAPE);
    tenon_builder_free(out);
}

static void nothing_is_built_from_what_are_no_atoms(void **state)
{
    char long_text[257 + 1];
    const struct tn_announced odd[] = {
        { NULL, "M" },      { "s", NULL },      { "", "M" },
        { "s", "" },        { "\xff", "M" },    { "s", "\xc3" },
        { long_text, "M" }, { "s", long_text },
    };
    const struct tn_announced twice[] = { { "s", "A" }, { "s", "B" } };
    const struct tn_announced fine = { "s", "M" };

    (void)state;
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_not_built(TN_REGISTRY_REGISTER, NODE, &odd[i], 1);
    }
    assert_not_built(TN_REGISTRY_REGISTER, NODE, twice, 2);
    assert_not_built(TN_REGISTRY_REGISTER, NODE, NULL, 1);
    assert_not_built(TN_REGISTRY_INTRODUCE, NODE, &fine, 1);
    assert_not_built(TN_REGISTRY_UNREGISTER, NODE, &fine, 1);
    assert_not_built((enum tn_registry_kind)3, NODE, NULL, 0);
    assert_not_built((enum tn_registry_kind) - 1, NODE, NULL, 0);
    for (unsigned kind = 0; kind < 3; kind++) {
        assert_not_built((enum tn_registry_kind)kind, NULL, NULL, 0);
        assert_not_built((enum tn_registry_kind)kind, "", NULL, 0);
        assert_not_built((enum tn_registry_kind)kind, "no_host", NULL, 0);
        assert_not_built((enum tn_registry_kind)kind, "@host", NULL, 0);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void random_text(uint32_t *seed, char *text, size_t cap)
{
    size_t len = next_random(seed) % cap;

    for (size_t i = 0; i < len; i++) {
        bool odd = next_random(seed) % 8 == 0;

        text[i] = odd ? (char)next_random(seed) : (char)('a' + i % 26);
    }
    text[len] = '\0';
}

/* Whatever is offered to the builder: either nothing, or a message that the
 * strictest reader takes. */
static void what_is_built_always_has_one_of_the_three_shapes(void **state)
{
    uint32_t seed = 20261121;
    unsigned built = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        char node[40], texts[8][300];
        struct tn_announced services[4];
        struct tn_registry_message message;
        tenon_builder *out = tenon_builder_new();
        tenon_term term;
        size_t count = next_random(&seed) % 5;

        random_text(&seed, node, 20);
        strcat(node, next_random(&seed) % 4 != 0 ? "@h" : "");
        for (size_t i = 0; i < 4; i++) {
            random_text(&seed, texts[2 * i], 300);
            random_text(&seed, texts[2 * i + 1], 12);
            services[i] =
                (struct tn_announced){ texts[2 * i], texts[2 * i + 1] };
        }
        enum tenon_err rc = tn_registry_build(
            out, (enum tn_registry_kind)(next_random(&seed) % 4), node,
            services, count);

        if (rc == TENON_OK) {
            size_t left_out;
            struct tn_remotes remotes = { .hash_key = &test_hash_key };

            assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
            assert_int_equal(tenon_term_scan(term.bytes, term.len, &term, NULL),
                             TENON_OK);
            assert_int_equal(tn_registry_read(term, &message), TENON_OK);
            assert_string_equal(message.node.text, node);
            if (message.kind == TN_REGISTRY_REGISTER) {
                assert_int_equal(tn_remotes_fold(&remotes, node,
                                                 message.services, &left_out),
                                 TENON_OK);
                assert_int_equal(left_out, 0);
                assert_int_equal(remotes.offers, count);
                tn_remotes_fini(&remotes);
            }
            built++;
        } else {
            assert_int_equal(tenon_builder_term(out, &term),
                             TENON_E_TERM_SHAPE);
        }
        tenon_builder_free(out);
    }
    /* Both halves must have been seen. */
    assert_in_range(built, 100, 19900);
}

/* ---- reading ---------------------------------------------------------- */

static struct tn_registry_message read_vector(const char *path)
{
    struct tn_registry_message message;

    assert_int_equal(tn_registry_read(vector(path), &message), TENON_OK);
    return message;
}

static void messages_of_real_registries_are_read(void **state)
{
    static const char *const releases[] = { "25", "27", "29" };
    char path[80];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, ROOT "/otp%s/reg_introduce.etf",
                 releases[i]);
        struct tn_registry_message message = read_vector(path);

        assert_int_equal(message.kind, TN_REGISTRY_INTRODUCE);
        assert_string_equal(message.node.text, NODE);
        snprintf(path, sizeof path, ROOT "/otp%s/reg_register_map.etf",
                 releases[i]);
        message = read_vector(path);
        assert_int_equal(message.kind, TN_REGISTRY_REGISTER);
        assert_int_equal(tenon_term_count(message.services), 3);
    }
    struct tn_registry_message message =
        read_vector(ROOT "/otp25/reg_unregister.etf");

    assert_int_equal(message.kind, TN_REGISTRY_UNREGISTER);
}

static tenon_value *text_term(const char *text)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term = { 0 };

    if (tenon_build_text(out, text, strlen(text), NULL) < 0 ||
        tenon_builder_term(out, &term) < 0) {
        fail_msg("not a term: %s", text);
    }
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

static void junk_is_none_of_the_three(void **state)
{
    static const char *const junk[] = {
        "nil",
        "[]",
        "{}",
        "%{}",
        "%{introduce_local_services: :\"n@h\"}",
        "{:introduce_local_services}",
        "{:introduce_local_services, \"n@h\"}",
        "{:introduce_local_services, :\"n@h\", 1}",
        "{:register_remote_services, :\"n@h\"}",
        "{:register_remote_services, {:\"n@h\", 1}}",
        "{:register_remote_services, {:\"n@h\", [a: :b] }, 1}",
        "{:register_remote_services, {\"n@h\", %{}}}",
        "{:register_remote_services, {:\"n@h\", [1 | 2]}}",
        "{:register_remote_services, {:\"n@h\", %{}, %{}}}",
        "{:unregister_node_services, 1}",
        "{:other, :\"n@h\"}",
        "[:introduce_local_services, :\"n@h\"]",
        "{:\"$gen_call\", {1, 2}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        tenon_value *value = text_term(junk[i]);
        struct tn_registry_message message;

        if (tn_registry_read(tenon_value_term(value), &message) == TENON_OK) {
            fail_msg("taken: %s", junk[i]);
        }
        tenon_value_free(value);
    }
}

/* ---- keeping ---------------------------------------------------------- */

static void assert_offer(const struct tn_remotes *remotes,
                         const char *service,
                         const char *node,
                         const char *module)
{
    const struct tn_remote *remote = tn_remotes_find(remotes, service);
    struct tn_offer *offer;

    assert_non_null(remote);
    SLIST_FOREACH(offer, &remote->offers, next)
    {
        if (strcmp(offer->node, node) == 0) {
            assert_string_equal(offer->module, module);
            return;
        }
    }
    fail_msg("%s does not offer %s", node, service);
}

static size_t
fold(struct tn_remotes *remotes, const char *node, const char *text)
{
    tenon_value *value = text_term(text);
    size_t left_out;

    assert_int_equal(
        tn_remotes_fold(remotes, node, tenon_value_term(value), &left_out),
        TENON_OK);
    tenon_value_free(value);
    return left_out;
}

static void an_announcement_adds_and_never_takes_away(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };

    (void)state;
    assert_int_equal(fold(&remotes, "a@h", "%{one: A.Router, two: A.Router}"),
                     0);
    assert_int_equal(fold(&remotes, "a@h", "%{three: A.Other}"), 0);
    assert_int_equal(fold(&remotes, "a@h", "%{}"), 0);
    assert_offer(&remotes, "one", "a@h", "Elixir.A.Router");
    assert_offer(&remotes, "two", "a@h", "Elixir.A.Router");
    assert_offer(&remotes, "three", "a@h", "Elixir.A.Other");
    assert_int_equal(remotes.offers, 3);
    tn_remotes_fini(&remotes);
}

static void the_later_module_of_a_service_counts(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };

    (void)state;
    fold(&remotes, "a@h", "%{one: A}");
    fold(&remotes, "a@h", "%{one: B}");
    assert_offer(&remotes, "one", "a@h", "Elixir.B");
    assert_int_equal(remotes.offers, 1);
    tn_remotes_fini(&remotes);
}

static void a_list_of_pairs_is_folded_as_a_map_is(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };
    struct tn_registry_message message =
        read_vector(ROOT "/otp25/reg_register_list.etf");
    size_t left_out;

    (void)state;
    assert_int_equal(tn_remotes_fold(&remotes, message.node.text,
                                     message.services, &left_out),
                     TENON_OK);
    assert_int_equal(left_out, 0);
    assert_offer(&remotes, "open_account", NODE, "Elixir.MyApp.Router");
    assert_offer(&remotes, "get_account", NODE, "Elixir.MyApp.Router");
    tn_remotes_fini(&remotes);
}

static void pairs_that_are_not_two_atoms_are_left_out(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };

    (void)state;
    assert_int_equal(
        fold(&remotes, "a@h", "%{\"one\" => A, 4 => A, two: 2, three: A}"), 3);
    assert_int_equal(
        fold(&remotes, "b@h", "[1, {:four}, {:five, A, A}, {:six, A}]"), 3);
    assert_int_equal(remotes.offers, 2);
    assert_offer(&remotes, "three", "a@h", "Elixir.A");
    assert_offer(&remotes, "six", "b@h", "Elixir.A");
    tn_remotes_fini(&remotes);
}

static void a_lost_node_is_forgotten_and_its_lone_services_with_it(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };

    (void)state;
    fold(&remotes, "a@h", "%{one: A, two: A}");
    fold(&remotes, "b@h", "%{one: B}");
    tn_remotes_drop_node(&remotes, "c@h");
    assert_int_equal(remotes.offers, 3);
    tn_remotes_drop_node(&remotes, "a@h");
    assert_null(tn_remotes_find(&remotes, "two"));
    assert_offer(&remotes, "one", "b@h", "Elixir.B");
    assert_int_equal(remotes.offers, 1);
    tn_remotes_drop_node(&remotes, "b@h");
    assert_null(remotes.table);
}

static void offers_have_a_limit(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };
    char service[32];

    (void)state;
    for (unsigned i = 0; i < TN_OFFERS_MAX; i++) {
        snprintf(service, sizeof service, "s%u", i);
        assert_int_equal(tn_remotes_put(&remotes, NULL, service, "a@h", "M"),
                         0);
    }
    assert_int_equal(tn_remotes_put(&remotes, NULL, "more", "a@h", "M"),
                     TENON_E_LIMIT);
    assert_null(tn_remotes_find(&remotes, "more"));
    assert_int_equal(tn_remotes_put(&remotes, NULL, "s7", "a@h", "N"),
                     TENON_OK);
    assert_int_equal(tn_remotes_put(&remotes, NULL, "s7", "b@h", "N"),
                     TENON_E_LIMIT);
    tn_remotes_fini(&remotes);
}

static void one_peer_has_a_part_of_the_offers(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };
    tn_budget *budget = tn_budget_new(1u << 20);
    tn_account *greedy = tn_account_of(budget, "greedy@h");
    tn_account *other = tn_account_of(budget, "other@h");

    (void)state;
    assert_true(tn_account_take_many(
        greedy, TN_QUOTA_OFFERS, TN_PEER_OFFERS_MAX - 1, TN_PEER_OFFERS_MAX));
    assert_int_equal(tn_remotes_put(&remotes, greedy, "one", "a@h", "M"), 0);
    /* The same once more is no other offer. */
    assert_int_equal(tn_remotes_put(&remotes, greedy, "one", "a@h", "M"), 0);
    assert_int_equal(tn_remotes_put(&remotes, greedy, "two", "a@h", "M"),
                     TENON_E_LIMIT);
    assert_int_equal(tn_remotes_put(&remotes, other, "two", "b@h", "M"), 0);
    tn_remotes_fini(&remotes);
    assert_int_equal(tn_account_count(greedy, TN_QUOTA_OFFERS),
                     TN_PEER_OFFERS_MAX - 1);
    assert_int_equal(tn_budget_used(budget), 0);
    tn_account_unref(greedy);
    tn_account_unref(other);
    tn_budget_unref(budget);
}

static void what_a_lost_node_told_of_others_is_forgotten(void **state)
{
    struct tn_remotes remotes = { .hash_key = &test_hash_key };
    tn_budget *budget = tn_budget_new(1u << 20);
    tn_account *teller = tn_account_of(budget, "teller@h");

    (void)state;
    assert_int_equal(tn_remotes_put(&remotes, teller, "one", "a@h", "M"), 0);
    assert_int_equal(tn_remotes_put(&remotes, teller, "one", "b@h", "M"), 0);
    assert_int_equal(tn_remotes_put(&remotes, NULL, "one", "b@h", "M"), 0);
    assert_int_equal(tn_account_count(teller, TN_QUOTA_OFFERS), 1);
    tn_remotes_drop_told(&remotes, "teller@h");
    assert_offer(&remotes, "one", "b@h", "M");
    assert_int_equal(remotes.offers, 1);
    assert_int_equal(tn_account_count(teller, TN_QUOTA_OFFERS), 0);
    tn_remotes_fini(&remotes);
    tn_account_unref(teller);
    tn_budget_unref(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_messages_are_those_of_the_library),
        cmocka_unit_test(nothing_is_built_from_what_are_no_atoms),
        cmocka_unit_test(what_is_built_always_has_one_of_the_three_shapes),
        cmocka_unit_test(messages_of_real_registries_are_read),
        cmocka_unit_test(junk_is_none_of_the_three),
        cmocka_unit_test(an_announcement_adds_and_never_takes_away),
        cmocka_unit_test(the_later_module_of_a_service_counts),
        cmocka_unit_test(a_list_of_pairs_is_folded_as_a_map_is),
        cmocka_unit_test(pairs_that_are_not_two_atoms_are_left_out),
        cmocka_unit_test(
            a_lost_node_is_forgotten_and_its_lone_services_with_it),
        cmocka_unit_test(offers_have_a_limit),
        cmocka_unit_test(one_peer_has_a_part_of_the_offers),
        cmocka_unit_test(what_a_lost_node_told_of_others_is_forgotten),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
