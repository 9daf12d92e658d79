/* SPDX-License-Identifier: Apache-2.0 */
/* The writers of the node's log and of its group leader's text, and the events
 * that the node's user logs. */
#include "node/output.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "node/node.h"

/* ---- the log ------------------------------------------------------------ */

static void write_log(void *user, int level, const char *line, size_t len)
{
    const tenon_node *node = user;
    static const enum tenon_log_level levels[] = {
        [TN_DEBUG] = TENON_LOG_DEBUG,
        [TN_INFO] = TENON_LOG_INFO,
        [TN_WARN] = TENON_LOG_WARNING,
        [TN_ERROR] = TENON_LOG_ERROR,
    };
    const struct tn_text_out text = {
        .level = levels[level],
        .bytes = line,
        .len = node->logs_to_stderr ? len : len - 1, /* without line end */
    };
    if (tn_writer_push(node->log_writer, &text) == TENON_E_STOPPED &&
        node->logs_to_stderr) {
        tn_log_to_stderr(line, len);
    }
}

static void keep_note(void *user, int level, const char *line, size_t len)
{
    struct tn_writer_note *note = user;
    (void)level;
    memcpy(note->text, line, len);
    note->len = len;
}

static void note_lost_lines(struct tn_writer_note *note, uint64_t lost)
{
    const struct tn_log log = { .write = keep_note, .user = note };
    tn_log(&log, TN_WARN, "log_lines_lost", "lines", TN_UINT(lost), NULL);
}

static void note_lost_to_user(struct tn_writer_note *note, uint64_t lost)
{
    note_lost_lines(note, lost);
    note->len--; /* without line end */
}

static enum tn_level least_level(enum tenon_log_level level)
{
    switch (level) {
    case TENON_LOG_DEBUG:
        return TN_DEBUG;
    case TENON_LOG_WARNING:
        return TN_WARN;
    case TENON_LOG_ERROR:
        return TN_ERROR;
    case TENON_LOG_NONE:
        return TN_SILENT;
    case TENON_LOG_DEFAULT:
    case TENON_LOG_INFO:
        break;
    }
    return TN_INFO;
}

/* ---- start and stop ----------------------------------------------------- */

enum tenon_err tn_output_start(tenon_node *node,
                               const tenon_node_config *config)
{
    bool is_users = config->log != NULL;
    node->logs_to_stderr = !is_users;
    node->log_writer = tn_writer_new(&(struct tn_writer_config){
        .max_bytes = TENON_LOG_WAITING_MAX_BYTES,
        .fd = STDERR_FILENO,
        .put = config->log,
        .user = config->log_user,
        .note_lost = is_users ? note_lost_to_user : note_lost_lines,
        .note_level = TENON_LOG_WARNING,
    });
    node->stdout_writer = tn_writer_new(&(struct tn_writer_config){
        .max_bytes = TENON_PRINT_WAITING_MAX_BYTES,
        .fd = STDOUT_FILENO,
        .wait_ms = TN_PRINT_WAIT_MS,
    });
    if (node->log_writer == NULL || node->stdout_writer == NULL) {
        return tn_error(config->err, TENON_E_NOMEM,
                        "out of memory for the node's output");
    }
    node->program_log = (struct tn_log){
        .min = least_level(config->log_level),
        .write = write_log,
        .user = node,
    };
    node->log = node->program_log;
    node->log.rate = tn_log_rate_new(&node->hash_key);
    return node->log.rate != NULL
               ? TENON_OK
               : tn_error(config->err, TENON_E_NOMEM,
                          "out of memory for the node's log");
}

void tn_output_stop(tenon_node *node)
{
    if (node->log_writer != NULL) {
        tn_writer_close(node->log_writer, TN_OUTPUT_DRAIN_MS);
        tn_writer_wait(node->log_writer);
    }
}

void tn_output_free(tenon_node *node)
{
    tn_log_rate_free(node->log.rate);
    tn_writer_unref(node->log_writer);
    tn_writer_unref(node->stdout_writer);
}

/* ---- the user's events -------------------------------------------------- */

static enum tn_level level_of(enum tenon_log_level level)
{
    switch (level) {
    case TENON_LOG_DEBUG:
        return TN_DEBUG;
    case TENON_LOG_WARNING:
        return TN_WARN;
    case TENON_LOG_ERROR:
        return TN_ERROR;
    case TENON_LOG_DEFAULT:
    case TENON_LOG_INFO:
    case TENON_LOG_NONE:
        break;
    }
    return TN_INFO;
}

void tenon_node_log(tenon_node *node,
                    enum tenon_log_level level,
                    const char *event,
                    ...)
{
    va_list pairs;

    if (node == NULL || event == NULL || level == TENON_LOG_NONE) {
        return;
    }
    va_start(pairs, event);
    tn_log_va(&node->program_log, level_of(level), event, pairs);
    va_end(pairs);
}
