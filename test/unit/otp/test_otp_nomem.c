/* SPDX-License-Identifier: Apache-2.0 */
/* Servers and calls with every allocation failing in turn: a call ends with a
 * code, nothing hangs, and the node works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otp/io.h"
#include "own_node.h"
#include "unit/support/functions.h"
#include "unit/support/nomem.h"

/* An answer that could not be made is waited for this long. */
#define SHORT_MS 30u

static void give_request(tenon_call *call, void *state)
{
    (void)state;
    tenon_reply_term(call, tenon_call_request(call));
}

static int start(void **state)
{
    tenon_node *node = own_node_start();
    OK(tenon_function(node, "m", "echo", 1, give_back, NULL, 0));
    OK(tenon_function(node, "m", "raise", 1, raise_it, NULL, TENON_INLINE));
    OK(tn_io_start(node, NULL));
    *state = node;
    return 0;
}

static const uint8_t one_bytes[] = { 97, 1 };
static const tenon_term one = { one_bytes, sizeof one_bytes };
static const uint8_t list_bytes[] = { 108, 0, 0, 0, 1, 97, 1, 106 };
static const tenon_term list = { list_bytes, sizeof list_bytes };

static void is_expected(enum tenon_err code, enum tenon_err undisturbed)
{
    if (!nomem_failed()) {
        assert_int_equal(code, undisturbed);
    }
}

/* When no allocation has failed the answer is on its way, however slow the
 * machine is: then it is asked for again, with all the time there is. */
static bool only_slow(enum tenon_err code)
{
    return code == TENON_E_TIMEOUT && !nomem_failed();
}

static void
calls(tenon_node *node, const char *function, enum tenon_err undisturbed)
{
    tenon_value *value = NULL;
    enum tenon_err rc =
        tenon_rpc(node, NULL, "m", function, list, SHORT_MS, &value, NULL);
    if (only_slow(rc)) {
        rc = tenon_rpc(node, NULL, "m", function, list, DEADLINE_MS, &value,
                       NULL);
    }
    is_expected(rc, undisturbed);
    tenon_value_free(value);
}

static void call_functions(void *user)
{
    tenon_node *node = user;
    calls(node, "echo", TENON_OK);
    calls(node, "raise", TENON_E_REMOTE_ERROR);
    calls(node, "none", TENON_E_REMOTE_UNDEF);
    is_expected(tenon_rpc_cast(node, NULL, "m", "echo", list, NULL), TENON_OK);
}

static void start_call_and_end_a_server(void *user)
{
    tenon_node *node = user;
    tenon_value *value = NULL;
    tenon_process *server =
        tenon_server_start(node, &(tenon_server_config){
                                     .name = "server",
                                     .on_call = give_request,
                                 });
    if (server == NULL) {
        assert_true(nomem_failed());
        return;
    }
    enum tenon_err rc =
        tenon_server_call(node, TO("server"), one, SHORT_MS, &value, NULL);
    if (only_slow(rc)) {
        rc = tenon_server_call(node, TO("server"), one, DEADLINE_MS, &value,
                               NULL);
    }
    is_expected(rc, TENON_OK);
    tenon_value_free(value);
    is_expected(tenon_server_cast(node, TO("server"), one, NULL), TENON_OK);
    /* An end needs no memory. */
    tenon_pid pid;
    tenon_process_pid(server, &pid);
    (void)tn_process_end(server, tn_process_pid(server));
    tenon_process_release(server);
    assert_null(tenon_whereis(node, "server"));
}

static void write_to_rex(void *user)
{
    tenon_node *node = user;
    tenon_process *box = tenon_mailbox_new(node, NULL, NULL);
    if (box == NULL) {
        assert_true(nomem_failed());
        return;
    }
    tenon_pid pid;
    tenon_value *message = NULL;
    tenon_process_pid(box, &pid);
    (void)tenon_send_format(node, TO("rex"),
                            "{~p, {:call, :m, :raise, [1], :user}}", &pid);
    enum tenon_err rc = tenon_receive(box, SHORT_MS, &message);
    if (only_slow(rc)) {
        rc = tenon_receive(box, DEADLINE_MS, &message);
    }
    is_expected(rc, TENON_OK);
    tenon_value_free(message);
    (void)tn_process_end(box, tn_process_pid(box));
    tenon_process_release(box);
}

static void write_and_read(void *user)
{
    tenon_node *node = user;
    tenon_value *line = NULL;
    tenon_pid leader;
    tenon_process_pid(node->group_leader, &leader);
    const tenon_dest to = { .pid = &leader };
    enum tenon_err rc =
        tenon_io_put_chars(node, &to, TENON_IO_LATIN1, "", 0, SHORT_MS, NULL);
    if (only_slow(rc)) {
        rc = tenon_io_put_chars(node, &to, TENON_IO_LATIN1, "", 0, DEADLINE_MS,
                                NULL);
    }
    is_expected(rc, TENON_OK);
    is_expected(tenon_io_put_chars_async(node, &to, TENON_IO_UNICODE, "", 0, 0,
                                         NULL, NULL),
                TENON_OK);
    rc = tenon_io_get_line(node, &to, "", SHORT_MS, &line, NULL);
    if (only_slow(rc)) {
        rc = tenon_io_get_line(node, &to, "", DEADLINE_MS, &line, NULL);
    }
    is_expected(rc, TENON_OK);
    tenon_value_free(line);
}

static void works_after_every_failure(void **state, nomem_scenario scenario)
{
    tenon_value *value = NULL;
    assert_true(nomem_fail_each(scenario, *state) > 0);
    OK(tenon_rpc(*state, NULL, "m", "echo", list, DEADLINE_MS, &value, NULL));
    assert_string_equal(text_of(tenon_value_term(value)), "1");
    tenon_value_free(value);
}

static void functions_survive_any_failed_allocation(void **state)
{
    works_after_every_failure(state, call_functions);
}

static void servers_survive_any_failed_allocation(void **state)
{
    works_after_every_failure(state, start_call_and_end_a_server);
}

static void rex_survives_any_failed_allocation(void **state)
{
    works_after_every_failure(state, write_to_rex);
}

static void io_survives_any_failed_allocation(void **state)
{
    works_after_every_failure(state, write_and_read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_survive_any_failed_allocation),
        cmocka_unit_test(servers_survive_any_failed_allocation),
        cmocka_unit_test(rex_survives_any_failed_allocation),
        cmocka_unit_test(io_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("otp/nomem", tests, start,
                                       own_node_stop);
}
