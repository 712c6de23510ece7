/* SPDX-License-Identifier: Apache-2.0
 *
 * What the judgement of one report carries along. Internal to this folder.
 */
#ifndef PW_COMMON_POLICY_JUDGE_H
#define PW_COMMON_POLICY_JUDGE_H

#include "common/policy/policy.h"

struct pw_judging {
    const struct pw_policy *policy;
    const struct pw_report *report;
    uint64_t *nested; /* bytes of pickles in constants that may still be scanned */
};

/* Whether the constant bytes `value` are a pickle that the policy lets pass. */
bool pw_judge_pickle(const struct pw_judging *judging, struct pw_value value);

/* Whether both faces of an import may be used so: as the stream spells it, and as the
 * consumer renames it. */
bool pw_judge_allows(const struct pw_judging *judging, const struct pw_import *import,
                     enum pw_use use);

#endif
