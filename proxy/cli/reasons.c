/* SPDX-License-Identifier: Apache-2.0
 *
 * What the codes of refusals mean: reason.def, for a person.
 */
#include "common/base/reason.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/json.h"
#include "proxy/cli/commands.h"

/* Any, one that is spelled so, or else those that begin so. */
static bool
is_meant(enum pw_reason reason, const char *wanted, bool exact)
{
    const char *code = pw_reason_code(reason);
    if (wanted == NULL) {
        return true;
    }
    return exact ? strcmp(code, wanted) == 0 : strncmp(code, wanted, strlen(wanted)) == 0;
}

static bool
is_code(const char *wanted)
{
    for (int i = PW_R_NONE + 1; wanted != NULL && i < PW_R_COUNT; i++) {
        if (is_meant((enum pw_reason)i, wanted, true)) {
            return true;
        }
    }
    return false;
}

static void
print_row(enum pw_reason reason)
{
    printf("%-20s  %-8s  %s\n", pw_reason_code(reason),
           pw_level_text(pw_reason_level(reason)), pw_reason_text(reason));
}

static void
print_whole(enum pw_reason reason)
{
    const char *door = pw_door_setting(pw_reason_door(reason));
    print_row(reason);
    printf("    means   %s\n    cause   %s\n    remedy  %s\n", pw_reason_means(reason),
           pw_reason_cause(reason), pw_reason_remedy(reason));
    if (door != NULL) {
        printf("    door    \"%s = yes\" in a policy lets it pass.\n", door);
    }
}

static enum pw_err
print_object(enum pw_reason reason)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = 8192};
    const char *door = pw_door_setting(pw_reason_door(reason));
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "code", pw_reason_code(reason));
    pw_json_str(&json, "level", pw_level_text(pw_reason_level(reason)));
    pw_json_str(&json, "text", pw_reason_text(reason));
    pw_json_str(&json, "means", pw_reason_means(reason));
    pw_json_str(&json, "cause", pw_reason_cause(reason));
    pw_json_str(&json, "remedy", pw_reason_remedy(reason));
    if (door != NULL) {
        pw_json_str(&json, "door", door);
    }
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    return json.err;
}

static int
print_all(const char *wanted, bool as_json)
{
    size_t printed = 0;
    bool exact = is_code(wanted);
    for (int i = PW_R_NONE + 1; i < PW_R_COUNT; i++) {
        enum pw_reason reason = (enum pw_reason)i;
        if (!is_meant(reason, wanted, exact)) {
            continue;
        }
        printed++;
        enum pw_err err = PW_E_OK;
        if (as_json) {
            err = print_object(reason);
        } else if (wanted != NULL) {
            print_whole(reason);
        } else {
            print_row(reason);
        }
        if (err != PW_E_OK) {
            return pw_command_fail(err, NULL);
        }
    }
    if (printed == 0) {
        return pw_command_misused(
            "no reason begins with \"%s\"; picklewall reasons lists them", wanted);
    }
    return EX_OK;
}

int
pw_cmd_reasons(int argc, char **argv)
{
    bool as_json = false;
    const char *wanted = NULL;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            as_json = true;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (wanted != NULL) {
            return pw_command_misused("one code at a time; \"%s\" is a second",
                                      args.current);
        } else {
            wanted = args.current;
        }
    }
    return print_all(wanted, as_json);
}
