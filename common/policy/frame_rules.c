/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/frame_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum pw_frame_kind kind;
} plain_kinds[] = {
    {"opaque", PW_FRAME_OPAQUE},
    {"topic", PW_FRAME_TOPIC},
    {"empty", PW_FRAME_EMPTY},
    {"buffer", PW_FRAME_BUFFER},
};

static const struct {
    const char *name;
    uint8_t byte;
} separators[] = {
    {"SP", ' '}, {"TAB", '\t'}, {"NUL", '\0'}, {"COLON", ':'}, {"COMMA", ','}};

static const char kinds_text[] =
    "pickle, opaque, topic, literal:TEXT, empty, buffer, joblib, auto, or what lies around "
    "a pickle: zlib(pickle), also gzip, bz2, xz, base64, zip, npy, msgpack, skip:SP:2";

/* What one rule is read with. */
struct parser {
    char *rest; /* of the text; cut and moved on */
    const char *word;
    struct pw_why *why;
};

static enum pw_err
no_kind(const struct parser *parser)
{
    return pw_fail(parser->why, PW_E_CONFIG, "\"%.80s\" is no frame kind; write %s",
                   parser->word, kinds_text);
}

/* ---- layers ---------------------------------------------------------------------------
 */

/* Pass over `text`, if it stands here. */
static bool
found(struct parser *parser, const char *text)
{
    size_t len = strlen(text);
    if (strncmp(parser->rest, text, len) != 0) {
        return false;
    }
    parser->rest += len;
    return true;
}

/* A number from `least` to `most`, in digits. */
static bool
read_number(struct parser *parser, unsigned long least, unsigned long most,
            unsigned long *number)
{
    if (*parser->rest < '0' || *parser->rest > '9') {
        return false;
    }
    *number = strtoul(parser->rest, &parser->rest, 10);
    return *number >= least && *number <= most;
}

/* ":SEP:N" behind skip. */
static bool
read_skip(struct parser *parser, struct pw_layer_rule *layer)
{
    unsigned long count;
    for (size_t i = 0; i < PW_COUNT(separators); i++) {
        struct parser ahead = *parser;
        if (found(&ahead, ":") && found(&ahead, separators[i].name) && found(&ahead, ":") &&
            read_number(&ahead, 1, 16, &count)) {
            layer->separator = separators[i].byte;
            layer->count = (uint32_t)count;
            parser->rest = ahead.rest;
            return true;
        }
    }
    return false;
}

/* ":A-B", ":A", or nothing, behind msgpack. */
static bool
read_codes(struct parser *parser, struct pw_layer_rule *layer)
{
    unsigned long first = 1;
    unsigned long last = 5;
    if (found(parser, ":")) {
        if (!read_number(parser, 0, INT8_MAX, &first)) {
            return false;
        }
        last = first;
        if (found(parser, "-") && !read_number(parser, first, INT8_MAX, &last)) {
            return false;
        }
    }
    layer->first = (int8_t)first;
    layer->last = (int8_t)last;
    return true;
}

/* The name of a layer and what belongs to it, up to its bracket or the end. */
static bool
read_layer(struct parser *parser, struct pw_layer_rule *layer)
{
    size_t len = strcspn(parser->rest, ":()");
    struct pw_span name = {(const uint8_t *)parser->rest, len};
    for (int kind = 0; kind < PW_LAYER_COUNT; kind++) {
        if (len > 0 &&
            pw_span_equal(name, pw_span_str(pw_layer_name((enum pw_layer_kind)kind)))) {
            layer->kind = (enum pw_layer_kind)kind;
            parser->rest += len;
            return kind == PW_LAYER_SKIP      ? read_skip(parser, layer)
                   : kind == PW_LAYER_MSGPACK ? read_codes(parser, layer)
                                              : true;
        }
    }
    return false;
}

/* One layer, which may stand in the one before; "(" follows unless the chain ends here. */
static enum pw_err
parse_layer(struct parser *parser, struct pw_layers *layers, size_t depth)
{
    struct pw_layer_rule *layer = &layers->rule[depth];
    if (!read_layer(parser, layer)) {
        return no_kind(parser);
    }
    bool ends = layer->kind <= PW_LAYER_AUTO;
    if (!ends && depth == PW_LAYERS_MAX) {
        return pw_fail(
            parser->why, PW_E_CONFIG,
            "\"%.80s\" is more than %d layers deep; unfold some of them elsewhere",
            parser->word, PW_LAYERS_MAX);
    }
    const char *outer = depth > 0 ? pw_layer_name(layer[-1].kind) : NULL;
    if (depth > 0 && !pw_layer_takes(layer[-1].kind, layer->kind)) {
        return pw_fail(
            parser->why, PW_E_CONFIG,
            "\"%.80s\": what reads %s gives its content straight to pickle.load; "
            "write %s(pickle)",
            parser->word, outer, outer);
    }
    return ends || found(parser, "(") ? PW_E_OK : no_kind(parser);
}

/* "gzip(pickle)": the layers from the outside in, then as many closing brackets. */
static enum pw_err
parse_layers(struct parser *parser, struct pw_layers *layers)
{
    size_t depth = 0;
    enum pw_err err = parse_layer(parser, layers, depth);
    while (err == PW_E_OK && layers->rule[depth].kind > PW_LAYER_AUTO) {
        err = parse_layer(parser, layers, ++depth);
    }
    if (err != PW_E_OK) {
        return err;
    }
    while (depth > 0 && found(parser, ")")) {
        depth--;
    }
    return depth == 0 && *parser->rest == '\0' ? PW_E_OK : no_kind(parser);
}

/* ---- rules ------------------------------------------------------------------------------
 */

/* One literal more, with a "|" in front when it is not the first. */
static bool
add_literal(struct pw_frame_rule *rule, const char *text)
{
    size_t bar = rule->literal_len > 0 ? 1 : 0;
    size_t len = strlen(text);
    if (len == 0 || rule->literal_len + bar + len > PW_FRAME_LITERAL_MAX) {
        return false;
    }
    if (bar > 0) {
        rule->literal[rule->literal_len++] = '|';
    }
    memcpy(rule->literal + rule->literal_len, text, len);
    rule->literal_len = (uint8_t)(rule->literal_len + len);
    return true;
}

/* Cut the blanks at both ends, in place. */
static char *
trim(char *word)
{
    word += strspn(word, " \t");
    size_t len = strlen(word);
    while (len > 0 && (word[len - 1] == ' ' || word[len - 1] == '\t')) {
        word[--len] = '\0';
    }
    return word;
}

/* What is no literal; the last of the alternatives. */
static enum pw_err
parse_kind(struct parser *parser, struct pw_frame_rule *rule)
{
    for (size_t i = 0; i < PW_COUNT(plain_kinds); i++) {
        if (strcmp(parser->rest, plain_kinds[i].name) == 0) {
            rule->kind = plain_kinds[i].kind;
            return PW_E_OK;
        }
    }
    rule->kind = PW_FRAME_PICKLE;
    return parse_layers(parser, &rule->layers);
}

/* "literal:A|literal:B|KIND"; the literals come first. */
static enum pw_err
parse_rule(char *word, struct pw_frame_rule *rule, struct pw_why *why)
{
    char shown[PW_FRAME_LITERAL_MAX + 17];
    snprintf(shown, sizeof shown, "%s", word);
    *rule = (struct pw_frame_rule){.kind = PW_FRAME_LITERAL};
    for (char *next = word; next != NULL;) {
        struct parser parser = {.word = shown, .why = why};
        parser.rest = trim(strsep(&next, "|"));
        if (!found(&parser, "literal:")) {
            enum pw_err err = parse_kind(&parser, rule);
            return err == PW_E_OK && next != NULL ? no_kind(&parser) : err;
        }
        if (!add_literal(rule, parser.rest)) {
            return no_kind(&parser);
        }
    }
    return PW_E_OK;
}

enum pw_err
pw_frame_rules_parse(const char *text, struct pw_frame_rules *out, struct pw_why *why)
{
    char copy[1024];
    *out = (struct pw_frame_rules){0};
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) {
        return pw_fail(why, PW_E_CONFIG, "the frame rules are longer than %zu characters",
                       sizeof copy - 1);
    }
    for (char *next = copy; next != NULL;) {
        char *word = trim(strsep(&next, ","));
        size_t len = strlen(word);
        if (out->count == PW_FRAME_RULES_MAX) {
            return pw_fail(why, PW_E_CONFIG,
                           "more than %d frame rules; end with a * to repeat",
                           PW_FRAME_RULES_MAX);
        }
        if (len > 0 && word[len - 1] == '*') {
            word[len - 1] = '\0';
            out->repeat = true;
        }
        if (out->repeat && next != NULL) {
            return pw_fail(
                why, PW_E_CONFIG,
                "\"%.80s*\" repeats, but rules follow it; only the last may have a *",
                word);
        }
        enum pw_err err = parse_rule(word, &out->rule[out->count++], why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    return PW_E_OK;
}

const struct pw_frame_rule *
pw_frame_rules_at(const struct pw_frame_rules *rules, size_t index)
{
    if (index < rules->count) {
        return &rules->rule[index];
    }
    return rules->repeat ? &rules->rule[rules->count - 1] : NULL;
}

size_t
pw_frame_rules_least(const struct pw_frame_rules *rules)
{
    return rules->count - (rules->repeat ? 1 : 0);
}

bool
pw_frame_rule_literal(const struct pw_frame_rule *rule, struct pw_span frame)
{
    struct pw_span texts = {(const uint8_t *)rule->literal, rule->literal_len};
    for (struct pw_cursor cur = pw_cursor_over(texts); !cur.truncated;) {
        struct pw_span text = pw_cursor_until(&cur, '|');
        if (pw_span_equal(cur.truncated ? cur.rest : text, frame)) {
            return rule->literal_len > 0;
        }
    }
    return false;
}
