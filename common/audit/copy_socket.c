/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum {
    DAEMON_FACILITY = 3 << 3, /* LOG_DAEMON */
    HEAD_MAX = 512,
};

static const uint64_t pause_ns = 1000000000;

struct pw_copy_socket {
    enum pw_copy_form form;
    struct sockaddr_un at;
    int fd;
    uint64_t next_try; /* steady clock; while fd is -1 */
};

static const char *const usual_paths[] = {
    [PW_COPY_SYSLOG] = "/dev/log",
    [PW_COPY_JOURNAL] = "/run/systemd/journal/socket",
};

/* Severities of syslog(3) and the journal alike. */
static const int severities[] = {
    [PW_LEVEL_INFO] = 6, [PW_LEVEL_LOW] = 5,      [PW_LEVEL_MEDIUM] = 4,
    [PW_LEVEL_HIGH] = 3, [PW_LEVEL_CRITICAL] = 2,
};

struct pw_copy_socket *
pw_copy_socket_open(enum pw_copy_form form, const char *path, struct pw_why *why)
{
    path = path == NULL ? usual_paths[form] : path;
    struct pw_copy_socket *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    if (strlen(path) >= sizeof copy->at.sun_path) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "\"%.80s…\" is too long for a socket; at most %zu "
                      "bytes fit",
                      path, sizeof copy->at.sun_path - 1);
        free(copy);
        return NULL;
    }
    copy->form = form;
    copy->fd = -1;
    copy->at.sun_family = AF_UNIX;
    memcpy(copy->at.sun_path, path, strlen(path));
    return copy;
}

void
pw_copy_socket_close(struct pw_copy_socket **copy)
{
    if (*copy != NULL) {
        pw_file_close(&(*copy)->fd);
        free(*copy);
        *copy = NULL;
    }
}

static bool
is_connected(struct pw_copy_socket *copy)
{
    uint64_t now = pw_clock_steady();
    if (copy->fd >= 0) {
        return true;
    }
    if (now < copy->next_try) {
        return false;
    }
    copy->next_try = now + pause_ns;
    copy->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (copy->fd >= 0 &&
        connect(copy->fd, (const struct sockaddr *)&copy->at, sizeof copy->at) != 0) {
        pw_file_close(&copy->fd);
    }
    return copy->fd >= 0;
}

static size_t
syslog_head(const struct pw_audit_copy *line, char head[static HEAD_MAX])
{
    return (size_t)snprintf(head, HEAD_MAX, "<%d>picklewall: ",
                            DAEMON_FACILITY | severities[pw_audit_level(line->record)]);
}

/* Names of channels, events and reasons have no LF in them, nor has a line. */
static size_t
put_field(char head[static HEAD_MAX], size_t len, const char *name, const char *value)
{
    int put = snprintf(head + len, HEAD_MAX - len, "%s=%.128s\n", name, value);
    return len + (size_t)put < HEAD_MAX ? len + (size_t)put : len;
}

static size_t
journal_head(const struct pw_audit_copy *line, char head[static HEAD_MAX])
{
    const struct pw_audit_record *record = line->record;
    enum pw_level level = pw_audit_level(record);
    size_t len = (size_t)snprintf(head, HEAD_MAX, "PRIORITY=%d\n", severities[level]);
    len = put_field(head, len, "SYSLOG_IDENTIFIER", "picklewall");
    len = put_field(head, len, "PICKLEWALL_EVENT", pw_audit_event_text(record));
    len = put_field(head, len, "PICKLEWALL_LEVEL", pw_level_text(level));
    if (line->chan[0] != '\0') {
        len = put_field(head, len, "PICKLEWALL_CHANNEL", line->chan);
    }
    if (record->event == PW_EVENT_FRAME) {
        enum pw_verdict verdict = (enum pw_verdict)record->verdict;
        len = put_field(head, len, "PICKLEWALL_VERDICT", pw_verdict_text(verdict));
    }
    if (record->reason != PW_R_NONE) {
        enum pw_reason reason = (enum pw_reason)record->reason;
        len = put_field(head, len, "PICKLEWALL_REASON", pw_reason_code(reason));
    }
    return len + (size_t)snprintf(head + len, HEAD_MAX - len, "MESSAGE=");
}

/* On false, errno says whether the daemon is behind or gone. */
static bool
send_to(const struct pw_copy_socket *copy, struct msghdr *message)
{
    ssize_t sent;
    do {
        sent = sendmsg(copy->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

bool
pw_copy_socket_send(void *arg, const struct pw_audit_copy *line)
{
    static char newline[] = "\n";
    struct pw_copy_socket *copy = arg;
    bool journal = copy->form == PW_COPY_JOURNAL;
    char head[HEAD_MAX];
    size_t len = journal ? journal_head(line, head) : syslog_head(line, head);
    struct iovec parts[] = {{head, len},
                            {(char *)(uintptr_t)line->line.ptr, line->line.len},
                            {newline, journal ? 1 : 0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = PW_COUNT(parts)};
    if (!is_connected(copy)) {
        return false;
    }
    if (send_to(copy, &message)) {
        return true;
    }
    if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE) {
        return false; /* it is behind: this line is missed */
    }
    pw_file_close(&copy->fd); /* it was started anew, perhaps */
    copy->next_try = 0;
    return is_connected(copy) && send_to(copy, &message);
}
