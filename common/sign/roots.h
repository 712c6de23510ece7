/* SPDX-License-Identifier: Apache-2.0
 *
 * The roots that a verifier has seen the signatures of, so that one verification serves a
 * whole batch. Nothing here is a secret.
 */
#ifndef PW_COMMON_SIGN_ROOTS_H
#define PW_COMMON_SIGN_ROOTS_H

#include "common/sign/batch.h"

struct pw_roots;

/* 1 MiB, of which what was never used stays untouched. NULL when out of memory. */
struct pw_roots *pw_roots_new(void);

/* *roots becomes NULL; a NULL *roots is fine. */
void pw_roots_free(struct pw_roots **roots);

/*
 * Whether `leaf` stands where `tag` says in a batch that `key` signed: exactly what the
 * signature of the root says, whatever is remembered. When it does, the root and the way
 * there are remembered, in the place of the root that was used longest ago; one that comes
 * with a message which is not `fresh`, that is later than all others of its key, takes the
 * place of another such only, so that nobody can push roots out with messages of yesterday.
 * `key` is borrowed until pw_roots_free.
 */
PW_CHECK_RESULT bool pw_roots_fit(struct pw_roots *roots, const struct pw_key *key,
                                  const struct pw_node *leaf, struct pw_span tag,
                                  bool fresh);

#endif
