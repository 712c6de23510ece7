/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, in nanoseconds. Read it once a burst, not once a message.
 */
#ifndef PW_COMMON_BASE_CLOCK_H
#define PW_COMMON_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds since 1970 (CLOCK_REALTIME). */
uint64_t pw_clock_wall(void);

/* Nanoseconds since some start; never goes back (CLOCK_MONOTONIC). */
uint64_t pw_clock_steady(void);

enum { PW_CLOCK_TEXT = 28 };

/* RFC 3339 in UTC with microseconds, "2026-11-21T23:40:00.123456Z", NUL-terminated. */
void pw_clock_format(uint64_t wall_ns, char out[static PW_CLOCK_TEXT]);

#endif
