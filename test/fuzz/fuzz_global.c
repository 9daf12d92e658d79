/* SPDX-License-Identifier: Apache-2.0 */
/* A member of global that is told anything in anybody's name, in a mesh of
 * three whose other two keep to the protocol, while connections come and go and
 * names are registered. It monitors what it has names and locks of; and when it
 * is gone, the other two become a mesh, whatever they were told by way of it.
 *
 *   each step   kind of event, then what belongs to it */
#define SIM_STEPS 20000

#include "fuzz/input.h"
#include "unit/otp/global_sim.h"

#define STEPS_MAX 32
/* Of the mesh, after each step; so few that the next comes in between. */
#define TURNS_MAX 32

static const char *const atoms[] = {
    "global", "undefined", "n",      "m",     "true",
    "false",  "in_sync",   "locker", "$mesh", "no_longer_a_pid",
};
static const char *const nodes[] = { "a@sim", "b@sim", "c@sim", "d@sim" };
static const char *const shapes[] = {
    "{:\"$gen_call\", {~t, ~t}, {:set_lock, {~t, ~t}}}",
    "{:\"$gen_call\", {~t, ~t}, {:set_lock, {:global, ~t}}}",
    "{:\"$gen_call\", {~t, ~t}, {:del_lock, {~t, ~t}}}",
    "{:\"$gen_call\", {~t, ~t}, {:register, ~t, ~t, ~t}}",
    "{:\"$gen_call\", {~t, ~t}, {:register_ext, ~t, ~t, ~t, ~t}}",
    "{:\"$gen_call\", {~t, ~t}, {:unregister, ~t}}",
    "{:\"$gen_call\", {~t, ~t}, {:sync, ~t}}",
    "{:\"$gen_call\", {~t, ~t}, ~t}",
    "{:\"$gen_cast\", {:init_connect, {~t, ~t}, ~t, {:locker, ~t, ~t, ~t}}}",
    "{:\"$gen_cast\", {:init_connect, {8, ~t}, :b@sim, "
    "{:locker, :no_longer_a_pid, [], ~t}}}",
    "{:\"$gen_cast\", {:lock_set, ~t, ~t, ~t, ~t}}",
    "{:\"$gen_cast\", {:exchange, ~t, ~t, ~t, ~t}}",
    "{:\"$gen_cast\", {:exchange, :b@sim, [{~t, ~t, ~t}, {~t, ~t, ~t}], [], "
    "~t}}",
    "{:\"$gen_cast\", {:resolved, ~t, ~t, ~t, ~t, ~t, ~t}}",
    "{:\"$gen_cast\", {:resolved, :b@sim, [{~t, ~t, ~t, ~t}], [:b@sim | ~t], "
    "~t, [], ~t}}",
    "{:\"$gen_cast\", {:new_nodes, ~t, ~t, ~t, ~t, ~t}}",
    "{:\"$gen_cast\", {:new_nodes, :b@sim, [{:insert, {~t, ~t, ~t, []}}], ~t, "
    "~t, []}}",
    "{:\"$gen_cast\", {:in_sync, ~t, ~t}}",
    "{:whereis, ~t, {~t, ~t}}",
    "{:lock_set, ~t, ~t, ~t}",
    "{:lock_set, #PID<b@sim.1.0>, true, [~t, ~t]}",
    "{:init_connect_ack, ~t, ~t, ~t}",
    "{:cancel_connect, ~t, ~t}",
    "{:lost_connection, ~t, ~t, ~t, ~t}",
    "{:remove_connection, ~t}",
    "&:global.random_exit_name/3",
    "&:global.random_notify_name/3",
    "&:global.notify_all_name/3",
    "{:system, {~t, ~t}, ~t}",
    "[~t, ~t, ~t]",
    "{~t, ~t}",
    "[{~t, 8}, {~t, ~t}]",
};
static const struct words words = WORDS(atoms, nodes, shapes);

static struct sim sim;

static void turn(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        if (sim.first == sim.last) {
            if (!sim_fire_timer(&sim)) {
                return;
            }
            continue;
        }
        struct sim_event event = sim.events[sim.first++ % SIM_EVENTS];

        sim_deliver(&sim, &event);
        tenon_value_free(event.value);
        MUST(sim.last - sim.first < SIM_EVENTS);
    }
}

static void on_end(void *user, enum tenon_err rc)
{
    (void)user;
    MUST(rc == TENON_OK || rc == TENON_E_EXISTS || rc == TENON_E_LIMIT ||
         rc == TENON_E_TIMEOUT || rc == TENON_E_STOPPED ||
         rc == TENON_E_TERM_DEEP);
}

/* A node registers a name, or gives it up. */
static void change_name(struct input *in)
{
    int node = input_byte(in) % 3;
    enum tn_gop_kind kind = (enum tn_gop_kind)(input_byte(in) % 3u);
    tenon_pid pid = sim_pid(&sim, node, 3 + input_byte(in) % 4u);
    tenon_value *name = input_value(in, INPUT_DEPTH_MAX - 1);
    tenon_value *method = tenon_value_format("&:global.random_exit_name/3");

    MUST(method != NULL);
    if (name != NULL &&
        tn_global_change(sim.node[node].global, kind, tenon_value_term(name),
                         &pid, tenon_value_term(method), on_end,
                         NULL) != NULL) {
        tn_global_change_begin(sim.node[node].global);
    }
    tenon_value_free(name);
    tenon_value_free(method);
}

static void step(struct input *in)
{
    tenon_value *value;
    tenon_pid pid;
    unsigned kind = input_byte(in) % 16u;

    if (kind == 0) {
        sim_link(&sim, input_byte(in) % 3, input_byte(in) % 3);
    } else if (kind == 1) {
        sim_cut(&sim, input_byte(in) % 3, input_byte(in) % 3);
    } else if (kind == 2) {
        pid = sim_pid(&sim, input_byte(in) % 3, 3 + input_byte(in) % 4u);
        sim_die(&sim, &pid);
    } else if (kind == 3) {
        change_name(in);
    } else if (kind > 4) {
        value = input_value(in, 0);
        if (value != NULL) {
            tn_global_message(sim.node[0].global, tenon_value_term(value));
        }
        tenon_value_free(value);
    }
}

static void must_watch(int node)
{
    size_t asked = 0, kept = 0;
    const struct tn_gwatch *watch = sim.node[node].global->watches;

    for (int i = 0; i < SIM_MONITORS; i++) {
        asked += sim.monitors[i].set && sim.monitors[i].watcher == node;
    }
    for (; watch != NULL; watch = watch->hh.next) {
        kept += watch->set;
    }
    MUST(asked == kept);
}

static bool knows(int a, int b)
{
    struct tn_gpeer *peer = tn_gpeer_find(sim.node[a].global, sim.node[b].name);

    return peer != NULL && peer->known;
}

/* Without the one that was lied to. */
static void must_be_a_mesh(void)
{
    /* It may wait for locks of processes that never were. */
    tn_global_stop(sim.node[0].global);
    sim_cut(&sim, 0, 1);
    sim_cut(&sim, 0, 2);
    sim.barred[0][1] = sim.barred[1][0] = true;
    sim.barred[0][2] = sim.barred[2][0] = true;
    for (int i = 0; i < 3; i++) {
        MUST(sim_run(&sim));
        sim_link(&sim, 1, 2);
    }
    MUST(sim_run(&sim));
    MUST(sim.linked[1][2] && knows(1, 2) && knows(2, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 8 * 1024
    };

    MUST(sim_init(&sim, 3));
    for (unsigned links = input_byte(&in), i = 0; i < 3; i++) {
        if ((links >> i & 1) != 0) {
            sim_link(&sim, (int)i, ((int)i + 1) % 3);
        }
    }
    turn(input_byte(&in));
    for (int i = 0; i < STEPS_MAX && in.at < in.end; i++) {
        step(&in);
        must_watch(0);
        turn(input_byte(&in) % TURNS_MAX);
    }
    must_be_a_mesh();
    for (int i = 0; i < 3; i++) {
        must_watch(i);
    }
    sim_fini(&sim);
    return 0;
}
