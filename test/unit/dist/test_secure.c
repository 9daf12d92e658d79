/* SPDX-License-Identifier: Apache-2.0 */
/* Connections with TLS over sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "dist/block.h"
#include "unit/support/ends.h"

static char dir[] = "/tmp/tenon-secure-XXXXXX";
static tn_tls_context *context;

static void
set(struct tn_tls_options *options, const char *name, const char *to)
{
    tenon_error err = { 0 };
    if (tn_tls_options_set(options, name, to, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
}

static int make_context(void **state)
{
    char text[160];
    tenon_error err = { 0 };
    struct tn_tls_options options = { 0 };
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "sh test/make-certs %s localhost", dir);
    assert_int_equal(system(text), 0);
    snprintf(text, sizeof text, "%s/rsa.pem", dir);
    set(&options, "server_certfile", text);
    set(&options, "server_verify", "verify_none");
    set(&options, "client_verify", "verify_none");
    if (tn_tls_context_new(&options, &context, &err) != TENON_OK) {
        fail_msg("%s", err.text);
    }
    tn_tls_options_fini(&options);
    return 0;
}

static int drop_context(void **state)
{
    char text[160];
    (void)state;
    tn_tls_context_unref(context);
    snprintf(text, sizeof text, "rm -rf %s", dir);
    return system(text) == 0 ? 0 : -1;
}

static void what_a_connection_keeps_is_on_its_peers_account(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct end a;
    struct end b;
    tn_budget *budget = tn_budget_new(1u << 30);
    assert_int_equal(uv_loop_init(&loop), 0);
    end_open(&a, &loop, "a@127.0.0.1",
             &(struct tn_dist_config){ .tls = context });
    end_open(&b, &loop, "b@127.0.0.1",
             &(struct tn_dist_config){ .tls = context, .budget = budget });
    end_join(&a, &b);
    assert_in_range(tn_budget_used(budget), TN_TLS_BYTES,
                    TN_TLS_BYTES + TN_BLOCK_BYTES);
    end_close(&a);
    end_close(&b);
    assert_int_equal(tn_budget_used(budget), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    tn_budget_unref(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_connection_keeps_is_on_its_peers_account),
    };
    return cmocka_run_group_tests(tests, make_context, drop_context);
}
