/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: alarms in one SQLite file (alarm_file.h), behind the
 * callbacks of tenon_scheduler_config. What is changed is on the disk when the
 * call returns. */
#ifndef TN_X3M_ALARM_STORE_H
#define TN_X3M_ALARM_STORE_H

#include <tenon/scheduler.h>

struct tn_alarm_store;

/* Opens the file, or makes it.
 *
 * node       borrowed until the close; its log is told what goes wrong with
 *            no caller to tell.
 * path       borrowed.
 * responded  decides about a delivery, with `state`; called by
 *            tn_alarm_store_responded.
 * NULL: SYSTEM, EXISTS (in use), NOMEM; err says why. owned:
 * tn_alarm_store_close. */
TENON_CHECK struct tn_alarm_store *
tn_alarm_store_open(tenon_node *node,
                    const char *path,
                    tenon_service_responded_fn responded,
                    void *state,
                    tenon_error *err);
/* store: taken; NULL is fine. */
void tn_alarm_store_close(struct tn_alarm_store *store);

/* The four callbacks; state is the store. */
enum tenon_err tn_alarm_store_save(tenon_message *message,
                                   const char *aggregate_id,
                                   void *state,
                                   tenon_error *err);
enum tenon_err tn_alarm_store_load(int64_t from_us,
                                   int64_t until_us,
                                   tenon_alarms *alarms,
                                   void *state,
                                   tenon_error *err);
enum tenon_err tn_alarm_store_cancel(const char *id,
                                     size_t id_len,
                                     void *state,
                                     tenon_error *err);
/* Asks `responded` and records what it says. */
enum tenon_alarm_next tn_alarm_store_responded(tenon_message *message,
                                               uint64_t *retry_in_ms,
                                               void *state);

#endif
