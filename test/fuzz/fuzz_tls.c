/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what comes from the network to a side of TLS, cut anywhere.
 *
 *   0  bit 0 client
 *   1  how the rest is cut
 *   2  the stream */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/tls.h"
#include "fuzz/must.h"

#define HEAD_BYTES 2u
#define PIPE_BYTES (64 * 1024)

/* A certificate that signs itself, with its key, in one file. */
static void write_certificate(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *file = fopen(path, "w");

    MUST(key != NULL && cert != NULL && file != NULL);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 60L * 60 * 24);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);

    MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"localhost", -1, -1,
                                    0) == 1);
    X509_set_issuer_name(cert, name);
    MUST(X509_sign(cert, key, EVP_sha256()) > 0);
    MUST(PEM_write_X509(file, cert) == 1);
    MUST(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static tn_tls_context *make_context(void)
{
    char path[] = "/tmp/tenon-fuzz-XXXXXX";
    int fd = mkstemp(path);
    struct tn_tls_options options = { 0 };
    tn_tls_context *context = NULL;

    MUST(fd >= 0);
    close(fd);
    write_certificate(path);
    MUST(tn_tls_options_set(&options, "server_certfile", path, NULL) == 0);
    MUST(tn_tls_options_set(&options, "server_cacertfile", path, NULL) == 0);
    MUST(tn_tls_options_set(&options, "client_certfile", path, NULL) == 0);
    MUST(tn_tls_options_set(&options, "client_cacertfile", path, NULL) == 0);
    MUST(tn_tls_context_new(&options, &context, NULL) == TENON_OK);
    tn_tls_options_fini(&options);
    unlink(path);
    return context;
}

/* As far as what has come allows. */
static bool go_on(tn_tls *tls, int *done)
{
    char bytes[512];
    ssize_t n;
    tenon_error err = { .code = TENON_OK };

    if (*done == 0) {
        *done = tn_tls_handshake(tls, &err);
        MUST((*done < 0) == (err.code < 0));
    }
    if (*done <= 0) {
        return *done == 0;
    }
    do {
        n = tn_tls_read(tls, bytes, sizeof bytes);
        MUST(n <= (ssize_t)sizeof bytes);
    } while (n > 0);
    return n == -EAGAIN;
}

static void play(tn_tls *tls, BIO *net, const uint8_t *data, size_t len)
{
    size_t at = HEAD_BYTES;
    unsigned size = data[1];
    char said[4096];
    int done = 0;

    while (go_on(tls, &done) && at < len) {
        size = size * 5 + 1;
        size_t piece = data[1] == 0 ? len - at : 1 + size % 256;

        piece = piece > len - at ? len - at : piece;
        piece = piece > PIPE_BYTES ? PIPE_BYTES : piece;
        int n = BIO_write(net, data + at, (int)piece);

        if (n <= 0) {
            return;
        }
        at += (size_t)n;
        while (BIO_read(net, said, sizeof said) > 0) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static tn_tls_context *context;
    BIO *stream, *net;

    if (len < HEAD_BYTES) {
        return 0;
    }
    if (context == NULL) {
        context = make_context();
    }
    MUST(BIO_new_bio_pair(&stream, PIPE_BYTES, &net, PIPE_BYTES) == 1);
    tn_tls *tls =
        tn_tls_new(context, stream, (data[0] & 1) != 0 ? "a@localhost" : NULL);

    MUST(tls != NULL);
    play(tls, net, data, len);
    tn_tls_free(tls);
    BIO_free(net);
    return 0;
}
