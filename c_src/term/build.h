/* SPDX-License-Identifier: Apache-2.0 */
/* The builder's inside, so that others can embed one or build into a buffer
 * of theirs. The terms themselves are appended with tenon_build_... */
#ifndef TN_TERM_BUILD_H
#define TN_TERM_BUILD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/term.h>

#include "base/buf.h"
#include "base/extent.h"

/* One open container: terms that are still to come, and whether the last of
 * them is a list's tail. */
struct tn_open {
    uint32_t left : 31;
    uint32_t is_list : 1;
};

struct tenon_builder {
    struct tn_buf own;
    struct tn_buf *out; /* where bytes go: own, or a buffer of the caller's */
    size_t start;       /* length of `out` when the builder was begun */
    size_t terms;       /* whole terms so far */
    enum tenon_err error;
    uint32_t depth; /* open containers; `now` is the innermost */
    struct tn_open now;
    struct tn_open outer[TENON_TERM_MAX_DEPTH];
};

/* Builds into memory of its own. max_bytes: ceiling, at most
 * TENON_TERM_MAX_BYTES. Allocates nothing. */
void tn_builder_init(tenon_builder *builder, size_t max_bytes);
/* Builds at the end of `out`: borrowed until _fini or _reset, and meanwhile
 * changed by nobody else. tenon_builder_reset drops what was built since. */
void tn_builder_init_over(tenon_builder *builder, struct tn_buf *out);
/* Frees the builder's own memory; what lies in a caller's buffer stays. */
void tn_builder_fini(tenon_builder *builder);

/* All bytes built so far: zero or more whole terms.
 * Errors: the sticky error; TERM_SHAPE inside an unfinished container. */
TENON_CHECK enum tenon_err tn_builder_bytes(const tenon_builder *builder,
                                            const uint8_t **bytes,
                                            size_t *len);

/* Makes the builder fail from here on; returns the sticky error. */
enum tenon_err tn_builder_fail(tenon_builder *builder, enum tenon_err error);

/* Atoms and binaries of known length. */
enum tenon_err
tn_build_atom(tenon_builder *builder, const char *text, size_t len);

/* A bitstring whose last byte has `last_bits` (1 to 8) used high bits. */
enum tenon_err tn_build_bits(tenon_builder *builder,
                             const uint8_t *bytes,
                             size_t len,
                             uint8_t last_bits);
/* &module:function/arity, arity at most 255. */
enum tenon_err tn_build_export(tenon_builder *builder,
                               const char *module,
                               size_t module_len,
                               const char *function,
                               size_t function_len,
                               uint8_t arity);

/* A container whose number of elements is not known yet. */
struct tn_unsized {
    size_t offset; /* of its header, from the builder's first byte */
    bool is_tuple;
    bool is_list;
};

/* Begins a container; elements follow, for a list also its tail, for a map
 * keys and values; then tn_build_close with their number (of elements without
 * the tail, of pairs). A list must have at least one element. */
struct tn_unsized tn_build_open_tuple(tenon_builder *builder);
struct tn_unsized tn_build_open_list(tenon_builder *builder);
struct tn_unsized tn_build_open_map(tenon_builder *builder);
enum tenon_err tn_build_close(tenon_builder *builder,
                              struct tn_unsized container,
                              size_t count);
/* The bytes of a container that was just closed. */
const uint8_t *tn_built_at(const tenon_builder *builder,
                           struct tn_unsized container);

/* Room in the builder for a whole term of `len` bytes, which the caller writes
 * and whose nesting fits; NULL when the builder has failed. */
uint8_t *tn_build_room(tenon_builder *builder, tn_extent len);

/* Whether a term may be built `below` levels inside of what is open now. */
bool tn_builder_fits(const tenon_builder *builder,
                     tenon_term term,
                     uint32_t below);

#endif
