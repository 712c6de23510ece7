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
#include "common/base/hex.h"
#include "common/base/json.h"

enum { PIECE = 1 << 14 };

/* One put under way. */
struct job {
    struct pw_store *store;
    const struct pw_put *put;
    struct pw_buf head;          /* of the object, up to its frames */
    uint8_t sum[PW_OBJECT_SUM];  /* and behind them */
    uint8_t name[PW_OBJECT_SUM]; /* the object's */
    uint32_t channel;
    struct pw_buf json; /* the entry */
    struct pw_stored *out;
};

/* ---- the object ---- */

/* Head, frames and sum: the spans are the job's. */
static bool
each_span(const struct job *job, bool (*take)(void *arg, struct pw_span span), void *arg)
{
    bool going = take(arg, pw_buf_span(&job->head));
    for (size_t i = 0; going && i < job->put->count; i++) {
        going = take(arg, job->put->frames[i]);
    }
    return going && take(arg, (struct pw_span){job->sum, sizeof job->sum});
}

static bool
write_span(void *arg, struct pw_span span)
{
    return pw_file_write_all(*(int *)arg, span) == PW_E_OK;
}

static bool
write_plain(int fd, const void *arg)
{
    return each_span(arg, write_span, &fd);
}

static bool
write_sealed(int fd, const void *arg)
{
    const struct job *job = arg;
    const struct pw_span tail = {job->sum, sizeof job->sum};
    struct pw_seal_source source = {
        .head = pw_buf_span(&job->head),
        .parts = job->put->frames,
        .count = job->put->count,
        .tail = tail,
    };
    return pw_seal_write(fd, job->store->public, job->name, &source, job->store->room);
}

enum presence { UNREADABLE, ABSENT, SAME, OTHER };

/* A file that is compared, a piece at a time: it may be as large as a message. */
struct comparison {
    int fd;
    bool failed; /* to read; errno */
};

static bool
compare_span(void *arg, struct pw_span span)
{
    struct comparison *with = arg;
    uint8_t piece[PIECE];
    while (span.len > 0) {
        ssize_t len = read(with->fd, piece, span.len < PIECE ? span.len : PIECE);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        with->failed = len < 0;
        if (len <= 0 || memcmp(piece, span.ptr, (size_t)len) != 0) {
            return false;
        }
        span.ptr += len;
        span.len -= (size_t)len;
    }
    return true;
}

/* Whether the file, of the right size, is the object that the job would write; a sealed
 * one, as far as its sum tells. */
static enum presence
compare(const struct job *job, int fd)
{
    struct comparison with = {.fd = fd};
    if (job->store->room != NULL) {
        enum pw_err err = pw_seal_check_fd(fd, job->out->bytes, job->name);
        return err == PW_E_OK ? SAME : err == PW_E_IO ? UNREADABLE : OTHER;
    }
    bool same = each_span(job, compare_span, &with);
    return same ? SAME : with.failed ? UNREADABLE : OTHER;
}

/* What lies under the object's name; UNREADABLE leaves errno. */
static enum presence
look_at(const struct job *job, int shelf)
{
    struct stat st;
    if (fstatat(shelf, job->out->object, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? ABSENT : UNREADABLE;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != job->out->bytes) {
        return OTHER;
    }
    PW_CLEANUP(pw_file_close)
    int fd =
        openat(shelf, job->out->object, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? UNREADABLE : compare(job, fd);
}

/* obj/ab of an object ab…; made, and durably so, when it is the first. */
static int
make_shelf(const struct pw_store *store, const char *object)
{
    int obj = store->folders[PW_FOLDER_OBJ];
    int fd = pw_store_shelf(store, object);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    const char name[3] = {object[0], object[1], '\0'};
    fd = pw_folder_make(obj, name);
    if (fd >= 0 && !pw_store_to_disk(store, obj)) {
        pw_file_close(&fd);
    }
    return fd;
}

static bool
put_object(const struct job *job, int shelf)
{
    struct pw_store *store = job->store;
    struct pw_stored *out = job->out;
    enum presence presence = look_at(job, shelf);
    if (presence == UNREADABLE) {
        return false;
    }
    if (presence == SAME) {
        return pw_store_to_disk(store,
                                shelf); /* who put it here may have died before this */
    }
    if (presence == OTHER) {
        if (!pw_store_set_aside(store, shelf, out->object)) {
            return false;
        }
        out->corrupt = true;
    }
    out->fresh = true;
    return pw_store_write_tmp(store, out->entry,
                              store->room != NULL ? write_sealed : write_plain, job) &&
           pw_store_move_into(store, out->entry, shelf, out->object);
}

/* ---- the entry ---- */

static bool
put_entry(const struct job *job)
{
    char name[PW_ENTRY_FILE];
    struct pw_store *store = job->store;
    struct pw_span json = pw_buf_span(&job->json);
    snprintf(name, sizeof name, "%s.json", job->out->entry);
    return pw_store_write_tmp(store, name, pw_store_write_span, &json) &&
           pw_store_move_into(store, name, store->folders[PW_FOLDER_HOLD], name);
}

static enum pw_err
make_entry(struct job *job)
{
    const struct pw_stored *out = job->out;
    struct pw_json json = pw_json_over(&job->json);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "entry", out->entry);
    pw_json_str(&json, "object", out->object);
    pw_json_uint(&json, "bytes", out->bytes);
    pw_json_bool(&json, "stored", out->stored);
    pw_json_raw(&json, job->put->meta);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    return json.err;
}

/* ---- both ---- */

/* The object stays only with an entry that speaks of it. */
static enum pw_err
put_files(const struct job *job, struct pw_why *why)
{
    struct pw_store *store = job->store;
    if (!job->out->stored) {
        return put_entry(job) ? PW_E_OK : pw_store_complain(store, "hold", why);
    }
    PW_CLEANUP(pw_file_close) int shelf = make_shelf(store, job->out->object);
    if (shelf < 0 || !put_object(job, shelf)) {
        return pw_store_complain(store, "obj", why);
    }
    if (put_entry(job)) {
        return PW_E_OK;
    }
    enum pw_err err = pw_store_complain(store, "hold", why);
    bool needed = pw_account_uses(&store->account, job->name, PW_ACCOUNT_ALL) > 0;
    if (job->out->fresh && !needed) {
        (void)unlinkat(shelf, job->out->object, 0);
    }
    return err;
}

/* SHA-256 of the message, or of that a hash that only this wall can make. */
static void
name_object(struct job *job)
{
    const struct pw_store *store = job->store;
    memcpy(job->name, job->sum, sizeof job->name);
    if (store->room != NULL) {
        (void)crypto_generichash(job->name, sizeof job->name, job->sum, sizeof job->sum,
                                 store->name_key, sizeof store->name_key);
    }
    pw_hex_encode((struct pw_span){job->name, sizeof job->name}, job->out->object);
}

/* Everything that needs memory, before anything is on the disk. */
static enum pw_err
prepare(struct job *job)
{
    const struct pw_put *put = job->put;
    struct pw_store *store = job->store;
    const char *chan = put->chan == NULL ? "" : put->chan;
    enum pw_err err = pw_object_make(put->frames, put->count, &job->head, job->sum);
    if (err == PW_E_OK) {
        err = pw_account_reserve(&store->account, chan, &job->channel);
    }
    if (err != PW_E_OK) {
        return err;
    }
    uint64_t plain = pw_object_size(put->frames, put->count);
    name_object(job);
    job->out->bytes = store->room != NULL ? pw_seal_size(plain) : plain;
    job->out->stored = true;
    return PW_E_OK;
}

/* What the limits leave of it. */
static enum pw_err
ask_limits(struct job *job, bool *entry, struct pw_why *why)
{
    struct pw_store *store = job->store;
    struct pw_stored *out = job->out;
    *entry = true;
    if (job->put->must) {
        return PW_E_OK;
    }
    const struct pw_store_limits limits = pw_store_limits_now(store);
    out->full = pw_store_full(store, &limits, job->name, job->channel, out->bytes, entry);
    if (out->full != NULL && limits.stop) {
        return pw_fail(why, PW_E_LIMIT,
                       "%s: %s is reached; purge what is not wanted (picklewall quarantine "
                       "purge), or raise it",
                       store->path, out->full);
    }
    out->stored = out->full == NULL;
    return PW_E_OK;
}

static void
count_it(const struct job *job)
{
    struct pw_store *store = job->store;
    store->usage.entries[PW_STORE_HELD]++;
    uint64_t ms = pw_entry_ms(job->out->entry);
    store->oldest_ms = ms < store->oldest_ms ? ms : store->oldest_ms;
    if (job->out->stored) {
        pw_account_enter(&store->account, job->name, job->channel, job->out->bytes);
        store->usage.bytes = store->account.channels[PW_ACCOUNT_ALL].bytes;
    }
}

static enum pw_err
put_locked(struct job *job, struct pw_why *why)
{
    struct pw_store *store = job->store;
    bool entry = true;
    pw_ulid_next(&store->ulid, pw_clock_wall(), job->out->entry);
    enum pw_err err = prepare(job);
    if (err == PW_E_OK) {
        err = ask_limits(job, &entry, why);
        if (err != PW_E_OK) {
            return err;
        }
        err = make_entry(job);
    }
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: an entry was not made: %s", store->path,
                       pw_err_text(err));
    }
    if (!entry) {
        job->out->entry[0] = '\0';
        return PW_E_OK;
    }
    err = put_files(job, why);
    if (err == PW_E_OK) {
        count_it(job);
    }
    return err;
}

enum pw_err
pw_store_put(struct pw_store *store, const struct pw_put *put, struct pw_stored *out,
             struct pw_why *why)
{
    struct job job = {
        .store = store,
        .put = put,
        .head = {.limit = SIZE_MAX / 2},
        .json = {.limit = PW_ENTRY_LIMIT},
        .out = out,
    };
    *out = (struct pw_stored){0};
    pthread_mutex_lock(&store->lock);
    store->later = put->later;
    enum pw_err err = put_locked(&job, why);
    store->later = false;
    pthread_mutex_unlock(&store->lock);
    pw_buf_free(&job.head);
    pw_buf_free(&job.json);
    return err;
}

enum pw_err
pw_store_sync(struct pw_store *store, struct pw_why *why)
{
    return syncfs(store->root) == 0 ? PW_E_OK : pw_store_complain(store, ".", why);
}
