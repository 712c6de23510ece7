/* SPDX-License-Identifier: Apache-2.0
 *
 * The time of day, wrong by as many seconds as the file $WRONG_CLOCK says at that moment.
 * For LD_PRELOAD: the program under test is the real one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long
read_offset(void)
{
    const char *path = getenv("WRONG_CLOCK");
    FILE *file = path == NULL ? NULL : fopen(path, "r");
    long seconds = 0;
    if (file == NULL || fscanf(file, "%ld", &seconds) != 1) {
        abort(); /* or a test would pass with a clock that is right */
    }
    fclose(file);
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
