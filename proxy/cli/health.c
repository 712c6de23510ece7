/* SPDX-License-Identifier: Apache-2.0
 *
 * health: how a running wall is, for an image's HEALTHCHECK and for probes: an exit code,
 * and one sentence when it is not well.
 */
#include <stdio.h>
#include <sysexits.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/health.h"

enum { UNHEALTHY = 1, PATIENCE_S = 5 };

struct question {
    const char *config;
    const char *socket;
    enum pw_health_probe probe;
    bool json;
};

static bool
takes_probe(struct pw_args *args, struct question *question)
{
    static const struct {
        const char *option;
        enum pw_health_probe probe;
    } options[] = {{"--live", PW_HEALTH_LIVE},
                   {"--ready", PW_HEALTH_READY},
                   {"--startup", PW_HEALTH_STARTUP}};
    for (size_t i = 0; i < PW_COUNT(options); i++) {
        if (pw_args_flag(args, options[i].option)) {
            question->probe = options[i].probe;
            return true;
        }
    }
    return false;
}

static int
read_question(int argc, char **argv, struct question *question)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            question->json = true;
        } else if (takes_probe(&args, question) ||
                   pw_args_value(&args, "--socket", &question->socket) ||
                   pw_args_value(&args, "--config", &question->config) ||
                   pw_args_value(&args, "-c", &question->config)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            return pw_command_misused("\"%s\" is too much; leave it out", args.current);
        }
    }
    if (question->socket != NULL && question->config != NULL) {
        return pw_command_misused("--socket or --config, not both");
    }
    return EX_OK;
}

static int
print_json(const struct question *question, bool good, struct pw_span error)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = 8192};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "probe", pw_health_text(question->probe));
    pw_json_bool(&json, "good", good);
    if (!good) {
        pw_json_bytes(&json, "error", error, 1024);
    }
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err != PW_E_OK) {
        return pw_command_fail(json.err, NULL);
    }
    fwrite(line.bytes, 1, line.len, stdout);
    return good ? EX_OK : UNHEALTHY;
}

static int
tell(const struct question *question, bool good, struct pw_span error)
{
    if (question->json) {
        return print_json(question, good, error);
    }
    if (good) {
        puts(pw_health_text(question->probe));
        return EX_OK;
    }
    fputs("picklewall: not ", stderr);
    fputs(pw_health_text(question->probe), stderr);
    fputs(": ", stderr);
    pw_print_text(stderr, error);
    fputc('\n', stderr);
    return UNHEALTHY;
}

static int
judge(const struct question *question, const json_t *answer)
{
    if (!json_is_true(json_object_get(answer, "ok"))) {
        return tell(question, false, pw_json_text(answer, "error"));
    }
    const json_t *health = json_object_get(answer, "health");
    const json_t *probe = json_object_get(health, pw_health_text(question->probe));
    if (!json_is_boolean(json_object_get(probe, "good"))) {
        static const char old[] = "this wall is older than its `picklewall health`; start "
                                  "it again with the new program";
        return tell(question, false, pw_span_str(old));
    }
    return tell(question, json_is_true(json_object_get(probe, "good")),
                pw_json_text(probe, "error"));
}

int
pw_cmd_health(int argc, char **argv)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_ASK_ANSWER_MAX};
    PW_CLEANUP(pw_json_line_free) json_t *answer = NULL;
    struct question question = {.probe = PW_HEALTH_READY};
    struct pw_why why = {0};
    int wrong = read_question(argc, argv, &question);
    if (wrong != EX_OK) {
        return wrong;
    }
    struct pw_ask wall = {
        .config = question.config, .socket = question.socket, .patience_s = PATIENCE_S};
    enum pw_err err = pw_ask_wall(&wall, "status", NULL, &line, &answer, &why);
    return err == PW_E_OK ? judge(&question, answer) : pw_command_fail(err, &why);
}
