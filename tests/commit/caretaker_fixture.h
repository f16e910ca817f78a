// A shard with its store and its leader's driver, and a log that holds what is proposed until the test commits it.
#pragma once

#include <gtest/gtest.h>

#include <deque>

#include "support.h"

namespace assent::testing {

class CaretakerFixture : public ::testing::Test {
 protected:
  static CaretakerOptions options() {
    CaretakerOptions one;
    one.self = shard_1;
    one.prepare_timeout_ticks = 50;
    one.settle_ticks = 30;
    one.query_timeout_ticks = 60;
    one.query_hold_ticks = 10;
    one.waiters_max = 3;
    return one;
  }
  static ShardOptions machine_options() {
    ShardOptions one;
    one.self = shard_1;
    one.window.retention_millis = 10'000;
    one.window.clock_skew_max_millis = 1'000;
    one.reply_bytes_max = 64;
    return one;
  }

  CaretakerFixture() {
    caretaker.lead(Epoch(1));
    commit_all();
    take();
  }

  // Moves the driver's output into log and seen.
  void take() {
    auto output = caretaker.take_output();
    for (auto& command : output.propose) log.push_back(std::move(command));
    output.propose.clear();
    append(seen, std::move(output));
  }
  // What was sent and answered since the last call.
  DriverOutput<ShardCommand> heard() {
    take();
    return std::exchange(seen, {});
  }
  bool commit() {
    take();
    if (log.empty()) return false;
    const ShardCommand command = std::move(log.front());
    log.pop_front();
    const EntryContext context = at(1, ++index, millis);
    const auto applied = machine.apply(context, command, store);
    EXPECT_TRUE(applied);
    store.set_applied(context.index);
    caretaker.applied(context, command, *applied);
    take();
    return true;
  }
  void commit_all() {
    while (commit()) {
    }
  }
  [[nodiscard]] std::size_t in_log() {
    take();
    return log.size();
  }
  template <class One>
  [[nodiscard]] std::vector<One> logged() {
    take();
    return proposed<One>(std::vector<ShardCommand>(log.begin(), log.end()));
  }

  static Attempt attempt(std::uint64_t number = 1) { return {Epoch(3), number}; }
  void prepare(const TxnId& id, const Work& work, const TxnId& age = {}, std::uint64_t number = 1,
               std::uint64_t print = 5) {
    caretaker.receive(Envelope{coordinator_group, shard_1,
                               Prepare{id, attempt(number), coordinator_group, {shard_1, shard_2}, print, age, work}});
  }
  void finish(const TxnId& id, bool yes, std::uint64_t number = 1) {
    caretaker.receive(Envelope{coordinator_group, shard_1, Finish{id, attempt(number), yes}});
  }
  void execute(std::uint64_t request, const TxnId& id, const Work& work) {
    caretaker.request(ClientRequest{RequestId(request), shard_1, single(id, shard_1, work)});
  }
  void query(std::uint64_t request, const Work& work) {
    caretaker.request(ClientRequest{RequestId(request), shard_1, Query{work}});
  }
  void ask(std::uint64_t request, const TxnId& id, bool seal, std::uint64_t wait = 0) {
    caretaker.request(ClientRequest{RequestId(request), shard_1, GetOutcome{id, seal, wait}});
  }
  // The barriers asked for so far are passed.
  void pass_barriers() {
    take();
    for (const ReadId read : std::exchange(seen.read, {})) caretaker.read_ready(read);
    take();
  }
  void ticks(int count) {
    for (int i = 0; i < count; ++i) {
      caretaker.tick();
      take();
    }
  }
  std::vector<Vote> votes() { return sent<Vote>(heard().send); }
  void resign_and_lead() {
    caretaker.resign();
    take();
    log.clear();
    caretaker.lead(Epoch(2));
  }
  static const QueryAnswer* rows_for(const std::vector<ClientReply>& replies, std::uint64_t request) {
    for (const ClientReply& reply : replies) {
      if (reply.id == RequestId(request) && reply.answer) return std::get_if<QueryAnswer>(&*reply.answer);
    }
    return nullptr;
  }

  MemoryStore store;
  Shard machine{machine_options()};
  Caretaker caretaker{machine, store, options()};
  std::deque<ShardCommand> log;
  DriverOutput<ShardCommand> seen;
  std::uint64_t index = 0;
  std::uint64_t millis = 0;
};

}  // namespace assent::testing
