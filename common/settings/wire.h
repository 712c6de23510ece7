/* SPDX-License-Identifier: Apache-2.0
 *
 * What the settings of a side mean together: who can reach it, and who proves what.
 */
#ifndef PW_COMMON_SETTINGS_WIRE_H
#define PW_COMMON_SETTINGS_WIRE_H

#include "common/settings/settings.h"

/* The three CURVE settings fit each other and the endpoints. PW_E_CONFIG with a sentence.
 */
PW_CHECK_RESULT enum pw_err pw_wire_check(const struct pw_settings *settings,
                                          struct pw_why *why);

/*
 * Add a line to the warnings for each endpoint beyond this machine where strangers are
 * neither kept out (CURVE) nor found out: an input whose messages need no signature, an
 * output whose messages have none.
 */
PW_CHECK_RESULT enum pw_err pw_wire_warn(struct pw_settings *settings, struct pw_why *why);

#endif
