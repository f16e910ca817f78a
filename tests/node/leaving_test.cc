// A replica that was removed from its group goes, with all that it kept, and keeps its promises (node/leaving.h).
#include "node/leaving.h"

#include <gtest/gtest.h>

#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft.h"
#include "tests/node/test_cluster.h"

namespace assent {
namespace {

using Kind = MemberChange::Kind;

const GroupId s1(2);
const NodeId third(3);
const std::vector<NodeId> three{NodeId(1), NodeId(2), third};
const GroupConfig s1_config{s1, "s1", GroupRole::shard, three};

class LeavingTest : public ::testing::Test {
 protected:
  LeavingTest() {
    for (const NodeId id : three) {
      TestNode& node = cluster.node(id);
      node.config.level = belong_level;
      node.config.leaves = true;
      node.config.application_files = [&node](const GroupConfig& group) {
        node.databases[group.id] = {};
        return std::vector<std::string>{"shards/" + group.name + ".db"};
      };
    }
  }
  void start(NodeId id) {
    cluster.start(id);
    for (const NodeId node : three) cluster.node(id).loop->handle(PeerTold{node, belong_level});
  }
  void start_all() {
    for (const NodeId id : three) start(id);
    cluster.make_lead(s1, NodeId(1));
    for (int i = 0; i < 10; ++i) cluster.put(s1, s1, fmt::format("text {}", i));
  }
  Result<Position> change(MemberChange::Kind kind) {
    const std::vector<MemberChange> changes{{kind, third}};
    auto done = cluster.node(cluster.await_leader(s1)).loop->change_membership(s1, changes);
    cluster.settle();
    return done;
  }
  void remove_third() {
    cluster.make_lead(s1, NodeId(1));
    ASSERT_TRUE(change(Kind::remove));
  }
  void take_third_in() {
    ASSERT_TRUE(change(Kind::learner));
    cluster.tick_until([&] { return same_everywhere(); });
    ASSERT_TRUE(change(Kind::voter));
    cluster.tick_until([&] { return same_everywhere(); });
  }
  [[nodiscard]] bool same_everywhere() {
    return cluster.node(third).databases[s1].texts == cluster.node(NodeId(1)).databases[s1].texts;
  }
  [[nodiscard]] bool carries() { return cluster.node(third).loop->application(s1) != nullptr; }
  [[nodiscard]] bool keeps_files() {
    const auto snapshots = cluster.node(third).disk.list("snapshots");
    return !snapshots->empty() || !cluster.node(third).databases[s1].texts.empty();
  }

  TestCluster cluster{3, {s1_config}, 3};
};

TEST_F(LeavingTest, ARemovedReplicaGoesWithAllThatItKept) {
  start_all();
  ASSERT_TRUE(carries() && keeps_files());
  remove_third();
  cluster.tick_until([&] { return !carries(); });
  EXPECT_FALSE(keeps_files());
  EXPECT_TRUE(cluster.node(third).loop->status().empty());
  cluster.kill(third);
  start(third);
  EXPECT_FALSE(carries()) << "a founder that left founds nothing again";
  EXPECT_TRUE(cluster.node(third).loop->recovery().left.contains(s1));
}

TEST_F(LeavingTest, WhoComesBackBeginsAnewAndVotesInTheEnd) {
  start_all();
  remove_third();
  cluster.tick_until([&] { return !carries(); });
  for (int i = 0; i < 10; ++i) cluster.put(s1, s1, fmt::format("later {}", i));
  take_third_in();
  EXPECT_TRUE(same_everywhere());
  cluster.kill(NodeId(1));
  cluster.put(s1, s1, "with two of them");
  cluster.tick_until([&] { return cluster.node(third).databases[s1].texts.back() == "with two of them"; });
  cluster.kill(third);
  start(third);
  EXPECT_TRUE(carries());
  cluster.put(s1, s1, "after a restart");
}

TEST_F(LeavingTest, TheSameLogMayBeLeftAndJoinedAgainAndAgain) {
  start_all();
  for (int round = 0; round < 3; ++round) {
    remove_third();
    cluster.tick_until([&] { return !carries(); });
    take_third_in();
    ASSERT_TRUE(carries()) << round;
  }
  EXPECT_TRUE(same_everywhere());
}

TEST_F(LeavingTest, ACrashBeforeTheLogSaysSoLeavesTheReplicaAsItWas) {
  start_all();
  const TestDatabase kept = cluster.node(third).databases[s1];
  remove_third();
  // Its disk keeps what it is given from now on to itself.
  cluster.node(third).disk.hold();
  cluster.tick_until([&] { return !carries(); });
  EXPECT_TRUE(keeps_files()) << "files go only when the log says that it left";
  cluster.kill(third);
  start(third);
  EXPECT_TRUE(carries());
  EXPECT_EQ(cluster.node(third).databases[s1].texts, kept.texts);
  cluster.tick_until([&] { return !carries(); });
  EXPECT_FALSE(keeps_files());
}

TEST_F(LeavingTest, ACrashBeforeTheFilesAreGoneIsMetByTheNextStart) {
  start_all();
  TestNode& node = cluster.node(third);
  const TestDatabase kept = node.databases[s1];
  std::map<std::string, Bytes> files;
  const auto names = node.disk.list("snapshots");
  ASSERT_FALSE(names->empty());
  for (const std::string& name : *names) files[name] = *node.disk.read("snapshots/" + name, 0, 1U << 20U);
  remove_third();
  cluster.tick_until([&] { return !carries(); });
  cluster.kill(third);
  node.databases[s1] = kept;  // as if the crash had come before
  for (const auto& [name, bytes] : files) {
    const auto file = node.disk.open("snapshots/" + name, bytes.size());
    ASSERT_TRUE(node.disk.write_durably(*file, 0, bytes));
  }
  ASSERT_TRUE(keeps_files());
  start(third);
  EXPECT_FALSE(keeps_files());
  EXPECT_FALSE(carries());
}

TEST_F(LeavingTest, WhoIsCutOffIsAMemberAndKeepsEverything) {
  start_all();
  cluster.cut(third);
  for (int i = 0; i < 500; ++i) cluster.tick();
  EXPECT_TRUE(carries() && keeps_files());
  cluster.heal();
  for (int i = 0; i < 300; ++i) cluster.tick();
  EXPECT_TRUE(carries() && keeps_files());
}

TEST_F(LeavingTest, NodesOfAnOlderReleaseAreNotAsked) {
  for (const NodeId id : three) cluster.start(id);  // nobody told its level
  cluster.make_lead(s1, NodeId(1));
  cluster.put(s1, s1, "text");
  remove_third();
  for (int i = 0; i < 500; ++i) cluster.tick();
  EXPECT_TRUE(carries());
}

// ---- judgement ----

TEST(Leaving, ARemovalThatMayBeUndoneIsNoRemoval) {
  LogStatus leader;
  leader.leadership.self_leads = leader.leadership.self_ready = true;
  leader.members = Membership({NodeId(1), NodeId(2)});
  leader.members_since = Index(7);
  EXPECT_FALSE(has_left(leader, Index(6), third)) << "appended, not committed";
  EXPECT_TRUE(has_left(leader, Index(7), third));
  EXPECT_FALSE(has_left(leader, Index(7), NodeId(2)));
  EXPECT_TRUE(has_left(leader, Index(7), Member(NodeId(2), 9))) << "another disk is another member";
  leader.leadership.self_ready = false;
  EXPECT_FALSE(has_left(leader, Index(7), third));
}

TEST(Leaving, AnAnswerFromBeforeTheOwnLastEntryIsNotBelieved) {
  const Leaving leaving({}, {});
  LogStatus replica;
  replica.last = Index(10);
  replica.last_epoch = Epoch(4);
  const auto answer = [](std::uint64_t epoch, std::uint64_t index) {
    return LeftItem{s1, 0, {Epoch(epoch), Index(index)}};
  };
  EXPECT_TRUE(leaving.believes(replica, answer(4, 10)));
  EXPECT_TRUE(leaving.believes(replica, answer(5, 3))) << "its own last entries were never committed";
  EXPECT_FALSE(leaving.believes(replica, answer(4, 9))) << "it may have been taken in again since";
  EXPECT_FALSE(leaving.believes(replica, answer(3, 90)));
  replica.leadership.self_leads = true;
  EXPECT_FALSE(leaving.believes(replica, answer(4, 10)));
  EXPECT_FALSE(leaving.believes(LogStatus{}, answer(4, 10))) << "nothing is kept: nothing goes";
}

// ---- what the core still knows ----

TEST(Leaving, WhoForgotItsLogHelpsNobodyWhoLacksIt) {
  LogSetup setup{.self = third, .group = s1, .members = three, .durable = {}};
  setup.durable.hard_state = raft::encode_hard_state({.term = Epoch(5), .vote = NodeId(1)});
  setup.left = {Epoch(5), Index(20)};
  raft::Raft core(setup, {});
  const auto ask = [&core](std::uint64_t term, Position last) {
    core.receive(NodeId(2), raft::encode(s1, raft::VoteRequest{.term = Epoch(term), .last = last, .forced = true}));
    for (const ConsensusMessage& sent : core.take_output().send_after_sync) {
      const auto reply = raft::decode(s1, sent.bytes);
      if (reply && std::holds_alternative<raft::VoteReply>(*reply)) return std::get<raft::VoteReply>(*reply).granted;
    }
    return false;
  };
  EXPECT_FALSE(ask(5, {Epoch(5), Index(21)})) << "it voted for another one in this term, and knows that";
  EXPECT_FALSE(ask(6, {Epoch(5), Index(19)}));
  EXPECT_FALSE(ask(7, {Epoch(4), Index(90)}));
  EXPECT_TRUE(ask(8, {Epoch(5), Index(20)}));
}

TEST(Leaving, AFounderThatForgotItsLogDoesNotLead) {
  LogSetup setup{.self = third, .group = s1, .members = {third}, .durable = {}};
  setup.left = {Epoch(5), Index(20)};
  raft::Raft core(setup, {});
  for (int i = 0; i < 1'000; ++i) core.tick();
  EXPECT_FALSE(core.take_output().leadership.value_or(Leadership{}).self_leads);
  EXPECT_EQ(core.term(), Epoch(0));
}

}  // namespace
}  // namespace assent
