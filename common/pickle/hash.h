/* SPDX-License-Identifier: Apache-2.0
 *
 * The hashes that CPython would compute, to see keys that collide on purpose. Internal to
 * this folder.
 *
 * Numbers, None and tuples hash the same everywhere (Python/pyhash.c and
 * Objects/tupleobject.c, 3.8 and later, 64 bits). Text and bytes are hashed with a secret
 * of the process, so nobody can make them collide; any function of their content stands in.
 */
#ifndef PW_COMMON_PICKLE_HASH_H
#define PW_COMMON_PICKLE_HASH_H

#include "common/pickle/machine.h"

/*
 * hash(value), or its stand-in: values with equal hashes in CPython have equal ones here.
 * It recurses into tuples and frozensets: their depth must have been looked at, and their
 * size paid for (cost.c).
 */
uint64_t pw_hash_value(const struct pw_scan *m, struct pw_value value);

/* hash() of an integer in `bytes`, two's complement, least significant first (LONG1). */
uint64_t pw_hash_long(struct pw_span bytes);

/* hash() of an integer in decimal digits, with a sign or without (INT, LONG); what is no
 * digit is passed over. */
uint64_t pw_hash_digits(struct pw_span text);

/* A number modulo 2^61 - 1, and its sign: what Python's hashes of numbers are made of. */
struct pw_residue {
    uint64_t rest; /* of the magnitude */
    bool negative;
};

/* The residue of an integer constant, or of a bool; false for what is neither. */
bool pw_hash_residue(const struct pw_scan *m, struct pw_value value,
                     struct pw_residue *out);

/* a * b, and 1 / a (0 for 0), modulo 2^61 - 1. */
uint64_t pw_hash_times(uint64_t a, uint64_t b);
uint64_t pw_hash_power(uint64_t base, uint64_t exponent);
uint64_t pw_hash_inverse(uint64_t a);

/* The hash that a residue becomes. */
uint64_t pw_hash_signed(struct pw_residue number);

/* hash() of a tuple of items of these hashes. */
uint64_t pw_hash_hashes(const uint64_t *hashes, size_t count);

/* hash() of an infinite number. */
enum { PW_HASH_INF = 314159 };

/* hash() of a float. */
uint64_t pw_hash_double(double number);

/*
 * hash() of what calling `import` with these constants makes, when that hashes by its value
 * (complex, Decimal, range, …): true. What it would take too much to work out gets one of a
 * few small numbers, so that many such keys are taken for an attack.
 */
bool pw_hash_call(const struct pw_scan *m, const struct pw_import *import,
                  struct pw_value args, uint64_t *hash);

/* A number that tells contents apart; no hash of CPython's. */
uint64_t pw_hash_bytes(struct pw_span bytes);

#endif
