#include "server/leader_spread.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace assent {
namespace {

// Nodes and groups as a balancer sees them: who may lead which group, who does, and what each node has heard of the
// others.
class Model {
 public:
  Model(std::uint64_t nodes, std::uint64_t delay) : delay_(delay) {
    for (std::uint64_t node = 1; node <= nodes; ++node) spreads_.emplace(NodeId(node), LeaderSpread(NodeId(node)));
  }
  void add(GroupId id, std::vector<NodeId> members, NodeId leader) {
    groups_[id] = {std::move(members), leader, 1};
    ++moved_;  // what was heard is not what is
  }

  // Every node looks once, in any order, and what it hands over is handed over at once.
  void round(Rng& rng) {
    ++round_;
    const auto now = leads();
    if (history_.empty() || history_.back().second != now) history_.emplace_back(round_, now);
    std::vector<NodeId> order;
    for (const auto& [node, spread] : spreads_) order.push_back(node);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    for (const NodeId node : order) {
      const auto move = spreads_.at(node).move(seen_by(node), heard_by(node));
      if (!move) continue;
      Group& group = groups_.at(move->group);
      ASSERT_EQ(group.leader, node);
      ASSERT_TRUE(std::find(group.members.begin(), group.members.end(), move->to) != group.members.end());
      group.leader = move->to;
      ++group.epoch;
      ++moved_;
      last_move_ = round_;
    }
  }
  [[nodiscard]] std::map<NodeId, std::uint64_t> leads() const {
    std::map<NodeId, std::uint64_t> counts;
    for (const auto& [node, spread] : spreads_) counts[node] = 0;
    for (const auto& [id, group] : groups_) ++counts[group.leader];
    return counts;
  }
  [[nodiscard]] std::uint64_t difference() const {
    const auto counts = leads();
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end(), by_count);
    return most->second - least->second;
  }
  [[nodiscard]] std::uint64_t moved() const { return moved_; }
  [[nodiscard]] std::uint64_t last_move() const { return last_move_; }
  void forget_moves() { moved_ = 0; }

 private:
  struct Group {
    std::vector<NodeId> members;
    NodeId leader;
    std::uint64_t epoch = 1;
  };
  [[nodiscard]] std::vector<GroupStatus> seen_by(NodeId node) const {
    std::vector<GroupStatus> all;
    for (const auto& [id, group] : groups_) {
      if (std::find(group.members.begin(), group.members.end(), node) == group.members.end()) continue;
      GroupStatus status;
      status.config.id = id;
      status.log.members = Membership(group.members);
      const bool leads = group.leader == node;
      status.log.leadership = {
          .epoch = Epoch(group.epoch), .leader = group.leader, .self_leads = leads, .self_ready = leads};
      for (const NodeId peer : group.members) {
        if (peer != node)
          status.log.peers.push_back({.member = Member(peer), .match = Index(0), .recently_active = true});
      }
      all.push_back(std::move(status));
    }
    return all;
  }
  // Of itself what is; of others what was some rounds ago.
  [[nodiscard]] std::map<NodeId, std::uint64_t> heard_by(NodeId node) const {
    std::map<NodeId, std::uint64_t> heard = history_.front().second;
    for (const auto& [round, counts] : history_) {
      if (round + delay_ <= round_) heard = counts;
    }
    heard[node] = leads().at(node);
    return heard;
  }

  std::uint64_t delay_;
  std::map<NodeId, LeaderSpread> spreads_;
  std::map<GroupId, Group> groups_;
  std::vector<std::pair<std::uint64_t, std::map<NodeId, std::uint64_t>>> history_;
  std::uint64_t round_ = 0;
  std::uint64_t moved_ = 0;
  std::uint64_t last_move_ = 0;
};

std::vector<NodeId> some_of(std::uint64_t nodes, std::size_t count, Rng& rng) {
  std::vector<NodeId> members;
  while (members.size() < count) {
    const NodeId node(rng.below(nodes) + 1);
    if (std::find(members.begin(), members.end(), node) == members.end()) members.push_back(node);
  }
  return members;
}

constexpr int many_rounds = 4'000;

TEST(LeaderSpread, LeadersOfAllOnOneNodeAreSharedAndThenStay) {
  for (const std::uint64_t delay : {0U, 1U, 3U}) {
    Rng rng(7 + delay);
    Model model(5, delay);
    std::vector<NodeId> all;
    for (std::uint64_t node = 1; node <= 5; ++node) all.emplace_back(node);
    for (std::uint64_t i = 1; i <= 23; ++i) model.add(GroupId(i), all, NodeId(1));
    model.forget_moves();
    for (int i = 0; i < many_rounds; ++i) model.round(rng);
    EXPECT_LE(model.difference(), 1U) << "delay " << delay;
    EXPECT_EQ(model.moved(), 18U) << "no group is moved that need not be";
    EXPECT_LT(model.last_move(), many_rounds / 2) << "and then it stands still";
  }
}

TEST(LeaderSpread, DrawnClustersComeToRest) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    Rng rng(seed);
    const std::uint64_t nodes = 3 + rng.below(5);
    Model model(nodes, rng.below(4));
    const std::uint64_t groups = 5 + rng.below(30);
    for (std::uint64_t i = 1; i <= groups; ++i) {
      const auto members = some_of(nodes, 3, rng);
      model.add(GroupId(i), members, members[rng.below(3)]);
    }
    model.forget_moves();
    for (int i = 0; i < many_rounds; ++i) model.round(rng);
    EXPECT_LE(model.moved(), groups) << "seed " << seed << ": a group goes once and never back";
    EXPECT_LT(model.last_move(), many_rounds / 2) << "seed " << seed;
  }
}

TEST(LeaderSpread, ADifferenceOfOneMovesNothing) {
  Rng rng(3);
  Model model(3, 0);
  const std::vector<NodeId> all{NodeId(1), NodeId(2), NodeId(3)};
  for (std::uint64_t i = 1; i <= 4; ++i) model.add(GroupId(i), all, NodeId(i % 3 + 1));
  model.forget_moves();
  for (int i = 0; i < many_rounds; ++i) model.round(rng);
  EXPECT_EQ(model.moved(), 0U);
}

TEST(LeaderSpread, WhoIsNotHeardIsGivenNothing) {
  LeaderSpread spread(NodeId(1));
  GroupStatus group;
  group.config.id = GroupId(1);
  group.log.members = Membership({NodeId(1), NodeId(2), NodeId(3)});
  group.log.leadership = {.epoch = Epoch(1), .leader = NodeId(1), .self_leads = true, .self_ready = true};
  group.log.peers = {{.member = Member(NodeId(2)), .match = Index(0), .recently_active = true},
                     {.member = Member(NodeId(3)), .match = Index(0), .recently_active = false}};
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(spread.move({group}, {{NodeId(1), 9}, {NodeId(3), 0}}));
}

}  // namespace
}  // namespace assent
