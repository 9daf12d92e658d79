/* SPDX-License-Identifier: Apache-2.0 */
/* The event log: puts one line together on the stack and hands it out whole.
 * Keeps no files and no state. */
#include "base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

/* What is kept free for the end of a cut line: ..." and the newline. */
#define TAIL_BYTES 5

struct line {
    char bytes[TN_LOG_LINE_BYTES];
    size_t len;
    bool cut;
};

const char *tn_level_name(enum tn_level level)
{
    static const char *const names[] = {
        "debug", "info", "warn", "error", "silent",
    };

    return names[level];
}

const char *tn_text_of_i64(struct tn_number_text *room, int64_t value)
{
    snprintf(room->text, sizeof room->text, "%" PRId64, value);
    return room->text;
}

const char *tn_text_of_u64(struct tn_number_text *room, uint64_t value)
{
    snprintf(room->text, sizeof room->text, "%" PRIu64, value);
    return room->text;
}

const char *tn_text_of_hex(struct tn_number_text *room, uint64_t value)
{
    snprintf(room->text, sizeof room->text, "0x%" PRIx64, value);
    return room->text;
}

/* Adds all of it or, when it does not fit, nothing more to this line. */
static void add(struct line *line, const char *text, size_t len)
{
    if (line->cut || len > sizeof line->bytes - TAIL_BYTES - line->len) {
        line->cut = true;
        return;
    }
    memcpy(line->bytes + line->len, text, len);
    line->len += len;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_time(struct line *line)
{
    int64_t now_ms = tn_wall_ns() / 1000000;
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[48];

    if (gmtime_r(&seconds, &utc) == NULL) {
        return;
    }
    size_t n = strftime(text, sizeof text, "time=%Y-%m-%dT%H:%M:%S", &utc);

    snprintf(text + n, sizeof text - n, ".%03dZ ", (int)(now_ms % 1000));
    add_text(line, text);
}

/* Length of the character at `p` when it may stand in a line as it is; 0 when
 * it must be escaped: control characters (also C1, which terminals obey),
 * bytes that are not UTF-8, and the separators U+2028 and U+2029. */
static size_t plain_bytes(const uint8_t *p, size_t n)
{
    uint32_t c;
    size_t used = tn_utf8_get(p, n, &c);

    if (used == 0 || c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 ||
        c == 0x2029) {
        return 0;
    }
    return used;
}

static bool needs_quotes(const uint8_t *p, size_t n)
{
    if (n == 0) {
        return true;
    }
    for (size_t i = 0; i < n;) {
        size_t used = plain_bytes(p + i, n - i);

        if (used == 0 || strchr(" \"=\\", p[i]) != NULL) {
            return true;
        }
        i += used;
    }
    return false;
}

static void add_escaped(struct line *line, uint8_t byte)
{
    char text[8];

    switch (byte) {
    case '\n':
        add(line, "\\n", 2);
        return;
    case '\t':
        add(line, "\\t", 2);
        return;
    case '"':
        add(line, "\\\"", 2);
        return;
    case '\\':
        add(line, "\\\\", 2);
        return;
    default:
        snprintf(text, sizeof text, "\\x%02X", byte);
        add(line, text, 4);
    }
}

static void add_quoted(struct line *line, const uint8_t *p, size_t n)
{
    add(line, "\"", 1);
    for (size_t i = 0; i < n && !line->cut;) {
        size_t used = plain_bytes(p + i, n - i);

        if (used == 0 || p[i] == '"' || p[i] == '\\') {
            add_escaped(line, p[i]);
            i++;
        } else {
            add(line, (const char *)p + i, used);
            i += used;
        }
    }
    /* Room for both is always left: see TAIL_BYTES. */
    if (line->cut) {
        memcpy(line->bytes + line->len, "...\"", 4);
        line->len += 4;
    } else {
        add(line, "\"", 1);
    }
}

static void add_pair(struct line *line, const char *key, const char *value)
{
    size_t n = strlen(value);

    add(line, " ", 1);
    add_text(line, key);
    add(line, "=", 1);
    if (line->cut) {
        memcpy(line->bytes + line->len, "...", 3);
        line->len += 3;
    } else if (needs_quotes((const uint8_t *)value, n) ||
               n > sizeof line->bytes - TAIL_BYTES - line->len) {
        add_quoted(line, (const uint8_t *)value, n);
    } else {
        add(line, value, n);
    }
}

void tn_log_to_stderr(const char *line, size_t len)
{
    struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

    if (poll(&out, 1, 0) > 0) {
        /* One line in pieces is worse than a cut one, and there is nobody to
         * tell that a log cannot be written. */
        ssize_t n = write(STDERR_FILENO, line, len);

        (void)n;
    }
}

/* ---- whose line it is ---------------------------------------------------- */

/* Later ones count more: a stranger chooses its name, but not its address. */
static const char *const whose_keys[] = { "node", "peer", "address" };

struct whose {
    size_t rank; /* in whose_keys, from 1 on */
    const char *value;
};

static void look_whose(struct whose *whose, const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof whose_keys / sizeof whose_keys[0]; i++) {
        if (i >= whose->rank && value != NULL &&
            strcmp(key, whose_keys[i]) == 0) {
            *whose = (struct whose){ i + 1, value };
        }
    }
}

/* suppressed: set to how many lines like it were left out before. */
static bool may_write(const struct tn_log *log,
                      const char *event,
                      const struct whose *whose,
                      uint64_t *suppressed)
{
    *suppressed = 0;
    return log->rate == NULL || tn_log_rate_take(log->rate, event, whose->value,
                                                 tn_now_ms(), suppressed);
}

/* ---- lines --------------------------------------------------------------- */

static void begin_line(struct line *line,
                       enum tn_level level,
                       const char *event,
                       uint64_t suppressed)
{
    line->len = 0;
    line->cut = false;
    add_time(line);
    add_text(line, "level=");
    add_text(line, tn_level_name(level));
    add_text(line, " event=");
    add_text(line, event);
    if (suppressed > 0) {
        add_pair(line, "suppressed", TN_UINT(suppressed));
    }
}

static void
end_line(struct line *line, const struct tn_log *log, enum tn_level level)
{
    line->bytes[line->len++] = '\n';
    if (log->write != NULL) {
        log->write(log->user, (int)level, line->bytes, line->len);
    } else {
        tn_log_to_stderr(line->bytes, line->len);
    }
}

void tn_log_pairs(const struct tn_log *log,
                  enum tn_level level,
                  const char *event,
                  const struct tn_log_pair *pairs,
                  size_t count)
{
    struct whose whose = { 0, NULL };
    struct line line;
    uint64_t suppressed;

    if (log == NULL || level < log->min) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        look_whose(&whose, pairs[i].key, pairs[i].value);
    }
    if (!may_write(log, event, &whose, &suppressed)) {
        return;
    }
    begin_line(&line, level, event, suppressed);
    for (size_t i = 0; i < count && !line.cut; i++) {
        if (pairs[i].value != NULL) {
            add_pair(&line, pairs[i].key, pairs[i].value);
        }
    }
    end_line(&line, log, level);
}

static struct whose find_whose(va_list pairs)
{
    struct whose whose = { 0, NULL };
    const char *key;
    va_list again;

    va_copy(again, pairs);
    while ((key = va_arg(again, const char *)) != NULL) {
        look_whose(&whose, key, va_arg(again, const char *));
    }
    va_end(again);
    return whose;
}

void tn_log_va(const struct tn_log *log,
               enum tn_level level,
               const char *event,
               va_list pairs)
{
    struct line line;
    const char *key;
    uint64_t suppressed;

    if (log == NULL || level < log->min) {
        return;
    }
    struct whose whose = find_whose(pairs);

    if (!may_write(log, event, &whose, &suppressed)) {
        return;
    }
    begin_line(&line, level, event, suppressed);
    while (!line.cut && (key = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);

        if (value != NULL) {
            add_pair(&line, key, value);
        }
    }
    end_line(&line, log, level);
}

void tn_log(const struct tn_log *log,
            enum tn_level level,
            const char *event,
            ...)
{
    va_list pairs;

    va_start(pairs, event);
    tn_log_va(log, level, event, pairs);
    va_end(pairs);
}
