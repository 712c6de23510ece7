/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_export.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <sysexits.h>

#include <sodium.h>

#include "common/base/hex.h"
#include "proxy/cli/audit_filter.h"
#include "proxy/cli/audit_inputs.h"
#include "proxy/cli/audit_words.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"

/* ---- values ---- */

enum { STEP_MAX = 64 };

/* The first step of a path; *path goes behind it, NULL at the last. */
static void
take_step(const char **path, char step[static STEP_MAX])
{
    const char *dot = strchr(*path, '.');
    size_t len = dot == NULL ? strlen(*path) : (size_t)(dot - *path);
    len = len < STEP_MAX ? len : STEP_MAX - 1;
    memcpy(step, *path, len);
    step[len] = '\0';
    *path = dot == NULL ? NULL : dot + 1;
}

json_t *
pw_export_get(const struct pw_export *export, const char *path)
{
    char step[STEP_MAX];
    take_step(&path, step);
    json_t *value = json_object_get(export->event, step);
    while (path != NULL && value != NULL) {
        take_step(&path, step);
        value = json_object_get(value, step);
    }
    return value;
}

const char *
pw_export_text(const struct pw_export *export, const char *path)
{
    const char *text = json_string_value(pw_export_get(export, path));
    return text == NULL ? "" : text;
}

void
pw_export_put(struct pw_export *export, const char *path, json_t *value)
{
    char step[STEP_MAX];
    json_t *at = export->out;
    take_step(&path, step);
    while (path != NULL && at != NULL) {
        json_t *next = json_object_get(at, step);
        if (next == NULL) {
            next = json_object();
            next = json_object_set_new(at, step, next) == 0 ? next : NULL;
        }
        at = next;
        take_step(&path, step);
    }
    if (value == NULL || at == NULL) {
        json_decref(value);
        export->failed = true;
        return;
    }
    export->failed = json_object_set_new(at, step, value) != 0 || export->failed;
}

void
pw_export_put_text(struct pw_export *export, const char *path, const char *text)
{
    if (text[0] != '\0') {
        pw_export_put(export, path, json_string(text));
    }
}

void
pw_export_rows(struct pw_export *export, const struct pw_export_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *value = pw_export_get(export, rows[i].from);
        if (value != NULL) {
            pw_export_put(export, rows[i].to, json_incref(value));
        }
    }
}

int
pw_export_severity(const struct pw_export *export)
{
    const char *level = pw_export_text(export, "level");
    for (int i = PW_LEVEL_CRITICAL; i > PW_LEVEL_INFO; i--) {
        if (strcmp(pw_level_text((enum pw_level)i), level) == 0) {
            return i + 1;
        }
    }
    return 1;
}

void
pw_export_put_message(struct pw_export *export, const char *path)
{
    struct pw_audit_words words;
    pw_audit_words_of(export->event, &words);
    struct pw_words text = {0};
    pw_words_put(&text, "%s: %s", words.label_in, words.main.text);
    pw_export_put_text(export, path, text.text);
}

bool
pw_export_source_is_ip(const struct pw_export *export)
{
    uint8_t address[sizeof(struct in6_addr)];
    const char *text = pw_export_text(export, "src");
    return inet_pton(AF_INET, text, address) == 1 ||
           inet_pton(AF_INET6, text, address) == 1;
}

/* ---- the command ---- */

struct job {
    struct pw_audit_inputs inputs;
    struct pw_audit_filter filter;
    const char *format;
    pw_export_fn *fill;
    uint64_t unreadable;
};

static const struct {
    const char *name;
    pw_export_fn *fill;
} formats[] = {{"ecs", pw_export_ecs}, {"ocsf", pw_export_ocsf}};

static enum pw_err
write_object(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (text == NULL) {
        return PW_E_NOMEM;
    }
    bool written = fputs(text, stdout) >= 0 && putchar('\n') != EOF;
    json_malloc_t take;
    json_free_t give_back; /* jansson's heap has a free of its own (pw_json_wipes) */
    json_get_alloc_funcs(&take, &give_back);
    give_back(text);
    return written ? PW_E_OK : PW_E_IO;
}

static void
hash_line(struct pw_span line, char hex[static 65])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, line.ptr, line.len);
    pw_hex_encode((struct pw_span){hash, sizeof hash}, hex);
}

static enum pw_err
export_line(const struct job *job, const json_t *event, struct pw_span line, uint64_t ns)
{
    PW_CLEANUP(pw_json_line_free) json_t *out = json_object();
    struct pw_export export = {.event = event, .ns = ns, .out = out};
    if (out == NULL) {
        return PW_E_NOMEM;
    }
    hash_line(line, export.hash);
    job->fill(&export);
    return export.failed ? PW_E_NOMEM : write_object(out);
}

static enum pw_err
take_line(void *arg, struct pw_span line)
{
    struct job *job = arg;
    struct pw_logged logged;
    uint64_t ns;
    if (!pw_logged_read(line, &logged) || !pw_logged_time(logged.ts, &ns)) {
        job->unreadable++;
        return PW_E_OK;
    }
    if (!pw_audit_filter_takes(&job->filter, line, &logged)) {
        return PW_E_OK;
    }
    PW_CLEANUP(pw_json_line_free) json_t *event = NULL;
    enum pw_err err = pw_json_line_read(line, &event);
    if (err == PW_E_FORMAT) {
        job->unreadable++;
        return PW_E_OK;
    }
    return err != PW_E_OK ? err : export_line(job, event, line, ns);
}

static int
run(struct job *job)
{
    struct pw_audit_source_options options = {
        .since_ns = job->filter.since_ns, .take = take_line, .arg = job};
    PW_CLEANUP(pw_audit_source_free)
    struct pw_audit_source *source = pw_audit_source_new(&options);
    if (source == NULL) {
        return pw_command_fail(PW_E_NOMEM, NULL);
    }
    int code = pw_audit_inputs_open(&job->inputs, source);
    enum pw_err err = PW_E_OK;
    while (code == EX_OK && err == PW_E_OK && !pw_audit_source_ended(source)) {
        err = pw_audit_source_step(source, -1);
        err = err == PW_E_OK && fflush(stdout) != 0 ? PW_E_IO : err;
    }
    if (code != EX_OK || err != PW_E_OK) {
        return code != EX_OK ? code : pw_command_fail(err, NULL);
    }
    if (job->unreadable > 0) {
        fprintf(stderr, "picklewall audit export: %" PRIu64 " lines are no audit lines\n",
                job->unreadable);
        return EX_DATAERR;
    }
    return EX_OK;
}

static int
read_arguments(struct job *job, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--format", &job->format) ||
            pw_audit_filter_option(&job->filter, &args) ||
            pw_audit_inputs_option(&job->inputs, &args)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        pw_audit_inputs_add(&job->inputs, args.current);
    }
    if (args.bad) {
        return EX_USAGE;
    }
    for (size_t i = 0; job->format != NULL && i < PW_COUNT(formats); i++) {
        if (strcmp(job->format, formats[i].name) == 0) {
            job->fill = formats[i].fill;
        }
    }
    if (job->fill == NULL) {
        return pw_command_misused("say --format ecs or --format ocsf");
    }
    int code = pw_audit_filter_check(&job->filter);
    return code != EX_OK ? code : pw_audit_inputs_settle(&job->inputs);
}

int
pw_cmd_audit_export(int argc, char **argv)
{
    struct job job = {0};
    int code = read_arguments(&job, argc, argv);
    if (code == EX_OK) {
        code = run(&job);
    }
    pw_audit_inputs_free(&job.inputs);
    return code;
}
