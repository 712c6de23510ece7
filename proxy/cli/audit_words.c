/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cli/audit_words.h"

#include "common/base/reason.h"
#include "proxy/cli/json_line.h"

typedef void words_fn(const json_t *event, struct pw_audit_words *words);

static struct pw_words *
extra(struct pw_audit_words *words)
{
    size_t last = PW_AUDIT_EXTRAS - 1;
    return &words->extras[words->extra_count < last ? words->extra_count++ : last];
}

static void
put_extra(struct pw_audit_words *words, const char *before, struct pw_span text)
{
    if (text.len > 0) {
        struct pw_words *more = extra(words);
        pw_words_put(more, "%s", before);
        pw_words_quote(more, text);
    }
}

static uint64_t
number(const json_t *object, const char *key)
{
    long long value = pw_json_number(object, key);
    return value < 0 ? 0 : (uint64_t)value;
}

static bool
text_is(const json_t *object, const char *key, const char *wanted)
{
    return pw_span_equal(pw_json_text(object, key), pw_span_str(wanted));
}

/* ---- any detail ---- */

static void
put_scalar(struct pw_words *words, const json_t *value)
{
    if (json_is_string(value)) {
        pw_words_quote(words, (struct pw_span){(const uint8_t *)json_string_value(value),
                                               json_string_length(value)});
    } else if (json_is_integer(value)) {
        pw_words_put(words, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        pw_words_put(words, "%s", json_is_true(value) ? "yes" : "no");
    }
}

static void
put_asker(struct pw_audit_words *words, const json_t *by)
{
    if (!json_is_object(by)) {
        return;
    }
    struct pw_words *more = extra(words);
    pw_words_put(more, "asked by ");
    if (json_object_get(by, "user") != NULL) {
        pw_words_quote(more, pw_json_text(by, "user"));
    } else if (json_object_get(by, "uid") != NULL) {
        pw_words_put(more, "user %lld", pw_json_number(by, "uid"));
    }
    if (json_object_get(by, "via") != NULL) {
        pw_words_put(more, " through ");
        pw_words_quote(more, pw_json_text(by, "via"));
    }
}

/* Members that no other function has words for: "key value", each an extra. */
static void
put_rest(struct pw_audit_words *words, json_t *detail, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(detail, key, value)
    {
        bool told = strcmp(key, "what") == 0 || strcmp(key, "by") == 0 ||
                    json_is_object(value) || json_is_array(value) || json_is_null(value);
        for (size_t i = 0; known[i] != NULL && !told; i++) {
            told = strcmp(key, known[i]) == 0;
        }
        if (told) {
            continue;
        }
        struct pw_words *more = extra(words);
        pw_words_quote(more, pw_span_str(key));
        pw_words_put(more, " ");
        put_scalar(more, value);
    }
    put_asker(words, json_object_get(detail, "by"));
}

/* ---- messages ---- */

/* The finding that matters most: the first of the highest level. */
static const json_t *
gravest(const json_t *finds)
{
    for (int level = PW_LEVEL_CRITICAL; level > PW_LEVEL_INFO; level--) {
        for (size_t i = 0; i < json_array_size(finds); i++) {
            const json_t *find = json_array_get(finds, i);
            if (text_is(find, "level", pw_level_text((enum pw_level)level))) {
                return find;
            }
        }
    }
    return json_array_get(finds, 0);
}

static void
put_refused(const json_t *event, struct pw_audit_words *words)
{
    const json_t *find = gravest(json_object_get(event, "finds"));
    struct pw_span mod = pw_json_text(find, "mod"), name = pw_json_text(find, "name");
    struct pw_span note = pw_json_text(find, "note");
    struct pw_span code = pw_json_text(event, "reason");
    struct pw_span text = pw_json_text(event, "reason_text");
    if (mod.len + name.len == 0) {
        pw_words_quote(&words->main, text.len > 0 ? text : code);
        put_extra(words, "", code);
        return;
    }
    pw_words_quote(&words->main, mod);
    pw_words_put(&words->main, ":");
    pw_words_quote(&words->main, name);
    if (note.len > 0) {
        pw_words_put(&words->main, ", ");
        pw_words_quote(&words->main, note);
    }
    put_extra(words, "", code);
}

static void
put_extent(const json_t *object, struct pw_audit_words *words)
{
    if (json_object_get(object, "bytes") != NULL) {
        pw_words_size(extra(words), (double)number(object, "bytes"));
    }
    if (number(object, "frames") > 1) {
        pw_words_put(extra(words), "%lld frames", pw_json_number(object, "frames"));
    }
}

static void
put_signer(const json_t *event, struct pw_audit_words *words)
{
    const json_t *sig = json_object_get(event, "sig");
    struct pw_span state = pw_json_text(sig, "state"), kid = pw_json_text(sig, "kid");
    if (state.len == 0) {
        return;
    }
    struct pw_words *more = extra(words);
    pw_words_put(more, "signature ");
    pw_words_quote(more, state);
    if (kid.len > 0) {
        pw_words_put(more, ", key ");
        pw_words_quote(more, kid);
    }
}

static void
say_frame(const json_t *event, struct pw_audit_words *words)
{
    bool reported = json_is_false(json_object_get(event, "enforced"));
    bool pass = text_is(event, "verdict", "pass");
    bool refused = pw_json_text(event, "reason").len > 0;
    words->dull = pass && !refused;
    if (pass && (reported || refused)) {
        words->label = "report";
        words->label_in = "reported";
        words->colour = "\033[33m";
    }
    if (refused) {
        put_refused(event, words);
    } else {
        pw_words_put(&words->main, "clean");
    }
    put_extra(words, "from ", pw_json_text(event, "src"));
    if (reported) {
        pw_words_put(extra(words), "forwarded all the same");
    }
    const json_t *held = json_object_get(event, "q");
    pw_words_quote(&words->id, pw_json_text(held, "entry"));
    if (held != NULL && json_is_false(json_object_get(held, "stored"))) {
        pw_words_put(extra(words), "not kept");
    }
    put_extent(json_object_get(event, "msg"), words);
    if (number(event, "finds_total") > 1) {
        pw_words_put(extra(words), "%lld findings", pw_json_number(event, "finds_total"));
    }
    put_signer(event, words);
    put_extra(words, "policy ", pw_json_text(json_object_get(event, "rule"), "set"));
    const json_t *find = gravest(json_object_get(event, "finds"));
    if (refused && pw_json_text(find, "mod").len + pw_json_text(find, "name").len > 0) {
        put_extra(words, "", pw_json_text(event, "reason_text"));
    }
}

static void
say_summary(const json_t *event, struct pw_audit_words *words)
{
    const json_t *sum = json_object_get(event, "summary");
    words->dull = true;
    pw_words_count(&words->main, number(sum, "messages"));
    pw_words_put(&words->main, " clean passes");
    put_extent(sum, words);
    struct pw_span since = pw_json_text(sum, "since");
    if (since.len >= 19) {
        put_extra(words, "since ", (struct pw_span){since.ptr + 11, 8});
    }
}

/* ---- the life of the wall ---- */

static void
put_chain(const json_t *detail, struct pw_audit_words *words)
{
    static const char *const says[][2] = {
        {"new", "a new chain of lines begins"},
        {"continued", "the chain of lines goes on"},
        {"recovered", "after a crash; its last lines were never sealed"},
        {"broken", "THE LOG IS NOT WHAT WAS SEALED: audit verify says more"},
    };
    const json_t *chain = json_object_get(detail, "chain");
    for (size_t i = 0; i < PW_COUNT(says); i++) {
        if (text_is(chain, "what", says[i][0])) {
            pw_words_put(extra(words), "%s", says[i][1]);
            words->grave = words->grave || i == PW_COUNT(says) - 1;
        }
    }
}

static void
say_start(const json_t *event, struct pw_audit_words *words)
{
    const json_t *detail = json_object_get(event, "detail");
    pw_words_put(&words->main, "picklewall ");
    pw_words_quote(&words->main, pw_json_text(event, "ver"));
    pw_words_put(&words->main, " started");
    put_chain(detail, words);
    const json_t *channels = json_object_get(detail, "channels");
    if (json_array_size(channels) > 0) {
        struct pw_words *more = extra(words);
        pw_words_put(more, "channels");
        for (size_t i = 0; i < json_array_size(channels); i++) {
            pw_words_put(more, " ");
            pw_words_quote(more, pw_json_text(json_array_get(channels, i), "chan"));
        }
    }
    put_extra(words, "host ", pw_json_text(event, "host"));
    pw_words_put(extra(words), "pid %lld", pw_json_number(event, "pid"));
    put_extra(words, "", pw_json_text(detail, "config"));
}

static void
put_counts(const json_t *lane, struct pw_audit_words *words)
{
    static const char *const counts[][2] = {
        {"received", "received"}, {"forwarded", "forwarded"},     {"quarantined", "held"},
        {"dropped", "dropped"},   {"undelivered", "undelivered"}, {"lost", "LOST"},
    };
    struct pw_words *more = extra(words);
    pw_words_quote(more, pw_json_text(lane, "chan"));
    pw_words_put(more, ":");
    for (size_t i = 0; i < PW_COUNT(counts); i++) {
        uint64_t count = number(lane, counts[i][0]);
        if (count > 0 || i == 0) {
            pw_words_put(more, " ");
            pw_words_count(more, count);
            pw_words_put(more, " %s", counts[i][1]);
        }
    }
    if (json_is_false(json_object_get(lane, "delivered"))) {
        pw_words_put(more, " (not all delivered)");
        words->grave = true;
    }
}

static void
say_stop(const json_t *event, struct pw_audit_words *words)
{
    const json_t *channels = json_object_get(json_object_get(event, "detail"), "channels");
    pw_words_put(&words->main, "stopped");
    for (size_t i = 0; i < json_array_size(channels); i++) {
        put_counts(json_array_get(channels, i), words);
    }
}

static void
say_key(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {"keys", "revoked_version", NULL};
    json_t *detail = json_object_get(event, "detail");
    struct pw_span error = pw_json_text(event, "error");
    if (error.len > 0) {
        words->grave = true;
        pw_words_put(&words->main, "keys not read, the old ones stay: ");
        pw_words_quote(&words->main, error);
    } else {
        pw_words_put(&words->main, "keys read again, %lld in force",
                     pw_json_number(detail, "keys"));
    }
    const json_t *signs = json_object_get(detail, "signs");
    for (size_t i = 0; i < json_array_size(signs); i++) {
        const json_t *row = json_array_get(signs, i);
        struct pw_words *more = extra(words);
        pw_words_quote(more, pw_json_text(row, "chan"));
        pw_words_put(more, " signs with ");
        pw_words_quote(more, pw_json_text(row, "key"));
    }
    put_rest(words, detail, known);
}

/* What became of a producer or consumer; "more" counts those without a line. */
static const struct {
    const char *what;
    const char *words;
    bool dull;
} fates[] = {
    {"connected", " connected", true},
    {"disconnected", " left", true},
    {"handshake_failed", " did not end its handshake", false},
    {"refused", " refused: its key is not listed", false},
    {"shed", " cut off", false},
    {"unaccepted", " could not be taken", false},
    {"more", "s that had no line of their own", true},
};

static void
say_peer(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {"what", "side", "peer", "why", NULL};
    json_t *detail = json_object_get(event, "detail");
    struct pw_span peer = pw_json_text(detail, "peer");
    bool sided = json_object_get(detail, "side") != NULL;
    pw_words_put(&words->main, !sided                           ? "connection"
                               : text_is(detail, "side", "out") ? "consumer"
                                                                : "producer");
    for (size_t i = 0; i < PW_COUNT(fates); i++) {
        if (text_is(detail, "what", fates[i].what)) {
            pw_words_put(&words->main, "%s", fates[i].words);
            words->dull = fates[i].dull;
        }
    }
    put_extra(words, "", peer);
    put_extra(words, "", pw_json_text(detail, "why"));
    put_rest(words, detail, known);
}

static void
say_config(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {"config", "generation", "policy", "on_violation",
                                        NULL};
    json_t *detail = json_object_get(event, "detail");
    struct pw_span error = pw_json_text(event, "error");
    if (error.len > 0) {
        words->grave = true;
        pw_words_put(&words->main, "configuration refused, the old one stays: ");
        pw_words_quote(&words->main, error);
    } else if (text_is(detail, "what", "config.in_force")) {
        words->dull = true;
        pw_words_put(&words->main, "from here on judged by policy ");
        pw_words_quote(&words->main, pw_json_text(detail, "policy"));
        put_extra(words, "what it refuses: ", pw_json_text(detail, "on_violation"));
    } else {
        pw_words_put(&words->main, "configuration read again, and in force");
    }
    const json_t *restart = json_object_get(detail, "restart");
    for (size_t i = 0; i < json_array_size(restart); i++) {
        const char *path = json_string_value(json_array_get(restart, i));
        put_extra(words,
                  "waits for the next start: ", pw_span_str(path != NULL ? path : ""));
    }
    if (json_object_get(detail, "generation") != NULL) {
        pw_words_put(extra(words), "generation %lld", pw_json_number(detail, "generation"));
    }
    put_rest(words, detail, known);
}

static void
say_rotate(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {"from", "truncated", NULL};
    json_t *detail = json_object_get(event, "detail");
    struct pw_span from = pw_json_text(detail, "from");
    if (json_is_true(json_object_get(detail, "truncated"))) {
        words->grave = true;
        pw_words_put(&words->main, "somebody cut the log short; lines are missing before");
    } else if (from.len > 0) {
        pw_words_put(&words->main, "the log goes on in a new file; the old one is ");
        pw_words_quote(&words->main, from);
    } else {
        pw_words_put(&words->main, "somebody moved the log; it goes on in a new file");
    }
    put_rest(words, detail, known);
}

/* The third line of a note is the root in base64 (C2SP tlog-checkpoint). */
static struct pw_span
root_of(struct pw_span note)
{
    struct pw_cursor cur = pw_cursor_over(note);
    (void)pw_cursor_until(&cur, '\n');
    (void)pw_cursor_until(&cur, '\n');
    struct pw_span root = pw_cursor_until(&cur, '\n');
    enum { SHOWN = 12 };
    return (struct pw_span){root.ptr, root.len < SHOWN ? root.len : SHOWN};
}

static void
say_checkpoint(const json_t *event, struct pw_audit_words *words)
{
    const json_t *checkpoint = json_object_get(event, "checkpoint");
    words->dull = true;
    pw_words_put(&words->main, "the first ");
    pw_words_count(&words->main, number(checkpoint, "size"));
    pw_words_put(&words->main, " lines are sealed");
    put_extra(words, "root ", root_of(pw_json_text(checkpoint, "note")));
    put_extra(words, "chain ", pw_json_text(event, "chain"));
}

/* ---- all others ---- */

struct remedy {
    const char *what, *words;
};

static const struct remedy remedies[] = {
    {"audit.space_low", "make room there, or move old logs away"},
    {"audit.unwritable", "nothing was received meanwhile"},
};

static void
say_error(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {NULL};
    json_t *detail = json_object_get(event, "detail");
    struct pw_span error = pw_json_text(event, "error");
    words->grave = true;
    pw_words_quote(&words->main, error.len > 0 ? error : pw_json_text(detail, "what"));
    for (size_t i = 0; i < PW_COUNT(remedies); i++) {
        if (text_is(detail, "what", remedies[i].what)) {
            pw_words_put(extra(words), "%s", remedies[i].words);
        }
    }
    put_rest(words, detail, known);
}

/* What is done to the quarantine, by `what` and, of a release, `outcome`. */
struct deed {
    const char *what, *outcome;
    const char *label, *label_in, *words;
    bool grave;
};

/* clang-format off */
static const struct deed deeds[] = {
    {"release",   "begun",    "free",  "release",   "release begins", false},
    {"release",   "sent",     "freed", "release",   "released and sent", false},
    {"release",   "refused",  "free",  "release",   "not released: still refused", false},
    {"release",   "undeliverable", "free", "release", "not released: nobody took it", false},
    {"release",   "arrived",  "freed", "release",   "had arrived, and is in doubt no more", false},
    {"release",   "in_doubt", "freed", "release",   "sent or not? Ask the consumer", true},
    {"release",   NULL,       "free",  "release",   "not released", false},
    {"purge",     NULL,       "purge", "purge",     "purged from quarantine", false},
    {"expired",   NULL,       "purge", "purge",     "purged from quarantine: its time was over", false},
    {"forgotten", NULL,       "purge", "purge",     "old records of the quarantine were removed", false},
    {"recovered", NULL,       "found", "recovered", "found held after a crash", false},
    {"unchecked", NULL,       "check", "check",     "held messages could not be compared with the old log, which is not here", false},
    {"full",      NULL,       "full",  "full",      "the quarantine is full; of what is refused now, only metadata is kept", true},
    {"room",      NULL,       "room",  "room",      "the quarantine has room again", false},
    {"corrupt",   NULL,       "damage", "damage",   "an object in quarantine was damaged, and moved to corrupt/", true},
    {"start",     NULL,       "check", "check",     "the quarantine was not in order; see quarantine check", true},
};
/* clang-format on */

static const struct deed *
deed_of(const json_t *detail)
{
    for (size_t i = 0; i < PW_COUNT(deeds); i++) {
        if (text_is(detail, "what", deeds[i].what) &&
            (deeds[i].outcome == NULL || text_is(detail, "outcome", deeds[i].outcome))) {
            return &deeds[i];
        }
    }
    return NULL;
}

static void
say_quarantine(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {"entry", "object",  "chan", "reason",
                                        "note",  "outcome", NULL};
    json_t *detail = json_object_get(event, "detail");
    const struct deed *deed = deed_of(detail);
    if (deed != NULL) {
        words->label = deed->label;
        words->label_in = deed->label_in;
        words->grave = words->grave || deed->grave;
        pw_words_put(&words->main, "%s", deed->words);
    } else {
        pw_words_quote(&words->main, pw_json_text(detail, "what"));
    }
    struct pw_span error = pw_json_text(event, "error");
    if (error.len > 0) {
        words->grave = true;
        pw_words_put(&words->main, ": ");
        pw_words_quote(&words->main, error);
    }
    pw_words_quote(&words->id, pw_json_text(detail, "entry"));
    if (deed == NULL || deed->outcome == NULL) {
        put_extra(words, "", pw_json_text(detail, "outcome"));
    }
    put_extra(words, "because: ", pw_json_text(detail, "reason"));
    put_rest(words, detail, known);
}

static void
say_other(const json_t *event, struct pw_audit_words *words)
{
    static const char *const known[] = {NULL};
    json_t *detail = json_object_get(event, "detail");
    struct pw_span what = pw_json_text(detail, "what");
    pw_words_quote(&words->main, what.len > 0 ? what : pw_json_text(event, "event"));
    put_rest(words, detail, known);
}

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define BLUE "\033[36m"

struct kind {
    const char *event, *verdict, *label, *label_in, *colour;
    words_fn *say;
};

/* clang-format off */
static const struct kind kinds[] = {
    {"frame",      "pass",       "pass",   "pass",       GREEN,  say_frame},
    {"frame",      "quarantine", "held",   "quarantine", YELLOW, say_frame},
    {"frame",      "drop",       "drop",   "drop",       RED,    say_frame},
    {"summary",    NULL,         "passes", "passes",     GREEN,  say_summary},
    {"start",      NULL,         "start",  "start",      BLUE,   say_start},
    {"stop",       NULL,         "stop",   "stop",       BLUE,   say_stop},
    {"config",     NULL,         "config", "config",     BLUE,   say_config},
    {"key",        NULL,         "key",    "key",        BLUE,   say_key},
    {"rotate",     NULL,         "rotate", "rotate",     BLUE,   say_rotate},
    {"checkpoint", NULL,         "sealed", "checkpoint", BLUE,   say_checkpoint},
    {"quarantine", NULL,         "store",  "store",      BLUE,   say_quarantine},
    {"peer",       NULL,         "peer",   "peer",       BLUE,   say_peer},
    {"error",      NULL,         "error",  "error",      RED,    say_error},
};
static const struct kind other = {NULL, NULL, "event", "event", "", say_other};
/* clang-format on */

static const struct kind *
kind_of(const json_t *event)
{
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        if (text_is(event, "event", kinds[i].event) &&
            (kinds[i].verdict == NULL || text_is(event, "verdict", kinds[i].verdict))) {
            return &kinds[i];
        }
    }
    return &other;
}

/* Cheaper than to zero all the room that texts could fill. */
static void
clear(struct pw_audit_words *words)
{
    words->dull = false;
    words->extra_count = 0;
    words->main.len = words->id.len = 0;
    words->main.text[0] = words->id.text[0] = '\0';
    for (size_t i = 0; i < PW_AUDIT_EXTRAS; i++) {
        words->extras[i].len = 0;
        words->extras[i].text[0] = '\0';
    }
}

void
pw_audit_words_of(const json_t *event, struct pw_audit_words *words)
{
    const struct kind *kind = kind_of(event);
    clear(words);
    words->label = kind->label;
    words->label_in = kind->label_in;
    words->colour = kind->colour;
    words->grave = text_is(event, "level", "critical");
    kind->say(event, words);
    if (number(event, "lost") > 0) {
        struct pw_words *more = extra(words);
        pw_words_count(more, number(event, "lost"));
        pw_words_put(more, " records were lost before");
        words->grave = true;
    }
}
