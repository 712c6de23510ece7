/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed keys for the tests of this folder.
 */
#ifndef PW_TESTS_UNIT_SIGN_KEYS_H
#define PW_TESTS_UNIT_SIGN_KEYS_H

#include "common/sign/key_body.h"
#include "common/sign/keyring.h"

/* A signing key whose secret is first, first + 1, … */
static inline struct pw_key *
counting_key(enum pw_suite suite, const char *name, uint8_t first, const char *channel)
{
    struct pw_key_parts parts = {
        .suite = suite,
        .role = PW_ROLE_SIGN,
        .name = pw_span_str(name),
        .channel = pw_span_str(channel),
    };
    for (size_t i = 0; i < sizeof parts.bytes; i++) {
        parts.bytes[i] = (uint8_t)(first + i);
    }
    return pw_key_from(&parts, NULL);
}

#endif
