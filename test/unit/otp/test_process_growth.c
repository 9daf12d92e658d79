/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a node, and the functions that it answers, read of a
 * peer's terms takes time in proportion to them, whatever their shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include <tenon/pg.h>
#include <tenon/supervisor.h>
#include <tenon/task.h>

#include "otp/info.h"
#include "otp/io.h"
#include "otp/pg.h"
#include "own_node.h"
#include "unit/support/growth.h"

/* Deep, wide, maps in maps, and many small ones. */
static const enum growth_shape shapes[] = { GROWTH_FIRST, GROWTH_KEYS,
                                            GROWTH_KEYWORDS, GROWTH_MAP,
                                            GROWTH_PIDS };
#define SHAPES (sizeof shapes / sizeof shapes[0])

static struct {
    tenon_node *node;
    struct me me;
    tenon_process *kept[4];
    tenon_value *terms[SHAPES][GROWTH_SIZES];
} f;

static void on_call(tenon_call *call, void *state)
{
    (void)state;
    tenon_reply(call, ":ok");
}

static void on_message(tenon_process *self, tenon_term message, void *state)
{
    (void)self;
    (void)message;
    (void)state;
}

static void on_get_state(tenon_builder *out, void *state)
{
    (void)state;
    tenon_build_nil(out);
}

static bool on_replace_state(tenon_term term, void *state)
{
    (void)term;
    (void)state;
    return true;
}

static int start(void **state)
{
    (void)state;
    f.node = own_node_start();
    OK(tn_info_start(f.node, NULL));
    OK(tn_io_start(f.node, NULL));
    OK(tn_pg_attach(f.node, NULL, NULL));
    OK(tenon_pg_start(f.node, "pg", NULL));
    f.me = me_new(f.node);
    f.kept[0] = tenon_server_start(
        f.node, &(tenon_server_config){ .name = "server",
                                        .on_call = on_call,
                                        .on_cast = on_message,
                                        .on_info = on_message,
                                        .on_get_state = on_get_state,
                                        .on_replace_state = on_replace_state });
    f.kept[1] = tenon_supervisor_start(
        f.node, &(tenon_supervisor_config){ .name = "supervisor" });
    f.kept[2] = tenon_supervisor_start(
        f.node, &(tenon_supervisor_config){ .name = "dynamic",
                                            .strategy = TENON_DYNAMIC });
    f.kept[3] = tenon_task_supervisor_start(
        f.node, &(tenon_task_supervisor_config){ .name = "tasks" });
    for (size_t i = 0; i < SHAPES; i++) {
        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            f.terms[i][size] = growth_term(shapes[i], size, 1);
        }
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        for (unsigned size = 0; size < GROWTH_SIZES; size++) {
            tenon_value_free(f.terms[i][size]);
        }
    }
    for (size_t i = 0; i < sizeof f.kept / sizeof f.kept[0]; i++) {
        tenon_process_release(f.kept[i]);
    }
    me_free(&f.me);
    tenon_node_stop(f.node);
    return 0;
}

/* ---- processes ----------------------------------------------------------- */

/* A process, and a message to it: P stands for the test's pid, T for the
 * term. */
struct reader {
    const char *to;
    const char *message;
};

static const struct reader readers[] = {
    /* sys */
    { "server", "{:system, {P, :tag}, T}" },
    { "server", "{:system, {P, T}, :get_state}" },
    { "server", "{:system, {P, :tag}, {:debug, T}}" },
    { "server", "{:system, {P, :tag}, {:debug, {:log, T}}}" },
    { "server", "{:system, {P, :tag}, {:replace_state, T}}" },
    { "server", "{:system, {P, :tag}, {:change_code, T, T, T}}" },
    /* gen */
    { "server", "{:\"$gen_call\", {P, T}, T}" },
    { "server", "{:\"$gen_cast\", T}" },
    { "server", "T" },
    { "rex", "{:\"$gen_call\", {P, :tag}, {:call, :m, :f, T, P}}" },
    { "rex", "{:\"$gen_call\", {P, :tag}, {:call, T, T, T, P}}" },
    { "rex", "{:\"$gen_call\", {P, :tag}, {:call, :erlang, :apply, T, P}}" },
    { "rex", "{:\"$gen_cast\", {:cast, :m, :f, T, P}}" },
    { "rex", "{P, {:sbcast, :nobody, T}}" },
    { "rex", "{P, {:send, :nobody, T}}" },
    { "net_kernel", "{:\"$gen_call\", {P, :tag}, {:is_auth, T}}" },
    { "net_kernel", "{:\"$gen_call\", {P, :tag}, {:spawn, :m, :f, T, P}}" },
    { "global_name_server", "{:\"$gen_call\", {P, :tag}, T}" },
    { "global_name_server", "{:\"$gen_cast\", {:new_nodes, :x, T, T, T, T}}" },
    { "pg", "{:\"$gen_call\", {P, :tag}, T}" },
    { "pg", "{:discover, P, T}" },
    { "pg", "{:join, P, T, T}" },
    { "pg", "{:leave, P, P, T}" },
    { "pg", "{:\"$gen_cast\", {:sync, P, T}}" },
    { "supervisor", "{:\"$gen_call\", {P, :tag}, {:start_child, T}}" },
    { "supervisor", "{:\"$gen_call\", {P, :tag}, {:terminate_child, T}}" },
    { "supervisor", "{:\"$gen_call\", {P, :tag}, {:start_child, "
                    "%{:id => T, :start => {:m, :f, [T]}}}}" },
    { "dynamic", "{:\"$gen_call\", {P, :tag}, {:start_child, "
                 "{{:m, :f, [T]}, :temporary, 5000, :worker, T}}}" },
    { "tasks", "{:\"$gen_call\", {P, :tag}, {:start_task, T, :temporary, 1}}" },
    { "tasks", "{:\"$gen_call\", {P, :tag}, {:start_child, "
               "{{:m, :f, [T]}, :temporary, 5000, :worker, [:m]}}}" },
    { "user", "{:io_request, P, :ref, T}" },
    { "user", "{:io_request, P, :ref, {:requests, T}}" },
    { "user", "{:io_request, P, :ref, {:get_line, T, T}}" },
};

struct reading {
    const struct reader *reader;
    size_t shape;
    unsigned asked; /* barriers */
};

static tenon_value *message_of(const struct reading *reading, unsigned size)
{
    const char *at = reading->reader->message;
    tenon_term term = tenon_value_term(f.terms[reading->shape][size]);
    char pattern[200];
    size_t len = 0;
    tenon_value *me = tenon_value_format("~p", &f.me.pid);
    tenon_term used[5] = { { 0 } };
    size_t count = 0;

    for (; *at != '\0'; at++) {
        bool is_slot = (*at == 'P' || *at == 'T') && count < 5;

        if (is_slot) {
            used[count++] = *at == 'P' ? tenon_value_term(me) : term;
        }
        len += (size_t)snprintf(pattern + len, sizeof pattern - len, "%.*s",
                                is_slot ? 2 : 1, is_slot ? "~t" : at);
    }
    tenon_value *message = tenon_value_format(pattern, used[0], used[1],
                                              used[2], used[3], used[4]);

    tenon_value_free(me);
    assert_non_null(message);
    return message;
}

/* Processes that sys does not reach answer when the message is done with. */
static tenon_value *barrier_of(const struct reading *reading)
{
    const char *pattern = strcmp(reading->reader->to, "user") == 0
                              ? "{:io_request, ~p, ~u, {:get_geometry, :none}}"
                              : "{:system, {~p, ~u}, :none}";

    return tenon_value_format(pattern, &f.me.pid, (uint64_t)reading->asked);
}

/* Whether that is the answer to the last barrier. */
static bool is_answer(const struct reading *reading, tenon_term message)
{
    tenon_term part, answer;
    uint64_t number;

    return (tenon_match(message, "{~u, ~t}", &number, &answer) ||
            tenon_match(message, "{:io_reply, ~u, ~t}", &number, &part)) &&
           number == reading->asked;
}

static void send_and_wait(void *user, unsigned size)
{
    struct reading *reading = user;
    tenon_value *message = message_of(reading, size);

    reading->asked++;
    tenon_value *barrier = barrier_of(reading);
    bool done = false;

    OK(tenon_send(f.node, TO(reading->reader->to), tenon_value_term(message),
                  NULL));
    OK(tenon_send(f.node, TO(reading->reader->to), tenon_value_term(barrier),
                  NULL));
    while (!done) {
        tenon_value *answer = next_message(&f.me);

        done = is_answer(reading, tenon_value_term(answer));
        tenon_value_free(answer);
    }
    tenon_value_free(barrier);
    tenon_value_free(message);
}

static void processes_read_messages_in_linear_time(void **state)
{
    struct reading reading = { 0 };
    char what[200];

    (void)state;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        reading.reader = &readers[i];
        for (reading.shape = 0; reading.shape < SHAPES; reading.shape++) {
            snprintf(what, sizeof what, "%s, %s: %s", readers[i].to,
                     readers[i].message, growth_name(shapes[reading.shape]));
            assert_growth_of_threads(what, send_and_wait, &reading);
        }
    }
}

/* ---- functions ----------------------------------------------------------- */

struct asking {
    const struct tn_info_function *function;
    tenon_value *args[GROWTH_SIZES];
};

/* That term as each argument. */
static tenon_value *args_of(unsigned arity, tenon_term term)
{
    tenon_builder *out = tenon_builder_new();
    tenon_term list;

    tenon_build_list(out, arity);
    for (unsigned i = 0; i < arity; i++) {
        tenon_build_term(out, term);
    }
    tenon_build_nil(out);
    OK(tenon_builder_term(out, &list));
    tenon_value *args = tenon_value_new(list);

    tenon_builder_free(out);
    assert_non_null(args);
    return args;
}

static enum tenon_err
drop_answer(tenon_call *call, enum tn_outcome outcome, tenon_term value)
{
    (void)call;
    (void)outcome;
    (void)value;
    return TENON_OK;
}

static void ask(void *user, unsigned size)
{
    static const struct tn_call_ops ops = { .answer = drop_answer };
    const struct asking *asking = user;
    tenon_builder out;
    tenon_call call;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    tn_call_init(&call, &ops, f.me.box);
    call.request = tenon_value_term(asking->args[size]);

    struct tn_question question = {
        .call = &call,
        .node = f.node,
        .out = &out,
    };

    asking->function->fn(&question);
    tn_builder_fini(&out);
}

static void assert_reads_arguments(const struct tn_info_function *function,
                                   size_t shape)
{
    struct asking asking = { .function = function };
    char what[200];

    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        asking.args[size] =
            args_of(function->arity, tenon_value_term(f.terms[shape][size]));
    }
    snprintf(what, sizeof what, "%s:%s of %s", function->module, function->name,
             growth_name(shapes[shape]));
    assert_growth(what, ask, &asking);
    for (unsigned size = 0; size < GROWTH_SIZES; size++) {
        tenon_value_free(asking.args[size]);
    }
}

static void functions_read_arguments_in_linear_time(void **state)
{
    (void)state;
    for (size_t i = 0; tn_info_tables[i] != NULL; i++) {
        const struct tn_info_function *function = tn_info_tables[i];

        for (; function->module != NULL; function++) {
            for (size_t shape = 0; function->arity > 0 && shape < SHAPES;
                 shape++) {
                assert_reads_arguments(function, shape);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_read_messages_in_linear_time),
        cmocka_unit_test(functions_read_arguments_in_linear_time),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
