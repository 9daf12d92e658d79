/* SPDX-License-Identifier: Apache-2.0 */
/* tenon dispatch: calls an X3m service and prints its response. */
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/registry.h"

struct wanted {
    const char *service;
    const struct cli_list *peers;
};

/* A node tells all that it offers at once, so there is nothing to wait for
 * when all have told. */
static bool is_told(tenon_node *node, const void *user)
{
    const struct wanted *wanted = user;

    return cli_count_providers(node, wanted->service, NULL) > 0 ||
           cli_all_have_told(node, wanted->peers);
}

/* Responses that say that it was not done; all else is the service's own. */
static bool is_failure(tenon_term response)
{
    static const char *const words[] = {
        "error",        "validation_error",    "missing_id",
        "unauthorized", "service_unavailable", "service_timeout",
    };
    tenon_term first;

    if (tenon_tuple_get(response, 0, &first) != TENON_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (tenon_term_is_atom(first, words[i])) {
            return true;
        }
    }
    return false;
}

static int show_response(const tenon_message *reply)
{
    tenon_term response = tenon_message_get(reply, "response");

    if (!cli_print_term(response) || is_failure(response)) {
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int dispatch_from(tenon_node *node,
                         const struct cli_settings *settings,
                         const struct wanted *wanted,
                         tenon_term request)
{
    tenon_error err = { 0 };
    tenon_message *reply = NULL;
    tenon_message *message =
        tenon_message_new(node, wanted->service,
                          &(tenon_message_options){ .raw_request = request });
    int status = CLI_FAILED;

    /* Unknown until then is for the dispatch to say: service_unavailable. */
    cli_wait_registry(node, settings->timeout_ms, is_told, wanted);
    if (tenon_dispatch(node, message, (uint32_t)settings->timeout_ms, &reply,
                       &err) == TENON_OK) {
        status = show_response(reply);
    } else {
        cli_complain("%s", err.text);
    }
    tenon_message_free(reply);
    tenon_message_free(message);
    return status;
}

int cli_dispatch(const struct cli_settings *settings)
{
    tenon_atom service;
    tenon_term request;
    int status = CLI_FAILED;

    if (!cli_read_atom("SERVICE", settings->arguments[0], false, &service)) {
        return CLI_USAGE;
    }
    tenon_builder *builder =
        cli_read_term("TERM", settings->arguments[1], &request);

    if (builder == NULL) {
        return CLI_USAGE;
    }
    struct cli_list reached;
    tenon_node *node = cli_start_registry(settings, &reached);

    if (node != NULL) {
        struct wanted wanted = { service.text, &reached };

        status = dispatch_from(node, settings, &wanted, request);
    }
    tenon_node_stop(node);
    tenon_builder_free(builder);
    return status;
}
