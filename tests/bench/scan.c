/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner's speed on files: `bench_scan FILE…` prints, for each, nanoseconds a scan
 * (with the policy's judgement) and MB/s. scan.py runs it beside pickle.loads on the same
 * bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/pickle/scan.h"
#include "common/policy/policy.h"

enum { ROUNDS = 5 };
static const uint64_t round_ns = 200000000;

static void
ignore(void *arg, const struct pw_find *find)
{
    (void)arg;
    (void)find;
}

/* The best of some rounds, each as long as round_ns at least. */
static double
best_ns(struct pw_scan *scan, const struct pw_policy *policy, struct pw_span bytes)
{
    struct pw_report report;
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = pw_clock_steady();
        uint64_t spent = 0;
        size_t times = 0;
        while (spent < round_ns) {
            for (int i = 0; i < 16; i++) {
                if (pw_scan_frame(scan, bytes, pw_policy_limits(policy), &report) !=
                    PW_E_OK) {
                    abort();
                }
                (void)pw_policy_judge(policy, &report, ignore, NULL);
            }
            times += 16;
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
    struct pw_scan *scan = pw_scan_new();
    struct pw_policy *policy = pw_policy_new("bench");
    for (int i = 1; i < argc; i++) {
        struct pw_buf bytes = {.limit = 1 << 30};
        if (pw_file_read(argv[i], &bytes) != PW_E_OK) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return EXIT_FAILURE;
        }
        double ns = best_ns(scan, policy, pw_buf_span(&bytes));
        printf("%s %zu %.1f %.1f\n", argv[i], bytes.len, ns, (double)bytes.len * 1e3 / ns);
        pw_buf_free(&bytes);
    }
    pw_policy_free(&policy);
    pw_scan_free(&scan);
    return EXIT_SUCCESS;
}
