/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded scan on any bytes. What it accepts is one term of the length it
 * says: no shorter input is accepted, and skipping and ei come to the same
 * end. */
#include <ei.h>
#include <string.h>

#include "fuzz/term_walk.h"
#include "term/scan.h"
#include "term/view.h"

/* ei knows neither floats as text in every form nor integers without bytes,
 * and its index is an int; where it does skip, it must agree. */
static void same_as_ei(const uint8_t *data, size_t used)
{
    int index = 0;

    if (ei_skip_term((const char *)data, &index) == 0) {
        MUST((size_t)index == used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    tenon_error err = { .code = TENON_OK };
    size_t used = 0;
    size_t less = 0;

    if (tn_scan(data, len, &used, &err) < 0) {
        MUST(err.code < 0 && memchr(err.text, '\0', sizeof err.text) != NULL);
        return 0;
    }
    MUST(used > 0 && used <= len);
    MUST(tn_skip(data) == data + used);
    MUST(tn_scan(data, used - 1, &less, NULL) == TENON_E_TERM_SHORT);
    MUST(tn_scan_depth(data, used) <= TENON_TERM_MAX_DEPTH);
    same_as_ei(data, used);
    return 0;
}
