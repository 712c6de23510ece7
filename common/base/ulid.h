/* SPDX-License-Identifier: Apache-2.0
 *
 * ULIDs: 26 characters that sort by time (48 bits of milliseconds, 80 random bits,
 * Crockford's base 32).
 */
#ifndef PW_COMMON_BASE_ULID_H
#define PW_COMMON_BASE_ULID_H

#include <stddef.h>
#include <stdint.h>

enum { PW_ULID_TEXT = 27, PW_ULID_TIME = 10, PW_ULID_CHANCE = 16, PW_ULID_POOL = 512 };

/* One source of ULIDs, for one thread at a time. Zero-initialise with `fill`. */
struct pw_ulid {
    void (*fill)(void *bytes, size_t len); /* random bytes, such as randombytes_buf */
    uint64_t last_ms;
    uint8_t digits[PW_ULID_TIME + PW_ULID_CHANCE]; /* of the last one, 0 to 31 */
    uint8_t pool[PW_ULID_POOL]; /* random bytes not yet used: the first `pooled` */
    size_t pooled;
};

/*
 * The next ULID, greater than every earlier one of this source, also when the clock stands
 * still or steps back.
 */
void pw_ulid_next(struct pw_ulid *source, uint64_t wall_ns, char out[static PW_ULID_TEXT]);

/* The time of a ULID, milliseconds since 1970; what is no digit counts as 0. `text` has at
 * least PW_ULID_TIME characters. */
uint64_t pw_ulid_ms(const char *text);

/* The smallest ULID of a time: those of earlier times sort before it, others behind. */
void pw_ulid_floor(uint64_t ms, char out[static PW_ULID_TEXT]);

#endif
