/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor with two servers: one that fails is started again, too many
 * failures end the supervisor, and a stop ends the servers first. The same
 * start function would serve a DynamicSupervisor of an Elixir node:
 *
 *     DynamicSupervisor.start_child(sup, %{id: :cell, restart: :permanent,
 *       start: {:erpc, :call, [c_node, :cell, :start_link, [:c]]}})
 */
#include <string.h>

#include "example.h"

/* ---- the server: it holds a number, and crashes on what is none --------- */

static void cell_call(tenon_call *call, void *state)
{
    int64_t *value = state;

    if (tenon_match(tenon_call_request(call), "{:put, ~i}", value)) {
        tenon_reply(call, ":ok");
    } else if (tenon_match(tenon_call_request(call), ":get")) {
        tenon_reply(call, "~i", *value);
    } else {
        tenon_raise(call, ":badarg");
    }
}

static void cell_end(tenon_process *self, tenon_term reason, void *state)
{
    (void)self;
    (void)reason;
    free(state);
}

/* cell:start_link(name): linked to the supervisor that runs it. */
static void cell_start_link(tenon_call *call, void *user)
{
    tenon_atom name;
    tenon_pid parent, pid;
    int64_t *value = calloc(1, sizeof *value);

    (void)user;
    CHECK(value != NULL);
    CHECK(tenon_term_atom(tenon_call_arg(call, 0), &name) == TENON_OK);
    CHECK(tenon_call_from(call, &parent) == TENON_OK);
    tenon_process *cell =
        tenon_server_start(tenon_call_node(call), &(tenon_server_config){
                                                      .name = name.text,
                                                      .on_call = cell_call,
                                                      .on_terminate = cell_end,
                                                      .state = value,
                                                      .parent = &parent,
                                                  });

    CHECK(cell != NULL);
    tenon_process_pid(cell, &pid);
    tenon_process_release(cell);
    tenon_reply_ok(call, "~p", &pid);
}

/* ---- its supervisor ----------------------------------------------------- */

static void add_cell(tenon_process *supervisor, const char *name)
{
    tenon_value *args = tenon_value_format("[~a]", name);

    CHECK(tenon_supervisor_add(supervisor,
                               &(tenon_child){ .id = name,
                                               .module = "cell",
                                               .function = "start_link",
                                               .args = tenon_value_term(args) },
                               SOON_MS, NULL, NULL) == TENON_OK);
    tenon_value_free(args);
}

/* Calls a cell; the answer's pattern must match. */
static enum tenon_err ask(tenon_node *node,
                          const char *cell,
                          const char *request,
                          const char *pattern)
{
    tenon_value *answer = NULL;
    tenon_value *term = tenon_value_format(request);
    enum tenon_err rc =
        tenon_server_call(node, &(tenon_dest){ .name = cell },
                          tenon_value_term(term), SOON_MS, &answer, NULL);

    CHECK(rc != TENON_OK || tenon_match(tenon_value_term(answer), pattern));
    tenon_value_free(answer);
    tenon_value_free(term);
    return rc;
}

/* Crashes a cell and waits until it is there again. */
static void crash(tenon_node *node, const char *cell)
{
    CHECK(ask(node, cell, ":nonsense", "") == TENON_E_REMOTE_EXIT);
    for (int ms = 0; ask(node, cell, ":get", "0") == TENON_E_NOPROC; ms++) {
        CHECK(ms < SOON_MS);
        CHECK(tenon_sleep(node, 1) == TENON_OK);
    }
}

static void await_end(tenon_process *box, const char *reason)
{
    tenon_value *down;
    tenon_term why;
    char text[32];

    CHECK(tenon_receive(box, SOON_MS, &down) == TENON_OK);
    CHECK(tenon_match(tenon_value_term(down), "{:DOWN, _, :process, _, ~t}",
                      &why));
    tenon_term_print(why, text, sizeof text);
    CHECK(strcmp(text, reason) == 0);
    tenon_value_free(down);
}

static tenon_process *
supervise(tenon_node *node, enum tenon_strategy strategy, tenon_process *box)
{
    tenon_ref ref;
    tenon_process *supervisor =
        tenon_supervisor_start(node, &(tenon_supervisor_config){
                                         .name = "cells",
                                         .strategy = strategy,
                                         .max_restarts = 1,
                                         .max_seconds = 60,
                                     });

    CHECK(supervisor != NULL);
    CHECK(tenon_monitor(box, &(tenon_dest){ .name = "cells" }, &ref) ==
          TENON_OK);
    add_cell(supervisor, "a");
    add_cell(supervisor, "b");
    CHECK(ask(node, "a", "{:put, 7}", ":ok") == TENON_OK);
    CHECK(ask(node, "b", "{:put, 8}", ":ok") == TENON_OK);
    return supervisor;
}

int main(void)
{
    tenon_node *node = start_node("supervised");
    tenon_process *box = tenon_mailbox_new(node, NULL, NULL);
    tenon_value *normal = tenon_value_format(":normal");

    CHECK(tenon_function(node, "cell", "start_link", 1, cell_start_link, NULL,
                         0) == TENON_OK);
    tenon_process *cells = supervise(node, TENON_ONE_FOR_ONE, box);

    crash(node, "a"); /* alone: b keeps its number */
    CHECK(ask(node, "b", ":get", "8") == TENON_OK);
    CHECK(ask(node, "b", ":nonsense", "") == TENON_E_REMOTE_EXIT);
    await_end(box, ":shutdown"); /* that was one too many */
    CHECK(ask(node, "a", ":get", "") == TENON_E_NOPROC);
    tenon_process_release(cells);

    cells = supervise(node, TENON_ONE_FOR_ALL, box);
    crash(node, "a"); /* and b with it */
    CHECK(tenon_server_stop(node, &(tenon_dest){ .name = "cells" },
                            tenon_value_term(normal), SOON_MS,
                            NULL) == TENON_OK);
    await_end(box, ":normal");
    CHECK(ask(node, "b", ":get", "") == TENON_E_NOPROC);
    tenon_process_release(cells);
    tenon_process_release(box);
    tenon_value_free(normal);
    tenon_node_stop(node);
    puts("supervised: restarted, given up, stopped");
    return 0;
}
