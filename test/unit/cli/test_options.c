/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what is accepted, how mistakes are told, and that README
 * lists what --help prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"

#define WORDS_MAX 200

/* Reads "run --sname n", split at spaces. */
static enum tenon_err
parse(const char *line, struct cli_settings *settings, tenon_error *why)
{
    static char text[4096];
    char *words[WORDS_MAX];
    int count = 0;

    assert_true(strlen(line) < sizeof text);
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL;
         word = strtok(NULL, " ")) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    const struct cli_command *command = cli_find_command(words[0]);

    assert_non_null(command);
    memset(why, 0, sizeof *why);
    return cli_parse(command, count - 1, words + 1, settings, why);
}

static struct cli_settings accepted(const char *line)
{
    struct cli_settings settings;
    tenon_error why;
    enum tenon_err rc = parse(line, &settings, &why);

    if (rc != TENON_OK) {
        fail_msg("\"%s\" was refused: %s", line, why.text);
    }
    return settings;
}

static void refused(const char *line, const char *text)
{
    struct cli_settings settings;
    tenon_error why;

    if (parse(line, &settings, &why) == TENON_OK) {
        fail_msg("\"%s\" was accepted", line);
    }
    assert_string_equal(why.text, text);
    assert_int_equal(why.code, TENON_E_INVAL);
}

static void options_that_are_not_given_have_their_default(void **state)
{
    (void)state;
    struct cli_settings s = accepted("run --sname n");

    assert_string_equal(s.sname, "n");
    assert_null(s.name);
    assert_null(s.cookie);
    assert_false(s.hidden);
    assert_false(s.help);
    assert_int_equal(s.connect.count, 0);
    assert_int_equal(s.load.count, 0);
    assert_int_equal(s.port, 0);
    assert_int_equal(s.connect_timeout_ms, 7000);
    assert_int_equal(s.ticktime_s, 60);
    assert_string_equal(s.pg_scope, "pg");
    assert_int_equal(s.workers, 256);
    assert_int_equal(s.log_level, TENON_LOG_INFO);
}

static void each_option_sets_its_own_field(void **state)
{
    (void)state;
    struct cli_settings s =
        accepted("run --name n@10.0.0.1 --cookie c --hidden --port 4711 "
                 "--port-max 4720 --interface 127.0.0.1 --epmd none "
                 "--peer-port 4712 --proto-dist inet6_tcp "
                 "--connect-timeout 100 --ticktime 5 --workers 8 --memory-max "
                 "2097152 --pg-scope s "
                 "--log-level debug");

    assert_string_equal(s.name, "n@10.0.0.1");
    assert_null(s.sname);
    assert_string_equal(s.cookie, "c");
    assert_true(s.hidden);
    assert_int_equal(s.port, 4711);
    assert_int_equal(s.port_max, 4720);
    assert_string_equal(s.interface, "127.0.0.1");
    assert_string_equal(s.epmd, "none");
    assert_int_equal(s.peer_port, 4712);
    assert_string_equal(s.proto_dist, "inet6_tcp");
    assert_int_equal(s.connect_timeout_ms, 100);
    assert_int_equal(s.ticktime_s, 5);
    assert_string_equal(s.pg_scope, "s");
    assert_int_equal(s.workers, 8);
    assert_int_equal(s.memory_max, 2097152);
    assert_int_equal(s.log_level, TENON_LOG_DEBUG);
}

static void options_of_tls_are_pairs_of_words(void **state)
{
    (void)state;
    struct cli_settings s =
        accepted("run --sname n --ssl-dist-opt server_certfile a.pem "
                 "--ssl-dist-opt=client_depth 2 --ssl-dist-optfile f.conf");

    assert_int_equal(s.ssl_dist_opts.count, 4);
    assert_string_equal(s.ssl_dist_opts.at[0], "server_certfile");
    assert_string_equal(s.ssl_dist_opts.at[1], "a.pem");
    assert_string_equal(s.ssl_dist_opts.at[2], "client_depth");
    assert_string_equal(s.ssl_dist_opts.at[3], "2");
    assert_null(s.ssl_dist_opts.at[4]);
    assert_string_equal(s.ssl_dist_optfile, "f.conf");
    refused("run --sname n --ssl-dist-opt server_depth",
            "option --ssl-dist-opt: expected NAME VALUE, got one word");
}

static void an_option_may_be_given_with_an_equals_sign(void **state)
{
    (void)state;
    struct cli_settings s = accepted("run --sname=n --cookie=a=b --port=0");

    assert_string_equal(s.sname, "n");
    assert_string_equal(s.cookie, "a=b");
}

static void a_list_option_collects_in_order(void **state)
{
    (void)state;
    struct cli_settings s = accepted(
        "run --load a.so --connect a@h --sname n --connect b@h --load b.so");

    assert_int_equal(s.connect.count, 2);
    assert_string_equal(s.connect.at[0], "a@h");
    assert_string_equal(s.connect.at[1], "b@h");
    assert_int_equal(s.load.count, 2);
    assert_string_equal(s.load.at[0], "a.so");
    assert_string_equal(s.load.at[1], "b.so");
}

static void a_list_option_has_a_limit(void **state)
{
    (void)state;
    char line[4096] = "run --sname n";

    for (int i = 0; i < CLI_LIST_MAX; i++) {
        strcat(line, " --connect a@h");
    }
    assert_int_equal(accepted(line).connect.count, CLI_LIST_MAX);
    strcat(line, " --connect a@h");
    refused(line, "option --connect: expected it at most 64 times, got more");
}

static void arguments_and_options_come_in_any_order(void **state)
{
    (void)state;
    struct cli_settings s =
        accepted("call --cookie c n@h lists --timeout 10 reverse [[1]]");

    assert_string_equal(s.arguments[0], "n@h");
    assert_string_equal(s.arguments[1], "lists");
    assert_string_equal(s.arguments[2], "reverse");
    assert_string_equal(s.arguments[3], "[[1]]");
    assert_int_equal(s.timeout_ms, 10);
}

static void an_argument_that_may_be_left_out_is_null(void **state)
{
    (void)state;
    assert_null(accepted("call n@h erlang node").arguments[3]);
}

static void a_negative_number_is_an_argument(void **state)
{
    (void)state;
    struct cli_settings s = accepted("dispatch double -7 --connect n@h");

    assert_string_equal(s.arguments[1], "-7");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct cli_settings s = accepted("dispatch --connect n@h -- s --cookie");

    assert_string_equal(s.arguments[0], "s");
    assert_string_equal(s.arguments[1], "--cookie");
    assert_null(s.cookie);
}

static void help_needs_nothing_else_to_be_right(void **state)
{
    (void)state;
    assert_true(accepted("call --help").help);
    assert_true(accepted("run -h --no-such-option").help);
}

static void a_number_is_refused_with_its_range(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "5s", "0", "600001", "-1", "+5", "0x10", "1.5", "99999999999999999999",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[80];
        char text[160];

        snprintf(line, sizeof line, "run --sname n --connect-timeout %s",
                 bad[i]);
        snprintf(text, sizeof text,
                 "option --connect-timeout: expected a whole number (MS) from "
                 "1 to 600000, got \"%s\"",
                 bad[i]);
        refused(line, text);
    }
    assert_int_equal(
        accepted("run --sname n --connect-timeout 1").connect_timeout_ms, 1);
    assert_int_equal(
        accepted("run --sname n --connect-timeout 600000").connect_timeout_ms,
        600000);
}

static void a_wrong_value_is_told_with_what_was_expected(void **state)
{
    (void)state;
    refused("run --sname n --log-level loud",
            "option --log-level: expected debug, info, warn, error or none, "
            "got \"loud\"");
    refused("run --sname n --connect host",
            "option --connect: expected a node name like \"name@host\", got "
            "\"host\"");
    refused("run --sname n --epmd some",
            "option --epmd: expected none, got \"some\"");
    refused("run --sname n --port 5000 --port-max 4999",
            "option --port-max: expected a port from --port (5000) on, got "
            "4999");
    refused("run --sname n --port-max 4999",
            "option --port-max: expected a port from --port (0) on, got 4999");
    refused("run --sname n --hidden=yes",
            "option --hidden: expected no value, got \"yes\"");
    refused("run --sname=", "option --sname: expected NAME, got an empty text");
    refused("run --sname", "option --sname: expected NAME, got nothing");
}

static void a_node_name_has_two_parts(void **state)
{
    (void)state;
    static const char *const bad[] = { "host", "@host", "name@", "a@b@c", "@" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[80];
        char text[160];

        snprintf(line, sizeof line, "ping %s", bad[i]);
        snprintf(text, sizeof text,
                 "argument NODE: expected a node name like \"name@host\", got "
                 "\"%s\"",
                 bad[i]);
        refused(line, text);
    }
    assert_string_equal(accepted("ping a@b").arguments[0], "a@b");
}

static void an_option_of_another_subcommand_is_refused(void **state)
{
    (void)state;
    refused("ping --load a.so n@h",
            "option --load: expected an option that tenon ping --help lists");
    refused("run -x",
            "option -x: expected an option that tenon run --help lists");
    refused("run --snam n",
            "option --snam: expected an option that tenon run --help lists");
    refused("run --snames=n",
            "option --snames: expected an option that tenon run --help lists");
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    refused("call n@h lists", "argument FUNCTION: expected it, got nothing");
    refused("run",
            "options --sname and --name: expected one of them, got neither");
    refused("run --sname a --name b",
            "options --sname and --name: expected one of them, got both");
    refused("services", "option --connect: expected NODE, got nothing");
    refused("dispatch s nil", "option --connect: expected NODE, got nothing");
    refused("names x", "tenon names: expected no further argument, got \"x\"");
}

/* ---- the tables --------------------------------------------------------- */

static void no_two_options_of_a_subcommand_share_a_name(void **state)
{
    (void)state;
    for (const struct cli_option *a = cli_options; a->name != NULL; a++) {
        for (const struct cli_option *b = a + 1; b->name != NULL; b++) {
            if (strcmp(a->name, b->name) == 0 &&
                (a->commands & b->commands) != 0) {
                fail_msg("--%s stands twice for one subcommand", a->name);
            }
        }
    }
}

static void every_subcommand_has_defaults_that_can_be_read(void **state)
{
    (void)state;
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        struct cli_settings settings;
        tenon_error why = { 0 };
        char *help[] = { "--help" };

        assert_int_equal(cli_parse(c, 1, help, &settings, &why), TENON_OK);
        assert_true(settings.help);
        assert_non_null(c->run);
    }
}

/* ---- README ------------------------------------------------------------- */

/* owned: free. */
static void read_readme(char **text)
{
    FILE *file = fopen("README.md", "rb");
    size_t cap = 0;

    if (file == NULL) {
        fail_msg("README.md cannot be opened: run this from the tree's root");
    }
    assert_true(getdelim(text, &cap, '\0', file) > 0);
    fclose(file);
}

/* The fenced block below the line <!-- output: tenon ... -->, cut out of
 * `readme` in place. NULL: there is none. */
static char *quoted_output(char *readme, const char *command)
{
    char marker[80];

    snprintf(marker, sizeof marker, "<!-- output: %s -->\n```text\n", command);
    char *begin = strstr(readme, marker);

    if (begin == NULL) {
        return NULL;
    }
    begin += strlen(marker);
    char *end = strstr(begin, "```\n");

    assert_non_null(end);
    *end = '\0';
    return begin;
}

/* What `tenon COMMAND --help` prints; NULL: `tenon --help`. owned: free. */
static char *help_of(const struct cli_command *command)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (command == NULL) {
        cli_print_overview(out);
    } else {
        cli_print_help(out, command);
    }
    fclose(out);
    return text;
}

static bool quotes(const char *name, const struct cli_command *command)
{
    char *readme = NULL;
    char *help = help_of(command);

    read_readme(&readme);
    const char *quoted = quoted_output(readme, name);

    if (quoted != NULL) {
        assert_string_equal(quoted, help);
    }
    free(help);
    free(readme);
    return quoted != NULL;
}

static void readme_lists_what_help_prints(void **state)
{
    (void)state;
    assert_true(quotes("tenon --help", NULL));
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        char name[80];

        snprintf(name, sizeof name, "tenon %s --help", c->name);
        if (!quotes(name, c) && c->bit == CLI_RUN) {
            fail_msg("README.md does not quote %s", name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_are_not_given_have_their_default),
        cmocka_unit_test(each_option_sets_its_own_field),
        cmocka_unit_test(options_of_tls_are_pairs_of_words),
        cmocka_unit_test(an_option_may_be_given_with_an_equals_sign),
        cmocka_unit_test(a_list_option_collects_in_order),
        cmocka_unit_test(a_list_option_has_a_limit),
        cmocka_unit_test(arguments_and_options_come_in_any_order),
        cmocka_unit_test(an_argument_that_may_be_left_out_is_null),
        cmocka_unit_test(a_negative_number_is_an_argument),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(help_needs_nothing_else_to_be_right),
        cmocka_unit_test(a_number_is_refused_with_its_range),
        cmocka_unit_test(a_wrong_value_is_told_with_what_was_expected),
        cmocka_unit_test(a_node_name_has_two_parts),
        cmocka_unit_test(an_option_of_another_subcommand_is_refused),
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(no_two_options_of_a_subcommand_share_a_name),
        cmocka_unit_test(every_subcommand_has_defaults_that_can_be_read),
        cmocka_unit_test(readme_lists_what_help_prints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
