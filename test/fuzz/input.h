/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a target's input byte by byte: numbers, and terms made of the words of
 * the protocol that is tested. Bytes that are missing are 0, so that every
 * input means something, and small changes of it change little. */
#ifndef TN_FUZZ_INPUT_H
#define TN_FUZZ_INPUT_H

#include <string.h>

#include <tenon/term.h>

#include "fuzz/must.h"
#include "term/build.h"
#include "term/bytes.h"

#define INPUT_HOLES_MAX 8u
#define INPUT_DEPTH_MAX 24u

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* What terms are made of, beside numbers and bytes. */
struct words {
    const char *const *atoms;
    size_t atom_count;
    const char *const *nodes; /* for pids, references and atoms */
    size_t node_count;
    const char *const *shapes; /* patterns in which each ~t is any term */
    size_t shape_count;
};

/* All of three arrays. */
#define WORDS(atoms_, nodes_, shapes_)                                         \
    {                                                                          \
        .atoms = (atoms_), .atom_count = COUNT_OF(atoms_), .nodes = (nodes_),  \
        .node_count = COUNT_OF(nodes_), .shapes = (shapes_),                   \
        .shape_count = COUNT_OF(shapes_),                                      \
    }

struct input {
    const uint8_t *at, *end;
    const struct words *words;
    size_t room; /* bytes of terms that may still be made */
    /* Terms that the target has learned, such as pids; borrowed. */
    const tenon_term *known;
    size_t known_count;
};

static inline uint8_t input_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint64_t input_number(struct input *in, unsigned bytes)
{
    uint64_t number = 0;

    while (bytes-- > 0) {
        number = number << 8 | input_byte(in);
    }
    return number;
}

/* Some bytes of the input, up to 255; they stay in it. */
static inline const uint8_t *input_bytes(struct input *in, size_t *len)
{
    size_t left;
    const uint8_t *bytes;

    *len = input_byte(in);
    left = (size_t)(in->end - in->at);
    *len = *len < left ? *len : left;
    bytes = in->at;
    in->at += *len;
    return bytes;
}

static inline const char *
input_word(struct input *in, const char *const *words, size_t count)
{
    return words[input_byte(in) % count];
}

static inline const char *input_node(struct input *in)
{
    return input_word(in, in->words->nodes, in->words->node_count);
}

static inline tenon_pid input_pid(struct input *in)
{
    tenon_pid pid = { .creation = 9 };

    snprintf(pid.node, sizeof pid.node, "%s", input_node(in));
    pid.id = input_byte(in);
    pid.serial = pid.id >> 7;
    return pid;
}

static inline tenon_ref input_ref(struct input *in)
{
    tenon_ref ref = { .creation = 9 };

    snprintf(ref.node, sizeof ref.node, "%s", input_node(in));
    ref.word_count = 1 + input_byte(in) % 5u;
    ref.words[0] = input_byte(in);
    return ref;
}

static inline void
input_term(struct input *in, tenon_builder *out, unsigned depth);

/* One term by itself; NULL when it cannot be built (too large, too deep).
 * owned: tenon_value_free. */
static inline tenon_value *input_value(struct input *in, unsigned depth)
{
    tenon_builder *builder = tenon_builder_new();
    tenon_value *value = NULL;
    tenon_term term;

    MUST(builder != NULL);
    input_term(in, builder, depth);
    if (tenon_builder_term(builder, &term) == TENON_OK) {
        value = tenon_value_new(term);
        MUST(value != NULL);
    }
    tenon_builder_free(builder);
    return value;
}

static inline void
input_shape(struct input *in, tenon_builder *out, unsigned depth)
{
    const char *shape =
        input_word(in, in->words->shapes, in->words->shape_count);
    tenon_value *held[INPUT_HOLES_MAX] = { NULL };
    tenon_term hole[INPUT_HOLES_MAX];
    size_t count = 0;

    for (const char *at = strstr(shape, "~t"); at != NULL;
         at = strstr(at + 2, "~t")) {
        MUST(count < INPUT_HOLES_MAX);
        held[count++] = input_value(in, depth);
    }
    for (size_t i = 0; i < INPUT_HOLES_MAX; i++) {
        hole[i] = tenon_value_term(held[i]);
    }
    (void)tenon_format(out, shape, hole[0], hole[1], hole[2], hole[3], hole[4],
                       hole[5], hole[6], hole[7]);
    for (size_t i = 0; i < count; i++) {
        tenon_value_free(held[i]);
    }
}

static inline void
input_container(struct input *in, tenon_builder *out, unsigned depth, char kind)
{
    size_t count = input_byte(in) % 8u;

    if (kind == 'T') {
        tenon_build_tuple(out, count);
    } else if (kind == 'M') {
        tenon_build_map(out, count);
        count *= 2;
    } else if (count > 0) {
        tenon_build_list(out, count);
    }
    for (size_t i = 0; i < count; i++) {
        input_term(in, out, depth);
    }
    if (kind == 'L' || (kind == 'I' && count == 0)) {
        tenon_build_nil(out);
    } else if (kind == 'I') {
        input_term(in, out, depth);
    }
}

/* A term as it came in bytes; nil when they are none. */
static inline void input_raw(struct input *in, tenon_builder *out)
{
    size_t len;
    const uint8_t *bytes = input_bytes(in, &len);
    tenon_term term;

    if (tenon_term_scan(bytes, len, &term, NULL) == TENON_OK) {
        tenon_build_term(out, term);
    } else {
        tenon_build_nil(out);
    }
}

/* A list of many equal terms: width for few bytes. */
static inline void
input_repeated(struct input *in, tenon_builder *out, unsigned depth)
{
    size_t count = (size_t)input_number(in, 2);
    tenon_value *value = input_value(in, depth);
    tenon_term term = tenon_value_term(value);
    size_t most = term.bytes == NULL ? 0 : in->room / (term.len + 1);

    count = count < most ? count : most;
    in->room -= count * term.len;
    if (count > 0) {
        tenon_build_list(out, count);
    }
    for (size_t i = 0; i < count; i++) {
        tenon_build_term(out, term);
    }
    tenon_build_nil(out);
    tenon_value_free(value);
}

/* Element `number` of a list whose elements all differ. */
static inline void build_numbered(tenon_builder *out,
                                  unsigned as,
                                  uint32_t number,
                                  const char *node,
                                  tenon_term with)
{
    tenon_pid pid = { .id = number, .creation = 9 };
    tenon_ref ref = { .creation = 9, .word_count = 3, .words = { number } };
    char text[24];

    snprintf(pid.node, sizeof pid.node, "%s", node);
    snprintf(ref.node, sizeof ref.node, "%s", node);
    snprintf(text, sizeof text, as == 2 ? "n%u@h" : "x%u", number);
    switch (as) {
    case 0:
        tenon_build_int(out, number);
        return;
    case 1:
    case 2:
        tenon_build_atom(out, text);
        return;
    case 3:
        tenon_build_pid(out, &pid);
        return;
    case 4:
        tenon_build_ref(out, &ref);
        return;
    case 5:
        tenon_format(out, "{~a, ~t}", text, with);
        return;
    case 6:
        tenon_format(out, "{~i, ~p, ~t}", (int64_t)number, &pid, with);
        return;
    default:
        tenon_format(out, "{~t, [~p, ~p]}", with, &pid, &pid);
    }
}

/* A list, or a map, of many terms that differ. */
static inline void
input_numbered(struct input *in, tenon_builder *out, unsigned depth)
{
    uint32_t count = (uint32_t)input_number(in, 2);
    unsigned as = input_byte(in) % 10u;
    const char *node = input_node(in);
    tenon_value *value = input_value(in, depth);
    tenon_term with = tenon_value_term(value);
    size_t most = with.bytes == NULL ? 0 : in->room / (with.len + 64);

    count = count < most ? count : (uint32_t)most;
    in->room -= count * (with.len + 64);
    if (as >= 8) {
        tenon_build_map(out, count);
    } else if (count > 0) {
        tenon_build_list(out, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        build_numbered(out, as >= 8 ? as - 8 : as, i, node, with);
        if (as >= 8) {
            tenon_build_term(out, with);
        }
    }
    if (as < 8) {
        tenon_build_nil(out);
    }
    tenon_value_free(value);
}

/* One level around a term; what comes behind the term is built by leave. */
static inline void enter_level(tenon_builder *out, unsigned kind)
{
    switch (kind % 6) {
    case 0:
        tenon_build_tuple(out, 1);
        break;
    case 1:
        tenon_build_list(out, 1);
        break;
    case 2:
        tenon_build_map(out, 1);
        tenon_build_int(out, 1);
        break;
    case 3:
        tenon_build_map(out, 1);
        break;
    case 4:
        tenon_build_tuple(out, 2);
        tenon_build_int(out, 1);
        break;
    default:
        tenon_build_list(out, 1);
        tenon_build_int(out, 1);
    }
}

static inline void leave_level(tenon_builder *out, unsigned kind)
{
    if (kind % 6 == 1) {
        tenon_build_nil(out);
    } else if (kind % 6 == 3) {
        tenon_build_int(out, 1);
    }
}

/* A term deep inside of containers: depth for few bytes. */
static inline void
input_nested(struct input *in, tenon_builder *out, unsigned depth)
{
    unsigned levels = (unsigned)input_number(in, 2) % TENON_TERM_MAX_DEPTH;
    unsigned kind = input_byte(in), step = kind / 6;

    levels = levels < in->room / 16 ? levels : 0;
    in->room -= (size_t)levels * 16;
    for (unsigned i = 0; i < levels; i++) {
        enter_level(out, kind + i * step);
    }
    input_term(in, out, depth);
    for (unsigned i = levels; i-- > 0;) {
        leave_level(out, kind + i * step);
    }
}

static inline void input_integer(struct input *in, tenon_builder *out)
{
    size_t len;
    uint8_t sign = input_byte(in);
    const uint8_t *bytes = input_bytes(in, &len);

    tenon_build_integer(out, (sign & 1) != 0, bytes, len);
}

static inline void input_leaf(struct input *in, tenon_builder *out, unsigned as)
{
    const struct words *words = in->words;
    size_t len;
    const uint8_t *bytes;

    switch (as) {
    case 0:
        tenon_build_atom(out, input_word(in, words->atoms, words->atom_count));
        return;
    case 1:
        tenon_build_int(out, input_byte(in));
        return;
    case 2:
        tenon_build_int(out, (int64_t)input_number(in, 8));
        return;
    case 3:
        input_integer(in, out);
        return;
    case 4:
        bytes = input_bytes(in, &len);
        tenon_build_binary(out, bytes, len);
        return;
    default:
        tenon_build_nil(out);
    }
}

static inline void
input_address(struct input *in, tenon_builder *out, unsigned as)
{
    tenon_pid pid;
    tenon_ref ref;

    switch (as) {
    case 0:
        pid = input_pid(in);
        tenon_build_pid(out, &pid);
        return;
    case 1:
        ref = input_ref(in);
        tenon_build_ref(out, &ref);
        return;
    case 2:
        tenon_build_atom(out, input_node(in));
        return;
    default:
        if (in->known_count > 0) {
            tenon_build_term(out, in->known[input_byte(in) % in->known_count]);
        } else {
            tenon_build_nil(out);
        }
    }
}

/* Appends one term. */
static inline void
input_term(struct input *in, tenon_builder *out, unsigned depth)
{
    unsigned kind = input_byte(in) % 20u;

    if (depth >= INPUT_DEPTH_MAX || in->room < 16) {
        tenon_build_nil(out);
        return;
    }
    in->room -= 16;
    if (kind < 5) {
        input_leaf(in, out, kind);
    } else if (kind < 9) {
        input_address(in, out, kind - 5);
    } else if (kind < 13) {
        input_container(in, out, depth + 1, "TLIM"[kind - 9]);
    } else if (kind < 16 && in->words->shape_count > 0) {
        input_shape(in, out, depth + 1);
    } else if (kind == 16) {
        input_raw(in, out);
    } else if (kind == 17) {
        input_repeated(in, out, depth + 1);
    } else if (kind == 18) {
        input_nested(in, out, depth + 1);
    } else if (kind == 19) {
        input_numbered(in, out, depth + 1);
    } else {
        tenon_build_nil(out);
    }
}

#endif
