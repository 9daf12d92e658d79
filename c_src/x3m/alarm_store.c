/* SPDX-License-Identifier: Apache-2.0 */
/* The callbacks of the embedded store: messages to rows, and back. */
#include "x3m/alarm_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/node.h"
#include "term/tags.h"
#include "x3m/alarm_file.h"
#include "x3m/alarm_retry.h"
#include "x3m/alarm_time.h"
#include "x3m/message.h"

struct tn_alarm_store {
    tenon_node *node;
    struct tn_alarm_file *file;
    tenon_service_responded_fn responded;
    void *state;
};

struct tn_alarm_store *tn_alarm_store_open(tenon_node *node,
                                           const char *path,
                                           tenon_service_responded_fn responded,
                                           void *state,
                                           tenon_error *err)
{
    struct tn_alarm_store *store = malloc(sizeof *store);

    if (store == NULL) {
        tn_error(err, TENON_E_NOMEM, "alarm store: out of memory");
        return NULL;
    }
    *store = (struct tn_alarm_store){
        .node = node,
        .file = tn_alarm_file_open(node, path, err),
        .responded = responded,
        .state = state,
    };
    if (store->file == NULL) {
        free(store);
        return NULL;
    }
    return store;
}

void tn_alarm_store_close(struct tn_alarm_store *store)
{
    if (store != NULL) {
        tn_alarm_file_close(store->file);
        free(store);
    }
}

/* ---- saving and cancelling ---------------------------------------------- */

/* The message with its version byte in front. NULL: NOMEM. owned: free. */
static uint8_t *external_of(const tenon_message *message, size_t *len)
{
    tenon_term term = tenon_message_term(message);
    uint8_t *bytes = term.bytes == NULL ? NULL : malloc(term.len + 1);

    if (bytes != NULL) {
        bytes[0] = TN_VERSION;
        memcpy(bytes + 1, term.bytes, term.len);
        *len = term.len + 1;
    }
    return bytes;
}

/* A change of the message's row. Errors: TERM_TYPE (it has no id). */
static enum tenon_err begin(struct tn_alarm_change *change,
                            enum tn_alarm_change_kind kind,
                            const tenon_message *message)
{
    *change = (struct tn_alarm_change){ .kind = kind };
    return tenon_term_binary(tn_message_field(message, TN_FIELD_ID),
                             &change->id, &change->id_len);
}

enum tenon_err tn_alarm_store_save(tenon_message *message,
                                   const char *aggregate_id,
                                   void *state,
                                   tenon_error *err)
{
    struct tn_alarm_store *store = state;
    struct tn_alarm_change save;
    int changed;

    if (begin(&save, TN_ALARM_SAVE, message) < 0 ||
        tenon_alarm_at(message, &save.due_us) < 0) {
        return tn_error(err, TENON_E_INVAL,
                        "alarm store: message without dispatch_at or id");
    }
    uint8_t *bytes = external_of(message, &save.message_len);

    if (bytes == NULL) {
        return tn_error(err, TENON_E_NOMEM, "alarm store: out of memory");
    }
    save.message = bytes;
    save.aggregate_id = aggregate_id;
    enum tenon_err rc = tn_alarm_file_change(store->file, &save, &changed, err);

    free(bytes);
    return rc;
}

enum tenon_err tn_alarm_store_cancel(const char *id,
                                     size_t id_len,
                                     void *state,
                                     tenon_error *err)
{
    struct tn_alarm_store *store = state;
    const struct tn_alarm_change forget = {
        .kind = TN_ALARM_DELETE,
        .id = id,
        .id_len = id_len,
    };
    int changed = 0;
    enum tenon_err rc =
        tn_alarm_file_change(store->file, &forget, &changed, err);

    if (rc == TENON_OK && changed == 0) {
        rc = tn_error(err, TENON_E_NOT_FOUND, "no alarm has that id");
    }
    return rc;
}

/* ---- loading ------------------------------------------------------------ */

struct load {
    struct tn_alarm_store *store;
    tenon_alarms *alarms;
};

/* A row that cannot be read is left where it is, and logged. */
static bool
take_row(void *user, const void *message, size_t len, int64_t due_us)
{
    const struct load *load = user;
    tenon_error why = { 0 };
    tenon_term term;

    if (tenon_term_scan(message, len, &term, &why) < 0) {
        tn_log(&load->store->node->log, TN_ERROR, "alarm_unreadable", "file",
               tn_alarm_file_path(load->store->file), "why", why.text, NULL);
        return true;
    }
    enum tenon_err rc = tenon_alarms_add(load->alarms, term, due_us);

    return rc == TENON_OK || rc == TENON_E_BADTERM || rc == TENON_E_INVAL;
}

enum tenon_err tn_alarm_store_load(int64_t from_us,
                                   int64_t until_us,
                                   tenon_alarms *alarms,
                                   void *state,
                                   tenon_error *err)
{
    struct load load = { state, alarms };

    return tn_alarm_file_read(load.store->file, from_us, until_us, take_row,
                              &load, err);
}

/* ---- recording ---------------------------------------------------------- */

/* One that has been cancelled meanwhile has no row any more, and gets none. A
 * message that a reply has made too large, or that cannot be written for lack
 * of memory, stays as it was saved before. */
static enum tenon_err record_retry(struct tn_alarm_store *store,
                                   tenon_message *message,
                                   uint64_t in_ms,
                                   tenon_error *err)
{
    struct tn_alarm_change retry;
    int changed;
    enum tenon_err rc = begin(&retry, TN_ALARM_UPDATE, message);
    uint8_t *bytes = tn_alarm_renew(message) < 0
                         ? NULL
                         : external_of(message, &retry.message_len);

    retry.due_us = tn_us_after(tn_wall_us(), in_ms);
    retry.message = bytes;
    if (rc == TENON_OK) {
        rc = tn_alarm_file_change(store->file, &retry, &changed, err);
    }
    free(bytes);
    return rc;
}

static enum tenon_err record_done(struct tn_alarm_store *store,
                                  const tenon_message *message,
                                  tenon_error *err)
{
    struct tn_alarm_change done;
    int changed;
    enum tenon_err rc = begin(&done, TN_ALARM_DELETE, message);

    return rc < 0 ? rc
                  : tn_alarm_file_change(store->file, &done, &changed, err);
}

enum tenon_alarm_next tn_alarm_store_responded(tenon_message *message,
                                               uint64_t *retry_in_ms,
                                               void *state)
{
    struct tn_alarm_store *store = state;
    tenon_error why = { 0 };
    enum tenon_alarm_next next =
        store->responded(message, retry_in_ms, store->state);
    enum tenon_err rc = next == TENON_ALARM_RETRY
                            ? record_retry(store, message, *retry_in_ms, &why)
                            : record_done(store, message, &why);

    if (rc < 0) {
        tn_log(&store->node->log, TN_ERROR, "alarm_not_recorded", "file",
               tn_alarm_file_path(store->file), "why", why.text, NULL);
    }
    return next;
}
