/* SPDX-License-Identifier: Apache-2.0 */
/* TLS without sockets: two sides in memory, their bytes carried by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/tls.h"

/* Enough for a whole flight of a handshake, and some records. */
#define PIPE_BYTES (64 * 1024)
#define PEER "peer@localhost"

static char dir[] = "/tmp/tenon-tls-XXXXXX";

/* Where the test stands between two sides: what one wrote, the other reads. */
struct pipe {
    BIO *net[2];
};

/* ---- set-up -------------------------------------------------------------- */

static int make_certs(void **state)
{
    char command[256];

    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(command, sizeof command, "sh test/make-certs %s localhost", dir);
    return system(command) == 0 ? 0 : -1;
}

static int drop_certs(void **state)
{
    char command[256];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) == 0 ? 0 : -1;
}

static const char *in_dir(const char *file)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, file);
    return path;
}

static void
set(struct tn_tls_options *options, const char *name, const char *value)
{
    tenon_error err = { 0 };

    if (tn_tls_options_set(options, name, value, &err) != TENON_OK) {
        fail_msg("%s: %s", name, err.text);
    }
}

/* Both sides with that certificate, and the usual authority. */
static struct tn_tls_options options_with(const char *cert)
{
    struct tn_tls_options options = { 0 };

    set(&options, "server_certfile", in_dir(cert));
    set(&options, "client_certfile", in_dir(cert));
    set(&options, "server_cacertfile", in_dir("ca.pem"));
    set(&options, "client_cacertfile", in_dir("ca.pem"));
    return options;
}

/* options: taken. */
static tn_tls_context *context_of(struct tn_tls_options *options)
{
    tn_tls_context *context = NULL;
    tenon_error err = { 0 };

    if (tn_tls_context_new(options, &context, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_tls_options_fini(options);
    return context;
}

static tn_tls_context *context_with(const char *cert)
{
    struct tn_tls_options options = options_with(cert);

    return context_of(&options);
}

/* Reads of any side's stream. */
static unsigned stream_reads;

static long count_read(BIO *stream,
                       int what,
                       const char *bytes,
                       size_t len,
                       int number,
                       long more,
                       int result,
                       size_t *moved)
{
    (void)stream;
    (void)bytes;
    (void)len;
    (void)number;
    (void)more;
    (void)moved;
    stream_reads += what == BIO_CB_READ;
    return result;
}

static tn_tls *side_of(tn_tls_context *context, const char *peer, BIO **net)
{
    BIO *stream;

    assert_int_equal(BIO_new_bio_pair(&stream, PIPE_BYTES, net, PIPE_BYTES), 1);
    BIO_set_callback_ex(stream, count_read);
    tn_tls *tls = tn_tls_new(context, stream, peer);

    assert_non_null(tls);
    tn_tls_context_unref(context);
    return tls;
}

/* ---- carrying ------------------------------------------------------------ */

/* At most `most` bytes from one side to the other. Returns how many. */
static int carry(struct pipe *pipe, int from, int most)
{
    char bytes[4096];
    int room = (int)BIO_ctrl_get_write_guarantee(pipe->net[!from]);
    int want = most < room ? most : room;
    int n = BIO_read(pipe->net[from], bytes,
                     want < (int)sizeof bytes ? want : (int)sizeof bytes);

    if (n > 0) {
        assert_int_equal(BIO_write(pipe->net[!from], bytes, n), n);
    }
    return n > 0 ? n : 0;
}

/* Runs both handshakes until each is over or failed, carrying `step` bytes at a
 * time; stops early when `budget` bytes have been carried. Returns the bytes. */
static long shake(tn_tls *sides[2],
                  struct pipe *pipe,
                  int step,
                  long budget,
                  int result[2],
                  tenon_error err[2])
{
    long carried = 0;
    bool moved = true;

    while (moved && carried < budget) {
        moved = false;
        for (int i = 0; i < 2 && carried < budget; i++) {
            if (result[i] == 0) {
                result[i] = tn_tls_handshake(sides[i], &err[i]);
                moved |= result[i] != 0;
            }
            long left = budget - carried;
            int n = carry(pipe, i, left < step ? (int)left : step);

            carried += n;
            moved |= n > 0;
        }
    }
    return carried;
}

static void a_name_of_a_verified_certificate_fits_a_pattern(void **state)
{
    struct tn_tls_options lenient = options_with("good.pem");
    struct pipe pipe;
    int result[2] = { 0 };
    tenon_error err[2] = { 0 };

    (void)state;
    set(&lenient, "client_verify", "verify_none");
    tn_tls *sides[2] = { side_of(context_of(&lenient), PEER, &pipe.net[0]),
                         side_of(context_with("several.pem"), NULL,
                                 &pipe.net[1]) };

    shake(sides, &pipe, PIPE_BYTES, 1000000, result, err);
    assert_int_equal(result[1], 1);
    /* The client's, whose subject is "good". */
    assert_true(tn_tls_certificate_fits(sides[1], "good"));
    assert_true(tn_tls_certificate_fits(sides[1], "LOCAL*"));
    assert_false(tn_tls_certificate_fits(sides[1], "goo"));
    assert_false(tn_tls_certificate_fits(sides[1], "several"));
    assert_false(tn_tls_certificate_fits(sides[1], "127.0.0.2"));
    /* The server's, which the client has not verified. */
    assert_false(tn_tls_certificate_fits(sides[0], "*"));
    for (int i = 0; i < 2; i++) {
        tn_tls_free(sides[i]);
        BIO_free(pipe.net[i]);
    }
}

static void each_kind_of_name_of_a_certificate_counts(void **state)
{
    struct pipe pipe;
    int result[2] = { 0 };
    tenon_error err[2] = { 0 };
    tn_tls *sides[2] = {
        side_of(context_with("several.pem"), PEER, &pipe.net[0]),
        side_of(context_with("several.pem"), NULL, &pipe.net[1])
    };

    (void)state;
    shake(sides, &pipe, PIPE_BYTES, 1000000, result, err);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(result[i], 1);
        assert_true(tn_tls_certificate_fits(sides[i], "several"));
        assert_true(tn_tls_certificate_fits(sides[i], "shop.example.org"));
        assert_true(tn_tls_certificate_fits(sides[i], "*.example.org"));
        assert_true(tn_tls_certificate_fits(sides[i], "localhost"));
        assert_true(tn_tls_certificate_fits(sides[i], "spiffe://example/shop"));
        assert_false(tn_tls_certificate_fits(sides[i], "shop@example.org"));
        assert_false(tn_tls_certificate_fits(sides[i], "example.org"));
        tn_tls_free(sides[i]);
        BIO_free(pipe.net[i]);
    }
}

struct outcome {
    int result[2]; /* client's, server's */
    tenon_error err[2];
};

static struct outcome meet(tn_tls_context *client, tn_tls_context *server)
{
    struct pipe pipe;
    tn_tls *sides[2] = { side_of(client, PEER, &pipe.net[0]),
                         side_of(server, NULL, &pipe.net[1]) };
    struct outcome out = { 0 };

    shake(sides, &pipe, PIPE_BYTES, 1000000, out.result, out.err);
    /* In TLS 1.3 a client is done before the server has looked at its
     * certificate: it learns of a refusal when it reads. */
    if (out.result[0] == 1 && out.result[1] < 0) {
        char byte;

        out.result[0] = tn_tls_read(sides[0], &byte, 1) == -EPROTO ? -1 : 1;
    }
    for (int i = 0; i < 2; i++) {
        tn_tls_free(sides[i]);
        BIO_free(pipe.net[i]);
    }
    return out;
}

static void send_over(tn_tls *sides[2],
                      struct pipe *pipe,
                      int from,
                      const uint8_t *bytes,
                      size_t len,
                      int step)
{
    uint8_t *got = malloc(len);
    size_t sent = 0;
    size_t there = 0;

    assert_non_null(got);
    while (there < len) {
        ssize_t n = sent < len
                        ? tn_tls_write(sides[from], bytes + sent, len - sent)
                        : -EAGAIN;

        assert_true(n > 0 || n == -EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        carry(pipe, from, step);
        n = tn_tls_read(sides[!from], got + there, len - there);
        assert_true(n > 0 || n == -EAGAIN);
        /* The beginning of a record is nothing that a further read gives. */
        assert_true(n > 0 || !tn_tls_has_buffered(sides[!from]));
        there += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(got, bytes, len);
    assert_false(tn_tls_has_buffered(sides[!from]));
    free(got);
}

/* ---- tests --------------------------------------------------------------- */

static void bytes_cross_however_they_are_cut(void **state)
{
    static const char *const versions[] = { "['tlsv1.2']", "['tlsv1.3']" };
    static const int steps[] = { 1, 7, 1000, PIPE_BYTES };
    static uint8_t bytes[70000];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31);
    }
    for (size_t v = 0; v < 2; v++) {
        for (size_t s = 0; s < 4; s++) {
            struct tn_tls_options options = options_with("good.pem");
            set(&options, "client_versions", versions[v]);
            tn_tls_context *context = context_of(&options);
            struct pipe pipe;
            tn_tls *sides[2] = { side_of(tn_tls_context_ref(context), PEER,
                                         &pipe.net[0]),
                                 side_of(context, NULL, &pipe.net[1]) };
            int result[2] = { 0, 0 };
            tenon_error err[2];
            size_t len = steps[s] < 100 ? 2000 : sizeof bytes;

            shake(sides, &pipe, steps[s], 1000000, result, err);
            assert_int_equal(result[0], 1);
            assert_int_equal(result[1], 1);
            assert_string_equal(tn_tls_facts(sides[0]).version,
                                v == 0 ? "TLSv1.2" : "TLSv1.3");
            send_over(sides, &pipe, 0, bytes, len, steps[s]);
            send_over(sides, &pipe, 1, bytes, len, steps[s]);
            for (int i = 0; i < 2; i++) {
                tn_tls_free(sides[i]);
                BIO_free(pipe.net[i]);
            }
        }
    }
}

/* Carries `cut` bytes of a handshake, or all of it when that is 0, then ends
 * both directions. Returns the bytes, and whether both are done. */
static long close_after(tn_tls_context *context, long cut, bool *is_done)
{
    struct pipe pipe;
    tn_tls *sides[2] = {
        side_of(tn_tls_context_ref(context), PEER, &pipe.net[0]),
        side_of(tn_tls_context_ref(context), NULL, &pipe.net[1])
    };
    int result[2] = { 0, 0 };
    tenon_error err[2];
    int step = cut % 2 == 0 ? PIPE_BYTES : 1;
    long carried =
        shake(sides, &pipe, step, cut == 0 ? 1000000 : cut, result, err);

    for (int i = 0; i < 2 && cut > 0; i++) {
        BIO_shutdown_wr(pipe.net[i]);
        if (result[i] == 0) {
            result[i] = tn_tls_handshake(sides[i], &err[i]);
            assert_true(result[i] == 1 || result[i] == TENON_E_CLOSED);
            assert_true(result[i] == 1 ||
                        strstr(err[i].text, "the peer closed") != NULL);
        }
    }
    *is_done = result[0] == 1 && result[1] == 1;
    for (int i = 0; i < 2; i++) {
        tn_tls_free(sides[i]);
        BIO_free(pipe.net[i]);
    }
    return carried;
}

static void a_close_anywhere_in_the_handshake_ends_both(void **state)
{
    static const char *const versions[] = { "['tlsv1.2']", "['tlsv1.3']" };

    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tn_tls_options options = options_with("good.pem");

        set(&options, "client_versions", versions[v]);
        set(&options, "server_session_tickets", "disabled");
        set(&options, "client_reuse_sessions", "false");
        tn_tls_context *context = context_of(&options);
        bool is_done;
        long whole = close_after(context, 0, &is_done);

        assert_true(whole > 1000 && is_done);
        for (long cut = 1; cut < whole; cut += 5) {
            (void)close_after(context, cut, &is_done);
            /* Signatures differ in length by a few bytes. */
            assert_true(!is_done || cut > whole - 20);
        }
        tn_tls_context_unref(context);
    }
}

static void check_refusal(const char *client_cert,
                          const char *server_cert,
                          int who,
                          const char *why)
{
    struct outcome out =
        meet(context_with(client_cert), context_with(server_cert));

    assert_int_equal(out.result[who], TENON_E_TLS);
    if (strstr(out.err[who].text, why) == NULL) {
        fail_msg("%s, %s: expected \"%s\" in \"%s\"", client_cert, server_cert,
                 why, out.err[who].text);
    }
    /* The other side is told by an alert. */
    assert_true(out.result[!who] < 0);
}

static void
a_certificate_that_is_not_good_is_refused_with_the_reason(void **state)
{
    (void)state;
    check_refusal("good.pem", "expired.pem", 0, "certificate has expired");
    check_refusal("expired.pem", "good.pem", 1, "certificate has expired");
    check_refusal("good.pem", "self_signed.pem", 0, "self-signed certificate");
    check_refusal("self_signed.pem", "good.pem", 1, "self-signed certificate");
    check_refusal("good.pem", "wrong_ca.pem", 0,
                  "unable to get local issuer certificate");
    check_refusal("wrong_ca.pem", "good.pem", 1,
                  "unable to get local issuer certificate");
    check_refusal("good.pem", "wrong_host.pem", 0, "hostname mismatch");
}

static void a_client_without_a_certificate_is_refused(void **state)
{
    struct tn_tls_options options = options_with("good.pem");

    (void)state;
    free(options.client.cert.certfile);
    options.client.cert.certfile = NULL;
    struct outcome out = meet(context_of(&options), context_with("good.pem"));

    assert_int_equal(out.result[1], TENON_E_TLS);
    assert_non_null(strstr(out.err[1].text, "did not return a certificate"));
    assert_true(out.result[0] < 0);
}

static void what_the_options_allow_is_allowed(void **state)
{
    struct tn_tls_options options = options_with("good.pem");
    struct tn_tls_options client = options_with("good.pem");

    (void)state;
    set(&options, "server_fail_if_no_peer_cert", "false");
    free(client.client.cert.certfile);
    client.client.cert.certfile = NULL;
    struct outcome out = meet(context_of(&client), context_of(&options));

    assert_int_equal(out.result[0], 1);
    assert_int_equal(out.result[1], 1);
    options = options_with("good.pem");
    set(&options, "client_verify", "verify_none");
    out = meet(context_of(&options), context_with("expired.pem"));
    assert_int_equal(out.result[0], 1);
    assert_int_equal(out.result[1], 1);
    options = options_with("good.pem");
    set(&options, "client_server_name_indication", "disable");
    out = meet(context_of(&options), context_with("wrong_host.pem"));
    assert_int_equal(out.result[0], 1);
    options = options_with("good.pem");
    set(&options, "client_server_name_indication", "\"elsewhere.invalid\"");
    out = meet(context_of(&options), context_with("wrong_host.pem"));
    assert_int_equal(out.result[0], 1);
}

static void a_revoked_certificate_is_refused(void **state)
{
    char cache[300];

    (void)state;
    snprintf(cache, sizeof cache,
             "{ssl_crl_hash_dir, {internal, [{dir, \"%s\"}]}}", in_dir("crls"));
    for (int i = 0; i < 2; i++) {
        struct tn_tls_options options = options_with("good.pem");

        set(&options, "server_crl_cache", cache);
        set(&options, "server_crl_check", "peer");
        struct outcome out =
            meet(context_with(i == 0 ? "revoked.pem" : "good.pem"),
                 context_of(&options));

        assert_int_equal(out.result[1], i == 0 ? TENON_E_TLS : 1);
        if (i == 0) {
            assert_non_null(strstr(out.err[1].text, "certificate revoked"));
        }
    }
}

static void without_a_list_only_best_effort_goes_on(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tn_tls_options options = options_with("good.pem");

        set(&options, "server_crl_check", i == 0 ? "true" : "best_effort");
        struct outcome out =
            meet(context_with("good.pem"), context_of(&options));

        assert_int_equal(out.result[1], i == 0 ? TENON_E_TLS : 1);
    }
}

static void the_nodes_own_name_is_good_too(void **state)
{
    struct pipe pipe;
    tn_tls *sides[2] = {
        side_of(context_with("good.pem"), "node@elsewhere", &pipe.net[0]),
        side_of(context_with("named.pem"), NULL, &pipe.net[1])
    };
    int result[2] = { 0, 0 };
    tenon_error err[2];

    (void)state;
    shake(sides, &pipe, PIPE_BYTES, 1000000, result, err);
    assert_int_equal(result[0], 1);
    for (int i = 0; i < 2; i++) {
        tn_tls_free(sides[i]);
        BIO_free(pipe.net[i]);
    }
}

static void plain_bytes_are_called_by_their_name(void **state)
{
    static const char name[] = "\0\025n\0\6\0\0\0\0\0\0plain@localhost";
    struct pipe pipe;
    tn_tls *tls = side_of(context_with("good.pem"), NULL, &pipe.net[1]);
    tenon_error err = { 0 };
    char said[64];

    (void)state;
    BIO_write(pipe.net[1], name, sizeof name);
    assert_int_equal(tn_tls_handshake(tls, &err), TENON_E_TLS);
    assert_non_null(strstr(err.text, "is it a node without?"));
    /* It gets an alert: fatal, unexpected_message. */
    assert_int_equal(BIO_read(pipe.net[1], said, sizeof said), 7);
    assert_memory_equal(said, "\x15\x03\x03\0\2\2\x0a", 7);
    tn_tls_free(tls);
    BIO_free(pipe.net[1]);
}

/* Whether the second of two connections resumes the first's session. */
static bool is_resumed(tn_tls_context *client, tn_tls_context *server)
{
    bool result = false;

    for (int i = 0; i < 2; i++) {
        struct pipe pipe;
        tn_tls *sides[2] = {
            side_of(tn_tls_context_ref(client), PEER, &pipe.net[0]),
            side_of(tn_tls_context_ref(server), NULL, &pipe.net[1])
        };
        int done[2] = { 0, 0 };
        tenon_error err[2];
        uint8_t byte = 1;

        shake(sides, &pipe, PIPE_BYTES, 1000000, done, err);
        assert_int_equal(done[0], 1);
        /* A ticket of TLS 1.3 comes with what is read later. */
        send_over(sides, &pipe, 1, &byte, 1, PIPE_BYTES);
        result = tn_tls_facts(sides[0]).is_resumed;
        assert_int_equal(result, tn_tls_facts(sides[1]).is_resumed);
        assert_true(i == 1 || !result);
        for (int s = 0; s < 2; s++) {
            tn_tls_free(sides[s]);
            BIO_free(pipe.net[s]);
        }
    }
    tn_tls_context_unref(client);
    tn_tls_context_unref(server);
    return result;
}

static void a_session_is_resumed(void **state)
{
    static const char *const versions[] = { "['tlsv1.2']", "['tlsv1.3']" };

    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tn_tls_options options = options_with("good.pem");
        set(&options, "client_versions", versions[v]);
        tn_tls_context *context = context_of(&options);

        assert_true(is_resumed(tn_tls_context_ref(context), context));
    }
}

static void what_is_resumed_follows_the_options_of_both(void **state)
{
    static const struct {
        const char *version;
        const char *option;
        const char *value;
        bool resumed;
    } cases[] = {
        { "tlsv1.2", "server_reuse_sessions", "false", false },
        { "tlsv1.2", "client_reuse_sessions", "false", false },
        { "tlsv1.2", "client_reuse_sessions", "save", true },
        { "tlsv1.2", "server_session_tickets", "disabled", true },
        { "tlsv1.2", "client_session_tickets", "disabled", true },
        { "tlsv1.3", "server_reuse_sessions", "false", false },
        { "tlsv1.3", "client_reuse_sessions", "false", false },
        { "tlsv1.3", "server_session_tickets", "stateful", true },
        { "tlsv1.3", "server_session_tickets", "stateless", true },
        { "tlsv1.3", "client_session_tickets", "auto", true },
        { "tlsv1.3", "server_session_tickets", "disabled", false },
        { "tlsv1.3", "client_session_tickets", "disabled", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tn_tls_options options = options_with("good.pem");

        set(&options, "client_versions", cases[i].version);
        set(&options, cases[i].option, cases[i].value);
        tn_tls_context *context = context_of(&options);

        if (is_resumed(tn_tls_context_ref(context), context) !=
            cases[i].resumed) {
            fail_msg("%s, %s %s", cases[i].version, cases[i].option,
                     cases[i].value);
        }
    }
}

/* What certificates are read again for: the old sessions are over with them. */
static void a_new_context_resumes_nothing(void **state)
{
    tn_tls_context *client = context_with("good.pem");

    (void)state;
    assert_true(
        is_resumed(tn_tls_context_ref(client), context_with("good.pem")));
    assert_int_equal(
        meet(tn_tls_context_ref(client), context_with("expired.pem")).result[0],
        TENON_E_TLS);
    assert_int_equal(
        meet(context_with("expired.pem"), tn_tls_context_ref(client)).result[1],
        TENON_E_TLS);
    tn_tls_context_unref(client);
}

static struct tn_tls_facts facts_of(struct tn_tls_options *client,
                                    struct tn_tls_options *server)
{
    struct pipe pipe;
    tn_tls *sides[2] = { side_of(context_of(client), PEER, &pipe.net[0]),
                         side_of(context_of(server), NULL, &pipe.net[1]) };
    int result[2] = { 0, 0 };
    tenon_error err[2];

    shake(sides, &pipe, PIPE_BYTES, 1000000, result, err);
    assert_int_equal(result[0], 1);
    struct tn_tls_facts facts = tn_tls_facts(sides[0]);

    for (int i = 0; i < 2; i++) {
        tn_tls_free(sides[i]);
        BIO_free(pipe.net[i]);
    }
    return facts;
}

static void of_several_certificates_the_ciphers_choose(void **state)
{
    static const char *const ciphers[] = { "ECDHE-RSA-AES128-GCM-SHA256",
                                           "ECDHE-ECDSA-AES128-GCM-SHA256" };
    char pairs[600];

    (void)state;
    int n = snprintf(pairs, sizeof pairs, "[#{certfile => \"%s\"},",
                     in_dir("good.pem"));
    snprintf(pairs + n, sizeof pairs - (size_t)n, "#{certfile => \"%s\"}]",
             in_dir("rsa.pem"));
    for (size_t i = 0; i < 2; i++) {
        struct tn_tls_options server = options_with("expired.pem");
        struct tn_tls_options client = options_with("good.pem");

        set(&server, "server_certs_keys", pairs);
        set(&client, "client_ciphers", ciphers[i]);
        assert_string_equal(facts_of(&client, &server).cipher, ciphers[i]);
    }
}

static void a_version_without_a_cipher_is_off(void **state)
{
    static const char *const ciphers[] = { "ECDHE-ECDSA-AES128-GCM-SHA256",
                                           "TLS_AES_128_GCM_SHA256" };
    static const char *const versions[] = { "TLSv1.2", "TLSv1.3" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tn_tls_options server = options_with("good.pem");
        struct tn_tls_options client = options_with("good.pem");

        set(&server, "server_ciphers", ciphers[i]);
        struct tn_tls_facts facts = facts_of(&client, &server);

        assert_string_equal(facts.version, versions[i]);
        assert_string_equal(facts.cipher, ciphers[i]);
    }
}

static void the_server_chooses_among_ciphers_if_told_to(void **state)
{
    static const char *const orders[] = {
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tn_tls_options server = options_with("good.pem");
        struct tn_tls_options client = options_with("good.pem");

        set(&server, "server_ciphers", orders[0]);
        set(&client, "client_ciphers", orders[1]);
        set(&server, "server_honor_cipher_order", i == 0 ? "true" : "false");
        const char *cipher = facts_of(&client, &server).cipher;

        assert_memory_equal(cipher, orders[i], strlen(cipher));
    }
}

static void the_depth_counts_authorities_in_between(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tn_tls_options options = options_with("good.pem");

        set(&options, "server_depth", i == 0 ? "0" : "1");
        struct outcome out =
            meet(context_with("deep.pem"), context_of(&options));

        assert_int_equal(out.result[1], i == 0 ? TENON_E_TLS : 1);
        if (i == 0) {
            assert_non_null(strstr(out.err[1].text, "chain too long"));
        }
    }
}

/* ---- a peer that is OpenSSL alone ----------------------------------------- */

struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    tn_tls *tls;
    struct pipe pipe;
    int step;        /* bytes that are carried at a time */
    int key_updates; /* that the peer has heard of */
};

/* OpenSSL's callback for what the peer sends and gets. */
static void see_message(int is_sent,
                        int version,
                        int type,
                        const void *bytes,
                        size_t len,
                        SSL *ssl,
                        void *user)
{
    struct raw *raw = user;

    (void)version;
    (void)ssl;
    if (!is_sent && type == SSL3_RT_HANDSHAKE && len > 0 &&
        *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE) {
        raw->key_updates++;
    }
}

/* One turn of both, with what there is to read thrown away. */
static void raw_turn(struct raw *raw)
{
    carry(&raw->pipe, 0, raw->step);
    carry(&raw->pipe, 1, raw->step);
}

/* options: taken. */
static void raw_open(struct raw *raw,
                     struct tn_tls_options *options,
                     bool is_server,
                     int version)
{
    BIO *stream;
    tenon_error err;

    *raw = (struct raw){ .step = PIPE_BYTES };
    raw->ctx =
        SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    assert_non_null(raw->ctx);
    SSL_CTX_set_max_proto_version(raw->ctx, version);
    SSL_CTX_set_options(raw->ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    SSL_CTX_set_msg_callback(raw->ctx, see_message);
    SSL_CTX_set_msg_callback_arg(raw->ctx, raw);
    assert_int_equal(
        SSL_CTX_use_certificate_chain_file(raw->ctx, in_dir("good.pem")), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(raw->ctx, in_dir("good.pem"),
                                                 SSL_FILETYPE_PEM),
                     1);
    raw->ssl = SSL_new(raw->ctx);
    assert_int_equal(
        BIO_new_bio_pair(&stream, PIPE_BYTES, &raw->pipe.net[0], PIPE_BYTES),
        1);
    SSL_set_bio(raw->ssl, stream, stream);
    if (is_server) {
        SSL_set_accept_state(raw->ssl);
    } else {
        SSL_set_connect_state(raw->ssl);
    }
    raw->tls = side_of(context_of(options), is_server ? PEER : NULL,
                       &raw->pipe.net[1]);
    for (int i = 0; i < 10; i++) {
        (void)SSL_do_handshake(raw->ssl);
        (void)tn_tls_handshake(raw->tls, &err);
        raw_turn(raw);
    }
    assert_int_equal(SSL_is_init_finished(raw->ssl), 1);
    assert_int_equal(tn_tls_handshake(raw->tls, &err), 1);
}

static void raw_close(struct raw *raw)
{
    tn_tls_free(raw->tls);
    BIO_free(raw->pipe.net[0]);
    BIO_free(raw->pipe.net[1]);
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->ctx);
    ERR_clear_error();
}

/* A byte each way, whatever else TLS has to say meanwhile. */
static void raw_exchange(struct raw *raw, char byte)
{
    bool is_sent[2] = { false, false };
    char got[2] = { 0, 0 };

    for (int turns = 0; got[0] == 0 || got[1] == 0; turns++) {
        assert_true(turns < 100000);
        is_sent[0] = is_sent[0] || SSL_write(raw->ssl, &byte, 1) == 1;
        if (!is_sent[1]) {
            ssize_t n = tn_tls_write(raw->tls, &byte, 1);

            assert_true(n == 1 || n == -EAGAIN);
            is_sent[1] = n == 1;
        }
        raw_turn(raw);
        (void)SSL_read(raw->ssl, &got[0], 1);
        ssize_t n = tn_tls_read(raw->tls, &got[1], 1);

        assert_true(n == 1 || n == -EAGAIN);
    }
    assert_int_equal(got[0], byte);
    assert_int_equal(got[1], byte);
}

static void what_came_together_is_taken_by_one_read_of_the_stream(void **state)
{
    struct tn_tls_options options = options_with("good.pem");
    struct raw raw;
    char got[10];

    (void)state;
    raw_open(&raw, &options, false, TLS1_3_VERSION);
    raw_exchange(&raw, 'a');
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_write(raw.ssl, &"bcd"[i], 1), 1);
    }
    carry(&raw.pipe, 0, PIPE_BYTES);
    stream_reads = 0;
    assert_int_equal(tn_tls_read(raw.tls, got, sizeof got), 3);
    assert_memory_equal(got, "bcd", 3);
    assert_int_equal(stream_reads, 1);
    raw_close(&raw);
}

static void keys_are_renewed_when_the_peer_asks(void **state)
{
    static const int steps[] = { 1, PIPE_BYTES };

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        struct tn_tls_options options = options_with("good.pem");
        struct raw raw;

        raw_open(&raw, &options, false, TLS1_3_VERSION);
        raw.step = steps[s];
        raw_exchange(&raw, 'a');
        for (char c = 'b'; c < 'f'; c++) {
            assert_int_equal(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED),
                             1);
            raw_exchange(&raw, c);
        }
        /* The answer to the last one comes with what is sent next. */
        raw_exchange(&raw, 'g');
        assert_int_equal(raw.key_updates, 4);
        raw_close(&raw);
    }
}

static void a_key_is_for_so_many_bytes(void **state)
{
    (void)state;
    for (int is_server = 0; is_server < 2; is_server++) {
        struct tn_tls_options options = options_with("good.pem");
        struct raw raw;

        set(&options, "server_key_update_at", "3");
        set(&options, "client_key_update_at", "3");
        raw_open(&raw, &options, is_server != 0, TLS1_3_VERSION);
        for (char c = 'a'; c < 'k'; c++) {
            raw_exchange(&raw, c);
        }
        assert_int_equal(raw.key_updates, 3);
        raw_close(&raw);
    }
}

/* As BEAM nodes do in TLS 1.2 after 2^28 messages. */
static void the_peer_may_renegotiate(void **state)
{
    static const int steps[] = { 1, PIPE_BYTES };

    (void)state;
    for (int is_server = 0; is_server < 2; is_server++) {
        for (size_t s = 0; s < 2; s++) {
            struct tn_tls_options options = options_with("good.pem");
            struct raw raw;

            raw_open(&raw, &options, is_server != 0, TLS1_2_VERSION);
            raw.step = steps[s];
            raw_exchange(&raw, 'a');
            assert_int_equal(SSL_renegotiate(raw.ssl), 1);
            (void)SSL_do_handshake(raw.ssl);
            for (char c = 'b'; c < 'f'; c++) {
                raw_exchange(&raw, c);
            }
            assert_int_equal(SSL_num_renegotiations(raw.ssl), 1);
            assert_false(SSL_renegotiate_pending(raw.ssl));
            assert_int_equal(SSL_is_init_finished(raw.ssl), 1);
            raw_close(&raw);
        }
    }
}

static void while_it_does_nothing_is_written(void **state)
{
    struct tn_tls_options options = options_with("good.pem");
    struct raw raw;
    char byte;

    (void)state;
    raw_open(&raw, &options, false, TLS1_2_VERSION);
    raw_exchange(&raw, 'a');
    assert_false(tn_tls_write_wants_bytes(raw.tls));
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    (void)SSL_do_handshake(raw.ssl);
    carry(&raw.pipe, 0, PIPE_BYTES);
    assert_int_equal(tn_tls_read(raw.tls, &byte, 1), -EAGAIN);
    assert_int_equal(tn_tls_write(raw.tls, "x", 1), -EAGAIN);
    assert_true(tn_tls_write_wants_bytes(raw.tls));
    raw_exchange(&raw, 'b');
    assert_false(tn_tls_write_wants_bytes(raw.tls));
    raw_close(&raw);
}

/* What the server wrote before it had the answer to its request. */
static void bytes_that_come_meanwhile_are_read(void **state)
{
    struct tn_tls_options options = options_with("good.pem");
    struct raw raw;
    char byte = 0;

    (void)state;
    raw_open(&raw, &options, true, TLS1_2_VERSION);
    raw_exchange(&raw, 'a');
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    (void)SSL_do_handshake(raw.ssl);
    carry(&raw.pipe, 0, PIPE_BYTES);
    assert_int_equal(tn_tls_read(raw.tls, &byte, 1), -EAGAIN);
    assert_int_equal(SSL_write(raw.ssl, "b", 1), 1);
    carry(&raw.pipe, 0, PIPE_BYTES);
    assert_int_equal(tn_tls_write(raw.tls, "x", 1), -EAGAIN);
    assert_int_equal(tn_tls_read(raw.tls, &byte, 1), 1);
    assert_int_equal(byte, 'b');
    raw_exchange(&raw, 'c');
    assert_int_equal(SSL_num_renegotiations(raw.ssl), 1);
    raw_close(&raw);
}

static void who_renegotiates_again_at_once_is_left(void **state)
{
    struct tn_tls_options options = options_with("good.pem");
    struct raw raw;
    tenon_error err = { 0 };
    ssize_t n = -EAGAIN;
    char byte;

    (void)state;
    raw_open(&raw, &options, false, TLS1_2_VERSION);
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    (void)SSL_do_handshake(raw.ssl);
    raw_exchange(&raw, 'a');
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    for (int i = 0; i < 20 && n == -EAGAIN; i++) {
        (void)SSL_do_handshake(raw.ssl);
        raw_turn(&raw);
        n = tn_tls_read(raw.tls, &byte, 1);
    }
    assert_int_equal(n, -EPROTO);
    tn_tls_why(raw.tls, &err);
    assert_non_null(strstr(err.text, "renegotiates too often"));
    raw_close(&raw);
}

static void a_renegotiation_may_be_declined_and_hurts_nothing(void **state)
{
    struct tn_tls_options options = options_with("good.pem");
    struct raw raw;
    char byte;

    (void)state;
    set(&options, "server_client_renegotiation", "false");
    raw_open(&raw, &options, false, TLS1_2_VERSION);
    raw_exchange(&raw, 'a');
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    (void)SSL_do_handshake(raw.ssl);
    carry(&raw.pipe, 0, PIPE_BYTES);
    assert_int_equal(tn_tls_read(raw.tls, &byte, 1), -EAGAIN);
    assert_true(carry(&raw.pipe, 1, PIPE_BYTES) > 0);
    assert_int_equal(tn_tls_write(raw.tls, "x", 1), 1);
    raw_close(&raw);
}

/* ---- contexts ------------------------------------------------------------ */

static void
context_fails(const char *name, const char *value, const char *expected)
{
    struct tn_tls_options options = options_with("good.pem");
    tn_tls_context *context = NULL;
    tenon_error err = { 0 };

    set(&options, name, value);
    assert_int_equal(tn_tls_context_new(&options, &context, &err),
                     TENON_E_INVAL);
    assert_null(context);
    if (strstr(err.text, expected) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", expected, err.text);
    }
    tn_tls_options_fini(&options);
}

static void what_cannot_be_used_is_named(void **state)
{
    (void)state;
    context_fails("server_certfile", "/nowhere.pem", "certfile: /nowhere.pem");
    context_fails("server_keyfile", in_dir("expired.key"), "keyfile: ");
    context_fails("client_cacertfile", "/nowhere.pem",
                  "cacertfile: /nowhere.pem");
    context_fails("server_ciphers", "NO_SUCH_CIPHER", "ciphers: ");
    context_fails("server_dhfile", "/nowhere.pem", "dhfile: /nowhere.pem");
    context_fails("server_ciphers", "TLS_NO_SUCH_CIPHER",
                  "ciphers: TLS_NO_SUCH_CIPHER");
    context_fails("server_certs_keys", "[#{certfile => \"/nowhere.pem\"}]",
                  "certfile: /nowhere.pem");
}

static void
a_keys_password_comes_from_the_option_or_the_environment(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct tn_tls_options options = options_with("locked.pem");
        tn_tls_context *context = NULL;

        unsetenv(TN_TLS_PASSWORD_ENV);
        if (i == 1) {
            setenv(TN_TLS_PASSWORD_ENV, "secret", 1);
        } else if (i > 1) {
            set(&options, "server_password", i == 2 ? "secret" : "wrong");
            set(&options, "client_password", "secret");
        }
        assert_int_equal(tn_tls_context_new(&options, &context, NULL),
                         i == 1 || i == 2 ? TENON_OK : TENON_E_INVAL);
        tn_tls_context_unref(context);
        tn_tls_options_fini(&options);
    }
    unsetenv(TN_TLS_PASSWORD_ENV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_cross_however_they_are_cut),
        cmocka_unit_test(a_name_of_a_verified_certificate_fits_a_pattern),
        cmocka_unit_test(each_kind_of_name_of_a_certificate_counts),
        cmocka_unit_test(a_close_anywhere_in_the_handshake_ends_both),
        cmocka_unit_test(
            a_certificate_that_is_not_good_is_refused_with_the_reason),
        cmocka_unit_test(a_client_without_a_certificate_is_refused),
        cmocka_unit_test(what_the_options_allow_is_allowed),
        cmocka_unit_test(a_revoked_certificate_is_refused),
        cmocka_unit_test(without_a_list_only_best_effort_goes_on),
        cmocka_unit_test(the_nodes_own_name_is_good_too),
        cmocka_unit_test(plain_bytes_are_called_by_their_name),
        cmocka_unit_test(a_session_is_resumed),
        cmocka_unit_test(what_came_together_is_taken_by_one_read_of_the_stream),
        cmocka_unit_test(what_is_resumed_follows_the_options_of_both),
        cmocka_unit_test(a_new_context_resumes_nothing),
        cmocka_unit_test(of_several_certificates_the_ciphers_choose),
        cmocka_unit_test(a_version_without_a_cipher_is_off),
        cmocka_unit_test(the_server_chooses_among_ciphers_if_told_to),
        cmocka_unit_test(the_depth_counts_authorities_in_between),
        cmocka_unit_test(keys_are_renewed_when_the_peer_asks),
        cmocka_unit_test(a_key_is_for_so_many_bytes),
        cmocka_unit_test(the_peer_may_renegotiate),
        cmocka_unit_test(while_it_does_nothing_is_written),
        cmocka_unit_test(bytes_that_come_meanwhile_are_read),
        cmocka_unit_test(who_renegotiates_again_at_once_is_left),
        cmocka_unit_test(a_renegotiation_may_be_declined_and_hurts_nothing),
        cmocka_unit_test(what_cannot_be_used_is_named),
        cmocka_unit_test(
            a_keys_password_comes_from_the_option_or_the_environment),
    };
    return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
