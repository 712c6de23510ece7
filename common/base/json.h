/* SPDX-License-Identifier: Apache-2.0
 *
 * One JSON object per line, written into a pw_buf. Output is ASCII: everything else is
 * escaped, so a hostile string can never break a line or colour a terminal.
 *
 * Errors latch in `err`; write straight down and look once. Keys are our own literals.
 */
#ifndef PW_COMMON_BASE_JSON_H
#define PW_COMMON_BASE_JSON_H

#include <stdbool.h>

#include "common/base/buf.h"

struct pw_json {
    struct pw_buf *out; /* borrowed */
    enum pw_err err;
    bool comma; /* the next member needs one */
};

static inline struct pw_json
pw_json_over(struct pw_buf *out)
{
    return (struct pw_json){.out = out};
}

/* key may be NULL inside an array and for the outermost value. */
void pw_json_object(struct pw_json *json, const char *key);
void pw_json_end_object(struct pw_json *json);
void pw_json_array(struct pw_json *json, const char *key);
void pw_json_end_array(struct pw_json *json);
void pw_json_uint(struct pw_json *json, const char *key, uint64_t value);
void pw_json_bool(struct pw_json *json, const char *key, bool value);
void pw_json_str(struct pw_json *json, const char *key, const char *value);

/*
 * At most `cap` bytes of `value`, then "..." when it was longer. Valid UTF-8 becomes \uXXXX
 * (with surrogate pairs); a byte that is not becomes \udcXX, as Python's surrogateescape
 * does.
 */
void pw_json_bytes(struct pw_json *json, const char *key, struct pw_span value, size_t cap);

/* Text that is already JSON members or a value, copied as it is (after a comma if any). */
void pw_json_raw(struct pw_json *json, struct pw_span text);

/* End the line with LF. */
void pw_json_newline(struct pw_json *json);

#endif
