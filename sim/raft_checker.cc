#include "sim/raft_checker.h"

#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/quorum.h"
#include "consensus/raft/raft.h"

namespace assent::sim {
namespace {

// R2 matching: what a leader takes for matched is durable at the follower, and the same as its own.
void judge_match(Recorder& recorder, const Replica& at, NodeId follower, const DurableView* view,
                 const ReplicatedLog& log) {
  const auto* core = raft_core(log);
  const auto* leader = core == nullptr ? nullptr : std::get_if<raft::Leader>(&core->role());
  if (leader == nullptr || view == nullptr) return;
  for (const raft::Peer& peer : leader->peers) {
    if (peer.node != follower) continue;
    const Index match = peer.progress.match();
    const auto epoch = core->log().epoch_at(match);
    if (!epoch || view->holds(match, *epoch)) return;
    recorder.wrong(
        fmt::format("R2 matching: node {}, which leads epoch {} of group {}, takes node {} for matched up to "
                    "{}, and it is not",
                    at.node, core->term(), at.group, follower, match));
  }
}

}  // namespace

void RaftChecker::built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) {
  members_[at.group] = setup.members.size();
  commits_[at] = Commit{};
  parked_[at].clear();
  const auto* core = raft_core(log);
  const auto hard = raft::decode_hard_state(setup.durable.hard_state);
  if (core == nullptr || !hard || (core->term() == hard->term && core->vote() == hard->vote)) return;
  recorder_.wrong(fmt::format(
      "R6 promises: node {} has durable that it voted for node {} in epoch {} of group {}, and is rebuilt with node {} "
      "in epoch {}",
      at.node, hard->vote, hard->term, at.group, core->vote(), core->term()));
}

void RaftChecker::received(const Replica& at, NodeId from, ByteView bytes, const ReplicatedLog& log) {
  if (const auto message = raft::decode(at.group, bytes)) {
    judge_promise({at.group, from}, at.node, *message, "when it arrives");
    if (std::holds_alternative<raft::AppendAccept>(*message)) {
      judge_match(recorder_, at, from, durability_.view({at.group, from}), log);
    }
  }
  judge_commit(at, log);
}

void RaftChecker::gave(const Replica& at, const Output& output, const ReplicatedLog& log) {
  for (const ConsensusMessage& sent : output.send_now) {
    const auto message = raft::decode(at.group, sent.bytes);
    if (!message) continue;
    note(at, sent.to, *message);
    judge_promise(at, sent.to, *message, "when it leaves");
  }
  for (const ConsensusMessage& sent : output.send_after_sync) {
    auto message = raft::decode(at.group, sent.bytes);
    if (message) parked_[at].push_back({output.number, sent.to, std::move(*message)});
  }
  judge_commit(at, log);
}

void RaftChecker::synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& /*log*/) {
  std::deque<Parked>& parked = parked_[at];
  for (; !parked.empty() && parked.front().number <= output_number; parked.pop_front()) {
    note(at, parked.front().to, parked.front().message);
  }
}

void RaftChecker::note(const Replica& from, NodeId to, const raft::Message& message) {
  if (const auto* vote = std::get_if<raft::VoteReply>(&message)) {
    if (vote->granted) judge_vote(from, to, vote->term);
  } else if (const auto* pre_vote = std::get_if<raft::PreVoteReply>(&message)) {
    if (pre_vote->granted) pre_votes_[{from.group, to, pre_vote->proposed}].insert(from.node);
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&message)) {
    judge_vote(from, from.node, request->term);
    if (!request->forced) judge_campaign(from, *request);
  }
}

void RaftChecker::judge_vote(const Replica& voter, NodeId candidate, Epoch term) {
  const auto [found, fresh] = votes_.try_emplace({voter, term}, candidate);
  if (found->second == candidate) return;
  recorder_.wrong(fmt::format("R1 votes: node {} votes for node {} in epoch {} of group {}, and for node {} before",
                              voter.node, candidate, term, voter.group, found->second));
}

void RaftChecker::judge_campaign(const Replica& at, const raft::VoteRequest& request) {
  std::set<NodeId> granted = pre_votes_[{at.group, at.node, request.term}];
  granted.insert(at.node);
  if (granted.size() >= raft::majority(members_[at.group])) return;
  recorder_.wrong(fmt::format("9.6 pre-votes: node {} campaigns in epoch {} of group {} with {} pre-votes", at.node,
                              request.term, at.group, granted.size()));
}

// Durable state only grows in terms, and what was promised in one term stays until the next: so a promise that held
// when it left holds when it arrives, however late.
void RaftChecker::judge_promise(const Replica& from, NodeId to, const raft::Message& message, std::string_view when) {
  const bool before_any_term =
      std::holds_alternative<raft::PreVoteRequest>(message) || std::holds_alternative<raft::PreVoteReply>(message);
  const DurableView* view = durability_.view(from);
  if (before_any_term || view == nullptr) return;
  const auto hard = raft::decode_hard_state(view->hard_state);
  const Epoch term = raft::term_of(message);
  const auto broken = [&](std::string_view what) {
    recorder_.wrong(fmt::format("R6 promises: node {} sent '{}' in group {} to node {}, and {} is not durable {}",
                                from.node, raft::describe(message), from.group, to, what, when));
  };
  if (!hard || hard->term < term) return broken("its term");
  if (hard->term != term) return;
  const auto* vote = std::get_if<raft::VoteReply>(&message);
  if (vote != nullptr && vote->granted && hard->vote != to) return broken("its vote");
  if (std::holds_alternative<raft::VoteRequest>(message) && hard->vote != from.node) return broken("its own vote");
  const auto* accept = std::get_if<raft::AppendAccept>(&message);
  if (accept != nullptr && accept->match > view->last()) return broken("what it accepts");
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
