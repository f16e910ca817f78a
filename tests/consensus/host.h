// A node's host as the contract describes it, reduced to one group: a core, a disk that knows what it was told and what
// is durable, and a snapshot store. The disk writes outputs in order, one after the other, when sync() says so.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consensus/log_contract.h"

namespace assent::testing {

class Host {
 public:
  Host(LogFactory factory, LogSetup setup) : factory_(std::move(factory)), setup_(std::move(setup)) { start(); }

  [[nodiscard]] NodeId id() const { return setup_.self; }
  [[nodiscard]] bool up() const { return log_ != nullptr; }
  [[nodiscard]] ReplicatedLog& log() { return *log_; }
  [[nodiscard]] const ReplicatedLog& log() const { return *log_; }
  [[nodiscard]] const DurableLog& disk() const { return setup_.durable; }
  [[nodiscard]] DurableLog& disk() { return setup_.durable; }
  [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }  // of the process
  [[nodiscard]] Member member() const { return {setup_.self, setup_.incarnation}; }

  // Takes the core's output: what must be written is queued, what may leave is appended to leaving.
  [[nodiscard]] Output take(std::vector<ConsensusMessage>& leaving);
  [[nodiscard]] std::size_t writes() const;  // not yet durable
  // Completes the oldest `count` writes and releases what waited for them.
  void sync(std::size_t count, std::vector<ConsensusMessage>& leaving);
  // The oldest `surviving` writes reached the disk without anybody having been told.
  void crash(std::size_t surviving);
  void start();
  // Down, and its log is damaged: whole only up to here.
  void damage(Index whole);
  // Down, and everything is gone. It comes back as another member. What it had durably is returned.
  DurableLog lose_disk(std::uint64_t next_incarnation);

  // The application's newest durable snapshot.
  [[nodiscard]] const std::optional<SnapshotMark>& newest_snapshot() const { return newest_; }
  [[nodiscard]] bool has_snapshot(const SnapshotMark& mark) const {
    return mark == newest_ || received_.contains(mark.last);
  }
  bool take_snapshot(Index index);
  void store_snapshot(const SnapshotMark& mark);

  [[nodiscard]] bool durably_holds(const Position& at) const { return holds(setup_.durable, at); }
  [[nodiscard]] static bool holds(const DurableLog& disk, const Position& at);

 private:
  struct Write {
    std::uint64_t number = 0;  // 0: not of an output
    bool needs_disk = false;
    std::optional<Bytes> hard_state;
    std::optional<SnapshotMark> install;
    std::optional<SnapshotMark> compact;
    std::vector<EntryPtr> append;
    std::vector<ConsensusMessage> parked;
  };
  void apply(const Write& write);
  void release(std::vector<ConsensusMessage>& leaving);

  LogFactory factory_;
  LogSetup setup_;
  std::unique_ptr<ReplicatedLog> log_;
  std::deque<Write> queue_;
  std::optional<SnapshotMark> newest_;
  std::set<Position> received_;
  std::uint64_t incarnation_ = 0;
};

}  // namespace assent::testing
