/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/hex.h"

static bool
needs_object(enum pw_store_state state)
{
    return state == PW_STORE_HELD || state == PW_STORE_RELEASING;
}

/*
 * The entry needs its object no more; bytes of the file that went with it. When the entry
 * may come back the file stays for it, until the next start.
 */
static uint64_t
let_go(struct pw_store *store, const struct pw_entry *entry, bool firm)
{
    uint8_t name[PW_ACCOUNT_NAME];
    uint32_t channel = 0;
    if (!entry->stored || !pw_hex_decode(pw_span_str(entry->object), name, sizeof name) ||
        pw_account_reserve(&store->account, entry->chan, &channel) != PW_E_OK ||
        !pw_account_leave(&store->account, name, channel)) {
        return 0;
    }
    PW_CLEANUP(pw_file_close) int shelf = pw_store_shelf(store, entry->object);
    bool gone = firm && shelf >= 0 && unlinkat(shelf, entry->object, 0) == 0;
    return gone ? entry->bytes : 0;
}

/* Asked twice: the first may report an error of something that was written before. */
static bool
make_firm(int folder)
{
    for (int turn = 0; turn < 2; turn++) {
        if (fsync(folder) == 0) {
            return true;
        }
    }
    return false;
}

enum pw_moved
pw_store_move_entry(struct pw_store *store, const char *entry, enum pw_store_state from,
                    enum pw_store_state to, uint64_t *freed)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = PW_ENTRY_LIMIT};
    struct pw_entry what = {0};
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%.*s.json", (int)PW_ULID_NAME, entry);
    enum pw_err err = pw_entry_read(store, from, entry, &json);
    if (err != PW_E_OK) {
        errno = err == PW_E_NO_INPUT ? ENOENT : err == PW_E_NOMEM ? ENOMEM : EIO;
        return PW_MOVED_NOT;
    }
    bool known = pw_entry_parse(pw_buf_span(&json), &what);
    int left = store->folders[from];
    int reached = store->folders[to];
    if (renameat(left, name, reached, name) != 0) {
        return PW_MOVED_NOT;
    }
    store->usage.entries[from]--;
    store->usage.entries[to]++;
    if (to == PW_STORE_HELD && pw_entry_ms(entry) < store->oldest_ms) {
        store->oldest_ms = pw_entry_ms(entry);
    }
    bool firm = make_firm(reached) && make_firm(left);
    int number = errno;
    if (known && needs_object(from) && !needs_object(to)) {
        uint64_t bytes = let_go(store, &what, firm);
        store->usage.bytes = store->account.channels[PW_ACCOUNT_ALL].bytes;
        *(freed != NULL ? freed : &bytes) += bytes;
    }
    errno = number;
    return firm ? PW_MOVED_FIRM : PW_MOVED_LOOSE;
}

static enum pw_err
purge(struct pw_store *store, const char *entry, struct pw_gone *gone, struct pw_why *why)
{
    if (pw_store_move_entry(store, entry, PW_STORE_HELD, PW_STORE_PURGED, &gone->bytes) !=
        PW_MOVED_NOT) {
        snprintf(gone->entries[gone->count++], PW_STORE_ULID, "%.*s", (int)PW_ULID_NAME,
                 entry);
        return PW_E_OK;
    }
    enum pw_err err =
        errno == ENOENT ? PW_E_NO_INPUT : (errno == ENOMEM ? PW_E_NOMEM : PW_E_IO);
    return pw_fail(why, err, "%s/hold/%s.json: %s", store->path, entry,
                   err == PW_E_NO_INPUT ? "no such message is held; see picklewall "
                                          "quarantine list"
                                        : strerror(errno));
}

enum pw_err
pw_store_purge(struct pw_store *store, const char *entry, struct pw_gone *gone,
               struct pw_why *why)
{
    pthread_mutex_lock(&store->lock);
    enum pw_err err = purge(store, entry, gone, why);
    pthread_mutex_unlock(&store->lock);
    return err;
}

bool
pw_store_has(const struct pw_store *store, enum pw_store_state state, const char *entry)
{
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%.*s.json", (int)PW_ULID_NAME, entry);
    return strlen(entry) == PW_ULID_NAME && pw_is_entry_file(name) &&
           pw_store_is_there(store->folders[state], name);
}

/* Those of `names`, which are sorted. */
static enum pw_err
take_old(const struct pw_store *store, const struct pw_names *names, uint64_t before_ms,
         struct pw_gone *old, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = PW_ENTRY_LIMIT};
    enum pw_err first = PW_E_OK;
    for (size_t i = 0; i < pw_names_count(names) && old->count < PW_STORE_BATCH &&
                       pw_entry_ms(pw_names_at(names, i)) < before_ms;
         i++) {
        const char *entry = pw_names_at(names, i);
        pw_buf_clear(&json);
        enum pw_err err = pw_entry_read(store, PW_STORE_HELD, entry, &json);
        if (err == PW_E_OK) {
            memcpy(old->entries[old->count++], entry, PW_STORE_ULID);
        } else if (err != PW_E_NO_INPUT && first == PW_E_OK) { /* not moved on meanwhile */
            first = pw_fail(why, err, "%s/hold/%s.json does not go, though it is old: %s",
                            store->path, entry, pw_err_text(err));
        }
    }
    return first;
}

static void
note_oldest(struct pw_store *store, uint64_t ms)
{
    pthread_mutex_lock(&store->lock);
    store->oldest_ms = ms < store->oldest_ms ? ms : store->oldest_ms;
    pthread_mutex_unlock(&store->lock);
}

enum pw_err
pw_store_old(struct pw_store *store, uint64_t wall_ns, struct pw_gone *old,
             struct pw_why *why)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    uint64_t before_ms = wall_ns / 1000000;
    *old = (struct pw_gone){0};
    pthread_mutex_lock(&store->lock);
    bool due = store->oldest_ms < before_ms;
    store->oldest_ms =
        due ? UINT64_MAX : store->oldest_ms; /* but for what comes meanwhile */
    pthread_mutex_unlock(&store->lock);
    if (!due) {
        return PW_E_OK;
    }
    enum pw_err err =
        pw_names_gather(store->folders[PW_FOLDER_HOLD], pw_is_entry_file, "", &names);
    if (err != PW_E_OK) {
        note_oldest(store, 0);
        return pw_fail(why, err, "%s/hold: %s", store->path, pw_err_text(err));
    }
    pw_names_sort(&names);
    if (pw_names_count(&names) > 0) {
        note_oldest(store, pw_entry_ms(pw_names_at(&names, 0)));
    }
    return take_old(store, &names, before_ms, old, why);
}

enum pw_err
pw_store_surplus(struct pw_store *store, enum pw_store_state state, struct pw_gone *oldest,
                 struct pw_why *why)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    *oldest = (struct pw_gone){0};
    uint64_t most = pw_store_limits_now(store).max_messages;
    if (store->usage.entries[state] <= most) {
        return PW_E_OK;
    }
    enum pw_err err = pw_names_gather(store->folders[state], pw_is_entry_file, "", &names);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s/%s: %s", store->path,
                       pw_folder_name((enum pw_folder)state), pw_err_text(err));
    }
    pw_names_sort(&names);
    size_t count = pw_names_count(&names);
    for (size_t i = 0; i < PW_STORE_BATCH && count > most + i; i++) {
        memcpy(oldest->entries[oldest->count++], pw_names_at(&names, i), PW_STORE_ULID);
    }
    return PW_E_OK;
}

enum pw_err
pw_store_forget(struct pw_store *store, enum pw_store_state state, const char *entry,
                struct pw_gone *gone, struct pw_why *why)
{
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%.*s.json", (int)PW_ULID_NAME, entry);
    pthread_mutex_lock(&store->lock);
    bool removed = unlinkat(store->folders[state], name, 0) == 0;
    store->usage.entries[state] -= removed;
    pthread_mutex_unlock(&store->lock);
    if (!removed && errno != ENOENT) {
        return pw_fail(why, PW_E_IO, "%s/%s/%s: %s", store->path,
                       pw_folder_name((enum pw_folder)state), name, strerror(errno));
    }
    if (removed) {
        memcpy(gone->entries[gone->count++], entry, PW_STORE_ULID);
    }
    return PW_E_OK;
}
