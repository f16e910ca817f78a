#include "coordinator/decisions.h"

#include <algorithm>

#include "base/digest.h"
#include "base/planted.h"

namespace assent {

namespace {
constexpr std::size_t forget_per_entry =
    8;  // and two for each record that the entry adds: the history shrinks to its bound
}

Decisions::Applied Decisions::apply(const EntryContext& context, const Command& command) {
  stamp_ = std::max(stamp_, context.stamp);
  const std::uint64_t before = history_.end();
  Applied applied = std::visit([&](const auto& one) { return apply_one(context, one); }, command);
  history_.forget(stamp_, options_.history, options_.window, forget_per_entry + 2 * (history_.end() - before));
  return applied;
}

Decisions::Applied Decisions::standing(const TxnId& txn) const {
  const auto record = find(txn);
  if (!record) return Applied{};
  return Applied{.outcome = record->outcome, .attempt = record->attempt, .reason = record->reason, .changed = false};
}

// The fence. Without it an entry that an old leader proposed and a later one carried into its own epoch could commit a
// transaction after that later leader had answered "abort" to a participant in doubt. With it the entry's epoch tells
// that the proposer still led when the entry was appended, so everything that a later leader says is said after it was
// applied.
Decisions::Applied Decisions::apply_one(const EntryContext& context, const Decide& command) {
  Applied applied = standing(command.txn);
  const bool foreign = command.attempt.epoch != context.epoch && !planted(Bug::foreign_epoch_decides);
  if (applied.outcome != Outcome::none || foreign) return applied;
  open_.emplace(command.txn, OpenCommit{.attempt = command.attempt,
                                        .protocol = command.protocol,
                                        .participants = command.participants,
                                        .fingerprint = command.fingerprint,
                                        .decided_at = context.stamp,
                                        .services = command.services});
  return Applied{
      .outcome = Outcome::committed, .attempt = command.attempt, .reason = AbortReason::none, .changed = true};
}

Decisions::Applied Decisions::apply_one(const EntryContext& context, const SealOutcome& command) {
  Applied applied = standing(command.txn);
  if (applied.outcome != Outcome::none) return applied;
  history_.add(SettledOutcome{.txn = command.txn,
                              .attempt = {},
                              .fingerprint = command.fingerprint,
                              .decided_at = context.stamp,
                              .outcome = Outcome::aborted,
                              .protocol = Protocol::two_phase,
                              .reason = command.refusal.reason});
  return Applied{.outcome = Outcome::aborted, .attempt = {}, .reason = command.refusal.reason, .changed = true};
}

Decisions::Applied Decisions::apply_one(const EntryContext&, const EndTxns& command) {
  Applied applied;
  for (const TxnId& txn : command.txns) {
    const auto found = open_.find(txn);
    if (found == open_.end()) continue;  // said twice, by two leaders
    const OpenCommit& commit = found->second;
    history_.add(SettledOutcome{.txn = txn,
                                .attempt = commit.attempt,
                                .fingerprint = commit.fingerprint,
                                .decided_at = commit.decided_at,
                                .outcome = Outcome::committed,
                                .protocol = commit.protocol,
                                .reason = AbortReason::none});
    open_.erase(found);
    applied.changed = true;
  }
  return applied;
}

Decisions::Applied Decisions::apply_one(const EntryContext&, const Tidy&) { return Applied{}; }

// What lies before the history's horizon stays there: there may have been a record, and it may have said otherwise than
// a presumption.
Decisions::Applied Decisions::apply_one(const EntryContext& context, const NoteOutcomes& command) {
  Applied applied;
  for (const OutcomeNote& note : command.notes) {
    const auto balloted = ballots_.find(note.txn);
    const bool of_this =
        balloted != ballots_.end() && (note.fingerprint == 0 || note.fingerprint == balloted->second.fingerprint);
    if (of_this) ballots_.erase(balloted);
    if (note.reason == AbortReason::reused_id) continue;  // it only ends the ballots of that content
    if (find(note.txn) || may_be_forgotten(note.txn)) continue;
    history_.add(SettledOutcome{.txn = note.txn,
                                .attempt = {},
                                .fingerprint = note.fingerprint,
                                .decided_at = context.stamp,
                                .outcome = note.commit ? Outcome::committed : Outcome::aborted,
                                .protocol = note.protocol,
                                .reason = note.reason});
    applied.changed = true;
  }
  return applied;
}

Decisions::Applied Decisions::apply_one(const EntryContext&, const BallotWork& command) {
  Applied applied;
  const BallotReply standing = ballot_reply(command.txn, command.fingerprint);
  if (standing.standing != Standing::prepared) return applied;
  Acceptor acceptor{.promised = standing.promised, .accepted = standing.accepted, .value = standing.value};
  if (!acceptor.would_change(command.ballot, command.value)) return applied;
  acceptor.apply(command.ballot, command.value);
  ballots_.insert_or_assign(
      command.txn,
      BallotRecord{.fingerprint = command.fingerprint, .participants = command.participants, .acceptor = acceptor});
  applied.changed = true;
  return applied;
}

BallotReply Decisions::ballot_reply(const TxnId& txn, std::uint64_t fingerprint) const {
  BallotReply reply;
  reply.txn = txn;
  reply.fingerprint = fingerprint;
  reply.standing = Standing::old;
  if (const auto record = find(txn)) {
    if (record->fingerprint != fingerprint) return reply;
    reply.standing = record->outcome == Outcome::committed ? Standing::committed : Standing::aborted;
    reply.refusal.reason = record->reason;
    return reply;
  }
  const auto balloted = ballots_.find(txn);
  const bool abstains =
      balloted != ballots_.end() ? balloted->second.fingerprint != fingerprint : may_be_forgotten(txn);
  if (abstains) return reply;
  reply.standing = Standing::prepared;
  if (balloted == ballots_.end()) return reply;
  reply.promised = balloted->second.acceptor.promised;
  reply.accepted = balloted->second.acceptor.accepted;
  reply.value = balloted->second.acceptor.value;
  return reply;
}

std::optional<SettledOutcome> Decisions::find(const TxnId& txn) const {
  if (const auto found = open_.find(txn); found != open_.end()) {
    const OpenCommit& commit = found->second;
    return SettledOutcome{.txn = txn,
                          .attempt = commit.attempt,
                          .fingerprint = commit.fingerprint,
                          .decided_at = commit.decided_at,
                          .outcome = Outcome::committed,
                          .protocol = commit.protocol,
                          .reason = AbortReason::none};
  }
  return history_.find(txn);
}

bool Decisions::committed(const TxnId& txn, const Attempt& attempt) const {
  const auto record = find(txn);
  return record && record->outcome == Outcome::committed && record->attempt == attempt;
}

bool Decisions::may_be_forgotten(const TxnId& txn) const {
  const auto forgotten = history_.forgotten_up_to();
  return forgotten && txn.created() <= *forgotten;
}

std::uint64_t Decisions::digest() const {
  Digest digest;
  digest.add(stamp_).add(open_.size());
  for (const auto& [txn, commit] : open_) {
    digest.add(txn).add(commit.attempt.epoch).add(commit.attempt.number).add(commit.fingerprint);
    digest.add(static_cast<std::uint64_t>(commit.protocol)).add(commit.decided_at).add(commit.participants.size());
    for (const GroupId group : commit.participants) digest.add(group);
    for (const ServiceAddress& service : commit.services)
      digest.add(service.name).add(service.target).add(service.participant);
  }
  history_.add_to(digest);
  digest.add(ballots_.size());
  for (const auto& [txn, record] : ballots_) {
    digest.add(txn).add(record.fingerprint).add(record.participants.size());
    for (const GroupId group : record.participants) digest.add(group);
    for (const Ballot& ballot : {record.acceptor.promised, record.acceptor.accepted}) {
      digest.add(ballot.round).add(ballot.by).add(ballot.epoch);
    }
    digest.add(static_cast<std::uint64_t>(record.acceptor.value));
  }
  return digest.value();
}

}  // namespace assent
