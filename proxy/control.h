/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket: a unix stream socket on which root, and the user that the wall runs
 * as, ask and order. One request a connection, one line each way:
 *
 *     request   COMMAND LF, or COMMAND SP ARGUMENT LF; printable ASCII, at most 4 KiB
 *     answer    one JSON object and LF: {"ok":true,…}, or {"ok":false,"error":"…",…}
 *
 * The server belongs to one thread, which polls one descriptor and is never kept waiting by
 * a client: there are at most PW_CONTROL_CLIENTS, each has 5 seconds for all of it but the
 * wait for an answer that follows later, and whoever may not ask is told so and holds
 * nothing.
 */
#ifndef PW_PROXY_CONTROL_H
#define PW_PROXY_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/json.h"

enum {
    PW_CONTROL_CLIENTS = 8,
    PW_CONTROL_REQUEST_MAX = 4096, /* bytes, the LF included */
    PW_CONTROL_COMMAND_MAX = 31,   /* of a command's name */
    PW_CONTROL_SECONDS = 5,        /* a client has so long */
    PW_CONTROL_ANSWER_MAX = 1 << 20,
};

/* Who asks, as the kernel knows it since the connection was made (SO_PEERCRED). */
struct pw_control_peer {
    uid_t uid;
    pid_t pid; /* 0 when the peer is in a pid namespace that is not ours */
};

struct pw_control_request {
    char command[PW_CONTROL_COMMAND_MAX + 1];
    char argument[PW_CONTROL_REQUEST_MAX]; /* "" when there is none */
};

/*
 * Read a request, without its LF: a name of a-z and -, then nothing, or one blank and an
 * argument that neither begins nor ends with one. PW_E_FORMAT with a sentence.
 */
PW_CHECK_RESULT enum pw_err
pw_control_parse(struct pw_span line, struct pw_control_request *out, struct pw_why *why);

/*
 * Carry a command out, and write members of the answer into `json` (without braces), also
 * when it is refused: then return an error, with the sentence in `why`.
 */
typedef enum pw_err pw_control_run(void *arg, const struct pw_control_peer *peer,
                                   const char *argument, struct pw_json *json,
                                   struct pw_why *why);

/*
 * Begin a command that takes long. PW_E_OK: pw_control_finish answers it later, never from
 * in here; until then the client waits, or goes away. Otherwise the error is the answer.
 */
typedef enum pw_err pw_control_begin(void *arg, const struct pw_control_peer *peer,
                                     const char *argument, uint64_t ticket,
                                     struct pw_why *why);

/* A new command is a new row. */
struct pw_control_command {
    const char *name;
    bool takes_argument; /* it may be left out: then it is "" */
    pw_control_run *run;
    pw_control_begin *begin; /* instead of `run`, or NULL */
};

struct pw_control_options {
    const char *path; /* of the socket; absolute */
    uid_t owner;      /* who may ask, besides root */
    const struct pw_control_command *commands;
    size_t command_count;
    void *arg; /* for the commands */
};

/* Whether a peer of this uid may ask a wall that `owner` runs. */
static inline bool
pw_control_may(uid_t uid, uid_t owner)
{
    return uid == 0 || uid == owner;
}

/*
 * Append the whole answer to the request `line` (without its LF), LF included; nothing when
 * it follows later, under `ticket`. PW_E_NOMEM or PW_E_LIMIT leave `out` empty; the command
 * may have been carried out all the same.
 */
PW_CHECK_RESULT enum pw_err pw_control_answer(const struct pw_control_options *options,
                                              const struct pw_control_peer *peer,
                                              struct pw_span line, uint64_t ticket,
                                              struct pw_buf *out);

struct pw_control;

/*
 * Listen at options->path, mode 0600. A socket that a dead process left there is replaced.
 * PW_E_BUSY when a live one answers, or another process is opening one in that folder;
 * PW_E_CREATE when something else stands there, or nothing can; PW_E_NOMEM, PW_E_OS. What
 * `options` points to is borrowed.
 */
PW_CHECK_RESULT enum pw_err pw_control_open(const struct pw_control_options *options,
                                            struct pw_control **control,
                                            struct pw_why *why);

/* Close all, and remove the socket if it is still ours. *control becomes NULL; a NULL
 * *control is fine. */
void pw_control_close(struct pw_control **control);

/* Poll this for reading, and call pw_control_serve when it is readable or… */
int pw_control_fd(const struct pw_control *control);

/* … so many milliseconds have passed; -1: no need. */
int pw_control_wait_ms(const struct pw_control *control);

/* Do whatever can be done without waiting. Commands run in here. */
void pw_control_serve(struct pw_control *control);

/*
 * Answer what was begun under `ticket`: `members` as pw_control_run would have written
 * them, and its result. Nobody is told when the client has gone.
 */
void pw_control_finish(struct pw_control *control, uint64_t ticket, enum pw_err result,
                       const struct pw_why *why, struct pw_span members);

/*
 * Connect to the socket at `path`. A blocking descriptor, or -1 with a sentence in `why`
 * and *err: PW_E_NO_INPUT when there is none, PW_E_BUSY when nobody listens there,
 * PW_E_PERM, PW_E_OS.
 */
int pw_control_connect(const char *path, enum pw_err *err, struct pw_why *why);

#endif
