/* SPDX-License-Identifier: Apache-2.0 */
/* Schedulers on the embedded store and on callbacks: when messages are
 * delivered, how often, and what a restart keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "unit/x3m/alarms.h"
#include "x3m/alarm_retry.h"
#include "x3m/alarm_time.h"

static struct test {
    struct folder folder;
    tenon_node *node;
    tenon_scheduler *scheduler;
} test;

static tenon_scheduler *open_file(const tenon_scheduler_config *more)
{
    tenon_error err = { 0 };
    tenon_scheduler_config config =
        more == NULL ? (tenon_scheduler_config){ 0 } : *more;

    config.file = test.folder.file;
    config.err = &err;
    tenon_scheduler *scheduler = tenon_scheduler_start(test.node, &config);

    if (scheduler == NULL) {
        fail_msg("scheduler: %s", err.text);
    }
    return scheduler;
}

static int start_node(void **state)
{
    (void)state;
    notes_clear();
    folder_make(&test.folder);
    test.node = own_node_start();
    serve_notes(test.node);
    return 0;
}

static int start(void **state)
{
    start_node(state);
    test.scheduler = open_file(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tenon_node_stop(test.node);
    folder_remove(&test.folder);
    return 0;
}

static void restart(const tenon_scheduler_config *more)
{
    tenon_node_stop(test.node);
    test.node = own_node_start();
    serve_notes(test.node);
    test.scheduler = open_file(more);
}

static enum tenon_err in(const char *id, uint64_t in_ms)
{
    return schedule_in(test.node, test.scheduler, id, in_ms);
}

static enum tenon_err at(const char *id, int64_t at_us)
{
    return schedule_at(test.node, test.scheduler, id, at_us);
}

/* No node may have the file open. */
static void run_sql(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(test.folder.file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* How many rows of the file are so. No node may have it open. */
static int count_of(const char *condition)
{
    char sql[128];
    sqlite3 *db;
    sqlite3_stmt *select;

    snprintf(sql, sizeof sql, "SELECT count(*) FROM alarms WHERE %s",
             condition);
    assert_int_equal(sqlite3_open(test.folder.file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &select, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(select), SQLITE_ROW);
    int count = sqlite3_column_int(select, 0);

    sqlite3_finalize(select);
    sqlite3_close(db);
    return count;
}

/* ---- times --------------------------------------------------------------- */

static void
a_delayed_message_comes_with_its_time_and_first_attempt(void **state)
{
    int64_t before_us = tn_wall_us();

    (void)state;
    OK(in("delayed", 30));
    struct note note = wait_note(0);

    assert_string_equal(note.id, "delayed");
    assert_int_equal(note.attempts, 1);
    assert_false(note.late);
    assert_true(note.dispatch_at_us >= before_us + 30000);
    assert_true(tn_wall_us() >= before_us + 30000);
}

static void a_message_for_a_time_comes_then(void **state)
{
    int64_t at_us = tn_wall_us() + 60000;

    (void)state;
    OK(at("timed", at_us));
    bool in_time = tn_wall_us() < at_us;
    struct note note = wait_note(0);

    assert_true(tn_wall_us() >= at_us);
    assert_int_equal(note.dispatch_at_us, at_us);
    assert_false(in_time && note.late);
}

static void a_message_for_a_past_time_comes_at_once_and_is_late(void **state)
{
    (void)state;
    OK(at("late", tn_wall_us() - 5000000));
    assert_true(wait_note(0).late);
}

static void a_message_does_not_wait_for_those_of_later_times(void **state)
{
    (void)state;
    OK(in("in an hour", HOUR_MS));
    OK(in("now", 0));
    assert_string_equal(wait_note(0).id, "now");
    WAIT_STATS(test.node, test.scheduler, in_memory == 1);
}

static void a_datetime_is_read_as_the_moment_it_names(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } times[] = {
        { "~U[1970-01-01 00:00:00Z]", 0 },
        { "~U[2026-11-21 11:30:33.000678Z]", INT64_C(1795260633000678) },
        { "~U[2262-04-11 23:47:16.854775Z]", TENON_ALARM_AT_MAX_US },
        { "%DateTime{calendar: Calendar.ISO, year: 1970, month: 1, day: 1, "
          "hour: 3, minute: 0, second: 1, microsecond: {5, 6}, "
          "utc_offset: 3600, std_offset: 3600}",
          3601000005 },
    };
    static const char *const others[] = {
        "nil",
        "~D[2026-11-21]",
        "~U[1969-12-31 23:59:59Z]",
        "~U[2262-04-11 23:47:16.854776Z]",
        "%DateTime{calendar: Calendar.ISO, year: 2026, month: 13, day: 1, "
        "hour: 3, minute: 0, second: 1, microsecond: {5, 6}, "
        "utc_offset: 0, std_offset: 0}",
        "%DateTime{calendar: Other, year: 1970, month: 1, day: 1, hour: 3, "
        "minute: 0, second: 1, microsecond: {5, 6}, utc_offset: 3600, "
        "std_offset: 3600}",
    };
    int64_t us = -1;

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        tenon_value *value = tenon_value_format(times[i].text);

        OK(tn_read_datetime(tenon_value_term(value), &us));
        assert_int_equal(us, times[i].us);
        tenon_value_free(value);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tenon_value *value = tenon_value_format(others[i]);

        assert_non_null(value);
        assert_true(tn_read_datetime(tenon_value_term(value), &us) < 0);
        tenon_value_free(value);
    }
}

/* ---- restarts ------------------------------------------------------------ */

static void an_alarm_survives_a_restart(void **state)
{
    (void)state;
    OK(in("kept", HOUR_MS));
    tenon_node_stop(test.node);
    assert_int_equal(count_of("aggregate_id = 'agg-1'"), 1);
    test.node = own_node_start();
    test.scheduler = open_file(NULL);
    assert_int_equal(stats_of(test.scheduler).in_memory, 1);
    OK(tenon_scheduler_cancel(test.scheduler, "kept", NULL));
    restart(NULL);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    assert_int_equal(notes_count(), 0);
}

static void an_alarm_that_was_missed_comes_late_after_the_restart(void **state)
{
    (void)state;
    OK(in("missed", HOUR_MS));
    tenon_node_stop(test.node);
    run_sql("UPDATE alarms SET due_at = 1000");
    test.node = own_node_start();
    serve_notes(test.node);
    test.scheduler = open_file(NULL);
    struct note note = wait_note(0);

    assert_string_equal(note.id, "missed");
    assert_true(note.late);
    assert_int_equal(note.attempts, 1);
}

static void a_delivered_alarm_does_not_come_again_after_a_restart(void **state)
{
    (void)state;
    OK(in("once", 0));
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    restart(NULL);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    assert_int_equal(notes_count(), 1);
}

static void
an_alarm_beyond_the_window_is_loaded_when_its_time_comes(void **state)
{
    const tenon_scheduler_config soon_again = { .in_memory_interval_ms = 200 };

    (void)state;
    restart(&soon_again);
    OK(in("far", 600));
    OK(in("farther", HOUR_MS));
    assert_string_equal(wait_note(0).id, "far");
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    OK(tenon_scheduler_cancel(test.scheduler, "farther", NULL));
    assert_int_equal(tenon_scheduler_cancel(test.scheduler, "farther", NULL),
                     TENON_E_NOT_FOUND);
}

/* ---- retries ------------------------------------------------------------- */

/* Retries in the milliseconds that the response names; notes what it saw. */
static enum tenon_alarm_next
retry_as_told(tenon_message *message, uint64_t *retry_in_ms, void *state)
{
    (void)state;
    return tenon_match(tenon_message_get(message, "response"),
                       "{:error, {:again, ~u}}", retry_in_ms)
               ? TENON_ALARM_RETRY
               : TENON_ALARM_DONE;
}

static uint32_t no_timeout(const tenon_message *message, void *state)
{
    (void)message;
    (void)state;
    return TENON_NO_TIMEOUT;
}

static const tenon_scheduler_config told = { .service_responded = retry_as_told,
                                             .dispatch_timeout = no_timeout };

static void a_retry_goes_again_with_one_attempt_more(void **state)
{
    (void)state;
    restart(&told);
    answer_with("{:error, {:again, 20}}");
    OK(in("again", 0));
    wait_note(2);
    notes_clear();
    assert_true(wait_note(0).attempts >= 4);
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_true(stats_of(test.scheduler).retried >= 3);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
}

static void a_retry_survives_a_restart_with_its_attempts(void **state)
{
    (void)state;
    restart(&told);
    answer_with("{:error, {:again, 3600000}}");
    OK(in("again", 0));
    WAIT_STATS(test.node, test.scheduler, retried >= 1);
    restart(&told);
    assert_int_equal(notes_count(), 1);
    assert_int_equal(stats_of(test.scheduler).in_memory, 1);
    answer_with("{:error, {:again, 300}}");
    OK(in("again", 0));
    WAIT_STATS(test.node, test.scheduler, retried >= 1);
    answer_with(NULL);
    restart(&told);
    assert_int_equal(wait_note(2).attempts, 2);
}

static void a_message_waits_for_its_service(void **state)
{
    (void)state;
    tenon_node_stop(test.node);
    test.node = own_node_start();
    test.scheduler = open_file(NULL);
    OK(in("early", 0));
    WAIT_STATS(test.node, test.scheduler, retried >= 1);
    serve_notes(test.node);
    struct note note = wait_note(0);

    assert_true(note.attempts >= 2);
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
}

static void
without_a_callback_only_what_nobody_answered_goes_again(void **state)
{
    static const struct {
        const char *response;
        int64_t attempts;
        uint64_t retry_in_ms; /* 0: done */
    } cases[] = {
        { ":ok", 1, 0 },
        { "{:error, :some}", 1, 0 },
        { "{:service_unavailable, :note}", 1, 1000 },
        { "{:service_unavailable, :note}", 3, 4000 },
        { "{:service_timeout, :note, \"id\", 5000}", 6, 32000 },
        { "{:error, {:badrpc, :nodedown}}", 7, 60000 },
        { "{:error, {:no_nodes_available, []}}", 100000, 60000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tenon_message *message = alarm_message(test.node, "x");
        tenon_value *attempts = tenon_value_format("~i", cases[i].attempts);
        uint64_t retry_in_ms = 0;

        OK(tenon_message_assign(message, "dispatch_attempts",
                                tenon_value_term(attempts)));
        OK(tenon_message_return(message, cases[i].response));
        enum tenon_alarm_next next =
            tn_alarm_responded(message, &retry_in_ms, NULL);

        assert_int_equal(next, cases[i].retry_in_ms == 0 ? TENON_ALARM_DONE
                                                         : TENON_ALARM_RETRY);
        assert_int_equal(retry_in_ms, cases[i].retry_in_ms);
        tenon_value_free(attempts);
        tenon_message_free(message);
    }
}

static void what_goes_again_is_as_a_new_message(void **state)
{
    tenon_message *message = alarm_message(test.node, "x");
    tenon_value *event = tenon_value_format(":event");

    (void)state;
    OK(tenon_message_add_event(message, tenon_value_term(event)));
    OK(tenon_message_error(message, ":no"));
    OK(tn_alarm_renew(message));
    assert_true(tenon_match(tenon_message_term(message),
                            "%{id: \"x\", request: nil, response: nil, "
                            "events: [], halted?: false, valid?: true}"));
    tenon_value_free(event);
    tenon_message_free(message);
}

static uint32_t soon(const tenon_message *message, void *state)
{
    (void)state;
    MUST(tenon_match(tenon_message_get(message, "id"), "\"unanswered\""));
    return 40;
}

/* state: set to whether it was a timeout of 40 ms. */
static enum tenon_alarm_next
expect_timeout(tenon_message *message, uint64_t *retry_in_ms, void *state)
{
    (void)retry_in_ms;
    atomic_store((atomic_bool *)state,
                 tenon_match(tenon_message_get(message, "response"),
                             "{:service_timeout, :note, \"unanswered\", 40}"));
    return TENON_ALARM_DONE;
}

static void a_reply_is_awaited_for_the_dispatch_timeout(void **state)
{
    atomic_bool timed_out = false;

    (void)state;
    restart(&(tenon_scheduler_config){
        .service_responded = expect_timeout,
        .dispatch_timeout = soon,
        .state = &timed_out,
    });
    keep_calls();
    OK(in("unanswered", 0));
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_true(atomic_load(&timed_out));
    wait_note(0);
    answer_kept("{:ok, nil}");
}

/* ---- replacing and cancelling -------------------------------------------- */

static void the_same_id_takes_the_earlier_alarms_place(void **state)
{
    (void)state;
    OK(in("same", HOUR_MS));
    OK(in("same", 0));
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    restart(NULL);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    /* And the other way, out of memory as well. */
    OK(in("same", HOUR_MS));
    OK(in("same", 24 * HOUR_MS));
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    assert_int_equal(notes_count(), 1);
    OK(tenon_scheduler_cancel(test.scheduler, "same", NULL));
}

static void wait_until_kept(void)
{
    keep_calls();
    OK(in("held", 0));
    wait_note(0);
    notes_clear();
}

static void an_alarm_is_not_replaced_while_it_is_delivered(void **state)
{
    (void)state;
    restart(&told);
    wait_until_kept();
    assert_int_equal(in("held", HOUR_MS), TENON_E_EXISTS);
    answer_kept("{:ok, nil}");
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
}

static void
one_that_is_cancelled_while_it_is_delivered_goes_no_more(void **state)
{
    (void)state;
    restart(&told);
    wait_until_kept();
    OK(tenon_scheduler_cancel(test.scheduler, "held", NULL));
    answer_kept("{:error, {:again, 0}}");
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    restart(&told);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    assert_int_equal(notes_count(), 0);
}

/* ---- limits -------------------------------------------------------------- */

static void what_cannot_be_scheduled_is_refused(void **state)
{
    tenon_message *message = alarm_message(test.node, "big");
    char *bytes = calloc(1, TENON_ALARM_MAX_BYTES);
    tenon_value *big =
        tenon_value_format("~b", (const void *)bytes, TENON_ALARM_MAX_BYTES);
    tenon_error err = { 0 };

    (void)state;
    OK(tenon_message_assign(message, "big", tenon_value_term(big)));
    assert_int_equal(
        tenon_scheduler_dispatch_in(test.scheduler, message, NULL, 0, &err),
        TENON_E_LIMIT);
    assert_non_null(strstr(err.text, "at most 1048576 bytes"));
    tenon_message_free(message);
    tenon_value_free(big);
    free(bytes);
    assert_int_equal(at("before", -1), TENON_E_INVAL);
    assert_int_equal(at("after", TENON_ALARM_AT_MAX_US + 1), TENON_E_INVAL);
    OK(at("last", TENON_ALARM_AT_MAX_US));
    OK(in("latest", UINT64_MAX));
    assert_int_equal(
        tenon_scheduler_dispatch_in(test.scheduler, NULL, NULL, 0, NULL),
        TENON_E_INVAL);
    assert_int_equal(tenon_scheduler_dispatch_in(NULL, NULL, NULL, 0, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_scheduler_cancel(test.scheduler, "none", NULL),
                     TENON_E_NOT_FOUND);
}

/* Three of eight fit, by their number or by their bytes. */
static void expect_eight(bool by_bytes)
{
    tenon_scheduler_config small = { .dispatch_timeout = no_timeout };
    char id[16];

    for (int i = 0; i < 7; i++) {
        snprintf(id, sizeof id, "n%d", i);
        OK(in(id, HOUR_MS));
    }
    if (by_bytes) {
        small.in_memory_max_bytes =
            (size_t)(stats_of(test.scheduler).in_memory_bytes / 2);
    } else {
        small.in_memory_max = 3;
    }
    tenon_node_stop(test.node);
    run_sql("UPDATE alarms SET due_at = rowid");
    test.node = own_node_start();
    serve_notes(test.node);
    keep_calls();
    test.scheduler = open_file(&small);
    wait_note(2);
    assert_int_equal(stats_of(test.scheduler).in_memory, 3);
    OK(in("later", 1));
    assert_int_equal(stats_of(test.scheduler).in_memory, 3);
    answer_kept("{:ok, nil}");
    WAIT_STATS(test.node, test.scheduler, delivered >= 8);
    assert_int_equal(notes_count(), 8);
}

static void alarms_that_do_not_fit_into_memory_come_all_the_same(void **state)
{
    (void)state;
    expect_eight(false);
    restart(NULL);
    notes_clear();
    expect_eight(true);
}

static void what_cannot_be_written_is_not_scheduled(void **state)
{
    tenon_message *message = alarm_message(test.node, "unwritten");
    struct rlimit limit, none;
    tenon_error err = { 0 };

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum tenon_err rc =
        tenon_scheduler_dispatch_in(test.scheduler, message, NULL, 0, &err);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, TENON_E_SYSTEM);
    assert_non_null(strstr(err.text, "could not save an alarm: "));
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    OK(tenon_scheduler_dispatch_in(test.scheduler, message, NULL, 0, NULL));
    tenon_message_free(message);
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_int_equal(notes_count(), 1);
}

/* ---- the file ------------------------------------------------------------ */

static void expect_refusal(enum tenon_err code, const char *why)
{
    tenon_error err = { 0 };

    assert_null(tenon_scheduler_start(test.node, &(tenon_scheduler_config){
                                                     .name = "other",
                                                     .file = test.folder.file,
                                                     .err = &err,
                                                 }));
    if (err.code != code || strstr(err.text, why) == NULL) {
        fail_msg("expected %s, got %s: %s", why, tenon_err_name(err.code),
                 err.text);
    }
}

static void write_file(const char *text)
{
    FILE *file = fopen(test.folder.file, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_file_in_use_is_refused(void **state)
{
    (void)state;
    expect_refusal(TENON_E_EXISTS, "it is in use");
    OK(in("still works", HOUR_MS));
}

static void a_file_of_others_is_refused_and_left_alone(void **state)
{
    (void)state;
    write_file("this is no database, but it is longer than a page's header "
               "and so it is looked at: it must not be changed by anybody");
    expect_refusal(TENON_E_SYSTEM, "expected an SQLite file");
    unlink(test.folder.file);
    run_sql("CREATE TABLE theirs (a)");
    expect_refusal(TENON_E_SYSTEM, "of another program");
    unlink(test.folder.file);
    tenon_scheduler *own = open_file(NULL);

    (void)own;
    restart(NULL);
    tenon_node_stop(test.node);
    run_sql("PRAGMA user_version = 99");
    test.node = own_node_start();
    expect_refusal(TENON_E_SYSTEM, "expected version 1, got 99");
}

static void a_file_that_cannot_be_made_is_told(void **state)
{
    tenon_error err = { 0 };

    (void)state;
    assert_null(tenon_scheduler_start(
        test.node, &(tenon_scheduler_config){
                       .file = "/nowhere/at/all/alarms.db", .err = &err }));
    assert_int_equal(err.code, TENON_E_SYSTEM);
    assert_non_null(strstr(err.text, "No such file"));
}

static void a_row_that_cannot_be_read_is_left_out(void **state)
{
    (void)state;
    OK(in("good", HOUR_MS));
    tenon_node_stop(test.node);
    run_sql("INSERT INTO alarms VALUES ('a', 1, NULL, x'83'), "
            "('b', 2, NULL, x'836101'), ('c', -3, NULL, x'00')");
    test.node = own_node_start();
    test.scheduler = open_file(NULL);
    assert_int_equal(stats_of(test.scheduler).in_memory, 1);
}

static void the_file_is_its_owners_alone(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(stat(test.folder.file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* ---- callbacks ----------------------------------------------------------- */

#define MANY (TENON_ALARM_DELIVERIES_MAX + 50u)

#define KEPT_MAX 8
static struct mine {
    tenon_value *kept[KEPT_MAX];
    unsigned count;
    enum tenon_err save_code;
    unsigned loads;
    int64_t from_us, until_us;
} mine;

static enum tenon_err my_save(tenon_message *message,
                              const char *aggregate_id,
                              void *state,
                              tenon_error *err)
{
    tenon_value *mark = tenon_value_format("~s", aggregate_id);

    assert_ptr_equal(state, &mine);
    OK(tenon_message_assign(message, "mark", tenon_value_term(mark)));
    tenon_value_free(mark);
    if (mine.save_code < 0) {
        err->code = mine.save_code;
        strcpy(err->text, "disk is full");
        return mine.save_code;
    }
    mine.kept[mine.count++] = tenon_value_new(tenon_message_term(message));
    return TENON_OK;
}

static enum tenon_err my_load(int64_t from_us,
                              int64_t until_us,
                              tenon_alarms *alarms,
                              void *state,
                              tenon_error *err)
{
    (void)state;
    (void)err;
    mine.loads++;
    mine.from_us = from_us;
    mine.until_us = until_us;
    for (unsigned i = 0; i < mine.count; i++) {
        OK(tenon_alarms_add(alarms, tenon_value_term(mine.kept[i]), 1000));
    }
    return TENON_OK;
}

static enum tenon_alarm_next
my_responded(tenon_message *message, uint64_t *retry_in_ms, void *state)
{
    tenon_term mark;

    (void)retry_in_ms;
    MUST(state == &mine);
    MUST(tenon_map_get_atom(tenon_message_get(message, "assigns"), "mark",
                            &mark) == TENON_OK);
    return TENON_ALARM_DONE;
}

static const tenon_scheduler_config my_config = {
    .name = "mine",
    .save_alarm = my_save,
    .load_alarms = my_load,
    .service_responded = my_responded,
    .state = &mine,
};

static void clear_mine(void)
{
    for (unsigned i = 0; i < mine.count; i++) {
        tenon_value_free(mine.kept[i]);
    }
    memset(&mine, 0, sizeof mine);
}

static void callbacks_save_and_load(void **state)
{
    (void)state;
    test.scheduler = tenon_scheduler_start(test.node, &my_config);
    assert_non_null(test.scheduler);
    assert_int_equal(mine.from_us, TENON_ALARMS_FROM_START);
    assert_true(llabs(mine.until_us - tn_wall_us() -
                      INT64_C(12) * HOUR_MS * 1000) < 60000000);
    OK(in("a", 0));
    OK(in("b", HOUR_MS));
    WAIT_STATS(test.node, test.scheduler, delivered >= 1);
    assert_int_equal(mine.count, 2);
    tenon_node_stop(test.node);
    notes_clear();
    test.node = own_node_start();
    serve_notes(test.node);
    test.scheduler = tenon_scheduler_start(test.node, &my_config);
    WAIT_STATS(test.node, test.scheduler, delivered >= 2);
    assert_int_equal(notes_count(), 2);
    assert_int_equal(tenon_scheduler_cancel(test.scheduler, "a", NULL),
                     TENON_E_INVAL);
    clear_mine();
}

/* A load_alarms of more alarms than are delivered at a time, all due. */
static enum tenon_err load_many(int64_t from_us,
                                int64_t until_us,
                                tenon_alarms *alarms,
                                void *state,
                                tenon_error *err)
{
    char id[16];

    (void)until_us;
    (void)state;
    (void)err;
    for (unsigned i = 0; i < MANY && from_us == TENON_ALARMS_FROM_START; i++) {
        snprintf(id, sizeof id, "m%u", i);
        tenon_message *message = alarm_message(test.node, id);
        tenon_value *mark = tenon_value_format("~U[2026-01-01 00:00:00Z]");

        OK(tenon_message_assign(message, "mark", tenon_value_term(mark)));
        OK(tenon_message_assign(message, "dispatch_at",
                                tenon_value_term(mark)));
        OK(tenon_alarms_add(alarms, tenon_message_term(message), i));
        tenon_value_free(mark);
        tenon_message_free(message);
    }
    return TENON_OK;
}

static void no_more_than_the_limit_are_delivered_at_a_time(void **state)
{
    tenon_scheduler_config many = my_config;

    (void)state;
    many.load_alarms = load_many;
    many.dispatch_timeout = no_timeout;
    keep_calls();
    test.scheduler = tenon_scheduler_start(test.node, &many);
    assert_non_null(test.scheduler);
    wait_note(TENON_ALARM_DELIVERIES_MAX - 1);
    assert_int_equal(stats_of(test.scheduler).delivering,
                     TENON_ALARM_DELIVERIES_MAX);
    assert_int_equal(stats_of(test.scheduler).in_memory, MANY);
    answer_kept("{:ok, nil}");
    WAIT_STATS(test.node, test.scheduler, delivered >= MANY);
    assert_int_equal(notes_count(), MANY);
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
}

static void what_cannot_be_saved_is_not_scheduled(void **state)
{
    tenon_error err = { 0 };
    tenon_message *message = alarm_message(test.node, "unsaved");

    (void)state;
    test.scheduler = tenon_scheduler_start(test.node, &my_config);
    mine.save_code = TENON_E_SYSTEM;
    assert_int_equal(
        tenon_scheduler_dispatch_in(test.scheduler, message, "a", 0, &err),
        TENON_E_SYSTEM);
    assert_string_equal(err.text, "disk is full");
    assert_int_equal(stats_of(test.scheduler).in_memory, 0);
    tenon_message_free(message);
    clear_mine();
}

static void a_scheduler_is_found_by_its_name(void **state)
{
    tenon_error err = { 0 };
    tenon_scheduler_config again = my_config;

    (void)state;
    assert_null(tenon_scheduler_get(test.node, NULL));
    tenon_scheduler *named = tenon_scheduler_start(test.node, &my_config);
    tenon_scheduler *unnamed = open_file(NULL);

    assert_ptr_equal(tenon_scheduler_get(test.node, "mine"), named);
    assert_ptr_equal(tenon_scheduler_get(test.node, NULL), unnamed);
    assert_null(tenon_scheduler_get(test.node, "other"));
    again.err = &err;
    assert_null(tenon_scheduler_start(test.node, &again));
    assert_int_equal(err.code, TENON_E_EXISTS);
    again.load_alarms = NULL;
    assert_null(tenon_scheduler_start(test.node, &again));
    assert_int_equal(err.code, TENON_E_INVAL);
    again.file = test.folder.file;
    assert_null(tenon_scheduler_start(test.node, &again));
    assert_int_equal(err.code, TENON_E_INVAL);
    clear_mine();
}

#define WITH_FILE(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define WITH_NODE(name) cmocka_unit_test_setup_teardown(name, start_node, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_delayed_message_comes_with_its_time_and_first_attempt),
        WITH_FILE(a_message_for_a_time_comes_then),
        WITH_FILE(a_message_for_a_past_time_comes_at_once_and_is_late),
        WITH_FILE(a_message_does_not_wait_for_those_of_later_times),
        cmocka_unit_test(a_datetime_is_read_as_the_moment_it_names),
        WITH_FILE(an_alarm_survives_a_restart),
        WITH_FILE(an_alarm_that_was_missed_comes_late_after_the_restart),
        WITH_FILE(a_delivered_alarm_does_not_come_again_after_a_restart),
        WITH_FILE(an_alarm_beyond_the_window_is_loaded_when_its_time_comes),
        WITH_FILE(a_retry_goes_again_with_one_attempt_more),
        WITH_FILE(a_retry_survives_a_restart_with_its_attempts),
        WITH_FILE(a_message_waits_for_its_service),
        WITH_FILE(a_reply_is_awaited_for_the_dispatch_timeout),
        WITH_NODE(without_a_callback_only_what_nobody_answered_goes_again),
        WITH_NODE(what_goes_again_is_as_a_new_message),
        WITH_FILE(the_same_id_takes_the_earlier_alarms_place),
        WITH_FILE(an_alarm_is_not_replaced_while_it_is_delivered),
        WITH_FILE(one_that_is_cancelled_while_it_is_delivered_goes_no_more),
        WITH_FILE(what_cannot_be_scheduled_is_refused),
        WITH_FILE(alarms_that_do_not_fit_into_memory_come_all_the_same),
        WITH_FILE(what_cannot_be_written_is_not_scheduled),
        WITH_NODE(no_more_than_the_limit_are_delivered_at_a_time),
        WITH_FILE(a_file_in_use_is_refused),
        WITH_NODE(a_file_of_others_is_refused_and_left_alone),
        WITH_NODE(a_file_that_cannot_be_made_is_told),
        WITH_FILE(a_row_that_cannot_be_read_is_left_out),
        WITH_FILE(the_file_is_its_owners_alone),
        WITH_NODE(callbacks_save_and_load),
        WITH_NODE(what_cannot_be_saved_is_not_scheduled),
        WITH_NODE(a_scheduler_is_found_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
