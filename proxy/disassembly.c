/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disassembly.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/pickle/decode.h"

enum { ARG_SHOWN = 120 };

/* The offsets of the newest opcodes, and how many there were. */
struct trail {
    size_t offs[PW_DISASSEMBLY_BEFORE + 1];
    size_t count;
};

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Walk to the opcode at `off`; false when none begins there. */
static bool
walk_to(struct pw_span frame, uint64_t off, struct trail *trail)
{
    struct pw_op op;
    for (size_t at = 0; at <= off; at = op.end) {
        trail->offs[trail->count++ % PW_COUNT(trail->offs)] = at;
        enum pw_decoded decoded = pw_decode(frame, at, &op);
        if (at == off) {
            return decoded != PW_DECODE_END;
        }
        if (decoded != PW_DECODE_OP || op.effect == PW_EFFECT_STOP) {
            return false;
        }
    }
    return false;
}

static double
as_double(uint64_t big_endian_bits)
{
    /* decode reads little-endian; BINFLOAT is the one argument that is not. */
    uint64_t bits = __builtin_bswap64(big_endian_bits);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void
write_number(struct pw_json *json, const struct pw_op *op, enum pw_arg arg)
{
    char text[40];
    if (arg == PW_ARG_F64) {
        snprintf(text, sizeof text, "%.17g", as_double(op->arg));
    } else if (arg == PW_ARG_S32) {
        snprintf(text, sizeof text, "%" PRId32, (int32_t)op->arg);
    } else {
        snprintf(text, sizeof text, "%" PRIu64, op->arg);
    }
    pw_json_str(json, "arg", text);
}

/* "module name", each cut where the whole would be. */
static void
write_pair(struct pw_json *json, const struct pw_op *op)
{
    uint8_t text[2 * (ARG_SHOWN + 1)];
    size_t len = 0;
    for (size_t i = 0; i < least(op->line.len, ARG_SHOWN + 1); i++) {
        text[len++] = op->line.ptr[i];
    }
    text[len++] = ' ';
    for (size_t i = 0; i < least(op->line2.len, ARG_SHOWN); i++) {
        text[len++] = op->line2.ptr[i];
    }
    pw_json_bytes(json, "arg", (struct pw_span){text, len}, ARG_SHOWN);
}

static void
write_arg(struct pw_json *json, struct pw_span frame, const struct pw_op *op,
          enum pw_arg arg)
{
    switch (arg) {
    case PW_ARG_UNKNOWN:
    case PW_ARG_NONE:
    case PW_ARG_COUNT:
        return;
    case PW_ARG_LEN8:
    case PW_ARG_LEN32:
    case PW_ARG_LEN32S:
    case PW_ARG_LEN64:
        pw_json_bytes(json, "arg", pw_op_data(frame, op), ARG_SHOWN);
        return;
    case PW_ARG_LINE:
        pw_json_bytes(json, "arg", op->line, ARG_SHOWN);
        return;
    case PW_ARG_LINE_PAIR:
        write_pair(json, op);
        return;
    default:
        write_number(json, op, arg);
    }
}

/* What stands at `at`; where the next one begins, or SIZE_MAX behind the last. */
static size_t
write_op(struct pw_json *json, struct pw_span frame, size_t at, bool mark)
{
    struct pw_op op = {0};
    enum pw_decoded decoded = pw_decode(frame, at, &op);
    if (decoded == PW_DECODE_END) {
        return SIZE_MAX;
    }
    const struct pw_op_info *info = pw_opcode_info(op.code);
    pw_json_object(json, NULL);
    pw_json_uint(json, "off", at);
    pw_json_str(json, "op", info->name != NULL ? info->name : "no opcode");
    if (decoded == PW_DECODE_OP) {
        write_arg(json, frame, &op, info->arg);
    } else if (info->name != NULL) {
        pw_json_str(json, "arg", "cut short");
    }
    if (mark) {
        pw_json_bool(json, "mark", true);
    }
    pw_json_end_object(json);
    return decoded == PW_DECODE_OP && op.effect != PW_EFFECT_STOP ? op.end : SIZE_MAX;
}

bool
pw_disassembly_write(struct pw_span frame, uint64_t off, struct pw_json *json)
{
    struct trail trail = {0};
    bool found = walk_to(frame, off, &trail);
    size_t first =
        trail.count > PW_COUNT(trail.offs) ? trail.count - PW_COUNT(trail.offs) : 0;
    pw_json_array(json, "ops");
    size_t next = found ? 0 : SIZE_MAX;
    for (size_t i = first; found && i < trail.count; i++) {
        size_t at = trail.offs[i % PW_COUNT(trail.offs)];
        next = write_op(json, frame, at, at == off);
    }
    for (size_t i = 0; i < PW_DISASSEMBLY_BEHIND && next != SIZE_MAX; i++) {
        next = write_op(json, frame, next, false);
    }
    pw_json_end_array(json);
    return found;
}
