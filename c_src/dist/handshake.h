/* SPDX-License-Identifier: Apache-2.0 */
/* The version 6 handshake of both roles as a state machine: it is fed bytes
 * and asked for bytes. Does no I/O, keeps no time, decides nothing about other
 * connections: its owner does. */
#ifndef TN_DIST_HANDSHAKE_H
#define TN_DIST_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>
#include <tenon/term.h>

/* Largest packet accepted, without its length. The largest that the
 * protocol has is a name message with a 255-byte name, 276 bytes; the rest is
 * room for fields that later releases append. */
#define TN_HANDSHAKE_PACKET_MAX_BYTES 512u
#define TN_HANDSHAKE_OUT_BYTES 1024u
/* Longest cookie accepted, in bytes, as in BEAM nodes. */
#define TN_COOKIE_MAX_BYTES 255u

/* What an acceptor answers to a peer's name. */
enum tn_status {
    TN_STATUS_OK,
    TN_STATUS_OK_SIMULTANEOUS, /* go on; our own attempt is given up */
    TN_STATUS_NOK,             /* our own attempt has precedence */
    TN_STATUS_NOT_ALLOWED,     /* refused */
    TN_STATUS_ALIVE, /* we hold a connection to that name: peer decides */
    TN_STATUS_CLOSE, /* no answer at all */
};

/* What tn_handshake_feed reports. */
enum tn_handshake_event {
    TN_HANDSHAKE_MORE,  /* feed more bytes when they come */
    TN_HANDSHAKE_HELLO, /* acceptor: the peer has named itself: answer with
                           tn_handshake_status */
    TN_HANDSHAKE_ALIVE, /* initiator: the peer still holds a connection to our
                           name: answer with tn_handshake_alive */
    TN_HANDSHAKE_AUTHENTICATED, /* acceptor: digest fits, the ack is not out:
                                   call tn_handshake_ack */
    TN_HANDSHAKE_DONE,          /* the rest of the bytes are frames */
    TN_HANDSHAKE_FAILED, /* err says why; write what is in the output, close */
};

struct tn_handshake_config {
    const char *name;   /* borrowed, must outlive the handshake */
    const char *cookie; /* copied; see tn_handshake_status for an acceptor */
    uint32_t creation;
    uint64_t flags;     /* what we advertise */
    uint64_t mandatory; /* what the peer must have, after expansion */
    const char *peer;   /* borrowed: initiator: the node wanted; acceptor:
                           NULL */
    bool wide;          /* lengths have 4 bytes, as over TLS; else 2 */
    /* Whether this node waits for the answer to that challenge on any
     * connection: whoever sends it would have this node answer itself. NULL:
     * only the handshake's own challenge is compared. */
    bool (*is_own_challenge)(void *user, uint32_t challenge);
    void *user; /* of is_own_challenge */
};

enum tn_handshake_state {
    TN_HANDSHAKE_WAIT_NAME,       /* acceptor */
    TN_HANDSHAKE_WAIT_OWNER,      /* an event waits for its answer */
    TN_HANDSHAKE_WAIT_ALIVE,      /* acceptor said alive */
    TN_HANDSHAKE_WAIT_COMPLEMENT, /* acceptor, after an old name message */
    TN_HANDSHAKE_WAIT_REPLY,      /* acceptor */
    TN_HANDSHAKE_WAIT_STATUS,     /* initiator */
    TN_HANDSHAKE_WAIT_CHALLENGE,  /* initiator */
    TN_HANDSHAKE_WAIT_ACK,        /* initiator */
    TN_HANDSHAKE_ENDED,           /* done or failed */
};

/* Embedded by the owner; fields are private except where a function is the
 * only reader below. */
struct tn_handshake {
    struct tn_handshake_config config;
    char cookie[TN_COOKIE_MAX_BYTES + 1];
    enum tn_handshake_state state;
    enum tn_status status; /* initiator: what the peer answered */
    bool old_name;         /* acceptor: the peer sent the old name message */
    uint64_t peer_flags;   /* expanded */
    uint32_t peer_creation;
    uint32_t challenge;      /* ours */
    uint32_t peer_challenge; /* acceptor: theirs, until the ack */
    char peer_name[TENON_NODE_NAME_MAX_BYTES + 1];
    size_t in_len;
    size_t out_len;
    uint8_t in[4 + TN_HANDSHAKE_PACKET_MAX_BYTES];
    uint8_t out[TN_HANDSHAKE_OUT_BYTES];
};

/* Starts a handshake; an initiator's name message is in the output then.
 *
 * config  copied, what it points to is borrowed.
 * err     borrowed, may be NULL; filled on failure only.
 *
 * Errors: INVAL (a name or cookie that is empty or too long), SYSTEM (no
 * random bytes).
 * Threads: one. Blocks: no. */
TENON_CHECK enum tenon_err
tn_handshake_init(struct tn_handshake *hs,
                  const struct tn_handshake_config *config,
                  tenon_error *err);

/* Takes bytes of the peer up to the next event. Bytes after the last packet
 * are never taken: they belong to the frames.
 *
 * bytes  borrowed; may be cut anywhere.
 * used   set to the number of bytes taken.
 * err    borrowed, may be NULL; filled when FAILED is returned.
 *
 * While an event waits for its answer no byte is taken and MORE is returned.
 * Failures: HANDSHAKE (form, name), FLAGS (names what is missing), AUTH
 * (another cookie, or a challenge of this node's own), REFUSED (not_allowed, or named:), DUPLICATE (nok, or the peer answered
 * false).
 * Threads: one. Blocks: no. */
enum tn_handshake_event tn_handshake_feed(struct tn_handshake *hs,
                                          const uint8_t *bytes,
                                          size_t len,
                                          size_t *used,
                                          tenon_error *err);

/* The owner's answer to HELLO. Puts the status, and the challenge unless the
 * peer is refused or asked, into the output. A refusing status returns FAILED
 * with err filled: write the output, then close.
 *
 * cookie  copied; that of the peer, 1 to TN_COOKIE_MAX_BYTES bytes.
 *
 * Returns MORE or FAILED.
 * Threads: one. Blocks: no. */
enum tn_handshake_event tn_handshake_status(struct tn_handshake *hs,
                                            enum tn_status status,
                                            const char *cookie,
                                            tenon_error *err);

/* The owner's answer to ALIVE: true goes on and makes the peer drop the old
 * connection; false gives up (returns FAILED, DUPLICATE).
 * Threads: one. Blocks: no. */
enum tn_handshake_event
tn_handshake_alive(struct tn_handshake *hs, bool replace, tenon_error *err);

/* The owner's answer to AUTHENTICATED: puts the ack into the output; returns
 * DONE. From here on the handshake is over. */
enum tn_handshake_event tn_handshake_ack(struct tn_handshake *hs,
                                         tenon_error *err);

/* The output: borrowed until the next call; tn_handshake_sent drops its first
 * `len` bytes once they are written. */
const uint8_t *tn_handshake_out(const struct tn_handshake *hs, size_t *len);
void tn_handshake_sent(struct tn_handshake *hs, size_t len);

/* MD5 of the cookie and the decimal text of the challenge.
 * Errors: SYSTEM (no MD5 in this OpenSSL). */
TENON_CHECK enum tenon_err tn_handshake_digest(const char *cookie,
                                               uint32_t challenge,
                                               uint8_t digest[16],
                                               tenon_error *err);

#endif
