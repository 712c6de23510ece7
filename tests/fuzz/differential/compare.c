/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/differential/compare.h"

#include <stdlib.h>

#include "common/pickle/decode.h"

const char *
failure_text(enum failure failure)
{
    static const char *const texts[] = {
        [FAIL_NONE] = "none",         [FAIL_BREACH] = "breach",
        [FAIL_ESCAPE] = "escape",     [FAIL_MISSED] = "missed",
        [FAIL_SURPLUS] = "surplus",   [FAIL_NOT_PICKLE] = "not-pickle",
        [FAIL_POSITION] = "position", [FAIL_UNTOLD] = "untold",
        [FAIL_REFUSAL] = "refusal"};
    return texts[failure];
}

struct pw_policy *
compare_policy(void)
{
    static const char *const entries[] = {
        "m:C",   "m:D", "m:f",      "m:sep",
        "m:env", "m:_", "m:system", "copyreg:_reconstructor call(class,m:C,None)"};
    struct pw_policy *policy = pw_policy_new("differential");
    for (size_t i = 0; i < PW_COUNT(entries); i++) {
        if (policy == NULL || pw_policy_allow(policy, entries[i], NULL) != PW_E_OK) {
            abort();
        }
    }
    return policy;
}

/* ---- what a report foretells ----------------------------------------------------------
 */

static struct foreseen *
add_step(struct forecast *forecast, enum oracle_event_kind kind, uint32_t off)
{
    static struct foreseen spare;
    if (forecast->count == FORESEEN_MOST) {
        forecast->limited = true;
        return &spare;
    }
    struct foreseen *step = &forecast->steps[forecast->count++];
    *step = (struct foreseen){.kind = kind, .off = off};
    return step;
}

static uint32_t
extension_code(struct pw_span frame, uint32_t off)
{
    struct pw_op op = {0};
    return pw_decode(frame, off, &op) == PW_DECODE_OP ? (uint32_t)op.arg : 0;
}

static bool
is_ascii(struct pw_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The findings that are steps. */
static void
add_find(struct forecast *forecast, const struct pw_find *find)
{
    struct foreseen *last =
        forecast->count > 0 ? &forecast->steps[forecast->count - 1] : NULL;
    switch (find->reason) {
    case PW_R_EXT_DENIED:
        add_step(forecast, ORACLE_EXTENSION, find->off)->code =
            extension_code(forecast->report.frame, find->off);
        break;
    case PW_R_PERSID_DENIED:
        add_step(forecast, ORACLE_PERSISTENT, find->off);
        break;
    case PW_R_BUFFER_DENIED:
        if (find->op == PW_OP_NEXT_BUFFER) {
            add_step(forecast, ORACLE_BUFFER, find->off);
        }
        break;
    case PW_R_STATE_SPECIAL:
        /* Slots that set __class__; nothing is audited when the class refuses. */
        add_step(forecast, ORACLE_AUDIT, find->off)->name =
            pw_span_str("object.__setattr__");
        break;
    case PW_R_PICKLE_TRUNCATED:
        /* Lib/pickle.py takes what is left of the line, and asks before it sees the end. */
        if (find->op == PW_OP_PERSID) {
            add_step(forecast, ORACLE_PERSISTENT, find->off);
        }
        break;
    case PW_R_IMPORT_UNRESOLVED:
        if (last == NULL || last->off != find->off) {
            last = add_step(forecast, ORACLE_IMPORT, find->off);
            last->any_name = true;
        }
        /* What Python 2 wrote is read by the consumer's encoding, beyond ASCII. */
        last->any_name = last->any_name || !is_ascii(last->mod) || !is_ascii(last->name);
        break;
    default:
        break;
    }
}

/* What a finding says about the findings and steps behind it. */
static void
note_find(struct forecast *forecast, const struct pw_find *find)
{
    bool skips = find->reason == PW_R_FRAME_STRADDLE || find->reason == PW_R_FRAME_NESTED;
    forecast->refused |= pw_reason_door(find->reason) == PW_DOOR_NONE;
    forecast->limited |= strncmp(pw_reason_code(find->reason), "limit.", 6) == 0;
    forecast->past_stop |= find->reason == PW_R_FRAME_PAST_STOP;
    if (skips && find->off < forecast->skips_from) {
        forecast->skips_from = find->off;
    }
}

/* Imports and findings are both in order of offset; an import is told before a finding at
 * its offset. */
static void
merge_steps(struct forecast *forecast)
{
    const struct pw_report *report = &forecast->report;
    size_t import = 0;
    for (size_t i = 0; i <= report->find_count; i++) {
        uint32_t until = i < report->find_count ? report->finds[i].off : UINT32_MAX;
        for (; import < report->import_count && report->imports[import].off <= until;
             import++) {
            struct foreseen *step =
                add_step(forecast, ORACLE_IMPORT, report->imports[import].off);
            step->mod = report->imports[import].mod;
            step->name = report->imports[import].name;
        }
        if (i < report->find_count) {
            add_find(forecast, &report->finds[i]);
        }
    }
}

static void
ignore_find(void *arg, const struct pw_find *find)
{
    (void)arg;
    (void)find;
}

void
compare_foresee(struct pw_scan *scan, const struct pw_policy *policy, struct pw_span stream,
                struct forecast *forecast)
{
    forecast->count = 0;
    forecast->limited = false;
    forecast->refused = false;
    forecast->past_stop = false;
    forecast->skips_from = UINT32_MAX;
    if (pw_scan_frame(scan, stream, &pw_limits_default, &forecast->report) != PW_E_OK) {
        abort();
    }
    const struct pw_report *report = &forecast->report;
    for (size_t i = 0; i < report->find_count; i++) {
        note_find(forecast, &report->finds[i]);
    }
    for (size_t i = 0; i < PW_DOOR_COUNT; i++) {
        forecast->limited |= report->unkept[i] > 0;
    }
    merge_steps(forecast);
    forecast->passed =
        report->find_count == 0 && pw_policy_judge(policy, report, ignore_find, NULL) == 0;
}

/* ---- what happened --------------------------------------------------------------------
 */

/* A code that is not registered, or whose object is cached, asks nobody; an attribute that
 * is not the class is set without an audit event. */
static bool
may_be_silent(const struct foreseen *step)
{
    return step->kind == ORACLE_EXTENSION || step->kind == ORACLE_AUDIT;
}

static bool
fits(const struct foreseen *step, const struct oracle_event *event)
{
    if (step->kind != event->kind) {
        return false;
    }
    if (step->kind == ORACLE_EXTENSION) {
        return step->code == event->code;
    }
    return (step->kind != ORACLE_IMPORT && step->kind != ORACLE_AUDIT) || step->any_name ||
           (pw_span_equal(step->mod, event->mod) && pw_span_equal(step->name, event->name));
}

/*
 * Walk along both. True when all that happened was foretold; *reached is then the first
 * step that did not happen, otherwise the one that something else happened instead of.
 */
static bool
follow(const struct forecast *forecast, const struct oracle_answer *answer, size_t *reached)
{
    size_t step = 0;
    for (size_t i = 0; i < answer->count; i++, step++) {
        const struct oracle_event *event = &answer->events[i];
        while (step < forecast->count && !fits(&forecast->steps[step], event) &&
               may_be_silent(&forecast->steps[step])) {
            step++;
        }
        if (step == forecast->count || !fits(&forecast->steps[step], event)) {
            *reached = step;
            return false;
        }
    }
    *reached = step;
    return true;
}

/* Whether a finding says that this reader may go its own way from here on. */
static bool
was_warned(const struct forecast *forecast, enum oracle_reader reader, size_t step)
{
    while (step < forecast->count && may_be_silent(&forecast->steps[step])) {
        step++; /* it may have happened, unnoticed */
    }
    uint32_t off = step < forecast->count ? forecast->steps[step].off : UINT32_MAX;
    bool file = reader == ORACLE_FILE || reader == ORACLE_BUFFERED;
    return file && off >= forecast->skips_from && forecast->skips_from != UINT32_MAX;
}

static bool
breaks_policy(const struct pw_policy *policy, const struct oracle_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        const struct oracle_event *event = &answer->events[i];
        struct pw_import import = {.mod = event->mod, .name = event->name, .proto = 5};
        if (event->kind != ORACLE_IMPORT || !pw_policy_allows_import(policy, &import)) {
            return true;
        }
    }
    return false;
}

static enum failure
judge_finished(const struct forecast *forecast, const struct oracle_answer *answer,
               size_t step)
{
    if (forecast->report.kind != PW_KIND_PICKLE) {
        return FAIL_NOT_PICKLE;
    }
    for (; step < forecast->count; step++) {
        if (!may_be_silent(&forecast->steps[step])) {
            return FAIL_SURPLUS;
        }
    }
    if (answer->position >= 0 && !forecast->past_stop &&
        (uint64_t)answer->position != forecast->report.consumed) {
        return FAIL_POSITION;
    }
    return FAIL_NONE;
}

struct comparison
compare_answer(const struct forecast *forecast, const struct pw_policy *policy,
               enum oracle_reader reader, const struct oracle_answer *answer)
{
    struct comparison result = {0};
    if (forecast->passed && breaks_policy(policy, answer)) {
        result.failure = FAIL_BREACH;
        return result;
    }
    if (!follow(forecast, answer, &result.at)) {
        result.failure = forecast->refused ? FAIL_MISSED : FAIL_ESCAPE;
    } else if (answer->finished) {
        result.failure = judge_finished(forecast, answer, result.at);
    } else if (answer->malformed && forecast->report.kind == PW_KIND_PICKLE) {
        result.failure = FAIL_UNTOLD;
    }
    if (result.failure != FAIL_NONE && forecast->refused &&
        was_warned(forecast, reader, result.at)) {
        result = (struct comparison){.refused_anyway = true, .at = result.at};
    }
    return result;
}

enum failure
compare_real(const struct forecast *forecast)
{
    return forecast->report.kind == PW_KIND_PICKLE && !forecast->refused ? FAIL_NONE
                                                                         : FAIL_REFUSAL;
}
