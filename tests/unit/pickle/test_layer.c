/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/pickle/layer_check.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <zlib.h>

#include "tests/unit/fail_alloc.h"

/* "N." as Python's zlib, gzip, bz2 and lzma compress it. */
#define ZLIB "x\x9c\xf3\xd3\x03\x00\x00\xcc\x00}"
#define GZIP                                                                               \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xf3\xd3\x03\x00\xbb}"                        \
    "\xf5\xf3\x02\x00\x00\x00"
#define BZ2                                                                                \
    "BZh91AY&SYu=\x1d\xd0\x00\x00\x00\x94\x00\x00\x01\x00\x01 \x00!\x00\x82\xb1w$S\x85"    \
    "\x09\x07S\xd1\xdd\x00"
#define XZ                                                                                 \
    "\xfd"                                                                                 \
    "7zXZ\x00\x00\x04\xe6\xd6\xb4"                                                         \
    "F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x01N.\x00\x00\x00o\x18)\x95\xe5\x15" \
    "N8\x00\x01\x1a\x02\xdc.\xa5~\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ"
#define LZMA                                                                               \
    "]\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00'\x0b\x9c\xff\xff\xff\xff\xf0"   \
    "\x00\x00\x00"

/* clang-format off */
static const struct walk_case bare_cases[] = {
    {"a pickle", BYTES("N."), "=N.;"},
    {"nothing", BYTES(""), "=;"},
};
static const struct walk_case zlib_cases[] = {
    {"zlib", BYTES(ZLIB), "zlib=N.;"},
    {"a byte behind it", BYTES(ZLIB "x"), "!layer.broken;"},
    {"a second stream", BYTES(ZLIB ZLIB), "!layer.broken;"},
    {"another checksum", BYTES("x\x9c\xf3\xd3\x03\x00\x00\xcc\x00\x7c"), "!layer.broken;"},
    {"a preset dictionary", BYTES("x\xbb\0\0\0\1\xf3\xd3\3\0\0\0\0\0"), "!layer.broken;"},
    {"gzip", BYTES(GZIP), "!layer.broken;"},
    {"a pickle", BYTES("N."), "!layer.broken;"},
    {"nothing", BYTES(""), "!layer.broken;"},
};
static const struct walk_case gzip_cases[] = {
    {"gzip", BYTES(GZIP), "gzip=N.;"},
    {"two members", BYTES(GZIP GZIP), "gzip=N.N.;"},
    {"two members and padding between", BYTES(GZIP "\0\0\0" GZIP), "gzip=N.N.;"},
    {"padding", BYTES(GZIP "\0\0\0\0"), "gzip=N.;"},
    {"something behind it", BYTES(GZIP "x"), "!layer.broken;"},
    {"padding in front", BYTES("\0" GZIP), "!layer.broken;"},
    {"zlib", BYTES(ZLIB), "!layer.broken;"},
    {"reserved flags", BYTES("\x1f\x8b\x08\xe0\x00\x00\x00\x00\x02\x03\xf3\xd3\x03\x00\xbb}\xf5\xf3\x02\0\0\0"), "!layer.broken;"},
};
static const struct walk_case bz2_cases[] = {
    {"bz2", BYTES(BZ2), "bz2=N.;"},
    {"two streams", BYTES(BZ2 BZ2), "bz2=N.N.;"},
    {"something behind it", BYTES(BZ2 "x"), "!layer.broken;"},
    {"zeros behind it", BYTES(BZ2 "\0\0"), "!layer.broken;"},
    {"half a stream behind it", BYTES(BZ2 "BZh9"), "!layer.broken;"},
};
static const struct walk_case xz_cases[] = {
    {"xz", BYTES(XZ), "xz=N.;"},
    {"lzma", BYTES(LZMA), "xz=N.;"},
    {"two streams", BYTES(XZ XZ), "xz=N.N.;"},
    {"one of each", BYTES(LZMA XZ), "xz=N.N.;"},
    {"something behind it", BYTES(XZ "x"), "!layer.broken;"},
    {"padding", BYTES(XZ "\0\0\0\0"), "!layer.broken;"},
    {"lzip, which liblzma reads since 5.4", BYTES("LZIP\1\x0c"), "!layer.broken;"},
    {"a dictionary of a gibibyte", BYTES("]\0\0\0@\xff\xff\xff\xff\xff\xff\xff\xff\0'\x0b\x9c"), "!limit.inflate;"},
};
static const struct walk_case skip_cases[] = {
    {"two fields", BYTES("a b N."), "skip=N.;"},
    {"empty fields", BYTES("  "), "skip=;"},
    {"one field", BYTES("a N."), "!rule.mismatch;"},
    {"nothing", BYTES(""), "!rule.mismatch;"},
};
static const struct walk_case base64_cases[] = {
    {"no padding", BYTES("Ti4w"), "base64=N.0;"},
    {"one", BYTES("Ti4="), "base64=N.;"},
    {"two", BYTES("Tg=="), "base64=N;"},
    {"all letters", BYTES("+/+/"), "base64=\\xfb\\xff\\xbf;"},
    {"nothing", BYTES(""), "base64=;"},
    {"three letters", BYTES("Ti4"), "!layer.broken;"},
    {"a line feed", BYTES("Ti4=\n"), "!layer.broken;"},
    {"another alphabet", BYTES("-_-_"), "!layer.broken;"},
    {"NUL", BYTES("Ti4\0"), "!layer.broken;"},
    {"padding in the middle", BYTES("Tg==Ti4="), "!layer.broken;"},
    {"padding first", BYTES("===="), "!layer.broken;"},
    {"three times padding", BYTES("T==="), "!layer.broken;"},
    {"bits behind the last byte", BYTES("Ti5="), "!layer.broken;"},
    {"more bits behind the last byte", BYTES("Th=="), "!layer.broken;"},
};
static const struct walk_case msgpack_cases[] = {
    {"ext 1 of two bytes", BYTES("\xd5\1N."), "msgpack@2=N.;"},
    {"in a map in an array", BYTES("\x92\x81\xa1k\xc7\2\2N.\xc0"), "msgpack@7=N.;"},
    {"two", BYTES("\x92\xc7\2\1N.\xc8\0\3\5]0."), "msgpack@4=N.;msgpack@10=]0.;"},
    {"a long one", BYTES("\xc9\0\0\0\2\1N."), "msgpack@6=N.;"},
    {"an empty one", BYTES("\xc7\0\1"), "msgpack@3=;"},
    {"another code", BYTES("\xd5\6N."), ""},
    {"a timestamp", BYTES("\xd6\xff\0\0\0\0"), ""},
    {"code 0", BYTES("\xd5\0N."), ""},
    {"no extension", BYTES("\x9f\xc0\xc2\xc3\xca\0\0\0\0\xcb\0\0\0\0\0\0\0\0\xcc\0\xcd\0\0\xce\0\0\0\0\xcf\0\0\0\0\0\0\0\0\xd0\0\xd1\0\0\xd2\0\0\0\0\xd3\0\0\0\0\0\0\0\0\xc4\1x\xc5\0\1x"), ""},
    {"long strings, arrays and maps", BYTES("\x94\xd9\1x\xda\0\1x\xdc\0\1\xdd\0\0\0\1\x05\xde\0\1\xdf\0\0\0\0\xe0"), ""},
    {"fixed extensions", BYTES("\x95\xd4\6x\xd5\6xx\xd6\6xxxx\xd7\6xxxxxxxx\xd8\6xxxxxxxxxxxxxxxx"), ""},
    {"an array of msgpack_numpy", BYTES("\x83\xc4\2nd\xc3\xc4\4kind\xc4\1V\xc4\4data\xc4\2N."), ""},
    {"an array of objects of msgpack_numpy", BYTES("\x83\xc4\2nd\xc3\xc4\4kind\xc4\1O\xc4\4data\xc4\2N."), "!layer.unknown;"},
    {"the same as text", BYTES("\x82\xa4kind\xa1O\xa2nd\xc3"), "!layer.unknown;"},
    {"a kind of something else", BYTES("\x82\xa4kind\xa1O\xa2no\xc3"), ""},
    {"an O that is no kind", BYTES("\x83\xa4kind\xc0\xa1O\xc0\xa2nd\xc3"), ""},
    {"a pickle in a string is data", BYTES("\xa2N."), ""},
    {"something behind it", BYTES("\xd5\1N.\xc0"), "msgpack@2=N.;!layer.broken;"},
    {"cut short behind one", BYTES("\x92\xd5\1N."), "msgpack@3=N.;!layer.broken;"},
    {"cut short in one", BYTES("\xc7\3\1N."), "!layer.broken;"},
    {"the byte that is never used", BYTES("\xc1"), "!layer.broken;"},
    {"a length that is not there", BYTES("\xdf\xff\xff\xff\xff\xc0"), "!layer.broken;"},
    {"nothing", BYTES(""), "!layer.broken;"},
};
static const struct walk_case auto_cases[] = {
    {"a pickle", BYTES("N."), "=N.;"},
    {"nothing", BYTES(""), "=;"},
    {"text", BYTES("hello"), "=hello;"},
    {"zlib", BYTES(ZLIB), "zlib=N.;"},
    {"gzip", BYTES(GZIP), "gzip=N.;"},
    {"bz2", BYTES(BZ2), "bz2=N.;"},
    {"xz", BYTES(XZ), "xz=N.;"},
    {"lzma", BYTES(LZMA), "xz=N.;"},
    {"the beginning of bz2", BYTES("BZh9"), "=BZh9;"},
    {"zlib of a small window, which is a pickle too", BYTES("(\x91\x89J\x00\xb5\xffxCKN.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\xae\x1b\xa8."), "!layer.unknown;"},
    {"the same without its checksum", BYTES("(\x91\x89J\x00\xb5\xffxCKN.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\xae\x1b\xa9."), "=(\\x91\\x89J\\x00\\xb5\\xffxCKN.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\x00\\xae\\x1b\\xa9.;"},
    {"lzma of unusual properties, which is a pickle too", BYTES("\x8a@\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00'\x0b\x9c\xff\xff\xff\xff\xf0\x00\x00\x00" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."), "!layer.unknown;"},
    {"a pickle that begins as zlib does", BYTES("(S\"it's\"\nt."), "=(S\"it's\"\\x0at.;"},
    {"a broken zlib", BYTES("x\x9c"), "!layer.broken;"},
    {"a broken archive", BYTES("PK\3\4"), "!layer.broken;"},
    {"an archive without members", BYTES("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), ""},
    {"a broken array", BYTES("\x93NUMPY"), "!layer.broken;"},
    {"LZ4", BYTES("\4\"M\x18@@"), "!layer.unknown;"},
    {"Zstandard", BYTES("(\xb5/\xfd\x04"), "!layer.unknown;"},
    {"joblib before 0.10", BYTES("ZF0x10"), "!layer.unknown;"},
    {"a list of a number", BYTES("]K\0a."), "=]K\\x00a.;"},
};
static const struct walk_case joblib_cases[] = {
    {"no compression", BYTES("N."), "=N.;"},
    {"zlib", BYTES(ZLIB), "zlib=N.;"},
    {"gzip", BYTES(GZIP), "gzip=N.;"},
    {"bz2", BYTES(BZ2), "bz2=N.;"},
    {"lzma", BYTES(LZMA), "xz=N.;"},
    {"a second member, which joblib does not read", BYTES(GZIP GZIP), "!layer.broken;"},
    {"what joblib takes for bz2", BYTES("BZ"), "!layer.broken;"},
    {"what joblib takes for zlib", BYTES("x"), "!layer.broken;"},
    {"LZ4", BYTES("\4\"M\x18"), "!layer.unknown;"},
    {"an archive is none of its formats", BYTES("PK\3\4"), "=PK\\x03\\x04;"},
    {"zlib in zlib is one too many for joblib", BYTES("\x78\x9c\xab\x98\xf3\xf9\x32\x33\x03\xc3\x19\x86\x5a\x00\x1a\x86\x04\x27"), "zlib=x\\x9c\\xf3\\xd3\\x03\\x00\\x00\\xcc\\x00};"},
};
/* clang-format on */

static const struct {
    struct pw_layers layers;
    const struct walk_case *cases;
    size_t count;
} tables[] = {
#define TABLE(cases, ...)                                                                  \
    {                                                                                      \
        {.rule = {__VA_ARGS__}}, cases, PW_COUNT(cases)                                    \
    }
    TABLE(bare_cases, {.kind = PW_LAYER_PICKLE}),
    TABLE(zlib_cases, {.kind = PW_LAYER_ZLIB}),
    TABLE(gzip_cases, {.kind = PW_LAYER_GZIP}),
    TABLE(bz2_cases, {.kind = PW_LAYER_BZ2}),
    TABLE(xz_cases, {.kind = PW_LAYER_XZ}),
    TABLE(skip_cases, {.kind = PW_LAYER_SKIP, .separator = ' ', .count = 2}),
    TABLE(base64_cases, {.kind = PW_LAYER_BASE64}),
    TABLE(msgpack_cases, {.kind = PW_LAYER_MSGPACK, .first = 1, .last = 5}),
    TABLE(auto_cases, {.kind = PW_LAYER_AUTO}),
    TABLE(joblib_cases, {.kind = PW_LAYER_JOBLIB}),
};

static void
each_layer_gives_what_is_inside_or_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(tables); i++) {
        check_walks(&tables[i].layers, tables[i].cases, tables[i].count);
    }
}

static const struct {
    enum pw_layer_kind kind;
    struct pw_span packed;
} good[] = {
    {PW_LAYER_ZLIB, BYTES(ZLIB)}, {PW_LAYER_GZIP, BYTES(GZIP)}, {PW_LAYER_BZ2, BYTES(BZ2)},
    {PW_LAYER_XZ, BYTES(XZ)},     {PW_LAYER_XZ, BYTES(LZMA)},
};

static void
what_is_cut_short_anywhere_is_broken(void **state)
{
    (void)state;
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    for (size_t i = 0; i < PW_COUNT(good); i++) {
        struct pw_layers layers = CHAIN({.kind = good[i].kind});
        for (size_t len = 0; len < good[i].packed.len; len++) {
            struct pw_span cut = {good[i].packed.ptr, len};
            assert_int_equal(walk(layer, &layers, cut, &layer_limits, &seen), PW_E_OK);
            assert_string_equal(seen.text, "!layer.broken;");
        }
    }
    pw_layer_free(&layer);
}

static void
layers_lie_in_each_other_and_labels_say_how(void **state)
{
    (void)state;
    static const char inner[] = "a b \xd5\1N.";
    uint8_t once[128];
    uint8_t twice[128];
    uLongf once_len = sizeof once;
    uLongf twice_len = sizeof twice;
    assert_int_equal(compress(once, &once_len, (const Bytef *)inner, sizeof inner - 1),
                     Z_OK);
    assert_int_equal(compress(twice, &twice_len, once, once_len), Z_OK);
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_ZLIB}, {.kind = PW_LAYER_ZLIB},
                                    {.kind = PW_LAYER_SKIP, .separator = ' ', .count = 2},
                                    {.kind = PW_LAYER_MSGPACK, .first = 1, .last = 1});
    struct pw_span frame = {twice, twice_len};
    struct walk_case nested = {"four deep", frame, "zlib>zlib>skip>msgpack@2=N.;"};
    check_walks(&layers, &nested, 1);
}

/* A pickle of 1024 bytes that is a tar header as well, if its checksum is right. */
static const char *
seen_with_checksum(const char *spelled, size_t len, uint8_t filling)
{
    static struct seen seen;
    uint8_t bytes[1024] = {'B', 0xf8, 3}; /* BINBYTES, POP, NONE, STOP */
    memset(bytes + 5, filling, sizeof bytes - 8);
    memcpy(bytes + sizeof bytes - 3, "0N.", 3);
    memset(bytes + 148, 0, 8);
    memcpy(bytes + 148, spelled, len);
    struct pw_layer *layer = pw_layer_new();
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_AUTO});
    struct pw_span frame = {bytes, sizeof bytes};
    assert_int_equal(walk(layer, &layers, frame, &layer_limits, &seen), PW_E_OK);
    pw_layer_free(&layer);
    return seen.pickles == 0 ? seen.text : "a pickle";
}

/* torch.load takes a tar archive for one, wherever else its bytes make sense. */
static void
a_pickle_that_is_a_tar_archive_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct pw_span checksum;
        uint8_t filling;
        bool tar;
    } cases[] = {
        /* The first 512 bytes, with blanks for the checksum, add up to 48,976. */
        {"as tarfile writes it", BYTES("137520\0 "), 'a', true},
        {"with blanks", BYTES("  137520"), 'a', true},
        {"as int() takes it, too", BYTES("0o137520"), 'a', true},
        {"with an underscore", BYTES("+13_7520"), 'a', true},
        {"of bytes with a sign", BYTES("137120\0 "), 'a', true},
        {"one more", BYTES("137521\0 "), 'a', false},
        {"cut by a NUL",
         BYTES("13762\0"
               "2 "),
         'a', false},
        {"with more behind a NUL",
         BYTES("137520\0"
               "7"),
         'a', true},
        {"in base 256", BYTES("\x80\0\0\0\0\0\xbf\x50"), 'a', true},
        {"nothing", BYTES(""), 'a', false},
        /* The same with 0xff, where bytes with a sign add up to less than nothing. */
        {"of bytes without a sign", BYTES("371512\0 "), 0xff, true},
        {"of bytes that add up to less than nothing", BYTES("-266\0"), 0xff, true},
        {"the same in base 256", BYTES("\xff\xff\xff\xff\xff\xff\xff\x4a"), 0xff, true},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        struct pw_span sum = cases[i].checksum;
        const char *seen =
            seen_with_checksum((const char *)sum.ptr, sum.len, cases[i].filling);
        if (strcmp(seen, cases[i].tar ? "!layer.unknown;" : "a pickle") != 0) {
            fail_msg("%s: %s", cases[i].name, seen);
        }
    }
}

static void
the_fifth_container_is_one_too_many(void **state)
{
    (void)state;
    uint8_t bytes[2][256] = {{'N', '.'}};
    uLongf len = 2;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_AUTO});
    for (size_t depth = 0; depth <= 5; depth++) {
        static const char *const said[] = {"=N.;",
                                           "zlib=N.;",
                                           "zlib>zlib=N.;",
                                           "zlib>zlib>zlib=N.;",
                                           "zlib>zlib>zlib>zlib=N.;",
                                           "zlib>zlib>zlib>zlib!limit.layers;"};
        struct pw_span frame = {bytes[depth % 2], len};
        struct walk_case deep = {"zlib in zlib", frame, said[depth]};
        check_walks(&layers, &deep, 1);
        uLongf packed = sizeof bytes[0];
        assert_int_equal(compress(bytes[(depth + 1) % 2], &packed, frame.ptr, frame.len),
                         Z_OK);
        len = packed;
    }
}

/* ---- bombs ------------------------------------------------------------------------------
 */

enum { BIG = 8 << 20, ROOM = 1 << 20 };

static size_t
pack_zlib(const uint8_t *bytes, uint8_t *out)
{
    uLongf len = ROOM;
    assert_int_equal(compress(out, &len, bytes, BIG), Z_OK);
    return len;
}

static size_t
pack_gzip(const uint8_t *bytes, uint8_t *out)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = BIG};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, 0), Z_OK);
    stream.next_out = out;
    stream.avail_out = ROOM;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t len = stream.total_out;
    deflateEnd(&stream);
    return len;
}

static size_t
pack_bz2(const uint8_t *bytes, uint8_t *out)
{
    unsigned len = ROOM;
    assert_int_equal(
        BZ2_bzBuffToBuffCompress((char *)out, &len, (char *)(uintptr_t)bytes, BIG, 9, 0, 0),
        BZ_OK);
    return len;
}

static size_t
pack_xz(const uint8_t *bytes, uint8_t *out)
{
    size_t len = 0;
    assert_int_equal(
        lzma_easy_buffer_encode(9, LZMA_CHECK_CRC64, NULL, bytes, BIG, out, &len, ROOM),
        LZMA_OK);
    return len;
}

static const struct {
    enum pw_layer_kind kind;
    size_t (*pack)(const uint8_t *bytes, uint8_t *out);
} bombs[] = {
    {PW_LAYER_ZLIB, pack_zlib},
    {PW_LAYER_GZIP, pack_gzip},
    {PW_LAYER_BZ2, pack_bz2},
    {PW_LAYER_XZ, pack_xz},
};

static void
a_bomb_stops_at_its_limits(void **state)
{
    (void)state;
    uint8_t *zeros = calloc(1, BIG);
    uint8_t *room = malloc(ROOM);
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    for (size_t i = 0; i < PW_COUNT(bombs); i++) {
        struct pw_layers layers = CHAIN({.kind = bombs[i].kind});
        struct pw_span packed = {room, bombs[i].pack(zeros, room)};
        struct pw_limits limits = {.max_bytes = BIG, .max_ratio = 100};
        assert_int_equal(walk(layer, &layers, packed, &limits, &seen), PW_E_OK);
        assert_int_equal(seen.reason, PW_R_LIMIT_INFLATE);
        limits.max_ratio = UINT32_MAX;
        assert_int_equal(walk(layer, &layers, packed, &limits, &seen), PW_E_OK);
        assert_int_equal(seen.reason, PW_R_NONE);
        assert_int_equal(seen.bytes, BIG);
        limits.max_bytes = BIG - 1;
        assert_int_equal(walk(layer, &layers, packed, &limits, &seen), PW_E_OK);
        assert_int_equal(seen.reason, PW_R_LIMIT_INFLATE);
        assert_int_equal(seen.pickles, 0);
    }
    pw_layer_free(&layer);
    free(room);
    free(zeros);
}

static void
a_frame_larger_than_the_limit_is_not_unfolded(void **state)
{
    (void)state;
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_ZLIB});
    struct pw_limits limits = {.max_bytes = sizeof ZLIB - 2, .max_ratio = 100};
    assert_int_equal(walk(layer, &layers, BYTES(ZLIB), &limits, &seen), PW_E_OK);
    assert_string_equal(seen.text, "!limit.bytes;");
    pw_layer_free(&layer);
}

static void
all_parts_of_one_depth_share_one_limit(void **state)
{
    (void)state;
    static const uint8_t zeros[1000];
    uint8_t packed[64];
    uLongf len = sizeof packed;
    assert_int_equal(compress(packed, &len, zeros, sizeof zeros), Z_OK);
    uint8_t frame[512] = {0x94}; /* four extensions */
    size_t at = 1;
    for (int i = 0; i < 4; i++) {
        memcpy(frame + at, (uint8_t[]){0xc7, (uint8_t)len, 1}, 3);
        memcpy(frame + at + 3, packed, len);
        at += 3 + len;
    }
    struct pw_layer *layer = pw_layer_new();
    static struct seen seen;
    struct pw_layers layers =
        CHAIN({.kind = PW_LAYER_MSGPACK, .first = 1, .last = 5}, {.kind = PW_LAYER_ZLIB});
    struct pw_limits limits = {.max_bytes = 4 * sizeof zeros, .max_ratio = 200};
    assert_int_equal(walk(layer, &layers, (struct pw_span){frame, at}, &limits, &seen),
                     PW_E_OK);
    assert_int_equal(seen.pickles, 4);
    assert_int_equal(seen.reason, PW_R_NONE);
    limits.max_bytes--;
    assert_int_equal(walk(layer, &layers, (struct pw_span){frame, at}, &limits, &seen),
                     PW_E_OK);
    assert_int_equal(seen.pickles, 3);
    assert_int_equal(seen.reason, PW_R_LIMIT_INFLATE);
    pw_layer_free(&layer);
}

static void
a_nest_of_msgpack_is_cut_off(void **state)
{
    (void)state;
    uint8_t deep[1000];
    memset(deep, 0x91, sizeof deep);
    struct pw_layers layers = CHAIN({.kind = PW_LAYER_MSGPACK, .first = 1, .last = 5});
    struct walk_case nest = {"arrays", {deep, sizeof deep}, "!limit.depth;"};
    check_walks(&layers, &nest, 1);
}

/* ---- memory
 * ------------------------------------------------------------------------------
 */

struct once {
    struct pw_layers layers;
    struct pw_span frame;
};

static void
walk_once(void *state)
{
    static struct seen seen;
    struct once *once = state;
    struct pw_layer *layer = pw_layer_new();
    if (layer != NULL) {
        enum pw_err err = walk(layer, &once->layers, once->frame, &layer_limits, &seen);
        assert_true(err == PW_E_NOMEM || (err == PW_E_OK && seen.pickles == 1));
        assert_int_equal(seen.reason, PW_R_NONE);
    }
    pw_layer_free(&layer);
}

static void
running_out_of_memory_is_said_and_leaks_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(good); i++) {
        struct once once = {CHAIN({.kind = good[i].kind}), good[i].packed};
        size_t n = 1;
        while (fail_alloc_round(n, walk_once, &once)) {
            n++;
        }
        assert_true(n > 3); /* the library's own allocations fail in their turn too */
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_gives_what_is_inside_or_a_reason),
        cmocka_unit_test(what_is_cut_short_anywhere_is_broken),
        cmocka_unit_test(layers_lie_in_each_other_and_labels_say_how),
        cmocka_unit_test(a_pickle_that_is_a_tar_archive_is_told),
        cmocka_unit_test(the_fifth_container_is_one_too_many),
        cmocka_unit_test(a_bomb_stops_at_its_limits),
        cmocka_unit_test(a_frame_larger_than_the_limit_is_not_unfolded),
        cmocka_unit_test(all_parts_of_one_depth_share_one_limit),
        cmocka_unit_test(a_nest_of_msgpack_is_cut_off),
        cmocka_unit_test(running_out_of_memory_is_said_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
