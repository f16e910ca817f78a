// The barrier's contract over MariaDB, and what MariaDB alone does to it. One server for all of it.
#include "service/mariadb_barrier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/service/barrier_contract.h"
#include "tests/service/mariadb_kind.h"

namespace assent::service::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, BarrierContract, ::testing::Types<MariadbKind>);

namespace {

using ::testing::HasSubstr;

class MariadbBarrierTest : public BarrierContract<MariadbKind> {
 protected:
  // As a restart of the server does to whoever is connected.
  void end_all_connections() {
    const auto others =
        mariadb::single_column(&place_.look(),
                               "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> "
                               "CONNECTION_ID()");
    for (const std::string& id : others.value()) MariadbKind::execute(place_.look(), "KILL CONNECTION " + id);
  }
  static std::string refusal(const Result<std::unique_ptr<MariadbBarrier>>& barrier) {
    return barrier ? "it was taken" : barrier.error().message;
  }
};

TEST_F(MariadbBarrierTest, AConnectionThatWasLostMeanwhileIsMadeAgain) {
  auto service = start();
  ASSERT_TRUE(service.branches->prepare(prepare(branch(1))).ok());
  end_all_connections();
  const Answer answer = service.branches->end(Call::commit, branch(1));
  EXPECT_TRUE(answer.ok()) << answer.message;
  EXPECT_EQ(effects(branch(1), "commit"), 1);
}

// Its prepare loses its own connection in the middle, or meets a deadlock and does not mind.
class Struck final : public TestParticipant<MariadbKind> {
 public:
  Vote prepare(const Branch& branch, MYSQL& connection, ByteView payload) override {
    Vote vote = TestParticipant::prepare(branch, connection, payload);
    if (payload == "cut") MariadbKind::try_execute(connection, "KILL CONNECTION CONNECTION_ID()");
    if (payload == "deadlock") {
      MariadbKind::execute(connection, "ROLLBACK");  // as the server does to the one whom it picks
      MariadbKind::execute(connection, "INSERT INTO effects VALUES('after', 'the', 'deadlock')");
    }
    return vote;
  }
};

class StruckTest : public MariadbBarrierTest {
 protected:
  StruckTest() : barrier_(std::move(*place_.open())) {}

  std::unique_ptr<MariadbBarrier> barrier_;
  Struck struck_;
  Branches branches_{{}, std::make_unique<EnrolledOn<MYSQL>>(struck_, *barrier_)};
};

TEST_F(StruckTest, AConnectionThatIsLostInTheMiddleLeavesNothing) {
  EXPECT_EQ(branches_.prepare(prepare(branch(1), "cut")).code, AnswerCode::unknown);
  EXPECT_EQ(effects(branch(1), "prepare"), 0);
  EXPECT_EQ(rows(), 0);
  EXPECT_TRUE(branches_.prepare(prepare(branch(1))).ok()) << "and the next one finds a connection";
  EXPECT_EQ(effects(branch(1), "prepare"), 1);
}

TEST_F(StruckTest, WhatIsDoneAfterTheServerTookTheTransactionBackIsTakenBackToo) {
  EXPECT_EQ(branches_.prepare(prepare(branch(1), "deadlock")).code, AnswerCode::unknown);
  EXPECT_EQ(MariadbKind::number(place_.look(), "SELECT count(*) FROM effects"), 0);
  EXPECT_EQ(rows(), 0);
}

// Two transactions that lock two rows in opposite order: the server ends one of them.
TEST_F(StruckTest, ADeadlockIsAConflict) {
  MariadbKind::execute(place_.look(), "CREATE TABLE pair(id integer PRIMARY KEY, n integer) ENGINE=InnoDB");
  MariadbKind::execute(place_.look(), "INSERT INTO pair VALUES(1, 0), (2, 0)");
  const auto one = barrier_->take();
  const auto two = barrier_->take();
  ASSERT_TRUE(one && two && (*one)->begin(Access::write) && (*two)->begin(Access::write));
  MYSQL& first = (*one)->connection();
  MYSQL& second = (*two)->connection();
  ASSERT_TRUE(mariadb::execute(&first, "UPDATE pair SET n = 1 WHERE id = 1"));
  ASSERT_TRUE(mariadb::execute(&second, "UPDATE pair SET n = 2 WHERE id = 2"));
  Result<mariadb::Rows> crossed = fail(ErrorCode::io, "");
  std::thread waiting([&] { crossed = mariadb::execute(&first, "UPDATE pair SET n = 1 WHERE id = 2"); });
  const auto other = mariadb::execute(&second, "UPDATE pair SET n = 2 WHERE id = 1");
  (*two)->rollback();
  waiting.join();
  (*one)->rollback();
  ASSERT_NE(crossed.has_value(), other.has_value());
  EXPECT_EQ((crossed ? other : crossed).error().code, ErrorCode::conflict);
}

TEST_F(MariadbBarrierTest, AServerThatIsAwayIsNamed) {
  const auto barrier = MariadbBarrier::open({.address = {.port = 1, .user = "root", .database = "x"}});
  EXPECT_THAT(refusal(barrier), HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(refusal(MariadbBarrier::open({.address = MariadbKind::address("")})), HasSubstr("names no database"));
}

TEST_F(MariadbBarrierTest, AServerThatDoesNotSyncIsRefused) {
  MariadbKind::execute(place_.look(), "SET GLOBAL innodb_flush_log_at_trx_commit = 2");
  const std::string said = refusal(place_.open());
  MariadbKind::execute(place_.look(), "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
  EXPECT_THAT(said, HasSubstr("SET GLOBAL innodb_flush_log_at_trx_commit = 1"));
  EXPECT_TRUE(place_.open());
}

TEST_F(MariadbBarrierTest, TablesOfOursInAnotherEngineAreRefused) {
  ASSERT_TRUE(place_.open());
  for (const char* const engine : {"MyISAM", "Aria"}) {
    MariadbKind::execute(place_.look(), fmt::format("ALTER TABLE assent_branches ENGINE={}", engine));
    EXPECT_THAT(refusal(place_.open()), HasSubstr(fmt::format("assent_branches is in the engine {}", engine)));
  }
  MariadbKind::execute(place_.look(), "ALTER TABLE assent_branches ENGINE=InnoDB");
  EXPECT_TRUE(place_.open());
}

TEST_F(MariadbBarrierTest, AUserWithoutRightsIsToldWhich) {
  MariadbKind::execute(place_.look(), "CREATE OR REPLACE USER poor@'%' IDENTIFIED BY 'x'");
  MariadbKind::execute(place_.look(), fmt::format("GRANT SELECT ON {}.* TO poor@'%'", place_.name()));
  mariadb::Address address = MariadbKind::address(place_.name());
  address.user = "poor";
  address.password = "x";
  const auto barrier = MariadbBarrier::open({.address = address});
  EXPECT_THAT(refusal(barrier), HasSubstr("CREATE command denied to user 'poor'"));
  EXPECT_EQ(barrier.error().code, ErrorCode::refused);
  address.password = "wrong";
  EXPECT_THAT(refusal(MariadbBarrier::open({.address = address})), HasSubstr("poor"));
}

TEST_F(MariadbBarrierTest, WhoHoldsTheRowIsWaitedForAndNotForEver) {
  const auto barrier = MariadbBarrier::open(
      {.address = MariadbKind::address(place_.name()), .patience = std::chrono::milliseconds(100)});
  ASSERT_TRUE(barrier);
  Branches branches({}, std::make_unique<EnrolledOn<MYSQL>>(participant_, **barrier));
  ASSERT_TRUE(branches.prepare(prepare(branch(1))).ok());
  MariadbKind::execute(place_.look(), "BEGIN");
  MariadbKind::number(place_.look(), "SELECT count(*) FROM assent_branches FOR UPDATE");
  EXPECT_EQ(branches.end(Call::commit, branch(1)).code, AnswerCode::unknown);
  EXPECT_EQ(branches.status({branch(1).txn, "b"})->state, BranchState::prepared) << "who reads does not wait";
  MariadbKind::execute(place_.look(), "COMMIT");
  EXPECT_TRUE(branches.end(Call::commit, branch(1)).ok());
}

}  // namespace
}  // namespace assent::service::testing
