/* SPDX-License-Identifier: Apache-2.0
 *
 * The file that outlives a restart: which senders were heard, and how far. README.md in
 * this folder has its bytes.
 */
#ifndef PW_COMMON_SIGN_EPOCHS_H
#define PW_COMMON_SIGN_EPOCHS_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/sign/replay.h"

enum {
    PW_EPOCHS_HEAD = 16,
    PW_EPOCHS_ROW = 24,
    PW_EPOCHS_SUM = 32,
    PW_EPOCHS_MAX = PW_EPOCHS_HEAD + PW_REPLAY_SENDERS * PW_EPOCHS_ROW + PW_EPOCHS_SUM,
};

/*
 * Append the file of `replay` to `out`, each sender with its `goal`. PW_E_NOMEM or
 * PW_E_LIMIT; neither when PW_EPOCHS_MAX bytes are reserved.
 */
PW_CHECK_RESULT enum pw_err pw_epochs_format(const struct pw_replay *replay,
                                             struct pw_buf *out);

/*
 * Read a whole file into `replay`, which is all zero. Every number up to a sender's goal
 * counts as taken. False when a byte is wrong; `replay` is of no use then.
 */
PW_CHECK_RESULT bool pw_epochs_parse(struct pw_span bytes, struct pw_replay *replay);

/*
 * Read `path` into `replay`, which is all zero and stays so when there is no such file.
 * PW_E_FORMAT when it is damaged, PW_E_PERM, PW_E_IO, PW_E_NOMEM, with a sentence in `why`.
 */
PW_CHECK_RESULT enum pw_err pw_epochs_load(const char *path, struct pw_replay *replay,
                                           struct pw_why *why);

/*
 * Put `bytes` in place as `name` in the open folder `folder`, there for good or not at all:
 * written beside it, synced, renamed, and the folder synced. PW_E_IO leaves errno.
 */
PW_CHECK_RESULT enum pw_err pw_epochs_save(int folder, const char *name,
                                           struct pw_span bytes);

#endif
