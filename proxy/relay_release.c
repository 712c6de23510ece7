/* SPDX-License-Identifier: Apache-2.0
 *
 * A message out of the quarantine goes through the relay: between two that were received,
 * and through the same judgement, signature and output as they.
 */
#include "proxy/relay_inside.h"

#include "common/base/clock.h"

enum { LONGEST_WAIT_MS = 1000, SHORT_PAUSE_MS = 10 };

static const uint64_t ns_per_ms = 1000000;

static bool
may_wait(const struct pw_relay *relay, const struct pw_release *release)
{
    return pw_relay_order(relay) == PW_ORDER_RUN && pw_clock_steady() < release->until;
}

static int
ms_to_wait(const struct pw_release *release)
{
    uint64_t now = pw_clock_steady();
    uint64_t ms = now < release->until ? (release->until - now) / ns_per_ms + 1 : 0;
    return ms < LONGEST_WAIT_MS ? (int)ms : LONGEST_WAIT_MS;
}

/* Before it is judged, so that it leaves by the keys and the time of its judgement. */
static bool
wait_for_output(struct pw_relay *relay, const struct pw_release *release)
{
    const struct pw_port_ops *ops = relay->port->ops;
    bool ready = (ops->wait(relay->port, PW_READY_OUT, 0) & PW_READY_OUT) != 0;
    while (!ready && may_wait(relay, release)) {
        ready =
            (pw_relay_wait(relay, PW_READY_OUT, ms_to_wait(release)) & PW_READY_OUT) != 0;
    }
    return ready && pw_relay_order(relay) == PW_ORDER_RUN;
}

/* By today's keys and policy; whether it may leave. */
static bool
judge_again(struct pw_relay *relay, struct pw_release *release,
            const struct pw_message *message, struct pw_decision *decision)
{
    pw_relay_take_terms(relay);
    struct pw_pipeline *pipe = relay->options.pipe;
    relay->now = pw_clock_wall();
    pw_pipeline_judge_released(pipe, message->frames, message->count, relay->now,
                               &release->overrule, decision);
    pw_pipeline_close(pipe);
    release->reason = decision->reason;
    pw_buf_clear(&release->finds);
    if (decision->reason != PW_R_NONE &&
        pw_decision_detail(decision, pipe, &release->finds) != PW_E_OK) {
        pw_buf_clear(&release->finds); /* no memory: the reason alone must do */
    }
    return decision->reason == PW_R_NONE; /* also where the channel only reports */
}

static enum pw_release_outcome
send_judged(struct pw_relay *relay, struct pw_message *message,
            struct pw_decision *decision)
{
    if (decision->batched) {
        pw_pipeline_seal(relay->options.pipe, decision);
    }
    return relay->port->ops->send(relay->port, message,
                                  decision->edited ? &decision->edit : NULL)
               ? PW_RELEASE_SENT
               : PW_RELEASE_UNDELIVERABLE;
}

/* Until it has left, is refused, or the time is over. */
static void
carry(struct pw_relay *relay, struct pw_release *release, struct pw_message *message)
{
    struct pw_decision *decision = &relay->decisions[0]; /* nothing else is in hand */
    do {
        if (!release->rehearsal && !wait_for_output(relay, release)) {
            return;
        }
        if (!judge_again(relay, release, message, decision)) {
            release->outcome = PW_RELEASE_REFUSED;
            return;
        }
        release->outcome =
            release->rehearsal ? PW_RELEASE_SENT : send_judged(relay, message, decision);
        if (release->outcome == PW_RELEASE_SENT) {
            return;
        }
        (void)pw_relay_wait(relay, 0, SHORT_PAUSE_MS); /* its "ready" was wrong */
    } while (may_wait(relay, release));
}

bool
pw_relay_release(struct pw_relay *relay)
{
    struct pw_release_box *box = relay->options.releases;
    struct pw_release *release = box == NULL ? NULL : pw_release_take(box);
    if (release == NULL) {
        return false;
    }
    const struct pw_port_ops *ops = relay->port->ops;
    struct pw_message message;
    release->outcome = PW_RELEASE_UNDELIVERABLE;
    if (ops->adopt(relay->port, release->frames, release->count, &message)) {
        carry(relay, release, &message);
        bool left = release->outcome == PW_RELEASE_SENT && !release->rehearsal;
        if (!left) {
            ops->release(relay->port, &message);
        }
    }
    pw_release_done(box, release);
    return true;
}
