/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/quarantine/store.h"
#include "common/settings/settings.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/quarantine.h"

enum { SHORT_ID = 10, SHOWN = 64, BYTES_A_ROW = 16, JSON_LIMIT = 64 << 20 };

struct options {
    const char *config;
    const char *state;
    const char *id;
    bool json;
};

static int
read_arguments(struct options *options, bool wants_id, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_args_flag(&args, "--json")) {
            options->json = true;
        } else if (pw_args_value(&args, "--config", &options->config) ||
                   pw_args_value(&args, "--state", &options->state)) {
            continue;
        } else if (pw_args_unknown(&args)) {
            return EX_USAGE;
        } else if (!wants_id || options->id != NULL) {
            return pw_command_misused("\"%s\" is one argument too many", args.current);
        } else {
            options->id = args.current;
        }
    }
    if (args.bad) {
        return EX_USAGE;
    }
    if (wants_id && options->id == NULL) {
        return pw_command_misused("give the id of a message; quarantine list shows them");
    }
    return EX_OK;
}

struct pw_store *
pw_quarantine_open(const char *config, const char *state, enum pw_err *err,
                   struct pw_why *why)
{
    PW_CLEANUP(pw_settings_free) struct pw_settings *settings = NULL;
    if (state == NULL) {
        settings = pw_settings_load(pw_command_config(config), why);
        *err = PW_E_CONFIG;
        state = settings == NULL ? NULL : settings->state;
    }
    if (state == NULL) {
        return NULL;
    }
    char path[PATH_MAX];
    *err = PW_E_NO_INPUT;
    if (snprintf(path, sizeof path, "%s/quarantine", state) >= (int)sizeof path) {
        (void)pw_fail(why, *err, "%.64s…: a path that is too long", state);
        return NULL;
    }
    return pw_store_open_readonly(path, why);
}

static void
print_json_line(struct pw_span json)
{
    if (pw_json_line_plain(json)) {
        fwrite(json.ptr, 1, json.len, stdout);
        fputc('\n', stdout);
    }
}

/* The time that a ULID begins with: ten digits of five bits, milliseconds. */
static uint64_t
time_of_entry(const char *entry)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t ms = 0;
    for (size_t i = 0; i < 10 && entry[i] != '\0'; i++) {
        const char *digit = strchr(alphabet, entry[i]);
        ms = ms * 32 + (digit == NULL ? 0 : (uint64_t)(digit - alphabet));
    }
    return ms * 1000000;
}

static void
print_entry_time(const char *entry)
{
    char text[PW_CLOCK_TEXT];
    pw_clock_format(time_of_entry(entry), text);
    text[10] = ' ';
    printf("%.23s", text);
}

static void
print_column(struct pw_span text, size_t width)
{
    pw_print_text(stdout, text);
    printf("%*s", text.len < width ? (int)(width - text.len) : 0, "");
}

static void
print_row(const char *entry, const json_t *meta)
{
    struct pw_span object = pw_json_text(meta, "object");
    object.len = object.len < SHORT_ID ? object.len : SHORT_ID;
    print_entry_time(entry);
    printf("  %s  ", entry);
    print_column(object, SHORT_ID);
    fputs("  ", stdout);
    print_column(pw_json_text(meta, "chan"), 12);
    printf("  %10lld B  ", pw_json_number(meta, "bytes"));
    pw_print_reason(stdout, meta);
    fputc('\n', stdout);
}

static bool
list_entry(void *arg, const char *entry, struct pw_span json)
{
    const struct options *options = arg;
    PW_CLEANUP(pw_json_line_free) json_t *meta = pw_json_line_parse(json);
    if (meta == NULL || (options->json && !pw_json_line_plain(json))) {
        fprintf(stderr, "picklewall: hold/%s.json: not a quarantine entry\n", entry);
        return true;
    }
    if (options->json) {
        print_json_line(json);
    } else {
        print_row(entry, meta);
    }
    return !ferror(stdout);
}

int
pw_cmd_quarantine_list(int argc, char **argv)
{
    struct options options = {0};
    struct pw_why why = {{0}};
    enum pw_err err = PW_E_OK;
    int code = read_arguments(&options, false, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(options.config, options.state, &err, &why);
    if (store == NULL) {
        return pw_command_fail(err, &why);
    }
    err = pw_store_list(store, PW_STORE_HELD, list_entry, &options, &why);
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, &why);
}

/* ---- show ---- */

static void
print_member(const char *label, struct pw_span text)
{
    if (text.len > 0) {
        printf("%-9s ", label);
        pw_print_text(stdout, text);
        fputc('\n', stdout);
    }
}

static void
print_finds(const json_t *meta)
{
    const json_t *finds = json_object_get(meta, "finds");
    for (size_t i = 0; i < json_array_size(finds); i++) {
        const json_t *find = json_array_get(finds, i);
        printf("%-9s frame %lld, byte %lld: ", "finding", pw_json_number(find, "frame"),
               pw_json_number(find, "off"));
        pw_print_text(stdout, pw_json_text(find, "code"));
        fputc(' ', stdout);
        (void)pw_print_name(stdout, find);
        pw_print_note(stdout, find);
        fputc('\n', stdout);
    }
}

static void
print_meta(struct pw_span json)
{
    PW_CLEANUP(pw_json_line_free) json_t *meta = pw_json_line_parse(json);
    if (meta == NULL) {
        return; /* found by its object: no occurrence to tell of */
    }
    struct pw_span entry = pw_json_text(meta, "entry");
    print_member("entry", entry);
    if (entry.len == PW_STORE_ULID - 1) {
        printf("%-9s ", "time");
        print_entry_time((const char *)entry.ptr);
        fputc('\n', stdout);
    }
    print_member("channel", pw_json_text(meta, "chan"));
    print_member("reason", pw_json_text(meta, "reason"));
    print_member("", pw_json_text(meta, "reason_text"));
    print_finds(meta);
}

static void
print_dump_row(struct pw_span bytes, size_t from)
{
    printf("  %04zx ", from);
    for (size_t i = from; i < from + BYTES_A_ROW; i++) {
        if (i < bytes.len) {
            printf(" %02x", bytes.ptr[i]);
        } else {
            fputs("   ", stdout);
        }
    }
    fputs("  ", stdout);
    for (size_t i = from; i < from + BYTES_A_ROW && i < bytes.len; i++) {
        uint8_t byte = bytes.ptr[i];
        fputc(byte >= 0x20 && byte < 0x7f ? byte : '.', stdout);
    }
    fputc('\n', stdout);
}

static void
print_frame(size_t number, struct pw_span frame)
{
    printf("%-9s %zu: %zu bytes%s\n", "frame", number, frame.len,
           frame.len > SHOWN ? "; the first 64:" : "");
    frame.len = frame.len < SHOWN ? frame.len : SHOWN;
    for (size_t from = 0; from < frame.len; from += BYTES_A_ROW) {
        print_dump_row(frame, from);
    }
}

static void
print_message(const char *object, const struct pw_held *held, struct pw_span json)
{
    print_member("object", pw_span_str(object));
    print_meta(json);
    for (size_t i = 0; i < held->count; i++) {
        print_frame(i, held->frames[i]);
    }
    printf("%-9s picklewall quarantine explain %s\n", "trace", object);
}

/* {"entry":…, what the entry says, "object":…, "frames":[{"bytes":n,"head":"hex"}]} */
static enum pw_err
print_message_json(const char *object, const struct pw_held *held, struct pw_span entry)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = JSON_LIMIT};
    struct pw_json json = pw_json_over(&line);
    pw_json_object(&json, NULL);
    if (entry.len > 2 && pw_json_line_plain(entry)) {
        pw_json_raw(&json, (struct pw_span){entry.ptr + 1, entry.len - 2});
    } else {
        pw_json_str(&json, "object", object);
    }
    pw_json_array(&json, "frames");
    for (size_t i = 0; i < held->count; i++) {
        struct pw_span frame = held->frames[i];
        char head[2 * SHOWN + 1];
        pw_hex_encode((struct pw_span){frame.ptr, frame.len < SHOWN ? frame.len : SHOWN},
                      head);
        pw_json_object(&json, NULL);
        pw_json_uint(&json, "bytes", frame.len);
        pw_json_str(&json, "head", head);
        pw_json_end_object(&json);
    }
    pw_json_end_array(&json);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    if (json.err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    return json.err;
}

static int
show(const struct options *options, const struct pw_held *held, struct pw_span json)
{
    char object[PW_STORE_ID];
    pw_store_name(held->frames, held->count, object);
    if (options->json) {
        enum pw_err err = print_message_json(object, held, json);
        return err == PW_E_OK ? EX_OK : pw_command_fail(err, NULL);
    }
    print_message(object, held, json);
    return EX_OK;
}

int
pw_cmd_quarantine_show(int argc, char **argv)
{
    struct options options = {0};
    struct pw_why why = {{0}};
    enum pw_err err = PW_E_OK;
    int code = read_arguments(&options, true, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(options.config, options.state, &err, &why);
    if (store == NULL) {
        return pw_command_fail(err, &why);
    }
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = 1 << 20};
    PW_CLEANUP(pw_held_free) struct pw_held held = {0};
    err = pw_store_get(store, options.id, &held, &json, &why);
    if (err != PW_E_OK) {
        return pw_command_fail(err, &why);
    }
    return show(&options, &held, pw_buf_span(&json));
}
