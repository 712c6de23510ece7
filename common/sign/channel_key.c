/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/channel_key.h"

#include <endian.h>

bool
pw_scope_fill(struct pw_scope *scope, const char *channel, enum pw_direction direction)
{
    size_t len = strlen(channel);
    if (len > PW_SIGN_CHANNEL_MAX) {
        return false;
    }
    scope->direction = (uint8_t)direction;
    scope->channel[0] = (uint8_t)(len >> 8);
    scope->channel[1] = (uint8_t)len;
    memcpy(scope->channel + 2, channel, len);
    scope->len = 2 + len;
    return true;
}

/* One master per pair of ends, unrelated keys per channel and direction: nothing reflects.
 */
static void
derive(const struct pw_key *key, const struct pw_scope *scope,
       uint8_t out[static PW_KEY_BYTES])
{
    static const char context[] = "picklewall/kdf/v1"; /* with its NUL */
    uint8_t fixed[] = {(uint8_t)key->suite, scope->direction};
    crypto_generichash_state state;
    crypto_generichash_init(&state, key->secret, PW_KEY_BYTES, PW_KEY_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)context, sizeof context);
    crypto_generichash_update(&state, fixed, sizeof fixed);
    crypto_generichash_update(&state, scope->channel, scope->len);
    crypto_generichash_final(&state, out, PW_KEY_BYTES);
    sodium_memzero(&state, sizeof state);
}

void
pw_channel_key_fill(struct pw_channel_key *ready, const struct pw_key *key,
                    const struct pw_scope *scope)
{
    static const char context[] = "picklewall/frame-signature/v1"; /* with its NUL */
    uint8_t derived[PW_KEY_BYTES] = {0};
    ready->key = key;
    ready->scheme = pw_scheme_of(key->suite);
    if (ready->scheme->symmetric) {
        derive(key, scope, derived);
    }
    ready->scheme->start(&ready->start, (struct pw_span){derived, sizeof derived});
    ready->scheme->absorb(&ready->start,
                          (struct pw_span){(const uint8_t *)context, sizeof context});
    sodium_memzero(derived, sizeof derived);
}

/* Every length goes before any byte of a frame: a moved boundary is another text. */
static void
absorb(const struct pw_channel_key *ready, union pw_hash *work,
       const struct pw_signed *text)
{
    const struct pw_scheme *scheme = ready->scheme;
    *work = ready->start;
    scheme->absorb(work, text->head);
    scheme->absorb(work, (struct pw_span){text->scope->channel, text->scope->len});
    scheme->absorb(work, (struct pw_span){&text->scope->direction, 1});
    for (size_t i = 0; i < text->count; i++) {
        uint64_t len = htobe64(text->frames[i].len);
        scheme->absorb(work, (struct pw_span){(const uint8_t *)&len, sizeof len});
    }
    for (size_t i = 0; i < text->count; i++) {
        if (text->frames[i].len > 0) {
            scheme->absorb(work, text->frames[i]);
        }
    }
}

void
pw_channel_key_sign(const struct pw_channel_key *ready, union pw_hash *work,
                    const struct pw_signed *text, uint8_t *tag)
{
    absorb(ready, work, text);
    ready->scheme->sign(work, ready->key, tag);
}

bool
pw_channel_key_fits(const struct pw_channel_key *ready, union pw_hash *work,
                    const struct pw_signed *text, struct pw_span tag)
{
    absorb(ready, work, text);
    return ready->scheme->fits(work, ready->key, tag);
}

void
pw_channel_key_leaf(const struct pw_channel_key *ready, union pw_hash *work,
                    const struct pw_signed *text, struct pw_node *leaf)
{
    absorb(ready, work, text);
    ready->scheme->finish(work, leaf);
}
