/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as BEAM nodes write them: read, printed, walked, written again; cut
 * short and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "fuzz/term_walk.h"
#include "unit/support/terms.h"
#include "unit/support/wire.h"

static tenon_term scanned(const struct golden *golden)
{
    tenon_error err;
    tenon_term term;

    if (tenon_term_scan(golden->bytes, golden->len, &term, &err) < 0) {
        fail_msg("line %zu: %s", golden->line, err.text);
    }
    assert_ptr_equal(term.bytes + term.len, golden->bytes + golden->len);
    return term;
}

static void every_term_prints_as_elixir_prints_it(void **state)
{
    static const char *const names[] = { "beam.txt", "foreign.txt" };

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct goldens goldens = goldens_load(names[f]);

        assert_true(goldens.count > 20);
        for (size_t i = 0; i < goldens.count; i++) {
            assert_string_equal(text_of(scanned(&goldens.all[i])),
                                goldens.all[i].text);
        }
        goldens_free(&goldens);
    }
}

/* The forms that we write are those of BEAM, but for lists of bytes, which it
 * writes as STRING_EXT, and for atoms in Latin-1. */
static bool is_our_form(tenon_term term)
{
    tenon_cursor at;
    tenon_term element;
    uint8_t tag = term.bytes[0];

    if (tag == 107 || tag == 100 || tag == 115) {
        return false;
    }
    tenon_cursor_init(&at, term);
    while (tenon_cursor_next(&at, &element)) {
        if (!is_our_form(element)) {
            return false;
        }
    }
    return true;
}

static void rebuilt_is_same(tenon_term term, size_t *same_bytes)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term again;

    assert_non_null(builder);
    rebuild(builder, term);
    assert_int_equal(tenon_builder_term(builder, &again), TENON_OK);
    assert_true(tenon_term_equal(term, again));
    assert_int_equal(tenon_term_compare(term, again), 0);
    if (is_our_form(term)) {
        assert_int_equal(term.len, again.len);
        assert_memory_equal(term.bytes, again.bytes, term.len);
        ++*same_bytes;
    }
    tenon_builder_free(builder);
}

static void every_term_is_written_as_beam_writes_it(void **state)
{
    struct goldens goldens = goldens_load("beam.txt");
    size_t same_bytes = 0;

    (void)state;
    for (size_t i = 0; i < goldens.count; i++) {
        rebuilt_is_same(scanned(&goldens.all[i]), &same_bytes);
    }
    assert_true(same_bytes > 300);
    goldens_free(&goldens);

    goldens = goldens_load("foreign.txt");
    for (size_t i = 0; i < goldens.count; i++) {
        tenon_term term = scanned(&goldens.all[i]);
        tenon_builder *builder = tenon_builder_new();
        tenon_term again;

        rebuild(builder, term);
        assert_int_equal(tenon_builder_term(builder, &again), TENON_OK);
        assert_true(tenon_term_equal(term, again));
        tenon_builder_free(builder);
    }
    goldens_free(&goldens);
}

static void every_x3m_term_of_four_releases_survives(void **state)
{
    struct wire_files files = wire_load("test/wire/x3m", ".etf");
    size_t same_bytes = 0;

    (void)state;
    assert_true(files.count > 50);
    for (size_t i = 0; i < files.count; i++) {
        struct golden golden = { .bytes = files.files[i].bytes,
                                 .len = files.files[i].len };

        rebuilt_is_same(scanned(&golden), &same_bytes);
    }
    wire_free(&files);
}

static void every_truncation_is_refused(void **state)
{
    struct goldens goldens = goldens_load("beam.txt");

    (void)state;
    for (size_t i = 0; i < goldens.count; i++) {
        for (size_t len = 0; len < goldens.all[i].len; len++) {
            /* Memory of its own, so that a sanitizer sees a read past it. */
            uint8_t *cut = malloc(len > 0 ? len : 1);
            tenon_term term;

            memcpy(cut, goldens.all[i].bytes, len);
            assert_int_equal(tenon_term_scan(cut, len, &term, NULL),
                             TENON_E_TERM_SHORT);
            free(cut);
        }
    }
    goldens_free(&goldens);
}

/* Whatever a damaged term has become, reading it stays inside. */
static void use(const uint8_t *bytes, size_t len)
{
    tenon_builder *builder = tenon_builder_new();
    char text[64];
    tenon_term term;

    if (tenon_term_scan(bytes, len, &term, NULL) == TENON_OK) {
        tenon_term_print(term, text, sizeof text);
        rebuild(builder, term);
        assert_true(tenon_term_equal(term, term));
        assert_true(tenon_term_count(term) <= term.len);
    }
    tenon_builder_free(builder);
}

static void no_damaged_byte_leads_outside(void **state)
{
    static const uint8_t flips[] = { 1, 2, 4, 8, 16, 32, 64, 128, 255 };
    struct goldens goldens = goldens_load("beam.txt");

    (void)state;
    for (size_t i = 0; i < goldens.count; i++) {
        struct golden *golden = &goldens.all[i];

        for (size_t at = 0; at < golden->len && at < 160; at++) {
            for (size_t f = 0; f < sizeof flips; f++) {
                golden->bytes[at] ^= flips[f];
                use(golden->bytes, golden->len);
                golden->bytes[at] ^= flips[f];
            }
        }
    }
    goldens_free(&goldens);
}

static void forms_that_are_not_valid_are_refused_by_name(void **state)
{
    struct goldens goldens = goldens_load("refused.txt");

    (void)state;
    assert_true(goldens.count > 40);
    for (size_t i = 0; i < goldens.count; i++) {
        tenon_error err = { .code = TENON_OK };
        tenon_term term;
        /* With a version byte in front of it: some begin with one. */
        uint8_t *bytes = malloc(goldens.all[i].len + 1);

        bytes[0] = 131;
        memcpy(bytes + 1, goldens.all[i].bytes, goldens.all[i].len);
        enum tenon_err rc =
            tenon_term_scan(bytes, goldens.all[i].len + 1, &term, &err);

        if (strcmp(tenon_err_name(rc), goldens.all[i].text) != 0) {
            fail_msg("refused.txt:%zu: expected %s, got %s",
                     goldens.all[i].line, goldens.all[i].text,
                     tenon_err_name(rc));
        }
        assert_int_equal(err.code, rc);
        assert_memory_equal(err.text, "term: expected ", 15);
        free(bytes);
    }
    goldens_free(&goldens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_term_prints_as_elixir_prints_it),
        cmocka_unit_test(every_term_is_written_as_beam_writes_it),
        cmocka_unit_test(every_x3m_term_of_four_releases_survives),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(no_damaged_byte_leads_outside),
        cmocka_unit_test(forms_that_are_not_valid_are_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
