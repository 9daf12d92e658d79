/* SPDX-License-Identifier: Apache-2.0 */
/* The tags of the external term format and the sizes that go with them. Our
 * own names, so that only the few files that call ei include its header; a
 * test compares the numbers with the installed OTP. */
#ifndef TN_TERM_TAGS_H
#define TN_TERM_TAGS_H

enum tn_tag {
    TN_NEW_FLOAT = 70,
    TN_BIT_BINARY = 77,
    TN_COMPRESSED = 80,
    TN_ATOM_CACHE_REF = 82,
    TN_NEW_PID = 88,
    TN_NEW_PORT = 89,
    TN_NEWER_REF = 90,
    TN_SMALL_INTEGER = 97,
    TN_INTEGER = 98,
    TN_FLOAT = 99,
    TN_ATOM = 100,
    TN_OLD_REF = 101,
    TN_PORT = 102,
    TN_PID = 103,
    TN_SMALL_TUPLE = 104,
    TN_LARGE_TUPLE = 105,
    TN_NIL = 106,
    TN_STRING = 107,
    TN_LIST = 108,
    TN_BINARY = 109,
    TN_SMALL_BIG = 110,
    TN_LARGE_BIG = 111,
    TN_NEW_FUN = 112,
    TN_EXPORT = 113,
    TN_NEW_REF = 114,
    TN_SMALL_ATOM = 115,
    TN_MAP = 116,
    TN_OLD_FUN = 117,
    TN_ATOM_UTF8 = 118,
    TN_SMALL_ATOM_UTF8 = 119,
    TN_V4_PORT = 120,
    TN_VERSION = 131,
};

/* FLOAT_EXT is this many bytes of text. */
#define TN_FLOAT_TEXT_BYTES 31
/* Before the module of a NEW_FUN_EXT: tag, size, arity, uniq, index, count. */
#define TN_FUN_HEAD_BYTES 30
/* Longest atom, in characters. */
#define TN_ATOM_MAX_CHARACTERS 255
#define TN_REF_MAX_WORDS 5
/* Largest magnitude of an integer: what BEAM has room for (2^19 - 1 words). */
#define TN_INTEGER_MAX_BYTES (((1u << 19) - 1) * 8)

#endif
