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
    assert_int_equal(rules.rule[3].layers.rule[0].kind, PW_LAYER_SKIP);
    assert_int_equal(rules.rule[3].layers.rule[0].separator, ' ');
    assert_int_equal(rules.rule[3].layers.rule[0].count, 2);
    assert_int_equal(rules.rule[4].layers.rule[0].kind, PW_LAYER_ZLIB);
    assert_int_equal(rules.rule[6].layers.rule[0].kind, PW_LAYER_PICKLE);
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
    struct pw_layers layers;
} layer_rules[] = {
    {"pickle", {{{.kind = PW_LAYER_PICKLE}}}},
    {"joblib", {{{.kind = PW_LAYER_JOBLIB}}}},
    {"auto", {{{.kind = PW_LAYER_AUTO}}}},
    {"zlib(auto)", {{{.kind = PW_LAYER_ZLIB}, {.kind = PW_LAYER_AUTO}}}},
    {"gzip(joblib)", {{{.kind = PW_LAYER_GZIP}, {.kind = PW_LAYER_JOBLIB}}}},
    {"zip(npy(pickle))", {{{.kind = PW_LAYER_ZIP}, {.kind = PW_LAYER_NPY}}}},
    {"zip(auto)", {{{.kind = PW_LAYER_ZIP}, {.kind = PW_LAYER_AUTO}}}},
    {"skip:COMMA:16(base64(bz2(xz(pickle))))",
     {{{.kind = PW_LAYER_SKIP, .separator = ',', .count = 16},
       {.kind = PW_LAYER_BASE64},
       {.kind = PW_LAYER_BZ2},
       {.kind = PW_LAYER_XZ}}}},
    {"msgpack(pickle)", {{{.kind = PW_LAYER_MSGPACK, .first = 1, .last = 5}}}},
    {"msgpack:7(pickle)", {{{.kind = PW_LAYER_MSGPACK, .first = 7, .last = 7}}}},
    {"msgpack:0-127(zlib(pickle))",
     {{{.kind = PW_LAYER_MSGPACK, .first = 0, .last = 127}, {.kind = PW_LAYER_ZLIB}}}},
};

static void
layers_stand_in_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(layer_rules); i++) {
        struct pw_frame_rules rules;
        check_case(layer_rules[i].text,
                   pw_frame_rules_parse(layer_rules[i].text, &rules, NULL) == PW_E_OK);
        check_case(layer_rules[i].text, rules.rule[0].kind == PW_FRAME_PICKLE);
        check_case(layer_rules[i].text,
                   memcmp(&rules.rule[0].layers, &layer_rules[i].layers,
                          sizeof(struct pw_layers)) == 0);
    }
}

static void
literals_are_alternatives(void **state)
{
    (void)state;
    struct pw_frame_rules rules;
    assert_int_equal(pw_frame_rules_parse("literal:A|literal:BC | zlib(pickle), literal:D",
                                          &rules, NULL),
                     PW_E_OK);
    const struct pw_frame_rule *rule = pw_frame_rules_at(&rules, 0);
    assert_int_equal(rule->kind, PW_FRAME_PICKLE);
    assert_int_equal(rule->layers.rule[0].kind, PW_LAYER_ZLIB);
    assert_true(pw_frame_rule_literal(rule, BYTES("A")));
    assert_true(pw_frame_rule_literal(rule, BYTES("BC")));
    assert_false(pw_frame_rule_literal(rule, BYTES("")));
    assert_false(pw_frame_rule_literal(rule, BYTES("B")));
    assert_false(pw_frame_rule_literal(rule, BYTES("C")));
    assert_false(pw_frame_rule_literal(rule, BYTES("A|BC")));
    assert_false(pw_frame_rule_literal(rule, BYTES("AB")));
    rule = pw_frame_rules_at(&rules, 1);
    assert_int_equal(rule->kind, PW_FRAME_LITERAL);
    assert_true(pw_frame_rule_literal(rule, BYTES("D")));
    assert_int_equal(pw_frame_rules_parse("pickle", &rules, NULL), PW_E_OK);
    assert_false(pw_frame_rule_literal(&rules.rule[0], BYTES("")));
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
    {"literal:01234567890123456789012345678901|literal:0123456789012345678901234567890123",
     "is no frame kind"},
    {"literal:A|", "is no frame kind"},
    {"literal:A|pickle|literal:B", "is no frame kind"},
    {"pickle|buffer", "is no frame kind"},
    {"zlib", "is no frame kind"},
    {"zlib()", "is no frame kind"},
    {"zlib(pickle", "is no frame kind"},
    {"zlib(pickle))", "is no frame kind"},
    {"zlib(pickle) x", "is no frame kind"},
    {"zlib(buffer)", "is no frame kind"},
    {"pickle(pickle)", "is no frame kind"},
    {"zlib:1(pickle)", "is no frame kind"},
    {"skip:SP(pickle)", "is no frame kind"},
    {"skip:SP:0(pickle)", "is no frame kind"},
    {"skip:SP:17(pickle)", "is no frame kind"},
    {"skip:SP:-1(pickle)", "is no frame kind"},
    {"skip:SP:2(zlib)", "is no frame kind"},
    {"skip:SEMICOLON:2(pickle)", "is no frame kind"},
    {"msgpack:128(pickle)", "is no frame kind"},
    {"msgpack:3-2(pickle)", "is no frame kind"},
    {"msgpack:-1(pickle)", "is no frame kind"},
    {"msgpack:(pickle)", "is no frame kind"},
    {"npy(zlib(pickle))", "write npy(pickle)"},
    {"npy(auto)", "write npy(pickle)"},
    {"zip(zip(pickle))", "write zip(pickle)"},
    {"zip(joblib)", "write zip(pickle)"},
    {"zlib(zlib(zlib(zlib(zlib(pickle)))))", "more than 4 layers"},
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
        cmocka_unit_test(layers_stand_in_each_other),
        cmocka_unit_test(literals_are_alternatives),
        cmocka_unit_test(what_is_no_rule_is_named_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
