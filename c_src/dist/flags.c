/* SPDX-License-Identifier: Apache-2.0 */
/* Expansion and printing of capability flags. */
#include "dist/flags.h"

#include <stdbool.h>
#include <stdio.h>

static const char *const names[64] = {
#define FLAG_NAME(name, bit) [bit] = #name,
    TN_FLAG_LIST(FLAG_NAME)
#undef FLAG_NAME
};

uint64_t tn_flags_expand(uint64_t flags)
{
    if (flags & TN_FLAG(MANDATORY_25_DIGEST)) {
        flags |= TN_FLAGS_DIGEST_25;
    }
    return flags;
}

/* Adds one name; false when it does not fit. */
static bool add_name(char *buf, size_t cap, size_t *len, unsigned bit)
{
    const char *comma = *len > 0 ? "," : "";
    size_t room = cap - *len;
    int n;

    if (names[bit] != NULL) {
        n = snprintf(buf + *len, room, "%s%s", comma, names[bit]);
    } else {
        n = snprintf(buf + *len, room, "%sbit%u", comma, bit);
    }
    if (n < 0 || (size_t)n >= room) {
        return false;
    }
    *len += (size_t)n;
    return true;
}

const char *tn_flags_print(uint64_t flags, char *buf, size_t cap)
{
    size_t len = 0;

    buf[0] = '\0';
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((flags >> bit & 1) != 0 && !add_name(buf, cap, &len, bit)) {
            break;
        }
    }
    return buf;
}
