// Counters and histograms of the transactions that a node's groups led: what /metrics shows. A plain value; a copy is a
// snapshot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "base/ids.h"
#include "observe/histogram.h"
#include "observe/txn_record.h"
#include "txn_proto/types.h"

namespace assent {

inline constexpr std::size_t protocols = static_cast<std::size_t>(Protocol::paxos_commit) + 1;

template <std::size_t... Each>
[[nodiscard]] std::array<Histogram, sizeof...(Each)> latencies(std::index_sequence<Each...>) {
  return {((void)Each, Histogram::of_micros())...};
}
template <std::size_t Count>
[[nodiscard]] std::array<Histogram, Count> latencies() {
  return latencies(std::make_index_sequence<Count>());
}

struct ProtocolFigures {
  std::uint64_t started = 0;
  Histogram committed = Histogram::of_micros();  // from the request's arrival until its answer
  Histogram aborted = Histogram::of_micros();
  std::array<Histogram, txn_phases> phases = latencies<txn_phases>();
};

struct GroupFigures {
  std::uint64_t proposals = 0;
  std::uint64_t proposals_refused = 0;
  std::uint64_t waits = 0;                       // jobs that had to wait before they ran to their end
  Histogram proposal = Histogram::of_micros();   // from the append until it was applied here
  Histogram lock_wait = Histogram::of_micros();  // of the jobs that waited
};

struct TxnFigures {
  std::array<ProtocolFigures, protocols> by_protocol;
  std::array<std::uint64_t, static_cast<std::size_t>(abort_reason_last) + 1> aborted{};
  Histogram participants = Histogram::of_participants();
  std::uint64_t votes_yes = 0;  // heard by coordinators, of shards
  std::uint64_t votes_no = 0;
  std::uint64_t service_votes_yes = 0;
  std::uint64_t service_votes_no = 0;
  std::uint64_t recovered_commits = 0;  // carried to their end by a leader that had not begun them
  std::uint64_t recovered_aborts = 0;
  std::uint64_t forced_commits = 0;
  std::uint64_t forced_aborts = 0;
  std::uint64_t forced_forgotten = 0;
  std::uint64_t outcome_unknown = 0;  // clients that could not be told
  std::uint64_t records_dropped = 0;  // of transactions not over, from the ring
  std::uint64_t steps_lost = 0;
  std::uint64_t traces_malformed = 0;           // that messages brought; left out
  std::uint64_t begun_not_listed = 0;           // for export: more began than could be listed
  Histogram wal_sync = Histogram::of_micros();  // write and sync of one batch
  std::map<GroupId, GroupFigures> groups;
};

}  // namespace assent
