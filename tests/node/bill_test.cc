// What a transaction costs, counted by real loops, logs and drivers, against the table of docs/PROTOCOL.md section 3.
#include <gtest/gtest.h>

#include "node/coordinator_app.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "tests/node/test_cluster.h"

namespace assent {
namespace {

constexpr GroupId c0{1};
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

Result<std::unique_ptr<Application>> make_application(const GroupConfig& group) {
  if (group.role == GroupRole::coordinator) {
    CoordinatorAppOptions options;
    for (std::uint64_t shard = 11; shard <= 13; ++shard) options.conductor.shards.emplace_back(shard);
    return make_coordinator_application(group.id, options);
  }
  return make_shard_application(group.id, {}, std::make_unique<MemoryStore>());
}

class Bills : public testing::Test {
 protected:
  Bills() : cluster_(3, groups(), 0, make_application) { cluster_.start_all(); }

  static GroupId shard(std::uint64_t number) { return GroupId(10 + number); }
  static std::vector<GroupConfig> groups() {
    std::vector<GroupConfig> all{GroupConfig{c0, "c0", GroupRole::coordinator, all_nodes}};
    for (std::uint64_t i = 1; i <= 3; ++i) {
      all.push_back(GroupConfig{shard(i), "s" + std::to_string(i), GroupRole::shard, all_nodes});
    }
    return all;
  }
  TxnId new_txn() { return TxnId::make(cluster_.node(NodeId(1)).clock.wall(), 7, ++counter_); }

  Execute puts(Protocol protocol, std::uint64_t shards, bool refused = false) {
    Execute execute;
    execute.txn = new_txn();
    execute.protocol = protocol;
    for (std::uint64_t i = 1; i <= shards; ++i) {
      Work work{KvPut{"key", "value"}};
      if (refused && i == 1) work.emplace_back(KvExpect{"other", "value"});
      execute.branches.push_back(Branch{shard(i), work});
    }
    return execute;
  }
  TxnAnswer ask(GroupId group, ClientBody body) {
    const std::uint64_t id = ++requests_;
    const NodeId leader = cluster_.await_leader(group);
    cluster_.node(leader).request(ClientRequest{RequestId(id), group, std::move(body)});
    cluster_.tick_until([&] { return cluster_.node(leader).answered(id); });
    const auto answer = cluster_.node(leader).reply(id);
    EXPECT_TRUE(answer);
    return answer ? std::get<TxnAnswer>(*answer) : TxnAnswer{};
  }
  TxnAnswer run(const Execute& execute) {
    for (const GroupConfig& group : groups()) cluster_.await_leader(group.id);
    for (int i = 0; i < 50; ++i) cluster_.tick();  // every leader has been found
    return ask(is_one_phase(execute) ? execute.branches.front().shard : c0, execute);
  }
  // Once every participant has freed its locks.
  Bill whole(const TxnId& txn) {
    Bill bill;
    for (int i = 0; i < 100 && bill.freed == Cost{}; ++i) {
      cluster_.tick();
      bill = ask(c0, GetOutcome{txn, false, 0}).bill;
    }
    return bill;
  }

  TestCluster cluster_;
  std::uint64_t requests_ = 0;
  std::uint64_t counter_ = 0;
};

TEST_F(Bills, one_phase_is_one_round_and_one_entry) {
  const TxnAnswer answer = run(puts(Protocol::automatic, 1));
  ASSERT_EQ(answer.state, TxnState::committed);
  EXPECT_EQ(answer.bill.answered.rounds, 1U);
  EXPECT_EQ(answer.bill.answered.entries, 1U);
  EXPECT_EQ(answer.bill.answered.messages, 0U);
  EXPECT_EQ(answer.bill.answered.syncs, 1U);
  EXPECT_EQ(answer.bill.freed, answer.bill.answered) << "whoever is answered finds the locks free";
}

TEST_F(Bills, paxos_commit_is_one_round_and_an_entry_a_shard_and_locks_are_free_after_two) {
  for (std::uint64_t shards = 2; shards <= 3; ++shards) {
    const TxnAnswer answer = run(puts(Protocol::paxos_commit, shards));
    ASSERT_EQ(answer.state, TxnState::committed);
    EXPECT_EQ(answer.bill.answered.rounds, 1U);
    EXPECT_EQ(answer.bill.answered.entries, shards);
    EXPECT_EQ(answer.bill.answered.messages, 2 * shards) << "a prepare and a vote each";
    EXPECT_EQ(answer.bill.freed, Cost{}) << "answered before the locks are free";
    const Bill bill = whole(answer.txn);
    EXPECT_EQ(bill.answered, answer.bill.answered);
    EXPECT_EQ(bill.freed.rounds, 2U);
    EXPECT_EQ(bill.freed.entries, 2 * shards);
    EXPECT_EQ(bill.freed.messages, 4 * shards);
  }
}

TEST_F(Bills, two_phase_is_two_rounds_with_the_decision_and_locks_are_free_after_three) {
  for (std::uint64_t shards = 1; shards <= 3; ++shards) {
    const TxnAnswer answer = run(puts(Protocol::two_phase, shards));
    ASSERT_EQ(answer.state, TxnState::committed);
    EXPECT_EQ(answer.bill.answered.rounds, 2U);
    EXPECT_EQ(answer.bill.answered.entries, shards + 1);
    EXPECT_EQ(answer.bill.answered.messages, 2 * shards);
    const Bill bill = whole(answer.txn);
    EXPECT_EQ(bill.freed.rounds, 3U);
    EXPECT_EQ(bill.freed.entries, 2 * shards + 1);
    EXPECT_EQ(bill.freed.messages, 4 * shards);
  }
}

TEST_F(Bills, a_round_on_an_idle_disk_waits_for_one_sync) {
  EXPECT_EQ(run(puts(Protocol::paxos_commit, 1)).bill.answered.syncs, 1U);
  EXPECT_EQ(run(puts(Protocol::two_phase, 1)).bill.answered.syncs, 2U);
}

TEST_F(Bills, an_abort_costs_the_round_of_the_no_and_nothing_more) {
  const TxnAnswer answer = run(puts(Protocol::two_phase, 2, true));
  ASSERT_EQ(answer.state, TxnState::aborted);
  EXPECT_EQ(answer.bill.answered.rounds, 1U);
  EXPECT_LE(answer.bill.answered.entries, 2U) << "no decision is logged";
}

// Retries cost, and are seen: the count is of what is sent, not of what a plan says.
TEST_F(Bills, repeated_messages_are_counted) {
  const NodeId leader = cluster_.await_leader(c0);
  cluster_.make_lead(shard(1), NodeId(leader.value % 3 + 1));
  cluster_.make_lead(shard(2), leader);
  for (int i = 0; i < 50; ++i) cluster_.tick();
  const Execute execute = puts(Protocol::paxos_commit, 2);
  cluster_.cut(cluster_.leader(shard(1)));
  cluster_.node(leader).request(ClientRequest{RequestId(900), c0, execute});
  for (int i = 0; i < 60; ++i) cluster_.tick();
  cluster_.heal();
  cluster_.tick_until([&] { return cluster_.node(leader).answered(900); });
  const auto reply = cluster_.node(leader).reply(900);
  ASSERT_TRUE(reply);
  const TxnAnswer& answer = std::get<TxnAnswer>(*reply);
  ASSERT_EQ(answer.state, TxnState::committed);
  EXPECT_GT(answer.bill.answered.messages, 4U);
  EXPECT_EQ(answer.bill.answered.entries, 2U);
}

}  // namespace
}  // namespace assent
