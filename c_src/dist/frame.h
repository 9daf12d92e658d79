/* SPDX-License-Identifier: Apache-2.0 */
/* Splits the byte stream after the handshake into frames. Keeps no state and
 * does no I/O: it looks at the bytes that are there. */
#ifndef TN_DIST_FRAME_H
#define TN_DIST_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>

/* Length prefix of a frame, in bytes. */
#define TN_FRAME_HEAD_BYTES 4u
/* First byte of a pass-through frame. */
#define TN_FRAME_PASS_THROUGH 112
/* Largest frame accepted when nothing else is configured. */
#define TN_FRAME_MAX_BYTES_DEFAULT (64u * 1024u * 1024u)

enum tn_frame_kind {
    TN_FRAME_MORE, /* not whole yet: see `whole` */
    TN_FRAME_TICK, /* length 0 */
    TN_FRAME_BODY, /* a pass-through frame */
};

struct tn_frame {
    enum tn_frame_kind kind;
    const uint8_t *body; /* BODY: starts with the byte 112; borrowed */
    size_t len;          /* BODY: bytes of body */
    size_t whole;        /* bytes of the frame with its head; MORE: at least
                            this many are needed in all from `bytes` on */
};

/* Looks at the frame that starts at `bytes`.
 *
 * bytes      borrowed; may be cut anywhere.
 * max_bytes  largest body accepted.
 * frame      set on success.
 * err        borrowed, may be NULL; filled on failure only.
 *
 * Errors, as early as the bytes show them: FRAME_BIG; FRAME_FORM (a first
 * byte other than 112: a distribution header or fragment, which this node
 * never negotiates, or garbage).
 * Threads: any. Blocks: no. */
TENON_CHECK enum tenon_err tn_frame_next(const uint8_t *bytes,
                                         size_t len,
                                         size_t max_bytes,
                                         struct tn_frame *frame,
                                         tenon_error *err);

#endif
