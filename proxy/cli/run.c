/* SPDX-License-Identifier: Apache-2.0 */
#include <sysexits.h>

#include "common/settings/settings.h"
#include "proxy/cli/commands.h"
#include "proxy/daemon.h"

int
pw_cmd_run(int argc, char **argv)
{
    const char *path = NULL;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_value(&args, "--config", &path)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        return pw_command_misused("\"%s\" is too much; name the file with --config",
                                  args.current);
    }
    struct pw_why why = {0};
    struct pw_settings *settings = pw_settings_load(pw_command_config(path), &why);
    if (settings == NULL) {
        return pw_command_fail(PW_E_CONFIG, &why);
    }
    enum pw_err err = pw_daemon_run(settings, &why);
    pw_settings_free(&settings);
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, &why);
}
