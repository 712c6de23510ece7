/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/shape.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/compat.h"
#include "common/policy/policy.h"

#define BIT(kind) (1u << PW_V_##kind)

static const struct {
    const char *word;
    enum pw_atom_type type;
    uint32_t kinds;
} words[] = {
    {"int", PW_ATOM_KIND, BIT(INT) | BIT(BOOL)},
    {"bool", PW_ATOM_KIND, BIT(BOOL)},
    {"float", PW_ATOM_KIND, BIT(FLOAT)},
    /* Python 2 strings become str or bytes by the consumer's choice: both words take them.
     */
    {"str", PW_ATOM_KIND, BIT(STR) | BIT(BYTESTR)},
    {"bytes", PW_ATOM_KIND, BIT(BYTES) | BIT(BYTESTR)},
    {"bytestr", PW_ATOM_KIND, BIT(BYTESTR)},
    {"bytearray", PW_ATOM_KIND, BIT(BYTEARRAY)},
    {"None", PW_ATOM_KIND, BIT(NONE)},
    {"list", PW_ATOM_KIND, BIT(LIST)},
    {"tuple", PW_ATOM_KIND, BIT(TUPLE)},
    {"dict", PW_ATOM_KIND, BIT(DICT)},
    {"set", PW_ATOM_KIND, BIT(SET)},
    {"frozenset", PW_ATOM_KIND, BIT(FROZENSET)},
    {"any", PW_ATOM_KIND, ~0u},
    {"class", PW_ATOM_CLASS, 0},
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

/* Take mod:name at `text` into the atom; PW_E_FORMAT when there is none. */
static enum pw_err
take_name(struct pw_atom *atom, enum pw_atom_type type, const char *text, size_t *taken)
{
    size_t colon;
    size_t len = pw_name_length(text, &colon);
    if (len == 0) {
        return PW_E_FORMAT;
    }
    atom->type = type;
    atom->mod = strndup(text, colon);
    atom->name = strndup(text + colon + 1, len - colon - 1);
    *taken += len;
    return atom->mod != NULL && atom->name != NULL ? PW_E_OK : PW_E_NOMEM;
}

static enum pw_err
take_literal(struct pw_atom *atom, const char *text, size_t *taken)
{
    const char *end = strchr(text + 1, '\'');
    if (end == NULL) {
        return PW_E_FORMAT;
    }
    atom->type = PW_ATOM_LITERAL;
    atom->name = strndup(text + 1, (size_t)(end - text - 1));
    *taken = (size_t)(end - text) + 1;
    return atom->name != NULL ? PW_E_OK : PW_E_NOMEM;
}

static enum pw_err
take_word(struct pw_atom *atom, const char *text, size_t *taken)
{
    size_t len = name_run(text);
    for (size_t i = 0; i < PW_COUNT(words); i++) {
        if (strlen(words[i].word) == len && strncmp(words[i].word, text, len) == 0) {
            atom->type = words[i].type;
            atom->kinds = words[i].kinds;
            *taken = len;
            return PW_E_OK;
        }
    }
    return PW_E_FORMAT;
}

static enum pw_err
take_atom(struct pw_atom *atom, const char *text, size_t *taken)
{
    *taken = 0;
    if (*text == '\'') {
        return take_literal(atom, text, taken);
    }
    if (*text == '=') {
        *taken = 1;
        return take_name(atom, PW_ATOM_INSTANCE, text + 1, taken);
    }
    size_t colon;
    if (pw_name_length(text, &colon) > 0) {
        return take_name(atom, PW_ATOM_GLOBAL, text, taken);
    }
    return take_word(atom, text, taken);
}

/* One argument: atoms with | between them. Advances *at. */
static enum pw_err
take_arg(struct pw_shape_arg *arg, const char *text, size_t *at)
{
    arg->atoms = calloc(PW_SHAPE_ATOMS, sizeof *arg->atoms);
    if (arg->atoms == NULL) {
        return PW_E_NOMEM;
    }
    for (;;) {
        size_t taken;
        if (arg->count == PW_SHAPE_ATOMS) {
            return PW_E_LIMIT;
        }
        enum pw_err err = take_atom(&arg->atoms[arg->count++], text + *at, &taken);
        if (err != PW_E_OK) {
            return err;
        }
        *at += taken;
        if (text[*at] != '|') {
            return PW_E_OK;
        }
        (*at)++;
    }
}

static enum pw_err
take_shape(struct pw_shape *shape, const char *text, size_t len, size_t *at)
{
    while (*at < len) {
        if (shape->count == PW_SHAPE_ARGS || shape->repeat) {
            return PW_E_LIMIT;
        }
        enum pw_err err = take_arg(&shape->arg[shape->count++], text, at);
        if (err != PW_E_OK) {
            return err;
        }
        if (text[*at] == '*') {
            shape->repeat = true;
            (*at)++;
        }
        if (*at < len && text[*at] != ',') {
            return PW_E_FORMAT;
        }
        if (*at < len && ++*at == len) {
            return PW_E_FORMAT; /* a comma with nothing behind it */
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_shape_parse(const char *text, size_t len, struct pw_shape *out, struct pw_why *why)
{
    *out = (struct pw_shape){0};
    size_t at = 0;
    enum pw_err err = take_shape(out, text, len, &at);
    if (err == PW_E_LIMIT) {
        return pw_fail(why, PW_E_CONFIG,
                       "(%.*s) has too many arguments or a * that is not last; at most %d",
                       (int)len, text, PW_SHAPE_ARGS);
    }
    if (err == PW_E_FORMAT) {
        return pw_fail(
            why, PW_E_CONFIG,
            "\"%.*s\" is no argument shape; write int str bytes bytearray float bool "
            "None list tuple dict set frozenset class any, 'text', module:name or "
            "=module:name, with commas between",
            (int)(len - at), text + at);
    }
    return err;
}

static enum pw_err
copy_text(const char *from, char **to)
{
    *to = from == NULL ? NULL : strdup(from);
    return from != NULL && *to == NULL ? PW_E_NOMEM : PW_E_OK;
}

static enum pw_err
copy_arg(const struct pw_shape_arg *from, struct pw_shape_arg *to)
{
    to->atoms = calloc(PW_SHAPE_ATOMS, sizeof *to->atoms);
    if (to->atoms == NULL) {
        return PW_E_NOMEM;
    }
    for (to->count = 0; to->count < from->count; to->count++) {
        const struct pw_atom *source = &from->atoms[to->count];
        struct pw_atom *atom = &to->atoms[to->count];
        atom->type = source->type;
        atom->kinds = source->kinds;
        if (copy_text(source->mod, &atom->mod) != PW_E_OK ||
            copy_text(source->name, &atom->name) != PW_E_OK) {
            to->count++; /* freed with the rest */
            return PW_E_NOMEM;
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_shape_copy(const struct pw_shape *from, struct pw_shape *to)
{
    *to = (struct pw_shape){.repeat = from->repeat};
    while (to->count < from->count) {
        size_t at = to->count++;
        enum pw_err err = copy_arg(&from->arg[at], &to->arg[at]);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

void
pw_shape_free(struct pw_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        struct pw_shape_arg *arg = &shape->arg[i];
        for (size_t j = 0; arg->atoms != NULL && j < arg->count; j++) {
            free(arg->atoms[j].mod);
            free(arg->atoms[j].name);
        }
        free(arg->atoms);
    }
    *shape = (struct pw_shape){0};
}

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
pw_value_is_plain(const struct pw_policy *policy, const struct pw_report *report,
                  struct pw_value value)
{
    if (value.kind == PW_V_GLOBAL) {
        const struct pw_import *import = &report->imports[value.ref];
        return pw_policy_allows(policy, import->mod, import->name, PW_USE_REF);
    }
    /* Tuples inside: the scanner counts their globals as used by value (PW_USE_REF), unless
     * they are these very arguments, which are looked at here. */
    return true;
}

static bool
is_class(const struct pw_policy *policy, const struct pw_report *report,
         struct pw_value value)
{
    if (value.kind != PW_V_GLOBAL) {
        return false;
    }
    const struct pw_import *import = &report->imports[value.ref];
    return pw_policy_allows(policy, import->mod, import->name, PW_USE_NEW);
}

static bool
atom_fits(const struct pw_atom *atom, const struct pw_policy *policy,
          const struct pw_report *report, struct pw_value value)
{
    const struct pw_import *origin;
    struct pw_span text;
    switch (atom->type) {
    case PW_ATOM_KIND:
        return (atom->kinds >> value.kind & 1) != 0 &&
               pw_value_is_plain(policy, report, value);
    case PW_ATOM_LITERAL:
        return (value.kind == PW_V_STR || value.kind == PW_V_BYTESTR) &&
               pw_report_text(report, value, &text) &&
               pw_span_equal(text, pw_span_str(atom->name));
    case PW_ATOM_GLOBAL:
        return value.kind == PW_V_GLOBAL && import_is(&report->imports[value.ref], atom);
    case PW_ATOM_INSTANCE:
        origin = pw_report_origin(report, value);
        return origin != NULL && import_is(origin, atom);
    case PW_ATOM_CLASS:
        return is_class(policy, report, value);
    }
    return false;
}

static bool
arg_fits(const struct pw_shape_arg *arg, const struct pw_policy *policy,
         const struct pw_report *report, struct pw_value value)
{
    for (size_t i = 0; i < arg->count; i++) {
        if (atom_fits(&arg->atoms[i], policy, report, value)) {
            return true;
        }
    }
    return false;
}

bool
pw_shape_fits(const struct pw_shape *shape, const struct pw_policy *policy,
              const struct pw_report *report, struct pw_value args)
{
    const struct pw_value *items;
    size_t count;
    if (!pw_report_tuple(report, args, &items, &count)) {
        return false;
    }
    size_t least = shape->count - (shape->repeat ? 1 : 0);
    if (count < least || (count > shape->count && !shape->repeat)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct pw_shape_arg *arg =
            &shape->arg[i < shape->count ? i : shape->count - 1];
        if (!arg_fits(arg, policy, report, items[i])) {
            return false;
        }
    }
    return true;
}
