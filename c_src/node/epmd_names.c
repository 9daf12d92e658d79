/* SPDX-License-Identifier: Apache-2.0 */
/* The names that an epmd holds, as a term. Asking for them is dist/epmd.h's. */
#include <tenon/node.h>

#include "base/buf.h"
#include "base/error.h"
#include "dist/epmd.h"

static size_t count_names(const struct tn_buf *answer)
{
    struct tn_epmd_name name;
    size_t at = 0;
    size_t count = 0;

    while (tn_epmd_next_name(answer->bytes, answer->len, &at, &name)) {
        count++;
    }
    return count;
}

static void build_names(tenon_builder *out, const struct tn_buf *answer)
{
    struct tn_epmd_name name;
    size_t at = 0;
    size_t count = count_names(answer);

    if (count > 0) {
        tenon_build_list(out, count);
    }
    while (tn_epmd_next_name(answer->bytes, answer->len, &at, &name)) {
        tenon_build_tuple(out, 2);
        tenon_build_binary(out, name.name, name.name_len);
        tenon_build_uint(out, name.port);
    }
    tenon_build_nil(out);
}

enum tenon_err tenon_epmd_names(const char *host,
                                uint32_t timeout_ms,
                                tenon_builder *out,
                                tenon_error *err)
{
    struct tn_buf answer;

    if (out == NULL) {
        return tn_error(err, TENON_E_INVAL, "names of epmd: no builder");
    }
    tn_buf_init(&answer, TN_EPMD_NAMES_MAX_BYTES);
    enum tenon_err rc = tn_epmd_names(
        host, timeout_ms != 0 ? timeout_ms : TENON_EPMD_TIMEOUT_MS, &answer,
        err);

    if (rc == TENON_OK) {
        build_names(out, &answer);
        rc = tenon_builder_error(out);
        if (rc != TENON_OK) {
            rc = tn_error(err, rc, "names of epmd: %s", tenon_err_text(rc));
        }
    }
    tn_buf_fini(&answer);
    return rc;
}
