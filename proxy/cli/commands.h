/* SPDX-License-Identifier: Apache-2.0
 *
 * Every subcommand's function, as commands.def names them: int pw_cmd_scan(int, char **),
 * ….
 */
#ifndef PW_PROXY_CLI_COMMANDS_H
#define PW_PROXY_CLI_COMMANDS_H

#include "proxy/cli/command.h"

#define PW_COMMAND(name, function, usage, summary, help) pw_command_run pw_cmd_##function;
#include "proxy/cli/commands.def"
#undef PW_COMMAND

#endif
