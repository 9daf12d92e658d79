/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes in which the end of a called function travels. */
#include "otp/result.h"

static bool is_callable(const struct tn_ending *ending)
{
    return tenon_term_type(ending->module) == TENON_TYPE_ATOM &&
           tenon_term_type(ending->name) == TENON_TYPE_ATOM &&
           tenon_term_is_proper_list(ending->args);
}

static bool shows_arguments(const struct tn_ending *ending)
{
    return tenon_term_is_atom(ending->value, "undef") ||
           tenon_term_is_atom(ending->value, "badarg") ||
           tenon_term_is_atom(ending->value, "function_clause");
}

enum tenon_err tn_build_ending_stack(tenon_builder *out,
                                     const struct tn_ending *ending)
{
    if (!is_callable(ending)) {
        return tenon_format(out, "[{:erlang, :apply, [~t, ~t, ~t], []}]",
                            ending->module, ending->name, ending->args);
    }
    tenon_build_list(out, 1);
    tenon_build_tuple(out, 4);
    tenon_build_term(out, ending->module);
    tenon_build_term(out, ending->name);
    if (shows_arguments(ending)) {
        tenon_build_term(out, ending->args);
    } else {
        tenon_build_uint(out, tenon_term_count(ending->args));
    }
    tenon_build_nil(out);
    return tenon_build_nil(out);
}

/* As erpc:is_arg_error/4: the call could not even be made. */
static bool has_too_many_arguments(const struct tn_ending *ending)
{
    return ending->outcome == TN_OUT_ERROR &&
           tenon_term_is_atom(ending->value, "system_limit") &&
           tenon_term_count(ending->args) > TN_ARGS_MAX;
}

static enum tenon_err build_erpc_error(tenon_builder *out,
                                       tenon_term tag,
                                       const struct tn_ending *ending)
{
    if (has_too_many_arguments(ending)) {
        return tenon_format(out, "{~t, :error, {:erpc, :system_limit}}", tag);
    }
    tenon_build_tuple(out, 4);
    tenon_build_term(out, tag);
    tenon_build_atom(out, "error");
    tenon_build_term(out, ending->value);
    return tn_build_ending_stack(out, ending);
}

enum tenon_err tn_build_erpc_result(tenon_builder *out,
                                    tenon_term tag,
                                    const struct tn_ending *ending)
{
    const char *kind = NULL;
    switch (ending->outcome) {
    case TN_OUT_ERROR:
        return build_erpc_error(out, tag, ending);
    case TN_OUT_RETURN:
        kind = "return";
        break;
    case TN_OUT_THROW:
        kind = "throw";
        break;
    case TN_OUT_EXIT:
        kind = "exit";
        break;
    }
    tenon_build_tuple(out, 3);
    tenon_build_term(out, tag);
    tenon_build_atom(out, kind);
    return tenon_build_term(out, ending->value);
}

static enum tenon_err build_rpc_error(tenon_builder *out,
                                      const struct tn_ending *ending)
{
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "badrpc");
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, "EXIT");
    if (has_too_many_arguments(ending)) {
        return tenon_build_term(out, ending->value);
    }
    tenon_build_tuple(out, 2);
    tenon_build_term(out, ending->value);
    return tn_build_ending_stack(out, ending);
}

enum tenon_err tn_build_rpc_result(tenon_builder *out,
                                   const struct tn_ending *ending)
{
    switch (ending->outcome) {
    case TN_OUT_ERROR:
        return build_rpc_error(out, ending);
    case TN_OUT_EXIT:
        return tenon_format(out, "{:badrpc, {:EXIT, ~t}}", ending->value);
    case TN_OUT_RETURN:
    case TN_OUT_THROW:
        break;
    }
    return tenon_build_term(out, ending->value);
}
