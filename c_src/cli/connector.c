/* SPDX-License-Identifier: Apache-2.0 */
/* A process that connects: on a worker, because connecting blocks. */
#include "cli/connector.h"

#include <string.h>

static void tell(const struct cli_connector *connector, const char *message)
{
    tenon_send_format(connector->node, &(tenon_dest){ .pid = &connector->pid },
                      message);
}

/* False when there is nothing more to try. */
static bool try_once(const struct cli_connector *connector)
{
    enum tenon_err rc =
        tenon_node_connect(connector->node, connector->peer, 0, NULL);

    return rc != TENON_OK && rc != TENON_E_STOPPED;
}

/* The messages are :connect and :lost; after a loss the peer gets a moment to
 * be gone. */
static void keep_connected(tenon_process *self, tenon_term message, void *state)
{
    struct cli_connector *connector = state;
    bool wait = tenon_term_is_atom(message, "lost");

    (void)self;
    do {
        if (wait && tenon_sleep(connector->node, CLI_CONNECT_RETRY_MS) != 0) {
            return;
        }
        wait = true;
    } while (try_once(connector));
}

static void note_peer(void *user, const char *name, bool up, bool visible)
{
    struct cli_connector *connector = user;

    (void)visible;
    if (!up && strcmp(name, connector->peer) == 0) {
        tell(connector, ":lost");
    }
}

enum tenon_err cli_connector_start(struct cli_connector *connector,
                                   tenon_node *node,
                                   const char *peer,
                                   tenon_error *err)
{
    connector->node = node;
    connector->peer = peer;
    tenon_process *process =
        tenon_server_start(node, &(tenon_server_config){
                                     .on_info = keep_connected,
                                     .state = connector,
                                     .err = err,
                                 });

    if (process == NULL) {
        return err->code;
    }
    tenon_process_pid(process, &connector->pid);
    tenon_process_release(process);
    tell(connector, ":connect");
    return tenon_node_watch_peers(node, note_peer, connector);
}
