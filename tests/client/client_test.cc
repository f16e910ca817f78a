// The client against nodes that answer as told: what is sent again, what is asked, what is told.
#include "client/client.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "tests/client/fake_cluster.h"
#include "tests/integration/proxy.h"
#include "txn_proto/api_error.h"

namespace assent::client {
namespace {

using namespace std::chrono_literals;
using test::FakeCluster;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ClientTest : public ::testing::Test {
 protected:
  Client connect(std::vector<std::string> endpoints = {}, std::chrono::milliseconds attempt_timeout = 2s) {
    Options options;
    options.endpoints = endpoints.empty() ? cluster.endpoints() : std::move(endpoints);
    options.timeout = 20s;  // far beyond what any test needs, so that only a bug meets it
    options.attempt_timeout = attempt_timeout;
    Result<Client> client = Client::connect(std::move(options));
    EXPECT_TRUE(client.has_value());
    return std::move(*client);
  }
  static Transaction transfer() {
    Transaction transaction;
    transaction.id = new_txn_id();
    transaction.on("s1", sql("UPDATE a SET b = b - ?1", 5)).on("s2", sql("UPDATE a SET b = b + ?1", 5));
    return transaction;
  }
  static Transaction single(const std::string& shard = "s1") {
    Transaction transaction;
    transaction.id = new_txn_id();
    transaction.on(shard, KvPut{"k", "v"});
    return transaction;
  }

  FakeCluster cluster;
};

TEST_F(ClientTest, OneEndpointIsEnoughToFindEveryLeader) {
  Client client = connect({cluster.endpoint("n3")});
  const Transaction transaction = transfer();
  const auto outcome = client.execute(transaction);
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
  EXPECT_EQ(outcome->id, transaction.id);
  EXPECT_EQ(outcome->ask, "c0");
  EXPECT_FALSE(outcome->was_in_question);
  EXPECT_EQ(cluster.misdirected(), 0U);
  ASSERT_TRUE(client.query("s1", {KvGet{"k"}}));
}

TEST_F(ClientTest, ATransactionOnOneShardGoesToTheShardsLeaderUnlessTwoPhaseIsAsked) {
  Client client = connect();
  ASSERT_TRUE(client.execute(single("s2")));
  Transaction two_phase = single("s2");
  two_phase.protocol = Protocol::two_phase;
  ASSERT_TRUE(client.execute(two_phase));
  EXPECT_THAT(cluster.executors(), ::testing::ElementsAre("n3", "n1"));
}

TEST_F(ClientTest, CarriesWorkAndResultsBothWays) {
  cluster.on_execute = [](const v1::ExecuteRequest& request, v1::Transaction& out) {
    v1::BranchResult& branch = *out.add_results();
    branch.set_shard("s1");
    v1::OperationResult& result = *branch.add_results();
    result.add_columns("balance");
    result.add_rows()->add_values()->set_integer(request.branches(0).operations(0).sql().parameters(0).integer() + 1);
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  ASSERT_THAT(outcome->of("s1"), SizeIs(1));
  EXPECT_EQ(std::get<std::int64_t>(outcome->of("s1").front().rows.front().front()), 6);
  EXPECT_THAT(outcome->of("s9"), IsEmpty());
}

TEST_F(ClientTest, FollowsHintsWhenTheLeaderHasMoved) {
  Client client = connect();
  ASSERT_TRUE(client.execute(transfer()));
  cluster.lead("c0", "n2");
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  EXPECT_FALSE(outcome->was_in_question) << "a node that does not lead has done nothing";
  EXPECT_EQ(cluster.misdirected(), 1U);
}

TEST_F(ClientTest, SurvivesNodesThatPointAtEachOther) {
  cluster.mislead("c0", "n3");  // n3 points at itself, the others at n3, and nobody claims to lead
  Client client = connect();
  std::promise<bool> committed;
  client.execute_async(
      transfer(), [&](const Result<TxnOutcome>& outcome) { committed.set_value(outcome && outcome->committed()); });
  while (cluster.misdirected() < 5) std::this_thread::yield();
  cluster.lead("c0", "n3");  // now it is true
  EXPECT_TRUE(committed.get_future().get());
}

TEST_F(ClientTest, SendsTheSameTransactionAgainAfterALostConnection) {
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    if (++calls == 1) return test::connection_lost();
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  Client client = connect();
  const Transaction transaction = transfer();
  const auto outcome = client.execute(transaction);
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
  EXPECT_TRUE(outcome->was_in_question);
  ASSERT_THAT(cluster.executed(), SizeIs(2));
  EXPECT_EQ(cluster.executed()[0].SerializeAsString(), cluster.executed()[1].SerializeAsString());
  EXPECT_EQ(cluster.executed()[0].txn_id(), transaction.id.to_hex());
}

// A real connection, cut when the request has gone through and before a byte of the answer comes back.
TEST_F(ClientTest, ACallWhoseConnectionIsCutIsInQuestionAndIsSentAgain) {
  assent::testing::Proxy proxy(cluster.endpoint("n1"));
  cluster.advertise("n1", proxy.address());
  Client client = connect({proxy.address()});
  ASSERT_TRUE(client.execute(transfer()));
  proxy.cut_after_requests_of(1);
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
  EXPECT_TRUE(outcome->was_in_question);
  EXPECT_EQ(proxy.cuts(), 1U);
  EXPECT_THAT(cluster.executed(), SizeIs(::testing::Ge(2U)));
}

TEST_F(ClientTest, GoesOnAtTheNextLeaderWhenTheFirstDiesInTheMiddleOfACall) {
  std::promise<void> arrived;
  std::promise<void> released;
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    if (++calls == 1) {
      arrived.set_value();
      released.get_future().wait();
    }
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  Client client = connect();
  std::promise<Result<TxnOutcome>> done;
  client.execute_async(transfer(), [&](Result<TxnOutcome> outcome) { done.set_value(std::move(outcome)); });
  arrived.get_future().wait();
  std::thread killer([&] { cluster.stop("n1"); });  // waits for the handler, but cuts the connection first
  cluster.lead("c0", "n2");
  std::this_thread::yield();
  std::thread releaser([&] { released.set_value(); });
  const Result<TxnOutcome> outcome = done.get_future().get();
  killer.join();
  releaser.join();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
}

TEST_F(ClientTest, ALeaderThatHangsIsLeftForTheNextOne) {
  std::promise<void> released;
  std::shared_future<void> release(released.get_future());
  Client client = connect({}, 100ms);
  ASSERT_TRUE(client.execute(transfer()));  // n1 is known as the leader
  // Moves the leadership while n1 holds the answer back; n2's handler runs beside it only when n1's is done, so n1's
  // own handler is what the second call meets unless the client turns to n2.
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    if (++calls == 1) {
      cluster.lead("c0", "n2");
      return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "as if it had hung");
    }
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  EXPECT_TRUE(outcome->was_in_question);
  EXPECT_EQ(cluster.executors().back(), "n2");
}

TEST_F(ClientTest, ReportsUnknownWithTheWayToAskWhenTheTimeIsUp) {
  cluster.on_execute = [](const v1::ExecuteRequest&, v1::Transaction&) { return test::outcome_unknown(); };
  Client client = connect();
  const Transaction transaction = transfer();
  const auto outcome = client.execute(transaction, 300ms);
  ASSERT_TRUE(outcome) << "an Error would say that it was not begun";
  EXPECT_FALSE(outcome->definite());
  EXPECT_EQ(outcome->state, TxnState::unknown);
  EXPECT_EQ(outcome->id, transaction.id);
  EXPECT_EQ(outcome->ask, "c0");
  EXPECT_THAT(outcome->note, HasSubstr("assentctl txn get " + transaction.id.to_hex()));
  EXPECT_GT(outcome->sends, 1U);
}

TEST_F(ClientTest, AnErrorAfterARequestThatMayHaveArrivedIsNotProofThatNothingHappened) {
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest&, v1::Transaction&) {
    if (++calls == 1) return test::connection_lost();
    return to_status(ApiError{assent::ErrorCode::too_old, {}, "the id is too old", {}, 0});
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->definite());
}

TEST_F(ClientTest, ARunningTransactionIsAskedForWithAWaitUntilItIsDecided) {
  cluster.on_execute = [](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::RUNNING);
  };
  std::atomic<int> questions{0};
  cluster.on_outcome = [&](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), ++questions < 3 ? v1::PREPARED : v1::COMMITTED);
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  EXPECT_THAT(cluster.executed(), SizeIs(1));
  ASSERT_THAT(cluster.asked(), SizeIs(3));
  EXPECT_GT(cluster.asked().front().wait_millis(), 0U);
  EXPECT_LT(std::chrono::milliseconds(cluster.asked().front().wait_millis()), 2s)
      << "an attempt would end before the answer that it asks for";
  EXPECT_FALSE(cluster.asked().front().seal());
  EXPECT_EQ(cluster.asked().front().group(), "c0");
}

TEST_F(ClientTest, UnknownAtTheCoordinatorIsNotAbortedButSentAgain) {
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), ++calls == 1 ? v1::RUNNING : v1::COMMITTED);
  };
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::UNKNOWN);
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  EXPECT_THAT(cluster.executed(), SizeIs(2));
}

TEST_F(ClientTest, AnAbortIsAnAnswerWithItsReason) {
  cluster.on_execute = [](const v1::ExecuteRequest& request, v1::Transaction& out) {
    out.mutable_abort()->set_constraint("balance >= 0");
    return test::abort_with(out, request.txn_id(), "constraint", "s2", "CHECK constraint failed");
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->aborted());
  EXPECT_EQ(outcome->abort.reason, AbortReason::constraint);
  EXPECT_EQ(outcome->abort.participant, "s2");
  EXPECT_EQ(outcome->abort.constraint, "balance >= 0");
  EXPECT_THAT(cluster.executed(), SizeIs(1));
}

TEST_F(ClientTest, ABadRequestIsNotSentTwice) {
  cluster.on_execute = [](const v1::ExecuteRequest&, v1::Transaction&) {
    return to_status(ApiError{assent::ErrorCode::malformed, {}, "branches[0]: nonsense", {}, 0});
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::invalid);
  EXPECT_EQ(outcome.error().reason, "INVALID_ARGUMENT");
  EXPECT_THAT(cluster.executed(), SizeIs(1));
}

TEST_F(ClientTest, ATransactionThatMakesNoSenseIsNotSentAtAll) {
  Client client = connect();
  Transaction twice;
  twice.branches = {{"s1", {KvGet{"a"}}}, {"s1", {KvGet{"b"}}}};
  Transaction empty_branch;
  empty_branch.branches = {{"s1", {}}};
  Transaction one_phase_on_two = transfer();
  one_phase_on_two.protocol = Protocol::one_phase;
  for (const Transaction& transaction : {Transaction{}, twice, empty_branch, one_phase_on_two}) {
    const auto outcome = client.execute(transaction);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::invalid);
  }
  EXPECT_THAT(cluster.executed(), IsEmpty());
}

TEST_F(ClientTest, BusyIsTriedAgainAndIsNotInQuestion) {
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    if (++calls < 3) return to_status(ApiError{assent::ErrorCode::busy, {}, "full", {}, 0});
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  Client client = connect();
  const auto outcome = client.execute(transfer());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  EXPECT_FALSE(outcome->was_in_question);
}

TEST_F(ClientTest, AShardThatDoesNotExistIsNamedWithThoseThatDo) {
  Client client = connect();
  const auto outcome = client.execute(single("s9"));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::not_found);
  EXPECT_THAT(outcome.error().message, HasSubstr("c0, s1, s2"));
}

TEST_F(ClientTest, WithoutALeaderTheErrorSaysWhatEachNodeSaid) {
  cluster.lead("c0", "");
  Client client = connect();
  const auto outcome = client.execute(transfer(), 200ms);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::no_leader);
  EXPECT_THAT(outcome.error().tried, SizeIs(3));
  EXPECT_THAT(outcome.error().text(), HasSubstr(cluster.endpoint("n2")));
}

TEST_F(ClientTest, WhenNobodyAnswersTheErrorListsEachEndpoint) {
  const std::vector<std::string> endpoints = cluster.endpoints();
  for (const char* name : FakeCluster::node_names) cluster.stop(name);
  Client client = connect(endpoints);
  const auto outcome = client.execute(transfer(), 300ms);
  ASSERT_FALSE(outcome) << "nothing can have arrived";
  EXPECT_EQ(outcome.error().code, ErrorCode::unreachable);
  ASSERT_THAT(outcome.error().tried, SizeIs(3));
  EXPECT_EQ(outcome.error().tried.front().said, "connection refused");
}

TEST_F(ClientTest, ANodeThatComesBackIsFoundAgain) {
  Client client = connect({cluster.endpoint("n1")});
  ASSERT_TRUE(client.execute(transfer()));
  cluster.stop("n1");
  std::promise<Result<TxnOutcome>> done;
  client.execute_async(transfer(), [&](Result<TxnOutcome> outcome) { done.set_value(std::move(outcome)); });
  cluster.start("n1");
  const Result<TxnOutcome> outcome = done.get_future().get();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
}

TEST_F(ClientTest, AConflictIsRetriedUnderANewIdAndKeepsItsAge) {
  std::atomic<int> calls{0};
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    if (++calls < 3) return test::abort_with(out, request.txn_id(), "conflict");
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  Client client = connect();
  std::vector<TxnId> built;
  const auto outcome = client.run_with_retry([&](const TxnId& id) {
    built.push_back(id);
    return transfer();
  });
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  const std::vector<v1::ExecuteRequest> requests = cluster.executed();
  ASSERT_THAT(requests, SizeIs(3));
  std::set<std::string> ids;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(requests[i].txn_id(), built[i].to_hex());
    EXPECT_EQ(requests[i].first_txn_id(), built[0].to_hex());
    ids.insert(requests[i].txn_id());
  }
  EXPECT_THAT(ids, SizeIs(3));
  EXPECT_THAT(outcome->earlier, ::testing::ElementsAre(built[0], built[1]));
}

TEST_F(ClientTest, AnAbortThatNoRetryEscapesIsNotRetriedAndRetriesAreBounded) {
  std::string reason = "constraint";
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::abort_with(out, request.txn_id(), reason);
  };
  Client client = connect();
  const auto build = [](const TxnId&) { return transfer(); };
  ASSERT_TRUE(client.run_with_retry(build)->aborted());
  EXPECT_THAT(cluster.executed(), SizeIs(1));
  reason = "conflict";
  ASSERT_TRUE(client.run_with_retry(build, {.attempts_max = 4, .pause = {}})->aborted());
  EXPECT_THAT(cluster.executed(), SizeIs(1 + 4));
}

TEST_F(ClientTest, QueriesAreRepeatedFreelyButNotWhenRefused) {
  std::atomic<int> calls{0};
  cluster.on_query = [&](const v1::QueryRequest&, v1::QueryResponse& out) {
    if (++calls < 3) return test::connection_lost();
    out.set_index(99);
    return grpc::Status::OK;
  };
  Client client = connect();
  const auto result = client.query("s1", {KvGet{"k"}});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->at, Index(99));
  cluster.on_query = [](const v1::QueryRequest&, v1::QueryResponse&) {
    return to_status(ApiError{assent::ErrorCode::malformed, "INVALID_SQL", "near 'SELEC': syntax error", {}, 0});
  };
  const auto refused = client.query("s1", {sql("SELEC")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "INVALID_SQL");
  EXPECT_EQ(cluster.queried(), 4U);
}

TEST_F(ClientTest, AQueryThatIsNotAnsweredInTimeTimesOut) {
  cluster.on_query = [](const v1::QueryRequest&, v1::QueryResponse&) { return test::connection_lost(); };
  Client client = connect();
  const auto result = client.query("s1", {KvGet{"k"}}, 300ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::timed_out);
}

// ---- get_outcome ----

TEST_F(ClientTest, AnOutcomeThatTheCoordinatorDoesNotKnowIsSoughtAtTheShards) {
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), request.group() == "s2" ? v1::COMMITTED : v1::UNKNOWN);
  };
  Client client = connect();
  const auto outcome = client.get_outcome({.id = new_txn_id(), .seal = true, .wait = 0ms, .group = {}});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->committed());
  EXPECT_EQ(outcome->ask, "s2");
  for (const v1::GetOutcomeRequest& question : cluster.asked()) {
    EXPECT_FALSE(question.seal()) << "a seal at the coordinator would say 'aborted' of what a shard has committed";
  }
}

TEST_F(ClientTest, WhatNobodyKnowsIsUnknownWithoutASealAndAbortedWithOne) {
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    if (request.seal()) return test::abort_with(out, request.txn_id(), "sealed", request.group());
    return test::answer(out, request.txn_id(), v1::UNKNOWN);
  };
  Client client = connect();
  const TxnId id = new_txn_id();
  const auto unsealed = client.get_outcome({.id = id, .seal = false, .wait = 0ms, .group = {}});
  ASSERT_TRUE(unsealed);
  EXPECT_EQ(unsealed->state, TxnState::unknown);
  const auto sealed = client.get_outcome({.id = id, .seal = true, .wait = 0ms, .group = {}});
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(sealed->aborted());
  EXPECT_EQ(sealed->abort.reason, AbortReason::sealed);
  std::set<std::string> sealed_groups;
  for (const v1::GetOutcomeRequest& question : cluster.asked()) {
    if (question.seal()) sealed_groups.insert(question.group());
  }
  EXPECT_THAT(sealed_groups, ::testing::ElementsAre("s1", "s2")) << "every shard, and not the coordinator";
}

TEST_F(ClientTest, AShardThatIsPreparedSendsTheQuestionToTheCoordinator) {
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    if (request.group() == "s1") return test::answer(out, request.txn_id(), v1::PREPARED);
    if (request.group() == "c0" && request.seal()) return test::abort_with(out, request.txn_id(), "sealed", "");
    return test::answer(out, request.txn_id(), v1::UNKNOWN);
  };
  Client client = connect();
  const auto outcome = client.get_outcome({.id = new_txn_id(), .seal = true, .wait = 0ms, .group = {}});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->aborted());
  EXPECT_EQ(outcome->ask, "c0");
}

TEST_F(ClientTest, ASealThatAShardCouldNotTakeProvesNothing) {
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    if (request.seal()) return test::abort_with(out, request.txn_id(), "sealed", request.group());
    return test::answer(out, request.txn_id(), v1::UNKNOWN);
  };
  Client client = connect();
  ASSERT_TRUE(client.execute(transfer()));
  cluster.lead("s2", "");
  const auto outcome = client.get_outcome({.id = new_txn_id(), .seal = true, .wait = 0ms, .group = {}}, 500ms);
  ASSERT_FALSE(outcome) << "s2 may be the one that knows";
  EXPECT_EQ(outcome.error().code, ErrorCode::no_leader);
}

TEST_F(ClientTest, AnExpiredTransactionIsNotSealedIntoAnAbort) {
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::EXPIRED);
  };
  Client client = connect();
  const auto outcome = client.get_outcome({.id = new_txn_id(), .seal = true, .wait = 0ms, .group = {}});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->state, TxnState::expired);
}

// ---- the rest ----

TEST_F(ClientTest, StatusMergesTheNodesAndListsTheOneThatIsDown) {
  Client client = connect({cluster.endpoint("n2")});
  ASSERT_TRUE(client.status());
  cluster.stop("n3");
  const auto status = client.status();
  ASSERT_TRUE(status);
  ASSERT_THAT(status->nodes, SizeIs(3));
  EXPECT_TRUE(status->nodes[0].reachable);
  EXPECT_FALSE(status->nodes[2].reachable);
  EXPECT_EQ(status->nodes[2].name, "n3");
  ASSERT_NE(status->group("c0"), nullptr);
  EXPECT_EQ(status->group("c0")->leader, "n1");
  EXPECT_EQ(status->group("s2")->leader, "") << "its leader is down and nobody else claims it";
  EXPECT_EQ(status->shards(), (std::vector<std::string>{"s1", "s2"}));
}

TEST_F(ClientTest, LeadersCanBeMoved) {
  Client client = connect();
  ASSERT_TRUE(client.transfer_leader("s1", "n1"));
  const auto status = client.status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->group("s1")->leader, "n1");
}

TEST_F(ClientTest, ManyCallsShareOneThread) {
  Client client = connect();
  std::mutex mutex;
  std::condition_variable all;
  std::set<std::thread::id> threads;
  int committed = 0;
  for (int i = 0; i < 200; ++i) {
    client.execute_async(transfer(), [&](const Result<TxnOutcome>& outcome) {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
      committed += outcome && outcome->committed() ? 1 : 0;
      all.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  all.wait(lock, [&] { return committed == 200; });
  EXPECT_THAT(threads, SizeIs(1));
}

TEST_F(ClientTest, DestroyingTheClientEndsWhatIsUnderWayAndEveryCallbackComes) {
  cluster.lead("s1", "");
  std::atomic<int> cancelled{0};
  {
    Client client = connect();
    for (int i = 0; i < 8; ++i) {
      client.execute_async(single("s1"), [&](const Result<TxnOutcome>& outcome) {
        cancelled += !outcome && outcome.error().code == ErrorCode::cancelled ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(cancelled, 8);
}

TEST(Connect, RefusesEndpointsThatAreNone) {
  for (const char* bad : {"localhost", "host:", ":1", "host:99999", "::1:80", "host:1x"}) {
    const auto client = Client::connect({.endpoints = {bad}});
    EXPECT_FALSE(client) << bad;
  }
  EXPECT_FALSE(Client::connect({}));
}

}  // namespace
}  // namespace assent::client
