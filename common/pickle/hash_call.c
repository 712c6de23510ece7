/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers that a call makes, and that hash by their value: who may choose the arguments may
 * choose keys that collide. As in Objects/complexobject.c, Lib/fractions.py,
 * Modules/_decimal and Modules/_datetimemodule.c.
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

/* ---- timedelta ------------------------------------------------------------------------
 */

/* An integer that is exact as its residue. */
static bool
read_small(const struct pw_scan *m, struct pw_value value, int64_t *out)
{
    struct pw_residue number;
    if (value.kind == PW_V_LONG || !pw_hash_residue(m, value, &number)) {
        return false;
    }
    *out = number.negative ? -(int64_t)number.rest : (int64_t)number.rest;
    return true;
}

static uint64_t
hash_small(int64_t number)
{
    return pw_hash_signed(
        (struct pw_residue){(uint64_t)(number < 0 ? -number : number), number < 0});
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
    if (count > PARTS) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_small(m, args[i], &parts[i])) {
            return false;
        }
    }
    __int128 micros =
        parts[DAYS] * micros_a_day + parts[SECONDS] * micros_a_second + parts[MICROS];
    __int128 in_day = (micros % micros_a_day + micros_a_day) % micros_a_day;
    const uint64_t hashes[PARTS] = {
        [DAYS] = hash_small((int64_t)((micros - in_day) / micros_a_day)),
        [SECONDS] = hash_small((int64_t)(in_day / micros_a_second)),
        [MICROS] = hash_small((int64_t)(in_day % micros_a_second)),
    };
    *hash = pw_hash_hashes(hashes, PARTS);
    return true;
}

/* ---- which they are -------------------------------------------------------------------
 */

static const struct {
    const char *mod;
    const char *name;
    hash_made *hash;
} numbers[] = {
    {"builtins", "complex", hash_complex},     {"__builtin__", "complex", hash_complex},
    {"datetime", "timedelta", hash_timedelta}, {"decimal", "Decimal", hash_decimal},
    {"fractions", "Fraction", hash_fraction},
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
            *hash = 0;
        }
        return true;
    }
    return false;
}
