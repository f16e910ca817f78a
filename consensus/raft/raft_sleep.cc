// Sleep: a group with nothing to do costs nothing. While it sleeps its replicas are not ticked and send nothing; the
// host keeps one sign of life for each pair of nodes in place of a heartbeat for each group (log_contract.h). Not of
// the dissertation; CockroachDB (quiescence) and TiKV (hibernation) do the like.
//
//     leader, idle for sleep_ticks: Sleep, at the pace of heartbeats --> follower with the whole log: SleepReply
//     leader, once everybody has answered this round, and still idle: asleep; so is each follower that answered
//
// Safety. No rule of Raft looks at time: a replica that is not ticked is one whose clock stands still, and it may stand
// still for ever. A sleeper grants, answers and acknowledges what it is asked as it did before, because whatever comes
// for it but Sleep and its answer wakes it first. A leader that sleeps is no surer of leading than one that is awake:
// its reads ask a majority all the same, and a lease runs out by the host's clock, which does not sleep.
//
// Liveness (L9). Nobody is left behind: a leader sleeps only when every member, learners too, has said that it sleeps
// with the same log to the end, all of it committed. So where any replica of a group is awake, the group is as live as
// without sleep: an awake leader goes on sending; an awake follower that hears no leader campaigns, and what either
// sends wakes whom it reaches. Who has lost entries may not campaign (LogSetup::left), and asks for pre-votes all the
// same, that is, wakes whom it reaches. It remains that all who are left sleep. A follower sleeps because of one leader
// of one term, and that leader
//   * sleeps or is awake where it was: whatever is asked of it wakes it, and it wakes the others;
//   * follows in a newer term: of that somebody told it who was awake in it, and the leader of that term, if there came
//     to be one, slept only after this follower had answered it in that term; or
//   * is gone: its node is silent, or has begun another life. Of both the host tells, which wakes the follower; it has
//     then waited for its election time-out already, and campaigns after another part of it, drawn at random.
// Who was woken by anybody but its leader asks the leader for a sign of life: else a leader that sleeps would be
// deposed for its silence. A lost answer, request or sign costs a round more, for all are repeated while awake.
#include <algorithm>

#include "base/planted.h"
#include "consensus/raft/raft.h"

namespace assent::raft {

// ---- falling asleep ----

// Everybody has everything, and nobody waits for anything.
bool Raft::settled(const Leader& role) const {
  const Index last = log_.last_index();
  const bool own = commit_ == last && handed_ == last && log_.durable_index() == last && handed_ >= role.epoch_start &&
                   !role.transfer && role.reads.size() == 0;
  const Membership& members = memberships_.current();
  if (!own || memberships_.since() > commit_ || members.joint() || !members.votes(self_)) return false;
  if (planted(Bug::sleep_unacknowledged)) return true;
  return std::all_of(role.peers.begin(), role.peers.end(),
                     [last](const Peer& peer) { return peer.progress.match() == last && !peer.progress.waiting(); });
}

// Called with each tick. True: Sleep is sent in place of heartbeats.
bool Raft::is_drowsy(Leader& role) {
  if (options_.sleep_ticks == 0) return false;
  role.idle_ticks = idle_ && settled(role) ? role.idle_ticks + 1 : 0;
  const bool drowsy = role.idle_ticks >= options_.sleep_ticks;
  if (drowsy && !role.drowsy) ++role.sleep_round;
  role.drowsy = drowsy;
  return drowsy;
}

void Raft::put_to_sleep(Leader& role) {
  for (Peer& peer : role.peers) {
    // Who never answered may be of a version that knows no Sleep, and must not miss its heartbeats.
    if (peer.progress.sleep_answered == 0) send_heartbeat(role, peer);
    send_now(peer.member, Sleep{.term = term_, .last = log_.last_index(), .round = role.sleep_round});
  }
  sleep_if_all_do(role);
}

void Raft::sleep_if_all_do(const Leader& role) {
  if (!role.drowsy || !idle_ || !settled(role)) return;
  const bool all = std::all_of(role.peers.begin(), role.peers.end(),
                               [&role](const Peer& peer) { return peer.progress.sleep_answered == role.sleep_round; });
  if (!all && !planted(Bug::sleep_unacknowledged)) return;
  narrate("sleeps at {}, as everybody does", log_.last_index());
  asleep_ = true;
}

Raft::Next Raft::on(Leader& role, const Member& from, const SleepReply& message) {
  Progress* progress = role.find(from);
  if (progress == nullptr || message.round > role.sleep_round) {
    ignore();
    return std::nullopt;
  }
  progress->heard();
  progress->sleep_answered = std::max(progress->sleep_answered, message.round);
  sleep_if_all_do(role);
  return std::nullopt;
}

// All that is said of it is committed, and this log is known to match: it is a heartbeat, too.
Raft::Next Raft::on(Follower& role, const Member& from, const Sleep& message) {
  role.elapsed_ticks = 0;
  commit_to(std::min(message.last, log_.last_index()));
  const bool whole = log_.last_index() == message.last && log_.durable_index() == message.last && !install_;
  if (!whole) {
    answer_leader(from, HeartbeatReply{.term = term_, .round = 0});
    tell_loss(from, message.last);
    return std::nullopt;
  }
  if (!asleep_) narrate("sleeps at {}", message.last);
  asleep_ = true;
  answer_leader(from, SleepReply{.term = term_, .round = message.round});
  return std::nullopt;
}

// ---- waking up ----

void Raft::wake_up(bool ask_leader) {
  if (!std::exchange(asleep_, false)) return;
  narrate("wakes up");
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->idle_ticks = leader->quorum_ticks = 0;
    leader->drowsy = false;
  } else if (auto* follower = std::get_if<Follower>(&role_)) {
    follower->elapsed_ticks = 0;
    follower->timeout_ticks = draw_timeout();
    follower->uncertain = ask_leader;
    if (ask_leader) ask_for_sign(*follower);
  }
}

void Raft::ask_for_sign(const Follower& role) {
  if (!role.leader.none()) answer_leader(role.leader, HeartbeatReply{.term = term_, .round = 0});
}

void Raft::wake(const Slept& slept) {
  wake_up(true);
  ticks_ += slept.ticks;
  const auto silence_of = [&slept](NodeId node) -> std::uint32_t {
    const auto found = std::ranges::find(slept.silences, node, &Slept::Silence::node);
    return found == slept.silences.end() ? 0 : found->ticks;
  };
  if (auto* leader = std::get_if<Leader>(&role_)) {
    for (Peer& peer : leader->peers) {
      peer.progress.silent_ticks = std::max(peer.progress.silent_ticks, silence_of(peer.member.node));
    }
  } else if (auto* follower = std::get_if<Follower>(&role_); follower != nullptr && follower->uncertain) {
    const std::uint32_t silent = std::min(silence_of(follower->leader.node), options_.election_ticks);
    follower->elapsed_ticks = std::max(follower->elapsed_ticks, silent);
  }
}

}  // namespace assent::raft
