/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key may still do: its status, its time, and the list that revokes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/sign/sign.h"
#include "tests/unit/sign/keys.h"

#define HEAD "picklewall-key: 1\nsuite: hmac-sha256\nid: a\nrole: sign\n"
#define SECRET "secret: PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyDMBF5A\n"
#define HEX "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"

static const uint64_t second = 1000000000;

struct time_case {
    const char *text;
    bool good;
    uint64_t seconds;
};

/* The numbers are those of `date -u -d TEXT +%s`. */
static const struct time_case time_cases[] = {
    {"1970-01-01T00:00:00Z", true, 0},
    {"1970-01-01T00:00:01Z", true, 1},
    {"2000-02-29T23:59:59Z", true, 951868799},
    {"2027-01-31T12:00:00Z", true, 1801396800},
    {"2028-02-29T00:00:00Z", true, 1835395200},
    {"2100-02-28T00:00:00Z", true, 4107456000},
    {"2553-12-31T23:59:59Z", true, 18429292799},
    {"2554-01-01T00:00:00Z", false, 0},
    {"1969-12-31T23:59:59Z", false, 0},
    {"9999-12-31T23:59:59Z", false, 0},
    {"2027-02-29T00:00:00Z", false, 0},
    {"2100-02-29T00:00:00Z", false, 0},
    {"2027-04-31T00:00:00Z", false, 0},
    {"2027-00-10T00:00:00Z", false, 0},
    {"2027-13-10T00:00:00Z", false, 0},
    {"2027-01-00T00:00:00Z", false, 0},
    {"2027-01-32T00:00:00Z", false, 0},
    {"2027-01-31T24:00:00Z", false, 0},
    {"2027-01-31T12:60:00Z", false, 0},
    {"2027-01-31T12:00:60Z", false, 0},
    {"2027-01-31T12:00:00", false, 0},
    {"2027-01-31T12:00:00z", false, 0},
    {"2027-01-31t12:00:00Z", false, 0},
    {"2027-01-31 12:00:00Z", false, 0},
    {"2027-01-31T12:00:00+00:00", false, 0},
    {"2027-01-31T12:00:00.5Z", false, 0},
    {"2027-01-31T12:00:00Z ", false, 0},
    {"2027-01-31T12:00Z", false, 0},
    {"2027/01/31T12:00:00Z", false, 0},
    {"27-01-31T12:00:00Z", false, 0},
    {"+027-01-31T12:00:00Z", false, 0},
    {"2027-1-31T12:00:00Z", false, 0},
    {"", false, 0},
    {"Z", false, 0},
};

static void
a_time_has_one_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(time_cases); i++) {
        const struct time_case *c = &time_cases[i];
        uint64_t ns = 7;
        char back[PW_KEY_TIME_TEXT];
        print_message("\"%s\"\n", c->text);
        assert_int_equal(pw_key_time_parse(pw_span_str(c->text), &ns), c->good);
        assert_int_equal(ns, c->good ? c->seconds * second : 7);
        if (c->good) {
            pw_key_time_format(ns, back);
            assert_string_equal(back, c->text);
        }
    }
}

#define FOR_EVER                                                                           \
    {                                                                                      \
        0, PW_KEY_FOR_EVER                                                                 \
    }

struct standing_case {
    const char *name;
    const char *lines;
    enum pw_key_status status;
    struct pw_key_validity validity;
};

static const struct standing_case standing_cases[] = {
    {"nothing said", "", PW_KEY_ACTIVE, FOR_EVER},
    {"active", "status: active\n", PW_KEY_ACTIVE, FOR_EVER},
    {"verify_only", "status:verify_only\n", PW_KEY_VERIFY_ONLY, FOR_EVER},
    {"retired", "status:   retired  \n", PW_KEY_RETIRED, FOR_EVER},
    {"revoked", "status: revoked\n", PW_KEY_REVOKED, FOR_EVER},
    {"a beginning",
     "not_before: 2027-01-31T12:00:00Z\n",
     PW_KEY_ACTIVE,
     {1801396800000000000, PW_KEY_FOR_EVER}},
    {"an end",
     "not_after: 2027-01-31T12:00:00Z\n",
     PW_KEY_ACTIVE,
     {0, 1801396800000000000}},
    {"both, the end first",
     "not_after: 2028-02-29T00:00:00Z\nstatus: verify_only\n"
     "not_before: 2027-01-31T12:00:00Z\n",
     PW_KEY_VERIFY_ONLY,
     {1801396800000000000, 1835395200000000000}},
};

static void
a_file_says_what_its_key_may_do_and_when(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(standing_cases); i++) {
        const struct standing_case *c = &standing_cases[i];
        char text[600];
        struct pw_why why = {0};
        print_message("%s\n", c->name);
        snprintf(text, sizeof text, HEAD "%s" SECRET, c->lines);
        PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_parse(pw_span_str(text), &why);
        assert_string_equal(why.text, "");
        assert_int_equal(pw_key_status(key), c->status);
        assert_int_equal(pw_key_validity(key).from, c->validity.from);
        assert_int_equal(pw_key_validity(key).until, c->validity.until);

        PW_CLEANUP(pw_buf_free) struct pw_buf again = {.limit = 4096};
        assert_int_equal(pw_key_format(key, &again), PW_E_OK);
        PW_CLEANUP(pw_key_free)
        struct pw_key *copy = pw_key_parse(pw_buf_span(&again), NULL);
        assert_int_equal(pw_key_status(copy), c->status);
        assert_int_equal(pw_key_validity(copy).from, c->validity.from);
        assert_int_equal(pw_key_validity(copy).until, c->validity.until);
    }
}

struct usable_case {
    const char *name;
    enum pw_key_status status;
    struct pw_key_validity validity;
    uint64_t now;
    enum pw_reason verify;
    enum pw_reason sign;
};

/* clang-format off */
static const struct usable_case usable_cases[] = {
    {"active", PW_KEY_ACTIVE, FOR_EVER, 5, PW_R_NONE, PW_R_NONE},
    {"verify_only", PW_KEY_VERIFY_ONLY, FOR_EVER, 5, PW_R_NONE, PW_R_SIG_RETIRED},
    {"retired", PW_KEY_RETIRED, FOR_EVER, 5, PW_R_SIG_RETIRED, PW_R_SIG_RETIRED},
    {"revoked", PW_KEY_REVOKED, FOR_EVER, 5, PW_R_SIG_REVOKED, PW_R_SIG_REVOKED},
    {"just before it begins", PW_KEY_ACTIVE, {5, 9}, 4, PW_R_SIG_NOT_YET, PW_R_SIG_NOT_YET},
    {"when it begins", PW_KEY_ACTIVE, {5, 9}, 5, PW_R_NONE, PW_R_NONE},
    {"just before it ends", PW_KEY_ACTIVE, {5, 9}, 8, PW_R_NONE, PW_R_NONE},
    {"when it ends", PW_KEY_ACTIVE, {5, 9}, 9, PW_R_SIG_KEY_EXPIRED, PW_R_SIG_KEY_EXPIRED},
    {"revoked and not begun", PW_KEY_REVOKED, {5, 9}, 1, PW_R_SIG_REVOKED, PW_R_SIG_REVOKED},
    {"retired and ended", PW_KEY_RETIRED, {5, 9}, 20, PW_R_SIG_RETIRED, PW_R_SIG_RETIRED},
    {"verify_only and ended", PW_KEY_VERIFY_ONLY, {5, 9}, 20, PW_R_SIG_KEY_EXPIRED, PW_R_SIG_RETIRED},
    {"the end of all clocks", PW_KEY_ACTIVE, FOR_EVER, UINT64_MAX - 1, PW_R_NONE, PW_R_NONE},
};
/* clang-format on */

static void
a_key_is_usable_by_status_and_time(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free) struct pw_key *key = counting_key(PW_SUITE_BLAKE2B, "a", 1, "");
    for (size_t i = 0; i < PW_COUNT(usable_cases); i++) {
        const struct usable_case *c = &usable_cases[i];
        print_message("%s\n", c->name);
        pw_key_set_status(key, c->status);
        assert_int_equal(pw_key_set_validity(key, c->validity, NULL), PW_E_OK);
        assert_int_equal(pw_key_usable(key, c->now, false), c->verify);
        assert_int_equal(pw_key_usable(key, c->now, true), c->sign);
    }
    struct pw_why why = {0};
    struct pw_key_validity wrong = {9, 9};
    assert_int_equal(pw_key_set_validity(key, wrong, &why), PW_E_FORMAT);
    assert_non_null(strstr(why.text, "not later than not_before"));
    assert_int_equal(pw_key_validity(key).until, PW_KEY_FOR_EVER);
}

static void
a_revoked_key_stays_revoked(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free) struct pw_key *key = counting_key(PW_SUITE_ED25519, "a", 1, "");
    pw_key_revoke(key);
    assert_int_equal(pw_key_status(key), PW_KEY_REVOKED);
    pw_key_set_status(key, PW_KEY_ACTIVE);
    assert_int_equal(pw_key_usable(key, 5, false), PW_R_SIG_REVOKED);
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    assert_int_equal(pw_key_status(half), PW_KEY_REVOKED);
}

struct hex_case {
    const char *name;
    const char *text;
    const char *why; /* NULL: a key */
};

static const struct hex_case hex_cases[] = {
    {"digits alone", HEX, NULL},
    {"a line end", HEX "\n", NULL},
    {"the line end of another system", HEX "\r\n", NULL},
    {"capitals", "0102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F20", NULL},
    {"empty", "", "1: not 64 hexadecimal digits"},
    {"only a line end", "\n", "1: not 64 hexadecimal digits"},
    {"a digit less", "102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
     "1: not 64 hexadecimal digits"},
    {"a digit more", HEX "0", "1: not 64 hexadecimal digits"},
    {"two line ends", HEX "\n\n", "1: not 64 hexadecimal digits"},
    {"a space in front", " " HEX, "1: not 64 hexadecimal digits"},
    {"a prefix", "0x" HEX, "1: not 64 hexadecimal digits"},
    {"a letter", "g102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
     "1: not 64 hexadecimal digits"},
    {"zeros", "0000000000000000000000000000000000000000000000000000000000000000",
     "1: the key is all zeros"},
};

static void
sixty_four_digits_are_a_bare_key(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free)
    struct pw_key *same = counting_key(PW_SUITE_HMAC_SHA256, "b", 1, "");
    for (size_t i = 0; i < PW_COUNT(hex_cases); i++) {
        const struct hex_case *c = &hex_cases[i];
        struct pw_why why = {0};
        print_message("%s\n", c->name);
        PW_CLEANUP(pw_key_free)
        struct pw_key *key = pw_key_parse_hex(pw_span_str(c->text), "a", &why);
        assert_int_equal(key == NULL, c->why != NULL);
        if (key == NULL) {
            assert_int_equal(strncmp(why.text, c->why, strlen(c->why)), 0);
            assert_null(strstr(why.text, "0102"));
            continue;
        }
        assert_true(pw_key_is_bare(key));
        assert_string_equal(pw_key_name(key), "a");
        assert_int_equal(pw_key_suite(key), PW_SUITE_HMAC_SHA256);
        assert_int_equal(pw_key_usable(key, 5, true), PW_R_NONE);
        assert_memory_equal(key->secret, same->secret, PW_KEY_BYTES);
        assert_memory_equal(pw_key_id(key), pw_key_id(same), 8);
    }
    struct pw_why why = {0};
    assert_null(pw_key_parse_hex(pw_span_str(HEX), "a b", &why));
    assert_non_null(strstr(why.text, "1: a key's name is"));
}

/* One signer and one verifier with the same key, whose standing the test changes. */
struct ends {
    struct pw_keyring *ring;
    struct pw_key *key; /* the ring's */
    struct pw_signer *signer;
    struct pw_verifier *verifier;
};

static void
open_ends(struct ends *ends, struct pw_key *key)
{
    struct pw_why why = {0};
    ends->key = key;
    ends->ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(ends->ring, &key), PW_E_OK);
    ends->signer = pw_signer_new(ends->ring, "k", "jobs", PW_DIR_FORWARD, 1000, &why);
    ends->verifier = pw_verifier_new(ends->ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_string_equal(why.text, "");
    assert_non_null(ends->verifier);
}

static void
close_ends(struct ends *ends)
{
    pw_signer_free(&ends->signer);
    pw_verifier_free(&ends->verifier);
    pw_keyring_free(&ends->ring);
}

/* Sign, change byte `at` of the trailer unless it is -1, and verify at `now`. */
static struct pw_sig_result
signed_and_verified(struct ends *ends, int at, uint64_t now)
{
    struct pw_span frame = pw_span_str("hello");
    struct pw_sig_result result;
    uint8_t bytes[PW_TRAILER_MAX];
    assert_int_equal(pw_signer_sign(ends->signer, &frame, 1, 7, bytes), PW_E_OK);
    struct pw_span trailer = {bytes, pw_signer_trailer_size(ends->signer)};
    if (at >= 0) {
        bytes[at] ^= 2; /* suite 1 becomes 3 */
    }
    pw_verifier_set_now(ends->verifier, now);
    pw_verifier_check(ends->verifier, &frame, 1, trailer, &result);
    return result;
}

struct order_case {
    const char *name;
    enum pw_key_status status;
    int at;
    uint64_t now;
    enum pw_reason reason;
};

/* clang-format off */
static const struct order_case order_cases[] = {
    {"good", PW_KEY_ACTIVE, -1, 6, PW_R_NONE},
    {"verify_only verifies", PW_KEY_VERIFY_ONLY, -1, 6, PW_R_NONE},
    {"retired", PW_KEY_RETIRED, -1, 6, PW_R_SIG_RETIRED},
    {"revoked", PW_KEY_REVOKED, -1, 6, PW_R_SIG_REVOKED},
    {"too early", PW_KEY_ACTIVE, -1, 4, PW_R_SIG_NOT_YET},
    {"too late", PW_KEY_ACTIVE, -1, 9, PW_R_SIG_KEY_EXPIRED},
    {"flags come before the key", PW_KEY_REVOKED, 5, 6, PW_R_SIG_FORMAT},
    {"an unknown key has no status", PW_KEY_REVOKED, 8, 6, PW_R_SIG_UNKNOWN_KEY},
    {"revoked comes before the suite", PW_KEY_REVOKED, 4, 6, PW_R_SIG_REVOKED},
    {"time comes before the suite", PW_KEY_ACTIVE, 4, 9, PW_R_SIG_KEY_EXPIRED},
    {"then the suite", PW_KEY_ACTIVE, 4, 6, PW_R_SIG_WRONG_SUITE},
    {"revoked comes before the tag", PW_KEY_REVOKED, 60, 6, PW_R_SIG_REVOKED},
    {"then the tag", PW_KEY_VERIFY_ONLY, 60, 6, PW_R_SIG_BAD},
};
/* clang-format on */

static void
a_verifier_asks_for_status_behind_the_key_and_before_the_suite(void **state)
{
    (void)state;
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, counting_key(PW_SUITE_HMAC_SHA256, "k", 1, ""));
    struct pw_key_validity validity = {5, 9};
    assert_int_equal(pw_key_set_validity(ends.key, validity, NULL), PW_E_OK);
    for (size_t i = 0; i < PW_COUNT(order_cases); i++) {
        const struct order_case *c = &order_cases[i];
        print_message("%s\n", c->name);
        pw_key_set_status(ends.key, c->status);
        struct pw_sig_result result = signed_and_verified(&ends, c->at, c->now);
        assert_int_equal(result.reason, c->reason);
        assert_int_equal(result.state, c->reason == PW_R_NONE ? PW_SIG_OK : PW_SIG_BAD);
    }
}

static void
revoking_needs_no_new_verifier_or_signer(void **state)
{
    (void)state;
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, counting_key(PW_SUITE_BLAKE2B, "k", 1, ""));
    assert_int_equal(signed_and_verified(&ends, -1, 6).reason, PW_R_NONE);
    assert_int_equal(pw_signer_usable(ends.signer, 6), PW_R_NONE);
    struct pw_revoked list = {.version = 1};
    assert_int_equal(pw_keyring_revoke(ends.ring, &list), 0);
    list.count = 1;
    list.ids = (uint8_t(*)[8])ends.key->id;
    assert_int_equal(pw_keyring_revoke(ends.ring, &list), 1);
    assert_int_equal(pw_keyring_revoke(ends.ring, &list), 0); /* was already */
    assert_int_equal(signed_and_verified(&ends, -1, 6).reason, PW_R_SIG_REVOKED);
    assert_int_equal(pw_signer_usable(ends.signer, 6), PW_R_SIG_REVOKED);
}

static void
a_bare_key_makes_and_accepts_no_trailer(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(close_ends) struct ends ends;
    open_ends(&ends, counting_key(PW_SUITE_HMAC_SHA256, "k", 1, ""));
    struct pw_key *bare = pw_key_parse_hex(pw_span_str(HEX), "trt", &why);
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    assert_int_equal(pw_keyring_add(ring, &bare), PW_E_OK);
    assert_null(pw_signer_new(ring, "trt", "jobs", PW_DIR_FORWARD, 1, &why));
    assert_non_null(
        strstr(why.text, "trt: this key is for the envelopes of other programs"));
    pw_verifier_free(&ends.verifier);
    ends.verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, NULL, 0);
    assert_int_equal(signed_and_verified(&ends, -1, 6).reason, PW_R_SIG_UNKNOWN_KEY);
}

static void
a_signer_goes_on_counting_only_with_the_same_key(void **state)
{
    (void)state;
    PW_CLEANUP(close_ends) struct ends before;
    PW_CLEANUP(close_ends) struct ends same;
    PW_CLEANUP(close_ends) struct ends other;
    open_ends(&before, counting_key(PW_SUITE_BLAKE2B, "k", 1, ""));
    open_ends(&same, counting_key(PW_SUITE_BLAKE2B, "k", 1, ""));
    open_ends(&other, counting_key(PW_SUITE_BLAKE2B, "k", 2, ""));
    pw_signer_free(&same.signer);
    same.signer = pw_signer_new(same.ring, "k", "jobs", PW_DIR_FORWARD, 2000, NULL);
    signed_and_verified(&before, -1, 6);
    assert_int_equal(signed_and_verified(&before, -1, 6).seq, 2);

    pw_signer_continue(same.signer, before.signer);
    pw_signer_continue(other.signer, before.signer);
    struct pw_sig_result next = signed_and_verified(&same, -1, 6);
    assert_int_equal(next.seq, 3);
    assert_int_equal(next.epoch, 1000);
    assert_int_equal(signed_and_verified(&other, -1, 6).seq, 1);
    assert_ptr_equal(pw_signer_key(same.signer), same.key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_has_one_spelling),
        cmocka_unit_test(a_file_says_what_its_key_may_do_and_when),
        cmocka_unit_test(a_key_is_usable_by_status_and_time),
        cmocka_unit_test(a_revoked_key_stays_revoked),
        cmocka_unit_test(sixty_four_digits_are_a_bare_key),
        cmocka_unit_test(a_verifier_asks_for_status_behind_the_key_and_before_the_suite),
        cmocka_unit_test(revoking_needs_no_new_verifier_or_signer),
        cmocka_unit_test(a_bare_key_makes_and_accepts_no_trailer),
        cmocka_unit_test(a_signer_goes_on_counting_only_with_the_same_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
