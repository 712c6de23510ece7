/* SPDX-License-Identifier: Apache-2.0
 *
 * A wall whose main thread is late, by 200 ms each time it opens the audit log to read it.
 * Each time the file $LATE_READER gains a byte. For LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char name[] = "/audit.jsonl";

static int told = -1;

/* Before the program begins, and with it its sandbox. */
__attribute__((constructor)) static void
open_told(void)
{
    const char *path = getenv("LATE_READER");
    if (path == NULL) {
        abort();
    }
    told = (int)syscall(SYS_openat, AT_FDCWD, path,
                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void
be_late(void)
{
    if (write(told, ".", 1) != 1) {
        abort(); /* or a test would pass with a thread that was in time */
    }
    usleep(200000);
}

int
open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    size_t len = strlen(path);
    if (len >= sizeof name && strcmp(path + len - strlen(name), name) == 0 &&
        (flags & O_ACCMODE) == O_RDONLY) {
        be_late();
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
