/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/value_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_BYTES = 48, SHOWN_ITEMS = 24, DEEPEST = 4 };

void
pw_short_put(struct pw_short *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof out->text - out->len;
    int len = vsnprintf(out->text + out->len, room, format, args);
    va_end(args);
    out->len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

void
pw_short_bytes(struct pw_short *out, struct pw_span bytes)
{
    pw_short_put(out, "\"");
    for (size_t i = 0; i < bytes.len && i < SHOWN_BYTES; i++) {
        uint8_t c = bytes.ptr[i];
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
        pw_short_put(out, plain ? "%c" : "\\x%02x", c);
    }
    pw_short_put(out, bytes.len > SHOWN_BYTES ? "\"... (%zu bytes)" : "\"", bytes.len);
}

void
pw_short_pair(struct pw_short *out, struct pw_span mod, struct pw_span name)
{
    pw_short_bytes(out, mod);
    pw_short_put(out, ":");
    pw_short_bytes(out, name);
}

static void
put_double(struct pw_short *out, uint64_t little)
{
    uint64_t bits = __builtin_bswap64(little);
    double number;
    memcpy(&number, &bits, sizeof number);
    pw_short_put(out, "%.17g", number);
}

void
pw_short_argument(struct pw_short *out, struct pw_span frame, const struct pw_op *op)
{
    switch (pw_opcode_info(op->code)->arg) {
    case PW_ARG_U8:
    case PW_ARG_U16:
    case PW_ARG_U32:
    case PW_ARG_U64:
        pw_short_put(out, "%" PRIu64, op->arg);
        return;
    case PW_ARG_S32:
        pw_short_put(out, "%" PRId32, (int32_t)(uint32_t)op->arg);
        return;
    case PW_ARG_F64:
        put_double(out, op->arg);
        return;
    case PW_ARG_LEN8:
    case PW_ARG_LEN32:
    case PW_ARG_LEN32S:
    case PW_ARG_LEN64:
        pw_short_bytes(out, pw_op_data(frame, op));
        return;
    case PW_ARG_LINE:
        pw_short_bytes(out, op->line);
        return;
    case PW_ARG_LINE_PAIR:
        pw_short_bytes(out, op->line);
        pw_short_put(out, " ");
        pw_short_bytes(out, op->line2);
        return;
    case PW_ARG_UNKNOWN:
    case PW_ARG_NONE:
    case PW_ARG_COUNT:
        return;
    }
}

/* LONG1 and LONG4 hold little-endian two's complement; short ones are worth reading. */
static bool
put_long(struct pw_short *out, struct pw_span frame, const struct pw_op *op)
{
    if ((op->code != PW_OP_LONG1 && op->code != PW_OP_LONG4) || op->arg > 8) {
        return false;
    }
    struct pw_span bytes = pw_op_data(frame, op);
    bool negative = bytes.len > 0 && (bytes.ptr[bytes.len - 1] & 0x80) != 0;
    uint64_t number = negative ? UINT64_MAX : 0;
    for (size_t i = bytes.len; i-- > 0;) {
        number = number << 8 | bytes.ptr[i];
    }
    pw_short_put(out, "%" PRId64, (int64_t)number);
    return true;
}

/* What the opcode at `off` pushed. */
static void
put_constant(struct pw_short *out, struct pw_span frame, size_t off)
{
    struct pw_op op = {0};
    if (pw_decode(frame, off, &op) != PW_DECODE_OP) {
        pw_short_put(out, "?");
    } else if (op.code == PW_OP_NEWTRUE || op.code == PW_OP_NEWFALSE) {
        pw_short_put(out, op.code == PW_OP_NEWTRUE ? "True" : "False");
    } else if (op.code == PW_OP_INT || op.code == PW_OP_LONG || op.code == PW_OP_FLOAT) {
        struct pw_short quoted = {0};
        pw_short_bytes(&quoted, op.line);
        pw_short_put(out, "%.*s", (int)quoted.len - 2, quoted.text + 1);
    } else if (!put_long(out, frame, &op)) {
        pw_short_argument(out, frame, &op);
    }
}

static void put_value(struct pw_short *out, const struct pw_report *report,
                      struct pw_value value, int depth, int *items);

static void
put_tuple(struct pw_short *out, const struct pw_report *report, struct pw_value value,
          int depth, int *items)
{
    const struct pw_value *item;
    size_t count;
    if (depth == DEEPEST || !pw_report_tuple(report, value, &item, &count)) {
        pw_short_put(out, "a tuple");
        return;
    }
    pw_short_put(out, "(");
    for (size_t i = 0; i < count; i++) {
        pw_short_put(out, i > 0 ? ", " : "");
        if (*items == SHOWN_ITEMS) {
            pw_short_put(out, "...");
            break;
        }
        put_value(out, report, item[i], depth + 1, items);
    }
    pw_short_put(out, ")");
}

/* Constants whose bytes are told; `kinds` names the rest. */
static void
put_text(struct pw_short *out, const struct pw_report *report, struct pw_value value)
{
    struct pw_span text;
    pw_short_put(out, value.kind == PW_V_BYTES ? "b" : "");
    if (pw_report_text(report, value, &text)) {
        pw_short_bytes(out, text);
    } else if (!value.decoded) {
        put_constant(out, report->frame, value.ref);
    } else {
        pw_short_put(out, "a text");
    }
}

static void
put_value(struct pw_short *out, const struct pw_report *report, struct pw_value value,
          int depth, int *items)
{
    static const char *const kinds[PW_V_COUNT] = {
        [PW_V_UNKNOWN] = "?",
        [PW_V_NONE] = "None",
        [PW_V_LIST] = "a list",
        [PW_V_DICT] = "a dict",
        [PW_V_SET] = "a set",
        [PW_V_FROZENSET] = "a frozenset",
        [PW_V_INSTANCE] = "what a call made",
    };
    const struct pw_import *origin = NULL;
    (*items)++;
    switch (value.kind) {
    case PW_V_BOOL:
    case PW_V_INT:
    case PW_V_LONG:
    case PW_V_FLOAT:
    case PW_V_BYTEARRAY:
        put_constant(out, report->frame, value.ref);
        return;
    case PW_V_STR:
    case PW_V_BYTES:
    case PW_V_BYTESTR:
        put_text(out, report, value);
        return;
    case PW_V_GLOBAL:
        pw_short_pair(out, report->imports[value.ref].mod, report->imports[value.ref].name);
        return;
    case PW_V_TUPLE:
        put_tuple(out, report, value, depth, items);
        return;
    case PW_V_INSTANCE:
        origin = pw_report_origin(report, value);
        break;
    default:
        break;
    }
    if (origin != NULL) {
        pw_short_put(out, "an instance of ");
        pw_short_pair(out, origin->mod, origin->name);
        return;
    }
    pw_short_put(out, "%s", value.kind < PW_V_COUNT ? kinds[value.kind] : "?");
}

void
pw_short_value(struct pw_short *out, const struct pw_report *report, struct pw_value value)
{
    int items = 0;
    put_value(out, report, value, 0, &items);
}
