// Elections: timeouts, pre-votes, votes (dissertation 3.4, 9.6), loyalty to a live leader (4.2.3), transfer (3.10).
#include <utility>

#include "base/planted.h"
#include "consensus/raft/raft.h"

namespace assent::raft {

// ---- time ----

std::uint32_t Raft::draw_timeout() {
  return options_.election_ticks + static_cast<std::uint32_t>(rng_.below(options_.election_ticks));
}

Follower Raft::follower_of(const Member& leader) {
  return {.leader = leader, .elapsed_ticks = 0, .timeout_ticks = draw_timeout()};
}

Raft::Next Raft::on_tick(Follower& role) {
  if (role.elapsed_ticks < role.timeout_ticks) ++role.elapsed_ticks;
  if (role.uncertain && role.elapsed_ticks % options_.heartbeat_ticks == 0) ask_for_sign(role);
  if (role.elapsed_ticks < role.timeout_ticks) return std::nullopt;
  if (!may_lead()) {
    role.leader = {};  // who was left out of the group is told nothing any more: it knows of no leader
    if (!is_whole() && memberships_.current().has(self_)) ask_to_be_filled(role);
    return std::nullopt;
  }
  if (promised()) {
    role.timeout_ticks += 1 + static_cast<std::uint32_t>(rng_.below(options_.election_ticks / 2 + 1));
    return std::nullopt;
  }
  narrate("heard no leader for {} ticks", role.elapsed_ticks);
  if (planted(Bug::no_pre_vote)) return campaign(false);
  return pre_campaign();
}

// Who is still loyal to the leader of before says nothing, and will not be for long: it is asked again.
Raft::Next Raft::on_tick(PreCandidate& role) {
  if (++role.elapsed_ticks >= role.timeout_ticks) return pre_campaign();
  if (role.elapsed_ticks % options_.heartbeat_ticks == 0) ask_for_pre_votes(role.tally);
  return std::nullopt;
}

Raft::Next Raft::on_tick(Candidate& role) {
  if (++role.elapsed_ticks < role.timeout_ticks) return std::nullopt;
  narrate("got no majority in term {}", term_);
  return pre_campaign();
}

// ---- campaigns ----

Role Raft::pre_campaign() {
  PreCandidate next{.tally = Tally(), .elapsed_ticks = 0, .timeout_ticks = draw_timeout()};
  next.tally.add(self_, true);
  if (next.tally.ballot(memberships_.current()) == Ballot::won) return campaign(false);
  narrate("asks for pre-votes of term {}", term_.next());
  ask_for_pre_votes(next.tally);
  return next;
}

// It may not campaign, which is what wakes a group that sleeps (raft_sleep.cc). So it asks like somebody who will: that
// changes no term and gives no vote, whoever sleeps wakes up, and the leader is missed. The answers are not for it.
void Raft::ask_to_be_filled(Follower& role) {
  narrate("has lost entries up to {}@{}, and asks whether anybody leads", left_.epoch, left_.index);
  role.elapsed_ticks = 0;
  role.timeout_ticks = draw_timeout();
  ask_for_pre_votes({});
}

// Those who have not answered.
void Raft::ask_for_pre_votes(const Tally& tally) {
  for (const Member& peer : voters()) {
    if (peer.node == self_.node || tally.votes().contains(peer)) continue;
    send_now(peer, PreVoteRequest{.term = term_, .last = log_.last()});
  }
}

Role Raft::campaign(bool forced) {
  term_ = term_.next();
  vote_ = self_;
  hard_dirty_ = true;
  accept_.reset();
  narrate("campaigns in term {}{}", term_, forced ? ", asked to" : "");
  // Parked until term, own vote and log are durable: after a crash a stale answer must not elect this node with another
  // log.
  for (const Member& peer : voters()) {
    if (peer.node != self_.node)
      send_after_sync(peer, VoteRequest{.term = term_, .last = log_.last(), .forced = forced});
  }
  return Candidate{.tally = Tally(), .elapsed_ticks = 0, .timeout_ticks = draw_timeout()};
}

Raft::Next Raft::try_to_lead(const Candidate& role) {
  switch (role.tally.ballot(memberships_.current())) {
    case Ballot::open: return std::nullopt;
    case Ballot::won:
      if (!hard_state_durable()) return std::nullopt;  // durable() asks again
      return lead();
    case Ballot::lost: narrate("lost the election of term {}", term_); return follower_of({});
  }
  return std::nullopt;
}

// ---- voters ----

// A leader was heard within the shortest timeout, or this node leads itself and a majority was heard lately: then
// nobody else has reason to campaign, and a node that comes back from a partition disturbs nothing (4.2.3).
bool Raft::loyal() const {
  if (std::holds_alternative<Leader>(role_)) return true;
  const auto* follower = std::get_if<Follower>(&role_);
  return follower != nullptr && !follower->leader.none() && follower->elapsed_ticks < options_.election_ticks;
}

void Raft::answer_pre_vote(const Member& from, const PreVoteRequest& message) {
  if (message.term >= term_ && loyal()) {
    narrate("ignores the pre-vote request of n{}: a leader is alive", from);
    return;
  }
  if (promised()) {
    narrate("ignores the pre-vote request of n{}: it has promised", from);
    return;
  }
  const bool granted = message.term >= term_ && is_new_enough(message.last);
  narrate("{} n{} a pre-vote of term {}", granted ? "grants" : "refuses", from, message.term.next());
  send_after_sync(from, PreVoteReply{.term = term_, .proposed = message.term.next(), .granted = granted});
}

// One vote a term, first come first served, and only for a log at least as new as the own (3.4, 3.6.1).
bool Raft::answer_vote(const Member& from, const VoteRequest& message, NodeId leader) {
  const bool free = vote_ == from || (vote_.none() && leader.none());
  const bool granted = free && is_new_enough(message.last);
  if (granted && vote_ != from) {
    vote_ = from;
    hard_dirty_ = true;
  }
  const char* why = granted ? "" : free ? ": its log is behind" : ": it has voted";
  narrate("{} n{} the vote of term {}{}", granted ? "grants" : "refuses", from, term_, why);
  const VoteReply reply{.term = term_, .granted = granted};
  planted(Bug::vote_before_sync) ? send_now(from, reply) : send_after_sync(from, reply);
  return granted;
}

Raft::Next Raft::on(Follower& role, const Member& from, const VoteRequest& message) {
  if (answer_vote(from, message, role.leader.node)) role.elapsed_ticks = 0;
  return std::nullopt;
}

Raft::Next Raft::on(PreCandidate&, const Member& from, const VoteRequest& message) {
  if (!answer_vote(from, message, {})) return std::nullopt;
  return follower_of({});
}

Raft::Next Raft::on(Candidate&, const Member& from, const VoteRequest& message) {
  (void)answer_vote(from, message, {});  // refused: it voted for itself
  return std::nullopt;
}

Raft::Next Raft::on(Leader&, const Member& from, const VoteRequest& message) {
  (void)answer_vote(from, message, self_.node);
  return std::nullopt;
}

// ---- candidates ----

Raft::Next Raft::on(PreCandidate& role, const Member& from, const PreVoteReply& message) {
  if (message.proposed != term_.next()) {
    ignore();
    return std::nullopt;
  }
  role.tally.add(from, message.granted);
  switch (role.tally.ballot(memberships_.current())) {
    case Ballot::open: return std::nullopt;
    case Ballot::won: return campaign(false);
    case Ballot::lost: narrate("would not win term {}", term_.next()); return follower_of({});
  }
  return std::nullopt;
}

Raft::Next Raft::on(Candidate& role, const Member& from, const VoteReply& message) {
  role.tally.add(from, message.granted);
  return try_to_lead(role);
}

// ---- transfer ----

Raft::Next Raft::on(Follower&, const Member& from, const TimeoutNow&) {
  if (!may_lead()) return std::nullopt;
  narrate("is asked by n{} to take over", from);
  return campaign(true);
}

}  // namespace assent::raft
