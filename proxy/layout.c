/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/layout.h"

#include "common/base/clock.h"

enum pw_layout
pw_channel_layout(const struct pw_channel *channel)
{
    static const enum pw_layout layouts[] = {
        [PW_SET_ENVELOPE_TAIL] = PW_LAYOUT_NONE,
        [PW_SET_ENVELOPE_FRAME] = PW_LAYOUT_NONE,
        [PW_SET_ENVELOPE_SUFFIX] = PW_LAYOUT_SUFFIX,
        [PW_SET_ENVELOPE_DETACHED] = PW_LAYOUT_DETACHED,
        [PW_SET_ENVELOPE_PREFIX] = PW_LAYOUT_PREFIX,
        [PW_SET_ENVELOPE_JUPYTER] = PW_LAYOUT_JUPYTER,
    };
    return layouts[channel->envelope];
}

enum pw_err
pw_channel_foreign(const struct pw_channel *channel, const struct pw_keyring *ring,
                   struct pw_foreign **out, struct pw_why *why)
{
    struct pw_foreign_options options = {
        .layout = pw_channel_layout(channel),
        .channel = channel->name,
        .verify = channel->verify != PW_SET_VERIFY_OFF,
        .sign = channel->sign,
        .now_ns = pw_clock_wall(),
    };
    *out = NULL;
    if (options.layout == PW_LAYOUT_NONE || (!options.verify && options.sign == NULL)) {
        return PW_E_OK;
    }
    *out = pw_foreign_new(ring, &options, why);
    return *out == NULL ? PW_E_CONFIG : PW_E_OK;
}
