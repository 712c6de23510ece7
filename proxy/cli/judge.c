/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/judge.h"

#include <unistd.h>

#include "common/base/file.h"
#include "common/pickle/opcode.h"
#include "common/policy/dangerous.h"

static const char default_policy[] = "python-data";

enum pw_err
pw_judge_open(struct pw_judge *judge, const char *config, const char *policy,
              struct pw_why *why)
{
    const char *name = policy == NULL ? default_policy : policy;
    *judge = (struct pw_judge){0};
    judge->settings =
        config == NULL ? pw_settings_packs(why) : pw_settings_load(config, why);
    if (judge->settings == NULL) {
        return PW_E_CONFIG;
    }
    judge->policy = pw_settings_policy(judge->settings, name);
    if (judge->policy == NULL) {
        return pw_fail(
            why, PW_E_CONFIG,
            "--policy %s: there is no such policy in %s; name one that is defined "
            "there, or give its file with --config",
            name, config == NULL ? "the shipped packs" : config);
    }
    judge->scan = pw_scan_new();
    return judge->scan == NULL ? PW_E_NOMEM : PW_E_OK;
}

void
pw_judge_free(struct pw_judge *judge)
{
    pw_settings_free(&judge->settings);
    pw_scan_free(&judge->scan);
    pw_buf_free(&judge->file);
}

static void
found(void *arg, const struct pw_find *find)
{
    struct pw_judge *judge = arg;
    if (judge->reason == PW_R_NONE ||
        pw_reason_level(find->reason) > pw_reason_level(judge->reason)) {
        judge->reason = find->reason;
    }
    if (judge->find_count < PW_JUDGE_FINDS) {
        judge->finds[judge->find_count++] = *find;
    }
}

enum pw_err
pw_judge_bytes(struct pw_judge *judge, struct pw_span bytes)
{
    judge->find_count = 0;
    judge->reason = PW_R_NONE;
    enum pw_err err =
        pw_scan_frame(judge->scan, bytes, pw_policy_limits(judge->policy), &judge->report);
    if (err != PW_E_OK) {
        return err;
    }
    judge->refusals = pw_policy_judge(judge->policy, &judge->report, found, judge);
    return PW_E_OK;
}

enum pw_err
pw_judge_file(struct pw_judge *judge, const char *path, struct pw_why *why)
{
    bool standard_input = path[0] == '-' && path[1] == '\0';
    /* One byte more than a frame may have is enough to see that it has too many. */
    judge->file.limit = (size_t)pw_policy_limits(judge->policy)->max_bytes + 1;
    pw_buf_clear(&judge->file);
    enum pw_err err = standard_input ? pw_file_read_fd(STDIN_FILENO, &judge->file)
                                     : pw_file_read(path, &judge->file);
    if (err != PW_E_OK && err != PW_E_LIMIT) {
        return pw_fail(why, err, "%s: %s; name a file, a folder, or - for standard input",
                       path, pw_err_text(err));
    }
    err = pw_judge_bytes(judge, pw_buf_span(&judge->file));
    return err == PW_E_OK ? err : pw_fail(why, err, "%s: %s", path, pw_err_text(err));
}

const char *
pw_kind_text(enum pw_kind kind)
{
    static const char *const texts[] = {
        [PW_KIND_BROKEN] = "broken",
        [PW_KIND_OPAQUE] = "opaque",
        [PW_KIND_EMPTY] = "empty",
        [PW_KIND_PICKLE] = "pickle",
    };
    return texts[kind];
}

void
pw_judge_write_find(struct pw_json *json, const struct pw_find *find)
{
    pw_json_str(json, "code", pw_reason_code(find->reason));
    pw_json_uint(json, "off", find->off);
    /* The byte to blame need not be an opcode: then it has no name. */
    const char *op = find->op < 0 ? NULL : pw_opcode_info((uint8_t)find->op)->name;
    if (op != NULL) {
        pw_json_str(json, "op", op);
    }
    if (find->mod.len > 0 || find->name.len > 0) {
        pw_json_bytes(json, "mod", find->mod, find->mod.len);
        pw_json_bytes(json, "name", find->name, find->name.len);
    }
    const struct pw_danger *danger = pw_dangerous(find->mod, find->name);
    pw_json_str(json, "level", pw_level_text(pw_danger_level(find->reason, danger)));
    if (danger != NULL) {
        pw_json_str(json, "note", danger->note);
    }
}
