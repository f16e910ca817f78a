// The simulated network does to messages what it says, and nothing else.
#include "sim/network.h"

#include <gtest/gtest.h>

#include <vector>

namespace assent::sim {
namespace {

struct NetworkTest : testing::Test {
  Schedule schedule;
  Recorder recorder{schedule};
  Network network{schedule, recorder, Rng(7)};
  std::vector<int> arrived;
  const NodeId a{1};
  const NodeId b{2};

  void send(NodeId from, NodeId to, int what) {
    network.frame(from, to, [this, what] { arrived.push_back(what); });
  }
  void run() {
    while (schedule.run_next()) {
    }
  }
};

TEST_F(NetworkTest, WithoutFaultsEverythingArrivesOnceAndInOrder) {
  std::vector<int> expected;
  for (int i = 0; i < 200; ++i) {
    send(a, b, i);
    expected.push_back(i);
  }
  run();
  EXPECT_EQ(arrived, expected);
}

TEST_F(NetworkTest, LossLosesAboutItsShare) {
  NetworkFaults faults;
  faults.loss = 0.3;
  network.begin(faults);
  for (int i = 0; i < 1000; ++i) send(a, b, i);
  run();
  EXPECT_GT(arrived.size(), 600U);
  EXPECT_LT(arrived.size(), 800U);
  EXPECT_EQ(recorder.faults().at("frame lost"), 1000 - arrived.size());
}

TEST_F(NetworkTest, DuplicatesArriveTwice) {
  NetworkFaults faults;
  faults.duplicate = 1;
  network.begin(faults);
  send(a, b, 5);
  run();
  EXPECT_EQ(arrived, (std::vector<int>{5, 5}));
}

TEST_F(NetworkTest, ReorderBreaksTheOrderAndLosesNothing) {
  NetworkFaults faults;
  faults.reorder = 1;
  network.begin(faults);
  for (int i = 0; i < 100; ++i) send(a, b, i);
  run();
  EXPECT_EQ(arrived.size(), 100U);
  EXPECT_FALSE(std::is_sorted(arrived.begin(), arrived.end()));
}

TEST_F(NetworkTest, ABlockedDirectionIsSilentAndTheOtherIsNot) {
  network.block(a, b);
  send(a, b, 1);
  send(b, a, 2);
  run();
  EXPECT_EQ(arrived, std::vector<int>{2});
}

TEST_F(NetworkTest, APartitionTakesWhatIsOnItsWay) {
  send(a, b, 1);
  network.block(a, b);
  run();
  EXPECT_TRUE(arrived.empty());
}

TEST_F(NetworkTest, TwoPartitionsOfOneLinkEndOneByOne) {
  network.block(a, b);
  network.block(a, b);
  network.unblock(a, b);
  EXPECT_TRUE(network.blocked(a, b));
  network.unblock(a, b);
  EXPECT_FALSE(network.blocked(a, b));
}

TEST_F(NetworkTest, OldFramesComeAgain) {
  NetworkFaults faults;
  faults.stale = 1;
  network.begin(faults);
  for (int i = 0; i < 20; ++i) send(a, b, i);
  run();
  EXPECT_EQ(arrived.size(), 40U);
}

TEST_F(NetworkTest, AClogDelaysAllThatFollows) {
  NetworkFaults faults;
  faults.clog = 1;
  faults.clog_mean = 10 * second;
  network.begin(faults);
  send(a, b, 1);
  EXPECT_GT(network.write_time(a, b, 100), 100 * millisecond);
  run();
  EXPECT_GT(schedule.now(), 100 * millisecond);
  EXPECT_EQ(arrived, std::vector<int>{1});
}

TEST_F(NetworkTest, HealingEndsEveryFault) {
  NetworkFaults faults;
  faults.loss = 1;
  network.begin(faults);
  network.block(a, b);
  network.heal();
  send(a, b, 1);
  run();
  EXPECT_EQ(arrived, std::vector<int>{1});
}

TEST_F(NetworkTest, ASnapshotArrivesAndTheSenderHears) {
  bool told = false;
  network.snapshot(
      a, b, 1000, [this] { arrived.push_back(1); }, [&](bool delivered) { told = delivered; });
  run();
  EXPECT_EQ(arrived, std::vector<int>{1});
  EXPECT_TRUE(told);
}

TEST_F(NetworkTest, ALostSnapshotIsReportedAsNotDelivered) {
  NetworkFaults faults;
  faults.snapshot_loss = 1;
  network.begin(faults);
  bool ended = false;
  bool told = true;
  network.snapshot(
      a, b, 1000, [this] { arrived.push_back(1); },
      [&](bool delivered) {
        ended = true;
        told = delivered;
      });
  run();
  EXPECT_TRUE(arrived.empty());
  EXPECT_TRUE(ended);
  EXPECT_FALSE(told);
}

TEST(Cut, NeverCutsANodeFromItself) {
  Schedule schedule;
  Recorder recorder(schedule);
  Rng rng(3);
  for (int i = 0; i < 500; ++i) {
    for (const auto& [from, to] : draw_cut(rng, {NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)}, recorder)) {
      EXPECT_NE(from, to);
    }
  }
  EXPECT_GE(recorder.faults().size(), 6U) << "every kind of cut is drawn";
}

TEST(ScheduleOrder, RunsByTimeThenByOrderOfAsking) {
  Schedule schedule;
  std::vector<int> order;
  schedule.at(20, [&] { order.push_back(3); });
  schedule.at(10, [&] { order.push_back(1); });
  schedule.at(10, [&] {
    order.push_back(2);
    schedule.at(5, [&] { order.push_back(4); });  // the past is now
  });
  while (schedule.run_next()) {
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 4, 3}));
  EXPECT_EQ(schedule.now(), 20U);
}

}  // namespace
}  // namespace assent::sim
