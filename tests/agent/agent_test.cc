// The agent before real servers, in this process: what it refuses, what it finds after a crash, and that it conforms.
#include "agent/agent.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "agent/promise.h"
#include "assent/v1/participant.grpc.pb.h"
#include "cli/conformance/conformance.h"
#include "tests/agent/sides.h"
#include "tests/forwarder.h"
#include "tests/local.h"
#include "tests/service/served.h"

namespace assent::agent::testing {
namespace {

using namespace std::chrono_literals;
using service::Answer;
using service::AnswerCode;
using service::Branch;
using service::BranchState;
using service::Call;
using service::Fate;
using service::Reason;
using ::testing::HasSubstr;

bool eventually(const std::function<bool()>& condition) { return assent::testing::eventually(30s, condition, 5ms); }

template <class Side>
class AgentTest : public ::testing::Test {
 protected:
  using Kind = typename Side::Kind;

  void SetUp() override {
    Kind::execute(place_.look(), "CREATE TABLE acct(id varchar(40) PRIMARY KEY, balance bigint NOT NULL)");
    Kind::execute(place_.look(), "INSERT INTO acct VALUES('alice', 100), ('bob', 100)");
    Kind::execute(place_.look(), "CREATE TABLE notes(what varchar(100))");
  }
  // No test leaves anything prepared.
  void TearDown() override {
    agent_.reset();
    EXPECT_TRUE(eventually([&] { return Side::prepared(place_.look()) == 0; }));
  }

  AgentOptions options() {
    AgentOptions out;
    out.name = "accounts";
    out.database = Side::url(place_.name());
    out.connections = 30;
    out.max_prepared_age = 24h;
    out.sweep_interval = 20ms;
    out.times = {.lock = 200ms, .statement = 5s};
    out.swept = [this](const Swept& swept) {
      const std::scoped_lock lock(mutex_);
      if (!swept.orphans.empty()) orphans_ = swept.orphans;
    };
    return out;
  }
  Agent& start(std::chrono::milliseconds max_prepared_age = 24h) {
    agent_.reset();
    AgentOptions chosen = options();
    chosen.max_prepared_age = max_prepared_age;
    auto agent = Agent::open(chosen, [this](const service::InDoubt& one) { return fate_of(one.key.txn); });
    if (!agent) throw std::runtime_error(agent.error().message);
    agent_ = std::move(*agent);
    return *agent_;
  }
  // Its sweeper looks once, and too early.
  void start_quietly() {
    AgentOptions chosen = options();
    chosen.sweep_interval = 24h;
    auto agent = Agent::open(chosen, {});
    if (!agent) throw std::runtime_error(agent.error().message);
    agent_ = std::move(*agent);
  }
  service::Branches& branches() { return agent_->branches(); }

  Result<Fate> fate_of(const TxnId& txn) {
    const std::scoped_lock lock(mutex_);
    const auto found = fates_.find(txn);
    return found == fates_.end() ? Fate::open : found->second;
  }
  void decide(const Branch& branch, Fate fate) {
    const std::scoped_lock lock(mutex_);
    fates_[branch.txn] = fate;
  }
  std::string orphan() {
    const std::scoped_lock lock(mutex_);
    return orphans_.empty() ? "" : orphans_.front();
  }

  static Branch branch(std::uint64_t number = 1, service::Attempt attempt = {3, 7}) {
    Branch out;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    static const auto begin =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    out.txn = TxnId::make(ClusterMillis(begin), number, 1);
    out.name = Side::branch_name();
    out.attempt = attempt;
    out.coordinator = "c0";
    return out;
  }
  static std::string take(int amount, const std::string& who = "alice") {
    return fmt::format(
        R"({{"statements":[{{"sql":"UPDATE acct SET balance = balance - {} WHERE id = {}","params":[{},"{}"],"rows":1}}]}})",
        Side::placeholder(1), Side::placeholder(2), amount, who);
  }
  static std::string statement(const std::string& sql) { return R"({"statements":[{"sql":")" + sql + R"("}]})"; }
  Answer prepare(const Branch& branch, const std::string& payload) { return branches().prepare({branch, "", payload}); }
  Answer end(Call call, const Branch& branch) { return branches().end(call, branch); }
  std::int64_t balance(const std::string& who = "alice") {
    return Kind::number(place_.look(), "SELECT balance FROM acct WHERE id = '" + who + "'");
  }
  BranchState state(const Branch& branch) { return branches().status({branch.txn, branch.name})->state; }

  // A crash after the work was prepared and before its register was written.
  void prepare_unregistered(const Branch& branch, const std::string& payload) {
    const auto database = Side::database(place_.name());
    ASSERT_TRUE(database) << database.error().message;
    const auto work = read_work(payload, (*database)->dialect());
    ASSERT_TRUE(work);
    const auto vote = (*database)->prepare(gid_of(branch, (*database)->identity()), branch, *work);
    ASSERT_EQ(vote.kind, service::Vote::Kind::yes) << vote.message;
  }
  // As a process that dies right after, or as somebody at a prompt.
  bool finish_by_hand(const Branch& branch, Call call) {
    const auto database = Side::database(place_.name());
    return database && (*database)->finish(gid(branch), call).value_or(false);
  }
  Gid gid(const Branch& branch) { return gid_of(branch, Side::database(place_.name()).value()->identity()); }

  Kind place_;
  std::mutex mutex_;  // protects the two below
  std::map<TxnId, Fate> fates_;
  std::vector<std::string> orphans_;
  std::unique_ptr<Agent> agent_;
};

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

TEST(AgentOnMariadb, TablesThatTakeNothingBackAreRefused) {
  MariadbKind place;
  MariadbKind::execute(place.look(), "CREATE TABLE old(x int) ENGINE=MyISAM");
  AgentOptions options;
  options.name = "a";
  options.database = Mariadb::url(place.name());
  options.sweep_interval = 24h;
  const auto agent = Agent::open(options, {});
  ASSERT_TRUE(agent) << agent.error().message;
  const auto prepare = [&](std::uint64_t number, const std::string& table) {
    Branch branch;
    branch.txn = TxnId::make(ClusterMillis(1'900'000'000'000), number, 1);
    branch.name = "b";
    return (*agent)->branches().prepare(
        {branch, "", R"({"statements":[{"sql":"INSERT INTO )" + table + R"x( VALUES(1)"}]})x"});
  };
  EXPECT_EQ(prepare(1, "`Old`").refusal, "NOT_TRANSACTIONAL");
  EXPECT_EQ(MariadbKind::number(place.look(), "SELECT count(*) FROM old"), 0) << "refused before it ran";
  // Through a view: no text names the table, whether the agent has looked at the server's tables since or not.
  for (const char* const engine : {"Aria", "MyISAM"}) {
    MariadbKind::execute(place.look(), fmt::format("CREATE OR REPLACE TABLE young(x int) ENGINE={}", engine));
    MariadbKind::execute(place.look(), "CREATE OR REPLACE VIEW seen AS SELECT x FROM young");
    const Answer late = prepare(*engine == 'A' ? 2 : 3, "seen");
    EXPECT_EQ(late.refusal, "NOT_TRANSACTIONAL") << "seen by what it did" << late.message;
    EXPECT_THAT(late.message, HasSubstr("that change stays"));
  }
}

// Answers XA COMMIT and XA ROLLBACK with OK by itself, as the server does in the moment between its two moves.
class HalvesProxy final : public assent::testing::Forwarder {
 public:
  explicit HalvesProxy(std::uint16_t target) : Forwarder(target) { begin(); }
  ~HalvesProxy() override { end(); }
  void by_halves(bool yes) { by_halves_ = yes; }

 private:
  bool client_said(Link& link, std::string_view bytes) override {
    const std::string_view request = bytes.substr(std::min<std::size_t>(bytes.size(), 5));  // after header and command
    if (!by_halves_ || !(request.starts_with("XA COMMIT") || request.starts_with("XA ROLLBACK"))) {
      return send_all(link.server, bytes);
    }
    constexpr std::string_view ok("\x07\0\0\x01\0\0\0\x02\0\0\0", 11);
    return send_all(link.client, ok);
  }
  bool server_said(Link& link, std::string_view bytes) override { return send_all(link.client, bytes); }

  std::atomic<bool> by_halves_ = false;
};

using AgentOnMariadbTest = AgentTest<Mariadb>;

TEST_F(AgentOnMariadbTest, AnOkThatEndedNothingIsNotBelieved) {
  HalvesProxy proxy(MariadbKind::server().port());
  const auto through_proxy = [&] {
    AgentOptions chosen = options();
    chosen.sweep_interval = 24h;
    chosen.database = Mariadb::url(place_.name(), proxy.port());
    agent_.reset();
    auto agent = Agent::open(chosen, {});
    ASSERT_TRUE(agent) << agent.error().message;
    agent_ = std::move(*agent);
  };
  const Branch moved = branch(1);
  const Branch kept = branch(2);
  through_proxy();
  ASSERT_TRUE(prepare(moved, take(30)).ok());
  ASSERT_TRUE(prepare(kept, take(5, "bob")).ok());
  through_proxy();  // another process, with connections that prepared neither
  proxy.by_halves(true);
  for (const Answer& answer : {end(Call::commit, moved), end(Call::abort, kept)}) {
    EXPECT_FALSE(answer.ok());
    EXPECT_THAT(answer.message, HasSubstr("restart the MariaDB server"));
  }
  EXPECT_EQ(state(moved), BranchState::prepared) << "and not committed";
  proxy.by_halves(false);
  EXPECT_TRUE(end(Call::commit, moved).ok());
  EXPECT_TRUE(end(Call::abort, kept).ok());
  EXPECT_EQ(balance(), 70);
  EXPECT_EQ(balance("bob"), 100);
}

// What the server ended by halves: its rows are there and not committed, and XA RECOVER does not name it.
TEST_F(AgentOnMariadbTest, WhatIsThereAndNotNamedIsNotCalledRolledBack) {
  start_quietly();
  const Branch moved = branch(1);
  ASSERT_TRUE(prepare(moved, take(30)).ok());
  start_quietly();
  ASSERT_TRUE(finish_by_hand(moved, Call::abort));
  EXPECT_THAT(end(Call::commit, moved).message, HasSubstr("rolled it back by hand"));
  Kind::execute(place_.look(), "BEGIN");
  Kind::execute(place_.look(), fmt::format("INSERT INTO assent_prepared VALUES('{}', '', '', 0)", gid(moved).text()));
  EXPECT_THAT(end(Call::commit, moved).message, HasSubstr("restart the MariaDB server"));
  Kind::execute(place_.look(), "COMMIT");
  EXPECT_TRUE(end(Call::commit, moved).ok());
}

TEST(ParseMariadb, ReadsAndRefuses) {
  const auto address = parse_mariadb("mariadb://us%40er:p%3Aw@db.example:3307/bank?socket=/run/x");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->user, "us@er");
  EXPECT_EQ(address->password, "p:w");
  EXPECT_EQ(address->host, "db.example");
  EXPECT_EQ(address->port, 3307);
  EXPECT_EQ(address->database, "bank");
  EXPECT_EQ(address->socket, "/run/x");
  EXPECT_EQ(parse_mariadb("mariadb://h/x")->port, 3306);
  for (const char* const bad : {"mariadb://", "mariadb://h", "mariadb://h/", "mariadb://h:x/d", "mariadb://a%4@h/d"}) {
    EXPECT_FALSE(parse_mariadb(bad)) << bad;
  }
}

}  // namespace
}  // namespace assent::agent::testing
