# SPDX-License-Identifier: Apache-2.0
"""A pickle assembler: one name an opcode, as pickletools calls it.

An opcode without an argument is its byte; one with an argument is a function:
    PROTO(4) + SHORT_BINUNICODE("os") + SHORT_BINUNICODE("system") + STACK_GLOBAL + STOP
Lines and counted texts take str (written as UTF-8) or bytes; counted ones take a `length` to lie
about, too.
"""

import pickle
import pickletools
import struct

NUMBERS = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d"}
COUNTED = {
    "string1": "<B", "string4": "<i", "unicodestring1": "<B", "unicodestring4": "<I", "unicodestring8": "<Q",
    "bytes1": "<B", "bytes4": "<I", "bytes8": "<Q", "bytearray8": "<Q", "long1": "<B", "long4": "<i",
}


def as_bytes(value):
    if isinstance(value, int):
        return pickle.encode_long(value)
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def number(code, form):
    return lambda value: code + struct.pack(form, value)


def counted(code, form):
    def assemble(value, length=None):
        data = as_bytes(value)
        return code + struct.pack(form, len(data) if length is None else length) + data
    return assemble


def lines(code):
    return lambda *texts: code + b"".join(as_bytes(text) + b"\n" for text in texts)


def assembler(opcode):
    code = opcode.code.encode("latin-1")
    if opcode.arg is None:
        return code
    if opcode.arg.name in NUMBERS:
        return number(code, NUMBERS[opcode.arg.name])
    if opcode.arg.name in COUNTED:
        return counted(code, COUNTED[opcode.arg.name])
    return lines(code)


OPCODES = {opcode.name: assembler(opcode) for opcode in pickletools.opcodes}
globals().update(OPCODES)


def text(value):
    """The shortest opcode for a str."""
    return OPCODES["SHORT_BINUNICODE"](value)


def named(module, name):
    """STACK_GLOBAL and its operands."""
    return text(module) + text(name) + OPCODES["STACK_GLOBAL"]


def framed(body):
    return OPCODES["FRAME"](len(body)) + body
