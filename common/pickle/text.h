/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings spelled with escapes, decoded as CPython does.
 */
#ifndef PW_COMMON_PICKLE_TEXT_H
#define PW_COMMON_PICKLE_TEXT_H

#include <stdbool.h>

#include "common/base/cursor.h"

/*
 * UNICODE: raw-unicode-escape (Objects/unicodeobject.c). `out` has room for 2 * line.len
 * bytes; *len of them become UTF-8 (lone surrogates as three bytes each). False when
 * CPython raises UnicodeDecodeError.
 */
bool pw_text_unicode(struct pw_span line, uint8_t *out, size_t *len);

/* Whether a UNICODE line stands for its own bytes. */
bool pw_text_unicode_is_plain(struct pw_span line);

/*
 * STRING: quotes taken off, escapes replaced (Objects/bytesobject.c). `out` has room for
 * line.len bytes. False when CPython raises.
 */
bool pw_text_string(struct pw_span line, uint8_t *out, size_t *len);

#endif
