/* SPDX-License-Identifier: Apache-2.0 */
/* The table of functions that peers may run. */
#include "node/function.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "node/text.h"

/* Two atoms, two separators and an arity. */
#define KEY_MAX_BYTES (2 * TENON_ATOM_MAX_BYTES + 8)

/* "module\0name\0" and the arity as one byte; 0: it does not fit. */
static size_t make_key(char key[KEY_MAX_BYTES],
                       const char *module,
                       size_t module_len,
                       const char *name,
                       size_t name_len,
                       size_t arity)
{
    if (module_len == 0 || name_len == 0 || arity > 255 ||
        module_len > TENON_ATOM_MAX_BYTES || name_len > TENON_ATOM_MAX_BYTES) {
        return 0;
    }
    memcpy(key, module, module_len);
    key[module_len] = '\0';
    memcpy(key + module_len + 1, name, name_len);
    key[module_len + 1 + name_len] = '\0';
    key[module_len + 2 + name_len] = (char)arity;
    return module_len + name_len + 3;
}

static struct tn_function *
find_locked(tenon_node *node, const char *key, size_t key_len)
{
    struct tn_function *function = NULL;
    TN_HASH_FIND(hh, node->functions.table, &node->hash_key, key, key_len,
                 function);
    return function;
}

static enum tenon_err add_locked(tenon_node *node, struct tn_function *function)
{
    if (find_locked(node, function->key, function->key_len) != NULL) {
        return TENON_E_EXISTS;
    }
    if (HASH_COUNT(node->functions.table) >= TN_FUNCTIONS_MAX) {
        return TENON_E_LIMIT;
    }
    TN_HASH_ADD(hh, node->functions.table, &node->hash_key, function->key,
                function->key_len, function);
    return TN_HASH_HAS(hh, function) ? TENON_OK : TENON_E_NOMEM;
}

static enum tenon_err add(tenon_node *node,
                          const char *module,
                          const char *name,
                          unsigned arity,
                          const struct tn_target *target,
                          tn_entry_fn entry)
{
    char key[KEY_MAX_BYTES];
    size_t key_len =
        make_key(key, module, strlen(module), name, strlen(name), arity);
    if (key_len == 0) {
        return TENON_E_INVAL;
    }
    struct tn_function *function = calloc(1, sizeof(*function) + key_len);
    if (function == NULL) {
        return TENON_E_NOMEM;
    }
    function->target = *target;
    function->entry = entry;
    function->key_len = key_len;
    memcpy(function->key, key, key_len);
    tn_lock(node);
    enum tenon_err rc = add_locked(node, function);
    tn_unlock(node);
    if (rc != TENON_OK) {
        free(function);
    }
    return rc;
}

enum tenon_err tenon_function(tenon_node *node,
                              const char *module,
                              const char *name,
                              unsigned arity,
                              tenon_function_fn fn,
                              void *user,
                              unsigned flags)
{
    if (node == NULL || module == NULL || name == NULL || fn == NULL ||
        (flags & ~(unsigned)TENON_INLINE) != 0) {
        return TENON_E_INVAL;
    }
    struct tn_target target = { .fn = fn, .user = user, .flags = flags };
    return add(node, module, name, arity, &target, NULL);
}

enum tenon_err tn_function_add_entry(tenon_node *node,
                                     const char *module,
                                     const char *name,
                                     unsigned arity,
                                     tn_entry_fn entry)
{
    struct tn_target none = { 0 };
    return add(node, module, name, arity, &none, entry);
}

enum tenon_err tn_function_add_fallback(tenon_node *node,
                                        tn_function_fallback_fn fn,
                                        void *user)
{
    struct tn_functions *functions = &node->functions;
    enum tenon_err rc = TENON_E_LIMIT;
    tn_lock(node);
    if (functions->fallback_count < TN_FALLBACKS_MAX) {
        functions->fallbacks[functions->fallback_count++] =
            (struct tn_fallback){ .fn = fn, .user = user };
        rc = TENON_OK;
    }
    tn_unlock(node);
    return rc;
}

static bool ask_fallbacks(tenon_node *node,
                          tenon_term module,
                          tenon_term name,
                          size_t arity,
                          struct tn_target *target)
{
    struct tn_fallback asked[TN_FALLBACKS_MAX];
    tn_lock(node);
    size_t count = node->functions.fallback_count;
    memcpy(asked, node->functions.fallbacks, sizeof(asked));
    tn_unlock(node);
    for (size_t i = 0; i < count; i++) {
        if (asked[i].fn(asked[i].user, module, name, arity, target)) {
            return true;
        }
    }
    return false;
}

/* The key of module:name/arity given as terms; 0: they are no atoms. */
static size_t key_of_terms(char key[KEY_MAX_BYTES],
                           tenon_term module,
                           tenon_term name,
                           size_t arity)
{
    struct tn_text module_text;
    struct tn_text name_text;
    if (!tn_text_of_atom(module, &module_text) ||
        !tn_text_of_atom(name, &name_text)) {
        return 0;
    }
    return make_key(key, module_text.text, module_text.len, name_text.text,
                    name_text.len, arity);
}

static struct tn_target
find_target(tenon_node *node, tenon_term module, tenon_term name, size_t arity)
{
    char key[KEY_MAX_BYTES];
    struct tn_target target = { 0 };
    size_t key_len = key_of_terms(key, module, name, arity);
    if (key_len == 0) {
        return target;
    }
    tn_lock(node);
    struct tn_function *function = find_locked(node, key, key_len);
    if (function != NULL) {
        target = function->target;
    }
    tn_unlock(node);
    if (function == NULL &&
        !ask_fallbacks(node, module, name, arity, &target)) {
        target = (struct tn_target){ 0 };
    }
    return target;
}

static void raise_not_allowed(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, ":not_allowed");
}

bool tn_run_is_short(const struct tn_run *run)
{
    return run->args.len < TN_LARGE_MESSAGE_BYTES &&
           (run->target.fn == NULL || (run->target.flags & TENON_INLINE) != 0);
}

struct tn_target tn_function_find(tenon_node *node,
                                  tn_access *origin,
                                  tenon_term module,
                                  tenon_term name,
                                  size_t arity)
{
    struct tn_target target = find_target(node, module, name, arity);
    if (target.asks || tn_may_run(node, origin, module, name, arity)) {
        return target;
    }
    return (struct tn_target){ .fn = raise_not_allowed, .flags = TENON_INLINE };
}

tn_entry_fn tn_function_find_entry(tenon_node *node,
                                   tenon_term module,
                                   tenon_term name,
                                   size_t arity)
{
    char key[KEY_MAX_BYTES];
    size_t key_len = key_of_terms(key, module, name, arity);
    if (key_len == 0) {
        return NULL;
    }
    tn_lock(node);
    struct tn_function *function = find_locked(node, key, key_len);
    tn_entry_fn entry = function == NULL ? NULL : function->entry;
    tn_unlock(node);
    return entry;
}

void tn_functions_fini(struct tn_functions *functions)
{
    struct tn_function *function;
    struct tn_function *next;
    HASH_ITER(hh, functions->table, function, next)
    {
        HASH_DELETE(hh, functions->table, function);
        free(function);
    }
}
