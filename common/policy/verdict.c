/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/verdict.h"

#include "common/base/def.h"

const char *
pw_verdict_text(enum pw_verdict verdict)
{
    static const char *const texts[] = {
        [PW_DROP] = "drop", [PW_QUARANTINE] = "quarantine", [PW_PASS] = "pass"};
    return texts[(unsigned)verdict < PW_COUNT(texts) ? verdict : PW_DROP];
}
