/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"

/* --- the window ---------------------------------------------------------------------- */

enum { W = PW_WINDOW_SIZE, END = 0 };

static bool
offer(struct pw_window *window, uint64_t seq)
{
    bool fresh = pw_window_fresh(window, seq);
    if (fresh) {
        pw_window_take(window, seq);
    }
    return fresh;
}

/* Numbers in the order of their arrival, and whether each is new. */
static const struct {
    const char *name;
    struct {
        uint64_t seq;
        bool fresh;
    } steps[8];
} window_cases[] = {
    {"a number is new once", {{1, true}, {1, false}, {2, true}, {2, false}, {1, false}}},
    {"there is no number 0", {{5, true}, {4, true}}},
    {"gaps can be filled", {{9, true}, {3, true}, {3, false}, {9, false}, {1, true}}},
    {"the last that can be told", {{W + 1, true}, {1, true}, {1, false}}},
    {"one further cannot", {{W + 2, true}, {1, false}, {2, true}, {2, false}}},
    {"at the end of a block", {{W + 63, true}, {63, true}, {62, false}, {64, true}}},
    {"at the start of a block", {{W + 64, true}, {64, true}, {63, false}, {65, true}}},
    {"one step beyond leaves one",
     {{1, true}, {W + 1, true}, {1, false}, {W + 2, true}, {2, true}, {1, false}}},
    {"a jump of a window forgets none that it holds",
     {{100, true}, {100 + W, true}, {100, false}, {101, true}, {99, false}}},
    {"a jump of a ring empties it",
     {{64, true}, {64 + 8192, true}, {128, true}, {192, true}, {64, false}}},
    {"the oldest block is emptied too",
     {{130, true}, {129 * 64, true}, {257 * 64, true}, {130 * 64 + 2, true}}},
    {"a jump of many rings",
     {{77, true},
      {UINT64_C(1) << 40, true},
      {(UINT64_C(1) << 40) - W, true},
      {(UINT64_C(1) << 40) - W - 1, false},
      {(UINT64_C(1) << 40) - W, false},
      {77, false}}},
    {"the largest number there is",
     {{UINT64_MAX - 1, true},
      {UINT64_MAX, true},
      {UINT64_MAX, false},
      {UINT64_MAX - W, true},
      {UINT64_MAX - W - 1, false},
      {1, false}}},
    {"backwards over the edge of a block",
     {{130, true}, {129, true}, {128, true}, {127, true}, {128, false}, {127, false}}},
};

static void
a_window_tells_what_is_new(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(window_cases); i++) {
        struct pw_window window = {0};
        assert_false(pw_window_fresh(&window, 0));
        for (size_t j = 0; window_cases[i].steps[j].seq != END; j++) {
            uint64_t seq = window_cases[i].steps[j].seq;
            if (offer(&window, seq) != window_cases[i].steps[j].fresh) {
                fail_msg("%s: step %zu", window_cases[i].name, j);
            }
            assert_false(pw_window_fresh(&window, 0));
        }
    }
}

static void
a_window_that_starts_later_has_seen_all_before(void **state)
{
    (void)state;
    for (uint64_t top = 0; top < 200; top++) {
        struct pw_window window;
        pw_window_start(&window, top);
        for (uint64_t seq = 0; seq <= top; seq++) {
            assert_false(pw_window_fresh(&window, seq));
        }
        assert_true(offer(&window, top + 130));
        assert_false(pw_window_fresh(&window, top));
        for (uint64_t seq = top + 1; seq < top + 130; seq++) {
            assert_true(offer(&window, seq));
            assert_false(offer(&window, seq));
        }
    }
}

static uint64_t
random_step(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Every answer beside that of a list that remembers each number. */
static void
compare_with_a_list(uint64_t seed, uint64_t jump)
{
    enum { MOST = 1 << 20 };
    bool *taken = calloc(MOST, 1);
    assert_non_null(taken);
    struct pw_window window = {0};
    uint64_t top = 0;
    for (size_t i = 0; i < 60000; i++) {
        uint64_t back = random_step(&seed) % (W + 200);
        uint64_t seq = random_step(&seed) % 4 != 0 ? top + 1 + random_step(&seed) % jump
                                                   : (back < top ? top - back : 1);
        seq = seq < MOST ? seq : MOST - 1;
        bool fresh = seq > top || (top - seq <= W && !taken[seq]);
        assert_int_equal(offer(&window, seq), fresh);
        taken[seq] = true;
        top = seq > top ? seq : top;
    }
    free(taken);
}

static void
a_window_answers_as_a_list_of_all_numbers_would(void **state)
{
    (void)state;
    static const uint64_t jumps[] = {1, 2, 40, 64, 65, 700, 9000};
    for (size_t i = 0; i < PW_COUNT(jumps); i++) {
        compare_with_a_list(UINT64_C(88172645463325252) + i, jumps[i]);
    }
}

/* --- senders ------------------------------------------------------------------------- */

static struct pw_replay replay; /* too large for a stack */

static struct pw_claim
claim_of(uint32_t key, uint64_t epoch, uint64_t seq)
{
    static uint8_t id[8];
    memset(id, 0, sizeof id);
    memcpy(id, &key, sizeof key);
    return (struct pw_claim){id, epoch, seq, 0};
}

/* What the guard does, without a disk. */
static enum pw_replay_answer
hear(uint32_t key, uint64_t epoch, uint64_t seq)
{
    struct pw_claim claim = claim_of(key, epoch, seq);
    struct pw_sender *sender = NULL;
    enum pw_replay_answer answer = pw_replay_ask(&replay, &claim, &sender);
    if (answer == PW_REPLAY_FRESH) {
        sender = sender != NULL ? sender : pw_replay_add(&replay, claim.key_id, epoch, 0);
        pw_replay_take(&replay, sender, &claim);
    }
    return answer;
}

static const struct {
    const char *name;
    struct {
        uint32_t key;
        uint64_t epoch;
        uint64_t seq;
        enum pw_replay_answer answer;
    } steps[8];
} sender_cases[] = {
    {"each epoch counts for itself",
     {{1, 10, 1, PW_REPLAY_FRESH},
      {1, 11, 1, PW_REPLAY_FRESH},
      {1, 10, 1, PW_REPLAY_SEEN},
      {1, 11, 1, PW_REPLAY_SEEN}}},
    {"each key counts for itself",
     {{1, 10, 1, PW_REPLAY_FRESH}, {2, 9, 1, PW_REPLAY_FRESH}, {2, 9, 1, PW_REPLAY_SEEN}}},
    {"the end of an epoch that was heard may come behind the start of the next",
     {{1, 10, 1, PW_REPLAY_FRESH},
      {1, 11, 1, PW_REPLAY_FRESH},
      {1, 10, 2, PW_REPLAY_FRESH},
      {1, 10, 2, PW_REPLAY_SEEN}}},
    {"an older epoch that was never heard is refused",
     {{1, 10, 1, PW_REPLAY_FRESH}, {1, 9, 7, PW_REPLAY_EPOCH}, {1, 9, 8, PW_REPLAY_EPOCH}}},
    {"there is no epoch 0", {{1, 0, 1, PW_REPLAY_EPOCH}, {1, 1, 1, PW_REPLAY_FRESH}}},
    {"there is no number 0",
     {{1, 1, 0, PW_REPLAY_SEEN}, {1, 1, 1, PW_REPLAY_FRESH}, {1, 1, 0, PW_REPLAY_SEEN}}},
};

static void
senders_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(sender_cases); i++) {
        replay = (struct pw_replay){0};
        for (size_t j = 0; sender_cases[i].steps[j].key != 0; j++) {
            if (hear(sender_cases[i].steps[j].key, sender_cases[i].steps[j].epoch,
                     sender_cases[i].steps[j].seq) != sender_cases[i].steps[j].answer) {
                fail_msg("%s: step %zu", sender_cases[i].name, j);
            }
        }
    }
}

static void
a_question_changes_nothing(void **state)
{
    (void)state;
    replay = (struct pw_replay){0};
    assert_int_equal(hear(1, 10, 5), PW_REPLAY_FRESH);
    struct pw_claim claim = claim_of(1, 10, 4);
    struct pw_sender *sender = NULL;
    assert_int_equal(pw_replay_ask(&replay, &claim, &sender), PW_REPLAY_FRESH);
    assert_int_equal(pw_replay_ask(&replay, &claim, &sender), PW_REPLAY_FRESH);
    claim = claim_of(2, 10, 4);
    assert_int_equal(pw_replay_ask(&replay, &claim, &sender), PW_REPLAY_FRESH);
    assert_null(sender);
    assert_int_equal(replay.count, 1);
}

static void
a_sender_that_loses_its_window_keeps_its_highest_number(void **state)
{
    (void)state;
    replay = (struct pw_replay){0};
    assert_int_equal(hear(1, 10, 5), PW_REPLAY_FRESH);
    for (uint32_t key = 2; key <= 1 + PW_REPLAY_WINDOWS; key++) {
        assert_int_equal(hear(key, 10, 5), PW_REPLAY_FRESH);
    }
    assert_int_equal(hear(1, 10, 5), PW_REPLAY_SEEN);
    assert_int_equal(hear(1, 10, 4), PW_REPLAY_SEEN); /* cannot be told any more */
    assert_int_equal(hear(1, 10, 6), PW_REPLAY_FRESH);
    assert_int_equal(hear(1, 10, 6), PW_REPLAY_SEEN);
    /* The one used longest ago is without now, and the others still tell gaps. */
    assert_int_equal(hear(2, 10, 4), PW_REPLAY_SEEN);
    assert_int_equal(hear(3, 10, 4), PW_REPLAY_FRESH);
}

static void
old_epochs_of_one_key_make_room_before_other_keys_do(void **state)
{
    (void)state;
    replay = (struct pw_replay){0};
    assert_int_equal(hear(7, 5, 9), PW_REPLAY_FRESH);
    for (uint64_t epoch = 10; epoch < 10 + 3 * PW_REPLAY_SENDERS; epoch++) {
        assert_int_equal(hear(1, epoch, 1), PW_REPLAY_FRESH);
    }
    assert_int_equal(replay.count, PW_REPLAY_SENDERS);
    assert_int_equal(replay.floor, 0);
    /* The other key has kept even its window. */
    assert_int_equal(hear(7, 5, 9), PW_REPLAY_SEEN);
    assert_int_equal(hear(7, 5, 8), PW_REPLAY_FRESH);
    /* No epoch of the first key is new again, remembered or not. */
    for (uint64_t epoch = 10; epoch < 10 + 3 * PW_REPLAY_SENDERS; epoch++) {
        assert_int_not_equal(hear(1, epoch, 1), PW_REPLAY_FRESH);
    }
}

static void
a_forgotten_key_is_refused_up_to_its_epoch(void **state)
{
    (void)state;
    replay = (struct pw_replay){0};
    for (uint32_t key = 1; key <= PW_REPLAY_SENDERS; key++) {
        assert_int_equal(hear(key, 1000 + key, 1), PW_REPLAY_FRESH);
    }
    assert_int_equal(replay.floor, 0);
    assert_int_equal(hear(5000, 5000, 1), PW_REPLAY_FRESH);
    assert_int_equal(replay.floor, 1001); /* of key 1, used longest ago */
    assert_int_equal(hear(1, 1001, 1), PW_REPLAY_EPOCH);
    assert_int_equal(hear(1, 1001, 2), PW_REPLAY_EPOCH);
    for (uint32_t key = 2; key <= PW_REPLAY_SENDERS; key++) {
        assert_int_equal(hear(key, 1000 + key, 1), PW_REPLAY_SEEN);
    }
    assert_int_equal(hear(1, 1002, 1), PW_REPLAY_FRESH);
}

/* Nothing is ever taken twice, whatever else is heard. */
static void
no_number_is_taken_twice_in_any_traffic(void **state)
{
    (void)state;
    enum { KEYS = 1500, EPOCHS = 3, NUMBERS = 40 };
    static uint8_t taken[KEYS][EPOCHS][NUMBERS];
    replay = (struct pw_replay){0};
    uint64_t seed = 88172645463325252, count = 0;
    for (size_t i = 0; i < 200000; i++) {
        uint32_t key = (uint32_t)(random_step(&seed) % (i % 3 == 0 ? KEYS : 20));
        uint64_t epoch = random_step(&seed) % EPOCHS;
        uint64_t seq = random_step(&seed) % NUMBERS;
        if (hear(key + 1, epoch + 1, seq + 1) == PW_REPLAY_FRESH) {
            assert_int_equal(taken[key][epoch][seq]++, 0);
            count++;
        }
    }
    assert_true(count > 2000 && replay.floor > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_tells_what_is_new),
        cmocka_unit_test(a_window_that_starts_later_has_seen_all_before),
        cmocka_unit_test(a_window_answers_as_a_list_of_all_numbers_would),
        cmocka_unit_test(senders_are_told_apart),
        cmocka_unit_test(a_question_changes_nothing),
        cmocka_unit_test(a_sender_that_loses_its_window_keeps_its_highest_number),
        cmocka_unit_test(old_epochs_of_one_key_make_room_before_other_keys_do),
        cmocka_unit_test(a_forgotten_key_is_refused_up_to_its_epoch),
        cmocka_unit_test(no_number_is_taken_twice_in_any_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
