/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors that are taken back while very many have fired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/link.h"
#include "one_node.h"
#include "unit/support/growth.h"

#define MONITORS 200u

/* Monitors of a process that has ended fire at once. */
static void fire_and_take_back(void *user, unsigned size)
{
    const tenon_pid *gone = user;
    size_t count = (size_t)MONITORS * growth_scale(size);
    tenon_ref *refs = calloc(count, sizeof *refs);
    tenon_process *watcher = new_box(node, NULL);
    assert_non_null(refs);
    for (size_t i = 0; i < count; i++) {
        OK(tenon_monitor(watcher, &(tenon_dest){ .pid = gone }, &refs[i]));
    }
    assert_int_equal(watcher->mailbox_count, count);
    for (size_t i = count; i > 0; i--) {
        tn_demonitor(watcher, &refs[i - 1]);
    }
    free(refs);
    end_box(watcher);
}

static void what_has_fired_is_not_looked_for_in_the_mailbox(void **state)
{
    (void)state;
    tenon_process *process = new_box(node, NULL);
    tenon_pid gone;
    tenon_process_pid(process, &gone);
    end_box(process);
    assert_growth("monitors taken back", fire_and_take_back, &gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_fired_is_not_looked_for_in_the_mailbox),
    };
    return cmocka_run_group_tests(tests, start_node, stop_node);
}
