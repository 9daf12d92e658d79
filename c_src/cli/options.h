/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: subcommands and options as two tables, from which
 * parsing, --help and README's lists come. Runs nothing itself. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <tenon.h>

/* Exit statuses. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the thing asked for failed */
    CLI_USAGE = 2,  /* the command line cannot be used */
    CLI_STUCK = 3,  /* the node did not stop in time */
};

/* Most arguments of a subcommand. */
#define CLI_ARGUMENTS_MAX 4
/* Most uses of an option that may be given several times. */
#define CLI_LIST_MAX 64

struct cli_list {
    const char *at[CLI_LIST_MAX + 1]; /* ends with NULL */
    size_t count;
};

/* What a command line says. Texts are borrowed from argv, NULL when not
 * given; numbers then have their default. */
struct cli_settings {
    const char *sname;
    const char *name;
    const char *cookie;
    const char *host;
    const char *alarms;
    struct cli_list connect;
    struct cli_list load;
    const char *proto_dist;
    const char *interface;
    const char *epmd;
    int64_t port;
    int64_t port_max;
    int64_t peer_port;
    const char *rules;
    struct cli_list peer_cookies; /* nodes and cookies in turn */
    const char *ssl_dist_optfile;
    struct cli_list ssl_dist_opts; /* names and values in turn */
    int64_t connect_timeout_ms;
    int64_t ticktime_s;
    const char *pg_scope;
    int64_t workers;
    int64_t memory_max;
    int64_t timeout_ms;
    int64_t log_level; /* an enum tenon_log_level */
    bool hidden;
    bool metrics;
    bool no_global;
    bool no_connect_all;
    bool help;
    const char *arguments[CLI_ARGUMENTS_MAX];
};

/* Subcommands, as the bits of an option's `commands`. */
enum {
    CLI_RUN = 1,
    CLI_PING = 2,
    CLI_CALL = 4,
    CLI_DISPATCH = 8,
    CLI_SERVICES = 16,
    CLI_NAMES = 32,
    CLI_ASKS = CLI_PING | CLI_CALL | CLI_DISPATCH | CLI_SERVICES,
    CLI_NODES = CLI_RUN | CLI_ASKS,
    CLI_ALL = CLI_NODES | CLI_NAMES,
};

struct cli_command {
    unsigned bit;
    const char *name;
    const char *arguments[CLI_ARGUMENTS_MAX + 1]; /* up to NULL */
    size_t required;     /* how many of them must be given */
    const char *usage;   /* options that must be given; NULL: none */
    const char *summary; /* one line for `tenon --help` */
    const char *text;    /* what it does, prints and returns */
    int (*run)(const struct cli_settings *settings);
};

/* All subcommands; ends with one without a name. */
extern const struct cli_command cli_commands[];

enum cli_type {
    CLI_FLAG,   /* bool */
    CLI_TEXT,   /* const char *, not empty */
    CLI_NUMBER, /* int64_t, from min to max */
    CLI_LEVEL,  /* int64_t */
    CLI_PEERS,  /* struct cli_list of node names */
    CLI_FILES,  /* struct cli_list */
    CLI_PAIRS,  /* struct cli_list; two words each */
};

struct cli_option {
    const char *name;     /* without its dashes */
    const char *argument; /* NULL: a flag */
    enum cli_type type;
    size_t offset; /* of its field in struct cli_settings */
    int64_t min;
    int64_t max;
    const char *fallback; /* as it would be given; NULL: zero */
    unsigned commands;    /* the subcommands that take it */
    const char *text;
};

/* All options; ends with one without a name. A name may come again for other
 * subcommands, with another default. */
extern const struct cli_option cli_options[];

/* The words of a CLI_LEVEL; ends with one without a name. */
struct cli_level {
    const char *name;
    enum tenon_log_level level;
};
extern const struct cli_level cli_levels[];

/* The subcommand of that name; NULL: none. */
const struct cli_command *cli_find_command(const char *name);

/* Reads what follows the subcommand's name. With --help nothing else needs to
 * be right.
 *
 * argv      borrowed for as long as settings is used.
 * settings  filled, also on failure.
 * why       borrowed; filled on failure: which option, what was expected,
 *           what came.
 * Errors: INVAL. */
TENON_CHECK enum tenon_err cli_parse(const struct cli_command *command,
                                     int argc,
                                     char *const *argv,
                                     struct cli_settings *settings,
                                     tenon_error *why);

/* What `tenon --help` and `tenon SUBCOMMAND --help` print. */
void cli_print_overview(FILE *out);
void cli_print_help(FILE *out, const struct cli_command *command);

#endif
