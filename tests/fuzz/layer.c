/* SPDX-License-Identifier: Apache-2.0
 *
 * Arbitrary bytes through every chain of layers: what is given is in bounds, and a second
 * walk, with the memory of the first, gives the same. The first byte chooses the chain.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/pickle/layer.h"
#include "common/pickle/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static const struct pw_limits limits = {.max_bytes = 1 << 18,
                                        .max_ops = 1 << 16,
                                        .max_stack = 1 << 14,
                                        .max_depth = 1000,
                                        .max_memo = 1 << 14,
                                        .max_ratio = 200,
                                        .max_unfold = 1 << 16,
                                        .max_work = 1 << 16,
                                        .max_key_depth = 100,
                                        .max_collisions = 100,
                                        .max_int_bytes = 4096,
                                        .max_heap = 1 << 24};

static const struct pw_layers chains[] = {
    {{{.kind = PW_LAYER_AUTO}}},
    {{{.kind = PW_LAYER_JOBLIB}}},
    {{{.kind = PW_LAYER_ZLIB}}},
    {{{.kind = PW_LAYER_GZIP}}},
    {{{.kind = PW_LAYER_BZ2}}},
    {{{.kind = PW_LAYER_XZ}}},
    {{{.kind = PW_LAYER_BASE64}, {.kind = PW_LAYER_AUTO}}},
    {{{.kind = PW_LAYER_MSGPACK, .first = 0, .last = 127}, {.kind = PW_LAYER_AUTO}}},
    {{{.kind = PW_LAYER_ZIP}}},
    {{{.kind = PW_LAYER_ZIP}, {.kind = PW_LAYER_NPY}}},
    {{{.kind = PW_LAYER_NPY}}},
    {{{.kind = PW_LAYER_SKIP, .separator = ' ', .count = 2}, {.kind = PW_LAYER_AUTO}}},
};

struct walked {
    struct pw_scan *scan;
    size_t frame_len;
    size_t parts;
    size_t refusals;
    uint64_t bytes;
    uint32_t sum; /* of every byte and label */
};

static void
add_up(struct walked *walked, struct pw_span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        walked->sum = walked->sum * 31 + bytes.ptr[i];
    }
}

static void
take_pickle(void *arg, struct pw_span bytes, struct pw_span where)
{
    struct walked *walked = arg;
    struct pw_report report;
    walked->parts++;
    walked->bytes += bytes.len;
    must(bytes.len <= limits.max_bytes);
    must(where.len <= 512);
    add_up(walked, bytes);
    add_up(walked, where);
    must(pw_scan_frame(walked->scan, bytes, &limits, &report) == PW_E_OK);
}

static void
take_refusal(void *arg, enum pw_reason reason, struct pw_span where)
{
    struct walked *walked = arg;
    must(reason != PW_R_NONE && reason != PW_R_INTERNAL_ERROR);
    walked->refusals++;
    add_up(walked, where);
}

static struct walked
walk_all(struct pw_layer *layer, struct pw_scan *scan, const struct pw_layers *chain,
         struct pw_span frame)
{
    struct walked walked = {.scan = scan, .frame_len = frame.len};
    struct pw_layer_visitor visitor = {
        .arg = &walked, .pickle = take_pickle, .refused = take_refusal};
    must(pw_layer_walk(layer, chain, frame, &limits, &visitor) == PW_E_OK);
    /* Four depths may unfold, each up to the limit; the frame itself may be shown too. */
    must(walked.bytes <= 5 * limits.max_bytes + 2 * frame.len);
    return walked;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pw_layer *layer;
    static struct pw_scan *scan;
    if (layer == NULL) {
        layer = pw_layer_new();
        scan = pw_scan_new();
    }
    if (size == 0) {
        return 0;
    }
    const struct pw_layers *chain = &chains[data[0] % PW_COUNT(chains)];
    struct pw_span frame = {data + 1, size - 1};
    struct walked first = walk_all(layer, scan, chain, frame);
    struct walked second = walk_all(layer, scan, chain, frame);
    must(first.parts == second.parts && first.refusals == second.refusals);
    must(first.sum == second.sum && first.bytes == second.bytes);
    return 0;
}
