/* SPDX-License-Identifier: Apache-2.0
 *
 * The trees of batches beside RFC 6962, which splits a tree from above where ours is built
 * from below: every size, every leaf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/base/def.h"
#include "common/sign/batch.h"
#include "common/sign/merkle.h"

static struct pw_node nodes[PW_MERKLE_NODES];

static void
fill_leaves(unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t text[2] = {(uint8_t)size, (uint8_t)i};
        crypto_generichash(nodes[i].bytes, PW_MERKLE_HASH, text, sizeof text, NULL, 0);
    }
}

/* The largest power of two below `size`. */
static unsigned
half_of(unsigned size)
{
    unsigned half = 1;
    while (2 * half < size) {
        half *= 2;
    }
    return half;
}

/* MTH of RFC 6962, section 2.1. */
static struct pw_node
tree_hash(const struct pw_node *leaves, unsigned size)
{
    if (size == 1) {
        return leaves[0];
    }
    uint8_t text[1 + 2 * PW_MERKLE_HASH] = {1};
    struct pw_node left = tree_hash(leaves, half_of(size));
    struct pw_node right = tree_hash(leaves + half_of(size), size - half_of(size));
    struct pw_node node;
    memcpy(text + 1, left.bytes, PW_MERKLE_HASH);
    memcpy(text + 1 + PW_MERKLE_HASH, right.bytes, PW_MERKLE_HASH);
    crypto_generichash(node.bytes, PW_MERKLE_HASH, text, sizeof text, NULL, 0);
    return node;
}

/* PATH of RFC 6962, section 2.1.1; how many nodes. */
static unsigned
audit_path(unsigned index, const struct pw_node *leaves, unsigned size, struct pw_node *out)
{
    if (size == 1) {
        return 0;
    }
    unsigned half = half_of(size);
    bool left = index < half;
    unsigned count = left ? audit_path(index, leaves, half, out)
                          : audit_path(index - half, leaves + half, size - half, out);
    out[count] = left ? tree_hash(leaves + half, size - half) : tree_hash(leaves, half);
    return count + 1;
}

static void
every_root_is_that_of_rfc_6962(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= PW_MERKLE_LEAVES; size++) {
        fill_leaves(size);
        struct pw_node wanted = tree_hash(nodes, size);
        unsigned root = pw_merkle_build(nodes, size);
        assert_true(root < PW_MERKLE_NODES);
        assert_memory_equal(nodes[root].bytes, wanted.bytes, PW_MERKLE_HASH);
    }
}

/* Sizes whose last leaves go up alone, far and not, and both ends. */
static const unsigned sizes[] = {1, 2,  3,   4,   5,   6,   7,   8,
                                 9, 33, 127, 128, 129, 200, 255, 256};

static void
every_path_is_that_of_rfc_6962(void **state)
{
    (void)state;
    for (size_t s = 0; s < PW_COUNT(sizes); s++) {
        unsigned size = sizes[s];
        fill_leaves(size);
        pw_merkle_build(nodes, size);
        for (unsigned index = 0; index < size; index++) {
            struct pw_node wanted[PW_MERKLE_PATH];
            uint8_t path[PW_MERKLE_PATH * PW_MERKLE_HASH];
            unsigned steps = audit_path(index, nodes, size, wanted);
            assert_int_equal(pw_merkle_steps(index, size), steps);
            assert_int_equal(pw_merkle_path(nodes, index, size, path),
                             steps * PW_MERKLE_HASH);
            assert_memory_equal(path, wanted, steps * PW_MERKLE_HASH);
        }
    }
}

static void
a_path_leads_from_its_leaf_to_the_root(void **state)
{
    (void)state;
    for (size_t s = 0; s < PW_COUNT(sizes); s++) {
        unsigned size = sizes[s];
        fill_leaves(size);
        unsigned root = pw_merkle_build(nodes, size);
        for (unsigned index = 0; index < size; index++) {
            struct pw_ascent ascent;
            uint8_t path[PW_MERKLE_PATH * PW_MERKLE_HASH];
            size_t len = pw_merkle_path(nodes, index, size, path);
            pw_merkle_ascend(&ascent, &nodes[index], index, size, path, NULL);
            assert_int_equal(ascent.top.width, 1);
            assert_int_equal(pw_climb_at(&ascent.top), root);
            assert_ptr_equal(ascent.rest, path + len);
            assert_memory_equal(ascent.way[ascent.count].bytes, nodes[root].bytes,
                                PW_MERKLE_HASH);
        }
    }
}

static void
a_climb_ends_at_the_first_known_node(void **state)
{
    (void)state;
    static uint64_t known[(PW_MERKLE_NODES + 63) / 64];
    uint8_t path[PW_MERKLE_PATH * PW_MERKLE_HASH];
    fill_leaves(PW_MERKLE_LEAVES);
    pw_merkle_build(nodes, PW_MERKLE_LEAVES);
    pw_merkle_path(nodes, 77, PW_MERKLE_LEAVES, path);
    struct pw_climb at = pw_climb_from(77, PW_MERKLE_LEAVES);
    for (unsigned level = 0; level < PW_MERKLE_LEVELS; level++) {
        struct pw_ascent ascent;
        unsigned place = pw_climb_at(&at);
        memset(known, 0, sizeof known);
        known[place / 64] |= (uint64_t)1 << place % 64;
        pw_merkle_ascend(&ascent, &nodes[77], 77, PW_MERKLE_LEAVES, path, known);
        assert_int_equal(ascent.count, level);
        assert_int_equal(pw_climb_at(&ascent.top), place);
        assert_ptr_equal(ascent.rest, path + (size_t)level * PW_MERKLE_HASH);
        assert_memory_equal(ascent.way[level].bytes, nodes[place].bytes, PW_MERKLE_HASH);
        pw_climb_up(&at);
    }
}

static void
a_tag_is_as_long_as_its_place_says(void **state)
{
    (void)state;
    static uint8_t bytes[PW_BATCH_TAG_MIN + PW_MERKLE_PATH * PW_MERKLE_HASH + 2];
    static const struct {
        unsigned index;
        unsigned size;
        size_t len; /* 0: no such place */
    } cases[] = {
        {0, 1, 66},      {1, 1, 0},       {255, 1, 0},    {0, 2, 98},    {1, 2, 98},
        {2, 2, 0},       {2, 3, 98},      {0, 3, 130},    {4, 5, 98},    {3, 5, 162},
        {5, 5, 0},       {7, 8, 162},     {128, 129, 98}, {0, 256, 322}, {255, 256, 322},
        {254, 255, 290}, {127, 255, 322},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const uint8_t place[] = {(uint8_t)cases[i].index, (uint8_t)(cases[i].size - 1)};
        assert_int_equal(pw_batch_tag_len((struct pw_span){place, 2}), cases[i].len);
        for (size_t len = 0; len <= sizeof bytes; len++) {
            struct pw_batch_tag tag;
            memset(bytes, 0xff, sizeof bytes);
            if (len >= 2) {
                memcpy(bytes + len - 2, place, 2);
            }
            bool good = pw_batch_tag_read((struct pw_span){bytes, len}, &tag);
            assert_int_equal(good, len >= 2 && len == cases[i].len);
            if (good) {
                assert_int_equal(tag.index, cases[i].index);
                assert_int_equal(tag.size, cases[i].size);
                assert_ptr_equal(tag.signature, bytes);
                assert_ptr_equal(tag.path, bytes + 64);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_root_is_that_of_rfc_6962),
        cmocka_unit_test(every_path_is_that_of_rfc_6962),
        cmocka_unit_test(a_path_leads_from_its_leaf_to_the_root),
        cmocka_unit_test(a_climb_ends_at_the_first_known_node),
        cmocka_unit_test(a_tag_is_as_long_as_its_place_says),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
