/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams for unpicklers: made up opcode by opcode, or changed from others. Everything is a
 * function of the random state, so a seed names a run.
 */
#ifndef PW_TESTS_FUZZ_DIFFERENTIAL_GENERATE_H
#define PW_TESTS_FUZZ_DIFFERENTIAL_GENERATE_H

#include "common/base/cursor.h"

/* splitmix64 (Steele, Lea, Flood 2014): any state is a good one. */
struct random {
    uint64_t state;
};

static inline uint64_t
random_bits(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* 0 to below - 1; `below` is not 0. */
static inline uint32_t
random_below(struct random *random, uint32_t below)
{
    return (uint32_t)((random_bits(random) >> 32) * below >> 32);
}

/* True once in `times`. */
static inline bool
random_once_in(struct random *random, uint32_t times)
{
    return random_below(random, times) == 0;
}

/* The longest stream that is made up; buffers have room for it at least. */
enum { GENERATE_MOST = 1024 };

/*
 * Write a stream that keeps a rough stack of its own, so that most of it is executed, and
 * return its length. Names, strings, memo entries, frames and calls are frequent; the last
 * touch cuts or bends some streams.
 */
size_t generate_stream(struct random *random, uint8_t out[GENERATE_MOST]);

/*
 * Change `bytes` (len of them, room for `room`) in one to four places: bits flipped, bytes
 * set, opcodes inserted, ranges deleted, copied or taken from `other`, the end cut. Returns
 * the new length.
 */
size_t generate_mutation(struct random *random, uint8_t *bytes, size_t len, size_t room,
                         struct pw_span other);

#endif
