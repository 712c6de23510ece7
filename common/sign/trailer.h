/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a PWS1 trailer, and what they are a tag over.
 */
#ifndef PW_COMMON_SIGN_TRAILER_H
#define PW_COMMON_SIGN_TRAILER_H

#include "common/sign/sign.h"

struct pw_trailer {
    uint8_t suite;
    uint8_t flags;
    uint16_t frames;
    uint8_t key_id[8];
    uint64_t epoch;
    uint64_t seq;
    uint64_t time_ns;
    struct pw_span head; /* the first PW_TRAILER_HEAD bytes, which are signed */
    struct pw_span tag;
};

/* Write the head; the tag goes behind it. */
void pw_trailer_pack(const struct pw_trailer *trailer, uint8_t out[static PW_TRAILER_HEAD]);

/*
 * Read a whole trailer. False when the magic, the length for its suite, the suite or the
 * flags are wrong; the fields are filled in as far as there are bytes all the same.
 */
PW_CHECK_RESULT bool pw_trailer_parse(struct pw_span bytes, struct pw_trailer *out);

#endif
