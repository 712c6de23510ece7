/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/fail_alloc.h"

enum { NAMES = 40, CHANNELS = 3, STEPS = 20000 };

static void
name_of(unsigned number, uint8_t name[static PW_ACCOUNT_NAME])
{
    memset(name, 0, PW_ACCOUNT_NAME);
    memcpy(name, &number, sizeof number);
}

static uint32_t
channel_of(struct pw_account *account, unsigned number)
{
    char text[8];
    uint32_t channel = 0;
    snprintf(text, sizeof text, "c%u", number);
    assert_int_equal(pw_account_reserve(account, text, &channel), PW_E_OK);
    return channel;
}

static void
an_object_counts_once_for_all_and_once_for_each_channel(void **state)
{
    (void)state;
    struct pw_account account = {.room = 0};
    uint8_t name[PW_ACCOUNT_NAME];
    name_of(7, name);
    uint32_t a = channel_of(&account, 1), b = channel_of(&account, 2);
    assert_int_equal(pw_account_uses(&account, name, PW_ACCOUNT_ALL), 0);
    pw_account_enter(&account, name, a, 100);
    pw_account_enter(&account, name, a, 100);
    pw_account_enter(&account, name, b, 100);
    assert_int_equal(account.channels[PW_ACCOUNT_ALL].bytes, 100);
    assert_int_equal(account.channels[a].bytes, 100);
    assert_int_equal(account.channels[b].bytes, 100);
    assert_false(pw_account_leave(&account, name, a));
    assert_int_equal(account.channels[a].bytes, 100);
    assert_false(pw_account_leave(&account, name, a));
    assert_int_equal(account.channels[a].bytes, 0);
    assert_int_equal(account.channels[PW_ACCOUNT_ALL].bytes, 100);
    assert_true(pw_account_leave(&account, name, b));
    assert_int_equal(account.channels[PW_ACCOUNT_ALL].bytes, 0);
    assert_false(pw_account_leave(&account, name, b));
    assert_int_equal(account.used, 0);
    pw_account_free(&account);
}

static void
it_agrees_with_a_plain_table_over_any_history(void **state)
{
    (void)state;
    struct pw_account account = {.room = 0};
    unsigned uses[NAMES][CHANNELS] = {{0}};
    uint64_t random = 88172645463325252u; /* xorshift: the same history every time */
    for (unsigned step = 0; step < STEPS; step++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        unsigned n = random % NAMES, c = random / NAMES % CHANNELS;
        uint8_t name[PW_ACCOUNT_NAME];
        name_of(n, name);
        uint32_t channel = channel_of(&account, c);
        unsigned all = uses[n][0] + uses[n][1] + uses[n][2];
        assert_int_equal(pw_account_uses(&account, name, PW_ACCOUNT_ALL), all);
        assert_int_equal(pw_account_uses(&account, name, channel), uses[n][c]);
        if (random >> 40 & 1) {
            pw_account_enter(&account, name, channel, n + 1);
            uses[n][c]++;
        } else if (uses[n][c] > 0) {
            uses[n][c]--;
            assert_int_equal(pw_account_leave(&account, name, channel), all == 1);
        }
    }
    uint64_t bytes = 0;
    for (unsigned n = 0; n < NAMES; n++) {
        bytes += uses[n][0] + uses[n][1] + uses[n][2] > 0 ? n + 1 : 0;
    }
    assert_int_equal(account.channels[PW_ACCOUNT_ALL].bytes, bytes);
    pw_account_free(&account);
}

static void
fill(void *arg)
{
    struct pw_account *account = arg;
    *account = (struct pw_account){.room = 0};
    for (unsigned i = 0; i < 300; i++) {
        uint8_t name[PW_ACCOUNT_NAME];
        uint32_t channel = 0;
        name_of(i, name);
        if (pw_account_reserve(account, i % 2 == 0 ? "a" : "b", &channel) != PW_E_OK) {
            assert_true(fail_alloc_happened());
            assert_int_equal(pw_account_uses(account, name, PW_ACCOUNT_ALL), 0);
            break;
        }
        pw_account_enter(account, name, channel, 1);
    }
    pw_account_free(account);
}

static void
out_of_memory_leaves_it_as_it_was(void **state)
{
    (void)state;
    struct pw_account account;
    size_t n = 1;
    while (fail_alloc_round(n, fill, &account)) {
        n++;
    }
    assert_in_range(n, 5, 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_counts_once_for_all_and_once_for_each_channel),
        cmocka_unit_test(it_agrees_with_a_plain_table_over_any_history),
        cmocka_unit_test(out_of_memory_leaves_it_as_it_was),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
