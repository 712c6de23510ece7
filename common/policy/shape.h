/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of an argument list, as a policy entry writes it: call(str,'latin1').
 */
#ifndef PW_COMMON_POLICY_SHAPE_H
#define PW_COMMON_POLICY_SHAPE_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/pickle/report.h"

struct pw_policy;

enum pw_atom_type {
    PW_ATOM_KIND,     /* a value of one of `kinds` */
    PW_ATOM_LITERAL,  /* the constant string `name` */
    PW_ATOM_GLOBAL,   /* the global mod:name itself */
    PW_ATOM_INSTANCE, /* an object made by calling mod:name */
    PW_ATOM_CLASS,    /* a global that the policy allows to be instantiated by NEWOBJ */
};

struct pw_atom {
    enum pw_atom_type type;
    uint32_t kinds; /* bit 1 << enum pw_value_kind */
    char *mod;      /* owned; NULL unless the type has one */
    char *name;     /* owned */
};

enum { PW_SHAPE_ARGS = 8, PW_SHAPE_ATOMS = 24 };

/* One argument: any of its atoms will do. */
struct pw_shape_arg {
    size_t count;
    struct pw_atom *atoms; /* owned */
};

struct pw_shape {
    size_t count;
    bool repeat; /* the last argument stands for zero or more */
    struct pw_shape_arg arg[PW_SHAPE_ARGS];
};

/* Parse what stands between the parentheses. PW_E_CONFIG with `why`, PW_E_NOMEM; `out` is
 * to be freed in any case. */
PW_CHECK_RESULT enum pw_err pw_shape_parse(const char *text, size_t len,
                                           struct pw_shape *out, struct pw_why *why);
PW_CHECK_RESULT enum pw_err pw_shape_copy(const struct pw_shape *from, struct pw_shape *to);
void pw_shape_free(struct pw_shape *shape);

/* Whether the argument tuple `args` fits. Globals inside it must be named by the shape, or
 * be allowed as values by `policy`. */
bool pw_shape_fits(const struct pw_shape *shape, const struct pw_policy *policy,
                   const struct pw_report *report, struct pw_value args);

/* Whether every global that `value` holds (itself, or in tuples) may stand as a value. */
bool pw_value_is_plain(const struct pw_policy *policy, const struct pw_report *report,
                       struct pw_value value);

/* "module:qualname" at the start of `text`: its length, 0 when it is none. *colon is the
 * offset of the colon. */
size_t pw_name_length(const char *text, size_t *colon);

#endif
