/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/audit/line.h"
#include "common/base/file.h"

struct pw_copy_stdout {
    int fd;
    bool socket;
    size_t rest_len; /* of a line that was taken in part; 0: none */
    char rest[PW_AUDIT_LINE_MAX];
};

/*
 * O_NONBLOCK belongs to the open file, which others share: the shell, a program behind the
 * same pipe. Opened anew, a pipe or a terminal is ours alone.
 */
static int
own(int fd, mode_t mode)
{
    char path[64];
    if (S_ISSOCK(mode)) {
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return again >= 0 || !S_ISREG(mode) ? again : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

struct pw_copy_stdout *
pw_copy_stdout_open(int fd, struct pw_why *why)
{
    struct stat st;
    struct pw_copy_stdout *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    copy->fd = fstat(fd, &st) == 0 ? own(fd, st.st_mode) : -1;
    if (copy->fd < 0) {
        (void)pw_fail(why, PW_E_CREATE,
                      "stdout cannot be written to without waiting: %s; give it a pipe, a "
                      "terminal, a socket or a file",
                      strerror(errno));
        free(copy);
        return NULL;
    }
    copy->socket = S_ISSOCK(st.st_mode);
    return copy;
}

void
pw_copy_stdout_close(struct pw_copy_stdout **copy)
{
    if (*copy != NULL) {
        pw_file_close(&(*copy)->fd);
        free(*copy);
        *copy = NULL;
    }
}

/* How many bytes it took; 0 also for an error. */
static size_t
put(const struct pw_copy_stdout *copy, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t put = copy->socket ? sendmsg(copy->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                               : writev(copy->fd, parts, (int)count);
    return put > 0 ? (size_t)put : 0;
}

static bool
put_rest(struct pw_copy_stdout *copy)
{
    if (copy->rest_len > 0) {
        struct iovec rest = {copy->rest, copy->rest_len};
        size_t took = put(copy, &rest, 1);
        copy->rest_len -= took;
        memmove(copy->rest, copy->rest + took, copy->rest_len);
    }
    return copy->rest_len == 0;
}

/* What is behind the first `took` bytes of the line and its LF. */
static void
keep_rest(struct pw_copy_stdout *copy, struct pw_span line, size_t took)
{
    size_t left = took < line.len ? line.len - took : 0;
    if (left > 0) {
        memcpy(copy->rest, line.ptr + took, left);
    }
    if (took <= line.len) {
        copy->rest[left++] = '\n';
    }
    copy->rest_len = left;
}

bool
pw_copy_stdout_send(void *arg, const struct pw_audit_copy *line)
{
    static char newline[] = "\n";
    struct pw_copy_stdout *copy = arg;
    if (!put_rest(copy)) {
        return false;
    }
    struct iovec parts[] = {{(char *)(uintptr_t)line->line.ptr, line->line.len},
                            {newline, 1}};
    size_t took = put(copy, parts, PW_COUNT(parts));
    if (took > 0) {
        keep_rest(copy, line->line, took);
    }
    return took > 0;
}
