/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a key file: what is read, what is refused, and on which line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/sign/keys.h"

#define HMAC_SECRET "PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyDMBF5A"
#define ED25519_SECRET "PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyBMsbDq"
#define ED25519_PUBLIC "PWPK1ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmSZElwD"
#define BATCH_SECRET "PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyC2ClZQ"
#define BATCH_PUBLIC "PWPK1ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmRKwItd"
#define ZERO_SECRET "PWSK1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAvHuin"
#define SMALL_ORDER "PWPK1AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4zopy"

#define NAME64 "a123456789b123456789c123456789d123456789e123456789f123456789g123"
#define HMAC_HEAD "picklewall-key: 1\nsuite: hmac-sha256\nid: a\nrole: sign\n"
#define PAIR_HEAD "picklewall-key: 1\nsuite: ed25519\nid: a\n"
#define BATCH_HEAD "picklewall-key: 1\nsuite: ed25519-batch\nid: a\n"

struct good_case {
    const char *name;
    const char *text;
    enum pw_suite suite;
    enum pw_role role;
    const char *id;
    const char *channel;
};

/* clang-format off */
static const struct good_case good_cases[] = {
    {"symmetric", HMAC_HEAD "secret: " HMAC_SECRET "\n", PW_SUITE_HMAC_SHA256, PW_ROLE_SIGN, "a", ""},
    {"symmetric that only verifies",
     "picklewall-key: 1\nsuite: hmac-sha256\nid: a\nrole: verify\nsecret: " HMAC_SECRET "\n",
     PW_SUITE_HMAC_SHA256, PW_ROLE_VERIFY, "a", ""},
    {"pair", PAIR_HEAD "role: sign\nsecret: " ED25519_SECRET "\n", PW_SUITE_ED25519, PW_ROLE_SIGN, "a", ""},
    {"public half", PAIR_HEAD "role: verify\npublic: " ED25519_PUBLIC "\n",
     PW_SUITE_ED25519, PW_ROLE_VERIFY, "a", ""},
    {"pair for batches", BATCH_HEAD "role: sign\nsecret: " BATCH_SECRET "\n",
     PW_SUITE_ED25519_BATCH, PW_ROLE_SIGN, "a", ""},
    {"public half for batches", BATCH_HEAD "role: verify\npublic: " BATCH_PUBLIC "\n",
     PW_SUITE_ED25519_BATCH, PW_ROLE_VERIFY, "a", ""},
    {"comments, blank lines, spaces, another order",
     "# mine\n\n  \npicklewall-key: 1\nsecret:   " HMAC_SECRET "  \nchannel: jobs-*\nrole:sign\n"
     "# na\xc3\xafve\nid: A.b_c-9\nsuite: hmac-sha256\n",
     PW_SUITE_HMAC_SHA256, PW_ROLE_SIGN, "A.b_c-9", "jobs-*"},
    {"no line end after the last line", HMAC_HEAD "secret: " HMAC_SECRET, PW_SUITE_HMAC_SHA256, PW_ROLE_SIGN, "a", ""},
    {"empty channel line", HMAC_HEAD "channel:\nsecret: " HMAC_SECRET "\n", PW_SUITE_HMAC_SHA256, PW_ROLE_SIGN, "a", ""},
    {"the longest name",
     "picklewall-key: 1\nsuite: hmac-sha256\nid: " NAME64 "\nrole: sign\nsecret: " HMAC_SECRET "\n",
     PW_SUITE_HMAC_SHA256, PW_ROLE_SIGN, NAME64, ""},
};

struct broken_case {
    const char *name;
    struct pw_span text;
    const char *why; /* how the sentence begins */
};

#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

static const struct broken_case broken_cases[] = {
    {"empty", TEXT(""), "1: the file ends without a line \"picklewall-key: \""},
    {"only a comment", TEXT("# nothing\n"), "1: the file ends without"},
    {"no version", TEXT("suite: ed25519\n"), "1: a key file begins with \"picklewall-key: 1\""},
    {"version 2", TEXT("picklewall-key: 2\nsuite: hmac-sha256\nid: a\nrole: sign\nsecret: " HMAC_SECRET "\n"),
     "1: picklewall-key: this program reads version 1"},
    {"version twice", TEXT("picklewall-key: 1\npicklewall-key: 1\n"), "2: picklewall-key: was said on line 1"},
    {"unknown line", TEXT("picklewall-key: 1\n# x\nowner: me\n"), "3: not a line of a key file"},
    {"status twice", TEXT("picklewall-key: 1\nstatus: active\nstatus: retired\n"), "3: status: was said on line 2"},
    {"a status nobody knows", TEXT(HMAC_HEAD "status: off\nsecret: " HMAC_SECRET "\n"), "5: status: write active, verify_only, retired or revoked"},
    {"an empty status", TEXT(HMAC_HEAD "status:\nsecret: " HMAC_SECRET "\n"), "5: status: write active"},
    {"a status in capitals", TEXT(HMAC_HEAD "secret: " HMAC_SECRET "\nstatus: Active\n"), "6: status: write active"},
    {"a day without a time", TEXT(HMAC_HEAD "not_before: 2027-01-31\nsecret: " HMAC_SECRET "\n"), "5: not_before: not a time between 1970 and 2553; write it as 2027-01-31T12:00:00Z"},
    {"an empty not_after", TEXT(HMAC_HEAD "not_after:\nsecret: " HMAC_SECRET "\n"), "5: not_after: not a time"},
    {"an end before the beginning",
     TEXT(HMAC_HEAD "not_before: 2027-01-31T12:00:00Z\nnot_after: 2027-01-31T11:59:59Z\nsecret: " HMAC_SECRET "\n"),
     "6: not_after: is not later than not_before"},
    {"an end at the beginning",
     TEXT(HMAC_HEAD "not_after: 2027-01-31T12:00:00Z\nnot_before: 2027-01-31T12:00:00Z\nsecret: " HMAC_SECRET "\n"),
     "5: not_after: is not later"},
    {"an end when time began", TEXT(HMAC_HEAD "not_after: 1970-01-01T00:00:00Z\nsecret: " HMAC_SECRET "\n"), "5: not_after: is not later"},
    {"no colon", TEXT("picklewall-key: 1\nsuite ed25519\n"), "2: not a line of a key file"},
    {"a space before the colon", TEXT("picklewall-key: 1\nsuite : ed25519\n"), "2: not a line"},
    {"a line in capitals", TEXT("picklewall-key: 1\nSuite: ed25519\n"), "2: not a line"},
    {"binary", TEXT("\x80\x04\x95\0\0"), "1: not a line"},
    {"a NUL in a name", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nid: a\0b\nrole: sign\nsecret: " HMAC_SECRET "\n"),
     "5: a key's name is"},
    {"no suite", TEXT("picklewall-key: 1\nid: a\nrole: sign\nsecret: " HMAC_SECRET "\n"), "4: the file ends without a line \"suite: \""},
    {"no id", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nrole: sign\nsecret: " HMAC_SECRET "\n"), "4: the file ends without a line \"id: \""},
    {"no role", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nid: a\nsecret: " HMAC_SECRET "\n"), "4: the file ends without a line \"role: \""},
    {"no secret", TEXT(HMAC_HEAD), "4: the file ends without a line \"secret: \""},
    {"a secret and a public key", TEXT(PAIR_HEAD "role: sign\nsecret: " ED25519_SECRET "\npublic: " ED25519_PUBLIC "\n"),
     "6: a key file holds a secret or a public key"},
    {"a suite nobody knows", TEXT("picklewall-key: 1\nsuite: rsa\nid: a\nrole: sign\nsecret: " HMAC_SECRET "\n"), "2: suite: no such suite"},
    {"a suite of 40 letters", TEXT("picklewall-key: 1\nsuite: hmac-sha256hmac-sha256hmac-sha256hmac-sha\nid: a\nrole: sign\nsecret: " HMAC_SECRET "\n"),
     "2: suite: no such suite"},
    {"an empty suite", TEXT("picklewall-key: 1\nsuite:\nid: a\nrole: sign\nsecret: " HMAC_SECRET "\n"), "2: suite: no such suite"},
    {"a role nobody knows", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nid: a\nrole: both\nsecret: " HMAC_SECRET "\n"), "4: role: write sign or verify"},
    {"an empty name", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nid:\nrole: sign\nsecret: " HMAC_SECRET "\n"), "5: a key's name is"},
    {"a name with a slash", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nid: ../a\nrole: sign\nsecret: " HMAC_SECRET "\n"), "5: a key's name is"},
    {"a name of 65 letters", TEXT("picklewall-key: 1\nsuite: hmac-sha256\nid: " NAME64 "x\nrole: sign\nsecret: " HMAC_SECRET "\n"), "5: a key's name is"},
    {"a channel with a control character", TEXT(HMAC_HEAD "channel: a\033[1m\nsecret: " HMAC_SECRET "\n"), "6: a channel pattern is"},
    {"line ends of DOS", TEXT("picklewall-key: 1\r\nsuite: hmac-sha256\r\nid: a\r\nrole: sign\r\nsecret: " HMAC_SECRET "\r\n"),
     "1: picklewall-key: this program reads version 1"},
    {"a secret cut short", TEXT(HMAC_HEAD "secret: PWSK1AQIDBAUGBwgJ\n"), "5: secret: not PWSK1 and 48 letters"},
    {"a secret with a letter more", TEXT(HMAC_HEAD "secret: " HMAC_SECRET "A\n"), "5: secret: not PWSK1"},
    {"a secret with a letter outside base64url", TEXT(HMAC_HEAD "secret: PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyDMBF+A\n"), "5: secret: not PWSK1"},
    {"a secret with a letter changed", TEXT(HMAC_HEAD "secret: PWSK1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyDMBF5B\n"), "5: secret: its check letters do not fit"},
    {"a secret without its prefix", TEXT(HMAC_HEAD "secret: AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyDMBF5A\n"), "5: secret: not PWSK1"},
    {"an empty secret", TEXT(HMAC_HEAD "secret:\n"), "5: secret: not PWSK1"},
    {"the secret of another suite", TEXT(HMAC_HEAD "secret: " ED25519_SECRET "\n"), "5: secret: its check letters do not fit"},
    {"the secret of a pair that signs no batches", TEXT(BATCH_HEAD "role: sign\nsecret: " ED25519_SECRET "\n"), "5: secret: its check letters do not fit"},
    {"the public half of a pair that signs batches", TEXT(PAIR_HEAD "role: verify\npublic: " BATCH_PUBLIC "\n"), "5: public: its check letters do not fit"},
    {"a public key as a secret", TEXT(PAIR_HEAD "role: sign\nsecret: " ED25519_PUBLIC "\n"), "5: secret: not PWSK1"},
    {"a secret as a public key", TEXT(PAIR_HEAD "role: verify\npublic: " ED25519_SECRET "\n"), "5: public: not PWPK1"},
    {"a secret of zeros", TEXT(HMAC_HEAD "secret: " ZERO_SECRET "\n"), "5: the key is all zeros"},
    {"a public key that signs", TEXT(PAIR_HEAD "role: sign\npublic: " ED25519_PUBLIC "\n"), "5: a public key is for"},
    {"a pair that only verifies", TEXT(PAIR_HEAD "role: verify\nsecret: " ED25519_SECRET "\n"), "5: a verifying ed25519 key holds no secret"},
    {"a public key that signs batches", TEXT(BATCH_HEAD "role: sign\npublic: " BATCH_PUBLIC "\n"), "5: a public key is for"},
    {"a pair for batches that only verifies", TEXT(BATCH_HEAD "role: verify\nsecret: " BATCH_SECRET "\n"), "5: a verifying ed25519-batch key holds no secret"},
    {"a point of small order", TEXT(PAIR_HEAD "role: verify\npublic: " SMALL_ORDER "\n"), "5: not the public key of any"},
};
/* clang-format on */

static void
a_good_file_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(good_cases); i++) {
        const struct good_case *c = &good_cases[i];
        struct pw_why why = {0};
        print_message("%s\n", c->name);
        PW_CLEANUP(pw_key_free)
        struct pw_key *key = pw_key_parse(pw_span_str(c->text), &why);
        assert_string_equal(why.text, "");
        assert_non_null(key);
        assert_int_equal(pw_key_suite(key), c->suite);
        assert_int_equal(pw_key_role(key), c->role);
        assert_string_equal(pw_key_name(key), c->id);
        assert_string_equal(pw_key_channel(key), c->channel);
    }
}

static void
a_broken_file_is_refused_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(broken_cases); i++) {
        const struct broken_case *c = &broken_cases[i];
        struct pw_why why = {0};
        print_message("%s\n", c->name);
        assert_null(pw_key_parse(c->text, &why));
        if (strncmp(why.text, c->why, strlen(c->why)) != 0) {
            fail_msg("said: %s", why.text);
        }
        assert_null(strstr(why.text, "AQIDBAUG")); /* no secret in a log */
        assert_null(pw_key_parse(c->text, NULL));
    }
}

static void
a_file_of_more_than_4096_bytes_is_refused(void **state)
{
    (void)state;
    char text[4200];
    struct pw_why why = {0};
    int len = snprintf(text, sizeof text, HMAC_HEAD "secret: " HMAC_SECRET "\n# ");
    memset(text + len, '-', sizeof text - (size_t)len);
    struct pw_span whole = {(const uint8_t *)text, 4096};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_parse(whole, &why);
    assert_non_null(key);
    whole.len++;
    assert_null(pw_key_parse(whole, &why));
    assert_string_equal(why.text, "1: a key file is at most 4096 bytes");
}

/* Whatever is cut off, the rest is no other key. */
static void
a_file_cut_anywhere_is_refused_or_the_same_key(void **state)
{
    (void)state;
    static const char text[] = HMAC_HEAD "channel: jobs\nsecret: " HMAC_SECRET "\n";
    size_t read = 0;
    for (size_t len = 0; len < sizeof text; len++) {
        struct pw_span part = {(const uint8_t *)text, len};
        PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_parse(part, NULL);
        read += key != NULL;
    }
    assert_int_equal(read, 2); /* with and without the last line end */
}

static void
formatted_text_is_read_back(void **state)
{
    (void)state;
    static const enum pw_suite suites[] = {PW_SUITE_HMAC_SHA256, PW_SUITE_ED25519,
                                           PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
        PW_CLEANUP(pw_key_free)
        struct pw_key *key = counting_key(suites[i], NAME64, 1, "a b*");
        assert_int_equal(pw_key_format(key, &text), PW_E_OK);
        PW_CLEANUP(pw_key_free)
        struct pw_key *copy = pw_key_parse(pw_buf_span(&text), NULL);
        assert_non_null(copy);
        assert_memory_equal(pw_key_id(copy), pw_key_id(key), 8);
        assert_memory_equal(copy->secret, key->secret, PW_KEY_BYTES);
        assert_string_equal(pw_key_channel(copy), "a b*");
    }
    struct pw_buf small = {.limit = 10};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_BLAKE2B, "a", NULL);
    assert_int_equal(pw_key_format(key, &small), PW_E_LIMIT);
}

static void
the_public_half_has_the_id_but_not_the_secret(void **state)
{
    (void)state;
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = counting_key(PW_SUITE_ED25519, "a", 1, "jobs");
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    assert_non_null(half);
    assert_null(half->secret);
    assert_int_equal(pw_key_role(half), PW_ROLE_VERIFY);
    assert_string_equal(pw_key_channel(half), "jobs");
    assert_memory_equal(pw_key_id(half), pw_key_id(key), 8);
    assert_int_equal(pw_key_format(half, &text), PW_E_OK);
    assert_non_null(memmem(text.bytes, text.len, ED25519_PUBLIC, strlen(ED25519_PUBLIC)));
    assert_null(memmem(text.bytes, text.len, "PWSK1", 5));
    PW_CLEANUP(pw_key_free) struct pw_key *again = pw_key_public(half);
    assert_non_null(again);
    PW_CLEANUP(pw_key_free) struct pw_key *mac = counting_key(PW_SUITE_BLAKE2B, "b", 1, "");
    assert_null(pw_key_public(mac));
}

static void
one_secret_has_another_id_in_every_suite(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free)
    struct pw_key *hmac = counting_key(PW_SUITE_HMAC_SHA256, "a", 1, "");
    PW_CLEANUP(pw_key_free)
    struct pw_key *fast = counting_key(PW_SUITE_BLAKE2B, "a", 1, "");
    PW_CLEANUP(pw_key_free)
    struct pw_key *next = counting_key(PW_SUITE_BLAKE2B, "a", 2, "");
    assert_memory_not_equal(pw_key_id(hmac), pw_key_id(fast), 8);
    assert_memory_not_equal(pw_key_id(next), pw_key_id(fast), 8);
}

static void
new_keys_differ_and_bad_names_make_none(void **state)
{
    (void)state;
    static const char *const names[] = {"",    ".",        ".a",  "a/b",
                                        "a b", "\xc3\xa4", "a\n", NAME64 "x"};
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *a = pw_key_new(PW_SUITE_ED25519, "a", &why);
    PW_CLEANUP(pw_key_free) struct pw_key *b = pw_key_new(PW_SUITE_ED25519, "a", &why);
    assert_non_null(a);
    assert_non_null(b);
    assert_memory_not_equal(pw_key_id(a), pw_key_id(b), 8);
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        why.text[0] = '\0';
        assert_null(pw_key_new(PW_SUITE_ED25519, names[i], &why));
        assert_string_not_equal(why.text, "");
    }
    assert_null(pw_key_new((enum pw_suite)0, "a", &why));
    assert_null(pw_key_new((enum pw_suite)9, "a", &why));
}

static void
a_pattern_says_which_channels_a_key_takes(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *channel;
        bool takes;
    } cases[] = {
        {"", "jobs", true},       {"jobs", "jobs", true},       {"jobs", "jobs2", false},
        {"jobs*", "jobs2", true}, {"jobs-?", "jobs-12", false}, {"*", "", true},
        {"[ab]", "b", true},      {"JOBS", "jobs", false},
    };
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_new(PW_SUITE_BLAKE2B, "a", NULL);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        assert_int_equal(pw_key_set_channel(key, cases[i].pattern, NULL), PW_E_OK);
        print_message("%s takes %s\n", cases[i].pattern, cases[i].channel);
        assert_int_equal(pw_key_takes(key, cases[i].channel), cases[i].takes);
    }
    char longest[257];
    memset(longest, 'a', sizeof longest);
    longest[256] = '\0';
    assert_int_equal(pw_key_set_channel(key, longest, NULL), PW_E_FORMAT);
    assert_int_equal(pw_key_set_channel(key, "a\nsecret: x", NULL), PW_E_FORMAT);
    assert_string_equal(pw_key_channel(key), "JOBS");
    longest[255] = '\0';
    assert_int_equal(pw_key_set_channel(key, longest, NULL), PW_E_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read),
        cmocka_unit_test(a_broken_file_is_refused_with_its_line),
        cmocka_unit_test(a_file_of_more_than_4096_bytes_is_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_or_the_same_key),
        cmocka_unit_test(formatted_text_is_read_back),
        cmocka_unit_test(the_public_half_has_the_id_but_not_the_secret),
        cmocka_unit_test(one_secret_has_another_id_in_every_suite),
        cmocka_unit_test(new_keys_differ_and_bad_names_make_none),
        cmocka_unit_test(a_pattern_says_which_channels_a_key_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
