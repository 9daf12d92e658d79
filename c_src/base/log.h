/* SPDX-License-Identifier: Apache-2.0 */
/* One line of key=value pairs for each event:
 *
 *     time=2026-11-21T02:23:41.123Z level=info event=ready node=calc@host
 *
 * Values that hold spaces, quotes or control bytes are quoted and escaped, so
 * that a peer's text can neither break a line in two nor forge a key. */
#ifndef TN_BASE_LOG_H
#define TN_BASE_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_rate.h"

enum tn_level { TN_DEBUG, TN_INFO, TN_WARN, TN_ERROR, TN_SILENT };

/* Longest line with its newline; a longer one is cut and ends in "...". */
#define TN_LOG_LINE_BYTES 1024

/* Where lines go. Filled by the owner, read by any thread afterwards. */
struct tn_log {
    enum tn_level min; /* events below are dropped */
    /* Called with one whole line and its newline, by any thread, also at the
     * same time by several; must not block. NULL: tn_log_to_stderr. */
    void (*write)(void *user, int level, const char *line, size_t len);
    void *user;
    tn_log_rate *rate; /* lines above it are left out; NULL: none */
};

/* Logs one event.
 *
 *     tn_log(log, TN_INFO, "peer_up", "node", name, "flags", TN_HEX(f), NULL);
 *
 * log    borrowed; NULL logs nothing.
 * event  a word of the program, not quoted.
 * ...    pairs of const char * key (a word of the program) and const char *
 *        value (any bytes up to NUL; NULL drops the pair), then NULL. The value
 *        of "address", else "peer", else "node" is whose line it is: each has
 *        its rate. The first line after some that were left out has
 *        suppressed=COUNT.
 * Threads: any. Blocks: as `write` does. */
void tn_log(const struct tn_log *log,
            enum tn_level level,
            const char *event,
            ...) __attribute__((sentinel));
void tn_log_va(const struct tn_log *log,
               enum tn_level level,
               const char *event,
               va_list pairs);

/* The same with the pairs in an array. */
struct tn_log_pair {
    const char *key;
    const char *value;
};
void tn_log_pairs(const struct tn_log *log,
                  enum tn_level level,
                  const char *event,
                  const struct tn_log_pair *pairs,
                  size_t count);

/* Writes a line to standard error, or nothing of it when that takes nothing at
 * the moment: for lines outside of the life of a node, which has a thread for
 * them. */
void tn_log_to_stderr(const char *line, size_t len);

/* "debug", "info", "warn", "error"; "silent". */
const char *tn_level_name(enum tn_level level);

/* Room for a number's text; what the macros below give lives until the end of
 * the enclosing block. */
struct tn_number_text {
    char text[24];
};

const char *tn_text_of_i64(struct tn_number_text *room, int64_t value);
const char *tn_text_of_u64(struct tn_number_text *room, uint64_t value);
const char *tn_text_of_hex(struct tn_number_text *room, uint64_t value);

#define TN_INT(v)                                                              \
    tn_text_of_i64(&(struct tn_number_text){ { 0 } }, (int64_t)(v))
#define TN_UINT(v)                                                             \
    tn_text_of_u64(&(struct tn_number_text){ { 0 } }, (uint64_t)(v))
#define TN_HEX(v)                                                              \
    tn_text_of_hex(&(struct tn_number_text){ { 0 } }, (uint64_t)(v))

#endif
