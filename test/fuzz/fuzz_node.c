/* SPDX-License-Identifier: Apache-2.0 */
/* A live node with processes in it, and two peers that say anything: one that
 * may do everything, one that the rules limit. Each input is a sequence of
 * signals, of bytes that are none, and of what the node's own processes do
 * meanwhile; the peers connect anew for each. After it the node still answers;
 * the peers and the processes go, and nothing is left of them.
 *
 * The node is one for many inputs, since starting one costs more than an input
 * does. Nothing waits for time to pass: after each signal that matters a peer
 * asks for an acknowledgement, which comes behind all that was handled.
 *
 *   each step   kind of event, with the peer in the highest bit; then what
 *               belongs to it */
#include <sched.h>

#include <tenon.h>

#include "base/clock.h"
#include "fuzz/input.h"
#include "fuzz/peer.h"
#include "node/node.h"

#define NODE_NAME "fuzz@127.0.0.1"
#define PEERS 2u
#define STEPS_MAX 48u
#define KNOWN_MAX 24u
#define INPUTS_PER_NODE 1000u
/* Of terms that are known from what the node says; larger ones are not. */
#define KNOWN_BYTES_MAX 2000u

static const char *const names[PEERS] = { "p@127.0.0.1", "q@127.0.0.1" };
static const char rules[] =
    "{peer, 'p@127.0.0.1', all}.\n"
    "{peer, 'q@127.0.0.1', [{functions, [{m, echo, '_'}]}, "
    "{services, [open]}, {names, [server]}]}.\n";

/* ---- what signals are made of ------------------------------------------ */

static const char *const atoms[] = {
    "server",
    "box",
    "sup",
    "rex",
    "net_kernel",
    "global_name_server",
    "logger_proxy",
    "pg",
    "user",
    "Elixir.X3m.System.ServiceRegistry",
    "m",
    "echo",
    "ok",
    "normal",
    "kill",
    "shutdown",
    "noproc",
    "link",
    "monitor",
    "true",
    "infinity",
    "erlang",
    "child",
    "open",
};
static const char *const nodes[] = { "p@127.0.0.1", "q@127.0.0.1", NODE_NAME,
                                     "d@127.0.0.1" };
static const char *const shapes[] = {
    "{:\"$gen_call\", {~t, ~t}, ~t}",
    "{:\"$gen_call\", {~t, [:alias | ~t]}, ~t}",
    "{:\"$gen_cast\", ~t}",
    "{:system, {~t, ~t}, ~t}",
    "{:system, {~t, ~t}, :get_state}",
    "{:system, {~t, ~t}, {:terminate, ~t}}",
    "{:system, {~t, ~t}, {:replace_state, ~t}}",
    "{[:alias | ~t], ~t}",
    "{~t, ~t}",
    "{:DOWN, ~t, :process, ~t, ~t}",
    "{:EXIT, ~t, ~t}",
    "{:io_request, ~t, ~t, {:put_chars, :unicode, ~t}}",
    "{:io_reply, ~t, ~t}",
    "{:call, ~t, ~t, ~t, ~t}",
    "{:\"$gen_call\", {~t, ~t}, {:call, :m, :echo, [~t], ~t}}",
    "{:\"$gen_call\", {~t, ~t}, {:is_auth, ~t}}",
    "{:\"$gen_call\", {~t, ~t}, {:which_children}}",
    "{:\"$gen_call\", {~t, ~t}, {:start_child, ~t}}",
    "{:c, {:m, :child, []}, :temporary, 100, :worker, [:m]}",
    "{:\"$gen_call\", {~t, ~t}, {:terminate_child, ~t}}",
    "{:\"$gen_call\", {~t, ~t}, {:set_lock, {~t, ~t}}}",
    "{:\"$gen_call\", {~t, ~t}, {:register, ~t, ~t, ~t}}",
    "{:\"$gen_cast\", {:init_connect, {8, ~t}, ~t, {:locker, 1, [], ~t}}}",
    "{:\"$gen_cast\", {:in_sync, ~t, ~t}}",
    "{:lost_connection, ~t, ~t, ~t, ~t}",
    "{:remove_connection, ~t}",
    "{:discover, ~t}",
    "{:\"$gen_cast\", {:sync, ~t, [{~t, [~t, ~t]}]}}",
    "{:join, ~t, ~t, [~t, ~t]}",
    "{:leave, ~t, ~t, [~t]}",
    "{:introduce_local_services, ~t}",
    "{:register_remote_services, {~t, %{open: :m, far: :m}}}",
    "{:unregister_node_services, ~t}",
    "{:log, ~t, ~t, ~t, ~t}",
    "{:m, :echo, ~t}",
    "{:erpc, :execute_call, 4}",
    "[~t, :m, :echo, [~t]]",
    "{:\"Elixir.R\", :open, 1}",
    "{:m, :child, 0}",
    "{:erlang, :apply, 3}",
    "[:m, :echo, [~t]]",
    "[:link, :monitor | ~t]",
    "[{:monitor, [{:alias, ~t}]}]",
    "[~t, ~t]",
};
static const struct words words = WORDS(atoms, nodes, shapes);

/* ---- the node ---------------------------------------------------------- */

struct world {
    tenon_node *node;
    tenon_node_stats at_rest;
    unsigned inputs;
    struct peer peers[PEERS];
    tenon_value *pids[PEERS]; /* one of each peer */
    tenon_process *box, *server, *sup;
    tenon_value *box_pid;
    tenon_ref alias, monitor;
    tenon_value *known[KNOWN_MAX];
    tenon_term views[KNOWN_MAX];
    size_t known_count;
};

static struct world world;

static void
no_log(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    (void)line;
    (void)len;
}

static void echo(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_term(call, tenon_call_arg(call, 0));
}

static void on_call(tenon_call *call, void *state)
{
    (void)state;
    if (tenon_match(tenon_call_request(call), ":normal")) {
        tenon_exit(call, ":normal");
    } else {
        tenon_reply_term(call, tenon_call_request(call));
    }
}

static void start_child(tenon_call *call, void *user)
{
    tenon_pid parent, pid;

    (void)user;
    if (tenon_call_from(call, &parent) != TENON_OK) {
        tenon_reply(call, ":ignore");
        return;
    }
    tenon_process *child = tenon_server_start(
        tenon_call_node(call),
        &(tenon_server_config){ .on_call = on_call, .parent = &parent });

    if (child == NULL) {
        tenon_reply(call, "{:error, :limit}");
        return;
    }
    tenon_process_pid(child, &pid);
    tenon_process_release(child);
    tenon_reply_ok(call, "~p", &pid);
}

static void serve(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_ok(call, "~t", tenon_call_request(call));
}

static tenon_node_stats stats(void)
{
    tenon_node_stats now;

    tenon_node_get_stats(world.node, &now, sizeof now);
    return now;
}

static void start_node(void)
{
    tenon_error err = { .text = "" };

    MUST(setenv("ERL_EPMD_PORT", "1", 1) == 0);
    world.node = tenon_node_start(&(tenon_node_config){
        .name = NODE_NAME,
        .cookie = PEER_COOKIE,
        .listen_address = "127.0.0.1",
        .connect_timeout_ms = PEER_DEADLINE_MS,
        .mailbox_max_messages = 2000,
        .log = no_log,
        .no_epmd = true,
        .peer_port = 1, /* nobody is called */
        .rules = rules,
        .err = &err,
    });
    MUST(world.node != NULL);
    MUST(tenon_function(world.node, "m", "echo", 1, echo, NULL, 0) == 0);
    MUST(tenon_function(world.node, "m", "child", 0, start_child, NULL, 0) ==
         0);
    MUST(tenon_pg_start(world.node, NULL, NULL) == TENON_OK);
    tenon_router *router = tenon_router_new(world.node, "Elixir.R");

    MUST(router != NULL);
    MUST(tenon_service(router, "open", serve, NULL) == TENON_OK);
    MUST(tenon_service(router, "closed", serve, NULL) == TENON_OK);
    MUST(tenon_register_services(router) == TENON_OK);
    world.at_rest = stats();
}

static bool is_at_rest(void)
{
    tenon_node_stats now = stats();

    return now.peers == 0 && now.processes == world.at_rest.processes &&
           now.monitors == world.at_rest.monitors &&
           now.links == world.at_rest.links && now.pending_calls == 0 &&
           now.memory_bytes == world.at_rest.memory_bytes;
}

/* Workers and the loop finish what the input has begun. */
static void come_to_rest(void)
{
    uint64_t until = tn_now_ms() + PEER_DEADLINE_MS;

    for (unsigned looks = 0; !is_at_rest(); looks++) {
        if (tn_now_ms() > until) {
            tenon_node_stats now = stats();

            fprintf(stderr,
                    "left: %u peers, %u processes, %u monitors, %u links, "
                    "%u calls, %llu bytes\n",
                    now.peers, now.processes, now.monitors, now.links,
                    now.pending_calls, (unsigned long long)now.memory_bytes);
            MUST(false);
        }
        if (looks < 100) {
            sched_yield();
        } else {
            (void)poll(NULL, 0, 1);
        }
    }
}

/* ---- what is known ----------------------------------------------------- */

static void learn(tenon_term term)
{
    size_t at = world.known_count % KNOWN_MAX;

    if (term.bytes == NULL || term.len > KNOWN_BYTES_MAX) {
        return;
    }
    tenon_value_free(world.known[at]);
    world.known[at] = tenon_value_new(term);
    world.views[at] = tenon_value_term(world.known[at]);
    world.known_count++;
}

static void learn_process(const tenon_process *process)
{
    learn(tn_process_pid(process));
}

static void learn_ref(const tenon_ref *ref)
{
    tenon_value *value = tenon_value_format("~r", ref);

    learn(tenon_value_term(value));
    tenon_value_free(value);
}

/* Who says it, its reference, and the tag of a call. */
static void on_signal(void *user, const struct tn_signal *signal)
{
    tenon_term from, tag, request;

    (void)user;
    learn(signal->from);
    learn(signal->ref);
    if (signal->kind == TN_SIG_SPAWN_REPLY) {
        learn(signal->payload);
    } else if (signal->payload.bytes != NULL &&
               tenon_match(signal->payload, "{:\"$gen_call\", {~t, ~t}, ~t}",
                           &from, &tag, &request)) {
        learn(tag);
    }
}

/* ---- events ------------------------------------------------------------ */

static void settle(struct peer *peer)
{
    peer_settle(peer, tenon_value_term(world.pids[peer - world.peers]),
                tenon_value_term(world.box_pid));
}

static void connect_peer(unsigned which)
{
    static const uint64_t flags[PEERS] = {
        TN_FLAGS_OURS, TN_FLAGS_OURS & ~TN_FLAG(PUBLISHED)
    };
    struct peer *peer = &world.peers[which];

    if (peer->fd >= 0) {
        return;
    }
    peer_open(peer, tenon_node_port(world.node), flags[which]);
}

/* A signal of any kind, mostly from the peer's own process. */
static void say_signal(struct peer *peer, struct input *in)
{
    struct tn_signal signal = { .kind = (enum tn_signal_kind)(input_byte(in) %
                                                              TN_SIG_KINDS) };
    uint8_t with = input_byte(in);
    tenon_value *values[5];
    tenon_term *const fields[5] = { &signal.to, &signal.payload, &signal.ref,
                                    &signal.mfa, &signal.opts };

    for (size_t i = 0; i < 5; i++) {
        bool is_spawn = signal.kind == TN_SIG_SPAWN_REQUEST;

        values[i] = i < 2 || signal.kind >= TN_SIG_MONITOR || is_spawn
                        ? input_value(in, 0)
                        : NULL;
        *fields[i] = tenon_value_term(values[i]);
    }
    signal.from = tenon_value_term(world.pids[peer - world.peers]);
    signal.group_leader = signal.from;
    if ((with & 7) == 0) {
        signal.from = signal.ref;
    }
    signal.id = with >> 3;
    signal.flags = with >> 5;
    peer_say(peer, &signal);
    for (size_t i = 0; i < 5; i++) {
        tenon_value_free(values[i]);
    }
}

/* Bytes as the body of a frame, or as they are: the peer breaks the rules. */
static void say_bytes(struct peer *peer, struct input *in, bool is_frame)
{
    uint8_t head[4];
    size_t len;
    const uint8_t *bytes = input_bytes(in, &len);

    if (peer->fd < 0) {
        return;
    }
    tn_put32(head, (uint32_t)len);
    if (is_frame) {
        MUST(tn_buf_append(&peer->out, head, sizeof head) == TENON_OK);
    }
    MUST(tn_buf_append(&peer->out, bytes, len) == TENON_OK);
}

static void act(struct input *in)
{
    tenon_pid pid = input_pid(in);
    tenon_value *value = input_value(in, 0);
    tenon_term term = tenon_value_term(value);

    switch (term.bytes == NULL ? 255 : input_byte(in) % 8u) {
    case 0:
        (void)!tenon_monitor(world.box, &(tenon_dest){ .pid = &pid },
                             &world.monitor);
        learn_ref(&world.monitor);
        break;
    case 1:
        tenon_demonitor(world.box, &world.monitor);
        break;
    case 2:
        (void)!tenon_link(world.box, &pid);
        break;
    case 3:
        tenon_unlink(world.box, &pid);
        break;
    case 4:
        (void)!tenon_monitor_alias(world.box, &(tenon_dest){ .pid = &pid },
                                   TENON_ALIAS_REPLY, &world.monitor);
        learn_ref(&world.monitor);
        break;
    case 5:
        (void)!tenon_pg_join(world.box, NULL, term);
        break;
    case 6:
        (void)tenon_pg_leave(world.box, NULL, term);
        break;
    default:
        (void)!tenon_send(world.node, &(tenon_dest){ .pid = &pid }, term, NULL);
    }
    tenon_value_free(value);
}

static void step(struct input *in)
{
    unsigned kind = input_byte(in);
    struct peer *peer = &world.peers[kind >> 7];

    in->known = world.views;
    in->known_count =
        world.known_count < KNOWN_MAX ? world.known_count : KNOWN_MAX;
    switch (kind % 16u) {
    case 0:
        peer_close(peer);
        break;
    case 1:
        connect_peer(kind >> 7);
        break;
    case 2:
        say_bytes(peer, in, true);
        break;
    case 3:
        say_bytes(peer, in, false);
        peer_finish(peer);
        break;
    case 4:
    case 5:
        settle(peer);
        act(in);
        break;
    case 6:
    case 7:
        settle(peer);
        break;
    default:
        say_signal(peer, in);
    }
}

/* ---- one input --------------------------------------------------------- */

static void begin(void)
{
    tenon_pid pid;

    world.known_count = 0;
    world.box = tenon_mailbox_new(world.node, "box", NULL);
    world.server = tenon_server_start(
        world.node,
        &(tenon_server_config){ .name = "server", .on_call = on_call });
    world.sup = tenon_supervisor_start(
        world.node, &(tenon_supervisor_config){ .name = "sup" });
    MUST(world.box != NULL && world.server != NULL && world.sup != NULL);
    tenon_process_trap_exit(world.box, true);
    MUST(tenon_supervisor_add(
             world.sup,
             &(tenon_child){ .id = "c", .module = "m", .function = "child" }, 0,
             &pid, NULL) == TENON_OK);
    world.box_pid = tenon_value_new(tn_process_pid(world.box));
    MUST(tenon_alias(world.box, TENON_ALIAS_EXPLICIT, &world.alias) == 0);
    world.monitor = world.alias;
    tenon_value *child = tenon_value_format("~p", &pid);

    learn_process(world.box);
    learn_process(world.server);
    learn_process(world.sup);
    learn(tenon_value_term(child));
    learn_ref(&world.alias);
    tenon_value_free(child);
    for (unsigned i = 0; i < PEERS; i++) {
        connect_peer(i);
        learn(tenon_value_term(world.pids[i]));
    }
}

/* The node answers its own processes, whatever the peers have done. */
static void must_answer(void)
{
    tenon_error err = { .text = "" };
    tenon_value *request = tenon_value_format("{:are, :you, :there}");
    tenon_value *answer = NULL;
    tenon_process *server = tenon_server_start(
        world.node, &(tenon_server_config){ .on_call = on_call });
    tenon_pid pid;

    MUST(server != NULL);
    tenon_process_pid(server, &pid);
    MUST(tenon_server_call(world.node, &(tenon_dest){ .pid = &pid },
                           tenon_value_term(request), PEER_DEADLINE_MS, &answer,
                           &err) == TENON_OK);
    MUST(tenon_term_equal(tenon_value_term(request), tenon_value_term(answer)));
    tenon_value_free(answer);
    tenon_value_free(request);
    (void)tenon_process_exit(server, ":normal");
    tenon_process_release(server);
}

static void end_process(tenon_process *process)
{
    (void)tenon_process_exit(process, ":kill");
    tenon_process_release(process);
}

static void end(void)
{
    for (unsigned i = 0; i < PEERS; i++) {
        settle(&world.peers[i]);
    }
    must_answer();
    for (unsigned i = 0; i < PEERS; i++) {
        peer_close(&world.peers[i]);
    }
    end_process(world.sup);
    end_process(world.server);
    end_process(world.box);
    tenon_value_free(world.box_pid);
    come_to_rest();
}

static void stop_node(void)
{
    if (world.node != NULL) {
        tenon_node_stop(world.node);
        world.node = NULL;
    }
    for (size_t i = 0; i < KNOWN_MAX; i++) {
        tenon_value_free(world.known[i]);
        world.known[i] = NULL;
    }
}

static void make_peers(void)
{
    for (unsigned i = 0; i < PEERS; i++) {
        tenon_pid pid = { .id = 1, .creation = PEER_CREATION };

        snprintf(pid.node, sizeof pid.node, "%s", names[i]);
        world.pids[i] = tenon_value_format("~p", &pid);
        world.peers[i] = (struct peer){ .fd = -1,
                                        .name = names[i],
                                        .node = NODE_NAME,
                                        .on_signal = on_signal };
        MUST(world.pids[i] != NULL);
    }
}

static void begin_world(void)
{
    bool is_first = world.inputs == 0;

    if (is_first) {
        make_peers();
    }
    if (world.inputs++ % INPUTS_PER_NODE == 0) {
        stop_node();
        start_node();
    }
    /* Behind the first node, whose libraries clean up at the exit as well: the
     * last one must go before they do. */
    if (is_first) {
        MUST(atexit(stop_node) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = 16 * 1024
    };

    begin_world();
    begin();
    for (unsigned i = 0; i < STEPS_MAX && in.at < in.end; i++) {
        step(&in);
    }
    end();
    return 0;
}
