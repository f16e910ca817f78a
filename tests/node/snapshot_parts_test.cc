#include "node/snapshot_parts.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/rng.h"

namespace assent {
namespace {

SnapshotLabel label_of(const Bytes& data, std::uint64_t index = 10, std::uint64_t group = 1) {
  return {GroupId(group), {{Epoch(1), Index(index)}, ClusterMillis(1), {NodeId(1)}}, data.size(), xxh3(data)};
}

Result<void> add(SnapshotParts& parts, SnapshotParts::Stream stream, const Bytes& data, std::uint64_t from,
                 std::uint64_t size) {
  const ByteView part = ByteView(data).substr(from, size);
  return parts.add(stream, from, part, chunk_checksum(from, part));
}

const Bytes data = "what a snapshot holds, and more of it";

TEST(SnapshotParts, ABrokenStreamIsGoneOnWith) {
  SnapshotParts parts;
  EXPECT_EQ(parts.held(label_of(data)), 0U);
  const auto first = parts.begin(label_of(data), 0);
  ASSERT_TRUE(first);
  ASSERT_TRUE(add(parts, *first, data, 0, 10));
  parts.leave(*first, 1);
  EXPECT_EQ(parts.held(label_of(data)), 10U);
  const auto second = parts.begin(label_of(data), 10);
  ASSERT_TRUE(second);
  ASSERT_TRUE(add(parts, *second, data, 10, 1'000));
  EXPECT_EQ(*parts.finish(*second), data);
  EXPECT_EQ(parts.held(label_of(data)), 0U);
  parts.leave(*second, 2);
  EXPECT_EQ(parts.streams(), 0U);
}

TEST(SnapshotParts, AnyOtherSnapshotBeginsAnew) {
  Bytes other = data;
  other.back() = '!';
  SnapshotLabel with_other_members = label_of(data);
  with_other_members.mark.members.voters.push_back(Member(NodeId(2)));
  for (const SnapshotLabel& next :
       {label_of(other), label_of(data, 11), label_of(data + "."), label_of(data, 10, 2), with_other_members}) {
    SnapshotParts parts;
    const auto stream = parts.begin(label_of(data), 0);
    ASSERT_TRUE(add(parts, *stream, data, 0, 10));
    parts.leave(*stream, 1);
    EXPECT_EQ(parts.held(next), 0U);
    EXPECT_EQ(parts.begin(next, 10).error().code, ErrorCode::conflict);
    EXPECT_TRUE(parts.begin(next, 0));
  }
}

TEST(SnapshotParts, ADamagedChunkIsRefusedAndComesAgain) {
  SnapshotParts parts;
  const auto stream = parts.begin(label_of(data), 0);
  ASSERT_TRUE(add(parts, *stream, data, 0, 10));
  EXPECT_EQ(parts.add(*stream, 10, "x", chunk_checksum(10, "y")).error().code, ErrorCode::corruption);
  EXPECT_EQ(parts.add(*stream, 10, "x", chunk_checksum(11, "x")).error().code, ErrorCode::corruption)
      << "of another place";
  parts.leave(*stream, 1);
  EXPECT_EQ(parts.held(label_of(data)), 10U);
  const auto next = parts.begin(label_of(data), 10);
  ASSERT_TRUE(add(parts, *next, data, 10, 1'000));
  EXPECT_EQ(*parts.finish(*next), data);
}

TEST(SnapshotParts, ChunksComeInOrderAndOnce) {
  SnapshotParts parts;
  const auto stream = parts.begin(label_of(data), 0);
  ASSERT_TRUE(add(parts, *stream, data, 0, 10));
  EXPECT_EQ(add(parts, *stream, data, 0, 10).error().code, ErrorCode::conflict);
  EXPECT_EQ(add(parts, *stream, data, 12, 2).error().code, ErrorCode::conflict);
  EXPECT_EQ(parts.finish(*stream).error().code, ErrorCode::conflict) << "not whole";
  const Bytes longer = data + "more";
  EXPECT_EQ(add(parts, *stream, longer, 10, 1'000).error().code, ErrorCode::malformed);
  ASSERT_TRUE(add(parts, *stream, data, 10, 1'000));
  EXPECT_EQ(*parts.finish(*stream), data);
}

TEST(SnapshotParts, AStreamMayBeginEarlierThanItMust) {
  SnapshotParts parts;
  const auto first = parts.begin(label_of(data), 0);
  ASSERT_TRUE(add(parts, *first, data, 0, 20));
  const auto second = parts.begin(label_of(data), 5);
  ASSERT_TRUE(second);
  ASSERT_TRUE(add(parts, *second, data, 5, 1'000));
  EXPECT_EQ(*parts.finish(*second), data);
}

TEST(SnapshotParts, ALaterStreamTakesOver) {
  SnapshotParts parts;
  const auto first = parts.begin(label_of(data), 0);
  ASSERT_TRUE(add(parts, *first, data, 0, 10));
  const auto second = parts.begin(label_of(data), 10);
  ASSERT_TRUE(second);
  EXPECT_EQ(add(parts, *first, data, 10, 5).error().code, ErrorCode::refused);
  EXPECT_EQ(parts.finish(*first).error().code, ErrorCode::refused);
  parts.leave(*first, 1);
  ASSERT_TRUE(add(parts, *second, data, 10, 1'000));
  EXPECT_EQ(parts.begin(label_of(data, 9), 0).error().code, ErrorCode::busy) << "an older one while a newer one comes";
  EXPECT_EQ(*parts.finish(*second), data);
}

TEST(SnapshotParts, WhatIsWrongAsAWholeIsDropped) {
  SnapshotParts parts;
  SnapshotLabel label = label_of(data);
  label.checksum += 1;
  const auto stream = parts.begin(label, 0);
  ASSERT_TRUE(parts.add(*stream, 0, data, std::nullopt));
  EXPECT_EQ(parts.finish(*stream).error().code, ErrorCode::corruption);
  EXPECT_EQ(parts.held(label), 0U);
}

TEST(SnapshotParts, IsBounded) {
  SnapshotParts parts({.bytes_max = 100, .streams_max = 2, .kept_max = 2, .kept_bytes_max = 50, .kept_micros_max = 10});
  EXPECT_EQ(parts.begin(label_of(Bytes(101, 'x')), 0).error().code, ErrorCode::malformed);
  const Bytes some(30, 'x');
  std::vector<SnapshotParts::Stream> streams;
  for (std::uint64_t group = 1; group <= 2; ++group) {
    const auto begun = parts.begin(label_of(some, 10, group), 0);
    ASSERT_TRUE(begun);
    streams.push_back(*begun);
    ASSERT_TRUE(add(parts, *begun, some, 0, 29));
  }
  EXPECT_EQ(parts.begin(label_of(some, 10, 3), 0).error().code, ErrorCode::busy);
  parts.leave(streams[0], 1);
  EXPECT_EQ(parts.kept_bytes(), 29U);
  parts.leave(streams[1], 2);
  EXPECT_EQ(parts.held(label_of(some, 10, 1)), 0U) << "too many bytes: the oldest went";
  EXPECT_EQ(parts.held(label_of(some, 10, 2)), 29U);
  for (std::uint64_t group = 3; group <= 4; ++group) {
    const auto begun = parts.begin(label_of(some, 10, group), 0);
    ASSERT_TRUE(add(parts, *begun, some, 0, 5));
    parts.leave(*begun, group);
  }
  EXPECT_EQ(parts.held(label_of(some, 10, 2)), 0U) << "too many parts";
  parts.expire(13);
  EXPECT_EQ(parts.held(label_of(some, 10, 3)), 5U);
  parts.expire(14);
  EXPECT_EQ(parts.held(label_of(some, 10, 3)), 0U);
  EXPECT_EQ(parts.held(label_of(some, 10, 4)), 5U);
}

// Whatever breaks, whoever sends: what is handed out is what some sender had, whole.
TEST(SnapshotParts, RandomStreams) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng(seed);
    std::vector<Bytes> all;
    for (int i = 0; i < 3; ++i) {
      Bytes bytes;
      for (std::uint64_t size = rng.below(60); size > 0; --size) bytes += static_cast<char>(rng.below(256));
      all.push_back(std::move(bytes));
    }
    SnapshotParts parts;
    std::uint64_t whole = 0;
    for (int round = 0; round < 60; ++round) {
      const Bytes& one = all[rng.below(all.size())];
      const SnapshotLabel label = label_of(one, 1 + rng.below(2));
      std::uint64_t at = parts.held(label);
      ASSERT_LE(at, one.size());
      const auto stream = parts.begin(label, at);
      ASSERT_TRUE(stream) << stream.error().message;
      while (at < one.size() && !rng.chance(0.2)) {
        const std::uint64_t size = std::min<std::uint64_t>(one.size() - at, rng.between(1, 20));
        Bytes chunk = one.substr(at, size);
        const std::uint64_t checksum = chunk_checksum(at, chunk);
        const bool damaged = rng.chance(0.1);
        if (damaged) chunk[rng.below(chunk.size())] ^= 1;
        const auto added = parts.add(*stream, at, chunk, checksum);
        ASSERT_EQ(added.has_value(), !damaged);
        if (damaged) break;
        at += size;
      }
      if (const auto done = parts.finish(*stream)) {
        ASSERT_EQ(*done, one);
        ++whole;
      } else {
        parts.leave(*stream, static_cast<std::uint64_t>(round));
      }
    }
    EXPECT_GT(whole, 0U) << seed;
  }
}

}  // namespace
}  // namespace assent
