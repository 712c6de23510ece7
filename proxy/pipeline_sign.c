/* SPDX-License-Identifier: Apache-2.0
 *
 * What the pipeline does with signatures: find, check and take off that of the sender, make
 * ours.
 */
#include "proxy/pipeline_inside.h"

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
find_trailer(const struct pw_passage *passage, size_t *carrier, size_t *len)
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
refuse_absent(struct pw_passage *passage)
{
    struct pw_sig_result *sig = &passage->out->sig;
    size_t carrier = passage->count - 1;
    bool looks = passage->pipe->options.envelope == PW_ENVELOPE_FRAME ||
                 find_carrier(passage->pipe->options.rules, passage->count, &carrier);
    bool remains = looks && pw_trailer_remains(passage->frames[carrier]);
    sig->state = remains ? PW_SIG_BAD : PW_SIG_MISSING;
    sig->reason = remains ? PW_R_SIG_FORMAT : PW_R_SIG_MISSING;
    pw_passage_refuse(passage, sig->reason);
}

/* Take the trailer out of the payload, and plan how the message leaves without it. */
static struct pw_span
detach_trailer(struct pw_passage *passage, size_t carrier, size_t len)
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
admit(struct pw_passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_sig_result *sig = &passage->out->sig;
    if (sig->state == PW_SIG_OK && options->guard != NULL) {
        enum pw_reason reason = pw_guard_admit(options->guard, now_ns, sig);
        if (reason != PW_R_NONE) {
            pw_passage_refuse(passage, reason);
        }
    }
}

void
pw_passage_verify(struct pw_passage *passage, uint64_t now_ns)
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
        pw_passage_refuse(passage, sig->reason);
    }
    admit(passage, now_ns);
}

void
pw_passage_sign(struct pw_passage *passage, uint64_t now_ns)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_decision *out = passage->out;
    size_t carrier = 0;
    bool as_frame = options->envelope == PW_ENVELOPE_FRAME;
    if (!as_frame && !find_carrier(options->rules, passage->count, &carrier)) {
        pw_passage_refuse(passage, PW_R_RULE_COUNT); /* no pickle that could carry it */
        return;
    }
    enum pw_reason unusable = pw_signer_usable(options->signer, now_ns);
    if (unusable != PW_R_NONE) {
        pw_passage_refuse(passage, unusable); /* the receiver would refuse it */
        return;
    }
    if (pw_signer_add(options->signer, passage->frames, passage->count, now_ns,
                      &out->slot) != PW_E_OK) {
        pw_passage_refuse(passage, PW_R_LIMIT_FRAMES);
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
step_into(struct pw_passage *passage, const struct pw_foreign_parts *parts)
{
    passage->gap = parts->tag_frame + 1;
    passage->frames += passage->gap;
    passage->count -= passage->gap;
}

/* Take the tag out of the payload, and plan how the message leaves without it. */
static void
detach_tag(struct pw_passage *passage, const struct pw_foreign_parts *parts)
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
verify_foreign(struct pw_passage *passage, const struct pw_foreign_parts *parts,
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
        pw_passage_refuse(passage, sig->reason);
    }
}

/* What nobody signed is not worth inflating. */
bool
pw_passage_open_foreign(struct pw_passage *passage, uint64_t now_ns)
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
        pw_passage_refuse(passage, malformed);
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
place_tag(struct pw_passage *passage)
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

void
pw_passage_sign_foreign(struct pw_passage *passage, uint64_t now_ns)
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
        pw_passage_refuse(passage, reason);
        return;
    }
    edit->trailer =
        (struct pw_span){passage->pipe->trailer, pw_foreign_tag_size(options->layout)};
    passage->out->edited = true;
    place_tag(passage);
}

/* ---- messages that an operator releases ------------------------------------------------
 */

static void
unwrap_foreign(struct pw_passage *passage)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    struct pw_foreign_parts parts;
    enum pw_reason malformed =
        pw_foreign_split(options->layout, passage->frames, passage->count, &parts);
    if (options->verify != PW_VERIFY_OFF && malformed == PW_R_NONE) {
        detach_tag(passage, &parts);
    } else if (options->layout != PW_LAYOUT_JUPYTER) {
        return; /* there is none: all of it is payload */
    } else if (parts.covered_count > 0) {
        step_into(passage, &parts);
    } else {
        pw_passage_refuse(passage, malformed);
    }
}

void
pw_passage_unwrap(struct pw_passage *passage)
{
    const struct pw_pipeline_options *options = &passage->pipe->options;
    size_t carrier;
    size_t len;
    if (options->layout != PW_LAYOUT_NONE) {
        if (options->verify != PW_VERIFY_OFF || options->layout == PW_LAYOUT_JUPYTER) {
            unwrap_foreign(passage);
        }
    } else if (options->verify != PW_VERIFY_OFF && find_trailer(passage, &carrier, &len)) {
        (void)detach_trailer(passage, carrier, len);
    }
}
