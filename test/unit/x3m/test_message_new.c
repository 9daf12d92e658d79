/* SPDX-License-Identifier: Apache-2.0 */
/* New messages: ids and times in the library's form, the eighteen fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bare_node.h"
#include "base/clock.h"
#include "unit/support/wire.h"
#include "x3m/message.h"
#include "x3m/message_new.h"

#define ROOT "test/wire/x3m"

static struct bare_node bare;
static struct wire_files etf;

static int start(void **state)
{
    (void)state;
    bare_node_start(&bare);
    etf = wire_load(ROOT, ".etf");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    wire_free(&etf);
    bare_node_stop(&bare);
    return 0;
}

static tenon_term vector(const char *path)
{
    const struct wire_file *file = wire_find(&etf, path);
    tenon_term term;

    assert_non_null(file);
    assert_int_equal(tenon_term_scan(file->bytes, file->len, &term, NULL),
                     TENON_OK);
    return term;
}

/* ---- ids -------------------------------------------------------------- */

static unsigned value_of(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = strchr(alphabet, c);

    assert_non_null(at);
    return (unsigned)(at - alphabet);
}

static void decode_id(const char *text, uint8_t bytes[15])
{
    for (unsigned i = 0, o = 0; i < TN_MESSAGE_ID_CHARS; i += 4, o += 3) {
        uint32_t group = value_of(text[i]) << 18 | value_of(text[i + 1]) << 12 |
                         value_of(text[i + 2]) << 6 | value_of(text[i + 3]);

        bytes[o] = (uint8_t)(group >> 16);
        bytes[o + 1] = (uint8_t)(group >> 8);
        bytes[o + 2] = (uint8_t)group;
    }
}

static uint64_t big_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    while (count-- > 0) {
        value = value << 8 | *bytes++;
    }
    return value;
}

static void ids_have_the_form_of_those_that_the_library_makes(void **state)
{
    tenon_cursor at;
    tenon_term id;
    unsigned count = 0;

    (void)state;
    tenon_cursor_init(&at, vector(ROOT "/otp25/ids.etf"));
    while (tenon_cursor_next(&at, &id)) {
        const void *bytes;
        size_t len;
        char given[TN_MESSAGE_ID_CHARS + 1] = "", made[sizeof given];
        uint8_t parts[15];

        assert_int_equal(tenon_term_binary(id, &bytes, &len), TENON_OK);
        assert_int_equal(len, TN_MESSAGE_ID_CHARS);
        memcpy(given, bytes, len);
        decode_id(given, parts);
        tn_message_id_format(big_endian(parts, 8), big_endian(parts + 7, 8),
                             made);
        assert_string_equal(made, given);
        count++;
    }
    assert_int_equal(count, 8);
}

/* The bytes of the id of a message. */
static void id_of(const tenon_message *message, uint8_t parts[15])
{
    char text[TN_MESSAGE_ID_CHARS + 1] = "";
    const void *bytes;
    size_t len;

    assert_non_null(message);
    assert_int_equal(
        tenon_term_binary(tenon_message_get(message, "id"), &bytes, &len),
        TENON_OK);
    assert_int_equal(len, TN_MESSAGE_ID_CHARS);
    memcpy(text, bytes, len);
    decode_id(text, parts);
}

static void an_id_tells_its_time(void **state)
{
    tenon_message *message = tenon_message_new(bare.node, "s", NULL);
    uint64_t now_ns = (uint64_t)tn_wall_ns();
    uint8_t parts[15];

    (void)state;
    id_of(message, parts);
    uint64_t id_ns = big_endian(parts, 7) << 8;

    assert_true(id_ns <= now_ns && now_ns - id_ns < 60000000000u);
    tenon_message_free(message);
}

/* Who sees one id cannot count on: of 64 bits each is set in half of the ids,
 * whatever the ids before. */
static void ids_have_64_bits_that_nobody_can_foretell(void **state)
{
    uint64_t last = 0;
    unsigned set[64] = { 0 }, flipped[64] = { 0 };

    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        tenon_message *message = tenon_message_new(bare.node, "s", NULL);
        uint8_t parts[15];

        id_of(message, parts);
        uint64_t token = big_endian(parts + 7, 8);

        for (unsigned bit = 0; bit < 64; bit++) {
            set[bit] += (unsigned)(token >> bit & 1);
            flipped[bit] += (unsigned)((token ^ last) >> bit & 1);
        }
        last = token;
        tenon_message_free(message);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_in_range(set[bit], 350, 650);
        assert_in_range(flipped[bit], 350, 650);
    }
}

/* ---- times ------------------------------------------------------------ */

static void a_datetime_is_the_term_that_elixir_makes(void **state)
{
    struct tm tm = { .tm_year = 126,
                     .tm_mon = 10,
                     .tm_mday = 21,
                     .tm_hour = 0,
                     .tm_min = 13,
                     .tm_sec = 30 };
    tenon_builder *out = tenon_builder_new();
    tenon_term term;

    (void)state;
    tn_build_datetime(out, (int64_t)timegm(&tm) * 1000000000 + 384702999);
    assert_int_equal(tenon_builder_term(out, &term), TENON_OK);
    assert_true(tenon_term_equal(term, vector(ROOT "/otp25/datetime.etf")));
    tenon_builder_free(out);
}

/* ---- messages --------------------------------------------------------- */

static void assert_field(const tenon_message *message,
                         const char *field,
                         const char *expected)
{
    char text[512];

    tenon_term_print(tenon_message_get(message, field), text, sizeof text);
    assert_string_equal(text, expected);
}

static void a_new_message_has_the_fields_of_the_librarys(void **state)
{
    tenon_term given = vector(ROOT "/otp25/msg_new_nil.etf");
    tenon_message *message = tenon_message_new(bare.node, "open_account", NULL);
    static const char *const made[] = {
        "id",         "correlation_id", "causation_id",
        "invoked_at", "origin_node",    "reply_to",
    };
    tenon_cursor at;
    tenon_term key, value;
    tenon_atom name;
    unsigned same = 0;

    (void)state;
    assert_non_null(message);
    tenon_cursor_init(&at, given);
    while (tenon_cursor_next_pair(&at, &key, &value)) {
        assert_int_equal(tenon_term_atom(key, &name), TENON_OK);
        tenon_term own = tenon_message_get(message, name.text);

        assert_int_equal(tenon_term_type(own), tenon_term_type(value));
        same += tenon_term_equal(own, value);
    }
    assert_int_equal(same, TN_FIELDS - sizeof made / sizeof *made);
    assert_int_equal(tenon_term_count(tenon_message_term(message)), TN_FIELDS);
    assert_field(message, "origin_node", ":c@localhost");
    assert_true(tenon_term_equal(tenon_message_get(message, "id"),
                                 tenon_message_get(message, "causation_id")));
    tenon_message_free(message);
}

static void options_are_taken(void **state)
{
    tenon_value *map = tenon_value_format("%{a: 1}");
    tenon_value *list = tenon_value_format("[request_id: \"r\"]");
    const tenon_pid waits = { .id = 5, .creation = 7, .node = "c@localhost" };
    tenon_pid reply_to;
    tenon_message *message = tenon_message_new(
        bare.node, "s",
        &(tenon_message_options){ .raw_request = tenon_value_term(map),
                                  .assigns = tenon_value_term(map),
                                  .logger_metadata = tenon_value_term(list),
                                  .id = "m-1",
                                  .correlation_id = "c-1",
                                  .dry_run = TENON_DRY_RUN_YES,
                                  .reply_to = &waits });

    (void)state;
    assert_non_null(message);
    assert_int_equal(
        tenon_term_pid(tenon_message_get(message, "reply_to"), &reply_to), 0);
    assert_true(tenon_pid_equal(&reply_to, &waits));
    assert_field(message, "raw_request", "%{a: 1}");
    assert_field(message, "assigns", "%{a: 1}");
    assert_field(message, "logger_metadata", "[request_id: \"r\"]");
    assert_field(message, "id", "\"m-1\"");
    assert_field(message, "correlation_id", "\"c-1\"");
    assert_field(message, "causation_id", "\"c-1\"");
    assert_field(message, "dry_run", "true");
    tenon_message_free(message);
    assert_null(tenon_message_new(
        bare.node, "s",
        &(tenon_message_options){ .assigns = tenon_value_term(list) }));
    assert_null(tenon_message_new(
        bare.node, "s",
        &(tenon_message_options){ .logger_metadata = tenon_value_term(map) }));
    assert_null(tenon_message_new(bare.node, "", NULL));
    assert_null(tenon_message_new(bare.node, NULL, NULL));
    assert_null(tenon_message_new(NULL, "s", NULL));
    tenon_value_free(list);
    tenon_value_free(map);
}

static void
a_caused_message_carries_the_conversation_and_its_log_metadata(void **state)
{
    tenon_message *parent = tenon_message_from_term(
        bare.node, vector(ROOT "/otp25/msg_new_ids.etf"), NULL);
    tenon_value *raw = tenon_value_format("7");
    tenon_value *metadata = tenon_value_format("[request_id: \"r\"]");

    (void)state;
    assert_non_null(parent);
    assert_int_equal(tn_message_set(parent, TN_FIELD_LOGGER_METADATA,
                                    tenon_value_term(metadata)),
                     TENON_OK);
    tenon_value_free(metadata);
    assert_int_equal(tenon_message_assign(parent, "who", tenon_value_term(raw)),
                     TENON_OK);
    assert_int_equal(tenon_message_set_dry_run(parent, TENON_DRY_RUN_VERBOSE),
                     TENON_OK);
    tenon_message *message = tenon_message_new_caused_by(
        bare.node, "next", parent, tenon_value_term(raw));

    assert_non_null(message);
    assert_field(message, "service_name", ":next");
    assert_field(message, "correlation_id", "\"c-1\"");
    assert_field(message, "causation_id", "\"m-1\"");
    assert_field(message, "raw_request", "7");
    assert_field(message, "assigns", "%{}");
    assert_field(message, "dry_run", "false");
    assert_field(message, "logger_metadata", "[request_id: \"r\"]");
    assert_false(tenon_term_equal(tenon_message_get(message, "id"),
                                  tenon_message_get(parent, "id")));
    tenon_message_free(message);
    tenon_value_free(raw);
    tenon_message_free(parent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_the_form_of_those_that_the_library_makes),
        cmocka_unit_test(an_id_tells_its_time),
        cmocka_unit_test(ids_have_64_bits_that_nobody_can_foretell),
        cmocka_unit_test(a_datetime_is_the_term_that_elixir_makes),
        cmocka_unit_test(a_new_message_has_the_fields_of_the_librarys),
        cmocka_unit_test(options_are_taken),
        cmocka_unit_test(
            a_caused_message_carries_the_conversation_and_its_log_metadata),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
