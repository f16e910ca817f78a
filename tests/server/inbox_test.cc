#include "server/inbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace assent {
namespace {

struct CountingReader final : Inbox::FrameReader {
  void proceed() override { ++proceeded; }
  int proceeded = 0;
};

void nobody() {}

std::vector<Inbox::Item> take_now(Inbox& inbox) {
  std::vector<Inbox::Item> items;
  inbox.take(items);
  return items;
}

NodeId ready_node(const Inbox::Item& item) { return std::get<TransportReady>(std::get<Event>(item)).to; }

TEST(Inbox, GivesEverythingAtOnceInOrder) {
  Inbox inbox(nobody);
  for (std::uint64_t i = 1; i <= 100; ++i) inbox.push(TransportReady{NodeId(i)});
  const auto items = take_now(inbox);
  ASSERT_EQ(items.size(), 100U);
  for (std::uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(ready_node(items[i - 1]), NodeId(i));
  EXPECT_TRUE(take_now(inbox).empty());
}

TEST(Inbox, WakesOnceAndOnlyWhoSleeps) {
  int woken = 0;
  Inbox inbox([&] { ++woken; });
  inbox.push(TransportReady{NodeId(1)});
  EXPECT_EQ(woken, 0);
  EXPECT_FALSE(inbox.sleep());  // something is there
  EXPECT_EQ(take_now(inbox).size(), 1U);
  EXPECT_TRUE(inbox.sleep());
  inbox.push(TransportReady{NodeId(2)});
  inbox.push(TransportReady{NodeId(3)});
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(take_now(inbox).size(), 2U);
  EXPECT_TRUE(inbox.sleep());
  inbox.awake();
  inbox.push(TransportReady{NodeId(4)});
  EXPECT_EQ(woken, 1);
}

TEST(Inbox, LosesNothingOfManyThreads) {
  Inbox inbox(nobody);
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
    inbox.take(items);
    if (items.empty()) std::this_thread::yield();
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
  Inbox inbox(nobody);
  for (int i = 0; i < 10; ++i) inbox.disk_progress();
  EXPECT_EQ(take_now(inbox).size(), 1U);
  inbox.disk_progress();
  EXPECT_EQ(take_now(inbox).size(), 1U);
}

TEST(Inbox, AReaderGoesOnWhenItsFrameWasHandled) {
  Inbox inbox(nobody);
  CountingReader first;
  CountingReader second;
  inbox.push_frame({.from = NodeId(1), .frame = "a"}, first);
  inbox.read_on();
  EXPECT_EQ(first.proceeded, 0);  // nobody has taken it yet
  EXPECT_EQ(take_now(inbox).size(), 1U);
  inbox.push_frame({.from = NodeId(2), .frame = "b"}, second);
  EXPECT_EQ(first.proceeded, 0);
  inbox.read_on();
  EXPECT_EQ(first.proceeded, 1);
  EXPECT_EQ(second.proceeded, 0);
  inbox.read_on();
  EXPECT_EQ(first.proceeded, 1);
}

TEST(Inbox, ClosingLetsReadersGoAndDropsTheRest) {
  Inbox inbox(nobody);
  CountingReader taken;
  CountingReader waiting;
  CountingReader late;
  inbox.push_frame({.from = NodeId(1), .frame = "a"}, taken);
  EXPECT_EQ(take_now(inbox).size(), 1U);
  inbox.push_frame({.from = NodeId(2), .frame = "b"}, waiting);
  const auto kept = std::make_shared<int>(0);
  EXPECT_TRUE(inbox.post([kept](Loop&) {}));
  EXPECT_EQ(kept.use_count(), 2);
  inbox.close();
  EXPECT_EQ(taken.proceeded, 1);
  EXPECT_EQ(waiting.proceeded, 1);
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_FALSE(inbox.post([kept](Loop&) {}));
  inbox.push(TransportReady{NodeId(1)});
  inbox.push_frame({.from = NodeId(3), .frame = "c"}, late);
  EXPECT_EQ(late.proceeded, 1);
  EXPECT_TRUE(take_now(inbox).empty());
  EXPECT_FALSE(inbox.sleep());
}

}  // namespace
}  // namespace assent
