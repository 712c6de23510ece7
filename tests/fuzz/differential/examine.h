/* SPDX-License-Identifier: Apache-2.0
 *
 * One stream through the scanner and through the unpicklers, and what to say when they
 * disagree. The fuzzers and the runner share this.
 */
#ifndef PW_TESTS_FUZZ_DIFFERENTIAL_EXAMINE_H
#define PW_TESTS_FUZZ_DIFFERENTIAL_EXAMINE_H

#include <stdio.h>

#include "tests/fuzz/differential/compare.h"

/* Which unpicklers to ask, and how. */
struct plan {
    bool asks[ORACLE_READERS];
    enum oracle_encoding encoding;
    bool buffers;
    uint32_t buffer_size; /* at least 1 */
};

struct tally {
    uint64_t streams;
    uint64_t comparisons[ORACLE_READERS];
    uint64_t finished; /* comparisons that ended with a value */
    uint64_t steps; /* names resolved, codes, ids and buffers asked, over all comparisons */
    uint64_t ops;   /* opcodes the scanner executed */
    uint64_t clean; /* streams without any finding */
    uint64_t passed;  /* streams that the comparison's policy lets through */
    uint64_t limited; /* streams not compared: a limit.* finding, or too many findings */
    uint64_t refused_anyway; /* comparisons that differ behind a finding that says so */
    uint64_t no_memory;      /* comparisons that ended in MemoryError */
};

struct examiner {
    struct pw_scan *scan;
    struct pw_policy *policy;
    struct forecast forecast; /* of the latest stream */
    struct oracle_answer answer;
    struct tally tally;
};

/* What was found first; the examiner holds forecast and answer. */
struct verdict {
    enum failure failure;
    enum oracle_reader reader;
};

/*
 * Start the interpreter, make a scanner, bound the memory of this program; NULL, with a
 * sentence, when there is no interpreter. Never freed: it lives as long as the program.
 */
struct examiner *examiner_new(void);

/* Compare `stream` with every reader of the plan, up to the first failure. */
struct verdict examine(struct examiner *examiner, const struct plan *plan,
                       struct pw_span stream);

/* Compare `stream` with every reader in every way; *plan is the one that fails. */
struct verdict examine_all(struct examiner *examiner, struct plan *plan,
                           struct pw_span stream);

/* A pickle of this CPython's own picklers: when it loads, nothing may be wrong with it. */
struct verdict examine_real(struct examiner *examiner, struct pw_span stream);

/*
 * Delete from `bytes` what the failure does not need; returns the new length. Takes twenty
 * thousand loads at most.
 */
size_t examine_shrink(struct examiner *examiner, const struct plan *plan,
                      struct verdict verdict, uint8_t *bytes, size_t len);

/* The failure of `stream`, with both answers, for a person. Examines it again. */
void examine_explain(struct examiner *examiner, const struct plan *plan,
                     struct verdict verdict, struct pw_span stream, FILE *out);

#endif
