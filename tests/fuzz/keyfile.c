/* SPDX-License-Identifier: Apache-2.0
 *
 * The three kinds of file in a key folder. A key that is read must be written and read
 * again as the same key.
 */
#include <stdint.h>
#include <stdlib.h>

#include <sodium.h>

#include "common/sign/key_body.h"
#include "common/sign/keyring_revoked.h"

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
    require(a->status == b->status);
    require(a->validity.from == b->validity.from);
    require(a->validity.until == b->validity.until);
}

static bool
begins_with_a_line_number(const struct pw_why *why)
{
    return why->text[0] >= '1' && why->text[0] <= '9';
}

static void
try_key(struct pw_span text)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_parse(text, &why);
    if (key == NULL) {
        require(begins_with_a_line_number(&why));
        return;
    }
    require(key->validity.from < key->validity.until);
    PW_CLEANUP(pw_buf_free) struct pw_buf again = {.limit = PW_KEY_FILE_MAX};
    require(pw_key_format(key, &again) == PW_E_OK);
    PW_CLEANUP(pw_key_free) struct pw_key *copy = pw_key_parse(pw_buf_span(&again), &why);
    require(copy != NULL);
    same(key, copy);
    (void)pw_key_takes(key, "jobs");
}

static void
try_bare(struct pw_span text)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_key_free) struct pw_key *key = pw_key_parse_hex(text, "a", &why);
    require(key != NULL ? pw_key_is_bare(key) : begins_with_a_line_number(&why));
    require(key == NULL || (text.len >= 64 && text.len <= 66));
}

static void
try_list(struct pw_span text)
{
    struct pw_why why = {0};
    PW_CLEANUP(pw_revoked_free) struct pw_revoked list;
    if (pw_revoked_parse(text, &list, &why) != PW_E_OK) {
        require(begins_with_a_line_number(&why) && list.ids == NULL);
        return;
    }
    require(list.version >= 1 && list.version < (uint64_t)1 << 53);
    for (size_t i = 0; i < list.count; i++) {
        require(pw_revoked_has(&list, list.ids[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_span text = {data, size};
    try_key(text);
    try_bare(text);
    try_list(text);
    return 0;
}
