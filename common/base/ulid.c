/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/ulid.h"

#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const uint64_t ns_per_ms = 1000000;

/* A new time with new random digits. */
static void
draw(struct pw_ulid *source, uint64_t ms)
{
    if (source->pooled == 0) {
        source->fill(source->pool, sizeof source->pool);
        source->pooled = sizeof source->pool;
    }
    source->last_ms = ms;
    source->pooled -= PW_ULID_CHANCE;
    for (size_t i = 0; i < PW_ULID_CHANCE; i++) {
        source->digits[PW_ULID_TIME + i] = source->pool[source->pooled + i] & 31;
    }
    for (size_t i = PW_ULID_TIME; i > 0; i--) {
        source->digits[i - 1] = ms & 31;
        ms >>= 5;
    }
}

/* One more than the last one; the carry reaches the time once in 2^80. */
static void
step(struct pw_ulid *source)
{
    size_t i = sizeof source->digits;
    while (i > 0 && source->digits[i - 1] == 31) {
        source->digits[--i] = 0;
    }
    if (i > 0) {
        source->digits[i - 1]++;
    }
    source->last_ms += i <= PW_ULID_TIME;
}

void
pw_ulid_next(struct pw_ulid *source, uint64_t wall_ns, char out[static PW_ULID_TEXT])
{
    uint64_t ms = wall_ns / ns_per_ms;
    if (ms > source->last_ms) {
        draw(source, ms);
    } else {
        step(source);
    }
    for (size_t i = 0; i < sizeof source->digits; i++) {
        out[i] = alphabet[source->digits[i]];
    }
    out[PW_ULID_TEXT - 1] = '\0';
}

uint64_t
pw_ulid_ms(const char *text)
{
    uint64_t ms = 0;
    for (size_t i = 0; i < PW_ULID_TIME; i++) {
        const char *digit = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);
        ms = ms * 32 + (digit == NULL ? 0 : (uint64_t)(digit - alphabet));
    }
    return ms;
}

void
pw_ulid_floor(uint64_t ms, char out[static PW_ULID_TEXT])
{
    memset(out, alphabet[0], PW_ULID_TEXT - 1);
    for (size_t i = PW_ULID_TIME; i > 0; i--) {
        out[i - 1] = alphabet[ms & 31];
        ms >>= 5;
    }
    out[PW_ULID_TEXT - 1] = '\0';
}
