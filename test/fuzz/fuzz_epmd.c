/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what epmd answers. An answer that comes in pieces is decided
 * once and stays decided; the names of a list lie in it, one behind the other.
 * And any text as a name that is asked for. */
#include <string.h>

#include "dist/bytes.h"
#include "dist/epmd.h"
#include "fuzz/must.h"

static void read_port(const uint8_t *data, size_t len)
{
    int decided = 0;
    uint16_t port = 0;

    for (size_t have = 0; have <= len && have < 8; have++) {
        tenon_error err = { .code = TENON_OK };
        uint16_t now = 0;
        int rc = tn_epmd_get_lookup(data, have, &now, &err);

        MUST((rc < 0) == (err.code < 0));
        MUST(rc <= 0 || now != 0);
        MUST(decided == 0 || (rc == decided && now == port));
        decided = rc;
        port = now;
    }
}

static void read_names(const uint8_t *data, size_t len)
{
    const uint8_t *free_from = data;
    struct tn_epmd_name name;
    size_t at = 0;

    while (tn_epmd_next_name(data, len, &at, &name)) {
        const uint8_t *first = (const uint8_t *)name.name;

        MUST(at <= len && name.name_len > 0 && name.port > 0);
        MUST(first >= free_from && first + name.name_len <= data + at);
        MUST(memchr(name.name, '\n', name.name_len) == NULL);
        free_from = data + at;
    }
    MUST(at <= len || len < 4);
}

static void ask(const uint8_t *data, size_t len)
{
    tenon_error err = { .code = TENON_OK };
    struct tn_buf out;
    char *text = malloc(len + 1);

    MUST(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    tn_buf_init(&out, SIZE_MAX);
    if (tn_epmd_put_lookup(&out, text, &err) == TENON_OK) {
        MUST(out.len == 3 + strlen(text));
        MUST(tn_get16(out.bytes) == 1 + strlen(text));
    } else {
        MUST(out.len == 0 && err.code < 0);
    }
    tn_buf_fini(&out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    read_port(data, len);
    read_names(data, len);
    ask(data, len);
    return 0;
}
