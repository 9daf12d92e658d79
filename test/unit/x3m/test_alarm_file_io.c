/* SPDX-License-Identifier: Apache-2.0 */
/* The file of alarms on a disk that fails: each read, write and sync of a
 * scenario in turn, by a file system of SQLite's that stands before its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sqlite3.h>

#include "unit/x3m/alarms.h"
#include "x3m/alarm_file.h"

/* ---- the disk ------------------------------------------------------------ */

enum operation { READ, WRITE, SYNC };

/* One thread uses the file. */
static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    enum operation what; /* fails */
    int rc;              /* so */
    bool is_short;       /* a write takes half of it before */
    unsigned fail_at;    /* the how manieth, from 1 on; 0: none */
    unsigned count;
    bool failed;
} disk;

/* SQLite gives the room of both. */
struct shim {
    sqlite3_file file;
    sqlite3_file *below; /* behind this */
};

static sqlite3_file *below(sqlite3_file *file)
{
    return ((struct shim *)file)->below;
}

static bool fails(enum operation what)
{
    if (what != disk.what || disk.fail_at == 0 ||
        ++disk.count != disk.fail_at) {
        return false;
    }
    disk.failed = true;
    return true;
}

static int shim_close(sqlite3_file *file)
{
    return below(file)->pMethods->xClose(below(file));
}

static int shim_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    return fails(READ) ? disk.rc
                       : below(file)->pMethods->xRead(below(file), to, len, at);
}

static int
shim_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
    if (!fails(WRITE)) {
        return below(file)->pMethods->xWrite(below(file), from, len, at);
    }
    if (disk.is_short) {
        (void)below(file)->pMethods->xWrite(below(file), from, len / 2, at);
    }
    return disk.rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return below(file)->pMethods->xTruncate(below(file), size);
}

/* Nobody pulls the plug: a sync that works need not be done. */
static int shim_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return fails(SYNC) ? disk.rc : SQLITE_OK;
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return below(file)->pMethods->xFileSize(below(file), size);
}

static int shim_lock(sqlite3_file *file, int lock)
{
    return below(file)->pMethods->xLock(below(file), lock);
}

static int shim_unlock(sqlite3_file *file, int lock)
{
    return below(file)->pMethods->xUnlock(below(file), lock);
}

static int shim_check_lock(sqlite3_file *file, int *is_locked)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), is_locked);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
    return below(file)->pMethods->xFileControl(below(file), op, arg);
}

static int shim_sector(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int shim_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static int shim_open(sqlite3_vfs *vfs,
                     const char *name,
                     sqlite3_file *file,
                     int flags,
                     int *out_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 1,
        .xClose = shim_close,
        .xRead = shim_read,
        .xWrite = shim_write,
        .xTruncate = shim_truncate,
        .xSync = shim_sync,
        .xFileSize = shim_size,
        .xLock = shim_lock,
        .xUnlock = shim_unlock,
        .xCheckReservedLock = shim_check_lock,
        .xFileControl = shim_control,
        .xSectorSize = shim_sector,
        .xDeviceCharacteristics = shim_characteristics,
    };
    struct shim *shim = (struct shim *)file;

    (void)vfs;
    shim->below = (sqlite3_file *)(shim + 1);
    int rc = disk.below->xOpen(disk.below, name, shim->below, flags, out_flags);

    shim->file.pMethods = rc == SQLITE_OK ? &methods : NULL;
    return rc;
}

static void insert_disk(void)
{
    disk.below = sqlite3_vfs_find(NULL);
    assert_non_null(disk.below);
    disk.vfs = *disk.below;
    disk.vfs.zName = "failing";
    disk.vfs.szOsFile += (int)sizeof(struct shim);
    disk.vfs.xOpen = shim_open;
    assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

/* ---- the scenario -------------------------------------------------------- */

static struct {
    struct folder folder;
    tenon_node *node;
    struct tn_alarm_file *file;
} test;

/* What is failed in this way says what was being done, with which file. */
static void assert_told(const tenon_error *err, const char *doing)
{
    if (!disk.failed || err->code != TENON_E_SYSTEM ||
        strstr(err->text, test.folder.file) == NULL ||
        strstr(err->text, doing) == NULL) {
        fail_msg("operation %u, expected: %s, got: %s", disk.fail_at, doing,
                 err->text);
    }
}

/* When it fails, another try works. */
static void open_file(void)
{
    tenon_error err = { 0 };

    test.file = tn_alarm_file_open(test.node, test.folder.file, &err);
    if (test.file == NULL) {
        assert_told(&err, "could not");
        test.file = tn_alarm_file_open(test.node, test.folder.file, &err);
    }
    if (test.file == NULL) {
        fail_msg("second try after operation %u failed: %s", disk.fail_at,
                 err.text);
    }
}

/* Whether it is acknowledged. */
static bool
change(enum tn_alarm_change_kind kind, const char *id, const char *doing)
{
    const struct tn_alarm_change change = { .kind = kind,
                                            .id = id,
                                            .id_len = strlen(id),
                                            .message = id,
                                            .message_len = strlen(id) };
    tenon_error err = { 0 };
    int changed;
    enum tenon_err rc =
        tn_alarm_file_change(test.file, &change, &changed, &err);

    if (rc < 0) {
        assert_told(&err, doing);
    }
    return rc == TENON_OK;
}

static bool add_row(void *user, const void *message, size_t len, int64_t due_us)
{
    char *text = user;
    size_t used = strlen(text);

    (void)due_us;
    snprintf(text + used, 64 - used, "%.*s ", (int)len, (const char *)message);
    return true;
}

static void read_rows(char text[64])
{
    tenon_error err = { 0 };

    text[0] = '\0';
    if (tn_alarm_file_read(test.file, INT64_MIN, INT64_MAX, add_row, text,
                           &err) < 0) {
        assert_told(&err, "could not load");
        text[0] = '\0';
        OK(tn_alarm_file_read(test.file, INT64_MIN, INT64_MAX, add_row, text,
                              NULL));
    }
}

static void assert_row(const char *rows, const char *id, bool is_there)
{
    if ((strstr(rows, id) != NULL) != is_there) {
        fail_msg("after operation %u failed: %s is %s in: %s", disk.fail_at, id,
                 is_there ? "missing" : "still", rows);
    }
}

/* What was acknowledged. What was not may be there or not. */
struct kept {
    bool has_one, lost_one, has_two, has_three;
};

static void assert_kept(const struct kept *kept, bool has_four)
{
    char rows[64];

    read_rows(rows);
    if (kept->lost_one) {
        assert_row(rows, "one", false);
    } else if (kept->has_one) {
        assert_row(rows, "one", true);
    }
    if (kept->has_two) {
        assert_row(rows, "two", true);
    }
    if (kept->has_three) {
        assert_row(rows, "three", true);
    }
    assert_row(rows, "four", has_four);
}

static void run_scenario(void)
{
    struct kept kept;

    folder_make(&test.folder);
    open_file();
    kept.has_one = change(TN_ALARM_SAVE, "one", "could not save");
    kept.has_two = change(TN_ALARM_SAVE, "two", "could not save");
    kept.lost_one = change(TN_ALARM_DELETE, "one", "could not forget");
    kept.has_three = change(TN_ALARM_SAVE, "three", "could not save");
    assert_kept(&kept, false);
    tn_alarm_file_close(test.file);
    open_file();
    /* Nothing of the rows is in memory now. */
    assert_kept(&kept, false);
    assert_true(change(TN_ALARM_SAVE, "four", "could not save") ||
                change(TN_ALARM_SAVE, "four", "could not save"));
    assert_kept(&kept, true);
    tn_alarm_file_close(test.file);
    folder_remove(&test.folder);
}

static void fail_each(enum operation what, int rc, bool is_short)
{
    unsigned n = 0;

    disk.what = what;
    disk.rc = rc;
    disk.is_short = is_short;
    do {
        disk.fail_at = ++n;
        disk.count = 0;
        disk.failed = false;
        run_scenario();
    } while (disk.failed);
    assert_true(n > 3);
    disk.fail_at = 0;
}

/* ---- the tests ----------------------------------------------------------- */

static int start(void **state)
{
    (void)state;
    test.node = own_node_start();
    insert_disk();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sqlite3_vfs_unregister(&disk.vfs);
    tenon_node_stop(test.node);
    return 0;
}

static void a_write_that_fails_loses_nothing_that_was_saved(void **state)
{
    (void)state;
    fail_each(WRITE, SQLITE_IOERR_WRITE, false);
    fail_each(WRITE, SQLITE_IOERR_WRITE, true);
}

static void a_full_disk_loses_nothing_that_was_saved(void **state)
{
    (void)state;
    fail_each(WRITE, SQLITE_FULL, true);
}

static void a_sync_that_fails_loses_nothing_that_was_saved(void **state)
{
    (void)state;
    fail_each(SYNC, SQLITE_IOERR_FSYNC, false);
}

static void a_read_that_fails_loses_nothing_that_was_saved(void **state)
{
    (void)state;
    fail_each(READ, SQLITE_IOERR_READ, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails_loses_nothing_that_was_saved),
        cmocka_unit_test(a_full_disk_loses_nothing_that_was_saved),
        cmocka_unit_test(a_sync_that_fails_loses_nothing_that_was_saved),
        cmocka_unit_test(a_read_that_fails_loses_nothing_that_was_saved),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
