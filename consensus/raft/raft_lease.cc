// Reads by lease (dissertation 6.4.1): a leader that a majority has promised to help nobody else knows for a while that
// nothing is committed without it, and answers reads without asking anybody. Off unless configured.
//
//     leader, with each heartbeat: LeaseRequest(now by its clock) --> voter: promises, LeaseGrant(the same number)
//
// This is the one rule of this core that time is part of, and the safety argument stands here alone.
//
// A promise. Who grants a request promises, for promise_micros of its own clock from then on, neither to vote nor to
// campaign, unless the leader that it promised to has asked for that election itself (VoteRequest::forced). It says so
// only when its term is durable.
//
// A lease. The leader uses a grant for lease_micros of its own clock from when it *sent* the request: so the promise
// began later in real time. With clocks that are at most a share d too slow or too quick, lease_micros at most
// promise_micros * (1 - d) / (1 + d), the lease ends before the promise does, whatever messages took on their way.
//
// While a leader of term T has grants of a quorum of the membership in force at its log's end, that are not over,
// nobody is elected in a later term unasked: an election needs a quorum of a membership that shares a member with the
// leader's (one step, or a joint membership, apart; one that is further away is known to a quorum, whose logs refuse
// whoever does not know it: 4.1, 4.3). That member has promised, and is asked after it has promised (before it, it
// would have gone on to the later term, and the leader's request would have been stale there), and has not forgotten:
//   * after a restart it keeps still for promise_micros, whatever it had promised before, unless it never had a term;
//   * who lost a disk is another member, whose grants do not count until it votes, and then are its own;
//   * who is voted out counts no more, for the quorum is taken of the membership at the time of the read.
// A leader that has asked anybody to take over (3.10) uses no lease for the rest of its term: the request may be
// carried out late, and whoever is elected so is not held up by promises.
//
// A read. The host tells the time after the read has come in and before the core is asked. If the lease is good at that
// moment, all that anybody was told to be committed before it was committed by this leader, at or below commit_: the
// read takes effect at that moment. How long a paused process then takes to answer does not matter, and a read that
// comes in after the pause meets a clock that has gone on. The clock must not stand still while the process does:
// Clock::alive_micros() says which one it is.
//
// Pre-votes, check-quorum and loyalty to a leader (9.6, 6.2, 4.2.3) count ticks, which a late process makes up for in a
// burst: they spare useless elections, and carry nothing of this argument. Nor does sleep: who sleeps asks for no
// lease, and the last one ends.
#include <algorithm>

#include "base/planted.h"
#include "consensus/raft/raft.h"

namespace assent::raft {

void Raft::set_clock(std::uint64_t micros) {
  if (!std::exchange(clock_known_, true)) {
    clock_began_ = micros;
    const bool fresh = term_.none() || planted(Bug::promise_lost_in_restart);
    if (!fresh) promised_until_ = micros + options_.promise_micros;
  }
  clock_ = std::max(clock_, micros);
}

bool Raft::promised() const {
  return options_.promise_micros > 0 && (clock_known_ ? clock_ < promised_until_ : !term_.none());
}

Raft::Next Raft::on(Follower& role, const Member& from, const LeaseRequest& message) {
  role.elapsed_ticks = 0;
  if (options_.promise_micros == 0 || !clock_known_) return std::nullopt;
  promised_until_ = std::max(promised_until_, clock_ + options_.promise_micros);
  answer_leader(from, LeaseGrant{.term = term_, .sent = message.sent});
  return std::nullopt;
}

void Raft::ask_for_lease(const Leader& role) {
  if (options_.lease_micros == 0 || !clock_known_ || role.lease_over) return;
  for (const Peer& peer : role.peers) {
    if (memberships_.current().votes(peer.member)) {
      send_now(peer.member, LeaseRequest{.term = term_, .sent = clock_});
    }
  }
}

Raft::Next Raft::on(Leader& role, const Member& from, const LeaseGrant& message) {
  Progress* progress = role.find(from);
  if (progress == nullptr || message.sent > clock_) {
    ignore();
    return std::nullopt;
  }
  progress->heard();
  progress->lease_sent = std::max(progress->lease_sent, message.sent);
  return std::nullopt;
}

bool Raft::leased(const Leader& role) const {
  if (options_.lease_micros == 0 || !clock_known_ || role.lease_over) return false;
  const std::uint64_t sent = agreed(role, clock_, [](const Progress& progress) { return progress.lease_sent; });
  const std::uint64_t length = planted(Bug::lease_too_long) ? 4 * options_.promise_micros : options_.lease_micros;
  return sent > 0 && clock_ - std::min(clock_, sent) < length;
}

}  // namespace assent::raft
