/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace of any bytes: plain ASCII, each object JSON, as many opcodes as were executed.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/pickle/scan.h"
#include "proxy/cli/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
check_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        must(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
    }
}

static void
check_objects(char *text, const struct pw_report *report, size_t refusals)
{
    size_t ops = 0;
    size_t finds = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        /* Lone surrogates stand for bytes that are not UTF-8; jansson has none of them. */
        json_t *object =
            strstr(line, "\\ud") != NULL ? NULL : json_loads(line, JSON_ALLOW_NUL, NULL);
        must(object != NULL || strstr(line, "\\ud") != NULL);
        ops += strstr(line, ",\"end\":") != NULL;
        finds += json_array_size(json_object_get(object, "finds"));
        json_decref(object);
    }
    must(ops == report->ops);
    must(finds <= refusals);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_policy *policy = pw_policy_new("fuzz");
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    must(policy != NULL && scan != NULL);
    must(pw_policy_allow(policy, "m:C", NULL) == PW_E_OK);
    must(pw_scan_frame(scan, (struct pw_span){data, size}, pw_policy_limits(policy),
                       &report) == PW_E_OK);
    for (int json = 0; json < 2; json++) {
        char *text = NULL;
        size_t len;
        struct pw_trace_sum sum;
        FILE *out = open_memstream(&text, &len);
        must(out != NULL);
        struct pw_trace_options options = {
            .out = out, .policy = policy, .json = json != 0, .frame = -1};
        must(pw_trace_print(&options, &report, &sum) == PW_E_OK);
        must(fclose(out) == 0);
        check_plain(text, len);
        if (json != 0) {
            check_objects(text, &report, sum.refusals);
        }
        free(text);
    }
    pw_scan_free(&scan);
    pw_policy_free(&policy);
    return 0;
}
