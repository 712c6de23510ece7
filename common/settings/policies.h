/* SPDX-License-Identifier: Apache-2.0
 *
 * The policies of a configuration: its own sections and the shipped packs, each built once,
 * after what it includes.
 */
#ifndef PW_COMMON_SETTINGS_POLICIES_H
#define PW_COMMON_SETTINGS_POLICIES_H

#include "common/base/buf.h"
#include "common/settings/schema.h"

enum { PW_POLICIES_MAX = 256, PW_PACK_FOLDERS = 3 };

struct pw_policies;

/*
 * An empty set that looks for packs in `folders` (borrowed; the first that has one wins;
 * NULL for none, and then no file is touched). NULL when out of memory.
 */
struct pw_policies *pw_policies_new(char *const folders[static PW_PACK_FOLDERS]);
void pw_policies_free(struct pw_policies **set);

/* Take note of every policy section of a checked document, which must outlive the set. */
PW_CHECK_RESULT enum pw_err pw_policies_add(struct pw_policies *set,
                                            const struct pw_zpl *doc, struct pw_why *why);

/* Build everything that was added, and every pack of the folders. */
PW_CHECK_RESULT enum pw_err pw_policies_build(struct pw_policies *set, struct pw_why *why);

/*
 * Build the policy of this name. PW_E_CONFIG with a sentence (no place) when there is none;
 * *out belongs to the set.
 */
PW_CHECK_RESULT enum pw_err pw_policies_get(struct pw_policies *set, const char *name,
                                            struct pw_policy **out, struct pw_why *why);

/* Hand over the sentences about what was built, a line each (settings.h). */
struct pw_buf pw_policies_warnings(struct pw_policies *set);

/* Hand what was built to the caller: a malloc'd array, or NULL when out of memory. */
struct pw_policy **pw_policies_take(struct pw_policies *set, size_t *count);

#endif
