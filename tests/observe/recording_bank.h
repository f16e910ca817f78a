// Three nodes with a bank on them (a coordinator, two shards), each with a recorder whose clock moves with every look
// at it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "node/coordinator_app.h"
#include "node/shard_app.h"
#include "observe/recorder.h"
#include "participant/memory_store.h"
#include "tests/node/test_cluster.h"

namespace assent {

struct CountingClock final : Clock {
  [[nodiscard]] ClusterMillis wall() const override { return ClusterMillis(1'700'000'000'000); }
  [[nodiscard]] std::uint64_t monotonic_micros() const override { return micros += 7; }
  mutable std::uint64_t micros = 1'000'000;
};

// Of each protocol or mode, for names of tests, which may have no hyphen.
inline const auto protocol_name = [](const auto& given) {
  std::string name(to_string(given.param));
  std::erase(name, '-');
  return name;
};

class RecordingBank : public testing::Test {
 protected:
  static constexpr GroupId c0{1};
  static constexpr GroupId s1{2};
  static constexpr GroupId s2{3};
  static const std::vector<NodeId>& nodes() {
    static const std::vector<NodeId> all{NodeId(1), NodeId(2), NodeId(3)};
    return all;
  }

  explicit RecordingBank(RecorderOptions options = {}) : cluster_(3, groups(), 0, make_application) {
    cluster_.start_all();
    for (const NodeId node : nodes()) {
      recorders_[node] = std::make_unique<Recorder>(options, clock_);
      watch(node);
    }
  }
  ~RecordingBank() override {
    for (const NodeId node : nodes()) cluster_.kill(node);
  }
  void watch(NodeId node) { cluster_.node(node).loop->watch(recorders_.at(node).get()); }

  static std::vector<GroupConfig> groups() {
    return {GroupConfig{c0, "c0", GroupRole::coordinator, nodes()}, GroupConfig{s1, "s1", GroupRole::shard, nodes()},
            GroupConfig{s2, "s2", GroupRole::shard, nodes()}};
  }
  static Result<std::unique_ptr<Application>> make_application(const GroupConfig& group) {
    if (group.role == GroupRole::coordinator) {
      CoordinatorAppOptions options;
      options.conductor.shards = {s1, s2};
      return make_coordinator_application(group.id, std::move(options));
    }
    return make_shard_application(group.id, {}, std::make_unique<MemoryStore>());
  }

  TxnId new_txn() { return TxnId::make(cluster_.node(NodeId(1)).clock.wall(), 7, ++counter_); }
  static KvAdd add(std::string key, std::int64_t delta) { return KvAdd{std::move(key), delta, 0, std::nullopt}; }
  Execute transfer(std::int64_t amount, Protocol protocol) {
    return Execute{new_txn(), {}, protocol, {Branch{s1, {add("alice", -amount)}}, Branch{s2, {add("bob", amount)}}}, 0};
  }
  Execute deposit(std::int64_t amount) {
    return Execute{new_txn(), {}, Protocol::automatic, {Branch{s1, {add("alice", amount)}}}, 0};
  }
  std::uint64_t send(GroupId group, Execute execute) {
    const std::uint64_t id = ++requests_;
    at_[id] = cluster_.await_leader(group);
    cluster_.node(at_[id]).request(ClientRequest{RequestId(id), group, std::move(execute)});
    return id;
  }
  // Until it is answered and carried out.
  TxnState run(GroupId group, Execute execute) {
    const std::uint64_t id = send(group, std::move(execute));
    cluster_.tick_until([&] { return cluster_.node(at_[id]).answered(id); });
    for (int i = 0; i < 20; ++i) cluster_.tick();
    const auto& answer = cluster_.node(at_[id]).reply(id);
    return answer ? std::get<TxnAnswer>(*answer).state : TxnState::unknown;
  }
  // The recorder of the node that leads the group.
  Recorder& at(GroupId group) { return *recorders_.at(cluster_.await_leader(group)); }

  CountingClock clock_;
  TestCluster cluster_;
  std::map<NodeId, std::unique_ptr<Recorder>> recorders_;
  std::map<std::uint64_t, NodeId> at_;
  std::uint64_t requests_ = 0;
  std::uint64_t counter_ = 0;
};

}  // namespace assent
