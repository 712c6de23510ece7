/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "proxy/cli/command.h"
#include "proxy/json_read.h"

int
main(int argc, char **argv)
{
    pw_json_wipes();
    int code = pw_command_main(argc, argv);
    /* A full disk shows only here; a verdict that nobody could read is no success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "picklewall: standard output: %s\n", strerror(errno));
        return code == EX_OK ? EX_IOERR : code;
    }
    return code;
}
