// A consensus core as the simulator sees it: passes every call on to the real one and tells the watchers. It changes
// nothing. Watchers judge what a core promises, or write it down; they see a core between two of its steps.
#pragma once

#include <deque>
#include <memory>
#include <typeinfo>
#include <utility>
#include <vector>

#include "consensus/log_contract.h"
#include "consensus/raft/raft.h"

namespace assent::sim {

// One replica of one group.
struct Replica {
  GroupId group;
  NodeId node;
  auto operator<=>(const Replica&) const = default;
};

class LogWatcher {
 public:
  virtual ~LogWatcher() = default;
  // A core was built from what was durable.
  virtual void built(const Replica& /*at*/, const LogSetup& /*setup*/, const ReplicatedLog& /*log*/) {}
  // After the core has taken it in.
  virtual void received(const Replica& /*at*/, NodeId /*from*/, ByteView /*message*/, const ReplicatedLog& /*log*/) {}
  virtual void received_snapshot(const Replica& /*at*/, NodeId /*from*/, Epoch /*epoch*/, const SnapshotMark& /*mark*/,
                                 const ReplicatedLog& /*log*/) {}
  virtual void gave(const Replica& /*at*/, const Output& /*output*/, const ReplicatedLog& /*log*/) {}
  // Before the core hears of it.
  virtual void synced(const Replica& /*at*/, std::uint64_t /*output_number*/, const ReplicatedLog& /*log*/) {}
  virtual void asked_read(const Replica& /*at*/, ReadId /*id*/) {}
  // After any other input.
  virtual void stepped(const Replica& /*at*/, const ReplicatedLog& /*log*/) {}
};

class WatchedLog final : public ReplicatedLog {
 public:
  WatchedLog(Replica at, std::unique_ptr<ReplicatedLog> real, const std::vector<LogWatcher*>& watchers)
      : at_(at), real_(std::move(real)), watchers_(watchers) {}

  void tick() override;
  void receive(NodeId from, ByteView message) override;
  Result<Position> propose(Bytes command, ClusterMillis now) override;
  Result<Position> change_membership(std::span<const MemberChange> changes, ClusterMillis now) override;
  Result<void> request_read(ReadId id) override;
  [[nodiscard]] std::optional<ReadPoint> read_point(Index applied) const override { return real_->read_point(applied); }
  void request_read_point() override;
  void durable(std::uint64_t output_number) override;
  Output take_output() override;
  [[nodiscard]] bool has_output() const override { return real_->has_output(); }
  void snapshot_taken(const SnapshotMark& mark) override { real_->snapshot_taken(mark); }
  void receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) override;
  void snapshot_sent(NodeId to, bool delivered) override { real_->snapshot_sent(to, delivered); }
  void transfer_leadership(NodeId to) override { real_->transfer_leadership(to); }
  void set_clock(std::uint64_t micros) override { real_->set_clock(micros); }
  void set_idle(bool idle) override { real_->set_idle(idle); }
  [[nodiscard]] bool asleep() const override { return real_->asleep(); }
  void wake(const Slept& slept) override;
  [[nodiscard]] LogStatus status() const override { return real_->status(); }
  [[nodiscard]] Result<SnapshotMark> mark_at(Index index) const override { return real_->mark_at(index); }
  [[nodiscard]] std::uint64_t digest() const override { return real_->digest(); }

 private:
  Replica at_;
  std::unique_ptr<ReplicatedLog> real_;
  const std::vector<LogWatcher*>& watchers_;
};

// The Raft core that this is, or nothing. Asked at every step, and Raft is final: so no search through bases.
[[nodiscard]] inline const raft::Raft* raft_core(const ReplicatedLog& log) {
  return typeid(log) == typeid(raft::Raft) ? static_cast<const raft::Raft*>(&log) : nullptr;
}

// Something for each replica.
template <class T>
class PerReplica {
 public:
  [[nodiscard]] T& operator[](const Replica& at) {
    if (at.group.value >= all_.size()) all_.resize(at.group.value + 1);
    auto& nodes = all_[at.group.value];
    if (at.node.value >= nodes.size()) nodes.resize(at.node.value + 1);
    return nodes[at.node.value];
  }
  [[nodiscard]] const T* find(const Replica& at) const {
    if (at.group.value >= all_.size() || at.node.value >= all_[at.group.value].size()) return nullptr;
    return &all_[at.group.value][at.node.value];
  }

 private:
  std::vector<std::deque<T>> all_;  // by group, then by node: both are small numbers
};

// Cores of the real factory, watched. The watchers outlive every core.
[[nodiscard]] LogFactory watch(LogFactory real, const std::vector<LogWatcher*>& watchers);

}  // namespace assent::sim
