/* SPDX-License-Identifier: Apache-2.0
 *
 * Ed25519 over the root of a tree of messages: a signature costs as much as a hundred
 * hashes, and here up to 256 messages share one.
 */
#include "common/sign/batch.h"
#include "common/sign/scheme.h"

/* The NUL is part of it. */
static const char context[] = "picklewall/ed25519-batch/v1";

enum { SIGNED = sizeof context + 1 + PW_MERKLE_HASH };

static void
fill_signed(const struct pw_node *root, unsigned size, uint8_t out[static SIGNED])
{
    memcpy(out, context, sizeof context);
    out[sizeof context] = (uint8_t)(size - 1);
    memcpy(out + sizeof context + 1, root->bytes, sizeof root->bytes);
}

void
pw_batch_sign(const struct pw_key *key, const struct pw_node *root, unsigned size,
              uint8_t signature[static PW_BATCH_SIGNATURE])
{
    uint8_t text[SIGNED];
    fill_signed(root, size, text);
    crypto_sign_detached(signature, NULL, text, sizeof text, key->secret);
}

bool
pw_batch_signed(const struct pw_key *key, const struct pw_node *root, unsigned size,
                const uint8_t signature[static PW_BATCH_SIGNATURE])
{
    uint8_t text[SIGNED];
    fill_signed(root, size, text);
    return crypto_sign_verify_detached(signature, text, sizeof text, key->public_key) == 0;
}

size_t
pw_batch_tag_len(struct pw_span end)
{
    if (end.len < PW_BATCH_PLACE) {
        return 0;
    }
    struct pw_cursor cur = pw_cursor_over(end);
    (void)pw_cursor_take(&cur, end.len - PW_BATCH_PLACE);
    unsigned index = (unsigned)pw_cursor_uint(&cur, 1);
    unsigned size = (unsigned)pw_cursor_uint(&cur, 1) + 1;
    return index >= size
               ? 0
               : PW_BATCH_TAG_MIN + (size_t)PW_MERKLE_HASH * pw_merkle_steps(index, size);
}

bool
pw_batch_tag_read(struct pw_span tag, struct pw_batch_tag *out)
{
    if (tag.len < PW_BATCH_TAG_MIN || tag.len != pw_batch_tag_len(tag)) {
        return false;
    }
    struct pw_cursor cur = pw_cursor_over(tag);
    out->signature = pw_cursor_take(&cur, PW_BATCH_SIGNATURE).ptr;
    out->path = pw_cursor_take(&cur, tag.len - PW_BATCH_TAG_MIN).ptr;
    out->index = (unsigned)pw_cursor_uint(&cur, 1);
    out->size = (unsigned)pw_cursor_uint(&cur, 1) + 1;
    return true;
}

static void
start(union pw_hash *hash, struct pw_span key)
{
    static const uint8_t leaf = 0; /* a node begins with 1 */
    (void)key;                     /* everyone may compute it */
    crypto_generichash_init(&hash->blake2b, NULL, 0, PW_MERKLE_HASH);
    crypto_generichash_update(&hash->blake2b, &leaf, sizeof leaf);
}

static void
absorb(union pw_hash *hash, struct pw_span bytes)
{
    crypto_generichash_update(&hash->blake2b, bytes.ptr, bytes.len);
}

static void
finish(union pw_hash *hash, struct pw_node *leaf)
{
    crypto_generichash_final(&hash->blake2b, leaf->bytes, sizeof leaf->bytes);
}

/* A batch of one: its leaf is its root. */
static void
sign(union pw_hash *hash, const struct pw_key *key, uint8_t *tag)
{
    struct pw_node leaf;
    finish(hash, &leaf);
    pw_batch_sign(key, &leaf, 1, tag);
    memset(tag + PW_BATCH_SIGNATURE, 0, PW_BATCH_PLACE);
}

static bool
fits(union pw_hash *hash, const struct pw_key *key, struct pw_span tag)
{
    struct pw_batch_tag read;
    struct pw_ascent ascent;
    struct pw_node leaf;
    if (!pw_batch_tag_read(tag, &read)) {
        return false;
    }
    finish(hash, &leaf);
    pw_merkle_ascend(&ascent, &leaf, read.index, read.size, read.path, NULL);
    return pw_batch_signed(key, &ascent.way[ascent.count], read.size, read.signature);
}

const struct pw_scheme pw_scheme_ed25519_batch = {
    .name = "ed25519-batch",
    .tag_len = PW_BATCH_TAG_MIN,
    .batch = PW_MERKLE_LEAVES,
    .symmetric = false,
    .start = start,
    .absorb = absorb,
    .finish = finish,
    .sign = sign,
    .fits = fits,
};
