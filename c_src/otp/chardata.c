/* SPDX-License-Identifier: Apache-2.0 */
/* Chardata as UTF-8: walked with a stack of its own, since a peer chooses how
 * deep its lists are. */
#include "base/utf8.h"
#include "otp/io.h"
#include "term/tags.h"
#include "term/view.h"

struct walk {
    struct tn_buf *out;
    enum tenon_io_encoding encoding;
    uint32_t depth;
    struct tn_list_walk lists[TENON_TERM_MAX_DEPTH + 1];
};

static enum tenon_err put_codepoint(struct tn_buf *out, tenon_term term)
{
    uint64_t codepoint;
    uint8_t bytes[4];
    if (tenon_term_uint64(term, &codepoint) != TENON_OK ||
        codepoint > 0x10ffff) {
        return TENON_E_TERM_TYPE;
    }
    size_t len = tn_utf8_put((uint32_t)codepoint, bytes);
    return len == 0 ? TENON_E_TERM_TYPE : tn_buf_append(out, bytes, len);
}

static enum tenon_err
put_latin1(struct tn_buf *out, const uint8_t *bytes, size_t len)
{
    enum tenon_err rc = TENON_OK;
    for (size_t i = 0; i < len && rc == TENON_OK; i++) {
        uint8_t utf8[4];
        rc = tn_buf_append(out, utf8, tn_utf8_put(bytes[i], utf8));
    }
    return rc;
}

static enum tenon_err
put_leaf(struct tn_buf *out, enum tenon_io_encoding encoding, tenon_term term)
{
    const void *bytes;
    size_t len;
    if (tenon_term_type(term) == TENON_TYPE_INTEGER) {
        return put_codepoint(out, term);
    }
    if (tenon_term_binary(term, &bytes, &len) != TENON_OK) {
        return TENON_E_TERM_TYPE;
    }
    if (encoding == TENON_IO_LATIN1) {
        return put_latin1(out, bytes, len);
    }
    return tn_utf8_valid(bytes, len, NULL) ? tn_buf_append(out, bytes, len)
                                           : TENON_E_TERM_TYPE;
}

static bool is_list(const uint8_t *p)
{
    return p[0] == TN_LIST || p[0] == TN_STRING || p[0] == TN_NIL;
}

/* Goes on behind what the innermost list holds at `p`. */
static enum tenon_err put_element(struct walk *w, const uint8_t *p)
{
    if (is_list(p)) {
        tn_list_begin(&w->lists[w->depth++], p);
        return TENON_OK;
    }
    enum tenon_err rc = put_leaf(w->out, w->encoding, (tenon_term){ p, 1 });
    if (rc == TENON_OK) {
        tn_list_passed(&w->lists[w->depth - 1], tn_skip(p));
    }
    return rc;
}

/* An improper list may end in a binary. */
static enum tenon_err end_list(struct walk *w)
{
    const struct tn_list_walk *list = &w->lists[w->depth - 1];
    const uint8_t *tail = tn_list_tail(list);
    enum tenon_err rc =
        is_list(tail) ? TENON_OK
                      : put_leaf(w->out, w->encoding, (tenon_term){ tail, 1 });
    if (rc != TENON_OK) {
        return rc;
    }
    const uint8_t *end = tn_list_end(list, tn_skip(tail));
    w->depth--;
    if (w->depth > 0) {
        tn_list_passed(&w->lists[w->depth - 1], end);
    }
    return TENON_OK;
}

enum tenon_err tn_io_text(struct tn_buf *out,
                          enum tenon_io_encoding encoding,
                          tenon_term chardata)
{
    struct walk w;
    enum tenon_err rc = TENON_OK;
    if (chardata.bytes == NULL || !is_list(chardata.bytes)) {
        return put_leaf(out, encoding, chardata);
    }
    w.out = out;
    w.encoding = encoding;
    w.depth = 1;
    tn_list_begin(&w.lists[0], chardata.bytes);
    while (w.depth > 0 && rc == TENON_OK) {
        const uint8_t *element = tn_list_element(&w.lists[w.depth - 1]);
        rc = element == NULL ? end_list(&w) : put_element(&w, element);
    }
    return rc;
}
