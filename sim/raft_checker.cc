#include "sim/raft_checker.h"

#include <algorithm>
#include <utility>

#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/quorum.h"
#include "consensus/raft/raft.h"

namespace assent::sim {
namespace {

// R2 matching: what a leader takes for matched is durable at the follower, and the same as its own. But when the
// follower has gone on to a newer term: there its log may have been cut off since, and what it said before still stands
// for the term that it was said in.
void judge_match(Recorder& recorder, const Replica& at, const Member& follower, const DurableView* view,
                 const ReplicatedLog& log) {
  const auto* core = raft_core(log);
  const auto* leader = core == nullptr ? nullptr : std::get_if<raft::Leader>(&core->role());
  if (leader == nullptr || view == nullptr || view->incarnation != follower.incarnation) return;
  const auto hard = raft::decode_hard_state(view->hard_state);
  if (!hard || hard->term > core->term()) return;
  const raft::Progress* progress = leader->find(follower);
  if (progress == nullptr) return;
  const Index match = progress->match();
  const auto epoch = core->log().epoch_at(match);
  if (!epoch || view->holds(match, *epoch)) return;
  recorder.wrong(fmt::format(
      "R2 matching: node {}, which leads epoch {} of group {}, takes member {} for matched up to {}, and it "
      "is not",
      at.node, core->term(), at.group, follower, match));
}

}  // namespace

void RaftChecker::built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) {
  commits_[at] = Commit{};
  parked_[at].clear();
  asleep_[at] = false;
  const auto* core = raft_core(log);
  const auto hard = raft::decode_hard_state(setup.durable.hard_state);
  if (core == nullptr || !hard || (core->term() == hard->term && core->vote() == hard->vote)) return;
  recorder_.wrong(fmt::format(
      "R6 promises: node {} has durable that it voted for node {} in epoch {} of group {}, and is rebuilt with node {} "
      "in epoch {}",
      at.node, hard->vote, hard->term, at.group, core->vote(), core->term()));
}

std::optional<RaftChecker::Said> RaftChecker::said(GroupId group, NodeId from, NodeId to, ByteView bytes) {
  auto letter = raft::decode_letter(group, bytes);
  if (!letter) return std::nullopt;
  return Said{group, {from, letter->between.from}, {to, letter->between.to}, std::move(letter->message), {}};
}

void RaftChecker::received(const Replica& at, NodeId from, ByteView bytes, const ReplicatedLog& log) {
  if (const auto heard = said(at.group, from, at.node, bytes)) {
    judge_promise(*heard, "when it arrives");
    if (std::holds_alternative<raft::AppendAccept>(heard->message)) {
      judge_match(recorder_, at, heard->from, durability_.view({at.group, from}), log);
    }
  }
  judge_commit(at, log);
  judge_sleep(at, log);
}

void RaftChecker::gave(const Replica& at, const Output& output, const ReplicatedLog& log) {
  for (const ConsensusMessage& sent : output.send_now) {
    const auto now = said(at.group, at.node, sent.to, sent.bytes);
    if (!now) continue;
    note(*now);
    judge_promise(*now, "when it leaves");
  }
  for (const ConsensusMessage& sent : output.send_after_sync) {
    auto later = said(at.group, at.node, sent.to, sent.bytes);
    if (!later) continue;
    if (std::holds_alternative<raft::VoteRequest>(later->message)) later->members = log.status().members;
    parked_[at].push_back({output.number, std::move(*later)});
  }
  judge_commit(at, log);
  judge_sleep(at, log);
}

void RaftChecker::synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& /*log*/) {
  std::deque<Parked>& parked = parked_[at];
  for (; !parked.empty() && parked.front().number <= output_number; parked.pop_front()) note(parked.front().said);
}

void RaftChecker::note(const Said& said) {
  if (const auto* vote = std::get_if<raft::VoteReply>(&said.message)) {
    if (vote->granted) judge_vote(said.group, said.from, said.to, vote->term);
  } else if (const auto* pre_vote = std::get_if<raft::PreVoteReply>(&said.message)) {
    if (pre_vote->granted) pre_votes_[{said.group, said.to, pre_vote->proposed}].insert(said.from);
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&said.message)) {
    judge_vote(said.group, said.from, said.from, request->term);
    if (!request->forced) judge_campaign(said, *request);
  }
}

void RaftChecker::judge_vote(GroupId group, const Member& voter, const Member& candidate, Epoch term) {
  const auto [found, fresh] = votes_.try_emplace({group, voter, term}, candidate);
  if (found->second == candidate) return;
  recorder_.wrong(fmt::format("R1 votes: node {} votes for node {} in epoch {} of group {}, and for node {} before",
                              voter, candidate, term, group, found->second));
}

void RaftChecker::judge_campaign(const Said& said, const raft::VoteRequest& request) {
  std::set<Member> granted = pre_votes_[{said.group, said.from, request.term}];
  granted.insert(said.from);
  const auto voted = [&granted](const Member& member) -> std::uint64_t { return granted.contains(member) ? 1 : 0; };
  if (raft::reached_by_quorum(said.members, voted) > 0) return;
  recorder_.wrong(fmt::format("9.6 pre-votes: node {} campaigns in epoch {} of group {} with {} pre-votes", said.from,
                              request.term, said.group, granted.size()));
}

// Durable state only grows in terms, and what was promised in one term stays until the next: so a promise that held
// when it left holds when it arrives, however late; unless the disk was lost that it was made with.
void RaftChecker::judge_promise(const Said& said, std::string_view when) {
  const raft::Message& message = said.message;
  const bool before_any_term =
      std::holds_alternative<raft::PreVoteRequest>(message) || std::holds_alternative<raft::PreVoteReply>(message);
  const DurableView* view = durability_.view({said.group, said.from.node});
  if (before_any_term || view == nullptr || view->incarnation != said.from.incarnation) return;
  const auto hard = raft::decode_hard_state(view->hard_state);
  const Epoch term = raft::term_of(message);
  const auto broken = [&](std::string_view what) {
    recorder_.wrong(fmt::format("R6 promises: node {} sent '{}' in group {} to node {}, and {} is not durable {}",
                                said.from, raft::describe(message), said.group, said.to, what, when));
  };
  if (!hard || hard->term < term) return broken("its term");
  if (hard->term != term) return;
  const auto* vote = std::get_if<raft::VoteReply>(&message);
  if (vote != nullptr && vote->granted && hard->vote != said.to) return broken("its vote");
  if (std::holds_alternative<raft::VoteRequest>(message) && hard->vote != said.from) return broken("its own vote");
  const auto* accept = std::get_if<raft::AppendAccept>(&message);
  // Of what was given up when the replica left others are known to hold it; who comes back may be told of it once more.
  // What was lost to damage was durable when it was acknowledged.
  if (accept != nullptr && accept->match > view->reach()) return broken("what it accepts");
}

void RaftChecker::judge_sleep(const Replica& at, const ReplicatedLog& log) {
  const bool before = std::exchange(asleep_[at], log.asleep());
  const auto* core = raft_core(log);
  if (before || !log.asleep() || core == nullptr || !std::holds_alternative<raft::Leader>(core->role())) return;
  const Position last = core->log().last();
  if (core->commit() != last.index) {
    recorder_.wrong(
        fmt::format("L9 sleep: node {} leads group {} and sleeps with uncommitted entries", at.node, at.group));
  }
  for (const Member& member : core->memberships().current().all()) {
    const DurableView* view = durability_.view({at.group, member.node});
    if (view != nullptr && view->incarnation != member.incarnation) continue;  // the disk was lost since
    if (view != nullptr && view->holds(last.index, last.epoch)) continue;
    recorder_.wrong(fmt::format("L9 sleep: node {} leads group {} and sleeps at {}, which member {} has not", at.node,
                                at.group, last.index, member));
  }
}

void RaftChecker::judge_commit(const Replica& at, const ReplicatedLog& log) {
  const auto* core = raft_core(log);
  if (core == nullptr) return;
  Commit& before = commits_[at];
  const bool leads = std::holds_alternative<raft::Leader>(core->role());
  const Commit now{leads ? core->term() : Epoch{}, core->commit()};
  const bool counted = leads && before.leads == now.leads && now.index > before.index;
  before = now;
  if (!counted || core->log().epoch_at(now.index) == core->term()) return;
  recorder_.wrong(
      fmt::format("R3 old terms: node {}, which leads epoch {} of group {}, commits index {} of an older "
                  "epoch by counting",
                  at.node, core->term(), at.group, now.index));
}

}  // namespace assent::sim
