/* SPDX-License-Identifier: Apache-2.0
 *
 * Short streams that would cost their consumer much, each refused by the default limits
 * with its own finding; honest ones that look a little like them pass. With PW_PRINT=1 it
 * also says how long each took and how much memory the scanner had.
 */
#include "tests/unit/check.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/pickle/machine.h"
#include "tests/unit/fail_alloc.h"

enum { STREAM_MAX = 4 << 20, MEMORY_MAX = 16 << 20 };

struct stream {
    uint8_t *bytes;
    size_t len;
};

static void
add(struct stream *to, const char *bytes, size_t len)
{
    assert_true(len <= STREAM_MAX - to->len);
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

#define ADD(to, literal) add(to, literal, sizeof(literal) - 1)

static void
add_number(struct stream *to, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        add(to, (const char[]){(char)(number >> 8 * i)}, 1);
    }
}

/* `count`, and as many bytes. */
static void
add_counted(struct stream *to, int byte, uint32_t count)
{
    add_number(to, count, 4);
    assert_true(count <= STREAM_MAX - to->len);
    memset(to->bytes + to->len, byte, count);
    to->len += count;
}

static void
add_long(struct stream *to, uint64_t number)
{
    ADD(to, "\x8a\x09");
    add_number(to, number, 8);
    ADD(to, "\0");
}

/* (a, b, …) with `bits` items of -1 or -2, all of one hash. */
static void
add_twins(struct stream *to, unsigned number, unsigned bits)
{
    ADD(to, "(");
    for (unsigned i = 0; i < bits; i++) {
        ADD(to, "J");
        add_number(to, i < 32 && (number >> i & 1) != 0 ? UINT32_MAX : UINT32_MAX - 1, 4);
    }
    ADD(to, "t");
}

/* ---- hostile --------------------------------------------------------------------------
 */

static const uint64_t modulus = ((uint64_t)1 << 61) - 1;

static void
integers_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 140; i++) {
        add_long(out, (i % 7 + 1) * modulus);
        ADD(out, "N");
    }
    ADD(out, "u.");
}

/* Pairs that complex() makes numbers of: a + bi hashes to a + 1000003 * b. */
static void
complex_numbers_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cbuiltins\ncomplex\n\x94}(");
    for (int i = 0; i < 100; i++) {
        ADD(out, "h\0J");
        add_number(out, (uint64_t)(int64_t)(-1000003 * i), 4);
        ADD(out, "K");
        add_number(out, (uint64_t)i, 1);
        ADD(out, "\x86RN");
    }
    ADD(out, "u.");
}

/* Digits of `number`, behind their count. */
static void
add_digits(struct stream *out, unsigned __int128 number)
{
    char digits[40];
    size_t from = sizeof digits;
    do {
        digits[--from] = (char)('0' + (int)(number % 10));
        number /= 10;
    } while (number > 0);
    ADD(out, "\x8c");
    add_number(out, sizeof digits - from, 1);
    add(out, digits + from, sizeof digits - from);
}

static void
decimals_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cdecimal\nDecimal\n\x94}(");
    for (unsigned i = 0; i < 100; i++) {
        ADD(out, "h\0");
        add_digits(out, (unsigned __int128)i * modulus + 5);
        ADD(out, "\x85RN");
    }
    ADD(out, "u.");
}

/* In tuples, and spelled as nobody spells them: no hash is worked out. */
static void
decimals_that_are_no_numbers(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cdecimal\nDecimal\n\x94}(");
    for (unsigned i = 0; i < 300; i++) {
        ADD(out, "h\0\x8c\x04");
        for (unsigned bit = 0; bit < 4; bit++) {
            add(out, (const char[]){"0_"[i >> bit & 1]}, 1);
        }
        ADD(out, "\x85R\x85N");
    }
    ADD(out, "u.");
}

/* 1/2, 2/4, … are equal; here the upper ones differ by the modulus as well. */
static void
fractions_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cfractions\nFraction\n\x94(");
    for (unsigned i = 0; i < 100; i++) {
        ADD(out, "h\0\x8a\x0a");
        unsigned __int128 over = (unsigned __int128)i * modulus + 5;
        add_number(out, (uint64_t)over, 8);
        add_number(out, (uint64_t)(over >> 64), 2);
        ADD(out, "K\7\x86R");
    }
    ADD(out, "\x91.");
}

/* Nothing is known of what these hash to. */
static void
networks(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cipaddress\nIPv6Network\n\x94}(");
    for (unsigned i = 0; i < 300; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "fd00:%x::/32", i);
        ADD(out, "h\0\x8c");
        add_number(out, (uint64_t)len, 1);
        add(out, text, (size_t)len);
        ADD(out, "\x85RN");
    }
    ADD(out, "u.");
}

static void
frozensets_by_calls(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cbuiltins\nfrozenset\n\x94}(");
    for (unsigned i = 0; i < 1100; i++) {
        ADD(out, "h\0]M");
        add_number(out, i, 2);
        ADD(out, "a\x85RN");
    }
    ADD(out, "u.");
}

/* None is another, and up to Python 3.9 all hash to 0. */
static void
not_numbers_as_keys(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 100; i++) {
        ADD(out, "G\x7f\xf8\0\0\0\0\0\0N");
    }
    ADD(out, "u.");
}

static void
not_numbers_in_a_set(struct stream *out)
{
    ADD(out, "\x80\x04\x8f(");
    for (unsigned i = 0; i < 100; i++) {
        ADD(out, "Fnan\n");
    }
    ADD(out, "\x90.");
}

static void
texts_that_hold_tuples(struct stream *out)
{
    ADD(out, "\x80\x04"
             "ccollections\nUserString\n)\x81}\x8c\4data");
    add_twins(out, 5, 8);
    ADD(out, "sb.");
}

/* A pair may be a list that was filled twice, or a dict of two keys. */
static void
pairs_that_are_lists(struct stream *out)
{
    ADD(out, "\x80\x04K\1");
    for (unsigned i = 0; i < 60; i++) {
        ADD(out, "\x94");
        ADD(out, "0h");
        add_number(out, i, 1);
        ADD(out, "h");
        add_number(out, i, 1);
        ADD(out, "\x86");
    }
    ADD(out, "\x94"
             "0ccollections\nOrderedDict\n]]h\x3c"
             "a]aa\x85R0N.");
}

static void
pairs_that_are_dicts(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 1000; i++) {
        ADD(out, "NN");
    }
    add_twins(out, 0, 250);
    ADD(out, "\x94NNNu\x94"
             "0ccollections\nOrderedDict\n](");
    for (unsigned i = 0; i < 5000; i++) {
        ADD(out, "h\1");
    }
    ADD(out, "e\x85R0N.");
}

/* Each is filled after it went into another, and nobody holds the first. */
static void
deep_deques_that_are_dropped(struct stream *out)
{
    ADD(out, "\x80\x04"
             "ccollections\ndeque\n\x94h\0)R\x94"
             "0");
    for (unsigned i = 1; i < 2000; i++) {
        ADD(out, "j");
        add_number(out, i, 4);
        ADD(out, "h\0)R\x94"
                 "a0");
    }
    ADD(out, "N.");
}

/* Lists that are printed, perhaps, before they are dropped. */
static void
laughs_that_are_dropped(struct stream *out)
{
    ADD(out, "\x80\x04]\x94"
             "0");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "](h");
        add_number(out, i, 1);
        ADD(out, "h");
        add_number(out, i, 1);
        ADD(out, "e\x94"
                 "0");
    }
    ADD(out, "N.");
}

/* frozenset([n] * 10000), again and again, with an integer of 64 KiB. */
static void
sets_of_a_long_integer(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cbuiltins\nfrozenset\n\x94\x8b");
    add_counted(out, 1, 60000);
    ADD(out, "\x94](");
    for (unsigned i = 0; i < 5000; i++) {
        ADD(out, "h\1");
    }
    ADD(out, "e\x85\x94");
    for (unsigned i = 0; i < 100; i++) {
        ADD(out, "h\0h\2R");
    }
    ADD(out, "N.");
}

static void
integers_of_one_hash_as_text(struct stream *out)
{
    ADD(out, "(d");
    for (unsigned i = 0; i < 140; i++) {
        char line[64];
        uint64_t number = (i % 7 + 1) * modulus;
        int len = snprintf(line, sizeof line, "L%lluL\nNs", (unsigned long long)number);
        add(out, line, (size_t)len);
    }
    ADD(out, ".");
}

static void
tuples_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 100; i++) {
        add_twins(out, i, 8);
        ADD(out, "N");
    }
    ADD(out, "u.");
}

static void
set_items_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04\x8f(");
    for (unsigned i = 0; i < 100; i++) {
        add_twins(out, i, 8);
    }
    ADD(out, "\x90.");
}

static void
frozenset_items_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04(");
    for (unsigned i = 0; i < 100; i++) {
        add_twins(out, i, 8);
    }
    ADD(out, "\x91.");
}

static void
set_of_a_list_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x02"
             "c__builtin__\nset\n](");
    for (unsigned i = 0; i < 100; i++) {
        add_twins(out, i, 8);
    }
    ADD(out, "e\x85R.");
}

static void
dict_of_one_hash(struct stream *out)
{
    ADD(out, "(");
    for (unsigned i = 0; i < 100; i++) {
        add_twins(out, i, 8);
        ADD(out, "N");
    }
    ADD(out, "d.");
}

static void
deep_key(struct stream *out)
{
    ADD(out, "\x80\x04}N");
    for (unsigned i = 0; i < 600; i++) {
        ADD(out, "\x85");
    }
    ADD(out, "Ns.");
}

/* a = (); a = (a, a); a = (a, a) … as a key */
static void
laughing_key(struct stream *out)
{
    ADD(out, "\x80\x04}");
    ADD(out, ")");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "2\x86");
    }
    ADD(out, "Ns.");
}

/* The same key of 100,000 values over and over. */
static void
repeated_keys(struct stream *out)
{
    ADD(out, "\x80\x04)");
    for (unsigned i = 0; i < 16; i++) {
        ADD(out, "2\x86");
    }
    ADD(out, "\x94}");
    for (unsigned i = 0; i < 60; i++) {
        ADD(out, "h\0Ns");
    }
    ADD(out, ".");
}

static void
laughing_lists(struct stream *out)
{
    ADD(out, "\x80\x04]");
    for (unsigned i = 0; i < 30; i++) {
        ADD(out, "\x94](h");
        add_number(out, i, 1);
        ADD(out, "h");
        add_number(out, i, 1);
        ADD(out, "e");
    }
    ADD(out, ".");
}

/* Each of 31 memo entries from `first` on gets the next one twice. */
static void
add_next_twice(struct stream *out, unsigned first)
{
    for (unsigned i = first; i < first + 31; i++) {
        ADD(out, "h");
        add_number(out, i, 1);
        ADD(out, "(h");
        add_number(out, i + 1, 1);
        ADD(out, "h");
        add_number(out, i + 1, 1);
        ADD(out, "e0");
    }
}

/* All lists first, empty; then each gets the next one twice. */
static void
lists_filled_late(struct stream *out)
{
    ADD(out, "\x80\x04");
    for (unsigned i = 0; i < 32; i++) {
        ADD(out, "]\x94");
        ADD(out, "0");
    }
    add_next_twice(out, 0);
    ADD(out, "h\0.");
}

/* The same with instances and their items. */
static void
deques_filled_late(struct stream *out)
{
    ADD(out, "\x80\x04"
             "ccollections\ndeque\n\x94");
    for (unsigned i = 0; i < 32; i++) {
        ADD(out, "h\0)R\x94");
        ADD(out, "0");
    }
    add_next_twice(out, 1);
    ADD(out, "h\1.");
}

static void
nesting_made_late(struct stream *out)
{
    ADD(out, "\x80\x04");
    for (unsigned i = 0; i < 1100; i++) {
        ADD(out, "]\x94");
        ADD(out, "0");
    }
    for (unsigned i = 0; i < 1099; i++) {
        ADD(out, "j");
        add_number(out, i, 4);
        ADD(out, "j");
        add_number(out, i + 1, 4);
        ADD(out, "a0");
    }
    ADD(out, "h\0.");
}

/* One constant of 100,000 bytes, copied by a call of five bytes. */
static void
repeated_calls(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cbuiltins\nbytearray\n\x94");
    ADD(out, "B");
    add_counted(out, 'x', 100000);
    ADD(out, "\x85\x94");
    ADD(out, "0");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "h\0h\1R0");
    }
    ADD(out, "N.");
}

static void
repeated_states(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cm\nC\n)\x81"
             "}(");
    for (unsigned i = 0; i < 60000; i++) {
        ADD(out, "K\1N");
    }
    ADD(out, "u\x94");
    ADD(out, "b");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "h\0b");
    }
    ADD(out, ".");
}

/* One constant of 100,000 bytes in a tuple, as the data of an array: copied by each BUILD.
 */
static void
repeated_data(struct stream *out)
{
    ADD(out, "\x80\x04"
             "B");
    add_counted(out, 'x', 100000);
    ADD(out, "K\1\x86\x94"
             "0");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "cm\nC\n)\x81h\0b0");
    }
    ADD(out, "N.");
}

/* States of large integers, which nobody divides. */
static void
large_states(struct stream *out)
{
    ADD(out, "\x80\x04");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "cm\nC\n)\x81\x8b");
        add_counted(out, 1, 5000);
        ADD(out, "\x85"
                 "b0");
    }
    ADD(out, "N.");
}

static void
long_integer(struct stream *out)
{
    ADD(out, "\x80\x02\x8b");
    add_counted(out, 1, 100000);
    ADD(out, ".");
}

static void
memo_far_ahead(struct stream *out)
{
    ADD(out, "\x80\x02Nr\xff\xff\xff\x7f.");
}

static void
memo_far_ahead_as_text(struct stream *out)
{
    ADD(out, "Np4000000000\n.");
}

static void
nested_lists(struct stream *out)
{
    for (unsigned i = 0; i < 1200; i++) {
        ADD(out, "(");
    }
    for (unsigned i = 0; i < 1200; i++) {
        ADD(out, "l");
    }
    ADD(out, ".");
}

/* What allocates before it reads: the lengths run past the end. */
static void
bytearray_that_is_not_there(struct stream *out)
{
    ADD(out, "\x80\x05\x96\0\0\0\x7f\0\0\0\0.");
}

static void
frame_that_is_not_there(struct stream *out)
{
    ADD(out, "\x80\x04\x95\0\0\0\x7f\0\0\0\0N.");
}

/* Two integers of 60,000 bytes, divided again and again. */
static void
repeated_divisions(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cfractions\nFraction\n\x94");
    for (unsigned i = 0; i < 2; i++) {
        ADD(out, "\x8b");
        add_counted(out, 1 + (int)i, 60000);
    }
    ADD(out, "\x86\x94"
             "0");
    for (unsigned i = 0; i < 10; i++) {
        ADD(out, "h\0h\1R0");
    }
    ADD(out, "N.");
}

/* A tuple with one long integer a thousand times, as a key. */
static void
long_integers_in_keys(struct stream *out)
{
    ADD(out, "\x80\x04\x8b");
    add_counted(out, 1, 60000);
    ADD(out, "\x94(");
    for (unsigned i = 0; i < 1000; i++) {
        ADD(out, "h\0");
    }
    ADD(out, "t\x94"
             "0");
    for (unsigned i = 0; i < 100; i++) {
        ADD(out, "}h\1Ns0");
    }
    ADD(out, "N.");
}

/* The keys of [(key, value), …] collide, the pairs do not. */
static void
pairs_of_one_hash(struct stream *out)
{
    ADD(out, "\x80\x04"
             "ccollections\nOrderedDict\n](");
    for (unsigned i = 0; i < 100; i++) {
        add_twins(out, i, 8);
        ADD(out, "K");
        add_number(out, i, 1);
        ADD(out, "\x86");
    }
    ADD(out, "e\x85R.");
}

/* A call without effect, whose arguments take us long to look at. */
static void
empty_arguments(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cbuiltins\nset\n\x94(");
    for (unsigned i = 0; i < 20000; i++) {
        ADD(out, ")");
    }
    ADD(out, "t\x94"
             "0");
    for (unsigned i = 0; i < 5000; i++) {
        ADD(out, "h\0h\1R0");
    }
    ADD(out, "N.");
}

/* A name of 50,000 bytes, resolved 5,000 times. */
static void
long_names(struct stream *out)
{
    ADD(out, "\x80\x04X");
    add_counted(out, 'a', 50000);
    ADD(out, "\x94"
             "0");
    for (unsigned i = 0; i < 5000; i++) {
        ADD(out, "h\0h\0\x93"
                 "0");
    }
    ADD(out, "N.");
}

/* A line of 50,000 letters, hashed 5,000 times. */
static void
long_lines(struct stream *out)
{
    ADD(out, "V");
    memset(out->bytes + out->len, 'a', 50000);
    out->len += 50000;
    ADD(out, "\n\x85\x94"
             "0");
    for (unsigned i = 0; i < 5000; i++) {
        ADD(out, "}h\0Ns0");
    }
    ADD(out, "N.");
}

/* ---- honest ---------------------------------------------------------------------------
 */

static void
sentinels(struct stream *out)
{
    ADD(out, "\x80\x04](");
    for (unsigned i = 0; i < 1000; i++) {
        add_long(out, UINT64_MAX);
    }
    ADD(out, "e.");
}

static void
identifiers(struct stream *out)
{
    uint64_t number = 88172645463325252u;
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 50000; i++) {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        add_long(out, number);
        ADD(out, "N");
    }
    ADD(out, "u.");
}

/* Prices, each many times and as a key of many dicts, and NaN here and there. */
static void
decimals(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cdecimal\nDecimal\n\x94](");
    for (unsigned i = 0; i < 20000; i++) {
        ADD(out, "h\0");
        if (i % 1000 == 0) {
            ADD(out, "\x8c\3NaN");
        } else {
            add_digits(out, i % 5000);
        }
        ADD(out, "\x85R");
        if (i % 2 == 0) {
            ADD(out, "r");
            add_number(out, i + 1, 4);
            ADD(out, "}j");
            add_number(out, i + 1, 4);
            ADD(out, "Ns");
        }
    }
    ADD(out, "e.");
}

static void
durations_as_keys(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cdatetime\ntimedelta\n\x94}(");
    for (unsigned i = 0; i < 20000; i++) {
        ADD(out, "h\0K");
        add_number(out, i % 100, 1);
        ADD(out, "M");
        add_number(out, i / 100 * 60, 2);
        ADD(out, "K\0\x87RN");
    }
    ADD(out, "u.");
}

static void
coordinates(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (int x = -50; x < 50; x++) {
        for (int y = -50; y < 50; y++) {
            ADD(out, "J");
            add_number(out, (uint64_t)(int64_t)x, 4);
            ADD(out, "J");
            add_number(out, (uint64_t)(int64_t)y, 4);
            ADD(out, "\x86N");
        }
    }
    ADD(out, "u.");
}

/* Many dicts with the same tuple as their key. */
static void
equal_keys(struct stream *out)
{
    ADD(out, "\x80\x04](");
    for (unsigned i = 0; i < 2000; i++) {
        ADD(out, "}K\1K\2\x86Ns");
    }
    ADD(out, "e.");
}

/* Objects whose attributes refer to objects before them, twice: 2^60 ways down. */
static void
graph_of_objects(struct stream *out)
{
    ADD(out, "\x80\x04"
             "cm\nC\n\x94)\x81\x94");
    for (unsigned i = 1; i < 61; i++) {
        ADD(out, "h\0)\x81\x94h");
        add_number(out, i, 1);
        ADD(out, "h");
        add_number(out, i, 1);
        ADD(out, "\x86"
                 "b");
    }
    ADD(out, ".");
}

/* A tree whose nodes know their parents. */
static void
family(struct stream *out)
{
    ADD(out, "\x80\x04]\x94(");
    for (unsigned i = 0; i < 50; i++) {
        ADD(out, "](h\0");
        for (unsigned j = 0; j < 50; j++) {
            ADD(out, "](h\0K\1e");
        }
        ADD(out, "e");
    }
    ADD(out, "e.");
}

/* A list of lists that hold it, in batches as picklers write them. */
static void
many_children(struct stream *out)
{
    ADD(out, "\x80\x04]\x94");
    for (unsigned batch = 0; batch < 4; batch++) {
        ADD(out, "(");
        for (unsigned i = 0; i < 1000; i++) {
            ADD(out, "]h\0a");
        }
        ADD(out, "e");
    }
    ADD(out, ".");
}

static void
list_in_itself_often(struct stream *out)
{
    ADD(out, "]\x94");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "h\0a");
    }
    ADD(out, ".");
}

static void
list_in_itself(struct stream *out)
{
    ADD(out, "\x80\x04]\x94h\0a.");
}

static void
shared_strings_and_lists(struct stream *out)
{
    ADD(out, "\x80\x04](](K\1K\2e\x94");
    for (unsigned i = 0; i < 50000; i++) {
        ADD(out, "h\0");
    }
    ADD(out, "e.");
}

/* Sets of more than 32 items count as if they all had one hash. */
static void
add_large_frozenset(struct stream *out, unsigned number)
{
    ADD(out, "(");
    for (unsigned i = 0; i < 130; i++) {
        ADD(out, "M");
        add_number(out, number * 100 + i, 2);
    }
    ADD(out, "\x91N");
}

static void
many_large_frozensets(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 100; i++) {
        add_large_frozenset(out, i);
    }
    ADD(out, "u.");
}

static void
some_large_frozensets(struct stream *out)
{
    ADD(out, "\x80\x04}(");
    for (unsigned i = 0; i < 20; i++) {
        add_large_frozenset(out, i);
    }
    ADD(out, "u.");
}

/* Each is a text made of the one before, twice: a hash walks down both ways. */
static void
add_texts_of_texts(struct stream *out, unsigned depth)
{
    ADD(out, "K\1");
    for (unsigned i = 0; i < depth; i++) {
        ADD(out, "r");
        add_number(out, i, 4);
        ADD(out, "0ccollections\nUserString\n)\x81}\x8c\4data(j");
        add_number(out, i, 4);
        ADD(out, "j");
        add_number(out, i, 4);
        ADD(out, "tsb");
    }
}

static void
laughing_texts(struct stream *out)
{
    ADD(out, "\x80\x04}");
    add_texts_of_texts(out, 40);
    ADD(out, "Ns.");
}

static void
laughing_texts_that_no_key_holds(struct stream *out)
{
    ADD(out, "\x80\x04");
    add_texts_of_texts(out, 40);
    ADD(out, "0N.");
}

static void
laughing_lists_of_a_class(struct stream *out)
{
    ADD(out, "\x80\x04N");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "r");
        add_number(out, i, 4);
        ADD(out, "0ccollections\nUserList\n)\x81}\x8c\4data](j");
        add_number(out, i, 4);
        ADD(out, "j");
        add_number(out, i, 4);
        ADD(out, "esb");
    }
    ADD(out, ".");
}

static void
list_of_a_class_in_itself(struct stream *out)
{
    ADD(out, "\x80\x04"
             "ccollections\nUserList\n)\x81\x94}\x8c\4data]");
    for (unsigned i = 0; i < 40; i++) {
        ADD(out, "h\0a");
    }
    ADD(out, "sb.");
}

static void
repeated_identifiers(struct stream *out)
{
    ADD(out, "\x80\x04}cuuid\nUUID\n)\x81}\x8c\3int\x8b");
    add_number(out, 60000, 4);
    for (unsigned i = 0; i < 60000; i++) {
        ADD(out, "\1");
    }
    ADD(out, "sb\x94");
    for (unsigned i = 0; i < 5000; i++) {
        ADD(out, "h\0Ns");
    }
    ADD(out, ".");
}

static void
some_texts_of_texts(struct stream *out)
{
    ADD(out, "\x80\x04}");
    add_texts_of_texts(out, 8);
    ADD(out, "Ns.");
}

static void
identifiers_as_keys(struct stream *out)
{
    ADD(out, "\x80\x04}");
    for (unsigned i = 0; i < 20000; i++) {
        ADD(out, "cuuid\nUUID\n)\x81}\x8c\3int\x8a\x10");
        add_number(out, i, 8);
        add_number(out, 1, 8);
        ADD(out, "sbNs");
    }
    ADD(out, ".");
}

struct cost_case {
    const char *name;
    void (*make)(struct stream *out);
    enum pw_reason reason;
};

#define ROW(function, reason)                                                              \
    {                                                                                      \
#function, function, PW_R_##reason                                                 \
    }

static const struct cost_case cases[] = {
    /* clang-format off */
    ROW(integers_of_one_hash, LIMIT_COLLISIONS),
    ROW(integers_of_one_hash_as_text, LIMIT_COLLISIONS),
    ROW(tuples_of_one_hash, LIMIT_COLLISIONS),
    ROW(set_items_of_one_hash, LIMIT_COLLISIONS),
    ROW(frozenset_items_of_one_hash, LIMIT_COLLISIONS),
    ROW(set_of_a_list_of_one_hash, LIMIT_COLLISIONS),
    ROW(dict_of_one_hash, LIMIT_COLLISIONS),
    ROW(many_large_frozensets, LIMIT_COLLISIONS),
    ROW(deep_key, LIMIT_KEY_DEPTH),
    ROW(laughing_key, LIMIT_WORK),
    ROW(repeated_keys, LIMIT_WORK),
    ROW(laughing_texts, LIMIT_WORK),
    ROW(laughing_texts_that_no_key_holds, LIMIT_WORK),
    ROW(repeated_identifiers, LIMIT_WORK),
    ROW(laughing_lists_of_a_class, LIMIT_UNFOLD),
    ROW(laughing_lists, LIMIT_UNFOLD),
    ROW(lists_filled_late, LIMIT_UNFOLD),
    ROW(deques_filled_late, LIMIT_UNFOLD),
    ROW(nesting_made_late, LIMIT_DEPTH),
    ROW(repeated_calls, LIMIT_WORK),
    ROW(repeated_states, LIMIT_WORK),
    ROW(repeated_data, LIMIT_WORK),
    ROW(repeated_divisions, LIMIT_WORK),
    ROW(long_integers_in_keys, LIMIT_WORK),
    ROW(pairs_of_one_hash, LIMIT_COLLISIONS),
    ROW(complex_numbers_of_one_hash, LIMIT_COLLISIONS),
    ROW(decimals_of_one_hash, LIMIT_COLLISIONS),
    ROW(decimals_that_are_no_numbers, LIMIT_COLLISIONS),
    ROW(networks, LIMIT_COLLISIONS),
    ROW(frozensets_by_calls, LIMIT_COLLISIONS),
    ROW(not_numbers_as_keys, LIMIT_COLLISIONS),
    ROW(not_numbers_in_a_set, LIMIT_COLLISIONS),
    ROW(texts_that_hold_tuples, STATE_SPECIAL),
    ROW(pairs_that_are_lists, LIMIT_WORK),
    ROW(pairs_that_are_dicts, LIMIT_WORK),
    ROW(deep_deques_that_are_dropped, LIMIT_DEPTH),
    ROW(laughs_that_are_dropped, LIMIT_UNFOLD),
    ROW(sets_of_a_long_integer, LIMIT_WORK),
    ROW(fractions_of_one_hash, LIMIT_COLLISIONS),
    ROW(empty_arguments, LIMIT_WORK),
    ROW(long_names, IMPORT_NAME),
    ROW(long_lines, NONE),
    ROW(long_integer, LIMIT_INT),
    ROW(memo_far_ahead, LIMIT_MEMO),
    ROW(memo_far_ahead_as_text, LIMIT_MEMO),
    ROW(nested_lists, LIMIT_DEPTH),
    ROW(bytearray_that_is_not_there, PICKLE_TRUNCATED),
    ROW(frame_that_is_not_there, FRAME_OVERRUN),

    ROW(sentinels, NONE),
    ROW(identifiers, NONE),
    ROW(identifiers_as_keys, NONE),
    ROW(list_of_a_class_in_itself, NONE),
    ROW(some_texts_of_texts, STATE_SPECIAL),
    ROW(coordinates, NONE),
    ROW(decimals, NONE),
    ROW(durations_as_keys, NONE),
    ROW(equal_keys, NONE),
    ROW(graph_of_objects, NONE),
    ROW(family, NONE),
    ROW(large_states, NONE),
    ROW(list_in_itself, NONE),
    ROW(list_in_itself_often, NONE),
    ROW(many_children, NONE),
    ROW(shared_strings_and_lists, NONE),
    ROW(some_large_frozensets, NONE),
    /* clang-format on */
};

/* The last finding of a scan with a new scanner; what it took is printed on demand. */
static enum pw_reason
scan_alone(const char *name, const struct stream *stream)
{
    struct pw_report report;
    struct mallinfo2 before = mallinfo2();
    struct pw_scan *scan = pw_scan_new();
    uint64_t start = pw_clock_steady();
    struct pw_span bytes = {stream->bytes, stream->len};
    assert_int_equal(pw_scan_frame(scan, bytes, &pw_limits_default, &report), PW_E_OK);
    uint64_t spent = pw_clock_steady() - start;
    struct mallinfo2 after = mallinfo2();
    size_t memory =
        after.uordblks + after.hblkhd - before.uordblks - before.hblkhd; /* 0 under ASan */
    check_case(name, memory < MEMORY_MAX);
    enum pw_reason reason =
        report.find_count == 0 ? PW_R_NONE : report.finds[report.find_count - 1].reason;
    if (getenv("PW_PRINT") != NULL) {
        printf("%-30s %8zu bytes %8.3f ms %6zu KiB  %s\n", name, stream->len,
               (double)spent / 1e6, memory >> 10, pw_reason_code(reason));
    }
    pw_scan_free(&scan);
    return reason;
}

static void
every_stream_costs_what_it_may(void **state)
{
    (void)state;
    struct stream stream = {.bytes = malloc(STREAM_MAX)};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        stream.len = 0;
        cases[i].make(&stream);
        check_case(cases[i].name, scan_alone(cases[i].name, &stream) == cases[i].reason);
    }
    free(stream.bytes);
}

static void
memory_that_the_consumer_lacks_is_a_limit(void **state)
{
    (void)state;
    uint8_t bytes[4096];
    memset(bytes, 0x8f, sizeof bytes); /* EMPTY_SET: 235 bytes each */
    struct pw_limits limits = pw_limits_default;
    limits.max_heap = 256 << 10;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(
        pw_scan_frame(scan, (struct pw_span){bytes, sizeof bytes}, &limits, &report),
        PW_E_OK);
    assert_int_equal(report.finds[0].reason, PW_R_LIMIT_HEAP);
    assert_true(report.consumed < 1200);
    pw_scan_free(&scan);
}

static void
scans_do_not_count_for_each_other(void **state)
{
    (void)state;
    struct stream stream = {.bytes = malloc(STREAM_MAX)};
    ADD(&stream, "\x80\x04}(");
    for (unsigned i = 0; i < 50; i++) { /* fewer than the limit */
        add_twins(&stream, i, 8);
        ADD(&stream, "N");
    }
    ADD(&stream, "u.");
    struct pw_scan *scan = pw_scan_new();
    for (unsigned i = 0; i < 10; i++) {
        struct pw_report report;
        struct pw_span bytes = {stream.bytes, stream.len};
        assert_int_equal(pw_scan_frame(scan, bytes, &pw_limits_default, &report), PW_E_OK);
        assert_int_equal(report.find_count, 0);
    }
    pw_scan_free(&scan);
    free(stream.bytes);
}

static struct pw_report
scan_with(struct pw_scan *scan, const struct stream *stream, struct pw_limits limits)
{
    struct pw_report report;
    struct pw_span bytes = {stream->bytes, stream->len};
    assert_int_equal(pw_scan_frame(scan, bytes, &limits, &report), PW_E_OK);
    return report;
}

/* What tells the scans apart has 24 bits. */
static void
the_number_of_scans_may_wrap(void **state)
{
    (void)state;
    struct stream stream = {.bytes = malloc(STREAM_MAX)};
    ADD(&stream, "\x80\x04}(");
    for (unsigned i = 0; i < 50; i++) {
        add_twins(&stream, i, 8);
        ADD(&stream, "N");
    }
    ADD(&stream, "u.");
    struct pw_scan *scan = pw_scan_new();
    assert_int_equal(scan_with(scan, &stream, pw_limits_default).find_count, 0);
    uint32_t first = scan->sketch_scan;
    scan->sketch_scan = (1u << 24) - 2;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scan_with(scan, &stream, pw_limits_default).find_count, 0);
    }
    assert_true(scan->sketch_scan < first + 3);
    pw_scan_free(&scan);
    free(stream.bytes);
}

/* Sums of 32 bits do not wrap, however large the limits. */
static void
the_largest_limits_still_hold(void **state)
{
    (void)state;
    struct stream stream = {.bytes = malloc(STREAM_MAX)};
    struct pw_limits limits = pw_limits_default;
    limits.max_unfold = limits.max_work = limits.max_collisions = UINT32_MAX;
    ADD(&stream, ")");
    for (unsigned i = 0; i < 64; i++) {
        ADD(&stream, "2\x86");
    }
    ADD(&stream, ".");
    struct pw_scan *scan = pw_scan_new();
    assert_int_equal(scan_with(scan, &stream, limits).finds[0].reason, PW_R_LIMIT_UNFOLD);
    stream.len = 0;
    for (unsigned i = 0; i < 70000; i++) { /* one hash, more often than 16 bits count */
        add_long(&stream, (i % 7 + 1) * modulus);
        ADD(&stream, "0");
    }
    ADD(&stream, "N.");
    assert_int_equal(scan_with(scan, &stream, limits).find_count, 0);
    limits.max_collisions = 60000;
    assert_int_equal(scan_with(scan, &stream, limits).finds[0].reason,
                     PW_R_LIMIT_COLLISIONS);
    pw_scan_free(&scan);
    free(stream.bytes);
}

static void
running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    struct stream stream = {.bytes = malloc(STREAM_MAX)};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        stream.len = 0;
        cases[i].make(&stream);
        bool failed = true;
        for (int n = 1; failed; n++) {
            struct pw_report report;
            struct pw_scan *scan = pw_scan_new();
            fail_alloc_at(n);
            enum pw_err err =
                pw_scan_frame(scan, (struct pw_span){stream.bytes, stream.len},
                              &pw_limits_default, &report);
            failed = fail_alloc_happened();
            fail_alloc_at(0);
            check_case(cases[i].name, err == (failed ? PW_E_NOMEM : PW_E_OK));
            pw_scan_free(&scan);
        }
    }
    free(stream.bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_costs_what_it_may),
        cmocka_unit_test(memory_that_the_consumer_lacks_is_a_limit),
        cmocka_unit_test(scans_do_not_count_for_each_other),
        cmocka_unit_test(the_number_of_scans_may_wrap),
        cmocka_unit_test(the_largest_limits_still_hold),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
