/* SPDX-License-Identifier: Apache-2.0 */
/* Capability flags of the distribution handshake: names, bits, the sets that
 * this node advertises and requires. Knows nothing of packets. */
#ifndef TN_DIST_FLAGS_H
#define TN_DIST_FLAGS_H

#include <stddef.h>
#include <stdint.h>

/* Every flag that has a name on the wire, with its bit. */
#define TN_FLAG_LIST(X)                                                        \
    X(PUBLISHED, 0)                                                            \
    X(ATOM_CACHE, 1)                                                           \
    X(EXTENDED_REFERENCES, 2)                                                  \
    X(DIST_MONITOR, 3)                                                         \
    X(FUN_TAGS, 4)                                                             \
    X(DIST_MONITOR_NAME, 5)                                                    \
    X(HIDDEN_ATOM_CACHE, 6)                                                    \
    X(NEW_FUN_TAGS, 7)                                                         \
    X(EXTENDED_PIDS_PORTS, 8)                                                  \
    X(EXPORT_PTR_TAG, 9)                                                       \
    X(BIT_BINARIES, 10)                                                        \
    X(NEW_FLOATS, 11)                                                          \
    X(UNICODE_IO, 12)                                                          \
    X(DIST_HDR_ATOM_CACHE, 13)                                                 \
    X(SMALL_ATOM_TAGS, 14)                                                     \
    X(UTF8_ATOMS, 16)                                                          \
    X(MAP_TAG, 17)                                                             \
    X(BIG_CREATION, 18)                                                        \
    X(SEND_SENDER, 19)                                                         \
    X(BIG_SEQTRACE_LABELS, 20)                                                 \
    X(EXIT_PAYLOAD, 22)                                                        \
    X(FRAGMENTS, 23)                                                           \
    X(HANDSHAKE_23, 24)                                                        \
    X(UNLINK_ID, 25)                                                           \
    X(MANDATORY_25_DIGEST, 26)                                                 \
    X(SPAWN, 32)                                                               \
    X(NAME_ME, 33)                                                             \
    X(V4_NC, 34)                                                               \
    X(ALIAS, 35)                                                               \
    X(LOCAL_EXT, 36)                                                           \
    X(ALTACT_SIG, 37)                                                          \
    X(NATIVE_RECORDS, 38)

enum tn_flag_bit {
#define TN_FLAG_ENUM(name, bit) TN_FLAG_BIT_##name = (bit),
    TN_FLAG_LIST(TN_FLAG_ENUM)
#undef TN_FLAG_ENUM
};

/* The flag as it stands in the 64-bit field: TN_FLAG(UNLINK_ID). */
#define TN_FLAG(name) (UINT64_C(1) << TN_FLAG_BIT_##name)

/* What the flag MANDATORY_25_DIGEST stands for. */
#define TN_FLAGS_DIGEST_25                                                     \
    (TN_FLAG(EXTENDED_REFERENCES) | TN_FLAG(FUN_TAGS) |                        \
     TN_FLAG(NEW_FUN_TAGS) | TN_FLAG(EXTENDED_PIDS_PORTS) |                    \
     TN_FLAG(EXPORT_PTR_TAG) | TN_FLAG(BIT_BINARIES) | TN_FLAG(NEW_FLOATS) |   \
     TN_FLAG(UTF8_ATOMS) | TN_FLAG(MAP_TAG) | TN_FLAG(BIG_CREATION) |          \
     TN_FLAG(HANDSHAKE_23))

/* What a visible node of ours advertises; a hidden one leaves PUBLISHED out.
 * No DIST_HDR_ATOM_CACHE and no FRAGMENTS: frames are pass-through. */
#define TN_FLAGS_OURS UINT64_C(0x2D075F5FBD)
#define TN_FLAGS_OURS_HIDDEN (TN_FLAGS_OURS & ~TN_FLAG(PUBLISHED))

/* What we require of a peer, after expansion: the oldest release that we
 * talk to (OTP 23) advertises all of it. */
#define TN_FLAGS_MANDATORY TN_FLAGS_DIGEST_25

/* The flags with MANDATORY_25_DIGEST expanded.
 * Threads: any. Blocks: no. */
uint64_t tn_flags_expand(uint64_t flags);

/* Prints the names of the set flags, separated by a comma, unnamed ones as
 * "bit<N>".
 *
 * buf  borrowed, `cap` bytes, cap > 0; the text is cut to cap - 1 bytes and
 *      NUL-terminated.
 * Returns buf.
 * Threads: any. Blocks: no. */
const char *tn_flags_print(uint64_t flags, char *buf, size_t cap);

#endif
