/* SPDX-License-Identifier: Apache-2.0 */
/* When the processes of a peer that talk to this node are a crowd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dist/crowd.h"

#define START_NS UINT64_C(5000000000)

/* A signal of the pid <0.id.0> of a node "a@b". */
static void note(struct tn_crowd *crowd, uint8_t id, uint64_t now_ns)
{
    const uint8_t pid[] = { 88, 119, 3, 'a', '@', 'b', 0, 0, 0,
                            id, 0,   0, 0,   0,   0,   0, 0, 1 };

    tn_crowd_note(crowd, (tenon_term){ pid, sizeof pid }, now_ns);
}

static void note_many(struct tn_crowd *crowd, uint8_t count, uint64_t now_ns)
{
    for (uint8_t id = 0; id < count; id++) {
        note(crowd, id, now_ns);
    }
}

static void twelve_senders_are_a_crowd_and_eleven_are_not(void **state)
{
    struct tn_crowd crowd = { 0 };

    (void)state;
    assert_false(tn_crowd_is_there(&crowd, START_NS));
    note_many(&crowd, TN_CROWD_SENDERS - 1, START_NS);
    assert_false(tn_crowd_is_there(&crowd, START_NS));
    note(&crowd, TN_CROWD_SENDERS - 1, START_NS + 5);
    assert_true(tn_crowd_is_there(&crowd, START_NS + 5));
}

static void one_busy_sender_is_no_crowd(void **state)
{
    struct tn_crowd crowd = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        note(&crowd, (uint8_t)(i % 2), START_NS + i);
    }
    assert_false(tn_crowd_is_there(&crowd, START_NS + 1000));
}

static void a_crowd_is_forgotten_when_it_falls_silent(void **state)
{
    struct tn_crowd crowd = { 0 };

    (void)state;
    note_many(&crowd, TN_CROWD_SLOTS, START_NS);
    assert_true(tn_crowd_is_there(&crowd, START_NS + TN_CROWD_NS - 1));
    assert_false(tn_crowd_is_there(&crowd, START_NS + TN_CROWD_NS));
}

static void more_senders_than_slots_replace_the_oldest(void **state)
{
    struct tn_crowd crowd = { 0 };

    (void)state;
    note_many(&crowd, TN_CROWD_SLOTS, START_NS);
    for (uint8_t id = 100; id < 100 + TN_CROWD_SENDERS - 1; id++) {
        note(&crowd, id, START_NS + TN_CROWD_NS);
    }
    assert_false(tn_crowd_is_there(&crowd, START_NS + TN_CROWD_NS));
    note(&crowd, 200, START_NS + TN_CROWD_NS);
    assert_true(tn_crowd_is_there(&crowd, START_NS + TN_CROWD_NS));
}

static void those_told_apart_by_a_number_count_as_well(void **state)
{
    struct tn_crowd crowd = { 0 };

    (void)state;
    for (uint32_t id = 0; id < TN_CROWD_SENDERS; id++) {
        assert_false(tn_crowd_is_there(&crowd, START_NS));
        tn_crowd_note_id(&crowd, id, START_NS);
        tn_crowd_note_id(&crowd, id, START_NS);
    }
    assert_true(tn_crowd_is_there(&crowd, START_NS));
}

static void what_is_no_pid_counts_for_nobody(void **state)
{
    struct tn_crowd crowd = { 0 };
    const uint8_t atom[] = { 119, 1, 'a' };

    (void)state;
    note_many(&crowd, TN_CROWD_SENDERS - 1, START_NS);
    tn_crowd_note(&crowd, (tenon_term){ atom, sizeof atom }, START_NS);
    tn_crowd_note(&crowd, (tenon_term){ NULL, 0 }, START_NS);
    assert_false(tn_crowd_is_there(&crowd, START_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_senders_are_a_crowd_and_eleven_are_not),
        cmocka_unit_test(one_busy_sender_is_no_crowd),
        cmocka_unit_test(a_crowd_is_forgotten_when_it_falls_silent),
        cmocka_unit_test(more_senders_than_slots_replace_the_oldest),
        cmocka_unit_test(those_told_apart_by_a_number_count_as_well),
        cmocka_unit_test(what_is_no_pid_counts_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
