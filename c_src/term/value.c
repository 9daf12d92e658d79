/* SPDX-License-Identifier: Apache-2.0 */
/* Owned terms: one block that holds its length and its bytes. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/term.h>

#include "term/build.h"
#include "term/format.h"

struct tenon_value {
    size_t len;
    uint8_t bytes[];
};

tenon_value *tenon_value_new(tenon_term term)
{
    if (term.bytes == NULL) {
        return NULL;
    }
    tenon_value *value = malloc(sizeof *value + term.len);

    if (value != NULL) {
        value->len = term.len;
        memcpy(value->bytes, term.bytes, term.len);
    }
    return value;
}

tenon_value *tenon_value_format(const char *pattern, ...)
{
    tenon_builder builder;
    tenon_term term;
    tenon_value *value = NULL;
    va_list args;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    va_start(args, pattern);
    enum tenon_err rc = tn_format_va(&builder, pattern, &args);

    va_end(args);
    if (rc == TENON_OK && tenon_builder_term(&builder, &term) == TENON_OK) {
        value = tenon_value_new(term);
    }
    tn_builder_fini(&builder);
    return value;
}

tenon_term tenon_value_term(const tenon_value *value)
{
    if (value == NULL) {
        return (tenon_term){ NULL, 0 };
    }
    return (tenon_term){ value->bytes, value->len };
}

void tenon_value_free(tenon_value *value)
{
    free(value);
}
