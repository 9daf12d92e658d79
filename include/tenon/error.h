/* SPDX-License-Identifier: Apache-2.0 */
/* The error codes of all of Tenon, and the record that carries their detail.
 *
 * A function that can fail returns `enum tenon_err`: TENON_OK is 0, every
 * error is negative. Detail goes into a `tenon_error` on the caller's stack. */
#ifndef TENON_ERROR_H
#define TENON_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers are grouped by layer, appended, never reused: they end up in logs. */
#define TENON_ERR_LIST(X)                                                      \
    /* general */                                                              \
    X(NOMEM, -1, "out of memory")                                              \
    X(INVAL, -2, "invalid argument")                                           \
    X(TIMEOUT, -3, "deadline passed")                                          \
    X(LIMIT, -4, "limit reached")                                              \
    X(SYSTEM, -5, "system call failed")                                        \
    X(STOPPED, -6, "node is stopping")                                         \
    X(NOT_ALLOWED, -7, "not allowed on this thread")                           \
    X(EXISTS, -8, "already exists")                                            \
    X(NOT_FOUND, -9, "not found")                                              \
    /* terms */                                                                \
    X(TERM_SHORT, -101, "term ends before its declared length")                \
    X(TERM_TAG, -102, "unknown or unsupported term tag")                       \
    X(TERM_DEEP, -103, "term is nested too deep")                              \
    X(TERM_BIG, -104, "term is larger than the limit")                         \
    X(TERM_ATOM, -105, "atom is too long or not valid UTF-8")                  \
    X(TERM_SHAPE, -106, "term has a shape that the format forbids")            \
    X(TERM_TYPE, -107, "term is of another type")                              \
    X(TERM_RANGE, -108, "number does not fit")                                 \
    X(TERM_SYNTAX, -109, "term text cannot be read")                           \
    /* epmd, names, cookies */                                                 \
    X(NAME, -201, "unusable node name")                                        \
    X(NAME_TAKEN, -202, "node name is taken")                                  \
    X(COOKIE, -203, "unusable cookie")                                         \
    X(EPMD, -204, "epmd cannot be reached")                                    \
    X(LISTEN, -205, "listening socket cannot be had")                          \
    /* connections */                                                          \
    X(NODEDOWN, -301, "node is down")                                          \
    X(QUEUE_FULL, -302, "queue is full")                                       \
    X(NOPROC, -303, "no such process")                                         \
    X(NOTSUP, -304, "peer does not support this")                              \
    X(BADTERM, -305, "peer sent a term of another shape")                      \
    /* remote calls: how the called function failed */                         \
    X(REMOTE_ERROR, -401, "called function raised an error")                   \
    X(REMOTE_EXIT, -402, "called function or process exited")                  \
    X(REMOTE_THROW, -403, "called function threw")                             \
    X(REMOTE_UNDEF, -404, "called function is undefined")                      \
    /* these end a connection */                                               \
    X(FRAME_BIG, -901, "frame is larger than the limit")                       \
    X(FRAME_FORM, -902, "frame has an unknown form")                           \
    X(CONTROL, -903, "invalid control message")                                \
    X(HANDSHAKE, -904, "handshake packet has an unexpected form")              \
    X(AUTH, -905, "cookies differ")                                            \
    X(FLAGS, -906, "peer lacks mandatory capability flags")                    \
    X(REFUSED, -907, "peer refused the connection")                            \
    X(DUPLICATE, -908, "another connection to the node has precedence")        \
    X(TICK, -909, "nothing was heard from the peer for too long")              \
    X(CLOSED, -910, "peer closed the connection")                              \
    X(TLS, -911, "connection cannot be secured")

enum tenon_err {
    TENON_OK = 0,
#define TENON_ERR_ENUM(name, number, text) TENON_E_##name = (number),
    TENON_ERR_LIST(TENON_ERR_ENUM)
#undef TENON_ERR_ENUM
};

/* Longest detail text, with its final NUL. */
#define TENON_ERROR_TEXT_BYTES 240

/* What went wrong, filled on failure only. `text` says what was being done,
 * what was expected and what came; lower case, no full stop. */
typedef struct tenon_error {
    enum tenon_err code;
    int sys_errno; /* 0, or the errno of the failed system call */
    char text[TENON_ERROR_TEXT_BYTES];
} tenon_error;

/* The one-line text of a code; "unknown error" for a number that is none.
 *
 * Returns a string constant.
 * Threads: any. Blocks: no. */
TENON_API const char *tenon_err_text(enum tenon_err code);

/* The name of a code as written in this header without TENON_E_, such as
 * "TIMEOUT"; "OK" for TENON_OK, "UNKNOWN" for a number that is none.
 *
 * Returns a string constant.
 * Threads: any. Blocks: no. */
TENON_API const char *tenon_err_name(enum tenon_err code);

#ifdef __cplusplus
}
#endif

#endif
