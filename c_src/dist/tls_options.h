/* SPDX-License-Identifier: Apache-2.0 */
/* The options of TLS distribution, as BEAM nodes take them: a file of
 * -ssl_dist_optfile, and single ones of -ssl_dist_opt. Reads no certificate. */
#ifndef TN_DIST_TLS_OPTIONS_H
#define TN_DIST_TLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/error.h>

/* Largest file of options. */
#define TN_TLS_OPTFILE_MAX_BYTES (64u * 1024u)
/* Certificates of one side, each with a key of another kind. */
#define TN_TLS_CERTS_MAX 4u

enum tn_tls_crl_check {
    TN_TLS_CRL_NONE,
    TN_TLS_CRL_ALL,         /* true: the whole chain */
    TN_TLS_CRL_PEER,        /* the peer's certificate only */
    TN_TLS_CRL_BEST_EFFORT, /* a certificate without a CRL is fine */
};

/* Whose name a certificate must bear, from server_name_indication. */
enum tn_tls_name_check {
    TN_TLS_NAME_OF_PEER, /* the host part of the node's name, or that name */
    TN_TLS_NAME_GIVEN,
    TN_TLS_NAME_NONE, /* disable */
};

/* How TLS 1.3 resumes, from session_tickets. */
enum tn_tls_tickets {
    TN_TLS_TICKETS_ON, /* auto, stateless */
    TN_TLS_TICKETS_STATEFUL,
    TN_TLS_TICKETS_NONE, /* disabled */
};

/* A certificate with its chain, and its key. Texts are owned, NULL when not
 * given. */
struct tn_tls_cert {
    char *certfile;
    char *keyfile; /* NULL: it stands in certfile */
    char *password;
};

/* One side's. Texts are owned, NULL when not given. */
struct tn_tls_side {
    struct tn_tls_cert cert;
    struct tn_tls_cert certs_keys[TN_TLS_CERTS_MAX];
    unsigned certs_keys_count; /* if any, they stand for `cert` */
    char *cacertfile;
    char *dhfile;
    char *ciphers;      /* up to TLS 1.2, in OpenSSL's words */
    char *ciphersuites; /* of TLS 1.3 */
    char *crl_dir;      /* hashed: HASH.r0 */
    char *server_name;  /* TN_TLS_NAME_GIVEN */
    enum tn_tls_name_check name_check;
    enum tn_tls_crl_check crl_check;
    bool no_verify;        /* verify_none */
    bool no_cert_is_fine;  /* fail_if_no_peer_cert false; server */
    bool no_reuse;         /* reuse_sessions false */
    bool server_order;     /* honor_cipher_order; server */
    bool no_renegotiation; /* client_renegotiation false; server */
    enum tn_tls_tickets tickets;
    uint64_t key_update_at; /* bytes written with one key; 0: the default */
    bool no_tls_1_2;
    bool no_tls_1_3;
    int depth_and_one; /* most intermediate certificates; 0: OpenSSL's limit */
};

struct tn_tls_options {
    struct tn_tls_side server; /* for connections from peers */
    struct tn_tls_side client;
};

/* Reads a file `[{server, [...]}, {client, [...]}].`
 *
 * options  borrowed; zero or filled before; tn_tls_options_fini also after a
 *          failure.
 * Errors: INVAL (an option that is unknown, or has no meaning here, by its
 * name; a value of another form), SYSTEM (the file), TERM_SYNTAX, LIMIT, NOMEM.
 * What has a meaning for the other side only has none.
 * Blocks: on the file. */
TENON_CHECK enum tenon_err tn_tls_options_read(struct tn_tls_options *options,
                                               const char *file,
                                               tenon_error *err);

/* Sets one, named "server_certfile" or "client_depth", from its text. Texts
 * and atoms stand as they are, other values as in a file. Errors: INVAL,
 * TERM_SYNTAX, NOMEM. */
TENON_CHECK enum tenon_err tn_tls_options_set(struct tn_tls_options *options,
                                              const char *name,
                                              const char *value,
                                              tenon_error *err);

/* Frees what it owns and makes it zero; keys' passwords are overwritten. */
void tn_tls_options_fini(struct tn_tls_options *options);

#endif
