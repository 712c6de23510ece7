/* SPDX-License-Identifier: Apache-2.0
 *
 * What each frame of a message is: the `frames` setting of a channel.
 *
 *     frames = "topic, pickle, buffer*"
 *
 * A comma list of kinds for frames 1, 2, …; a `*` after the last repeats it, zero times or
 * more. Kinds:
 *
 *     pickle          joblib (what joblib.load reads), auto (what its first bytes say)
 *     LAYER(INNER)    a pickle inside zlib, gzip, bz2, xz, base64, zip, npy, msgpack:A-B
 * (the extension codes, 1-5 when absent) or skip:SEP:N, where SEP is SP, TAB, NUL, COLON or
 * COMMA; four deep at most opaque, topic, empty, buffer literal:TEXT    and
 * literal:TEXT|KIND: that text, or else what KIND says
 */
#ifndef PW_COMMON_POLICY_FRAME_RULES_H
#define PW_COMMON_POLICY_FRAME_RULES_H

#include <stdbool.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/pickle/layer.h"

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
    struct pw_layers layers; /* PICKLE: what lies around it */
    uint8_t literal_len;     /* texts that the frame may be, whatever the kind: */
    char literal[PW_FRAME_LITERAL_MAX]; /* one "|" between them */
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

/* Whether the frame is one of the rule's literals. */
bool pw_frame_rule_literal(const struct pw_frame_rule *rule, struct pw_span frame);

/* Fewest frames a message must have. */
size_t pw_frame_rules_least(const struct pw_frame_rules *rules);

#endif
