// What a heat map is drawn of: counts by start and by how long, added over nodes.
#include "observe/latency_map.h"

#include <gtest/gtest.h>

#include <numeric>

namespace assent {
namespace {

constexpr std::size_t rows = 18;

LatencySample sample(std::int64_t started, std::uint32_t total, std::uint32_t prepare = LatencySample::none) {
  LatencySample one;
  one.started = started;
  one.total = total;
  one.phases[static_cast<std::size_t>(TxnPhase::prepare)] = prepare;
  return one;
}
v1::LatencyRequest request(std::int64_t from, std::int64_t to, std::uint32_t columns) {
  v1::LatencyRequest out;
  out.set_from_unix_micros(from);
  out.set_to_unix_micros(to);
  out.set_columns(columns);
  return out;
}
std::uint64_t sum(const v1::LatencyStrip& strip) {
  return std::accumulate(strip.counts().begin(), strip.counts().end(), std::uint64_t{0});
}

TEST(LatencyMap, EachIsCountedOnceInEachStripThatItHas) {
  LatencySamples samples(10);
  samples.add(sample(999, 100));  // before the window
  samples.add(sample(1'000, 250));
  samples.add(sample(1'000, 251, 300));
  samples.add(sample(1'999, 40'000'000));
  samples.add(sample(2'000, 100));  // behind it
  const v1::LatencyPage page = count_latencies(samples, window_of(request(1'000, 2'000, 10), 5'000));
  EXPECT_EQ(page.column_micros(), 100U);
  EXPECT_EQ(page.rows(), rows);
  EXPECT_EQ(page.transactions(), 3U);
  ASSERT_EQ(page.strips_size(), 2);
  EXPECT_EQ(page.strips(0).name(), "total");
  EXPECT_EQ(page.strips(1).name(), "prepare");
  EXPECT_EQ(sum(page.strips(0)), 3U);
  EXPECT_EQ(page.strips(0).counts(0), 1U) << "a bound is in its own bucket";
  EXPECT_EQ(page.strips(0).counts(1), 1U);
  EXPECT_EQ(page.strips(0).counts(9 * rows + 17), 1U);
  EXPECT_EQ(page.strips(1).counts(1), 1U);
}

TEST(LatencyMap, TheOldestGoesAndNumbersStayWithWhatTheyMeant) {
  LatencySamples samples(3);
  for (std::uint32_t i = 1; i <= 5; ++i) EXPECT_EQ(samples.add(sample(i, i)), i);
  EXPECT_EQ(samples.find(0), nullptr);
  EXPECT_EQ(samples.find(2), nullptr);
  EXPECT_EQ(samples.find(6), nullptr);
  for (std::uint64_t i = 3; i <= 5; ++i) EXPECT_EQ(samples.find(i)->total, i);
  EXPECT_EQ(samples.all().size(), 3U);
  LatencySamples none(0);
  EXPECT_EQ(none.add(sample(1, 1)), 0U);
}

TEST(LatencyMap, AnyWindowIsMadeUsable) {
  EXPECT_EQ(window_of({}, 6'000).columns, 60U);
  EXPECT_EQ(window_of({}, 6'000).column_micros, 100U);
  EXPECT_EQ(window_of(request(9, 5, 7), 100).column_micros, 1U);
  EXPECT_EQ(window_of(request(-5, 10, 4'000'000'000U), 100).columns, latency_columns_max);
  EXPECT_EQ(window_of(request(-5, 10, 1), 100).from, 0);
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  EXPECT_GT(window_of(request(0, most, 1), 100).column_micros, 1U);
  // Asked again for the window that it made, it is the same: on all nodes.
  const LatencyWindow odd = window_of(request(1'001, 9'998, 7), 100'000);
  const auto end = odd.from + static_cast<std::int64_t>(odd.column_micros * odd.columns);
  EXPECT_EQ(window_of(request(odd.from, end, 7), 1).column_micros, odd.column_micros);
}

TEST(LatencyMap, WhatNodesCountedIsAdded) {
  const LatencyWindow window = window_of(request(0, 1'000, 10), 5'000);
  LatencySamples here(10);
  here.add(sample(100, 10));
  LatencySamples there(10);
  there.add(sample(100, 10, 10));
  v1::LatencyPage page = count_latencies(here, window);
  add_latencies(count_latencies(there, window), page);
  EXPECT_EQ(page.transactions(), 2U);
  ASSERT_EQ(page.strips_size(), 2);
  EXPECT_EQ(page.strips(0).counts(1 * rows), 2U);
  EXPECT_EQ(sum(page.strips(1)), 1U);
  v1::LatencyPage other = count_latencies(there, window_of(request(0, 2'000, 10), 5'000));
  add_latencies(other, page);
  EXPECT_EQ(page.transactions(), 2U) << "of another window";
  v1::LatencyPage broken = count_latencies(there, window);
  broken.mutable_strips(0)->mutable_counts()->RemoveLast();
  broken.mutable_strips(1)->set_name("<b>");
  add_latencies(broken, page);
  EXPECT_EQ(sum(page.strips(0)), 2U);
  EXPECT_EQ(page.strips_size(), 2);
}

TxnRecord answered(std::uint64_t asked, std::uint64_t prepared, std::uint64_t voted, std::uint64_t told) {
  TxnRecord record;
  record.coordinator = GroupId(1);
  record.wall_offset = 1'000'000;
  const auto step = [&](Step kind, std::uint64_t micros, GroupId peer = {}) {
    TxnStep& one = record.steps.emplace_back();
    one.micros = micros;
    one.at = GroupId(1);
    one.peer = peer;
    one.step = kind;
  };
  step(Step::asked, asked);
  step(Step::prepare_sent, prepared, GroupId(2));
  step(Step::vote_heard, voted, GroupId(2));
  step(Step::answered, told);
  return record;
}

TEST(LatencyMap, ARectangleHasItsEdges) {
  const TxnRecord record = answered(100, 150, 450, 500);  // from 1,000,100; 400 in all
  v1::TxnsRequest request;
  EXPECT_TRUE(in_rectangle(record, request));
  EXPECT_FALSE(names_rectangle(request));
  request.set_started_from_unix_micros(1'000'100);
  request.set_started_to_unix_micros(1'000'101);
  request.set_over_micros(399);
  request.set_upto_micros(400);
  EXPECT_TRUE(in_rectangle(record, request));
  request.set_over_micros(400);
  EXPECT_FALSE(in_rectangle(record, request));
  request.set_over_micros(0);
  request.set_upto_micros(399);
  EXPECT_FALSE(in_rectangle(record, request));
  request.set_upto_micros(0);
  request.set_started_to_unix_micros(1'000'100);
  EXPECT_FALSE(in_rectangle(record, request));
  request.set_started_to_unix_micros(0);
  request.set_started_from_unix_micros(1'000'101);
  EXPECT_FALSE(in_rectangle(record, request));
  request.Clear();
  request.set_by("decide");
  EXPECT_FALSE(in_rectangle(record, request)) << "it has no such phase";
  request.set_by("prepare");
  EXPECT_TRUE(in_rectangle(record, request));
  TxnRecord running = record;
  running.steps.pop_back();
  EXPECT_FALSE(in_rectangle(running, request));
  EXPECT_FALSE(in_rectangle(TxnRecord(), request));
}

}  // namespace
}  // namespace assent
