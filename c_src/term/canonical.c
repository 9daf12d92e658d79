/* SPDX-License-Identifier: Apache-2.0 */
/* Rebuilding a term, with maps in the order of their keys. */
#include "term/canonical.h"

#include "term/build.h"
#include "term/compare.h"
#include "term/tags.h"
#include "term/view.h"

/* Returns what follows the term at `p`. */
static const uint8_t *put(tenon_builder *out, const uint8_t *p);

static void put_atom(tenon_builder *out, const uint8_t *p)
{
    struct tn_atom_view view;
    uint8_t text[TENON_ATOM_MAX_BYTES];

    if (tn_atom_view(p, &view)) {
        (void)tn_build_atom(out, (const char *)text, tn_atom_utf8(&view, text));
    }
}

static void put_integer(tenon_builder *out, const uint8_t *p)
{
    struct tn_int_view view;

    if (tn_int_view(p, &view)) {
        tenon_build_integer(out, view.negative, view.bytes, view.len);
    }
}

static void put_tuple(tenon_builder *out, tenon_term tuple)
{
    tenon_cursor at;
    tenon_term element;

    tenon_build_tuple(out, tenon_term_count(tuple));
    tenon_cursor_init(&at, tuple);
    while (tenon_cursor_next(&at, &element)) {
        put(out, element.bytes);
    }
}

static void put_list(tenon_builder *out, tenon_term list)
{
    tenon_cursor at;
    tenon_term element, tail;

    tenon_build_list(out, tenon_term_count(list));
    tenon_cursor_init(&at, list);
    while (tenon_cursor_next(&at, &element)) {
        put(out, element.bytes);
    }
    if (tenon_cursor_tail(&at, &tail) == TENON_OK) {
        if (tail.bytes[0] == TN_NIL) {
            tenon_build_nil(out);
        } else {
            put(out, tail.bytes);
        }
    }
}

static void put_pairs_as_they_stand(tenon_builder *out, tenon_term map)
{
    tenon_cursor at;
    tenon_term key, value;

    tenon_cursor_init(&at, map);
    while (tenon_cursor_next_pair(&at, &key, &value)) {
        put(out, key.bytes);
        put(out, value.bytes);
    }
}

static void put_map(tenon_builder *out, tenon_term map)
{
    struct tn_keys keys;
    size_t count = tenon_term_count(map);

    tenon_build_map(out, count);
    if (tn_map_is_tangled(map.bytes)) {
        put_pairs_as_they_stand(out, map);
        return;
    }
    tn_keys_init(&keys, map.bytes);
    for (uint32_t i = 0; i < count; i++) {
        put(out, put(out, tn_keys_at(&keys, i)));
    }
    tn_keys_fini(&keys);
}

static void put_pid(tenon_builder *out, tenon_term term)
{
    tenon_pid pid;

    if (tenon_term_pid(term, &pid) == TENON_OK) {
        tenon_build_pid(out, &pid);
    } else {
        tenon_build_term(out, term);
    }
}

static void put_ref(tenon_builder *out, tenon_term term)
{
    tenon_ref ref;

    if (tenon_term_ref(term, &ref) == TENON_OK) {
        tenon_build_ref(out, &ref);
    } else {
        tenon_build_term(out, term);
    }
}

static void put_bits(tenon_builder *out, tenon_term term)
{
    const void *bytes;
    size_t len;

    if (tenon_term_binary(term, &bytes, &len) == TENON_OK) {
        tenon_build_binary(out, bytes, len);
    } else {
        tenon_build_term(out, term);
    }
}

static const uint8_t *put(tenon_builder *out, const uint8_t *p)
{
    tenon_term term = tn_term_at(p);
    double number;

    switch (tenon_term_type(term)) {
    case TENON_TYPE_ATOM:
        put_atom(out, p);
        break;
    case TENON_TYPE_INTEGER:
        put_integer(out, p);
        break;
    case TENON_TYPE_FLOAT:
        if (tn_double_at(p, &number)) {
            tenon_build_double(out, number);
        }
        break;
    case TENON_TYPE_TUPLE:
        put_tuple(out, term);
        break;
    case TENON_TYPE_LIST:
        put_list(out, term);
        break;
    case TENON_TYPE_MAP:
        put_map(out, term);
        break;
    case TENON_TYPE_PID:
        put_pid(out, term);
        break;
    case TENON_TYPE_REF:
        put_ref(out, term);
        break;
    case TENON_TYPE_BINARY:
        put_bits(out, term);
        break;
    case TENON_TYPE_NONE:
    case TENON_TYPE_FUN:
    case TENON_TYPE_PORT:
    case TENON_TYPE_BITSTRING:
        tenon_build_term(out, term);
        break;
    }
    return p + term.len;
}

enum tenon_err tn_build_canonical(tenon_builder *out, tenon_term term)
{
    if (term.bytes == NULL) {
        return tn_builder_fail(out, TENON_E_INVAL);
    }
    put(out, term.bytes);
    return tenon_builder_error(out);
}
