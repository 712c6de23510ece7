/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine show: one message, as far as it can be told without unpickling it.
 */
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/pickle/scan.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json_line.h"
#include "proxy/cli/judge.h"
#include "proxy/cli/quarantine.h"

enum {
    SHOWN = 64,
    BYTES_A_ROW = 16,
    IMPORTS = 16,
    NAME_CAP = 128,
    META_LIMIT = 1 << 20,
    JSON_LIMIT = 64 << 20,
};

/* One message under show. */
struct shown {
    const struct pw_quarantine_place *place;
    struct pw_found found;
    struct pw_held held;
    struct pw_scan *scan;
    bool gone; /* the message is not there, only its entry */
};

static int
read_arguments(struct pw_quarantine_place *place, const char **id, int argc, char **argv)
{
    struct pw_args args = pw_args_over(argc, argv);
    while (pw_args_next(&args)) {
        if (pw_quarantine_read_option(place, &args)) {
            continue;
        }
        if (pw_args_unknown(&args)) {
            return EX_USAGE;
        }
        if (*id != NULL) {
            return pw_command_misused("\"%s\" is one argument too many", args.current);
        }
        *id = args.current;
    }
    if (args.bad) {
        return EX_USAGE;
    }
    return *id != NULL
               ? EX_OK
               : pw_command_misused("give the id of a message; quarantine list shows them");
}

/* ---- in words ---- */

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
print_meta(const struct shown *shown, struct pw_span json)
{
    PW_CLEANUP(pw_json_line_free) json_t *meta = pw_json_line_parse(json);
    if (meta == NULL) {
        return; /* found by its object: no occurrence to tell of */
    }
    print_member("entry", pw_span_str(shown->found.entry));
    print_member("state", pw_span_str(pw_store_state_text(shown->found.state)));
    printf("%-9s ", "time");
    pw_quarantine_print_time(shown->found.entry);
    fputc('\n', stdout);
    print_member("expires", pw_json_text(meta, "expires"));
    print_member("channel", pw_json_text(meta, "chan"));
    print_member("source", pw_json_text(meta, "src"));
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

/* What the scanner says of a frame; explain says the rest. */
static void
print_report(const struct pw_report *report)
{
    if (report->kind == PW_KIND_EMPTY || report->kind == PW_KIND_OPAQUE) {
        return;
    }
    printf("  %s, protocol %u, %" PRIu32 " opcodes, %zu imports\n",
           pw_kind_text(report->kind), report->proto, report->ops, report->import_count);
    for (size_t i = 0; i < report->import_count && i < IMPORTS; i++) {
        const struct pw_import *import = &report->imports[i];
        printf("  import at byte %" PRIu32 ": ", import->off);
        pw_print_text(stdout, import->mod);
        fputc(':', stdout);
        pw_print_text(stdout, import->name);
        fputc('\n', stdout);
    }
}

static enum pw_err
print_frame(const struct shown *shown, size_t number)
{
    struct pw_report report;
    struct pw_span frame = shown->held.frames[number];
    enum pw_err err = pw_scan_frame(shown->scan, frame, &pw_limits_default, &report);
    if (err != PW_E_OK) {
        return err;
    }
    printf("%-9s %zu: %zu bytes%s\n", "frame", number, frame.len,
           frame.len > SHOWN ? "; the first 64:" : "");
    frame.len = frame.len < SHOWN ? frame.len : SHOWN;
    for (size_t from = 0; from < frame.len; from += BYTES_A_ROW) {
        print_dump_row(frame, from);
    }
    print_report(&report);
    return PW_E_OK;
}

static enum pw_err
print_message(const struct shown *shown, struct pw_span json)
{
    enum pw_err err = PW_E_OK;
    print_member("object", pw_span_str(shown->found.object));
    print_meta(shown, json);
    for (size_t i = 0; err == PW_E_OK && i < shown->held.count; i++) {
        err = print_frame(shown, i);
    }
    if (shown->gone) {
        printf("%-9s %s\n", "message",
               shown->found.stored ? "it is not there any more"
                                   : "it was not kept, for the quarantine was full");
    } else {
        printf("%-9s picklewall quarantine explain %s\n", "trace", shown->found.object);
    }
    return err;
}

/* ---- as JSON ---- */

static void
write_imports(struct pw_json *json, const struct pw_report *report)
{
    pw_json_array(json, "imports");
    for (size_t i = 0; i < report->import_count; i++) {
        pw_json_object(json, NULL);
        pw_json_bytes(json, "mod", report->imports[i].mod, NAME_CAP);
        pw_json_bytes(json, "name", report->imports[i].name, NAME_CAP);
        pw_json_uint(json, "off", report->imports[i].off);
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

static enum pw_err
write_frame(const struct shown *shown, struct pw_span frame, struct pw_json *json)
{
    char head[2 * SHOWN + 1];
    struct pw_report report;
    enum pw_err err = pw_scan_frame(shown->scan, frame, &pw_limits_default, &report);
    if (err != PW_E_OK) {
        return err;
    }
    pw_hex_encode((struct pw_span){frame.ptr, frame.len < SHOWN ? frame.len : SHOWN}, head);
    pw_json_object(json, NULL);
    pw_json_uint(json, "bytes", frame.len);
    pw_json_str(json, "head", head);
    pw_json_str(json, "kind", pw_kind_text(report.kind));
    pw_json_uint(json, "proto", report.proto);
    pw_json_uint(json, "ops", report.ops);
    write_imports(json, &report);
    pw_json_end_object(json);
    return PW_E_OK;
}

/* {"entry":…, what the entry says, "state":…, "object":…, "frames":[{…}]} */
static enum pw_err
print_message_json(const struct shown *shown, struct pw_span entry)
{
    PW_CLEANUP(pw_buf_free) struct pw_buf line = {.limit = JSON_LIMIT};
    struct pw_json json = pw_json_over(&line);
    enum pw_err err = PW_E_OK;
    pw_json_object(&json, NULL);
    if (entry.len > 2 && pw_json_line_plain(entry)) {
        pw_json_raw(&json, (struct pw_span){entry.ptr + 1, entry.len - 2});
        pw_json_str(&json, "state", pw_store_state_text(shown->found.state));
    } else {
        pw_json_str(&json, "object", shown->found.object);
    }
    pw_json_array(&json, "frames");
    for (size_t i = 0; err == PW_E_OK && i < shown->held.count; i++) {
        err = write_frame(shown, shown->held.frames[i], &json);
    }
    pw_json_end_array(&json);
    pw_json_end_object(&json);
    pw_json_newline(&json);
    err = err == PW_E_OK ? json.err : err;
    if (err == PW_E_OK) {
        fwrite(line.bytes, 1, line.len, stdout);
    }
    return err;
}

/* ---- the command ---- */

static enum pw_err
show(struct shown *shown, const char *id, struct pw_why *why)
{
    enum pw_err err = PW_E_OK;
    PW_CLEANUP(pw_buf_free) struct pw_buf json = {.limit = META_LIMIT};
    PW_CLEANUP(pw_store_free)
    struct pw_store *store = pw_quarantine_open(shown->place, &err, why);
    if (store == NULL) {
        return err;
    }
    err = pw_store_find(store, id, &shown->found, &json, why);
    if (err != PW_E_OK) {
        return err;
    }
    err = pw_store_read(store, shown->found.object, &shown->held, why);
    shown->gone = err == PW_E_NO_INPUT && shown->found.entry[0] != '\0';
    if (err != PW_E_OK && !shown->gone) {
        return err;
    }
    err = shown->place->json ? print_message_json(shown, pw_buf_span(&json))
                             : print_message(shown, pw_buf_span(&json));
    return err == PW_E_OK ? err : pw_fail(why, err, "%s", pw_err_text(err));
}

int
pw_cmd_quarantine_show(int argc, char **argv)
{
    struct pw_quarantine_place place = {0};
    const char *id = NULL;
    struct pw_why why = {{0}};
    int code = read_arguments(&place, &id, argc, argv);
    if (code != EX_OK) {
        return code;
    }
    struct shown shown = {.place = &place, .scan = pw_scan_new()};
    enum pw_err err = shown.scan != NULL ? show(&shown, id, &why)
                                         : pw_fail(&why, PW_E_NOMEM, "out of memory");
    pw_held_free(&shown.held);
    pw_scan_free(&shown.scan);
    return err == PW_E_OK ? EX_OK : pw_command_fail(err, &why);
}
