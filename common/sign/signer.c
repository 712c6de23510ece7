/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/channel_key.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"

static const uint64_t ns_per_ms = 1000000;

/* All of it in sodium_malloc memory: the hash states give the channel's key away. */
struct pw_signer {
    struct pw_channel_key ready;
    union pw_hash work;
    struct pw_scope scope;
    struct pw_trailer trailer; /* the last one, without tag */
};

static const struct pw_key *
find_key(const struct pw_keyring *ring, const char *name, const char *channel,
         uint64_t epoch, struct pw_why *why)
{
    const struct pw_key *key =
        pw_keyring_signer(ring, name, channel, epoch * ns_per_ms, why);
    if (key != NULL && pw_key_is_bare(key)) {
        (void)pw_fail(why, PW_E_CONFIG,
                      "%s: this key is for the envelopes of other programs; make one with "
                      "picklewall key new",
                      pw_key_name(key));
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
    const struct pw_key *key = find_key(ring, key_name, channel, epoch, why);
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

void
pw_signer_continue(struct pw_signer *signer, const struct pw_signer *before)
{
    if (memcmp(signer->trailer.key_id, before->trailer.key_id,
               sizeof signer->trailer.key_id) == 0) {
        signer->trailer.epoch = before->trailer.epoch;
        signer->trailer.seq = before->trailer.seq;
    }
}

enum pw_reason
pw_signer_usable(const struct pw_signer *signer, uint64_t now_ns)
{
    return pw_key_usable(signer->ready.key, now_ns, true);
}

const struct pw_key *
pw_signer_key(const struct pw_signer *signer)
{
    return signer->ready.key;
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
