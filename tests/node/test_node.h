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
  CollectingTransport transport;
  TestClock clock;
  std::map<GroupId, TestDatabase> databases;
  std::map<GroupId, TestApplication*> applications;  // of this life
  std::unique_ptr<Loop> loop;
  std::map<RequestId, std::vector<Result<ClientAnswer>>> replies;
  ApplicationFactory factory;  // instead of test applications

  Result<void> open(const LogFactory& logs) {
    ++config.incarnation;
    auto opened = Loop::open(config, disk, transport, clock, logs,
                             [this](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
                               if (factory) return factory(group);
                               auto made = std::make_unique<TestApplication>(group.id, databases[group.id]);
                               applications[group.id] = made.get();
                               return std::unique_ptr<Application>(std::move(made));
                             });
    if (!opened) return fail(opened.error());
    loop = std::move(*opened);
    return {};
  }
  // The process ends; what its disk had not synced is gone.
  void kill() {
    loop.reset();
    applications.clear();
    transport.frames.clear();
    transport.snapshots.clear();
    disk.crash();
  }

  void flush() {
    loop->flush();
    for (ClientReply& reply : loop->take_replies()) replies[reply.id].push_back(std::move(reply.answer));
  }
  // Until the disk has nothing left to say.
  void settle() {
    flush();
    while (!loop->failure() && (disk.has_completions() || loop->has_more())) {
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
