/* SPDX-License-Identifier: Apache-2.0 */
/* A node's start and stop, also in the middle of things, and what belongs to
 * all of its parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <unistd.h>

#include <cmocka.h>

#include "dist/sock.h"
#include "nodes.h"

/* ---- start -------------------------------------------------------------- */

static void a_node_can_be_stopped_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        tenon_node_stop(known_node(NULL));
    }
    tenon_node_stop(NULL);
}

static void a_name_that_is_taken_is_refused(void **state)
{
    (void)state;
    tenon_error err = { 0 };
    tenon_node *first = known_node(NULL);
    tenon_node_config config = config_of(tenon_node_name(first), &err);
    assert_null(tenon_node_start(&config));
    assert_int_equal(err.code, TENON_E_NAME_TAKEN);
    tenon_node_stop(first);
}

static void bad_configurations_are_refused(void **state)
{
    (void)state;
    tenon_error err = { 0 };
    tenon_node_config config = config_of("a@b@c", &err);
    assert_null(tenon_node_start(&config));
    assert_int_equal(err.code, TENON_E_NAME);
    config = config_of(NULL, &err);
    assert_null(tenon_node_start(&config));
    assert_int_equal(err.code, TENON_E_INVAL);
    config = config_of("a", &err);
    config.name = "b@localhost";
    assert_null(tenon_node_start(&config));
    assert_int_equal(err.code, TENON_E_INVAL);
    assert_null(tenon_node_start_sized(NULL, 0));
}

static void unknown_fields_of_a_newer_program_must_be_zero(void **state)
{
    (void)state;
    struct {
        uint32_t known;
        uint32_t unknown;
    } newer = { 1, 0 };
    uint32_t known;
    OK(tn_sized_copy(&known, sizeof known, &newer, sizeof newer));
    assert_int_equal(known, 1);
    newer.unknown = 1;
    assert_int_equal(tn_sized_copy(&known, sizeof known, &newer, sizeof newer),
                     TENON_E_INVAL);
    uint64_t wider = UINT64_MAX;
    OK(tn_sized_copy(&wider, sizeof wider, &known, sizeof known));
    assert_int_equal(wider, 1);
}

/* ---- stop --------------------------------------------------------------- */

/* Handshakes have the whole deadline here: a stop that waited for one would
 * take as long. */
static void stop_without_waiting(tenon_node *node)
{
    uint64_t before = tn_now_ms();
    tenon_node_stop(node);
    assert_true(tn_now_ms() - before < DEADLINE_MS / 2);
}

static void a_half_open_connection_does_not_hold_up_the_stop(void **state)
{
    (void)state;
    tenon_node *node = known_node(NULL);
    struct tn_address to = tn_address_loopback(AF_INET);
    tn_address_set_port(&to, tenon_node_port(node));
    int fds[8];
    for (size_t i = 0; i < 8; i++) {
        fds[i] = tn_sock_new(AF_INET);
        assert_true(fds[i] >= 0);
        assert_true(tn_sock_connect(fds[i], &to) >= 0);
    }
    stop_without_waiting(node);
    for (size_t i = 0; i < 8; i++) {
        close(fds[i]);
    }
}

static void a_connect_under_way_does_not_hold_up_the_stop(void **state)
{
    (void)state;
    tenon_node *node = known_node(NULL);
    /* Nobody has these names; each costs a question to epmd. */
    for (unsigned i = 0; i < 20; i++) {
        char name[64];
        new_name(name, "nobody");
        OK(tenon_send_format(node, &(tenon_dest){ .name = "x", .node = name },
                             "1"));
    }
    stop_without_waiting(node);
}

struct stubborn {
    tenon_node *node;
    pthread_mutex_t lock;
    pthread_cond_t released;
    bool release;
    atomic_bool started, returned;
};

/* A handler that does not hear of the stop, and uses the node afterwards. */
static void hold_out(tenon_process *self, void *state, tenon_term message)
{
    struct stubborn *stubborn = state;
    (void)message;
    atomic_store(&stubborn->started, true);
    pthread_mutex_lock(&stubborn->lock);
    while (!stubborn->release) {
        pthread_cond_wait(&stubborn->released, &stubborn->lock);
    }
    pthread_mutex_unlock(&stubborn->lock);
    struct tn_timer timer = { 0 };
    tenon_pid pid = pid_of(self);
    tn_node_wake(self->node);
    (void)!tn_timer_start(self->node, &timer, 0, NULL, NULL);
    (void)tn_timer_stop(self->node, &timer);
    (void)tenon_send_format(self->node, &(tenon_dest){ .pid = &pid }, "1");
    assert_int_equal(tenon_sleep(self->node, 10000), TENON_E_STOPPED);
    assert_int_equal(tn_node_call_on_loop(self->node, NULL, NULL),
                     TENON_E_STOPPED);
    atomic_store(&stubborn->returned, true);
}

static void a_handler_that_goes_on_is_left_alone(void **state)
{
    (void)state;
    /* The node is never freed: what is seen from here is no leak. */
    static struct stubborn stubborn;
    static const struct tn_process_class class = { .on_message = hold_out };
    pthread_mutex_init(&stubborn.lock, NULL);
    pthread_cond_init(&stubborn.released, NULL);
    stubborn.node = lone_node(NULL);
    tenon_process *process = tn_process_start(
        stubborn.node,
        &(struct tn_process_spec){ .class = &class, .state = &stubborn }, NULL);
    OK(send_number(process, 1));
    tenon_process_release(process);
    WAIT_FOR(stubborn.started);
    stubborn.node->stop_workers_ms = TN_STOP_WORKERS_MS;
    uint64_t before = tn_now_ms();
    tenon_node_stop(stubborn.node);
    assert_true(tn_now_ms() - before >= TN_STOP_WORKERS_MS / 2);
    assert_false(stubborn.returned);
    pthread_mutex_lock(&stubborn.lock);
    stubborn.release = true;
    pthread_cond_signal(&stubborn.released);
    pthread_mutex_unlock(&stubborn.lock);
    WAIT_FOR(stubborn.returned);
    /* Its thread ends, too, before the program does. */
    assert_true(tn_workers_stop(&stubborn.node->workers, DEADLINE_MS));
}

static void *sleep_long(void *user)
{
    return (void *)(intptr_t)tenon_sleep(user, 60000);
}

static bool someone_blocks(tenon_node *node)
{
    pthread_mutex_lock(&node->workers.lock);
    bool blocks = node->workers.blocked > 0;
    pthread_mutex_unlock(&node->workers.lock);
    return blocks;
}

struct sleeper {
    atomic_int result;
};

static void sleep_in_handler(tenon_process *self, void *state, tenon_term term)
{
    (void)term;
    atomic_store(&((struct sleeper *)state)->result,
                 (int)(intptr_t)sleep_long(self->node));
}

static void a_stop_wakes_handlers_that_sleep(void **state)
{
    (void)state;
    static const struct tn_process_class class = { .on_message =
                                                       sleep_in_handler };
    struct sleeper sleeper = { 0 };
    tenon_node *node = lone_node(NULL);
    tenon_process *process = tn_process_start(
        node, &(struct tn_process_spec){ .class = &class, .state = &sleeper },
        NULL);
    OK(send_number(process, 1));
    tenon_process_release(process);
    WAIT_FOR(someone_blocks(node));
    tenon_node_stop(node);
    assert_int_equal(sleeper.result, TENON_E_STOPPED);
}

static void sleep_on_loop(tenon_node *node, void *user)
{
    *(enum tenon_err *)user = tenon_sleep(node, 1);
}

static void a_sleep_takes_its_time_but_not_the_loop_s(void **state)
{
    (void)state;
    tenon_node *node = lone_node(NULL);
    enum tenon_err rc = TENON_OK;
    uint64_t before = tn_now_ms();
    OK(tenon_sleep(node, 20));
    assert_true(tn_now_ms() - before >= 19);
    OK(tn_node_call_on_loop(node, sleep_on_loop, &rc));
    assert_int_equal(rc, TENON_E_NOT_ALLOWED);
    tenon_node_stop(node);
}

/* ---- parts, jobs -------------------------------------------------------- */

struct part {
    unsigned stops, frees;
};

static void stop_part(tenon_node *node, void *part)
{
    (void)stats_of(node); /* everything still works */
    ((struct part *)part)->stops++;
}

static void free_part(void *part)
{
    ((struct part *)part)->frees++;
}

static void the_first_part_of_a_key_is_kept_told_and_freed(void **state)
{
    (void)state;
    struct part first = { 0 };
    struct part second = { 0 };
    tenon_node *node = lone_node(NULL);
    assert_null(tn_node_part(node, "key"));
    OK(tn_node_attach(node, "key", &first, stop_part, free_part));
    assert_int_equal(tn_node_attach(node, "key", &second, stop_part, free_part),
                     TENON_E_EXISTS);
    assert_ptr_equal(tn_node_part(node, "key"), &first);
    tenon_node_stop(node);
    assert_int_equal(first.stops, 1);
    assert_int_equal(first.frees, 1);
    assert_int_equal(second.stops + second.frees, 0);
}

static void count_call(tenon_node *node, void *user)
{
    assert_true(tn_on_loop(node));
    (*(unsigned *)user)++; /* on one thread only, so it needs no lock */
}

struct callers {
    tenon_node *node;
    unsigned count;
};

static void *call_often(void *user)
{
    struct callers *callers = user;
    for (unsigned i = 0; i < 500; i++) {
        OK(tn_node_call_on_loop(callers->node, count_call, &callers->count));
        OK(tn_node_run_on_loop(callers->node, count_call, &callers->count));
    }
    return NULL;
}

static void calls_on_the_loop_run_there_one_by_one(void **state)
{
    (void)state;
    struct callers callers = { .node = lone_node(NULL) };
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        threads[i] = start_thread(call_often, &callers);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    (void)stats_of(callers.node);
    assert_int_equal(callers.count, 4000);
    tenon_node_stop(callers.node);
}

static void count_job(tenon_node *node, void *user)
{
    assert_false(tn_on_loop(node));
    atomic_fetch_add((atomic_uint *)user, 1);
}

static void jobs_that_are_queued_run_before_the_stop_is_over(void **state)
{
    (void)state;
    atomic_uint count = 0;
    tenon_node *node = lone_node(NULL);
    for (unsigned i = 0; i < 300; i++) {
        OK(tn_node_run_on_worker(node, count_job, &count));
    }
    tenon_node_stop(node);
    assert_int_equal(count, 300);
}

static void references_differ(void **state)
{
    (void)state;
    tenon_node *node = lone_node(NULL);
    tenon_ref last;
    tenon_make_ref(node, &last);
    for (unsigned i = 0; i < 1000; i++) {
        tenon_ref ref;
        tenon_make_ref(node, &ref);
        assert_int_equal(ref.word_count, 3);
        assert_true(ref.words[0] < 1u << 18);
        assert_true(memcmp(ref.words, last.words, sizeof ref.words) != 0);
        last = ref;
    }
    tenon_node_stop(node);
}

/* Who sees one reference cannot count on: of 64 bits each is set in half of the
 * references, whatever the ones before. */
static void references_have_64_bits_that_nobody_can_foretell(void **state)
{
    tenon_node *node = lone_node(NULL);
    unsigned set[64] = { 0 }, flipped[64] = { 0 };
    uint64_t last = 0;
    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        tenon_ref ref;
        tenon_make_ref(node, &ref);
        uint64_t token = (uint64_t)ref.words[2] << 32 | ref.words[1];
        for (unsigned bit = 0; bit < 64; bit++) {
            set[bit] += (unsigned)(token >> bit & 1);
            flipped[bit] += (unsigned)((token ^ last) >> bit & 1);
        }
        last = token;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_in_range(set[bit], 350, 650);
        assert_in_range(flipped[bit], 350, 650);
    }
    tenon_node_stop(node);
}

static void each_node_has_keys_of_its_own(void **state)
{
    tenon_node *one = lone_node(NULL), *two = lone_node(NULL);
    (void)state;
    atomic_store(&one->last_token, 7);
    atomic_store(&two->last_token, 7);
    assert_true(tn_node_make_token(one) != tn_node_make_token(two));
    assert_memory_not_equal(&one->hash_key, &two->hash_key,
                            sizeof one->hash_key);
    tenon_node_stop(one);
    tenon_node_stop(two);
}

/* ---- log ---------------------------------------------------------------- */

/* A log that takes no line until it is told to. */
static struct stuck_log {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool release;
    atomic_uint lines;
} stuck_log = { .lock = PTHREAD_MUTEX_INITIALIZER,
                .changed = PTHREAD_COND_INITIALIZER };

static void
stick(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    struct stuck_log *log = user;
    (void)level;
    (void)line;
    (void)len;
    pthread_mutex_lock(&log->lock);
    while (!log->release) {
        pthread_cond_wait(&log->changed, &log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    atomic_fetch_add(&log->lines, 1);
}

static void a_log_that_takes_nothing_stops_nothing(void **state)
{
    (void)state;
    tenon_error err = { 0 };
    char name[64];
    char text[900];
    tenon_node_stats stats;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    new_name(name, "stuck");
    tenon_node_config config = config_of(name, &err);
    config.log = stick;
    config.log_user = &stuck_log;
    tenon_node *node = tenon_node_start(&config);
    assert_non_null(node);
    for (unsigned i = 0; i < TENON_LOG_WAITING_MAX_BYTES / sizeof text; i++) {
        tenon_node_log(node, TENON_LOG_INFO, "much", "text", text, NULL);
    }
    tenon_node_get_stats(node, &stats, sizeof stats); /* the loop runs */
    assert_true(stats.log_lines_lost > 0);
    stop_without_waiting(node);
    assert_int_equal(atomic_load(&stuck_log.lines), 0);
    pthread_mutex_lock(&stuck_log.lock);
    stuck_log.release = true;
    pthread_cond_broadcast(&stuck_log.changed);
    pthread_mutex_unlock(&stuck_log.lock);
    /* The line that was under way, and no other one. */
    WAIT_FOR(atomic_load(&stuck_log.lines) == 1);
}

static void
count_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    unsigned *lines = user;
    (void)level;
    (void)line;
    (void)len;
    ++*lines; /* read when the node is gone */
}

static void what_is_logged_is_written_when_the_stop_is_over(void **state)
{
    (void)state;
    tenon_error err = { 0 };
    char name[64];
    unsigned lines = 0;
    new_name(name, "logs");
    tenon_node_config config = config_of(name, &err);
    config.log = count_line;
    config.log_user = &lines;
    tenon_node *node = tn_node_start(&config);
    assert_non_null(node);
    for (unsigned i = 0; i < 500; i++) {
        tenon_node_log(node, TENON_LOG_INFO, "one", NULL);
    }
    tenon_node_stop(node);
    assert_int_equal(lines, 500);
}

static void stats_fit_the_program_that_asks(void **state)
{
    (void)state;
    tenon_node *node = lone_node(NULL);
    struct {
        tenon_node_stats known;
        uint64_t newer;
    } stats = { .newer = 7 };
    tenon_node_get_stats(node, &stats.known, sizeof stats);
    assert_int_equal(stats.known.processes, 1);
    assert_int_equal(stats.newer, 0);
    stats.known.bytes_in = 7;
    tenon_node_get_stats(node, &stats.known, sizeof(uint64_t));
    assert_int_equal(stats.known.bytes_in, 7);
    tenon_node_stop(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_can_be_stopped_at_once),
        cmocka_unit_test(a_name_that_is_taken_is_refused),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(unknown_fields_of_a_newer_program_must_be_zero),
        cmocka_unit_test(a_half_open_connection_does_not_hold_up_the_stop),
        cmocka_unit_test(a_connect_under_way_does_not_hold_up_the_stop),
        cmocka_unit_test(a_handler_that_goes_on_is_left_alone),
        cmocka_unit_test(a_stop_wakes_handlers_that_sleep),
        cmocka_unit_test(a_sleep_takes_its_time_but_not_the_loop_s),
        cmocka_unit_test(the_first_part_of_a_key_is_kept_told_and_freed),
        cmocka_unit_test(calls_on_the_loop_run_there_one_by_one),
        cmocka_unit_test(jobs_that_are_queued_run_before_the_stop_is_over),
        cmocka_unit_test(references_differ),
        cmocka_unit_test(references_have_64_bits_that_nobody_can_foretell),
        cmocka_unit_test(each_node_has_keys_of_its_own),
        cmocka_unit_test(a_log_that_takes_nothing_stops_nothing),
        cmocka_unit_test(what_is_logged_is_written_when_the_stop_is_over),
        cmocka_unit_test(stats_fit_the_program_that_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
