// Nodes wired together in one process: frames and snapshots are delivered in order, at once, unless a node is cut off.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "consensus/raft/raft_factory.h"
#include "tests/node/test_node.h"

namespace assent {

class TestCluster {
 public:
  TestCluster(std::size_t nodes, const std::vector<GroupConfig>& groups, std::uint64_t snapshot_every = 0,
              const ApplicationFactory& factory = {}) {
    for (std::uint64_t i = 1; i <= nodes; ++i) {
      auto& node = nodes_.emplace_back(std::make_unique<TestNode>());
      node->config.self = NodeId(i);
      node->config.seed = 42;
      node->config.groups = groups;
      node->factory = factory;
      node->config.snapshot_every = snapshot_every;
      node->config.wal.segment_bytes = 1ULL << 20U;
    }
  }

  // Groups of nodes that start from now on sleep when they have nothing to do for so long.
  void sleep_after(std::uint32_t ticks) {
    options_.sleep_ticks = ticks;
    for (auto& each : nodes_) {
      each->config.limits.sign_of_life_ticks = options_.heartbeat_ticks;
      each->config.limits.peer_silent_ticks_max = options_.election_ticks;
    }
  }
  // All of the group that are up, and not cut off.
  [[nodiscard]] bool asleep(GroupId group) {
    return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
      if (each->loop == nullptr || cut_.contains(each->config.self)) return true;
      const std::vector<GroupStatus> all = each->loop->status();
      return std::all_of(all.begin(), all.end(),
                         [&](const GroupStatus& status) { return status.config.id != group || status.log.asleep; });
    });
  }
  [[nodiscard]] std::uint64_t frames() {
    std::uint64_t sent = 0;
    for (auto& each : nodes_) sent += each->loop == nullptr ? 0 : each->loop->statistics().frames_sent;
    return sent;
  }

  // Nodes that start from now on have so many each, in the order of their ids.
  void set_loops(const std::vector<std::size_t>& loops) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i]->loops = loops.at(i);
  }

  void start(NodeId id) {
    const auto opened = node(id).open(make_raft_factory(options_));
    ASSERT_TRUE(opened) << opened.error().message;
  }
  void start_all() {
    for (auto& node : nodes_) start(node->config.self);
  }
  void kill(NodeId id) { node(id).kill(); }
  void cut(NodeId id) { cut_.insert(id); }
  void heal() { cut_.clear(); }

  [[nodiscard]] TestNode& node(NodeId id) { return *nodes_.at(id.value - 1); }
  [[nodiscard]] bool alive(NodeId id) { return node(id).loop != nullptr; }

  // Delivers until nobody has anything to say.
  void settle() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& each : nodes_) {
        if (each->loop == nullptr) continue;
        each->settle();
        ASSERT_FALSE(each->loop->failure()) << each->loop->failure()->message;
        busy = carry_from(*each) || busy;
      }
    }
  }
  void tick() {
    for (auto& each : nodes_) {
      each->clock.now += 10;
      if (each->loop != nullptr) each->loop->tick();
    }
    settle();
  }
  // Ticks until it holds; fails the test when it does not within so many ticks.
  void tick_until(const std::function<bool()>& holds, int ticks_max = 1'000) {
    for (int i = 0; i < ticks_max && !holds(); ++i) {
      tick();
      if (testing::Test::HasFatalFailure()) return;
    }
    ASSERT_TRUE(holds()) << "not within " << ticks_max << " ticks";
  }

  // The ready leader of the highest epoch; none when there is none.
  [[nodiscard]] NodeId leader(GroupId group) {
    NodeId found;
    Epoch epoch;
    for (auto& each : nodes_) {
      if (each->loop == nullptr || cut_.contains(each->config.self)) continue;
      for (const GroupStatus& status : each->loop->status()) {
        const Leadership& leadership = status.log.leadership;
        if (status.config.id != group || !leadership.self_ready || leadership.epoch < epoch) continue;
        found = each->config.self;
        epoch = leadership.epoch;
      }
    }
    return found;
  }
  NodeId await_leader(GroupId group) {
    tick_until([&] { return !leader(group).none(); });
    return leader(group);
  }
  // Hands the group's leadership to a node.
  void make_lead(GroupId group, NodeId to) {
    tick_until([&] {
      if (leader(group) == to) return true;
      if (const NodeId from = leader(group); !from.none()) node(from).loop->handle(TransferLeadership{group, to});
      return false;
    });
  }
  std::uint64_t put(GroupId at, GroupId to, const Bytes& text) {
    const std::uint64_t id = ++requests_;
    node(await_leader(at)).request(put_request(id, at, to, text));
    settle();
    return id;
  }
  std::uint64_t read(GroupId at) {
    const std::uint64_t id = ++requests_;
    node(await_leader(at)).request(read_request(id, at));
    settle();
    return id;
  }

 private:
  bool carry_from(TestNode& from) {
    const NodeId self = from.config.self;
    bool any = false;
    for (auto& [to, frame] : std::exchange(from.transport.frames, {})) {
      any = true;
      if (reachable(self, to)) node(to).loop->handle(FrameReceived{self, std::move(frame)});
    }
    for (auto& [to, transfer] : std::exchange(from.transport.snapshots, {})) {
      any = true;
      const GroupId group = transfer.group;
      const bool delivered = reachable(self, to);
      if (delivered) node(to).loop->handle(SnapshotReceived{self, std::move(transfer)});
      from.loop->handle(SnapshotSendEnded{to, group, delivered});
    }
    return any;
  }
  bool reachable(NodeId from, NodeId to) { return !cut_.contains(from) && !cut_.contains(to) && alive(to); }

  RaftOptions options_{.election_ticks = 20, .heartbeat_ticks = 4, .tail_entries_max = 0};
  std::vector<std::unique_ptr<TestNode>> nodes_;
  std::set<NodeId> cut_;
  std::uint64_t requests_ = 0;
};

}  // namespace assent
