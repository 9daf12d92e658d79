/* SPDX-License-Identifier: Apache-2.0 */
/* The server that draws the node's processes for observer, while allocations
 * fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appmon.h"
#include "node/atoms.h"
#include "unit/support/nomem.h"

/* An answer that could not be made is waited for this long. */
#define SHORT_MS 30u

static void empty_mailbox(struct fixture *f, uint32_t timeout_ms)
{
    tenon_value *message;

    while (tenon_receive(f->me.box, timeout_ms, &message) == TENON_OK) {
        tenon_value_free(message);
    }
}

static void draw(struct fixture *f)
{
    tenon_pid server;
    bool started = start_server(f, SHORT_MS, &server);

    /* When no allocation has failed the answer is only slow. */
    if (!started && !nomem_failed()) {
        started = start_server(f, DEADLINE_MS, &server);
    }
    assert_true(started || nomem_failed());
    if (started && set_task(f, &server, "tenon", true) == TENON_OK) {
        empty_mailbox(f, SHORT_MS);
    }
}

/* The server ends with the process that has had it started; that process ends
 * as well when it cannot be told something. */
static void draw_once(void *user)
{
    struct fixture f = { .node = user };

    f.me.box = tenon_mailbox_new(f.node, NULL, NULL);
    if (f.me.box == NULL) {
        assert_true(nomem_failed());
        return;
    }
    tenon_process_pid(f.me.box, &f.me.pid);
    draw(&f);
    (void)tenon_process_exit(f.me.box, ":normal");
    (void)tn_process_end(f.me.box, tn_atom_normal);
    tenon_process_release(f.me.box);
}

static void drawing_survives_any_failed_allocation(void **state)
{
    struct fixture *f = *state;
    tenon_pid server;

    assert_true(nomem_fail_each(draw_once, f->node) > 0);
    assert_true(start_server(f, DEADLINE_MS, &server));
    OK(set_task(f, &server, "tenon", true));
    tenon_value_free(next_message(&f->me));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(drawing_survives_any_failed_allocation,
                                        start, stop),
    };
    return cmocka_run_group_tests_name("otp/info_appmon_nomem", tests, NULL,
                                       NULL);
}
