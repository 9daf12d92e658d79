/* SPDX-License-Identifier: Apache-2.0 */
/* Registers the functions that tools ask, and runs them. */
#include "otp/info.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define PART_KEY "info"

static void answer(struct tn_question *question)
{
    tenon_term term;

    if (question->answered) {
        return;
    }
    if (question->badarg) {
        tenon_raise(question->call, ":badarg");
    } else if (tenon_builder_term(question->out, &term) == TENON_OK) {
        tenon_reply_term(question->call, term);
    } else {
        tenon_raise(question->call, ":system_limit");
    }
}

static void run(tenon_call *call, void *user)
{
    const struct tn_info_function *function = user;
    tenon_builder out;
    struct tn_question question = {
        .call = call,
        .node = tenon_call_node(call),
        .out = &out,
    };

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    function->fn(&question);
    answer(&question);
    tn_builder_fini(&out);
}

static enum tenon_err add_table(tenon_node *node,
                                const struct tn_info_function *table)
{
    enum tenon_err rc = TENON_OK;

    for (size_t i = 0; table[i].module != NULL && rc == TENON_OK; i++) {
        rc = tenon_function(node, table[i].module, table[i].name,
                            table[i].arity, run, (void *)&table[i],
                            table[i].blocks ? 0 : TENON_INLINE);
    }
    return rc;
}

static enum tenon_err attach(tenon_node *node)
{
    struct tn_info *info = calloc(1, sizeof *info);

    if (info == NULL) {
        return TENON_E_NOMEM;
    }
    info->started_ns = tn_now_ns();
    enum tenon_err rc = tn_node_attach(node, PART_KEY, info, NULL, free);

    if (rc != TENON_OK) {
        free(info);
    }
    return rc;
}

struct tn_info *tn_info_of(tenon_node *node)
{
    return tn_node_part(node, PART_KEY);
}

const struct tn_info_function *const tn_info_tables[] = {
    tn_info_applications_functions,
    tn_info_appmon_functions,
    tn_info_code_functions,
    tn_info_dashboard_functions,
    tn_info_global_functions,
    tn_info_memory_functions,
    tn_info_nodes_functions,
    tn_info_observer_functions,
    tn_info_process_functions,
    tn_info_statistics_functions,
    tn_info_system_functions,
    tn_info_time_functions,
    NULL,
};

enum tenon_err tn_info_start(tenon_node *node, tenon_error *err)
{
    enum tenon_err rc = attach(node);

    for (size_t i = 0; tn_info_tables[i] != NULL; i++) {
        if (rc == TENON_OK) {
            rc = add_table(node, tn_info_tables[i]);
        }
    }
    if (rc == TENON_OK) {
        rc = tn_function_add_fallback(node, tn_info_find_function, node);
    }
    return rc == TENON_OK ? rc
                          : tn_error(err, rc, "functions for tools: %s",
                                     tenon_err_text(rc));
}

void tn_info_build_chars(tenon_builder *out, const char *text)
{
    size_t len = strlen(text);

    tenon_build_list(out, len);
    for (size_t i = 0; i < len; i++) {
        tenon_build_uint(out, (uint8_t)text[i]);
    }
    tenon_build_nil(out);
}
