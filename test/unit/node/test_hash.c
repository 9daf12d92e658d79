/* SPDX-License-Identifier: Apache-2.0 */
/* References that a peer chooses so that uthash's own function, which has no
 * key, gives all of them one value: they cost a node no more than others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "nodes.h"
#include "otp/atoms.h"
#include "unit/support/ends.h"

#define MONITORS 3000u
#define CREATION 1000u

static uv_loop_t loop;

/* uthash's default, HASH_JEN, stirs 12 bytes of the key at a time into three
 * words, and adds those bytes before it stirs. So the second 12 bytes can undo
 * what the first 12 did: the state behind them is the same for every n, and a
 * key that goes on in the same way has the same value. */
static tenon_ref colliding_ref(const char *maker, uint32_t n)
{
    tenon_ref ref = { .creation = CREATION, .word_count = 5 };
    uint32_t a = UINT32_C(0x9e3779b9) + CREATION;
    uint32_t b = UINT32_C(0x9e3779b9) + ref.word_count;
    uint32_t c = UINT32_C(0xfeedbeef) + n;
    HASH_JEN_MIX(a, b, c);
    ref.words[0] = n;
    ref.words[1] = 0u - a;
    ref.words[2] = 0u - b;
    ref.words[3] = 0u - c;
    snprintf(ref.node, sizeof ref.node, "%s", maker);
    return ref;
}

static unsigned longest_chain(const UT_hash_table *table)
{
    unsigned longest = 0;
    for (unsigned i = 0; i < table->num_buckets; i++) {
        unsigned count = table->buckets[i].count;
        longest = count > longest ? count : longest;
    }
    return longest;
}

static void chosen_references_collide_without_a_key(void **state)
{
    struct tn_ref_key key;
    unsigned first = 0;
    (void)state;
    for (uint32_t n = 0; n < MONITORS; n++) {
        tenon_ref ref = colliding_ref("a@b", n);
        tenon_value *value = tenon_value_format("~r", &ref);
        unsigned hash;
        assert_true(tn_ref_key(&key, tenon_value_term(value), NULL));
        HASH_JEN(&key, sizeof key, hash);
        first = n == 0 ? hash : first;
        assert_int_equal(hash, first);
        tenon_value_free(value);
    }
}

static void send_monitor(struct end *end, tenon_term pid, const tenon_ref *ref)
{
    tenon_error err = { 0 };
    tenon_value *value = tenon_value_format("~r", ref);
    assert_non_null(value);
    struct tn_signal signal = { .kind = TN_SIG_MONITOR,
                                .from = pid,
                                .to = tn_atom_rex,
                                .ref = tenon_value_term(value) };
    if (tn_conn_send(end->up, &signal, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tenon_value_free(value);
}

static uint32_t monitors_of(tenon_node *node)
{
    tn_lock(node);
    uint32_t count = node->monitors.monitor_count;
    tn_unlock(node);
    return count;
}

static void monitors_with_chosen_references_lie_in_many_buckets(void **state)
{
    tenon_node *node = known_node(NULL);
    struct end peer, to = { .port = tenon_node_port(node) };
    uint8_t bytes[80];
    char name[64];
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    new_name(name, "flood");
    end_open(&peer, &loop, name, NULL);
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    end_connect(&peer, &to);
    RUN_UNTIL(&loop, peer.ups == 1);
    uint32_t before = monitors_of(node);
    tenon_term pid = make_pid(bytes, name, 1, CREATION);
    for (uint32_t n = 0; n < MONITORS; n++) {
        tenon_ref ref = colliding_ref(name, n);
        send_monitor(&peer, pid, &ref);
    }
    tn_conn_flush(peer.up);
    RUN_UNTIL(&loop, monitors_of(node) == before + MONITORS);
    tn_lock(node);
    for (unsigned i = 0; i < TN_HASH_SHARDS; i++) {
        assert_non_null(node->monitors.table[i]);
        const UT_hash_table *table = node->monitors.table[i]->hh.tbl;
        assert_in_range(table->num_items, 1, 2 * MONITORS / TN_HASH_SHARDS);
        /* A bucket that gets 10 makes the table grow; a random table's longest
         * chain is hardly longer. */
        assert_in_range(longest_chain(table), 1, 20);
        assert_int_equal(table->noexpand, 0);
    }
    tn_unlock(node);
    end_close(&peer);
    assert_int_equal(uv_loop_close(&loop), 0);
    tenon_node_stop(node);
}

static void each_node_has_a_key_of_its_own(void **state)
{
    static const struct tn_sip_key none;
    tenon_node *one = lone_node(NULL), *other = lone_node(NULL);
    (void)state;
    assert_memory_not_equal(&one->hash_key, &none, sizeof none);
    assert_memory_not_equal(&one->hash_key, &other->hash_key, sizeof none);
    tenon_node_stop(one);
    tenon_node_stop(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_references_collide_without_a_key),
        cmocka_unit_test(monitors_with_chosen_references_lie_in_many_buckets),
        cmocka_unit_test(each_node_has_a_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
