/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of one JSON object, or elements of one array, read from left to right where they
 * stand: no tree, no copy, no allocation. For lines that come by the million.
 *
 *     struct pw_json_walk walk = pw_json_walk_over(line);
 *     while (pw_json_walk_next(&walk)) { walk.key, walk.kind, walk.raw }
 *     if (walk.bad) { it was no such thing; what was seen so far may be half of it }
 *
 * What is walked over must be JSON (RFC 8259). A member that is itself an object or array
 * is passed over by its brackets and strings alone; to look inside, walk over its `raw`.
 */
#ifndef PW_COMMON_BASE_JSON_READ_H
#define PW_COMMON_BASE_JSON_READ_H

#include "common/base/buf.h"

enum { PW_JSON_DEPTH = 64 }; /* brackets in brackets; more is bad */

enum pw_json_kind {
    PW_JSON_NONE,
    PW_JSON_OBJECT,
    PW_JSON_ARRAY,
    PW_JSON_STRING,
    PW_JSON_NUMBER,
    PW_JSON_TRUE,
    PW_JSON_FALSE,
    PW_JSON_NULL,
};

struct pw_json_walk {
    struct pw_span key; /* between its quotes, escapes as they stand; empty in an array */
    struct pw_span raw; /* of a string what is between the quotes, else all of it */
    enum pw_json_kind kind;
    bool bad;

    struct pw_cursor cur;
    bool array, begun;
};

/* Over the text of one object or array, with blanks around it or not. Borrows `text`. */
struct pw_json_walk pw_json_walk_over(struct pw_span text);

/* Go to the next member. False at the end, and when the text is `bad`. */
bool pw_json_walk_next(struct pw_json_walk *walk);

/* Whether the key at hand is `name`, spelled without escapes. */
static inline bool
pw_json_walk_at(const struct pw_json_walk *walk, const char *name)
{
    return pw_span_equal(walk->key, pw_span_str(name));
}

/* The digits of a number as a whole number; false for any other spelling, and beyond 64
 * bits. */
bool pw_json_raw_uint(struct pw_span raw, uint64_t *value);

/*
 * Append what the string `raw` spells: UTF-8, but a lone \udcXX is the byte XX that
 * pw_json_bytes made it of; another lone half of a pair becomes U+FFFD. PW_E_NOMEM or
 * PW_E_LIMIT leave `out` as it was.
 */
PW_CHECK_RESULT enum pw_err pw_json_raw_text(struct pw_span raw, struct pw_buf *out);

#endif
