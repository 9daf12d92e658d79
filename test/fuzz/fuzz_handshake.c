/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what the other end of a handshake says. However they are cut,
 * the outcome is the same.
 *
 *   0  role and decisions: bit 0 initiator, bit 1 replace, bits 2-4 status,
 *      bit 5 lengths of 4 bytes
 *   1  how the rest is cut
 *   2  this end's challenge, 4 bytes
 *   6  the stream */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/flags.h"
#include "dist/handshake.h"
#include "fuzz/must.h"
#include "term/bytes.h"

#define COOKIE "tenon"

#define HEAD_BYTES 6u

struct outcome {
    enum tn_handshake_event event;
    enum tenon_err code;
    size_t used;
    uint64_t flags;
    uint32_t creation;
    char peer[TENON_NODE_NAME_MAX_BYTES + 1];
    uint8_t out[2 * TN_HANDSHAKE_OUT_BYTES];
    size_t out_len;
};

static void drain(struct tn_handshake *hs, struct outcome *outcome)
{
    size_t len;
    const uint8_t *bytes = tn_handshake_out(hs, &len);

    MUST(len <= sizeof outcome->out - outcome->out_len);
    memcpy(outcome->out + outcome->out_len, bytes, len);
    outcome->out_len += len;
    tn_handshake_sent(hs, len);
}

static enum tn_handshake_event answer(struct tn_handshake *hs,
                                      uint8_t decisions,
                                      enum tn_handshake_event event,
                                      tenon_error *err)
{
    unsigned status = decisions >> 2 & 7u;

    switch (event) {
    case TN_HANDSHAKE_HELLO:
        return tn_handshake_status(
            hs,
            status > TN_STATUS_CLOSE ? TN_STATUS_OK : (enum tn_status)status,
            COOKIE, err);
    case TN_HANDSHAKE_ALIVE:
        return tn_handshake_alive(hs, (decisions & 2) != 0, err);
    case TN_HANDSHAKE_AUTHENTICATED:
        return tn_handshake_ack(hs, err);
    default:
        return event;
    }
}

static void feed(struct tn_handshake *hs,
                 uint8_t decisions,
                 const uint8_t *bytes,
                 size_t len,
                 struct outcome *outcome)
{
    enum tn_handshake_event event = TN_HANDSHAKE_HELLO;
    size_t at = 0;

    while (outcome->event == TN_HANDSHAKE_MORE && event != TN_HANDSHAKE_MORE) {
        tenon_error err = { .code = TENON_OK };
        size_t used;

        event = tn_handshake_feed(hs, bytes + at, len - at, &used, &err);
        MUST(used <= len - at);
        at += used;
        outcome->used += used;
        outcome->event = answer(hs, decisions, event, &err);
        outcome->code = err.code;
        MUST((outcome->event == TN_HANDSHAKE_FAILED) == (err.code < 0));
        drain(hs, outcome);
    }
}

static void begin(struct tn_handshake *hs, const uint8_t *data)
{
    struct tn_handshake_config config = {
        .name = "cnode@localhost",
        .cookie = COOKIE,
        .creation = 7,
        .flags = TN_FLAGS_OURS,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = (data[0] & 1) != 0 ? "bm25@localhost" : NULL,
        .wide = (data[0] & 32) != 0,
    };

    MUST(tn_handshake_init(hs, &config, NULL) == TENON_OK);
    hs->challenge = tn_get32(data + 2);
}

/* In pieces of 1 to 256 bytes, of sizes that follow from `cut`; 0 leaves the
 * stream whole. */
static void
play(const uint8_t *data, size_t len, uint8_t cut, struct outcome *outcome)
{
    struct tn_handshake hs;
    size_t at = HEAD_BYTES;
    unsigned size = cut;

    memset(outcome, 0, sizeof *outcome);
    begin(&hs, data);
    drain(&hs, outcome);
    do {
        size = size * 5 + 1;
        size_t piece = cut == 0 ? len - at : 1 + size % 256;

        piece = piece > len - at ? len - at : piece;
        feed(&hs, data[0], data + at, piece, outcome);
        at += piece;
    } while (at < len);
    outcome->flags = hs.peer_flags;
    outcome->creation = hs.peer_creation;
    memcpy(outcome->peer, hs.peer_name, sizeof outcome->peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct outcome whole, cut;

    if (len < HEAD_BYTES) {
        return 0;
    }
    play(data, len, 0, &whole);
    play(data, len, data[1] == 0 ? 1 : data[1], &cut);
    MUST(memcmp(&whole, &cut, sizeof whole) == 0);
    if (whole.event == TN_HANDSHAKE_DONE) {
        MUST((whole.flags & TN_FLAGS_MANDATORY) == TN_FLAGS_MANDATORY);
        MUST(strchr(whole.peer, '@') != NULL);
    }
    return 0;
}
