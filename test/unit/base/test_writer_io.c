/* SPDX-License-Identifier: Apache-2.0 */
/* A writer whose descriptor takes less than it is given, or fails: write(2) is
 * wrapped when this program is linked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/writer.h"
#include "unit/support/deadline.h"

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

/* Set before the writer has a thread, read when that has ended. */
static struct {
    int fd;           /* where the wrapped writes go; others are passed on */
    unsigned fail_at; /* this write fails, from 1 on; 0: none */
    int sys_errno;    /* how; 0: it takes one byte */
    unsigned count;   /* of writes so far */
    char text[64];    /* what has been taken */
    size_t len;
    int ends[8]; /* of each text, in turn: 0 or an errno */
    unsigned end_count;
} disk;

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (fd != disk.fd) {
        return __real_write(fd, bytes, len);
    }
    if (++disk.count == disk.fail_at) {
        if (disk.sys_errno != 0) {
            errno = disk.sys_errno;
            return -1;
        }
        len = 1;
    }
    memcpy(disk.text + disk.len, bytes, len);
    disk.len += len;
    return (ssize_t)len;
}

static void keep_end(void *user, enum tn_written what, int sys_errno)
{
    (void)user;
    disk.ends[disk.end_count++] = what == TN_WRITE_LEFT ? -1 : sys_errno;
}

/* Writes "abc", "def" and "ghi", each in one write, with that failure. */
static void write_with(unsigned fail_at, int sys_errno)
{
    static const char *const texts[] = { "abc", "def", "ghi" };
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    memset(&disk, 0, sizeof disk);
    disk.fd = pipe_ends[1];
    disk.fail_at = fail_at;
    disk.sys_errno = sys_errno;
    tn_writer *writer = tn_writer_new(
        &(struct tn_writer_config){ .max_bytes = 4096, .fd = disk.fd });

    assert_non_null(writer);
    for (size_t i = 0; i < 3; i++) {
        const struct tn_text_out text = { .bytes = texts[i],
                                          .len = 3,
                                          .done = keep_end };

        assert_int_equal(tn_writer_push(writer, &text), TENON_OK);
    }
    tn_writer_close(writer, DEADLINE_MS);
    tn_writer_wait(writer);
    tn_writer_unref(writer);
    disk.fd = -1;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    assert_int_equal(disk.end_count, 3);
}

static void the_rest_of_a_short_write_follows(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        write_with(n, 0);
        assert_int_equal(disk.len, 9);
        assert_memory_equal(disk.text, "abcdefghi", 9);
        assert_int_equal(disk.count, 4);
    }
}

static void a_write_that_is_interrupted_is_done_again(void **state)
{
    static const int again[] = { EINTR, EAGAIN };

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        write_with(1 + i / 2, again[i % 2]);
        assert_int_equal(disk.len, 9);
        assert_memory_equal(disk.text, "abcdefghi", 9);
    }
}

static void a_text_that_fails_takes_no_other_with_it(void **state)
{
    static const int failures[] = { EIO, ENOSPC, EPIPE };
    static const char *const left[] = { "defghi", "abcghi", "abcdef" };

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        unsigned n = i / 3;

        write_with(1 + n, failures[i % 3]);
        assert_int_equal(disk.len, 6);
        assert_memory_equal(disk.text, left[n], 6);
        for (unsigned text = 0; text < 3; text++) {
            assert_int_equal(disk.ends[text], text == n ? failures[i % 3] : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_of_a_short_write_follows),
        cmocka_unit_test(a_write_that_is_interrupted_is_done_again),
        cmocka_unit_test(a_text_that_fails_takes_no_other_with_it),
    };

    disk.fd = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
