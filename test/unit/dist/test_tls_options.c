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
    set(&o, "server_honor_cipher_order", "false");
    set(&o, "server_secure_renegotiate", "true");
    set(&o, "client_server_name_indication", "\"name\"");
    assert_string_equal(o.server.certfile, "c.pem");
    assert_string_equal(o.server.keyfile, "k.pem");
    assert_string_equal(o.server.password, "pw");
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
    assert_true(o.server.client_order);
    assert_string_equal(o.client.server_name, "name");
    assert_int_equal(o.client.name_check, TN_TLS_NAME_GIVEN);
    assert_null(o.client.certfile);
    tn_tls_options_fini(&o);
    assert_null(o.server.certfile);
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
                   "TLS option depth: expected an integer from 0 to 100, got "
                   "-1");
    option_refused("server_secure_renegotiate", "false",
                   "TLS option secure_renegotiate: expected true, got false");
    option_refused("server_crl_cache", "{ssl_crl_cache, {internal, []}}",
                   "TLS option crl_cache: expected {ssl_crl_hash_dir, "
                   "{internal, [{dir, \"...\"}]}}, got {:ssl_crl_cache, "
                   "{:internal, []}}");
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
                       " {client, [{certfile, \"/c.pem\"},\n"
                       "           {server_name_indication, disable}]}].\n";

    (void)state;
    if (read_text(&o, text, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(o.server.certfile, "/s.pem");
    assert_string_equal(o.server.cacertfile, "/ca.pem");
    assert_string_equal(o.server.ciphersuites, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(o.server.ciphers, "ECDHE-RSA-AES128-SHA256");
    assert_false(o.server.no_cert_is_fine);
    assert_string_equal(o.client.certfile, "/c.pem");
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
        cmocka_unit_test(a_file_of_a_beam_node_is_taken_as_it_is),
        cmocka_unit_test(a_file_of_another_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
