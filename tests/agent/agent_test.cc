// The agent before real servers, in this process: what it refuses, what it finds after a crash, and that it conforms.
#include <grpcpp/grpcpp.h>

#include <shared_mutex>
#include <thread>

#include "agent/promise.h"
#include "assent/v1/participant.grpc.pb.h"
#include "cli/conformance/conformance.h"
#include "tests/agent/agent_fixture.h"
#include "tests/service/served.h"

namespace assent::agent::testing {
namespace {

using Sides = ::testing::Types<Postgres, PostgresInSteps, Mariadb>;
TYPED_TEST_SUITE(AgentTest, Sides, SideNames);

// What a death leaves between a prepare and its register, which an AgentAtOnce has not.
template <class Side>
class AgentInSteps : public AgentTest<Side> {};
using SidesInSteps = ::testing::Types<PostgresInSteps, Mariadb>;
TYPED_TEST_SUITE(AgentInSteps, SidesInSteps, SideNames);

using AgentAtOnce = AgentTest<Postgres>;

TYPED_TEST(AgentTest, WhatIsPreparedIsSeenWhenItIsCommittedAndNotBefore) {
  this->start();
  const Branch moved = this->branch(1);
  const Branch kept = this->branch(2);
  const Answer yes = this->prepare(moved, this->take(30));
  ASSERT_TRUE(yes.ok()) << yes.message;
  ASSERT_TRUE(this->prepare(kept, this->take(5, "bob")).ok());
  EXPECT_EQ(this->balance(), 100);
  EXPECT_EQ(TypeParam::prepared(this->place_.look()), 2);
  EXPECT_EQ(this->prepare(moved, this->take(30)), yes) << "already prepared";
  this->start();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(this->end(Call::commit, moved).ok());
    EXPECT_TRUE(this->end(Call::abort, kept).ok());
  }
  EXPECT_EQ(this->balance(), 70);
  EXPECT_EQ(this->balance("bob"), 100);
  EXPECT_EQ(TypeParam::prepared(this->place_.look()), 0);
  EXPECT_EQ(this->end(Call::abort, moved).reason, Reason::abort_after_commit);
  EXPECT_EQ(this->end(Call::commit, kept).reason, Reason::commit_after_abort);
}

TYPED_TEST(AgentTest, AStatementThatCannotBeIsANoWithItsReason) {
  this->start();
  std::uint64_t number = 0;
  const auto refused = [&](const std::string& payload, const std::string& refusal, const std::string& said) {
    const Branch branch = this->branch(++number);
    const Answer answer = this->prepare(branch, payload);
    EXPECT_EQ(answer.reason, Reason::vote_no) << payload << answer.message;
    EXPECT_THAT(answer.refusal, HasSubstr(refusal)) << payload << answer.message;
    EXPECT_THAT(answer.message, HasSubstr(said)) << payload;
    EXPECT_EQ(this->state(branch), BranchState::refused);
    EXPECT_EQ(TypeParam::prepared(this->place_.look()), 0) << payload;
  };
  refused(this->take(30, "nobody"), "ROWS", "statement 1: 0 rows instead of 1");
  refused("take 30", "MALFORMED", "JSON");
  refused(this->statement("COMMIT"), "NOT_ALLOWED", "begins with COMMIT");
  refused(this->statement("UPDATE nothing SET a = 1"), "SQL_", "nothing");
  refused(this->statement("INSERT INTO acct VALUES('alice', 1)"), "SQL_", "statement 1");
  refused(R"({"statements":[{"sql":"DELETE FROM acct"},{"sql":"SELECT nonsense"}]})", "SQL_", "statement 2");
  if (std::same_as<typename TypeParam::Kind, PostgresKind>) {
    refused(this->statement("CREATE TEMP TABLE t(x int)"), "SQL_0A000", "temporary");
    refused(this->statement("SELECT pg_notify('a', 'b')"), "SQL_0A000", "NOTIFY");
    refused(this->statement("SELECT 1; COMMIT"), "SQL_42601", "multiple commands");
    refused(this->statement("CREATE DATABASE x"), "SQL_25001", "transaction block");
  } else {
    TypeParam::Kind::execute(this->place_.look(), "CREATE PROCEDURE ends() BEGIN COMMIT; END");
    refused(this->statement("CALL ends()"), "SQL_1399", "ACTIVE");
    refused(this->statement("CREATE TABLE x(y int)"), "NOT_ALLOWED", "begins with CREATE");
    refused(this->statement("SELECT 1; COMMIT"), "SQL_1064", "statement 1");
  }
  EXPECT_EQ(this->balance(), 100);
  EXPECT_EQ(TypeParam::Kind::number(this->place_.look(), "SELECT count(*) FROM acct"), 2);
  EXPECT_TRUE(this->prepare(this->branch(++number), this->take(1)).ok()) << "and the connections are fit for use";
  EXPECT_TRUE(this->end(Call::abort, this->branch(number)).ok());
}

TYPED_TEST(AgentTest, ALockThatOthersHoldIsWaitedForAndThenANo) {
  this->start();
  ASSERT_TRUE(this->prepare(this->branch(1), this->take(30)).ok());
  const Answer answer = this->prepare(this->branch(2), this->take(30));
  EXPECT_EQ(answer.reason, Reason::vote_no) << answer.message;
  EXPECT_TRUE(answer.refusal == "SQL_55P03" || answer.refusal == "SQL_1205") << answer.refusal;
  EXPECT_TRUE(this->end(Call::commit, this->branch(1)).ok());
  EXPECT_EQ(this->balance(), 70);
}

TYPED_TEST(AgentTest, AnAbortBeforeItsPrepareIsFinal) {
  this->start();
  EXPECT_TRUE(this->end(Call::abort, this->branch()).ok());
  EXPECT_EQ(this->prepare(this->branch(), this->take(30)).reason, Reason::branch_aborted);
  EXPECT_EQ(TypeParam::prepared(this->place_.look()), 0);
}

TYPED_TEST(AgentInSteps, APrepareThatDiedBeforeItsAnswerIsTakenUpByTheNext) {
  this->start();  // makes the tables
  this->agent_.reset();
  const Branch branch = this->branch();
  this->prepare_unregistered(branch, this->take(30));
  this->start_quietly();
  const Answer answer = this->prepare(branch, this->take(30));
  ASSERT_TRUE(answer.ok()) << answer.message;
  EXPECT_EQ(TypeParam::prepared(this->place_.look()), 1);
  EXPECT_TRUE(this->end(Call::commit, branch).ok());
  EXPECT_EQ(this->balance(), 70);
}

TYPED_TEST(AgentInSteps, APrepareOfAnotherAttemptThatDiedIsRolledBackByTheNext) {
  this->start();
  this->agent_.reset();
  this->prepare_unregistered(this->branch(1, {1, 1}), this->take(99));
  this->start_quietly();
  const Branch second = this->branch(1, {2, 1});
  const Answer answer = this->prepare(second, this->take(30));
  ASSERT_TRUE(answer.ok()) << answer.message;
  EXPECT_EQ(TypeParam::prepared(this->place_.look()), 1);
  EXPECT_TRUE(this->end(Call::commit, second).ok());
  EXPECT_EQ(this->balance(), 70);
}

TYPED_TEST(AgentInSteps, WhatNoRegisterKnowsIsRolledBackUnlessItsTransactionCommitted) {
  this->start();
  this->agent_.reset();
  const Branch lost = this->branch(1);
  const Branch strange = this->branch(2);
  this->prepare_unregistered(lost, this->take(30));
  this->prepare_unregistered(strange, this->take(30, "bob"));
  this->decide(strange, Fate::committed);
  this->start();
  EXPECT_TRUE(eventually([&] { return TypeParam::prepared(this->place_.look()) == 1; }));
  EXPECT_TRUE(eventually([&] { return !this->orphan().empty(); }));
  EXPECT_THAT(this->orphan(), HasSubstr(this->gid(strange).text()));
  EXPECT_THAT(this->orphan(), HasSubstr("were registers deleted?"));
  EXPECT_TRUE(this->prepare(lost, this->take(30)).ok()) << "it may be prepared anew";
  EXPECT_TRUE(this->end(Call::abort, lost).ok());
  this->agent_.reset();
  TypeParam::roll_back(this->place_.look(), this->gid(strange).text());
}

TYPED_TEST(AgentInSteps, OthersPreparedTransactionsAreNeverTouched) {
  this->start();
  Gid other = this->gid(this->branch(1));
  other.database = "00000000";
  for (const std::string& gid : {std::string("somebody"), other.text()}) {
    TypeParam::prepare_foreign(this->place_.look(), gid);
    this->place_.look_again();
  }
  const Branch mine = this->branch(2);
  this->agent_.reset();
  this->prepare_unregistered(mine, this->take(30));
  this->start();
  EXPECT_TRUE(eventually([&] { return TypeParam::prepared(this->place_.look()) == 2; })) << "its own is gone";
  this->start();
  ASSERT_TRUE(this->prepare(mine, this->take(30)).ok());
  ASSERT_TRUE(this->end(Call::commit, mine).ok());
  EXPECT_EQ(TypeParam::prepared(this->place_.look()), 2);
  for (const std::string& gid : {std::string("somebody"), other.text()}) TypeParam::roll_back(this->place_.look(), gid);
}

TYPED_TEST(AgentInSteps, ACommitThatDiedBeforeItWasRecordedIsRecorded) {
  this->start();
  const Branch branch = this->branch();
  ASSERT_TRUE(this->prepare(branch, this->take(30)).ok());
  this->agent_.reset();
  EXPECT_TRUE(this->finish_by_hand(branch, Call::commit));
  this->start();
  EXPECT_TRUE(eventually([&] { return this->state(branch) == BranchState::committed; }));
  EXPECT_TRUE(this->end(Call::commit, branch).ok());
  EXPECT_EQ(this->balance(), 70);
}

TYPED_TEST(AgentInSteps, WhatSomebodyRolledBackByHandIsNeverCalledCommitted) {
  this->start();
  const Branch branch = this->branch();
  ASSERT_TRUE(this->prepare(branch, this->take(30)).ok());
  this->agent_.reset();
  EXPECT_TRUE(this->finish_by_hand(branch, Call::abort));
  this->start();
  const Answer answer = this->end(Call::commit, branch);
  EXPECT_EQ(answer.code, AnswerCode::unknown);
  EXPECT_THAT(answer.message, HasSubstr("rolled it back by hand"));
  EXPECT_TRUE(this->end(Call::abort, branch).ok());
}

TYPED_TEST(AgentTest, WhatNobodyEndsIsEndedAsTheClusterSays) {
  this->start(1ms);
  const Branch committed = this->branch(1);
  const Branch aborted = this->branch(2);
  ASSERT_TRUE(this->prepare(committed, this->take(30)).ok());
  ASSERT_TRUE(this->prepare(aborted, this->take(30, "bob")).ok());
  EXPECT_EQ(this->state(committed), BranchState::prepared) << "undecided";
  this->decide(committed, Fate::committed);
  this->decide(aborted, Fate::aborted);
  EXPECT_TRUE(eventually([&] { return TypeParam::prepared(this->place_.look()) == 0; }));
  EXPECT_TRUE(eventually([&] { return this->state(committed) == BranchState::committed; }));
  EXPECT_TRUE(eventually([&] { return this->state(aborted) == BranchState::aborted; }));
  EXPECT_EQ(this->balance(), 70);
  EXPECT_EQ(this->balance("bob"), 100);
}

// One server for one agent after the other: whoever calls need not connect anew, which takes a second each time.
class Relay final : public v1::Participant::Service {
 public:
  void restart(const std::function<grpc::Service&()>& start) {
    const std::unique_lock lock(mutex_);
    agent_ = dynamic_cast<v1::Participant::Service*>(&start());
  }
  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                       v1::PrepareResponse* response) override {
    const std::shared_lock lock(mutex_);
    return agent_->Prepare(context, request, response);
  }
  grpc::Status Commit(grpc::ServerContext* context, const v1::CommitRequest* request,
                      v1::CommitResponse* response) override {
    const std::shared_lock lock(mutex_);
    return agent_->Commit(context, request, response);
  }
  grpc::Status Abort(grpc::ServerContext* context, const v1::AbortRequest* request,
                     v1::AbortResponse* response) override {
    const std::shared_lock lock(mutex_);
    return agent_->Abort(context, request, response);
  }
  grpc::Status Status(grpc::ServerContext* context, const v1::BranchStatusRequest* request,
                      v1::BranchStatusResponse* response) override {
    const std::shared_lock lock(mutex_);
    return agent_->Status(context, request, response);
  }

 private:
  std::shared_mutex mutex_;  // protects agent_
  v1::Participant::Service* agent_ = nullptr;
};

TEST_F(AgentAtOnce, APrepareThatDiedBeforeItsAnswerIsAYes) {
  start();
  agent_.reset();
  const Branch first = branch(1, {1, 1});
  {
    const auto database = Postgres::database(place_.name());
    const auto vote = (*database)->prepare_at_once(first, take(30));
    ASSERT_TRUE(vote && *vote && (*vote)->kind == service::Vote::Kind::yes);
  }
  start();
  EXPECT_EQ(state(first), BranchState::prepared);
  const Answer again = prepare(first, take(30));
  ASSERT_TRUE(again.ok()) << again.message;
  const Answer later = prepare(branch(1, {2, 1}), take(30));
  ASSERT_TRUE(later.ok()) << later.message;
  EXPECT_EQ(later.recorded, (service::Attempt{1, 1})) << "whoever asks for another attempt is told of the first";
  EXPECT_EQ(Postgres::prepared(place_.look()), 1);
  EXPECT_EQ(end(Call::commit, branch(1, {2, 1})).reason, Reason::other_attempt);
  EXPECT_TRUE(end(Call::commit, first).ok());
  EXPECT_TRUE(end(Call::commit, first).ok()) << "once more";
  EXPECT_EQ(balance(), 70);
}

TEST_F(AgentAtOnce, WhatSomebodyRolledBackByHandIsNeverCalledCommitted) {
  start();
  ASSERT_TRUE(prepare(branch(), take(30)).ok());
  const std::string gid = promise_of(branch(), Postgres::database(place_.name()).value()->identity())->text();
  Postgres::roll_back(place_.look(), gid);
  const Answer answer = end(Call::commit, branch());
  EXPECT_EQ(answer.reason, Reason::never_prepared);
  EXPECT_EQ(balance(), 100);
  EXPECT_TRUE(end(Call::abort, branch()).ok());
}

TEST_F(AgentAtOnce, ACoordinatorOfAnotherNameEndsTheSameBranch) {
  start();
  ASSERT_TRUE(prepare(branch(), take(30)).ok());
  Branch other = branch();
  other.coordinator = "c0 of the same cluster";
  EXPECT_TRUE(end(Call::commit, other).ok());
  EXPECT_EQ(balance(), 70);
  EXPECT_EQ(state(branch()), BranchState::committed);
}

TEST_F(AgentAtOnce, ATransactionOlderThanWhatIsRememberedIsNotPrepared) {
  start();
  PostgresKind::execute(place_.look(),
                        fmt::format("UPDATE assent_barrier SET forgotten_through = {}", branch().txn.created().value));
  EXPECT_EQ(prepare(branch(), take(30)).reason, Reason::txn_too_old);
  EXPECT_EQ(Postgres::prepared(place_.look()), 0);
}

// The table changes its form between two branches with the same statement, which the server has prepared.
TEST_F(AgentAtOnce, AStatementThatTheServerPreparedBeforeATableChangedRunsAllTheSame) {
  start();
  const std::string payload =
      R"({"statements":[{"sql":"SELECT * FROM acct WHERE id = $1","params":["alice"],"rows":1}]})";
  for (std::uint64_t number = 1; number <= 20; ++number) {
    const Answer answer = prepare(branch(number), payload);
    EXPECT_TRUE(answer.ok()) << answer.message;
    EXPECT_TRUE(end(Call::commit, branch(number)).ok());
    PostgresKind::execute(place_.look(), fmt::format("ALTER TABLE acct ADD COLUMN c{} int", number));
  }
}

TEST_F(AgentAtOnce, ManyBranchesWithMoreStatementsThanAreKept) {
  start();
  for (std::uint64_t number = 1; number <= 3; ++number) {
    std::string all;
    for (int i = 0; i < 150; ++i) {
      all += fmt::format(R"({}{{"sql":"UPDATE acct SET balance = balance + $1 - {} WHERE id = 'bob'","params":[{}]}})",
                         i == 0 ? "" : ",", i % 120, i % 120);
    }
    const Answer answer = prepare(branch(number), R"({"statements":[)" + all + "]}");
    ASSERT_TRUE(answer.ok()) << answer.message;
    EXPECT_TRUE(end(Call::commit, branch(number)).ok());
  }
  EXPECT_EQ(balance("bob"), 100);
}

TYPED_TEST(AgentTest, Conforms) {
  Relay relay;
  const auto restart = [&] {
    relay.restart([&]() -> grpc::Service& { return this->start().service(); });
    return true;
  };
  restart();
  const service::testing::Served server(relay);
  conformance::Plan plan;
  plan.target = server.address();
  plan.participant = "accounts";
  plan.payload = this->statement("INSERT INTO notes VALUES('conformance')");
  plan.refused = this->take(1, "nobody");
  plan.restart = restart;
  const auto report = conformance::prove(plan);
  for (const auto& finding : report.findings) {
    EXPECT_NE(finding.verdict, conformance::Verdict::failed) << finding.check << ": " << finding.seen;
  }
  EXPECT_EQ(report.count(conformance::Verdict::skipped), 0U);
}

// ---- what one database alone does ----

TEST(AgentStart, AServerThatPreparesNothingIsRefused) {
  const service::testing::DatabaseServer plain(
      {.user = "postgres",
       .prepare =
           "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); $bin/initdb -D $dir -A trust -U postgres --no-sync",
       .serve =
           "$bin/postgres -D $dir -p $port -k $PWD -c listen_addresses=127.0.0.1 -c dynamic_shared_memory_type=mmap",
       .stop = "QUIT"});
  std::string said;
  EXPECT_TRUE(eventually([&] {
    const auto agent = Agent::open({.name = "a", .database = Postgres::url("postgres", plain.port())}, {});
    said = agent ? "it was taken" : agent.error().message;
    return agent || said.find("cannot be reached") == std::string::npos;
  }));
  EXPECT_THAT(said, HasSubstr("ALTER SYSTEM SET max_prepared_transactions"));
}

TEST(AgentStart, AUserWithoutRightsIsToldWhich) {
  PostgresKind postgres;
  MariadbKind mariadb;
  PostgresKind::execute(postgres.look(), "CREATE ROLE weak LOGIN");
  MariadbKind::execute(mariadb.look(), "CREATE USER weak@'%'");
  MariadbKind::execute(mariadb.look(), "GRANT SELECT ON " + mariadb.name() + ".* TO weak@'%'");
  const auto said = [](const std::string& url) {
    const auto agent = Agent::open({.name = "a", .database = url}, {});
    return agent ? std::string("it was taken") : agent.error().message;
  };
  EXPECT_THAT(said(Postgres::url(postgres.name(), 0, "weak")), HasSubstr("permission denied for schema public"));
  EXPECT_THAT(said(Mariadb::url(mariadb.name(), 0, "weak")), HasSubstr("CREATE command denied"));
  ASSERT_TRUE(postgres.open());
  PostgresKind::execute(postgres.look(), "GRANT ALL ON assent_branches, assent_barrier TO weak");
  EXPECT_THAT(said(Postgres::url(postgres.name(), 0, "weak")), HasSubstr("permission denied for schema public"));
  PostgresKind::execute(postgres.look(), "GRANT CREATE ON SCHEMA public TO weak");
  EXPECT_EQ(said(Postgres::url(postgres.name(), 0, "weak")), "it was taken");
  EXPECT_THAT(said("oracle://x"), HasSubstr("postgres:// or mariadb://"));
}

}  // namespace
}  // namespace assent::agent::testing
