/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives made to order: each case says in which field it differs from a good one.
 */
#include "tests/unit/pickle/layer_check.h"

#include <stdlib.h>
#include <zlib.h>

#include "tests/unit/fail_alloc.h"

enum { STORED = 0, DEFLATED = 8, DESCRIBED = 8, MEMBERS = 4, ROOM = 1 << 16 };

/* All zero is right; `_add` and `_flip` make a field lie. */
struct entry {
    const char *name;
    struct pw_span data;
    const char *local_name; /* another one in the local header */
    unsigned method;
    unsigned flags;
    struct pw_span extra; /* in the directory */
    struct pw_span local_extra;
    struct pw_span comment;
    const char *gap;     /* behind the data */
    unsigned descriptor; /* bytes of it: 12, 16, 20, 24 */
    bool wide;           /* sizes and offset stand in a zip64 field */
    unsigned name_nul;   /* the name goes on behind its NUL by so many bytes */
    uint32_t crc_flip;
    uint32_t local_crc_flip;
    uint32_t local_flags_flip;
    uint32_t local_method_flip;
    uint32_t descriptor_flip;
    uint32_t len_add;
    uint32_t local_len_add;
    uint32_t packed_add;
    uint32_t at_add;
    uint32_t disk;
};

struct recipe {
    struct entry entry[MEMBERS];
    const char *front;   /* before the first member */
    const char *behind;  /* before the directory */
    const char *comment; /* of the archive */
    const char *tail;    /* behind everything */
    bool zip64;
    uint32_t count_add;
    uint32_t len_add;
    uint32_t at_add;
    uint32_t end64_add; /* where the locator says the zip64 end is */
    uint32_t count64_add;
    bool backwards; /* the directory lists the members in reverse */
};

struct out {
    uint8_t bytes[ROOM];
    size_t len;
};

static void
put(struct out *out, const void *bytes, size_t len)
{
    assert_true(len <= ROOM - out->len);
    if (len > 0) {
        memcpy(out->bytes + out->len, bytes, len);
    }
    out->len += len;
}

static void
put_text(struct out *out, const char *text)
{
    put(out, text, text == NULL ? 0 : strlen(text));
}

static void
put_int(struct out *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
        put(out, &byte, 1);
    }
}

/* The data of an entry as it lies in the archive. */
static size_t
pack(const struct entry *entry, uint8_t *packed)
{
    if (entry->method != DEFLATED) {
        memcpy(packed, entry->data.ptr, entry->data.len);
        return entry->data.len;
    }
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)entry->data.ptr,
                       .avail_in = (uInt)entry->data.len,
                       .next_out = packed,
                       .avail_out = ROOM};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, 0), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static uint32_t
crc_of(const struct entry *entry)
{
    return (uint32_t)crc32_z(0, entry->data.ptr, entry->data.len) ^ entry->crc_flip;
}

static void
put_local(struct out *out, const struct entry *entry)
{
    static uint8_t packed[ROOM];
    size_t packed_len = pack(entry, packed);
    const char *name = entry->local_name != NULL ? entry->local_name : entry->name;
    bool described = (entry->flags & DESCRIBED) != 0;
    uint32_t crc = crc_of(entry);
    put_text(out, "PK\3\4");
    put_int(out, 20, 2);
    put_int(out, entry->flags ^ entry->local_flags_flip, 2);
    put_int(out, entry->method ^ entry->local_method_flip, 2);
    put_int(out, 0, 4);
    put_int(out, (described ? 0 : crc) ^ entry->local_crc_flip, 4);
    put_int(out, described ? 0 : packed_len, 4);
    put_int(out, (described ? 0 : entry->data.len) + entry->local_len_add, 4);
    put_int(out, strlen(name) + entry->name_nul, 2);
    put_int(out, entry->local_extra.len, 2);
    put(out, name, strlen(name) + entry->name_nul);
    put(out, entry->local_extra.ptr, entry->local_extra.len);
    put(out, packed, packed_len);
    if (entry->descriptor > 0) {
        size_t width = entry->descriptor >= 20 ? 8 : 4;
        put_text(out, entry->descriptor == 2 * width + 8 ? "PK\7\10" : "");
        put_int(out, crc ^ entry->descriptor_flip, 4);
        put_int(out, packed_len, width);
        put_int(out, entry->data.len, width);
    }
    put_text(out, entry->gap);
}

static void
put_central(struct out *out, const struct entry *entry, size_t at)
{
    static uint8_t packed[ROOM];
    size_t packed_len = pack(entry, packed) + entry->packed_add;
    size_t len = entry->data.len + entry->len_add;
    at += entry->at_add;
    put_text(out, "PK\1\2");
    put_int(out, 20, 4);
    put_int(out, entry->flags, 2);
    put_int(out, entry->method, 2);
    put_int(out, 0, 4);
    put_int(out, crc_of(entry), 4);
    put_int(out, entry->wide ? UINT32_MAX : packed_len, 4);
    put_int(out, entry->wide ? UINT32_MAX : len, 4);
    put_int(out, strlen(entry->name) + entry->name_nul, 2);
    put_int(out, entry->extra.len + (entry->wide ? 28 : 0), 2);
    put_int(out, entry->comment.len, 2);
    put_int(out, entry->disk, 2);
    put_int(out, 0, 6);
    put_int(out, entry->wide ? UINT32_MAX : at, 4);
    put(out, entry->name, strlen(entry->name) + entry->name_nul);
    if (entry->wide) {
        put_int(out, 1, 2);
        put_int(out, 24, 2);
        put_int(out, len, 8);
        put_int(out, packed_len, 8);
        put_int(out, at, 8);
    }
    put(out, entry->extra.ptr, entry->extra.len);
    put(out, entry->comment.ptr, entry->comment.len);
}

static void
put_end(struct out *out, const struct recipe *recipe, uint64_t count, size_t at)
{
    size_t len = out->len - at;
    if (recipe->zip64) {
        size_t end64 = out->len;
        put_text(out, "PK\6\6");
        put_int(out, 44, 8);
        put_int(out, 0, 12);
        put_int(out, count + recipe->count64_add, 8);
        put_int(out, count + recipe->count64_add, 8);
        put_int(out, len, 8);
        put_int(out, at, 8);
        put_text(out, "PK\6\7");
        put_int(out, 0, 4);
        put_int(out, end64 + recipe->end64_add, 8);
        put_int(out, 1, 4);
    }
    put_text(out, "PK\5\6");
    put_int(out, 0, 4);
    put_int(out, count + recipe->count_add, 2);
    put_int(out, count + recipe->count_add, 2);
    put_int(out, len + recipe->len_add, 4);
    put_int(out, at + recipe->at_add, 4);
    put_int(out, recipe->comment == NULL ? 0 : strlen(recipe->comment), 2);
    put_text(out, recipe->comment);
    put_text(out, recipe->tail);
}

static struct pw_span
cook(const struct recipe *recipe, struct out *out)
{
    size_t at[MEMBERS];
    size_t count = 0;
    out->len = 0;
    put_text(out, recipe->front);
    for (; count < MEMBERS && recipe->entry[count].name != NULL; count++) {
        at[count] = out->len;
        put_local(out, &recipe->entry[count]);
    }
    put_text(out, recipe->behind);
    size_t directory = out->len;
    for (size_t i = 0; i < count; i++) {
        size_t which = recipe->backwards ? count - 1 - i : i;
        put_central(out, &recipe->entry[which], at[which]);
    }
    put_end(out, recipe, count, directory);
    return (struct pw_span){out->bytes, out->len};
}

#define PKL .name = "a/data.pkl", .data = BYTES("N.")
#define RAW .name = "a/data/0", .data = BYTES("\x80\x04raw")
#define ONES                                                                               \
    BYTES("111111111111111111111111111111111111111111111111111111111111111111111111111111" \
          "1")
#define NPY "\x93NUMPY\1\0\x37\0{'descr': '|O', 'fortran_order': False, 'shape': (), }\nN."

/* clang-format off */
static const struct {
    const char *name;
    struct recipe recipe;
    const char *seen; /* by zip(pickle) */
} cases[] = {
    {"a pickle and data", {.entry = {{PKL}, {RAW}}}, "zip:a/data.pkl=N.;"},
    {"nothing but data", {.entry = {{RAW}}}, ""},
    {"two pickles", {.entry = {{PKL}, {.name = "b.pkl", .data = BYTES("]0.")}}}, "zip:a/data.pkl=N.;zip:b.pkl=]0.;"},
    {"capital letters", {.entry = {{.name = "A.PKL", .data = BYTES("N.")}}}, "zip:A.PKL=N.;"},
    {"deflated", {.entry = {{PKL, .method = DEFLATED}, {RAW, .method = DEFLATED}}}, "zip:a/data.pkl=N.;"},
    {"a folder", {.entry = {{.name = "a/", .data = BYTES("")}, {PKL}}}, "zip:a/data.pkl=N.;"},
    {"an empty pickle", {.entry = {{.name = "a.pkl", .data = BYTES("")}}}, "zip:a.pkl=;"},
    {"an empty pickle, deflated", {.entry = {{.name = "a.pkl", .data = BYTES(""), .method = DEFLATED}}}, "zip:a.pkl=;"},
    {"zip64", {.entry = {{PKL}}, .zip64 = true}, "zip:a/data.pkl=N.;"},
    {"zip64 sizes", {.entry = {{PKL, .wide = true}}, .zip64 = true}, "zip:a/data.pkl=N.;"},
    {"zip64 sizes without a zip64 end", {.entry = {{PKL, .wide = true}}}, "zip:a/data.pkl=N.;"},
    {"padding as PyTorch writes it", {.entry = {{PKL, .local_extra = BYTES("FB\2\0ZZ")}}}, "zip:a/data.pkl=N.;"},
    {"times", {.entry = {{PKL, .extra = BYTES("UT\5\0\1abcd")}}}, "zip:a/data.pkl=N.;"},
    {"a comment on a member", {.entry = {{PKL, .comment = BYTES("c")}}}, "zip:a/data.pkl=N.;"},
    {"sizes behind the data", {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 16}, {RAW}}}, "zip:a/data.pkl=N.;"},
    {"sizes behind, unsigned", {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 12}}}, "zip:a/data.pkl=N.;"},
    {"sizes behind, 8 bytes", {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 24}}}, "zip:a/data.pkl=N.;"},
    {"sizes behind, 8 bytes, unsigned", {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 20}}}, "zip:a/data.pkl=N.;"},

    {"another CRC", {.entry = {{PKL, .crc_flip = 1}}}, "zip:a/data.pkl!layer.broken;"},
    {"another CRC in the local header", {.entry = {{PKL, .local_crc_flip = 1}}}, "!layer.broken;"},
    {"another CRC behind", {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 16, .descriptor_flip = 1}}}, "!layer.broken;"},
    {"sizes that should be behind", {.entry = {{PKL, .flags = DESCRIBED}}}, "!layer.broken;"},
    {"sizes behind that nobody announced", {.entry = {{PKL, .descriptor = 16}}}, "!layer.broken;"},
    {"another name in the local header", {.entry = {{PKL, .local_name = "a/data.txt"}}}, "!layer.broken;"},
    {"another name in the directory", {.entry = {{.name = "a/data.txt", .data = BYTES("N."), .local_name = "a/data.pkl"}}}, "!layer.broken;"},
    {"other flags in the local header", {.entry = {{PKL, .local_flags_flip = 1}}}, "!layer.broken;"},
    {"another method in the local header", {.entry = {{PKL, .local_method_flip = DEFLATED}}}, "!layer.broken;"},
    {"another length in the local header", {.entry = {{PKL, .local_len_add = 1}}}, "!layer.broken;"},
    {"another length in the directory", {.entry = {{PKL, .len_add = 1}}}, "!layer.broken;"},
    {"more data than there is", {.entry = {{PKL, .packed_add = 1}}}, "!layer.broken;"},
    {"a longer content than said", {.entry = {{.name = "a.pkl", .data = ONES, .method = DEFLATED, .len_add = UINT32_MAX, .local_len_add = UINT32_MAX}}}, "zip:a.pkl!layer.broken;"},
    {"a shorter content than said", {.entry = {{.name = "a.pkl", .data = ONES, .method = DEFLATED, .len_add = 1, .local_len_add = 1}}}, "zip:a.pkl!layer.broken;"},
    {"a bomb that says so", {.entry = {{.name = "0", .data = BYTES("x"), .method = DEFLATED, .len_add = 1000, .local_len_add = 1000}}}, "!limit.inflate;"},
    {"a larger bomb that says so", {.entry = {{.name = "0", .data = BYTES("x"), .method = DEFLATED, .len_add = 2 << 20, .local_len_add = 2 << 20}}}, "!limit.inflate;"},
    {"encrypted", {.entry = {{PKL, .flags = 1}}}, "!layer.unknown;"},
    {"strongly encrypted", {.entry = {{PKL, .flags = 1 << 6}}}, "!layer.unknown;"},
    {"masked headers", {.entry = {{PKL, .flags = 1 << 13}}}, "!layer.unknown;"},
    {"bzip2", {.entry = {{RAW, .method = 12}}}, "!layer.unknown;"},
    {"a name for Unicode readers", {.entry = {{.name = "a.txt", .data = BYTES("N."), .extra = BYTES("up\6\0\1\0\0\0\0a")}}}, "!layer.unknown;"},
    {"an extra field cut short", {.entry = {{PKL, .extra = BYTES("UT\5\0\1")}}}, "!layer.broken;"},
    {"a stray byte in the extra fields", {.entry = {{PKL, .extra = BYTES("U")}}}, "!layer.broken;"},
    {"two zip64 fields", {.entry = {{PKL, .wide = true, .extra = BYTES("\1\0\0\0")}}}, "!layer.broken;"},
    {"an empty zip64 field for sizes that need it", {.entry = {{PKL, .packed_add = UINT32_MAX - 2, .extra = BYTES("\1\0\0\0")}}}, "!layer.broken;"},
    {"the same name twice", {.entry = {{PKL}, {PKL}}}, "!layer.broken;"},
    {"the same name but for case", {.entry = {{PKL}, {.name = "A/Data.pkl", .data = BYTES("N.")}}}, "!layer.broken;"},
    {"the same name, not side by side", {.entry = {{PKL}, {RAW}, {PKL}}}, "!layer.broken;"},
    {"a NUL in a name", {.entry = {{.name = "a.pkl\0x", .name_nul = 2, .data = BYTES("N.")}}}, "!layer.broken;"},
    {"a backslash in a name", {.entry = {{.name = "a\\data.pkl", .data = BYTES("N.")}}}, "!layer.broken;"},
    {"no name", {.entry = {{.name = "", .data = BYTES("N.")}}}, "!layer.broken;"},
    {"another disk", {.entry = {{PKL, .disk = 1}}}, "!layer.broken;"},

    {"overlapping members", {.entry = {{PKL}, {RAW, .at_add = UINT32_MAX}}}, "!layer.broken;"},
    {"two entries for one member", {.entry = {{PKL}, {.name = "b.pkl", .data = BYTES("N."), .at_add = 0u - 42}}}, "!layer.broken;"},
    {"a member in the directory", {.entry = {{PKL, .at_add = 42}}}, "!layer.broken;"},
    {"a gap between members", {.entry = {{PKL, .gap = "xx"}, {RAW}}}, "!layer.broken;"},
    {"a gap behind the last", {.entry = {{PKL}}, .behind = "xx"}, "!layer.broken;"},
    {"something in front", {.entry = {{PKL}}, .front = "#!"}, "!layer.broken;"},
    {"the directory in reverse", {.entry = {{PKL}, {RAW}}, .backwards = true}, "!layer.broken;"},
    {"a comment", {.entry = {{PKL}}, .comment = "c"}, "!layer.broken;"},
    {"an archive in the comment", {.entry = {{PKL}}, .comment = "PK\5\6                  "}, "!layer.broken;"},
    {"something behind", {.entry = {{PKL}}, .tail = "\n"}, "!layer.broken;"},
    {"more members than there are", {.entry = {{PKL}}, .count_add = 1}, "!layer.broken;"},
    {"fewer members than there are", {.entry = {{PKL}, {RAW}}, .count_add = UINT32_MAX}, "!layer.broken;"},
    {"a longer directory", {.entry = {{PKL}}, .len_add = 1}, "!layer.broken;"},
    {"a shorter directory", {.entry = {{PKL}}, .len_add = UINT32_MAX}, "!layer.broken;"},
    {"a directory further on", {.entry = {{PKL}}, .at_add = 1}, "!layer.broken;"},
    {"two end records that differ", {.entry = {{PKL}}, .zip64 = true, .at_add = 1}, "!layer.broken;"},
    {"two counts that differ", {.entry = {{PKL}}, .zip64 = true, .count_add = 1}, "!layer.broken;"},
    {"a zip64 count that is wrong", {.entry = {{PKL}}, .zip64 = true, .count64_add = 1, .count_add = 1}, "!layer.broken;"},
    {"a locator that points elsewhere", {.entry = {{PKL}}, .zip64 = true, .end64_add = 1}, "!layer.broken;"},
};
/* clang-format on */

static void
only_what_every_reader_reads_alike_is_read(void **state)
{
    (void)state;
    static struct out out;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_ZIP});
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        struct walk_case one = {cases[i].name, cook(&cases[i].recipe, &out), cases[i].seen};
        check_walks(&layers, &one, 1);
    }
}

static void
an_archive_cut_short_anywhere_is_broken(void **state)
{
    (void)state;
    static struct out out;
    struct recipe recipe = {.entry = {{PKL}, {RAW}}, .zip64 = true};
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_ZIP});
    for (size_t len = cook(&recipe, &out).len; len-- > 0;) {
        struct walk_case cut = {"cut", {out.bytes, len}, "!layer.broken;"};
        check_walks(&layers, &cut, 1);
    }
}

/* Times, versions and attributes may be anything; all else is said twice, or must be so. */
static void
a_flipped_bit_is_noticed_or_changes_nothing(void **state)
{
    (void)state;
    static const struct recipe recipes[] = {
        {.entry = {{PKL, .extra = BYTES("UT\5\0\1abcd")}, {RAW}}},
        {.entry = {{PKL, .wide = true}, {RAW, .wide = true}}, .zip64 = true},
        {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 16}}},
        {.entry = {{PKL, .flags = DESCRIBED, .descriptor = 20, .method = DEFLATED}}},
    };
    static struct out out;
    static struct seen seen;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_ZIP});
    struct pw_layer *layer = pw_layer_new();
    for (size_t i = 0; i < PW_COUNT(recipes); i++) {
        struct pw_span frame = cook(&recipes[i], &out);
        for (size_t bit = 0; bit < 8 * frame.len; bit++) {
            out.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(walk(layer, &layers, frame, &layer_limits, &seen), PW_E_OK);
            out.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (seen.reason == PW_R_NONE && strcmp(seen.text, "zip:a/data.pkl=N.;") != 0) {
                fail_msg("archive %zu, bit %zu: %s", i, bit, seen.text);
            }
        }
    }
    pw_layer_free(&layer);
}

static void
the_rule_says_which_members_count(void **state)
{
    (void)state;
    static struct out out;
    struct recipe recipe = {.entry = {{PKL},
                                      {.name = "b.npy", .data = BYTES(NPY)},
                                      {.name = "c", .data = BYTES(NPY), .method = DEFLATED},
                                      {.name = "d", .data = BYTES(NPY)}}};
    struct pw_span frame = cook(&recipe, &out);
    struct walk_case pickles = {"zip(pickle)", frame, "zip:a/data.pkl=N.;"};
    check_walks(&CHAIN({.kind = PW_LAYER_ZIP}), &pickles, 1);
    struct walk_case arrays = {
        "zip(npy(pickle))", frame,
        "zip:a/data.pkl!layer.broken;zip:b.npy>npy=N.;zip:c>npy=N.;zip:d>npy=N.;"};
    check_walks(&CHAIN({.kind = PW_LAYER_ZIP}, {.kind = PW_LAYER_NPY}), &arrays, 1);
    struct walk_case whatever = {
        "auto", frame, "zip:a/data.pkl=N.;zip:b.npy>npy=N.;zip:c>npy=N.;zip:d>npy=N.;"};
    check_walks(&CHAIN({.kind = PW_LAYER_AUTO}), &whatever, 1);
    struct recipe plain = {
        .entry = {{RAW}, {.name = "1", .data = BYTES("1"), .method = DEFLATED}}};
    struct walk_case data = {"auto, data", cook(&plain, &out), ""};
    check_walks(&CHAIN({.kind = PW_LAYER_AUTO}), &data, 1);
}

static void
a_bomb_that_lies_stops_at_its_limits(void **state)
{
    (void)state;
    static struct out out;
    static const uint8_t zeros[50000];
    struct recipe recipe = {.entry = {{.name = "a.pkl",
                                       .data = {zeros, sizeof zeros},
                                       .method = DEFLATED,
                                       .len_add = 0u - 40000,
                                       .local_len_add = 0u - 40000}}};
    struct walk_case lies = {"lies", cook(&recipe, &out), "zip:a.pkl!layer.broken;"};
    check_walks(&CHAIN({.kind = PW_LAYER_ZIP}), &lies, 1);
    recipe.entry[0].len_add = recipe.entry[0].local_len_add = 0;
    struct walk_case honest = {"honest", cook(&recipe, &out), "!limit.inflate;"};
    check_walks(&CHAIN({.kind = PW_LAYER_ZIP}), &honest, 1);
}

static void
walk_once(void *state)
{
    static struct seen seen;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_ZIP});
    struct pw_layer *layer = pw_layer_new();
    if (layer != NULL) {
        enum pw_err err =
            walk(layer, &layers, *(struct pw_span *)state, &layer_limits, &seen);
        assert_true(err == PW_E_NOMEM || (err == PW_E_OK && seen.pickles == 2));
        assert_int_equal(seen.reason, PW_R_NONE);
    }
    pw_layer_free(&layer);
}

static void
running_out_of_memory_is_said_and_leaks_nothing(void **state)
{
    (void)state;
    static struct out out;
    struct recipe recipe = {
        .entry = {{PKL, .method = DEFLATED}, {.name = "b.pkl", .data = BYTES("]0.")}}};
    struct pw_span frame = cook(&recipe, &out);
    size_t n = 1;
    while (fail_alloc_round(n, walk_once, &frame)) {
        n++;
    }
    assert_true(n > 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_every_reader_reads_alike_is_read),
        cmocka_unit_test(an_archive_cut_short_anywhere_is_broken),
        cmocka_unit_test(a_flipped_bit_is_noticed_or_changes_nothing),
        cmocka_unit_test(the_rule_says_which_members_count),
        cmocka_unit_test(a_bomb_that_lies_stops_at_its_limits),
        cmocka_unit_test(running_out_of_memory_is_said_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
