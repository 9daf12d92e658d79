/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded scan. One loop over the bytes with a fixed stack of counters;
 * it runs on every message, so the common tags are handled first and inline. */
#include "term/scan.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <tenon/term.h>

#include "base/error.h"
#include "base/extent.h"
#include "base/utf8.h"
#include "term/bytes.h"
#include "term/number.h"
#include "term/tags.h"

/* What is special about the elements that are being counted. */
enum {
    KIND_PLAIN = 0,
    KIND_LIST = 1, /* the last of them is the list's tail */
    /* anything above: elements of a fun that ends at this offset */
};

struct level {
    uint32_t left; /* terms that are still to come */
    uint32_t kind;
};

struct scan {
    const uint8_t *start;
    const uint8_t *at; /* next byte */
    const uint8_t *end;
    struct level now;
    uint32_t depth;
    uint32_t deepest;
    size_t terms_left; /* that may still be read */
    bool cut;          /* more bytes were given than a term may have */
    tenon_error *err;
    struct level outer[TENON_TERM_MAX_DEPTH];
};

static size_t bytes_left(const struct scan *s)
{
    return (size_t)(s->end - s->at);
}

static size_t offset(const struct scan *s)
{
    return (size_t)(s->at - s->start);
}

static enum tenon_err too_short(const struct scan *s, tn_extent need)
{
    if (s->cut) {
        return tn_error(s->err, TENON_E_TERM_BIG,
                        "term: expected at most %u bytes, got %llu more at "
                        "byte %zu",
                        TENON_TERM_MAX_BYTES, (unsigned long long)need,
                        offset(s));
    }
    return tn_error(s->err, TENON_E_TERM_SHORT,
                    "term: expected %llu more bytes, got %zu at byte %zu",
                    (unsigned long long)need, bytes_left(s), offset(s));
}

static enum tenon_err wrong(const struct scan *s,
                            enum tenon_err code,
                            const char *expected,
                            uint64_t got)
{
    return tn_error(s->err, code, "term: expected %s, got %llu at byte %zu",
                    expected, (unsigned long long)got, offset(s));
}

static enum tenon_err wrong_tag(const struct scan *s, const char *expected)
{
    return tn_error(s->err, TENON_E_TERM_TAG,
                    "term: expected %s, got tag 0x%02x at byte %zu", expected,
                    s->at[0], offset(s));
}

/* Skips `n` bytes of a term whose tag is at s->at. */
static inline enum tenon_err pass(struct scan *s, tn_extent n)
{
    if (n > bytes_left(s)) {
        return too_short(s, n);
    }
    s->at += n;
    return TENON_OK;
}

static enum tenon_err
atom_utf8(struct scan *s, uint8_t head_bytes, uint16_t text_bytes)
{
    size_t characters;

    tn_extent whole = tn_extent_of(head_bytes, text_bytes);

    if (whole > bytes_left(s)) {
        return too_short(s, whole);
    }
    if (!tn_utf8_valid(s->at + head_bytes, text_bytes, &characters)) {
        return wrong(s, TENON_E_TERM_ATOM, "an atom in UTF-8", text_bytes);
    }
    if (characters > TN_ATOM_MAX_CHARACTERS) {
        return wrong(s, TENON_E_TERM_ATOM, "an atom of at most 255 characters",
                     characters);
    }
    s->at += whole;
    return TENON_OK;
}

static enum tenon_err
atom_latin1(struct scan *s, uint8_t head_bytes, uint16_t text_bytes)
{
    if (text_bytes > TN_ATOM_MAX_CHARACTERS) {
        return wrong(s, TENON_E_TERM_ATOM, "an atom of at most 255 characters",
                     text_bytes);
    }
    return pass(s, tn_extent_of(head_bytes, text_bytes));
}

/* Any atom; also inside pids, references, ports, funs and exports. */
static enum tenon_err atom(struct scan *s)
{
    size_t n = bytes_left(s);

    if (n < 3) {
        /* The shortest atom that is followed by nothing: tag and length. */
        if (n < 2 || s->at[1] != 0 ||
            (s->at[0] != TN_SMALL_ATOM_UTF8 && s->at[0] != TN_SMALL_ATOM)) {
            return too_short(s, 3);
        }
    }
    switch (s->at[0]) {
    case TN_SMALL_ATOM_UTF8:
        return atom_utf8(s, 2, s->at[1]);
    case TN_ATOM_UTF8:
        return atom_utf8(s, 3, tn_get16(s->at + 1));
    case TN_ATOM:
        return atom_latin1(s, 3, tn_get16(s->at + 1));
    case TN_SMALL_ATOM:
        return atom_latin1(s, 2, s->at[1]);
    case TN_ATOM_CACHE_REF:
        return wrong_tag(s, "no atom cache reference");
    default:
        return wrong_tag(s, "an atom");
    }
}

/* tag, node atom, `tail_bytes` of numbers */
static enum tenon_err identifier(struct scan *s, uint32_t tail_bytes)
{
    s->at++;
    enum tenon_err rc = atom(s);

    return rc < 0 ? rc : pass(s, tail_bytes);
}

/* tag, word count:16, node atom, creation, words */
static enum tenon_err reference(struct scan *s, uint32_t creation_bytes)
{
    if (bytes_left(s) < 3) {
        return too_short(s, 3);
    }
    uint32_t words = tn_get16(s->at + 1);

    if (words < 1 || words > TN_REF_MAX_WORDS) {
        return wrong(s, TENON_E_TERM_SHAPE, "a reference of 1 to 5 words",
                     words);
    }
    s->at += 2;
    return identifier(s, creation_bytes + 4 * words);
}

static enum tenon_err float64(struct scan *s)
{
    if (bytes_left(s) < 9) {
        return too_short(s, 9);
    }
    /* All exponent bits set: infinite, or not a number. */
    if ((tn_get16(s->at + 1) & 0x7FF0) == 0x7FF0) {
        return wrong(s, TENON_E_TERM_SHAPE, "a finite float",
                     tn_get64(s->at + 1));
    }
    s->at += 9;
    return TENON_OK;
}

static enum tenon_err float_text(struct scan *s)
{
    double value;

    if (bytes_left(s) < 1 + TN_FLOAT_TEXT_BYTES) {
        return too_short(s, 1 + TN_FLOAT_TEXT_BYTES);
    }
    if (!tn_float_ext_value(s->at + 1, &value)) {
        return wrong(s, TENON_E_TERM_SHAPE, "the text of a finite float",
                     s->at[1]);
    }
    s->at += 1 + TN_FLOAT_TEXT_BYTES;
    return TENON_OK;
}

/* tag, length:8 or 32, sign, magnitude */
static enum tenon_err bignum(struct scan *s, uint32_t head_bytes)
{
    if (bytes_left(s) < head_bytes) {
        return too_short(s, head_bytes);
    }
    uint32_t n = head_bytes == 3 ? s->at[1] : tn_get32(s->at + 1);

    if (n > TN_INTEGER_MAX_BYTES) {
        return wrong(s, TENON_E_TERM_BIG, "an integer of at most 4194296 bytes",
                     n);
    }
    if (s->at[head_bytes - 1] > 1) {
        return wrong(s, TENON_E_TERM_SHAPE, "sign 0 or 1",
                     s->at[head_bytes - 1]);
    }
    return pass(s, tn_extent_of(head_bytes, n));
}

/* tag, length:32, bits in the last byte:8, bytes. As BEAM has it: no bits if
 * and only if no bytes. */
static enum tenon_err bit_binary(struct scan *s)
{
    if (bytes_left(s) < 6) {
        return too_short(s, 6);
    }
    uint32_t n = tn_get32(s->at + 1);
    uint8_t bits = s->at[5];

    if (bits > 8 || (bits == 0) != (n == 0)) {
        return wrong(s, TENON_E_TERM_SHAPE,
                     "1 to 8 bits in the last byte of a bitstring", bits);
    }
    return pass(s, tn_extent_of(6, n));
}

static enum tenon_err binary(struct scan *s)
{
    if (bytes_left(s) < 5) {
        return too_short(s, 5);
    }
    return pass(s, tn_extent_of(5, tn_get32(s->at + 1)));
}

static enum tenon_err string(struct scan *s)
{
    if (bytes_left(s) < 3) {
        return too_short(s, 3);
    }
    return pass(s, tn_extent_of(3, tn_get16(s->at + 1)));
}

/* An integer as funs and exports hold it: 8 or 32 bits. */
static enum tenon_err small_integer(struct scan *s)
{
    if (bytes_left(s) < 2) {
        return too_short(s, 2);
    }
    switch (s->at[0]) {
    case TN_SMALL_INTEGER:
        return pass(s, 2);
    case TN_INTEGER:
        return pass(s, 5);
    default:
        return wrong_tag(s, "an integer");
    }
}

/* tag, module, function, arity from 0 to 255 */
static enum tenon_err export_fun(struct scan *s)
{
    s->at++;
    enum tenon_err rc = atom(s);

    if (rc < 0 || (rc = atom(s)) < 0) {
        return rc;
    }
    const uint8_t *arity = s->at;

    if ((rc = small_integer(s)) < 0) {
        return rc;
    }
    if (arity[0] == TN_INTEGER && tn_get32(arity + 1) > 255) {
        s->at = arity;
        return wrong(s, TENON_E_TERM_SHAPE, "an arity of at most 255",
                     tn_get32(arity + 1));
    }
    return TENON_OK;
}

/* Enters a container of `count` terms, each of which has at least a byte: a
 * count that cannot be right is refused here, before anything loops. */
static inline enum tenon_err
enter(struct scan *s, uint32_t head_bytes, tn_extent count, uint32_t kind)
{
    if (count > bytes_left(s) - head_bytes) {
        return too_short(s, head_bytes + count);
    }
    bool goes_on =
        s->now.left == 0 && s->now.kind == KIND_LIST && kind == KIND_LIST;

    if (!goes_on) {
        if (s->depth == TENON_TERM_MAX_DEPTH) {
            return wrong(s, TENON_E_TERM_DEEP, "at most 512 levels",
                         TENON_TERM_MAX_DEPTH + 1);
        }
        s->outer[s->depth++] = s->now;
        s->deepest = s->depth > s->deepest ? s->depth : s->deepest;
    }
    s->now.left = (uint32_t)count;
    s->now.kind = kind;
    s->at += head_bytes;
    return TENON_OK;
}

static enum tenon_err fun_end(const struct scan *s)
{
    if (offset(s) != s->now.kind) {
        return wrong(s, TENON_E_TERM_SHAPE,
                     "the end of a fun where its size says", s->now.kind);
    }
    return TENON_OK;
}

/* tag, size:32, arity:8, uniq:128, index:32, count of free variables:32,
 * module, old index, old uniq, pid, free variables */
static enum tenon_err fun(struct scan *s)
{
    if (bytes_left(s) < TN_FUN_HEAD_BYTES) {
        return too_short(s, TN_FUN_HEAD_BYTES);
    }
    uint32_t size = tn_get32(s->at + 1);
    uint32_t free_count = tn_get32(s->at + TN_FUN_HEAD_BYTES - 4);

    /* With a size below its head a fun would end before it begins, and its
     * end could be taken for KIND_LIST. */
    if (size < TN_FUN_HEAD_BYTES) {
        return wrong(s, TENON_E_TERM_SHAPE, "a fun of more than its head",
                     size);
    }
    if (size > bytes_left(s) - 1) {
        return too_short(s, tn_extent_of(1, size));
    }
    uint32_t ends_at = (uint32_t)offset(s) + 1 + size;

    s->at += TN_FUN_HEAD_BYTES;
    enum tenon_err rc = atom(s);

    if (rc < 0 || (rc = small_integer(s)) < 0 || (rc = small_integer(s)) < 0) {
        return rc;
    }
    if (bytes_left(s) == 0) {
        return too_short(s, 1);
    }
    if (s->at[0] == TN_NEW_PID) {
        rc = identifier(s, 12);
    } else if (s->at[0] == TN_PID) {
        rc = identifier(s, 9);
    } else {
        rc = wrong_tag(s, "a pid");
    }
    return rc < 0 ? rc : enter(s, 0, free_count, ends_at);
}

/* tag, count:32, elements, tail. A count of 0 is taken only before [], since
 * with any other tail the bytes would not be a list at all. */
static enum tenon_err list(struct scan *s)
{
    if (bytes_left(s) < 6) {
        return too_short(s, 6);
    }
    uint32_t count = tn_get32(s->at + 1);

    if (count == 0 && s->at[5] != TN_NIL) {
        return wrong(s, TENON_E_TERM_SHAPE, "a list with elements", 0);
    }
    return enter(s, 5, tn_extent_of(1, count), KIND_LIST);
}

static enum tenon_err large_tuple(struct scan *s)
{
    if (bytes_left(s) < 5) {
        return too_short(s, 5);
    }
    return enter(s, 5, tn_get32(s->at + 1), KIND_PLAIN);
}

static enum tenon_err map(struct scan *s)
{
    if (bytes_left(s) < 5) {
        return too_short(s, 5);
    }
    return enter(s, 5, 2 * (tn_extent)tn_get32(s->at + 1), KIND_PLAIN);
}

static enum tenon_err refused(const struct scan *s)
{
    switch (s->at[0]) {
    case TN_ATOM_CACHE_REF:
        return wrong_tag(s, "no atom cache reference");
    case TN_COMPRESSED:
        return wrong_tag(s, "no compressed term");
    case TN_OLD_REF:
        return wrong_tag(s, "no reference of OTP R5");
    case TN_OLD_FUN:
        return wrong_tag(s, "no fun of OTP R7");
    default:
        return wrong_tag(s, "a term");
    }
}

/* One term, or the head of one that holds others. At least a byte is there. */
static inline enum tenon_err one(struct scan *s)
{
    switch (s->at[0]) {
    case TN_SMALL_INTEGER:
        return pass(s, 2);
    case TN_SMALL_ATOM_UTF8:
    case TN_ATOM_UTF8:
    case TN_ATOM:
    case TN_SMALL_ATOM:
        return atom(s);
    case TN_BINARY:
        return binary(s);
    case TN_NIL:
        return pass(s, 1);
    case TN_SMALL_TUPLE:
        if (bytes_left(s) < 2) {
            return too_short(s, 2);
        }
        return enter(s, 2, s->at[1], KIND_PLAIN);
    case TN_INTEGER:
        return pass(s, 5);
    case TN_LIST:
        return list(s);
    case TN_MAP:
        return map(s);
    case TN_STRING:
        return string(s);
    case TN_NEW_PID:
        return identifier(s, 12);
    case TN_NEWER_REF:
        return reference(s, 4);
    case TN_NEW_FLOAT:
        return float64(s);
    case TN_SMALL_BIG:
        return bignum(s, 3);
    case TN_LARGE_BIG:
        return bignum(s, 6);
    case TN_LARGE_TUPLE:
        return large_tuple(s);
    case TN_BIT_BINARY:
        return bit_binary(s);
    case TN_PID:
        return identifier(s, 9);
    case TN_NEW_PORT:
        return identifier(s, 8);
    case TN_PORT:
        return identifier(s, 5);
    case TN_V4_PORT:
        return identifier(s, 12);
    case TN_NEW_REF:
        return reference(s, 1);
    case TN_FLOAT:
        return float_text(s);
    case TN_EXPORT:
        return export_fun(s);
    case TN_NEW_FUN:
        return fun(s);
    default:
        return refused(s);
    }
}

/* Leaves what has been read to its end. True: that is all, with what came of
 * it. */
static inline bool leave(struct scan *s, enum tenon_err *rc)
{
    while (s->now.left == 0) {
        *rc = s->now.kind > KIND_LIST ? fun_end(s) : TENON_OK;
        if (*rc < 0 || s->depth == 0) {
            return true;
        }
        s->now = s->outer[--s->depth];
    }
    return false;
}

static inline enum tenon_err next(struct scan *s)
{
    if (s->at == s->end) {
        return too_short(s, s->now.left);
    }
    s->now.left--;
    return one(s);
}

/* The only caller of next(), so that compilers take all of it into this loop.
 * Errors: also LIMIT (terms_left). */
static enum tenon_err run(struct scan *s)
{
    enum tenon_err rc = TENON_OK;

    while (!leave(s, &rc)) {
        if (s->terms_left == 0) {
            return TENON_E_LIMIT;
        }
        s->terms_left--;
        rc = next(s);
        if (rc < 0) {
            return rc;
        }
    }
    return rc;
}

/* Field by field: the stack of counters needs no zeroes. */
static void begin(struct scan *s, const uint8_t *bytes, size_t len)
{
    s->start = bytes;
    s->at = bytes;
    s->cut = len > TENON_TERM_MAX_BYTES;
    s->end = bytes + (s->cut ? TENON_TERM_MAX_BYTES : len);
    s->now = (struct level){ 1, KIND_PLAIN };
    s->depth = 0;
    s->deepest = 0;
    s->terms_left = SIZE_MAX;
    s->err = NULL;
}

enum tenon_err
tn_scan(const uint8_t *bytes, size_t len, size_t *used, tenon_error *err)
{
    struct scan s;

    if (bytes == NULL || len == 0) {
        return tn_error(err, TENON_E_TERM_SHORT,
                        "term: expected a term, got no bytes");
    }
    begin(&s, bytes, len);
    s.err = err;
    enum tenon_err rc = run(&s);

    if (rc == TENON_OK) {
        *used = (size_t)(s.at - s.start);
    }
    return rc;
}

bool tn_scan_few(const uint8_t *bytes, size_t len, size_t *terms, size_t *used)
{
    struct scan s;

    begin(&s, bytes, len);
    s.terms_left = *terms;
    enum tenon_err rc = run(&s);

    *terms = s.terms_left;
    if (rc == TENON_E_LIMIT) {
        return false;
    }
    *used = rc == TENON_OK ? (size_t)(s.at - s.start) : len;
    return true;
}

uint32_t tn_scan_depth(const uint8_t *bytes, size_t len)
{
    struct scan s;

    begin(&s, bytes, len);
    return run(&s) == TENON_OK ? s.deepest : UINT32_MAX;
}

bool tn_fits_below(tenon_term term, uint32_t levels)
{
    if (levels > TENON_TERM_MAX_DEPTH) {
        return false;
    }
    uint32_t most = TENON_TERM_MAX_DEPTH - levels;

    /* A level takes two bytes at least. */
    return term.len / 2 <= most || tn_scan_depth(term.bytes, term.len) <= most;
}

enum tenon_err tenon_term_scan(const void *bytes,
                               size_t len,
                               tenon_term *term,
                               tenon_error *err)
{
    const uint8_t *at = bytes;
    size_t used;

    if (at != NULL && len > 0 && at[0] == TN_VERSION) {
        at++;
        len--;
    }
    enum tenon_err rc = tn_scan(at, len, &used, err);

    if (rc == TENON_OK) {
        *term = (tenon_term){ at, used };
    }
    return rc;
}
