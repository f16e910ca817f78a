// The Raft core against hand-made messages: what no honest cluster produces, and what is easier to say in code than in
// a transcript.
#include "consensus/raft/raft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"
#include "tests/consensus/cluster.h"
#include "tests/consensus/raft_cases.h"

namespace assent::raft {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr GroupId group{7};
const std::vector<NodeId> three{NodeId(1), NodeId(2), NodeId(3)};

DurableLog stored(std::uint64_t term, const std::vector<std::uint64_t>& epochs, Position snapshot = {}) {
  DurableLog durable;
  durable.hard_state = encode_hard_state({.term = Epoch(term), .vote = {}});
  if (!snapshot.index.none()) durable.snapshot = {.last = snapshot, .stamp = {}, .members = three};
  Index index = snapshot.index;
  for (const std::uint64_t epoch : epochs) {
    index = index.next();
    durable.entries.push_back(std::make_shared<const Entry>(
        Entry{.epoch = Epoch(epoch), .index = index, .stamp = {}, .kind = EntryKind::command, .payload = "x"}));
  }
  return durable;
}

Raft make(DurableLog durable = {}, std::vector<NodeId> members = three) {
  return {{.self = NodeId(1), .group = group, .members = std::move(members), .seed = 1, .durable = std::move(durable)},
          testing::small_raft_options()};
}

void tell(Raft& raft, std::uint64_t from, const Message& message) {
  raft.receive(NodeId(from), encode(group, message));
}

EntryPtr entry(std::uint64_t epoch, std::uint64_t index) {
  return std::make_shared<const Entry>(
      Entry{.epoch = Epoch(epoch), .index = Index(index), .stamp = {}, .kind = EntryKind::command, .payload = "y"});
}

Message append(std::uint64_t term, Position prev, std::vector<EntryPtr> entries, std::uint64_t commit = 0) {
  return AppendRequest{.term = Epoch(term), .prev = prev, .commit = Index(commit), .entries = std::move(entries)};
}

Output settle(Raft& raft) {
  Output out = raft.take_output();
  raft.durable(out.number);
  return out;
}

template <class M>
std::vector<M> of_kind(const std::vector<ConsensusMessage>& messages) {
  std::vector<M> found;
  for (const ConsensusMessage& message : messages) {
    const auto decoded = decode(group, message.bytes);
    if (decoded && std::holds_alternative<M>(*decoded)) found.push_back(std::get<M>(*decoded));
  }
  return found;
}

// n1 leads term 1 of a fresh group, with its epoch_start durable everywhere.
Raft leader() {
  Raft raft = make();
  for (int i = 0; i < 100 && raft.role_name() == "follower"; ++i) raft.tick();
  (void)settle(raft);
  tell(raft, 2, PreVoteReply{.term = Epoch(0), .proposed = Epoch(1), .granted = true});
  (void)settle(raft);
  tell(raft, 2, VoteReply{.term = Epoch(1), .granted = true});
  (void)settle(raft);
  for (const std::uint64_t peer : {2U, 3U}) tell(raft, peer, AppendAccept{.term = Epoch(1), .match = Index(1)});
  (void)settle(raft);
  EXPECT_TRUE(raft.status().leadership.self_ready);
  return raft;
}

// ---- steady state ----

TEST(Raft, many_proposals_between_two_outputs_leave_in_one_message_a_follower_at_once) {
  Raft raft = leader();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(raft.propose("x", ClusterMillis(1)));
  const Output out = raft.take_output();
  EXPECT_THAT(out.append, SizeIs(50));
  ASSERT_THAT(out.send_now, SizeIs(2));
  EXPECT_THAT(of_kind<AppendRequest>(out.send_now).front().entries, SizeIs(50));
  EXPECT_EQ(out.send_now[0].bytes, out.send_now[1].bytes);
  EXPECT_THAT(out.send_after_sync, IsEmpty());
  // The next ones do not wait for an answer to these.
  ASSERT_TRUE(raft.propose("y", ClusterMillis(1)));
  EXPECT_THAT(raft.take_output().send_now, SizeIs(2));
}

TEST(Raft, a_commit_sends_nothing_of_its_own_but_is_told_within_a_tick) {
  Raft raft = leader();
  ASSERT_TRUE(raft.propose("x", ClusterMillis(1)));
  (void)settle(raft);
  for (const std::uint64_t peer : {2U, 3U}) tell(raft, peer, AppendAccept{.term = Epoch(1), .match = Index(2)});
  const Output committed = raft.take_output();
  EXPECT_THAT(committed.committed, SizeIs(1));
  EXPECT_THAT(committed.send_now, IsEmpty());
  raft.tick();
  const Output told = raft.take_output();
  ASSERT_THAT(told.send_now, SizeIs(2));
  EXPECT_EQ(of_kind<Heartbeat>(told.send_now).front().commit, Index(2));
}

TEST(Raft, a_follower_acknowledges_several_appends_of_one_output_once) {
  Raft raft = make(stored(1, {1}));
  tell(raft, 2, append(1, {Epoch(1), Index(1)}, {entry(1, 2)}));
  tell(raft, 2, append(1, {Epoch(1), Index(2)}, {entry(1, 3)}));
  const Output out = raft.take_output();
  EXPECT_THAT(out.send_now, IsEmpty());
  const auto accepts = of_kind<AppendAccept>(out.send_after_sync);
  ASSERT_THAT(accepts, SizeIs(1));
  EXPECT_EQ(accepts.front().match, Index(3));
}

TEST(Raft, a_heartbeat_is_answered_without_waiting_for_entries_under_way) {
  Raft raft = make(stored(1, {1}));
  tell(raft, 2, append(1, {Epoch(1), Index(1)}, {entry(1, 2)}));
  tell(raft, 2, Heartbeat{.term = Epoch(1), .commit = {}, .round = 4});
  EXPECT_THAT(of_kind<HeartbeatReply>(raft.take_output().send_now), SizeIs(1));
  // ... but a term that is not durable yet must be, first (R6).
  tell(raft, 3, Heartbeat{.term = Epoch(2), .commit = {}, .round = 1});
  const Output out = raft.take_output();
  EXPECT_TRUE(out.hard_state);
  EXPECT_THAT(of_kind<HeartbeatReply>(out.send_now), IsEmpty());
  EXPECT_THAT(of_kind<HeartbeatReply>(out.send_after_sync), SizeIs(1));
}

TEST(Raft, R6_a_vote_and_its_term_are_in_the_output_that_the_answer_waits_for) {
  Raft raft = make();
  tell(raft, 2, VoteRequest{.term = Epoch(1), .last = {}});
  const Output out = raft.take_output();
  ASSERT_TRUE(out.hard_state);
  EXPECT_EQ(decode_hard_state(*out.hard_state), (HardState{.term = Epoch(1), .vote = NodeId(2)}));
  EXPECT_THAT(out.send_now, IsEmpty());
  EXPECT_THAT(of_kind<VoteReply>(out.send_after_sync), SizeIs(1));
}

TEST(Raft, a_copy_goes_its_own_way) {
  Raft one = leader();
  Raft two = one;
  EXPECT_EQ(one.digest(), two.digest());
  ASSERT_TRUE(two.propose("x", ClusterMillis(1)));
  EXPECT_NE(one.digest(), two.digest());
  EXPECT_EQ(one.status().last, Index(1));
}

// ---- lost entries ----

TEST(Raft, a_heartbeat_beyond_the_own_log_is_answered_with_what_is_left) {
  Raft raft = make(stored(1, {1, 1}));
  tell(raft, 2, Heartbeat{.term = Epoch(1), .commit = Index(2), .round = 1});
  EXPECT_THAT(of_kind<AppendReject>(settle(raft).send_now), IsEmpty());
  tell(raft, 2, Heartbeat{.term = Epoch(1), .commit = Index(3), .round = 2});
  const Output out = settle(raft);
  EXPECT_THAT(of_kind<HeartbeatReply>(out.send_now), SizeIs(1)) << "besides the usual answer";
  const auto words = of_kind<AppendReject>(out.send_now);
  ASSERT_THAT(words, SizeIs(1));
  EXPECT_EQ(words.front().rejected, no_request);
  EXPECT_EQ(words.front().hint, (Position{Epoch(1), Index(2)}));
  EXPECT_EQ(raft.commit(), Index(2));
  tell(raft, 2, Sleep{.term = Epoch(1), .last = Index(3), .round = 1});
  EXPECT_THAT(of_kind<AppendReject>(settle(raft).send_now), SizeIs(1));
  EXPECT_FALSE(raft.asleep());
}

TEST(Raft, a_leader_takes_back_what_a_follower_lost_and_nothing_that_is_committed) {
  Raft raft = leader();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(raft.propose("x", ClusterMillis(1)));
  (void)settle(raft);
  for (const std::uint64_t peer : {2U, 3U}) tell(raft, peer, AppendAccept{.term = Epoch(1), .match = Index(4)});
  (void)settle(raft);
  ASSERT_EQ(raft.commit(), Index(4));
  const AppendReject word{.term = Epoch(1), .rejected = no_request, .hint = {Epoch(1), Index(2)}};
  tell(raft, 3, word);
  const auto sent = of_kind<AppendRequest>(settle(raft).send_now);
  ASSERT_THAT(sent, SizeIs(1)) << "without a new command";
  EXPECT_EQ(sent.front().prev.index, Index(2));
  EXPECT_THAT(sent.front().entries, SizeIs(2));
  EXPECT_EQ(raft.commit(), Index(4));
  const Progress* progress = std::get<Leader>(raft.role()).find(NodeId(3));
  EXPECT_EQ(progress->match(), Index(2));
  // Once more, and late.
  tell(raft, 3, word);
  EXPECT_THAT(settle(raft).send_now, IsEmpty());
  tell(raft, 3, AppendAccept{.term = Epoch(1), .match = Index(4)});
  tell(raft, 3, word);
  EXPECT_THAT(of_kind<AppendRequest>(settle(raft).send_now), SizeIs(1));
  tell(raft, 3, AppendAccept{.term = Epoch(1), .match = Index(4)});
  EXPECT_EQ(progress->match(), Index(4));
  EXPECT_EQ(raft.commit(), Index(4));
  // Of another term, or from nobody: nothing.
  tell(raft, 3, AppendReject{.term = Epoch(0), .rejected = no_request, .hint = {}});
  tell(raft, 9, word);
  EXPECT_EQ(progress->match(), Index(4));
}

TEST(Raft, whoever_lost_all_votes_by_what_it_had) {
  Raft raft({.self = NodeId(1),
             .group = group,
             .members = three,
             .seed = 1,
             .durable = stored(3, {}),
             .left = {Epoch(3), Index(7)}},
            testing::small_raft_options());
  const auto granted = [&raft](Position last) {
    tell(raft, 2, PreVoteRequest{.term = Epoch(3), .last = last});
    const auto replies = of_kind<PreVoteReply>(settle(raft).send_after_sync);
    return replies.size() == 1 && replies.front().granted;
  };
  EXPECT_FALSE(granted({Epoch(3), Index(6)}));
  EXPECT_FALSE(granted({Epoch(2), Index(9)}));
  EXPECT_TRUE(granted({Epoch(3), Index(7)}));
  EXPECT_TRUE(granted({Epoch(4), Index(1)}));
  for (int i = 0; i < 200; ++i) raft.tick();
  EXPECT_EQ(raft.role_name(), "follower") << "it asks, and campaigns not";
  EXPECT_EQ(raft.term(), Epoch(3));
  EXPECT_FALSE(settle(raft).send_now.empty());
  tell(raft, 2, TimeoutNow{.term = Epoch(3)});
  EXPECT_EQ(raft.role_name(), "follower");
}

// ---- bounds ----

TEST(Raft, L8_reads_beyond_the_limit_are_busy) {
  RaftOptions options = testing::small_raft_options();
  options.reads_max = 2;
  Raft raft({.self = NodeId(1), .group = group, .members = {NodeId(1)}, .seed = 1, .durable = {}}, options);
  for (int i = 0; i < 4; ++i) {
    raft.tick();
    (void)settle(raft);
  }
  (void)settle(raft);
  ASSERT_TRUE(raft.request_read(ReadId(1)));
  ASSERT_TRUE(raft.request_read(ReadId(2)));
  const auto third = raft.request_read(ReadId(3));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::busy);
  EXPECT_THAT(raft.take_output().reads, SizeIs(2));
  EXPECT_TRUE(raft.request_read(ReadId(4)));
}

TEST(Raft, L8_a_full_log_is_busy_until_a_snapshot_makes_room) {
  RaftOptions options = testing::small_raft_options();
  options.log_bytes_max = 2'000;
  options.tail_entries_max = 0;
  Raft raft({.self = NodeId(1), .group = group, .members = {NodeId(1)}, .seed = 1, .durable = {}}, options);
  for (int i = 0; i < 4; ++i) {
    raft.tick();
    (void)settle(raft);
  }
  Result<Position> last = raft.propose("x", ClusterMillis(1));
  while (last) {
    (void)settle(raft);
    last = raft.propose("x", ClusterMillis(1));
  }
  EXPECT_EQ(last.error().code, ErrorCode::busy);
  (void)settle(raft);
  (void)settle(raft);
  const auto mark = raft.mark_at(raft.status().committed);
  ASSERT_TRUE(mark);
  raft.snapshot_taken(*mark);
  EXPECT_TRUE(raft.propose("x", ClusterMillis(1)));
  EXPECT_LT(raft.status().log_bytes, 200U);
}

TEST(Raft, mark_at_knows_what_was_handed_out_and_still_is_in_memory) {
  Raft raft = make(stored(3, {2, 3}, {Epoch(2), Index(10)}));
  EXPECT_EQ(raft.mark_at(Index(10)).value().last, (Position{Epoch(2), Index(10)}));
  for (const std::uint64_t index : {0U, 9U, 11U, 13U}) {
    const auto mark = raft.mark_at(Index(index));
    ASSERT_FALSE(mark) << index;
    EXPECT_EQ(mark.error().code, ErrorCode::compacted);
  }
}

// ---- logs and snapshots ----

TEST(Raft, C21_an_append_that_begins_inside_the_snapshot_and_reaches_beyond_it_is_stored_from_there) {
  Raft raft = make(stored(3, {3}, {Epoch(2), Index(10)}));
  tell(raft, 2,
       append(3, {Epoch(1), Index(7)}, {entry(1, 8), entry(2, 9), entry(2, 10), entry(3, 11), entry(3, 12)}, 12));
  const Output out = settle(raft);
  ASSERT_THAT(out.append, SizeIs(1));
  EXPECT_EQ(out.append.front()->index, Index(12));
  EXPECT_THAT(out.committed, SizeIs(2));
  EXPECT_EQ(of_kind<AppendAccept>(out.send_after_sync).front().match, Index(12));
}

TEST(Raft, C21_an_append_that_lies_inside_the_snapshot_is_acknowledged_up_to_what_is_committed) {
  Raft raft = make(stored(3, {3}, {Epoch(2), Index(10)}));
  tell(raft, 2, append(3, {Epoch(1), Index(7)}, {entry(1, 8)}));
  EXPECT_EQ(of_kind<AppendAccept>(settle(raft).send_after_sync).front().match, Index(10));
}

TEST(Raft, an_append_commits_no_more_than_it_vouches_for) {
  // 2@2 may differ from the leader's: the append says nothing about it.
  Raft raft = make(stored(2, {1, 2}));
  tell(raft, 2, append(3, {Epoch(1), Index(1)}, {}, 9));
  EXPECT_EQ(raft.status().committed, Index(1));
}

TEST(Raft, an_append_that_would_replace_what_is_committed_is_ignored) {
  Raft raft = make(stored(1, {1, 1}));
  tell(raft, 2, append(1, {Epoch(1), Index(2)}, {}, 2));
  ASSERT_EQ(raft.status().committed, Index(2));
  (void)settle(raft);
  tell(raft, 3, append(2, {Epoch(1), Index(1)}, {entry(2, 2), entry(2, 3)}, 3));
  EXPECT_EQ(raft.log().at(Index(2))->epoch, Epoch(1));
}

TEST(Raft, a_snapshot_comes_alone_with_hard_state_and_what_follows_it_waits) {
  Raft raft = make(stored(1, {1}));
  const SnapshotMark mark{.last = {Epoch(2), Index(20)}, .stamp = ClusterMillis(5), .members = three};
  raft.receive_snapshot(NodeId(2), Epoch(2), mark);
  tell(raft, 2, append(2, {Epoch(2), Index(20)}, {entry(2, 21)}, 21));
  const Output out = settle(raft);
  EXPECT_EQ(out.install, mark);
  EXPECT_TRUE(out.hard_state);
  EXPECT_THAT(out.append, IsEmpty());
  EXPECT_THAT(out.committed, IsEmpty());
  EXPECT_EQ(of_kind<AppendAccept>(out.send_after_sync).front().match, Index(20));
  EXPECT_EQ(raft.status().committed, Index(20));
  Entry next = *entry(2, 21);
  next.stamp = ClusterMillis(5);
  tell(raft, 2, append(2, {Epoch(2), Index(20)}, {std::make_shared<const Entry>(next)}, 21));
  EXPECT_THAT(settle(raft).committed, SizeIs(1));
}

TEST(Raft, C20_a_snapshot_of_a_past_term_is_good_but_its_sender_leads_no_more) {
  Raft raft = make(stored(5, {1}));
  const SnapshotMark mark{.last = {Epoch(2), Index(20)}, .stamp = {}, .members = three};
  raft.receive_snapshot(NodeId(2), Epoch(2), mark);
  const Output out = settle(raft);
  EXPECT_TRUE(out.install);
  EXPECT_THAT(out.send_after_sync, IsEmpty());
  EXPECT_TRUE(raft.status().leadership.leader.none());
  EXPECT_EQ(raft.term(), Epoch(5));
}

TEST(Raft, C20_a_snapshot_that_the_log_reaches_beyond_cuts_nothing_off) {
  Raft raft = make(stored(2, {1, 2, 2}));
  raft.receive_snapshot(NodeId(2), Epoch(2), {.last = {Epoch(2), Index(2)}, .stamp = {}, .members = three});
  const Output out = settle(raft);
  EXPECT_FALSE(out.install);
  EXPECT_THAT(out.committed, SizeIs(2));
  EXPECT_EQ(raft.status().last, Index(3));
}

TEST(Raft, snapshots_that_make_no_sense_are_ignored) {
  Raft raft = make(stored(1, {1}));
  const Position at{Epoch(1), Index(20)};
  const std::uint64_t huge = ~std::uint64_t{0};
  raft.receive_snapshot(NodeId(1), Epoch(1), {.last = at, .stamp = {}, .members = three});  // from itself
  raft.receive_snapshot(NodeId(2), Epoch(1), {.last = at, .stamp = {}, .members = {}});
  raft.receive_snapshot(NodeId(2), Epoch(1), {.last = at, .stamp = {}, .members = {NodeId(2), NodeId(1)}});
  raft.receive_snapshot(NodeId(2), Epoch(1), {.last = {Epoch(2), Index(20)}, .stamp = {}, .members = three});
  raft.receive_snapshot(NodeId(2), Epoch(huge), {.last = at, .stamp = {}, .members = three});
  raft.receive_snapshot(NodeId(2), Epoch(1), {.last = {Epoch(1), Index(huge)}, .stamp = {}, .members = three});
  EXPECT_FALSE(raft.take_output().install);
  EXPECT_EQ(raft.status().ignored_messages, 6U);
}

// ---- restart ----

TEST(Raft, C12_a_restarted_follower_hands_out_again_from_its_snapshot_on) {
  Raft raft = make(stored(2, {1, 2}, {Epoch(1), Index(4)}));
  EXPECT_EQ(raft.status().committed, Index(4));
  tell(raft, 2, append(2, {Epoch(2), Index(6)}, {}, 6));
  const Output out = settle(raft);
  ASSERT_THAT(out.committed, SizeIs(2));
  EXPECT_EQ(out.committed.front()->index, Index(5));
}

TEST(Raft, a_core_that_cannot_know_what_it_promised_stays_silent) {
  std::vector<DurableLog> damaged(5, stored(3, {1, 2, 3}));
  damaged[0].hard_state = "garbage";
  damaged[1].hard_state = encode_hard_state({.term = Epoch(2), .vote = {}});
  damaged[2].entries.erase(damaged[2].entries.begin() + 1);
  std::swap(damaged[3].entries[0], damaged[3].entries[2]);
  damaged[4].hard_state.clear();
  for (const DurableLog& durable : damaged) {
    EXPECT_FALSE(check_durable_log(durable));
    Raft raft = make(durable);
    for (int i = 0; i < 100; ++i) raft.tick();
    tell(raft, 2, VoteRequest{.term = Epoch(9), .last = {Epoch(8), Index(9)}});
    tell(raft, 2, append(9, {}, {}));
    const Output out = raft.take_output();
    EXPECT_FALSE(out.needs_disk());
    EXPECT_THAT(out.send_now, IsEmpty());
    EXPECT_THAT(out.send_after_sync, IsEmpty());
    EXPECT_FALSE(raft.propose("x", ClusterMillis(1)));
  }
  EXPECT_TRUE(check_durable_log(stored(3, {1, 2, 3})));
  EXPECT_TRUE(check_durable_log({}));
}

// ---- what peers may send ----

TEST(Raft, B04_foreign_senders_groups_and_terms_are_counted_and_ignored) {
  Raft raft = make();
  const Message vote = VoteRequest{.term = Epoch(1), .last = {}};
  tell(raft, 1, vote);                                                 // itself
  raft.receive(NodeId(2), encode(group, vote, {.from = 0, .to = 7}));  // for who is here with another disk
  raft.receive(NodeId(2), encode(GroupId(8), vote));                   // another group
  tell(raft, 2, VoteRequest{.term = Epoch(1ULL << 61U), .last = {}});  // no group holds that many elections
  raft.receive(NodeId(2), "");
  EXPECT_EQ(raft.status().ignored_messages, 5U);
  EXPECT_EQ(raft.term(), Epoch(0));
  EXPECT_THAT(raft.take_output().send_after_sync, IsEmpty());
}

TEST(Raft, M05_what_the_member_before_was_told_or_had_promised_is_not_its_own) {
  Raft raft({.self = NodeId(1), .group = group, .members = three, .seed = 1, .durable = {}, .incarnation = 7}, {});
  tell(raft, 2, VoteRequest{.term = Epoch(1), .last = {}});
  EXPECT_EQ(raft.term(), Epoch(0)) << "meant for member 1.0";
  raft.receive(NodeId(2), encode(group, VoteRequest{.term = Epoch(1), .last = {}}, {.from = 0, .to = 7}));
  EXPECT_EQ(raft.vote(), Member(NodeId(2))) << "whoever is asked as a voter votes: the candidate knows a newer log";
  const Output out = raft.take_output();
  ASSERT_EQ(out.send_after_sync.size(), 1U);
  const auto letter = decode_letter(group, out.send_after_sync[0].bytes);
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->between.from, 7U) << "nobody may count it as the vote of 1.0";
  for (int i = 0; i < 1'000; ++i) raft.tick();
  EXPECT_EQ(raft.role_name(), "follower") << "it belongs to nothing";
}

TEST(Raft, M05_a_vote_for_the_member_before_is_not_one_for_the_member_after) {
  Raft raft = make();
  raft.receive(NodeId(2), encode(group, VoteRequest{.term = Epoch(1), .last = {}}));
  raft.receive(NodeId(2), encode(group, VoteRequest{.term = Epoch(1), .last = {}}, {.from = 5, .to = 0}));
  const Output out = raft.take_output();
  ASSERT_EQ(out.send_after_sync.size(), 2U);
  const auto granted = [&](std::size_t i) {
    return std::get<VoteReply>(*decode(group, out.send_after_sync[i].bytes)).granted;
  };
  EXPECT_TRUE(granted(0));
  EXPECT_FALSE(granted(1));
  const HardState kept{.term = Epoch(3), .vote = Member(NodeId(2), 5)};
  EXPECT_EQ(decode_hard_state(encode_hard_state(kept)), kept);
}

TEST(Raft, a_second_leader_of_the_same_term_is_not_believed) {
  Raft raft = make();
  tell(raft, 2, append(1, {}, {entry(1, 1)}));
  tell(raft, 3, append(1, {}, {}, 1));
  EXPECT_EQ(raft.status().leadership.leader, NodeId(2));
  EXPECT_EQ(raft.status().committed, Index(0));
  Raft leads = leader();
  tell(leads, 2, append(1, {Epoch(1), Index(1)}, {entry(1, 2)}, 2));
  EXPECT_EQ(leads.role_name(), "leader");
  EXPECT_EQ(leads.status().last, Index(1));
}

TEST(Raft, acknowledgements_of_what_was_never_sent_commit_nothing) {
  Raft raft = leader();
  for (const std::uint64_t peer : {2U, 3U}) tell(raft, peer, AppendAccept{.term = Epoch(1), .match = Index(99)});
  EXPECT_EQ(raft.status().committed, Index(1));
  ASSERT_TRUE(raft.request_read(ReadId(1)));
  tell(raft, 2, HeartbeatReply{.term = Epoch(1), .round = 99});
  EXPECT_THAT(raft.take_output().reads, IsEmpty());
}

TEST(Raft, C04_a_candidate_does_not_count_its_own_vote_before_it_is_durable) {
  Raft raft = make({}, {NodeId(1), NodeId(2)});
  for (int i = 0; i < 100 && raft.role_name() == "follower"; ++i) raft.tick();
  tell(raft, 2, PreVoteReply{.term = Epoch(0), .proposed = Epoch(1), .granted = true});
  const Output out = raft.take_output();
  EXPECT_THAT(of_kind<VoteRequest>(out.send_now), IsEmpty());
  EXPECT_THAT(of_kind<VoteRequest>(out.send_after_sync), SizeIs(1));
  tell(raft, 2, VoteReply{.term = Epoch(1), .granted = true});
  EXPECT_EQ(raft.role_name(), "candidate");
  raft.durable(out.number);
  EXPECT_EQ(raft.role_name(), "leader");
}

// Any messages at all, from anybody, in any order: no crash, and the core's own invariants hold.
TEST(Raft, B01_F1_any_messages_in_any_order_break_nothing) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Rng rng(seed);
    const auto term = [&] { return Epoch(rng.below(5)); };
    const auto index = [&] { return Index(rng.below(12)); };
    Raft raft = rng.chance(0.3) ? leader() : make(stored(2, {1, 1, 2}));
    Index handed = raft.status().committed;
    for (int step = 0; step < 400; ++step) {
      const Position at{term(), index()};
      std::vector<EntryPtr> entries;
      for (std::uint64_t i = 1; i <= rng.below(4); ++i)
        entries.push_back(entry(at.epoch.value + (i > 1 ? 1 : 0), at.index.value + i));
      const Message messages[] = {
          PreVoteRequest{.term = term(), .last = at},
          PreVoteReply{.term = term(), .proposed = term(), .granted = rng.chance(0.5)},
          VoteRequest{.term = term(), .last = at, .forced = rng.chance(0.5)},
          VoteReply{.term = term(), .granted = rng.chance(0.5)},
          AppendRequest{.term = Epoch(at.epoch.value + 1), .prev = at, .commit = index(), .entries = entries},
          AppendAccept{.term = term(), .match = index()},
          AppendReject{.term = term(), .rejected = index(), .hint = at},
          Heartbeat{.term = term(), .commit = index(), .round = rng.below(3)},
          HeartbeatReply{.term = term(), .round = rng.below(3)},
          TimeoutNow{.term = term()},
          StaleTerm{.term = term()}};
      tell(raft, rng.between(1, 4), messages[rng.below(std::size(messages))]);
      if (rng.chance(0.3)) raft.tick();
      if (rng.chance(0.1)) (void)raft.propose("x", ClusterMillis(rng.below(100)));
      if (rng.chance(0.1)) (void)raft.request_read(ReadId(rng.below(9)));
      if (rng.chance(0.02))
        raft.receive_snapshot(NodeId(rng.between(1, 4)), term(), {.last = at, .stamp = {}, .members = three});
      if (rng.chance(0.05)) raft.snapshot_sent(NodeId(rng.between(1, 4)), rng.chance(0.5));
      if (rng.chance(0.02)) raft.transfer_leadership(NodeId(rng.between(1, 4)));
      if (rng.chance(0.05)) {
        if (const auto mark = raft.mark_at(handed)) raft.snapshot_taken(*mark);
      }
      if (!rng.chance(0.5)) continue;
      const Output out = raft.take_output();
      if (out.install) handed = out.install->last.index;
      for (const EntryPtr& one : out.committed) {
        ASSERT_EQ(one->index, handed.next());
        handed = one->index;
      }
      if (rng.chance(0.7)) raft.durable(rng.chance(0.1) ? rng.below(1'000) : out.number);
      const LogStatus status = raft.status();
      ASSERT_LE(status.committed, status.last);
      ASSERT_LE(handed, status.committed);
    }
  }
}

}  // namespace
}  // namespace assent::raft
