/* SPDX-License-Identifier: Apache-2.0 */
/* The server that draws the node's processes for observer: what it takes, and
 * what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appmon.h"

/* Tasks that one server takes. */
#define TASKS_MAX 16
static void assert_told(struct fixture *f, const char *aux)
{
    tenon_value *message = next_message(&f->me);
    tenon_atom told;

    assert_true(tenon_match(tenon_value_term(message),
                            "{:delivery, _, :app, ~a, _}", &told));
    assert_string_equal(told.text, aux);
    tenon_value_free(message);
}

static void a_server_takes_so_many_tasks_and_no_more(void **state)
{
    struct fixture *f = *state;
    tenon_pid server;
    char aux[16];

    assert_true(start_server(f, DEADLINE_MS, &server));
    for (int i = 0; i < TASKS_MAX; i++) {
        snprintf(aux, sizeof aux, "app%d", i);
        OK(set_task(f, &server, aux, true));
        assert_told(f, aux);
    }
    OK(set_task(f, &server, "one_more", true));
    /* The same one anew is no further one; it comes after the refusal. */
    OK(set_task(f, &server, "app0", true));
    assert_told(f, "app0");
    OK(set_task(f, &server, "app1", false));
    OK(set_task(f, &server, "one_more", true));
    assert_told(f, "one_more");
}

static void what_is_no_task_is_passed_over(void **state)
{
    static const char *const requests[] = {
        ":what",
        "{1, :app, :tenon, true, []}",
        "{}",
        "[:app]",
    };
    struct fixture *f = *state;
    tenon_pid server;

    assert_true(start_server(f, DEADLINE_MS, &server));
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        tenon_value *request = tenon_value_format(requests[i]);

        OK(tenon_server_cast(f->node, &(tenon_dest){ .pid = &server },
                             tenon_value_term(request), NULL));
        tenon_value_free(request);
    }
    OK(set_task(f, &server, "tenon", true));
    assert_told(f, "tenon");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_takes_so_many_tasks_and_no_more),
        TEST(what_is_no_task_is_passed_over),
    };
    return cmocka_run_group_tests_name("otp/info_appmon", tests, NULL, NULL);
}
