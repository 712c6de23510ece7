/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/policy/dangerous.h"
#include "common/policy/policy.h"

static const struct {
    const char *mod, *name;
    const char *note; /* NULL: nothing is known */
} names[] = {
    {"os", "system", "runs a program"},
    {"posix", "system", "runs a program"},
    {"nt", "system", "runs a program"},
    {"os", "getcwd", "asks the operating system"},
    {"os", "stat_result", NULL},
    {"os.path", "exists", "asks about files"},
    {"osx", "system", NULL},
    {"subprocess", "Popen", "runs a program"},
    {"subprocess", "Popen.__init__", "runs a program"},
    {"subprocess", "CalledProcessError", NULL},
    {"commands", "getoutput", "runs a program"},
    {"builtins", "eval", "runs code"},
    {"__builtin__", "eval", "runs code"},
    {"__builtin__", "execfile", "runs code"},
    {"__builtin__", "reduce", "calls what it is given"},
    {"__builtins__", "getattr", "reads attributes"},
    {"builtins", "int", NULL},
    {"_io", "open", "opens a file"},
    {"_operator", "attrgetter", "reads attributes"},
    {"cPickle", "loads", "loads a pickle"},
    {"pickle", "PicklingError", NULL},
    {"importlib._bootstrap.deep", "x", "imports a module"},
    {"urllib.request", "urlopen", "opens a connection"},
    {"urllib.parse", "SplitResult", NULL},
    {"urllib2", "urlopen", "opens a connection"},
    {"types", "CodeType", "compiles code"},
    {"types", "SimpleNamespace", NULL},
    {"_codecs", "encode", "imports a codec"},
    {"idlelib.run", "Executive.runcode", "runs code"},
    {"posixpath", "os.system", "runs a program"},
    {"random", "_os.system", "runs a program"},
    {"collections", "abc.sys.modules", "changes the interpreter"},
    {"myapp.jobs", "Job.__init__.__globals__", "reaches into the interpreter"},
    {"myapp.jobs", "Job", NULL},
    {"", "", NULL},
    {".", ".", NULL},
    {"..", "..", NULL},
    {"os.", "system", "asks the operating system"},
};

static void
what_is_known_of_a_name_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        const struct pw_danger *danger =
            pw_dangerous(pw_span_str(names[i].mod), pw_span_str(names[i].name));
        const char *note = danger == NULL ? "nothing" : danger->note;
        const char *wanted = names[i].note == NULL ? "nothing" : names[i].note;
        if (strcmp(note, wanted) != 0) {
            fail_msg("%s:%s %s", names[i].mod, names[i].name, note);
        }
    }
}

static void
hostile_names_cost_no_more_than_their_length(void **state)
{
    (void)state;
    enum { LONG = 4 << 20 };
    uint8_t *text = malloc(LONG);
    assert_non_null(text);
    static const char fills[] = {'.', 'a', '_', '\0', '\xff'};
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(text, fills[i], LONG);
        struct pw_span bulk = {text, LONG};
        assert_null(pw_dangerous(bulk, bulk));
        assert_non_null(pw_dangerous(BYTES("sys"), bulk));
    }
    free(text);
}

struct row {
    const char *mod, *name;
    const char *words;
};

static const struct row rows[] = {
#define PW_DANGEROUS(mod, name, level, words) {mod, name, words},
#define PW_HARMLESS(mod, name) {mod, name, NULL},
#define PW_DANGER_ALIAS(mod, as)
#include "common/policy/dangerous.def"
#undef PW_DANGEROUS
#undef PW_HARMLESS
#undef PW_DANGER_ALIAS
};

static void
every_row_is_in_order_and_found(void **state)
{
    (void)state;
    assert_true(PW_COUNT(rows) > 400);
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        if (i > 0) {
            int order = strcmp(rows[i - 1].mod, row->mod);
            order = order != 0 ? order : strcmp(rows[i - 1].name, row->name);
            check_case(row->mod, order < 0);
        }
        if (row->mod[0] == '*') {
            continue; /* only inside of dotted names */
        }
        const struct pw_danger *danger =
            pw_dangerous(pw_span_str(row->mod), pw_span_str(row->name));
        check_case(row->mod, (danger != NULL) == (row->words != NULL));
        check_case(row->mod, danger == NULL || strcmp(danger->note, row->words) == 0);
        check_case(row->mod, danger == NULL || danger->level >= PW_LEVEL_MEDIUM);
    }
}

static void
a_name_raises_the_level_of_a_finding_and_never_lowers_it(void **state)
{
    (void)state;
    const struct pw_danger *grave = pw_dangerous(BYTES("os"), BYTES("system"));
    const struct pw_danger *mild = pw_dangerous(BYTES("os.path"), BYTES("exists"));
    assert_int_equal(pw_danger_level(PW_R_IMPORT_DENIED, NULL), PW_LEVEL_HIGH);
    assert_int_equal(pw_danger_level(PW_R_IMPORT_DENIED, grave), PW_LEVEL_CRITICAL);
    assert_int_equal(pw_danger_level(PW_R_IMPORT_DENIED, mild), PW_LEVEL_HIGH);
    assert_int_equal(pw_danger_level(PW_R_NONE, mild), PW_LEVEL_MEDIUM);
}

static const struct {
    const char *uses; /* behind m:f */
    bool open;
} entries[] = {
    {"", true},
    {" ref", true},
    {" call", true},
    {" new", true},
    {" build", false},
    {" items", false},
    {" call()", false},
    {" call(str)", true},
    {" call(any)", true},
    {" call(str,'latin1')", false},
    {" call('a'|'b')", false},
    {" call('a'|str)", true},
    {" call('a'*)", true},
    {" call(str,m:g,int)", false},
    {" call(=m:g,str)", false},
    {" call(class)", false},
    {" call('a') call(str)", true},
    {" call('a') new", true},
    {" call('a') ref", true},
};

static void
an_entry_is_open_unless_each_call_is_pinned_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(entries); i++) {
        char entry[64];
        snprintf(entry, sizeof entry, "m:f%s", entries[i].uses);
        struct pw_policy *policy = pw_policy_new("test");
        assert_int_equal(pw_policy_allow(policy, entry, NULL), PW_E_OK);
        check_case(entry,
                   pw_policy_is_open(policy, BYTES("m"), BYTES("f")) == entries[i].open);
        check_case(entry, !pw_policy_is_open(policy, BYTES("m"), BYTES("g")));
        pw_policy_free(&policy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_known_of_a_name_is_said),
        cmocka_unit_test(hostile_names_cost_no_more_than_their_length),
        cmocka_unit_test(every_row_is_in_order_and_found),
        cmocka_unit_test(a_name_raises_the_level_of_a_finding_and_never_lowers_it),
        cmocka_unit_test(an_entry_is_open_unless_each_call_is_pinned_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
