/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of terms share: abort on a broken property, and
 * rebuilding a term from its elements. */
#ifndef TN_FUZZ_TERM_WALK_H
#define TN_FUZZ_TERM_WALK_H

#include <stdio.h>
#include <stdlib.h>

#include <tenon/term.h>

#include "fuzz/must.h"
#include "term/build.h"

/* Builds `term` anew, element by element; returns how many terms it visited.
 * What has no reading function of its own is copied. */
static size_t rebuild(tenon_builder *builder, tenon_term term);

static size_t rebuild_elements(tenon_builder *builder, tenon_term term)
{
    tenon_cursor at;
    tenon_term element;
    size_t visited = 0;

    tenon_cursor_init(&at, term);
    while (tenon_cursor_next(&at, &element)) {
        visited += rebuild(builder, element);
    }
    if (tenon_term_type(term) == TENON_TYPE_LIST) {
        MUST(tenon_cursor_tail(&at, &element) == TENON_OK);
        MUST(tenon_term_type(element) != TENON_TYPE_LIST ||
             tenon_term_count(element) == 0);
        visited += rebuild(builder, element);
    }
    return visited;
}

static void rebuild_integer(tenon_builder *builder, tenon_term term)
{
    uint8_t small[16];
    bool negative = false;
    size_t len = 0;
    int64_t value;

    if (tenon_term_int64(term, &value) == TENON_OK) {
        tenon_build_int(builder, value);
    } else if (tenon_term_integer(term, &negative, small, sizeof small, &len) ==
               TENON_OK) {
        tenon_build_integer(builder, negative, small, len);
    } else {
        uint8_t *large = malloc(len);

        MUST(large != NULL);
        MUST(tenon_term_integer(term, &negative, large, len, &len) == TENON_OK);
        tenon_build_integer(builder, negative, large, len);
        free(large);
    }
}

static void rebuild_scalar(tenon_builder *builder, tenon_term term)
{
    tenon_atom atom;
    tenon_pid pid;
    tenon_ref ref;
    double number;
    const void *bytes;
    size_t len;

    if (tenon_term_atom(term, &atom) == TENON_OK) {
        tenon_build_atom(builder, atom.text);
    } else if (tenon_term_double(term, &number) == TENON_OK) {
        tenon_build_double(builder, number);
    } else if (tenon_term_binary(term, &bytes, &len) == TENON_OK) {
        tenon_build_binary(builder, bytes, len);
    } else if (tenon_term_pid(term, &pid) == TENON_OK) {
        tenon_build_pid(builder, &pid);
    } else if (tenon_term_ref(term, &ref) == TENON_OK) {
        tenon_build_ref(builder, &ref);
    } else {
        tenon_build_term(builder, term);
    }
}

static size_t rebuild(tenon_builder *builder, tenon_term term)
{
    switch (tenon_term_type(term)) {
    case TENON_TYPE_TUPLE:
        tenon_build_tuple(builder, tenon_term_count(term));
        return 1 + rebuild_elements(builder, term);
    case TENON_TYPE_MAP:
        tenon_build_map(builder, tenon_term_count(term));
        return 1 + rebuild_elements(builder, term);
    case TENON_TYPE_LIST:
        if (tenon_term_count(term) == 0) {
            tenon_build_nil(builder);
            return 1;
        }
        tenon_build_list(builder, tenon_term_count(term));
        return 1 + rebuild_elements(builder, term);
    case TENON_TYPE_INTEGER:
        rebuild_integer(builder, term);
        return 1;
    case TENON_TYPE_NONE:
        abort();
    default:
        rebuild_scalar(builder, term);
        return 1;
    }
}

#endif
