/* SPDX-License-Identifier: Apache-2.0
 *
 * sign: each file, or standard input, is one message of one frame.
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
#include "proxy/cli/key.h"
#include "proxy/cli/sign_keys.h"

enum { LINE_LIMIT = 64 * 1024 };

static const size_t file_limit = (size_t)1 << 30;

struct job {
    const char *keys;
    const char *key;
    const char *channel;
    bool tail;
    bool json;
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
    PW_CLEANUP(pw_file_close) int fd = -1; /* O_NONBLOCK: a pipe is no file, and told so */
    if (realpath(path, real) != NULL) {
        fd = open(real, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    if (fd < 0 || fstat(fd, info) != 0) {
        return pw_fail(why, errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT, "%s: %s", path,
                       strerror(errno));
    }
    if (!S_ISREG(info->st_mode)) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s: not a file; name the files in a folder, and - for a pipe",
                       path);
    }
    enum pw_err err = pw_file_read_fd(fd, payload);
    return err == PW_E_OK ? PW_E_OK
                          : pw_fail(why, err, "%s: %s", path,
                                    err == PW_E_IO ? strerror(errno) : pw_err_text(err));
}

/* What its writer adds behind what was read would be lost, or not be signed. */
static enum pw_err
check_still(const char *path, const char *real, const struct stat *was, struct pw_why *why)
{
    struct stat info;
    if (stat(real, &info) == 0 && info.st_ino == was->st_ino &&
        info.st_dev == was->st_dev && info.st_size == was->st_size &&
        info.st_mtim.tv_sec == was->st_mtim.tv_sec &&
        info.st_mtim.tv_nsec == was->st_mtim.tv_nsec) {
        return PW_E_OK;
    }
    return pw_fail(why, PW_E_BUSY,
                   "%s: changed while it was signed; sign it when it is complete", path);
}

/* Sign `payload` as one frame; `path` is for sentences. */
static enum pw_err
make_trailer(const struct job *job, struct pw_signer *signer, const char *path,
             struct pw_span payload, uint8_t out[static PW_TRAILER_MAX], struct pw_why *why)
{
    if (job->tail && pw_trailer_at_end(payload) != 0) {
        return pw_fail(why, PW_E_FORMAT,
                       "%s: ends in a signature already; sign the file as it was before",
                       path);
    }
    enum pw_err err = pw_signer_sign(signer, &payload, 1, pw_clock_wall(), out);
    return err == PW_E_OK ? PW_E_OK : pw_fail(why, err, "%s: %s", path, pw_err_text(err));
}

static enum pw_err
say_json(const struct pw_signer *signer, const char *path, const char *target)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_LIMIT};
    struct pw_json json = pw_json_over(&line);
    char id[PW_KEY_ID_TEXT];
    const struct pw_key *key = pw_signer_key(signer);
    pw_cli_key_id(key, id);
    pw_json_object(&json, NULL);
    pw_json_bytes(&json, "path", pw_span_str(path), PATH_MAX);
    pw_json_bytes(&json, "signature", pw_span_str(target), PATH_MAX);
    pw_json_str(&json, "key", pw_key_name(key));
    pw_json_str(&json, "key_id", id);
    pw_json_str(&json, "suite", pw_suite_text(pw_key_suite(key)));
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

/* The file that holds the signature now. */
static enum pw_err
say(const struct job *job, const struct pw_signer *signer, const char *path)
{
    char target[PATH_MAX + 4];
    snprintf(target, sizeof target, "%s%s", path, job->tail ? "" : ".pws");
    if (job->json) {
        return say_json(signer, path, target);
    }
    pw_command_print_plain(stdout, target);
    putchar('\n');
    return PW_E_OK;
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
    struct pw_span frame = pw_buf_span(&payload);
    err = err == PW_E_OK ? make_trailer(job, signer, path, frame, bytes, why) : err;
    err = err == PW_E_OK ? check_still(path, real, &info, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_span trailer = {bytes, pw_signer_trailer_size(signer)};
    if (!job->tail) {
        frame.len = 0;
    }
    snprintf(target, sizeof target, "%s%s", job->tail ? real : path,
             job->tail ? "" : ".pws");
    err = replace(target, &info, frame, trailer, why);
    return err == PW_E_OK ? say(job, signer, path) : err;
}

/* The signed bytes, or the signature alone, to stdout. */
static enum pw_err
sign_stdin(const struct job *job, struct pw_signer *signer, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf payload = {.limit = file_limit};
    uint8_t bytes[PW_TRAILER_MAX];
    enum pw_err err = pw_cli_read_stdin(&payload, why);
    struct pw_span frame = pw_buf_span(&payload);
    err = err == PW_E_OK ? make_trailer(job, signer, "standard input", frame, bytes, why)
                         : err;
    if (err != PW_E_OK) {
        return err;
    }
    if (job->tail && frame.len > 0) {
        fwrite(frame.ptr, 1, frame.len, stdout);
    }
    fwrite(bytes, 1, pw_signer_trailer_size(signer), stdout);
    return PW_E_OK;
}

/* Stops at the first that cannot be signed. */
static int
sign_files(const struct job *job, struct pw_signer *signer, char **paths)
{
    for (int i = 0; i < job->files; i++) {
        struct pw_why why = {0};
        enum pw_err err = pw_cli_is_stdin(paths[i])
                              ? sign_stdin(job, signer, &why)
                              : sign_file(job, signer, paths[i], &why);
        if (err == PW_E_OK) {
            continue;
        }
        int code = pw_command_fail(err, &why);
        if (job->files > 1) {
            fprintf(stderr, "picklewall: %d of %d files were signed, the others not\n", i,
                    job->files);
        }
        return code;
    }
    return EX_OK;
}

/* `-` writes to stdout what others write to files. */
static int
check_stdin(const struct job *job, char **paths)
{
    for (int i = 0; i < job->files; i++) {
        if (pw_cli_is_stdin(paths[i]) && (job->files > 1 || job->json)) {
            return pw_command_misused(
                "- is standard input, whose signature goes to stdout; let it stand alone, "
                "without --json");
        }
    }
    return EX_OK;
}

/* A file of one key needs no name for it. */
static int
choose_key(struct job *job, const struct pw_keyring *ring)
{
    if (job->key != NULL) {
        return EX_OK;
    }
    if (pw_keyring_count(ring) != 1) {
        return pw_command_misused("--key is needed: there are %zu keys in %s",
                                  pw_keyring_count(ring), job->keys);
    }
    job->key = pw_key_name(pw_keyring_at(ring, 0));
    return EX_OK;
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
        } else if (pw_args_flag(&args, "--json")) {
            job->json = true;
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
    if (job->keys == NULL || job->channel == NULL) {
        return pw_command_misused("--keys and --channel are needed");
    }
    if (job->tail && detached) {
        return pw_command_misused("--tail or --detached, not both");
    }
    if (job->files == 0) {
        return pw_command_misused("name the files to sign, or - for standard input");
    }
    return check_stdin(job, argv);
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
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_cli_keys(job.keys, &why);
    if (ring == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    wrong = choose_key(&job, ring);
    if (wrong != EX_OK) {
        return wrong;
    }
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer = pw_signer_new(ring, job.key, job.channel, PW_DIR_FORWARD,
                                             pw_clock_wall() / 1000000, &why);
    return signer == NULL ? pw_command_fail(PW_E_CONFIG, &why)
                          : sign_files(&job, signer, argv);
}
