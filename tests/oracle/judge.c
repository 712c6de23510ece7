/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner for the oracle tests: many streams in, one JSON object a stream out, without
 * a policy. Input: a length (4 bytes, little-endian) before each stream. Names are written
 * in hexadecimal, since they may hold anything. "hash" is what hash() of the loaded value
 * is expected to be.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/pickle/compat.h"
#include "common/pickle/hash.h"
#include "common/pickle/scan.h"

static const char *const kind_names[] = {"broken", "opaque", "empty", "pickle"};
static const char *const use_names[PW_USE_COUNT] = {"ref", "call", "new", "build", "items"};

static void
must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "judge: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void
write_hex(struct pw_json *json, const char *key, struct pw_span bytes)
{
    char *digits = malloc(2 * bytes.len + 1);
    must(digits != NULL, "out of memory");
    pw_hex_encode(bytes, digits);
    pw_json_str(json, key, digits);
    free(digits);
}

/* What find_class makes of the name where the consumer renames. */
static void
write_renamed(struct pw_json *json, const struct pw_import *import)
{
    struct pw_span mod = import->mod;
    struct pw_span name = import->name;
    if (import->proto < 3) {
        (void)pw_compat_map(import->mod, import->name, &mod, &name);
    }
    pw_json_array(json, "as");
    write_hex(json, NULL, mod);
    write_hex(json, NULL, name);
    pw_json_end_array(json);
}

static void
write_imports(struct pw_json *json, const struct pw_report *report)
{
    pw_json_array(json, "imports");
    for (size_t i = 0; i < report->import_count; i++) {
        const struct pw_import *import = &report->imports[i];
        pw_json_object(json, NULL);
        write_hex(json, "mod", import->mod);
        write_hex(json, "name", import->name);
        write_renamed(json, import);
        pw_json_uint(json, "off", import->off);
        pw_json_uint(json, "proto", import->proto);
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

static void
write_finds(struct pw_json *json, const struct pw_report *report)
{
    pw_json_array(json, "finds");
    for (size_t i = 0; i < report->find_count; i++) {
        pw_json_object(json, NULL);
        pw_json_str(json, "code", pw_reason_code(report->finds[i].reason));
        pw_json_uint(json, "off", report->finds[i].off);
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
    size_t unkept = 0;
    for (size_t i = 0; i < PW_DOOR_COUNT; i++) {
        unkept += report->unkept[i];
    }
    pw_json_uint(json, "unkept", unkept);
}

static void
write_uses(struct pw_json *json, const struct pw_report *report)
{
    pw_json_array(json, "uses");
    for (size_t i = 0; i < report->used_count; i++) {
        pw_json_object(json, NULL);
        pw_json_uint(json, "import", report->used[i].import);
        pw_json_str(json, "use", use_names[report->used[i].use]);
        pw_json_end_object(json);
    }
    pw_json_end_array(json);
}

/* STOP leaves its value where it is. */
static void
write_hash(struct pw_json *json, const struct pw_report *report)
{
    const struct pw_scan *m = report->scan;
    if (report->kind == PW_KIND_PICKLE) {
        pw_json_uint(json, "hash", pw_hash_value(m, m->stack.at[m->stack.len - 1]));
    }
}

static void
write_report(struct pw_json *json, const struct pw_report *report)
{
    pw_json_object(json, NULL);
    pw_json_str(json, "kind", kind_names[report->kind]);
    pw_json_uint(json, "proto", report->proto);
    pw_json_uint(json, "ops", report->ops);
    pw_json_uint(json, "bytes", report->bytes);
    pw_json_uint(json, "consumed", report->consumed);
    pw_json_uint(json, "memo", report->memo);
    pw_json_uint(json, "buffers", report->buffers);
    write_imports(json, report);
    write_finds(json, report);
    write_uses(json, report);
    write_hash(json, report);
    pw_json_end_object(json);
    pw_json_newline(json);
}

/* The next stream, in memory that ends where it ends; false when there is none. */
static bool
read_stream(uint8_t **bytes, size_t *len)
{
    uint8_t head[4];
    size_t got = fread(head, 1, sizeof head, stdin);
    if (got == 0 && feof(stdin)) {
        return false;
    }
    must(got == sizeof head, "the input ends inside a length");
    *len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    *bytes = malloc(*len > 0 ? *len : 1);
    must(*bytes != NULL, "out of memory");
    must(fread(*bytes, 1, *len, stdin) == *len, "the input ends inside a stream");
    return true;
}

int
main(void)
{
    struct pw_scan *scan = pw_scan_new();
    must(scan != NULL, "out of memory");
    struct pw_buf line = {.limit = SIZE_MAX};
    uint8_t *bytes;
    size_t len;
    while (read_stream(&bytes, &len)) {
        struct pw_report report;
        struct pw_json json = pw_json_over(&line);
        pw_buf_clear(&line);
        must(pw_scan_frame(scan, (struct pw_span){bytes, len}, &pw_limits_default,
                           &report) == PW_E_OK,
             "out of memory");
        write_report(&json, &report);
        must(json.err == PW_E_OK, "out of memory");
        must(fwrite(line.bytes, 1, line.len, stdout) == line.len, "cannot write");
        free(bytes);
    }
    pw_buf_free(&line);
    pw_scan_free(&scan);
    return EXIT_SUCCESS;
}
