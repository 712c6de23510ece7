/* SPDX-License-Identifier: Apache-2.0
 *
 * The subcommands: a table in commands.def, one file each in this folder.
 */
#ifndef PW_PROXY_CLI_COMMAND_H
#define PW_PROXY_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/base/err.h"

/* Run with the arguments behind the command's name; return the exit code. */
typedef int pw_command_run(int argc, char **argv);

struct pw_command {
    const char *name;    /* "scan", or "key new" */
    const char *usage;   /* what follows the name */
    const char *summary; /* half a line */
    const char *help;    /* the options, a line each; printed by --help */
    pw_command_run *run;
};

/* Find the command that `argv` (the program's name included) spells, run it, return its
 * exit code. */
int pw_command_main(int argc, char **argv);

/* Print the sentence on stderr as "picklewall: …" and return the exit code of `err`. */
int pw_command_fail(enum pw_err err, const struct pw_why *why);

/* The same for wrong usage of the running command: "picklewall scan: …" and EX_USAGE. */
int pw_command_misused(const char *format, ...) PW_PRINTF(1, 2);

/* Text for a terminal: control characters, which a hostile file name may hold, become '?'.
 */
void pw_command_print_plain(FILE *out, const char *text);

/* The command whose name the first arguments spell, NULL when none; *words are its words.
 */
const struct pw_command *pw_command_find(int argc, char **argv, int *words);

/* What --help prints for one command, and for all of them. */
void pw_command_print_help(FILE *out, const struct pw_command *command);
void pw_command_print_list(FILE *out);

/* Say on stderr that argv spells no command, with the nearest that there is; EX_USAGE. */
int pw_command_unknown(int argc, char **argv);

/*
 * Options of one command, read left to right:
 *     struct pw_args args = pw_args_over(argc, argv);
 *     while (pw_args_next(&args)) {
 *         if (pw_args_flag(&args, "--json")) { json = true; }
 *         else if (pw_args_value(&args, "--config", &path)) { }
 *         else if (pw_args_unknown(&args)) { return EX_USAGE; }
 *         else { positional: args.current }
 *     }
 */
struct pw_args {
    int argc;
    char **argv;
    int index;            /* of the argument behind `current` */
    char *current;        /* the argument under consideration */
    bool only_positional; /* after "--" */
    bool bad;             /* a value was missing; said on stderr already */
};

struct pw_args pw_args_over(int argc, char **argv);
bool pw_args_next(struct pw_args *args);
bool pw_args_flag(struct pw_args *args, const char *name);
/* "--name VALUE" or "--name=VALUE". False when it is missing: reported, and sets `bad`. */
bool pw_args_value(struct pw_args *args, const char *name, const char **value);
/* True, and said on stderr, for an option nobody knew (or when `bad`). */
bool pw_args_unknown(struct pw_args *args);

/* Whether stdout may carry colours: a terminal, NO_COLOR unset. */
bool pw_command_colours(void);

/* The configuration: `given`, else PICKLEWALL_CONFIG, else /etc/picklewall/picklewall.conf.
 */
const char *pw_command_config(const char *given);

#endif
