/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, keys, what is asked of a peer's certificate, and the sessions
 * that can be resumed. */
#include "dist/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "base/error.h"

struct kept_session {
    char peer[TENON_NODE_NAME_MAX_BYTES + 1];
    SSL_SESSION *session; /* NULL: the slot is free */
};

struct tn_tls_context {
    atomic_uint refs;
    SSL_CTX *server;
    SSL_CTX *client;
    enum tn_tls_name_check name_check;
    char *server_name;
    bool best_effort_crl[2]; /* server's, client's */
    bool keeps_no_tickets;   /* the client, of TLS 1.3 */
    uint64_t key_update_at[2];
    pthread_mutex_t lock; /* guards all below */
    struct kept_session kept[TN_TLS_SESSIONS_KEPT];
    unsigned next; /* slot that is given up when all are taken */
};

static tn_tls_context *context_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* ---- a peer's certificate ------------------------------------------------ */

static bool has_common_name(X509 *cert, const char *name)
{
    char text[TENON_NODE_NAME_MAX_BYTES + 2];
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
                                        NID_commonName, text, sizeof text);

    return len > 0 && (size_t)len == strlen(name) && strcmp(text, name) == 0;
}

static bool is_host(X509 *cert, const char *host)
{
    return X509_check_host(cert, host, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(cert, host, 0) == 1;
}

/* peer: the full node name. A node name has the form of a mail address, and
 * may stand in a certificate as one, or as its common name. */
static bool
is_named(const tn_tls_context *context, X509 *cert, const char *peer)
{
    const char *at = strchr(peer, '@');

    switch (context->name_check) {
    case TN_TLS_NAME_NONE:
        return true;
    case TN_TLS_NAME_GIVEN:
        return is_host(cert, context->server_name);
    case TN_TLS_NAME_OF_PEER:
        break;
    }
    return is_host(cert, at != NULL ? at + 1 : peer) ||
           X509_check_email(cert, peer, 0, 0) == 1 ||
           has_common_name(cert, peer);
}

static int verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const tn_tls_context *context = context_of(ssl);
    const char *peer = SSL_get_app_data(ssl);

    if (!ok &&
        X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        context->best_effort_crl[peer != NULL]) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        ok = 1;
    }
    if (ok && peer != NULL && X509_STORE_CTX_get_error_depth(store) == 0 &&
        !is_named(context, X509_STORE_CTX_get_current_cert(store), peer)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
    }
    return ok;
}

/* ---- sessions ------------------------------------------------------------ */

/* A peer keeps its place when its session is taken out. Called with the lock
 * held. */
static struct kept_session *find_kept(tn_tls_context *context, const char *peer)
{
    for (unsigned i = 0; i < TN_TLS_SESSIONS_KEPT; i++) {
        struct kept_session *kept = &context->kept[i];

        if (strcmp(kept->peer, peer) == 0) {
            return kept;
        }
    }
    return NULL;
}

/* OpenSSL's callback; 1: the session is now ours. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    tn_tls_context *context = context_of(ssl);
    const char *peer = SSL_get_app_data(ssl);

    if (peer == NULL || strlen(peer) > TENON_NODE_NAME_MAX_BYTES ||
        (context->keeps_no_tickets && SSL_version(ssl) == TLS1_3_VERSION)) {
        return 0;
    }
    pthread_mutex_lock(&context->lock);
    struct kept_session *kept = find_kept(context, peer);

    if (kept == NULL) {
        kept = &context->kept[context->next++ % TN_TLS_SESSIONS_KEPT];
        strcpy(kept->peer, peer);
    }
    SSL_SESSION_free(kept->session);
    kept->session = session;
    pthread_mutex_unlock(&context->lock);
    return 1;
}

/* Taken out: a ticket of TLS 1.3 is for one use. */
static SSL_SESSION *take_session(tn_tls_context *context, const char *peer)
{
    pthread_mutex_lock(&context->lock);
    struct kept_session *kept = find_kept(context, peer);
    SSL_SESSION *session = kept != NULL ? kept->session : NULL;

    if (kept != NULL) {
        kept->session = NULL;
    }
    pthread_mutex_unlock(&context->lock);
    return session;
}

static bool prepare_client(tn_tls_context *context, SSL *ssl, const char *peer)
{
    const char *at = strchr(peer, '@');
    const char *name = context->name_check == TN_TLS_NAME_GIVEN
                           ? context->server_name
                           : (at != NULL ? at + 1 : peer);
    SSL_SESSION *session = take_session(context, peer);
    bool ok = true;

    SSL_set_connect_state(ssl);
    if (session != NULL) {
        ok = SSL_set_session(ssl, session) == 1;
        SSL_SESSION_free(session);
    }
    /* A numeric address is no name for SNI. */
    if (ok && context->name_check != TN_TLS_NAME_NONE &&
        strpbrk(name, ":") == NULL &&
        strspn(name, "0123456789.") != strlen(name)) {
        ok = SSL_set_tlsext_host_name(ssl, name) == 1;
    }
    return ok && SSL_set_app_data(ssl, (char *)(uintptr_t)peer) == 1;
}

SSL *tn_tls_context_session(tn_tls_context *context, const char *peer)
{
    SSL *ssl = SSL_new(peer != NULL ? context->client : context->server);

    if (ssl == NULL) {
        return NULL;
    }
    if (peer == NULL) {
        SSL_set_accept_state(ssl);
    } else if (!prepare_client(context, ssl, peer)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

uint64_t tn_tls_context_key_update_at(const SSL *ssl)
{
    return context_of(ssl)->key_update_at[SSL_is_server(ssl) == 0];
}

/* ---- from options -------------------------------------------------------- */

static enum tenon_err
fail_option(const char *what, const char *value, tenon_error *err)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);

    (void)tn_error(err, TENON_E_INVAL, "TLS option %s: %s: %s", what, value,
                   reason != NULL ? reason : "cannot be used");
    ERR_clear_error();
    return TENON_E_INVAL;
}

static int give_password(char *buf, int size, int writing, void *user)
{
    const char *password = user;

    (void)writing;
    if (password == NULL) {
        password = getenv(TN_TLS_PASSWORD_ENV);
    }
    if (password == NULL || strlen(password) >= (size_t)size) {
        return -1;
    }
    strcpy(buf, password);
    return (int)strlen(password);
}

static enum tenon_err
set_certificate(SSL_CTX *ctx, const struct tn_tls_cert *cert, tenon_error *err)
{
    const char *key = cert->keyfile != NULL ? cert->keyfile : cert->certfile;

    SSL_CTX_set_default_passwd_cb(ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, cert->password);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert->certfile) != 1) {
        return fail_option("certfile", cert->certfile, err);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        return fail_option("keyfile", key, err);
    }
    /* The password is not kept; nothing asks for it again. */
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    return TENON_OK;
}

/* OpenSSL holds one for each kind of key, and the peer's algorithms choose. */
static enum tenon_err
set_certificates(SSL_CTX *ctx, const struct tn_tls_side *side, tenon_error *err)
{
    int kinds[TN_TLS_CERTS_MAX];

    if (side->certs_keys_count == 0) {
        return side->cert.certfile != NULL
                   ? set_certificate(ctx, &side->cert, err)
                   : TENON_OK;
    }
    for (unsigned i = 0; i < side->certs_keys_count; i++) {
        enum tenon_err rc = set_certificate(ctx, &side->certs_keys[i], err);

        if (rc != TENON_OK) {
            return rc;
        }
        kinds[i] = EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ctx));
        for (unsigned j = 0; j < i; j++) {
            if (kinds[j] == kinds[i]) {
                return tn_error(err, TENON_E_INVAL,
                                "TLS option certs_keys: expected keys of "
                                "different kinds, got two of kind %s",
                                OBJ_nid2sn(kinds[i]));
            }
        }
    }
    return TENON_OK;
}

static enum tenon_err
set_crls(SSL_CTX *ctx, const struct tn_tls_side *side, tenon_error *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    unsigned long flags = X509_V_FLAG_CRL_CHECK;

    if (side->crl_dir != NULL &&
        X509_STORE_load_path(store, side->crl_dir) != 1) {
        return fail_option("crl_cache", side->crl_dir, err);
    }
    if (side->crl_check == TN_TLS_CRL_NONE) {
        return TENON_OK;
    }
    if (side->crl_check != TN_TLS_CRL_PEER) {
        flags |= X509_V_FLAG_CRL_CHECK_ALL;
    }
    return X509_STORE_set_flags(store, flags) == 1
               ? TENON_OK
               : fail_option("crl_check", "cannot be set", err);
}

static enum tenon_err set_verification(SSL_CTX *ctx,
                                       const struct tn_tls_side *side,
                                       bool is_server,
                                       tenon_error *err)
{
    int mode = SSL_VERIFY_NONE;

    if (!side->no_verify) {
        mode = SSL_VERIFY_PEER;
        if (is_server && !side->no_cert_is_fine) {
            mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        }
        if (side->cacertfile == NULL) {
            return tn_error(err, TENON_E_INVAL,
                            "TLS option cacertfile of the %s: expected it, or "
                            "{verify, verify_none}",
                            is_server ? "server" : "client");
        }
    }
    SSL_CTX_set_verify(ctx, mode, verify);
    if (side->depth_and_one > 0) {
        SSL_CTX_set_verify_depth(ctx, side->depth_and_one - 1);
    }
    if (side->cacertfile != NULL &&
        SSL_CTX_load_verify_file(ctx, side->cacertfile) != 1) {
        return fail_option("cacertfile", side->cacertfile, err);
    }
    if (is_server && side->cacertfile != NULL) {
        SSL_CTX_set_client_CA_list(ctx,
                                   SSL_load_client_CA_file(side->cacertfile));
    }
    return set_crls(ctx, side, err);
}

/* Where ciphers are named, a version without any of them is off. */
static enum tenon_err
set_versions(SSL_CTX *ctx, const struct tn_tls_side *side, tenon_error *err)
{
    bool is_limited = side->ciphers != NULL || side->ciphersuites != NULL;
    bool no_1_2 = side->no_tls_1_2 || (is_limited && side->ciphers == NULL);
    bool no_1_3 =
        side->no_tls_1_3 || (is_limited && side->ciphersuites == NULL);

    if (no_1_2 && no_1_3) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS option ciphers: expected one of the versions that "
                        "are on");
    }
    SSL_CTX_set_options(ctx, (no_1_2 ? SSL_OP_NO_TLSv1_2 : 0) |
                                 (no_1_3 ? SSL_OP_NO_TLSv1_3 : 0));
    return TENON_OK;
}

static enum tenon_err
set_ciphers(SSL_CTX *ctx, const struct tn_tls_side *side, tenon_error *err)
{
    if (side->ciphers != NULL &&
        SSL_CTX_set_cipher_list(ctx, side->ciphers) != 1) {
        return fail_option("ciphers", side->ciphers, err);
    }
    if (side->ciphersuites != NULL &&
        SSL_CTX_set_ciphersuites(ctx, side->ciphersuites) != 1) {
        return fail_option("ciphers", side->ciphersuites, err);
    }
    return TENON_OK;
}

static enum tenon_err
set_dh(SSL_CTX *ctx, const struct tn_tls_side *side, tenon_error *err)
{
    if (side->dhfile == NULL) {
        return SSL_CTX_set_dh_auto(ctx, 1) == 1
                   ? TENON_OK
                   : fail_option("dhfile", "automatic", err);
    }
    BIO *file = BIO_new_file(side->dhfile, "r");
    EVP_PKEY *dh = file != NULL ? PEM_read_bio_Parameters(file, NULL) : NULL;

    BIO_free(file);
    if (dh == NULL || SSL_CTX_set0_tmp_dh_pkey(ctx, dh) != 1) {
        EVP_PKEY_free(dh);
        return fail_option("dhfile", side->dhfile, err);
    }
    return TENON_OK;
}

static void set_modes(SSL_CTX *ctx, const struct tn_tls_side *side)
{
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF;

    options |= side->server_order ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0;
    /* BEAM nodes ask for it in TLS 1.2 when they have sent 2^28 messages, and
     * close the connection when it is declined. */
    options |= side->no_renegotiation ? 0 : SSL_OP_ALLOW_CLIENT_RENEGOTIATION;
    SSL_CTX_set_options(ctx, options);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* Many small records in one read. */
    SSL_CTX_set_read_ahead(ctx, 1);
}

static void
set_reuse(SSL_CTX *ctx, const struct tn_tls_side *side, bool is_server)
{
    static const unsigned char id[] = "tenon";

    if (side->no_reuse || side->tickets == TN_TLS_TICKETS_STATEFUL) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    if (side->no_reuse || side->tickets == TN_TLS_TICKETS_NONE) {
        /* Those of TLS 1.3; nothing here fails for a server. */
        (void)SSL_CTX_set_num_tickets(ctx, 0);
    }
    if (side->no_reuse) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    } else if (is_server) {
        SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
        SSL_CTX_sess_set_cache_size(ctx, TN_TLS_SESSIONS_SERVED);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                                SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, keep_session);
    }
}

static enum tenon_err make_side(tn_tls_context *context,
                                const struct tn_tls_side *side,
                                bool is_server,
                                tenon_error *err)
{
    SSL_CTX *ctx =
        SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return tn_error(err, TENON_E_NOMEM, "TLS: out of memory");
    }
    *(is_server ? &context->server : &context->client) = ctx;
    SSL_CTX_set_app_data(ctx, context);
    set_modes(ctx, side);
    set_reuse(ctx, side, is_server);
    enum tenon_err rc = set_certificates(ctx, side, err);

    if (rc == TENON_OK) {
        rc = set_verification(ctx, side, is_server, err);
    }
    if (rc == TENON_OK) {
        rc = set_versions(ctx, side, err);
    }
    if (rc == TENON_OK) {
        rc = set_ciphers(ctx, side, err);
    }
    if (rc == TENON_OK && is_server) {
        rc = set_dh(ctx, side, err);
    }
    return rc;
}

static uint64_t key_update_at(const struct tn_tls_side *side)
{
    return side->key_update_at != 0 ? side->key_update_at
                                    : TN_TLS_KEY_UPDATE_AT_BYTES;
}

static enum tenon_err fill(tn_tls_context *context,
                           const struct tn_tls_options *options,
                           tenon_error *err)
{
    const struct tn_tls_side *client = &options->client;

    if (options->server.cert.certfile == NULL &&
        options->server.certs_keys_count == 0) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS option certfile of the server: expected it");
    }
    context->name_check = client->name_check;
    context->best_effort_crl[0] =
        options->server.crl_check == TN_TLS_CRL_BEST_EFFORT;
    context->best_effort_crl[1] = client->crl_check == TN_TLS_CRL_BEST_EFFORT;
    context->keeps_no_tickets = client->tickets == TN_TLS_TICKETS_NONE;
    context->key_update_at[0] = key_update_at(&options->server);
    context->key_update_at[1] = key_update_at(client);
    if (client->server_name != NULL) {
        context->server_name = strdup(client->server_name);
        if (context->server_name == NULL) {
            return tn_error(err, TENON_E_NOMEM, "TLS: out of memory");
        }
    }
    enum tenon_err rc = make_side(context, &options->server, true, err);

    return rc == TENON_OK ? make_side(context, client, false, err) : rc;
}

enum tenon_err tn_tls_context_new(const struct tn_tls_options *options,
                                  tn_tls_context **context,
                                  tenon_error *err)
{
    tn_tls_context *made = calloc(1, sizeof *made);

    if (made == NULL || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return tn_error(err, TENON_E_NOMEM, "TLS: out of memory");
    }
    atomic_store(&made->refs, 1);
    ERR_clear_error();
    enum tenon_err rc = fill(made, options, err);

    if (rc != TENON_OK) {
        tn_tls_context_unref(made);
        return rc;
    }
    *context = made;
    return TENON_OK;
}

tn_tls_context *tn_tls_context_ref(tn_tls_context *context)
{
    atomic_fetch_add(&context->refs, 1);
    return context;
}

void tn_tls_context_unref(tn_tls_context *context)
{
    if (context == NULL || atomic_fetch_sub(&context->refs, 1) != 1) {
        return;
    }
    for (unsigned i = 0; i < TN_TLS_SESSIONS_KEPT; i++) {
        SSL_SESSION_free(context->kept[i].session);
    }
    SSL_CTX_free(context->server);
    SSL_CTX_free(context->client);
    pthread_mutex_destroy(&context->lock);
    free(context->server_name);
    free(context);
}
