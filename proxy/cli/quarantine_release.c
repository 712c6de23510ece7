/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine release: held messages go on through the running wall, one question each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <sodium.h>

#include "common/quarantine/seal.h"
#include "common/quarantine/store.h"
#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/quarantine.h"
#include "proxy/release_request.h"

enum {
    ENTRY_LIMIT = 1 << 20,
    REFUSED = 1,
    PATIENCE_S = 120
}; /* others may be before us, and disks slow */

struct wish {
    struct pw_ask wall;
    struct pw_release_request request;
    const char *unseal; /* the file of the secret key; NULL: nothing is sealed */
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
    if (wish->wall.socket != NULL && wish->unseal != NULL) {
        return pw_command_misused("--unseal reads the quarantine itself: give --config "
                                  "instead of --socket");
    }
    if (wish->request.arrived && (wish->request.again || wish->request.dry_run)) {
        return pw_command_misused("--arrived goes neither with --again nor with --dry-run");
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
        } else if (pw_args_flag(&args, "--arrived")) {
            wish->request.arrived = true;
        } else if (pw_args_value(&args, "--reason", &value)) {
            wrong = take_reason(wish, value);
        } else if (pw_args_value(&args, "--override", &value)) {
            wrong = take_override(wish, value);
        } else if (pw_args_value(&args, "--unseal", &wish->unseal) ||
                   pw_args_value(&args, "--socket", &wish->wall.socket) ||
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
    if (pw_span_equal(pw_json_text(answer, "outcome"), pw_span_str("arrived"))) {
        puts(": had arrived, and is in doubt no more");
        return;
    }
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

/* The daemon cannot read what is sealed: it gets the key of this one object. */
static enum pw_err
open_box(struct wish *wish, const char *id, struct pw_why *why)
{
    PW_CLEANUP(pw_store_free) struct pw_store *store = NULL;
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = ENTRY_LIMIT};
    PW_CLEANUP(pw_buf_free) struct pw_buf bytes = {.limit = SIZE_MAX / 2};
    struct pw_found found;
    uint8_t secret[PW_SEAL_KEY];
    enum pw_err err = pw_seal_read_secret(wish->unseal, secret, why);
    if (err != PW_E_OK) {
        return err;
    }
    const struct pw_quarantine_place place = {.config = wish->wall.config};
    store = pw_quarantine_open(&place, &err, why);
    err = store == NULL ? err : pw_store_find(store, id, &found, &json, why);
    err = err == PW_E_OK ? pw_store_read_file(store, found.object, &bytes, why) : err;
    wish->request.sealed = err == PW_E_OK && pw_seal_is(pw_buf_span(&bytes));
    if (wish->request.sealed) {
        err = pw_seal_open_box(pw_buf_span(&bytes), secret, wish->request.key, why);
    }
    sodium_memzero(secret, sizeof secret);
    return err;
}

static void
wipe_text(struct pw_buf *text)
{
    if (text->cap > 0) {
        explicit_bzero(text->bytes, text->cap); /* it may hold a key */
    }
    pw_buf_free(text);
}

static int
release_one(struct wish *wish, const char *id)
{
    PW_CLEANUP(wipe_text)
    struct pw_buf text = {.limit = (size_t)2 * PW_CONTROL_REQUEST_MAX};
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_ASK_ANSWER_MAX};
    PW_CLEANUP(pw_json_line_free) json_t *answer = NULL;
    struct pw_why why = {0};
    if (strlen(id) >= sizeof wish->request.id) {
        return pw_command_misused("\"%s\" is no id; quarantine list shows them", id);
    }
    memcpy(wish->request.id, id, strlen(id) + 1);
    enum pw_err err = wish->unseal != NULL ? open_box(wish, id, &why) : PW_E_OK;
    wish->wall.secret = wish->request.sealed; /* then it holds the message's key */
    /* Of its whole size at once: a buffer that grows leaves copies behind. */
    err = err == PW_E_OK ? pw_buf_reserve(&text, text.limit) : err;
    err = err == PW_E_OK ? pw_release_request_write(&wish->request, &text) : err;
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
    sodium_memzero(wish.request.key, sizeof wish.request.key);
    free(wish.ids);
    return code;
}
