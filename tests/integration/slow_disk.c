/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that is ill, for what lies below the folder $SLOW_DISK_UNDER, in the way the file
 * $SLOW_DISK, which is the same one all the time, says at that moment:
 *
 *     ok         nothing is wrong
 *     enospc     half of a write, then ENOSPC, for new files too
 *     eio        a write fails
 *     eio_sync   a write works, a sync fails
 *     readonly   EROFS, for writes, new files, new names
 *     scarce     one percent of the file system is free
 *     slow=MS    writes, syncs and removals take so much longer
 *
 * Each fault adds a byte to $SLOW_DISK.hits. For LD_PRELOAD: the program is the real one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, NAMES = 4, REMOVALS = 8 };

static const struct {
    const char *mode;
    int error;
    int what;
} faults[] = {
    {"enospc", ENOSPC, WRITES | NAMES},
    {"eio", EIO, WRITES},
    {"eio_sync", EIO, SYNCS},
    {"readonly", EROFS, WRITES | NAMES},
};

static atomic_bool halved; /* the write that met the full disk has been cut short */

static const char *
setting(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        abort(); /* or a test would pass with a disk that is well */
    }
    return value;
}

static int modes = -1;
static int hits = -1;

/* Before the program begins, and with it its sandbox. */
__attribute__((constructor)) static void
open_files(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s.hits", setting("SLOW_DISK"));
    modes = (int)syscall(SYS_openat, AT_FDCWD, setting("SLOW_DISK"), O_RDONLY | O_CLOEXEC);
    hits = (int)syscall(SYS_openat, AT_FDCWD, path,
                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void
read_mode(char mode[static 32])
{
    long len = syscall(SYS_pread64, modes, mode, 31, 0);
    if (len <= 0) {
        abort();
    }
    mode[len] = '\0';
    mode[strcspn(mode, "\n")] = '\0';
}

static void
count_hit(void)
{
    if (syscall(SYS_write, hits, "x", 1) != 1) {
        abort();
    }
}

static bool
is_below(const char *path)
{
    const char *under = setting("SLOW_DISK_UNDER");
    return strncmp(path, under, strlen(under)) == 0;
}

static bool
fd_is_below(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return is_below(path);
}

static void
take_time(const char *mode)
{
    long ms = strtol(mode + strlen("slow="), NULL, 10);
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
    count_hit();
}

/* The error for this kind of call, 0 for none. */
static int
fault_for(int what)
{
    char mode[32];
    read_mode(mode);
    if (strncmp(mode, "slow=", 5) == 0 && what != NAMES) {
        take_time(mode);
        return 0;
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcmp(mode, faults[i].mode) == 0) {
            return (faults[i].what & what) != 0 ? faults[i].error : 0;
        }
    }
    halved = false;
    return 0;
}

static long
fail(int error)
{
    count_hit();
    errno = error;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* How many of `len` bytes may be written; 0: fail with *error. */
static size_t
allowed(int fd, size_t len, int *error)
{
    *error = fd_is_below(fd) ? fault_for(WRITES) : 0;
    if (*error == 0) {
        return len;
    }
    return *error == ENOSPC && len > 1 && !atomic_exchange(&halved, true) ? len / 2 : 0;
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
    int error;
    size_t most = allowed(fd, len, &error);
    return most > 0 || len == 0 ? (ssize_t)syscall(SYS_write, fd, bytes, most)
                                : fail(error);
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    int error;
    size_t most = allowed(fd, len, &error);
    return most > 0 || len == 0 ? REAL(pwrite)(fd, bytes, most, at) : fail(error);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    int error = fd_is_below(fd) ? fault_for(WRITES) : 0;
    return error == 0 ? (ssize_t)syscall(SYS_writev, fd, parts, count) : fail(error);
}

int
fdatasync(int fd)
{
    int error = fd_is_below(fd) ? fault_for(SYNCS) : 0;
    return error == 0 ? (int)syscall(SYS_fdatasync, fd) : (int)fail(error);
}

int
fsync(int fd)
{
    int error = fd_is_below(fd) ? fault_for(SYNCS) : 0;
    return error == 0 ? (int)syscall(SYS_fsync, fd) : (int)fail(error);
}

int
syncfs(int fd)
{
    int error = fd_is_below(fd) ? fault_for(SYNCS) : 0;
    return error == 0 ? (int)syscall(SYS_syncfs, fd) : (int)fail(error);
}

int
unlinkat(int folder, const char *path, int flags)
{
    int error = fd_is_below(folder) ? fault_for(REMOVALS) : 0;
    return error == 0 ? (int)syscall(SYS_unlinkat, folder, path, flags) : (int)fail(error);
}

int
fstatvfs(int fd, struct statvfs *out)
{
    char mode[32];
    int failed = REAL(fstatvfs)(fd, out);
    read_mode(mode);
    if (failed == 0 && strcmp(mode, "scarce") == 0 && fd_is_below(fd)) {
        out->f_bavail = out->f_blocks / 100;
        count_hit();
    }
    return failed;
}

static int
open_any(int folder, const char *path, int flags, mode_t mode)
{
    bool below =
        path[0] == '/' || folder == AT_FDCWD ? is_below(path) : fd_is_below(folder);
    int error = below && (flags & O_CREAT) != 0 ? fault_for(NAMES) : 0;
    return error == 0 ? (int)syscall(SYS_openat, folder, path, flags, mode)
                      : (int)fail(error);
}

int
open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_any(AT_FDCWD, path, flags, mode);
}

int
openat(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_any(folder, path, flags, mode);
}

int
rename(const char *from, const char *to)
{
    int error = is_below(from) ? fault_for(NAMES) : 0;
    return error == 0 ? (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to)
                      : (int)fail(error);
}

int
renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    bool below = from_folder == AT_FDCWD ? is_below(from) : fd_is_below(from_folder);
    int error = below ? fault_for(NAMES) : 0;
    return error == 0 ? (int)syscall(SYS_renameat, from_folder, from, to_folder, to)
                      : (int)fail(error);
}

int
renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    int error = is_below(from) ? fault_for(NAMES) : 0;
    return error == 0 ? (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags)
                      : (int)fail(error);
}
