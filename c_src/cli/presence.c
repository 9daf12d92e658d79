/* SPDX-License-Identifier: Apache-2.0 */
/* tenon ping, and tenon names: who is there. */
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"

int cli_ping(const struct cli_settings *settings)
{
    const char *peer = settings->arguments[0];
    tenon_error err = { 0 };
    tenon_node *node = cli_start_client(settings, peer);

    if (node == NULL) {
        return CLI_FAILED;
    }
    uint32_t timeout_ms = (uint32_t)settings->timeout_ms;
    /* Connected first, because that tells why it cannot be. */
    bool pong = tenon_node_connect(node, peer, timeout_ms, &err) == TENON_OK &&
                tenon_ping(node, peer, timeout_ms, &err) == TENON_OK;

    puts(pong ? "pong" : "pang");
    if (!pong) {
        cli_complain("%s", err.text);
    }
    tenon_node_stop(node);
    return pong ? CLI_OK : CLI_FAILED;
}

static void print_names(tenon_term names)
{
    tenon_cursor at;
    tenon_term entry;

    tenon_cursor_init(&at, names);
    while (tenon_cursor_next(&at, &entry)) {
        const char *name;
        size_t len;
        uint64_t port;

        if (tenon_match(entry, "{~s, ~u}", &name, &len, &port)) {
            printf("%.*s at port %u\n", (int)len, name, (unsigned)port);
        }
    }
}

int cli_names(const struct cli_settings *settings)
{
    tenon_error err = { 0 };
    tenon_term names;
    tenon_builder *builder = tenon_builder_new();
    enum tenon_err rc = tenon_epmd_names(
        settings->host, (uint32_t)settings->timeout_ms, builder, &err);

    if (rc == TENON_OK && tenon_builder_term(builder, &names) == TENON_OK) {
        print_names(names);
    } else {
        cli_complain("%s", err.text);
    }
    tenon_builder_free(builder);
    return rc == TENON_OK ? CLI_OK : CLI_FAILED;
}
