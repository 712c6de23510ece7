/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/opcode.h"

enum { TOP = false, MARK = true };

static const struct pw_op_info table[256] = {
#define PW_OPCODE(byte, name, arg, from, pops, pushes, kind, since, effect)                \
    [byte] = {#name,  PW_ARG_##arg, from,  pops,                                           \
              pushes, PW_V_##kind,  since, PW_EFFECT_##effect},
#include "common/pickle/opcodes.def"
#undef PW_OPCODE
};

const struct pw_op_info *
pw_opcode_info(uint8_t byte)
{
    return &table[byte];
}
