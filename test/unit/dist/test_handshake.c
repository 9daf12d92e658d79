/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake against captured ones: each is played from both ends, whole,
 * cut at every byte, truncated, mutated, with longer packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/bytes.h"
#include "dist/flags.h"
#include "dist/handshake.h"
#include "unit/support/wire.h"

#define ROOT "test/wire/otp/"
#define COOKIE "tenon"
#define STREAM_BYTES 2048u
#define PACKETS_MAX 8

/* One captured conversation. `numbers` are its files in order; the first is
 * the initiator's. Some captures hold two conversations at once. */
struct talk {
    const char *prefix;
    const char *numbers;
    enum tenon_err initiator; /* how it ends; TENON_OK: done */
    enum tenon_err acceptor;
    /* The captured initiator or acceptor says something that ours never says;
     * NULL: all that it says is compared. */
    const char *acceptor_says;
    bool is_old;  /* begins with the old name message: acceptor only */
    bool is_open; /* ends in the middle */
};

static const struct talk talks[] = {
    { .prefix = "23/connect", .numbers = "12345" },
    { .prefix = "25/connect", .numbers = "12345" },
    { .prefix = "27/connect", .numbers = "12345" },
    { .prefix = "29/connect", .numbers = "12345" },
    { .prefix = "25-bare/connect", .numbers = "12345" },
    { .prefix = "25-frag/connect", .numbers = "12345" },
    { .prefix = "29-altact/connect", .numbers = "12345" },
    { .prefix = "pg-25/pg_connect", .numbers = "12345" },
    { .prefix = "pg-29/pg_connect", .numbers = "12345" },
    { .prefix = "handshake/active", .numbers = "12345" },
    { .prefix = "handshake/alive_true", .numbers = "123456" },
    { .prefix = "handshake/alive_false",
      .numbers = "123",
      .initiator = TENON_E_DUPLICATE,
      .acceptor = TENON_E_DUPLICATE },
    { .prefix = "handshake/not_allowed",
      .numbers = "12",
      .initiator = TENON_E_REFUSED,
      .acceptor = TENON_E_FLAGS },
    { .prefix = "handshake/ok_simultaneous",
      .numbers = "178",
      .is_open = true },
    { .prefix = "handshake/ok_simultaneous", .numbers = "23456" },
    { .prefix = "handshake/nok", .numbers = "14567" },
    { .prefix = "handshake/nok",
      .numbers = "23",
      .initiator = TENON_E_DUPLICATE,
      .acceptor = TENON_E_DUPLICATE },
    { .prefix = "handshake/name_me",
      .numbers = "12345",
      .initiator = TENON_E_HANDSHAKE,
      .acceptor = TENON_E_REFUSED,
      .acceptor_says = "\0\014snot_allowed" },
    { .prefix = "handshake/v5", .numbers = "123456", .is_old = true },
};
#define TALKS (sizeof talks / sizeof *talks)
#define HANDSHAKE_FILES 87u

static struct wire_files packets;

static int load(void **state)
{
    (void)state;
    packets = wire_load("test/wire/otp", ".hs");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    wire_free(&packets);
    return 0;
}

/* ---- a conversation seen from one end ------------------------------------ */

struct stream {
    uint8_t bytes[STREAM_BYTES];
    size_t len;
    size_t starts[PACKETS_MAX]; /* of its packets */
    size_t count;
};

struct side {
    const struct talk *talk;
    bool is_initiator;
    struct stream in;  /* what the other end says */
    struct stream out; /* what this end says */
    char name[256];
    char peer[256];
    uint64_t flags;
    uint32_t creation;
    uint32_t challenge;
    enum tn_status status;
    bool replace;
};

static const struct wire_file *packet_of(const struct talk *talk, char number)
{
    char path[160];

    snprintf(path, sizeof path, ROOT "%s.0%c.in.hs", talk->prefix, number);
    const struct wire_file *file = wire_find(&packets, path);

    if (file == NULL) {
        snprintf(path, sizeof path, ROOT "%s.0%c.out.hs", talk->prefix, number);
        file = wire_find(&packets, path);
    }
    if (file == NULL) {
        fail_msg("%s: no packet %c", talk->prefix, number);
    }
    return file;
}

static void add_packet(struct stream *stream, const struct wire_file *packet)
{
    assert_true(stream->len + 2 + packet->len <= STREAM_BYTES);
    stream->starts[stream->count++] = stream->len;
    uint8_t *at = tn_add16(stream->bytes + stream->len, packet->len);

    memcpy(at, packet->bytes, packet->len);
    stream->len += 2 + packet->len;
}

static void copy_name(char name[256], const uint8_t *at, size_t len)
{
    memcpy(name, at, len);
    name[len] = '\0';
}

static enum tn_status status_of(const char *text, size_t len)
{
    if (len == 5 && memcmp(text, "alive", 5) == 0) {
        return TN_STATUS_ALIVE;
    }
    if (len == 3) {
        return TN_STATUS_NOK;
    }
    return len == 15 ? TN_STATUS_OK_SIMULTANEOUS : TN_STATUS_OK;
}

/* Who this end is, read from what it says. */
static void learn_self(struct side *side, const struct wire_file *packet)
{
    const uint8_t *p = packet->bytes;
    bool is_challenge = *p == 'N' && !side->is_initiator;

    if (*p == 'N') {
        size_t fixed = is_challenge ? 19 : 15;

        side->flags = tn_get64(p + 1);
        side->creation = tn_get32(p + (is_challenge ? 13 : 9));
        copy_name(side->name, p + fixed, tn_get16(p + fixed - 2));
    }
    if (is_challenge) {
        side->challenge = tn_get32(p + 9);
    } else if (*p == 'r') {
        side->challenge = tn_get32(p + 1);
    } else if (*p == 's' && side->is_initiator) {
        side->replace = packet->len == 5;
    } else if (*p == 's') {
        side->status = status_of((const char *)p + 1, packet->len - 1);
    }
}

/* True for a packet of the stand-in for a C node, not of the BEAM node. */
static bool is_out(const struct wire_file *packet)
{
    return strstr(packet->path, ".out.hs") != NULL;
}

/* Reads a conversation as the first speaker's, or as the other's. */
static void
see_from(struct side *side, const struct talk *talk, bool is_initiator)
{
    bool first_is_out = is_out(packet_of(talk, talk->numbers[0]));

    memset(side, 0, sizeof *side);
    side->talk = talk;
    side->is_initiator = is_initiator;
    snprintf(side->name, sizeof side->name, "bm25@localhost");
    snprintf(side->peer, sizeof side->peer, "bm25@localhost");
    for (const char *number = talk->numbers; *number != '\0'; number++) {
        const struct wire_file *packet = packet_of(talk, *number);
        bool is_first = is_out(packet) == first_is_out;

        if (is_first == is_initiator) {
            add_packet(&side->out, packet);
            learn_self(side, packet);
        } else {
            add_packet(&side->in, packet);
            if (*packet->bytes == 'N' && is_initiator) {
                copy_name(side->peer, packet->bytes + 19,
                          tn_get16(packet->bytes + 17));
            }
        }
    }
}

/* ---- playing it ---------------------------------------------------------- */

struct outcome {
    enum tn_handshake_event event; /* MORE, DONE or FAILED */
    enum tenon_err code;           /* of FAILED */
    size_t used;
    uint64_t peer_flags;
    uint32_t peer_creation;
    char peer_name[256];
    uint8_t out[STREAM_BYTES];
    size_t out_len;
};

static void begin(struct tn_handshake *hs, const struct side *side)
{
    struct tn_handshake_config config = {
        .name = side->name,
        .cookie = COOKIE,
        .creation = side->creation,
        .flags = side->flags,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = side->is_initiator ? side->peer : NULL,
    };

    assert_int_equal(tn_handshake_init(hs, &config, NULL), TENON_OK);
    hs->challenge = side->challenge;
}

static void drain(struct tn_handshake *hs, struct outcome *outcome)
{
    size_t len;
    const uint8_t *bytes = tn_handshake_out(hs, &len);

    assert_true(outcome->out_len + len <= STREAM_BYTES);
    memcpy(outcome->out + outcome->out_len, bytes, len);
    outcome->out_len += len;
    tn_handshake_sent(hs, len);
}

/* The owner's part. */
static enum tn_handshake_event answer(struct tn_handshake *hs,
                                      const struct side *side,
                                      enum tn_handshake_event event,
                                      tenon_error *err)
{
    switch (event) {
    case TN_HANDSHAKE_HELLO:
        return tn_handshake_status(hs, side->status, COOKIE, err);
    case TN_HANDSHAKE_ALIVE:
        return tn_handshake_alive(hs, side->replace, err);
    case TN_HANDSHAKE_AUTHENTICATED:
        return tn_handshake_ack(hs, err);
    default:
        return event;
    }
}

/* Feeds one piece, from memory without a byte to spare. */
static void feed_piece(struct tn_handshake *hs,
                       const struct side *side,
                       const uint8_t *bytes,
                       size_t len,
                       struct outcome *outcome)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    size_t at = 0;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    while (outcome->event == TN_HANDSHAKE_MORE) {
        tenon_error err = { .code = TENON_OK };
        size_t used;
        enum tn_handshake_event event =
            tn_handshake_feed(hs, copy + at, len - at, &used, &err);

        at += used;
        outcome->used += used;
        outcome->event = answer(hs, side, event, &err);
        outcome->code = err.code;
        drain(hs, outcome);
        if (event == TN_HANDSHAKE_MORE) {
            break;
        }
    }
    free(copy);
}

static void finish(const struct tn_handshake *hs, struct outcome *outcome)
{
    outcome->peer_flags = hs->peer_flags;
    outcome->peer_creation = hs->peer_creation;
    memcpy(outcome->peer_name, hs->peer_name, sizeof outcome->peer_name);
}

/* Plays with the input cut after `cut` bytes; with cut 0 byte by byte. */
static void play(const struct side *side,
                 const uint8_t *bytes,
                 size_t len,
                 size_t cut,
                 struct outcome *outcome)
{
    struct tn_handshake hs;

    memset(outcome, 0, sizeof *outcome);
    begin(&hs, side);
    drain(&hs, outcome);
    if (cut > 0) {
        feed_piece(&hs, side, bytes, cut, outcome);
        feed_piece(&hs, side, bytes + cut, len - cut, outcome);
    } else {
        for (size_t i = 0; i < len; i++) {
            feed_piece(&hs, side, bytes + i, 1, outcome);
        }
    }
    finish(&hs, outcome);
}

typedef void (*side_check)(const struct side *side);

/* Runs a check for each end of each conversation that ours can play. */
static void each_side(side_check check)
{
    for (size_t i = 0; i < TALKS; i++) {
        struct side side;

        see_from(&side, &talks[i], false);
        check(&side);
        if (!talks[i].is_old) {
            see_from(&side, &talks[i], true);
            check(&side);
        }
    }
}

static const char *role(const struct side *side)
{
    return side->is_initiator ? "initiator" : "acceptor";
}

/* ---- tests --------------------------------------------------------------- */

static void every_captured_packet_is_in_a_conversation(void **state)
{
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < TALKS; i++) {
        used += strlen(talks[i].numbers);
    }
    assert_int_equal(packets.count, HANDSHAKE_FILES);
    assert_int_equal(used, HANDSHAKE_FILES);
}

static enum tenon_err expected_code(const struct side *side)
{
    return side->is_initiator ? side->talk->initiator : side->talk->acceptor;
}

static void check_said(const struct side *side, const struct outcome *outcome)
{
    const uint8_t *said = side->out.bytes;
    size_t len = side->out.len;

    if (!side->is_initiator && side->talk->acceptor_says != NULL) {
        said = (const uint8_t *)side->talk->acceptor_says;
        len = 2u + said[1];
    }
    /* Those that were not captured to their end, or that ours ends earlier. */
    if (side->is_initiator &&
        (side->talk->is_open || side->talk->initiator < 0)) {
        len = len < outcome->out_len ? len : outcome->out_len;
    }
    if (len > outcome->out_len || memcmp(outcome->out, said, len) != 0) {
        fail_msg("%s %s as %s: other bytes than the captured ones",
                 side->talk->prefix, side->talk->numbers, role(side));
    }
}

static void check_outcome(const struct side *side,
                          const struct outcome *outcome)
{
    enum tn_handshake_event expected = TN_HANDSHAKE_DONE;

    if (side->talk->is_open) {
        expected = TN_HANDSHAKE_MORE;
    } else if (expected_code(side) < 0) {
        expected = TN_HANDSHAKE_FAILED;
    }
    if (outcome->event != expected || outcome->code != expected_code(side)) {
        fail_msg("%s %s as %s: event %d, code %s", side->talk->prefix,
                 side->talk->numbers, role(side), (int)outcome->event,
                 tenon_err_name(outcome->code));
    }
    check_said(side, outcome);
}

static void says_what_was_said(const struct side *side)
{
    struct outcome outcome;

    play(side, side->in.bytes, side->in.len, side->in.len, &outcome);
    check_outcome(side, &outcome);
}

static void each_conversation_goes_as_captured_from_both_ends(void **state)
{
    (void)state;
    each_side(says_what_was_said);
}

/* What the other end told of itself. The old name message has only half of
 * the flags; the complement brings the rest. */
static void learns_who_the_other_is(const struct side *side)
{
    struct outcome outcome;
    struct side other;

    see_from(&other, side->talk, !side->is_initiator);
    play(side, side->in.bytes, side->in.len, side->in.len, &outcome);
    if (outcome.event != TN_HANDSHAKE_DONE) {
        return;
    }
    if (side->talk->is_old) {
        assert_true(outcome.peer_flags == UINT64_C(0x101DF7FBD));
        assert_int_equal(outcome.peer_creation, 1795222468);
        assert_string_equal(outcome.peer_name, "bm23@localhost");
        return;
    }
    assert_true(outcome.peer_flags == tn_flags_expand(other.flags));
    assert_int_equal(outcome.peer_creation, other.creation);
    assert_string_equal(outcome.peer_name, other.name);
}

static void each_end_learns_who_the_other_is(void **state)
{
    (void)state;
    each_side(learns_who_the_other_is);
}

static void cut_anywhere_is_the_same(const struct side *side)
{
    struct outcome whole, cut;

    play(side, side->in.bytes, side->in.len, side->in.len, &whole);
    for (size_t at = 0; at < side->in.len; at++) {
        play(side, side->in.bytes, side->in.len, at, &cut);
        if (memcmp(&whole, &cut, sizeof whole) != 0) {
            fail_msg("%s as %s: another outcome when cut at %zu",
                     side->talk->prefix, role(side), at);
        }
    }
}

static void input_cut_at_every_byte_gives_the_same(void **state)
{
    (void)state;
    each_side(cut_anywhere_is_the_same);
}

static void waits_when_truncated(const struct side *side)
{
    struct outcome whole, cut;

    play(side, side->in.bytes, side->in.len, side->in.len, &whole);
    for (size_t len = 1; len < whole.used; len++) {
        play(side, side->in.bytes, len, len, &cut);
        if (cut.event != TN_HANDSHAKE_MORE) {
            fail_msg("%s as %s: ends after %zu of %zu bytes",
                     side->talk->prefix, role(side), len, whole.used);
        }
        assert_memory_equal(cut.out, whole.out, cut.out_len);
    }
}

static void truncated_input_makes_it_wait(void **state)
{
    (void)state;
    each_side(waits_when_truncated);
}

static void leaves_the_rest(const struct side *side)
{
    struct outcome outcome;
    uint8_t bytes[STREAM_BYTES + 8];

    memcpy(bytes, side->in.bytes, side->in.len);
    memset(bytes + side->in.len, 0, 8);
    play(side, bytes, side->in.len + 8, side->in.len / 2, &outcome);
    if (outcome.event == TN_HANDSHAKE_DONE) {
        assert_int_equal(outcome.used, side->in.len);
    }
}

static void bytes_after_the_last_packet_are_left_alone(void **state)
{
    (void)state;
    each_side(leaves_the_rest);
}

/* The same input with five bytes more in each packet. Status texts have no
 * room for more, and the old name reaches to the packet's end. */
static size_t lengthen(const struct side *side, uint8_t *bytes)
{
    size_t len = 0;

    for (size_t i = 0; i < side->in.count; i++) {
        const uint8_t *packet = side->in.bytes + side->in.starts[i];
        size_t body_len = tn_get16(packet);
        size_t more = strchr("sn", packet[2]) != NULL ? 0 : 5;
        uint8_t *at = tn_add16(bytes + len, body_len + more);

        memcpy(at, packet + 2, body_len);
        memset(at + body_len, 0x5a, more);
        len += 2 + body_len + more;
    }
    return len;
}

static void takes_longer_packets(const struct side *side)
{
    uint8_t bytes[STREAM_BYTES];
    struct outcome outcome;
    size_t len = lengthen(side, bytes);

    play(side, bytes, len, len, &outcome);
    check_outcome(side, &outcome);
}

static void fields_of_later_releases_are_ignored(void **state)
{
    (void)state;
    each_side(takes_longer_packets);
}

static void is_not_up_when_mutated(const struct side *side)
{
    struct outcome outcome;
    struct side changed = *side;
    const uint8_t *last = side->in.bytes + side->in.starts[side->in.count - 1];

    for (size_t i = 0; i < side->in.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            changed.in.bytes[i] ^= (uint8_t)(1u << bit);
            play(side, changed.in.bytes, changed.in.len, changed.in.len,
                 &outcome);
            changed.in.bytes[i] ^= (uint8_t)(1u << bit);
            bool in_digest =
                (last[2] == 'r' || last[2] == 'a') && i + 16 >= side->in.len;

            if (in_digest && !side->talk->is_open &&
                expected_code(side) == TENON_OK) {
                assert_int_equal(outcome.event, TN_HANDSHAKE_FAILED);
                assert_int_equal(outcome.code, TENON_E_AUTH);
            }
        }
    }
}

static void mutated_digests_are_wrong_cookies(void **state)
{
    (void)state;
    each_side(is_not_up_when_mutated);
}

/* ---- single rules -------------------------------------------------------- */

static void begin_plain(struct tn_handshake *hs, const char *peer)
{
    struct tn_handshake_config config = {
        .name = "c@host",
        .cookie = COOKIE,
        .creation = 7,
        .flags = TN_FLAGS_OURS,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = peer,
    };

    assert_int_equal(tn_handshake_init(hs, &config, NULL), TENON_OK);
}

static enum tenon_err
fail_of(struct tn_handshake *hs, const void *bytes, size_t len, char text[240])
{
    tenon_error err = { .text = "" };
    size_t used;

    assert_int_equal(tn_handshake_feed(hs, bytes, len, &used, &err),
                     TN_HANDSHAKE_FAILED);
    memcpy(text, err.text, 240);
    /* It is over: nothing more is taken. */
    assert_int_equal(tn_handshake_feed(hs, bytes, len, &used, &err),
                     TN_HANDSHAKE_MORE);
    assert_int_equal(used, 0);
    return err.code;
}

static void a_peer_without_mandatory_flags_is_told_and_named(void **state)
{
    /* Everything but MAP_TAG and BIG_CREATION. */
    static const uint8_t name[] = "\0\x16N\0\0\0\0\x01\x01\x0f\x94"
                                  "\0\0\0\x09\0\x07"
                                  "old@b.c";
    struct tn_handshake hs;
    char text[240];
    size_t len;

    (void)state;
    begin_plain(&hs, NULL);
    assert_int_equal(fail_of(&hs, name, sizeof name - 1, text), TENON_E_FLAGS);
    assert_non_null(strstr(text, "lacks MAP_TAG,BIG_CREATION"));
    assert_non_null(strstr(text, "old@b.c"));
    const uint8_t *out = tn_handshake_out(&hs, &len);

    assert_int_equal(len, 14);
    assert_memory_equal(out, "\0\x0csnot_allowed", 14);
}

static void the_digest_flag_stands_for_all_mandatory_ones(void **state)
{
    static const uint8_t name[] = "\0\x16N\0\0\0\0\x04\0\0\0"
                                  "\0\0\0\x09\0\x07"
                                  "new@b.c";
    struct tn_handshake hs;
    size_t used;

    (void)state;
    begin_plain(&hs, NULL);
    assert_int_equal(tn_handshake_feed(&hs, name, sizeof name - 1, &used, NULL),
                     TN_HANDSHAKE_HELLO);
    assert_int_equal(hs.peer_flags & TN_FLAGS_MANDATORY, TN_FLAGS_MANDATORY);
}

static void a_packet_of_no_or_too_many_bytes_ends_it(void **state)
{
    struct tn_handshake hs;
    char text[240];

    (void)state;
    begin_plain(&hs, NULL);
    assert_int_equal(fail_of(&hs, "\0\0", 2, text), TENON_E_HANDSHAKE);
    begin_plain(&hs, NULL);
    assert_int_equal(fail_of(&hs, "\x02\x01", 2, text), TENON_E_HANDSHAKE);
    assert_non_null(strstr(text, "1 to 512 bytes, got a length of 513"));
}

static void a_tag_out_of_turn_is_named(void **state)
{
    struct tn_handshake hs;
    char text[240];

    (void)state;
    begin_plain(&hs, NULL);
    assert_int_equal(fail_of(&hs, "\0\1q", 3, text), TENON_E_HANDSHAKE);
    assert_non_null(strstr(text, "expected tag 'N' (0x4e), got 0x71"));
}

static void another_name_in_the_challenge_ends_it(void **state)
{
    static const uint8_t input[] = "\0\3sok"
                                   "\0\x16N\0\0\0\x0d\x07\xdf\x7f\xbd"
                                   "\0\0\0\1\0\0\0\x09\0\x03"
                                   "x@y";
    struct tn_handshake hs;
    char text[240];

    (void)state;
    begin_plain(&hs, "b@host");
    assert_int_equal(fail_of(&hs, input, sizeof input - 1, text),
                     TENON_E_HANDSHAKE);
    assert_non_null(strstr(text, "b@host"));
}

static bool is_twelve(void *user, uint32_t challenge)
{
    return challenge == 12 && user != NULL;
}

/* "ok", a challenge of 12 of b@host. */
static void an_initiator_does_not_answer_its_own_nodes_challenge(void **state)
{
    static const uint8_t input[] = "\0\3sok"
                                   "\0\x19N\0\0\0\x0d\x07\xdf\x7f\xbd"
                                   "\0\0\0\x0c\0\0\0\x09\0\x06"
                                   "b@host";
    struct tn_handshake hs;
    char text[240];
    size_t len;

    (void)state;
    begin_plain(&hs, "b@host");
    hs.config.is_own_challenge = is_twelve;
    hs.config.user = &hs;
    (void)tn_handshake_out(&hs, &len);
    tn_handshake_sent(&hs, len);
    assert_int_equal(fail_of(&hs, input, sizeof input - 1, text), TENON_E_AUTH);
    assert_non_null(strstr(text, "its challenge is one that this node"));
    (void)tn_handshake_out(&hs, &len);
    assert_int_equal(len, 0);
}

/* Also that of the handshake itself. */
static void an_acceptor_does_not_answer_its_own_nodes_challenge(void **state)
{
    static const uint8_t name[] = "\0\x15N\0\0\0\x0d\x07\xdf\x7f\xbd"
                                  "\0\0\0\x09\0\x06"
                                  "b@host";

    (void)state;
    for (uint32_t ours = 11; ours <= 12; ours++) {
        struct tn_handshake hs;
        uint8_t reply[2 + 21] = { 0, 21, 'r', 0, 0, 0, (uint8_t)ours };
        char text[240];
        size_t used;

        begin_plain(&hs, NULL);
        hs.challenge = 11;
        hs.config.is_own_challenge = is_twelve;
        hs.config.user = &hs;
        assert_int_equal(
            tn_handshake_feed(&hs, name, sizeof name - 1, &used, NULL),
            TN_HANDSHAKE_HELLO);
        assert_int_equal(tn_handshake_status(&hs, TN_STATUS_OK, COOKIE, NULL),
                         TN_HANDSHAKE_MORE);
        assert_int_equal(tn_handshake_digest(COOKIE, 11, reply + 7, NULL),
                         TENON_OK);
        assert_int_equal(fail_of(&hs, reply, sizeof reply, text), TENON_E_AUTH);
        assert_non_null(strstr(text, "its challenge is one that this node"));
    }
}

static void a_name_that_would_break_logs_is_refused(void **state)
{
    static const char *const names[] = { "no-at", "@host", "n@", "a\nb@c",
                                         "\xff@host" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t bytes[64] = { 0 };
        struct tn_handshake hs;
        char text[240];
        size_t len = strlen(names[i]);
        uint8_t *at = tn_add16(bytes, 15 + len);

        *at++ = 'N';
        at = tn_add64(at, TN_FLAGS_OURS);
        at = tn_add32(at, 9);
        at = tn_add16(at, len);
        memcpy(at, names[i], len);
        begin_plain(&hs, NULL);
        assert_int_equal(fail_of(&hs, bytes, 17 + len, text),
                         TENON_E_HANDSHAKE);
    }
}

static void this_nodes_own_name_is_refused(void **state)
{
    static const uint8_t name[] = "\0\x15N\0\0\0\x0d\x07\xdf\x7f\xbd"
                                  "\0\0\0\x09\0\x06"
                                  "c@host";
    struct tn_handshake hs;
    char text[240];

    (void)state;
    begin_plain(&hs, NULL);
    assert_int_equal(fail_of(&hs, name, sizeof name - 1, text),
                     TENON_E_REFUSED);
}

/* Takes one byte of what `from` has to say. Returns what `to` makes of it. */
static enum tn_handshake_event pass_byte(struct tn_handshake *from,
                                         struct tn_handshake *to)
{
    size_t len, used;
    const uint8_t *bytes = tn_handshake_out(from, &len);
    uint8_t byte = bytes[0];

    if (len == 0) {
        return TN_HANDSHAKE_MORE;
    }
    tn_handshake_sent(from, 1);
    enum tn_handshake_event event =
        tn_handshake_feed(to, &byte, 1, &used, NULL);

    if (event == TN_HANDSHAKE_HELLO) {
        event = tn_handshake_status(to, TN_STATUS_OK, COOKIE, NULL);
    } else if (event == TN_HANDSHAKE_AUTHENTICATED) {
        event = tn_handshake_ack(to, NULL);
    }
    return event;
}

static void over_tls_lengths_have_four_bytes(void **state)
{
    struct tn_handshake_config config = {
        .name = "a@host",
        .cookie = COOKIE,
        .creation = 7,
        .flags = TN_FLAGS_OURS,
        .mandatory = TN_FLAGS_MANDATORY,
        .peer = "b@host",
        .wide = true,
    };
    struct tn_handshake a, b;
    enum tn_handshake_event at_a = TN_HANDSHAKE_MORE;
    enum tn_handshake_event at_b = TN_HANDSHAKE_MORE;
    size_t len;

    (void)state;
    assert_int_equal(tn_handshake_init(&a, &config, NULL), TENON_OK);
    config.name = "b@host";
    config.peer = NULL;
    assert_int_equal(tn_handshake_init(&b, &config, NULL), TENON_OK);
    assert_memory_equal(tn_handshake_out(&a, &len), "\0\0\0\x15N", 5);
    assert_int_equal(len, 4 + 0x15);
    for (int i = 0; i < 1000; i++) {
        at_b = at_b == TN_HANDSHAKE_MORE ? pass_byte(&a, &b) : at_b;
        at_a = at_a == TN_HANDSHAKE_MORE ? pass_byte(&b, &a) : at_a;
    }
    assert_int_equal(at_a, TN_HANDSHAKE_DONE);
    assert_int_equal(at_b, TN_HANDSHAKE_DONE);
    assert_string_equal(a.peer_name, "b@host");
    assert_string_equal(b.peer_name, "a@host");
}

static void a_peer_that_speaks_tls_gets_an_alert(void **state)
{
    static const uint8_t hello[] = { 22, 3, 1, 0, 200, 1 };
    static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 70 };
    struct tn_handshake hs;
    char text[240];
    size_t len;

    (void)state;
    begin_plain(&hs, NULL);
    assert_int_equal(fail_of(&hs, hello, sizeof hello, text), TENON_E_TLS);
    assert_non_null(strstr(text, "it speaks TLS"));
    assert_memory_equal(tn_handshake_out(&hs, &len), alert, sizeof alert);
    assert_int_equal(len, sizeof alert);
    begin_plain(&hs, "b@host");
    assert_int_equal(fail_of(&hs, alert, sizeof alert, text), TENON_E_TLS);
}

static void names_and_cookies_must_fit(void **state)
{
    char long_name[300];
    struct tn_handshake hs;
    struct tn_handshake_config config = { .name = long_name, .cookie = COOKIE };

    (void)state;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(tn_handshake_init(&hs, &config, NULL), TENON_E_INVAL);
    config = (struct tn_handshake_config){ .name = "a@b", .cookie = "" };
    assert_int_equal(tn_handshake_init(&hs, &config, NULL), TENON_E_INVAL);
}

static void challenges_differ(void **state)
{
    struct tn_handshake one, other;

    (void)state;
    begin_plain(&one, NULL);
    begin_plain(&other, NULL);
    assert_int_not_equal(one.challenge, other.challenge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_captured_packet_is_in_a_conversation),
        cmocka_unit_test(each_conversation_goes_as_captured_from_both_ends),
        cmocka_unit_test(each_end_learns_who_the_other_is),
        cmocka_unit_test(input_cut_at_every_byte_gives_the_same),
        cmocka_unit_test(truncated_input_makes_it_wait),
        cmocka_unit_test(bytes_after_the_last_packet_are_left_alone),
        cmocka_unit_test(fields_of_later_releases_are_ignored),
        cmocka_unit_test(mutated_digests_are_wrong_cookies),
        cmocka_unit_test(a_peer_without_mandatory_flags_is_told_and_named),
        cmocka_unit_test(the_digest_flag_stands_for_all_mandatory_ones),
        cmocka_unit_test(a_packet_of_no_or_too_many_bytes_ends_it),
        cmocka_unit_test(a_tag_out_of_turn_is_named),
        cmocka_unit_test(another_name_in_the_challenge_ends_it),
        cmocka_unit_test(an_initiator_does_not_answer_its_own_nodes_challenge),
        cmocka_unit_test(an_acceptor_does_not_answer_its_own_nodes_challenge),
        cmocka_unit_test(a_name_that_would_break_logs_is_refused),
        cmocka_unit_test(this_nodes_own_name_is_refused),
        cmocka_unit_test(over_tls_lengths_have_four_bytes),
        cmocka_unit_test(a_peer_that_speaks_tls_gets_an_alert),
        cmocka_unit_test(names_and_cookies_must_fit),
        cmocka_unit_test(challenges_differ),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
