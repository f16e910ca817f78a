// Each rule of the log checker is shown a history that breaks it, and one that keeps it.
#include "sim/log_checker.h"

#include <gtest/gtest.h>

namespace assent::sim {
namespace {

struct LogCheckerTest : testing::Test {
  Schedule schedule;
  Recorder recorder{schedule};
  LogChecker checker{recorder};
  const GroupId group{2};
  const Life one{NodeId(1), 1};
  const Life two{NodeId(2), 1};

  static Entry entry(std::uint64_t epoch, std::uint64_t index, std::uint64_t stamp, Bytes payload = "x") {
    return Entry{Epoch(epoch), Index(index), ClusterMillis(stamp), EntryKind::command, std::move(payload)};
  }
  void expect_wrong(std::string_view rule) {
    EXPECT_EQ(recorder.verdict(), Verdict::wrong);
    EXPECT_NE(recorder.why().find(rule), std::string::npos) << recorder.why();
  }
};

TEST_F(LogCheckerTest, AcceptsAGoodHistory) {
  EXPECT_TRUE(checker.applied(one, group, entry(1, 1, 10)));
  EXPECT_TRUE(checker.applied(one, group, entry(1, 2, 10)));
  EXPECT_FALSE(checker.applied(two, group, entry(1, 1, 10)));
  checker.restored(Life{NodeId(2), 2}, group, Index(1));
  EXPECT_FALSE(checker.applied(Life{NodeId(2), 2}, group, entry(1, 2, 10)));
  checker.leads(one, group, Epoch(1));
  checker.leads(two, group, Epoch(2));
  checker.status(one, group, Index(2), Index(2));
  checker.state_digest(one, group, Index(2), 77);
  checker.state_digest(two, group, Index(1), 76);
  EXPECT_FALSE(recorder.failed()) << recorder.why();
  EXPECT_EQ(checker.newest(group), Index(2));
}

TEST_F(LogCheckerTest, FindsTwoEntriesAtOneIndex) {
  checker.applied(one, group, entry(1, 1, 10, "a"));
  checker.applied(two, group, entry(1, 1, 10, "b"));
  expect_wrong("L1");
}

TEST_F(LogCheckerTest, FindsAnEntryThatChangedItsEpoch) {
  checker.applied(one, group, entry(1, 1, 10));
  checker.applied(two, group, entry(2, 1, 10));
  expect_wrong("L1");
}

TEST_F(LogCheckerTest, FindsAGap) {
  checker.applied(one, group, entry(1, 1, 10));
  checker.applied(one, group, entry(1, 3, 10));
  expect_wrong("order");
}

TEST_F(LogCheckerTest, FindsAnEntryAppliedTwiceInOneLife) {
  checker.applied(one, group, entry(1, 1, 10));
  checker.applied(one, group, entry(1, 1, 10));
  expect_wrong("order");
}

TEST_F(LogCheckerTest, FindsALostEntryReplacedAfterARestart) {
  checker.applied(one, group, entry(1, 1, 10, "acknowledged"));
  checker.applied(Life{NodeId(1), 2}, group, entry(2, 1, 11, "another"));
  expect_wrong("L1");
}

TEST_F(LogCheckerTest, FindsAStampThatGoesBack) {
  checker.applied(one, group, entry(1, 1, 10));
  checker.applied(one, group, entry(1, 2, 9));
  expect_wrong("L2");
}

TEST_F(LogCheckerTest, FindsAnEpochThatGoesBack) {
  checker.applied(one, group, entry(3, 1, 10));
  checker.applied(one, group, entry(2, 2, 10));
  expect_wrong("L2");
}

TEST_F(LogCheckerTest, FindsTwoLeadersOfOneEpoch) {
  checker.leads(one, group, Epoch(4));
  checker.leads(two, group, Epoch(4));
  expect_wrong("L3");
}

TEST_F(LogCheckerTest, FindsANodeThatLeadsItsEpochAgainAfterARestart) {
  checker.leads(one, group, Epoch(4));
  checker.leads(Life{NodeId(1), 2}, group, Epoch(4));
  expect_wrong("L3");
}

TEST_F(LogCheckerTest, FindsACommitIndexThatGoesBack) {
  checker.status(one, group, Index(0), Index(5));
  checker.status(one, group, Index(0), Index(4));
  expect_wrong("R6");
}

TEST_F(LogCheckerTest, FindsAnAppliedIndexThatNobodyApplied) {
  checker.status(one, group, Index(6), Index(5));
  expect_wrong("order");
}

TEST_F(LogCheckerTest, FindsASnapshotOfWhatNobodyApplied) {
  checker.restored(one, group, Index(5));
  expect_wrong("L1");
}

TEST_F(LogCheckerTest, FindsStatesThatDiffer) {
  checker.state_digest(one, group, Index(5), 1);
  checker.state_digest(two, group, Index(5), 2);
  expect_wrong("digests");
}

}  // namespace
}  // namespace assent::sim
