/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine check: is all of it whole?
 */
#include "common/quarantine/check.h"

#include <inttypes.h>
#include <sysexits.h>

#include "common/base/json.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/quarantine.h"

enum { FAULTY = 1, LINE_LIMIT = 1 << 16 };

static void
print_line(const struct pw_json *json)
{
    if (json->err == PW_E_OK) {
        fwrite(json->out->bytes, 1, json->out->len, stdout);
    }
}

static void
tell_fault(void *arg, enum pw_fault fault, const char *path)
{
    const struct pw_quarantine_place *place = arg;
    if (!place->json) {
        printf("%-8s %s: %s\n", pw_fault_text(fault), path, pw_fault_remedy(fault));
        return;
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_LIMIT};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "fault", pw_fault_text(fault));
    pw_json_str(&json, "path", path);
    pw_json_str(&json, "remedy", pw_fault_remedy(fault));
    pw_json_end_object(&json);
    pw_json_newline(&json);
    print_line(&json);
}

static void
print_sum_json(const struct pw_store_check *sum)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_LIMIT};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        pw_json_uint(&json, pw_store_state_text((enum pw_store_state)i), sum->entries[i]);
    }
    pw_json_uint(&json, "unstored", sum->unstored);
    pw_json_uint(&json, "objects", sum->objects);
    pw_json_uint(&json, "bytes", sum->bytes);
    pw_json_uint(&json, "corrupt", sum->corrupt);
    pw_json_object(&json, "faults");
    for (size_t i = 0; i < PW_FAULT_COUNT; i++) {
        pw_json_uint(&json, pw_fault_text((enum pw_fault)i), sum->faults[i]);
    }
    pw_json_end_object(&json);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    print_line(&json);
}

static void
print_sum(const struct pw_store_check *sum, uint64_t faults)
{
    for (size_t i = 0; i < PW_STORE_STATES; i++) {
        printf("%s%" PRIu64 " %s", i == 0 ? "" : ", ", sum->entries[i],
               pw_store_state_text((enum pw_store_state)i));
    }
    printf("; %" PRIu64 " not kept; %" PRIu64 " objects of %" PRIu64 " bytes; %" PRIu64
           " in corrupt/; %" PRIu64 " faults\n",
           sum->unstored, sum->objects, sum->bytes, sum->corrupt, faults);
}

static int
read_arguments(struct pw_quarantine_place *place, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_quarantine_option(place, &args)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        return pw_command_misused("\"%s\" is one argument too many", args.current);
    }
    return args.bad ? EX_USAGE : EX_OK;
}

int
pw_cmd_quarantine_check(int argc, char **argv)
{
    struct pw_quarantine_place place = {0};
    struct pw_store_check sum = {.objects = 0};
    struct pw_why why = {{0}};
    enum pw_err err = PW_E_OK;
    uint64_t faults = 0;
    int code = read_arguments(&place, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(&place, &err, &why);
    if (store != NULL) {
        err = pw_store_check(store, tell_fault, &place, &sum, &why);
    }
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    for (size_t i = 0; i < PW_FAULT_COUNT; i++) {
        faults += sum.faults[i];
    }
    if (place.json) {
        print_sum_json(&sum);
    } else {
        print_sum(&sum, faults);
    }
    return faults == 0 ? EX_OK : FAULTY;
}
