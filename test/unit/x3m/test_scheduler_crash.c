/* SPDX-License-Identifier: Apache-2.0 */
/* A process with a scheduler is killed by SIGKILL at random moments, again and
 * again, over one file: no alarm that was saved is lost, and none whose
 * completion was recorded fires again.
 *
 * The process under test is this program, started with the file as argument.
 * It writes a line to its standard output after each step that counts, and
 * before each delivery; what it could not write any more did not count. The
 * seed is printed; TN_CRASH_SEED repeats one, TN_CRASH_ROUNDS sets how often
 * it is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "unit/x3m/alarms.h"
#include "x3m/alarm_retry.h"

#define ROUNDS 25
/* Alarms of one life; more than it lives to schedule. */
#define SCHEDULED_MAX 4000

/* ---- the process that is killed ------------------------------------------ */

static void say(char what, const char *id, size_t len)
{
    char line[64];
    int used = snprintf(line, sizeof line, "%c %.*s\n", what, (int)len, id);

    MUST(write(STDOUT_FILENO, line, (size_t)used) == used);
}

static void fire(tenon_call *call, void *user)
{
    const char *id;
    size_t len;

    (void)user;
    MUST(tenon_match(tenon_message_get(tenon_call_message(call), "id"), "~s",
                     &id, &len));
    say('F', id, len);
    tenon_reply_ok(call, "nil");
}

/* Every fifth goes again at its first attempt. */
static enum tenon_alarm_next
decide(tenon_message *message, uint64_t *retry_in_ms, void *state)
{
    const char *id;
    size_t len;

    (void)state;
    MUST(tenon_match(tenon_message_get(message, "id"), "~s", &id, &len));
    *retry_in_ms = 1;
    return tn_alarm_attempts(message) == 1 && (id[len - 1] - '0') % 5 == 0
               ? TENON_ALARM_RETRY
               : TENON_ALARM_DONE;
}

/* The embedded store's own callback, and then the line. */
static enum tenon_alarm_next
record(tenon_message *message, uint64_t *retry_in_ms, void *state)
{
    enum tenon_alarm_next next =
        tn_alarm_store_responded(message, retry_in_ms, state);
    const char *id;
    size_t len;

    MUST(tenon_match(tenon_message_get(message, "id"), "~s", &id, &len));
    if (next == TENON_ALARM_DONE) {
        say('D', id, len);
    }
    return next;
}

/* Schedules without end: most soon, some never, and cancels one in seven. */
static void
schedule_on(tenon_node *node, tenon_scheduler *scheduler, unsigned round)
{
    char id[32];

    for (unsigned i = 0; i < SCHEDULED_MAX; i++) {
        int len = snprintf(id, sizeof id, "%u-%u", round, i);

        say('B', id, (size_t)len);
        MUST(schedule_in(node, scheduler, id, i % 3 == 0 ? HOUR_MS : i % 20) ==
             TENON_OK);
        say('S', id, (size_t)len);
        if (i % 21 == 0) {
            say('C', id, (size_t)len);
            MUST(tenon_scheduler_cancel(scheduler, id, NULL) == TENON_OK);
            say('D', id, (size_t)len);
        }
    }
}

/* What the file holds, read without the store's code. */
static void list(const char *file)
{
    sqlite3 *db;
    sqlite3_stmt *select;

    MUST(sqlite3_open(file, &db) == SQLITE_OK);
    if (sqlite3_prepare_v2(db, "SELECT id FROM alarms", -1, &select, NULL) ==
        SQLITE_OK) {
        while (sqlite3_step(select) == SQLITE_ROW) {
            say('L', sqlite3_column_blob(select, 0),
                (size_t)sqlite3_column_bytes(select, 0));
        }
    }
    sqlite3_finalize(select);
    MUST(sqlite3_close(db) == SQLITE_OK);
    say('E', "", 0);
}

/* round: whose alarms it schedules; NULL: it only delivers. */
static int live(const char *file, const char *round)
{
    tenon_error err = { 0 };
    tenon_node *node = own_node_start();
    tenon_router *router = tenon_router_new(node, "Elixir.Notes.Router");
    struct tn_alarm_store *store =
        tn_alarm_store_open(node, file, decide, NULL, &err);

    if (store == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    OK(tenon_service(router, "note", fire, NULL));
    OK(tenon_register_services(router));
    tenon_scheduler *scheduler =
        tenon_scheduler_start(node, &(tenon_scheduler_config){
                                        .save_alarm = tn_alarm_store_save,
                                        .load_alarms = tn_alarm_store_load,
                                        .cancel_alarm = tn_alarm_store_cancel,
                                        .service_responded = record,
                                        .state = store,
                                        .err = &err,
                                    });

    if (scheduler == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (round != NULL) {
        schedule_on(node, scheduler, (unsigned)atoi(round));
    }
    for (;;) {
        pause();
    }
}

/* ---- the one that kills -------------------------------------------------- */

enum {
    BEGUN = 1,
    SAVED = 2,
    CANCELLING = 4,
    FIRED = 8,
    DONE = 16,
    LISTED = 32,
};

static const char *program;

static struct crash {
    struct folder folder;
    unsigned rounds;
    unsigned seed;   /* as printed */
    unsigned random; /* rand_r's */
    uint8_t *flags;  /* of alarm i of round r at r * SCHEDULED_MAX + i */
    pid_t child;
    int fd;
    char text[4096]; /* of a line that is not whole yet */
    size_t text_len;
    unsigned lines; /* of this life */
    unsigned done;  /* of all lives */
} crash;

static uint8_t *flags_of(const char *id)
{
    unsigned round, i;

    if (sscanf(id, "%u-%u", &round, &i) != 2 || round >= crash.rounds ||
        i >= SCHEDULED_MAX) {
        fail_msg("a line with the id \"%s\"", id);
    }
    return &crash.flags[round * SCHEDULED_MAX + i];
}

static const char *id_at(size_t at)
{
    static char id[32];

    snprintf(id, sizeof id, "%zu-%zu", at / SCHEDULED_MAX, at % SCHEDULED_MAX);
    return id;
}

/* The list of the file is complete: it is what the lives before have left. */
static void check_list(void)
{
    for (size_t at = 0; at < (size_t)crash.rounds * SCHEDULED_MAX; at++) {
        uint8_t flags = crash.flags[at];

        if ((flags & (SAVED | CANCELLING | FIRED | LISTED)) == SAVED) {
            fail_msg("seed %u: saved alarm %s is lost", crash.seed, id_at(at));
        }
        if ((flags & DONE) != 0 && (flags & LISTED) != 0) {
            fail_msg("seed %u: completed alarm %s is still there", crash.seed,
                     id_at(at));
        }
    }
}

/* The list of a life that was killed while it listed is none. */
static void forget_list(void)
{
    for (size_t at = 0; at < (size_t)crash.rounds * SCHEDULED_MAX; at++) {
        crash.flags[at] &= (uint8_t)~LISTED;
    }
}

static void take_line(const char *line)
{
    const char *id = line + 2;

    crash.lines++;
    switch (line[0]) {
    case 'B':
        *flags_of(id) |= BEGUN;
        break;
    case 'S':
        *flags_of(id) |= SAVED;
        break;
    case 'C':
        *flags_of(id) |= CANCELLING;
        break;
    case 'F':
        if ((*flags_of(id) & DONE) != 0) {
            fail_msg("seed %u: completed alarm %s has fired again", crash.seed,
                     id);
        }
        *flags_of(id) |= FIRED;
        break;
    case 'D':
        *flags_of(id) |= DONE;
        crash.done++;
        break;
    case 'L':
        *flags_of(id) |= LISTED;
        break;
    case 'E':
        check_list();
        break;
    default:
        fail_msg("a line \"%s\"", line);
    }
}

/* Reads what is there within that time. False at the end of file. */
static bool read_lines(int timeout_ms)
{
    struct pollfd ready = { .fd = crash.fd, .events = POLLIN };

    if (poll(&ready, 1, timeout_ms) <= 0) {
        return true;
    }
    ssize_t n = read(crash.fd, crash.text + crash.text_len,
                     sizeof crash.text - crash.text_len);

    if (n <= 0) {
        return false;
    }
    crash.text_len += (size_t)n;
    char *begin = crash.text, *end;

    while ((end = memchr(begin, '\n',
                         crash.text_len - (size_t)(begin - crash.text)))) {
        *end = '\0';
        take_line(begin);
        begin = end + 1;
    }
    crash.text_len -= (size_t)(begin - crash.text);
    memmove(crash.text, begin, crash.text_len);
    return true;
}

static void start_child(const char *round, bool lists)
{
    int pipe_fds[2];

    assert_int_equal(pipe(pipe_fds), 0);
    crash.child = fork();
    assert_true(crash.child >= 0);
    if (crash.child == 0) {
        dup2(pipe_fds[1], STDOUT_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        execl(program, program, crash.folder.file, lists ? "list" : "-", round,
              (char *)NULL);
        _exit(127);
    }
    close(pipe_fds[1]);
    crash.fd = pipe_fds[0];
    forget_list();
    crash.lines = 0;
    crash.text_len = 0;
}

static void kill_child(void)
{
    int status = 0;

    assert_int_equal(kill(crash.child, SIGKILL), 0);
    while (read_lines(-1)) {
    }
    assert_int_equal(waitpid(crash.child, &status, 0), crash.child);
    if (!WIFSIGNALED(status)) {
        fail_msg("seed %u: the process ended by itself: %d", crash.seed,
                 status);
    }
    close(crash.fd);
}

/* Lives for a random number of lines, and then for some time up to 4 ms. */
static void live_and_die(unsigned round)
{
    char text[16];
    unsigned lines = (unsigned)rand_r(&crash.random) % 400;
    uint64_t more_ns = (uint64_t)rand_r(&crash.random) % 4000000;

    snprintf(text, sizeof text, "%u", round);
    start_child(text, round % 2 == 0);
    while (crash.lines < lines && read_lines(-1)) {
    }
    for (uint64_t from = tn_now_ns(); tn_now_ns() - from < more_ns;) {
        if (!read_lines(0)) {
            break;
        }
    }
    kill_child();
}

static bool is_due(size_t at)
{
    uint8_t flags = crash.flags[at];

    return (flags & SAVED) != 0 && (flags & DONE) == 0 &&
           at % SCHEDULED_MAX % 3 != 0;
}

static bool is_any_due(void)
{
    for (size_t at = 0; at < (size_t)crash.rounds * SCHEDULED_MAX; at++) {
        if (is_due(at) && (crash.flags[at] & FIRED) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned from_env(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

static void killed_at_any_moment_it_loses_and_repeats_nothing(void **state)
{
    (void)state;
    for (unsigned round = 0; round < crash.rounds; round++) {
        live_and_die(round);
    }
    /* What has not fired does so in the next life. */
    start_child(NULL, true);
    while (is_any_due() && read_lines(-1)) {
    }
    kill_child();
    print_message("%u alarms were completed in %u lives\n", crash.done,
                  crash.rounds + 1);
    assert_true(crash.done > crash.rounds);
}

static int setup(void **state)
{
    (void)state;
    crash.rounds = from_env("TN_CRASH_ROUNDS", ROUNDS);
    crash.seed = from_env("TN_CRASH_SEED", (unsigned)tn_wall_ns());
    crash.random = crash.seed;
    crash.flags = calloc(crash.rounds, SCHEDULED_MAX);
    folder_make(&crash.folder);
    print_message("TN_CRASH_SEED=%u TN_CRASH_ROUNDS=%u\n", crash.seed,
                  crash.rounds);
    return crash.flags == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(crash.flags);
    folder_remove(&crash.folder);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment_it_loses_and_repeats_nothing),
    };

    program = argv[0];
    if (argc > 1) {
        if (strcmp(argv[2], "list") == 0) {
            list(argv[1]);
        }
        return live(argv[1], argv[3]);
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
