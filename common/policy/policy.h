/* SPDX-License-Identifier: Apache-2.0
 *
 * Allow-lists: exact names, the uses each permits, and the shapes of its arguments. A
 * policy is built once and then only read; threads may share it. README.md in this folder
 * teaches the entry syntax.
 */
#ifndef PW_COMMON_POLICY_POLICY_H
#define PW_COMMON_POLICY_POLICY_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/reason.h"
#include "common/pickle/limits.h"
#include "common/pickle/report.h"

struct pw_policy;

/* An empty policy: it allows no name and opens no door. NULL when out of memory. */
struct pw_policy *pw_policy_new(const char *name);
void pw_policy_free(struct pw_policy **policy);

const char *pw_policy_name(const struct pw_policy *policy);

/* How many names it allows. */
size_t pw_policy_size(const struct pw_policy *policy);

/*
 * Add one entry, such as "collections:deque call(list) items" (text of an `allow` setting).
 * The same name again adds its uses. PW_E_CONFIG with a sentence in `why` when the text is
 * not an entry, PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_policy_allow(struct pw_policy *policy, const char *entry,
                                            struct pw_why *why);

/* Add every entry and open door of `base`. Limits are not included. PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_policy_include(struct pw_policy *policy,
                                              const struct pw_policy *base);

/* Open or close one door of reason.h (extension, persistent_ids, buffers, …). */
void pw_policy_set_door(struct pw_policy *policy, enum pw_door door, bool open);
bool pw_policy_door(const struct pw_policy *policy, enum pw_door door);

/* Limits of frames judged by this policy; pw_limits_default until changed. */
void pw_policy_set_limits(struct pw_policy *policy, const struct pw_limits *limits);
const struct pw_limits *pw_policy_limits(const struct pw_policy *policy);

/*
 * Whether the policy lets a stream do with the exact pair as it likes: have it as a value,
 * or call it with arguments of which no literal and no name of the entry pins one down.
 */
bool pw_policy_is_open(const struct pw_policy *policy, struct pw_span mod,
                       struct pw_span name);

/* Whether this import is allowed for some use: as spelled, and as a consumer renames it. */
bool pw_policy_allows_import(const struct pw_policy *policy,
                             const struct pw_import *import);

/*
 * Judge one report: call `found` for every refusal, in order of offset (findings of the
 * scan that no open door waives, then imports and uses the policy denies). Returns how
 * many.
 */
typedef void pw_policy_found(void *arg, const struct pw_find *find);
size_t pw_policy_judge(const struct pw_policy *policy, const struct pw_report *report,
                       pw_policy_found *found, void *arg);

#endif
