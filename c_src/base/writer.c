/* SPDX-License-Identifier: Apache-2.0 */
/* The queue, its thread, and how both end although a write may never return. */
#include "base/writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/thread.h"

/* A descriptor that is ready and takes nothing is asked again after so long. */
#define REST_NS 5000000u

struct text {
    STAILQ_ENTRY(text) next;
    uint64_t lost_before; /* left out between the text before and this one */
    size_t cost;
    struct tn_text_out out; /* its bytes stand behind */
    char bytes[];
};

struct tn_writer {
    struct tn_writer_config config; /* constant */
    pthread_mutex_t lock;           /* guards all below; taken last */
    pthread_cond_t work;
    pthread_cond_t changed; /* the thread has ended, or a `done` is over */
    STAILQ_HEAD(, text) queue;
    size_t bytes;
    uint64_t lost;     /* ever */
    uint64_t lost_new; /* since the last text in the queue */
    uint64_t until_ms; /* once closed: when it shall end */
    unsigned refs;     /* the owner's, and the thread's own */
    pthread_t thread;  /* while has_thread */
    bool has_thread;   /* and is not joined yet */
    bool ended;        /* the thread does nothing any more */
    bool calls;        /* the thread is in a `done` */
    bool closed;       /* nothing more is taken */
    bool abandoned;    /* nobody waits for the thread any more */

    bool is_stuck; /* the thread's own: the descriptor has taken nothing */
};

/* ---- memory ------------------------------------------------------------- */

tn_writer *tn_writer_new(const struct tn_writer_config *config)
{
    tn_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->config = *config;
    writer->refs = 1;
    STAILQ_INIT(&writer->queue);
    if (pthread_mutex_init(&writer->lock, NULL) != 0) {
        goto no_lock;
    }
    if (!tn_condition_init(&writer->work)) {
        goto no_work;
    }
    if (!tn_condition_init(&writer->changed)) {
        goto no_changed;
    }
    return writer;
no_changed:
    pthread_cond_destroy(&writer->work);
no_work:
    pthread_mutex_destroy(&writer->lock);
no_lock:
    free(writer);
    return NULL;
}

static struct text *text_new(const struct tn_text_out *out)
{
    size_t fixed = sizeof(struct text) + out->extra_bytes;
    if (fixed < out->extra_bytes || out->len > SIZE_MAX - fixed) {
        return NULL;
    }
    struct text *text = malloc(sizeof *text + out->len);
    if (text != NULL) {
        text->out = *out;
        text->cost = fixed + out->len;
        memcpy(text->bytes, out->bytes, out->len);
    }
    return text;
}

static void text_free(struct text *text, enum tn_written what, int sys_errno)
{
    if (text->out.done != NULL) {
        text->out.done(text->out.user, what, sys_errno);
    }
    free(text);
}

static struct text *pop_locked(tn_writer *writer)
{
    struct text *text = STAILQ_FIRST(&writer->queue);
    if (text != NULL) {
        STAILQ_REMOVE_HEAD(&writer->queue, next);
    }
    return text;
}

void tn_writer_unref(tn_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    pthread_mutex_lock(&writer->lock);
    bool is_last = --writer->refs == 0;
    pthread_mutex_unlock(&writer->lock);
    if (!is_last) {
        return;
    }
    struct text *text;
    while ((text = pop_locked(writer)) != NULL) {
        text_free(text, TN_WRITE_LEFT, 0);
    }
    pthread_cond_destroy(&writer->changed);
    pthread_cond_destroy(&writer->work);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

/* ---- the thread --------------------------------------------------------- */

static bool is_over_locked(const tn_writer *writer)
{
    return writer->abandoned ||
           (writer->closed && tn_now_ms() >= writer->until_ms);
}

static bool is_over(tn_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool over = is_over_locked(writer);
    pthread_mutex_unlock(&writer->lock);
    return over;
}

/* Returns 0, ECANCELED (the writer shall end), or ETIMEDOUT. */
static int wait_ready(tn_writer *writer)
{
    uint32_t max_ms = writer->config.wait_ms;
    uint64_t began_ms = tn_now_ms();
    while (!is_over(writer)) {
        struct pollfd out = { .fd = writer->config.fd, .events = POLLOUT };
        if (poll(&out, 1, writer->is_stuck ? 0 : TN_WRITER_LOOK_MS) != 0) {
            writer->is_stuck = false;
            return 0; /* the write says what is wrong */
        }
        if (max_ms != 0 &&
            (writer->is_stuck || tn_now_ms() - began_ms >= max_ms)) {
            writer->is_stuck = true;
            return ETIMEDOUT;
        }
    }
    return ECANCELED;
}

/* A pipe that is ready takes PIPE_BUF bytes at once. Returns 0 or an errno. */
static int write_out(tn_writer *writer, const char *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t part = len - done < PIPE_BUF ? len - done : PIPE_BUF;
        int rc = wait_ready(writer);
        if (rc != 0) {
            return rc;
        }
        ssize_t n = write(writer->config.fd, bytes + done, part);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return errno;
        } else {
            tn_rest_ns(REST_NS);
        }
    }
    return 0;
}

static enum tn_written put(tn_writer *writer,
                           enum tenon_log_level level,
                           const char *bytes,
                           size_t len,
                           int *sys_errno)
{
    if (writer->config.put != NULL) {
        if (is_over(writer)) {
            return TN_WRITE_LEFT;
        }
        writer->config.put(writer->config.user, level, bytes, len);
        return TN_WRITTEN;
    }
    *sys_errno = write_out(writer, bytes, len);
    return *sys_errno == 0           ? TN_WRITTEN
           : *sys_errno == ECANCELED ? TN_WRITE_LEFT
                                     : TN_WRITE_FAILED;
}

static void note_lost(tn_writer *writer, uint64_t lost)
{
    struct tn_writer_note note;
    int ignored;
    if (lost > 0 && writer->config.note_lost != NULL) {
        writer->config.note_lost(&note, lost);
        (void)put(writer, writer->config.note_level, note.text, note.len,
                  &ignored);
    }
}

/* With the lock, which is given up meanwhile. */
static void write_text_locked(tn_writer *writer, struct text *text)
{
    int sys_errno = 0;
    pthread_mutex_unlock(&writer->lock);
    note_lost(writer, text->lost_before);
    enum tn_written what =
        put(writer, text->out.level, text->bytes, text->out.len, &sys_errno);
    pthread_mutex_lock(&writer->lock);
    writer->bytes -= text->cost;
    /* Whom it would tell may be gone. */
    if (writer->abandoned) {
        what = TN_WRITE_LEFT;
    }
    writer->calls = true;
    pthread_mutex_unlock(&writer->lock);
    text_free(text, what, sys_errno);
    pthread_mutex_lock(&writer->lock);
    writer->calls = false;
    pthread_cond_broadcast(&writer->changed);
}

/* With the lock. What is left out last is said when nothing else waits. */
static void note_last_locked(tn_writer *writer)
{
    uint64_t lost = writer->lost_new;
    writer->lost_new = 0;
    pthread_mutex_unlock(&writer->lock);
    note_lost(writer, lost);
    pthread_mutex_lock(&writer->lock);
}

static void *writer_main(void *arg)
{
    tn_writer *writer = arg;
    pthread_mutex_lock(&writer->lock);
    while (!is_over_locked(writer)) {
        struct text *text = pop_locked(writer);
        if (text != NULL) {
            write_text_locked(writer, text);
        } else if (writer->lost_new > 0) {
            note_last_locked(writer);
        } else if (writer->closed) {
            break;
        } else {
            tn_condition_wait(&writer->work, &writer->lock, NULL);
        }
    }
    writer->ended = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    tn_writer_unref(writer);
    return NULL;
}

/* With the lock. Without a thread the texts wait: the next one tries again. */
static void start_thread_locked(tn_writer *writer)
{
    if (writer->has_thread) {
        return;
    }
    writer->has_thread =
        tn_thread_start(&writer->thread, writer_main, writer) == 0;
    writer->refs += writer->has_thread ? 1 : 0;
}

/* ---- the owner ---------------------------------------------------------- */

static enum tenon_err may_take_locked(const tn_writer *writer, size_t cost)
{
    size_t max = writer->config.max_bytes;
    if (writer->closed) {
        return TENON_E_STOPPED;
    }
    return writer->bytes == 0 ||
                   (writer->bytes <= max && cost <= max - writer->bytes)
               ? TENON_OK
               : TENON_E_QUEUE_FULL;
}

enum tenon_err tn_writer_push(tn_writer *writer, const struct tn_text_out *out)
{
    struct text *text = text_new(out);
    pthread_mutex_lock(&writer->lock);
    enum tenon_err rc =
        text == NULL ? TENON_E_NOMEM : may_take_locked(writer, text->cost);
    if (rc == TENON_OK) {
        text->lost_before = writer->lost_new;
        writer->lost_new = 0;
        writer->bytes += text->cost;
        STAILQ_INSERT_TAIL(&writer->queue, text, next);
        start_thread_locked(writer);
        pthread_cond_signal(&writer->work);
    } else {
        writer->lost++;
        writer->lost_new++;
    }
    pthread_mutex_unlock(&writer->lock);
    if (rc != TENON_OK) {
        free(text);
    }
    return rc;
}

uint64_t tn_writer_lost(tn_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t lost = writer->lost;
    pthread_mutex_unlock(&writer->lock);
    return lost;
}

void tn_writer_close(tn_writer *writer, uint32_t ms)
{
    pthread_mutex_lock(&writer->lock);
    writer->closed = true;
    writer->until_ms = tn_now_ms() + ms;
    if (!STAILQ_EMPTY(&writer->queue)) {
        start_thread_locked(writer);
    }
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
}

void tn_writer_wait(tn_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t now = tn_now_ms();
    uint64_t end = writer->until_ms + 2 * TN_WRITER_LOOK_MS;
    struct timespec until;
    tn_deadline(now < end ? (uint32_t)(end - now) : 0, &until);
    while (writer->has_thread && !writer->ended &&
           tn_condition_wait(&writer->changed, &writer->lock, &until)) {
    }
    writer->abandoned = true;
    while (writer->calls) {
        tn_condition_wait(&writer->changed, &writer->lock, NULL);
    }
    bool joins = writer->has_thread && writer->ended;
    bool leaves = writer->has_thread && !writer->ended;
    writer->has_thread = false;
    pthread_mutex_unlock(&writer->lock);
    if (joins) {
        pthread_join(writer->thread, NULL);
    } else if (leaves) {
        pthread_detach(writer->thread);
    }
}
