/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit lines in the words of others: the Elastic Common Schema and OCSF. The tables of
 * README.md in this folder tell which member becomes which.
 */
#ifndef PW_PROXY_CLI_AUDIT_EXPORT_H
#define PW_PROXY_CLI_AUDIT_EXPORT_H

#include <stdbool.h>

#include <jansson.h>

#include "common/base/cursor.h"

/* An audit line on its way. */
struct pw_export {
    const json_t *event;
    uint64_t ns;   /* its time */
    char hash[65]; /* SHA-256 of the line, in hex: what the line behind it has as `prev` */
    json_t *out;   /* an object, to be filled */
    bool failed;   /* out of memory */
};

/* One member becomes another. A path goes through objects by dots. */
struct pw_export_row {
    const char *from, *to;
};

/* Fill `out`. On want of memory `failed` is set. */
typedef void pw_export_fn(struct pw_export *export);
pw_export_fn pw_export_ecs;
pw_export_fn pw_export_ocsf;

/* ---- for those that fill ---- */

/* The value at a path of the event; borrowed, NULL when there is none. */
json_t *pw_export_get(const struct pw_export *export, const char *path);

/* The string there, "" when there is none. */
const char *pw_export_text(const struct pw_export *export, const char *path);

/* Put a new value (taken over; NULL is want of memory) at a path of `out`. */
void pw_export_put(struct pw_export *export, const char *path, json_t *value);

/* The same with a string of ours or of the event; nothing when it is empty. */
void pw_export_put_text(struct pw_export *export, const char *path, const char *text);

/* Copy what is there of the rows. */
void pw_export_rows(struct pw_export *export, const struct pw_export_row *rows,
                    size_t count);

/* info 1, low 2, medium 3, high 4, critical 5: severities in both schemas. */
int pw_export_severity(const struct pw_export *export);

/* A sentence: what happened. Up to 1 KiB of printable ASCII. */
void pw_export_put_message(struct pw_export *export, const char *path);

/* The source is an address of IPv4 or IPv6. */
bool pw_export_source_is_ip(const struct pw_export *export);

#endif
