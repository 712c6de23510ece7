/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner's report beside what an unpickler did. Each disagreement is a bug of the
 * scanner or of this comparison, whatever the stream.
 *
 * What is done is a sequence: names resolved, extension codes asked, persistent ids loaded,
 * buffers taken. A report foretells such a sequence, in order of offset; an unpickler may
 * stop early, and must not do anything else.
 */
#ifndef PW_TESTS_FUZZ_DIFFERENTIAL_COMPARE_H
#define PW_TESTS_FUZZ_DIFFERENTIAL_COMPARE_H

#include "common/pickle/scan.h"
#include "common/policy/policy.h"
#include "tests/fuzz/differential/oracle.h"

enum failure {
    FAIL_NONE,
    FAIL_BREACH, /* a policy passed the stream, and something it denies was done */
    FAIL_ESCAPE, /* nothing says that the stream is refused, and it did what was not told */
    FAIL_MISSED, /* refused, but something was done that the report does not tell */
    FAIL_SURPLUS,    /* loaded to the end, and not all that was foretold was done */
    FAIL_NOT_PICKLE, /* loaded to the end, and the report says it is no pickle */
    FAIL_POSITION,   /* loaded to the end, which is elsewhere than the report says */
    FAIL_UNTOLD,     /* malformed, and the report has nothing against it */
    FAIL_REFUSAL,    /* a pickle of a real pickler has a finding */
    FAIL_COUNT
};

/* "escape", "missed", … */
const char *failure_text(enum failure failure);

enum { FORESEEN_MOST = 1024 };

/* One step that a report foretells. */
struct foreseen {
    enum oracle_event_kind kind;
    bool any_name; /* IMPORT: at run time, from no constant; or nothing at all */
    uint32_t code; /* EXTENSION */
    uint32_t off;
    struct pw_span mod;
    struct pw_span name; /* AUDIT: of the event */
};

struct forecast {
    struct foreseen steps[FORESEEN_MOST];
    size_t count;
    bool limited;        /* a limit.* finding, or more findings than a report keeps */
    bool refused;        /* a finding that no policy waives */
    bool passed;         /* the comparison's policy lets it through */
    uint32_t skips_from; /* old file readers may skip bytes from this offset on */
    bool past_stop;      /* a frame reaches past STOP */
    struct pw_report report;
};

/* Which entries the comparison's policy has; a few names of module "m". */
struct pw_policy *compare_policy(void);

/* Scan `stream` (borrowed until the next call) and foretell. Stops the program when out of
 * memory. */
void compare_foresee(struct pw_scan *scan, const struct pw_policy *policy,
                     struct pw_span stream, struct forecast *forecast);

struct comparison {
    enum failure failure;
    bool refused_anyway; /* they differ behind a finding that says so: no failure */
    size_t at;           /* index of the step that differs */
};

/* What is wrong with the forecast in the light of this answer. */
struct comparison compare_answer(const struct forecast *forecast,
                                 const struct pw_policy *policy, enum oracle_reader reader,
                                 const struct oracle_answer *answer);

/* A pickle that real unpicklers load must be one, without a finding that no policy waives.
 */
enum failure compare_real(const struct forecast *forecast);

#endif
