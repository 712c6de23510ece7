/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace that `explain` prints: what one pickle does, opcode by opcode, as far as the
 * scanner executed it. Nothing is held back: a line goes out when the next opcode begins.
 */
#ifndef PW_PROXY_CLI_TRACE_H
#define PW_PROXY_CLI_TRACE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/policy/policy.h"

struct pw_trace_options {
    FILE *out;
    const struct pw_policy *policy; /* that judges */
    bool json;                      /* an object an opcode, instead of a line */
    bool colours;
    long frame; /* its number, told in each object; -1 for none */
    struct pw_span
        where; /* in the file or frame the pickle lies: "zip:a/data.pkl"; empty */
};

/* What was found. */
struct pw_trace_sum {
    size_t refusals;
    enum pw_reason reason; /* the gravest; NONE when it passes */
};

/*
 * Print every opcode that `report` executed, with stack and marks after it, what it
 * imports, calls and fills, and below it what the policy finds there. Hostile text is made
 * plain, long text cut. PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_trace_print(const struct pw_trace_options *options,
                                           const struct pw_report *report,
                                           struct pw_trace_sum *sum);

/* The members "frame" and "in" of an object, as far as they are there. */
void pw_trace_write_place(struct pw_json *json, const struct pw_trace_options *options);

#endif
