/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/ulid.h"

#include <stdbool.h>
#include <string.h>

static const uint64_t ns_per_ms = 1000000;

static void
draw(struct pw_ulid *source)
{
    if (source->pooled == 0) {
        source->fill(source->pool, sizeof source->pool);
        source->pooled = sizeof source->pool;
    }
    source->pooled -= PW_ULID_RANDOM;
    memcpy(source->random, source->pool + source->pooled, PW_ULID_RANDOM);
}

/* Add one to the random part; false when it wraps, once in 2^80. */
static bool
step(struct pw_ulid *source)
{
    for (size_t i = PW_ULID_RANDOM; i > 0; i--) {
        if (++source->random[i - 1] != 0) {
            return true;
        }
    }
    return false;
}

/* `digits` characters of five bits each, the highest first. */
static void
put_base32(uint64_t value, size_t digits, char *out)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = alphabet[value & 31];
        value >>= 5;
    }
}

static uint64_t
forty_bits(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 5; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void
pw_ulid_next(struct pw_ulid *source, uint64_t wall_ns, char out[static PW_ULID_TEXT])
{
    uint64_t ms = wall_ns / ns_per_ms;
    if (ms > source->last_ms) {
        source->last_ms = ms;
        draw(source);
    } else if (!step(source)) {
        source->last_ms++;
    }
    put_base32(source->last_ms, 10, out);
    put_base32(forty_bits(source->random), 8, out + 10);
    put_base32(forty_bits(source->random + 5), 8, out + 18);
    out[PW_ULID_TEXT - 1] = '\0';
}
