/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner's speed, with the judgement of the policy python-data: `bench_scan FILE…`. A
 * file holds messages, each behind its length (4 bytes, highest first); printed are the
 * nanoseconds for all of them, the refusals and the opcodes. scan.py runs it beside
 * pickle.loads and pickletools.genops on the same messages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/pickle/scan.h"
#include "common/policy/policy.h"
#include "common/settings/settings.h"

enum { ROUNDS = 7 };
static const uint64_t round_ns = 100000000;

struct bench {
    struct pw_scan *scan;
    const struct pw_policy *policy;
    size_t refusals;
    uint64_t ops;
};

static void
ignore(void *arg, const struct pw_find *find)
{
    (void)arg;
    (void)find;
}

/* Judge every message of a file once. */
static void
judge_all(struct bench *bench, struct pw_span file)
{
    struct pw_cursor cur = pw_cursor_over(file);
    bench->refusals = 0;
    bench->ops = 0;
    while (cur.rest.len > 0) {
        struct pw_span message = pw_cursor_take(&cur, (size_t)pw_cursor_uint(&cur, 4));
        struct pw_report report;
        if (cur.truncated ||
            pw_scan_frame(bench->scan, message, pw_policy_limits(bench->policy), &report) !=
                PW_E_OK) {
            abort();
        }
        bench->refusals += pw_policy_judge(bench->policy, &report, ignore, NULL) > 0;
        bench->ops += report.ops;
    }
}

/* The best of some rounds, each as long as round_ns at least. */
static double
best_ns(struct bench *bench, struct pw_span file)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = pw_clock_steady();
        uint64_t spent = 0;
        size_t times = 0;
        while (spent < round_ns) {
            judge_all(bench, file);
            times++;
            spent = pw_clock_steady() - start;
        }
        double each = (double)spent / (double)times;
        best = each < best ? each : best;
    }
    return best;
}

int
main(int argc, char **argv)
{
    struct pw_why why = {0};
    struct pw_settings *settings = pw_settings_packs(&why);
    struct bench bench = {.scan = pw_scan_new()};
    bench.policy = settings == NULL ? NULL : pw_settings_policy(settings, "python-data");
    if (bench.policy == NULL) {
        fprintf(stderr,
                "bench_scan: %s; python-data.conf must lie in policies/ beside it\n",
                why.text);
        return EXIT_FAILURE;
    }
    for (int i = 1; i < argc; i++) {
        struct pw_buf bytes = {.limit = 1 << 30};
        if (pw_file_read(argv[i], &bytes) != PW_E_OK) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return EXIT_FAILURE;
        }
        double ns = best_ns(&bench, pw_buf_span(&bytes));
        printf("%s %.1f %zu %llu\n", argv[i], ns, bench.refusals,
               (unsigned long long)bench.ops);
        pw_buf_free(&bytes);
    }
    pw_settings_free(&settings);
    pw_scan_free(&bench.scan);
    return EXIT_SUCCESS;
}
