/* SPDX-License-Identifier: Apache-2.0 */
/* epmd: registering this node's name (through ei), keeping it registered, and
 * asking for the names and ports of others (own non-blocking codec). */
#ifndef TN_DIST_EPMD_H
#define TN_DIST_EPMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <tenon/error.h>

#include "base/buf.h"
#include "dist/identity.h"

struct tn_log;

#define TN_EPMD_PORT_DEFAULT 4369
/* Longest answer to NAMES_REQ that is read. */
#define TN_EPMD_NAMES_MAX_BYTES (1024u * 1024u)
/* Pause between attempts to register again, and the longest one may take: a
 * node that stops waits for one that is under way. */
#define TN_EPMD_RETRY_MS 1000u
#define TN_EPMD_ATTEMPT_MS 1000u

/* ERL_EPMD_PORT when it is a port number, else 4369. */
uint16_t tn_epmd_port(void);

/* ---- codec: no I/O ----------------------------------------------------- */

/* Appends PORT2_REQ (`alive` of at most TN_ALIVE_MAX_BYTES) or NAMES_REQ.
 * Errors: INVAL, NOMEM. */
TENON_CHECK enum tenon_err
tn_epmd_put_lookup(struct tn_buf *out, const char *alive, tenon_error *err);
TENON_CHECK enum tenon_err tn_epmd_put_names(struct tn_buf *out,
                                             tenon_error *err);

/* Reads the answer to PORT2_REQ, which may be cut anywhere.
 *
 * Returns 1 and the port; 0 when more bytes are needed; or a negative
 * `enum tenon_err`: NOT_FOUND (no such name), EPMD (not such an answer). */
int tn_epmd_get_lookup(const uint8_t *bytes,
                       size_t len,
                       uint16_t *port,
                       tenon_error *err);

/* One line of the answer to NAMES_REQ. `name` is not NUL-terminated. */
struct tn_epmd_name {
    const char *name;
    size_t name_len;
    uint16_t port;
};

/* Steps through a whole answer to NAMES_REQ (with its 4-byte port in front).
 *
 * at    in and out: 0 at first.
 * Returns false at the end; lines of another form are skipped. */
bool tn_epmd_next_name(const uint8_t *bytes,
                       size_t len,
                       size_t *at,
                       struct tn_epmd_name *name);

/* ---- asking, blocking: for the command line --------------------------- */

/* Asks the epmd of a host for all names it holds.
 *
 * host  borrowed; NULL is this machine.
 * out   borrowed; the answer is appended, for tn_epmd_next_name.
 *
 * Errors: EPMD, TIMEOUT, LIMIT, NOMEM.
 * Threads: any. Blocks: up to timeout_ms (and on name resolution). */
TENON_CHECK enum tenon_err tn_epmd_names(const char *host,
                                         uint32_t timeout_ms,
                                         struct tn_buf *out,
                                         tenon_error *err);

/* ---- being registered -------------------------------------------------- */

/* This node's registration. When epmd goes away it is renewed on a thread of
 * libuv's pool, every TN_EPMD_RETRY_MS until it succeeds, with the same port;
 * loss and renewal are logged (epmd_lost, epmd_registered). */
typedef struct tn_epmd tn_epmd;

/* A creation for this run of the node: random, never 0 to 3. ei does not hand
 * out the one that epmd assigns, and BEAM nodes without epmd do the same. */
TENON_CHECK enum tenon_err tn_epmd_creation(uint32_t *creation,
                                            tenon_error *err);

/* Registers the name, starting epmd first when none runs (TENON_EPMD names
 * the executable; else PATH and the usual places are searched).
 *
 * name, cookie  copied.
 * port          the node's listening port.
 * log           borrowed until tn_epmd_free's end.
 * epmd          owned: tn_epmd_free.
 *
 * Errors: NAME_TAKEN, EPMD, NAME (ei refuses it), NOMEM.
 * Threads: loop (before it runs is fine). Blocks: up to timeout_ms. */
TENON_CHECK enum tenon_err tn_epmd_register(uv_loop_t *loop,
                                            const struct tn_name *name,
                                            const char *cookie,
                                            uint32_t creation,
                                            uint16_t port,
                                            uint32_t timeout_ms,
                                            const struct tn_log *log,
                                            tn_epmd **epmd,
                                            tenon_error *err);

/* Gives the name back at once. The memory is released by the loop, which must
 * be run until its handles are closed.
 *
 * epmd  taken; NULL is fine.
 * Threads: loop. Blocks: no. */
void tn_epmd_free(tn_epmd *epmd);

#endif
