/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/scheme.h"

#include "common/sign/batch.h"

static const struct pw_scheme *const schemes[] = {
    [PW_SUITE_HMAC_SHA256] = &pw_scheme_hmac_sha256,
    [PW_SUITE_ED25519] = &pw_scheme_ed25519,
    [PW_SUITE_BLAKE2B] = &pw_scheme_blake2b,
    [PW_SUITE_ED25519_BATCH] = &pw_scheme_ed25519_batch,
};

const struct pw_scheme *
pw_scheme_of(unsigned suite)
{
    return suite < PW_COUNT(schemes) ? schemes[suite] : NULL;
}

size_t
pw_tag_len(const struct pw_scheme *scheme, struct pw_span end)
{
    return scheme->batch == 1 ? scheme->tag_len : pw_batch_tag_len(end);
}

const char *
pw_suite_text(enum pw_suite suite)
{
    const struct pw_scheme *scheme = pw_scheme_of(suite);
    return scheme == NULL ? NULL : scheme->name;
}

bool
pw_suite_is_pair(enum pw_suite suite)
{
    const struct pw_scheme *scheme = pw_scheme_of(suite);
    return scheme != NULL && !scheme->symmetric;
}

enum pw_suite
pw_suite_parse(const char *text)
{
    for (unsigned i = 0; i < PW_COUNT(schemes); i++) {
        if (schemes[i] != NULL && strcmp(schemes[i]->name, text) == 0) {
            return (enum pw_suite)i;
        }
    }
    return (enum pw_suite)0;
}
