/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>
#include <sysexits.h>

#include "proxy/cert.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/key.h"

enum { JSON_MAX = 64 * 1024 };

/* What `key curve` was asked for. */
struct wish {
    const char *name;
    const char *dir;
    bool json;
};

static int
read_wish(int argc, char **argv, struct wish *wish)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--id", &wish->name) ||
            pw_args_value(&args, "--out", &wish->dir)) {
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
    return wish->name != NULL && wish->dir != NULL
               ? EX_OK
               : pw_command_misused("--id and --out are needed");
}

static enum pw_err
say_json(const struct wish *wish, const char *key)
{
    char path[PATH_MAX];
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = JSON_MAX};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    snprintf(path, sizeof path, "%s/%s.key", wish->dir, wish->name);
    pw_json_bytes(&json, "public", pw_span_str(path), PATH_MAX);
    snprintf(path, sizeof path, "%s/%s.key_secret", wish->dir, wish->name);
    pw_json_bytes(&json, "secret", pw_span_str(path), PATH_MAX);
    pw_json_str(&json, "key", key);
    pw_json_end_object(&json);
    return pw_cli_json_print(&json);
}

static void
say_plain(const struct wish *wish, const char *key)
{
    pw_command_print_plain(stdout, wish->dir);
    printf("/%s.key %s\n", wish->name, key);
    pw_command_print_plain(stdout, wish->dir);
    printf("/%s.key_secret\n", wish->name);
    fprintf(stderr,
            "picklewall: give the first to the other end, and keep the second here\n");
}

int
pw_cmd_key_curve(int argc, char **argv)
{
    struct wish wish = {0};
    struct pw_why why = {0};
    char text[PW_CERT_TEXT];
    int wrong = read_wish(argc, argv, &wish);
    if (wrong != EX_OK) {
        return wrong;
    }
    PW_CLEANUP(pw_cert_wipe) struct pw_cert cert = {0};
    enum pw_err err = pw_cert_make(wish.dir, wish.name, &cert, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    pw_cert_text(cert.public_key, text);
    if (!wish.json) {
        say_plain(&wish, text);
        return EX_OK;
    }
    err = say_json(&wish, text);
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
}
