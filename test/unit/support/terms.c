/* SPDX-License-Identifier: Apache-2.0 */
/* Golden terms, and terms for tests. */
#include "unit/support/terms.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "term/build.h"
#include "term/format.h"
#include "unit/support/wire.h"

static void *must(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

uint8_t *from_hex(const char *hex, size_t hex_len, size_t *len)
{
    *len = hex_len / 2;
    /* No byte more than needed, so that a sanitizer sees a read past it. */
    uint8_t *bytes = must(malloc(*len > 0 ? *len : 1));

    for (size_t i = 0; i < *len; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            abort();
        }
        bytes[i] = (uint8_t)byte;
    }
    return bytes;
}

static void add_line(struct goldens *goldens, char *line, size_t number)
{
    char *tab = strchr(line, '\t');

    if (tab != NULL) {
        *tab = '\0';
    }
    for (char *word = line; word != NULL;) {
        char *space = strchr(word, ' ');
        size_t hex_len = space != NULL ? (size_t)(space - word) : strlen(word);

        goldens->all = must(
            realloc(goldens->all, (goldens->count + 1) * sizeof *goldens->all));
        struct golden *golden = &goldens->all[goldens->count++];

        golden->bytes = from_hex(word, hex_len, &golden->len);
        golden->text = tab == NULL ? NULL : must(strdup(tab + 1));
        golden->line = number;
        word = space == NULL ? NULL : space + 1;
    }
}

struct goldens goldens_load(const char *name)
{
    struct goldens goldens = { NULL, 0 };
    char path[160];
    size_t number = 1;

    snprintf(path, sizeof path, "test/wire/term/%s", name);
    char *text = wire_text(path);

    for (char *line = text; *line != '\0'; number++) {
        char *end = must(strchr(line, '\n'));

        *end = '\0';
        add_line(&goldens, line, number);
        line = end + 1;
    }
    free(text);
    return goldens;
}

void goldens_free(struct goldens *goldens)
{
    for (size_t i = 0; i < goldens->count; i++) {
        free(goldens->all[i].bytes);
        free(goldens->all[i].text);
    }
    free(goldens->all);
    *goldens = (struct goldens){ NULL, 0 };
}

/* ---- terms for the length of the program ------------------------------ */

static void **kept;
static size_t kept_count;

static void give_back(void)
{
    for (size_t i = 0; i < kept_count; i++) {
        free(kept[i]);
    }
    free(kept);
    kept = NULL;
    kept_count = 0;
}

static void *keep(void *p)
{
    if (kept_count == 0) {
        atexit(give_back);
    }
    kept = must(realloc(kept, (kept_count + 1) * sizeof *kept));
    kept[kept_count++] = must(p);
    return p;
}

tenon_term term_of(const char *pattern, ...)
{
    tenon_builder builder;
    tenon_term term;
    va_list args;

    tn_builder_init(&builder, TENON_TERM_MAX_BYTES);
    va_start(args, pattern);
    enum tenon_err rc = tn_format_va(&builder, pattern, &args);

    va_end(args);
    if (rc < 0 || tenon_builder_term(&builder, &term) < 0) {
        fprintf(stderr, "%s: %s\n", pattern, tenon_err_text(rc));
        abort();
    }
    uint8_t *bytes = keep(malloc(term.len));

    memcpy(bytes, term.bytes, term.len);
    tn_builder_fini(&builder);
    return (tenon_term){ bytes, term.len };
}

tenon_term term_of_hex(const char *hex)
{
    size_t len;
    tenon_error err;
    tenon_term term;
    uint8_t *bytes = keep(from_hex(hex, strlen(hex), &len));

    if (tenon_term_scan(bytes, len, &term, &err) < 0 || term.len != len) {
        fprintf(stderr, "%s: %s\n", hex, err.text);
        abort();
    }
    return term;
}

const char *text_of(tenon_term term)
{
    size_t len = tenon_term_print(term, NULL, 0);
    char *text = keep(malloc(len + 1));

    tenon_term_print(term, text, len + 1);
    return text;
}
