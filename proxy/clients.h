/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may connect to a CURVE side: the public certificates of a folder, looked at again and
 * again. For one thread.
 */
#ifndef PW_PROXY_CLIENTS_H
#define PW_PROXY_CLIENTS_H

#include "proxy/cert.h"

struct pw_clients;

enum { PW_CLIENT_NAME = 64 };

/*
 * The clients of `folder`, or with "*" everybody. Each file but hidden ones and `*_secret`
 * must be a certificate that nobody else may write. NULL with a sentence in `why` when the
 * folder is not in order.
 */
struct pw_clients *pw_clients_open(const char *folder, struct pw_why *why);

/* *clients becomes NULL; a NULL *clients is fine. */
void pw_clients_close(struct pw_clients **clients);

enum pw_clients_news {
    PW_CLIENTS_SAME,
    PW_CLIENTS_NEW,     /* taken over; nobody has lost his place */
    PW_CLIENTS_FEWER,   /* taken over; see pw_clients_was_dropped */
    PW_CLIENTS_REFUSED, /* not in order: the last good list stays, `why` tells. Once */
};

/* Look at the folder again, and take it over whole or not at all. */
enum pw_clients_news pw_clients_look(struct pw_clients *clients, struct pw_why *why);

/*
 * The name under which `key` may connect (its file's, without what follows the first dot),
 * or NULL. It is noted that he comes from `address`. Good until the next look.
 */
const char *pw_clients_admit(struct pw_clients *clients,
                             const uint8_t key[static PW_CERT_BYTES], const char *address);

/*
 * After FEWER: whether somebody who is no longer on the list has ever connected from this
 * address. libzmq does not tell which connection is whose.
 */
bool pw_clients_was_dropped(const struct pw_clients *clients, const char *address);

/* How many are on the list; 0 with "*". */
size_t pw_clients_count(const struct pw_clients *clients);

#endif
