/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/scan.h"
#include "common/policy/policy.h"
#include "tests/unit/fail_alloc.h"

struct judge_case {
    const char *name;
    const char *allow; /* entries with ; between */
    struct pw_span stream;
    const char *finds; /* codes */
};

/* clang-format off */
static const struct judge_case judge_cases[] = {
    {"plain data needs no name", "", BYTES("]K\1a."), ""},
    {"a name that is not there", "", BYTES("cm\nC\n."), "import.denied"},
    {"a name that is there", "m:C", BYTES("cm\nC\n."), ""},
    {"another name of the module", "m:C", BYTES("cm\nD\n."), "import.denied"},
    {"the name of another module", "m:C", BYTES("cn\nC\n."), "import.denied"},
    {"a longer name", "m:C", BYTES("cm\nC.x\n."), "import.denied"},
    {"a name that begins the same", "m:Cat", BYTES("cm\nC\n."), "import.denied"},
    {"the colon is no part of a name", "m:C", BYTES("cm:C\n\n."), "import.denied import.name"},
    {"a name with NUL", "m:C", BYTES("cm\nC\0\n."), "import.denied import.name"},
    {"a dotted name, exact", "m:C.x", BYTES("\x80\x04" "cm\nC.x\n."), ""},
    {"bare means every use", "m:C", BYTES("cm\nC\n)R0cm\nC\n)\x81}b(Ne."), ""},

    {"ref only: a value", "m:C ref", BYTES("]cm\nC\na."), ""},
    {"ref only: a call", "m:C ref", BYTES("cm\nC\n)R."), "use.denied"},
    {"call only: a value", "m:C call", BYTES("]cm\nC\na."), "use.denied"},
    {"call only: a call", "m:C call", BYTES("cm\nC\n)R."), ""},
    {"call only: INST and OBJ", "m:C call", BYTES("(im\nC\n(cm\nC\no\x86."), ""},
    {"call only: NEWOBJ", "m:C call", BYTES("cm\nC\n)\x81."), "use.denied"},
    {"new only: BUILD", "m:C new", BYTES("cm\nC\n)\x81}b."), "use.denied"},
    {"new and build", "m:C new build", BYTES("cm\nC\n)\x81}b."), ""},
    {"new without items", "m:C new", BYTES("cm\nC\n)\x81(Ne."), "use.denied"},
    {"new and items", "m:C new items", BYTES("cm\nC\n)\x81(Ne."), ""},

    {"no arguments", "m:f call()", BYTES("cm\nf\n)R."), ""},
    {"one where none may be", "m:f call()", BYTES("cm\nf\nN\x85R."), "args.denied"},
    {"one of the shapes", "m:f call() call(None)", BYTES("cm\nf\nN\x85R."), ""},
    {"int is not str", "m:f call(str)", BYTES("cm\nf\nK\1\x85R."), "args.denied"},
    {"int takes bool", "m:f call(int)", BYTES("cm\nf\n\x88\x85R."), ""},
    {"bool takes no int", "m:f call(bool)", BYTES("cm\nf\nK\1\x85R."), "args.denied"},
    {"alternatives", "m:f call(int|None,str)", BYTES("cm\nf\nN\x8c\1x\x86R."), ""},
    {"a literal", "m:f call(str,'latin1')", BYTES("cm\nf\nVx\nVlatin1\n\x86R."), ""},
    {"a literal from the memo", "m:f call(str,'latin1')", BYTES("Vlatin1\np0\n0cm\nf\nVx\ng0\n\x86R."), ""},
    {"another literal", "m:f call(str,'latin1')", BYTES("cm\nf\nVx\nVrot13\n\x86R."), "args.denied"},
    {"a literal that is computed", "m:f call(str,'latin1');m:g", BYTES("cm\nf\nVx\ncm\ng\n)R\x86R."), "args.denied"},
    {"Python 2 text is str and bytes", "m:f call(str);m:g call(bytes)", BYTES("cm\nf\nU\1x\x85Rcm\ng\nU\1x\x85R\x86."), ""},
    {"a star takes none", "m:f call(str*)", BYTES("cm\nf\n)R."), ""},
    {"a star takes many", "m:f call(int,str*)", BYTES("cm\nf\n(K\1Va\nVb\nVc\ntR."), ""},
    {"a star takes only its kind", "m:f call(int,str*)", BYTES("cm\nf\n(K\1Va\nK\1tR."), "args.denied"},
    {"too many for any shape", "m:f call(int*)", BYTES("cm\nf\n(K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1tR."), "args.denied"},
    {"a named global", "m:f call(m:C)", BYTES("cm\nf\ncm\nC\n\x85R."), "import.denied"},
    {"a named global that may not stand elsewhere", "m:f call(m:C);m:C new", BYTES("cm\nf\ncm\nC\n\x85R."), ""},
    {"an unnamed global under any", "m:f call(any);m:C new", BYTES("cm\nf\ncm\nC\n\x85R."), "args.denied"},
    {"a global under any that may stand", "m:f call(any);m:C ref", BYTES("cm\nf\ncm\nC\n\x85R."), ""},
    {"a bare call with a global that may not stand", "m:f;m:C new", BYTES("cm\nf\ncm\nC\n\x85R."), "args.denied"},
    {"a bare call with it in a tuple", "m:f;m:C new", BYTES("cm\nf\ncm\nC\n\x85\x85R."), "use.denied"},
    {"a class", "m:f call(class);m:C new", BYTES("cm\nf\ncm\nC\n\x85R."), ""},
    {"a function is no class", "m:f call(class);m:g call", BYTES("cm\nf\ncm\ng\n\x85R."), "args.denied"},
    {"an instance of", "m:f call(=m:g);m:g call", BYTES("cm\nf\ncm\ng\n)R\x85R."), ""},
    {"an instance of another", "m:f call(=m:g);m:h call", BYTES("cm\nf\ncm\nh\n)R\x85R."), "args.denied"},
    {"new with a shape", "m:C new(int)", BYTES("cm\nC\nK\1\x85\x81."), ""},
    {"new with another shape", "m:C new(int)", BYTES("cm\nC\nN\x85\x81."), "args.denied"},
    {"keywords fit no shape", "m:C new()", BYTES("cm\nC\n)}\x92."), "args.denied"},
    {"keywords fit bare new", "m:C new", BYTES("cm\nC\n)}\x92."), ""},
    {"arguments that are no tuple", "m:f call(list)", BYTES("cm\nf\n]R."), "pickle.type args.denied"},

    {"protocol 2: the old name alone", "__builtin__:set", BYTES("c__builtin__\nset\n."), "import.denied"},
    {"protocol 2: the new name alone", "builtins:set", BYTES("c__builtin__\nset\n."), "import.denied"},
    {"protocol 2: both names", "builtins:set;__builtin__:set", BYTES("c__builtin__\nset\n."), ""},
    {"protocol 2: both names, one use", "builtins:set;__builtin__:set call()", BYTES("]c__builtin__\nset\na."), "use.denied"},
    {"protocol 3: as spelled", "__builtin__:set", BYTES("\x80\x03" "c__builtin__\nset\n."), ""},
    {"a late PROTO does not reach back", "builtins:set", BYTES("c__builtin__\nset\n0\x80\x04N."), "import.denied"},
    {"instances by their new name", "copyreg:f;copy_reg:f;m:g call(=copyreg:f)", BYTES("cm\ng\nccopy_reg\nf\n)R\x85R."), ""},
    {"_reconstructor", "copy_reg:_reconstructor call(class,builtins:object,None);copyreg:_reconstructor call(class,builtins:object,None);"
        "m:C new build;__builtin__:object ref;builtins:object ref",
        BYTES("ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR}b."), ""},
    {"_reconstructor of a base with a state", "copy_reg:_reconstructor call(class,builtins:object,None);copyreg:_reconstructor call(class,builtins:object,None);"
        "m:C new build;__builtin__:int ref;builtins:int ref",
        BYTES("ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nint\nK\1tR}b."), "args.denied"},

    {"what is broken is refused with all names allowed", "os:system", BYTES("cos\nsystem\n"), "pickle.no_stop"},
    {"in order of place", "", BYTES("cm\nC\n0Np 1\n0cm\nD\n."), "import.denied pickle.number import.denied"},
};
/* clang-format on */

static void
allow_all(struct pw_policy *policy, const char *entries)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", entries);
    for (char *next = copy; next != NULL && *next != '\0';) {
        char *entry = strsep(&next, ";");
        struct pw_why why = {0};
        if (pw_policy_allow(policy, entry, &why) != PW_E_OK) {
            fail_msg("%s: %s", entry, why.text);
        }
    }
}

static void
note(void *arg, const struct pw_find *find)
{
    char *codes = arg;
    if (codes[0] != '\0') {
        strcat(codes, " ");
    }
    strcat(codes, pw_reason_code(find->reason));
}

static size_t
judge(struct pw_policy *policy, struct pw_span stream, char codes[512])
{
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    codes[0] = '\0';
    assert_int_equal(pw_scan_frame(scan, stream, pw_policy_limits(policy), &report),
                     PW_E_OK);
    size_t count = pw_policy_judge(policy, &report, note, codes);
    pw_scan_free(&scan);
    return count;
}

static void
every_stream_is_judged_by_its_policy(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(judge_cases); i++) {
        const struct judge_case *c = &judge_cases[i];
        struct pw_policy *policy = pw_policy_new("test");
        allow_all(policy, c->allow);
        char codes[512];
        size_t count = judge(policy, c->stream, codes);
        if (strcmp(codes, c->finds) != 0 || (count == 0) != (codes[0] == '\0')) {
            fail_msg("%s: [%s]", c->name, codes);
        }
        pw_policy_free(&policy);
    }
}

static const struct {
    enum pw_door door;
    struct pw_span stream;
    const char *code;
} door_cases[] = {
    {PW_DOOR_EXTENSION, BYTES("\x82\x01."), "extension.denied"},
    {PW_DOOR_PERSISTENT, BYTES("NQ."), "persistent_id.denied"},
    {PW_DOOR_BUFFERS, BYTES("\x97."), "buffer.denied"},
    {PW_DOOR_COMPUTED, BYTES("cm\nf\n)R)R."), "call.computed"},
    {PW_DOOR_TRAILING, BYTES("N.N"), "pickle.trailing"},
};

static void
a_door_opens_for_its_own_finding_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(door_cases); i++) {
        for (size_t open = 1; open < PW_DOOR_COUNT; open++) {
            struct pw_policy *policy = pw_policy_new("test");
            allow_all(policy, "m:f");
            pw_policy_set_door(policy, (enum pw_door)open, true);
            char codes[512];
            size_t count = judge(policy, door_cases[i].stream, codes);
            bool own = open == (size_t)door_cases[i].door;
            check_case(door_cases[i].code, count == (own ? 0 : 1));
            check_case(door_cases[i].code, own || strcmp(codes, door_cases[i].code) == 0);
            pw_policy_free(&policy);
        }
    }
}

static void
the_door_of_none_cannot_be_opened(void **state)
{
    (void)state;
    struct pw_policy *policy = pw_policy_new("test");
    pw_policy_set_door(policy, PW_DOOR_NONE, true);
    char codes[512];
    assert_int_equal(judge(policy, BYTES("N"), codes), 1);
    pw_policy_free(&policy);
}

static void
findings_that_were_only_counted_still_refuse(void **state)
{
    (void)state;
    uint8_t stream[202];
    memset(stream, 0x97, 200);
    stream[200] = '.';
    struct pw_policy *policy = pw_policy_new("test");
    char codes[1024] = "";
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(
        pw_scan_frame(scan, (struct pw_span){stream, 201}, &pw_limits_default, &report),
        PW_E_OK);
    assert_int_equal(pw_policy_judge(policy, &report, note, codes), 200);
    pw_policy_set_door(policy, PW_DOOR_BUFFERS, true);
    assert_int_equal(pw_policy_judge(policy, &report, note, codes), 0);
    pw_scan_free(&scan);
    pw_policy_free(&policy);
}

static const struct {
    const char *entry;
    const char *words;
} bad_entries[] = {
    {"", "is no exact name"},
    {"os", "is no exact name"},
    {"os:", "is no exact name"},
    {":system", "is no exact name"},
    {"os.*:system", "is no exact name"},
    {"os:*", "is no exact name"},
    {"os:system,", "is no exact name"},
    {"m:C reference", "\"reference\" is no use"},
    {"m:C call(", "is not closed"},
    {"m:C ref(int)", "only call and new"},
    {"m:C call(integer)", "\"integer\" is no argument shape"},
    {"m:C call(int,)", "is no argument shape"},
    {"m:C call(,int)", "is no argument shape"},
    {"m:C call(int|)", "is no argument shape"},
    {"m:C call('x)", "is no argument shape"},
    {"m:C call(=m)", "is no argument shape"},
    {"m:C call(int int)", "is no argument shape"},
    {"m:C call(int*,str)", "too many arguments or a *"},
    {"m:C call(int,int,int,int,int,int,int,int,int)", "too many arguments"},
    {"m:C call()new", "put a blank before"},
};

static void
what_is_no_entry_is_named_with_the_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(bad_entries); i++) {
        struct pw_policy *policy = pw_policy_new("test");
        struct pw_why why = {0};
        check_case(bad_entries[i].entry,
                   pw_policy_allow(policy, bad_entries[i].entry, &why) == PW_E_CONFIG);
        if (strstr(why.text, bad_entries[i].words) == NULL) {
            fail_msg("%s: %s", bad_entries[i].entry, why.text);
        }
        pw_policy_free(&policy);
    }
}

static void
a_policy_holds_what_it_includes(void **state)
{
    (void)state;
    struct pw_policy *base = pw_policy_new("base");
    struct pw_policy *policy = pw_policy_new("test");
    char entry[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(entry, sizeof entry, "m:C%d call(int,'x',m:D|=m:E)", i);
        assert_int_equal(pw_policy_allow(base, entry, NULL), PW_E_OK);
    }
    pw_policy_set_door(base, PW_DOOR_BUFFERS, true);
    assert_int_equal(pw_policy_include(policy, base), PW_E_OK);
    assert_int_equal(pw_policy_include(policy, base), PW_E_OK); /* twice does no harm */
    pw_policy_free(&base);
    assert_int_equal(pw_policy_size(policy), 1000);
    assert_true(pw_policy_door(policy, PW_DOOR_BUFFERS));
    for (int i = 0; i < 1000; i++) {
        snprintf(entry, sizeof entry, "C%d", i);
        assert_true(pw_policy_allows(policy, BYTES("m"), pw_span_str(entry), PW_USE_CALL));
        assert_false(pw_policy_allows(policy, BYTES("m"), pw_span_str(entry), PW_USE_REF));
    }
    assert_false(pw_policy_allows(policy, BYTES("m"), BYTES("C1000"), PW_USE_COUNT));
    pw_policy_free(&policy);
}

static void
build_once(void *state)
{
    (void)state;
    struct pw_policy *base = pw_policy_new("base");
    struct pw_policy *policy = pw_policy_new("test");
    if (base != NULL && policy != NULL) {
        char entry[64];
        for (int i = 0; i < 40; i++) {
            snprintf(entry, sizeof entry, "m:C%d new(int|m:D,'x') call ref", i);
            enum pw_err err = pw_policy_allow(base, entry, NULL);
            assert_true(err == PW_E_OK || err == PW_E_NOMEM);
        }
        enum pw_err err = pw_policy_include(policy, base);
        assert_true(err == PW_E_OK || err == PW_E_NOMEM);
    }
    pw_policy_free(&base);
    pw_policy_free(&policy);
}

static void
running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, build_once, NULL)) {
        n++;
    }
    assert_true(n > 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_judged_by_its_policy),
        cmocka_unit_test(a_door_opens_for_its_own_finding_only),
        cmocka_unit_test(the_door_of_none_cannot_be_opened),
        cmocka_unit_test(findings_that_were_only_counted_still_refuse),
        cmocka_unit_test(what_is_no_entry_is_named_with_the_remedy),
        cmocka_unit_test(a_policy_holds_what_it_includes),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
