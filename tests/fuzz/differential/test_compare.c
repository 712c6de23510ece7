/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison beside answers that no unpickler gave: it must object to each that is
 * wrong.
 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/differential/compare.h"
#include "tests/fuzz/differential/generate.h"

enum { STEPS = 3, UNFINISHED = 0, FINISHED = 1, MALFORMED = 2 };

struct step {
    enum oracle_event_kind kind;
    const char *mod; /* NULL: the answer ends here */
    const char *name;
    uint32_t code;
};

struct answer_case {
    const char *name;
    struct pw_span stream;
    enum oracle_reader reader;
    int end;
    struct step steps[STEPS];
    enum failure failure;
    bool refused_anyway;
};

#define IMPORT(mod, name)                                                                  \
    {                                                                                      \
        ORACLE_IMPORT, mod, name, 0                                                        \
    }
#define DOOR(kind, code)                                                                   \
    {                                                                                      \
        ORACLE_##kind, "", "", code                                                        \
    }

/* The frame ends inside the string; a reader of files goes on behind it. */
#define STRADDLING "\x95\7\0\0\0\0\0\0\0X\4\0\0\0xxyycm\nC\n."

/* clang-format off */
static const struct answer_case answer_cases[] = {
    {"as foretold", BYTES("cm\nC\n."), ORACLE_LOADS, FINISHED,
     {IMPORT("m", "C")}, FAIL_NONE, false},
    {"less than foretold", BYTES("cm\nC\n."), ORACLE_LOADS, UNFINISHED, {{0}}, FAIL_NONE, false},
    {"another name, denied", BYTES("cm\nC\n."), ORACLE_LOADS, FINISHED,
     {IMPORT("os", "system")}, FAIL_BREACH, false},
    {"another name, allowed", BYTES("cm\nC\n."), ORACLE_LOADS, FINISHED,
     {IMPORT("m", "D")}, FAIL_ESCAPE, false},
    {"one name too many", BYTES("cos\nC\n."), ORACLE_LOADS, FINISHED,
     {IMPORT("os", "C"), IMPORT("os", "C")}, FAIL_ESCAPE, false},
    {"the wrong order", BYTES("cos\nC\ncos\nD\n."), ORACLE_PYTHON, UNFINISHED,
     {IMPORT("os", "D"), IMPORT("os", "C")}, FAIL_ESCAPE, false},
    {"another name in a stream that is refused", BYTES("cm\nC\n"), ORACLE_LOADS, UNFINISHED,
     {IMPORT("m", "D")}, FAIL_MISSED, false},
    {"a name behind the end", BYTES("N"), ORACLE_PYTHON, UNFINISHED,
     {IMPORT("m", "C")}, FAIL_MISSED, false},
    {"not all that was foretold", BYTES("cm\nC\n."), ORACLE_LOADS, FINISHED,
     {{0}}, FAIL_SURPLUS, false},
    {"a value out of no pickle", BYTES("N"), ORACLE_LOADS, FINISHED, {{0}}, FAIL_NOT_PICKLE, false},
    {"malformed, and nothing said", BYTES("N."), ORACLE_LOADS, MALFORMED,
     {{0}}, FAIL_UNTOLD, false},
    {"malformed, and said", BYTES("N"), ORACLE_LOADS, MALFORMED, {{0}}, FAIL_NONE, false},
    {"an unresolved name is any name", BYTES("K\1K\1\x93."), ORACLE_LOADS, FINISHED,
     {IMPORT("os", "system")}, FAIL_NONE, false},
    {"an unresolved name is one name", BYTES("K\1K\1\x93."), ORACLE_LOADS, FINISHED,
     {IMPORT("os", "system"), IMPORT("os", "system")}, FAIL_MISSED, false},
    {"an unresolved name is told as far as it is known", BYTES("U\1mU\1C\x93."), ORACLE_LOADS,
     FINISHED, {IMPORT("m", "D")}, FAIL_MISSED, false},
    {"a registered extension", BYTES("\x82\1."), ORACLE_LOADS, FINISHED,
     {DOOR(EXTENSION, 1)}, FAIL_NONE, false},
    {"a cached extension", BYTES("\x82\3."), ORACLE_LOADS, FINISHED, {{0}}, FAIL_NONE, false},
    {"another extension", BYTES("\x82\1."), ORACLE_LOADS, FINISHED,
     {DOOR(EXTENSION, 2)}, FAIL_ESCAPE, false},
    {"a persistent id", BYTES("NQ."), ORACLE_FILE, FINISHED,
     {DOOR(PERSISTENT, 0)}, FAIL_NONE, false},
    {"a persistent id in a line cut off", BYTES("P"), ORACLE_PYTHON, UNFINISHED,
     {DOOR(PERSISTENT, 0)}, FAIL_NONE, false},
    {"a persistent id too many", BYTES("N."), ORACLE_FILE, FINISHED,
     {DOOR(PERSISTENT, 0)}, FAIL_BREACH, false},
    {"a buffer", BYTES("\x97."), ORACLE_LOADS, FINISHED, {DOOR(BUFFER, 0)}, FAIL_NONE, false},
    {"a buffer for an id", BYTES("NQ."), ORACLE_LOADS, FINISHED,
     {DOOR(BUFFER, 0)}, FAIL_ESCAPE, false},
    {"an audit event", BYTES("cos\nC\n."), ORACLE_LOADS, FINISHED,
     {IMPORT("os", "C"), DOOR(AUDIT, 0)}, FAIL_ESCAPE, false},
    {"a frame straddled, from a file", BYTES(STRADDLING), ORACLE_FILE, FINISHED,
     {IMPORT("m", "D")}, FAIL_NONE, true},
    {"a frame straddled behind a cached extension", BYTES("\x82\3" STRADDLING), ORACLE_FILE,
     FINISHED, {{0}}, FAIL_NONE, true},
    {"a frame straddled, from memory", BYTES(STRADDLING), ORACLE_LOADS, FINISHED,
     {IMPORT("m", "D")}, FAIL_MISSED, false},
    {"a name before the frame is straddled", BYTES("cm\nC\n" STRADDLING), ORACLE_FILE, FINISHED,
     {IMPORT("m", "D")}, FAIL_MISSED, false},
    {"a memo key spelled oddly", BYTES("Np 1\n0cm\nC\n."), ORACLE_LOADS, UNFINISHED,
     {IMPORT("m", "D")}, FAIL_MISSED, false},
};
/* clang-format on */

struct fixture {
    struct pw_scan *scan;
    struct pw_policy *policy;
    struct forecast forecast;
    struct oracle_answer answer;
};

static struct fixture *
setup(struct pw_span stream)
{
    struct fixture *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->scan = pw_scan_new();
    made->policy = compare_policy();
    compare_foresee(made->scan, made->policy, stream, &made->forecast);
    made->answer.position = -1;
    return made;
}

static void
teardown(struct fixture *made)
{
    pw_scan_free(&made->scan);
    pw_policy_free(&made->policy);
    free(made);
}

static void
each_wrong_answer_is_objected_to(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(answer_cases); i++) {
        const struct answer_case *row = &answer_cases[i];
        struct fixture *made = setup(row->stream);
        struct oracle_answer *answer = &made->answer;
        answer->finished = row->end == FINISHED;
        answer->malformed = row->end == MALFORMED;
        for (; answer->count < STEPS && row->steps[answer->count].mod != NULL;
             answer->count++) {
            const struct step *step = &row->steps[answer->count];
            answer->events[answer->count] = (struct oracle_event){
                step->kind, step->code, pw_span_str(step->mod), pw_span_str(step->name)};
        }
        struct comparison result =
            compare_answer(&made->forecast, made->policy, row->reader, answer);
        if (result.failure != row->failure) {
            fail_msg("%s: %s instead of %s", row->name, failure_text(result.failure),
                     failure_text(row->failure));
        }
        check_case(row->name, result.refused_anyway == row->refused_anyway);
        teardown(made);
    }
}

static void
a_file_must_stand_where_the_report_ends(void **state)
{
    (void)state;
    struct fixture *made = setup(BYTES("N.N"));
    made->answer.finished = true;
    made->answer.position = 2;
    assert_int_equal(
        compare_answer(&made->forecast, made->policy, ORACLE_FILE, &made->answer).failure,
        FAIL_NONE);
    made->answer.position = 3;
    assert_int_equal(
        compare_answer(&made->forecast, made->policy, ORACLE_FILE, &made->answer).failure,
        FAIL_POSITION);
    teardown(made);
}

static void
a_real_pickle_may_have_no_finding_that_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct pw_span stream;
        enum failure failure;
    } rows[] = {{"good", BYTES("cos\nC\n."), FAIL_NONE},
                {"computed", BYTES("cm\nC\n)R)R."), FAIL_NONE},
                {"no pickle", BYTES("N"), FAIL_REFUSAL},
                {"refused", BYTES("I 1\n."), FAIL_REFUSAL}};
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        struct fixture *made = setup(rows[i].stream);
        check_case(rows[i].name, compare_real(&made->forecast) == rows[i].failure);
        teardown(made);
    }
}

static void
the_same_seed_makes_the_same_streams(void **state)
{
    (void)state;
    struct random a = {7};
    struct random b = {7};
    struct random c = {8};
    size_t different = 0;
    for (size_t i = 0; i < 1000; i++) {
        uint8_t x[GENERATE_MOST] = {0};
        uint8_t y[GENERATE_MOST] = {0};
        uint8_t z[GENERATE_MOST] = {0};
        size_t len = generate_stream(&a, x);
        assert_int_equal(generate_stream(&b, y), len);
        assert_memory_equal(x, y, len);
        different += generate_stream(&c, z) != len || memcmp(x, z, len) != 0;
    }
    assert_true(different > 900);
}

static void
mutations_stay_in_their_room(void **state)
{
    (void)state;
    enum { ROOM = 40, FENCE = 8 };
    struct random random = {1};
    for (size_t i = 0; i < 20000; i++) {
        uint8_t bytes[ROOM + FENCE] = "\x80\2cm\nC\n.";
        memset(bytes + ROOM, 0xaa, FENCE);
        size_t len = random_below(&random, ROOM + 1);
        len = generate_mutation(&random, bytes, len, ROOM, BYTES("other"));
        assert_true(len <= ROOM);
        for (size_t j = ROOM; j < sizeof bytes; j++) {
            assert_int_equal(bytes[j], 0xaa);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_answer_is_objected_to),
        cmocka_unit_test(a_file_must_stand_where_the_report_ends),
        cmocka_unit_test(a_real_pickle_may_have_no_finding_that_refuses),
        cmocka_unit_test(the_same_seed_makes_the_same_streams),
        cmocka_unit_test(mutations_stay_in_their_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
