/* SPDX-License-Identifier: Apache-2.0
 *
 * The primitives give what their specifications print.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hex.h"
#include "common/sign/scheme.h"
#include "tests/unit/sign/keys.h"

struct mac_case {
    const char *name;
    const char *key; /* hex */
    const char *data;
    uint8_t fill; /* 50 of these bytes instead of `data` */
    const char *tag;
};

#define AA20 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define AA131 AA20 AA20 AA20 AA20 AA20 AA20 "aaaaaaaaaaaaaaaaaaaaaa"

/* clang-format off */
static const struct mac_case rfc4231[] = {
    {"case 1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", 0,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"case 2", "4a656665", "what do ya want for nothing?", 0,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"case 3", AA20, NULL, 0xdd,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"case 4", "0102030405060708090a0b0c0d0e0f10111213141516171819", NULL, 0xcd,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"case 6", AA131, "Test Using Larger Than Block-Size Key - Hash Key First", 0,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"case 7", AA131, "This is a test using a larger than block-size key and a larger than "
     "block-size data. The key needs to be hashed before being used by the HMAC algorithm.", 0,
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};
/* clang-format on */

static void
unhex(const char *text, uint8_t *out, size_t len)
{
    assert_true(pw_hex_decode(pw_span_str(text), out, len));
}

static void
hmac_gives_the_tags_of_rfc_4231(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(rfc4231); i++) {
        const struct mac_case *c = &rfc4231[i];
        uint8_t key[131], fill[50], wanted[32], tag[32];
        size_t key_len = strlen(c->key) / 2;
        unhex(c->key, key, key_len);
        unhex(c->tag, wanted, sizeof wanted);
        memset(fill, c->fill, sizeof fill);
        union pw_hash hash;
        pw_scheme_hmac_sha256.start(&hash, (struct pw_span){key, key_len});
        pw_scheme_hmac_sha256.absorb(&hash, c->data != NULL
                                                ? pw_span_str(c->data)
                                                : (struct pw_span){fill, sizeof fill});
        pw_scheme_hmac_sha256.sign(&hash, NULL, tag);
        print_message("%s\n", c->name);
        assert_memory_equal(tag, wanted, sizeof wanted);
    }
}

/* The keyed 256-bit value of Python's hashlib for the same key and text. */
static void
blake2b_gives_what_another_implementation_gives(void **state)
{
    (void)state;
    uint8_t key[32], wanted[32], tag[32];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    unhex("d02c63142fd8bcd3fe2d5841ceb976bd76642668bd0805c9bfa324c3e965dcb2", wanted,
          sizeof wanted);
    union pw_hash hash;
    pw_scheme_blake2b.start(&hash, (struct pw_span){key, sizeof key});
    pw_scheme_blake2b.absorb(&hash, pw_span_str("Hi "));
    pw_scheme_blake2b.absorb(&hash, pw_span_str("There"));
    pw_scheme_blake2b.sign(&hash, NULL, tag);
    assert_memory_equal(tag, wanted, sizeof wanted);
}

struct pair_case {
    const char *name;
    const char *seed;
    const char *public_key;
    const char *message;
    const char *signature;
};

/* clang-format off */
static const struct pair_case rfc8032[] = {
    {"test 1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
     "39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"test 2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f"
     "3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"test 3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67"
     "f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};
/* clang-format on */

static struct pw_key *
key_of_seed(const char *seed)
{
    struct pw_key_parts parts = {.suite = PW_SUITE_ED25519, .name = pw_span_str("rfc")};
    unhex(seed, parts.bytes, sizeof parts.bytes);
    struct pw_key *key = pw_key_from(&parts, NULL);
    assert_non_null(key);
    return key;
}

static void
ed25519_gives_the_keys_and_signatures_of_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(rfc8032); i++) {
        const struct pair_case *c = &rfc8032[i];
        uint8_t public_key[32], message[2], wanted[64], tag[64];
        size_t len = strlen(c->message) / 2;
        unhex(c->public_key, public_key, sizeof public_key);
        unhex(c->message, message, len);
        unhex(c->signature, wanted, sizeof wanted);
        print_message("%s\n", c->name);
        PW_CLEANUP(pw_key_free) struct pw_key *key = key_of_seed(c->seed);
        assert_memory_equal(key->public_key, public_key, sizeof public_key);
        crypto_sign_detached(tag, NULL, message, len, key->secret);
        assert_memory_equal(tag, wanted, sizeof wanted);
    }
}

static void
ed25519_signs_its_context_and_the_digest(void **state)
{
    (void)state;
    static const char context[] = "picklewall/ed25519/v1";
    PW_CLEANUP(pw_key_free) struct pw_key *key = key_of_seed(rfc8032[0].seed);
    uint8_t text[sizeof context + 64], tag[64];
    memcpy(text, context, sizeof context);
    crypto_generichash(text + sizeof context, 64, (const uint8_t *)"Hi There", 8, NULL, 0);
    union pw_hash hash;
    pw_scheme_ed25519.start(&hash, (struct pw_span){0});
    pw_scheme_ed25519.absorb(&hash, pw_span_str("Hi There"));
    pw_scheme_ed25519.sign(&hash, key, tag);
    assert_int_equal(crypto_sign_verify_detached(tag, text, sizeof text, key->public_key),
                     0);
    assert_int_not_equal(
        crypto_sign_verify_detached(tag, text, sizeof text - 1, key->public_key), 0);
}

static void
suites_have_their_numbers_and_names(void **state)
{
    (void)state;
    static const struct {
        unsigned number;
        const char *name;
    } suites[] = {{1, "hmac-sha256"}, {2, "ed25519"}, {3, "blake2b"}, {4, "ed25519-batch"}};
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        enum pw_suite suite = (enum pw_suite)suites[i].number;
        assert_string_equal(pw_suite_text(suite), suites[i].name);
        assert_int_equal(pw_suite_parse(suites[i].name), suites[i].number);
    }
    assert_null(pw_suite_text((enum pw_suite)0));
    assert_null(pw_suite_text((enum pw_suite)5));
    assert_null(pw_scheme_of(255));
    assert_int_equal(pw_suite_parse(""), 0);
    assert_int_equal(pw_suite_parse("Ed25519"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_gives_the_tags_of_rfc_4231),
        cmocka_unit_test(blake2b_gives_what_another_implementation_gives),
        cmocka_unit_test(ed25519_gives_the_keys_and_signatures_of_rfc_8032),
        cmocka_unit_test(ed25519_signs_its_context_and_the_digest),
        cmocka_unit_test(suites_have_their_numbers_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
