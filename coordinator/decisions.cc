#include "coordinator/decisions.h"

#include <algorithm>

#include "base/digest.h"
#include "base/planted.h"

namespace assent {

namespace {
constexpr std::size_t forget_per_entry =
    8;  // and two for each record that the entry adds: the history shrinks to its bound

void add_to(Digest& digest, const std::vector<RetriableStep>& steps) {
  for (const RetriableStep& step : steps) digest.add(step.service).add(step.payload);
}

void add_to(Digest& digest, const std::vector<ServiceAddress>& services) {
  for (const ServiceAddress& service : services) {
    digest.add(service.name).add(service.target).add(service.participant);
  }
}
}  // namespace

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
  const auto begun = begun_.find(command.txn);
  const Mode mode = begun == begun_.end() ? Mode::atomic : begun->second.mode;
  std::vector<RetriableStep> steps;
  if (begun != begun_.end()) {
    steps = std::move(begun->second.steps);
    begun_.erase(begun);
  }
  open_.emplace(command.txn, OpenOutcome{.outcome = Outcome::committed,
                                         .reason = AbortReason::none,
                                         .mode = mode,
                                         .attempt = command.attempt,
                                         .protocol = command.protocol,
                                         .participants = command.participants,
                                         .fingerprint = command.fingerprint,
                                         .decided_at = context.stamp,
                                         .services = command.services,
                                         .trace = command.trace,
                                         .steps = std::move(steps)});
  return Applied{
      .outcome = Outcome::committed, .attempt = command.attempt, .reason = AbortReason::none, .changed = true};
}

// Fenced as a Decide is: what a later leader carries into its epoch nobody runs.
Decisions::Applied Decisions::apply_one(const EntryContext& context, const BeginTxn& command) {
  Applied applied = standing(command.txn);
  if (applied.outcome != Outcome::none || command.attempt.epoch != context.epoch) return applied;
  applied.changed = begun_
                        .try_emplace(command.txn, BegunTxn{.attempt = command.attempt,
                                                           .mode = command.mode,
                                                           .participants = command.participants,
                                                           .fingerprint = command.fingerprint,
                                                           .services = command.services,
                                                           .trace = command.trace,
                                                           .steps = command.steps})
                        .second;
  return applied;
}

// Into the history, where nobody need be told; or open, with whom to tell.
void Decisions::add_abort(const SettledOutcome& record) {
  const auto begun = begun_.find(record.txn);
  if (begun == begun_.end()) return history_.add(record);
  BegunTxn& txn = begun->second;
  open_.emplace(record.txn, OpenOutcome{.outcome = Outcome::aborted,
                                        .reason = record.reason,
                                        .mode = txn.mode,
                                        .attempt = txn.attempt,
                                        .protocol = Protocol::two_phase,
                                        .participants = std::move(txn.participants),
                                        .fingerprint = txn.fingerprint,
                                        .decided_at = record.decided_at,
                                        .services = std::move(txn.services),
                                        .trace = std::move(txn.trace),
                                        .steps = std::move(txn.steps)});
  begun_.erase(begun);
}

Decisions::Applied Decisions::apply_one(const EntryContext& context, const SealOutcome& command) {
  Applied applied = standing(command.txn);
  if (applied.outcome != Outcome::none) return applied;
  add_abort(SettledOutcome{.txn = command.txn,
                           .attempt = {},
                           .fingerprint = command.fingerprint,
                           .decided_at = context.stamp,
                           .outcome = Outcome::aborted,
                           .protocol = Protocol::two_phase,
                           .mode = Mode::atomic,
                           .reason = command.refusal.reason});
  return Applied{.outcome = Outcome::aborted, .attempt = {}, .reason = command.refusal.reason, .changed = true};
}

Decisions::Applied Decisions::apply_one(const EntryContext&, const EndTxns& command) {
  Applied applied;
  for (const TxnId& txn : command.txns) {
    const auto found = open_.find(txn);
    if (found == open_.end()) continue;  // said twice, by two leaders
    const OpenOutcome& commit = found->second;
    history_.add(SettledOutcome{.txn = txn,
                                .attempt = commit.outcome == Outcome::committed ? commit.attempt : Attempt{},
                                .fingerprint = commit.fingerprint,
                                .decided_at = commit.decided_at,
                                .outcome = commit.outcome,
                                .protocol = commit.protocol,
                                .mode = commit.mode,
                                .reason = commit.reason,
                                .by_hand = !commit.by_hand.empty()});
    open_.erase(found);
    applied.changed = true;
  }
  return applied;
}

Decisions::Applied Decisions::apply_one(const EntryContext&, const EndBranch& command) {
  Applied applied = standing(command.txn);
  const auto found = open_.find(command.txn);
  if (found == open_.end() || !is_service(command.service)) return applied;
  const std::vector<GroupId>& all = found->second.participants;
  if (std::find(all.begin(), all.end(), command.service) == all.end()) return applied;
  applied.changed = found->second.by_hand.try_emplace(command.service, command.reason).second;
  return applied;
}

Decisions::Applied Decisions::apply_one(const EntryContext&, const Tidy&) { return Applied{}; }

Decisions::Applied Decisions::apply_one(const EntryContext&, const AdmitShards& command) {
  Applied applied;
  for (const GroupId shard : command.shards) {
    const auto place = std::lower_bound(admitted_.begin(), admitted_.end(), shard);
    if (place != admitted_.end() && *place == shard) continue;
    admitted_.insert(place, shard);
    applied.changed = true;
  }
  return applied;
}

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
    if (find(note.txn) || may_be_forgotten(note.txn) || begun_.contains(note.txn)) continue;
    history_.add(SettledOutcome{.txn = note.txn,
                                .attempt = {},
                                .fingerprint = note.fingerprint,
                                .decided_at = context.stamp,
                                .outcome = note.commit ? Outcome::committed : Outcome::aborted,
                                .protocol = note.protocol,
                                .mode = Mode::atomic,
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
    const OpenOutcome& commit = found->second;
    return SettledOutcome{.txn = txn,
                          .attempt = commit.outcome == Outcome::committed ? commit.attempt : Attempt{},
                          .fingerprint = commit.fingerprint,
                          .decided_at = commit.decided_at,
                          .outcome = commit.outcome,
                          .protocol = commit.protocol,
                          .mode = commit.mode,
                          .reason = commit.reason,
                          .by_hand = !commit.by_hand.empty()};
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
  digest.add(stamp_).add(begun_.size());
  for (const auto& [txn, begun] : begun_) {
    digest.add(txn).add(begun.attempt.epoch).add(begun.attempt.number).add(begun.fingerprint);
    digest.add(static_cast<std::uint64_t>(begun.mode)).add(begun.participants.size());
    for (const GroupId group : begun.participants) digest.add(group);
    add_to(digest, begun.services);
    digest.add(begun.trace);
    add_to(digest, begun.steps);
  }
  digest.add(open_.size());
  for (const auto& [txn, commit] : open_) {
    digest.add(txn).add(commit.attempt.epoch).add(commit.attempt.number).add(commit.fingerprint);
    digest.add(static_cast<std::uint64_t>(commit.protocol)).add(commit.decided_at).add(commit.participants.size());
    for (const GroupId group : commit.participants) digest.add(group);
    digest.add(static_cast<std::uint64_t>(commit.outcome)).add(static_cast<std::uint64_t>(commit.mode));
    digest.add(static_cast<std::uint64_t>(commit.reason));
    add_to(digest, commit.services);
    digest.add(commit.trace);
    add_to(digest, commit.steps);
    for (const auto& [service, reason] : commit.by_hand) digest.add(service).add(reason);
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
  for (const GroupId shard : admitted_) digest.add(shard);
  return digest.value();
}

}  // namespace assent
