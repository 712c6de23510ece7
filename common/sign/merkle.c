/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/merkle.h"

#include <string.h>

#include <sodium.h>

unsigned
pw_merkle_steps(unsigned index, unsigned size)
{
    unsigned steps = 0;
    for (struct pw_climb at = pw_climb_from(index, size); at.width > 1; pw_climb_up(&at)) {
        steps += pw_climb_paired(&at);
    }
    return steps;
}

/* The first byte keeps nodes and leaves apart: neither can be given for the other. */
void
pw_merkle_parent(const uint8_t left[static PW_MERKLE_HASH],
                 const uint8_t right[static PW_MERKLE_HASH], struct pw_node *out)
{
    uint8_t text[1 + 2 * PW_MERKLE_HASH] = {1};
    memcpy(text + 1, left, PW_MERKLE_HASH);
    memcpy(text + 1 + PW_MERKLE_HASH, right, PW_MERKLE_HASH);
    crypto_generichash(out->bytes, sizeof out->bytes, text, sizeof text, NULL, 0);
}

unsigned
pw_merkle_build(struct pw_node nodes[static PW_MERKLE_NODES], unsigned size)
{
    struct pw_node *level = nodes;
    for (unsigned width = size; width > 1; width = (width + 1) / 2) {
        struct pw_node *above = level + width;
        for (unsigned i = 0; i + 1 < width; i += 2) {
            pw_merkle_parent(level[i].bytes, level[i + 1].bytes, &above[i / 2]);
        }
        if (width % 2 != 0) {
            above[width / 2] = level[width - 1];
        }
        level = above;
    }
    return (unsigned)(level - nodes);
}

size_t
pw_merkle_path(const struct pw_node nodes[static PW_MERKLE_NODES], unsigned index,
               unsigned size, uint8_t *out)
{
    size_t len = 0;
    for (struct pw_climb at = pw_climb_from(index, size); at.width > 1; pw_climb_up(&at)) {
        if (pw_climb_paired(&at)) {
            memcpy(out + len, nodes[pw_climb_beside(&at)].bytes, PW_MERKLE_HASH);
            len += PW_MERKLE_HASH;
        }
    }
    return len;
}

static bool
is_known(const uint64_t *known, unsigned place)
{
    return known != NULL && (known[place / 64] >> place % 64 & 1) != 0;
}

void
pw_merkle_ascend(struct pw_ascent *ascent, const struct pw_node *leaf, unsigned index,
                 unsigned size, const uint8_t *path, const uint64_t *known)
{
    struct pw_climb at = pw_climb_from(index, size);
    unsigned count = 0;
    ascent->way[0] = *leaf;
    while (at.width > 1 && !is_known(known, pw_climb_at(&at))) {
        const uint8_t *node = ascent->way[count].bytes;
        struct pw_node *parent = &ascent->way[count + 1];
        if (!pw_climb_paired(&at)) {
            *parent = ascent->way[count];
        } else {
            bool is_left = at.index % 2 == 0;
            pw_merkle_parent(is_left ? node : path, is_left ? path : node, parent);
            path += PW_MERKLE_HASH;
        }
        count++;
        pw_climb_up(&at);
    }
    ascent->top = at;
    ascent->rest = path;
    ascent->count = count;
}
