/* SPDX-License-Identifier: Apache-2.0 */
/* The IO protocol's client side: writing to group leaders and reading lines
 * from them. */
#include <stdio.h>
#include <string.h>

#include <tenon/io.h>

#include "base/error.h"
#include "base/utf8.h"
#include "node/node.h"
#include "otp/ask.h"
#include "otp/io.h"
#include "term/build.h"

/* The context of a question. */
struct io_question {
    const tenon_dest *leader;
    tenon_term request;
};

static enum tenon_err send_request(const struct tn_ask *ask,
                                   const void *context,
                                   tn_request_fn fn,
                                   void *user,
                                   tenon_error *err)
{
    const struct io_question *question = context;
    return tn_request_io(ask->node, question->leader, question->request,
                         ask->timeout_ms, fn, user, err);
}

/* ---- replies ----------------------------------------------------------- */

/* What is neither is the reply itself, with TENON_OK. */
static struct tn_answer decode_reply(enum tn_request_end end, tenon_term term)
{
    tenon_term reason;
    if (end == TN_END_DOWN) {
        return (struct tn_answer){ .code = TENON_E_NOPROC };
    }
    if (end != TN_END_REPLY) {
        return tn_answer_of_end(end);
    }
    if (tenon_match(term, "{:error, ~t}", &reason)) {
        return (struct tn_answer){ .code = TENON_E_NOTSUP, .value = reason };
    }
    return (struct tn_answer){ .code = TENON_OK, .value = term };
}

static struct tn_answer
decode_put(const struct tn_ask *ask, enum tn_request_end end, tenon_term term)
{
    struct tn_answer answer = decode_reply(end, term);
    (void)ask;
    if (answer.code == TENON_OK) {
        answer.code =
            tenon_term_is_atom(term, "ok") ? TENON_OK : TENON_E_BADTERM;
        answer.value = (tenon_term){ NULL, 0 };
    }
    return answer;
}

/* The line as one binary, whatever chardata came. */
static struct tn_answer line_answer(tenon_term chardata)
{
    struct tn_answer answer = { .code = TENON_E_BADTERM };
    struct tn_buf text;
    tn_buf_init(&text, TENON_IO_LINE_MAX_BYTES);
    enum tenon_err rc = tn_io_text(&text, TENON_IO_UNICODE, chardata);
    if (rc == TENON_OK) {
        answer.made =
            tenon_value_format("~b", (const void *)text.bytes, text.len);
        answer.value = tenon_value_term(answer.made);
        answer.code = answer.made == NULL ? TENON_E_NOMEM : TENON_OK;
    } else if (rc == TENON_E_NOMEM) {
        answer.code = rc;
    }
    tn_buf_fini(&text);
    return answer;
}

static struct tn_answer
decode_line(const struct tn_ask *ask, enum tn_request_end end, tenon_term term)
{
    struct tn_answer answer = decode_reply(end, term);
    (void)ask;
    if (answer.code != TENON_OK || tenon_term_is_atom(term, "eof")) {
        return answer;
    }
    return line_answer(term);
}

static void describe_io(const struct tn_ask *ask, char *text, size_t cap)
{
    const struct io_question *question = ask->context;
    const tenon_dest *to = question->leader;
    const char *what = ask->decode == decode_put ? "write" : "read";
    if (to->pid != NULL) {
        snprintf(text, cap, "%s: group leader #PID<%.60s.%lu.%lu>", what,
                 to->pid->node, (unsigned long)to->pid->id,
                 (unsigned long)to->pid->serial);
    } else {
        snprintf(text, cap, "%s: group leader \"%.60s\" on \"%.60s\"", what,
                 to->name, to->node == NULL ? "this node" : to->node);
    }
}

/* ---- requests ---------------------------------------------------------- */

static enum tenon_err invalid(tenon_error *err, const char *expected)
{
    return tn_error(err, TENON_E_INVAL, "io request: %s expected", expected);
}

/* {verb, encoding, text} */
static enum tenon_err build_request(tenon_builder *out,
                                    const char *verb,
                                    enum tenon_io_encoding encoding,
                                    const char *text,
                                    size_t len,
                                    tenon_term *request)
{
    tenon_build_tuple(out, 3);
    tenon_build_atom(out, verb);
    tenon_build_atom(out, encoding == TENON_IO_LATIN1 ? "latin1" : "unicode");
    tenon_build_binary(out, text, len);
    return tenon_builder_term(out, request);
}

static enum tenon_err check(const tenon_node *node,
                            const tenon_dest *leader,
                            enum tenon_io_encoding encoding,
                            const char *text,
                            size_t len,
                            tenon_error *err)
{
    if (node == NULL || leader == NULL ||
        (leader->pid == NULL && leader->name == NULL)) {
        return invalid(err, "a node and a group leader are");
    }
    if (text == NULL ||
        (encoding != TENON_IO_UNICODE && encoding != TENON_IO_LATIN1) ||
        (encoding == TENON_IO_UNICODE &&
         !tn_utf8_valid((const uint8_t *)text, len, NULL))) {
        return invalid(err, "a text in its encoding is");
    }
    return TENON_OK;
}

/* One request of either kind. */
struct io_job {
    const char *verb;
    enum tenon_io_encoding encoding;
    const char *text;
    size_t len;
    struct io_question question;
    struct tn_ask ask;
    tenon_builder built;
};

/* On success `job` is ready to be asked, and ends with tn_builder_fini. */
static enum tenon_err prepare(struct io_job *job,
                              tenon_node *node,
                              const tenon_dest *leader,
                              uint32_t timeout_ms,
                              tenon_error *err)
{
    enum tenon_err rc =
        check(node, leader, job->encoding, job->text, job->len, err);
    if (rc < 0) {
        return rc;
    }
    job->question.leader = leader;
    job->ask.node = node;
    job->ask.timeout_ms = timeout_ms;
    job->ask.start = send_request;
    job->ask.context = &job->question;
    job->ask.describe = describe_io;
    tn_builder_init(&job->built, TENON_TERM_MAX_BYTES);
    rc = build_request(&job->built, job->verb, job->encoding, job->text,
                       job->len, &job->question.request);
    if (rc < 0) {
        tn_builder_fini(&job->built);
        return tn_error(err, rc, "io request: %s", tenon_err_text(rc));
    }
    return TENON_OK;
}

/* The reply, if there comes one, finds no request. */
static enum tenon_err forget(const struct io_job *job)
{
    tenon_node *node = job->ask.node;
    tenon_ref ref;
    tn_node_make_ref(node, &ref);
    tenon_value *message = tenon_value_format("{:io_request, ~t, ~r, ~t}",
                                              tn_process_pid(node->client),
                                              &ref, job->question.request);
    if (message == NULL) {
        return TENON_E_NOMEM;
    }
    enum tenon_err rc =
        tn_send_dest(node, tn_process_pid(node->client), job->question.leader,
                     tenon_value_term(message), NULL);
    tenon_value_free(message);
    return rc;
}

static struct io_job
put_job(enum tenon_io_encoding encoding, const char *text, size_t len)
{
    return (struct io_job){
        .verb = "put_chars",
        .encoding = encoding,
        .text = text,
        .len = len,
        .ask.decode = decode_put,
    };
}

static struct io_job line_job(const char *prompt)
{
    const char *text = prompt == NULL ? "" : prompt;
    return (struct io_job){
        .verb = "get_line",
        .text = text,
        .len = strlen(text),
        .ask.decode = decode_line,
    };
}

/* ---- the public functions ---------------------------------------------- */

enum tenon_err tenon_io_put_chars(tenon_node *node,
                                  const tenon_dest *leader,
                                  enum tenon_io_encoding encoding,
                                  const char *text,
                                  size_t len,
                                  uint32_t timeout_ms,
                                  tenon_error *err)
{
    struct io_job job = put_job(encoding, text, len);
    enum tenon_err rc = prepare(&job, node, leader, timeout_ms, err);
    if (rc == TENON_OK) {
        rc = tn_ask_wait(&job.ask, NULL, err);
        tn_builder_fini(&job.built);
    }
    return rc;
}

enum tenon_err tenon_io_put_chars_async(tenon_node *node,
                                        const tenon_dest *leader,
                                        enum tenon_io_encoding encoding,
                                        const char *text,
                                        size_t len,
                                        uint32_t timeout_ms,
                                        tenon_result_fn fn,
                                        void *user)
{
    struct io_job job = put_job(encoding, text, len);
    enum tenon_err rc = prepare(&job, node, leader, timeout_ms, NULL);
    if (rc == TENON_OK) {
        rc = fn == NULL ? forget(&job) : tn_ask_async(&job.ask, fn, user);
        tn_builder_fini(&job.built);
    }
    return rc;
}

enum tenon_err tenon_io_get_line(tenon_node *node,
                                 const tenon_dest *leader,
                                 const char *prompt,
                                 uint32_t timeout_ms,
                                 tenon_value **line,
                                 tenon_error *err)
{
    struct io_job job = line_job(prompt);
    if (line == NULL) {
        return invalid(err, "a place for the line is");
    }
    *line = NULL;
    enum tenon_err rc = prepare(&job, node, leader, timeout_ms, err);
    if (rc == TENON_OK) {
        rc = tn_ask_wait(&job.ask, line, err);
        tn_builder_fini(&job.built);
    }
    return rc;
}

enum tenon_err tenon_io_get_line_async(tenon_node *node,
                                       const tenon_dest *leader,
                                       const char *prompt,
                                       uint32_t timeout_ms,
                                       tenon_result_fn fn,
                                       void *user)
{
    struct io_job job = line_job(prompt);
    if (fn == NULL) {
        return TENON_E_INVAL;
    }
    enum tenon_err rc = prepare(&job, node, leader, timeout_ms, NULL);
    if (rc == TENON_OK) {
        rc = tn_ask_async(&job.ask, fn, user);
        tn_builder_fini(&job.built);
    }
    return rc;
}
