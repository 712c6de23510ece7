/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/machine.h"

#include <stdlib.h>

#include "common/pickle/cost.h"
#include "common/pickle/text.h"

enum {
    FIRST_ITEMS = 64,
    CHUNK_BYTES = 16 * 1024,
    KEEP_BYTES = 16 << 20, /* an array larger than this is given back after its frame */
    DEPTH_CEILING = 10000, /* cost.c and effects.c recurse */
};

struct chunk {
    struct chunk *next;
    size_t used;
    size_t cap;
    uint8_t bytes[];
};

/* The common shape of every PW_ARRAY. */
typedef PW_ARRAY(void) any_array;

bool
pw_machine_grow(struct pw_scan *m, void *array, size_t item_size)
{
    any_array *any = array;
    uint64_t cap = any->cap == 0 ? FIRST_ITEMS : (uint64_t)any->cap * 2;
    void *at = cap > UINT32_MAX ? NULL : realloc(any->at, cap * item_size);
    if (at == NULL) {
        m->err = PW_E_NOMEM;
        return false;
    }
    any->at = at;
    any->cap = (uint32_t)cap;
    return true;
}

static void
empty_array(void *array, size_t item_size)
{
    any_array *any = array;
    any->len = 0;
    if ((uint64_t)any->cap * item_size > KEEP_BYTES) {
        free(any->at);
        *any = (any_array){0};
    }
}

static void
free_array(void *array)
{
    any_array *any = array;
    free(any->at);
    *any = (any_array){0};
}

/* Keep the first chunk for the next frame. */
static void
empty_chunks(struct pw_scan *m)
{
    while (m->chunks != NULL && m->chunks->next != NULL) {
        struct chunk *next = m->chunks->next;
        free(m->chunks);
        m->chunks = next;
    }
    if (m->chunks != NULL) {
        m->chunks->used = 0;
    }
}

void
pw_machine_reset(struct pw_scan *m, struct pw_span frame, const struct pw_limits *limits)
{
    m->frame = frame;
    m->limits = *limits;
    m->limits.max_depth =
        limits->max_depth < DEPTH_CEILING ? limits->max_depth : DEPTH_CEILING;
    m->err = PW_E_OK;
    empty_array(&m->stack, sizeof *m->stack.at);
    empty_array(&m->marks, sizeof *m->marks.at);
    empty_array(&m->memo, sizeof *m->memo.at);
    empty_array(&m->objects, sizeof *m->objects.at);
    empty_array(&m->items, sizeof *m->items.at);
    empty_array(&m->hashes, sizeof *m->hashes.at);
    empty_array(&m->roots, sizeof *m->roots.at);
    empty_array(&m->walk, sizeof *m->walk.at);
    empty_array(&m->texts, sizeof *m->texts.at);
    empty_array(&m->imports, sizeof *m->imports.at);
    empty_array(&m->used, sizeof *m->used.at);
    empty_chunks(m);
    m->fence = 0;
    m->plain_from = 0;
    m->memo_count = 0;
    m->memo_gap = false;
    m->far_count = 0;
    pw_cost_reset(m);
    m->frame_end = UINT64_MAX;
    m->ops = 0;
    m->max_depth = 0;
    m->buffers = 0;
    m->proto = 0;
    m->proto_high = 0;
    if (m->find_count > 0) {
        memset(m->kept, 0, sizeof m->kept);
        memset(m->unkept, 0, sizeof m->unkept);
        m->find_count = 0;
    }
}

void
pw_machine_clear(struct pw_scan *m)
{
    free_array(&m->stack);
    free_array(&m->marks);
    free_array(&m->memo);
    free_array(&m->objects);
    free_array(&m->items);
    free_array(&m->hashes);
    free_array(&m->roots);
    free_array(&m->walk);
    free_array(&m->texts);
    free_array(&m->imports);
    free_array(&m->used);
    empty_chunks(m);
    free(m->chunks);
    m->chunks = NULL;
    free(m->sketch);
    m->sketch = NULL;
}

uint8_t *
pw_machine_text(struct pw_scan *m, size_t len)
{
    struct chunk *chunk = m->chunks;
    if (chunk == NULL || chunk->cap - chunk->used < len) {
        size_t cap = len > CHUNK_BYTES ? len : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + cap);
        if (chunk == NULL) {
            m->err = PW_E_NOMEM;
            return NULL;
        }
        *chunk = (struct chunk){.next = m->chunks, .cap = cap};
        m->chunks = chunk;
    }
    uint8_t *bytes = chunk->bytes + chunk->used;
    chunk->used += len;
    return bytes;
}

void
pw_machine_find_name(struct pw_scan *m, enum pw_reason reason, const struct pw_op *op,
                     struct pw_span mod, struct pw_span name)
{
    enum pw_door door = pw_reason_door(reason);
    if (m->kept[door] == PW_REPORT_FINDS) {
        m->unkept[door]++;
        return;
    }
    m->kept[door]++;
    m->finds[m->find_count++] = (struct pw_find){
        .reason = reason,
        .off = (uint32_t)(op == NULL ? m->frame.len : op->off),
        .op = op == NULL ? -1 : op->code,
        .mod = mod,
        .name = name,
    };
}

void
pw_machine_find(struct pw_scan *m, enum pw_reason reason, const struct pw_op *op)
{
    pw_machine_find_name(m, reason, op, (struct pw_span){0}, (struct pw_span){0});
}

bool
pw_machine_value_text(const struct pw_scan *m, struct pw_value value, struct pw_span *text)
{
    if (value.kind != PW_V_STR && value.kind != PW_V_BYTES && value.kind != PW_V_BYTESTR) {
        return false;
    }
    if (value.decoded) {
        *text = m->texts.at[value.ref];
        return true;
    }
    struct pw_op op = {0};
    if (pw_decode(m->frame, value.ref, &op) != PW_DECODE_OP) {
        return false;
    }
    *text = op.code == PW_OP_UNICODE ? op.line : pw_op_data(m->frame, &op);
    return true;
}

const struct hashed *
pw_machine_hashed(const struct pw_scan *m, struct pw_value value)
{
    uint32_t from = 0;
    uint32_t until = value.kind == PW_V_INSTANCE ? m->hashes.len : 0;
    while (from < until) {
        uint32_t middle = from + (until - from) / 2;
        const struct hashed *hashed = &m->hashes.at[middle];
        if (hashed->object == value.ref) {
            return hashed;
        }
        from = hashed->object < value.ref ? middle + 1 : from;
        until = hashed->object < value.ref ? until : middle;
    }
    return NULL;
}
