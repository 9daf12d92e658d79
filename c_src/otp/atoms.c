/* SPDX-License-Identifier: Apache-2.0 */
/* Ready-made terms that gen_server, rpc and their like send. */
#include "otp/atoms.h"

/* SMALL_ATOM_UTF8_EXT: 119, length, text. */
#define ATOM(name, length, text)                                               \
    const tenon_term tn_atom_##name = {                                        \
        .bytes = (const uint8_t *)"w" length text,                             \
        .len = sizeof(text) + 1,                                               \
    }

ATOM(bad_return_value, "\x10", "bad_return_value");
ATOM(gen_cast, "\x09", "$gen_cast");
ATOM(rex, "\x03", "rex");
ATOM(yes, "\x03", "yes");

const tenon_term tn_empty_list = { .bytes = (const uint8_t *)"j", .len = 1 };

/* SMALL_TUPLE_EXT: 104, arity, elements. */
static const uint8_t badrpc_system_limit[] = "h\x02w\x06"
                                             "badrpc"
                                             "h\x02w\x04"
                                             "EXIT"
                                             "w\x0c"
                                             "system_limit";
const tenon_term tn_badrpc_system_limit = {
    .bytes = badrpc_system_limit,
    .len = sizeof badrpc_system_limit - 1,
};
