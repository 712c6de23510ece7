/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference is written by hand nowhere: each row of settings.def must stand in
 * README.md just so, and in the manual page. Run with PW_PRINT=1 to get the table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"

#include "common/base/file.h"
#include "common/settings/schema.h"

enum { ROW_MAX = 1024 };

static const char *const kinds[] = {
    [PW_TYPE_NAME] = "name",
    [PW_TYPE_KEY] = "name of a key",
    [PW_TYPE_PATH] = "path",
    [PW_TYPE_BOOL] = "yes or no",
    [PW_TYPE_CHOICE] = "choice",
    [PW_TYPE_INT] = "number",
    [PW_TYPE_SIZE] = "size",
    [PW_TYPE_DURATION] = "duration",
    [PW_TYPE_SPACE] = "share or size",
    [PW_TYPE_ADDRESS] = "endpoint",
    [PW_TYPE_LISTEN] = "address and port",
    [PW_TYPE_FRAMES] = "frame rules",
    [PW_TYPE_ENDPOINT] = "endpoint",
    [PW_TYPE_POLICY] = "policy",
    [PW_TYPE_INCLUDE] = "policy",
    [PW_TYPE_ENTRY] = "entry",
};

static void
choices_in_words(const char *choices, char *out, size_t room)
{
    size_t len = 0;
    for (const char *c = choices; *c != '\0' && len + 3 < room; c++) {
        if (*c == '|') {
            out[len++] = ',';
            out[len++] = ' ';
        } else {
            out[len++] = *c;
        }
    }
    out[len] = '\0';
}

static void
format_row(const struct pw_row *row, char out[static ROW_MAX])
{
    char kind[128], fallback[64] = "";
    snprintf(kind, sizeof kind, "%s", kinds[row->type]);
    if (row->type == PW_TYPE_CHOICE) {
        choices_in_words(row->choices, kind, sizeof kind);
    }
    if (row->most != 0) {
        snprintf(kind, sizeof kind, "%s, %lld to %lld%s", kinds[row->type],
                 (long long)row->least, (long long)row->most,
                 row->type == PW_TYPE_DURATION ? " ms" : "");
    }
    if (row->fallback != NULL) {
        snprintf(fallback, sizeof fallback, "`%s`", row->fallback);
    }
    snprintf(out, ROW_MAX, "| `%s`%s%s | %s | %s | %s |\n", row->path,
             (row->flags & PW_ROW_REPEAT) != 0 ? " …" : "", pw_row_is_live(row) ? " ↻" : "",
             kind, (row->flags & PW_ROW_REQUIRED) != 0 ? "required" : fallback, row->doc);
}

static void
read_source(const char *name, struct pw_buf *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("PW_SOURCE_DIR"), name);
    assert_int_equal(pw_file_read(path, out), PW_E_OK);
    assert_int_equal(pw_buf_append(out, BYTES("\0")), PW_E_OK);
}

static void
the_readme_has_every_row(void **state)
{
    (void)state;
    struct pw_buf readme = {.limit = 1 << 20};
    read_source("common/settings/README.md", &readme);
    for (size_t i = 0; i < pw_row_count; i++) {
        char row[ROW_MAX];
        format_row(&pw_rows[i], row);
        if (getenv("PW_PRINT") != NULL) {
            printf("%s", row);
        } else if (strstr((const char *)readme.bytes, row) == NULL) {
            fail_msg("common/settings/README.md lacks: %s", row);
        }
    }
    pw_buf_free(&readme);
}

/* Some ".It Ic" line of the page names `word`. */
static bool
has_item(char *page, const char *word)
{
    for (char *item = strstr(page, "\n.It Ic "); item != NULL;
         item = strstr(item, "\n.It Ic ")) {
        item += strlen("\n.It Ic");
        const char *at = item;
        while ((at = strstr(at, word)) != NULL && at < strchr(item, '\n')) {
            if (at[-1] == ' ' && strchr(" \n", at[strlen(word)]) != NULL) {
                return true;
            }
            at++;
        }
    }
    return false;
}

static void
the_manual_page_has_every_setting(void **state)
{
    (void)state;
    struct pw_buf page = {.limit = 1 << 20};
    read_source("proxy/man/picklewall.conf.5", &page);
    for (size_t i = 0; i < pw_row_count; i++) {
        const char *dot = strrchr(pw_rows[i].path, '.');
        const char *word = dot != NULL ? dot + 1 : pw_rows[i].path;
        check_case(pw_rows[i].path, has_item((char *)page.bytes, word));
    }
    pw_buf_free(&page);
}

static void
only_settings_outside_of_named_sections_have_a_variable(void **state)
{
    (void)state;
    static const char *const variables[] = {
        "PICKLEWALL_STATE",
        "PICKLEWALL_KEYS",
        "PICKLEWALL_CONTROL",
        "PICKLEWALL_INSTANCE",
        "PICKLEWALL_HTTP",
        "PICKLEWALL_HTTP_NAME",
        "PICKLEWALL_LOG_LEVEL",
        "PICKLEWALL_DRAIN_TIMEOUT",
        "PICKLEWALL_SANDBOX",
        "PICKLEWALL_SANDBOX_VIOLATION",
        "PICKLEWALL_MAX_RSS",
        "PICKLEWALL_AUDIT_FILE",
        "PICKLEWALL_AUDIT_PASS",
        "PICKLEWALL_AUDIT_QUEUE",
        "PICKLEWALL_AUDIT_KEY",
        "PICKLEWALL_AUDIT_MIRROR",
        "PICKLEWALL_AUDIT_SYNC",
        "PICKLEWALL_AUDIT_ROTATE_SIZE",
        "PICKLEWALL_AUDIT_ROTATE_AGE",
        "PICKLEWALL_AUDIT_ROTATE_KEEP",
        "PICKLEWALL_AUDIT_SPACE_LOW",
        "PICKLEWALL_AUDIT_SPACE_CRITICAL",
        "PICKLEWALL_AUDIT_ON_FULL",
        "PICKLEWALL_AUDIT_STDOUT",
        "PICKLEWALL_AUDIT_PUBLISH",
        "PICKLEWALL_AUDIT_SYSLOG",
        "PICKLEWALL_AUDIT_SYSLOG_SOCKET",
        "PICKLEWALL_QUARANTINE_MAX_BYTES",
        "PICKLEWALL_QUARANTINE_MAX_MESSAGES",
        "PICKLEWALL_QUARANTINE_MAX_AGE",
        "PICKLEWALL_QUARANTINE_MIN_FREE",
        "PICKLEWALL_QUARANTINE_ON_FULL",
        "PICKLEWALL_QUARANTINE_SEAL",
    };
    size_t count = 0;
    for (size_t i = 0; i < pw_row_count; i++) {
        char variable[PW_ZPL_PATH_MAX];
        if (pw_schema_variable(&pw_rows[i], variable)) {
            assert_string_equal(variable, variables[count]);
            count++;
        }
    }
    assert_int_equal(count, PW_COUNT(variables));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_readme_has_every_row),
        cmocka_unit_test(the_manual_page_has_every_setting),
        cmocka_unit_test(only_settings_outside_of_named_sections_have_a_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
