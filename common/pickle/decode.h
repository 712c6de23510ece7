/* SPDX-License-Identifier: Apache-2.0
 *
 * From bytes to opcodes. This is the only reader of pickle bytes besides the text helpers,
 * and it is in a header so that the scanner's loop has it inline: about one nanosecond an
 * opcode.
 */
#ifndef PW_COMMON_PICKLE_DECODE_H
#define PW_COMMON_PICKLE_DECODE_H

#include "common/base/cursor.h"
#include "common/pickle/opcode.h"

enum pw_decoded {
    PW_DECODE_OP,
    PW_DECODE_END,       /* no byte is left */
    PW_DECODE_UNKNOWN,   /* the byte is no opcode */
    PW_DECODE_TRUNCATED, /* the argument runs past the end */
    PW_DECODE_LENGTH,    /* a length that no unpickler takes: negative, or 2^63 and more */
};

struct pw_op {
    size_t off;   /* of the opcode byte */
    size_t end;   /* of the argument: where the next opcode starts */
    uint64_t arg; /* number or length, unsigned; 0 for lines */
    uint8_t code;
    uint8_t kind;         /* enum pw_value_kind of the row */
    uint8_t effect;       /* enum pw_effect of the row */
    struct pw_span line;  /* LINE, LINE_PAIR: without the line feed */
    struct pw_span line2; /* LINE_PAIR */
};

/* What decoding needs of a row, made for speed. */
struct pw_decode_row {
    uint64_t arg_mask;   /* the bytes of the number within an 8-byte load */
    uint64_t count_mask; /* all ones when the number counts bytes that follow */
    uint64_t count_max;  /* larger counts are PW_DECODE_LENGTH */
    uint8_t width;       /* of the number */
    uint8_t lines;       /* text lines that follow instead */
    bool known;
    uint8_t kind;
    uint8_t effect;
    bool from_mark;
    uint8_t pops;
};

extern const struct pw_decode_row pw_decode_rows[256];

/* The slow half: lines, and why something does not decode. */
enum pw_decoded pw_decode_lines(struct pw_span frame, struct pw_op *op);

static inline uint64_t
pw_decode_number(const uint8_t *from, size_t room, const struct pw_decode_row *row)
{
    uint64_t raw = 0;
    if (room >= sizeof raw) {
        memcpy(&raw, from, sizeof raw);
    } else {
        for (unsigned i = 0; i < row->width; i++) {
            raw |= (uint64_t)from[i] << 8 * i;
        }
        return raw;
    }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    raw = __builtin_bswap64(raw);
#endif
    return raw & row->arg_mask;
}

/*
 * Decode the opcode at `at` of `frame`. PW_DECODE_OP fills all of `op` but the lines of
 * opcodes without any; every other result fills off, code and, where they are there, lines.
 */
static inline enum pw_decoded
pw_decode(struct pw_span frame, size_t at, struct pw_op *op)
{
    op->off = at;
    if (at >= frame.len) {
        return PW_DECODE_END;
    }
    op->code = frame.ptr[at];
    const struct pw_decode_row *row = &pw_decode_rows[op->code];
    op->kind = row->kind;
    op->effect = row->effect;
    if (!row->known || row->lines > 0) {
        return row->known ? pw_decode_lines(frame, op) : PW_DECODE_UNKNOWN;
    }
    size_t room = frame.len - at - 1;
    if (row->width > room) {
        return PW_DECODE_TRUNCATED;
    }
    op->arg = pw_decode_number(frame.ptr + at + 1, room, row);
    uint64_t count = op->arg & row->count_mask;
    op->end = at + 1 + row->width + (size_t)count;
    if (count > room - row->width) {
        return count > row->count_max ? PW_DECODE_LENGTH : PW_DECODE_TRUNCATED;
    }
    return PW_DECODE_OP;
}

/* The counted bytes of a LEN opcode. */
static inline struct pw_span
pw_op_data(struct pw_span frame, const struct pw_op *op)
{
    return (struct pw_span){frame.ptr + (op->end - op->arg), (size_t)op->arg};
}

#endif
