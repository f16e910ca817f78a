// An application as the simulator sees it: passes every call on to the real one, tells the world of snapshots and
// restores, and, when the seed asks for it, loses the first copy of every message between groups (ARCHITECTURE: effects
// are hints, state is truth; repetition alone must carry the system). It changes nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "node/application.h"

namespace assent::sim {

class WatchedApplication final : public Application {
 public:
  struct Watcher {
    std::function<void(Index, const ApplicationStatus&)> restored;
    std::function<void(const ApplicationStatus&)> snapshot_taken;
    std::function<void()> snapshot_took_turns;             // and entries were applied in between
    std::function<void(GroupId from, ByteView)> received;  // a message between groups, before the application has it
    std::function<void(const Query&)> stale_read;          // evaluated, and about to be answered
    std::function<void()> let_go;
    std::function<void()> message_lost;
    std::function<bool()> loses_first_sends;
  };

  WatchedApplication(std::unique_ptr<Application> real, Watcher watcher)
      : real_(std::move(real)), watcher_(std::move(watcher)) {}

  [[nodiscard]] const Application& real() const { return *real_; }

  void round_took(const RoundCost& round) override { real_->round_took(round); }
  Result<void> apply(const Entry& entry) override { return real_->apply(entry); }
  void skip(Index index) override { real_->skip(index); }
  [[nodiscard]] Index applied() const override { return real_->applied(); }
  Result<void> batch_applied() override { return real_->batch_applied(); }
  Result<void> let_go() override {
    watcher_.let_go();
    return real_->let_go();
  }
  void leadership(const Leadership& leadership) override { real_->leadership(leadership); }
  void receive(GroupId from, ByteView payload) override {
    watcher_.received(from, payload);
    real_->receive(from, payload);
  }
  void request(const ClientRequest& request) override { real_->request(request); }
  void refused(const Bytes& proposal, const Error& error) override { real_->refused(proposal, error); }
  void read_ready(ReadId id) override { real_->read_ready(id); }
  void read_lost(ReadId id) override { real_->read_lost(id); }
  Result<QueryAnswer> query_stale(const Query& query, std::vector<TxnId>& in_the_way) override;
  [[nodiscard]] bool is_prepared(const TxnId& txn) const override { return real_->is_prepared(txn); }
  void tick() override { real_->tick(); }
  [[nodiscard]] std::uint64_t rest_ticks() const override { return real_->rest_ticks(); }
  void rested(std::uint64_t ticks) override { real_->rested(ticks); }
  [[nodiscard]] bool has_outbox() const override { return real_->has_outbox(); }
  Outbox take_outbox() override;
  Result<Bytes> snapshot() override;
  [[nodiscard]] Result<void> restorable(const SnapshotMark& mark, ByteView data) const override {
    return real_->restorable(mark, data);
  }
  Result<std::optional<SnapshotMade>> snapshot_step(std::size_t bytes) override;
  void drop_snapshot() override;
  Result<void> restore(const SnapshotMark& mark, ByteView data) override;
  Result<std::uint64_t> digest() override { return real_->digest(); }
  [[nodiscard]] Result<void> healthy() const override { return real_->healthy(); }
  [[nodiscard]] ApplicationStatus status() const override { return real_->status(); }

 private:
  std::unique_ptr<Application> real_;
  Watcher watcher_;
  std::optional<Index> making_since_;  // a snapshot in steps
  std::set<std::uint64_t> sent_;       // digests of messages that had their first loss
};

}  // namespace assent::sim
