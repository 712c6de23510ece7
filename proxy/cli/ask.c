/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "common/base/file.h"
#include "common/settings/settings.h"
#include "proxy/cli/command.h"
#include "proxy/cli/json_line.h"

/* Nobody answers there: to a script that is one thing, whatever the reason. */
static enum pw_err
connect_to(const char *path, int patience_s, int *fd, struct pw_why *why)
{
    struct timeval patience = {.tv_sec = patience_s};
    enum pw_err err;
    *fd = pw_control_connect(path, &err, why);
    if (*fd < 0) {
        return err == PW_E_NO_INPUT ? PW_E_BUSY : err;
    }
    return setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0
               ? PW_E_OK
               : pw_fail(why, PW_E_OS, "%s: %s", path, strerror(errno));
}

/* Whether who listens may read secrets; the kernel knows who made the socket listen. */
static enum pw_err
check_listener(int fd, const struct pw_settings *settings, struct pw_why *why)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof peer;
    struct stat st;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        return pw_fail(why, PW_E_OS, "%s: %s", settings->control, strerror(errno));
    }
    if (stat(settings->state, &st) != 0) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: %s; is that the state of the wall?",
                       settings->state, strerror(errno));
    }
    return peer.uid == 0 || peer.uid == st.st_uid
               ? PW_E_OK
               : pw_fail(why, PW_E_PERM,
                         "%s: uid %u listens there, pid %d, and is neither root nor the "
                         "owner of %s; no key was sent; look who that is",
                         settings->control, peer.uid, peer.pid, settings->state);
}

static enum pw_err
connect_to_wall(const struct pw_ask *ask, int *fd, struct pw_why *why)
{
    if (ask->socket != NULL) {
        return connect_to(ask->socket, ask->patience_s, fd, why);
    }
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = pw_settings_load(pw_command_config(ask->config), why);
    if (settings == NULL) {
        return PW_E_CONFIG;
    }
    if (strcmp(settings->control, "-") == 0) {
        return pw_fail(why, PW_E_CONFIG,
                       "%s: control is off there; set it to a path, and start the wall "
                       "again",
                       settings->file);
    }
    enum pw_err err = connect_to(settings->control, ask->patience_s, fd, why);
    return err == PW_E_OK && ask->secret ? check_listener(*fd, settings, why) : err;
}

/* One line; what is behind its LF is not ours. */
static enum pw_err
receive_line(int fd, int patience_s, struct pw_buf *line, struct pw_why *why)
{
    for (;;) {
        if (pw_buf_reserve(line, 4096) != PW_E_OK) {
            return pw_fail(why, PW_E_FORMAT, "the answer does not end; is that a wall?");
        }
        ssize_t got = recv(fd, line->bytes + line->len, 4096, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return pw_fail(why, PW_E_BUSY, "no answer in %d s; the wall hangs", patience_s);
        }
        if (got <= 0) {
            return pw_fail(why, PW_E_BUSY,
                           "the wall ended the connection without an answer; try again");
        }
        const uint8_t *end = memchr(line->bytes + line->len, '\n', (size_t)got);
        line->len = end != NULL ? (size_t)(end - line->bytes) : line->len + (size_t)got;
        if (end != NULL) {
            return PW_E_OK;
        }
    }
}

/* Send the request, and read the object that answers it. */
static enum pw_err
converse(int fd, const struct pw_ask *ask, const char *command, const char *argument,
         struct pw_buf *line, json_t **answer, struct pw_why *why)
{
    char request[PW_CONTROL_REQUEST_MAX];
    int len = snprintf(request, sizeof request, "%s%s%s\n", command,
                       argument == NULL ? "" : " ", argument == NULL ? "" : argument);
    if (len >= (int)sizeof request) {
        return pw_fail(why, PW_E_USAGE, "the request is too long; shorten it");
    }
    ssize_t sent = send(fd, request, (size_t)len, MSG_NOSIGNAL);
    explicit_bzero(request, sizeof request); /* it may hold a key */
    /* A wall that turns us away may have closed by now, and have said why before. */
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET) {
        return pw_fail(why, PW_E_IO, "the wall cannot be asked: %s", strerror(errno));
    }
    enum pw_err err = receive_line(fd, ask->patience_s, line, why);
    if (err != PW_E_OK) {
        return err;
    }
    if (!pw_json_line_plain(pw_buf_span(line)) ||
        pw_json_line_read(pw_buf_span(line), answer) != PW_E_OK ||
        !json_is_boolean(json_object_get(*answer, "ok"))) {
        return pw_fail(why, PW_E_FORMAT,
                       "the answer is none of a wall's; is that its "
                       "control socket?");
    }
    return PW_E_OK;
}

enum pw_err
pw_ask_wall(const struct pw_ask *ask, const char *command, const char *argument,
            struct pw_buf *line, json_t **answer, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int fd = -1;
    enum pw_err err = connect_to_wall(ask, &fd, why);
    return err == PW_E_OK ? converse(fd, ask, command, argument, line, answer, why) : err;
}
