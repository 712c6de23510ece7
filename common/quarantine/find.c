/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"

enum { SHORTEST_ID = 4 };

/* ---- list ---- */

static enum pw_err
visit_from(const struct pw_store *store, enum pw_store_state state,
           const struct pw_names *names, const char *since, pw_store_visit *visit,
           void *arg)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = PW_ENTRY_LIMIT};
    for (size_t i = 0; i < pw_names_count(names); i++) {
        if (strcmp(pw_names_at(names, i), since) < 0) {
            continue;
        }
        pw_buf_clear(&json);
        enum pw_err err = pw_entry_read(store, state, pw_names_at(names, i), &json);
        if (err == PW_E_NO_INPUT) {
            continue; /* moved since the folder was read */
        }
        if (err != PW_E_OK) {
            return err;
        }
        if (!visit(arg, pw_names_at(names, i), pw_buf_span(&json))) {
            return PW_E_OK;
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_store_list_since(struct pw_store *store, enum pw_store_state state, const char *since,
                    pw_store_visit *visit, void *arg, struct pw_why *why)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    enum pw_err err = pw_names_gather(store->folders[state], pw_is_entry_file, "", &names);
    pw_names_sort(&names);
    err = err == PW_E_OK ? visit_from(store, state, &names, since, visit, arg) : err;
    if (err != PW_E_OK) {
        (void)pw_fail(why, err, "%s/%s: %s", store->path,
                      pw_folder_name((enum pw_folder)state), pw_err_text(err));
    }
    return err;
}

enum pw_err
pw_store_list(struct pw_store *store, enum pw_store_state state, pw_store_visit *visit,
              void *arg, struct pw_why *why)
{
    return pw_store_list_since(store, state, "", visit, arg, why);
}

/* ---- find ---- */

static enum pw_err
find_entry(const struct pw_store *store, const char *id, struct pw_found *found,
           size_t *count)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    for (size_t state = 0; state < PW_STORE_STATES; state++) {
        size_t before = pw_names_count(&names);
        enum pw_err err =
            pw_names_gather(store->folders[state], pw_is_entry_file, id, &names);
        if (err != PW_E_OK) {
            return err;
        }
        for (size_t i = before; i < pw_names_count(&names); i++) {
            const char *name = pw_names_at(&names, i);
            *count += strcmp(found->entry, name) != 0; /* moved on while we looked */
            memcpy(found->entry, name, sizeof found->entry);
            found->state = (enum pw_store_state)state;
        }
    }
    return PW_E_OK;
}

static enum pw_err
find_object(const struct pw_store *store, const char *id, struct pw_found *found,
            size_t *count)
{
    if (strspn(id, "0123456789abcdef") != strlen(id)) {
        return PW_E_OK;
    }
    const char shelf_name[3] = {id[0], id[1], '\0'};
    PW_CLEANUP(pw_file_close)
    int shelf = pw_folder_open(store->folders[PW_FOLDER_OBJ], shelf_name);
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ID};
    enum pw_err err = pw_names_gather(shelf, pw_is_object_file, id, &names);
    if (err == PW_E_OK && pw_names_count(&names) > 0) {
        memcpy(found->object, pw_names_at(&names, 0), sizeof found->object);
        *count += pw_names_count(&names);
    }
    return err;
}

/* What the entry itself says. */
static enum pw_err
open_entry(const struct pw_store *store, struct pw_found *found, struct pw_buf *json,
           struct pw_why *why)
{
    const char *folder = pw_folder_name((enum pw_folder)found->state);
    enum pw_err err = pw_entry_read(store, found->state, found->entry, json);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s/%s/%s.json: %s", store->path, folder, found->entry,
                       pw_err_text(err));
    }
    struct pw_entry entry;
    if (!pw_entry_parse(pw_buf_span(json), &entry)) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s/%s/%s.json: is cut short, or names no object; find it by date "
                       "in obj/",
                       store->path, folder, found->entry);
    }
    memcpy(found->object, entry.object, sizeof found->object);
    found->stored = entry.stored;
    return PW_E_OK;
}

enum pw_err
pw_store_find(struct pw_store *store, const char *id, struct pw_found *found,
              struct pw_buf *json, struct pw_why *why)
{
    *found = (struct pw_found){0};
    if (strlen(id) < SHORTEST_ID) {
        return pw_fail(why, PW_E_USAGE, "\"%s\": give at least %d characters of an id", id,
                       SHORTEST_ID);
    }
    size_t count = 0;
    enum pw_err err = find_entry(store, id, found, &count);
    err = err == PW_E_OK ? find_object(store, id, found, &count) : err;
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", store->path, pw_err_text(err));
    }
    if (count != 1) {
        return pw_fail(why, count == 0 ? PW_E_NO_INPUT : PW_E_USAGE,
                       "\"%s\": %zu messages are held under it; %s", id, count,
                       count == 0 ? "see picklewall quarantine list"
                                  : "give more of the id");
    }
    if (found->entry[0] == '\0') {
        found->stored = true;
        return PW_E_OK;
    }
    return open_entry(store, found, json, why);
}
