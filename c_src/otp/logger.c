/* SPDX-License-Identifier: Apache-2.0 */
/* Log events of BEAM nodes as lines of the own log. Keeps nothing. */
#include "otp/logger.h"

#include <string.h>

#include "base/log.h"
#include "node/node.h"
#include "node/text.h"
#include "otp/gen.h"
#include "otp/io.h"
#include "term/print.h"

/* What is shown of a text; the line is cut anyway. */
#define TEXT_MAX_BYTES TN_LOG_LINE_BYTES

static enum tn_level level_of(tenon_term level)
{
    static const struct {
        const char *name;
        enum tn_level level;
    } levels[] = {
        { "debug", TN_DEBUG },
        { "info", TN_INFO },
        { "notice", TN_INFO },
        { "warning", TN_WARN },
    };
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (tenon_term_is_atom(level, levels[i].name)) {
            return levels[i].level;
        }
    }
    return TN_ERROR; /* error, critical, alert, emergency */
}

/* {log, Level, Format, Args, Meta} or {log, Level, TextOrReport, Meta} */
struct log_event {
    tenon_term level;
    tenon_term what; /* format, text or report */
    tenon_term args; /* of a format; else the null view */
    tenon_term meta;
};

static bool read_event(tenon_term message, struct log_event *event)
{
    tenon_term part[5];
    *event = (struct log_event){ .args = { NULL, 0 } };
    if (tn_tuple_views(message, part, 5)) {
        event->args = part[3];
        event->meta = part[4];
    } else if (tn_tuple_views(message, part, 4)) {
        event->meta = part[3];
    } else {
        return false;
    }
    event->level = part[1];
    event->what = part[2];
    return tenon_term_is_atom(part[0], "log");
}

/* The event's text, NUL-terminated, in `text`; what is none, or is too long to
 * be put together, as inspect prints it, cut, in `printed`. */
static const char *text_of(const struct log_event *event,
                           struct tn_buf *text,
                           char printed[TEXT_MAX_BYTES])
{
    bool is_format = event->args.bytes != NULL;
    enum tenon_err rc = is_format
                            ? tn_io_format(text, event->what, event->args)
                            : tn_io_text(text, TENON_IO_UNICODE, event->what);
    if (rc == TENON_OK) {
        rc = tn_buf_append(text, "", 1);
    }
    if (rc == TENON_OK) {
        return (const char *)text->bytes;
    }
    tn_term_show(is_format ? event->args : event->what, printed,
                 TEXT_MAX_BYTES);
    return printed;
}

/* A limited peer has lines of its own processes alone; the line says of which
 * peer it is, for its text may say anything. */
static bool may_log(const tenon_process *self, tenon_term meta)
{
    tn_access *origin = tn_process_origin(self);
    tenon_term by;
    struct tn_id_view pid;
    struct tn_text name;

    if (origin == NULL || tenon_map_get_atom(meta, "pid", &by) != TENON_OK) {
        return true;
    }
    if (!tn_pid_view(by, &pid) || !tn_text_of_view(&pid.node, &name)) {
        name = (struct tn_text){ .text = "no process", .len = 10 };
    }
    return tn_may_claim(self->node, origin, "log line", name.text, name.len);
}

static void on_message(tenon_process *self, void *state, tenon_term message)
{
    const struct tn_log *log = &tenon_process_node(self)->log;
    struct log_event event;
    struct tn_buf text;
    char printed[TEXT_MAX_BYTES], pid[128];
    tenon_term by = { NULL, 0 };
    (void)state;
    if (!read_event(message, &event) || level_of(event.level) < log->min ||
        !may_log(self, event.meta)) {
        return;
    }
    tn_buf_init(&text, TN_IO_TEXT_MAX_BYTES);
    bool has_pid = tenon_map_get_atom(event.meta, "pid", &by) == TENON_OK;
    if (has_pid) {
        tn_term_show(by, pid, sizeof pid);
    }
    const tn_account *account = tn_process_account(self);
    tn_log(log, level_of(event.level), "remote_log", "peer",
           account == NULL ? NULL : tn_account_name(account), "by",
           has_pid ? pid : NULL, "text", text_of(&event, &text, printed), NULL);
    tn_buf_fini(&text);
}

enum tenon_err tn_logger_start(tenon_node *node, tenon_error *err)
{
    static const struct tn_process_class logger = { .on_message = on_message };
    tenon_process *process =
        tn_process_start(node,
                         &(struct tn_process_spec){ .class = &logger,
                                                    .name = "logger_proxy",
                                                    .own_name = true,
                                                    .is_open = true,
                                                    .unseen = true,
                                                    .immortal = true },
                         err);
    if (process == NULL) {
        return TENON_E_NOMEM;
    }
    tenon_process_release(process);
    return TENON_OK;
}
