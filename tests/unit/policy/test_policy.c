/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/scan.h"
#include "common/policy/entry.h"
#include "tests/unit/fail_alloc.h"

struct judge_case {
    const char *name;
    const char *allow; /* entries with ; between */
    struct pw_span stream;
    const char *finds; /* codes */
};

#define TIED "m:f call(1)+build(dict) call(2)+build((None,dict))"

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
    {"bare means every use", "m:C", BYTES("cm\nC\n)R0cm\nC\n)\x81(Ne}b."), ""},

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
    {"a short text", "m:f call(str..3)", BYTES("cm\nf\n\x8c\3abc\x85R0cm\nf\nVabc\n\x85R0cm\nf\nU\0\x85R."), ""},
    {"a text that is longer", "m:f call(str..3|None)", BYTES("cm\nf\n\x8c\4abcd\x85R."), "args.denied"},
    {"a text whose escapes are longer", "m:f call(str..3)", BYTES("cm\nf\nV\\u1234\\u0041\n\x85R."), "args.denied"},
    {"short bytes", "m:f call(bytes..2)", BYTES("cm\nf\nC\2\xff\xff\x85R."), ""},
    {"bytes that are longer", "m:f call(bytes..2)", BYTES("cm\nf\nC\3\xff\xff\xff\x85R."), "args.denied"},
    {"any instance", "m:f call(instance);m:g", BYTES("cm\nf\ncm\ng\n)R\x85R."), ""},
    {"a text is no instance", "m:f call(instance)", BYTES("cm\nf\nVx\n\x85R."), "args.denied"},
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

    {"a number", "m:f call(7)", BYTES("cm\nf\nK\7\x85R."), ""},
    {"another number", "m:f call(7)", BYTES("cm\nf\nK\x08\x85R."), "args.denied"},
    {"a number as text", "m:f call(7)", BYTES("(I7\nL7L\nL7\nlcm\nf\nL7L\n\x85R."), ""},
    {"a number in binary", "m:f call(-2)", BYTES("cm\nf\nJ\xfe\xff\xff\xff\x85R0cm\nf\n\x8a\1\xfe\x85R0cm\nf\n\x8b\2\0\0\0\xfe\xff\x85R."), ""},
    {"a number of no bytes is zero", "m:f call(0)", BYTES("cm\nf\n\x8a\0\x85R."), ""},
    {"a number of nine bytes", "m:f call(0..9)", BYTES("cm\nf\n\x8a\x09\1\0\0\0\0\0\0\0\0\x85R."), "args.denied"},
    {"a number of twenty digits", "m:f call(-9..9)", BYTES("cm\nf\nI-18446744073709551615\n\x85R."), "args.denied"},
    {"the ends of a range", "m:f call(0..256)", BYTES("cm\nf\nK\0\x85R0cm\nf\nM\0\1\x85R."), ""},
    {"beyond a range", "m:f call(0..256)", BYTES("cm\nf\nM\1\1\x85R."), "args.denied"},
    {"below a range", "m:f call(0..256)", BYTES("cm\nf\nJ\xff\xff\xff\xff\x85R."), "args.denied"},
    {"every fourth of a range", "m:f call(2..10/4)", BYTES("cm\nf\nK\2\x85R0cm\nf\nK\x06\x85R0cm\nf\nK\x0a\x85R."), ""},
    {"none of every fourth", "m:f call(2..10/4)", BYTES("cm\nf\nK\4\x85R."), "args.denied"},
    {"True is no number", "m:f call(1)", BYTES("cm\nf\n\x88\x85R."), "args.denied"},
    {"a float is no number", "m:f call(0)", BYTES("cm\nf\nF0\n\x85R."), "args.denied"},
    {"True", "m:f call(True)", BYTES("cm\nf\n\x88\x85R0cm\nf\nI01\n\x85R."), ""},
    {"False for True", "m:f call(True)", BYTES("cm\nf\n\x89\x85R."), "args.denied"},
    {"1 for True", "m:f call(True)", BYTES("cm\nf\nK\1\x85R."), "args.denied"},
    {"a number that is computed", "m:f call(0..9);m:g", BYTES("cm\nf\ncm\ng\n)R\x85R."), "args.denied"},
    {"bytes that are meant", "m:f call(b'b')", BYTES("cm\nf\nC\1b\x85R."), ""},
    {"Python 2 bytes that are meant", "m:f call(b'b')", BYTES("cm\nf\nU\1b\x85R."), ""},
    {"other bytes", "m:f call(b'b')", BYTES("cm\nf\nC\1B\x85R."), "args.denied"},
    {"text for bytes", "m:f call(b'b')", BYTES("cm\nf\n\x8c\1b\x85R."), "args.denied"},
    {"bytes for text", "m:f call('b')", BYTES("cm\nf\nC\1b\x85R."), "args.denied"},
    {"text with a number", "m:f call('U'+int)", BYTES("cm\nf\n\x8c\3U12\x85R."), ""},
    {"text without its number", "m:f call('U'+int)", BYTES("cm\nf\n\x8c\1U\x85R."), "args.denied"},
    {"text with more than a number", "m:f call('U'+int)", BYTES("cm\nf\n\x8c\3U1,\x85R."), "args.denied"},
    {"text with the longest number", "m:f call('U'+int)", BYTES("cm\nf\n\x8c\x09U99999999\x85R."), ""},
    {"text with too long a number", "m:f call('U'+int)", BYTES("cm\nf\n\x8c\x0aU999999999\x85R."), "args.denied"},
    {"a tuple in order", "m:f call((int,str))", BYTES("cm\nf\nK\1\x8c\1x\x86\x85R."), ""},
    {"a tuple out of order", "m:f call((int,str))", BYTES("cm\nf\n\x8c\1xK\1\x86\x85R."), "args.denied"},
    {"a tuple of another length", "m:f call((int,str))", BYTES("cm\nf\nK\1\x85\x85R."), "args.denied"},
    {"a tuple of any length", "m:f call((0..9*))", BYTES("cm\nf\n)\x85R0cm\nf\nK\1K\2K\3\x87\x85R."), ""},
    {"one of any length that does not fit", "m:f call((0..9*))", BYTES("cm\nf\nK\1K\2M\3\1\x87\x85R."), "args.denied"},
    {"the empty tuple", "m:f call(())", BYTES("cm\nf\n)\x85R."), ""},
    {"a tuple in a tuple", "m:f call(((0),None))", BYTES("cm\nf\nK\0\x85N\x86\x85R."), ""},
    {"a list for a tuple", "m:f call((0))", BYTES("cm\nf\n]K\0a\x85R."), "args.denied"},
    {"cells", "m:f call((int*),cells)", BYTES("cm\nf\nK\2K\1\x86](NNe\x86R."), ""},
    {"cells of a shape without sides", "m:f call((int*),cells)", BYTES("cm\nf\n)]Na\x86R."), ""},
    {"no cells", "m:f call((int*),int,cells)", BYTES("cm\nf\nK\0\x85K\1]\x87R."), ""},
    {"more cells than there are", "m:f call((int*),cells)", BYTES("cm\nf\nK\3\x85](NNe\x86R."), "args.denied"},
    {"cells of an unknown shape", "m:f call((any*),cells)", BYTES("cm\nf\nN\x85]Na\x86R."), "args.denied"},
    {"cells of a negative shape", "m:f call((int*),cells)", BYTES("cm\nf\nJ\xff\xff\xff\xffJ\xff\xff\xff\xff\x86]Na\x86R."), "args.denied"},
    {"cells of no shape", "m:f call(cells)", BYTES("cm\nf\n]\x85R."), "args.denied"},
    {"cells that are a tuple", "m:f call((int*),cells)", BYTES("cm\nf\nK\1\x85N\x85\x86R."), "args.denied"},
    {"cells that come later", "m:f call((int*),cells)", BYTES("cm\nf\nK\1\x85]\x94\x86R0h\0Na."), "args.denied"},

    {"what came from outside", "m:f call(outside)", BYTES("cm\nf\n\x97\x85R."), "buffer.denied"},
    {"what did not", "m:f call(outside)", BYTES("cm\nf\nN\x85R."), "args.denied"},

    {"a state", "m:C new() build(dict)", BYTES("cm\nC\n)\x81}b."), ""},
    {"another state", "m:C new() build(dict)", BYTES("cm\nC\n)\x81N}\x86" "b."), "args.denied"},
    {"a state that is a tuple", "m:C new() build((None,dict))", BYTES("cm\nC\n)\x81N}\x86" "b."), ""},
    {"one state of two", "m:C new() build(dict) build((None,dict))", BYTES("cm\nC\n)\x81}b0cm\nC\n)\x81N}\x86" "b."), ""},
    {"a state of an instance of _reconstructor", "copyreg:_reconstructor call(class,builtins:object,None);builtins:object ref;m:C new() build(dict)",
        BYTES("\x80\3ccopyreg\n_reconstructor\n(cm\nC\ncbuiltins\nobject\nNtRN}\x86" "b."), "args.denied"},

    {"a tied state", TIED, BYTES("cm\nf\nK\1\x85R}b."), ""},
    {"a state tied to another call", TIED, BYTES("cm\nf\nK\2\x85R}b."), "args.denied"},
    {"each its own state", TIED, BYTES("cm\nf\nK\1\x85R}b0cm\nf\nK\2\x85RN}\x86" "b."), ""},
    {"a tied state with work in between", TIED, BYTES("cm\nf\nq\0K\1\x85q\1Rq\2}q\3(K\1](NNeK\2N\x85uq\4b."), ""},
    {"a tied state with a frame and MEMOIZE in between", TIED, BYTES("\x80\4\x95\x0a\0\0\0\0\0\0\0cm\nf\nK\1\x85R\x94\x95\3\0\0\0\0\0\0\0}b."), ""},
    {"a tied state after another", TIED, BYTES("cm\nf\nK\1\x85R}b}b."), "target.built args.denied"},
    {"a tied state of the call before", TIED, BYTES("cm\nf\nK\2\x85Rcm\nf\nK\1\x85R0}b."), "args.denied"},
    {"a tied state of the call before, from the memo", TIED, BYTES("cm\nf\nK\2\x85Rq\0" "0cm\nf\nK\1\x85R0h\0}b."), "args.denied"},
    {"a tied state on an alias of the call before", TIED, BYTES("cm\nf\nK\2\x85Rq\0" "0cm\nf\nK\1\x85Rh\0}b."), "args.denied"},
    {"a tied state on what a mark hid", TIED, BYTES("cm\nf\nK\2\x85R(cm\nf\nK\1\x85R1}b."), "args.denied"},
    {"a tied state of what is in a list by then", TIED, BYTES("cm\nf\nK\1\x85R\x94(]h\0a1}b."), "args.denied"},
    {"a tied state of what was an argument by then", TIED ";m:g call", BYTES("cm\nf\nK\1\x85R\x94(cm\ng\nh\0\x85R1}b."), "args.denied"},
    {"a tied state of what is in its own state", TIED, BYTES("cm\nf\nK\1\x85R\x94}K\0h\0sb."), "args.denied"},
    {"two tied states, one in the other", TIED, BYTES("cm\nf\nK\1\x85R}K\0cm\nf\nK\1\x85R}bsb."), "args.denied"},
    {"a state that is free on a line of its own", TIED ";m:f build(dict)", BYTES("cm\nf\nK\2\x85R}b."), ""},

    {"a pickle", "m:f call(pickle)", BYTES("cm\nf\nC\2N.\x85R."), ""},
    {"a pickle in Python 2 bytes", "m:f call(pickle)", BYTES("cm\nf\nU\2N.\x85R."), ""},
    {"no pickle", "m:f call(pickle)", BYTES("cm\nf\nC\2zz\x85R."), "pickle.opaque args.denied"},
    {"a pickle with another behind it", "m:f call(pickle)", BYTES("cm\nf\nC\4N.N.\x85R."), "pickle.trailing args.denied"},
    {"a pickle in text", "m:f call(pickle)", BYTES("cm\nf\n\x8c\2N.\x85R."), "args.denied"},
    {"a pickle in a bytearray", "m:f call(pickle)", BYTES("cm\nf\n\x96\2\0\0\0\0\0\0\0N.\x85R."), "args.denied"},
    {"a pickle of what is allowed", "m:f call(pickle)", BYTES("cm\nf\nC\6cm\nf\n.\x85R."), "use.denied args.denied"},
    {"a pickle of what is not", "m:f call(pickle)", BYTES("cm\nf\nC\6cm\ng\n.\x85R."), "import.denied args.denied"},
    {"a pickle or nothing", "m:f call(pickle) call(None)", BYTES("cm\nf\nN\x85R."), ""},
    {"a pickle in a pickle", "m:f call(pickle)", BYTES("cm\nf\nC\x0c" "cm\nf\nC\2N.\x85R.\x85R."), ""},
    {"a bad pickle in a pickle", "m:f call(pickle)", BYTES("cm\nf\nC\x0b" "cm\nf\nC\1N\x85R.\x85R."), "pickle.no_stop args.denied args.denied"},

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

static void
ignore_find(void *arg, const struct pw_find *find)
{
    (void)arg;
    (void)find;
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
    {"m:C ref(int)", "only call, new and build"},
    {"m:C call(integer)", "\"integer\" is no argument shape"},
    {"m:C call(int,)", "is no argument shape"},
    {"m:C call(,int)", "is no argument shape"},
    {"m:C call(int|)", "is no argument shape"},
    {"m:C call('x)", "is no argument shape"},
    {"m:C call(=m)", "is no argument shape"},
    {"m:C call(int int)", "is no argument shape"},
    {"m:C call(int*,str)", "too many arguments or a *"},
    {"m:C call(int,int,int,int,int,int,int,int,int,int,int,int,int,int,int,int,int)",
     "too many arguments"},
    {"m:C call((((((int))))))", "4 tuples in one another"},
    {"m:C call((int)", "is not closed"},
    {"m:C call((int,))", "is no argument shape"},
    {"m:C call(-)", "\"\" is no argument shape"},
    {"m:C call(5..)", "is no argument shape"},
    {"m:C call(5..4)", "is no argument shape"},
    {"m:C call(0..8/)", "is no argument shape"},
    {"m:C call(0..8/0)", "is no argument shape"},
    {"m:C call(0..8/-4)", "is no argument shape"},
    {"m:C call(1234567890123456789)", "\"9\" is no argument shape"},
    {"m:C call(0x10)", "\"x10\" is no argument shape"},
    {"m:C call(b'x)", "is no argument shape"},
    {"m:C call(b'x'+int)", "\"+int\" is no argument shape"},
    {"m:C call('x'+str)", "\"+str\" is no argument shape"},
    {"m:C call(true)", "\"true\" is no argument shape"},
    {"m:C build(dict,dict)", "build takes one shape"},
    {"m:C build()", "build takes one shape"},
    {"m:C build(dict*)", "build takes one shape"},
    {"m:C call()+build()", "build takes one shape"},
    {"m:C call()+items", "only +build(…) can follow"},
    {"m:C build(dict)+build(dict)", "only +build(…) can follow"},
    {"m:C items(int)", "only call, new and build"},
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
        snprintf(entry, sizeof entry, "m:C%d call((int),'x',m:D|=m:E)", i);
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
        const struct pw_entry *found =
            pw_policy_entry(policy, BYTES("m"), pw_span_str(entry));
        assert_non_null(found);
        assert_int_equal(found->uses, 1 << PW_USE_CALL);
    }
    assert_null(pw_policy_entry(policy, BYTES("m"), BYTES("C1000")));
    pw_policy_free(&policy);
}

struct told {
    size_t count;
    struct pw_find finds[8];
};

static void
keep(void *arg, const struct pw_find *find)
{
    struct told *told = arg;
    told->finds[told->count++] = *find;
}

static void
what_is_in_a_pickle_is_told_by_its_place_in_the_frame(void **state)
{
    (void)state;
    static const uint8_t stream[] = "cm\nf\nC\x0e"
                                    "Ncm\nf\nC\3N0N\x85R.\x85R.";
    struct pw_span frame = {stream, sizeof stream - 1};
    struct pw_policy *policy = pw_policy_new("test");
    allow_all(policy, "m:f call(pickle)");
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    struct told told = {0};
    assert_int_equal(pw_scan_frame(scan, frame, &pw_limits_default, &report), PW_E_OK);
    assert_int_equal(pw_policy_judge(policy, &report, keep, &told), 3);
    static const struct {
        enum pw_reason reason;
        uint32_t off;
    } expected[] = {
        {PW_R_PICKLE_NO_STOP, 18}, {PW_R_ARGS_DENIED, 19}, {PW_R_ARGS_DENIED, 22}};
    for (size_t i = 0; i < PW_COUNT(expected); i++) {
        assert_int_equal(told.finds[i].reason, expected[i].reason);
        assert_int_equal(told.finds[i].off, expected[i].off);
    }
    assert_ptr_equal(told.finds[1].name.ptr, stream + 11); /* of the frame, not a copy */
    pw_scan_free(&scan);
    pw_policy_free(&policy);
}

/* One constant of 4 KiB, unpickled by each of 64 calls. */
static void
one_pickle_cannot_be_scanned_without_end(void **state)
{
    (void)state;
    enum { SIZE = 4096, CALLS = 64 };
    static uint8_t stream[SIZE + CALLS * 16];
    uint8_t *at = stream;
    memcpy(at, "B\0\x10\0\0", 5); /* a pickle of SIZE - 1 None */
    memset(at + 5, 'N', SIZE - 1);
    at[5 + SIZE - 1] = '.';
    at += 5 + SIZE;
    memcpy(at, "q\0", 2);
    at += 2;
    for (size_t i = 0; i < CALLS; i++) {
        memcpy(at, "cm\nf\nh\0\x85R", 9);
        at += 9;
    }
    *at++ = '.';
    struct pw_policy *policy = pw_policy_new("test");
    allow_all(policy, "m:f call(pickle)");
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(pw_scan_frame(scan, (struct pw_span){stream, (size_t)(at - stream)},
                                   &pw_limits_default, &report),
                     PW_E_OK);
    size_t refused = pw_policy_judge(policy, &report, ignore_find, NULL);
    assert_int_equal(refused, CALLS - 9); /* 8 bytes for each of the frame's */
    pw_scan_free(&scan);
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
            snprintf(entry, sizeof entry, "m:C%d new((m:D*),'x')+build(0) call ref", i);
            enum pw_err err = pw_policy_allow(base, entry, NULL);
            assert_true(err == PW_E_OK || err == PW_E_NOMEM);
        }
        enum pw_err err = pw_policy_include(policy, base);
        assert_true(err == PW_E_OK || err == PW_E_NOMEM);
    }
    pw_policy_free(&base);
    pw_policy_free(&policy);
}

/* The second scanner is made when the first constant is met: without it nothing passes. */
static void
judging_out_of_memory_refuses(void **state)
{
    (void)state;
    struct pw_policy *policy = pw_policy_new("test");
    allow_all(policy, "m:f call(pickle)");
    size_t n = 1;
    for (;; n++) {
        struct pw_scan *scan = pw_scan_new();
        struct pw_report report;
        assert_int_equal(
            pw_scan_frame(scan, BYTES("cm\nf\nC\2N.\x85R."), &pw_limits_default, &report),
            PW_E_OK);
        fail_alloc_at(n);
        size_t refused = pw_policy_judge(policy, &report, ignore_find, NULL);
        bool failed = fail_alloc_happened();
        fail_alloc_at(0);
        pw_scan_free(&scan);
        assert_int_equal(refused > 0, failed);
        if (!failed) {
            break;
        }
    }
    assert_true(n > 1);
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
        cmocka_unit_test(what_is_in_a_pickle_is_told_by_its_place_in_the_frame),
        cmocka_unit_test(one_pickle_cannot_be_scanned_without_end),
        cmocka_unit_test(judging_out_of_memory_refuses),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
