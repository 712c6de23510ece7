/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/pickle/layer_check.h"

#define MAGIC "\x93NUMPY"
#define HEAD "{'descr': "
#define TAIL ", 'fortran_order': False, 'shape': (), }\n"

/* A header, and what lies behind it. Version 1.0 unless it says so. */
/* clang-format off */
static const struct {
    const char *name;
    const char *header;
    struct pw_span data;
    const char *seen;
} headers[] = {
    {"objects", HEAD "'|O'" TAIL, BYTES("N."), "npy=N.;"},
    {"objects in a shape", HEAD "'|O', 'fortran_order': True, 'shape': (2, 3), }      \n", BYTES("N."), "npy=N.;"},
    {"a number", HEAD "'<f8'" TAIL, BYTES("12345678"), ""},
    {"three numbers", HEAD "'>i2', 'fortran_order': False, 'shape': (3,), }\n", BYTES("123456"), ""},
    {"two by three", HEAD "'|u1', 'fortran_order': False, 'shape': (2, 3), }\n", BYTES("123456"), ""},
    {"none", HEAD "'|u1', 'fortran_order': False, 'shape': (2, 0), }\n", BYTES(""), ""},
    {"text", HEAD "'<U2'" TAIL, BYTES("12345678"), ""},
    {"bytes", HEAD "'|S2'" TAIL, BYTES("12"), ""},
    {"dates", HEAD "'<M8[ns]'" TAIL, BYTES("12345678"), ""},
    {"fields", HEAD "[('a', '<i4'), ('b', '|u1', (2,)), (('title', 'c'), '|S1')]" TAIL, BYTES("1234567"), ""},
    {"fields in fields", HEAD "[('a', [('b', '<i2'), ('c', '|i1')])]" TAIL, BYTES("123"), ""},
    {"an object in fields in fields", HEAD "[('a', [('b', '<i2'), ('c', '|O')])]" TAIL, BYTES("N."), "npy=N.;"},

    {"a byte too few", HEAD "'<f8'" TAIL, BYTES("1234567"), "!layer.broken;"},
    {"a byte too many", HEAD "'<f8'" TAIL, BYTES("123456789"), "!layer.broken;"},
    {"a pickle behind numbers", HEAD "'<f8'" TAIL, BYTES("12345678N."), "!layer.broken;"},
    {"more than fits in 64 bits", HEAD "'<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n", BYTES(""), "!layer.broken;"},
    {"a size that is zero but for overflow", HEAD "'<f8', 'fortran_order': False, 'shape': (2305843009213693952,), }\n", BYTES(""), "!layer.broken;"},
    {"a number with too many digits", HEAD "'|u1', 'fortran_order': False, 'shape': (18446744073709551617,), }\n", BYTES("1"), "!layer.broken;"},
    {"an object without an order", HEAD "'O'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"an object with a size", HEAD "'|O8'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"an object in order", HEAD "'<O'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"a name that numpy knows", HEAD "'object'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"a list in a string", HEAD "'i4,O'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"a list in a string that begins well", HEAD "'<i4,O'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"a kind that is not known", HEAD "'|T16'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"no kind", HEAD "'|'" TAIL, BYTES("N."), "!layer.unknown;"},
    {"fields nine deep", HEAD "[('a', [('a', [('a', [('a', [('a', [('a', [('a', [('a', [('a', '|i1')])])])])])])])])]" TAIL, BYTES("1"), "!layer.broken;"},
    {"no fields", HEAD "[]" TAIL, BYTES(""), "!layer.broken;"},
    {"a field without a type", HEAD "[('a')]" TAIL, BYTES(""), "!layer.broken;"},
    {"another order of keys", "{'fortran_order': False, 'descr': '|O', 'shape': (), }\n", BYTES("N."), "!layer.broken;"},
    {"a key twice", HEAD "'|O', 'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", BYTES("12345678"), "!layer.broken;"},
    {"no comma at the end", HEAD "'<f8', 'fortran_order': False, 'shape': ()}\n", BYTES("12345678"), "!layer.broken;"},
    {"another quote", HEAD "\"<f8\"" TAIL, BYTES("12345678"), "!layer.broken;"},
    {"a quote that stays open", HEAD "'<f8   \n", BYTES("12345678"), "!layer.broken;"},
    {"a number that stays open", HEAD "'|u1', 'fortran_order': False, 'shape': (1", BYTES(""), "!layer.broken;"},
    {"an escape", HEAD "'\\x7cO'" TAIL, BYTES("N."), "!layer.broken;"},
    {"a comment", HEAD "'<f8', 'fortran_order': False, 'shape': (), }#\n", BYTES("12345678"), "!layer.broken;"},
    {"two line feeds", HEAD "'<f8'" TAIL "\n", BYTES("12345678"), "!layer.broken;"},
    {"no line feed", HEAD "'<f8', 'fortran_order': False, 'shape': (), }", BYTES("12345678"), "!layer.broken;"},
    {"a shape without its comma", HEAD "'|u1', 'fortran_order': False, 'shape': (1), }\n", BYTES("1"), "!layer.broken;"},
    {"a shape with a comma too many", HEAD "'|u1', 'fortran_order': False, 'shape': (1, 1,), }\n", BYTES("1"), "!layer.broken;"},
    {"a shape of Python 2", HEAD "'|u1', 'fortran_order': False, 'shape': (1L,), }\n", BYTES("1"), "!layer.broken;"},
    {"a negative shape", HEAD "'|u1', 'fortran_order': False, 'shape': (-1,), }\n", BYTES("1"), "!layer.broken;"},
    {"a zero in front", HEAD "'|u1', 'fortran_order': False, 'shape': (01,), }\n", BYTES("1"), "!layer.broken;"},
    {"nothing", "", BYTES("N."), "!layer.broken;"},
};
/* clang-format on */

/* The magic, the version, the header with its length in front, the data. */
static struct pw_span
compose(uint8_t version, const char *header, struct pw_span data, uint8_t *out)
{
    size_t len = strlen(header);
    size_t width = version == 1 ? 2 : 4;
    memcpy(out, MAGIC, 6);
    out[6] = version;
    out[7] = 0;
    for (size_t i = 0; i < width; i++) {
        out[8 + i] = (uint8_t)(len >> 8 * i);
    }
    memcpy(out + 8 + width, header, len);
    memcpy(out + 8 + width + len, data.ptr, data.len);
    return (struct pw_span){out, 8 + width + len + data.len};
}

static void
a_header_is_read_as_numpy_writes_it_and_no_other_way(void **state)
{
    (void)state;
    static uint8_t room[4096];
    for (size_t i = 0; i < PW_COUNT(headers); i++) {
        for (uint8_t version = 1; version <= 3; version++) {
            struct walk_case one = {
                headers[i].name, compose(version, headers[i].header, headers[i].data, room),
                headers[i].seen};
            check_walks(&CHAIN({.kind = PW_LAYER_NPY}), &one, 1);
        }
    }
}

/* clang-format off */
static const struct walk_case files[] = {
    {"version 0", BYTES(MAGIC "\0\0\x39\0" HEAD "'|O'" TAIL "N."), "!layer.broken;"},
    {"version 4", BYTES(MAGIC "\4\0\x39\0\0\0" HEAD "'|O'" TAIL "N."), "!layer.broken;"},
    {"version 1.1", BYTES(MAGIC "\1\1\x39\0" HEAD "'|O'" TAIL "N."), "!layer.broken;"},
    {"another magic", BYTES("\x93NUMPX\1\0\x39\0" HEAD "'|O'" TAIL "N."), "!layer.broken;"},
    {"a header longer than the file", BYTES(MAGIC "\1\0\xff\0" HEAD "'|O'" TAIL "N."), "!layer.broken;"},
    {"a header of four gigabytes", BYTES(MAGIC "\2\0\xff\xff\xff\xff" HEAD "'|O'" TAIL "N."), "!layer.broken;"},
    {"a pickle", BYTES("N."), "!layer.broken;"},
    {"nothing", BYTES(""), "!layer.broken;"},
    {"the magic alone", BYTES(MAGIC), "!layer.broken;"},
};
/* clang-format on */

static void
what_is_no_array_is_broken(void **state)
{
    (void)state;
    check_walks(&CHAIN({.kind = PW_LAYER_NPY}), files, PW_COUNT(files));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_read_as_numpy_writes_it_and_no_other_way),
        cmocka_unit_test(what_is_no_array_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
