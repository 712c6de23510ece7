/* SPDX-License-Identifier: Apache-2.0
 *
 * Arbitrary bytes through the scanner and a policy: the report must hold together, and a
 * second look, with the memory of the first, must see the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/pickle/scan.h"
#include "common/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static const struct pw_limits limits = {.max_bytes = 1 << 20,
                                        .max_ops = 1 << 20,
                                        .max_stack = 1 << 16,
                                        .max_depth = 1000,
                                        .max_memo = 1 << 16,
                                        .max_unfold = 1 << 20,
                                        .max_work = 1 << 20,
                                        .max_key_depth = 500,
                                        .max_collisions = 64,
                                        .max_int_bytes = 1 << 10,
                                        .max_heap = 1 << 26};

static bool
lies_inside(struct pw_span frame, uint64_t off)
{
    return off <= frame.len;
}

static void
check_names(const struct pw_report *report)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < report->import_count; i++) {
        const struct pw_import *import = &report->imports[i];
        must(lies_inside(report->frame, import->off));
        must(i == 0 || report->imports[i - 1].off < import->off);
        for (size_t j = 0; j < import->mod.len; j++) {
            sum = (uint8_t)(sum + import->mod.ptr[j]); /* a sanitizer checks the reads */
        }
        for (size_t j = 0; j < import->name.len; j++) {
            sum = (uint8_t)(sum + import->name.ptr[j]);
        }
    }
    static volatile uint8_t sink;
    sink = sum;
    (void)sink;
}

static void
check_report(const struct pw_report *report)
{
    must(report->consumed <= report->bytes);
    must(report->depth <= limits.max_depth);
    must(report->memo <= limits.max_memo);
    must(report->ops <= limits.max_ops + 1);
    must(report->kind == PW_KIND_PICKLE || report->kind == PW_KIND_EMPTY ||
         report->find_count > 0);
    for (size_t i = 0; i < report->find_count; i++) {
        must(lies_inside(report->frame, report->finds[i].off));
        must(report->finds[i].reason != PW_R_NONE);
        must(i == 0 || report->finds[i - 1].off <= report->finds[i].off);
    }
    for (size_t i = 0; i < report->used_count; i++) {
        must(report->used[i].import < report->import_count);
        must(report->used[i].use < PW_USE_COUNT);
        must(i == 0 || report->used[i - 1].off <= report->used[i].off);
    }
    check_names(report);
}

/* Findings come in order, and nothing is allowed that no entry names. */
struct verdict {
    uint32_t last;
    size_t denied;
};

static void
note(void *arg, const struct pw_find *find)
{
    struct verdict *verdict = arg;
    must(find->off >= verdict->last);
    verdict->last = find->off;
    verdict->denied += find->reason == PW_R_IMPORT_DENIED;
}

static struct pw_policy *
make_policy(void)
{
    static const char *const entries[] = {
        "collections:OrderedDict call() call(list) items",
        "m:C",
        "m:f call(int|str,'x',m:C*)",
        "m:g new(class) build",
        "copyreg:_reconstructor call(class,builtins:object,None)",
    };
    struct pw_policy *policy = pw_policy_new("fuzz");
    for (size_t i = 0; i < PW_COUNT(entries); i++) {
        must(pw_policy_allow(policy, entries[i], NULL) == PW_E_OK);
    }
    pw_policy_set_limits(policy, &limits);
    return policy;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pw_scan *scan;
    static struct pw_policy *policy;
    static struct pw_policy *nothing;
    if (scan == NULL) {
        scan = pw_scan_new();
        policy = make_policy();
        nothing = pw_policy_new("nothing");
    }
    struct pw_span frame = {data, size};
    struct pw_report first;
    struct pw_report second;
    must(pw_scan_frame(scan, frame, &limits, &first) == PW_E_OK);
    check_report(&first);
    struct verdict verdict = {0};
    (void)pw_policy_judge(policy, &first, note, &verdict);
    struct verdict strict = {0};
    (void)pw_policy_judge(nothing, &first, note, &strict);
    must(strict.denied == first.import_count);
    size_t imports = first.import_count;
    size_t finds = first.find_count;
    must(pw_scan_frame(scan, frame, &limits, &second) == PW_E_OK);
    must(second.import_count == imports && second.find_count == finds);
    must(second.kind == first.kind && second.consumed == first.consumed);
    return 0;
}
