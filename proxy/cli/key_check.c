/* SPDX-License-Identifier: Apache-2.0
 *
 * key check: every file of a key folder, and what is wrong with it.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/sign/keyring.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/key.h"

enum { WRONG = 1, LINE_LIMIT = 8192, SOON_DAYS = 30 };

static const uint64_t ns_per_day = (uint64_t)86400 * 1000000000;

struct check {
    const char *dir;
    bool json;
    size_t wrong;
    struct pw_keyring *ring;  /* the keys that were good so far */
    struct pw_revoked listed; /* the list, as far as it can be read */
    struct pw_buf line;
    enum pw_err err;
};

/* One file: a sentence about what is wrong, or a remark about what will be. */
struct verdict {
    const char *file;
    mode_t mode;
    struct pw_why wrong;
    char remark[80];
};

static void
judge_time(const struct pw_key *key, struct verdict *verdict)
{
    char until[PW_KEY_TIME_TEXT];
    uint64_t now = pw_clock_wall();
    uint64_t end = pw_key_validity(key).until;
    if (pw_key_status(key) < PW_KEY_VERIFY_ONLY || end == PW_KEY_FOR_EVER) {
        return;
    }
    pw_key_time_format(end, until);
    if (now >= end) {
        (void)pw_fail(&verdict->wrong, PW_E_CONFIG,
                      "it was good until %s; say \"status: retired\", or take it away",
                      until);
    } else if (end - now < SOON_DAYS * ns_per_day) {
        snprintf(verdict->remark, sizeof verdict->remark, "ends in %llu days",
                 (unsigned long long)((end - now) / ns_per_day));
    }
}

/* One name is one key, and the other way round; the ring knows. Takes *key over, or not. */
static void
judge_twin(struct check *check, struct pw_key **key, struct verdict *verdict)
{
    const struct pw_key *twin = pw_keyring_find(check->ring, pw_key_name(*key));
    bool same_name = twin != NULL;
    twin = same_name ? twin : pw_keyring_find_id(check->ring, pw_key_id(*key));
    if (twin != NULL) {
        (void)pw_fail(&verdict->wrong, PW_E_CONFIG, "%s holds %s; keep one of them",
                      pw_key_file(twin),
                      same_name ? "a key of this name already" : "this very key already");
        return;
    }
    check->err = pw_keyring_add(check->ring, key);
}

static void
write_head(struct pw_json *json, const struct verdict *verdict)
{
    char mode[8];
    pw_json_object(json, NULL);
    pw_json_bytes(json, "file", pw_span_str(verdict->file), NAME_MAX);
    pw_json_bool(json, "good", verdict->wrong.text[0] == '\0');
    if (verdict->mode != 0) {
        snprintf(mode, sizeof mode, "%04o", verdict->mode & 07777U);
        pw_json_str(json, "mode", mode);
    }
}

static void
write_tail(struct pw_json *json, const struct verdict *verdict)
{
    if (verdict->remark[0] != '\0') {
        pw_json_str(json, "remark", verdict->remark);
    }
    if (verdict->wrong.text[0] != '\0') {
        pw_json_str(json, "error", verdict->wrong.text);
    }
    pw_json_end_object(json);
}

/* "a.pwkey: good: …" or "a.pwkey: wrong: …"; file names may be hostile. */
static void
say(const struct verdict *verdict, const char *what)
{
    bool wrong = verdict->wrong.text[0] != '\0';
    pw_command_print_plain(stdout, verdict->file);
    fputs(wrong ? ": wrong: " : ": good: ", stdout);
    pw_command_print_plain(stdout, wrong ? verdict->wrong.text : what);
    if (!wrong && verdict->remark[0] != '\0') {
        printf("; it %s", verdict->remark);
    }
    fputc('\n', stdout);
}

static void
say_key(const struct pw_key *key, const struct verdict *verdict)
{
    char id[PW_KEY_ID_TEXT];
    char validity[PW_KEY_VALIDITY_TEXT];
    char what[400] = "";
    if (key != NULL) {
        pw_cli_key_id(key, id);
        pw_cli_key_validity(key, validity);
        snprintf(what, sizeof what, "%s %s %s, %s, %s%s%s, mode %04o", pw_key_name(key), id,
                 pw_suite_text(pw_key_suite(key)),
                 pw_key_is_bare(key) ? "for other programs" : pw_cli_key_role(key),
                 pw_key_status_text(pw_key_status(key)), validity[0] == '\0' ? "" : " ",
                 validity, verdict->mode & 07777U);
    }
    say(verdict, what);
}

static void
report_key(struct check *check, const struct pw_key *key, const struct verdict *verdict)
{
    check->wrong += verdict->wrong.text[0] != '\0';
    if (!check->json) {
        say_key(key, verdict);
        return;
    }
    pw_buf_clear(&check->line);
    struct pw_json json = pw_json_over(&check->line);
    write_head(&json, verdict);
    if (key != NULL) {
        pw_cli_key_members(&json, key);
    }
    write_tail(&json, verdict);
    check->err = check->err == PW_E_OK ? pw_cli_json_print(&json) : check->err;
}

static void
check_key(struct check *check, const char *path, struct verdict *verdict)
{
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, &verdict->wrong);
    if (key == NULL) {
        report_key(check, NULL, verdict);
        return;
    }
    if (pw_revoked_has(&check->listed, pw_key_id(key))) {
        pw_key_revoke(key);
    }
    judge_time(key, verdict);
    const struct pw_key *seen = key;
    if (verdict->wrong.text[0] == '\0') {
        judge_twin(check, &key, verdict);
    }
    report_key(check, seen, verdict);
}

static void
check_list(struct check *check, struct verdict *verdict)
{
    PW_CLEANUP(pw_revoked_free) struct pw_revoked list = {0};
    (void)!pw_revoked_load(check->dir, &list, &verdict->wrong); /* the sentence tells */
    check->wrong += verdict->wrong.text[0] != '\0';
    if (!check->json) {
        char what[80];
        snprintf(what, sizeof what, "version %llu, keys revoked: %zu, mode %04o",
                 (unsigned long long)list.version, list.count, verdict->mode & 07777U);
        say(verdict, what);
        return;
    }
    pw_buf_clear(&check->line);
    struct pw_json json = pw_json_over(&check->line);
    write_head(&json, verdict);
    if (list.version != 0) {
        pw_json_uint(&json, "version", list.version);
        pw_json_uint(&json, "revoked", list.count);
    }
    write_tail(&json, verdict);
    check->err = pw_cli_json_print(&json);
}

static void
check_file(struct check *check, const char *name)
{
    char path[PATH_MAX];
    struct stat info;
    struct verdict verdict = {.file = name};
    enum pw_key_file kind = pw_key_file_kind(name);
    if (kind == PW_KEY_FILE_NONE) {
        return;
    }
    if (snprintf(path, sizeof path, "%s/%s", check->dir, name) >= (int)sizeof path) {
        (void)pw_fail(&verdict.wrong, PW_E_NO_INPUT, "the path is too long");
        report_key(check, NULL, &verdict);
        return;
    }
    verdict.mode = stat(path, &info) == 0 ? info.st_mode : 0;
    if (kind == PW_KEY_FILE_REVOKED) {
        check_list(check, &verdict);
    } else {
        check_key(check, path, &verdict);
    }
}

static int
finish(const struct check *check)
{
    if (check->err != PW_E_OK) {
        return pw_command_fail(check->err, NULL);
    }
    return check->wrong == 0 ? EX_OK : WRONG;
}

static int
check_folder(struct check *check)
{
    struct dirent **files = NULL;
    struct pw_why why = {0};
    int count = scandir(check->dir, &files, NULL, alphasort);
    if (count < 0) {
        (void)pw_fail(&why, PW_E_NO_INPUT, "%s: %s; name the key folder", check->dir,
                      strerror(errno));
        return pw_command_fail(PW_E_NO_INPUT, &why);
    }
    for (int i = 0; i < count; i++) {
        if (check->err == PW_E_OK) {
            check_file(check, files[i]->d_name);
        }
        free(files[i]);
    }
    free(files);
    return finish(check);
}

int
pw_cmd_key_check(int argc, char **argv)
{
    struct check check = {.line = {.limit = LINE_LIMIT}};
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            check.json = true;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (check.dir != NULL) {
            return pw_command_misused("one folder, please; \"%s\" is a second",
                                      args.current);
        } else {
            check.dir = args.current;
        }
    }
    if (check.dir == NULL) {
        return pw_command_misused("name the key folder");
    }
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    check.ring = ring;
    check.err = ring == NULL ? PW_E_NOMEM : PW_E_OK;
    /* A list that cannot be read is told of at its own file. */
    (void)!pw_revoked_load(check.dir, &check.listed, NULL);
    int code = check_folder(&check);
    pw_revoked_free(&check.listed);
    pw_buf_free(&check.line);
    return code;
}
