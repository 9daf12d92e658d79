/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of a pg scope, fed with what peers of OTP 23 to 29 say and
 * asked what it sends: nothing that their scope processes would die of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "otp/pg_scope.h"
#include "unit/support/hash_key.h"
#include "unit/support/terms.h"

#define SELF "#PID<c@h.1.0>"
#define PEER "#PID<b@h.9.0>"
#define OTHER "#PID<d@h.9.0>"
#define ONE "#PID<c@h.5.0>"
#define TWO "#PID<c@h.6.0>"

/* What the scope has asked for, a line each. */
struct asked {
    struct tn_pg_scope scope;
    char text[4000];
    uint32_t refs;
};

static void note_line(struct asked *asked, const char *what, const char *text)
{
    size_t len = strlen(asked->text);

    snprintf(asked->text + len, sizeof asked->text - len, "%s %s\n", what,
             text);
}

static void on_send(void *user, tenon_term to, tenon_term message)
{
    char line[1000];

    snprintf(line, sizeof line, "%s %s", text_of(to), text_of(message));
    note_line(user, "send", line);
}

static enum tenon_err on_monitor(void *user, tenon_term pid, tenon_ref *ref)
{
    struct asked *asked = user;

    *ref = (tenon_ref){ .creation = 1,
                        .word_count = 3,
                        .words = { ++asked->refs },
                        .node = "c@h" };
    note_line(asked, "monitor", text_of(pid));
    return TENON_OK;
}

static void on_demonitor(void *user, const tenon_ref *ref)
{
    char line[20];

    snprintf(line, sizeof line, "%u", (unsigned)ref->words[0]);
    note_line(user, "demonitor", line);
}

static void
on_changed(void *user, bool joined, tenon_term group, tenon_term pids)
{
    char line[1000];

    snprintf(line, sizeof line, "%s %s", text_of(group), text_of(pids));
    note_line(user, joined ? "join" : "leave", line);
}

static const struct tn_pg_ops ops = {
    .send = on_send,
    .monitor = on_monitor,
    .demonitor = on_demonitor,
    .changed = on_changed,
};

static int start(void **state)
{
    static struct asked asked;

    asked = (struct asked){ 0 };
    tn_pg_scope_init(&asked.scope, &ops, &asked, &test_hash_key, term_of(SELF));
    *state = &asked;
    return 0;
}

static int stop(void **state)
{
    struct asked *asked = *state;

    tn_pg_scope_fini(&asked->scope);
    assert_int_equal(asked->scope.groups.memberships, 0);
    assert_int_equal(asked->scope.groups.name_bytes, 0);
    assert_null(asked->scope.groups.table);
    return 0;
}

static enum tenon_err fed(struct asked *asked, const char *message)
{
    return tn_pg_scope_feed(&asked->scope, term_of("~t", term_of(message)));
}

static void feed(struct asked *asked, const char *message)
{
    assert_int_equal(fed(asked, message), TENON_OK);
}

/* The end of a process, by the monitor of that number. */
static enum tenon_err down(struct asked *asked, uint32_t ref, const char *pid)
{
    tenon_ref monitor = {
        .creation = 1, .word_count = 3, .words = { ref }, .node = "c@h"
    };

    return tn_pg_scope_feed(
        &asked->scope,
        term_of("{:DOWN, ~r, :process, ~t, :why}", &monitor, term_of(pid)));
}

static void assert_asked(struct asked *asked, const char *expected)
{
    assert_string_equal(asked->text, expected);
    asked->text[0] = '\0';
}

static void join(struct asked *asked, const char *group, const char *pid)
{
    assert_int_equal(
        tn_pg_scope_join(&asked->scope, term_of(group), term_of(pid)),
        TENON_OK);
}

static enum tenon_err
leave(struct asked *asked, const char *group, const char *pid)
{
    return tn_pg_scope_leave(&asked->scope, term_of(group), term_of(pid));
}

static void assert_members(struct asked *asked,
                           const char *group,
                           enum tenon_pg_whose whose,
                           const char *expected)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    assert_int_equal(
        tn_pg_scope_members(&asked->scope, term_of(group), whose, out),
        TENON_OK);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    assert_string_equal(text_of(term), expected);
    tenon_builder_free(out);
}

static void assert_all(struct asked *asked, const char *expected)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    assert_int_equal(tn_pg_scope_all(&asked->scope, out), TENON_OK);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    assert_string_equal(text_of(term), expected);
    tenon_builder_free(out);
}

/* The peer has introduced itself, and all is said that is said then. */
static void know_peer(struct asked *asked)
{
    feed(asked, "{:discover, " PEER "}");
    asked->text[0] = '\0';
}

static void a_discover_is_answered_with_everything(void **state)
{
    struct asked *asked = *state;

    join(asked, ":g", ONE);
    join(asked, ":g", ONE);
    assert_asked(asked, "monitor " ONE "\n");
    feed(asked, "{:discover, " PEER "}");
    assert_asked(asked, "monitor " PEER "\n"
                        "send " PEER " {:\"$gen_cast\", {:sync, " SELF
                        ", [g: [" ONE ", " ONE "]]}}\n"
                        "send " PEER " {:discover, " SELF "}\n");
    feed(asked, "{:discover, " PEER "}");
    assert_asked(asked, "send " PEER " {:\"$gen_cast\", {:sync, " SELF
                        ", [g: [" ONE ", " ONE "]]}}\n");
}

static void a_version_in_a_discover_is_passed_over(void **state)
{
    struct asked *asked = *state;

    feed(asked, "{:discover, " PEER ", 1}");
    assert_asked(asked,
                 "monitor " PEER "\n"
                 "send " PEER " {:\"$gen_cast\", {:sync, " SELF ", []}}\n"
                 "send " PEER " {:discover, " SELF "}\n");
}

static void own_changes_are_told_to_who_has_had_everything(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    join(asked, "\"name\"", ONE);
    assert_int_equal(leave(asked, "\"name\"", ONE), TENON_OK);
    assert_asked(asked,
                 "monitor " ONE "\n"
                 "send " PEER " {:join, " SELF ", \"name\", " ONE "}\n"
                 "send " PEER " {:leave, " SELF ", " ONE ", [\"name\"]}\n"
                 "demonitor 2\n");
}

/* It has sent its own members, but has not had ours: a leave would be one of a
 * group that it does not know of, and end it. */
static void who_has_not_had_everything_is_told_nothing(void **state)
{
    struct asked *asked = *state;

    join(asked, ":g", ONE);
    feed(asked, "{:\"$gen_cast\", {:sync, " PEER ", [g: [#PID<b@h.1.0>]]}}");
    assert_asked(asked, "monitor " ONE "\nmonitor " PEER "\n");
    assert_int_equal(leave(asked, ":g", ONE), TENON_OK);
    assert_asked(asked, "demonitor 1\n");
    assert_all(asked, "%{g: [#PID<b@h.1.0>]}");
}

static void a_leave_of_what_was_not_joined_is_not_sent(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    assert_int_equal(leave(asked, ":g", ONE), TENON_E_NOT_FOUND);
    feed(asked, "{:join, " PEER ", :g, " ONE "}");
    assert_int_equal(leave(asked, ":g", ONE), TENON_E_NOT_FOUND);
    assert_asked(asked, "");
}

static void an_end_leaves_all_groups_as_often_as_joined(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    join(asked, ":a", ONE);
    join(asked, ":a", ONE);
    join(asked, ":b", ONE);
    join(asked, ":b", TWO);
    asked->text[0] = '\0';
    asked->scope.watched = true;
    assert_int_equal(down(asked, 2, ONE), TENON_OK);
    assert_asked(asked,
                 "send " PEER " {:leave, " SELF ", " ONE ", [:b, :a, :a]}\n"
                 "leave :b [" ONE "]\n"
                 "leave :a [" ONE ", " ONE "]\n");
    assert_all(asked, "%{b: [" TWO "]}");
}

static void joins_and_leaves_of_a_peer_count(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    asked->scope.watched = true;
    feed(asked, "{:join, " PEER ", {:g, 1}, #PID<b@h.1.0>}");
    feed(asked, "{:join, " PEER ", {:g, 1}, [#PID<b@h.1.0>, #PID<b@h.2.0>]}");
    assert_members(asked, "{:g, 1}", TENON_PG_ALL,
                   "[#PID<b@h.1.0>, #PID<b@h.1.0>, #PID<b@h.2.0>]");
    assert_members(asked, "{:g, 1}", TENON_PG_LOCAL, "[]");
    feed(asked, "{:leave, " PEER ", [#PID<b@h.1.0>, #PID<b@h.2.0>], "
                "[{:g, 1}, :never]}");
    assert_members(asked, "{:g, 1}", TENON_PG_ALL, "[#PID<b@h.1.0>]");
    feed(asked, "{:leave, " PEER ", #PID<b@h.1.0>, [{:g, 1}, {:g, 1}]}");
    assert_all(asked, "%{}");
    assert_asked(asked, "join {:g, 1} [#PID<b@h.1.0>]\n"
                        "join {:g, 1} [#PID<b@h.1.0>, #PID<b@h.2.0>]\n"
                        "leave {:g, 1} [#PID<b@h.1.0>, #PID<b@h.2.0>]\n"
                        "leave {:g, 1} [#PID<b@h.1.0>]\n");
}

static void a_sync_replaces_what_the_peer_had(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    join(asked, ":a", ONE);
    feed(asked, "{:\"$gen_cast\", {:sync, " PEER
                ", [a: [#PID<b@h.1.0>, #PID<b@h.1.0>], b: [#PID<b@h.2.0>]]}}");
    feed(asked, "{:discover, " OTHER "}");
    feed(asked, "{:join, " OTHER ", :b, #PID<d@h.1.0>}");
    asked->text[0] = '\0';
    asked->scope.watched = true;
    feed(asked, "{:\"$gen_cast\", {:sync, " PEER
                ", [a: [#PID<b@h.1.0>, #PID<b@h.3.0>]]}}");
    assert_asked(asked, "leave :a [#PID<b@h.1.0>]\n"
                        "join :a [#PID<b@h.3.0>]\n"
                        "leave :b [#PID<b@h.2.0>]\n");
    assert_members(asked, ":b", TENON_PG_ALL, "[#PID<d@h.1.0>]");
    feed(asked, "{:\"$gen_cast\", {:sync, " PEER ", []}}");
    assert_members(asked, ":a", TENON_PG_ALL, "[" ONE "]");
}

static void an_unknown_scope_is_not_listened_to(void **state)
{
    struct asked *asked = *state;

    assert_int_equal(fed(asked, "{:join, " PEER ", :g, #PID<b@h.1.0>}"),
                     TENON_E_NOT_FOUND);
    assert_int_equal(fed(asked, "{:leave, " PEER ", #PID<b@h.1.0>, [:g]}"),
                     TENON_E_NOT_FOUND);
    /* Of our own node nobody else speaks. */
    assert_int_equal(fed(asked, "{:discover, #PID<c@h.7.0>}"),
                     TENON_E_NOT_FOUND);
    assert_int_equal(
        fed(asked, "{:\"$gen_cast\", {:sync, " SELF ", [g: [" ONE "]]}}"),
        TENON_E_NOT_FOUND);
    assert_asked(asked, "");
    assert_all(asked, "%{}");
}

static void a_peer_that_ends_takes_its_members_along(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    feed(asked, "{:join, " PEER ", :g, #PID<b@h.1.0>}");
    join(asked, ":g", ONE);
    asked->text[0] = '\0';
    assert_int_equal(down(asked, 77, PEER), TENON_E_NOT_FOUND);
    assert_int_equal(down(asked, 1, PEER), TENON_OK);
    assert_all(asked, "%{g: [" ONE "]}");
    join(asked, ":g", ONE);
    assert_asked(asked, "");
}

static void a_lost_node_takes_its_scope_along(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    feed(asked, "{:discover, " OTHER "}");
    feed(asked, "{:join, " PEER ", :g, #PID<b@h.1.0>}");
    feed(asked, "{:join, " OTHER ", :g, #PID<d@h.1.0>}");
    asked->text[0] = '\0';
    tn_pg_scope_node_down(&asked->scope, "b@h");
    assert_asked(asked, "demonitor 1\n");
    assert_all(asked, "%{g: [#PID<d@h.1.0>]}");
}

static void what_a_beam_of_any_release_encodes_is_one_group(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    /* {join, PEER, g, Pid} with atoms and pids as OTP 23 and 25 write them. */
    assert_int_equal(
        tn_pg_scope_feed(
            &asked->scope,
            term_of_hex("6804640004" /* join */
                        "6a6f696e"
                        "58640003624068000000090000000000000000" /* PEER */
                        "64000167"                               /* g */
                        "58640003624068000000010000000000000000")),
        TENON_OK);
    feed(asked, "{:join, " PEER ", :g, #PID<b@h.1.0>}");
    assert_all(asked, "%{g: [#PID<b@h.1.0>, #PID<b@h.1.0>]}");
}

static void what_is_no_message_of_the_protocol_is_refused(void **state)
{
    static const char *const junk[] = {
        ":junk",
        "{}",
        "{:discover}",
        "{:discover, :x}",
        "{:discover, " PEER ", 1, 2}",
        "{:join, " PEER ", :g}",
        "{:join, " PEER ", :g, :x}",
        "{:join, " PEER ", :g, [:x]}",
        "{:join, " PEER ", :g, [#PID<b@h.1.0> | :x]}",
        "{:leave, " PEER ", :x, [:g]}",
        "{:leave, " PEER ", #PID<b@h.1.0>, :g}",
        "{:update, " PEER ", []}",
        "{:DOWN, 1, :process, " PEER ", :x}",
        "{:\"$gen_cast\", {:sync, " PEER ", :x}}",
        "{:\"$gen_cast\", {:sync, " PEER ", [:x]}}",
        "{:\"$gen_cast\", {:sync, " PEER ", [{:g, :x}]}}",
        "{:\"$gen_cast\", {:sync, :x, []}}",
        "{:\"$gen_cast\", {:local_data, " PEER ", 1, %{}}}",
        "{:\"$gen_call\", {" PEER ", 1}, {:join_local, :g, " ONE "}}",
        "{:system, {" PEER ", 1}, :get_state}",
    };
    struct asked *asked = *state;

    know_peer(asked);
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        if (fed(asked, junk[i]) != TENON_E_TERM_SHAPE) {
            fail_msg("%s", junk[i]);
        }
    }
    assert_asked(asked, "");
    assert_all(asked, "%{}");
}

static void limits_leave_out_what_is_beyond_them(void **state)
{
    struct asked *asked = *state;

    know_peer(asked);
    asked->scope.groups.members_max = 3;
    join(asked, ":g", ONE);
    assert_int_equal(fed(asked, "{:\"$gen_cast\", {:sync, " PEER
                                ", [a: [#PID<b@h.1.0>, #PID<b@h.1.0>], "
                                "b: [#PID<b@h.2.0>], c: [#PID<b@h.2.0>]]}}"),
                     TENON_E_LIMIT);
    assert_int_equal(asked->scope.groups.memberships, 3);
    assert_int_equal(fed(asked, "{:join, " PEER ", :c, #PID<b@h.1.0>}"),
                     TENON_E_LIMIT);
    assert_int_equal(
        tn_pg_scope_join(&asked->scope, term_of(":x"), term_of(TWO)),
        TENON_E_LIMIT);
    assert_members(asked, ":x", TENON_PG_ALL, "[]");
    /* Leaving makes room. */
    feed(asked, "{:\"$gen_cast\", {:sync, " PEER ", []}}");
    join(asked, ":x", TWO);
    asked->scope.groups.bytes_max = asked->scope.groups.name_bytes;
    assert_int_equal(
        tn_pg_scope_join(&asked->scope, term_of(":y"), term_of(TWO)),
        TENON_E_LIMIT);
}

/* Whatever was taken is given back in the end, as stop() sees. */
/* {{...}}: that many levels. owned: tenon_value_free. */
static tenon_value *nested(unsigned levels)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    for (unsigned i = 1; i < levels; i++) {
        tenon_build_tuple(out, 1);
    }
    tenon_build_tuple(out, 0);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *value = tenon_value_new(term);

    tenon_builder_free(out);
    return value;
}

static void a_group_too_deep_to_be_told_of_is_left_out(void **state)
{
    struct asked *asked = *state;
    tenon_builder *out = tenon_builder_new();
    const unsigned levels[] = { 496, 508 };

    know_peer(asked);
    for (size_t i = 0; i < 2; i++) {
        tenon_value *group = nested(levels[i]);
        tenon_term name = tenon_value_term(group);
        enum tenon_err expected = i == 0 ? TENON_OK : TENON_E_LIMIT;

        assert_int_equal(
            tn_pg_scope_feed(&asked->scope,
                             term_of("{:join, ~t, ~t, ~t}", term_of(PEER), name,
                                     term_of("#PID<b@h.1.0>"))),
            expected);
        assert_int_equal(tn_pg_scope_all(&asked->scope, out), TENON_OK);
        tenon_builder_reset(out);
        tenon_value_free(group);
    }
    assert_int_equal(asked->scope.groups.memberships, 1);
    tenon_builder_free(out);
}

static void changed_messages_break_nothing(void **state)
{
    static const char *const seeds[] = {
        "{:discover, " PEER "}",
        "{:join, " PEER ", :a, [#PID<b@h.1.0>, #PID<b@h.2.0>]}",
        "{:leave, " PEER ", #PID<b@h.1.0>, [:a, :b]}",
        "{:\"$gen_cast\", {:sync, " PEER
        ", [a: [#PID<b@h.1.0>], b: [#PID<b@h.2.0>]]}}",
    };
    struct asked *asked = *state;
    uint32_t random = 2463534242u;
    uint8_t bytes[512];
    tenon_term term;

    asked->scope.watched = true;
    for (unsigned round = 0; round < 20000; round++) {
        tenon_value *seed = tenon_value_format(seeds[round % 4]);
        tenon_term whole = tenon_value_term(seed);

        assert_true(whole.len < sizeof bytes);
        memcpy(bytes, whole.bytes, whole.len);
        for (unsigned n = round / 4 % 4; n > 0; n--) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            bytes[random % whole.len] = (uint8_t)(random >> 24);
        }
        if (round % 64 == 63) {
            (void)down(asked, asked->refs, PEER);
        }
        if (tenon_term_scan(bytes, whole.len, &term, NULL) == TENON_OK) {
            (void)tn_pg_scope_feed(&asked->scope, term);
        }
        asked->text[0] = '\0';
        tenon_value_free(seed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_discover_is_answered_with_everything),
        TEST(a_version_in_a_discover_is_passed_over),
        TEST(own_changes_are_told_to_who_has_had_everything),
        TEST(who_has_not_had_everything_is_told_nothing),
        TEST(a_leave_of_what_was_not_joined_is_not_sent),
        TEST(an_end_leaves_all_groups_as_often_as_joined),
        TEST(joins_and_leaves_of_a_peer_count),
        TEST(a_sync_replaces_what_the_peer_had),
        TEST(an_unknown_scope_is_not_listened_to),
        TEST(a_peer_that_ends_takes_its_members_along),
        TEST(a_lost_node_takes_its_scope_along),
        TEST(what_a_beam_of_any_release_encodes_is_one_group),
        TEST(what_is_no_message_of_the_protocol_is_refused),
        TEST(limits_leave_out_what_is_beyond_them),
        TEST(a_group_too_deep_to_be_told_of_is_left_out),
        TEST(changed_messages_break_nothing),
    };
    return cmocka_run_group_tests_name("otp/pg_scope", tests, NULL, NULL);
}
