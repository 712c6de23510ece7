/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to a message. Zero is the cautious value.
 */
#ifndef PW_COMMON_POLICY_VERDICT_H
#define PW_COMMON_POLICY_VERDICT_H

enum pw_verdict { PW_DROP, PW_QUARANTINE, PW_PASS };

/* "drop", "quarantine", "pass". */
const char *pw_verdict_text(enum pw_verdict verdict);

#endif
