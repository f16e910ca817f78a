// A log that says what the test tells it to say, and notes what it is told: for the order in which a loop carries out.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consensus/log_contract.h"

namespace assent {

class ScriptedLog final : public ReplicatedLog {
 public:
  explicit ScriptedLog(LogSetup setup) : setup_(std::move(setup)) {}

  Output& next() {  // what take_output() will give
    if (!next_) next_.emplace();
    return *next_;
  }
  void lead(std::uint64_t epoch) { next().leadership = Leadership{Epoch(epoch), setup_.self, true, true}; }
  void follow(std::uint64_t epoch, NodeId leader) {
    next().leadership = Leadership{Epoch(epoch), leader, false, false};
  }
  EntryPtr append(std::uint64_t epoch, std::uint64_t index, Bytes payload) {
    auto entry = std::make_shared<Entry>(
        Entry{Epoch(epoch), Index(index), ClusterMillis(1), EntryKind::command, std::move(payload)});
    next().append.push_back(entry);
    entries[Index(index)] = entry;
    return entry;
  }

  void tick() override { ++ticks; }
  void receive(NodeId, ByteView message) override { received.emplace_back(message); }
  Result<Position> propose(Bytes command, ClusterMillis) override {
    if (refuse) return fail(*refuse);
    proposed.push_back(std::move(command));
    return Position{};
  }
  Result<Position> change_membership(std::span<const MemberChange> changes, ClusterMillis) override {
    if (refuse) return fail(*refuse);
    changed.emplace_back(changes.begin(), changes.end());
    return Position{};
  }
  Result<void> request_read(ReadId id) override {
    if (refuse) return fail(*refuse);
    reads.push_back(id);
    return {};
  }
  void durable(std::uint64_t output_number) override { durable_outputs.push_back(output_number); }
  Output take_output() override {
    Output output = next_ ? std::move(*next_) : Output{};
    next_.reset();
    output.number = ++number;
    if (!later.empty()) {
      next_ = std::move(later.front());
      later.pop_front();
    }
    return output;
  }
  void snapshot_taken(const SnapshotMark& mark) override { snapshots_taken.push_back(mark); }
  void receive_snapshot(NodeId, Epoch, const SnapshotMark& mark) override {
    snapshots_received.push_back(mark);
    if (mark.last.index > committed) next().install = mark;
  }
  void snapshot_sent(NodeId, bool delivered) override { snapshots_sent.push_back(delivered); }
  void transfer_leadership(NodeId to) override { transfer = to; }
  [[nodiscard]] LogStatus status() const override {
    LogStatus status;
    status.committed = committed;
    return status;
  }
  [[nodiscard]] Result<SnapshotMark> mark_at(Index index) const override {
    const auto entry = entries.find(index);
    if (entry == entries.end()) return fail(ErrorCode::compacted, "gone");
    return SnapshotMark{{entry->second->epoch, index}, entry->second->stamp, setup_.members};
  }
  [[nodiscard]] std::uint64_t digest() const override { return 0; }
  [[nodiscard]] const LogSetup& setup() const { return setup_; }

  std::deque<Output> later;  // given by the calls after the next one
  std::uint64_t number = 0;
  std::uint64_t ticks = 0;
  Index committed;
  std::optional<Error> refuse;
  std::map<Index, EntryPtr> entries;
  std::vector<Bytes> received;
  std::vector<Bytes> proposed;
  std::vector<std::vector<MemberChange>> changed;
  std::vector<ReadId> reads;
  std::vector<std::uint64_t> durable_outputs;
  std::vector<SnapshotMark> snapshots_taken;
  std::vector<SnapshotMark> snapshots_received;
  std::vector<bool> snapshots_sent;
  NodeId transfer;

 private:
  LogSetup setup_;
  std::optional<Output> next_;
};

}  // namespace assent
