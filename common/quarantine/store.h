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
 * Open, and create 0700, the store in the folder `path`; puts in order what a crash left
 * (README.md), and counts what there is. Without limits. One process at a time may have it
 * open; it is safe to use from several threads. NULL with a sentence in `why`.
 */
struct pw_store *pw_store_open(const char *path, struct pw_why *why);

/* The same for reading only: nothing is created, swept or counted. */
struct pw_store *pw_store_open_readonly(const char *path, struct pw_why *why);
void pw_store_free(struct pw_store **store);

/* How much it may hold; see `quarantine` in common/settings/README.md. */
struct pw_store_limits {
    uint64_t max_bytes;
    uint64_t max_messages;
    uint64_t min_free;         /* bytes that must stay free on the file system, */
    unsigned min_free_percent; /* and this share of it */
    bool stop;                 /* when full: refuse to put, rather than keep metadata */
};

/* From the next put on. Safe from any thread, and waits for no disk. */
void pw_store_limit(struct pw_store *store, const struct pw_store_limits *limits);

/*
 * What the messages of one channel may take, besides. PW_E_NOMEM; not for a channel that
 * was named here before. May wait for a put, and so for a disk.
 */
PW_CHECK_RESULT enum pw_err pw_store_limit_channel(struct pw_store *store, const char *chan,
                                                   uint64_t max_bytes);

/*
 * From now on seal each object to this public key (seal.h), and name it by a keyed hash
 * whose key is made, once, in the file name.key. Set before the first put. PW_E_IO,
 * PW_E_NOMEM, PW_E_FORMAT (name.key is damaged).
 */
PW_CHECK_RESULT enum pw_err
pw_store_seal(struct pw_store *store, const uint8_t public[static 32], struct pw_why *why);
bool pw_store_sealed(const struct pw_store *store);

/* A message to be stored. */
struct pw_put {
    const struct pw_span *frames;
    size_t count;
    const char *chan;    /* whose limit counts */
    struct pw_span meta; /* JSON members without braces, no line end */
    bool later;          /* durable only once pw_store_sync has returned PW_E_OK: a crash
                            before may leave files cut short, which are never handed out */
    bool must;           /* store it past every limit of pw_store_limit */
};

/* What pw_store_put made of it. */
struct pw_stored {
    char object[PW_STORE_ID];  /* name of the message: SHA-256, or keyed when sealed */
    char entry[PW_STORE_ULID]; /* ULID of this occurrence; "" when there is none */
    bool stored;               /* the message itself is there */
    const char *full;          /* the setting that was in the way, or NULL */
    bool fresh;                /* false: the same message was there already */
    bool corrupt;              /* what was there did not fit its sum: now in corrupt/ */
    uint64_t bytes;            /* of the object file */
};

/*
 * Store the whole message, durable when this returns PW_E_OK: object, then the occurrence.
 * When a limit is in the way and the limits do not say `stop`, only the occurrence is
 * stored, and past max_messages or min_free nothing: see `stored`, `entry` and `full`. With
 * `stop` that is PW_E_LIMIT. On PW_E_IO, PW_E_NOMEM, PW_E_LIMIT nothing is half there.
 */
PW_CHECK_RESULT enum pw_err pw_store_put(struct pw_store *store, const struct pw_put *put,
                                         struct pw_stored *out, struct pw_why *why);

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

/* How much there is, kept up to date: of a store that is open for writing. Waits for
 * nobody. */
struct pw_store_usage {
    uint64_t entries[PW_STORE_STATES];
    uint64_t bytes; /* of objects that entries held or releasing need */
    /* What was found when it was opened. */
    uint64_t torn;    /* entries cut short by a crash; moved to corrupt/ */
    uint64_t missing; /* entries whose object was not there */
    uint64_t orphans; /* objects that no entry needed; removed, unless entries were torn */
};
struct pw_store_usage pw_store_usage(struct pw_store *store);

/*
 * The setting that leaves whole messages no room at the moment, or NULL: the limits are
 * reached, and of max_bytes less than a hundredth is left. A larger message may meet its
 * limit sooner. Waits for nobody but the file system.
 */
const char *pw_store_short_of(struct pw_store *store);

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
 * Parse the bytes of an object file, whole and with its checksum: PW_E_FORMAT otherwise;
 * PW_E_USAGE when it is whole, but of a later version than this program reads. `held` takes
 * over `bytes` and is to be freed in any case.
 */
PW_CHECK_RESULT enum pw_err pw_held_parse(struct pw_buf *bytes, struct pw_held *held,
                                          struct pw_why *why);
void pw_held_free(struct pw_held *held);

/* What an id stands for. */
struct pw_found {
    char entry[PW_STORE_ULID]; /* "" when it was found by its object */
    enum pw_store_state state; /* of the entry */
    char object[PW_STORE_ID];
    bool stored; /* false: the quarantine was full, and only the entry was kept */
};

/*
 * Find an entry of any state by its ULID, an object by its name, or either by an
 * unambiguous prefix (at least 4 characters). `json` receives the entry's metadata, or
 * stays empty. PW_E_NO_INPUT, PW_E_USAGE (ambiguous), PW_E_FORMAT, PW_E_IO, PW_E_NOMEM.
 */
PW_CHECK_RESULT enum pw_err pw_store_find(struct pw_store *store, const char *id,
                                          struct pw_found *found, struct pw_buf *json,
                                          struct pw_why *why);

/*
 * Read an object by its whole name. PW_E_NO_INPUT when it is gone, PW_E_PERM when it is
 * sealed and no key was given that opens it, PW_E_USAGE when a newer release wrote it. One
 * that does not fit its sum is PW_E_FORMAT, and moved to corrupt/ when the store is open
 * for writing; it is read once more before that, for it may have been stored anew. `held`
 * is to be freed in any case.
 */
PW_CHECK_RESULT enum pw_err pw_store_read(struct pw_store *store, const char *object,
                                          struct pw_held *held, struct pw_why *why);

/* The same for a sealed object, with its own key (pw_seal_open_box); NULL: as above. */
PW_CHECK_RESULT enum pw_err pw_store_read_with(struct pw_store *store, const char *object,
                                               const uint8_t *key, struct pw_held *held,
                                               struct pw_why *why);

/* From now on open sealed objects with the secret key in the file `path` (seal.h). */
PW_CHECK_RESULT enum pw_err pw_store_unseal(struct pw_store *store, const char *path,
                                            struct pw_why *why);

/* The bytes of an object's file as they are, checked like pw_store_read does. */
PW_CHECK_RESULT enum pw_err pw_store_read_file(struct pw_store *store, const char *object,
                                               struct pw_buf *out, struct pw_why *why);

/* Find, and read: PW_E_NO_INPUT also for an entry whose message was not kept. */
PW_CHECK_RESULT enum pw_err pw_store_get(struct pw_store *store, const char *id,
                                         struct pw_held *held, struct pw_buf *json,
                                         struct pw_why *why);

/* ---- going ---- */

enum { PW_STORE_BATCH = 64 };

/* Entries that went, and what went with them. */
struct pw_gone {
    size_t count;
    char entries[PW_STORE_BATCH][PW_STORE_ULID];
    uint64_t bytes; /* of objects that nobody needs any more, and are removed */
};

/* Whether an entry (its whole ULID) is in that state. */
bool pw_store_has(const struct pw_store *store, enum pw_store_state state,
                  const char *entry);

/*
 * Purge a held entry: from hold/ to purged/, durably; then its object goes, unless another
 * entry needs it. Added to `gone`, which has room, whenever it has moved. PW_E_NO_INPUT
 * when it is not held, PW_E_IO, PW_E_NOMEM: it stays.
 */
PW_CHECK_RESULT enum pw_err pw_store_purge(struct pw_store *store, const char *entry,
                                           struct pw_gone *gone, struct pw_why *why);

/*
 * Find held entries that are from before `wall_ns`, oldest first, at most PW_STORE_BATCH.
 * One that cannot be read is passed over: then the first error is returned, and `old` has
 * the others all the same. Does not hold up those who put.
 */
PW_CHECK_RESULT enum pw_err pw_store_old(struct pw_store *store, uint64_t wall_ns,
                                         struct pw_gone *old, struct pw_why *why);

/* Find the oldest entries of released/ or purged/ beyond max_messages, at most
 * PW_STORE_BATCH. PW_E_IO, PW_E_NOMEM. */
PW_CHECK_RESULT enum pw_err pw_store_surplus(struct pw_store *store,
                                             enum pw_store_state state,
                                             struct pw_gone *oldest, struct pw_why *why);

/*
 * Remove one of these (its whole ULID). Added to `gone`, which has room, unless it was gone
 * already. PW_E_IO: it stays.
 */
PW_CHECK_RESULT enum pw_err pw_store_forget(struct pw_store *store,
                                            enum pw_store_state state, const char *entry,
                                            struct pw_gone *gone, struct pw_why *why);

/* ---- what is done while no wall runs ---- */

/*
 * Leave a note, members of a JSON object, for the audit log of the next wall, durably. The
 * store is open for writing. `id`, if not NULL, receives its ULID. PW_E_IO.
 */
PW_CHECK_RESULT enum pw_err pw_store_note(struct pw_store *store, struct pw_span members,
                                          char *id, struct pw_why *why);

/*
 * Visit all notes, oldest first, each with its ULID. One that cannot be read is passed
 * over; then the first error is returned behind the last note. PW_E_IO, PW_E_NOMEM,
 * PW_E_LIMIT.
 */
PW_CHECK_RESULT enum pw_err pw_store_notes(struct pw_store *store, pw_store_visit *visit,
                                           void *arg, struct pw_why *why);

/* What this note says is in the log: remove it. */
void pw_store_note_told(struct pw_store *store, const char *id);

#endif
