/* SPDX-License-Identifier: Apache-2.0 */
/* appmon_info, which observer starts on a node for its tab of applications: a
 * server that tells which there are and draws one's processes, now and whenever
 * that has changed. Its other tasks, load and pinfo, nobody sets any more. */
#include <stdlib.h>
#include <string.h>

#include <tenon/process.h>

#include "otp/gen.h"
#include "otp/info.h"

/* Tasks of one server; those beyond are not taken. */
#define TASKS_MAX 16u
/* appmon_info's own. */
#define EVERY_MS 2000u

/* What is looked at again and again for somebody. */
struct task {
    tenon_value *key;  /* {Command, Aux, From} */
    tenon_value *last; /* what has been told; NULL: nothing */
};

struct appmon {
    tenon_value *client; /* its pid: the server ends with it */
    struct task tasks[TASKS_MAX];
    size_t count;
};

/* ---- what is told ------------------------------------------------------- */

static void build_applications(tenon_node *node, tenon_builder *out)
{
    tenon_process *master = tenon_whereis(node, TN_INFO_MASTER);

    if (master != NULL) {
        tenon_build_list(out, 1);
        tenon_build_tuple(out, 3);
        tenon_build_term(out, tn_process_pid(master));
        tenon_build_atom(out, TN_INFO_APPLICATION);
        tn_info_build_application(out);
        tenon_process_release(master);
    }
    tenon_build_nil(out);
}

static void build_result(tenon_process *self,
                         tenon_term command,
                         tenon_term aux,
                         tenon_builder *out)
{
    tenon_node *node = tenon_process_node(self);

    if (tenon_term_is_atom(command, "app_ctrl")) {
        build_applications(node, out);
    } else if (tenon_term_is_atom(aux, TN_INFO_APPLICATION)) {
        tn_info_build_tree(node, self, out);
    } else {
        tenon_format(out, "{[], [], [], []}");
    }
}

/* {delivery, Self, Command, Aux, Result}; false: it is not on its way. */
static bool
deliver(tenon_process *self, const tenon_term key[3], tenon_term result)
{
    tenon_value *message =
        tenon_value_format("{:delivery, ~t, ~t, ~t, ~t}", tn_process_pid(self),
                           key[0], key[1], result);
    bool sent = message != NULL &&
                tn_send_pid(tenon_process_node(self), tn_process_pid(self),
                            key[2], tenon_value_term(message)) == TENON_OK;

    tenon_value_free(message);
    return sent;
}

/* What cannot be told now is told the next time. */
static void do_task(tenon_process *self, struct task *task)
{
    tenon_builder out;
    tenon_term key[3], result;

    tn_builder_init(&out, TENON_TERM_MAX_BYTES);
    (void)tn_tuple_views(tenon_value_term(task->key), key, 3);
    build_result(self, key[0], key[1], &out);
    if (tenon_builder_term(&out, &result) == TENON_OK &&
        (task->last == NULL ||
         !tenon_term_equal(tenon_value_term(task->last), result))) {
        tenon_value_free(task->last);
        task->last =
            deliver(self, key, result) ? tenon_value_new(result) : NULL;
    }
    tn_builder_fini(&out);
}

/* ---- tasks -------------------------------------------------------------- */

static void drop_task(struct appmon *appmon, size_t i)
{
    tenon_value_free(appmon->tasks[i].key);
    tenon_value_free(appmon->tasks[i].last);
    appmon->tasks[i] = appmon->tasks[--appmon->count];
}

/* The task that was set before under the same key. */
static void drop_same(struct appmon *appmon, tenon_term key)
{
    for (size_t i = appmon->count; i-- > 0;) {
        if (tenon_term_equal(tenon_value_term(appmon->tasks[i].key), key)) {
            drop_task(appmon, i);
        }
    }
}

/* key: taken. */
static void
add_task(tenon_process *self, struct appmon *appmon, tenon_value *key)
{
    if (appmon->count == TASKS_MAX) {
        tn_log(&tenon_process_node(self)->log, TN_WARN, "appmon_task_refused",
               "why", "too many", NULL);
        tenon_value_free(key);
        return;
    }
    struct task *task = &appmon->tasks[appmon->count++];

    *task = (struct task){ .key = key };
    do_task(self, task);
}

/* What is looked at anew, as long as there is anything. */
static void look_again(tenon_process *self, const struct appmon *appmon)
{
    if (appmon->count > 0) {
        (void)tenon_server_timeout(self, EVERY_MS);
    }
}

static bool is_command(tenon_term term)
{
    return tenon_term_is_atom(term, "app_ctrl") ||
           tenon_term_is_atom(term, "app");
}

/* {From, Command, Aux, OnOff, Options} */
static void on_cast(tenon_process *self, tenon_term request, void *state)
{
    struct appmon *appmon = state;
    tenon_term part[5];

    if (tn_tuple_views(request, part, 5) &&
        tenon_term_type(part[0]) == TENON_TYPE_PID && is_command(part[1]) &&
        tn_may_answer(tenon_process_node(self), tn_process_origin(self),
                      part[0], false)) {
        tenon_value *key =
            tenon_value_format("{~t, ~t, ~t}", part[1], part[2], part[0]);

        if (key != NULL) {
            drop_same(appmon, tenon_value_term(key));
        }
        if (key != NULL && tenon_term_is_atom(part[3], "true")) {
            add_task(self, appmon, key);
        } else {
            tenon_value_free(key);
        }
    }
    look_again(self, appmon);
}

/* {'EXIT', Pid, Reason} of the client, or the time to look again. */
static void on_info(tenon_process *self, tenon_term message, void *state)
{
    struct appmon *appmon = state;
    tenon_term part[3];

    if (tenon_term_is_atom(message, "timeout")) {
        for (size_t i = 0; i < appmon->count; i++) {
            do_task(self, &appmon->tasks[i]);
        }
    } else if (tn_tuple_views(message, part, 3) &&
               tenon_term_is_atom(part[0], "EXIT") &&
               tenon_term_equal(part[1], tenon_value_term(appmon->client))) {
        (void)tenon_process_exit(self, ":normal");
        return;
    }
    look_again(self, appmon);
}

/* ---- life --------------------------------------------------------------- */

static void appmon_free(struct appmon *appmon)
{
    while (appmon->count > 0) {
        drop_task(appmon, appmon->count - 1);
    }
    tenon_value_free(appmon->client);
    free(appmon);
}

static void on_terminate(tenon_process *self, tenon_term reason, void *state)
{
    (void)self;
    (void)reason;
    appmon_free(state);
}

/* NULL: no memory, or no process more. */
static tenon_process *
start(tenon_node *node, const tenon_pid *starter, tenon_term client)
{
    struct appmon *appmon = calloc(1, sizeof *appmon);

    if (appmon == NULL) {
        return NULL;
    }
    appmon->client = tenon_value_new(client);
    tenon_process *self =
        appmon->client == NULL
            ? NULL
            : tenon_server_start(node, &(tenon_server_config){
                                           .on_cast = on_cast,
                                           .on_info = on_info,
                                           .on_terminate = on_terminate,
                                           .state = appmon,
                                           .trap_exit = true,
                                           .parent = starter,
                                       });

    if (self == NULL) {
        appmon_free(appmon);
    }
    return self;
}

/* start_link2(Starter, Client, Options). On BEAM a second observer shares the
 * first one's server and loses it with that; here each has its own. */
static void start_link2(struct tn_question *question)
{
    tenon_term client_term = tn_question_arg(question, 1);
    tenon_pid starter, client;

    if (tenon_term_pid(tn_question_arg(question, 0), &starter) != TENON_OK ||
        tenon_term_pid(client_term, &client) != TENON_OK ||
        !tn_question_may_tell(question, tn_question_arg(question, 0)) ||
        !tn_question_may_tell(question, client_term)) {
        question->badarg = true;
        return;
    }
    tenon_process *self = start(question->node, &starter, client_term);

    if (self == NULL) {
        tn_builder_fail(question->out, TENON_E_NOMEM);
        return;
    }
    if (!tn_process_count_for(question->node, tn_process_pid(self),
                              question->call->account) ||
        tenon_link(self, &client) != TENON_OK) {
        (void)tenon_process_exit(self, ":system_limit");
    }
    tenon_format(question->out, "{:ok, ~t}", tn_process_pid(self));
    tenon_process_release(self);
}

const struct tn_info_function tn_info_appmon_functions[] = {
    { "appmon_info", "start_link2", 3, start_link2, false },
    { NULL, NULL, 0, NULL, false },
};
