/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/release_request.h"

#include <string.h>

#include <sodium.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "proxy/json_read.h"
#include "proxy/pipeline.h"

enum pw_err
pw_release_override(const char *code, enum pw_reason *reason, struct pw_why *why)
{
    for (size_t i = 0; i < PW_R_COUNT; i++) {
        *reason = (enum pw_reason)i;
        if (i == PW_R_NONE || strcmp(pw_reason_code(*reason), code) != 0) {
            continue;
        }
        if (pw_may_overrule(*reason)) {
            return PW_E_OK;
        }
        return pw_fail(why, PW_E_USAGE,
                       "%s cannot be overruled: it is no finding in a message, or the "
                       "message could not be examined or signed; leave it out",
                       code);
    }
    return pw_fail(why, PW_E_USAGE,
                   "%.64s is no reason; name one as quarantine show and the audit log do, "
                   "such as import.denied",
                   code);
}

/* ---- read ---- */

static enum pw_err
read_id(const json_t *value, struct pw_release_request *out, struct pw_why *why)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    bool plain = text != NULL && strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz"
                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len;
    if (!plain || len == 0 || len >= sizeof out->id) {
        return pw_fail(why, PW_E_USAGE,
                       "id: that is none; name an entry as quarantine list does");
    }
    memcpy(out->id, text, len + 1);
    return PW_E_OK;
}

static enum pw_err
read_reason(const json_t *value, struct pw_release_request *out, struct pw_why *why)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL || len > PW_RELEASE_REASON || strlen(text) != len) {
        return pw_fail(why, PW_E_USAGE, "reason: say it in text of at most %d bytes",
                       PW_RELEASE_REASON);
    }
    memcpy(out->reason, text, len + 1);
    return PW_E_OK;
}

static enum pw_err
read_override(const json_t *value, struct pw_release_request *out, struct pw_why *why)
{
    if (!json_is_array(value)) {
        return pw_fail(why, PW_E_USAGE, "override: give an array of reasons");
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *code = json_string_value(json_array_get(value, i));
        enum pw_reason reason;
        enum pw_err err = pw_release_override(code == NULL ? "" : code, &reason, why);
        if (err != PW_E_OK) {
            return err;
        }
        out->override[reason] = true;
    }
    return PW_E_OK;
}

static enum pw_err
read_bool(const char *key, const json_t *value, bool *out, struct pw_why *why)
{
    *out = json_is_true(value);
    return json_is_boolean(value)
               ? PW_E_OK
               : pw_fail(why, PW_E_USAGE, "%s: write true or false", key);
}

static enum pw_err
read_key(const json_t *value, struct pw_release_request *out, struct pw_why *why)
{
    const char *text = json_string_value(value);
    out->sealed =
        text != NULL && pw_hex_decode(pw_span_str(text), out->key, sizeof out->key);
    return out->sealed
               ? PW_E_OK
               : pw_fail(why, PW_E_USAGE, "key: give the object's own key as %d hex digits",
                         2 * PW_RELEASE_KEY);
}

static enum pw_err
read_member(const char *key, const json_t *value, struct pw_release_request *out,
            struct pw_why *why)
{
    if (strcmp(key, "id") == 0) {
        return read_id(value, out, why);
    }
    if (strcmp(key, "reason") == 0) {
        return read_reason(value, out, why);
    }
    if (strcmp(key, "override") == 0) {
        return read_override(value, out, why);
    }
    if (strcmp(key, "again") == 0) {
        return read_bool(key, value, &out->again, why);
    }
    if (strcmp(key, "arrived") == 0) {
        return read_bool(key, value, &out->arrived, why);
    }
    if (strcmp(key, "key") == 0) {
        return read_key(value, out, why);
    }
    if (strcmp(key, "dry_run") == 0) {
        return read_bool(key, value, &out->dry_run, why);
    }
    return pw_fail(why, PW_E_USAGE, "%.64s is no member of a release; leave it out", key);
}

static enum pw_err
read_members(json_t *object, struct pw_release_request *out, struct pw_why *why)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        enum pw_err err = read_member(key, value, out, why);
        if (err != PW_E_OK) {
            return err;
        }
    }
    if (out->id[0] == '\0') {
        return pw_fail(why, PW_E_USAGE, "id is missing; name an entry");
    }
    if (out->arrived && (out->again || out->dry_run)) {
        return pw_fail(why, PW_E_USAGE,
                       "arrived goes neither with again nor with dry_run; choose one");
    }
    if (!out->dry_run && strspn(out->reason, " \t\r\n") == strlen(out->reason)) {
        return pw_fail(why, PW_E_USAGE, "reason is missing; say why the message may go on");
    }
    return PW_E_OK;
}

enum pw_err
pw_release_request_parse(struct pw_span text, struct pw_release_request *out,
                         struct pw_why *why)
{
    PW_CLEANUP(pw_json_line_free) json_t *object = NULL;
    *out = (struct pw_release_request){0};
    enum pw_err err = pw_json_line_read(text, &object);
    if (err == PW_E_NOMEM) {
        return pw_fail(why, err, "no memory to read the request; try again");
    }
    if (err != PW_E_OK) {
        return pw_fail(why, PW_E_USAGE,
                       "release wants one JSON object, such as "
                       "{\"id\":\"01JD8Z\",\"reason\":\"checked by hand\"}");
    }
    return read_members(object, out, why);
}

/* ---- write ---- */

enum pw_err
pw_release_request_write(const struct pw_release_request *request, struct pw_buf *out)
{
    struct pw_json json = pw_json_over(out);
    pw_json_object(&json, NULL);
    pw_json_str(&json, "id", request->id);
    if (request->reason[0] != '\0') {
        pw_json_str(&json, "reason", request->reason);
    }
    pw_json_array(&json, "override");
    for (size_t i = 0; i < PW_R_COUNT; i++) {
        if (request->override[i]) {
            pw_json_str(&json, NULL, pw_reason_code((enum pw_reason)i));
        }
    }
    pw_json_end_array(&json);
    pw_json_bool(&json, "again", request->again);
    pw_json_bool(&json, "arrived", request->arrived);
    pw_json_bool(&json, "dry_run", request->dry_run);
    if (request->sealed) {
        char key[2 * PW_RELEASE_KEY + 1];
        pw_hex_encode((struct pw_span){request->key, sizeof request->key}, key);
        pw_json_str(&json, "key", key);
        sodium_memzero(key, sizeof key);
    }
    pw_json_end_object(&json);
    return json.err;
}
