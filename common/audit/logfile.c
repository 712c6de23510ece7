/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/audit/line.h"
#include "common/audit/rotate.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"

enum {
    WRITE_BYTES = 256 * 1024,       /* lines of one write() */
    KEEP_BYTES = 4 * 1024 * 1024,   /* lines that wait for one fdatasync */
    WANTED = 2 * PW_AUDIT_LINE_MAX, /* a line, and a checkpoint that may go before it */
};

static const uint64_t ns_per_s = 1000000000;
static const uint64_t ns_per_ms = 1000000;
static const uint64_t first_retry_ns = 50000000; /* then twice as long, up to: */
static const uint64_t last_retry_ns = 1000000000;
static const uint64_t rotation_pause_ns = 60000000000;

/* When the file was made, as far as the file system knows; else now. */
static uint64_t
birth_of(int fd)
{
    struct statx is;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &is) != 0 ||
        (is.stx_mask & STATX_BTIME) == 0) {
        return pw_clock_wall();
    }
    return (uint64_t)is.stx_btime.tv_sec * ns_per_s + is.stx_btime.tv_nsec;
}

enum pw_err
pw_logfile_open(struct pw_logfile *file, const struct pw_logfile_options *options,
                struct pw_why *why)
{
    *file = (struct pw_logfile){.options = *options, .sink.fd = -1};
    enum pw_err err =
        pw_sink_open(&file->sink, options->path, WRITE_BYTES, KEEP_BYTES, why);
    file->options.path = file->sink.path;
    if (err == PW_E_OK) {
        file->born_ns = birth_of(file->sink.fd);
        file->used = file->sink.size > 0;
        pw_logfile_look_around(file);
    }
    return err;
}

void
pw_logfile_close(struct pw_logfile *file)
{
    pw_sink_close(&file->sink);
}

/* ---- writing, and what goes wrong ---- */

bool
pw_logfile_has_room(const struct pw_logfile *file)
{
    const struct pw_sink *sink = &file->sink;
    uint64_t size = (uint64_t)sink->size + (sink->lines.len - sink->done);
    bool full = sink->regular && file->options.rotate_size > 0 &&
                size >= file->options.rotate_size && !pw_sink_empty(sink) &&
                file->next_rotation == 0;
    return !full && pw_sink_room(sink) >= WANTED &&
           sink->lines.len - sink->done + WANTED <= WRITE_BYTES;
}

static void
say_trouble(const struct pw_logfile *file, bool in_sync)
{
    const char *meanwhile = file->options.degrade
                                ? "messages go on without lines, as on_full = \"degrade\" "
                                  "has it,"
                                : "nothing is received";
    pw_log(PW_LOG_ERROR,
           "%s: %s%s; %s until the audit log can be written: make room, or move the file "
           "away",
           file->sink.path, in_sync ? "fdatasync: " : "", strerror(file->trouble),
           meanwhile);
}

static void
note_trouble(struct pw_logfile *file, int number, bool in_sync)
{
    uint64_t now = pw_clock_steady();
    bool first = file->trouble == 0;
    file->trouble = number != 0 ? number : EIO;
    if (first) {
        file->trouble_at = now;
        file->retry_after = first_retry_ns;
        file->trouble_in_sync = in_sync;
        say_trouble(file, in_sync);
    }
    file->next_retry = now + file->retry_after;
    file->retry_after =
        file->retry_after * 2 < last_retry_ns ? file->retry_after * 2 : last_retry_ns;
}

static void
note_success(struct pw_logfile *file)
{
    if (file->trouble == 0) {
        return;
    }
    file->trouble_ns = pw_clock_steady() - file->trouble_at;
    file->last_trouble = file->trouble;
    file->trouble = 0;
    file->news |= PW_LOG_RECOVERED;
    pw_log(PW_LOG_INFO, "%s: the audit log is written again, after %" PRIu64 " ms",
           file->sink.path, file->trouble_ns / ns_per_ms);
}

enum pw_err
pw_logfile_write(struct pw_logfile *file, bool sync)
{
    struct pw_sink *sink = &file->sink;
    if (pw_sink_flush(sink) != PW_E_OK) {
        note_trouble(file, errno, false);
        return PW_E_IO;
    }
    bool much = sink->lines.len > KEEP_BYTES - WRITE_BYTES;
    if ((sync || much || sink->sync_failed) && pw_sink_sync(sink) != PW_E_OK) {
        note_trouble(file, errno, true);
        return PW_E_IO;
    }
    note_success(file);
    return PW_E_OK;
}

void
pw_logfile_look(struct pw_logfile *file)
{
    pw_sink_look(&file->sink);
    if (file->sink.shrunk) {
        file->sink.shrunk = false;
        file->news |= PW_LOG_CUT;
        file->born_ns = pw_clock_wall();
    }
}

/* ---- room on the disk ---- */

static void
say_critical(const struct pw_logfile *file, bool was)
{
    if (pw_logfile_critical(file) == was) {
        return;
    }
    if (was) {
        pw_log(PW_LOG_INFO, "%s: there is room on the disk again", file->sink.path);
        return;
    }
    pw_log(PW_LOG_ERROR,
           "%s: %" PRIu64 " MiB of %" PRIu64 " MiB are free, less than "
           "audit.space_critical; %s until there is room",
           file->sink.path, file->space.free >> 20, file->space.total >> 20,
           file->options.degrade ? "messages that pass have no lines of their own"
                                 : "nothing is received");
}

static void
say_low(struct pw_logfile *file)
{
    bool low = file->space.state >= PW_SPACE_LOW;
    if (low && !file->space_said) {
        file->news |= PW_LOG_SPACE;
        pw_log(PW_LOG_WARN,
               "%s: %" PRIu64 " MiB of %" PRIu64 " MiB are free, less than "
               "audit.space_low; make room, or let old logs go (audit.rotate_keep)",
               file->sink.path, file->space.free >> 20, file->space.total >> 20);
    }
    file->space_said = low;
}

void
pw_logfile_look_around(struct pw_logfile *file)
{
    if (!file->sink.regular) {
        return;
    }
    bool was = pw_logfile_critical(file);
    file->space =
        pw_space_look(file->sink.fd, file->options.space_low, file->options.space_critical);
    say_low(file);
    say_critical(file, was);
}

/* ---- another file ---- */

bool
pw_logfile_wants_rotation(const struct pw_logfile *file)
{
    const struct pw_logfile_options *options = &file->options;
    if (file->wanted && file->sink.regular && file->used) {
        return true;
    }
    if (!file->sink.regular || !file->used ||
        (options->rotate_size == 0 && options->rotate_age_ns == 0) ||
        pw_clock_steady() < file->next_rotation) {
        return false;
    }
    uint64_t now = pw_clock_wall();
    bool large =
        options->rotate_size > 0 && (uint64_t)file->sink.size >= options->rotate_size;
    bool old = options->rotate_age_ns > 0 && now > file->born_ns &&
               now - file->born_ns >= options->rotate_age_ns;
    return large || old;
}

static bool
open_next(struct pw_logfile *file)
{
    struct pw_why why = {{0}};
    ino_t ino = file->sink.ino;
    dev_t dev = file->sink.dev;
    if (pw_sink_reopen(&file->sink, &why) != PW_E_OK) {
        if (!file->open_said) { /* it is tried every second */
            pw_log(PW_LOG_ERROR, "audit log goes on in the file that was open: %s",
                   why.text);
        }
        file->open_said = true;
        return false;
    }
    file->open_said = false;
    if (file->sink.ino == ino && file->sink.dev == dev) {
        return false;
    }
    file->born_ns = birth_of(file->sink.fd);
    file->used = false;
    return true;
}

void
pw_logfile_rotate(struct pw_logfile *file, uint64_t seq)
{
    struct pw_why why = {{0}};
    file->next_rotation = 0;
    if (pw_rotate_away(file->sink.path, file->sink.dev, file->sink.ino, pw_clock_wall(),
                       seq, file->old, &why) != PW_E_OK) {
        pw_log(PW_LOG_ERROR, "%s", why.text);
        file->next_rotation = pw_clock_steady() + rotation_pause_ns;
        return;
    }
    if (!open_next(file)) {
        file->next_rotation = pw_clock_steady() + rotation_pause_ns;
        if (pw_rotate_back(file->sink.path, file->old) != PW_E_OK) {
            pw_log(PW_LOG_ERROR, "audit log goes on in %s", file->old);
        }
        return;
    }
    file->news = (file->news & ~(unsigned)PW_LOG_MOVED) | PW_LOG_ROTATED;
}

bool
pw_logfile_oldest_kept(const struct pw_logfile *file, char out[static PATH_MAX])
{
    return file->options.rotate_keep > 0 &&
           pw_rotate_oldest_kept(file->sink.path, file->options.rotate_keep, out);
}

void
pw_logfile_prune(struct pw_logfile *file)
{
    enum pw_err err;
    struct pw_why why = {{0}};
    (void)pw_rotate_prune(file->sink.path, file->options.rotate_keep, &err, &why);
    if (err != PW_E_OK) {
        pw_log(PW_LOG_WARN, "old logs stay: %s", why.text);
    }
}

void
pw_logfile_reopen(struct pw_logfile *file)
{
    if (open_next(file)) {
        file->news = (file->news & ~(unsigned)PW_LOG_ROTATED) | PW_LOG_MOVED;
    }
}

/* ---- what it has to say ---- */

static void
say_moved(const struct pw_logfile *file, struct pw_json *json)
{
    (void)file, (void)json;
}

static void
say_cut(const struct pw_logfile *file, struct pw_json *json)
{
    (void)file;
    pw_json_object(json, "detail");
    pw_json_bool(json, "truncated", true);
    pw_json_end_object(json);
}

static void
say_rotated(const struct pw_logfile *file, struct pw_json *json)
{
    const char *slash = strrchr(file->old, '/');
    pw_json_object(json, "detail");
    pw_json_str(json, "from", slash == NULL ? file->old : slash + 1);
    pw_json_end_object(json);
}

static void
say_space(const struct pw_logfile *file, struct pw_json *json)
{
    pw_json_str(json, "error", "little room is left on the disk of the audit log");
    pw_json_object(json, "detail");
    pw_json_str(json, "what", "audit.space_low");
    pw_json_uint(json, "free", file->space.free);
    pw_json_uint(json, "total", file->space.total);
    pw_json_end_object(json);
}

static void
say_recovered(const struct pw_logfile *file, struct pw_json *json)
{
    char words[160];
    snprintf(words, sizeof words, "the audit log could not be written: %s%s",
             file->trouble_in_sync ? "fdatasync: " : "", strerror(file->last_trouble));
    pw_json_str(json, "error", words);
    pw_json_object(json, "detail");
    pw_json_str(json, "what", "audit.unwritable");
    pw_json_uint(json, "ms", file->trouble_ns / ns_per_ms);
    pw_json_end_object(json);
}

/* In the order in which they are said: a new file begins with its own line. */
static const struct {
    unsigned news;
    enum pw_audit_event event;
    enum pw_level level;
    void (*say)(const struct pw_logfile *file, struct pw_json *json);
} notices[] = {
    {PW_LOG_MOVED, PW_EVENT_ROTATE, PW_LEVEL_INFO, say_moved},
    {PW_LOG_ROTATED, PW_EVENT_ROTATE, PW_LEVEL_INFO, say_rotated},
    {PW_LOG_CUT, PW_EVENT_ROTATE, PW_LEVEL_MEDIUM, say_cut},
    {PW_LOG_RECOVERED, PW_EVENT_ERROR, PW_LEVEL_HIGH, say_recovered},
    {PW_LOG_SPACE, PW_EVENT_ERROR, PW_LEVEL_MEDIUM, say_space},
};

bool
pw_logfile_notice(struct pw_logfile *file, struct pw_audit_record *record,
                  char detail[static PW_LOG_NEWS_MAX])
{
    for (size_t i = 0; i < PW_COUNT(notices); i++) {
        if ((file->news & notices[i].news) == 0) {
            continue;
        }
        struct pw_buf text = {.limit = PW_LOG_NEWS_MAX - 1};
        struct pw_json json = pw_json_over(&text);
        notices[i].say(file, &json);
        file->news &= ~notices[i].news;
        size_t len = json.err == PW_E_OK ? text.len : 0; /* without memory, no detail */
        if (len > 0) {
            memcpy(detail, text.bytes, len);
        }
        detail[len] = '\0';
        pw_buf_free(&text);
        *record = (struct pw_audit_record){.wall_ns = pw_clock_wall(),
                                           .channel = -1,
                                           .event = (uint8_t)notices[i].event,
                                           .level = (uint8_t)notices[i].level,
                                           .detail = len > 0 ? detail : NULL};
        return true;
    }
    return false;
}
