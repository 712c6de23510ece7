/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/sign_keys.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"

static struct pw_keyring *
ring_of_one(const char *path, struct pw_why *why)
{
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_load(path, why);
    if (key == NULL) {
        return NULL;
    }
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_new();
    if (ring == NULL || pw_keyring_add(ring, &key) != PW_E_OK) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", path);
        return NULL;
    }
    struct pw_keyring *made = ring;
    ring = NULL;
    return made;
}

struct pw_keyring *
pw_cli_keys(const char *path, struct pw_why *why)
{
    struct stat info;
    bool is_file = stat(path, &info) == 0 && S_ISREG(info.st_mode);
    return is_file ? ring_of_one(path, why) : pw_keyring_load(path, why);
}

bool
pw_cli_is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

enum pw_err
pw_cli_read_stdin(struct pw_buf *out, struct pw_why *why)
{
    enum pw_err err = pw_file_read_fd(STDIN_FILENO, out);
    return err == PW_E_OK ? PW_E_OK
                          : pw_fail(why, err, "standard input: %s",
                                    err == PW_E_IO ? strerror(errno) : pw_err_text(err));
}
