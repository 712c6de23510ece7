/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/settings/settings.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"

enum {
    CHUNK = 64 * 1024,
    LINE_LIMIT = 1 << 20, /* what goes on longer without an LF is no line of ours */
    LOOK_MS = 200,        /* how often --follow looks */
    SHORT_ID = 10,
};

struct tail {
    const char *path; /* "-" is stdin */
    const char *config;
    const char *verdict;
    const char *channel;
    const char *lines_text;
    size_t lines;
    bool follow;
    bool json;
    bool colours;

    int fd;
    struct pw_buf pending; /* read, and not yet a whole line */

    /* The last lines, while the first reading of the file goes on. */
    struct pw_buf *kept;
    size_t seen; /* put into `kept` so far, the overwritten ones included */
    bool keeping;
};

/* ---- one line ---- */

struct shade {
    const char *verdict;
    const char *colour;
};

static const struct shade shades[] = {
    {"pass", "\033[32m"},
    {"quarantine", "\033[33m"},
    {"drop", "\033[31m"},
};

static const char *
colour_of(const char *verdict)
{
    for (size_t i = 0; i < PW_COUNT(shades); i++) {
        if (strcmp(shades[i].verdict, verdict) == 0) {
            return shades[i].colour;
        }
    }
    return "";
}

/* Text in a column of at least `width`. */
static void
print_column(struct pw_span text, size_t width)
{
    pw_print_text(stdout, text);
    printf("%*s", text.len < width ? (int)(width - text.len) : 0, "");
}

static void
print_time(struct pw_span ts)
{
    if (ts.len < 23) {
        print_column(ts, 23);
        return;
    }
    pw_print_text(stdout, (struct pw_span){ts.ptr, 10}); /* the day */
    fputc(' ', stdout);
    pw_print_text(stdout, (struct pw_span){ts.ptr + 11, 12}); /* down to milliseconds */
}

static void
print_verdict(const struct tail *tail, const json_t *event)
{
    struct pw_span verdict = pw_json_text(event, "verdict");
    verdict = verdict.len > 0 ? verdict : pw_json_text(event, "event");
    const char *text = verdict.len > 0 ? (const char *)verdict.ptr : "";
    const char *colour = tail->colours ? colour_of(text) : "";
    fputs(colour, stdout);
    print_column(verdict, 10);
    fputs(colour[0] != '\0' ? "\033[0m" : "", stdout);
}

static void
print_sizes(const json_t *event)
{
    const json_t *message = json_object_get(event, "msg");
    const json_t *sum = json_object_get(event, "summary");
    if (message != NULL) {
        printf("%10lld B %3lld fr", pw_json_number(message, "bytes"),
               pw_json_number(message, "frames"));
    } else if (sum != NULL) {
        printf("%10lld B %6s", pw_json_number(sum, "bytes"), "");
    } else {
        printf("%12s %6s", "", "");
    }
}

static void
print_words(const json_t *event)
{
    const json_t *sum = json_object_get(event, "summary");
    if (sum != NULL) {
        printf("%lld clean passes", pw_json_number(sum, "messages"));
    }
    pw_print_reason(stdout, event);
    pw_print_text(stdout, pw_json_text(event, "error"));
    if (json_is_false(json_object_get(event, "enforced"))) {
        fputs(" (reported only)", stdout);
    }
    if (pw_json_number(event, "lost") > 0) {
        printf(" (%lld records lost before)", pw_json_number(event, "lost"));
    }
}

static void
print_event(const struct tail *tail, const json_t *event)
{
    struct pw_span held = pw_json_text(json_object_get(event, "q"), "id");
    print_time(pw_json_text(event, "ts"));
    fputs("  ", stdout);
    print_column(pw_json_text(event, "chan"), 12);
    fputs("  ", stdout);
    print_verdict(tail, event);
    fputs("  ", stdout);
    print_sizes(event);
    fputs("  ", stdout);
    held.len = held.len < SHORT_ID ? held.len : SHORT_ID;
    print_column(held, SHORT_ID);
    fputs("  ", stdout);
    print_words(event);
    fputc('\n', stdout);
}

static void
print_unreadable(const struct tail *tail, struct pw_span line)
{
    enum { SHOWN = 60 };
    FILE *out = tail->json ? stderr : stdout; /* stdout stays JSON */
    struct pw_span start = {line.ptr, line.len < SHOWN ? line.len : SHOWN};
    fputs("not an audit line: ", out);
    pw_print_text(out, start);
    fputs(line.len > SHOWN ? "...\n" : "\n", out);
}

static bool
text_is(const json_t *event, const char *key, const char *wanted)
{
    return wanted == NULL || pw_span_equal(pw_json_text(event, key), pw_span_str(wanted));
}

static void
print_line(const struct tail *tail, struct pw_span line)
{
    PW_CLEANUP(pw_json_line_free) json_t *event = pw_json_line_parse(line);
    bool filtered = tail->verdict != NULL || tail->channel != NULL;
    if (event == NULL || (tail->json && !pw_json_line_plain(line))) {
        if (!filtered) {
            print_unreadable(tail, line);
        }
        return;
    }
    if (!text_is(event, "verdict", tail->verdict) ||
        !text_is(event, "chan", tail->channel)) {
        return;
    }
    if (tail->json) {
        fwrite(line.ptr, 1, line.len, stdout);
        fputc('\n', stdout);
        return;
    }
    print_event(tail, event);
}

/* ---- the last lines of what is there ---- */

/* Cheaply: a line without the word cannot have the verdict. */
static bool
may_match(const struct tail *tail, struct pw_span line)
{
    const char *words[] = {tail->verdict, tail->channel};
    for (size_t i = 0; i < PW_COUNT(words); i++) {
        if (words[i] != NULL &&
            memmem(line.ptr, line.len, words[i], strlen(words[i])) == NULL) {
            return false;
        }
    }
    return true;
}

static bool
matches(const struct tail *tail, struct pw_span line)
{
    if (tail->verdict == NULL && tail->channel == NULL) {
        return true;
    }
    if (!may_match(tail, line)) {
        return false;
    }
    PW_CLEANUP(pw_json_line_free) json_t *event = pw_json_line_parse(line);
    return event != NULL && text_is(event, "verdict", tail->verdict) &&
           text_is(event, "chan", tail->channel);
}

static enum pw_err
keep_line(struct tail *tail, struct pw_span line)
{
    if (tail->lines == 0 || !matches(tail, line)) {
        return PW_E_OK;
    }
    struct pw_buf *slot = &tail->kept[tail->seen++ % tail->lines];
    pw_buf_clear(slot);
    slot->limit = LINE_LIMIT;
    return pw_buf_append(slot, line);
}

static void
print_kept(struct tail *tail)
{
    size_t count = tail->seen < tail->lines ? tail->seen : tail->lines;
    for (size_t i = 0; i < count; i++) {
        print_line(tail, pw_buf_span(&tail->kept[(tail->seen - count + i) % tail->lines]));
    }
    tail->keeping = false;
}

/* ---- reading ---- */

static enum pw_err
take_line(struct tail *tail, struct pw_span line)
{
    if (line.len == 0) {
        return PW_E_OK;
    }
    if (tail->keeping) {
        return keep_line(tail, line);
    }
    print_line(tail, line);
    return PW_E_OK;
}

/* Take every whole line of `pending`; with `all`, what is behind the last LF too. */
static enum pw_err
take_lines(struct tail *tail, bool all)
{
    struct pw_cursor cur = pw_cursor_over(pw_buf_span(&tail->pending));
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && cur.rest.len > 0 && memchr(cur.rest.ptr, '\n', cur.rest.len)) {
        err = take_line(tail, pw_cursor_until(&cur, '\n'));
    }
    all = all || cur.rest.len == tail->pending.limit;
    if (err == PW_E_OK && all) {
        err = take_line(tail, pw_cursor_take(&cur, cur.rest.len));
    }
    if (cur.rest.len > 0) {
        memmove(tail->pending.bytes, cur.rest.ptr, cur.rest.len);
    }
    tail->pending.len = cur.rest.len;
    return err;
}

static enum pw_err
read_chunk(struct tail *tail, ssize_t *got)
{
    size_t room = tail->pending.limit - tail->pending.len;
    room = room < CHUNK ? room : CHUNK;
    enum pw_err err = pw_buf_reserve(&tail->pending, room);
    if (err != PW_E_OK) {
        return err;
    }
    do {
        *got = read(tail->fd, tail->pending.bytes + tail->pending.len, room);
    } while (*got < 0 && errno == EINTR);
    if (*got < 0) {
        return PW_E_IO;
    }
    tail->pending.len += (size_t)*got;
    return PW_E_OK;
}

static enum pw_err
read_to_end(struct tail *tail)
{
    ssize_t got = 0;
    do {
        enum pw_err err = read_chunk(tail, &got);
        if (err == PW_E_OK) {
            err = take_lines(tail, false);
        }
        if (err != PW_E_OK) {
            return err;
        }
        if (!tail->keeping) {
            fflush(stdout);
        }
    } while (got > 0);
    return PW_E_OK;
}

/* ---- following ---- */

/* The path names another file now: finish the old one, go on at the start of the new. */
static enum pw_err
change_files(struct tail *tail)
{
    int next = open(tail->path, O_RDONLY | O_CLOEXEC);
    if (next < 0) {
        return PW_E_OK; /* it will come */
    }
    enum pw_err err = read_to_end(tail);
    if (err == PW_E_OK) {
        err = take_lines(tail, true);
    }
    close(tail->fd);
    tail->fd = next;
    return err;
}

static enum pw_err
look_again(struct tail *tail)
{
    struct stat named;
    struct stat ours;
    if (stat(tail->path, &named) != 0 || fstat(tail->fd, &ours) != 0) {
        return PW_E_OK;
    }
    if (named.st_dev != ours.st_dev || named.st_ino != ours.st_ino) {
        return change_files(tail);
    }
    if (ours.st_size < lseek(tail->fd, 0, SEEK_CUR)) { /* emptied */
        lseek(tail->fd, 0, SEEK_SET);
        return take_lines(tail, true);
    }
    return PW_E_OK;
}

static enum pw_err
follow(struct tail *tail)
{
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && fflush(stdout) == 0 && !ferror(stdout)) {
        struct timespec pause = {0, LOOK_MS * 1000000L};
        nanosleep(&pause, NULL);
        err = look_again(tail);
        if (err == PW_E_OK) {
            err = read_to_end(tail);
        }
    }
    return err;
}

static enum pw_err
run_tail(struct tail *tail)
{
    bool whole = strcmp(tail->path, "-") == 0 && tail->lines_text == NULL;
    tail->keeping = !whole;
    enum pw_err err = read_to_end(tail);
    if (err != PW_E_OK) {
        return err;
    }
    if (!tail->follow || tail->fd == STDIN_FILENO) {
        err = take_lines(tail, true);
    }
    if (tail->keeping) {
        print_kept(tail);
    }
    if (err != PW_E_OK || !tail->follow || tail->fd == STDIN_FILENO) {
        return err;
    }
    return follow(tail);
}

/* ---- the command ---- */

static bool
read_count(const char *text, size_t *count)
{
    enum { MOST = 1000000 };
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *count = value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value <= MOST;
}

/* EX_OK, or the exit code when the arguments are wrong. */
static int
read_arguments(struct tail *tail, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--follow") || pw_args_flag(&args, "-f")) {
            tail->follow = true;
        } else if (pw_args_flag(&args, "--json")) {
            tail->json = true;
        } else if (pw_args_value(&args, "--config", &tail->config) ||
                   pw_args_value(&args, "--verdict", &tail->verdict) ||
                   pw_args_value(&args, "--channel", &tail->channel) ||
                   pw_args_value(&args, "--lines", &tail->lines_text)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (tail->path != NULL) {
            return pw_command_misused("one file at a time; \"%s\" is a second",
                                      args.current);
        } else {
            tail->path = args.current;
        }
    }
    if (args.bad) {
        return EX_USAGE;
    }
    if (tail->verdict != NULL && colour_of(tail->verdict)[0] == '\0') {
        return pw_command_misused("--verdict %s: name pass, quarantine or drop",
                                  tail->verdict);
    }
    if (tail->lines_text != NULL && !read_count(tail->lines_text, &tail->lines)) {
        return pw_command_misused("--lines %s: give a number up to 1000000",
                                  tail->lines_text);
    }
    return EX_OK;
}

static int
open_and_run(struct tail *tail)
{
    struct pw_why why = {{0}};
    tail->fd = strcmp(tail->path, "-") == 0 ? STDIN_FILENO
                                            : open(tail->path, O_RDONLY | O_CLOEXEC);
    if (tail->fd < 0) {
        enum pw_err err = errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT;
        (void)pw_fail(&why, err, "%s: %s; name an audit log that this user may read",
                      tail->path, strerror(errno));
        return pw_command_fail(err, &why);
    }
    tail->kept = calloc(tail->lines + 1, sizeof *tail->kept);
    enum pw_err err = tail->kept == NULL ? PW_E_NOMEM : run_tail(tail);
    for (size_t i = 0; tail->kept != NULL && i < tail->lines; i++) {
        pw_buf_free(&tail->kept[i]);
    }
    free(tail->kept);
    pw_buf_free(&tail->pending);
    close(tail->fd);
    if (err == PW_E_OK) {
        return EX_OK;
    }
    (void)pw_fail(&why, err, "%s: %s", tail->path, pw_err_text(err));
    return pw_command_fail(err, &why);
}

int
pw_cmd_audit_tail(int argc, char **argv)
{
    struct tail tail = {.lines = 10, .pending = {.limit = LINE_LIMIT}};
    tail.colours = pw_command_colours();
    int code = read_arguments(&tail, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    if (tail.path != NULL) {
        return open_and_run(&tail);
    }
    struct pw_why why = {{0}};
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = pw_settings_load(pw_command_config(tail.config), &why);
    if (settings == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    tail.path = settings->audit_file;
    if (strcmp(tail.path, "-") == 0) {
        (void)pw_fail(
            &why, PW_E_NO_INPUT,
            "%s: the audit log goes to stdout; pipe it into picklewall audit tail -",
            settings->file);
        return pw_command_fail(PW_E_NO_INPUT, &why);
    }
    return open_and_run(&tail);
}
