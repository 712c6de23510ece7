/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean …": the spelling that a person most likely wanted.
 */
#ifndef PW_COMMON_SETTINGS_NEAREST_H
#define PW_COMMON_SETTINGS_NEAREST_H

#include <stddef.h>

enum { PW_NEAREST_MAX = 64 };

/*
 * A contest between spellings. Start with {.wanted = text}, offer every candidate, read
 * `best`: "" when nothing came close.
 */
struct pw_nearest {
    const char *wanted;
    char best[PW_NEAREST_MAX]; /* a copy */
    size_t distance;           /* letters to change; meaningless while best is "" */
};

void pw_nearest_offer(struct pw_nearest *nearest, const char *candidate);

/* Letters to insert, delete, replace or swap with their neighbour. Long texts count as far.
 */
size_t pw_nearest_distance(const char *a, const char *b);

#endif
