/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 over any byte stream, by OpenSSL: contexts made from
 * options, and one session for each connection. Knows nothing of sockets but
 * the calls of dist/sock.h, and nothing of nodes but their names. */
#ifndef TN_DIST_TLS_H
#define TN_DIST_TLS_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenon/error.h>

#include "dist/tls_options.h"

/* Sessions that are kept to be resumed, as a client; the oldest goes. */
#define TN_TLS_SESSIONS_KEPT 64u
/* Sessions that clients may resume at a server, but for those in tickets; the
 * oldest goes. */
#define TN_TLS_SESSIONS_SERVED 1024
/* Bytes that are written with one key of TLS 1.3, unless key_update_at says
 * otherwise: as in BEAM nodes, which keeps to the bound of RFC 8446, 5.5, for
 * the weakest cipher (2^24.5 records). */
#define TN_TLS_KEY_UPDATE_AT_BYTES UINT64_C(388736063997)
/* Renegotiations of TLS 1.2 that are closer to each other end the connection:
 * they cost the server far more than whoever asks. BEAM nodes decline them. */
#define TN_TLS_RENEGOTIATION_NS (UINT64_C(10) * 1000 * 1000 * 1000)
/* Environment variable with the password of keys whose options name none. */
#define TN_TLS_PASSWORD_ENV "TENON_SSL_PASSWORD"

typedef struct tn_tls_context tn_tls_context; /* counted references */
typedef struct tn_tls tn_tls;

/* What OpenSSL keeps of one connection at the most: a record that is being read,
 * one that is being written, the state of the session with its certificates. */
#define TN_TLS_BYTES (64u * 1024u)

/* Reads the certificates and keys that the options name.
 *
 * options  borrowed.
 * context  owned: tn_tls_context_unref. Immutable but for kept sessions.
 * err      says which file or option, and why not.
 * Errors: INVAL, SYSTEM, NOMEM. Blocks: on the files. Threads: any. */
TENON_CHECK enum tenon_err
tn_tls_context_new(const struct tn_tls_options *options,
                   tn_tls_context **context,
                   tenon_error *err);
tn_tls_context *tn_tls_context_ref(tn_tls_context *context);
/* context: taken; NULL is fine. */
void tn_tls_context_unref(tn_tls_context *context);

/* A stream of bytes over a socket, which stays the caller's. NULL: no memory. */
TENON_CHECK BIO *tn_tls_socket(int fd);

/* One connection's side.
 *
 * stream   taken, also on failure; NULL (no memory for it) is a failure.
 * peer     copied: the node that a client calls, whose name or host the
 *          certificate must bear; NULL makes a server.
 * owned: tn_tls_free. NULL: out of memory. */
TENON_CHECK tn_tls *
tn_tls_new(tn_tls_context *context, BIO *stream, const char *peer);
/* Says goodbye as far as the stream takes it at once. tls: taken; NULL is
 * fine. */
void tn_tls_free(tn_tls *tls);

/* Goes on with the handshake as far as the bytes allow. Returns 1 when it is
 * over, 0 when it waits for the stream (tn_tls_wants_room), or a negative
 * `enum tenon_err`, err then says why: TLS (why it cannot be had, in OpenSSL's words
 * or those of the certificate's check), CLOSED.
 * Threads: one at a time, as for all below but read and write, which two
 * threads may call. */
int tn_tls_handshake(tn_tls *tls, tenon_error *err);
/* While a handshake waits: for room to write rather than for bytes. */
bool tn_tls_wants_room(const tn_tls *tls);

/* As tn_sock_read and tn_sock_write; -EPROTO: see tn_tls_why. While the peer
 * renegotiates, writing waits for what reading has to do first. */
ssize_t tn_tls_read(tn_tls *tls, void *bytes, size_t len);
ssize_t tn_tls_write(tn_tls *tls, const void *bytes, size_t len);
/* After -EPROTO: fills in what was wrong, an alert of the peer's for one. */
void tn_tls_why(tn_tls *tls, tenon_error *err);
/* After -EAGAIN: whether writing waits for bytes, and reading for room. */
bool tn_tls_write_wants_bytes(tn_tls *tls);
bool tn_tls_read_wants_room(tn_tls *tls);
/* True when bytes have been read from the stream that tn_tls_read has not yet
 * given: the stream will not say that it is readable for them. */
bool tn_tls_has_buffered(tn_tls *tls);

/* After the handshake: whether the peer has a certificate that was verified,
 * and bears a name that fits the pattern (base/glob.h): the common name of its
 * subject, or a DNS name or URI among its alternative names. */
bool tn_tls_certificate_fits(tn_tls *tls, const char *pattern);

struct tn_tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    bool is_resumed;
};

/* After the handshake. */
struct tn_tls_facts tn_tls_facts(const tn_tls *tls);

#endif
