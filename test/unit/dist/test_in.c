/* SPDX-License-Identifier: Apache-2.0 */
/* Reading frames within the part of the memory that a peer may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tenon/term.h>

#include "dist/block.h"
#include "unit/support/ends.h"

#define BUDGET (1024u * 1024u)
#define FRAME 200000u

static uv_loop_t loop;
static struct end sender;
static struct end reader;
static tn_budget *budget;
static tn_account *account; /* of the sender at the reader */

static void open_ends(uint32_t room_timeout_ms)
{
    struct tn_dist_config config = { .room_timeout_ms = room_timeout_ms };
    budget = tn_budget_new(BUDGET);
    assert_non_null(budget);
    config.budget = budget;
    assert_int_equal(uv_loop_init(&loop), 0);
    end_open(&sender, &loop, "sender@127.0.0.1", NULL);
    end_open(&reader, &loop, "reader@127.0.0.1", &config);
    account = tn_account_of(budget, sender.name);
    end_join(&sender, &reader);
}

/* Whatever was read is given back. */
static void close_ends(void)
{
    end_close(&sender);
    end_close(&reader);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(tn_budget_used(budget), 0);
    tn_account_unref(account);
    tn_budget_unref(budget);
}

static void send_large(size_t len)
{
    static const uint8_t bytes[2 * BUDGET];
    uint8_t from[80];
    uint8_t to[20];
    tenon_value *payload = tenon_value_format("~b", bytes, len);
    const struct tn_signal signal = { .kind = TN_SIG_SEND_NAME,
                                      .from = make_pid(from, sender.name, 1, 1),
                                      .to = make_atom(to, "box"),
                                      .payload = tenon_value_term(payload) };
    tenon_error err = { 0 };
    if (tn_conn_send(sender.up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_conn_flush(sender.up);
    tenon_value_free(payload);
}

static uint64_t pauses(void)
{
    struct tn_conn_counters counters;
    tn_conn_counters(reader.up, &counters);
    return counters.reads_paused;
}

static void a_frame_is_read_on_the_account_of_its_peer(void **state)
{
    (void)state;
    open_ends(0);
    send_large(FRAME);
    RUN_UNTIL(&loop, reader.signals == 1);
    assert_in_range(tn_budget_peak(budget), FRAME, 2 * FRAME);
    assert_int_equal(pauses(), 0);
    close_ends();
}

static void a_frame_waits_until_there_is_room(void **state)
{
    (void)state;
    open_ends(0);
    tn_account_charge_always(account, BUDGET / 2);
    send_large(FRAME);
    RUN_UNTIL(&loop, pauses() == 1);
    /* No more is taken of it than the one block that everybody gets. */
    assert_in_range(tn_account_bytes(account), BUDGET / 2,
                    BUDGET / 2 + TN_BLOCK_BYTES);
    assert_int_equal(reader.signals, 0);
    tn_account_discharge(account, BUDGET / 2);
    RUN_UNTIL(&loop, reader.signals == 1);
    assert_int_equal(reader.downs, 0);
    close_ends();
}

static void small_frames_are_read_in_any_case(void **state)
{
    (void)state;
    open_ends(0);
    tn_account_charge_always(account, BUDGET);
    send_large(100);
    RUN_UNTIL(&loop, reader.signals == 1);
    tn_account_discharge(account, BUDGET);
    close_ends();
}

static void a_frame_without_room_ends_the_connection(void **state)
{
    (void)state;
    open_ends(1);
    send_large(BUDGET);
    RUN_UNTIL(&loop, reader.downs == 1);
    assert_int_equal(reader.why.code, TENON_E_LIMIT);
    assert_non_null(strstr(reader.why.text, "part of the memory"));
    assert_true(tn_budget_peak(budget) <= BUDGET);
    close_ends();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_read_on_the_account_of_its_peer),
        cmocka_unit_test(a_frame_waits_until_there_is_room),
        cmocka_unit_test(small_frames_are_read_in_any_case),
        cmocka_unit_test(a_frame_without_room_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
