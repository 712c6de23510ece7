/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/pipeline.h"

#include <stdlib.h>

#include "common/base/json.h"
#include "common/pickle/layer.h"
#include "common/pickle/opcode.h"
#include "common/pickle/scan.h"

struct pw_pipeline {
    struct pw_pipeline_options options;
    struct pw_scan *scan;
    struct pw_layer *layer;
    struct pw_span *payload; /* max_frames + 1 of them: the frames without the trailer */
    uint8_t trailer[PW_TRAILER_MAX];
    struct pw_decision_find finds[PW_FINDS_MAX];
};

/* One message on its way through. */
struct passage {
    struct pw_pipeline *pipe;
    const struct pw_span *frames; /* the payload */
    size_t count;
    size_t frame; /* under examination */
    size_t gap;   /* so many frames of the message, from `gap_at` on, are no payload */
    size_t gap_at;
    struct pw_decision *out;
};

struct pw_pipeline *
pw_pipeline_new(const struct pw_pipeline_options *options)
{
    struct pw_pipeline *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL) {
        return NULL;
    }
    pipe->options = *options;
    pipe->scan = pw_scan_new();
    pipe->layer = pw_layer_new();
    pipe->payload = calloc(options->max_frames + 1, sizeof *pipe->payload);
    if (pipe->scan == NULL || pipe->layer == NULL || pipe->payload == NULL) {
        pw_pipeline_free(&pipe);
    }
    return pipe;
}

void
pw_pipeline_free(struct pw_pipeline **pipe)
{
    if (*pipe != NULL) {
        pw_scan_free(&(*pipe)->scan);
        pw_layer_free(&(*pipe)->layer);
        free((*pipe)->payload);
    }
    free(*pipe);
    *pipe = NULL;
}

void
pw_pipeline_use(struct pw_pipeline *pipe, struct pw_verifier *verifier,
                struct pw_signer *signer, struct pw_foreign *foreign)
{
    pipe->options.verifier = verifier;
    pipe->options.signer = signer;
    pipe->options.foreign = foreign;
}

/* ---- findings -------------------------------------------------------------------------
 */

static uint16_t
copy_name(struct pw_span name, char out[static PW_NAME_MAX])
{
    if (name.len > 0) {
        memcpy(out, name.ptr, name.len < PW_NAME_MAX ? name.len : PW_NAME_MAX);
    }
    return (uint16_t)(name.len < UINT16_MAX ? name.len : UINT16_MAX);
}

/* The place of a payload frame in the message as it came. */
static size_t
place_of(const struct passage *passage, size_t frame)
{
    return frame < passage->gap_at ? frame : frame + passage->gap;
}

/* The slot for one more finding; a graver one than all before takes the last when full. */
static struct pw_decision_find *
find_slot(const struct passage *passage, bool graver)
{
    struct pw_decision_find *finds = passage->pipe->finds;
    if (passage->out->find_count < PW_FINDS_MAX) {
        return &finds[passage->out->find_count++];
    }
    return graver ? &finds[PW_FINDS_MAX - 1] : NULL;
}

static void
found(void *arg, const struct pw_find *find)
{
    struct passage *passage = arg;
    struct pw_decision *out = passage->out;
    bool graver = out->reason == PW_R_NONE ||
                  pw_reason_level(find->reason) > pw_reason_level(out->reason);
    out->reason = graver ? find->reason : out->reason;
    out->finds_total++;
    const struct pw_danger *danger = pw_dangerous(find->mod, find->name);
    enum pw_level level = pw_danger_level(find->reason, danger);
    struct pw_decision_find *slot = find_slot(passage, graver || level > out->level);
    out->level = level > out->level ? level : out->level;
    if (slot == NULL) {
        return;
    }
    slot->danger = danger;
    slot->reason = find->reason;
    slot->frame = (uint16_t)place_of(passage, passage->frame);
    slot->off = find->off;
    slot->op = find->op < 0 ? NULL : pw_opcode_info((uint8_t)find->op)->name;
    slot->mod_len = copy_name(find->mod, slot->mod);
    slot->name_len = copy_name(find->name, slot->name);
}

static void
refuse(struct passage *passage, enum pw_reason reason)
{
    found(passage, &(struct pw_find){.reason = reason, .op = -1});
}

/* ---- signature ------------------------------------------------------------------------
 */

/* The last frame that the rules call a pickle; false when there is none. */
static bool
find_carrier(const struct pw_frame_rules *rules, size_t count, size_t *carrier)
{
    for (size_t i = count; i-- > 0;) {
        const struct pw_frame_rule *rule = pw_frame_rules_at(rules, i);
        if (rule != NULL && rule->kind == PW_FRAME_PICKLE) {
            *carrier = i;
            return true;
        }
    }
    return false;
}

/* Where the trailer is: the frame that carries it and its length there; false: nowhere. */
static bool
find_trailer(const struct passage *passage, size_t *carrier, size_t *len)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    if (options->envelope == PW_ENVELOPE_FRAME) {
        *carrier = passage->count - 1;
        *len = pw_trailer_at_end(passage->frames[*carrier]);
        return passage->count > 1 && *len > 0 && *len == passage->frames[*carrier].len;
    }
    if (!find_carrier(options->rules, passage->count, carrier)) {
        return false;
    }
    *len = pw_trailer_at_end(passage->frames[*carrier]);
    return *len > 0;
}

/* Where one must be, and is not. */
static void
refuse_absent(struct passage *passage)
{
    struct pw_sig_result *sig = &passage->out->sig;
    size_t carrier = passage->count - 1;
    bool looks = passage->pipe->options.envelope == PW_ENVELOPE_FRAME ||
                 find_carrier(passage->pipe->options.rules, passage->count, &carrier);
    bool remains = looks && pw_trailer_remains(passage->frames[carrier]);
    sig->state = remains ? PW_SIG_BAD : PW_SIG_MISSING;
    sig->reason = remains ? PW_R_SIG_FORMAT : PW_R_SIG_MISSING;
    refuse(passage, sig->reason);
}

/* Take the trailer out of the payload, and plan how the message leaves without it. */
static struct pw_span
detach_trailer(struct passage *passage, size_t carrier, size_t len)
{
    struct pw_pipeline *pipe = passage->pipe;
    struct pw_edit *edit = &passage->out->edit;
    memcpy(pipe->payload, passage->frames, passage->count * sizeof *pipe->payload);
    struct pw_span *frame = &pipe->payload[carrier];
    struct pw_span trailer = {frame->ptr + frame->len - len, len};
    frame->len -= len;
    passage->frames = pipe->payload;
    if (pipe->options.envelope == PW_ENVELOPE_FRAME) {
        passage->count--;
        edit->drop_frame = true;
    } else {
        edit->cut = true;
        edit->carrier = carrier;
        edit->keep = frame->len;
    }
    passage->out->edited = true;
    return trailer;
}

/* What has a true signature may still be old, or have been here before. */
static void
admit(struct passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_sig_result *sig = &passage->out->sig;
    if (sig->state == PW_SIG_OK && options->guard != NULL) {
        enum pw_reason reason = pw_guard_admit(options->guard, now_ns, sig);
        if (reason != PW_R_NONE) {
            refuse(passage, reason);
        }
    }
}

static void
verify(struct passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_sig_result *sig = &passage->out->sig;
    size_t carrier;
    size_t len;
    if (!find_trailer(passage, &carrier, &len)) {
        sig->state = PW_SIG_MISSING;
        if (options->verify == PW_VERIFY_REQUIRED) {
            refuse_absent(passage);
        }
        return;
    }
    struct pw_span trailer = detach_trailer(passage, carrier, len);
    pw_verifier_set_now(options->verifier, now_ns);
    pw_verifier_check(options->verifier, passage->frames, passage->count, trailer, sig);
    if (sig->state != PW_SIG_OK) {
        passage->frame = carrier;
        refuse(passage, sig->reason);
    }
    admit(passage, now_ns);
}

/* Into the batch of this wall, with the frames as they leave; the trailer comes later. */
static void
sign(struct passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_decision *out = passage->out;
    size_t carrier = 0;
    bool as_frame = options->envelope == PW_ENVELOPE_FRAME;
    if (!as_frame && !find_carrier(options->rules, passage->count, &carrier)) {
        refuse(passage, PW_R_RULE_COUNT); /* no pickle that could carry it */
        return;
    }
    enum pw_reason unusable = pw_signer_usable(options->signer, now_ns);
    if (unusable != PW_R_NONE) {
        refuse(passage, unusable); /* the receiver would refuse it */
        return;
    }
    if (pw_signer_add(options->signer, passage->frames, passage->count, now_ns,
                      &out->slot) != PW_E_OK) {
        refuse(passage, PW_R_LIMIT_FRAMES);
        return;
    }
    out->edit.as_frame = as_frame;
    out->edit.carrier = carrier;
    out->edited = true;
    out->batched = true;
}

/* ---- signatures of other programs ------------------------------------------------------
 */

/* The payload lies behind the signature of a Jupyter message, and identities before it. */
static void
step_into(struct passage *passage, const struct pw_foreign_parts *parts)
{
    passage->gap = parts->tag_frame + 1;
    passage->frames += passage->gap;
    passage->count -= passage->gap;
}

/* Take the tag out of the payload, and plan how the message leaves without it. */
static void
detach_tag(struct passage *passage, const struct pw_foreign_parts *parts)
{
    struct pw_pipeline *pipe = passage->pipe;
    struct pw_edit *edit = &passage->out->edit;
    passage->out->edited = true;
    edit->carrier = parts->tag_frame;
    edit->cut = true;
    if (pipe->options.layout == PW_LAYOUT_JUPYTER) {
        step_into(passage, parts); /* an empty tag is none: the frame stays */
        return;
    }
    memcpy(pipe->payload, passage->frames, passage->count * sizeof *pipe->payload);
    passage->frames = pipe->payload;
    pipe->payload[parts->tag_frame] = parts->covered[0];
    if (pipe->options.layout == PW_LAYOUT_DETACHED) {
        passage->count--;
        passage->gap = 1;
        passage->gap_at = parts->tag_frame;
        *edit = (struct pw_edit){.drop_frame = true, .behind = 1};
        return;
    }
    edit->keep = parts->covered[0].len;
    edit->skip = pipe->options.layout == PW_LAYOUT_PREFIX ? parts->tag.len : 0;
}

static void
verify_foreign(struct passage *passage, const struct pw_foreign_parts *parts,
               enum pw_reason malformed, uint64_t now_ns)
{
    struct pw_sig_result *sig = &passage->out->sig;
    if (malformed == PW_R_NONE) {
        pw_foreign_check(passage->pipe->options.foreign, parts, now_ns, sig);
    } else {
        sig->state = malformed == PW_R_SIG_MISSING ? PW_SIG_MISSING : PW_SIG_BAD;
        sig->reason = malformed;
    }
    if (sig->reason != PW_R_NONE) {
        passage->frame = parts->tag_frame;
        refuse(passage, sig->reason);
    }
}

/*
 * Find the payload, and verify its tag. False: refused, and there is no more to be done;
 * what nobody signed is not worth inflating.
 */
static bool
open_foreign(struct passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    bool jupyter = options->layout == PW_LAYOUT_JUPYTER;
    if (options->verify == PW_VERIFY_OFF && !jupyter) {
        return true;
    }
    struct pw_foreign_parts parts;
    enum pw_reason malformed =
        pw_foreign_split(options->layout, passage->frames, passage->count, &parts);
    if (options->verify != PW_VERIFY_OFF) {
        verify_foreign(passage, &parts, malformed, now_ns);
    } else if (parts.covered_count == 0) {
        refuse(passage, malformed);
    }
    if (options->verify != PW_VERIFY_OFF && malformed == PW_R_NONE) {
        detach_tag(passage, &parts);
    } else if (jupyter && parts.covered_count > 0) {
        step_into(passage, &parts);
    }
    return passage->out->reason == PW_R_NONE || options->on_violation == PW_PASS;
}

/* Where the tag of this wall goes. */
static void
place_tag(struct passage *passage)
{
    struct pw_edit *edit = &passage->out->edit;
    switch (passage->pipe->options.layout) {
    case PW_LAYOUT_PREFIX:
        edit->front = true;
        edit->carrier = passage->count - 1;
        return;
    case PW_LAYOUT_DETACHED:
        edit->as_frame = true;
        edit->behind = 1;
        return;
    case PW_LAYOUT_JUPYTER:
        edit->cut = true;
        edit->carrier = passage->gap - 1;
        return;
    case PW_LAYOUT_SUFFIX:
    case PW_LAYOUT_NONE:
        edit->carrier = passage->count - 1;
        return;
    }
}

static void
sign_foreign(struct passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_edit *edit = &passage->out->edit;
    bool jupyter = options->layout == PW_LAYOUT_JUPYTER;
    if (jupyter && passage->gap == 0) {
        return; /* it has no place for a tag, which is reported */
    }
    const struct pw_span *covered =
        jupyter ? passage->frames : &passage->frames[passage->count - 1];
    enum pw_reason reason =
        pw_foreign_sign(options->foreign, covered, jupyter ? PW_FOREIGN_PARTS : 1, now_ns,
                        passage->pipe->trailer);
    if (reason != PW_R_NONE) {
        refuse(passage, reason);
        return;
    }
    edit->trailer =
        (struct pw_span){passage->pipe->trailer, pw_foreign_tag_size(options->layout)};
    passage->out->edited = true;
    place_tag(passage);
}

/* ---- frames ---------------------------------------------------------------------------
 */

/* The buffers that come right behind the frame: those up to the next pickle are its. */
static size_t
buffers_behind(const struct passage *passage)
{
    size_t count = 0;
    for (size_t i = passage->frame + 1; i < passage->count; i++) {
        const struct pw_frame_rule *rule =
            pw_frame_rules_at(passage->pipe->options.rules, i);
        if (rule == NULL || rule->kind != PW_FRAME_BUFFER) {
            break;
        }
        count++;
    }
    return count;
}

static void
add_report(struct pw_decision *out, const struct pw_report *report)
{
    out->scanned = true;
    out->proto = report->proto > out->proto ? report->proto : out->proto;
    out->ops += report->ops;
    out->depth = report->depth > out->depth ? report->depth : out->depth;
    out->memo += report->memo;
}

static void
examine_pickle(void *arg, struct pw_span bytes, struct pw_span where)
{
    struct passage *passage = arg;
    (void)where;
    const struct pw_policy *policy = passage->pipe->options.policy;
    struct pw_report report;
    if (pw_scan_frame(passage->pipe->scan, bytes, pw_policy_limits(policy), &report) !=
        PW_E_OK) {
        refuse(passage, PW_R_INTERNAL_ERROR);
    }
    add_report(passage->out, &report);
    size_t kept = passage->out->finds_total;
    size_t refusals = pw_policy_judge(policy, &report, found, passage);
    if (refusals > 0 && passage->out->finds_total == kept) {
        refuse(passage, PW_R_INTERNAL_ERROR); /* refusals that the report did not keep */
    }
    if (report.buffers > 0 && report.buffers > buffers_behind(passage)) {
        refuse(passage, PW_R_RULE_BUFFERS);
    }
}

static void
refuse_layer(void *arg, enum pw_reason reason, struct pw_span where)
{
    (void)where;
    refuse(arg, reason);
}

/* Every pickle in what lies around it. */
static void
examine_layers(struct passage *passage, const struct pw_frame_rule *rule,
               struct pw_span bytes)
{
    struct pw_pipeline *pipe = passage->pipe;
    struct pw_layer_visitor visitor = {
        .arg = passage, .pickle = examine_pickle, .refused = refuse_layer};
    if (pw_layer_walk(pipe->layer, &rule->layers, bytes,
                      pw_policy_limits(pipe->options.policy), &visitor) != PW_E_OK) {
        refuse(passage, PW_R_INTERNAL_ERROR);
    }
}

static void
examine_frame(struct passage *passage)
{
    struct pw_span bytes = passage->frames[passage->frame];
    const struct pw_frame_rule *rule =
        pw_frame_rules_at(passage->pipe->options.rules, passage->frame);
    if (rule == NULL) {
        refuse(passage, PW_R_RULE_COUNT);
        return;
    }
    if (pw_frame_rule_literal(rule, bytes)) {
        return;
    }
    switch (rule->kind) {
    case PW_FRAME_PICKLE:
        examine_layers(passage, rule, bytes);
        return;
    case PW_FRAME_LITERAL:
        refuse(passage, PW_R_RULE_MISMATCH);
        return;
    case PW_FRAME_EMPTY:
        if (bytes.len != 0) {
            refuse(passage, PW_R_RULE_MISMATCH);
        }
        return;
    case PW_FRAME_OPAQUE:
    case PW_FRAME_TOPIC:
    case PW_FRAME_BUFFER:
        return; /* nobody unpickles these */
    }
}

static void
examine(struct passage *passage, uint64_t now_ns)
{
    if (passage->count > passage->pipe->options.max_frames) {
        refuse(passage, PW_R_LIMIT_FRAMES);
        return;
    }
    if (passage->pipe->options.layout != PW_LAYOUT_NONE) {
        if (!open_foreign(passage, now_ns)) {
            return;
        }
    } else if (passage->pipe->options.verify != PW_VERIFY_OFF) {
        verify(passage, now_ns);
    }
    if (passage->count < pw_frame_rules_least(passage->pipe->options.rules)) {
        passage->frame = passage->count;
        refuse(passage, PW_R_RULE_COUNT);
    }
    for (passage->frame = 0; passage->frame < passage->count; passage->frame++) {
        examine_frame(passage);
    }
}

static bool
signs(const struct pw_pipeline_options *options)
{
    return options->signer != NULL ||
           (options->foreign != NULL && pw_foreign_signs(options->foreign));
}

void
pw_pipeline_judge(struct pw_pipeline *pipe, const struct pw_span *frames, size_t count,
                  uint64_t now_ns, struct pw_decision *out)
{
    *out = (struct pw_decision){.finds = pipe->finds};
    for (size_t i = 0; i < count; i++) {
        out->bytes += frames[i].len;
    }
    struct passage passage = {.pipe = pipe, .frames = frames, .count = count, .out = out};
    examine(&passage, now_ns);
    bool forwards = out->reason == PW_R_NONE || pipe->options.on_violation == PW_PASS;
    if (!pipe->options.strip && !signs(&pipe->options)) {
        out->edited = false; /* a trailer that stays on: it leaves as it came */
    }
    if (forwards && signs(&pipe->options)) {
        passage.frame = 0;
        (pipe->options.layout == PW_LAYOUT_NONE ? sign : sign_foreign)(&passage, now_ns);
    }
    out->enforced = pipe->options.on_violation != PW_PASS || out->reason == PW_R_NONE;
    out->verdict = out->reason == PW_R_NONE ? PW_PASS : pipe->options.on_violation;
}

size_t
pw_pipeline_batch(const struct pw_pipeline *pipe)
{
    return pipe->options.signer == NULL ? 1 : pw_signer_batch(pipe->options.signer);
}

void
pw_pipeline_close(struct pw_pipeline *pipe)
{
    if (pipe->options.signer != NULL) {
        pw_signer_close(pipe->options.signer);
    }
}

void
pw_pipeline_seal(struct pw_pipeline *pipe, struct pw_decision *decision)
{
    decision->edit.trailer =
        (struct pw_span){pipe->trailer, pw_signer_trailer(pipe->options.signer,
                                                          decision->slot, pipe->trailer)};
}

bool
pw_pipeline_may_sign(const struct pw_pipeline *pipe, uint64_t now_ns)
{
    return pw_signer_usable(pipe->options.signer, now_ns) == PW_R_NONE;
}

void
pw_pipeline_sign_again(struct pw_pipeline *pipe, const struct pw_span *frames, size_t count,
                       uint64_t now_ns, struct pw_decision *decision)
{
    const struct pw_edit *edit = &decision->edit;
    if (edit->cut) {
        memcpy(pipe->payload, frames, count * sizeof *pipe->payload);
        pipe->payload[edit->carrier].len = edit->keep;
        frames = pipe->payload;
    }
    /* There is room: it was added before, and all that share a batch did. */
    (void)!pw_signer_add(pipe->options.signer, frames, count - edit->drop_frame, now_ns,
                         &decision->slot);
}

static void
write_find(struct pw_json *json, const struct pw_decision_find *find)
{
    pw_json_object(json, NULL);
    pw_json_str(json, "code", pw_reason_code(find->reason));
    pw_json_uint(json, "frame", find->frame);
    pw_json_uint(json, "off", find->off);
    if (find->op != NULL) {
        pw_json_str(json, "op", find->op);
    }
    if (find->mod_len > 0 || find->name_len > 0) {
        struct pw_span mod = {(const uint8_t *)find->mod, find->mod_len};
        struct pw_span name = {(const uint8_t *)find->name, find->name_len};
        pw_json_bytes(json, "mod", mod, PW_NAME_MAX);
        pw_json_bytes(json, "name", name, PW_NAME_MAX);
    }
    pw_json_str(json, "level", pw_level_text(pw_danger_level(find->reason, find->danger)));
    if (find->danger != NULL) {
        pw_json_str(json, "note", find->danger->note);
    }
    pw_json_end_object(json);
}

enum pw_err
pw_decision_detail(const struct pw_decision *decision, const struct pw_pipeline *pipe,
                   struct pw_buf *out)
{
    struct pw_json json = pw_json_over(out);
    json.comma = out->len > 0;
    pw_json_object(&json, "rule");
    pw_json_str(&json, "id", pw_reason_code(decision->reason));
    pw_json_str(&json, "set", pw_policy_name(pipe->options.policy));
    pw_json_end_object(&json);
    pw_json_array(&json, "finds");
    for (size_t i = 0; i < decision->find_count; i++) {
        write_find(&json, &decision->finds[i]);
    }
    pw_json_end_array(&json);
    pw_json_uint(&json, "finds_total", decision->finds_total);
    return json.err;
}
