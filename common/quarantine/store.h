/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages held back, under STATE/quarantine: README.md in this folder describes the files.
 */
#ifndef PW_COMMON_QUARANTINE_STORE_H
#define PW_COMMON_QUARANTINE_STORE_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/err.h"

struct pw_store;

enum { PW_STORE_ID = 65, PW_STORE_ULID = 27 }; /* text sizes with NUL */

/*
 * Open, and create 0700, the store in the folder `path`; sweeps what a crash left in tmp/.
 * One process at a time may have it open; it is safe to use from several threads. NULL
 * with a sentence in `why`.
 */
struct pw_store *pw_store_open(const char *path, struct pw_why *why);

/* The same for reading only: nothing is created or swept. */
struct pw_store *pw_store_open_readonly(const char *path, struct pw_why *why);
void pw_store_free(struct pw_store **store);

/* What pw_store_put stored. */
struct pw_stored {
    char object[PW_STORE_ID];  /* SHA-256 of the message, hex: the object's name */
    char entry[PW_STORE_ULID]; /* ULID of this occurrence */
    bool fresh;                /* false: the same message was there already */
    uint64_t bytes;            /* of the object file */
};

/*
 * Store the whole message, durable when this returns PW_E_OK: object, then `meta` (JSON
 * members without braces, no line end) as the occurrence. On PW_E_IO, PW_E_NOMEM nothing is
 * half there.
 */
PW_CHECK_RESULT enum pw_err pw_store_put(struct pw_store *store,
                                         const struct pw_span *frames, size_t count,
                                         struct pw_span meta, struct pw_stored *out,
                                         struct pw_why *why);

/*
 * The same for one of many: durable only when pw_store_sync has returned PW_E_OK. A crash
 * before that may leave files cut short; such an object is never handed out.
 */
PW_CHECK_RESULT enum pw_err pw_store_put_later(struct pw_store *store,
                                               const struct pw_span *frames, size_t count,
                                               struct pw_span meta, struct pw_stored *out,
                                               struct pw_why *why);

/* Make everything durable that was put later. PW_E_IO. */
PW_CHECK_RESULT enum pw_err pw_store_sync(struct pw_store *store, struct pw_why *why);

/* The SHA-256 that names a message of these frames (README.md): 64 hex digits and NUL. */
void pw_store_name(const struct pw_span *frames, size_t count,
                   char out[static PW_STORE_ID]);

/* Where an entry is. It is in one state at any time: a move is one rename. */
enum pw_store_state {
    PW_STORE_HELD,
    PW_STORE_RELEASING, /* being sent on, or in doubt since a crash */
    PW_STORE_RELEASED,
    PW_STORE_PURGED,
    PW_STORE_STATES
};

/* "held", "releasing", "released", "purged". */
const char *pw_store_state_text(enum pw_store_state state);
bool pw_store_state_parse(const char *text, enum pw_store_state *state);

/*
 * Call `visit` for each entry of a state in order of ULID (that is, of time), with the JSON
 * object of its file. Stops early when it returns false. PW_E_IO, PW_E_NOMEM.
 */
typedef bool pw_store_visit(void *arg, const char *entry, struct pw_span json);
PW_CHECK_RESULT enum pw_err pw_store_list(struct pw_store *store, enum pw_store_state state,
                                          pw_store_visit *visit, void *arg,
                                          struct pw_why *why);

/* The same for the entries from the ULID `since` on. */
PW_CHECK_RESULT enum pw_err pw_store_list_since(struct pw_store *store,
                                                enum pw_store_state state,
                                                const char *since, pw_store_visit *visit,
                                                void *arg, struct pw_why *why);

/* A message read back. The frames point into `bytes`. */
struct pw_held {
    struct pw_buf bytes;
    struct pw_span *frames;
    size_t count;
};

/*
 * Parse the bytes of an object file, whole and with its checksum: PW_E_FORMAT otherwise.
 * `held` takes over `bytes` and is to be freed in any case.
 */
PW_CHECK_RESULT enum pw_err pw_held_parse(struct pw_buf *bytes, struct pw_held *held,
                                          struct pw_why *why);
void pw_held_free(struct pw_held *held);

/* What an id stands for. */
struct pw_found {
    char entry[PW_STORE_ULID]; /* "" when it was found by its object */
    enum pw_store_state state; /* of the entry */
    char object[PW_STORE_ID];
};

/*
 * Find an entry of any state by its ULID, an object by its name, or either by an
 * unambiguous prefix (at least 4 characters). `json` receives the entry's metadata, or
 * stays empty. PW_E_NO_INPUT, PW_E_USAGE (ambiguous), PW_E_FORMAT, PW_E_IO, PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_store_find(struct pw_store *store, const char *id,
                                          struct pw_found *found, struct pw_buf *json,
                                          struct pw_why *why);

/* Read an object by its whole name. PW_E_NO_INPUT when it is gone; `held` is to be freed
 * in any case. */
PW_CHECK_RESULT enum pw_err pw_store_read(struct pw_store *store, const char *object,
                                          struct pw_held *held, struct pw_why *why);

/* Both at once. */
PW_CHECK_RESULT enum pw_err pw_store_get(struct pw_store *store, const char *id,
                                         struct pw_held *held, struct pw_buf *json,
                                         struct pw_why *why);

#endif
