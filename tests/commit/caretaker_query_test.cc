// Queries see what was told, wait for no more than they must, and starve neither themselves nor writers.
#include "caretaker_fixture.h"

namespace assent::testing {
namespace {

class CaretakerQueryTest : public CaretakerFixture {};

std::string value_of(const QueryAnswer& answer, std::size_t operation = 0) {
  const auto& rows = answer.result.at(operation).rows;
  return rows.empty() ? "none" : std::get<SqlBlob>(rows[0][0]).bytes;
}

TEST_F(CaretakerQueryTest, R07_NothingIsReadBeforeTheBarrier) {
  query(1, {KvGet{"a"}});
  query(2, {KvGet{"a"}});
  take();
  EXPECT_EQ(seen.read.size(), 1U) << "queries of one step share a barrier";
  execute(3, txn(1), put("a", "1"));
  commit_all();
  EXPECT_EQ(rows_for(seen.reply, 1), nullptr);
  query(4, {KvGet{"a"}});
  take();
  EXPECT_EQ(seen.read.size(), 2U) << "a later query needs its own";
  const auto reads = std::exchange(seen.read, {});
  caretaker.read_ready(reads[0]);
  auto output = heard();
  ASSERT_NE(rows_for(output.reply, 1), nullptr);
  EXPECT_EQ(value_of(*rows_for(output.reply, 1)), "1");
  EXPECT_EQ(rows_for(output.reply, 2)->at, Index(index));
  EXPECT_EQ(rows_for(output.reply, 4), nullptr);
  caretaker.read_lost(reads[1]);
  EXPECT_EQ(error_to(heard().reply, 4)->code, ErrorCode::not_leader);
  EXPECT_EQ(caretaker.active(), 0U);
}

TEST_F(CaretakerQueryTest, AQueryWaitsForThePreparedThatHoldWhatItReads) {
  prepare(txn(1), put("a", "1"));
  prepare(txn(2), put("b", "1"));
  commit_all();
  query(1, {KvGet{"a"}});
  query(2, {KvGet{"c"}});
  pass_barriers();
  auto output = heard();
  EXPECT_EQ(rows_for(output.reply, 1), nullptr) << "txn 1 may be committed and told";
  EXPECT_NE(rows_for(output.reply, 2), nullptr) << "nobody holds c";
  finish(txn(1), true);
  commit();
  output = heard();
  ASSERT_NE(rows_for(output.reply, 1), nullptr);
  EXPECT_EQ(value_of(*rows_for(output.reply, 1)), "1");
}

TEST_F(CaretakerQueryTest, AProposalThatIsNotAppliedIsNotWaitedFor) {
  prepare(txn(1), put("a", "1"));  // its vote has not left: nobody can have been told
  query(1, {KvGet{"a"}});
  pass_barriers();
  EXPECT_EQ(value_of(*rows_for(heard().reply, 1)), "none");
}

TEST_F(CaretakerQueryTest, ReadersDoNotWaitForReaders) {
  prepare(txn(1), {KvGet{"a"}});
  commit();
  query(1, {KvGet{"a"}});
  pass_barriers();
  EXPECT_NE(rows_for(heard().reply, 1), nullptr);
}

// The counterexample to waiting only for those prepared at arrival: T3 is prepared later and told as committed, then T4
// runs and is applied; a query that passes T3 by would see T4 without it.
TEST_F(CaretakerQueryTest, I07_AQueryNeverSeesALaterTransactionWithoutAnEarlierOneThatWasTold) {
  prepare(txn(1), put("a", "1"));
  commit();
  query(1, {KvGet{"a"}, KvGet{"b"}, KvGet{"c"}});
  pass_barriers();
  prepare(txn(3), put("b", "3"));  // held up by the query
  EXPECT_EQ(in_log(), 0U);
  execute(9, txn(4), put("d", "4"));  // of something else: goes on
  EXPECT_EQ(in_log(), 1U);
  commit();
  finish(txn(1), true);
  commit();
  const auto output = heard();
  ASSERT_NE(rows_for(output.reply, 1), nullptr);
  EXPECT_EQ(value_of(*rows_for(output.reply, 1), 1), "none");
  EXPECT_EQ(logged<PrepareWork>().size(), 1U) << "then the writer goes on";
}

TEST_F(CaretakerQueryTest, AHoldEndsSoThatNoCycleOfWaitingLasts) {
  prepare(txn(1), put("a", "1"));
  commit();
  query(1, {KvGet{"a"}, KvGet{"b"}});
  pass_barriers();
  prepare(txn(3), put("b", "3"));
  ticks(9);
  EXPECT_EQ(in_log(), 0U);
  ticks(1);
  EXPECT_EQ(logged<PrepareWork>().size(), 1U) << "the writer waits no longer";
  commit();
  finish(txn(1), true);
  commit();
  EXPECT_EQ(rows_for(heard().reply, 1), nullptr) << "txn 3 holds b now: the query waits for it too";
  finish(txn(3), true);
  commit();
  const auto output = heard();
  ASSERT_NE(rows_for(output.reply, 1), nullptr);
  EXPECT_EQ(value_of(*rows_for(output.reply, 1), 1), "3");
}

TEST_F(CaretakerQueryTest, AQueryWaitsForProposalsInFlightOnceItMustWait) {
  prepare(txn(1), put("a", "1"));
  commit();
  prepare(txn(2), put("b", "2"));  // proposed
  query(1, {KvGet{"a"}, KvGet{"b"}});
  pass_barriers();
  finish(txn(1), true);
  commit_all();
  EXPECT_EQ(rows_for(heard().reply, 1), nullptr);
  finish(txn(2), false);
  commit_all();
  EXPECT_EQ(value_of(*rows_for(heard().reply, 1)), "1");
}

TEST_F(CaretakerQueryTest, AQueryThatCannotBeAnsweredInTimeSaysWhoIsInDoubt) {
  prepare(txn(1), put("a", "1"));
  commit();
  query(1, {KvGet{"a"}});
  pass_barriers();
  ticks(60);
  const auto output = heard();
  ASSERT_NE(error_to(output.reply, 1), nullptr);
  EXPECT_EQ(error_to(output.reply, 1)->code, ErrorCode::busy);
  EXPECT_NE(error_to(output.reply, 1)->message.find(txn(1).to_hex()), std::string::npos);
  EXPECT_EQ(caretaker.active(), 0U);
}

TEST_F(CaretakerQueryTest, AQueryThatIsNoneIsRefused) {
  query(1, {});
  query(2, put("a", "1"));
  pass_barriers();
  const auto output = heard();
  EXPECT_EQ(error_to(output.reply, 1)->code, ErrorCode::malformed);
  EXPECT_EQ(error_to(output.reply, 2)->code, ErrorCode::malformed);
}

}  // namespace
}  // namespace assent::testing
