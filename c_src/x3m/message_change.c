/* SPDX-License-Identifier: Apache-2.0 */
/* The changes that users make to a message; the fields themselves are kept by
 * message.c. */
#include <stdarg.h>

#include "term/build.h"
#include "term/format.h"
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

enum tenon_err
tenon_message_assign(tenon_message *message, const char *key, tenon_term value)
{
    tenon_builder builder, key_builder;
    tenon_term key_term;

    if (message == NULL || key == NULL || value.bytes == NULL) {
        return TENON_E_INVAL;
    }
    tn_builder_init(&key_builder, TENON_TERM_MAX_BYTES);
    tenon_build_atom(&key_builder, key);
    enum tenon_err rc = tenon_builder_term(&key_builder, &key_term);

    if (rc == TENON_OK) {
        tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
        build_map_put(&builder, tn_message_field(message, TN_FIELD_ASSIGNS),
                      key_term, value);
        rc = set_built(message, TN_FIELD_ASSIGNS, &builder);
    }
    tn_builder_fini(&key_builder);
    return rc == TENON_E_TERM_ATOM ? TENON_E_INVAL : rc;
}

/* A raw_request of nil counts as an empty map, as in the library. */
enum tenon_err tenon_message_put_in_raw_request(tenon_message *message,
                                                tenon_term key,
                                                tenon_term value)
{
    tenon_builder builder;

    if (message == NULL || key.bytes == NULL || value.bytes == NULL) {
        return TENON_E_INVAL;
    }
    tenon_term raw = tn_message_field(message, TN_FIELD_RAW_REQUEST);
    bool is_nil = tenon_term_is_atom(raw, "nil");

    if (!is_nil && tenon_term_type(raw) != TENON_TYPE_MAP) {
        return TENON_E_INVAL;
    }
    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    build_map_put(&builder, is_nil ? (tenon_term){ NULL, 0 } : raw, key, value);
    return set_built(message, TN_FIELD_RAW_REQUEST, &builder);
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

    rc = rc == TENON_OK        ? tn_message_respond(message, response)
         : rc == TENON_E_NOMEM ? TENON_E_NOMEM
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
