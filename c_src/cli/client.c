/* SPDX-License-Identifier: Apache-2.0 */
/* The short-lived node of ping, call, dispatch and services. */
#include "cli/client.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void cli_complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    flockfile(stderr);
    fputs("tenon: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(args);
}

void cli_fill_config(const struct cli_settings *settings,
                     tenon_node_config *config)
{
    *config = (tenon_node_config){
        .name = settings->name,
        .sname = settings->sname,
        .cookie = settings->cookie,
        .hidden = settings->hidden,
        .proto_dist = settings->proto_dist,
        .listen_address = settings->interface,
        .no_global = settings->no_global,
        .no_connect_all = settings->no_connect_all,
        .port = (uint16_t)settings->port,
        .port_max = (uint16_t)settings->port_max,
        .peer_port = (uint16_t)settings->peer_port,
        .no_epmd = settings->epmd != NULL,
        .rules_file = settings->rules,
        .peer_cookies = settings->peer_cookies.at,
        .ssl_dist_optfile = settings->ssl_dist_optfile,
        .ssl_dist_opts = settings->ssl_dist_opts.at,
        .connect_timeout_ms = (uint32_t)settings->connect_timeout_ms,
        .ticktime_ms = (uint32_t)(settings->ticktime_s * 1000),
        .pg_scope = settings->pg_scope,
        .worker_max = (uint32_t)settings->workers,
        .memory_max_bytes = (uint64_t)settings->memory_max > SIZE_MAX
                                ? SIZE_MAX
                                : (size_t)settings->memory_max,
        .log_level = (enum tenon_log_level)settings->log_level,
    };
}

/* Nobody has to find this node, so its host part only needs the right form:
 * a long name must not depend on what this machine knows of its domain. */
static void make_name(const char *peer, char *name, size_t cap, bool *is_long)
{
    struct timespec now;
    const char *host = strchr(peer, '@');

    clock_gettime(CLOCK_REALTIME, &now);
    *is_long = host != NULL && strpbrk(host, ".:") != NULL;
    snprintf(name, cap, "tenon_%lx_%llx%s", (unsigned long)getpid(),
             (unsigned long long)now.tv_sec * 1000000000ULL +
                 (unsigned long long)now.tv_nsec,
             *is_long ? "@127.0.0.1" : "");
}

tenon_node *cli_start_client(const struct cli_settings *settings,
                             const char *peer)
{
    tenon_node_config config;
    tenon_error err = { 0 };
    char name[64];
    bool is_long;

    cli_fill_config(settings, &config);
    config.hidden = true;
    config.err = &err;
    if (config.name == NULL && config.sname == NULL) {
        make_name(peer, name, sizeof name, &is_long);
        *(is_long ? &config.name : &config.sname) = name;
    }
    tenon_node *node = tenon_node_start(&config);

    if (node == NULL) {
        cli_complain("%s", err.text);
    }
    return node;
}

void cli_connect_all(tenon_node *node,
                     const struct cli_settings *settings,
                     struct cli_list *reached)
{
    reached->count = 0;
    for (size_t i = 0; i < settings->connect.count; i++) {
        const char *peer = settings->connect.at[i];
        tenon_error err = { 0 };

        if (tenon_node_connect(node, peer, 0, &err) == TENON_OK) {
            reached->at[reached->count++] = peer;
        } else {
            cli_complain("%s", err.text);
        }
    }
}

tenon_builder *
cli_read_term(const char *argument, const char *text, tenon_term *term)
{
    tenon_error err = { 0 };
    tenon_builder *builder = tenon_builder_new();

    if (builder == NULL) {
        cli_complain("%s", tenon_err_text(TENON_E_NOMEM));
        return NULL;
    }
    if (tenon_build_text(builder, text, strlen(text), &err) == TENON_OK &&
        tenon_builder_term(builder, term) == TENON_OK) {
        return builder;
    }
    cli_complain("argument %s: %s", argument, err.text);
    tenon_builder_free(builder);
    return NULL;
}

static bool copy_atom(const char *argument, const char *text, tenon_atom *atom)
{
    size_t len = strlen(text);

    if (len == 0 || len > TENON_ATOM_MAX_BYTES) {
        cli_complain("argument %s: expected 1 to %d bytes, got %zu", argument,
                     TENON_ATOM_MAX_BYTES, len);
        return false;
    }
    memcpy(atom->text, text, len + 1);
    return true;
}

bool cli_read_atom(const char *argument,
                   const char *text,
                   bool is_alias,
                   tenon_atom *atom)
{
    tenon_term term;

    if (text[0] != ':' && !(is_alias && text[0] >= 'A' && text[0] <= 'Z')) {
        return copy_atom(argument, text, atom);
    }
    tenon_builder *builder = cli_read_term(argument, text, &term);

    if (builder == NULL) {
        return false;
    }
    enum tenon_err rc = tenon_term_atom(term, atom);

    tenon_builder_free(builder);
    if (rc != TENON_OK) {
        cli_complain("argument %s: expected an atom, got %s", argument, text);
    }
    return rc == TENON_OK;
}

char *cli_term_text(tenon_term term)
{
    size_t cap = tenon_term_print(term, NULL, 0) + 1;
    char *text = malloc(cap);

    if (text != NULL) {
        tenon_term_print(term, text, cap);
    }
    return text;
}

bool cli_print_term(tenon_term term)
{
    char *text = cli_term_text(term);

    if (text == NULL) {
        cli_complain("%s", tenon_err_text(TENON_E_NOMEM));
        return false;
    }
    puts(text);
    free(text);
    return true;
}
