/* SPDX-License-Identifier: Apache-2.0 */
/* Both ways of giving options end in one table: name, and what takes its
 * value. */
#include "dist/tls_options.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "base/error.h"
#include "base/file.h"
#include "term/plain.h"

/* Longest list of ciphers, as one text. */
#define CIPHERS_MAX_BYTES 4096u

struct setting;

typedef enum tenon_err set_fn(struct tn_tls_side *side,
                              const struct setting *setting,
                              tenon_term value,
                              tenon_error *err);

/* For whom an option has a meaning. */
enum { SERVER = 1, CLIENT = 2, BOTH = SERVER | CLIENT };

/* What an option does; `offset` is that of its field in a side. */
struct setting {
    const char *name;
    set_fn *set;
    size_t offset;
    int sides;
    bool is_text; /* its text on a command line needs no quotes */
};

/* ---- values -------------------------------------------------------------- */

/* Passwords do not get into logs. */
static bool is_secret(const struct setting *setting)
{
    return strcmp(setting->name, "password") == 0 ||
           strcmp(setting->name, "certs_keys") == 0;
}

static enum tenon_err wrong(const struct setting *setting,
                            const char *expected,
                            tenon_term value,
                            tenon_error *err)
{
    char text[128] = "something else";

    if (!is_secret(setting)) {
        (void)tenon_term_print(value, text, sizeof text);
    }
    return tn_error(err, TENON_E_INVAL, "TLS option %s: expected %s, got %s",
                    setting->name, expected, text);
}

static void free_text(char **text)
{
    if (*text != NULL) {
        OPENSSL_cleanse(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}

static enum tenon_err
keep_text(char **field, const char *bytes, size_t len, tenon_error *err)
{
    char *copy = malloc(len + 1);

    if (copy == NULL) {
        return tn_error(err, TENON_E_NOMEM, "TLS options: out of memory");
    }
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    free_text(field);
    *field = copy;
    return TENON_OK;
}

static void *field_of(struct tn_tls_side *side, const struct setting *setting)
{
    return (char *)side + setting->offset;
}

static enum tenon_err set_text(struct tn_tls_side *side,
                               const struct setting *setting,
                               tenon_term value,
                               tenon_error *err)
{
    const void *bytes;
    size_t len;

    if (tenon_term_binary(value, &bytes, &len) != TENON_OK || len == 0) {
        return wrong(setting, "a string", value, err);
    }
    return keep_text(field_of(side, setting), bytes, len, err);
}

static enum tenon_err set_bool(struct tn_tls_side *side,
                               const struct setting *setting,
                               tenon_term value,
                               tenon_error *err)
{
    bool *field = field_of(side, setting);

    *field = tenon_term_is_atom(value, "true");
    return *field || tenon_term_is_atom(value, "false")
               ? TENON_OK
               : wrong(setting, "true or false", value, err);
}

/* The field says the opposite of the option. */
static enum tenon_err set_unless(struct tn_tls_side *side,
                                 const struct setting *setting,
                                 tenon_term value,
                                 tenon_error *err)
{
    bool *field = field_of(side, setting);
    enum tenon_err rc = set_bool(side, setting, value, err);

    *field = !*field;
    return rc;
}

/* What is always so here. */
static enum tenon_err need_true(struct tn_tls_side *side,
                                const struct setting *setting,
                                tenon_term value,
                                tenon_error *err)
{
    (void)side;
    return tenon_term_is_atom(value, "true")
               ? TENON_OK
               : wrong(setting, "true", value, err);
}

static enum tenon_err set_verify(struct tn_tls_side *side,
                                 const struct setting *setting,
                                 tenon_term value,
                                 tenon_error *err)
{
    side->no_verify = tenon_term_is_atom(value, "verify_none");
    return side->no_verify || tenon_term_is_atom(value, "verify_peer")
               ? TENON_OK
               : wrong(setting, "verify_peer or verify_none", value, err);
}

static enum tenon_err set_depth(struct tn_tls_side *side,
                                const struct setting *setting,
                                tenon_term value,
                                tenon_error *err)
{
    int64_t depth;

    if (tenon_term_int64(value, &depth) != TENON_OK || depth < 0 ||
        depth > 255) {
        return wrong(setting, "an integer from 0 to 255", value, err);
    }
    side->depth_and_one = (int)depth + 1;
    return TENON_OK;
}

static enum tenon_err set_key_update(struct tn_tls_side *side,
                                     const struct setting *setting,
                                     tenon_term value,
                                     tenon_error *err)
{
    int64_t bytes;

    if (tenon_term_int64(value, &bytes) != TENON_OK || bytes <= 0) {
        return wrong(setting, "an integer above 0", value, err);
    }
    side->key_update_at = (uint64_t)bytes;
    return TENON_OK;
}

/* A client may "save" a session that is not the first of its server: here it
 * always does. */
static enum tenon_err set_reuse(struct tn_tls_side *side,
                                const struct setting *setting,
                                tenon_term value,
                                tenon_error *err)
{
    side->no_reuse = tenon_term_is_atom(value, "false");
    return side->no_reuse || tenon_term_is_atom(value, "true") ||
                   tenon_term_is_atom(value, "save")
               ? TENON_OK
               : wrong(setting, "true, false or save", value, err);
}

/* A server's words and a client's; a ticket always holds the certificate. */
static enum tenon_err set_tickets(struct tn_tls_side *side,
                                  const struct setting *setting,
                                  tenon_term value,
                                  tenon_error *err)
{
    static const struct {
        const char *word;
        enum tn_tls_tickets tickets;
    } known[] = {
        { "disabled", TN_TLS_TICKETS_NONE },
        { "auto", TN_TLS_TICKETS_ON },
        { "stateless", TN_TLS_TICKETS_ON },
        { "stateless_with_cert", TN_TLS_TICKETS_ON },
        { "stateful", TN_TLS_TICKETS_STATEFUL },
        { "stateful_with_cert", TN_TLS_TICKETS_STATEFUL },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (tenon_term_is_atom(value, known[i].word)) {
            side->tickets = known[i].tickets;
            return TENON_OK;
        }
    }
    return wrong(setting, "disabled, auto, stateless or stateful", value, err);
}

static enum tenon_err allow_version(struct tn_tls_side *side,
                                    const struct setting *setting,
                                    tenon_term version,
                                    tenon_error *err)
{
    if (tenon_term_is_atom(version, "tlsv1.2")) {
        side->no_tls_1_2 = false;
    } else if (tenon_term_is_atom(version, "tlsv1.3")) {
        side->no_tls_1_3 = false;
    } else {
        return wrong(setting, "'tlsv1.2' or 'tlsv1.3'", version, err);
    }
    return TENON_OK;
}

/* A list of them, or a single one as on a command line. */
static enum tenon_err set_versions(struct tn_tls_side *side,
                                   const struct setting *setting,
                                   tenon_term value,
                                   tenon_error *err)
{
    tenon_cursor at;
    tenon_term version;
    tenon_atom atom;
    enum tenon_err rc = TENON_OK;

    side->no_tls_1_2 = true;
    side->no_tls_1_3 = true;
    if (tenon_term_atom(value, &atom) == TENON_OK) {
        return allow_version(side, setting, value, err);
    }
    tenon_cursor_init(&at, value);
    while (rc == TENON_OK && tenon_cursor_next(&at, &version)) {
        rc = allow_version(side, setting, version, err);
    }
    if (rc != TENON_OK) {
        return rc;
    }
    return side->no_tls_1_2 && side->no_tls_1_3
               ? wrong(setting, "a list of 'tlsv1.2' and 'tlsv1.3'", value, err)
               : TENON_OK;
}

static enum tenon_err set_crl_check(struct tn_tls_side *side,
                                    const struct setting *setting,
                                    tenon_term value,
                                    tenon_error *err)
{
    static const char *const words[] = {
        [TN_TLS_CRL_NONE] = "false",
        [TN_TLS_CRL_ALL] = "true",
        [TN_TLS_CRL_PEER] = "peer",
        [TN_TLS_CRL_BEST_EFFORT] = "best_effort",
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (tenon_term_is_atom(value, words[i])) {
            side->crl_check = (enum tn_tls_crl_check)i;
            return TENON_OK;
        }
    }
    return wrong(setting, "true, false, peer or best_effort", value, err);
}

/* {ssl_crl_hash_dir, {internal, [{dir, "..."}]}} */
static enum tenon_err set_crl_cache(struct tn_tls_side *side,
                                    const struct setting *setting,
                                    tenon_term value,
                                    tenon_error *err)
{
    tenon_term dir;

    if (!tenon_match(value, "{:ssl_crl_hash_dir, {:internal, [{:dir, ~t}]}}",
                     &dir)) {
        return wrong(setting,
                     "{ssl_crl_hash_dir, {internal, [{dir, \"...\"}]}}", value,
                     err);
    }
    return set_text(side, setting, dir, err);
}

static enum tenon_err set_server_name(struct tn_tls_side *side,
                                      const struct setting *setting,
                                      tenon_term value,
                                      tenon_error *err)
{
    if (tenon_term_is_atom(value, "disable")) {
        side->name_check = TN_TLS_NAME_NONE;
        return TENON_OK;
    }
    side->name_check = TN_TLS_NAME_GIVEN;
    return set_text(side, setting, value, err);
}

/* ---- ciphers ------------------------------------------------------------- */

/* "a:b" and one more. */
static enum tenon_err
add_cipher(char **list, const char *name, size_t len, tenon_error *err)
{
    char text[CIPHERS_MAX_BYTES];
    int n = snprintf(text, sizeof text, "%s%s%.*s", *list != NULL ? *list : "",
                     *list != NULL ? ":" : "", (int)len, name);

    if (n < 0 || (size_t)n >= sizeof text) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS option ciphers: expected at most %u bytes",
                        CIPHERS_MAX_BYTES);
    }
    return keep_text(list, text, (size_t)n, err);
}

/* TLS 1.3 has names of its own; those of the standard for TLS 1.2 are known
 * to OpenSSL by others. */
static enum tenon_err sort_cipher(struct tn_tls_side *side,
                                  const char *bytes,
                                  size_t len,
                                  tenon_error *err)
{
    char name[128];

    if (len >= sizeof name) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS option ciphers: expected names of ciphers, got "
                        "one of %zu bytes",
                        len);
    }
    memcpy(name, bytes, len);
    name[len] = '\0';
    if (strncmp(name, "TLS_AES_", 8) == 0 ||
        strncmp(name, "TLS_CHACHA20_", 13) == 0) {
        return add_cipher(&side->ciphersuites, name, len, err);
    }
    if (strncmp(name, "TLS_", 4) == 0) {
        const char *known = OPENSSL_cipher_name(name);

        known = strcmp(known, "(NONE)") == 0 ? name : known;
        return add_cipher(&side->ciphers, known, strlen(known), err);
    }
    return add_cipher(&side->ciphers, name, len, err);
}

static enum tenon_err sort_ciphers(struct tn_tls_side *side,
                                   const char *bytes,
                                   size_t len,
                                   tenon_error *err)
{
    enum tenon_err rc = TENON_OK;

    while (rc == TENON_OK && len > 0) {
        const char *colon = memchr(bytes, ':', len);
        size_t one = colon != NULL ? (size_t)(colon - bytes) : len;

        rc = sort_cipher(side, bytes, one, err);
        one += colon != NULL;
        bytes += one;
        len -= one;
    }
    return rc;
}

/* A list of names, or names with colons in between. */
static enum tenon_err set_ciphers(struct tn_tls_side *side,
                                  const struct setting *setting,
                                  tenon_term value,
                                  tenon_error *err)
{
    tenon_cursor at;
    tenon_term name;
    const void *bytes;
    size_t len;
    enum tenon_err rc = TENON_OK;

    free_text(&side->ciphers);
    free_text(&side->ciphersuites);
    if (tenon_term_binary(value, &bytes, &len) == TENON_OK) {
        return sort_ciphers(side, bytes, len, err);
    }
    if (tenon_term_count(value) == 0 || !tenon_term_is_proper_list(value)) {
        return wrong(setting, "names of ciphers", value, err);
    }
    tenon_cursor_init(&at, value);
    while (rc == TENON_OK && tenon_cursor_next(&at, &name)) {
        rc = tenon_term_binary(name, &bytes, &len) == TENON_OK
                 ? sort_ciphers(side, bytes, len, err)
                 : wrong(setting, "names of ciphers", name, err);
    }
    return rc;
}

/* ---- several certificates ------------------------------------------------- */

static void free_cert(struct tn_tls_cert *cert)
{
    free_text(&cert->certfile);
    free_text(&cert->keyfile);
    free_text(&cert->password);
}

static void free_certs_keys(struct tn_tls_side *side)
{
    while (side->certs_keys_count > 0) {
        free_cert(&side->certs_keys[--side->certs_keys_count]);
    }
}

static char **text_of(struct tn_tls_cert *cert, tenon_term key)
{
    return tenon_term_is_atom(key, "certfile")   ? &cert->certfile
           : tenon_term_is_atom(key, "keyfile")  ? &cert->keyfile
           : tenon_term_is_atom(key, "password") ? &cert->password
                                                 : NULL;
}

/* #{certfile => "...", keyfile => "...", password => "..."} */
static enum tenon_err set_cert(struct tn_tls_cert *cert,
                               const struct setting *setting,
                               tenon_term value,
                               tenon_error *err)
{
    tenon_cursor at;
    tenon_term key, text;
    const void *bytes;
    size_t len;
    enum tenon_err rc = TENON_OK;

    tenon_cursor_init(&at, value);
    while (rc == TENON_OK && tenon_cursor_next_pair(&at, &key, &text)) {
        char **field = text_of(cert, key);

        if (field == NULL) {
            return wrong(setting, "maps of certfile, keyfile and password",
                         value, err);
        }
        rc = tenon_term_binary(text, &bytes, &len) == TENON_OK && len > 0
                 ? keep_text(field, bytes, len, err)
                 : wrong(setting, "a string", text, err);
    }
    return rc != TENON_OK || cert->certfile != NULL
               ? rc
               : wrong(setting, "a map with certfile", value, err);
}

static enum tenon_err set_certs_keys(struct tn_tls_side *side,
                                     const struct setting *setting,
                                     tenon_term value,
                                     tenon_error *err)
{
    tenon_cursor at;
    tenon_term one;
    enum tenon_err rc = TENON_OK;

    free_certs_keys(side);
    if (!tenon_term_is_proper_list(value)) {
        return wrong(setting, "a list of maps", value, err);
    }
    tenon_cursor_init(&at, value);
    while (rc == TENON_OK && tenon_cursor_next(&at, &one)) {
        if (side->certs_keys_count == TN_TLS_CERTS_MAX) {
            return tn_error(err, TENON_E_INVAL,
                            "TLS option %s: expected at most %u certificates",
                            setting->name, TN_TLS_CERTS_MAX);
        }
        rc = set_cert(&side->certs_keys[side->certs_keys_count++], setting, one,
                      err);
    }
    return rc;
}

/* ---- the table ----------------------------------------------------------- */

#define FIELD(field) offsetof(struct tn_tls_side, field)

/* The names are those in BEAM nodes' files. */
static const struct setting settings[] = {
    { "certfile", set_text, FIELD(cert.certfile), BOTH, true },
    { "keyfile", set_text, FIELD(cert.keyfile), BOTH, true },
    { "password", set_text, FIELD(cert.password), BOTH, true },
    { "certs_keys", set_certs_keys, 0, BOTH, false },
    { "cacertfile", set_text, FIELD(cacertfile), BOTH, true },
    { "dhfile", set_text, FIELD(dhfile), SERVER, true },
    { "ciphers", set_ciphers, 0, BOTH, true },
    { "versions", set_versions, 0, BOTH, false },
    { "verify", set_verify, 0, BOTH, false },
    { "fail_if_no_peer_cert", set_unless, FIELD(no_cert_is_fine), SERVER,
      false },
    { "depth", set_depth, 0, BOTH, false },
    { "crl_check", set_crl_check, 0, BOTH, false },
    { "crl_cache", set_crl_cache, FIELD(crl_dir), BOTH, false },
    { "server_name_indication", set_server_name, FIELD(server_name), CLIENT,
      false },
    { "reuse_sessions", set_reuse, 0, BOTH, false },
    { "session_tickets", set_tickets, 0, BOTH, false },
    { "honor_cipher_order", set_bool, FIELD(server_order), SERVER, false },
    { "secure_renegotiate", need_true, 0, BOTH, false },
    { "client_renegotiation", set_unless, FIELD(no_renegotiation), SERVER,
      false },
    { "key_update_at", set_key_update, 0, BOTH, false },
};

/* NULL: it has no meaning here, and err says so. */
static const struct setting *
find_setting(const char *name, int side, tenon_error *err)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (strcmp(settings[i].name, name) == 0 &&
            (settings[i].sides & side) != 0) {
            return &settings[i];
        }
    }
    (void)tn_error(err, TENON_E_INVAL,
                   "TLS option %s of the %s: it has no meaning here", name,
                   side == SERVER ? "server" : "client");
    return NULL;
}

static struct tn_tls_side *side_of(struct tn_tls_options *options, int side)
{
    return side == SERVER ? &options->server : &options->client;
}

/* ---- a file -------------------------------------------------------------- */

/* {Name, Value}; an atom alone is {Name, true}, as in property lists. */
static enum tenon_err take_option(struct tn_tls_options *options,
                                  int side,
                                  tenon_term option,
                                  tenon_error *err)
{
    tenon_term name = option;
    tenon_term value = { (const uint8_t *)"\167\004true", 6 };
    tenon_atom atom;

    if (!tenon_match(option, "{~t, ~t}", &name, &value)) {
        name = option;
    }
    if (tenon_term_atom(name, &atom) != TENON_OK) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS options of the %s: expected {Name, Value}",
                        side == SERVER ? "server" : "client");
    }
    const struct setting *setting = find_setting(atom.text, side, err);

    return setting != NULL
               ? setting->set(side_of(options, side), setting, value, err)
               : TENON_E_INVAL;
}

static enum tenon_err
take_side(struct tn_tls_options *options, tenon_term entry, tenon_error *err)
{
    int side = SERVER;
    tenon_term list, option;
    tenon_cursor at;
    enum tenon_err rc = TENON_OK;

    if (!tenon_match(entry, "{:server, ~t}", &list)) {
        side = CLIENT;
        if (!tenon_match(entry, "{:client, ~t}", &list)) {
            return tn_error(err, TENON_E_INVAL,
                            "TLS options: expected {server, [...]} or "
                            "{client, [...]}");
        }
    }
    if (!tenon_term_is_proper_list(list)) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS options of the %s: expected a list",
                        side == SERVER ? "server" : "client");
    }
    tenon_cursor_init(&at, list);
    while (rc == TENON_OK && tenon_cursor_next(&at, &option)) {
        rc = take_option(options, side, option, err);
    }
    return rc;
}

static enum tenon_err
take_sides(struct tn_tls_options *options, tenon_term sides, tenon_error *err)
{
    tenon_cursor at;
    tenon_term entry;
    enum tenon_err rc = TENON_OK;

    if (!tenon_term_is_proper_list(sides)) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS options: expected [{server, [...]}, "
                        "{client, [...]}]");
    }
    tenon_cursor_init(&at, sides);
    while (rc == TENON_OK && tenon_cursor_next(&at, &entry)) {
        rc = take_side(options, entry, err);
    }
    return rc;
}

enum tenon_err tn_tls_options_read(struct tn_tls_options *options,
                                   const char *file,
                                   tenon_error *err)
{
    char *text;
    size_t len;
    tenon_error what = { 0 };
    tenon_term sides;
    enum tenon_err rc =
        tn_file_read(file, TN_TLS_OPTFILE_MAX_BYTES, &text, &len, &what);

    if (rc != TENON_OK) {
        return tn_error(err, rc, "TLS options: %s", what.text);
    }
    tenon_builder *builder = tenon_builder_new();

    if (builder == NULL) {
        rc = tn_error(&what, TENON_E_NOMEM, "out of memory");
        goto out;
    }
    rc = tn_plain_read(text, len, true, builder, &what);
    if (rc == TENON_OK) {
        rc = tenon_builder_term(builder, &sides);
    }
    if (rc == TENON_OK) {
        rc = take_sides(options, sides, &what);
    }
out:
    if (rc != TENON_OK) {
        (void)tn_error(err, rc, "%s: %s", file, what.text);
    }
    tenon_builder_free(builder);
    free(text);
    return rc;
}

/* ---- one option ---------------------------------------------------------- */

/* As "verify_peer" and "tlsv1.3" are. */
static bool is_atom_without_quotes(const char *text)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyz_.0123456789";

    return *text >= 'a' && *text <= 'z' && text[strspn(text, chars)] == '\0';
}

static enum tenon_err take_value(struct tn_tls_side *side,
                                 const struct setting *setting,
                                 const char *value,
                                 tenon_error *err)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_term term;
    enum tenon_err rc;

    if (builder == NULL) {
        return tn_error(err, TENON_E_NOMEM, "TLS options: out of memory");
    }
    if (setting->is_text) {
        rc = tenon_build_string(builder, value);
    } else if (is_atom_without_quotes(value)) {
        rc = tenon_build_atom(builder, value);
    } else {
        tenon_error what = { 0 };

        rc = tn_plain_read(value, strlen(value), false, builder, &what);
        if (rc != TENON_OK) {
            (void)tn_error(err, rc, "TLS option %s: %s", setting->name,
                           what.text);
        }
    }
    if (rc == TENON_OK) {
        rc = tenon_builder_term(builder, &term);
    }
    if (rc == TENON_OK) {
        rc = setting->set(side, setting, term, err);
    }
    tenon_builder_free(builder);
    return rc;
}

enum tenon_err tn_tls_options_set(struct tn_tls_options *options,
                                  const char *name,
                                  const char *value,
                                  tenon_error *err)
{
    bool is_server = strncmp(name, "server_", 7) == 0;

    if (!is_server && strncmp(name, "client_", 7) != 0) {
        return tn_error(err, TENON_E_INVAL,
                        "TLS option %s: expected a name that begins with "
                        "server_ or client_",
                        name);
    }
    int side = is_server ? SERVER : CLIENT;
    const struct setting *setting = find_setting(name + 7, side, err);

    return setting != NULL
               ? take_value(side_of(options, side), setting, value, err)
               : TENON_E_INVAL;
}

static void free_side(struct tn_tls_side *side)
{
    char **const texts[] = {
        &side->cacertfile,   &side->dhfile,  &side->ciphers,
        &side->ciphersuites, &side->crl_dir, &side->server_name,
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free_text(texts[i]);
    }
    free_cert(&side->cert);
    free_certs_keys(side);
    *side = (struct tn_tls_side){ 0 };
}

void tn_tls_options_fini(struct tn_tls_options *options)
{
    free_side(&options->server);
    free_side(&options->client);
}
