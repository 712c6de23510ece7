/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A path in its parts. */
struct parts {
    const char *path;
    int folder; /* bytes of it, with the slash */
    const char *name;
    size_t stem;     /* bytes of the name before the extension */
    const char *end; /* the extension, with its dot, or "" */
};

enum kind { OTHER, SKIPPED, TAKEN };

static struct parts
split(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    const char *end = dot == NULL || dot == name ? name + strlen(name) : dot;
    return (struct parts){path, (int)(name - path), name, (size_t)(end - name), end};
}

static bool
ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* Behind STEM-, with a digit. */
static enum kind
kind_of_old(const struct parts *parts, const char *behind)
{
    if (parts->end[0] != '\0' && ends_with(behind, parts->end)) {
        return TAKEN;
    }
    const char *rest = behind + strspn(behind, "0123456789TZ-");
    size_t end = strlen(parts->end);
    if (strncmp(rest, parts->end, end) != 0) {
        return OTHER;
    }
    return rest[end] == '\0' ? TAKEN : rest[end] == '.' ? SKIPPED : OTHER;
}

static enum kind
kind_of(const struct parts *parts, const char *name)
{
    size_t whole = strlen(parts->name);
    if (strncmp(name, parts->name, parts->stem) == 0 && name[parts->stem] == '-' &&
        isdigit((unsigned char)name[parts->stem + 1])) {
        return kind_of_old(parts, name + parts->stem + 1);
    }
    bool rotated = strncmp(name, parts->name, whole) == 0 &&
                   (name[whole] == '.' || name[whole] == '-') &&
                   isdigit((unsigned char)name[whole + 1]);
    return rotated ? SKIPPED : OTHER;
}

static enum pw_err
add(struct pw_audit_names *names, const struct parts *parts, const char *name)
{
    char **paths = realloc(names->paths, (names->count + 1) * sizeof *paths);
    if (paths == NULL) {
        return PW_E_NOMEM;
    }
    names->paths = paths;
    if (asprintf(&paths[names->count], "%.*s%s", parts->folder, parts->path, name) < 0) {
        return PW_E_NOMEM;
    }
    names->count++;
    return PW_E_OK;
}

static enum pw_err
list(DIR *folder, const struct parts *parts, struct pw_audit_names *files,
     struct pw_audit_names *skipped)
{
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(folder)) != NULL) {
        enum kind kind = kind_of(parts, entry->d_name);
        enum pw_err err = kind == OTHER
                              ? PW_E_OK
                              : add(kind == TAKEN ? files : skipped, parts, entry->d_name);
        if (err != PW_E_OK) {
            return err;
        }
        errno = 0;
    }
    return errno == 0 ? add(files, parts, parts->name) : PW_E_IO;
}

enum pw_err
pw_audit_files_find(const char *path, struct pw_audit_names *files,
                    struct pw_audit_names *skipped, struct pw_why *why)
{
    struct parts parts = split(path);
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%.*s.", parts.folder, path);
    DIR *folder = opendir(name);
    enum pw_err err = folder == NULL ? PW_E_IO : list(folder, &parts, files, skipped);
    if (err != PW_E_OK) {
        (void)pw_fail(why, err, "%s: old logs cannot be searched for: %s; name the files",
                      name, err == PW_E_IO ? strerror(errno) : pw_err_text(err));
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return err;
}

void
pw_audit_names_free(struct pw_audit_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->paths[i]);
    }
    free(names->paths);
    *names = (struct pw_audit_names){0};
}
