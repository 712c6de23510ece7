/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/peers.h"

#include "common/base/clock.h"
#include "common/base/json.h"

enum { DETAIL_LIMIT = 4096 };

static const uint64_t ns_per_s = 1000000000;

/* clang-format off */
static const struct {
    const char *text;
    enum pw_level level;
} whats[PW_PEER_WHATS] = {
    [PW_PEER_CONNECTED]    = {"connected",        PW_LEVEL_INFO},
    [PW_PEER_DISCONNECTED] = {"disconnected",     PW_LEVEL_INFO},
    [PW_PEER_FAILED]       = {"handshake_failed", PW_LEVEL_LOW},
    [PW_PEER_REFUSED]      = {"refused",          PW_LEVEL_MEDIUM},
    [PW_PEER_SHED]         = {"shed",             PW_LEVEL_MEDIUM},
    [PW_PEER_UNACCEPTED]   = {"unaccepted",       PW_LEVEL_MEDIUM},
};
/* clang-format on */

const char *
pw_peer_what_text(enum pw_peer_what what)
{
    return whats[what].text;
}

/* `json` is over a buffer of members, which goes with the record. */
static void
push(struct pw_peers *peers, enum pw_level level, struct pw_json *json)
{
    struct pw_buf *text = json->out;
    if (json->err != PW_E_OK ||
        pw_buf_append(text, (struct pw_span){(const uint8_t *)"", 1}) != PW_E_OK) {
        pw_buf_free(text); /* the event alone must do */
    }
    struct pw_audit_record record = {.wall_ns = pw_clock_wall(),
                                     .channel = peers->channel,
                                     .event = PW_EVENT_PEER,
                                     .level = (uint8_t)level,
                                     .detail = (char *)text->bytes};
    (void)!pw_audit_push(peers->audit, &record, 1); /* the log counts what it lost */
}

static void
optional(struct pw_json *json, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        pw_json_str(json, key, value);
    }
}

static void
write_event(struct pw_peers *peers, const struct pw_peer_event *event)
{
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", whats[event->what].text);
    pw_json_str(&json, "side", event->out ? "out" : "in");
    optional(&json, "peer", event->address);
    optional(&json, "key", event->key);
    optional(&json, "why", event->why);
    if (event->bytes > 0) {
        pw_json_uint(&json, "bytes", event->bytes);
    }
    pw_json_end_object(&json);
    push(peers, whats[event->what].level, &json);
}

/* Never when the log would make the channel wait. */
static bool
may_write(struct pw_peers *peers)
{
    return peers->audit != NULL && pw_audit_ready(peers->audit);
}

/* "what":"more": how many of each kind had no line. */
static void
write_more(struct pw_peers *peers)
{
    enum pw_level level = PW_LEVEL_INFO;
    struct pw_buf text = {.limit = DETAIL_LIMIT};
    struct pw_json json = pw_json_over(&text);
    pw_json_object(&json, "detail");
    pw_json_str(&json, "what", "more");
    for (size_t i = 0; i < PW_PEER_WHATS; i++) {
        if (peers->untold[i] > 0) {
            pw_json_uint(&json, whats[i].text, peers->untold[i]);
            level = whats[i].level > level ? whats[i].level : level;
            peers->untold[i] = 0;
        }
    }
    pw_json_end_object(&json);
    push(peers, level, &json);
}

bool
pw_peers_tick(struct pw_peers *peers)
{
    uint64_t now = pw_clock_steady();
    uint64_t untold = 0;
    for (size_t i = 0; i < PW_PEER_WHATS; i++) {
        untold += peers->untold[i];
    }
    if (now - peers->second < ns_per_s || (untold > 0 && !may_write(peers))) {
        return untold > 0;
    }
    if (untold > 0) {
        write_more(peers);
    }
    peers->second = now;
    for (size_t i = 0; i < PW_PEER_WHATS; i++) {
        peers->lines[i] = 0;
    }
    return false;
}

void
pw_peers_tell(struct pw_peers *peers, const struct pw_peer_event *event)
{
    struct pw_peer_counts *counts = &peers->counts[event->out];
    atomic_fetch_add_explicit(&counts->whats[event->what], 1, memory_order_relaxed);
    if (peers->audit == NULL) {
        return;
    }
    pw_peers_tick(peers);
    if (peers->lines[event->what] >= PW_PEER_LINES || !may_write(peers)) {
        peers->untold[event->what]++;
        return;
    }
    peers->lines[event->what]++;
    write_event(peers, event);
}

void
pw_peers_connections(struct pw_peers *peers, bool out, size_t count)
{
    atomic_store_explicit(&peers->counts[out].connections, count, memory_order_relaxed);
}
