/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/policies.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/policy/dangerous.h"
#include "common/policy/shape.h"
#include "common/settings/nearest.h"
#include "common/settings/value.h"

enum { INCLUDE_DEPTH_MAX = 16, WARNINGS_MAX = 8 << 20 };

static const char suffix[] = ".conf";

struct draft {
    const struct pw_zpl *doc;
    struct pw_zpl *pack;      /* `doc`, when it is a pack file that we own */
    size_t node;              /* the section policy.NAME */
    bool building;            /* further up the chain of includes */
    struct pw_policy *policy; /* once built */
};

struct pw_policies {
    char *const *folders;
    size_t depth; /* of includes, at the moment */
    bool placed;  /* the sentence of the failure names its place already */
    struct pw_buf warnings;
    size_t count;
    struct draft drafts[PW_POLICIES_MAX];
};

static const char *
draft_name(const struct draft *draft)
{
    return draft->doc->nodes[draft->node].name;
}

static struct draft *
find_draft(struct pw_policies *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(draft_name(&set->drafts[i]), name) == 0) {
            return &set->drafts[i];
        }
    }
    return NULL;
}

static enum pw_err
add_draft(struct pw_policies *set, const struct pw_zpl *doc, size_t node,
          struct pw_zpl *pack, struct pw_why *why)
{
    if (set->count == PW_POLICIES_MAX) {
        return pw_zpl_fail(doc, node, why, "is more than %d policies; remove unused ones",
                           PW_POLICIES_MAX);
    }
    set->drafts[set->count++] = (struct draft){.doc = doc, .node = node, .pack = pack};
    return PW_E_OK;
}

/* A pack holds the one policy that its file is named after, and nothing else. */
static enum pw_err
check_pack(const struct pw_zpl *doc, const char *name, size_t *node, struct pw_why *why)
{
    *node = PW_ZPL_NONE;
    for (size_t i = 0; i < doc->count; i++) {
        if (doc->nodes[i].depth == 0 && strcmp(doc->nodes[i].name, "policy") != 0) {
            return pw_zpl_fail(doc, i, why,
                               "does not belong in a policy file; move it to the "
                               "configuration");
        }
        if (doc->nodes[i].depth != 1) {
            continue;
        }
        if (strcmp(doc->nodes[i].name, name) != 0) {
            return pw_zpl_fail(doc, i, why,
                               "stands in a file of another name; move it to "
                               "%s.conf",
                               doc->nodes[i].name);
        }
        *node = i;
    }
    return *node != PW_ZPL_NONE
               ? PW_E_OK
               : pw_fail(why, PW_E_CONFIG,
                         "%s: defines no policy; add the section policy.%s", doc->file,
                         name);
}

static enum pw_err
read_pack(const char *path, struct pw_zpl **doc, struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_ZPL_TEXT_MAX + 1};
    enum pw_err err = pw_file_read(path, &text);
    if (err == PW_E_NO_INPUT) {
        return err;
    }
    if (err != PW_E_OK && err != PW_E_LIMIT) {
        return pw_fail(why, err, "%s: %s; make it readable", path, pw_err_text(err));
    }
    *doc = pw_zpl_parse(pw_buf_span(&text), path, why);
    return *doc != NULL ? PW_E_OK : PW_E_CONFIG;
}

/* Load NAME.conf of the first folder that has it. PW_E_NO_INPUT when none has. */
static enum pw_err
load_pack(struct pw_policies *set, const char *name, struct pw_why *why)
{
    enum pw_err err = PW_E_NO_INPUT;
    struct pw_zpl *doc = NULL;
    for (size_t i = 0; i < PW_PACK_FOLDERS && err == PW_E_NO_INPUT; i++) {
        char path[PATH_MAX];
        if (set->folders[i] != NULL && snprintf(path, sizeof path, "%s/%s%s",
                                                set->folders[i], name, suffix) < PATH_MAX) {
            err = read_pack(path, &doc, why);
        }
    }
    if (doc == NULL) {
        return err;
    }
    size_t node = 0;
    err = pw_schema_check(doc, why);
    err = err == PW_E_OK ? check_pack(doc, name, &node, why) : err;
    err = err == PW_E_OK ? add_draft(set, doc, node, doc, why) : err;
    if (err != PW_E_OK) {
        pw_zpl_free(&doc);
    }
    return err;
}

static int
is_pack_file(const struct dirent *entry)
{
    char name[sizeof entry->d_name];
    size_t len = strlen(entry->d_name);
    if (len < sizeof suffix ||
        strcmp(entry->d_name + len - (sizeof suffix - 1), suffix) != 0) {
        return 0;
    }
    snprintf(name, sizeof name, "%.*s", (int)(len - (sizeof suffix - 1)), entry->d_name);
    return pw_schema_is_name(name);
}

/* Call `visit` with the name of every pack file, until it fails. */
static enum pw_err
each_pack(struct pw_policies *set,
          enum pw_err (*visit)(struct pw_policies *set, const char *name, void *arg,
                               struct pw_why *why),
          void *arg, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; i < PW_PACK_FOLDERS; i++) {
        struct dirent **files = NULL;
        int count = set->folders[i] != NULL
                        ? scandir(set->folders[i], &files, is_pack_file, alphasort)
                        : 0;
        for (int j = 0; j < count; j++) {
            *strrchr(files[j]->d_name, '.') = '\0';
            err = err == PW_E_OK ? visit(set, files[j]->d_name, arg, why) : err;
            free(files[j]);
        }
        free(files);
    }
    return err;
}

static enum pw_err
offer_pack(struct pw_policies *set, const char *name, void *arg, struct pw_why *why)
{
    (void)set;
    (void)why;
    pw_nearest_offer(arg, name);
    return PW_E_OK;
}

static enum pw_err
refuse_unknown(struct pw_policies *set, const char *name, struct pw_why *why)
{
    struct pw_nearest nearest = {.wanted = name};
    (void)each_pack(set, offer_pack, &nearest, NULL);
    for (size_t i = 0; i < set->count; i++) {
        pw_nearest_offer(&nearest, draft_name(&set->drafts[i]));
    }
    if (nearest.best[0] != '\0') {
        return pw_fail(why, PW_E_CONFIG, "no policy \"%.80s\"; did you mean %s?", name,
                       nearest.best);
    }
    return pw_fail(
        why, PW_E_CONFIG,
        "no policy \"%.80s\"; define it under `policy`, or put %.80s.conf into %s", name,
        name, set->folders[0] != NULL ? set->folders[0] : "the policy folder");
}

/* clang-format off */
enum {
    ROWS = 0
#define PW_SETTING(...) + 1
#include "common/settings/settings.def"
#undef PW_SETTING
};
/* clang-format on */

/* What the lines of one policy add up to. */
struct sum {
    struct pw_policy *policy;
    struct pw_policy_draft own; /* as its own lines say */
    bool set[ROWS];             /* rows that do */
    struct pw_limits included;  /* the most generous of the included policies */
    bool includes;
};

static void
raise_u32(uint32_t *limit, uint32_t to)
{
    *limit = *limit < to ? to : *limit;
}

static void
raise_limits(struct pw_limits *limits, const struct pw_limits *to)
{
    limits->max_bytes =
        limits->max_bytes < to->max_bytes ? to->max_bytes : limits->max_bytes;
    raise_u32(&limits->max_ops, to->max_ops);
    raise_u32(&limits->max_stack, to->max_stack);
    raise_u32(&limits->max_depth, to->max_depth);
    raise_u32(&limits->max_memo, to->max_memo);
    raise_u32(&limits->max_ratio, to->max_ratio);
    raise_u32(&limits->max_unfold, to->max_unfold);
    raise_u32(&limits->max_work, to->max_work);
    raise_u32(&limits->max_key_depth, to->max_key_depth);
    raise_u32(&limits->max_collisions, to->max_collisions);
    raise_u32(&limits->max_int_bytes, to->max_int_bytes);
    limits->max_heap = limits->max_heap < to->max_heap ? to->max_heap : limits->max_heap;
}

static enum pw_err
include(struct pw_policies *set, const char *name, struct sum *sum, struct pw_why *why)
{
    struct pw_policy *base = NULL;
    enum pw_err err = pw_policies_get(set, name, &base, why);
    if (err != PW_E_OK) {
        return err;
    }
    raise_limits(&sum->included, pw_policy_limits(base));
    sum->includes = true;
    return pw_policy_include(sum->policy, base);
}

/* The danger of what this good entry alone leaves open; NULL for none. */
static enum pw_err
danger_of(const char *entry, const struct pw_danger **danger)
{
    size_t colon;
    size_t len = pw_name_length(entry, &colon);
    struct pw_span mod = {(const uint8_t *)entry, colon};
    struct pw_span name = {(const uint8_t *)entry + colon + 1, len - colon - 1};
    *danger = pw_dangerous(mod, name);
    if (*danger == NULL) {
        return PW_E_OK;
    }
    struct pw_policy *alone = pw_policy_new("");
    enum pw_err err = alone == NULL ? PW_E_NOMEM : pw_policy_allow(alone, entry, NULL);
    if (err == PW_E_OK && !pw_policy_is_open(alone, mod, name)) {
        *danger = NULL;
    }
    pw_policy_free(&alone);
    return err;
}

/* Take note of an entry with which a sender could do harm. */
static enum pw_err
warn(struct pw_policies *set, const struct draft *draft, size_t node)
{
    const char *entry = draft->doc->nodes[node].value;
    const struct pw_danger *danger;
    enum pw_err err = danger_of(entry, &danger);
    if (err != PW_E_OK || danger == NULL) {
        return err;
    }
    struct pw_why why = {0};
    (void)pw_zpl_fail(draft->doc, node, &why,
                      "warning: \"%.200s\" %s; remove it, or pin its arguments to names "
                      "and texts, as in call(str,'latin1')",
                      entry, danger->note);
    err = pw_buf_append(&set->warnings, pw_span_str(why.text));
    return err != PW_E_OK ? err : pw_buf_append(&set->warnings, pw_span_str("\n"));
}

static enum pw_err
apply_line(struct pw_policies *set, const struct pw_row *row, const char *value,
           struct sum *sum, struct pw_why *why)
{
    if (row->type == PW_TYPE_INCLUDE) {
        return include(set, value, sum, why);
    }
    if (row->type == PW_TYPE_ENTRY) {
        return pw_policy_allow(sum->policy, value, why);
    }
    sum->set[row - pw_rows] = true;
    return pw_value_read(row, value, &sum->own, why);
}

/* Give a sentence this line's place, unless it names its own already: that of an include.
 */
static enum pw_err
fail_at(struct pw_policies *set, const struct draft *draft, size_t node, enum pw_err err,
        const struct pw_why *inner, struct pw_why *why)
{
    if (set->placed) {
        return pw_fail(why, err, "%s", inner->text);
    }
    set->placed = true;
    (void)pw_zpl_fail(draft->doc, node, why, "%s",
                      inner->text[0] != '\0' ? inner->text : pw_err_text(err));
    return err;
}

static enum pw_err
apply_lines(struct pw_policies *set, const struct draft *draft, struct sum *sum,
            struct pw_why *why)
{
    const struct pw_zpl *doc = draft->doc;
    for (size_t at = draft->node + 1; at < doc->count && doc->nodes[at].depth > 1; at++) {
        struct pw_why inner = {0};
        enum pw_err err =
            apply_line(set, pw_schema_row(doc, at), doc->nodes[at].value, sum, &inner);
        if (err == PW_E_OK && pw_schema_row(doc, at)->type == PW_TYPE_ENTRY) {
            err = warn(set, draft, at);
        }
        if (err != PW_E_OK) {
            return fail_at(set, draft, at, err, &inner, why);
        }
    }
    return PW_E_OK;
}

/* Own doors and limits come last: they overrule whatever was included. */
static void
apply_own(struct sum *sum)
{
    struct pw_limits limits = sum->includes ? sum->included : pw_limits_default;
    for (size_t i = 0; i < pw_row_count; i++) {
        const struct pw_row *row = &pw_rows[i];
        if (!sum->set[i]) {
            continue;
        }
        size_t limits_at = offsetof(struct pw_policy_draft, limits);
        size_t doors_at = offsetof(struct pw_policy_draft, doors);
        if (row->offset < limits_at + sizeof limits) {
            memcpy((char *)&limits + (row->offset - limits_at),
                   (const char *)&sum->own + row->offset, row->size);
        } else {
            enum pw_door door = (enum pw_door)((row->offset - doors_at) / sizeof(bool));
            pw_policy_set_door(sum->policy, door, sum->own.doors[door]);
        }
    }
    pw_policy_set_limits(sum->policy, &limits);
}

static enum pw_err
build(struct pw_policies *set, struct draft *draft, struct pw_why *why)
{
    struct sum sum = {.policy = pw_policy_new(draft_name(draft))};
    if (sum.policy == NULL) {
        return pw_fail(why, PW_E_NOMEM, "out of memory");
    }
    draft->building = true;
    set->depth++;
    enum pw_err err = apply_lines(set, draft, &sum, why);
    set->depth--;
    draft->building = false;
    if (err != PW_E_OK) {
        pw_policy_free(&sum.policy);
        return err;
    }
    apply_own(&sum);
    draft->policy = sum.policy;
    return PW_E_OK;
}

struct pw_policies *
pw_policies_new(char *const folders[static PW_PACK_FOLDERS])
{
    struct pw_policies *set = calloc(1, sizeof *set);
    if (set != NULL) {
        set->folders = folders;
        set->warnings.limit = WARNINGS_MAX;
    }
    return set;
}

void
pw_policies_free(struct pw_policies **set)
{
    if (*set == NULL) {
        return;
    }
    for (size_t i = 0; i < (*set)->count; i++) {
        pw_policy_free(&(*set)->drafts[i].policy);
        pw_zpl_free(&(*set)->drafts[i].pack);
    }
    pw_buf_free(&(*set)->warnings);
    free(*set);
    *set = NULL;
}

enum pw_err
pw_policies_add(struct pw_policies *set, const struct pw_zpl *doc, struct pw_why *why)
{
    for (size_t i = 0; i < doc->count; i++) {
        enum pw_err err = pw_schema_is_named(doc, i, "policy")
                              ? add_draft(set, doc, i, NULL, why)
                              : PW_E_OK;
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_policies_get(struct pw_policies *set, const char *name, struct pw_policy **out,
                struct pw_why *why)
{
    struct draft *draft = find_draft(set, name);
    if (draft == NULL && !pw_schema_is_name(name)) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%.80s\" is no policy's name; write it as its section is called",
                       name);
    }
    if (draft == NULL) {
        enum pw_err err = load_pack(set, name, why);
        if (err == PW_E_NO_INPUT) {
            return refuse_unknown(set, name, why);
        }
        if (err != PW_E_OK) {
            set->placed = true;
            return err;
        }
        draft = &set->drafts[set->count - 1];
    }
    if (draft->building) {
        return pw_fail(why, PW_E_CONFIG,
                       "\"%s\" includes this policy in turn; remove one of "
                       "the two",
                       name);
    }
    if (set->depth == INCLUDE_DEPTH_MAX) {
        return pw_fail(why, PW_E_CONFIG,
                       "more than %d policies include one another; flatten "
                       "them",
                       INCLUDE_DEPTH_MAX);
    }
    enum pw_err err = draft->policy == NULL ? build(set, draft, why) : PW_E_OK;
    *out = draft->policy;
    return err;
}

static enum pw_err
build_pack(struct pw_policies *set, const char *name, void *arg, struct pw_why *why)
{
    (void)arg;
    struct pw_policy *policy;
    return pw_policies_get(set, name, &policy, why);
}

enum pw_err
pw_policies_build(struct pw_policies *set, struct pw_why *why)
{
    /* Packs that are included on the way join the end of the list. */
    for (size_t i = 0; i < set->count; i++) {
        struct pw_policy *policy;
        enum pw_err err = pw_policies_get(set, draft_name(&set->drafts[i]), &policy, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return each_pack(set, build_pack, NULL, why);
}

struct pw_buf
pw_policies_warnings(struct pw_policies *set)
{
    struct pw_buf taken = set->warnings;
    set->warnings = (struct pw_buf){.limit = WARNINGS_MAX};
    return taken;
}

struct pw_policy **
pw_policies_take(struct pw_policies *set, size_t *count)
{
    struct pw_policy **policies = calloc(set->count + 1, sizeof(struct pw_policy *));
    if (policies == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < set->count; i++) {
        policies[i] = set->drafts[i].policy;
        set->drafts[i].policy = NULL;
    }
    *count = set->count;
    return policies;
}
