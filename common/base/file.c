/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

/* Room for the next read: a chunk, or what the limit leaves and one byte to notice the
 * rest. */
static enum pw_err
read_some(int fd, struct pw_buf *out, ssize_t *got)
{
    uint8_t probe;
    size_t room = out->limit - out->len;
    room = room < CHUNK ? room : CHUNK;
    if (room > 0) {
        enum pw_err err = pw_buf_reserve(out, room);
        if (err != PW_E_OK) {
            return err;
        }
    }
    do {
        *got = room > 0 ? read(fd, out->bytes + out->len, room) : read(fd, &probe, 1);
    } while (*got < 0 && errno == EINTR);
    if (*got < 0) {
        return PW_E_IO;
    }
    if (room == 0) {
        return *got == 0 ? PW_E_OK : PW_E_LIMIT;
    }
    out->len += (size_t)*got;
    return PW_E_OK;
}

enum pw_err
pw_file_read_fd(int fd, struct pw_buf *out)
{
    ssize_t got = 0;
    do {
        enum pw_err err = read_some(fd, out, &got);
        if (err != PW_E_OK) {
            return err;
        }
    } while (got > 0);
    return PW_E_OK;
}

enum pw_err
pw_file_read(const char *path, struct pw_buf *out)
{
    PW_CLEANUP(pw_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == EACCES || errno == EPERM ? PW_E_PERM : PW_E_NO_INPUT;
    }
    return pw_file_read_fd(fd, out);
}

enum pw_err
pw_file_write_all(int fd, struct pw_span bytes)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.ptr, bytes.len);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return PW_E_IO;
        }
        bytes.ptr += done;
        bytes.len -= (size_t)done;
    }
    return PW_E_OK;
}

static enum pw_err
write_draft(const char *draft, struct pw_span bytes, mode_t mode)
{
    (void)unlink(draft); /* the leavings of a crash */
    PW_CLEANUP(pw_file_close)
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        return PW_E_CREATE;
    }
    enum pw_err err = pw_file_write_all(fd, bytes);
    return err == PW_E_OK && fsync(fd) != 0 ? PW_E_IO : err;
}

/* The name is on the disk when its folder is. */
void
pw_file_sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = slash == NULL ? 1 : (int)(slash - path) + 1;
    snprintf(folder, sizeof folder, "%.*s", len, slash == NULL ? "." : path);
    PW_CLEANUP(pw_file_close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot */
    }
}

enum pw_err
pw_file_replace(const char *path, struct pw_span bytes, mode_t mode)
{
    char draft[PATH_MAX];
    if (snprintf(draft, sizeof draft, "%s.new", path) >= (int)sizeof draft) {
        errno = ENAMETOOLONG;
        return PW_E_CREATE;
    }
    enum pw_err err = write_draft(draft, bytes, mode);
    if (err == PW_E_OK && rename(draft, path) != 0) {
        err = PW_E_IO;
    }
    if (err != PW_E_OK) {
        int saved = errno;
        (void)unlink(draft);
        errno = saved;
        return err;
    }
    pw_file_sync_folder_of(path);
    return PW_E_OK;
}

static int
make_parents(const char *path)
{
    char partial[PATH_MAX];
    if (snprintf(partial, sizeof partial, "%s", path) >= (int)sizeof partial) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (char *slash = strchr(partial + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST) {
            return -1;
        }
        *slash = '/';
    }
    return mkdir(partial, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

int
pw_file_open_dir(const char *path, struct pw_why *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make_parents(path) == 0) {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) {
        (void)pw_fail(why, PW_E_CREATE, "%s: %s; name a folder that this user may create",
                      path, strerror(errno));
    }
    return fd;
}

void
pw_file_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}
