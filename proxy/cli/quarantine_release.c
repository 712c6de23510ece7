/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine release: held messages go on through the running wall, one question each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/release_request.h"

enum { REFUSED = 1, PATIENCE_S = 120 }; /* others may be before us, and disks slow */

struct wish {
    struct pw_ask wall;
    struct pw_release_request request;
    const char **ids;
    size_t count;
    bool json;
};

static int
take_reason(struct wish *wish, const char *reason)
{
    if (strlen(reason) > PW_RELEASE_REASON) {
        return pw_command_misused("--reason: say it in %d bytes", PW_RELEASE_REASON);
    }
    memcpy(wish->request.reason, reason, strlen(reason) + 1);
    return EX_OK;
}

static int
take_override(struct wish *wish, const char *code)
{
    struct pw_why why = {0};
    enum pw_reason reason;
    if (pw_release_override(code, &reason, &why) != PW_E_OK) {
        return pw_command_misused("--override %s", why.text);
    }
    wish->request.override[reason] = true;
    return EX_OK;
}

static int
check_wish(const struct wish *wish)
{
    const char *reason = wish->request.reason;
    if (wish->count == 0) {
        return pw_command_misused("give the id of a message; quarantine list shows them");
    }
    if (wish->wall.socket != NULL && wish->wall.config != NULL) {
        return pw_command_misused("--socket or --config, not both");
    }
    if (!wish->request.dry_run && strspn(reason, " \t\r\n") == strlen(reason)) {
        return pw_command_misused("--reason TEXT is missing: say why, for the audit log");
    }
    return EX_OK;
}

static int
read_wish(int argc, char **argv, struct wish *wish)
{
    struct pw_args args = pw_args_over(argc, argv);
    const char *value;
    int wrong = EX_OK;
    while (wrong == EX_OK && pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            wish->json = true;
        } else if (pw_args_flag(&args, "--dry-run")) {
            wish->request.dry_run = true;
        } else if (pw_args_flag(&args, "--again")) {
            wish->request.again = true;
        } else if (pw_args_value(&args, "--reason", &value)) {
            wrong = take_reason(wish, value);
        } else if (pw_args_value(&args, "--override", &value)) {
            wrong = take_override(wish, value);
        } else if (pw_args_value(&args, "--socket", &wish->wall.socket) ||
                   pw_args_value(&args, "--config", &wish->wall.config) ||
                   pw_args_value(&args, "-c", &wish->wall.config)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            wish->ids[wish->count++] = args.current;
        }
    }
    return wrong != EX_OK ? wrong : args.bad ? EX_USAGE : check_wish(wish);
}

/* ---- the answer ---- */

static void
print_codes(const json_t *codes)
{
    for (size_t i = 0; i < json_array_size(codes); i++) {
        const char *code = json_string_value(json_array_get(codes, i));
        printf("%s", i == 0 ? "; overruled: " : ", ");
        pw_print_text(stdout, pw_span_str(code == NULL ? "" : code));
    }
}

static void
print_done(const json_t *answer)
{
    bool dry = json_is_true(json_object_get(answer, "dry_run"));
    pw_print_text(stdout, pw_json_text(answer, "entry"));
    fputs(dry ? ": channel " : ": sent through channel ", stdout);
    pw_print_text(stdout, pw_json_text(answer, "chan"));
    fputs(dry ? " would send it" : "", stdout);
    print_codes(json_object_get(answer, "overruled"));
    putchar('\n');
}

/* Every finding, so that the operator knows what would have to be overruled. */
static void
print_refused(const char *id, const json_t *answer)
{
    const json_t *finds = json_object_get(answer, "finds");
    fputs("picklewall: ", stderr);
    pw_print_text(stderr, pw_span_str(id));
    fputs(": ", stderr);
    pw_print_text(stderr, pw_json_text(answer, "error"));
    fputc('\n', stderr);
    for (size_t i = 0; i < json_array_size(finds); i++) {
        const json_t *find = json_array_get(finds, i);
        fprintf(stderr, "  frame %lld, byte %lld: ", pw_json_number(find, "frame"),
                pw_json_number(find, "off"));
        pw_print_text(stderr, pw_json_text(find, "code"));
        fputc(' ', stderr);
        (void)pw_print_name(stderr, find);
        pw_print_note(stderr, find);
        fputc('\n', stderr);
    }
}

static int
tell(const struct wish *wish, const char *id, struct pw_span line, const json_t *answer)
{
    bool done = json_is_true(json_object_get(answer, "ok"));
    if (wish->json) {
        fwrite(line.ptr, 1, line.len, stdout);
        putchar('\n');
    } else if (done) {
        print_done(answer);
    } else {
        print_refused(id, answer);
    }
    return done ? EX_OK : REFUSED;
}

static int
release_one(struct wish *wish, const char *id)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_CONTROL_REQUEST_MAX * 2};
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_ASK_ANSWER_MAX};
    PW_CLEANUP(pw_json_line_free) json_t *answer = NULL;
    struct pw_why why = {0};
    if (strlen(id) >= sizeof wish->request.id) {
        return pw_command_misused("\"%s\" is no id; quarantine list shows them", id);
    }
    memcpy(wish->request.id, id, strlen(id) + 1);
    enum pw_err err = pw_release_request_write(&wish->request, &text);
    if (err == PW_E_OK) {
        err = pw_buf_append(&text, (struct pw_span){(const uint8_t *)"", 1});
    }
    if (err == PW_E_OK) {
        err = pw_ask_wall(&wish->wall, "release", (const char *)text.bytes, &line, &answer,
                          &why);
    }
    return err == PW_E_OK ? tell(wish, id, pw_buf_span(&line), answer)
                          : pw_command_fail(err, &why);
}

/* All are asked for, but not after one that no wall answered. */
static int
release_all(struct wish *wish)
{
    int worst = EX_OK;
    for (size_t i = 0; i < wish->count && worst <= REFUSED; i++) {
        int code = release_one(wish, wish->ids[i]);
        worst = code > worst ? code : worst;
        fflush(stdout); /* each is told when it is done */
    }
    return worst;
}

int
pw_cmd_quarantine_release(int argc, char **argv)
{
    struct wish wish = {.wall.patience_s = PATIENCE_S};
    wish.ids = calloc((size_t)argc + 1, sizeof *wish.ids);
    if (wish.ids == NULL) {
        return pw_command_fail(PW_E_NOMEM, NULL);
    }
    int code = read_wish(argc, argv, &wish);
    code = code == EX_OK ? release_all(&wish) : code;
    free(wish.ids);
    return code;
}
