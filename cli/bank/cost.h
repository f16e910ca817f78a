// What the servers and this process spend while a load runs, for each committed transaction: the difference of two
// readings of what every node counts of itself.
#pragma once

#include <cstdint>

#include "client/client.h"

namespace assent::bank {

struct Cost {
  double server_cpu_micros = 0;  // of all nodes together
  double client_cpu_micros = 0;
  double fsyncs = 0;
  double wal_bytes = 0;
  double frames = 0;
};

// A reading; of a node that did not answer there is none, and it counts for nothing.
struct Meter {
  client::ClusterStatus cluster;
  std::uint64_t own_cpu_micros = 0;
};
[[nodiscard]] Meter read_meter(client::Client& client);

// transactions: committed between the readings.
[[nodiscard]] Cost cost_between(const Meter& before, const Meter& after, std::uint64_t transactions);

}  // namespace assent::bank
