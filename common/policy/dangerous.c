/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/dangerous.h"

#include "common/pickle/compat.h"

struct row {
    const char *mod, *name;
    struct pw_danger danger; /* the note is NULL: known to be harmless */
};

static const struct row rows[] = {
#define PW_DANGEROUS(mod, name, level, words) {mod, name, {PW_LEVEL_##level, words}},
#define PW_HARMLESS(mod, name) {mod, name, {PW_LEVEL_INFO, NULL}},
#define PW_DANGER_ALIAS(mod, as)
#include "common/policy/dangerous.def"
#undef PW_DANGEROUS
#undef PW_HARMLESS
#undef PW_DANGER_ALIAS
};

static const struct {
    const char *mod, *as;
} aliases[] = {
#define PW_DANGEROUS(mod, name, level, words)
#define PW_HARMLESS(mod, name)
#define PW_DANGER_ALIAS(mod, as) {mod, as},
#include "common/policy/dangerous.def"
#undef PW_DANGEROUS
#undef PW_HARMLESS
#undef PW_DANGER_ALIAS
};

/* A dotted name is searched so far: longer ones are no names but bulk. */
enum { PARTS_MAX = 64 };

static int
compare(struct pw_span a, const char *text)
{
    return pw_span_compare(a, pw_span_str(text));
}

static const struct row *
find_row(struct pw_span mod, struct pw_span name)
{
    size_t low = 0;
    size_t high = PW_COUNT(rows);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(mod, rows[middle].mod);
        order = order != 0 ? order : compare(name, rows[middle].name);
        if (order == 0) {
            return &rows[middle];
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return NULL;
}

static struct pw_span
real_module(struct pw_span mod)
{
    for (size_t i = 0; i < PW_COUNT(aliases); i++) {
        if (compare(mod, aliases[i].mod) == 0) {
            return pw_span_str(aliases[i].as);
        }
    }
    return mod;
}

/* What stands before the first dot; all of it when there is none. */
static struct pw_span
first_part(struct pw_span text)
{
    const uint8_t *dot = text.len == 0 ? NULL : memchr(text.ptr, '.', text.len);
    return dot == NULL ? text : (struct pw_span){text.ptr, (size_t)(dot - text.ptr)};
}

/* "a.b.c" becomes "a.b"; false when there is no dot left. */
static bool
leave_package(struct pw_span *mod)
{
    for (size_t len = mod->len; len-- > 0;) {
        if (mod->ptr[len] == '.') {
            mod->len = len;
            return true;
        }
    }
    return false;
}

/* The row of the pair, of the object that a dotted name starts from, or of a module. */
static const struct row *
row_of(struct pw_span mod, struct pw_span name)
{
    mod = real_module(mod);
    const struct row *row = find_row(mod, name);
    row = row != NULL ? row : find_row(mod, first_part(name));
    if (row != NULL || mod.len > 256) {
        return row; /* no module of ours is that long */
    }
    do {
        row = find_row(mod, pw_span_str("*"));
    } while (row == NULL && leave_package(&mod));
    return row;
}

static const struct pw_danger *
graver(const struct pw_danger *a, const struct row *row)
{
    if (row == NULL || row->danger.note == NULL) {
        return a;
    }
    return a == NULL || row->danger.level > a->level ? &row->danger : a;
}

static const struct pw_danger *
graver_pair(const struct pw_danger *so_far, struct pw_span mod, struct pw_span name)
{
    struct pw_span new_mod;
    struct pw_span new_name;
    so_far = graver(so_far, row_of(mod, name));
    if (pw_compat_map(mod, name, &new_mod, &new_name)) {
        so_far = graver(so_far, row_of(new_mod, new_name));
    }
    return so_far;
}

/* A module inside another is often bound with an underscore before it: _os.system. */
static struct pw_span
without_underscores(struct pw_span text)
{
    while (text.len > 0 && text.ptr[0] == '_') {
        text.ptr++;
        text.len--;
    }
    return text;
}

/* What a dotted name walks through: each part alone, and as a module of the rest. */
static const struct pw_danger *
search_inside(const struct pw_danger *so_far, struct pw_span name)
{
    for (int parts = 0; parts < PARTS_MAX && name.len > 0; parts++) {
        struct pw_span part = first_part(name);
        size_t taken = part.len < name.len ? part.len + 1 : part.len;
        struct pw_span rest = {name.ptr + taken, name.len - taken};
        so_far = graver(so_far, find_row(pw_span_str("*"), part));
        if (rest.len > 0) {
            so_far = graver_pair(so_far, part, rest);
            so_far = graver_pair(so_far, without_underscores(part), rest);
        }
        name = rest;
    }
    return so_far;
}

const struct pw_danger *
pw_dangerous(struct pw_span mod, struct pw_span name)
{
    return search_inside(graver_pair(NULL, mod, name), name);
}

enum pw_level
pw_danger_level(enum pw_reason reason, const struct pw_danger *danger)
{
    enum pw_level level = pw_reason_level(reason);
    return danger != NULL && danger->level > level ? danger->level : level;
}
