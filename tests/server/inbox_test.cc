#include "server/inbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace assent {
namespace {

using Steady = std::chrono::steady_clock;

struct CountingReader final : Inbox::FrameReader {
  void proceed() override { ++proceeded; }
  std::atomic<int> proceeded = 0;
};

std::vector<Inbox::Item> take_now(Inbox& inbox) {
  std::vector<Inbox::Item> items;
  inbox.take(items, Steady::now());
  return items;
}

NodeId ready_node(const Inbox::Item& item) { return std::get<TransportReady>(std::get<Event>(item)).to; }

TEST(Inbox, GivesEverythingAtOnceInOrder) {
  Inbox inbox;
  for (std::uint64_t i = 1; i <= 100; ++i) inbox.push(TransportReady{NodeId(i)});
  const auto items = take_now(inbox);
  ASSERT_EQ(items.size(), 100U);
  for (std::uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(ready_node(items[i - 1]), NodeId(i));
  EXPECT_TRUE(take_now(inbox).empty());
}

TEST(Inbox, ReturnsEmptyHandedWhenTheTimeIsUp) {
  Inbox inbox;
  std::vector<Inbox::Item> items(3);
  inbox.take(items, Steady::now() + std::chrono::milliseconds(1));
  EXPECT_TRUE(items.empty());
}

TEST(Inbox, WakesTheLoop) {
  Inbox inbox;
  std::thread other([&] { inbox.push(TransportReady{NodeId(7)}); });
  std::vector<Inbox::Item> items;
  while (items.empty()) inbox.take(items, Steady::now() + std::chrono::hours(1));
  other.join();
  EXPECT_EQ(ready_node(items[0]), NodeId(7));
}

TEST(Inbox, LosesNothingOfManyThreads) {
  Inbox inbox;
  constexpr std::uint64_t threads = 4;
  constexpr std::uint64_t each = 5'000;
  std::vector<std::thread> writers;
  for (std::uint64_t t = 0; t < threads; ++t) {
    writers.emplace_back([&inbox, t] {
      for (std::uint64_t i = 0; i < each; ++i) inbox.push(TransportReady{NodeId(t * each + i + 1)});
    });
  }
  std::vector<std::uint64_t> last(threads, 0);
  std::uint64_t seen = 0;
  std::vector<Inbox::Item> items;
  while (seen < threads * each) {
    inbox.take(items, Steady::now() + std::chrono::hours(1));
    for (const Inbox::Item& item : items) {
      const std::uint64_t number = ready_node(item).value;
      std::uint64_t& before = last[(number - 1) / each];
      EXPECT_GT(number, before);  // each thread's own order is kept
      before = number;
    }
    seen += items.size();
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(seen, threads * each);
}

TEST(Inbox, ManyDiskWakeUpsAreOne) {
  Inbox inbox;
  for (int i = 0; i < 10; ++i) inbox.disk_progress();
  EXPECT_EQ(take_now(inbox).size(), 1U);
  inbox.disk_progress();
  EXPECT_EQ(take_now(inbox).size(), 1U);
}

TEST(Inbox, HoldsReadersBackWhenFramesPileUp) {
  Inbox inbox(100);
  CountingReader reader;
  inbox.push_frame({.from = NodeId(1), .frame = Bytes(60, 'a')}, reader);
  EXPECT_EQ(reader.proceeded, 1);
  inbox.push_frame({.from = NodeId(1), .frame = Bytes(60, 'b')}, reader);
  EXPECT_EQ(reader.proceeded, 1);  // waits, but its frame is in
  EXPECT_EQ(take_now(inbox).size(), 2U);
  EXPECT_EQ(reader.proceeded, 2);
  inbox.push_frame({.from = NodeId(1), .frame = Bytes(60, 'c')}, reader);
  EXPECT_EQ(reader.proceeded, 3);
}

TEST(Inbox, ClosingLetsReadersGoAndDropsTheRest) {
  Inbox inbox(10);
  CountingReader reader;
  inbox.push_frame({.from = NodeId(1), .frame = Bytes(20, 'a')}, reader);
  const auto kept = std::make_shared<int>(0);
  EXPECT_TRUE(inbox.post([kept](Loop&) {}));
  EXPECT_EQ(kept.use_count(), 2);
  inbox.close();
  EXPECT_EQ(reader.proceeded, 1);
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_FALSE(inbox.post([kept](Loop&) {}));
  inbox.push(TransportReady{NodeId(1)});
  inbox.push_frame({.from = NodeId(1), .frame = Bytes(20, 'a')}, reader);
  EXPECT_EQ(reader.proceeded, 2);
  std::vector<Inbox::Item> items;
  inbox.take(items, Steady::now() + std::chrono::hours(1));  // does not wait
  EXPECT_TRUE(items.empty());
}

}  // namespace
}  // namespace assent
