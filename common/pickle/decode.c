/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/decode.h"

#define ALL_ONES UINT64_MAX

enum { TOP = false, MARK = true };

/* LAYOUT_x: arg_mask, count_mask, count_max, width, lines */
#define LAYOUT_NONE 0, 0, ALL_ONES, 0, 0
#define LAYOUT_U8 0xff, 0, ALL_ONES, 1, 0
#define LAYOUT_U16 0xffff, 0, ALL_ONES, 2, 0
#define LAYOUT_S32 0xffffffff, 0, ALL_ONES, 4, 0
#define LAYOUT_U32 0xffffffff, 0, ALL_ONES, 4, 0
#define LAYOUT_U64 ALL_ONES, 0, ALL_ONES, 8, 0
#define LAYOUT_F64 ALL_ONES, 0, ALL_ONES, 8, 0
#define LAYOUT_LEN8 0xff, ALL_ONES, ALL_ONES, 1, 0
#define LAYOUT_LEN32 0xffffffff, ALL_ONES, ALL_ONES, 4, 0
/* CPython refuses a negative length; read as unsigned, it overruns any frame we accept. */
#define LAYOUT_LEN32S 0xffffffff, ALL_ONES, INT32_MAX, 4, 0
#define LAYOUT_LEN64 ALL_ONES, ALL_ONES, INT64_MAX, 8, 0
#define LAYOUT_LINE 0, 0, ALL_ONES, 0, 1
#define LAYOUT_LINE_PAIR 0, 0, ALL_ONES, 0, 2

const struct pw_decode_row pw_decode_rows[256] = {
#define PW_OPCODE(byte, name, arg, from, pops, pushes, kind, since, effect)                \
    [byte] = {LAYOUT_##arg, true, PW_V_##kind, PW_EFFECT_##effect, from, pops},
#include "common/pickle/opcodes.def"
#undef PW_OPCODE
};

enum pw_decoded
pw_decode_lines(struct pw_span frame, struct pw_op *op)
{
    struct pw_cursor cur =
        pw_cursor_over((struct pw_span){frame.ptr + op->off + 1, frame.len - op->off - 1});
    op->arg = 0;
    op->line2 = (struct pw_span){0};
    struct pw_span before = cur.rest;
    op->line = pw_cursor_until(&cur, '\n');
    if (cur.truncated) {
        op->line = before; /* what Lib/pickle.py would read, last byte and all */
        return PW_DECODE_TRUNCATED;
    }
    if (pw_decode_rows[op->code].lines == 2) {
        before = cur.rest;
        op->line2 = pw_cursor_until(&cur, '\n');
        if (cur.truncated) {
            op->line2 = before;
            return PW_DECODE_TRUNCATED;
        }
    }
    op->end = frame.len - cur.rest.len;
    return PW_DECODE_OP;
}
