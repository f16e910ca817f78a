// The crash matrix of services and databases: one transaction's run without faults, then each fault at each point of
// it, then each pair. Points are found by the run itself: a call that leaves, an answer that comes back, a request to a
// service's database, a piece of its author's work, a step of a group's leader. After a first fault the run goes
// another way, and has other points: these are where the second one strikes.
//
// Real: Decisions and Conductor, Shard and Caretaker over abstract logs; the services' branches, registers, agents,
// sweeps and doubts over simulated databases (sim/services/service_site.h). One schedule, nothing drawn. At the end
// everything must be at rest (A5, A7), with the same outcome everywhere, each effect once, and sagas in their order:
// the judges are TxnChecker and ServiceChecker, as in whole runs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/swarm.h"
#include "txn_proto/types.h"

namespace assent::sim {

struct DrillPart {
  ServiceKind kind = ServiceKind::ledger;
  bool retriable = false;
};
struct DrillCase {
  std::string name;  // "shard and service"
  Mode mode = Mode::atomic;
  unsigned shards = 0;
  std::vector<DrillPart> parts;
};
[[nodiscard]] const std::vector<DrillCase>& drill_cases();

// The fault of this number (1 and up) at the point that is passed as the so manieth (from 0).
struct ServiceStrike {
  std::size_t at = 0;
  unsigned fault = 1;
};

struct PassedPoint {
  std::string name;     // "request COMMIT of v1"
  unsigned faults = 0;  // how many kinds there are of it
  bool operator==(const PassedPoint&) const = default;
};

struct ServiceDrillResult {
  std::string broken;      // the rule; empty: none
  std::size_t struck = 0;  // of the plan
  bool committed = false;
  std::vector<PassedPoint> points;  // in the order in which they were passed
};
// narrate: the story goes to standard output.
[[nodiscard]] ServiceDrillResult run_drill(const DrillCase& which, std::span<const ServiceStrike> plan,
                                           bool narrate = false);

struct ServiceMatrixResult {
  std::uint64_t points = 0;  // of the run without faults
  std::uint64_t singles = 0;
  std::uint64_t pairs = 0;
  std::uint64_t committed = 0;
  std::string broken;  // of the first plan that broke a rule, and there it ended
  std::vector<ServiceStrike> plan;
};
// Every single fault, and behind each the pairs whose second fault's number is a multiple of stride (1: all; 0: none).
[[nodiscard]] ServiceMatrixResult run_service_matrix(
    const DrillCase& which, std::uint64_t stride, const std::function<void(const ServiceMatrixResult&)>& progress = {});
[[nodiscard]] std::string describe_plan(const DrillCase& which, std::span<const ServiceStrike> plan);

}  // namespace assent::sim
