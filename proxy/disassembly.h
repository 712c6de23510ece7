/* SPDX-License-Identifier: Apache-2.0
 *
 * The opcodes of a pickle around one of them, for the status page. Nothing is executed, not
 * even by the scanner: where the bytes stand is all that is told.
 */
#ifndef PW_PROXY_DISASSEMBLY_H
#define PW_PROXY_DISASSEMBLY_H

#include <stdbool.h>

#include "common/base/json.h"

enum { PW_DISASSEMBLY_BEFORE = 6, PW_DISASSEMBLY_BEHIND = 6 };

/*
 * An array "ops" of up to PW_DISASSEMBLY_BEFORE opcodes in front of the one at `off`, that
 * one, which has `mark`, and some behind it: `off`, `op`, and `arg` where there is one, cut
 * at 120 bytes. False when no opcode of `frame` begins at `off`: the pickle lies in a
 * container, or ends before; then the array is empty. Takes a nanosecond or two an opcode
 * in front.
 */
bool pw_disassembly_write(struct pw_span frame, uint64_t off, struct pw_json *json);

#endif
