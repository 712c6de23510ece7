/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an object file, as they are and again with a SHA-256 that fits, so that the
 * parser behind the checksum is reached.
 */
#include <stdlib.h>

#include <sodium.h>

#include "common/quarantine/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* What parses must be made of its frames again, byte by byte, and carry its own name. */
static void
check_round_trip(const struct pw_held *held)
{
    struct pw_buf again = {.limit = SIZE_MAX / 2};
    uint8_t sum[PW_OBJECT_SUM];
    must(pw_object_make(held->frames, held->count, &again, sum) == PW_E_OK);
    for (size_t i = 0; i < held->count; i++) {
        must(pw_buf_append(&again, held->frames[i]) == PW_E_OK);
    }
    must(pw_buf_append(&again, (struct pw_span){sum, sizeof sum}) == PW_E_OK);
    must(pw_span_equal(pw_buf_span(&again), pw_buf_span(&held->bytes)));
    pw_buf_free(&again);
}

static void
parse(struct pw_span body, struct pw_span sum)
{
    struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    struct pw_held held;
    struct pw_why why = {{0}};
    must(pw_buf_append(&bytes, body) == PW_E_OK && pw_buf_append(&bytes, sum) == PW_E_OK);
    enum pw_err err = pw_held_parse(&bytes, &held, &why);
    must(err == PW_E_OK || (held.count == 0 && why.text[0] != '\0'));
    if (err == PW_E_OK) {
        check_round_trip(&held);
    }
    pw_held_free(&held);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_span bytes = {data, size};
    uint8_t sum[PW_OBJECT_SUM];
    crypto_hash_sha256(sum, data, size);
    parse(bytes, (struct pw_span){0});
    parse(bytes, (struct pw_span){sum, sizeof sum});
    return 0;
}
