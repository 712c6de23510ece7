/* SPDX-License-Identifier: Apache-2.0
 *
 * An entry on its way out of the quarantine: from state to state, for good.
 */
#ifndef PW_COMMON_QUARANTINE_RELEASE_H
#define PW_COMMON_QUARANTINE_RELEASE_H

#include "common/quarantine/store.h"

/*
 * Move an entry (its whole ULID) from one state to another. PW_E_OK: it is there, also
 * after a power cut. PW_E_IO: it is there, but the disk would not promise that; after a
 * power cut it may be in `from` again, never in both, nor in neither. PW_E_NO_INPUT when it
 * is not in `from`, PW_E_NOMEM, PW_E_OS: it is where it was.
 */
PW_CHECK_RESULT enum pw_err pw_store_move(struct pw_store *store, const char *entry,
                                          enum pw_store_state from, enum pw_store_state to,
                                          struct pw_why *why);

#endif
