/* SPDX-License-Identifier: Apache-2.0 */
/* The growing byte buffer. Consumed bytes stay in front until room is needed,
 * so that consuming is cheap; they are then moved over once. */
#include "base/buf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP_BYTES 256

void tn_buf_init(struct tn_buf *buf, size_t max)
{
    *buf = (struct tn_buf){ .max = max };
}

void tn_buf_fini(struct tn_buf *buf)
{
    if (buf->bytes != NULL) {
        free(buf->bytes - buf->skipped);
    }
    tn_buf_init(buf, buf->max);
}

void tn_buf_reset(struct tn_buf *buf)
{
    tn_buf_consume(buf, buf->len);
}

static void move_to_front(struct tn_buf *buf)
{
    if (buf->skipped == 0) {
        return;
    }
    uint8_t *front = buf->bytes - buf->skipped;

    memmove(front, buf->bytes, buf->len);
    buf->bytes = front;
    buf->cap += buf->skipped;
    buf->skipped = 0;
}

/* Doubling, but never past the ceiling. `need` is at most the ceiling. */
static size_t next_cap(const struct tn_buf *buf, size_t need)
{
    size_t cap = buf->cap > FIRST_CAP_BYTES ? buf->cap : FIRST_CAP_BYTES;

    while (cap < need) {
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    }
    return cap;
}

#ifdef TN_HOSTILE
/* Every growth moves, so that a pointer kept across it is caught. */
static uint8_t *resized(struct tn_buf *buf, size_t cap)
{
    uint8_t *fresh = malloc(cap);

    if (fresh == NULL) {
        return NULL;
    }
    if (buf->bytes != NULL) {
        memcpy(fresh, buf->bytes, buf->len);
        memset(buf->bytes, 0xdd, buf->cap);
        free(buf->bytes);
    }
    return fresh;
}
#define HOSTILE true
#else
static uint8_t *resized(struct tn_buf *buf, size_t cap)
{
    return realloc(buf->bytes, cap);
}
#define HOSTILE false
#endif

static enum tenon_err grow(struct tn_buf *buf, size_t need)
{
    size_t cap = next_cap(buf, need);
    uint8_t *bytes = resized(buf, cap);

    if (bytes == NULL) {
        return TENON_E_NOMEM;
    }
    buf->bytes = bytes;
    buf->cap = cap;
    return TENON_OK;
}

/* Moving to the front pays when at least half was consumed; with less, the
 * next append would soon move all of it again, so the room grows as well. */
static enum tenon_err make_room(struct tn_buf *buf, size_t need)
{
    bool pays = buf->skipped > 0 && buf->skipped >= buf->len;

    move_to_front(buf);
    if (HOSTILE || buf->cap < need) {
        return grow(buf, need);
    }
    return pays || buf->cap >= buf->max ? TENON_OK : grow(buf, buf->cap + 1);
}

enum tenon_err tn_buf_reserve(struct tn_buf *buf, tn_extent n, uint8_t **at)
{
    if (n > buf->max - buf->len) {
        return TENON_E_LIMIT;
    }
    if (HOSTILE || buf->bytes == NULL || buf->cap - buf->len < n) {
        enum tenon_err rc = make_room(buf, buf->len + (size_t)n);

        if (rc < 0) {
            return rc;
        }
    }
    *at = buf->bytes + buf->len;
    return TENON_OK;
}

enum tenon_err tn_buf_append(struct tn_buf *buf, const void *p, size_t n)
{
    uint8_t *at;
    enum tenon_err rc = tn_buf_reserve(buf, n, &at);

    if (rc < 0) {
        return rc;
    }
    if (n > 0) {
        memcpy(at, p, n);
        buf->len += n;
    }
    return TENON_OK;
}

void tn_buf_consume(struct tn_buf *buf, size_t n)
{
    if (n < buf->len) {
        buf->bytes += n;
        buf->len -= n;
        buf->cap -= n;
        buf->skipped += n;
        return;
    }
    if (buf->bytes != NULL) {
        buf->bytes -= buf->skipped;
    }
    buf->cap += buf->skipped;
    buf->skipped = 0;
    buf->len = 0;
}

void tn_buf_trim(struct tn_buf *buf, size_t keep)
{
    if (buf->len == 0 && buf->cap > keep) {
        tn_buf_fini(buf);
    }
}
