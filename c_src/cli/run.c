/* SPDX-License-Identifier: Apache-2.0 */
/* tenon run: a node in the foreground, with its handler libraries. */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <malloc.h>
#endif

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/connector.h"
#include "cli/library.h"

/* From here on memory comes from the system and goes back to it. */
#define LARGE_BYTES (256 * 1024)

/* With an arena for each of many threads glibc keeps several times the memory
 * that a node needs; and after one large buffer it keeps the next ones. */
static void keep_memory_small(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
#endif
}

static void log_ready(tenon_node *node)
{
    char port[8];

    snprintf(port, sizeof port, "%u", (unsigned)tenon_node_port(node));
    tenon_node_log(node, TENON_LOG_INFO, "ready", "node", tenon_node_name(node),
                   "port", port, NULL);
}

/* The scheduler of --alarms: the node's one without a name. */
static bool
start_scheduler(tenon_node *node, const char *file, tenon_error *err)
{
    return file == NULL ||
           tenon_scheduler_start(node, &(tenon_scheduler_config){
                                           .file = file, .err = err }) != NULL;
}

/* Handlers before peers, so that whoever is connected finds them; the
 * scheduler before handlers, so that they find it. */
static bool serve(tenon_node *node,
                  const struct cli_settings *settings,
                  struct cli_library *libraries,
                  struct cli_connector *connectors)
{
    tenon_error err = { 0 };

    if (!start_scheduler(node, settings->alarms, &err)) {
        cli_complain("%s", err.text);
        return false;
    }
    for (size_t i = 0; i < settings->load.count; i++) {
        if (cli_library_load(&libraries[i], node, settings->load.at[i], &err) !=
            TENON_OK) {
            cli_complain("%s", err.text);
            return false;
        }
    }
    log_ready(node);
    for (size_t i = 0; i < settings->connect.count; i++) {
        if (cli_connector_start(&connectors[i], node, settings->connect.at[i],
                                &err) != TENON_OK) {
            cli_complain("%s", err.text);
            return false;
        }
    }
    return true;
}

/* One that is sent as soon as the node is ready is to end it in order. SIGHUP
 * is the node's only where it reads certificates or rules again. */
static void keep_signals(const struct cli_settings *settings)
{
    sigset_t kept;

    sigemptyset(&kept);
    sigaddset(&kept, SIGINT);
    sigaddset(&kept, SIGTERM);
    if (settings->rules != NULL ||
        (settings->proto_dist != NULL &&
         strstr(settings->proto_dist, "tls") != NULL)) {
        sigaddset(&kept, SIGHUP);
    }
    pthread_sigmask(SIG_BLOCK, &kept, NULL);
}

int cli_run(const struct cli_settings *settings)
{
    static struct cli_library libraries[CLI_LIST_MAX];
    static struct cli_connector connectors[CLI_LIST_MAX];
    tenon_node_config config;
    tenon_error err = { 0 };
    int status = CLI_FAILED;

    keep_memory_small();
    /* A reader of our events that goes away must not end the node. */
    signal(SIGPIPE, SIG_IGN);
    keep_signals(settings);
    cli_fill_config(settings, &config);
    config.err = &err;
    tenon_node *node = tenon_node_start(&config);

    if (node == NULL) {
        cli_complain("%s", err.text);
        return CLI_FAILED;
    }
    if (serve(node, settings, libraries, connectors)) {
        status = tenon_node_run(node);
        if (status == TENON_RUN_STUCK) {
            _exit(CLI_STUCK); /* a handler still runs */
        }
    } else {
        tenon_node_stop(node);
    }
    for (size_t i = settings->load.count; i-- > 0;) {
        cli_library_unload(&libraries[i]);
    }
    return status;
}
