// A node of three groups whose logs say what a test tells them to: what the loop then does is what the tests look at.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "node/loop.h"
#include "tests/node/scripted_log.h"
#include "tests/node/test_node.h"

namespace assent {

inline constexpr NodeId self{1};
inline constexpr NodeId peer{2};
inline constexpr NodeId third{3};
inline constexpr GroupId c0{1};
inline constexpr GroupId s1{2};
inline constexpr GroupId away{3};  // carried by others only

struct LoopTest : testing::Test {
  LoopTest() {
    const std::vector<NodeId> all{self, peer, third};
    node.config.self = self;
    node.config.groups = {GroupConfig{c0, "c0", GroupRole::coordinator, all},
                          GroupConfig{s1, "s1", GroupRole::shard, all},
                          GroupConfig{away, "s2", GroupRole::shard, {peer, third}}};
    node.config.snapshot_every = 0;
    node.config.wal.segment_bytes = 1ULL << 16U;
  }

  void open() {
    logs.clear();
    const auto opened = node.open([this](const LogSetup& setup) {
      auto made = std::make_unique<ScriptedLog>(setup);
      logs[setup.group] = made.get();
      return made;
    });
    ASSERT_TRUE(opened) << opened.error().message;
    node.settle();
    node.transport.frames.clear();  // greetings
  }
  void restart() {
    node.kill();
    open();
  }

  ScriptedLog& log(GroupId group) { return *logs.at(group); }
  TestApplication& application(GroupId group) { return *node.applications.at(group); }
  TestDatabase& database(GroupId group) { return node.databases[group]; }
  // Something happens to a group, so that the loop looks at it.
  void touch(GroupId group) { node.loop->handle(SnapshotSendEnded{peer, group, true}); }
  void flush(GroupId group) {
    touch(group);
    node.flush();
  }
  void settle(GroupId group) {
    touch(group);
    node.settle();
  }
  void commit(GroupId group, const EntryPtr& entry) { log(group).next().committed.push_back(entry); }
  EntryPtr committed(GroupId group, std::uint64_t index, Bytes payload, std::uint64_t epoch = 1) {
    auto entry = log(group).append(epoch, index, std::move(payload));
    commit(group, entry);
    return entry;
  }
  void lead(GroupId group, std::uint64_t epoch) {
    log(group).lead(epoch);
    settle(group);
    ASSERT_TRUE(application(group).leading);
  }

  // The consensus messages that left for a peer, oldest first; forgets them.
  std::vector<Bytes> consensus_to(NodeId to) {
    std::vector<Bytes> bytes;
    for (const FrameItem& item : items_to(to)) {
      if (const auto* one = std::get_if<ConsensusItem>(&item)) bytes.emplace_back(one->bytes);
    }
    node.transport.frames.clear();
    return bytes;
  }
  // Views into the frames.
  std::vector<FrameItem> items_to(NodeId to) {
    std::vector<FrameItem> all;
    for (const auto& [target, frame] : node.transport.frames) {
      std::vector<FrameItem> items;
      EXPECT_TRUE(decode_frame(frame, items));
      if (target == to) all.insert(all.end(), items.begin(), items.end());
    }
    return all;
  }
  template <class Item>
  void receive(NodeId from, const Item& item) {
    Bytes frame;
    append_header(frame, FrameHeader{from, self, 1, 0});
    append_item(frame, item);
    node.loop->handle(FrameReceived{from, frame});
  }

  TestNode node;
  std::map<GroupId, ScriptedLog*> logs;
};

}  // namespace assent
