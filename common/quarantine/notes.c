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
pw_store_note(struct pw_store *store, struct pw_span members, struct pw_why *why)
{
    char id[PW_ULID_TEXT];
    char name[PW_ENTRY_FILE];
    pthread_mutex_lock(&store->lock);
    pw_ulid_next(&store->ulid, pw_clock_wall(), id);
    snprintf(name, sizeof name, "%s.json", id);
    bool written = pw_store_write_tmp(store, name, pw_store_write_span, &members) &&
                   pw_store_move_into(store, name, store->folders[PW_FOLDER_NOTES], name);
    pthread_mutex_unlock(&store->lock);
    if (!written) {
        return pw_store_complain(store, "notes", why);
    }
    give_to_owner(store, name);
    return PW_E_OK;
}

static enum pw_err
gather(const struct pw_store *store, struct pw_names *names)
{
    enum pw_err err =
        pw_names_gather(store->folders[PW_FOLDER_NOTES], pw_is_entry_file, "", names);
    pw_names_sort(names);
    return err;
}

enum pw_err
pw_store_notes(struct pw_store *store, pw_store_visit *visit, void *arg, struct pw_why *why)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    PW_CLEANUP(pw_buf_free) struct pw_buf note = {.limit = NOTE_LIMIT};
    enum pw_err err = gather(store, &names);
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&names); i++) {
        char name[PW_ENTRY_FILE];
        snprintf(name, sizeof name, "%s.json", pw_names_at(&names, i));
        pw_buf_clear(&note);
        err = pw_store_read_at(store->folders[PW_FOLDER_NOTES], name, &note);
        if (err == PW_E_OK && !visit(arg, pw_names_at(&names, i), pw_buf_span(&note))) {
            break;
        }
    }
    return err == PW_E_OK
               ? err
               : pw_fail(why, err, "%s/notes: %s", store->path, pw_err_text(err));
}

void
pw_store_notes_told(struct pw_store *store)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    if (gather(store, &names) != PW_E_OK) {
        return; /* they are told once more at the next start */
    }
    for (size_t i = 0; i < pw_names_count(&names); i++) {
        char name[PW_ENTRY_FILE];
        snprintf(name, sizeof name, "%s.json", pw_names_at(&names, i));
        (void)unlinkat(store->folders[PW_FOLDER_NOTES], name, 0);
    }
}
