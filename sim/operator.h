// Who operates the cluster while the nemesis breaks it: changes the members of groups, sensibly or not, and puts new
// disks in the place of lost ones. It asks the leaders as assentctl does, one step at a time, and a leader refuses what
// may not be.
//
// Keeps to the fault budget that no protocol can do without: of no membership that any node knows does a majority lose
// what it had promised.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "sim/process.h"
#include "sim/recorder.h"

namespace assent::sim {

class Operator {
 public:
  using Processes = std::map<NodeId, std::unique_ptr<Process>>;

  Operator(Recorder& recorder, Processes& processes) : recorder_(recorder), processes_(processes) {}
  // This node may find its data damaged and retire at any time: nothing is built on it.
  void doubt(NodeId node) { doubtful_ = node; }

  // One to three steps together, at a group that is led by somebody who is awake.
  void change_members(Rng& rng);
  // For each group one step towards members that have their disks.
  void repair();
  // Whether a majority of every group has its disks without this one.
  [[nodiscard]] bool may_lose_disk(const Process& process) const;

 private:
  void ask(Process& leader, const GroupStatus& group, const std::vector<MemberChange>& changes);
  [[nodiscard]] std::vector<MemberChange> next_step(const GroupStatus& group) const;
  // It is who it was: awake or not, with its disk.
  [[nodiscard]] bool intact(const Member& member) const;
  [[nodiscard]] bool majority_intact(const Membership& members, NodeId without) const;

  Recorder& recorder_;
  Processes& processes_;
  NodeId doubtful_;
};

}  // namespace assent::sim
