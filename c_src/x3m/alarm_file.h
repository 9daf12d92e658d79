/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite file of the embedded store: its table, its locks, and what one
 * does to its rows. Knows rows, not messages. */
#ifndef TN_X3M_ALARM_FILE_H
#define TN_X3M_ALARM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/error.h>
#include <tenon/node.h>

struct tn_alarm_file;

enum tn_alarm_change_kind {
    TN_ALARM_SAVE,   /* puts a row, or replaces that of the same id */
    TN_ALARM_DELETE, /* of that id */
    TN_ALARM_UPDATE, /* due_us, and the message unless that is NULL */
};

/* One change. All borrowed until the call returns. */
struct tn_alarm_change {
    enum tn_alarm_change_kind kind;
    const void *id;
    size_t id_len;
    int64_t due_us;
    const void *message; /* as term_to_binary writes it */
    size_t message_len;
    const char *aggregate_id; /* of SAVE; may be NULL */
};

/* Called for one row; its bytes are borrowed. False: no more. */
typedef bool (*tn_alarm_row_fn)(void *user,
                                const void *message,
                                size_t len,
                                int64_t due_us);

/* Opens the file for this process alone, or makes it.
 * node: borrowed until the close. NULL: SYSTEM, EXISTS (in use), NOMEM; err
 * says why. owned: tn_alarm_file_close. Blocks: half a second at most while
 * it is in use. */
TENON_CHECK struct tn_alarm_file *
tn_alarm_file_open(tenon_node *node, const char *path, tenon_error *err);
/* file: taken; NULL is fine. */
void tn_alarm_file_close(struct tn_alarm_file *file);
const char *tn_alarm_file_path(const struct tn_alarm_file *file);

/* Makes a change; it is on the disk when the call returns. Changes that come
 * from several threads at a time go in one transaction.
 * changed: set to the number of rows. Errors: SYSTEM, NOMEM.
 * Threads: any. Blocks: on the disk. */
TENON_CHECK enum tenon_err
tn_alarm_file_change(struct tn_alarm_file *file,
                     const struct tn_alarm_change *change,
                     int *changed,
                     tenon_error *err);

/* Reads the rows that are due from `from_us` on and before `until_us`, the
 * earliest first. Errors: SYSTEM, NOMEM. Threads, Blocks: as above. */
TENON_CHECK enum tenon_err tn_alarm_file_read(struct tn_alarm_file *file,
                                              int64_t from_us,
                                              int64_t until_us,
                                              tn_alarm_row_fn fn,
                                              void *user,
                                              tenon_error *err);

#endif
