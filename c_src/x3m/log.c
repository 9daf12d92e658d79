/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of handlers, with what the message brings along: on the node's log,
 * or at the caller's group leader. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tenon/io.h>
#include <tenon/x3m.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "node/call.h"
#include "node/node.h"
#include "x3m/message.h"
#include "x3m/router.h"
#include "x3m/serve.h"

#define PAIRS_MAX TENON_LOG_PAIRS_MAX
/* Room for a key, and for a metadata's value as inspect prints it. */
#define KEY_BYTES 64
#define VALUE_BYTES TENON_LOG_VALUE_MAX_BYTES
/* A metadata's value of more bytes is not printed: the whole of it would be
 * looked at, for a few characters. */
#define VALUE_TERM_MAX_BYTES 16384u

/* One line, put together before it is known where it goes. */
struct log_line {
    tenon_call *call;
    const struct tn_service *service; /* NULL: the call is no service's */
    enum tenon_log_level level;
    const char *text;
    struct tn_log_pair pairs[PAIRS_MAX]; /* the handler's own */
    size_t pair_count;
    struct {
        char key[KEY_BYTES];
        char value[VALUE_BYTES];
    } metadata[PAIRS_MAX];
    size_t metadata_count;
    tenon_term gl; /* a pid among the metadata, or the null view */
};

/* ---- metadata ---------------------------------------------------------- */

/* A word, so that no peer's key can look like one of the program's. */
static void copy_key(char key[KEY_BYTES], const char *text)
{
    size_t len = 0;

    for (; *text != '\0' && len < KEY_BYTES - 1; text++) {
        char c = *text;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_';

        key[len++] = is_plain ? c : '_';
    }
    key[len] = '\0';
}

static void add_metadata(struct log_line *line, tenon_term pair)
{
    tenon_term key, value;
    tenon_atom name;

    if (!tenon_match(pair, "{~t, ~t}", &key, &value) ||
        tenon_term_atom(key, &name) < 0) {
        return;
    }
    if (strcmp(name.text, "gl") == 0) {
        if (tenon_term_type(value) == TENON_TYPE_PID) {
            line->gl = value;
        }
        return;
    }
    size_t n = line->metadata_count++;

    copy_key(line->metadata[n].key, name.text);
    if (value.len > VALUE_TERM_MAX_BYTES) {
        snprintf(line->metadata[n].value, VALUE_BYTES, "...");
    } else {
        tenon_term_print(value, line->metadata[n].value, VALUE_BYTES);
    }
}

static void read_metadata(struct log_line *line)
{
    const tenon_message *message = tenon_call_message(line->call);
    tenon_cursor at;
    tenon_term pair;

    if (message == NULL) {
        return;
    }
    tenon_cursor_init(&at, tn_message_field(message, TN_FIELD_LOGGER_METADATA));
    while (line->metadata_count < PAIRS_MAX && tenon_cursor_next(&at, &pair)) {
        add_metadata(line, pair);
    }
}

/* ---- on the node's log --------------------------------------------------- */

static enum tn_level level_of(enum tenon_log_level level)
{
    switch (level) {
    case TENON_LOG_DEBUG:
        return TN_DEBUG;
    case TENON_LOG_WARNING:
        return TN_WARN;
    case TENON_LOG_ERROR:
        return TN_ERROR;
    default:
        return TN_INFO;
    }
}

static void log_here(const struct log_line *line)
{
    struct tn_log_pair pairs[2 + 2 * PAIRS_MAX];
    char keys[PAIRS_MAX][KEY_BYTES + sizeof "meta."];
    size_t n = 0;

    pairs[n++] = (struct tn_log_pair){ "service", line->service == NULL
                                                      ? NULL
                                                      : line->service->name };
    pairs[n++] = (struct tn_log_pair){ "text", line->text };
    for (size_t i = 0; i < line->pair_count; i++) {
        pairs[n++] = line->pairs[i];
    }
    for (size_t i = 0; i < line->metadata_count; i++) {
        snprintf(keys[i], sizeof keys[i], "meta.%s", line->metadata[i].key);
        pairs[n++] = (struct tn_log_pair){ keys[i], line->metadata[i].value };
    }
    tn_log_pairs(&tenon_call_node(line->call)->program_log,
                 level_of(line->level), "log", pairs, n);
}

/* ---- at the caller's group leader ---------------------------------------- */

/* Longest text of a line, and of a value of the handler's. */
#define TEXT_BYTES 4096u

/* As much of it as whole characters fit into TEXT_BYTES. */
static enum tenon_err put_text(struct tn_buf *out, const char *text)
{
    size_t len = strlen(text), kept = 0;
    uint32_t codepoint;

    while (kept < len) {
        size_t used =
            tn_utf8_get((const uint8_t *)text + kept, len - kept, &codepoint);

        if (used == 0 || kept + used > TEXT_BYTES) {
            break;
        }
        kept += used;
    }
    return tn_buf_append(out, text, kept);
}

static enum tenon_err
put_pair(struct tn_buf *out, const char *key, const char *value)
{
    enum tenon_err rc = put_text(out, key);

    if (rc == TENON_OK) {
        rc = tn_buf_append(out, "=", 1);
    }
    if (rc == TENON_OK) {
        rc = put_text(out, value);
    }
    return rc == TENON_OK ? tn_buf_append(out, " ", 1) : rc;
}

/* The time of day in UTC, as a Logger that is told so prints it. */
static enum tenon_err put_time(struct tn_buf *out)
{
    int64_t now_ms = tn_wall_ns() / 1000000;
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[32];

    if (gmtime_r(&seconds, &utc) == NULL) {
        return TENON_E_SYSTEM;
    }
    snprintf(text, sizeof text, "%02d:%02d:%02d.%03d ", utc.tm_hour, utc.tm_min,
             utc.tm_sec, (int)(now_ms % 1000));
    return tn_buf_append(out, text, strlen(text));
}

static const char *word_of(enum tenon_log_level level)
{
    switch (level) {
    case TENON_LOG_DEBUG:
        return "[debug] ";
    case TENON_LOG_WARNING:
        return "[warning] ";
    case TENON_LOG_ERROR:
        return "[error] ";
    default:
        return "[info] ";
    }
}

/* time key=value [level] text, as a Logger's default format. */
static enum tenon_err put_line(struct tn_buf *out, const struct log_line *line)
{
    enum tenon_err rc = put_time(out);

    for (size_t i = 0; i < line->metadata_count && rc == TENON_OK; i++) {
        rc = put_pair(out, line->metadata[i].key, line->metadata[i].value);
    }
    for (size_t i = 0; i < line->pair_count && rc == TENON_OK; i++) {
        if (line->pairs[i].value != NULL) {
            rc = put_pair(out, line->pairs[i].key, line->pairs[i].value);
        }
    }
    if (rc == TENON_OK) {
        rc = put_text(out, word_of(line->level));
    }
    if (rc == TENON_OK) {
        rc = put_text(out, line->text);
    }
    return rc == TENON_OK ? tn_buf_append(out, "\n", 1) : rc;
}

/* The caller has chosen where the line goes, by way of this node. */
static bool may_go_to(tenon_node *node, tn_access *caller, const tenon_pid *pid)
{
    tenon_value *to = tenon_value_format("~p", pid);
    bool may =
        to != NULL && tn_may_answer(node, caller, tenon_value_term(to), true);

    tenon_value_free(to);
    return may;
}

/* False: it did not go out, or belongs here: to a caller of this node. */
static bool log_there(const struct log_line *line)
{
    tenon_node *node = tenon_call_node(line->call);
    tenon_pid leader, own;
    struct tn_buf text;

    if (tenon_term_pid(line->gl, &leader) < 0) {
        tenon_call_group_leader(line->call, &leader);
    }
    tenon_process_pid(node->group_leader, &own);
    if (tenon_pid_equal(&leader, &own) ||
        !may_go_to(node, line->call->origin, &leader)) {
        return false;
    }
    tn_buf_init(&text, TEXT_BYTES * (3 + 2 * PAIRS_MAX));
    enum tenon_err rc = put_line(&text, line);

    if (rc == TENON_OK) {
        rc = tenon_io_put_chars_async(
            node, &(tenon_dest){ .pid = &leader }, TENON_IO_UNICODE,
            (const char *)text.bytes, text.len, 0, NULL, NULL);
    }
    tn_buf_fini(&text);
    return rc == TENON_OK;
}

/* ---- the public function ------------------------------------------------- */

static void read_pairs(struct log_line *line, va_list pairs)
{
    const char *key;

    while (line->pair_count < PAIRS_MAX &&
           (key = va_arg(pairs, const char *)) != NULL) {
        line->pairs[line->pair_count].key = key;
        line->pairs[line->pair_count++].value = va_arg(pairs, const char *);
    }
}

void tenon_log(tenon_call *call,
               enum tenon_log_level level,
               const char *text,
               ...)
{
    struct log_line line = { .call = call, .level = level, .text = text };
    va_list pairs;

    if (call == NULL || text == NULL || level == TENON_LOG_NONE ||
        level_of(level) < tenon_call_node(call)->log.min) {
        return;
    }
    line.service = tn_serve_service_of(call);
    va_start(pairs, text);
    read_pairs(&line, pairs);
    va_end(pairs);
    read_metadata(&line);
    if (line.service == NULL ||
        !atomic_load(&line.service->router->logs_elsewhere) ||
        !log_there(&line)) {
        log_here(&line);
    }
}

enum tenon_err tenon_router_ensure_local_logging(tenon_router *router,
                                                 bool ensure)
{
    if (router == NULL) {
        return TENON_E_INVAL;
    }
    atomic_store(&router->logs_elsewhere, !ensure);
    return TENON_OK;
}
