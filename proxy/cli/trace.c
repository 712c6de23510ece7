/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/pickle/compat.h"
#include "common/pickle/decode.h"
#include "common/policy/dangerous.h"
#include "proxy/cli/judge.h"
#include "proxy/cli/uses.h"
#include "proxy/cli/value_text.h"

enum {
    SHOWN_USES = 4,       /* of one opcode */
    OBJECT_FINDS = 64,    /* of one opcode, in its object */
    OBJECT_NAME = 1024,   /* bytes of a module or name in an object */
    OBJECT_MAX = 4 << 20, /* bytes of an object */
};

static const char red[] = "\033[31m";
static const char yellow[] = "\033[33m";
static const char plain[] = "\033[0m";

struct trace {
    const struct pw_trace_options *options;
    const struct pw_report *report;
    enum pw_err err; /* latched */

    struct pw_op op; /* shown last; its end is where the next one starts */
    uint32_t shown;  /* opcodes */
    size_t import;   /* next one */
    size_t used;     /* next one */

    /* The stack after `op`. */
    uint64_t height;
    uint64_t *marks; /* heights at which they stand; owned */
    size_t mark_count, mark_room;

    struct pw_buf line; /* the object at hand */
    struct pw_json json;
    bool open; /* it may take another finding */
    uint64_t object_off;
    size_t object_finds;

    struct pw_trace_sum sum;
};

/* ---- the stack ------------------------------------------------------------------------
 */

static void
push_mark(struct trace *trace)
{
    if (trace->mark_count == trace->mark_room) {
        size_t room = trace->mark_room == 0 ? 64 : trace->mark_room * 2;
        uint64_t *marks = realloc(trace->marks, room * sizeof *marks);
        if (marks == NULL) {
            trace->err = PW_E_NOMEM;
            return;
        }
        trace->marks = marks;
        trace->mark_room = room;
    }
    trace->marks[trace->mark_count++] = trace->height;
}

/* Cut the stack at the newest mark; false when there is none. */
static bool
pop_mark(struct trace *trace)
{
    if (trace->mark_count == 0) {
        return false;
    }
    trace->height = trace->marks[--trace->mark_count];
    return true;
}

/* What `op` does to it. An opcode that needs more than there is changes nothing: the scan
 * ended there, with a finding. */
static void
move_stack(struct trace *trace, const struct pw_op *op)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    uint64_t fence = trace->mark_count == 0 ? 0 : trace->marks[trace->mark_count - 1];
    if (info->effect == PW_EFFECT_MARK) {
        push_mark(trace);
        return;
    }
    if (info->effect == PW_EFFECT_POP && trace->height == fence) {
        (void)pop_mark(trace);
        return;
    }
    if (info->from_mark && !pop_mark(trace)) {
        return;
    }
    if (trace->height >= info->pops) {
        trace->height += info->pushes;
        trace->height -= info->pops;
    }
}

/* ---- what an opcode does --------------------------------------------------------------
 */

/* The import that `op` makes; NULL when it makes none. */
static const struct pw_import *
take_import(struct trace *trace, size_t off)
{
    const struct pw_report *report = trace->report;
    if (trace->import < report->import_count && report->imports[trace->import].off == off) {
        return &report->imports[trace->import++];
    }
    return NULL;
}

/* The uses that `op` makes; NULL, with *count 0, when there are none. */
static const struct pw_used *
take_uses(struct trace *trace, size_t off, size_t *count)
{
    const struct pw_report *report = trace->report;
    size_t first = trace->used;
    *count = 0;
    while (trace->used < report->used_count && report->used[trace->used].off == off) {
        trace->used++;
        (*count)++;
    }
    return *count > 0 ? &report->used[first] : NULL;
}

static void
put_use(struct pw_short *out, const struct pw_report *report, const struct pw_used *used)
{
    static const char *const verbs[PW_USE_COUNT] = {
        [PW_USE_REF] = "has as a value ", [PW_USE_CALL] = "calls ",
        [PW_USE_NEW] = "makes ",          [PW_USE_BUILD] = "sets the state of ",
        [PW_USE_ITEMS] = "fills ",
    };
    const struct pw_import *import = &report->imports[used->import];
    pw_short_put(out, "%s", verbs[used->use]);
    pw_short_pair(out, import->mod, import->name);
    if (used->use == PW_USE_BUILD) {
        pw_short_put(out, ": ");
        pw_short_value(out, report, used->args);
    }
    if (used->use != PW_USE_CALL && used->use != PW_USE_NEW) {
        return;
    }
    bool tuple = used->args.kind == PW_V_TUPLE;
    pw_short_put(out, tuple ? "" : "(");
    pw_short_value(out, report, used->args);
    pw_short_put(out, tuple ? "" : ")");
}

static void
put_import(struct pw_short *out, const struct pw_trace_options *options,
           const struct pw_import *import)
{
    struct pw_span mod, name;
    pw_short_put(out, "  = ");
    pw_short_pair(out, import->mod, import->name);
    if (import->proto < 3 && pw_compat_map(import->mod, import->name, &mod, &name)) {
        pw_short_put(out, ", renamed ");
        pw_short_pair(out, mod, name);
    }
    bool allowed = pw_policy_allows_import(options->policy, import);
    pw_short_put(out, allowed ? " (allowed)" : " (denied)");
}

/* ---- lines ----------------------------------------------------------------------------
 */

static void
print_header(const struct pw_trace_options *options)
{
    fprintf(options->out, "%8s  %-16s %-6s %5s %5s\n", "offset", "opcode", "effect",
            "stack", "marks");
}

/* In colour, when there are colours. */
static void
print_coloured(const struct pw_trace_options *options, const char *colour, const char *text)
{
    fprintf(options->out, "%s%s%s", options->colours ? colour : "", text,
            options->colours ? plain : "");
}

static void
print_line(struct trace *trace, const struct pw_op *op)
{
    const struct pw_trace_options *options = trace->options;
    const struct pw_op_info *info = pw_opcode_info(op->code);
    const struct pw_import *import = take_import(trace, op->off);
    size_t uses;
    const struct pw_used *used = take_uses(trace, op->off, &uses);
    struct pw_short words = {0};
    char effect[12];
    snprintf(effect, sizeof effect, "%s%u>%u", info->from_mark ? "#" : "", info->pops,
             info->pushes);
    if (info->arg != PW_ARG_LINE_PAIR) { /* that is the import */
        pw_short_argument(&words, trace->report->frame, op);
    }
    fprintf(options->out, "%8zu  %-16s %-6s %5" PRIu64 " %5zu%s%s", op->off, info->name,
            effect, trace->height, trace->mark_count, words.len > 0 ? "  " : "",
            words.text);
    if (import != NULL) {
        struct pw_short name = {0};
        const struct pw_danger *danger = pw_dangerous(import->mod, import->name);
        put_import(&name, options, import);
        print_coloured(options, yellow, name.text);
        fprintf(options->out, "%s%s", danger != NULL ? "  " : "",
                danger != NULL ? danger->note : "");
    }
    for (size_t i = 0; i < uses && i < SHOWN_USES; i++) {
        struct pw_short use = {0};
        put_use(&use, trace->report, &used[i]);
        fprintf(options->out, "%s%s", i > 0 ? "; " : "  ", use.text);
    }
    if (uses > SHOWN_USES) {
        fprintf(options->out, " and %zu more", uses - SHOWN_USES);
    }
    fputc('\n', options->out);
}

static void
print_find(struct trace *trace, const struct pw_find *find)
{
    struct pw_short words = {0};
    const struct pw_danger *danger = pw_dangerous(find->mod, find->name);
    bool here = trace->shown > 0 && find->off == trace->op.off;
    char place[16];
    snprintf(place, sizeof place, "%8" PRIu32, find->off);
    const char *op = find->op < 0 ? NULL : pw_opcode_info((uint8_t)find->op)->name;
    pw_short_put(&words, "%8s  ^ %s: %s", here ? "" : place, pw_reason_code(find->reason),
                 pw_reason_text(find->reason));
    if (!here && op != NULL) { /* it has no line of its own */
        pw_short_put(&words, " (%s)", op);
    }
    if (find->mod.len > 0 || find->name.len > 0) {
        pw_short_put(&words, ": ");
        pw_short_pair(&words, find->mod, find->name);
    }
    if (danger != NULL) {
        pw_short_put(&words, "  %s", danger->note);
    }
    print_coloured(trace->options, red, words.text);
    fputc('\n', trace->options->out);
}

/* ---- objects --------------------------------------------------------------------------
 */

void
pw_trace_write_place(struct pw_json *json, const struct pw_trace_options *options)
{
    if (options->frame >= 0) {
        pw_json_uint(json, "frame", (uint64_t)options->frame);
    }
    if (options->where.len > 0) {
        pw_json_bytes(json, "in", options->where, OBJECT_NAME);
    }
}

static void
open_object(struct trace *trace, uint64_t off)
{
    pw_buf_clear(&trace->line);
    trace->json = pw_json_over(&trace->line);
    trace->open = true;
    trace->object_off = off;
    trace->object_finds = 0;
    pw_json_object(&trace->json, NULL);
    pw_trace_write_place(&trace->json, trace->options);
    pw_json_uint(&trace->json, "off", off);
}

static void
close_object(struct trace *trace)
{
    if (!trace->open) {
        return;
    }
    trace->open = false;
    if (trace->object_finds > 0) {
        pw_json_end_array(&trace->json);
    }
    if (trace->object_finds > OBJECT_FINDS) {
        pw_json_uint(&trace->json, "finds_more", trace->object_finds - OBJECT_FINDS);
    }
    pw_json_end_object(&trace->json);
    pw_json_newline(&trace->json);
    trace->err = trace->json.err != PW_E_OK ? trace->json.err : trace->err;
    if (trace->json.err == PW_E_OK) {
        fwrite(trace->line.bytes, 1, trace->line.len, trace->options->out);
    }
}

static void
write_import(struct trace *trace, const struct pw_import *import)
{
    struct pw_json *json = &trace->json;
    const struct pw_danger *danger = pw_dangerous(import->mod, import->name);
    pw_json_bytes(json, "mod", import->mod, OBJECT_NAME);
    pw_json_bytes(json, "name", import->name, OBJECT_NAME);
    pw_json_bool(json, "allowed", pw_policy_allows_import(trace->options->policy, import));
    pw_uses_write_renamed(json, import);
    if (danger != NULL) {
        pw_json_str(json, "level", pw_level_text(danger->level));
        pw_json_str(json, "note", danger->note);
    }
}

static void
write_uses(struct trace *trace, const struct pw_used *used, size_t count)
{
    struct pw_json *json = &trace->json;
    pw_json_array(json, "uses");
    for (size_t i = 0; i < count && i < OBJECT_FINDS; i++) {
        const struct pw_import *import = &trace->report->imports[used[i].import];
        struct pw_short args = {0};
        pw_json_object(json, NULL);
        pw_json_str(json, "use", pw_use_word((enum pw_use)used[i].use));
        pw_json_bytes(json, "mod", import->mod, OBJECT_NAME);
        pw_json_bytes(json, "name", import->name, OBJECT_NAME);
        if (used[i].use != PW_USE_REF && used[i].use != PW_USE_ITEMS) {
            pw_short_value(&args, trace->report, used[i].args);
            pw_json_str(json, "args", args.text);
        }
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

static void
write_object(struct trace *trace, const struct pw_op *op)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    const struct pw_import *import = take_import(trace, op->off);
    struct pw_json *json = &trace->json;
    struct pw_short words = {0};
    size_t uses;
    const struct pw_used *used = take_uses(trace, op->off, &uses);
    open_object(trace, op->off);
    pw_json_str(json, "op", info->name);
    pw_json_uint(json, "end", op->end);
    pw_json_bool(json, "mark", info->from_mark);
    pw_json_uint(json, "pops", info->pops);
    pw_json_uint(json, "pushes", info->pushes);
    pw_json_uint(json, "stack", trace->height);
    pw_json_uint(json, "marks", trace->mark_count);
    pw_short_argument(&words, trace->report->frame, op);
    if (words.len > 0) {
        pw_json_str(json, "arg", words.text);
    }
    if (import != NULL) {
        write_import(trace, import);
    }
    if (uses > 0) {
        write_uses(trace, used, uses);
    }
}

static void
write_find(struct trace *trace, const struct pw_find *find)
{
    if (!trace->open || find->off != trace->object_off) {
        close_object(trace);
        open_object(trace, find->off);
    }
    if (trace->object_finds++ == 0) {
        pw_json_array(&trace->json, "finds");
    }
    if (trace->object_finds <= OBJECT_FINDS) {
        struct pw_find cut = *find;
        cut.mod.len = cut.mod.len < OBJECT_NAME ? cut.mod.len : OBJECT_NAME;
        cut.name.len = cut.name.len < OBJECT_NAME ? cut.name.len : OBJECT_NAME;
        pw_json_object(&trace->json, NULL);
        pw_judge_write_find(&trace->json, &cut);
        pw_json_end_object(&trace->json);
    }
}

/* ---- the walk -------------------------------------------------------------------------
 */

/* Show the opcodes that start at `last` or before. */
static void
show_until(struct trace *trace, uint64_t last)
{
    while (trace->err == PW_E_OK && trace->shown < trace->report->ops) {
        struct pw_op op = {0};
        if (trace->op.end > last ||
            pw_decode(trace->report->frame, trace->op.end, &op) != PW_DECODE_OP) {
            return;
        }
        move_stack(trace, &op);
        close_object(trace);
        trace->op = op;
        trace->shown++;
        if (trace->options->json) {
            write_object(trace, &op);
        } else {
            print_line(trace, &op);
        }
    }
}

static void
found(void *arg, const struct pw_find *find)
{
    struct trace *trace = arg;
    if (trace->sum.reason == PW_R_NONE ||
        pw_reason_level(find->reason) > pw_reason_level(trace->sum.reason)) {
        trace->sum.reason = find->reason;
    }
    show_until(trace, find->off);
    if (trace->options->json) {
        write_find(trace, find);
    } else {
        print_find(trace, find);
    }
}

enum pw_err
pw_trace_print(const struct pw_trace_options *options, const struct pw_report *report,
               struct pw_trace_sum *sum)
{
    struct trace trace = {
        .options = options, .report = report, .line = {.limit = OBJECT_MAX}};
    if (!options->json) {
        print_header(options);
    }
    trace.sum.refusals = pw_policy_judge(options->policy, report, found, &trace);
    show_until(&trace, UINT64_MAX);
    close_object(&trace);
    free(trace.marks);
    pw_buf_free(&trace.line);
    *sum = trace.sum;
    return trace.err;
}
