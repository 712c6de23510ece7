/* SPDX-License-Identifier: Apache-2.0
 *
 * common/base/REASONS.md is made from reason.def: run this with PW_PRINT=1 and put what it
 * prints there.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"

#include "common/base/file.h"
#include "common/base/reason.h"

static void
write_row(FILE *out, enum pw_reason reason)
{
    const char *door = pw_door_setting(pw_reason_door(reason));
    fprintf(out,
            "\n## %s\n\n> %s (%s)\n\n* **Means** %s\n* **Cause** %s\n* **Remedy** %s\n",
            pw_reason_code(reason), pw_reason_text(reason),
            pw_level_text(pw_reason_level(reason)), pw_reason_means(reason),
            pw_reason_cause(reason), pw_reason_remedy(reason));
    if (door != NULL) {
        fprintf(out, "* **Door** `%s = yes` in a policy lets it pass.\n", door);
    }
}

static void
write_reference(FILE *out)
{
    fputs("# Reasons\n\n"
          "Why a message was refused: what stands as `reason` in the audit log, in\n"
          "`scan --json` and in the quarantine. A code is never renamed; codes are only "
          "added.\n"
          "`picklewall reasons CODE` prints the same. Made from `reason.def` by\n"
          "`tests/unit/base/test_reasons.c`, which fails when this file is out of date.\n",
          out);
    for (int i = PW_R_NONE + 1; i < PW_R_COUNT; i++) {
        write_row(out, (enum pw_reason)i);
    }
}

static void
the_reference_is_what_the_table_says(void **state)
{
    (void)state;
    char path[4096];
    char *made = NULL;
    size_t len;
    FILE *out = open_memstream(&made, &len);
    assert_non_null(out);
    write_reference(out);
    assert_int_equal(fclose(out), 0);
    if (getenv("PW_PRINT") != NULL) {
        fputs(made, stdout);
    }
    struct pw_buf file = {.limit = 1 << 20};
    snprintf(path, sizeof path, "%s/common/base/REASONS.md", getenv("PW_SOURCE_DIR"));
    if (getenv("PW_PRINT") == NULL) {
        assert_int_equal(pw_file_read(path, &file), PW_E_OK);
        assert_true(pw_span_equal(pw_buf_span(&file), pw_span_str(made)));
    }
    pw_buf_free(&file);
    free(made);
}

/* Printed on terminals, into Markdown and a manual: ASCII, begun and ended as a sentence.
 */
static bool
is_sentence(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return len > 5 && len < 240 && !islower(text[0]) && text[len - 1] == '.';
}

static void
every_reason_is_explained_in_sentences(void **state)
{
    (void)state;
    for (int i = 0; i < PW_R_COUNT; i++) {
        enum pw_reason reason = (enum pw_reason)i;
        const char *code = pw_reason_code(reason);
        check_case(code, is_sentence(pw_reason_means(reason)));
        check_case(code, is_sentence(pw_reason_cause(reason)));
        check_case(code, is_sentence(pw_reason_remedy(reason)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_what_the_table_says),
        cmocka_unit_test(every_reason_is_explained_in_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
