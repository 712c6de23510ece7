/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/key_follow.h"

#include <stdio.h>
#include <sysexits.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/json_line.h"

enum { REFUSED = 1, PATIENCE_S = 30 };

bool
pw_follow_option(struct pw_args *args, struct pw_follow *wall)
{
    return pw_args_value(args, "--socket", &wall->socket) ||
           pw_args_value(args, "--config", &wall->config) ||
           pw_args_value(args, "-c", &wall->config);
}

int
pw_follow_keys(const struct pw_follow *wall)
{
    if (wall->config == NULL && wall->socket == NULL) {
        return EX_OK;
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_ASK_ANSWER_MAX};
    PW_CLEANUP(pw_json_line_free) json_t *answer = NULL;
    struct pw_why why = {0};
    struct pw_ask ask = {
        .config = wall->config, .socket = wall->socket, .patience_s = PATIENCE_S};
    enum pw_err err = pw_ask_wall(&ask, "reload", NULL, &line, &answer, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    if (json_is_true(json_object_get(answer, "ok"))) {
        fprintf(stderr, "picklewall: in force in the running wall, generation %lld\n",
                pw_json_number(answer, "generation"));
        return EX_OK;
    }
    fputs("picklewall: the folder is changed, and the running wall refuses it: ", stderr);
    pw_print_text(stderr, pw_json_text(answer, "error"));
    fputc('\n', stderr);
    return REFUSED;
}
