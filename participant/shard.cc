#include "participant/shard.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "base/planted.h"
#include "participant/shard_records.h"
#include "txn_proto/record_codec.h"

namespace assent {

Refusal FinishedTxn::refusal() const {
  Refusal refusal;
  if (outcome != Outcome::aborted) return refusal;
  ByteReader in(detail);
  if (!detail.empty() && read(in, refusal)) return refusal;
  return Refusal{.reason = AbortReason::presumed,
                 .participant = {},
                 .message = "it was prepared here and its coordinator aborted it",
                 .constraint = {},
                 .holder = {}};
}

WorkResult FinishedTxn::result() const {
  WorkResult result;
  ByteReader in(detail);
  if (outcome != Outcome::committed || detail.empty() || !read(in, result)) return {};
  return result;
}

Result<void> Shard::load(const Store& store) {
  auto machine = store.machine_record();
  if (!machine) return fail(machine.error());
  auto about = decode_machine_record(*machine);
  if (!about) return fail(about.error());
  auto records = store.records();
  if (!records) return fail(records.error());
  Shard loaded(options_);
  loaded.stamp_ = about->stamp;
  loaded.heuristic_counts_ = about->heuristics;
  loaded.applied_ = store.applied();
  for (const auto& [txn, bytes] : *records) {
    auto record = decode_record(bytes);
    if (!record) return fail(record.error());
    const bool forced = std::visit([](const auto& one) { return one.heuristic.has_value(); }, *record);
    if (forced) loaded.heuristics_.insert(txn);
    if (auto* prepared = std::get_if<PreparedTxn>(&*record)) {
      if (planted(Bug::promise_forgotten)) prepared->acceptor = {};
      loaded.hold(txn, prepared->effects);
      loaded.prepared_.emplace(txn, std::move(*prepared));
    } else {
      auto& finished = std::get<FinishedTxn>(*record);
      if (planted(Bug::tombstone_dropped) && finished.outcome == Outcome::aborted) continue;
      loaded.finished_.emplace(txn, std::move(finished));
    }
  }
  *this = std::move(loaded);
  return {};
}

Result<void> Shard::restore(Store& store, ByteView snapshot) {
  if (auto restored = store.restore(snapshot); !restored) return restored;
  if (auto loaded = load(store); !loaded) return loaded;
  for (const auto& [txn, finished] : finished_) {
    if (!planted(Bug::snapshot_without_tombstones) || finished.outcome != Outcome::aborted) continue;
    if (auto erased = store.erase_record(txn); !erased) return erased;
  }
  for (const auto& [txn, prepared] : prepared_) {
    if (!planted(Bug::snapshot_without_prepared)) break;
    if (auto erased = store.erase_record(txn); !erased) return erased;
  }
  const bool left_out = planted(Bug::snapshot_without_tombstones) || planted(Bug::snapshot_without_prepared);
  return left_out ? load(store) : Result<void>{};
}

const PreparedTxn* Shard::prepared(const TxnId& txn) const {
  const auto found = prepared_.find(txn);
  return found == prepared_.end() ? nullptr : &found->second;
}

const FinishedTxn* Shard::finished(const TxnId& txn) const {
  const auto found = finished_.find(txn);
  return found == finished_.end() ? nullptr : &found->second;
}

Result<Shard::Applied> Shard::apply(const EntryContext& context, const Command& command, Store& store) {
  stamp_ = std::max(stamp_, context.stamp);
  applied_ = context.index;
  const Entry entry{.context = context, .store = store};
  Result<Applied> applied = std::visit([&](const auto& one) { return apply_one(entry, one); }, command);
  if (!applied) return applied;
  if (auto forgotten = forget(store); !forgotten) return fail(forgotten.error());
  return applied;
}

Refusal Shard::refuse(AbortReason reason, std::string message, TxnId holder) const {
  return Refusal{.reason = reason,
                 .participant = options_.self,
                 .message = std::move(message),
                 .constraint = {},
                 .holder = holder};
}

// The register is filled: it stays as it is. Other content under the same id is told so; it never ran and never will.
Shard::Applied Shard::already(const TxnId& txn, std::uint64_t fingerprint) const {
  const PreparedTxn* in_doubt = prepared(txn);
  const std::uint64_t known = in_doubt != nullptr ? in_doubt->fingerprint : finished(txn)->fingerprint;
  Applied applied;
  if (known != 0 && known != fingerprint) {
    applied.refused = refuse(AbortReason::reused_id, "this id was already used with other content");
  }
  return applied;
}

// What makes the vote a no: an id from the future, a lock that is held, rows that are not as the author saw them. Under
// one leader none of the last two happens (caretaker.h has the argument); this is what makes it true of any log.
Result<std::optional<Refusal>> Shard::find_obstacle(const Entry& entry, const TxnId& txn,
                                                    const Effects& effects) const {
  if (options_.window.too_new(txn, entry.context.stamp)) {
    return refuse(AbortReason::too_old, "the id's time is further ahead of the shard's than the clock skew allows");
  }
  const std::vector<TxnId> holders = locks_.conflicts(effects.locks, txn);
  if (!holders.empty() && !planted(Bug::prepared_lock_stolen)) {
    return refuse(AbortReason::conflict, fmt::format("{} holds what it needs", holders.front()), holders.front());
  }
  if (!effects.change.empty()) {
    const Result<void> fits = entry.store.check(effects.change);
    if (!fits && fits.error().code != ErrorCode::conflict) return fail(fits.error());
    if (!fits) return refuse(AbortReason::conflict, fits.error().message);
  }
  return find_broken_bound(entry, effects);
}

Result<std::optional<Refusal>> Shard::find_broken_bound(const Entry& entry, const Effects& effects) const {
  for (const CounterAdd& add : effects.adds) {
    const Result<std::int64_t> value = entry.store.counter(add.key);
    if (!value && value.error().code != ErrorCode::conflict) return fail(value.error());
    if (!value) return refuse(AbortReason::conflict, value.error().message);
    if (fits(*value, add, escrow_.pending(add.key)) || planted(Bug::escrow_bound_ignored)) continue;
    return refuse(AbortReason::conflict, fmt::format("adding {} to a counter may leave its bounds", add.delta));
  }
  return std::nullopt;
}

namespace {

bool only_reads(const Effects& effects) {
  return std::all_of(effects.locks.begin(), effects.locks.end(), [](const LockRequest& lock) {
    return lock.mode == LockMode::shared || lock.mode == LockMode::intention_shared;
  });
}

}  // namespace

void Shard::hold(const TxnId& txn, const Effects& effects) {
  if (planted(Bug::reader_let_go) && only_reads(effects)) return;
  locks_.acquire(txn, effects.locks);
  escrow_.acquire(txn, effects.adds);
}

Result<void> Shard::carry_out(const Entry& entry, const Effects& effects) {
  if (!effects.change.empty()) {
    if (auto installed = entry.store.install(effects.change); !installed) return installed;
  }
  for (const CounterAdd& add : effects.adds) {
    if (auto added = entry.store.add(add.key, add.delta); !added) return added;
  }
  return {};
}

namespace {

// Too old, by the entry's own stamp: it will never be accepted again, so nothing need be kept to make this final.
Refusal too_old_refusal(GroupId self) {
  return Refusal{.reason = AbortReason::too_old,
                 .participant = self,
                 .message = "the id is older than the shard's retention",
                 .constraint = {},
                 .holder = {}};
}

FinishedTxn aborted_by_no(const Attempt& attempt, Protocol protocol, std::uint64_t fingerprint,
                          const Refusal& refusal) {
  FinishedTxn finished;
  finished.outcome = Outcome::aborted;
  finished.protocol = protocol;
  finished.attempt = attempt;
  finished.fingerprint = fingerprint;
  finished.detail = encode_detail(refusal);
  return finished;
}

}  // namespace

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const PrepareWork& command) {
  if (planted(Bug::register_overwritten)) finished_.erase(command.txn);
  if (!empty(command.txn)) return already(command.txn, command.fingerprint);
  Applied applied;
  if (too_old(command.txn)) {
    applied.refused = too_old_refusal(options_.self);
    return applied;
  }
  auto obstacle = find_obstacle(entry, command.txn, command.effects);
  if (!obstacle) return fail(obstacle.error());
  if (*obstacle) {
    return settle(entry, command.txn,
                  aborted_by_no(command.attempt, command.protocol, command.fingerprint, **obstacle));
  }
  PreparedTxn prepared{.attempt = command.attempt,
                       .coordinator = command.coordinator,
                       .participants = command.participants,
                       .fingerprint = command.fingerprint,
                       .age = command.age,
                       .effects = command.effects,
                       .result = command.result,
                       .prepared_at = entry.context.stamp,
                       .protocol = command.protocol,
                       .acceptor = {},
                       .trace = command.trace};
  if (auto put = entry.store.put_record(command.txn, encode_record(prepared)); !put) return fail(put.error());
  hold(command.txn, prepared.effects);
  prepared_.emplace(command.txn, std::move(prepared));
  applied.changed = true;
  return applied;
}

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const RefuseWork& command) {
  if (!empty(command.txn)) return already(command.txn, command.fingerprint);
  if (too_old(command.txn)) {
    Applied applied;
    applied.refused = too_old_refusal(options_.self);
    return applied;
  }
  return settle(entry, command.txn,
                aborted_by_no(command.attempt, command.protocol, command.fingerprint, command.refusal));
}

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const ExecuteWork& command) {
  if (!empty(command.txn)) return already(command.txn, command.fingerprint);
  if (too_old(command.txn)) {
    Applied applied;
    applied.refused = too_old_refusal(options_.self);
    return applied;
  }
  std::optional<Refusal> refusal;
  if (command.refusal.reason != AbortReason::none) {
    refusal = command.refusal;
  } else {
    auto obstacle = find_obstacle(entry, command.txn, command.effects);
    if (!obstacle) return fail(obstacle.error());
    refusal = std::move(*obstacle);
  }
  FinishedTxn finished;
  if (refusal) {
    finished = aborted_by_no({}, Protocol::one_phase, command.fingerprint, *refusal);
  } else {
    if (auto done = carry_out(entry, command.effects); !done) return fail(done.error());
    finished.outcome = Outcome::committed;
    finished.voted_yes = true;
    finished.fingerprint = command.fingerprint;
    finished.detail = encode_detail(command.result);
    if (finished.detail.size() > options_.reply_bytes_max) {
      finished.detail.clear();
      finished.result_dropped = true;
    }
  }
  finished.protocol = Protocol::one_phase;
  return settle(entry, command.txn, std::move(finished));
}

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const FinishWork& command) {
  const PreparedTxn* in_doubt = prepared(command.txn);
  if (in_doubt != nullptr) {
    // Of an attempt that this shard did not vote in, or of other content.
    const bool of_this_vote = by_content(command.protocol) ? in_doubt->fingerprint == command.fingerprint
                                                           : in_doubt->attempt == command.attempt;
    const bool other = in_doubt->protocol != command.protocol || !of_this_vote;
    if (other && !planted(Bug::finish_without_attempt)) return Applied{};
    return finish_prepared(entry, command);
  }
  if (finished(command.txn) != nullptr || command.commit || too_old(command.txn)) return Applied{};
  if (planted(Bug::no_tombstone)) return Applied{};
  // The abort overtook its prepare. A tombstone keeps that prepare from taking locks that nobody would release.
  return settle(entry, command.txn,
                aborted_by_no(command.attempt, command.protocol, 0,
                              refuse(AbortReason::superseded, "an attempt was aborted before its work arrived")));
}

Result<Shard::Applied> Shard::finish_prepared(const Entry& entry, const FinishWork& command) {
  const auto found = prepared_.find(command.txn);
  const PreparedTxn& prepared = found->second;
  if (command.commit) {
    if (auto done = carry_out(entry, prepared.effects); !done) return fail(done.error());
  }
  FinishedTxn finished;
  finished.outcome = command.commit ? Outcome::committed : Outcome::aborted;
  finished.voted_yes = true;
  finished.attempt = prepared.attempt;
  finished.fingerprint = prepared.fingerprint;
  finished.protocol = prepared.protocol;
  finished.heuristic = prepared.heuristic;
  if (finished.is_asked_for()) {
    finished.coordinator = prepared.coordinator;
    finished.participants = prepared.participants;
  }
  const std::uint64_t held = entry.context.stamp.value - std::min(entry.context.stamp, prepared.prepared_at).value;
  prepared_.erase(found);
  std::vector<LockRequest> released = locks_.release(command.txn);
  escrow_.release(command.txn);
  Result<Applied> applied = settle(entry, command.txn, std::move(finished));
  if (applied) applied->released = std::move(released);
  if (applied) applied->held_millis = held;
  return applied;
}

// Its locks are gone and others may change what it would have changed: so it keeps no effects, and a commit that comes
// later finds nothing to carry out, whether it agrees or not.
Result<Shard::Applied> Shard::apply_one(const Entry& entry, const OverrideWork& command) {
  const auto found = prepared_.find(command.txn);
  if (found == prepared_.end() || found->second.heuristic) return Applied{};
  PreparedTxn& prepared = found->second;
  if (command.commit) {
    if (auto done = carry_out(entry, prepared.effects); !done) return fail(done.error());
  }
  prepared.effects = {};
  prepared.heuristic = Heuristic{.commit = command.commit, .at = entry.context.stamp, .reason = command.reason};
  if (auto put = entry.store.put_record(command.txn, encode_record(prepared)); !put) return fail(put.error());
  heuristics_.insert(command.txn);
  ++(command.commit ? heuristic_counts_.commits : heuristic_counts_.aborts);
  if (auto put = put_machine_record(entry.store); !put) return fail(put.error());
  Applied applied;
  applied.changed = true;
  applied.released = locks_.release(command.txn);
  escrow_.release(command.txn);
  applied.held_millis = entry.context.stamp.value - std::min(entry.context.stamp, prepared.prepared_at).value;
  return applied;
}

// What is not over is still to be held against what was forced. From here on the register goes as any other does.
Result<Shard::Applied> Shard::apply_one(const Entry& entry, const ForgetOverride& command) {
  const auto found = finished_.find(command.txn);
  if (found == finished_.end() || !found->second.heuristic) return Applied{};
  found->second.heuristic.reset();
  if (auto put = entry.store.put_record(command.txn, encode_record(found->second)); !put) return fail(put.error());
  heuristics_.erase(command.txn);
  forget_from_ = std::min(forget_from_, command.txn);
  ++heuristic_counts_.forgotten;
  if (auto put = put_machine_record(entry.store); !put) return fail(put.error());
  Applied applied;
  applied.changed = true;
  return applied;
}

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const SealWork& command) {
  Applied applied;
  if (!empty(command.txn)) return applied;
  if (too_old(command.txn)) {
    applied.refused = too_old_refusal(options_.self);
    return applied;
  }
  return settle(
      entry, command.txn,
      aborted_by_no({}, Protocol::automatic, 0,
                    refuse(AbortReason::sealed, "somebody asked for the outcome with seal before it was decided")));
}

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const Tidy&) {
  if (auto put = put_machine_record(entry.store); !put) return fail(put.error());
  return Applied{};
}

Result<void> Shard::put_machine_record(Store& store) const {
  return store.put_machine_record(encode_machine_record({.stamp = stamp_, .heuristics = heuristic_counts_}));
}

// Not one of these can be asked for any more, so nothing is lost by it; the proposer made sure (caretaker_forget.cc).
Result<Shard::Applied> Shard::apply_one(const Entry& entry, const ForgetTxns& command) {
  Applied applied;
  for (const TxnId& txn : command.txns) {
    const auto found = finished_.find(txn);
    const bool goes = found != finished_.end() && found->second.is_asked_for() && !found->second.heuristic;
    if (!goes || !too_old(txn)) continue;
    if (auto erased = entry.store.erase_record(txn); !erased) return fail(erased.error());
    finished_.erase(found);
    applied.changed = true;
  }
  return applied;
}

Result<Shard::Applied> Shard::apply_one(const Entry& entry, const BallotWork& command) {
  Applied applied;
  const auto found = prepared_.find(command.txn);
  if (found == prepared_.end()) return applied;
  PreparedTxn& prepared = found->second;
  const bool same = ballots_decide(prepared.protocol) && prepared.fingerprint == command.fingerprint;
  if (!same || !prepared.acceptor.would_change(command.ballot, command.value)) return applied;
  prepared.acceptor.apply(command.ballot, command.value);
  if (auto put = entry.store.put_record(command.txn, encode_record(prepared)); !put) return fail(put.error());
  applied.changed = true;
  return applied;
}

Result<Shard::Applied> Shard::settle(const Entry& entry, const TxnId& txn, FinishedTxn finished) {
  finished.finished_at = entry.context.stamp;
  if (auto put = entry.store.put_record(txn, encode_record(finished)); !put) return fail(put.error());
  forget_from_ = std::min(forget_from_, txn);
  finished_.emplace(txn, std::move(finished));
  Applied applied;
  applied.changed = true;
  return applied;
}

// Ids order by time, so what is too old stands first. A few an entry: as each adds one at most, the backlog shrinks.
Result<void> Shard::forget(Store& store) {
  auto next = finished_.lower_bound(forget_from_);
  for (std::size_t forgotten = 0; forgotten < options_.forget_per_entry && next != finished_.end();) {
    if (!too_old(next->first)) break;
    if (!next->second.ages() && !planted(Bug::forgotten_by_age)) {
      ++next;
      continue;
    }
    if (auto erased = store.erase_record(next->first); !erased) return erased;
    heuristics_.erase(next->first);
    next = finished_.erase(next);
    ++forgotten;
  }
  if (next == finished_.end() && next != finished_.begin()) --next;
  forget_from_ = next == finished_.end() ? TxnId{} : next->first;
  return {};
}

std::vector<TxnId> Shard::holding() const {
  std::vector<TxnId> txns;
  for (const auto& [txn, prepared] : prepared_) {
    if (!prepared.heuristic) txns.push_back(txn);
  }
  return txns;
}

std::vector<TxnId> Shard::old_commits(const TxnId& after, std::size_t most) const {
  std::vector<TxnId> txns;
  for (auto next = finished_.upper_bound(after); next != finished_.end() && txns.size() < most; ++next) {
    if (!too_old(next->first)) break;
    if (next->second.is_asked_for() && !next->second.heuristic) txns.push_back(next->first);
  }
  return txns;
}

Report Shard::report(const TxnId& txn) const {
  Report report;
  report.txn = txn;
  if (const PreparedTxn* in_doubt = prepared(txn)) {
    report.standing = Standing::prepared;
    report.protocol = in_doubt->protocol;
    report.attempt = in_doubt->attempt;
    report.fingerprint = in_doubt->fingerprint;
    report.participants = in_doubt->participants;
    report.trace = in_doubt->trace;
  } else if (const FinishedTxn* done = finished(txn)) {
    report.standing = done->outcome == Outcome::committed ? Standing::committed : Standing::aborted;
    report.protocol = done->protocol;
    report.attempt = done->attempt;
    report.fingerprint = done->fingerprint;
    report.participants = done->participants;
    report.refusal = done->refusal();
  } else if (too_old(txn)) {
    report.standing = Standing::old;
  }
  return report;
}

BallotReply Shard::ballot_reply(const TxnId& txn) const {
  const Report known = report(txn);
  BallotReply reply;
  reply.txn = txn;
  reply.fingerprint = known.fingerprint;
  reply.standing = known.standing;
  reply.refusal = known.refusal;
  if (const PreparedTxn* in_doubt = prepared(txn)) {
    reply.promised = in_doubt->acceptor.promised;
    reply.accepted = in_doubt->acceptor.accepted;
    reply.value = in_doubt->acceptor.value;
  }
  return reply;
}

std::uint64_t Shard::digest() const {
  Digest digest;
  digest.add(prepared_.size());
  for (const auto& [txn, prepared] : prepared_) digest.add(txn).add(encode_record(prepared));
  digest.add(finished_.size());
  for (const auto& [txn, finished] : finished_) digest.add(txn).add(encode_record(finished));
  locks_.add_to(digest);
  digest.add(heuristic_counts_.commits).add(heuristic_counts_.aborts).add(heuristic_counts_.forgotten);
  return digest.value();
}

}  // namespace assent
