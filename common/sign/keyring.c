/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pw_keyring {
    struct pw_key **keys;
    size_t count;
    size_t cap;
};

struct pw_keyring *
pw_keyring_new(void)
{
    return calloc(1, sizeof(struct pw_keyring));
}

void
pw_keyring_free(struct pw_keyring **ring)
{
    if (*ring == NULL) {
        return;
    }
    for (size_t i = 0; i < (*ring)->count; i++) {
        pw_key_free(&(*ring)->keys[i]);
    }
    free((*ring)->keys);
    free(*ring);
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
static int
is_key_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL && strcmp(dot, ".pwkey") == 0;
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

struct pw_keyring *
pw_keyring_load(const char *dir, struct pw_why *why)
{
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    if (ring == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", dir);
        return NULL;
    }
    struct dirent **files = NULL;
    int count = scandir(dir, &files, is_key_file, by_bytes);
    if (count < 0) {
        (void)pw_fail(why, PW_E_NO_INPUT, "%s: %s; name the folder of the *.pwkey files",
                      dir, strerror(errno));
        return NULL;
    }
    enum pw_err err = PW_E_OK;
    for (int i = 0; i < count; i++) {
        err = err == PW_E_OK ? add_file(ring, dir, files[i]->d_name, why) : err;
        free(files[i]);
    }
    free(files);
    if (err != PW_E_OK) {
        return NULL;
    }
    struct pw_keyring *loaded = ring;
    ring = NULL;
    return loaded;
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
