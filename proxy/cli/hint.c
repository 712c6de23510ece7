/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/hint.h"

static void
ignore_part(void *arg, const struct pw_judge *judge, struct pw_span where)
{
    (void)arg;
    (void)judge;
    (void)where;
}

static bool
is_unchecked(const char *name)
{
    static const char end[] = "-unchecked";
    size_t len = strlen(name);
    return len >= sizeof end - 1 && strcmp(name + len - (sizeof end - 1), end) == 0;
}

/* Under another policy; the copy borrows all that it is made of. */
static bool
passes(const struct pw_judge *judge, const struct pw_policy *policy)
{
    struct pw_judge other = *judge;
    struct pw_span bytes =
        judge->mapped.ptr != NULL ? judge->mapped : pw_buf_span(&judge->file);
    other.policy = policy;
    return pw_judge_bytes(&other, bytes, ignore_part, NULL) == PW_E_OK && other.parts > 0 &&
           other.refusals == 0;
}

const char *
pw_hint_policy(const struct pw_judge *judge)
{
    const struct pw_settings *settings = judge->settings;
    if (judge->bytes > pw_policy_limits(judge->policy)->max_bytes) {
        return NULL;
    }
    for (int unchecked = 0; unchecked < 2; unchecked++) {
        for (size_t i = 0; i < settings->policy_count; i++) {
            const struct pw_policy *policy = settings->policies[i];
            if (policy != judge->policy &&
                is_unchecked(pw_policy_name(policy)) == (unchecked == 1) &&
                passes(judge, policy)) {
                return pw_policy_name(policy);
            }
        }
    }
    return NULL;
}
