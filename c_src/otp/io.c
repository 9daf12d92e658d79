/* SPDX-License-Identifier: Apache-2.0 */
/* The IO protocol's server side: output, and an input that is at its end. */
#include "otp/io.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "node/node.h"
#include "otp/gen.h"

/* How long a reader of our standard output may leave it full. */
#define WRITE_WAIT_MS 1000

/* ---- requests ---------------------------------------------------------- */

/* Standard output may be a pipe that nobody reads: what does not go out in
 * time is dropped, as the requester could not do anything about it. */
static void write_out(const struct tn_buf *text)
{
    size_t done = 0;
    while (done < text->len) {
        struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
        int ready = poll(&out, 1, WRITE_WAIT_MS);
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            return;
        }
        if (ready < 0) {
            continue;
        }
        ssize_t n = write(STDOUT_FILENO, text->bytes + done, text->len - done);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return;
        }
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Of a request of that many elements; those without an encoding are older. */
static enum tenon_io_encoding encoding_of(const tenon_term *part, size_t arity)
{
    bool is_old = arity == 2 || arity == 4;
    return is_old || tenon_term_is_atom(part[1], "latin1") ? TENON_IO_LATIN1
                                                           : TENON_IO_UNICODE;
}

/* {put_chars, encoding, chars} or {put_chars, encoding, module, function,
 * args}; the forms without encoding are Latin-1's and older. */
static enum tenon_err put_chars(tenon_term request)
{
    struct tn_buf text;
    tenon_term part[5];
    size_t arity = tenon_term_count(request);
    enum tenon_err rc = TENON_E_TERM_SHAPE;
    if (arity < 2 || arity > 5 || !tn_tuple_views(request, part, arity)) {
        return rc;
    }
    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    if (arity <= 3) {
        rc = tn_io_text(&text, encoding_of(part, arity), part[arity - 1]);
    } else if (tenon_term_is_atom(part[arity - 3], "io_lib") &&
               tenon_term_is_atom(part[arity - 2], "format")) {
        tenon_term call[2];
        if (tn_list_views(part[arity - 1], call, 2)) {
            rc = tn_io_format(&text, call[0], call[1]);
        }
    }
    if (rc == TENON_OK) {
        write_out(&text);
    }
    tn_buf_fini(&text);
    return rc;
}

static const char *answer(tenon_term request);

/* The result of the first that fails, else of the last. */
static const char *answer_all(tenon_term requests)
{
    tenon_cursor at;
    tenon_term request;
    const char *result = ":ok";
    tenon_cursor_init(&at, requests);
    while (tenon_cursor_next(&at, &request)) {
        /* A request inside a request is answered only once. */
        result = tenon_match(request, "{:requests, _}") ? "{:error, :request}"
                                                        : answer(request);
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

/* The reply as a pattern: :ok, :eof, a list of options, or {:error, reason}. */
static const char *answer(tenon_term request)
{
    tenon_term verb;
    if (tenon_term_is_atom(request, "getopts")) {
        return "[binary: false, encoding: :unicode]";
    }
    if (tenon_tuple_get(request, 0, &verb) != TENON_OK) {
        return "{:error, :request}";
    }
    if (tenon_term_is_atom(verb, "put_chars")) {
        return put_chars(request) == TENON_OK ? ":ok" : "{:error, :badarg}";
    }
    if (tenon_match(request, "{:requests, ~t}", &verb)) {
        return answer_all(verb);
    }
    return answer_verb(verb);
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    (void)state;
    tenon_term from, reply_as, request;
    if (!tenon_match(message, "{:io_request, ~t, ~t, ~t}", &from, &reply_as,
                     &request) ||
        !tn_may_answer(tenon_process_node(self), tn_process_origin(self), from,
                       false)) {
        return;
    }
    tenon_value *result = tenon_value_format(answer(request));
    tenon_value *reply = tenon_value_format("{:io_reply, ~t, ~t}", reply_as,
                                            tenon_value_term(result));
    (void)tn_send_answer(tenon_process_node(self), tn_process_pid(self), from,
                         tenon_value_term(reply));
    tenon_value_free(reply);
    tenon_value_free(result);
}

enum tenon_err tn_io_start(tenon_node *node, tenon_error *err)
{
    static const struct tn_process_class io = { .on_message = on_message };
    tenon_process *process = tn_process_start(
        node, &(struct tn_process_spec){ .class = &io, .immortal = true }, err);
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
