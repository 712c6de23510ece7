/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/settings/nearest.h"
#include "proxy/cli/commands.h"

static const struct pw_command commands[] = {
#define PW_COMMAND(name, function, usage, summary, help)                                   \
    {name, usage, summary, help, pw_cmd_##function},
#include "proxy/cli/commands.def"
#undef PW_COMMAND
};

/* The one that runs, for its messages. */
static const struct pw_command *running;

void
pw_command_print_plain(FILE *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, out);
    }
}

int
pw_command_fail(enum pw_err err, const struct pw_why *why)
{
    fputs("picklewall: ", stderr);
    pw_command_print_plain(stderr,
                           why != NULL && why->text[0] ? why->text : pw_err_text(err));
    fputc('\n', stderr);
    return pw_err_exit(err);
}

int
pw_command_misused(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "picklewall%s%s: ", running ? " " : "", running ? running->name : "");
    pw_command_print_plain(stderr, text);
    fputc('\n', stderr);
    return EX_USAGE;
}

/* How many arguments the words of `name` match; 0 unless all do. */
static int
words_matched(const char *name, int argc, char **argv)
{
    int words = 0;
    for (const char *word = name; *word != '\0'; words++) {
        size_t len = strcspn(word, " ");
        if (words >= argc || strlen(argv[words]) != len ||
            memcmp(argv[words], word, len) != 0) {
            return 0;
        }
        word += len + (word[len] == ' ');
    }
    return words;
}

const struct pw_command *
pw_command_find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < PW_COUNT(commands); i++) {
        *words = words_matched(commands[i].name, argc, argv);
        if (*words > 0) {
            return &commands[i];
        }
    }
    return NULL;
}

void
pw_command_print_help(FILE *out, const struct pw_command *command)
{
    fprintf(out, "usage: picklewall %s %s\n\n%s", command->name, command->usage,
            command->help);
}

void
pw_command_print_list(FILE *out)
{
    fputs("picklewall: a firewall for Python pickles on ZeroMQ\n\n"
          "usage: picklewall COMMAND [OPTION...]\n\n",
          out);
    for (size_t i = 0; i < PW_COUNT(commands); i++) {
        fprintf(out, "  %-19s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\npicklewall COMMAND --help tells its options.\n", out);
}

/* "key" is the first word of some commands. */
static bool
is_group(const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < PW_COUNT(commands); i++) {
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ') {
            return true;
        }
    }
    return false;
}

int
pw_command_unknown(int argc, char **argv)
{
    char wanted[128];
    bool two = argc > 1 && is_group(argv[0]) && argv[1][0] != '-';
    snprintf(wanted, sizeof wanted, "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
    if (!two && is_group(argv[0])) {
        return pw_command_misused("\"%s\" needs one word more; picklewall help lists them",
                                  wanted);
    }
    struct pw_nearest nearest = {.wanted = wanted};
    for (size_t i = 0; i < PW_COUNT(commands); i++) {
        pw_nearest_offer(&nearest, commands[i].name);
    }
    if (nearest.best[0] == '\0') {
        return pw_command_misused("\"%s\" is no command; picklewall help lists them",
                                  wanted);
    }
    return pw_command_misused("\"%s\" is no command; did you mean \"%s\"?", wanted,
                              nearest.best);
}

static bool
is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static bool
asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            return true;
        }
    }
    return false;
}

int
pw_command_main(int argc, char **argv)
{
    if (argc < 2) {
        pw_command_print_list(stderr);
        return EX_USAGE;
    }
    if (is_help(argv[1])) {
        pw_command_print_list(stdout);
        return EX_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return pw_cmd_version(argc - 2, argv + 2);
    }
    int words = 0;
    const struct pw_command *command = pw_command_find(argc - 1, argv + 1, &words);
    if (command == NULL) {
        return pw_command_unknown(argc - 1, argv + 1);
    }
    argc -= 1 + words;
    argv += 1 + words;
    if (asks_for_help(argc, argv)) {
        pw_command_print_help(stdout, command);
        return EX_OK;
    }
    running = command;
    return command->run(argc, argv);
}

struct pw_args
pw_args_over(int argc, char **argv)
{
    return (struct pw_args){.argc = argc, .argv = argv};
}

bool
pw_args_next(struct pw_args *args)
{
    if (!args->only_positional && args->index < args->argc &&
        strcmp(args->argv[args->index], "--") == 0) {
        args->only_positional = true;
        args->index++;
    }
    if (args->index >= args->argc) {
        return false;
    }
    args->current = args->argv[args->index++];
    return true;
}

bool
pw_args_flag(struct pw_args *args, const char *name)
{
    return !args->only_positional && strcmp(args->current, name) == 0;
}

bool
pw_args_value(struct pw_args *args, const char *name, const char **value)
{
    size_t len = strlen(name);
    if (args->only_positional || strncmp(args->current, name, len) != 0) {
        return false;
    }
    if (args->current[len] == '=') {
        *value = args->current + len + 1;
        return true;
    }
    if (args->current[len] != '\0') {
        return false;
    }
    if (args->index >= args->argc) {
        (void)pw_command_misused("%s needs a value behind it", name);
        args->bad = true;
        return false;
    }
    *value = args->argv[args->index++];
    return true;
}

/* The help text names every option, so it serves as the list of right spellings too. */
static void
offer_options(struct pw_nearest *nearest, char *help)
{
    for (char *word = strtok(help, " ,\n"); word != NULL; word = strtok(NULL, " ,\n")) {
        if (word[0] == '-' && word[1] == '-') {
            pw_nearest_offer(nearest, word);
        }
    }
}

static void
say_unknown_option(const char *option)
{
    const char *name = running != NULL ? running->name : "help";
    char help[2048];
    snprintf(help, sizeof help, "%s", running != NULL ? running->help : "");
    struct pw_nearest nearest = {.wanted = option};
    offer_options(&nearest, help);
    if (nearest.best[0] != '\0') {
        (void)pw_command_misused("no option %s; did you mean %s?", option, nearest.best);
        return;
    }
    (void)pw_command_misused("no option %s; picklewall %s --help lists them", option, name);
}

bool
pw_args_unknown(struct pw_args *args)
{
    if (args->bad) {
        return true;
    }
    if (args->only_positional || args->current[0] != '-' || args->current[1] == '\0') {
        return false;
    }
    say_unknown_option(args->current);
    return true;
}

bool
pw_command_colours(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
}

const char *
pw_command_config(const char *given)
{
    if (given != NULL) {
        return given;
    }
    const char *named = getenv("PICKLEWALL_CONFIG");
    return named != NULL && named[0] != '\0' ? named : "/etc/picklewall/picklewall.conf";
}
