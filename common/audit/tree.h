/* SPDX-License-Identifier: Apache-2.0
 *
 * The Merkle tree over the lines of a chain (RFC 6962, section 2.1), kept as a compact
 * range: the roots of its perfect subtrees, one for each bit that is set in its size. So it
 * grows by one hash or two a line, and never takes more room than this struct.
 */
#ifndef PW_COMMON_AUDIT_TREE_H
#define PW_COMMON_AUDIT_TREE_H

#include <stdint.h>

#include "common/base/cursor.h"

enum { PW_TREE_HASH = 32, PW_TREE_MAX = 64 };

/* Zero-initialised it is the empty tree. */
struct pw_tree {
    uint64_t size;                            /* leaves */
    uint8_t range[PW_TREE_MAX][PW_TREE_HASH]; /* pw_tree_hashes of them, largest first */
};

/* How many hashes a tree of `size` leaves is kept as. */
size_t pw_tree_hashes(uint64_t size);

/* The hash of a leaf that holds `entry`: SHA-256(0x00, entry). */
void pw_tree_leaf(struct pw_span entry, uint8_t out[static PW_TREE_HASH]);

/* Add the hash of one more leaf. */
void pw_tree_append(struct pw_tree *tree, const uint8_t leaf[static PW_TREE_HASH]);

/* The root; SHA-256 of nothing for the empty tree. */
void pw_tree_root(const struct pw_tree *tree, uint8_t out[static PW_TREE_HASH]);

#endif
