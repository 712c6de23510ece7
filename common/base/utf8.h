/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 (RFC 3629).
 */
#ifndef PW_COMMON_BASE_UTF8_H
#define PW_COMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cursor.h"

/*
 * Decode the first character of `text` into *code; return the bytes it takes, or 0 when
 * they are not UTF-8 (overlong, a surrogate, past U+10FFFF, cut short) or `text` is empty.
 */
size_t pw_utf8_next(struct pw_span text, uint32_t *code);

/* Every character decodes. */
bool pw_utf8_valid(struct pw_span text);

#endif
