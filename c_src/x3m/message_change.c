/* SPDX-License-Identifier: Apache-2.0 */
/* The changes that users make to a message; the fields themselves are kept by
 * message.c. */
#include <stdarg.h>

#include "base/random.h"
#include "term/build.h"
#include "term/format.h"
#include "term/scan.h"
#include "x3m/message.h"

/* Sets a field to what the builder holds, and ends the builder. */
static enum tenon_err
set_built(tenon_message *message, enum tn_field field, tenon_builder *builder)
{
    tenon_term term;
    enum tenon_err rc = tenon_builder_term(builder, &term);

    if (rc == TENON_OK) {
        rc = tn_message_set(message, field, term);
    }
    tn_builder_fini(builder);
    return rc;
}

enum tenon_err tenon_message_to_service(tenon_message *message,
                                        const char *service)
{
    tenon_builder builder;

    if (message == NULL || !tn_is_atom_text(service)) {
        return TENON_E_INVAL;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tenon_build_atom(&builder, service);
    return set_built(message, TN_FIELD_SERVICE_NAME, &builder);
}

/* Appends a map with one key more, or another value under it. */
static void build_map_put(tenon_builder *out,
                          tenon_term map,
                          tenon_term key,
                          tenon_term value)
{
    tenon_cursor at;
    tenon_term old_key, old_value;
    bool there = tenon_map_get(map, key, &old_value) == TENON_OK;

    tenon_build_map(out, tenon_term_count(map) + (there ? 0 : 1));
    tenon_cursor_init(&at, map);
    while (tenon_cursor_next_pair(&at, &old_key, &old_value)) {
        tenon_build_term(out, old_key);
        tenon_build_term(out,
                         tenon_term_equal(old_key, key) ? value : old_value);
    }
    if (!there) {
        tenon_build_term(out, key);
        tenon_build_term(out, value);
    }
}

static enum tenon_err put_in_map(tenon_message *message,
                                 enum tn_field field,
                                 tenon_term key,
                                 tenon_term value)
{
    tenon_term map = tn_message_field(message, field);
    tenon_builder builder;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    /* A raw_request of nil counts as an empty map, as in the library. */
    build_map_put(&builder,
                  tenon_term_is_atom(map, "nil") ? (tenon_term){ NULL, 0 }
                                                 : map,
                  key, value);
    return set_built(message, field, &builder);
}

/* The same under the atom of that text. */
static enum tenon_err put_under_atom(tenon_message *message,
                                     enum tn_field field,
                                     const char *key,
                                     tenon_term value)
{
    tenon_builder builder;
    tenon_term key_term;

    if (message == NULL || key == NULL || value.bytes == NULL) {
        return TENON_E_INVAL;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tenon_build_atom(&builder, key);
    enum tenon_err rc = tenon_builder_term(&builder, &key_term);

    if (rc == TENON_OK) {
        rc = put_in_map(message, field, key_term, value);
    }
    tn_builder_fini(&builder);
    return rc == TENON_E_TERM_ATOM ? TENON_E_INVAL : rc;
}

enum tenon_err
tenon_message_assign(tenon_message *message, const char *key, tenon_term value)
{
    return put_under_atom(message, TN_FIELD_ASSIGNS, key, value);
}

enum tenon_err tenon_message_put_aggregate_meta(tenon_message *message,
                                                const char *key,
                                                tenon_term value)
{
    return put_under_atom(message, TN_FIELD_AGGREGATE_META, key, value);
}

static bool is_map_or_nil(tenon_term term)
{
    return tenon_term_is_atom(term, "nil") ||
           tenon_term_type(term) == TENON_TYPE_MAP;
}

enum tenon_err tenon_message_put_in_raw_request(tenon_message *message,
                                                tenon_term key,
                                                tenon_term value)
{
    if (message == NULL || key.bytes == NULL || value.bytes == NULL ||
        !is_map_or_nil(tn_message_field(message, TN_FIELD_RAW_REQUEST))) {
        return TENON_E_INVAL;
    }
    return put_in_map(message, TN_FIELD_RAW_REQUEST, key, value);
}

/* Newest first; tenon_message_return turns them round. No event is no
 * change, as in the library. */
enum tenon_err tenon_message_add_event(tenon_message *message, tenon_term event)
{
    tenon_builder builder;
    tenon_cursor at;
    tenon_term old;

    if (message == NULL || event.bytes == NULL) {
        return TENON_E_INVAL;
    }
    if (tenon_term_is_atom(event, "nil")) {
        return TENON_OK;
    }
    tenon_term events = tn_message_field(message, TN_FIELD_EVENTS);

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tenon_build_list(&builder, tenon_term_count(events) + 1);
    tenon_build_term(&builder, event);
    tenon_cursor_init(&at, events);
    while (tenon_cursor_next(&at, &old)) {
        tenon_build_term(&builder, old);
    }
    tenon_build_nil(&builder);
    return set_built(message, TN_FIELD_EVENTS, &builder);
}

/* ---- responses -------------------------------------------------------- */

/* wrap: NULL, or the atom of {wrap, value}. */
static enum tenon_err respond_va(tenon_message *message,
                                 const char *wrap,
                                 const char *pattern,
                                 va_list *args)
{
    tenon_builder builder;
    tenon_term response;

    if (message == NULL || pattern == NULL) {
        return TENON_E_INVAL;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    if (wrap != NULL) {
        tenon_build_tuple(&builder, 2);
        tenon_build_atom(&builder, wrap);
    }
    tn_format_va(&builder, pattern, args);
    enum tenon_err rc = tenon_builder_term(&builder, &response);

    rc = rc == TENON_OK ? tn_message_respond(message, response)
         : rc == TENON_E_NOMEM || rc == TENON_E_TERM_DEEP ? rc
                                                          : TENON_E_INVAL;
    tn_builder_fini(&builder);
    return rc;
}

enum tenon_err
tenon_message_return(tenon_message *message, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    enum tenon_err rc = respond_va(message, NULL, pattern, &args);

    va_end(args);
    return rc;
}

enum tenon_err
tenon_message_ok(tenon_message *message, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    enum tenon_err rc = pattern == NULL
                            ? respond_va(message, NULL, ":ok", &args)
                            : respond_va(message, "ok", pattern, &args);

    va_end(args);
    return rc;
}

enum tenon_err
tenon_message_created(tenon_message *message, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    enum tenon_err rc = respond_va(message, "created", pattern, &args);

    va_end(args);
    return rc;
}

enum tenon_err
tenon_message_error(tenon_message *message, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    enum tenon_err rc = respond_va(message, "error", pattern, &args);

    va_end(args);
    return rc;
}

enum tenon_err tenon_message_put_request(tenon_message *message,
                                         tenon_term request)
{
    tenon_term valid;

    if (message == NULL || tenon_term_type(request) != TENON_TYPE_MAP) {
        return TENON_E_INVAL;
    }
    bool is_valid = tenon_map_get_atom(request, "valid?", &valid) < 0 ||
                    !tenon_term_is_atom(valid, "false");

    /* {validation_error, request}, in the message. */
    if (!is_valid && !tn_fits_below(request, 2)) {
        return TENON_E_TERM_DEEP;
    }
    enum tenon_err rc = tn_message_set(message, TN_FIELD_REQUEST, request);

    if (rc < 0) {
        return rc;
    }
    tn_message_set_const(message, TN_FIELD_VALID, tn_const_bool(is_valid));
    return is_valid ? TENON_OK
                    : tenon_message_return(
                          message, "{:validation_error, ~t}",
                          tn_message_field(message, TN_FIELD_REQUEST));
}

/* ---- the aggregate's id ----------------------------------------------- */

/* Characters of a UUID. */
#define UUID_CHARS 36

/* A random (version 4) UUID, in lower case. */
static enum tenon_err make_uuid(char text[UUID_CHARS])
{
    uint8_t random[16];

    if (tn_random_bytes(random, sizeof random) < 0) {
        return TENON_E_SYSTEM;
    }
    random[6] = (uint8_t)(0x40 | (random[6] & 0x0f));
    random[8] = (uint8_t)(0x80 | (random[8] & 0x3f));
    for (unsigned i = 0; i < sizeof random; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *text++ = '-';
        }
        *text++ = "0123456789abcdef"[random[i] >> 4];
        *text++ = "0123456789abcdef"[random[i] & 15];
    }
    return TENON_OK;
}

/* Called again after a failure in between it finds the id. */
static enum tenon_err generate_id(tenon_message *message, tenon_term id_field)
{
    char uuid[UUID_CHARS];
    enum tenon_err rc = make_uuid(uuid);

    if (rc < 0) {
        return rc;
    }
    tenon_value *id = tenon_value_format("~b", (const void *)uuid, sizeof uuid);

    rc = id == NULL ? TENON_E_NOMEM
                    : tenon_message_put_in_raw_request(message, id_field,
                                                       tenon_value_term(id));
    if (rc == TENON_OK) {
        rc = tenon_message_put_aggregate_meta(message, "id",
                                              tenon_value_term(id));
    }
    tenon_value_free(id);
    return rc;
}

enum tenon_err tenon_message_prepare_aggregate_id(tenon_message *message,
                                                  tenon_term id_field,
                                                  bool generate)
{
    tenon_term id;

    if (message == NULL || id_field.bytes == NULL ||
        !is_map_or_nil(tn_message_field(message, TN_FIELD_RAW_REQUEST))) {
        return TENON_E_INVAL;
    }
    if (tenon_map_get(tn_message_field(message, TN_FIELD_RAW_REQUEST), id_field,
                      &id) == TENON_OK &&
        !tenon_term_is_atom(id, "nil")) {
        return tenon_message_put_aggregate_meta(message, "id", id);
    }
    return generate
               ? generate_id(message, id_field)
               : tenon_message_return(message, "{:missing_id, ~t}", id_field);
}
