// Branches in doubt, resolved by asking: first whoever the test says, then an Assent cluster's API over gRPC.
#include "service/resolver.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "service/ask_coordinator.h"
#include "tests/client/fake_cluster.h"
#include "tests/service/database_kinds.h"
#include "tests/service/test_participant.h"

namespace assent::service::testing {
namespace {

using namespace std::chrono_literals;

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest() : barrier_(std::move(*place_.open())) {
    TestParticipant<SqliteKind>::make_tables(place_.look());
    branches_ =
        std::make_unique<Branches>(BranchesOptions{}, std::make_unique<EnrolledOn<sqlite3>>(participant_, *barrier_));
  }

  Branch prepared(std::uint64_t number, const Bytes& payload = "yes") {
    Branch branch;
    branch.txn = TxnId::make(ClusterMillis(1'800'000'000'000), number, 1);
    branch.name = "b";
    branch.attempt = {3, number};
    branch.coordinator = "c0";
    EXPECT_TRUE(branches_->prepare({branch, "", payload}).ok());
    return branch;
  }
  BranchState state(const Branch& branch) { return branches_->status({branch.txn, branch.name})->state; }

  // Runs a resolver until the condition holds; the condition looks after each of its looks.
  void resolve_until(const AskFate& ask, const std::function<bool(const Resolved& sum)>& done) {
    std::mutex mutex;
    std::condition_variable changed;
    Resolved sum;
    bool finished = false;
    const Resolver resolver(*branches_, ask, {.patience = 0ms, .interval = 1ms, .questions_max = 2, .pause_max = 4ms},
                            [&](const Resolved& found) {
                              const std::scoped_lock lock(mutex);
                              sum.committed += found.committed;
                              sum.aborted += found.aborted;
                              sum.open += found.open;
                              if (!found.trouble.empty()) sum.trouble = found.trouble;
                              finished = finished || done(sum);
                              changed.notify_all();
                            });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, 30s, [&] { return finished; })) << sum.committed << " " << sum.aborted;
  }

  SqliteKind place_;
  std::unique_ptr<SqliteBarrier> barrier_;
  TestParticipant<SqliteKind> participant_;
  std::unique_ptr<Branches> branches_;
};

TEST_F(ResolverTest, EndsEachBranchAsItsTransactionDidAndLeavesTheOthers) {
  std::vector<Branch> all;
  for (std::uint64_t i = 1; i <= 6; ++i) all.push_back(prepared(i));
  const auto fate_of = [](const InDoubt& one) -> Result<Fate> {
    EXPECT_EQ(one.coordinator, "c0");
    if (one.attempt.number % 3 == 0) return Fate::open;
    return one.attempt.number % 3 == 1 ? Fate::committed : Fate::aborted;
  };
  resolve_until(fate_of, [](const Resolved& sum) { return sum.committed == 2 && sum.aborted == 2 && sum.open > 4; });
  for (std::size_t i = 0; i < all.size(); ++i) {
    constexpr std::array wanted{BranchState::prepared, BranchState::committed, BranchState::aborted};
    EXPECT_EQ(state(all[i]), wanted.at((i + 1) % 3)) << i;
  }
  EXPECT_EQ(participant_.calls("commit"), 2);
  EXPECT_EQ(participant_.calls("abort"), 2);
}

// Two questions at a look, and the two oldest never get an answer.
TEST_F(ResolverTest, ThoseThatCannotBeResolvedDoNotHoldUpTheOthers) {
  for (std::uint64_t i = 1; i <= 5; ++i) prepared(i);
  const auto fate_of = [](const InDoubt& one) -> Result<Fate> {
    if (one.attempt.number <= 3) return fail(ErrorCode::io, "nobody answers");
    return Fate::aborted;
  };
  resolve_until(fate_of, [](const Resolved& sum) { return sum.aborted == 2; });
}

TEST_F(ResolverTest, AnEndThatFailsComesAgain) {
  const Branch branch = prepared(1, "fail-commit=2");
  std::string trouble;
  resolve_until([](const InDoubt&) { return Result<Fate>(Fate::committed); },
                [&](const Resolved& sum) {
                  trouble = sum.trouble;
                  return sum.committed == 1;
                });
  EXPECT_NE(trouble.find("the payload says that it fails"), std::string::npos) << trouble;
  EXPECT_EQ(state(branch), BranchState::committed);
}

TEST_F(ResolverTest, WhatIsNotInDoubtForLongIsNotAskedAbout) {
  const Branch branch = prepared(1);
  std::mutex mutex;
  std::condition_variable changed;
  int looks = 0;
  const ClusterMillis since = branches_->status({branch.txn, "b"})->changed_at;
  BranchesOptions options;
  options.clock = [&] {  // of the looks alone
    const std::scoped_lock lock(mutex);
    ++looks;
    changed.notify_all();
    return ClusterMillis(since.value + 9'999);
  };
  Branches looked_at(options, std::make_unique<EnrolledOn<sqlite3>>(participant_, *barrier_));
  const Resolver resolver(looked_at,
                          [](const InDoubt&) {
                            ADD_FAILURE() << "asked too early";
                            return Result<Fate>(Fate::aborted);
                          },
                          {.patience = 10s, .interval = 1ms, .questions_max = 2, .pause_max = 1ms});
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, 30s, [&] { return looks > 6; }));
}

TEST_F(ResolverTest, AsksTheClusterWithSealAtTheRecordedGroup) {
  test::FakeCluster cluster;
  const Branch committed = prepared(1);
  const Branch aborted = prepared(2);
  const Branch running = prepared(3);
  const Branch forgotten = prepared(4);
  const Branch uncounted = prepared(5);  // another attempt of it committed
  const Branch untold = prepared(6);     // committed, says a node that does not tell the attempt
  const Branch elsewhere = prepared(7);  // committed by a protocol that no service takes part in
  cluster.on_outcome = [&](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    v1::TxnState told = v1::RUNNING;
    out.set_protocol(v1::TWO_PHASE);
    const auto commits = [&](const Branch& branch, bool tells, std::uint64_t more = 0) {
      if (request.txn_id() != branch.txn.to_hex()) return;
      told = v1::COMMITTED;
      if (!tells) return;
      out.mutable_attempt()->set_epoch(branch.attempt.epoch);
      out.mutable_attempt()->set_number(branch.attempt.number + more);
    };
    commits(committed, true);
    commits(uncounted, true, 1);
    commits(untold, false);
    commits(elsewhere, false);
    if (request.txn_id() == elsewhere.txn.to_hex()) out.set_protocol(v1::PAXOS_COMMIT);
    if (request.txn_id() == aborted.txn.to_hex()) told = v1::ABORTED;
    if (request.txn_id() == forgotten.txn.to_hex()) told = v1::EXPIRED;
    return test::answer(out, request.txn_id(), told);
  };
  client::Options options;
  options.endpoints = cluster.endpoints();
  auto client = client::Client::connect(options);
  ASSERT_TRUE(client);
  resolve_until(ask_coordinator(*client),
                [](const Resolved& sum) { return sum.committed == 1 && sum.aborted == 4 && sum.open > 2; });
  EXPECT_EQ(state(forgotten), BranchState::aborted);
  EXPECT_EQ(state(committed), BranchState::committed);
  EXPECT_EQ(state(aborted), BranchState::aborted);
  EXPECT_EQ(state(running), BranchState::prepared);
  EXPECT_EQ(state(uncounted), BranchState::aborted);
  EXPECT_EQ(state(untold), BranchState::prepared);
  EXPECT_EQ(state(elsewhere), BranchState::aborted);
  for (const v1::GetOutcomeRequest& asked : cluster.asked()) {
    EXPECT_TRUE(asked.seal());
    EXPECT_EQ(asked.group(), "c0");
  }
}

TEST_F(ResolverTest, AClusterThatIsAwayLeavesThemInDoubt) {
  const Branch branch = prepared(1);
  client::Options options;
  options.endpoints = {"127.0.0.1:1"};
  options.timeout = 50ms;
  auto client = client::Client::connect(options);
  ASSERT_TRUE(client);
  std::string trouble;
  resolve_until(ask_coordinator(*client), [&](const Resolved& sum) {
    trouble = sum.trouble;
    return sum.open >= 2;
  });
  EXPECT_NE(trouble.find("127.0.0.1:1"), std::string::npos) << trouble;
  EXPECT_EQ(state(branch), BranchState::prepared);
}

}  // namespace
}  // namespace assent::service::testing
