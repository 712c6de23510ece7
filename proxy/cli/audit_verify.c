/* SPDX-License-Identifier: Apache-2.0
 *
 * picklewall audit verify: is this the log that the wall wrote, and all of it?
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "common/audit/chain_key.h"
#include "common/audit/first.h"
#include "common/audit/verify.h"
#include "common/base/file.h"
#include "common/settings/settings.h"
#include "proxy/cli/audit_files.h"
#include "proxy/cli/audit_verify_print.h"
#include "proxy/cli/commands.h"

enum {
    BROKEN = 1,
    OPEN = 2,
    KEYS = 16,
    ATTEMPTS = 3, /* when the log is rotated meanwhile */
    POINTS_FILE_MAX = 256 * 1024 * 1024,
};

struct file {
    const char *path;
    dev_t dev;
    ino_t ino; /* 0: not known */
    struct pw_first first;
    uint64_t born; /* of its first line's chain */
};

struct job {
    const char *config;
    const char *key_texts[KEYS];
    size_t key_texts_count;
    const char *point_paths[KEYS];
    size_t point_paths_count;
    bool json;
    bool allow_open;
    bool all;   /* the user says that these are all files of the log, */
    bool whole; /* or we do */

    struct pw_settings *settings; /* NULL: not needed */
    struct pw_note_key keys[KEYS];
    size_t key_count;
    struct pw_verify_points points;
    struct pw_chain_state state;
    bool has_state;
    struct file *files;
    size_t file_count;
    struct pw_audit_names found; /* empty when the files were named */
};

/* ---- keys ---- */

static enum pw_err
read_key_file(const char *path, struct pw_note_key *out, struct pw_why *why)
{
    char unused[PATH_MAX];
    if (pw_chain_key_public_path(path, unused, sizeof unused)) {
        PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, why);
        if (key == NULL) {
            return PW_E_CONFIG;
        }
        return pw_note_key_of(key, out)
                   ? PW_E_OK
                   : pw_fail(why, PW_E_CONFIG,
                             "%s: no Ed25519 key; give the one of audit.key", path);
    }
    struct pw_why plain = {{0}};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_NOTE_KEY_TEXT};
    enum pw_err err = pw_file_read(path, &text);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s; give the file audit.pub of the wall", path,
                       pw_err_text(err));
    }
    err = pw_note_key_parse(pw_buf_span(&text), out, &plain);
    return err == PW_E_OK ? PW_E_OK : pw_fail(why, err, "%s: %s", path, plain.text);
}

static enum pw_err
read_key(struct job *job, const char *text, struct pw_why *why)
{
    struct pw_note_key *key = &job->keys[job->key_count];
    enum pw_err err = access(text, F_OK) == 0 || strchr(text, '+') == NULL
                          ? read_key_file(text, key, why)
                          : pw_note_key_parse(pw_span_str(text), key, why);
    job->key_count += err == PW_E_OK;
    return err;
}

/* Whoever verifies need not be able to sign: the public half, if it is there. */
static enum pw_err
read_configured_key(struct job *job, struct pw_why *why)
{
    char path[PATH_MAX];
    const char *key = job->settings->audit_key;
    bool public =
        pw_chain_key_public_path(key, path, sizeof path) && access(path, R_OK) == 0;
    return read_key(job, public ? path : key, why);
}

static enum pw_err
read_keys(struct job *job, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < job->key_texts_count; i++) {
        err = read_key(job, job->key_texts[i], why);
    }
    if (err == PW_E_OK && job->key_texts_count == 0) {
        err = read_configured_key(job, why);
    }
    return err;
}

/* ---- what is known from elsewhere ---- */

static enum pw_err
read_points(struct job *job, const char *path, struct pw_why *why)
{
    struct pw_why plain = {{0}};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = POINTS_FILE_MAX};
    enum pw_err err = pw_file_read(path, &text);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s; give a file of checkpoints", path,
                       pw_err_text(err));
    }
    err = pw_verify_points_add(&job->points, pw_buf_span(&text), job->keys, job->key_count,
                               &plain);
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", path, plain.text);
    }
    if (job->points.skipped > 0) {
        fprintf(
            stderr,
            "picklewall: %s: %zu notes do not count: cut short, or not signed by the key\n",
            path, job->points.skipped);
        job->points.skipped = 0;
    }
    return PW_E_OK;
}

static bool
is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* The newest file is among those to verify: then its end is known. */
static bool
has_newest(const struct job *job)
{
    for (size_t i = 0; job->settings != NULL && i < job->file_count; i++) {
        if (is_same_file(job->files[i].path, job->settings->audit_file)) {
            return true;
        }
    }
    return false;
}

static enum pw_err
read_known_end(struct job *job, struct pw_why *why)
{
    char path[PATH_MAX];
    const struct pw_settings *settings = job->settings;
    if (!has_newest(job)) {
        return job->whole
                   ? pw_fail(why, PW_E_USAGE,
                             "--all: %s is not among the files; name it too, for how far "
                             "the log goes back is known of that one",
                             settings->audit_file)
                   : PW_E_OK;
    }
    snprintf(path, sizeof path, "%s/audit.chain", settings->state);
    enum pw_err err = pw_chain_state_load(path, &job->state, why);
    if (err != PW_E_OK) {
        return err;
    }
    job->has_state = true;
    if (settings->audit_mirror == NULL || strcmp(settings->audit_mirror, "-") == 0) {
        return PW_E_OK;
    }
    return read_points(job, settings->audit_mirror, why);
}

static enum pw_err
read_known(struct job *job, struct pw_why *why)
{
    enum pw_err err = read_known_end(job, why);
    for (size_t i = 0; err == PW_E_OK && i < job->point_paths_count; i++) {
        err = read_points(job, job->point_paths[i], why);
    }
    return err;
}

/* ---- files ---- */

/* What is left out is named: the verdict is not about it. */
static enum pw_err
find_files(struct job *job, struct pw_why *why)
{
    const char *path = job->settings->audit_file;
    if (strcmp(path, "-") == 0) {
        return pw_fail(why, PW_E_NO_INPUT,
                       "%s: the audit log goes to stdout; name the files that it became",
                       job->settings->file);
    }
    struct pw_audit_names skipped = {0};
    enum pw_err err = pw_audit_files_find(path, &job->found, &skipped, why);
    for (size_t i = 0; err == PW_E_OK && i < skipped.count; i++) {
        fputs("picklewall: ", stderr);
        pw_command_print_plain(stderr, skipped.paths[i]);
        fputs(
            ": not looked at; name all files of the log, uncompressed, to verify it too\n",
            stderr);
    }
    /* In what is left out there may be what is missing. */
    job->whole = job->all || (err == PW_E_OK && skipped.count == 0);
    pw_audit_names_free(&skipped);
    job->file_count = job->found.count;
    return err;
}

static bool
is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* The first line of a chain that the file has says where the file belongs. */
static void
look_into(struct file *file)
{
    struct stat st;
    if (!is_stdin(file->path)) {
        bool there = stat(file->path, &st) == 0;
        file->dev = there ? st.st_dev : 0;
        file->ino = there ? st.st_ino : 0;
        file->first = pw_first_of(file->path);
        file->born = pw_chain_born(pw_span_str(file->first.chain));
    }
}

static int
by_age(const void *a, const void *b)
{
    const struct file *one = a;
    const struct file *other = b;
    if (one->born != other->born) {
        return one->born < other->born ? -1 : 1;
    }
    if (one->first.seq != other->first.seq) {
        return one->first.seq < other->first.seq ? -1 : 1;
    }
    return strcmp(one->path, other->path);
}

/* A file that we found ourselves, and have under another name: a rotation was cut short. */
static bool
is_double(const struct job *job, size_t count)
{
    const struct file *file = &job->files[count];
    for (size_t i = 0; job->found.count > 0 && file->ino != 0 && i < count; i++) {
        if (job->files[i].ino == file->ino && job->files[i].dev == file->dev) {
            return true;
        }
    }
    return false;
}

static enum pw_err
take_files(struct job *job, char **paths, struct pw_why *why)
{
    bool sorted = true;
    size_t count = job->file_count;
    job->files = calloc(count + 1, sizeof *job->files);
    if (job->files == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    job->file_count = 0;
    for (size_t i = 0; i < count; i++) {
        job->files[job->file_count] = (struct file){.path = paths[i]};
        look_into(&job->files[job->file_count]);
        sorted = sorted && !is_stdin(paths[i]);
        job->file_count += !is_double(job, job->file_count);
    }
    if (sorted) {
        qsort(job->files, job->file_count, sizeof *job->files, by_age);
    }
    return PW_E_OK;
}

static enum pw_err
verify_file(struct pw_verify *verify, const char *path, struct pw_why *why)
{
    int fd = is_stdin(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                            : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        enum pw_err err = errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT;
        return pw_fail(why, err, "%s: %s; name an audit log that this user may read", path,
                       strerror(errno));
    }
    enum pw_err err = pw_verify_file(verify, fd);
    if (err != PW_E_OK) {
        (void)pw_fail(why, err, "%s: %s", path,
                      err == PW_E_IO ? strerror(errno) : pw_err_text(err));
    }
    pw_file_close(&fd);
    return err;
}

/* ---- the command ---- */

static enum pw_err
verify_files(struct job *job, struct pw_verify **verify, struct pw_why *why)
{
    *verify = pw_verify_new(&(struct pw_verify_options){
        .keys = job->keys,
        .key_count = job->key_count,
        .state = job->has_state ? &job->state : NULL,
        .whole = job->whole,
        .points = &job->points,
    });
    if (*verify == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < job->file_count; i++) {
        enum pw_err err = verify_file(*verify, job->files[i].path, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    pw_verify_end(*verify);
    return PW_E_OK;
}

static const char *
path_of(const void *arg, size_t file)
{
    const struct job *job = arg;
    return job->files[file].path;
}

static int
report(const struct job *job, const struct pw_verify *verify)
{
    static const int codes[] = {
        [PW_VERIFY_BROKEN] = BROKEN, [PW_VERIFY_OPEN] = OPEN, [PW_VERIFY_COMPLETE] = EX_OK};
    const struct pw_verify_names names = {job->file_count, path_of, job};
    if (!job->json) {
        pw_verify_print_words(verify, &names);
    } else if (pw_verify_print_json(verify, &names) != PW_E_OK) {
        return pw_command_fail(PW_E_NOMEM, NULL);
    }
    bool forgiven = job->allow_open && verify->verdict == PW_VERIFY_OPEN;
    return forgiven ? EX_OK : codes[verify->verdict];
}

static int
read_arguments(struct job *job, int argc, char **argv, size_t *count)
{
    struct pw_args args = pw_args_over(argc, argv);
    const char *value;
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            job->json = true;
        } else if (pw_args_flag(&args, "--allow-open")) {
            job->allow_open = true;
        } else if (pw_args_flag(&args, "--all")) {
            job->all = true;
        } else if (pw_args_value(&args, "--config", &job->config)) {
            continue;
        } else if (pw_args_value(&args, "--key", &value)) {
            if (job->key_texts_count == KEYS) {
                return pw_command_misused("--key: %d keys at most", KEYS);
            }
            job->key_texts[job->key_texts_count++] = value;
        } else if (pw_args_value(&args, "--checkpoint", &value)) {
            if (job->point_paths_count == KEYS) {
                return pw_command_misused("--checkpoint: %d files at most", KEYS);
            }
            job->point_paths[job->point_paths_count++] = value;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            argv[(*count)++] = args.current;
        }
    }
    return args.bad ? EX_USAGE : EX_OK;
}

static enum pw_err
prepare(struct job *job, char **paths, size_t count, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    job->whole = job->all;
    if (sodium_init() < 0) {
        return pw_fail(why, PW_E_CRYPTO, "libsodium does not start");
    }
    if (job->config != NULL || job->key_texts_count == 0 || count == 0 || job->all) {
        job->settings = pw_settings_load(pw_command_config(job->config), why);
        err = job->settings != NULL ? PW_E_OK : PW_E_CONFIG;
    }
    err = err == PW_E_OK ? read_keys(job, why) : err;
    job->file_count = count;
    if (err == PW_E_OK && count == 0) {
        err = find_files(job, why);
        paths = job->found.paths;
    }
    err = err == PW_E_OK ? take_files(job, paths, why) : err;
    return err == PW_E_OK ? read_known(job, why) : err;
}

static void
forget(struct job *job)
{
    pw_audit_names_free(&job->found);
    free(job->files);
    job->files = NULL;
    job->file_count = 0;
    job->key_count = 0;
    job->has_state = false;
    pw_verify_points_free(&job->points);
    pw_settings_free(&job->settings);
}

/* The log that we found is not the one that stands there now: what was listed is not what
 * was read. */
static bool
was_rotated(const struct job *job)
{
    struct stat st;
    if (job->found.count == 0) {
        return false;
    }
    if (stat(job->settings->audit_file, &st) != 0) {
        return errno == ENOENT; /* between its two names */
    }
    for (size_t i = 0; i < job->file_count; i++) {
        const struct file *file = &job->files[i];
        if (strcmp(file->path, job->settings->audit_file) == 0) {
            return file->ino != st.st_ino || file->dev != st.st_dev;
        }
    }
    return false;
}

static enum pw_err
try_all(struct job *job, char **paths, size_t count, struct pw_verify **verify,
        struct pw_why *why)
{
    enum pw_err err = prepare(job, paths, count, why);
    return err == PW_E_OK ? verify_files(job, verify, why) : err;
}

int
pw_cmd_audit_verify(int argc, char **argv)
{
    struct job job = {0};
    struct pw_why why = {{0}};
    PW_CLEANUP(pw_verify_free) struct pw_verify *verify = NULL;
    size_t count = 0;
    int code = read_arguments(&job, argc, argv, &count);
    if (code != EX_OK) {
        return code;
    }
    enum pw_err err = try_all(&job, argv, count, &verify, &why);
    for (int i = 1; i < ATTEMPTS && was_rotated(&job); i++) {
        pw_verify_free(&verify);
        forget(&job);
        usleep(20000); /* the new one is there by then */
        err = try_all(&job, argv, count, &verify, &why);
    }
    code = err == PW_E_OK ? report(&job, verify) : pw_command_fail(err, &why);
    forget(&job);
    return code;
}
