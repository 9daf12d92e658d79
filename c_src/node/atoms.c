/* SPDX-License-Identifier: Apache-2.0 */
/* Atoms as SMALL_ATOM_UTF8_EXT: tag 119, length, text. */
#include "node/atoms.h"

/* The literal is longer than its view by its final NUL. */
#define ATOM(name, len_octal, len)                                             \
    const tenon_term tn_atom_##name = {                                        \
        (const uint8_t *)"\167" len_octal #name, 2 + (len)                     \
    }

ATOM(badarg, "\006", 6);
ATOM(badopt, "\006", 6);
ATOM(forbidden, "\011", 9);
ATOM(kill, "\004", 4);
ATOM(killed, "\006", 6);
ATOM(nil, "\003", 3);
ATOM(noconnection, "\014", 12);
ATOM(noproc, "\006", 6);
ATOM(normal, "\006", 6);
ATOM(notsup, "\006", 6);
ATOM(ok, "\002", 2);
ATOM(shutdown, "\010", 8);
ATOM(system_limit, "\014", 12);
ATOM(undef, "\005", 5);
