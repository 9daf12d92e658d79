/* SPDX-License-Identifier: Apache-2.0 */
/* Options of TLS as BEAM nodes' files have them, and one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/tls_options.h"

/* ---- options ------------------------------------------------------------- */

static void
set(struct tn_tls_options *options, const char *name, const char *value)
{
    tenon_error err = { 0 };

    if (tn_tls_options_set(options, name, value, &err) != TENON_OK) {
        fail_msg("%s: %s", name, err.text);
    }
}

static void each_option_sets_its_own_field(void **state)
{
    struct tn_tls_options o = { 0 };

    (void)state;
    set(&o, "server_certfile", "c.pem");
    set(&o, "server_keyfile", "k.pem");
    set(&o, "server_password", "pw");
    set(&o, "server_cacertfile", "ca.pem");
    set(&o, "server_dhfile", "dh.pem");
    set(&o, "server_ciphers",
        "ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384:"
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    set(&o, "server_versions", "['tlsv1.3']");
    set(&o, "server_verify", "verify_none");
    set(&o, "server_fail_if_no_peer_cert", "false");
    set(&o, "server_depth", "0");
    set(&o, "server_crl_check", "peer");
    set(&o, "server_crl_cache",
        "{ssl_crl_hash_dir, {internal, [{dir, \"crls\"}]}}");
    set(&o, "server_reuse_sessions", "false");
    set(&o, "server_honor_cipher_order", "true");
    set(&o, "server_secure_renegotiate", "true");
    set(&o, "server_client_renegotiation", "false");
    set(&o, "server_session_tickets", "stateful");
    set(&o, "server_key_update_at", "1000");
    set(&o, "server_certs_keys",
        "[#{certfile => \"1.pem\"},"
        " #{certfile => \"2.pem\", keyfile => \"2.key\", password => \"p\"}]");
    set(&o, "client_versions", "tlsv1.2");
    set(&o, "client_session_tickets", "disabled");
    set(&o, "client_reuse_sessions", "save");
    set(&o, "client_depth", "255");
    set(&o, "client_server_name_indication", "\"name\"");
    assert_string_equal(o.server.cert.certfile, "c.pem");
    assert_string_equal(o.server.cert.keyfile, "k.pem");
    assert_string_equal(o.server.cert.password, "pw");
    assert_string_equal(o.server.cacertfile, "ca.pem");
    assert_string_equal(o.server.dhfile, "dh.pem");
    assert_string_equal(o.server.ciphers, "ECDHE-RSA-AES256-GCM-SHA384:"
                                          "ECDHE-RSA-AES128-GCM-SHA256");
    assert_string_equal(o.server.ciphersuites, "TLS_AES_256_GCM_SHA384");
    assert_true(o.server.no_tls_1_2);
    assert_false(o.server.no_tls_1_3);
    assert_true(o.server.no_verify);
    assert_true(o.server.no_cert_is_fine);
    assert_int_equal(o.server.depth_and_one, 1);
    assert_int_equal(o.server.crl_check, TN_TLS_CRL_PEER);
    assert_string_equal(o.server.crl_dir, "crls");
    assert_true(o.server.no_reuse);
    assert_true(o.server.server_order);
    assert_true(o.server.no_renegotiation);
    assert_int_equal(o.server.tickets, TN_TLS_TICKETS_STATEFUL);
    assert_int_equal(o.server.key_update_at, 1000);
    assert_int_equal(o.server.certs_keys_count, 2);
    assert_string_equal(o.server.certs_keys[0].certfile, "1.pem");
    assert_null(o.server.certs_keys[0].keyfile);
    assert_string_equal(o.server.certs_keys[1].certfile, "2.pem");
    assert_string_equal(o.server.certs_keys[1].keyfile, "2.key");
    assert_string_equal(o.server.certs_keys[1].password, "p");
    assert_false(o.client.no_tls_1_2);
    assert_true(o.client.no_tls_1_3);
    assert_int_equal(o.client.tickets, TN_TLS_TICKETS_NONE);
    assert_false(o.client.no_reuse);
    assert_int_equal(o.client.depth_and_one, 256);
    assert_string_equal(o.client.server_name, "name");
    assert_int_equal(o.client.name_check, TN_TLS_NAME_GIVEN);
    assert_null(o.client.cert.certfile);
    tn_tls_options_fini(&o);
    assert_null(o.server.cert.certfile);
}

static void
option_refused(const char *name, const char *value, const char *text)
{
    struct tn_tls_options o = { 0 };
    tenon_error err = { 0 };

    assert_true(tn_tls_options_set(&o, name, value, &err) < 0);
    assert_string_equal(err.text, text);
    tn_tls_options_fini(&o);
}

static void an_option_that_cannot_be_is_refused_by_name(void **state)
{
    (void)state;
    option_refused("server_verify_fun", "x",
                   "TLS option verify_fun of the server: it has no meaning "
                   "here");
    option_refused("client_hibernate_after", "1",
                   "TLS option hibernate_after of the client: it has no "
                   "meaning here");
    option_refused("certfile", "x",
                   "TLS option certfile: expected a name that begins with "
                   "server_ or client_");
    option_refused("server_verify", "maybe",
                   "TLS option verify: expected verify_peer or verify_none, "
                   "got :maybe");
    option_refused("server_versions", "[tlsv1]",
                   "TLS option versions: expected 'tlsv1.2' or 'tlsv1.3', got "
                   ":tlsv1");
    option_refused("server_versions", "[]",
                   "TLS option versions: expected a list of 'tlsv1.2' and "
                   "'tlsv1.3', got []");
    option_refused("server_depth", "-1",
                   "TLS option depth: expected an integer from 0 to 255, got "
                   "-1");
    option_refused("server_key_update_at", "0",
                   "TLS option key_update_at: expected an integer above 0, got "
                   "0");
    option_refused("client_session_tickets", "manual",
                   "TLS option session_tickets: expected disabled, auto, "
                   "stateless or stateful, got :manual");
    option_refused("server_secure_renegotiate", "false",
                   "TLS option secure_renegotiate: expected true, got false");
    option_refused("server_crl_cache", "{ssl_crl_cache, {internal, []}}",
                   "TLS option crl_cache: expected {ssl_crl_hash_dir, "
                   "{internal, [{dir, \"...\"}]}}, got {:ssl_crl_cache, "
                   "{:internal, []}}");
}

static void certificates_are_refused_without_their_passwords(void **state)
{
    (void)state;
    option_refused("server_certs_keys", "x",
                   "TLS option certs_keys: expected a list of maps, got "
                   "something else");
    option_refused("server_certs_keys", "[[{certfile, \"c\"}]]",
                   "TLS option certs_keys: expected a map with certfile, got "
                   "something else");
    option_refused("server_certs_keys", "[#{password => \"secret\"}]",
                   "TLS option certs_keys: expected a map with certfile, got "
                   "something else");
    option_refused("server_certs_keys",
                   "[#{certfile => \"c\", password => \"secret\", key => x}]",
                   "TLS option certs_keys: expected maps of certfile, keyfile "
                   "and password, got something else");
    option_refused("server_certs_keys",
                   "[#{certfile => \"c\"}, #{certfile => \"c\"},"
                   " #{certfile => \"c\"}, #{certfile => \"c\"},"
                   " #{certfile => \"c\"}]",
                   "TLS option certs_keys: expected at most 4 certificates");
}

/* What ssl of OTP 23, 25, 27 or 29 takes, and some options of sockets, which
 * it takes besides. */
static const char *const beam_options[] = {
    "allow_any_ca_purpose",
    "alpn_advertised_protocols",
    "alpn_preferred_protocols",
    "anti_replay",
    "beast_mitigation",
    "cacertfile",
    "cacerts",
    "cert",
    "cert_policy_opts",
    "certfile",
    "certificate_authorities",
    "certs_keys",
    "ciphers",
    "client_preferred_next_protocols",
    "client_renegotiation",
    "cookie",
    "crl_cache",
    "crl_check",
    "customize_hostname_check",
    "depth",
    "dh",
    "dhfile",
    "early_data",
    "eccs",
    "erl_dist",
    "fail_if_no_peer_cert",
    "fallback",
    "handshake",
    "hibernate_after",
    "honor_cipher_order",
    "honor_ecc_order",
    "keep_secrets",
    "keepalive",
    "key",
    "key_update_at",
    "keyfile",
    "ktls",
    "log_level",
    "max_fragment_length",
    "max_handshake_size",
    "middlebox_comp_mode",
    "next_protocol_selector",
    "next_protocols_advertised",
    "nodelay",
    "ocsp_nonce",
    "ocsp_responder_certs",
    "ocsp_stapling",
    "padding_check",
    "partial_chain",
    "password",
    "protocol",
    "psk_groups",
    "psk_identity",
    "receiver_spawn_opts",
    "renegotiate_at",
    "reuse_session",
    "reuse_sessions",
    "secure_renegotiate",
    "sender_spawn_opts",
    "server_name_indication",
    "session_tickets",
    "signature_algs",
    "signature_algs_cert",
    "sni_fun",
    "sni_hosts",
    "srp_identity",
    "stapling",
    "stateless_tickets_seed",
    "supported_groups",
    "use_srtp",
    "use_ticket",
    "user_lookup_fun",
    "verify",
    "verify_fun",
    "versions",
};

static bool is_among(const char *name, const char *const *names)
{
    while (*names != NULL && strcmp(name, *names) != 0) {
        names++;
    }
    return *names != NULL;
}

/* As with a value that no option takes: one with a meaning says what it
 * expects, each other one that it has none. */
static void
check_meaning(const char *side, const char *option, const char *const *known)
{
    struct tn_tls_options o = { 0 };
    tenon_error err = { 0 };
    char name[80], said[160];

    snprintf(name, sizeof name, "%s_%s", side, option);
    bool is_known = is_among(option, known);
    enum tenon_err rc = tn_tls_options_set(&o, name, "{}", &err);

    snprintf(said, sizeof said,
             is_known ? "TLS option %s: expected"
                      : "TLS option %s of the %s: it has no meaning here",
             option, side);
    /* A text is taken as it stands. */
    if (rc != TENON_OK ? strstr(err.text, said) == NULL : !is_known) {
        fail_msg("%s: expected \"%s\" in \"%s\"", name, said, err.text);
    }
    tn_tls_options_fini(&o);
}

static void
every_option_of_a_beam_node_has_its_meaning_or_is_refused(void **state)
{
    static const char *const server[] = {
        "certfile",
        "keyfile",
        "password",
        "certs_keys",
        "cacertfile",
        "dhfile",
        "ciphers",
        "versions",
        "verify",
        "fail_if_no_peer_cert",
        "depth",
        "crl_check",
        "crl_cache",
        "reuse_sessions",
        "session_tickets",
        "key_update_at",
        "honor_cipher_order",
        "secure_renegotiate",
        "client_renegotiation",
        NULL,
    };
    static const char *const client[] = {
        "certfile",
        "keyfile",
        "password",
        "certs_keys",
        "cacertfile",
        "ciphers",
        "versions",
        "verify",
        "depth",
        "crl_check",
        "crl_cache",
        "reuse_sessions",
        "session_tickets",
        "key_update_at",
        "secure_renegotiate",
        "server_name_indication",
        NULL,
    };

    (void)state;
    for (size_t i = 0; i < sizeof beam_options / sizeof beam_options[0]; i++) {
        check_meaning("server", beam_options[i], server);
        check_meaning("client", beam_options[i], client);
    }
}

/* ---- files --------------------------------------------------------------- */

static enum tenon_err
read_text(struct tn_tls_options *options, const char *text, tenon_error *err)
{
    char file[] = "/tmp/tenon-opt-XXXXXX";
    int fd = mkstemp(file);
    size_t len = strlen(text);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    enum tenon_err rc = tn_tls_options_read(options, file, err);

    unlink(file);
    return rc;
}

static void a_file_of_a_beam_node_is_taken_as_it_is(void **state)
{
    struct tn_tls_options o = { 0 };
    tenon_error err = { 0 };
    const char *text = "%% of the release\n"
                       "[{server, [{certfile, \"/s.pem\"},\n"
                       "           {cacertfile, <<\"/ca.pem\">>},\n"
                       "           {verify, verify_peer},\n"
                       "           {ciphers, [\"TLS_AES_128_GCM_SHA256\",\n"
                       "                      \"ECDHE-RSA-AES128-SHA256\"]},\n"
                       "           fail_if_no_peer_cert,\n"
                       "           {secure_renegotiate, true}]},\n"
                       " {server, [{certs_keys, [#{certfile => \"/r.pem\"},\n"
                       "     #{certfile => \"/e.pem\"}]}]},\n"
                       " {client, [{certfile, \"/c.pem\"},\n"
                       "           {server_name_indication, disable}]}].\n";

    (void)state;
    if (read_text(&o, text, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(o.server.cert.certfile, "/s.pem");
    assert_string_equal(o.server.cacertfile, "/ca.pem");
    assert_string_equal(o.server.ciphersuites, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(o.server.ciphers, "ECDHE-RSA-AES128-SHA256");
    assert_false(o.server.no_cert_is_fine);
    assert_int_equal(o.server.certs_keys_count, 2);
    assert_string_equal(o.client.cert.certfile, "/c.pem");
    assert_int_equal(o.client.name_check, TN_TLS_NAME_NONE);
    tn_tls_options_fini(&o);
}

static void file_refused(const char *text, const char *expected)
{
    struct tn_tls_options o = { 0 };
    tenon_error err = { 0 };

    assert_true(read_text(&o, text, &err) < 0);
    if (strstr(err.text, expected) == NULL) {
        fail_msg("\"%s\": expected \"%s\" in \"%s\"", text, expected, err.text);
    }
    tn_tls_options_fini(&o);
}

static void a_file_of_another_form_is_refused(void **state)
{
    struct tn_tls_options o = { 0 };
    tenon_error err = { 0 };

    (void)state;
    file_refused("[{server, [{hibernate_after, 1}]}].",
                 "TLS option hibernate_after of the server: it has no meaning");
    file_refused("[{client, [{honor_cipher_order, true}]}].",
                 "TLS option honor_cipher_order of the client: it has no "
                 "meaning");
    file_refused("[{server, [{server_name_indication, disable}]}].",
                 "TLS option server_name_indication of the server: it has no "
                 "meaning");
    file_refused("[{other, []}].", "expected {server, [...]} or {client");
    file_refused("{server, []}.", "expected [{server, [...]}");
    file_refused("[{server, x}].",
                 "TLS options of the server: expected a list");
    file_refused("[{server, [17]}].", "expected {Name, Value}");
    file_refused("[{server, []}]", "expected a full stop");
    assert_int_equal(tn_tls_options_read(&o, "/no/such/file", &err),
                     TENON_E_SYSTEM);
    assert_non_null(strstr(err.text, "reading /no/such/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_sets_its_own_field),
        cmocka_unit_test(an_option_that_cannot_be_is_refused_by_name),
        cmocka_unit_test(certificates_are_refused_without_their_passwords),
        cmocka_unit_test(
            every_option_of_a_beam_node_has_its_meaning_or_is_refused),
        cmocka_unit_test(a_file_of_a_beam_node_is_taken_as_it_is),
        cmocka_unit_test(a_file_of_another_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
