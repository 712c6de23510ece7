/* SPDX-License-Identifier: Apache-2.0
 *
 * The time of day, wrong by as many seconds as the file $WRONG_CLOCK, which is the same one
 * all the time, says at that moment.
 * For LD_PRELOAD: the program under test is the real one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int offset = -1;

/* Before the program begins, and with it its sandbox; or at the first look at the clock. */
__attribute__((constructor)) static void
open_offset(void)
{
    const char *path = getenv("WRONG_CLOCK");
    if (offset < 0 && path != NULL) {
        offset = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    }
}

static long
read_offset(void)
{
    char text[32] = "", *end;
    open_offset();
    long len = syscall(SYS_pread64, offset, text, sizeof text - 1, 0);
    long seconds = strtol(text, &end, 10);
    if (len <= 0 || end == text) {
        abort(); /* or a test would pass with a clock that is right */
    }
    return seconds;
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, id, now);
    if (failed == 0 && id == CLOCK_REALTIME) {
        now->tv_sec += read_offset();
    }
    return failed;
}
