/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sysexits.h>

#include "common/pickle/decode.h"
#include "proxy/cli/command.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/judge.h"

enum { REFUSED = 1, SHOWN_BYTES = 48 };

static const char red[] = "\033[31m";
static const char plain[] = "\033[0m";

struct trace {
    const struct pw_judge *judge;
    size_t find;   /* next finding */
    size_t import; /* next import */
    bool colours;
};

/* The import that this opcode makes; NULL when it makes none. */
static const struct pw_import *
import_at(struct trace *trace, size_t off)
{
    const struct pw_report *report = &trace->judge->report;
    if (trace->import < report->import_count && report->imports[trace->import].off == off) {
        return &report->imports[trace->import++];
    }
    return NULL;
}

static void
print_bytes(struct pw_span bytes)
{
    putchar('"');
    for (size_t i = 0; i < bytes.len && i < SHOWN_BYTES; i++) {
        uint8_t c = bytes.ptr[i];
        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
            putchar(c);
        } else {
            printf("\\x%02x", c);
        }
    }
    printf(bytes.len > SHOWN_BYTES ? "\"... (%zu bytes)" : "\"", bytes.len);
}

static void
print_argument(struct pw_span frame, const struct pw_op *op)
{
    switch (pw_opcode_info(op->code)->arg) {
    case PW_ARG_UNKNOWN:
    case PW_ARG_NONE:
        return;
    case PW_ARG_U8:
    case PW_ARG_U16:
    case PW_ARG_U32:
    case PW_ARG_U64:
        printf(" %llu", (unsigned long long)op->arg);
        return;
    case PW_ARG_S32:
        printf(" %d", (int)(int32_t)op->arg);
        return;
    case PW_ARG_F64: {
        uint64_t bits = __builtin_bswap64(op->arg);
        double number;
        memcpy(&number, &bits, sizeof number);
        printf(" %.17g", number);
        return;
    }
    case PW_ARG_LEN8:
    case PW_ARG_LEN32:
    case PW_ARG_LEN32S:
    case PW_ARG_LEN64:
        putchar(' ');
        print_bytes(pw_op_data(frame, op));
        return;
    case PW_ARG_LINE_PAIR:
    case PW_ARG_LINE:
        putchar(' ');
        print_bytes(op->line);
        if (pw_opcode_info(op->code)->arg == PW_ARG_LINE_PAIR) {
            putchar(' ');
            print_bytes(op->line2);
        }
        return;
    case PW_ARG_COUNT:
        return;
    }
}

static void
print_find(const struct trace *trace, const struct pw_find *find)
{
    printf("%s         ^ %s: %s", trace->colours ? red : "", pw_reason_code(find->reason),
           pw_reason_text(find->reason));
    if (find->mod.len > 0 || find->name.len > 0) {
        printf(": ");
        print_bytes(find->mod);
        putchar(':');
        print_bytes(find->name);
    }
    printf("%s\n", trace->colours ? plain : "");
}

static void
print_op(struct trace *trace, const struct pw_op *op)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    char effect[12];
    snprintf(effect, sizeof effect, "%s%u>%u", info->from_mark ? "#" : "", info->pops,
             info->pushes);
    printf("%8zu  %-16s %-5s", op->off, info->name, effect);
    print_argument(trace->judge->report.frame, op);
    const struct pw_import *import = import_at(trace, op->off);
    if (import != NULL) {
        printf("  = ");
        print_bytes(import->mod);
        putchar(':');
        print_bytes(import->name);
        printf(pw_policy_allows_import(trace->judge->policy, import) ? " (allowed)"
                                                                     : " (denied)");
    }
    putchar('\n');
}

static void
print_json(struct trace *trace, const struct pw_op *op, struct pw_buf *line)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    struct pw_json json = pw_json_over(line);
    pw_buf_clear(line);
    pw_json_object(&json, NULL);
    pw_json_uint(&json, "off", op->off);
    pw_json_str(&json, "op", info->name);
    pw_json_uint(&json, "end", op->end);
    pw_json_bool(&json, "mark", info->from_mark);
    pw_json_uint(&json, "pops", info->pops);
    pw_json_uint(&json, "pushes", info->pushes);
    const struct pw_import *import = import_at(trace, op->off);
    if (import != NULL) {
        pw_json_bytes(&json, "mod", import->mod, import->mod.len);
        pw_json_bytes(&json, "name", import->name, import->name.len);
        pw_json_bool(&json, "allowed",
                     pw_policy_allows_import(trace->judge->policy, import));
    }
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line->bytes, 1, line->len, stdout);
    }
}

static void
print_json_find(const struct pw_find *find, struct pw_buf *line)
{
    struct pw_json json = pw_json_over(line);
    pw_buf_clear(line);
    pw_json_object(&json, NULL);
    pw_json_object(&json, "find");
    pw_judge_write_find(&json, find);
    pw_json_end_object(&json);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line->bytes, 1, line->len, stdout);
    }
}

/* The findings up to `before`. */
static void
show_finds(struct trace *trace, uint64_t before, struct pw_buf *json_line)
{
    const struct pw_judge *judge = trace->judge;
    while (trace->find < judge->find_count && judge->finds[trace->find].off < before) {
        const struct pw_find *find = &judge->finds[trace->find++];
        if (json_line != NULL) {
            print_json_find(find, json_line);
        } else {
            print_find(trace, find);
        }
    }
}

/* Every opcode the scanner executed, with its findings below it. */
static void
show_trace(struct trace *trace, struct pw_buf *json_line)
{
    struct pw_span frame = trace->judge->report.frame;
    struct pw_op op = {0};
    for (uint32_t i = 0; i < trace->judge->report.ops; i++) {
        if (pw_decode(frame, op.end, &op) != PW_DECODE_OP) {
            break;
        }
        show_finds(trace, op.off, json_line);
        if (json_line != NULL) {
            print_json(trace, &op, json_line);
        } else {
            print_op(trace, &op);
        }
    }
    show_finds(trace, UINT64_MAX, json_line);
}

static int
explain(const char *path, const char *config, const char *policy, bool json)
{
    struct pw_judge judge;
    struct pw_why why = {0};
    struct pw_buf line = {.limit = SIZE_MAX / 2};
    enum pw_err err = pw_judge_open(&judge, config, policy, &why);
    if (err == PW_E_OK) {
        err = pw_judge_file(&judge, path, &why);
    }
    int code = judge.refusals == 0 ? EX_OK : REFUSED;
    if (err == PW_E_OK) {
        struct trace trace = {.judge = &judge, .colours = pw_command_colours()};
        show_trace(&trace, json ? &line : NULL);
        if (!json) {
            printf("%s, protocol %u, %u opcodes, %llu of %llu bytes: %s\n",
                   pw_kind_text(judge.report.kind), judge.report.proto, judge.report.ops,
                   (unsigned long long)judge.report.consumed,
                   (unsigned long long)judge.report.bytes,
                   judge.refusals == 0 ? "pass" : pw_reason_code(judge.reason));
        }
    } else {
        code = pw_command_fail(err, &why);
    }
    pw_buf_free(&line);
    pw_judge_free(&judge);
    return code;
}

int
pw_cmd_explain(int argc, char **argv)
{
    const char *config = NULL;
    const char *policy = NULL;
    const char *path = NULL;
    bool json = false;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            json = true;
        } else if (pw_args_value(&args, "--config", &config) ||
                   pw_args_value(&args, "--policy", &policy)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (path != NULL) {
            return pw_command_misused("one file at a time, please: not both %s and %s",
                                      path, args.current);
        } else {
            path = args.current;
        }
    }
    return path == NULL ? pw_command_misused("name a file, or - for stdin")
                        : explain(path, config, policy, json);
}
