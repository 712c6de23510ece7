/* SPDX-License-Identifier: Apache-2.0
 *
 * The generator as a custom mutator of AFL++ (docs/custom_mutators.md there), loaded with
 * AFL_CUSTOM_MUTATOR_LIBRARY.
 */
#include <stdlib.h>

#include "tests/fuzz/differential/generate.h"

enum { STREAM_MOST = 8192 };

struct mutator {
    struct random random;
    uint8_t stream[STREAM_MOST];
};

/* Names and arguments are AFL++'s. */
void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(void *data, uint8_t *bytes, size_t len, uint8_t **out,
                       uint8_t *other, size_t other_len, size_t most);
void afl_custom_deinit(void *data);

void *
afl_custom_init(void *afl, unsigned seed)
{
    (void)afl;
    struct mutator *mutator = calloc(1, sizeof *mutator);
    if (mutator != NULL) {
        mutator->random.state = seed;
    }
    return mutator;
}

size_t
afl_custom_fuzz(void *data, uint8_t *bytes, size_t len, uint8_t **out, uint8_t *other,
                size_t other_len, size_t most)
{
    struct mutator *mutator = data;
    most = most < STREAM_MOST ? most : STREAM_MOST;
    len = len < most ? len : most;
    memcpy(mutator->stream, bytes, len);
    *out = mutator->stream;
    return generate_mutation(&mutator->random, mutator->stream, len, most,
                             (struct pw_span){other, other_len});
}

void
afl_custom_deinit(void *data)
{
    free(data);
}
