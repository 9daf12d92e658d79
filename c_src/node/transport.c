/* SPDX-License-Identifier: Apache-2.0 */
#include "node/transport.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "node/loop.h"
#include "node/node.h"

/* ---- from the configuration ---------------------------------------------- */

struct proto {
    const char *name;
    int family;
    bool is_tls;
};

static const struct proto protos[] = {
    { "inet_tcp", AF_INET, false },
    { "inet6_tcp", AF_INET6, false },
    { "inet_tls", AF_INET, true },
    { "inet6_tls", AF_INET6, true },
};

static const struct proto *find_proto(const char *name)
{
    if (name == NULL) {
        return &protos[0];
    }
    for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++) {
        if (strcmp(protos[i].name, name) == 0) {
            return &protos[i];
        }
    }
    return NULL;
}

static enum tenon_err check_ports(const tenon_node_config *config)
{
    if (config->port_max != 0 &&
        (config->port == 0 || config->port_max < config->port)) {
        return tn_error(config->err, TENON_E_INVAL,
                        "starting a node: expected port_max from port (%u, "
                        "given) on, got %u",
                        (unsigned)config->port, (unsigned)config->port_max);
    }
    return TENON_OK;
}

static enum tenon_err read_address(const tenon_node_config *config,
                                   const struct proto *proto,
                                   struct tn_address *at)
{
    *at = tn_address_all(proto->family);
    if (config->listen_address != NULL &&
        !tn_address_parse(config->listen_address, proto->family, at)) {
        return tn_error(config->err, TENON_E_INVAL,
                        "starting a node: expected a numeric address of %s to "
                        "listen at, got \"%s\"",
                        proto->name, config->listen_address);
    }
    return TENON_OK;
}

static enum tenon_err read_tls(struct tn_transport *transport,
                               const tenon_node_config *config)
{
    const char *const *opt = config->ssl_dist_opts;
    enum tenon_err rc = TENON_OK;

    if (!transport->is_tls &&
        (config->ssl_dist_optfile != NULL || (opt != NULL && *opt != NULL))) {
        return tn_error(config->err, TENON_E_INVAL,
                        "starting a node: expected proto_dist inet_tls or "
                        "inet6_tls with options of TLS, got %s",
                        config->proto_dist != NULL ? config->proto_dist
                                                   : "inet_tcp");
    }
    if (config->ssl_dist_optfile != NULL) {
        rc = tn_tls_options_read(&transport->tls, config->ssl_dist_optfile,
                                 config->err);
    }
    for (; rc == TENON_OK && opt != NULL && *opt != NULL; opt += 2) {
        if (opt[1] == NULL) {
            return tn_error(config->err, TENON_E_INVAL,
                            "TLS option %s: expected a value, got none", *opt);
        }
        rc = tn_tls_options_set(&transport->tls, opt[0], opt[1], config->err);
    }
    return rc;
}

enum tenon_err tn_transport_read(struct tn_transport *transport,
                                 const tenon_node_config *config,
                                 struct tn_dist_config *dist)
{
    const struct proto *proto = find_proto(config->proto_dist);

    if (proto == NULL) {
        return tn_error(config->err, TENON_E_INVAL,
                        "starting a node: expected proto_dist inet_tcp, "
                        "inet6_tcp, inet_tls or inet6_tls, got \"%s\"",
                        config->proto_dist);
    }
    transport->is_tls = proto->is_tls;
    dist->peer_port = config->peer_port;
    enum tenon_err rc = check_ports(config);

    if (rc == TENON_OK) {
        rc = read_address(config, proto, &dist->listen_at);
    }
    if (rc == TENON_OK) {
        rc = read_tls(transport, config);
    }
    if (rc == TENON_OK && proto->is_tls) {
        rc = tn_tls_context_new(&transport->tls, &dist->tls, config->err);
    }
    return rc;
}

void tn_transport_fini(struct tn_transport *transport)
{
    tn_tls_options_fini(&transport->tls);
}

/* ---- again --------------------------------------------------------------- */

static void use_context(tenon_node *node, void *context)
{
    if (node->dist != NULL && !node->dist_freed) {
        tn_dist_set_tls(node->dist, context);
    } else {
        tn_tls_context_unref(context);
    }
}

enum tenon_err tenon_node_reload_tls(tenon_node *node, tenon_error *err)
{
    tn_tls_context *context;

    if (node == NULL || !node->transport.is_tls) {
        return tn_error(err, TENON_E_INVAL,
                        "reading certificates again: expected a node whose "
                        "connections are TLS");
    }
    enum tenon_err rc = tn_tls_context_new(&node->transport.tls, &context, err);

    if (rc != TENON_OK) {
        return rc;
    }
    rc = tn_node_run_on_loop(node, use_context, context);
    if (rc != TENON_OK) {
        tn_tls_context_unref(context);
        (void)tn_error(err, rc, "reading certificates again: %s",
                       tenon_err_text(rc));
    }
    return rc;
}

struct reload {
    struct tn_job job;
    tenon_node *node;
};

static void run_reload(struct tn_job *job)
{
    struct reload *reload = (struct reload *)job;
    tenon_node *node = reload->node;
    tenon_error err = { 0 };

    free(reload);
    if (tenon_node_reload_tls(node, &err) == TENON_OK) {
        tn_log(&node->log, TN_INFO, "tls_reloaded", NULL);
    } else {
        tn_log(&node->log, TN_ERROR, "tls_reload_failed", "reason", err.text,
               NULL);
    }
}

void tn_transport_reload_later(tenon_node *node)
{
    struct reload *reload = malloc(sizeof *reload);

    if (reload == NULL) {
        tn_log(&node->log, TN_ERROR, "tls_reload_failed", "reason",
               "out of memory", NULL);
        return;
    }
    *reload = (struct reload){ .job = { .fn = run_reload }, .node = node };
    tn_node_push_job(node, &reload->job);
}
