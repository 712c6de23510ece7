/* SPDX-License-Identifier: Apache-2.0
 *
 * The times of key files: RFC 3339, section 5.6, in the one spelling that leaves no choice.
 */
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/sign/key.h"

enum { FIRST_YEAR = 1970, LAST_YEAR = 2553 }; /* what 64 bits of nanoseconds hold */

static const uint64_t ns_per_s = 1000000000;

/* `count` digits and then `end`; anything else latches `truncated`. */
static int
read_number(struct pw_cursor *cur, size_t count, uint8_t end)
{
    struct pw_span digits = pw_cursor_take(cur, count);
    int value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        cur->truncated = cur->truncated || digits.ptr[i] < '0' || digits.ptr[i] > '9';
        value = value * 10 + (digits.ptr[i] - '0');
    }
    cur->truncated = pw_cursor_uint(cur, 1) != end || cur->truncated;
    return value;
}

bool
pw_key_time_parse(struct pw_span text, uint64_t *ns)
{
    struct pw_cursor cur = pw_cursor_over(text);
    struct tm asked = {0};
    int year = read_number(&cur, 4, '-');
    asked.tm_year = year - 1900;
    asked.tm_mon = read_number(&cur, 2, '-') - 1;
    asked.tm_mday = read_number(&cur, 2, 'T');
    asked.tm_hour = read_number(&cur, 2, ':');
    asked.tm_min = read_number(&cur, 2, ':');
    asked.tm_sec = read_number(&cur, 2, 'Z');
    if (cur.truncated || cur.rest.len > 0 || year < FIRST_YEAR || year > LAST_YEAR) {
        return false;
    }
    /* timegm makes 1 March of 29 February 2027, and the next minute of second 60. */
    struct tm given = asked;
    time_t seconds = timegm(&given);
    if (given.tm_mon != asked.tm_mon || given.tm_mday != asked.tm_mday ||
        given.tm_hour != asked.tm_hour || given.tm_min != asked.tm_min ||
        given.tm_sec != asked.tm_sec) {
        return false;
    }
    *ns = (uint64_t)seconds * ns_per_s;
    return true;
}

void
pw_key_time_format(uint64_t ns, char out[static PW_KEY_TIME_TEXT])
{
    char text[PW_CLOCK_TEXT];
    pw_clock_format(ns, text);
    snprintf(out, PW_KEY_TIME_TEXT, "%.19sZ", text);
}
