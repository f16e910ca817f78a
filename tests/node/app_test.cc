// The typed applications: the coordinator's and a shard's, alone and as three nodes that carry a bank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/memory_archive.h"
#include "node/coordinator_app.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "tests/node/test_cluster.h"

namespace assent {
namespace {

constexpr GroupId c0{1};
constexpr GroupId s1{2};
constexpr GroupId s2{3};
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

Result<std::unique_ptr<Application>> make_application(const GroupConfig& group) {
  if (group.role == GroupRole::coordinator) {
    CoordinatorAppOptions options;
    options.conductor.shards = {s1, s2};
    return make_coordinator_application(group.id, std::move(options));
  }
  return make_shard_application(group.id, {}, std::make_unique<MemoryStore>());
}

Entry entry(std::uint64_t index, Bytes payload) {
  return Entry{Epoch(1), Index(index), ClusterMillis(1'700'000'000'000), EntryKind::command, std::move(payload)};
}

// ---- one application ----

TEST(App, ACommandThatCannotBeReadIsAnError) {
  for (const GroupRole role : {GroupRole::coordinator, GroupRole::shard}) {
    auto application = make_application(GroupConfig{c0, "g", role, all_nodes}).value();
    const auto applied = application->apply(entry(1, "\xFF rubbish"));
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code, ErrorCode::unsupported);
    EXPECT_EQ(application->applied(), Index(0));
  }
}

TEST(App, AMessageThatCannotBeReadIsCountedAndIgnored) {
  auto application = make_coordinator_application(c0, {});
  application->leadership(Leadership{Epoch(1), NodeId(1), true, true});
  static_cast<void>(application->take_outbox());
  application->receive(s1, "\xFF rubbish");
  EXPECT_TRUE(application->take_outbox().empty());
  EXPECT_EQ(dynamic_cast<CoordinatorApp&>(*application).malformed(), 1U);
}

// "Not found" would be told as an abort that is presumed.
TEST(App, WhatCameOfAFailedReadStaysInside) {
  CoordinatorAppOptions options;
  options.conductor.shards = {s1, s2};
  options.conductor.two_phase_only = true;
  options.pace = {.chunk_records = 1, .write_records = 1, .write_entries = 1, .recent_records = 0};
  auto kept = std::make_unique<MemoryArchive>();
  MemoryArchive& archive = *kept;
  auto application = make_coordinator_application(c0, std::move(options), std::move(kept)).value();
  const TxnId txn = TxnId::make(ClusterMillis(1'700'000'000'000), 1, 1);
  const NoteOutcomes note{{OutcomeNote{txn, 7, true, Protocol::paxos_commit, AbortReason::none}}};
  ASSERT_TRUE(application->apply(entry(1, encode(CoordinatorCommand(note)))));
  ASSERT_TRUE(application->batch_applied());
  application->leadership(Leadership{Epoch(1), NodeId(1), true, true});
  static_cast<void>(application->take_outbox());
  application->request(ClientRequest{RequestId(1), c0, GetOutcome{txn, false, 0}});
  const Outbox answered = application->take_outbox();
  ASSERT_EQ(answered.replies.size(), 1U);
  EXPECT_EQ(std::get<TxnAnswer>(*answered.replies[0].answer).state, TxnState::committed);
  archive.fail_from_now_on();
  application->request(ClientRequest{RequestId(2), c0, GetOutcome{txn, true, 0}});
  EXPECT_TRUE(application->take_outbox().empty());
  ASSERT_FALSE(application->healthy());
  EXPECT_EQ(application->healthy().error().code, ErrorCode::io);
}

TEST(App, AppliedFollowsCommandsAndSkippedEntriesAlike) {
  for (const GroupRole role : {GroupRole::coordinator, GroupRole::shard}) {
    auto application = make_application(GroupConfig{c0, "g", role, all_nodes}).value();
    application->skip(Index(1));
    EXPECT_EQ(application->applied(), Index(1));
    const Bytes tidy =
        role == GroupRole::coordinator ? encode(CoordinatorCommand(Tidy{})) : encode(ShardCommand(Tidy{}));
    ASSERT_TRUE(application->apply(entry(2, tidy)));
    ASSERT_TRUE(application->batch_applied());
    EXPECT_EQ(application->applied(), Index(2));
  }
}

TEST(App, ASnapshotMakesAnEqualApplication) {
  const SnapshotMark mark{{Epoch(1), Index(2)}, ClusterMillis(1'700'000'000'000), all_nodes};
  const TxnId txn = TxnId::make(ClusterMillis(1'700'000'000'000), 1, 2);
  for (const GroupRole role : {GroupRole::coordinator, GroupRole::shard}) {
    auto application = make_application(GroupConfig{c0, "g", role, all_nodes}).value();
    auto other = make_application(GroupConfig{c0, "g", role, all_nodes}).value();
    application->skip(Index(1));
    const Bytes command = role == GroupRole::coordinator ? encode(CoordinatorCommand(SealOutcome{txn, {}}))
                                                         : encode(ShardCommand(SealWork{txn}));
    ASSERT_TRUE(application->apply(entry(2, command)));
    EXPECT_NE(application->digest(), other->digest());
    ASSERT_TRUE(other->restore(mark, application->snapshot().value()));
    EXPECT_EQ(other->applied(), Index(2));
    EXPECT_EQ(other->digest(), application->digest());
    EXPECT_EQ(other->status().records, 1U);
    EXPECT_FALSE(other->restore(mark, "rubbish"));
  }
}

// A snapshot file under the name of another index must not be taken for it.
TEST(App, AShardsSnapshotMustBeOfItsMark) {
  auto application = make_application(GroupConfig{s1, "s1", GroupRole::shard, all_nodes}).value();
  application->skip(Index(5));
  const auto restored = application->restore(SnapshotMark{{Epoch(1), Index(9)}, ClusterMillis(1), all_nodes},
                                             application->snapshot().value());
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::corruption);
}

// ---- a bank on three nodes ----

class Bank : public testing::Test {
 protected:
  Bank() : cluster_(3, groups(), 50, make_application) { cluster_.start_all(); }

  static std::vector<GroupConfig> groups() {
    return {GroupConfig{c0, "c0", GroupRole::coordinator, all_nodes},
            GroupConfig{s1, "s1", GroupRole::shard, all_nodes}, GroupConfig{s2, "s2", GroupRole::shard, all_nodes}};
  }
  TxnId new_txn() { return TxnId::make(cluster_.node(NodeId(1)).clock.wall(), 7, ++counter_); }
  static KvAdd add(std::string key, std::int64_t delta) { return KvAdd{std::move(key), delta, 0, std::nullopt}; }

  // Sends it to the group's leader; the id of the request.
  std::uint64_t send(GroupId group, Execute execute) {
    const std::uint64_t id = ++requests_;
    at_[id] = cluster_.await_leader(group);
    cluster_.node(at_[id]).request(ClientRequest{RequestId(id), group, std::move(execute)});
    return id;
  }
  bool answered(std::uint64_t id) { return cluster_.node(at_[id]).answered(id); }
  Result<ClientAnswer> answer(std::uint64_t id) {
    cluster_.tick_until([&] { return answered(id); });
    return cluster_.node(at_[id]).reply(id);
  }
  void deposit(GroupId shard, const std::string& key, std::int64_t amount) {
    const auto answered =
        answer(send(shard, Execute{new_txn(), {}, Protocol::automatic, {Branch{shard, {add(key, amount)}}}, 0}));
    ASSERT_TRUE(answered) << answered.error().message;
    ASSERT_EQ(std::get<TxnAnswer>(*answered).state, TxnState::committed);
  }
  Execute transfer(std::int64_t amount) {
    return Execute{
        new_txn(), {}, Protocol::automatic, {Branch{s1, {add("alice", -amount)}}, Branch{s2, {add("bob", amount)}}}, 0};
  }
  std::string value(NodeId node, GroupId shard, const std::string& key) {
    const auto* application = dynamic_cast<const ShardApp*>(cluster_.node(node).loop->application(shard));
    return dynamic_cast<const MemoryStore&>(application->binding().store()).get(key).value_or("");
  }
  bool quiet() {
    for (const NodeId node : all_nodes) {
      for (const GroupStatus& status : cluster_.node(node).loop->status()) {
        if (status.application.prepared != 0 || status.application.locks != 0) return false;
      }
    }
    return true;
  }
  bool replicas_equal() {
    for (const GroupId group : {c0, s1, s2}) {
      const auto digest = cluster_.node(NodeId(1)).loop->application_digest(group);
      for (const NodeId node : all_nodes) {
        if (cluster_.node(node).loop->application_digest(group) != digest) return false;
      }
    }
    return true;
  }

  TestCluster cluster_;
  std::map<std::uint64_t, NodeId> at_;
  std::uint64_t requests_ = 0;
  std::uint64_t counter_ = 0;
};

TEST_F(Bank, ATransferMovesMoneyOnEveryReplica) {
  deposit(s1, "alice", 100);
  const auto answered = answer(send(c0, transfer(30)));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(std::get<TxnAnswer>(*answered).state, TxnState::committed);
  cluster_.tick_until([&] { return quiet() && replicas_equal(); });
  for (const NodeId node : all_nodes) {
    EXPECT_EQ(value(node, s1, "alice"), "70");
    EXPECT_EQ(value(node, s2, "bob"), "30");
  }
}

TEST_F(Bank, AnOverdraftAbortsOnBothShards) {
  deposit(s1, "alice", 100);
  const auto answered = answer(send(c0, transfer(130)));
  ASSERT_TRUE(answered) << answered.error().message;
  const TxnAnswer& outcome = std::get<TxnAnswer>(*answered);
  EXPECT_EQ(outcome.state, TxnState::aborted);
  EXPECT_EQ(outcome.refusal.reason, AbortReason::constraint);
  EXPECT_EQ(outcome.refusal.participant, s1);
  cluster_.tick_until([&] { return quiet() && replicas_equal(); });
  EXPECT_EQ(value(NodeId(1), s1, "alice"), "100");
  EXPECT_EQ(value(NodeId(1), s2, "bob"), "");
}

TEST_F(Bank, AQueryReadsWhatWasTold) {
  deposit(s1, "alice", 100);
  ASSERT_TRUE(answer(send(c0, transfer(30))));
  const std::uint64_t id = ++requests_;
  at_[id] = cluster_.await_leader(s1);
  cluster_.node(at_[id]).request(ClientRequest{RequestId(id), s1, Query{{KvGet{"alice"}}}});
  const auto answered = answer(id);
  ASSERT_TRUE(answered) << answered.error().message;
  const auto& rows = std::get<QueryAnswer>(*answered).result.at(0).rows;
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0][0], SqlValue(SqlBlob{"70"}));
}

// Each round kills one node in the middle of transfers, whichever groups it leads, and starts it again with its memory
// gone. Whatever was answered committed is in the books once, and nothing else.
TEST_F(Bank, MoneyIsConservedWhileNodesDie) {
  deposit(s1, "alice", 100'000);
  std::map<std::uint64_t, std::int64_t> sent;
  std::map<std::uint64_t, TxnId> ids;
  for (std::uint64_t round = 0; round < 9; ++round) {
    const NodeId victim(round % 3 + 1);
    for (std::int64_t i = 0; i < 10; ++i) {
      Execute execute = transfer(1 + i);
      const TxnId txn = execute.txn;
      const std::uint64_t id = send(c0, std::move(execute));
      sent[id] = 1 + i;
      ids[id] = txn;
      if (i == 5) cluster_.kill(victim);
      if (i % 2 == 0) cluster_.tick();
      if (HasFatalFailure()) return;
    }
    for (int i = 0; i < 10; ++i) cluster_.tick();
    cluster_.start(victim);
  }
  cluster_.tick_until([&] { return quiet() && replicas_equal(); }, 5'000);
  if (HasFatalFailure()) return;

  std::int64_t moved = 0;
  std::size_t known = 0;
  for (const auto& [id, amount] : sent) {
    const std::uint64_t ask = ++requests_;
    at_[ask] = cluster_.await_leader(c0);
    cluster_.node(at_[ask]).request(ClientRequest{RequestId(ask), c0, GetOutcome{ids[id], true, 0}});
    const auto told = answer(ask);
    ASSERT_TRUE(told) << told.error().message;
    const bool committed = std::get<TxnAnswer>(*told).state == TxnState::committed;
    if (committed) moved += amount;
    if (!answered(id)) continue;  // its node died first
    const auto first = answer(id);
    if (!first) continue;  // unknown: asking resolved it
    ++known;
    EXPECT_EQ(std::get<TxnAnswer>(*first).state == TxnState::committed, committed);
  }
  EXPECT_GT(known, 20U);
  EXPECT_GT(moved, 0);
  for (const NodeId node : all_nodes) {
    EXPECT_EQ(value(node, s1, "alice"), std::to_string(100'000 - moved));
    EXPECT_EQ(value(node, s2, "bob"), std::to_string(moved));
  }
}

}  // namespace
}  // namespace assent
