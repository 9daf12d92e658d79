/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of terms that cost a reader more than its share: each reader of a
 * peer's terms is given terms of up to 256 KiB, and must stay below a ceiling
 * for each byte. A reader that walks a part again for each level around it, or
 * that compares each element with all others, is far above.
 *
 * The input does not hold the term, but how to make it: repetition, nesting and
 * the messages of each protocol cost few bytes (input.h), so that mutation moves
 * from shape to shape instead of breaking bytes. What costs more for a byte than
 * anything before counts as new to the fuzzer, by counters of this target.
 *
 * Cost is the number of edges of the program's flow that are executed, counted
 * by the calls that clang puts there (-fsanitize-coverage=trace-pc, FUZZER=cost in
 * the Makefile): the same for each run, on each machine, under any load, which
 * neither clocks nor the 8-bit counters of libFuzzer are. A replay by a compiler
 * without them takes this thread's CPU time instead, with a ceiling so high that
 * only what is not linear reaches it.
 *
 *   0  the reader
 *   1  the term */
#include <time.h>

#define SIM_STEPS 1000

#include "fuzz/input.h"
#include "otp/gen.h"
#include "otp/io.h"
#include "otp/pg_impl.h"
#include "term/canonical.h"
#include "term/scan.h"
#include "unit/otp/global_sim.h"
#include "unit/support/hash_key.h"
#include "unit/x3m/bare_node.h"
#include "x3m/message.h"
#include "x3m/registry_message.h"
#include "x3m/services.h"

#ifdef TN_HOSTILE
/* Buffers move at each append, which is quadratic: nothing is asserted. */
#define TERM_MAX_BYTES (8u * 1024u)
#else
#define TERM_MAX_BYTES (256u * 1024u)
#endif
/* What a small term may cost, in bytes of a large one. */
#define SMALL_BYTES 4096u
/* Three times as much as the dearest known, small maps that are walked. */
#define EDGES_PER_BYTE_MAX 200u
#ifdef TN_HOSTILE
#define NS_PER_BYTE_MAX UINT32_MAX
#else
#define NS_PER_BYTE_MAX 5000u
#endif

static const char *const atoms[] = {
    "a",
    "b",
    "g",
    "true",
    "__struct__",
    "Elixir.X3m.System.Message",
    "service_name",
    "events",
    "global",
    "random_exit_name",
};
static const char *const nodes[] = { "a@sim", "b@sim", "c@sim", "d@h" };
static const char *const shapes[] = {
    "{:\"$gen_call\", {#PID<b@sim.2.0>, 1}, ~t}",
    "{:\"$gen_cast\", ~t}",
    "{:register, ~t, ~t, ~t}",
    "{:set_lock, {~t, ~t}}",
    "{:sync, ~t}",
    "{:init_connect, {8, ~t}, :b@sim, {:locker, 1, ~t, #PID<b@sim.1.0>}}",
    "{:exchange, :b@sim, ~t, ~t, 1}",
    "{:resolved, :b@sim, ~t, ~t, ~t, ~t, 1}",
    "{:new_nodes, :b@sim, ~t, ~t, ~t, ~t}",
    "{:lost_connection, :b@sim, ~t, ~t, ~t}",
    "{:insert, {~t, #PID<b@sim.3.0>, ~t, []}}",
    "{~t, #PID<b@sim.3.0>, ~t}",
    "{:sync, #PID<b@sim.9.0>, ~t}",
    "{:join, #PID<b@sim.9.0>, ~t, ~t}",
    "{:leave, #PID<b@sim.9.0>, ~t, ~t}",
    "{~t, ~t}",
    "{:register_remote_services, {:b@sim, ~t}}",
    "%{__struct__: :\"Elixir.X3m.System.Message\", service_name: :s, "
    "id: \"1\", correlation_id: \"1\", causation_id: nil, logger_metadata: ~t, "
    "invoked_at: nil, dry_run: false, raw_request: ~t, request: ~t, "
    "valid?: true, assigns: ~t, response: ~t, events: ~t, "
    "aggregate_meta: ~t, origin_node: :a@h, reply_to: #PID<a@h.1.0>, "
    "halted?: false}",
    "[~t | ~t]",
    "%{~t => ~t}",
    "\"~p ~s ~w\"",
    "[126, 112 | ~t]",
};
static const struct words words = WORDS(atoms, nodes, shapes);

/* ---- counting ---------------------------------------------------------- */

/* The linker puts this in the place of what the compiler calls at each edge. */
void __wrap___sanitizer_cov_trace_pc(void);

static uint64_t edges;

#ifdef __clang__
__attribute__((no_sanitize("coverage")))
#endif
void __wrap___sanitizer_cov_trace_pc(void)
{
    edges++;
}

/* Edges, or nanoseconds when they are not counted. */
static uint64_t cost_now(void)
{
    struct timespec now = { 0 };

    if (edges > 0) {
        return edges;
    }
    MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- readers ----------------------------------------------------------- */

/* A term, one that is much like it, and what readers need. What is made
 * ready before is not counted. */
struct subject {
    tenon_term term, twin;
    struct sim *sim;
    struct tn_pg_scope pg;
    struct bare_node bare;
    tenon_value *self;
    tenon_builder *out;
    char *text;
};

static void read_scan(struct subject *s)
{
    size_t used;

    MUST(tn_scan(s->term.bytes, s->term.len, &used, NULL) == TENON_OK);
}

static void read_depth(struct subject *s)
{
    MUST(tn_scan_depth(s->term.bytes, s->term.len) <= TENON_TERM_MAX_DEPTH);
}

static void read_canonical(struct subject *s)
{
    (void)tn_build_canonical(s->out, s->term);
}

static void read_compare(struct subject *s)
{
    (void)tenon_term_compare(s->term, s->twin);
}

static void read_equal(struct subject *s)
{
    (void)tenon_term_equal(s->term, s->twin);
}

static void read_print(struct subject *s)
{
    (void)tenon_term_print(s->term, s->text, 4 * TERM_MAX_BYTES);
}

static void read_match(struct subject *s)
{
    static const char *const patterns[] = {
        "%{a: ~t, b: ~t}",
        "[~t, ~t | ~t]",
        "{~t, {~t, [~t]}, ~t}",
        "[_, _, {:a, ~t}]",
        "%{1 => %{1 => %{1 => ~t}}}",
    };
    tenon_term a, b, c;

    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        (void)tenon_match(s->term, patterns[i], &a, &b, &c);
    }
}

static void walk(tenon_term term, unsigned depth)
{
    tenon_cursor at;
    tenon_term element;

    tenon_cursor_init(&at, term);
    while (depth < 16 && tenon_cursor_next(&at, &element)) {
        walk(element, depth + 1);
    }
    (void)tenon_term_is_proper_list(term);
}

static void read_walk(struct subject *s)
{
    walk(s->term, 0);
}

static void read_format(struct subject *s)
{
    static const uint8_t text[] = "\x6d\x00\x00\x00\x08~p ~s~n~";
    tenon_term pair[2], format = { text, 13 };
    struct tn_buf out;

    tn_buf_init(&out, TN_IO_TEXT_MAX_BYTES);
    (void)!tn_io_text(&out, TENON_IO_UNICODE, s->term);
    (void)!tn_io_format(&out, format, s->term);
    if (tn_list_views(s->term, pair, 2) || tn_tuple_views(s->term, pair, 2)) {
        (void)!tn_io_format(&out, pair[0], pair[1]);
    }
    tn_buf_fini(&out);
}

static void read_global(struct subject *s)
{
    tn_global_message(s->sim->node[0].global, s->term);
}

static void read_pg(struct subject *s)
{
    (void)!tn_pg_scope_feed(&s->pg, s->term);
}

static void read_registry(struct subject *s)
{
    struct tn_registry_message message;
    struct tn_remotes remotes = { .hash_key = &test_hash_key };
    size_t left_out;

    if (tn_registry_read(s->term, &message) == TENON_OK &&
        message.kind == TN_REGISTRY_REGISTER) {
        (void)!tn_remotes_fold(&remotes, message.node.text, message.services,
                               &left_out);
        tn_remotes_fini(&remotes);
    }
}

static void read_message(struct subject *s)
{
    tenon_error err;
    tenon_message *message =
        tenon_message_from_term(s->bare.node, s->term, &err);

    if (message == NULL) {
        return;
    }
    (void)tenon_message_assign(message, "a", s->term);
    (void)tenon_message_put_in_raw_request(message, s->term, s->term);
    (void)tenon_message_add_event(message, s->term);
    (void)tenon_message_put_aggregate_meta(message, "a", s->term);
    (void)tenon_message_term(message);
    tenon_message_free(message);
}

static const struct reader {
    const char *name;
    void (*read)(struct subject *s);
} readers[] = {
    { "scan", read_scan },
    { "depth", read_depth },
    { "canonical", read_canonical },
    { "compare", read_compare },
    { "equal", read_equal },
    { "print", read_print },
    { "match", read_match },
    { "walk", read_walk },
    { "format", read_format },
    { "global", read_global },
    { "pg", read_pg },
    { "registry", read_registry },
    { "message", read_message },
};

/* ---- what is new to the fuzzer ------------------------------------------ */

#define LEVELS 128u

/* libFuzzer looks at these as at its own counters. */
static uint8_t levels[COUNT_OF(readers) * LEVELS]
    __attribute__((used, section("__libfuzzer_extra_counters")));

/* A level for each eighth more of cost for a byte. */
static void note_level(size_t reader, uint64_t cost, size_t len)
{
    uint64_t of_byte = 16 * cost / (len + SMALL_BYTES);
    unsigned level = 0;

    while (of_byte > 8 && level < LEVELS - 1) {
        of_byte -= of_byte / 8 + 1;
        level++;
    }
    levels[reader * LEVELS + level] = 1;
}

/* ---- one input --------------------------------------------------------- */

static void pg_send(void *user, tenon_term to, tenon_term message)
{
    (void)user;
    (void)to;
    (void)message;
}

static enum tenon_err pg_monitor(void *user, tenon_term pid, tenon_ref *ref)
{
    (void)user;
    (void)pid;
    *ref = (tenon_ref){ .creation = 1, .word_count = 1, .node = "a@sim" };
    return TENON_OK;
}

static void pg_demonitor(void *user, const tenon_ref *ref)
{
    (void)user;
    (void)ref;
}

static void
pg_changed(void *user, bool joined, tenon_term group, tenon_term pids)
{
    (void)user;
    (void)joined;
    (void)group;
    (void)pids;
}

static const struct tn_pg_ops pg_ops = { .send = pg_send,
                                         .monitor = pg_monitor,
                                         .demonitor = pg_demonitor,
                                         .changed = pg_changed };

static void make_ready(struct subject *s)
{
    static struct sim sim;
    tenon_value *discover = tenon_value_format("{:discover, #PID<b@sim.9.0>}");

    s->out = tenon_builder_new();
    s->text = malloc(4 * TERM_MAX_BYTES);
    s->self = tenon_value_format("#PID<a@sim.1.0>");
    MUST(s->out != NULL && s->text != NULL && s->self != NULL);
    s->sim = &sim;
    MUST(sim_init(&sim, 2));
    sim_link(&sim, 0, 1);
    tn_pg_scope_init(&s->pg, &pg_ops, NULL, &test_hash_key,
                     tenon_value_term(s->self));
    s->pg.watched = true;
    MUST(tn_pg_scope_feed(&s->pg, tenon_value_term(discover)) == TENON_OK);
    bare_node_start(&s->bare);
    tenon_value_free(discover);
}

static void clean_up(struct subject *s)
{
    tn_pg_scope_fini(&s->pg);
    sim_fini(s->sim);
    bare_node_stop(&s->bare);
    tenon_value_free(s->self);
    tenon_builder_free(s->out);
    free(s->text);
}

static void must_be_cheap(size_t which, tenon_term term, tenon_term twin)
{
    struct subject subject = { .term = term, .twin = twin };
    const uint64_t most = edges > 0 ? EDGES_PER_BYTE_MAX : NS_PER_BYTE_MAX;

    make_ready(&subject);
    uint64_t begun = cost_now();

    readers[which].read(&subject);
    uint64_t cost = cost_now() - begun;

    note_level(which, cost, term.len);
    if (cost > most * (term.len + SMALL_BYTES)) {
        fprintf(stderr, "%s of %zu bytes: %llu %s\n", readers[which].name,
                term.len, (unsigned long long)cost, edges > 0 ? "edges" : "ns");
        MUST(cost <= most * (term.len + SMALL_BYTES));
    }
    clean_up(&subject);
}

/* Mostly the same term but for its end, which is what costs a comparison most.
 * len: of what the term was made of. */
static tenon_value *make_twin(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len + 1);

    MUST(copy != NULL);
    memcpy(copy, data, len);
    if (len > 0) {
        copy[len - 1] ^= 1;
    }
    struct input in = {
        .at = copy, .end = copy + len, .words = &words, .room = TERM_MAX_BYTES
    };

    (void)input_byte(&in);
    tenon_value *twin = input_value(&in, 0);

    free(copy);
    return twin;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {
        .at = data, .end = data + len, .words = &words, .room = TERM_MAX_BYTES
    };
    size_t which = input_byte(&in) % COUNT_OF(readers);
    tenon_value *value = input_value(&in, 0);
    tenon_value *twin = make_twin(data, (size_t)(in.at - data));

    if (value != NULL && twin != NULL) {
        must_be_cheap(which, tenon_value_term(value), tenon_value_term(twin));
    }
    tenon_value_free(value);
    tenon_value_free(twin);
    return 0;
}
