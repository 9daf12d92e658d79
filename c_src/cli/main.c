/* SPDX-License-Identifier: Apache-2.0 */
/* The `tenon` command: picks the subcommand. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* What went to stdout is only said when it got there: a full disk is a
 * failure. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "tenon: standard output cannot be written\n");
        return CLI_FAILED;
    }
    return status;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    struct cli_settings settings;
    tenon_error why;

    if (cli_parse(command, argc, argv, &settings, &why) != TENON_OK) {
        fprintf(stderr, "tenon: %s\n", why.text);
        return CLI_USAGE;
    }
    if (settings.help) {
        cli_print_help(stdout, command);
        return CLI_OK;
    }
    return command->run(&settings);
}

/* As tenon_node_start does, but before anything is opened or printed: those of
 * the descriptors 0 to 2 that are closed are opened on /dev/null. */
static void open_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    if (argc < 2) {
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0) {
        cli_print_overview(stdout);
        return finish(CLI_OK);
    }
    if (is_one_of(argv[1], "--version", "-V")) {
        printf("tenon %s\n", TENON_VERSION_STRING);
        return finish(CLI_OK);
    }
    const struct cli_command *command = cli_find_command(argv[1]);

    if (command == NULL) {
        fprintf(stderr,
                "tenon: subcommand: expected one that tenon --help lists, got "
                "\"%s\"\n",
                argv[1]);
        return CLI_USAGE;
    }
    return finish(run_command(command, argc - 2, argv + 2));
}
