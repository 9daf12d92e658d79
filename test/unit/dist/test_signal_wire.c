/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages against captured frames: every file of test/wire/otp is
 * read, compared with what the index says of it, and written again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/flags.h"
#include "dist/frame.h"
#include "dist/signal.h"
#include "unit/support/wire.h"

#define ROOT "test/wire/otp"
/* Frames in test/wire/otp, of both forms; a new capture changes them. */
#define FRAMES_PASS_THROUGH 801u
#define FRAMES_WITH_HEADER 27u

static struct wire_files frames;

static int load(void **state)
{
    (void)state;
    frames = wire_load(ROOT, ".bin");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    wire_free(&frames);
    return 0;
}

/* A distribution header, or a stream of them with their lengths. */
static bool has_header(const struct wire_file *file)
{
    return file->bytes[0] != TN_FRAME_PASS_THROUGH;
}

static bool in_folder(const struct wire_file *file, const char *part)
{
    return strstr(file->path + strlen(ROOT), part) != NULL;
}

/* What both ends of a capture have: only those operations are to be seen. */
static uint64_t flags_between(const struct wire_file *file)
{
    uint64_t beam = UINT64_C(0xD07DF7FBD);
    uint64_t ours = UINT64_C(0xD075F5FBD);

    if (in_folder(file, "23")) {
        beam = UINT64_C(0x101DF7FBD);
    } else if (in_folder(file, "29")) {
        beam = UINT64_C(0x6D07DF7FBD);
    }
    if (strstr(file->path, ".out.bin") != NULL) {
        return tn_flags_expand(beam);
    }
    if (in_folder(file, "bare")) {
        ours = UINT64_C(0x403070F95);
    } else if (in_folder(file, "29-altact")) {
        ours = UINT64_C(0x6D075F5FBD);
    }
    /* A BEAM node sends MONITOR_P only to what can answer. */
    return tn_flags_expand(ours) & tn_flags_expand(beam);
}

static void every_frame_file_has_one_of_two_forms(void **state)
{
    size_t pass_through = 0, with_header = 0;

    (void)state;
    for (size_t i = 0; i < frames.count; i++) {
        if (has_header(&frames.files[i])) {
            with_header++;
        } else {
            pass_through++;
        }
    }
    assert_int_equal(pass_through, FRAMES_PASS_THROUGH);
    assert_int_equal(with_header, FRAMES_WITH_HEADER);
}

/* ---- the index ----------------------------------------------------------- */

static int kind_of_altact(unsigned flags)
{
    if (flags & 16) {
        return TN_SIG_EXIT2;
    }
    return flags & 4 ? TN_SIG_SEND_ALIAS
                     : (flags & 8 ? TN_SIG_SEND_NAME : TN_SIG_SEND);
}

static int kind_of_op(unsigned op, unsigned next)
{
    switch (op) {
    case 1:
        return TN_SIG_LINK;
    case 2:
    case 12:
    case 22:
    case 23:
        return TN_SIG_SEND;
    case 3:
    case 13:
    case 24:
    case 25:
        return TN_SIG_EXIT;
    case 4:
    case 35:
        return TN_SIG_UNLINK;
    case 6:
    case 16:
        return TN_SIG_SEND_NAME;
    case 7:
        return TN_SIG_GROUP_LEADER;
    case 8:
    case 18:
    case 26:
    case 27:
        return TN_SIG_EXIT2;
    case 19:
        return TN_SIG_MONITOR;
    case 20:
        return TN_SIG_DEMONITOR;
    case 21:
    case 28:
        return TN_SIG_DOWN;
    case 29:
    case 30:
        return TN_SIG_SPAWN_REQUEST;
    case 31:
    case 32:
        return TN_SIG_SPAWN_REPLY;
    case 33:
    case 34:
        return TN_SIG_SEND_ALIAS;
    case 36:
        return TN_SIG_UNLINK_ACK;
    case 37:
        return kind_of_altact(next);
    default:
        return -1;
    }
}

/* Cuts the text at its first `end`; NULL when there is none. */
static char *cut_at(char *text, char end)
{
    char *at = strchr(text, end);

    if (at != NULL) {
        *at++ = '\0';
    }
    return at;
}

/* Kind that a line of the index states for a frame of that folder, like
 *     - `ping.01.in.bin` ctl `{19,<bm25.96.0>,net_kernel,#Ref<...>}`
 * and the frame; NULL for all other lines. */
static const struct wire_file *
read_index_line(char *line, const char *folder, int *kind)
{
    char path[200];
    char *rest = strncmp(line, "- `", 3) == 0 ? cut_at(line + 3, '`') : NULL;
    char *ctl = rest != NULL ? strstr(rest, "ctl `{") : NULL;
    char *next;

    if (ctl == NULL) {
        return NULL;
    }
    unsigned long op = strtoul(ctl + strlen("ctl `{"), &next, 10);

    *kind = kind_of_op((unsigned)op, (unsigned)strtoul(next + 1, NULL, 10));
    snprintf(path, sizeof path, ROOT "/%s/%s", folder, line + 3);
    return wire_find(&frames, path);
}

/* The stated kind of each frame, in their order; -1 where nothing is. */
static int *read_index(void)
{
    char *text = wire_text(ROOT "/INDEX.md");
    int *kinds = malloc(frames.count * sizeof *kinds);
    char *folder = text;
    char *next;

    assert_non_null(kinds);
    memset(kinds, 0xff, frames.count * sizeof *kinds);
    for (char *line = text; line != NULL; line = next) {
        int kind;

        next = cut_at(line, '\n');
        if (strncmp(line, "# ", 2) == 0) {
            folder = line + 2;
            cut_at(folder, '/');
            continue;
        }
        const struct wire_file *file = read_index_line(line, folder, &kind);

        if (file != NULL) {
            kinds[file - frames.files] = kind;
        }
    }
    free(text);
    return kinds;
}

static void each_frame_is_of_the_kind_that_the_index_states(void **state)
{
    int *kinds = read_index();

    (void)state;
    for (size_t i = 0; i < frames.count; i++) {
        const struct wire_file *file = &frames.files[i];
        struct tn_signal signal;
        tenon_error err = { .text = "" };

        if (has_header(file)) {
            continue;
        }
        enum tenon_err rc =
            tn_signal_parse(file->bytes, file->len, &signal, &err);

        if (rc != TENON_OK || (int)signal.kind != kinds[i]) {
            fail_msg("%s: expected kind %d, got %s (%s)", file->path, kinds[i],
                     rc < 0 ? tenon_err_name(rc) : tn_signal_name(signal.kind),
                     err.text);
        }
    }
    free(kinds);
}

/* ---- written again ------------------------------------------------------- */

/* Forms that BEAM nodes use and this node does not: with a trace token, and
 * with a priority. Also a message that was sent to an OTP 23 node's alias. */
static bool is_form_of_others(const struct wire_file *file)
{
    return in_folder(file, "seq_send") || in_folder(file, "29-altact/prio_") ||
           in_folder(file, "29-altact/alias_send") ||
           in_folder(file, "beam_register.23.out");
}

static bool same_view(tenon_term a, tenon_term b)
{
    return a.len == b.len &&
           (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

static bool same_signal(const struct tn_signal *a, const struct tn_signal *b)
{
    return a->kind == b->kind && same_view(a->from, b->from) &&
           same_view(a->to, b->to) && same_view(a->ref, b->ref) &&
           a->id == b->id && a->flags == b->flags &&
           same_view(a->payload, b->payload) &&
           same_view(a->group_leader, b->group_leader) &&
           same_view(a->mfa, b->mfa) && same_view(a->opts, b->opts);
}

static void check_written(const struct wire_file *file,
                          const struct tn_signal *signal,
                          const struct tn_buf *out)
{
    const uint8_t *body = out->bytes + TN_FRAME_HEAD_BYTES;
    size_t len = out->len - TN_FRAME_HEAD_BYTES;
    struct tn_signal again;
    struct tn_frame frame;

    assert_int_equal(
        tn_frame_next(out->bytes, out->len, SIZE_MAX, &frame, NULL), TENON_OK);
    assert_int_equal(frame.kind, TN_FRAME_BODY);
    assert_int_equal(frame.whole, out->len);
    assert_int_equal(tn_signal_parse(body, len, &again, NULL), TENON_OK);
    if (!same_signal(signal, &again)) {
        fail_msg("%s: another signal after encoding", file->path);
    }
    if (!is_form_of_others(file) &&
        (len != file->len || memcmp(body, file->bytes, len) != 0)) {
        fail_msg("%s: other bytes after encoding (op %d, then %d)", file->path,
                 file->bytes[5], body[5]);
    }
}

static void each_frame_is_written_again_byte_for_byte(void **state)
{
    size_t forms_of_others = 0;
    struct tn_buf out;

    (void)state;
    tn_buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < frames.count; i++) {
        const struct wire_file *file = &frames.files[i];
        uint64_t flags = flags_between(file);
        struct tn_signal signal;
        tenon_error err;

        if (has_header(file)) {
            continue;
        }
        if (is_form_of_others(file)) {
            forms_of_others++;
            flags |= TN_FLAG(ALIAS);
        }
        assert_int_equal(tn_signal_parse(file->bytes, file->len, &signal, NULL),
                         TENON_OK);
        tn_buf_reset(&out);
        if (tn_signal_encode(&out, &signal, flags, &err) < 0) {
            fail_msg("%s: %s", file->path, err.text);
        }
        check_written(file, &signal, &out);
    }
    assert_int_equal(forms_of_others, 11);
    tn_buf_fini(&out);
}

/* ---- broken -------------------------------------------------------------- */

static void each_frame_with_a_header_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < frames.count; i++) {
        const struct wire_file *file = &frames.files[i];
        struct tn_signal signal;

        if (has_header(file)) {
            assert_int_equal(
                tn_signal_parse(file->bytes, file->len, &signal, NULL),
                TENON_E_FRAME_FORM);
        }
    }
}

/* Parses a copy without a byte to spare, so that a sanitizer sees a step
 * beyond. */
static enum tenon_err parse_prefix(const struct wire_file *file, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct tn_signal signal;

    assert_non_null(copy);
    memcpy(copy, file->bytes, len);
    enum tenon_err rc = tn_signal_parse(copy, len, &signal, NULL);

    free(copy);
    return rc;
}

static void each_cut_frame_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < frames.count; i++) {
        const struct wire_file *file = &frames.files[i];
        /* The large ones are one binary for the most part. */
        size_t step = file->len > 4096 ? 509 : 1;

        for (size_t len = 0; len < file->len; len += len < 512 ? 1 : step) {
            if (parse_prefix(file, len) == TENON_OK) {
                fail_msg("%s: taken when cut after %zu bytes", file->path, len);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_file_has_one_of_two_forms),
        cmocka_unit_test(each_frame_is_of_the_kind_that_the_index_states),
        cmocka_unit_test(each_frame_is_written_again_byte_for_byte),
        cmocka_unit_test(each_frame_with_a_header_is_refused),
        cmocka_unit_test(each_cut_frame_is_refused),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
