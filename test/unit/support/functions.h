/* SPDX-License-Identifier: Apache-2.0 */
/* Functions for a test's node to run: each ends in its way, with its first
 * argument. */
#ifndef TN_TEST_FUNCTIONS_H
#define TN_TEST_FUNCTIONS_H

#include <tenon.h>

static inline void give_back(tenon_call *call, void *user)
{
    (void)user;
    tenon_reply_term(call, tenon_call_arg(call, 0));
}

static inline void raise_it(tenon_call *call, void *user)
{
    (void)user;
    tenon_raise(call, "~t", tenon_call_arg(call, 0));
}

static inline void throw_it(tenon_call *call, void *user)
{
    (void)user;
    tenon_throw(call, "~t", tenon_call_arg(call, 0));
}

static inline void exit_with(tenon_call *call, void *user)
{
    (void)user;
    tenon_exit(call, "~t", tenon_call_arg(call, 0));
}

#endif
