/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy/frame_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum pw_frame_kind kind;
} plain_kinds[] = {
    {"pickle", PW_FRAME_PICKLE}, {"opaque", PW_FRAME_OPAQUE}, {"topic", PW_FRAME_TOPIC},
    {"empty", PW_FRAME_EMPTY},   {"buffer", PW_FRAME_BUFFER},
};

static const struct {
    const char *name;
    uint8_t byte;
} separators[] = {
    {"SP", ' '}, {"TAB", '\t'}, {"NUL", '\0'}, {"COLON", ':'}, {"COMMA", ','}};

static const char kinds_text[] =
    "pickle, opaque, topic, literal:TEXT, empty, buffer, zlib(pickle), skip:SP:2(pickle)";

/* literal:TEXT; the text is everything behind the colon. */
static bool
parse_literal(const char *word, struct pw_frame_rule *rule)
{
    size_t len = strlen(word);
    if (len == 0 || len > PW_FRAME_LITERAL_MAX) {
        return false;
    }
    rule->kind = PW_FRAME_LITERAL;
    rule->literal_len = (uint8_t)len;
    memcpy(rule->literal, word, len);
    return true;
}

/* SEP:N(pickle), behind "skip:". */
static bool
parse_skip(const char *word, struct pw_frame_rule *rule)
{
    for (size_t i = 0; i < PW_COUNT(separators); i++) {
        size_t len = strlen(separators[i].name);
        if (strncmp(word, separators[i].name, len) != 0 || word[len] != ':') {
            continue;
        }
        char *end;
        unsigned long count = strtoul(word + len + 1, &end, 10);
        rule->kind = PW_FRAME_PICKLE;
        rule->skip_byte = separators[i].byte;
        rule->skip_count = (uint32_t)count;
        return count >= 1 && count <= 16 && strcmp(end, "(pickle)") == 0;
    }
    return false;
}

static bool
parse_rule(const char *word, struct pw_frame_rule *rule)
{
    *rule = (struct pw_frame_rule){0};
    for (size_t i = 0; i < PW_COUNT(plain_kinds); i++) {
        if (strcmp(word, plain_kinds[i].name) == 0) {
            rule->kind = plain_kinds[i].kind;
            return true;
        }
    }
    if (strcmp(word, "zlib(pickle)") == 0) {
        rule->kind = PW_FRAME_PICKLE;
        rule->zlib = true;
        return true;
    }
    if (strncmp(word, "literal:", 8) == 0) {
        return parse_literal(word + 8, rule);
    }
    return strncmp(word, "skip:", 5) == 0 && parse_skip(word + 5, rule);
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
        if (!parse_rule(word, &out->rule[out->count++])) {
            return pw_fail(why, PW_E_CONFIG, "\"%.80s\" is no frame kind; write %s", word,
                           kinds_text);
        }
        if (out->repeat && next != NULL) {
            return pw_fail(
                why, PW_E_CONFIG,
                "\"%.80s*\" repeats, but rules follow it; only the last may have a *",
                word);
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
