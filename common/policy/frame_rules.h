/* SPDX-License-Identifier: Apache-2.0
 *
 * What each frame of a message is: the `frames` setting of a channel.
 *
 *     frames = "topic, pickle, buffer*"
 *
 * A comma list of kinds for frames 1, 2, …; a `*` after the last repeats it, zero times or
 * more. Kinds: pickle, opaque, topic, literal:TEXT, empty, buffer, zlib(pickle),
 * skip:SEP:N(pickle) where SEP is SP, TAB, NUL, COLON or COMMA.
 */
#ifndef PW_COMMON_POLICY_FRAME_RULES_H
#define PW_COMMON_POLICY_FRAME_RULES_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

enum pw_frame_kind {
    PW_FRAME_PICKLE,
    PW_FRAME_OPAQUE,
    PW_FRAME_TOPIC,
    PW_FRAME_LITERAL,
    PW_FRAME_EMPTY,
    PW_FRAME_BUFFER,
};

enum { PW_FRAME_RULES_MAX = 32, PW_FRAME_LITERAL_MAX = 64 };

struct pw_frame_rule {
    enum pw_frame_kind kind;
    bool zlib;           /* inflate, then PICKLE */
    uint8_t skip_byte;   /* with skip_count > 0: */
    uint32_t skip_count; /* the pickle starts behind that many separators */
    uint8_t literal_len;
    char literal[PW_FRAME_LITERAL_MAX];
};

struct pw_frame_rules {
    size_t count; /* at least 1 */
    bool repeat;  /* the last rule repeats */
    struct pw_frame_rule rule[PW_FRAME_RULES_MAX];
};

/* Parse the setting's text. PW_E_CONFIG with a sentence (place and remedy) in `why`. */
PW_CHECK_RESULT enum pw_err
pw_frame_rules_parse(const char *text, struct pw_frame_rules *out, struct pw_why *why);

/* The rule for frame `index` (from 0), or NULL when the rules describe fewer frames. */
const struct pw_frame_rule *pw_frame_rules_at(const struct pw_frame_rules *rules,
                                              size_t index);

/* Fewest frames a message must have. */
size_t pw_frame_rules_least(const struct pw_frame_rules *rules);

#endif
