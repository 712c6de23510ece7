/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/chain_resume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/audit/beside.h"
#include "common/audit/lines.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/json.h"

enum { BESIDE_TRIED = 8 }; /* files that may be the log of before */

/* The newest checkpoint is so near to the end, unless the wall was very busy. */
static const off_t near_end = (off_t)32 * 1024 * 1024;

struct reading {
    const char *path;
    int fd;
    off_t size;
    bool is_stream; /* stdout or a device: what was written is not there to be read */
    struct pw_lines *lines;
    struct pw_chain_state state;
    bool has_state;
    struct pw_chain_resume *out;
    enum pw_err err; /* for want of memory */
};

static void
seek_to(struct reading *reading, off_t at)
{
    lseek(reading->fd, at, SEEK_SET);
    *reading->lines = (struct pw_lines){.fd = reading->fd};
}

/* The newest line of any chain that the log has goes to `before`. */
static void
find_newest(struct reading *reading)
{
    struct pw_span text;
    struct pw_line_read line;
    seek_to(reading, reading->size > PW_LINES_ROOM ? reading->size - PW_LINES_ROOM : 0);
    while (pw_lines_next(reading->lines, &text)) {
        if (pw_line_read(text, &line)) {
            memset(reading->out->before, 0, sizeof reading->out->before);
            memcpy(reading->out->before, line.chain.ptr, line.chain.len);
            reading->out->before_seq = line.seq;
        }
    }
}

/* Whether this is the line that the state file knows as its last. */
static bool
is_known(const struct pw_chain_state *state, struct pw_span text)
{
    uint8_t hash[PW_TREE_HASH];
    crypto_hash_sha256(hash, text.ptr, text.len);
    return memcmp(hash, state->hash, sizeof hash) == 0;
}

static bool
find_known(struct reading *reading, off_t from)
{
    struct pw_span text;
    seek_to(reading, from);
    while (pw_lines_next(reading->lines, &text)) {
        if (is_known(&reading->state, text)) {
            return true;
        }
    }
    return false;
}

/* A chain of which nothing was sealed begins with its first line. */
static bool
find_first(struct reading *reading, struct pw_span *text, struct pw_line_read *line)
{
    seek_to(reading, 0);
    while (pw_lines_next(reading->lines, text)) {
        if (pw_line_read(*text, line) && line->seq == 1 &&
            pw_span_equal(line->chain, pw_span_str(reading->state.id))) {
            return true;
        }
    }
    return false;
}

/* One more line of the log. What does not fit stays in `found`. */
static void
take(struct reading *reading, struct pw_span text, struct pw_found *found)
{
    struct pw_follow *follow = &reading->out->follow;
    struct pw_place place = {0, reading->lines->number};
    struct pw_line_read line;
    if (!pw_line_read(text, &line)) {
        pw_follow_torn(follow, text, place, found);
    } else if (!pw_follow_has(follow, &line)) {
        *found = (struct pw_found){PW_CHAIN_FAULT_SPLICED, place, line.seq, line.seq};
    } else {
        pw_follow_line(follow, text, &line, place, found);
    }
}

/* The log goes on where the state ends: it is the file after the one with that line. */
static bool
starts_behind(struct reading *reading)
{
    struct pw_span text;
    struct pw_line_read line;
    seek_to(reading, 0);
    bool behind = pw_lines_next(reading->lines, &text) && pw_line_read(text, &line) &&
                  pw_follow_has(&reading->out->follow, &line) &&
                  line.seq == reading->state.tree.size + 1 &&
                  memcmp(line.prev, reading->state.hash, sizeof line.prev) == 0;
    seek_to(reading, 0);
    return behind;
}

/* It will be told. */
static void
keep_torn(struct pw_chain_resume *out, struct pw_follow *follow)
{
    out->torn = follow->torn;
    out->torn_bytes = follow->torn_bytes;
    memcpy(out->torn_sha256, follow->torn_sha256, sizeof out->torn_sha256);
    follow->torn = false;
}

/* All that the log holds is half of its first line, in which a wall has died. */
static bool
holds_half_a_line(struct reading *reading, struct pw_follow *half)
{
    struct pw_span text;
    struct pw_line_read line;
    struct pw_found found;
    seek_to(reading, 0);
    if (!pw_lines_next(reading->lines, &text) || pw_line_read(text, &line)) {
        return false;
    }
    pw_follow_torn(half, text, (struct pw_place){0, 1}, &found);
    return !pw_lines_next(reading->lines, &text);
}

static void
break_off(struct reading *reading, const char *words)
{
    struct pw_chain_resume *out = reading->out;
    out->what = PW_CHAIN_BROKEN;
    memcpy(out->begins, reading->state.begins, sizeof out->begins);
    out->begins_seq = reading->state.begins_seq;
    if (out->before[0] == '\0' && reading->has_state) {
        memcpy(out->before, reading->state.id, sizeof out->before);
        out->before_seq = reading->state.tree.size;
    }
    if (words != NULL) {
        (void)pw_fail(&out->alarm, PW_E_FORMAT,
                      "%s: %s; a new chain begins. See `picklewall audit verify`, and keep "
                      "this file",
                      reading->path, words);
    }
}

/* All lines behind the one that is known. */
static void
replay(struct reading *reading)
{
    struct pw_chain_resume *out = reading->out;
    struct pw_found found = {0};
    struct pw_span text;
    while (found.fault == PW_CHAIN_FAULT_NONE && pw_lines_next(reading->lines, &text)) {
        take(reading, text, &found);
    }
    keep_torn(out, &out->follow);
    bool more = out->torn || out->follow.at.tree.size > reading->state.tree.size;
    if (found.fault != PW_CHAIN_FAULT_NONE || (reading->state.closed && more)) {
        enum pw_chain_fault fault =
            found.fault != PW_CHAIN_FAULT_NONE ? found.fault : PW_CHAIN_FAULT_BEYOND;
        find_newest(reading);
        break_off(reading, pw_chain_fault_words(fault));
        return;
    }
    bool whole = reading->state.closed || (reading->state.opened && !more);
    out->what = whole ? PW_CHAIN_CONTINUED : PW_CHAIN_RECOVERED;
}

/* The newest file beside the log, when it is one that a compressor made; else "". */
static void
find_compressed(struct reading *reading, char out[static NAME_MAX + 1])
{
    static const char *const ends[] = {".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z"};
    PW_CLEANUP(pw_beside_free) struct pw_beside beside;
    out[0] = '\0';
    if (reading->is_stream || pw_beside_list(reading->path, &beside) != PW_E_OK ||
        beside.count == 0) {
        return;
    }
    const char *dot = strrchr(beside.files[0].name, '.');
    for (size_t i = 0; dot != NULL && i < PW_COUNT(ends); i++) {
        if (strcmp(dot, ends[i]) == 0) {
            memcpy(out, beside.files[0].name, sizeof beside.files[0].name);
        }
    }
}

/* Nobody looks into what is compressed: it is named instead. */
static void
break_off_unless_compressed(struct reading *reading, const char *words)
{
    char name[NAME_MAX + 1];
    char all[NAME_MAX + 512];
    find_compressed(reading, name);
    snprintf(all, sizeof all, "%s%s%s%s", words, name[0] != '\0' ? "; " : "", name,
             name[0] != '\0' ? " beside it is compressed, and was not looked into: what is "
                               "missing may be there"
                             : "");
    break_off(reading, all);
}

static void
say_lost(struct reading *reading)
{
    char words[256];
    struct pw_chain_resume *out = reading->out;
    find_newest(reading);
    bool same = strcmp(out->before, reading->state.id) == 0;
    if (same && out->before_seq < reading->state.tree.size) {
        snprintf(words, sizeof words,
                 "it ends at seq %" PRIu64 ", and was sealed up to seq %" PRIu64
                 ": lines are missing",
                 out->before_seq, reading->state.tree.size);
    } else {
        snprintf(words, sizeof words,
                 "line seq %" PRIu64 " of chain %s, which was sealed, is not there",
                 reading->state.tree.size, reading->state.id);
    }
    break_off_unless_compressed(reading, words);
}

/* All behind the line that is known; false when that is not there. */
static bool
read_on(struct reading *reading)
{
    struct pw_line_read line;
    struct pw_span text;
    struct pw_found found = {0};
    off_t late = reading->size > near_end ? reading->size - near_end : 0;
    pw_follow_from(&reading->out->follow, &reading->state);
    if (reading->state.tree.size == 0) {
        if (!find_first(reading, &text, &line)) {
            return false;
        }
        take(reading, text, &found);
        replay(reading);
        return true;
    }
    if (find_known(reading, late) || (late > 0 && find_known(reading, 0)) ||
        starts_behind(reading)) {
        replay(reading);
        return true;
    }
    return false;
}

/* Whether this file has a line of the chain that the state is of. */
static bool
is_of_chain(struct reading *reading)
{
    struct pw_chain_resume *out = reading->out;
    find_newest(reading);
    bool same = strcmp(out->before, reading->state.id) == 0;
    if (!same) {
        memset(out->before, 0, sizeof out->before);
        out->before_seq = 0;
    }
    return same;
}

/*
 * The log may have been moved away before the crash, and the next one not begun. Only the
 * newest file of the chain will do: its last line is the one to go on behind.
 */
static bool
resume_beside(struct reading *reading)
{
    PW_CLEANUP(pw_beside_free) struct pw_beside beside;
    bool found = false;
    bool of_chain = false;
    int log = reading->fd;
    off_t size = reading->size;
    reading->err = pw_beside_list(reading->path, &beside);
    for (size_t i = 0; i < beside.count && i < BESIDE_TRIED && !found && !of_chain; i++) {
        struct stat st;
        PW_CLEANUP(pw_file_close) int fd = pw_beside_open(reading->path, &beside.files[i]);
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
            reading->fd = fd;
            reading->size = st.st_size;
            found = read_on(reading);
            of_chain = !found && is_of_chain(reading);
        }
    }
    reading->fd = log;
    reading->size = size;
    return found;
}

/*
 * Behind a rotation, or a stop, the wall has died in the first line of a new log: the chain
 * ends in the file before.
 */
static bool
resume_behind_half(struct reading *reading)
{
    struct pw_chain_resume *out = reading->out;
    struct pw_follow half = {0};
    if (reading->state.closed || !holds_half_a_line(reading, &half)) {
        return false;
    }
    if (reading->state.opened) {
        pw_follow_from(&out->follow, &reading->state);
    } else if (!resume_beside(reading) || out->what == PW_CHAIN_BROKEN || out->torn) {
        return false;
    }
    bool begun = out->follow.at.tree.size > 0;
    out->what =
        begun ? PW_CHAIN_RECOVERED : PW_CHAIN_NEW; /* its first line was not whole */
    keep_torn(out, &half);
    return true;
}

static void
resume_known(struct reading *reading)
{
    if (read_on(reading) || resume_behind_half(reading)) {
        return;
    }
    if (reading->state.tree.size == 0 && reading->state.opened) {
        reading->out->what = PW_CHAIN_NEW; /* its first line was never written */
        return;
    }
    say_lost(reading);
}

/* There is nothing to be read: no file, an empty one, or one that is no file. */
static void
resume_blind(struct reading *reading)
{
    struct pw_chain_resume *out = reading->out;
    if (!reading->has_state) {
        out->what = PW_CHAIN_NEW;
        out->blank = !reading->is_stream;
        return;
    }
    if (reading->state.closed || reading->state.opened) {
        pw_follow_from(&out->follow, &reading->state);
        out->what = reading->state.tree.size > 0 ? PW_CHAIN_CONTINUED : PW_CHAIN_NEW;
        return;
    }
    if (!reading->is_stream && resume_beside(reading)) {
        return;
    }
    if (reading->is_stream) {
        break_off(reading, NULL);
        return;
    }
    break_off_unless_compressed(
        reading, "it was not closed, and its end is neither here nor in a file beside it");
}

static void
resume_unknown(struct reading *reading, bool damaged)
{
    find_newest(reading);
    if (reading->out->before[0] == '\0' && !damaged) {
        reading->out->what = PW_CHAIN_NEW;
        reading->out->blank = true;
        return;
    }
    break_off(reading, damaged ? "what was known of its end (audit.chain) is damaged"
                               : "what was known of its end (audit.chain) is gone");
}

static enum pw_err
open_log(struct reading *reading, struct pw_why *why)
{
    struct stat st;
    reading->is_stream = strcmp(reading->path, "-") == 0;
    if (reading->is_stream) {
        return PW_E_OK;
    }
    reading->fd =
        open(reading->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (reading->fd < 0 && (errno == EACCES || errno == EPERM)) {
        return pw_fail(why, PW_E_PERM, "%s: %s; it must be readable to be continued",
                       reading->path, strerror(errno));
    }
    bool there = reading->fd >= 0 && fstat(reading->fd, &st) == 0;
    reading->is_stream = there && !S_ISREG(st.st_mode);
    reading->size = there && !reading->is_stream ? st.st_size : 0;
    return PW_E_OK;
}

static void
resume(struct reading *reading, bool damaged)
{
    if (reading->size > 0 && reading->has_state) {
        resume_known(reading);
    } else if (reading->size > 0) {
        resume_unknown(reading, damaged);
    } else if (damaged) {
        break_off(reading, "what was known of its end (audit.chain) is damaged");
    } else {
        resume_blind(reading);
    }
}

enum pw_err
pw_chain_resume(const char *state_path, const char *log, const struct pw_note_key *keys,
                size_t key_count, struct pw_chain_resume *out, struct pw_why *why)
{
    *out = (struct pw_chain_resume){.follow = {.keys = keys, .key_count = key_count}};
    struct pw_why damage = {{0}};
    struct reading reading = {.path = log, .fd = -1, .out = out};
    enum pw_err err = pw_chain_state_load(state_path, &reading.state, &damage);
    if (err != PW_E_OK && err != PW_E_NO_INPUT && err != PW_E_FORMAT) {
        *why = damage;
        return err;
    }
    reading.has_state = err == PW_E_OK;
    bool damaged = err == PW_E_FORMAT;
    reading.lines = calloc(1, sizeof *reading.lines);
    if (reading.lines == NULL) {
        return pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
    }
    err = open_log(&reading, why);
    if (err == PW_E_OK) {
        resume(&reading, damaged);
        if (reading.err != PW_E_OK) {
            out->alarm = (struct pw_why){{0}}; /* nobody can tell */
            err = pw_fail(why, reading.err, "audit log: out of memory");
        } else if (reading.lines->failed) {
            err = pw_fail(why, PW_E_IO, "%s: %s; it must be readable to be continued", log,
                          strerror(errno));
        }
    }
    pw_file_close(&reading.fd);
    free(reading.lines);
    return err;
}

void
pw_chain_resume_format(const struct pw_chain_resume *resume, struct pw_buf *out)
{
    static const char *const words[] = {
        [PW_CHAIN_NEW] = "new",
        [PW_CHAIN_CONTINUED] = "continued",
        [PW_CHAIN_RECOVERED] = "recovered",
        [PW_CHAIN_BROKEN] = "broken",
    };
    char sha256[2 * PW_TREE_HASH + 1];
    struct pw_json json = pw_json_over(out);
    pw_json_object(&json, "chain");
    pw_json_str(&json, "what", words[resume->what]);
    uint64_t unsealed = pw_follow_unsealed(&resume->follow);
    if (resume->what == PW_CHAIN_RECOVERED && unsealed > 0) {
        pw_json_object(&json, "unsealed");
        pw_json_uint(&json, "from", resume->follow.at.tree.size - unsealed + 1);
        pw_json_uint(&json, "to", resume->follow.at.tree.size);
        pw_json_end_object(&json);
    }
    if (resume->what == PW_CHAIN_BROKEN && resume->before[0] != '\0') {
        pw_json_object(&json, "before");
        pw_json_str(&json, "chain", resume->before);
        pw_json_uint(&json, "seq", resume->before_seq);
        pw_json_end_object(&json);
    }
    if (resume->torn) {
        pw_hex_encode((struct pw_span){resume->torn_sha256, PW_TREE_HASH}, sha256);
        pw_json_object(&json, "torn");
        pw_json_uint(&json, "bytes", resume->torn_bytes);
        pw_json_str(&json, "sha256", sha256);
        pw_json_end_object(&json);
    }
    pw_json_end_object(&json);
    if (json.err != PW_E_OK) {
        out->len = 0;
    }
}
