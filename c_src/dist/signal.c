/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: one table of layouts that both the parser and the encoder
 * follow. */
#include "dist/signal.h"

#include <string.h>

#include "base/error.h"
#include "base/extent.h"
#include "dist/bytes.h"
#include "dist/flags.h"
#include "dist/frame.h"
#include "term/scan.h"
#include "term/tags.h"
#include "term/view.h"

#define SPAWN_FLAGS_LIMIT (UINT64_C(1) << 27)

/* What an operation's tuple holds after the operation, a letter an element:
 *
 *   f  from: a pid                  F  from: a pid or atom
 *   t  to: a pid                    T  to: a pid or atom
 *   n  to: an atom                  a  to: a reference
 *   r  ref                          i  id, 1 to 2^64-1
 *   x  payload: any term            R  payload: a pid or atom
 *   g  group_leader: a pid          m  mfa
 *   o  opts: any term               s  flags, below 2^27
 *   _  the empty atom or a trace token: nothing of interest
 *
 * ALTACT_SIG_SEND has no layout: its first element decides, see parse_altact.
 */
struct layout {
    uint8_t kind;
    bool has_message; /* a second term follows: the payload */
    const char *fields;
};

static const struct layout layouts[] = {
    [TN_OP_LINK] = { TN_SIG_LINK, false, "ft" },
    [TN_OP_SEND] = { TN_SIG_SEND, true, "_t" },
    [TN_OP_EXIT] = { TN_SIG_EXIT, false, "ftx" },
    [TN_OP_UNLINK] = { TN_SIG_UNLINK, false, "ft" },
    [TN_OP_REG_SEND] = { TN_SIG_SEND_NAME, true, "f_n" },
    [TN_OP_GROUP_LEADER] = { TN_SIG_GROUP_LEADER, false, "gt" },
    [TN_OP_EXIT2] = { TN_SIG_EXIT2, false, "ftx" },
    [TN_OP_SEND_TT] = { TN_SIG_SEND, true, "_t_" },
    [TN_OP_EXIT_TT] = { TN_SIG_EXIT, false, "ft_x" },
    [TN_OP_REG_SEND_TT] = { TN_SIG_SEND_NAME, true, "f_n_" },
    [TN_OP_EXIT2_TT] = { TN_SIG_EXIT2, false, "ft_x" },
    [TN_OP_MONITOR_P] = { TN_SIG_MONITOR, false, "fTr" },
    [TN_OP_DEMONITOR_P] = { TN_SIG_DEMONITOR, false, "fTr" },
    [TN_OP_MONITOR_P_EXIT] = { TN_SIG_DOWN, false, "Ftrx" },
    [TN_OP_SEND_SENDER] = { TN_SIG_SEND, true, "ft" },
    [TN_OP_SEND_SENDER_TT] = { TN_SIG_SEND, true, "ft_" },
    [TN_OP_PAYLOAD_EXIT] = { TN_SIG_EXIT, true, "ft" },
    [TN_OP_PAYLOAD_EXIT_TT] = { TN_SIG_EXIT, true, "ft_" },
    [TN_OP_PAYLOAD_EXIT2] = { TN_SIG_EXIT2, true, "ft" },
    [TN_OP_PAYLOAD_EXIT2_TT] = { TN_SIG_EXIT2, true, "ft_" },
    [TN_OP_PAYLOAD_MONITOR_P_EXIT] = { TN_SIG_DOWN, true, "Ftr" },
    [TN_OP_SPAWN_REQUEST] = { TN_SIG_SPAWN_REQUEST, true, "rfgmo" },
    [TN_OP_SPAWN_REQUEST_TT] = { TN_SIG_SPAWN_REQUEST, true, "rfgmo_" },
    [TN_OP_SPAWN_REPLY] = { TN_SIG_SPAWN_REPLY, false, "rtsR" },
    [TN_OP_SPAWN_REPLY_TT] = { TN_SIG_SPAWN_REPLY, false, "rtsR_" },
    [TN_OP_ALIAS_SEND] = { TN_SIG_SEND_ALIAS, true, "fa" },
    [TN_OP_ALIAS_SEND_TT] = { TN_SIG_SEND_ALIAS, true, "fa_" },
    [TN_OP_UNLINK_ID] = { TN_SIG_UNLINK, false, "ift" },
    [TN_OP_UNLINK_ID_ACK] = { TN_SIG_UNLINK_ACK, false, "ift" },
};

/* First element of ALTACT_SIG_SEND. */
#define ALTACT_TOKEN 2u
#define ALTACT_ALIAS 4u
#define ALTACT_NAME 8u
#define ALTACT_EXIT 16u

bool tn_signal_is_message(enum tn_signal_kind kind)
{
    return kind == TN_SIG_SEND || kind == TN_SIG_SEND_NAME ||
           kind == TN_SIG_SEND_ALIAS;
}

const char *tn_signal_name(enum tn_signal_kind kind)
{
    static const char *const names[TN_SIG_KINDS] = {
        [TN_SIG_SEND] = "send",
        [TN_SIG_SEND_NAME] = "send_name",
        [TN_SIG_SEND_ALIAS] = "send_alias",
        [TN_SIG_LINK] = "link",
        [TN_SIG_UNLINK] = "unlink",
        [TN_SIG_UNLINK_ACK] = "unlink_ack",
        [TN_SIG_EXIT] = "exit",
        [TN_SIG_EXIT2] = "exit2",
        [TN_SIG_MONITOR] = "monitor",
        [TN_SIG_DEMONITOR] = "demonitor",
        [TN_SIG_DOWN] = "down",
        [TN_SIG_SPAWN_REQUEST] = "spawn_request",
        [TN_SIG_SPAWN_REPLY] = "spawn_reply",
        [TN_SIG_GROUP_LEADER] = "group_leader",
    };

    return (unsigned)kind < TN_SIG_KINDS ? names[kind] : "unknown";
}

/* ---- parsing ----------------------------------------------------------- */

/* What the parser carries from step to step. */
struct reading {
    tenon_cursor at;       /* in the control tuple */
    size_t elements;       /* of the control tuple, the operation included */
    int64_t op;            /* its first element */
    bool has_message;      /* a second term is there */
    tenon_term message;    /* that term */
    struct tn_signal *sig; /* what is being filled */
    tenon_error *err;
};

static bool is_pid(tenon_term term)
{
    return tenon_term_type(term) == TENON_TYPE_PID;
}

static bool is_atom(tenon_term term)
{
    return tenon_term_type(term) == TENON_TYPE_ATOM;
}

static bool is_ref(tenon_term term)
{
    return tenon_term_type(term) == TENON_TYPE_REF;
}

static bool is_mfa(tenon_term term)
{
    tenon_term module, function, arity;
    int64_t n;

    return tenon_term_type(term) == TENON_TYPE_TUPLE &&
           tenon_term_count(term) == 3 &&
           tenon_tuple_get(term, 0, &module) == TENON_OK && is_atom(module) &&
           tenon_tuple_get(term, 1, &function) == TENON_OK &&
           is_atom(function) && tenon_tuple_get(term, 2, &arity) == TENON_OK &&
           tenon_term_int64(arity, &n) == TENON_OK && n >= 0 && n <= 255;
}

static bool take_flags(struct tn_signal *sig, tenon_term term)
{
    uint64_t flags;

    if (tenon_term_uint64(term, &flags) < 0 || flags >= SPAWN_FLAGS_LIMIT) {
        return false;
    }
    sig->flags = (uint32_t)flags;
    return true;
}

static bool take_id(struct tn_signal *sig, tenon_term term)
{
    return tenon_term_uint64(term, &sig->id) == TENON_OK && sig->id != 0;
}

static bool put(tenon_term *field, tenon_term term, bool fits)
{
    *field = term;
    return fits;
}

/* Stores one element of the tuple; false when it has not the type that its
 * letter asks for. */
static bool take_field(struct tn_signal *sig, char letter, tenon_term term)
{
    switch (letter) {
    case 'f':
        return put(&sig->from, term, is_pid(term));
    case 'F':
        return put(&sig->from, term, is_pid(term) || is_atom(term));
    case 't':
        return put(&sig->to, term, is_pid(term));
    case 'T':
        return put(&sig->to, term, is_pid(term) || is_atom(term));
    case 'n':
        return put(&sig->to, term, is_atom(term));
    case 'a':
        return put(&sig->to, term, is_ref(term));
    case 'r':
        return put(&sig->ref, term, is_ref(term));
    case 'g':
        return put(&sig->group_leader, term, is_pid(term));
    case 'm':
        return put(&sig->mfa, term, is_mfa(term));
    case 'R':
        return put(&sig->payload, term, is_pid(term) || is_atom(term));
    case 'x':
        return put(&sig->payload, term, true);
    case 'o':
        return put(&sig->opts, term, true);
    case 'i':
        return take_id(sig, term);
    case 's':
        return take_flags(sig, term);
    default:
        return true;
    }
}

static const char *wanted(char letter)
{
    switch (letter) {
    case 'F':
    case 'T':
    case 'R':
        return "a pid or an atom";
    case 'n':
        return "an atom";
    case 'a':
    case 'r':
        return "a reference";
    case 'm':
        return "{module, function, arity}";
    case 'i':
        return "an id from 1 to 2^64-1";
    case 's':
        return "flags below 2^27";
    default:
        return "a pid";
    }
}

static enum tenon_err take_message(struct reading *in, bool expected)
{
    if (in->has_message != expected) {
        return tn_error(in->err, TENON_E_CONTROL,
                        "control message %d: expected %s message after the "
                        "control tuple, got %s",
                        (int)in->op, expected ? "a" : "no",
                        in->has_message ? "one" : "none");
    }
    if (expected) {
        in->sig->payload = in->message;
    }
    return TENON_OK;
}

static enum tenon_err take_fields(struct reading *in, const char *fields)
{
    size_t arity = strlen(fields) + 1;

    if (in->elements != arity) {
        return tn_error(in->err, TENON_E_CONTROL,
                        "control message %d: expected a tuple of %zu "
                        "elements, got %zu",
                        (int)in->op, arity, in->elements);
    }
    for (size_t i = 0; fields[i] != '\0'; i++) {
        tenon_term element;

        if (!tenon_cursor_next(&in->at, &element) ||
            !take_field(in->sig, fields[i], element)) {
            return tn_error(in->err, TENON_E_CONTROL,
                            "control message %d: expected %s as element %zu, "
                            "got another term",
                            (int)in->op, wanted(fields[i]), i + 2);
        }
    }
    return TENON_OK;
}

/* {37, Flags, From, To} or, with ALTACT_TOKEN, {37, Flags, From, To, Token};
 * the flags say what To is, and whether it is a message or an exit. */
static enum tenon_err parse_altact(struct reading *in)
{
    struct tn_signal *sig = in->sig;
    tenon_term first;
    uint64_t flags;

    if (!tenon_cursor_next(&in->at, &first) ||
        tenon_term_uint64(first, &flags) < 0) {
        return tn_error(in->err, TENON_E_CONTROL,
                        "control message 37: expected flags as element 2, got "
                        "another term");
    }
    in->elements--;
    char fields[] = "ft\0";

    if (flags & ALTACT_ALIAS) {
        fields[1] = 'a';
        sig->kind = TN_SIG_SEND_ALIAS;
    } else if (flags & ALTACT_NAME) {
        fields[1] = 'n';
        sig->kind = TN_SIG_SEND_NAME;
    } else {
        sig->kind = TN_SIG_SEND;
    }
    if (flags & ALTACT_EXIT) {
        sig->kind = TN_SIG_EXIT2;
    }
    if (flags & ALTACT_TOKEN) {
        fields[2] = '_';
    }
    enum tenon_err rc = take_fields(in, fields);

    return rc < 0 ? rc : take_message(in, true);
}

static enum tenon_err parse_op(struct reading *in)
{
    if (in->op == TN_OP_ALTACT_SIG_SEND) {
        return parse_altact(in);
    }
    /* NODE_LINK is a number that no release has sent since the last century;
     * BEAM nodes close the connection. */
    if (in->op < 1 || in->op == TN_OP_NODE_LINK) {
        return tn_error(in->err, TENON_E_CONTROL,
                        "control message: expected an operation, got %d",
                        (int)in->op);
    }
    if (in->op >= (int64_t)(sizeof layouts / sizeof *layouts) ||
        layouts[in->op].fields == NULL) {
        return tn_error(in->err, TENON_E_NOTSUP,
                        "control message: operation %lld is not known",
                        (long long)in->op);
    }
    const struct layout *layout = &layouts[in->op];

    in->sig->kind = layout->kind;
    enum tenon_err rc = take_fields(in, layout->fields);

    return rc < 0 ? rc : take_message(in, layout->has_message);
}

/* One term with its version byte, at *at; moves *at behind it. */
static enum tenon_err read_term(const uint8_t **at,
                                const uint8_t *end,
                                tenon_term *term,
                                tenon_error *err)
{
    size_t used;

    if (*at == end || **at != TN_VERSION) {
        return tn_error(err, TENON_E_CONTROL,
                        "reading a frame: expected a term's version byte 131, "
                        "got %s",
                        *at == end ? "the end" : "another byte");
    }
    (*at)++;
    enum tenon_err rc = tn_scan(*at, (size_t)(end - *at), &used, err);

    if (rc < 0) {
        return rc;
    }
    *term = (tenon_term){ *at, used };
    *at += used;
    return TENON_OK;
}

static enum tenon_err read_control(struct reading *in, tenon_term control)
{
    tenon_term op;

    in->elements = tenon_term_count(control);
    tenon_cursor_init(&in->at, control);
    if (tenon_term_type(control) != TENON_TYPE_TUPLE ||
        !tenon_cursor_next(&in->at, &op) || tenon_term_int64(op, &in->op) < 0) {
        return tn_error(in->err, TENON_E_CONTROL,
                        "control message: expected a tuple that starts with "
                        "an integer, got another term");
    }
    return TENON_OK;
}

static tenon_term system_limit(void)
{
    static const char atom[] = "\167\014system_limit";

    return (tenon_term){ (const uint8_t *)atom, sizeof atom - 1 };
}

/* The message of this frame is nested deeper than we read, which is no fault
 * of a peer: data of 1000 appends is that deep. Nobody waits for a message: it
 * is dropped (LIMIT). A reason is replaced by system_limit, and a spawn request
 * has no arguments then, so that links, monitors and spawns are answered.
 * TERM_DEEP, which `err` tells of already, when the control tuple is not in
 * order. */
static enum tenon_err parse_too_deep(struct reading *in, tenon_term control)
{
    tenon_error *err = in->err;

    in->err = NULL;
    in->message = system_limit();
    if (read_control(in, control) < 0 || parse_op(in) < 0) {
        return TENON_E_TERM_DEEP;
    }
    if (!tn_signal_is_message(in->sig->kind)) {
        if (in->sig->kind == TN_SIG_SPAWN_REQUEST) {
            in->sig->payload = (tenon_term){ NULL, 0 };
        }
        return TENON_OK;
    }
    if (err != NULL) {
        err->code = TENON_E_LIMIT;
    }
    return TENON_E_LIMIT;
}

static bool has_reason(enum tn_signal_kind kind)
{
    return kind == TN_SIG_EXIT || kind == TN_SIG_EXIT2 || kind == TN_SIG_DOWN;
}

bool tn_signal_is_short(const uint8_t *body, size_t len, size_t terms)
{
    const uint8_t *at = body + 1, *end = body + len;

    /* The control tuple, and the message. */
    while (at < end && *at == TN_VERSION) {
        size_t used;

        at++;
        if (!tn_scan_few(at, (size_t)(end - at), &terms, &used)) {
            return false;
        }
        at += used;
    }
    return true;
}

enum tenon_err tn_signal_parse(const uint8_t *body,
                               size_t len,
                               struct tn_signal *signal,
                               tenon_error *err)
{
    struct tn_signal sig = { .kind = TN_SIG_SEND };
    struct reading in = { .sig = &sig, .err = err };
    const uint8_t *end = body + len;
    tenon_term control;

    if (len == 0 || *body != TN_FRAME_PASS_THROUGH) {
        return tn_error(err, TENON_E_FRAME_FORM,
                        "reading a frame: expected pass-through (112) at byte "
                        "0");
    }
    body++;
    enum tenon_err rc = read_term(&body, end, &control, err);

    if (rc == TENON_OK && body < end) {
        in.has_message = true;
        rc = read_term(&body, end, &in.message, err);
        if (rc == TENON_E_TERM_DEEP) {
            rc = parse_too_deep(&in, control);
            *signal = sig;
            return rc;
        }
    }
    if (rc == TENON_OK && body < end) {
        return tn_error(err, TENON_E_CONTROL,
                        "reading a frame: expected its end after the message, "
                        "got %zu more bytes",
                        (size_t)(end - body));
    }
    if (rc == TENON_OK) {
        rc = read_control(&in, control);
    }
    if (rc == TENON_OK) {
        rc = parse_op(&in);
    }
    if (rc == TENON_OK && sig.kind == TN_SIG_SPAWN_REQUEST &&
        !tn_list_length(sig.payload, &sig.arity)) {
        sig.arity = SIZE_MAX;
    }
    if (has_reason(sig.kind) && sig.payload.len > TN_REASON_MAX_BYTES) {
        sig.payload = system_limit();
    }
    if (rc == TENON_OK) {
        *signal = sig;
    }
    return rc;
}

/* ---- who sent it ------------------------------------------------------- */

/* True when the atom at `p` has the text `name`. Node names beyond ASCII come
 * as UTF-8 from every release that we talk to. */
static bool atom_is(const uint8_t *p, const char *name)
{
    bool small = *p == TN_SMALL_ATOM_UTF8 || *p == TN_SMALL_ATOM;
    size_t len = small ? p[1] : tn_get16(p + 1);

    return strlen(name) == len && memcmp(p + (small ? 2 : 3), name, len) == 0;
}

bool tn_signal_from_peer(const struct tn_signal *signal, const char *peer)
{
    switch (signal->kind) {
    case TN_SIG_LINK:
    case TN_SIG_UNLINK:
    case TN_SIG_UNLINK_ACK:
    case TN_SIG_EXIT:
    case TN_SIG_EXIT2:
    case TN_SIG_MONITOR:
    case TN_SIG_DEMONITOR:
    case TN_SIG_SPAWN_REQUEST:
        return atom_is(signal->from.bytes + 1, peer);
    default:
        return true;
    }
}

bool tn_signal_for_node(const struct tn_signal *signal, const char *node)
{
    switch (signal->kind) {
    case TN_SIG_LINK:
    case TN_SIG_UNLINK:
    case TN_SIG_MONITOR:
        return !is_pid(signal->to) || atom_is(signal->to.bytes + 1, node);
    default:
        return true;
    }
}

bool tn_signal_is_stale_exit(const struct tn_signal *signal,
                             const char *peer,
                             uint32_t creation)
{
    tenon_term to = signal->to;

    /* The creation is the last field of a pid. */
    return signal->kind == TN_SIG_EXIT && is_pid(to) &&
           *to.bytes == TN_NEW_PID && atom_is(to.bytes + 1, peer) &&
           tn_get32(to.bytes + to.len - 4) != creation;
}

/* ---- encoding ---------------------------------------------------------- */

static enum tn_op
op_if(uint64_t peer_flags, uint64_t needed, enum tn_op op, enum tn_op other)
{
    return (peer_flags & needed) == needed ? op : other;
}

/* No operation has the number 0. */
#define NO_OP ((enum tn_op)0)

/* Nodes that watch processes need not be able to watch names. */
static enum tn_op
monitor_op(uint64_t peer_flags, tenon_term target, enum tn_op op)
{
    uint64_t needed = TN_FLAG(DIST_MONITOR);

    if (is_atom(target)) {
        needed |= TN_FLAG(DIST_MONITOR_NAME);
    }
    return op_if(peer_flags, needed, op, NO_OP);
}

static enum tn_op message_op(const struct tn_signal *sig, uint64_t peer_flags)
{
    switch (sig->kind) {
    case TN_SIG_SEND:
        /* A sender is not always known, and SEND is understood by all. */
        return sig->from.bytes == NULL ? TN_OP_SEND
                                       : op_if(peer_flags, TN_FLAG(SEND_SENDER),
                                               TN_OP_SEND_SENDER, TN_OP_SEND);
    case TN_SIG_SEND_NAME:
        return TN_OP_REG_SEND;
    default:
        return op_if(peer_flags, TN_FLAG(ALIAS), TN_OP_ALIAS_SEND,
                     op_if(peer_flags, TN_FLAG(ALTACT_SIG),
                           TN_OP_ALTACT_SIG_SEND, NO_OP));
    }
}

static enum tn_op exit2_op(const struct tn_signal *sig, uint64_t peer_flags)
{
    if (!is_pid(sig->to)) {
        return op_if(peer_flags, TN_FLAG(ALTACT_SIG), TN_OP_ALTACT_SIG_SEND,
                     NO_OP);
    }
    return op_if(peer_flags, TN_FLAG(EXIT_PAYLOAD), TN_OP_PAYLOAD_EXIT2,
                 TN_OP_EXIT2);
}

/* UNLINK closes the connection of a peer that has UNLINK_ID (OTP 26 on), and
 * UNLINK_ID that of one that has not. */
static enum tn_op link_op(const struct tn_signal *sig, uint64_t peer_flags)
{
    switch (sig->kind) {
    case TN_SIG_LINK:
        return TN_OP_LINK;
    case TN_SIG_UNLINK:
        return op_if(peer_flags, TN_FLAG(UNLINK_ID), TN_OP_UNLINK_ID,
                     TN_OP_UNLINK);
    case TN_SIG_UNLINK_ACK:
        return op_if(peer_flags, TN_FLAG(UNLINK_ID), TN_OP_UNLINK_ID_ACK,
                     NO_OP);
    default:
        return op_if(peer_flags, TN_FLAG(EXIT_PAYLOAD), TN_OP_PAYLOAD_EXIT,
                     TN_OP_EXIT);
    }
}

/* What this peer understands; NO_OP when it has nothing for the kind. */
static enum tn_op choose_op(const struct tn_signal *sig, uint64_t peer_flags)
{
    switch (sig->kind) {
    case TN_SIG_SEND:
    case TN_SIG_SEND_NAME:
    case TN_SIG_SEND_ALIAS:
        return message_op(sig, peer_flags);
    case TN_SIG_LINK:
    case TN_SIG_UNLINK:
    case TN_SIG_UNLINK_ACK:
    case TN_SIG_EXIT:
        return link_op(sig, peer_flags);
    case TN_SIG_EXIT2:
        return exit2_op(sig, peer_flags);
    case TN_SIG_MONITOR:
        return monitor_op(peer_flags, sig->to, TN_OP_MONITOR_P);
    case TN_SIG_DEMONITOR:
        return monitor_op(peer_flags, sig->to, TN_OP_DEMONITOR_P);
    case TN_SIG_DOWN:
        return monitor_op(peer_flags, sig->from,
                          op_if(peer_flags, TN_FLAG(EXIT_PAYLOAD),
                                TN_OP_PAYLOAD_MONITOR_P_EXIT,
                                TN_OP_MONITOR_P_EXIT));
    case TN_SIG_SPAWN_REQUEST:
        return op_if(peer_flags, TN_FLAG(SPAWN), TN_OP_SPAWN_REQUEST, NO_OP);
    case TN_SIG_SPAWN_REPLY:
        return op_if(peer_flags, TN_FLAG(SPAWN), TN_OP_SPAWN_REPLY, NO_OP);
    case TN_SIG_GROUP_LEADER:
        return TN_OP_GROUP_LEADER;
    }
    return NO_OP;
}

/* ALTACT_SIG_SEND has one more letter, A: its flags. */
static struct layout choose_layout(const struct tn_signal *sig, enum tn_op op)
{
    if (op != TN_OP_ALTACT_SIG_SEND) {
        return layouts[op];
    }
    return (struct layout){ (uint8_t)sig->kind, true,
                            is_atom(sig->to) ? "Afn" : "Afa" };
}

static uint64_t altact_flags(const struct tn_signal *sig)
{
    return (is_atom(sig->to) ? ALTACT_NAME : ALTACT_ALIAS) |
           (sig->kind == TN_SIG_EXIT2 ? ALTACT_EXIT : 0);
}

/* The field that a letter stands for; the null view when it is no term. */
static tenon_term field_of(const struct tn_signal *sig, char letter)
{
    switch (letter) {
    case 'f':
    case 'F':
        return sig->from;
    case 't':
    case 'T':
    case 'n':
    case 'a':
        return sig->to;
    case 'r':
        return sig->ref;
    case 'g':
        return sig->group_leader;
    case 'm':
        return sig->mfa;
    case 'o':
        return sig->opts;
    case 'x':
    case 'R':
        return sig->payload;
    default:
        return (tenon_term){ NULL, 0 };
    }
}

/* Integers as BEAM nodes write them; returns the byte behind. */
static uint8_t *put_uint(uint8_t *at, uint64_t value)
{
    if (value <= UINT8_MAX) {
        *at++ = TN_SMALL_INTEGER;
        *at++ = (uint8_t)value;
        return at;
    }
    if (value <= INT32_MAX) {
        *at++ = TN_INTEGER;
        return tn_add32(at, (uint32_t)value);
    }
    *at++ = TN_SMALL_BIG;
    uint8_t *count = at++;

    *at++ = 0; /* positive */
    for (*count = 0; value > 0; value >>= 8, (*count)++) {
        *at++ = (uint8_t)value;
    }
    return at;
}

static uint8_t *put_bytes(uint8_t *at, tenon_term term)
{
    memcpy(at, term.bytes, term.len);
    return at + term.len;
}

static uint8_t *put_field(uint8_t *at, const struct tn_signal *sig, char letter)
{
    switch (letter) {
    case '_':
        *at++ = TN_SMALL_ATOM_UTF8;
        *at++ = 0;
        return at;
    case 'i':
        return put_uint(at, sig->id);
    case 's':
        return put_uint(at, sig->flags);
    case 'A':
        return put_uint(at, altact_flags(sig));
    default:
        return put_bytes(at, field_of(sig, letter));
    }
}

/* Most bytes that an integer or the empty atom takes: a tag, a count, a sign,
 * eight bytes. */
#define SMALL_FIELD_BYTES 11u
/* Length, pass-through byte, version, tuple header, operation, version. */
#define FIXED_BYTES (TN_FRAME_HEAD_BYTES + 1u + 1u + 2u + 2u + 1u)

static bool has_type(const struct tn_signal *sig, char letter)
{
    struct tn_signal scratch;
    tenon_term term = field_of(sig, letter);

    switch (letter) {
    case '_':
    case 'A':
        return true;
    case 'i':
        return sig->id != 0;
    case 's':
        return sig->flags < SPAWN_FLAGS_LIMIT;
    default:
        return term.bytes != NULL && take_field(&scratch, letter, term);
    }
}

/* Most bytes that the frame takes. */
static enum tenon_err measure(const struct tn_signal *sig,
                              const struct layout *layout,
                              tn_extent *size,
                              tenon_error *err)
{
    *size =
        (tn_extent)FIXED_BYTES + (layout->has_message ? sig->payload.len : 0);
    if (layout->has_message && sig->payload.bytes == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "encoding a %s signal: expected a payload, got none",
                        tn_signal_name(sig->kind));
    }
    for (const char *letter = layout->fields; *letter != '\0'; letter++) {
        if (!has_type(sig, *letter)) {
            return tn_error(err, TENON_E_INVAL,
                            "encoding a %s signal: expected %s in field '%c', "
                            "got something else",
                            tn_signal_name(sig->kind), wanted(*letter),
                            *letter);
        }
        *size += (tn_extent)SMALL_FIELD_BYTES + field_of(sig, *letter).len;
    }
    return TENON_OK;
}

/*  0  length:32 of what follows
 *  4  112, 131
 *  6  104, arity, 97, operation, fields
 *     131, message */
static size_t write_frame(uint8_t *frame,
                          const struct tn_signal *sig,
                          enum tn_op op,
                          const struct layout *layout)
{
    uint8_t *at = frame + TN_FRAME_HEAD_BYTES;

    *at++ = TN_FRAME_PASS_THROUGH;
    *at++ = TN_VERSION;
    *at++ = TN_SMALL_TUPLE;
    *at++ = (uint8_t)(strlen(layout->fields) + 1);
    at = put_uint(at, op);
    for (const char *letter = layout->fields; *letter != '\0'; letter++) {
        at = put_field(at, sig, *letter);
    }
    if (layout->has_message) {
        *at++ = TN_VERSION;
        at = put_bytes(at, sig->payload);
    }
    size_t whole = (size_t)(at - frame);

    tn_put32(frame, (uint32_t)(whole - TN_FRAME_HEAD_BYTES));
    return whole;
}

enum tenon_err tn_signal_encode(struct tn_buf *out,
                                const struct tn_signal *signal,
                                uint64_t peer_flags,
                                tenon_error *err)
{
    enum tn_op op = choose_op(signal, peer_flags);
    uint8_t *at;
    tn_extent size;

    if (op == NO_OP) {
        return tn_error(err, TENON_E_NOTSUP,
                        "encoding a %s signal: the peer lacks the capability",
                        tn_signal_name(signal->kind));
    }
    struct layout layout = choose_layout(signal, op);
    enum tenon_err rc = measure(signal, &layout, &size, err);

    if (rc == TENON_OK && size > UINT32_MAX) {
        rc = TENON_E_LIMIT;
    }
    if (rc == TENON_OK) {
        rc = tn_buf_reserve(out, size, &at);
    }
    if (rc == TENON_E_LIMIT || rc == TENON_E_NOMEM) {
        return tn_error(err, rc, "encoding a %s signal of %llu bytes: %s",
                        tn_signal_name(signal->kind), (unsigned long long)size,
                        tenon_err_text(rc));
    }
    if (rc == TENON_OK) {
        out->len += write_frame(at, signal, op, &layout);
    }
    return rc;
}
