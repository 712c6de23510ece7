/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/space.h"

#include <stdbool.h>
#include <sys/statvfs.h>

static bool
is_below(const struct pw_space_look *look, const struct pw_space_mark *mark)
{
    uint64_t wanted = mark->percent != 0 ? look->total / 100 * mark->percent : mark->bytes;
    return look->free < wanted;
}

struct pw_space_look
pw_space_look(int fd, const struct pw_space_mark *low, const struct pw_space_mark *critical)
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
