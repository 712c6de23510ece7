/* SPDX-License-Identifier: Apache-2.0
 *
 * A key folder of its own for each test that wants one.
 */
#ifndef PW_TESTS_UNIT_SIGN_FOLDER_H
#define PW_TESTS_UNIT_SIGN_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/sign/keys.h"

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/pw-keys-XXXXXX", sizeof "/tmp/pw-keys-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static int
remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file there; the last two stay good. */
static inline const char *
in_folder(const char *name)
{
    static char path[2][256];
    static unsigned turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static inline void
write_file(const char *name, const char *text)
{
    PW_CLEANUP(pw_file_close)
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pw_file_write_all(fd, pw_span_str(text)), PW_E_OK);
}

static inline void
save_key(enum pw_suite suite, const char *name, uint8_t first)
{
    PW_CLEANUP(pw_key_free) struct pw_key *key = counting_key(suite, name, first, "");
    assert_int_equal(pw_key_save(key, folder, NULL), PW_E_OK);
}

#endif
