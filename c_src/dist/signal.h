/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: one normalised form for both directions, its parser and
 * its encoder. Knows no sockets and no processes. */
#ifndef TN_DIST_SIGNAL_H
#define TN_DIST_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>
#include <tenon/term.h>

#include "base/buf.h"

/* The first element of a control tuple, as sent on the wire. */
#define TN_OP_LIST(X)                                                          \
    X(LINK, 1)                                                                 \
    X(SEND, 2)                                                                 \
    X(EXIT, 3)                                                                 \
    X(UNLINK, 4)                                                               \
    X(NODE_LINK, 5)                                                            \
    X(REG_SEND, 6)                                                             \
    X(GROUP_LEADER, 7)                                                         \
    X(EXIT2, 8)                                                                \
    X(SEND_TT, 12)                                                             \
    X(EXIT_TT, 13)                                                             \
    X(REG_SEND_TT, 16)                                                         \
    X(EXIT2_TT, 18)                                                            \
    X(MONITOR_P, 19)                                                           \
    X(DEMONITOR_P, 20)                                                         \
    X(MONITOR_P_EXIT, 21)                                                      \
    X(SEND_SENDER, 22)                                                         \
    X(SEND_SENDER_TT, 23)                                                      \
    X(PAYLOAD_EXIT, 24)                                                        \
    X(PAYLOAD_EXIT_TT, 25)                                                     \
    X(PAYLOAD_EXIT2, 26)                                                       \
    X(PAYLOAD_EXIT2_TT, 27)                                                    \
    X(PAYLOAD_MONITOR_P_EXIT, 28)                                              \
    X(SPAWN_REQUEST, 29)                                                       \
    X(SPAWN_REQUEST_TT, 30)                                                    \
    X(SPAWN_REPLY, 31)                                                         \
    X(SPAWN_REPLY_TT, 32)                                                      \
    X(ALIAS_SEND, 33)                                                          \
    X(ALIAS_SEND_TT, 34)                                                       \
    X(UNLINK_ID, 35)                                                           \
    X(UNLINK_ID_ACK, 36)                                                       \
    X(ALTACT_SIG_SEND, 37)

enum tn_op {
#define TN_OP_ENUM(name, number) TN_OP_##name = (number),
    TN_OP_LIST(TN_OP_ENUM)
#undef TN_OP_ENUM
};

enum tn_signal_kind {
    TN_SIG_SEND,       /* message to a pid */
    TN_SIG_SEND_NAME,  /* message to a registered name */
    TN_SIG_SEND_ALIAS, /* message to an alias reference */
    TN_SIG_LINK,
    TN_SIG_UNLINK,
    TN_SIG_UNLINK_ACK,
    TN_SIG_EXIT,  /* a link broke: `from` ended */
    TN_SIG_EXIT2, /* exit/2: `from` asks `to` to end */
    TN_SIG_MONITOR,
    TN_SIG_DEMONITOR,
    TN_SIG_DOWN, /* what was monitored has ended */
    TN_SIG_SPAWN_REQUEST,
    TN_SIG_SPAWN_REPLY,
    TN_SIG_GROUP_LEADER,
};
#define TN_SIG_KINDS 14

/* Which fields a kind has (all others are the null view or 0):
 *
 *   kind           from          to            others
 *   SEND           pid or none   pid           payload
 *   SEND_NAME      pid           atom          payload
 *   SEND_ALIAS     pid           ref           payload
 *   LINK           pid           pid
 *   UNLINK         pid           pid           id (0: UNLINK without ack)
 *   UNLINK_ACK     pid           pid           id
 *   EXIT           pid           pid           payload (the reason)
 *   EXIT2          pid           pid [1]       payload (the reason)
 *   MONITOR        pid           pid or atom   ref
 *   DEMONITOR      pid           pid or atom   ref
 *   DOWN           pid or atom   pid           ref, payload (the reason)
 *   SPAWN_REQUEST  pid           none          ref, group_leader (pid), mfa,
 *                                              opts, payload (arguments)
 *   SPAWN_REPLY    none          pid           ref, flags, payload (pid, or
 *                                              an atom: the error)
 *   GROUP_LEADER   none          pid           group_leader (pid)
 *
 * [1] on input also an atom or a reference: exit/3 of OTP 28 and later.
 *
 * `mfa` is a tuple of two atoms and an integer of 0..255; `opts` and the
 * arguments of SPAWN_REQUEST may be any term, the receiver checks them.
 * All views are borrowed from the frame they were parsed from, so that
 * identifiers are echoed byte for byte. */
struct tn_signal {
    enum tn_signal_kind kind;
    tenon_term from;
    tenon_term to;
    tenon_term ref;
    uint64_t id;
    uint32_t flags;
    tenon_term payload;
    tenon_term group_leader;
    tenon_term mfa;
    tenon_term opts;
    /* Input only: how many arguments a SPAWN_REQUEST has; SIZE_MAX when they are
     * no proper list. */
    size_t arity;
    /* Output only, for the three kinds of messages: somebody waits for this
     * one, so that it is not among those that a full queue refuses first. */
    bool awaited;
};

/* Longest reason of an EXIT, EXIT2 or DOWN. */
#define TN_REASON_MAX_BYTES (1024u * 1024u)

/* SPAWN_REPLY flags. */
#define TN_SPAWN_LINK 1u
#define TN_SPAWN_MONITOR 2u

/* Reads the body of one pass-through frame: `112 131 control [131 message]`.
 * Runs the bounded scan over both terms, then checks arity, the type of every
 * field, and that a message is there exactly where the operation has one.
 * Trace tokens are dropped; payload, trace and ALTACT_SIG forms fold into the
 * same kinds.
 *
 * body    borrowed, without the 4-byte length; must outlive the views.
 * signal  set on success.
 * err     borrowed, may be NULL; filled on failure only.
 *
 * Errors: FRAME_FORM, CONTROL, TERM_*: the protocol is broken, the connection
 * must be closed. NOTSUP: well-formed, but an operation that this node does
 * not know; LIMIT: a message that is nested deeper than this node reads: count
 * it, log it, go on. A reason that is too deep reads as system_limit, and the
 * arguments of such a spawn request as the null view. A reason of more than
 * TN_REASON_MAX_BYTES reads as system_limit, too: it is copied for each that it
 * reaches.
 * Threads: any. Blocks: no. */
TENON_CHECK enum tenon_err tn_signal_parse(const uint8_t *body,
                                           size_t len,
                                           struct tn_signal *signal,
                                           tenon_error *err);

/* Whether reading that body takes few steps: at most `terms` terms lie in it.
 * What is no frame is short. */
bool tn_signal_is_short(const uint8_t *body, size_t len, size_t terms);

/* Appends one whole frame with its 4-byte length. The operation is chosen by
 * the peer's flags: payload forms with EXIT_PAYLOAD, SEND_SENDER, UNLINK_ID or
 * the old UNLINK (whose ack then does not exist), ALIAS or else ALTACT_SIG.
 *
 * out         borrowed; untouched on failure.
 * signal      borrowed; views must be valid terms.
 * peer_flags  as the peer sent them, expanded.
 * err         borrowed, may be NULL; filled on failure only.
 *
 * Errors: INVAL (a field that the kind needs is missing), NOTSUP (the peer
 * lacks the capability: SEND_ALIAS without ALIAS and ALTACT_SIG, MONITOR and
 * its like without DIST_MONITOR, SPAWN_* without SPAWN, UNLINK_ACK without
 * UNLINK_ID), LIMIT (`out` is full, or the frame would exceed 4 GiB), NOMEM.
 * Threads: one per `out`. Blocks: no. */
TENON_CHECK enum tenon_err tn_signal_encode(struct tn_buf *out,
                                            const struct tn_signal *signal,
                                            uint64_t peer_flags,
                                            tenon_error *err);

/* True unless BEAM nodes demand, for this kind, that `from` is a process of
 * the node at the other end, and it is not.
 *
 * peer  borrowed; full name of the node at the other end, NUL-terminated. */
bool tn_signal_from_peer(const struct tn_signal *signal, const char *peer);

/* False when it asks for an answer of a process that is not of this node: as
 * BEAM nodes do, who demand that the answers' `from` is.
 *
 * node  borrowed; full name of this node, NUL-terminated. */
bool tn_signal_for_node(const struct tn_signal *signal, const char *node);

/* True for a link's EXIT to a process of the peer's that belongs to another
 * incarnation of it: BEAM nodes close the connection for that.
 *
 * peer, creation  of the node at the other end. */
bool tn_signal_is_stale_exit(const struct tn_signal *signal,
                             const char *peer,
                             uint32_t creation);

/* True for SEND, SEND_NAME, SEND_ALIAS: what may be shed when a queue is
 * full. */
bool tn_signal_is_message(enum tn_signal_kind kind);

/* True for what somebody waits for: losing it must be told. */
static inline bool tn_signal_is_awaited(const struct tn_signal *signal)
{
    return signal->awaited || !tn_signal_is_message(signal->kind);
}

/* The name of a kind in lower case, such as "spawn_request". */
const char *tn_signal_name(enum tn_signal_kind kind);

#endif
