/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the commands find the quarantine, and what they print of it.
 */
#ifndef PW_PROXY_CLI_QUARANTINE_H
#define PW_PROXY_CLI_QUARANTINE_H

#include <jansson.h>

#include "common/quarantine/store.h"
#include "proxy/cli/command.h"

/* Options that all of these commands have. Texts are borrowed from the arguments. */
struct pw_quarantine_place {
    const char *config;
    const char *state;  /* NULL: as the configuration says */
    const char *unseal; /* file of the secret key, for sealed objects */
    bool json;
};

/* Whether the argument at hand is one of them: --config, --state, --json. */
bool pw_quarantine_option(struct pw_quarantine_place *place, struct pw_args *args);

/* The same with --unseal, for commands that read messages. */
bool pw_quarantine_read_option(struct pw_quarantine_place *place, struct pw_args *args);

enum { PW_QUARANTINE_PATH = 4096 };

/* The folder of the quarantine. PW_E_CONFIG, PW_E_NO_INPUT with a sentence. */
PW_CHECK_RESULT enum pw_err pw_quarantine_path(const struct pw_quarantine_place *place,
                                               char out[static PW_QUARANTINE_PATH],
                                               struct pw_why *why);

/*
 * Open the store for reading only, and for sealed objects too when a key is named. NULL
 * with *err and a sentence.
 */
struct pw_store *pw_quarantine_open(const struct pw_quarantine_place *place,
                                    enum pw_err *err, struct pw_why *why);

/* "2026-11-22 10:15:00.000", the time that a ULID begins with. */
void pw_quarantine_print_time(const char *entry);

/* The text, and blanks up to `width`. */
void pw_quarantine_print_column(struct pw_span text, size_t width);

#endif
