/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/base/ulid.h"
#include "common/quarantine/object.h"

enum {
    SHORTEST_ID = 4,
    NAME_MAX_TEXT = 80,    /* longest file name of ours, with NUL */
    ENTRY_LIMIT = 1 << 20, /* of a file in hold/ */
    HEX_NAME = PW_STORE_ID - 1,
    ULID_NAME = PW_STORE_ULID - 1,
};

struct pw_store {
    char *path; /* for sentences */
    int root;
    int tmp;
    int obj;
    int hold;
    pthread_mutex_t
        lock;   /* one put at a time: what is durable stays easy to reason about */
    bool later; /* this put is one of many: pw_store_sync is what makes it durable */
    struct pw_ulid ulid;
};

/* ---- open ---- */

static int
open_folder_at(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int
make_folder_at(int parent, const char *name)
{
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    return open_folder_at(parent, name);
}

static enum pw_err
complain(const struct pw_store *store, const char *what, struct pw_why *why)
{
    int saved = errno;
    enum pw_err err = pw_fail(why, PW_E_IO, "%s/%s: %s; make room, or make it writable",
                              store->path, what, strerror(saved));
    errno = saved;
    return err;
}

static DIR *
read_folder(int folder)
{
    int fd = open_folder_at(folder, ".");
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0) {
        close(fd);
    }
    return dir;
}

static void
close_folder(DIR **dir)
{
    if (*dir != NULL) {
        closedir(*dir);
    }
}

/* What is in tmp/ was being written when a process ended. */
static void
sweep(const struct pw_store *store)
{
    PW_CLEANUP(close_folder) DIR *dir = read_folder(store->tmp);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(store->tmp, entry->d_name, 0);
        }
    }
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
    *store = (struct pw_store){.path = copy, .root = -1, .tmp = -1, .obj = -1, .hold = -1};
    store->ulid.fill = randombytes_buf;
    pthread_mutex_init(&store->lock, NULL);
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
    store->tmp = make_folder_at(store->root, "tmp");
    store->obj = make_folder_at(store->root, "obj");
    store->hold = make_folder_at(store->root, "hold");
    if (store->tmp < 0 || store->obj < 0 || store->hold < 0 || fsync(store->root) != 0) {
        (void)complain(store, "{tmp,obj,hold}", why);
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
    if (!open_folders(store, why)) {
        pw_store_free(&store);
        return NULL;
    }
    sweep(store);
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
    if (store->root >= 0) {
        store->obj = open_folder_at(store->root, "obj");
        store->hold = open_folder_at(store->root, "hold");
    }
    if (store->obj < 0 || store->hold < 0) {
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
    pw_file_close(&(*store)->tmp);
    pw_file_close(&(*store)->obj);
    pw_file_close(&(*store)->hold);
    pw_file_close(&(*store)->root);
    pthread_mutex_destroy(&(*store)->lock);
    free((*store)->path);
    free(*store);
    *store = NULL;
}

/* ---- put ---- */

static bool
write_parts(int fd, const struct pw_span *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pw_file_write_all(fd, parts[i]) != PW_E_OK) {
            return false;
        }
    }
    return true;
}

/* Head, frames and sum, each as it lies in memory. */
struct object {
    struct pw_span head;
    const struct pw_span *frames;
    size_t count;
    struct pw_span sum;
};

static bool
write_object(int fd, const struct object *object)
{
    return write_parts(fd, &object->head, 1) &&
           write_parts(fd, object->frames, object->count) &&
           write_parts(fd, &object->sum, 1);
}

static bool
to_disk(const struct pw_store *store, int fd)
{
    return store->later || fsync(fd) == 0;
}

/* A new file in tmp/, whole and on the disk; false, errno and no file otherwise. */
static bool
write_tmp(const struct pw_store *store, const char *name, const struct object *object)
{
    PW_CLEANUP(pw_file_close)
    int fd = openat(store->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    if (fd < 0) {
        return false;
    }
    if (write_object(fd, object) && to_disk(store, fd)) {
        return true;
    }
    int saved = errno;
    (void)unlinkat(store->tmp, name, 0);
    errno = saved;
    return false;
}

/* Move tmp/NAME to FOLDER/TARGET, for good. */
static bool
move_into(const struct pw_store *store, const char *name, int folder, const char *target)
{
    if (renameat(store->tmp, name, folder, target) == 0 && to_disk(store, folder)) {
        return true;
    }
    int saved = errno;
    (void)unlinkat(store->tmp, name, 0); /* one of the two is there */
    (void)unlinkat(folder, target, 0);
    errno = saved;
    return false;
}

static bool
is_stored(int folder, const char *name, uint64_t bytes)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size == bytes;
}

/* obj/ab of an object ab…; made, and durably so, when it is the first. */
static int
open_shelf(const struct pw_store *store, const char *object)
{
    const char name[3] = {object[0], object[1], '\0'};
    int fd = open_folder_at(store->obj, name);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    fd = make_folder_at(store->obj, name);
    if (fd >= 0 && !to_disk(store, store->obj)) {
        pw_file_close(&fd);
    }
    return fd;
}

static bool
put_object(const struct pw_store *store, int shelf, const struct object *object,
           struct pw_stored *out)
{
    out->fresh = !is_stored(shelf, out->object, out->bytes);
    if (!out->fresh) {
        return to_disk(store, shelf); /* whoever moved it here may have died before this */
    }
    return write_tmp(store, out->entry, object) &&
           move_into(store, out->entry, shelf, out->object);
}

static bool
put_entry(const struct pw_store *store, struct pw_span json, const struct pw_stored *out)
{
    char name[NAME_MAX_TEXT];
    snprintf(name, sizeof name, "%s.json", out->entry);
    const struct object file = {.head = json};
    return write_tmp(store, name, &file) && move_into(store, name, store->hold, name);
}

/* The object stays only with an entry that speaks of it. */
static enum pw_err
put_files(const struct pw_store *store, const struct object *object, struct pw_span json,
          struct pw_stored *out, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int shelf = open_shelf(store, out->object);
    if (shelf < 0 || !put_object(store, shelf, object, out)) {
        return complain(store, "obj", why);
    }
    if (put_entry(store, json, out)) {
        return PW_E_OK;
    }
    enum pw_err err = complain(store, "hold", why);
    if (out->fresh) {
        (void)unlinkat(shelf, out->object, 0);
    }
    return err;
}

static enum pw_err
make_entry(const struct pw_stored *stored, struct pw_span meta, struct pw_buf *out)
{
    struct pw_json json = pw_json_over(out);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "entry", stored->entry);
    pw_json_str(&json, "object", stored->object);
    pw_json_uint(&json, "bytes", stored->bytes);
    pw_json_raw(&json, meta);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    return json.err;
}

/* Everything that needs memory, before anything is on the disk. */
static enum pw_err
prepare(const struct pw_span *frames, size_t count, struct pw_span meta,
        struct pw_buf *head, struct pw_buf *json, uint8_t sum[static PW_OBJECT_SUM],
        struct pw_stored *out)
{
    enum pw_err err = pw_object_make(frames, count, head, sum);
    if (err != PW_E_OK) {
        return err;
    }
    pw_hex_encode((struct pw_span){sum, PW_OBJECT_SUM}, out->object);
    out->bytes = pw_object_size(frames, count);
    return make_entry(out, meta, json);
}

static enum pw_err
put(struct pw_store *store, bool later, const struct pw_span *frames, size_t count,
    struct pw_span meta, struct pw_stored *out, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf head = {.limit = SIZE_MAX / 2};
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = ENTRY_LIMIT};
    uint8_t sum[PW_OBJECT_SUM];
    *out = (struct pw_stored){0};
    pthread_mutex_lock(&store->lock);
    store->later = later;
    pw_ulid_next(&store->ulid, pw_clock_wall(), out->entry);
    enum pw_err err = prepare(frames, count, meta, &head, &json, sum, out);
    if (err == PW_E_OK) {
        const struct object object = {pw_buf_span(&head), frames, count, {sum, sizeof sum}};
        err = put_files(store, &object, pw_buf_span(&json), out, why);
    } else {
        (void)pw_fail(why, err, "%s: an entry was not made: %s", store->path,
                      pw_err_text(err));
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

enum pw_err
pw_store_put(struct pw_store *store, const struct pw_span *frames, size_t count,
             struct pw_span meta, struct pw_stored *out, struct pw_why *why)
{
    return put(store, false, frames, count, meta, out, why);
}

enum pw_err
pw_store_put_later(struct pw_store *store, const struct pw_span *frames, size_t count,
                   struct pw_span meta, struct pw_stored *out, struct pw_why *why)
{
    return put(store, true, frames, count, meta, out, why);
}

enum pw_err
pw_store_sync(struct pw_store *store, struct pw_why *why)
{
    return syncfs(store->root) == 0 ? PW_E_OK : complain(store, ".", why);
}

/* ---- list ---- */

/* Names of one length, one behind the other, each with its NUL. */
struct names {
    struct pw_buf text;
    size_t each;
};

static bool
is_made_of(const char *text, size_t len, const char *alphabet)
{
    return strspn(text, alphabet) >= len;
}

static bool
is_entry_file(const char *name)
{
    return strlen(name) == ULID_NAME + 5 && strcmp(name + ULID_NAME, ".json") == 0 &&
           is_made_of(name, ULID_NAME, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
}

static bool
is_object_file(const char *name)
{
    return strlen(name) == HEX_NAME && is_made_of(name, HEX_NAME, "0123456789abcdef");
}

/* The names in `folder` that start with `prefix`, cut to `each` - 1 characters. */
static enum pw_err
gather(int folder, bool (*wanted)(const char *name), const char *prefix,
       struct names *names)
{
    PW_CLEANUP(close_folder) DIR *dir = read_folder(folder);
    if (dir == NULL) {
        return PW_E_IO;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!wanted(entry->d_name) || strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        entry->d_name[names->each - 1] = '\0';
        struct pw_span name = {(const uint8_t *)entry->d_name, names->each};
        enum pw_err err = pw_buf_append(&names->text, name);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

static size_t
name_count(const struct names *names)
{
    return names->text.len / names->each;
}

static const char *
name_at(const struct names *names, size_t i)
{
    return (const char *)names->text.bytes + i * names->each;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* PW_E_NO_INPUT when it is not there (any more). */
static enum pw_err
read_at(int folder, const char *name, struct pw_buf *out)
{
    PW_CLEANUP(pw_file_close)
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? PW_E_NO_INPUT : PW_E_IO;
    }
    return pw_file_read_fd(fd, out);
}

static enum pw_err
read_entry(const struct pw_store *store, const char *entry, struct pw_buf *out)
{
    char name[NAME_MAX_TEXT];
    snprintf(name, sizeof name, "%.*s.json", (int)ULID_NAME, entry);
    enum pw_err err = read_at(store->hold, name, out);
    while (err == PW_E_OK && out->len > 0 && out->bytes[out->len - 1] == '\n') {
        out->len--;
    }
    return err;
}

static enum pw_err
visit_all(const struct pw_store *store, const struct names *names, pw_store_visit *visit,
          void *arg)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = ENTRY_LIMIT};
    for (size_t i = 0; i < name_count(names); i++) {
        pw_buf_clear(&json);
        enum pw_err err = read_entry(store, name_at(names, i), &json);
        if (err == PW_E_NO_INPUT) {
            continue; /* taken away since the folder was read */
        }
        if (err != PW_E_OK) {
            return err;
        }
        if (!visit(arg, name_at(names, i), pw_buf_span(&json))) {
            return PW_E_OK;
        }
    }
    return PW_E_OK;
}

static void
free_names(struct names *names)
{
    pw_buf_free(&names->text);
}

enum pw_err
pw_store_list(struct pw_store *store, pw_store_visit *visit, void *arg, struct pw_why *why)
{
    PW_CLEANUP(free_names)
    struct names names = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    enum pw_err err = gather(store->hold, is_entry_file, "", &names);
    if (err == PW_E_OK && names.text.len > 0) {
        qsort(names.text.bytes, name_count(&names), names.each, compare_names);
        err = visit_all(store, &names, visit, arg);
    }
    if (err != PW_E_OK) {
        (void)pw_fail(why, err, "%s/hold: %s", store->path, pw_err_text(err));
    }
    return err;
}

/* ---- get ---- */

static enum pw_err
read_object(const struct pw_store *store, const char *object, struct pw_held *held,
            struct pw_why *why)
{
    const char shelf_name[3] = {object[0], object[1], '\0'};
    PW_CLEANUP(pw_file_close) int shelf = open_folder_at(store->obj, shelf_name);
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    enum pw_err err = shelf < 0 ? PW_E_NO_INPUT : read_at(shelf, object, &bytes);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s/obj/%s/%s: %s", store->path, shelf_name, object,
                       pw_err_text(err));
    }
    err = pw_held_parse(&bytes, held, why);
    if (err != PW_E_OK) {
        return err;
    }
    char name[PW_STORE_ID];
    pw_store_name(held->frames, held->count, name);
    if (strcmp(name, object) != 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s/obj/%s/%s: holds the object %s; somebody renamed it",
                       store->path, shelf_name, object, name);
    }
    return PW_E_OK;
}

/* An entry starts as make_entry writes it; `object` receives the name in it. */
static bool
object_of_entry(struct pw_span json, char object[static PW_STORE_ID])
{
    struct pw_cursor cur = pw_cursor_over(json);
    struct pw_span opening = pw_cursor_take(&cur, strlen("{\"entry\":\""));
    (void)pw_cursor_take(&cur, ULID_NAME);
    struct pw_span middle = pw_cursor_take(&cur, strlen("\",\"object\":\""));
    struct pw_span name = pw_cursor_take(&cur, HEX_NAME);
    if (cur.truncated || !pw_span_equal(opening, pw_span_str("{\"entry\":\"")) ||
        !pw_span_equal(middle, pw_span_str("\",\"object\":\""))) {
        return false;
    }
    memcpy(object, name.ptr, HEX_NAME);
    object[HEX_NAME] = '\0';
    return is_object_file(object);
}

static enum pw_err
get_entry(const struct pw_store *store, const char *entry, struct pw_held *held,
          struct pw_buf *json, struct pw_why *why)
{
    char object[PW_STORE_ID];
    enum pw_err err = read_entry(store, entry, json);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s/hold/%s.json: %s", store->path, entry,
                       pw_err_text(err));
    }
    if (!object_of_entry(pw_buf_span(json), object)) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s/hold/%s.json: names no object; find it by date in obj/",
                       store->path, entry);
    }
    return read_object(store, object, held, why);
}

static enum pw_err
find(const struct pw_store *store, const char *id, struct names *entries,
     struct names *objects)
{
    enum pw_err err = gather(store->hold, is_entry_file, id, entries);
    if (err != PW_E_OK || !is_made_of(id, 2, "0123456789abcdef")) {
        return err;
    }
    const char shelf_name[3] = {id[0], id[1], '\0'};
    PW_CLEANUP(pw_file_close) int shelf = open_folder_at(store->obj, shelf_name);
    return shelf < 0 ? PW_E_OK : gather(shelf, is_object_file, id, objects);
}

enum pw_err
pw_store_get(struct pw_store *store, const char *id, struct pw_held *held,
             struct pw_buf *json, struct pw_why *why)
{
    *held = (struct pw_held){0};
    if (strlen(id) < SHORTEST_ID) {
        return pw_fail(why, PW_E_USAGE, "\"%s\": give at least %d characters of an id", id,
                       SHORTEST_ID);
    }
    PW_CLEANUP(free_names)
    struct names entries = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ULID};
    PW_CLEANUP(free_names)
    struct names objects = {.text = {.limit = SIZE_MAX / 2}, .each = PW_STORE_ID};
    enum pw_err err = find(store, id, &entries, &objects);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", store->path, pw_err_text(err));
    }
    size_t found = name_count(&entries) + name_count(&objects);
    if (found != 1) {
        return pw_fail(why, found == 0 ? PW_E_NO_INPUT : PW_E_USAGE,
                       "\"%s\": %zu messages are held under it; %s", id, found,
                       found == 0 ? "see picklewall quarantine list"
                                  : "give more of the id");
    }
    return name_count(&entries) == 1
               ? get_entry(store, name_at(&entries, 0), held, json, why)
               : read_object(store, name_at(&objects, 0), held, why);
}
