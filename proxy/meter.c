/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/meter.h"

const struct pw_meter_bound pw_meter_bounds[PW_METER_BUCKETS] = {
    {1000, "1e-06"},     {2500, "2.5e-06"},  {10000, "1e-05"},    {50000, "5e-05"},
    {250000, "0.00025"}, {1000000, "0.001"}, {5000000, "0.005"},  {25000000, "0.025"},
    {100000000, "0.1"},  {500000000, "0.5"}, {2500000000, "2.5"},
};

void
pw_meter_scan(struct pw_meter *meter, uint64_t ns)
{
    size_t bucket = 0;
    while (bucket < PW_METER_BUCKETS && ns > pw_meter_bounds[bucket].ns) {
        bucket++;
    }
    meter->now[PW_METER_SCAN + bucket]++;
    meter->now[PW_METER_SCANS]++;
    meter->now[PW_METER_SCAN_NS] += ns;
}

void
pw_meter_decision(struct pw_meter *meter, const struct pw_decision *decision)
{
    meter->now[PW_METER_SIG + decision->sig.state]++;
    if (decision->reason == PW_R_NONE) {
        return;
    }
    bool stands = false;
    for (size_t i = 0; i < decision->find_count; i++) {
        meter->now[PW_METER_REASON + decision->finds[i].reason]++;
        stands = stands || decision->finds[i].reason == decision->reason;
    }
    meter->now[PW_METER_REASON + decision->reason] += !stands;
    meter->refused = true;
}

void
pw_meter_show(struct pw_meter *meter)
{
    size_t count = meter->refused ? PW_METER_SLOTS : PW_METER_REASON;
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&meter->shown[i], meter->now[i], memory_order_relaxed);
    }
    meter->refused = false;
}

void
pw_meter_read(struct pw_meter *meter, uint64_t out[static PW_METER_SLOTS])
{
    for (size_t i = 0; i < PW_METER_SLOTS; i++) {
        out[i] = atomic_load_explicit(&meter->shown[i], memory_order_relaxed);
    }
}
