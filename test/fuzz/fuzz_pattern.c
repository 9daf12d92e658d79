/* SPDX-License-Identifier: Apache-2.0 */
/* The pattern language: any text is read or refused; what was read prints as
 * a text that reads back as the same term and matches it; holes are filled and
 * taken again. */
#include <string.h>

#include "fuzz/term_walk.h"

static void read_back(tenon_term term, const char *text, size_t len)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_error err;
    tenon_term again;

    MUST(builder != NULL);
    MUST(tenon_build_text(builder, text, len, &err) == TENON_OK);
    MUST(tenon_builder_term(builder, &again) == TENON_OK);
    MUST(tenon_term_equal(term, again));
    MUST(tenon_match(term, text));
    tenon_builder_free(builder);
}

static void print_and_read(tenon_term term)
{
    size_t len = tenon_term_print(term, NULL, 0);
    char *text = malloc(len + 1);

    MUST(text != NULL);
    tenon_term_print(term, text, len + 1);
    read_back(term, text, len);
    free(text);
}

static void read_text(const char *text, size_t len)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_error err;
    tenon_term term;

    MUST(builder != NULL);
    if (tenon_build_text(builder, text, len, &err) == TENON_OK) {
        tenon_term checked;

        MUST(tenon_builder_term(builder, &term) == TENON_OK);
        MUST(tenon_term_scan(term.bytes, term.len, &checked, &err) == TENON_OK);
        MUST(checked.len == term.len);
        print_and_read(term);
    } else {
        MUST(tenon_builder_error(builder) < 0 && err.code < 0);
    }
    tenon_builder_free(builder);
}

/* All holes of one kind, so that the arguments fit however many there are.
 * Sixteen are given; a text with more is left out. */
#define SIXTEEN(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x

static int count_holes(const char *text, char letter)
{
    int count = 0;

    for (const char *p = strchr(text, '~'); p != NULL; p = strchr(p + 1, '~')) {
        if (p[1] == letter) {
            count++;
        } else if (p[1] != '\0' && strchr("iufasbtnpr", p[1]) != NULL) {
            return -1;
        }
    }
    return count;
}

static void fill_and_take(const char *pattern)
{
    int holes = count_holes(pattern, 'i');
    int64_t out[16] = { 0 };
    tenon_term term;

    if (holes < 1 || holes > 16) {
        return;
    }
    tenon_builder *builder = tenon_builder_new();

    MUST(builder != NULL);
    if (tenon_format(builder, pattern, SIXTEEN((int64_t)-7)) == TENON_OK) {
        MUST(tenon_builder_term(builder, &term) == TENON_OK);
        if (tenon_match(term, pattern, &out[0], &out[1], &out[2], &out[3],
                        &out[4], &out[5], &out[6], &out[7], &out[8], &out[9],
                        &out[10], &out[11], &out[12], &out[13], &out[14],
                        &out[15])) {
            for (int i = 0; i < 16 && out[i] != 0; i++) {
                MUST(out[i] == -7);
            }
        }
    }
    tenon_builder_free(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);

    MUST(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    read_text(text, len);
    fill_and_take(text);
    free(text);
    return 0;
}
