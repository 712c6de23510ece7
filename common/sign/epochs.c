/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/epochs.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "common/base/file.h"

static const uint8_t magic[4] = {'P', 'W', 'E', '1'};

/* Against a disk's mistakes, not against a person's: that would take a key. */
static void
sum_up(struct pw_span bytes, uint8_t out[static PW_EPOCHS_SUM])
{
    crypto_generichash(out, PW_EPOCHS_SUM, bytes.ptr, bytes.len, NULL, 0);
}

static enum pw_err
put(struct pw_buf *out, const void *bytes, size_t len)
{
    return pw_buf_append(out, (struct pw_span){bytes, len});
}

static enum pw_err
put_head(const struct pw_replay *replay, struct pw_buf *out)
{
    uint8_t head[PW_EPOCHS_HEAD];
    uint32_t count = htobe32((uint32_t)replay->count);
    uint64_t floor = htobe64(replay->floor);
    memcpy(head, magic, sizeof magic);
    memcpy(head + 4, &count, sizeof count);
    memcpy(head + 8, &floor, sizeof floor);
    return put(out, head, sizeof head);
}

static enum pw_err
put_sender(const struct pw_sender *sender, struct pw_buf *out)
{
    uint8_t row[PW_EPOCHS_ROW];
    uint64_t epoch = htobe64(sender->epoch);
    uint64_t goal = htobe64(sender->goal);
    memcpy(row, sender->key_id, sizeof sender->key_id);
    memcpy(row + 8, &epoch, sizeof epoch);
    memcpy(row + 16, &goal, sizeof goal);
    return put(out, row, sizeof row);
}

enum pw_err
pw_epochs_format(const struct pw_replay *replay, struct pw_buf *out)
{
    size_t start = out->len;
    enum pw_err err = put_head(replay, out);
    for (size_t i = 0; err == PW_E_OK && i < replay->count; i++) {
        err = put_sender(&replay->senders[i], out);
    }
    if (err != PW_E_OK) {
        return err;
    }
    uint8_t sum[PW_EPOCHS_SUM];
    sum_up((struct pw_span){out->bytes + start, out->len - start}, sum);
    return put(out, sum, sizeof sum);
}

static bool
sum_fits(struct pw_span bytes)
{
    if (bytes.len < PW_EPOCHS_HEAD + PW_EPOCHS_SUM) {
        return false;
    }
    uint8_t sum[PW_EPOCHS_SUM];
    bytes.len -= PW_EPOCHS_SUM;
    sum_up(bytes, sum);
    return memcmp(sum, bytes.ptr + bytes.len, sizeof sum) == 0;
}

static bool
parse_sender(struct pw_cursor *cur, struct pw_replay *replay)
{
    struct pw_span key_id = pw_cursor_take(cur, 8);
    uint64_t epoch = pw_cursor_uint(cur, 8);
    uint64_t goal = pw_cursor_uint(cur, 8);
    if (cur->truncated || epoch == 0 || pw_replay_find(replay, key_id.ptr, epoch) != NULL) {
        return false;
    }
    struct pw_sender *sender = pw_replay_add(replay, key_id.ptr, epoch, goal);
    sender->ceiling = goal;
    sender->goal = goal;
    return true;
}

bool
pw_epochs_parse(struct pw_span bytes, struct pw_replay *replay)
{
    if (!sum_fits(bytes)) {
        return false;
    }
    bytes.len -= PW_EPOCHS_SUM;
    struct pw_cursor cur = pw_cursor_over(bytes);
    struct pw_span start = pw_cursor_take(&cur, sizeof magic);
    uint64_t count = pw_cursor_uint(&cur, 4);
    replay->floor = pw_cursor_uint(&cur, 8);
    if (!pw_span_equal(start, (struct pw_span){magic, sizeof magic}) ||
        count > PW_REPLAY_SENDERS) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!parse_sender(&cur, replay)) {
            return false;
        }
    }
    return cur.rest.len == 0;
}

enum pw_err
pw_epochs_load(const char *path, struct pw_replay *replay, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        return PW_E_OK;
    }
    if (fd < 0) {
        return pw_fail(why, PW_E_PERM, "%s: %s; make it a file that this user may read",
                       path, strerror(errno));
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = PW_EPOCHS_MAX};
    enum pw_err err = pw_file_read_fd(fd, &bytes);
    if (err == PW_E_OK && pw_epochs_parse(pw_buf_span(&bytes), replay)) {
        return PW_E_OK;
    }
    if (err == PW_E_IO || err == PW_E_NOMEM) {
        return pw_fail(why, err, "%s: %s; without it messages could be replayed", path,
                       pw_err_text(err));
    }
    return pw_fail(
        why, PW_E_FORMAT,
        "%s: damaged, and it tells which messages were accepted; restore it, or give the "
        "senders new keys and then delete it",
        path);
}

/* A file of its own, written and on the disk. */
static bool
write_new(int folder, const char *name, struct pw_span bytes)
{
    PW_CLEANUP(pw_file_close)
    int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd >= 0 && pw_file_write_all(fd, bytes) == PW_E_OK && fsync(fd) == 0;
}

enum pw_err
pw_epochs_save(int folder, const char *name, struct pw_span bytes)
{
    char fresh[NAME_MAX + 1];
    if (snprintf(fresh, sizeof fresh, "%s.new", name) >= (int)sizeof fresh) {
        errno = ENAMETOOLONG;
        return PW_E_IO;
    }
    if (!write_new(folder, fresh, bytes) || renameat(folder, fresh, folder, name) != 0 ||
        fsync(folder) != 0) {
        return PW_E_IO;
    }
    return PW_E_OK;
}
