/* SPDX-License-Identifier: Apache-2.0 */
/* Building and reading the messages between service registries. */
#include "x3m/registry_message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dist/identity.h"
#include "x3m/message.h"

static const char *const tags[] = {
    [TN_REGISTRY_INTRODUCE] = "introduce_local_services",
    [TN_REGISTRY_REGISTER] = "register_remote_services",
    [TN_REGISTRY_UNREGISTER] = "unregister_node_services",
};
#define KINDS (sizeof tags / sizeof tags[0])

static bool is_node_name(const char *text)
{
    struct tn_name name;

    return tn_is_atom_text(text) && tn_name_split(text, &name, NULL) >= 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A map with a key twice is no term: a BEAM that gets one closes the
 * connection. Errors: INVAL, NOMEM. */
static enum tenon_err check_once(const struct tn_announced *services,
                                 size_t count)
{
    const char **names = malloc((count + 1) * sizeof *names);
    enum tenon_err rc = TENON_OK;

    if (names == NULL) {
        return TENON_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = services[i].service;
    }
    qsort(names, count, sizeof *names, by_text);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            rc = TENON_E_INVAL;
        }
    }
    free(names);
    return rc;
}

static enum tenon_err check_services(const struct tn_announced *services,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!tn_is_atom_text(services[i].service) ||
            !tn_is_atom_text(services[i].module)) {
            return TENON_E_INVAL;
        }
    }
    return check_once(services, count);
}

enum tenon_err tn_registry_build(tenon_builder *out,
                                 enum tn_registry_kind kind,
                                 const char *node,
                                 const struct tn_announced *services,
                                 size_t count)
{
    if ((size_t)kind >= KINDS || !is_node_name(node) ||
        (services == NULL && count > 0) ||
        (kind != TN_REGISTRY_REGISTER && count > 0)) {
        return TENON_E_INVAL;
    }
    enum tenon_err rc = count == 0 ? TENON_OK : check_services(services, count);

    if (rc < 0) {
        return rc;
    }
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, tags[kind]);
    if (kind != TN_REGISTRY_REGISTER) {
        return tenon_build_atom(out, node);
    }
    tenon_build_tuple(out, 2);
    tenon_build_atom(out, node);
    tenon_build_map(out, count);
    for (size_t i = 0; i < count; i++) {
        tenon_build_atom(out, services[i].service);
        tenon_build_atom(out, services[i].module);
    }
    return tenon_builder_error(out);
}

/* ---- reading ---------------------------------------------------------- */

static bool read_kind(tenon_term tag, enum tn_registry_kind *kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (tenon_term_is_atom(tag, tags[i])) {
            *kind = (enum tn_registry_kind)i;
            return true;
        }
    }
    return false;
}

static enum tenon_err read_services(tenon_term body,
                                    struct tn_registry_message *message)
{
    tenon_term node;

    if (tenon_term_count(body) != 2 || tenon_tuple_get(body, 0, &node) < 0 ||
        tenon_term_atom(node, &message->node) < 0 ||
        tenon_tuple_get(body, 1, &message->services) < 0) {
        return TENON_E_BADTERM;
    }
    if (tenon_term_type(message->services) != TENON_TYPE_MAP &&
        !tenon_term_is_proper_list(message->services)) {
        return TENON_E_BADTERM;
    }
    return TENON_OK;
}

enum tenon_err tn_registry_read(tenon_term term,
                                struct tn_registry_message *message)
{
    tenon_term tag, body;

    if (tenon_term_count(term) != 2 || tenon_tuple_get(term, 0, &tag) < 0 ||
        tenon_tuple_get(term, 1, &body) < 0 ||
        !read_kind(tag, &message->kind)) {
        return TENON_E_BADTERM;
    }
    message->services = (tenon_term){ NULL, 0 };
    if (message->kind == TN_REGISTRY_REGISTER) {
        return read_services(body, message);
    }
    return tenon_term_atom(body, &message->node) < 0 ? TENON_E_BADTERM
                                                     : TENON_OK;
}
