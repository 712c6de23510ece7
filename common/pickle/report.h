/* SPDX-License-Identifier: Apache-2.0
 *
 * What one frame would do if it were unpickled. A report borrows the scanner's memory and
 * the frame's bytes: it is good until the next scan, or until the frame goes away.
 */
#ifndef PW_COMMON_PICKLE_REPORT_H
#define PW_COMMON_PICKLE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cursor.h"
#include "common/base/reason.h"

/* Zero is the cautious value. */
enum pw_kind {
    PW_KIND_BROKEN, /* an error came after at least one opcode */
    PW_KIND_OPAQUE, /* the first byte is no opcode */
    PW_KIND_EMPTY,  /* no bytes */
    PW_KIND_PICKLE, /* a STOP was reached */
};

/* What the stream does with an imported object. */
enum pw_use {
    PW_USE_REF, /* it stands as a value: in a container, an argument, a state, the result */
    PW_USE_CALL,  /* REDUCE, OBJ, INST */
    PW_USE_NEW,   /* NEWOBJ, NEWOBJ_EX */
    PW_USE_BUILD, /* BUILD on an instance of it */
    PW_USE_ITEMS, /* APPEND(S), SETITEM(S), ADDITEMS on an instance of it */
    PW_USE_COUNT
};

/* One resolution of a global: find_class(mod, name) at this point, as the stream spells it.
 */
struct pw_import {
    struct pw_span mod; /* raw bytes; not NUL-terminated, may hold anything */
    struct pw_span name;
    uint32_t off;  /* of the opcode */
    uint8_t op;    /* opcode byte */
    uint8_t proto; /* in force here: below 3 the consumer renames (compat.h) */
    bool stands;   /* a PW_USE_REF of it is recorded */
};

/* A value on the abstract stack, in 8 bytes (pw_value_of in machine.h knows the layout).
 * Read it with the functions below. */
struct pw_value {
    uint8_t kind; /* enum pw_value_kind */
    bool decoded; /* a string whose text needed decoding: `ref` is an index of those */
    uint8_t zero[2];
    uint32_t ref; /* offset of the opcode, index of an object, or index of an import */
};

enum pw_value_kind {
    PW_V_UNKNOWN, /* what the machine cannot say: buffers, persistent ids, extension codes;
                     `ref` is the door it came through, or 0 */
    PW_V_NONE,
    PW_V_BOOL,
    PW_V_INT,
    PW_V_FLOAT,
    PW_V_STR,     /* constant: the opcode at `ref` holds it */
    PW_V_BYTES,   /* constant */
    PW_V_BYTESTR, /* STRING family: str or bytes, by the consumer's encoding */
    PW_V_BYTEARRAY,
    PW_V_GLOBAL, /* `ref` is an import */
    PW_V_LONG,   /* an int of more than PW_LONG_FROM bytes: dear to hash and to divide */
    PW_V_TUPLE,  /* from here on `ref` is an object */
    PW_V_LIST,
    PW_V_DICT,
    PW_V_SET,
    PW_V_FROZENSET,
    PW_V_INSTANCE, /* the result of a call or of NEWOBJ */
    PW_V_COUNT
};

enum { PW_LONG_FROM = 64 };

/* One use of an import. */
struct pw_used {
    uint32_t import; /* index into imports */
    uint32_t off;
    uint8_t op;
    uint8_t use; /* enum pw_use */
    bool shared; /* BUILD: something else holds the object already */
    struct pw_value
        args; /* CALL and NEW: the argument tuple, or UNKNOWN; BUILD: the state */
};

/* Something wrong at a place. mod and name are empty when no name is involved. */
struct pw_find {
    enum pw_reason reason;
    uint32_t off;
    int16_t op; /* opcode byte, or -1 */
    struct pw_span mod;
    struct pw_span name;
};

struct pw_scan; /* the scanner that owns the arrays */

struct pw_report {
    enum pw_kind kind;
    uint8_t proto;     /* highest PROTO seen; 0 without one */
    uint32_t ops;      /* opcodes executed, STOP included */
    uint32_t depth;    /* deepest nesting of containers */
    uint32_t memo;     /* memo entries at the end */
    uint32_t buffers;  /* NEXT_BUFFER opcodes */
    uint64_t bytes;    /* length of the frame */
    uint64_t consumed; /* up to and including STOP, or to where the error is */
    const struct pw_import *imports;
    size_t import_count;
    const struct pw_used *used;
    size_t used_count;
    const struct pw_find *finds; /* in order of offset; of each door the first ones only: */
    size_t find_count;
    const size_t
        *unkept; /* findings left out, by the door (reason.h) that would waive them */
    struct pw_scan *scan;
    struct pw_span frame; /* the bytes that were scanned */
};

/* Findings kept for each door (reason.h). */
enum { PW_REPORT_FINDS = 32 };

/* The items of a tuple value: *items points to `count` values. False when they are not
 * kept. */
bool pw_report_tuple(const struct pw_report *report, struct pw_value value,
                     const struct pw_value **items, size_t *count);

/* How many items a list has; false when it was filled after it went into another object, so
 * that nobody knows how many it had then. */
bool pw_report_length(const struct pw_report *report, struct pw_value value, size_t *count);

/* The import that an INSTANCE came from; NULL when it is not known. */
const struct pw_import *pw_report_origin(const struct pw_report *report,
                                         struct pw_value value);

/* The bytes of a constant STR (UTF-8), BYTES or BYTESTR spelled without escapes; else
 * false. */
bool pw_report_text(const struct pw_report *report, struct pw_value value,
                    struct pw_span *text);

#endif
