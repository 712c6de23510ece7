/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"

#include <stdio.h>
#include <time.h>

enum { NS_PER_US = 1000 };
static const uint64_t ns_per_s = 1000000000;

static uint64_t
read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * ns_per_s + (uint64_t)now.tv_nsec;
}

uint64_t
pw_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t
pw_clock_steady(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void
pw_clock_format(uint64_t wall_ns, char out[static PW_CLOCK_TEXT])
{
    time_t seconds = (time_t)(wall_ns / ns_per_s);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char day[24];
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    /* A year past 9999 does not fit RFC 3339; the text is cut, never overrun. */
    snprintf(out, PW_CLOCK_TEXT, "%.19s.%06uZ", day,
             (unsigned)(wall_ns % ns_per_s / NS_PER_US));
}
