#include "consensus/raft/message_codec.h"

#include <gtest/gtest.h>

#include "base/byte_codec.h"
#include "base/rng.h"
#include "consensus/raft/hard_state.h"
#include "consensus/raft/raft_factory.h"

namespace assent::raft {
namespace {

constexpr GroupId group{7};

EntryPtr entry(std::uint64_t epoch, std::uint64_t index, std::uint64_t stamp, Bytes payload) {
  return std::make_shared<const Entry>(Entry{.epoch = Epoch(epoch),
                                             .index = Index(index),
                                             .stamp = ClusterMillis(stamp),
                                             .kind = payload.empty() ? EntryKind::epoch_start : EntryKind::command,
                                             .payload = std::move(payload)});
}

std::vector<Message> samples() {
  const Position at{Epoch(3), Index(9)};
  return {
      PreVoteRequest{.term = Epoch(4), .last = at},
      PreVoteReply{.term = Epoch(4), .proposed = Epoch(5), .granted = true},
      VoteRequest{.term = Epoch(5), .last = at, .forced = true},
      VoteReply{.term = Epoch(5), .granted = true},
      AppendRequest{.term = Epoch(5), .prev = at, .commit = Index(8), .entries = {}},
      AppendRequest{.term = Epoch(5),
                    .prev = at,
                    .commit = Index(8),
                    .entries = {entry(3, 10, 100, "a"), entry(5, 11, 100, ""), entry(5, 12, 101, Bytes(300, '\0'))}},
      AppendAccept{.term = Epoch(5), .match = Index(12)},
      AppendReject{.term = Epoch(5), .rejected = Index(9), .hint = at},
      AppendReject{.term = Epoch(5), .rejected = no_request, .hint = at},
      Heartbeat{.term = Epoch(5), .commit = Index(8), .round = 77},
      HeartbeatReply{.term = Epoch(5), .round = 77},
      TimeoutNow{.term = Epoch(5)},
      StaleTerm{.term = Epoch(6)},
      Sleep{.term = Epoch(5), .last = Index(12), .round = 3},
      SleepReply{.term = Epoch(5), .round = 3},
      LeaseRequest{.term = Epoch(5), .sent = 1'000'000},
      LeaseGrant{.term = Epoch(5), .sent = 1'000'000},
      ReadPointRequest{.term = Epoch(5), .sent = 1'000'000},
      ReadPointReply{.term = Epoch(5), .sent = 1'000'000, .index = Index(12)}};
}

TEST(MessageCodec, F2_every_message_comes_back_as_it_was) {
  for (const Message& message : samples()) {
    const Bytes bytes = encode(group, message);
    const auto decoded = decode(group, bytes);
    ASSERT_TRUE(decoded) << describe(message);
    EXPECT_EQ(decoded->index(), message.index());
    EXPECT_EQ(encode(group, *decoded), bytes) << describe(message);
    EXPECT_EQ(describe(*decoded), describe(message));
  }
  const auto decoded = decode(group, encode(group, samples()[5]));
  const auto& append = std::get<AppendRequest>(*decoded);
  ASSERT_EQ(append.entries.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(*append.entries[i], *std::get<AppendRequest>(samples()[5]).entries[i]);
}

TEST(MessageCodec, B01_no_prefix_and_no_extension_of_a_message_is_one) {
  for (const Message& message : samples()) {
    const Bytes bytes = encode(group, message);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(decode(group, ByteView(bytes).substr(0, size)));
    EXPECT_FALSE(decode(group, bytes + '\0'));
  }
}

TEST(MessageCodec, B04_foreign_groups_and_numbers_near_the_end_are_no_messages) {
  for (const Message& message : samples()) EXPECT_FALSE(decode(GroupId(8), encode(group, message)));
  for (const std::uint64_t high : {number_max, ~std::uint64_t{0}}) {
    EXPECT_FALSE(decode(group, encode(group, StaleTerm{.term = Epoch(high)})));
    EXPECT_FALSE(decode(group, encode(group, AppendAccept{.term = Epoch(1), .match = Index(high)})));
    EXPECT_FALSE(decode(group, encode(group, Heartbeat{.term = Epoch(1), .commit = Index(high), .round = 0})));
    EXPECT_FALSE(decode(group, encode(group, VoteRequest{.term = Epoch(1), .last = {Epoch(high), Index(1)}})));
    EXPECT_FALSE(decode(
        group,
        encode(group, AppendRequest{.term = Epoch(1), .prev = {Epoch(1), Index(high)}, .commit = {}, .entries = {}})));
  }
}

TEST(MessageCodec, M05_a_letter_says_which_incarnations_it_is_between) {
  for (const Message& message : samples()) {
    const Bytes bytes = encode(group, message, {.from = 3, .to = 0});
    const auto letter = decode_letter(group, bytes);
    ASSERT_TRUE(letter);
    EXPECT_EQ(letter->between.from, 3U);
    EXPECT_EQ(letter->between.to, 0U);
    EXPECT_EQ(encode(group, letter->message, letter->between), bytes);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode_letter(group, bytes.substr(0, cut)));
  }
  Bytes founders = encode(group, samples()[0], {.from = 3, .to = 0});
  founders.replace(17, 8, 8, '\0');
  EXPECT_FALSE(decode_letter(group, founders)) << "one message has one form";
}

TEST(MessageCodec, a_membership_that_cannot_be_is_no_message) {
  const auto with = [](Bytes payload) {
    const Entry entry{Epoch(3), Index(10), ClusterMillis(1), EntryKind::membership, std::move(payload)};
    return decode(group, encode(group, AppendRequest{.term = Epoch(5),
                                                     .prev = {Epoch(3), Index(9)},
                                                     .commit = {},
                                                     .entries = {std::make_shared<const Entry>(entry)}}));
  };
  EXPECT_TRUE(with(encode_membership({NodeId(1), NodeId(2)})));
  EXPECT_FALSE(with(encode_membership({NodeId(2), NodeId(1)})));
  EXPECT_FALSE(with(""));
}

TEST(MessageCodec, entries_that_are_no_piece_of_a_log_are_no_message) {
  const auto with = [](std::vector<EntryPtr> entries) {
    return decode(group, encode(group, AppendRequest{.term = Epoch(5),
                                                     .prev = {Epoch(3), Index(9)},
                                                     .commit = {},
                                                     .entries = std::move(entries)}));
  };
  EXPECT_TRUE(with({entry(3, 10, 1, "a")}));
  EXPECT_FALSE(with({entry(2, 10, 1, "a")})) << "epoch goes back";
  EXPECT_FALSE(with({entry(6, 10, 1, "a")})) << "epoch beyond the term";
  EXPECT_FALSE(with({entry(3, 10, 2, "a"), entry(3, 11, 1, "b")})) << "stamp goes back";
}

TEST(MessageCodec, a_count_that_the_bytes_cannot_hold_allocates_nothing) {
  Bytes bytes = encode(group, samples()[4]);
  bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\xff");
  EXPECT_FALSE(decode(group, bytes));
}

TEST(MessageCodec, B01_garbage_and_damaged_messages_are_messages_or_nothing) {
  Rng rng(3);
  std::size_t sound = 0;
  for (int i = 0; i < 200'000; ++i) {
    Bytes bytes;
    if (rng.chance(0.5)) {
      bytes.resize(rng.below(80));
      for (char& c : bytes) c = static_cast<char>(rng.next());
      if (!bytes.empty()) bytes[0] = static_cast<char>(rng.below(13) + 128 * rng.below(2));
    } else {
      const auto all = samples();
      bytes = encode(group, all[rng.below(all.size())], {.from = rng.below(2), .to = rng.below(2)});
      for (std::uint64_t n = rng.between(1, 3); n > 0; --n)
        bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
    }
    if (const auto letter = decode_letter(group, bytes)) {
      ++sound;
      ASSERT_EQ(encode(group, letter->message, letter->between), bytes);
    }
  }
  EXPECT_GT(sound, 1'000U);
}

TEST(HardState, comes_back_and_refuses_anything_else) {
  const HardState state{.term = Epoch(9), .vote = NodeId(2)};
  const Bytes bytes = encode_hard_state(state);
  EXPECT_EQ(decode_hard_state(bytes), state);
  EXPECT_EQ(decode_hard_state(""), HardState{});
  for (std::size_t size = 1; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_hard_state(ByteView(bytes).substr(0, size)));
  EXPECT_FALSE(decode_hard_state(bytes + 'x'));
  Bytes newer = bytes;
  newer[0] = 2;
  EXPECT_FALSE(decode_hard_state(newer));
}

}  // namespace
}  // namespace assent::raft
