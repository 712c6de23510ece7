/* SPDX-License-Identifier: Apache-2.0
 *
 * A message in the layout of another program: taken apart, checked, signed anew. The first
 * byte names the layout. A NUL ends a frame for as long as the bits of the second byte are
 * set, and a frame "|" stands for Jupyter's delimiter. Nothing but what we signed ourselves
 * may verify, and what was found lies inside the frames.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/sign/foreign.h"

enum { FRAMES = 10 };

static const struct pw_span delimiter = {(const uint8_t *)"<IDS|MSG>", 9};

static struct pw_keyring *ring;
static struct pw_foreign *foreign[PW_LAYOUT_JUPYTER + 1];

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
start(void)
{
    ring = pw_keyring_new();
    static const char *const names[] = {"old", "new"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        struct pw_key_parts parts = {.suite = PW_SUITE_HMAC_SHA256,
                                     .role = PW_ROLE_SIGN,
                                     .name = pw_span_str(names[i])};
        memset(parts.bytes, (int)i + 1, sizeof parts.bytes);
        struct pw_key *key = pw_key_from(&parts, NULL);
        require(key != NULL && pw_keyring_add(ring, &key) == PW_E_OK);
    }
    for (int layout = PW_LAYOUT_SUFFIX; layout <= PW_LAYOUT_JUPYTER; layout++) {
        struct pw_foreign_options options = {.layout = (enum pw_layout)layout,
                                             .channel = "jobs",
                                             .verify = true,
                                             .sign = "new"};
        foreign[layout] = pw_foreign_new(ring, &options, NULL);
        require(foreign[layout] != NULL);
    }
}

/* The bytes of `part` lie in the frame `whole`. */
static bool
lies_in(struct pw_span part, struct pw_span whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.len <= whole.len &&
                             part.ptr + part.len <= whole.ptr + whole.len);
}

/* Every byte of the frame with the tag is tag or covered, but for the frame of its own. */
static void
check_places(enum pw_layout layout, const struct pw_foreign_parts *parts,
             const struct pw_span *frames, size_t count)
{
    require(parts->tag_frame < count);
    require(lies_in(parts->tag, frames[parts->tag_frame]));
    require(parts->covered_count == (layout == PW_LAYOUT_JUPYTER ? 4 : 1));
    bool shared = layout == PW_LAYOUT_SUFFIX || layout == PW_LAYOUT_PREFIX;
    for (size_t i = 0; i < parts->covered_count; i++) {
        size_t frame = parts->tag_frame + (shared ? 0 : 1 + i);
        require(frame < count && lies_in(parts->covered[i], frames[frame]));
        require(shared || pw_span_equal(parts->covered[i], frames[frame]));
    }
    require(!shared ||
            parts->tag.len + parts->covered[0].len == frames[parts->tag_frame].len);
}

static void
check(enum pw_layout layout, const struct pw_span *frames, size_t count)
{
    struct pw_foreign_parts parts;
    struct pw_sig_result result;
    enum pw_reason reason = pw_foreign_split(layout, frames, count, &parts);
    require(reason == PW_R_NONE || reason == PW_R_SIG_MISSING || reason == PW_R_SIG_FORMAT);
    require(reason != PW_R_NONE || parts.tag.len == pw_foreign_tag_size(layout));
    if (parts.covered_count == 0) {
        require(reason != PW_R_NONE);
        return;
    }
    check_places(layout, &parts, frames, count);
    if (reason == PW_R_NONE) {
        pw_foreign_check(foreign[layout], &parts, 1, &result);
        require(result.state == PW_SIG_BAD && result.reason == PW_R_SIG_BAD);
    }
    uint8_t tag[PW_FOREIGN_DIGITS];
    require(pw_foreign_sign(foreign[layout], parts.covered, parts.covered_count, 1, tag) ==
            PW_R_NONE);
    parts.tag = (struct pw_span){tag, pw_foreign_tag_size(layout)};
    pw_foreign_check(foreign[layout], &parts, 1, &result);
    require(result.state == PW_SIG_UNDATED && result.reason == PW_R_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (foreign[PW_LAYOUT_SUFFIX] == NULL) {
        start();
    }
    struct pw_cursor cur = pw_cursor_over((struct pw_span){data, size});
    enum pw_layout layout =
        (enum pw_layout)(pw_cursor_uint(&cur, 1) % PW_LAYOUT_JUPYTER + PW_LAYOUT_SUFFIX);
    uint64_t cuts = pw_cursor_uint(&cur, 1);
    struct pw_span frames[FRAMES];
    size_t count = 0;
    while (count + 1 < FRAMES && cur.rest.len > 0 && (cuts >> count & 1) != 0) {
        struct pw_cursor ahead = cur;
        struct pw_span frame = pw_cursor_until(&ahead, '\0');
        if (ahead.truncated) {
            break;
        }
        frames[count++] = pw_span_equal(frame, pw_span_str("|")) ? delimiter : frame;
        cur = ahead;
    }
    frames[count++] = cur.rest;
    check(layout, frames, count);
    return 0;
}
