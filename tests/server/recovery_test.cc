// What a log gets when its group goes on with one member. The whole command runs in membership_test.
#include "server/recovery.h"

#include <gtest/gtest.h>

#include "consensus/raft/hard_state.h"
#include "consensus/raft/raft_factory.h"

namespace assent {
namespace {

const Member only(NodeId(3), 17);

EntryPtr command(std::uint64_t epoch, std::uint64_t index) {
  Entry entry;
  entry.epoch = Epoch(epoch);
  entry.index = Index(index);
  entry.stamp = ClusterMillis(1'000 + index);
  entry.payload = "x";
  return std::make_shared<Entry>(std::move(entry));
}

TEST(Recovery, AddsAnEntryBehindAllThatTheLogHas) {
  DurableLog log;
  log.hard_state = raft::encode_hard_state({.term = Epoch(9), .vote = NodeId(2)});
  log.snapshot = {
      .last = {Epoch(4), Index(10)}, .stamp = ClusterMillis(7), .members = {NodeId(1), NodeId(2), NodeId(3)}};
  auto entry = recovery_entry(log, only, 1);
  ASSERT_TRUE(entry) << entry.error().message;
  EXPECT_EQ(entry->index, Index(11));
  EXPECT_EQ(entry->stamp, ClusterMillis(7));
  log.entries = {command(4, 11), command(9, 12)};
  entry = recovery_entry(log, only, 1);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->index, Index(13));
  EXPECT_EQ(entry->stamp, ClusterMillis(1'012));
  EXPECT_EQ(entry->epoch, epoch_of_generation(1));
  EXPECT_EQ(entry->kind, EntryKind::membership);
  EXPECT_EQ(decode_membership(entry->payload)->voters, std::vector<Member>{only});
}

TEST(Recovery, RefusesALogThatIsBeyondTheGeneration) {
  DurableLog log;
  log.hard_state = raft::encode_hard_state({.term = epoch_of_generation(1), .vote = {}});
  const auto again = recovery_entry(log, only, 1);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::refused);
  EXPECT_TRUE(recovery_entry(log, only, 2));
  EXPECT_TRUE(recovery_entry(log, only, 255));
  EXPECT_FALSE(recovery_entry(log, only, 256)) << "an empty core would take its epoch for damage";
  log.hard_state = "?";
  EXPECT_EQ(recovery_entry(log, only, 3).error().code, ErrorCode::unsupported);
}

// A core that is built on the log leads it alone, and keeps what was there.
TEST(Recovery, ACoreOnThatLogLeadsAloneAndCommitsWhatItHad) {
  LogSetup setup;
  setup.self = NodeId(3);
  setup.group = GroupId(1);
  setup.members = {NodeId(1), NodeId(2), NodeId(3)};
  setup.durable.hard_state = raft::encode_hard_state({.term = Epoch(2), .vote = NodeId(1)});
  setup.durable.entries = {command(1, 1), command(2, 2)};
  auto entry = recovery_entry(setup.durable, Member(NodeId(3)), 1);
  ASSERT_TRUE(entry);
  setup.durable.hard_state = raft::encode_hard_state({.term = entry->epoch, .vote = {}});
  setup.durable.entries.push_back(std::make_shared<Entry>(*entry));
  auto log = make_raft_factory({})(setup);
  ASSERT_TRUE(log) << log.error().message;
  std::vector<Index> committed;
  for (int i = 0; i < 1'000 && committed.size() < 4; ++i) {
    (*log)->tick();
    while ((*log)->has_output()) {
      const Output output = (*log)->take_output();
      EXPECT_TRUE(output.send_now.empty() && output.send_after_sync.empty()) << "there is nobody to speak to";
      for (const EntryPtr& one : output.committed) committed.push_back(one->index);
      (*log)->durable(output.number);
    }
  }
  EXPECT_EQ(committed, (std::vector<Index>{Index(1), Index(2), Index(3), Index(4)}));
  EXPECT_GT((*log)->status().leadership.epoch, epoch_of_generation(1));
}

}  // namespace
}  // namespace assent
