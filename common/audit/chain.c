/* SPDX-License-Identifier: Apache-2.0 */
#include "common/audit/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "common/audit/chain_key.h"
#include "common/audit/chain_resume.h"
#include "common/audit/mirror.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hex.h"
#include "common/base/log.h"

enum {
    INSTANCE_MAX = 64,
    NEWS_MAX = 1024,
    NOTES_WAITING = 16, /* for the mirror; a write to the log holds two or three */
};

static const uint64_t late_ns = UINT64_C(10) * 1000000000;

struct pw_chain {
    struct pw_chain_state now; /* after the line that was added last */
    char prev[2 * PW_TREE_HASH + 1];
    uint64_t sealed;     /* size of the newest checkpoint */
    bool ends_in_seal;   /* the last line is a checkpoint */
    uint64_t open_since; /* pw_clock_steady of the oldest unsealed line; 0: none */

    struct pw_key *key;
    struct pw_note_key who;
    char *path;                 /* of the state file; NULL: none is kept */
    struct pw_chain_state kept; /* at the newest checkpoint */
    bool unsaved;               /* `kept` is not in the file */
    bool was_closed;            /* the log was, and nothing was added since */
    bool touched;               /* by a line of this process */
    bool was_here;              /* its key, which an earlier start has made */
    bool key_made;              /* at this start */
    bool replaces; /* another chain, which `path` tells of until we have lines */
    bool save_failed;

    struct pw_mirror *mirror; /* NULL: none */
    struct pw_buf notes;      /* for it, each with a NUL, until their lines are written */

    char news[NEWS_MAX];
    char *alarm;
};

/* ---- lines ---- */

uint64_t
pw_chain_next(const struct pw_chain *chain)
{
    return chain->now.tree.size + 1;
}

/* What a checkpoint says is known before its line is: the note binds the line's start. */
static size_t
make_note(struct pw_chain *chain, struct pw_span before, char out[static PW_NOTE_MAX])
{
    struct pw_checkpoint point = {
        .origin = pw_span_str(chain->now.id), .size = chain->now.tree.size, .bound = true};
    pw_tree_root(&chain->now.tree, point.root);
    crypto_hash_sha256(point.line, before.ptr, before.len);
    return pw_note_make(&point, chain->key, out);
}

static size_t
seal(void *arg, struct pw_span before, char out[static PW_NOTE_JSON])
{
    struct pw_chain *chain = arg;
    char note[PW_NOTE_MAX];
    size_t len = make_note(chain, before, note);
    if (chain->mirror != NULL && chain->notes.limit - chain->notes.len > len) {
        note[len] = '\0';
        (void)!pw_buf_append(&chain->notes,
                             (struct pw_span){(const uint8_t *)note, len + 1});
    }
    return pw_note_escape((struct pw_span){(const uint8_t *)note, len}, out);
}

struct pw_audit_link
pw_chain_link(struct pw_chain *chain)
{
    return (struct pw_audit_link){
        .chain = chain->now.id,
        .prev = chain->prev,
        .tree = &chain->now.tree,
        .seal = seal,
        .arg = chain,
    };
}

static void
note_kind(struct pw_chain *chain, enum pw_audit_event event)
{
    chain->ends_in_seal = event == PW_EVENT_CHECKPOINT;
    if (chain->ends_in_seal) {
        chain->sealed = chain->now.tree.size - 1;
        chain->open_since = 0;
        chain->kept = chain->now;
        chain->unsaved = true;
    } else if (chain->open_since == 0) {
        chain->open_since = pw_clock_steady();
    }
}

void
pw_chain_add(struct pw_chain *chain, struct pw_span line, enum pw_audit_event event)
{
    uint8_t leaf[PW_TREE_HASH];
    crypto_hash_sha256(chain->now.hash, line.ptr, line.len);
    struct pw_span entry = {chain->now.hash, sizeof chain->now.hash};
    pw_hex_encode(entry, chain->prev);
    pw_tree_leaf(entry, leaf);
    pw_tree_append(&chain->now.tree, leaf);
    chain->was_closed = false;
    chain->touched = true;
    note_kind(chain, event);
}

bool
pw_chain_is_full(const struct pw_chain *chain)
{
    return chain->key != NULL && !pw_chain_is_sealed(chain) &&
           chain->now.tree.size - chain->sealed >= PW_CHAIN_EVERY;
}

bool
pw_chain_is_late(const struct pw_chain *chain, uint64_t now)
{
    return chain->key != NULL && chain->open_since != 0 &&
           now - chain->open_since >= late_ns;
}

bool
pw_chain_is_sealed(const struct pw_chain *chain)
{
    return chain->key == NULL || chain->ends_in_seal || !chain->touched;
}

/* ---- what is kept of it ---- */

void
pw_chain_written(struct pw_chain *chain)
{
    struct pw_cursor cur = pw_cursor_over(pw_buf_span(&chain->notes));
    while (cur.rest.len > 0) {
        pw_mirror_put(chain->mirror, pw_cursor_until(&cur, '\0'));
    }
    pw_buf_clear(&chain->notes);
}

static void
save(struct pw_chain *chain)
{
    uint8_t room[PW_CHAIN_STATE_MAX];
    struct pw_buf text = {.bytes = room, .cap = sizeof room, .limit = sizeof room};
    enum pw_err err = pw_chain_state_format(&chain->kept, &text);
    if (err == PW_E_OK) {
        err = pw_file_replace(chain->path, pw_buf_span(&text), 0600);
    }
    if (err != PW_E_OK && !chain->save_failed) {
        pw_log(PW_LOG_ERROR,
               "%s: %s; make room, or a restart will not know where the audit log ended",
               chain->path, strerror(errno));
    }
    chain->save_failed = err != PW_E_OK;
    chain->unsaved = chain->save_failed;
}

void
pw_chain_save(struct pw_chain *chain, bool closed)
{
    if (chain->path == NULL) {
        return;
    }
    bool empty = chain->now.tree.size == 0;
    bool sealed = chain->touched && chain->ends_in_seal;
    bool ended = closed && (chain->was_closed || sealed || empty);
    bool opened = chain->kept.opened && !chain->touched;
    bool same = chain->kept.closed == ended && chain->kept.opened == opened;
    if ((chain->replaces && empty) || (!chain->unsaved && same)) {
        return;
    }
    chain->kept.closed = ended;
    chain->kept.opened = opened;
    save(chain);
}

static void
set_begin(struct pw_chain_state *state, struct pw_span id, uint64_t seq)
{
    memset(state->begins, 0, sizeof state->begins);
    for (size_t i = 0; i < id.len && i < sizeof state->begins - 1; i++) {
        state->begins[i] = (char)id.ptr[i];
    }
    state->begins_seq = seq;
}

bool
pw_chain_begins(struct pw_chain *chain, struct pw_span id, uint64_t seq)
{
    if (chain->path == NULL) {
        return true;
    }
    set_begin(&chain->now, id, seq);
    set_begin(&chain->kept, id, seq);
    save(chain);
    return !chain->unsaved;
}

const char *
pw_chain_news(const struct pw_chain *chain)
{
    return chain->news;
}

const char *
pw_chain_alarm(const struct pw_chain *chain)
{
    return chain->alarm;
}

/* ---- open and close ---- */

/* Whatever the instance is called, nothing in an id needs an escape. */
static void
make_id(struct pw_chain *chain, const char *instance)
{
    static const char harmless[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789._-";
    char name[INSTANCE_MAX + 1];
    snprintf(name, sizeof name, "%s", instance[0] != '\0' ? instance : "_");
    for (char *c = name + strspn(name, harmless); *c != '\0'; c += strspn(c, harmless)) {
        *c = '_';
    }
    snprintf(chain->now.id, sizeof chain->now.id, "%s/%" PRIu64, name,
             pw_clock_wall() / 1000000);
}

static void
begin_new(struct pw_chain *chain, const char *instance)
{
    chain->now = (struct pw_chain_state){0};
    make_id(chain, instance);
    set_begin(&chain->now, pw_span_str(chain->now.id), 1);
    memset(chain->prev, '0', sizeof chain->prev - 1);
    chain->kept = chain->now;
    chain->unsaved = true;
    snprintf(chain->news, sizeof chain->news, "\"chain\":{\"what\":\"new\"}");
}

/* Go on where the log ends. */
static void
continue_old(struct pw_chain *chain, const struct pw_chain_resume *resume)
{
    chain->now = resume->follow.at;
    chain->now.closed = false;
    chain->now.opened = false;
    pw_hex_encode((struct pw_span){chain->now.hash, PW_TREE_HASH}, chain->prev);
    chain->sealed = resume->follow.sealed;
    chain->ends_in_seal = resume->follow.ends_in_seal;
    chain->was_closed = resume->what == PW_CHAIN_CONTINUED;
    chain->open_since = chain->ends_in_seal ? 0 : pw_clock_steady();
    chain->kept = chain->now;
    chain->unsaved = chain->ends_in_seal;
}

static enum pw_err
tell(struct pw_chain *chain, const struct pw_chain_resume *resume, struct pw_why *why)
{
    struct pw_buf text = {.limit = NEWS_MAX - 1};
    pw_chain_resume_format(resume, &text);
    if (text.len > 0) {
        memcpy(chain->news, text.bytes, text.len);
    }
    chain->news[text.len] = '\0';
    bool told = text.len > 0;
    pw_buf_free(&text);
    if (told && resume->alarm.text[0] != '\0') {
        chain->alarm = strdup(resume->alarm.text);
        told = chain->alarm != NULL;
    }
    return told ? PW_E_OK : pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
}

/* The key is made at the first start, and with it a state: one that stands alone is odd. */
static void
miss_log(const struct pw_chain *chain, const char *log, struct pw_chain_resume *resume)
{
    if (resume->blank && chain->was_here) {
        (void)pw_fail(&resume->alarm, PW_E_FORMAT,
                      "%s: there is neither this log nor what was known of its end "
                      "(audit.chain), but the key that signs it was there before this "
                      "start; a new chain begins. If a wall has run here, its log was "
                      "removed: look for a copy, and see `picklewall audit verify "
                      "--checkpoint` with the mirror",
                      log);
    }
}

/* A log that goes on, or has been, was signed by a key that is not there any more. */
static void
miss_key(const struct pw_chain *chain, const char *log, struct pw_chain_resume *resume)
{
    bool goes_on = resume->what == PW_CHAIN_CONTINUED || resume->what == PW_CHAIN_RECOVERED;
    if (chain->key_made && goes_on) {
        (void)pw_fail(&resume->alarm, PW_E_FORMAT,
                      "%s: the key that signed this log was gone, and a new one was made, "
                      "which signs from here on. If nobody did that on purpose, put the "
                      "old key back; to verify what it has signed give its public half "
                      "with --key, too: the old audit.pub is audit.pub.old",
                      log);
    }
}

static enum pw_err
resume_chain(struct pw_chain *chain, const char *log, struct pw_why *why)
{
    struct pw_chain_resume resume;
    enum pw_err err = pw_chain_resume(chain->path, log, &chain->who, 1, &resume, why);
    miss_log(chain, log, &resume);
    miss_key(chain, log, &resume);
    err = err == PW_E_OK ? tell(chain, &resume, why) : err;
    if (err != PW_E_OK) {
        return err;
    }
    if (resume.what == PW_CHAIN_CONTINUED || resume.what == PW_CHAIN_RECOVERED) {
        continue_old(chain, &resume);
    }
    chain->replaces = resume.what == PW_CHAIN_BROKEN;
    if (chain->replaces) {
        set_begin(&chain->now, pw_span_str(resume.begins), resume.begins_seq);
        set_begin(&chain->kept, pw_span_str(resume.begins), resume.begins_seq);
    }
    if (chain->unsaved && !chain->replaces) {
        /* From now on the log is not closed. Until it has a line, it may be another file.
         */
        chain->kept.opened = resume.what != PW_CHAIN_RECOVERED;
        save(chain);
    }
    return PW_E_OK;
}

static enum pw_err
open_mirror(struct pw_chain *chain, const char *path, struct pw_why *why)
{
    if (path == NULL) {
        return PW_E_OK;
    }
    chain->notes.limit = (size_t)NOTES_WAITING * PW_NOTE_MAX;
    if (pw_buf_reserve(&chain->notes, chain->notes.limit) != PW_E_OK) {
        return pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
    }
    chain->mirror = pw_mirror_open(path, why);
    return chain->mirror != NULL ? PW_E_OK : PW_E_CREATE;
}

static enum pw_err
open_state(struct pw_chain *chain, const struct pw_chain_options *options,
           struct pw_why *why)
{
    char path[PATH_MAX];
    if (options->state == NULL) {
        return PW_E_OK;
    }
    snprintf(path, sizeof path, "%s/audit.pwkey", options->state);
    const char *key = options->key != NULL ? options->key : path;
    /* One with another name may have been made beforehand, by hand. */
    chain->was_here = strcmp(key, path) == 0 && access(path, F_OK) == 0;
    chain->key_made = access(key, F_OK) != 0;
    chain->key = pw_chain_key_open(key, why);
    if (chain->key == NULL || !pw_note_key_of(chain->key, &chain->who)) {
        return PW_E_CONFIG;
    }
    snprintf(path, sizeof path, "%s/audit.chain", options->state);
    chain->path = strdup(path);
    return chain->path != NULL ? resume_chain(chain, options->log, why)
                               : pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
}

struct pw_chain *
pw_chain_open(const struct pw_chain_options *options, struct pw_why *why)
{
    struct pw_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL) {
        (void)pw_fail(why, PW_E_NOMEM, "audit log: out of memory");
        return NULL;
    }
    begin_new(chain, options->instance);
    enum pw_err err = open_state(chain, options, why);
    err = err == PW_E_OK ? open_mirror(chain, options->mirror, why) : err;
    if (err != PW_E_OK) {
        pw_chain_free(&chain);
    }
    return chain;
}

void
pw_chain_free(struct pw_chain **chain)
{
    if (*chain == NULL) {
        return;
    }
    pw_key_free(&(*chain)->key);
    pw_mirror_close(&(*chain)->mirror);
    pw_buf_free(&(*chain)->notes);
    free((*chain)->path);
    free((*chain)->alarm);
    free(*chain);
    *chain = NULL;
}
