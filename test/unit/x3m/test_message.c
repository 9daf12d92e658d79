/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: reading what real nodes made, changing fields, writing them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_node.h"
#include "dist/signal.h"
#include "unit/support/wire.h"
#include "x3m/message.h"

#define ROOT "test/wire/x3m"
/* Messages under test/wire/x3m, in files of their own and inside frames; a
 * new capture changes them. */
#define MESSAGES_IN_FILES 65u
#define MESSAGES_IN_FRAMES 14u

static struct bare_node bare;
static struct wire_files etf, frames;

static int start(void **state)
{
    (void)state;
    bare_node_start(&bare);
    etf = wire_load(ROOT, ".etf");
    frames = wire_load(ROOT, ".bin");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    wire_free(&frames);
    wire_free(&etf);
    bare_node_stop(&bare);
    return 0;
}

static tenon_term term_of(const struct wire_file *file)
{
    tenon_term term;

    assert_int_equal(tenon_term_scan(file->bytes, file->len, &term, NULL),
                     TENON_OK);
    return term;
}

static tenon_message *vector(const char *name)
{
    char path[200];

    snprintf(path, sizeof path, ROOT "/%s.etf", name);
    const struct wire_file *file = wire_find(&etf, path);

    if (file == NULL) {
        fail_msg("no vector %s", path);
    }
    tenon_message *message =
        tenon_message_from_term(bare.node, term_of(file), NULL);

    assert_non_null(message);
    return message;
}

static void assert_field(const tenon_message *message,
                         const char *field,
                         const char *expected)
{
    char text[512];

    tenon_term_print(tenon_message_get(message, field), text, sizeof text);
    assert_string_equal(text, expected);
}

static bool is_message(tenon_term term)
{
    tenon_term module;

    return tenon_map_get_atom(term, "__struct__", &module) == TENON_OK &&
           tenon_term_is_atom(module, TN_MESSAGE_MODULE);
}

/* Reads it, writes it with one field replaced by itself, so that it is really
 * written, and reads it again. */
static void assert_survives(tenon_term term, const char *path)
{
    tenon_error err = { 0 };
    tenon_message *message = tenon_message_from_term(bare.node, term, &err);

    if (message == NULL) {
        fail_msg("%s: %s", path, err.text);
    }
    assert_int_equal(tn_message_set(message, TN_FIELD_ID,
                                    tn_message_field(message, TN_FIELD_ID)),
                     TENON_OK);
    tenon_term written = tenon_message_term(message);

    assert_ptr_not_equal(written.bytes, message->base.bytes);
    if (!tenon_term_equal(written, term)) {
        fail_msg("%s: written as another term", path);
    }
    tenon_message_free(message);
}

static void every_message_that_came_is_written_as_the_same_term(void **state)
{
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < etf.count; i++) {
        tenon_term term = term_of(&etf.files[i]);

        if (is_message(term)) {
            assert_survives(term, etf.files[i].path);
            count++;
        }
    }
    assert_int_equal(count, MESSAGES_IN_FILES);
}

/* Of a call [Res, Router, Service, [Message]], of a reply itself. */
static tenon_term message_in(tenon_term payload)
{
    tenon_term list = { NULL, 0 }, message = { NULL, 0 }, element;
    tenon_cursor at;

    if (is_message(payload)) {
        return payload;
    }
    tenon_cursor_init(&at, payload);
    while (tenon_cursor_next(&at, &element)) {
        list = element;
    }
    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        message = element;
    }
    return is_message(message) ? message : (tenon_term){ NULL, 0 };
}

static void messages_inside_frames_survive_too(void **state)
{
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < frames.count; i++) {
        struct tn_signal signal;
        const struct wire_file *file = &frames.files[i];

        assert_int_equal(tn_signal_parse(file->bytes, file->len, &signal, NULL),
                         TENON_OK);
        tenon_term message = message_in(signal.payload);

        if (message.bytes != NULL) {
            assert_survives(message, file->path);
            count++;
        }
    }
    assert_int_equal(count, MESSAGES_IN_FRAMES);
}

static void releases_write_one_content_in_different_bytes(void **state)
{
    tenon_message *a = vector("otp25/fixed_message");
    tenon_message *b = vector("otp29/fixed_message");

    (void)state;
    assert_true(tenon_term_equal(tenon_message_term(a), tenon_message_term(b)));
    assert_field(b, "id", "\"GOnmY93mqQHL424AAAAx\"");
    assert_field(b, "assigns", "%{who: 7}");
    assert_null(tenon_message_get(b, "no_such_field").bytes);
    tenon_message_free(a);
    tenon_message_free(b);
}

/* ---- fields ----------------------------------------------------------- */

/* The vector's message with one key left out, or its value replaced, or one
 * key more. value: NULL leaves the key out. */
static tenon_value *with_key(const char *key, const char *value)
{
    tenon_message *message = vector("otp25/msg_new_map");
    tenon_builder *out = tenon_builder_new();
    tenon_term name, old, term;
    tenon_cursor at;
    bool there = tenon_map_get_atom(message->base, key, &old) == TENON_OK;
    size_t pairs = tenon_term_count(message->base) - there + (value != NULL);

    tenon_build_map(out, pairs);
    tenon_cursor_init(&at, message->base);
    while (tenon_cursor_next_pair(&at, &name, &old)) {
        if (!tenon_term_is_atom(name, key)) {
            tenon_build_term(out, name);
            tenon_build_term(out, old);
        }
    }
    if (value != NULL) {
        tenon_build_atom(out, key);
        assert_int_equal(tenon_build_text(out, value, strlen(value), NULL),
                         TENON_OK);
    }
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    tenon_value *result = tenon_value_new(term);

    tenon_builder_free(out);
    tenon_message_free(message);
    return result;
}

static void assert_refused(const char *key, const char *value)
{
    tenon_value *term = with_key(key, value);
    tenon_error err = { 0 };

    assert_null(
        tenon_message_from_term(bare.node, tenon_value_term(term), &err));
    assert_int_equal(err.code, TENON_E_BADTERM);
    if (strstr(err.text, key) == NULL) {
        fail_msg("\"%s\" does not name %s", err.text, key);
    }
    tenon_value_free(term);
}

static void a_missing_field_is_refused_by_name(void **state)
{
    static const char *const keys[] = {
#define KEY(name, text, types) text,
        TN_FIELD_LIST(KEY)
#undef KEY
    };

    (void)state;
    for (size_t i = 0; i < TN_FIELDS; i++) {
        assert_refused(keys[i], NULL);
    }
}

static void a_field_of_a_wrong_type_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused("__struct__", ":other");
    assert_refused("service_name", "\"open\"");
    assert_refused("id", ":nil");
    assert_refused("logger_metadata", "%{}");
    assert_refused("logger_metadata", "[1 | 2]");
    assert_refused("dry_run", "1");
    assert_refused("valid?", "1");
    assert_refused("assigns", "[]");
    assert_refused("events", "[1 | 2]");
    assert_refused("aggregate_meta", "nil");
    assert_refused("origin_node", "\"n@h\"");
    assert_refused("reply_to", "nil");
    assert_refused("halted?", "0");
}

static void what_is_no_map_is_refused(void **state)
{
    static const char *const texts[] = { "nil", "[]", "{1, 2}", "%{}", "1" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tenon_builder *out = tenon_builder_new();
        tenon_term term;

        assert_int_equal(
            tenon_build_text(out, texts[i], strlen(texts[i]), NULL), 0);
        assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
        assert_null(tenon_message_from_term(bare.node, term, NULL));
        tenon_builder_free(out);
    }
    assert_null(
        tenon_message_from_term(bare.node, (tenon_term){ NULL, 0 }, NULL));
}

static void a_key_that_c_does_not_know_travels_through(void **state)
{
    tenon_value *term = with_key("trace_context", "{:later, %{a: 1}}");
    tenon_message *message =
        tenon_message_from_term(bare.node, tenon_value_term(term), NULL);
    tenon_term value;

    (void)state;
    assert_non_null(message);
    assert_int_equal(tenon_message_ok(message, "1"), TENON_OK);
    assert_field(message, "trace_context", "{:later, %{a: 1}}");
    assert_int_equal(tenon_map_get_atom(tenon_message_term(message),
                                        "trace_context", &value),
                     TENON_OK);
    assert_int_equal(tenon_term_count(tenon_message_term(message)), 19);
    tenon_message_free(message);
    tenon_value_free(term);
}

/* ---- changes ---------------------------------------------------------- */

static void a_response_halts_and_turns_the_events_round(void **state)
{
    tenon_message *message = vector("otp25/msg_new_map");
    tenon_value *a = tenon_value_format(":a"), *b = tenon_value_format(":b");

    (void)state;
    assert_int_equal(tenon_message_add_event(message, tenon_value_term(a)), 0);
    assert_int_equal(tenon_message_add_event(message, tn_const_nil()), 0);
    assert_int_equal(tenon_message_add_event(message, tenon_value_term(b)), 0);
    assert_field(message, "events", "[:b, :a]");
    assert_field(message, "halted?", "false");
    assert_int_equal(tenon_message_error(message, "{:no, ~s}", "way"), 0);
    assert_field(message, "events", "[:a, :b]");
    assert_field(message, "halted?", "true");
    assert_field(message, "response", "{:error, {:no, \"way\"}}");
    tenon_value_free(a);
    tenon_value_free(b);
    tenon_message_free(message);
}

/* A list of small integers comes as a string. */
static void events_that_came_as_a_string_are_turned_round(void **state)
{
    static const uint8_t string[] = { 107, 0, 3, 1, 2, 3 };
    tenon_message *message = vector("otp25/msg_new_map");
    tenon_term events;

    (void)state;
    assert_int_equal(tenon_term_scan(string, sizeof string, &events, NULL),
                     TENON_OK);
    assert_int_equal(tn_message_set(message, TN_FIELD_EVENTS, events), 0);
    assert_int_equal(tenon_message_return(message, ":done"), TENON_OK);
    assert_true(tenon_match(tenon_message_get(message, "events"), "[3, 2, 1]"));
    tenon_term whole, term = tenon_message_term(message);

    assert_int_equal(tenon_term_scan(term.bytes, term.len, &whole, NULL),
                     TENON_OK);
    tenon_message_free(message);
}

static void responses_are_those_of_the_library(void **state)
{
    tenon_message *message = vector("otp25/msg_new_map");

    (void)state;
    assert_int_equal(tenon_message_ok(message, NULL), TENON_OK);
    assert_field(message, "response", ":ok");
    assert_int_equal(tenon_message_ok(message, "%{v: ~i}", (int64_t)3), 0);
    assert_field(message, "response", "{:ok, %{v: 3}}");
    assert_int_equal(tenon_message_created(message, "~s", "c-1"), 0);
    assert_field(message, "response", "{:created, \"c-1\"}");
    assert_int_equal(tenon_message_return(message, "{:ok, nil, 3}"), 0);
    assert_field(message, "response", "{:ok, nil, 3}");
    assert_int_equal(tenon_message_return(message, "{:ok,"), TENON_E_INVAL);
    assert_int_equal(tenon_message_error(message, NULL), TENON_E_INVAL);
    assert_field(message, "response", "{:ok, nil, 3}");
    tenon_message_free(message);
}

/* Tuples in tuples. */
static tenon_value *nested(unsigned levels)
{
    tenon_builder *out = tenon_builder_new();
    tenon_value *value = NULL;
    tenon_term term;

    for (unsigned i = 0; i < levels; i++) {
        tenon_build_tuple(out, 1);
    }
    tenon_build_nil(out);
    if (tenon_builder_term(out, &term) == TENON_OK) {
        value = tenon_value_new(term);
    }
    tenon_builder_free(out);
    assert_non_null(value);
    return value;
}

static enum tenon_err
set_deep(tenon_message *message, unsigned change, unsigned levels)
{
    tenon_value *value = nested(levels);
    tenon_value *map = tenon_value_format("%{:\"valid?\" => false, :a => ~t}",
                                          tenon_value_term(value));
    tenon_term term = tenon_value_term(value);
    enum tenon_err rc = TENON_OK;

    switch (change) {
    case 0:
        rc = tenon_message_assign(message, "deep", term);
        break;
    case 1:
        rc = tenon_message_put_in_raw_request(message, term, term);
        break;
    case 2:
        rc = tenon_message_add_event(message, term);
        break;
    case 3:
        rc = tenon_message_put_aggregate_meta(message, "deep", term);
        break;
    case 4:
        rc = tenon_message_ok(message, "~t", term);
        break;
    case 5:
        rc = tenon_message_put_request(message, tenon_value_term(map));
        break;
    }
    tenon_value_free(map);
    tenon_value_free(value);
    return rc;
}

static void a_change_that_makes_it_too_deep_is_refused(void **state)
{
    (void)state;
    for (unsigned change = 0; change < 6; change++) {
        tenon_message *message = vector("otp25/msg_new_map");
        /* The request stands in a map and in a response. */
        unsigned most = change == 5 ? 509 : 510;

        assert_int_equal(set_deep(message, change, most + 1),
                         TENON_E_TERM_DEEP);
        assert_int_equal(message->changed, 0);
        assert_int_equal(set_deep(message, change, most), TENON_OK);
        tenon_term whole, term = tenon_message_term(message);

        assert_non_null(term.bytes);
        assert_int_equal(tenon_term_scan(term.bytes, term.len, &whole, NULL),
                         TENON_OK);
        tenon_message_free(message);
    }
}

static void assigns_and_raw_request_are_added_to(void **state)
{
    tenon_message *message = vector("otp25/msg_assigns");
    tenon_value *id = tenon_value_format("~s", "id");
    tenon_term one;
    const uint8_t bytes[] = { 97, 1 };

    (void)state;
    assert_int_equal(tenon_term_scan(bytes, sizeof bytes, &one, NULL), 0);
    assert_int_equal(tenon_message_assign(message, "n", one), TENON_OK);
    assert_field(message, "assigns",
                 "%{invoked_by: %{admin?: true, id: 7}, n: 1}");
    assert_int_equal(tenon_message_assign(message, "invoked_by", one), 0);
    assert_field(message, "assigns", "%{invoked_by: 1, n: 1}");
    assert_field(message, "raw_request", "nil");
    assert_int_equal(
        tenon_message_put_in_raw_request(message, tenon_value_term(id), one),
        TENON_OK);
    assert_field(message, "raw_request", "%{\"id\" => 1}");
    assert_int_equal(tn_message_set(message, TN_FIELD_RAW_REQUEST, one), 0);
    assert_int_equal(
        tenon_message_put_in_raw_request(message, tenon_value_term(id), one),
        TENON_E_INVAL);
    tenon_value_free(id);
    tenon_message_free(message);
}

static void aggregate_meta_is_added_to(void **state)
{
    tenon_message *message = vector("otp25/msg_new_map");
    tenon_value *four = tenon_value_format("4");
    tenon_term term = tenon_value_term(four);

    (void)state;
    assert_int_equal(tenon_message_put_aggregate_meta(message, "version", term),
                     TENON_OK);
    assert_int_equal(tenon_message_put_aggregate_meta(message, "id", term),
                     TENON_OK);
    assert_field(message, "aggregate_meta", "%{id: 4, version: 4}");
    assert_int_equal(tenon_message_put_aggregate_meta(message, NULL, term),
                     TENON_E_INVAL);
    assert_int_equal(
        tenon_message_put_aggregate_meta(message, "id", (tenon_term){ 0 }),
        TENON_E_INVAL);
    tenon_value_free(four);
    tenon_message_free(message);
}

/* The message is as it would be after X3m.System.Message.put_request/2. */
static void a_request_is_put_and_an_invalid_one_answered(void **state)
{
    tenon_message *message = vector("otp25/msg_new_map");
    tenon_value *valid = tenon_value_format("%{valid?: true, a: 1}");
    tenon_value *invalid = tenon_value_format("%{valid?: false}");
    tenon_value *plain = tenon_value_format("%{}");
    tenon_value *no_map = tenon_value_format("[]");

    (void)state;
    assert_int_equal(
        tenon_message_put_request(message, tenon_value_term(valid)), TENON_OK);
    assert_field(message, "request", "%{a: 1, valid?: true}");
    assert_field(message, "valid?", "true");
    assert_false(tenon_message_is_halted(message));
    assert_int_equal(
        tenon_message_put_request(message, tenon_value_term(invalid)),
        TENON_OK);
    assert_field(message, "valid?", "false");
    assert_field(message, "response", "{:validation_error, %{valid?: false}}");
    assert_true(tenon_message_is_halted(message));
    assert_int_equal(
        tenon_message_put_request(message, tenon_value_term(plain)), TENON_OK);
    assert_field(message, "request", "%{}");
    assert_field(message, "valid?", "true");
    assert_int_equal(
        tenon_message_put_request(message, tenon_value_term(no_map)),
        TENON_E_INVAL);
    assert_int_equal(tenon_message_put_request(message, (tenon_term){ 0 }),
                     TENON_E_INVAL);
    assert_false(tenon_message_is_halted(NULL));
    tenon_value_free(no_map);
    tenon_value_free(plain);
    tenon_value_free(invalid);
    tenon_value_free(valid);
    tenon_message_free(message);
}

/* Puts a raw_request, and prepares the id under "id". */
static tenon_message *prepared(const char *raw, bool generate)
{
    tenon_message *message = vector("otp25/msg_new_map");
    tenon_value *raw_request = tenon_value_format(raw);
    tenon_value *field = tenon_value_format("\"id\"");

    assert_int_equal(tn_message_set(message, TN_FIELD_RAW_REQUEST,
                                    tenon_value_term(raw_request)),
                     TENON_OK);
    assert_int_equal(tenon_message_prepare_aggregate_id(
                         message, tenon_value_term(field), generate),
                     TENON_OK);
    tenon_value_free(field);
    tenon_value_free(raw_request);
    return message;
}

static void the_aggregates_id_is_taken_from_the_request(void **state)
{
    static const char *const ids[] = { "\"a-1\"", "7", "{:any, 1}", "false" };
    char raw[64], meta[64];

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        for (unsigned generate = 0; generate < 2; generate++) {
            snprintf(raw, sizeof raw, "%%{\"id\" => %s}", ids[i]);
            snprintf(meta, sizeof meta, "%%{id: %s}", ids[i]);
            tenon_message *message = prepared(raw, generate == 1);

            assert_field(message, "aggregate_meta", meta);
            assert_field(message, "raw_request", raw);
            assert_field(message, "response", "nil");
            tenon_message_free(message);
        }
    }
}

static void a_missing_id_is_answered(void **state)
{
    static const char *const requests[] = { "%{}", "nil", "%{\"id\" => nil}",
                                            "%{id: 1}" };

    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        tenon_message *message = prepared(requests[i], false);

        assert_field(message, "response", "{:missing_id, \"id\"}");
        assert_field(message, "aggregate_meta", "%{}");
        assert_true(tenon_message_is_halted(message));
        tenon_message_free(message);
    }
}

static void assert_uuid4(const char *text, size_t len)
{
    static const char form[] = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";

    assert_int_equal(len, sizeof form - 1);
    for (size_t i = 0; i < len; i++) {
        const char *allowed = form[i] == 'x'   ? "0123456789abcdef"
                              : form[i] == 'y' ? "89ab"
                              : form[i] == '4' ? "4"
                                               : "-";

        assert_non_null(strchr(allowed, text[i]));
    }
}

static void a_missing_id_is_generated_when_asked_for(void **state)
{
    static const char *const requests[] = { "%{}", "nil", "%{\"id\" => nil}" };
    const char *text;
    size_t len;
    tenon_term in_meta;

    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        tenon_message *message = prepared(requests[i], true);

        assert_true(tenon_match(tenon_message_get(message, "raw_request"),
                                "%{\"id\" => ~s}", &text, &len));
        assert_uuid4(text, len);
        assert_true(tenon_match(tenon_message_get(message, "aggregate_meta"),
                                "%{id: ~t}", &in_meta));
        assert_true(tenon_match(in_meta, "~s", &text, &len));
        assert_uuid4(text, len);
        assert_false(tenon_message_is_halted(message));
        tenon_message_free(message);
    }
    tenon_message *no_map = vector("otp25/msg_new_map");
    tenon_value *one = tenon_value_format("1");

    assert_int_equal(
        tn_message_set(no_map, TN_FIELD_RAW_REQUEST, tenon_value_term(one)),
        TENON_OK);
    assert_int_equal(
        tenon_message_prepare_aggregate_id(no_map, tenon_value_term(one), true),
        TENON_E_INVAL);
    assert_int_equal(
        tenon_message_prepare_aggregate_id(NULL, tenon_value_term(one), true),
        TENON_E_INVAL);
    tenon_value_free(one);
    tenon_message_free(no_map);
}

static void service_and_dry_run_are_replaced(void **state)
{
    tenon_message *message = vector("otp25/msg_new_map");

    (void)state;
    assert_int_equal(tenon_message_to_service(message, "close"), TENON_OK);
    assert_field(message, "service_name", ":close");
    assert_true(tenon_match(tenon_message_term(message),
                            "%X3m.System.Message{service_name: :close}"));
    assert_int_equal(tenon_message_to_service(message, ""), TENON_E_INVAL);
    assert_int_equal(tenon_message_to_service(message, "\xff"), TENON_E_INVAL);
    assert_int_equal(tenon_message_set_dry_run(message, TENON_DRY_RUN_VERBOSE),
                     TENON_OK);
    assert_field(message, "dry_run", ":verbose");
    assert_int_equal(tenon_message_set_dry_run(message, 9), TENON_E_INVAL);
    assert_field(message, "id", "\"GOnnFoRsq2yNTnoAAANy\"");
    tenon_message_free(message);
}

static void a_message_outlives_the_bytes_it_came_in_after_rebase(void **state)
{
    tenon_message *source = vector("otp25/msg_new_nested");
    tenon_value *first = tenon_value_new(tenon_message_term(source));
    tenon_value *second = tenon_value_new(tenon_message_term(source));
    tenon_message message;

    (void)state;
    assert_int_equal(
        tn_message_init(&message, bare.node, tenon_value_term(first), NULL), 0);
    assert_int_equal(tenon_message_to_service(&message, "moved"), TENON_OK);
    tn_message_rebase(&message, tenon_value_term(second));
    tenon_value_free(first);
    assert_field(&message, "service_name", ":moved");
    assert_true(
        tenon_term_equal(tn_message_field(&message, TN_FIELD_RAW_REQUEST),
                         tn_message_field(source, TN_FIELD_RAW_REQUEST)));
    tn_message_fini(&message);
    tenon_value_free(second);
    tenon_message_free(source);
}

/* ---- bytes that nobody made ------------------------------------------- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void try_mutant(const uint8_t *bytes, size_t len)
{
    tenon_term term, again;

    if (tenon_term_scan(bytes, len, &term, NULL) < 0) {
        return;
    }
    tenon_message *message = tenon_message_from_term(bare.node, term, NULL);

    if (message == NULL) {
        return;
    }
    assert_int_equal(tenon_message_ok(message, "1"), TENON_OK);
    tenon_term whole = tenon_message_term(message);

    assert_int_equal(tenon_term_scan(whole.bytes, whole.len, &again, NULL),
                     TENON_OK);
    assert_int_equal(again.len, whole.len);
    tenon_message_free(message);
}

static void mutated_messages_are_refused_or_whole(void **state)
{
    uint32_t seed = 20261121;

    (void)state;
    for (size_t i = 0; i < etf.count; i++) {
        const struct wire_file *file = &etf.files[i];
        uint8_t *bytes = malloc(file->len);

        assert_non_null(bytes);
        for (unsigned round = 0; round < 100; round++) {
            memcpy(bytes, file->bytes, file->len);
            for (unsigned n = next_random(&seed) % 4; n > 0; n--) {
                bytes[next_random(&seed) % file->len] =
                    (uint8_t)next_random(&seed);
            }
            try_mutant(bytes, file->len - next_random(&seed) % 2);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_that_came_is_written_as_the_same_term),
        cmocka_unit_test(messages_inside_frames_survive_too),
        cmocka_unit_test(releases_write_one_content_in_different_bytes),
        cmocka_unit_test(a_missing_field_is_refused_by_name),
        cmocka_unit_test(a_field_of_a_wrong_type_is_refused_by_name),
        cmocka_unit_test(what_is_no_map_is_refused),
        cmocka_unit_test(a_key_that_c_does_not_know_travels_through),
        cmocka_unit_test(a_response_halts_and_turns_the_events_round),
        cmocka_unit_test(events_that_came_as_a_string_are_turned_round),
        cmocka_unit_test(responses_are_those_of_the_library),
        cmocka_unit_test(a_change_that_makes_it_too_deep_is_refused),
        cmocka_unit_test(assigns_and_raw_request_are_added_to),
        cmocka_unit_test(aggregate_meta_is_added_to),
        cmocka_unit_test(a_request_is_put_and_an_invalid_one_answered),
        cmocka_unit_test(the_aggregates_id_is_taken_from_the_request),
        cmocka_unit_test(a_missing_id_is_answered),
        cmocka_unit_test(a_missing_id_is_generated_when_asked_for),
        cmocka_unit_test(service_and_dry_run_are_replaced),
        cmocka_unit_test(a_message_outlives_the_bytes_it_came_in_after_rebase),
        cmocka_unit_test(mutated_messages_are_refused_or_whole),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
