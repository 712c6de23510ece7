/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sysexits.h>

#include <czmq.h>
#include <seccomp.h>
#include <sodium.h>
#include <zlib.h>
#include <zmq.h>

#include "common/base/json.h"
#include "proxy/cli/commands.h"
#include "proxy/sandbox_landlock.h"

struct part {
    const char *name;
    char version[32];
};

enum { PARTS = 7 };

static void
collect(struct part parts[static PARTS])
{
    int major, minor, patch;
    parts[0] = (struct part){.name = "picklewall", .version = PW_VERSION};
    parts[1].name = "libzmq";
    zmq_version(&major, &minor, &patch);
    snprintf(parts[1].version, sizeof parts[1].version, "%d.%d.%d", major, minor, patch);
    parts[2].name = "czmq";
    zsys_version(&major, &minor, &patch);
    snprintf(parts[2].version, sizeof parts[2].version, "%d.%d.%d", major, minor, patch);
    parts[3].name = "libsodium";
    snprintf(parts[3].version, sizeof parts[3].version, "%s", sodium_version_string());
    parts[4].name = "zlib";
    snprintf(parts[4].version, sizeof parts[4].version, "%s", zlibVersion());
    const struct scmp_version *seccomp = seccomp_version();
    parts[5].name = "libseccomp";
    snprintf(parts[5].version, sizeof parts[5].version, "%u.%u.%u", seccomp->major,
             seccomp->minor, seccomp->micro);
    parts[6].name = "landlock-abi"; /* the newest that this build can use */
    snprintf(parts[6].version, sizeof parts[6].version, "%d", PW_LANDLOCK_NEWEST);
}

static int
print_json(const struct part parts[static PARTS])
{
    struct pw_buf line = {.limit = 4096};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    for (size_t i = 0; i < PARTS; i++) {
        pw_json_str(&json, parts[i].name, parts[i].version);
    }
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    pw_buf_free(&line);
    return json.err == PW_E_OK ? EX_OK : pw_command_fail(json.err, NULL);
}

int
pw_cmd_version(int argc, char **argv)
{
    bool as_json = false;
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            as_json = true;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else {
            return pw_command_misused("takes no argument, but here is \"%s\"",
                                      args.current);
        }
    }
    struct part parts[PARTS] = {0};
    collect(parts);
    if (as_json) {
        return print_json(parts);
    }
    for (size_t i = 0; i < PARTS; i++) {
        printf("%s %s\n", parts[i].name, parts[i].version);
    }
    return EX_OK;
}
