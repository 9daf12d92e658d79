/* SPDX-License-Identifier: Apache-2.0 */
/* The table of alarms in an SQLite file. The file is opened for this process
 * alone (exclusive locking): two schedulers on one file would both deliver.
 * Durability: a write-ahead log that is synced at each commit, so that a
 * process or a machine that dies at any moment leaves whole transactions. */
#include "x3m/alarm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/error.h"
#include "node/node.h"

/* PRAGMA application_id of our files ("TnAl"), and the version of what is in
 * them. */
#define APPLICATION_ID 1416511852
#define SCHEMA_VERSION 1
#define NUMBER(n) #n
#define TEXT(n) NUMBER(n)

/* A process that ends gives its file free: waited for this long. */
#define BUSY_MS 500

/* The first are the kinds of changes. */
enum statement {
    SAVE = TN_ALARM_SAVE,
    DELETE = TN_ALARM_DELETE,
    UPDATE = TN_ALARM_UPDATE,
    READ,
    STATEMENTS
};

/* Of all changes: ?1 the id, ?2 the time, ?3 the message, ?4 the aggregate. */
static const char *const sql[STATEMENTS] = {
    [SAVE] = "INSERT INTO alarms (id, due_at, message, aggregate_id) "
             "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET "
             "due_at = ?2, message = ?3, aggregate_id = ?4",
    [DELETE] = "DELETE FROM alarms WHERE id = ?1",
    [UPDATE] = "UPDATE alarms SET due_at = ?2, message = ifnull(?3, message) "
               "WHERE id = ?1",
    [READ] = "SELECT message, due_at FROM alarms "
             "WHERE due_at >= ?1 AND due_at < ?2 ORDER BY due_at",
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

/* A change that waits for its transaction; on the stack of its thread. Guarded
 * by the queue's lock but for what the leader is at work with. */
struct waiting {
    STAILQ_ENTRY(waiting) next;
    const struct tn_alarm_change *change;
    int changed;
    bool done;
    enum tenon_err rc;
    tenon_error why;
};
STAILQ_HEAD(waiting_list, waiting);

struct tn_alarm_file {
    tenon_node *node;
    pthread_mutex_t lock; /* guards the connection and its statements */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    pthread_mutex_t queue_lock; /* guards the rest; taken alone */
    pthread_cond_t committed;
    struct waiting_list queue;
    bool is_led; /* a thread commits; it does not wait */
    char path[];
};

/* ---- opening ---------------------------------------------------------- */

static enum tenon_err
failed(struct tn_alarm_file *file, const char *doing, tenon_error *err)
{
    if (sqlite3_errcode(file->db) == SQLITE_NOMEM) {
        return tn_error(err, TENON_E_NOMEM, "alarm store \"%s\": out of memory",
                        file->path);
    }
    return tn_error(err, TENON_E_SYSTEM, "alarm store \"%s\": could not %s: %s",
                    file->path, doing, sqlite3_errmsg(file->db));
}

static enum tenon_err run(struct tn_alarm_file *file,
                          const char *text,
                          const char *doing,
                          tenon_error *err)
{
    return sqlite3_exec(file->db, text, NULL, NULL, NULL) == SQLITE_OK
               ? TENON_OK
               : failed(file, doing, err);
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
static enum tenon_err ask(struct tn_alarm_file *file,
                          const char *query,
                          long *value,
                          tenon_error *err)
{
    *value = 0;
    return sqlite3_exec(file->db, query, read_int, value, NULL) == SQLITE_OK
               ? TENON_OK
               : failed(file, "read it", err);
}

/* For its owner only, as messages may be confidential. Another file is never
 * opened and closed here: closing would give SQLite's locks on it away. */
static enum tenon_err create_file(struct tn_alarm_file *file, tenon_error *err)
{
    int fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                  S_IRUSR | S_IWUSR);

    if (fd < 0 && errno != EEXIST) {
        return tn_error_sys(err, TENON_E_SYSTEM, errno,
                            "alarm store \"%s\": could not create it",
                            file->path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return TENON_OK;
}

static enum tenon_err take_file(struct tn_alarm_file *file, tenon_error *err)
{
    int rc = sqlite3_open_v2(file->path, &file->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK) {
        return failed(file, "open it", err);
    }
    sqlite3_busy_timeout(file->db, BUSY_MS);
    rc = sqlite3_exec(file->db,
                      "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL,
                      NULL, NULL);
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
        return tn_error(err, TENON_E_EXISTS,
                        "alarm store \"%s\": it is in use, by another node or "
                        "another program",
                        file->path);
    }
    if (rc == SQLITE_NOTADB) {
        return tn_error(err, TENON_E_SYSTEM,
                        "alarm store \"%s\": expected an SQLite file, got "
                        "another one",
                        file->path);
    }
    return rc == SQLITE_OK ? TENON_OK : failed(file, "lock it", err);
}

/* In the transaction of take_file. */
static enum tenon_err check_schema(struct tn_alarm_file *file, tenon_error *err)
{
    long application, version, objects;
    enum tenon_err rc = ask(file, "PRAGMA application_id", &application, err);

    if (rc == TENON_OK) {
        rc = ask(file, "PRAGMA user_version", &version, err);
    }
    if (rc == TENON_OK) {
        rc = ask(file, "SELECT count(*) FROM sqlite_master", &objects, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (application == 0 && version == 0 && objects == 0) {
        return run(file, schema, "make its tables", err);
    }
    if (application != APPLICATION_ID) {
        return tn_error(err, TENON_E_SYSTEM,
                        "alarm store \"%s\": expected a file of alarms, got "
                        "an SQLite file of another program",
                        file->path);
    }
    if (version != SCHEMA_VERSION) {
        return tn_error(err, TENON_E_SYSTEM,
                        "alarm store \"%s\": expected version %d, got %ld, "
                        "written by a newer Tenon",
                        file->path, SCHEMA_VERSION, version);
    }
    return TENON_OK;
}

static enum tenon_err prepare(struct tn_alarm_file *file, tenon_error *err)
{
    enum tenon_err rc = run(file,
                            "COMMIT; PRAGMA journal_mode = WAL; "
                            "PRAGMA synchronous = FULL; PRAGMA fullfsync = 1",
                            "set it up", err);

    for (unsigned i = 0; i < STATEMENTS && rc == TENON_OK; i++) {
        if (sqlite3_prepare_v3(file->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &file->statements[i], NULL) != SQLITE_OK) {
            rc = failed(file, "read its tables", err);
        }
    }
    return rc;
}

/* SQLite takes some names for something else than a file: those without a
 * slash get one. */
static struct tn_alarm_file *new_file(const char *path)
{
    const char *here = strchr(path, '/') == NULL ? "./" : "";
    size_t here_bytes = strlen(here), path_bytes = strlen(path) + 1;
    struct tn_alarm_file *file =
        calloc(1, sizeof *file + here_bytes + path_bytes);

    if (file != NULL) {
        memcpy(file->path, here, here_bytes);
        memcpy(file->path + here_bytes, path, path_bytes);
        pthread_mutex_init(&file->lock, NULL);
        pthread_mutex_init(&file->queue_lock, NULL);
        pthread_cond_init(&file->committed, NULL);
        STAILQ_INIT(&file->queue);
    }
    return file;
}

struct tn_alarm_file *
tn_alarm_file_open(tenon_node *node, const char *path, tenon_error *err)
{
    struct tn_alarm_file *file = new_file(path);

    if (file == NULL) {
        tn_error(err, TENON_E_NOMEM, "alarm store: out of memory");
        return NULL;
    }
    file->node = node;
    if (create_file(file, err) < 0 || take_file(file, err) < 0 ||
        check_schema(file, err) < 0 || prepare(file, err) < 0) {
        tn_alarm_file_close(file);
        return NULL;
    }
    return file;
}

void tn_alarm_file_close(struct tn_alarm_file *file)
{
    if (file == NULL) {
        return;
    }
    for (unsigned i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(file->statements[i]);
    }
    sqlite3_close(file->db);
    pthread_cond_destroy(&file->committed);
    pthread_mutex_destroy(&file->queue_lock);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

const char *tn_alarm_file_path(const struct tn_alarm_file *file)
{
    return file->path;
}

/* ---- changes ------------------------------------------------------------ */

/* A parameter that a statement has not is refused, and so are bytes for which
 * there is no memory: then the column stays NULL, which only an aggregate's id
 * may be. */
static void bind_change(sqlite3_stmt *statement,
                        const struct tn_alarm_change *change)
{
    sqlite3_bind_blob64(statement, 1, change->id, change->id_len,
                        SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, change->due_us);
    sqlite3_bind_blob64(statement, 3, change->message, change->message_len,
                        SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, change->aggregate_id, -1, SQLITE_STATIC);
}

static const char *doing(const struct tn_alarm_change *change)
{
    switch (change->kind) {
    case TN_ALARM_SAVE:
        return "save an alarm";
    case TN_ALARM_DELETE:
        return "forget an alarm";
    case TN_ALARM_UPDATE:
        return "record a retry";
    }
    return "change an alarm";
}

/* With the connection's lock. */
static void apply(struct tn_alarm_file *file, struct waiting *waiting)
{
    sqlite3_stmt *statement = file->statements[waiting->change->kind];

    bind_change(statement, waiting->change);
    waiting->rc = TENON_OK;
    if (sqlite3_step(statement) != SQLITE_DONE) {
        waiting->rc = failed(file, doing(waiting->change), &waiting->why);
    } else {
        waiting->changed = sqlite3_changes(file->db);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

/* False when the transaction as a whole has failed: nothing is changed. */
static bool apply_together(struct tn_alarm_file *file,
                           struct waiting_list *batch)
{
    struct waiting *waiting;
    bool worked =
        sqlite3_exec(file->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK;

    STAILQ_FOREACH(waiting, batch, next)
    {
        if (worked) {
            apply(file, waiting);
            worked = waiting->rc == TENON_OK;
        }
    }
    if (worked &&
        sqlite3_exec(file->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
        return true;
    }
    /* What has failed by itself has ended the transaction already. */
    if (sqlite3_get_autocommit(file->db) == 0) {
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return false;
}

/* Each by itself tells whose fault it is. */
static void commit(struct tn_alarm_file *file, struct waiting_list *batch)
{
    struct waiting *waiting = STAILQ_FIRST(batch);
    bool alone = STAILQ_NEXT(waiting, next) == NULL;

    pthread_mutex_lock(&file->lock);
    if (alone || !apply_together(file, batch)) {
        STAILQ_FOREACH(waiting, batch, next)
        {
            apply(file, waiting);
        }
    }
    pthread_mutex_unlock(&file->lock);
}

/* Commits all that waits, as the one thread that does. With the queue's lock,
 * which it gives away meanwhile. */
static void lead(struct tn_alarm_file *file)
{
    struct waiting_list batch = STAILQ_HEAD_INITIALIZER(batch);
    struct waiting *waiting;

    file->is_led = true;
    STAILQ_CONCAT(&batch, &file->queue);
    pthread_mutex_unlock(&file->queue_lock);
    commit(file, &batch);
    pthread_mutex_lock(&file->queue_lock);
    file->is_led = false;
    STAILQ_FOREACH(waiting, &batch, next)
    {
        waiting->done = true;
    }
    pthread_cond_broadcast(&file->committed);
}

enum tenon_err tn_alarm_file_change(struct tn_alarm_file *file,
                                    const struct tn_alarm_change *change,
                                    int *changed,
                                    tenon_error *err)
{
    struct waiting own = { .change = change };

    tn_workers_block(&file->node->workers);
    pthread_mutex_lock(&file->queue_lock);
    STAILQ_INSERT_TAIL(&file->queue, &own, next);
    while (!own.done) {
        if (file->is_led) {
            pthread_cond_wait(&file->committed, &file->queue_lock);
        } else {
            lead(file);
        }
    }
    pthread_mutex_unlock(&file->queue_lock);
    tn_workers_unblock(&file->node->workers);
    *changed = own.changed;
    return own.rc < 0 ? tn_error(err, own.rc, "%s", own.why.text) : TENON_OK;
}

/* ---- reading ------------------------------------------------------------ */

enum tenon_err tn_alarm_file_read(struct tn_alarm_file *file,
                                  int64_t from_us,
                                  int64_t until_us,
                                  tn_alarm_row_fn fn,
                                  void *user,
                                  tenon_error *err)
{
    enum tenon_err rc = TENON_OK;
    int stepped = SQLITE_ROW;
    bool more = true;

    pthread_mutex_lock(&file->lock);
    sqlite3_stmt *read = file->statements[READ];

    sqlite3_bind_int64(read, 1, from_us);
    sqlite3_bind_int64(read, 2, until_us);
    while (more && (stepped = sqlite3_step(read)) == SQLITE_ROW) {
        const void *message = sqlite3_column_blob(read, 0);

        more = fn(user, message, (size_t)sqlite3_column_bytes(read, 0),
                  sqlite3_column_int64(read, 1));
    }
    if (stepped != SQLITE_ROW && stepped != SQLITE_DONE) {
        rc = failed(file, "load alarms", err);
    }
    sqlite3_reset(read);
    pthread_mutex_unlock(&file->lock);
    return rc;
}
