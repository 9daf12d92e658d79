/* SPDX-License-Identifier: Apache-2.0 */
/* The growing buffer when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "unit/support/nomem.h"

static void grow_step_by_step(void *user)
{
    struct tn_buf buf;
    size_t held = 0;

    (void)user;
    tn_buf_init(&buf, 1u << 16);
    for (int i = 0; i < 100; i++) {
        char block[100];

        memset(block, i, sizeof block);
        enum tenon_err rc = tn_buf_append(&buf, block, sizeof block);

        if (rc < 0) {
            assert_int_equal(rc, TENON_E_NOMEM);
            assert_true(nomem_failed());
            assert_int_equal(buf.len, held);
            /* What was there is there still. */
            assert_true(held == 0 || buf.bytes[held - 1] == (held - 1) / 100);
            break;
        }
        held += sizeof block;
    }
    tn_buf_fini(&buf);
}

static void a_failed_append_leaves_the_bytes(void **state)
{
    (void)state;
    assert_true(nomem_fail_each(grow_step_by_step, NULL) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_append_leaves_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
