// A coordinator's machine with its leader's driver, and a log that takes what the test gives it.
#pragma once

#include <gtest/gtest.h>

#include "support.h"

namespace assent::testing {

class ConductorFixture : public ::testing::Test {
 protected:
  static ConductorOptions options() {
    ConductorOptions one;
    one.self = coordinator_group;
    one.attempts_max = 3;
    one.waiters_max = 3;
    one.end_batch = 2;
    one.shards = {shard_1, shard_2};
    one.note_ticks = 10;
    one.resolve_ticks = 50;
    return one;
  }
  static DecisionsOptions machine_options() {
    DecisionsOptions one;
    one.window.retention_millis = 10'000;
    one.window.clock_skew_max_millis = 1'000;
    one.history.records_max = 1;
    return one;
  }

  ConductorFixture() { lead(5); }

  void lead(std::uint64_t epoch_now) {
    epoch = epoch_now;
    conductor.lead(Epoch(epoch));
    commit_all();
    take();
  }
  DriverOutput<CoordinatorCommand> take() { return conductor.take_output(); }
  // What the log takes is applied at once.
  void commit(const CoordinatorCommand& command) {
    const EntryContext context = at(epoch, ++index, millis);
    const auto applied = machine.apply(context, command);
    conductor.applied(context, command, applied);
  }
  // Commits everything proposed; gives the rest of the output.
  DriverOutput<CoordinatorCommand> commit_all() {
    auto output = take();
    for (const auto& command : output.propose) commit(command);
    testing::append(output, take());
    return output;
  }
  void execute(std::uint64_t request, const Execute& one) {
    conductor.request(ClientRequest{RequestId(request), coordinator_group, one});
  }
  void ask(std::uint64_t request, const TxnId& id, bool seal, std::uint64_t wait = 0) {
    conductor.request(ClientRequest{RequestId(request), coordinator_group, GetOutcome{id, seal, wait}});
  }
  void vote(GroupId from, const TxnId& id, const Attempt& attempt, bool yes = true, Refusal refusal = {}) {
    WorkResult result(1);
    result[0].rows_affected = from.value;
    conductor.receive(
        Envelope{from, coordinator_group, Vote{id, attempt, yes, std::move(refusal), yes ? result : WorkResult()}});
  }
  void finished(GroupId from, const TxnId& id, const Attempt& attempt, bool committed) {
    conductor.receive(Envelope{from, coordinator_group, Finished{id, attempt, committed}});
  }
  void inquire(GroupId from, const TxnId& id, const Attempt& attempt) {
    conductor.receive(Envelope{from, coordinator_group, Inquire{id, attempt}});
  }
  DriverOutput<CoordinatorCommand> ticks(int count) {
    DriverOutput<CoordinatorCommand> all;
    for (int i = 0; i < count; ++i) {
      conductor.tick();
      testing::append(all, take());
    }
    return all;
  }
  static Execute one(std::uint64_t n = 1) { return transfer(testing::txn(n), put("a", "1"), put("b", "2")); }
  void report(GroupId from, const TxnId& id, Standing standing, Protocol protocol = Protocol::automatic,
              std::uint64_t print = 0) {
    Report one;
    one.txn = id;
    one.standing = standing;
    one.protocol = protocol;
    one.fingerprint = print;
    if (protocol != Protocol::automatic) one.participants = {shard_1, shard_2};
    if (standing == Standing::aborted) one.refusal.reason = AbortReason::sealed;
    conductor.receive(Envelope{from, coordinator_group, one});
  }
  [[nodiscard]] Attempt attempt(std::uint64_t number = 1) const { return {Epoch(epoch), number}; }
  // Votes yes everywhere and applies the decision.
  void commit_txn(const TxnId& id, std::uint64_t number) {
    vote(shard_1, id, attempt(number));
    vote(shard_2, id, attempt(number));
    commit_all();
  }

  Decisions machine{machine_options()};
  Conductor conductor{machine, options()};
  std::uint64_t epoch = 0;
  std::uint64_t index = 0;
  std::uint64_t millis = 0;
};

}  // namespace assent::testing
