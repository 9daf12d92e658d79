/* SPDX-License-Identifier: Apache-2.0 */
/* New messages: ids, times, and the eighteen fields. */
#include "x3m/message_new.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "node/node.h"
#include "term/build.h"
#include "x3m/message.h"

/* ---- ids -------------------------------------------------------------- */

static void put_big_endian(uint8_t *out, uint64_t value, unsigned bytes)
{
    while (bytes-- > 0) {
        out[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

/* Fifteen bytes are five groups of three: no padding. */
static void base64url_15(const uint8_t bytes[15], char *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789-_";

    for (unsigned i = 0; i < 15; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 |
                         (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];

        for (int shift = 18; shift >= 0; shift -= 6) {
            *text++ = alphabet[group >> shift & 63];
        }
    }
    *text = '\0';
}

void tn_message_id_format(uint64_t now_ns,
                          uint64_t token,
                          char text[TN_MESSAGE_ID_CHARS + 1])
{
    uint8_t bytes[15];

    put_big_endian(bytes, now_ns >> 8, 7);
    put_big_endian(bytes + 7, token, 8);
    base64url_15(bytes, text);
}

/* X3m.System has the process and a count where the token is. A peer could count
 * on, and answer what another was asked. */
static tenon_value *new_id(tenon_node *node)
{
    char text[TN_MESSAGE_ID_CHARS + 1];

    tn_message_id_format((uint64_t)tn_wall_ns(), tn_node_make_token(node),
                         text);
    return tenon_value_format("~s", text);
}

/* ---- times ------------------------------------------------------------ */

static void put_int(tenon_builder *out, const char *key, int value)
{
    tenon_build_atom(out, key);
    tenon_build_int(out, value);
}

enum tenon_err tn_build_datetime(tenon_builder *out, int64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    tenon_build_map(out, 13);
    tenon_build_atom(out, "__struct__");
    tenon_build_atom(out, "Elixir.DateTime");
    tenon_build_atom(out, "calendar");
    tenon_build_atom(out, "Elixir.Calendar.ISO");
    put_int(out, "year", tm.tm_year + 1900);
    put_int(out, "month", tm.tm_mon + 1);
    put_int(out, "day", tm.tm_mday);
    put_int(out, "hour", tm.tm_hour);
    put_int(out, "minute", tm.tm_min);
    put_int(out, "second", tm.tm_sec);
    tenon_build_atom(out, "microsecond");
    tenon_build_tuple(out, 2);
    tenon_build_int(out, wall_ns % 1000000000 / 1000);
    tenon_build_int(out, 6);
    tenon_build_atom(out, "time_zone");
    tenon_build_string(out, "Etc/UTC");
    tenon_build_atom(out, "zone_abbr");
    tenon_build_string(out, "UTC");
    put_int(out, "utc_offset", 0);
    put_int(out, "std_offset", 0);
    return tenon_builder_error(out);
}

enum tenon_err tn_message_set_invoked_at(tenon_message *message)
{
    tenon_builder builder;
    tenon_term now;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    tn_build_datetime(&builder, tn_wall_ns());
    enum tenon_err rc = tenon_builder_term(&builder, &now);

    if (rc == TENON_OK) {
        rc = tn_message_set(message, TN_FIELD_INVOKED_AT, now);
    }
    tn_builder_fini(&builder);
    return rc;
}

/* ---- the eighteen fields ---------------------------------------------- */

/* What is not the same in every new message. */
struct parts {
    const char *service;
    const char *dry_run;
    tenon_term id;
    tenon_term correlation_id;
    tenon_term causation_id;
    tenon_term logger_metadata;
    tenon_term raw_request;
    tenon_term assigns;
    const tenon_pid *reply_to; /* NULL: the node's client */
};

static void put_term(tenon_builder *out, const char *key, tenon_term value)
{
    tenon_build_atom(out, key);
    tenon_build_term(out, value);
}

static void put_atom(tenon_builder *out, const char *key, const char *atom)
{
    tenon_build_atom(out, key);
    tenon_build_atom(out, atom);
}

static void put_empty_map(tenon_builder *out, const char *key)
{
    tenon_build_atom(out, key);
    tenon_build_map(out, 0);
}

static void
build_parts(tenon_builder *out, tenon_node *node, const struct parts *parts)
{
    tenon_build_map(out, TN_FIELDS);
    put_atom(out, "__struct__", TN_MESSAGE_MODULE);
    put_atom(out, "service_name", parts->service);
    put_term(out, "id", parts->id);
    put_term(out, "correlation_id", parts->correlation_id);
    put_term(out, "causation_id", parts->causation_id);
    put_term(out, "logger_metadata", parts->logger_metadata);
    tenon_build_atom(out, "invoked_at");
    tn_build_datetime(out, tn_wall_ns());
    put_atom(out, "dry_run", parts->dry_run);
    put_term(out, "raw_request", parts->raw_request);
    put_atom(out, "request", "nil");
    put_atom(out, "valid?", "true");
    if (parts->assigns.bytes == NULL) {
        put_empty_map(out, "assigns");
    } else {
        put_term(out, "assigns", parts->assigns);
    }
    put_atom(out, "response", "nil");
    put_term(out, "events", tn_const_empty_list());
    put_empty_map(out, "aggregate_meta");
    put_atom(out, "origin_node", node->name.full);
    if (parts->reply_to == NULL) {
        put_term(out, "reply_to", tn_process_pid(node->client));
    } else {
        tenon_build_atom(out, "reply_to");
        tenon_build_pid(out, parts->reply_to);
    }
    put_atom(out, "halted?", "false");
}

static tenon_message *message_of_parts(tenon_node *node,
                                       const struct parts *parts)
{
    tenon_builder builder;
    tenon_term term;
    tenon_message *message = NULL;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    build_parts(&builder, node, parts);
    if (tenon_builder_term(&builder, &term) == TENON_OK) {
        message = tenon_message_from_term(node, term, NULL);
    }
    tn_builder_fini(&builder);
    return message;
}

static const char *dry_run_text(enum tenon_dry_run dry_run)
{
    switch (dry_run) {
    case TENON_DRY_RUN_NO:
        return "false";
    case TENON_DRY_RUN_YES:
        return "true";
    case TENON_DRY_RUN_VERBOSE:
        return "verbose";
    }
    return NULL;
}

static tenon_term or_default(tenon_term given, tenon_term otherwise)
{
    return given.bytes == NULL ? otherwise : given;
}

static bool are_options(const tenon_message_options *options)
{
    return dry_run_text(options->dry_run) != NULL &&
           (options->assigns.bytes == NULL ||
            tenon_term_type(options->assigns) == TENON_TYPE_MAP) &&
           (options->logger_metadata.bytes == NULL ||
            tenon_term_is_proper_list(options->logger_metadata));
}

tenon_message *tenon_message_new_sized(tenon_node *node,
                                       const char *service,
                                       const tenon_message_options *options,
                                       size_t size)
{
    tenon_message_options given = { 0 };
    tenon_message *message = NULL;

    if (node == NULL || !tn_is_atom_text(service) ||
        (options != NULL &&
         tn_sized_copy(&given, sizeof given, options, size) < 0) ||
        !are_options(&given)) {
        return NULL;
    }
    tenon_value *id =
        given.id == NULL ? new_id(node) : tenon_value_format("~s", given.id);
    const char *correlates = given.correlation_id;
    tenon_value *correlation =
        correlates == NULL ? NULL : tenon_value_format("~s", correlates);
    tenon_value *causation = given.causation_id == NULL
                                 ? NULL
                                 : tenon_value_format("~s", given.causation_id);
    tenon_term id_term = tenon_value_term(id);
    tenon_term correlation_term =
        correlates == NULL ? id_term : tenon_value_term(correlation);
    struct parts parts = {
        .service = service,
        .dry_run = dry_run_text(given.dry_run),
        .id = id_term,
        .correlation_id = correlation_term,
        .causation_id = given.causation_id == NULL
                            ? correlation_term
                            : tenon_value_term(causation),
        .logger_metadata =
            or_default(given.logger_metadata, tn_const_empty_list()),
        .raw_request = or_default(given.raw_request, tn_const_nil()),
        .assigns = given.assigns,
        .reply_to = given.reply_to,
    };

    message = message_of_parts(node, &parts);
    tenon_value_free(causation);
    tenon_value_free(correlation);
    tenon_value_free(id);
    return message;
}

tenon_message *tenon_message_new_caused_by(tenon_node *node,
                                           const char *service,
                                           const tenon_message *parent,
                                           tenon_term raw_request)
{
    if (node == NULL || parent == NULL || !tn_is_atom_text(service)) {
        return NULL;
    }
    tenon_value *id = new_id(node);
    struct parts parts = {
        .service = service,
        .dry_run = dry_run_text(TENON_DRY_RUN_NO),
        .id = tenon_value_term(id),
        .correlation_id = tn_message_field(parent, TN_FIELD_CORRELATION_ID),
        .causation_id = tn_message_field(parent, TN_FIELD_ID),
        .logger_metadata = tn_message_field(parent, TN_FIELD_LOGGER_METADATA),
        .raw_request = or_default(raw_request, tn_const_nil()),
    };
    tenon_message *message = message_of_parts(node, &parts);

    tenon_value_free(id);
    return message;
}

enum tenon_err tenon_message_set_dry_run(tenon_message *message,
                                         enum tenon_dry_run dry_run)
{
    const char *text = dry_run_text(dry_run);

    if (message == NULL || text == NULL) {
        return TENON_E_INVAL;
    }
    tenon_value *value = tenon_value_format("~a", text);
    enum tenon_err rc = value == NULL
                            ? TENON_E_NOMEM
                            : tn_message_set(message, TN_FIELD_DRY_RUN,
                                             tenon_value_term(value));

    tenon_value_free(value);
    return rc;
}
