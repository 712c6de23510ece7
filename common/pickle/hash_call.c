/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call makes and hashes by its value: who may choose the arguments may choose keys
 * that collide. As in Objects/complexobject.c, Objects/rangeobject.c, Objects/structseq.c,
 * Lib/fractions.py, Modules/_decimal and Modules/_datetimemodule.c.
 */
#include "common/pickle/hash.h"

#include <string.h>

/* The hash of a number made of `count` arguments; false when they are not as they should
 * be. */
typedef bool hash_made(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
                       uint64_t *hash);

/* ---- complex --------------------------------------------------------------------------
 */

/* Converted to float; integers that a float may round are given up. */
static bool
hash_part(const struct pw_scan *m, struct pw_value value, uint64_t *hash)
{
    bool plain =
        value.kind == PW_V_FLOAT || value.kind == PW_V_INT || value.kind == PW_V_BOOL;
    *hash = plain ? pw_hash_value(m, value) : 0;
    return plain;
}

static bool
hash_complex(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
             uint64_t *hash)
{
    uint64_t real;
    uint64_t imaginary = 0;
    if (count == 0 || count > 2 || !hash_part(m, args[0], &real) ||
        (count == 2 && !hash_part(m, args[1], &imaginary))) {
        return false;
    }
    uint64_t sum = real + imaginary * 1000003u; /* _PyHASH_IMAG */
    *hash = sum == UINT64_MAX ? (uint64_t)-2 : sum;
    return true;
}

/* ---- Fraction -------------------------------------------------------------------------
 */

static bool
hash_fraction(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
              uint64_t *hash)
{
    struct pw_residue over;
    struct pw_residue under = {1, false};
    if (count == 0 || count > 2 || !pw_hash_residue(m, args[0], &over) ||
        (count == 2 && !pw_hash_residue(m, args[1], &under))) {
        return false;
    }
    uint64_t rest = under.rest == 0 ? PW_HASH_INF
                                    : pw_hash_times(over.rest, pw_hash_inverse(under.rest));
    *hash = pw_hash_signed((struct pw_residue){rest, over.negative != under.negative});
    return true;
}

/* ---- Decimal --------------------------------------------------------------------------
 */

static bool
is_digit(struct pw_span text, size_t at)
{
    return at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9';
}

static bool
is_letter(struct pw_span text, size_t at, char small)
{
    return at < text.len && (text.ptr[at] | 0x20) == small;
}

static bool
skip_sign(struct pw_span text, size_t *at)
{
    bool negative = *at < text.len && text.ptr[*at] == '-';
    *at += negative || (*at < text.len && text.ptr[*at] == '+');
    return negative;
}

/* Digits from *at on, as the end of the number *rest; how many. */
static size_t
read_digits(struct pw_span text, size_t *at, uint64_t *rest)
{
    size_t from = *at;
    for (; is_digit(text, *at); (*at)++) {
        *rest = pw_hash_times(*rest, 10) + (uint64_t)(text.ptr[*at] - '0');
    }
    return *at - from;
}

/* The exponent behind an e; far beyond what Decimal takes it stays where it is. */
static int64_t
read_exponent(struct pw_span text, size_t *at)
{
    static const int64_t most = (int64_t)1 << 60;
    int64_t number = 0;
    bool negative = skip_sign(text, at);
    for (; is_digit(text, *at); (*at)++) {
        number = number > most / 10 ? most : number * 10 + (text.ptr[*at] - '0');
    }
    return negative ? -number : number;
}

/*
 * A sign, digits with a point or without, an exponent or none. Other texts that Decimal
 * takes (NaN, Infinity, underscores, blanks) are few, or spelled so on purpose.
 */
static bool
hash_decimal(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
             uint64_t *hash)
{
    struct pw_span text;
    if (count != 1 || (args[0].kind != PW_V_STR && args[0].kind != PW_V_BYTESTR) ||
        !pw_machine_value_text(m, args[0], &text)) {
        return false;
    }
    size_t at = 0;
    uint64_t rest = 0;
    struct pw_residue number = {0, skip_sign(text, &at)};
    size_t digits = read_digits(text, &at, &rest);
    int64_t exponent = 0;
    if (at < text.len && text.ptr[at] == '.') {
        at++;
        size_t behind = read_digits(text, &at, &rest);
        digits += behind;
        exponent -= (int64_t)behind;
    }
    if (is_letter(text, at, 'e')) {
        at++;
        exponent += read_exponent(text, &at);
    }
    if (digits == 0 || at < text.len) {
        return false;
    }
    uint64_t ten = exponent < 0 ? pw_hash_inverse(10) : 10;
    uint64_t turns = (uint64_t)(exponent < 0 ? -exponent : exponent);
    number.rest = pw_hash_times(rest, pw_hash_power(ten, turns));
    *hash = pw_hash_signed(number);
    return true;
}

/* ---- tuples with names -----------------------------------------------------------------
 */

static uint64_t
hash_first(const struct pw_scan *m, const struct pw_value *items, uint32_t count)
{
    enum { MOST = 16 };
    uint64_t hashes[MOST];
    count = count < MOST ? count : MOST;
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = pw_hash_value(m, items[i]);
    }
    return pw_hash_hashes(hashes, count);
}

/* DecimalTuple.__new__(cls, sign, digits, exponent). */
static bool
hash_arguments(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
               uint64_t *hash)
{
    *hash = hash_first(m, args, count);
    return true;
}

/* struct_time((year, month, …)): its first nine items count. */
static bool
hash_struct_time(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
                 uint64_t *hash)
{
    enum { VISIBLE = 9 };
    if (count == 0 || args[0].kind != PW_V_TUPLE) {
        return false;
    }
    const struct object *tuple = &m->objects.at[args[0].ref];
    *hash = hash_first(m, m->items.at + tuple->link,
                       tuple->count < VISIBLE ? tuple->count : VISIBLE);
    return true;
}

/* ---- of integers -----------------------------------------------------------------------
 */

/* Two's complement of at most 8 bytes. */
static bool
read_bytes(struct pw_span bytes, int64_t *out)
{
    if (bytes.len > sizeof *out) {
        return false;
    }
    bool negative = bytes.len > 0 && (bytes.ptr[bytes.len - 1] & 0x80) != 0;
    uint64_t sum = negative ? UINT64_MAX : 0;
    for (size_t i = bytes.len; i > 0; i--) {
        sum = sum << 8 | bytes.ptr[i - 1];
    }
    *out = (int64_t)sum;
    return true;
}

/* An integer of 64 bits; of a text, one that is short enough to be its own residue. */
static bool
read_small(const struct pw_scan *m, struct pw_value value, int64_t *out)
{
    enum { SHORT_TEXT = 16 };
    struct pw_op op = {0};
    struct pw_residue number;
    if (!pw_hash_residue(m, value, &number) ||
        pw_decode(m->frame, value.ref, &op) != PW_DECODE_OP) {
        return false;
    }
    if (op.code == PW_OP_LONG1 || op.code == PW_OP_LONG4) {
        return read_bytes(pw_op_data(m->frame, &op), out);
    }
    *out = number.negative ? -(int64_t)number.rest : (int64_t)number.rest;
    return (op.code != PW_OP_INT && op.code != PW_OP_LONG) || op.line.len <= SHORT_TEXT;
}

static bool
read_all(const struct pw_scan *m, const struct pw_value *args, uint32_t count, int64_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!read_small(m, args[i], &out[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t
hash_small(__int128 number)
{
    static const uint64_t modulus = ((uint64_t)1 << 61) - 1;
    unsigned __int128 magnitude = (unsigned __int128)(number < 0 ? -number : number);
    return pw_hash_signed((struct pw_residue){(uint64_t)(magnitude % modulus), number < 0});
}

/* Days, seconds, microseconds become those of one spelling, and hash as a tuple. */
static bool
hash_timedelta(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
               uint64_t *hash)
{
    enum { DAYS, SECONDS, MICROS, PARTS };
    static const __int128 micros_a_second = 1000000;
    static const __int128 micros_a_day = 86400 * micros_a_second;
    int64_t parts[PARTS] = {0};
    if (count > PARTS || !read_all(m, args, count, parts)) {
        return false;
    }
    __int128 micros =
        parts[DAYS] * micros_a_day + parts[SECONDS] * micros_a_second + parts[MICROS];
    __int128 in_day = (micros % micros_a_day + micros_a_day) % micros_a_day;
    const uint64_t hashes[PARTS] = {
        [DAYS] = hash_small((micros - in_day) / micros_a_day),
        [SECONDS] = hash_small(in_day / micros_a_second),
        [MICROS] = hash_small(in_day % micros_a_second),
    };
    *hash = pw_hash_hashes(hashes, PARTS);
    return true;
}

/* As Objects/rangeobject.c: a tuple of length, start, step; of what says nothing, None. */
static bool
hash_range(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
           uint64_t *hash)
{
    enum { START, STOP, STEP, PARTS };
    int64_t given[PARTS];
    if (count == 0 || count > PARTS || !read_all(m, args, count, given)) {
        return false;
    }
    __int128 start = count == 1 ? 0 : given[START];
    __int128 stop = count == 1 ? given[START] : given[STOP];
    __int128 step = count == PARTS ? given[STEP] : 1;
    if (step == 0) {
        return false;
    }
    __int128 way = step > 0 ? stop - start : start - stop;
    __int128 pace = step > 0 ? step : -step;
    __int128 length = way > 0 ? (way - 1) / pace + 1 : 0;
    const uint64_t none = pw_hash_value(m, (struct pw_value){.kind = PW_V_NONE});
    const uint64_t hashes[PARTS] = {
        hash_small(length),
        length == 0 ? none : hash_small(start),
        length <= 1 ? none : hash_small(step),
    };
    *hash = pw_hash_hashes(hashes, PARTS);
    return true;
}

/* A slice has a hash since Python 3.12; those that collide are those whose tuples do. */
static bool
hash_slice(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
           uint64_t *hash)
{
    enum { START, STOP, STEP, PARTS };
    struct pw_value parts[PARTS] = {
        {.kind = PW_V_NONE}, {.kind = PW_V_NONE}, {.kind = PW_V_NONE}};
    if (count == 0 || count > PARTS) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        parts[count == 1 ? STOP : i] = args[i];
    }
    *hash = hash_first(m, parts, PARTS);
    return true;
}

/* ---- numpy -----------------------------------------------------------------------------
 */

/* Of a dtype, whether the bytes of its scalars tell their hashes apart. */
enum { DTYPE_TELLS = 1, DTYPE_HIDES = 2 };

static bool
hash_dtype(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
           uint64_t *hash)
{
    static const char *const hides[] = {"f12", "f16", "c8", "c16", "c24", "c32", "O", "V"};
    struct pw_span text;
    *hash = DTYPE_HIDES;
    if (count == 0 || !pw_machine_value_text(m, args[0], &text)) {
        return true;
    }
    for (size_t i = 0; i < PW_COUNT(hides); i++) {
        size_t len = strlen(hides[i]);
        if (text.len >= len && memcmp(text.ptr, hides[i], len) == 0) {
            return true;
        }
    }
    *hash = DTYPE_TELLS;
    return true;
}

/* Bytes that a call made of text (protocol 2) are not looked at, those of a constant are:
 * times of one number in different units collide. */
static bool
hash_scalar(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
            uint64_t *hash)
{
    const struct hashed *dtype = count == 2 ? pw_machine_hashed(m, args[0]) : NULL;
    struct pw_span bytes;
    if (dtype == NULL || dtype->hash != DTYPE_TELLS) {
        return false;
    }
    *hash =
        pw_machine_value_text(m, args[1], &bytes) ? pw_hash_bytes(bytes) : m->objects.len;
    return true;
}

/* ---- which they are -------------------------------------------------------------------
 */

/* Nothing is worked out. */
static bool
hash_unknown(const struct pw_scan *m, const struct pw_value *args, uint32_t count,
             uint64_t *hash)
{
    (void)m, (void)args, (void)count, (void)hash;
    return false;
}

/*
 * Those whose hash is not worked out share a few: so many times max_collisions of them may
 * be keys of one container. Comparing two addresses takes Python code, two sets little.
 */
enum { SLOW = 4, QUICK = 16 };

static const struct {
    const char *mod;
    const char *name;
    hash_made *hash;
    uint8_t share;
} numbers[] = {
    {"builtins", "complex", hash_complex, QUICK},
    {"builtins", "frozenset", hash_unknown, QUICK},
    {"builtins", "range", hash_range, QUICK},
    {"builtins", "slice", hash_slice, QUICK},
    {"__builtin__", "complex", hash_complex, QUICK},
    {"__builtin__", "frozenset", hash_unknown, QUICK},
    {"__builtin__", "range", hash_range, QUICK},
    {"__builtin__", "xrange", hash_range, QUICK},
    {"__builtin__", "slice", hash_slice, QUICK},
    {"datetime", "timedelta", hash_timedelta, SLOW},
    {"decimal", "Decimal", hash_decimal, SLOW},
    {"decimal", "DecimalTuple", hash_arguments, SLOW},
    {"fractions", "Fraction", hash_fraction, SLOW},
    {"ipaddress", "IPv6Interface", hash_unknown, SLOW},
    {"ipaddress", "IPv6Network", hash_unknown, SLOW},
    {"numpy", "dtype", hash_dtype, QUICK},
    {"numpy.core.multiarray", "scalar", hash_scalar, QUICK},
    {"numpy._core.multiarray", "scalar", hash_scalar, QUICK},
    {"time", "struct_time", hash_struct_time, SLOW},
};

bool
pw_hash_call(const struct pw_scan *m, const struct pw_import *import, struct pw_value args,
             uint64_t *hash)
{
    for (size_t i = 0; i < PW_COUNT(numbers); i++) {
        if (!pw_span_equal(import->name, pw_span_str(numbers[i].name)) ||
            !pw_span_equal(import->mod, pw_span_str(numbers[i].mod))) {
            continue;
        }
        bool tuple = args.kind == PW_V_TUPLE;
        struct object made = tuple ? m->objects.at[args.ref] : (struct object){0};
        if (!tuple || !numbers[i].hash(m, m->items.at + made.link, made.count, hash)) {
            *hash = m->hashes.len % numbers[i].share;
        }
        return true;
    }
    return false;
}
