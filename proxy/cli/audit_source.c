/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "proxy/cli/logged.h"

enum {
    CHUNK = 256 * 1024,
    STEP = 16,            /* chunks of a file in one step */
    LINE_LIMIT = 1 << 20, /* what goes on longer without an LF is no line of ours */
    LOOK_MS = 200,        /* how often files that are followed are looked at */
    INPUTS = 64,
    ROTATED = 256, /* files that a log is traced back over */
    HEAD = 16384,  /* bytes in which a first line must end */
    BURST = 20000, /* published lines in one step */
    QUEUE = 100000,
};

struct input {
    const char *name;
    int fd;       /* -1: none */
    void *socket; /* SUB; NULL: none */
    bool stream;  /* standard input, or a pipe: it is waited for, and ends once */
    bool ended;
    struct pw_buf pending; /* read, and not yet a whole line */
};

struct pw_audit_source {
    struct pw_audit_source_options options;
    struct input inputs[INPUTS];
    size_t count;
    size_t reached; /* inputs that were read to their end once: the first so many */
    void *context;
};

struct pw_audit_source *
pw_audit_source_new(const struct pw_audit_source_options *options)
{
    struct pw_audit_source *source = calloc(1, sizeof *source);
    if (source != NULL) {
        source->options = *options;
    }
    return source;
}

void
pw_audit_source_free(struct pw_audit_source **source)
{
    if (*source == NULL) {
        return;
    }
    for (size_t i = 0; i < (*source)->count; i++) {
        struct input *input = &(*source)->inputs[i];
        if (input->socket != NULL) {
            zmq_close(input->socket);
        } else if (input->fd != STDIN_FILENO) {
            pw_file_close(&input->fd);
        }
        pw_buf_free(&input->pending);
    }
    if ((*source)->context != NULL) {
        zmq_ctx_term((*source)->context);
    }
    free(*source);
    *source = NULL;
}

/* ---- rotated files ---- */

/* The first line of a file; empty when it has none yet. */
static struct pw_span
first_line(int fd, uint8_t head[static HEAD])
{
    ssize_t got = pread(fd, head, HEAD, 0);
    struct pw_cursor cur =
        pw_cursor_over((struct pw_span){head, got < 0 ? 0 : (size_t)got});
    return pw_cursor_until(&cur, '\n');
}

/* Too young to tell what was before it, and to hold anything. */
static bool
has_no_line(int fd)
{
    uint8_t head[HEAD];
    ssize_t got = pread(fd, head, HEAD, 0);
    return got <= 0 || (got < HEAD && memchr(head, '\n', (size_t)got) == NULL);
}

/* The value of "from" in a rotate event: the name that the file before has now. */
static bool
name_before(const struct pw_logged *line, char name[static NAME_MAX + 1])
{
    struct pw_json_walk walk = pw_json_walk_over(line->detail);
    bool rotated = pw_logged_is(line->event, "rotate") && line->detail.len > 0;
    while (rotated && pw_json_walk_next(&walk)) {
        if (walk.kind != PW_JSON_STRING || !pw_json_walk_at(&walk, "from")) {
            continue;
        }
        struct pw_span from = walk.raw;
        const uint8_t *slash = memrchr(from.ptr, '/', from.len);
        size_t folder = slash == NULL ? 0 : (size_t)(slash - from.ptr) + 1;
        bool plain = memchr(from.ptr, '\\', from.len) == NULL;
        if (!plain || from.len == folder || from.len - folder > NAME_MAX) {
            return false;
        }
        snprintf(name, NAME_MAX + 1, "%.*s", (int)(from.len - folder),
                 (const char *)from.ptr + folder);
        return true;
    }
    return false;
}

/* Open the file that `fd`, a log at `path`, took over from; -1 when nobody can tell.
 * *began is the time of the first line of `fd`. */
static int
open_before(const char *path, int fd, uint64_t *began)
{
    uint8_t head[HEAD];
    char name[NAME_MAX + 1], whole[PATH_MAX];
    struct pw_logged line;
    *began = 0;
    if (!pw_logged_read(first_line(fd, head), &line) || !pw_logged_time(line.ts, began) ||
        !name_before(&line, name)) {
        return -1;
    }
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - path) + 1;
    int len = snprintf(whole, sizeof whole, "%.*s%s", folder, path, name);
    return len < (int)sizeof whole ? open(whole, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
}

static bool
same_file(int a, int b)
{
    struct stat first, second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* Go back from `fd`, which is at `path`, to the file that holds the time `since_ns`. */
static int
go_back(const char *path, int fd, uint64_t since_ns)
{
    for (size_t i = 0; i < ROTATED && since_ns != 0; i++) {
        uint64_t began;
        int before = open_before(path, fd, &began);
        if (before < 0) {
            break;
        }
        if (began <= since_ns || same_file(before, fd)) {
            close(before);
            break;
        }
        close(fd);
        fd = before;
    }
    return fd;
}

/* The file that follows `ours` on the way to `newest`; closes `newest` when that is
 * another. */
static int
successor(const char *path, int ours, int newest)
{
    int next = newest;
    for (size_t i = 0; i < ROTATED; i++) {
        uint64_t began;
        int before = open_before(path, next, &began);
        if (before < 0) {
            break; /* not told: what there is between is gone, or was rotated by others */
        }
        if (same_file(before, ours)) {
            close(before);
            return next;
        }
        close(next);
        next = before;
    }
    if (next == newest) {
        return next;
    }
    close(next);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* ---- lines ---- */

static enum pw_err
take_line(const struct pw_audit_source *source, struct pw_span line)
{
    if (line.len == 0) {
        return PW_E_OK;
    }
    return source->options.take(source->options.arg, line);
}

/* Take every whole line of `pending`; with `all`, what is behind the last LF too. */
static enum pw_err
take_lines(const struct pw_audit_source *source, struct input *input, bool all)
{
    struct pw_cursor cur = pw_cursor_over(pw_buf_span(&input->pending));
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && cur.rest.len > 0 && memchr(cur.rest.ptr, '\n', cur.rest.len)) {
        err = take_line(source, pw_cursor_until(&cur, '\n'));
    }
    all = all || cur.rest.len == input->pending.limit;
    if (err == PW_E_OK && all) {
        err = take_line(source, pw_cursor_take(&cur, cur.rest.len));
    }
    if (cur.rest.len > 0) {
        memmove(input->pending.bytes, cur.rest.ptr, cur.rest.len);
    }
    input->pending.len = cur.rest.len;
    return err;
}

/* Read once. *got is 0 at the end, negative when a stream has nothing yet. */
static enum pw_err
read_chunk(struct input *input, ssize_t *got)
{
    size_t room = input->pending.limit - input->pending.len;
    room = room < CHUNK ? room : CHUNK;
    enum pw_err err = pw_buf_reserve(&input->pending, room);
    if (err != PW_E_OK) {
        return err;
    }
    do {
        *got = read(input->fd, input->pending.bytes + input->pending.len, room);
    } while (*got < 0 && errno == EINTR);
    if (*got < 0) {
        return errno == EAGAIN ? PW_E_OK : PW_E_IO;
    }
    input->pending.len += (size_t)*got;
    return PW_E_OK;
}

/* ---- a file ---- */

/* The path names another file now: the old one is read, go on at the start of the next. */
static enum pw_err
change_files(const struct pw_audit_source *source, struct input *input, bool *more)
{
    int newest = open(input->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (newest < 0 || has_no_line(newest)) {
        pw_file_close(&newest);
        return PW_E_OK; /* it will come */
    }
    int next = successor(input->name, input->fd, newest);
    if (next < 0) {
        return PW_E_OK;
    }
    /* What was written before it was renamed, and after we looked. */
    ssize_t got = 1;
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && got > 0) {
        err = read_chunk(input, &got);
        err = err != PW_E_OK ? err : take_lines(source, input, false);
    }
    err = err != PW_E_OK ? err : take_lines(source, input, true);
    close(input->fd);
    input->fd = next;
    *more = true;
    return err;
}

/* The file ended: perhaps the log goes on in another, or was emptied. */
static enum pw_err
look_further(const struct pw_audit_source *source, struct input *input, bool *more)
{
    struct stat named, ours;
    if (stat(input->name, &named) != 0 || fstat(input->fd, &ours) != 0) {
        return PW_E_OK;
    }
    if (named.st_dev != ours.st_dev || named.st_ino != ours.st_ino) {
        return change_files(source, input, more);
    }
    if (ours.st_size < lseek(input->fd, 0, SEEK_CUR)) { /* emptied */
        lseek(input->fd, 0, SEEK_SET);
        *more = true;
        return take_lines(source, input, true);
    }
    return PW_E_OK;
}

/* Some chunks of a file; *more when there may be more at once. */
static enum pw_err
read_file(const struct pw_audit_source *source, struct input *input, bool *more)
{
    *more = false;
    for (size_t i = 0; i < STEP; i++) {
        ssize_t got = 0;
        enum pw_err err = read_chunk(input, &got);
        if (err == PW_E_OK) {
            err = take_lines(source, input, false);
        }
        if (err != PW_E_OK) {
            return err;
        }
        if (got <= 0) {
            return look_further(source, input, more);
        }
    }
    *more = true;
    return PW_E_OK;
}

/* ---- what is waited for ---- */

static enum pw_err
read_stream(const struct pw_audit_source *source, struct input *input)
{
    ssize_t got = 0;
    enum pw_err err = read_chunk(input, &got);
    if (err != PW_E_OK) {
        return err;
    }
    input->ended = got == 0;
    return take_lines(source, input, input->ended);
}

/* The second frame of a message is the line; one that is built otherwise is shown as what
 * it is, none of ours. */
static enum pw_err
read_message(const struct pw_audit_source *source, struct input *input, bool *got)
{
    zmq_msg_t frame;
    enum pw_err err = PW_E_OK;
    bool more = true;
    *got = false;
    for (size_t i = 0; more; i++) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, input->socket, ZMQ_DONTWAIT) < 0) {
            bool later = errno == EAGAIN || errno == EINTR;
            zmq_msg_close(&frame);
            return later ? PW_E_OK : PW_E_IO;
        }
        *got = true;
        more = zmq_msg_more(&frame) != 0;
        if (err == PW_E_OK && (i > 0 || !more)) {
            err = take_line(source,
                            (struct pw_span){zmq_msg_data(&frame), zmq_msg_size(&frame)});
        }
        zmq_msg_close(&frame);
    }
    return err;
}

static enum pw_err
read_messages(const struct pw_audit_source *source, struct input *input)
{
    bool got = true;
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; i < BURST && got && err == PW_E_OK; i++) {
        err = read_message(source, input, &got);
    }
    return err;
}

static bool
is_file(const struct input *input)
{
    return input->socket == NULL && !input->stream;
}

static enum pw_err
wait_for_some(struct pw_audit_source *source, int wait_ms)
{
    zmq_pollitem_t items[INPUTS];
    struct input *inputs[INPUTS];
    int count = 0;
    for (size_t i = 0; i < source->count; i++) {
        struct input *input = &source->inputs[i];
        if (!is_file(input) && !input->ended) {
            inputs[count] = input;
            items[count++] = (zmq_pollitem_t){
                .socket = input->socket, .fd = input->fd, .events = ZMQ_POLLIN};
        }
    }
    if (zmq_poll(items, count, wait_ms) < 0) {
        return errno == EINTR ? PW_E_OK : PW_E_IO;
    }
    enum pw_err err = PW_E_OK;
    for (int i = 0; i < count && err == PW_E_OK; i++) {
        if (items[i].revents != 0) {
            err = inputs[i]->socket != NULL ? read_messages(source, inputs[i])
                                            : read_stream(source, inputs[i]);
        }
    }
    return err;
}

/* ---- all together ---- */

/* Files for the first time, one after the other. */
static enum pw_err
read_first(struct pw_audit_source *source)
{
    struct input *input = &source->inputs[source->reached];
    bool more = false;
    enum pw_err err = PW_E_OK;
    if (is_file(input)) {
        err = read_file(source, input, &more);
    }
    if (err == PW_E_OK && !more) {
        source->reached++;
        if (is_file(input) && !source->options.follow) {
            input->ended = true;
            err = take_lines(source, input, true);
        }
    }
    return err;
}

enum pw_err
pw_audit_source_step(struct pw_audit_source *source, int wait_ms)
{
    if (source->reached < source->count) {
        return read_first(source);
    }
    bool busy = false, files = false;
    for (size_t i = 0; i < source->count; i++) {
        struct input *input = &source->inputs[i];
        bool more = false;
        if (!is_file(input) || input->ended) {
            continue;
        }
        enum pw_err err = read_file(source, input, &more);
        if (err != PW_E_OK) {
            return err;
        }
        files = true;
        busy = busy || more;
    }
    int pause = files && (wait_ms < 0 || wait_ms > LOOK_MS) ? LOOK_MS : wait_ms;
    return wait_for_some(source, busy ? 0 : pause);
}

bool
pw_audit_source_caught_up(const struct pw_audit_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        if (source->inputs[i].stream && !source->inputs[i].ended) {
            return false;
        }
    }
    return source->reached == source->count;
}

bool
pw_audit_source_ended(const struct pw_audit_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        if (!source->inputs[i].ended) {
            return false;
        }
    }
    return true;
}

bool
pw_audit_source_live(const struct pw_audit_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        if (!is_file(&source->inputs[i])) {
            return true;
        }
    }
    return false;
}

/* ---- opening ---- */

static enum pw_err
connect_to(struct pw_audit_source *source, struct input *input, struct pw_why *why)
{
    int64_t largest = LINE_LIMIT;
    int queue = QUEUE, linger = 0;
    if (source->context == NULL) {
        source->context = zmq_ctx_new();
    }
    input->socket = source->context == NULL ? NULL : zmq_socket(source->context, ZMQ_SUB);
    if (input->socket == NULL) {
        return pw_fail(why, PW_E_OS, "%s: %s", input->name, zmq_strerror(errno));
    }
    if (zmq_setsockopt(input->socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) != 0 ||
        zmq_setsockopt(input->socket, ZMQ_RCVHWM, &queue, sizeof queue) != 0 ||
        zmq_setsockopt(input->socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_setsockopt(input->socket, ZMQ_SUBSCRIBE, "", 0) != 0 ||
        zmq_connect(input->socket, input->name) != 0) {
        return pw_fail(why, PW_E_USAGE,
                       "%s: %s; write it as the setting audit.publish has it", input->name,
                       zmq_strerror(errno));
    }
    return PW_E_OK;
}

static enum pw_err
open_file(const struct pw_audit_source *source, struct input *input, struct pw_why *why)
{
    struct stat status;
    input->fd = strcmp(input->name, "-") == 0
                    ? STDIN_FILENO
                    : open(input->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (input->fd < 0) {
        enum pw_err err = errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT;
        return pw_fail(why, err, "%s: %s; name an audit log that this user may read",
                       input->name, strerror(errno));
    }
    bool known = fstat(input->fd, &status) == 0;
    if (known && S_ISDIR(status.st_mode)) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s: a folder; name the audit log in it, or give --state",
                       input->name);
    }
    input->stream = input->fd == STDIN_FILENO || !known || !S_ISREG(status.st_mode);
    if (!input->stream) {
        input->fd = go_back(input->name, input->fd, source->options.since_ns);
    }
    return PW_E_OK;
}

enum pw_err
pw_audit_source_add(struct pw_audit_source *source, const char *name, struct pw_why *why)
{
    if (source->count == INPUTS) {
        return pw_fail(why, PW_E_USAGE, "%s: %d logs at a time are the most; use cat", name,
                       INPUTS);
    }
    struct input *input = &source->inputs[source->count++];
    *input = (struct input){.name = name, .fd = -1, .pending = {.limit = LINE_LIMIT}};
    return strstr(name, "://") != NULL ? connect_to(source, input, why)
                                       : open_file(source, input, why);
}

/* ---- the last lines ---- */

/* Where the last `lines` lines of the file begin; an unfinished one behind them counts. */
static off_t
start_of_last(int fd, off_t size, size_t lines)
{
    uint8_t chunk[HEAD];
    off_t at = size;
    bool last_byte = true;
    while (at > 0) {
        size_t want = at < (off_t)sizeof chunk ? (size_t)at : sizeof chunk;
        at -= (off_t)want;
        if (pread(fd, chunk, want, at) != (ssize_t)want) {
            return 0;
        }
        for (size_t i = want; i > 0; i--) {
            bool ends = chunk[i - 1] == '\n' && !last_byte;
            last_byte = false;
            if (ends && --lines == 0) {
                return at + (off_t)i;
            }
        }
    }
    return 0;
}

void
pw_audit_source_seek(struct pw_audit_source *source, size_t lines)
{
    struct input *input = &source->inputs[0];
    struct stat status;
    if (source->count != 1 || !is_file(input) || fstat(input->fd, &status) != 0) {
        return;
    }
    off_t start =
        lines == 0 ? status.st_size : start_of_last(input->fd, status.st_size, lines);
    (void)lseek(input->fd, start, SEEK_SET);
}
