/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a key folder has changed. inotify cannot tell: on a mounted Kubernetes secret
 * nothing but the link "..data" is ever exchanged, and on other mounts no event comes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/sign/key_body.h"
#include "common/sign/keyring.h"

/* Kernels stamp files with the time of a tick, so a younger one may hide a second change.
 */
static const uint64_t grain_ns = 1000000000;

/* One look under way. */
struct look {
    crypto_generichash_state hash;
    uint64_t newest; /* change of any file */
};

static void
put(struct look *look, const void *bytes, size_t len)
{
    crypto_generichash_update(&look->hash, bytes, len);
}

static void
put_number(struct look *look, uint64_t value)
{
    put(look, &value, sizeof value);
}

static uint64_t
ns_of(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void
put_stamp(struct look *look, int dir, const char *name, int flags)
{
    struct stat info;
    if (fstatat(dir, name, &info, flags) != 0) {
        put_number(look, (uint64_t)errno);
        return;
    }
    const uint64_t parts[] = {info.st_dev, info.st_ino, (uint64_t)info.st_size,
                              ns_of(info.st_mtim), ns_of(info.st_ctim)};
    put(look, parts, sizeof parts);
    look->newest = parts[4] > look->newest ? parts[4] : look->newest;
}

/* The link and what it leads to: either may be exchanged. */
static void
put_stamps(struct look *look, int dir, const char *name)
{
    put(look, name, strlen(name) + 1);
    put_stamp(look, dir, name, AT_SYMLINK_NOFOLLOW);
    put_stamp(look, dir, name, 0);
}

static void
put_contents(struct look *look, int dir, const char *name)
{
    struct stat info;
    struct pw_buf text = {.limit = PW_REVOKED_FILE_MAX};
    put(look, name, strlen(name) + 1);
    PW_CLEANUP(pw_file_close)
    int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        put_number(look, (uint64_t)errno);
        return;
    }
    put_number(look, (uint64_t)info.st_size);
    put_number(look, (uint64_t)info.st_mode << 32 | info.st_uid);
    put_number(look, info.st_gid);
    /* What cannot be read to its end is refused as a key, whatever stands there. */
    put_number(look, S_ISREG(info.st_mode) ? (uint64_t)pw_file_read_fd(fd, &text) : 0);
    put_number(look, text.len);
    put(look, text.bytes, text.len);
    if (text.bytes != NULL) {
        sodium_memzero(text.bytes, text.cap);
    }
    pw_buf_free(&text);
}

typedef void visit_fn(struct look *look, int dir, const char *name);

static int
is_ours(const struct dirent *entry)
{
    return pw_key_file_kind(entry->d_name) != PW_KEY_FILE_NONE;
}

/* `visit` every file, in byte order of name; a folder that cannot be read has a hash too.
 */
static void
look_at(const char *dir, visit_fn *visit, struct look *look, uint8_t out[static 32])
{
    struct dirent **files = NULL;
    crypto_generichash_init(&look->hash, NULL, 0, 32);
    PW_CLEANUP(pw_file_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = fd < 0 ? -1 : scandir(dir, &files, is_ours, alphasort);
    put_number(look, count < 0 ? (uint64_t)errno : 0);
    for (int i = 0; i < count; i++) {
        visit(look, fd, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    crypto_generichash_final(&look->hash, out, 32);
    sodium_memzero(&look->hash, sizeof look->hash);
}

bool
pw_keyring_changed(const char *dir, struct pw_keyring_look *look)
{
    struct pw_keyring_look now = {.settled = true};
    struct look work = {0};
    uint64_t start = pw_clock_wall();
    look_at(dir, put_stamps, &work, now.stamps);
    now.settled = work.newest + grain_ns < start;
    bool same = memcmp(now.stamps, look->stamps, sizeof now.stamps) == 0;
    if (same && look->settled) {
        return false;
    }
    look_at(dir, put_contents, &work, now.contents);
    bool changed = memcmp(now.contents, look->contents, sizeof now.contents) != 0;
    *look = now;
    return changed;
}
