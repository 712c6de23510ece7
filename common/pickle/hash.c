/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/hash.h"

#include <math.h>
#include <stdlib.h>

/* Numbers hash modulo this prime (sys.hash_info.modulus). */
static const uint64_t modulus = ((uint64_t)1 << 61) - 1;

enum {
    MODULUS_BITS = 61,
    TEXT_ENDS = 64,   /* of longer texts only both ends are looked at */
    SET_SMALL = 128,  /* frozensets up to this size are hashed by their items */
    FLOAT_TEXT = 400, /* no float that counts is spelled longer */
};

static uint64_t
mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t
fold(unsigned __int128 number)
{
    number = (number & modulus) + (number >> MODULUS_BITS);
    uint64_t sum = (uint64_t)(number & modulus) + (uint64_t)(number >> MODULUS_BITS);
    sum = (sum & modulus) + (sum >> MODULUS_BITS);
    return sum == modulus ? 0 : sum;
}

uint64_t
pw_hash_times(uint64_t a, uint64_t b)
{
    return fold((unsigned __int128)a * b);
}

uint64_t
pw_hash_power(uint64_t base, uint64_t exponent)
{
    uint64_t power = 1;
    for (; exponent > 0; exponent >>= 1) {
        power = (exponent & 1) != 0 ? pw_hash_times(power, base) : power;
        base = pw_hash_times(base, base);
    }
    return power;
}

uint64_t
pw_hash_inverse(uint64_t a)
{
    return pw_hash_power(a, modulus - 2); /* Fermat's little theorem */
}

/* -1 tells C code of an error, so nothing hashes to it. */
uint64_t
pw_hash_signed(struct pw_residue number)
{
    uint64_t hash = number.negative ? -number.rest : number.rest;
    return hash == UINT64_MAX ? (uint64_t)-2 : hash;
}

static struct pw_residue
residue_of_long(struct pw_span bytes)
{
    uint64_t rest = 0;
    size_t odd = bytes.len % sizeof rest;
    for (size_t i = 0; i < odd; i++) { /* from the most significant on */
        rest = rest << 8 | bytes.ptr[bytes.len - 1 - i];
    }
    for (size_t at = bytes.len - odd; at > 0; at -= sizeof rest) {
        uint64_t word = 0;
        for (size_t i = 1; i <= sizeof word; i++) {
            word = word << 8 | bytes.ptr[at - i];
        }
        rest = fold((unsigned __int128)rest << 64 | word);
    }
    bool negative = bytes.len > 0 && (bytes.ptr[bytes.len - 1] & 0x80) != 0;
    if (negative) { /* the magnitude is 2^(8 * len) minus what the bytes say */
        uint64_t power = (uint64_t)1 << 8 * bytes.len % MODULUS_BITS;
        rest = fold((unsigned __int128)power + modulus - rest);
    }
    return (struct pw_residue){rest, negative};
}

uint64_t
pw_hash_long(struct pw_span bytes)
{
    return pw_hash_signed(residue_of_long(bytes));
}

static struct pw_residue
residue_of_digits(struct pw_span text)
{
    uint64_t rest = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = (uint8_t)(text.ptr[i] - '0');
        rest = digit > 9 ? rest : fold((unsigned __int128)rest * 10 + digit);
    }
    return (struct pw_residue){rest, text.len > 0 && text.ptr[0] == '-'};
}

uint64_t
pw_hash_digits(struct pw_span text)
{
    return pw_hash_signed(residue_of_digits(text));
}

uint64_t
pw_hash_double(double number)
{
    if (isnan(number)) {
        return 0;
    }
    if (isinf(number)) {
        return number > 0 ? PW_HASH_INF : (uint64_t)-PW_HASH_INF;
    }
    int exponent;
    double part = frexp(fabs(number), &exponent);
    uint64_t hash = 0;
    while (part > 0) { /* 28 bits at a time, as exact as the float */
        part *= 1 << 28;
        exponent -= 28;
        uint64_t whole = (uint64_t)part;
        part -= (double)whole;
        hash = fold(((unsigned __int128)hash << 28) + whole);
    }
    int turn = (exponent % MODULUS_BITS + MODULUS_BITS) % MODULUS_BITS;
    return pw_hash_signed(
        (struct pw_residue){fold((unsigned __int128)hash << turn), number < 0});
}

static uint64_t
mix_bytes(uint64_t hash, const uint8_t *from, size_t len)
{
    for (; len >= sizeof hash; from += sizeof hash, len -= sizeof hash) {
        uint64_t word;
        memcpy(&word, from, sizeof word);
        hash = mix(hash, word);
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < len; i++) {
        tail = tail << 8 | from[i];
    }
    return mix(hash, tail);
}

uint64_t
pw_hash_bytes(struct pw_span bytes)
{
    if (bytes.len <= 2 * (size_t)TEXT_ENDS) {
        return mix_bytes(bytes.len, bytes.ptr, bytes.len);
    }
    uint64_t hash = mix_bytes(bytes.len, bytes.ptr, TEXT_ENDS);
    return mix_bytes(hash, bytes.ptr + bytes.len - TEXT_ENDS, TEXT_ENDS);
}

static uint64_t
hash_float_text(struct pw_span line)
{
    char text[FLOAT_TEXT + 1] = {0};
    if (line.len == 0) {
        return 0;
    }
    memcpy(text, line.ptr, line.len < FLOAT_TEXT ? line.len : FLOAT_TEXT);
    return pw_hash_double(strtod(text, NULL));
}

static uint64_t
hash_float_bits(uint64_t big_endian)
{
    uint64_t bits = __builtin_bswap64(big_endian);
    double number;
    memcpy(&number, &bits, sizeof number);
    return pw_hash_double(number);
}

static struct pw_residue
residue_of_int32(int32_t number)
{
    return (struct pw_residue){(uint64_t)llabs(number), number < 0};
}

static bool
residue_of(struct pw_span frame, const struct pw_op *op, struct pw_residue *out)
{
    switch (op->code) {
    case PW_OP_NEWTRUE:
    case PW_OP_NEWFALSE:
        *out = residue_of_int32(op->code == PW_OP_NEWTRUE);
        return true;
    case PW_OP_BININT:
        *out = residue_of_int32((int32_t)op->arg);
        return true;
    case PW_OP_BININT1:
    case PW_OP_BININT2:
        *out = (struct pw_residue){op->arg, false};
        return true;
    case PW_OP_LONG1:
    case PW_OP_LONG4:
        *out = residue_of_long(pw_op_data(frame, op));
        return true;
    case PW_OP_INT:
    case PW_OP_LONG:
        *out = residue_of_digits(op->line);
        return true;
    default:
        return false;
    }
}

bool
pw_hash_residue(const struct pw_scan *m, struct pw_value value, struct pw_residue *out)
{
    struct pw_op op = {0};
    bool whole =
        value.kind == PW_V_BOOL || value.kind == PW_V_INT || value.kind == PW_V_LONG;
    return whole && pw_decode(m->frame, value.ref, &op) == PW_DECODE_OP &&
           residue_of(m->frame, &op, out);
}

static uint64_t
hash_number(const struct pw_scan *m, struct pw_value value)
{
    struct pw_op op = {0};
    struct pw_residue number;
    if (pw_decode(m->frame, value.ref, &op) != PW_DECODE_OP) {
        return 0;
    }
    if (op.code == PW_OP_FLOAT) {
        return hash_float_text(op.line);
    }
    if (op.code == PW_OP_BINFLOAT) {
        return hash_float_bits(op.arg);
    }
    return residue_of(m->frame, &op, &number) ? pw_hash_signed(number) : 0;
}

/* xxHash, as Objects/tupleobject.c has it: begin, one step an item, end. */
static const uint64_t prime1 = 11400714785074694791u;
static const uint64_t prime2 = 14029467366897019727u;
static const uint64_t prime5 = 2870177450012600261u;

static inline uint64_t
add_item(uint64_t sum, uint64_t hash)
{
    sum += hash * prime2;
    return (sum << 31 | sum >> 33) * prime1;
}

static inline uint64_t
end_tuple(uint64_t sum, size_t count)
{
    sum += count ^ (prime5 ^ 3527539u);
    return sum == UINT64_MAX ? 1546275796u : sum;
}

uint64_t
pw_hash_hashes(const uint64_t *hashes, size_t count)
{
    uint64_t sum = prime5;
    for (size_t i = 0; i < count; i++) {
        sum = add_item(sum, hashes[i]);
    }
    return end_tuple(sum, count);
}

static uint64_t
hash_tuple(const struct pw_scan *m, const struct object *tuple)
{
    uint64_t sum = prime5;
    for (uint32_t i = 0; i < tuple->count; i++) {
        sum = add_item(sum, pw_hash_value(m, m->items.at[tuple->link + i]));
    }
    return end_tuple(sum, tuple->count);
}

/*
 * Objects/setobject.c spreads the hash of each item and adds them without carry, so their
 * order does not matter; what follows only mixes the sum. An item spelled twice counts
 * once. Sets that are large, or hold two items of one hash, all get the same: whoever uses
 * many such as keys is taken for an attacker.
 */
static uint64_t
hash_frozenset(const struct pw_scan *m, const struct object *set)
{
    uint64_t hashes[SET_SMALL];
    uint64_t sum = 0;
    if (set->count > SET_SMALL) {
        return 0;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        hashes[i] = pw_hash_value(m, m->items.at[set->link + i]);
        for (uint32_t j = 0; j < i; j++) {
            if (hashes[j] == hashes[i]) {
                return 0;
            }
        }
        sum ^= (hashes[i] ^ 89869747u ^ hashes[i] << 16) * 3644798167u;
    }
    return mix(set->count, sum);
}

uint64_t
pw_hash_value(const struct pw_scan *m, struct pw_value value)
{
    struct pw_span text;
    switch ((enum pw_value_kind)value.kind) {
    case PW_V_NONE:
        return 0xfca86420u;
    case PW_V_BOOL:
    case PW_V_INT:
    case PW_V_FLOAT:
    case PW_V_LONG:
        return hash_number(m, value);
    case PW_V_STR:
    case PW_V_BYTES:
    case PW_V_BYTESTR:
        return pw_machine_value_text(m, value, &text) ? pw_hash_bytes(text) : 0;
    case PW_V_GLOBAL:
        return mix(pw_hash_bytes(m->imports.at[value.ref].mod),
                   pw_hash_bytes(m->imports.at[value.ref].name));
    case PW_V_TUPLE:
        return hash_tuple(m, &m->objects.at[value.ref]);
    case PW_V_FROZENSET:
        return hash_frozenset(m, &m->objects.at[value.ref]);
    default: { /* others hash by identity, or by code that we do not know */
        const struct hashed *known = pw_machine_hashed(m, value);
        return known != NULL ? known->hash : mix(value.kind, value.ref);
    }
    }
}
