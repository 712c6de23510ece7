/* SPDX-License-Identifier: Apache-2.0
 *
 * From the settings of a channel to the signatures of another program.
 */
#ifndef PW_PROXY_LAYOUT_H
#define PW_PROXY_LAYOUT_H

#include "common/settings/settings.h"
#include "common/sign/foreign.h"

/* The layout that `envelope` names; PW_LAYOUT_NONE when it is one of ours. */
enum pw_layout pw_channel_layout(const struct pw_channel *channel);

/*
 * What verifies and signs in that layout, with keys of `ring`, for the caller to free. NULL
 * in `out`, and no error, when the layout is ours, or nothing is verified or signed.
 * PW_E_CONFIG with a sentence in `why` that goes behind the place of `envelope`.
 */
PW_CHECK_RESULT enum pw_err pw_channel_foreign(const struct pw_channel *channel,
                                               const struct pw_keyring *ring,
                                               struct pw_foreign **out, struct pw_why *why);

#endif
