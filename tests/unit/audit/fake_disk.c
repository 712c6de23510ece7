/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/audit/fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

atomic_bool fake_disk_fails;
off_t fake_disk_kept;
atomic_uint fake_disk_hangs_ms;
atomic_uint fake_disk_syncs;
uint64_t fake_disk_total;
uint64_t fake_disk_free;

/* What the kernel could not write is gone when the page is read from the disk again. */
static void
lose(int fd)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_WRONLY | O_CLOEXEC);
    if (again < 0 || fstat(again, &st) != 0) {
        abort();
    }
    for (off_t at = fake_disk_kept; at < st.st_size; at++) {
        if (pwrite(again, "", 1, at) != 1) {
            abort();
        }
    }
    close(again);
}

int
fdatasync(int fd)
{
    usleep(fake_disk_hangs_ms * 1000);
    if (fake_disk_fails) {
        lose(fd);
        errno = EIO;
        return -1;
    }
    fake_disk_syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

int
fstatvfs(int fd, struct statvfs *out)
{
    if (fake_disk_total == 0) {
        struct stat st;
        *out = (struct statvfs){.f_frsize = 1 << 20, .f_blocks = 100, .f_bavail = 100};
        return fstat(fd, &st);
    }
    *out = (struct statvfs){
        .f_frsize = 1 << 20, .f_blocks = fake_disk_total, .f_bavail = fake_disk_free};
    return 0;
}
