/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"

enum { NOTE_LIMIT = 1 << 16 };

/* What root writes, the wall must be able to read. */
static void
give_to_owner(const struct pw_store *store, const char *name)
{
    struct stat st;
    if (geteuid() == 0 && fstat(store->root, &st) == 0) {
        (void)!fchownat(store->folders[PW_FOLDER_NOTES], name, st.st_uid, st.st_gid,
                        AT_SYMLINK_NOFOLLOW);
    }
}

enum pw_err
pw_store_note(struct pw_store *store, struct pw_span members, char *id, struct pw_why *why)
{
    char ulid[PW_ULID_TEXT];
    char name[PW_ENTRY_FILE];
    pthread_mutex_lock(&store->lock);
    pw_ulid_next(&store->ulid, pw_clock_wall(), ulid);
    snprintf(name, sizeof name, "%s.json", ulid);
    bool written = pw_store_write_tmp(store, name, pw_store_write_span, &members) &&
                   pw_store_move_into(store, name, store->folders[PW_FOLDER_NOTES], name);
    pthread_mutex_unlock(&store->lock);
    if (!written) {
        return pw_store_complain(store, "notes", why);
    }
    give_to_owner(store, name);
    if (id != NULL) {
        memcpy(id, ulid, PW_STORE_ULID);
    }
    return PW_E_OK;
}

enum pw_err
pw_store_notes(struct pw_store *store, pw_store_visit *visit, void *arg, struct pw_why *why)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    PW_CLEANUP(pw_buf_free) struct pw_buf note = {.limit = NOTE_LIMIT};
    int folder = store->folders[PW_FOLDER_NOTES];
    enum pw_err first = pw_names_gather(folder, pw_is_entry_file, "", &names);
    if (first != PW_E_OK) {
        return pw_fail(why, first, "%s/notes: %s", store->path, pw_err_text(first));
    }
    pw_names_sort(&names);
    for (size_t i = 0; i < pw_names_count(&names); i++) {
        char name[PW_ENTRY_FILE];
        const char *id = pw_names_at(&names, i);
        snprintf(name, sizeof name, "%s.json", id);
        pw_buf_clear(&note);
        enum pw_err err = pw_store_read_at(folder, name, &note);
        if (err == PW_E_OK && !visit(arg, id, pw_buf_span(&note))) {
            break;
        }
        if (err != PW_E_OK && first == PW_E_OK) {
            first = pw_fail(why, err, "%s/notes/%s: %s; look at it, and remove it",
                            store->path, name, pw_err_text(err));
        }
    }
    return first;
}

void
pw_store_note_told(struct pw_store *store, const char *id)
{
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%.*s.json", (int)PW_ULID_NAME, id);
    if (pw_is_entry_file(name)) {
        (void)unlinkat(store->folders[PW_FOLDER_NOTES], name, 0);
    }
}
