/* SPDX-License-Identifier: Apache-2.0
 *
 * How the key commands spell a key.
 */
#ifndef PW_PROXY_CLI_KEY_H
#define PW_PROXY_CLI_KEY_H

#include "common/base/json.h"
#include "common/sign/key.h"

enum { PW_KEY_ID_TEXT = 17, PW_KEY_VALIDITY_TEXT = 64 };

/* The 16 digits of the key's id. */
void pw_cli_key_id(const struct pw_key *key, char out[static PW_KEY_ID_TEXT]);

/* "sign" or "verify". */
const char *pw_cli_key_role(const struct pw_key *key);

/* "from 2027-01-31T12:00:00Z until 2028-01-31T12:00:00Z", as far as there are bounds. */
void pw_cli_key_validity(const struct pw_key *key, char out[static PW_KEY_VALIDITY_TEXT]);

/* What every object about a key says, from "id" to "signs"; never a secret. */
void pw_cli_key_members(struct pw_json *json, const struct pw_key *key);

/* End the object's line, and print what `json` has made. Its error. */
PW_CHECK_RESULT enum pw_err pw_cli_json_print(struct pw_json *json);

#endif
