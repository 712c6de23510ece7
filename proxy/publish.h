/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit lines on a PUB socket, two frames each: a topic, and the line without its LF. The
 * topic is VERDICT/CHAN of a message (quarantine/jobs), EVENT/CHAN of an event, EVENT/ when
 * no channel is concerned. A subscriber that is slow misses lines, which a gap in their
 * `seq` tells it; nobody waits for it.
 */
#ifndef PW_PROXY_PUBLISH_H
#define PW_PROXY_PUBLISH_H

#include "common/audit/audit.h"

struct pw_publish;

/* Bind to `endpoint`. NULL with a sentence. One thread at a time may use it. */
struct pw_publish *pw_publish_open(const char *endpoint, struct pw_why *why);
void pw_publish_close(struct pw_publish **publish);

/* Where it listens; the port is known when the endpoint had *. */
const char *pw_publish_endpoint(const struct pw_publish *publish);

/* For struct pw_audit_target. */
bool pw_publish_send(void *publish, const struct pw_audit_copy *line);

#endif
