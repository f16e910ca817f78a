// What a loop tells its watcher, kept with its time until the thread that the watcher belongs to tells it on. Written
// by the loop's thread, and taken by it; told by the other one.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "node/transport.h"
#include "node/txn_watcher.h"

namespace assent {

// The clock of a watcher that is told of things later: while it is, the time at which they happened. Monotonic time
// alone is asked of it.
class RelayClock final : public Clock {
 public:
  explicit RelayClock(const Clock& real) : real_(real) {}
  [[nodiscard]] ClusterMillis wall() const override { return real_.wall(); }
  [[nodiscard]] std::uint64_t monotonic_micros() const override {
    return then_ != 0 ? then_ : real_.monotonic_micros();
  }
  // 0: now.
  void set(std::uint64_t then_micros) { then_ = then_micros; }

 private:
  const Clock& real_;
  std::uint64_t then_ = 0;
};

class WatchRelay final : public TxnWatcher {
 public:
  struct Told {
    std::uint64_t micros = 0;
    std::function<void(TxnWatcher&)> tell;
  };

  WatchRelay(std::size_t loop, const Clock& clock) : loop_(loop), clock_(clock) {}

  [[nodiscard]] std::vector<Told> take() { return std::exchange(told_, {}); }

  void requested(GroupId at, const ClientRequest& request) override;
  void received(GroupId at, GroupId from, const TxnMessage& message) override;
  void applied(GroupId at, Index index, const CoordinatorCommand& command) override;
  void applied(GroupId at, Index index, const ShardCommand& command) override;
  void proposed(GroupId at, const CoordinatorCommand& command) override;
  void proposed(GroupId at, const ShardCommand& command) override;
  void sent(GroupId at, GroupId to, const TxnMessage& message) override;
  void replied(GroupId at, const ClientReply& reply) override;
  void turned(GroupId at) override;
  void refused(GroupId at) override;
  void appended(GroupId at, Index first, Index last, Wal::Ticket ticket) override;
  void resigned(GroupId at) override;
  void submitted(Wal::Ticket ticket) override;
  void synced(Wal::Ticket ticket) override;

 private:
  void add(std::function<void(TxnWatcher&)> tell) { told_.push_back({clock_.monotonic_micros(), std::move(tell)}); }

  const std::size_t loop_;
  const Clock& clock_;
  std::vector<Told> told_;
};

}  // namespace assent
