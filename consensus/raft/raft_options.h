// The tunables of the Raft core. Sizes are bytes of payload plus a fixed overhead an entry; times are ticks of the
// host.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assent {

struct RaftOptions {
  // A follower that hears nothing from a leader for [election_ticks, 2 * election_ticks) asks for pre-votes. Also the
  // length of the leader's check-quorum interval and of a voter's loyalty to a leader that it heard.
  std::uint32_t election_ticks = 100;
  std::uint32_t heartbeat_ticks = 10;  // well below election_ticks

  std::size_t command_bytes_max = 4ULL << 20U;       // one proposal; larger is refused
  std::size_t append_bytes_max = 512ULL << 10U;      // entries in one AppendRequest, but always at least one entry
  std::size_t inflight_max = 256;                    // unanswered AppendRequests to one follower
  std::size_t inflight_bytes_max = 16ULL << 20U;     // ... and their bytes
  std::size_t uncommitted_bytes_max = 64ULL << 20U;  // at the leader; beyond it proposals are busy
  std::size_t log_bytes_max = 1ULL << 30U;           // entries in memory; beyond it proposals are busy until a snapshot
  std::size_t tail_entries_max = 4'096;              // kept before a snapshot, so that slow followers need none
  std::size_t tail_bytes_max = 16ULL << 20U;         // ... and their bytes
  std::size_t committed_bytes_max = 16ULL << 20U;    // entries handed out by one take_output(); the rest by the next
  std::size_t reads_max = 16'384;                    // barriers under way; beyond it request_read is busy

  // A leader with nothing to do for so long asks its followers to sleep (raft_sleep.cc); 0: never. Only for a host that
  // does for sleepers what the contract says.
  std::uint32_t sleep_ticks = 0;

  // Reads by lease (raft_lease.cc), in microseconds of the host's clock. A follower that grants a lease helps nobody
  // else to lead for promise_micros; 0: it grants none. A leader uses it for lease_micros; 0: never. lease_micros is so
  // much below promise_micros as clocks may drift apart, promise_micros at most the shortest election time-out.
  std::uint64_t promise_micros = 0;
  std::uint64_t lease_micros = 0;

  // By how much at most this node's clock is too slow or too quick, in millionths: the age of a stale read allows for
  // it (raft_read_points.cc). Below 1'000'000.
  std::uint64_t clock_drift_ppm = 0;

  // How far behind the leader's log a learner may be that becomes a voter: it would hold up commitment until it has
  // caught up.
  std::uint64_t promote_lag_max = 1'000;  // entries

  bool narrate = false;  // say why in Output::narration
};

}  // namespace assent
