/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/file.h"
#include "common/quarantine/inside.h"

enum { PATH_ROOM = 192, YOUNG_S = 60 };

static const struct {
    const char *text;
    const char *remedy;
} faults[PW_FAULT_COUNT] = {
    [PW_FAULT_TORN] = {"torn", "an entry cut short by a crash; the next start of the wall "
                               "puts it aside in corrupt/"},
    [PW_FAULT_TWICE] = {"twice", "an entry in two states after a power cut; the next start "
                                 "of the wall keeps the later one"},
    [PW_FAULT_MISSING] = {"missing",
                          "the message of this entry is lost; purge the entry, or "
                          "restore the object"},
    [PW_FAULT_DAMAGED] = {"damaged",
                          "do not use it; restore it, or move it to corrupt/ and "
                          "purge its entries"},
    [PW_FAULT_NEWER] = {"newer", "a later release of picklewall wrote it; use that one"},
    [PW_FAULT_ORPHAN] = {"orphan",
                         "no entry needs it; the next start of the wall removes it"},
};

const char *
pw_fault_text(enum pw_fault fault)
{
    return faults[fault].text;
}

const char *
pw_fault_remedy(enum pw_fault fault)
{
    return faults[fault].remedy;
}

/* One check under way. */
struct check {
    struct pw_store *store;
    pw_store_fault *fault;
    void *arg;
    struct pw_store_check *out;
    struct pw_buf needs; /* of struct need, in order of object */
};

/* An entry that needs its object. */
struct need {
    char object[PW_STORE_ID];
    char entry[PW_STORE_ULID];
    uint8_t state;
};

static void
tell(struct check *check, enum pw_fault fault, const char *path)
{
    check->out->faults[fault]++;
    check->fault(check->arg, fault, path);
}

/* ---- entries ---- */

/* Whether the entry is in a later state, and still in this one. */
static bool
is_later_too(const struct pw_store *store, enum pw_store_state state, const char *name)
{
    for (size_t later = state + 1; later < PW_STORE_STATES; later++) {
        if (pw_store_is_there(store->folders[later], name) &&
            pw_store_is_there(store->folders[state], name)) {
            return true; /* looked at in the order that it moves in */
        }
    }
    return false;
}

static enum pw_err
check_entry(struct check *check, enum pw_store_state state, const char *ulid,
            struct pw_buf *json)
{
    char path[PATH_ROOM];
    char name[PW_ENTRY_FILE];
    struct pw_entry entry;
    struct need need = {.state = (uint8_t)state};
    snprintf(name, sizeof name, "%s.json", ulid);
    snprintf(path, sizeof path, "%s/%s", pw_folder_name((enum pw_folder)state), name);
    pw_buf_clear(json);
    enum pw_err err = pw_entry_read(check->store, state, ulid, json);
    if (err != PW_E_OK && err != PW_E_LIMIT) {
        return err == PW_E_NO_INPUT ? PW_E_OK : err; /* moved on meanwhile */
    }
    check->out->entries[state]++;
    if (is_later_too(check->store, state, name)) {
        tell(check, PW_FAULT_TWICE, path);
        return PW_E_OK;
    }
    if (err == PW_E_LIMIT || !pw_entry_parse(pw_buf_span(json), &entry)) {
        tell(check, PW_FAULT_TORN, path);
        return PW_E_OK;
    }
    check->out->unstored += !entry.stored;
    if (!entry.stored || state == PW_STORE_RELEASED || state == PW_STORE_PURGED) {
        return PW_E_OK;
    }
    memcpy(need.object, entry.object, sizeof need.object);
    snprintf(need.entry, sizeof need.entry, "%s", ulid);
    return pw_buf_append(&check->needs,
                         (struct pw_span){(const uint8_t *)&need, sizeof need});
}

static enum pw_err
check_state(struct check *check, enum pw_store_state state)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = PW_ENTRY_LIMIT};
    enum pw_err err =
        pw_names_gather(check->store->folders[state], pw_is_entry_file, "", &names);
    pw_names_sort(&names);
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&names); i++) {
        err = check_entry(check, state, pw_names_at(&names, i), &json);
    }
    return err;
}

static int
compare_needs(const void *a, const void *b)
{
    return strcmp(((const struct need *)a)->object, ((const struct need *)b)->object);
}

static size_t
need_count(const struct check *check)
{
    return check->needs.len / sizeof(struct need);
}

static bool
is_needed(const struct check *check, const char *object)
{
    struct need wanted = {.state = 0};
    snprintf(wanted.object, sizeof wanted.object, "%s", object);
    return need_count(check) > 0 && bsearch(&wanted, check->needs.bytes, need_count(check),
                                            sizeof wanted, compare_needs) != NULL;
}

/* ---- objects ---- */

/* So new that its entry may be on its way. */
static bool
is_young(int shelf, const char *object)
{
    struct stat st;
    return fstatat(shelf, object, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
           st.st_mtim.tv_sec > time(NULL) - YOUNG_S;
}

static enum pw_err
check_object(struct check *check, int shelf, const char *object)
{
    char path[PATH_ROOM];
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    enum pw_err err = pw_store_read_file(check->store, object, &bytes, NULL);
    if (err == PW_E_NO_INPUT) {
        return PW_E_OK; /* purged meanwhile */
    }
    snprintf(path, sizeof path, "obj/%.2s/%s", object, object);
    check->out->objects++;
    check->out->bytes += bytes.len;
    if (err == PW_E_FORMAT || err == PW_E_USAGE) {
        tell(check, err == PW_E_FORMAT ? PW_FAULT_DAMAGED : PW_FAULT_NEWER, path);
    } else if (err != PW_E_OK) {
        return err;
    }
    if (!is_needed(check, object) && !is_young(shelf, object)) {
        tell(check, PW_FAULT_ORPHAN, path);
    }
    return PW_E_OK;
}

static enum pw_err
check_shelf(struct check *check, const char *shelf_name)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ID};
    PW_CLEANUP(pw_file_close)
    int shelf = pw_folder_open(check->store->folders[PW_FOLDER_OBJ], shelf_name);
    enum pw_err err = pw_names_gather(shelf, pw_is_object_file, "", &names);
    pw_names_sort(&names);
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&names); i++) {
        err = check_object(check, shelf, pw_names_at(&names, i));
    }
    return err;
}

static enum pw_err
check_objects(struct check *check)
{
    PW_CLEANUP(pw_names_free)
    struct pw_names shelves = {.text = {.limit = SIZE_MAX / 2}, .each = 3};
    enum pw_err err =
        pw_names_gather(check->store->folders[PW_FOLDER_OBJ], pw_is_shelf, "", &shelves);
    pw_names_sort(&shelves);
    for (size_t i = 0; err == PW_E_OK && i < pw_names_count(&shelves); i++) {
        err = check_shelf(check, pw_names_at(&shelves, i));
    }
    return err;
}

/* Objects that are not there; the entry is looked at again, for it may have moved on. */
static void
check_needs(struct check *check)
{
    for (size_t i = 0; i < need_count(check); i++) {
        struct need need;
        char name[PW_ENTRY_FILE];
        char path[PATH_ROOM];
        memcpy(&need, check->needs.bytes + i * sizeof need, sizeof need);
        PW_CLEANUP(pw_file_close) int shelf = pw_store_shelf(check->store, need.object);
        snprintf(name, sizeof name, "%s.json", need.entry);
        if (!pw_store_is_there(shelf, need.object) &&
            pw_store_is_there(check->store->folders[need.state], name)) {
            snprintf(path, sizeof path, "%s/%s", pw_folder_name((enum pw_folder)need.state),
                     name);
            tell(check, PW_FAULT_MISSING, path);
        }
    }
}

static bool
is_visible(const char *name)
{
    return name[0] != '.';
}

enum pw_err
pw_store_check(struct pw_store *store, pw_store_fault *fault, void *arg,
               struct pw_store_check *out, struct pw_why *why)
{
    struct check check = {store, fault, arg, out, {.limit = SIZE_MAX / 2}};
    PW_CLEANUP(pw_names_free)
    struct pw_names aside = {.text = {.limit = SIZE_MAX / 2}, .each = 2};
    enum pw_err err = PW_E_OK;
    *out = (struct pw_store_check){0};
    for (size_t state = 0; err == PW_E_OK && state < PW_STORE_STATES; state++) {
        err = check_state(&check, (enum pw_store_state)state);
    }
    if (need_count(&check) > 0) {
        qsort(check.needs.bytes, need_count(&check), sizeof(struct need), compare_needs);
    }
    err = err == PW_E_OK ? check_objects(&check) : err;
    if (err == PW_E_OK) {
        check_needs(&check);
        err = pw_names_gather(store->folders[PW_FOLDER_CORRUPT], is_visible, "", &aside);
        out->corrupt = pw_names_count(&aside);
    }
    pw_buf_free(&check.needs);
    return err == PW_E_OK ? err
                          : pw_fail(why, err, "%s: %s", store->path,
                                    err == PW_E_IO ? strerror(errno) : pw_err_text(err));
}
