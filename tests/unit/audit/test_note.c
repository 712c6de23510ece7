/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/note.h"

#include <stdlib.h>

#include <sodium.h>

#include "tests/unit/check.h"

/* The example of Go's golang.org/x/mod/sumdb/note, which the format comes from. */
static const char peter_key[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
static const char peter_note[] =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/"
    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM"
    "=\n";

static struct pw_note_key
key_of(const char *text)
{
    struct pw_note_key key;
    struct pw_why why = {{0}};
    assert_int_equal(pw_note_key_parse(pw_span_str(text), &key, &why), PW_E_OK);
    return key;
}

static void
a_note_of_another_program_verifies(void **state)
{
    (void)state;
    struct pw_note_key key = key_of(peter_key);
    struct pw_note note;
    char text[PW_NOTE_KEY_TEXT];
    pw_note_key_format(&key, text);
    assert_string_equal(text, peter_key);
    assert_true(pw_note_split(pw_span_str(peter_note), &note));
    assert_int_equal(pw_note_verify(&note, &key, 1), PW_NOTE_GOOD);
    assert_int_equal(pw_note_verify(&note, &key, 0), PW_NOTE_UNKNOWN_KEY);
    struct pw_checkpoint point;
    assert_false(pw_note_checkpoint(&note, &point)); /* it is only words */
}

static void
a_note_with_one_bit_changed_does_not_verify(void **state)
{
    (void)state;
    struct pw_note_key key = key_of(peter_key);
    char copy[sizeof peter_note];
    for (size_t bit = 0; bit < 8 * (sizeof peter_note - 1); bit++) {
        struct pw_note note;
        memcpy(copy, peter_note, sizeof copy);
        copy[bit / 8] ^= (char)(1 << bit % 8);
        struct pw_span bytes = {(const uint8_t *)copy, sizeof copy - 1};
        if (pw_note_split(bytes, &note)) {
            assert_int_not_equal(pw_note_verify(&note, &key, 1), PW_NOTE_GOOD);
        }
    }
}

struct key_case {
    const char *name;
    const char *text;
};

static const struct key_case bad_keys[] = {
    {"nothing", ""},
    {"no id", "PeterNeumann+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
    {"no name", "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
    {"another name", "PeterNewmann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
    {"another id", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
    {"an unknown algorithm",
     "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
    {"a space in the name",
     "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
    {"cut short", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T"},
    {"something behind",
     "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW \n"},
};

static void
a_key_that_is_not_just_so_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        struct pw_note_key key;
        struct pw_why why = {{0}};
        check_case(bad_keys[i].name, pw_note_key_parse(pw_span_str(bad_keys[i].text), &key,
                                                       &why) == PW_E_FORMAT);
        check_case(bad_keys[i].name, why.text[0] != '\0');
    }
}

static struct pw_checkpoint
sample(void)
{
    return (struct pw_checkpoint){.origin = pw_span_str("wall-0/1795304398001"),
                                  .size = 1024,
                                  .root = {1, 2, 3},
                                  .bound = true,
                                  .line = {4, 5, 6}};
}

static void
what_is_made_is_read_back(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "audit", NULL);
    struct pw_note_key who;
    struct pw_note note;
    struct pw_checkpoint made = sample(), back;
    char text[PW_NOTE_MAX], plain[PW_NOTE_MAX], json[PW_NOTE_JSON];
    size_t len, plain_len;
    assert_true(pw_note_key_of(key, &who));
    len = pw_note_make(&made, key, text);
    struct pw_span bytes = {(const uint8_t *)text, len};
    assert_true(pw_note_split(bytes, &note));
    assert_int_equal(pw_note_verify(&note, &who, 1), PW_NOTE_GOOD);
    assert_true(pw_note_checkpoint(&note, &back));
    assert_true(pw_span_equal(back.origin, made.origin));
    assert_int_equal(back.size, made.size);
    assert_memory_equal(back.root, made.root, sizeof back.root);
    assert_true(back.bound);
    assert_memory_equal(back.line, made.line, sizeof back.line);
    struct pw_span escaped = {(const uint8_t *)json, pw_note_escape(bytes, json)};
    assert_null(strchr(json, '\n'));
    assert_true(pw_note_unescape(escaped, plain, &plain_len));
    assert_true(pw_span_equal((struct pw_span){(const uint8_t *)plain, plain_len}, bytes));
}

static void
another_key_of_the_same_name_is_unknown(void **state)
{
    (void)state;
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = pw_key_new(PW_SUITE_ED25519, "audit", NULL);
    PW_CLEANUP(pw_key_free)
    struct pw_key *other = pw_key_new(PW_SUITE_ED25519, "audit", NULL);
    PW_CLEANUP(pw_key_free)
    struct pw_key *secret = pw_key_new(PW_SUITE_HMAC_SHA256, "audit", NULL);
    struct pw_checkpoint point = sample();
    struct pw_note_key keys[2];
    struct pw_note note;
    char text[PW_NOTE_MAX];
    assert_false(pw_note_key_of(secret, &keys[0]));
    assert_true(pw_note_key_of(other, &keys[0]));
    assert_true(pw_note_key_of(key, &keys[1]));
    struct pw_span bytes = {(const uint8_t *)text, pw_note_make(&point, key, text)};
    assert_true(pw_note_split(bytes, &note));
    assert_int_equal(pw_note_verify(&note, keys, 1), PW_NOTE_UNKNOWN_KEY);
    assert_int_equal(pw_note_verify(&note, keys, 2), PW_NOTE_GOOD);
    memcpy(keys[0].id, keys[1].id, sizeof keys[0].id); /* it claims to be the signer */
    assert_int_equal(pw_note_verify(&note, keys, 1), PW_NOTE_BAD);
}

static const struct key_case bad_points[] = {
    {"no size", "a/1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n"},
    {"a leading zero",
     "a/1\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n"},
    {"a size that is none",
     "a/1\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n"},
    {"bits behind the root",
     "a/1\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n\n\xe2\x80\x94 a b\n"},
    {"a short root",
     "a/1\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n"},
    {"a line twice",
     "a/1\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
     "line AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
     "line AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 a b\n"},
};

static void
what_is_no_checkpoint_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_points / sizeof bad_points[0]; i++) {
        struct pw_note note;
        struct pw_checkpoint point;
        check_case(bad_points[i].name,
                   pw_note_split(pw_span_str(bad_points[i].text), &note));
        check_case(bad_points[i].name, !pw_note_checkpoint(&note, &point));
    }
}

static void
notes_that_follow_each_other_are_told_apart(void **state)
{
    (void)state;
    static const char two[] =
        "a\n\n\xe2\x80\x94 k x\n\xe2\x80\x94 l y\n\nb\nc\n\n\xe2\x80\x94 k z\n";
    struct pw_span bytes = pw_span_str(two);
    struct pw_note note;
    assert_false(pw_note_split(bytes, &note));
    assert_true(pw_note_next(&bytes, &note));
    assert_true(pw_span_equal(note.text, pw_span_str("a\n")));
    assert_true(pw_note_next(&bytes, &note));
    assert_true(pw_span_equal(note.text, pw_span_str("b\nc\n")));
    assert_false(pw_note_next(&bytes, &note));
    assert_int_equal(bytes.len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_of_another_program_verifies),
        cmocka_unit_test(a_note_with_one_bit_changed_does_not_verify),
        cmocka_unit_test(a_key_that_is_not_just_so_is_refused),
        cmocka_unit_test(what_is_made_is_read_back),
        cmocka_unit_test(another_key_of_the_same_name_is_unknown),
        cmocka_unit_test(what_is_no_checkpoint_is_refused),
        cmocka_unit_test(notes_that_follow_each_other_are_told_apart),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
