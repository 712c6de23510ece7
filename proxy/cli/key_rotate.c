/* SPDX-License-Identifier: Apache-2.0
 *
 * key rotate, key revoke.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/hex.h"
#include "common/sign/keyring_rotate.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/key.h"
#include "proxy/cli/key_follow.h"

enum { LINE_LIMIT = 4096 };

static enum pw_err
rotated_json(const struct pw_rotation *done)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_LIMIT};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_object(&json, "from");
    pw_cli_key_members(&json, done->from);
    pw_json_end_object(&json);
    pw_json_object(&json, "to");
    pw_cli_key_members(&json, done->to);
    pw_json_end_object(&json);
    pw_json_bool(&json, "made", done->made);
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

static int
tell_rotated(const struct pw_rotation *done, bool as_json)
{
    if (as_json) {
        enum pw_err err = rotated_json(done);
        return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
    }
    char id[PW_KEY_ID_TEXT];
    pw_cli_key_id(done->to, id);
    printf("%s %s is active, %s is %s\n", pw_key_name(done->to), id,
           pw_key_name(done->from), pw_key_status_text(pw_key_status(done->from)));
    if (done->made) {
        fprintf(stderr,
                "picklewall: %s was made now, and whoever verifies does not have it yet: "
                "copy it there at once.\n"
                "picklewall: To lose nothing, make the next key first (key new --status "
                "verify_only), copy it, then rotate.\n",
                pw_key_name(done->to));
    }
    return EX_OK;
}

int
pw_cmd_key_rotate(int argc, char **argv)
{
    const char *dir = NULL, *from = NULL, *to = NULL;
    struct pw_follow wall = {0};
    bool as_json = false;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            as_json = true;
        } else if (pw_args_value(&args, "--dir", &dir) ||
                   pw_args_value(&args, "--from", &from) ||
                   pw_args_value(&args, "--to", &to) || pw_follow_option(&args, &wall)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            return pw_command_misused("\"%s\" has no place here", args.current);
        }
    }
    if (dir == NULL || from == NULL || to == NULL) {
        return pw_command_misused("--dir, --from and --to are needed");
    }
    if (strcmp(from, to) == 0) {
        return pw_command_misused("--from and --to name one key; name two");
    }
    struct pw_why why = {0};
    struct pw_rotation done;
    enum pw_err err = pw_keyring_rotate(dir, from, to, &done, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    int code = tell_rotated(&done, as_json);
    pw_keyring_free(&done.ring);
    return code == EX_OK ? pw_follow_keys(&wall) : code;
}

static enum pw_err
revoked_json(const struct pw_revocation *done, const char *id)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_LIMIT};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "key_id", id);
    if (done->name[0] != '\0') {
        pw_json_str(&json, "id", done->name);
    }
    pw_json_uint(&json, "version", done->version);
    pw_json_bool(&json, "was_active", done->was_active);
    if (done->folder.text[0] != '\0') {
        pw_json_str(&json, "error", done->folder.text);
    }
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

static int
tell_revoked(const struct pw_revocation *done, const char *dir, bool as_json)
{
    char id[PW_KEY_ID_TEXT];
    pw_hex_encode((struct pw_span){done->id, sizeof done->id}, id);
    if (as_json) {
        enum pw_err err = revoked_json(done, id);
        return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
    }
    printf("%s%s%s is revoked, by version %llu of %s/%s\n", done->name,
           done->name[0] == '\0' ? "" : " ", id, (unsigned long long)done->version, dir,
           PW_REVOKED_FILE);
    if (done->was_active) {
        fprintf(stderr,
                "picklewall: it was active: what it should have signed is held back now; "
                "picklewall key rotate --dir %s --from %s --to NEW\n",
                dir, done->name);
    }
    return EX_OK;
}

int
pw_cmd_key_revoke(int argc, char **argv)
{
    const char *dir = NULL, *which = NULL;
    struct pw_follow wall = {0};
    bool as_json = false;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            as_json = true;
        } else if (pw_args_value(&args, "--dir", &dir) || pw_follow_option(&args, &wall)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (which != NULL) {
            return pw_command_misused("one key, please; \"%s\" is a second", args.current);
        } else {
            which = args.current;
        }
    }
    if (dir == NULL || which == NULL) {
        return pw_command_misused("--dir and a key's name or id are needed");
    }
    struct pw_why why = {0};
    struct pw_revocation done;
    enum pw_err err = pw_keyring_revoke_in(dir, which, &done, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    int code = tell_revoked(&done, dir, as_json);
    if (code != EX_OK) {
        return code;
    }
    if (done.folder.text[0] == '\0') {
        return pw_follow_keys(&wall);
    }
    /* The list counts by itself, but who asked should know what else is wrong there. */
    return pw_command_fail(PW_E_CONFIG, &done.folder);
}
