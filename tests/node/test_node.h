// One node around a Loop for the tests: disk in memory, databases that outlive the process, and a transport that
// collects.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "node/frame.h"
#include "node/loop.h"
#include "node/loop_set.h"
#include "tests/node/test_application.h"
#include "tests/node/test_disk.h"

namespace assent {

struct CollectingTransport final : Transport {
  [[nodiscard]] bool ready(NodeId to) const override { return !blocked.contains(to); }
  void send(NodeId to, Bytes frame) override { frames.emplace_back(to, std::move(frame)); }
  void send_snapshot(NodeId to, SnapshotTransfer transfer) override { snapshots.emplace_back(to, std::move(transfer)); }

  std::set<NodeId> blocked;
  std::deque<std::pair<NodeId, Bytes>> frames;
  std::deque<std::pair<NodeId, SnapshotTransfer>> snapshots;
};

struct TestClock final : Clock {
  [[nodiscard]] ClusterMillis wall() const override { return ClusterMillis(now); }
  [[nodiscard]] std::uint64_t monotonic_micros() const override { return now * 1000; }
  std::uint64_t now = 1'700'000'000'000;
};

struct TestNode {
  NodeConfig config;
  TestDisk disk;
  std::deque<TestDisk> more_disks;  // of the loops but the first
  CollectingTransport transport;
  TestClock clock;
  std::map<GroupId, TestDatabase> databases;
  std::map<GroupId, TestApplication*> applications;  // of this life
  std::unique_ptr<Loop> loop;
  std::map<RequestId, std::vector<Result<ClientAnswer>>> replies;
  ApplicationFactory factory;  // instead of test applications
  std::size_t loops = 1;

  Result<void> open(const LogFactory& logs) {
    ++config.incarnation;
    const ApplicationFactory make = [this](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
      if (factory) return factory(group);
      auto made = std::make_unique<TestApplication>(group.id, databases[group.id]);
      applications[group.id] = made.get();
      return std::unique_ptr<Application>(std::move(made));
    };
    auto opened = loops == 1 ? Loop::open(config, disk, transport, clock, logs, make) : open_lanes(logs, make);
    if (!opened) return fail(opened.error());
    loop = std::move(*opened);
    return {};
  }
  Result<std::unique_ptr<Loop>> open_lanes(const LogFactory& logs, const ApplicationFactory& make) {
    if (more_disks.size() + 1 < loops) more_disks.resize(loops - 1);
    std::vector<std::unique_ptr<Lane>> lanes;
    for (std::size_t i = 0; i < loops; ++i) {
      auto lane = InlineLane::open(lane_config(config, i, loops), i == 0 ? disk : more_disks[i - 1], clock, logs, make);
      if (!lane) return fail(lane.error());
      lanes.push_back(std::move(*lane));
    }
    return make_loop_set(config, std::move(lanes), transport);
  }
  // The process ends; what its disk had not synced is gone.
  void kill() {
    loop.reset();
    applications.clear();
    transport.frames.clear();
    transport.snapshots.clear();
    disk.crash();
    for (TestDisk& more : more_disks) more.crash();
  }

  void flush() {
    loop->flush();
    for (ClientReply& reply : loop->take_replies()) replies[reply.id].push_back(std::move(reply.answer));
  }
  // Until the disk has nothing left to say.
  void settle() {
    flush();
    const auto has_completions = [](const TestDisk& one) { return one.has_completions(); };
    while (!loop->failure() && (disk.has_completions() || loop->has_more() ||
                                std::any_of(more_disks.begin(), more_disks.end(), has_completions))) {
      loop->handle(DiskProgress{});
      flush();
    }
  }
  void request(ClientRequest request) { loop->handle(std::move(request)); }
  // The one reply to a request, which must have come.
  [[nodiscard]] const Result<ClientAnswer>& reply(std::uint64_t id) {
    static const Result<ClientAnswer> none = fail(ErrorCode::unknown_outcome, "no reply in the test");
    const auto found = replies.find(RequestId(id));
    EXPECT_TRUE(found != replies.end()) << "request " << id << " has no reply";
    if (found == replies.end()) return none;
    EXPECT_EQ(found->second.size(), 1U) << "request " << id;
    return found->second.front();
  }
  [[nodiscard]] bool answered(std::uint64_t id) const { return replies.contains(RequestId(id)); }
};

}  // namespace assent
