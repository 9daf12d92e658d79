/* SPDX-License-Identifier: Apache-2.0 */
/* tenon services, and waiting for what peers tell of their services. */
#include "cli/registry.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/metrics.h"

/* Between two looks at the registry, which tells nobody when it learns. */
#define LOOK_EVERY_MS 5

tenon_node *cli_start_registry(const struct cli_settings *settings,
                               struct cli_list *reached)
{
    tenon_node *node = cli_start_client(settings, settings->connect.at[0]);

    if (node == NULL) {
        return NULL;
    }
    /* The registry starts with its first use, and asks nodes as they come. */
    cli_count_providers(node, NULL, NULL);
    cli_connect_all(node, settings, reached);
    if (reached->count == 0) {
        tenon_node_stop(node);
        return NULL;
    }
    return node;
}

/* Calls fn for each provider of each service. */
static void each_provider(tenon_node *node,
                          void (*fn)(void *user,
                                     tenon_term service,
                                     tenon_term on,
                                     tenon_term module),
                          void *user)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_cursor services;
    tenon_term map, service, providers;

    if (tenon_services(node, builder) != TENON_OK ||
        tenon_builder_term(builder, &map) != TENON_OK) {
        tenon_builder_free(builder);
        return;
    }
    tenon_cursor_init(&services, map);
    while (tenon_cursor_next_pair(&services, &service, &providers)) {
        tenon_cursor at;
        tenon_term provider, on, module;

        tenon_cursor_init(&at, providers);
        while (tenon_cursor_next(&at, &provider)) {
            if (tenon_match(provider, "{~t, ~t}", &on, &module)) {
                fn(user, service, on, module);
            }
        }
    }
    tenon_builder_free(builder);
}

struct count {
    const char *service;
    const char *on;
    size_t found;
};

static void
count_one(void *user, tenon_term service, tenon_term on, tenon_term module)
{
    struct count *count = user;

    (void)module;
    if ((count->service == NULL ||
         tenon_term_is_atom(service, count->service)) &&
        (count->on == NULL || tenon_term_is_atom(on, count->on))) {
        count->found++;
    }
}

size_t
cli_count_providers(tenon_node *node, const char *service, const char *on)
{
    struct count count = { service, on, 0 };

    each_provider(node, count_one, &count);
    return count.found;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cli_wait_registry(tenon_node *node,
                       int64_t timeout_ms,
                       bool (*is_enough)(tenon_node *node, const void *user),
                       const void *user)
{
    int64_t deadline = now_ms() + timeout_ms;

    while (!is_enough(node, user) && now_ms() < deadline) {
        tenon_sleep(node, LOOK_EVERY_MS);
    }
}

bool cli_all_have_told(tenon_node *node, const struct cli_list *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (cli_count_providers(node, NULL, peers->at[i]) == 0) {
            return false;
        }
    }
    return true;
}

static bool is_told(tenon_node *node, const void *user)
{
    return cli_all_have_told(node, user);
}

/* The lines of the list, to be sorted. */
struct lines {
    tenon_node *node;
    const struct cli_settings *settings;
    struct cli_metrics metrics;
    char **at;
    size_t count;
    bool failed;
};

/* An atom without its quotes where they only are in the way: of a node's
 * name. What a terminal would obey stays escaped. owned: free. */
static char *plain_atom(tenon_term term)
{
    tenon_atom atom;

    if (tenon_term_atom(term, &atom) == TENON_OK && atom.text[0] != '\0') {
        const char *c = atom.text;

        while (*c > ' ' && *c <= '~' && *c != '"') {
            c++;
        }
        if (*c == '\0') {
            return strdup(atom.text);
        }
    }
    return cli_term_text(term);
}

/* metrics: the rest of the line. */
static char *make_line(tenon_term service,
                       tenon_term on,
                       tenon_term module,
                       const char *metrics)
{
    char *parts[] = {
        plain_atom(service),
        plain_atom(on),
        cli_term_text(module),
    };
    char *line = NULL;

    if (parts[0] != NULL && parts[1] != NULL && parts[2] != NULL) {
        size_t cap = strlen(parts[0]) + strlen(parts[1]) + strlen(parts[2]) +
                     strlen(metrics) + 3;

        line = malloc(cap);
        if (line != NULL) {
            snprintf(line, cap, "%s %s %s%s", parts[0], parts[1], parts[2],
                     metrics);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        free(parts[i]);
    }
    return line;
}

static void
add_line(void *user, tenon_term service, tenon_term on, tenon_term module)
{
    struct lines *lines = user;
    char metrics[CLI_METRICS_TEXT_BYTES] = "";
    char **at = realloc(lines->at, (lines->count + 1) * sizeof *at);

    if (at == NULL) {
        lines->failed = true;
        return;
    }
    lines->at = at;
    if (lines->settings->metrics) {
        cli_metrics_text(&lines->metrics, lines->node,
                         (uint32_t)lines->settings->timeout_ms, service, on,
                         metrics);
    }
    at[lines->count] = make_line(service, on, module, metrics);
    if (at[lines->count] == NULL) {
        lines->failed = true;
        return;
    }
    lines->count++;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool print_services(tenon_node *node,
                           const struct cli_settings *settings)
{
    struct lines lines = { .node = node, .settings = settings };

    each_provider(node, add_line, &lines);
    if (lines.count > 0) {
        qsort(lines.at, lines.count, sizeof *lines.at, compare_lines);
    }
    for (size_t i = 0; i < lines.count; i++) {
        puts(lines.at[i]);
        free(lines.at[i]);
    }
    free(lines.at);
    cli_metrics_fini(&lines.metrics);
    if (lines.failed) {
        cli_complain("%s", tenon_err_text(TENON_E_NOMEM));
    }
    return !lines.failed;
}

int cli_services(const struct cli_settings *settings)
{
    struct cli_list reached;
    tenon_node *node = cli_start_registry(settings, &reached);

    if (node == NULL) {
        return CLI_FAILED;
    }
    cli_wait_registry(node, settings->timeout_ms, is_told, &reached);
    bool printed = print_services(node, settings);

    tenon_node_stop(node);
    return printed && reached.count == settings->connect.count ? CLI_OK
                                                               : CLI_FAILED;
}
