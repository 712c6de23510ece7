/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/shape.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/compat.h"
#include "common/pickle/decode.h"
#include "common/policy/judge.h"

#define BIT(kind) (1u << PW_V_##kind)

static const struct {
    const char *word;
    enum pw_atom_type type;
    uint32_t kinds;
    int64_t value;
} words[] = {
    {"int", PW_ATOM_KIND, BIT(INT) | BIT(LONG) | BIT(BOOL), 0},
    {"bool", PW_ATOM_KIND, BIT(BOOL), 0},
    {"float", PW_ATOM_KIND, BIT(FLOAT), 0},
    /* Python 2 strings become str or bytes by the consumer's choice: both words take them.
     */
    {"str", PW_ATOM_KIND, BIT(STR) | BIT(BYTESTR), 0},
    {"bytes", PW_ATOM_KIND, BIT(BYTES) | BIT(BYTESTR), 0},
    {"bytestr", PW_ATOM_KIND, BIT(BYTESTR), 0},
    {"bytearray", PW_ATOM_KIND, BIT(BYTEARRAY), 0},
    {"None", PW_ATOM_KIND, BIT(NONE), 0},
    {"list", PW_ATOM_KIND, BIT(LIST), 0},
    {"tuple", PW_ATOM_KIND, BIT(TUPLE), 0},
    {"dict", PW_ATOM_KIND, BIT(DICT), 0},
    {"set", PW_ATOM_KIND, BIT(SET), 0},
    {"frozenset", PW_ATOM_KIND, BIT(FROZENSET), 0},
    {"instance", PW_ATOM_KIND, BIT(INSTANCE), 0},
    {"outside", PW_ATOM_KIND, BIT(UNKNOWN), 0},
    {"any", PW_ATOM_KIND, ~0u, 0},
    {"class", PW_ATOM_CLASS, 0, 0},
    {"cells", PW_ATOM_CELLS, 0, 0},
    {"pickle", PW_ATOM_PICKLE, 0, 0},
    {"False", PW_ATOM_BOOL, 0, 0},
    {"True", PW_ATOM_BOOL, 0, 1},
};

/* ---- parsing --------------------------------------------------------------------------
 */

enum { ATOMS_STEP = 8 };

struct parse {
    const char *text;
    size_t at;
    size_t depth; /* of tuples */
};

static bool
is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' ||
           ((unsigned char)c & 0x80) != 0;
}

static size_t
name_run(const char *text)
{
    size_t len = 0;
    while (is_name_char(text[len])) {
        len++;
    }
    return len;
}

size_t
pw_name_length(const char *text, size_t *colon)
{
    *colon = name_run(text);
    if (*colon == 0 || text[*colon] != ':') {
        return 0;
    }
    size_t name = name_run(text + *colon + 1);
    return name == 0 ? 0 : *colon + 1 + name;
}

/* Step over `token` if it stands here. */
static bool
skip(struct parse *parse, const char *token)
{
    size_t len = strlen(token);
    if (strncmp(parse->text + parse->at, token, len) != 0) {
        return false;
    }
    parse->at += len;
    return true;
}

/* Take mod:name into the atom; PW_E_FORMAT when there is none. */
static enum pw_err
take_name(struct parse *parse, struct pw_atom *atom, enum pw_atom_type type)
{
    const char *text = parse->text + parse->at;
    size_t colon;
    size_t len = pw_name_length(text, &colon);
    if (len == 0) {
        return PW_E_FORMAT;
    }
    atom->type = type;
    atom->mod = strndup(text, colon);
    atom->name = strndup(text + colon + 1, len - colon - 1);
    parse->at += len;
    return atom->mod != NULL && atom->name != NULL ? PW_E_OK : PW_E_NOMEM;
}

/* 'text', 'text'+int or, with the b behind us, b'bytes'. */
static enum pw_err
take_literal(struct parse *parse, struct pw_atom *atom, enum pw_atom_type type)
{
    const char *text = parse->text + parse->at;
    const char *end = strchr(text + 1, '\'');
    if (end == NULL) {
        return PW_E_FORMAT;
    }
    atom->type = type;
    atom->name = strndup(text + 1, (size_t)(end - text - 1));
    parse->at += (size_t)(end - text) + 1;
    if (type == PW_ATOM_TEXT && skip(parse, "+int")) {
        atom->type = PW_ATOM_NUMBERED;
    }
    return atom->name != NULL ? PW_E_OK : PW_E_NOMEM;
}

/* At most 18 digits: they fit. */
static bool
take_number(struct parse *parse, int64_t *out)
{
    bool negative = skip(parse, "-");
    size_t digits = 0;
    int64_t sum = 0;
    while (isdigit((unsigned char)parse->text[parse->at]) && digits++ < 18) {
        sum = sum * 10 + (parse->text[parse->at++] - '0');
    }
    *out = negative ? -sum : sum;
    return digits > 0 && digits <= 18;
}

/* 7, 0..255, or 0..252/4 for every fourth of these. */
static enum pw_err
take_range(struct parse *parse, struct pw_atom *atom)
{
    atom->type = PW_ATOM_INT;
    if (!take_number(parse, &atom->least)) {
        return PW_E_FORMAT;
    }
    atom->most = atom->least;
    if (skip(parse, "..") && !take_number(parse, &atom->most)) {
        return PW_E_FORMAT;
    }
    atom->step = 1;
    if (skip(parse, "/") && !take_number(parse, &atom->step)) {
        return PW_E_FORMAT;
    }
    return atom->least <= atom->most && atom->step > 0 ? PW_E_OK : PW_E_FORMAT;
}

/* Behind str or bytes: ..64, at most so many bytes. */
static enum pw_err
take_length(struct parse *parse, struct pw_atom *atom)
{
    static const uint32_t texts = BIT(STR) | BIT(BYTES) | BIT(BYTESTR);
    bool sized = atom->kinds != 0 && (atom->kinds & ~texts) == 0;
    return sized && take_number(parse, &atom->most) && atom->most > 0 ? PW_E_OK
                                                                      : PW_E_FORMAT;
}

static enum pw_err
take_word(struct parse *parse, struct pw_atom *atom)
{
    const char *text = parse->text + parse->at;
    const char *dots = strstr(text, "..");
    size_t len = name_run(text);
    len = dots != NULL && (size_t)(dots - text) < len ? (size_t)(dots - text) : len;
    for (size_t i = 0; i < PW_COUNT(words); i++) {
        if (strlen(words[i].word) == len && strncmp(words[i].word, text, len) == 0) {
            atom->type = words[i].type;
            atom->kinds = words[i].kinds;
            atom->least = words[i].value;
            parse->at += len;
            return skip(parse, "..") ? take_length(parse, atom) : PW_E_OK;
        }
    }
    return PW_E_FORMAT;
}

static enum pw_err take_shape(struct parse *parse, struct pw_shape *shape);

static enum pw_err
take_tuple(struct parse *parse, struct pw_atom *atom)
{
    if (parse->depth++ == PW_SHAPE_DEPTH) {
        return PW_E_LIMIT;
    }
    atom->type = PW_ATOM_TUPLE;
    enum pw_err err = take_shape(parse, &atom->items);
    parse->depth--;
    return err;
}

static enum pw_err
take_atom(struct parse *parse, struct pw_atom *atom)
{
    const char *text = parse->text + parse->at;
    size_t colon;
    if (*text == '\'') {
        return take_literal(parse, atom, PW_ATOM_TEXT);
    }
    if (text[0] == 'b' && text[1] == '\'') {
        parse->at++;
        return take_literal(parse, atom, PW_ATOM_BYTES);
    }
    if (skip(parse, "(")) {
        return take_tuple(parse, atom);
    }
    if (skip(parse, "=")) {
        return take_name(parse, atom, PW_ATOM_INSTANCE);
    }
    if (*text == '-' || isdigit((unsigned char)*text)) {
        return take_range(parse, atom);
    }
    return pw_name_length(text, &colon) > 0 ? take_name(parse, atom, PW_ATOM_GLOBAL)
                                            : take_word(parse, atom);
}

/* Room for one more alternative; NULL when out of memory. */
static struct pw_atom *
add_atom(struct pw_shape_arg *arg)
{
    if (arg->count % ATOMS_STEP == 0) {
        struct pw_atom *atoms =
            realloc(arg->atoms, (arg->count + ATOMS_STEP) * sizeof *atoms);
        if (atoms == NULL) {
            return NULL;
        }
        arg->atoms = atoms;
    }
    arg->atoms[arg->count] = (struct pw_atom){0};
    return &arg->atoms[arg->count++];
}

/* One argument: atoms with | between them. */
static enum pw_err
take_arg(struct parse *parse, struct pw_shape_arg *arg)
{
    do {
        if (arg->count == PW_SHAPE_ATOMS) {
            return PW_E_LIMIT;
        }
        struct pw_atom *atom = add_atom(arg);
        enum pw_err err = atom == NULL ? PW_E_NOMEM : take_atom(parse, atom);
        if (err != PW_E_OK) {
            return err;
        }
    } while (skip(parse, "|"));
    return PW_E_OK;
}

/* Behind the "(": everything up to and with its ")". */
static enum pw_err
take_shape(struct parse *parse, struct pw_shape *shape)
{
    if (skip(parse, ")")) {
        return PW_E_OK;
    }
    do {
        if (shape->count == PW_SHAPE_ARGS || shape->repeat) {
            return PW_E_LIMIT;
        }
        struct pw_shape_arg *arg = realloc(shape->arg, (shape->count + 1) * sizeof *arg);
        if (arg == NULL) {
            return PW_E_NOMEM;
        }
        shape->arg = arg;
        arg[shape->count] = (struct pw_shape_arg){0};
        enum pw_err err = take_arg(parse, &arg[shape->count++]);
        if (err != PW_E_OK) {
            return err;
        }
        shape->repeat = skip(parse, "*");
    } while (skip(parse, ","));
    return skip(parse, ")") ? PW_E_OK : PW_E_FORMAT;
}

enum pw_err
pw_shape_parse(const char *text, size_t *at, struct pw_shape *out, struct pw_why *why)
{
    struct parse parse = {.text = text, .at = *at};
    *out = (struct pw_shape){0};
    enum pw_err err = take_shape(&parse, out);
    *at = parse.at;
    const char *rest = text + parse.at;
    if (err == PW_E_LIMIT) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.200s\": too many arguments or a * that is not last; at most %d "
                       "arguments, %d alternatives of one, %d tuples in one another",
                       text, PW_SHAPE_ARGS, PW_SHAPE_ATOMS, PW_SHAPE_DEPTH);
    }
    if (err == PW_E_FORMAT && *rest == '\0') {
        return pw_fail(why, PW_E_CONFIG, "\"%.200s\": a ( is not closed; write the ) too",
                       text);
    }
    if (err == PW_E_FORMAT) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.*s\" is no argument shape; write int str bytes bytearray float bool None "
            "list cells tuple dict set frozenset instance outside class pickle any True "
            "False, str..64, 7, 0..7, 0..28/4, "
            "'text', 'text'+int, b'bytes', (int,str), module:name or =module:name, with "
            "commas between",
            (int)strcspn(rest, ",|)"), rest);
    }
    return err;
}

void
pw_shape_free(struct pw_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        struct pw_shape_arg *arg = &shape->arg[i];
        for (size_t j = 0; j < arg->count; j++) {
            free(arg->atoms[j].mod);
            free(arg->atoms[j].name);
            pw_shape_free(&arg->atoms[j].items);
        }
        free(arg->atoms);
    }
    free(shape->arg);
    *shape = (struct pw_shape){0};
}

bool
pw_shape_has_pickle(const struct pw_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        for (size_t j = 0; j < shape->arg[i].count; j++) {
            const struct pw_atom *atom = &shape->arg[i].atoms[j];
            if (atom->type == PW_ATOM_PICKLE || pw_shape_has_pickle(&atom->items)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- constants ------------------------------------------------------------------------
 */

/* -?[0-9]+L?, which the scanner has checked; at most 18 digits, so that they fit. */
static bool
text_int(struct pw_span text, int64_t *out)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t end = text.len - (text.len > 0 && text.ptr[text.len - 1] == 'L' ? 1 : 0);
    size_t at = negative ? 1 : 0;
    if (end <= at || end - at > 18) {
        return false;
    }
    int64_t sum = 0;
    for (; at < end; at++) {
        if (!isdigit(text.ptr[at])) {
            return false;
        }
        sum = sum * 10 + (text.ptr[at] - '0');
    }
    *out = negative ? -sum : sum;
    return true;
}

/* Little-endian, two's complement. */
static bool
binary_int(struct pw_span bytes, int64_t *out)
{
    if (bytes.len > sizeof(int64_t)) {
        return false;
    }
    bool negative = bytes.len > 0 && (bytes.ptr[bytes.len - 1] & 0x80) != 0;
    uint64_t sum = negative ? UINT64_MAX : 0;
    for (size_t i = bytes.len; i-- > 0;) {
        sum = sum << 8 | bytes.ptr[i];
    }
    *out = (int64_t)sum;
    return true;
}

/* What a constant INT or BOOL says; false when it takes more than 64 bits. */
static bool
constant_int(const struct pw_report *report, struct pw_value value, int64_t *out)
{
    struct pw_op op = {0};
    if (pw_decode(report->frame, value.ref, &op) != PW_DECODE_OP) {
        return false;
    }
    switch (op.code) {
    case PW_OP_NEWTRUE:
    case PW_OP_NEWFALSE:
        *out = op.code == PW_OP_NEWTRUE;
        return true;
    case PW_OP_BININT:
        *out = (int32_t)(uint32_t)op.arg;
        return true;
    case PW_OP_BININT1:
    case PW_OP_BININT2:
        *out = (int64_t)op.arg;
        return true;
    case PW_OP_LONG1:
    case PW_OP_LONG4:
        return binary_int(pw_op_data(report->frame, &op), out);
    case PW_OP_INT:
    case PW_OP_LONG:
        return text_int(op.line, out);
    default:
        return false;
    }
}

static bool
int_fits(const struct pw_atom *atom, const struct pw_report *report, struct pw_value value)
{
    int64_t number;
    return value.kind == PW_V_INT && constant_int(report, value, &number) &&
           number >= atom->least && number <= atom->most &&
           (number - atom->least) % atom->step == 0;
}

static bool
bool_fits(const struct pw_atom *atom, const struct pw_report *report, struct pw_value value)
{
    int64_t number;
    return value.kind == PW_V_BOOL && constant_int(report, value, &number) &&
           number == atom->least;
}

/* The constant is a string of `kind`, or one of Python 2, and spells the literal. */
static bool
literal_fits(const struct pw_atom *atom, const struct pw_report *report,
             struct pw_value value, enum pw_value_kind kind)
{
    struct pw_span text;
    return (value.kind == kind || value.kind == PW_V_BYTESTR) &&
           pw_report_text(report, value, &text) &&
           pw_span_equal(text, pw_span_str(atom->name));
}

/* Eight digits at most: numpy multiplies the number of a 'U999999999' by four in an int. */
static bool
numbered_fits(const struct pw_atom *atom, const struct pw_report *report,
              struct pw_value value)
{
    enum { DIGITS = 8 };
    struct pw_span text;
    size_t len = strlen(atom->name);
    if ((value.kind != PW_V_STR && value.kind != PW_V_BYTESTR) ||
        !pw_report_text(report, value, &text) || text.len <= len ||
        text.len > len + DIGITS || memcmp(text.ptr, atom->name, len) != 0) {
        return false;
    }
    for (size_t i = len; i < text.len; i++) {
        if (!isdigit(text.ptr[i])) {
            return false;
        }
    }
    return true;
}

/* ---- fitting --------------------------------------------------------------------------
 */

static bool
import_is(const struct pw_import *import, const struct pw_atom *atom)
{
    struct pw_span mod = pw_span_str(atom->mod);
    struct pw_span name = pw_span_str(atom->name);
    if (pw_span_equal(import->mod, mod) && pw_span_equal(import->name, name)) {
        return true;
    }
    struct pw_span new_mod;
    struct pw_span new_name;
    return import->proto < 3 &&
           pw_compat_map(import->mod, import->name, &new_mod, &new_name) &&
           pw_span_equal(new_mod, mod) && pw_span_equal(new_name, name);
}

bool
pw_value_is_plain(const struct pw_judging *judging, struct pw_value value)
{
    if (value.kind == PW_V_GLOBAL) {
        return pw_judge_allows(judging, &judging->report->imports[value.ref], PW_USE_REF);
    }
    /* Tuples inside: the scanner counts their globals as used by value (PW_USE_REF), unless
     * they are these very arguments, which are looked at here. */
    return true;
}

static bool
is_class(const struct pw_judging *judging, struct pw_value value)
{
    return value.kind == PW_V_GLOBAL &&
           pw_judge_allows(judging, &judging->report->imports[value.ref], PW_USE_NEW);
}

static bool
is_made_by(const struct pw_atom *atom, const struct pw_report *report,
           struct pw_value value)
{
    const struct pw_import *origin = pw_report_origin(report, value);
    return origin != NULL && import_is(origin, atom);
}

/* The product of a tuple of constant ints, none below zero. */
static bool
product_of(const struct pw_report *report, struct pw_value tuple, uint64_t *product)
{
    const struct pw_value *items;
    size_t count;
    if (!pw_report_tuple(report, tuple, &items, &count)) {
        return false;
    }
    *product = 1;
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        if (items[i].kind != PW_V_INT || !constant_int(report, items[i], &number) ||
            number < 0 || __builtin_mul_overflow(*product, (uint64_t)number, product)) {
            return false;
        }
    }
    return true;
}

/* The list at `index` has as many items as the nearest tuple before it says: the shape of
 * an array and its cells. */
static bool
cells_fit(const struct pw_report *report, const struct pw_value *items, size_t index)
{
    size_t count;
    uint64_t product;
    size_t shape = index;
    while (shape > 0 && items[shape].kind != PW_V_TUPLE) {
        shape--;
    }
    return pw_report_length(report, items[index], &count) &&
           product_of(report, items[shape], &product) && product == count;
}

static bool
kind_fits(const struct pw_atom *atom, const struct pw_judging *judging,
          struct pw_value value)
{
    struct pw_span text;
    return (atom->kinds >> value.kind & 1) != 0 && pw_value_is_plain(judging, value) &&
           (atom->most == 0 || (pw_report_text(judging->report, value, &text) &&
                                text.len <= (uint64_t)atom->most));
}

/* Whether items[index] fits. */
static bool
atom_fits(const struct pw_atom *atom, const struct pw_judging *judging,
          const struct pw_value *items, size_t index)
{
    struct pw_value value = items[index];
    const struct pw_report *report = judging->report;
    switch (atom->type) {
    case PW_ATOM_KIND:
        return kind_fits(atom, judging, value);
    case PW_ATOM_TEXT:
        return literal_fits(atom, report, value, PW_V_STR);
    case PW_ATOM_NUMBERED:
        return numbered_fits(atom, report, value);
    case PW_ATOM_BYTES:
        return literal_fits(atom, report, value, PW_V_BYTES);
    case PW_ATOM_INT:
        return int_fits(atom, report, value);
    case PW_ATOM_BOOL:
        return bool_fits(atom, report, value);
    case PW_ATOM_GLOBAL:
        return value.kind == PW_V_GLOBAL && import_is(&report->imports[value.ref], atom);
    case PW_ATOM_INSTANCE:
        return is_made_by(atom, report, value);
    case PW_ATOM_CLASS:
        return is_class(judging, value);
    case PW_ATOM_TUPLE:
        return pw_shape_fits(&atom->items, judging, value);
    case PW_ATOM_CELLS:
        return cells_fit(report, items, index);
    case PW_ATOM_PICKLE:
        return pw_judge_pickle(judging, value);
    }
    return false;
}

static bool
arg_fits(const struct pw_shape_arg *arg, const struct pw_judging *judging,
         const struct pw_value *items, size_t index)
{
    for (size_t i = 0; i < arg->count; i++) {
        if (atom_fits(&arg->atoms[i], judging, items, index)) {
            return true;
        }
    }
    return false;
}

bool
pw_shape_fits(const struct pw_shape *shape, const struct pw_judging *judging,
              struct pw_value args)
{
    const struct pw_value *items;
    size_t count;
    if (!pw_report_tuple(judging->report, args, &items, &count)) {
        return false;
    }
    size_t least = shape->count - (shape->repeat ? 1 : 0);
    if (count < least || (count > shape->count && !shape->repeat)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct pw_shape_arg *arg =
            &shape->arg[i < shape->count ? i : shape->count - 1];
        if (!arg_fits(arg, judging, items, i)) {
            return false;
        }
    }
    return true;
}

bool
pw_shape_fits_state(const struct pw_shape *shape, const struct pw_judging *judging,
                    struct pw_value state)
{
    return shape->count == 1 && !shape->repeat &&
           arg_fits(&shape->arg[0], judging, &state, 0);
}
