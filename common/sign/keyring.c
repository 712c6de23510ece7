/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum { LOCK_WAIT_MS = 2000, SHARE_WAIT_MS = 500, LOCK_PAUSE_US = 5000 };

struct pw_keyring {
    struct pw_key **keys;
    size_t count;
    size_t cap;
    uint64_t list_version;
    atomic_size_t shares;
};

struct pw_keyring *
pw_keyring_new(void)
{
    struct pw_keyring *ring = calloc(1, sizeof *ring);
    if (ring != NULL) {
        atomic_init(&ring->shares, 1);
    }
    return ring;
}

struct pw_keyring *
pw_keyring_share(struct pw_keyring *ring)
{
    atomic_fetch_add(&ring->shares, 1);
    return ring;
}

static void
destroy(struct pw_keyring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        pw_key_free(&ring->keys[i]);
    }
    free(ring->keys);
    free(ring);
}

void
pw_keyring_free(struct pw_keyring **ring)
{
    if (*ring != NULL && atomic_fetch_sub(&(*ring)->shares, 1) == 1) {
        destroy(*ring);
    }
    *ring = NULL;
}
static enum pw_err
grow(struct pw_keyring *ring)
{
    if (ring->count < ring->cap) {
        return PW_E_OK;
    }
    size_t cap = ring->cap == 0 ? 8 : ring->cap * 2;
    struct pw_key **keys = realloc(ring->keys, cap * sizeof(struct pw_key *));
    if (keys == NULL) {
        return PW_E_NOMEM;
    }
    ring->keys = keys;
    ring->cap = cap;
    return PW_E_OK;
}

enum pw_err
pw_keyring_add(struct pw_keyring *ring, struct pw_key **key)
{
    if (pw_keyring_find(ring, pw_key_name(*key)) != NULL ||
        pw_keyring_find_id(ring, pw_key_id(*key)) != NULL) {
        return PW_E_CONFIG;
    }
    enum pw_err err = grow(ring);
    if (err != PW_E_OK) {
        return err;
    }
    ring->keys[ring->count++] = *key;
    *key = NULL;
    return PW_E_OK;
}

/* As a shell's *.pwkey: editors leave hidden files of their own beside a key. */
enum pw_key_file
pw_key_file_kind(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (strcmp(name, PW_REVOKED_FILE) == 0) {
        return PW_KEY_FILE_REVOKED;
    }
    if (name[0] == '.' || dot == NULL) {
        return PW_KEY_FILE_NONE;
    }
    return strcmp(dot, ".pwkey") == 0 || strcmp(dot, ".hex") == 0 ? PW_KEY_FILE_KEY
                                                                  : PW_KEY_FILE_NONE;
}

static int
is_key_file(const struct dirent *entry)
{
    return pw_key_file_kind(entry->d_name) == PW_KEY_FILE_KEY;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum pw_err
add_file(struct pw_keyring *ring, const char *dir, const char *file, struct pw_why *why)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path) {
        return pw_fail(why, PW_E_NO_INPUT, "%.200s...: the path is too long", dir);
    }
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, why);
    if (key == NULL) {
        return PW_E_CONFIG;
    }
    const struct pw_key *twin = pw_keyring_find(ring, pw_key_name(key));
    twin = twin != NULL ? twin : pw_keyring_find_id(ring, pw_key_id(key));
    if (twin != NULL) {
        return pw_fail(
            why, PW_E_CONFIG,
            "%s: another file of %s holds the key \"%s\" already%s; keep one of them", path,
            dir, pw_key_name(twin),
            strcmp(pw_key_name(twin), pw_key_name(key)) == 0 ? "" : " under that name");
    }
    if (pw_keyring_add(ring, &key) != PW_E_OK) {
        return pw_fail(why, PW_E_NOMEM, "%s: out of memory", path);
    }
    return PW_E_OK;
}

static enum pw_err
add_files(struct pw_keyring *ring, const char *dir, struct pw_why *why)
{
    struct dirent **files = NULL;
    int count = scandir(dir, &files, is_key_file, by_bytes);
    if (count < 0) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: %s; name the folder of the *.pwkey files",
                       dir, strerror(errno));
    }
    enum pw_err err = PW_E_OK;
    for (int i = 0; i < count; i++) {
        err = err == PW_E_OK ? add_file(ring, dir, files[i]->d_name, why) : err;
        free(files[i]);
    }
    free(files);
    return err;
}

static enum pw_err
apply_list(struct pw_keyring *ring, const char *dir, struct pw_why *why)
{
    PW_CLEANUP(pw_revoked_free) struct pw_revoked list = {0};
    enum pw_err err = pw_revoked_load(dir, &list, why);
    if (err == PW_E_OK) {
        ring->list_version = list.version;
        pw_keyring_revoke(ring, &list);
    }
    return err;
}

/* Whether the lock was had within `wait_ms`; errno says why not. */
static bool
lock_folder(int fd, int how, int wait_ms)
{
    uint64_t end = pw_clock_steady() + (uint64_t)wait_ms * 1000000;
    while (flock(fd, how | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || pw_clock_steady() > end) {
            return false;
        }
        usleep(LOCK_PAUSE_US);
    }
    return true;
}

int
pw_keyring_lock(const char *dir, struct pw_why *why)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        (void)pw_fail(why, PW_E_NO_INPUT, "%s: %s; name the key folder", dir,
                      strerror(errno));
        return -1;
    }
    if (lock_folder(fd, LOCK_EX, LOCK_WAIT_MS)) {
        return fd;
    }
    (void)pw_fail(why, PW_E_BUSY, "%s: %s", dir,
                  errno == EWOULDBLOCK
                      ? "another process holds its lock; try again, and if it is no "
                        "picklewall, find it with fuser -v and chmod o-rx the folder"
                      : strerror(errno));
    close(fd);
    return -1;
}

struct pw_keyring *
pw_keyring_read(const char *dir, struct pw_why *why)
{
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    if (ring == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", dir);
        return NULL;
    }
    if (add_files(ring, dir, why) != PW_E_OK || apply_list(ring, dir, why) != PW_E_OK) {
        return NULL;
    }
    struct pw_keyring *loaded = ring;
    ring = NULL;
    return loaded;
}

struct pw_keyring *
pw_keyring_load(const char *dir, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /*
     * A command is done in milliseconds. Who holds the lock longer may be anybody that can
     * open the folder, and must not keep a wall from its keys: two active keys, the worst
     * that a command leaves half done, are refused for what they are.
     */
    if (fd >= 0) {
        (void)lock_folder(fd, LOCK_SH, SHARE_WAIT_MS);
    }
    return pw_keyring_read(dir, why);
}

size_t
pw_keyring_revoke(struct pw_keyring *ring, const struct pw_revoked *list)
{
    size_t revoked = 0;
    for (size_t i = 0; i < ring->count; i++) {
        if (pw_revoked_has(list, pw_key_id(ring->keys[i]))) {
            revoked += pw_key_status(ring->keys[i]) != PW_KEY_REVOKED;
            pw_key_revoke(ring->keys[i]);
        }
    }
    return revoked;
}

uint64_t
pw_keyring_list_version(const struct pw_keyring *ring)
{
    return ring->list_version;
}

size_t
pw_keyring_count(const struct pw_keyring *ring)
{
    return ring->count;
}

const struct pw_key *
pw_keyring_at(const struct pw_keyring *ring, size_t index)
{
    return index < ring->count ? ring->keys[index] : NULL;
}

const struct pw_key *
pw_keyring_find(const struct pw_keyring *ring, const char *name)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (strcmp(pw_key_name(ring->keys[i]), name) == 0) {
            return ring->keys[i];
        }
    }
    return NULL;
}

const struct pw_key *
pw_keyring_find_id(const struct pw_keyring *ring, const uint8_t id[static 8])
{
    for (size_t i = 0; i < ring->count; i++) {
        if (memcmp(pw_key_id(ring->keys[i]), id, 8) == 0) {
            return ring->keys[i];
        }
    }
    return NULL;
}
