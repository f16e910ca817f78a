// The configurations of the Raft core that the contract suite runs over.
#pragma once

#include "consensus/raft/raft_factory.h"
#include "tests/consensus/cluster.h"

namespace assent::testing {

inline RaftOptions small_raft_options() {
  RaftOptions options;
  options.election_ticks = 10;
  options.heartbeat_ticks = 2;
  options.promote_lag_max = 20;  // of what a learner with windows of one or two has to catch up afterwards
  return options;
}

// Everything at its minimum: windows of one or two, batches of a few entries, no tail.
inline RaftOptions tiny_raft_options() {
  RaftOptions options = small_raft_options();
  options.command_bytes_max = 256;
  options.append_bytes_max = 200;
  options.inflight_max = 2;
  options.inflight_bytes_max = 600;
  options.uncommitted_bytes_max = 2'000;
  options.log_bytes_max = 4'000'000;
  options.tail_entries_max = 0;
  options.committed_bytes_max = 300;
  options.reads_max = 4;
  return options;
}

// As soon as there is nothing to do.
inline RaftOptions sleeping_raft_options() {
  RaftOptions options = small_raft_options();
  options.sleep_ticks = 3;
  return options;
}

// Reads by lease, by clocks of which some are a twentieth too quick or too slow.
inline constexpr double leasing_drift = 0.05;
inline RaftOptions leasing_raft_options() {
  RaftOptions options = small_raft_options();
  options.promise_micros = options.election_ticks * 1'000ULL;
  options.lease_micros = static_cast<std::uint64_t>(static_cast<double>(options.promise_micros) * (1 - leasing_drift) /
                                                    (1 + leasing_drift));
  return options;
}

inline CoreLimits limits_of(const RaftOptions& options) {
  constexpr std::size_t slack = 1'024;
  return {.election_ticks = options.election_ticks,
          .command_bytes_max = options.command_bytes_max,
          .message_bytes_max = options.append_bytes_max + options.command_bytes_max + slack,
          .log_bytes_max = options.log_bytes_max + options.uncommitted_bytes_max + options.append_bytes_max + slack,
          .sleeps = options.sleep_ticks > 0};
}

inline CoreLimits leasing_limits() {
  CoreLimits limits = limits_of(leasing_raft_options());
  limits.clock_drift = leasing_drift;
  return limits;
}

}  // namespace assent::testing
