/* SPDX-License-Identifier: Apache-2.0 */
/* How a command line is read by the tables. */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One command line on its way. */
struct parse {
    const struct cli_command *command;
    int argc;
    char *const *argv;
    int at; /* the next of argv */
    size_t arguments;
    bool options_over; /* "--" was seen */
    struct cli_settings *settings;
    tenon_error *why;
};

static enum tenon_err fail(tenon_error *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum tenon_err fail(tenon_error *why, const char *format, ...)
{
    va_list args;

    why->code = TENON_E_INVAL;
    why->sys_errno = 0;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return why->code;
}

const struct cli_command *cli_find_command(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static const struct cli_option *
find_option(const struct cli_command *command, const char *name, size_t len)
{
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        if ((o->commands & command->bit) != 0 && strlen(o->name) == len &&
            memcmp(o->name, name, len) == 0) {
            return o;
        }
    }
    return NULL;
}

static void *field_of(const struct cli_option *option,
                      struct cli_settings *settings)
{
    return (char *)settings + option->offset;
}

static enum tenon_err read_number(const struct cli_option *option,
                                  const char *value,
                                  int64_t *number,
                                  tenon_error *why)
{
    char *end;

    errno = 0;
    intmax_t n = strtoimax(value, &end, 10);

    if (end == value || *end != '\0' || errno != 0 || n < option->min ||
        n > option->max || *value < '0' || *value > '9') {
        return fail(why,
                    "option --%s: expected a whole number (%s) from %" PRId64
                    " to %" PRId64 ", got \"%s\"",
                    option->name, option->argument, option->min, option->max,
                    value);
    }
    *number = n;
    return TENON_OK;
}

static enum tenon_err read_level(const struct cli_option *option,
                                 const char *value,
                                 int64_t *number,
                                 tenon_error *why)
{
    for (const struct cli_level *l = cli_levels; l->name != NULL; l++) {
        if (strcmp(l->name, value) == 0) {
            *number = l->level;
            return TENON_OK;
        }
    }
    return fail(why,
                "option --%s: expected debug, info, warn, error or none, "
                "got \"%s\"",
                option->name, value);
}

static bool is_node_name(const char *text)
{
    const char *at = strchr(text, '@');

    return at != NULL && at != text && at[1] != '\0' &&
           strchr(at + 1, '@') == NULL &&
           strlen(text) <= TENON_NODE_NAME_MAX_BYTES;
}

static enum tenon_err add_to_list(const struct cli_option *option,
                                  const char *value,
                                  struct cli_list *list,
                                  tenon_error *why)
{
    if (option->type == CLI_PEERS && !is_node_name(value)) {
        return fail(why,
                    "option --%s: expected a node name like \"name@host\", "
                    "got \"%s\"",
                    option->name, value);
    }
    if (list->count == CLI_LIST_MAX) {
        return fail(why, "option --%s: expected it at most %d times, got more",
                    option->name, CLI_LIST_MAX);
    }
    list->at[list->count++] = value;
    return TENON_OK;
}

static enum tenon_err set_option(const struct cli_option *option,
                                 const char *value,
                                 struct cli_settings *settings,
                                 tenon_error *why)
{
    void *field = field_of(option, settings);

    if (option->type != CLI_FLAG && *value == '\0') {
        return fail(why, "option --%s: expected %s, got an empty text",
                    option->name, option->argument);
    }
    switch (option->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return TENON_OK;
    case CLI_TEXT:
        *(const char **)field = value;
        return TENON_OK;
    case CLI_NUMBER:
        return read_number(option, value, field, why);
    case CLI_LEVEL:
        return read_level(option, value, field, why);
    case CLI_PEERS:
    case CLI_FILES:
    case CLI_PAIRS:
        return add_to_list(option, value, field, why);
    }
    return TENON_OK;
}

/* Defaults are texts of the table and come the way that given ones come. */
static enum tenon_err set_defaults(const struct cli_command *command,
                                   struct cli_settings *settings,
                                   tenon_error *why)
{
    *settings = (struct cli_settings){ 0 };
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        if ((o->commands & command->bit) == 0 || o->fallback == NULL) {
            continue;
        }
        enum tenon_err rc = set_option(o, o->fallback, settings, why);

        if (rc != TENON_OK) {
            return rc;
        }
    }
    return TENON_OK;
}

static enum tenon_err parse_option(struct parse *p, const char *word)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *option = find_option(p->command, name, len);
    const char *value = equals != NULL ? equals + 1 : NULL;

    if (option == NULL) {
        return fail(p->why,
                    "option %.*s: expected an option that tenon %s --help "
                    "lists",
                    (int)(len + 2), word, p->command->name);
    }
    if (option->type == CLI_FLAG && value != NULL) {
        return fail(p->why, "option --%s: expected no value, got \"%s\"",
                    option->name, value);
    }
    if (option->type != CLI_FLAG && value == NULL) {
        if (p->at == p->argc) {
            return fail(p->why, "option --%s: expected %s, got nothing",
                        option->name, option->argument);
        }
        value = p->argv[p->at++];
    }
    enum tenon_err rc = set_option(option, value, p->settings, p->why);

    if (rc != TENON_OK || option->type != CLI_PAIRS) {
        return rc;
    }
    if (p->at == p->argc) {
        return fail(p->why, "option --%s: expected %s, got one word",
                    option->name, option->argument);
    }
    return set_option(option, p->argv[p->at++], p->settings, p->why);
}

static enum tenon_err parse_argument(struct parse *p, const char *word)
{
    const char *name = p->command->arguments[p->arguments];

    if (name == NULL) {
        return fail(p->why,
                    "tenon %s: expected no further argument, got \"%s\"",
                    p->command->name, word);
    }
    if (strcmp(name, "NODE") == 0 && !is_node_name(word)) {
        return fail(p->why,
                    "argument NODE: expected a node name like \"name@host\", "
                    "got \"%s\"",
                    word);
    }
    p->settings->arguments[p->arguments++] = word;
    return TENON_OK;
}

/* A dash begins an option, but also a term: -7. */
static bool looks_like_option(const char *word)
{
    return word[0] == '-' && (word[1] < '0' || word[1] > '9');
}

static enum tenon_err parse_word(struct parse *p)
{
    const char *word = p->argv[p->at++];

    if (p->options_over || !looks_like_option(word)) {
        return parse_argument(p, word);
    }
    if (strcmp(word, "--") == 0) {
        p->options_over = true;
        return TENON_OK;
    }
    if (strcmp(word, "-h") == 0) {
        p->settings->help = true;
        return TENON_OK;
    }
    if (word[1] != '-') {
        return fail(p->why,
                    "option %s: expected an option that tenon %s --help lists",
                    word, p->command->name);
    }
    return parse_option(p, word);
}

/* What only the whole command line shows. */
static enum tenon_err check_whole(const struct parse *p)
{
    const struct cli_settings *s = p->settings;

    if (p->arguments < p->command->required) {
        return fail(p->why, "argument %s: expected it, got nothing",
                    p->command->arguments[p->arguments]);
    }
    if (s->sname != NULL && s->name != NULL) {
        return fail(p->why,
                    "options --sname and --name: expected one of them, got "
                    "both");
    }
    if (p->command->bit == CLI_RUN && s->sname == NULL && s->name == NULL) {
        return fail(p->why,
                    "options --sname and --name: expected one of them, got "
                    "neither");
    }
    if (s->epmd != NULL && strcmp(s->epmd, "none") != 0) {
        return fail(p->why, "option --epmd: expected none, got \"%s\"",
                    s->epmd);
    }
    if (s->port_max != 0 && (s->port == 0 || s->port_max < s->port)) {
        return fail(p->why,
                    "option --port-max: expected a port from --port (%" PRId64
                    ") on, got %" PRId64,
                    s->port, s->port_max);
    }
    if ((p->command->bit & (CLI_DISPATCH | CLI_SERVICES)) != 0 &&
        s->connect.count == 0) {
        return fail(p->why, "option --connect: expected NODE, got nothing");
    }
    return TENON_OK;
}

enum tenon_err cli_parse(const struct cli_command *command,
                         int argc,
                         char *const *argv,
                         struct cli_settings *settings,
                         tenon_error *why)
{
    struct parse p = {
        .command = command,
        .argc = argc,
        .argv = argv,
        .settings = settings,
        .why = why,
    };
    enum tenon_err rc = set_defaults(command, settings, why);

    while (rc == TENON_OK && p.at < argc && !settings->help) {
        rc = parse_word(&p);
    }
    if (rc != TENON_OK || settings->help) {
        return rc;
    }
    return check_whole(&p);
}
