/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quarantine/inside.h"

#include <stdio.h>
#include <string.h>

enum pw_err
pw_entry_read(const struct pw_store *store, enum pw_store_state state, const char *entry,
              struct pw_buf *out)
{
    char name[PW_ENTRY_FILE];
    snprintf(name, sizeof name, "%.*s.json", (int)PW_ULID_NAME, entry);
    if (store->folders[state] < 0 || !pw_is_entry_file(name)) {
        return PW_E_NO_INPUT;
    }
    enum pw_err err = pw_store_read_at(store->folders[state], name, out);
    while (err == PW_E_OK && out->len > 0 && out->bytes[out->len - 1] == '\n') {
        out->len--;
    }
    return err;
}

/* Where a string that starts at `at` ends: behind its quote, or at `len`. */
static size_t
end_of_string(struct pw_span json, size_t at)
{
    for (at++; at < json.len && json.ptr[at] != '"'; at++) {
        at += json.ptr[at] == '\\';
    }
    return at < json.len ? at : json.len;
}

/* One object and nothing behind it: what a crash cut short has brackets open. */
static bool
is_whole(struct pw_span json)
{
    size_t depth = 0;
    for (size_t i = 0; i < json.len; i++) {
        uint8_t c = json.ptr[i];
        if (c == '"') {
            i = end_of_string(json, i);
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1 == json.len;
        } else if (c < 0x20 || c > 0x7e) {
            return false;
        }
    }
    return false;
}

/* What follows the first `words`, which cannot stand in a string: there, quotes are escaped
 * ones. Empty when there are none. */
static struct pw_span
behind(struct pw_span json, const char *words)
{
    const uint8_t *at = memmem(json.ptr, json.len, words, strlen(words));
    if (at == NULL) {
        return (struct pw_span){0};
    }
    at += strlen(words);
    return (struct pw_span){at, (size_t)(json.ptr + json.len - at)};
}

static uint64_t
read_uint(struct pw_span digits)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len && digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
         i++) {
        if (value > UINT64_MAX / 16) {
            return value; /* no file is so large */
        }
        value = value * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    return value;
}

static void
read_chan(struct pw_span json, char out[static PW_ACCOUNT_CHAN])
{
    struct pw_cursor cur = pw_cursor_over(behind(json, ",\"chan\":\""));
    struct pw_span name = pw_cursor_until(&cur, '"');
    size_t len = name.len < PW_ACCOUNT_CHAN - 1 ? name.len : PW_ACCOUNT_CHAN - 1;
    if (len > 0) {
        memcpy(out, name.ptr, len);
    }
    out[len] = '\0';
}

bool
pw_entry_parse(struct pw_span json, struct pw_entry *out)
{
    *out = (struct pw_entry){0};
    struct pw_cursor cur = pw_cursor_over(json);
    struct pw_span opening = pw_cursor_take(&cur, strlen("{\"entry\":\""));
    (void)pw_cursor_take(&cur, PW_ULID_NAME);
    struct pw_span middle = pw_cursor_take(&cur, strlen("\",\"object\":\""));
    struct pw_span name = pw_cursor_take(&cur, PW_HEX_NAME);
    if (cur.truncated || !pw_span_equal(opening, pw_span_str("{\"entry\":\"")) ||
        !pw_span_equal(middle, pw_span_str("\",\"object\":\""))) {
        return false;
    }
    memcpy(out->object, name.ptr, PW_HEX_NAME);
    out->bytes = read_uint(behind(json, ",\"bytes\":"));
    struct pw_span stored = behind(json, ",\"stored\":");
    out->stored = stored.len < 5 || memcmp(stored.ptr, "false", 5) != 0;
    read_chan(json, out->chan);
    return pw_is_object_file(out->object) && is_whole(json);
}

uint64_t
pw_entry_ms(const char *entry)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t ms = 0;
    for (size_t i = 0; i < PW_ULID_TIME && entry[i] != '\0'; i++) {
        const char *digit = strchr(alphabet, entry[i]);
        ms = ms * 32 + (digit == NULL ? 0 : (uint64_t)(digit - alphabet));
    }
    return ms;
}
