/* SPDX-License-Identifier: Apache-2.0 */
/* reminder.so: other nodes schedule messages on this one, which delivers them
 * at their time, also when it was restarted meanwhile:
 *
 *     tenon run --alarms alarms.db --load reminder.so ...
 *     :rpc.call(node, :reminder, :schedule, [:wake_up, %{"id" => 1}, {:in, 60_000}])
 *     :rpc.call(node, :reminder, :cancel, [id])
 *     :rpc.call(node, :reminder, :counts, [])
 *
 * As a program it checks itself: a node is stopped before a reminder is due,
 * and delivers it when it is back. */
#include <string.h>

#include "example.h"

#define MODULE "reminder"

static void reply_failure(tenon_call *call, const tenon_error *err)
{
    tenon_reply_error(call, "~s", err->text);
}

/* {:in, milliseconds} or {:at, microseconds since 1970} */
static enum tenon_err schedule_at_or_in(tenon_scheduler *scheduler,
                                        const tenon_message *message,
                                        tenon_term when,
                                        tenon_error *err)
{
    uint64_t in_ms;
    int64_t at_us;

    if (tenon_match(when, "{:in, ~u}", &in_ms)) {
        return tenon_scheduler_dispatch_in(scheduler, message, NULL, in_ms,
                                           err);
    }
    if (tenon_match(when, "{:at, ~i}", &at_us)) {
        return tenon_scheduler_dispatch_at(scheduler, message, NULL, at_us,
                                           err);
    }
    snprintf(err->text, sizeof err->text, "expected {:in, ms} or {:at, us}");
    return TENON_E_INVAL;
}

/* schedule(service, raw_request, when): {:ok, id} */
static void schedule(tenon_call *call, void *user)
{
    tenon_node *node = tenon_call_node(call);
    tenon_error err = { .text = "no message can be made" };
    tenon_atom service;

    (void)user;
    if (tenon_term_atom(tenon_call_arg(call, 0), &service) != TENON_OK) {
        tenon_raise(call, ":badarg");
        return;
    }
    tenon_message *message = tenon_message_new(
        node, service.text,
        &(tenon_message_options){ .raw_request = tenon_call_arg(call, 1) });

    if (message != NULL &&
        schedule_at_or_in(tenon_scheduler_get(node, NULL), message,
                          tenon_call_arg(call, 2), &err) == TENON_OK) {
        tenon_reply_ok(call, "~t", tenon_message_get(message, "id"));
    } else {
        reply_failure(call, &err);
    }
    tenon_message_free(message);
}

/* cancel(id): :ok */
static void cancel(tenon_call *call, void *user)
{
    tenon_error err = { 0 };
    const char *text;
    size_t len;
    char id[64];

    (void)user;
    if (!tenon_match(tenon_call_arg(call, 0), "~s", &text, &len)) {
        tenon_raise(call, ":badarg");
        return;
    }
    snprintf(id, sizeof id, "%.*s", (int)len, text);
    if (tenon_scheduler_cancel(tenon_scheduler_get(tenon_call_node(call), NULL),
                               id, &err) == TENON_OK) {
        tenon_reply(call, ":ok");
    } else {
        reply_failure(call, &err);
    }
}

/* counts(): {in_memory, delivered, retried} */
static void counts(tenon_call *call, void *user)
{
    tenon_scheduler_stats stats;

    (void)user;
    tenon_scheduler_get_stats(tenon_scheduler_get(tenon_call_node(call), NULL),
                              &stats, sizeof stats);
    tenon_reply(call, "{~u, ~u, ~u}", stats.in_memory, stats.delivered,
                stats.retried);
}

static enum tenon_err load(tenon_node *node, void **state, tenon_error *err)
{
    (void)state;
    if (tenon_scheduler_get(node, NULL) == NULL) {
        snprintf(err->text, sizeof err->text,
                 "reminder: expected a scheduler, start with --alarms FILE");
        return TENON_E_INVAL;
    }
    enum tenon_err rc =
        tenon_function(node, MODULE, "schedule", 3, schedule, NULL, 0);

    if (rc == TENON_OK) {
        rc = tenon_function(node, MODULE, "cancel", 1, cancel, NULL, 0);
    }
    if (rc == TENON_OK) {
        rc = tenon_function(node, MODULE, "counts", 0, counts, NULL, 0);
    }
    return rc;
}

TENON_HANDLERS = { TENON_HANDLERS_ABI, MODULE, load, NULL };

/* ---- the program --------------------------------------------------------- */

static tenon_node *start_with(const char *file)
{
    tenon_node *node = start_node("reminder");
    tenon_error err = { 0 };

    if (tenon_scheduler_start(node, &(tenon_scheduler_config){
                                        .file = file, .err = &err }) == NULL) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return node;
}

/* The service that is reminded. */
static void wake_up(tenon_call *call, void *user)
{
    tenon_reply_ok(call, "nil");
    tenon_node_request_stop(user);
}

int main(void)
{
    char dir[] = "/tmp/reminder-XXXXXX";
    char file[64];

    CHECK(mkdtemp(dir) != NULL);
    snprintf(file, sizeof file, "%s/alarms.db", dir);
    tenon_node *node = start_with(file);
    tenon_message *message = tenon_message_new(node, "wake_up", NULL);

    CHECK(tenon_scheduler_dispatch_in(tenon_scheduler_get(node, NULL), message,
                                      NULL, 200, NULL) == TENON_OK);
    tenon_message_free(message);
    tenon_node_stop(node);

    node = start_with(file);
    tenon_router *router = tenon_router_new(node, "Elixir.Reminder.Router");

    CHECK(tenon_service(router, "wake_up", wake_up, node) == TENON_OK);
    CHECK(tenon_register_services(router) == TENON_OK);
    CHECK(tenon_node_run(node) == 0);
    CHECK(unlink(file) == 0);
    (void)rmdir(dir); /* a slow disk may leave SQLite's log behind */
    puts("reminder: delivered after a restart");
    return 0;
}
