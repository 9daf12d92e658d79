/* SPDX-License-Identifier: Apache-2.0 */
/* The version 6 handshake: one function for each packet that can come. */
#include "dist/handshake.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "dist/bytes.h"
#include "dist/flags.h"

#define DIGEST_BYTES 16u
#define HEAD_BYTES 2u
#define WIDE_HEAD_BYTES 4u

typedef enum tn_handshake_event event;

/* ---- failing ----------------------------------------------------------- */

static const char *peer_of(const struct tn_handshake *hs)
{
    if (hs->config.peer != NULL) {
        return hs->config.peer;
    }
    return hs->peer_name[0] != '\0' ? hs->peer_name : "(not named yet)";
}

static event failed(struct tn_handshake *hs)
{
    hs->state = TN_HANDSHAKE_ENDED;
    return TN_HANDSHAKE_FAILED;
}

/* Fails with `handshake with node "name": <what>`. */
static event fail(struct tn_handshake *hs,
                  tenon_error *err,
                  enum tenon_err code,
                  const char *what)
{
    tn_error(err, code, "handshake with node \"%s\": %s", peer_of(hs), what);
    return failed(hs);
}

static event
fail_tag(struct tn_handshake *hs, tenon_error *err, char expected, uint8_t got)
{
    tn_error(
        err, TENON_E_HANDSHAKE,
        "handshake with node \"%s\": expected tag '%c' (0x%02x), got 0x%02x "
        "at byte 0",
        peer_of(hs), expected, (unsigned)expected, (unsigned)got);
    return failed(hs);
}

static event fail_short(struct tn_handshake *hs,
                        tenon_error *err,
                        const char *packet,
                        size_t expected,
                        size_t got)
{
    tn_error(err, TENON_E_HANDSHAKE,
             "handshake with node \"%s\": expected a %s of at least %zu bytes, "
             "got %zu",
             peer_of(hs), packet, expected, got);
    return failed(hs);
}

/* ---- writing packets --------------------------------------------------- */

static size_t head_bytes(const struct tn_handshake *hs)
{
    return hs->config.wide ? WIDE_HEAD_BYTES : HEAD_BYTES;
}

/* Room for a packet of `len` bytes behind its length. What can wait in the
 * output at once is bounded by the protocol, and the room is larger. */
static uint8_t *put_packet(struct tn_handshake *hs, size_t len)
{
    assert(len + head_bytes(hs) <= sizeof hs->out - hs->out_len);
    uint8_t *at = hs->out + hs->out_len;

    hs->out_len += head_bytes(hs) + len;
    return hs->config.wide ? tn_add32(at, (uint32_t)len)
                           : tn_add16(at, (uint32_t)len);
}

static void put_status(struct tn_handshake *hs, const char *text)
{
    size_t len = strlen(text);
    uint8_t *at = put_packet(hs, 1 + len);

    *at++ = 's';
    memcpy(at, text, len);
}

/* 'N', flags:64, creation:32, nlen:16, name */
static void put_name(struct tn_handshake *hs)
{
    size_t len = strlen(hs->config.name);
    uint8_t *at = put_packet(hs, 15 + len);

    *at++ = 'N';
    at = tn_add64(at, hs->config.flags);
    at = tn_add32(at, hs->config.creation);
    at = tn_add16(at, len);
    memcpy(at, hs->config.name, len);
}

/* 'N', flags:64, challenge:32, creation:32, nlen:16, name */
static void put_challenge(struct tn_handshake *hs)
{
    size_t len = strlen(hs->config.name);
    uint8_t *at = put_packet(hs, 19 + len);

    *at++ = 'N';
    at = tn_add64(at, hs->config.flags);
    at = tn_add32(at, hs->challenge);
    at = tn_add32(at, hs->config.creation);
    at = tn_add16(at, len);
    memcpy(at, hs->config.name, len);
}

enum tenon_err tn_handshake_digest(const char *cookie,
                                   uint32_t challenge,
                                   uint8_t digest[16],
                                   tenon_error *err)
{
    char text[TN_COOKIE_MAX_BYTES + sizeof "4294967295"];
    int len = snprintf(text, sizeof text, "%s%" PRIu32, cookie, challenge);
    size_t digest_len = DIGEST_BYTES;

    if (len < 0 || (size_t)len >= sizeof text ||
        !EVP_Q_digest(NULL, "MD5", NULL, text, (size_t)len, digest,
                      &digest_len)) {
        return tn_error(err, TENON_E_SYSTEM,
                        "handshake: this OpenSSL gives no MD5 digest");
    }
    return TENON_OK;
}

static bool digest_fits(const struct tn_handshake *hs, const uint8_t *got)
{
    uint8_t expected[DIGEST_BYTES];

    return tn_handshake_digest(hs->cookie, hs->challenge, expected, NULL) ==
               TENON_OK &&
           CRYPTO_memcmp(expected, got, DIGEST_BYTES) == 0;
}

/* ---- what both roles check --------------------------------------------- */

/* A full node name: whole characters, no control characters (the name goes
 * into logs and terms), something on both sides of an '@'. */
static bool is_full_name(const char *name, size_t len)
{
    const char *at = memchr(name, '@', len);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) {
            return false;
        }
    }
    return at != NULL && at != name && at != name + len - 1 &&
           tn_utf8_valid((const uint8_t *)name, len, NULL);
}

static bool keep_name(struct tn_handshake *hs, const uint8_t *name, size_t len)
{
    if (len >= sizeof hs->peer_name || !is_full_name((const char *)name, len)) {
        return false;
    }
    memcpy(hs->peer_name, name, len);
    hs->peer_name[len] = '\0';
    return true;
}

/* The digest of a challenge proves the cookie to whoever sent it. A peer that
 * does not know the cookie sends back what it got on another connection. */
static bool is_reflected(const struct tn_handshake *hs, uint32_t challenge)
{
    return challenge == hs->challenge ||
           (hs->config.is_own_challenge != NULL &&
            hs->config.is_own_challenge(hs->config.user, challenge));
}

static event fail_reflected(struct tn_handshake *hs, tenon_error *err)
{
    return fail(hs, err, TENON_E_AUTH,
                "its challenge is one that this node waits to have answered");
}

static uint64_t missing_flags(const struct tn_handshake *hs)
{
    return hs->config.mandatory & ~hs->peer_flags;
}

static event fail_flags(struct tn_handshake *hs, tenon_error *err)
{
    char names[160];

    tn_error(err, TENON_E_FLAGS, "handshake with node \"%s\": it lacks %s",
             peer_of(hs),
             tn_flags_print(missing_flags(hs), names, sizeof names));
    return failed(hs);
}

static bool is_cookie(const char *cookie)
{
    size_t len = strlen(cookie);

    return len > 0 && len <= TN_COOKIE_MAX_BYTES;
}

/* ---- acceptor ---------------------------------------------------------- */

/* Refuses with a packet that the peer understands. */
static event refuse_name(struct tn_handshake *hs, tenon_error *err)
{
    put_status(hs, "not_allowed");
    if (hs->peer_flags & TN_FLAG(NAME_ME)) {
        return fail(hs, err, TENON_E_REFUSED,
                    "it asks for a node name, which this node does not give");
    }
    if (strcmp(hs->peer_name, hs->config.name) == 0) {
        return fail(hs, err, TENON_E_REFUSED, "it has this node's own name");
    }
    return fail_flags(hs, err);
}

static event
accept_name(struct tn_handshake *hs, bool name_fits, tenon_error *err)
{
    bool named = (hs->peer_flags & TN_FLAG(NAME_ME)) == 0;

    if (named && !name_fits) {
        return fail(hs, err, TENON_E_HANDSHAKE,
                    "expected a node name \"name@host\" of at most 255 bytes, "
                    "got something else");
    }
    if (!named || missing_flags(hs) != 0 ||
        strcmp(hs->peer_name, hs->config.name) == 0) {
        return refuse_name(hs, err);
    }
    hs->state = TN_HANDSHAKE_WAIT_OWNER;
    return TN_HANDSHAKE_HELLO;
}

/* 'n', version:16, flags:32, name up to the end: OTP 23 and 24 send it when
 * they believe that we speak version 5 only. */
static event take_old_name(struct tn_handshake *hs,
                           const uint8_t *p,
                           size_t len,
                           tenon_error *err)
{
    if (len < 7) {
        return fail_short(hs, err, "name", 7, len);
    }
    hs->old_name = true;
    hs->peer_flags = tn_flags_expand(tn_get32(p + 3));
    return accept_name(hs, keep_name(hs, p + 7, len - 7), err);
}

/* 'N', flags:64, creation:32, nlen:16, name */
static event take_name(struct tn_handshake *hs,
                       const uint8_t *p,
                       size_t len,
                       tenon_error *err)
{
    if (*p == 'n') {
        return take_old_name(hs, p, len, err);
    }
    if (*p != 'N') {
        return fail_tag(hs, err, 'N', *p);
    }
    size_t name_len = len < 15 ? 0 : tn_get16(p + 13);

    if (len < 15 + name_len) {
        return fail_short(hs, err, "name", 15 + name_len, len);
    }
    hs->peer_flags = tn_flags_expand(tn_get64(p + 1));
    hs->peer_creation = tn_get32(p + 9);
    return accept_name(hs, keep_name(hs, p + 15, name_len), err);
}

static event go_on(struct tn_handshake *hs)
{
    put_challenge(hs);
    hs->state =
        hs->old_name ? TN_HANDSHAKE_WAIT_COMPLEMENT : TN_HANDSHAKE_WAIT_REPLY;
    return TN_HANDSHAKE_MORE;
}

enum tn_handshake_event tn_handshake_status(struct tn_handshake *hs,
                                            enum tn_status status,
                                            const char *cookie,
                                            tenon_error *err)
{
    assert(hs->state == TN_HANDSHAKE_WAIT_OWNER);
    assert(is_cookie(cookie));
    memcpy(hs->cookie, cookie, strlen(cookie) + 1);
    hs->status = status;
    switch (status) {
    case TN_STATUS_OK:
        put_status(hs, "ok");
        return go_on(hs);
    case TN_STATUS_OK_SIMULTANEOUS:
        put_status(hs, "ok_simultaneous");
        return go_on(hs);
    case TN_STATUS_ALIVE:
        put_status(hs, "alive");
        hs->state = TN_HANDSHAKE_WAIT_ALIVE;
        return TN_HANDSHAKE_MORE;
    case TN_STATUS_NOK:
        put_status(hs, "nok");
        return fail(hs, err, TENON_E_DUPLICATE,
                    "this node's own attempt has precedence");
    case TN_STATUS_NOT_ALLOWED:
        put_status(hs, "not_allowed");
        return fail(hs, err, TENON_E_REFUSED, "this node does not allow it");
    case TN_STATUS_CLOSE:
        break;
    }
    return fail(hs, err, TENON_E_DUPLICATE,
                "another connection to it is being set up");
}

static bool is_status(const uint8_t *p, size_t len, const char *text)
{
    return len == 1 + strlen(text) && memcmp(p + 1, text, len - 1) == 0;
}

/* 's', "true" or "false" */
static event take_alive_answer(struct tn_handshake *hs,
                               const uint8_t *p,
                               size_t len,
                               tenon_error *err)
{
    if (*p != 's') {
        return fail_tag(hs, err, 's', *p);
    }
    if (is_status(p, len, "true")) {
        return go_on(hs);
    }
    if (is_status(p, len, "false")) {
        return fail(hs, err, TENON_E_DUPLICATE,
                    "it keeps the connection that is up");
    }
    return fail(hs, err, TENON_E_HANDSHAKE,
                "expected \"true\" or \"false\" after \"alive\", got something "
                "else");
}

/* 'c', flags_high:32, creation:32: what the old name message had no room for */
static event take_complement(struct tn_handshake *hs,
                             const uint8_t *p,
                             size_t len,
                             tenon_error *err)
{
    if (*p != 'c') {
        return fail_tag(hs, err, 'c', *p);
    }
    if (len < 9) {
        return fail_short(hs, err, "complement", 9, len);
    }
    hs->peer_flags |= (uint64_t)tn_get32(p + 1) << 32;
    hs->peer_creation = tn_get32(p + 5);
    hs->state = TN_HANDSHAKE_WAIT_REPLY;
    return TN_HANDSHAKE_MORE;
}

/* 'r', challenge:32, digest:16 bytes */
static event take_reply(struct tn_handshake *hs,
                        const uint8_t *p,
                        size_t len,
                        tenon_error *err)
{
    if (*p != 'r') {
        return fail_tag(hs, err, 'r', *p);
    }
    if (len < 5 + DIGEST_BYTES) {
        return fail_short(hs, err, "reply", 5 + DIGEST_BYTES, len);
    }
    if (!digest_fits(hs, p + 5)) {
        return fail(hs, err, TENON_E_AUTH, "its cookie is another one");
    }
    hs->peer_challenge = tn_get32(p + 1);
    if (is_reflected(hs, hs->peer_challenge)) {
        return fail_reflected(hs, err);
    }
    hs->state = TN_HANDSHAKE_WAIT_OWNER;
    return TN_HANDSHAKE_AUTHENTICATED;
}

enum tn_handshake_event tn_handshake_ack(struct tn_handshake *hs,
                                         tenon_error *err)
{
    uint8_t digest[DIGEST_BYTES];

    assert(hs->state == TN_HANDSHAKE_WAIT_OWNER);
    if (tn_handshake_digest(hs->cookie, hs->peer_challenge, digest, err) < 0) {
        return failed(hs);
    }
    uint8_t *at = put_packet(hs, 1 + DIGEST_BYTES);

    *at++ = 'a';
    memcpy(at, digest, DIGEST_BYTES);
    hs->state = TN_HANDSHAKE_ENDED;
    return TN_HANDSHAKE_DONE;
}

/* ---- initiator --------------------------------------------------------- */

static event take_go_ahead(struct tn_handshake *hs, enum tn_status status)
{
    hs->status = status;
    hs->state = TN_HANDSHAKE_WAIT_CHALLENGE;
    return TN_HANDSHAKE_MORE;
}

/* 's', text */
static event take_status(struct tn_handshake *hs,
                         const uint8_t *p,
                         size_t len,
                         tenon_error *err)
{
    if (*p != 's') {
        return fail_tag(hs, err, 's', *p);
    }
    if (is_status(p, len, "ok")) {
        return take_go_ahead(hs, TN_STATUS_OK);
    }
    if (is_status(p, len, "ok_simultaneous")) {
        return take_go_ahead(hs, TN_STATUS_OK_SIMULTANEOUS);
    }
    if (is_status(p, len, "alive")) {
        hs->status = TN_STATUS_ALIVE;
        hs->state = TN_HANDSHAKE_WAIT_OWNER;
        return TN_HANDSHAKE_ALIVE;
    }
    if (is_status(p, len, "nok")) {
        return fail(hs, err, TENON_E_DUPLICATE,
                    "its own attempt has precedence (status \"nok\")");
    }
    if (is_status(p, len, "not_allowed")) {
        return fail(hs, err, TENON_E_REFUSED,
                    "it refuses this node (status \"not_allowed\")");
    }
    if (len >= 7 && memcmp(p + 1, "named:", 6) == 0) {
        return fail(hs, err, TENON_E_HANDSHAKE,
                    "expected a status, got \"named:\" though this node asked "
                    "for no name");
    }
    return fail(hs, err, TENON_E_HANDSHAKE,
                "expected a known status, got another text");
}

enum tn_handshake_event
tn_handshake_alive(struct tn_handshake *hs, bool replace, tenon_error *err)
{
    assert(hs->state == TN_HANDSHAKE_WAIT_OWNER);
    put_status(hs, replace ? "true" : "false");
    if (!replace) {
        return fail(hs, err, TENON_E_DUPLICATE,
                    "the connection that is up is kept");
    }
    hs->state = TN_HANDSHAKE_WAIT_CHALLENGE;
    return TN_HANDSHAKE_MORE;
}

/* 'r', challenge:32, digest:16 bytes */
static event
put_reply(struct tn_handshake *hs, uint32_t challenge, tenon_error *err)
{
    uint8_t digest[DIGEST_BYTES];

    if (tn_handshake_digest(hs->cookie, challenge, digest, err) < 0) {
        return failed(hs);
    }
    uint8_t *at = put_packet(hs, 5 + DIGEST_BYTES);

    *at++ = 'r';
    at = tn_add32(at, hs->challenge);
    memcpy(at, digest, DIGEST_BYTES);
    hs->state = TN_HANDSHAKE_WAIT_ACK;
    return TN_HANDSHAKE_MORE;
}

/* 'N', flags:64, challenge:32, creation:32, nlen:16, name */
static event take_challenge(struct tn_handshake *hs,
                            const uint8_t *p,
                            size_t len,
                            tenon_error *err)
{
    if (*p == 'n') {
        return fail(hs, err, TENON_E_FLAGS,
                    "it speaks version 5 only, without HANDSHAKE_23");
    }
    if (*p != 'N') {
        return fail_tag(hs, err, 'N', *p);
    }
    size_t name_len = len < 19 ? 0 : tn_get16(p + 17);

    if (len < 19 + name_len) {
        return fail_short(hs, err, "challenge", 19 + name_len, len);
    }
    if (!keep_name(hs, p + 19, name_len) ||
        strcmp(hs->peer_name, hs->config.peer) != 0) {
        return fail(hs, err, TENON_E_HANDSHAKE,
                    "expected that name in the challenge, got another");
    }
    hs->peer_flags = tn_flags_expand(tn_get64(p + 1));
    hs->peer_creation = tn_get32(p + 13);
    if (missing_flags(hs) != 0) {
        return fail_flags(hs, err);
    }
    uint32_t challenge = tn_get32(p + 9);

    return is_reflected(hs, challenge) ? fail_reflected(hs, err)
                                       : put_reply(hs, challenge, err);
}

/* 'a', digest:16 bytes */
static event take_ack(struct tn_handshake *hs,
                      const uint8_t *p,
                      size_t len,
                      tenon_error *err)
{
    if (*p != 'a') {
        return fail_tag(hs, err, 'a', *p);
    }
    if (len < 1 + DIGEST_BYTES) {
        return fail_short(hs, err, "acknowledgement", 1 + DIGEST_BYTES, len);
    }
    if (!digest_fits(hs, p + 1)) {
        return fail(hs, err, TENON_E_AUTH, "its cookie is another one");
    }
    hs->state = TN_HANDSHAKE_ENDED;
    return TN_HANDSHAKE_DONE;
}

/* ---- the machine ------------------------------------------------------- */

static bool fits_config(const struct tn_handshake_config *config)
{
    size_t name = strlen(config->name);

    return name > 0 && name <= TENON_NODE_NAME_MAX_BYTES &&
           is_cookie(config->cookie) &&
           (config->peer == NULL ||
            strlen(config->peer) <= TENON_NODE_NAME_MAX_BYTES);
}

enum tenon_err tn_handshake_init(struct tn_handshake *hs,
                                 const struct tn_handshake_config *config,
                                 tenon_error *err)
{
    if (!fits_config(config)) {
        return tn_error(err, TENON_E_INVAL,
                        "handshake: expected names and a cookie of 1 to 255 "
                        "bytes, got others");
    }
    hs->config = *config;
    memcpy(hs->cookie, config->cookie, strlen(config->cookie) + 1);
    hs->config.cookie = NULL;
    hs->status = TN_STATUS_OK;
    hs->old_name = false;
    hs->peer_flags = 0;
    hs->peer_creation = 0;
    hs->peer_challenge = 0;
    memset(hs->peer_name, 0, sizeof hs->peer_name);
    hs->in_len = 0;
    hs->out_len = 0;
    if (tn_random_bytes(&hs->challenge, sizeof hs->challenge) < 0) {
        return tn_error(err, TENON_E_SYSTEM,
                        "handshake: no random bytes for the challenge");
    }
    if (config->peer == NULL) {
        hs->state = TN_HANDSHAKE_WAIT_NAME;
    } else {
        hs->state = TN_HANDSHAKE_WAIT_STATUS;
        put_name(hs);
    }
    return TENON_OK;
}

static event take_packet(struct tn_handshake *hs,
                         const uint8_t *p,
                         size_t len,
                         tenon_error *err)
{
    switch (hs->state) {
    case TN_HANDSHAKE_WAIT_NAME:
        return take_name(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_ALIVE:
        return take_alive_answer(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_COMPLEMENT:
        return take_complement(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_REPLY:
        return take_reply(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_STATUS:
        return take_status(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_CHALLENGE:
        return take_challenge(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_ACK:
        return take_ack(hs, p, len, err);
    case TN_HANDSHAKE_WAIT_OWNER:
    case TN_HANDSHAKE_ENDED:
        break;
    }
    return TN_HANDSHAKE_MORE;
}

static bool takes_bytes(const struct tn_handshake *hs)
{
    return hs->state != TN_HANDSHAKE_WAIT_OWNER &&
           hs->state != TN_HANDSHAKE_ENDED;
}

/* Copies towards `whole` bytes of the packet; true when they are there. */
static bool gather(struct tn_handshake *hs,
                   size_t whole,
                   const uint8_t *bytes,
                   size_t len,
                   size_t *used)
{
    size_t n = whole - hs->in_len;

    if (n > len - *used) {
        n = len - *used;
    }
    if (n > 0) {
        memcpy(hs->in + hs->in_len, bytes + *used, n);
        hs->in_len += n;
        *used += n;
    }
    return hs->in_len == whole;
}

/* The first bytes of a record of TLS: its kind, and a version of 3.x. */
static bool looks_like_tls(const struct tn_handshake *hs)
{
    return !hs->config.wide && (hs->in[0] == 21 || hs->in[0] == 22) &&
           hs->in[1] == 3;
}

/* The peer would wait for an answer that it understands: it gets the alert
 * protocol_version. */
static event fail_tls(struct tn_handshake *hs, tenon_error *err)
{
    static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 70 };

    if (hs->in[0] == 22) {
        memcpy(hs->out, alert, sizeof alert);
        hs->out_len = sizeof alert;
    }
    tn_error(err, TENON_E_TLS,
             "handshake with node \"%s\": it speaks TLS, and this node's "
             "connections are plain",
             peer_of(hs));
    return failed(hs);
}

static event
fail_packet_len(struct tn_handshake *hs, tenon_error *err, size_t len)
{
    if (looks_like_tls(hs)) {
        return fail_tls(hs, err);
    }
    tn_error(err, TENON_E_HANDSHAKE,
             "handshake with node \"%s\": expected a packet of 1 to %u bytes, "
             "got a length of %zu",
             peer_of(hs), TN_HANDSHAKE_PACKET_MAX_BYTES, len);
    return failed(hs);
}

enum tn_handshake_event tn_handshake_feed(struct tn_handshake *hs,
                                          const uint8_t *bytes,
                                          size_t len,
                                          size_t *used,
                                          tenon_error *err)
{
    *used = 0;
    while (takes_bytes(hs)) {
        size_t head = head_bytes(hs);

        if (hs->in_len < head && !gather(hs, head, bytes, len, used)) {
            break;
        }
        size_t packet_len =
            hs->config.wide ? tn_get32(hs->in) : tn_get16(hs->in);

        if (packet_len == 0 || packet_len > TN_HANDSHAKE_PACKET_MAX_BYTES) {
            return fail_packet_len(hs, err, packet_len);
        }
        if (!gather(hs, head + packet_len, bytes, len, used)) {
            break;
        }
        hs->in_len = 0;
        event what = take_packet(hs, hs->in + head, packet_len, err);

        if (what != TN_HANDSHAKE_MORE) {
            return what;
        }
    }
    return TN_HANDSHAKE_MORE;
}

const uint8_t *tn_handshake_out(const struct tn_handshake *hs, size_t *len)
{
    *len = hs->out_len;
    return hs->out;
}

void tn_handshake_sent(struct tn_handshake *hs, size_t len)
{
    assert(len <= hs->out_len);
    hs->out_len -= len;
    memmove(hs->out, hs->out + len, hs->out_len);
}
