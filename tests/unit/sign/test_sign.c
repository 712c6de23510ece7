/* SPDX-License-Identifier: Apache-2.0
 *
 * What a signature binds, and the word for each way it can fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/hex.h"
#include "common/sign/scheme.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"
#include "tests/unit/sign/keys.h"

static const enum pw_suite suites[] = {PW_SUITE_HMAC_SHA256, PW_SUITE_ED25519,
                                       PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};

static const uint64_t epoch = 1700000000000;
static const uint64_t now_ns = 1700000000123456789;

/* clang-format off */
#define FRAME(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}
static const struct pw_span frames[] = {FRAME("hello"), FRAME(""), FRAME("\x80\x04N.")};
/* clang-format on */
enum { FRAMES = PW_COUNT(frames), PAYLOAD = 9 };

/* A channel's two ends with one key: their ring, a signed message of `frames`. */
struct ends {
    struct pw_keyring *ring;
    struct pw_signer *signer;
    struct pw_verifier *verifier;
    uint8_t bytes[PW_TRAILER_MAX];
    struct pw_span trailer;
};

static void
close_ends(struct ends *ends)
{
    pw_signer_free(&ends->signer);
    pw_verifier_free(&ends->verifier);
    pw_keyring_free(&ends->ring);
}

static struct pw_keyring *
ring_of(enum pw_suite suite, const char *channel)
{
    struct pw_keyring *ring = pw_keyring_new();
    struct pw_key *key = counting_key(suite, "k", 1, channel);
    assert_non_null(ring);
    assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    return ring;
}

static void
open_ends(struct ends *ends, enum pw_suite suite)
{
    struct pw_why why = {0};
    *ends = (struct ends){.ring = ring_of(suite, "")};
    ends->signer = pw_signer_new(ends->ring, "k", "jobs", PW_DIR_FORWARD, epoch, &why);
    assert_string_equal(why.text, "");
    ends->verifier = pw_verifier_new(ends->ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_non_null(ends->signer);
    assert_non_null(ends->verifier);
    assert_int_equal(pw_signer_sign(ends->signer, frames, FRAMES, now_ns, ends->bytes),
                     PW_E_OK);
    ends->trailer = (struct pw_span){ends->bytes, pw_signer_trailer_size(ends->signer)};
}

static enum pw_reason
reason_of(struct pw_verifier *verifier, const struct pw_span *message, size_t count,
          struct pw_span trailer)
{
    struct pw_sig_result result;
    pw_verifier_check(verifier, message, count, trailer, &result);
    assert_int_equal(result.state == PW_SIG_OK, result.reason == PW_R_NONE);
    assert_true(result.state == PW_SIG_OK || result.state == PW_SIG_BAD);
    return result.reason;
}

/* Made by another program, in another language, from README.md's words alone. */
static const struct {
    enum pw_suite suite;
    const char *trailer;
} golden[] = {
    {PW_SUITE_HMAC_SHA256, "5057533101000003e7096935f729177f0000018bcfe5680000000000000000"
                           "0117979cfe3d85cd15c346d6eae2b6b1d325041d6e0ec05c99acad5468bc55"
                           "4f8ad1b9863c5d8ff320"},
    {PW_SUITE_ED25519, "50575331020000031cd0f6a332e7950f0000018bcfe56800000000000000000117"
                       "979cfe3d85cd15ad2d34fafc7deab9d421e1b76859591ef09727ca47433c4715e7"
                       "cc6252010c08028a8d0cfc7e11e5721fdabc59d6bbf42f9c3d141d23ad839354ad"
                       "13ae262400"},
    {PW_SUITE_BLAKE2B, "5057533103000003c8ac4118093f5ca30000018bcfe56800000000000000000117"
                       "979cfe3d85cd1596e48969fd52095dbeac47fc359af49e076b615ebbfbc8052571"
                       "0c9bdb73056b"},
};

static void
trailers_are_those_of_the_specification(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(golden); i++) {
        char text[2 * PW_TRAILER_MAX + 1];
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, golden[i].suite);
        pw_hex_encode(ends.trailer, text);
        assert_string_equal(text, golden[i].trailer);
    }
}

static void
a_signed_message_verifies_and_says_by_whom(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        for (uint64_t seq = 1; seq < 4; seq++) {
            struct pw_sig_result result;
            pw_verifier_check(ends.verifier, frames, FRAMES, ends.trailer, &result);
            assert_int_equal(result.state, PW_SIG_OK);
            assert_int_equal(result.reason, PW_R_NONE);
            assert_int_equal(result.suite, suites[i]);
            assert_memory_equal(result.key_id, pw_key_id(pw_keyring_at(ends.ring, 0)), 8);
            assert_int_equal(result.epoch, epoch);
            assert_int_equal(result.seq, seq);
            assert_int_equal(result.time_ns, now_ns + seq - 1);
            assert_int_equal(
                pw_signer_sign(ends.signer, frames, FRAMES, now_ns + seq, ends.bytes),
                PW_E_OK);
        }
    }
}

static void
who_has_only_the_public_half_verifies_but_cannot_sign(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, PW_SUITE_ED25519);
    struct pw_key *half = pw_key_public(pw_keyring_at(ends.ring, 0));
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(ring, &half), PW_E_OK);
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_int_equal(reason_of(verifier, frames, FRAMES, ends.trailer), PW_R_NONE);
    assert_null(pw_signer_new(ring, "k", "jobs", PW_DIR_FORWARD, epoch, &why));
    assert_non_null(strstr(why.text, "only verifies"));
}

/* Which word a changed bit must end as; NONE where the length decides, if it is known. */
static enum pw_reason
reason_of_byte(size_t at, uint8_t suite_now)
{
    const struct pw_scheme *scheme = pw_scheme_of(suite_now);
    if (at < 4 || at == 5 || at >= 104) { /* behind it is a place in a batch */
        return PW_R_SIG_FORMAT;
    }
    if (at == 4) {
        /* 1 and 3 have trailers of one length: only the key can tell. */
        return scheme != NULL && scheme->tag_len == 32 ? PW_R_NONE : PW_R_SIG_FORMAT;
    }
    if (at < 8) {
        return PW_R_SIG_FRAMES;
    }
    return at < 16 ? PW_R_SIG_UNKNOWN_KEY : PW_R_SIG_BAD;
}

static void
every_bit_of_a_trailer_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        for (size_t bit = 0; bit < 8 * ends.trailer.len; bit++) {
            ends.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            enum pw_reason reason = reason_of(ends.verifier, frames, FRAMES, ends.trailer);
            enum pw_reason wanted = reason_of_byte(bit / 8, ends.bytes[4]);
            if (wanted == PW_R_NONE) {
                wanted =
                    pw_suite_is_pair(suites[i]) ? PW_R_SIG_FORMAT : PW_R_SIG_WRONG_SUITE;
            }
            assert_int_equal(reason, wanted);
            ends.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_int_equal(reason_of(ends.verifier, frames, FRAMES, ends.trailer), PW_R_NONE);
    }
}

static void
every_bit_of_every_frame_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        uint8_t payload[PAYLOAD];
        memcpy(payload, "hello\x80\x04N.", PAYLOAD);
        struct pw_span copy[] = {{payload, 5}, {payload + 5, 0}, {payload + 5, 4}};
        assert_int_equal(reason_of(ends.verifier, copy, FRAMES, ends.trailer), PW_R_NONE);
        for (size_t bit = 0; bit < 8 * PAYLOAD; bit++) {
            payload[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_equal(reason_of(ends.verifier, copy, FRAMES, ends.trailer),
                             PW_R_SIG_BAD);
            payload[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

/* The same bytes in the same order, cut into three frames in every other way. */
static void
a_moved_frame_boundary_is_refused(void **state)
{
    (void)state;
    static const uint8_t payload[] = "hello\x80\x04N.";
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        for (size_t a = 0; a <= PAYLOAD; a++) {
            for (size_t b = a; b <= PAYLOAD; b++) {
                struct pw_span cut[] = {
                    {payload, a}, {payload + a, b - a}, {payload + b, PAYLOAD - b}};
                enum pw_reason wanted = a == 5 && b == 5 ? PW_R_NONE : PW_R_SIG_BAD;
                assert_int_equal(reason_of(ends.verifier, cut, FRAMES, ends.trailer),
                                 wanted);
            }
        }
    }
}

static void
frames_dropped_added_or_swapped_are_refused(void **state)
{
    (void)state;
    const struct pw_span swapped[] = {frames[2], frames[1], frames[0]};
    const struct pw_span more[] = {frames[0], frames[1], frames[2], frames[1]};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        struct pw_verifier *verifier = ends.verifier;
        assert_int_equal(reason_of(verifier, swapped, 3, ends.trailer), PW_R_SIG_BAD);
        assert_int_equal(reason_of(verifier, more, 4, ends.trailer), PW_R_SIG_FRAMES);
        assert_int_equal(reason_of(verifier, frames, 2, ends.trailer), PW_R_SIG_FRAMES);
        assert_int_equal(reason_of(verifier, frames, 0, ends.trailer), PW_R_SIG_FRAMES);
    }
}

static void
a_message_has_1_to_1024_frames(void **state)
{
    (void)state;
    static struct pw_span many[PW_SIGN_FRAMES_MAX + 1];
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, PW_SUITE_BLAKE2B);
    assert_int_equal(pw_signer_sign(ends.signer, many, 0, now_ns, ends.bytes), PW_E_LIMIT);
    assert_int_equal(pw_signer_sign(ends.signer, many, PW_COUNT(many), now_ns, ends.bytes),
                     PW_E_LIMIT);
    assert_int_equal(
        pw_signer_sign(ends.signer, many, PW_SIGN_FRAMES_MAX, now_ns, ends.bytes), PW_E_OK);
    struct pw_sig_result result;
    pw_verifier_check(ends.verifier, many, PW_SIGN_FRAMES_MAX, ends.trailer, &result);
    assert_int_equal(result.state, PW_SIG_OK);
    assert_int_equal(result.seq, 2); /* what was refused was not counted */
    assert_int_equal(reason_of(ends.verifier, many, PW_COUNT(many), ends.trailer),
                     PW_R_SIG_FRAMES);
}

static void
a_trailer_of_any_other_length_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        uint8_t longer[PW_TRAILER_MAX + 16] = {0};
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        memcpy(longer, ends.bytes, ends.trailer.len);
        for (size_t len = 0; len <= sizeof longer; len++) {
            struct pw_span cut = {longer, len};
            enum pw_reason wanted = len == ends.trailer.len ? PW_R_NONE : PW_R_SIG_FORMAT;
            assert_int_equal(reason_of(ends.verifier, frames, FRAMES, cut), wanted);
        }
        assert_int_equal(reason_of(ends.verifier, frames, FRAMES, (struct pw_span){0}),
                         PW_R_SIG_FORMAT);
    }
}

static void
every_flag_and_every_unknown_suite_is_malformed(void **state)
{
    (void)state;
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, PW_SUITE_HMAC_SHA256);
    for (unsigned value = 1; value < 256; value++) {
        ends.bytes[5] = (uint8_t)value;
        assert_int_equal(reason_of(ends.verifier, frames, FRAMES, ends.trailer),
                         PW_R_SIG_FORMAT);
    }
    ends.bytes[5] = 0;
    for (unsigned value = 0; value < 256; value++) {
        static const enum pw_reason known[] = {PW_R_SIG_FORMAT, PW_R_NONE, PW_R_SIG_FORMAT,
                                               PW_R_SIG_WRONG_SUITE};
        ends.bytes[4] = (uint8_t)value;
        assert_int_equal(reason_of(ends.verifier, frames, FRAMES, ends.trailer),
                         value < PW_COUNT(known) ? known[value] : PW_R_SIG_FORMAT);
    }
}

/* What everybody knows, the public key, must be no key of a symmetric suite. */
static void
a_public_key_is_no_mac_key(void **state)
{
    (void)state;
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, PW_SUITE_ED25519);
    const struct pw_key *pair = pw_keyring_at(ends.ring, 0);
    struct pw_key_parts parts = {.suite = PW_SUITE_HMAC_SHA256, .name = pw_span_str("k")};
    memcpy(parts.bytes, pair->public_key, sizeof parts.bytes);
    struct pw_key *forged = pw_key_from(&parts, NULL);
    memcpy(forged->id, pair->id, sizeof forged->id);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(ring, &forged), PW_E_OK);
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *forger =
        pw_signer_new(ring, "k", "jobs", PW_DIR_FORWARD, epoch, NULL);
    assert_int_equal(pw_signer_sign(forger, frames, FRAMES, now_ns, ends.bytes), PW_E_OK);
    struct pw_span trailer = {ends.bytes, pw_signer_trailer_size(forger)};
    assert_int_equal(reason_of(ends.verifier, frames, FRAMES, trailer),
                     PW_R_SIG_WRONG_SUITE);
}

static void
a_key_that_is_not_in_the_ring_is_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
        PW_CLEANUP(pw_verifier_free)
        struct pw_verifier *bare = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
        assert_int_equal(reason_of(bare, frames, FRAMES, ends.trailer),
                         PW_R_SIG_UNKNOWN_KEY);

        struct pw_key *other = counting_key(suites[i], "k", 7, "");
        assert_int_equal(pw_keyring_add(ring, &other), PW_E_OK);
        PW_CLEANUP(pw_verifier_free)
        struct pw_verifier *wrong = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
        assert_int_equal(reason_of(wrong, frames, FRAMES, ends.trailer),
                         PW_R_SIG_UNKNOWN_KEY);
        /* Naming the wrong key does not help. */
        memcpy(ends.bytes + 8, pw_key_id(pw_keyring_at(ring, 0)), 8);
        assert_int_equal(reason_of(wrong, frames, FRAMES, ends.trailer), PW_R_SIG_BAD);
    }
}

struct channel_case {
    const char *name;
    const char *channel; /* of the verifier */
    enum pw_direction direction;
    const char *siblings[9];
    size_t sibling_count;
    enum pw_reason reason;
};

/* clang-format off */
static const struct channel_case channel_cases[] = {
    {"the same", "jobs", PW_DIR_FORWARD, {NULL}, 0, PW_R_NONE},
    {"another", "other", PW_DIR_FORWARD, {NULL}, 0, PW_R_SIG_BAD},
    {"another, and the true one is beside it", "other", PW_DIR_FORWARD, {"x", "jobs"}, 2, PW_R_SIG_CHANNEL},
    {"another, among eight", "other", PW_DIR_FORWARD, {"1", "2", "3", "4", "5", "6", "7", "jobs"}, 8, PW_R_SIG_CHANNEL},
    {"the ninth is not asked", "other", PW_DIR_FORWARD, {"1", "2", "3", "4", "5", "6", "7", "8", "jobs"}, 9, PW_R_SIG_BAD},
    {"a longer name", "jobs2", PW_DIR_FORWARD, {"x"}, 1, PW_R_SIG_BAD},
    {"a shorter name", "job", PW_DIR_FORWARD, {NULL}, 0, PW_R_SIG_BAD},
    {"no name", "", PW_DIR_FORWARD, {NULL}, 0, PW_R_SIG_BAD},
    {"sent back to its sender", "jobs", PW_DIR_BACK, {NULL}, 0, PW_R_SIG_BAD},
    {"sent back, with siblings", "jobs", PW_DIR_BACK, {"jobs", "x"}, 2, PW_R_SIG_BAD},
};
/* clang-format on */

static void
a_signature_is_for_one_channel_and_direction(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites) * PW_COUNT(channel_cases); i++) {
        const struct channel_case *c = &channel_cases[i % PW_COUNT(channel_cases)];
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i / PW_COUNT(channel_cases)]);
        PW_CLEANUP(pw_verifier_free)
        struct pw_verifier *verifier = pw_verifier_new(ends.ring, c->channel, c->direction,
                                                       c->siblings, c->sibling_count);
        print_message("%s\n", c->name);
        assert_int_equal(reason_of(verifier, frames, FRAMES, ends.trailer), c->reason);
    }
}

static void
a_flood_is_not_asked_about_without_end(void **state)
{
    (void)state;
    static const char *const siblings[] = {"jobs"};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        PW_CLEANUP(pw_verifier_free)
        struct pw_verifier *verifier =
            pw_verifier_new(ends.ring, "other", PW_DIR_FORWARD, siblings, 1);
        for (uint64_t second = 1; second <= 2; second++) {
            pw_verifier_set_now(verifier, now_ns + second * 1000000000);
            for (size_t n = 0; n < 300; n++) {
                assert_int_equal(reason_of(verifier, frames, FRAMES, ends.trailer),
                                 n < 100 ? PW_R_SIG_CHANNEL : PW_R_SIG_BAD);
            }
        }
        pw_verifier_set_now(verifier, now_ns); /* a clock that is put back */
        assert_int_equal(reason_of(verifier, frames, FRAMES, ends.trailer),
                         PW_R_SIG_CHANNEL);
    }
}

static void
a_key_signs_only_where_its_pattern_lets_it(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, PW_SUITE_HMAC_SHA256);
    PW_CLEANUP(pw_keyring_free)
    struct pw_keyring *ring = ring_of(PW_SUITE_HMAC_SHA256, "mail*");
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_int_equal(reason_of(verifier, frames, FRAMES, ends.trailer), PW_R_SIG_CHANNEL);
    assert_null(pw_signer_new(ring, "k", "jobs", PW_DIR_FORWARD, epoch, &why));
    assert_non_null(
        strstr(why.text, "k: this key is for channels \"mail*\", not for \"jobs\""));
}

static void
a_signer_needs_a_key_and_a_channel(void **state)
{
    (void)state;
    struct pw_why why = {0};
    char name[PW_SIGN_CHANNEL_MAX + 2];
    memset(name, 'c', sizeof name);
    name[PW_SIGN_CHANNEL_MAX + 1] = '\0';
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = ring_of(PW_SUITE_BLAKE2B, "");
    assert_null(pw_signer_new(ring, "nobody", "jobs", PW_DIR_FORWARD, epoch, &why));
    assert_non_null(strstr(why.text, "nobody: no key of this name"));
    assert_null(pw_signer_new(ring, "k", "", PW_DIR_FORWARD, epoch, &why));
    assert_null(pw_signer_new(ring, "k", name, PW_DIR_FORWARD, epoch, &why));
    assert_non_null(strstr(why.text, "a name of 1 to 255 bytes"));
    assert_null(pw_verifier_new(ring, name, PW_DIR_FORWARD, NULL, 0));
    name[PW_SIGN_CHANNEL_MAX] = '\0';
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer = pw_signer_new(ring, "k", name, PW_DIR_FORWARD, epoch, &why);
    PW_CLEANUP(pw_verifier_free)
    struct pw_verifier *verifier = pw_verifier_new(ring, name, PW_DIR_FORWARD, NULL, 0);
    uint8_t bytes[PW_TRAILER_MAX];
    assert_int_equal(pw_signer_sign(signer, frames, FRAMES, now_ns, bytes), PW_E_OK);
    struct pw_span trailer = {bytes, pw_signer_trailer_size(signer)};
    assert_int_equal(reason_of(verifier, frames, FRAMES, trailer), PW_R_NONE);
}

/* `far` and `near` are the suite bytes behind a magic 104 and 72 bytes before the end. */
struct end_case {
    const char *name;
    size_t len;
    int far; /* -1: no magic there */
    int near;
    size_t found;
};

static const struct end_case end_cases[] = {
    {"empty", 0, -1, -1, 0},
    {"one byte less than a trailer", 71, -1, -1, 0},
    {"no magic", 200, -1, -1, 0},
    {"a short trailer alone", 72, -1, 1, 72},
    {"a short trailer behind a payload", 500, -1, 3, 72},
    {"a long trailer alone", 104, 2, -1, 104},
    {"a long trailer behind a payload", 105, 2, -1, 104},
    {"both fit", 300, 2, 1, 72},
    {"only the long one fits", 300, 2, 2, 104},
    {"only the short one fits", 300, 1, 3, 72},
    {"an unknown suite near the end", 300, -1, 9, 72},
    {"an unknown suite far from the end", 300, 9, -1, 104},
    {"the suite of the other length, near", 300, -1, 2, 72},
    {"the suite of the other length, far", 300, 1, -1, 104},
    {"neither fits", 300, 0, 0, 72},
};

static void
a_trailer_is_found_from_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(end_cases); i++) {
        const struct end_case *c = &end_cases[i];
        uint8_t *bytes = calloc(1, c->len + 1);
        if (c->far >= 0) {
            memcpy(bytes + c->len - 104, "PWS1", 4);
            bytes[c->len - 100] = (uint8_t)c->far;
            bytes[c->len - 97] = 1; /* frame */
        }
        if (c->near >= 0) {
            memcpy(bytes + c->len - 72, "PWS1", 4);
            bytes[c->len - 68] = (uint8_t)c->near;
            bytes[c->len - 65] = 1;
        }
        print_message("%s\n", c->name);
        assert_int_equal(pw_trailer_at_end((struct pw_span){bytes, c->len}), c->found);
        free(bytes);
    }
    assert_int_equal(pw_trailer_at_end((struct pw_span){0}), 0);
}

static void
a_trailer_is_found_where_it_was_appended(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        uint8_t wire[64 + PW_TRAILER_MAX];
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, suites[i]);
        /* A stranger's payload that looks like a long trailer from its end. */
        for (size_t at = 0; at + 5 <= 64; at++) {
            memset(wire, 0, sizeof wire);
            memcpy(wire + at, "PWS1\x02", 5);
            memcpy(wire + 64, ends.bytes, ends.trailer.len);
            struct pw_span whole = {wire, 64 + ends.trailer.len};
            assert_int_equal(pw_trailer_at_end(whole), ends.trailer.len);
        }
    }
}

static void
what_is_left_of_a_trailer_is_told_from_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t zeros; /* behind them */
        bool remains;
    } cases[] = {
        {"", 0, false},       {"PWS", 0, false},    {"PWS0", 100, false},
        {"PWS:", 100, false}, {"PGP1", 100, false}, {"PWS1", 0, true},
        {"PWS2", 100, true},  {"PWS9", 361, true},  {"xPWPWS1", 0, true},
        {"PWS1", 508, true},  {"PWS1", 509, false},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        size_t len = strlen(cases[i].bytes);
        uint8_t *bytes = calloc(1, len + cases[i].zeros + 1);
        memcpy(bytes, cases[i].bytes, len);
        print_message("%s and %zu\n", cases[i].bytes, cases[i].zeros);
        assert_int_equal(pw_trailer_remains((struct pw_span){bytes, len + cases[i].zeros}),
                         cases[i].remains);
        free(bytes);
    }
    assert_false(pw_trailer_remains((struct pw_span){0}));
}

static void
a_state_has_the_word_of_the_audit_line(void **state)
{
    (void)state;
    static const struct {
        struct pw_sig_result result;
        const char *word;
    } cases[] = {
        {{.state = PW_SIG_NONE}, "none"},
        {{.state = PW_SIG_OK}, "ok"},
        {{.state = PW_SIG_UNDATED}, "ok_undated"},
        {{.state = PW_SIG_MISSING, .reason = PW_R_SIG_MISSING}, "missing"},
        {{.state = PW_SIG_BAD, .reason = PW_R_SIG_UNKNOWN_KEY}, "unknown_key"},
        {{.state = PW_SIG_BAD, .reason = PW_R_SIG_FORMAT}, "format"},
        {{.state = PW_SIG_BAD, .reason = PW_R_NONE}, "bad"},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        assert_string_equal(pw_sig_state_text(&cases[i].result), cases[i].word);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trailers_are_those_of_the_specification),
        cmocka_unit_test(a_signed_message_verifies_and_says_by_whom),
        cmocka_unit_test(who_has_only_the_public_half_verifies_but_cannot_sign),
        cmocka_unit_test(every_bit_of_a_trailer_counts),
        cmocka_unit_test(every_bit_of_every_frame_counts),
        cmocka_unit_test(a_moved_frame_boundary_is_refused),
        cmocka_unit_test(frames_dropped_added_or_swapped_are_refused),
        cmocka_unit_test(a_message_has_1_to_1024_frames),
        cmocka_unit_test(a_trailer_of_any_other_length_is_malformed),
        cmocka_unit_test(every_flag_and_every_unknown_suite_is_malformed),
        cmocka_unit_test(a_public_key_is_no_mac_key),
        cmocka_unit_test(a_key_that_is_not_in_the_ring_is_unknown),
        cmocka_unit_test(a_signature_is_for_one_channel_and_direction),
        cmocka_unit_test(a_flood_is_not_asked_about_without_end),
        cmocka_unit_test(a_key_signs_only_where_its_pattern_lets_it),
        cmocka_unit_test(a_signer_needs_a_key_and_a_channel),
        cmocka_unit_test(a_trailer_is_found_from_the_end),
        cmocka_unit_test(a_trailer_is_found_where_it_was_appended),
        cmocka_unit_test(what_is_left_of_a_trailer_is_told_from_none),
        cmocka_unit_test(a_state_has_the_word_of_the_audit_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
