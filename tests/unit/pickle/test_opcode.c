/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/opcode.h"

static const char *const arg_names[PW_ARG_COUNT] = {
    "UNKNOWN", "NONE", "U8",    "U16",    "S32",   "U32",  "U64",
    "F64",     "LEN8", "LEN32", "LEN32S", "LEN64", "LINE", "LINE_PAIR",
};

/* tests/data/opcodes.csv is what tests/data/make_opcodes.py reads out of pickletools. */
static void
every_row_agrees_with_pickletools(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/data/opcodes.csv", getenv("PW_SOURCE_DIR"));
    FILE *csv = fopen(path, "r");
    assert_non_null(csv);
    char name[32], arg[16], from[8];
    unsigned byte, pops, pushes, since;
    size_t rows = 0;
    while (fscanf(csv, "%x,%31[^,],%15[^,],%7[^,],%u,%u,%u\n", &byte, name, arg, from,
                  &pops, &pushes, &since) == 7) {
        const struct pw_op_info *info = pw_opcode_info((uint8_t)byte);
        check_case(name, info->name != NULL && strcmp(info->name, name) == 0);
        check_case(name, strcmp(arg_names[info->arg], arg) == 0);
        check_case(name, info->from_mark == (strcmp(from, "MARK") == 0));
        check_case(name, info->pops == pops && info->pushes == pushes);
        check_case(name, info->since == since);
        rows++;
    }
    fclose(csv);
    assert_int_equal(rows, 68);
}

static void
every_other_byte_is_no_opcode(void **state)
{
    (void)state;
    size_t known = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        const struct pw_op_info *info = pw_opcode_info((uint8_t)byte);
        known += info->name != NULL;
        assert_int_equal(info->name != NULL, info->effect != PW_EFFECT_NONE);
        assert_int_equal(info->name != NULL, info->arg != PW_ARG_UNKNOWN);
    }
    assert_int_equal(known, 68);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_agrees_with_pickletools),
        cmocka_unit_test(every_other_byte_is_no_opcode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
