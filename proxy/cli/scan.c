/* SPDX-License-Identifier: Apache-2.0 */
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/pickle/opcode.h"
#include "common/policy/dangerous.h"
#include "proxy/cli/command.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/hint.h"
#include "proxy/cli/judge.h"
#include "proxy/cli/progress.h"
#include "proxy/cli/uses.h"

enum { REFUSED = 1 };

/* The files to look at, in byte order of path within each argument. */
struct paths {
    char **list;
    size_t count;
    size_t cap;
};

static void
free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        free(paths->list[i]);
    }
    free(paths->list);
}

static enum pw_err
add_path(struct paths *paths, const char *path)
{
    if (paths->count == paths->cap) {
        size_t cap = paths->cap == 0 ? 64 : paths->cap * 2;
        char **list = realloc(paths->list, cap * sizeof *list);
        if (list == NULL) {
            return PW_E_NOMEM;
        }
        paths->list = list;
        paths->cap = cap;
    }
    char *copy = strdup(path);
    if (copy == NULL) {
        return PW_E_NOMEM;
    }
    paths->list[paths->count++] = copy;
    return PW_E_OK;
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every regular file below a folder; links are not followed. */
static enum pw_err
add_folder(struct paths *paths, char *folder)
{
    char *const roots[] = {folder, NULL};
    size_t first = paths->count;
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL) {
        return PW_E_NOMEM;
    }
    enum pw_err err = PW_E_OK;
    for (FTSENT *entry = fts_read(tree); entry != NULL && err == PW_E_OK;
         entry = fts_read(tree)) {
        if (entry->fts_info == FTS_F) {
            err = add_path(paths, entry->fts_path);
        }
    }
    fts_close(tree);
    if (paths->count > first) {
        qsort(paths->list + first, paths->count - first, sizeof *paths->list,
              compare_paths);
    }
    return err;
}

static enum pw_err
add_argument(struct paths *paths, char *path)
{
    struct stat status;
    bool folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    return folder ? add_folder(paths, path) : add_path(paths, path);
}

/* What is said of a file, gathered part by part: their bytes do not stay. */
struct telling {
    struct pw_buf import_text; /* members of JSON arrays */
    struct pw_buf find_text;
    struct pw_json imports;
    struct pw_json finds;
    FILE *words; /* or lines for a person; NULL: none */
    size_t import_count;
    enum pw_err err;
};

static void
write_place(struct pw_json *json, struct pw_span where)
{
    if (where.len > 0) {
        pw_json_bytes(json, "in", where, where.len);
    }
}

static enum pw_err
write_imports(struct pw_json *json, const struct pw_judge *judge, struct pw_span where)
{
    uint8_t *uses = pw_uses_of(&judge->report);
    if (uses == NULL) {
        return PW_E_NOMEM;
    }
    for (size_t i = 0; i < judge->report.import_count; i++) {
        const struct pw_import *import = &judge->report.imports[i];
        pw_json_object(json, NULL);
        pw_json_bytes(json, "mod", import->mod, import->mod.len);
        pw_json_bytes(json, "name", import->name, import->name.len);
        pw_json_str(json, "op", pw_opcode_info(import->op)->name);
        pw_json_uint(json, "off", import->off);
        pw_json_bool(json, "allowed", pw_policy_allows_import(judge->policy, import));
        pw_uses_write(json, uses[i]);
        pw_uses_write_renamed(json, import);
        write_place(json, where);
        pw_json_end_object(json);
    }
    free(uses);
    return json->err;
}

static void
write_finds(struct pw_json *json, const struct pw_judge *judge, struct pw_span where)
{
    for (size_t i = 0; i < judge->find_count; i++) {
        pw_json_object(json, NULL);
        pw_judge_write_find(json, &judge->finds[i]);
        write_place(json, where);
        pw_json_end_object(json);
    }
}

/* A name from outside, as far as a terminal should see it. */
static void
print_name(FILE *out, struct pw_span name)
{
    for (size_t i = 0; i < name.len && i < 128; i++) {
        fputc(name.ptr[i] >= ' ' && name.ptr[i] < 0x7f ? name.ptr[i] : '?', out);
    }
}

static void
print_find(FILE *out, const struct pw_find *find, struct pw_span where)
{
    fprintf(out, "    at %-8u %s: %s", find->off, pw_reason_code(find->reason),
            pw_reason_text(find->reason));
    if (find->mod.len > 0 || find->name.len > 0) {
        fprintf(out, ": ");
        print_name(out, find->mod);
        fputc(':', out);
        print_name(out, find->name);
    }
    const struct pw_danger *danger = pw_dangerous(find->mod, find->name);
    if (danger != NULL) {
        fprintf(out, "  %s", danger->note);
    }
    if (where.len > 0) {
        fprintf(out, "  in ");
        print_name(out, where);
    }
    fputc('\n', out);
}

static void
take_part(void *arg, const struct pw_judge *judge, struct pw_span where)
{
    struct telling *telling = arg;
    telling->import_count += judge->report.import_count;
    if (telling->words == NULL) {
        enum pw_err err = write_imports(&telling->imports, judge, where);
        write_finds(&telling->finds, judge, where);
        err = err == PW_E_OK ? telling->finds.err : err;
        telling->err = telling->err == PW_E_OK ? err : telling->err;
        return;
    }
    for (size_t i = 0; i < judge->find_count; i++) {
        print_find(telling->words, &judge->finds[i], where);
    }
}

static enum pw_err
print_json(const struct pw_judge *judge, const struct telling *telling, const char *path)
{
    struct pw_buf line = {.limit = SIZE_MAX / 2};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "path", path);
    pw_json_uint(&json, "bytes", judge->bytes);
    pw_json_str(&json, "verdict",
                pw_verdict_text(judge->refusals == 0 ? PW_PASS : PW_QUARANTINE));
    pw_json_str(&json, "reason", pw_reason_code(judge->reason));
    pw_json_str(&json, "policy", pw_policy_name(judge->policy));
    pw_json_str(&json, "kind", pw_kind_text(judge->kind));
    pw_json_uint(&json, "proto", judge->proto);
    pw_json_uint(&json, "ops", judge->ops);
    pw_json_uint(&json, "consumed", judge->consumed);
    pw_json_array(&json, "imports");
    pw_json_raw(&json, pw_buf_span(&telling->import_text));
    pw_json_end_array(&json);
    pw_json_array(&json, "finds");
    pw_json_raw(&json, pw_buf_span(&telling->find_text));
    pw_json_end_array(&json);
    pw_json_uint(&json, "finds_total", judge->refusals);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    pw_buf_free(&line);
    return json.err;
}

static void
print_words(const struct pw_judge *judge, const struct telling *telling, const char *path,
            const char *finds)
{
    pw_command_print_plain(stdout, path);
    if (judge->refusals == 0) {
        printf(": pass (%s, %zu imports)\n", pw_kind_text(judge->kind),
               telling->import_count);
        return;
    }
    printf(": refused, %zu finding%s\n%s", judge->refusals, judge->refusals == 1 ? "" : "s",
           finds);
}

/* For whoever wonders what to do about it. */
static void
print_hint(const struct pw_judge *judge)
{
    const char *name = judge->refusals == 0 ? NULL : pw_hint_policy(judge);
    if (name != NULL) {
        printf("    it passes under --policy %s\n", name);
    }
}

/* Judge one file and say what was found. */
static enum pw_err
scan_one(struct pw_judge *judge, const char *path, bool as_json, bool hint,
         struct pw_progress *progress, struct pw_why *why)
{
    struct telling telling = {.import_text = {.limit = SIZE_MAX / 2},
                              .find_text = {.limit = SIZE_MAX / 2}};
    telling.imports = pw_json_over(&telling.import_text);
    telling.finds = pw_json_over(&telling.find_text);
    char *words = NULL;
    size_t words_len;
    if (!as_json) {
        telling.words = open_memstream(&words, &words_len);
        telling.err = telling.words == NULL ? PW_E_NOMEM : PW_E_OK;
    }
    if (telling.err == PW_E_OK) {
        telling.err = pw_judge_parts(judge, path, take_part, &telling, why);
    }
    if (telling.words != NULL && fclose(telling.words) != 0) {
        telling.err = PW_E_NOMEM;
    }
    if (isatty(STDOUT_FILENO)) {
        pw_progress_hide(progress);
    }
    if (telling.err == PW_E_OK && as_json) {
        telling.err = print_json(judge, &telling, path);
    } else if (telling.err == PW_E_OK) {
        print_words(judge, &telling, path, words);
        if (hint) {
            print_hint(judge);
        }
    }
    free(words);
    pw_buf_free(&telling.import_text);
    pw_buf_free(&telling.find_text);
    return telling.err;
}

struct options {
    bool json;
    bool no_progress;
    bool hint;
    const char *config;
    const char *policy;
    struct paths paths;
};

/* The greatest exit code of all files. */
static int
scan_all(struct pw_judge *judge, const struct options *options)
{
    int code = EX_OK;
    struct pw_progress progress = {0};
    if (!options->no_progress) {
        pw_progress_start(&progress, options->paths.count);
    }
    for (size_t i = 0; i < options->paths.count; i++) {
        const char *path = options->paths.list[i];
        struct pw_why why = {0};
        enum pw_err err =
            scan_one(judge, path, options->json, options->hint, &progress, &why);
        if (err != PW_E_OK) {
            pw_progress_hide(&progress);
        }
        int own = err != PW_E_OK         ? pw_command_fail(err, &why)
                  : judge->refusals == 0 ? EX_OK
                                         : REFUSED;
        code = own > code ? own : code;
        pw_progress_step(&progress, err == PW_E_OK ? judge->bytes : 0, own == REFUSED);
    }
    pw_progress_hide(&progress);
    return code;
}

static int
parse(int argc, char **argv, struct options *options)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            options->json = true;
        } else if (pw_args_flag(&args, "--no-progress")) {
            options->no_progress = true;
        } else if (pw_args_flag(&args, "--hint")) {
            options->hint = true;
        } else if (pw_args_value(&args, "--config", &options->config) ||
                   pw_args_value(&args, "--policy", &options->policy)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (add_argument(&options->paths, args.current) != PW_E_OK) {
            return pw_command_fail(PW_E_NOMEM, NULL);
        }
    }
    return options->paths.count > 0
               ? EX_OK
               : pw_command_misused("name a file, a folder with files, or - for stdin");
}

int
pw_cmd_scan(int argc, char **argv)
{
    struct options options = {.hint = isatty(STDOUT_FILENO) != 0};
    struct pw_judge judge = {0};
    struct pw_why why = {0};
    int code = parse(argc, argv, &options);
    if (code == EX_OK) {
        enum pw_err err = pw_judge_open(&judge, options.config, options.policy, &why);
        code = err == PW_E_OK ? scan_all(&judge, &options) : pw_command_fail(err, &why);
    }
    pw_judge_free(&judge);
    free_paths(&options.paths);
    return code;
}
