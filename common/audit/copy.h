/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets copies of lines besides the file, and never holds it up: stdout, and a daemon
 * that listens on a unix socket.
 */
#ifndef PW_COMMON_AUDIT_COPY_H
#define PW_COMMON_AUDIT_COPY_H

#include "common/audit/audit.h"

/*
 * Each line to the descriptor `fd`, which is duplicated, or opened again so that it does
 * not block for us alone. What a pipe has no room for is missed; a line that it took half
 * of is completed before the next. NULL with a sentence.
 */
struct pw_copy_stdout;
struct pw_copy_stdout *pw_copy_stdout_open(int fd, struct pw_why *why);
void pw_copy_stdout_close(struct pw_copy_stdout **copy);
bool pw_copy_stdout_send(void *copy, const struct pw_audit_copy *line);

/* How a daemon wants it. */
enum pw_copy_form {
    PW_COPY_SYSLOG,  /* "<PRI>picklewall: LINE" (RFC 3164, without a time: it adds it) */
    PW_COPY_JOURNAL, /* fields (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/) */
};

/*
 * Each line as a datagram to the socket at `path` (NULL: where the daemon of this form
 * listens). It need not be there: it is tried again with a later line, once a second. NULL
 * with a sentence.
 */
struct pw_copy_socket;
struct pw_copy_socket *pw_copy_socket_open(enum pw_copy_form form, const char *path,
                                           struct pw_why *why);
void pw_copy_socket_close(struct pw_copy_socket **copy);
bool pw_copy_socket_send(void *copy, const struct pw_audit_copy *line);

#endif
