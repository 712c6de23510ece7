/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

enum {
    BACKLOG = 16,
    ACCEPTS_AT_ONCE = 16,
    PAUSE_MS = 1000, /* when there are no descriptors left for more clients */
};

static const uint64_t ns_per_ms = 1000000;

/* What is said when no memory is left to say more. */
static const char helpless[] =
    "{\"ok\":false,\"error\":\"out of memory; the log on stderr tells what was done\"}\n";

struct client {
    int fd; /* -1: this place is free */
    struct pw_control_peer peer;
    uint64_t until; /* steady clock */
    char request[PW_CONTROL_REQUEST_MAX];
    size_t len;
    struct pw_buf answer;
    struct pw_span rest; /* of the answer; empty while the request is not whole */
    uint64_t ticket;     /* its answer follows later; 0: it does not */
};

struct pw_control {
    struct pw_control_options options;
    int epoll;
    int listener;
    struct stat socket;    /* as it was made, to know it again */
    uint64_t paused_until; /* steady clock; 0: new clients are taken */
    uint64_t said_at;      /* steady clock: a stranger was last spoken of */
    uint64_t tickets;      /* given out so far */
    struct client clients[PW_CONTROL_CLIENTS];
};

/* --- requests and answers ------------------------------------------------------------ */

static bool
is_printable(struct pw_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static size_t
name_length(struct pw_span line)
{
    size_t len = 0;
    while (len < line.len &&
           ((line.ptr[len] >= 'a' && line.ptr[len] <= 'z') || line.ptr[len] == '-')) {
        len++;
    }
    return len;
}

enum pw_err
pw_control_parse(struct pw_span line, struct pw_control_request *out, struct pw_why *why)
{
    *out = (struct pw_control_request){0};
    if (line.len >= PW_CONTROL_REQUEST_MAX) {
        return pw_fail(why, PW_E_FORMAT, "the request is longer than %d bytes; shorten it",
                       PW_CONTROL_REQUEST_MAX);
    }
    if (!is_printable(line)) {
        return pw_fail(why, PW_E_FORMAT,
                       "the request is not printable ASCII; write a command and LF");
    }
    struct pw_cursor cur = pw_cursor_over(line);
    struct pw_span name = pw_cursor_take(&cur, name_length(line));
    if (name.len == 0 || name.len > PW_CONTROL_COMMAND_MAX) {
        return pw_fail(why, PW_E_FORMAT,
                       "the request begins with no command; write one of a-z, such as "
                       "status");
    }
    memcpy(out->command, name.ptr, name.len);
    if (cur.rest.len == 0) {
        return PW_E_OK;
    }
    bool blank = pw_cursor_uint(&cur, 1) == ' ';
    struct pw_span argument = cur.rest;
    if (!blank || argument.len == 0 || argument.ptr[0] == ' ' ||
        argument.ptr[argument.len - 1] == ' ') {
        return pw_fail(why, PW_E_FORMAT,
                       "behind %s stands neither LF nor one blank and an argument; write "
                       "one of these",
                       out->command);
    }
    memcpy(out->argument, argument.ptr, argument.len);
    return PW_E_OK;
}

static const struct pw_control_command *
find_command(const struct pw_control_options *options, const char *name)
{
    for (size_t i = 0; i < options->command_count; i++) {
        if (strcmp(options->commands[i].name, name) == 0) {
            return &options->commands[i];
        }
    }
    return NULL;
}

static enum pw_err
refuse_unknown(const struct pw_control_options *options, const char *name,
               struct pw_why *why)
{
    char list[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < options->command_count && len < sizeof list; i++) {
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i == 0 ? "" : ", ",
                                options->commands[i].name);
    }
    return pw_fail(why, PW_E_USAGE, "%s is no command of this wall; there are %s", name,
                   list);
}

static void
wipe_request(struct pw_control_request *request)
{
    explicit_bzero(request, sizeof *request); /* it may hold a key */
}

static enum pw_err
carry_out(const struct pw_control_options *options, const struct pw_control_peer *peer,
          struct pw_span line, uint64_t ticket, bool *later, struct pw_json *json,
          struct pw_why *why)
{
    PW_CLEANUP(wipe_request) struct pw_control_request request;
    enum pw_err err = pw_control_parse(line, &request, why);
    if (err != PW_E_OK) {
        return err;
    }
    const struct pw_control_command *command = find_command(options, request.command);
    if (command == NULL) {
        return refuse_unknown(options, request.command, why);
    }
    if (request.argument[0] != '\0' && !command->takes_argument) {
        return pw_fail(why, PW_E_USAGE, "%s takes no argument; leave it out",
                       command->name);
    }
    if (command->begin == NULL) {
        return command->run(options->arg, peer, request.argument, json, why);
    }
    err = command->begin(options->arg, peer, request.argument, ticket, why);
    *later = err == PW_E_OK;
    return err;
}

/* {"ok":…} around the members. */
static enum pw_err
write_answer(enum pw_err result, const struct pw_why *why, struct pw_span members,
             struct pw_buf *out)
{
    struct pw_json json = pw_json_over(out);
    pw_json_object(&json, NULL);
    pw_json_bool(&json, "ok", result == PW_E_OK);
    if (result != PW_E_OK) {
        pw_json_str(&json, "error", why->text[0] ? why->text : pw_err_text(result));
    }
    pw_json_raw(&json, members);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err != PW_E_OK) {
        pw_buf_clear(out);
    }
    return json.err;
}

enum pw_err
pw_control_answer(const struct pw_control_options *options,
                  const struct pw_control_peer *peer, struct pw_span line, uint64_t ticket,
                  struct pw_buf *out)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf members = {.limit = PW_CONTROL_ANSWER_MAX};
    struct pw_json json = pw_json_over(&members);
    struct pw_why why = {0};
    bool later = false;
    enum pw_err result = carry_out(options, peer, line, ticket, &later, &json, &why);
    if (later) {
        return PW_E_OK;
    }
    if (json.err != PW_E_OK) {
        pw_buf_clear(out);
        return json.err;
    }
    return write_answer(result, &why, pw_buf_span(&members), out);
}

/* --- addresses ----------------------------------------------------------------------- */

/* The folder and the last part of a path; "." when it has no folder. */
static const char *
split_path(const char *path, char folder[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    snprintf(folder, PATH_MAX, "%.*s.", slash == NULL ? 0 : (int)(slash + 1 - path), path);
    return slash == NULL ? path : slash + 1;
}

/*
 * The address of a path. One of more than 107 bytes is reached through the descriptor of
 * its folder, which *folder becomes and which must stay open until the address was used.
 */
static enum pw_err
make_address(const char *path, struct sockaddr_un *out, int *folder)
{
    char name[PATH_MAX];
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof out->sun_path) {
        memcpy(out->sun_path, path, strlen(path));
        return PW_E_OK;
    }
    const char *last = split_path(path, name);
    *folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) {
        return PW_E_OS;
    }
    int len =
        snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", *folder, last);
    if (len < (int)sizeof out->sun_path) {
        return PW_E_OK;
    }
    errno = ENAMETOOLONG;
    return PW_E_OS;
}

/* Connect `fd`; errno tells why not. */
static bool
reach(int fd, const char *path)
{
    PW_CLEANUP(pw_file_close) int folder = -1;
    struct sockaddr_un address;
    return make_address(path, &address, &folder) == PW_E_OK &&
           connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

/* Why nobody was reached, and what to do about it. */
static const struct refusal {
    int number;
    enum pw_err err;
    const char *remedy;
} refusals[] = {
    {ENOENT, PW_E_NO_INPUT, "is the wall running, and is this its control socket?"},
    {ENOTDIR, PW_E_NO_INPUT, "is this the path of its control socket?"},
    {ECONNREFUSED, PW_E_BUSY, "the wall that made it has ended; start it again"},
    {EACCES, PW_E_PERM, "ask as root, or as the user of the wall"},
    {EAGAIN, PW_E_BUSY, "too many ask at once; try again"},
    {0, PW_E_OS, "name the control socket of a wall"},
};

static enum pw_err
fail_reach(const char *path, int number, struct pw_why *why)
{
    const struct refusal *refusal = refusals;
    while (refusal->number != 0 && refusal->number != number) {
        refusal++;
    }
    return pw_fail(why, refusal->err, "%s: %s; %s", path, strerror(number),
                   refusal->remedy);
}

int
pw_control_connect(const char *path, enum pw_err *err, struct pw_why *why)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && reach(fd, path)) {
        *err = PW_E_OK;
        return fd;
    }
    *err = fail_reach(path, errno, why);
    pw_file_close(&fd);
    return -1;
}

/* --- listening ----------------------------------------------------------------------- */

static bool
watch_fd(int epoll, int operation, int fd, uint32_t events, struct client *client)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    return epoll_ctl(epoll, operation, fd, &event) == 0;
}

/* The process that listens at `path`; 0 when none does, -1 when errno says why not. */
static pid_t
holder_of(const char *path)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    PW_CLEANUP(pw_file_close)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !reach(fd, path)) {
        return errno == ECONNREFUSED || errno == ENOENT ? 0 : -1;
    }
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
}

/* Make room for a socket: nothing stands there, or what a dead process left. */
static enum pw_err
clear_place(const char *path, struct pw_why *why)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? PW_E_OK
                               : pw_fail(why, PW_E_CREATE, "%s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(info.st_mode)) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: something that is no socket stands there; move it away, or "
                       "name another path",
                       path);
    }
    pid_t holder = holder_of(path);
    if (holder < 0) {
        return pw_fail(why, PW_E_BUSY,
                       "%s: %s, so that nobody can tell whether a live process owns it; "
                       "stop that, or name another path",
                       path, strerror(errno));
    }
    if (holder > 0) {
        return pw_fail(why, PW_E_BUSY,
                       "%s: process %d answers there already; stop it, or name another "
                       "path",
                       path, (int)holder);
    }
    return unlink(path) == 0 || errno == ENOENT
               ? PW_E_OK
               : pw_fail(why, PW_E_CREATE, "%s: %s; remove it", path, strerror(errno));
}

/*
 * Two that start at once must not take each other's socket for a dead one's. A file that
 * nobody else may open: a folder can be locked by whoever may read it.
 */
static enum pw_err
lock_place(const char *path, int *lock, struct pw_why *why)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s.lock", path) >= (int)sizeof name) {
        return pw_fail(why, PW_E_CREATE, "%.64s…: the path is too long", path);
    }
    *lock = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*lock < 0) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: %s; make its folder, and writable for this user, or name "
                       "another path",
                       name, strerror(errno));
    }
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        return pw_fail(why, PW_E_BUSY, "%s: another wall is opening it; try again", path);
    }
    return PW_E_OK;
}

static enum pw_err
bind_socket(struct pw_control *control, struct pw_why *why)
{
    const char *path = control->options.path;
    PW_CLEANUP(pw_file_close) int folder = -1;
    struct sockaddr_un address;
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Linux gives the file the mode of the descriptor: there is no moment of another. */
    bool good = control->listener >= 0 && fchmod(control->listener, 0600) == 0 &&
                make_address(path, &address, &folder) == PW_E_OK &&
                bind(control->listener, (struct sockaddr *)&address, sizeof address) == 0;
    if (!good) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: %s; its folder must be one in which this user may create a "
                       "socket",
                       path, strerror(errno));
    }
    if (lstat(path, &control->socket) != 0 || listen(control->listener, BACKLOG) != 0) {
        return pw_fail(why, PW_E_CREATE, "%s: %s", path, strerror(errno));
    }
    return PW_E_OK;
}

static enum pw_err
start_listening(struct pw_control *control, struct pw_why *why)
{
    const char *path = control->options.path;
    PW_CLEANUP(pw_file_close) int lock = -1;
    enum pw_err err = lock_place(path, &lock, why);
    err = err == PW_E_OK ? clear_place(path, why) : err;
    err = err == PW_E_OK ? bind_socket(control, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    control->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (control->epoll < 0 ||
        !watch_fd(control->epoll, EPOLL_CTL_ADD, control->listener, EPOLLIN, NULL)) {
        return pw_fail(why, PW_E_OS, "%s: %s", path, strerror(errno));
    }
    return PW_E_OK;
}

enum pw_err
pw_control_open(const struct pw_control_options *options, struct pw_control **control,
                struct pw_why *why)
{
    PW_CLEANUP(pw_control_close) struct pw_control *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return pw_fail(why, PW_E_NOMEM, "%s: out of memory", options->path);
    }
    made->options = *options;
    made->epoll = -1;
    made->listener = -1;
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        made->clients[i].fd = -1;
        made->clients[i].answer.limit = PW_CONTROL_ANSWER_MAX;
    }
    enum pw_err err = start_listening(made, why);
    if (err == PW_E_OK) {
        *control = made;
        made = NULL;
    }
    return err;
}

static void
end_client(struct client *client)
{
    pw_file_close(&client->fd); /* epoll forgets it with that */
    pw_buf_free(&client->answer);
    explicit_bzero(client->request, client->len); /* it may hold a key */
    client->rest = (struct pw_span){0};
    client->len = 0;
    client->ticket = 0;
}

/* Another's socket may stand there by now: an operator moved ours, and started one more. */
static void
remove_socket(const struct pw_control *control)
{
    struct stat info;
    if (control->socket.st_ino != 0 && lstat(control->options.path, &info) == 0 &&
        info.st_ino == control->socket.st_ino && info.st_dev == control->socket.st_dev) {
        (void)unlink(control->options.path);
    }
}

void
pw_control_close(struct pw_control **control)
{
    if (*control == NULL) {
        return;
    }
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        end_client(&(*control)->clients[i]);
    }
    remove_socket(*control);
    pw_file_close(&(*control)->listener);
    pw_file_close(&(*control)->epoll);
    free(*control);
    *control = NULL;
}

/* --- clients ------------------------------------------------------------------------- */

int
pw_control_fd(const struct pw_control *control)
{
    return control->epoll;
}

int
pw_control_wait_ms(const struct pw_control *control)
{
    uint64_t next = control->paused_until != 0 ? control->paused_until : UINT64_MAX;
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        const struct client *client = &control->clients[i];
        next = client->fd >= 0 && client->until < next ? client->until : next;
    }
    uint64_t now = pw_clock_steady();
    if (next == UINT64_MAX) {
        return -1;
    }
    return next <= now ? 0 : (int)((next - now) / ns_per_ms) + 1;
}

/* One line that fits every socket's buffer, to whoever gets no place. */
static void
turn_away(int fd, const struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_CONTROL_ANSWER_MAX};
    struct pw_span text = pw_span_str(helpless);
    if (write_answer(PW_E_PERM, why, (struct pw_span){0}, &line) == PW_E_OK) {
        text = pw_buf_span(&line);
    }
    (void)!send(fd, text.ptr, text.len,
                MSG_DONTWAIT | MSG_NOSIGNAL); /* as far as it is heard */
}

static struct client *
free_place(struct pw_control *control)
{
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        if (control->clients[i].fd < 0) {
            return &control->clients[i];
        }
    }
    return NULL;
}

/* At most one line a second: it must not be theirs to fill the log. */
static void
say_stranger(struct pw_control *control, const struct ucred *peer)
{
    uint64_t now = pw_clock_steady();
    if (control->said_at != 0 && now - control->said_at < PAUSE_MS * ns_per_ms) {
        return;
    }
    control->said_at = now;
    pw_log(PW_LOG_WARN, "control: uid %u, pid %d was turned away", (unsigned)peer->uid,
           (int)peer->pid);
}

static uint64_t
patience_from_now(void)
{
    return pw_clock_steady() + (uint64_t)PW_CONTROL_SECONDS * 1000 * ns_per_ms;
}

static void
admit(struct pw_control *control, int fd)
{
    struct pw_why why = {0};
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        !pw_control_may(peer.uid, control->options.owner)) {
        (void)pw_fail(&why, PW_E_PERM,
                      "uid %u may not ask this wall; ask as root, or as uid %u",
                      (unsigned)peer.uid, (unsigned)control->options.owner);
        say_stranger(control, &peer);
        turn_away(fd, &why);
        close(fd);
        return;
    }
    struct client *client = free_place(control);
    if (client == NULL || !watch_fd(control->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, client)) {
        (void)pw_fail(&why, PW_E_BUSY, "%d others are being served; try again",
                      PW_CONTROL_CLIENTS);
        turn_away(fd, &why);
        close(fd);
        return;
    }
    client->fd = fd;
    client->peer = (struct pw_control_peer){peer.uid, peer.pid};
    client->until = patience_from_now();
}

static void
take_clients(struct pw_control *control)
{
    int reason = 0;
    for (int i = 0; i < ACCEPTS_AT_ONCE && reason == 0; i++) {
        int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(control, fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            reason = errno;
        }
    }
    /* Without a descriptor to spare, the next client would wake us for ever. */
    if (reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM) {
        control->paused_until = pw_clock_steady() + PAUSE_MS * ns_per_ms;
        (void)watch_fd(control->epoll, EPOLL_CTL_MOD, control->listener, 0, NULL);
    }
}

static void
give_answer(struct client *client)
{
    while (client->rest.len > 0) {
        ssize_t sent = send(client->fd, client->rest.ptr, client->rest.len,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (sent < 0) {
            break;
        }
        client->rest.ptr += sent;
        client->rest.len -= (size_t)sent;
    }
    end_client(client);
}

/* The answer is made, but for `err`. */
static void
begin_answer(struct pw_control *control, struct client *client, enum pw_err err)
{
    client->ticket = 0;
    client->rest = err == PW_E_OK ? pw_buf_span(&client->answer) : pw_span_str(helpless);
    (void)watch_fd(control->epoll, EPOLL_CTL_MOD, client->fd, EPOLLOUT, client);
    give_answer(client);
}

static void
answer(struct pw_control *control, struct client *client, size_t len)
{
    struct pw_span line = {(const uint8_t *)client->request, len};
    uint64_t ticket = ++control->tickets;
    enum pw_err err =
        pw_control_answer(&control->options, &client->peer, line, ticket, &client->answer);
    if (err != PW_E_OK || client->answer.len > 0) {
        begin_answer(control, client, err);
        return;
    }
    client->ticket = ticket;
    client->until = UINT64_MAX;
    /* That it has gone is told in any case. */
    (void)watch_fd(control->epoll, EPOLL_CTL_MOD, client->fd, 0, client);
}

void
pw_control_finish(struct pw_control *control, uint64_t ticket, enum pw_err result,
                  const struct pw_why *why, struct pw_span members)
{
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        struct client *client = &control->clients[i];
        if (client->ticket == ticket) {
            client->until = patience_from_now();
            begin_answer(control, client,
                         write_answer(result, why, members, &client->answer));
            return;
        }
    }
}

/* The request, when its LF is there, or there is no room for one. */
static void
hear(struct pw_control *control, struct client *client)
{
    ssize_t got = recv(client->fd, client->request + client->len,
                       sizeof client->request - client->len, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        end_client(client); /* gone before it had asked */
        return;
    }
    client->len += (size_t)got;
    const char *end = memchr(client->request, '\n', client->len);
    if (end != NULL || client->len == sizeof client->request) {
        answer(control, client,
               end != NULL ? (size_t)(end - client->request) : client->len);
    }
}

static void
forget_the_slow(struct pw_control *control)
{
    uint64_t now = pw_clock_steady();
    for (size_t i = 0; i < PW_CONTROL_CLIENTS; i++) {
        struct client *client = &control->clients[i];
        if (client->fd >= 0 && now >= client->until) {
            end_client(client);
        }
    }
    if (control->paused_until != 0 && now >= control->paused_until) {
        control->paused_until = 0;
        (void)watch_fd(control->epoll, EPOLL_CTL_MOD, control->listener, EPOLLIN, NULL);
    }
}

void
pw_control_serve(struct pw_control *control)
{
    struct epoll_event events[PW_CONTROL_CLIENTS + 1];
    int count = epoll_wait(control->epoll, events, PW_CONTROL_CLIENTS + 1, 0);
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;
        if (client == NULL) {
            take_clients(control);
        } else if (client->rest.len > 0) {
            give_answer(client);
        } else if (client->ticket != 0) {
            end_client(client); /* gone before its answer came */
        } else {
            hear(control, client);
        }
    }
    forget_the_slow(control);
}
