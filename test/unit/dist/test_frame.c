/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting the byte stream into frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dist/frame.h"
#include "unit/support/wire.h"

static enum tenon_err
next(const void *bytes, size_t len, struct tn_frame *frame, tenon_error *err)
{
    return tn_frame_next(bytes, len, 100, frame, err);
}

static void a_length_of_zero_is_a_tick(void **state)
{
    struct tn_frame frame;

    (void)state;
    assert_int_equal(next("\0\0\0\0x", 5, &frame, NULL), TENON_OK);
    assert_int_equal(frame.kind, TN_FRAME_TICK);
    assert_int_equal(frame.whole, 4);
}

static void a_cut_frame_says_what_it_needs(void **state)
{
    static const uint8_t bytes[] = "\0\0\0\x05\x70yyyy\0\0";
    struct tn_frame frame;

    (void)state;
    for (size_t len = 0; len < 9; len++) {
        assert_int_equal(next(bytes, len, &frame, NULL), TENON_OK);
        assert_int_equal(frame.kind, TN_FRAME_MORE);
        assert_int_equal(frame.whole, len < 4 ? 4 : 9);
    }
    for (size_t len = 9; len <= 11; len++) {
        assert_int_equal(next(bytes, len, &frame, NULL), TENON_OK);
        assert_int_equal(frame.kind, TN_FRAME_BODY);
        assert_ptr_equal(frame.body, bytes + 4);
        assert_int_equal(frame.len, 5);
        assert_int_equal(frame.whole, 9);
    }
}

static void a_length_above_the_limit_is_refused_without_its_bytes(void **state)
{
    struct tn_frame frame;
    tenon_error err;

    (void)state;
    assert_int_equal(next("\0\0\0\x64", 4, &frame, &err), TENON_OK);
    assert_int_equal(next("\0\0\0\x65", 4, &frame, &err), TENON_E_FRAME_BIG);
    assert_string_equal(err.text, "reading a frame: expected at most 100 "
                                  "bytes, got a length of 101");
    assert_int_equal(next("\xff\xff\xff\xff", 4, &frame, &err),
                     TENON_E_FRAME_BIG);
    /* Head and body together must be a size as well. */
    int fits = SIZE_MAX > UINT32_MAX;

    assert_int_equal(tn_frame_next((const uint8_t *)"\xff\xff\xff\xfe", 4,
                                   SIZE_MAX, &frame, NULL),
                     fits ? TENON_OK : TENON_E_FRAME_BIG);
}

static void other_forms_are_refused_and_told_apart(void **state)
{
    struct tn_frame frame;
    tenon_error err;

    (void)state;
    for (char form = 68; form <= 70; form++) {
        uint8_t bytes[] = { 0, 0, 0, 9, 131, (uint8_t)form };

        assert_int_equal(next(bytes, 6, &frame, &err), TENON_E_FRAME_FORM);
        assert_non_null(strstr(err.text, "distribution header"));
        assert_non_null(strstr(err.text, "not negotiated"));
    }
    assert_int_equal(next("\0\0\0\x01q", 5, &frame, &err), TENON_E_FRAME_FORM);
    assert_non_null(strstr(err.text, "got 113 at byte 0"));
}

static void captured_frames_with_a_header_are_refused(void **state)
{
    struct wire_files files = wire_load("test/wire/otp", ".bin");
    struct wire_files fragments = wire_load("test/wire/otp", ".frag");
    unsigned refused = 0;

    (void)state;
    for (size_t i = 0; i < files.count + fragments.count; i++) {
        const struct wire_file *file = i < files.count
                                           ? &files.files[i]
                                           : &fragments.files[i - files.count];
        uint8_t start[6] = { 0, 0, 0, 50, file->bytes[0], file->bytes[1] };
        struct tn_frame frame;

        if (file->bytes[0] == 131) {
            assert_int_equal(next(start, sizeof start, &frame, NULL),
                             TENON_E_FRAME_FORM);
            refused++;
        }
    }
    /* 23 frames and a fragment; the streams begin with a length. */
    assert_int_equal(refused, 24);
    wire_free(&files);
    wire_free(&fragments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_of_zero_is_a_tick),
        cmocka_unit_test(a_cut_frame_says_what_it_needs),
        cmocka_unit_test(a_length_above_the_limit_is_refused_without_its_bytes),
        cmocka_unit_test(other_forms_are_refused_and_told_apart),
        cmocka_unit_test(captured_frames_with_a_header_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
