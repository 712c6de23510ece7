/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/space.h"

#include <stdbool.h>
#include <sys/statvfs.h>

static bool
is_below(const struct pw_space_look *look, int64_t mark)
{
    uint64_t wanted = mark < 0 ? look->total / 100 * (uint64_t)-mark : (uint64_t)mark;
    return look->free < wanted;
}

struct pw_space_look
pw_space_look(int fd, int64_t low, int64_t critical)
{
    struct pw_space_look look = {.state = PW_SPACE_UNKNOWN};
    struct statvfs fs;
    if (fstatvfs(fd, &fs) != 0 || fs.f_blocks == 0) {
        return look;
    }
    look.free = (uint64_t)fs.f_bavail * fs.f_frsize;
    look.total = (uint64_t)fs.f_blocks * fs.f_frsize;
    look.state = is_below(&look, critical) ? PW_SPACE_CRITICAL
                 : is_below(&look, low)    ? PW_SPACE_LOW
                                           : PW_SPACE_ENOUGH;
    return look;
}
