/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/foreign_tag.h"

static const struct pw_scheme *const hmac = &pw_scheme_hmac_sha256;

bool
pw_foreign_key_fill(struct pw_foreign_key *ready, struct pw_span key)
{
    if (key.len == 0) {
        return false;
    }
    hmac->start(&ready->start, key);
    return true;
}

void
pw_foreign_key_sign(const struct pw_foreign_key *ready, union pw_hash *work,
                    const struct pw_span *parts, size_t count, bool digits,
                    uint8_t out[static PW_FOREIGN_DIGITS])
{
    uint8_t tag[PW_FOREIGN_TAG];
    char text[PW_FOREIGN_DIGITS + 1];
    *work = ready->start;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            hmac->absorb(work, parts[i]);
        }
    }
    hmac->sign(work, NULL, tag);
    if (digits) {
        sodium_bin2hex(text, sizeof text, tag, sizeof tag);
        memcpy(out, text, PW_FOREIGN_DIGITS);
    } else {
        memcpy(out, tag, sizeof tag);
    }
    sodium_memzero(tag, sizeof tag);
    sodium_memzero(text, sizeof text);
}

bool
pw_foreign_key_fits(const struct pw_foreign_key *ready, union pw_hash *work,
                    const struct pw_span *parts, size_t count, bool digits,
                    struct pw_span tag)
{
    uint8_t expected[PW_FOREIGN_DIGITS];
    size_t len = digits ? PW_FOREIGN_DIGITS : PW_FOREIGN_TAG;
    pw_foreign_key_sign(ready, work, parts, count, digits, expected);
    bool same = tag.len == len && sodium_memcmp(expected, tag.ptr, len) == 0;
    sodium_memzero(expected, sizeof expected); /* it would sign a forger's message */
    return same;
}
