/* SPDX-License-Identifier: Apache-2.0
 *
 * ctl status, ctl reload and their kin: one question to a running wall, and its answer in
 * words.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"

enum { REFUSED = 1, PATIENCE_S = 30 };

struct question {
    const char *config;
    const char *socket;
    const char *argument; /* a channel, or a level */
    bool json;
};

static int
read_question(int argc, char **argv, bool takes_argument, struct question *question)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            question->json = true;
        } else if (pw_args_value(&args, "--socket", &question->socket) ||
                   pw_args_value(&args, "--config", &question->config) ||
                   pw_args_value(&args, "-c", &question->config)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (!takes_argument || question->argument != NULL) {
            return pw_command_misused("\"%s\" is too much; leave it out", args.current);
        } else {
            question->argument = args.current;
        }
    }
    if (question->socket != NULL && question->config != NULL) {
        return pw_command_misused("--socket or --config, not both");
    }
    return EX_OK;
}

static void
print_member(const json_t *object, const char *key)
{
    pw_print_text(stdout, pw_json_text(object, key));
}

static void
print_channel(const json_t *channel)
{
    fputs("channel ", stdout);
    print_member(channel, "chan");
    printf(": %lld received, %lld forwarded, %lld quarantined, %lld dropped",
           pw_json_number(channel, "received"), pw_json_number(channel, "forwarded"),
           pw_json_number(channel, "quarantined"), pw_json_number(channel, "dropped"));
    if (json_object_get(channel, "signs_with") != NULL) {
        fputs("; signs with ", stdout);
        print_member(channel, "signs_with");
    }
    printf("; keys of generation %lld\n", pw_json_number(channel, "generation"));
}

static void
print_uptime(long long seconds)
{
    printf("up %lld d %02lld:%02lld:%02lld", seconds / 86400, seconds / 3600 % 24,
           seconds / 60 % 60, seconds % 60);
}

/* Names of settings, and how many lines each could not take. */
static void
print_missed(json_t *missed)
{
    const char *name;
    json_t *count;
    json_object_foreach(missed, name, count)
    {
        if (json_integer_value(count) > 0) {
            fputs("audit.", stdout);
            pw_print_text(stdout, pw_span_str(name));
            printf(": %lld lines could not be delivered\n",
                   (long long)json_integer_value(count));
        }
    }
}

static void
print_quarantine(const json_t *store)
{
    long long doubt = pw_json_number(store, "releasing");
    printf("quarantine: %lld held, %lld released, %lld purged",
           pw_json_number(store, "held"), pw_json_number(store, "released"),
           pw_json_number(store, "purged"));
    if (doubt > 0) {
        printf("; %lld under way or in doubt, see quarantine list --state-is releasing",
               doubt);
    }
    putchar('\n');
}

/* What differs from the settings of the start, and cannot change while the wall runs. */
static void
print_pending(const json_t *pending)
{
    size_t index;
    const json_t *path;
    json_array_foreach(pending, index, path)
    {
        const char *name = json_string_value(path);
        pw_print_text(stdout, pw_span_str(name != NULL ? name : ""));
        puts(" has changed, and waits for the next start; the rest is in force");
    }
}

static void
print_reloads(const json_t *reload)
{
    printf("configuration: in force since ");
    print_member(reload, "since");
    printf(", read again %lld times, refused %lld\n", pw_json_number(reload, "total"),
           pw_json_number(reload, "failed"));
    if (json_object_get(reload, "error") != NULL) {
        fputs("configuration: it was refused: ", stdout);
        print_member(reload, "error");
        putchar('\n');
    }
    print_pending(json_object_get(reload, "restart"));
}

static void
print_sandbox(const json_t *sandbox)
{
    printf("sandbox: level %lld, Landlock ABI %lld, seccomp ",
           pw_json_number(sandbox, "level"), pw_json_number(sandbox, "landlock"));
    print_member(sandbox, "seccomp");
    putchar('\n');
}

static void
print_status(const json_t *answer)
{
    size_t index;
    const json_t *channel;
    const json_t *keys = json_object_get(answer, "keys");
    const json_t *audit = json_object_get(answer, "audit");
    fputs("picklewall ", stdout);
    print_member(answer, "version");
    printf(", pid %lld, ", pw_json_number(answer, "pid"));
    print_uptime(pw_json_number(answer, "uptime_s"));
    puts(json_is_true(json_object_get(answer, "stopping")) ? ", stopping" : "");
    json_array_foreach(json_object_get(answer, "channels"), index, channel)
    {
        print_channel(channel);
    }
    print_reloads(json_object_get(answer, "reload"));
    printf("keys: %lld, generation %lld, list of revoked keys %lld\n",
           pw_json_number(keys, "keys"), pw_json_number(keys, "generation"),
           pw_json_number(keys, "revoked_version"));
    if (json_object_get(keys, "error") != NULL) {
        fputs("keys: the folder is refused: ", stdout);
        print_member(keys, "error");
        putchar('\n');
    }
    fputs("audit log: ", stdout);
    print_member(audit, "file");
    printf(": %lld lines, %lld lost%s\n", pw_json_number(audit, "written"),
           pw_json_number(audit, "lost"),
           json_is_true(json_object_get(audit, "ready")) ? ""
                                                         : "; it takes no more at the "
                                                           "moment, nothing is received");
    if (json_object_get(audit, "error") != NULL) {
        fputs("audit log: ", stdout);
        print_member(audit, "error");
        putchar('\n');
    }
    print_missed(json_object_get(audit, "missed"));
    print_quarantine(json_object_get(answer, "quarantine"));
    print_sandbox(json_object_get(answer, "sandbox"));
}

static void
print_signers(const json_t *signers)
{
    size_t index;
    const json_t *entry;
    json_array_foreach(signers, index, entry)
    {
        fputs("channel ", stdout);
        print_member(entry, "chan");
        fputs(" signs with ", stdout);
        print_member(entry, "key");
        putchar('\n');
    }
}

static void
print_reload(const json_t *answer)
{
    size_t index;
    const json_t *entry;
    printf(
        "the configuration is in force, generation %lld; the audit log was opened again\n",
        pw_json_number(answer, "generation"));
    if (pw_json_number(answer, "keys") > 0) {
        printf("the keys are in force: %lld, generation %lld\n",
               pw_json_number(answer, "keys"), pw_json_number(answer, "generation"));
    }
    print_signers(json_object_get(answer, "signs"));
    json_array_foreach(json_object_get(answer, "waiting"), index, entry)
    {
        fputs("channel ", stdout);
        const char *name = json_string_value(entry);
        pw_print_text(stdout, pw_span_str(name != NULL ? name : ""));
        puts(" is busy with a message, and takes them for its next");
    }
    print_pending(json_object_get(answer, "restart"));
}

static int
tell(const json_t *answer, struct pw_span line, bool as_json,
     void (*print)(const json_t *answer))
{
    bool done = json_is_true(json_object_get(answer, "ok"));
    if (as_json) {
        fwrite(line.ptr, 1, line.len, stdout);
        putchar('\n');
    } else if (done) {
        print(answer);
    } else {
        fputs("picklewall: refused: ", stderr);
        pw_print_text(stderr, pw_json_text(answer, "error"));
        fputc('\n', stderr);
    }
    return done ? EX_OK : REFUSED;
}

static int
ask(const struct question *question, const char *command,
    void (*print)(const json_t *answer))
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = PW_ASK_ANSWER_MAX};
    PW_CLEANUP(pw_json_line_free) json_t *answer = NULL;
    struct pw_why why = {0};
    struct pw_ask wall = {
        .config = question->config, .socket = question->socket, .patience_s = PATIENCE_S};
    enum pw_err err = pw_ask_wall(&wall, command, question->argument, &line, &answer, &why);
    return err == PW_E_OK ? tell(answer, pw_buf_span(&line), question->json, print)
                          : pw_command_fail(err, &why);
}

int
pw_cmd_ctl_status(int argc, char **argv)
{
    struct question question = {0};
    int wrong = read_question(argc, argv, true, &question);
    return wrong == EX_OK ? ask(&question, "status", print_status) : wrong;
}

static void
print_reopen(const json_t *answer)
{
    fputs("the audit log was opened again: ", stdout);
    print_member(answer, "file");
    putchar('\n');
}

int
pw_cmd_ctl_reopen(int argc, char **argv)
{
    struct question question = {0};
    int wrong = read_question(argc, argv, false, &question);
    return wrong == EX_OK ? ask(&question, "reopen", print_reopen) : wrong;
}

int
pw_cmd_ctl_reload(int argc, char **argv)
{
    struct question question = {0};
    int wrong = read_question(argc, argv, false, &question);
    return wrong == EX_OK ? ask(&question, "reload", print_reload) : wrong;
}

static void
print_drain(const json_t *answer)
{
    printf("it takes nothing new, and delivers what it has accepted, for at most %lld ms\n",
           pw_json_number(answer, "drain_timeout_ms"));
}

int
pw_cmd_ctl_drain(int argc, char **argv)
{
    struct question question = {0};
    int wrong = read_question(argc, argv, false, &question);
    return wrong == EX_OK ? ask(&question, "drain", print_drain) : wrong;
}

static void
print_rotate(const json_t *answer)
{
    fputs("the audit log was moved aside, and goes on in ", stdout);
    print_member(answer, "file");
    putchar('\n');
}

int
pw_cmd_ctl_rotate(int argc, char **argv)
{
    struct question question = {0};
    int wrong = read_question(argc, argv, false, &question);
    return wrong == EX_OK ? ask(&question, "rotate", print_rotate) : wrong;
}

static void
print_level(const json_t *answer)
{
    print_member(answer, "level");
    putchar('\n');
}

int
pw_cmd_ctl_log_level(int argc, char **argv)
{
    struct question question = {0};
    int wrong = read_question(argc, argv, true, &question);
    return wrong == EX_OK ? ask(&question, "log-level", print_level) : wrong;
}
