/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine export: the bytes of a held message in files; quarantine keygen: the keys that
 * seal and unseal it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/quarantine/seal.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/quarantine.h"

enum { META_LIMIT = 1 << 20 };

struct exporting {
    struct pw_quarantine_place place;
    const char *id;
    const char *out;
    const char *format;
    struct pw_found found;
};

static int
read_arguments(struct exporting *it, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_quarantine_read_option(&it->place, &args) ||
            pw_args_value(&args, "--out", &it->out) ||
            pw_args_value(&args, "--format", &it->format)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        if (it->id != NULL) {
            return pw_command_misused("\"%s\" is one argument too many", args.current);
        }
        it->id = args.current;
    }
    if (args.bad) {
        return EX_USAGE;
    }
    if (it->id == NULL || it->out == NULL) {
        return pw_command_misused("give the id of a message, and --out FILE");
    }
    return EX_OK;
}

/* A file of its own, 0600: what stands there already is not written over. */
static enum pw_err
write_spans(const char *path, const struct pw_span *spans, size_t count, struct pw_why *why)
{
    PW_CLEANUP(pw_file_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return pw_fail(why, PW_E_CREATE, "%s: %s; name a file that does not exist", path,
                       strerror(errno));
    }
    bool written = true;
    for (size_t i = 0; written && i < count; i++) {
        written = pw_file_write_all(fd, spans[i]) == PW_E_OK;
    }
    if (written && fsync(fd) == 0) {
        return PW_E_OK;
    }
    int number = errno;
    (void)unlink(path);
    return pw_fail(why, PW_E_IO, "%s: %s; make room", path, strerror(number));
}

/* The file as it lies in the quarantine, sealed if it is. */
static enum pw_err
export_object(const struct exporting *it, struct pw_store *store, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    enum pw_err err = pw_store_read_file(store, it->found.object, &bytes, why);
    const struct pw_span whole = pw_buf_span(&bytes);
    return err == PW_E_OK ? write_spans(it->out, &whole, 1, why) : err;
}

/* All frames, one behind the other. */
static enum pw_err
export_raw(const struct exporting *it, struct pw_store *store, struct pw_why *why)
{
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    enum pw_err err = pw_store_read(store, it->found.object, &held, why);
    return err == PW_E_OK ? write_spans(it->out, held.frames, held.count, why) : err;
}

/* A file a frame: OUT.0, OUT.1, … */
static enum pw_err
export_frames(const struct exporting *it, struct pw_store *store, struct pw_why *why)
{
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    enum pw_err err = pw_store_read(store, it->found.object, &held, why);
    for (size_t i = 0; err == PW_E_OK && i < held.count; i++) {
        char path[PW_QUARANTINE_PATH];
        if (snprintf(path, sizeof path, "%s.%zu", it->out, i) >= (int)sizeof path) {
            return pw_fail(why, PW_E_CREATE, "--out: a path that is too long");
        }
        err = write_spans(path, &held.frames[i], 1, why);
    }
    return err;
}

static const struct format {
    const char *name;
    enum pw_err (*run)(const struct exporting *it, struct pw_store *store,
                       struct pw_why *why);
} formats[] = {
    {"object", export_object},
    {"raw", export_raw},
    {"frames", export_frames},
};

static const struct format *
find_format(const char *name)
{
    for (size_t i = 0; i < PW_COUNT(formats); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

int
pw_cmd_quarantine_export(int argc, char **argv)
{
    struct exporting it = {.format = "object"};
    struct pw_why why = {{0}};
    enum pw_err err = PW_E_OK;
    int code = read_arguments(&it, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    const struct format *format = find_format(it.format);
    if (format == NULL) {
        return pw_command_misused("--format %s: name object, raw or frames", it.format);
    }
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(&it.place, &err, &why);
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = META_LIMIT};
    if (store != NULL) {
        err = pw_store_find(store, it.id, &it.found, &json, &why);
        err = err == PW_E_OK ? format->run(&it, store, &why) : err;
    }
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    fputs("picklewall: this is live ammunition: whoever unpickles it runs what it says\n",
          stderr);
    return EX_OK;
}

/* ---- keygen ---- */

int
pw_cmd_quarantine_keygen(int argc, char **argv)
{
    const char *out = NULL;
    struct pw_why why = {{0}};
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--out", &out)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        return pw_command_misused("\"%s\" is one argument too many", args.current);
    }
    if (args.bad || out == NULL) {
        return args.bad ? EX_USAGE : pw_command_misused("name a folder, --out DIR");
    }
    if (sodium_init() < 0) {
        return pw_command_fail(PW_E_CRYPTO, NULL);
    }
    enum pw_err err = pw_seal_keygen(out, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    printf("%s/quarantine.pub   for the wall: quarantine.seal\n"
           "%s/quarantine.key   to read what it holds: keep it away from the wall\n",
           out, out);
    return EX_OK;
}
