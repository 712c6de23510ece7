/* SPDX-License-Identifier: Apache-2.0
 *
 * A quarantine of its own for each test.
 */
#ifndef PW_TESTS_UNIT_QUARANTINE_FOLDER_H
#define PW_TESTS_UNIT_QUARANTINE_FOLDER_H

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/pw-quarantine-XXXXXX";
static char root[64]; /* of the quarantine, in it */

static int
make_folder(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(root, sizeof root, "%s/quarantine", folder);
    return 0;
}

static int
remove_one(const char *path, const struct stat *facts, int kind, struct FTW *walk)
{
    (void)facts, (void)kind, (void)walk;
    return remove(path);
}

static int
remove_store(void **state)
{
    (void)state;
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static int
remove_folder(void **state)
{
    (void)remove_store(state);
    return rmdir(folder);
}

#endif
