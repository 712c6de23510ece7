/* SPDX-License-Identifier: Apache-2.0
 *
 * The key that signs checkpoints: a key file as common/sign has them, made when it is not
 * there, with its public half beside it for whoever verifies.
 */
#ifndef PW_COMMON_AUDIT_CHAIN_KEY_H
#define PW_COMMON_AUDIT_CHAIN_KEY_H

#include "common/audit/note.h"

/*
 * Load the key file `path`, whose name ends in ".pwkey", or make it (Ed25519, 0600, named
 * as the file is). Its public half stands in the same name with ".pub", as the text of
 * pw_note_key_format and an LF. NULL with a sentence.
 */
struct pw_key *pw_chain_key_open(const char *path, struct pw_why *why);

/* The same of a key that is there; makes and writes nothing. */
struct pw_key *pw_chain_key_load(const char *path, struct pw_why *why);

/* "…/audit.pwkey" becomes "…/audit.pub". False when it ends otherwise or is too long. */
PW_CHECK_RESULT bool pw_chain_key_public_path(const char *path, char *out, size_t room);

#endif
