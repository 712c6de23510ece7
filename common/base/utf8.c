/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/utf8.h"

static const struct {
    uint8_t mask, lead, bits;
    uint32_t least; /* smaller would be overlong */
} forms[] = {
    {0x80, 0x00, 0x7f, 0},
    {0xe0, 0xc0, 0x1f, 0x80},
    {0xf0, 0xe0, 0x0f, 0x800},
    {0xf8, 0xf0, 0x07, 0x10000},
};

static bool
is_scalar(uint32_t code)
{
    return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

size_t
pw_utf8_next(struct pw_span text, uint32_t *code)
{
    for (size_t extra = 0; extra < PW_COUNT(forms) && extra < text.len; extra++) {
        if ((text.ptr[0] & forms[extra].mask) != forms[extra].lead) {
            continue;
        }
        uint32_t value = text.ptr[0] & forms[extra].bits;
        for (size_t i = 1; i <= extra; i++) {
            if ((text.ptr[i] & 0xc0) != 0x80) {
                return 0;
            }
            value = value << 6 | (text.ptr[i] & 0x3fu);
        }
        *code = value;
        return value >= forms[extra].least && is_scalar(value) ? extra + 1 : 0;
    }
    return 0;
}

bool
pw_utf8_valid(struct pw_span text)
{
    while (text.len > 0) {
        uint32_t code;
        size_t taken = pw_utf8_next(text, &code);
        if (taken == 0) {
            return false;
        }
        text.ptr += taken;
        text.len -= taken;
    }
    return true;
}
