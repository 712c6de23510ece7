/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"

struct pw_mirror {
    char *path;
    int fd;
    bool half;       /* the last note was cut short */
    uint64_t missed; /* since the last that was taken */
};

/* Not O_NONBLOCK of a descriptor that others share: stdout is opened anew. */
static int
open_path(const char *path)
{
    enum { FLAGS = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };
    if (strcmp(path, "-") != 0) {
        return open(path, FLAGS | O_CREAT | O_NOFOLLOW, 0644);
    }
    return open("/proc/self/fd/1", FLAGS);
}

struct pw_mirror *
pw_mirror_open(const char *path, struct pw_why *why)
{
    struct pw_mirror *mirror = calloc(1, sizeof *mirror);
    char *copy = strdup(path);
    if (mirror == NULL || copy == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
        free(mirror);
        free(copy);
        return NULL;
    }
    *mirror = (struct pw_mirror){.path = copy, .fd = open_path(path)};
    if (mirror->fd < 0) {
        (void)pw_fail(why, PW_E_CREATE,
                      "%s: %s; name a file for audit.mirror that this user may append to, "
                      "or a pipe that is read",
                      path, strerror(errno));
        pw_mirror_close(&mirror);
    }
    return mirror;
}

void
pw_mirror_close(struct pw_mirror **mirror)
{
    if (*mirror != NULL) {
        pw_file_close(&(*mirror)->fd);
        free((*mirror)->path);
        free(*mirror);
        *mirror = NULL;
    }
}

/* Another file, or none, has the name by now. */
static void
follow_name(struct pw_mirror *mirror)
{
    struct stat ours;
    struct stat named;
    bool same = strcmp(mirror->path, "-") == 0 ||
                (fstat(mirror->fd, &ours) == 0 && lstat(mirror->path, &named) == 0 &&
                 ours.st_dev == named.st_dev && ours.st_ino == named.st_ino);
    int fd = same ? -1 : open_path(mirror->path);
    if (fd >= 0) {
        pw_file_close(&mirror->fd);
        mirror->fd = fd;
        mirror->half = false;
    }
}

/* One write: a pipe takes all of so little, or nothing. */
static bool
put(struct pw_mirror *mirror, struct pw_span note)
{
    static char gap[] = "\n\n";
    size_t before = mirror->half ? 2 : 0;
    struct iovec parts[] = {
        {gap, before}, {(char *)(uintptr_t)note.ptr, note.len}, {gap, 1}};
    ssize_t whole = (ssize_t)(before + note.len + 1);
    ssize_t took = writev(mirror->fd, parts, sizeof parts / sizeof parts[0]);
    mirror->half = took >= 0 ? took < whole : mirror->half;
    return took == whole;
}

void
pw_mirror_put(struct pw_mirror *mirror, struct pw_span note)
{
    follow_name(mirror);
    errno = ENOSPC; /* what a short write leaves unsaid */
    if (!put(mirror, note)) {
        if (mirror->missed++ == 0) {
            pw_log(PW_LOG_ERROR,
                   "%s: %s; checkpoints are missing in the mirror until it works",
                   mirror->path, strerror(errno));
        }
        return;
    }
    if (mirror->missed > 0) {
        pw_log(PW_LOG_WARN,
               "%s: the mirror works again; %" PRIu64 " checkpoints are missing",
               mirror->path, mirror->missed);
        mirror->missed = 0;
    }
}
