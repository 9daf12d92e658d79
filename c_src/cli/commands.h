/* SPDX-License-Identifier: Apache-2.0 */
/* What each subcommand does. Each returns the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

int cli_run(const struct cli_settings *settings);
int cli_ping(const struct cli_settings *settings);
int cli_call(const struct cli_settings *settings);
int cli_dispatch(const struct cli_settings *settings);
int cli_services(const struct cli_settings *settings);
int cli_names(const struct cli_settings *settings);

#endif
