// Judges the replicated logs as they are applied: the laws L1-L3 of consensus/log_contract.h and what follows from them
// for the applications. Knows no transactions. Fed by the world with what each replica's loop reports.
//
//   agreement   the entry at an index is the same wherever and whenever it is applied, also by a replica that was
//   rebuilt stamps      epochs and stamps never decrease along a log one leader  an epoch has one leader, once: not
//   even the same node leads it again after a restart order       a replica applies without gaps, and never goes back
//   while it lives; nor does its commit index digests     two replicas that have applied the same prefix hold the same
//   state
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/log_entry.h"
#include "consensus/log_contract.h"
#include "sim/recorder.h"

namespace assent::sim {

// One life of a node: from a start to its crash.
struct Life {
  NodeId node;
  std::uint64_t number = 0;
  auto operator<=>(const Life&) const = default;
};

class LogChecker {
 public:
  explicit LogChecker(Recorder& recorder) : recorder_(recorder) {}

  // An entry as a replica applies it. True when no replica applied this index before.
  bool applied(const Life& life, GroupId group, const Entry& entry);
  // The replica's state came from a snapshot up to this index.
  void restored(const Life& life, GroupId group, Index index);
  // The replica is gone; another one may begin anew.
  void left(const Life& life, GroupId group) { progress_.erase({life, group}); }
  void leads(const Life& life, GroupId group, Epoch epoch);
  void status(const Life& life, GroupId group, Index applied, Index committed);
  void state_digest(const Life& life, GroupId group, Index applied, std::uint64_t digest);

  // The highest index that any replica has applied.
  [[nodiscard]] Index newest(GroupId group) const;
  // The highest epoch that anybody led, none before the first.
  [[nodiscard]] Epoch newest_epoch(GroupId group) const;

 private:
  struct Place {
    Epoch epoch;
    ClusterMillis stamp;
    std::uint64_t digest = 0;  // of kind and payload
  };
  struct Progress {
    Index applied;
    Index committed;
  };
  using ReplicaKey = std::pair<Life, GroupId>;

  void judge_order(const Life& life, GroupId group, const Entry& entry);

  Recorder& recorder_;
  std::map<GroupId, std::vector<Place>> logs_;  // index i at [i - 1]
  std::map<GroupId, std::map<Epoch, Life>> leaders_;
  std::map<ReplicaKey, Progress> progress_;
  std::map<GroupId, std::map<Index, std::pair<std::uint64_t, NodeId>>> digests_;
};

}  // namespace assent::sim
