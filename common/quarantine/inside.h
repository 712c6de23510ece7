/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share; nobody else includes it.
 */
#ifndef PW_COMMON_QUARANTINE_INSIDE_H
#define PW_COMMON_QUARANTINE_INSIDE_H

#include <dirent.h>
#include <pthread.h>

#include "common/base/ulid.h"
#include "common/quarantine/account.h"
#include "common/quarantine/object.h"
#include "common/quarantine/seal.h"
#include "common/quarantine/store.h"

enum {
    PW_ENTRY_LIMIT = 1 << 20, /* bytes of an entry's file */
    PW_ENTRY_FILE = 80,       /* its name, "ULID.json", with NUL, and room */
    PW_HEX_NAME = PW_STORE_ID - 1,
    PW_ULID_NAME = PW_STORE_ULID - 1,
};

/* Folders of the store; the states come first, in the order of enum pw_store_state. */
enum pw_folder {
    PW_FOLDER_HOLD = PW_STORE_HELD,
    PW_FOLDER_RELEASING = PW_STORE_RELEASING,
    PW_FOLDER_RELEASED = PW_STORE_RELEASED,
    PW_FOLDER_PURGED = PW_STORE_PURGED,
    PW_FOLDER_TMP,
    PW_FOLDER_OBJ,
    PW_FOLDER_CORRUPT,
    PW_FOLDER_NOTES,
    PW_FOLDER_COUNT
};

/* As struct pw_store_usage says. */
struct pw_store_counts {
    _Atomic uint64_t entries[PW_STORE_STATES];
    _Atomic uint64_t bytes;
    uint64_t torn;
    uint64_t missing;
    uint64_t orphans;
};

struct pw_store {
    char *path; /* for sentences */
    int root;
    int folders[PW_FOLDER_COUNT]; /* -1: not there, which only a reader meets */
    bool writer;
    pthread_mutex_t lock; /* one change at a time: what is durable is easy to tell */
    /* Under the lock: */
    bool later; /* this put is one of many: pw_store_sync is what makes it durable */
    struct pw_ulid ulid;
    struct pw_account account; /* of what held and releasing entries need */
    uint64_t oldest_ms;        /* no held entry is older */
    /* Written under the lock, which disks can hold up; read without it: */
    struct pw_store_counts usage;
    pthread_mutex_t limits_lock; /* never held while a disk works */
    struct pw_store_limits limits;
    /* Set before the first put: */
    struct pw_seal_room *room; /* NULL: not sealed */
    uint8_t public[PW_SEAL_KEY];
    uint8_t name_key[PW_SEAL_KEY];
    uint8_t *secret; /* of a reader that unseals, or NULL */
};

/* "hold", "tmp", … */
const char *pw_folder_name(enum pw_folder folder);

/* ---- disk.c: folders, files in tmp/, moves for good ---- */

/* A descriptor, or -1 and errno. No symbolic link is followed. */
int pw_folder_open(int parent, const char *name);
int pw_folder_make(int parent, const char *name);

/* Read a folder from its beginning; NULL and errno. The descriptor stays the caller's. */
DIR *pw_folder_read(int folder);
void pw_folder_done(DIR **dir); /* for PW_CLEANUP */

/* "STORE/WHAT: errno; make room, …" as PW_E_IO, or PW_E_NOMEM; errno stays. */
enum pw_err pw_store_complain(const struct pw_store *store, const char *what,
                              struct pw_why *why);

/* Writes the content of a file; false and errno. */
typedef bool pw_store_content(int fd, const void *arg);

/* One span of bytes. */
pw_store_content pw_store_write_span;

/* fsync, unless the put is one of many. */
bool pw_store_to_disk(const struct pw_store *store, int fd);

/* A new file tmp/NAME, whole and on the disk; false, errno and no file otherwise. */
bool pw_store_write_tmp(const struct pw_store *store, const char *name,
                        pw_store_content *content, const void *arg);

/* Move tmp/NAME to FOLDER/TARGET, for good; false, errno and neither of them otherwise. */
bool pw_store_move_into(const struct pw_store *store, const char *name, int folder,
                        const char *target);

/* The folder obj/ab of an object ab…; -1 and errno. */
int pw_store_shelf(const struct pw_store *store, const char *object);

/* Put an object that does not fit its sum aside, as corrupt/NAME.ULID. False and errno. */
bool pw_store_set_aside(struct pw_store *store, int shelf, const char *object);

/* How an entry was moved. */
enum pw_moved {
    PW_MOVED_NOT,   /* it is where it was */
    PW_MOVED_LOOSE, /* it has moved; after a power cut it may be where it was, never in both
                     */
    PW_MOVED_FIRM,  /* for good */
};

/*
 * Move the file of `entry` (ULID) from one state to another: rename, then fsync of the
 * folder it came to and of the one it left, each tried twice. One that is released or
 * purged needs its object no more: it goes when no other entry does, and *freed, if not
 * NULL, grows by its bytes. The caller holds the lock. errno tells why it is not
 * PW_MOVED_FIRM (ENOENT: the entry is not in `from`; ENOMEM).
 */
enum pw_moved pw_store_move_entry(struct pw_store *store, const char *entry,
                                  enum pw_store_state from, enum pw_store_state to,
                                  uint64_t *freed);

/* Whether the folder has a file NAME; one of -1 has none. */
bool pw_store_is_there(int folder, const char *name);

/* Append the file NAME of the folder. PW_E_NO_INPUT when it is not there (any more). */
enum pw_err pw_store_read_at(int folder, const char *name, struct pw_buf *out);

/* ---- names.c: what is in a folder ---- */

/* Names of one length, one behind the other, each with its NUL: `each` bytes. */
struct pw_names {
    struct pw_buf text;
    size_t each;
};

void pw_names_free(struct pw_names *names);
size_t pw_names_count(const struct pw_names *names);
const char *pw_names_at(const struct pw_names *names, size_t i);
void pw_names_sort(struct pw_names *names);

bool pw_is_entry_file(const char *name);  /* ULID.json */
bool pw_is_object_file(const char *name); /* 64 hex digits */
bool pw_is_shelf(const char *name);       /* 2 hex digits */

/* Add the names in `folder` that start with `prefix`, cut to `each` - 1 characters. A
 * folder of -1 has none. */
enum pw_err pw_names_gather(int folder, bool (*wanted)(const char *name),
                            const char *prefix, struct pw_names *names);

/* ---- entry.c: one occurrence ---- */

/* The JSON object of an entry, without its line end. PW_E_NO_INPUT. */
enum pw_err pw_entry_read(const struct pw_store *store, enum pw_store_state state,
                          const char *entry, struct pw_buf *out);

/* What the store itself needs of an entry. */
struct pw_entry {
    char object[PW_STORE_ID];
    uint64_t bytes; /* of the object file */
    bool stored;
    char chan[PW_ACCOUNT_CHAN]; /* "" when it names none */
};

/* Read an entry that this program wrote; false for anything else, and for one cut short. */
bool pw_entry_parse(struct pw_span json, struct pw_entry *out);

/* The milliseconds that a ULID begins with. */
uint64_t pw_entry_ms(const char *entry);

/* ---- start.c ---- */

/* Put in order what a crash left, and count what there is. */
PW_CHECK_RESULT enum pw_err pw_store_settle(struct pw_store *store, struct pw_why *why);

/* ---- limit.c ---- */

/* The limits as they are at this moment; waits for no disk. */
struct pw_store_limits pw_store_limits_now(struct pw_store *store);

/*
 * Which setting is in the way of an object of `bytes` in the channel; NULL: none. *entry is
 * false when not even an entry has room. `name` is the object's.
 */
const char *pw_store_full(const struct pw_store *store,
                          const struct pw_store_limits *limits,
                          const uint8_t name[static PW_ACCOUNT_NAME], uint32_t channel,
                          uint64_t bytes, bool *entry);

#endif
