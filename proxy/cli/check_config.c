/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/settings/settings.h"
#include "proxy/check.h"
#include "proxy/cli/commands.h"
#include "proxy/sandbox.h"

enum { LINE_MAX_BYTES = 32 << 20 };

/* The sentence begins with its file and line, as editors expect of a compiler. */
static int
say_wrong(const struct pw_why *why)
{
    pw_command_print_plain(stderr, why->text);
    fputc('\n', stderr);
    return EX_CONFIG;
}

static void
say_good(const struct pw_settings *settings)
{
    const struct pw_channel *first = &settings->channels[0];
    const char *slash = strrchr(settings->file, '/');
    printf("%s: good: %zu channel%s, policy %s (%zu names)%s\n",
           slash != NULL ? slash + 1 : settings->file, settings->channel_count,
           settings->channel_count == 1 ? "" : "s", pw_policy_name(first->policy),
           pw_policy_size(first->policy), settings->channel_count == 1 ? "" : " and more");
    char words[256];
    struct pw_sandbox sandbox = pw_sandbox_offered(settings);
    pw_sandbox_words(&sandbox, words, sizeof words);
    printf("sandbox: this machine has %s%s\n", words,
           settings->sandbox == PW_SET_SANDBOX_OFF ? "; but it is set to off" : "");
}

static void
say_warnings(struct pw_span lines)
{
    struct pw_cursor cur = pw_cursor_over(lines);
    while (cur.rest.len > 0) {
        struct pw_span line = pw_cursor_until(&cur, '\n');
        char text[sizeof((struct pw_why *)NULL)->text];
        snprintf(text, sizeof text, "%.*s", (int)line.len, (const char *)line.ptr);
        pw_command_print_plain(stderr, text);
        fputc('\n', stderr);
    }
}

static void
write_warnings(struct pw_json *json, struct pw_span lines)
{
    struct pw_cursor cur = pw_cursor_over(lines);
    pw_json_array(json, "warnings");
    while (cur.rest.len > 0) {
        struct pw_span line = pw_cursor_until(&cur, '\n');
        pw_json_bytes(json, NULL, line, line.len);
    }
    pw_json_end_array(json);
}

static void
write_channel(struct pw_json *json, const struct pw_channel *channel)
{
    pw_json_object(json, NULL);
    pw_json_str(json, "name", channel->name);
    pw_json_str(json, "policy", pw_policy_name(channel->policy));
    pw_json_uint(json, "names", pw_policy_size(channel->policy));
    pw_json_end_object(json);
}

static int
print_json(const char *file, const struct pw_settings *settings, const struct pw_why *why)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = LINE_MAX_BYTES};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "file", file);
    pw_json_bool(&json, "good", settings != NULL);
    if (settings == NULL) {
        pw_json_str(&json, "error", why->text);
    } else {
        pw_json_array(&json, "channels");
        for (size_t i = 0; i < settings->channel_count; i++) {
            write_channel(&json, &settings->channels[i]);
        }
        pw_json_end_array(&json);
        struct pw_sandbox sandbox = pw_sandbox_offered(settings);
        pw_sandbox_write(&sandbox, &json);
        write_warnings(&json, pw_buf_span(&settings->warnings));
    }
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err != PW_E_OK) {
        return pw_command_fail(json.err, NULL);
    }
    fwrite(line.bytes, 1, line.len, stdout);
    return settings != NULL ? EX_OK : EX_CONFIG;
}

static int
check(const char *file, bool as_json)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_settings_free)
    struct pw_settings *settings = pw_settings_load(file, &why);
    if (settings != NULL && pw_check_settings(settings, NULL, &why) != PW_E_OK) {
        pw_settings_free(&settings);
    }
    if (as_json) {
        return print_json(file, settings, &why);
    }
    if (settings == NULL) {
        return say_wrong(&why);
    }
    say_warnings(pw_buf_span(&settings->warnings));
    if (isatty(STDOUT_FILENO)) {
        say_good(settings);
    }
    return EX_OK;
}

int
pw_cmd_check_config(int argc, char **argv)
{
    bool as_json = false;
    const char *config = NULL;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            as_json = true;
        } else if (pw_args_value(&args, "--config", &config)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            return pw_command_misused("\"%s\" is too much; name the file with --config",
                                      args.current);
        }
    }
    return check(pw_command_config(config), as_json);
}
