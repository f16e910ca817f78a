// Where ballots decide (PROTOCOL.md section 2, three-phase): this shard as an acceptor of what it voted on, and its way
// to the end of what it is in doubt about.
#include <algorithm>
#include <utility>

#include "participant/caretaker.h"

namespace assent {

// ---- as an acceptor
// --------------------------------------------------------------------------------------------------------

void Caretaker::on(const Envelope& envelope, const BallotRequest& request) {
  ballots_.add(envelope.from, request);
  serve_ballots(request.txn);
}

void Caretaker::serve_ballots(const TxnId& txn, const Cost& cost) {
  for (const auto& [from, request] : ballots_.take(txn)) {
    if (!serve_ballot(from, request, cost)) ballots_.add(from, request);
  }
}

// False: the log has to carry something first. Whoever asks an empty register wants to know what it says: it is sealed,
// and that no is final by itself.
bool Caretaker::serve_ballot(GroupId from, const BallotRequest& request, const Cost& cost) {
  if (const PreparedTxn* prepared = shard_->prepared(request.txn)) {
    const bool same = ballots_decide(prepared->protocol) && prepared->fingerprint == request.fingerprint;
    if (same && prepared->acceptor.would_change(request.ballot, request.value)) {
      const BallotWork work{.txn = request.txn,
                            .ballot = request.ballot,
                            .value = request.value,
                            .fingerprint = request.fingerprint,
                            .participants = {}};
      if (ballots_.propose(work)) output_.propose.emplace_back(work);
      return false;
    }
  } else if (shard_->empty(request.txn) && !shard_->too_old(request.txn) && !request.only_looks()) {
    seal_empty(request.txn);
    return false;
  }
  BallotReply reply = shard_->ballot_reply(request.txn);
  reply.cost = cost;
  if (from == options_.self) {
    hear_acceptor(from, reply);
  } else {
    send(from, reply);
  }
  return true;
}

void Caretaker::on_applied(const BallotWork& command, const Shard::Applied&) { ballots_.applied(command); }

// ---- in doubt
// --------------------------------------------------------------------------------------------------------

void Caretaker::begin_termination(const TxnId& txn, const PreparedTxn& prepared, Doubt& doubt) {
  doubt.way =
      Termination(txn, options_.self, epoch_, prepared.coordinator, prepared.participants, prepared.fingerprint);
  doubt.way->hear(options_.self, shard_->ballot_reply(txn));
  doubt.way->open();
  doubt.backoff = {};
  doubts_due_.set(txn, now_ + doubt.backoff.next(options_.resend_ticks, options_.resend_ticks_max));
}

// Time is up for what was asked: it is asked again, or another ballot is opened when this one may be in vain.
void Caretaker::pursue(const TxnId& txn, const PreparedTxn& prepared, Doubt& doubt) {
  if (doubt.way->overtaken()) doubt.way->open();
  conclude(txn, prepared, *doubt.way);
  ask_acceptors(txn, *doubt.way);
}

void Caretaker::ask_acceptors(const TxnId& txn, const Termination& way) {
  const BallotRequest request = way.request();
  for (const GroupId group : way.whom()) {
    if (group == options_.self) {
      ballots_.add(group, request);
    } else {
      send(group, request);
    }
  }
  serve_ballots(txn);
}

void Caretaker::on(const Envelope& envelope, const BallotReply& reply) { hear_acceptor(envelope.from, reply); }

void Caretaker::hear_acceptor(GroupId from, const BallotReply& reply) {
  const PreparedTxn* prepared = shard_->prepared(reply.txn);
  const auto found = doubts_.find(reply.txn);
  if (prepared == nullptr || found == doubts_.end() || !found->second.way) return;
  Termination& way = *found->second.way;
  const BallotRequest asked = way.request();
  const bool was_overtaken = way.overtaken();
  way.hear(from, reply);
  conclude(reply.txn, *prepared, way);
  if (way.request() != asked) return ask_acceptors(reply.txn, way);
  if (was_overtaken || !way.overtaken()) return;
  // Somebody else is at it. It is left some time, and of several who wait each another one, so that they do not
  // overtake each other for ever.
  const auto& all = prepared->participants;
  const auto place = static_cast<std::uint64_t>(std::find(all.begin(), all.end(), options_.self) - all.begin());
  doubts_due_.set(reply.txn, now_ + options_.resend_ticks * (2 + place));
}

// What was decided is decided, whoever says it: it spares the others their own way.
void Caretaker::tell_others(const Finish& finish, const PreparedTxn& prepared) {
  for (const GroupId group : prepared.participants) {
    if (group != options_.self) send(group, finish);
  }
}

}  // namespace assent
