/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotated(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotated(s->v1, 13) ^ s->v0;
    s->v3 = rotated(s->v3, 16) ^ s->v2;
    s->v0 = rotated(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotated(s->v1, 17) ^ s->v2;
    s->v3 = rotated(s->v3, 21) ^ s->v0;
    s->v2 = rotated(s->v2, 32);
}

static inline void sip_rounds(struct state *s, unsigned rounds)
{
    while (rounds-- > 0) {
        sip_round(s);
    }
}

static inline void take_word(struct state *s, uint64_t word, unsigned rounds)
{
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

/* Written out, compilers make one load of it; of a loop they do not. */
static inline uint64_t whole_word(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
           (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
           (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/* The last bytes, fewer than 8. */
static inline uint64_t part_of_word(const uint8_t *p, size_t n)
{
    uint64_t word = 0;

    for (size_t i = n; i > 0; i--) {
        word = word << 8 | p[i - 1];
    }
    return word;
}

/* each: rounds for a word; last: at the end. */
static inline uint64_t siphash(const struct tn_sip_key *key,
                               const void *p,
                               size_t n,
                               unsigned each,
                               unsigned last)
{
    /* "somepseudorandomlygeneratedbytes" */
    struct state s = {
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *at = p;
    const size_t rest = n % 8;

    for (size_t words = n / 8; words > 0; words--) {
        take_word(&s, whole_word(at), each);
        at += 8;
    }
    /* The length tells messages apart that end in zeroes. */
    take_word(&s, part_of_word(at, rest) | (uint64_t)(n & 0xff) << 56, each);
    s.v2 ^= 0xff;
    sip_rounds(&s, last);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t tn_siphash13(const struct tn_sip_key *key, const void *p, size_t n)
{
    return siphash(key, p, n, 1, 3);
}

uint64_t tn_siphash24(const struct tn_sip_key *key, const void *p, size_t n)
{
    return siphash(key, p, n, 2, 4);
}
