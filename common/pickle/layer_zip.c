/* SPDX-License-Identifier: Apache-2.0
 *
 * ZIP archives (PKWARE APPNOTE 6.3), as torch.save and numpy.savez write them.
 *
 * Python's zipfile and the reader in PyTorch (miniz) are both content with much less than a
 * well-formed archive, and not with the same. So nothing is left open here: the end record
 * is the last 22 bytes, the central directory lies right before it, members lie without a
 * gap from the first byte on in the order of the directory, both headers of a member agree,
 * and no two names are equal, also when letters are compared as miniz does, without case.
 */
#include <stdlib.h>

#include "common/pickle/layer_walk.h"

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    SIG_CENTRAL = 0x02014b50,
    SIG_LOCAL = 0x04034b50,
    SIG_DESCRIPTOR = 0x08074b50,
    SIG_END = 0x06054b50,
    SIG_END64 = 0x06064b50,
    SIG_LOCATOR = 0x07064b50,
    STORED = 0,
    DEFLATED = 8,
    FLAG_DESCRIPTOR = 1 << 3,
    /* How hard it was deflated; sizes behind the data; the name is UTF-8. */
    FLAGS_KNOWN = 1 << 1 | 1 << 2 | FLAG_DESCRIPTOR | 1 << 11,
    NAME_MAX_BYTES = 1024,
    EXTRA_ZIP64 = 0x0001,
};

#define WIDE UINT32_MAX /* a 32-bit field whose value stands in the zip64 field */

static const char npy_magic[] = "\x93NUMPY";

struct member {
    struct pw_span name;
    uint64_t packed; /* sizes in bytes */
    uint64_t len;
    uint64_t at; /* of the local header */
    uint32_t crc;
    uint16_t flags;
    uint16_t method;
    struct pw_span data;
};

struct archive {
    struct pw_layer *layer;
    struct pw_span bytes;
    uint64_t count;
    uint64_t at;  /* of the central directory */
    uint64_t len; /* of it */
    struct member *members;
};

static struct pw_cursor
cursor_at(struct pw_span bytes, uint64_t at)
{
    struct pw_cursor cur = pw_cursor_over(bytes);
    (void)pw_cursor_take(&cur, at);
    return cur;
}

/* ---- the end records --------------------------------------------------------------------
 */

/* A field of the old end record either says the same as the new one or nothing. */
static bool
same_or_all_ones(uint64_t old, uint64_t ones, uint64_t value)
{
    return old == value || old == ones;
}

/* The zip64 end record, right before its locator at `locator`. */
static bool
read_end64(struct archive *zip, uint64_t locator, uint64_t *end)
{
    struct pw_cursor cur = cursor_at(zip->bytes, locator);
    (void)pw_cursor_take(&cur, 4); /* the signature brought us here */
    uint64_t disk = pw_cursor_little(&cur, 4);
    uint64_t at = pw_cursor_little(&cur, 8);
    uint64_t disks = pw_cursor_little(&cur, 4);
    if (disk != 0 || disks > 1 || at > locator || locator - at != END64_BYTES) {
        return false;
    }
    cur = cursor_at(zip->bytes, at);
    uint64_t signature = pw_cursor_little(&cur, 4);
    uint64_t size = pw_cursor_little(&cur, 8);
    (void)pw_cursor_take(&cur, 4); /* versions */
    uint64_t this_disk = pw_cursor_little(&cur, 4);
    uint64_t first_disk = pw_cursor_little(&cur, 4);
    uint64_t count_here = pw_cursor_little(&cur, 8);
    zip->count = pw_cursor_little(&cur, 8);
    zip->len = pw_cursor_little(&cur, 8);
    zip->at = pw_cursor_little(&cur, 8);
    *end = at;
    return !cur.truncated && signature == SIG_END64 && size == END64_BYTES - 12 &&
           this_disk == 0 && first_disk == 0 && count_here == zip->count;
}

static bool
read_end(struct archive *zip)
{
    if (zip->bytes.len < END_BYTES) {
        return false;
    }
    uint64_t end = zip->bytes.len - END_BYTES;
    struct pw_cursor cur = cursor_at(zip->bytes, end);
    uint64_t signature = pw_cursor_little(&cur, 4);
    uint64_t disks = pw_cursor_little(&cur, 4);
    uint64_t count_here = pw_cursor_little(&cur, 2);
    uint64_t count = pw_cursor_little(&cur, 2);
    uint64_t len = pw_cursor_little(&cur, 4);
    uint64_t at = pw_cursor_little(&cur, 4);
    uint64_t comment = pw_cursor_little(&cur, 2);
    if (signature != SIG_END || disks != 0 || count_here != count || comment != 0) {
        return false;
    }
    zip->count = count;
    zip->len = len;
    zip->at = at;
    uint64_t locator = end < LOCATOR_BYTES ? 0 : end - LOCATOR_BYTES;
    cur = cursor_at(zip->bytes, locator);
    if (end >= LOCATOR_BYTES && pw_cursor_little(&cur, 4) == SIG_LOCATOR) {
        if (!read_end64(zip, locator, &end) ||
            !same_or_all_ones(count, UINT16_MAX, zip->count) ||
            !same_or_all_ones(len, WIDE, zip->len) ||
            !same_or_all_ones(at, WIDE, zip->at)) {
            return false;
        }
    }
    return zip->at <= end && zip->len == end - zip->at;
}

/* ---- the central directory --------------------------------------------------------------
 */

/* Fields that change nothing about where a member is or what it is called. */
static bool
harmless_extra(uint64_t id)
{
    static const uint16_t known[] = {
        0x000a, /* NTFS times */
        0x4246, /* padding of PyTorch, "FB" */
        0x5455, /* Unix times */
        0x5855, /* Unix times and owner, old */
        0x7875, /* owner */
        0xcafe, /* jar */
    };
    for (size_t i = 0; i < PW_COUNT(known); i++) {
        if (known[i] == id) {
            return true;
        }
    }
    return false;
}

/* The zip64 field has 8 bytes for each field that says WIDE, in this order. */
static bool
read_wide(struct pw_span field, struct member *member)
{
    struct pw_cursor cur = pw_cursor_over(field);
    uint64_t *const fields[] = {&member->len, &member->packed, &member->at};
    for (size_t i = 0; i < PW_COUNT(fields); i++) {
        if (*fields[i] == WIDE) {
            *fields[i] = pw_cursor_little(&cur, 8);
        }
    }
    return !cur.truncated;
}

/* Extra fields of a central header: one may widen the sizes, an unknown one is refused. */
static enum pw_reason
read_extra(struct pw_span extra, struct member *member)
{
    bool wide = false;
    for (struct pw_cursor cur = pw_cursor_over(extra); cur.rest.len > 0;) {
        uint64_t id = pw_cursor_little(&cur, 2);
        struct pw_span field = pw_cursor_take(&cur, pw_cursor_little(&cur, 2));
        if (cur.truncated || (id == EXTRA_ZIP64 && wide)) {
            return PW_R_LAYER_BROKEN;
        }
        if (id == EXTRA_ZIP64) {
            wide = true;
            if (!read_wide(field, member)) {
                return PW_R_LAYER_BROKEN;
            }
        } else if (!harmless_extra(id)) {
            return PW_R_LAYER_UNKNOWN;
        }
    }
    bool unsaid = member->len == WIDE || member->packed == WIDE || member->at == WIDE;
    return unsaid && !wide ? PW_R_LAYER_BROKEN : PW_R_NONE;
}

/* zipfile ends a name at a NUL, and on Windows turns a backslash into a slash. */
static bool
plain_name(struct pw_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < ' ' || name.ptr[i] == 0x7f || name.ptr[i] == '\\') {
            return false;
        }
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

static enum pw_reason
read_central(struct pw_cursor *cur, struct member *member)
{
    uint64_t signature = pw_cursor_little(cur, 4);
    (void)pw_cursor_take(cur, 4); /* versions */
    member->flags = (uint16_t)pw_cursor_little(cur, 2);
    member->method = (uint16_t)pw_cursor_little(cur, 2);
    (void)pw_cursor_take(cur, 4); /* time */
    member->crc = (uint32_t)pw_cursor_little(cur, 4);
    member->packed = pw_cursor_little(cur, 4);
    member->len = pw_cursor_little(cur, 4);
    uint64_t name = pw_cursor_little(cur, 2);
    uint64_t extra_len = pw_cursor_little(cur, 2);
    uint64_t comment = pw_cursor_little(cur, 2);
    uint64_t disk = pw_cursor_little(cur, 2);
    (void)pw_cursor_take(cur, 6); /* attributes */
    member->at = pw_cursor_little(cur, 4);
    member->name = pw_cursor_take(cur, name);
    struct pw_span extra = pw_cursor_take(cur, extra_len);
    (void)pw_cursor_take(cur, comment);
    if (cur->truncated || signature != SIG_CENTRAL || disk != 0 ||
        !plain_name(member->name)) {
        return PW_R_LAYER_BROKEN;
    }
    if ((member->flags & ~FLAGS_KNOWN) != 0 || /* encrypted, patched, masked */
        (member->method != STORED && member->method != DEFLATED)) {
        return PW_R_LAYER_UNKNOWN;
    }
    return read_extra(extra, member);
}

static enum pw_reason
read_directory(struct archive *zip)
{
    struct pw_buf *table = &zip->layer->work[0];
    pw_buf_clear(table);
    table->limit = SIZE_MAX / 2;
    struct pw_cursor cur = cursor_at(zip->bytes, zip->at);
    struct pw_cursor directory = pw_cursor_over(pw_cursor_take(&cur, zip->len));
    while (directory.rest.len > 0) {
        struct member member = {0};
        enum pw_reason reason = read_central(&directory, &member);
        if (reason != PW_R_NONE) {
            return reason;
        }
        struct pw_span bytes = {(const uint8_t *)&member, sizeof member};
        if (pw_buf_append(table, bytes) != PW_E_OK) {
            return PW_R_INTERNAL_ERROR;
        }
    }
    zip->members = (struct member *)(void *)table->bytes;
    return zip->count == table->len / sizeof(struct member) ? PW_R_NONE : PW_R_LAYER_BROKEN;
}

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static int
compare_names(const void *a, const void *b)
{
    const struct pw_span *one = a;
    const struct pw_span *two = b;
    size_t len = one->len < two->len ? one->len : two->len;
    for (size_t i = 0; i < len; i++) {
        int difference = lower(one->ptr[i]) - lower(two->ptr[i]);
        if (difference != 0) {
            return difference;
        }
    }
    return (one->len > two->len) - (one->len < two->len);
}

static enum pw_reason
check_names(struct archive *zip)
{
    struct pw_buf *names = &zip->layer->work[1];
    pw_buf_clear(names);
    names->limit = SIZE_MAX / 2;
    for (size_t i = 0; i < zip->count; i++) {
        struct pw_span bytes = {(const uint8_t *)&zip->members[i].name,
                                sizeof zip->members[i].name};
        if (pw_buf_append(names, bytes) != PW_E_OK) {
            return PW_R_INTERNAL_ERROR;
        }
    }
    struct pw_span *sorted = (struct pw_span *)(void *)names->bytes;
    if (zip->count > 1) {
        qsort(sorted, zip->count, sizeof *sorted, compare_names);
    }
    for (size_t i = 1; i < zip->count; i++) {
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0) {
            return PW_R_LAYER_BROKEN;
        }
    }
    return PW_R_NONE;
}

/* ---- the members ------------------------------------------------------------------------
 */

/* The sizes behind the data, with or without a signature, 4 or 8 bytes each. */
static bool
agrees_behind(struct pw_span descriptor, const struct member *member)
{
    struct pw_cursor cur = pw_cursor_over(descriptor);
    size_t width = descriptor.len >= 20 ? 8 : 4;
    if (descriptor.len == 2 * width + 8 && pw_cursor_little(&cur, 4) != SIG_DESCRIPTOR) {
        return false;
    }
    uint64_t crc = pw_cursor_little(&cur, 4);
    uint64_t packed = pw_cursor_little(&cur, width);
    uint64_t len = pw_cursor_little(&cur, width);
    return !cur.truncated && cur.rest.len == 0 && crc == member->crc &&
           packed == member->packed && len == member->len;
}

/* A size in a local header: as in the directory, in its own zip64 field, or behind. */
static bool
same_size(uint64_t local, uint64_t value, bool behind)
{
    return local == value || local == WIDE || (behind && local == 0);
}

/* Find the data of a member, which ends where the next one or the directory begins. */
static bool
find_data(const struct archive *zip, struct member *member, uint64_t next)
{
    if (next < member->at) {
        return false;
    }
    struct pw_cursor cur = cursor_at(zip->bytes, member->at);
    cur = pw_cursor_over(pw_cursor_take(&cur, next - member->at));
    bool behind = (member->flags & FLAG_DESCRIPTOR) != 0;
    uint64_t signature = pw_cursor_little(&cur, 4);
    (void)pw_cursor_take(&cur, 2); /* version */
    uint64_t flags = pw_cursor_little(&cur, 2);
    uint64_t method = pw_cursor_little(&cur, 2);
    (void)pw_cursor_take(&cur, 4); /* time */
    uint64_t crc = pw_cursor_little(&cur, 4);
    uint64_t packed = pw_cursor_little(&cur, 4);
    uint64_t len = pw_cursor_little(&cur, 4);
    uint64_t name_len = pw_cursor_little(&cur, 2);
    uint64_t extra = pw_cursor_little(&cur, 2);
    struct pw_span name = pw_cursor_take(&cur, name_len);
    (void)pw_cursor_take(&cur, extra);
    member->data = pw_cursor_take(&cur, member->packed);
    return !cur.truncated && signature == SIG_LOCAL && flags == member->flags &&
           method == member->method && pw_span_equal(name, member->name) &&
           (crc == member->crc || (behind && crc == 0)) &&
           same_size(packed, member->packed, behind) &&
           same_size(len, member->len, behind) &&
           (behind ? agrees_behind(cur.rest, member) : cur.rest.len == 0) &&
           (member->method != STORED || member->packed == member->len);
}

static enum pw_reason
find_members(struct archive *zip)
{
    if ((zip->count > 0 ? zip->members[0].at : zip->at) != 0) {
        return PW_R_LAYER_BROKEN; /* something stands in front */
    }
    for (size_t i = 0; i < zip->count; i++) {
        uint64_t next = i + 1 < zip->count ? zip->members[i + 1].at : zip->at;
        if (!find_data(zip, &zip->members[i], next)) {
            return PW_R_LAYER_BROKEN;
        }
    }
    return PW_R_NONE;
}

static enum pw_reason
unpack(struct archive *zip, const struct member *member, struct pw_span *out)
{
    *out = member->data;
    if (member->method == DEFLATED) {
        enum pw_reason reason =
            pw_layer_inflate_raw(zip->layer, member->data, member->len, out);
        if (reason != PW_R_NONE) {
            return reason;
        }
    }
    uint32_t crc = (uint32_t)crc32_z(0, out->ptr, out->len);
    return crc == member->crc ? PW_R_NONE : PW_R_LAYER_BROKEN;
}

static bool
ends_in(struct pw_span name, const char *ending)
{
    struct pw_span wanted = pw_span_str(ending);
    struct pw_span end = {name.ptr, wanted.len};
    if (name.len < wanted.len) {
        return false;
    }
    end.ptr += name.len - wanted.len;
    return compare_names(&end, &wanted) == 0;
}

/*
 * What a member is, by the rule and its name: a chain; NULL for data. PyTorch unpickles
 * *.pkl and takes the rest as it is; numpy looks at each member's first bytes.
 */
static const struct pw_layer_rule *
chain_of(const struct pw_layer_rule *inside, const struct member *member)
{
    if (inside->kind == PW_LAYER_NPY) {
        return inside;
    }
    if (ends_in(member->name, ".pkl")) {
        return pw_layer_bare;
    }
    if (inside->kind == PW_LAYER_PICKLE) {
        return NULL;
    }
    bool array = member->method == DEFLATED || ends_in(member->name, ".npy") ||
                 pw_layer_starts(member->data, npy_magic, sizeof npy_magic - 1);
    return array ? pw_layer_array : NULL;
}

static void
visit_member(struct archive *zip, const struct pw_layer_rule *inside,
             const struct member *member)
{
    const struct pw_layer_rule *chain = chain_of(inside, member);
    if (chain == NULL) {
        return;
    }
    struct pw_span bytes;
    enum pw_reason reason = unpack(zip, member, &bytes);
    if (reason != PW_R_NONE) {
        pw_layer_refuse_inside(zip->layer, reason, "zip", ":", member->name);
        return;
    }
    if (inside->kind == PW_LAYER_AUTO && chain == pw_layer_array &&
        !ends_in(member->name, ".npy") &&
        !pw_layer_starts(bytes, npy_magic, sizeof npy_magic - 1)) {
        return; /* data that was deflated */
    }
    pw_layer_inside(zip->layer, chain, bytes, "zip", ":", member->name);
}

/* What members say of themselves; whoever reads them all would believe it. */
static bool
within_limits(const struct archive *zip)
{
    const struct pw_limits *limits = zip->layer->limits;
    for (size_t i = 0; i < zip->count; i++) {
        const struct member *member = &zip->members[i];
        bool much = member->len > limits->max_bytes ||
                    member->len > member->packed * limits->max_ratio;
        if (member->method == DEFLATED && much) {
            return false;
        }
    }
    return true;
}

void
pw_layer_open_zip(struct pw_layer *layer, const struct pw_layer_rule *rule,
                  struct pw_span bytes)
{
    struct archive zip = {.layer = layer, .bytes = bytes};
    enum pw_reason reason = read_end(&zip) ? read_directory(&zip) : PW_R_LAYER_BROKEN;
    reason = reason == PW_R_NONE ? check_names(&zip) : reason;
    reason = reason == PW_R_NONE ? find_members(&zip) : reason;
    if (reason == PW_R_NONE && !within_limits(&zip)) {
        reason = PW_R_LIMIT_INFLATE;
    }
    if (reason != PW_R_NONE) {
        pw_layer_refuse(layer, reason);
        return;
    }
    for (size_t i = 0; i < zip.count && layer->err == PW_E_OK; i++) {
        visit_member(&zip, rule + 1, &zip.members[i]);
    }
}
