/* SPDX-License-Identifier: Apache-2.0 */
/* The IO protocol's server side: output, and an input that is at its end. */
#include "otp/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/gen.h"

/* ---- requests ---------------------------------------------------------- */

/* Of a request of that many elements; those without an encoding are older. */
static enum tenon_io_encoding encoding_of(const tenon_term *part, size_t arity)
{
    bool is_old = arity == 2 || arity == 4;
    return is_old || tenon_term_is_atom(part[1], "latin1") ? TENON_IO_LATIN1
                                                           : TENON_IO_UNICODE;
}

/* Appends what {put_chars, encoding, chars} prints, or {put_chars, encoding,
 * module, function, args}; the forms without encoding are Latin-1's and older.
 * Nothing of it on failure. */
static enum tenon_err put_chars(struct tn_buf *out, tenon_term request)
{
    tenon_term part[5];
    size_t before = out->len;
    size_t arity = tenon_term_count(request);
    enum tenon_err rc = TENON_E_TERM_SHAPE;
    if (arity < 2 || arity > 5 || !tn_tuple_views(request, part, arity)) {
        return rc;
    }
    if (arity <= 3) {
        rc = tn_io_text(out, encoding_of(part, arity), part[arity - 1]);
    } else if (tenon_term_is_atom(part[arity - 3], "io_lib") &&
               tenon_term_is_atom(part[arity - 2], "format")) {
        tenon_term call[2];
        if (tn_list_views(part[arity - 1], call, 2)) {
            rc = tn_io_format(out, call[0], call[1]);
        }
    }
    if (rc != TENON_OK) {
        out->len = before;
    }
    return rc;
}

static const char *answer(struct tn_buf *out, tenon_term request);

/* The result of the first that fails, else of the last. */
static const char *answer_all(struct tn_buf *out, tenon_term requests)
{
    tenon_cursor at;
    tenon_term request;
    const char *result = ":ok";
    tenon_cursor_init(&at, requests);
    while (tenon_cursor_next(&at, &request)) {
        /* A request inside a request is answered only once. */
        result = tenon_match(request, "{:requests, _}") ? "{:error, :request}"
                                                        : answer(out, request);
        if (result[0] == '{') {
            break;
        }
    }
    return result;
}

/* What is answered to requests of which only the kind counts. */
static const char *answer_verb(tenon_term verb)
{
    static const struct {
        const char *verb, *answer;
    } answers[] = {
        { "get_line", ":eof" },
        { "get_chars", ":eof" },
        { "get_until", ":eof" },
        { "get_password", "{:error, :enotsup}" },
        { "get_geometry", "{:error, :enotsup}" },
        { "setopts", "{:error, :enotsup}" },
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (tenon_term_is_atom(verb, answers[i].verb)) {
            return answers[i].answer;
        }
    }
    return "{:error, :request}";
}

/* The reply as a pattern: :ok, :eof, a list of options, or {:error, reason}.
 * out: what is to be printed before the reply. */
static const char *answer(struct tn_buf *out, tenon_term request)
{
    tenon_term verb;
    if (tenon_term_is_atom(request, "getopts")) {
        return "[binary: false, encoding: :unicode]";
    }
    if (tenon_tuple_get(request, 0, &verb) != TENON_OK) {
        return "{:error, :request}";
    }
    if (tenon_term_is_atom(verb, "put_chars")) {
        return put_chars(out, request) == TENON_OK ? ":ok"
                                                   : "{:error, :badarg}";
    }
    if (tenon_match(request, "{:requests, ~t}", &verb)) {
        return answer_all(out, verb);
    }
    return answer_verb(verb);
}

/* Whoever prints waits until it is written, as at a BEAM's `user`. */
struct printed {
    tenon_node *node;
    tenon_value *from;
    tenon_value *reply_as;
    const char *result;
};

static void printed_free(struct printed *printed)
{
    tenon_value_free(printed->from);
    tenon_value_free(printed->reply_as);
    free(printed);
}

static void reply(tenon_node *node,
                  tenon_term from,
                  tenon_term reply_as,
                  const char *result)
{
    tenon_value *value = tenon_value_format(result);
    tenon_value *message = tenon_value_format("{:io_reply, ~t, ~t}", reply_as,
                                              tenon_value_term(value));
    (void)tn_send_answer(node, tn_process_pid(node->group_leader), from,
                         tenon_value_term(message));
    tenon_value_free(message);
    tenon_value_free(value);
}

static const char *error_of(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
        return "{:error, :enospc}";
    case EPIPE:
        return "{:error, :epipe}";
    case ETIMEDOUT:
        return "{:error, :etimedout}";
    default:
        return "{:error, :eio}";
    }
}

static void is_printed(void *user, enum tn_written what, int sys_errno)
{
    struct printed *printed = user;
    if (what != TN_WRITE_LEFT) {
        reply(printed->node, tenon_value_term(printed->from),
              tenon_value_term(printed->reply_as),
              what == TN_WRITTEN ? printed->result : error_of(sys_errno));
    }
    printed_free(printed);
}

static struct printed *printed_new(tenon_node *node,
                                   tenon_term from,
                                   tenon_term reply_as,
                                   const char *result)
{
    struct printed *printed = malloc(sizeof *printed);
    if (printed == NULL) {
        return NULL;
    }
    *printed = (struct printed){
        .node = node,
        .from = tenon_value_new(from),
        .reply_as = tenon_value_new(reply_as),
        .result = result,
    };
    if (printed->from == NULL || printed->reply_as == NULL) {
        printed_free(printed);
        return NULL;
    }
    return printed;
}

/* Hands the text to the writer, which then replies; a reader who does not read
 * keeps a bounded number of printers waiting, and those beyond are refused. */
static bool print(tenon_node *node,
                  const struct tn_buf *text,
                  tenon_term from,
                  tenon_term reply_as,
                  const char *result)
{
    struct printed *printed = printed_new(node, from, reply_as, result);
    if (printed == NULL) {
        return false;
    }
    const struct tn_text_out out = {
        .bytes = text->bytes,
        .len = text->len,
        .extra_bytes = sizeof *printed + from.len + reply_as.len,
        .done = is_printed,
        .user = printed,
    };
    if (tn_writer_push(node->stdout_writer, &out) == TENON_OK) {
        return true;
    }
    printed_free(printed);
    return false;
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    (void)state;
    tenon_node *node = tenon_process_node(self);
    tenon_term from, reply_as, request;
    struct tn_buf text;
    if (!tenon_match(message, "{:io_request, ~t, ~t, ~t}", &from, &reply_as,
                     &request) ||
        !tn_may_answer(node, tn_process_origin(self), from, false)) {
        return;
    }
    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    const char *result = answer(&text, request);
    if (text.len == 0) {
        reply(node, from, reply_as, result);
    } else if (!print(node, &text, from, reply_as, result)) {
        reply(node, from, reply_as, "{:error, :enospc}");
    }
    tn_buf_fini(&text);
}

enum tenon_err tn_io_start(tenon_node *node, tenon_error *err)
{
    static const struct tn_process_class io = { .on_message = on_message };
    tenon_process *process = tn_process_start(
        node,
        &(struct tn_process_spec){
            .class = &io, .name = "user", .is_open = true, .immortal = true },
        err);
    if (process == NULL) {
        return TENON_E_NOMEM;
    }
    node->group_leader = process; /* the node releases it */
    return TENON_OK;
}

/* ---- formats ----------------------------------------------------------- */

static enum tenon_err put_printed(struct tn_buf *out, tenon_term term)
{
    uint8_t *at;
    size_t len = tenon_term_print(term, NULL, 0);
    enum tenon_err rc = tn_buf_reserve(out, len + 1, &at);
    if (rc == TENON_OK) {
        (void)tenon_term_print(term, (char *)at, len + 1);
        out->len += len;
    }
    return rc;
}

/* One control sequence with its argument. */
static enum tenon_err
put_control(struct tn_buf *out, uint8_t control, tenon_term arg)
{
    tenon_atom atom;
    switch (control) {
    case 'c':
        return tenon_term_type(arg) == TENON_TYPE_INTEGER
                   ? tn_io_text(out, TENON_IO_UNICODE, arg)
                   : TENON_E_TERM_TYPE;
    case 's':
        if (tenon_term_atom(arg, &atom) == TENON_OK) {
            return put_printed(out, arg);
        }
        return tn_io_text(out, TENON_IO_UNICODE, arg);
    case 'p':
    case 'w':
    case 'a':
    case 'b':
    case 'B':
    case 'g':
    case 'e':
    case 'f':
        return put_printed(out, arg);
    case 'i':
        return TENON_OK;
    default:
        return TENON_E_TERM_SHAPE;
    }
}

/* After `~`: skips field width, precision, padding and the t and l modifiers.
 * Returns the place of the control character, or `len`. */
static size_t find_control(const uint8_t *text, size_t len, size_t at)
{
    static const char skipped[] = "0123456789.-tlkK*";
    while (at < len) {
        bool skip = false;
        for (size_t i = 0; i < sizeof skipped - 1; i++) {
            skip = skip || text[at] == (uint8_t)skipped[i];
        }
        if (!skip) {
            break;
        }
        at++;
    }
    return at;
}

static enum tenon_err
expand(struct tn_buf *out, const struct tn_buf *format, tenon_term args)
{
    tenon_cursor at;
    tenon_term arg;
    enum tenon_err rc = TENON_OK;
    tenon_cursor_init(&at, args);
    for (size_t i = 0; i < format->len && rc == TENON_OK; i++) {
        if (format->bytes[i] != '~') {
            rc = tn_buf_append(out, &format->bytes[i], 1);
            continue;
        }
        i = find_control(format->bytes, format->len, i + 1);
        if (i == format->len) {
            return TENON_E_TERM_SHAPE;
        }
        uint8_t control = format->bytes[i];
        if (control == 'n' || control == '~') {
            rc = tn_buf_append(out, control == 'n' ? "\n" : "~", 1);
        } else if (tenon_cursor_next(&at, &arg)) {
            rc = put_control(out, control, arg);
        } else {
            rc = TENON_E_TERM_SHAPE;
        }
    }
    if (rc == TENON_OK && tenon_cursor_next(&at, &arg)) {
        rc = TENON_E_TERM_SHAPE;
    }
    return rc;
}

enum tenon_err
tn_io_format(struct tn_buf *out, tenon_term format, tenon_term args)
{
    struct tn_buf text;
    tenon_atom atom;
    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    enum tenon_err rc = tenon_term_atom(format, &atom) == TENON_OK
                            ? tn_buf_append(&text, atom.text, strlen(atom.text))
                            : tn_io_text(&text, TENON_IO_UNICODE, format);
    if (rc == TENON_OK) {
        rc = expand(out, &text, args);
    }
    tn_buf_fini(&text);
    return rc;
}
