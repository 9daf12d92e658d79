/* SPDX-License-Identifier: Apache-2.0 */
/* The loop thread is shared by all peers: what one of them makes it do at
 * length is done in slices, between which the others are served, or by
 * workers. Peers are raw sockets that the test writes to by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "dist/bytes.h"
#include "dist/flags.h"
#include "dist/sock.h"
#include "nodes.h"
#include "otp/task.h"
#include "turns.h"
#include "unit/support/ends.h"
#include "x3m/x3m.h"

static uv_loop_t loop;
static tenon_node *node;

static void assert_turns_were_short(void)
{
    assert_turns_of_were_short(node);
}

/* ---- the node ----------------------------------------------------------- */

static int start_node_with(uint32_t workers, const char *const *tls)
{
    tenon_error err = { 0 };
    char name[64];
    new_name(name, "turns");
    tenon_node_config config = config_of(name, &err);
    config.no_global = true;
    config.no_connect_all = true;
    config.no_epmd = true;
    config.worker_max = workers;
    config.mailbox_max_messages = 1000000;
    config.mailbox_max_bytes = (size_t)1 << 30;
    if (tls != NULL) {
        config.proto_dist = "inet_tls";
        config.ssl_dist_opts = tls;
    }
    node = tenon_node_start(&config);
    if (node == NULL) {
        fail_msg("%s", err.text);
    }
    node->stop_workers_ms = DEADLINE_MS;
    return uv_loop_init(&loop);
}

static int start_node(void **state)
{
    (void)state;
    return start_node_with(1, NULL);
}

static int stop_node(void **state)
{
    (void)state;
    tenon_node_stop(node);
    return uv_loop_close(&loop);
}

/* Keeps a thread of the node until it is opened. */
struct gate {
    sem_t entered, opened, left;
};

static void pass(tenon_node *of, void *user)
{
    struct gate *gate = user;
    (void)of;
    sem_post(&gate->entered);
    while (sem_wait(&gate->opened) != 0) {
    }
    sem_post(&gate->left);
}

static void set_up(struct gate *gate)
{
    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->opened, 0, 0);
    sem_init(&gate->left, 0, 0);
}

static void wait_until_entered(struct gate *gate)
{
    while (sem_wait(&gate->entered) != 0) {
    }
}

static void close_worker(struct gate *gate)
{
    set_up(gate);
    OK(tn_node_run_on_worker(node, pass, gate));
    wait_until_entered(gate);
}

static void close_loop(struct gate *gate)
{
    set_up(gate);
    OK(tn_node_run_on_loop(node, pass, gate));
    wait_until_entered(gate);
}

/* Who waited there no longer looks at the gate afterwards. */
static void open_gate(struct gate *gate)
{
    sem_post(&gate->opened);
    while (sem_wait(&gate->left) != 0) {
    }
}

/* ---- peers -------------------------------------------------------------- */

struct peer {
    int fd;
    char name[64];
    uint8_t pid_bytes[80];
    tenon_term pid;
};

static bool is_up(const char *name)
{
    tn_lock(node);
    const struct tn_peer *peer = tn_peer_find_locked(node, name, strlen(name));
    bool up = peer != NULL && peer->state == TN_PEER_UP;
    tn_unlock(node);
    return up;
}

static void join(struct peer *peer, const char *name)
{
    struct end to = { .loop = &loop, .port = tenon_node_port(node) };
    if (name != NULL) {
        snprintf(peer->name, sizeof peer->name, "%s", name);
    } else {
        new_name(peer->name, "peer");
    }
    snprintf(to.name, sizeof to.name, "%s", tenon_node_name(node));
    peer->fd = raw_handshake(&to, peer->name);
    peer->pid = make_pid(peer->pid_bytes, peer->name, 1, 2000);
    WAIT_FOR(is_up(peer->name));
}

static void write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = tn_sock_write(fd, bytes, len);
        if (n == -EAGAIN) {
            struct pollfd room = { .fd = fd, .events = POLLOUT };
            assert_int_equal(poll(&room, 1, (int)DEADLINE_MS), 1);
            n = 0;
        }
        assert_true(n >= 0);
        bytes += n;
        len -= (size_t)n;
    }
}

/* As much of it as goes into the socket at once. */
static size_t write_some(int fd, const uint8_t *bytes, size_t len)
{
    size_t done = 0;
    ssize_t n;
    while (done < len &&
           (n = tn_sock_write(fd, bytes + done, len - done)) > 0) {
        done += (size_t)n;
    }
    return done;
}

static void add_signal(struct tn_buf *out, const struct tn_signal *signal)
{
    OK(tn_signal_encode(out, signal, TN_FLAGS_OURS, NULL));
}

static void
add_message(struct tn_buf *out, const struct peer *from, const char *to, int n)
{
    uint8_t atom[64];
    uint8_t number[] = { 97, (uint8_t)n };
    struct tn_signal signal = { .kind = TN_SIG_SEND_NAME,
                                .from = from->pid,
                                .to = make_atom(atom, to),
                                .payload = { number, sizeof number } };
    add_signal(out, &signal);
}

static void send_message(const struct peer *from, const char *to, int n)
{
    struct tn_buf out;
    tn_buf_init(&out, SIZE_MAX);
    add_message(&out, from, to, n);
    write_all(from->fd, out.bytes, out.len);
    tn_buf_fini(&out);
}

static void send_buf(const struct peer *from, struct tn_buf *out)
{
    write_all(from->fd, out->bytes, out->len);
    tn_buf_fini(out);
}

/* A frame of so many bytes with a list of small integers for that process, or
 * with {List, []}. */
static void send_large(const struct peer *from,
                       enum tn_signal_kind kind,
                       tenon_term to,
                       bool in_pair,
                       size_t frame_bytes)
{
    static uint8_t chunk[256 * 1024];
    const uint8_t before[] = { 104, 2, 108 }, after[] = { 106, 106 };
    size_t before_len = in_pair ? 3 : 1, after_len = in_pair ? 2 : 1;
    struct tn_signal signal = {
        .kind = kind, .from = from->pid, .to = to, .payload = { after, 1 }
    };
    struct tn_buf out;
    uint8_t count_bytes[4];
    tn_buf_init(&out, SIZE_MAX);
    add_signal(&out, &signal);
    out.len--;
    size_t head = out.len - 4;
    size_t count = (frame_bytes - head - before_len - 4 - after_len) / 2;
    tn_put32(out.bytes,
             (uint32_t)(head + before_len + 4 + 2 * count + after_len));
    tn_put32(count_bytes, (uint32_t)count);
    OK(tn_buf_append(&out, before + 3 - before_len, before_len));
    OK(tn_buf_append(&out, count_bytes, sizeof count_bytes));
    send_buf(from, &out);
    for (size_t i = 0; i < sizeof chunk; i += 2) {
        chunk[i] = 97;
        chunk[i + 1] = 7;
    }
    for (size_t left = 2 * count; left > 0;) {
        size_t n = left < sizeof chunk ? left : sizeof chunk;
        write_all(from->fd, chunk, n);
        left -= n;
    }
    write_all(from->fd, after, after_len);
}

static void
send_large_list(const struct peer *from, const char *to, size_t frame_bytes)
{
    uint8_t atom[64];
    send_large(from, TN_SIG_SEND_NAME, make_atom(atom, to), false, frame_bytes);
}

/* ---- what is counted ---------------------------------------------------- */

static void turns_of_the_loop_are_counted(void **state)
{
    (void)state;
    WAIT_FOR(stats_of(node).loop_turns > 3);
    tenon_node_stats stats = stats_of(node);
    uint64_t count = 0;
    for (size_t i = 0; i < TENON_LOOP_TURN_BUCKETS; i++) {
        count += stats.loop_turn_counts[i];
    }
    assert_int_equal(count, stats.loop_turns);
    assert_true(stats.loop_turn_max_us <= stats.loop_cpu_us);
}

/* ---- where it runs ------------------------------------------------------ */

/* Megabytes, in frames that valgrind takes for such. */
static unsigned dig(unsigned levels)
{
    volatile uint8_t deep[256 << 10];
    for (size_t i = 0; i < sizeof deep; i += 4096) {
        deep[i] = 1;
    }
    return levels == 0 ? 1 : dig(levels - 1) + deep[4096];
}

static void dig_deep(tenon_node *of, void *user)
{
    (void)of;
    *(bool *)user = dig(15) == 16;
}

static void the_loop_has_a_worker_s_stack_whatever_the_limit(void **state)
{
    struct rlimit before;
    bool was_deep = false;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    struct rlimit small = { 128 * 1024, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
    tenon_node *lone = lone_node(NULL);
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
    OK(tn_node_call_on_loop(lone, dig_deep, &was_deep));
    assert_true(was_deep);
    tenon_node_stop(lone);
}

/* ---- one large frame ---------------------------------------------------- */

static void
a_large_frame_is_read_by_a_worker_while_others_are_served(void **state)
{
    size_t frame_bytes = sized(64u << 20, 300u << 10);
    tenon_process *large = new_box(node, "large");
    tenon_process *small = new_box(node, "small");
    struct peer from, other;
    struct gate gate;
    (void)state;
    join(&from, NULL);
    join(&other, NULL);
    close_worker(&gate);
    send_large_list(&from, "large", frame_bytes);
    send_message(&from, "large", 1);
    /* Nobody reads it yet, and others do not wait for that. */
    WAIT_FOR(stats_of(node).bytes_in >= frame_bytes);
    send_message(&other, "small", 2);
    assert_next(small, "2");
    assert_no_message(large);
    open_gate(&gate);
    tenon_value *message = next_message(large);
    assert_true(tenon_value_term(message).len > frame_bytes - 1000);
    tenon_value_free(message);
    assert_next(large, "1");
    assert_turns_were_short();
    close(from.fd);
    close(other.fd);
    end_box(large);
    end_box(small);
}

static void note_thread(tenon_process *self, tenon_term message, void *user)
{
    atomic_int *on_loop = user;
    (void)message;
    atomic_store(on_loop, tn_on_loop(tenon_process_node(self)) ? 1 : 0);
}

static uint64_t handled_by_client(void)
{
    tn_lock(node);
    uint64_t handled = node->client->handled;
    tn_unlock(node);
    return handled;
}

/* {List, []}, until the process has read it, or has ended. */
static void send_large_to(const struct peer *from, tenon_process *process)
{
    bool is_read = false;
    tn_lock(node);
    uint64_t before = process->handled;
    tn_unlock(node);
    send_large(from, TN_SIG_SEND, tn_process_pid(process), true,
               sized(64u << 20, 300u << 10));
    while (!is_read) {
        tn_lock(node);
        is_read = process->handled > before || process->exited;
        tn_unlock(node);
        (void)poll(NULL, 0, 1);
    }
}

/* A task that waits for its order. */
static tenon_process *waiting_task(tenon_process *owner)
{
    enum tenon_err rc;
    tenon_pid pid;
    tenon_process_pid(owner, &pid);
    tenon_value *args = tenon_value_format("[{~a, ~p, ~p}, :monitor]",
                                           tenon_node_name(node), &pid, &pid);
    tenon_process *task =
        tn_task_new(node, NULL, NULL, tenon_value_term(args), &rc);
    assert_non_null(task);
    tenon_value_free(args);
    return task;
}

struct asked {
    sem_t runs;
    tenon_process *owner;
    tenon_call *call;
};

static void keep_call(tenon_call *call, void *user)
{
    struct asked *asked = user;
    tenon_pid pid;
    OK(tenon_call_from(call, &pid));
    tenon_value *term = tenon_value_format("~p", &pid);
    tn_lock(node);
    asked->owner = tenon_process_keep(
        tn_process_find_locked(node, tenon_value_term(term)));
    tn_unlock(node);
    tenon_value_free(term);
    asked->call = tenon_call_keep(call);
    assert_int_equal(sem_post(&asked->runs), 0);
}

static void
a_large_message_for_a_task_s_owner_is_not_read_by_the_loop(void **state)
{
    struct peer from;
    struct asked asked = { .owner = NULL };
    tenon_value *args = tenon_value_format("[]");
    tenon_process *box = new_box(node, "box");
    (void)state;
    assert_int_equal(sem_init(&asked.runs, 0, 0), 0);
    OK(tenon_function(node, "m", "keep", 0, keep_call, &asked, TENON_INLINE));
    tenon_process *supervisor = tenon_task_supervisor_start(
        node, &(tenon_task_supervisor_config){ .name = "tasks" });
    tenon_task *task =
        tenon_task_async(node, &(tenon_dest){ .name = "tasks" }, "m", "keep",
                         tenon_value_term(args), NULL, NULL);
    assert_non_null(task);
    assert_int_equal(sem_wait(&asked.runs), 0);
    join(&from, NULL);
    send_large_to(&from, asked.owner);
    send_message(&from, "box", 1); /* comes in a later turn */
    assert_next(box, "1");
    assert_turns_were_short();
    OK(tenon_reply(asked.call, ":ok"));
    tenon_call_release(asked.call);
    OK(tenon_task_await(task, DEADLINE_MS, NULL, NULL));
    tenon_task_release(task);
    tenon_process_release(asked.owner);
    (void)tenon_process_exit(supervisor, ":shutdown");
    tenon_process_release(supervisor);
    tenon_value_free(args);
    assert_int_equal(sem_destroy(&asked.runs), 0);
    close(from.fd);
    end_box(box);
}

static void a_large_message_for_a_task_is_not_read_by_the_loop(void **state)
{
    struct peer from;
    tenon_process *box = new_box(node, "box");
    tenon_process *task = waiting_task(box);
    (void)state;
    join(&from, NULL);
    send_large_to(&from, task);
    send_message(&from, "box", 1); /* comes in a later turn */
    assert_next(box, "1");
    assert_turns_were_short();
    (void)tenon_process_exit(task, ":normal");
    tenon_process_release(task);
    close(from.fd);
    end_box(box);
}

/* What answers no request is none by its first element. */
static void a_large_message_for_the_client_is_not_read_by_the_loop(void **state)
{
    size_t frame_bytes = sized(64u << 20, 300u << 10);
    tenon_process *box = new_box(node, "box");
    struct peer from;
    (void)state;
    join(&from, NULL);
    uint64_t before = handled_by_client();
    send_large(&from, TN_SIG_SEND, tn_process_pid(node->client), true,
               frame_bytes);
    WAIT_FOR(handled_by_client() > before);
    send_message(&from, "box", 1); /* comes in a later turn */
    assert_next(box, "1");
    assert_turns_were_short();
    close(from.fd);
    end_box(box);
}

static void a_large_message_for_an_inline_server_is_for_a_worker(void **state)
{
    struct peer from;
    atomic_int on_loop = -1;
    tenon_error err = { 0 };
    (void)state;
    tenon_process *server =
        tenon_server_start(node, &(tenon_server_config){ .name = "inline",
                                                         .on_info = note_thread,
                                                         .state = &on_loop,
                                                         .run_inline = true,
                                                         .err = &err });
    assert_non_null(server);
    join(&from, NULL);
    send_message(&from, "inline", 1);
    WAIT_FOR(atomic_load(&on_loop) == 1);
    send_large_list(&from, "inline", 300u << 10);
    WAIT_FOR(atomic_load(&on_loop) == 0);
    send_message(&from, "inline", 1);
    WAIT_FOR(atomic_load(&on_loop) == 1);
    close(from.fd);
    (void)tenon_process_exit(server, ":normal");
    tenon_process_release(server);
}

static void a_connection_that_ends_while_its_frame_is_read_is_lost(void **state)
{
    tenon_process *large = new_box(node, "large");
    struct peer from;
    struct gate gate;
    (void)state;
    join(&from, NULL);
    close_worker(&gate);
    send_large_list(&from, "large", 300u << 10);
    WAIT_FOR(stats_of(node).bytes_in >= 300u << 10);
    OK(tenon_node_disconnect(node, from.name));
    WAIT_FOR(stats_of(node).peers == 0);
    open_gate(&gate);
    assert_no_message(large);
    close(from.fd);
    end_box(large);
}

static void
a_large_frame_that_breaks_the_protocol_ends_its_connection(void **state)
{
    struct peer from;
    struct tn_buf out;
    uint8_t atom[64];
    size_t len = 300u << 10;
    uint8_t *bytes = malloc(len);
    (void)state;
    assert_non_null(bytes);
    memset(bytes, 106, len);
    bytes[0] = 108;
    tn_put32(bytes + 1, (uint32_t)len - 6);
    bytes[len / 2] = 0; /* no tag */
    struct tn_signal signal = { .kind = TN_SIG_SEND_NAME,
                                .to = make_atom(atom, "large"),
                                .payload = { bytes, len } };
    join(&from, NULL);
    signal.from = from.pid;
    tn_buf_init(&out, SIZE_MAX);
    add_signal(&out, &signal);
    send_buf(&from, &out);
    WAIT_FOR(stats_of(node).peers == 0);
    close(from.fd);
    free(bytes);
}

/* ---- many small ones ---------------------------------------------------- */

static void take_time(tenon_process *self, tenon_term message, void *user)
{
    atomic_uint *taken = user;
    uint64_t until = tn_thread_cpu_ns() + 2000;
    (void)self;
    (void)message;
    while (tn_thread_cpu_ns() < until) {
    }
    atomic_fetch_add(taken, 1);
}

#define BURSTS 12u

static void bursts_of_many_peers_are_shared_out_over_turns(void **state)
{
    struct peer peers[BURSTS];
    struct gate gate;
    struct tn_buf out;
    atomic_uint taken = 0;
    tenon_error err = { 0 };
    size_t sent = 0, frame;
    (void)state;
    tenon_process *busy =
        tenon_server_start(node, &(tenon_server_config){ .name = "busy",
                                                         .on_info = take_time,
                                                         .state = &taken,
                                                         .run_inline = true,
                                                         .err = &err });
    assert_non_null(busy);
    for (unsigned i = 0; i < BURSTS; i++) {
        join(&peers[i], NULL);
    }
    close_loop(&gate);
    for (unsigned i = 0; i < BURSTS; i++) {
        tn_buf_init(&out, SIZE_MAX);
        add_message(&out, &peers[i], "busy", 1);
        frame = out.len;
        for (size_t n = sized(2000, 50); n > 1; n--) {
            add_message(&out, &peers[i], "busy", 1);
        }
        size_t written = write_some(peers[i].fd, out.bytes, out.len);
        write_all(peers[i].fd, out.bytes + written,
                  (frame - written % frame) % frame);
        sent += (written + frame - 1) / frame;
        tn_buf_fini(&out);
    }
    open_gate(&gate);
    WAIT_FOR(atomic_load(&taken) == sent);
    assert_turns_were_short();
    for (unsigned i = 0; i < BURSTS; i++) {
        close(peers[i].fd);
    }
    (void)tenon_process_exit(busy, ":normal");
    tenon_process_release(busy);
}

/* ---- the end of a connection -------------------------------------------- */

/* Monitors of the box on so many processes of the peer's. */
static void watch_processes(tenon_process *box, const char *name, size_t count)
{
    tenon_pid pid = { .creation = 2000 };
    tenon_ref ref;
    snprintf(pid.node, sizeof pid.node, "%s", name);
    for (size_t i = 0; i < count; i++) {
        pid.id = (uint32_t)i + 1;
        OK(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref));
    }
}

static void *read_all(void *arg)
{
    static uint8_t bytes[65536];
    const struct peer *peer = arg;
    struct pollfd ready = { .fd = peer->fd, .events = POLLIN };
    ssize_t n;
    while (poll(&ready, 1, (int)DEADLINE_MS) == 1 &&
           ((n = tn_sock_read(peer->fd, bytes, sizeof bytes)) > 0 ||
            n == -EAGAIN)) {
    }
    return NULL;
}

static void
the_end_of_a_connection_with_many_monitors_is_shared_out(void **state)
{
    size_t count = sized(100000, 2000);
    tenon_process *box = new_box(node, "box");
    struct peer gone, back;
    pthread_t reader;
    (void)state;
    join(&gone, NULL);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &gone), 0);
    watch_processes(box, gone.name, count);
    assert_int_equal(stats_of(node).monitors, count);
    /* It is back at once; nothing of that comes before the last end. */
    OK(tenon_node_disconnect(node, gone.name));
    WAIT_FOR(!is_up(gone.name));
    join(&back, gone.name);
    assert_int_equal(stats_of(node).monitors, 0);
    send_message(&back, "box", 3);
    for (size_t i = 0; i < count; i++) {
        tenon_value *message = next_message(box);
        assert_int_equal(tenon_term_count(tenon_value_term(message)), 5);
        tenon_value_free(message);
    }
    assert_next(box, "3");
    assert_turns_were_short();
    assert_int_equal(pthread_join(reader, NULL), 0);
    close(gone.fd);
    close(back.fd);
    end_box(box);
}

/* So many of the peer's processes link to the box, or watch it. */
static void reach_for(const struct peer *from,
                      tenon_process *box,
                      enum tn_signal_kind kind,
                      size_t count)
{
    tenon_builder *built = tenon_builder_new();
    tenon_ref ref = { .creation = 2000, .word_count = 3 };
    uint8_t pid[80];
    struct tn_buf out;
    tn_buf_init(&out, SIZE_MAX);
    snprintf(ref.node, sizeof ref.node, "%s", from->name);
    for (size_t i = 0; i < count; i++) {
        struct tn_signal signal = {
            .kind = kind,
            .from = make_pid(pid, from->name, (uint32_t)i + 1, 2000),
            .to = tn_process_pid(box),
        };
        ref.words[0] = (uint32_t)i;
        tenon_builder_reset(built);
        tenon_build_ref(built, &ref);
        OK(tenon_builder_term(built, &signal.ref));
        add_signal(&out, &signal);
    }
    send_buf(from, &out);
    tenon_builder_free(built);
}

static void many_monitors_of_a_peer_come_and_go_over_turns(void **state)
{
    size_t count = sized(100000, 2000);
    tenon_process *box = new_box(node, "box");
    struct peer from;
    (void)state;
    join(&from, NULL);
    reach_for(&from, box, TN_SIG_MONITOR, count);
    WAIT_FOR(stats_of(node).monitors == count);
    close(from.fd);
    WAIT_FOR(stats_of(node).monitors == 0);
    assert_turns_were_short();
    end_box(box);
}

static void many_links_of_a_peer_come_and_go_over_turns(void **state)
{
    size_t count = sized(100000, 2000);
    tenon_process *box = new_box(node, "box");
    struct peer from;
    (void)state;
    tenon_process_trap_exit(box, true);
    join(&from, NULL);
    reach_for(&from, box, TN_SIG_LINK, count);
    WAIT_FOR(stats_of(node).links == count);
    close(from.fd);
    for (size_t i = 0; i < count; i++) {
        tenon_value_free(next_message(box));
    }
    WAIT_FOR(stats_of(node).links == 0);
    assert_turns_were_short();
    end_box(box);
}

static void the_end_of_a_process_with_many_monitors_is_shared_out(void **state)
{
    size_t count = sized(100000, 2000);
    tenon_process *box = new_box(node, "box");
    tenon_process *ended = new_box(node, "ended");
    tenon_pid pid = pid_of(ended);
    struct peer from;
    (void)state;
    for (size_t i = 0; i < count; i++) {
        tenon_ref ref;
        OK(tenon_monitor(box, &(tenon_dest){ .pid = &pid }, &ref));
    }
    /* As a peer makes it end: on the loop. */
    join(&from, NULL);
    struct tn_buf out;
    uint8_t atom[16];
    struct tn_signal signal = { .kind = TN_SIG_EXIT2,
                                .from = from.pid,
                                .to = tn_process_pid(ended),
                                .payload = make_atom(atom, "kill") };
    tn_buf_init(&out, SIZE_MAX);
    add_signal(&out, &signal);
    send_buf(&from, &out);
    for (size_t i = 0; i < count; i++) {
        tenon_value_free(next_message(box));
    }
    WAIT_FOR(stats_of(node).monitors == 0);
    assert_no_message(box);
    assert_turns_were_short();
    close(from.fd);
    tenon_process_release(ended);
    end_box(box);
}

/* ---- what this node has asked for --------------------------------------- */

static uint32_t requests_open(void)
{
    tn_lock(node);
    uint32_t count = node->requests.count;
    tn_unlock(node);
    return count;
}

struct caller {
    const struct peer *peer;
    enum tenon_err rc;
    tenon_value *value;
};

static void *call_server(void *arg)
{
    struct caller *caller = arg;
    tenon_error err = { 0 };
    caller->rc = tenon_server_call(
        node, &(tenon_dest){ .name = "server", .node = caller->peer->name },
        tn_atom_nil, TENON_NO_TIMEOUT, &caller->value, &err);
    return NULL;
}

static void note_length(void *user, const tenon_result *result)
{
    atomic_size_t *len = user;
    assert_int_equal(result->code, TENON_OK);
    atomic_store(len, result->value.len);
}

/* Answers the only open request with a binary of so many bytes: to the alias, or
 * as servers of OTP 23 do, to the process that asks. */
static void reply_large(const struct peer *from, size_t count, bool to_alias)
{
    tenon_builder *built = tenon_builder_new();
    uint8_t *bytes = calloc(1, count);
    uint8_t ref[64];
    struct tn_buf out;
    assert_non_null(built);
    assert_non_null(bytes);
    WAIT_FOR(requests_open() == 1);
    tn_lock(node);
    size_t len = node->requests.table->ref.len;
    memcpy(ref, node->requests.table->ref.bytes, len);
    tn_unlock(node);
    tenon_build_tuple(built, 2);
    tenon_build_list(built, 1);
    tenon_build_atom(built, "alias");
    tenon_build_term(built, (tenon_term){ ref, len });
    tenon_build_binary(built, bytes, count);
    struct tn_signal signal = { .kind = TN_SIG_SEND,
                                .from = from->pid,
                                .to = tn_process_pid(node->client) };
    if (to_alias) {
        signal.kind = TN_SIG_SEND_ALIAS;
        signal.to = (tenon_term){ ref, len };
    }
    OK(tenon_builder_term(built, &signal.payload));
    tn_buf_init(&out, SIZE_MAX);
    add_signal(&out, &signal);
    send_buf(from, &out);
    tenon_builder_free(built);
    free(bytes);
}

/* To a caller that waits, and to one that is called back. */
static void reply_both_ways(bool to_alias)
{
    size_t count = sized(63u << 20, 300u << 10);
    struct peer from;
    struct caller caller = { .peer = &from };
    atomic_size_t len = 0;
    pthread_t thread, reader;
    join(&from, NULL);
    assert_int_equal(pthread_create(&thread, NULL, call_server, &caller), 0);
    reply_large(&from, count, to_alias);
    assert_int_equal(pthread_join(thread, NULL), 0);
    OK(caller.rc);
    assert_true(tenon_value_term(caller.value).len >= count);
    tenon_value_free(caller.value);
    OK(tenon_server_call_async(
        node, &(tenon_dest){ .name = "server", .node = from.name }, tn_atom_nil,
        TENON_NO_TIMEOUT, note_length, &len));
    reply_large(&from, count, to_alias);
    WAIT_FOR(atomic_load(&len) >= count);
    assert_turns_were_short();
    assert_int_equal(pthread_create(&reader, NULL, read_all, &from), 0);
    OK(tenon_node_disconnect(node, from.name));
    assert_int_equal(pthread_join(reader, NULL), 0);
    close(from.fd);
}

static void a_large_reply_is_not_copied_on_the_loop(void **state)
{
    (void)state;
    reply_both_ways(true);
}

static void a_large_reply_to_the_client_is_not_copied_on_the_loop(void **state)
{
    (void)state;
    reply_both_ways(false);
}

static void count_end(void *user, enum tn_request_end end, tenon_term term)
{
    (void)term;
    atomic_fetch_add((atomic_uint *)user + end, 1);
}

static void ask_often(const struct peer *peer, size_t count, atomic_uint *ends)
{
    tenon_error err = { 0 };
    for (size_t i = 0; i < count; i++) {
        OK(tn_request_server(
            node, &(tenon_dest){ .name = "server", .node = peer->name },
            tn_atom_nil, 0, count_end, ends, &err));
    }
}

static void as_many_requests_as_may_be_open_end_over_turns(void **state)
{
    size_t count = sized(TENON_PENDING_CALLS_MAX, 2000);
    atomic_uint ends[TN_END_STOPPED + 1] = { 0 };
    struct peer gone, back;
    pthread_t reader;
    (void)state;
    join(&gone, NULL);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &gone), 0);
    ask_often(&gone, count, ends);
    assert_int_equal(requests_open(), count);
    OK(tenon_node_disconnect(node, gone.name));
    WAIT_FOR(atomic_load(&ends[TN_END_NODEDOWN]) == count);
    assert_int_equal(pthread_join(reader, NULL), 0);
    join(&back, NULL);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &back), 0);
    ask_often(&back, count, ends);
    tn_requests_stop(node);
    assert_int_equal(atomic_load(&ends[TN_END_STOPPED]), count);
    assert_turns_were_short();
    OK(tenon_node_disconnect(node, back.name));
    assert_int_equal(pthread_join(reader, NULL), 0);
    close(gone.fd);
    close(back.fd);
}

/* ---- announcements ------------------------------------------------------ */

static uint32_t waiting_in(tenon_process *process)
{
    tn_lock(node);
    uint32_t count = process->mailbox_count;
    tn_unlock(node);
    return count;
}

static size_t offers_of(struct tn_x3m *x3m)
{
    tn_x3m_lock(x3m);
    size_t offers = x3m->remotes.offers;
    tn_x3m_unlock(x3m);
    return offers;
}

/* {register_remote_services, {node, %{service => module}}} */
static void
announce(const struct peer *from, const char *registry, size_t count)
{
    tenon_builder *built = tenon_builder_new();
    char service[32];
    uint8_t atom[64];
    assert_non_null(built);
    tenon_build_tuple(built, 2);
    tenon_build_atom(built, "register_remote_services");
    tenon_build_tuple(built, 2);
    tenon_build_atom(built, from->name);
    tenon_build_map(built, count);
    for (size_t i = 0; i < count; i++) {
        snprintf(service, sizeof service, "service_%zu", i);
        tenon_build_atom(built, service);
        tenon_build_atom(built, "Elixir.Some.Router");
    }
    struct tn_buf out;
    struct tn_signal signal = { .kind = TN_SIG_SEND_NAME,
                                .from = from->pid,
                                .to = make_atom(atom, registry) };
    OK(tenon_builder_term(built, &signal.payload));
    tn_buf_init(&out, SIZE_MAX);
    add_signal(&out, &signal);
    send_buf(from, &out);
    tenon_builder_free(built);
}

static void a_long_announcement_is_taken_by_a_worker(void **state)
{
    size_t count = sized(100000, 10000);
    size_t kept = count < TN_PEER_OFFERS_MAX ? count : TN_PEER_OFFERS_MAX;
    tenon_process *box = new_box(node, "box");
    tenon_error err = { 0 };
    struct peer from, other;
    struct gate gate;
    (void)state;
    struct tn_x3m *x3m = tn_x3m_start(node, &err);
    assert_non_null(x3m);
    join(&from, NULL);
    join(&other, NULL);
    close_worker(&gate);
    announce(&from, x3m->registry->name, count);
    send_message(&other, "box", 1);
    assert_next(box, "1");
    assert_int_equal(offers_of(x3m), 0);
    /* The connection ends before the announcement has been taken: what it
     * brought goes as well. */
    open_gate(&gate);
    WAIT_FOR(offers_of(x3m) == kept);
    OK(tenon_node_disconnect(node, from.name));
    WAIT_FOR(offers_of(x3m) == 0);
    assert_turns_were_short();
    close(from.fd);
    close(other.fd);
    end_box(box);
}

static void what_a_peer_announced_before_it_went_is_not_kept(void **state)
{
    tenon_error err = { 0 };
    struct peer from;
    struct gate gate;
    (void)state;
    struct tn_x3m *x3m = tn_x3m_start(node, &err);
    assert_non_null(x3m);
    join(&from, NULL);
    close_worker(&gate);
    announce(&from, x3m->registry->name, 10000);
    WAIT_FOR(waiting_in(x3m->registry) > 0);
    OK(tenon_node_disconnect(node, from.name));
    WAIT_FOR(waiting_in(x3m->registry) > 1);
    open_gate(&gate);
    WAIT_FOR(waiting_in(x3m->registry) == 0);
    WAIT_FOR(offers_of(x3m) == 0);
    close(from.fd);
}

/* ---- rules --------------------------------------------------------------- */

/* As many patterns as there may be, none of which fits before much of a name
 * has been read again and again. */
static void write_rules(const char *file, unsigned count)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    for (unsigned i = 1; i < count; i++) {
        fprintf(out, "{peer, '*aaaaaaaaaaaaaaaaaaaab@%u', all}.\n", i);
    }
    fprintf(out, "{peer, '*', all}.\n");
    assert_int_equal(fclose(out), 0);
}

#define JUDGED 40u

static void rules_are_read_again_over_turns(void **state)
{
    static const char file[] = "/tmp/tenon-turns-rules";
    unsigned count = (unsigned)sized(JUDGED, 4);
    struct peer peers[JUDGED];
    char path[64];
    tenon_error err = { 0 };
    (void)state;
    snprintf(path, sizeof path, "%s-%ld", file, (long)getpid());
    for (unsigned i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name,
                 "%03uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@localhost",
                 i);
        join(&peers[i], name);
    }
    write_rules(path, TENON_RULES_MAX);
    node->rules_file = strdup(path);
    OK(tenon_node_reload_rules(node, &err));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(stats_of(node).peers, count);
    assert_turns_were_short();
    for (unsigned i = 0; i < count; i++) {
        close(peers[i].fd);
    }
}

/* ---- TLS ---------------------------------------------------------------- */

#define CLIENTS 64

static char certs[] = "/tmp/tenon-turns-XXXXXX";

static int start_tls_node(void **state)
{
    static char pem[64];
    char command[160];
    (void)state;
    assert_non_null(mkdtemp(certs));
    snprintf(command, sizeof command, "sh test/make-certs %s localhost", certs);
    assert_int_equal(system(command), 0);
    snprintf(pem, sizeof pem, "%s/rsa.pem", certs);
    return start_node_with(
        1, (const char *const[]){ "server_certfile", pem, "server_verify",
                                  "verify_none", "client_verify", "verify_none",
                                  NULL });
}

static int stop_tls_node(void **state)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", certs);
    assert_int_equal(system(command), 0);
    return stop_node(state);
}

/* From an address of its own: there are limits for each. */
static int connect_from(unsigned number)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
#ifdef __linux__
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
#else
    (void)number;
#endif
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(tenon_node_port(node));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Whether it is over; not when it waits for the other side. */
static bool shake(SSL *ssl)
{
    int rc = SSL_do_handshake(ssl);
    if (rc == 1) {
        return true;
    }
    assert_int_equal(SSL_get_error(ssl, rc), SSL_ERROR_WANT_READ);
    return false;
}

static bool all_are_secured(SSL *clients[CLIENTS])
{
    bool all = true;
    for (unsigned i = 0; i < CLIENTS; i++) {
        all &= shake(clients[i]);
    }
    return all;
}

static void do_nothing(tenon_node *of, void *user)
{
    (void)of;
    (void)user;
}

static void handshakes_begun_at_once_are_shared_out_over_turns(void **state)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *clients[CLIENTS];
    struct gate gate;
    (void)state;
    assert_non_null(context);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = SSL_new(context);
        assert_non_null(clients[i]);
        assert_int_equal(SSL_set_fd(clients[i], connect_from(i)), 1);
        SSL_set_connect_state(clients[i]);
    }
    /* Some turns, in which all are accepted; then they begin at once. */
    for (unsigned i = 0; i < CLIENTS; i++) {
        OK(tn_node_call_on_loop(node, do_nothing, NULL));
    }
    close_loop(&gate);
    for (unsigned i = 0; i < CLIENTS; i++) {
        (void)shake(clients[i]);
    }
    open_gate(&gate);
    WAIT_FOR(all_are_secured(clients));
    assert_turns_were_short();
    for (unsigned i = 0; i < CLIENTS; i++) {
        int fd = SSL_get_fd(clients[i]);
        SSL_free(clients[i]);
        close(fd);
    }
    SSL_CTX_free(context);
}

/* ---- process groups ----------------------------------------------------- */

static bool has_members(size_t count)
{
    tenon_builder *built = tenon_builder_new();
    tenon_value *group = tenon_value_format(":crowd");
    tenon_term members;
    assert_non_null(built);
    OK(tenon_pg_members(node, NULL, tenon_value_term(group), TENON_PG_ALL,
                        built));
    OK(tenon_builder_term(built, &members));
    bool has = tenon_term_count(members) == count;
    tenon_value_free(group);
    tenon_builder_free(built);
    return has;
}

/* {'$gen_cast', {sync, Scope, [{crowd, [Pid]}]}} */
static void sync_groups(const struct peer *from, size_t count)
{
    tenon_builder *built = tenon_builder_new();
    tenon_pid pid = { .creation = 2000 };
    uint8_t atom[16];
    assert_non_null(built);
    snprintf(pid.node, sizeof pid.node, "%s", from->name);
    tenon_build_tuple(built, 2);
    tenon_build_atom(built, "$gen_cast");
    tenon_build_tuple(built, 3);
    tenon_build_atom(built, "sync");
    tenon_build_term(built, from->pid);
    tenon_build_list(built, 1);
    tenon_build_tuple(built, 2);
    tenon_build_atom(built, "crowd");
    tenon_build_list(built, count);
    for (size_t i = 0; i < count; i++) {
        pid.id = (uint32_t)(i & 0x7fff);
        pid.serial = (uint32_t)(i >> 15);
        tenon_build_pid(built, &pid);
    }
    tenon_build_nil(built);
    tenon_build_nil(built);
    struct tn_buf out;
    struct tn_signal signal = { .kind = TN_SIG_SEND_NAME,
                                .from = from->pid,
                                .to = make_atom(atom, "pg") };
    OK(tenon_builder_term(built, &signal.payload));
    tn_buf_init(&out, SIZE_MAX);
    add_signal(&out, &signal);
    send_buf(from, &out);
    tenon_builder_free(built);
}

static void many_members_of_a_group_are_for_a_worker(void **state)
{
    size_t count = sized(100000, 8000);
    tenon_error err = { 0 };
    struct peer from;
    struct gate gate;
    (void)state;
    OK(tenon_pg_start(node, NULL, &err));
    join(&from, NULL);
    close_worker(&gate);
    sync_groups(&from, count);
    WAIT_FOR(stats_of(node).bytes_in > 10 * count);
    assert_true(has_members(0));
    open_gate(&gate);
    WAIT_FOR(has_members(count));
    OK(tenon_node_disconnect(node, from.name));
    WAIT_FOR(has_members(0));
    assert_turns_were_short();
    close(from.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_node, stop_node)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(turns_of_the_loop_are_counted),
        cmocka_unit_test(the_loop_has_a_worker_s_stack_whatever_the_limit),
        TEST(a_large_frame_is_read_by_a_worker_while_others_are_served),
        TEST(a_large_message_for_the_client_is_not_read_by_the_loop),
        TEST(a_large_message_for_a_task_is_not_read_by_the_loop),
        TEST(a_large_message_for_a_task_s_owner_is_not_read_by_the_loop),
        TEST(a_large_message_for_an_inline_server_is_for_a_worker),
        TEST(a_connection_that_ends_while_its_frame_is_read_is_lost),
        TEST(a_large_frame_that_breaks_the_protocol_ends_its_connection),
        TEST(bursts_of_many_peers_are_shared_out_over_turns),
        TEST(the_end_of_a_connection_with_many_monitors_is_shared_out),
        TEST(the_end_of_a_process_with_many_monitors_is_shared_out),
        TEST(many_monitors_of_a_peer_come_and_go_over_turns),
        TEST(many_links_of_a_peer_come_and_go_over_turns),
        cmocka_unit_test_setup_teardown(
            handshakes_begun_at_once_are_shared_out_over_turns, start_tls_node,
            stop_tls_node),
        TEST(a_large_reply_is_not_copied_on_the_loop),
        TEST(a_large_reply_to_the_client_is_not_copied_on_the_loop),
        TEST(as_many_requests_as_may_be_open_end_over_turns),
        TEST(rules_are_read_again_over_turns),
        TEST(a_long_announcement_is_taken_by_a_worker),
        TEST(what_a_peer_announced_before_it_went_is_not_kept),
        TEST(many_members_of_a_group_are_for_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
