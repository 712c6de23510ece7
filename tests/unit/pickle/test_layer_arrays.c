/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams with raw arrays in them, put together from what joblib.dump writes.
 */
#include "tests/unit/pickle/layer_check.h"

#include <stdlib.h>

#include "tests/unit/fail_alloc.h"

/* A string constant of up to 255 bytes. */
#define S(len, text) "\x8c" len text
#define CLASS "cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
#define NEW CLASS ")\x81"
#define SUBCLASS S("\x08", "subclass") "cnumpy\nndarray\n"
#define SHAPE(shape) S("\x05", "shape") shape
#define ORDER S("\x05", "order") S("\x01", "C")
#define DTYPE(dtype) S("\x05", "dtype") dtype
#define MMAP S("\x0a", "allow_mmap") "\x88"
#define ALIGN(value) S("\x1b", "numpy_array_alignment_bytes") value
#define WRAPPER(shape, dtype, align)                                                       \
    NEW "}(" SUBCLASS SHAPE(shape)                                                         \
    ORDER DTYPE(dtype)                                                                     \
    MMAP align "ub"

#define MINUS "J\xff\xff\xff\xff"
#define MAKE(name) "cnumpy\ndtype\n" name "\x89\x88\x87R"
#define SIMPLE(name) MAKE(name) "(K\3" S("\1", "<") "NNN" MINUS MINUS "K\0tb"
#define F8 SIMPLE(S("\2", "f8"))
#define U1 SIMPLE(S("\2", "u1"))
#define SIZED(name, fields, size, flags)                                                   \
    MAKE(name) "(K\3" S("\1", "|") "N" fields "K" size "K\1K" flags "tb"
#define O8 MAKE(S("\2", "O8")) "(K\3" S("\1", "|") "NNN" MINUS MINUS "K\x3ftb"
#define M8                                                                                 \
    MAKE(S("\2", "M8")) "(K\4" S("\1", "<") "NNN" MINUS MINUS "K\0}(C\2nsK\1K\1K\1t\x86tb"

/* A type of one byte with these in the place of the eight parts of its state. */
#define PARTS(version, subarray, names, fields, size, alignment, flags)                    \
    MAKE(S("\2", "u1"))                                                                    \
    "(" version S("\1", "<") subarray names fields size alignment flags "tb"
/* The same of one that has a size of its own. */
#define FLEXIBLE(subarray, fields, size, flags)                                            \
    MAKE(S("\2", "V1")) "(K\3" S("\1", "|") subarray "N" fields size "K\1" flags "tb"
#define FIELD(value) FLEXIBLE("N", "}" S("\1", "a") value "s", "K\1", "K\0")
#define INSIDE(type) FIELD(type "K\0\x86")

#define ONE(array, rest) BYTES("\x80\4" array rest)

/* clang-format off */
static const struct {
    const char *name;
    struct pw_span stream;
    struct pw_span clean; /* len 0: refused, as unknown unless .reason says otherwise */
    enum pw_reason reason;
} streams[] = {
#define GOOD(name, wrapper, raw, rest) {name, ONE(wrapper, raw rest), ONE(wrapper, rest), PW_R_NONE}
#define BAD(name, wrapper, raw) {name, ONE(wrapper, raw "."), {NULL, 0}, PW_R_LAYER_UNKNOWN}
    GOOD("two bytes", WRAPPER("K\2\x85", U1, ""), "ab", "."),
    GOOD("two by three bytes", WRAPPER("K\2K\3\x86", U1, ""), "abcdef", "."),
    GOOD("three dimensions", WRAPPER("K\1K\2K\1\x87", U1, ""), "ab", "."),
    GOOD("five dimensions", WRAPPER("(K\1K\1K\1K\2K\1t", U1, ""), "ab", "."),
    GOOD("no dimension", WRAPPER(")", F8, ""), "12345678", "."),
    GOOD("an empty array", WRAPPER("K\2K\0\x86", F8, ""), "", "."),
    GOOD("padding", WRAPPER("K\1\x85", U1, ALIGN("K\x10")), "\3\xff\xff\xff" "a", "."),
    GOOD("no padding", WRAPPER("K\1\x85", U1, ALIGN("K\x10")), "\0a", "."),
    GOOD("padding of None", WRAPPER("K\1\x85", U1, ALIGN("N")), "a", "."),
    GOOD("raw bytes that look like opcodes", WRAPPER("K\x0b\x85", U1, ""), "cos\nsystem\n", "."),
    GOOD("a long size", WRAPPER("\x8a\1\2\x85", U1, ""), "ab", "."),
    GOOD("a size of two bytes", WRAPPER("M\2\0\x85", U1, ""), "ab", "."),
    GOOD("dates", WRAPPER("K\1\x85", M8, ""), "12345678", "."),
    GOOD("text", WRAPPER("K\1\x85", SIZED(S("\2", "U2"), "NN", "\x08", "\x08"), ""), "12345678", "."),
    GOOD("a structure", WRAPPER("K\1\x85", SIZED(S("\2", "V3"), S("\1", "a") "\x85}" S("\1", "a") U1 "K\2\x86s", "\3", "\x10"), ""), "123", "."),
    GOOD("two arrays of one type", "](" WRAPPER("K\1\x85", F8 "\x94", "") , "12345678", "ee."),
    GOOD("an array in a list", "]" WRAPPER("K\2\x85", U1, ""), "ab", "a."),
    GOOD("something behind the pickle", WRAPPER("K\1\x85", U1, ""), "a", ".more"),
    {"in a frame that ends there", BYTES("\x80\4\x95\x9a\0\0\0\0\0\0\0" WRAPPER("K\2\x85", U1, "") "ab\x95\1\0\0\0\0\0\0\0."), BYTES("\x80\4\x95\x9a\0\0\0\0\0\0\0" WRAPPER("K\2\x85", U1, "") "\x95\1\0\0\0\0\0\0\0."), PW_R_NONE},
    {"the class from the stack and the memo", BYTES("\x80\4" S("\x13", "joblib.numpy_pickle") "\x94" S("\x11", "NumpyArrayWrapper") "\x94\x93\x94)\x81\x94}\x94(" SUBCLASS SHAPE("K\1\x85") ORDER DTYPE(U1) "ub" "a0h\2)\x81}(" SUBCLASS SHAPE("K\2\x85") ORDER DTYPE(U1) "ub" "ab."), BYTES("\x80\4" S("\x13", "joblib.numpy_pickle") "\x94" S("\x11", "NumpyArrayWrapper") "\x94\x93\x94)\x81\x94}\x94(" SUBCLASS SHAPE("K\1\x85") ORDER DTYPE(U1) "ub" "0h\2)\x81}(" SUBCLASS SHAPE("K\2\x85") ORDER DTYPE(U1) "ub" "."), PW_R_NONE},
    {"a type from the memo", BYTES("\x80\2" WRAPPER("K\1\x85", U1 "q\5", "") "a0" WRAPPER("K\1\x85", "h\5", "") "b."), BYTES("\x80\2" WRAPPER("K\1\x85", U1 "q\5", "") "0" WRAPPER("K\1\x85", "h\5", "") "."), PW_R_NONE},

    GOOD("an array that Fortran wrote", NEW "}(" SUBCLASS SHAPE("K\2\x85") S("\5", "order") S("\1", "F") DTYPE(U1) "ub", "ab", "."),
    GOOD("a size of no bytes", WRAPPER("\x8a\0\x85", U1, ""), "", "."),
    GOOD("a structure in structures", WRAPPER("K\1\x85", INSIDE(INSIDE(INSIDE(U1))), ""), "1", "."),

    {"raw bytes cut short", ONE(WRAPPER("K\2\x85", U1, ""), "a"), {NULL, 0}, PW_R_LAYER_BROKEN},
    {"padding cut short", ONE(WRAPPER("K\1\x85", U1, ALIGN("K\x10")), "\x10"), {NULL, 0}, PW_R_LAYER_BROKEN},
    {"a size beyond 64 bits", ONE(WRAPPER("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86", F8, ""), "."), {NULL, 0}, PW_R_LAYER_BROKEN},
    BAD("a negative size", WRAPPER("J\xff\xff\xff\xff\x85", U1, ""), ""),
    BAD("a size of nine bytes", WRAPPER("\x8a\x09\0\0\0\0\0\0\0\0\1\x85", U1, ""), ""),
    BAD("a size that is a bool", WRAPPER("\x88\x85", U1, ""), "a"),
    BAD("a size in text", WRAPPER("I1\n\x85", U1, ""), "a"),
    BAD("a shape that is a list", WRAPPER("]", U1, ""), "a"),
    BAD("a frame that goes on", "\x95\xa0\0\0\0\0\0\0\0" WRAPPER("K\1\x85", U1, ""), "a" "N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0"),
    BAD("a type of no size", WRAPPER("K\1\x85", SIMPLE(S("\1", "f")), ""), "12345678"),
    BAD("a type that is not known", WRAPPER("K\1\x85", SIMPLE(S("\2", "g8")), ""), "12345678"),
    BAD("a type that is a date and says it is none", WRAPPER("K\1\x85", SIMPLE(S("\2", "M8")), ""), "12345678"),
    BAD("a type without a state", WRAPPER("K\1\x85", MAKE(S("\2", "u1")), ""), "a"),
    BAD("a type with two states", WRAPPER("K\1\x85", U1 "(K\3" S("\1", "<") "NNN" MINUS MINUS "K\0tb", ""), "a"),
    BAD("a type that is not copied", WRAPPER("K\1\x85", "cnumpy\ndtype\n" S("\2", "u1") "\x89\x89\x87R(K\3" S("\1", "<") "NNN" MINUS MINUS "K\0tb", ""), "a"),
    BAD("a number with flags", WRAPPER("K\1\x85", MAKE(S("\2", "u1")) "(K\3" S("\1", "<") "NNN" MINUS MINUS "K\1tb", ""), "a"),
    BAD("a number with a size of its own", WRAPPER("K\1\x85", SIZED(S("\2", "u1"), "NN", "\2", "\0"), ""), "ab"),
    BAD("objects that say they are none", WRAPPER("K\1\x85", MAKE(S("\2", "O8")) "(K\3" S("\1", "|") "NNN" MINUS MINUS "K\x3etb", ""), "12345678"),
    BAD("text without an alignment", WRAPPER("K\1\x85", MAKE(S("\2", "U2")) "(K\3" S("\1", "|") "NNNK\x08K\0K\x08tb", ""), "12345678"),
    BAD("text with objects in it", WRAPPER("K\1\x85", SIZED(S("\2", "U2"), "NN", "\x08", "\1"), ""), "12345678"),
    BAD("text of no size", WRAPPER("K\1\x85", SIZED(S("\2", "U2"), "NN", "\0", "\0"), ""), ""),
    BAD("a size below zero", WRAPPER("\x8a\1\xff\x85", U1, ""), "a"),
    BAD("a type of another version", WRAPPER("K\1\x85", PARTS("K\4", "N", "N", "N", MINUS, MINUS, "K\0"), ""), "a"),
    BAD("a type with a version in text", WRAPPER("K\1\x85", PARTS("N", "N", "N", "N", MINUS, MINUS, "K\0"), ""), "a"),
    BAD("a number with a subarray", WRAPPER("K\1\x85", PARTS("K\3", "K\1", "N", "N", MINUS, MINUS, "K\0"), ""), "a"),
    BAD("a number with names", WRAPPER("K\1\x85", PARTS("K\3", "N", "K\1", "N", MINUS, MINUS, "K\0"), ""), "a"),
    BAD("a number with fields", WRAPPER("K\1\x85", PARTS("K\3", "N", "N", "K\1", MINUS, MINUS, "K\0"), ""), "a"),
    BAD("a number with a size", WRAPPER("K\1\x85", PARTS("K\3", "N", "N", "N", "K\1", MINUS, "K\0"), ""), "a"),
    BAD("a number with an alignment", WRAPPER("K\1\x85", PARTS("K\3", "N", "N", "N", MINUS, "K\1", "K\0"), ""), "a"),
    BAD("a number with flags of None", WRAPPER("K\1\x85", PARTS("K\3", "N", "N", "N", MINUS, MINUS, "N"), ""), "a"),
    BAD("a number of no bytes", WRAPPER("K\1\x85", SIMPLE(S("\2", "i0")), ""), ""),
    BAD("a number of 33 bytes", WRAPPER("K\1\x85", SIMPLE(S("\3", "c33")), ""), "123456781234567812345678123456781"),
    BAD("objects with a subarray", WRAPPER("K\1\x85", MAKE(S("\2", "O8")) "(K\3" S("\1", "|") "K\1NN" MINUS MINUS "K\x3ftb", ""), "N."),
    BAD("a padding in text", WRAPPER("K\1\x85", U1, ALIGN(S("\1", "1"))), "a"),
    BAD("a structure with a subarray", WRAPPER("K\1\x85", FLEXIBLE("K\1", "N", "K\1", "K\0"), ""), "1"),
    BAD("a structure of a size in text", WRAPPER("K\1\x85", FLEXIBLE("N", "N", "N", "K\0"), ""), "1"),
    BAD("a structure with flags in text", WRAPPER("K\1\x85", FLEXIBLE("N", "N", "K\1", "N"), ""), "1"),
    BAD("a structure whose fields are a number", WRAPPER("K\1\x85", FLEXIBLE("N", "K\1", "K\1", "K\0"), ""), "1"),
    BAD("a field that is no pair", WRAPPER("K\1\x85", FIELD(U1), ""), "1"),
    BAD("a field of three", WRAPPER("K\1\x85", FIELD(U1 "K\0K\0\x87"), ""), "1"),
    BAD("a field without a type", WRAPPER("K\1\x85", FIELD("NK\0\x86"), ""), "1"),
    BAD("a field at a place in text", WRAPPER("K\1\x85", FIELD(U1 "N\x86"), ""), "1"),
    BAD("a field below its structure", WRAPPER("K\1\x85", FIELD(U1 MINUS "\x86"), ""), "1"),
    BAD("a field far outside", WRAPPER("K\1\x85", FIELD(U1 "K\2\x86"), ""), "1"),
    BAD("structures in structures, too deep", WRAPPER("K\1\x85", INSIDE(INSIDE(INSIDE(INSIDE(INSIDE(INSIDE(INSIDE(INSIDE(INSIDE(U1))))))))), ""), "1"),
    BAD("a structure with an object", WRAPPER("K\1\x85", SIZED(S("\2", "V8"), S("\1", "a") "\x85}" S("\1", "a") O8 "K\0\x86s", "\x08", "\x10"), ""), "12345678"),
    BAD("a structure whose field is outside", WRAPPER("K\1\x85", SIZED(S("\2", "V3"), S("\1", "a") "\x85}" S("\1", "a") U1 "K\3\x86s", "\3", "\x10"), ""), "123"),
    BAD("a member twice", NEW "}(" SUBCLASS SHAPE("K\2\x85") SHAPE("K\1\x85") ORDER DTYPE(U1) "ub", "a"),
    BAD("no shape", NEW "}(" SUBCLASS ORDER DTYPE(U1) "ub", "a"),
    BAD("no subclass", NEW "}(" SHAPE("K\1\x85") ORDER DTYPE(U1) "ub", "a"),
    BAD("another subclass", NEW "}(" S("\x08", "subclass") "cm\nC\n" SHAPE("K\1\x85") ORDER DTYPE(U1) "ub", "a"),
    BAD("another order", NEW "}(" SUBCLASS SHAPE("K\1\x85") S("\5", "order") S("\1", "K") DTYPE(U1) "ub", "a"),
    BAD("a member that is not known", NEW "}(" SUBCLASS SHAPE("K\1\x85") ORDER DTYPE(U1) S("\1", "x") "N" "ub", "a"),
    BAD("a dictionary that is filled twice", NEW "}(" SUBCLASS SHAPE("K\1\x85") "u(" ORDER DTYPE(U1) "ub", "a"),
    BAD("a state that is a tuple", NEW "N}\x86" "b", ""),
    BAD("a state for the class", CLASS "}b", ""),
    BAD("two states", WRAPPER("K\1\x85", U1, "") "a" "}(" SUBCLASS SHAPE("K\1\x85") ORDER DTYPE(U1) "ub", "a"),
    BAD("a second state by the memo", NEW "q\7}(" SUBCLASS SHAPE("K\1\x85") ORDER DTYPE(U1) "uba" "h\7}(" SHAPE("K\2\x85") "ub", "ab"),
    BAD("a wrapper in a list", "]" NEW "a", ""),
    BAD("the class in a tuple", CLASS "\x85", ""),
    BAD("the class called", CLASS ")R", ""),
    BAD("the class by INST", "(ijoblib.numpy_pickle\nNumpyArrayWrapper\n", ""),
    BAD("the class by OBJ", "(" CLASS "o", ""),
    BAD("the class with arguments", CLASS "N\x85\x81", ""),
    BAD("the class with keywords", CLASS ")}\x92", ""),
    BAD("the class by copyreg", "ccopyreg\n_reconstructor\n" CLASS "cbuiltins\nobject\nN\x87R", ""),
    BAD("the wrapper of old files", "cjoblib.numpy_pickle\nNDArrayWrapper\n", ""),
    BAD("the class in another module", "cm\nNumpyArrayWrapper\n", ""),
    BAD("the class behind dots", "cjoblib\nnumpy_pickle.NumpyArrayWrapper\n", ""),
    BAD("the class in escapes", S("\x13", "joblib.numpy_pickle") "V\\u004eumpyArrayWrapper\n\x93", ""),
    BAD("the class with a name from a list", "]" S("\x11", "NumpyArrayWrapper") "\x93", ""),
};
/* clang-format on */

/* A refused stream is shown all the same; what counts is the refusal. */
static void
check_stream(size_t i, struct pw_layer *layer)
{
    static struct seen seen;
    static struct seen wanted;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_JOBLIB});
    assert_int_equal(walk(layer, &layers, streams[i].stream, &layer_limits, &seen),
                     PW_E_OK);
    if (seen.reason != streams[i].reason) {
        fail_msg("%s: %s", streams[i].name, seen.text);
    }
    if (streams[i].clean.len > 0) {
        wanted = (struct seen){0};
        seen_pickle(&wanted, streams[i].clean, (struct pw_span){0});
        if (strcmp(seen.text, wanted.text) != 0) {
            fail_msg("%s: %s instead of %s", streams[i].name, seen.text, wanted.text);
        }
    }
}

static void
raw_arrays_are_cut_out_or_the_stream_is_refused(void **state)
{
    (void)state;
    struct pw_layer *layer = pw_layer_new();
    for (size_t i = 0; i < PW_COUNT(streams); i++) {
        check_stream(i, layer);
    }
    pw_layer_free(&layer);
}

#define FAR_KEY "p70000000\n"

/* Where the scanner ends, too, and without a wrapper in sight nothing is refused. */
static const struct pw_span ends[] = {
    BYTES("t."),         BYTES("l."),
    BYTES("\x85."),      BYTES("N\x86."),
    BYTES("a."),         BYTES("e."),
    BYTES("(Ne."),       BYTES("Ns."),
    BYTES("R."),         BYTES("N\x93."),
    BYTES("\x93."),      BYTES("b."),
    BYTES("Nb."),        BYTES("2."),
    BYTES("1."),         BYTES("0."),
    BYTES("(0N."),       BYTES("(N1N."),
    BYTES("p0\n."),      BYTES("q\0."),
    BYTES("Npx\n."),     BYTES("N" FAR_KEY "."),
    BYTES("gx\n."),      BYTES("h\5."),
    BYTES("Nq\5h\4."),   BYTES("\x94."),
    BYTES("o."),         BYTES("(o."),
    BYTES("im\nC\n."),   BYTES("\x95\xff\0\0\0\0\0\0\0N."),
    BYTES("N2\x86."),    BYTES("Q."),
    BYTES("(]l."),       BYTES("(Nt."),
    BYTES("}Ns."),       BYTES("\x8b\1\0\0\0\1."),
    BYTES("Np5\ng5\n."), BYTES("(im\nC\n."),
    BYTES(")\x92."),     BYTES("(NNNNt2\x86."),
};

/* The end behind a text that looks like a wrapper's name, and behind a wrapper that nobody
 * gives a state. */
static const struct pw_span begins[] = {BYTES("\x80\4" S("\x0c", "ArrayWrapper") "0"),
                                        BYTES("\x80\4" NEW "0")};

static void
where_the_scanner_ends_nothing_is_cut(void **state)
{
    (void)state;
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    static struct seen wanted;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_JOBLIB});
    for (size_t i = 0; i < PW_COUNT(ends) * PW_COUNT(begins); i++) {
        struct pw_span begin = begins[i % PW_COUNT(begins)];
        struct pw_span end = ends[i / PW_COUNT(begins)];
        uint8_t bytes[128];
        memcpy(bytes, begin.ptr, begin.len);
        memcpy(bytes + begin.len, end.ptr, end.len);
        struct pw_span stream = {bytes, begin.len + end.len};
        assert_int_equal(walk(layer, &layers, stream, &layer_limits, &seen), PW_E_OK);
        wanted = (struct seen){0};
        seen_pickle(&wanted, stream, (struct pw_span){0});
        check_case((const char *)end.ptr, seen.reason == PW_R_NONE);
        check_case((const char *)end.ptr, strcmp(seen.text, wanted.text) == 0);
    }
    pw_layer_free(&layer);
}

static void
an_array_of_objects_is_a_pickle_of_its_own(void **state)
{
    (void)state;
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    static struct seen wanted;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_JOBLIB});
    struct pw_span stream = BYTES("\x80\4" WRAPPER("K\1\x85", O8, "") "\x80\2N."
                                                                      "N.");
    assert_int_equal(walk(layer, &layers, stream, &layer_limits, &seen), PW_E_OK);
    wanted = (struct seen){0};
    char where[32];
    snprintf(where, sizeof where, "joblib@%zu", stream.len - 6);
    seen_pickle(&wanted, BYTES("\x80\2N."), pw_span_str(where));
    seen_pickle(&wanted, BYTES("\x80\4" WRAPPER("K\1\x85", O8, "") "N."),
                (struct pw_span){0});
    assert_string_equal(seen.text, wanted.text);
    stream.len -= 3; /* the inner pickle has no STOP, nor has anything behind it */
    assert_int_equal(walk(layer, &layers, stream, &layer_limits, &seen), PW_E_OK);
    assert_int_equal(seen.reason, PW_R_LAYER_BROKEN);
    pw_layer_free(&layer);
}

static void
a_stream_without_arrays_is_not_copied(void **state)
{
    (void)state;
    struct pw_span stream =
        BYTES("\x80\4" S("\x11", "NumpyArrayWrapper") "V\\u20ac\n\x86.");
    static struct seen seen;
    struct pw_layer *layer = pw_layer_new();
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_JOBLIB});
    assert_int_equal(walk(layer, &layers, stream, &layer_limits, &seen), PW_E_OK);
    assert_int_equal(seen.reason, PW_R_NONE);
    assert_int_equal(seen.bytes, stream.len);
    pw_layer_free(&layer);
}

static void
what_states_are_made_of_is_bounded(void **state)
{
    (void)state;
    enum { MANY = 5 << 20 };
    static const char start[] = "\x80\4" NEW "}N";
    uint8_t *stream = malloc(MANY);
    memset(stream, 0x85, MANY); /* tuples in tuples for a state that never comes */
    memcpy(stream, start, sizeof start - 1);
    struct pw_limits limits = layer_limits;
    limits.max_bytes = MANY;
    static struct seen seen;
    struct pw_layer *layer = pw_layer_new();
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_JOBLIB});
    struct pw_span frame = {stream, MANY};
    assert_int_equal(walk(layer, &layers, frame, &limits, &seen), PW_E_OK);
    assert_int_equal(seen.reason, PW_R_LIMIT_MEMO);
    pw_layer_free(&layer);
    free(stream);
}

static void
walk_once(void *state)
{
    const struct pw_span *stream = state;
    static struct seen seen;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_JOBLIB});
    struct pw_layer *layer = pw_layer_new();
    if (layer != NULL) {
        enum pw_err err = walk(layer, &layers, *stream, &layer_limits, &seen);
        assert_int_equal(err, fail_alloc_happened() ? PW_E_NOMEM : PW_E_OK);
        assert_true(err == PW_E_OK || seen.reason == PW_R_NONE);
    }
    pw_layer_free(&layer);
}

static void
running_out_of_memory_is_said_and_leaks_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(streams); i++) {
        struct pw_span stream = streams[i].stream;
        size_t n = 1;
        while (fail_alloc_round(n, walk_once, &stream)) {
            n++;
        }
        check_case(streams[i].name, n > 2);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_arrays_are_cut_out_or_the_stream_is_refused),
        cmocka_unit_test(where_the_scanner_ends_nothing_is_cut),
        cmocka_unit_test(an_array_of_objects_is_a_pickle_of_its_own),
        cmocka_unit_test(a_stream_without_arrays_is_not_copied),
        cmocka_unit_test(what_states_are_made_of_is_bounded),
        cmocka_unit_test(running_out_of_memory_is_said_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
