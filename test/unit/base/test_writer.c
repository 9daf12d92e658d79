/* SPDX-License-Identifier: Apache-2.0 */
/* The queue before a descriptor or a function that may be slow, stuck or
 * broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/writer.h"
#include "unit/support/deadline.h"

static void note(struct tn_writer_note *text, uint64_t lost)
{
    text->len =
        (size_t)snprintf(text->text, sizeof text->text, "[%d lost]", (int)lost);
}

static tn_writer *writer_to(int fd, size_t max_bytes)
{
    tn_writer *writer = tn_writer_new(&(struct tn_writer_config){
        .max_bytes = max_bytes, .fd = fd, .note_lost = note });

    assert_non_null(writer);
    return writer;
}

static enum tenon_err push(tn_writer *writer, const char *text)
{
    return tn_writer_push(
        writer, &(struct tn_text_out){ .bytes = text, .len = strlen(text) });
}

static void end(tn_writer *writer, uint32_t ms)
{
    tn_writer_close(writer, ms);
    tn_writer_wait(writer);
    tn_writer_unref(writer);
}

/* Reads until the other end is closed or `len` bytes are there. */
static size_t read_text(int fd, char *text, size_t len)
{
    size_t used = 0;

    for (;;) {
        ssize_t n = read(fd, text + used, len - used);

        if (n <= 0) {
            return used;
        }
        used += (size_t)n;
    }
}

/* ---- what becomes of texts ------------------------------------------------ */

/* One kind of end for each text; the test waits for all. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count[TN_WRITE_LEFT + 1];
    int sys_errno;
} ends = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep_end(void *user, enum tn_written what, int sys_errno)
{
    free(user);
    pthread_mutex_lock(&ends.lock);
    ends.count[what]++;
    ends.sys_errno = sys_errno;
    pthread_cond_broadcast(&ends.changed);
    pthread_mutex_unlock(&ends.lock);
}

static int forget_ends(void **state)
{
    (void)state;
    memset(ends.count, 0, sizeof ends.count);
    return 0;
}

static void await_ends(enum tn_written what, unsigned count)
{
    struct timespec until;

    tn_deadline(DEADLINE_MS, &until);
    pthread_mutex_lock(&ends.lock);
    while (ends.count[what] < count) {
        assert_true(tn_condition_wait(&ends.changed, &ends.lock, &until));
    }
    pthread_mutex_unlock(&ends.lock);
}

/* With memory that only `done` frees. */
static enum tenon_err
push_told(tn_writer *writer, const void *bytes, size_t len)
{
    void *user = malloc(8);
    enum tenon_err rc = tn_writer_push(writer, &(struct tn_text_out){
                                                   .bytes = bytes,
                                                   .len = len,
                                                   .extra_bytes = 8,
                                                   .done = keep_end,
                                                   .user = user,
                                               });

    if (rc != TENON_OK) {
        free(user);
    }
    return rc;
}

/* ---- a descriptor ---------------------------------------------------------- */

static void texts_are_written_in_their_order(void **state)
{
    (void)state;
    int ends_of[2];
    char text[64];

    assert_int_equal(pipe(ends_of), 0);
    tn_writer *writer = writer_to(ends_of[1], 4096);

    assert_int_equal(push(writer, "one "), TENON_OK);
    assert_int_equal(push(writer, "two "), TENON_OK);
    assert_int_equal(push(writer, "three"), TENON_OK);
    end(writer, DEADLINE_MS);
    close(ends_of[1]);
    assert_int_equal(read_text(ends_of[0], text, sizeof text), 13);
    assert_memory_equal(text, "one two three", 13);
    close(ends_of[0]);
}

/* So much that a pipe without a reader cannot take it. */
#define LARGE_BYTES (1024 * 1024)

static char large[LARGE_BYTES];

/* Until its writer has been told that it is written. */
static void read_large(int fd)
{
    static char text[LARGE_BYTES];

    for (size_t used = 0; used < LARGE_BYTES;) {
        ssize_t n = read(fd, text, LARGE_BYTES - used);

        assert_true(n > 0);
        used += (size_t)n;
    }
    await_ends(TN_WRITTEN, 1);
}

static void who_writes_to_a_stuck_reader_never_waits(void **state)
{
    (void)state;
    int ends_of[2];

    assert_int_equal(pipe(ends_of), 0);
    tn_writer *writer = writer_to(ends_of[1], LARGE_BYTES);

    /* One longer than all that may wait is taken while nothing else does. */
    assert_int_equal(push_told(writer, large, LARGE_BYTES), TENON_OK);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(push_told(writer, "x", 1), TENON_E_QUEUE_FULL);
    }
    assert_int_equal(tn_writer_lost(writer), 1000);
    struct pollfd in = { .fd = ends_of[0], .events = POLLIN };

    assert_int_equal(poll(&in, 1, DEADLINE_MS), 1); /* its thread writes */
    uint64_t before = tn_now_ms();

    tn_writer_close(writer, 0);
    assert_int_equal(push_told(writer, "x", 1), TENON_E_STOPPED);
    tn_writer_wait(writer);
    assert_true(tn_now_ms() - before < DEADLINE_MS);
    tn_writer_unref(writer);
    await_ends(TN_WRITE_LEFT, 1);
    close(ends_of[0]);
    close(ends_of[1]);
}

static void what_a_text_keeps_besides_takes_room(void **state)
{
    (void)state;
    int ends_of[2];
    struct tn_text_out out = { .bytes = "x", .len = 1 };

    assert_int_equal(pipe(ends_of), 0);
    tn_writer *writer = writer_to(ends_of[1], 2 * LARGE_BYTES);

    assert_int_equal(push_told(writer, large, LARGE_BYTES), TENON_OK);
    assert_int_equal(tn_writer_push(writer, &out), TENON_OK);
    out.extra_bytes = LARGE_BYTES;
    assert_int_equal(tn_writer_push(writer, &out), TENON_E_QUEUE_FULL);
    out.extra_bytes = SIZE_MAX;
    assert_int_equal(tn_writer_push(writer, &out), TENON_E_NOMEM);
    end(writer, 0);
    close(ends_of[0]);
    close(ends_of[1]);
}

static void what_was_lost_is_said_where_it_is_missing(void **state)
{
    (void)state;
    int ends_of[2];
    char text[64];

    assert_int_equal(pipe(ends_of), 0);
    tn_writer *writer = writer_to(ends_of[1], 4096);

    assert_int_equal(push_told(writer, large, LARGE_BYTES), TENON_OK);
    assert_int_equal(push(writer, "x"), TENON_E_QUEUE_FULL);
    assert_int_equal(push(writer, "x"), TENON_E_QUEUE_FULL);
    read_large(ends_of[0]);
    assert_int_equal(push(writer, "next"), TENON_OK);
    end(writer, DEADLINE_MS);
    close(ends_of[1]);
    assert_int_equal(read_text(ends_of[0], text, sizeof text), 12);
    assert_memory_equal(text, "[2 lost]next", 12);
    close(ends_of[0]);
}

static void push_next(void *user, enum tn_written what, int sys_errno)
{
    (void)push(user, "next");
    keep_end(NULL, what, sys_errno);
}

/* The next text is there before the writer's thread looks for one. */
static void what_was_lost_is_said_before_the_next_text(void **state)
{
    (void)state;
    int ends_of[2];
    char text[64];

    assert_int_equal(pipe(ends_of), 0);
    tn_writer *writer = writer_to(ends_of[1], 4096);

    assert_int_equal(
        tn_writer_push(writer, &(struct tn_text_out){ .bytes = large,
                                                      .len = LARGE_BYTES,
                                                      .done = push_next,
                                                      .user = writer }),
        TENON_OK);
    assert_int_equal(push(writer, "x"), TENON_E_QUEUE_FULL);
    assert_int_equal(push(writer, "x"), TENON_E_QUEUE_FULL);
    read_large(ends_of[0]);
    end(writer, DEADLINE_MS);
    close(ends_of[1]);
    assert_int_equal(read_text(ends_of[0], text, sizeof text), 12);
    assert_memory_equal(text, "[2 lost]next", 12);
    close(ends_of[0]);
}

static void a_write_that_fails_tells_why(void **state)
{
    (void)state;
    int ends_of[2];

    assert_int_equal(pipe(ends_of), 0);
    close(ends_of[0]);
    tn_writer *writer = writer_to(ends_of[1], 4096);

    assert_int_equal(push_told(writer, "x", 1), TENON_OK);
    await_ends(TN_WRITE_FAILED, 1);
    assert_int_equal(ends.sys_errno, EPIPE);
    end(writer, DEADLINE_MS);
    close(ends_of[1]);
}

/* ---- a function ------------------------------------------------------------ */

/* Holds the writer's thread until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open, left;
    unsigned calls;
};

static void
pass_gate(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    struct gate *gate = user;

    (void)level;
    (void)line;
    (void)len;
    pthread_mutex_lock(&gate->lock);
    gate->calls++;
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        tn_condition_wait(&gate->changed, &gate->lock, NULL);
    }
    gate->left = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void await_flag(struct gate *gate, const bool *flag)
{
    struct timespec until;

    tn_deadline(DEADLINE_MS, &until);
    pthread_mutex_lock(&gate->lock);
    while (!*flag) {
        assert_true(tn_condition_wait(&gate->changed, &gate->lock, &until));
    }
    pthread_mutex_unlock(&gate->lock);
}

static void a_function_that_does_not_return_is_left_alone(void **state)
{
    (void)state;
    static struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER };

    assert_true(tn_condition_init(&gate.changed));
    tn_writer *writer = tn_writer_new(&(struct tn_writer_config){
        .max_bytes = 4096, .put = pass_gate, .user = &gate });

    assert_non_null(writer);
    assert_int_equal(push_told(writer, "one", 3), TENON_OK);
    assert_int_equal(push_told(writer, "two", 3), TENON_OK);
    await_flag(&gate, &gate.entered);
    end(writer, 0);
    /* The thread still owns its text; the other one is gone, or will be with
     * it. */
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    await_flag(&gate, &gate.left);
    await_ends(TN_WRITE_LEFT, 2);
    assert_int_equal(gate.calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_written_in_their_order),
        cmocka_unit_test_setup(who_writes_to_a_stuck_reader_never_waits,
                               forget_ends),
        cmocka_unit_test_setup(what_a_text_keeps_besides_takes_room,
                               forget_ends),
        cmocka_unit_test_setup(what_was_lost_is_said_where_it_is_missing,
                               forget_ends),
        cmocka_unit_test_setup(what_was_lost_is_said_before_the_next_text,
                               forget_ends),
        cmocka_unit_test_setup(a_write_that_fails_tells_why, forget_ends),
        cmocka_unit_test_setup(a_function_that_does_not_return_is_left_alone,
                               forget_ends),
    };

    if (!tn_condition_init(&ends.changed)) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
