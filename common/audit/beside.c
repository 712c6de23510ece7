/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/beside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"

static const uint64_t ns_per_s = 1000000000;

static const char *
name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int
open_folder(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s.", (int)(name_of(path) - path), path);
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The log's name up to its dot, when that is not its first letter. */
static size_t
stem_len(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
}

static bool
is_beside(const char *name, const char *log)
{
    return strncmp(name, log, stem_len(log)) == 0 && strcmp(name, log) != 0;
}

/* In its place; the oldest makes room when there is none. */
static void
insert(struct pw_beside *out, const char *name, uint64_t written_ns)
{
    size_t at = out->count;
    while (at > 0 && out->files[at - 1].written_ns < written_ns) {
        at--;
    }
    if (at == PW_BESIDE_MOST) {
        return;
    }
    size_t behind = out->count - at;
    if (out->count == PW_BESIDE_MOST) {
        behind--;
    } else {
        out->count++;
    }
    memmove(&out->files[at + 1], &out->files[at], behind * sizeof *out->files);
    out->files[at].written_ns = written_ns;
    snprintf(out->files[at].name, sizeof out->files[at].name, "%s", name);
}

static void
close_folder(DIR **folder)
{
    if (*folder != NULL) {
        closedir(*folder);
    }
}

enum pw_err
pw_beside_list(const char *path, struct pw_beside *out)
{
    *out = (struct pw_beside){0};
    int fd = open_folder(path);
    PW_CLEANUP(close_folder) DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        pw_file_close(&fd);
        return PW_E_OK;
    }
    out->files = calloc(PW_BESIDE_MOST, sizeof *out->files);
    if (out->files == NULL) {
        return PW_E_NOMEM;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        struct stat st;
        if (is_beside(entry->d_name, name_of(path)) &&
            fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            insert(out, entry->d_name,
                   (uint64_t)st.st_mtim.tv_sec * ns_per_s + (uint64_t)st.st_mtim.tv_nsec);
        }
    }
    return PW_E_OK;
}

int
pw_beside_open(const char *path, const struct pw_beside_file *file)
{
    PW_CLEANUP(pw_file_close) int folder = open_folder(path);
    return folder < 0 ? -1
                      : openat(folder, file->name,
                               O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

void
pw_beside_free(struct pw_beside *beside)
{
    free(beside->files);
    *beside = (struct pw_beside){0};
}
