/* SPDX-License-Identifier: Apache-2.0 */
#include "common/settings/wire.h"

#include <stdio.h>
#include <string.h>

#include "common/settings/endpoint.h"

enum { WARNINGS_MAX = 1 << 20, SETTING_MAX = 160 };

/* A side and how its settings begin: "channel.jobs.in". */
struct place {
    const struct pw_settings *settings;
    const struct pw_channel *channel;
    bool out;
};

static const struct pw_side *
side_of(const struct place *at)
{
    return at->out ? &at->channel->out : &at->channel->in;
}

static void
place_text(const struct place *at, const char *key, char out[static PW_PLACE_MAX])
{
    char path[SETTING_MAX];
    snprintf(path, sizeof path, "channel.%s.%s.%s", at->channel->name,
             at->out ? "out" : "in", key);
    pw_settings_place(at->settings, path, out);
}

static enum pw_err
refuse(const struct place *at, const char *key, const char *sentence, struct pw_why *why)
{
    char place[PW_PLACE_MAX];
    place_text(at, key, place);
    return pw_fail(why, PW_E_CONFIG, "%s: %s", place, sentence);
}

static bool
has_endpoint(const struct pw_side *side, bool bind)
{
    for (size_t i = 0; i < side->count; i++) {
        if (side->endpoints[i].bind == bind) {
            return true;
        }
    }
    return false;
}

static enum pw_err
check_side(const struct place *at, struct pw_why *why)
{
    const struct pw_side *side = side_of(at);
    const struct pw_curve_setting *curve = &side->curve;
    bool binds = has_endpoint(side, true);
    bool connects = has_endpoint(side, false);
    if (curve->key == NULL) {
        const char *alone = curve->clients != NULL  ? "curve.clients"
                            : curve->server != NULL ? "curve.server"
                                                    : NULL;
        return alone == NULL
                   ? PW_E_OK
                   : refuse(at, alone,
                            "means nothing without our own pair; set key beside it, to a "
                            "file that picklewall key curve makes",
                            why);
    }
    if (binds && curve->clients == NULL) {
        return refuse(at, "curve.key",
                      "says nothing of who may connect; set clients beside it to a folder "
                      "of their public certificates, or to \"*\" for everybody",
                      why);
    }
    if (!binds && curve->clients != NULL) {
        return refuse(at, "curve.clients",
                      "is for those who connect to us, and nothing binds here; remove it",
                      why);
    }
    if (connects && curve->server == NULL) {
        return refuse(at, "curve.key",
                      "needs the key of whom we connect to; set server beside it to the "
                      "file of its public certificate",
                      why);
    }
    if (!connects && curve->server != NULL) {
        return refuse(at, "curve.server",
                      "is for those whom we connect to, and nothing connects here; remove "
                      "it",
                      why);
    }
    return PW_E_OK;
}

enum pw_err
pw_wire_check(const struct pw_settings *settings, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && i < settings->channel_count * 2; i++) {
        err = check_side(&(struct place){settings, &settings->channels[i / 2], i % 2 == 1},
                         why);
    }
    return err;
}

/* Whether a stranger at the other end changes nothing that matters. */
static bool
is_guarded(const struct place *at)
{
    if (side_of(at)->curve.key != NULL) {
        return true;
    }
    return at->out ? at->channel->sign != NULL
                   : at->channel->verify == PW_SET_VERIFY_REQUIRED;
}

static enum pw_err
warn_side(struct pw_settings *settings, const struct place *at)
{
    const struct pw_side *side = side_of(at);
    enum pw_err err = PW_E_OK;
    for (size_t i = 0; err == PW_E_OK && !is_guarded(at) && i < side->count; i++) {
        const struct pw_endpoint *endpoint = &side->endpoints[i];
        if (pw_endpoint_is_local(endpoint->address)) {
            continue;
        }
        char place[PW_PLACE_MAX];
        struct pw_why line = {0};
        place_text(at, endpoint->bind ? "bind" : "connect", place);
        (void)pw_fail(&line, PW_E_CONFIG,
                      at->out ? "%s: warning: other machines can read what leaves by "
                                "\"%.200s\", and take it for the wall's when it is not; "
                                "set curve.key, or sign, or use 127.0.0.1"
                              : "%s: warning: other machines can send to \"%.200s\" and "
                                "need not sign; set curve.key, or verify = \"required\", "
                                "or use 127.0.0.1",
                      place, endpoint->address);
        err = pw_buf_append(&settings->warnings, pw_span_str(line.text));
        err = err == PW_E_OK ? pw_buf_append(&settings->warnings, pw_span_str("\n")) : err;
    }
    return err;
}

enum pw_err
pw_wire_warn(struct pw_settings *settings, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    if (settings->warnings.limit == 0) {
        settings->warnings.limit = WARNINGS_MAX;
    }
    for (size_t i = 0; err == PW_E_OK && i < settings->channel_count * 2; i++) {
        err = warn_side(settings,
                        &(struct place){settings, &settings->channels[i / 2], i % 2 == 1});
    }
    return err == PW_E_OK ? err : pw_fail(why, err, "%s: out of memory", settings->file);
}
