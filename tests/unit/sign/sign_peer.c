/* SPDX-License-Identifier: Apache-2.0
 *
 * Signs or verifies what another implementation hands it on stdin, for
 * tests/integration/test_python_client.py:
 *     sign_peer sign KEYS KEY CHANNEL     messages; answers u16 length, trailer for each
 *     sign_peer batch KEYS KEY CHANNEL    the same, as many at a time as the key's suite
 * lets sign_peer verify KEYS CHANNEL       messages, each with u16 length, trailer behind
 * it; answers a line for each: ok, or the reason A message is u16 frames, and u32 length,
 * bytes for each of them. Integers are big-endian.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/sign/sign.h"

static struct pw_span frames[PW_SIGN_FRAMES_MAX];

static size_t
read_message(struct pw_cursor *cur)
{
    size_t count = pw_cursor_uint(cur, 2);
    if (count > PW_SIGN_FRAMES_MAX) {
        cur->truncated = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = pw_cursor_uint(cur, 4);
        frames[i] = pw_cursor_take(cur, len);
    }
    return count;
}

static bool
answer(const uint8_t *trailer, size_t len)
{
    const uint8_t size[2] = {(uint8_t)(len >> 8), (uint8_t)len};
    return fwrite(size, sizeof size, 1, stdout) == 1 &&
           fwrite(trailer, len, 1, stdout) == 1;
}

static bool
sign_next(struct pw_signer *signer, struct pw_cursor *cur)
{
    uint8_t trailer[PW_TRAILER_MAX];
    size_t count = read_message(cur);
    if (cur->truncated ||
        pw_signer_sign(signer, frames, count, pw_clock_wall(), trailer) != PW_E_OK) {
        return false;
    }
    return answer(trailer, pw_signer_trailer_size(signer));
}

static bool
sign_batch(struct pw_signer *signer, struct pw_cursor *cur)
{
    uint8_t trailer[PW_TRAILER_MAX];
    size_t added = 0;
    while (added < pw_signer_batch(signer) && cur->rest.len > 0) {
        size_t slot;
        size_t count = read_message(cur);
        if (cur->truncated ||
            pw_signer_add(signer, frames, count, pw_clock_wall(), &slot) != PW_E_OK) {
            return false;
        }
        added = slot + 1;
    }
    pw_signer_close(signer);
    bool good = true;
    for (size_t i = 0; i < added && good; i++) {
        good = answer(trailer, pw_signer_trailer(signer, i, trailer));
    }
    return good;
}

static bool
verify_next(struct pw_verifier *verifier, struct pw_cursor *cur)
{
    struct pw_sig_result result;
    size_t count = read_message(cur);
    size_t len = pw_cursor_uint(cur, 2);
    struct pw_span trailer = pw_cursor_take(cur, len);
    if (cur->truncated) {
        return false;
    }
    pw_verifier_check(verifier, frames, count, trailer, &result);
    return puts(result.state == PW_SIG_OK ? "ok" : pw_reason_code(result.reason)) >= 0;
}

int
main(int argc, char **argv)
{
    bool batches = argc == 5 && strcmp(argv[1], "batch") == 0;
    bool signs = batches || (argc == 5 && strcmp(argv[1], "sign") == 0);
    if (!signs && (argc != 4 || strcmp(argv[1], "verify") != 0)) {
        fputs("sign_peer sign|batch KEYS KEY CHANNEL, or sign_peer verify KEYS CHANNEL\n",
              stderr);
        return EXIT_FAILURE;
    }
    struct pw_why why = {0};
    PW_CLEANUP(pw_buf_free) struct pw_buf input = {.limit = (size_t)256 << 20};
    PW_CLEANUP(pw_keyring_free) struct pw_keyring *ring = pw_keyring_load(argv[2], &why);
    if (ring == NULL || pw_file_read_fd(STDIN_FILENO, &input) != PW_E_OK) {
        fprintf(stderr, "sign_peer: %s\n", ring == NULL ? why.text : "stdin");
        return EXIT_FAILURE;
    }
    PW_CLEANUP(pw_signer_free) struct pw_signer *signer = NULL;
    PW_CLEANUP(pw_verifier_free) struct pw_verifier *verifier = NULL;
    if (signs) {
        signer = pw_signer_new(ring, argv[3], argv[4], PW_DIR_FORWARD,
                               pw_clock_wall() / 1000000, &why);
    } else {
        verifier = pw_verifier_new(ring, argv[3], PW_DIR_FORWARD, NULL, 0);
    }
    bool good = signer != NULL || verifier != NULL;
    struct pw_cursor cur = pw_cursor_over(pw_buf_span(&input));
    while (good && cur.rest.len > 0) {
        good = batches ? sign_batch(signer, &cur)
               : signs ? sign_next(signer, &cur)
                       : verify_next(verifier, &cur);
    }
    if (!good) {
        fprintf(stderr, "sign_peer: %s\n", why.text[0] != '\0' ? why.text : "bad input");
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
