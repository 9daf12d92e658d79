/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions are made from. For dist/tls.c alone. */
#ifndef TN_DIST_TLS_CONTEXT_H
#define TN_DIST_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "dist/tls.h"

/* A session of the context's server, or of its client when `peer` (borrowed
 * for as long as the session lives) names the node that it calls; with a
 * kept session to resume if there is one. NULL: out of memory. */
TENON_CHECK SSL *tn_tls_context_session(tn_tls_context *context,
                                        const char *peer);
/* Bytes that a session of TLS 1.3 writes with one key. */
uint64_t tn_tls_context_key_update_at(const SSL *ssl);

#endif
