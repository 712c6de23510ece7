/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/descriptors.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "common/base/log.h"

enum {
    OF_PROCESS = 256, /* log, quarantine, control socket, signals, clients of `http`, … */
    OF_CHANNEL = 32,  /* libzmq's own, endpoints */
};

void
pw_descriptors_raise(const struct pw_settings *settings)
{
    struct rlimit limit;
    rlim_t need = OF_PROCESS;
    for (size_t i = 0; i < settings->channel_count; i++) {
        const struct pw_channel *channel = &settings->channels[i];
        need += OF_CHANNEL + (rlim_t)channel->in.max_connections +
                (rlim_t)channel->out.max_connections;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) {
        return;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        limit.rlim_cur = before;
    }
    if (limit.rlim_cur < need) {
        pw_log(PW_LOG_WARN,
               "descriptors: %" PRIu64 " may be open, and max_connections of all channels "
               "can take %" PRIu64 "; raise `ulimit -Hn` (LimitNOFILE=), or lower it",
               (uint64_t)limit.rlim_cur, (uint64_t)need);
    }
}
