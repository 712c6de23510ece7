/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of an argument list or of a state, as a policy entry writes it:
 * call(str,'latin1'). README.md in this folder lists what may stand in one.
 */
#ifndef PW_COMMON_POLICY_SHAPE_H
#define PW_COMMON_POLICY_SHAPE_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/pickle/report.h"

struct pw_judging;
struct pw_shape_arg;

enum pw_atom_type {
    PW_ATOM_KIND,     /* a value of one of `kinds` */
    PW_ATOM_TEXT,     /* the constant string `name` */
    PW_ATOM_NUMBERED, /* `name` with a decimal number behind it */
    PW_ATOM_BYTES,    /* the constant bytes `name` */
    PW_ATOM_INT,      /* a constant int, no bool, from `least` to `most` by `step` */
    PW_ATOM_BOOL,     /* the constant `least` */
    PW_ATOM_GLOBAL,   /* the global mod:name itself */
    PW_ATOM_INSTANCE, /* an object made by calling mod:name */
    PW_ATOM_CLASS,    /* a global that the policy allows to be instantiated by NEWOBJ */
    PW_ATOM_TUPLE,    /* a tuple whose items fit `items` */
    PW_ATOM_CELLS,    /* a list as long as the product of the tuple before it says */
    PW_ATOM_PICKLE,   /* constant bytes that are a pickle of this very policy */
};

/* Arguments in order. */
struct pw_shape {
    size_t count;
    bool repeat;              /* the last argument stands for zero or more */
    struct pw_shape_arg *arg; /* owned */
};

struct pw_atom {
    enum pw_atom_type type;
    uint32_t kinds; /* bit 1 << enum pw_value_kind */
    int64_t least;
    int64_t most;          /* of a KIND: bytes of text, when not 0 */
    int64_t step;          /* above zero */
    char *mod;             /* owned; NULL unless the type has one */
    char *name;            /* owned */
    struct pw_shape items; /* of a tuple */
};

/* One argument: any of its atoms will do. */
struct pw_shape_arg {
    size_t count;
    struct pw_atom *atoms; /* owned */
};

enum {
    PW_SHAPE_ARGS = 16,  /* as many as the scanner keeps of a tuple */
    PW_SHAPE_ATOMS = 64, /* alternatives of one argument */
    PW_SHAPE_DEPTH = 4,  /* tuples in tuples */
};

/*
 * Parse the shape whose "(" is text[*at - 1], and move *at behind its ")". PW_E_CONFIG with
 * `why`, PW_E_NOMEM; `out` is to be freed in any case.
 */
PW_CHECK_RESULT enum pw_err pw_shape_parse(const char *text, size_t *at,
                                           struct pw_shape *out, struct pw_why *why);
void pw_shape_free(struct pw_shape *shape);

/*
 * Whether the argument tuple `args` fits. Globals inside it must be named by the shape, or
 * be allowed as values by the policy. Without memory for a pickle inside, nothing fits.
 */
bool pw_shape_fits(const struct pw_shape *shape, const struct pw_judging *judging,
                   struct pw_value args);

/* Whether the one value fits a shape of one argument: what build(…) means. */
bool pw_shape_fits_state(const struct pw_shape *shape, const struct pw_judging *judging,
                         struct pw_value state);

/* Whether a pickle may stand somewhere in the shape. */
bool pw_shape_has_pickle(const struct pw_shape *shape);

/* Whether the value, when it is a global, may stand as a value. */
bool pw_value_is_plain(const struct pw_judging *judging, struct pw_value value);

/* "module:qualname" at the start of `text`: its length, 0 when it is none. *colon is the
 * offset of the colon. */
size_t pw_name_length(const char *text, size_t *colon);

#endif
