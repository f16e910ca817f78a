#include "cli/bank/cost.h"

#include <sys/resource.h>

#include <algorithm>

namespace assent::bank {

namespace {

std::uint64_t own_cpu_micros() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto micros = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

// Counters begin again when a node does: then what it counts now is all that is known.
double grown(std::uint64_t before, std::uint64_t after) {
  return static_cast<double>(after >= before ? after - before : after);
}

}  // namespace

Meter read_meter(client::Client& client) {
  return Meter{client.status().value_or(client::ClusterStatus{}), own_cpu_micros()};
}

Cost cost_between(const Meter& before, const Meter& after, std::uint64_t transactions) {
  Cost cost;
  for (const client::NodeView& now : after.cluster.nodes) {
    const auto& nodes = before.cluster.nodes;
    const auto then =
        std::find_if(nodes.begin(), nodes.end(), [&](const client::NodeView& n) { return n.name == now.name; });
    const client::NodeCounters old = then == nodes.end() ? client::NodeCounters{} : then->counters;
    cost.server_cpu_micros += grown(old.cpu_micros, now.counters.cpu_micros);
    cost.fsyncs += grown(old.wal_syncs, now.counters.wal_syncs);
    cost.wal_bytes += grown(old.wal_bytes, now.counters.wal_bytes);
    cost.frames += grown(old.frames_sent, now.counters.frames_sent);
  }
  cost.client_cpu_micros = grown(before.own_cpu_micros, after.own_cpu_micros);
  const double share = transactions == 0 ? 0.0 : 1.0 / static_cast<double>(transactions);
  for (double* value : {&cost.server_cpu_micros, &cost.client_cpu_micros, &cost.fsyncs, &cost.wal_bytes, &cost.frames})
    *value *= share;
  return cost;
}

}  // namespace assent::bank
