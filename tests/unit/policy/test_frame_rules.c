/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <string.h>

#include "common/policy/frame_rules.h"

static void
kinds_are_read_in_order(void **state)
{
    (void)state;
    struct pw_frame_rules rules;
    struct pw_why why;
    assert_int_equal(pw_frame_rules_parse("topic, literal:0xSG01 ,empty,skip:SP:2(pickle),"
                                          "zlib(pickle), opaque, pickle, buffer*",
                                          &rules, &why),
                     PW_E_OK);
    static const enum pw_frame_kind kinds[] = {
        PW_FRAME_TOPIC,  PW_FRAME_LITERAL, PW_FRAME_EMPTY,  PW_FRAME_PICKLE,
        PW_FRAME_PICKLE, PW_FRAME_OPAQUE,  PW_FRAME_PICKLE, PW_FRAME_BUFFER,
        PW_FRAME_BUFFER, PW_FRAME_BUFFER};
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        assert_int_equal(pw_frame_rules_at(&rules, i)->kind, kinds[i]);
    }
    assert_int_equal(rules.rule[1].literal_len, 6);
    assert_memory_equal(rules.rule[1].literal, "0xSG01", 6);
    assert_int_equal(rules.rule[3].skip_byte, ' ');
    assert_int_equal(rules.rule[3].skip_count, 2);
    assert_true(rules.rule[4].zlib);
    assert_int_equal(pw_frame_rules_least(&rules), 7);
}

static void
without_a_star_there_are_no_more_frames(void **state)
{
    (void)state;
    struct pw_frame_rules rules;
    assert_int_equal(pw_frame_rules_parse("topic,pickle", &rules, NULL), PW_E_OK);
    assert_int_equal(pw_frame_rules_least(&rules), 2);
    assert_null(pw_frame_rules_at(&rules, 2));
}

static const struct {
    const char *text;
    const char *words; /* that the sentence must hold */
} bad_rules[] = {
    {"", "is no frame kind"},
    {"pickles", "\"pickles\" is no frame kind"},
    {"pickle,,pickle", "is no frame kind"},
    {"pickle*,buffer", "\"pickle*\" repeats"},
    {"literal:", "is no frame kind"},
    {"literal:0123456789012345678901234567890123456789012345678901234567890123456789",
     "is no frame kind"},
    {"skip:SP(pickle)", "is no frame kind"},
    {"skip:SP:0(pickle)", "is no frame kind"},
    {"skip:SP:17(pickle)", "is no frame kind"},
    {"skip:SP:2(zlib)", "is no frame kind"},
    {"skip:SEMICOLON:2(pickle)", "is no frame kind"},
    {"zlib(zlib(pickle))", "is no frame kind"},
    {"topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,"
     "topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,topic,"
     "topic,topic,topic,topic,topic",
     "more than 32"},
};

static void
what_is_no_rule_is_named_with_the_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(bad_rules); i++) {
        struct pw_frame_rules rules;
        struct pw_why why = {0};
        check_case(bad_rules[i].text,
                   pw_frame_rules_parse(bad_rules[i].text, &rules, &why) == PW_E_CONFIG);
        check_case(bad_rules[i].text, strstr(why.text, bad_rules[i].words) != NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_read_in_order),
        cmocka_unit_test(without_a_star_there_are_no_more_frames),
        cmocka_unit_test(what_is_no_rule_is_named_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
