/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/policy.h"

#include <stdlib.h>
#include <string.h>

#include "common/pickle/compat.h"
#include "common/policy/shape.h"

/* The shapes that one use of an entry may take. */
struct shapes {
    bool any; /* arguments do not matter */
    size_t count;
    struct pw_shape *list; /* owned */
};

struct entry {
    char *mod; /* owned; NULL: an empty slot */
    char *name;
    uint32_t uses; /* bit 1 << enum pw_use */
    struct shapes call;
    struct shapes new;
};

/* A hash table with open addressing; a power of two, at most half full. */
struct pw_policy {
    char *name;
    struct pw_limits limits;
    bool doors[PW_DOOR_COUNT];
    size_t size;
    size_t slots;
    struct entry *table;
};

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
free_shapes(struct shapes *shapes)
{
    for (size_t i = 0; i < shapes->count; i++) {
        pw_shape_free(&shapes->list[i]);
    }
    free(shapes->list);
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
        free_shapes(&old->table[i].call);
        free_shapes(&old->table[i].new);
        free(old->table[i].mod);
        free(old->table[i].name);
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
static struct entry *
slot_of(const struct pw_policy *policy, struct pw_span mod, struct pw_span name)
{
    size_t at = hash_pair(mod, name) & (policy->slots - 1);
    for (;;) {
        struct entry *entry = &policy->table[at];
        if (entry->mod == NULL || (pw_span_equal(pw_span_str(entry->mod), mod) &&
                                   pw_span_equal(pw_span_str(entry->name), name))) {
            return entry;
        }
        at = (at + 1) & (policy->slots - 1);
    }
}

static const struct entry *
find(const struct pw_policy *policy, struct pw_span mod, struct pw_span name)
{
    const struct entry *entry = slot_of(policy, mod, name);
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
        struct entry *entry = &policy->table[i];
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
static struct entry *
intern(struct pw_policy *policy, const char *mod, size_t mod_len, const char *name,
       size_t name_len)
{
    if (policy->size * 2 >= policy->slots && grow(policy) != PW_E_OK) {
        return NULL;
    }
    struct entry *entry = slot_of(policy, (struct pw_span){(const uint8_t *)mod, mod_len},
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

/* Take over `shape` (freed on failure). */
static enum pw_err
add_shape(struct shapes *shapes, struct pw_shape *shape)
{
    struct pw_shape *list = realloc(shapes->list, (shapes->count + 1) * sizeof *list);
    if (list == NULL) {
        pw_shape_free(shape);
        return PW_E_NOMEM;
    }
    shapes->list = list;
    shapes->list[shapes->count++] = *shape;
    return PW_E_OK;
}

static const struct {
    const char *word;
    enum pw_use use;
} use_words[] = {
    {"ref", PW_USE_REF},     {"call", PW_USE_CALL},   {"new", PW_USE_NEW},
    {"build", PW_USE_BUILD}, {"items", PW_USE_ITEMS},
};

static struct shapes *
shapes_of(struct entry *entry, enum pw_use use)
{
    return use == PW_USE_CALL ? &entry->call : use == PW_USE_NEW ? &entry->new : NULL;
}

/* "(…)" behind a use; NULL-shaped uses take none. Advances *at. */
static enum pw_err
take_arguments(struct entry *entry, enum pw_use use, const char *text, size_t *at,
               struct pw_why *why)
{
    struct shapes *shapes = shapes_of(entry, use);
    if (text[*at] != '(') {
        if (shapes != NULL) {
            shapes->any = true;
        }
        return PW_E_OK;
    }
    const char *end = strchr(text + *at, ')');
    if (shapes == NULL || end == NULL) {
        return pw_fail(why, PW_E_CONFIG, "\"%s\": %s", text,
                       end == NULL ? "a ( is not closed"
                                   : "only call and new take (arguments)");
    }
    struct pw_shape shape;
    size_t len = (size_t)(end - text) - *at - 1;
    enum pw_err err = pw_shape_parse(text + *at + 1, len, &shape, why);
    if (err != PW_E_OK) {
        pw_shape_free(&shape);
        return err;
    }
    *at += len + 2;
    return add_shape(shapes, &shape);
}

/* One use word, with its arguments. Advances *at. */
static enum pw_err
take_use(struct entry *entry, const char *text, size_t *at, struct pw_why *why)
{
    size_t len = strcspn(text + *at, " \t(");
    for (size_t i = 0; i < PW_COUNT(use_words); i++) {
        if (strlen(use_words[i].word) == len &&
            strncmp(use_words[i].word, text + *at, len) == 0) {
            *at += len;
            entry->uses |= 1u << use_words[i].use;
            return take_arguments(entry, use_words[i].use, text, at, why);
        }
    }
    return pw_fail(why, PW_E_CONFIG,
                   "\"%.*s\" is no use of a name; write ref, call, new, build or items",
                   (int)len, text + *at);
}

static void
allow_everything(struct entry *entry)
{
    entry->uses = ALL_USES;
    entry->call.any = true;
    entry->new.any = true;
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
    struct entry *entry = intern(policy, text, colon, text + colon + 1, at - colon - 1);
    if (entry == NULL) {
        return PW_E_NOMEM;
    }
    at += strspn(text + at, " \t");
    if (text[at] == '\0') {
        allow_everything(entry);
        return PW_E_OK;
    }
    while (text[at] != '\0') {
        enum pw_err err = take_use(entry, text, &at, why);
        if (err != PW_E_OK) {
            return err;
        }
        size_t blanks = strspn(text + at, " \t");
        if (blanks == 0 && text[at] != '\0') {
            return pw_fail(why, PW_E_CONFIG, "\"%s\": put a blank before \"%s\"", text,
                           text + at);
        }
        at += blanks;
    }
    return PW_E_OK;
}

static enum pw_err
include_shapes(const struct shapes *from, struct shapes *to)
{
    to->any = to->any || from->any;
    for (size_t i = 0; i < from->count; i++) {
        struct pw_shape copy;
        if (pw_shape_copy(&from->list[i], &copy) != PW_E_OK) {
            pw_shape_free(&copy);
            return PW_E_NOMEM;
        }
        if (add_shape(to, &copy) != PW_E_OK) {
            return PW_E_NOMEM;
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_policy_include(struct pw_policy *policy, const struct pw_policy *base)
{
    for (size_t i = 0; i < base->slots; i++) {
        const struct entry *from = &base->table[i];
        if (from->mod == NULL) {
            continue;
        }
        struct entry *to =
            intern(policy, from->mod, strlen(from->mod), from->name, strlen(from->name));
        if (to == NULL || include_shapes(&from->call, &to->call) != PW_E_OK ||
            include_shapes(&from->new, &to->new) != PW_E_OK) {
            return PW_E_NOMEM;
        }
        to->uses |= from->uses;
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

static bool
permits(const struct entry *entry, enum pw_use use)
{
    return entry != NULL && (use == PW_USE_COUNT || (entry->uses >> use & 1) != 0);
}

bool
pw_policy_allows(const struct pw_policy *policy, struct pw_span mod, struct pw_span name,
                 enum pw_use use)
{
    return permits(find(policy, mod, name), use);
}

/* Some argument must be one literal or name of a few; none at all leaves no choice. */
static bool
is_pinned(const struct pw_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct pw_shape_arg *arg = &shape->arg[i];
        bool chosen = shape->repeat && i + 1 == shape->count;
        for (size_t j = 0; j < arg->count; j++) {
            chosen = chosen || arg->atoms[j].type == PW_ATOM_KIND;
        }
        if (!chosen) {
            return true;
        }
    }
    return shape->count == 0;
}

static bool
are_open(const struct shapes *shapes)
{
    for (size_t i = 0; i < shapes->count; i++) {
        if (!is_pinned(&shapes->list[i])) {
            return true;
        }
    }
    return shapes->any;
}

bool
pw_policy_is_open(const struct pw_policy *policy, struct pw_span mod, struct pw_span name)
{
    const struct entry *entry = find(policy, mod, name);
    return entry != NULL &&
           (permits(entry, PW_USE_REF) || are_open(&entry->call) || are_open(&entry->new));
}

/*
 * An import has up to two faces: the pair as the stream spells it, and what the consumer
 * makes of it when the protocol in force is below 3. Both must be allowed (fix_imports may
 * be off).
 */
struct faces {
    const struct entry *raw;
    const struct entry *mapped; /* the same as raw when nothing is renamed */
};

static struct faces
faces_of(const struct pw_policy *policy, const struct pw_import *import)
{
    struct faces faces = {.raw = find(policy, import->mod, import->name)};
    struct pw_span mod;
    struct pw_span name;
    bool renamed =
        import->proto < 3 && pw_compat_map(import->mod, import->name, &mod, &name);
    faces.mapped = renamed ? find(policy, mod, name) : faces.raw;
    return faces;
}

/* A bare use takes any arguments, but the globals among them must be allowed as values. */
static bool
arguments_are_plain(const struct pw_policy *policy, const struct pw_report *report,
                    struct pw_value args)
{
    const struct pw_value *items;
    size_t count;
    if (!pw_report_tuple(report, args, &items, &count)) {
        return true; /* not kept: the scanner counted its globals as values */
    }
    for (size_t i = 0; i < count; i++) {
        if (!pw_value_is_plain(policy, report, items[i])) {
            return false;
        }
    }
    return true;
}

static bool
arguments_fit(const struct pw_policy *policy, const struct pw_report *report,
              const struct entry *entry, const struct pw_used *used)
{
    const struct shapes *shapes = used->use == PW_USE_CALL  ? &entry->call
                                  : used->use == PW_USE_NEW ? &entry->new
                                                            : NULL;
    if (shapes == NULL) {
        return true;
    }
    if (shapes->any && arguments_are_plain(policy, report, used->args)) {
        return true;
    }
    for (size_t i = 0; i < shapes->count; i++) {
        if (pw_shape_fits(&shapes->list[i], policy, report, used->args)) {
            return true;
        }
    }
    return false;
}

bool
pw_policy_allows_import(const struct pw_policy *policy, const struct pw_import *import)
{
    struct faces faces = faces_of(policy, import);
    return faces.raw != NULL && faces.mapped != NULL;
}

static enum pw_reason
judge_use(const struct pw_policy *policy, const struct pw_report *report,
          const struct pw_used *used)
{
    struct faces faces = faces_of(policy, &report->imports[used->import]);
    if (faces.raw == NULL || faces.mapped == NULL) {
        return PW_R_NONE; /* the import itself is refused already */
    }
    if (!permits(faces.raw, used->use) || !permits(faces.mapped, used->use)) {
        return PW_R_USE_DENIED;
    }
    bool fit =
        arguments_fit(policy, report, faces.raw, used) &&
        (faces.mapped == faces.raw || arguments_fit(policy, report, faces.mapped, used));
    return fit ? PW_R_NONE : PW_R_ARGS_DENIED;
}

/* Three sorted lists are merged by offset: findings, imports, uses. */
struct merge {
    const struct pw_policy *policy;
    const struct pw_report *report;
    size_t find, import, used;
    pw_policy_found *found;
    void *arg;
    size_t count;
};

static void
emit(struct merge *merge, const struct pw_find *find)
{
    merge->count++;
    merge->found(merge->arg, find);
}

static void
next_find(struct merge *merge)
{
    const struct pw_find *find = &merge->report->finds[merge->find++];
    if (!pw_policy_door(merge->policy, pw_reason_door(find->reason))) {
        emit(merge, find);
    }
}

static void
next_import(struct merge *merge)
{
    const struct pw_import *import = &merge->report->imports[merge->import++];
    if (!pw_policy_allows_import(merge->policy, import)) {
        emit(merge, &(struct pw_find){PW_R_IMPORT_DENIED, import->off, import->op,
                                      import->mod, import->name});
    }
}

static void
next_use(struct merge *merge)
{
    const struct pw_used *used = &merge->report->used[merge->used++];
    enum pw_reason reason = judge_use(merge->policy, merge->report, used);
    if (reason != PW_R_NONE) {
        const struct pw_import *import = &merge->report->imports[used->import];
        emit(merge,
             &(struct pw_find){reason, used->off, used->op, import->mod, import->name});
    }
}

/* Findings that the report only counted and that no open door waives. */
static size_t
unkept_refusals(const struct pw_policy *policy, const struct pw_report *report)
{
    size_t count = 0;
    for (size_t door = 0; door < PW_DOOR_COUNT; door++) {
        count += policy->doors[door] ? 0 : report->unkept[door];
    }
    return count;
}

size_t
pw_policy_judge(const struct pw_policy *policy, const struct pw_report *report,
                pw_policy_found *found, void *arg)
{
    struct merge merge = {.policy = policy, .report = report, .found = found, .arg = arg};
    for (;;) {
        uint64_t find_at =
            merge.find < report->find_count ? report->finds[merge.find].off : UINT64_MAX;
        uint64_t import_at = merge.import < report->import_count
                                 ? report->imports[merge.import].off
                                 : UINT64_MAX;
        uint64_t used_at =
            merge.used < report->used_count ? report->used[merge.used].off : UINT64_MAX;
        if (import_at != UINT64_MAX && import_at <= find_at && import_at <= used_at) {
            next_import(&merge);
        } else if (find_at != UINT64_MAX && find_at <= used_at) {
            next_find(&merge);
        } else if (used_at != UINT64_MAX) {
            next_use(&merge);
        } else {
            return merge.count + unkept_refusals(policy, report);
        }
    }
}
