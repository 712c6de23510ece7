/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/file.h"

static const char *const folder_names[PW_FOLDER_COUNT] = {
    [PW_FOLDER_HOLD] = "hold",         [PW_FOLDER_RELEASING] = "releasing",
    [PW_FOLDER_RELEASED] = "released", [PW_FOLDER_PURGED] = "purged",
    [PW_FOLDER_TMP] = "tmp",           [PW_FOLDER_OBJ] = "obj",
    [PW_FOLDER_CORRUPT] = "corrupt",   [PW_FOLDER_NOTES] = "notes",
};

const char *
pw_folder_name(enum pw_folder folder)
{
    return folder_names[folder];
}

const char *
pw_store_state_text(enum pw_store_state state)
{
    return state == PW_STORE_HELD ? "held" : folder_names[state];
}

bool
pw_store_state_parse(const char *text, enum pw_store_state *state)
{
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        if (strcmp(text, pw_store_state_text((enum pw_store_state)i)) == 0) {
            *state = (enum pw_store_state)i;
            return true;
        }
    }
    return false;
}

static struct pw_store *
new_store(const char *path, struct pw_why *why)
{
    struct pw_store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (store == NULL || copy == NULL || sodium_init() < 0) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", path);
        free(store);
        free(copy);
        return NULL;
    }
    *store = (struct pw_store){.path = copy, .root = -1};
    for (size_t i = 0; i < PW_FOLDER_COUNT; i++) {
        store->folders[i] = -1;
    }
    store->ulid.fill = randombytes_buf;
    randombytes_buf(store->account.key, sizeof store->account.key);
    store->limits = (struct pw_store_limits){UINT64_MAX, UINT64_MAX, 0, 0, false};
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->limits_lock, NULL);
    return store;
}

static bool
open_folders(struct pw_store *store, struct pw_why *why)
{
    store->root = pw_file_open_dir(store->path, why);
    if (store->root < 0) {
        return false;
    }
    if (flock(store->root, LOCK_EX | LOCK_NB) != 0) {
        (void)pw_fail(
            why, PW_E_BUSY,
            "%s: in use by another process; give each wall a state folder of its own",
            store->path);
        return false;
    }
    for (size_t i = 0; i < PW_FOLDER_COUNT; i++) {
        store->folders[i] = pw_folder_make(store->root, folder_names[i]);
        if (store->folders[i] < 0) {
            (void)pw_store_complain(store, folder_names[i], why);
            return false;
        }
    }
    /* What a dead process made in them, such as a shelf, must outlast a power cut too. */
    if (fsync(store->folders[PW_FOLDER_OBJ]) != 0 || fsync(store->root) != 0) {
        (void)pw_store_complain(store, ".", why);
        return false;
    }
    return true;
}

struct pw_store *
pw_store_open(const char *path, struct pw_why *why)
{
    struct pw_store *store = new_store(path, why);
    if (store == NULL) {
        return NULL;
    }
    store->writer = true;
    if (!open_folders(store, why) || pw_store_settle(store, why) != PW_E_OK) {
        pw_store_free(&store);
        return NULL;
    }
    return store;
}

struct pw_store *
pw_store_open_readonly(const char *path, struct pw_why *why)
{
    struct pw_store *store = new_store(path, why);
    if (store == NULL) {
        return NULL;
    }
    store->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; store->root >= 0 && i < PW_FOLDER_COUNT; i++) {
        store->folders[i] = pw_folder_open(store->root, folder_names[i]);
    }
    if (store->folders[PW_FOLDER_OBJ] < 0 || store->folders[PW_FOLDER_HOLD] < 0) {
        (void)pw_fail(why, errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT,
                      "%s: no quarantine to read: %s; name the folder with --state", path,
                      strerror(errno));
        pw_store_free(&store);
    }
    return store;
}

void
pw_store_free(struct pw_store **store)
{
    if (*store == NULL) {
        return;
    }
    for (size_t i = 0; i < PW_FOLDER_COUNT; i++) {
        pw_file_close(&(*store)->folders[i]);
    }
    pw_file_close(&(*store)->root);
    pthread_mutex_destroy(&(*store)->limits_lock);
    pthread_mutex_destroy(&(*store)->lock);
    pw_account_free(&(*store)->account);
    sodium_memzero((*store)->name_key, sizeof(*store)->name_key);
    sodium_free((*store)->secret);
    free((*store)->room);
    free((*store)->path);
    free(*store);
    *store = NULL;
}

struct pw_store_usage
pw_store_usage(struct pw_store *store)
{
    const struct pw_store_counts *counts = &store->usage;
    struct pw_store_usage usage = {.bytes = counts->bytes,
                                   .torn = counts->torn,
                                   .missing = counts->missing,
                                   .orphans = counts->orphans};
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        usage.entries[i] = counts->entries[i];
    }
    return usage;
}
