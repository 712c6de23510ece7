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
    struct pw_quarantine_place place; /* of a held message */
    const char *policy;
    const char *what; /* a file, or the id of a held message */
};

static int
read_arguments(struct options *options, const char *what, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_quarantine_read_option(&options->place, &args) ||
            pw_args_value(&args, "--policy", &options->policy)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        if (options->what != NULL) {
            return pw_command_misused("one at a time, please: not both %s and %s",
                                      options->what, args.current);
        }
        options->what = args.current;
    }
    if (args.bad) {
        return EX_USAGE;
    }
    return options->what != NULL ? EX_OK : pw_command_misused("name %s", what);
}

/* ---- the pickles of a file or frame ----------------------------------------------------
 */

/* Whether the entry of a held message has a finding about a frame. */
enum blame { BLAME_UNKNOWN, BLAMED, BLAMELESS };

/* What is under explanation. */
struct story {
    const struct options *options;
    long frame; /* its number; -1 for a file */
    size_t bytes;
    enum blame blame;
    size_t parts; /* told of */
    struct pw_trace_sum sum;
    enum pw_err err; /* latched */
};

static void
add_sum(struct story *story, const struct pw_trace_sum *sum)
{
    struct pw_trace_sum *all = &story->sum;
    all->refusals += sum->refusals;
    if (all->reason == PW_R_NONE ||
        pw_reason_level(sum->reason) > pw_reason_level(all->reason)) {
        all->reason = sum->reason;
    }
}

static void
print_verdict(const struct pw_trace_sum *sum)
{
    if (sum->refusals == 0) {
        puts("pass");
        return;
    }
    printf("%zu finding%s, %s\n", sum->refusals, sum->refusals == 1 ? "" : "s",
           pw_reason_code(sum->reason));
}

static void
print_summary(const struct pw_judge *judge, const struct pw_trace_sum *sum)
{
    const struct pw_report *report = &judge->report;
    printf("%s, protocol %u, opcodes %u, bytes %" PRIu64 " of %" PRIu64
           ", imports %zu, policy %s: ",
           pw_kind_text(report->kind), report->proto, report->ops, report->consumed,
           report->bytes, report->import_count, pw_policy_name(judge->policy));
    print_verdict(sum);
}

static enum pw_err
print_summary_json(const struct pw_trace_options *trace, const struct pw_judge *judge,
                   const struct pw_trace_sum *sum)
{
    const struct pw_report *report = &judge->report;
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_MAX_BYTES};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_trace_write_place(&json, trace);
    pw_json_str(&json, "verdict",
                pw_verdict_text(sum->refusals == 0 ? PW_PASS : PW_QUARANTINE));
    pw_json_str(&json, "reason", pw_reason_code(sum->reason));
    pw_json_str(&json, "policy", pw_policy_name(judge->policy));
    pw_json_str(&json, "kind", pw_kind_text(report->kind));
    pw_json_uint(&json, "proto", report->proto);
    pw_json_uint(&json, "ops", report->ops);
    pw_json_uint(&json, "bytes", report->bytes);
    pw_json_uint(&json, "consumed", report->consumed);
    pw_json_uint(&json, "finds_total", sum->refusals);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    return json.err;
}

/* "frame 1: 120 bytes", "part zip:a/data.pkl: 30 bytes"; nothing for a file that is one. */
static void
print_heading(const struct story *story, const struct pw_judge *judge, struct pw_span where,
              bool data)
{
    if (story->options->place.json) {
        return;
    }
    if (story->parts == 0 && story->frame >= 0) {
        printf("%sframe %ld: %zu bytes%s\n", story->frame > 0 ? "\n" : "", story->frame,
               story->bytes, data ? ", no pickle" : "");
    }
    if (where.len > 0) {
        fputs(story->parts > 0 ? "\npart " : "part ", stdout);
        pw_print_text(stdout, where);
        printf(": %" PRIu64 " bytes\n", judge->report.bytes);
    }
}

/* The scanner never saw it: what lies around it was refused. */
static struct pw_trace_sum
print_unread(const struct pw_judge *judge, bool json)
{
    enum pw_reason reason =
        judge->find_count > 0 ? judge->finds[0].reason : PW_R_LAYER_BROKEN;
    if (!json) {
        printf("%8s  ^ %s: %s\n", "", pw_reason_code(reason), pw_reason_text(reason));
    }
    return (struct pw_trace_sum){.refusals = 1, .reason = reason};
}

/* A topic, a number: what nobody blamed need not be a pickle. */
static bool
is_data(const struct story *story, const struct pw_report *report, struct pw_span where)
{
    bool broken = report->kind == PW_KIND_BROKEN && story->blame == BLAMELESS;
    return story->frame >= 0 && story->blame != BLAMED && where.len == 0 &&
           (broken || report->kind == PW_KIND_OPAQUE || report->kind == PW_KIND_EMPTY);
}

static void
tell_part(void *arg, const struct pw_judge *judge, struct pw_span where)
{
    struct story *story = arg;
    struct pw_trace_options trace = {.out = stdout,
                                     .policy = judge->policy,
                                     .json = story->options->place.json,
                                     .colours = pw_command_colours(),
                                     .frame = story->frame,
                                     .where = where};
    struct pw_trace_sum sum = {0};
    bool data = is_data(story, &judge->report, where);
    bool unread = judge->report.scan == NULL;
    if (story->err != PW_E_OK) {
        return;
    }
    print_heading(story, judge, where, data);
    story->parts++;
    if (unread && !data) {
        sum = print_unread(judge, trace.json);
    } else if (!data) {
        story->err = pw_trace_print(&trace, &judge->report, &sum);
    }
    add_sum(story, &sum);
    if (story->err == PW_E_OK && trace.json) {
        story->err = print_summary_json(&trace, judge, &sum);
    } else if (story->err == PW_E_OK && !data && !unread) {
        print_summary(judge, &sum);
    }
}

/* What is left to say when all parts were told of. */
static void
finish(const struct story *story)
{
    if (story->options->place.json) {
        return;
    }
    if (story->parts == 0 && story->frame >= 0) {
        printf("%sframe %ld: %zu bytes, ", story->frame > 0 ? "\n" : "", story->frame,
               story->bytes);
    }
    if (story->parts == 0) {
        puts("no pickle in it");
    } else if (story->parts > 1) {
        printf("\n%zu parts: ", story->parts);
        print_verdict(&story->sum);
    }
}

/* ---- a held message -------------------------------------------------------------------
 */

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

/* The policy that refused the message, when it is known here; else the default. */
static enum pw_err
open_judge(struct pw_judge *judge, const struct options *options, const json_t *meta,
           struct pw_why *why)
{
    struct pw_span set = pw_json_text(json_object_get(meta, "rule"), "set");
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)set.len, (const char *)set.ptr);
    const char *policy = options->policy == NULL && set.len > 0 ? name : options->policy;
    enum pw_err err = pw_judge_open(judge, options->place.config, policy, why);
    if (err != PW_E_CONFIG || policy == options->policy || judge->settings == NULL) {
        return err;
    }
    fputs("picklewall: policy ", stderr);
    pw_command_print_plain(stderr, name);
    fputs(" is not known here, so judged by python-data; give --config\n", stderr);
    pw_judge_free(judge);
    return pw_judge_open(judge, options->place.config, NULL, why);
}

static enum pw_err
explain_frames(const struct options *options, const struct pw_held *held,
               const json_t *meta, int *code, struct pw_why *why)
{
    PW_CLEANUP(pw_judge_free) struct pw_judge judge;
    enum pw_err err = open_judge(&judge, options, meta, why);
    for (size_t i = 0; err == PW_E_OK && i < held->count; i++) {
        struct story story = {.options = options,
                              .frame = (long)i,
                              .bytes = held->frames[i].len,
                              .blame = blame_of(meta, i)};
        err = pw_judge_bytes(&judge, held->frames[i], tell_part, &story);
        err = err == PW_E_OK ? story.err : err;
        if (err != PW_E_OK) {
            return err;
        }
        finish(&story);
        *code = story.sum.refusals > 0 ? REFUSED : *code;
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
    struct pw_store *store = pw_quarantine_open(&options->place, &err, &why);
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
    enum pw_err err = pw_judge_open(&judge, options->place.config, options->policy, &why);
    struct story story = {.options = options, .frame = -1};
    err = err == PW_E_OK ? pw_judge_parts(&judge, options->what, tell_part, &story, &why)
                         : err;
    err = err == PW_E_OK ? story.err : err;
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    finish(&story);
    return story.sum.refusals == 0 ? EX_OK : REFUSED;
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
    bool held = options.place.state != NULL || is_id(options.what);
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
