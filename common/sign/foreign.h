/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of programs that know nothing of ours: where they put the tag, and which keys
 * may have made it. README.md in this folder says what such a signature does not cover.
 *
 * The layout is configured, never guessed. Sources: TensorRT-LLM (executor/ipc.py), the
 * documentation of pyzmq (howto/serialization), jupyter_client (session.py).
 */
#ifndef PW_COMMON_SIGN_FOREIGN_H
#define PW_COMMON_SIGN_FOREIGN_H

#include "common/sign/foreign_tag.h"
#include "common/sign/sign.h"

enum pw_layout {
    PW_LAYOUT_NONE,     /* a trailer of ours: sign.h */
    PW_LAYOUT_SUFFIX,   /* the last frame is payload ‖ tag */
    PW_LAYOUT_DETACHED, /* the tag is the frame before the last */
    PW_LAYOUT_PREFIX,   /* the last frame is tag ‖ payload */
    PW_LAYOUT_JUPYTER,  /* identities, <IDS|MSG>, digits of the tag, 4 frames, buffers */
};

enum {
    PW_FOREIGN_KEYS = 4,  /* at most; the old and the new one, of two senders */
    PW_FOREIGN_PARTS = 4, /* frames that a Jupyter tag covers */
};

/* A message taken apart; everything is borrowed from its frames. */
struct pw_foreign_parts {
    struct pw_span tag;
    size_t tag_frame; /* the frame it stands in */
    struct pw_span covered[PW_FOREIGN_PARTS];
    size_t covered_count; /* 0: the message has not this layout */
};

/*
 * Find tag and covered bytes; `layout` is not NONE. PW_R_SIG_MISSING when their place is
 * empty, PW_R_SIG_FORMAT when what stands there is no tag by its length. A Jupyter message
 * without a tag is taken apart all the same.
 */
enum pw_reason pw_foreign_split(enum pw_layout layout, const struct pw_span *frames,
                                size_t count, struct pw_foreign_parts *out);

/* Bytes of a tag as it travels. */
size_t pw_foreign_tag_size(enum pw_layout layout);

struct pw_foreign_options {
    enum pw_layout layout;
    const char *channel;
    bool verify;      /* with every hmac-sha256 key that takes the channel */
    const char *sign; /* the key that signs, as pw_signer_new takes it; NULL: none */
    uint64_t now_ns;  /* wall clock: a key that is over by then is left out */
};

struct pw_foreign;

/*
 * For one channel and one thread; the ring must outlive it. NULL with a sentence in `why`:
 * no such key, one of another suite, no key or more than PW_FOREIGN_KEYS to verify with, no
 * memory. Nothing allocates per message.
 */
struct pw_foreign *pw_foreign_new(const struct pw_keyring *ring,
                                  const struct pw_foreign_options *options,
                                  struct pw_why *why);

/* Wipe and release. *foreign becomes NULL; a NULL *foreign is fine. */
void pw_foreign_free(struct pw_foreign **foreign);

/* Whether it has a key to sign with. */
bool pw_foreign_signs(const struct pw_foreign *foreign);

/*
 * Check what pw_foreign_split has found well formed. All keys are tried, also behind the
 * one that fits, so that the time tells nothing of them. `out` is PW_SIG_UNDATED with the
 * key's id; or PW_SIG_BAD for "sig.bad", and for what pw_key_usable says of the key.
 */
void pw_foreign_check(struct pw_foreign *foreign, const struct pw_foreign_parts *parts,
                      uint64_t now_ns, struct pw_sig_result *out);

/*
 * The tag over `parts`, pw_foreign_tag_size bytes into `out`. Other than PW_R_NONE: the key
 * may not sign at `now_ns` (pw_key_usable), and there is no tag.
 */
enum pw_reason pw_foreign_sign(struct pw_foreign *foreign, const struct pw_span *parts,
                               size_t count, uint64_t now_ns,
                               uint8_t out[static PW_FOREIGN_DIGITS]);

#endif
