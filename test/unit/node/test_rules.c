/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what, by a text of rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "node/rules.h"
#include "unit/support/growth.h"
#include "unit/support/hash_key.h"

/* ---- reading and asking --------------------------------------------------- */

static tn_rules *rules_of(const char *text)
{
    tenon_error err = { 0 };
    tn_rules *rules = NULL;

    if (tn_rules_read(text, strlen(text), &test_hash_key, &rules, &err) !=
        TENON_OK) {
        fail_msg("\"%s\": %s", text, err.text);
    }
    return rules;
}

/* user: the only name of the certificate; NULL: there is none. */
static bool bears(void *user, const char *pattern)
{
    const char *name = user;

    return name != NULL && tn_glob_fits(pattern, name, strlen(name), true);
}

/* What the rules say of a peer. */
enum said { REFUSED, LIMITED, EVERYTHING };

static enum said judge(const tn_rules *rules,
                       const char *node,
                       const char *certificate,
                       const tn_rule **rule)
{
    const struct tn_rules_peer peer = { .node = node,
                                        .has_certificate = bears,
                                        .user =
                                            (void *)(uintptr_t)certificate };

    if (!tn_rules_judge(rules, &peer, rule)) {
        return REFUSED;
    }
    return *rule == NULL ? EVERYTHING : LIMITED;
}

static enum said
said_of(const char *text, const char *node, const char *certificate)
{
    tn_rules *rules = rules_of(text);
    const tn_rule *rule;
    enum said said = judge(rules, node, certificate, &rule);

    tn_rules_unref(rules);
    return said;
}

static void without_rules_of_peers_everybody_may_do_everything(void **state)
{
    (void)state;
    assert_int_equal(said_of("", "a@h", NULL), EVERYTHING);
    assert_int_equal(said_of("% none\n", "a@h", NULL), EVERYTHING);
    assert_int_equal(said_of("{cookie, 'a@h', {env, \"C\"}}.", "a@h", NULL),
                     EVERYTHING);
}

static void the_first_rule_that_fits_counts(void **state)
{
    static const char text[] = "{peer, 'shop@*', []}.\n"
                               "{peer, 'bad@h', none}.\n"
                               "{peer, '*@h', all}.\n";

    (void)state;
    assert_int_equal(said_of(text, "shop@h", NULL), LIMITED);
    assert_int_equal(said_of(text, "bad@h", NULL), REFUSED);
    assert_int_equal(said_of(text, "other@h", NULL), EVERYTHING);
}

static void a_peer_that_no_rule_fits_may_not_connect(void **state)
{
    (void)state;
    assert_int_equal(said_of("{peer, 'a@h', all}.", "b@h", NULL), REFUSED);
    assert_int_equal(said_of("{peer, 'a@h', all}.", "a@hh", NULL), REFUSED);
}

static void certificates_are_told_apart_by_their_names(void **state)
{
    static const char text[] = "{peer, {certificate, \"*.shop.org\"}, all}.";

    (void)state;
    assert_int_equal(said_of(text, "a@h", "one.Shop.org"), EVERYTHING);
    assert_int_equal(said_of(text, "a@h", "one.mill.org"), REFUSED);
    assert_int_equal(said_of(text, "a@h", NULL), REFUSED);
}

static void a_list_of_node_and_certificate_needs_both(void **state)
{
    static const char text[] =
        "{peer, ['a@*', {certificate, \"a.org\"}], all}.";

    (void)state;
    assert_int_equal(said_of(text, "a@h", "a.org"), EVERYTHING);
    assert_int_equal(said_of(text, "b@h", "a.org"), REFUSED);
    assert_int_equal(said_of(text, "a@h", "b.org"), REFUSED);
    assert_int_equal(said_of(text, "a@h", NULL), REFUSED);
}

/* The rights of everybody. */
static tn_rules *rights_of(const char *rights, const tn_rule **rule)
{
    char text[2048];

    snprintf(text, sizeof text, "{peer, '*', %s}.", rights);
    tn_rules *rules = rules_of(text);

    assert_int_equal(judge(rules, "a@h", NULL, rule), LIMITED);
    return rules;
}

static bool
has_function(const tn_rule *rule, const char *m, const char *f, size_t arity)
{
    return tn_rule_has_function(rule, m, strlen(m), f, strlen(f), arity);
}

static bool has_name(const tn_rule *rule, const char *name)
{
    return tn_rule_has_name(rule, name, strlen(name));
}

static void an_empty_list_allows_nothing_but_to_connect(void **state)
{
    const tn_rule *rule;
    tn_rules *rules = rights_of("[]", &rule);

    (void)state;
    assert_false(has_function(rule, "m", "f", 0));
    assert_false(tn_rule_has_service(rule, "R", "s"));
    assert_false(has_name(rule, "n"));
    tn_rules_unref(rules);
}

static void functions_are_told_by_module_name_and_arity(void **state)
{
    const tn_rule *rule;
    tn_rules *rules = rights_of(
        "[{functions, [{m, f, 1}, {any_arity, f, '_'}, {whole, '_', '_'}, "
        "{'Elixir.A.B', 'c?', 255}, {m, zero, 0}]}]",
        &rule);

    (void)state;
    assert_true(has_function(rule, "m", "f", 1));
    assert_false(has_function(rule, "m", "f", 0));
    assert_false(has_function(rule, "m", "f", 2));
    assert_false(has_function(rule, "m", "g", 1));
    assert_false(has_function(rule, "f", "m", 1));
    assert_true(has_function(rule, "any_arity", "f", 0));
    assert_true(has_function(rule, "any_arity", "f", 255));
    assert_false(has_function(rule, "any_arity", "g", 0));
    assert_true(has_function(rule, "whole", "x", 3));
    assert_false(has_function(rule, "wholesale", "x", 3));
    assert_true(has_function(rule, "Elixir.A.B", "c?", 255));
    assert_true(has_function(rule, "m", "zero", 0));
    assert_false(has_function(rule, "m", "zero", 256));
    assert_false(tn_rule_has_service(rule, "m", "f"));
    assert_false(has_name(rule, "m"));
    tn_rules_unref(rules);
}

static void services_are_told_by_name_or_with_their_router(void **state)
{
    const tn_rule *rule;
    tn_rules *rules = rights_of(
        "[{services, [quote, {'Elixir.R', open}, {'Elixir.All', '_'}]}]",
        &rule);

    (void)state;
    assert_true(tn_rule_has_service(rule, "Elixir.R", "quote"));
    assert_true(tn_rule_has_service(rule, "Elixir.S", "quote"));
    assert_true(tn_rule_has_service(rule, "Elixir.R", "open"));
    assert_false(tn_rule_has_service(rule, "Elixir.S", "open"));
    assert_true(tn_rule_has_service(rule, "Elixir.All", "whatever"));
    assert_false(tn_rule_has_service(rule, "Elixir.R", "quot"));
    assert_false(tn_rule_has_service(rule, "quote", ""));
    assert_false(has_function(rule, "Elixir.R", "open", 1));
    tn_rules_unref(rules);
}

static void names_are_told_as_they_are(void **state)
{
    const tn_rule *rule;
    tn_rules *rules =
        rights_of("[{names, [echo, 'Elixir.Demo.Tasks']}]", &rule);

    (void)state;
    assert_true(has_name(rule, "echo"));
    assert_true(has_name(rule, "Elixir.Demo.Tasks"));
    assert_false(has_name(rule, "ech"));
    assert_false(has_name(rule, "echoo"));
    assert_false(has_function(rule, "echo", "x", 0));
    tn_rules_unref(rules);
}

static void all_of_a_kind_is_no_more_than_that(void **state)
{
    const tn_rule *rule;
    tn_rules *rules = rights_of("[{functions, all}, {names, []}]", &rule);

    (void)state;
    assert_true(has_function(rule, "m", "f", 1));
    assert_false(has_name(rule, "n"));
    assert_false(tn_rule_has_service(rule, "R", "s"));
    tn_rules_unref(rules);
}

/* Texts of peers may hold any bytes; keys are joined by NULs. */
static void a_nul_in_a_name_does_not_pass_for_another(void **state)
{
    const tn_rule *rule;
    tn_rules *rules = rights_of(
        "[{functions, [{m, f, '_'}, {n, '_', '_'}]}, {names, [n]}]", &rule);

    (void)state;
    assert_false(tn_rule_has_function(rule, "m\0f", 3, "x", 1, 1));
    assert_false(tn_rule_has_function(rule, "m", 1, "f\0", 2, 1));
    assert_false(tn_rule_has_function(rule, "n\0", 2, "x", 1, 1));
    assert_true(tn_rule_has_function(rule, "n", 1, "x", 1, 1));
    assert_false(tn_rule_has_name(rule, "n\0x", 3));
    tn_rules_unref(rules);
}

static void cookies_come_with_where_they_are(void **state)
{
    tn_rules *rules = rules_of("{cookie, 'a@h', {file, \"/c\"}}.\n"
                               "{cookie, 'b@h', {env, \"B_COOKIE\"}}.\n");
    struct tn_rule_cookie cookie;

    (void)state;
    assert_true(tn_rules_cookie(rules, 0, &cookie));
    assert_string_equal(cookie.node, "a@h");
    assert_true(cookie.is_file);
    assert_string_equal(cookie.source, "/c");
    assert_true(tn_rules_cookie(rules, 1, &cookie));
    assert_string_equal(cookie.node, "b@h");
    assert_false(cookie.is_file);
    assert_string_equal(cookie.source, "B_COOKIE");
    assert_false(tn_rules_cookie(rules, 2, &cookie));
    assert_int_equal(tn_rules_count(rules), 0);
    tn_rules_unref(rules);
}

/* ---- what is refused ------------------------------------------------------ */

static void refused(const char *text, const char *expected)
{
    tenon_error err = { 0 };
    tn_rules *rules = NULL;

    assert_true(
        tn_rules_read(text, strlen(text), &test_hash_key, &rules, &err) < 0);
    if (strstr(err.text, expected) == NULL) {
        fail_msg("\"%s\": expected \"%s\" in \"%s\"", text, expected, err.text);
    }
    assert_null(rules);
}

static void what_is_unknown_is_refused_by_name_and_line(void **state)
{
    (void)state;
    refused("{peer, 'a@h', all}.\n\n{pear, 'b@h', all}.", "line 3");
    refused("{pear, 'b@h', all}.", ":pear");
    refused("{peer, 'a@h', some}.", "got :some");
    refused("{peer, 'a@h', [{fuctions, all}]}.", ":fuctions");
    refused("{peer, 'a@h', [connect]}.", "got :connect");
    refused("{peer, 'a@h', [{names, some}]}.", "all, or a list, got :some");
    refused("{peer, 'a@h', [{names, [\"x\"]}]}.", "got \"x\"");
    refused("{peer, 'a@h', [{names, [a]}, {names, [b]}]}.", "once at the most");
    refused("{peer, 'a@h', [{functions, [{m, f}]}]}.", "got {:m, :f}");
    refused("{peer, 'a@h', [{functions, [{m, f, 256}]}]}.", "256");
    refused("{peer, 'a@h', [{functions, [{m, f, -1}]}]}.", "-1");
    refused("{peer, 'a@h', [{functions, [{m, '_', 1}]}]}.", "a function");
    refused("{peer, 'a@h', [{functions, [{'_', f, 1}]}]}.", "a function");
    refused("{peer, 'a@h', [{services, ['_']}]}.", "a service");
    refused("{peer, 'a@h', [{services, [{a, b, c}]}]}.", "a service");
    refused("{peer, shop, all}.", "such as 'shop@*'");
    refused("{peer, \"a@h\", all}.", "such as 'shop@*'");
    refused("{peer, [], all}.", "or both");
    refused("{peer, ['a@h', 'b@h'], all}.", "one node's name");
    refused("{peer, {certificate, \"\"}, all}.", "certificate");
    refused("{peer, {certificate, name}, all}.", "certificate");
    refused("{peer, [{certificate, \"a\"}, {certificate, \"b\"}], all}.",
            "certificate");
    refused("{cookie, 'a@h', secret}.", "{file, \"path\"}");
    refused("{cookie, a, {file, \"x\"}}.", "name of the node");
    refused("{cookie, 'a@h', {file, \"\"}}.", "{file, \"path\"}");
    refused("{peer, 'a@h', all}", "full stop");
    refused("{peer, 'a@h', all}.\n{", "line 2");
}

/* A text of `count` times the same, between two others. */
static char *
repeated(const char *begin, const char *part, size_t count, const char *end)
{
    size_t each = strlen(part);
    char *text = malloc(strlen(begin) + each * count + strlen(end) + 1);

    assert_non_null(text);
    char *at = stpcpy(text, begin);

    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, part);
    }
    strcpy(at, end);
    return text;
}

static void holds_to_limit(const char *begin,
                           const char *part,
                           unsigned max,
                           const char *end,
                           const char *expected)
{
    char *text = repeated(begin, part, max, end);

    tn_rules_unref(rules_of(text));
    free(text);
    text = repeated(begin, part, max + 1, end);
    refused(text, expected);
    free(text);
}

static void each_limit_is_held(void **state)
{
    (void)state;
    holds_to_limit("", "{peer,'*',all}.\n", TENON_RULES_MAX, "",
                   "at most 1024 rules of peers");
    holds_to_limit("", "{cookie,'a@h',{env,\"A\"}}.\n", TENON_RULES_COOKIES_MAX,
                   "", "at most 1024 cookies");
    /* The list ends with one more. */
    holds_to_limit("{peer,'*',[{names,[", "n,", TENON_RULES_ENTRIES_MAX - 1,
                   "n]}]}.", "at most 65536 functions, services and names");
    holds_to_limit("{peer,{certificate,\"", "x", TN_RULES_PATTERN_MAX_BYTES,
                   "\"},all}.", "{certificate,");
    holds_to_limit("{peer,'*',[{names,['", "n", 255, "']}]}.", "atom");
}

/* ---- cost ----------------------------------------------------------------- */

#define RIGHTS 100u

static char *many_rights(unsigned size)
{
    size_t count = RIGHTS * growth_scale(size);
    char *text = malloc(count * 24 + 64);
    size_t at;

    assert_non_null(text);
    at = (size_t)sprintf(text, "{peer, '*', [{functions, [");
    for (size_t i = 0; i < count; i++) {
        at += (size_t)sprintf(text + at, "{m%zu, f, 1}%s", i,
                              i + 1 < count ? ", " : "");
    }
    sprintf(text + at, "]}]}.");
    return text;
}

/* Reads the rules, and asks for each of their functions. */
static void read_rights(void *user, unsigned size)
{
    char **texts = user;
    tn_rules *rules = rules_of(texts[size]);
    const tn_rule *rule;

    assert_int_equal(judge(rules, "a@h", NULL, &rule), LIMITED);
    for (unsigned i = 0; i < RIGHTS * growth_scale(size); i++) {
        char module[24];

        snprintf(module, sizeof module, "m%u", i);
        assert_true(has_function(rule, module, "f", 1));
        assert_false(has_function(rule, module, "g", 1));
    }
    tn_rules_unref(rules);
}

static void what_a_peer_asks_for_is_not_searched_among_all_rights(void **state)
{
    char *texts[GROWTH_SIZES];

    (void)state;
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        texts[size] = many_rights(size);
    }
    assert_growth("rules", read_rights, texts);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        free(texts[size]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_of_peers_everybody_may_do_everything),
        cmocka_unit_test(the_first_rule_that_fits_counts),
        cmocka_unit_test(a_peer_that_no_rule_fits_may_not_connect),
        cmocka_unit_test(certificates_are_told_apart_by_their_names),
        cmocka_unit_test(a_list_of_node_and_certificate_needs_both),
        cmocka_unit_test(an_empty_list_allows_nothing_but_to_connect),
        cmocka_unit_test(functions_are_told_by_module_name_and_arity),
        cmocka_unit_test(services_are_told_by_name_or_with_their_router),
        cmocka_unit_test(names_are_told_as_they_are),
        cmocka_unit_test(all_of_a_kind_is_no_more_than_that),
        cmocka_unit_test(a_nul_in_a_name_does_not_pass_for_another),
        cmocka_unit_test(cookies_come_with_where_they_are),
        cmocka_unit_test(what_is_unknown_is_refused_by_name_and_line),
        cmocka_unit_test(each_limit_is_held),
        cmocka_unit_test(what_a_peer_asks_for_is_not_searched_among_all_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
