/* SPDX-License-Identifier: Apache-2.0 */
#include <sysexits.h>

#include "proxy/cli/commands.h"

int
pw_cmd_help(int argc, char **argv)
{
    if (argc == 0) {
        pw_command_print_list(stdout);
        return EX_OK;
    }
    int words = 0;
    const struct pw_command *command = pw_command_find(argc, argv, &words);
    if (command == NULL) {
        return pw_command_unknown(argc, argv);
    }
    pw_command_print_help(stdout, command);
    return EX_OK;
}
