/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions. OpenSSL's objects are not to be used by two threads at a time,
 * so a lock is taken for each call; none of them waits. */
#include "dist/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/glob.h"
#include "dist/sock.h"
#include "dist/tls_context.h"

struct tn_tls {
    SSL *ssl;
    tn_tls_context *context;
    pthread_mutex_t lock;
    char *peer; /* NULL: a server */
    bool wants_room;
    bool is_over; /* the handshake */
    bool write_wants_bytes;
    bool read_wants_room;
    bool is_starved; /* the last read had nothing to give: what is there is the
                        beginning of a record */
    tenon_error why; /* of -EPROTO */
    bool was_renegotiating;   /* at the last read */
    uint64_t renegotiated_ns; /* 0: never */
    uint64_t key_update_at;   /* bytes; UINT64_MAX: never, as in TLS 1.2 */
    uint64_t with_key_bytes;  /* written since the key was renewed */
};

/* ---- the stream ---------------------------------------------------------- */

/* OpenSSL's own socket stream raises SIGPIPE in the host program. */
static int socket_of(BIO *stream)
{
    return (int)(intptr_t)BIO_get_data(stream);
}

static int moved(BIO *stream, ssize_t n, int retry_flags)
{
    BIO_clear_retry_flags(stream);
    if (n == -EAGAIN) {
        BIO_set_flags(stream, retry_flags | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    if (n < 0) {
        errno = (int)-n;
        return -1;
    }
    return (int)n;
}

static int socket_write(BIO *stream, const char *bytes, int len)
{
    return moved(stream, tn_sock_write(socket_of(stream), bytes, (size_t)len),
                 BIO_FLAGS_WRITE);
}

static int socket_read(BIO *stream, char *bytes, int len)
{
    return moved(stream, tn_sock_read(socket_of(stream), bytes, (size_t)len),
                 BIO_FLAGS_READ);
}

static long socket_ctrl(BIO *stream, int what, long number, void *pointer)
{
    (void)stream;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;

static void make_socket_method(void)
{
    BIO_METHOD *method = BIO_meth_new(
        BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tenon socket");

    if (method != NULL && BIO_meth_set_write(method, socket_write) &&
        BIO_meth_set_read(method, socket_read) &&
        BIO_meth_set_ctrl(method, socket_ctrl)) {
        socket_method = method;
    }
}

BIO *tn_tls_socket(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_socket_method);
    BIO *stream = socket_method != NULL ? BIO_new(socket_method) : NULL;

    if (stream != NULL) {
        BIO_set_data(stream, (void *)(intptr_t)fd);
        BIO_set_init(stream, 1);
    }
    return stream;
}

/* ---- made and freed ------------------------------------------------------ */

static bool prepare(tn_tls *tls, BIO *stream)
{
    tls->ssl = tn_tls_context_session(tls->context, tls->peer);
    if (tls->ssl == NULL) {
        BIO_free(stream);
        return false;
    }
    SSL_set_bio(tls->ssl, stream, stream);
    return true;
}

tn_tls *tn_tls_new(tn_tls_context *context, BIO *stream, const char *peer)
{
    tn_tls *tls = stream != NULL ? calloc(1, sizeof *tls) : NULL;

    if (tls == NULL || pthread_mutex_init(&tls->lock, NULL) != 0) {
        free(tls);
        BIO_free(stream);
        return NULL;
    }
    tls->context = tn_tls_context_ref(context);
    tls->peer = peer != NULL ? strdup(peer) : NULL;
    if ((peer != NULL && tls->peer == NULL) || !prepare(tls, stream)) {
        tls->ssl = NULL;
        tn_tls_free(tls);
        return NULL;
    }
    return tls;
}

void tn_tls_free(tn_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    if (tls->is_over) {
        (void)SSL_shutdown(tls->ssl);
    }
    ERR_clear_error();
    SSL_free(tls->ssl);
    tn_tls_context_unref(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls->peer);
    free(tls);
}

/* ---- the handshake ------------------------------------------------------- */

static enum tenon_err fail_verified(const tn_tls *tls, tenon_error *err)
{
    long result = SSL_get_verify_result(tls->ssl);

    return tn_error(err, TENON_E_TLS, "TLS: its certificate is refused: %s",
                    X509_verify_cert_error_string(result));
}

/* OpenSSL says nothing to a client whose first bytes are no TLS. It gets the
 * alert unexpected_message, as from a BEAM node. */
static enum tenon_err
fail_plain(const tn_tls *tls, const char *text, tenon_error *err)
{
    static const unsigned char alert[] = { 21, 3, 3, 0, 2, 2, 10 };
    BIO *stream = SSL_get_wbio(tls->ssl);

    if (BIO_number_written(stream) == 0) {
        (void)BIO_write(stream, alert, sizeof alert);
    }
    return tn_error(err, TENON_E_TLS,
                    "TLS: what came is no TLS (%s): is it a node without?",
                    text);
}

static enum tenon_err fail_closed(const tn_tls *tls, tenon_error *err)
{
    bool is_silent = BIO_number_read(SSL_get_rbio(tls->ssl)) == 0;

    return tn_error(
        err, TENON_E_CLOSED, "TLS handshake: the peer closed the connection%s",
        is_silent ? " without a word: is it a node without TLS?" : "");
}

/* What the reason code says in words; the peer's alerts are among them. */
static enum tenon_err fail_ssl(const tn_tls *tls, tenon_error *err)
{
    unsigned long code = ERR_peek_error();
    const char *text = ERR_reason_error_string(code);
    int reason = ERR_GET_REASON(code);

    ERR_clear_error();
    if (SSL_get_verify_result(tls->ssl) != X509_V_OK &&
        reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        return fail_verified(tls, err);
    }
    text = text != NULL ? text : "unknown";
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        return tn_error(err, TENON_E_TLS, "TLS: %s", text);
    }
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
        reason == SSL_R_BAD_RECORD_TYPE) {
        return fail_plain(tls, text, err);
    }
    if (reason > SSL_AD_REASON_OFFSET) {
        return tn_error(err, TENON_E_TLS, "TLS: the peer refuses: %s", text);
    }
    return tn_error(err, TENON_E_TLS, "TLS: %s", text);
}

/* The handshake is over. */
static void begin_bytes(tn_tls *tls)
{
    tls->is_over = true;
    tls->key_update_at = SSL_version(tls->ssl) == TLS1_3_VERSION
                             ? tn_tls_context_key_update_at(tls->ssl)
                             : UINT64_MAX;
}

int tn_tls_handshake(tn_tls *tls, tenon_error *err)
{
    int result;

    if (tls->is_over) {
        return 1;
    }
    ERR_clear_error();
    errno = 0;
    pthread_mutex_lock(&tls->lock);
    int done = SSL_do_handshake(tls->ssl);
    int error = errno;
    int what = SSL_get_error(tls->ssl, done);

    if (done == 1) {
        begin_bytes(tls);
    }
    tls->wants_room = what == SSL_ERROR_WANT_WRITE;
    if (done == 1 || what == SSL_ERROR_WANT_READ || tls->wants_room) {
        result = done == 1;
    } else if (what == SSL_ERROR_SSL) {
        result = fail_ssl(tls, err);
    } else {
        result = error != 0
                     ? tn_error_sys(err, TENON_E_CLOSED, error, "TLS handshake")
                     : fail_closed(tls, err);
    }
    pthread_mutex_unlock(&tls->lock);
    return result;
}

bool tn_tls_wants_room(const tn_tls *tls)
{
    return tls->wants_room;
}

/* ---- bytes --------------------------------------------------------------- */

/* Called with the lock held, after a call that moved nothing. */
static ssize_t
why_nothing(tn_tls *tls, int result, bool *wants_other, int other)
{
    int error = errno;
    int what = SSL_get_error(tls->ssl, result);

    switch (what) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        *wants_other = what == other;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return error != 0 ? -error : 0;
    default:
        (void)fail_ssl(tls, &tls->why);
        return -EPROTO;
    }
}

/* Called with the lock held. */
static bool is_renegotiating(const tn_tls *tls)
{
    return SSL_in_init(tls->ssl) && SSL_version(tls->ssl) == TLS1_2_VERSION;
}

/* Called with the lock held, after each read: the peer has to answer before a
 * renegotiation is over, so that none is missed. */
static bool renegotiates_too_often(tn_tls *tls)
{
    bool is_new = is_renegotiating(tls) && !tls->was_renegotiating;
    uint64_t last_ns = tls->renegotiated_ns;

    tls->was_renegotiating = is_renegotiating(tls);
    if (!is_new) {
        return false;
    }
    tls->renegotiated_ns = tn_now_ns();
    return last_ns != 0 &&
           tls->renegotiated_ns - last_ns < TN_TLS_RENEGOTIATION_NS;
}

/* One call of OpenSSL's gives at most one record, and BEAM nodes make one of
 * each signal. What it has read ahead is taken; another read of the stream
 * would mostly find nothing there. */
ssize_t tn_tls_read(tn_tls *tls, void *bytes, size_t len)
{
    uint8_t *to = bytes;
    size_t there = 0;
    size_t n;
    ssize_t result;

    ERR_clear_error();
    pthread_mutex_lock(&tls->lock);
    do {
        errno = 0;
        int ok = SSL_read_ex(tls->ssl, to + there, len - there, &n);

        result = ok ? (ssize_t)n
                    : why_nothing(tls, ok, &tls->read_wants_room,
                                  SSL_ERROR_WANT_WRITE);
        there += ok ? n : 0;
    } while (there < len && result > 0 && SSL_has_pending(tls->ssl));
    tls->is_starved = result == -EAGAIN;
    if (renegotiates_too_often(tls)) {
        (void)tn_error(&tls->why, TENON_E_TLS,
                       "TLS: the peer renegotiates too often");
        there = 0;
        result = -EPROTO;
    }
    pthread_mutex_unlock(&tls->lock);
    /* What ended it comes again with the next call. */
    return there > 0 ? (ssize_t)there : result;
}

/* Called with the lock held, when what was given to OpenSSL is written. The
 * peer hears of it with the next write. */
static void count_for_key(tn_tls *tls, size_t len)
{
    tls->with_key_bytes += len;
    if (tls->with_key_bytes >= tls->key_update_at &&
        SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
        tls->with_key_bytes = 0;
    }
}

/* Called with the lock held. */
static ssize_t write_some(tn_tls *tls, const void *bytes, size_t len)
{
    size_t n;

    /* OpenSSL takes bytes of the peer's that come during a renegotiation for
     * an error, but while it reads. */
    if (is_renegotiating(tls)) {
        tls->write_wants_bytes = true;
        return -EAGAIN;
    }
    errno = 0;
    tls->write_wants_bytes = false;
    int ok = SSL_write_ex(tls->ssl, bytes, len, &n);

    if (!ok) {
        return why_nothing(tls, ok, &tls->write_wants_bytes,
                           SSL_ERROR_WANT_READ);
    }
    count_for_key(tls, n);
    return (ssize_t)n;
}

ssize_t tn_tls_write(tn_tls *tls, const void *bytes, size_t len)
{
    ERR_clear_error();
    pthread_mutex_lock(&tls->lock);
    ssize_t result = write_some(tls, bytes, len);

    pthread_mutex_unlock(&tls->lock);
    /* The peer's goodbye: it takes no more. */
    return result == 0 && len > 0 ? -EPIPE : result;
}

void tn_tls_why(tn_tls *tls, tenon_error *err)
{
    pthread_mutex_lock(&tls->lock);
    *err = tls->why;
    pthread_mutex_unlock(&tls->lock);
}

static bool locked(tn_tls *tls, const bool *what)
{
    pthread_mutex_lock(&tls->lock);
    bool is = *what;

    pthread_mutex_unlock(&tls->lock);
    return is;
}

bool tn_tls_write_wants_bytes(tn_tls *tls)
{
    return locked(tls, &tls->write_wants_bytes);
}

bool tn_tls_read_wants_room(tn_tls *tls)
{
    return locked(tls, &tls->read_wants_room);
}

bool tn_tls_has_buffered(tn_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    bool has = !tls->is_starved && SSL_has_pending(tls->ssl);

    pthread_mutex_unlock(&tls->lock);
    return has;
}

struct tn_tls_facts tn_tls_facts(const tn_tls *tls)
{
    return (struct tn_tls_facts){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .is_resumed = SSL_session_reused(tls->ssl),
    };
}

/* ---- the peer's names ---------------------------------------------------- */

static bool text_fits(const ASN1_STRING *text, const char *pattern)
{
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, text);
    bool fits = len >= 0 &&
                tn_glob_fits(pattern, (const char *)utf8, (size_t)len, true);

    OPENSSL_free(utf8);
    return fits;
}

static bool subject_fits(const X509 *cert, const char *pattern)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    bool fits = false;
    int at = -1;

    while (!fits && (at = X509_NAME_get_index_by_NID(subject, NID_commonName,
                                                     at)) >= 0) {
        fits = text_fits(
            X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)),
            pattern);
    }
    return fits;
}

static bool alternative_fits(const X509 *cert, const char *pattern)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool fits = false;

    for (int i = 0; !fits && i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *text =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

        fits = (type == GEN_DNS || type == GEN_URI) && text_fits(text, pattern);
    }
    GENERAL_NAMES_free(names);
    return fits;
}

bool tn_tls_certificate_fits(tn_tls *tls, const char *pattern)
{
    pthread_mutex_lock(&tls->lock);
    /* Without a check its names are only what it says of itself. */
    bool is_verified = (SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) != 0 &&
                       SSL_get_verify_result(tls->ssl) == X509_V_OK;
    const X509 *cert = is_verified ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    bool fits = cert != NULL && (subject_fits(cert, pattern) ||
                                 alternative_fits(cert, pattern));

    ERR_clear_error();
    pthread_mutex_unlock(&tls->lock);
    return fits;
}
