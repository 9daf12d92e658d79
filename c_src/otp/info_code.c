/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about modules and applications: a module is what has registered
 * functions. */
#include <stdlib.h>
#include <string.h>

#include "node/text.h"
#include "otp/info.h"

static int by_key(const void *a, const void *b)
{
    const struct tn_function *const *one = a;
    const struct tn_function *const *two = b;
    size_t shorter =
        (*one)->key_len < (*two)->key_len ? (*one)->key_len : (*two)->key_len;
    int order = memcmp((*one)->key, (*two)->key, shorter);

    return order != 0 ? order
                      : ((*one)->key_len > (*two)->key_len) -
                            ((*one)->key_len < (*two)->key_len);
}

/* All registered functions in the order of their keys, so by module. They stay
 * as long as the node. owned: free. */
static const struct tn_function **sorted_functions(tenon_node *node,
                                                   size_t *count)
{
    struct tn_function *function, *next;
    size_t n = 0;

    tn_lock(node);
    const struct tn_function **all =
        malloc((HASH_COUNT(node->functions.table) + 1) * sizeof *all);

    if (all != NULL) {
        HASH_ITER(hh, node->functions.table, function, next)
        {
            all[n++] = function;
        }
    }
    tn_unlock(node);
    if (all != NULL) {
        qsort(all, n, sizeof *all, by_key);
    }
    *count = n;
    return all;
}

static const char *module_of(const struct tn_function *function)
{
    return function->key;
}

static const char *name_of(const struct tn_function *function)
{
    return function->key + strlen(function->key) + 1;
}

static unsigned arity_of(const struct tn_function *function)
{
    return (uint8_t)function->key[function->key_len - 1];
}

static bool begins_module(const struct tn_function *const *all, size_t i)
{
    return i == 0 || strcmp(module_of(all[i]), module_of(all[i - 1])) != 0;
}

/* One entry for each module. */
static void list_modules(struct tn_question *question,
                         void (*build)(tenon_builder *out, const char *module))
{
    size_t count, modules = 0;
    const struct tn_function **all = sorted_functions(question->node, &count);

    if (all == NULL) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        modules += begins_module(all, i) ? 1 : 0;
    }
    tenon_build_list(question->out, modules);
    for (size_t i = 0; i < count; i++) {
        if (begins_module(all, i)) {
            build(question->out, module_of(all[i]));
        }
    }
    tenon_build_nil(question->out);
    free(all);
}

static void build_name(tenon_builder *out, const char *module)
{
    tenon_build_atom(out, module);
}

static void build_loaded(tenon_builder *out, const char *module)
{
    tenon_format(out, "{~a, :preloaded}", module);
}

static void all_loaded(struct tn_question *question)
{
    list_modules(question, build_loaded);
}

static void loaded(struct tn_question *question)
{
    list_modules(question, build_name);
}

static bool has_module(tenon_node *node, tenon_term module)
{
    struct tn_function *function, *next;
    struct tn_text name;
    bool found = false;

    if (!tn_text_of_atom(module, &name)) {
        return false;
    }
    tn_lock(node);
    HASH_ITER(hh, node->functions.table, function, next)
    {
        if (strlen(function->key) == name.len &&
            memcmp(function->key, name.text, name.len) == 0) {
            found = true;
            break;
        }
    }
    tn_unlock(node);
    return found;
}

static bool
is_exported(tenon_node *node, tenon_term module, tenon_term name, int64_t arity)
{
    return arity >= 0 && arity <= 255 &&
           (tn_function_find(node, NULL, module, name, (size_t)arity).fn !=
                NULL ||
            tn_function_find_entry(node, module, name, (size_t)arity) != NULL);
}

static void function_exported(struct tn_question *question)
{
    tenon_term module = tn_question_arg(question, 0);
    tenon_term name = tn_question_arg(question, 1);
    int64_t arity;

    if (tenon_term_type(module) != TENON_TYPE_ATOM ||
        tenon_term_type(name) != TENON_TYPE_ATOM ||
        tenon_term_int64(tn_question_arg(question, 2), &arity) != TENON_OK) {
        question->badarg = true;
        return;
    }
    tenon_build_bool(question->out,
                     is_exported(question->node, module, name, arity));
}

/* The first argument, a module: true when there is one of that name. */
static bool asks_of_module(struct tn_question *question, tenon_term *module)
{
    *module = tn_question_arg(question, 0);
    if (tenon_term_type(*module) != TENON_TYPE_ATOM) {
        question->badarg = true;
        return false;
    }
    return has_module(question->node, *module);
}

static void module_loaded(struct tn_question *question)
{
    tenon_term module;

    tenon_build_bool(question->out, asks_of_module(question, &module));
}

static void is_loaded(struct tn_question *question)
{
    tenon_term module;

    tenon_format(question->out, asks_of_module(question, &module)
                                    ? "{:file, :preloaded}"
                                    : "false");
}

static void ensure_loaded(struct tn_question *question)
{
    tenon_term module;

    if (asks_of_module(question, &module)) {
        tenon_format(question->out, "{:module, ~t}", module);
    } else {
        tenon_format(question->out, "{:error, :nofile}");
    }
}

static void which(struct tn_question *question)
{
    tenon_term module;

    tenon_build_atom(question->out, asks_of_module(question, &module)
                                        ? "preloaded"
                                        : "non_existing");
}

static void get_path(struct tn_question *question)
{
    tenon_build_nil(question->out);
}

/* ---- Module:module_info/0,1 -------------------------------------------- */

static void build_exports(struct tn_question *question, tenon_term module)
{
    size_t count, first = 0, exports = 0;
    struct tn_text name;
    const struct tn_function **all = sorted_functions(question->node, &count);

    if (all == NULL || !tn_text_of_atom(module, &name)) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
        free(all);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(module_of(all[i])) == name.len &&
            memcmp(module_of(all[i]), name.text, name.len) == 0) {
            first = exports++ == 0 ? i : first;
        }
    }
    tenon_build_list(question->out, exports + 2);
    for (size_t i = first; i < first + exports; i++) {
        tenon_build_tuple(question->out, 2);
        tenon_build_atom(question->out, name_of(all[i]));
        tenon_build_uint(question->out, arity_of(all[i]));
    }
    tenon_format(question->out, "{:module_info, 0}");
    tenon_format(question->out, "{:module_info, 1}");
    tenon_build_nil(question->out);
    free(all);
}

static void build_module_item(struct tn_question *question,
                              tenon_term module,
                              tenon_term item)
{
    if (tenon_term_is_atom(item, "module")) {
        tenon_build_term(question->out, module);
    } else if (tenon_term_is_atom(item, "exports") ||
               tenon_term_is_atom(item, "functions")) {
        build_exports(question, module);
    } else if (tenon_term_is_atom(item, "attributes") ||
               tenon_term_is_atom(item, "compile") ||
               tenon_term_is_atom(item, "nifs")) {
        tenon_build_nil(question->out);
    } else {
        question->badarg = true;
    }
}

static void module_info(tenon_call *call, void *user)
{
    struct tenon_builder out;
    tenon_term item = tenon_call_arg(call, 0);
    tenon_term term;
    struct tn_question question = { .call = call,
                                    .node = tenon_call_node(call),
                                    .out = &out };

    (void)user;
    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    if (item.bytes != NULL) {
        build_module_item(&question, call->module, item);
    } else {
        tenon_build_list(&out, 2);
        tenon_format(&out, "{:module, ~t}", call->module);
        tenon_build_tuple(&out, 2);
        tenon_build_atom(&out, "exports");
        build_exports(&question, call->module);
        tenon_build_nil(&out);
    }
    if (!question.badarg && tenon_builder_term(&out, &term) == TENON_OK) {
        tenon_reply_term(call, term);
    } else {
        tenon_raise(call, question.badarg ? ":badarg" : ":system_limit");
    }
    tn_builder_fini(&out);
}

bool tn_info_find_function(void *user,
                           tenon_term module,
                           tenon_term name,
                           size_t arity,
                           struct tn_target *target)
{
    if (arity > 1 || !tenon_term_is_atom(name, "module_info") ||
        !has_module(user, module)) {
        return false;
    }
    *target = (struct tn_target){ .fn = module_info, .flags = TENON_INLINE };
    return true;
}

const struct tn_info_function tn_info_code_functions[] = {
    { "code", "all_loaded", 0, all_loaded, false },
    { "code", "ensure_loaded", 1, ensure_loaded, false },
    { "code", "get_path", 0, get_path, false },
    { "code", "is_loaded", 1, is_loaded, false },
    { "code", "which", 1, which, false },
    { "erlang", "function_exported", 3, function_exported, false },
    { "erlang", "loaded", 0, loaded, false },
    { "erlang", "module_loaded", 1, module_loaded, false },
    { "Elixir.Code", "ensure_loaded", 1, ensure_loaded, false },
    { "Elixir.Code", "ensure_loaded?", 1, module_loaded, false },
    { "Elixir.Kernel", "function_exported?", 3, function_exported, false },
    { NULL, NULL, 0, NULL, false },
};
