/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the next frame in a byte stream. */
#include "dist/frame.h"

#include "base/error.h"
#include "dist/bytes.h"

/* The first bytes of the forms that FRAGMENTS and DIST_HDR_ATOM_CACHE bring:
 * 131, then one of these. */
#define VERSION_BYTE 131
#define DIST_HEADER 68
#define DIST_FRAG_HEADER 69
#define DIST_FRAG_CONT 70

static enum tenon_err
refuse_form(const uint8_t *body, size_t there, tenon_error *err)
{
    if (there > 1 && body[0] == VERSION_BYTE && body[1] >= DIST_HEADER &&
        body[1] <= DIST_FRAG_CONT) {
        return tn_error(err, TENON_E_FRAME_FORM,
                        "reading a frame: expected pass-through (112), got a "
                        "distribution header (131, %d), which was not "
                        "negotiated",
                        body[1]);
    }
    return tn_error(err, TENON_E_FRAME_FORM,
                    "reading a frame: expected pass-through (112), got %d at "
                    "byte 0",
                    body[0]);
}

enum tenon_err tn_frame_next(const uint8_t *bytes,
                             size_t len,
                             size_t max_bytes,
                             struct tn_frame *frame,
                             tenon_error *err)
{
    *frame = (struct tn_frame){ .kind = TN_FRAME_MORE,
                                .whole = TN_FRAME_HEAD_BYTES };
    if (len < TN_FRAME_HEAD_BYTES) {
        return TENON_OK;
    }
    size_t body_len = tn_get32(bytes);
    const uint8_t *body = bytes + TN_FRAME_HEAD_BYTES;
    size_t there = len - TN_FRAME_HEAD_BYTES;

    if (body_len == 0) {
        frame->kind = TN_FRAME_TICK;
        return TENON_OK;
    }
    if (body_len > max_bytes || body_len > SIZE_MAX - TN_FRAME_HEAD_BYTES) {
        return tn_error(err, TENON_E_FRAME_BIG,
                        "reading a frame: expected at most %zu bytes, got a "
                        "length of %zu",
                        max_bytes, body_len);
    }
    frame->whole = TN_FRAME_HEAD_BYTES + body_len;
    /* Two bytes tell the forms apart; a body of one byte has only one. */
    if (there < 2 && there < body_len) {
        return TENON_OK;
    }
    if (body[0] != TN_FRAME_PASS_THROUGH) {
        return refuse_form(body, there, err);
    }
    if (there >= body_len) {
        frame->kind = TN_FRAME_BODY;
        frame->body = body;
        frame->len = body_len;
    }
    return TENON_OK;
}
