/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: which operation a peer gets for a signal, what is refused
 * on the way in and on the way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dist/flags.h"
#include "dist/signal.h"

/* Terms by hand. */
#define PID                                                                    \
    "\x58\x77\x03"                                                             \
    "a@b"                                                                      \
    "\0\0\0\1\0\0\0\2\0\0\0\3"
#define OTHER_PID                                                              \
    "\x58\x77\x03"                                                             \
    "x@y"                                                                      \
    "\0\0\0\1\0\0\0\2\0\0\0\3"
#define REF                                                                    \
    "\x5a\0\1\x77\x03"                                                         \
    "a@b"                                                                      \
    "\0\0\0\3\0\0\0\4"
#define ATOM                                                                   \
    "\x77\x03"                                                                 \
    "foo"
#define EMPTY "\x77\0"
#define MFA "\x68\x03" ATOM ATOM "\x61\x02"
#define TOKEN "\x68\x01\x6a"
#define NIL "\x6a"

#define VIEW(text) ((tenon_term){ (const uint8_t *)(text), sizeof(text) - 1 })

static const tenon_term pid = { (const uint8_t *)PID, sizeof PID - 1 };
static const tenon_term ref = { (const uint8_t *)REF, sizeof REF - 1 };
static const tenon_term atom = { (const uint8_t *)ATOM, sizeof ATOM - 1 };
static const tenon_term nil = { (const uint8_t *)NIL, 1 };

/* A whole signal of each kind. */
static struct tn_signal whole(enum tn_signal_kind kind)
{
    struct tn_signal signal = { .kind = kind, .from = pid, .to = pid };

    switch (kind) {
    case TN_SIG_SEND_NAME:
        signal.to = atom;
        signal.payload = nil;
        break;
    case TN_SIG_SEND_ALIAS:
        signal.to = ref;
        signal.payload = nil;
        break;
    case TN_SIG_SEND:
    case TN_SIG_EXIT:
    case TN_SIG_EXIT2:
        signal.payload = atom;
        break;
    case TN_SIG_UNLINK:
    case TN_SIG_UNLINK_ACK:
        signal.id = 5;
        break;
    case TN_SIG_MONITOR:
    case TN_SIG_DEMONITOR:
        signal.ref = ref;
        break;
    case TN_SIG_DOWN:
        signal.ref = ref;
        signal.payload = atom;
        break;
    case TN_SIG_SPAWN_REQUEST:
        signal.to = (tenon_term){ NULL, 0 };
        signal.ref = ref;
        signal.group_leader = pid;
        signal.mfa = VIEW(MFA);
        signal.opts = nil;
        signal.payload = nil;
        break;
    case TN_SIG_SPAWN_REPLY:
        signal.from = (tenon_term){ NULL, 0 };
        signal.ref = ref;
        signal.flags = TN_SPAWN_LINK | TN_SPAWN_MONITOR;
        signal.payload = pid;
        break;
    case TN_SIG_GROUP_LEADER:
        signal.from = (tenon_term){ NULL, 0 };
        signal.group_leader = pid;
        break;
    case TN_SIG_LINK:
        break;
    }
    return signal;
}

/* The operation that a peer with those flags gets, or the error. */
static int op_for(const struct tn_signal *signal, uint64_t flags)
{
    struct tn_buf out;
    int op;

    tn_buf_init(&out, 4096);
    enum tenon_err rc = tn_signal_encode(&out, signal, flags, NULL);

    if (rc < 0) {
        assert_int_equal(out.len, 0);
        op = rc;
    } else {
        op = out.bytes[9];
    }
    tn_buf_fini(&out);
    return op;
}

/* ---- on the way out ------------------------------------------------------ */

static void the_operation_is_chosen_by_the_peers_flags(void **state)
{
    static const struct {
        enum tn_signal_kind kind;
        uint64_t flags;
        int expected;
    } cases[] = {
        { TN_SIG_SEND, 0, 2 },
        { TN_SIG_SEND, TN_FLAG(SEND_SENDER), 22 },
        { TN_SIG_SEND_NAME, 0, 6 },
        { TN_SIG_SEND_ALIAS, 0, TENON_E_NOTSUP },
        { TN_SIG_SEND_ALIAS, TN_FLAG(ALIAS), 33 },
        { TN_SIG_SEND_ALIAS, TN_FLAG(ALTACT_SIG), 37 },
        { TN_SIG_SEND_ALIAS, TN_FLAG(ALIAS) | TN_FLAG(ALTACT_SIG), 33 },
        { TN_SIG_LINK, 0, 1 },
        { TN_SIG_UNLINK, 0, 4 },
        { TN_SIG_UNLINK, TN_FLAG(UNLINK_ID), 35 },
        { TN_SIG_UNLINK_ACK, 0, TENON_E_NOTSUP },
        { TN_SIG_UNLINK_ACK, TN_FLAG(UNLINK_ID), 36 },
        { TN_SIG_EXIT, 0, 3 },
        { TN_SIG_EXIT, TN_FLAG(EXIT_PAYLOAD), 24 },
        { TN_SIG_EXIT2, 0, 8 },
        { TN_SIG_EXIT2, TN_FLAG(EXIT_PAYLOAD), 26 },
        { TN_SIG_MONITOR, 0, TENON_E_NOTSUP },
        { TN_SIG_MONITOR, TN_FLAG(DIST_MONITOR), 19 },
        { TN_SIG_DEMONITOR, 0, TENON_E_NOTSUP },
        { TN_SIG_DEMONITOR, TN_FLAG(DIST_MONITOR), 20 },
        { TN_SIG_DOWN, 0, TENON_E_NOTSUP },
        { TN_SIG_DOWN, TN_FLAG(DIST_MONITOR), 21 },
        { TN_SIG_DOWN, TN_FLAG(DIST_MONITOR) | TN_FLAG(EXIT_PAYLOAD), 28 },
        { TN_SIG_SPAWN_REQUEST, 0, TENON_E_NOTSUP },
        { TN_SIG_SPAWN_REQUEST, TN_FLAG(SPAWN), 29 },
        { TN_SIG_SPAWN_REPLY, 0, TENON_E_NOTSUP },
        { TN_SIG_SPAWN_REPLY, TN_FLAG(SPAWN), 31 },
        { TN_SIG_GROUP_LEADER, 0, 7 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tn_signal signal = whole(cases[i].kind);
        int op = op_for(&signal, cases[i].flags);

        if (op != cases[i].expected) {
            fail_msg("%s with flags 0x%llx: expected %d, got %d",
                     tn_signal_name(cases[i].kind),
                     (unsigned long long)cases[i].flags, cases[i].expected, op);
        }
    }
}

static void names_are_monitored_only_where_the_peer_can(void **state)
{
    struct tn_signal monitor = whole(TN_SIG_MONITOR);
    struct tn_signal down = whole(TN_SIG_DOWN);
    uint64_t both = TN_FLAG(DIST_MONITOR) | TN_FLAG(DIST_MONITOR_NAME);

    (void)state;
    monitor.to = atom;
    down.from = atom;
    assert_int_equal(op_for(&monitor, TN_FLAG(DIST_MONITOR)), TENON_E_NOTSUP);
    assert_int_equal(op_for(&down, TN_FLAG(DIST_MONITOR)), TENON_E_NOTSUP);
    assert_int_equal(op_for(&monitor, both), 19);
    assert_int_equal(op_for(&down, both), 21);
}

static void a_message_without_sender_takes_the_form_without(void **state)
{
    struct tn_signal send = whole(TN_SIG_SEND);

    (void)state;
    send.from = (tenon_term){ NULL, 0 };
    assert_int_equal(op_for(&send, TN_FLAGS_OURS), 2);
}

static void fields_of_another_type_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < TN_SIG_KINDS; kind++) {
        struct tn_signal good = whole((enum tn_signal_kind)kind);
        tenon_term *fields[] = { &good.from, &good.to, &good.ref,
                                 &good.group_leader, &good.mfa };

        assert_true(op_for(&good, TN_FLAGS_OURS) > 0);
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            tenon_term kept = *fields[i];

            if (kept.bytes == NULL) {
                continue;
            }
            *fields[i] = nil;
            int rc = op_for(&good, TN_FLAGS_OURS);

            *fields[i] = kept;
            /* EXIT2 may have another target, but not to this one. */
            if (rc != TENON_E_INVAL) {
                fail_msg("%s, field %zu: got %d",
                         tn_signal_name((enum tn_signal_kind)kind), i, rc);
            }
        }
    }
}

static void a_missing_payload_is_refused(void **state)
{
    static const enum tn_signal_kind kinds[] = {
        TN_SIG_SEND,  TN_SIG_SEND_NAME,     TN_SIG_EXIT,        TN_SIG_DOWN,
        TN_SIG_EXIT2, TN_SIG_SPAWN_REQUEST, TN_SIG_SPAWN_REPLY,
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tn_signal signal = whole(kinds[i]);

        signal.payload = (tenon_term){ NULL, 0 };
        assert_int_equal(op_for(&signal, TN_FLAGS_OURS), TENON_E_INVAL);
        assert_int_equal(op_for(&signal, TN_FLAGS_DIGEST_25 |
                                             TN_FLAG(DIST_MONITOR) |
                                             TN_FLAG(SPAWN)),
                         TENON_E_INVAL);
    }
}

static void nothing_is_appended_when_there_is_no_room(void **state)
{
    struct tn_signal signal = whole(TN_SIG_LINK);
    struct tn_buf out;

    (void)state;
    tn_buf_init(&out, 10);
    assert_int_equal(tn_buf_append(&out, "abc", 3), TENON_OK);
    assert_int_equal(tn_signal_encode(&out, &signal, TN_FLAGS_OURS, NULL),
                     TENON_E_LIMIT);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.bytes, "abc", 3);
    tn_buf_fini(&out);
}

static void ids_are_written_as_the_smallest_integer(void **state)
{
    static const struct {
        uint64_t id;
        const char *bytes;
        size_t len;
    } cases[] = {
        { 1, "\x61\x01", 2 },
        { 255, "\x61\xff", 2 },
        { 256, "\x62\0\0\1\0", 5 },
        { INT32_MAX, "\x62\x7f\xff\xff\xff", 5 },
        { 1ull << 31, "\x6e\x04\0\0\0\0\x80", 7 },
        { UINT64_MAX, "\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\xff", 11 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tn_signal signal = whole(TN_SIG_UNLINK), again;
        struct tn_buf out;

        signal.id = cases[i].id;
        tn_buf_init(&out, 4096);
        assert_int_equal(tn_signal_encode(&out, &signal, TN_FLAGS_OURS, NULL),
                         TENON_OK);
        assert_memory_equal(out.bytes + 10, cases[i].bytes, cases[i].len);
        assert_int_equal(
            tn_signal_parse(out.bytes + 4, out.len - 4, &again, NULL),
            TENON_OK);
        assert_true(again.id == cases[i].id);
        tn_buf_fini(&out);
    }
}

/* ---- on the way in ------------------------------------------------------- */

#define FRAME(text)                                                            \
    {                                                                          \
        "\x70\x83" text, sizeof("\x70\x83" text) - 1                           \
    }
#define MSG "\x83\x6a"

struct frame {
    const char *bytes;
    size_t len;
};

/* From memory without a byte to spare. */
static enum tenon_err
parse(const struct frame *frame, struct tn_signal *signal, tenon_error *err)
{
    static uint8_t *copy;

    /* Views of the last signal stay readable until the next call. */
    free(copy);
    copy = malloc(frame->len);
    assert_non_null(copy);
    memcpy(copy, frame->bytes, frame->len);
    return tn_signal_parse(copy, frame->len, signal, err);
}

static void broken_control_messages_are_refused(void **state)
{
    static const struct frame frames[] = {
        FRAME("\x6a"),                                       /* no tuple */
        FRAME("\x68\0"),                                     /* empty */
        FRAME("\x68\1" ATOM),                                /* no number */
        FRAME("\x68\1\x62\xff\xff\xff\xff"),                 /* -1 */
        FRAME("\x68\1\x61\0"),                               /* 0 */
        FRAME("\x68\1\x61\5"),                               /* NODE_LINK */
        FRAME("\x68\2\x61\1" PID),                           /* arity */
        FRAME("\x68\4\x61\1" PID PID NIL),                   /* arity */
        FRAME("\x68\3\x61\1" PID ATOM),                      /* type */
        FRAME("\x68\3\x61\1" PID PID MSG),                   /* a message */
        FRAME("\x68\3\x61\x16" PID PID),                     /* no message */
        FRAME("\x68\3\x61\x16" PID ATOM MSG),                /* to a name */
        FRAME("\x68\3\x61\2" EMPTY ATOM MSG),                /* to a name */
        FRAME("\x68\4\x61\6" ATOM EMPTY ATOM MSG),           /* from an atom */
        FRAME("\x68\4\x61\6" PID EMPTY PID MSG),             /* to a pid */
        FRAME("\x68\4\x61\x13" PID NIL REF),                 /* target */
        FRAME("\x68\4\x61\x13" PID PID ATOM),                /* no ref */
        FRAME("\x68\4\x61\x23\x61\0" PID PID),               /* id 0 */
        FRAME("\x68\4\x61\x23\x62\xff\xff\xff\xff" PID PID), /* id -1 */
        FRAME("\x68\4\x61\x23\x6e\x09\0\0\0\0\0\0\0\0\0\1" PID PID),
        FRAME("\x68\6\x61\x1d" REF PID PID ATOM NIL MSG), /* no mfa */
        FRAME("\x68\6\x61\x1d" REF PID PID "\x68\2" ATOM ATOM NIL MSG),
        FRAME("\x68\6\x61\x1d" REF PID PID "\x68\3" ATOM ATOM ATOM NIL MSG),
        FRAME("\x68\6\x61\x1d" REF PID ATOM MFA NIL MSG),     /* no leader */
        FRAME("\x68\6\x61\x1d" REF PID PID MFA NIL),          /* no arguments */
        FRAME("\x68\5\x61\x1f" REF PID "\x62\x08\0\0\0" PID), /* flags 2^27 */
        FRAME("\x68\5\x61\x1f" REF PID "\x61\0" NIL),         /* result */
        FRAME("\x68\3\x61\x21" PID PID MSG),                  /* no alias */
        FRAME("\x68\4\x61\x25" ATOM PID PID MSG),             /* flags */
        FRAME("\x68\4\x61\x25\x61\2" PID PID MSG),            /* no token */
        FRAME("\x68\5\x61\x25\x61\0" PID PID TOKEN MSG),      /* a token */
        FRAME("\x68\4\x61\x25\x61\4" PID PID MSG),            /* no alias */
        FRAME("\x68\4\x61\x25\x61\0" PID PID),                /* no message */
        FRAME("\x68\3\x61\x16" PID PID MSG "\x6a"),           /* trailing */
        FRAME("\x68\3\x61\x16" PID PID "\x6a"),               /* no version */
    };

    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct tn_signal signal;
        tenon_error err = { .text = "" };
        enum tenon_err rc = parse(&frames[i], &signal, &err);

        if (rc != TENON_E_CONTROL) {
            fail_msg("frame %zu: got %s", i, tenon_err_name(rc));
        }
        assert_true(strlen(err.text) > 0);
    }
}

static void unknown_operations_are_told_from_broken_ones(void **state)
{
    static const struct frame frames[] = {
        FRAME("\x68\1\x61\x09"),
        FRAME("\x68\1\x61\x0b"),
        FRAME("\x68\1\x61\x26"),
        FRAME("\x68\2\x61\xff" PID MSG),
        FRAME("\x68\1\x62\x7f\xff\xff\xff"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct tn_signal signal;

        assert_int_equal(parse(&frames[i], &signal, NULL), TENON_E_NOTSUP);
    }
}

static void trace_tokens_and_priorities_fold_into_the_plain_kinds(void **state)
{
    static const struct {
        struct frame frame;
        enum tn_signal_kind kind;
    } cases[] = {
        { FRAME("\x68\4\x61\x0c" EMPTY PID TOKEN MSG), TN_SIG_SEND },
        { FRAME("\x68\5\x61\x0d" PID PID TOKEN ATOM), TN_SIG_EXIT },
        { FRAME("\x68\5\x61\x10" PID EMPTY ATOM TOKEN MSG), TN_SIG_SEND_NAME },
        { FRAME("\x68\5\x61\x12" PID PID TOKEN ATOM), TN_SIG_EXIT2 },
        { FRAME("\x68\4\x61\x17" PID PID TOKEN MSG), TN_SIG_SEND },
        { FRAME("\x68\4\x61\x19" PID PID TOKEN MSG), TN_SIG_EXIT },
        { FRAME("\x68\4\x61\x1b" PID PID TOKEN MSG), TN_SIG_EXIT2 },
        { FRAME("\x68\7\x61\x1e" REF PID PID MFA NIL TOKEN MSG),
          TN_SIG_SPAWN_REQUEST },
        { FRAME("\x68\6\x61\x20" REF PID "\x61\0" PID TOKEN),
          TN_SIG_SPAWN_REPLY },
        { FRAME("\x68\4\x61\x22" PID REF TOKEN MSG), TN_SIG_SEND_ALIAS },
        { FRAME("\x68\4\x61\x25\x61\1" PID PID MSG), TN_SIG_SEND },
        { FRAME("\x68\5\x61\x25\x61\3" PID PID TOKEN MSG), TN_SIG_SEND },
        { FRAME("\x68\4\x61\x25\x61\5" PID REF MSG), TN_SIG_SEND_ALIAS },
        { FRAME("\x68\4\x61\x25\x61\x09" PID ATOM MSG), TN_SIG_SEND_NAME },
        { FRAME("\x68\4\x61\x25\x61\x11" PID PID MSG), TN_SIG_EXIT2 },
        { FRAME("\x68\4\x61\x25\x61\x15" PID REF MSG), TN_SIG_EXIT2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tn_signal signal;
        tenon_error err;

        if (parse(&cases[i].frame, &signal, &err) < 0) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_int_equal(signal.kind, cases[i].kind);
        assert_non_null(signal.payload.bytes);
    }
}

static void other_encodings_of_the_same_are_taken(void **state)
{
    /* A large tuple, the operation as a 32-bit integer, Latin-1 atoms. */
    static const struct frame frame = FRAME("\x69\0\0\0\3\x62\0\0\0\1"
                                            "\x58\x64\0\3"
                                            "a@b"
                                            "\0\0\0\1\0\0\0\2\0\0\0\3"
                                            "\x58\x73\3"
                                            "a@b"
                                            "\0\0\0\1\0\0\0\2\0\0\0\3");
    struct tn_signal signal;

    (void)state;
    assert_int_equal(parse(&frame, &signal, NULL), TENON_OK);
    assert_int_equal(signal.kind, TN_SIG_LINK);
    assert_true(tn_signal_from_peer(&signal, "a@b"));
}

static void terms_that_do_not_pass_the_scan_are_refused(void **state)
{
    static const struct frame cut = FRAME("\x68\3\x61\x16" PID PID "\x83\x6d");
    static const struct frame tag = FRAME("\x68\3\x61\x16" PID PID "\x83\xff");
    struct tn_signal signal;
    uint8_t *deep = malloc(1000007);

    (void)state;
    assert_int_equal(parse(&cut, &signal, NULL), TENON_E_TERM_SHORT);
    assert_int_equal(parse(&tag, &signal, NULL), TENON_E_TERM_TAG);
    /* A tuple in a tuple, half a million times. */
    assert_non_null(deep);
    memcpy(deep, "\x70\x83\x68\1\x61\1\x83", 7);
    memset(deep + 7, 0, 1000000);
    for (size_t i = 0; i < 1000000; i += 2) {
        memcpy(deep + 7 + i, "\x68\1", 2);
    }
    assert_int_equal(tn_signal_parse(deep, 1000007, &signal, NULL),
                     TENON_E_TERM_DEEP);
    free(deep);
}

/* A control tuple, then 600 tuples in each other as its message. */
static enum tenon_err parse_with_deep_message(const struct frame *control,
                                              struct tn_signal *signal,
                                              tenon_error *err)
{
    uint8_t body[2048];
    size_t len = control->len;

    memcpy(body, control->bytes, len);
    body[len++] = 0x83;
    for (int i = 0; i < 600; i++) {
        body[len++] = 0x68;
        body[len++] = 1;
    }
    body[len++] = 0x6a;
    return tn_signal_parse(body, len, signal, err);
}

static void what_is_too_deep_is_dropped_or_answered(void **state)
{
    static const struct frame send = FRAME("\x68\3\x61\x16" PID PID);
    static const struct frame exit = FRAME("\x68\3\x61\x18" PID PID);
    static const struct frame spawn =
        FRAME("\x68\6\x61\x1d" REF PID PID MFA "\x6a");
    static const struct frame short_of_one = FRAME("\x68\2\x61\x16" PID);
    struct tn_signal signal;
    tenon_error err = { 0 };

    (void)state;
    assert_int_equal(parse_with_deep_message(&send, &signal, &err),
                     TENON_E_LIMIT);
    assert_int_equal(err.code, TENON_E_LIMIT);
    assert_non_null(strstr(err.text, "512 levels"));
    assert_int_equal(parse_with_deep_message(&exit, &signal, NULL), TENON_OK);
    assert_int_equal(signal.kind, TN_SIG_EXIT);
    assert_true(tenon_term_is_atom(signal.payload, "system_limit"));
    assert_int_equal(parse_with_deep_message(&spawn, &signal, NULL), TENON_OK);
    assert_int_equal(signal.kind, TN_SIG_SPAWN_REQUEST);
    assert_null(signal.payload.bytes);
    assert_int_equal(parse_with_deep_message(&short_of_one, &signal, NULL),
                     TENON_E_TERM_DEEP);
}

static void senders_of_a_third_node_are_seen(void **state)
{
    static const enum tn_signal_kind strict[] = {
        TN_SIG_LINK, TN_SIG_UNLINK, TN_SIG_UNLINK_ACK,
        TN_SIG_EXIT, TN_SIG_EXIT2,  TN_SIG_MONITOR,
    };
    static const enum tn_signal_kind lenient[] = { TN_SIG_SEND,
                                                   TN_SIG_SEND_NAME,
                                                   TN_SIG_SEND_ALIAS };

    (void)state;
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++) {
        struct tn_signal signal = whole(strict[i]);

        assert_true(tn_signal_from_peer(&signal, "a@b"));
        assert_false(tn_signal_from_peer(&signal, "a@bc"));
        signal.from = VIEW(OTHER_PID);
        assert_false(tn_signal_from_peer(&signal, "a@b"));
    }
    for (size_t i = 0; i < sizeof lenient / sizeof *lenient; i++) {
        struct tn_signal signal = whole(lenient[i]);

        signal.from = VIEW(OTHER_PID);
        assert_true(tn_signal_from_peer(&signal, "a@b"));
    }
}

static void
what_is_answered_for_a_process_must_be_for_one_of_this_node(void **state)
{
    static const enum tn_signal_kind strict[] = { TN_SIG_LINK, TN_SIG_UNLINK,
                                                  TN_SIG_MONITOR };

    (void)state;
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++) {
        struct tn_signal signal = whole(strict[i]);

        signal.to = VIEW(PID);
        assert_true(tn_signal_for_node(&signal, "a@b"));
        signal.to = VIEW(OTHER_PID);
        assert_false(tn_signal_for_node(&signal, "a@b"));
        signal.to = VIEW(ATOM);
        assert_true(tn_signal_for_node(&signal, "a@b"));
    }
    struct tn_signal message = whole(TN_SIG_SEND);

    message.to = VIEW(OTHER_PID);
    assert_true(tn_signal_for_node(&message, "a@b"));
}

static void only_exits_to_another_incarnation_are_stale(void **state)
{
    struct tn_signal exit = whole(TN_SIG_EXIT);
    struct tn_signal link = whole(TN_SIG_LINK);

    (void)state;
    assert_false(tn_signal_is_stale_exit(&exit, "a@b", 3));
    assert_true(tn_signal_is_stale_exit(&exit, "a@b", 4));
    assert_false(tn_signal_is_stale_exit(&exit, "x@y", 4));
    assert_false(tn_signal_is_stale_exit(&link, "a@b", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_operation_is_chosen_by_the_peers_flags),
        cmocka_unit_test(names_are_monitored_only_where_the_peer_can),
        cmocka_unit_test(a_message_without_sender_takes_the_form_without),
        cmocka_unit_test(fields_of_another_type_are_refused),
        cmocka_unit_test(a_missing_payload_is_refused),
        cmocka_unit_test(nothing_is_appended_when_there_is_no_room),
        cmocka_unit_test(ids_are_written_as_the_smallest_integer),
        cmocka_unit_test(broken_control_messages_are_refused),
        cmocka_unit_test(unknown_operations_are_told_from_broken_ones),
        cmocka_unit_test(trace_tokens_and_priorities_fold_into_the_plain_kinds),
        cmocka_unit_test(other_encodings_of_the_same_are_taken),
        cmocka_unit_test(terms_that_do_not_pass_the_scan_are_refused),
        cmocka_unit_test(what_is_too_deep_is_dropped_or_answered),
        cmocka_unit_test(senders_of_a_third_node_are_seen),
        cmocka_unit_test(
            what_is_answered_for_a_process_must_be_for_one_of_this_node),
        cmocka_unit_test(only_exits_to_another_incarnation_are_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
