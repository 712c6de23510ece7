/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: read one whole, or put one in place so that it is there entirely or not at all.
 */
#ifndef PW_COMMON_BASE_FILE_H
#define PW_COMMON_BASE_FILE_H

#include <sys/types.h>

#include "common/base/buf.h"

/*
 * Append the whole of `fd`, from where it stands, to `out` (its limit bounds the file).
 * Errors: PW_E_LIMIT, PW_E_NOMEM, PW_E_IO (errno says more).
 */
PW_CHECK_RESULT enum pw_err pw_file_read_fd(int fd, struct pw_buf *out);

/* The same for a path; PW_E_NO_INPUT when it does not exist, PW_E_PERM when it may not be
 * read. */
PW_CHECK_RESULT enum pw_err pw_file_read(const char *path, struct pw_buf *out);

/* Write all of `bytes`, through short writes and EINTR. PW_E_IO leaves errno. */
PW_CHECK_RESULT enum pw_err pw_file_write_all(int fd, struct pw_span bytes);

/*
 * Put `bytes` in the place of the file `path`: a draft beside it (PATH.new), synced and
 * renamed. The folder is synced too. PW_E_CREATE or PW_E_IO (errno says more) leave the old
 * file as it was.
 */
PW_CHECK_RESULT enum pw_err pw_file_replace(const char *path, struct pw_span bytes,
                                            mode_t mode);

/* Make the names in the folder of `path` durable, as far as its file system does that. */
void pw_file_sync_folder_of(const char *path);

/*
 * Open a directory, made 0700 (with its missing parents) when absent. Returns its
 * descriptor, or -1 with a sentence in `why`.
 */
int pw_file_open_dir(const char *path, struct pw_why *why);

/* Close *fd if it is open and set it to -1; for PW_CLEANUP. */
void pw_file_close(int *fd);

#endif
