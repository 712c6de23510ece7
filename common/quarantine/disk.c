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

int
pw_folder_open(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int
pw_folder_make(int parent, const char *name)
{
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    return pw_folder_open(parent, name);
}

DIR *
pw_folder_read(int folder)
{
    int fd = pw_folder_open(folder, ".");
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0) {
        close(fd);
    }
    return dir;
}

void
pw_folder_done(DIR **dir)
{
    if (*dir != NULL) {
        closedir(*dir);
    }
}

enum pw_err
pw_store_complain(const struct pw_store *store, const char *what, struct pw_why *why)
{
    int saved = errno;
    enum pw_err err = pw_fail(why, saved == ENOMEM ? PW_E_NOMEM : PW_E_IO,
                              "%s/%s: %s; make room, or make it writable", store->path,
                              what, strerror(saved));
    errno = saved;
    return err;
}

bool
pw_store_write_span(int fd, const void *arg)
{
    return pw_file_write_all(fd, *(const struct pw_span *)arg) == PW_E_OK;
}

bool
pw_store_to_disk(const struct pw_store *store, int fd)
{
    return store->later || fsync(fd) == 0;
}

bool
pw_store_write_tmp(const struct pw_store *store, const char *name,
                   pw_store_content *content, const void *arg)
{
    int tmp = store->folders[PW_FOLDER_TMP];
    PW_CLEANUP(pw_file_close)
    int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    if (content(fd, arg) && pw_store_to_disk(store, fd)) {
        return true;
    }
    int saved = errno;
    (void)unlinkat(tmp, name, 0);
    errno = saved;
    return false;
}

bool
pw_store_move_into(const struct pw_store *store, const char *name, int folder,
                   const char *target)
{
    int tmp = store->folders[PW_FOLDER_TMP];
    if (renameat(tmp, name, folder, target) == 0 && pw_store_to_disk(store, folder)) {
        return true;
    }
    int saved = errno;
    (void)unlinkat(tmp, name, 0); /* one of the two is there */
    (void)unlinkat(folder, target, 0);
    errno = saved;
    return false;
}

int
pw_store_shelf(const struct pw_store *store, const char *object)
{
    const char name[3] = {object[0], object[1], '\0'};
    return pw_folder_open(store->folders[PW_FOLDER_OBJ], name);
}

bool
pw_store_set_aside(struct pw_store *store, int shelf, const char *object)
{
    char id[PW_ULID_TEXT];
    char name[PW_STORE_ID + PW_ULID_TEXT];
    int corrupt = store->folders[PW_FOLDER_CORRUPT];
    pw_ulid_next(&store->ulid, pw_clock_wall(), id);
    snprintf(name, sizeof name, "%.*s.%s", (int)PW_HEX_NAME, object, id);
    return renameat(shelf, object, corrupt, name) == 0 && fsync(corrupt) == 0 &&
           fsync(shelf) == 0;
}

bool
pw_store_is_there(int folder, const char *name)
{
    struct stat st;
    return folder >= 0 && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

enum pw_err
pw_store_read_at(int folder, const char *name, struct pw_buf *out)
{
    PW_CLEANUP(pw_file_close)
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? PW_E_NO_INPUT : PW_E_IO;
    }
    return pw_file_read_fd(fd, out);
}
