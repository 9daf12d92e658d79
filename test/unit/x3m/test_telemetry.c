/* SPDX-License-Identifier: Apache-2.0 */
/* What hooks are told of a node's services, what is counted of them, and where
 * their handlers' log lines go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "otp/io.h"
#include "otp/metrics.h"
#include "unit/otp/own_node.h"
#include "x3m/x3m.h"

#define ROUTER "Elixir.T.Router"

/* ---- the node ------------------------------------------------------------ */

/* The last log line of a handler, and how many there were. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char line[1024];
    unsigned count;
} logged = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", 0 };

static void
catch_line(void *user, enum tenon_log_level level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    char text[sizeof logged.line];

    snprintf(text, sizeof text, "%.*s", (int)len, line);
    if (strstr(text, "event=log ") == NULL) {
        return;
    }
    pthread_mutex_lock(&logged.lock);
    memcpy(logged.line, text, sizeof text);
    logged.count++;
    pthread_cond_signal(&logged.changed);
    pthread_mutex_unlock(&logged.lock);
}

static void forget_lines(void)
{
    pthread_mutex_lock(&logged.lock);
    logged.line[0] = '\0';
    logged.count = 0;
    pthread_mutex_unlock(&logged.lock);
}

/* Waits until the last line has this in it. */
static void await_line(const char *part)
{
    struct timespec deadline;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&logged.lock);
    while (strstr(logged.line, part) == NULL && rc == 0) {
        rc = pthread_cond_timedwait(&logged.changed, &logged.lock, &deadline);
    }
    pthread_mutex_unlock(&logged.lock);
    if (rc != 0) {
        fail_msg("no line with %s, but: %s", part, logged.line);
    }
}

/* Nothing has been logged since forget_lines. */
static void assert_no_line(tenon_node *node)
{
    tenon_node_log(node, TENON_LOG_WARNING, "log", "line", "last", NULL);
    await_line("line=last");
    assert_int_equal(logged.count, 1);
}

static void echo(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_ok(call, "~t", tenon_call_request(call));
}

static void raise_it(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, ":raised");
}

static void log_line(tenon_call *call, void *user)
{
    (void)user;
    tenon_log(call, TENON_LOG_DEBUG, "not at this level", NULL);
    tenon_log(call, TENON_LOG_WARNING, "text of \"it\"", "step", "two",
              "nothing", NULL, NULL);
    tenon_reply_ok(call, ":logged");
}

static void
authorize(const tenon_message *message, tenon_builder *verdict, void *user)
{
    (void)user;
    if (tenon_term_is_atom(tenon_message_get(message, "raw_request"), "deny")) {
        tenon_build_atom(verdict, "denied");
    }
}

static tenon_router *router;

static int start(void **state)
{
    tenon_node *node = own_node_start_logging(catch_line);
    OK(tn_io_start(node, NULL));
    OK(tn_metrics_start(node, NULL));
    router = tenon_router_new(node, ROUTER);
    OK(tenon_service(router, "echo", echo, NULL));
    OK(tenon_service(router, "fail", raise_it, NULL));
    OK(tenon_service(router, "log", log_line, NULL));
    OK(tenon_servicep(router, "secret", echo, NULL));
    OK(tenon_router_authorize(router, authorize, NULL));
    OK(tenon_register_services(router));
    *state = node;
    return 0;
}

static void dispatch(tenon_node *node, const char *service, const char *raw)
{
    tenon_value *request = tenon_value_format(raw);
    tenon_message *reply = NULL,
                  *message = tenon_message_new(
                      node, service,
                      &(tenon_message_options){
                          .raw_request = tenon_value_term(request) });
    assert_non_null(message);
    OK(tenon_dispatch(node, message, DEADLINE_MS, &reply, NULL));
    tenon_message_free(reply);
    tenon_message_free(message);
    tenon_value_free(request);
}

/* ---- hooks --------------------------------------------------------------- */

/* What hooks have been told: each event's name and its maps' keys. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char lines[32][200];
    unsigned count;
} told = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, { "" }, 0 };

static void put_keys(char *line, size_t cap, tenon_term map)
{
    tenon_cursor at;
    tenon_term key, value;
    tenon_cursor_init(&at, map);
    while (tenon_cursor_next_pair(&at, &key, &value)) {
        size_t len = strlen(line);
        tenon_atom name;
        OK(tenon_term_atom(key, &name));
        snprintf(line + len, cap - len, " %s", name.text);
    }
}

static void note(void *user, const tenon_telemetry_event *event)
{
    pthread_mutex_lock(&told.lock);
    char *line = told.lines[told.count++ % 32];
    size_t cap = sizeof told.lines[0];
    (void)user;
    snprintf(line, cap, "%s:", event->name);
    put_keys(line, cap, event->measurements);
    strcat(line, " |");
    put_keys(line, cap, event->metadata);
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static bool is_told_locked(const char *line)
{
    for (unsigned i = 0; i < told.count && i < 32; i++) {
        if (strcmp(told.lines[i], line) == 0) {
            return true;
        }
    }
    return false;
}

static void await_told(const char *line)
{
    struct timespec deadline;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&told.lock);
    while (!is_told_locked(line) && rc == 0) {
        rc = pthread_cond_timedwait(&told.changed, &told.lock, &deadline);
    }
    pthread_mutex_unlock(&told.lock);
    if (rc != 0) {
        fail_msg("never told: %s", line);
    }
}

static void forget_told(void)
{
    pthread_mutex_lock(&told.lock);
    told.count = 0;
    pthread_mutex_unlock(&told.lock);
}

static const char *const served_events[] = {
    "discovering_service: start mono_start | message caller_node",
    "service_found: time duration | message caller_node service_node",
    "invoking_service: start mono_start | message caller_node service_node",
    "service_responded: time duration | message caller_node service_node",
    "service_request_received: | service visibility origin_node",
    "executing_service: start mono_start | node service",
    "execution_finished: time duration | message",
};

static void a_dispatch_to_an_own_service_tells_both_sides_events(void **state)
{
    tenon_node *node = *state;
    forget_told();
    OK(tenon_telemetry_attach(node, "all", NULL, note, NULL));
    dispatch(node, "echo", "1");
    for (size_t i = 0; i < sizeof served_events / sizeof *served_events; i++) {
        await_told(served_events[i]);
    }
    OK(tenon_telemetry_detach(node, "all"));
    assert_int_equal(told.count, 7);
}

static void a_service_that_nobody_offers_is_not_found(void **state)
{
    tenon_node *node = *state;
    forget_told();
    OK(tenon_telemetry_attach(node, "all", NULL, note, NULL));
    dispatch(node, "nowhere", "1");
    OK(tenon_telemetry_detach(node, "all"));
    assert_int_equal(told.count, 2);
    assert_true(is_told_locked(served_events[0]));
    assert_true(is_told_locked(
        "service_not_found: time duration | message caller_node"));
}

static void asking_for_authorization_is_told(void **state)
{
    tenon_node *node = *state;
    tenon_message *message = tenon_message_new(node, "echo", NULL);
    tenon_value *answer = NULL;
    forget_told();
    OK(tenon_telemetry_attach(node, "all", NULL, note, NULL));
    OK(tenon_authorized(node, message, DEADLINE_MS, &answer, NULL));
    OK(tenon_telemetry_detach(node, "all"));
    assert_int_equal(told.count, 1);
    assert_string_equal(told.lines[0],
                        "checking_if_service_call_is_authorized: start "
                        "mono_start | message caller_node");
    tenon_value_free(answer);
    tenon_message_free(message);
}

static void note_services(void *user, const tenon_telemetry_event *event)
{
    snprintf(user, 200, "%s", text_of(event->metadata));
}

static void registering_tells_public_and_private_services(void **state)
{
    tenon_node *node = *state;
    char text[200] = "";
    OK(tenon_telemetry_attach(node, "r", "register_local_services",
                              note_services, text));
    OK(tenon_register_services(router));
    OK(tenon_telemetry_detach(node, "r"));
    assert_string_equal(text, "%{private: %{secret: T.Router}, public: %{echo: "
                              "T.Router, fail: T.Router, log: T.Router}}");
}

static void nodes_that_come_and_go_are_told(void **state)
{
    tenon_node *node = *state;
    char text[200] = "";
    OK(tenon_telemetry_attach(node, "up", "node_joined", note_services, text));
    tn_telemetry_node(tn_x3m_get(node), true, "a@b");
    assert_string_equal(text, "%{node: :a@b}");
    OK(tenon_telemetry_detach(node, "up"));
    OK(tenon_telemetry_attach(node, "down", "node_left", note_services, text));
    tn_telemetry_node(tn_x3m_get(node), false, "c@d");
    assert_string_equal(text, "%{node: :c@d}");
    OK(tenon_telemetry_detach(node, "down"));
}

static void count_event(void *user, const tenon_telemetry_event *event)
{
    unsigned *count = user;
    assert_string_equal(event->name, "handle_msg");
    assert_int_equal(tenon_term_type(event->measurements), TENON_TYPE_MAP);
    assert_int_equal(tenon_term_type(event->metadata), TENON_TYPE_MAP);
    (*count)++;
}

static const tenon_term nothing = { NULL, 0 };

static void an_event_reaches_the_hooks_that_are_attached_to_it(void **state)
{
    tenon_node *node = *state;
    unsigned one = 0, two = 0;
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    OK(tenon_telemetry_attach(node, "one", "handle_msg", count_event, &one));
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    OK(tenon_telemetry_attach(node, "two", "handle_msg", count_event, &two));
    OK(tenon_telemetry_execute(node, "new_aggr_spawned", nothing, nothing));
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    OK(tenon_telemetry_detach(node, "one"));
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    OK(tenon_telemetry_detach(node, "two"));
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    assert_int_equal(one, 2);
    assert_int_equal(two, 2);
}

static void detach_itself(void *user, const tenon_telemetry_event *event)
{
    enum tenon_err *rc = user;
    *rc = tenon_telemetry_detach(event->node, "self");
}

static void a_hook_may_not_detach(void **state)
{
    tenon_node *node = *state;
    enum tenon_err rc = TENON_OK;
    OK(tenon_telemetry_attach(node, "self", "handle_msg", detach_itself, &rc));
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    assert_int_equal(rc, TENON_E_NOT_ALLOWED);
    OK(tenon_telemetry_detach(node, "self"));
}

/* A hook that is held up, and who detaches it meanwhile. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, may_end, ended;
    bool ended_at_detach;
} slow = { .lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER };

static void run_slowly(void *user, const tenon_telemetry_event *event)
{
    (void)user;
    (void)event;
    pthread_mutex_lock(&slow.lock);
    slow.running = true;
    pthread_cond_broadcast(&slow.changed);
    while (!slow.may_end) {
        pthread_cond_wait(&slow.changed, &slow.lock);
    }
    slow.ended = true;
    pthread_mutex_unlock(&slow.lock);
}

static void *execute_slow(void *node)
{
    OK(tenon_telemetry_execute(node, "handle_msg", nothing, nothing));
    return NULL;
}

static void *detach_slow(void *node)
{
    OK(tenon_telemetry_detach(node, "slow"));
    pthread_mutex_lock(&slow.lock);
    slow.ended_at_detach = slow.ended;
    pthread_mutex_unlock(&slow.lock);
    return NULL;
}

static void a_detached_hook_is_not_running_any_more(void **state)
{
    tenon_node *node = *state;
    pthread_t executing, detaching;
    OK(tenon_telemetry_attach(node, "slow", "handle_msg", run_slowly, NULL));
    assert_int_equal(pthread_create(&executing, NULL, execute_slow, node), 0);
    pthread_mutex_lock(&slow.lock);
    while (!slow.running) {
        pthread_cond_wait(&slow.changed, &slow.lock);
    }
    pthread_mutex_unlock(&slow.lock);
    assert_int_equal(pthread_create(&detaching, NULL, detach_slow, node), 0);
    /* The id is free as soon as the detaching has begun. */
    while (tenon_telemetry_attach(node, "slow", "handle_msg", note, NULL) ==
           TENON_E_EXISTS) {
        tenon_sleep(node, 1);
    }
    pthread_mutex_lock(&slow.lock);
    slow.may_end = true;
    pthread_cond_broadcast(&slow.changed);
    pthread_mutex_unlock(&slow.lock);
    pthread_join(executing, NULL);
    pthread_join(detaching, NULL);
    assert_true(slow.ended_at_detach);
    OK(tenon_telemetry_detach(node, "slow"));
}

static void detach_on_loop(tenon_node *node, void *user)
{
    enum tenon_err *rc = user;
    *rc = tenon_telemetry_detach(node, "any");
}

static void the_loop_may_not_detach(void **state)
{
    enum tenon_err rc = TENON_OK;
    OK(tn_node_call_on_loop(*state, detach_on_loop, &rc));
    assert_int_equal(rc, TENON_E_NOT_ALLOWED);
}

static void what_cannot_be_attached_is_refused(void **state)
{
    tenon_node *node = *state;
    const uint8_t one_bytes[] = { 97, 1 };
    const tenon_term one = { one_bytes, sizeof one_bytes };
    char id[16];
    assert_int_equal(tenon_telemetry_attach(NULL, "x", NULL, note, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_telemetry_attach(node, NULL, NULL, note, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_telemetry_attach(node, "x", NULL, NULL, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_telemetry_attach(node, "x", "unheard", note, NULL),
                     TENON_E_INVAL);
    assert_int_equal(tenon_telemetry_detach(node, "x"), TENON_E_NOT_FOUND);
    assert_int_equal(tenon_telemetry_detach(node, NULL), TENON_E_INVAL);
    assert_int_equal(tenon_telemetry_execute(node, "unheard", nothing, nothing),
                     TENON_E_INVAL);
    assert_int_equal(tenon_telemetry_execute(node, "handle_msg", one, nothing),
                     TENON_E_INVAL);
    for (int i = 0; i < TENON_TELEMETRY_HOOKS_MAX; i++) {
        snprintf(id, sizeof id, "hook %d", i);
        OK(tenon_telemetry_attach(node, id, "handle_msg", note, NULL));
    }
    assert_int_equal(tenon_telemetry_attach(node, "hook 0", NULL, note, NULL),
                     TENON_E_EXISTS);
    assert_int_equal(tenon_telemetry_attach(node, "too many", NULL, note, NULL),
                     TENON_E_LIMIT);
    for (int i = 0; i < TENON_TELEMETRY_HOOKS_MAX; i++) {
        snprintf(id, sizeof id, "hook %d", i);
        OK(tenon_telemetry_detach(node, id));
    }
}

/* ---- metrics ------------------------------------------------------------- */

/* The number at a path of keys, atoms; the last may be of a histogram. */
static uint64_t metric(tenon_node *node,
                       const char *section,
                       const char *service,
                       const char *count)
{
    tenon_value *map = NULL;
    tenon_value *args = tenon_value_format("[]");
    tenon_term at, latency;
    uint64_t number = UINT64_MAX;
    OK(tenon_rpc(node, NULL, "tenon", "metrics", tenon_value_term(args),
                 DEADLINE_MS, &map, NULL));
    OK(tenon_map_get_atom(tenon_value_term(map), section, &at));
    OK(tenon_map_get_atom(at, service, &at));
    if (count != NULL && tenon_map_get_atom(at, count, &latency) != TENON_OK) {
        OK(tenon_map_get_atom(at, "latency", &at));
        OK(tenon_map_get_atom(at, count, &latency));
    }
    OK(tenon_term_uint64(count == NULL ? at : latency, &number));
    tenon_value_free(args);
    tenon_value_free(map);
    return number;
}

static void calls_are_counted_by_service_and_outcome(void **state)
{
    tenon_node *node = *state;
    uint64_t calls = metric(node, "services", "echo", "calls");
    uint64_t replied = metric(node, "services", "echo", "count");
    uint64_t dispatched = metric(node, "dispatches", "echo", "count");
    forget_told();
    OK(tenon_telemetry_attach(node, "f", "execution_finished", note, NULL));
    dispatch(node, "echo", "1");
    await_told("execution_finished: time duration | message");
    OK(tenon_telemetry_detach(node, "f"));
    dispatch(node, "echo", ":deny");
    dispatch(node, "fail", "1");
    dispatch(node, "unoffered", "1");
    assert_int_equal(metric(node, "services", "echo", "calls"), calls + 2);
    assert_int_equal(metric(node, "services", "echo", "count"), replied + 1);
    assert_int_equal(metric(node, "services", "echo", "refused"), 1);
    assert_int_equal(metric(node, "services", "echo", "forwarded"), 0);
    assert_int_equal(metric(node, "services", "echo", "failed"), 0);
    assert_int_equal(metric(node, "services", "fail", "failed"), 1);
    assert_int_equal(metric(node, "services", "secret", "calls"), 0);
    assert_int_equal(metric(node, "dispatches", "echo", "count"),
                     dispatched + 2);
    assert_int_equal(metric(node, "dispatches", "fail", "failed"), 1);
    assert_int_equal(metric(node, "dispatches", "unoffered", "unavailable"), 1);
    assert_int_equal(metric(node, "dispatches", "unoffered", "timed_out"), 0);
    assert_int_equal(metric(node, "node", "peers", NULL), 0);
}

/* ---- log lines ------------------------------------------------------------ */

#define METADATA "[request_id: \"r-1\", \"a=b level\": {1, :two}]"

/* Calls the service `log` by rex, with a group leader and this metadata. */
static void
call_log(struct me *me, const tenon_pid *leader, tenon_term metadata)
{
    tenon_message *message =
        tenon_message_new(me->node, "log",
                          &(tenon_message_options){ .logger_metadata = metadata,
                                                    .reply_to = &me->pid });
    assert_non_null(message);
    tenon_value *request =
        tenon_value_format("{~p, {:call, ~a, :log, [~t], ~p}}", &me->pid,
                           ROUTER, tenon_message_term(message), leader);
    OK(tenon_send(me->node, TO("rex"), tenon_value_term(request), NULL));
    tenon_value_free(request);
    tenon_message_free(message);
}

/* The reply, and what rex gives; in no certain order. */
static void drop_answers(struct me *me)
{
    for (int i = 0; i < 2; i++) {
        tenon_value_free(next_message(me));
    }
}

static void a_line_stays_here_with_its_metadata(void **state)
{
    struct me me = me_new(*state), leader = me_new(*state);
    tenon_value *metadata = tenon_value_format(METADATA);
    call_log(&me, &leader.pid, tenon_value_term(metadata));
    drop_answers(&me);
    await_line(
        "level=warn event=log service=log text=\"text of \\\"it\\\"\" step=two "
        "meta.request_id=\"\\\"r-1\\\"\" meta.a_b_level=\"{1, :two}\"");
    assert_no_message(&leader);
    tenon_value_free(metadata);
    me_free(&leader);
    me_free(&me);
}

/* The text of an io request that came to a group leader. */
static void assert_written(struct me *leader, const char *expected)
{
    tenon_term text;
    const char *bytes;
    size_t len;
    tenon_value *message = next_message(leader);
    assert_true(tenon_match(tenon_value_term(message),
                            "{:io_request, _, _, {:put_chars, :unicode, ~t}}",
                            &text));
    assert_true(tenon_match(text, "~s", &bytes, &len));
    /* After the time, "14:07:31.123 ". */
    assert_int_equal(len, 13 + strlen(expected));
    assert_memory_equal(bytes + 13, expected, strlen(expected));
    tenon_value_free(message);
}

static void a_line_goes_to_the_callers_group_leader(void **state)
{
    struct me me = me_new(*state), leader = me_new(*state);
    tenon_value *metadata = tenon_value_format(METADATA);
    forget_lines();
    OK(tenon_router_ensure_local_logging(router, false));
    call_log(&me, &leader.pid, tenon_value_term(metadata));
    assert_written(&leader, "request_id=\"r-1\" a_b_level={1, :two} step=two "
                            "[warning] text of \"it\"\n");
    drop_answers(&me);
    assert_no_line(*state);
    tenon_value_free(metadata);
    OK(tenon_router_ensure_local_logging(router, true));
    assert_int_equal(tenon_router_ensure_local_logging(NULL, true),
                     TENON_E_INVAL);
    me_free(&leader);
    me_free(&me);
}

static void long_metadata_is_cut(void **state)
{
    struct me me = me_new(*state), leader = me_new(*state);
    static char text[20000], expected[400];
    memset(text, 'x', sizeof text);
    tenon_value *metadata =
        tenon_value_format("[big: ~b, long: ~b]", (const void *)text,
                           sizeof text, (const void *)text, (size_t)1000);
    call_log(&me, &leader.pid, tenon_value_term(metadata));
    drop_answers(&me);
    snprintf(expected, sizeof expected, "meta.big=... meta.long=\"\\\"%.*s\"",
             TENON_LOG_VALUE_MAX_BYTES - 2, text);
    await_line(expected);
    tenon_value_free(metadata);
    me_free(&leader);
    me_free(&me);
}

static void a_line_for_a_caller_of_this_node_stays_here(void **state)
{
    tenon_node *node = *state;
    forget_lines();
    OK(tenon_router_ensure_local_logging(router, false));
    dispatch(node, "log", "1");
    OK(tenon_router_ensure_local_logging(router, true));
    await_line("event=log service=log");
}

static void a_group_leader_among_the_metadata_comes_first(void **state)
{
    struct me me = me_new(*state), leader = me_new(*state);
    struct me named = me_new(*state);
    tenon_value *metadata = tenon_value_format("[gl: ~p, a: 1]", &named.pid);
    OK(tenon_router_ensure_local_logging(router, false));
    call_log(&me, &leader.pid, tenon_value_term(metadata));
    assert_written(&named, "a=1 step=two [warning] text of \"it\"\n");
    drop_answers(&me);
    assert_no_message(&leader);
    OK(tenon_router_ensure_local_logging(router, true));
    tenon_value_free(metadata);
    me_free(&named);
    me_free(&leader);
    me_free(&me);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dispatch_to_an_own_service_tells_both_sides_events),
        cmocka_unit_test(a_service_that_nobody_offers_is_not_found),
        cmocka_unit_test(asking_for_authorization_is_told),
        cmocka_unit_test(registering_tells_public_and_private_services),
        cmocka_unit_test(nodes_that_come_and_go_are_told),
        cmocka_unit_test(an_event_reaches_the_hooks_that_are_attached_to_it),
        cmocka_unit_test(a_hook_may_not_detach),
        cmocka_unit_test(a_detached_hook_is_not_running_any_more),
        cmocka_unit_test(the_loop_may_not_detach),
        cmocka_unit_test(what_cannot_be_attached_is_refused),
        cmocka_unit_test(calls_are_counted_by_service_and_outcome),
        cmocka_unit_test(a_line_stays_here_with_its_metadata),
        cmocka_unit_test(a_line_goes_to_the_callers_group_leader),
        cmocka_unit_test(long_metadata_is_cut),
        cmocka_unit_test(a_line_for_a_caller_of_this_node_stays_here),
        cmocka_unit_test(a_group_leader_among_the_metadata_comes_first),
    };
    return cmocka_run_group_tests(tests, start, own_node_stop);
}
