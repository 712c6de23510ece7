# SPDX-License-Identifier: Apache-2.0
"""Write opcodes.csv: what CPython's pickletools says of each opcode, in the table's words."""

import pickletools
import sys

ARGUMENTS = {
    None: "NONE", "uint1": "U8", "uint2": "U16", "int4": "S32", "uint4": "U32",
    "uint8": "U64", "float8": "F64",
    "bytes1": "LEN8", "string1": "LEN8", "unicodestring1": "LEN8", "long1": "LEN8",
    "bytes4": "LEN32", "unicodestring4": "LEN32", "string4": "LEN32S", "long4": "LEN32S",
    "bytes8": "LEN64", "bytearray8": "LEN64", "unicodestring8": "LEN64",
    "decimalnl_short": "LINE", "decimalnl_long": "LINE", "floatnl": "LINE",
    "stringnl": "LINE", "unicodestringnl": "LINE", "stringnl_noescape": "LINE",
    "stringnl_noescape_pair": "LINE_PAIR",
}

for op in sorted(pickletools.opcodes, key=lambda op: op.code):
    before = [item.name for item in op.stack_before]
    from_mark = "mark" in before
    pops = before.index("mark") if from_mark else len(before)
    argument = ARGUMENTS[op.arg.name if op.arg else None]
    sys.stdout.write(
        f"{ord(op.code):02x},{op.name},{argument},{'MARK' if from_mark else 'TOP'},"
        f"{pops},{len(op.stack_after)},{op.proto}\n"
    )
