// A replica that meets a command that its program does not know stops its group before it applies it, and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/node/test_cluster.h"

namespace assent {
namespace {

using testing::HasSubstr;

constexpr GroupId shard{1};
constexpr GroupId other{2};
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

// Knows one command more.
class NewerApplication final : public Application {
 public:
  explicit NewerApplication(std::unique_ptr<TestApplication> real) : real_(std::move(real)) {}

  Result<void> apply(const Entry& entry) override {
    if (entry.payload != "poison") return real_->apply(entry);
    real_->skip(entry.index);
    return {};
  }
  void skip(Index index) override { real_->skip(index); }
  [[nodiscard]] Index applied() const override { return real_->applied(); }
  Result<void> batch_applied() override { return {}; }
  void leadership(const Leadership& next) override { real_->leadership(next); }
  void receive(GroupId from, ByteView payload) override { real_->receive(from, payload); }
  void request(const ClientRequest& request) override { real_->request(request); }
  void refused(const Bytes& proposal, const Error& error) override { real_->refused(proposal, error); }
  void read_ready(ReadId id) override { real_->read_ready(id); }
  void read_lost(ReadId id) override { real_->read_lost(id); }
  void tick() override { real_->tick(); }
  Outbox take_outbox() override { return real_->take_outbox(); }
  Result<Bytes> snapshot() override { return real_->snapshot(); }
  [[nodiscard]] Result<void> restorable(const SnapshotMark&, ByteView) const override { return {}; }
  Result<void> restore(const SnapshotMark& mark, ByteView data) override { return real_->restore(mark, data); }
  Result<std::uint64_t> digest() override { return real_->digest(); }
  [[nodiscard]] ApplicationStatus status() const override { return {}; }

 private:
  std::unique_ptr<TestApplication> real_;
};

class Halted : public testing::Test {
 protected:
  void SetUp() override {
    for (const NodeId id : {NodeId(1), NodeId(2)}) upgrade(id);
    cluster.start_all();
    cluster.make_lead(shard, NodeId(1));
    cluster.make_lead(other, NodeId(1));
  }
  void upgrade(NodeId id) {
    TestNode& node = cluster.node(id);
    node.factory = [&node](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
      auto made = std::make_unique<TestApplication>(group.id, node.databases[group.id]);
      node.applications[group.id] = made.get();
      return std::make_unique<NewerApplication>(std::move(made));
    };
  }
  GroupStatus status(NodeId node, GroupId group = shard) {
    for (GroupStatus& one : cluster.node(node).loop->status()) {
      if (one.config.id == group) return std::move(one);
    }
    return {};
  }
  void tick(int times) {
    for (int i = 0; i < times; ++i) cluster.tick();
  }
  std::vector<Bytes> texts(NodeId node, GroupId group = shard) { return cluster.node(node).databases[group].texts; }

  TestCluster cluster{
      3,
      {GroupConfig{shard, "s1", GroupRole::shard, all_nodes}, GroupConfig{other, "s2", GroupRole::shard, all_nodes}}};
};

TEST_F(Halted, TheGroupStopsBeforeTheEntryAndTheOthersGoOn) {
  cluster.put(shard, shard, "before");
  cluster.put(shard, shard, "poison");
  cluster.put(shard, shard, "after");
  cluster.put(other, other, "elsewhere");
  tick(30);
  ASSERT_TRUE(status(NodeId(3)).halted);
  EXPECT_EQ(status(NodeId(3)).halted->code, ErrorCode::unsupported);
  EXPECT_THAT(status(NodeId(3)).halted->message, HasSubstr("group s1: entry"));
  EXPECT_EQ(texts(NodeId(3)), std::vector<Bytes>{"before"});
  EXPECT_EQ(texts(NodeId(1)), (std::vector<Bytes>{"before", "after"}));
  EXPECT_FALSE(cluster.node(NodeId(3)).loop->failure());
  EXPECT_FALSE(status(NodeId(3), other).halted);
  EXPECT_EQ(texts(NodeId(3), other), std::vector<Bytes>{"elsewhere"});
}

TEST_F(Halted, ItStillAcknowledgesSoThatTheGroupGoesOnWithoutAThirdNode) {
  cluster.put(shard, shard, "poison");
  tick(30);
  cluster.kill(NodeId(2));
  const std::uint64_t id = cluster.put(shard, shard, "with two of three");
  tick(30);
  EXPECT_TRUE(cluster.node(NodeId(1)).reply(id));
  EXPECT_EQ(texts(NodeId(1)), std::vector<Bytes>{"with two of three"});
}

TEST_F(Halted, ItNeitherCampaignsNorLeads) {
  cluster.put(shard, shard, "poison");
  tick(30);
  cluster.kill(NodeId(1));
  tick(200);
  EXPECT_EQ(cluster.leader(shard), NodeId(2));
  cluster.node(NodeId(2)).loop->handle(TransferLeadership{shard, NodeId(3)});
  tick(200);
  EXPECT_EQ(cluster.leader(shard), NodeId(2)) << "who is asked to lead gives it back";
  const std::uint64_t id = cluster.put(shard, shard, "b");
  tick(30);
  EXPECT_TRUE(cluster.node(NodeId(2)).reply(id));
}

TEST_F(Halted, ALeaderThatMeetsItGivesUp) {
  // An entry that another program left in the log, found by a leader of the older one.
  cluster.make_lead(shard, NodeId(3));
  cluster.node(NodeId(3)).request(put_request(77, shard, shard, "poison"));
  cluster.settle();
  tick(100);
  ASSERT_TRUE(cluster.node(NodeId(3)).answered(77)) << "nobody is left without an answer";
  EXPECT_TRUE(status(NodeId(3)).halted);
  EXPECT_NE(cluster.await_leader(shard), NodeId(3));
  const std::uint64_t id = cluster.put(shard, shard, "b");
  EXPECT_TRUE(cluster.node(cluster.leader(shard)).reply(id));
}

TEST_F(Halted, ANewerProgramGoesOnFromThere) {
  cluster.put(shard, shard, "before");
  cluster.put(shard, shard, "poison");
  cluster.put(shard, shard, "after");
  tick(30);
  ASSERT_TRUE(status(NodeId(3)).halted);
  cluster.kill(NodeId(3));
  cluster.start(NodeId(3));
  tick(50);
  EXPECT_TRUE(status(NodeId(3)).halted) << "the same program halts at the same entry";
  EXPECT_EQ(texts(NodeId(3)), std::vector<Bytes>{"before"});
  cluster.kill(NodeId(3));
  upgrade(NodeId(3));
  cluster.start(NodeId(3));
  tick(50);
  EXPECT_FALSE(status(NodeId(3)).halted);
  EXPECT_EQ(texts(NodeId(3)), (std::vector<Bytes>{"before", "after"}));
}

// What a newer program has applied is in the data, and the log need not show it any more.
class NotedLevels final : public GroupLevels {
 public:
  [[nodiscard]] std::uint32_t level(GroupId group) const override { return group == shard ? 1'000 : 0; }
  Result<void> raise(GroupId, std::uint32_t) override { return {}; }
};

TEST_F(Halted, DataOfANewerProgramAreNotGoneOnFrom) {
  NotedLevels levels;
  cluster.put(shard, shard, "before");
  tick(30);
  cluster.kill(NodeId(3));
  cluster.node(NodeId(3)).config.levels = &levels;
  cluster.start(NodeId(3));
  cluster.put(shard, shard, "after");
  cluster.put(other, other, "elsewhere");
  tick(30);
  ASSERT_TRUE(status(NodeId(3)).halted);
  EXPECT_EQ(status(NodeId(3)).halted->code, ErrorCode::unsupported);
  EXPECT_THAT(status(NodeId(3)).halted->message, HasSubstr("group s1: a program of protocol level 1000"));
  EXPECT_EQ(texts(NodeId(3)), std::vector<Bytes>{"before"});
  EXPECT_FALSE(status(NodeId(3), other).halted);
  EXPECT_EQ(texts(NodeId(3), other), std::vector<Bytes>{"elsewhere"});
  cluster.kill(NodeId(3));
}

TEST_F(Halted, AStaleReadThereIsRefused) {
  cluster.put(shard, shard, "poison");
  tick(30);
  Query query;
  query.max_staleness_micros = 50'000;
  cluster.node(NodeId(3)).request(ClientRequest{RequestId(99), shard, query});
  cluster.tick_until([&] { return cluster.node(NodeId(3)).answered(99); }, 150);
  ASSERT_FALSE(cluster.node(NodeId(3)).reply(99));
  EXPECT_EQ(cluster.node(NodeId(3)).reply(99).error().code, ErrorCode::too_stale);
}

TEST_F(Halted, TheLevelOfAGroupIsTheLowestThatAMemberTold) {
  EXPECT_EQ(status(NodeId(1)).level, 0U) << "nobody has told anything";
  cluster.node(NodeId(1)).config.level = 2;
  cluster.kill(NodeId(1));
  cluster.start(NodeId(1));
  cluster.node(NodeId(1)).loop->handle(PeerTold{NodeId(2), 2});
  EXPECT_EQ(status(NodeId(1)).level, 0U);
  cluster.node(NodeId(1)).loop->handle(PeerTold{NodeId(3), 1});
  EXPECT_EQ(status(NodeId(1)).level, 1U);
  cluster.node(NodeId(1)).loop->handle(PeerTold{NodeId(3), 2});
  EXPECT_EQ(status(NodeId(1)).level, 2U);
}

}  // namespace
}  // namespace assent
