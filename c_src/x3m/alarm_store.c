/* SPDX-License-Identifier: Apache-2.0 */
/* The table of alarms in an SQLite file. The file is opened for this process
 * alone (exclusive locking): two schedulers on one file would both deliver.
 * Durability: a write-ahead log that is synced at each commit, so that a
 * process or a machine that dies at any moment leaves whole transactions. */
#include "x3m/alarm_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "term/tags.h"
#include "x3m/alarm_retry.h"
#include "x3m/alarm_time.h"
#include "x3m/message.h"

/* PRAGMA application_id of our files ("TnAl"), and the version of what is in
 * them. */
#define APPLICATION_ID 1416511852
#define SCHEMA_VERSION 1
#define NUMBER(n) #n
#define TEXT(n) NUMBER(n)

/* A process that ends gives its file free: waited for this long. */
#define BUSY_MS 500

enum statement { SAVE, LOAD, CANCEL, RETRY, STATEMENTS };

static const char *const sql[STATEMENTS] = {
    [SAVE] = "INSERT INTO alarms (id, due_at, aggregate_id, message) "
             "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET "
             "due_at = ?2, aggregate_id = ?3, message = ?4",
    [LOAD] = "SELECT message, due_at FROM alarms "
             "WHERE due_at >= ?1 AND due_at < ?2 ORDER BY due_at",
    [CANCEL] = "DELETE FROM alarms WHERE id = ?1",
    [RETRY] = "UPDATE alarms SET due_at = ?2, message = ifnull(?3, message) "
              "WHERE id = ?1",
};

/* id: the message's; due_at: microseconds since 1970; message: a term as
 * term_to_binary writes it. */
static const char schema[] =
    "CREATE TABLE alarms (id BLOB PRIMARY KEY NOT NULL, due_at INTEGER NOT "
    "NULL, aggregate_id TEXT, message BLOB NOT NULL);"
    "CREATE INDEX alarms_due_at ON alarms (due_at);"
    "PRAGMA application_id = " TEXT(
        APPLICATION_ID) ";"
                        "PRAGMA user_version = " TEXT(SCHEMA_VERSION) ";";

struct tn_alarm_store {
    const struct tn_log *log;
    tenon_service_responded_fn responded;
    void *state;
    pthread_mutex_t lock; /* guards the connection and its statements */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    char path[];
};

/* ---- opening ---------------------------------------------------------- */

static enum tenon_err
failed(struct tn_alarm_store *store, const char *doing, tenon_error *err)
{
    if (sqlite3_errcode(store->db) == SQLITE_NOMEM) {
        return tn_error(err, TENON_E_NOMEM, "alarm store \"%s\": out of memory",
                        store->path);
    }
    return tn_error(err, TENON_E_SYSTEM, "alarm store \"%s\": could not %s: %s",
                    store->path, doing, sqlite3_errmsg(store->db));
}

static enum tenon_err run(struct tn_alarm_store *store,
                          const char *text,
                          const char *doing,
                          tenon_error *err)
{
    return sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK
               ? TENON_OK
               : failed(store, doing, err);
}

static int read_int(void *user, int columns, char **values, char **names)
{
    (void)names;
    if (columns == 1 && values[0] != NULL) {
        *(long *)user = strtol(values[0], NULL, 10);
    }
    return 0;
}

/* The integer that a query gives. */
static enum tenon_err ask(struct tn_alarm_store *store,
                          const char *query,
                          long *value,
                          tenon_error *err)
{
    *value = 0;
    return sqlite3_exec(store->db, query, read_int, value, NULL) == SQLITE_OK
               ? TENON_OK
               : failed(store, "read it", err);
}

/* For its owner only, as messages may be confidential. Another file is never
 * opened and closed here: closing would give SQLite's locks on it away. */
static enum tenon_err create_file(struct tn_alarm_store *store,
                                  tenon_error *err)
{
    int fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                  S_IRUSR | S_IWUSR);

    if (fd < 0 && errno != EEXIST) {
        return tn_error_sys(err, TENON_E_SYSTEM, errno,
                            "alarm store \"%s\": could not create it",
                            store->path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return TENON_OK;
}

static enum tenon_err take_file(struct tn_alarm_store *store, tenon_error *err)
{
    int rc = sqlite3_open_v2(store->path, &store->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK) {
        return failed(store, "open it", err);
    }
    sqlite3_busy_timeout(store->db, BUSY_MS);
    rc = sqlite3_exec(store->db,
                      "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL,
                      NULL, NULL);
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
        return tn_error(err, TENON_E_EXISTS,
                        "alarm store \"%s\": it is in use, by another node or "
                        "another program",
                        store->path);
    }
    if (rc == SQLITE_NOTADB) {
        return tn_error(err, TENON_E_SYSTEM,
                        "alarm store \"%s\": expected an SQLite file, got "
                        "another one",
                        store->path);
    }
    return rc == SQLITE_OK ? TENON_OK : failed(store, "lock it", err);
}

/* In the transaction of take_file. */
static enum tenon_err check_schema(struct tn_alarm_store *store,
                                   tenon_error *err)
{
    long application, version, objects;
    enum tenon_err rc = ask(store, "PRAGMA application_id", &application, err);

    if (rc == TENON_OK) {
        rc = ask(store, "PRAGMA user_version", &version, err);
    }
    if (rc == TENON_OK) {
        rc = ask(store, "SELECT count(*) FROM sqlite_master", &objects, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (application == 0 && version == 0 && objects == 0) {
        return run(store, schema, "make its tables", err);
    }
    if (application != APPLICATION_ID) {
        return tn_error(err, TENON_E_SYSTEM,
                        "alarm store \"%s\": expected a file of alarms, got "
                        "an SQLite file of another program",
                        store->path);
    }
    if (version != SCHEMA_VERSION) {
        return tn_error(err, TENON_E_SYSTEM,
                        "alarm store \"%s\": expected version %d, got %ld, "
                        "written by a newer Tenon",
                        store->path, SCHEMA_VERSION, version);
    }
    return TENON_OK;
}

static enum tenon_err prepare(struct tn_alarm_store *store, tenon_error *err)
{
    enum tenon_err rc = run(store,
                            "COMMIT; PRAGMA journal_mode = WAL; "
                            "PRAGMA synchronous = FULL; PRAGMA fullfsync = 1",
                            "set it up", err);

    for (unsigned i = 0; i < STATEMENTS && rc == TENON_OK; i++) {
        if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[i], NULL) != SQLITE_OK) {
            rc = failed(store, "read its tables", err);
        }
    }
    return rc;
}

/* SQLite takes some names for something else than a file: those without a
 * slash get one. */
static struct tn_alarm_store *new_store(const char *path)
{
    const char *here = strchr(path, '/') == NULL ? "./" : "";
    size_t here_bytes = strlen(here), path_bytes = strlen(path) + 1;
    struct tn_alarm_store *store =
        calloc(1, sizeof *store + here_bytes + path_bytes);

    if (store != NULL) {
        memcpy(store->path, here, here_bytes);
        memcpy(store->path + here_bytes, path, path_bytes);
        pthread_mutex_init(&store->lock, NULL);
    }
    return store;
}

struct tn_alarm_store *tn_alarm_store_open(const char *path,
                                           const struct tn_log *log,
                                           tenon_service_responded_fn responded,
                                           void *state,
                                           tenon_error *err)
{
    struct tn_alarm_store *store = new_store(path);

    if (store == NULL) {
        tn_error(err, TENON_E_NOMEM, "alarm store: out of memory");
        return NULL;
    }
    store->log = log;
    store->responded = responded;
    store->state = state;
    if (create_file(store, err) < 0 || take_file(store, err) < 0 ||
        check_schema(store, err) < 0 || prepare(store, err) < 0) {
        tn_alarm_store_close(store);
        return NULL;
    }
    return store;
}

void tn_alarm_store_close(struct tn_alarm_store *store)
{
    if (store == NULL) {
        return;
    }
    for (unsigned i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
    }
    sqlite3_close(store->db);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* ---- statements ------------------------------------------------------- */

/* With the lock held, as the next. Bound bytes must stay until the end of the
 * statement. A binding that fails leaves NULL, which no column but one takes. */
static sqlite3_stmt *begin(struct tn_alarm_store *store, enum statement which)
{
    pthread_mutex_lock(&store->lock);
    return store->statements[which];
}

/* Runs a statement that gives no rows, and releases the lock. `changed`: how
 * many rows; may be NULL. */
static enum tenon_err end(struct tn_alarm_store *store,
                          sqlite3_stmt *statement,
                          const char *doing,
                          int *changed,
                          tenon_error *err)
{
    enum tenon_err rc = TENON_OK;

    if (sqlite3_step(statement) != SQLITE_DONE) {
        rc = failed(store, doing, err);
    } else if (changed != NULL) {
        *changed = sqlite3_changes(store->db);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

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

/* The bytes of the message's id; a message has been checked to have one. */
static const void *id_of(const tenon_message *message, size_t *len)
{
    const void *id = NULL;

    return tenon_term_binary(tn_message_field(message, TN_FIELD_ID), &id,
                             len) == TENON_OK
               ? id
               : NULL;
}

static void
bind_bytes(sqlite3_stmt *statement, int column, const void *bytes, size_t len)
{
    sqlite3_bind_blob64(statement, column, bytes, len, SQLITE_STATIC);
}

enum tenon_err tn_alarm_store_save(tenon_message *message,
                                   const char *aggregate_id,
                                   void *state,
                                   tenon_error *err)
{
    struct tn_alarm_store *store = state;
    int64_t due_us = 0;
    size_t id_len = 0, len = 0;
    const void *id = id_of(message, &id_len);
    enum tenon_err rc = tenon_alarm_at(message, &due_us);

    if (rc < 0 || id == NULL) {
        return tn_error(err, TENON_E_INVAL,
                        "alarm store: message without dispatch_at or id");
    }
    uint8_t *bytes = external_of(message, &len);

    if (bytes == NULL) {
        return tn_error(err, TENON_E_NOMEM, "alarm store: out of memory");
    }
    sqlite3_stmt *save = begin(store, SAVE);

    bind_bytes(save, 1, id, id_len);
    sqlite3_bind_int64(save, 2, due_us);
    sqlite3_bind_text(save, 3, aggregate_id, -1, SQLITE_STATIC);
    bind_bytes(save, 4, bytes, len);
    rc = end(store, save, "save an alarm", NULL, err);
    free(bytes);
    return rc;
}

enum tenon_err tn_alarm_store_cancel(const char *id,
                                     size_t id_len,
                                     void *state,
                                     tenon_error *err)
{
    struct tn_alarm_store *store = state;
    int changed = 0;
    sqlite3_stmt *cancel = begin(store, CANCEL);

    bind_bytes(cancel, 1, id, id_len);
    enum tenon_err rc = end(store, cancel, "forget an alarm", &changed, err);

    if (rc == TENON_OK && changed == 0) {
        rc = tn_error(err, TENON_E_NOT_FOUND, "no alarm has that id");
    }
    return rc;
}

/* ---- loading ---------------------------------------------------------- */

/* Hands one row over. False: no more. A row that cannot be read is left where
 * it is, and logged. */
static bool
take_row(struct tn_alarm_store *store, sqlite3_stmt *load, tenon_alarms *alarms)
{
    tenon_error why = { 0 };
    tenon_term term;
    int len = sqlite3_column_bytes(load, 0);

    if (tenon_term_scan(sqlite3_column_blob(load, 0), (size_t)len, &term,
                        &why) < 0) {
        tn_log(store->log, TN_ERROR, "alarm_unreadable", "file", store->path,
               "why", why.text, NULL);
        return true;
    }
    enum tenon_err rc =
        tenon_alarms_add(alarms, term, sqlite3_column_int64(load, 1));

    return rc == TENON_OK || rc == TENON_E_BADTERM || rc == TENON_E_INVAL;
}

enum tenon_err tn_alarm_store_load(int64_t from_us,
                                   int64_t until_us,
                                   tenon_alarms *alarms,
                                   void *state,
                                   tenon_error *err)
{
    struct tn_alarm_store *store = state;
    enum tenon_err rc = TENON_OK;
    int stepped = SQLITE_ROW;
    bool more = true;
    sqlite3_stmt *load = begin(store, LOAD);

    sqlite3_bind_int64(load, 1, from_us);
    sqlite3_bind_int64(load, 2, until_us);
    while (more && (stepped = sqlite3_step(load)) == SQLITE_ROW) {
        more = take_row(store, load, alarms);
    }
    if (stepped != SQLITE_ROW && stepped != SQLITE_DONE) {
        rc = failed(store, "load alarms", err);
    }
    sqlite3_reset(load);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

/* ---- recording -------------------------------------------------------- */

/* One that has been cancelled meanwhile has no row any more, and gets none. A
 * message that a reply has made too large, or that cannot be written for lack
 * of memory, stays as it was saved before. */
static enum tenon_err record_retry(struct tn_alarm_store *store,
                                   tenon_message *message,
                                   uint64_t in_ms,
                                   tenon_error *err)
{
    size_t id_len = 0, len = 0;
    const void *id = id_of(message, &id_len);
    uint8_t *bytes =
        tn_alarm_renew(message) < 0 ? NULL : external_of(message, &len);

    sqlite3_stmt *retry = begin(store, RETRY);

    bind_bytes(retry, 1, id, id_len);
    sqlite3_bind_int64(retry, 2, tn_us_after(tn_wall_us(), in_ms));
    bind_bytes(retry, 3, bytes, len);
    enum tenon_err rc = end(store, retry, "record a retry", NULL, err);

    free(bytes);
    return rc;
}

static enum tenon_err record_done(struct tn_alarm_store *store,
                                  const tenon_message *message,
                                  tenon_error *err)
{
    size_t id_len = 0;
    const void *id = id_of(message, &id_len);
    enum tenon_err rc = tn_alarm_store_cancel(id, id_len, store, err);

    return rc == TENON_E_NOT_FOUND ? TENON_OK : rc;
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
        tn_log(store->log, TN_ERROR, "alarm_not_recorded", "file", store->path,
               "why", why.text, NULL);
    }
    return next;
}
