// Notes which rare states of the consensus cores a run reaches (Recorder::rare). Judges nothing.
#pragma once

#include <map>

#include "base/membership.h"
#include "sim/durability_checker.h"
#include "sim/recorder.h"
#include "sim/watched_log.h"

namespace assent::raft {
class Raft;
}

namespace assent::sim {

class Spotter final : public LogWatcher {
 public:
  Spotter(Recorder& recorder, const DurabilityChecker& durability) : recorder_(recorder), durability_(durability) {}

  void built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) override;
  void received(const Replica& at, NodeId from, ByteView message, const ReplicatedLog& log) override;
  void gave(const Replica& at, const Output& output, const ReplicatedLog& log) override;

 private:
  struct Seen {
    std::size_t role = 0;
    Epoch term;
    Index commit;
    bool asleep = false;
    bool uncertain = false;
    std::uint64_t reads_by_lease = 0;
  };
  void look_at_sleep(const Replica& at, const raft::Raft& core);
  void look_at_members(const raft::Raft& core, const Membership& members);
  void look_at_role(const Replica& at, const raft::Raft& core, const Output& output);
  void look_at_commit(const Replica& at, const raft::Raft& core, Index before);

  Recorder& recorder_;
  const DurabilityChecker& durability_;
  PerReplica<Seen> seen_;
};

}  // namespace assent::sim
