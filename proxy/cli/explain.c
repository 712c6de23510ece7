/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/judge.h"
#include "proxy/cli/quarantine.h"
#include "proxy/cli/trace.h"

enum { REFUSED = 1, META_MAX = 1 << 20, LINE_MAX_BYTES = 1 << 16, SHORTEST_ID = 8 };

struct options {
    const char *config;
    const char *policy;
    const char *state;
    const char *what; /* a file, or the id of a held message */
    bool json;
};

static int
read_arguments(struct options *options, const char *what, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            options->json = true;
        } else if (pw_args_value(&args, "--config", &options->config) ||
                   pw_args_value(&args, "--policy", &options->policy) ||
                   pw_args_value(&args, "--state", &options->state)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (options->what != NULL) {
            return pw_command_misused("one at a time, please: not both %s and %s",
                                      options->what, args.current);
        } else {
            options->what = args.current;
        }
    }
    if (args.bad) {
        return EX_USAGE;
    }
    return options->what != NULL ? EX_OK : pw_command_misused("name %s", what);
}

/* ---- one pickle -----------------------------------------------------------------------
 */

static void
print_summary(const struct pw_judge *judge, const struct pw_report *report, size_t refusals)
{
    printf("%s, protocol %u, opcodes %u, bytes %" PRIu64 " of %" PRIu64
           ", imports %zu, policy %s: ",
           pw_kind_text(report->kind), report->proto, report->ops, report->consumed,
           report->bytes, report->import_count, pw_policy_name(judge->policy));
    if (refusals == 0) {
        puts("pass");
        return;
    }
    printf("%zu finding%s, %s\n", refusals, refusals == 1 ? "" : "s",
           pw_reason_code(judge->reason));
}

static enum pw_err
print_summary_json(const struct pw_judge *judge, const struct pw_report *report,
                   size_t refusals, long part)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_MAX_BYTES};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    if (part >= 0) {
        pw_json_uint(&json, "frame", (uint64_t)part);
    }
    pw_json_str(&json, "verdict", pw_verdict_text(refusals == 0 ? PW_PASS : PW_QUARANTINE));
    pw_json_str(&json, "reason", pw_reason_code(judge->reason));
    pw_json_str(&json, "policy", pw_policy_name(judge->policy));
    pw_json_str(&json, "kind", pw_kind_text(report->kind));
    pw_json_uint(&json, "proto", report->proto);
    pw_json_uint(&json, "ops", report->ops);
    pw_json_uint(&json, "bytes", report->bytes);
    pw_json_uint(&json, "consumed", report->consumed);
    pw_json_uint(&json, "finds_total", refusals);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    return json.err;
}

/* The trace and the summary of what was judged last. */
static enum pw_err
explain_judged(const struct options *options, const struct pw_judge *judge, long part)
{
    struct pw_trace_options trace = {.out = stdout,
                                     .policy = judge->policy,
                                     .json = options->json,
                                     .colours = pw_command_colours(),
                                     .part = part};
    size_t refusals;
    enum pw_err err = pw_trace_print(&trace, &judge->report, &refusals);
    if (err != PW_E_OK) {
        return err;
    }
    if (options->json) {
        return print_summary_json(judge, &judge->report, refusals, part);
    }
    print_summary(judge, &judge->report, refusals);
    return PW_E_OK;
}

/* ---- a held message -------------------------------------------------------------------
 */

enum blame { BLAME_UNKNOWN, BLAMED, BLAMELESS };

/* Whether some finding of the entry is about this frame. */
static enum blame
blame_of(const json_t *meta, size_t frame)
{
    const json_t *finds = json_object_get(meta, "finds");
    for (size_t i = 0; i < json_array_size(finds); i++) {
        const json_t *number = json_object_get(json_array_get(finds, i), "frame");
        if (json_is_integer(number) && json_integer_value(number) == (json_int_t)frame) {
            return BLAMED;
        }
    }
    return json_is_array(finds) ? BLAMELESS : BLAME_UNKNOWN;
}

/* A topic, a number: what nobody blamed need not be a pickle. */
static bool
is_data(enum pw_kind kind, enum blame blame)
{
    bool broken = kind == PW_KIND_BROKEN && blame == BLAMELESS;
    return blame != BLAMED && (broken || kind == PW_KIND_OPAQUE || kind == PW_KIND_EMPTY);
}

static enum pw_err
explain_frame(const struct options *options, struct pw_judge *judge, struct pw_span frame,
              size_t number, enum blame blame, int *code)
{
    enum pw_err err = pw_judge_bytes(judge, frame);
    if (err != PW_E_OK) {
        return err;
    }
    bool data = is_data(judge->report.kind, blame);
    if (!options->json) {
        printf("%sframe %zu: %zu bytes%s\n", number > 0 ? "\n" : "", number, frame.len,
               data ? ", no pickle" : "");
    }
    if (data) {
        return options->json ? print_summary_json(judge, &judge->report, 0, (long)number)
                             : PW_E_OK;
    }
    *code = judge->refusals > 0 ? REFUSED : *code;
    return explain_judged(options, judge, (long)number);
}

/* The policy that refused the message, when it is known here; else the default. */
static enum pw_err
open_judge(struct pw_judge *judge, const struct options *options, const json_t *meta,
           struct pw_why *why)
{
    struct pw_span set = pw_json_text(json_object_get(meta, "rule"), "set");
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)set.len, (const char *)set.ptr);
    const char *policy = options->policy == NULL && set.len > 0 ? name : options->policy;
    enum pw_err err = pw_judge_open(judge, options->config, policy, why);
    if (err != PW_E_CONFIG || policy == options->policy || judge->settings == NULL) {
        return err;
    }
    fputs("picklewall: policy ", stderr);
    pw_command_print_plain(stderr, name);
    fputs(" is not known here, so judged by python-data; give --config\n", stderr);
    pw_judge_free(judge);
    return pw_judge_open(judge, options->config, NULL, why);
}

static enum pw_err
explain_frames(const struct options *options, const struct pw_held *held,
               const json_t *meta, int *code, struct pw_why *why)
{
    PW_CLEANUP(pw_judge_free) struct pw_judge judge;
    enum pw_err err = open_judge(&judge, options, meta, why);
    for (size_t i = 0; err == PW_E_OK && i < held->count; i++) {
        err = explain_frame(options, &judge, held->frames[i], i, blame_of(meta, i), code);
    }
    return err;
}

static int
explain_held(const struct options *options)
{
    struct pw_why why = {0};
    enum pw_err err = PW_E_OK;
    int code = EX_OK;
    PW_CLEANUP(pw_store_free)
    struct pw_store *store =
        pw_quarantine_open(options->config, options->state, &err, &why);
    if (store == NULL) {
        return pw_command_fail(err, &why);
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = META_MAX};
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    err = pw_store_get(store, options->what, &held, &text, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    PW_CLEANUP(pw_json_line_free) json_t *meta = pw_json_line_parse(pw_buf_span(&text));
    err = explain_frames(options, &held, meta, &code, &why);
    return err == PW_E_OK ? code : pw_command_fail(err, &why);
}

/* ---- the commands ---------------------------------------------------------------------
 */

static int
explain_file(const struct options *options)
{
    PW_CLEANUP(pw_judge_free) struct pw_judge judge;
    struct pw_why why = {0};
    enum pw_err err = pw_judge_open(&judge, options->config, options->policy, &why);
    err = err == PW_E_OK ? pw_judge_file(&judge, options->what, &why) : err;
    err = err == PW_E_OK ? explain_judged(options, &judge, -1) : err;
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    return judge.refusals == 0 ? EX_OK : REFUSED;
}

/* No file, and spelled like an entry or object of the quarantine. */
static bool
is_id(const char *text)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdef";
    size_t len = strlen(text);
    return len >= SHORTEST_ID && strspn(text, digits) == len && access(text, F_OK) != 0;
}

int
pw_cmd_explain(int argc, char **argv)
{
    struct options options = {0};
    int code = read_arguments(&options, "a file, - for stdin, or the id of a held message",
                              argc, argv);
    if (code != EX_OK) {
        return code;
    }
    bool held = options.state != NULL || is_id(options.what);
    return held ? explain_held(&options) : explain_file(&options);
}

int
pw_cmd_quarantine_explain(int argc, char **argv)
{
    struct options options = {0};
    int code = read_arguments(&options, "the id of a message; quarantine list shows them",
                              argc, argv);
    return code == EX_OK ? explain_held(&options) : code;
}
