/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash, as Aumasson and Bernstein describe it: a keyed function of bytes
 * whose values nobody can foretell, or choose, who does not know the key. */
#ifndef TN_BASE_SIPHASH_H
#define TN_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* The two halves of the key, each of 8 bytes that are read as little endian. */
struct tn_sip_key {
    uint64_t k0, k1;
};

/* The same on every machine. 1-3 has the few rounds that hash tables need, whose
 * values nobody sees; 2-4 is for values that others are told.
 *
 * key, p: borrowed. Threads: any. Blocks: no. */
uint64_t tn_siphash13(const struct tn_sip_key *key, const void *p, size_t n);
uint64_t tn_siphash24(const struct tn_sip_key *key, const void *p, size_t n);

#endif
