/* SPDX-License-Identifier: Apache-2.0
 *
 * One numpy array (NEP 1: format versions 1.0, 2.0, 3.0). numpy.load evaluates the header
 * as a Python literal; here it must be spelled exactly as numpy.save spells it. An array
 * of objects is a pickle behind the header; any other is numbers, just as many as it says.
 */
#include "common/pickle/layer_walk.h"

enum { HEADER_BYTES = 65536, NESTING = 8, DIMENSIONS = 64 };

/* What a dtype or an array comes to. */
struct extent {
    bool objects;   /* Python objects are among it: numpy would unpickle */
    uint64_t bytes; /* of one; saturates */
};

struct text {
    struct pw_cursor cur;
    bool broken;  /* not as numpy spells it */
    bool unknown; /* well spelled, but of a kind that nobody here knows */
};

static uint64_t
times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t
plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Pass over `wanted`, if it stands here. */
static bool
found(struct text *text, const char *wanted)
{
    size_t len = strlen(wanted);
    return pw_layer_starts(text->cur.rest, wanted, len) &&
           pw_cursor_take(&text->cur, len).len == len;
}

static void
expect(struct text *text, const char *wanted)
{
    text->broken |= !found(text, wanted);
}

/* A decimal number in its shortest spelling. */
static uint64_t
read_number(struct text *text)
{
    uint64_t number = 0;
    struct pw_span digits = {text->cur.rest.ptr, 0};
    while (digits.len < text->cur.rest.len && digits.ptr[digits.len] >= '0' &&
           digits.ptr[digits.len] <= '9') {
        number = plus(times(number, 10), digits.ptr[digits.len++] - (uint64_t)'0');
    }
    text->broken |=
        digits.len == 0 || (digits.len > 1 && digits.ptr[0] == '0') || number == UINT64_MAX;
    (void)pw_cursor_take(&text->cur, digits.len);
    return number;
}

/* A string in single quotes without any of what repr() would escape. */
static struct pw_span
read_string(struct text *text)
{
    expect(text, "'");
    struct pw_span string = pw_cursor_until(&text->cur, '\'');
    for (size_t i = 0; i < string.len; i++) {
        uint8_t c = string.ptr[i];
        text->broken |= c < ' ' || c == 0x7f || c == '\\' || c == '"';
    }
    text->broken |= text->cur.truncated;
    return string;
}

/* The product of a tuple of numbers: "()", "(3,)", "(3, 4)". */
static uint64_t
read_shape(struct text *text)
{
    uint64_t count = 1;
    expect(text, "(");
    for (size_t i = 0; i < DIMENSIONS && !text->broken && !found(text, ")"); i++) {
        count = times(count, read_number(text));
        if (found(text, ",)")) {
            text->broken |= i > 0;
            return count;
        }
        if (!found(text, ", ")) {
            text->broken |= i == 0;
            expect(text, ")");
            return count;
        }
        text->broken |= found(text, ")"); /* a comma and a blank before it */
    }
    return count;
}

/* "<f8", "|O", "<M8[ns]": what numpy writes for a simple type. */
static struct extent
read_simple(struct text *text)
{
    struct text string = {.cur = pw_cursor_over(read_string(text))};
    bool ordered = found(&string, "<") || found(&string, ">");
    if (!ordered && !found(&string, "|")) {
        text->unknown = true;
        return (struct extent){0};
    }
    uint8_t kind = (uint8_t)pw_cursor_uint(&string.cur, 1);
    if (kind == 'O') {
        text->unknown |= ordered || string.cur.rest.len > 0;
        return (struct extent){.objects = true};
    }
    uint64_t bytes = read_number(&string);
    if ((kind == 'M' || kind == 'm') && found(&string, "[")) {
        (void)pw_cursor_until(&string.cur, ']');
    }
    bool known = kind != '\0' && strchr("biufcmMSUV", kind) != NULL;
    text->unknown |=
        !known || string.broken || string.cur.truncated || string.cur.rest.len > 0;
    return (struct extent){.bytes = times(bytes, kind == 'U' ? 4 : 1)};
}

static struct extent read_type(struct text *text, size_t depth);

/* ('name', type) or ('name', type, shape); the name may be ('title', 'name'). */
static struct extent
read_field(struct text *text, size_t depth)
{
    expect(text, "(");
    if (found(text, "(")) {
        (void)read_string(text);
        expect(text, ", ");
        (void)read_string(text);
        expect(text, ")");
    } else {
        (void)read_string(text);
    }
    expect(text, ", ");
    struct extent field = read_type(text, depth);
    if (found(text, ", ")) {
        field.bytes = times(field.bytes, read_shape(text));
    }
    expect(text, ")");
    return field;
}

/* A simple type, or a list of fields. */
static struct extent
read_type(struct text *text, size_t depth)
{
    struct extent whole = {0};
    if (!found(text, "[")) {
        return read_simple(text);
    }
    text->broken |= depth == NESTING;
    while (!text->broken) {
        struct extent field = read_field(text, depth + 1);
        whole.objects |= field.objects;
        whole.bytes = plus(whole.bytes, field.bytes);
        if (found(text, "]")) {
            break;
        }
        expect(text, ", ");
    }
    return whole;
}

/* The dictionary, blanks, a line feed. */
static struct extent
read_header(struct text *text)
{
    expect(text, "{'descr': ");
    struct extent array = read_type(text, 0);
    expect(text, ", 'fortran_order': ");
    text->broken |= !found(text, "True") && !found(text, "False");
    expect(text, ", 'shape': ");
    array.bytes = times(array.bytes, read_shape(text));
    expect(text, ", }");
    while (found(text, " ")) {
    }
    expect(text, "\n");
    text->broken |= text->cur.rest.len > 0;
    return array;
}

/* The header behind the magic and the version, whose length is 2 or 4 bytes. */
static struct pw_span
take_header(struct pw_cursor *cur)
{
    uint64_t magic = pw_cursor_uint(cur, 6);
    uint64_t major = pw_cursor_uint(cur, 1);
    uint64_t minor = pw_cursor_uint(cur, 1);
    bool known = magic == 0x934e554d5059 && major >= 1 && major <= 3 && minor == 0;
    uint64_t len = pw_cursor_little(cur, major == 1 ? 2 : 4);
    cur->truncated |= !known || len > HEADER_BYTES;
    return pw_cursor_take(cur, len);
}

void
pw_layer_open_npy(struct pw_layer *layer, const struct pw_layer_rule *rule,
                  struct pw_span bytes)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    struct text text = {.cur = pw_cursor_over(take_header(&cur))};
    if (cur.truncated) {
        pw_layer_refuse(layer, PW_R_LAYER_BROKEN);
        return;
    }
    struct extent array = read_header(&text);
    if (text.broken || text.unknown) {
        pw_layer_refuse(layer, text.broken ? PW_R_LAYER_BROKEN : PW_R_LAYER_UNKNOWN);
        return;
    }
    if (array.objects) {
        pw_layer_inside(layer, rule + 1, cur.rest, "npy", "", (struct pw_span){0});
    } else if (array.bytes != cur.rest.len) {
        pw_layer_refuse(layer, PW_R_LAYER_BROKEN);
    }
}
