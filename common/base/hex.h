/* SPDX-License-Identifier: Apache-2.0
 *
 * Lower-case hexadecimal.
 */
#ifndef PW_COMMON_BASE_HEX_H
#define PW_COMMON_BASE_HEX_H

#include <stdbool.h>

#include "common/base/cursor.h"

/* Write 2 * bytes.len digits and a NUL to `out`, which has room for them. */
void pw_hex_encode(struct pw_span bytes, char *out);

/* Read exactly `len` bytes from 2 * len digits of either case; false on any other text. */
PW_CHECK_RESULT bool pw_hex_decode(struct pw_span text, uint8_t *out, size_t len);

#endif
