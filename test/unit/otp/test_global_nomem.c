/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of global with every allocation failing in turn: a mesh comes
 * to rest, and what was asked for ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SIM_STEPS 2000
#include "global_sim.h"
#include "unit/support/nomem.h"

static struct sim sim;

/* Terms as they are on the wire, so that the test itself needs no memory:
 * atoms, and &global:random_notify_name/3. */
static const uint8_t name_bytes[] = { 119, 1, 'n' };
static const uint8_t other_bytes[] = { 119, 1, 'o' };
static const uint8_t method_bytes[] = "q"
                                      "w\x06global"
                                      "w\x12random_notify_name"
                                      "a\x03";
static const tenon_term name = { name_bytes, sizeof name_bytes };
static const tenon_term other = { other_bytes, sizeof other_bytes };
static const tenon_term method = { method_bytes, sizeof method_bytes - 1 };

static int asked;
/* Of nomem_fail_each: one undisturbed run, then in turn one in which a single
 * allocation fails and one in which all later ones do as well. */
static unsigned runs;

static void ended(void *user, enum tenon_err rc)
{
    (void)user;
    (void)rc;
    sim.ended_count++;
}

/* Without any memory it is tried again and again. */
static bool comes_to_rest(void)
{
    bool rest = sim_run(&sim);
    assert_true(rest || runs % 2 == 0);
    return rest;
}

static bool set_name(int node, tenon_term what)
{
    tenon_pid pid = sim_pid(&sim, node, 7);
    if (tn_global_change(sim.node[node].global, TN_G_REGISTER, what, &pid,
                         method, ended, NULL) != NULL) {
        asked++;
        tn_global_change_begin(sim.node[node].global);
    }
    bool rest = comes_to_rest();
    assert_true(!rest || sim.ended_count == asked);
    return rest;
}

static void are_one_mesh(void)
{
    tenon_pid pid;
    assert_int_equal(asked, 3);
    assert_int_equal(tn_global_find(sim.node[2].global, other, &pid), TENON_OK);
}

static bool meet_and_clash(void)
{
    bool rest = set_name(0, name);
    sim_link(&sim, 1, 2);
    rest = comes_to_rest() && rest;
    rest = set_name(2, name) && rest;
    sim_link(&sim, 0, 1);
    rest = comes_to_rest() && rest;
    rest = set_name(1, other) && rest;
    if (runs == 0) {
        are_one_mesh();
    }
    sim_cut(&sim, 0, 1);
    return comes_to_rest() && rest;
}

static void three_meet_and_clash(void *user)
{
    (void)user;
    asked = 0;
    if (!sim_init(&sim, 3)) {
        assert_true(nomem_failed());
        runs++;
        return;
    }
    bool rest = meet_and_clash();
    for (int i = 0; rest && i < sim.count; i++) {
        assert_null(sim.node[i].global->locks);
    }
    sim_fini(&sim);
    runs++;
}

static void a_mesh_survives_any_failed_allocation(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(three_meet_and_clash, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mesh_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("otp/global_nomem", tests, NULL, NULL);
}
