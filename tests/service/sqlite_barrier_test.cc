// The barrier's contract over SQLite, and what SQLite alone must refuse.
#include "service/sqlite_barrier.h"

#include <gtest/gtest.h>

#include "tests/service/barrier_contract.h"

namespace assent::service::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, BarrierContract, ::testing::Types<SqliteKind>);

namespace {

// A connection of the service's own, closed at the end.
class OwnConnection {
 public:
  explicit OwnConnection(const std::string& path) : db_(SqliteKind::connect(path)) {}
  OwnConnection(const OwnConnection&) = delete;
  OwnConnection& operator=(const OwnConnection&) = delete;
  ~OwnConnection() { sqlite3_close_v2(db_); }
  [[nodiscard]] sqlite3& get() const { return *db_; }

 private:
  sqlite3* db_;
};

void expect_refused(const Result<std::unique_ptr<SqliteBarrier>>& barrier, const std::string& word) {
  ASSERT_FALSE(barrier) << word;
  EXPECT_NE(barrier.error().message.find(word), std::string::npos) << barrier.error().message;
}

TEST(SqliteBarrierAdopts, AConnectionOfTheServicesOwn) {
  SqliteKind place;
  const OwnConnection own(place.path());
  const auto barrier = SqliteBarrier::adopt(own.get(), {.path = place.path()});
  ASSERT_TRUE(barrier) << barrier.error().message;
  const auto local = (*barrier)->take();
  ASSERT_TRUE(local);
  EXPECT_EQ(&(*local)->connection(), &own.get());
}

TEST(SqliteBarrierRefuses, AConnectionToAnotherFileThanTheWorks) {
  SqliteKind work;
  SqliteKind other;
  const OwnConnection own(other.path());
  expect_refused(SqliteBarrier::adopt(own.get(), {.path = work.path()}), "cannot commit together");
  expect_refused(SqliteBarrier::open({.path = work.path(), .work = &own.get()}), "does not commit with the registers");
}

TEST(SqliteBarrierRefuses, ACopyOfItsDatabase) {
  SqliteKind work;
  ASSERT_TRUE(work.open());
  SqliteKind::execute(work.look(), "PRAGMA wal_checkpoint(TRUNCATE)");
  const std::string copy = work.path() + ".copy";
  std::filesystem::copy_file(work.path(), copy);
  const OwnConnection own(copy);
  expect_refused(SqliteBarrier::open({.path = work.path(), .work = &own.get()}), "does not commit with the registers");
}

TEST(SqliteBarrierRefuses, WhatIsNotOnADisk) {
  expect_refused(SqliteBarrier::open({.path = ":memory:"}), "in memory");
  expect_refused(SqliteBarrier::open({.path = ""}), "in memory");
  expect_refused(SqliteBarrier::open({.path = "/no/such/folder/x.db"}), "/no/such/folder/x.db");
}

TEST(SqliteBarrierRefuses, AConnectionThatDoesNotSync) {
  SqliteKind place;
  const OwnConnection own(place.path());
  SqliteKind::execute(own.get(), "PRAGMA synchronous=NORMAL");
  expect_refused(SqliteBarrier::adopt(own.get(), {.path = place.path()}), "synchronous=FULL");
  SqliteKind::execute(own.get(), "PRAGMA synchronous=FULL; PRAGMA journal_mode=DELETE; PRAGMA journal_mode=MEMORY");
  expect_refused(SqliteBarrier::adopt(own.get(), {.path = place.path()}), "journal_mode");
}

TEST(SqliteBarrierRefuses, AConnectionWithOtherFilesAttached) {
  SqliteKind place;
  SqliteKind other;
  const OwnConnection own(place.path());
  SqliteKind::execute(own.get(), "ATTACH '" + other.path() + "' AS archive");
  expect_refused(SqliteBarrier::adopt(own.get(), {.path = place.path()}), "'archive'");
}

TEST(SqliteBarrierRefuses, AConnectionInsideATransaction) {
  SqliteKind place;
  const OwnConnection own(place.path());
  SqliteKind::execute(own.get(), "BEGIN");
  expect_refused(SqliteBarrier::adopt(own.get(), {.path = place.path()}), "inside a transaction");
}

TEST(SqliteBarrierRefuses, ADatabaseOfALaterVersion) {
  SqliteKind place;
  ASSERT_TRUE(place.open());
  SqliteKind::execute(place.look(), "UPDATE assent_barrier SET version = 2");
  expect_refused(place.open(), "version 2");
}

TEST(SqliteBarrierRefuses, AFileThatIsNoDatabase) {
  const ScratchFolder folder;
  const std::string path = folder.path() / "text";
  std::FILE* file = std::fopen(path.c_str(), "w");
  for (int i = 0; i < 200; ++i) std::fputs("this is not a database ", file);
  std::fclose(file);
  const auto barrier = SqliteBarrier::open({.path = path});
  ASSERT_FALSE(barrier);
  EXPECT_EQ(barrier.error().code, ErrorCode::corruption);
}

// Whoever holds the file up is waited for, and then told of; nothing is recorded.
TEST(SqliteBarrierWaits, ForAWriterOfTheServicesAndNotForEver) {
  SqliteKind place;
  TestParticipant<SqliteKind>::make_tables(place.look());
  const auto barrier = SqliteBarrier::open({.path = place.path(), .patience = std::chrono::milliseconds(50)});
  ASSERT_TRUE(barrier);
  TestParticipant<SqliteKind> participant;
  Branches branches({}, std::make_unique<EnrolledOn<sqlite3>>(participant, **barrier));
  Branch branch;
  branch.txn = TxnId::make(ClusterMillis(1'800'000'000'000), 1, 1);
  branch.name = "b";
  SqliteKind::execute(place.look(), "BEGIN IMMEDIATE");
  EXPECT_EQ(branches.prepare({branch, "", "yes"}).code, AnswerCode::unknown);
  EXPECT_EQ(branches.status({branch.txn, "b"})->state, BranchState::empty) << "who reads does not wait";
  {
    const auto taken = (*barrier)->take();
    ASSERT_TRUE(taken);
    EXPECT_EQ(branches.prepare({branch, "", "yes"}).code, AnswerCode::unknown) << "its own connection is in use";
  }
  SqliteKind::execute(place.look(), "COMMIT");
  EXPECT_TRUE(branches.prepare({branch, "", "yes"}).ok());
}

}  // namespace
}  // namespace assent::service::testing
