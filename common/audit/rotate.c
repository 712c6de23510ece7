/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum {
    ATTEMPTS = 100,
    TIME_TEXT = sizeof "20261122T101500Z" - 1,
    FIRST_NAMES = 64,
};

/* A path in its parts: folder with its slash (or ""), stem, and extension with its dot. */
struct parts {
    struct pw_span folder;
    struct pw_span stem;
    const char *extension;
};

static struct parts
split(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    const char *end = dot == NULL || dot == name ? name + strlen(name) : dot;
    return (struct parts){
        .folder = {(const uint8_t *)path, (size_t)(name - path)},
        .stem = {(const uint8_t *)name, (size_t)(end - name)},
        .extension = end,
    };
}

static void
time_text(uint64_t wall_ns, char out[static TIME_TEXT + 1])
{
    char full[PW_CLOCK_TEXT]; /* 2026-11-22T10:15:00.123456Z */
    size_t len = 0;
    pw_clock_format(wall_ns, full);
    for (const char *c = full; *c != '.' && *c != '\0' && len < TIME_TEXT - 1; c++) {
        if (*c != '-' && *c != ':') {
            out[len++] = *c;
        }
    }
    out[len++] = 'Z';
    out[len] = '\0';
}

/* False when it is too long for a path. */
static bool
old_name(const char *path, uint64_t wall_ns, uint64_t seq, int attempt,
         char out[static PATH_MAX])
{
    struct parts parts = split(path);
    char time[TIME_TEXT + 1];
    char again[16] = "";
    time_text(wall_ns, time);
    if (attempt > 0) {
        snprintf(again, sizeof again, "-%d", attempt);
    }
    int len = snprintf(out, PATH_MAX, "%.*s%.*s-%s-%" PRIu64 "%s%s", (int)parts.folder.len,
                       (const char *)parts.folder.ptr, (int)parts.stem.len,
                       (const char *)parts.stem.ptr, time, seq, again, parts.extension);
    return len < PATH_MAX;
}

/* Not every file system knows RENAME_NOREPLACE; a link overwrites nothing either. */
static int
rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    return link(from, to) == 0 ? unlink(from) : -1;
}

enum pw_err
pw_rotate_away(const char *path, dev_t dev, ino_t ino, uint64_t wall_ns, uint64_t seq,
               char old[static PATH_MAX], struct pw_why *why)
{
    struct stat st;
    if (lstat(path, &st) != 0 || st.st_dev != dev || st.st_ino != ino) {
        return pw_fail(why, PW_E_IO, "%s: another file stands there by now", path);
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (!old_name(path, wall_ns, seq, attempt, old)) {
            return pw_fail(why, PW_E_IO,
                           "%s: too long a path to put a date into; shorten it", path);
        }
        if (rename_new(path, old) == 0) {
            pw_file_sync_folder_of(path);
            return PW_E_OK;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return pw_fail(why, PW_E_IO,
                   "%s: no rotation: %s: %s; let this user write to the folder", path, old,
                   strerror(errno));
}

enum pw_err
pw_rotate_back(const char *path, const char *old)
{
    return rename_new(old, path) == 0 ? PW_E_OK : PW_E_IO;
}

/* ---- the oldest go ---- */

/* What a name sorts by. */
struct old {
    char time[TIME_TEXT + 1];
    uint64_t seq;
    uint64_t attempt;
    char *name;
};

struct olds {
    struct old *items;
    size_t count;
    size_t room;
};

static void
free_olds(struct olds *olds)
{
    for (size_t i = 0; i < olds->count; i++) {
        free(olds->items[i].name);
    }
    free(olds->items);
}

static bool
is_time(const char *text)
{
    static const char form[] = "ddddddddTddddddZ";
    for (size_t i = 0; i < TIME_TEXT; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == 'd' ? !digit : text[i] != form[i]) {
            return false;
        }
    }
    return true;
}

/* STEM-TIME-SEQ[-N]EXTENSION and whatever a compressor put behind it. */
static bool
read_name(const struct parts *parts, const char *name, struct old *out)
{
    size_t stem = parts->stem.len;
    if (strncmp(name, (const char *)parts->stem.ptr, stem) != 0 || name[stem] != '-' ||
        !is_time(name + stem + 1) || name[stem + 1 + TIME_TEXT] != '-') {
        return false;
    }
    const char *seq = name + stem + 1 + TIME_TEXT + 1;
    size_t digits = strspn(seq, "0123456789");
    const char *behind = seq + digits;
    out->attempt = behind[0] == '-' ? strtoull(behind + 1, NULL, 10) : 0;
    behind += behind[0] == '-' ? 1 + strspn(behind + 1, "0123456789") : 0;
    if (digits == 0 || strncmp(behind, parts->extension, strlen(parts->extension)) != 0) {
        return false;
    }
    memcpy(out->time, name + stem + 1, TIME_TEXT);
    out->time[TIME_TEXT] = '\0';
    out->seq = strtoull(seq, NULL, 10);
    return true;
}

static bool
add_old(struct olds *olds, struct old old, const char *name)
{
    if (olds->count == olds->room) {
        size_t room = olds->room == 0 ? FIRST_NAMES : olds->room * 2;
        struct old *items = realloc(olds->items, room * sizeof *items);
        if (items == NULL) {
            return false;
        }
        olds->items = items;
        olds->room = room;
    }
    old.name = strdup(name);
    if (old.name == NULL) {
        return false;
    }
    olds->items[olds->count++] = old;
    return true;
}

static int
compare(uint64_t x, uint64_t y)
{
    return (x > y) - (x < y);
}

static int
by_age(const void *a, const void *b)
{
    const struct old *x = a;
    const struct old *y = b;
    int times = strcmp(x->time, y->time);
    if (times != 0) {
        return times;
    }
    return x->seq != y->seq ? compare(x->seq, y->seq) : compare(x->attempt, y->attempt);
}

static enum pw_err
list_olds(DIR *folder, const struct parts *parts, struct olds *olds)
{
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        struct old old = {0};
        if (read_name(parts, entry->d_name, &old) && !add_old(olds, old, entry->d_name)) {
            return PW_E_NOMEM;
        }
    }
    return PW_E_OK;
}

static void
close_folder(DIR **folder)
{
    if (*folder != NULL) {
        closedir(*folder);
    }
}

static DIR *
open_folder(const struct parts *parts, char name[static PATH_MAX])
{
    snprintf(name, PATH_MAX, "%.*s.", (int)parts->folder.len,
             (const char *)parts->folder.ptr);
    return opendir(name);
}

bool
pw_rotate_oldest_kept(const char *path, size_t keep, char out[static PATH_MAX])
{
    struct parts parts = split(path);
    PW_CLEANUP(free_olds) struct olds olds = {0};
    PW_CLEANUP(close_folder) DIR *folder = open_folder(&parts, out);
    if (folder == NULL || list_olds(folder, &parts, &olds) != PW_E_OK ||
        olds.count <= keep || keep == 0) {
        return false;
    }
    qsort(olds.items, olds.count, sizeof *olds.items, by_age);
    int len = snprintf(out, PATH_MAX, "%.*s%s", (int)parts.folder.len,
                       (const char *)parts.folder.ptr, olds.items[olds.count - keep].name);
    return len < PATH_MAX;
}

size_t
pw_rotate_prune(const char *path, size_t keep, enum pw_err *err, struct pw_why *why)
{
    struct parts parts = split(path);
    char name[PATH_MAX];
    PW_CLEANUP(free_olds) struct olds olds = {0};
    PW_CLEANUP(close_folder) DIR *folder = open_folder(&parts, name);
    if (folder == NULL || list_olds(folder, &parts, &olds) != PW_E_OK) {
        *err = pw_fail(why, PW_E_IO, "%s: old logs cannot be counted: %s", name,
                       strerror(errno));
        return 0;
    }
    size_t removed = 0;
    *err = PW_E_OK;
    if (olds.count <= keep) {
        return 0;
    }
    qsort(olds.items, olds.count, sizeof *olds.items, by_age);
    for (size_t i = 0; i + keep < olds.count; i++) {
        if (unlinkat(dirfd(folder), olds.items[i].name, 0) == 0) {
            removed++;
        } else {
            *err = pw_fail(why, PW_E_IO, "%s: %s", olds.items[i].name, strerror(errno));
        }
    }
    return removed;
}
