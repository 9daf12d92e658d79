/* SPDX-License-Identifier: Apache-2.0 */
/* X3m services between two nodes: one offers, the other finds and calls, and
 * forgets when the first one stops. */
#include "example.h"

/* %{"name" => text} to {:ok, "Hello, text!"} */
static void greet(tenon_call *call, void *user)
{
    const char *name;
    size_t len;
    char text[100];

    (void)user;
    if (!tenon_match(tenon_call_request(call), "%{\"name\" => ~s}", &name,
                     &len)) {
        tenon_reply(call, "{:missing_id, \"name\"}");
        return;
    }
    snprintf(text, sizeof text, "Hello, %.*s!", (int)len, name);
    tenon_reply_ok(call, "~s", text);
}

/* Whether a dispatch of %{"name" => "Ada"} gets a response of that form. */
static bool responds(tenon_node *from, const char *pattern)
{
    tenon_value *request = tenon_value_format("%{\"name\" => \"Ada\"}");
    tenon_message *message = tenon_message_new(
        from, "greet",
        &(tenon_message_options){ .raw_request = tenon_value_term(request) });
    tenon_message *reply = NULL;

    CHECK(tenon_dispatch(from, message, 0, &reply, NULL) == TENON_OK);
    CHECK(tenon_term_equal(tenon_message_get(reply, "id"),
                           tenon_message_get(message, "id")));
    bool matches = tenon_match(tenon_message_get(reply, "response"), pattern);

    tenon_message_free(reply);
    tenon_message_free(message);
    tenon_value_free(request);
    return matches;
}

/* Announcements travel on their own: what holds soon is asked until then. */
static void expect_soon(tenon_node *from, const char *pattern)
{
    int tries = SOON_MS / 10;

    while (!responds(from, pattern)) {
        CHECK(tries-- > 0);
        tenon_sleep(from, 10);
    }
}

int main(void)
{
    tenon_node *provider = start_node("provider");
    tenon_node *caller = start_node("caller");
    tenon_router *router = tenon_router_new(provider, "Elixir.Greeter.Router");

    CHECK(responds(caller, "{:service_unavailable, :greet}"));
    CHECK(tenon_service(router, "greet", greet, NULL) == TENON_OK);
    CHECK(tenon_register_services(router) == TENON_OK);
    CHECK(tenon_node_connect(caller, tenon_node_name(provider), 0, NULL) ==
          TENON_OK);
    expect_soon(caller, "{:ok, \"Hello, Ada!\"}");

    tenon_node_stop(provider);
    expect_soon(caller, "{:service_unavailable, :greet}");
    tenon_node_stop(caller);
    puts("service: found, called, forgotten");
    return 0;
}
