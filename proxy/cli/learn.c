/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/settings/schema.h"
#include "common/settings/settings.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/learned.h"

enum { CHUNK = 64 * 1024 };

struct options {
    const char *name;
    const char *least_text;
    const char *config;
    uint64_t least;
    char **files; /* borrowed from argv */
    int file_count;
};

static enum pw_err
read_all(struct pw_learned *learned, int fd)
{
    uint8_t chunk[CHUNK];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return PW_E_IO;
        }
        if (got == 0) {
            return pw_learned_end(learned);
        }
        enum pw_err err = pw_learned_feed(learned, (struct pw_span){chunk, (size_t)got});
        if (err != PW_E_OK) {
            return err;
        }
    }
}

/* One file; its malformed lines are told under its name. */
static enum pw_err
learn_file(struct pw_learned *learned, const char *path, struct pw_why *why)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        enum pw_err err = errno == EACCES ? PW_E_PERM : PW_E_NO_INPUT;
        return pw_fail(why, err,
                       "%s: %s; name an audit log, the output of scan --json, or - for "
                       "standard input",
                       path, strerror(errno));
    }
    uint64_t before = learned->malformed;
    learned->number = 0;
    learned->first_malformed = 0;
    enum pw_err err = read_all(learned, fd);
    if (!standard_input) {
        close(fd);
    }
    if (err != PW_E_OK) {
        return pw_fail(why, err, "%s: %s", path, pw_err_text(err));
    }
    uint64_t bad = learned->malformed - before;
    if (bad > 0) {
        fputs("picklewall: ", stderr);
        pw_command_print_plain(stderr, path);
        fprintf(stderr,
                ":%" PRIu64 ": neither an audit line nor an object of scan --json; %" PRIu64
                " such line%s passed over\n",
                learned->first_malformed, bad, bad == 1 ? "" : "s");
    }
    return PW_E_OK;
}

static bool
is_known(void *arg, struct pw_span policy)
{
    const struct pw_settings *settings = arg;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)policy.len, (const char *)policy.ptr);
    return pw_settings_policy(settings, name) != NULL;
}

static void
say_what_is_missing(const struct pw_learned *learned, size_t left)
{
    if (learned->incomplete > 0) {
        fprintf(stderr,
                "picklewall: %" PRIu64 " line%s told only the first findings of a message; "
                "run under the new policy and learn again\n",
                learned->incomplete, learned->incomplete == 1 ? "" : "s");
    }
    if (learned->forgotten > 0 || left > 0) {
        fprintf(stderr,
                "picklewall: more names than one policy can hold; raise --min-count, or "
                "learn from fewer files\n");
    }
}

static enum pw_err
print_policy(const struct pw_learned *learned, const struct options *options,
             struct pw_why *why)
{
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = options->config == NULL
                                       ? pw_settings_packs(why)
                                       : pw_settings_load(options->config, why);
    if (settings == NULL) {
        return PW_E_CONFIG;
    }
    struct pw_learn_options print = {.name = options->name,
                                     .least = options->least,
                                     .is_known = is_known,
                                     .arg = settings};
    size_t written;
    size_t left;
    enum pw_err err = pw_learned_print(learned, &print, stdout, &written, &left);
    if (err == PW_E_OK) {
        say_what_is_missing(learned, left);
    }
    return err;
}

static enum pw_err
learn(struct pw_learned *learned, const struct options *options, struct pw_why *why)
{
    for (int i = 0; i < options->file_count; i++) {
        enum pw_err err = learn_file(learned, options->files[i], why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    if (learned->lines == learned->malformed) {
        return pw_fail(why, PW_E_FORMAT,
                       "nothing to learn from: no audit line and no object of scan --json; "
                       "give an audit log, or pipe picklewall scan --json into learn -");
    }
    return print_policy(learned, options, why);
}

static bool
read_number(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static int
read_arguments(struct options *options, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--name", &options->name) ||
            pw_args_value(&args, "--config", &options->config) ||
            pw_args_value(&args, "--min-count", &options->least_text)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        options->files[options->file_count++] = args.current;
    }
    if (args.bad) {
        return EX_USAGE;
    }
    if (!pw_schema_is_name(options->name)) {
        return pw_command_misused("--name %s: letters, digits, . _ - please",
                                  options->name);
    }
    if (options->least_text != NULL && !read_number(options->least_text, &options->least)) {
        return pw_command_misused("--min-count %s: give a number", options->least_text);
    }
    return options->file_count > 0
               ? EX_OK
               : pw_command_misused("name an audit log, or - for standard input");
}

int
pw_cmd_learn(int argc, char **argv)
{
    struct options options = {.name = "learned"};
    struct pw_learned learned;
    struct pw_why why = {0};
    pw_learned_init(&learned);
    options.files = calloc((size_t)argc + 1, sizeof *options.files);
    int code = options.files == NULL ? pw_command_fail(PW_E_NOMEM, NULL)
                                     : read_arguments(&options, argc, argv);
    if (code == EX_OK) {
        enum pw_err err = learn(&learned, &options, &why);
        code = err == PW_E_OK ? EX_OK : pw_command_fail(err, &why);
    }
    free(options.files);
    pw_learned_free(&learned);
    return code;
}
