/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between two nodes: to a server, as GenServer.call, and of a function,
 * as :erpc.call; and how each failure is told apart. */
#include "example.h"

/* A server that counts: :next answers the next number; :never does not. */
static void count(tenon_call *call, void *state)
{
    int64_t *last = state;

    if (tenon_match(tenon_call_request(call), ":next")) {
        tenon_reply(call, "~i", ++*last);
    }
}

/* calc:divide/2 */
static void divide(tenon_call *call, void *user)
{
    int64_t a, b;

    (void)user;
    if (!tenon_match(tenon_call_request(call), "[~i, ~i]", &a, &b)) {
        tenon_raise(call, ":badarg");
    } else if (b == 0) {
        tenon_throw(call, "{:not_by, ~i}", b);
    } else if (a == INT64_MIN && b == -1) {
        tenon_raise(call, ":badarith");
    } else {
        tenon_reply(call, "~i", a / b);
    }
}

static enum tenon_err ask_server(tenon_node *from,
                                 const tenon_dest *server,
                                 const char *request,
                                 uint32_t timeout_ms,
                                 tenon_value **answer)
{
    tenon_value *term = tenon_value_format(request);
    enum tenon_err rc = tenon_server_call(from, server, tenon_value_term(term),
                                          timeout_ms, answer, NULL);

    tenon_value_free(term);
    return rc;
}

static void call_the_server(tenon_node *from, const char *on)
{
    tenon_dest counter = { .name = "counter", .node = on };
    tenon_dest nobody = { .name = "nobody", .node = on };
    tenon_value *answer;

    for (int64_t expected = 1; expected <= 3; expected++) {
        int64_t got;

        CHECK(ask_server(from, &counter, ":next", SOON_MS, &answer) ==
              TENON_OK);
        CHECK(tenon_term_int64(tenon_value_term(answer), &got) == TENON_OK);
        CHECK(got == expected);
        tenon_value_free(answer);
    }
    CHECK(ask_server(from, &counter, ":never", 50, &answer) == TENON_E_TIMEOUT);
    CHECK(ask_server(from, &nobody, ":next", SOON_MS, &answer) ==
          TENON_E_NOPROC);
}

/* Runs calc:FUNCTION and checks how it ended and with what value. */
static void expect(tenon_node *from,
                   const char *on,
                   const char *function,
                   const char *args,
                   enum tenon_err code,
                   const char *pattern)
{
    tenon_value *list = tenon_value_format(args);
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(from, on, "calc", function, tenon_value_term(list), SOON_MS,
                  &value, NULL);

    CHECK(rc == code);
    CHECK(pattern == NULL || tenon_match(tenon_value_term(value), pattern));
    tenon_value_free(value);
    tenon_value_free(list);
}

int main(void)
{
    int64_t last = 0;
    tenon_node *server = start_node("server");
    tenon_node *client = start_node("client");
    const char *on = tenon_node_name(server);
    tenon_process *counter = tenon_server_start(server, &(tenon_server_config){
                                                            .name = "counter",
                                                            .on_call = count,
                                                            .state = &last,
                                                        });

    CHECK(counter != NULL);
    tenon_process_release(counter);
    CHECK(tenon_function(server, "calc", "divide", 2, divide, NULL,
                         TENON_INLINE) == TENON_OK);
    CHECK(tenon_ping(client, on, SOON_MS, NULL) == TENON_OK);
    call_the_server(client, on);
    expect(client, on, "divide", "[7, 2]", TENON_OK, "3");
    expect(client, on, "divide", "[7, 0]", TENON_E_REMOTE_THROW,
           "{:not_by, 0}");
    expect(client, on, "divide", "[7, :two]", TENON_E_REMOTE_ERROR,
           "{:badarg, _}");
    expect(client, on, "multiply", "[7, 2]", TENON_E_REMOTE_UNDEF,
           "{:undef, _}");
    expect(client, "nowhere@localhost", "divide", "[7, 2]", TENON_E_NODEDOWN,
           NULL);
    tenon_node_stop(client);
    tenon_node_stop(server);
    puts("call: answered, and each failure told");
    return 0;
}
