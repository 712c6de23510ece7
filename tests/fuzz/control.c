/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of any bytes to the control socket: what is understood spells the same bytes
 * again, and whatever comes, one line of JSON in ASCII answers.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static enum pw_err
say_again(void *arg, const struct pw_control_peer *peer, const char *argument,
          struct pw_json *json, struct pw_why *why)
{
    *(size_t *)arg += 1;
    pw_json_uint(json, "uid", peer->uid);
    pw_json_str(json, "said", argument);
    return argument[0] == '!' ? pw_fail(why, PW_E_USAGE, "%s", argument) : PW_E_OK;
}

static const struct pw_control_command commands[] = {
    {"status", true, say_again, NULL},
    {"reload", false, say_again, NULL},
};

static void
check_request(struct pw_span line)
{
    struct pw_control_request request;
    struct pw_why why = {0};
    if (pw_control_parse(line, &request, &why) != PW_E_OK) {
        must(why.text[0] != '\0');
        return;
    }
    size_t name = strlen(request.command);
    size_t argument = strlen(request.argument);
    must(name > 0 && name <= PW_CONTROL_COMMAND_MAX);
    must(line.len == name + (argument > 0 ? 1 + argument : 0));
    must(memcmp(line.ptr, request.command, name) == 0);
    must(argument == 0 || memcmp(line.ptr + name + 1, request.argument, argument) == 0);
}

static void
check_answer(struct pw_span line)
{
    size_t runs = 0;
    PW_CLEANUP(pw_buf_free) struct pw_buf out = {.limit = PW_CONTROL_ANSWER_MAX};
    struct pw_control_peer peer = {.uid = 7};
    struct pw_control_options options = {
        .commands = commands, .command_count = PW_COUNT(commands), .arg = &runs};
    must(pw_control_answer(&options, &peer, line, 1, &out) == PW_E_OK);
    must(runs <= 1 && out.len > 2 && out.bytes[out.len - 1] == '\n');
    for (size_t i = 0; i + 1 < out.len; i++) {
        must(out.bytes[i] >= 0x20 && out.bytes[i] < 0x7f);
    }
    static const char good[] = "{\"ok\":true,";
    must(runs == 1 || memcmp(out.bytes, good, sizeof good - 1) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_span line = {data, size};
    check_request(line);
    check_answer(line);
    return 0;
}
