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

/* hash() of a float. */
uint64_t pw_hash_double(double number);

/* A number that tells contents apart; no hash of CPython's. */
uint64_t pw_hash_bytes(struct pw_span bytes);

#endif
