/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of one node: pids, names, mailboxes, scheduling, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "one_node.h"

/* ---- a process that records what happens to it -------------------------- */

struct record {
    atomic_uint messages, exits, inside, overlaps, disorder;
    atomic_llong last;
    /* handlers wait here until it is open */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool closed;
    bool exit_in_handler;
    char reason[64];
};

static void record_init(struct record *record)
{
    memset(record, 0, sizeof *record);
    record->last = -1;
    pthread_mutex_init(&record->lock, NULL);
    pthread_cond_init(&record->opened, NULL);
}

static void record_fini(struct record *record)
{
    pthread_cond_destroy(&record->opened);
    pthread_mutex_destroy(&record->lock);
}

static void record_open(struct record *record)
{
    pthread_mutex_lock(&record->lock);
    record->closed = false;
    pthread_cond_broadcast(&record->opened);
    pthread_mutex_unlock(&record->lock);
}

static void record_message(tenon_process *self, void *state, tenon_term message)
{
    struct record *record = state;
    assert_true(tn_process_is_self(self));
    atomic_fetch_add(&record->overlaps,
                     atomic_fetch_add(&record->inside, 1) != 0);
    long long n = number_of(message);
    atomic_fetch_add(&record->disorder, n <= atomic_load(&record->last));
    atomic_store(&record->last, n);
    pthread_mutex_lock(&record->lock);
    while (record->closed) {
        pthread_cond_wait(&record->opened, &record->lock);
    }
    pthread_mutex_unlock(&record->lock);
    if (record->exit_in_handler) {
        OK(tenon_process_exit(self, "{:asked, ~i}", (int64_t)n));
        OK(tenon_process_exit(self, ":too_late"));
    }
    atomic_fetch_sub(&record->inside, 1);
    atomic_fetch_add(&record->messages, 1);
}

static void record_exit(tenon_process *self, void *state, tenon_term reason)
{
    (void)self;
    struct record *record = state;
    tenon_term_print(reason, record->reason, sizeof record->reason);
    atomic_fetch_add(&record->overlaps, atomic_load(&record->inside) != 0);
    atomic_fetch_add(&record->exits, 1);
}

static const struct tn_process_class recorder = {
    .on_message = record_message,
    .on_exit = record_exit,
};

static tenon_process *
start_recorder(struct record *record, const char *name, bool run_inline)
{
    tenon_error err = { 0 };
    tenon_process *process =
        tn_process_start(node,
                         &(struct tn_process_spec){ .class = &recorder,
                                                    .state = record,
                                                    .name = name,
                                                    .run_inline = run_inline },
                         &err);
    if (process == NULL) {
        fail_msg("%s", err.text);
    }
    return process;
}

/* ---- the table ---------------------------------------------------------- */

static void a_message_to_a_guessed_pid_is_not_the_first(void **state)
{
    static const uint8_t two[] = { 97, 2 };
    struct record record;
    tenon_error err = { 0 };
    (void)state;
    record_init(&record);
    tenon_process *process = tn_process_start(
        node,
        &(struct tn_process_spec){
            .class = &recorder, .state = &record, .unborn = true },
        &err);
    assert_non_null(process);
    tenon_pid pid = pid_of(process);
    tenon_ref ref;
    tenon_process *box = new_box(node, NULL);
    (void)tenon_send_format(node, &(tenon_dest){ .pid = &pid }, "1");
    OK(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref));
    tenon_value *message = next_message(box);
    assert_true(tenon_match(tenon_value_term(message),
                            "{:DOWN, _, :process, _, :noproc}"));
    tenon_value_free(message);
    OK(tn_process_give(process, (tenon_term){ two, sizeof two }));
    WAIT_FOR(record.messages == 1);
    assert_int_equal(record.last, 2);
    OK(tenon_send_format(node, &(tenon_dest){ .pid = &pid }, "3"));
    WAIT_FOR(record.messages == 2);
    OK(tenon_process_exit(process, ":normal"));
    WAIT_FOR(record.exits == 1);
    tenon_process_release(process);
    record_fini(&record);
    end_box(box);
}

static void a_pid_is_found_until_its_process_ends(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_pid pid = pid_of(box);
    tenon_value *term = must_format_pid(&pid);
    tn_lock(node);
    assert_ptr_equal(tn_process_find_locked(node, tenon_value_term(term)), box);
    tn_unlock(node);
    OK(tenon_process_exit(box, ":normal"));
    tn_lock(node);
    assert_null(tn_process_find_locked(node, tenon_value_term(term)));
    tn_unlock(node);
    assert_int_equal(tenon_process_exit(box, ":normal"), TENON_E_NOPROC);
    tenon_value_free(term);
    tenon_process_release(box);
}

static bool is_found(const tenon_pid *pid)
{
    tenon_value *term = must_format_pid(pid);
    tn_lock(node);
    bool found = tn_process_find_locked(node, tenon_value_term(term)) != NULL;
    tn_unlock(node);
    tenon_value_free(term);
    return found;
}

static void what_is_nearly_the_pid_finds_nothing(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    tenon_pid pid = pid_of(box);
    assert_true(is_found(&pid));
    tenon_pid other = pid;
    other.creation++;
    assert_false(is_found(&other));
    other = pid;
    other.serial++;
    assert_false(is_found(&other));
    other = pid;
    other.id = 0;
    assert_false(is_found(&other));
    other.id = TN_PID_ID_MAX + 1;
    assert_false(is_found(&other));
    other.id = UINT32_MAX;
    assert_false(is_found(&other));
    other = pid;
    other.node[0] = 'x';
    assert_false(is_found(&other));
    end_box(box);
}

/* A slot comes back as late as possible; here there is only one, so that each
 * new process is told from the last by its serial alone. */
static void a_reused_slot_gives_another_pid(void **state)
{
    (void)state;
    static tenon_process *others[TENON_PROCESSES_MAX];
    size_t count = 0;
    tenon_error err = { 0 };
    for (;;) {
        tenon_process *box = tenon_mailbox_new(node, NULL, &err);
        if (box == NULL) {
            break;
        }
        others[count++] = box;
    }
    assert_int_equal(err.code, TENON_E_LIMIT);
    assert_int_equal(stats_of(node).processes, TENON_PROCESSES_MAX);
    end_box(others[--count]);
    tenon_process *box = new_box(node, NULL);
    const tenon_pid first = pid_of(box);
    tenon_pid last = first;
    end_box(box);
    for (unsigned i = 0; i < TN_PID_SERIAL_MAX; i++) {
        box = new_box(node, NULL);
        tenon_pid pid = pid_of(box);
        assert_int_equal(pid.id, first.id);
        assert_true(pid.serial != last.serial);
        assert_true(pid.serial <= TN_PID_SERIAL_MAX);
        assert_false(is_found(&last));
        last = pid;
        end_box(box);
    }
    box = new_box(node, NULL);
    assert_int_equal(pid_of(box).serial, first.serial);
    end_box(box);
    while (count > 0) {
        end_box(others[--count]);
    }
}

/* ---- names -------------------------------------------------------------- */

static void a_name_belongs_to_one_process(void **state)
{
    (void)state;
    tenon_process *one = new_box(node, "one");
    tenon_process *two = new_box(node, NULL);
    tenon_error err = { 0 };
    assert_int_equal(tenon_register(two, "one"), TENON_E_EXISTS);
    assert_null(tenon_mailbox_new(node, "one", &err));
    assert_int_equal(err.code, TENON_E_EXISTS);
    tenon_process *found = tenon_whereis(node, "one");
    assert_ptr_equal(found, one);
    tenon_process_release(found);
    OK(tenon_unregister(node, "one"));
    assert_int_equal(tenon_unregister(node, "one"), TENON_E_NOT_FOUND);
    assert_null(tenon_whereis(node, "one"));
    OK(tenon_register(two, "one"));
    assert_int_equal(tenon_register(two, "second"), TENON_E_INVAL);
    end_box(two);
    assert_null(tenon_whereis(node, "one"));
    OK(tenon_register(one, "one"));
    OK(tenon_process_exit(one, ":normal"));
    assert_int_equal(tenon_register(one, "again"), TENON_E_NOPROC);
    tenon_process_release(one);
}

static void some_names_cannot_be_had(void **state)
{
    (void)state;
    static const char *const names[] = { "", "undefined", "rex", "net_kernel",
                                         "global_name_server" };
    tenon_process *box = new_box(node, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(tenon_register(box, names[i]), TENON_E_INVAL);
        assert_int_equal(tenon_unregister(node, names[i]), TENON_E_INVAL);
    }
    char longest[257];
    memset(longest, 'n', sizeof longest);
    longest[256] = '\0';
    assert_int_equal(tenon_register(box, longest), TENON_E_INVAL);
    longest[255] = '\0';
    OK(tenon_register(box, longest));
    end_box(box);
}

static void an_unseen_process_only_takes_messages(void **state)
{
    (void)state;
    struct record record;
    record_init(&record);
    tenon_process *unseen =
        tn_process_start(node,
                         &(struct tn_process_spec){ .class = &recorder,
                                                    .state = &record,
                                                    .name = "unseen",
                                                    .unseen = true },
                         NULL);
    assert_non_null(unseen);
    tenon_process *box = new_box(node, NULL);
    tenon_ref ref;
    tenon_dest to = { .name = "unseen" };
    assert_null(tenon_whereis(node, "unseen"));
    OK(tenon_monitor(box, &to, &ref));
    assert_next_down(box, &ref, ":noproc");
    OK(tenon_send_format(node, &to, "1"));
    WAIT_FOR(record.messages == 1);
    end_box(box);
    OK(tenon_process_exit(unseen, ":normal"));
    WAIT_FOR(record.exits == 1);
    tenon_process_release(unseen);
    record_fini(&record);
}

/* ---- mailboxes ---------------------------------------------------------- */

static void messages_come_in_the_order_of_their_sending(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    for (int64_t i = 0; i < 3000; i++) {
        OK(send_number(box, i));
    }
    for (int64_t i = 0; i < 3000; i++) {
        tenon_value *message = next_message(box);
        assert_int_equal(number_of(tenon_value_term(message)), i);
        tenon_value_free(message);
    }
    assert_no_message(box);
    end_box(box);
}

static void messages_of_any_size_arrive_whole(void **state)
{
    (void)state;
    static uint8_t bytes[200000];
    static const size_t sizes[] = { 0,    1,    500,   506,   507,   508,
                                    4095, 4096, 16383, 16384, 65536, 200000 };
    tenon_process *box = new_box(node, NULL);
    tenon_pid pid = pid_of(box);
    memset(bytes, 0xa5, sizeof bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        OK(tenon_send_format(node, &(tenon_dest){ .pid = &pid }, "~b", bytes,
                             sizes[i]));
        tenon_value *message = next_message(box);
        const void *got;
        size_t len;
        OK(tenon_term_binary(tenon_value_term(message), &got, &len));
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(got, bytes, len);
        tenon_value_free(message);
    }
    end_box(box);
}

static void a_full_mailbox_refuses_and_counts(void **state)
{
    (void)state;
    tenon_node_config limits = { .mailbox_max_messages = 10 };
    tenon_node *small = lone_node(&limits);
    tenon_process *box = new_box(small, NULL);
    for (int64_t i = 0; i < 10; i++) {
        OK(send_number(box, i));
    }
    assert_int_equal(send_number(box, 10), TENON_E_LIMIT);
    assert_int_equal(send_number(box, 11), TENON_E_LIMIT);
    assert_int_equal(stats_of(small).messages_shed, 2);
    assert_next(box, "0");
    OK(send_number(box, 12));
    for (int64_t i = 1; i < 10; i++) {
        tenon_value_free(next_message(box));
    }
    assert_next(box, "12");
    end_box(box);
    tenon_node_stop(small);
}

static void a_mailbox_is_bounded_in_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[1000] = { 0 };
    tenon_node_config limits = { .mailbox_max_bytes = 10000 };
    tenon_node *small = lone_node(&limits);
    tenon_process *box = new_box(small, NULL);
    tenon_pid pid = pid_of(box);
    tenon_dest to = { .pid = &pid };
    unsigned taken = 0;
    while (tenon_send_format(small, &to, "~b", bytes, sizeof bytes) ==
           TENON_OK) {
        taken++;
    }
    assert_int_equal(taken, 9); /* each with a head of five bytes */
    OK(send_number(box, 1));
    end_box(box);
    tenon_node_stop(small);
}

static void a_signal_enters_a_full_mailbox(void **state)
{
    (void)state;
    tenon_node_config limits = { .mailbox_max_messages = 1 };
    tenon_node *small = lone_node(&limits);
    tenon_process *box = new_box(small, NULL);
    tenon_process *other = new_box(small, NULL);
    tenon_pid pid = pid_of(other);
    tenon_ref ref;
    OK(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref));
    OK(send_number(box, 1));
    end_box(other);
    assert_next(box, "1");
    assert_next_down(box, &ref, ":normal");
    end_box(box);
    tenon_node_stop(small);
}

static void a_receive_gives_up_in_time(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    struct record record;
    record_init(&record);
    tenon_process *server = start_recorder(&record, NULL, false);
    tenon_value *message = NULL;
    assert_int_equal(tenon_receive(box, 0, &message), TENON_E_TIMEOUT);
    uint64_t before = tn_now_ms();
    assert_int_equal(tenon_receive(box, 20, &message), TENON_E_TIMEOUT);
    assert_true(tn_now_ms() >= before + 19);
    assert_int_equal(tenon_receive(server, 0, &message), TENON_E_INVAL);
    OK(tenon_process_exit(server, ":normal"));
    WAIT_FOR(record.exits == 1);
    tenon_process_release(server);
    end_box(box);
    record_fini(&record);
}

static void *receive_one(void *user)
{
    tenon_value *message = NULL;
    enum tenon_err rc = tenon_receive(user, TENON_NO_TIMEOUT, &message);
    tenon_value_free(message);
    return (void *)(intptr_t)rc;
}

static void an_end_wakes_all_who_receive(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++) {
        threads[i] = start_thread(receive_one, box);
    }
    OK(tenon_process_exit(box, ":normal"));
    for (unsigned i = 0; i < 3; i++) {
        void *rc;
        pthread_join(threads[i], &rc);
        assert_int_equal((intptr_t)rc, TENON_E_NOPROC);
    }
    tenon_process_release(box);
}

/* ---- scheduling --------------------------------------------------------- */

#define SENDERS 4
#define EACH 2000

struct flood {
    tenon_process *to;
    atomic_llong next; /* sent under the lock, so in order */
    pthread_mutex_t lock;
};

static void *flood(void *user)
{
    struct flood *flood = user;
    for (unsigned i = 0; i < EACH; i++) {
        pthread_mutex_lock(&flood->lock);
        OK(send_number(flood->to, flood->next++));
        pthread_mutex_unlock(&flood->lock);
    }
    return NULL;
}

static void check_flood(bool run_inline)
{
    struct record record;
    pthread_t threads[SENDERS];
    struct flood shared = { .to = NULL };
    record_init(&record);
    pthread_mutex_init(&shared.lock, NULL);
    shared.to = start_recorder(&record, NULL, run_inline);
    for (unsigned i = 0; i < SENDERS; i++) {
        threads[i] = start_thread(flood, &shared);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    WAIT_FOR(record.messages == SENDERS * EACH);
    assert_int_equal(record.overlaps, 0);
    assert_int_equal(record.disorder, 0);
    OK(tenon_process_exit(shared.to, ":normal"));
    WAIT_FOR(record.exits == 1);
    tenon_process_release(shared.to);
    pthread_mutex_destroy(&shared.lock);
    record_fini(&record);
}

static void workers_take_one_message_at_a_time_in_order(void **state)
{
    (void)state;
    check_flood(false);
}

static void the_loop_takes_one_message_at_a_time_in_order(void **state)
{
    (void)state;
    check_flood(true);
}

static void a_process_that_blocks_holds_up_no_other(void **state)
{
    (void)state;
    struct record slow[8];
    struct record quick;
    tenon_process *blocked[8];
    record_init(&quick);
    for (unsigned i = 0; i < 8; i++) {
        record_init(&slow[i]);
        slow[i].closed = true;
        blocked[i] = start_recorder(&slow[i], NULL, false);
        OK(send_number(blocked[i], 1));
    }
    /* None of these says that it blocks: that work stalls is noticed. */
    tenon_process *process = start_recorder(&quick, NULL, false);
    OK(send_number(process, 1));
    WAIT_FOR(quick.messages == 1);
    OK(tenon_process_exit(process, ":normal"));
    tenon_process_release(process);
    for (unsigned i = 0; i < 8; i++) {
        record_open(&slow[i]);
        WAIT_FOR(slow[i].messages == 1);
        OK(tenon_process_exit(blocked[i], ":normal"));
        WAIT_FOR(slow[i].exits == 1);
        tenon_process_release(blocked[i]);
        record_fini(&slow[i]);
    }
    WAIT_FOR(quick.exits == 1);
    record_fini(&quick);
}

struct pair {
    tenon_process *other;
    atomic_uint turns;
};

static void pass_on(tenon_process *self, void *state, tenon_term message)
{
    struct pair *pair = state;
    (void)self;
    atomic_fetch_add(&pair->turns, 1);
    (void)tn_send_pid(node, (tenon_term){ NULL, 0 },
                      tn_process_pid(pair->other), message);
}

static void count_loop_turn(struct tn_timer *timer, void *user)
{
    (void)timer;
    atomic_store((atomic_bool *)user, true);
}

static void inline_processes_that_talk_let_the_loop_do_its_work(void **state)
{
    (void)state;
    static const struct tn_process_class class = { .on_message = pass_on };
    struct pair a = { NULL, 0 };
    struct pair b = { NULL, 0 };
    tenon_process *first =
        tn_process_start(node,
                         &(struct tn_process_spec){
                             .class = &class, .state = &a, .run_inline = true },
                         NULL);
    tenon_process *second =
        tn_process_start(node,
                         &(struct tn_process_spec){
                             .class = &class, .state = &b, .run_inline = true },
                         NULL);
    struct tn_timer timer = { 0 };
    atomic_bool fired = false;
    a.other = second;
    b.other = first;
    OK(send_number(first, 1));
    WAIT_FOR(a.turns > 100);
    OK(tn_timer_start(node, &timer, 1, count_loop_turn, &fired));
    WAIT_FOR(atomic_load(&fired));
    OK(tenon_process_exit(first, ":normal"));
    OK(tenon_process_exit(second, ":normal"));
    (void)stats_of(node); /* a turn of the loop */
    tenon_process_release(first);
    tenon_process_release(second);
}

/* ---- ends --------------------------------------------------------------- */

static void an_exit_in_a_handler_waits_for_its_return(void **state)
{
    (void)state;
    struct record record;
    record_init(&record);
    record.exit_in_handler = true;
    record.closed = true;
    tenon_process *process = start_recorder(&record, "ending", false);
    for (int64_t i = 0; i < 5; i++) {
        OK(send_number(process, i));
    }
    WAIT_FOR(record.inside == 1);
    tenon_process *found = tenon_whereis(node, "ending");
    assert_non_null(found);
    tenon_process_release(found);
    record_open(&record);
    WAIT_FOR(record.exits == 1);
    assert_int_equal(record.messages, 1);
    assert_int_equal(record.overlaps, 0);
    assert_string_equal(record.reason, "{:asked, 0}");
    assert_null(tenon_whereis(node, "ending"));
    tenon_process_release(process);
    record_fini(&record);
}

static void
an_exit_by_another_is_seen_at_once_by_all_but_the_handler(void **state)
{
    (void)state;
    struct record record;
    record_init(&record);
    record.closed = true;
    tenon_process *process = start_recorder(&record, "running", false);
    tenon_pid pid = pid_of(process);
    OK(send_number(process, 1));
    WAIT_FOR(record.inside == 1);
    OK(tenon_process_exit(process, ":enough"));
    assert_null(tenon_whereis(node, "running"));
    assert_false(is_found(&pid));
    assert_int_equal(record.exits, 0);
    record_open(&record);
    WAIT_FOR(record.exits == 1);
    assert_int_equal(record.overlaps, 0);
    assert_string_equal(record.reason, ":enough");
    tenon_process_release(process);
    record_fini(&record);
}

static void *exit_it(void *user)
{
    return (void *)(intptr_t)tenon_process_exit(user, ":raced");
}

static void of_many_exits_one_counts(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct record record;
        pthread_t threads[3];
        unsigned won = 0;
        record_init(&record);
        tenon_process *process = start_recorder(&record, NULL, round % 2 == 0);
        OK(send_number(process, 1));
        for (unsigned i = 0; i < 3; i++) {
            threads[i] = start_thread(exit_it, process);
        }
        for (unsigned i = 0; i < 3; i++) {
            void *rc;
            pthread_join(threads[i], &rc);
            won += (intptr_t)rc == TENON_OK;
        }
        assert_int_equal(won, 1);
        WAIT_FOR(record.exits == 1);
        assert_int_equal(record.overlaps, 0);
        tenon_process_release(process);
        record_fini(&record);
    }
}

static void the_dead_get_no_messages(void **state)
{
    (void)state;
    tenon_process *box = new_box(node, NULL);
    OK(tenon_process_exit(box, ":normal"));
    uint64_t before = stats_of(node).messages_to_nobody;
    OK(send_number(box, 1));
    assert_int_equal(stats_of(node).messages_to_nobody, before + 1);
    tenon_process_release(box);
}

static void kill_cannot_be_trapped(void **state)
{
    (void)state;
    tenon_process *killer = new_box(node, NULL);
    tenon_process *trapping = new_box(node, NULL);
    tenon_pid pid = pid_of(trapping);
    tenon_pid from = pid_of(killer);
    tenon_ref ref;
    tenon_process_trap_exit(trapping, true);
    OK(tenon_monitor(killer, &(tenon_dest){ .pid = &pid }, &ref));
    OK(tenon_exit_signal(killer, &pid, tn_atom_normal));
    assert_next_exit(trapping, &from, ":normal");
    OK(tenon_exit_signal(killer, &pid, tn_atom_shutdown));
    assert_next_exit(trapping, &from, ":shutdown");
    OK(tenon_exit_signal(killer, &pid, tn_atom_kill));
    assert_next_down(killer, &ref, ":killed");
    tenon_process_release(trapping);
    end_box(killer);
}

static void a_normal_exit_signal_ends_nobody_but_any_other_does(void **state)
{
    (void)state;
    tenon_process *from = new_box(node, NULL);
    tenon_process *to = new_box(node, NULL);
    tenon_pid pid = pid_of(to);
    OK(tenon_exit_signal(from, &pid, tn_atom_normal));
    assert_true(is_found(&pid));
    OK(tenon_exit_signal(from, &pid, tn_atom_badarg));
    assert_false(is_found(&pid));
    tenon_process_release(to);
    end_box(from);
}

static void nobody_can_kill_the_process_that_asks_for_all(void **state)
{
    (void)state;
    tenon_process *killer = new_box(node, NULL);
    tenon_pid client = pid_of(node->client);
    OK(tenon_exit_signal(killer, &client, tn_atom_kill));
    OK(tenon_exit_signal(killer, &client, tn_atom_badarg));
    assert_true(is_found(&client));
    end_box(killer);
}

static void a_reason_that_found_no_memory_is_killed(void **state)
{
    (void)state;
    struct record record;
    record_init(&record);
    tenon_process *watcher = new_box(node, NULL);
    tenon_process *process = start_recorder(&record, NULL, false);
    tenon_pid pid = pid_of(process);
    tenon_ref ref;
    OK(tenon_monitor(watcher, &(tenon_dest){ .pid = &pid }, &ref));
    OK(tn_process_exit_value(process, NULL));
    assert_next_down(watcher, &ref, ":killed");
    WAIT_FOR(record.exits == 1);
    assert_string_equal(record.reason, ":killed");
    tenon_process_release(process);
    end_box(watcher);
    record_fini(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_to_a_guessed_pid_is_not_the_first),
        cmocka_unit_test(a_pid_is_found_until_its_process_ends),
        cmocka_unit_test(what_is_nearly_the_pid_finds_nothing),
        cmocka_unit_test(a_reused_slot_gives_another_pid),
        cmocka_unit_test(a_name_belongs_to_one_process),
        cmocka_unit_test(some_names_cannot_be_had),
        cmocka_unit_test(an_unseen_process_only_takes_messages),
        cmocka_unit_test(messages_come_in_the_order_of_their_sending),
        cmocka_unit_test(messages_of_any_size_arrive_whole),
        cmocka_unit_test(a_full_mailbox_refuses_and_counts),
        cmocka_unit_test(a_mailbox_is_bounded_in_bytes),
        cmocka_unit_test(a_signal_enters_a_full_mailbox),
        cmocka_unit_test(a_receive_gives_up_in_time),
        cmocka_unit_test(an_end_wakes_all_who_receive),
        cmocka_unit_test(workers_take_one_message_at_a_time_in_order),
        cmocka_unit_test(the_loop_takes_one_message_at_a_time_in_order),
        cmocka_unit_test(a_process_that_blocks_holds_up_no_other),
        cmocka_unit_test(inline_processes_that_talk_let_the_loop_do_its_work),
        cmocka_unit_test(an_exit_in_a_handler_waits_for_its_return),
        cmocka_unit_test(
            an_exit_by_another_is_seen_at_once_by_all_but_the_handler),
        cmocka_unit_test(of_many_exits_one_counts),
        cmocka_unit_test(the_dead_get_no_messages),
        cmocka_unit_test(kill_cannot_be_trapped),
        cmocka_unit_test(a_normal_exit_signal_ends_nobody_but_any_other_does),
        cmocka_unit_test(nobody_can_kill_the_process_that_asks_for_all),
        cmocka_unit_test(a_reason_that_found_no_memory_is_killed),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
