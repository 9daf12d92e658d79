/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that reads a term, on every term that the scan lets through:
 * walking, rebuilding, comparing, printing, lookups. */
#include <string.h>

#include "fuzz/term_walk.h"

static void print_twice(tenon_term term)
{
    size_t len = tenon_term_print(term, NULL, 0);
    char small[16];
    char *text = malloc(len + 1);

    MUST(text != NULL);
    MUST(tenon_term_print(term, text, len + 1) == len);
    MUST(strlen(text) == len);
    MUST(strpbrk(text, "\n\r\x1b") == NULL);
    MUST(tenon_term_print(term, small, sizeof small) == len);
    MUST(strncmp(text, small, strlen(small)) == 0);
    free(text);
}

/* Each key is found, with its own value or that of an equal key before it. */
static void look_up(tenon_term map)
{
    tenon_cursor at;
    tenon_term key;
    tenon_term value;
    tenon_term found;

    tenon_cursor_init(&at, map);
    for (int i = 0; i < 64 && tenon_cursor_next_pair(&at, &key, &value); i++) {
        MUST(tenon_map_get(map, key, &found) == TENON_OK);
        MUST(found.bytes <= value.bytes);
    }
}

/* The rebuilt term is in the forms that we write, so that building it once
 * more gives the same bytes. */
static void rebuild_twice(tenon_term term)
{
    tenon_builder *first = tenon_builder_new();
    tenon_builder *second = tenon_builder_new();
    tenon_term once;
    tenon_term twice;

    MUST(first != NULL && second != NULL);
    size_t visited = rebuild(first, term);

    if (tenon_builder_term(first, &once) == TENON_OK) {
        MUST(tenon_term_equal(term, once));
        MUST(tenon_term_compare(term, once) == 0);
        MUST(rebuild(second, once) == visited);
        MUST(tenon_builder_term(second, &twice) == TENON_OK);
        MUST(twice.len == once.len &&
             memcmp(twice.bytes, once.bytes, once.len) == 0);
    }
    tenon_builder_free(first);
    tenon_builder_free(second);
}

/* Two terms one behind the other: the order is one, both ways round. */
static void compare_with_next(tenon_term term, const uint8_t *end)
{
    tenon_term next;

    if (tenon_term_scan(term.bytes + term.len,
                        (size_t)(end - term.bytes) - term.len, &next,
                        NULL) < 0) {
        return;
    }
    int order = tenon_term_compare(term, next);
    int back = tenon_term_compare(next, term);

    MUST((order < 0) == (back > 0) && (order > 0) == (back < 0));
    MUST(!tenon_term_equal(term, next) || order == 0);
    MUST(tenon_term_equal(term, next) == tenon_term_equal(next, term));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    tenon_term term;

    if (tenon_term_scan(data, len, &term, NULL) < 0) {
        return 0;
    }
    MUST(tenon_term_equal(term, term));
    print_twice(term);
    look_up(term);
    rebuild_twice(term);
    compare_with_next(term, data + len);
    return 0;
}
