/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/hex.h"

/* What is in tmp/ was being written when a process ended. */
static void
sweep(const struct pw_store *store)
{
    int tmp = store->folders[PW_FOLDER_TMP];
    PW_CLEANUP(pw_folder_done) DIR *dir = pw_folder_read(tmp);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(tmp, entry->d_name, 0);
        }
    }
}

/* Whether it has gone on from `state`: a power cut can bring the name back that it left. */
static bool
has_gone_on(const struct pw_store *store, enum pw_store_state state, const char *name)
{
    for (int later = PW_STORE_STATES - 1; later > (int)state; later--) {
        if (pw_store_is_there(store->folders[later], name)) {
            return true;
        }
    }
    return false;
}

static enum pw_err
count_entry(struct pw_store *store, enum pw_store_state state, const struct pw_entry *entry)
{
    uint8_t name[PW_ACCOUNT_NAME];
    uint32_t channel = 0;
    store->usage.entries[state]++;
    enum pw_err err = pw_account_reserve(&store->account, entry->chan, &channel);
    if (err != PW_E_OK || !entry->stored ||
        !pw_hex_decode(pw_span_str(entry->object), name, sizeof name)) {
        return err;
    }
    PW_CLEANUP(pw_file_close) int shelf = pw_store_shelf(store, entry->object);
    store->usage.missing += !pw_store_is_there(shelf, entry->object);
    pw_account_enter(&store->account, name, channel, entry->bytes);
    return PW_E_OK;
}

static enum pw_err
settle_entry(struct pw_store *store, enum pw_store_state state, const char *ulid,
             struct pw_buf *json)
{
    struct pw_entry entry;
    char name[PW_ENTRY_FILE];
    int folder = store->folders[state];
    snprintf(name, sizeof name, "%s.json", ulid);
    if (has_gone_on(store, state, name)) {
        return unlinkat(folder, name, 0) == 0 ? PW_E_OK : PW_E_IO;
    }
    pw_buf_clear(json);
    enum pw_err err = pw_entry_read(store, state, ulid, json);
    if (err != PW_E_OK && err != PW_E_LIMIT) {
        return err;
    }
    if (err == PW_E_OK && pw_entry_parse(pw_buf_span(json), &entry)) {
        return count_entry(store, state, &entry);
    }
    store->usage.torn++;
    int corrupt = store->folders[PW_FOLDER_CORRUPT];
    return renameat(folder, name, corrupt, name) == 0 ? PW_E_OK : PW_E_IO;
}

static enum pw_err
settle_state(struct pw_store *store, enum pw_store_state state)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = PW_ENTRY_LIMIT};
    enum pw_err err = pw_names_gather(store->folders[state], pw_is_entry_file, "", &names);
    if (state == PW_STORE_RELEASED || state == PW_STORE_PURGED) {
        store->usage.entries[state] = pw_names_count(&names);
        return err; /* only remembered */
    }
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&names); i++) {
        err = settle_entry(store, state, pw_names_at(&names, i), &json);
    }
    return err;
}

/* Objects without an entry: the crash came between the two, or behind a purge. */
static enum pw_err
settle_shelf(struct pw_store *store, int shelf)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ID};
    enum pw_err err = pw_names_gather(shelf, pw_is_object_file, "", &names);
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&names); i++) {
        uint8_t name[PW_ACCOUNT_NAME];
        const char *object = pw_names_at(&names, i);
        if (!pw_hex_decode(pw_span_str(object), name, sizeof name) ||
            pw_account_uses(&store->account, name, PW_ACCOUNT_ALL) > 0) {
            continue;
        }
        store->usage.orphans++;
        if (store->usage.torn == 0 && unlinkat(shelf, object, 0) != 0) {
            err = PW_E_IO;
        }
    }
    return err;
}

static enum pw_err
settle_objects(struct pw_store *store)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = 3};
    int obj = store->folders[PW_FOLDER_OBJ];
    enum pw_err err = pw_names_gather(obj, pw_is_shelf, "", &names);
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&names); i++) {
        PW_CLEANUP(pw_file_close) int shelf = pw_folder_open(obj, pw_names_at(&names, i));
        err = shelf < 0 ? PW_E_OK : settle_shelf(store, shelf);
    }
    return err;
}

enum pw_err
pw_store_settle(struct pw_store *store, struct pw_why *why)
{
    uint32_t channel = 0;
    sweep(store);
    enum pw_err err = pw_account_reserve(&store->account, "", &channel);
    for (size_t state = 0; err == PW_E_OK && state < PW_STORE_STATES; state++) {
        err = settle_state(store, (enum pw_store_state)state);
    }
    err = err == PW_E_OK ? settle_objects(store) : err;
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s; make its files readable and writable",
                       store->path, err == PW_E_IO ? strerror(errno) : pw_err_text(err));
    }
    store->usage.bytes = store->account.channels[PW_ACCOUNT_ALL].bytes;
    return PW_E_OK;
}
