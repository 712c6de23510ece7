/* SPDX-License-Identifier: Apache-2.0
 *
 * The trees of ed25519-batch: those of RFC 6962, section 2.1, of 1 to 256 leaves. Built
 * from below, level by level: two neighbours have a parent, and a last one without a
 * neighbour goes up as it is.
 */
#ifndef PW_COMMON_SIGN_MERKLE_H
#define PW_COMMON_SIGN_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PW_MERKLE_HASH = 32,
    PW_MERKLE_LEAVES = 256,
    PW_MERKLE_NODES = 511, /* of all levels */
    PW_MERKLE_LEVELS = 9,
    PW_MERKLE_PATH = 8, /* the longest way up has so many neighbours */
};

struct pw_node {
    uint8_t bytes[PW_MERKLE_HASH];
};

/* One node on the way up. A tree lies in an array, its leaves first, then level by level.
 */
struct pw_climb {
    unsigned level; /* where the level begins in the array */
    unsigned index; /* in the level */
    unsigned width; /* nodes in the level; 1: this is the root */
};

/* At leaf `index` of `size`; `index` < `size`, 1 to PW_MERKLE_LEAVES of them. */
static inline struct pw_climb
pw_climb_from(unsigned index, unsigned size)
{
    return (struct pw_climb){0, index, size};
}

static inline void
pw_climb_up(struct pw_climb *climb)
{
    climb->level += climb->width;
    climb->index /= 2;
    climb->width = (climb->width + 1) / 2;
}

/* Whether the node has a neighbour, with which it makes the parent. */
static inline bool
pw_climb_paired(const struct pw_climb *climb)
{
    return (climb->index ^ 1) < climb->width;
}

/* The places of the node and of its neighbour in the array. */
static inline unsigned
pw_climb_at(const struct pw_climb *climb)
{
    return climb->level + climb->index;
}

static inline unsigned
pw_climb_beside(const struct pw_climb *climb)
{
    return climb->level + (climb->index ^ 1);
}

/* How many neighbours there are on the way from the leaf to the root: 0 to PW_MERKLE_PATH.
 */
unsigned pw_merkle_steps(unsigned index, unsigned size);

/* BLAKE2b-256(0x01 ‖ left ‖ right). */
void pw_merkle_parent(const uint8_t left[static PW_MERKLE_HASH],
                      const uint8_t right[static PW_MERKLE_HASH], struct pw_node *out);

/* Fill in what is above the `size` leaves at the start of `nodes`; the root's place. */
unsigned pw_merkle_build(struct pw_node nodes[static PW_MERKLE_NODES], unsigned size);

/* Write the neighbours on the way up, from below; how many bytes. */
size_t pw_merkle_path(const struct pw_node nodes[static PW_MERKLE_NODES], unsigned index,
                      unsigned size, uint8_t *out);

/* The nodes from a leaf up, as a path claims them. */
struct pw_ascent {
    struct pw_climb top;                  /* where it ended */
    const uint8_t *rest;                  /* of the path, from there on */
    unsigned count;                       /* how many levels it went up */
    struct pw_node way[PW_MERKLE_LEVELS]; /* the leaf, …, the node at `top` */
};

/*
 * Climb from `leaf`, with the neighbours in `path` (pw_merkle_steps of them), to the root,
 * or to the first node whose bit in `known` is set (PW_MERKLE_NODES bits; NULL: none is).
 */
void pw_merkle_ascend(struct pw_ascent *ascent, const struct pw_node *leaf, unsigned index,
                      unsigned size, const uint8_t *path, const uint64_t *known);

#endif
