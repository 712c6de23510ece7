/* SPDX-License-Identifier: Apache-2.0
 *
 * A visitor that writes down what a walk calls, and tables of walks.
 */
#ifndef PW_TESTS_UNIT_PICKLE_LAYER_CHECK_H
#define PW_TESTS_UNIT_PICKLE_LAYER_CHECK_H

#include "tests/unit/check.h"

#include <stdio.h>
#include <string.h>

#include "common/pickle/layer.h"

/* What a walk said: "where=bytes;" for each pickle, "where!reason;" for each refusal. */
struct seen {
    char text[4096];
    size_t len;
    size_t pickles;
    size_t bytes;
    enum pw_reason reason; /* the first */
};

static inline void
seen_add(struct seen *seen, struct pw_span text)
{
    for (size_t i = 0; i < text.len && seen->len < sizeof seen->text - 8; i++) {
        uint8_t c = text.ptr[i];
        bool plain = c >= ' ' && c < 0x7f && c != '\\';
        seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len,
                                      plain ? "%c" : "\\x%02x", c);
    }
}

static inline void
seen_pickle(void *arg, struct pw_span bytes, struct pw_span where)
{
    struct seen *seen = arg;
    seen->pickles++;
    seen->bytes += bytes.len;
    seen_add(seen, where);
    seen_add(seen, pw_span_str("="));
    seen_add(seen, bytes);
    seen_add(seen, pw_span_str(";"));
}

static inline void
seen_refused(void *arg, enum pw_reason reason, struct pw_span where)
{
    struct seen *seen = arg;
    seen->reason = seen->reason == PW_R_NONE ? reason : seen->reason;
    seen_add(seen, where);
    seen_add(seen, pw_span_str("!"));
    seen_add(seen, pw_span_str(pw_reason_code(reason)));
    seen_add(seen, pw_span_str(";"));
}

/* Limits small enough for tests. */
static const struct pw_limits layer_limits = {
    .max_bytes = 1 << 20, .max_stack = 1 << 16, .max_memo = 1 << 16, .max_ratio = 200};

static inline enum pw_err
walk(struct pw_layer *layer, const struct pw_layers *layers, struct pw_span frame,
     const struct pw_limits *limits, struct seen *seen)
{
    *seen = (struct seen){0};
    struct pw_layer_visitor visitor = {
        .arg = seen, .pickle = seen_pickle, .refused = seen_refused};
    return pw_layer_walk(layer, layers, frame, limits, &visitor);
}

struct walk_case {
    const char *name;
    struct pw_span frame;
    const char *seen;
};

/* Walk every case with one layer, whose memory is used again. */
static inline void
check_walks(const struct pw_layers *layers, const struct walk_case *cases, size_t count)
{
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(walk(layer, layers, cases[i].frame, &layer_limits, &seen),
                         PW_E_OK);
        if (strcmp(seen.text, cases[i].seen) != 0) {
            fail_msg("%s: %s instead of %s", cases[i].name, seen.text, cases[i].seen);
        }
    }
    pw_layer_free(&layer);
}

#define CHAIN(...) ((struct pw_layers){.rule = {__VA_ARGS__}})

#endif
