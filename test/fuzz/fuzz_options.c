/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a file of TLS options: read as terms, then option by option.
 *
 *   first line  name of an option, "server_depth"
 *   the rest    a term */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/tls_options.h"
#include "fuzz/must.h"
#include "term/plain.h"

static void read_terms(const char *text, size_t len)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_error err = { .code = TENON_OK };
    tenon_term term;

    MUST(builder != NULL);
    if (tn_plain_read(text, len, true, builder, &err) == TENON_OK) {
        MUST(tenon_builder_term(builder, &term) == TENON_OK);
    }
    tenon_builder_free(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tn_tls_options options = { 0 };
    tenon_error err = { .code = TENON_OK };
    char *text = malloc(len + 1);

    MUST(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    char *line_end = strchr(text, '\n');

    if (line_end != NULL) {
        *line_end = '\0';
        read_terms(line_end + 1, len - (size_t)(line_end + 1 - text));
        enum tenon_err rc =
            tn_tls_options_set(&options, text, line_end + 1, &err);

        MUST((rc < 0) == (err.code < 0));
    }
    tn_tls_options_fini(&options);
    free(text);
    return 0;
}
