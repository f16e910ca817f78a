// App: what a group replicates, made of a typed machine and its driver (txn_proto/machine.h). Bytes become commands and
// messages here, and nowhere else in the node.
//
// It decides nothing: entries go to the machine, and on the leader to the driver too; what the driver wants becomes an
// outbox. A Binding is the machine with whatever stores it and its applied index. Called by the loop alone.
//
// Invariants: the driver hears of an entry after the machine has applied it, and only while this replica leads; a
// command that cannot be read is an error and changes nothing; a message that cannot be read is counted and ignored;
// once the machine could not read what it needed, nothing that the driver made of it gets out.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "node/application.h"
#include "node/txn_watcher.h"
#include "txn_proto/machine.h"
#include "txn_proto/types.h"
#include "txn_proto/wire_codec.h"

namespace assent {

template <class B>
concept MachineBinding = requires(B& binding, const B& constant, const EntryContext& context,
                                  const typename B::Command& command, Index index, const SnapshotMark& mark,
                                  ByteView bytes) {
  { B::decode(bytes) } -> std::same_as<Result<typename B::Command>>;
  { binding.apply(context, command) } -> std::same_as<Result<typename B::Applied>>;
  { binding.skip(index) } -> std::same_as<void>;
  { constant.applied() } -> std::same_as<Index>;
  { binding.batch_applied() } -> std::same_as<Result<void>>;
  { binding.snapshot() } -> std::same_as<Result<Bytes>>;
  { constant.restorable(mark, bytes) } -> std::same_as<Result<void>>;
  { binding.snapshot_step(std::size_t{}) } -> std::same_as<Result<std::optional<SnapshotMade>>>;
  { binding.drop_snapshot() } -> std::same_as<void>;
  { binding.restore(mark, bytes) } -> std::same_as<Result<void>>;
  { binding.digest() } -> std::same_as<Result<std::uint64_t>>;
  { constant.healthy() } -> std::same_as<Result<void>>;
  { constant.status() } -> std::same_as<ApplicationStatus>;  // all but active
};

template <MachineBinding Binding, class Driver>
class App final : public Application {
 public:
  using Command = typename Binding::Command;

  // The driver looks at the machine inside the binding.
  App(GroupId self, std::unique_ptr<Binding> binding, Driver driver)
      : self_(self), binding_(std::move(binding)), driver_(std::move(driver)) {}

  void round_took(const RoundCost& round) override { round_ = round; }
  Result<void> apply(const Entry& entry) override {
    const RoundCost round = std::exchange(round_, {});
    const auto command = Binding::decode(entry.payload);
    if (!command) return fail(ErrorCode::unsupported, command.error().message);
    const EntryContext context{entry.epoch, entry.index, entry.stamp};
    const auto applied = binding_->apply(context, *command);
    if (!applied) return fail(applied.error());
    if (!leads_) return {};
    if (watcher_ != nullptr) watcher_->applied(self_, entry.index, *command);
    driver_.applied(context, *command, *applied, round);
    return {};
  }
  void skip(Index index) override { binding_->skip(index); }
  [[nodiscard]] Index applied() const override { return binding_->applied(); }
  Result<void> batch_applied() override { return binding_->batch_applied(); }
  Result<void> let_go() override {
    if constexpr (requires { binding_->let_go(); }) return binding_->let_go();
    return {};
  }

  void leadership(const Leadership& leadership) override {
    if (leadership.self_ready == leads_) return;
    leads_ = leadership.self_ready;
    if (leads_) {
      driver_.lead(leadership.epoch);
    } else {
      driver_.resign();
    }
  }

  void receive(GroupId from, ByteView payload) override {
    auto message = decode_message(payload);
    if (!message) {
      ++malformed_;
      return;
    }
    if (watcher_ != nullptr) watcher_->received(self_, from, *message);
    driver_.receive(Envelope{from, self_, std::move(*message)});
  }
  void request(const ClientRequest& request) override {
    if (watcher_ != nullptr) watcher_->requested(self_, request);
    driver_.request(request);
  }
  void refused(const Bytes& proposal, const Error& error) override {
    if (const auto command = Binding::decode(proposal)) driver_.refused(*command, error);
  }
  void read_ready(ReadId id) override { driver_.read_ready(id); }
  void read_lost(ReadId id) override { driver_.read_lost(id); }
  [[nodiscard]] Result<QueryAnswer> query_stale(const Query& query, std::vector<TxnId>& in_the_way) override {
    if constexpr (requires { driver_.query_stale(query, in_the_way); }) return driver_.query_stale(query, in_the_way);
    return Application::query_stale(query, in_the_way);
  }
  [[nodiscard]] bool is_prepared(const TxnId& txn) const override {
    if constexpr (requires { binding_->machine().prepared(txn); }) return binding_->machine().prepared(txn) != nullptr;
    return false;
  }
  void tick() override { driver_.tick(); }
  [[nodiscard]] std::uint64_t rest_ticks() const override { return driver_.rest_ticks(); }
  void rested(std::uint64_t ticks) override { driver_.rested(ticks); }

  [[nodiscard]] bool has_outbox() const override { return driver_.has_output(); }
  [[nodiscard]] Outbox take_outbox() override {
    auto output = driver_.take_output();
    if (watcher_ != nullptr) tell(output);
    Outbox outbox;
    if (!binding_->healthy()) return outbox;
    outbox.proposals.reserve(output.propose.size());
    for (const Command& command : output.propose) outbox.proposals.push_back(encode(command));
    outbox.messages.reserve(output.send.size());
    for (const Envelope& envelope : output.send) {
      outbox.messages.push_back({envelope.from, envelope.to, encode(envelope.message)});
    }
    outbox.replies = std::move(output.reply);
    outbox.reads = std::move(output.read);
    outbox.calls = std::move(output.call);
    return outbox;
  }

  [[nodiscard]] Result<Bytes> snapshot() override { return binding_->snapshot(); }
  [[nodiscard]] Result<void> restorable(const SnapshotMark& mark, ByteView data) const override {
    return binding_->restorable(mark, data);
  }
  [[nodiscard]] Result<std::optional<SnapshotMade>> snapshot_step(std::size_t bytes) override {
    return binding_->snapshot_step(bytes);
  }
  void drop_snapshot() override { binding_->drop_snapshot(); }
  [[nodiscard]] Result<void> restore(const SnapshotMark& mark, ByteView data) override {
    return binding_->restore(mark, data);
  }
  [[nodiscard]] Result<std::uint64_t> digest() override { return binding_->digest(); }
  [[nodiscard]] Result<void> healthy() const override { return binding_->healthy(); }
  [[nodiscard]] ApplicationStatus status() const override {
    ApplicationStatus status = binding_->status();
    status.active = driver_.active();
    return status;
  }

  void know_shards(const std::vector<GroupId>& shards) override {
    if constexpr (requires { driver_.know_shards(shards); }) driver_.know_shards(shards);
  }

  void watch(TxnWatcher* watcher) override { watcher_ = watcher; }
  [[nodiscard]] std::vector<Sight> sights(const SightQuestion& question) const override {
    return driver_.sights(question);
  }

  // For checkers and tests.
  [[nodiscard]] const Binding& binding() const { return *binding_; }
  [[nodiscard]] const Driver& driver() const { return driver_; }
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  void tell(const DriverOutput<Command>& output) {
    for (const Command& command : output.propose) watcher_->proposed(self_, command);
    for (const Envelope& envelope : output.send) watcher_->sent(self_, envelope.to, envelope.message);
    for (const ServiceCall& call : output.call) watcher_->sent(self_, call.number, call.message);
    for (const ClientReply& reply : output.reply) watcher_->replied(self_, reply);
    watcher_->turned(self_);
  }

  GroupId self_;
  std::unique_ptr<Binding> binding_;
  Driver driver_;
  bool leads_ = false;
  RoundCost round_;  // of the entry that comes next
  TxnWatcher* watcher_ = nullptr;
  std::uint64_t malformed_ = 0;
};

}  // namespace assent
