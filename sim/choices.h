// What the command line decides in place of the seed. A run is a function of its seed and its choices, so both stand in
// every replay command; the defaults leave everything to the seed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/schedule.h"
#include "txn_proto/types.h"

namespace assent::sim {

struct Choices {
  std::string workload = "bank";
  std::optional<std::vector<std::string>> faults;  // exactly these kinds, whatever the seed would draw
  std::optional<Protocol> protocol;                // of all transactions for which it is sound
  std::optional<unsigned> clients;
  std::optional<std::uint64_t> requests;  // clients begin no more than so many in all
  std::optional<Micros> chaos;            // how long clients and faults run
  bool plain_limits = false;              // no limit is drawn down
  bool plain_raft = false;                // groups never sleep, no read is answered by a lease, none is stale
  bool plain_snapshots = false;           // snapshots are made, and travel, all at once
  bool plain_leaving = false;             // a replica that was removed keeps what it had
  bool plain_loops = false;               // each node has one loop
  bool plain_disks = false;               // nothing at rest is damaged
  bool yardstick = false;                 // the shape by which speed is measured: see draw_swarm()

  bool operator==(const Choices&) const = default;
};

// As options of `assent-sim replay`, each with a space before it; empty for the defaults.
[[nodiscard]] std::string to_options(const Choices& choices);

// "all" is nullopt, "none" an empty list, else names separated by commas; an unknown name is malformed.
[[nodiscard]] Result<std::optional<std::vector<std::string>>> parse_faults(const std::string& text);
[[nodiscard]] Result<std::optional<Protocol>> parse_protocol(const std::string& text);

}  // namespace assent::sim
