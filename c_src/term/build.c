/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: writes terms as BEAM writes them to other nodes. Written here
 * and not with ei_x_encode_..., which writes integers of 28 to 32 bits as
 * bignums, grows its buffer by 100 bytes at a time and has no ceiling. */
#include "term/build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/extent.h"
#include "base/utf8.h"
#include "term/bytes.h"
#include "term/scan.h"
#include "term/tags.h"
#include "term/view.h"

/* ---- life ------------------------------------------------------------- */

void tn_builder_init(tenon_builder *builder, size_t max_bytes)
{
    tn_buf_init(&builder->own, max_bytes);
    builder->out = &builder->own;
    builder->start = 0;
    builder->terms = 0;
    builder->error = TENON_OK;
    builder->depth = 0;
}

void tn_builder_init_over(tenon_builder *builder, struct tn_buf *out)
{
    tn_builder_init(builder, 0);
    builder->out = out;
    builder->start = out->len;
}

void tn_builder_fini(tenon_builder *builder)
{
    tn_buf_fini(&builder->own);
    builder->out = &builder->own;
    builder->start = 0;
}

tenon_builder *tenon_builder_new(void)
{
    tenon_builder *builder = malloc(sizeof *builder);

    if (builder != NULL) {
        tn_builder_init(builder, TENON_TERM_MAX_BYTES);
    }
    return builder;
}

void tenon_builder_free(tenon_builder *builder)
{
    if (builder != NULL) {
        tn_builder_fini(builder);
        free(builder);
    }
}

void tenon_builder_reset(tenon_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    builder->out->len = builder->start;
    builder->terms = 0;
    builder->error = TENON_OK;
    builder->depth = 0;
}

enum tenon_err tenon_builder_error(const tenon_builder *builder)
{
    return builder == NULL ? TENON_E_INVAL : builder->error;
}

enum tenon_err tn_builder_bytes(const tenon_builder *builder,
                                const uint8_t **bytes,
                                size_t *len)
{
    if (builder == NULL) {
        return TENON_E_INVAL;
    }
    if (builder->error < 0) {
        return builder->error;
    }
    if (builder->depth > 0) {
        return TENON_E_TERM_SHAPE;
    }
    *len = builder->out->len - builder->start;
    *bytes = *len == 0 ? NULL : builder->out->bytes + builder->start;
    return TENON_OK;
}

enum tenon_err tenon_builder_term(const tenon_builder *builder,
                                  tenon_term *term)
{
    const uint8_t *bytes;
    size_t len;
    enum tenon_err rc = tn_builder_bytes(builder, &bytes, &len);

    if (rc < 0) {
        return rc;
    }
    if (builder->terms != 1) {
        return TENON_E_TERM_SHAPE;
    }
    *term = (tenon_term){ bytes, len };
    return TENON_OK;
}

enum tenon_err tn_builder_fail(tenon_builder *builder, enum tenon_err error)
{
    if (builder == NULL) {
        return TENON_E_INVAL;
    }
    if (builder->error == TENON_OK) {
        builder->error = error;
    }
    return builder->error;
}

/* ---- bytes and nesting ------------------------------------------------ */

/* Room for `n` bytes of a term, already counted as written; NULL after the
 * builder has failed. */
static uint8_t *room(tenon_builder *builder, tn_extent n)
{
    uint8_t *at;

    if (builder == NULL || builder->error < 0) {
        return NULL;
    }
    if (n > TENON_TERM_MAX_BYTES - (builder->out->len - builder->start)) {
        builder->error = TENON_E_TERM_BIG;
        return NULL;
    }
    enum tenon_err rc = tn_buf_reserve(builder->out, n, &at);

    if (rc < 0) {
        bool own = builder->out == &builder->own;

        builder->error = rc == TENON_E_LIMIT && own ? TENON_E_TERM_BIG : rc;
        return NULL;
    }
    builder->out->len += (size_t)n;
    return at;
}

/* A term begins: it takes its place in the innermost container. */
static void begin(tenon_builder *builder)
{
    if (builder->depth > 0) {
        builder->now.left--;
    }
}

/* A term is complete, and with it the containers whose last element it was. */
static enum tenon_err complete(tenon_builder *builder)
{
    while (builder->depth > 0 && builder->now.left == 0) {
        builder->now = builder->outer[--builder->depth];
    }
    if (builder->depth == 0) {
        builder->terms++;
    }
    return TENON_OK;
}

/* A container was begun in which `count` > 0 terms follow. A list in the tail
 * of a list takes the place of that list, as in the scan. */
static enum tenon_err open(tenon_builder *builder, size_t count, bool is_list)
{
    bool goes_on = builder->depth > 0 && builder->now.left == 0 &&
                   builder->now.is_list && is_list;

    if (!goes_on) {
        if (builder->depth == TENON_TERM_MAX_DEPTH) {
            return tn_builder_fail(builder, TENON_E_TERM_DEEP);
        }
        builder->outer[builder->depth++] = builder->now;
    }
    builder->now.left = (uint32_t)count & 0x7FFFFFFF;
    builder->now.is_list = is_list;
    return TENON_OK;
}

static enum tenon_err
container(tenon_builder *builder, uint8_t *head, size_t count, bool is_list)
{
    if (head == NULL) {
        return tenon_builder_error(builder);
    }
    begin(builder);
    return count == 0 ? complete(builder) : open(builder, count, is_list);
}

static enum tenon_err scalar(tenon_builder *builder, const uint8_t *written)
{
    if (written == NULL) {
        return tenon_builder_error(builder);
    }
    begin(builder);
    return complete(builder);
}

/* ---- integers --------------------------------------------------------- */

static enum tenon_err
big(tenon_builder *builder, bool negative, const uint8_t *magnitude, size_t len)
{
    size_t head = len < 256 ? 3 : 6;
    uint8_t *p = room(builder, head + len);

    if (p == NULL) {
        return tenon_builder_error(builder);
    }
    if (head == 3) {
        p[0] = TN_SMALL_BIG;
        p[1] = (uint8_t)len;
    } else {
        p[0] = TN_LARGE_BIG;
        tn_put32(p + 1, (uint32_t)len);
    }
    p[head - 1] = negative;
    memcpy(p + head, magnitude, len);
    return scalar(builder, p);
}

static enum tenon_err
build_magnitude(tenon_builder *builder, bool negative, uint64_t magnitude)
{
    uint8_t bytes[8];
    size_t len = 0;
    uint8_t *p;

    if (!negative && magnitude < 256) {
        p = room(builder, 2);
        if (p != NULL) {
            p[0] = TN_SMALL_INTEGER;
            p[1] = (uint8_t)magnitude;
        }
        return scalar(builder, p);
    }
    if (magnitude <= (uint64_t)INT32_MAX + (negative ? 1 : 0)) {
        p = room(builder, 5);
        if (p != NULL) {
            p[0] = TN_INTEGER;
            tn_put32(p + 1, (uint32_t)(negative ? 0 - magnitude : magnitude));
        }
        return scalar(builder, p);
    }
    for (; magnitude != 0; magnitude >>= 8) {
        bytes[len++] = (uint8_t)magnitude;
    }
    return big(builder, negative, bytes, len);
}

enum tenon_err tenon_build_int(tenon_builder *builder, int64_t v)
{
    uint64_t magnitude = (uint64_t)v;

    return build_magnitude(builder, v < 0, v < 0 ? 0 - magnitude : magnitude);
}

enum tenon_err tenon_build_uint(tenon_builder *builder, uint64_t v)
{
    return build_magnitude(builder, false, v);
}

enum tenon_err tenon_build_integer(tenon_builder *builder,
                                   bool negative,
                                   const uint8_t *magnitude,
                                   size_t len)
{
    uint64_t small = 0;

    if (magnitude == NULL && len > 0) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    while (len > 0 && magnitude[len - 1] == 0) {
        len--;
    }
    if (len > TN_INTEGER_MAX_BYTES) {
        return tn_builder_fail(builder, TENON_E_TERM_BIG);
    }
    if (len > 8) {
        return big(builder, negative, magnitude, len);
    }
    for (size_t i = len; i > 0; i--) {
        small = small << 8 | magnitude[i - 1];
    }
    return build_magnitude(builder, negative && len > 0, small);
}

/* ---- other scalars ---------------------------------------------------- */

enum tenon_err tenon_build_double(tenon_builder *builder, double v)
{
    uint64_t bits;

    if (!isfinite(v)) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    uint8_t *p = room(builder, 9);

    if (p != NULL) {
        memcpy(&bits, &v, sizeof bits);
        p[0] = TN_NEW_FLOAT;
        tn_put64(p + 1, bits);
    }
    return scalar(builder, p);
}

static bool is_atom_text(const char *text, size_t len)
{
    size_t characters;

    return len <= TENON_ATOM_MAX_BYTES &&
           tn_utf8_valid((const uint8_t *)text, len, &characters) &&
           characters <= TN_ATOM_MAX_CHARACTERS;
}

static size_t atom_bytes(size_t len)
{
    return (len < 256 ? 2 : 3) + len;
}

/* Writes an atom of atom_bytes(len); returns what follows it. */
static uint8_t *put_atom(uint8_t *p, const char *text, size_t len)
{
    if (len < 256) {
        *p++ = TN_SMALL_ATOM_UTF8;
        *p++ = (uint8_t)len;
    } else {
        *p++ = TN_ATOM_UTF8;
        tn_put16(p, (uint16_t)len);
        p += 2;
    }
    memcpy(p, text, len);
    return p + len;
}

enum tenon_err
tn_build_atom(tenon_builder *builder, const char *text, size_t len)
{
    if (text == NULL) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (!is_atom_text(text, len)) {
        return tn_builder_fail(builder, TENON_E_TERM_ATOM);
    }
    uint8_t *p = room(builder, atom_bytes(len));

    if (p != NULL) {
        put_atom(p, text, len);
    }
    return scalar(builder, p);
}

enum tenon_err tenon_build_atom(tenon_builder *builder, const char *text)
{
    return tn_build_atom(builder, text, text == NULL ? 0 : strlen(text));
}

enum tenon_err tenon_build_bool(tenon_builder *builder, bool v)
{
    return v ? tn_build_atom(builder, "true", 4)
             : tn_build_atom(builder, "false", 5);
}

enum tenon_err
tenon_build_binary(tenon_builder *builder, const void *bytes, size_t len)
{
    if (bytes == NULL && len > 0) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (len > TENON_TERM_MAX_BYTES) {
        return tn_builder_fail(builder, TENON_E_TERM_BIG);
    }
    uint8_t *p = room(builder, 5 + len);

    if (p != NULL) {
        p[0] = TN_BINARY;
        tn_put32(p + 1, (uint32_t)len);
        if (len > 0) {
            memcpy(p + 5, bytes, len);
        }
    }
    return scalar(builder, p);
}

enum tenon_err tenon_build_string(tenon_builder *builder, const char *text)
{
    if (text == NULL) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    return tenon_build_binary(builder, text, strlen(text));
}

enum tenon_err tn_build_bits(tenon_builder *builder,
                             const uint8_t *bytes,
                             size_t len,
                             uint8_t last_bits)
{
    if (last_bits == 8 || len == 0) {
        return tenon_build_binary(builder, bytes, len);
    }
    if (bytes == NULL || last_bits < 1 || last_bits > 7) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (len > TENON_TERM_MAX_BYTES) {
        return tn_builder_fail(builder, TENON_E_TERM_BIG);
    }
    uint8_t *p = room(builder, 6 + len);

    if (p != NULL) {
        p[0] = TN_BIT_BINARY;
        tn_put32(p + 1, (uint32_t)len);
        p[5] = last_bits;
        memcpy(p + 6, bytes, len);
        p[5 + len] &= (uint8_t)(0xFF << (8 - last_bits));
    }
    return scalar(builder, p);
}

/* ---- identifiers, exports --------------------------------------------- */

enum tenon_err tenon_build_pid(tenon_builder *builder, const tenon_pid *pid)
{
    size_t len = pid == NULL ? 0 : strlen(pid->node);

    if (pid == NULL) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (!is_atom_text(pid->node, len)) {
        return tn_builder_fail(builder, TENON_E_TERM_ATOM);
    }
    uint8_t *start = room(builder, 1 + atom_bytes(len) + 12);

    if (start != NULL) {
        start[0] = TN_NEW_PID;
        uint8_t *p = put_atom(start + 1, pid->node, len);

        tn_put32(p, pid->id);
        tn_put32(p + 4, pid->serial);
        tn_put32(p + 8, pid->creation);
    }
    return scalar(builder, start);
}

enum tenon_err tenon_build_ref(tenon_builder *builder, const tenon_ref *ref)
{
    size_t len = ref == NULL ? 0 : strlen(ref->node);

    if (ref == NULL || ref->word_count < 1 ||
        ref->word_count > TN_REF_MAX_WORDS) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (!is_atom_text(ref->node, len)) {
        return tn_builder_fail(builder, TENON_E_TERM_ATOM);
    }
    size_t words = ref->word_count;
    uint8_t *start = room(builder, 3 + atom_bytes(len) + 4 + 4 * words);

    if (start != NULL) {
        start[0] = TN_NEWER_REF;
        tn_put16(start + 1, (uint16_t)words);
        uint8_t *p = put_atom(start + 3, ref->node, len);

        tn_put32(p, ref->creation);
        for (size_t i = 0; i < words; i++) {
            tn_put32(p + 4 + 4 * i, ref->words[i]);
        }
    }
    return scalar(builder, start);
}

enum tenon_err tn_build_export(tenon_builder *builder,
                               const char *module,
                               size_t module_len,
                               const char *function,
                               size_t function_len,
                               uint8_t arity)
{
    if (!is_atom_text(module, module_len) ||
        !is_atom_text(function, function_len)) {
        return tn_builder_fail(builder, TENON_E_TERM_ATOM);
    }
    uint8_t *start = room(builder, 1 + atom_bytes(module_len) +
                                       atom_bytes(function_len) + 2);

    if (start != NULL) {
        start[0] = TN_EXPORT;
        uint8_t *p = put_atom(start + 1, module, module_len);

        p = put_atom(p, function, function_len);
        p[0] = TN_SMALL_INTEGER;
        p[1] = arity;
    }
    return scalar(builder, start);
}

/* ---- containers ------------------------------------------------------- */

/* Each element has at least a byte, so that a larger count cannot be right. */
static uint8_t *head32(tenon_builder *builder, enum tn_tag tag, size_t count)
{
    if (count > TENON_TERM_MAX_BYTES) {
        tn_builder_fail(builder, TENON_E_TERM_BIG);
        return NULL;
    }
    uint8_t *p = room(builder, 5);

    if (p != NULL) {
        p[0] = (uint8_t)tag;
        tn_put32(p + 1, (uint32_t)count);
    }
    return p;
}

enum tenon_err tenon_build_tuple(tenon_builder *builder, size_t arity)
{
    uint8_t *p;

    if (arity < 256) {
        p = room(builder, 2);
        if (p != NULL) {
            p[0] = TN_SMALL_TUPLE;
            p[1] = (uint8_t)arity;
        }
    } else {
        p = head32(builder, TN_LARGE_TUPLE, arity);
    }
    return container(builder, p, arity, false);
}

enum tenon_err tenon_build_list(tenon_builder *builder, size_t count)
{
    if (count == 0) {
        return tenon_builder_error(builder);
    }
    uint8_t *p = head32(builder, TN_LIST, count);

    return container(builder, p, count + 1, true);
}

enum tenon_err tenon_build_nil(tenon_builder *builder)
{
    uint8_t *p = room(builder, 1);

    if (p != NULL) {
        p[0] = TN_NIL;
    }
    return scalar(builder, p);
}

enum tenon_err tenon_build_map(tenon_builder *builder, size_t pairs)
{
    uint8_t *p = head32(builder, TN_MAP, pairs);

    return container(builder, p, 2 * pairs, false);
}

/* ---- containers of unknown size --------------------------------------- */

/* More than fit into a term, so that the container stays open. */
#define UNKNOWN_COUNT 0x7FFFFFFF

static struct tn_unsized
open_unsized(tenon_builder *builder, enum tn_tag tag, size_t head_bytes)
{
    struct tn_unsized container = { 0 };

    container.is_tuple = tag == TN_SMALL_TUPLE;
    container.is_list = tag == TN_LIST;
    uint8_t *p = room(builder, head_bytes);

    if (p != NULL) {
        p[0] = (uint8_t)tag;
        memset(p + 1, 0, head_bytes - 1);
        container.offset = builder->out->len - builder->start - head_bytes;
        begin(builder);
        open(builder, UNKNOWN_COUNT, container.is_list);
    }
    return container;
}

struct tn_unsized tn_build_open_tuple(tenon_builder *builder)
{
    return open_unsized(builder, TN_SMALL_TUPLE, 2);
}

struct tn_unsized tn_build_open_list(tenon_builder *builder)
{
    return open_unsized(builder, TN_LIST, 5);
}

struct tn_unsized tn_build_open_map(tenon_builder *builder)
{
    return open_unsized(builder, TN_MAP, 5);
}

const uint8_t *tn_built_at(const tenon_builder *builder,
                           struct tn_unsized container)
{
    return builder->out->bytes + builder->start + container.offset;
}

/* A tuple that turned out to need the longer header: moved up by 3 bytes. */
static void widen_tuple(tenon_builder *builder, struct tn_unsized container)
{
    if (room(builder, 3) == NULL) {
        return;
    }
    uint8_t *p = builder->out->bytes + builder->start + container.offset;
    uint8_t *end = builder->out->bytes + builder->out->len;

    memmove(p + 5, p + 2, (size_t)(end - p) - 5);
    p[0] = TN_LARGE_TUPLE;
}

enum tenon_err tn_build_close(tenon_builder *builder,
                              struct tn_unsized container,
                              size_t count)
{
    bool is_wide = !container.is_tuple || count > 255;

    if (container.is_tuple && is_wide) {
        widen_tuple(builder, container);
    }
    if (tenon_builder_error(builder) < 0) {
        return tenon_builder_error(builder);
    }
    uint8_t *p = builder->out->bytes + builder->start + container.offset;

    if (is_wide) {
        tn_put32(p + 1, (uint32_t)count);
    } else {
        p[1] = (uint8_t)count;
    }
    builder->now.left = 0;
    return complete(builder);
}

uint8_t *tn_build_room(tenon_builder *builder, tn_extent len)
{
    uint8_t *p = room(builder, len);

    scalar(builder, p);
    return p;
}

/* ---- whole terms ------------------------------------------------------ */

/* A level takes at least two bytes, so that short terms need no look. */
bool tn_builder_fits(const tenon_builder *builder,
                     tenon_term term,
                     uint32_t below)
{
    return tn_fits_below(term, builder->depth + below);
}

enum tenon_err tenon_build_term(tenon_builder *builder, tenon_term term)
{
    if (builder == NULL || term.bytes == NULL) {
        return tn_builder_fail(builder, TENON_E_INVAL);
    }
    if (!tn_builder_fits(builder, term, 0)) {
        return tn_builder_fail(builder, TENON_E_TERM_DEEP);
    }
    uint8_t *p = room(builder, term.len);

    if (p != NULL) {
        memcpy(p, term.bytes, term.len);
    }
    return scalar(builder, p);
}
