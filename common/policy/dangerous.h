/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of names that do harm: words and a level for a person, from dangerous.def.
 * Nothing here decides: a policy allows by exact name, and refuses all else.
 */
#ifndef PW_COMMON_POLICY_DANGEROUS_H
#define PW_COMMON_POLICY_DANGEROUS_H

#include "common/base/cursor.h"
#include "common/base/reason.h"

struct pw_danger {
    enum pw_level level; /* MEDIUM, HIGH or CRITICAL */
    const char *note;    /* static: "runs a program" */
};

/*
 * What is known of the pair, as spelled and as consumers rename it below protocol 3; the
 * graver of the two. A row of the pair itself goes before one of its module, and that of a
 * module before one of the package around it. Dotted names are searched for what hides
 * inside: posixpath:os.system runs a program. NULL when nothing is known, which does not
 * make a name harmless. The names may hold any bytes.
 */
const struct pw_danger *pw_dangerous(struct pw_span mod, struct pw_span name);

/* How grave a finding on that name is: the reason's own level, or the name's if it is
 * graver. `danger` may be NULL. */
enum pw_level pw_danger_level(enum pw_reason reason, const struct pw_danger *danger);

#endif
