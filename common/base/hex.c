/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/hex.h"

void
pw_hex_encode(struct pw_span bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = digits[bytes.ptr[i] >> 4];
        *out++ = digits[bytes.ptr[i] & 15];
    }
    *out = '\0';
}

static int
digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20; /* lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
pw_hex_decode(struct pw_span text, uint8_t *out, size_t len)
{
    if (text.len != 2 * len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int high = digit(text.ptr[2 * i]);
        int low = digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
