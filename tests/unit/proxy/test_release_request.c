/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/release_request.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"

#include "proxy/json_read.h"
#include "tests/unit/fail_alloc.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

static const struct good_case {
    const char *name;
    const char *text;
    const char *reason;
    enum pw_reason overruled; /* NONE: nothing is */
    bool again, arrived, dry_run, sealed;
} good_cases[] = {
    {"the least", "{\"id\":\"01AB\",\"reason\":\"why\"}", "why", 0, 0, 0, 0, 0},
    {"a dry run needs no reason", "{\"id\":\"01AB\",\"dry_run\":true}", "", 0, 0, 0, 1, 0},
    {"all of it",
     "{\"id\":\"01AB\",\"reason\":\"why\",\"override\":[\"import.denied\"],\"again\":true,"
     "\"arrived\":false,\"dry_run\":true,\"key\":\"" KEY "\"}",
     "why", PW_R_IMPORT_DENIED, 1, 0, 1, 1},
    {"it had arrived", "{\"id\":\"01AB\",\"reason\":\"seen\",\"arrived\":true}", "seen", 0,
     0, 1, 0, 0},
    {"words of any language", "{\"id\":\"01AB\",\"reason\":\"\\u00fc\\n\"}", "\xc3\xbc\n",
     0, 0, 0, 0, 0},
    {"half a pair", "{\"id\":\"01AB\",\"reason\":\"\\udc80\"}", "\xef\xbf\xbd", 0, 0, 0, 0,
     0},
};

static void
check_request(const struct good_case *c, const struct pw_release_request *got)
{
    check_case(c->name, strcmp(got->id, "01AB") == 0);
    check_case(c->name, strcmp(got->reason, c->reason) == 0);
    for (size_t i = 1; i < PW_R_COUNT; i++) {
        check_case(c->name, got->override[i] == (i == c->overruled));
    }
    check_case(c->name, got->again == c->again && got->arrived == c->arrived);
    check_case(c->name, got->dry_run == c->dry_run && got->sealed == c->sealed);
    check_case(c->name, !c->sealed || got->key[31] == 0xef);
}

static void
what_is_asked_is_read_and_written_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(good_cases); i++) {
        const struct good_case *c = &good_cases[i];
        PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
        struct pw_release_request got, again;
        struct pw_why why = {0};
        if (pw_release_request_parse(pw_span_str(c->text), &got, &why) != PW_E_OK) {
            fail_msg("%s: %s", c->name, why.text);
        }
        check_request(c, &got);
        assert_int_equal(pw_release_request_write(&got, &text), PW_E_OK);
        assert_int_equal(pw_release_request_parse(pw_buf_span(&text), &again, &why),
                         PW_E_OK);
        check_request(c, &again);
    }
}

#define LONG_ID "01ABCDEF01ABCDEF01ABCDEF01ABCDEF01ABCDEF01ABCDEF01ABCDEF01ABCDEFX"
#define WITH_REASON(more) "{\"id\":\"01AB\",\"reason\":\"why\"," more "}"

static const struct {
    const char *text;
    const char *says;
} bad_cases[] = {
    {"", "wants one JSON object"},
    {"01AB", "wants one JSON object"},
    {"[]", "wants one JSON object"},
    {"{\"id\":\"01AB\"", "wants one JSON object"},
    {"{\"id\":\"01AB\"} {}", "wants one JSON object"},
    {"{}", "id is missing"},
    {"{\"reason\":\"why\"}", "id is missing"},
    {"{\"id\":\"\"}", "id: that is none"},
    {"{\"id\":1}", "id: that is none"},
    {"{\"id\":\"../x\"}", "id: that is none"},
    {"{\"id\":\"01\\u0000AB\"}", "id: that is none"},
    {"{\"id\":\"" LONG_ID "\"}", "id: that is none"},
    {"{\"id\":\"01AB\"}", "reason is missing"},
    {"{\"id\":\"01AB\",\"reason\":\" \\t\"}", "reason is missing"},
    {"{\"id\":\"01AB\",\"reason\":7}", "reason: say it in text"},
    {"{\"id\":\"01AB\",\"reason\":\"a\\u0000b\"}", "reason: say it in text"},
    {WITH_REASON("\"override\":\"import.denied\""), "override: give an array"},
    {WITH_REASON("\"override\":[1]"), "is no reason"},
    {WITH_REASON("\"override\":[\"\"]"), "is no reason"},
    {WITH_REASON("\"override\":[\"sig.bad\"]"), "sig.bad cannot be overruled"},
    {WITH_REASON("\"override\":[\"limit.frames\"]"), "cannot be overruled"},
    {WITH_REASON("\"again\":1"), "again: write true or false"},
    {WITH_REASON("\"dry_run\":\"yes\""), "dry_run: write true or false"},
    {WITH_REASON("\"arrived\":true,\"again\":true"), "arrived goes neither"},
    {WITH_REASON("\"key\":\"00\""), "key: give"},
    {WITH_REASON("\"key\":5"), "key: give"},
    {WITH_REASON("\"forve\":true"), "forve is no member"},
};

static void
what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(bad_cases); i++) {
        struct pw_release_request got;
        struct pw_why why = {0};
        enum pw_err err =
            pw_release_request_parse(pw_span_str(bad_cases[i].text), &got, &why);
        check_case(bad_cases[i].text, err == PW_E_USAGE);
        if (strstr(why.text, bad_cases[i].says) == NULL) {
            fail_msg("%s: %s", bad_cases[i].text, why.text);
        }
    }
}

static void
a_reason_has_at_most_500_bytes(void **state)
{
    (void)state;
    struct pw_release_request got = {.id = "01AB"}, again;
    struct pw_why why = {0};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
    memset(got.reason, 'x', PW_RELEASE_REASON);
    assert_int_equal(pw_release_request_write(&got, &text), PW_E_OK);
    assert_int_equal(pw_release_request_parse(pw_buf_span(&text), &again, &why), PW_E_OK);
    assert_string_equal(again.reason, got.reason);
    static char longer[600] = "{\"id\":\"01AB\",\"reason\":\"";
    size_t len = strlen(longer);
    memset(longer + len, 'x', PW_RELEASE_REASON + 1);
    memcpy(longer + len + PW_RELEASE_REASON + 1, "\"}", 3);
    assert_int_equal(pw_release_request_parse(pw_span_str(longer), &again, &why),
                     PW_E_USAGE);
}

static void
parse_once(void *state)
{
    (void)state;
    struct pw_release_request got;
    struct pw_why why = {0};
    enum pw_err err = pw_release_request_parse(pw_span_str(good_cases[2].text), &got, &why);
    assert_int_equal(err, fail_alloc_happened() ? PW_E_NOMEM : PW_E_OK);
}

static void
write_once(void *state)
{
    (void)state;
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = 4096};
    struct pw_release_request request = {.id = "01AB", .reason = "why"};
    enum pw_err err = pw_release_request_write(&request, &text);
    assert_int_equal(err, fail_alloc_happened() ? PW_E_NOMEM : PW_E_OK);
}

static void
out_of_memory_is_said(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, parse_once, NULL)) {
        n++;
    }
    assert_true(n > 1);
    for (n = 1; fail_alloc_round(n, write_once, NULL); n++) {
    }
    assert_true(n > 1);
}

static bool key_seen;

void __real_free(void *bytes);
void __wrap_free(void *bytes);

void
__wrap_free(void *bytes)
{
    size_t size = malloc_usable_size(bytes);
    key_seen = key_seen || (size > 0 && memmem(bytes, size, KEY, strlen(KEY)) != NULL);
    __real_free(bytes);
}

static void
a_key_is_in_no_memory_that_is_given_back(void **state)
{
    (void)state;
    struct pw_release_request got;
    struct pw_why why = {0};
    char *copy = strdup(good_cases[2].text);
    free(copy);
    assert_true(key_seen); /* it would be */
    key_seen = false;
    assert_int_equal(pw_release_request_parse(pw_span_str(good_cases[2].text), &got, &why),
                     PW_E_OK);
    assert_true(got.sealed);
    assert_false(key_seen);
}

int
main(void)
{
    pw_json_wipes();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_is_read_and_written_alike),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_reason_has_at_most_500_bytes),
        cmocka_unit_test(a_key_is_in_no_memory_that_is_given_back),
        cmocka_unit_test(out_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
