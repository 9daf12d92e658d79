/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang terms: reading, matching, building, printing, comparing.
 *
 * A term is a view of bytes in the external term format (erl_ext_dist of the
 * OTP documentation), without the leading version byte 131. Views come only
 * from functions that have validated the bytes: from a message that the node
 * received, from tenon_term_scan, or from a builder. Reading a view cannot
 * run past its end. A view is borrowed: it lives as long as what holds its
 * bytes. */
#ifndef TENON_TERM_H
#define TENON_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/api.h>
#include <tenon/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longest node name, in bytes, without the final NUL. */
#define TENON_NODE_NAME_MAX_BYTES 255
/* Longest atom: 255 characters of at most 4 bytes. */
#define TENON_ATOM_MAX_BYTES 1020
/* Deepest nesting of a term that is accepted or built. Comparing and printing
 * the deepest terms takes up to 1 MiB of stack. */
#define TENON_TERM_MAX_DEPTH 512
/* Largest term that is accepted or built, in bytes. */
#define TENON_TERM_MAX_BYTES (256u * 1024u * 1024u)

/* A view of one valid term. Passed by value. `bytes` NULL is no term; every
 * function below treats it as a term of type TENON_TYPE_NONE. */
typedef struct tenon_term {
    const uint8_t *bytes;
    size_t len;
} tenon_term;

enum tenon_type {
    TENON_TYPE_NONE,
    TENON_TYPE_INTEGER,
    TENON_TYPE_FLOAT,
    TENON_TYPE_ATOM,
    TENON_TYPE_REF,
    TENON_TYPE_FUN,
    TENON_TYPE_PORT,
    TENON_TYPE_PID,
    TENON_TYPE_TUPLE,
    TENON_TYPE_MAP,
    TENON_TYPE_LIST,      /* also the empty list, and improper lists */
    TENON_TYPE_BINARY,    /* whole bytes */
    TENON_TYPE_BITSTRING, /* a number of bits that is no multiple of 8 */
};

/* A process identifier, as NEW_PID_EXT. `node` is NUL-terminated UTF-8. */
typedef struct tenon_pid {
    uint32_t id;
    uint32_t serial;
    uint32_t creation;
    char node[TENON_NODE_NAME_MAX_BYTES + 1];
} tenon_pid;

/* A reference, as NEWER_REFERENCE_EXT, words in wire order. */
typedef struct tenon_ref {
    uint32_t creation;
    uint32_t word_count; /* 1 to 5 */
    uint32_t words[5];
    char node[TENON_NODE_NAME_MAX_BYTES + 1];
} tenon_ref;

/* The text of an atom, NUL-terminated UTF-8 (an atom that itself contains a
 * NUL byte is reported as TERM_TYPE by what fills this). */
typedef struct tenon_atom {
    char text[TENON_ATOM_MAX_BYTES + 1];
} tenon_atom;

/* ---- validating ------------------------------------------------------- */

/* Validates the bytes of one term: tags, lengths, depth, size, atoms. This is
 * the only way from raw bytes to a view. Linear in `len`, no allocation.
 *
 * bytes  borrowed; must outlive the view.
 * len    number of bytes available; the term may be shorter.
 * term   set on success.
 * err    borrowed, may be NULL; filled on failure only.
 *
 * A leading version byte 131 is accepted and skipped. Bytes after the term
 * are left alone: the caller compares term->bytes + term->len with its end.
 * Errors: TERM_SHORT, TERM_TAG, TERM_DEEP, TERM_BIG, TERM_ATOM, TERM_SHAPE.
 * Threads: any. Blocks: no. */
TENON_API TENON_CHECK enum tenon_err tenon_term_scan(const void *bytes,
                                                     size_t len,
                                                     tenon_term *term,
                                                     tenon_error *err);

/* ---- reading ---------------------------------------------------------- *
 * All of: term by value; results set on success only. Threads: any (a view is
 * immutable). Blocks: no. */

/* The type of a term; TENON_TYPE_NONE for the null view. */
TENON_API enum tenon_type tenon_term_type(tenon_term term);

/* True for the atom whose UTF-8 text is `text`. */
TENON_API bool tenon_term_is_atom(tenon_term term, const char *text);

/* Errors: TERM_TYPE; TERM_RANGE when the integer does not fit. */
TENON_API TENON_CHECK enum tenon_err tenon_term_int64(tenon_term term,
                                                      int64_t *value);
TENON_API TENON_CHECK enum tenon_err tenon_term_uint64(tenon_term term,
                                                       uint64_t *value);

/* An integer of any size, as sign and little-endian magnitude without leading
 * zero bytes (zero has length 0).
 *
 * magnitude  borrowed, `cap` bytes; may be NULL with cap 0 to ask for *len.
 * Errors: TERM_TYPE; TERM_RANGE when cap is too small, *len is then set. */
TENON_API TENON_CHECK enum tenon_err tenon_term_integer(tenon_term term,
                                                        bool *negative,
                                                        uint8_t *magnitude,
                                                        size_t cap,
                                                        size_t *len);

/* Errors: TERM_TYPE. Integers are not floats. */
TENON_API TENON_CHECK enum tenon_err tenon_term_double(tenon_term term,
                                                       double *value);
TENON_API TENON_CHECK enum tenon_err tenon_term_atom(tenon_term term,
                                                     tenon_atom *atom);
/* A binary of whole bytes; bytes is borrowed from the term. */
TENON_API TENON_CHECK enum tenon_err
tenon_term_binary(tenon_term term, const void **bytes, size_t *len);
/* Errors: TERM_TYPE; TERM_RANGE when the node's name is longer than
 * TENON_NODE_NAME_MAX_BYTES, which no running node has. */
TENON_API TENON_CHECK enum tenon_err tenon_term_pid(tenon_term term,
                                                    tenon_pid *pid);
TENON_API TENON_CHECK enum tenon_err tenon_term_ref(tenon_term term,
                                                    tenon_ref *ref);

/* Number of elements of a tuple, of pairs of a map, of elements of a list
 * before its tail; 0 for everything else. Constant time but for lists, which
 * are walked. */
TENON_API size_t tenon_term_count(tenon_term term);

/* Element `index` (from 0) of a tuple. Errors: TERM_TYPE; NOT_FOUND. */
TENON_API TENON_CHECK enum tenon_err
tenon_tuple_get(tenon_term tuple, size_t index, tenon_term *element);

/* The value under a key, compared with ===. Linear in the map. A peer that is
 * no BEAM may send a key twice: the first one counts.
 * Errors: TERM_TYPE; NOT_FOUND. */
TENON_API TENON_CHECK enum tenon_err
tenon_map_get(tenon_term map, tenon_term key, tenon_term *value);
TENON_API TENON_CHECK enum tenon_err
tenon_map_get_atom(tenon_term map, const char *key, tenon_term *value);
/* The key is the binary with the bytes of `key`. */
TENON_API TENON_CHECK enum tenon_err
tenon_map_get_binary(tenon_term map, const char *key, tenon_term *value);

/* Walks the elements of a list, tuple or map in wire order. A list written as
 * STRING_EXT yields its bytes as integers. Embedded by the caller.
 *
 *     tenon_cursor at;
 *     tenon_term element;
 *     tenon_cursor_init(&at, list);
 *     while (tenon_cursor_next(&at, &element)) { ... }
 *     tenon_cursor_tail(&at, &element)   the list's tail, [] when proper
 */
typedef struct tenon_cursor {
    const uint8_t *at;
    const uint8_t *end;
    size_t left;
    uint8_t kind;
} tenon_cursor;

TENON_API void tenon_cursor_init(tenon_cursor *cursor, tenon_term term);
/* False at the end, and always for a term without elements. */
TENON_API bool tenon_cursor_next(tenon_cursor *cursor, tenon_term *element);
/* Next key and value of a map. */
TENON_API bool tenon_cursor_next_pair(tenon_cursor *cursor,
                                      tenon_term *key,
                                      tenon_term *value);
/* After the last element of a list: its tail. Errors: TERM_TYPE when the
 * cursor does not stand at the end of a list. */
TENON_API TENON_CHECK enum tenon_err tenon_cursor_tail(tenon_cursor *cursor,
                                                       tenon_term *tail);

/* True when the list is proper; false for anything else. */
TENON_API bool tenon_term_is_proper_list(tenon_term term);

/* ---- comparing -------------------------------------------------------- */

/* Erlang's term order (number < atom < ref < fun < port < pid < tuple < map <
 * list < bitstring), with 1 == 1.0. The null view comes before all.
 * Maps whose pairs stand in different orders are sorted, in memory that is
 * given back at once; without memory more slowly, and maps more than 2 deep in
 * others as they stand. Takes n log n in the bytes of both, whatever their
 * shape. Returns <0, 0, >0. */
TENON_API int tenon_term_compare(tenon_term a, tenon_term b);
/* Erlang's =:= : same type and value, whatever the encoding. As from OTP 27
 * on, 0.0 and -0.0 differ. The null view equals nothing, itself included. */
TENON_API bool tenon_term_equal(tenon_term a, tenon_term b);
TENON_API bool tenon_pid_equal(const tenon_pid *a, const tenon_pid *b);
TENON_API bool tenon_ref_equal(const tenon_ref *a, const tenon_ref *b);

/* ---- patterns: tenon_match and tenon_format --------------------------- *
 * One language, Elixir term syntax with holes:
 *
 *   1  -7  0x1f  1_000  any size of integer     1.5  1.0e10
 *   :ok  :"any text"  nil true false  Elixir.Mod or Mod (an alias, so
 *       X3m.System.Message is the atom 'Elixir.X3m.System.Message')
 *   "text" (a binary)  'text' and ~c"text" (a list)  <<1, 2, 255>>
 *       <<1, 5::size(3)>>
 *   [a, b]  [a | tail]  [key: value]  {a, b}
 *   %{"key" => value, key: value}   %X3m.System.Message{id: ~t}
 *   #PID<name@host.1.2>  (creation 0; for reading back what was printed)
 *   &Mod.fun/2 (an export), also &:mod.fun/2
 *   ~D[2026-01-02]  ~T[01:02:03.5]  ~N[2026-01-02 03:04:05]
 *       ~U[2026-01-02 03:04:05.000678Z]
 *   _ matches anything (tenon_match only)
 *
 * Holes, and what each takes from the argument list:
 *
 *   hole  tenon_format                    tenon_match
 *   ~i    int64_t                         int64_t *
 *   ~u    uint64_t                        uint64_t *
 *   ~f    double                          double *
 *   ~a    const char * (atom text)        tenon_atom *
 *   ~s    const char * (to a binary)      const char **, size_t * (valid
 *                                           UTF-8; borrowed, no NUL)
 *   ~b    const void *, size_t            const void **, size_t *
 *   ~t    tenon_term                      tenon_term *
 *   ~n    int negative, const uint8_t *   tenon_term * (any integer)
 *           magnitude (little-endian), size_t
 *   ~p    const tenon_pid *               tenon_pid *
 *   ~r    const tenon_ref *               tenon_ref *
 *
 * Integer arguments must have exactly the type given (write (int64_t)1).
 * In tenon_format a key must not stand in a map twice (TERM_SYNTAX).
 * In tenon_match a map pattern matches when its keys are there with matching
 * values, a struct pattern likewise with its __struct__; keys have no holes.
 * Lists and tuples match whole. What stands behind the bar of [a | rest] may
 * be _, another list pattern, or any pattern for the list's tail ([] when it
 * is proper): the rest of a list has no bytes of its own, so a hole cannot
 * take it (walk it with a cursor). A pid literal matches whatever its
 * creation. Arguments of a failed match may have been written. */

/* True when the term has the pattern's form. A pattern that cannot be read
 * matches nothing.
 *
 * pattern  borrowed, NUL-terminated UTF-8.
 * ...      one argument list as in the table above.
 * Threads: any. Blocks: no. */
TENON_API bool tenon_match(tenon_term term, const char *pattern, ...);

/* ---- building --------------------------------------------------------- */

/* Builds terms one after the other into memory of its own. The first failure
 * sticks: later calls do nothing, and tenon_builder_error tells. */
typedef struct tenon_builder tenon_builder;

/* owned: release with tenon_builder_free. NULL when out of memory. */
TENON_API TENON_CHECK tenon_builder *tenon_builder_new(void);
/* builder: taken; NULL is fine. Ends the life of its views. */
TENON_API void tenon_builder_free(tenon_builder *builder);
/* Empties the builder, keeps its memory. */
TENON_API void tenon_builder_reset(tenon_builder *builder);
TENON_API enum tenon_err tenon_builder_error(const tenon_builder *builder);

/* What has been built, when it is exactly one whole term.
 * term  borrowed from the builder until its next change.
 * Errors: the sticky error; TERM_SHAPE when it is not one whole term. */
TENON_API TENON_CHECK enum tenon_err
tenon_builder_term(const tenon_builder *builder, tenon_term *term);

/* Each appends one term, or the header of one. A tuple header is followed by
 * `arity` terms; a map header by `pairs` keys and values; a list header by
 * `count` terms and then the tail (tenon_build_nil for a proper list). So a
 * list header of count 0 appends nothing: the tail that follows is the term.
 *
 * builder  borrowed, may be NULL (nothing happens, INVAL).
 * Errors: NOMEM, TERM_BIG, TERM_DEEP, TERM_ATOM, INVAL (also a float that is
 * not finite), TERM_SYNTAX; sticky.
 * Threads: one. Blocks: no. */
TENON_API enum tenon_err tenon_build_int(tenon_builder *builder, int64_t v);
TENON_API enum tenon_err tenon_build_uint(tenon_builder *builder, uint64_t v);
TENON_API enum tenon_err tenon_build_integer(tenon_builder *builder,
                                             bool negative,
                                             const uint8_t *magnitude,
                                             size_t len);
TENON_API enum tenon_err tenon_build_double(tenon_builder *builder, double v);
TENON_API enum tenon_err tenon_build_atom(tenon_builder *builder,
                                          const char *text);
TENON_API enum tenon_err tenon_build_bool(tenon_builder *builder, bool v);
TENON_API enum tenon_err
tenon_build_binary(tenon_builder *builder, const void *bytes, size_t len);
/* A binary from a NUL-terminated string, as Elixir strings are. */
TENON_API enum tenon_err tenon_build_string(tenon_builder *builder,
                                            const char *text);
TENON_API enum tenon_err tenon_build_pid(tenon_builder *builder,
                                         const tenon_pid *pid);
TENON_API enum tenon_err tenon_build_ref(tenon_builder *builder,
                                         const tenon_ref *ref);
TENON_API enum tenon_err tenon_build_tuple(tenon_builder *builder,
                                           size_t arity);
TENON_API enum tenon_err tenon_build_list(tenon_builder *builder, size_t count);
TENON_API enum tenon_err tenon_build_nil(tenon_builder *builder);
TENON_API enum tenon_err tenon_build_map(tenon_builder *builder, size_t pairs);
/* Appends a term byte for byte: what is not understood survives. */
TENON_API enum tenon_err tenon_build_term(tenon_builder *builder,
                                          tenon_term term);
/* Appends one term from a pattern (see the table above). */
TENON_API enum tenon_err
tenon_format(tenon_builder *builder, const char *pattern, ...);

/* Appends one term read from text in the pattern language without holes.
 *
 * text, len  borrowed; the whole text must be one term.
 * err        borrowed, may be NULL; says at which byte and what was expected.
 * Errors: TERM_SYNTAX, TERM_DEEP, NOMEM. */
TENON_API TENON_CHECK enum tenon_err tenon_build_text(tenon_builder *builder,
                                                      const char *text,
                                                      size_t len,
                                                      tenon_error *err);

/* ---- owned terms ------------------------------------------------------ */

/* One term with the memory it lies in; immutable. */
typedef struct tenon_value tenon_value;

/* Copies a term. owned: release with tenon_value_free. NULL when out of
 * memory or when the view is null. */
TENON_API TENON_CHECK tenon_value *tenon_value_new(tenon_term term);
/* Builds a term from a pattern; NULL when it cannot be built. */
TENON_API TENON_CHECK tenon_value *tenon_value_format(const char *pattern, ...);
/* The view; the null view for NULL. Borrowed until tenon_value_free. */
TENON_API tenon_term tenon_value_term(const tenon_value *value);
/* value: taken; NULL is fine. */
TENON_API void tenon_value_free(tenon_value *value);

/* ---- printing --------------------------------------------------------- */

/* Prints a term in one line as Elixir's inspect/2 does with limit and width
 * :infinity, but for: map keys always in term order; pids, ports, references
 * with their node's name, #PID<node.id.serial>; maps with the __struct__ of a
 * module as %Mod{key: value}; integers of more than 4096 bytes as 0x..., and
 * those of more than 64 bytes once such have taken as long as one of 4096
 * bytes. Takes n log n in the term's bytes, whatever its shape.
 *
 * buf   borrowed, `cap` bytes; the text is cut to cap - 1 bytes at a
 *       character's end and NUL-terminated. May be NULL with cap 0.
 * Returns the length of the whole text, without NUL.
 * Threads: any. Blocks: no. */
TENON_API size_t tenon_term_print(tenon_term term, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
