/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pickle/scan.h"

#include <stdlib.h>

#include "common/pickle/machine.h"

struct pw_scan *
pw_scan_new(void)
{
    return calloc(1, sizeof(struct pw_scan));
}

void
pw_scan_free(struct pw_scan **scan)
{
    if (*scan != NULL) {
        pw_scan_free(&(*scan)->nested);
        pw_machine_clear(*scan);
    }
    free(*scan);
    *scan = NULL;
}

/*
 * A line cut short: Lib/pickle.py takes what is left of it, less its last byte, and imports
 * that, or asks persistent_load for it, before it notices the end.
 */
static void
do_truncated(struct pw_scan *m, struct pw_op *op)
{
    if (op->code == PW_OP_PERSID) {
        pw_machine_find(m, PW_R_PERSID_DENIED, op);
    }
    if (pw_decode_rows[op->code].lines != 2) {
        return;
    }
    struct pw_span *cut = op->line2.ptr != NULL ? &op->line2 : &op->line;
    cut->len -= cut->len > 0 ? 1 : 0;
    struct pw_value global;
    (void)pw_machine_import(m, op, op->line, op->line2, &global);
}

/* An argument that cannot be read may end where another reader reads on: behind its FRAME.
 */
static void
cut_straddles(struct pw_scan *m, const struct pw_op *op)
{
    if (op->off < m->frame_end && m->frame_end < m->frame.len) {
        pw_machine_find(m, PW_R_FRAME_STRADDLE, op);
    }
}

static void
stop_undecoded(struct pw_scan *m, struct pw_op *op, enum pw_decoded why)
{
    switch (why) {
    case PW_DECODE_END:
        pw_machine_find(m, PW_R_PICKLE_NO_STOP, NULL);
        return;
    case PW_DECODE_UNKNOWN:
        pw_machine_find(m, op->off == 0 ? PW_R_PICKLE_OPAQUE : PW_R_PICKLE_OPCODE, op);
        return;
    case PW_DECODE_LENGTH:
        cut_straddles(m, op);
        pw_machine_find(m, PW_R_PICKLE_LENGTH, op);
        return;
    case PW_DECODE_TRUNCATED:
        cut_straddles(m, op);
        do_truncated(m, op);
        pw_machine_find(m, PW_R_PICKLE_TRUNCATED, op);
        return;
    case PW_DECODE_OP:
        return;
    }
}

/* `op` ends behind the frame in force: either it starts there too, or it straddles. */
static void
leave_frame(struct pw_scan *m, const struct pw_op *op)
{
    if (op->off < m->frame_end) {
        pw_machine_find(m, PW_R_FRAME_STRADDLE, op);
    }
    m->frame_end = UINT64_MAX;
}

/* PROTO and FRAME stand at the beginning of nearly every pickle: where they end. */
static size_t
begin(struct pw_scan *m)
{
    enum { PROTO_LEN = 2, FRAME_LEN = 9, BOTH = PROTO_LEN + FRAME_LEN };
    const uint8_t *bytes = m->frame.ptr;
    size_t len = m->frame.len;
    if (m->limits.max_ops <= 2 || len < PROTO_LEN || bytes[0] != PW_OP_PROTO ||
        bytes[1] > 5) {
        return 0;
    }
    m->proto = bytes[1];
    m->proto_high = m->proto;
    m->ops = 1;
    if (len < BOTH || bytes[PROTO_LEN] != PW_OP_FRAME) {
        return PROTO_LEN;
    }
    uint64_t size = pw_decode_number(bytes + PROTO_LEN + 1, len - PROTO_LEN - 1,
                                     &pw_decode_rows[PW_OP_FRAME]);
    if (size > len - BOTH) {
        return PROTO_LEN;
    }
    m->frame_end = BOTH + size;
    m->ops = 2;
    return BOTH;
}

/* Run to the end. *consumed is where; true when a STOP was reached. */
static bool
run(struct pw_scan *m, uint64_t *consumed)
{
    struct pw_op op = {0};
    for (size_t at = begin(m);; at = op.end) {
        at = pw_machine_fast(m, at);
        *consumed = at;
        enum pw_decoded decoded = pw_decode(m->frame, at, &op);
        if (decoded != PW_DECODE_OP) {
            stop_undecoded(m, &op, decoded);
            return false;
        }
        if (op.end > m->frame_end) {
            leave_frame(m, &op);
        }
        if (m->ops++ == m->limits.max_ops) {
            pw_machine_find(m, PW_R_LIMIT_OPS, &op);
            return false;
        }
        if (!pw_machine_step(m, &op)) {
            return false;
        }
        if (op.effect == PW_EFFECT_STOP) {
            *consumed = op.end;
            return true;
        }
    }
}

static enum pw_kind
scan_bytes(struct pw_scan *m, uint64_t *consumed)
{
    *consumed = 0;
    if (m->frame.len == 0) {
        return PW_KIND_EMPTY;
    }
    if (m->frame.len > m->limits.max_bytes || m->frame.len > PW_BYTES_CEILING) {
        pw_machine_find(m, PW_R_LIMIT_BYTES, NULL);
        return PW_KIND_BROKEN;
    }
    if (!PW_ARRAY_ROOM(m, &m->objects) || !PW_ARRAY_ROOM(m, &m->stack) ||
        !PW_ARRAY_ROOM(m, &m->marks) || !PW_ARRAY_ROOM(m, &m->memo)) {
        return PW_KIND_BROKEN;
    }
    pw_machine_set_room(m);
    m->objects.at[m->objects.len++] =
        (struct object){.size = 1, .depth = 1, .flags = OBJECT_KEPT};
    if (!run(m, consumed)) {
        return pw_decode_rows[m->frame.ptr[0]].known ? PW_KIND_BROKEN : PW_KIND_OPAQUE;
    }
    if (*consumed < m->frame.len) {
        struct pw_op behind = {.off = (size_t)*consumed};
        pw_machine_find(m, PW_R_PICKLE_TRAILING, &behind);
        m->finds[m->find_count - 1].op = -1; /* no opcode: data */
    }
    return PW_KIND_PICKLE;
}

enum pw_err
pw_scan_frame(struct pw_scan *scan, struct pw_span frame, const struct pw_limits *limits,
              struct pw_report *out)
{
    pw_machine_reset(scan, frame, limits);
    uint64_t consumed;
    enum pw_kind kind = scan_bytes(scan, &consumed);
    *out = (struct pw_report){
        .kind = scan->err == PW_E_OK ? kind : PW_KIND_BROKEN,
        .proto = scan->proto_high,
        .ops = scan->ops,
        .depth = scan->max_depth,
        .memo = scan->memo_count,
        .buffers = scan->buffers,
        .bytes = frame.len,
        .consumed = consumed,
        .imports = scan->imports.at,
        .import_count = scan->imports.len,
        .used = scan->used.at,
        .used_count = scan->used.len,
        .finds = scan->finds,
        .find_count = scan->find_count,
        .unkept = scan->unkept,
        .scan = scan,
        .frame = frame,
    };
    return scan->err;
}

enum pw_err
pw_scan_nested(const struct pw_report *outer, struct pw_span bytes, struct pw_report *out)
{
    struct pw_scan *scan = outer->scan;
    *out = (struct pw_report){0};
    if (scan->nesting + 1 >= PW_SCAN_NESTING) {
        return PW_E_LIMIT;
    }
    if (scan->nested == NULL) {
        scan->nested = pw_scan_new();
        if (scan->nested == NULL) {
            return PW_E_NOMEM;
        }
        scan->nested->nesting = scan->nesting + 1;
    }
    return pw_scan_frame(scan->nested, bytes, &scan->limits, out);
}
