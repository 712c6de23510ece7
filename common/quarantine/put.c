/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/json.h"

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
    int fd = pw_folder_open(store->folders[PW_FOLDER_OBJ], name);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    fd = pw_folder_make(store->folders[PW_FOLDER_OBJ], name);
    if (fd >= 0 && !pw_store_to_disk(store, store->folders[PW_FOLDER_OBJ])) {
        pw_file_close(&fd);
    }
    return fd;
}

static bool
put_object(const struct pw_store *store, int shelf, const struct pw_file_parts *object,
           struct pw_stored *out)
{
    out->fresh = !is_stored(shelf, out->object, out->bytes);
    if (!out->fresh) {
        return pw_store_to_disk(
            store, shelf); /* whoever moved it here may have died before this */
    }
    return pw_store_write_tmp(store, out->entry, object) &&
           pw_store_move_into(store, out->entry, shelf, out->object);
}

static bool
put_entry(const struct pw_store *store, struct pw_span json, const struct pw_stored *out)
{
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%s.json", out->entry);
    const struct pw_file_parts file = {.head = json};
    return pw_store_write_tmp(store, name, &file) &&
           pw_store_move_into(store, name, store->folders[PW_FOLDER_HOLD], name);
}

/* The object stays only with an entry that speaks of it. */
static enum pw_err
put_files(const struct pw_store *store, const struct pw_file_parts *object,
          struct pw_span json, struct pw_stored *out, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int shelf = open_shelf(store, out->object);
    if (shelf < 0 || !put_object(store, shelf, object, out)) {
        return pw_store_complain(store, "obj", why);
    }
    if (put_entry(store, json, out)) {
        return PW_E_OK;
    }
    enum pw_err err = pw_store_complain(store, "hold", why);
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
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = PW_ENTRY_LIMIT};
    uint8_t sum[PW_OBJECT_SUM];
    *out = (struct pw_stored){0};
    pthread_mutex_lock(&store->lock);
    store->later = later;
    pw_ulid_next(&store->ulid, pw_clock_wall(), out->entry);
    enum pw_err err = prepare(frames, count, meta, &head, &json, sum, out);
    if (err == PW_E_OK) {
        const struct pw_file_parts object = {
            pw_buf_span(&head), frames, count, {sum, sizeof sum}};
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
    return syncfs(store->root) == 0 ? PW_E_OK : pw_store_complain(store, ".", why);
}
