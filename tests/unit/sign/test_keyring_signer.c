/* SPDX-License-Identifier: Apache-2.0
 *
 * Which key signs: one that is named, or the only active one of a pattern.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/sign/keys.h"

static const uint64_t now = 1801396800000000000; /* 2027-01-31T12:00:00Z */

struct member {
    const char *name;
    enum pw_key_status status;
    enum pw_role role;
    const char *channel;
    struct pw_key_validity validity;
};

#define FOR_EVER                                                                           \
    {                                                                                      \
        0, PW_KEY_FOR_EVER                                                                 \
    }
#define ACTIVE(name)                                                                       \
    {                                                                                      \
        name, PW_KEY_ACTIVE, PW_ROLE_SIGN, "", FOR_EVER                                    \
    }
#define VERIFY_ONLY(name)                                                                  \
    {                                                                                      \
        name, PW_KEY_VERIFY_ONLY, PW_ROLE_SIGN, "", FOR_EVER                               \
    }

struct signer_case {
    const char *name;
    struct member members[4];
    const char *wanted;
    const char *found; /* NULL: none */
    const char *why;   /* how the sentence begins */
};

/* clang-format off */
static const struct signer_case signer_cases[] = {
    {"by name", {ACTIVE("a"), ACTIVE("b")}, "b", "b", ""},
    {"by name, another is active too", {ACTIVE("jobs-1"), ACTIVE("jobs-2")}, "jobs-1", "jobs-1", ""},
    {"no such name", {ACTIVE("a")}, "c", NULL, "c: no key of this name in the key folder"},
    {"by name, verify_only", {VERIFY_ONLY("a")}, "a", NULL, "a: this key is verify_only and does not sign"},
    {"by name, retired", {{"a", PW_KEY_RETIRED, PW_ROLE_SIGN, "", FOR_EVER}}, "a", NULL, "a: this key is retired"},
    {"by name, revoked", {{"a", PW_KEY_REVOKED, PW_ROLE_SIGN, "", FOR_EVER}}, "a", NULL, "a: this key is revoked"},
    {"by name, verifies", {{"a", PW_KEY_ACTIVE, PW_ROLE_VERIFY, "", FOR_EVER}}, "a", NULL, "a: this key only verifies"},
    {"by name, another channel", {{"a", PW_KEY_ACTIVE, PW_ROLE_SIGN, "mail*", FOR_EVER}}, "a", NULL,
     "a: this key is for channels \"mail*\", not for \"jobs\""},
    {"by name, too early", {{"a", PW_KEY_ACTIVE, PW_ROLE_SIGN, "", {now + 1, PW_KEY_FOR_EVER}}}, "a", NULL,
     "a: this key is not good before 2027-01-31T12:00:00Z"},
    {"by name, too late", {{"a", PW_KEY_ACTIVE, PW_ROLE_SIGN, "", {0, now}}}, "a", NULL,
     "a: this key was good until 2027-01-31T12:00:00Z; make another"},
    {"one active of two", {VERIFY_ONLY("jobs-1"), ACTIVE("jobs-2")}, "jobs-*", "jobs-2", ""},
    {"the order of files does not matter", {ACTIVE("jobs-1"), VERIFY_ONLY("jobs-2")}, "jobs-*", "jobs-1", ""},
    {"a question mark", {ACTIVE("jobs-1"), ACTIVE("jobs-10")}, "jobs-?", "jobs-1", ""},
    {"a star alone", {VERIFY_ONLY("x"), ACTIVE("y")}, "*", "y", ""},
    {"two active", {ACTIVE("jobs-1"), ACTIVE("jobs-2"), VERIFY_ONLY("jobs-3")}, "jobs-*", NULL,
     "jobs-*: 2 keys of this pattern are active (jobs-1, jobs-2); leave one"},
    {"none active", {VERIFY_ONLY("jobs-1"), VERIFY_ONLY("jobs-2")}, "jobs-*", NULL,
     "jobs-*: no key of this pattern is active (jobs-1, jobs-2); make one of them"},
    {"nothing fits", {ACTIVE("mail-1")}, "jobs-*", NULL,
     "jobs-*: no key of this pattern in the key folder signs for \"jobs\""},
    {"an empty folder", {{0}}, "*", NULL, "*: no key of this pattern in the key folder"},
    {"those that verify do not count",
     {{"jobs-1", PW_KEY_ACTIVE, PW_ROLE_VERIFY, "", FOR_EVER}, ACTIVE("jobs-2")}, "jobs-*", "jobs-2", ""},
    {"those of another channel do not count",
     {{"jobs-1", PW_KEY_ACTIVE, PW_ROLE_SIGN, "mail", FOR_EVER}, ACTIVE("jobs-2")}, "jobs-*", "jobs-2", ""},
    {"the revoked do not count",
     {{"jobs-1", PW_KEY_REVOKED, PW_ROLE_SIGN, "", FOR_EVER}, ACTIVE("jobs-2")}, "jobs-*", "jobs-2", ""},
    {"the only active one is over", {{"jobs-1", PW_KEY_ACTIVE, PW_ROLE_SIGN, "", {0, now}}}, "jobs-*", NULL,
     "jobs-1: this key was good until"},
};
/* clang-format on */

static struct pw_key *
make_member(const struct member *member, uint8_t first)
{
    struct pw_key_parts parts = {
        .suite = PW_SUITE_BLAKE2B,
        .role = member->role,
        .name = pw_span_str(member->name),
        .channel = pw_span_str(member->channel),
        .bytes = {first},
    };
    struct pw_key *key = pw_key_from(&parts, NULL);
    pw_key_set_status(key, member->status);
    assert_int_equal(pw_key_set_validity(key, member->validity, NULL), PW_E_OK);
    return key;
}

static struct pw_keyring *
make_ring(const struct member *members)
{
    struct pw_keyring *ring = pw_keyring_new();
    for (uint8_t i = 0; i < 4 && members[i].name != NULL; i++) {
        struct pw_key *key = make_member(&members[i], i + 1);
        assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    }
    return ring;
}

static void
one_key_signs_or_a_sentence_names_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(signer_cases); i++) {
        const struct signer_case *c = &signer_cases[i];
        struct pw_why why = {0};
        print_message("%s\n", c->name);
        PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = make_ring(c->members);
        const struct pw_key *key = pw_keyring_signer(ring, c->wanted, "jobs", now, &why);
        assert_int_equal(key == NULL, c->found == NULL);
        if (key != NULL) {
            assert_string_equal(pw_key_name(key), c->found);
        }
        if (strncmp(why.text, c->why, strlen(c->why)) != 0) {
            fail_msg("said: %s", why.text);
        }
    }
}

/* 40 names of 60 letters: more than a sentence holds. */
static void
many_names_are_cut_and_counted(void **state)
{
    (void)state;
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    for (uint8_t i = 0; i < 40; i++) {
        char name[PW_KEY_NAME_MAX + 1];
        snprintf(name, sizeof name, "%060d", i);
        struct pw_key *key = counting_key(PW_SUITE_BLAKE2B, name, i, "");
        assert_int_equal(pw_keyring_add(ring, &key), PW_E_OK);
    }
    assert_null(pw_keyring_signer(ring, "*", "jobs", now, &why));
    assert_non_null(strstr(why.text, "*: 40 keys of this pattern are active (00"));
    assert_non_null(strstr(why.text, "leave one"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_signs_or_a_sentence_names_them),
        cmocka_unit_test(many_names_are_cut_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
