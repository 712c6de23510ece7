/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"

static bool
is_stdout(const char *path)
{
    return strcmp(path, "-") == 0;
}

static int
open_path(const char *path)
{
    if (is_stdout(path)) {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    /* Readable too, to look at the last byte; O_NONBLOCK so that a FIFO cannot hold us
     * here. */
    return open(
        path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        0640);
}

static bool
ends_inside_a_line(int fd, off_t size)
{
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* Take `fd` into use: what kind of file is it, and how does it end? */
static enum pw_err
adopt(struct pw_sink *sink, int fd, struct pw_why *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return pw_fail(why, PW_E_IO, "%s: %s", sink->path, strerror(errno));
    }
    bool stdout_wanted = is_stdout(sink->path);
    if (!stdout_wanted && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: not a file; name a file for the audit log, or \"-\" for stdout",
                       sink->path);
    }
    sink->fd = fd;
    sink->regular = !stdout_wanted && S_ISREG(st.st_mode);
    sink->torn = sink->regular && ends_inside_a_line(fd, st.st_size);
    sink->dev = st.st_dev;
    sink->ino = st.st_ino;
    sink->size = st.st_size;
    return PW_E_OK;
}

static enum pw_err
open_file(struct pw_sink *sink, struct pw_why *why)
{
    int fd = open_path(sink->path);
    if (fd < 0 && errno == ELOOP) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: a symbolic link, which is not followed; name the file itself",
                       sink->path);
    }
    if (fd < 0) {
        return pw_fail(why, PW_E_CREATE,
                       "%s: %s; name a file that this user may create and append to",
                       sink->path, strerror(errno));
    }
    enum pw_err err = adopt(sink, fd, why);
    if (err != PW_E_OK) {
        close(fd);
    } else if (sink->regular && sink->size == 0) {
        pw_file_sync_folder_of(sink->path); /* it may be new: its name must not be lost */
    }
    return err;
}

enum pw_err
pw_sink_open(struct pw_sink *sink, const char *path, size_t room, size_t keep,
             struct pw_why *why)
{
    *sink = (struct pw_sink){.fd = -1, .lines = {.limit = room + keep}};
    sink->path = strdup(path);
    enum pw_err err =
        sink->path == NULL ? PW_E_NOMEM : pw_buf_reserve(&sink->lines, room + keep);
    if (err != PW_E_OK) {
        (void)pw_fail(why, err, "%s: %s", path, pw_err_text(err));
    } else {
        err = open_file(sink, why);
    }
    if (err != PW_E_OK) {
        pw_sink_close(sink);
    }
    return err;
}

/* write(), waiting a moment for a pipe or terminal that is not blocking. */
static ssize_t
write_some(int fd, struct pw_span bytes)
{
    for (;;) {
        ssize_t wrote = write(fd, bytes.ptr, bytes.len);
        if (wrote >= 0 || (errno != EINTR && errno != EAGAIN)) {
            return wrote;
        }
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        if (errno == EAGAIN && poll(&writable, 1, 100) == 0) {
            errno = EAGAIN;
            return -1;
        }
    }
}

static size_t
end_of_piece(const struct pw_sink *sink, size_t i)
{
    return i + 1 < sink->piece_count ? sink->pieces[i + 1].at : sink->done;
}

/* `wrote` bytes behind `done` stand at `place` in the file. */
static void
note_piece(struct pw_sink *sink, off_t place)
{
    if (sink->piece_count > 0) {
        const struct pw_sink_piece *last = &sink->pieces[sink->piece_count - 1];
        if (last->start + (off_t)(sink->done - last->at) == place) {
            return;
        }
    }
    sink->pieces[sink->piece_count++] = (struct pw_sink_piece){sink->done, place};
}

/* The pieces of what is left without the first `bytes`. */
static void
forget_pieces(struct pw_sink *sink, size_t bytes)
{
    size_t kept = 0;
    for (size_t i = 0; i < sink->piece_count; i++) {
        struct pw_sink_piece piece = sink->pieces[i];
        if (end_of_piece(sink, i) <= bytes) {
            continue;
        }
        size_t cut = piece.at < bytes ? bytes - piece.at : 0;
        sink->pieces[kept++] =
            (struct pw_sink_piece){piece.at + cut - bytes, piece.start + (off_t)cut};
    }
    sink->piece_count = kept;
}

/* The first `bytes` need not be kept any longer. */
static void
forget(struct pw_sink *sink, size_t bytes)
{
    size_t left = sink->lines.len - bytes;
    if (bytes > 0 && left > 0) {
        memmove(sink->lines.bytes, sink->lines.bytes + bytes, left);
    }
    forget_pieces(sink, bytes);
    sink->lines.len = left;
    sink->done -= bytes;
}

/* Where the line begins that is half written, or `done`. */
static size_t
start_of_line(const struct pw_sink *sink)
{
    size_t at = sink->done;
    while (at > 0 && sink->lines.bytes[at - 1] != '\n') {
        at--;
    }
    return at;
}

/* Keep what is not whole in the file, and write all of that to whatever comes next. */
static void
start_over(struct pw_sink *sink)
{
    forget(sink, start_of_line(sink));
    sink->done = 0;
    sink->piece_count = 0;
    sink->dirty = false;
    sink->sync_failed = false;
}

/* Somebody wrote behind our half a line, which nothing can complete: it starts again. */
static void
step_behind(struct pw_sink *sink)
{
    sink->done = start_of_line(sink);
    while (sink->piece_count > 0 && sink->pieces[sink->piece_count - 1].at >= sink->done) {
        sink->piece_count--;
    }
    if (!sink->intruder_said) {
        pw_log(PW_LOG_ERROR,
               "%s: somebody else writes to the audit log; what they wrote is no line of "
               "it, as `picklewall audit verify` will say",
               sink->path);
    }
    sink->intruder_said = true;
}

/*
 * Somebody who empties the file to make room takes the first half of our line away with it:
 * then the line starts again.
 */
void
pw_sink_look(struct pw_sink *sink)
{
    struct stat st;
    if (!sink->regular || fstat(sink->fd, &st) != 0 || st.st_size == sink->size) {
        return;
    }
    if (st.st_size < sink->size) {
        start_over(sink);
        sink->shrunk = true;
    } else {
        step_behind(sink);
    }
    sink->torn = ends_inside_a_line(sink->fd, st.st_size);
    sink->size = st.st_size;
}

static enum pw_err
mend_torn_end(struct pw_sink *sink)
{
    if (!sink->torn) {
        return PW_E_OK;
    }
    if (write_some(sink->fd, pw_span_str("\n")) != 1) {
        return PW_E_IO;
    }
    sink->size++;
    sink->torn = false;
    return PW_E_OK;
}

/*
 * Where the bytes went that were just written: behind our own, or behind what somebody has
 * appended meanwhile. A file that was cut meanwhile is left to the next look.
 */
static off_t
place_of(const struct pw_sink *sink, ssize_t wrote)
{
    off_t place = sink->regular ? lseek(sink->fd, 0, SEEK_CUR) - wrote : 0;
    return place > sink->size ? place : sink->size;
}

static enum pw_err
write_rest(struct pw_sink *sink)
{
    if (sink->piece_count == PW_SINK_PIECES && pw_sink_sync(sink) != PW_E_OK) {
        return PW_E_IO;
    }
    struct pw_span rest = {sink->lines.bytes + sink->done, sink->lines.len - sink->done};
    ssize_t wrote = write_some(sink->fd, rest);
    if (wrote < 0) {
        return PW_E_IO;
    }
    off_t place = place_of(sink, wrote);
    note_piece(sink, place);
    sink->done += (size_t)wrote;
    sink->size = place + wrote;
    sink->dirty = true;
    return PW_E_OK;
}

enum pw_err
pw_sink_flush(struct pw_sink *sink)
{
    if (pw_sink_empty(sink)) {
        return PW_E_OK;
    }
    pw_sink_look(sink);
    if (mend_torn_end(sink) != PW_E_OK) {
        return PW_E_IO;
    }
    while (!pw_sink_empty(sink)) {
        if (write_rest(sink) != PW_E_OK) {
            return PW_E_IO;
        }
    }
    if (!sink->regular) {
        forget(sink, sink->done);
    }
    return PW_E_OK;
}

bool
pw_sink_moved(const struct pw_sink *sink)
{
    struct stat st;
    if (!sink->regular) {
        return false;
    }
    if (lstat(sink->path, &st) != 0) {
        return errno == ENOENT;
    }
    return st.st_dev != sink->dev || st.st_ino != sink->ino;
}

static bool
write_piece(const struct pw_sink *sink, size_t i)
{
    const struct pw_sink_piece *piece = &sink->pieces[i];
    size_t len = end_of_piece(sink, i) - piece->at;
    size_t at = 0;
    ssize_t wrote = 0;
    while (at < len && (wrote >= 0 || errno == EINTR)) {
        wrote = pwrite(sink->fd, sink->lines.bytes + piece->at + at, len - at,
                       piece->start + (off_t)at);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return at == len;
}

/* O_APPEND makes pwrite append, too (pwrite(2), BUGS): it rests meanwhile. */
static enum pw_err
write_again(const struct pw_sink *sink)
{
    int flags = fcntl(sink->fd, F_GETFL);
    if (flags < 0 || fcntl(sink->fd, F_SETFL, flags & ~O_APPEND) != 0) {
        return PW_E_IO;
    }
    bool written = true;
    for (size_t i = 0; i < sink->piece_count && written; i++) {
        written = write_piece(sink, i);
    }
    int saved = errno;
    if (fcntl(sink->fd, F_SETFL, flags) != 0) {
        return PW_E_IO;
    }
    errno = saved;
    return written ? PW_E_OK : PW_E_IO;
}

enum pw_err
pw_sink_sync(struct pw_sink *sink)
{
    if (!sink->dirty || !sink->regular) {
        sink->dirty = false;
        return PW_E_OK;
    }
    if (sink->sync_failed) {
        pw_sink_look(sink);
        if (write_again(sink) != PW_E_OK) {
            return PW_E_IO;
        }
    }
    sink->sync_failed = fdatasync(sink->fd) != 0;
    if (sink->sync_failed) {
        return PW_E_IO;
    }
    sink->dirty = false;
    forget(sink, start_of_line(sink));
    return PW_E_OK;
}

/* What waits for a sync is the end of the file, and nobody has written between. */
static bool
ends_the_file(const struct pw_sink *sink)
{
    return sink->piece_count == 1 &&
           sink->pieces[0].start + (off_t)sink->done == sink->size;
}

/* The old file is about to be left: what it has not kept goes to the new one. */
static void
leave(struct pw_sink *sink)
{
    if (pw_sink_sync(sink) == PW_E_OK) {
        start_over(sink);
        return;
    }
    bool cut = sink->done == 0;
    if (ends_the_file(sink)) {
        cut = ftruncate(sink->fd, sink->pieces[0].start) == 0;
    }
    if (!cut) {
        pw_log(PW_LOG_ERROR,
               "%s: it cannot be cut, and the last %zu bytes of the old file stand in the "
               "new one, too",
               sink->path, sink->done);
    }
    sink->done = 0;
    sink->piece_count = 0;
    sink->dirty = false;
    sink->sync_failed = false;
}

enum pw_err
pw_sink_reopen(struct pw_sink *sink, struct pw_why *why)
{
    if (is_stdout(sink->path)) {
        return PW_E_OK;
    }
    struct pw_sink next = {.path = sink->path, .fd = -1};
    enum pw_err err = open_file(&next, why);
    if (err != PW_E_OK) {
        return err;
    }
    if (next.dev == sink->dev && next.ino == sink->ino) {
        close(next.fd); /* mid-line by our own doing: the rest of the line follows */
        return PW_E_OK;
    }
    leave(sink);
    close(sink->fd);
    sink->fd = next.fd;
    sink->regular = next.regular;
    sink->torn = next.torn;
    sink->dev = next.dev;
    sink->ino = next.ino;
    sink->size = next.size;
    sink->shrunk = false;
    sink->intruder_said = false;
    return PW_E_OK;
}

void
pw_sink_close(struct pw_sink *sink)
{
    pw_file_close(&sink->fd);
    pw_buf_free(&sink->lines);
    free(sink->path);
    *sink = (struct pw_sink){.fd = -1};
}
