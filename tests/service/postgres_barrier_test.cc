// The barrier's contract over PostgreSQL, and what PostgreSQL alone does to it. One server for all of it.
#include "service/postgres_barrier.h"

#include <gtest/gtest.h>

#include "tests/service/barrier_contract.h"
#include "tests/service/postgres_kind.h"

namespace assent::service::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, BarrierContract, ::testing::Types<PostgresKind>);

namespace {

class PostgresBarrierTest : public BarrierContract<PostgresKind> {
 protected:
  // As a restart of the server does to whoever is connected.
  void end_all_connections() {
    PostgresKind::number(place_.look(),
                         "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE "
                         "datname = current_database() AND pid <> pg_backend_pid()");
  }
};

TEST_F(PostgresBarrierTest, AConnectionThatWasLostMeanwhileIsMadeAgain) {
  auto service = start();
  ASSERT_TRUE(service.branches->prepare(prepare(branch(1))).ok());
  end_all_connections();
  const Answer answer = service.branches->end(Call::commit, branch(1));
  EXPECT_TRUE(answer.ok()) << answer.message;
  EXPECT_EQ(effects(branch(1), "commit"), 1);
}

// Its prepare loses its own connection in the middle.
class Cut final : public TestParticipant<PostgresKind> {
 public:
  Vote prepare(const Branch& branch, PGconn& connection, ByteView payload) override {
    Vote vote = TestParticipant::prepare(branch, connection, payload);
    if (payload == "cut") PostgresKind::try_execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())");
    return vote;
  }
};

TEST_F(PostgresBarrierTest, AConnectionThatIsLostInTheMiddleLeavesNothing) {
  const auto barrier = place_.open();
  ASSERT_TRUE(barrier);
  Cut cut;
  Branches branches({}, std::make_unique<EnrolledOn<PGconn>>(cut, **barrier));
  EXPECT_EQ(branches.prepare(prepare(branch(1), "cut")).code, AnswerCode::unknown);
  EXPECT_EQ(effects(branch(1), "prepare"), 0);
  EXPECT_EQ(rows(), 0);
  EXPECT_TRUE(branches.prepare(prepare(branch(1))).ok()) << "and the next one finds a connection";
  EXPECT_EQ(effects(branch(1), "prepare"), 1);
}

TEST_F(PostgresBarrierTest, ADatabaseThatCommitsAsynchronouslyIsSetRight) {
  PostgresKind::execute(place_.look(), "ALTER DATABASE " + place_.name() + " SET synchronous_commit = off");
  const auto barrier = place_.open();
  ASSERT_TRUE(barrier);
  const auto local = (*barrier)->take();
  ASSERT_TRUE(local);
  EXPECT_EQ(
      PostgresKind::number((*local)->connection(),
                           "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'on'"),
      1);
}

TEST_F(PostgresBarrierTest, AServerThatIsAwayIsNamed) {
  const auto barrier = PostgresBarrier::open({.conninfo = "host=127.0.0.1 port=1 dbname=x"});
  ASSERT_FALSE(barrier);
  EXPECT_NE(barrier.error().message.find("127.0.0.1"), std::string::npos) << barrier.error().message;
  EXPECT_FALSE(PostgresBarrier::open({.conninfo = "this is no conninfo"}));
}

TEST_F(PostgresBarrierTest, ADatabaseMadeFromThisOneAsItsTemplateIsAnother) {
  std::string name;
  {
    PostgresKind original;
    ASSERT_TRUE(original.open());
    name = original.name();
  }
  PostgresKind::execute(place_.look(), fmt::format("CREATE DATABASE {0}_copy TEMPLATE {0}", name));
  const auto barrier = PostgresBarrier::open({.conninfo = PostgresKind::conninfo(name)});
  ASSERT_TRUE(barrier);
  PGconn* copy = PostgresKind::connect(name + "_copy");
  EXPECT_FALSE((*barrier)->same_database(*copy));
  const auto refused = PostgresBarrier::open({.conninfo = PostgresKind::conninfo(name), .work = copy});
  PQfinish(copy);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("_copy"), std::string::npos) << refused.error().message;
}

TEST_F(PostgresBarrierTest, WhoHoldsTheRowIsWaitedForAndNotForEver) {
  const auto barrier = PostgresBarrier::open(
      {.conninfo = PostgresKind::conninfo(place_.name()), .patience = std::chrono::milliseconds(100)});
  ASSERT_TRUE(barrier);
  Branches branches({}, std::make_unique<EnrolledOn<PGconn>>(participant_, **barrier));
  ASSERT_TRUE(branches.prepare(prepare(branch(1))).ok());
  PostgresKind::execute(place_.look(), "BEGIN; SELECT * FROM assent_branches FOR UPDATE");
  EXPECT_EQ(branches.end(Call::commit, branch(1)).code, AnswerCode::unknown);
  EXPECT_EQ(branches.status({branch(1).txn, "b"})->state, BranchState::prepared) << "who reads does not wait";
  PostgresKind::execute(place_.look(), "COMMIT");
  EXPECT_TRUE(branches.end(Call::commit, branch(1)).ok());
}

}  // namespace
}  // namespace assent::service::testing
