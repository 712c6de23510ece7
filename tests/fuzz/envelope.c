/* SPDX-License-Identifier: Apache-2.0
 *
 * A message with a trailer at its end: found, parsed, checked. The first byte says into how
 * many frames the rest is cut, the last two a place in a batch. Nothing but the bytes we
 * signed ourselves may verify.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/sign/key_body.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"

enum { FRAMES = 4 };

static const enum pw_suite suites[] = {PW_SUITE_HMAC_SHA256, PW_SUITE_ED25519,
                                       PW_SUITE_BLAKE2B, PW_SUITE_ED25519_BATCH};
static const char *const names[] = {"hmac", "pair", "fast", "batch"};
static const char *const siblings[] = {"mail"};

static struct pw_keyring *ring;
static struct pw_verifier *verifier;

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The leak check cannot see into the verifier's locked pages. */
static void
end(void)
{
    pw_verifier_free(&verifier);
    pw_keyring_free(&ring);
}

static void
start(void)
{
    (void)atexit(end);
    ring = pw_keyring_new();
    for (size_t i = 0; i < PW_COUNT(suites); i++) {
        struct pw_key_parts parts = {.suite = suites[i], .name = pw_span_str(names[i])};
        memset(parts.bytes, 1, sizeof parts.bytes);
        struct pw_key *key = pw_key_from(&parts, NULL);
        require(key != NULL && pw_keyring_add(ring, &key) == PW_E_OK);
    }
    verifier = pw_verifier_new(ring, "jobs", PW_DIR_FORWARD, siblings, PW_COUNT(siblings));
    require(verifier != NULL);
}

/* What was parsed packs to the bytes it came from. */
static void
pack_again(struct pw_span trailer)
{
    struct pw_trailer parsed;
    uint8_t head[PW_TRAILER_HEAD];
    if (!pw_trailer_parse(trailer, &parsed)) {
        return;
    }
    pw_trailer_pack(&parsed, head);
    require(memcmp(head, trailer.ptr, sizeof head) == 0);
}

static void
check(const struct pw_span *frames, size_t count, struct pw_span trailer)
{
    struct pw_sig_result result;
    pw_verifier_check(verifier, frames, count, trailer, &result);
    require(result.state != PW_SIG_OK && result.reason != PW_R_NONE);
    require(pw_sig_state_text(&result)[0] != '\0');
}

/* The same message, signed by each key, verifies. */
static void
sign(const struct pw_span *frames, size_t count)
{
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        uint8_t bytes[PW_TRAILER_MAX];
        struct pw_sig_result result;
        PW_CLEANUP(pw_signer_free)
        struct pw_signer *signer =
            pw_signer_new(ring, names[i], "jobs", PW_DIR_FORWARD, 1, NULL);
        require(signer != NULL &&
                pw_signer_sign(signer, frames, count, 1, bytes) == PW_E_OK);
        struct pw_span trailer = {bytes, pw_signer_trailer_size(signer)};
        require(pw_trailer_at_end(trailer) == trailer.len);
        pw_verifier_check(verifier, frames, count, trailer, &result);
        require(result.state == PW_SIG_OK);
    }
}

/*
 * Among others in a batch it verifies too, and with no change of its trailer: `mask` is
 * laid over it before, and after, the verifier knows the batch.
 */
static void
sign_in_batch(const struct pw_span *frames, size_t count, struct pw_span mask)
{
    uint8_t good[PW_TRAILER_MAX];
    uint8_t changed[PW_TRAILER_MAX];
    size_t slot = 0;
    struct pw_cursor cur = pw_cursor_over(mask);
    size_t size = pw_cursor_uint(&cur, 1) + 1;
    size_t wanted = pw_cursor_uint(&cur, 1) % size;
    PW_CLEANUP(pw_signer_free)
    struct pw_signer *signer =
        pw_signer_new(ring, "batch", "jobs", PW_DIR_FORWARD, 1, NULL);
    require(signer != NULL);
    for (size_t i = 0; i < size; i++) {
        require(pw_signer_add(signer, frames, count, 1, &slot) == PW_E_OK && slot == i);
    }
    pw_signer_close(signer);
    size_t len = pw_signer_trailer(signer, wanted, good);
    memcpy(changed, good, len);
    for (size_t i = 0; i < len && i < cur.rest.len; i++) {
        changed[i] ^= cur.rest.ptr[i];
    }
    bool same = memcmp(changed, good, len) == 0;
    for (int turn = 0; turn < 2; turn++) {
        struct pw_sig_result result;
        pw_verifier_check(verifier, frames, count, (struct pw_span){changed, len}, &result);
        require((result.state == PW_SIG_OK) == same);
        pw_verifier_check(verifier, frames, count, (struct pw_span){good, len}, &result);
        require(result.state == PW_SIG_OK);
    }
}

static bool
is_length(size_t len)
{
    return len == 0 || len == 72 || len == 104 ||
           (len >= 106 && len <= PW_TRAILER_MAX && (len - 106) % 32 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (ring == NULL) {
        start();
    }
    struct pw_cursor cur = pw_cursor_over((struct pw_span){data, size});
    size_t count = pw_cursor_uint(&cur, 1) % FRAMES + 1;
    size_t len = pw_trailer_at_end(cur.rest);
    require(is_length(len));
    require(len <= cur.rest.len);

    struct pw_span frames[FRAMES];
    size_t piece = (cur.rest.len - len) / count;
    size_t payload = cur.rest.len - len;
    for (size_t i = 0; i < count; i++) {
        frames[i] = pw_cursor_take(&cur, i + 1 < count ? piece : payload - piece * i);
    }
    pack_again(cur.rest);
    check(frames, count, cur.rest);
    sign(frames, count);
    sign_in_batch(frames, count, (struct pw_span){data, size});
    return 0;
}
