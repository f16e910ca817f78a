// Where ballots decide (PROTOCOL.md section 2, three-phase): this group as an acceptor, its leader's way from all votes
// to the decision, and the end of what nobody else ended.
#include <algorithm>
#include <utility>

#include "coordinator/conductor.h"
#include "coordinator/conductor_detail.h"

namespace assent {

// ---- as an acceptor
// --------------------------------------------------------------------------------------------------------

void Conductor::on(const Envelope& envelope, const BallotRequest& request) {
  ballots_.add(envelope.from, request);
  serve_ballots(request.txn);
}

void Conductor::serve_ballots(const TxnId& txn) {
  for (const auto& [from, request] : ballots_.take(txn)) {
    if (!serve_ballot(from, request)) ballots_.add(from, request);
  }
}

// False: the log has to carry it first.
bool Conductor::serve_ballot(GroupId from, const BallotRequest& request) {
  const BallotReply reply = decisions_->ballot_reply(request.txn, request.fingerprint);
  const Acceptor acceptor{.promised = reply.promised, .accepted = reply.accepted, .value = reply.value};
  if (reply.standing == Standing::prepared && acceptor.would_change(request.ballot, request.value)) {
    const BallotWork work{.txn = request.txn,
                          .ballot = request.ballot,
                          .value = request.value,
                          .fingerprint = request.fingerprint,
                          .participants = request.participants};
    if (ballots_.propose(work)) output_.propose.emplace_back(work);
    return false;
  }
  if (from == options_.self) {
    hear_acceptor(from, reply);
  } else {
    send(from, reply);
  }
  return true;
}

// ---- the way to the decision
// -----------------------------------------------------------------------------------------------

void Conductor::begin_way(const TxnId& txn, Running& running, std::vector<GroupId> participants) {
  running.way = Termination(txn, options_.self, epoch_, options_.self, std::move(participants), running.fingerprint);
  running.way->hear(options_.self, decisions_->ballot_reply(txn, running.fingerprint));
}

// A way that was given up may have opened ballots that some acceptor knows of and this group's log does not: no round
// is opened twice.
void Conductor::open_ballot(Termination& way) {
  way.open(rounds_opened_);
  rounds_opened_ = std::max(rounds_opened_, way.request().ballot.round);
}

void Conductor::pre_commit(const TxnId& txn, Running& running) {
  running.phase = Phase::accepting;
  running.refusal = refusal_of(AbortReason::timeout, {}, "another group ended it before it was pre-committed");
  running.deadline = std::max(running.deadline, now_ + options_.resolve_ticks);
  running.backoff = {};
  begin_way(txn, running, participants_of(running.branches));
  running.way->propose_commit();
  ask_acceptors(txn, running);
}

// Time is up for what was asked: it is asked again, or another ballot is opened when this one may be in vain. Who only
// looks opens none. May end what runs.
void Conductor::pursue(const TxnId& txn, Running& running) {
  Termination& way = *running.way;
  const bool nothing_asked = running.phase == Phase::resolving && way.request().only_looks();
  if (!running.look && (nothing_asked || way.overtaken())) open_ballot(way);
  const Resolution::Verdict verdict = way.verdict();
  if (verdict == Resolution::Verdict::open || verdict == Resolution::Verdict::old) return ask_acceptors(txn, running);
  conclude(txn, running);
  const auto still = running_.find(txn);  // with gone: the log has to say it
  if (still != running_.end() && still->second.way) schedule(txn, still->second);
}

// May end what runs: this group's own answer comes at once when its log need not carry anything.
void Conductor::ask_acceptors(const TxnId& txn, Running& running) {
  const BallotRequest request = running.way->request();
  std::vector<GroupId> whom = running.way->whom();
  if (running.look) {  // what was heard may have gone on since
    whom = running.way->participants();
    whom.push_back(options_.self);
  }
  schedule(txn, running);
  for (const GroupId group : whom) {
    if (group == options_.self) {
      ballots_.add(group, request);
    } else {
      send(group, request);
    }
  }
  serve_ballots(txn);
}

void Conductor::on(const Envelope& envelope, const BallotReply& reply) { hear_acceptor(envelope.from, reply); }

void Conductor::hear_acceptor(GroupId from, const BallotReply& reply) {
  const auto found = running_.find(reply.txn);
  if (found == running_.end() || !found->second.way) return;
  Running& running = found->second;
  if (from != options_.self) {
    count_message(reply.txn, false);
    charge(running.seals, reply.cost);
  }
  const BallotRequest asked = running.way->request();
  running.way->hear(from, reply);
  if (running.way->verdict() != Resolution::Verdict::open) return conclude(reply.txn, running);  // it may be gone then
  if (running.way->request() != asked) ask_acceptors(reply.txn, running);
}

// The votes are all yes, so that only the acceptors are waited for. Who is in doubt ends it without this leader.
void Conductor::tick_accepting(const TxnId& txn, Running& running) {
  if (now_ >= running.deadline) {
    give_up(txn, running);
    if (!running_.contains(txn)) return;
  }
  pursue(txn, running);
}

// ---- what nobody ended
// -----------------------------------------------------------------------------------------------------

// This group promised or accepted, and neither this leader runs it nor did anybody come back for so long: an earlier
// leader left it, or shards ended it among themselves. Brought to its end, so that the log may forget its ballots.
void Conductor::tick_ballots() {
  for (std::size_t served = 0; served < options_.sends_per_tick_max; ++served) {
    const auto due = ballots_due_.pop(now_);
    if (!due) return;
    const auto record = decisions_->ballots().find(*due);
    if (record == decisions_->ballots().end()) continue;
    ballots_due_.set(*due, now_ + options_.ballot_ticks);
    if (running_.contains(*due) || notes_.contains(*due) || running_.size() >= options_.attempts_max) continue;
    Running& running = running_[*due];
    running.phase = Phase::resolving;
    running.protocol = Protocol::three_phase;
    running.fingerprint = record->second.fingerprint;
    running.refusal = refusal_of(AbortReason::timeout, {}, "it was not pre-committed in time");
    running.deadline = now_ + options_.resolve_ticks;
    begin_way(*due, running, record->second.participants);
    pursue(*due, running);
  }
}

}  // namespace assent
