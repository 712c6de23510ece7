/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/told.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/audit/beside.h"
#include "common/audit/line.h"
#include "common/base/cursor.h"
#include "common/base/file.h"

enum {
    CHUNK = 1 << 20,
    LATE_MS = 2000,        /* a file's time may be behind its last line's, not by more */
    MOST_TOLD = 256 << 20, /* bytes of names */
};

static const uint64_t ns_per_ms = 1000000;
static const char ts_member[] = "\"ts\":\"";
static const char id_member[] = "\"id\":\"";
static const char entry_member[] = "\"entry\":\"";
static const char release_member[] = "\"what\":\"release\",\"outcome\":\"";
static const char begun_value[] = "begun\"";

/* The ULID behind the first `member` of `line`; empty when there is none. */
static struct pw_span
ulid_behind(struct pw_span line, const char *member)
{
    const uint8_t *at =
        line.len == 0 ? NULL : memmem(line.ptr, line.len, member, strlen(member));
    if (at == NULL) {
        return (struct pw_span){0};
    }
    at += strlen(member);
    struct pw_cursor rest =
        pw_cursor_over((struct pw_span){at, line.len - (size_t)(at - line.ptr)});
    return pw_cursor_take(&rest, PW_ULID_TEXT - 1);
}

/* What a line says of a release. Sorted, the newest of each entry is the last. */
struct release {
    char entry[PW_ULID_TEXT];
    char line[PW_ULID_TEXT]; /* its id */
    bool begun;
};

static enum pw_err
take_release(struct pw_span line, struct pw_span entry, struct pw_audit_told *told)
{
    struct release release = {0};
    const uint8_t *at = memmem(line.ptr, line.len, release_member, strlen(release_member));
    struct pw_span id = ulid_behind(line, id_member);
    if (at == NULL || id.len == 0) {
        return PW_E_OK;
    }
    at += strlen(release_member);
    size_t left = line.len - (size_t)(at - line.ptr);
    memcpy(release.entry, entry.ptr, entry.len);
    memcpy(release.line, id.ptr, id.len);
    release.begun =
        left >= strlen(begun_value) && memcmp(at, begun_value, strlen(begun_value)) == 0;
    return pw_buf_append(&told->begun,
                         (struct pw_span){(const uint8_t *)&release, sizeof release});
}

/* Of the lines in `bytes`, which begins with one: what they name, and the first that has an
 * id. */
static enum pw_err
take_lines(struct pw_span bytes, struct pw_audit_told *told, struct pw_span *first)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    *first = (struct pw_span){0};
    while (memchr(cur.rest.ptr, '\n', cur.rest.len) != NULL) {
        struct pw_span line = pw_cursor_until(&cur, '\n');
        bool has_id = ulid_behind(line, id_member).len > 0;
        *first = first->len == 0 && has_id ? line : *first;
        struct pw_span entry = ulid_behind(line, entry_member);
        if (entry.len == 0) {
            continue;
        }
        enum pw_err err = pw_buf_append(&told->entries, entry);
        err = err == PW_E_OK
                  ? pw_buf_append(&told->entries, (struct pw_span){(const uint8_t *)"", 1})
                  : err;
        err = err == PW_E_OK ? take_release(line, entry, told) : err;
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

/*
 * When a line was written, Unix milliseconds: its id grows also when the clock steps back,
 * and may be ahead of what was stored since; `ts` is not.
 */
static uint64_t
time_of(struct pw_span line, struct pw_span id)
{
    uint64_t ms = pw_ulid_ms((const char *)id.ptr);
    struct tm utc = {0};
    char text[sizeof "2026-11-22T10:15:00"];
    const uint8_t *ts = memmem(line.ptr, line.len, ts_member, strlen(ts_member));
    if (ts == NULL ||
        (size_t)(line.ptr + line.len - ts) < strlen(ts_member) + sizeof text) {
        return ms;
    }
    memcpy(text, ts + strlen(ts_member), sizeof text - 1);
    text[sizeof text - 1] = '\0';
    if (strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) == NULL) {
        return ms;
    }
    time_t seconds = timegm(&utc);
    uint64_t said = seconds < 0 ? 0 : (uint64_t)seconds * 1000;
    return said < ms ? said : ms;
}

/* What is 30 s older than the last line of `bytes`; false when there is no line. */
static bool
set_since(struct pw_span bytes, char since[static PW_ULID_TEXT])
{
    const uint8_t *end = memrchr(bytes.ptr, '\n', bytes.len);
    while (end != NULL) {
        const uint8_t *before = memrchr(bytes.ptr, '\n', (size_t)(end - bytes.ptr));
        const uint8_t *start = before == NULL ? bytes.ptr : before + 1;
        struct pw_span line = {start, (size_t)(end - start)};
        struct pw_span id = ulid_behind(line, id_member);
        if (id.len > 0) {
            uint64_t ms = time_of(line, id);
            pw_ulid_floor(ms > PW_AUDIT_TOLD_MS ? ms - PW_AUDIT_TOLD_MS : 0, since);
            return true;
        }
        end = before;
    }
    return false;
}

static bool
read_at(int fd, off_t from, size_t len, struct pw_buf *out)
{
    pw_buf_clear(out);
    while (out->len < len) {
        ssize_t got =
            pread(fd, out->bytes + out->len, len - out->len, from + (off_t)out->len);
        if (got <= 0) {
            return false;
        }
        out->len += (size_t)got;
    }
    return true;
}

static bool
holds(struct pw_span line, const char *words)
{
    return memmem(line.ptr, line.len, words, strlen(words)) != NULL;
}

/* How far back the log goes by this line; whether that is far enough. */
static bool
note_oldest(struct pw_audit_told *told, struct pw_span line)
{
    struct pw_span id = ulid_behind(line, id_member);
    bool older = told->from[0] == '\0' || memcmp(id.ptr, told->from, id.len) < 0;
    if (older) {
        memcpy(told->from, id.ptr, id.len);
    }
    bool first_of_all =
        holds(line, "\"seq\":1,") && holds(line, "\"chain\":{\"what\":\"new\"");
    told->reaches =
        told->reaches || first_of_all || memcmp(id.ptr, told->since, id.len) < 0;
    return memcmp(id.ptr, told->since, id.len) < 0;
}

/*
 * Chunk by chunk from the end, each with the lines that begin in it: a chunk reaches as far
 * into the one behind it as the longest line. What holds no line is no log, once `since` is
 * known. `reaches` says whether the file goes back that far.
 */
static enum pw_err
read_back(int fd, off_t size, struct pw_buf *chunk, struct pw_audit_told *told,
          bool *reaches)
{
    off_t from = size;
    while (from > 0) {
        off_t until = from + PW_AUDIT_LINE_MAX < size ? from + PW_AUDIT_LINE_MAX : size;
        from = from > CHUNK ? from - CHUNK : 0;
        if (!read_at(fd, from, (size_t)(until - from), chunk)) {
            return PW_E_IO;
        }
        struct pw_cursor cur = pw_cursor_over(pw_buf_span(chunk));
        if (from > 0) {
            (void)pw_cursor_until(&cur, '\n'); /* the end of a line that begins before */
        }
        if (cur.truncated) {
            continue;
        }
        if (told->since[0] == '\0' && !set_since(cur.rest, told->since)) {
            continue;
        }
        struct pw_span first;
        enum pw_err err = take_lines(cur.rest, told, &first);
        if (err != PW_E_OK) {
            return err;
        }
        *reaches = first.len > 0 && note_oldest(told, first);
        if (*reaches || first.len == 0) {
            break;
        }
    }
    return told->since[0] != '\0' ? PW_E_OK : PW_E_NO_INPUT;
}

static int
compare_entries(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum pw_err
read_file(int fd, struct pw_buf *chunk, struct pw_audit_told *told, bool *reaches)
{
    struct stat st;
    *reaches = false;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return PW_E_NO_INPUT;
    }
    return read_back(fd, st.st_size, chunk, told, reaches);
}

/* Nothing was written to this file since what is looked for, nor to any that is older. */
static bool
is_too_old(const struct pw_beside_file *file, const struct pw_audit_told *told)
{
    return told->since[0] != '\0' &&
           file->written_ns / ns_per_ms + LATE_MS < pw_ulid_ms(told->since);
}

/* What has been moved away, by whomever; a file that is gone by now tells nothing. */
static enum pw_err
read_beside(const char *path, struct pw_buf *chunk, struct pw_audit_told *told)
{
    PW_CLEANUP(pw_beside_free) struct pw_beside beside;
    enum pw_err err = pw_beside_list(path, &beside);
    for (size_t i = 0; err == PW_E_OK && i < beside.count; i++) {
        bool reaches;
        if (is_too_old(&beside.files[i], told)) {
            break;
        }
        PW_CLEANUP(pw_file_close) int fd = pw_beside_open(path, &beside.files[i]);
        err = read_file(fd, chunk, told, &reaches);
        err = err == PW_E_NO_INPUT ? PW_E_OK : err;
    }
    return err;
}

static enum pw_err
read_all(const char *path, struct pw_buf *chunk, struct pw_audit_told *told)
{
    PW_CLEANUP(pw_file_close)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    bool reaches;
    enum pw_err err = read_file(fd, chunk, told, &reaches);
    if ((err == PW_E_OK && !reaches) || err == PW_E_NO_INPUT) {
        err = read_beside(path, chunk, told);
    }
    return err == PW_E_OK && told->since[0] == '\0' ? PW_E_NO_INPUT : err;
}

static int
compare_releases(const void *a, const void *b)
{
    const struct release *one = a;
    const struct release *other = b;
    int order = strcmp(one->entry, other->entry);
    return order != 0 ? order : strcmp(one->line, other->line);
}

/* From all that was said of releases to the entries that were left at that. */
static void
keep_begun(struct pw_buf *begun)
{
    struct release *releases = (struct release *)(void *)begun->bytes;
    size_t count = begun->len / sizeof *releases;
    size_t kept = 0;
    if (count > 0) {
        qsort(releases, count, sizeof *releases, compare_releases);
    }
    for (size_t i = 0; i < count; i++) {
        bool newest =
            i + 1 == count || strcmp(releases[i].entry, releases[i + 1].entry) != 0;
        if (newest && releases[i].begun) {
            memmove(begun->bytes + kept, releases[i].entry, PW_ULID_TEXT);
            kept += PW_ULID_TEXT;
        }
    }
    begun->len = kept;
}

enum pw_err
pw_audit_told_read(const char *path, struct pw_audit_told *told)
{
    *told = (struct pw_audit_told){.entries = {.limit = MOST_TOLD},
                                   .begun = {.limit = MOST_TOLD}};
    PW_CLEANUP(pw_buf_free)
    struct pw_buf chunk = {.limit = CHUNK + PW_AUDIT_LINE_MAX};
    if (strcmp(path, "-") == 0) {
        return PW_E_NO_INPUT;
    }
    enum pw_err err = pw_buf_reserve(&chunk, chunk.limit);
    err = err == PW_E_OK ? read_all(path, &chunk, told) : err;
    if (told->entries.len > 0) {
        qsort(told->entries.bytes, told->entries.len / PW_ULID_TEXT, PW_ULID_TEXT,
              compare_entries);
    }
    keep_begun(&told->begun);
    if (told->reaches) {
        told->from[0] = '\0';
    }
    return err;
}

bool
pw_audit_told_has(const struct pw_audit_told *told, const char *entry)
{
    return strcmp(entry, told->since) < 0 ||
           (told->entries.len > 0 &&
            bsearch(entry, told->entries.bytes, told->entries.len / PW_ULID_TEXT,
                    PW_ULID_TEXT, compare_entries) != NULL);
}

bool
pw_audit_told_would(const struct pw_audit_told *told, const char *entry)
{
    return told->from[0] == '\0' || strcmp(entry, told->from) >= 0;
}

void
pw_audit_told_free(struct pw_audit_told *told)
{
    pw_buf_free(&told->entries);
    pw_buf_free(&told->begun);
}
