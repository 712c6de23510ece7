/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file (ZPL), checked and compiled. `settings.def` lists every setting
 * with its type, default and range; README.md in this folder is the reference.
 */
#ifndef PW_COMMON_SETTINGS_SETTINGS_H
#define PW_COMMON_SETTINGS_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/policy/frame_rules.h"
#include "common/policy/policy.h"
#include "common/policy/verdict.h"

/* One endpoint of a side. */
struct pw_endpoint {
    bool bind; /* false: connect */
    char *address;
};

/* Encryption of a side; all NULL: none. Paths are absolute. */
struct pw_curve_setting {
    char *key;     /* file of our own pair */
    char *clients; /* folder of those who may connect to us, or "*"; NULL: nothing binds */
    char *server;  /* file of whom we connect to; NULL: nothing connects */
};

/* The `in` or `out` of a channel. */
struct pw_side {
    struct pw_endpoint *endpoints; /* at least one */
    size_t count;
    int hwm;    /* messages a connection may queue (ZMQ_RCVHWM, ZMQ_SNDHWM) */
    int buffer; /* kernel buffer bytes (ZMQ_RCVBUF, ZMQ_SNDBUF); -1: the system's */
    int max_connections;
    int handshake_ms;
    struct pw_curve_setting curve;
};

enum pw_verify_setting {
    PW_SET_VERIFY_OFF,
    PW_SET_VERIFY_OPTIONAL,
    PW_SET_VERIFY_REQUIRED
};
enum pw_envelope_setting {
    PW_SET_ENVELOPE_TAIL,
    PW_SET_ENVELOPE_FRAME,
    PW_SET_ENVELOPE_SUFFIX, /* from here on the layouts of other programs */
    PW_SET_ENVELOPE_DETACHED,
    PW_SET_ENVELOPE_PREFIX,
    PW_SET_ENVELOPE_JUPYTER,
};

enum pw_sandbox_setting {
    PW_SET_SANDBOX_OFF,
    PW_SET_SANDBOX_BEST_EFFORT,
    PW_SET_SANDBOX_REQUIRE
};

enum pw_syslog_setting { PW_SET_SYSLOG_OFF, PW_SET_SYSLOG_SYSLOG, PW_SET_SYSLOG_JOURNAL };

struct pw_channel {
    char *name;
    struct pw_side in;
    struct pw_side out;
    const struct pw_policy *policy;
    enum pw_verdict on_violation;
    int verify;  /* enum pw_verify_setting */
    bool replay; /* remember what was accepted */
    int max_age_ms;
    int max_future_ms;
    int envelope; /* enum pw_envelope_setting */
    bool strip;
    char *sign; /* id of the signing key; NULL: do not sign */
    struct pw_frame_rules frames;
    size_t max_frames;
    uint64_t quarantine_bytes; /* 0: only what holds for all channels */
    int64_t max_message_bytes; /* ZMQ_MAXMSGSIZE of a frame; -1: none */
};

struct pw_zpl;

struct pw_settings {
    char *file;    /* where this came from */
    char *state;   /* folder */
    char *keys;    /* folder; NULL when not set */
    char *control; /* socket; absolute, or "-" */
    char *instance;
    char *http;      /* HOST:PORT; NULL: none */
    char *http_name; /* NULL: none */
    int drain_timeout_ms;
    int log_level;     /* enum pw_log_level */
    int sandbox;       /* enum pw_sandbox_setting */
    bool sandbox_kill; /* a refused system call is the end */
    int audit_syslog;  /* enum pw_syslog_setting */
    bool audit_pass_each;
    bool audit_sync_each;
    bool audit_degrade;
    bool audit_stdout;
    bool quarantine_stop; /* when full */
    char *audit_file;     /* absolute, or "-" */
    size_t audit_queue;
    char *audit_key;    /* absolute */
    char *audit_mirror; /* absolute, or "-"; NULL: none */
    uint64_t audit_rotate_size;
    uint64_t audit_rotate_age_ms;
    size_t audit_rotate_keep;
    int64_t audit_space_low; /* bytes; a percentage is negative: -10 is 10% */
    int64_t audit_space_critical;
    char *audit_publish;       /* endpoint; NULL: none */
    char *audit_syslog_socket; /* absolute; NULL: where it usually is */
    uint64_t quarantine_max_bytes;
    size_t quarantine_max_messages;
    int64_t quarantine_max_age_ms; /* 0: any */
    int64_t quarantine_min_free;   /* bytes; a percentage is negative: -5 is 5% */
    char *quarantine_seal;         /* file of a public key, absolute; NULL: not sealed */
    struct pw_channel *channels;
    size_t channel_count;
    struct pw_policy **policies; /* all that the file and the shipped packs define */
    size_t policy_count;
    uint64_t max_rss;       /* bytes; 0: any */
    struct pw_buf warnings; /* a sentence "FILE:LINE: …" a line, for check-config: entries
                               that leave a dangerous name open (common/policy/dangerous.h),
                               and endpoints that strangers reach (wire.h) */
    struct pw_zpl *source;  /* the text's lines, for pw_settings_place */
    uint64_t
        overridden[2]; /* a bit for each row of settings.def that the environment set */
};

/*
 * Read and check `path` and the environment's PICKLEWALL_* overrides of top-level scalars.
 * NULL with one sentence "FILE:LINE: setting: what is wrong; what would be right". Nothing
 * is created on disk.
 *
 * Relative paths of the file start at its folder, those of the environment at the working
 * directory. Shipped packs are looked for in PICKLEWALL_POLICIES, or else in the folders
 * `policies` beside the file and beside the program, and in the installed one; all of them
 * are loaded.
 */
struct pw_settings *pw_settings_load(const char *path, struct pw_why *why);

/*
 * The folder that is looked for shipped packs as number 0, 1, …; it need not be there.
 * False when there are no more.
 */
bool pw_settings_pack_folder(const struct pw_settings *settings, size_t number,
                             char out[static PATH_MAX]);

/*
 * The same for text in memory; `file` is the name that errors give. Neither environment nor
 * files are read, so that only policies of the text itself are known.
 */
struct pw_settings *pw_settings_parse(const char *text, const char *file,
                                      struct pw_why *why);

/* Release everything. *settings becomes NULL; a NULL *settings is fine. */
void pw_settings_free(struct pw_settings **settings);

/* The policy of this name, or NULL. */
const struct pw_policy *pw_settings_policy(const struct pw_settings *settings,
                                           const char *name);

/*
 * The shipped policies alone, without a configuration: only `policies` and `policy_count`
 * are set. NULL with a sentence.
 */
struct pw_settings *pw_settings_packs(struct pw_why *why);

enum { PW_PLACE_MAX = 512 };

/*
 * Where a setting was set, for sentences about it: "FILE:LINE: channel.jobs.sign",
 * "environment: PICKLEWALL_KEYS", or "FILE: keys" when it stands nowhere.
 */
void pw_settings_place(const struct pw_settings *settings, const char *path,
                       char out[static PW_PLACE_MAX]);

#endif
