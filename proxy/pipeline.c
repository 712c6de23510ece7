/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/pipeline_inside.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/pickle/layer.h"
#include "common/pickle/opcode.h"
#include "common/pickle/scan.h"

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
pw_pipeline_guard(struct pw_pipeline *pipe, struct pw_guard *guard)
{
    pipe->options.guard = guard;
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
place_of(const struct pw_passage *passage, size_t frame)
{
    return frame < passage->gap_at ? frame : frame + passage->gap;
}

/* The slot for one more finding; a graver one than all before takes the last when full. */
static struct pw_decision_find *
find_slot(const struct pw_passage *passage, bool graver)
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
    struct pw_passage *passage = arg;
    struct pw_decision *out = passage->out;
    passage->told++;
    if (passage->overrule != NULL && passage->overrule->given[find->reason]) {
        passage->overrule->met[find->reason] = true;
        return;
    }
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

void
pw_passage_refuse(struct pw_passage *passage, enum pw_reason reason)
{
    found(passage, &(struct pw_find){.reason = reason, .op = -1});
}

/* ---- frames ---------------------------------------------------------------------------
 */

/* The buffers that come right behind the frame: those up to the next pickle are its. */
static size_t
buffers_behind(const struct pw_passage *passage)
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
    struct pw_passage *passage = arg;
    (void)where;
    const struct pw_policy *policy = passage->pipe->options.policy;
    struct pw_report report;
    if (pw_scan_frame(passage->pipe->scan, bytes, pw_policy_limits(policy), &report) !=
        PW_E_OK) {
        pw_passage_refuse(passage, PW_R_INTERNAL_ERROR);
    }
    add_report(passage->out, &report);
    size_t before = passage->told;
    size_t refusals = pw_policy_judge(policy, &report, found, passage);
    size_t told = passage->told - before;
    /* The report did not keep them all; what nobody can name nobody can overrule. */
    if (refusals > told && (told == 0 || passage->overrule != NULL)) {
        pw_passage_refuse(passage, PW_R_INTERNAL_ERROR);
    }
    if (report.buffers > 0 && report.buffers > buffers_behind(passage)) {
        pw_passage_refuse(passage, PW_R_RULE_BUFFERS);
    }
}

static void
refuse_layer(void *arg, enum pw_reason reason, struct pw_span where)
{
    (void)where;
    pw_passage_refuse(arg, reason);
}

/* Every pickle in what lies around it. */
static void
examine_layers(struct pw_passage *passage, const struct pw_frame_rule *rule,
               struct pw_span bytes)
{
    struct pw_pipeline *pipe = passage->pipe;
    struct pw_layer_visitor visitor = {
        .arg = passage, .pickle = examine_pickle, .refused = refuse_layer};
    if (pw_layer_walk(pipe->layer, &rule->layers, bytes,
                      pw_policy_limits(pipe->options.policy), &visitor) != PW_E_OK) {
        pw_passage_refuse(passage, PW_R_INTERNAL_ERROR);
    }
}

static void
examine_frame(struct pw_passage *passage)
{
    struct pw_span bytes = passage->frames[passage->frame];
    const struct pw_frame_rule *rule =
        pw_frame_rules_at(passage->pipe->options.rules, passage->frame);
    if (rule == NULL) {
        pw_passage_refuse(passage, PW_R_RULE_COUNT);
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
        pw_passage_refuse(passage, PW_R_RULE_MISMATCH);
        return;
    case PW_FRAME_EMPTY:
        if (bytes.len != 0) {
            pw_passage_refuse(passage, PW_R_RULE_MISMATCH);
        }
        return;
    case PW_FRAME_OPAQUE:
    case PW_FRAME_TOPIC:
    case PW_FRAME_BUFFER:
        return; /* nobody unpickles these */
    }
}

static void
examine_frames(struct pw_passage *passage)
{
    if (passage->count < pw_frame_rules_least(passage->pipe->options.rules)) {
        passage->frame = passage->count;
        pw_passage_refuse(passage, PW_R_RULE_COUNT);
    }
    for (passage->frame = 0; passage->frame < passage->count; passage->frame++) {
        examine_frame(passage);
    }
}

static void
examine(struct pw_passage *passage, uint64_t now_ns)
{
    if (passage->count > passage->pipe->options.max_frames) {
        pw_passage_refuse(passage, PW_R_LIMIT_FRAMES);
        return;
    }
    if (passage->pipe->options.layout != PW_LAYOUT_NONE) {
        if (!pw_passage_open_foreign(passage, now_ns)) {
            return;
        }
    } else if (passage->pipe->options.verify != PW_VERIFY_OFF) {
        pw_passage_verify(passage, now_ns);
    }
    examine_frames(passage);
}

/* The sender's signature was asked when it came; whoever overrules may have read why. */
static void
examine_released(struct pw_passage *passage)
{
    if (passage->count > passage->pipe->options.max_frames) {
        pw_passage_refuse(passage, PW_R_LIMIT_FRAMES);
        return;
    }
    if (passage->count == 0) {
        pw_passage_refuse(passage, PW_R_RULE_COUNT); /* nothing to send */
        return;
    }
    pw_passage_unwrap(passage);
    examine_frames(passage);
}

static bool
signs(const struct pw_pipeline_options *options)
{
    return options->signer != NULL ||
           (options->foreign != NULL && pw_foreign_signs(options->foreign));
}

static struct pw_passage
begin(struct pw_pipeline *pipe, const struct pw_span *frames, size_t count,
      struct pw_decision *out)
{
    *out = (struct pw_decision){.finds = pipe->finds};
    for (size_t i = 0; i < count; i++) {
        out->bytes += frames[i].len;
    }
    return (struct pw_passage){.pipe = pipe, .frames = frames, .count = count, .out = out};
}

/* Sign what leaves, and say what becomes of the message. */
static void
decide(struct pw_passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_decision *out = passage->out;
    bool forwards = out->reason == PW_R_NONE || options->on_violation == PW_PASS;
    if (!options->strip && !signs(options)) {
        out->edited = false; /* a trailer that stays on: it leaves as it came */
    }
    if (forwards && signs(options)) {
        passage->frame = 0;
        (options->layout == PW_LAYOUT_NONE ? pw_passage_sign
                                           : pw_passage_sign_foreign)(passage, now_ns);
    }
    out->enforced = options->on_violation != PW_PASS || out->reason == PW_R_NONE;
    out->verdict = out->reason == PW_R_NONE ? PW_PASS : options->on_violation;
}

void
pw_pipeline_judge(struct pw_pipeline *pipe, const struct pw_span *frames, size_t count,
                  uint64_t now_ns, struct pw_decision *out)
{
    struct pw_passage passage = begin(pipe, frames, count, out);
    examine(&passage, now_ns);
    decide(&passage, now_ns);
}

bool
pw_may_overrule(enum pw_reason reason)
{
    return reason != PW_R_NONE && reason != PW_R_LIMIT_FRAMES &&
           reason != PW_R_INTERNAL_ERROR && reason != PW_R_DRAIN_TIMEOUT &&
           strncmp(pw_reason_code(reason), "sig.", 4) != 0;
}

void
pw_pipeline_judge_released(struct pw_pipeline *pipe, const struct pw_span *frames,
                           size_t count, uint64_t now_ns, struct pw_overrule *overrule,
                           struct pw_decision *out)
{
    struct pw_passage passage = begin(pipe, frames, count, out);
    passage.overrule = overrule;
    examine_released(&passage);
    passage.overrule = NULL; /* nobody can overrule that it cannot be signed */
    decide(&passage, now_ns);
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
