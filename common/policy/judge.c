/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/judge.h"

#include "common/pickle/compat.h"
#include "common/pickle/decode.h"
#include "common/pickle/scan.h"
#include "common/policy/entry.h"

/* A constant may be an argument many times; scanning it each time is not to pay off for the
 * sender. */
enum { NESTED_PER_BYTE = 8, TIED_LOOK_BACK = 64, TIED_MARKS = 16 };

/*
 * An import has up to two faces: the pair as the stream spells it, and what the consumer
 * makes of it when the protocol in force is below 3. Both must be allowed (fix_imports may
 * be off).
 */
struct faces {
    const struct pw_entry *raw;
    const struct pw_entry *mapped; /* the same as raw when nothing is renamed */
};

static struct faces
faces_of(const struct pw_policy *policy, const struct pw_import *import)
{
    struct faces faces = {.raw = pw_policy_entry(policy, import->mod, import->name)};
    struct pw_span mod;
    struct pw_span name;
    bool renamed =
        import->proto < 3 && pw_compat_map(import->mod, import->name, &mod, &name);
    faces.mapped = renamed ? pw_policy_entry(policy, mod, name) : faces.raw;
    return faces;
}

bool
pw_policy_allows_import(const struct pw_policy *policy, const struct pw_import *import)
{
    struct faces faces = faces_of(policy, import);
    return faces.raw != NULL && faces.mapped != NULL;
}

bool
pw_judge_allows(const struct pw_judging *judging, const struct pw_import *import,
                enum pw_use use)
{
    struct faces faces = faces_of(judging->policy, import);
    return faces.raw != NULL && faces.mapped != NULL &&
           (faces.raw->uses & faces.mapped->uses & 1u << use) != 0;
}

/* ---- arguments ------------------------------------------------------------------------
 */

/* A bare use takes any arguments, but the globals among them must be allowed as values. */
static bool
arguments_are_plain(const struct pw_judging *judging, struct pw_value args)
{
    const struct pw_value *items;
    size_t count;
    if (!pw_report_tuple(judging->report, args, &items, &count)) {
        return true; /* not kept: the scanner counted its globals as values */
    }
    for (size_t i = 0; i < count; i++) {
        if (!pw_value_is_plain(judging, items[i])) {
            return false;
        }
    }
    return true;
}

static bool
line_fits(const struct pw_entry_line *line, const struct pw_judging *judging,
          const struct pw_used *used)
{
    if ((line->bare >> used->use & 1) != 0 &&
        (used->use == PW_USE_BUILD || arguments_are_plain(judging, used->args))) {
        return true;
    }
    for (size_t i = 0; i < line->count; i++) {
        const struct pw_form *form = &line->forms[i];
        if (form->use != used->use) {
            continue;
        }
        bool fits = used->use == PW_USE_BUILD
                        ? pw_shape_fits_state(&form->shape, judging, used->args)
                        : pw_shape_fits(&form->shape, judging, used->args);
        if (fits) {
            return true;
        }
    }
    return false;
}

/* ---- states that are tied to their call -----------------------------------------------
 */

/* How high the stack is above what a call made, and above each mark since. */
struct height {
    size_t now;
    size_t marks;
    size_t mark[TIED_MARKS];
};

/* What one opcode does to the height; false when it takes what the call made, or cannot be
 * followed. */
static bool
follow(struct height *height, const struct pw_op *op)
{
    const struct pw_op_info *info = pw_opcode_info(op->code);
    if (info->effect == PW_EFFECT_MEMOIZE) {
        return true; /* takes nothing, though its row says that something must be there */
    }
    if (info->effect == PW_EFFECT_MARK) {
        if (height->marks == TIED_MARKS) {
            return false;
        }
        height->mark[height->marks++] = height->now;
        return true;
    }
    if (info->effect == PW_EFFECT_POP || (info->from_mark && height->marks == 0)) {
        return false;
    }
    if (info->from_mark) {
        height->now = height->mark[--height->marks];
    }
    size_t floor = height->marks > 0 ? height->mark[height->marks - 1] : 0;
    if (height->now - floor < info->pops) {
        return false;
    }
    height->now += (size_t)info->pushes - info->pops;
    return true;
}

/* Whether the BUILD at `build` changes what the call at `call` made: nothing in between
 * took that away. The scanner has found that all of it decodes. */
static bool
is_built_upon(const struct pw_report *report, uint32_t call, uint32_t build)
{
    struct height height = {0};
    struct pw_op op = {0};
    if (pw_decode(report->frame, call, &op) != PW_DECODE_OP) {
        return false;
    }
    while (op.end < build) {
        if (pw_decode(report->frame, op.end, &op) != PW_DECODE_OP ||
            !follow(&height, &op)) {
            return false;
        }
    }
    return op.end == build && height.now == 1 && height.marks == 0;
}

/*
 * The call that made what `used` (a BUILD of `entry`) changes, when it is the latest use of
 * that entry and nothing else holds the object yet; else NULL. (An array keeps the dtype it
 * was made with, and its data as large as that was then.) A call is found for one BUILD at
 * most, so that all this work is linear.
 */
static const struct pw_used *
maker_of(const struct pw_judging *judging, const struct pw_entry *entry,
         const struct pw_used *used)
{
    if (used->shared) {
        return NULL;
    }
    const struct pw_report *report = judging->report;
    const struct pw_used *first = report->used;
    first = used - first > TIED_LOOK_BACK ? used - TIED_LOOK_BACK : first;
    for (const struct pw_used *at = used; at-- > first;) {
        struct faces faces = faces_of(judging->policy, &report->imports[at->import]);
        if (at->use == PW_USE_REF || (faces.raw != entry && faces.mapped != entry)) {
            continue;
        }
        bool made = at->use == PW_USE_CALL || at->use == PW_USE_NEW;
        return made && is_built_upon(report, at->off, used->off) ? at : NULL;
    }
    return NULL;
}

static bool
has_tied(const struct pw_entry *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        for (size_t j = 0; j < entry->lines[i].count; j++) {
            if (entry->lines[i].forms[j].tied) {
                return true;
            }
        }
    }
    return false;
}

static bool
line_ties(const struct pw_entry_line *line, const struct pw_judging *judging,
          const struct pw_used *maker, struct pw_value state)
{
    for (size_t i = 0; i < line->count; i++) {
        const struct pw_form *form = &line->forms[i];
        if (form->tied && form->use == maker->use &&
            pw_shape_fits_state(&form->state, judging, state) &&
            pw_shape_fits(&form->shape, judging, maker->args)) {
            return true;
        }
    }
    return false;
}

/* The state fits one that may follow the very call that made the object. */
static bool
state_is_tied(const struct pw_judging *judging, const struct pw_entry *entry,
              const struct pw_used *used)
{
    const struct pw_used *maker = has_tied(entry) ? maker_of(judging, entry, used) : NULL;
    for (size_t i = 0; maker != NULL && i < entry->count; i++) {
        if (line_ties(&entry->lines[i], judging, maker, used->args)) {
            return true;
        }
    }
    return false;
}

/* ---- uses -----------------------------------------------------------------------------
 */

/* PW_R_NONE, or why this entry refuses the use. */
static enum pw_reason
entry_judges(const struct pw_judging *judging, const struct pw_entry *entry,
             const struct pw_used *used)
{
    bool tied = used->use == PW_USE_BUILD && has_tied(entry);
    if ((entry->uses >> used->use & 1) == 0 && !tied) {
        return PW_R_USE_DENIED;
    }
    if (used->use == PW_USE_REF || used->use == PW_USE_ITEMS) {
        return PW_R_NONE;
    }
    for (size_t i = 0; i < entry->count; i++) {
        if (line_fits(&entry->lines[i], judging, used)) {
            return PW_R_NONE;
        }
    }
    return tied && state_is_tied(judging, entry, used) ? PW_R_NONE : PW_R_ARGS_DENIED;
}

static enum pw_reason
judge_use(const struct pw_judging *judging, struct faces faces, const struct pw_used *used)
{
    if (faces.raw == NULL || faces.mapped == NULL) {
        return PW_R_NONE; /* the import itself is refused already */
    }
    enum pw_reason reason = entry_judges(judging, faces.raw, used);
    return reason != PW_R_NONE || faces.mapped == faces.raw
               ? reason
               : entry_judges(judging, faces.mapped, used);
}

/* ---- all of a report ------------------------------------------------------------------
 */

/* Three sorted lists are merged by offset: findings, imports, uses. */
struct merge {
    struct pw_judging judging;
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
    const struct pw_find *find = &merge->judging.report->finds[merge->find++];
    if (!pw_policy_door(merge->judging.policy, pw_reason_door(find->reason))) {
        emit(merge, find);
    }
}

static void
next_import(struct merge *merge)
{
    const struct pw_import *import = &merge->judging.report->imports[merge->import++];
    if (!pw_policy_allows_import(merge->judging.policy, import)) {
        emit(merge, &(struct pw_find){PW_R_IMPORT_DENIED, import->off, import->op,
                                      import->mod, import->name});
    }
}

static size_t judge(const struct pw_judging *judging, pw_policy_found *found, void *arg);

/* Findings of a pickle inside a constant, told as findings of the frame around it. */
struct inner {
    struct merge *merge;
    struct pw_span frame; /* around it */
    uint32_t base; /* of the constant's bytes, or of the call when they are not here */
    bool placed;   /* the bytes are in the frame as they stand */
};

/* Names of the inner scanner go away with its next scan; those in the frame stay. */
static struct pw_span
lasting(struct pw_span frame, struct pw_span name)
{
    bool inside = name.ptr >= frame.ptr && name.ptr < frame.ptr + frame.len;
    return inside ? name : (struct pw_span){0};
}

static void
tell_inner(void *arg, const struct pw_find *find)
{
    const struct inner *inner = arg;
    struct pw_find told = *find;
    told.off = inner->base + (inner->placed ? find->off : 0);
    told.mod = lasting(inner->frame, find->mod);
    told.name = lasting(inner->frame, find->name);
    emit(inner->merge, &told);
}

/* Open the constant for the second scanner. False when it is none, or too much. */
static bool
open_pickle(const struct pw_judging *judging, struct pw_value value,
            struct pw_report *report)
{
    struct pw_span bytes;
    if ((value.kind != PW_V_BYTES && value.kind != PW_V_BYTESTR) ||
        !pw_report_text(judging->report, value, &bytes) || bytes.len > *judging->nested) {
        return false;
    }
    *judging->nested -= bytes.len;
    return pw_scan_nested(judging->report, bytes, report) == PW_E_OK;
}

static void
ignore(void *arg, const struct pw_find *find)
{
    (void)arg;
    (void)find;
}

bool
pw_judge_pickle(const struct pw_judging *judging, struct pw_value value)
{
    struct pw_report report;
    if (!open_pickle(judging, value, &report)) {
        return false;
    }
    struct pw_judging inside = {judging->policy, &report, judging->nested};
    return judge(&inside, ignore, NULL) == 0;
}

static bool
takes_pickle(const struct pw_entry *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        for (size_t j = 0; j < entry->lines[i].count; j++) {
            if (pw_shape_has_pickle(&entry->lines[i].forms[j].shape)) {
                return true;
            }
        }
    }
    return false;
}

/* A call was refused that might have unpickled one of its arguments: say what is in it. */
static void
tell_pickles(struct merge *merge, const struct pw_used *used)
{
    const struct pw_judging *judging = &merge->judging;
    const struct pw_value *items;
    size_t count;
    if (!pw_report_tuple(judging->report, used->args, &items, &count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct pw_report report;
        if (!open_pickle(judging, items[i], &report)) {
            continue;
        }
        struct pw_span frame = judging->report->frame;
        bool placed = lasting(frame, report.frame).ptr != NULL;
        struct inner inner = {
            .merge = merge,
            .frame = frame,
            .placed = placed,
            .base = placed ? (uint32_t)(report.frame.ptr - frame.ptr) : used->off,
        };
        struct pw_judging inside = {judging->policy, &report, judging->nested};
        (void)judge(&inside, tell_inner, &inner);
    }
}

static void
next_use(struct merge *merge)
{
    const struct pw_report *report = merge->judging.report;
    const struct pw_used *used = &report->used[merge->used++];
    const struct pw_import *import = &report->imports[used->import];
    struct faces faces = faces_of(merge->judging.policy, import);
    enum pw_reason reason = judge_use(&merge->judging, faces, used);
    if (reason == PW_R_NONE) {
        return;
    }
    if (reason == PW_R_ARGS_DENIED && takes_pickle(faces.raw)) {
        tell_pickles(merge, used);
    }
    emit(merge, &(struct pw_find){reason, used->off, used->op, import->mod, import->name});
}

/* Findings that the report only counted and that no open door waives. */
static size_t
unkept_refusals(const struct pw_judging *judging)
{
    size_t count = 0;
    for (size_t door = 0; door < PW_DOOR_COUNT; door++) {
        count += judging->policy->doors[door] ? 0 : judging->report->unkept[door];
    }
    return count;
}

static size_t
judge(const struct pw_judging *judging, pw_policy_found *found, void *arg)
{
    struct merge merge = {.judging = *judging, .found = found, .arg = arg};
    const struct pw_report *report = judging->report;
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
            return merge.count + unkept_refusals(judging);
        }
    }
}

size_t
pw_policy_judge(const struct pw_policy *policy, const struct pw_report *report,
                pw_policy_found *found, void *arg)
{
    if (report->find_count + report->import_count + report->used_count == 0) {
        return 0; /* as nearly all are */
    }
    uint64_t nested = report->frame.len * NESTED_PER_BYTE;
    struct pw_judging judging = {policy, report, &nested};
    return judge(&judging, found, arg);
}
