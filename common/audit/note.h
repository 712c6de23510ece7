/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of a tree as signed notes, so that other tools can read them: the formats
 * "signed-note" and "tlog-checkpoint" of https://c2sp.org, with Ed25519.
 *
 *     wall/1795304398001                                origin: the chain
 *     1024                                              size
 *     Wm9kSz…=                                          root, base64
 *     line 4f8Hj…=                                      what is bound besides (README.md)
 *
 *     — audit 5rFk…=                                    name; 4 bytes of key id, signature
 */
#ifndef PW_COMMON_AUDIT_NOTE_H
#define PW_COMMON_AUDIT_NOTE_H

#include "common/audit/tree.h"
#include "common/base/err.h"
#include "common/sign/key.h"

enum {
    PW_NOTE_MAX = 512,     /* bytes of a note that pw_note_make writes, its NUL included */
    PW_NOTE_ORIGIN = 96,   /* longest origin, in bytes */
    PW_NOTE_KEY_NAME = 64, /* longest name of a key */
    PW_NOTE_KEY_ID = 4,
    PW_NOTE_KEY_TEXT = 128, /* a key as text, its NUL included */
};

/* Who may have signed: the public half, and what notes call it. */
struct pw_note_key {
    char name[PW_NOTE_KEY_NAME + 1];
    uint8_t id[PW_NOTE_KEY_ID];
    uint8_t public_key[32];
};

/* The public half of an Ed25519 key as a note's key; false for a key of another suite. */
PW_CHECK_RESULT bool pw_note_key_of(const struct pw_key *key, struct pw_note_key *out);

/*
 * "name+hex of id+base64 of 0x01 and the public key", with a line end or none: PW_E_FORMAT
 * with a sentence for any other text, and for an id that is not that of the key.
 */
PW_CHECK_RESULT enum pw_err pw_note_key_parse(struct pw_span text, struct pw_note_key *out,
                                              struct pw_why *why);
void pw_note_key_format(const struct pw_note_key *key, char out[static PW_NOTE_KEY_TEXT]);

/* What a checkpoint says. */
struct pw_checkpoint {
    struct pw_span origin; /* at most PW_NOTE_ORIGIN bytes without LF */
    uint64_t size;
    uint8_t root[PW_TREE_HASH];
    bool bound;                 /* `line` is there */
    uint8_t line[PW_TREE_HASH]; /* SHA-256 of the bytes before the note in its line */
};

/* Write the note of `point`, signed by `key` (an Ed25519 key that signs); its length. */
size_t pw_note_make(const struct pw_checkpoint *point, const struct pw_key *key,
                    char out[static PW_NOTE_MAX]);

enum { PW_NOTE_JSON = PW_NOTE_MAX + 64 }; /* such a note, escaped, with a NUL */

/*
 * Write a note that pw_note_make wrote as the inside of a JSON string of ASCII; its length.
 * There is one spelling: LF is \n, the em dash \u2014, all else stands for itself.
 */
size_t pw_note_escape(struct pw_span note, char out[static PW_NOTE_JSON]);

/* The note of such a string. False when it is no pw_note_escape of anything, or too long.
 */
PW_CHECK_RESULT bool pw_note_unescape(struct pw_span text, char out[static PW_NOTE_MAX],
                                      size_t *len);

/* The two halves of a note, borrowed from its text. */
struct pw_note {
    struct pw_span text; /* what is signed, its last LF included */
    struct pw_span signatures;
};

/* Split a note, which is all of `bytes`. False when it is none. */
PW_CHECK_RESULT bool pw_note_split(struct pw_span bytes, struct pw_note *out);

/* The first note of `bytes`, which are many with empty lines between; moves behind it. */
PW_CHECK_RESULT bool pw_note_next(struct pw_span *bytes, struct pw_note *out);

enum pw_note_trust {
    PW_NOTE_UNKNOWN_KEY, /* none of the keys has signed it */
    PW_NOTE_BAD,         /* it claims one of the keys, and the signature is not of it */
    PW_NOTE_GOOD,
};

/* Whether one of `keys` has signed the note. */
enum pw_note_trust pw_note_verify(const struct pw_note *note,
                                  const struct pw_note_key *keys, size_t count);

/* Read what the text of a note says as a checkpoint. False when it is none. */
PW_CHECK_RESULT bool pw_note_checkpoint(const struct pw_note *note,
                                        struct pw_checkpoint *out);

#endif
