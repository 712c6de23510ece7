/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"
#include "common/sign/channel_key.h"
#include "common/sign/roots.h"
#include "common/sign/sign.h"
#include "common/sign/trailer.h"

enum {
    SIBLINGS_MAX = 8,
    COURTESIES = 100, /* a second: so many messages are asked about */
};

static const uint64_t ns_per_s = 1000000000;

struct known_key {
    struct pw_channel_key ready;
    bool takes;     /* its pattern takes this channel */
    uint64_t epoch; /* of the latest message whose tag did fit; of suites with batches */
    uint64_t seq;
};

/* All of it in sodium_malloc memory: the hash states give the channel's keys away. */
struct pw_verifier {
    union pw_hash work;
    struct pw_channel_key other; /* the key made ready for a sibling */
    struct pw_scope scope;
    const char *const *siblings;
    size_t sibling_count;
    uint64_t now_ns;
    uint64_t asked_ns;      /* since then siblings were asked */
    unsigned asked;         /* about so many messages */
    struct pw_roots *roots; /* NULL when no key has batches */
    size_t count;
    struct known_key keys[];
};

/* Those of the ring, but for bare ones. Whether one of them has batches. */
static bool
fill_keys(struct pw_verifier *verifier, const struct pw_keyring *ring, const char *channel)
{
    bool batches = false;
    for (size_t i = 0; i < pw_keyring_count(ring); i++) {
        const struct pw_key *key = pw_keyring_at(ring, i);
        if (pw_key_is_bare(key)) {
            continue; /* other programs have it, and it says nothing of channels */
        }
        struct known_key *known = &verifier->keys[verifier->count++];
        *known = (struct known_key){0};
        pw_channel_key_fill(&known->ready, key, &verifier->scope);
        known->takes = pw_key_takes(key, channel);
        batches = batches || (known->takes && known->ready.scheme->batch > 1);
    }
    return batches;
}

struct pw_verifier *
pw_verifier_new(const struct pw_keyring *ring, const char *channel, enum pw_direction dir,
                const char *const *siblings, size_t sibling_count)
{
    struct pw_scope scope = {0};
    if (!pw_scope_fill(&scope, channel, dir)) {
        return NULL;
    }
    size_t count = pw_keyring_count(ring);
    struct pw_verifier *verifier =
        sodium_malloc(sizeof *verifier + count * sizeof verifier->keys[0]);
    if (verifier == NULL) {
        return NULL;
    }
    memset(verifier, 0, sizeof *verifier);
    verifier->scope = scope;
    verifier->siblings = siblings;
    verifier->sibling_count = sibling_count < SIBLINGS_MAX ? sibling_count : SIBLINGS_MAX;
    verifier->now_ns = pw_clock_wall();
    if (fill_keys(verifier, ring, channel)) {
        verifier->roots = pw_roots_new();
        if (verifier->roots == NULL) {
            pw_verifier_free(&verifier);
        }
    }
    return verifier;
}

void
pw_verifier_free(struct pw_verifier **verifier)
{
    if (*verifier != NULL) {
        pw_roots_free(&(*verifier)->roots);
    }
    sodium_free(*verifier);
    *verifier = NULL;
}

void
pw_verifier_set_now(struct pw_verifier *verifier, uint64_t now_ns)
{
    verifier->now_ns = now_ns;
}

static struct known_key *
find_key(struct pw_verifier *verifier, const uint8_t id[static 8])
{
    for (size_t i = 0; i < verifier->count; i++) {
        if (memcmp(verifier->keys[i].ready.key->id, id, 8) == 0) {
            return &verifier->keys[i];
        }
    }
    return NULL;
}

static bool
is_ours(const struct pw_verifier *verifier, const struct pw_scope *scope)
{
    return scope->len == verifier->scope.len &&
           memcmp(scope->channel, verifier->scope.channel, scope->len) == 0;
}

/* A forger, who needs no key, must not buy eight verifications with each message. */
static bool
may_ask(struct pw_verifier *verifier)
{
    if (verifier->now_ns - verifier->asked_ns >= ns_per_s) { /* or the clock was put back */
        verifier->asked_ns = verifier->now_ns;
        verifier->asked = 0;
    }
    bool may = verifier->asked < COURTESIES;
    verifier->asked += may;
    return may;
}

/*
 * A true signature on the wrong channel is a wiring mistake or a replay, not a forgery. Our
 * own channel may be among the siblings; a forgery need not cost its verification twice.
 */
static bool
fits_sibling(struct pw_verifier *verifier, const struct pw_key *key, struct pw_signed text,
             struct pw_span tag)
{
    if (!may_ask(verifier)) {
        return false;
    }
    for (size_t i = 0; i < verifier->sibling_count; i++) {
        struct pw_scope scope = {0};
        text.scope = &scope;
        if (!pw_scope_fill(&scope, verifier->siblings[i], verifier->scope.direction) ||
            is_ours(verifier, &scope)) {
            continue;
        }
        pw_channel_key_fill(&verifier->other, key, &scope);
        if (pw_channel_key_fits(&verifier->other, &verifier->work, &text, tag)) {
            return true;
        }
    }
    return false;
}

/* Of a message that shares its signature, once that is verified, by hashes alone. */
static bool
tag_fits(struct pw_verifier *verifier, struct known_key *known,
         const struct pw_trailer *trailer, const struct pw_signed *text)
{
    if (known->ready.scheme->batch == 1) {
        return pw_channel_key_fits(&known->ready, &verifier->work, text, trailer->tag);
    }
    struct pw_node leaf;
    bool fresh = trailer->epoch > known->epoch ||
                 (trailer->epoch == known->epoch && trailer->seq > known->seq);
    pw_channel_key_leaf(&known->ready, &verifier->work, text, &leaf);
    if (!pw_roots_fit(verifier->roots, known->ready.key, &leaf, trailer->tag, fresh)) {
        return false;
    }
    if (fresh) {
        known->epoch = trailer->epoch;
        known->seq = trailer->seq;
    }
    return true;
}

static void
fill_result(const struct pw_trailer *trailer, struct pw_sig_result *out)
{
    out->suite = trailer->suite;
    memcpy(out->key_id, trailer->key_id, sizeof out->key_id);
    out->epoch = trailer->epoch;
    out->seq = trailer->seq;
    out->time_ns = trailer->time_ns;
}

/* The order of README.md: cheap and certain first, the tag last. */
static enum pw_reason
examine(struct pw_verifier *verifier, const struct pw_trailer *trailer, bool well_formed,
        const struct pw_span *frames, size_t count)
{
    if (count == 0 || count > PW_SIGN_FRAMES_MAX) {
        return PW_R_SIG_FRAMES;
    }
    if (!well_formed) {
        return PW_R_SIG_FORMAT;
    }
    if (trailer->frames != count) {
        return PW_R_SIG_FRAMES;
    }
    struct known_key *known = find_key(verifier, trailer->key_id);
    if (known == NULL) {
        return PW_R_SIG_UNKNOWN_KEY;
    }
    const struct pw_key *key = known->ready.key;
    enum pw_reason unusable = pw_key_usable(key, verifier->now_ns, false);
    if (unusable != PW_R_NONE) {
        return unusable;
    }
    if (trailer->suite != (uint8_t)pw_key_suite(key)) {
        return PW_R_SIG_WRONG_SUITE;
    }
    if (!known->takes) {
        return PW_R_SIG_CHANNEL;
    }
    struct pw_signed text = {trailer->head, &verifier->scope, frames, count};
    if (tag_fits(verifier, known, trailer, &text)) {
        return PW_R_NONE;
    }
    return fits_sibling(verifier, key, text, trailer->tag) ? PW_R_SIG_CHANNEL
                                                           : PW_R_SIG_BAD;
}

void
pw_verifier_check(struct pw_verifier *verifier, const struct pw_span *frames, size_t count,
                  struct pw_span trailer, struct pw_sig_result *out)
{
    struct pw_trailer parsed;
    bool well_formed = pw_trailer_parse(trailer, &parsed);
    *out = (struct pw_sig_result){.state = PW_SIG_BAD, .reason = PW_R_SIG_BAD};
    fill_result(&parsed, out);
    out->reason = examine(verifier, &parsed, well_formed, frames, count);
    if (out->reason == PW_R_NONE) {
        out->state = PW_SIG_OK;
    }
}

const char *
pw_sig_state_text(const struct pw_sig_result *result)
{
    static const char *const words[] = {
        [PW_SIG_NONE] = "none",
        [PW_SIG_OK] = "ok",
        [PW_SIG_MISSING] = "missing",
        [PW_SIG_UNDATED] = "ok_undated",
    };
    if ((unsigned)result->state < PW_COUNT(words) && words[result->state] != NULL) {
        return words[result->state];
    }
    const char *code = pw_reason_code(result->reason);
    return strncmp(code, "sig.", 4) == 0 ? code + 4 : "bad";
}
