/* SPDX-License-Identifier: Apache-2.0 */
/* A first node: one service that every node of the cluster finds and calls. */
#include <stdio.h>

#include <tenon.h>

static void sum(tenon_call *call, void *user)
{
    int64_t a, b, total;
    tenon_term request = tenon_call_request(call);

    (void)user;
    if (!tenon_match(request, "%{\"a\" => ~i, \"b\" => ~i}", &a, &b) ||
        __builtin_add_overflow(a, b, &total)) {
        tenon_reply_error(call, "{:badarg, ~t}", request);
        return;
    }
    tenon_reply_ok(call, "~i", total);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "calc@127.0.0.1";
    tenon_error err = { 0 };
    tenon_node *node =
        tenon_node_start(&(tenon_node_config){ .name = name, .err = &err });
    tenon_router *router = tenon_router_new(node, "Elixir.Calc.Router");

    tenon_service(router, "sum", sum, NULL);
    if (tenon_register_services(router) != TENON_OK) {
        fprintf(stderr, "%s cannot serve: %s\n", name, err.text);
    }
    return tenon_node_run(node);
}
