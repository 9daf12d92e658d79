/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue of texts and the thread that writes them, so that whoever has
 * something to write never waits for a reader. What does not fit is left out
 * and counted. */
#ifndef TN_BASE_WRITER_H
#define TN_BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/node.h>

/* What became of a text. */
enum tn_written {
    TN_WRITTEN,
    TN_WRITE_FAILED, /* see the errno */
    TN_WRITE_LEFT,   /* the writer was closed before */
};

struct tn_text_out {
    enum tenon_log_level level; /* for the writer's `put` */
    const void *bytes;
    size_t len;
    size_t extra_bytes; /* of memory that `user` keeps: counts as text */
    /* Called once for a text that was taken, on the writer's thread, or by
     * tn_writer_wait and tn_writer_unref with TN_WRITE_LEFT, when it may only
     * free `user`. May be NULL. Must not block. */
    void (*done)(void *user, enum tn_written what, int sys_errno);
    void *user;
};

struct tn_writer_note {
    char text[1024];
    size_t len;
};

struct tn_writer_config {
    size_t
        max_bytes; /* of what waits; a longer text is taken by an empty one */
    int fd;        /* where texts go, unless `put` takes them */
    /* A descriptor that takes nothing for so long fails the text at hand, and
     * then each at once (ETIMEDOUT) until it takes something; 0: no limit. */
    uint32_t wait_ms;
    /* Takes one text. May block: then the stop leaves its thread alone. */
    tenon_log_fn put;
    void *user;
    /* Makes the text that says how many were not taken. NULL: nothing does. */
    void (*note_lost)(struct tn_writer_note *note, uint64_t lost);
    enum tenon_log_level note_level;
};

/* A writer that waits for a reader looks so often whether it shall end. */
#define TN_WRITER_LOOK_MS 100

typedef struct tn_writer tn_writer;

/* NULL: out of memory, or the system has no room for a lock. The thread is
 * started with the first text. The descriptor is not changed: its flags belong
 * to others too. */
tn_writer *tn_writer_new(const struct tn_writer_config *config);

/* text: copied. What is not taken is counted, and its `done` is not called.
 * Errors: STOPPED (closed), QUEUE_FULL, NOMEM. Threads: any. Blocks: no. */
enum tenon_err tn_writer_push(tn_writer *writer,
                              const struct tn_text_out *text);

/* Texts that were not taken. Threads: any. */
uint64_t tn_writer_lost(tn_writer *writer);

/* Takes nothing more; what waits is written for so long at most. */
void tn_writer_close(tn_writer *writer, uint32_t ms);

/* After the close: waits until all is written or the time is over, and for
 * `done` calls. A thread that is still stuck in a write then is left alone, with
 * memory of its own: it calls nothing any more. Afterwards pushing and counting
 * still work. */
void tn_writer_wait(tn_writer *writer);

/* After tn_writer_wait; NULL is fine. */
void tn_writer_unref(tn_writer *writer);

#endif
