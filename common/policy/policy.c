/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/policy.h"

#include <stdlib.h>
#include <string.h>

#include "common/policy/entry.h"

enum { FIRST_SLOTS = 64, ALL_USES = (1 << PW_USE_COUNT) - 1 };

struct pw_policy *
pw_policy_new(const char *name)
{
    struct pw_policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL) {
        return NULL;
    }
    policy->limits = pw_limits_default;
    policy->slots = FIRST_SLOTS;
    policy->table = calloc(policy->slots, sizeof *policy->table);
    policy->name = strdup(name);
    if (policy->table == NULL || policy->name == NULL) {
        pw_policy_free(&policy);
    }
    return policy;
}

static void
free_line(struct pw_entry_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        pw_shape_free(&line->forms[i].shape);
        pw_shape_free(&line->forms[i].state);
    }
    free(line->forms);
    free(line->text);
}

static void
free_entry(struct pw_entry *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        free_line(&entry->lines[i]);
    }
    free(entry->lines);
    free(entry->mod);
    free(entry->name);
}

void
pw_policy_free(struct pw_policy **policy)
{
    struct pw_policy *old = *policy;
    *policy = NULL;
    if (old == NULL) {
        return;
    }
    for (size_t i = 0; old->table != NULL && i < old->slots; i++) {
        free_entry(&old->table[i]);
    }
    free(old->table);
    free(old->name);
    free(old);
}

const char *
pw_policy_name(const struct pw_policy *policy)
{
    return policy->name;
}

size_t
pw_policy_size(const struct pw_policy *policy)
{
    return policy->size;
}

/* FNV-1a over both names with a separator that neither contains. */
static uint64_t
hash_pair(struct pw_span mod, struct pw_span name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < mod.len; i++) {
        hash = (hash ^ mod.ptr[i]) * 0x100000001b3u;
    }
    hash = (hash ^ ':') * 0x100000001b3u;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ name.ptr[i]) * 0x100000001b3u;
    }
    return hash ^ hash >> 32;
}

/* The slot that holds the pair, or the empty one where it would go. */
static struct pw_entry *
slot_of(const struct pw_policy *policy, struct pw_span mod, struct pw_span name)
{
    size_t at = hash_pair(mod, name) & (policy->slots - 1);
    for (;;) {
        struct pw_entry *entry = &policy->table[at];
        if (entry->mod == NULL || (pw_span_equal(pw_span_str(entry->mod), mod) &&
                                   pw_span_equal(pw_span_str(entry->name), name))) {
            return entry;
        }
        at = (at + 1) & (policy->slots - 1);
    }
}

const struct pw_entry *
pw_policy_entry(const struct pw_policy *policy, struct pw_span mod, struct pw_span name)
{
    const struct pw_entry *entry = slot_of(policy, mod, name);
    return entry->mod == NULL ? NULL : entry;
}

static enum pw_err
grow(struct pw_policy *policy)
{
    struct pw_policy bigger = {.slots = policy->slots * 2};
    bigger.table = calloc(bigger.slots, sizeof *bigger.table);
    if (bigger.table == NULL) {
        return PW_E_NOMEM;
    }
    for (size_t i = 0; i < policy->slots; i++) {
        struct pw_entry *entry = &policy->table[i];
        if (entry->mod != NULL) {
            *slot_of(&bigger, pw_span_str(entry->mod), pw_span_str(entry->name)) = *entry;
        }
    }
    free(policy->table);
    policy->table = bigger.table;
    policy->slots = bigger.slots;
    return PW_E_OK;
}

/* The entry of this pair, made when there is none; NULL when out of memory. */
static struct pw_entry *
intern(struct pw_policy *policy, const char *mod, size_t mod_len, const char *name,
       size_t name_len)
{
    if (policy->size * 2 >= policy->slots && grow(policy) != PW_E_OK) {
        return NULL;
    }
    struct pw_entry *entry =
        slot_of(policy, (struct pw_span){(const uint8_t *)mod, mod_len},
                (struct pw_span){(const uint8_t *)name, name_len});
    if (entry->mod != NULL) {
        return entry;
    }
    char *own_mod = strndup(mod, mod_len);
    char *own_name = strndup(name, name_len);
    if (own_mod == NULL || own_name == NULL) {
        free(own_mod);
        free(own_name);
        return NULL;
    }
    entry->mod = own_mod;
    entry->name = own_name;
    policy->size++;
    return entry;
}

static const struct {
    const char *word;
    enum pw_use use;
} use_words[] = {
    {"ref", PW_USE_REF},     {"call", PW_USE_CALL},   {"new", PW_USE_NEW},
    {"build", PW_USE_BUILD}, {"items", PW_USE_ITEMS},
};

/* Room for one more form of the line; NULL when out of memory. */
static struct pw_form *
add_form(struct pw_entry_line *line, enum pw_use use)
{
    struct pw_form *forms = realloc(line->forms, (line->count + 1) * sizeof *forms);
    if (forms == NULL) {
        return NULL;
    }
    line->forms = forms;
    struct pw_form *form = &forms[line->count++];
    *form = (struct pw_form){.use = use};
    return form;
}

/* A state is one value. `at` is behind the shape. */
static enum pw_err
check_state(const struct pw_shape *state, const char *text, struct pw_why *why)
{
    if (state->count == 1 && !state->repeat) {
        return PW_E_OK;
    }
    return pw_fail(why, PW_E_CONFIG,
                   "\"%.200s\": build takes one shape, that of the state; write "
                   "build(dict), or build((int,str)) for a tuple",
                   text);
}

/* "+build(…)" behind a call. Advances *at. */
static enum pw_err
take_tied(struct pw_form *form, const char *text, size_t *at, struct pw_why *why)
{
    static const char word[] = "+build(";
    if (text[*at] != '+') {
        return PW_E_OK;
    }
    if (form->use == PW_USE_BUILD || strncmp(text + *at, word, sizeof word - 1) != 0) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.200s\": only +build(…) can follow, behind call(…) or new(…)",
                       text);
    }
    *at += sizeof word - 1;
    form->tied = true;
    enum pw_err err = pw_shape_parse(text, at, &form->state, why);
    return err == PW_E_OK ? check_state(&form->state, text, why) : err;
}

/* "(…)" behind a use. Advances *at. */
static enum pw_err
take_form(struct pw_entry_line *line, enum pw_use use, const char *text, size_t *at,
          struct pw_why *why)
{
    if (text[*at] != '(') {
        line->bare |= 1u << use;
        return PW_E_OK;
    }
    if (use == PW_USE_REF || use == PW_USE_ITEMS) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.200s\": only call, new and build take (arguments)", text);
    }
    struct pw_form *form = add_form(line, use);
    if (form == NULL) {
        return PW_E_NOMEM;
    }
    (*at)++;
    enum pw_err err = pw_shape_parse(text, at, &form->shape, why);
    if (err == PW_E_OK && use == PW_USE_BUILD) {
        err = check_state(&form->shape, text, why);
    }
    return err == PW_E_OK ? take_tied(form, text, at, why) : err;
}

/* One use word, with its arguments. Advances *at. */
static enum pw_err
take_use(struct pw_entry_line *line, const char *text, size_t *at, struct pw_why *why)
{
    size_t len = strcspn(text + *at, " \t(");
    for (size_t i = 0; i < PW_COUNT(use_words); i++) {
        if (strlen(use_words[i].word) == len &&
            strncmp(use_words[i].word, text + *at, len) == 0) {
            *at += len;
            line->uses |= 1u << use_words[i].use;
            return take_form(line, use_words[i].use, text, at, why);
        }
    }
    return pw_fail(why, PW_E_CONFIG,
                   "\"%.*s\" is no use of a name; write ref, call, new, build or items",
                   (int)len, text + *at);
}

/* All uses of a line; none means every one, with any arguments. */
static enum pw_err
take_uses(struct pw_entry_line *line, const char *text, struct pw_why *why)
{
    size_t at = 0;
    if (text[at] == '\0') {
        line->uses = ALL_USES;
        line->bare = ALL_USES;
    }
    while (text[at] != '\0') {
        enum pw_err err = take_use(line, text, &at, why);
        if (err != PW_E_OK) {
            return err;
        }
        size_t blanks = strspn(text + at, " \t");
        if (blanks == 0 && text[at] != '\0') {
            return pw_fail(why, PW_E_CONFIG, "\"%.200s\": put a blank before \"%.200s\"",
                           text, text + at);
        }
        at += blanks;
    }
    return PW_E_OK;
}

/* Parse one line of uses into the entry, unless it has that very line already. */
static enum pw_err
add_line(struct pw_entry *entry, const char *uses, struct pw_why *why)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (strcmp(entry->lines[i].text, uses) == 0) {
            return PW_E_OK;
        }
    }
    struct pw_entry_line *lines = realloc(entry->lines, (entry->count + 1) * sizeof *lines);
    if (lines == NULL) {
        return PW_E_NOMEM;
    }
    entry->lines = lines;
    struct pw_entry_line line = {.text = strdup(uses)};
    enum pw_err err = line.text == NULL ? PW_E_NOMEM : take_uses(&line, uses, why);
    if (err != PW_E_OK) {
        free_line(&line);
        return err;
    }
    lines[entry->count++] = line;
    entry->uses |= line.uses;
    return PW_E_OK;
}

enum pw_err
pw_policy_allow(struct pw_policy *policy, const char *text, struct pw_why *why)
{
    size_t colon;
    size_t at = pw_name_length(text, &colon);
    if (at == 0 || (text[at] != '\0' && text[at] != ' ' && text[at] != '\t')) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.200s\" is no exact name; write module:name, such as "
                       "\"collections:OrderedDict\"; patterns are not possible",
                       text);
    }
    struct pw_entry *entry = intern(policy, text, colon, text + colon + 1, at - colon - 1);
    if (entry == NULL) {
        return PW_E_NOMEM;
    }
    return add_line(entry, text + at + strspn(text + at, " \t"), why);
}

enum pw_err
pw_policy_include(struct pw_policy *policy, const struct pw_policy *base)
{
    for (size_t i = 0; i < base->slots; i++) {
        const struct pw_entry *from = &base->table[i];
        if (from->mod == NULL) {
            continue;
        }
        struct pw_entry *to =
            intern(policy, from->mod, strlen(from->mod), from->name, strlen(from->name));
        if (to == NULL) {
            return PW_E_NOMEM;
        }
        for (size_t j = 0; j < from->count; j++) {
            if (add_line(to, from->lines[j].text, NULL) != PW_E_OK) {
                return PW_E_NOMEM; /* what was parsed once is well-formed */
            }
        }
    }
    for (size_t door = 0; door < PW_DOOR_COUNT; door++) {
        policy->doors[door] = policy->doors[door] || base->doors[door];
    }
    return PW_E_OK;
}

void
pw_policy_set_door(struct pw_policy *policy, enum pw_door door, bool open)
{
    if (door > PW_DOOR_NONE && door < PW_DOOR_COUNT) {
        policy->doors[door] = open;
    }
}

bool
pw_policy_door(const struct pw_policy *policy, enum pw_door door)
{
    return door > PW_DOOR_NONE && door < PW_DOOR_COUNT && policy->doors[door];
}

void
pw_policy_set_limits(struct pw_policy *policy, const struct pw_limits *limits)
{
    policy->limits = *limits;
}

const struct pw_limits *
pw_policy_limits(const struct pw_policy *policy)
{
    return &policy->limits;
}

static bool is_pinned(const struct pw_shape *shape);

static bool
leaves_choice(const struct pw_atom *atom)
{
    return atom->type == PW_ATOM_KIND || atom->type == PW_ATOM_NUMBERED ||
           (atom->type == PW_ATOM_INT && atom->least < atom->most) ||
           (atom->type == PW_ATOM_TUPLE && !is_pinned(&atom->items));
}

/* Some argument must be one literal or name of a few; none at all leaves no choice. */
static bool
is_pinned(const struct pw_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct pw_shape_arg *arg = &shape->arg[i];
        bool chosen = shape->repeat && i + 1 == shape->count;
        for (size_t j = 0; j < arg->count; j++) {
            chosen = chosen || leaves_choice(&arg->atoms[j]);
        }
        if (!chosen) {
            return true;
        }
    }
    return shape->count == 0;
}

static bool
is_open(const struct pw_entry_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        if (line->forms[i].use != PW_USE_BUILD && !is_pinned(&line->forms[i].shape)) {
            return true;
        }
    }
    return (line->bare & (1u << PW_USE_CALL | 1u << PW_USE_NEW)) != 0;
}

bool
pw_policy_is_open(const struct pw_policy *policy, struct pw_span mod, struct pw_span name)
{
    const struct pw_entry *entry = pw_policy_entry(policy, mod, name);
    if (entry == NULL) {
        return false;
    }
    bool open = (entry->uses >> PW_USE_REF & 1) != 0;
    for (size_t i = 0; i < entry->count; i++) {
        open = open || is_open(&entry->lines[i]);
    }
    return open;
}
