/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/terms.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "proxy/layout.h"

static const uint64_t ns_per_ms = 1000000;

/* "signing key wrong" becomes "wall.conf:12: channel.jobs.sign: signing key wrong". */
static enum pw_err
fail_at(const struct pw_terms *terms, const char *key, enum pw_err err, struct pw_why *why)
{
    char path[256];
    char place[PW_PLACE_MAX];
    struct pw_why plain = *why;
    snprintf(path, sizeof path, "channel.%s.%s", terms->channel->name, key);
    pw_settings_place(terms->config->settings, path, place);
    return pw_fail(why, err, "%s: %s", place, plain.text);
}

static enum pw_err
no_memory(const struct pw_terms *terms, const char *key, struct pw_why *why)
{
    (void)pw_fail(why, PW_E_NOMEM, "out of memory");
    return fail_at(terms, key, PW_E_NOMEM, why);
}

/* The parser sees to it in one file; a channel that is gone from it has its own lines. */
static enum pw_err
check_ring(const struct pw_terms *terms, struct pw_why *why)
{
    const struct pw_channel *channel = terms->channel;
    bool needed = channel->verify != PW_SET_VERIFY_OFF || channel->sign != NULL;
    if (terms->ring != NULL || !needed) {
        return PW_E_OK;
    }
    return pw_fail(why, PW_E_CONFIG,
                   "keys: channel %s needs them and runs until the next start; set keys, "
                   "or restart the wall",
                   channel->name);
}

static enum pw_err
make_keys(struct pw_terms *terms, const struct pw_terms_source *source, struct pw_why *why)
{
    const struct pw_channel *channel = terms->channel;
    if (pw_channel_layout(channel) != PW_LAYOUT_NONE) {
        enum pw_err err = pw_channel_foreign(channel, terms->ring, &terms->foreign, why);
        return err == PW_E_OK ? PW_E_OK : fail_at(terms, "envelope", err, why);
    }
    if (channel->verify != PW_SET_VERIFY_OFF) {
        terms->verifier = pw_verifier_new(terms->ring, channel->name, PW_DIR_FORWARD,
                                          source->names, source->count);
        if (terms->verifier == NULL) {
            return no_memory(terms, "verify", why);
        }
    }
    if (channel->sign != NULL) {
        uint64_t epoch = pw_clock_wall() / ns_per_ms;
        terms->signer = pw_signer_new(terms->ring, channel->sign, channel->name,
                                      PW_DIR_FORWARD, epoch, why);
        if (terms->signer == NULL) {
            return fail_at(terms, "sign", PW_E_CONFIG, why);
        }
    }
    return PW_E_OK;
}

static enum pw_err
make_pipeline(struct pw_terms *terms, struct pw_why *why)
{
    static const enum pw_verify verify[] = {
        [PW_SET_VERIFY_OFF] = PW_VERIFY_OFF,
        [PW_SET_VERIFY_OPTIONAL] = PW_VERIFY_OPTIONAL,
        [PW_SET_VERIFY_REQUIRED] = PW_VERIFY_REQUIRED,
    };
    const struct pw_channel *channel = terms->channel;
    bool as_frame = channel->envelope == PW_SET_ENVELOPE_FRAME;
    terms->pipe = pw_pipeline_new(&(struct pw_pipeline_options){
        .policy = channel->policy,
        .rules = &channel->frames,
        .on_violation = channel->on_violation,
        .verify = verify[channel->verify],
        .envelope = as_frame ? PW_ENVELOPE_FRAME : PW_ENVELOPE_TAIL,
        .strip = channel->strip,
        .max_frames = channel->max_frames,
        .verifier = terms->verifier,
        .signer = terms->signer,
        .layout = pw_channel_layout(channel),
        .foreign = terms->foreign,
    });
    return terms->pipe != NULL ? PW_E_OK : no_memory(terms, "policy", why);
}

struct pw_terms *
pw_terms_new(const struct pw_terms_source *source, struct pw_why *why)
{
    struct pw_terms *terms = calloc(1, sizeof *terms);
    if (terms == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "out of memory");
        return NULL;
    }
    terms->config = pw_config_share(source->config);
    terms->channel = source->channel;
    terms->ring = source->ring == NULL ? NULL : pw_keyring_share(source->ring);
    terms->generation = source->generation;
    enum pw_err err = check_ring(terms, why);
    err = err == PW_E_OK ? make_keys(terms, source, why) : err;
    err = err == PW_E_OK ? make_pipeline(terms, why) : err;
    if (err != PW_E_OK) {
        pw_terms_free(&terms);
    }
    return terms;
}

void
pw_terms_free(struct pw_terms **terms)
{
    struct pw_terms *it = *terms;
    *terms = NULL;
    if (it == NULL) {
        return;
    }
    pw_pipeline_free(&it->pipe);
    pw_verifier_free(&it->verifier);
    pw_signer_free(&it->signer);
    pw_foreign_free(&it->foreign);
    pw_keyring_free(&it->ring);
    pw_config_free(&it->config);
    free(it);
}

/* What was accepted once stays known: the guard is the channel's, its limits are not. */
static void
use_guard(struct pw_terms_box *box)
{
    const struct pw_channel *channel = box->now->channel;
    struct pw_guard *guard = atomic_load(&box->guard);
    if (guard != NULL) {
        pw_guard_limit(guard, (uint64_t)channel->max_age_ms * ns_per_ms,
                       (uint64_t)channel->max_future_ms * ns_per_ms);
    }
    pw_pipeline_guard(box->now->pipe, guard);
}

const struct pw_terms *
pw_terms_take(struct pw_terms_box *box)
{
    /* Asked for every message: a load, which costs nothing while there is none. */
    if (atomic_load_explicit(&box->next, memory_order_relaxed) == NULL) {
        return NULL;
    }
    struct pw_terms *next = atomic_exchange(&box->next, NULL);
    if (box->now != NULL && box->now->signer != NULL && next->signer != NULL) {
        pw_signer_continue(next->signer, box->now->signer);
    }
    pw_terms_free(&box->now);
    box->now = next;
    use_guard(box);
    atomic_store(&box->generation, next->generation);
    return next;
}

void
pw_terms_leave(struct pw_terms_box *box, struct pw_terms *terms)
{
    struct pw_terms *never_taken = atomic_exchange(&box->next, terms);
    pw_terms_free(&never_taken);
}

void
pw_terms_box_close(struct pw_terms_box *box)
{
    pw_terms_leave(box, NULL);
    pw_terms_free(&box->now);
}

void
pw_terms_guard(struct pw_terms_box *box, struct pw_guard *guard)
{
    atomic_store(&box->guard, guard);
    use_guard(box);
}
