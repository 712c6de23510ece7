/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/tree.h"

#include <sodium.h>

size_t
pw_tree_hashes(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

void
pw_tree_leaf(struct pw_span entry, uint8_t out[static PW_TREE_HASH])
{
    static const uint8_t prefix = 0x00;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, &prefix, 1);
    crypto_hash_sha256_update(&state, entry.ptr, entry.len);
    crypto_hash_sha256_final(&state, out);
}

/* SHA-256(0x01, left, right); `out` may be one of the two. */
static void
join(const uint8_t left[static PW_TREE_HASH], const uint8_t right[static PW_TREE_HASH],
     uint8_t out[static PW_TREE_HASH])
{
    uint8_t text[1 + 2 * PW_TREE_HASH] = {0x01};
    memcpy(text + 1, left, PW_TREE_HASH);
    memcpy(text + 1 + PW_TREE_HASH, right, PW_TREE_HASH);
    crypto_hash_sha256(out, text, sizeof text);
}

/* As in a binary counter: each bit that carries joins two subtrees of one size. */
void
pw_tree_append(struct pw_tree *tree, const uint8_t leaf[static PW_TREE_HASH])
{
    size_t count = pw_tree_hashes(tree->size);
    uint8_t hash[PW_TREE_HASH];
    memcpy(hash, leaf, sizeof hash);
    for (uint64_t carry = tree->size; (carry & 1) != 0; carry >>= 1) {
        count--;
        join(tree->range[count], hash, hash);
    }
    memcpy(tree->range[count], hash, sizeof hash);
    tree->size++;
}

void
pw_tree_root(const struct pw_tree *tree, uint8_t out[static PW_TREE_HASH])
{
    size_t count = pw_tree_hashes(tree->size);
    if (count == 0) {
        crypto_hash_sha256(out, NULL, 0);
        return;
    }
    memcpy(out, tree->range[count - 1], PW_TREE_HASH);
    for (size_t i = count - 1; i > 0; i--) {
        join(tree->range[i - 1], out, out);
    }
}
