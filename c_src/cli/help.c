/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints, from the tables. */
#include "cli/options.h"

#include <inttypes.h>
#include <string.h>

/* Where the texts of a list begin, and where lines end at the latest. */
#define TEXT_COLUMN 26
#define LINE_COLUMNS 79

/* Prints words from `column` on, in lines that start at `indent`. Returns the
 * column after the last. */
static int print_wrapped(FILE *out, const char *text, int indent, int column)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        bool first = column == indent;

        if (!first && column + 1 + (int)len > LINE_COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)len, text);
        column += (int)len + (first ? 0 : 1);
        text += len + strspn(text + len, " ");
    }
    return column;
}

/* One line of a list: what, then its text in a column of its own. Leaves the
 * line open. */
static int
print_entry(FILE *out, const char *dashes, const char *name, const char *value)
{
    int used = fprintf(out, "  %s%s%s%s", dashes, name,
                       value != NULL ? " " : "", value != NULL ? value : "");

    if (used >= TEXT_COLUMN) {
        fprintf(out, "\n");
        used = 0;
    }
    fprintf(out, "%*s", TEXT_COLUMN - used, "");
    return TEXT_COLUMN;
}

/* "(1 to 65535, default 0)"; nothing when the option has no such thing. */
static void
describe_values(const struct cli_option *option, char *buf, size_t cap)
{
    switch (option->type) {
    case CLI_NUMBER:
        snprintf(buf, cap, "(%" PRId64 " to %" PRId64 ", default %s)",
                 option->min, option->max, option->fallback);
        return;
    case CLI_LEVEL:
        snprintf(buf, cap, "(debug, info, warn, error or none, default %s)",
                 option->fallback);
        return;
    case CLI_FLAG:
    case CLI_TEXT:
    case CLI_PEERS:
    case CLI_FILES:
    case CLI_PAIRS:
        *buf = '\0';
    }
}

static void print_option(FILE *out, const struct cli_option *option)
{
    char values[80];
    int column = print_entry(out, "--", option->name, option->argument);

    describe_values(option, values, sizeof values);
    column = print_wrapped(out, option->text, TEXT_COLUMN, column);
    print_wrapped(out, values, TEXT_COLUMN, column);
    fprintf(out, "\n");
}

void cli_print_help(FILE *out, const struct cli_command *command)
{
    fprintf(out, "usage: tenon %s", command->name);
    for (const char *const *a = command->arguments; *a != NULL; a++) {
        fprintf(out, " %s", *a);
    }
    if (command->usage != NULL) {
        fprintf(out, " %s", command->usage);
    }
    fprintf(out, " [options]\n\n");
    print_wrapped(out, command->text, 0, 0);
    fprintf(out, "\n\n");
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        if ((o->commands & command->bit) != 0) {
            print_option(out, o);
        }
    }
}

void cli_print_overview(FILE *out)
{
    fprintf(out, "usage: tenon SUBCOMMAND [arguments] [options]\n\n"
                 "A C process as a node of an Erlang or Elixir cluster.\n\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        int column = print_entry(out, "", c->name, NULL);

        print_wrapped(out, c->summary, TEXT_COLUMN, column);
        fprintf(out, "\n");
    }
    fprintf(out,
            "\ntenon SUBCOMMAND --help   its arguments and options\n"
            "tenon --version           the version\n\n"
            "Exit status: 0 done, 1 what was asked for failed, 2 the command "
            "line cannot\nbe used, 3 the node did not stop in time. Results go "
            "to stdout, events and\nerrors to stderr.\n");
}
