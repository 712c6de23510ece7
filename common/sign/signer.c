/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/channel_key.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"

/* All of it in sodium_malloc memory: the hash states give the channel's key away. */
struct pw_signer {
    struct pw_channel_key ready;
    union pw_hash work;
    struct pw_scope scope;
    struct pw_trailer trailer; /* the last one, without tag */
};

static const struct pw_key *
find_key(const struct pw_keyring *ring, const char *name, const char *channel,
         struct pw_why *why)
{
    const struct pw_key *key = pw_keyring_find(ring, name);
    if (key == NULL) {
        (void)pw_fail(
            why, PW_E_CONFIG,
            "%.64s: no key of this name in the key folder; picklewall key list shows "
            "what is there",
            name);
        return NULL;
    }
    if (pw_key_role(key) != PW_ROLE_SIGN) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key only verifies; sign with a \"role: sign\" key", name);
        return NULL;
    }
    if (!pw_key_takes(key, channel)) {
        (void)pw_fail(
            why, PW_E_CONFIG,
            "%s: this key is for channels \"%s\", not for \"%.64s\"; use another key or "
            "change its channel: line",
            name, pw_key_channel(key), channel);
        return NULL;
    }
    return key;
}

struct pw_signer *
pw_signer_new(const struct pw_keyring *ring, const char *key_name, const char *channel,
              enum pw_direction dir, uint64_t epoch, struct pw_why *why)
{
    struct pw_scope scope = {0};
    if (channel[0] == '\0' || !pw_scope_fill(&scope, channel, dir)) {
        (void)pw_fail(why, PW_E_CONFIG, "a signed channel has a name of 1 to %d bytes",
                      PW_SIGN_CHANNEL_MAX);
        return NULL;
    }
    const struct pw_key *key = find_key(ring, key_name, channel, why);
    if (key == NULL) {
        return NULL;
    }
    struct pw_signer *signer = sodium_malloc(sizeof *signer);
    if (signer == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", key_name);
        return NULL;
    }
    memset(signer, 0, sizeof *signer);
    signer->scope = scope;
    pw_channel_key_fill(&signer->ready, key, &signer->scope);
    signer->trailer.suite = (uint8_t)pw_key_suite(key);
    signer->trailer.epoch = epoch;
    memcpy(signer->trailer.key_id, pw_key_id(key), sizeof signer->trailer.key_id);
    return signer;
}

void
pw_signer_free(struct pw_signer **signer)
{
    sodium_free(*signer);
    *signer = NULL;
}

size_t
pw_signer_trailer_size(const struct pw_signer *signer)
{
    return PW_TRAILER_HEAD + signer->ready.scheme->tag_len;
}

enum pw_err
pw_signer_sign(struct pw_signer *signer, const struct pw_span *frames, size_t count,
               uint64_t now_ns, uint8_t out[static PW_TRAILER_MAX])
{
    if (count == 0 || count > PW_SIGN_FRAMES_MAX) {
        return PW_E_LIMIT;
    }
    signer->trailer.frames = (uint16_t)count;
    signer->trailer.seq++;
    signer->trailer.time_ns = now_ns;
    pw_trailer_pack(&signer->trailer, out);
    struct pw_signed text = {
        .head = {out, PW_TRAILER_HEAD},
        .scope = &signer->scope,
        .frames = frames,
        .count = count,
    };
    pw_channel_key_sign(&signer->ready, &signer->work, &text, out + PW_TRAILER_HEAD);
    return PW_E_OK;
}
