/* SPDX-License-Identifier: Apache-2.0
 *
 * The opcode table: opcodes.def as an enum and an array.
 */
#ifndef PW_COMMON_PICKLE_OPCODE_H
#define PW_COMMON_PICKLE_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/pickle/report.h"

enum pw_opcode {
#define PW_OPCODE(byte, name, arg, from, pops, pushes, kind, since, effect)                \
    PW_OP_##name = byte,
#include "common/pickle/opcodes.def"
#undef PW_OPCODE
};

/* How an argument is laid out. */
enum pw_arg {
    PW_ARG_UNKNOWN, /* of a byte that is no opcode */
    PW_ARG_NONE,
    PW_ARG_U8,
    PW_ARG_U16,
    PW_ARG_S32,
    PW_ARG_U32,
    PW_ARG_U64,
    PW_ARG_F64,
    PW_ARG_LEN8,
    PW_ARG_LEN32,
    PW_ARG_LEN32S,
    PW_ARG_LEN64,
    PW_ARG_LINE,
    PW_ARG_LINE_PAIR,
    PW_ARG_COUNT
};

/* What the machine does. */
enum pw_effect {
    PW_EFFECT_NONE, /* of a byte that is no opcode */

    /* What most of a pickle is; fast.c has them too. */
    PW_EFFECT_PUSH, /* a constant of `kind` */
    PW_EFFECT_EMPTY,
    PW_EFFECT_STORE, /* values go into a container below them */
    PW_EFFECT_MARK,
    PW_EFFECT_PUT,
    PW_EFFECT_MEMOIZE,
    PW_EFFECT_GET,
    PW_EFFECT_COLLECT, /* values become a container */

    PW_EFFECT_TEXT, /* a constant spelled as text, to be checked */
    PW_EFFECT_POP,
    PW_EFFECT_POP_MARK,
    PW_EFFECT_DUP,
    PW_EFFECT_IMPORT,
    PW_EFFECT_IMPORT_STACK,
    PW_EFFECT_CALL,
    PW_EFFECT_INST,
    PW_EFFECT_OBJ,
    PW_EFFECT_BUILD,
    PW_EFFECT_PROTO,
    PW_EFFECT_FRAME,
    PW_EFFECT_EXTENSION,
    PW_EFFECT_PERSISTENT,
    PW_EFFECT_BUFFER,
    PW_EFFECT_STOP,
    PW_EFFECT_COUNT
};

struct pw_op_info {
    const char *name; /* NULL for a byte that is no opcode */
    enum pw_arg arg;
    bool from_mark;
    uint8_t pops;
    uint8_t pushes;
    uint8_t kind; /* enum pw_value_kind */
    uint8_t since;
    enum pw_effect effect;
};

/* The row of a byte; its name is NULL when the byte is no opcode. */
const struct pw_op_info *pw_opcode_info(uint8_t byte);

#endif
