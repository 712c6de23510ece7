/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sign/roots.h"

#include <stdlib.h>

enum {
    FRESH = 56, /* places for roots that came with a message later than all of its key */
    STALE = 8,  /* for the others: a sender that is overtaken, or a replay */
    ROOTS = FRESH + STALE,
    WORDS = (PW_MERKLE_NODES + 63) / 64,
};

/* Found without a look at the nodes, which lie elsewhere. */
struct root {
    uint64_t used; /* when; 0 never */
    const struct pw_key *key;
    unsigned size;
    uint8_t signature[PW_BATCH_SIGNATURE];

    /*
     * Which nodes are known to belong to this root. With a node its neighbour is known, and
     * so is its parent: a path is remembered with all that it passes.
     */
    uint64_t known[WORDS];
};

struct pw_roots {
    uint64_t uses;
    unsigned latest; /* where the last message was found */
    struct root roots[ROOTS];
    struct pw_node nodes[ROOTS][PW_MERKLE_NODES];
};

struct pw_roots *
pw_roots_new(void)
{
    return calloc(1, sizeof(struct pw_roots));
}

void
pw_roots_free(struct pw_roots **roots)
{
    free(*roots);
    *roots = NULL;
}

static bool
is_root(const struct root *root, const struct pw_key *key, const struct pw_batch_tag *tag)
{
    return root->used != 0 && root->key == key && root->size == tag->size &&
           memcmp(root->signature, tag->signature, sizeof root->signature) == 0;
}

/* ROOTS when it is not remembered. */
static unsigned
find(const struct pw_roots *roots, const struct pw_key *key, const struct pw_batch_tag *tag)
{
    if (is_root(&roots->roots[roots->latest], key, tag)) {
        return roots->latest;
    }
    unsigned i = 0;
    while (i < ROOTS && !is_root(&roots->roots[i], key, tag)) {
        i++;
    }
    return i;
}

/* What is left of the path must be what is known, so that no bit of it can change. */
static bool
rest_is_known(const struct pw_ascent *ascent, const struct pw_node *nodes)
{
    struct pw_climb at = ascent->top;
    const uint8_t *rest = ascent->rest;
    const struct pw_node *top = &ascent->way[ascent->count];
    bool same = memcmp(top, &nodes[pw_climb_at(&at)], sizeof *top) == 0;
    for (; same && at.width > 1; pw_climb_up(&at)) {
        if (pw_climb_paired(&at)) {
            same = memcmp(rest, &nodes[pw_climb_beside(&at)], PW_MERKLE_HASH) == 0;
            rest += PW_MERKLE_HASH;
        }
    }
    return same;
}

static void
remember(struct root *root, struct pw_node *nodes, unsigned place, const uint8_t *node)
{
    memcpy(&nodes[place], node, sizeof nodes[place]);
    root->known[place / 64] |= (uint64_t)1 << place % 64;
}

/* From the leaf to where the climb ended. */
static void
remember_way(struct root *root, struct pw_node *nodes, const struct pw_ascent *ascent,
             const struct pw_batch_tag *tag)
{
    struct pw_climb at = pw_climb_from(tag->index, tag->size);
    const uint8_t *path = tag->path;
    for (unsigned i = 0; i < ascent->count; i++) {
        remember(root, nodes, pw_climb_at(&at), ascent->way[i].bytes);
        if (pw_climb_paired(&at)) {
            remember(root, nodes, pw_climb_beside(&at), path);
            path += PW_MERKLE_HASH;
        }
        pw_climb_up(&at);
    }
    remember(root, nodes, pw_climb_at(&at), ascent->way[ascent->count].bytes);
}

static unsigned
longest_unused(const struct pw_roots *roots, unsigned from, unsigned until)
{
    unsigned oldest = from;
    for (unsigned i = from + 1; i < until; i++) {
        if (roots->roots[i].used < roots->roots[oldest].used) {
            oldest = i;
        }
    }
    return oldest;
}

static void
use(struct pw_roots *roots, unsigned i)
{
    roots->roots[i].used = ++roots->uses;
    roots->latest = i;
}

static bool
fits_remembered(struct pw_roots *roots, unsigned i, const struct pw_node *leaf,
                const struct pw_batch_tag *tag)
{
    struct pw_ascent ascent;
    struct root *root = &roots->roots[i];
    pw_merkle_ascend(&ascent, leaf, tag->index, tag->size, tag->path, root->known);
    if (!rest_is_known(&ascent, roots->nodes[i])) {
        return false;
    }
    remember_way(root, roots->nodes[i], &ascent, tag);
    use(roots, i);
    return true;
}

bool
pw_roots_fit(struct pw_roots *roots, const struct pw_key *key, const struct pw_node *leaf,
             struct pw_span bytes, bool fresh)
{
    struct pw_ascent ascent;
    struct pw_batch_tag tag;
    if (!pw_batch_tag_read(bytes, &tag)) {
        return false;
    }
    unsigned i = find(roots, key, &tag);
    if (i < ROOTS) {
        return fits_remembered(roots, i, leaf, &tag);
    }
    pw_merkle_ascend(&ascent, leaf, tag.index, tag.size, tag.path, NULL);
    if (!pw_batch_signed(key, &ascent.way[ascent.count], tag.size, tag.signature)) {
        return false;
    }
    if (tag.size == 1) {
        return true; /* nobody comes after it */
    }
    i = fresh ? longest_unused(roots, 0, FRESH) : longest_unused(roots, FRESH, ROOTS);
    roots->roots[i] = (struct root){.key = key, .size = tag.size};
    memcpy(roots->roots[i].signature, tag.signature, PW_BATCH_SIGNATURE);
    remember_way(&roots->roots[i], roots->nodes[i], &ascent, &tag);
    use(roots, i);
    return true;
}
