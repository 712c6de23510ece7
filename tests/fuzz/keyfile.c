/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a key file. What is read must be written and read again as the same key.
 */
#include <stdint.h>
#include <stdlib.h>

#include <sodium.h>

#include "common/sign/key_body.h"

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
same(const struct pw_key *a, const struct pw_key *b)
{
    require(a->suite == b->suite && a->role == b->role);
    require(strcmp(a->name, b->name) == 0 && strcmp(a->channel, b->channel) == 0);
    require(memcmp(a->id, b->id, sizeof a->id) == 0);
    require((a->secret == NULL) == (b->secret == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free)
    struct pw_key *key = pw_key_parse((struct pw_span){data, size}, &why);
    if (key == NULL) {
        require(why.text[0] >= '1' && why.text[0] <= '9'); /* the line number */
        return 0;
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf text = {.limit = PW_KEY_FILE_MAX};
    require(pw_key_format(key, &text) == PW_E_OK);
    PW_CLEANUP(pw_key_free) struct pw_key *copy = pw_key_parse(pw_buf_span(&text), &why);
    require(copy != NULL);
    same(key, copy);
    (void)pw_key_takes(key, "jobs");
    return 0;
}
