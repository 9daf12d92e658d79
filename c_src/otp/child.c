/* SPDX-License-Identifier: Apache-2.0 */
/* Specifications of supervisors' children, by the rules of supervisor. */
#include "otp/child.h"

#include <stdlib.h>

#include "otp/gen.h"
#include "term/build.h"

#define SHUTDOWN_MS 5000u

static const char *const restart_words[] = {
    [TENON_PERMANENT] = "permanent",
    [TENON_TRANSIENT] = "transient",
    [TENON_TEMPORARY] = "temporary",
};

/* What a specification says, before it is checked; null views: not given. */
struct spec {
    tenon_term id, start, restart, shutdown, type, modules, significant;
};

static const tenon_term none = { NULL, 0 };

/* ---- reading ----------------------------------------------------------- */

static tenon_value *wrong(const char *what, tenon_term term)
{
    return tenon_value_format("{~a, ~t}", what, term);
}

static bool is_mfa(tenon_term start)
{
    tenon_term part[3];
    return tn_tuple_views(start, part, 3) &&
           tenon_term_type(part[0]) == TENON_TYPE_ATOM &&
           tenon_term_type(part[1]) == TENON_TYPE_ATOM &&
           tenon_term_is_proper_list(part[2]);
}

static bool read_restart(tenon_term term, enum tenon_restart *restart)
{
    if (term.bytes == NULL) {
        *restart = TENON_PERMANENT;
        return true;
    }
    for (size_t i = 0; i < sizeof restart_words / sizeof *restart_words; i++) {
        if (tenon_term_is_atom(term, restart_words[i])) {
            *restart = (enum tenon_restart)i;
            return true;
        }
    }
    return false;
}

static bool read_type(tenon_term term, bool *is_supervisor)
{
    *is_supervisor = tenon_term_is_atom(term, "supervisor");
    return term.bytes == NULL || *is_supervisor ||
           tenon_term_is_atom(term, "worker");
}

static bool
read_shutdown(tenon_term term, bool is_supervisor, uint32_t *shutdown_ms)
{
    uint64_t ms;
    if (term.bytes == NULL) {
        *shutdown_ms = is_supervisor ? TENON_NO_TIMEOUT : SHUTDOWN_MS;
    } else if (tenon_term_is_atom(term, "brutal_kill")) {
        *shutdown_ms = TENON_SHUTDOWN_KILL;
    } else if (tenon_term_is_atom(term, "infinity")) {
        *shutdown_ms = TENON_NO_TIMEOUT;
    } else if (tenon_term_uint64(term, &ms) == TENON_OK &&
               ms < TENON_SHUTDOWN_KILL) {
        *shutdown_ms = (uint32_t)ms;
    } else {
        return false;
    }
    return true;
}

/* No supervisor here ends because a significant child does. */
static tenon_value *check_significant(tenon_term term)
{
    if (tenon_term_is_atom(term, "true")) {
        return tenon_value_format(
            "{:bad_combination, [auto_shutdown: :never, significant: true]}");
    }
    return wrong("invalid_significant", term);
}

static bool is_plain(tenon_term significant)
{
    return significant.bytes == NULL ||
           tenon_term_is_atom(significant, "false");
}

static bool are_modules(tenon_term term)
{
    return term.bytes == NULL || tenon_term_is_atom(term, "dynamic") ||
           tenon_term_is_proper_list(term);
}

/* False: *problem says why, unless there was no memory to. */
static bool
check(const struct spec *spec, struct tn_child *child, tenon_value **problem)
{
    if (spec->start.bytes == NULL) {
        *problem = tenon_value_format(":missing_start");
    } else if (!is_mfa(spec->start)) {
        *problem = wrong("invalid_mfa", spec->start);
    } else if (!read_restart(spec->restart, &child->restart)) {
        *problem = wrong("invalid_restart_type", spec->restart);
    } else if (!is_plain(spec->significant)) {
        *problem = check_significant(spec->significant);
    } else if (!read_type(spec->type, &child->is_supervisor)) {
        *problem = wrong("invalid_child_type", spec->type);
    } else if (!read_shutdown(spec->shutdown, child->is_supervisor,
                              &child->shutdown_ms)) {
        *problem = wrong("invalid_shutdown", spec->shutdown);
    } else if (!are_modules(spec->modules)) {
        *problem = wrong("invalid_modules", spec->modules);
    } else {
        return true;
    }
    return false;
}

static tenon_value *modules_of(const struct spec *spec)
{
    tenon_term part[3];
    if (spec->modules.bytes != NULL) {
        return tenon_value_new(spec->modules);
    }
    return tn_tuple_views(spec->start, part, 3)
               ? tenon_value_format("[~t]", part[0])
               : NULL;
}

static struct tn_child *child_of(const struct spec *spec, tenon_value **problem)
{
    struct tn_child *child = calloc(1, sizeof *child);
    *problem = NULL;
    if (child == NULL || !check(spec, child, problem)) {
        free(child);
        return NULL;
    }
    child->start = tenon_value_new(spec->start);
    child->modules = modules_of(spec);
    if (spec->id.bytes != NULL) {
        child->id = tenon_value_new(spec->id);
    }
    if (child->start == NULL || child->modules == NULL ||
        (spec->id.bytes != NULL && child->id == NULL)) {
        tn_child_free(child);
        return NULL;
    }
    return child;
}

static tenon_term field(tenon_term map, const char *key)
{
    tenon_term value;
    return tenon_map_get_atom(map, key, &value) == TENON_OK ? value : none;
}

struct tn_child *tn_child_read(tenon_term term, tenon_value **problem)
{
    tenon_term part[6];
    struct spec spec;
    if (tn_tuple_views(term, part, 6)) {
        spec = (struct spec){ part[0], part[1], part[2], part[3],
                              part[4], part[5], none };
    } else if (tenon_term_type(term) == TENON_TYPE_MAP) {
        spec =
            (struct spec){ field(term, "id"),         field(term, "start"),
                           field(term, "restart"),    field(term, "shutdown"),
                           field(term, "type"),       field(term, "modules"),
                           field(term, "significant") };
        if (spec.id.bytes == NULL) {
            *problem = tenon_value_format(":missing_id");
            return NULL;
        }
    } else {
        *problem = wrong("invalid_child_spec", term);
        return NULL;
    }
    return child_of(&spec, problem);
}

struct tn_child *tn_child_read_dynamic(tenon_term term, tenon_value **problem)
{
    tenon_term part[5];
    if (!tn_tuple_views(term, part, 5)) {
        *problem = wrong("invalid_child_spec", term);
        return NULL;
    }
    struct spec spec = {
        none, part[0], part[1], part[2], part[3], part[4], none
    };
    return child_of(&spec, problem);
}

static size_t bytes_of(const struct tn_child *child)
{
    return sizeof *child + tenon_value_term(child->id).len +
           tenon_value_term(child->start).len +
           tenon_value_term(child->modules).len;
}

bool tn_child_count_for(struct tn_child *child, tn_account *account)
{
    return tn_charge_take(&child->charge, account, bytes_of(child),
                          "children of supervisors");
}

void tn_child_free(struct tn_child *child)
{
    if (child == NULL) {
        return;
    }
    tenon_value_free(child->id);
    tenon_value_free(child->start);
    tenon_value_free(child->modules);
    tenon_value_free(child->pid);
    tn_charge_drop(&child->charge);
    free(child);
}

/* ---- showing ----------------------------------------------------------- */

static void build_id(tenon_builder *out, const struct tn_child *child)
{
    if (child->id == NULL) {
        tenon_build_atom(out, "undefined");
    } else {
        tenon_build_term(out, tenon_value_term(child->id));
    }
}

static const char *type_of(const struct tn_child *child)
{
    return child->is_supervisor ? "supervisor" : "worker";
}

static void build_shutdown(tenon_builder *out, const struct tn_child *child)
{
    if (child->shutdown_ms == TENON_SHUTDOWN_KILL) {
        tenon_build_atom(out, "brutal_kill");
    } else if (child->shutdown_ms == TENON_NO_TIMEOUT) {
        tenon_build_atom(out, "infinity");
    } else {
        tenon_build_uint(out, child->shutdown_ms);
    }
}

/* {id, pid | restarting | undefined, type, modules} */
void tn_child_build_info(tenon_builder *out, const struct tn_child *child)
{
    tenon_build_tuple(out, 4);
    build_id(out, child);
    if (child->pid != NULL) {
        tenon_build_term(out, tenon_value_term(child->pid));
    } else {
        tenon_build_atom(out, child->restarting ? "restarting" : "undefined");
    }
    tenon_build_atom(out, type_of(child));
    tenon_build_term(out, tenon_value_term(child->modules));
}

void tn_child_build_spec(tenon_builder *out, const struct tn_child *child)
{
    tenon_build_map(out, 7);
    tenon_build_atom(out, "id");
    build_id(out, child);
    tenon_build_atom(out, "start");
    tenon_build_term(out, tenon_value_term(child->start));
    tenon_build_atom(out, "restart");
    tenon_build_atom(out, restart_words[child->restart]);
    tenon_build_atom(out, "significant");
    tenon_build_atom(out, "false");
    tenon_build_atom(out, "shutdown");
    build_shutdown(out, child);
    tenon_build_atom(out, "type");
    tenon_build_atom(out, type_of(child));
    tenon_build_atom(out, "modules");
    tenon_build_term(out, tenon_value_term(child->modules));
}

/* The record child of OTP 24 and later. */
void tn_child_build_record(tenon_builder *out, const struct tn_child *child)
{
    tenon_build_tuple(out, 9);
    tenon_build_atom(out, "child");
    tenon_build_atom(out, "undefined");
    build_id(out, child);
    tenon_build_term(out, tenon_value_term(child->start));
    tenon_build_atom(out, restart_words[child->restart]);
    tenon_build_atom(out, "false");
    build_shutdown(out, child);
    tenon_build_atom(out, type_of(child));
    tenon_build_term(out, tenon_value_term(child->modules));
}
