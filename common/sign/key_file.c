/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files on disk: who may read them, and how they come into being.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/file.h"
#include "common/sign/key_body.h"

static void
wipe_buf(struct pw_buf *buf)
{
    if (buf->bytes != NULL) {
        sodium_memzero(buf->bytes, buf->cap);
    }
    pw_buf_free(buf);
}

/* What stands behind the last slash. */
static const char *
name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/*
 * A file of a mounted Kubernetes secret is a link to "..data/NAME", and "..data" a link to
 * the current version. That one shape is followed, and nothing else.
 */
static int
open_mounted(int dir, const char *name)
{
    char wanted[NAME_MAX + 8];
    char target[NAME_MAX + 8];
    snprintf(wanted, sizeof wanted, "..data/%s", name);
    ssize_t len = readlinkat(dir, name, target, sizeof target);
    if (len < 0 || !pw_span_equal((struct pw_span){(const uint8_t *)target, (size_t)len},
                                  pw_span_str(wanted))) {
        errno = ELOOP;
        return -1;
    }
    PW_CLEANUP(pw_file_close)
    int data = openat(dir, "..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data < 0) {
        return -1;
    }
    return openat(data, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* O_NONBLOCK: a FIFO in the folder must not hang the start. */
int
pw_key_open(const char *path, struct pw_why *why)
{
    const char *name = name_of(path);
    char folder[PATH_MAX];
    int len = snprintf(folder, sizeof folder, "%.*s.", (int)(name - path), path);
    if (len >= (int)sizeof folder || strlen(name) > NAME_MAX) {
        (void)pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", path);
        return -1;
    }
    PW_CLEANUP(pw_file_close) int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd =
        dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && dir >= 0 && errno == ELOOP) {
        fd = open_mounted(dir, name);
    }
    if (fd < 0 && errno == ELOOP) {
        (void)pw_fail(why, PW_E_PERM, "%s: a symbolic link; put the key file itself there",
                      path);
    } else if (fd < 0) {
        int reason = errno;
        (void)pw_fail(why, PW_E_NO_INPUT, "%s: %s", path, strerror(reason));
        errno = reason;
    }
    return fd;
}

static enum pw_err
check_written(const char *path, const struct stat *info, struct pw_why *why)
{
    if (!S_ISREG(info->st_mode)) {
        return pw_fail(why, PW_E_PERM, "%s: not a file; put a key file there", path);
    }
    if ((info->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return pw_fail(
            why, PW_E_PERM,
            "%s: others may write it (mode %04o); make a new key unless you trust it, "
            "and run chmod 600 %s",
            path, info->st_mode & 07777U, path);
    }
    return PW_E_OK;
}

/* Who is in root's own group is trusted like root. */
static bool
is_trusted(gid_t group)
{
    return group == 0 || group == getegid() || group_member(group);
}

/*
 * A secret is for its owner. Kubernetes with fsGroup mounts it as root:group 0440, so a
 * group of ours may read what root owns; the group of anybody else's file may not. systemd
 * gives a unit's user an entry of its own in the access control list of root's file
 * (systemd.exec(5), CREDENTIALS), which makes it root:root 0440.
 */
static enum pw_err
check_read(const char *path, const struct stat *info, struct pw_why *why)
{
    bool group = (info->st_mode & S_IRGRP) != 0;
    bool world = (info->st_mode & S_IROTH) != 0;
    if (world || (group && !(info->st_uid == 0 && is_trusted(info->st_gid)))) {
        return pw_fail(why, PW_E_PERM,
                       "%s: others may read it (mode %04o); run chmod 600 %s", path,
                       info->st_mode & 07777U, path);
    }
    return PW_E_OK;
}

/* Whoever may rename in a parent can put another key in this one's place. */
static enum pw_err
check_parents(const char *path, struct pw_why *why)
{
    char parent[PATH_MAX];
    if (realpath(path, parent) == NULL) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: %s", path, strerror(errno));
    }
    for (char *slash = strrchr(parent, '/'); slash != NULL; slash = strrchr(parent, '/')) {
        slash[slash == parent ? 1 : 0] = '\0';
        struct stat info;
        if (stat(parent, &info) != 0) {
            return pw_fail(why, PW_E_NO_INPUT, "%s: %s", parent, strerror(errno));
        }
        if ((info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0) {
            return pw_fail(
                why, PW_E_PERM,
                "%s: anybody may exchange files in %s (mode %04o); run chmod o-w %s", path,
                parent, info.st_mode & 07777U, parent);
        }
        if (slash == parent) {
            break;
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_key_check_place(const char *path, const struct stat *info, struct pw_why *why)
{
    enum pw_err err = check_written(path, info, why);
    return err == PW_E_OK ? check_parents(path, why) : err;
}

/* A bare key is called as its file, without the ending. */
static struct pw_key *
parse_bare(const char *path, struct pw_span text, struct pw_why *why)
{
    const char *name = name_of(path);
    char stem[NAME_MAX + 1];
    snprintf(stem, sizeof stem, "%.*s", (int)(strlen(name) - strlen(".hex")), name);
    return pw_key_parse_hex(text, stem, why);
}

static bool
ends_in_hex(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, ".hex") == 0;
}

static struct pw_key *
read_key(int fd, const char *path, struct pw_why *why)
{
    /* The first read reserves the whole limit, so the secret is never left in an old block.
     */
    PW_CLEANUP(wipe_buf) struct pw_buf text = {.limit = PW_KEY_FILE_MAX};
    enum pw_err err = pw_file_read_fd(fd, &text);
    if (err != PW_E_OK) {
        (void)pw_fail(why, err, "%s: %s", path,
                      err == PW_E_LIMIT ? "larger than any key file" : pw_err_text(err));
        return NULL;
    }
    struct pw_why inner = {0};
    struct pw_key *key = ends_in_hex(path) ? parse_bare(path, pw_buf_span(&text), &inner)
                                           : pw_key_parse(pw_buf_span(&text), &inner);
    if (key == NULL) {
        (void)pw_fail(why, PW_E_FORMAT, "%s:%s", path, inner.text);
    }
    return key;
}

enum pw_err
pw_key_read_file(const char *path, bool secret, struct pw_buf *out, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int fd = pw_key_open(path, why);
    struct stat info;
    if (fd < 0) {
        return PW_E_NO_INPUT;
    }
    if (fstat(fd, &info) != 0) {
        return pw_fail(why, PW_E_IO, "%s: %s", path, strerror(errno));
    }
    enum pw_err err = pw_key_check_place(path, &info, why);
    err = err == PW_E_OK && secret ? check_read(path, &info, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    err = pw_file_read_fd(fd, out);
    return err == PW_E_OK
               ? err
               : pw_fail(why, err, "%s: %s", path,
                         err == PW_E_LIMIT ? "larger than any key file" : pw_err_text(err));
}

struct pw_key *
pw_key_load(const char *path, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int fd = pw_key_open(path, why);
    struct stat info;
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &info) != 0) {
        (void)pw_fail(why, PW_E_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (pw_key_check_place(path, &info, why) != PW_E_OK) {
        return NULL;
    }
    PW_CLEANUP(pw_key_free) struct pw_key *key = read_key(fd, path, why);
    if (key == NULL || (key->secret != NULL && check_read(path, &info, why) != PW_E_OK)) {
        return NULL;
    }
    struct pw_key *loaded = key;
    key = NULL;
    snprintf(loaded->file, sizeof loaded->file, "%s", name_of(path));
    return loaded;
}

/* A whole file, on the disk. One of this name is what a crash left. */
static enum pw_err
write_new(int dir, const char *draft, struct pw_span text)
{
    (void)unlinkat(dir, draft, 0);
    PW_CLEANUP(pw_file_close)
    int fd = openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return PW_E_CREATE;
    }
    enum pw_err err = pw_file_write_all(fd, text);
    return err == PW_E_OK && fsync(fd) != 0 ? PW_E_IO : err;
}

/* Give the draft its name, which nothing has: half a key is worse than none. */
static enum pw_err
give_name(int dir, const char *draft, const char *file)
{
    if (linkat(dir, draft, dir, file, 0) != 0) {
        return PW_E_CREATE;
    }
    return unlinkat(dir, draft, 0) == 0 && fsync(dir) == 0 ? PW_E_OK : PW_E_IO;
}

enum pw_err
pw_key_save(const struct pw_key *key, const char *dir, struct pw_why *why)
{
    PW_CLEANUP(wipe_buf) struct pw_buf text = {.limit = PW_KEY_FILE_MAX};
    enum pw_err err = pw_key_format(key, &text);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", key->name, pw_err_text(err));
    }
    PW_CLEANUP(pw_file_close) int folder = pw_file_open_dir(dir, why);
    if (folder < 0) {
        return PW_E_CREATE;
    }
    char file[PW_KEY_NAME_MAX + sizeof ".pwkey"];
    snprintf(file, sizeof file, "%s.pwkey", key->name);
    char draft[sizeof file + sizeof "..new"];
    snprintf(draft, sizeof draft, ".%s.new", file);
    err = write_new(folder, draft, pw_buf_span(&text));
    err = err == PW_E_OK ? give_name(folder, draft, file) : err;
    if (err == PW_E_OK) {
        return PW_E_OK;
    }
    int reason = errno;
    (void)unlinkat(folder, draft, 0);
    return pw_fail(why, err, "%s/%s: %s; %s", dir, file, strerror(reason),
                   reason == EEXIST
                       ? "a key is never overwritten, choose another --id or folder"
                       : "make room there, or choose another folder");
}

/* Where a file is, and who shall own what takes its place. */
struct place {
    int dir; /* to be closed */
    const char *name;
    uid_t owner;
    gid_t group;
    mode_t mode;
};

static void
close_place(struct place *place)
{
    pw_file_close(&place->dir);
}

static enum pw_err
find_place(const char *path, mode_t mode, struct place *place, struct pw_why *why)
{
    char folder[PATH_MAX];
    struct stat info;
    place->name = name_of(path);
    int len = snprintf(folder, sizeof folder, "%.*s.", (int)(place->name - path), path);
    if (len >= (int)sizeof folder) {
        return pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", path);
    }
    place->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->dir < 0 || fstat(place->dir, &info) != 0) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: %s", path, strerror(errno));
    }
    *place = (struct place){place->dir, place->name, info.st_uid, info.st_gid, mode};
    if (fstatat(place->dir, place->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT && mode != 0
                   ? PW_E_OK
                   : pw_fail(why, PW_E_NO_INPUT, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return pw_fail(why, PW_E_PERM,
                       "%s: a link or no file at all; change it where it comes from", path);
    }
    *place = (struct place){place->dir, place->name, info.st_uid, info.st_gid,
                            info.st_mode & 0777};
    return PW_E_OK;
}

static enum pw_err
write_draft(int fd, const struct place *place, struct pw_span text)
{
    enum pw_err err = pw_file_write_all(fd, text);
    if (err != PW_E_OK) {
        return err;
    }
    /* Changed by root, a key stays its owner's; others may not give theirs away. */
    (void)!fchown(fd, place->owner, place->group);
    return fchmod(fd, place->mode) == 0 && fsync(fd) == 0 ? PW_E_OK : PW_E_IO;
}

enum pw_err
pw_key_write(const char *path, struct pw_span text, mode_t mode, struct pw_why *why)
{
    PW_CLEANUP(close_place) struct place place = {.dir = -1};
    enum pw_err err = find_place(path, mode, &place, why);
    if (err != PW_E_OK) {
        return err;
    }
    /* Always the same name: what a crash left here is not left for ever. */
    char draft[NAME_MAX + 1];
    if (snprintf(draft, sizeof draft, ".%s.new", place.name) >= (int)sizeof draft) {
        return pw_fail(why, PW_E_CREATE, "%.200s...: the name is too long", path);
    }
    unlinkat(place.dir, draft, 0);
    PW_CLEANUP(pw_file_close)
    int fd = openat(place.dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return pw_fail(why, PW_E_CREATE, "%s: %s; its folder must be writable", path,
                       strerror(errno));
    }
    err = write_draft(fd, &place, text);
    if (err == PW_E_OK && renameat(place.dir, draft, place.dir, place.name) == 0) {
        return fsync(place.dir) == 0
                   ? PW_E_OK
                   : pw_fail(why, PW_E_IO, "%s: written, but not safely on disk: %s", path,
                             strerror(errno));
    }
    int reason = errno;
    unlinkat(place.dir, draft, 0);
    return pw_fail(why, PW_E_IO, "%s: %s; nothing was changed", path, strerror(reason));
}

enum pw_err
pw_key_replace(const struct pw_key *key, const char *path, struct pw_why *why)
{
    PW_CLEANUP(wipe_buf) struct pw_buf text = {.limit = PW_KEY_FILE_MAX};
    enum pw_err err = pw_key_format(key, &text);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", path, pw_err_text(err));
    }
    return pw_key_write(path, pw_buf_span(&text), 0, why);
}
