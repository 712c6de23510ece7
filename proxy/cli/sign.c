/* SPDX-License-Identifier: Apache-2.0
 *
 * sign: each file is one message of one frame.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/sign/sign.h"
#include "proxy/cli/commands.h"

static const size_t file_limit = (size_t)1 << 30;

struct job {
    const char *keys;
    const char *key;
    const char *channel;
    bool tail;
    int files; /* the paths, moved to the front of argv */
};

static enum pw_err
write_draft(int fd, const struct stat *like, struct pw_span payload, struct pw_span trailer)
{
    enum pw_err err = pw_file_write_all(fd, payload);
    err = err == PW_E_OK ? pw_file_write_all(fd, trailer) : err;
    if (err != PW_E_OK) {
        return err;
    }
    /* Signed by root, a file stays its owner's; others may not give theirs away. */
    (void)!fchown(fd, like->st_uid, like->st_gid);
    return fchmod(fd, like->st_mode & 0777) == 0 && fsync(fd) == 0 ? PW_E_OK : PW_E_IO;
}

static enum pw_err
sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s.", slash == NULL ? 0 : (int)(slash + 1 - path),
             path);
    PW_CLEANUP(pw_file_close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? PW_E_OK : PW_E_IO;
}

/* All of it or nothing: a crash leaves the old file as it was. */
static enum pw_err
replace(const char *path, const struct stat *like, struct pw_span payload,
        struct pw_span trailer, struct pw_why *why)
{
    char draft[PATH_MAX];
    if (snprintf(draft, sizeof draft, "%s.XXXXXX", path) >= (int)sizeof draft) {
        return pw_fail(why, PW_E_CREATE, "%.200s...: the path is too long", path);
    }
    PW_CLEANUP(pw_file_close) int fd = mkostemp(draft, O_CLOEXEC);
    if (fd < 0) {
        return pw_fail(why, PW_E_CREATE, "%s: %s; its folder must be writable", path,
                       strerror(errno));
    }
    enum pw_err err = write_draft(fd, like, payload, trailer);
    if (err == PW_E_OK && rename(draft, path) == 0) {
        return sync_folder(path) == PW_E_OK
                   ? PW_E_OK
                   : pw_fail(why, PW_E_IO, "%s: written, but not safely on disk: %s", path,
                             strerror(errno));
    }
    int reason = errno;
    unlink(draft);
    return pw_fail(why, PW_E_IO, "%s: %s; nothing was changed", path, strerror(reason));
}

/* `real` is for --tail, which replaces the file and not a link to it. */
static enum pw_err
read_payload(const char *path, char real[static PATH_MAX], struct stat *info,
             struct pw_buf *payload, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close)
    int fd = realpath(path, real) == NULL ? -1 : open(real, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, info) != 0) {
        return pw_fail(why, errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT, "%s: %s", path,
                       strerror(errno));
    }
    if (!S_ISREG(info->st_mode)) {
        return pw_fail(why, PW_E_NO_INPUT, "%s: not a file", path);
    }
    enum pw_err err = pw_file_read_fd(fd, payload);
    return err == PW_E_OK ? PW_E_OK
                          : pw_fail(why, err, "%s: %s", path,
                                    err == PW_E_IO ? strerror(errno) : pw_err_text(err));
}

static enum pw_err
sign_file(const struct job *job, struct pw_signer *signer, const char *path,
          struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf payload = {.limit = file_limit};
    char real[PATH_MAX];
    char target[PATH_MAX + 4];
    uint8_t bytes[PW_TRAILER_MAX];
    struct stat info = {0};
    enum pw_err err = read_payload(path, real, &info, &payload, why);
    if (err != PW_E_OK) {
        return err;
    }
    if (job->tail && pw_trailer_at_end(pw_buf_span(&payload)) != 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s: ends in a signature already; sign the file as it was before",
                       path);
    }
    struct pw_span frame = pw_buf_span(&payload);
    err = pw_signer_sign(signer, &frame, 1, pw_clock_wall(), bytes);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", path, pw_err_text(err));
    }
    struct pw_span trailer = {bytes, pw_signer_trailer_size(signer)};
    if (!job->tail) {
        frame.len = 0;
    }
    snprintf(target, sizeof target, "%s%s", job->tail ? real : path,
             job->tail ? "" : ".pws");
    err = replace(target, &info, frame, trailer, why);
    if (err == PW_E_OK) {
        pw_command_print_plain(stdout, path);
        puts(job->tail ? "" : ".pws");
    }
    return err;
}

static int
read_arguments(int argc, char **argv, struct job *job)
{
    struct pw_args args = pw_args_over(argc, argv);
    bool detached = false;
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--tail")) {
            job->tail = true;
        } else if (pw_args_flag(&args, "--detached")) {
            detached = true;
        } else if (pw_args_value(&args, "--keys", &job->keys) ||
                   pw_args_value(&args, "--key", &job->key) ||
                   pw_args_value(&args, "--channel", &job->channel)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            argv[job->files++] = args.current;
        }
    }
    if (job->keys == NULL || job->key == NULL || job->channel == NULL) {
        return pw_command_misused("--keys, --key and --channel are needed");
    }
    if (job->tail && detached) {
        return pw_command_misused("--tail or --detached, not both");
    }
    return job->files > 0 ? EX_OK : pw_command_misused("name the files to sign");
}

int
pw_cmd_sign(int argc, char **argv)
{
    struct job job = {0};
    int wrong = read_arguments(argc, argv, &job);
    if (wrong != EX_OK) {
        return wrong;
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(job.keys, &why);
    if (ring == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer = pw_signer_new(ring, job.key, job.channel, PW_DIR_FORWARD,
                                             pw_clock_wall() / 1000000, &why);
    if (signer == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    for (int i = 0; i < job.files; i++) {
        enum pw_err err = sign_file(&job, signer, argv[i], &why);
        if (err != PW_E_OK) {
            return pw_command_fail(err, &why);
        }
    }
    return EX_OK;
}
