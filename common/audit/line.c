/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/line.h"

#include <string.h>

#include <sodium.h>

#include "common/base/hex.h"
#include "common/base/json.h"

/*
 * Caps on names, in bytes. An escape makes six of one, so a form is at most 896 * 6 bytes
 * of names and their keys: PW_AUDIT_FORM_MAX.
 */
enum { NAME_CAP = 128, ENDPOINT_CAP = 256 };

/* What a line holds besides form and detail: every member at its longest is below this. */
enum { FIXED_MAX = 2048 };

_Static_assert(PW_AUDIT_FORM_MAX + FIXED_MAX < PW_AUDIT_LINE_MAX, "a line always fits");

/* Past 2^53 many readers of JSON lose digits or refuse the line; a hostile trailer can ask.
 */
static const uint64_t largest_number = ((uint64_t)1 << 53) - 1;

static const uint64_t ns_per_s = 1000000000;
static const uint64_t ns_per_ms = 1000000;

struct text {
    const char *ptr;
    size_t len;
};

#define TEXT(literal)                                                                      \
    {                                                                                      \
        literal, sizeof(literal) - 1                                                       \
    }
#define PUT(pen, literal) put(pen, literal, sizeof(literal) - 1)

/* clang-format off */
#define EVENT(name, word, level) \
    [PW_EVENT_##name] = {TEXT("\",\"schema\":\"picklewall.audit/1\",\"event\":\"" word "\",\"id\":\""), level, word}
static const struct {
    struct text opening; /* from the end of "ts" to the start of the id */
    enum pw_level level;
    const char *word;
} events[] = {
    EVENT(FRAME,      "frame",      PW_LEVEL_INFO),
    EVENT(SUMMARY,    "summary",    PW_LEVEL_INFO),
    EVENT(START,      "start",      PW_LEVEL_INFO),
    EVENT(STOP,       "stop",       PW_LEVEL_INFO),
    EVENT(CONFIG,     "config",     PW_LEVEL_INFO),
    EVENT(KEY,        "key",        PW_LEVEL_INFO),
    EVENT(QUARANTINE, "quarantine", PW_LEVEL_INFO),
    EVENT(ROTATE,     "rotate",     PW_LEVEL_INFO),
    EVENT(ERROR,      "error",      PW_LEVEL_HIGH),
    EVENT(PEER,       "peer",       PW_LEVEL_INFO),
    EVENT(CHECKPOINT, "checkpoint", PW_LEVEL_INFO),
};
#undef EVENT

static const struct text verdicts[] = {
    [PW_DROP]       = TEXT(",\"verdict\":\"drop\""),
    [PW_QUARANTINE] = TEXT(",\"verdict\":\"quarantine\""),
    [PW_PASS]       = TEXT(",\"verdict\":\"pass\""),
};
/* clang-format on */

/* Where the next byte goes. Every writer below stays within FIXED_MAX by its own caps. */
struct pen {
    char *at;
};

static inline void
put(struct pen *pen, const char *text, size_t len)
{
    memcpy(pen->at, text, len);
    pen->at += len;
}

static void
put_word(struct pen *pen, const char *word)
{
    put(pen, word, strlen(word));
}

static void
put_uint(struct pen *pen, uint64_t value)
{
    if (value < 10) { /* most of them */
        *pen->at++ = (char)('0' + value);
        return;
    }
    char digits[20];
    size_t first = sizeof digits;
    value = value < largest_number ? value : largest_number;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(pen, digits + first, sizeof digits - first);
}

static void
put_padded(char *out, unsigned value, size_t digits)
{
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void
put_stamp(struct pen *pen, struct pw_audit_stamp *stamp, uint64_t wall_ns)
{
    enum { SECOND = 19, WHOLE = 27 };
    uint64_t second = wall_ns / ns_per_s;
    if (second != stamp->second || stamp->text[0] == '\0') {
        pw_clock_format(wall_ns, stamp->text);
        stamp->second = second;
    }
    char *start = pen->at;
    put(pen, stamp->text, WHOLE);
    put_padded(start + SECOND + 1, (unsigned)(wall_ns % ns_per_s / 1000), 6);
}

enum pw_level
pw_audit_level(const struct pw_audit_record *record)
{
    unsigned event = record->event < PW_COUNT(events) ? record->event : PW_EVENT_ERROR;
    if (event != PW_EVENT_FRAME && record->level != 0) {
        return (enum pw_level)record->level;
    }
    enum pw_level level = pw_reason_level(record->reason);
    level = level > events[event].level ? level : events[event].level;
    return level > record->level ? level : (enum pw_level)record->level;
}

const char *
pw_audit_event_text(const struct pw_audit_record *record)
{
    return events[record->event < PW_COUNT(events) ? record->event : PW_EVENT_ERROR].word;
}

static void
put_head(struct pen *pen, const struct pw_audit_record *record,
         const struct pw_audit_extra *extra)
{
    unsigned event = record->event < PW_COUNT(events) ? record->event : PW_EVENT_ERROR;
    enum pw_level level = pw_audit_level(record);
    put(pen, events[event].opening.ptr, events[event].opening.len);
    put(pen, extra->id, strnlen(extra->id, 26));
    PUT(pen, "\",\"seq\":");
    put_uint(pen, extra->seq);
    PUT(pen, ",\"level\":\"");
    put_word(pen, pw_level_text(level));
    PUT(pen, "\"");
}

static void
put_judgement(struct pen *pen, const struct pw_audit_record *record)
{
    const struct text *verdict =
        &verdicts[record->verdict < PW_COUNT(verdicts) ? record->verdict : PW_DROP];
    put(pen, verdict->ptr, verdict->len);
    if (record->enforced) {
        PUT(pen, ",\"enforced\":true");
    } else {
        PUT(pen, ",\"enforced\":false");
    }
}

static void
put_reason(struct pen *pen, enum pw_reason reason)
{
    if (reason == PW_R_NONE) {
        return;
    }
    PUT(pen, ",\"reason\":\"");
    put_word(pen, pw_reason_code(reason));
    PUT(pen, "\",\"reason_text\":\"");
    put_word(pen, pw_reason_text(reason));
    PUT(pen, "\"");
}

static void
put_message(struct pen *pen, const struct pw_audit_record *record)
{
    PUT(pen, ",\"msg\":{\"frames\":");
    put_uint(pen, record->frames);
    PUT(pen, ",\"bytes\":");
    put_uint(pen, record->bytes);
    if (record->hashed) {
        char name[2 * sizeof record->sha256 + 1];
        pw_hex_encode((struct pw_span){record->sha256, sizeof record->sha256}, name);
        PUT(pen, ",\"sha256\":\"");
        put_word(pen, name);
        PUT(pen, "\"");
    }
    PUT(pen, "}");
}

static void
put_pickle(struct pen *pen, const struct pw_audit_record *record)
{
    if (!record->scanned) {
        return;
    }
    PUT(pen, ",\"pickle\":{\"proto\":");
    put_uint(pen, record->proto);
    PUT(pen, ",\"ops\":");
    put_uint(pen, record->ops);
    PUT(pen, ",\"depth\":");
    put_uint(pen, record->depth);
    PUT(pen, ",\"memo\":");
    put_uint(pen, record->memo);
    PUT(pen, "}");
}

/* Negative when the sender's clock is ahead. */
static void
put_age(struct pen *pen, uint64_t now_ns, uint64_t then_ns)
{
    PUT(pen, ",\"age_ms\":");
    if (then_ns > now_ns) {
        PUT(pen, "-");
    }
    put_uint(pen, (then_ns > now_ns ? then_ns - now_ns : now_ns - then_ns) / ns_per_ms);
}

static void
put_key_id(struct pen *pen, const struct pw_sig_result *sig)
{
    char key_id[2 * sizeof sig->key_id + 1];
    pw_hex_encode((struct pw_span){sig->key_id, sizeof sig->key_id}, key_id);
    PUT(pen, ",\"kid\":\"");
    put(pen, key_id, sizeof key_id - 1);
    PUT(pen, "\"");
}

static void
put_signature(struct pen *pen, const struct pw_audit_record *record)
{
    const struct pw_sig_result *sig = &record->sig;
    if (sig->state == PW_SIG_NONE) {
        return;
    }
    PUT(pen, ",\"sig\":{\"state\":\"");
    put_word(pen, pw_sig_state_text(sig));
    PUT(pen, "\"");
    if (sig->state == PW_SIG_UNDATED) {
        put_key_id(pen, sig);
    } else if (sig->suite != 0) { /* a trailer was read */
        PUT(pen, ",\"suite\":");
        put_uint(pen, sig->suite);
        put_key_id(pen, sig);
        PUT(pen, ",\"epoch\":");
        put_uint(pen, sig->epoch);
        PUT(pen, ",\"seq\":");
        put_uint(pen, sig->seq);
        put_age(pen, record->wall_ns, sig->time_ns);
    }
    PUT(pen, "}");
}

static void
put_duration(struct pen *pen, uint32_t ns)
{
    if (ns == 0) {
        return;
    }
    PUT(pen, ",\"dur_us\":");
    put_uint(pen, ns / 1000);
    if (ns % 1000 != 0) {
        PUT(pen, ".");
        put_padded(pen->at, ns % 1000, 3);
        pen->at += 3;
    }
}

static void
put_sum(struct pen *pen, const struct pw_audit_sum *sum)
{
    char since[PW_CLOCK_TEXT];
    pw_clock_format(sum->since_ns, since);
    PUT(pen, ",\"summary\":{\"messages\":");
    put_uint(pen, sum->messages);
    PUT(pen, ",\"bytes\":");
    put_uint(pen, sum->bytes);
    PUT(pen, ",\"since\":\"");
    put_word(pen, since);
    PUT(pen, "\"}");
}

static void
put_detail(struct pen *pen, const char *detail, size_t room)
{
    size_t len = detail == NULL ? 0 : strlen(detail);
    if (len == 0) {
        return;
    }
    PUT(pen, ",");
    if (len > room) {
        PUT(pen, "\"detail_cut\":true");
        return;
    }
    put(pen, detail, len);
}

/* How much put_end will write at most. */
static size_t
end_room(const struct pw_audit_record *record, const struct pw_audit_link *link)
{
    enum { NAMES = 64, HEX = 64, SIZE = 20 };
    size_t room = NAMES + strlen(link->chain) + HEX;
    if (record->event == PW_EVENT_CHECKPOINT) {
        room += NAMES + SIZE + PW_NOTE_JSON;
    }
    return room;
}

/* So that a file can be verified without those before it. */
static void
put_tree(struct pen *pen, const struct pw_tree *tree, size_t used, size_t room)
{
    enum { TEXT = sodium_base64_ENCODED_LEN(PW_TREE_HASH, sodium_base64_VARIANT_ORIGINAL) };
    enum { NAMES = 16, EACH = TEXT + 2 };
    size_t count = pw_tree_hashes(tree->size);
    if (count == 0 || used + NAMES + count * EACH > room) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char text[TEXT];
        sodium_bin2base64(text, sizeof text, tree->range[i], PW_TREE_HASH,
                          sodium_base64_VARIANT_ORIGINAL);
        put_word(pen, i == 0 ? ",\"tree\":[\"" : "\",\"");
        put(pen, text, sizeof text - 1);
    }
    PUT(pen, "\"]");
}

static void
put_checkpoint(struct pen *pen, const char *start, const struct pw_audit_link *link)
{
    char note[PW_NOTE_JSON];
    PUT(pen, ",\"checkpoint\":{\"size\":");
    put_uint(pen, link->tree->size);
    PUT(pen, ",\"note\":\"");
    struct pw_span before = {(const uint8_t *)start, (size_t)(pen->at - start)};
    put(pen, note, link->seal(link->arg, before, note));
    PUT(pen, "\"}");
}

/* The last two members, which every line has. */
static void
put_link(struct pen *pen, const struct pw_audit_link *link)
{
    PUT(pen, ",\"chain\":\"");
    put_word(pen, link->chain);
    PUT(pen, "\",\"prev\":\"");
    put_word(pen, link->prev);
    PUT(pen, "\"");
}

static void
put_end(struct pen *pen, const char *start, const struct pw_audit_record *record,
        const struct pw_audit_link *link)
{
    enum { CLOSING = 21 }; /* comma, "detail_cut":true, brace and LF, at most */
    size_t room = PW_AUDIT_LINE_MAX - CLOSING - end_room(record, link);
    put_detail(pen, record->detail, room - (size_t)(pen->at - start));
    if (record->event == PW_EVENT_START || record->event == PW_EVENT_ROTATE) {
        put_tree(pen, link->tree, (size_t)(pen->at - start), room);
    }
    if (record->event == PW_EVENT_CHECKPOINT) {
        put_checkpoint(pen, start, link);
    }
    put_link(pen, link);
    PUT(pen, "}\n");
}

static void
put_line(struct pen *pen, const struct pw_audit_form *form, struct pw_audit_stamp *stamp,
         const struct pw_audit_record *record, const struct pw_audit_extra *extra)
{
    const char *start = pen->at;
    PUT(pen, "{\"ts\":\"");
    put_stamp(pen, stamp, record->wall_ns);
    put_head(pen, record, extra);
    if (form->bytes.len > 0) {
        memcpy(pen->at, form->bytes.bytes, form->bytes.len);
        pen->at += form->bytes.len;
    }
    if (record->event == PW_EVENT_FRAME) {
        put_judgement(pen, record);
    }
    put_reason(pen, record->reason);
    if (record->event == PW_EVENT_FRAME) {
        put_message(pen, record);
    }
    if (record->event == PW_EVENT_SUMMARY) {
        put_sum(pen, &extra->sum);
    }
    put_pickle(pen, record);
    put_signature(pen, record);
    put_duration(pen, record->dur_ns);
    if (extra->lost > 0) {
        PUT(pen, ",\"lost\":");
        put_uint(pen, extra->lost);
    }
    put_end(pen, start, record, &extra->link);
}

enum pw_err
pw_audit_form_line(const struct pw_audit_form *form, struct pw_audit_stamp *stamp,
                   const struct pw_audit_record *record, const struct pw_audit_extra *extra,
                   struct pw_buf *out)
{
    enum pw_err err = pw_buf_reserve(out, PW_AUDIT_LINE_MAX);
    if (err != PW_E_OK) {
        return err;
    }
    struct pen pen = {(char *)out->bytes + out->len};
    put_line(&pen, form, stamp, record, extra);
    out->len = (size_t)(pen.at - (char *)out->bytes);
    return PW_E_OK;
}

static void
member(struct pw_json *json, const char *key, const char *value, size_t cap)
{
    if (value != NULL) {
        pw_json_bytes(json, key, pw_span_str(value), cap);
    }
}

static void
write_names(struct pw_json *json, const struct pw_audit_names *names)
{
    member(json, "chan", names->chan, NAME_CAP);
    if (names->chan != NULL) {
        /* Toward the consumer; PUSH and PULL know no other. */
        pw_json_str(json, "dir", "in");
        member(json, "in", names->in, ENDPOINT_CAP);
        member(json, "out", names->out, ENDPOINT_CAP);
    }
}

enum pw_err
pw_audit_form_make(struct pw_audit_form *form, const struct pw_audit_identity *identity,
                   const struct pw_audit_names *names)
{
    pw_buf_free(&form->bytes);
    form->bytes.limit = PW_AUDIT_FORM_MAX;
    struct pw_json json = pw_json_over(&form->bytes);
    json.comma = true;
    member(&json, "inst", identity->instance, NAME_CAP);
    member(&json, "host", identity->host, NAME_CAP);
    pw_json_str(&json, "ver", PW_VERSION);
    pw_json_uint(&json, "pid", identity->pid);
    write_names(&json, names);
    if (json.err != PW_E_OK) {
        pw_buf_free(&form->bytes);
    }
    return json.err;
}

static size_t
seal_nothing(void *arg, struct pw_span before, char out[static PW_NOTE_JSON])
{
    (void)arg;
    (void)before;
    out[0] = '\0';
    return 0;
}

enum pw_err
pw_audit_line(const struct pw_audit_record *record,
              const struct pw_audit_identity *identity, const struct pw_audit_names *names,
              uint64_t seq, const char *id, struct pw_buf *out)
{
    struct pw_audit_form form = {0};
    struct pw_audit_stamp stamp = {0};
    struct pw_tree tree = {0};
    char prev[2 * PW_TREE_HASH + 1] = {0};
    memset(prev, '0', sizeof prev - 1);
    struct pw_audit_extra extra = {
        .seq = seq,
        .id = id,
        .link = {"none/0", prev, &tree, seal_nothing, NULL},
    };
    enum pw_err err = pw_audit_form_make(&form, identity, names);
    if (err == PW_E_OK) {
        err = pw_audit_form_line(&form, &stamp, record, &extra, out);
    }
    pw_buf_free(&form.bytes);
    return err;
}

enum pw_err
pw_audit_members(const struct pw_audit_record *record, const struct pw_audit_names *names,
                 struct pw_buf *out)
{
    enum pw_err err = pw_buf_reserve(out, PW_AUDIT_LINE_MAX + PW_AUDIT_FORM_MAX);
    if (err != PW_E_OK) {
        return err;
    }
    char when[PW_CLOCK_TEXT];
    struct pw_json json = pw_json_over(out);
    pw_clock_format(record->wall_ns, when);
    pw_json_str(&json, "ts", when);
    write_names(&json, names);
    struct pen pen = {(char *)out->bytes + out->len};
    put_judgement(&pen, record);
    put_reason(&pen, record->reason);
    put_message(&pen, record);
    put_pickle(&pen, record);
    put_signature(&pen, record);
    put_duration(&pen, record->dur_ns);
    out->len = (size_t)(pen.at - (char *)out->bytes);
    return json.err;
}
