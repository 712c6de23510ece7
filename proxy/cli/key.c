/* SPDX-License-Identifier: Apache-2.0
 *
 * key new, key list, key public; and how every key command spells a key.
 */
#include "proxy/cli/key.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/sign/keyring.h"
#include "proxy/cli/commands.h"

enum { KEY_TEXT_MAX = 4096, KEY_JSON_MAX = 64 * 1024 };

void
pw_cli_key_id(const struct pw_key *key, char out[static PW_KEY_ID_TEXT])
{
    pw_hex_encode((struct pw_span){pw_key_id(key), PW_KEY_ID_TEXT / 2}, out);
}

const char *
pw_cli_key_role(const struct pw_key *key)
{
    return pw_key_role(key) == PW_ROLE_SIGN ? "sign" : "verify";
}

void
pw_cli_key_validity(const struct pw_key *key, char out[static PW_KEY_VALIDITY_TEXT])
{
    struct pw_key_validity validity = pw_key_validity(key);
    char from[PW_KEY_TIME_TEXT];
    char until[PW_KEY_TIME_TEXT];
    pw_key_time_format(validity.from, from);
    pw_key_time_format(validity.until, until);
    bool begins = validity.from != 0;
    bool ends = validity.until != PW_KEY_FOR_EVER;
    snprintf(out, PW_KEY_VALIDITY_TEXT, "%s%s%s%s%s", begins ? "from " : "",
             begins ? from : "", begins && ends ? " " : "", ends ? "until " : "",
             ends ? until : "");
}

static void
write_time(struct pw_json *json, const char *name, uint64_t ns, bool bound)
{
    char text[PW_KEY_TIME_TEXT];
    if (bound) {
        pw_key_time_format(ns, text);
        pw_json_str(json, name, text);
    }
}

void
pw_cli_key_members(struct pw_json *json, const struct pw_key *key)
{
    char id[PW_KEY_ID_TEXT];
    struct pw_key_validity validity = pw_key_validity(key);
    uint64_t now = pw_clock_wall();
    bool may_sign = pw_key_role(key) == PW_ROLE_SIGN;
    pw_cli_key_id(key, id);
    pw_json_str(json, "id", pw_key_name(key));
    pw_json_str(json, "suite", pw_suite_text(pw_key_suite(key)));
    pw_json_str(json, "role", pw_cli_key_role(key));
    pw_json_str(json, "channel", pw_key_channel(key));
    pw_json_str(json, "key_id", id);
    pw_json_str(json, "status", pw_key_status_text(pw_key_status(key)));
    write_time(json, "not_before", validity.from, validity.from != 0);
    write_time(json, "not_after", validity.until, validity.until != PW_KEY_FOR_EVER);
    pw_json_bool(json, "verifies", pw_key_usable(key, now, false) == PW_R_NONE);
    pw_json_bool(json, "signs", may_sign && pw_key_usable(key, now, true) == PW_R_NONE);
}

enum pw_err
pw_cli_json_print(struct pw_json *json)
{
    pw_json_newline(json);
    if (json->err == PW_E_OK) {
        fwrite(json->out->bytes, 1, json->out->len, stdout);
    }
    return json->err;
}

static enum pw_err
say_new_json(const struct pw_key *key, const char *dir)
{
    char path[PATH_MAX];
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = KEY_JSON_MAX};
    struct pw_json json = pw_json_over(&line);
    snprintf(path, sizeof path, "%s/%s.pwkey", dir, pw_key_name(key));
    pw_json_object(&json, NULL);
    pw_json_bytes(&json, "file", pw_span_str(path), PATH_MAX);
    pw_cli_key_members(&json, key);
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

static int
save_new(const struct pw_key *key, const char *dir, bool as_json)
{
    struct pw_why why = {0};
    enum pw_err err = pw_key_save(key, dir, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    if (as_json) {
        err = say_new_json(key, dir);
        return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
    }
    char id[PW_KEY_ID_TEXT];
    pw_cli_key_id(key, id);
    pw_command_print_plain(stdout, dir);
    printf("/%s.pwkey %s\n", pw_key_name(key), id);
    if (pw_suite_is_pair(pw_key_suite(key))) {
        fprintf(
            stderr,
            "picklewall: keep this file where messages are signed; for those who verify:\n"
            "    picklewall key public %s/%s.pwkey --out DIR\n",
            dir, pw_key_name(key));
    } else {
        fprintf(stderr,
                "picklewall: both ends need this file, and whoever reads it can sign\n");
    }
    return EX_OK;
}

/* What `key new` was asked for. */
struct wish {
    const char *suite;
    const char *name;
    const char *dir;
    const char *channel;
    const char *status;
    const char *from;
    const char *until;
    bool json;
};

static int
read_wish(int argc, char **argv, struct wish *wish)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--suite", &wish->suite) ||
            pw_args_value(&args, "--id", &wish->name) ||
            pw_args_value(&args, "--out", &wish->dir) ||
            pw_args_value(&args, "--channel", &wish->channel) ||
            pw_args_value(&args, "--status", &wish->status) ||
            pw_args_value(&args, "--not-before", &wish->from) ||
            pw_args_value(&args, "--not-after", &wish->until)) {
            continue;
        }
        if (pw_args_flag(&args, "--json")) {
            wish->json = true;
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        return pw_command_misused("\"%s\" has no place here", args.current);
    }
    if (wish->suite == NULL || wish->name == NULL || wish->dir == NULL) {
        return pw_command_misused("--suite, --id and --out are needed");
    }
    if (pw_suite_text(pw_suite_parse(wish->suite)) == NULL) {
        return pw_command_misused("\"%s\" is no suite; use ed25519, ed25519-batch, "
                                  "hmac-sha256 or blake2b",
                                  wish->suite);
    }
    return EX_OK;
}

/* The option's time into *ns, which stays when the option was not given. */
static bool
read_time(const char *option, const char *text, uint64_t *ns)
{
    if (text == NULL || pw_key_time_parse(pw_span_str(text), ns)) {
        return true;
    }
    pw_command_misused("%s: \"%s\" is no time; write it as 2027-01-31T12:00:00Z, in UTC",
                       option, text);
    return false;
}

static int
apply_standing(const struct wish *wish, struct pw_key *key)
{
    struct pw_why why = {0};
    struct pw_key_validity validity = {0, PW_KEY_FOR_EVER};
    enum pw_key_status status = pw_key_status_parse(pw_span_str(wish->status));
    if (status == PW_KEY_STATUSES) {
        return pw_command_misused(
            "\"%s\" is no status; use active, verify_only, retired or revoked",
            wish->status);
    }
    if (!read_time("--not-before", wish->from, &validity.from) ||
        !read_time("--not-after", wish->until, &validity.until)) {
        return EX_USAGE;
    }
    if (pw_key_set_validity(key, validity, &why) != PW_E_OK) {
        return pw_command_misused("--not-after is not later than --not-before");
    }
    pw_key_set_status(key, status);
    return EX_OK;
}

int
pw_cmd_key_new(int argc, char **argv)
{
    struct wish wish = {.channel = "", .status = "active"};
    int wrong = read_wish(argc, argv, &wish);
    if (wrong != EX_OK) {
        return wrong;
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = pw_key_new(pw_suite_parse(wish.suite), wish.name, &why);
    if (key == NULL || pw_key_set_channel(key, wish.channel, &why) != PW_E_OK) {
        return pw_command_misused("%s", why.text);
    }
    wrong = apply_standing(&wish, key);
    return wrong == EX_OK ? save_new(key, wish.dir, wish.json) : wrong;
}

static enum pw_err
list_json(const struct pw_key *key, struct pw_buf *line)
{
    pw_buf_clear(line);
    struct pw_json json = pw_json_over(line);
    pw_json_object(&json, NULL);
    pw_cli_key_members(&json, key);
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

static void
list_plain(const struct pw_key *key)
{
    char id[PW_KEY_ID_TEXT];
    char validity[PW_KEY_VALIDITY_TEXT];
    pw_cli_key_id(key, id);
    pw_cli_key_validity(key, validity);
    const char *channel = pw_key_channel(key);
    printf("%-20s %-11s %-6s %-11s %-16s %s  %s\n", pw_key_name(key),
           pw_suite_text(pw_key_suite(key)), pw_cli_key_role(key),
           pw_key_status_text(pw_key_status(key)), channel[0] == '\0' ? "any" : channel, id,
           validity);
}

static int
list_ring(const struct pw_keyring *ring, bool as_json)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = KEY_TEXT_MAX};
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; i < pw_keyring_count(ring) && err == PW_E_OK; i++) {
        if (as_json) {
            err = list_json(pw_keyring_at(ring, i), &line);
        } else {
            list_plain(pw_keyring_at(ring, i));
        }
    }
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
}

int
pw_cmd_key_list(int argc, char **argv)
{
    bool as_json = false;
    const char *dir = NULL;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            as_json = true;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (dir != NULL) {
            return pw_command_misused("one folder, please; \"%s\" is a second",
                                      args.current);
        } else {
            dir = args.current;
        }
    }
    if (dir == NULL) {
        return pw_command_misused("name the key folder");
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(dir, &why);
    return ring == NULL ? pw_command_fail(PW_E_CONFIG, &why) : list_ring(ring, as_json);
}

static int
export_public(const struct pw_key *half, const char *dir)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = KEY_TEXT_MAX};
    enum pw_err err =
        dir != NULL ? pw_key_save(half, dir, &why) : pw_key_format(half, &text);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    if (dir != NULL) {
        printf("%s/%s.pwkey\n", dir, pw_key_name(half));
    } else {
        fwrite(text.bytes, 1, text.len, stdout);
    }
    return EX_OK;
}

int
pw_cmd_key_public(int argc, char **argv)
{
    const char *dir = NULL, *file = NULL;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--out", &dir)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        if (file != NULL) {
            return pw_command_misused("one key file, please; \"%s\" is a second",
                                      args.current);
        }
        file = args.current;
    }
    if (file == NULL) {
        return pw_command_misused("name the key file");
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(file, &why);
    if (key == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    if (!pw_suite_is_pair(pw_key_suite(key))) {
        (void)pw_fail(&why, PW_E_FORMAT,
                      "%s: a %s key has no public half, both ends need the secret; make an "
                      "ed25519 key to verify without one",
                      file, pw_suite_text(pw_key_suite(key)));
        return pw_command_fail(PW_E_FORMAT, &why);
    }
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    return half == NULL ? pw_command_fail(PW_E_NOMEM, NULL) : export_public(half, dir);
}
