/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/keyring_revoked.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/sign/key_body.h"

enum { ID_DIGITS = 16, LIST_MODE = 0644 };

static const uint64_t version_max = ((uint64_t)1 << 53) - 1; /* exact in JSON */

static const char version_name[] = "version:";

static const char first_lines[] =
    "# Keys that nobody may use any more, whatever their files say. Raise the version\n"
    "# with each change: a running wall refuses a list that is older than its own.\n"
    "version: 0\n";

/* One line of the text, without its end. */
struct line {
    struct pw_span text;
    size_t number;
};

/* False at the end of the text. */
static bool
next_line(struct pw_cursor *cur, struct line *line)
{
    if (cur->rest.len == 0) {
        return false;
    }
    struct pw_cursor ahead = *cur;
    line->text = pw_cursor_until(&ahead, '\n');
    if (ahead.truncated) { /* the last line may lack its line end */
        line->text = cur->rest;
        ahead = (struct pw_cursor){0};
    }
    *cur = ahead;
    line->number++;
    return true;
}

/* What stands before a comment, without spaces around it. */
static struct pw_span
words_of(struct pw_span text)
{
    struct pw_cursor cur = pw_cursor_over(text);
    struct pw_span before = pw_cursor_until(&cur, '#');
    text = cur.truncated ? text : before;
    while (text.len > 0 && text.ptr[0] == ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && text.ptr[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

static bool
is_version(struct pw_span words)
{
    struct pw_cursor cur = pw_cursor_over(words);
    struct pw_span name = pw_cursor_take(&cur, sizeof version_name - 1);
    return pw_span_equal(name, pw_span_str(version_name));
}

/* 1 to 2^53 - 1 in decimal digits without zeros in front; 0 for anything else. */
static uint64_t
read_version(struct pw_span words)
{
    struct pw_cursor cur = pw_cursor_over(words);
    pw_cursor_take(&cur, sizeof version_name - 1);
    struct pw_span digits = words_of(cur.rest);
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned)digits.ptr[i] - '0';
        if (digit > 9 || (value == 0 && digit == 0)) {
            return 0;
        }
        value = value * 10 + digit;
        if (value > version_max) {
            return 0;
        }
    }
    return value;
}

static enum pw_err
read_line(const struct line *line, struct pw_revoked *out, struct pw_why *why)
{
    struct pw_span words = words_of(line->text);
    if (words.len == 0) {
        return PW_E_OK;
    }
    if (out->version == 0) {
        out->version = is_version(words) ? read_version(words) : 0;
        return out->version != 0
                   ? PW_E_OK
                   : pw_fail(why, PW_E_FORMAT,
                             "%zu: a list of revoked keys begins with \"version: N\", a "
                             "number from 1 to %" PRIu64 " that grows with each change",
                             line->number, version_max);
    }
    if (!pw_hex_decode(words, out->ids[out->count], sizeof out->ids[0])) {
        return pw_fail(why, PW_E_FORMAT,
                       "%zu: not a key id; write the 16 hexadecimal digits that "
                       "picklewall key list shows, one key a line",
                       line->number);
    }
    out->count++;
    return PW_E_OK;
}

enum pw_err
pw_revoked_parse(struct pw_span text, struct pw_revoked *out, struct pw_why *why)
{
    *out = (struct pw_revoked){0};
    if (text.len > PW_REVOKED_FILE_MAX) {
        return pw_fail(why, PW_E_LIMIT, "1: a list of revoked keys is at most %d bytes",
                       PW_REVOKED_FILE_MAX);
    }
    out->ids = calloc(text.len / ID_DIGITS + 1, sizeof out->ids[0]);
    if (out->ids == NULL) {
        return pw_fail(why, PW_E_NOMEM, "1: out of memory");
    }
    struct pw_cursor cur = pw_cursor_over(text);
    struct line line = {0};
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && next_line(&cur, &line)) {
        err = read_line(&line, out, why);
    }
    if (err == PW_E_OK && out->version == 0) {
        err = pw_fail(why, PW_E_FORMAT, "%zu: the file ends without a line \"version: N\"",
                      line.number == 0 ? 1 : line.number);
    }
    if (err != PW_E_OK) {
        pw_revoked_free(out);
    }
    return err;
}

static enum pw_err
path_of(const char *dir, char out[static PATH_MAX], struct pw_why *why)
{
    if (snprintf(out, PATH_MAX, "%s/" PW_REVOKED_FILE, dir) >= PATH_MAX) {
        return pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", dir);
    }
    return PW_E_OK;
}

/* The text of the list; empty when there is none, which the parser would not take. */
static enum pw_err
read_list(const char *path, struct pw_buf *text, struct pw_why *why)
{
    struct pw_why inner = {0};
    struct stat info;
    PW_CLEANUP(pw_file_close) int fd = pw_key_open(path, &inner);
    if (fd < 0) {
        return errno == ENOENT ? PW_E_OK : pw_fail(why, PW_E_PERM, "%s", inner.text);
    }
    if (fstat(fd, &info) != 0) {
        return pw_fail(why, PW_E_IO, "%s: %s", path, strerror(errno));
    }
    enum pw_err err = pw_key_check_place(path, &info, why);
    if (err != PW_E_OK) {
        return err;
    }
    err = pw_file_read_fd(fd, text);
    if (err == PW_E_OK && text->len == 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s:1: the file ends without a line \"version: N\"", path);
    }
    return err == PW_E_OK ? PW_E_OK
                          : pw_fail(why, err, "%s: %s", path,
                                    err == PW_E_LIMIT ? "larger than any list of keys"
                                                      : pw_err_text(err));
}

static enum pw_err
parse_file(const char *path, const struct pw_buf *text, struct pw_revoked *out,
           struct pw_why *why)
{
    struct pw_why inner = {0};
    *out = (struct pw_revoked){0};
    if (text->len == 0) {
        return PW_E_OK;
    }
    enum pw_err err = pw_revoked_parse(pw_buf_span(text), out, &inner);
    return err == PW_E_OK ? PW_E_OK : pw_fail(why, err, "%s:%s", path, inner.text);
}

enum pw_err
pw_revoked_load(const char *dir, struct pw_revoked *out, struct pw_why *why)
{
    char path[PATH_MAX];
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_REVOKED_FILE_MAX};
    *out = (struct pw_revoked){0};
    enum pw_err err = path_of(dir, path, why);
    err = err == PW_E_OK ? read_list(path, &text, why) : err;
    return err == PW_E_OK ? parse_file(path, &text, out, why) : err;
}

void
pw_revoked_free(struct pw_revoked *list)
{
    free(list->ids);
    *list = (struct pw_revoked){0};
}

bool
pw_revoked_has(const struct pw_revoked *list, const uint8_t id[static 8])
{
    for (size_t i = 0; i < list->count; i++) {
        if (memcmp(list->ids[i], id, sizeof list->ids[0]) == 0) {
            return true;
        }
    }
    return false;
}

static enum pw_err
append(struct pw_buf *out, struct pw_span bytes)
{
    return bytes.len == 0 ? PW_E_OK : pw_buf_append(out, bytes);
}

/* The old text with another version, and one line more. */
static enum pw_err
rewrite(struct pw_span old, uint64_t version, const char *last, struct pw_buf *out)
{
    char first[40];
    snprintf(first, sizeof first, "version: %" PRIu64, version);
    struct pw_cursor cur = pw_cursor_over(old);
    struct line line = {0};
    bool done = false;
    enum pw_err err = PW_E_OK;
    while (err == PW_E_OK && next_line(&cur, &line)) {
        bool here = !done && is_version(words_of(line.text));
        done = done || here;
        err = append(out, here ? pw_span_str(first) : line.text);
        err = err == PW_E_OK ? append(out, pw_span_str("\n")) : err;
    }
    return err == PW_E_OK ? append(out, pw_span_str(last)) : err;
}

enum pw_err
pw_revoked_add(const char *dir, const uint8_t id[static 8], const char *comment,
               uint64_t *version, struct pw_why *why)
{
    char path[PATH_MAX];
    char digits[ID_DIGITS + 1];
    char last[200];
    PW_CLEANUP(pw_buf_free) struct pw_buf old = {.limit = PW_REVOKED_FILE_MAX};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_REVOKED_FILE_MAX};
    PW_CLEANUP(pw_revoked_free) struct pw_revoked list = {0};
    enum pw_err err = path_of(dir, path, why);
    err = err == PW_E_OK ? read_list(path, &old, why) : err;
    err = err == PW_E_OK ? parse_file(path, &old, &list, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    *version = list.version;
    if (pw_revoked_has(&list, id)) {
        return PW_E_OK;
    }
    if (list.version == version_max) {
        return pw_fail(why, PW_E_LIMIT, "%s: its version cannot grow any more", path);
    }
    pw_hex_encode((struct pw_span){id, 8}, digits);
    snprintf(last, sizeof last, "%s  # %.150s\n", digits, comment);
    err = rewrite(old.len > 0 ? pw_buf_span(&old) : pw_span_str(first_lines),
                  list.version + 1, last, &text);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", path,
                       err == PW_E_LIMIT ? "has no room for one key more; remove old ones"
                                         : pw_err_text(err));
    }
    err = pw_key_write(path, pw_buf_span(&text), LIST_MODE, why);
    *version = err == PW_E_OK ? list.version + 1 : list.version;
    return err;
}
