/* SPDX-License-Identifier: Apache-2.0
 *
 * Roots of the eight leaves that the reference trees of RFC 6962 are tested with, and what
 * a compact range must not change.
 */
#include <stdlib.h>

#include <sodium.h>

#include "tests/unit/check.h"

#include "common/audit/tree.h"
#include "common/base/def.h"
#include "common/base/hex.h"

struct root_case {
    const char *name;
    const char *leaf; /* hexadecimal, of the leaf that is added */
    const char *root; /* of the tree that it completes */
};

static const struct root_case root_cases[] = {
    {"1", "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"2", "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"3", "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"4", "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"5", "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"6", "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"7", "5051525354555657",
     "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"8", "606162636465666768696a6b6c6d6e6f",
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void
assert_root(const char *name, const struct pw_tree *tree, const char *wanted)
{
    uint8_t root[PW_TREE_HASH];
    char text[2 * PW_TREE_HASH + 1];
    pw_tree_root(tree, root);
    pw_hex_encode((struct pw_span){root, sizeof root}, text);
    check_case(name, strcmp(text, wanted) == 0);
}

static void
roots_are_those_of_rfc_6962(void **state)
{
    (void)state;
    struct pw_tree tree = {0};
    assert_root("empty", &tree,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < PW_COUNT(root_cases); i++) {
        uint8_t entry[16], leaf[PW_TREE_HASH];
        size_t len = strlen(root_cases[i].leaf) / 2;
        assert_true(pw_hex_decode(pw_span_str(root_cases[i].leaf), entry, len));
        pw_tree_leaf((struct pw_span){entry, len}, leaf);
        pw_tree_append(&tree, leaf);
        assert_int_equal(tree.size, i + 1);
        assert_root(root_cases[i].name, &tree, root_cases[i].root);
    }
}

/* The definition itself: split at the largest power of two below the size. */
static void
root_by_definition(const uint8_t (*leaves)[PW_TREE_HASH], size_t count,
                   uint8_t out[static PW_TREE_HASH])
{
    if (count == 1) {
        memcpy(out, leaves[0], PW_TREE_HASH);
        return;
    }
    size_t half = 1;
    while (half * 2 < count) {
        half *= 2;
    }
    uint8_t text[1 + 2 * PW_TREE_HASH] = {1};
    root_by_definition(leaves, half, text + 1);
    root_by_definition(leaves + half, count - half, text + 1 + PW_TREE_HASH);
    crypto_hash_sha256(out, text, sizeof text);
}

static void
a_compact_range_has_the_root_of_the_definition(void **state)
{
    (void)state;
    enum { MOST = 300 };
    static uint8_t leaves[MOST][PW_TREE_HASH];
    struct pw_tree tree = {0};
    for (size_t i = 0; i < MOST; i++) {
        uint8_t is[PW_TREE_HASH], wanted[PW_TREE_HASH];
        uint8_t entry = (uint8_t)(i * 7);
        pw_tree_leaf((struct pw_span){&entry, 1}, leaves[i]);
        pw_tree_append(&tree, leaves[i]);
        pw_tree_root(&tree, is);
        root_by_definition((const uint8_t(*)[PW_TREE_HASH])leaves, i + 1, wanted);
        assert_memory_equal(is, wanted, sizeof is);
    }
}

static void
the_largest_trees_keep_to_their_room(void **state)
{
    (void)state;
    struct pw_tree tree = {.size = UINT64_MAX - 1};
    uint8_t leaf[PW_TREE_HASH] = {1};
    assert_int_equal(pw_tree_hashes(tree.size), PW_TREE_MAX - 1);
    pw_tree_append(&tree, leaf);
    assert_int_equal(pw_tree_hashes(tree.size), PW_TREE_MAX);
    uint8_t root[PW_TREE_HASH];
    pw_tree_root(&tree, root);
    assert_memory_equal(tree.range[PW_TREE_MAX - 1], leaf, sizeof leaf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_rfc_6962),
        cmocka_unit_test(a_compact_range_has_the_root_of_the_definition),
        cmocka_unit_test(the_largest_trees_keep_to_their_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
