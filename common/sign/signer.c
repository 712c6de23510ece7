/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/sign.h"

#include <stdlib.h>

#include "common/sign/batch.h"
#include "common/sign/channel_key.h"
#include "common/sign/trailer.h"

static const uint64_t ns_per_ms = 1000000;

/* The messages that will have one signature, or have it. */
struct batch {
    uint8_t signature[PW_BATCH_SIGNATURE];
    uint8_t heads[PW_SIGN_BATCH_MAX][PW_TRAILER_HEAD];
    struct pw_node nodes[PW_MERKLE_NODES];
};

/* All of it in sodium_malloc memory: the hash states give the channel's key away. */
struct pw_signer {
    struct pw_channel_key ready;
    union pw_hash work;
    struct pw_scope scope;
    struct pw_trailer trailer; /* the last one, without tag */
    size_t added;              /* messages of the batch */
    bool closed;
    struct batch *batch; /* NULL where each message is signed, which then lies in `lone` */
    uint8_t lone[PW_TRAILER_HEAD + crypto_sign_BYTES];
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

/* All zeros; what is only for batches is no secret. */
static struct pw_signer *
allocate(bool batches)
{
    struct pw_signer *signer = sodium_malloc(sizeof *signer);
    if (signer == NULL) {
        return NULL;
    }
    memset(signer, 0, sizeof *signer);
    if (batches) {
        signer->batch = calloc(1, sizeof *signer->batch);
        if (signer->batch == NULL) {
            pw_signer_free(&signer);
        }
    }
    return signer;
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
    struct pw_signer *signer = allocate(pw_scheme_of(pw_key_suite(key))->batch > 1);
    if (signer == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "%s: out of memory", key_name);
        return NULL;
    }
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
    if (*signer != NULL) {
        free((*signer)->batch);
    }
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

/* The head of the next message; PW_E_LIMIT, and nothing is counted, for what has none. */
static enum pw_err
number(struct pw_signer *signer, size_t count, uint64_t now_ns, uint8_t *head)
{
    if (count == 0 || count > PW_SIGN_FRAMES_MAX) {
        return PW_E_LIMIT;
    }
    signer->trailer.frames = (uint16_t)count;
    signer->trailer.seq++;
    signer->trailer.time_ns = now_ns;
    pw_trailer_pack(&signer->trailer, head);
    return PW_E_OK;
}

enum pw_err
pw_signer_sign(struct pw_signer *signer, const struct pw_span *frames, size_t count,
               uint64_t now_ns, uint8_t out[static PW_TRAILER_MAX])
{
    enum pw_err err = number(signer, count, now_ns, out);
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_signed text = {{out, PW_TRAILER_HEAD}, &signer->scope, frames, count};
    pw_channel_key_sign(&signer->ready, &signer->work, &text, out + PW_TRAILER_HEAD);
    return PW_E_OK;
}

size_t
pw_signer_batch(const struct pw_signer *signer)
{
    return signer->ready.scheme->batch;
}

enum pw_err
pw_signer_add(struct pw_signer *signer, const struct pw_span *frames, size_t count,
              uint64_t now_ns, size_t *slot)
{
    size_t next = signer->closed ? 0 : signer->added;
    if (next == signer->ready.scheme->batch) {
        return PW_E_LIMIT;
    }
    uint8_t *head = signer->batch == NULL ? signer->lone : signer->batch->heads[next];
    enum pw_err err = number(signer, count, now_ns, head);
    if (err != PW_E_OK) {
        return err;
    }
    struct pw_signed text = {{head, PW_TRAILER_HEAD}, &signer->scope, frames, count};
    if (signer->batch == NULL) {
        pw_channel_key_sign(&signer->ready, &signer->work, &text, head + PW_TRAILER_HEAD);
    } else {
        pw_channel_key_leaf(&signer->ready, &signer->work, &text,
                            &signer->batch->nodes[next]);
    }
    signer->added = next + 1;
    signer->closed = false;
    *slot = next;
    return PW_E_OK;
}

void
pw_signer_close(struct pw_signer *signer)
{
    struct batch *batch = signer->batch;
    if (signer->closed || signer->added == 0) {
        return;
    }
    signer->closed = true;
    if (batch != NULL) {
        unsigned size = (unsigned)signer->added;
        unsigned root = pw_merkle_build(batch->nodes, size);
        pw_batch_sign(signer->ready.key, &batch->nodes[root], size, batch->signature);
    }
}

size_t
pw_signer_trailer(const struct pw_signer *signer, size_t slot,
                  uint8_t out[static PW_TRAILER_MAX])
{
    const struct batch *batch = signer->batch;
    if (!signer->closed || slot >= signer->added) {
        return 0;
    }
    if (batch == NULL) {
        memcpy(out, signer->lone, pw_signer_trailer_size(signer));
        return pw_signer_trailer_size(signer);
    }
    uint8_t *at = mempcpy(out, batch->heads[slot], PW_TRAILER_HEAD);
    at = mempcpy(at, batch->signature, sizeof batch->signature);
    at += pw_merkle_path(batch->nodes, (unsigned)slot, (unsigned)signer->added, at);
    *at++ = (uint8_t)slot;
    *at++ = (uint8_t)(signer->added - 1);
    return (size_t)(at - out);
}
