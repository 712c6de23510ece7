/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/differential/generate.h"

#include <stdio.h>

#include "common/pickle/opcode.h"

enum {
    STACK = 64,
    KEYS = 12,
    PHRASE_ROOM = 256, /* what one phrase may write, its operands included */
};

/* What the writer believes to stand on the stack. */
enum rough { NOTHING, MARK, DATA, TEXT, GLOBAL, TUPLE, LIST, DICT, SET, OBJECT };

struct writer {
    struct random *random;
    uint8_t *start;
    uint8_t *at;
    uint8_t stack[STACK];
    uint32_t height;
    uint8_t memo[KEYS]; /* enum rough by key; 0 where nothing is */
    uint32_t keys;      /* distinct ones that were put: where MEMOIZE puts */
    uint8_t *frame;     /* the length of the open frame; NULL outside */
};

/* ---- bytes ----------------------------------------------------------------------------
 */

static void
put_byte(struct writer *w, unsigned byte)
{
    *w->at++ = (uint8_t)byte;
}

static void
put_number(struct writer *w, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        put_byte(w, (unsigned)(value >> 8 * i & 0xff));
    }
}

static void
put_bytes(struct writer *w, struct pw_span bytes)
{
    memcpy(w->at, bytes.ptr, bytes.len);
    w->at += bytes.len;
}

static void
put_line(struct writer *w, struct pw_span text)
{
    put_bytes(w, text);
    put_byte(w, '\n');
}

#define PICK(w, array) (&(array)[random_below((w)->random, PW_COUNT(array))])
#define TEXT_OF(literal)                                                                   \
    {                                                                                      \
        (const uint8_t *)(literal), sizeof(literal) - 1                                    \
    }

/* ---- the rough stack ------------------------------------------------------------------
 */

static void
push(struct writer *w, enum rough kind)
{
    if (w->height < STACK) {
        w->stack[w->height++] = (uint8_t)kind;
    }
}

/* Values above the newest mark. */
static uint32_t
above_mark(const struct writer *w)
{
    uint32_t count = 0;
    while (count < w->height && w->stack[w->height - 1 - count] != MARK) {
        count++;
    }
    return count;
}

static void
drop(struct writer *w, uint32_t count)
{
    uint32_t there = above_mark(w);
    w->height -= count < there ? count : there;
}

static bool
has_mark(const struct writer *w)
{
    return above_mark(w) < w->height;
}

static void
drop_to_mark(struct writer *w)
{
    w->height -= above_mark(w);
    w->height -= w->height > 0 ? 1 : 0;
}

static bool
top_is(const struct writer *w, uint32_t depth, enum rough kind)
{
    return w->height > depth && w->stack[w->height - 1 - depth] == kind;
}

/* Whether to set right what an opcode lacks; now and then it must do without. */
static bool
is_careful(struct writer *w)
{
    return !random_once_in(w->random, 40);
}

/* ---- constants ------------------------------------------------------------------------
 */

/* Most pairs that come together are allowed by the policy of the comparison. */
static const struct pw_span modules[] = {
    TEXT_OF("m"),  TEXT_OF("m"),     TEXT_OF("m"),   TEXT_OF("m"),      TEXT_OF("m"),
    TEXT_OF("os"), TEXT_OF("posix"), TEXT_OF("a.b"), TEXT_OF("copyreg")};
/* The oracle makes of the last ones what cannot be called: see resolved() there. */
static const struct pw_span names[] = {
    TEXT_OF("C"),   TEXT_OF("C"),   TEXT_OF("C"),      TEXT_OF("D"),
    TEXT_OF("D"),   TEXT_OF("f"),   TEXT_OF("system"), TEXT_OF("_reconstructor"),
    TEXT_OF("sep"), TEXT_OF("env"), TEXT_OF("_")};
enum { CALLABLE_NAMES = 8 };
static const struct pw_span odd_texts[] = {
    TEXT_OF(""),     TEXT_OF("\xc3\xa9"),     TEXT_OF("\xe9"),
    TEXT_OF("m\0x"), TEXT_OF("C.f"),          TEXT_OF(" m"),
    TEXT_OF("C\r"),  TEXT_OF("\xed\xa0\x80"), TEXT_OF("\xc0\xaf"),
    TEXT_OF("\x7f"), TEXT_OF("\\u006d"),      TEXT_OF("\\x6d"),
    TEXT_OF("1"),    TEXT_OF("\xef\xbb\xbfm")};

static struct pw_span
any_module(struct writer *w)
{
    return random_once_in(w->random, 20) ? *PICK(w, odd_texts) : *PICK(w, modules);
}

static struct pw_span
any_name(struct writer *w)
{
    uint32_t kinds = random_once_in(w->random, 6) ? PW_COUNT(names) : CALLABLE_NAMES;
    return random_once_in(w->random, 20) ? *PICK(w, odd_texts)
                                         : names[random_below(w->random, kinds)];
}

static void
put_string(struct writer *w, struct pw_span text)
{
    static const struct {
        uint8_t code;
        uint8_t width; /* of the length; 0: a line */
    } ways[] = {{PW_OP_SHORT_BINUNICODE, 1}, {PW_OP_SHORT_BINUNICODE, 1},
                {PW_OP_BINUNICODE, 4},       {PW_OP_BINUNICODE8, 8},
                {PW_OP_UNICODE, 0},          {PW_OP_SHORT_BINSTRING, 1},
                {PW_OP_BINSTRING, 4}};
    /* The last two are text only for some; they are rarer. */
    uint32_t last = random_once_in(w->random, 8) ? PW_COUNT(ways) : PW_COUNT(ways) - 2;
    uint32_t way = random_below(w->random, last);
    put_byte(w, ways[way].code);
    if (ways[way].width == 0) {
        put_line(w, text);
    } else {
        put_number(w, text.len, ways[way].width);
        put_bytes(w, text);
    }
    push(w, TEXT);
}

static void
say_string(struct writer *w)
{
    put_string(w, random_once_in(w->random, 2) ? any_module(w) : any_name(w));
}

static void
say_line_string(struct writer *w)
{
    /* The first four of each are well formed. */
    static const struct pw_span quoted[] = {
        TEXT_OF("'m'"),     TEXT_OF("\"C\""),  TEXT_OF("'\\x6d'"), TEXT_OF("'\\155'"),
        TEXT_OF("''"),      TEXT_OF("'"),      TEXT_OF("'m' "),    TEXT_OF("'a'b'"),
        TEXT_OF("'\\'"),    TEXT_OF("m"),      TEXT_OF("'\\xg0'"), TEXT_OF("'\\q'"),
        TEXT_OF("'\\400'"), TEXT_OF("'\xe9'"), TEXT_OF("'m\r'"),   TEXT_OF("'\\\\'"),
        TEXT_OF("'\\x6'"),  TEXT_OF("'m\"")};
    static const struct pw_span escaped[] = {TEXT_OF("\\u006d"),
                                             TEXT_OF("\\U0000006d"),
                                             TEXT_OF("\\\\u006d"),
                                             TEXT_OF("\\\\\\u0043"),
                                             TEXT_OF("m\\u12"),
                                             TEXT_OF("\\ud800"),
                                             TEXT_OF("\\U00110000"),
                                             TEXT_OF("\xe9"),
                                             TEXT_OF("\\x43\\\\"),
                                             TEXT_OF("C\\"),
                                             TEXT_OF("")};
    enum { GOOD = 4 };
    bool unicode = !random_once_in(w->random, 2);
    uint32_t most = unicode ? PW_COUNT(escaped) : PW_COUNT(quoted);
    uint32_t which = random_below(w->random, random_once_in(w->random, 3) ? most : GOOD);
    put_byte(w, unicode ? PW_OP_UNICODE : PW_OP_STRING);
    put_line(w, unicode ? escaped[which] : quoted[which]);
    push(w, TEXT);
}

/* Spellings that all read alike, that some read, that none does. */
static const struct pw_span numbers[] = {TEXT_OF("0"),
                                         TEXT_OF("1"),
                                         TEXT_OF("2"),
                                         TEXT_OF("-1"),
                                         TEXT_OF("00"),
                                         TEXT_OF("01"),
                                         TEXT_OF("010"),
                                         TEXT_OF("0x1"),
                                         TEXT_OF("0o2"),
                                         TEXT_OF("0b1"),
                                         TEXT_OF(" 1"),
                                         TEXT_OF("1 "),
                                         TEXT_OF("+1"),
                                         TEXT_OF("1_0"),
                                         TEXT_OF("1__0"),
                                         TEXT_OF("1L"),
                                         TEXT_OF("1LL"),
                                         TEXT_OF("1l"),
                                         TEXT_OF("1\r"),
                                         TEXT_OF("1\0x"),
                                         TEXT_OF(""),
                                         TEXT_OF("-0"),
                                         TEXT_OF("-00"),
                                         TEXT_OF("+0"),
                                         TEXT_OF("0_0"),
                                         TEXT_OF("00000"),
                                         TEXT_OF("+ 1"),
                                         TEXT_OF("\t0\r"),
                                         TEXT_OF("1\v"),
                                         TEXT_OF("_1"),
                                         TEXT_OF("1_"),
                                         TEXT_OF("\xd9\xa1"),
                                         TEXT_OF("18446744073709551617"),
                                         TEXT_OF("4294967297"),
                                         TEXT_OF("-"),
                                         TEXT_OF("1.5"),
                                         TEXT_OF("inf"),
                                         TEXT_OF("1e999"),
                                         TEXT_OF("nan"),
                                         TEXT_OF(".5"),
                                         TEXT_OF("5."),
                                         TEXT_OF("-inf"),
                                         TEXT_OF("1e5"),

                                         TEXT_OF("0\0a"),
                                         TEXT_OF("\0001"),
                                         TEXT_OF("\v1"),
                                         TEXT_OF("08"),
                                         TEXT_OF("9223372036854775808"),
                                         TEXT_OF("99999999999999999999")};

static void
say_text_number(struct writer *w)
{
    static const uint8_t codes[] = {PW_OP_INT, PW_OP_LONG, PW_OP_FLOAT};
    put_byte(w, *PICK(w, codes));
    put_line(w, numbers[random_below(
                    w->random, random_once_in(w->random, 2) ? 4 : PW_COUNT(numbers))]);
    push(w, DATA);
}

static void
say_constant(struct writer *w)
{
    static const struct pw_span constants[] = {
        TEXT_OF("N"),
        TEXT_OF("\x88"),
        TEXT_OF("\x89"),
        TEXT_OF("K\1"),
        TEXT_OF("M\1\2"),
        TEXT_OF("J\1\0\0\0"),
        TEXT_OF("J\377\377\377\377"),
        TEXT_OF("\x8a\0"),
        TEXT_OF("\x8a\1\5"),
        TEXT_OF("\x8b\1\0\0\0\5"),
        TEXT_OF("\x8b\0\0\0\0"),
        TEXT_OF("G\0\0\0\0\0\0\0\0"),
        TEXT_OF("C\1m"),
        TEXT_OF("B\1\0\0\0C"),
        TEXT_OF("\x8e\1\0\0\0\0\0\0\0m"),
        TEXT_OF("\x96\1\0\0\0\0\0\0\0m"),
    };
    put_bytes(w, *PICK(w, constants));
    push(w, DATA);
}

static void
say_empty(struct writer *w)
{
    static const struct {
        uint8_t code;
        uint8_t kind;
    } empties[] = {{PW_OP_EMPTY_TUPLE, TUPLE},
                   {PW_OP_EMPTY_TUPLE, TUPLE},
                   {PW_OP_EMPTY_LIST, LIST},
                   {PW_OP_EMPTY_DICT, DICT},
                   {PW_OP_EMPTY_SET, SET}};
    uint32_t which = random_below(w->random, PW_COUNT(empties));
    put_byte(w, empties[which].code);
    push(w, (enum rough)empties[which].kind);
}

static void
say_any_value(struct writer *w)
{
    static void (*const ways[])(struct writer *) = {say_string, say_constant, say_constant,
                                                    say_empty};
    (*PICK(w, ways))(w);
}

/* Let `count` values stand above the newest mark, most of the time. */
static void
need(struct writer *w, uint32_t count)
{
    for (uint32_t there = above_mark(w); there < count && is_careful(w); there++) {
        say_any_value(w);
    }
}

/* The value on top is put into the memo. */
static void
remember(struct writer *w, uint32_t key, enum rough kind)
{
    w->keys += key >= KEYS || w->memo[key] == NOTHING;
    if (key < KEYS) {
        w->memo[key] = (uint8_t)kind;
    }
}

/* ---- globals and calls ----------------------------------------------------------------
 */

static void
say_stack_global(struct writer *w)
{
    bool ready = top_is(w, 0, TEXT) && top_is(w, 1, TEXT) && random_once_in(w->random, 2);
    if (!ready && is_careful(w)) {
        put_string(w, any_module(w));
        if (random_once_in(w->random, 4)) {
            put_byte(w, PW_OP_MEMOIZE);
            remember(w, w->keys, TEXT);
        }
        put_string(w, any_name(w));
    }
    put_byte(w, PW_OP_STACK_GLOBAL);
    drop(w, 2);
    push(w, GLOBAL);
}

static void
say_global(struct writer *w)
{
    put_byte(w, PW_OP_GLOBAL);
    put_line(w, any_module(w));
    put_line(w, any_name(w));
    push(w, GLOBAL);
}

static void
say_any_global(struct writer *w)
{
    if (random_once_in(w->random, 2)) {
        say_global(w);
    } else {
        say_stack_global(w);
    }
}

static void
say_mark(struct writer *w)
{
    put_byte(w, PW_OP_MARK);
    push(w, MARK);
}

static void
need_mark(struct writer *w)
{
    if (!has_mark(w) && is_careful(w)) {
        say_mark(w);
    }
}

static void
say_inst(struct writer *w)
{
    need_mark(w);
    put_byte(w, PW_OP_INST);
    put_line(w, any_module(w));
    put_line(w, any_name(w));
    drop_to_mark(w);
    push(w, OBJECT);
}

static void
say_obj(struct writer *w)
{
    if (!has_mark(w) && is_careful(w)) {
        say_mark(w);
        say_any_global(w);
    }
    put_byte(w, PW_OP_OBJ);
    drop_to_mark(w);
    push(w, OBJECT);
}

static void
need_callee(struct writer *w)
{
    bool there =
        top_is(w, 0, GLOBAL) || (top_is(w, 0, OBJECT) && random_once_in(w->random, 2));
    if (!there && is_careful(w)) {
        say_any_global(w);
    }
}

static void
need_tuple(struct writer *w)
{
    static const uint8_t codes[] = {PW_OP_EMPTY_TUPLE, PW_OP_TUPLE1, PW_OP_TUPLE2,
                                    PW_OP_TUPLE3};
    uint32_t items = random_below(w->random, PW_COUNT(codes));
    for (uint32_t i = 0; i < items; i++) {
        say_any_value(w);
    }
    put_byte(w, codes[items]);
    drop(w, items);
    push(w, TUPLE);
}

static void
say_call(struct writer *w)
{
    static const uint8_t codes[] = {PW_OP_REDUCE, PW_OP_REDUCE, PW_OP_REDUCE, PW_OP_NEWOBJ,
                                    PW_OP_NEWOBJ_EX};
    uint8_t code = *PICK(w, codes);
    bool ready = top_is(w, 0, TUPLE) && (top_is(w, 1, GLOBAL) || top_is(w, 1, OBJECT));
    if (!ready && is_careful(w)) {
        need_callee(w);
        need_tuple(w);
    }
    if (code == PW_OP_NEWOBJ_EX && is_careful(w)) {
        put_byte(w, PW_OP_EMPTY_DICT);
        push(w, DICT);
    }
    put_byte(w, code);
    drop(w, code == PW_OP_NEWOBJ_EX ? 3 : 2);
    push(w, OBJECT);
}

static void
say_build(struct writer *w)
{
    if (!top_is(w, 1, OBJECT) && is_careful(w)) {
        if (!top_is(w, 0, OBJECT)) {
            say_call(w);
        }
        say_any_value(w);
        if (random_once_in(w->random, 3)) {
            put_byte(w, PW_OP_EMPTY_DICT);
            put_byte(w, PW_OP_TUPLE2);
        }
    }
    put_byte(w, PW_OP_BUILD);
    drop(w, 1);
}

/* ---- containers -----------------------------------------------------------------------
 */

static void
say_collect(struct writer *w)
{
    static const struct {
        uint8_t code;
        uint8_t kind;
    } ways[] = {{PW_OP_TUPLE, TUPLE},
                {PW_OP_TUPLE, TUPLE},
                {PW_OP_LIST, LIST},
                {PW_OP_DICT, DICT},
                {PW_OP_FROZENSET, SET}};
    uint32_t way = random_below(w->random, PW_COUNT(ways));
    need_mark(w);
    if (ways[way].code == PW_OP_DICT && above_mark(w) % 2 != 0 && is_careful(w)) {
        say_constant(w);
    }
    put_byte(w, ways[way].code);
    drop_to_mark(w);
    push(w, (enum rough)ways[way].kind);
}

static void
say_short_tuple(struct writer *w)
{
    uint32_t items = 1 + random_below(w->random, 3);
    need(w, items);
    put_byte(w, PW_OP_TUPLE1 + items - 1);
    drop(w, items);
    push(w, TUPLE);
}

/* APPENDS, SETITEMS, ADDITEMS: a container, a mark, items. */
static void
say_store_many(struct writer *w)
{
    static const struct {
        uint8_t code;
        uint8_t empty;
        uint8_t kind;
    } ways[] = {{PW_OP_APPENDS, PW_OP_EMPTY_LIST, LIST},
                {PW_OP_SETITEMS, PW_OP_EMPTY_DICT, DICT},
                {PW_OP_ADDITEMS, PW_OP_EMPTY_SET, SET}};
    uint32_t way = random_below(w->random, PW_COUNT(ways));
    if ((!has_mark(w) || random_once_in(w->random, 2)) && is_careful(w)) {
        if (above_mark(w) == 0 || !random_once_in(w->random, 4)) {
            put_byte(w, ways[way].empty);
            push(w, (enum rough)ways[way].kind);
        }
        say_mark(w);
        for (uint32_t i = random_below(w->random, 3); i > 0; i--) {
            say_constant(w);
        }
    }
    if (ways[way].code == PW_OP_SETITEMS && above_mark(w) % 2 != 0 && is_careful(w)) {
        say_constant(w);
    }
    put_byte(w, ways[way].code);
    drop_to_mark(w);
}

/* APPEND, SETITEM: to whatever stands there, a list or a dictionary if it can be had. */
static void
say_store_one(struct writer *w)
{
    bool item = random_once_in(w->random, 2);
    uint32_t operands = item ? 2 : 1;
    bool fits = top_is(w, operands, item ? DICT : LIST) || top_is(w, operands, OBJECT);
    if (!fits && is_careful(w)) {
        put_byte(w, item ? PW_OP_EMPTY_DICT : PW_OP_EMPTY_LIST);
        push(w, item ? DICT : LIST);
        for (uint32_t i = 0; i < operands; i++) {
            say_constant(w);
        }
    }
    put_byte(w, item ? PW_OP_SETITEM : PW_OP_APPEND);
    drop(w, operands);
}

static void
say_pop(struct writer *w)
{
    if (w->height == 0 && is_careful(w)) {
        say_any_value(w);
    }
    put_byte(w, PW_OP_POP);
    w->height -= w->height > 0 ? 1 : 0;
}

static void
say_pop_mark(struct writer *w)
{
    need_mark(w);
    put_byte(w, PW_OP_POP_MARK);
    drop_to_mark(w);
}

static void
say_dup(struct writer *w)
{
    need(w, 1);
    put_byte(w, PW_OP_DUP);
    push(w, w->height > 0 ? (enum rough)w->stack[w->height - 1] : DATA);
}

/* ---- memo -----------------------------------------------------------------------------
 */

/* A key as GET and PUT spell it. */
static void
put_key(struct writer *w, uint32_t key)
{
    if (random_once_in(w->random, 10)) {
        put_line(w, *PICK(w, numbers));
        return;
    }
    char text[16];
    int len = snprintf(text, sizeof text, "%u", key);
    put_line(w, (struct pw_span){(const uint8_t *)text, (size_t)len});
}

static void
put_memo(struct writer *w, const uint8_t codes[3], uint32_t key)
{
    uint32_t way = random_below(w->random, 7);
    uint8_t code = codes[way < 5 ? 0 : way - 4];
    put_byte(w, code);
    if (code == codes[0]) {
        put_byte(w, key);
    } else if (code == codes[1]) {
        put_number(w, key, 4);
    } else {
        put_key(w, key);
    }
}

static void
say_put(struct writer *w)
{
    static const uint8_t codes[] = {PW_OP_BINPUT, PW_OP_LONG_BINPUT, PW_OP_PUT};
    need(w, 1);
    uint8_t kind = w->height > 0 ? w->stack[w->height - 1] : DATA;
    uint32_t key = w->keys;
    if (!random_once_in(w->random, 2)) {
        put_byte(w, PW_OP_MEMOIZE);
    } else {
        key = random_once_in(w->random, 4) ? random_below(w->random, KEYS) : key;
        key = random_once_in(w->random, 64) ? random_below(w->random, 300) : key;
        put_memo(w, codes, key);
    }
    remember(w, key, (enum rough)kind);
}

static void
say_get(struct writer *w)
{
    static const uint8_t codes[] = {PW_OP_BINGET, PW_OP_LONG_BINGET, PW_OP_GET};
    if (w->keys == 0 && is_careful(w)) {
        say_string(w);
        say_put(w);
    }
    uint32_t key = random_below(w->random, KEYS);
    for (uint32_t i = 0; i < KEYS && w->memo[key] == NOTHING && is_careful(w); i++) {
        key = (key + 1) % KEYS;
    }
    put_memo(w, codes, key);
    push(w, w->memo[key] != NOTHING ? (enum rough)w->memo[key] : DATA);
}

/* ---- frames, doors and the rest -------------------------------------------------------
 */

/* Write the length of the open frame: right, or a little off. */
static void
close_frame(struct writer *w)
{
    uint64_t len = (uint64_t)(w->at - w->frame - 8);
    if (random_once_in(w->random, 6)) {
        uint64_t off = random_below(w->random, 12);
        len = random_once_in(w->random, 2) ? len + off : len - (off < len ? off : len);
    }
    uint8_t *end = w->at;
    w->at = w->frame;
    put_number(w, len, 8);
    w->at = end;
    w->frame = NULL;
}

static void
say_frame(struct writer *w)
{
    if (w->frame != NULL) {
        close_frame(w);
        if (random_once_in(w->random, 2)) {
            return; /* what follows stands outside */
        }
    }
    put_byte(w, PW_OP_FRAME);
    if (random_once_in(w->random, 8)) {
        put_number(w, random_below(w->random, 24), 8);
        return;
    }
    w->frame = w->at;
    put_number(w, 0, 8);
}

static void
say_proto(struct writer *w)
{
    put_byte(w, PW_OP_PROTO);
    put_byte(w, random_below(w->random, random_once_in(w->random, 16) ? 7 : 5));
}

static void
say_extension(struct writer *w)
{
    static const struct pw_span ways[] = {
        TEXT_OF("\x82\1"),          TEXT_OF("\x82\2"),
        TEXT_OF("\x82\3"),          TEXT_OF("\x82\4"),
        TEXT_OF("\x83\1\0"),        TEXT_OF("\x83\54\1"),
        TEXT_OF("\x82\0"),          TEXT_OF("\x84\2\0\0\0"),
        TEXT_OF("\x84\160\21\1\0"), TEXT_OF("\x84\377\377\377\377")};
    put_bytes(w, *PICK(w, ways));
    push(w, GLOBAL);
}

static void
say_persistent(struct writer *w)
{
    if (random_once_in(w->random, 2)) {
        put_byte(w, PW_OP_PERSID);
        put_line(w, any_module(w));
    } else {
        need(w, 1);
        put_byte(w, PW_OP_BINPERSID);
        drop(w, 1);
    }
    push(w, OBJECT);
}

static void
say_buffer(struct writer *w)
{
    if (!random_once_in(w->random, 3)) {
        put_byte(w, PW_OP_NEXT_BUFFER);
        push(w, DATA);
    } else {
        need(w, 1);
        put_byte(w, PW_OP_READONLY_BUFFER);
    }
}

static void
say_noise(struct writer *w)
{
    put_byte(w, (unsigned)random_bits(w->random) & 0xff);
}

/* ---- whole streams --------------------------------------------------------------------
 */

static const struct {
    void (*say)(struct writer *);
    uint32_t weight;
} phrases[] = {
    {say_string, 26},    {say_line_string, 6}, {say_text_number, 10},  {say_constant, 18},
    {say_empty, 14},     {say_mark, 16},       {say_stack_global, 20}, {say_global, 16},
    {say_inst, 6},       {say_obj, 6},         {say_call, 22},         {say_build, 8},
    {say_collect, 14},   {say_short_tuple, 8}, {say_store_many, 10},   {say_store_one, 8},
    {say_pop, 6},        {say_pop_mark, 3},    {say_dup, 5},           {say_put, 16},
    {say_get, 16},       {say_frame, 8},       {say_proto, 3},         {say_extension, 2},
    {say_persistent, 1}, {say_buffer, 1},      {say_noise, 1},
};

/* One entry for each unit of weight. */
static uint8_t lottery[512];
static uint32_t tickets;

static void
print_tickets(void)
{
    for (size_t i = 0; i < PW_COUNT(phrases); i++) {
        memset(lottery + tickets, (int)i, phrases[i].weight);
        tickets += phrases[i].weight;
    }
}

static void
say_anything(struct writer *w)
{
    if (tickets == 0) {
        print_tickets();
    }
    phrases[lottery[random_below(w->random, tickets)]].say(w);
}

static void
say_start(struct writer *w)
{
    uint32_t kind = random_below(w->random, 4);
    if (kind == 0) {
        return; /* protocols 0 and 1 have no header */
    }
    put_byte(w, PW_OP_PROTO);
    uint32_t newer = random_once_in(w->random, 4) ? 1 : 0;
    put_byte(w, (kind == 1 ? 2 : 4) + newer);
    if (kind == 3) {
        say_frame(w);
    }
}

static void
say_end(struct writer *w)
{
    need(w, 1);
    if (!random_once_in(w->random, 32)) {
        put_byte(w, PW_OP_STOP);
    }
    if (w->frame != NULL) {
        close_frame(w);
    }
    if (random_once_in(w->random, 24)) {
        say_any_global(w); /* behind STOP */
    }
}

static size_t
length_of(const struct writer *w)
{
    return (size_t)(w->at - w->start);
}

size_t
generate_stream(struct random *random, uint8_t out[GENERATE_MOST])
{
    struct writer w = {.random = random, .start = out, .at = out};
    say_start(&w);
    uint32_t wanted = 1 + random_below(random, random_once_in(random, 3) ? 32 : 10);
    for (uint32_t i = 0; i < wanted && length_of(&w) < GENERATE_MOST - 2 * PHRASE_ROOM;
         i++) {
        say_anything(&w);
    }
    say_end(&w);
    size_t len = length_of(&w);
    switch (random_below(random, 24)) {
    case 0:
        return random_below(random, (uint32_t)len + 1);
    case 1:
        out[random_below(random, (uint32_t)len)] = (uint8_t)random_bits(random);
        return len;
    case 2:
        return generate_mutation(random, out, len, GENERATE_MOST,
                                 (struct pw_span){out, len});
    default:
        return len;
    }
}

/* ---- changes --------------------------------------------------------------------------
 */

/* Make `len` bytes of room at `at`; the new length, or the old one when there is none. */
static size_t
open_gap(uint8_t *bytes, size_t size, size_t room, size_t at, size_t len)
{
    if (len > room - size) {
        return size;
    }
    memmove(bytes + at + len, bytes + at, size - at);
    return size + len;
}

/* A range of `len` bytes, rather short. */
static void
choose_range(struct random *random, size_t len, size_t *first, size_t *count)
{
    uint32_t most = random_once_in(random, 8) ? (uint32_t)len
                    : len < 12                ? (uint32_t)len
                                              : 12;
    *count = 1 + random_below(random, most);
    *first = random_below(random, (uint32_t)(len - *count) + 1);
}

static size_t
change_bytes(struct random *random, uint8_t *bytes, size_t len)
{
    size_t at = random_below(random, (uint32_t)len);
    uint64_t bits = random_bits(random);
    if ((bits & 1) != 0) {
        bytes[at] ^= (uint8_t)(1 << (bits >> 8 & 7));
    } else {
        bytes[at] = (uint8_t)(bits >> 8);
    }
    return len;
}

static size_t
insert_opcode(struct random *random, uint8_t *bytes, size_t len, size_t room)
{
    uint8_t text[PHRASE_ROOM];
    struct writer w = {.random = random, .start = text, .at = text};
    say_anything(&w);
    size_t at = random_below(random, (uint32_t)len + 1);
    size_t grown = open_gap(bytes, len, room, at, length_of(&w));
    if (grown > len) {
        memcpy(bytes + at, text, grown - len);
    }
    return grown;
}

static size_t
delete_range(struct random *random, uint8_t *bytes, size_t len)
{
    size_t first;
    size_t count;
    choose_range(random, len, &first, &count);
    memmove(bytes + first, bytes + first + count, len - first - count);
    return len - count;
}

static size_t
copy_range(struct random *random, uint8_t *bytes, size_t len, size_t room,
           struct pw_span from)
{
    uint8_t piece[256];
    size_t first;
    size_t count;
    choose_range(random, from.len, &first, &count);
    count = count < sizeof piece ? count : sizeof piece;
    memcpy(piece, from.ptr + first, count);
    size_t at = random_below(random, (uint32_t)len + 1);
    size_t grown = open_gap(bytes, len, room, at, count);
    if (grown > len) {
        memcpy(bytes + at, piece, count);
    }
    return grown;
}

static size_t
mutate_once(struct random *random, uint8_t *bytes, size_t len, size_t room,
            struct pw_span other)
{
    if (len == 0) {
        return insert_opcode(random, bytes, len, room);
    }
    switch (random_below(random, 16)) {
    case 0:
        return random_below(random, (uint32_t)len + 1);
    case 1:
    case 2:
    case 3:
        return delete_range(random, bytes, len);
    case 4:
    case 5:
        return copy_range(random, bytes, len, room, (struct pw_span){bytes, len});
    case 6:
    case 7:
        return other.len > 0 ? copy_range(random, bytes, len, room, other) : len;
    case 8:
    case 9:
    case 10:
    case 11:
        return change_bytes(random, bytes, len);
    default:
        return insert_opcode(random, bytes, len, room);
    }
}

size_t
generate_mutation(struct random *random, uint8_t *bytes, size_t len, size_t room,
                  struct pw_span other)
{
    for (uint32_t times = 1 + random_below(random, 4); times > 0; times--) {
        len = mutate_once(random, bytes, len, room, other);
    }
    return len;
}
