/* SPDX-License-Identifier: Apache-2.0
 *
 * key new, key list, key public.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/sign/keyring.h"
#include "proxy/cli/commands.h"

enum { ID_BYTES = 8, ID_TEXT = 2 * ID_BYTES + 1, KEY_TEXT_MAX = 4096 };

static void
id_text(const struct pw_key *key, char out[static ID_TEXT])
{
    pw_hex_encode((struct pw_span){pw_key_id(key), ID_BYTES}, out);
}

static const char *
role_text(const struct pw_key *key)
{
    return pw_key_role(key) == PW_ROLE_SIGN ? "sign" : "verify";
}

static int
save_new(const struct pw_key *key, const char *dir)
{
    struct pw_why why = {0};
    enum pw_err err = pw_key_save(key, dir, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    char id[ID_TEXT];
    id_text(key, id);
    printf("%s/%s.pwkey %s\n", dir, pw_key_name(key), id);
    if (pw_key_suite(key) == PW_SUITE_ED25519) {
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

int
pw_cmd_key_new(int argc, char **argv)
{
    const char *suite = NULL, *name = NULL, *dir = NULL, *channel = "";
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--suite", &suite) ||
            pw_args_value(&args, "--id", &name) || pw_args_value(&args, "--out", &dir) ||
            pw_args_value(&args, "--channel", &channel)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        return pw_command_misused("\"%s\" has no place here", args.current);
    }
    if (suite == NULL || name == NULL || dir == NULL) {
        return pw_command_misused("--suite, --id and --out are needed");
    }
    if (pw_suite_text(pw_suite_parse(suite)) == NULL) {
        return pw_command_misused("\"%s\" is no suite; use ed25519, hmac-sha256 or blake2b",
                                  suite);
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = pw_key_new(pw_suite_parse(suite), name, &why);
    if (key == NULL || pw_key_set_channel(key, channel, &why) != PW_E_OK) {
        return pw_command_misused("%s", why.text);
    }
    return save_new(key, dir);
}

static enum pw_err
list_json(const struct pw_key *key, struct pw_buf *line)
{
    char id[ID_TEXT];
    id_text(key, id);
    pw_buf_clear(line);
    struct pw_json json = pw_json_over(line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "id", pw_key_name(key));
    pw_json_str(&json, "suite", pw_suite_text(pw_key_suite(key)));
    pw_json_str(&json, "role", role_text(key));
    pw_json_str(&json, "channel", pw_key_channel(key));
    pw_json_str(&json, "key_id", id);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line->bytes, 1, line->len, stdout);
    }
    return json.err;
}

static void
list_plain(const struct pw_key *key)
{
    char id[ID_TEXT];
    id_text(key, id);
    const char *channel = pw_key_channel(key);
    printf("%-20s %-11s %-6s %-16s %s\n", pw_key_name(key),
           pw_suite_text(pw_key_suite(key)), role_text(key),
           channel[0] == '\0' ? "any" : channel, id);
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
    if (pw_key_suite(key) != PW_SUITE_ED25519) {
        (void)pw_fail(&why, PW_E_FORMAT,
                      "%s: a %s key has no public half, both ends need the secret; make an "
                      "ed25519 key to verify without one",
                      file, pw_suite_text(pw_key_suite(key)));
        return pw_command_fail(PW_E_FORMAT, &why);
    }
    PW_CLEANUP(pw_key_free) struct pw_key *half = pw_key_public(key);
    return half == NULL ? pw_command_fail(PW_E_NOMEM, NULL) : export_public(half, dir);
}
