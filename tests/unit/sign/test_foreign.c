/* SPDX-License-Identifier: Apache-2.0
 *
 * The tags of other programs. The vectors were computed with Python's hmac; the one of
 * Jupyter is what jupyter_client 7.4.9 makes.
 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/sign/foreign.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/sign/keys.h"

/* clang-format off */
#define K "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" \
          "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"
#define TEN_K "kkkkkkkkkk"
#define HUNDRED_K TEN_K TEN_K TEN_K TEN_K TEN_K TEN_K TEN_K TEN_K TEN_K TEN_K

/* pickle.dumps({"id": 7, "prompt": "hello", "tokens": [1, 2, 3]}, 4) */
#define P4 "\x80\x04\x95\x30\x00\x00\x00\x00\x00\x00\x00\x7d\x94\x28\x8c\x02\x69\x64\x94\x4b" \
           "\x07\x8c\x06\x70\x72\x6f\x6d\x70\x74\x94\x8c\x05\x68\x65\x6c\x6c\x6f\x94\x8c\x06" \
           "\x74\x6f\x6b\x65\x6e\x73\x94\x5d\x94\x28\x4b\x01\x4b\x02\x4b\x03\x65\x75\x2e"
#define P4_TAG "\xc7\x5c\xa2\x44\x5b\x3b\xb2\xe6\x58\x5e\x6c\x6c\xd1\x8d\xd8\x76" \
               "\xb2\x82\x1b\xe0\x09\xd4\x60\x96\xe6\x34\xb7\x8f\x1a\x07\x18\x18"

/* zlib.compress of the same at protocol 5 */
#define Z "\x78\x9c\x6b\x60\x9d\x6a\xc0\x00\x01\xb5\x53\x34\x7a\x98\x32\x53\xa6\x78\xb3\xf7" \
          "\xb0\x15\x14\xe5\xe7\x16\x94\x4c\xe9\x61\xcd\x48\xcd\xc9\xc9\x9f\xd2\xc3\x56\x92" \
          "\x9f\x9d\x9a\x57\x3c\x25\x76\x8a\x86\x37\xa3\x37\x93\x37\x73\x6a\xa9\x1e\x00\x06" \
          "\xf9\x12\x88"
#define Z_TAG "\x17\x10\x07\x76\x76\xe7\x4f\xde\xc2\x56\x2f\x8c\x28\xcd\x62\x81" \
              "\x84\x7c\x5b\x0f\x04\x4c\x98\x1e\x08\xb3\x36\xcd\xbf\x0d\x75\x74"

#define JUPYTER_HEADER "{\"msg_id\":\"m1\",\"msg_type\":\"apply_request\"}"
#define JUPYTER_TAG "bba07a7bb00a675f06c7f6f57da95e266f86a39d80fca9c3b34c41bdec255db1"

static const struct tag_case {
    const char *name;
    struct pw_span key;
    struct pw_span parts[4];
    size_t count;
    bool digits;
    struct pw_span tag;
} tag_cases[] = {
    {"TensorRT-LLM", BYTES(K), {BYTES(P4)}, 1, false, BYTES(P4_TAG)},
    {"a key longer than a block", BYTES(HUNDRED_K), {BYTES(P4)}, 1, false,
     BYTES("\x86\x52\x9e\xd0\xa0\x02\x71\xb2\xd9\x39\x6e\xbc\xb6\x47\x4f\xb9"
           "\x53\x00\xbd\xd6\x1e\x71\x1c\x54\x13\x62\x90\x8c\x4c\x66\x83\xba")},
    {"pyzmq's documentation", BYTES(K), {BYTES(Z)}, 1, false, BYTES(Z_TAG)},
    {"Jupyter", BYTES("7e99e423-c437d4daf7cf23ee84cae803"),
     {BYTES(JUPYTER_HEADER), BYTES("{}"), BYTES("{}"), BYTES("{}")}, 4, true, BYTES(JUPYTER_TAG)},
    {"Jupyter, where no length is signed", BYTES("7e99e423-c437d4daf7cf23ee84cae803"),
     {BYTES(JUPYTER_HEADER "{}"), BYTES(""), BYTES("{}"), BYTES("{}")}, 4, true, BYTES(JUPYTER_TAG)},
};

#define DELIMITER BYTES("<IDS|MSG>")
#define DIGITS32 "0123456789abcdef0123456789abcdef"

static const struct split_case {
    const char *name;
    enum pw_layout layout;
    struct pw_span frames[9];
    size_t count;
    enum pw_reason reason;
    size_t tag_frame;
    struct pw_span tag;
    struct pw_span first; /* of what is covered */
    size_t covered;
} split_cases[] = {
    {"suffix", PW_LAYOUT_SUFFIX, {BYTES(P4 P4_TAG)}, 1, PW_R_NONE, 0, BYTES(P4_TAG), BYTES(P4), 1},
    {"suffix behind an identity", PW_LAYOUT_SUFFIX, {BYTES("id"), BYTES(P4 P4_TAG)}, 2, PW_R_NONE, 1, BYTES(P4_TAG), BYTES(P4), 1},
    {"suffix of nothing", PW_LAYOUT_SUFFIX, {BYTES(P4_TAG)}, 1, PW_R_NONE, 0, BYTES(P4_TAG), BYTES(""), 1},
    {"suffix, 31 bytes", PW_LAYOUT_SUFFIX, {BYTES("0123456789012345678901234567890")}, 1, PW_R_SIG_FORMAT, 0, BYTES(""), BYTES(""), 0},
    {"suffix, an empty frame", PW_LAYOUT_SUFFIX, {BYTES("")}, 1, PW_R_SIG_MISSING, 0, BYTES(""), BYTES(""), 0},
    {"suffix, no frame", PW_LAYOUT_SUFFIX, {BYTES("")}, 0, PW_R_SIG_MISSING, 0, BYTES(""), BYTES(""), 0},
    {"prefix", PW_LAYOUT_PREFIX, {BYTES("id"), BYTES(P4_TAG P4)}, 2, PW_R_NONE, 1, BYTES(P4_TAG), BYTES(P4), 1},
    {"prefix of nothing", PW_LAYOUT_PREFIX, {BYTES(P4_TAG)}, 1, PW_R_NONE, 0, BYTES(P4_TAG), BYTES(""), 1},
    {"prefix, one byte", PW_LAYOUT_PREFIX, {BYTES("N")}, 1, PW_R_SIG_FORMAT, 0, BYTES(""), BYTES(""), 0},
    {"prefix, an empty frame", PW_LAYOUT_PREFIX, {BYTES("")}, 1, PW_R_SIG_MISSING, 0, BYTES(""), BYTES(""), 0},
    {"detached", PW_LAYOUT_DETACHED, {BYTES(Z_TAG), BYTES(Z)}, 2, PW_R_NONE, 0, BYTES(Z_TAG), BYTES(Z), 1},
    {"detached behind a topic", PW_LAYOUT_DETACHED, {BYTES("t"), BYTES(Z_TAG), BYTES(Z)}, 3, PW_R_NONE, 1, BYTES(Z_TAG), BYTES(Z), 1},
    {"detached, the payload alone", PW_LAYOUT_DETACHED, {BYTES(Z)}, 1, PW_R_SIG_MISSING, 0, BYTES(""), BYTES(""), 0},
    {"detached, an empty tag", PW_LAYOUT_DETACHED, {BYTES(""), BYTES(Z)}, 2, PW_R_SIG_MISSING, 0, BYTES(""), BYTES(""), 0},
    {"detached, a long tag", PW_LAYOUT_DETACHED, {BYTES(Z_TAG "+"), BYTES(Z)}, 2, PW_R_SIG_FORMAT, 0, BYTES(""), BYTES(""), 0},
    {"detached, a short tag", PW_LAYOUT_DETACHED, {BYTES("tag"), BYTES(Z)}, 2, PW_R_SIG_FORMAT, 0, BYTES(""), BYTES(""), 0},
    {"Jupyter", PW_LAYOUT_JUPYTER, {DELIMITER, BYTES(JUPYTER_TAG), BYTES("h"), BYTES("p"), BYTES("m"), BYTES("c")}, 6, PW_R_NONE, 1, BYTES(JUPYTER_TAG), BYTES("h"), 4},
    {"Jupyter with identities and a buffer", PW_LAYOUT_JUPYTER, {BYTES("a"), BYTES("b"), DELIMITER, BYTES(JUPYTER_TAG), BYTES("h"), BYTES("p"), BYTES("m"), BYTES("c"), BYTES("buf")}, 9, PW_R_NONE, 3, BYTES(JUPYTER_TAG), BYTES("h"), 4},
    {"Jupyter, the first delimiter counts", PW_LAYOUT_JUPYTER, {DELIMITER, DELIMITER, BYTES(JUPYTER_TAG), BYTES("h"), BYTES("p"), BYTES("m"), BYTES("c")}, 7, PW_R_SIG_FORMAT, 1, DELIMITER, BYTES(JUPYTER_TAG), 4},
    {"Jupyter without a key", PW_LAYOUT_JUPYTER, {DELIMITER, BYTES(""), BYTES("h"), BYTES("p"), BYTES("m"), BYTES("c")}, 6, PW_R_SIG_MISSING, 1, BYTES(""), BYTES("h"), 4},
    {"Jupyter, a raw tag", PW_LAYOUT_JUPYTER, {DELIMITER, BYTES(DIGITS32), BYTES("h"), BYTES("p"), BYTES("m"), BYTES("c")}, 6, PW_R_SIG_FORMAT, 1, BYTES(DIGITS32), BYTES("h"), 4},
    {"Jupyter without content", PW_LAYOUT_JUPYTER, {DELIMITER, BYTES(JUPYTER_TAG), BYTES("h"), BYTES("p"), BYTES("m")}, 5, PW_R_SIG_FORMAT, 0, BYTES(""), BYTES(""), 0},
    {"Jupyter without a delimiter", PW_LAYOUT_JUPYTER, {BYTES("<ids|msg>"), BYTES(JUPYTER_TAG), BYTES("h"), BYTES("p"), BYTES("m"), BYTES("c")}, 6, PW_R_SIG_FORMAT, 0, BYTES(""), BYTES(""), 0},
};
/* clang-format on */

static void
tags_are_those_of_the_other_programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(tag_cases); i++) {
        const struct tag_case *c = &tag_cases[i];
        struct pw_foreign_key key;
        union pw_hash work;
        uint8_t tag[PW_FOREIGN_DIGITS];
        check_case(c->name, pw_foreign_key_fill(&key, c->key));
        pw_foreign_key_sign(&key, &work, c->parts, c->count, c->digits, tag);
        check_case(c->name, memcmp(tag, c->tag.ptr, c->tag.len) == 0);
        check_case(c->name,
                   pw_foreign_key_fits(&key, &work, c->parts, c->count, c->digits, c->tag));
        struct pw_span shorter = {c->tag.ptr, c->tag.len - 1};
        check_case(c->name, !pw_foreign_key_fits(&key, &work, c->parts, c->count, c->digits,
                                                 shorter));
    }
}

static void
an_empty_key_is_none(void **state)
{
    (void)state;
    struct pw_foreign_key key;
    assert_false(pw_foreign_key_fill(&key, BYTES("")));
}

static void
messages_are_taken_apart_where_the_layout_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(split_cases); i++) {
        const struct split_case *c = &split_cases[i];
        struct pw_foreign_parts parts;
        enum pw_reason reason = pw_foreign_split(c->layout, c->frames, c->count, &parts);
        check_case(c->name, reason == c->reason);
        check_case(c->name, parts.covered_count == c->covered);
        check_case(c->name, parts.tag_frame == c->tag_frame);
        check_case(c->name, pw_span_equal(parts.tag, c->tag));
        check_case(c->name, pw_span_equal(parts.covered[0], c->first));
    }
}

/* ---- keys -----------------------------------------------------------------------------
 */

/* K as a key of the ring. */
static struct pw_keyring *
ring_of_k(void)
{
    struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(PW_SUITE_HMAC_SHA256, "k", 0, "");
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    return ring;
}

static void
add_key(struct pw_keyring *ring, enum pw_suite suite, const char *name, uint8_t first,
        const char *channel, enum pw_key_status status)
{
    struct pw_key *key = counting_key(suite, name, first, channel);
    pw_key_set_status(key, status);
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
}

static struct pw_foreign *
open_with(const struct pw_keyring *ring, enum pw_layout layout, bool verify,
          const char *sign, struct pw_why *why)
{
    struct pw_foreign_options options = {
        .layout = layout, .channel = "jobs", .verify = verify, .sign = sign, .now_ns = 1};
    return pw_foreign_new(ring, &options, why);
}

static struct pw_sig_result
check(struct pw_foreign *foreign, enum pw_layout layout, const struct pw_span *frames,
      size_t count)
{
    struct pw_foreign_parts parts;
    struct pw_sig_result result = {.state = PW_SIG_BAD};
    result.reason = pw_foreign_split(layout, frames, count, &parts);
    if (result.reason == PW_R_NONE) {
        pw_foreign_check(foreign, &parts, 1, &result);
    }
    return result;
}

/* A message of each layout under K; the Jupyter key is its 64 digits. */
#define K_JUPYTER_TAG "f2bc85497e5d72a0d4fa09c3166004e9f8ea02f594f53d6ae2a8cd144f0deadd"

static const struct message {
    enum pw_layout layout;
    struct pw_span frames[9];
    size_t count;
    size_t loose; /* frames in front that nobody signs */
} messages[] = {
    {PW_LAYOUT_SUFFIX, {BYTES("id"), BYTES(P4 P4_TAG)}, 2, 1},
    {PW_LAYOUT_PREFIX, {BYTES(P4_TAG P4)}, 1, 0},
    {PW_LAYOUT_DETACHED, {BYTES(Z_TAG), BYTES(Z)}, 2, 0},
};

static void
what_fits_is_undated_and_names_its_key(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    for (size_t i = 0; i < PW_COUNT(messages); i++) {
        const struct message *m = &messages[i];
        PW_CLEANUP(pw_foreign_free)
        struct pw_foreign *foreign = open_with(ring, m->layout, true, NULL, NULL);
        struct pw_sig_result result = check(foreign, m->layout, m->frames, m->count);
        assert_int_equal(result.state, PW_SIG_UNDATED);
        assert_int_equal(result.reason, PW_R_NONE);
        assert_memory_equal(result.key_id, pw_key_id(pw_keyring_find(ring, "k")), 8);
    }
}

static void
any_bit_that_is_signed_and_flips_is_refused(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    for (size_t i = 0; i < PW_COUNT(messages); i++) {
        const struct message *m = &messages[i];
        PW_CLEANUP(pw_foreign_free)
        struct pw_foreign *foreign = open_with(ring, m->layout, true, NULL, NULL);
        for (size_t f = m->loose; f < m->count; f++) {
            for (size_t bit = 0; bit < m->frames[f].len * 8; bit++) {
                uint8_t bytes[256];
                struct pw_span frames[9];
                memcpy(frames, m->frames, sizeof frames);
                memcpy(bytes, m->frames[f].ptr, m->frames[f].len);
                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                frames[f].ptr = bytes;
                struct pw_sig_result result = check(foreign, m->layout, frames, m->count);
                assert_int_equal(result.state, PW_SIG_BAD);
                assert_int_equal(result.reason, PW_R_SIG_BAD);
            }
        }
    }
}

/* Header to content; `tag` is made by the same key. */
static void
jupyter_message(struct pw_foreign *foreign, uint8_t tag[static PW_FOREIGN_DIGITS],
                struct pw_span frames[static 7])
{
    const struct pw_span whole[] = {
        BYTES("id"), DELIMITER,          {tag, PW_FOREIGN_DIGITS}, BYTES(JUPYTER_HEADER),
        BYTES("{}"), BYTES("{\"a\":1}"), BYTES("{\"b\":2}")};
    memcpy(frames, whole, sizeof whole);
    assert_int_equal(pw_foreign_sign(foreign, frames + 3, 4, 1, tag), PW_R_NONE);
}

static void
a_jupyter_tag_is_under_the_digits_of_the_key(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(ring, PW_LAYOUT_JUPYTER, true, "k", NULL);
    struct pw_span parts[] = {BYTES(JUPYTER_HEADER), BYTES("{}"), BYTES("{}"), BYTES("{}")};
    uint8_t tag[PW_FOREIGN_DIGITS];
    assert_int_equal(pw_foreign_sign(foreign, parts, 4, 1, tag), PW_R_NONE);
    assert_memory_equal(tag, K_JUPYTER_TAG, sizeof tag);
}

static void
any_bit_of_the_four_jupyter_frames_that_flips_is_refused(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(ring, PW_LAYOUT_JUPYTER, true, "k", NULL);
    struct pw_span frames[7];
    uint8_t tag[PW_FOREIGN_DIGITS];
    jupyter_message(foreign, tag, frames);
    assert_int_equal(check(foreign, PW_LAYOUT_JUPYTER, frames, 7).state, PW_SIG_UNDATED);
    for (size_t f = 2; f < 7; f++) {
        for (size_t bit = 0; bit < frames[f].len * 8; bit++) {
            uint8_t bytes[256];
            struct pw_span whole = frames[f];
            memcpy(bytes, whole.ptr, whole.len);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            frames[f].ptr = bytes;
            assert_int_equal(check(foreign, PW_LAYOUT_JUPYTER, frames, 7).reason,
                             PW_R_SIG_BAD);
            frames[f] = whole;
        }
    }
}

static void
every_key_of_the_channel_may_have_signed(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    add_key(ring, PW_SUITE_HMAC_SHA256, "new", 99, "", PW_KEY_ACTIVE);
    add_key(ring, PW_SUITE_HMAC_SHA256, "elsewhere", 50, "mail", PW_KEY_ACTIVE);
    add_key(ring, PW_SUITE_HMAC_SHA256, "over", 60, "", PW_KEY_RETIRED);
    add_key(ring, PW_SUITE_BLAKE2B, "ours", 70, "", PW_KEY_ACTIVE);
    static const struct {
        const char *name;
        uint8_t first;
        enum pw_reason reason;
    } cases[] = {
        {"the old key", 0, PW_R_NONE},
        {"the new key", 99, PW_R_NONE},
        {"the key of another channel", 50, PW_R_SIG_BAD},
        {"a key that is retired", 60, PW_R_SIG_BAD},
        {"a key of another suite", 70, PW_R_SIG_BAD},
        {"a stranger's key", 1, PW_R_SIG_BAD},
    };
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(ring, PW_LAYOUT_DETACHED, true, NULL, NULL);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        uint8_t secret[PW_KEY_BYTES];
        for (size_t b = 0; b < sizeof secret; b++) {
            secret[b] = (uint8_t)(cases[i].first + b);
        }
        struct pw_foreign_key key;
        union pw_hash work;
        uint8_t tag[PW_FOREIGN_DIGITS];
        struct pw_span frames[] = {{tag, PW_FOREIGN_TAG}, BYTES(Z)};
        assert_true(pw_foreign_key_fill(&key, (struct pw_span){secret, sizeof secret}));
        pw_foreign_key_sign(&key, &work, &frames[1], 1, false, tag);
        struct pw_sig_result result = check(foreign, PW_LAYOUT_DETACHED, frames, 2);
        check_case(cases[i].name, result.reason == cases[i].reason);
    }
}

static void
a_key_that_is_revoked_meanwhile_is_named(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(PW_SUITE_HMAC_SHA256, "k", 0, "");
    struct pw_key *same = key;
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(ring, PW_LAYOUT_SUFFIX, true, "k", NULL);
    struct pw_span frame = BYTES(P4 P4_TAG);
    uint8_t tag[PW_FOREIGN_DIGITS];
    assert_int_equal(check(foreign, PW_LAYOUT_SUFFIX, &frame, 1).state, PW_SIG_UNDATED);
    pw_key_revoke(same);
    struct pw_sig_result result = check(foreign, PW_LAYOUT_SUFFIX, &frame, 1);
    assert_int_equal(result.state, PW_SIG_BAD);
    assert_int_equal(result.reason, PW_R_SIG_REVOKED);
    assert_int_equal(pw_foreign_sign(foreign, &frame, 1, 1, tag), PW_R_SIG_REVOKED);
}

static void
keys_that_cannot_serve_are_told_at_the_start(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    add_key(ring, PW_SUITE_BLAKE2B, "ours", 70, "", PW_KEY_ACTIVE);
    assert_null(open_with(ring, PW_LAYOUT_SUFFIX, true, NULL, &why));
    assert_non_null(strstr(why.text, "no hmac-sha256 key"));
    assert_null(open_with(ring, PW_LAYOUT_SUFFIX, false, "ours", &why));
    assert_non_null(strstr(why.text, "blake2b"));
    assert_null(open_with(ring, PW_LAYOUT_SUFFIX, false, "nobody", &why));
    assert_non_null(strstr(why.text, "nobody"));
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        add_key(ring, PW_SUITE_HMAC_SHA256, names[i], (uint8_t)i, "", PW_KEY_ACTIVE);
    }
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(ring, PW_LAYOUT_SUFFIX, true, "a", &why);
    assert_non_null(foreign);
    add_key(ring, PW_SUITE_HMAC_SHA256, "e", 5, "", PW_KEY_ACTIVE);
    assert_null(open_with(ring, PW_LAYOUT_SUFFIX, true, "a", &why));
    assert_non_null(strstr(why.text, "more than 4"));
}

/* ---- memory ---------------------------------------------------------------------------
 */

static bool complete;

static void
sign_and_verify(void *state)
{
    struct pw_why why = {0};
    complete = false;
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(state, PW_LAYOUT_SUFFIX, true, "k", &why);
    if (foreign == NULL) {
        assert_string_equal(why.text, "out of memory");
        return;
    }
    struct pw_span frame = BYTES(P4 P4_TAG);
    complete = check(foreign, PW_LAYOUT_SUFFIX, &frame, 1).state == PW_SIG_UNDATED;
}

static void
without_memory_nothing_verifies_and_nothing_leaks(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    size_t n = 1;
    while (fail_alloc_round(n, sign_and_verify, ring)) {
        assert_false(complete);
        n++;
    }
    assert_true(complete);
    assert_true(n > 1);
}

static void
a_message_needs_no_allocation(void **state)
{
    (void)state;
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of_k();
    PW_CLEANUP(pw_foreign_free)
    struct pw_foreign *foreign = open_with(ring, PW_LAYOUT_JUPYTER, true, "k", NULL);
    struct pw_span frames[7];
    uint8_t tag[PW_FOREIGN_DIGITS];
    fail_alloc_at(1);
    jupyter_message(foreign, tag, frames);
    assert_int_equal(check(foreign, PW_LAYOUT_JUPYTER, frames, 7).state, PW_SIG_UNDATED);
    assert_false(fail_alloc_happened());
    fail_alloc_at(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_those_of_the_other_programs),
        cmocka_unit_test(an_empty_key_is_none),
        cmocka_unit_test(messages_are_taken_apart_where_the_layout_says),
        cmocka_unit_test(what_fits_is_undated_and_names_its_key),
        cmocka_unit_test(any_bit_that_is_signed_and_flips_is_refused),
        cmocka_unit_test(a_jupyter_tag_is_under_the_digits_of_the_key),
        cmocka_unit_test(any_bit_of_the_four_jupyter_frames_that_flips_is_refused),
        cmocka_unit_test(every_key_of_the_channel_may_have_signed),
        cmocka_unit_test(a_key_that_is_revoked_meanwhile_is_named),
        cmocka_unit_test(keys_that_cannot_serve_are_told_at_the_start),
        cmocka_unit_test(without_memory_nothing_verifies_and_nothing_leaks),
        cmocka_unit_test(a_message_needs_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
