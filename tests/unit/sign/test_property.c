/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing about a signed message can change: every bit, every frame boundary, every frame.
 * Exhaustive on small messages; at random, from a fixed seed, on large ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/sign/scheme.h"
#include "common/sign/sign.h"
#include "tests/unit/sign/keys.h"

/* `beside` messages stand before the one in question, and behind it, in its batch. */
static const struct signing {
    enum pw_suite suite;
    size_t beside;
} signings[] = {
    {PW_SUITE_HMAC_SHA256, 0},   {PW_SUITE_ED25519, 0},       {PW_SUITE_BLAKE2B, 0},
    {PW_SUITE_ED25519_BATCH, 0}, {PW_SUITE_ED25519_BATCH, 2},
};

static const uint64_t epoch = 1700000000000;
static const uint64_t now_ns = 1700000000123456789;

enum { SMALL_BYTES = 3, SMALL_FRAMES = 3, MANY = 48, LARGE_BYTES = 96 * 1024 };

/* A channel's two ends, and a message that one of them has signed. */
struct ends {
    struct pw_keyring *ring;
    struct pw_signer *signer;
    struct pw_verifier *verifier;
    uint8_t *bytes; /* of all frames, one behind the other */
    struct pw_span frames[MANY];
    size_t count;
    size_t beside;
    uint8_t trailer[PW_TRAILER_MAX];
    size_t trailer_len;
};

static void
close_ends(struct ends *ends)
{
    pw_signer_free(&ends->signer);
    pw_verifier_free(&ends->verifier);
    pw_keyring_free(&ends->ring);
    free(ends->bytes);
}

static void
open_ends(struct ends *ends, const struct signing *signing)
{
    struct pw_why why = {0};
    *ends = (struct ends){
        .ring = pw_keyring_new(),
        .bytes = malloc(LARGE_BYTES + 1),
        .beside = signing->beside,
    };
    struct pw_key *key = counting_key(signing->suite, "k", 1, "");
    assert_int_equal(pw_keyring_add(ends->ring, &key), PW_E_OK);
    ends->signer = pw_signer_new(ends->ring, "k", "jobs", PW_DIR_FORWARD, epoch, &why);
    ends->verifier = pw_verifier_new(ends->ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_non_null(ends->signer);
    assert_non_null(ends->verifier);
    assert_non_null(ends->bytes);
}

static bool
accepted_as(struct ends *ends, const struct pw_span *frames, size_t count, size_t len)
{
    struct pw_sig_result result;
    pw_verifier_check(ends->verifier, frames, count, (struct pw_span){ends->trailer, len},
                      &result);
    assert_int_equal(result.state == PW_SIG_OK, result.reason == PW_R_NONE);
    return result.state == PW_SIG_OK;
}

static bool
accepted(struct ends *ends, const struct pw_span *frames, size_t count)
{
    return accepted_as(ends, frames, count, ends->trailer_len);
}

static void
add(struct ends *ends, const struct pw_span *frames, size_t count)
{
    size_t slot;
    assert_int_equal(pw_signer_add(ends->signer, frames, count, now_ns, &slot), PW_E_OK);
}

static void
sign_in_batch(struct ends *ends)
{
    const struct pw_span other = pw_span_str("other");
    for (size_t i = 0; i <= 2 * ends->beside; i++) {
        if (i == ends->beside) {
            add(ends, ends->frames, ends->count);
        } else {
            add(ends, &other, 1);
        }
    }
    pw_signer_close(ends->signer);
    ends->trailer_len = pw_signer_trailer(ends->signer, ends->beside, ends->trailer);
}

/* Sign what lies in `frames`. What follows shows nothing unless this is accepted. */
static void
sign(struct ends *ends)
{
    if (ends->beside > 0) {
        sign_in_batch(ends);
    } else {
        assert_int_equal(
            pw_signer_sign(ends->signer, ends->frames, ends->count, now_ns, ends->trailer),
            PW_E_OK);
        ends->trailer_len = pw_signer_trailer_size(ends->signer);
    }
    assert_true(accepted(ends, ends->frames, ends->count));
}

static void
set_count(struct ends *ends, size_t count)
{
    ends->trailer[6] = (uint8_t)(count >> 8);
    ends->trailer[7] = (uint8_t)count;
}

/* Neither as it is nor with the trailer's count set to what is there. */
static void
refused_either_way(struct ends *ends, const struct pw_span *frames, size_t count)
{
    assert_false(accepted(ends, frames, count));
    set_count(ends, count);
    assert_false(accepted(ends, frames, count));
    set_count(ends, ends->count);
}

/* Cut `len` bytes into `count` frames at the places `cuts`. */
static void
cut_frames(struct ends *ends, const size_t *cuts, size_t count, size_t len,
           struct pw_span *out)
{
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        size_t until = i + 1 == count ? len : cuts[i];
        out[i] = (struct pw_span){ends->bytes + from, until - from};
        from = until;
    }
}

/* The next way to place `count` cuts, in order, into `len` bytes; false after the last. */
static bool
next_cuts(size_t *cuts, size_t count, size_t len)
{
    for (size_t i = count; i-- > 0;) {
        if (cuts[i] < len) {
            size_t place = cuts[i] + 1;
            for (size_t j = i; j < count; j++) {
                cuts[j] = place;
            }
            return true;
        }
    }
    return false;
}

/* Every small message: up to SMALL_FRAMES frames of up to SMALL_BYTES bytes together. */
static void
each_small_message(struct ends *ends, void (*attack)(struct ends *ends, size_t len))
{
    static const uint8_t contents[] = "\x80N.";
    memcpy(ends->bytes, contents, SMALL_BYTES);
    for (ends->count = 1; ends->count <= SMALL_FRAMES; ends->count++) {
        for (size_t len = 0; len <= SMALL_BYTES; len++) {
            size_t cuts[SMALL_FRAMES] = {0};
            do {
                cut_frames(ends, cuts, ends->count, len, ends->frames);
                sign(ends);
                attack(ends, len);
                assert_true(accepted(ends, ends->frames, ends->count));
            } while (next_cuts(cuts, ends->count - 1, len));
        }
    }
}

static void
each_signing(void (*attack)(struct ends *ends, size_t len))
{
    for (size_t i = 0; i < PW_COUNT(signings); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, &signings[i]);
        each_small_message(&ends, attack);
    }
}

static void
flip_every_bit(struct ends *ends, size_t len)
{
    for (size_t bit = 0; bit < 8 * len; bit++) {
        ends->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(accepted(ends, ends->frames, ends->count));
        ends->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * ends->trailer_len; bit++) {
        ends->trailer[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(accepted(ends, ends->frames, ends->count));
        ends->trailer[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void
any_changed_bit_is_refused(void **state)
{
    (void)state;
    each_signing(flip_every_bit);
}

static bool
same_frames(const struct ends *ends, const struct pw_span *frames, size_t count)
{
    bool same = count == ends->count;
    for (size_t i = 0; i < count && same; i++) {
        same = pw_span_equal(frames[i], ends->frames[i]);
    }
    return same;
}

/* The same bytes in every other number of frames and with every other boundary. */
static void
cut_every_other_way(struct ends *ends, size_t len)
{
    for (size_t count = 1; count <= SMALL_FRAMES + 1; count++) {
        size_t cuts[SMALL_FRAMES + 1] = {0};
        do {
            struct pw_span other[SMALL_FRAMES + 1];
            cut_frames(ends, cuts, count, len, other);
            if (same_frames(ends, other, count)) {
                assert_true(accepted(ends, other, count));
            } else {
                refused_either_way(ends, other, count);
            }
        } while (next_cuts(cuts, count - 1, len));
    }
}

static void
any_moved_boundary_is_refused(void **state)
{
    (void)state;
    each_signing(cut_every_other_way);
}

/* Every selection of the frames in every order, some twice and some not at all. */
static void
rearrange_every_way(struct ends *ends, size_t len)
{
    (void)len;
    for (size_t count = 1; count <= SMALL_FRAMES + 1; count++) {
        size_t ways = 1;
        for (size_t i = 0; i < count; i++) {
            ways *= ends->count;
        }
        for (size_t way = 0; way < ways; way++) {
            struct pw_span other[SMALL_FRAMES + 1];
            size_t rest = way;
            for (size_t i = 0; i < count; i++) {
                other[i] = ends->frames[rest % ends->count];
                rest /= ends->count;
            }
            if (same_frames(ends, other, count)) {
                assert_true(accepted(ends, other, count));
            } else {
                refused_either_way(ends, other, count);
            }
        }
    }
}

static void
frames_in_any_other_order_or_number_are_refused(void **state)
{
    (void)state;
    each_signing(rearrange_every_way);
}

/* One more frame, empty or of one byte, in every place. */
static void
add_a_frame(struct ends *ends, size_t len)
{
    (void)len;
    static const uint8_t zero[1] = {0};
    for (size_t place = 0; place <= ends->count; place++) {
        for (size_t size = 0; size <= 1; size++) {
            struct pw_span more[SMALL_FRAMES + 1];
            for (size_t i = 0; i < ends->count; i++) {
                more[i < place ? i : i + 1] = ends->frames[i];
            }
            more[place] = (struct pw_span){zero, size};
            refused_either_way(ends, more, ends->count + 1);
        }
    }
}

static void
any_added_frame_is_refused(void **state)
{
    (void)state;
    each_signing(add_a_frame);
}

static void
cut_the_trailer(struct ends *ends, size_t len)
{
    (void)len;
    for (size_t shorter = 0; shorter < ends->trailer_len; shorter++) {
        assert_false(accepted_as(ends, ends->frames, ends->count, shorter));
    }
}

static void
any_shorter_trailer_is_refused(void **state)
{
    (void)state;
    each_signing(cut_the_trailer);
}

/* ---- large messages -------------------------------------------------------------------
 */

static uint64_t seed;

/* splitmix64: any numbers will do, as long as they are the same each time. */
static uint64_t
draw(uint64_t below)
{
    seed += 0x9e3779b97f4a7c15;
    uint64_t value = seed;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return (value ^ value >> 31) % below;
}

/* A few of them empty, most of one size, one sometimes far larger. */
static void
draw_message(struct ends *ends)
{
    size_t from = 0;
    ends->count = 2 + draw(MANY - 3);
    for (size_t i = 0; i < ends->count; i++) {
        size_t size = draw(5) == 0 ? 0 : draw(i == 0 ? LARGE_BYTES / 2 : 600);
        ends->frames[i] = (struct pw_span){ends->bytes + from, size};
        from += size;
    }
    for (size_t i = 0; i < from; i++) {
        ends->bytes[i] = (uint8_t)draw(256);
    }
}

static void
flip_a_bit(struct ends *ends)
{
    const struct pw_span *last = &ends->frames[ends->count - 1];
    size_t len = (size_t)(last->ptr - ends->bytes) + last->len;
    size_t bit = draw(8 * (len + ends->trailer_len));
    uint8_t *byte = bit / 8 < len ? &ends->bytes[bit / 8] : &ends->trailer[bit / 8 - len];
    *byte ^= (uint8_t)(1U << bit % 8);
    assert_false(accepted(ends, ends->frames, ends->count));
    *byte ^= (uint8_t)(1U << bit % 8);
}

/* From one frame to its neighbour; nothing to move between two that are empty. */
static void
move_a_boundary(struct ends *ends)
{
    struct pw_span moved[MANY];
    size_t at = draw(ends->count - 1);
    memcpy(moved, ends->frames, sizeof moved);
    size_t both = moved[at].len + moved[at + 1].len;
    if (both == 0) {
        return;
    }
    size_t len = (moved[at].len + 1 + draw(both)) % (both + 1); /* any other */
    moved[at].len = len;
    moved[at + 1] = (struct pw_span){moved[at].ptr + len, both - len};
    refused_either_way(ends, moved, ends->count);
}

static void
swap_frames(struct ends *ends)
{
    struct pw_span swapped[MANY];
    size_t a = draw(ends->count);
    size_t b = draw(ends->count);
    memcpy(swapped, ends->frames, sizeof swapped);
    swapped[a] = ends->frames[b];
    swapped[b] = ends->frames[a];
    if (!same_frames(ends, swapped, ends->count)) {
        refused_either_way(ends, swapped, ends->count);
    }
}

static void
drop_a_frame(struct ends *ends)
{
    struct pw_span fewer[MANY];
    size_t at = draw(ends->count);
    memcpy(fewer, ends->frames, sizeof fewer);
    memmove(fewer + at, fewer + at + 1, (ends->count - at - 1) * sizeof *fewer);
    refused_either_way(ends, fewer, ends->count - 1);
}

static void
repeat_a_frame(struct ends *ends)
{
    struct pw_span more[MANY + 1];
    size_t at = draw(ends->count);
    memcpy(more, ends->frames, sizeof ends->frames);
    memmove(more + at + 1, more + at, (ends->count - at) * sizeof *more);
    refused_either_way(ends, more, ends->count + 1);
}

static void
random_changes_of_large_messages_are_refused(void **state)
{
    (void)state;
    static void (*const attacks[])(struct ends *) = {
        flip_a_bit, move_a_boundary, swap_frames, drop_a_frame, repeat_a_frame};
    for (size_t i = 0; i < PW_COUNT(signings); i++) {
        PW_CLEANUP(close_ends) struct ends ends;
        open_ends(&ends, &signings[i]);
        seed = 1;
        for (int message = 0; message < 40; message++) {
            draw_message(&ends);
            sign(&ends);
            for (int turn = 0; turn < 20; turn++) {
                attacks[turn % (int)PW_COUNT(attacks)](&ends);
            }
            assert_true(accepted(&ends, ends.frames, ends.count));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(any_moved_boundary_is_refused),
        cmocka_unit_test(frames_in_any_other_order_or_number_are_refused),
        cmocka_unit_test(any_added_frame_is_refused),
        cmocka_unit_test(any_shorter_trailer_is_refused),
        cmocka_unit_test(random_changes_of_large_messages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
