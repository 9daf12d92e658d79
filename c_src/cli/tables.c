/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands and the options, as data. */
#include "cli/commands.h"
#include "cli/options.h"

#define FIELD(name) offsetof(struct cli_settings, name)

const struct cli_level cli_levels[] = {
    { "debug", TENON_LOG_DEBUG },  { "info", TENON_LOG_INFO },
    { "warn", TENON_LOG_WARNING }, { "error", TENON_LOG_ERROR },
    { "none", TENON_LOG_NONE },    { NULL, TENON_LOG_DEFAULT },
};

/* clang-format off: one option in as few lines as it takes */
const struct cli_option cli_options[] = {
    { "sname", "NAME", CLI_TEXT, FIELD(sname), 0, 0, NULL, CLI_NODES,
      "short name of the node, \"calc\" or \"calc@host\"" },
    { "name", "NAME", CLI_TEXT, FIELD(name), 0, 0, NULL, CLI_NODES,
      "long name of the node, \"calc@host.example.org\" or \"calc@10.0.0.7\"" },
    { "cookie", "COOKIE", CLI_TEXT, FIELD(cookie), 0, 0, NULL, CLI_NODES,
      "the cluster's cookie; without it $RELEASE_COOKIE, else what "
      "~/.erlang.cookie holds" },
    { "cookie-for", "NODE COOKIE", CLI_PAIRS, FIELD(peer_cookies), 0, 0, NULL,
      CLI_NODES,
      "the cookie for connections with NODE, in both directions; other users "
      "of this machine can see it, those of --rules not; may be given several "
      "times" },
    { "rules", "FILE", CLI_TEXT, FIELD(rules), 0, 0, NULL, CLI_RUN,
      "which peers may connect, and what each may use; read again at SIGHUP" },
    { "hidden", NULL, CLI_FLAG, FIELD(hidden), 0, 0, NULL, CLI_RUN,
      "do not appear in nodes() of the peers; such a node is not told of "
      "services that come later" },
    { "no-global", NULL, CLI_FLAG, FIELD(no_global), 0, 0, NULL, CLI_RUN,
      "do not share the global names of the cluster" },
    { "no-connect-all", NULL, CLI_FLAG, FIELD(no_connect_all), 0, 0, NULL,
      CLI_RUN,
      "do not ask the nodes that are connected for the others, to connect to "
      "those as well" },
    { "connect", "NODE", CLI_PEERS, FIELD(connect), 0, 0, NULL, CLI_RUN,
      "connect to NODE, try again every second until it is there, and connect "
      "again when it was lost; may be given several times" },
    { "connect", "NODE", CLI_PEERS, FIELD(connect), 0, 0, NULL,
      CLI_DISPATCH | CLI_SERVICES,
      "a node to ask; may be given several times" },
    { "load", "FILE.so", CLI_FILES, FIELD(load), 0, 0, NULL, CLI_RUN,
      "serve the handlers of this library; may be given several times" },
    { "alarms", "FILE", CLI_TEXT, FIELD(alarms), 0, 0, NULL, CLI_RUN,
      "keep scheduled messages in this SQLite file, and deliver those that it "
      "holds; handlers schedule by it" },
    { "port", "PORT", CLI_NUMBER, FIELD(port), 0, 65535, "0", CLI_RUN,
      "listen on this port; 0 lets the kernel choose" },
    { "port-max", "PORT", CLI_NUMBER, FIELD(port_max), 0, 65535, "0", CLI_RUN,
      "listen on the first free port from --port to this one" },
    { "interface", "ADDRESS", CLI_TEXT, FIELD(interface), 0, 0, NULL, CLI_RUN,
      "listen at this numeric address only" },
    { "proto-dist", "PROTOCOL", CLI_TEXT, FIELD(proto_dist), 0, 0, "inet_tcp",
      CLI_NODES,
      "inet_tcp, inet6_tcp, inet_tls or inet6_tls, as the cluster's" },
    { "ssl-dist-optfile", "FILE", CLI_TEXT, FIELD(ssl_dist_optfile), 0, 0, NULL,
      CLI_NODES,
      "options of TLS, as BEAM nodes take them by -ssl_dist_optfile" },
    { "ssl-dist-opt", "NAME VALUE", CLI_PAIRS, FIELD(ssl_dist_opts), 0, 0, NULL,
      CLI_NODES,
      "one option of TLS, as \"server_certfile cert.pem\"; may be given "
      "several times" },
    { "epmd", "none", CLI_TEXT, FIELD(epmd), 0, 0, NULL, CLI_NODES,
      "neither start nor register at epmd: peers must know the port" },
    { "peer-port", "PORT", CLI_NUMBER, FIELD(peer_port), 0, 65535, "0",
      CLI_NODES,
      "every peer listens on this port, no epmd is asked; 0: the epmd of each "
      "peer's host is" },
    { "connect-timeout", "MS", CLI_NUMBER, FIELD(connect_timeout_ms), 1, 600000,
      "7000", CLI_NODES, "longest time for a connection's handshake" },
    { "ticktime", "SECONDS", CLI_NUMBER, FIELD(ticktime_s), 1, 86400, "60",
      CLI_NODES,
      "net_ticktime of the cluster: a peer that is silent for that "
      "long is down" },
    { "pg-scope", "NAME", CLI_TEXT, FIELD(pg_scope), 0, 0, "pg", CLI_RUN,
      "the pg scope of handlers that name none" },
    { "workers", "COUNT", CLI_NUMBER, FIELD(workers), 1, 4096, "256", CLI_RUN,
      "most threads for handlers" },
    { "memory-max", "BYTES", CLI_NUMBER, FIELD(memory_max), 0, INT64_C(1) << 40,
      "0", CLI_RUN,
      "most memory that the peers together make this node keep; 0 for 1 GiB, "
      "or for half of what there is if that is less" },
    { "log-level", "LEVEL", CLI_LEVEL, FIELD(log_level), 0, 0, "info", CLI_RUN,
      "events below this level are not written" },
    { "log-level", "LEVEL", CLI_LEVEL, FIELD(log_level), 0, 0, "none", CLI_ASKS,
      "write the events of the own node from this level on" },
    { "timeout", "MS", CLI_NUMBER, FIELD(timeout_ms), 1, 3600000, "5000",
      CLI_PING | CLI_CALL, "longest time to wait for the answer" },
    { "timeout", "MS", CLI_NUMBER, FIELD(timeout_ms), 1, 3600000, "5000",
      CLI_DISPATCH,
      "longest time to wait until the service is known, and "
      "then for its answer" },
    { "timeout", "MS", CLI_NUMBER, FIELD(timeout_ms), 1, 3600000, "1000",
      CLI_SERVICES, "longest time to wait for the nodes to tell" },
    { "timeout", "MS", CLI_NUMBER, FIELD(timeout_ms), 1, 3600000, "3000",
      CLI_NAMES, "longest time to wait for the answer" },
    { "host", "HOST", CLI_TEXT, FIELD(host), 0, 0, NULL, CLI_NAMES,
      "ask the epmd of this host; without it that of this machine" },
    { "metrics", NULL, CLI_FLAG, FIELD(metrics), 0, 0, NULL, CLI_SERVICES,
      "add what each C node has counted of its services: calls, refused by "
      "authorize, forwarded, failed, replied, and the mean, 99th percentile "
      "and "
      "longest time of the replies in microseconds" },
    { "help", NULL, CLI_FLAG, FIELD(help), 0, 0, NULL, CLI_ALL,
      "print this text" },
    { 0 },
};

const struct cli_command cli_commands[] = {
    { CLI_RUN,
      "run",
      { NULL },
      0,
      "--sname NAME | --name NAME",
      "run a node that serves handler libraries",
      "Runs a node in the foreground until SIGINT or SIGTERM, which end it "
      "with status 0, or after 8 s with status 3 when an inline handler does "
      "not return. Events go to stderr, one key=value line each; the line "
      "with event=ready says that the node can be called.",
      cli_run },
    { CLI_PING,
      "ping",
      { "NODE", NULL },
      1,
      NULL,
      "ask a node whether it is there",
      "Prints pong (status 0), or pang (status 1) and on stderr why.",
      cli_ping },
    { CLI_CALL,
      "call",
      { "NODE", "MODULE", "FUNCTION", "[ARGS]", NULL },
      3,
      NULL,
      "run a function on a node and print its result",
      "MODULE is written as in Elixir (Enum, :lists) or plainly (lists); ARGS "
      "is a list in Elixir syntax, '[]' when it is left out. Prints the result "
      "in Elixir syntax; on failure (status 1) one line on stderr with its "
      "kind: undef, error, exit, throw, timeout, nodedown.",
      cli_call },
    { CLI_DISPATCH,
      "dispatch",
      { "SERVICE", "TERM", NULL },
      2,
      "--connect NODE",
      "call an X3m service and print its response",
      "TERM, in Elixir syntax, is the message's raw_request. Prints the "
      "response; the status is 1 for :error, :validation_error, :missing_id, "
      ":unauthorized, :service_unavailable and :service_timeout.",
      cli_dispatch },
    { CLI_SERVICES,
      "services",
      { NULL },
      0,
      "--connect NODE",
      "list the X3m services that nodes offer",
      "Prints one line for each service and provider: service, node, router. "
      "A node tells the services that it offers itself.",
      cli_services },
    { CLI_NAMES,
      "names",
      { NULL },
      0,
      NULL,
      "list the nodes that epmd knows",
      "Prints one line for each node: NAME at port PORT.",
      cli_names },
    { 0 },
};
/* clang-format on */
