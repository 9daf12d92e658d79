/* SPDX-License-Identifier: Apache-2.0 */
/* Who this node is: its full name and its cookie. Does not talk to epmd. */
#ifndef TN_DIST_IDENTITY_H
#define TN_DIST_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/error.h>
#include <tenon/term.h>

#include "dist/handshake.h"

/* ei's limits for the two parts of this node's name, in bytes: registration
 * goes through it. Those of peers are bounded by the whole name only. */
#define TN_ALIVE_MAX_BYTES 63u
#define TN_HOST_MAX_BYTES 64u

struct tn_name {
    char full[TENON_NODE_NAME_MAX_BYTES + 1]; /* alive@host */
    char alive[TENON_NODE_NAME_MAX_BYTES + 1];
    char host[TENON_NODE_NAME_MAX_BYTES + 1];
};

/* Makes the full node name as iex --sname and --name do.
 *
 * text     borrowed: "n" or "n@host". Without a host part this machine's name
 *          is taken: up to its first dot for short names, fully qualified for
 *          long ones.
 * is_long  long names: the host part needs a dot; short: it must have none.
 * name     set on success.
 * err      borrowed, may be NULL; filled on failure only.
 *
 * Errors: NAME.
 * Threads: any. Blocks: on name resolution, for a long name without host. */
TENON_CHECK enum tenon_err tn_name_make(const char *text,
                                        bool is_long,
                                        struct tn_name *name,
                                        tenon_error *err);

/* Splits a full node name, whose form it checks ("alive@host", both parts
 * not empty). Errors: NAME. */
TENON_CHECK enum tenon_err
tn_name_split(const char *full, struct tn_name *name, tenon_error *err);

/* Finds the cookie: the argument, else the environment's RELEASE_COOKIE, else
 * ~/.erlang.cookie, which is created when it is missing. The file must belong
 * to the user and give no access to group and others. Ends of line behind the
 * cookie are dropped.
 *
 * given   borrowed, may be NULL: the cookie itself.
 * cookie  filled on success, NUL-terminated.
 * err     borrowed, may be NULL; filled on failure only.
 *
 * Errors: COOKIE.
 * Threads: any (reads the environment). Blocks: on the file. */
TENON_CHECK enum tenon_err tn_cookie_find(const char *given,
                                          char cookie[TN_COOKIE_MAX_BYTES + 1],
                                          tenon_error *err);

/* Takes a cookie's text: 1 to TN_COOKIE_MAX_BYTES printable characters of
 * ASCII, and perhaps ends of line.
 *
 * source  where it is from, for err.
 * Errors: COOKIE. */
TENON_CHECK enum tenon_err tn_cookie_check(const char *source,
                                           const char *text,
                                           char cookie[TN_COOKIE_MAX_BYTES + 1],
                                           tenon_error *err);
/* The same from a file, with the rights that ~/.erlang.cookie must have.
 * Errors: COOKIE. Blocks: on the file. */
TENON_CHECK enum tenon_err tn_cookie_read(const char *path,
                                          char cookie[TN_COOKIE_MAX_BYTES + 1],
                                          tenon_error *err);

#endif
