/* SPDX-License-Identifier: Apache-2.0 */
/* tenon call: a function on another node. */
#include <stdlib.h>

#include "cli/client.h"
#include "cli/commands.h"

/* The words for a failure; NULL for codes that speak for themselves. */
static const char *kind_of(enum tenon_err code)
{
    switch ((int)code) {
    case TENON_E_REMOTE_UNDEF:
        return "undef";
    case TENON_E_REMOTE_ERROR:
        return "error";
    case TENON_E_REMOTE_EXIT:
        return "exit";
    case TENON_E_REMOTE_THROW:
        return "throw";
    case TENON_E_TIMEOUT:
        return "timeout";
    case TENON_E_NODEDOWN:
        return "nodedown";
    case TENON_E_NOTSUP:
        return "notsup";
    default:
        return "failed";
    }
}

static void explain(enum tenon_err code, tenon_term value, const char *text)
{
    char *detail = value.bytes != NULL ? cli_term_text(value) : NULL;

    cli_complain("%s: %s", kind_of(code), detail != NULL ? detail : text);
    free(detail);
}

static int run_call(const struct cli_settings *settings,
                    const char *module,
                    const char *function,
                    tenon_term args)
{
    tenon_error err = { 0 };
    tenon_value *value = NULL;
    const char *peer = settings->arguments[0];
    tenon_node *node = cli_start_client(settings, peer);

    if (node == NULL) {
        return CLI_FAILED;
    }
    uint32_t timeout_ms = (uint32_t)settings->timeout_ms;
    /* Connected first, because that tells why it cannot be. */
    enum tenon_err rc = tenon_node_connect(node, peer, timeout_ms, &err);

    if (rc == TENON_OK) {
        rc = tenon_rpc(node, peer, module, function, args, timeout_ms, &value,
                       &err);
    }
    bool done = rc == TENON_OK && cli_print_term(tenon_value_term(value));

    if (rc != TENON_OK) {
        explain(rc, tenon_value_term(value), err.text);
    }
    tenon_value_free(value);
    tenon_node_stop(node);
    return done ? CLI_OK : CLI_FAILED;
}

int cli_call(const struct cli_settings *settings)
{
    tenon_atom module, function;
    tenon_term args;
    const char *text = settings->arguments[3];

    if (!cli_read_atom("MODULE", settings->arguments[1], true, &module) ||
        !cli_read_atom("FUNCTION", settings->arguments[2], false, &function)) {
        return CLI_USAGE;
    }
    tenon_builder *builder =
        cli_read_term("ARGS", text != NULL ? text : "[]", &args);
    int status = CLI_USAGE;

    if (builder == NULL) {
        return CLI_USAGE;
    }
    if (tenon_term_is_proper_list(args)) {
        status = run_call(settings, module.text, function.text, args);
    } else {
        cli_complain("argument ARGS: expected a list like '[1, \"two\"]', got "
                     "%s",
                     text);
    }
    tenon_builder_free(builder);
    return status;
}
